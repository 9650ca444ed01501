//! Symbol versions: which an object needs of which library (`DT_VERNEED`), and which it defines (`DT_VERDEF`).
//!
//! The tables are linked lists of records, the same for both classes (Solaris Linker and Libraries Guide, "Version
//! Definition Section"; LSB Core, "Symbol Versioning"). A list that a damaged file ties into a circle ends at the
//! announced number of records.

use super::reader::{Reader, Window};
use super::strings::Strings;
use super::{Dynamic, ElfError, Name};
use object::elf::{VER_FLG_BASE, VER_FLG_WEAK};

/// The versions that an object needs of one library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionNeed {
    /// The library by the soname it had at link time (`vn_file`).
    pub file: Name,
    pub versions: Vec<NeededVersion>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededVersion {
    pub name: Name,
    /// `VER_FLG_WEAK`: its absence is no error.
    pub weak: bool,
    /// What `DT_VERSYM` calls it (`vna_other`).
    pub index: u16,
}

/// A version that an object defines.
pub(super) struct DefinedVersion {
    pub name: Name,
    /// What `DT_VERSYM` calls it (`vd_ndx`).
    pub index: u16,
}

impl VersionNeed {
    /// The versions that `library` would have to define and does not. A library without any versions satisfies every
    /// one, on Linux ("no version information available") and on illumos alike.
    pub fn absent_from<'v>(&'v self, library: &'v Dynamic) -> impl Iterator<Item = &'v Name> {
        let defined = library.versions_defined.as_ref();
        // The versions of a library differ in their last byte more often than in their length.
        let is_in = |defined: &[Name], name: &Name| defined.iter().any(|d| d.last() == name.last() && d == name);
        let absent = move |v: &&NeededVersion| !v.weak && defined.is_some_and(|defined| !is_in(defined, &v.name));
        self.versions.iter().filter(absent).map(|version| &version.name)
    }
}

/// What is needed to read the version tables of an object.
pub(super) struct Tables<'a> {
    pub reader: &'a Reader<'a>,
    pub strings: &'a Strings<'a>,
    pub scratch: &'a mut Window,
    pub little_endian: bool,
}

impl Tables<'_> {
    /// Reads `DT_VERNEED` at a file offset, with `DT_VERNEEDNUM` records.
    pub(super) fn needed(&mut self, offset: u64, count: u64) -> Result<Vec<VersionNeed>, ElfError> {
        let mut needs = Vec::new();
        let mut at = offset;
        for _ in 0..count {
            let need = self.record::<16>(at, "DT_VERNEED")?;
            // Few need more of one library, and a lying count allocates nothing.
            let mut versions = Vec::with_capacity(need.half(2).min(8).into());
            let mut aux_at = add(at, need.word(8), "vn_aux")?;
            for _ in 0..need.half(2) {
                let aux = self.record::<16>(aux_at, "DT_VERNEED")?;
                let weak = aux.half(4) & VER_FLG_WEAK.0 != 0;
                versions.push(NeededVersion { name: self.string(aux.word(8))?, weak, index: aux.half(6) });
                if aux.word(12) == 0 {
                    break;
                }
                aux_at = add(aux_at, aux.word(12), "vna_next")?;
            }
            needs.push(VersionNeed { file: self.string(need.word(4))?, versions });
            if need.word(12) == 0 {
                break;
            }
            at = add(at, need.word(12), "vn_next")?;
        }
        Ok(needs)
    }

    /// Reads `DT_VERDEF` at a file offset, with `DT_VERDEFNUM` records; the base definition, which is the object's own
    /// name, is left out.
    pub(super) fn defined(&mut self, offset: u64, count: u64) -> Result<Vec<DefinedVersion>, ElfError> {
        let mut names = Vec::new();
        let mut at = offset;
        for _ in 0..count {
            let definition = self.record::<20>(at, "DT_VERDEF")?;
            if definition.half(2) & VER_FLG_BASE.0 == 0 && definition.half(6) > 0 {
                let aux = self.record::<8>(add(at, definition.word(12), "vd_aux")?, "DT_VERDEF")?;
                names.push(DefinedVersion { name: self.string(aux.word(0))?, index: definition.half(4) });
            }
            if definition.word(16) == 0 {
                break;
            }
            at = add(at, definition.word(16), "vd_next")?;
        }
        Ok(names)
    }

    fn record<const N: usize>(&mut self, offset: u64, field: &'static str) -> Result<Record<N>, ElfError> {
        let bytes = self.reader.open_ended(self.strings.window(), self.scratch, (offset, N as u64), field)?;
        let bytes = bytes[..N].try_into().expect("at least N bytes were asked for");
        Ok(Record { bytes, little_endian: self.little_endian })
    }

    fn string(&self, index: u32) -> Result<Name, ElfError> {
        self.strings.get(index.into())
    }
}

fn add(at: u64, delta: u32, field: &'static str) -> Result<u64, ElfError> {
    at.checked_add(delta.into()).ok_or(ElfError::OutOfRange { field })
}

/// The bytes of one record, with its halves (2 bytes) and words (4 bytes) by offset.
struct Record<const N: usize> {
    bytes: [u8; N],
    little_endian: bool,
}

impl<const N: usize> Record<N> {
    fn half(&self, at: usize) -> u16 {
        let bytes = [self.bytes[at], self.bytes[at + 1]];
        if self.little_endian { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) }
    }

    fn word(&self, at: usize) -> u32 {
        let bytes = [self.bytes[at], self.bytes[at + 1], self.bytes[at + 2], self.bytes[at + 3]];
        if self.little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }
    }
}
