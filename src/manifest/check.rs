//! What must hold for every manifest, whoever made it: the order, the parents, the hard links, the reasons.
//!
//! A packer creates the entries top to bottom without looking back, so an entry below a symlink or before its
//! directory would be written to the wrong place. The reader of [`super::json`] refuses such a manifest.

use super::{Choice, Content, Entry, Manifest};
use crate::path::{RootPath, parent_bytes};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// The first thing that is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    #[error("`targets[{index}]`, `{path}`, is not after the one before it")]
    TargetOrder { index: usize, path: RootPath },
    #[error("`entries[{index}]`, `{path}`, is wrong")]
    Entry { index: usize, path: RootPath, source: EntryError },
    #[error("`packed` is not the sum of what its files and its overhead take: {bytes} bytes, and the sum is {sum}")]
    Packed { bytes: u64, sum: u64 },
    #[error("`choices[{index}]` has not one `chosen` alternative")]
    Choice { index: usize },
}

/// What is wrong with one entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    #[error("`path` is there twice")]
    Duplicate,
    #[error("`path` sorts before the entry above it")]
    Order,
    #[error("`path` has a parent that is not an entry before it")]
    NoParent,
    #[error("`path` has a parent that is not a directory")]
    ParentKind,
    #[error("`type` of the root is not a directory")]
    RootKind,
    #[error("`mode` has more than the permission bits: {0:o}")]
    Mode(u32),
    #[error("`xattrs` are not sorted by name, each name once")]
    XattrOrder,
    #[error("`reasons` is empty")]
    NoReason,
    #[error("`reasons` are not sorted")]
    ReasonOrder,
    #[error("`size` is {size}, and the content has {actual} bytes")]
    Size { size: u64, actual: u64 },
    #[error("`sha256` is not the digest of the content")]
    Digest,
    #[error("`packed` is not there, and the manifest has sizes of an archive")]
    NotMeasured,
    #[error("`packed` is there, and the entry has no content in an archive that was measured")]
    Measured,
    #[error("`target` is empty or has a NUL byte")]
    LinkTarget,
    #[error("`to` is `{0}`, which is not a file before this entry")]
    HardLink(RootPath),
}

/// Looks for anything that makes the manifest unfit for packing.
///
/// # Errors
/// The first [`CheckError`] from the top.
pub fn check(manifest: &Manifest) -> Result<(), CheckError> {
    if let Some(index) = first_unsorted(&manifest.targets) {
        return Err(CheckError::TargetOrder { index, path: manifest.targets[index].clone() });
    }
    let first = manifest.entries.par_iter().enumerate().find_map_first(|(index, entry)| {
        let (before, _) = manifest.entries.split_at(index);
        let source = check_entry(before, entry).and_then(|()| check_packed(manifest, entry)).err()?;
        Some(CheckError::Entry { index, path: entry.path.clone(), source })
    });
    first.map_or(Ok(()), Err)?;
    check_packed_sum(manifest)?;
    let has_one_chosen = |choice: &Choice| choice.others().count() + 1 == choice.alternatives.len();
    match manifest.choices.iter().position(|choice| !has_one_chosen(choice)) {
        Some(index) => Err(CheckError::Choice { index }),
        None => Ok(()),
    }
}

fn check_entry(before: &[Entry], entry: &Entry) -> Result<(), EntryError> {
    check_order(before, entry)?;
    check_parent(before, entry)?;
    check_attributes(entry)?;
    check_content(before, entry)
}

fn check_packed(manifest: &Manifest, entry: &Entry) -> Result<(), EntryError> {
    match (manifest.packed.is_some() && entry.is_file(), entry.packed) {
        (true, None) => Err(EntryError::NotMeasured),
        (false, Some(_)) => Err(EntryError::Measured),
        _ => Ok(()),
    }
}

fn check_packed_sum(manifest: &Manifest) -> Result<(), CheckError> {
    let Some(packed) = &manifest.packed else { return Ok(()) };
    let files = manifest.entries.iter().filter_map(|entry| entry.packed);
    let sum = files.fold(packed.overhead, u64::saturating_add);
    if sum == packed.bytes { Ok(()) } else { Err(CheckError::Packed { bytes: packed.bytes, sum }) }
}

fn check_order(before: &[Entry], entry: &Entry) -> Result<(), EntryError> {
    match before.last().map(|last| last.path.cmp(&entry.path)) {
        Some(std::cmp::Ordering::Equal) => Err(EntryError::Duplicate),
        Some(std::cmp::Ordering::Greater) => Err(EntryError::Order),
        _ => Ok(()),
    }
}

fn check_parent(before: &[Entry], entry: &Entry) -> Result<(), EntryError> {
    if entry.path.is_root() {
        return if entry.content == Content::Directory { Ok(()) } else { Err(EntryError::RootKind) };
    }
    let parent = parent_bytes(entry.path.as_bytes());
    // Neighbours mostly share their parent, and an error of the one before is reported first.
    if before.last().is_some_and(|last| parent_bytes(last.path.as_bytes()) == parent) {
        return Ok(());
    }
    match find(before, parent) {
        Some(Entry { content: Content::Directory, .. }) => Ok(()),
        Some(_) => Err(EntryError::ParentKind),
        None if parent == b"/" => Ok(()),
        None => Err(EntryError::NoParent),
    }
}

fn check_attributes(entry: &Entry) -> Result<(), EntryError> {
    if entry.mode > 0o7777 {
        return Err(EntryError::Mode(entry.mode));
    }
    if !entry.xattrs.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(EntryError::XattrOrder);
    }
    if entry.reasons.is_empty() {
        return Err(EntryError::NoReason);
    }
    if !entry.reasons.is_sorted() {
        return Err(EntryError::ReasonOrder);
    }
    Ok(())
}

fn check_content(before: &[Entry], entry: &Entry) -> Result<(), EntryError> {
    match &entry.content {
        Content::Generated { size, sha256, bytes: Some(bytes) } => {
            let actual = bytes.len() as u64;
            if *size != actual {
                return Err(EntryError::Size { size: *size, actual });
            }
            if <[u8; 32]>::from(Sha256::digest(bytes)) != *sha256 {
                return Err(EntryError::Digest);
            }
        }
        Content::Symlink { target } if target.is_empty() || target.contains(&0) => {
            return Err(EntryError::LinkTarget);
        }
        Content::Hardlink { to } => match find(before, to.as_bytes()) {
            Some(Entry { content: Content::File { .. } | Content::Generated { .. }, .. }) => {}
            _ => return Err(EntryError::HardLink(to.clone())),
        },
        _ => {}
    }
    Ok(())
}

fn find<'m>(sorted: &'m [Entry], path: &[u8]) -> Option<&'m Entry> {
    sorted.binary_search_by(|entry| entry.path.as_bytes().cmp(path)).ok().map(|index| &sorted[index])
}

fn first_unsorted(paths: &[RootPath]) -> Option<usize> {
    paths.windows(2).position(|pair| pair[0] >= pair[1]).map(|index| index + 1)
}
