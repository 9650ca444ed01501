//! What Debian's installation scripts would have made, read from the scripts without running them.
//!
//! A root of unpacked packages lacks what their `postinst` scripts make, and programs fail without it: no `libblas.so.3`
//! where its link through `/etc/alternatives` should be, no accounts, no trusted certificates. [`script`] finds the commands
//! that a script would run; each of the other files knows one kind of them. What is made belongs to the package whose
//! script makes it, and is in dpkg's list of its files, so that it can be attributed like everything else. On an
//! installed system dpkg knows nothing about these files.

mod accounts;
mod alternatives;
mod certificates;
mod copies;
mod filling;
mod php;
mod script;
mod subject;

use super::deb::ControlFiles;
use super::dpkg;
use super::error::FetchError;
use super::member::Package;
use accounts::Accounts;
use alternatives::Alternatives;
use filling::Filling;
use script::{Command, Script, Surroundings};
use std::collections::{BTreeMap, BTreeSet};

const LINKS: &str = "links through /etc/alternatives";
const ACCOUNTS: &str = "users or groups";
const CERTIFICATES: &str = "the certificates of /etc/ssl/certs";
const MODULES: &str = "enabled modules of PHP";
const CAPABILITIES: &str = "file capabilities";
const COPIES: &str = "configuration files";

/// Commands that a user may miss, and what they would have made.
const MISSED: [(&str, &str); 9] = [
    ("update-alternatives", LINKS),
    ("update-ca-certificates", CERTIFICATES),
    ("update-passwd", "/etc/passwd and /etc/group"),
    ("adduser", ACCOUNTS),
    ("addgroup", ACCOUNTS),
    ("useradd", ACCOUNTS),
    ("groupadd", ACCOUNTS),
    ("systemd-sysusers", ACCOUNTS),
    ("setcap", CAPABILITIES),
];

/// What dpkg calls a `postinst` with when the package was not there before (Debian Policy 6.5).
const ARGUMENTS: [&str; 2] = ["configure", ""];

/// Adds what installation scripts would make to the packages; gives notes on what was made and what was not.
///
/// # Errors
/// As [`super::tree::plan`], and [`FetchError::Read`] for a staged file that cannot be read.
pub fn complete(packages: &mut Vec<Package>) -> Result<Vec<String>, FetchError> {
    if packages.iter().all(|package| package.debian().is_none()) {
        return Ok(Vec::new());
    }
    let links = dpkg::merged_usr_links(packages);
    let mut filling = Filling::new(packages, links)?;
    let scripts = follow_all(&filling);
    let mut report = Report::default();
    make_copies(&mut filling, &scripts, &mut report)?;
    make_accounts(&mut filling, &scripts, &mut report)?;
    make_links(&mut filling, &scripts, &mut report);
    make_modules(&mut filling, &scripts, &mut report)?;
    make_certificates(&mut filling, &scripts, &mut report)?;
    for (index, package) in packages.iter().enumerate() {
        if let Some(files) = package.debian() {
            report.missed(index, &String::from_utf8_lossy(&files.postinst), scripts.get(&index));
        }
    }
    Ok(report.notes(packages))
}

/// The scripts that could be followed, by the index of their package.
fn follow_all(filling: &Filling<'_>) -> BTreeMap<usize, Script> {
    let files = || filling.packages.iter().enumerate().filter_map(|(index, package)| Some((index, package.debian()?)));
    let native = files().map(|(_, files)| files.control.architecture.as_str()).find(|name| *name != "all");
    let follow = |(index, files): (usize, &ControlFiles)| {
        let architecture = match files.control.architecture.as_str() {
            "all" => native.unwrap_or("all"),
            own => own,
        };
        let variables = [
            ("DPKG_ROOT", ""),
            ("DPKG_MAINTSCRIPT_ARCH", architecture),
            ("DPKG_MAINTSCRIPT_NAME", "postinst"),
            ("DPKG_MAINTSCRIPT_PACKAGE", files.control.package.as_str()),
        ];
        let test_file = |letter: char, path: &str| filling.test(letter, path);
        let surroundings = Surroundings { arguments: &ARGUMENTS, variables: &variables, test_file: &test_file };
        Some((index, script::follow(&files.postinst, &surroundings)?))
    };
    files().filter_map(follow).collect()
}

/// The commands of one of some names, with the package that runs them.
fn commands<'s>(scripts: &'s BTreeMap<usize, Script>, names: &'s [&str]) -> impl Iterator<Item = (usize, &'s Command)> {
    let all = scripts.iter().flat_map(|(index, script)| script.commands.iter().map(|command| (*index, command)));
    all.filter(|(_, command)| names.contains(&command.name()))
}

fn make_copies(
    filling: &mut Filling<'_>,
    scripts: &BTreeMap<usize, Script>,
    report: &mut Report,
) -> Result<(), FetchError> {
    for (index, command) in commands(scripts, &["cp", "ucf"]) {
        if copies::make(filling, index, command)? {
            report.made(COPIES, index);
        }
    }
    Ok(())
}

fn make_accounts(
    filling: &mut Filling<'_>,
    scripts: &BTreeMap<usize, Script>,
    report: &mut Report,
) -> Result<(), FetchError> {
    let mut pending: Vec<_> = commands(scripts, &accounts::COMMANDS).collect();
    let Some(mut accounts) = Accounts::load(filling)? else {
        report.needs_accounts = !pending.is_empty();
        pending.iter().for_each(|(index, _)| report.not_made(ACCOUNTS, *index));
        return Ok(());
    };
    // A user may join a group of another package, so again until nothing more can be done.
    loop {
        let before = pending.len();
        let mut left = Vec::new();
        for (index, command) in pending {
            match accounts.run(filling, command)? {
                true => report.made(ACCOUNTS, index),
                false => left.push((index, command)),
            }
        }
        pending = left;
        if pending.len() == before {
            break;
        }
    }
    pending.iter().for_each(|(index, _)| report.not_made(ACCOUNTS, *index));
    accounts.store(filling)
}

fn make_links(filling: &mut Filling<'_>, scripts: &BTreeMap<usize, Script>, report: &mut Report) {
    let mut alternatives = Alternatives::default();
    for (index, command) in commands(scripts, &["update-alternatives"]) {
        if !alternatives.add(index, command) {
            report.not_made(LINKS, index);
        }
    }
    alternatives.finish(filling).into_iter().for_each(|index| report.made(LINKS, index));
}

fn make_modules(
    filling: &mut Filling<'_>,
    scripts: &BTreeMap<usize, Script>,
    report: &mut Report,
) -> Result<(), FetchError> {
    for (index, command) in commands(scripts, &["php_invoke"]) {
        if php::enable(filling, index, command)? > 0 {
            report.made(MODULES, index);
        }
    }
    Ok(())
}

fn make_certificates(
    filling: &mut Filling<'_>,
    scripts: &BTreeMap<usize, Script>,
    report: &mut Report,
) -> Result<(), FetchError> {
    if let Some((index, _)) = commands(scripts, &["update-ca-certificates"]).next() {
        match certificates::make(filling, index)? {
            true => report.made(CERTIFICATES, index),
            false => report.not_made(CERTIFICATES, index),
        }
    }
    Ok(())
}

/// What was made, and what was not, with the indices of packages.
#[derive(Default)]
struct Report {
    made: BTreeMap<&'static str, BTreeSet<usize>>,
    not_made: BTreeMap<usize, BTreeSet<&'static str>>,
    /// There are accounts to be made, and no files for them.
    needs_accounts: bool,
}

impl Report {
    fn made(&mut self, what: &'static str, index: usize) {
        self.made.entry(what).or_default().insert(index);
    }

    fn not_made(&mut self, what: &'static str, index: usize) {
        self.not_made.entry(index).or_default().insert(what);
    }

    /// Notes what a script calls in a way that could not be followed, or what nobody here knows to make.
    fn missed(&mut self, index: usize, text: &str, script: Option<&Script>) {
        for (command, what) in MISSED.into_iter().filter(|(command, _)| calls(text, command)) {
            let is_known = match script {
                None => false,
                Some(script) if script.commands.iter().any(|found| found.name() == command) => {
                    [LINKS, ACCOUNTS, CERTIFICATES].contains(&what)
                }
                // One that stands in a branch that is not taken would make nothing.
                Some(script) => script.names.iter().any(|name| script::file_name(name) == command),
            };
            if !is_known {
                self.not_made(what, index);
            }
        }
    }

    fn notes(&self, packages: &[Package]) -> Vec<String> {
        let mut notes = Vec::new();
        for (index, what) in &self.not_made {
            let (name, what) = (&packages[*index].name, what.iter().copied().collect::<Vec<_>>().join(", "));
            notes.push(format!("`{name}`: its installation script was not run: {what} not made"));
        }
        for (what, indices) in &self.made {
            let names: Vec<_> = indices.iter().map(|index| format!("`{}`", packages[*index].name)).collect();
            notes.push(format!("made as installation scripts would: {what} of {}", names.join(", ")));
        }
        if self.needs_accounts {
            notes.push("there is no /etc/passwd for users and groups: the package `base-passwd` brings it".to_owned());
        }
        notes
    }
}

/// Whether a line of a shell script, comments aside, has `command` as a word.
fn calls(script: &str, command: &str) -> bool {
    let in_word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    script
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .any(|line| line.split(|c| !in_word(c)).any(|word| word == command))
}

#[cfg(test)]
mod tests;
