//! From the actions of a manifest to the members of a package (pkg(7), "Actions", "Facets and Variants").

use super::store::Want;
use crate::fetch::error::{FetchError, Refusal};
use crate::fetch::illumos::{Account, Database, DriverAction, MediatedLink, PendingLink, Records, relative};
use crate::fetch::member::{Content, Delivery, Format, Member, MemberKind, Package, inside};
use crate::fetch::source::Selection;
use crate::packages::actions::Action;
use crate::packages::image::license_path;
use crate::path::RootPath;
use crate::text::hex;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// What a root is filled for: a variant that is not here does not hold an action back. `variant.debug.*` is `false`.
const VARIANTS: [(&str, &str); 3] =
    [("arch", "i386"), ("opensolaris.zone", "global"), ("opensolaris.imagetype", "full")];

/// Bytes of the longest name of a file.
const NAME_MAX: usize = 255;

/// A package of which the actions are known.
pub struct Subject<'a> {
    pub source: &'a Path,
    pub publisher: &'a str,
    pub name: &'a str,
    pub version: &'a str,
    pub manifest: Vec<u8>,
}

/// Makes a package of its actions; gives what content its files want, to be staged as `PREFIX-NUMBER`.
///
/// # Errors
/// [`FetchError::Refused`] for a path that no root may hold, [`FetchError::Content`] for an action that says too little.
pub fn build(
    subject: Subject<'_>,
    actions: &[Action],
    selection: &Selection,
    prefix: &Path,
) -> Result<(Package, Vec<Want>), FetchError> {
    let mut building =
        Building { name: subject.name, prefix, members: Vec::new(), wants: Vec::new(), records: Records::default() };
    let is_set = |key: &str| actions.iter().any(|a| a.get("name") == Some(key) && a.get("value") == Some("true"));
    let mut notes = Vec::new();
    if is_set("pkg.obsolete") || is_set("pkg.renamed") {
        let successors: Vec<_> = actions.iter().filter(|a| a.kind == "depend").filter_map(|a| a.get("fmri")).collect();
        let what =
            if successors.is_empty() { "is obsolete".to_owned() } else { format!("is now {}", successors.join(", ")) };
        notes.push(format!("`{}` {what}: it has no files", subject.name));
    } else if !is_for_this_system(actions) {
        notes.push(format!("`{}` is not for x86: it was left out", subject.name));
    } else {
        for action in actions.iter().filter(|action| applies(action, selection)) {
            building.add(action)?;
        }
    }
    let Building { members, wants, mut records, .. } = building;
    let sha256 = hex(&Sha256::digest(&subject.manifest));
    let (publisher, version) = (subject.publisher.to_owned(), subject.version.to_owned());
    records.database = Database::Ips { publisher, version: version.clone(), manifest: subject.manifest };
    let delivery = Delivery {
        version,
        architecture: "i386".to_owned(),
        format: Format::Illumos(Box::new(records)),
        file: subject.source.to_owned(),
        sha256,
        notes,
    };
    let name = subject.name.to_owned();
    Ok((Package { name, replaces: Vec::new(), members, delivery: Some(delivery) }, wants))
}

/// A package lists the variants it was made for.
fn is_for_this_system(actions: &[Action]) -> bool {
    let mut listed = actions.iter().filter(|action| action.kind == "set");
    listed.all(|action| match action.get("name").and_then(|name| name.strip_prefix("variant.")) {
        Some(variant) => wanted(variant).is_none_or(|wanted| action.all("value").any(|value| value == wanted)),
        None => true,
    })
}

fn wanted(variant: &str) -> Option<&'static str> {
    if variant.starts_with("debug.") {
        return Some("false");
    }
    VARIANTS.iter().find(|(name, _)| *name == variant).map(|(_, value)| *value)
}

/// Whether variants and facets let an action in: every variant must fit, every facet marked `all` and one of those
/// marked `true` must be on.
fn applies(action: &Action, selection: &Selection) -> bool {
    let fits = |(key, value): &(String, String)| match key.strip_prefix("variant.") {
        Some(variant) => wanted(variant).is_none_or(|wanted| wanted == value),
        None => true,
    };
    let facets = |mark: &'static str| {
        let marked = action.attributes.iter().filter(move |(_, value)| value.eq_ignore_ascii_case(mark));
        marked.filter_map(|(key, _)| key.strip_prefix("facet.")).map(|facet| selection.facet(facet))
    };
    action.attributes.iter().all(fits)
        && facets("all").all(|on| on)
        && (facets("true").next().is_none() || facets("true").any(|on| on))
}

struct Building<'a> {
    name: &'a str,
    prefix: &'a Path,
    members: Vec<Member>,
    wants: Vec<Want>,
    records: Records,
}

impl Building<'_> {
    fn add(&mut self, action: &Action) -> Result<(), FetchError> {
        match action.kind.as_str() {
            "file" => self.file(action),
            "dir" => self.directory(action),
            "link" => self.link(action),
            "hardlink" => self.hard_link(action),
            "driver" => {
                self.records.drivers.push(driver(action));
                Ok(())
            }
            "user" | "group" => {
                self.records.accounts.extend(account(action));
                Ok(())
            }
            "license" => {
                self.license(action);
                Ok(())
            }
            // Dependencies, signatures and what old tools wanted to know are no part of a root.
            _ => Ok(()),
        }
    }

    fn file(&mut self, action: &Action) -> Result<(), FetchError> {
        // Only for files that are there from before.
        if matches!(action.get("preserve"), Some("legacy" | "abandon")) {
            return Ok(());
        }
        let path = self.path(action)?;
        let digest = action.payload.clone().ok_or_else(|| self.problem(&path, "the action has no digest"))?;
        let size = match action.get("pkg.size").map(str::parse) {
            Some(Err(_)) => return Err(self.problem(&path, "its `pkg.size` is not a number")),
            size => size.and_then(Result::ok),
        };
        match action.get("overlay") {
            Some("true") => self.records.overlaying.push(path.clone()),
            Some("allow") => self.records.overlaid.push(path.clone()),
            _ => {}
        }
        let kind = self.want(&path, digest, size, true);
        self.owned(action, path, kind, 0o644)
    }

    /// The text goes where pkg(7) puts it. A source that was thinned out may lack it, which does not matter to any program.
    fn license(&mut self, action: &Action) {
        let Some((name, digest)) = action.get("license").zip(action.payload.clone()) else { return };
        let path = license_path(self.name, name);
        if path.file_name().len() > NAME_MAX || self.members.iter().any(|member| member.path == path) {
            return;
        }
        let size = action.get("pkg.size").and_then(|size| size.parse().ok());
        let kind = self.want(&path, digest, size, false);
        self.push(Member { path, kind, mode: 0o444, uid: 0, gid: 0, mtime: 0 }, "root", "root");
    }

    fn want(&mut self, path: &RootPath, digest: String, size: Option<u64>, is_needed: bool) -> MemberKind {
        let mut staged = self.prefix.to_owned().into_os_string();
        staged.push(format!("-{}", self.members.len()));
        let staged = PathBuf::from(staged);
        let (package, path) = (self.name.to_owned(), path.clone());
        self.wants.push(Want { digest, staged: staged.clone(), size, package, path, is_needed });
        MemberKind::File(Content::Staged(staged))
    }

    fn directory(&mut self, action: &Action) -> Result<(), FetchError> {
        let path = self.path(action)?;
        self.owned(action, path, MemberKind::Directory, 0o755)
    }

    fn link(&mut self, action: &Action) -> Result<(), FetchError> {
        let path = self.path(action)?;
        let target = self.target(action, &path)?.as_bytes().to_vec();
        let attribute = |key| action.get(key).unwrap_or_default().to_owned();
        if let Some(mediator) = action.get("mediator") {
            self.records.mediated.push(MediatedLink {
                path,
                target,
                mediator: mediator.to_owned(),
                version: attribute("mediator-version"),
                implementation: attribute("mediator-implementation"),
                priority: attribute("mediator-priority"),
            });
            return Ok(());
        }
        self.push(
            Member { path, kind: MemberKind::Symlink(target), mode: 0o777, uid: 0, gid: 0, mtime: 0 },
            "root",
            "root",
        );
        Ok(())
    }

    fn hard_link(&mut self, action: &Action) -> Result<(), FetchError> {
        let path = self.path(action)?;
        let target = self.target(action, &path)?.as_bytes();
        let parent = path.parent().unwrap_or_else(RootPath::root);
        let Some(target) = relative(&parent, target) else {
            return Err(self.refused(path.as_bytes(), Refusal::HardLink(target.to_vec())));
        };
        self.records.links.push(PendingLink { path, targets: vec![target] });
        Ok(())
    }

    fn owned(&mut self, action: &Action, path: RootPath, kind: MemberKind, usual: u32) -> Result<(), FetchError> {
        let mode = match action.get("mode") {
            None => usual,
            Some(digits) => u32::from_str_radix(digits, 8)
                .ok()
                .filter(|mode| *mode <= 0o7777)
                .ok_or_else(|| self.problem(&path, "its mode is not octal"))?,
        };
        let mtime = match action.get("timestamp") {
            None => 0,
            Some(time) => seconds(time).ok_or_else(|| self.problem(&path, "its `timestamp` is no time"))?,
        };
        let [owner, group] = ["owner", "group"].map(|key| action.get(key).unwrap_or("root"));
        self.push(Member { path, kind, mode, uid: 0, gid: 0, mtime }, owner, group);
        Ok(())
    }

    fn push(&mut self, member: Member, owner: &str, group: &str) {
        self.members.push(member);
        self.records.owners.push((owner.to_owned(), group.to_owned()));
    }

    fn path(&self, action: &Action) -> Result<RootPath, FetchError> {
        let text = action.get("path").unwrap_or_default();
        let path = inside(text.as_bytes()).map_err(|refusal| self.refused(text.as_bytes(), refusal))?;
        match path.is_root() && action.kind != "dir" {
            true => Err(self.refused(text.as_bytes(), Refusal::Shape)),
            false => Ok(path),
        }
    }

    fn target<'t>(&self, action: &'t Action, path: &RootPath) -> Result<&'t str, FetchError> {
        let target = action.get("target").filter(|target| !target.is_empty() && !target.contains('\0'));
        target.ok_or_else(|| self.refused(path.as_bytes(), Refusal::EmptyLink))
    }

    fn problem(&self, path: &RootPath, problem: &str) -> FetchError {
        let (package, member) = (self.name.to_owned(), path.as_bytes().to_vec());
        FetchError::Content { package, member, problem: problem.to_owned() }
    }

    fn refused(&self, path: &[u8], refusal: Refusal) -> FetchError {
        FetchError::Refused { package: self.name.to_owned(), member: path.to_vec(), refusal }
    }
}

fn driver(action: &Action) -> DriverAction {
    let all = |key| action.all(key).map(str::to_owned).collect();
    DriverAction {
        name: action.get("name").unwrap_or_default().to_owned(),
        aliases: all("alias"),
        classes: all("class"),
        permissions: all("perms"),
        clone_permissions: all("clone_perms"),
        policies: all("policy"),
        privileges: all("privs"),
        links: all("devlink"),
    }
}

fn account(action: &Action) -> Option<Account> {
    let number = |key| action.get(key).and_then(|number| number.parse().ok());
    let text = |key, usual: &str| action.get(key).unwrap_or(usual).to_owned();
    if action.kind == "group" {
        return Some(Account::Group { name: action.get("groupname")?.to_owned(), gid: number("gid") });
    }
    Some(Account::User {
        name: action.get("username")?.to_owned(),
        uid: number("uid"),
        group: text("group", ""),
        gecos: text("gcos-field", "& User"),
        home: text("home-dir", "/"),
        shell: text("login-shell", ""),
        password: text("password", "*LK*"),
    })
}

/// `20250131T235959Z` → seconds since 1970.
fn seconds(time: &str) -> Option<u64> {
    let part = |range: std::ops::Range<usize>| -> Option<i64> {
        time.get(range)?.bytes().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
    };
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    let (hour, minute, second) = (part(9..11)?, part(11..13)?, part(13..15)?);
    let is_time = time.len() == 16 && &time[8..9] == "T" && time.ends_with('Z');
    if !is_time || !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days of the Gregorian calendar, years begun in March so that a leap day is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    u64::try_from(days * 86_400 + hour * 3600 + minute * 60 + second).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_seconds() {
        assert_eq!(seconds("19700101T000000Z"), Some(0));
        assert_eq!(seconds("20200229T235959Z"), Some(1_583_020_799));
        assert_eq!(seconds("20250101T000000Z"), Some(1_735_689_600));
        for bad in [
            "",
            "20250101",
            "20251301T000000Z",
            "2025010xT000000Z",
            "20250101T000000",
            "19600101T000000Z",
            "日本語日本T0Z",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn variants_and_facets_decide_about_actions() {
        let applies = |attributes: &str| {
            let action = crate::packages::actions::parse(format!("file aa path=x {attributes}").as_bytes()).unwrap();
            let source = crate::recipe::Source {
                packages: vec!["x".to_owned()],
                facets: [("doc".to_owned(), false)].into(),
                ..crate::recipe::Source::default()
            };
            super::applies(&action[0], &Selection::new(&source))
        };
        for (attributes, let_in) in [
            ("", true),
            ("variant.arch=i386", true),
            ("variant.arch=sparc", false),
            ("variant.opensolaris.zone=nonglobal", false),
            ("variant.debug.illumos=true", false),
            ("variant.debug.illumos=false variant.arch=i386", true),
            ("facet.doc.man=true", false),
            ("facet.doc.man=true facet.devel=true", true),
            ("facet.doc.man=all facet.devel=true", false),
            ("facet.locale.fr_FR=true", true),
        ] {
            assert_eq!(applies(attributes), let_in, "{attributes}");
        }
    }
}
