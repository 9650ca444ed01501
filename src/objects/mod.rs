//! Bytes in, facts out: what a file of the root refers to, read without opening any other file.
//!
//! Nothing here does I/O of its own. A caller hands over [`Ranges`], a file of which pieces can be asked for, because
//! the pieces needed are few: of an ELF object the header, the program headers, `PT_DYNAMIC` and the tables it points
//! at, never the section headers and never the whole file.

pub mod dlopen;
pub mod elf;
pub mod script;
pub mod shell;
pub mod strings;

use std::io;

/// A sequence of bytes that can be read at any place: a file, or a slice in tests and images.
pub trait Ranges {
    /// Length in bytes.
    fn size(&self) -> u64;

    /// Fills `buffer` from `offset`; gives how many bytes there were before the end.
    ///
    /// # Errors
    /// The host's error.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Ranges for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.get(start..)).unwrap_or(&[]);
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

/// What the first bytes of a file say it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Elf,
    Script,
    /// Anything else: data, which refers to nothing by itself.
    Data,
}

/// Tells an object from data by its leading bytes, as the kernel's `binfmt` handlers do.
pub fn sniff(head: &[u8]) -> Format {
    if head.starts_with(&goblin::elf::header::ELFMAG[..]) {
        Format::Elf
    } else if head.starts_with(b"#!") {
        Format::Script
    } else {
        Format::Data
    }
}
