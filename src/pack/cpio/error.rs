//! What can be wrong with an initramfs file, in the kernel's words where it has any.

use std::fmt;
use std::io;

/// Why a file is no initramfs, or not a whole one.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the archive at {place}")]
pub struct ReadError {
    pub place: Place,
    #[source]
    pub problem: Problem,
}

/// An offset in the file, or in what a segment of the file unpacks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Where the compressed segment begins; `None` when `offset` counts in the file itself.
    pub segment: Option<u64>,
    pub offset: u64,
}

/// What is wrong; where the kernel has words for it, they are in the message.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("the file ends in the middle of {0}")]
    Truncated(&'static str),
    #[error("no cpio magic (`070701` or `070702`)")]
    Magic,
    #[error("incorrect cpio method used: `070707` is the old format, the kernel wants newc")]
    OldFormat,
    #[error("the field {0} is not hexadecimal")]
    NotHexadecimal(&'static str),
    #[error("the name has {0} bytes, 2 to 4096 are allowed with the NUL")]
    NameSize(u32),
    #[error("the name has no NUL at its end")]
    NameWithoutNul,
    #[error("the target of the symlink has {0} bytes, 1 to 4096 are allowed")]
    TargetSize(u32),
    #[error("a member that is neither file nor symlink has {0} bytes of data")]
    UnexpectedData(u32),
    #[error("bad data checksum")]
    Checksum,
    #[error("broken padding: the zeros end at an offset that is no multiple of 4")]
    Padding,
    #[error("junk within compressed archive")]
    Junk,
    #[error("invalid magic at start of compressed archive")]
    UnknownCompression,
    #[error("it is compressed with {0}, which minroot does not read")]
    Unsupported(&'static str),
    #[error("its xz check is number {0}: the kernel reads streams with CRC32 (1) or without check (0)")]
    XzCheck(u8),
    #[error("it unpacks to more than {0} bytes")]
    Limit(u64),
    #[error("decompressor failed")]
    Decompress(#[source] io::Error),
    #[error("the file cannot be read")]
    Io(#[source] io::Error),
    #[error("the member cannot be used")]
    Visit(#[source] io::Error),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.segment {
            Some(segment) => write!(f, "offset {} of what unpacks from offset {segment}", self.offset),
            None => write!(f, "offset {}", self.offset),
        }
    }
}
