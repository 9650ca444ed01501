//! Which library each undefined symbol is bound to, as far as the object says so: what decides whether a lazy dependency
//! is ever loaded.
//!
//! `DT_SYMINFO` (Linker and Libraries Guide, "Syminfo Table Section") has an entry per dynamic symbol, with the index of
//! the dynamic section's entry that the symbol was found in at link time. A lazy dependency is loaded when a symbol
//! bound to it is first called; a relocation of data cannot wait, and binds when the object is loaded.

use super::reader::{Reader, Window};
use super::strings::Strings;
use super::{Buffers, ElfError, Name, context, file_offset, parse_dynamic, parse_header, program_headers, symbols};
use goblin::container::Ctx;
use goblin::elf::dynamic::{self as dt, Dyn};
use goblin::elf::program_header::{PT_DYNAMIC, ProgramHeader};
use goblin::elf::reloc::RelocSection;
use goblin::elf::section_header::SHN_UNDEF;
use goblin::elf::sym::{STB_LOCAL, Sym, Symtab};
use std::collections::BTreeSet;

const DT_SYMINFO: u64 = 0x6fff_feff;
const DT_SYMINSZ: u64 = 0x6fff_fdfe;
/// `Elf32_Syminfo` and `Elf64_Syminfo`: two halves, `si_boundto` and `si_flags`.
const SYMINFO_SIZE: u64 = 4;
/// From here on `si_boundto` is no index: `SYMINFO_BT_SELF`, `_PARENT`, `_NONE`, `_EXTERN`.
const SYMINFO_BT_LOWRESERVE: u16 = 0xff00;

/// The dynamic symbols of one object.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Bindings {
    pub undefined: Vec<Undefined>,
    /// Names that other objects can find here.
    pub exports: BTreeSet<Name>,
    /// Whether there is a `DT_SYMINFO`: without it nothing is known of what a symbol was found in.
    pub has_syminfo: bool,
}

/// A symbol that another object has to define.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undefined {
    pub name: Name,
    /// Index of the `DT_NEEDED` it was found in at link time.
    pub bound_to: Option<usize>,
    /// A relocation that cannot wait for a call refers to it.
    pub at_load: bool,
}

pub(super) fn read(reader: &Reader<'_>) -> Result<Option<Bindings>, ElfError> {
    let Some(tables) = Tables::read(reader)? else { return Ok(None) };
    let (context, table) = (tables.context, &tables.table);
    let Some(place) = symbols::place(table, &tables.segments) else { return Ok(None) };
    let (Some(strings), Some(strings_size)) = (tables.offset_of(dt::DT_STRTAB), tables.value(dt::DT_STRSZ)) else {
        return Ok(None);
    };
    let mut text = Window::default();
    let names = Strings::read_whole(reader, &mut text, (strings, strings_size))?;

    let size = Sym::size(context.container) as u64;
    let count = (place.end - place.start) / size;
    let bound = tables.syminfo(count, context.is_little_endian())?;
    let at_load: BTreeSet<usize> = tables.load_time_symbols()?.into_iter().collect();
    let needed: Vec<usize> = (0..table.len()).filter(|at| table[*at].d_tag == dt::DT_NEEDED).collect();
    let mut entries = Window::default();
    let bytes = reader.read(&mut entries, (place.start, count * size), "DT_SYMTAB")?;
    let symbols = Symtab::parse(bytes, 0, count as usize, context);
    let symbols = symbols.map_err(|_| ElfError::Malformed { field: "DT_SYMTAB" })?;

    let mut bindings = Bindings { has_syminfo: bound.is_some(), ..Bindings::default() };
    for (index, symbol) in symbols.iter().enumerate().skip(1) {
        if symbol.st_name == 0 || symbol.st_bind() == STB_LOCAL {
            continue;
        }
        // The end of the table is a guess: what cannot be read there is no symbol.
        let Ok(name) = names.get(symbol.st_name as u64) else { break };
        if symbol.st_shndx != SHN_UNDEF as usize {
            bindings.exports.insert(name);
            continue;
        }
        let entry = bound.as_ref().and_then(|bound| bound.get(index)).filter(|entry| **entry < SYMINFO_BT_LOWRESERVE);
        let bound_to = entry.and_then(|entry| needed.binary_search(&usize::from(*entry)).ok());
        bindings.undefined.push(Undefined { name, bound_to, at_load: at_load.contains(&index) });
    }
    Ok((!bindings.undefined.is_empty() || !bindings.exports.is_empty()).then_some(bindings))
}

/// The dynamic section, and where the tables are that it names.
pub(super) struct Tables<'a> {
    pub reader: &'a Reader<'a>,
    pub context: Ctx,
    pub segments: Vec<ProgramHeader>,
    pub table: Vec<Dyn>,
}

impl<'a> Tables<'a> {
    /// `None` for an object without a dynamic section.
    pub fn read(reader: &'a Reader<'a>) -> Result<Option<Tables<'a>>, ElfError> {
        let mut buffers = Buffers::new();
        reader.head(&mut buffers.head)?;
        let header = parse_header(buffers.head.bytes())?;
        let context = context(&header)?;
        let segments = program_headers(reader, &mut buffers, &header, context)?;
        let Some(segment) = segments.iter().find(|segment| segment.p_type == PT_DYNAMIC) else { return Ok(None) };
        let mut window = Window::default();
        let bytes = reader.read(&mut window, (segment.p_offset, segment.p_filesz), "PT_DYNAMIC")?;
        let table = parse_dynamic(bytes, context)?;
        Ok(Some(Tables { reader, context, segments, table }))
    }

    pub fn value(&self, tag: u64) -> Option<u64> {
        self.table.iter().find(|entry| entry.d_tag == tag).map(|entry| entry.d_val)
    }

    pub fn offset_of(&self, tag: u64) -> Option<u64> {
        file_offset(&self.segments, self.value(tag)?)
    }

    /// `si_boundto` of each symbol.
    fn syminfo(&self, count: u64, little_endian: bool) -> Result<Option<Vec<u16>>, ElfError> {
        let Some(offset) = self.offset_of(DT_SYMINFO) else { return Ok(None) };
        let size = self.value(DT_SYMINSZ).unwrap_or(count * SYMINFO_SIZE).min(count * SYMINFO_SIZE);
        let mut window = Window::default();
        let bytes = self.reader.read(&mut window, (offset, size), "DT_SYMINFO")?;
        let half = |bytes: &[u8]| {
            let bytes = [bytes[0], bytes[1]];
            if little_endian { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) }
        };
        Ok(Some(bytes.chunks_exact(SYMINFO_SIZE as usize).map(half).collect()))
    }

    /// Indexes of the symbols that relocations outside of the procedure linkage table refer to.
    pub fn load_time_symbols(&self) -> Result<Vec<usize>, ElfError> {
        let calls = self.value(dt::DT_JMPREL).unwrap_or(u64::MAX);
        let mut found = Vec::new();
        for (start, size, is_rela) in [(dt::DT_REL, dt::DT_RELSZ, false), (dt::DT_RELA, dt::DT_RELASZ, true)] {
            let (Some(address), Some(size)) = (self.value(start), self.value(size)) else { continue };
            // The Solaris link-editor counts the calls in, at the end.
            let size = calls.checked_sub(address).map_or(size, |before| before.min(size));
            found.extend(self.relocated_symbols((address, size), is_rela, "DT_RELA")?);
        }
        Ok(found)
    }

    /// Indexes of the symbols that the relocations of the procedure linkage table refer to.
    pub fn called_symbols(&self) -> Result<Vec<usize>, ElfError> {
        let (Some(address), Some(size)) = (self.value(dt::DT_JMPREL), self.value(dt::DT_PLTRELSZ)) else {
            return Ok(Vec::new());
        };
        self.relocated_symbols((address, size), self.value(dt::DT_PLTREL) == Some(dt::DT_RELA), "DT_JMPREL")
    }

    /// In the order of the table, which is at a virtual address with so many bytes.
    fn relocated_symbols(
        &self,
        (address, size): (u64, u64),
        is_rela: bool,
        field: &'static str,
    ) -> Result<Vec<usize>, ElfError> {
        let offset = file_offset(&self.segments, address).ok_or(ElfError::OutOfRange { field })?;
        let mut window = Window::default();
        let bytes = self.reader.read(&mut window, (offset, size), field)?;
        let section = RelocSection::parse(bytes, 0, bytes.len(), is_rela, self.context);
        let section = section.map_err(|_| ElfError::Malformed { field })?;
        Ok(section.iter().map(|relocation| relocation.r_sym).filter(|symbol| *symbol != 0).collect())
    }
}
