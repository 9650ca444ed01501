//! Bootable images: a kernel, its archive and boot loaders become one ISO file, which is read back by our own reader.
//!
//! ```text
//! Loaders ─┐
//! kernel  ─┼─► linux ─► fat ──► iso9660 + rock_ridge + eltorito ─► hybrid ─► one file
//! archive ─┘            (UEFI)  (CD tree and boot catalog)        (MBR, GPT)
//!                                                                     read ◄──┘
//! ```
//!
//! The surprising thing is that the kernel and the archive are stored once although two file systems name them: the
//! FAT file system that UEFI firmware reads lies inside the ISO with its clusters on CD sectors, and the ISO 9660
//! directory records of `/boot/vmlinuz` and `/boot/initrd.img` point into it.
//!
//! [`illumos`] does the same for the boot archive of illumos, with the loaders of that system.
//!
//! All numbers that have to differ between images (FAT serial, disk and partition GUIDs) come from a digest of the
//! content, all dates from one epoch given by the caller, so that equal inputs give equal bytes.

mod blob;
mod bytes;
pub mod eltorito;
pub mod fat;
pub mod hybrid;
pub mod illumos;
pub mod iso9660;
mod linux;
mod loaders;
mod names;
mod output;
mod parts;
mod read;
mod rock_ridge;

pub use blob::Blob;
pub(crate) use blob::BlobReader;
pub use linux::{LinuxIso, LinuxIsoError, write_linux_iso};
pub use loaders::{BiosLoader, Loaders, LoadersError, UefiLoader};
pub use output::{Identity, Piece, write_image};
pub use parts::IsoReport;
pub(crate) use read::ISOLINUX_DIRECTORIES;
pub use read::{IsoEntry, IsoImage, IsoKind};

/// Bytes in a logical sector of a CD, the unit of every address in ISO 9660 and El Torito.
pub const CD_SECTOR: u64 = 2048;

/// Bytes in a block of a disk, the unit of every address in an MBR and a GPT.
pub const DISK_BLOCK: u64 = 512;

/// What helps when an archive is too large for its medium.
const TOO_LARGE: &str = "`minroot size -m MANIFEST` tells what is large; large data can be on a disk of its own";

/// Why a finished image cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("cannot read the {structure}")]
    Io { structure: &'static str, source: std::io::Error },
    #[error("the {structure} is damaged: {problem}")]
    Damaged { structure: &'static str, problem: String },
    #[error("no such file in the image: `{0}`")]
    NotFound(String),
}

impl ReadError {
    fn damaged(structure: &'static str, problem: impl Into<String>) -> ReadError {
        ReadError::Damaged { structure, problem: problem.into() }
    }
}
