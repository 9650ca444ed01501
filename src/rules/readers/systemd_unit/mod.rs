//! A unit of systemd, with its drop-ins, to what it starts, reads and pulls in (systemd.syntax(7), systemd.unit(5),
//! systemd.exec(5), and "Command lines" of systemd.service(5)).
//!
//! The surprise: an instance has no file. Who names `getty@tty1.service`, be it a word or a link in a directory
//! `.wants`, is told what `getty@.service` says when its `%i` is `tty1`, as if it said so itself. Of a template alone, what
//! depends on the instance says nothing, nor does a word with a variable or a specifier that depends on the machine.

mod files;
mod name;

use super::{bind, shell};
use crate::path::RootPath;
use crate::rules::Facts;
use crate::rules::pattern::Bindings;
use files::{Fragment, Unit};
use foldhash::HashSet;
use name::UnitName;

/// `unit` is whose assignment it is. `key` is that of the assignment; `.d`, `.wants` or `.requires` for what is in such a
/// directory of the unit; empty for what goes without saying. `role` is `command` for a program, by path or name, `path`
/// for a file, `unit` for one that has a file of that name, `alias` for another name, `user` for an account, `pam` for a
/// service of PAM. `strength` is `required` where the unit fails without the word, else `wanted`.
pub(super) const BINDINGS: &[&str] = &["unit", "key", "role", "strength", "word"];

const REQUIRED: &str = "required";
const WANTED: &str = "wanted";

/// How many instances are followed from one file: `Wants=a@%i0.service a@%i1.service` has no end.
const MOST_INSTANCES: usize = 256;

/// After how many words no further instance is: their templates may be long.
const MOST_WORDS: usize = 1 << 16;

pub(super) fn read(path: &RootPath, facts: &dyn Facts) -> Vec<Bindings> {
    let Some(name) = UnitName::new(path.file_name()) else { return Vec::new() };
    let mut reading =
        Reading { facts, found: Vec::new(), instances: Vec::new(), seen: HashSet::default(), is_skipped: false };
    if is_in_directory_of_unit(path) {
        // The link's name is the unit; a file of that name is a unit by itself.
        reading.follow(name);
    } else if let Some(unit) = Unit::read(&name, path, facts) {
        reading.unit(&unit);
    }
    while reading.found.len() < MOST_WORDS
        && let Some((name, path)) = reading.instances.pop()
    {
        if let Some(unit) = Unit::read(&name, &path, facts) {
            reading.unit(&unit);
        }
    }
    reading.found
}

fn is_in_directory_of_unit(path: &RootPath) -> bool {
    let directory = path.parent().unwrap_or_else(RootPath::root);
    LINKS.iter().any(|suffix| directory.file_name().ends_with(suffix.as_bytes()))
}

/// Directories of links that stand for `Wants=`, `Requires=` and `Upholds=`.
const LINKS: [&str; 3] = [".wants", ".requires", ".upholds"];

/// What was found so far.
struct Reading<'f> {
    facts: &'f dyn Facts,
    found: Vec<Bindings>,
    /// With the files of their templates; these are still to be read.
    instances: Vec<(UnitName, RootPath)>,
    seen: HashSet<UnitName>,
    /// The unit that is looked at will not be started as the root is: nothing is required for it.
    is_skipped: bool,
}

impl Reading<'_> {
    fn unit(&mut self, unit: &Unit) {
        self.is_skipped = unit.assignments.iter().any(|(key, value)| self.does_not_hold(unit, key, value));
        for path in &unit.drop_ins {
            self.note(unit, ".d", "path", WANTED, path.as_bytes());
        }
        for suffix in LINKS {
            for path in files::beside(&unit.names, suffix, "*", self.facts) {
                self.note(unit, suffix, "path", WANTED, path.as_bytes());
            }
        }
        for (key, value) in &unit.assignments {
            if let Ok(key) = std::str::from_utf8(key) {
                self.assignment(unit, key, value);
            }
        }
        self.started_without_saying(unit);
    }

    fn note(&mut self, unit: &Unit, key: &str, role: &str, strength: &str, word: &[u8]) {
        let name = unit.name.text();
        let strength = if self.is_skipped { WANTED } else { strength };
        self.found.push(bind(BINDINGS, [&name, key.as_bytes(), role.as_bytes(), strength.as_bytes(), word]));
    }

    /// Whether this is a condition on a file that the root does not have, or that has a name only the machine knows. What
    /// the kernel and systemd make is taken to be there, and one of several conditions to hold.
    fn does_not_hold(&self, unit: &Unit, key: &[u8], value: &[u8]) -> bool {
        let is_on_file =
            [&b"ConditionPath"[..], b"ConditionFile", b"ConditionDirectory"].iter().any(|start| key.starts_with(start));
        if !is_on_file || value.starts_with(b"!") || value.starts_with(b"|") {
            return false;
        }
        let path = At { unit, key: "" }.literal(value).and_then(|path| RootPath::new(path).ok());
        let is_made = |path: &RootPath| path.components().next().is_some_and(|top| MADE.contains(&top));
        path.is_none_or(|path| !is_made(&path) && !self.facts.exists(&path))
    }

    fn assignment(&mut self, unit: &Unit, key: &str, value: &[u8]) {
        let at = At { unit, key };
        match key {
            "ExecStart" | "ExecStartPre" | "ExecStartPost" | "ExecCondition" => self.commands(at, value, REQUIRED),
            "ExecReload" | "ExecStop" | "ExecStopPost" => self.commands(at, value, WANTED),
            "Requires" | "Requisite" | "BindsTo" => self.units(at, value, REQUIRED),
            "Wants" | "Upholds" | "OnFailure" | "OnSuccess" | "Sockets" | "Service" | "Unit" | "Slice" => {
                self.units(at, value, WANTED);
            }
            "EnvironmentFile" => match value.strip_prefix(b"-") {
                Some(file) => self.path(at, file, WANTED),
                None => self.path(at, value, REQUIRED),
            },
            "WorkingDirectory" => self.path(at, value.strip_prefix(b"-").unwrap_or(value), WANTED),
            "RootDirectory" | "RootImage" => self.path(at, value, WANTED),
            "StandardInput" => self.path(at, value.strip_prefix(b"file:").unwrap_or_default(), WANTED),
            "LoadCredential" | "LoadCredentialEncrypted" => {
                let path = memchr::memchr(b':', value).map_or(&b""[..], |colon| &value[colon + 1..]);
                self.path(at, path, WANTED);
            }
            "Alias" => {
                for alias in split(value).unwrap_or_default().iter().filter_map(|word| at.literal(word)) {
                    self.note(unit, key, "alias", WANTED, &alias);
                }
            }
            "User" | "Group" => self.note(unit, key, "user", WANTED, value),
            "PAMName" => self.note(unit, key, "pam", WANTED, value),
            // `!` asks for absence, `|` for one of several.
            _ if ["ConditionPath", "ConditionFile", "AssertPath"].iter().any(|start| key.starts_with(start)) => {
                self.path(at, value.strip_prefix(b"|").unwrap_or(value), WANTED);
            }
            _ => {}
        }
    }

    fn path(&mut self, at: At<'_>, value: &[u8], strength: &'static str) {
        let is_one = |path: &Vec<u8>| path.first() == Some(&b'/') && path.len() > 1 && !path.contains(&b'*');
        if let Some(path) = at.literal(value).filter(is_one) {
            self.note(at.unit, at.key, "path", strength, &path);
        }
    }

    fn units(&mut self, at: At<'_>, value: &[u8], strength: &'static str) {
        for word in split(value).unwrap_or_default().iter().filter_map(|word| at.literal(word)) {
            if let Some(name) = UnitName::new(&word) {
                self.pulled_in(at, &name, strength);
            }
        }
    }

    /// A unit that another one names.
    fn pulled_in(&mut self, at: At<'_>, name: &UnitName, strength: &'static str) {
        let strength = if OF_FILES.contains(&&name.kind[..]) { strength } else { WANTED };
        let of_file = match files::find(name, self.facts) {
            // So that it stays masked.
            Fragment::Masked(link) => return self.note(at.unit, at.key, "path", WANTED, link.as_bytes()),
            Fragment::Own(_) => name.clone(),
            Fragment::Template(_) | Fragment::Absent => name.template().unwrap_or_else(|| name.clone()),
        };
        self.note(at.unit, at.key, "unit", strength, &of_file.text());
        self.follow(name.clone());
    }

    /// Reads the file of a template later, if that is where the unit comes from.
    fn follow(&mut self, name: UnitName) {
        if let Fragment::Template(path) = files::find(&name, self.facts)
            && self.seen.len() < MOST_INSTANCES
            && self.seen.insert(name.clone())
        {
            self.instances.push((name, path));
        }
    }

    /// What a socket, timer or path starts has its name, unless it says otherwise.
    fn started_without_saying(&mut self, unit: &Unit) {
        let of = |key: &str| unit.assignments.iter().find(|(known, _)| known == key.as_bytes()).map(|(_, value)| value);
        let is_set = |value: &Vec<u8>| matches!(&value[..], b"yes" | b"true" | b"on" | b"1" | b"y" | b"t");
        let started = match &unit.name.kind[..] {
            b"socket" if of("Service").is_some() => return,
            // Each connection has an instance of its own.
            b"socket" if of("Accept").is_some_and(is_set) => {
                UnitName { instance: Some(Vec::new()), ..unit.name.of_kind(b"service") }
            }
            b"timer" | b"path" if of("Unit").is_some() => return,
            b"socket" | b"timer" | b"path" => unit.name.of_kind(b"service"),
            _ => return,
        };
        self.pulled_in(At { unit, key: "" }, &started, WANTED);
    }

    /// Command lines: several are divided by a word `;`.
    fn commands(&mut self, at: At<'_>, value: &[u8], strength: &'static str) {
        let words = split(value).unwrap_or_default();
        for command in words.split(|word| word == b";") {
            let Some((first, arguments)) = command.split_first() else { continue };
            let n_prefixes = first.iter().take_while(|byte| b"@-:+!|".contains(byte)).count();
            let (prefixes, program) = first.split_at(n_prefixes);
            let strength = if prefixes.contains(&b'-') { WANTED } else { strength };
            // With `@` the next word is what the program sees as its name.
            let arguments = arguments.get(usize::from(prefixes.contains(&b'@'))..).unwrap_or_default();
            let Some(program) = at.literal(program).filter(|program| !program.is_empty()) else { continue };
            self.note(at.unit, at.key, "command", strength, &program);
            match script(&program, arguments) {
                Some(script) => {
                    for (role, word) in shell::roles_and_words(&at.script(script)) {
                        if matches!(role, "command" | "path") {
                            self.note(at.unit, at.key, role, WANTED, &word);
                        }
                    }
                }
                None => {
                    for argument in arguments {
                        let value = argument.split(|&byte| byte == b'=').next_back().unwrap_or_default();
                        self.path(at, value, WANTED);
                    }
                }
            }
        }
    }
}

/// Kinds of units that come from files, or else are missing; the others are made at run time, too.
const OF_FILES: [&[u8]; 5] = [b"service", b"socket", b"target", b"timer", b"path"];

/// Directories that are filled when the machine starts.
const MADE: [&[u8]; 4] = [b"dev", b"proc", b"run", b"sys"];

/// Whose words are looked at.
#[derive(Clone, Copy)]
struct At<'u> {
    unit: &'u Unit,
    key: &'u str,
}

impl At<'_> {
    /// A word with what its specifiers stand for; `None` with one that says nothing here, or a variable.
    fn literal(self, word: &[u8]) -> Option<Vec<u8>> {
        let text = self.with_specifiers(word)?;
        let plain = undoubled(&text, b'$');
        let n_dollars = memchr::memchr_iter(b'$', &text).count();
        (n_dollars == 2 * (text.len() - plain.len())).then_some(plain)
    }

    fn with_specifiers(self, word: &[u8]) -> Option<Vec<u8>> {
        let mut text = Vec::with_capacity(word.len());
        let mut rest = word;
        while let Some(percent) = memchr::memchr(b'%', rest) {
            text.extend_from_slice(&rest[..percent]);
            text.extend(self.unit.name.specifier(*rest.get(percent + 1)?, &self.unit.path)?);
            rest = &rest[percent + 2..];
        }
        text.extend_from_slice(rest);
        Some(text)
    }

    /// What a shell sees of a script. What systemd puts in for a variable, the shell would have put in.
    fn script(self, text: &[u8]) -> Vec<u8> {
        let text = self.with_specifiers(text).unwrap_or_else(|| undoubled(text, b'%'));
        undoubled(&text, b'$')
    }
}

/// What a shell gets with `-c`.
fn script<'a>(program: &[u8], arguments: &'a [Vec<u8>]) -> Option<&'a [u8]> {
    let name = program.rsplit(|&byte| byte == b'/').next()?;
    let at = arguments.iter().position(|word| word.starts_with(b"-") && word.ends_with(b"c"))?;
    let is_shell = matches!(name, b"sh" | b"bash" | b"dash");
    arguments.get(at + 1).filter(|_| is_shell).map(Vec::as_slice)
}

/// The text with one of each two of the byte that stand side by side.
fn undoubled(text: &[u8], byte: u8) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied().peekable();
    while let Some(next) = rest.next() {
        plain.push(next);
        if next == byte {
            rest.next_if_eq(&byte);
        }
    }
    plain
}

/// The words of a value without their quotes and escapes; `None` for a value that systemd refuses.
fn split(value: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            (None, byte) if byte.is_ascii_whitespace() => words.extend(word.take()),
            (None, b'"' | b'\'') => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (Some(open), _) if open == byte => quote = None,
            (_, b'\\') => match bytes.next()? {
                b'x' => {
                    let digits = [bytes.next()?, bytes.next()?];
                    let digits = std::str::from_utf8(&digits).ok()?;
                    word.get_or_insert_default().push(u8::from_str_radix(digits, 16).ok()?);
                }
                escaped => word.get_or_insert_default().push(match escaped {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b's' => b' ',
                    other => other,
                }),
            },
            _ => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests;
