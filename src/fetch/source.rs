//! What a package source is, told by its content and not by its name, and which of its packages are wanted.

use super::archive::invalid;
use super::error::{BEGINNING, CONTENTS, FetchError};
use super::member::Package;
use super::names::nearest;
use super::{ips, store, svr4, unpack};
use crate::packages::names::is_named;
use crate::recipe;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where the first block of a tar archive says that it is one (POSIX.1-2017, pax, "ustar Interchange Format").
const USTAR: std::ops::Range<usize> = 257..262;

/// Which packages of the sources are wanted, and which parts of them.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    names: Vec<String>,
    facets: BTreeMap<String, bool>,
}

/// What became of one source.
#[derive(Debug, Default)]
pub struct Staged {
    /// Those that are wanted.
    pub packages: Vec<Package>,
    /// The names of all, wanted or not.
    pub names: Vec<String>,
}

enum Kind {
    Debian,
    Svr4(svr4::Form),
    Ips(ips::Form),
}

impl Selection {
    /// What a recipe selects; everything for packages that were asked of apt.
    pub fn new(source: &recipe::Source) -> Selection {
        if source.packages.is_empty() {
            return Selection::default();
        }
        Selection { names: source.select.clone(), facets: source.facets.clone() }
    }

    /// Whether a package is to be unpacked.
    pub fn wants(&self, package: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| is_named(package, wanted))
    }

    /// What the recipe says about a facet, given without `facet.`; the most specific name counts. `true` if it is silent.
    pub fn facet(&self, facet: &str) -> bool {
        let mut name = facet;
        loop {
            if let Some(&on) = self.facets.get(name) {
                return on;
            }
            match name.rsplit_once('.') {
                Some((front, _)) => name = front,
                None => return true,
            }
        }
    }

    /// Checks that everything selected is there, given the names of all packages.
    ///
    /// # Errors
    /// [`FetchError::NotSelected`].
    pub fn check_found<'n>(&self, names: impl Iterator<Item = &'n String> + Clone) -> Result<(), FetchError> {
        let missing: Vec<String> =
            self.names.iter().filter(|wanted| !names.clone().any(|name| is_named(name, wanted))).cloned().collect();
        match missing.first() {
            None => Ok(()),
            Some(first) => {
                let nearest = nearest(first, names.map(String::as_str));
                Err(FetchError::NotSelected { names: missing, nearest })
            }
        }
    }

    /// The same text for the same selection.
    pub fn text(&self) -> String {
        format!("{:?} {:?}", self.names, self.facets)
    }
}

/// Unpacks the wanted packages of a source into `directory`, which does not exist yet.
///
/// # Errors
/// [`FetchError`] of reading the source, refusing a member, or writing.
pub fn stage(
    path: &Path,
    digest: Option<String>,
    selection: &Selection,
    directory: &Path,
) -> Result<Staged, FetchError> {
    let digest = || match digest.clone() {
        Some(known) => Ok(known),
        None => store::file_digest(path).map_err(|source| FetchError::Read { path: path.to_owned(), source }),
    };
    match kind(path)? {
        Kind::Debian => {
            let package = unpack::stage(path, digest()?, directory)?;
            let names = vec![package.name.clone()];
            Ok(Staged { packages: selection.wants(&package.name).then_some(package).into_iter().collect(), names })
        }
        Kind::Svr4(form) => svr4::stage(path, form, selection, directory),
        Kind::Ips(form) => ips::stage(path, form, selection, directory),
    }
}

/// Whether a directory is a source of packages.
pub fn is_package_directory(path: &Path) -> bool {
    path.is_dir() && directory_kind(path).is_some()
}

/// Passes on what changes when a source does: size, inode and time of the file, or of every file of the directory.
pub fn identify(path: &Path, add: &mut impl FnMut(&[u8])) {
    let Ok(facts) = path.metadata() else { return };
    add(format!("{} {} {} {}", facts.size(), facts.ino(), facts.mtime(), facts.mtime_nsec()).as_bytes());
    if facts.is_dir() {
        for file in files_below(path) {
            add(file.as_os_str().as_encoded_bytes());
            if let Ok(m) = file.symlink_metadata() {
                add(format!("{} {} {} {}", m.size(), m.ino(), m.mtime(), m.mtime_nsec()).as_bytes());
            }
        }
    }
}

/// Everything below a directory that is no directory, sorted; symlinks are not followed, and what cannot be read is
/// left out.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_directory { &mut pending } else { &mut files }.push(entry.path());
        }
    }
    files.sort();
    files
}

fn kind(path: &Path) -> Result<Kind, FetchError> {
    let read = |source| FetchError::Read { path: path.to_owned(), source };
    if path.is_dir() {
        return directory_kind(path).ok_or_else(|| unknown(path));
    }
    let mut block = Vec::new();
    File::open(path).map_err(read)?.take(512).read_to_end(&mut block).map_err(read)?;
    if block.starts_with(svr4::DATASTREAM) {
        Ok(Kind::Svr4(svr4::Form::Datastream))
    } else if block.starts_with(b"PK\x03\x04") {
        Ok(Kind::Svr4(svr4::Form::Zap))
    } else if block.get(USTAR) == Some(b"ustar") {
        Ok(Kind::Ips(ips::Form::Archive))
    } else if block.starts_with(b"!<arch>") {
        Ok(Kind::Debian)
    } else {
        Err(unknown(path))
    }
}

/// What no kind of package is like.
pub fn unknown(path: &Path) -> FetchError {
    let part = if path.is_dir() { CONTENTS } else { BEGINNING }.to_owned();
    FetchError::Damaged { path: path.to_owned(), part, source: invalid("it is that of no Debian, SVR4 or IPS package") }
}

fn directory_kind(path: &Path) -> Option<Kind> {
    if svr4::is_package(path) || std::fs::read_dir(path).ok()?.flatten().any(|entry| svr4::is_package(&entry.path())) {
        Some(Kind::Svr4(svr4::Form::Directory))
    } else if path.join("pkg5.repository").is_file() {
        Some(Kind::Ips(ips::Form::Repository))
    } else if path.join("var/pkg/publisher").is_dir() {
        Some(Kind::Ips(ips::Form::Image))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_facet_counts() {
        let facets = [("doc".to_owned(), false), ("doc.man".to_owned(), true)].into();
        let selection = Selection { names: Vec::new(), facets };
        for (facet, on) in [("doc", false), ("doc.info", false), ("doc.man", true), ("devel", true), ("document", true)]
        {
            assert_eq!(selection.facet(facet), on, "{facet}");
        }
    }

    #[test]
    fn a_selected_package_that_is_nowhere_is_an_error_with_the_nearest_name() {
        let selection = Selection { names: vec!["system/libary".to_owned()], facets: BTreeMap::new() };
        let names = ["system/library".to_owned(), "SUNWcs".to_owned()];
        let error = selection.check_found(names.iter()).unwrap_err();
        assert_eq!(error.to_string(), "the package sources have no package `system/libary`");
        assert_eq!(error.hint().unwrap(), "did you mean `system/library`?");
    }
}
