//! Named sections of a relocatable ELF object, read by the ranges that are needed and no others.
//!
//! A module is megabytes, its `.modinfo` a few hundred bytes: header, section table, section names and the one section
//! are four small reads. This is the one place of minroot that trusts section headers, because the kernel's own module
//! loader finds `.modinfo` through them (kernel/module/main.c, `find_sec`).

use super::modinfo::ModinfoError;
use goblin::container::Ctx;
use goblin::elf::{Elf, SectionHeader};
use std::borrow::Cow;
use std::fs::File;
use std::os::unix::fs::FileExt;

const SHT_NOBITS: u32 = goblin::elf::section_header::SHT_NOBITS;

/// Bytes that can be read by range: a file, or a decompressed module in memory.
pub(super) trait Ranges {
    fn size(&self) -> u64;

    /// # Errors
    /// The host's error; the caller has checked that the range lies inside the file.
    fn read(&self, start: u64, length: usize) -> std::io::Result<Cow<'_, [u8]>>;
}

/// An open file with the size it had when it was found.
pub(super) struct OpenFile<'f> {
    pub file: &'f File,
    pub size: u64,
}

impl Ranges for OpenFile<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, start: u64, length: usize) -> std::io::Result<Cow<'_, [u8]>> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(Cow::Owned(bytes))
    }
}

impl Ranges for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, start: u64, length: usize) -> std::io::Result<Cow<'_, [u8]>> {
        let start = usize::try_from(start).map_err(std::io::Error::other)?;
        let bytes = start.checked_add(length).and_then(|end| self.get(start..end));
        bytes.map(Cow::Borrowed).ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
    }
}

/// The section table of one object.
pub(super) struct Sections<'s> {
    source: &'s dyn Ranges,
    pub context: Ctx,
    headers: Vec<SectionHeader>,
    names: Cow<'s, [u8]>,
}

impl<'s> Sections<'s> {
    /// # Errors
    /// When the bytes are no ELF object, or a table does not lie inside them.
    pub fn read(source: &'s dyn Ranges) -> Result<Sections<'s>, ModinfoError> {
        let head = range(source, 0, source.size().min(64), "ELF header")?;
        if !head.starts_with(b"\x7fELF") {
            return Err(ModinfoError::NotElf);
        }
        let damaged = |_| ModinfoError::Damaged { field: "ELF header" };
        let header = Elf::parse_header(&head).map_err(damaged)?;
        let context = Ctx::new(header.container().map_err(damaged)?, header.endianness().map_err(damaged)?);
        if usize::from(header.e_shentsize) != SectionHeader::size(context) {
            return Err(ModinfoError::Damaged { field: "e_shentsize" });
        }
        // A count of 0 would mean extended numbering, which the kernel's module loader does not know.
        let count = usize::from(header.e_shnum);
        let length = u64::from(header.e_shentsize) * u64::from(header.e_shnum);
        if count == 0 {
            return Err(ModinfoError::Damaged { field: "e_shnum" });
        }
        let table = range(source, header.e_shoff, length, "section header table")?;
        let headers = SectionHeader::parse_from(&table, 0, count, context)
            .map_err(|_| ModinfoError::Damaged { field: "section header table" })?;
        let strings =
            headers.get(usize::from(header.e_shstrndx)).ok_or(ModinfoError::Damaged { field: "e_shstrndx" })?;
        let names = range(source, strings.sh_offset, strings.sh_size, "section names")?;
        Ok(Sections { source, context, headers, names })
    }

    /// The content of the first section called `name`.
    ///
    /// # Errors
    /// When the section does not lie inside the object; `field` is what the message calls it.
    pub fn content(&self, name: &[u8], field: &'static str) -> Result<Option<Cow<'s, [u8]>>, ModinfoError> {
        let Some(header) = self.headers.iter().find(|h| self.name(h) == Some(name)) else { return Ok(None) };
        if header.sh_type == SHT_NOBITS {
            return Err(ModinfoError::Damaged { field });
        }
        range(self.source, header.sh_offset, header.sh_size, field).map(Some)
    }

    fn name(&self, header: &SectionHeader) -> Option<&[u8]> {
        string_at(&self.names, header.sh_name)
    }
}

/// The NUL-terminated string at `offset` of a string table.
pub(super) fn string_at(table: &[u8], offset: usize) -> Option<&[u8]> {
    let rest = table.get(offset..)?;
    memchr::memchr(0, rest).map(|end| &rest[..end])
}

fn range<'s>(
    source: &'s dyn Ranges,
    start: u64,
    length: u64,
    field: &'static str,
) -> Result<Cow<'s, [u8]>, ModinfoError> {
    let inside = start.checked_add(length).is_some_and(|end| end <= source.size());
    let length = usize::try_from(length).ok().filter(|_| inside).ok_or(ModinfoError::Damaged { field })?;
    source.read(start, length).map_err(ModinfoError::Read)
}
