//! illumos kernel modules: relocatable objects without program headers, whose needs the kernel's linker reads through
//! the section headers (`usr/src/uts/common/krtld/kobj.c`).
//!
//! The `.dynamic` section has `DT_NEEDED` entries and no `DT_STRTAB`: the strings are in the section that its `sh_link`
//! names, `.strtab` or one of its own. Older modules have no such section but a string, the symbol `_depends_on`, with
//! the names in it and blanks between them.

use super::reader::{Reader, Window};
use super::strings::Strings;
use super::{ElfError, Name, parse_dynamic, until_nul};
use goblin::container::Ctx;
use goblin::elf::dynamic::DT_NEEDED;
use goblin::elf::header::Header;
use goblin::elf::section_header::{SHT_DYNAMIC, SHT_NOBITS, SHT_SYMTAB, SectionHeader};
use goblin::elf::sym::{Sym, Symtab};

const DEPENDS_ON: &[u8] = b"_depends_on";

/// The names in the order of the file; none for any other relocatable object.
pub(super) fn needed(reader: &Reader<'_>, header: &Header, context: Ctx) -> Result<Vec<Name>, ElfError> {
    let sections = section_headers(reader, header, context)?;
    match sections.iter().find(|section| section.sh_type == SHT_DYNAMIC) {
        Some(dynamic) => dynamic_needed(reader, &sections, dynamic, context),
        None => depends_on(reader, &sections, context),
    }
}

pub(super) fn section_headers(
    reader: &Reader<'_>,
    header: &Header,
    context: Ctx,
) -> Result<Vec<SectionHeader>, ElfError> {
    const FIELD: &str = "the section header table";
    let count = usize::from(header.e_shnum);
    if count == 0 {
        return Ok(Vec::new());
    }
    let size = SectionHeader::size(context);
    if usize::from(header.e_shentsize) != size {
        return Err(ElfError::Malformed { field: "e_shentsize" });
    }
    let mut window = Window::default();
    let table = reader.read(&mut window, (header.e_shoff, (count * size) as u64), FIELD)?;
    // Its sibling `parse` takes an offset of 0 to mean that there are none.
    SectionHeader::parse_from(table, 0, count, context).map_err(|_| ElfError::Malformed { field: FIELD })
}

fn dynamic_needed(
    reader: &Reader<'_>,
    sections: &[SectionHeader],
    dynamic: &SectionHeader,
    context: Ctx,
) -> Result<Vec<Name>, ElfError> {
    let (mut window, mut text) = (Window::default(), Window::default());
    let bytes = reader.read(&mut window, (dynamic.sh_offset, dynamic.sh_size), "the dynamic section")?;
    let table = parse_dynamic(bytes, context)?;
    let names = linked_strings(reader, sections, dynamic, &mut text)?;
    table.iter().filter(|entry| entry.d_tag == DT_NEEDED).map(|entry| names.get(entry.d_val)).collect()
}

/// The string table that a section names by its `sh_link`.
fn linked_strings<'a>(
    reader: &'a Reader<'a>,
    sections: &[SectionHeader],
    section: &SectionHeader,
    window: &'a mut Window,
) -> Result<Strings<'a>, ElfError> {
    let linked = sections.get(section.sh_link as usize).ok_or(ElfError::OutOfRange { field: "sh_link" })?;
    Strings::read_whole(reader, window, (linked.sh_offset, linked.sh_size))
}

fn depends_on(reader: &Reader<'_>, sections: &[SectionHeader], context: Ctx) -> Result<Vec<Name>, ElfError> {
    const FIELD: &str = "the symbol table";
    let Some(symtab) = sections.iter().find(|section| section.sh_type == SHT_SYMTAB) else { return Ok(Vec::new()) };
    let (mut window, mut text, mut data) = (Window::default(), Window::default(), Window::default());
    let names = linked_strings(reader, sections, symtab, &mut text)?;
    let Some(wanted) = names.position_of(DEPENDS_ON) else { return Ok(Vec::new()) };
    let count = symtab.sh_size as usize / Sym::size(context.container);
    let table = reader.read(&mut window, (symtab.sh_offset, symtab.sh_size), FIELD)?;
    let symbols = Symtab::parse(table, 0, count, context).map_err(|_| ElfError::Malformed { field: FIELD })?;
    let found = symbols.iter().find(|symbol| symbol.st_name as u64 == wanted);
    let section = found.as_ref().and_then(|symbol| sections.get(symbol.st_shndx));
    let Some((symbol, section)) = found.as_ref().zip(section.filter(|s| s.sh_type != SHT_NOBITS)) else {
        return Ok(Vec::new());
    };
    let rest = section.sh_size.checked_sub(symbol.st_value).ok_or(ElfError::OutOfRange { field: "_depends_on" })?;
    let at = section.sh_offset.checked_add(symbol.st_value).ok_or(ElfError::OutOfRange { field: "_depends_on" })?;
    let length = if symbol.st_size == 0 { rest } else { symbol.st_size.min(rest) };
    let words = until_nul(reader.read(&mut data, (at, length), "_depends_on")?);
    Ok(words.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(Name::from).collect())
}
