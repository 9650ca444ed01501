//! What packages of illumos leave to be done when all of them are unpacked, whichever way they are packed: links between
//! packages, owners by name, accounts and drivers in the files that several packages share, and the package system's own
//! lists.

pub mod accounts;
mod drivers;
mod records;

pub use accounts::Account;
pub use drivers::{DatabaseTexts, DriverAction};
pub use records::{Database, MediatedLink, PendingLink, Records};

use super::error::FetchError;
use super::member::{Content, Format, Member, MemberKind, Origin, Package};
use crate::packages::image::quote;
use crate::path::RootPath;
use accounts::Accounts;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Does what is left to do in the packages themselves, and gives what is to be added to them; nothing when none is of
/// illumos.
///
/// # Errors
/// [`FetchError::Read`] for a staged file that cannot be read.
pub fn complete(packages: &mut [Package]) -> Result<Vec<Member>, FetchError> {
    if !packages.iter().any(|package| records(package).is_some()) {
        return Ok(Vec::new());
    }
    choose_mediated(packages);
    let_overlay(packages);
    resolve_links(packages);
    let mut added = Vec::new();
    add_accounts(packages, &mut added)?;
    add_drivers(packages, &mut added)?;
    added.extend(databases(packages));
    added.extend(loose_directories(packages));
    Ok(added)
}

/// Where a target leads, seen from the directory of its link; `None` when that is outside of the root or no path.
pub fn relative(directory: &RootPath, target: &[u8]) -> Option<RootPath> {
    let mut here = if target.starts_with(b"/") { RootPath::root() } else { directory.clone() };
    for name in target.split(|&b| b == b'/') {
        here = match name {
            b"" | b"." => here,
            b".." => here.parent()?,
            name if name.contains(&0) => return None,
            name => here.join(name),
        };
    }
    Some(here)
}

fn records(package: &Package) -> Option<&Records> {
    match &package.delivery.as_ref()?.format {
        Format::Illumos(records) => Some(records),
        Format::Debian(_) => None,
    }
}

fn records_mut(package: &mut Package) -> Option<&mut Records> {
    match &mut package.delivery.as_mut()?.format {
        Format::Illumos(records) => Some(records),
        Format::Debian(_) => None,
    }
}

fn note(package: &mut Package, text: String) {
    if let Some(delivery) = &mut package.delivery {
        delivery.notes.push(format!("`{}`: {text}", package.name));
    }
}

/// Of links that compete for a path, those of one version and implementation are put in: the best of each mediator
/// (pkg(7), "Mediators").
fn choose_mediated(packages: &mut [Package]) {
    let mut best: BTreeMap<String, &MediatedLink> = BTreeMap::new();
    for link in packages.iter().filter_map(records).flat_map(|records| &records.mediated) {
        let chosen = best.entry(link.mediator.clone()).or_insert(link);
        // The first of equals stays; packages are sorted by name.
        if link.rank() > chosen.rank() {
            *chosen = link;
        }
    }
    let best: BTreeMap<String, MediatedLink> = best.into_iter().map(|(name, link)| (name, link.clone())).collect();
    for package in packages {
        let Some(records) = records_mut(package) else { continue };
        let links = std::mem::take(&mut records.mediated);
        let chosen: Vec<_> = links.into_iter().filter(|link| best[&link.mediator].is_of_one_choice(link)).collect();
        for MediatedLink { path, target, .. } in chosen {
            push(package, Member::symlink(path, target));
        }
    }
}

/// A package with `overlay=true` for a path takes it over from those that allow it.
fn let_overlay(packages: &mut [Package]) {
    let mut allowing: HashMap<RootPath, Vec<String>> = HashMap::new();
    for package in packages.iter() {
        for path in records(package).into_iter().flat_map(|records| &records.overlaid) {
            allowing.entry(path.clone()).or_default().push(package.name.clone());
        }
    }
    for package in packages {
        let overlaying = records(package).map(|records| records.overlaying.clone()).unwrap_or_default();
        let names = overlaying.iter().filter_map(|path| allowing.get(path)).flatten();
        let names: Vec<_> = names.filter(|name| **name != package.name).cloned().collect();
        package.replaces.extend(names);
    }
}

/// Gives hard links the file they are a name of, in whichever package that is.
fn resolve_links(packages: &mut [Package]) {
    let mut files: HashMap<RootPath, Origin> = HashMap::new();
    for (package, p) in packages.iter().enumerate() {
        for (member, m) in p.members.iter().enumerate().filter(|(_, m)| matches!(m.kind, MemberKind::File(_))) {
            files.entry(m.path.clone()).or_insert(Origin { package, member });
        }
    }
    let mut pending: Vec<(usize, PendingLink)> = Vec::new();
    for (index, package) in packages.iter_mut().enumerate() {
        let links = records_mut(package).map(|records| std::mem::take(&mut records.links)).unwrap_or_default();
        pending.extend(links.into_iter().map(|link| (index, link)));
    }
    // A link may be to a link, so again until no more are found.
    loop {
        let before = pending.len();
        pending.retain(|(package, link)| {
            let Some(&origin) = link.targets.iter().find_map(|target| files.get(target)) else { return true };
            let file = &packages[origin.package].members[origin.member];
            let (mode, mtime) = (file.mode, file.mtime);
            let owner = records(&packages[origin.package]).map(|r| r.owners[origin.member].clone()).unwrap_or_default();
            let kind = match origin.package == *package {
                true => MemberKind::HardLink(origin.member),
                false => MemberKind::HardLinkAcross(origin),
            };
            let package = &mut packages[*package];
            package.members.push(Member { path: link.path.clone(), kind, mode, uid: 0, gid: 0, mtime });
            records_mut(package).expect("it had a link").owners.push(owner);
            files.entry(link.path.clone()).or_insert(origin);
            false
        });
        if pending.len() == before {
            break;
        }
    }
    for (package, link) in pending {
        let text = format!("the hard link `{}` is left out: no package has `{}`", link.path, link.targets[0]);
        note(&mut packages[package], text);
    }
}

/// Adds the accounts that packages ask for, and gives every member the numbers of its owners.
fn add_accounts(packages: &mut [Package], added: &mut Vec<Member>) -> Result<(), FetchError> {
    let texts = Texts::load(packages, &accounts::FILES)?;
    let [passwd, shadow, group] = [0, 1, 2].map(|index| texts.take(index));
    let mut accounts = Accounts::new(passwd, shadow, group);
    let wanted: Vec<_> = packages.iter().filter_map(records).flat_map(|records| records.accounts.clone()).collect();
    wanted.iter().for_each(|account| accounts.add(account));
    let (files, ids) = accounts.finish();
    texts.store(packages, added, files.into());
    for package in packages {
        let Some(records) = records_mut(package) else { continue };
        let owners = records.owners.clone();
        let mut unknown = BTreeSet::new();
        for (member, (user, group)) in package.members.iter_mut().zip(&owners) {
            let mut number = |known: Option<u32>, name: &str| {
                known.unwrap_or_else(|| {
                    unknown.insert(name.to_owned());
                    0
                })
            };
            member.uid = number(ids.user(user), user);
            member.gid = number(ids.group(group), group);
        }
        for name in unknown {
            note(package, format!("nobody is called `{name}`: what belongs to it was given to root"));
        }
    }
    Ok(())
}

fn add_drivers(packages: &mut [Package], added: &mut Vec<Member>) -> Result<(), FetchError> {
    if packages.iter().filter_map(records).all(|records| records.drivers.is_empty()) {
        return Ok(());
    }
    let texts = Texts::load(packages, &DatabaseTexts::FILES)?;
    let mut databases = DatabaseTexts::from_texts(std::array::from_fn(|index| texts.take(index)));
    for package in packages.iter_mut() {
        for driver in records(package).map(|records| records.drivers.clone()).unwrap_or_default() {
            if let Err(problem) = databases.add(&driver) {
                note(package, format!("its driver `{}` was not added: {problem}", driver.name.escape_debug()));
            }
        }
    }
    texts.store(packages, added, databases.into_texts().into());
    Ok(())
}

/// What pkgadd and pkg keep about the packages: the list of contents with each pkginfo, and the manifests.
fn databases(packages: &[Package]) -> Vec<Member> {
    let mut members = Vec::new();
    let mut contents: BTreeMap<&[u8], (&str, BTreeSet<&str>)> = BTreeMap::new();
    for package in packages {
        match records(package).map(|records| &records.database) {
            Some(Database::Svr4 { pkginfo, contents: lines }) => {
                let path = fixed("/var/sadm/pkg").join(package.name.as_bytes()).join(b"pkginfo");
                members.push(Member::generated(path, pkginfo.clone()));
                for (path, line) in lines {
                    contents.entry(path).or_insert((line, BTreeSet::new())).1.insert(&package.name);
                }
            }
            Some(Database::Ips { publisher, version, manifest }) => {
                let path = ["var", "pkg", "publisher", publisher.as_str(), "pkg"].map(quote);
                let path = path.iter().fold(RootPath::root(), |path, name| path.join(name.as_bytes()));
                let path = path.join(quote(&package.name).as_bytes()).join(quote(version).as_bytes());
                members.push(Member::generated(path, manifest.clone()));
            }
            None => {}
        }
    }
    if !contents.is_empty() {
        let mut text = Vec::new();
        for (path, (line, names)) in contents {
            let names: Vec<&str> = names.into_iter().collect();
            text.extend_from_slice(path);
            text.extend_from_slice(format!("{line} {}\n", names.join(" ")).as_bytes());
        }
        members.push(Member::generated(fixed("/var/sadm/install/contents"), text));
    }
    members
}

/// Directories that packages want without saying how; one that another package describes is left to that.
fn loose_directories(packages: &[Package]) -> Vec<Member> {
    let wanted: BTreeSet<_> =
        packages.iter().filter_map(records).flat_map(|records| records.loose_directories.clone()).collect();
    let directory = |path| Member { path, kind: MemberKind::Directory, mode: 0o755, uid: 0, gid: 0, mtime: 0 };
    wanted.into_iter().map(directory).collect()
}

/// The texts of files that are shared by all packages.
struct Texts {
    files: Vec<(RootPath, Option<Origin>, Vec<u8>)>,
}

impl Texts {
    /// Reads what packages bring; of several with one path, the first.
    fn load(packages: &[Package], paths: &[&str]) -> Result<Texts, FetchError> {
        let mut files = Vec::new();
        for path in paths.iter().map(|path| fixed(path)) {
            let origin = packages.iter().enumerate().find_map(|(package, p)| {
                let is_it = |m: &Member| m.path == path && matches!(m.kind, MemberKind::File(_));
                Some(Origin { package, member: p.members.iter().position(is_it)? })
            });
            let text = match origin.and_then(|origin| packages[origin.package].content(origin.member)) {
                Some(Content::Staged(staged)) => {
                    std::fs::read(staged).map_err(|source| FetchError::Read { path: staged.clone(), source })?
                }
                Some(Content::Bytes(bytes)) => bytes.clone(),
                None => Vec::new(),
            };
            files.push((path, origin, text));
        }
        Ok(Texts { files })
    }

    fn take(&self, index: usize) -> String {
        String::from_utf8_lossy(&self.files[index].2).into_owned()
    }

    /// Puts the texts that changed where they came from, or among what is added.
    fn store(self, packages: &mut [Package], added: &mut Vec<Member>, texts: Vec<String>) {
        for ((path, origin, old), new) in self.files.into_iter().zip(texts) {
            if String::from_utf8_lossy(&old) == new {
                continue;
            }
            match origin {
                Some(Origin { package, member }) => {
                    packages[package].members[member].kind = MemberKind::File(Content::Bytes(new.into_bytes()));
                }
                // `root:sys`, as SUNWcsd has them.
                None => added.push(Member { gid: 3, ..Member::generated(path, new) }),
            }
        }
    }
}

fn push(package: &mut Package, member: Member) {
    package.members.push(member);
    if let Some(records) = records_mut(package) {
        records.owners.push(("root".to_owned(), "root".to_owned()));
    }
}

fn fixed(path: &str) -> RootPath {
    RootPath::new(path).expect("made from constants")
}

impl MediatedLink {
    /// What is compared: the greater one is preferred.
    fn rank(&self) -> (u8, Vec<u64>, Reverse<&str>) {
        let priority = match self.priority.as_str() {
            "site" => 2,
            "vendor" => 1,
            _ => 0,
        };
        // Without a version is older than any; names of implementations have no order but the alphabet's.
        (priority, numbers(&self.version), Reverse(&self.implementation))
    }

    fn is_of_one_choice(&self, other: &MediatedLink) -> bool {
        (&self.version, &self.implementation) == (&other.version, &other.implementation)
    }
}

/// `3.12` → 3, 12.
fn numbers(version: &str) -> Vec<u64> {
    version.split('.').filter_map(|number| number.parse().ok()).collect()
}

/// Adds a line to a file of lines, whose last one may lack its end.
pub fn add_line(text: &mut String, line: &str) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_seen_from_the_directory_of_their_link() {
        let from = fixed("/usr/bin");
        let to = |target: &str| relative(&from, target.as_bytes()).map(|path| path.to_string());
        assert_eq!(to("../lib/isaexec").as_deref(), Some("/usr/lib/isaexec"));
        assert_eq!((to("ls").as_deref(), to("/sbin/sh").as_deref()), (Some("/usr/bin/ls"), Some("/sbin/sh")));
        assert_eq!((to("../../../etc"), to("a\0b")), (None, None));
    }
}
