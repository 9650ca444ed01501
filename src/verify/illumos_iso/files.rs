//! The files that a boot loader sees, by the names it asks for.
//!
//! Loaders take a path apart by themselves: empty components, as an empty variable leaves them, are nothing.

use super::super::iso::BootFile;
use crate::iso::{Blob, CD_SECTOR, IsoEntry, IsoImage, IsoKind, ReadError};
use crate::path::RootPath;
use crate::root::{FileKind, Found, Root};
use std::collections::BTreeMap;
use std::io;

/// The largest text that is read; the real ones have some KB.
const MAX_TEXT: u64 = 1 << 20;

/// The regular files of a medium.
pub(super) struct Files<'i> {
    source: Source<'i>,
    paths: BTreeMap<String, Place>,
}

enum Source<'i> {
    Iso(&'i IsoImage),
    Tree(&'i Root),
}

/// Where a file is.
enum Place {
    Iso(IsoEntry),
    Tree(Found),
}

impl<'i> Files<'i> {
    /// The files of an ISO 9660 volume.
    ///
    /// # Errors
    /// A damaged directory.
    pub(super) fn of_iso(image: &'i IsoImage) -> Result<Files<'i>, ReadError> {
        let files = image.walk()?.into_iter().filter(|entry| entry.kind == IsoKind::File);
        let paths = files.map(|entry| (entry.path.to_string(), Place::Iso(entry))).collect();
        Ok(Files { source: Source::Iso(image), paths })
    }

    /// The files that a server gives from a directory; symlinks in it lead to no file outside.
    ///
    /// # Errors
    /// What cannot be read.
    pub(super) fn of_tree(tree: &'i Root) -> io::Result<Files<'i>> {
        let mut paths = BTreeMap::new();
        for found in tree.walk(&RootPath::root()) {
            let found = found.map_err(io::Error::other)?;
            let name = found.path.to_string();
            let file = if found.info.kind == FileKind::Symlink { tree.lookup(&found.path).ok() } else { Some(found) };
            if let Some(file) = file.filter(|file| file.info.kind == FileKind::File) {
                paths.insert(name, Place::Tree(file));
            }
        }
        Ok(Files { source: Source::Tree(tree), paths })
    }

    /// What the files are on, in words.
    pub(super) fn medium(&self) -> &'static str {
        match self.source {
            Source::Iso(_) => "the ISO",
            Source::Tree(_) => "the server",
        }
    }

    /// Whether the files come over the network, where no directory can be listed.
    pub(super) fn is_network(&self) -> bool {
        matches!(self.source, Source::Tree(_))
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.paths.contains_key(&normal(path))
    }

    /// The beginning of a text file, as much as anything reads; `None` when it is not there or cannot be read.
    pub(super) fn text(&self, path: &str) -> Option<Vec<u8>> {
        let blob = self.open(path)?.blob;
        blob.slice(0, blob.len().min(MAX_TEXT))?.read().ok()
    }

    /// A file to load; `None` when it is not there, leads out of the image, or cannot be read.
    pub(super) fn open(&self, path: &str) -> Option<BootFile> {
        let path = normal(path);
        match (self.paths.get(&path)?, &self.source) {
            (Place::Iso(entry), Source::Iso(image)) => {
                let blob = image.content(entry).ok()?;
                Some(BootFile { path, blob, start: Some(u64::from(entry.sector) * CD_SECTOR) })
            }
            (Place::Tree(found), Source::Tree(tree)) => {
                let name = tree.host().join(&path[1..]);
                let blob = Blob::from_file(tree.open_file(found).ok()?, &name).ok()?;
                Some(BootFile { path, blob, start: None })
            }
            _ => None,
        }
    }

    /// The paths of the files in a directory, sorted.
    pub(super) fn in_directory(&self, directory: &str) -> Vec<String> {
        let prefix = format!("{}/", normal(directory));
        let paths = self.paths.keys();
        let inside = |path: &&String| path.strip_prefix(&prefix).is_some_and(|name| !name.contains('/'));
        paths.filter(inside).cloned().collect()
    }

    /// The file of an ISO that begins at a sector.
    pub(super) fn at_sector(&self, sector: u32) -> Option<&IsoEntry> {
        // An empty file lies anywhere.
        let entries = self.paths.values().filter_map(|place| match place {
            Place::Iso(entry) => Some(entry),
            Place::Tree(_) => None,
        });
        entries.into_iter().find(|entry| entry.sector == sector && entry.size > 0)
    }

    /// Where files of the path's name are, in words for a hint.
    pub(super) fn elsewhere(&self, path: &str) -> String {
        let name = path.rsplit('/').next().unwrap_or_default();
        match &self.named(name)[..] {
            [] => format!("no file of {} is named `{name}`", self.medium()),
            others => format!("{} has `{}`", self.medium(), others.join("`, `")),
        }
    }

    /// Files of the name, for hints.
    pub(super) fn named(&self, name: &str) -> Vec<&str> {
        let suffix = format!("/{name}");
        self.paths.keys().filter(|path| path.ends_with(&suffix)).map(String::as_str).collect()
    }
}

/// A path of GRUB without the device in front, as in `(cd)/boot`.
pub(super) fn without_device(path: &str) -> &str {
    path.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(path, |(_, path)| path)
}

/// A path without empty components and `.`.
pub(super) fn normal(path: &str) -> String {
    let components = path.split('/').filter(|component| !matches!(*component, "" | "."));
    components.fold(String::new(), |path, component| path + "/" + component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_in_front_of_a_path_is_left_out() {
        assert_eq!(without_device("(cd)/a"), "/a");
        assert_eq!(without_device("/a"), "/a");
        assert_eq!(without_device("(cd"), "(cd");
    }
}
