//! From the graph to the manifest: what each node is, byte for byte, at this moment.

use super::{Item, Trace};
use crate::graph::Graph;
use crate::manifest::{Because, Content, Entry, Manifest, Omission};
use crate::modules::{Compression, decompress};
use crate::objects::strings::PathStrings;
use crate::objects::{Format, sniff};
use crate::packages::Packages;
use crate::path::{RootPath, escaped};
use crate::reason::{Evidence, Kind, Reason};
use crate::root::{FileKind, Found, LEAST_SPARSE_SIZE, LookupError, Root, SparseFile};
use crate::rules::RuleSet;
use foldhash::{HashMap, HashMapExt, HashSet};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};

/// How much of a file is read at a time.
const CHUNK: usize = 256 << 10;

/// Why a kept file cannot be described.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The content of a kept file cannot be read, or is of a kind that no image has.
    #[error("cannot read `{path}`")]
    Read {
        /// The file of the root.
        path: RootPath,
        /// What the operating system says.
        source: io::Error,
    },
    /// A kept file is there no longer, or cannot be looked at.
    #[error("cannot look at a kept file")]
    Lookup(#[from] LookupError),
    /// A kernel module that the image is to have unpacked is damaged.
    #[error("cannot decompress `{path}`")]
    Decompress {
        /// The compressed file of the root.
        path: RootPath,
        /// What is wrong with it.
        source: crate::modules::ModinfoError,
    },
    /// Which package delivered which file cannot be read.
    #[error("cannot read the package lists of the root")]
    Packages(#[source] io::Error),
}

impl SnapshotError {
    /// What to do about it, where the operating system's words do not say it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            SnapshotError::Lookup(_) => {
                Some("the root changes while it is traced: trace it again when it is left alone")
            }
            SnapshotError::Decompress { .. } => Some("unpack the package of this file again into the root"),
            SnapshotError::Read { .. } | SnapshotError::Packages(_) => None,
        }
    }
}

impl Trace {
    /// What stays when forbidden paths and all that only they lead to are gone, sorted.
    pub fn kept(&self) -> Vec<RootPath> {
        kept(&self.graph, &self.forbidden)
    }

    /// Describes every kept path. Files are read once, on all threads.
    ///
    /// # Errors
    /// [`SnapshotError`] with the path that cannot be read.
    pub fn manifest(&self, root: &Root, rules: &RuleSet) -> Result<Manifest, SnapshotError> {
        let kept = self.kept();
        let packages = Packages::load(root).map_err(SnapshotError::Packages)?;
        let names: HashSet<&RootPath> = kept.iter().collect();
        let look_up = |path| (!self.items.contains_key(path)).then(|| root.lookup_nofollow(path)).transpose();
        let found: Vec<Option<Found>> = kept.par_iter().map(look_up).collect::<Result<_, LookupError>>()?;
        let first_names = first_names(&found);
        let described: Result<Vec<(Entry, Vec<Omission>)>, SnapshotError> = kept
            .par_iter()
            .zip(&found)
            .map_init(
                || vec![0; CHUNK],
                |buffer, (path, found)| {
                    let (mut entry, suspects) = match found {
                        Some(found) => describe_file(root, found, first_names.get(path), buffer)?,
                        None => (self.describe_item(root, path)?, BTreeSet::new()),
                    };
                    entry.package = packages.owner(root, path).map(str::to_owned);
                    let reasons = self.graph.reasons(path).into_iter();
                    entry.reasons = reasons
                        .filter(|(from, _)| from.as_ref().is_none_or(|from| names.contains(from)))
                        .map(|(from, reason)| Because { from, reason })
                        .collect();
                    Ok((entry, suspected(root, path, suspects, &names)))
                },
            )
            .collect();
        let (entries, suspected): (Vec<Entry>, Vec<Vec<Omission>>) = described?.into_iter().unzip();
        let mut dropped = self.dropped.clone();
        // A library that the object may load is listed as such.
        let by_name = self.dropped.iter().filter(|omission| omission.reason.kind == Kind::Dlopen);
        let by_name: HashSet<_> = by_name.map(|omission| (&omission.from, &omission.to)).collect();
        let is_listed = |omission: &Omission| by_name.contains(&(&omission.from, &omission.to));
        dropped.extend(suspected.into_iter().flatten().filter(|omission| !is_listed(omission)));
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
            packed: None,
            entries,
            choices: self.choices.clone(),
            dropped: dropped.into_iter().collect(),
            unknown: self.unknown.iter().cloned().collect(),
            missing: self.missing.iter().cloned().collect(),
        })
    }

    /// The entry of a path that is not simply a file of the root, without package and reasons.
    fn describe_item(&self, root: &Root, path: &RootPath) -> Result<Entry, SnapshotError> {
        Ok(match &self.items[path] {
            Item::Generated(file) => {
                let content = Content::Generated {
                    size: file.bytes.len() as u64,
                    sha256: Sha256::digest(&file.bytes).into(),
                    bytes: Some(file.bytes.clone()),
                };
                made(path, content, file.mode)
            }
            Item::Directory => made(path, Content::Directory, 0o755),
            Item::Link { target } => made(path, Content::Symlink { target: target.clone() }, 0o777),
            Item::Unpacked(found) => {
                let entry = made(path, unpacked(root, found)?, found.info.mode);
                Entry { uid: found.info.uid, gid: found.info.gid, ..entry }
            }
        })
    }
}

/// [`Trace::kept`], of a trace that goes on.
pub(super) fn kept(graph: &Graph, forbidden: &BTreeMap<RootPath, String>) -> Vec<RootPath> {
    graph.reachable(|path| forbidden.contains_key(path))
}

fn made(path: &RootPath, content: Content, mode: u32) -> Entry {
    Entry {
        path: path.clone(),
        content,
        mode,
        uid: 0,
        gid: 0,
        xattrs: Vec::new(),
        package: None,
        packed: None,
        reasons: Vec::new(),
    }
}

/// The entry of a file of the root, without package and reasons, and the paths among its strings. `first` is the name
/// that it is a hard link to.
fn describe_file(
    root: &Root,
    found: &Found,
    first: Option<&RootPath>,
    buffer: &mut [u8],
) -> Result<(Entry, BTreeSet<Vec<u8>>), SnapshotError> {
    let (content, suspects) = match first {
        Some(first) => (Content::Hardlink { to: first.clone() }, BTreeSet::new()),
        None => content(root, found, buffer)?,
    };
    let xattrs = root.xattrs(found).map_err(|source| SnapshotError::Read { path: found.path.clone(), source })?;
    let entry = made(&found.path, content, found.info.mode);
    Ok((Entry { uid: found.info.uid, gid: found.info.gid, xattrs, ..entry }, suspects))
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
fn first_names(found: &[Option<Found>]) -> HashMap<RootPath, RootPath> {
    let mut inodes: HashMap<(u64, u64), &RootPath> = HashMap::new();
    let mut further = HashMap::new();
    for Found { path, info, .. } in found.iter().flatten() {
        if info.kind == FileKind::File && info.links > 1 {
            let first = *inodes.entry(info.inode).or_insert(path);
            if first != path {
                further.insert(path.clone(), first.clone());
            }
        }
    }
    further
}

/// What a file is, and the paths among its strings.
fn content(root: &Root, found: &Found, buffer: &mut [u8]) -> Result<(Content, BTreeSet<Vec<u8>>), SnapshotError> {
    let read_error = |source| SnapshotError::Read { path: found.path.clone(), source };
    let content = match found.info.kind {
        FileKind::File => {
            let read =
                root.open_file(found).and_then(|file| digest_of_file(file, found, buffer)).map_err(read_error)?;
            let content = Content::File { size: read.size, sha256: read.sha256, unpacked_from: None };
            return Ok((content, read.paths));
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
    };
    Ok((content, BTreeSet::new()))
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

/// How many bytes a compressed file has, decompressed.
pub(super) fn unpacked_size(root: &Root, found: &Found) -> Option<u64> {
    match unpacked(root, found).ok()? {
        Content::File { size, .. } => Some(size),
        _ => None,
    }
}

/// What one reading of a file gives.
struct Digested {
    size: u64,
    sha256: [u8; 32],
    /// Paths among the strings of an ELF object.
    paths: BTreeSet<Vec<u8>>,
}

fn digest_of_file(file: File, found: &Found, buffer: &mut [u8]) -> io::Result<Digested> {
    if found.info.size < LEAST_SPARSE_SIZE { digest(file, buffer) } else { digest(SparseFile::new(file), buffer) }
}

fn digest(mut file: impl Read, buffer: &mut [u8]) -> io::Result<Digested> {
    let mut hasher = Sha256::new();
    let mut size = 0;
    let mut strings: Option<PathStrings> = None;
    loop {
        match file.read(buffer) {
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
