//! The roots in the cache: making one from package files, and finding one that is complete.

use super::error::FetchError;
use super::member::{Delivery, Member, MemberKind, Package};
use super::source::{self, Selection};
use super::tree::{self, Place};
use super::{Fetched, FetchedPackage, Progress, Step, debian, dpkg, illumos, unpack};
use crate::modules::ModuleIndex;
use crate::modules::depmod::{self, FileNames};
use crate::path::RootPath;
use crate::root::{METADATA_PATH, Root};
use crate::text::hex;
use rayon::prelude::*;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const LOCK_LIST: &str = "fetched.json";

const WORK_PREFIX: &str = ".unpack-";

/// The content of `fetched.json`.
#[derive(Serialize, Deserialize)]
struct LockList {
    format: u32,
    packages: Vec<FetchedPackage>,
    module_directories: Vec<String>,
    notes: Vec<String>,
}

impl LockList {
    fn describe(self, place: &Path) -> Fetched {
        Fetched {
            root: place.join("root"),
            downloaded: 0,
            reused: true,
            packages: self.packages,
            module_directories: self.module_directories.iter().filter_map(|path| RootPath::new(path).ok()).collect(),
            notes: self.notes,
        }
    }
}

/// The root in `place`, when it is complete: `place` gets its name last of all.
pub fn finished(place: &Path) -> Option<Fetched> {
    let list: LockList = serde_json::from_slice(&std::fs::read(place.join(LOCK_LIST)).ok()?).ok()?;
    Some(list.describe(place))
}

/// Waits until no other process fetches into this cache.
///
/// # Errors
/// [`FetchError::Write`] when the cache cannot be made or locked.
pub fn lock(cache: &Path) -> Result<File, FetchError> {
    let path = cache.join("lock");
    let failed = |source| FetchError::Write { path: path.clone(), source };
    std::fs::create_dir_all(cache.join("roots")).map_err(failed)?;
    let file = File::create(&path).map_err(failed)?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
    Ok(file)
}

/// Unpacks what is selected of package files, with their digests where known, beside `place` and renames the result to
/// it.
///
/// # Errors
/// [`FetchError`] of reading, refusing, placing or writing; `place` is then as it was.
pub fn make_root(
    files: &[(PathBuf, Option<String>)],
    selection: &Selection,
    place: &Path,
    progress: &dyn Progress,
) -> Result<Fetched, FetchError> {
    let roots = place.parent().expect("below the cache");
    let failed = |path: &Path, source| FetchError::Write { path: path.to_owned(), source };
    remove_abandoned(roots);
    let work = tempfile::Builder::new().prefix(WORK_PREFIX).tempdir_in(roots).map_err(|e| failed(roots, e))?;
    let (stage, done) = (work.path().join("stage"), work.path().join("done"));
    let root = done.join("root");
    for directory in [&stage, &done, &root] {
        std::fs::create_dir(directory).map_err(|e| failed(directory, e))?;
    }
    let mut packages = stage_all(files, selection, &stage, progress)?;
    let mut members = illumos::complete(&mut packages)?;
    let notes = debian::complete(&mut packages)?;
    members.extend(dpkg::additions(&packages));
    members.push(Member::generated(RootPath::new(METADATA_PATH).expect("a constant"), ""));
    packages.push(Package { name: "minroot".to_owned(), replaces: Vec::new(), members, delivery: None });
    let places = tree::plan(&packages)?;
    unpack::materialize(&packages, &places, &root)?;
    let list = lock_list(&packages, &places, notes);
    for directory in &list.module_directories {
        index_modules(&root, directory)?;
    }
    let text = serde_json::to_string_pretty(&list).expect("strings and numbers only") + "\n";
    let path = done.join(LOCK_LIST);
    File::create(&path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(|e| failed(&path, e))?;
    if place.exists() {
        // A process that still reads the old root keeps its open files; it goes away with `work`.
        std::fs::rename(place, work.path().join("old")).map_err(|e| failed(place, e))?;
    }
    std::fs::rename(&done, place).map_err(|e| failed(place, e))?;
    Ok(list.describe(place))
}

/// Does what the kernel package's script leaves to depmod(8): without its indexes every trace would read all modules.
fn index_modules(root: &Path, directory: &str) -> Result<(), FetchError> {
    let failed = |path: &Path, source| FetchError::Write { path: path.to_owned(), source };
    let directory = RootPath::new(directory).map_err(|error| failed(root, io::Error::other(error)))?;
    let opened = Root::open(root).map_err(|error| failed(root, error))?;
    let index = ModuleIndex::compute(&opened, &directory).map_err(|error| failed(root, io::Error::other(error)))?;
    let files =
        depmod::write(&index, |_| true, FileNames::AsInRoot).map_err(|error| failed(root, io::Error::other(error)))?;
    let host = root.join(OsStr::from_bytes(index.directory().relative()));
    for (name, bytes) in files {
        let path = host.join(name);
        std::fs::write(&path, bytes).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// Removes what a run that was killed left behind. The lock is held, so nobody works there.
fn remove_abandoned(roots: &Path) {
    let Ok(entries) = std::fs::read_dir(roots) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(WORK_PREFIX)) {
        // What cannot be removed is only untidy.
        let _ = std::fs::remove_dir_all(entry.path());
    }
}

/// Unpacks all packages into the staging directory, at once; base-files first, then by name, whatever the order given.
fn stage_all(
    files: &[(PathBuf, Option<String>)],
    selection: &Selection,
    stage: &Path,
    progress: &dyn Progress,
) -> Result<Vec<Package>, FetchError> {
    let size = |path: &Path| path.metadata().map_or(0, |m| m.len());
    progress.begin(Step::Unpack, files.iter().map(|(path, _)| size(path)).sum());
    // The largest first, or one thread unpacks the kernel while the others are done.
    let mut jobs: Vec<_> = files.iter().enumerate().collect();
    jobs.sort_by_key(|(index, (path, _))| (std::cmp::Reverse(size(path)), *index));
    let done = AtomicU64::new(0);
    let results: Mutex<Vec<(usize, Result<source::Staged, FetchError>)>> = Mutex::default();
    jobs.par_iter().with_max_len(1).for_each(|(index, (path, digest))| {
        let staged = source::stage(path, digest.clone(), selection, &stage.join(index.to_string()));
        results.lock().expect("no panic while held").push((*index, staged));
        progress.advance_to(done.fetch_add(size(path), Ordering::Relaxed) + size(path));
    });
    let mut results = results.into_inner().expect("no panic while held");
    // The error that is reported must not depend on which thread was first.
    results.sort_by_key(|(index, _)| *index);
    let staged = results.into_iter().map(|(_, staged)| staged).collect::<Result<Vec<_>, _>>()?;
    selection.check_found(staged.iter().flat_map(|staged| &staged.names))?;
    let mut packages: Vec<_> = staged.into_iter().flat_map(|staged| staged.packages).collect();
    let key = |package: &Package| {
        let version = |d: &Delivery| (d.architecture.clone(), d.version.clone());
        (package.name != "base-files", package.name.clone(), package.delivery.as_ref().map(version))
    };
    packages.sort_by_cached_key(key);
    for pair in packages.windows(2) {
        if let [Package { name, delivery: Some(a), .. }, Package { name: other, delivery: Some(b), .. }] = pair
            && name == other
            && a.architecture == b.architecture
        {
            return Err(FetchError::TwoVersions {
                package: name.clone(),
                first: a.file.display().to_string(),
                second: b.file.display().to_string(),
            });
        }
    }
    Ok(packages)
}

fn lock_list(packages: &[Package], places: &[Place<'_>], mut notes: Vec<String>) -> LockList {
    let deliveries = || packages.iter().filter_map(|package| Some((package, package.delivery.as_ref()?)));
    let line = |(package, delivery): (&Package, &Delivery)| FetchedPackage {
        package: package.name.clone(),
        version: delivery.version.clone(),
        architecture: delivery.architecture.clone(),
        file: delivery.file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        sha256: delivery.sha256.clone(),
    };
    let mut lines: Vec<_> = deliveries().map(line).collect();
    lines.sort_by(|a, b| (&a.package, &a.architecture).cmp(&(&b.package, &b.architecture)));
    let holds_modules = |place: &&Place<'_>| {
        let is_directory = place.member.is_none_or(|m| matches!(m.kind, MemberKind::Directory));
        let parent = place.path.parent();
        is_directory && parent.is_some_and(|p| matches!(p.as_bytes(), b"/lib/modules" | b"/usr/lib/modules"))
    };
    let mut module_directories: Vec<_> = places
        .iter()
        .filter(holds_modules)
        .map(|place| String::from_utf8_lossy(place.path.as_bytes()).into_owned())
        .collect();
    module_directories.sort();
    notes.extend(deliveries().flat_map(|(_, delivery)| delivery.notes.clone()));
    notes.sort();
    LockList { format: 1, packages: lines, module_directories, notes }
}

/// SHA-256 of a file, in lower-case hexadecimal.
///
/// # Errors
/// When it cannot be read.
pub fn file_digest(path: &Path) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    let mut file = File::open(path)?;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&digest.finalize())),
            n => digest.update(&buffer[..n]),
        }
    }
}
