//! What POSIX knows of a file and ISO 9660 does not: Rock Ridge 1.12 entries in the system use fields of directory
//! records (SUSP 1.12, RRIP 1.12).
//!
//! A directory record has room for some 200 bytes, so long names and targets continue elsewhere, in areas that a `CE`
//! entry points to. Every area stays within one sector: the Linux kernel refuses others (fs/isofs/rock.c,
//! `rock_continue`).
//!
//! There are no `TF` entries: all dates of an image are the one epoch, which the directory record itself holds.

mod read;
mod write;

pub use read::{Attached, SystemUseReader};
pub use write::{SystemUse, device, extension_reference, name, posix, sharing_protocol, symlink};

/// Flag of `NM` and `SL` entries and of `SL` components: goes on in the next one.
const CONTINUE: u8 = 1;

/// Flags of `SL` components.
const CURRENT: u8 = 2;
const PARENT: u8 = 4;
const ROOT: u8 = 8;

/// What `stat` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posix {
    /// Type and permissions, as in `st_mode`.
    pub mode: u32,
    pub links: u32,
    pub uid: u32,
    pub gid: u32,
    /// Unique in the image.
    pub serial: u32,
}
