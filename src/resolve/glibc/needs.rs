//! The names in an object by number, and its search path as directories: worked out once, used in every process.

use super::loader::Loader;
use super::places::{DirId, NameId, PlaceId, Places};
use super::tokens::Tokens;
use crate::resolve::store::ObjectId;
use goblin::elf::dynamic::DF_1_NODEFLIB;
use std::cell::Cell;
use std::rc::Rc;

/// The names in one object.
#[derive(Default)]
pub(super) struct Needs {
    /// `DT_NEEDED`, in order.
    pub needed: Vec<Need>,
    pub soname: Option<NameId>,
    /// `DT_VERNEED`, in order.
    pub versions: Vec<VersionFile>,
    pub has_rpath: bool,
    pub has_runpath: bool,
    /// `DF_1_NODEFLIB`.
    pub no_default: bool,
}

pub(super) struct Need {
    pub name: NameId,
    /// Where it led in the last process, which has been told: nearly always it leads there again.
    pub told: Cell<PlaceId>,
}

pub(super) struct VersionFile {
    /// `vn_file`: the name of the library at link time.
    pub name: NameId,
    /// The library it was last checked against.
    pub checked: Cell<Option<ObjectId>>,
}

/// The search path that an object brings with it.
#[derive(Default)]
pub(super) struct SearchPath {
    pub rpath: Vec<DirId>,
    pub runpath: Vec<DirId>,
}

impl Needs {
    pub fn read(places: &mut Places<'_>, object: ObjectId) -> Needs {
        let Places { store, names, .. } = places;
        let Some(dynamic) = store.object(object).elf().and_then(|elf| elf.dynamic.as_ref()) else {
            return Needs::default();
        };
        let need = |name: &[u8]| Need { name: names.id(name), told: Cell::new(PlaceId::EXECUTABLE) };
        Needs {
            needed: dynamic.needed.iter().map(|name| &name[..]).map(need).collect(),
            soname: dynamic.soname.as_ref().map(|name| names.id(name)),
            versions: dynamic
                .versions_needed
                .iter()
                .map(|need| VersionFile { name: names.id(&need.file), checked: Cell::new(None) })
                .collect(),
            // With a DT_RUNPATH, the DT_RPATH of the same object is as if it were not there.
            has_rpath: dynamic.rpath.is_some() && dynamic.runpath.is_none(),
            has_runpath: dynamic.runpath.is_some(),
            no_default: dynamic.has_flag_1(DF_1_NODEFLIB),
        }
    }
}

impl SearchPath {
    /// Expands the lists of an object that was opened at `place`.
    pub fn read(places: &mut Places<'_>, object: ObjectId, place: PlaceId, loader: &Loader) -> SearchPath {
        let Some(dynamic) = places.store.object(object).elf().and_then(|elf| elf.dynamic.as_ref()) else {
            return SearchPath::default();
        };
        let origin = origin(places, object, place).to_vec();
        let tokens = loader.tokens(&origin);
        let expand = |list: &Option<Box<[u8]>>| expand_list(list.as_deref().unwrap_or_default(), tokens);
        let (rpath, runpath) = (expand(&dynamic.rpath), expand(&dynamic.runpath));
        let mut directories = |list: Vec<Vec<u8>>| list.iter().map(|path| places.directory(path)).collect();
        SearchPath { rpath: directories(rpath), runpath: directories(runpath) }
    }
}

/// `$ORIGIN`: for the executable the directory of the real file (the kernel's `/proc/self/exe`), for a library that of
/// the path it was opened by.
pub(super) fn origin<'p>(places: &'p Places<'_>, object: ObjectId, place: PlaceId) -> &'p [u8] {
    let path = match place {
        PlaceId::EXECUTABLE => places.store.object(object).path.as_bytes(),
        place => &places.place(place).spelled[..],
    };
    crate::resolve::directory_of(path)
}

/// The directories of a colon-separated list; those relative to the working directory are left out.
fn expand_list(list: &[u8], tokens: Tokens<'_>) -> Vec<Vec<u8>> {
    let elements = list.split(|&b| b == b':').map(|element| tokens.expand(element));
    elements.filter(|path| path.starts_with(b"/")).map(trim_slashes).collect()
}

fn trim_slashes(mut path: Vec<u8>) -> Vec<u8> {
    while path.len() > 1 && path.ends_with(b"/") {
        path.pop();
    }
    path
}

/// What is known of objects, by their number.
#[derive(Default)]
pub(super) struct NeedsTable(Vec<Option<Rc<Needs>>>);

impl NeedsTable {
    pub fn get(&mut self, places: &mut Places<'_>, object: ObjectId) -> Rc<Needs> {
        let index = object.0 as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, None);
        }
        self.0[index].get_or_insert_with(|| Rc::new(Needs::read(places, object))).clone()
    }
}
