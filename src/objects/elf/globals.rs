//! The global symbols of one object, with their versions: which it wants of others, and which others find in it.
//!
//! `DT_VERSYM` has a number per dynamic symbol, which `DT_VERNEED` and `DT_VERDEF` give a name to (LSB Core, "Symbol
//! Versioning"). Only what a relocation refers to is wanted: nobody looks for the rest.

use super::bindings::Tables;
use super::reader::{Reader, Window};
use super::strings::Strings;
use super::{ElfError, Name, symbols, version};
use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use goblin::elf::dynamic as dt;
use goblin::elf::section_header::SHN_UNDEF;
use goblin::elf::sym::{STB_LOCAL, STB_WEAK, STT_TLS, Sym, Symtab};

/// The high bit of a `DT_VERSYM` number: not for those who ask without a version.
const VERSYM_HIDDEN: u16 = 0x8000;
/// The number that stands for no version.
const VER_NDX_GLOBAL: u16 = 1;
/// The number of the first version that an object has defined.
const FIRST_VERSION: u16 = 2;

/// The symbols of one object that matter to others.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Globals {
    /// Undefined symbols that are looked up, but weak ones, whose absence is no error: those of data in the order of
    /// their relocations, then those of calls.
    pub wanted: Vec<Wanted>,
    defined: HashMap<Name, Vec<Definition>>,
    has_versions: bool,
}

/// A symbol that another object has to define.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub name: Name,
    /// The version that it had at link time.
    pub version: Option<Name>,
    /// Only a call refers to it.
    pub by_call: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Definition {
    /// `None` for the object's base version.
    version: Option<Name>,
    index: u16,
    is_hidden: bool,
}

impl Globals {
    /// Whether a symbol is found here, as glibc looks for it (`elf/dl-lookup.c`, `check_match`): one without a version
    /// in the first version that the object had, or in the only one that is not hidden.
    pub fn satisfies(&self, wanted: &Wanted) -> bool {
        let Some(definitions) = self.defined.get(&wanted.name) else { return false };
        match &wanted.version {
            _ if !self.has_versions => true,
            Some(version) => definitions.iter().any(|definition| match &definition.version {
                Some(defined) => defined == version,
                None => !definition.is_hidden,
            }),
            None => {
                definitions.iter().any(|definition| definition.index <= FIRST_VERSION)
                    || definitions.iter().filter(|definition| !definition.is_hidden).count() == 1
            }
        }
    }

    /// As of an object without a symbol table.
    pub fn defines_nothing(&self) -> bool {
        self.defined.is_empty()
    }

    /// Whether there is a symbol of this name in any version.
    pub fn names(&self, name: &[u8]) -> bool {
        self.defined.contains_key(name)
    }

    /// Whether there is a symbol of this name for a loader that knows no versions.
    pub fn defines(&self, name: &[u8]) -> bool {
        self.defined.get(name).is_some_and(|definitions| definitions.iter().any(|definition| !definition.is_hidden))
    }
}

pub(super) fn read(reader: &Reader<'_>) -> Result<Option<Globals>, ElfError> {
    let Some(tables) = Tables::read(reader)? else { return Ok(None) };
    let Some(place) = symbols::place(&tables.table, &tables.segments) else { return Ok(None) };
    let (Some(strings), Some(strings_size)) = (tables.offset_of(dt::DT_STRTAB), tables.value(dt::DT_STRSZ)) else {
        return Ok(None);
    };
    let mut text = Window::default();
    let names = Strings::read_whole(reader, &mut text, (strings, strings_size))?;
    let size = Sym::size(tables.context.container) as u64;
    let count = (place.end - place.start) / size;
    let mut entries = Window::default();
    let bytes = reader.read(&mut entries, (place.start, count * size), "DT_SYMTAB")?;
    let symbols = Symtab::parse(bytes, 0, count as usize, tables.context);
    let symbols = symbols.map_err(|_| ElfError::Malformed { field: "DT_SYMTAB" })?;
    let versions = Versions::read(&tables, &names, count)?;

    let mut globals = Globals { has_versions: versions.numbers.is_some(), ..Globals::default() };
    for (index, symbol) in symbols.iter().enumerate().skip(1) {
        let is_defined = symbol.st_shndx != SHN_UNDEF as usize && (symbol.st_value != 0 || symbol.st_type() == STT_TLS);
        if !is_defined || symbol.st_name == 0 || symbol.st_bind() == STB_LOCAL {
            continue;
        }
        // The end of the table is a guess: what cannot be read there is no symbol.
        let Ok(name) = names.get(symbol.st_name as u64) else { break };
        globals.defined.entry(name).or_default().push(versions.definition(index));
    }
    let relocated = [(tables.load_time_symbols()?, false), (tables.called_symbols()?, true)];
    let mut seen = HashSet::new();
    for (index, by_call) in
        relocated.into_iter().flat_map(|(list, by_call)| list.into_iter().map(move |i| (i, by_call)))
    {
        let symbol = symbols.get(index).ok_or(ElfError::OutOfRange { field: "the symbol of a relocation" })?;
        let is_wanted = symbol.st_shndx == SHN_UNDEF as usize && !matches!(symbol.st_bind(), STB_LOCAL | STB_WEAK);
        if is_wanted && seen.insert(index) {
            let (name, version) = (names.get(symbol.st_name as u64)?, versions.needed(index));
            globals.wanted.push(Wanted { name, version, by_call });
        }
    }
    Ok(Some(globals))
}

/// The versions of an object by the numbers that `DT_VERSYM` has.
struct Versions {
    /// One per symbol.
    numbers: Option<Vec<u16>>,
    defined: HashMap<u16, Name>,
    needed: HashMap<u16, Name>,
}

impl Versions {
    fn read(tables: &Tables<'_>, names: &Strings<'_>, count: u64) -> Result<Versions, ElfError> {
        let little_endian = tables.context.le.is_little();
        let mut versions = Versions { numbers: None, defined: HashMap::new(), needed: HashMap::new() };
        let Some(offset) = tables.offset_of(dt::DT_VERSYM) else { return Ok(versions) };
        let mut window = Window::default();
        let bytes = tables.reader.read(&mut window, (offset, count * 2), "DT_VERSYM")?;
        let half = |bytes: &[u8]| {
            let bytes = [bytes[0], bytes[1]];
            if little_endian { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) }
        };
        versions.numbers = Some(bytes.chunks_exact(2).map(half).collect());
        let mut scratch = Window::default();
        let mut lists = version::Tables { reader: tables.reader, strings: names, scratch: &mut scratch, little_endian };
        if let Some(offset) = tables.offset_of(dt::DT_VERNEED) {
            for need in lists.needed(offset, tables.value(dt::DT_VERNEEDNUM).unwrap_or(0))? {
                versions.needed.extend(need.versions.into_iter().map(|version| (version.index, version.name)));
            }
        }
        if let Some(offset) = tables.offset_of(dt::DT_VERDEF) {
            let defined = lists.defined(offset, tables.value(dt::DT_VERDEFNUM).unwrap_or(0))?;
            versions.defined.extend(defined.into_iter().map(|version| (version.index, version.name)));
        }
        Ok(versions)
    }

    fn number(&self, symbol: usize) -> u16 {
        let known = self.numbers.as_ref().and_then(|numbers| numbers.get(symbol));
        known.copied().unwrap_or(VER_NDX_GLOBAL)
    }

    fn needed(&self, symbol: usize) -> Option<Name> {
        self.needed.get(&(self.number(symbol) & !VERSYM_HIDDEN)).cloned()
    }

    fn definition(&self, symbol: usize) -> Definition {
        let number = self.number(symbol);
        let index = number & !VERSYM_HIDDEN;
        Definition { version: self.defined.get(&index).cloned(), index, is_hidden: number & VERSYM_HIDDEN != 0 }
    }
}
