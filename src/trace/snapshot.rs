//! From the graph to the manifest: what each node is, byte for byte, at this moment.

use super::{Item, Trace};
use crate::manifest::{Because, Content, Entry, Manifest, Omission};
use crate::modules::{Compression, decompress};
use crate::objects::strings::PathStrings;
use crate::objects::{Format, sniff};
use crate::packages::Packages;
use crate::path::{RootPath, escaped};
use crate::reason::{Evidence, Kind, Reason};
use crate::root::{FileKind, Found, LookupError, Root};
use crate::rules::RuleSet;
use foldhash::{HashMap, HashMapExt, HashSet};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io::{self, Read};

/// How much of a file is read at a time.
const CHUNK: usize = 256 << 10;

/// Why a kept file cannot be described.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("cannot read `{path}`")]
    Read { path: RootPath, source: io::Error },
    #[error("cannot look at a kept file")]
    Lookup(#[from] LookupError),
    #[error("cannot decompress `{path}`")]
    Decompress { path: RootPath, source: crate::modules::ModinfoError },
    #[error("cannot read the package lists of the root")]
    Packages(#[source] io::Error),
}

impl Trace {
    /// What stays when forbidden paths and all that only they lead to are gone, sorted.
    pub fn kept(&self) -> Vec<RootPath> {
        self.graph.reachable(|path| self.forbidden.contains_key(path))
    }

    /// Describes every kept path. Files are read once, on all threads.
    ///
    /// # Errors
    /// [`SnapshotError`] with the path that cannot be read.
    pub fn manifest(&self, root: &Root, rules: &RuleSet) -> Result<Manifest, SnapshotError> {
        let kept = self.kept();
        let packages = Packages::load(root).map_err(SnapshotError::Packages)?;
        let names: HashSet<&RootPath> = kept.iter().collect();
        let first_names = first_names(root, &kept, &self.items);
        let described: Result<Vec<(Entry, Vec<Omission>)>, SnapshotError> = kept
            .par_iter()
            .map(|path| {
                let mut suspects = BTreeSet::new();
                let mut entry = self.describe(root, path, first_names.get(path), &mut suspects)?;
                entry.package = packages.owner(root, path).map(str::to_owned);
                entry.reasons = self
                    .graph
                    .reasons(path)
                    .into_iter()
                    .filter(|(from, _)| from.as_ref().is_none_or(|from| names.contains(from)))
                    .map(|(from, reason)| Because { from, reason })
                    .collect();
                Ok((entry, suspected(root, path, suspects, &names)))
            })
            .collect();
        let (entries, suspected): (Vec<Entry>, Vec<Vec<Omission>>) = described?.into_iter().unzip();
        let mut dropped = self.dropped.clone();
        dropped.extend(suspected.into_iter().flatten());
        for (path, why) in self.forbidden.iter().filter(|(path, _)| self.graph.contains(path)) {
            for (from, reason) in self.graph.reasons(path) {
                dropped.insert(Omission { from, reason, to: Some(path.clone()), why: why.clone() });
            }
        }
        Ok(Manifest {
            system: self.system,
            arch: self.arch.clone(),
            targets: self.targets.clone(),
            rules_digest: rules.digest(),
            boot: self.boot.clone(),
            entries,
            dropped: dropped.into_iter().collect(),
            unknown: self.unknown.iter().cloned().collect(),
            missing: self.missing.iter().cloned().collect(),
        })
    }

    /// The entry of a path, without package and reasons.
    fn describe(
        &self,
        root: &Root,
        path: &RootPath,
        first: Option<&RootPath>,
        suspects: &mut BTreeSet<Vec<u8>>,
    ) -> Result<Entry, SnapshotError> {
        let made = |content, mode| Entry {
            path: path.clone(),
            content,
            mode,
            uid: 0,
            gid: 0,
            xattrs: Vec::new(),
            package: None,
            reasons: Vec::new(),
        };
        match self.items.get(path) {
            Some(Item::Generated(file)) => {
                let content = Content::Generated {
                    size: file.bytes.len() as u64,
                    sha256: Sha256::digest(&file.bytes).into(),
                    bytes: Some(file.bytes.clone()),
                };
                return Ok(made(content, file.mode));
            }
            Some(Item::Directory) => return Ok(made(Content::Directory, 0o755)),
            Some(Item::Link { target }) => return Ok(made(Content::Symlink { target: target.clone() }, 0o777)),
            Some(Item::Unpacked(found)) => {
                let entry = made(unpacked(root, found)?, found.info.mode);
                return Ok(Entry { uid: found.info.uid, gid: found.info.gid, ..entry });
            }
            None => {}
        }
        let found = root.lookup_nofollow(path)?;
        let content = match first {
            Some(first) => Content::Hardlink { to: first.clone() },
            None => content(root, &found, suspects)?,
        };
        let xattrs = root.xattrs(&found).map_err(|source| SnapshotError::Read { path: path.clone(), source })?;
        Ok(Entry { uid: found.info.uid, gid: found.info.gid, xattrs, ..made(content, found.info.mode) })
    }
}

/// Where the kernel or the running system makes the files: what is there in a root that is this machine's own says
/// nothing about the image, and changes from run to run.
const VOLATILE: [&[u8]; 5] = [b"/dev/", b"/proc/", b"/run/", b"/sys/", b"/tmp/"];

/// Strings of an object that are paths of files in the root which nothing else brought in.
fn suspected(root: &Root, object: &RootPath, strings: BTreeSet<Vec<u8>>, kept: &HashSet<&RootPath>) -> Vec<Omission> {
    let mut omissions = Vec::new();
    let is_volatile = |path: &[u8]| VOLATILE.iter().any(|directory| path.starts_with(directory));
    for string in strings.into_iter().filter(|string| !is_volatile(string)) {
        let Ok(found) = root.lookup_spelled(&string) else { continue };
        // A link such as /etc/mtab leads there as well.
        if found.info.kind == FileKind::File && !kept.contains(&found.path) && !is_volatile(found.path.as_bytes()) {
            let text = escaped(&string).to_string();
            omissions.push(Omission {
                from: Some(object.clone()),
                reason: Reason::new(Evidence::Suspected, Kind::String, text),
                to: Some(found.path),
                why: "only a string in the object".to_owned(),
            });
        }
    }
    omissions
}

/// For each further name of an inode, the first one in sorted order.
fn first_names(root: &Root, kept: &[RootPath], items: &HashMap<RootPath, Item>) -> HashMap<RootPath, RootPath> {
    let mut inodes: HashMap<(u64, u64), &RootPath> = HashMap::new();
    let mut further = HashMap::new();
    for path in kept.iter().filter(|path| !items.contains_key(path)) {
        let Ok(found) = root.lookup_nofollow(path) else { continue };
        if found.info.kind == FileKind::File && found.info.links > 1 {
            let first = *inodes.entry(found.info.inode).or_insert(path);
            if first != path {
                further.insert(path.clone(), first.clone());
            }
        }
    }
    further
}

fn content(root: &Root, found: &Found, suspects: &mut BTreeSet<Vec<u8>>) -> Result<Content, SnapshotError> {
    let read_error = |source| SnapshotError::Read { path: found.path.clone(), source };
    Ok(match found.info.kind {
        FileKind::File => {
            let read = root.open_file(found).and_then(digest).map_err(read_error)?;
            *suspects = read.paths;
            Content::File { size: read.size, sha256: read.sha256, unpacked_from: None }
        }
        FileKind::Directory => Content::Directory,
        FileKind::Symlink => Content::Symlink { target: root.read_link(found).map_err(read_error)? },
        FileKind::Char { major, minor } => Content::Char { major, minor },
        FileKind::Block { major, minor } => Content::Block { major, minor },
        FileKind::Fifo => Content::Fifo,
        FileKind::Socket => {
            let message = "a socket cannot be put into an image; leave it out with a rule";
            return Err(read_error(io::Error::new(io::ErrorKind::Unsupported, message)));
        }
    })
}

/// A compressed file's content, decompressed.
fn unpacked(root: &Root, found: &Found) -> Result<Content, SnapshotError> {
    let file = root.open_file(found).map_err(|source| SnapshotError::Read { path: found.path.clone(), source })?;
    let bytes = decompress(file, Compression::of_name(found.path.file_name()))
        .map_err(|source| SnapshotError::Decompress { path: found.path.clone(), source })?;
    Ok(Content::File {
        size: bytes.len() as u64,
        sha256: Sha256::digest(&bytes).into(),
        unpacked_from: Some(found.path.clone()),
    })
}

/// What one reading of a file gives.
struct Digested {
    size: u64,
    sha256: [u8; 32],
    /// Paths among the strings of an ELF object.
    paths: BTreeSet<Vec<u8>>,
}

fn digest(mut file: impl Read) -> io::Result<Digested> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut size = 0;
    let mut strings: Option<PathStrings> = None;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => {
                let paths = strings.map(PathStrings::finish).unwrap_or_default();
                return Ok(Digested { size, sha256: hasher.finalize().into(), paths });
            }
            Ok(length) => {
                let piece = &buffer[..length];
                if size == 0 && sniff(piece) == Format::Elf {
                    strings = Some(PathStrings::default());
                }
                if let Some(strings) = &mut strings {
                    strings.add(piece);
                }
                hasher.update(piece);
                size += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
