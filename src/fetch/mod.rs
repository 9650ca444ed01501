//! Turns the `[source]` of a recipe into a root directory: names of Debian packages, or files of Debian, SVR4 and IPS
//! packages in, an unpacked tree out.
//!
//! Nothing is installed on this machine and no script of a package runs. What such scripts would have made is made where
//! it can be read from them, and reported where not. For illumos, drivers and accounts are added as pkg(1) and add_drv(8)
//! would. A root stays in the cache under a key made from what was asked for, so the second run finds it there and starts
//! nothing:
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
mod debian;
mod dpkg;
mod error;
mod illumos;
mod ips;
mod member;
mod names;
mod source;
mod store;
pub(crate) mod svr4;
mod tree;
mod unpack;

pub use error::{FetchError, Refusal};
pub use illumos::{DatabaseTexts, DriverAction};

use crate::path::RootPath;
use crate::recipe::Source;
use apt::Apt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use source::Selection;
use std::path::PathBuf;

/// Part of every key: roots made by another layout are not reused.
const LAYOUT: &str = "minroot root 5";

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
    /// Directories of kernel modules, `/usr/lib/modules/VERSION`; their indexes were made as depmod would make them.
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
    /// Of the package file, in lower-case hexadecimal; of the pkgmap or the manifest for a package that is no file of
    /// its own.
    pub sha256: String,
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
        && let Some(fetched) = store::finished(&place)
    {
        return Ok(fetched);
    }
    let _lock = store::lock(&cache)?;
    // Another process may have made it while this one waited.
    if !options.refresh
        && let Some(fetched) = store::finished(&place)
    {
        return Ok(fetched);
    }
    let mut notes = Vec::new();
    let (files, downloaded): (Vec<_>, _) = match &wanted {
        Wanted::Apt { names, .. } => {
            let mut apt = Apt::open(&options.apt_get, &cache, architecture, options.progress)?;
            let (archives, downloaded) = apt.obtain(names, options.refresh)?;
            notes = apt.notes;
            (archives.into_iter().map(|archive| (archive.path, Some(archive.sha256))).collect(), downloaded)
        }
        Wanted::Files { files, .. } => (files.iter().map(|file| (file.clone(), None)).collect(), 0),
    };
    let selection = Selection::new(source);
    let made = store::make_root(&files, &selection, &place, options.progress)?;
    let notes = [notes, made.notes].concat();
    Ok(Fetched { downloaded, reused: false, notes, ..made })
}

/// What the recipe asks for, checked.
enum Wanted {
    Apt { names: Vec<String>, architecture: String },
    Files { files: Vec<PathBuf>, selection: Selection },
}

impl Wanted {
    fn new(source: &Source, architecture: &str) -> Result<Wanted, FetchError> {
        if !source.packages.is_empty() {
            let files = names::matching_files(&source.packages)?;
            return Ok(Wanted::Files { files, selection: Selection::new(source) });
        }
        if source.apt.is_empty() {
            return Err(FetchError::NoSource);
        }
        source.apt.iter().try_for_each(|name| apt::check_name(name))?;
        if architecture.is_empty() || !architecture.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(FetchError::Architecture(architecture.to_owned()));
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
            Wanted::Files { files, selection } => {
                add(selection.text().as_bytes());
                for file in files {
                    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.clone());
                    add(absolute.as_os_str().as_encoded_bytes());
                    source::identify(file, &mut add);
                }
            }
        }
        crate::text::hex(&digest.finalize())[..32].to_owned()
    }
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
