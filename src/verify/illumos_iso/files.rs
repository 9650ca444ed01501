//! The files that a boot loader sees, by the names it asks for.
//!
//! Loaders take a path apart by themselves: empty components, as an empty variable leaves them, are nothing.

use super::super::iso::BootFile;
use crate::iso::{CD_SECTOR, IsoEntry, IsoImage, IsoKind, ReadError};
use std::collections::BTreeMap;

/// The largest text that is read; the real ones have some KB.
const MAX_TEXT: u64 = 1 << 20;

/// The regular files of an ISO 9660 volume.
pub(super) struct Files<'i> {
    image: &'i IsoImage,
    entries: BTreeMap<String, IsoEntry>,
}

impl<'i> Files<'i> {
    /// # Errors
    /// A damaged directory.
    pub(super) fn new(image: &'i IsoImage) -> Result<Files<'i>, ReadError> {
        let files = image.walk()?.into_iter().filter(|entry| entry.kind == IsoKind::File);
        Ok(Files { image, entries: files.map(|entry| (entry.path.to_string(), entry)).collect() })
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.entries.contains_key(&normal(path))
    }

    /// The beginning of a text file, as much as anything reads; `None` when it is not there or cannot be read.
    pub(super) fn text(&self, path: &str) -> Option<Vec<u8>> {
        let blob = self.open(path)?.blob;
        blob.slice(0, blob.len().min(MAX_TEXT))?.read().ok()
    }

    /// A file to load; `None` when it is not there or leads out of the image.
    pub(super) fn open(&self, path: &str) -> Option<BootFile> {
        let path = normal(path);
        let entry = self.entries.get(&path)?;
        let blob = self.image.content(entry).ok()?;
        Some(BootFile { path, blob, start: Some(u64::from(entry.sector) * CD_SECTOR) })
    }

    /// The paths of the files in a directory, sorted.
    pub(super) fn in_directory(&self, directory: &str) -> Vec<String> {
        let prefix = format!("{}/", normal(directory));
        let paths = self.entries.keys();
        let inside = |path: &&String| path.strip_prefix(&prefix).is_some_and(|name| !name.contains('/'));
        paths.filter(inside).cloned().collect()
    }

    /// The file that begins at a sector.
    pub(super) fn at_sector(&self, sector: u32) -> Option<&IsoEntry> {
        // An empty file lies anywhere.
        self.entries.values().find(|entry| entry.sector == sector && entry.size > 0)
    }

    /// Where files of the path's name are, in words for a hint.
    pub(super) fn elsewhere(&self, path: &str) -> String {
        let name = path.rsplit('/').next().unwrap_or_default();
        match &self.named(name)[..] {
            [] => format!("no file of the ISO is named `{name}`"),
            others => format!("the ISO has `{}`", others.join("`, `")),
        }
    }

    /// Files of the name, for hints.
    pub(super) fn named(&self, name: &str) -> Vec<&str> {
        let suffix = format!("/{name}");
        self.entries.keys().filter(|path| path.ends_with(&suffix)).map(String::as_str).collect()
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
