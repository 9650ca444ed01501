//! Turns the `[source]` of a recipe into a root directory: names or files of Debian packages in, an unpacked tree out.
//!
//! Nothing is installed on this machine and no script of a package runs; what such scripts would have made is
//! reported. A root stays in the cache under a key made from what was asked for, so the second run
//! finds it there and starts nothing:
//!
//! ```text
//! CACHE/lock                    held while something is fetched
//! CACHE/archives/*.deb          what apt downloaded
//! CACHE/apt/ARCH/               apt's state, one for each architecture
//! CACHE/roots/KEY/root/         an unpacked root
//! CACHE/roots/KEY/fetched.json  the packages in it, with their exact versions and digests
//! ```

mod apt;
mod archive;
mod control;
mod deb;
mod dpkg;
mod error;
mod member;
mod names;
mod tree;
mod unpack;

pub use error::{FetchError, Refusal};

use crate::path::RootPath;
use crate::recipe::Source;
use apt::Apt;
use member::{MemberKind, Package};
use rayon::prelude::*;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tree::Place;

/// Part of every key: roots made by another layout are not reused.
const LAYOUT: &str = "minroot root 1";

const LOCK_LIST: &str = "fetched.json";

const WORK_PREFIX: &str = ".unpack-";

/// How to fetch.
pub struct Options<'a> {
    /// The directory that keeps archives and roots; made when it is not there. [`default_cache`] is the usual one.
    pub cache: PathBuf,
    /// In Debian's words, such as `arm64`; that of this machine when `None`.
    pub architecture: Option<String>,
    /// Ask the repositories again even if a finished root is there.
    pub refresh: bool,
    /// The apt-get to run; a bare name is looked for on the PATH.
    pub apt_get: PathBuf,
    pub progress: &'a dyn Progress,
}

impl Options<'_> {
    /// The usual options with a given cache, without progress reports.
    pub fn new(cache: PathBuf) -> Options<'static> {
        Options { cache, architecture: None, refresh: false, apt_get: "apt-get".into(), progress: &Silent }
    }
}

/// What a long fetch tells its caller. Calls may come from any thread.
pub trait Progress: Sync {
    /// A step begins. `total` is what [`Progress::advance_to`] ends at, in units of the step; 0 when that is unknown.
    fn begin(&self, step: Step, total: u64);
    /// So much of the step is done.
    fn advance_to(&self, done: u64);
}

/// The steps of a fetch, in order; some are left out when there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Package lists are fetched; in percent.
    Update,
    /// Names become a list of packages; total unknown.
    Resolve,
    /// Archives are downloaded; in percent.
    Download,
    /// Packages are unpacked; in bytes of package files.
    Unpack,
}

struct Silent;

impl Progress for Silent {
    fn begin(&self, _: Step, _: u64) {}
    fn advance_to(&self, _: u64) {}
}

/// A root that is ready for tracing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub root: PathBuf,
    /// How many packages were downloaded by this call.
    pub downloaded: usize,
    /// The root was there already.
    pub reused: bool,
    /// The packages in it, sorted by name; empty for a root given by path.
    pub packages: Vec<FetchedPackage>,
    /// Directories of kernel modules, `/usr/lib/modules/VERSION`: they have no `modules.dep`, which depmod would
    /// have made.
    pub module_directories: Vec<RootPath>,
    /// What the user should know: scripts that did not run, attributes that could not be kept.
    pub notes: Vec<String>,
}

/// One line of the lock list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedPackage {
    pub package: String,
    pub version: String,
    pub architecture: String,
    /// Name of the package file, without its directory.
    pub file: String,
    /// Of the package file, in lower-case hexadecimal.
    pub sha256: String,
}

/// The content of `fetched.json`.
#[derive(Serialize, Deserialize)]
struct LockList {
    format: u32,
    packages: Vec<FetchedPackage>,
    module_directories: Vec<String>,
    notes: Vec<String>,
}

/// `$XDG_CACHE_HOME/minroot`, else `~/.cache/minroot`; `None` when neither variable is an absolute path.
pub fn default_cache() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(base.join("minroot"))
}

/// Fills a root from the packages that `source` names, or finds the one that is there; a root given by path is
/// returned as it is.
///
/// # Errors
/// [`FetchError`]; its [`FetchError::hint`] says what to do.
pub fn fetch(source: &Source, options: &Options<'_>) -> Result<Fetched, FetchError> {
    if let Some(root) = &source.root {
        return Ok(Fetched {
            root: root.clone(),
            downloaded: 0,
            reused: true,
            packages: Vec::new(),
            module_directories: Vec::new(),
            notes: Vec::new(),
        });
    }
    let architecture = options.architecture.as_deref().unwrap_or(host_architecture());
    let wanted = Wanted::new(source, architecture)?;
    // Absolute, because apt is started in another directory.
    let cache = std::path::absolute(&options.cache)
        .map_err(|source| FetchError::Write { path: options.cache.clone(), source })?;
    let place = cache.join("roots").join(wanted.key());
    if !options.refresh
        && let Some(fetched) = finished(&place)
    {
        return Ok(fetched);
    }
    let _lock = lock(&cache)?;
    // Another process may have made it while this one waited.
    if !options.refresh
        && let Some(fetched) = finished(&place)
    {
        return Ok(fetched);
    }
    let mut notes = Vec::new();
    let (files, downloaded) = match &wanted {
        Wanted::Apt { names, .. } => {
            let mut apt = Apt::open(&options.apt_get, &cache, architecture, options.progress)?;
            let archives = apt.resolve(names, options.refresh)?;
            let downloaded = apt.download(names, &archives)?;
            notes = apt.notes;
            (archives.into_iter().map(|archive| (archive.path, Some(archive.sha256))).collect(), downloaded)
        }
        Wanted::Files(files) => (files.iter().map(|file| (file.clone(), None)).collect(), 0),
    };
    make_root(files, &place, notes, options.progress)?;
    let fetched = finished(&place)
        .ok_or_else(|| FetchError::Read { path: place.join(LOCK_LIST), source: io::ErrorKind::InvalidData.into() })?;
    Ok(Fetched { downloaded, reused: false, ..fetched })
}

/// What the recipe asks for, checked.
enum Wanted {
    Apt { names: Vec<String>, architecture: String },
    Files(Vec<PathBuf>),
}

impl Wanted {
    fn new(source: &Source, architecture: &str) -> Result<Wanted, FetchError> {
        if !source.packages.is_empty() {
            return Ok(Wanted::Files(names::matching_files(&source.packages)?));
        }
        if source.apt.is_empty() {
            return Err(FetchError::NoSource);
        }
        for name in source.apt.iter().map(String::as_str).chain([architecture]) {
            apt::check_name(name)?;
        }
        let mut names = source.apt.clone();
        names.sort();
        names.dedup();
        Ok(Wanted::Apt { names, architecture: architecture.to_owned() })
    }

    /// Names the root: the same for the same packages from the same sources.
    fn key(&self) -> String {
        let mut digest = Sha256::new();
        let mut add = |text: &[u8]| {
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text);
        };
        add(LAYOUT.as_bytes());
        match self {
            Wanted::Apt { names, architecture } => {
                add(architecture.as_bytes());
                add(apt::sources_digest().as_bytes());
                names.iter().for_each(|name| add(name.as_bytes()));
            }
            // As make does: a file that was not touched is the same. Reading gigabytes again would take seconds.
            Wanted::Files(files) => {
                for file in files {
                    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.clone());
                    add(absolute.as_os_str().as_encoded_bytes());
                    if let Ok(m) = file.metadata() {
                        add(format!("{} {} {} {}", m.size(), m.ino(), m.mtime(), m.mtime_nsec()).as_bytes());
                    }
                }
            }
        }
        hex(&digest.finalize())[..32].to_owned()
    }
}

/// The root in `place`, when it is complete: `place` gets its name last of all.
fn finished(place: &Path) -> Option<Fetched> {
    let list: LockList = serde_json::from_slice(&std::fs::read(place.join(LOCK_LIST)).ok()?).ok()?;
    Some(Fetched {
        root: place.join("root"),
        downloaded: 0,
        reused: true,
        packages: list.packages,
        module_directories: list.module_directories.iter().filter_map(|path| RootPath::new(path).ok()).collect(),
        notes: list.notes,
    })
}

/// Waits until no other process fetches into this cache.
fn lock(cache: &Path) -> Result<File, FetchError> {
    let path = cache.join("lock");
    let failed = |source| FetchError::Write { path: path.clone(), source };
    std::fs::create_dir_all(cache.join("roots")).map_err(failed)?;
    let file = File::create(&path).map_err(failed)?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
    Ok(file)
}

/// Unpacks package files, with their digests where known, beside `place` and renames the result to it.
fn make_root(
    files: Vec<(PathBuf, Option<String>)>,
    place: &Path,
    mut notes: Vec<String>,
    progress: &dyn Progress,
) -> Result<(), FetchError> {
    let roots = place.parent().expect("below the cache");
    let failed = |path: &Path, source| FetchError::Write { path: path.to_owned(), source };
    remove_abandoned(roots);
    let work = tempfile::Builder::new().prefix(WORK_PREFIX).tempdir_in(roots).map_err(|e| failed(roots, e))?;
    let (stage, done) = (work.path().join("stage"), work.path().join("done"));
    let root = done.join("root");
    for directory in [&stage, &done, &root] {
        std::fs::create_dir(directory).map_err(|e| failed(directory, e))?;
    }
    let mut packages = stage_all(&files, &stage, progress)?;
    packages.push(dpkg::additions(&packages));
    let places = tree::plan(&packages)?;
    unpack::materialize(&packages, &places, &root)?;
    notes.extend(packages.iter().filter_map(|p| p.delivery.as_ref()).flat_map(|d| d.notes.clone()));
    notes.extend(dpkg::skipped_scripts(&packages));
    let list = lock_list(&packages, &places, notes);
    let text = serde_json::to_string_pretty(&list).expect("strings and numbers only") + "\n";
    let path = done.join(LOCK_LIST);
    File::create(&path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(|e| failed(&path, e))?;
    if place.exists() {
        // A process that still reads the old root keeps its open files; it goes away with `work`.
        std::fs::rename(place, work.path().join("old")).map_err(|e| failed(place, e))?;
    }
    std::fs::rename(&done, place).map_err(|e| failed(place, e))
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
    stage: &Path,
    progress: &dyn Progress,
) -> Result<Vec<Package>, FetchError> {
    let size = |path: &Path| path.metadata().map_or(0, |m| m.len());
    progress.begin(Step::Unpack, files.iter().map(|(path, _)| size(path)).sum());
    // The largest first, or one thread unpacks the kernel while the others are done.
    let mut jobs: Vec<_> = files.iter().enumerate().collect();
    jobs.sort_by_key(|(index, (path, _))| (std::cmp::Reverse(size(path)), *index));
    let done = AtomicU64::new(0);
    let results: Mutex<Vec<(usize, Result<Package, FetchError>)>> = Mutex::default();
    jobs.par_iter().with_max_len(1).for_each(|(index, (path, digest))| {
        let digest = match digest {
            Some(known) => Ok(known.clone()),
            None => file_digest(path).map_err(|source| FetchError::Read { path: path.clone(), source }),
        };
        let package = digest.and_then(|digest| unpack::stage(path, digest, &stage.join(index.to_string())));
        results.lock().expect("no panic while held").push((*index, package));
        progress.advance_to(done.fetch_add(size(path), Ordering::Relaxed) + size(path));
    });
    let mut results = results.into_inner().expect("no panic while held");
    // The error that is reported must not depend on which thread was first.
    results.sort_by_key(|(index, _)| *index);
    let mut packages = results.into_iter().map(|(_, package)| package).collect::<Result<Vec<_>, _>>()?;
    let key = |package: &Package| {
        let version = |d: &member::Delivery| (d.files.control.architecture.clone(), d.files.control.version.clone());
        (package.name != "base-files", package.name.clone(), package.delivery.as_ref().map(version))
    };
    packages.sort_by_cached_key(key);
    for pair in packages.windows(2) {
        if let [Package { name, delivery: Some(a), .. }, Package { name: other, delivery: Some(b), .. }] = pair
            && name == other
            && a.files.control.architecture == b.files.control.architecture
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
    let line = |delivery: &member::Delivery| {
        let control = &delivery.files.control;
        FetchedPackage {
            package: control.package.clone(),
            version: control.version.clone(),
            architecture: control.architecture.clone(),
            file: delivery.file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            sha256: delivery.sha256.clone(),
        }
    };
    let mut lines: Vec<_> = packages.iter().filter_map(|package| package.delivery.as_ref()).map(line).collect();
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
    notes.sort();
    LockList { format: 1, packages: lines, module_directories, notes }
}

/// Debian's name for the processor that minroot was built for.
fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "i386",
        "aarch64" => "arm64",
        "arm" => "armhf",
        "powerpc64" => "ppc64el",
        "loongarch64" => "loong64",
        same => same,
    }
}

fn file_digest(path: &Path) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    let mut file = File::open(path)?;
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hex(&digest.finalize())),
            n => digest.update(&buffer[..n]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
