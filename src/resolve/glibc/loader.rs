//! One runtime linker of the root, with all that it knows before it has seen an executable.

use super::built_in::{self, BuiltIn};
use super::places::{DirId, PlaceId, Places, Spot};
use super::tokens::Tokens;
use super::{Cache, Glibc};
use crate::objects::elf::Identity;
use crate::path::RootPath;
use crate::resolve::ldconfig;
use foldhash::{HashMap, HashMapExt};
use std::rc::Rc;

/// `ld.so`, as one kind of executable gets to know it.
pub(super) struct Loader {
    /// Small and unique.
    pub number: u32,
    /// As `PT_INTERP` spells it.
    pub path: Box<[u8]>,
    /// Of the executables it loads; only their class, byte order and machine count.
    pub identity: Identity,
    pub spot: Spot,
    pub built_in: BuiltIn,
    /// Directories that are searched last.
    pub default: Vec<DirId>,
    /// Directories that ldconfig makes the cache from, for [`Cache::FromConfiguration`].
    pub configured: Vec<DirId>,
    /// What the cache says, for [`Cache::AsItIs`]: soname to path.
    pub cached: HashMap<Box<[u8]>, Box<[u8]>>,
    /// The words of `/etc/ld.so.preload`.
    pub preload: Vec<Box<[u8]>>,
}

impl Loader {
    pub fn tokens<'a>(&'a self, origin: &'a [u8]) -> Tokens<'a> {
        Tokens { origin, lib: &self.built_in.lib, platform: built_in::platform(self.identity) }
    }

    /// Whether `DF_1_NODEFLIB` keeps an object from taking this path out of the cache. glibc compares the first bytes,
    /// so that everything below a default directory is as good as in it (`_dl_map_object` in elf/dl-load.c).
    pub fn is_default_path(&self, path: &[u8]) -> bool {
        let mut directories = self.built_in.default_directories.iter();
        directories.any(|directory| path.strip_prefix(&directory[..]).is_some_and(|rest| rest.starts_with(b"/")))
    }
}

impl Glibc<'_> {
    /// The loader of an executable, or for a library the one that its kind usually has.
    pub(super) fn loader(&mut self, interpreter: Option<&[u8]>, identity: Identity) -> Rc<Loader> {
        let path = interpreter.or_else(|| built_in::usual_interpreter(identity)).unwrap_or_default();
        if let Some(known) = self.loaders.iter().find(|l| *l.path == *path && same_kind(l.identity, identity)) {
            return known.clone();
        }
        let spot = if path.starts_with(b"/") { self.places.at_path(path) } else { Spot::Absent };
        let built_in = read_loader(&self.places, spot, path).unwrap_or_else(|| BuiltIn::guess(path, identity));
        let default = built_in.default_directories.iter().map(|d| self.places.directory(d)).collect();
        let (mut configured, mut cached) = (Vec::new(), HashMap::new());
        match self.cache {
            Cache::FromConfiguration => configured = configured_directories(&mut self.places, &built_in),
            Cache::AsItIs => cached = cached_paths(&self.places, &built_in, identity),
        }
        let loader = Rc::new(Loader {
            number: self.loaders.len() as u32,
            path: path.into(),
            identity,
            spot,
            built_in,
            default,
            configured,
            cached,
            preload: preload_words(&self.places),
        });
        self.loaders.push(loader.clone());
        loader
    }
}

fn same_kind(a: Identity, b: Identity) -> bool {
    (a.bits, a.little_endian, a.machine) == (b.bits, b.little_endian, b.machine)
}

fn read_loader(places: &Places<'_>, spot: Spot, path: &[u8]) -> Option<BuiltIn> {
    let Spot::Taken(_) = spot else { return None };
    let found = places.root().lookup_spelled(path).ok()?;
    BuiltIn::from_loader(&places.root().read(&found).ok()?)
}

fn configured_directories(places: &mut Places<'_>, built_in: &BuiltIn) -> Vec<DirId> {
    let configuration = built_in.cache.strip_suffix(b".cache").unwrap_or_default();
    let Ok(path) = RootPath::new([configuration, b".conf"].concat()) else { return Vec::new() };
    let directories = ldconfig::directories(places.root(), &path);
    directories.iter().map(|directory| places.directory(directory)).collect()
}

fn cached_paths(places: &Places<'_>, built_in: &BuiltIn, identity: Identity) -> HashMap<Box<[u8]>, Box<[u8]>> {
    let mut paths = HashMap::new();
    let bytes = RootPath::new(&built_in.cache).ok().and_then(|path| places.root().read_optional(&path).ok()?);
    let entries = bytes.and_then(|bytes| ldconfig::read_cache(&bytes)).unwrap_or_default();
    let wanted = ldconfig::flags(identity.machine, identity.bits);
    // Of several entries with one name the loader takes the first of its own kind.
    for entry in entries.into_iter().filter(|entry| wanted.is_none_or(|flags| entry.flags == flags)) {
        paths.entry(entry.soname.into()).or_insert(entry.path.into());
    }
    paths
}

/// The words of `/etc/ld.so.preload` (ld.so(8), "FILES"): separated by blanks, colons or lines, `#` to the end of a
/// line is a comment.
fn preload_words(places: &Places<'_>) -> Vec<Box<[u8]>> {
    let path = RootPath::new("/etc/ld.so.preload").expect("a constant");
    let Ok(Some(bytes)) = places.root().read_optional(&path) else { return Vec::new() };
    let lines = bytes.split(|&b| b == b'\n').map(|line| line.split(|&b| b == b'#').next().unwrap_or_default());
    let words = lines.flat_map(|line| line.split(|b| matches!(b, b' ' | b'\t' | b':')));
    words.filter(|word| !word.is_empty()).map(Into::into).collect()
}

/// The place of a loader that is there.
impl Loader {
    pub fn place(&self) -> Option<PlaceId> {
        match self.spot {
            Spot::Taken(place) => Some(place),
            Spot::Absent | Spot::Broken(_) => None,
        }
    }
}
