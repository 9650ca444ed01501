//! From the pieces of an SVR4 package to its members: what `pkgmap` promises, compared with what is there.

use super::info::{Entry, EntryKind, PackageInfo, Promise, parse_map};
use super::pieces::{Piece, Pieces};
use super::{class_archive, script};
use crate::fetch::archive::invalid;
use crate::fetch::error::{FetchError, Refusal};
use crate::fetch::illumos::{Database, PendingLink, Records};
use crate::fetch::member::{Content, Delivery, Format, Member, MemberKind, Package, inside};
use crate::fetch::unpack::finish_content;
use crate::path::RootPath;
use crate::root::FileKind;
use crate::text::hex;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// Classes whose scripts decide what happens to a file that is there already. In an empty root they copy, as for a class
/// without a script.
const COPYING_CLASSES: [&str; 4] = ["none", "preserve", "renamenew", "renameold"];

/// Makes a package of its pieces. `digest` is that of the file it came in, if it came in one.
///
/// # Errors
/// [`FetchError::Damaged`] for a pkgmap that is none, [`FetchError::Refused`] for a path that no root may hold,
/// [`FetchError::Content`] for a file that is missing or not as promised.
pub fn build(
    source: &Path,
    digest: Option<String>,
    info: PackageInfo,
    mut pieces: Pieces,
) -> Result<Package, FetchError> {
    let damaged = |part: &str, error: io::Error| FetchError::Damaged {
        path: source.to_owned(),
        part: format!("{part} of {}", info.name),
        source: error,
    };
    let map = pieces.read(b"pkgmap")?.ok_or_else(|| damaged("pkgmap", invalid("there is none")))?;
    let (parts, entries) = parse_map(&map).map_err(|problem| damaged("pkgmap", invalid(&problem)))?;
    class_archive::unpack(&mut pieces, &entries, damaged)?;
    let pkginfo = pieces.read(b"pkginfo")?.unwrap_or_default();
    let mut building =
        Building { source, info: &info, parts, members: Vec::new(), contents: Vec::new(), records: Records::default() };
    for entry in entries.iter().filter(|entry| entry.kind != EntryKind::Information) {
        building.add(entry, &mut pieces)?;
    }
    let Building { members, contents, mut records, .. } = building;
    let mut notes = Vec::new();
    if let Some(text) = pieces.read(b"install/postinstall")? {
        let found = script::drivers(&String::from_utf8_lossy(&text));
        records.drivers = found.drivers;
        if found.does_more {
            notes.push(format!("`{}`: its script `postinstall` was not run, except for drivers", info.name));
        }
    }
    notes.extend(class_notes(&info.name, &entries, &pieces));
    records.database = Database::Svr4 { pkginfo, contents };
    let delivery = Delivery {
        version: info.get("VERSION").to_owned(),
        architecture: info.get("ARCH").to_owned(),
        format: Format::Illumos(Box::new(records)),
        file: source.to_owned(),
        sha256: digest.unwrap_or_else(|| hex(&Sha256::digest(&map))),
        notes,
    };
    Ok(Package { name: info.name, replaces: Vec::new(), members, delivery: Some(delivery) })
}

/// What class action scripts would have done to files.
fn class_notes(package: &str, entries: &[Entry], pieces: &Pieces) -> Vec<String> {
    let scripted: BTreeSet<&str> = pieces
        .names()
        .iter()
        .filter_map(|name| std::str::from_utf8(name.strip_prefix(b"install/i.")?).ok())
        .filter(|class| !COPYING_CLASSES.contains(class))
        .collect();
    let note = |class: &str| {
        let n = entries.iter().filter(|entry| entry.class == class).count();
        let files = if n == 1 { "1 file is".to_owned() } else { format!("{n} files are") };
        (n > 0).then(|| format!("`{package}`: the script of its class `{class}` was not run: {files} as delivered"))
    };
    scripted.into_iter().filter_map(note).collect()
}

struct Building<'a> {
    /// The package file or directory, for messages.
    source: &'a Path,
    info: &'a PackageInfo,
    parts: u32,
    members: Vec<Member>,
    contents: Vec<(Vec<u8>, String)>,
    records: Records,
}

impl Building<'_> {
    fn add(&mut self, entry: &Entry, pieces: &mut Pieces) -> Result<(), FetchError> {
        let path = self.place(&entry.path)?;
        let mut member = Member {
            path: path.clone(),
            kind: MemberKind::Directory,
            mode: entry.mode.unwrap_or(if matches!(entry.kind, EntryKind::Directory(_)) { 0o755 } else { 0o644 }),
            uid: 0,
            gid: 0,
            mtime: entry.content.map_or(0, |content| content.modified),
        };
        self.contents.push((path.as_bytes().to_vec(), self.line(entry)?));
        match &entry.kind {
            EntryKind::Directory(_) if entry.mode.is_none() => {
                self.records.loose_directories.push(path);
                return Ok(());
            }
            EntryKind::HardLink(target) => {
                let targets = self.link_targets(&path, target)?;
                self.records.links.push(PendingLink { path, targets });
                return Ok(());
            }
            EntryKind::Directory(_) => {}
            EntryKind::File(_) => {
                let piece = self.content(entry, pieces)?;
                member.kind = MemberKind::File(Content::Staged(piece.path.clone()));
                let failed = |source| FetchError::Write { path: piece.path.clone(), source };
                let file = std::fs::OpenOptions::new().write(true).open(&piece.path).map_err(failed)?;
                finish_content(&file, &member).map_err(failed)?;
            }
            EntryKind::Symlink(target) => {
                member.kind = MemberKind::Symlink(self.expand(&entry.path, target)?.into_bytes());
                member.mode = 0o777;
            }
            EntryKind::Char { major, minor } => {
                member.kind = MemberKind::Special(FileKind::Char { major: *major, minor: *minor });
            }
            EntryKind::Block { major, minor } => {
                member.kind = MemberKind::Special(FileKind::Block { major: *major, minor: *minor });
            }
            EntryKind::Fifo => member.kind = MemberKind::Special(FileKind::Fifo),
            EntryKind::Information => return Ok(()),
        }
        if member.path.is_root() && !matches!(member.kind, MemberKind::Directory) {
            return Err(self.refused(&entry.path, Refusal::Shape));
        }
        self.members.push(member);
        let name = |name: &Option<String>| self.expand(&entry.path, name.as_deref().unwrap_or("root"));
        let owner = (name(&entry.owner)?, name(&entry.group)?);
        self.records.owners.push(owner);
        Ok(())
    }

    /// Where the root has what the package calls `path`: variables replaced, `BASEDIR` before a relative path.
    fn place(&self, path: &str) -> Result<RootPath, FetchError> {
        let expanded = self.expand(path, path)?;
        let whole =
            if expanded.starts_with('/') { expanded } else { format!("{}/{expanded}", self.info.get("BASEDIR")) };
        inside(whole.as_bytes()).map_err(|refusal| self.refused(path, refusal))
    }

    /// The file an entry is about, taken from where the package keeps it: below `root/` for absolute paths, `reloc/` for
    /// those that move with `BASEDIR`, with the number of the part when there are several.
    fn content(&self, entry: &Entry, pieces: &mut Pieces) -> Result<Piece, FetchError> {
        let problem = |problem: String| FetchError::Content {
            package: self.info.name.clone(),
            member: entry.path.clone().into_bytes(),
            problem,
        };
        let Some(promise) = entry.content else { return Err(problem("`pkgmap` says nothing about it".to_owned())) };
        let top = if entry.path.starts_with('/') { "root" } else { "reloc" };
        let relative = entry.path.trim_start_matches('/');
        let expanded = self.expand(&entry.path, relative)?;
        let mut names = vec![format!("{top}/{relative}"), format!("{top}/{expanded}")];
        if self.parts > 1 {
            names
                .splice(0..0, [format!("{top}.{}/{relative}", entry.part), format!("{top}.{}/{expanded}", entry.part)]);
        }
        let Some(piece) = names.iter().find_map(|name| pieces.take(name.as_bytes())) else {
            return Err(match pieces.any_below(b"archive/") {
                // What `class_archive` does not read.
                Some(part) => FetchError::ClassArchive {
                    path: self.source.to_owned(),
                    package: self.info.name.clone(),
                    part: String::from_utf8_lossy(part).into_owned(),
                },
                None => problem(format!("there is no `{}`", names[0])),
            });
        };
        let Promise { size, sum, .. } = promise;
        if piece.size != size {
            return Err(problem(format!("it has {} bytes instead of {size}", piece.size)));
        }
        if piece.sum != sum {
            return Err(problem(format!("its checksum is {} instead of {sum}", piece.sum)));
        }
        Ok(piece)
    }

    /// What a hard link may mean: `./` and `../` are seen from its directory, `/` from the root; anything else from
    /// `BASEDIR`, or, as converted IPS packages have it, from its directory.
    fn link_targets(&self, path: &RootPath, target: &str) -> Result<Vec<RootPath>, FetchError> {
        let target = self.expand(target, target)?;
        let parent = path.parent().unwrap_or_else(RootPath::root);
        let beside = super::super::illumos::relative(&parent, target.as_bytes());
        let below = || inside(format!("{}/{target}", self.info.get("BASEDIR")).as_bytes()).ok();
        let targets: Vec<_> = match target.starts_with('/') || target.starts_with('.') {
            true => beside.into_iter().collect(),
            false => below().into_iter().chain(beside).collect(),
        };
        match targets.is_empty() {
            true => Err(self.refused(path.to_string().as_str(), Refusal::HardLink(target.into_bytes()))),
            false => Ok(targets),
        }
    }

    /// What `/var/sadm/install/contents` says about an entry, up to the packages (contents(5)).
    fn line(&self, entry: &Entry) -> Result<String, FetchError> {
        let known = |name: &Option<String>| name.clone().unwrap_or_else(|| "?".to_owned());
        let mode = entry.mode.map_or_else(|| "?".to_owned(), |mode| format!("{mode:04o}"));
        let owned = format!("{mode} {} {}", known(&entry.owner), known(&entry.group));
        let class = &entry.class;
        Ok(match &entry.kind {
            EntryKind::File(kind) => {
                let Promise { size, sum, modified } = entry.content.unwrap_or(Promise { size: 0, sum: 0, modified: 0 });
                format!(" {kind} {class} {owned} {size} {sum} {modified}")
            }
            EntryKind::Directory(kind) => format!(" {kind} {class} {owned}"),
            EntryKind::Symlink(target) => format!("={} s {class}", self.expand(&entry.path, target)?),
            EntryKind::HardLink(target) => format!("={} l {class}", self.expand(&entry.path, target)?),
            EntryKind::Char { major, minor } => format!(" c {class} {major} {minor} {owned}"),
            EntryKind::Block { major, minor } => format!(" b {class} {major} {minor} {owned}"),
            EntryKind::Fifo => format!(" p {class} {owned}"),
            EntryKind::Information => String::new(),
        })
    }

    fn expand(&self, path: &str, text: &str) -> Result<String, FetchError> {
        self.info.expand(text).map_err(|name| FetchError::Content {
            package: self.info.name.clone(),
            member: path.as_bytes().to_vec(),
            problem: format!("`pkginfo` has no value for `${name}`"),
        })
    }

    fn refused(&self, path: &str, refusal: Refusal) -> FetchError {
        FetchError::Refused { package: self.info.name.clone(), member: path.as_bytes().to_vec(), refusal }
    }
}
