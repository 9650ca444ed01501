//! What the ISOs of all systems are put together from.

use super::eltorito::{self, Platform};
use super::fat::FatImage;
use super::iso9660::{Attributes, ExtentId, IsoError, IsoLayout, Node, Range, Volume};
use super::output::{Identity, Piece};
use super::{Blob, CD_SECTOR};
use crate::path::RootPath;

/// Where the bytes of an ISO went, or of a tree for the network; the fields add up to its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsoReport {
    pub kernel: u64,
    pub archive: u64,
    /// The files of the boot loaders, as far as they are on the medium.
    pub loaders: u64,
    /// File systems, partition tables, loader configuration, rest of the last sector of files; of a tree, what minroot
    /// wrote itself.
    pub overhead: u64,
}

impl IsoReport {
    /// Of `total` bytes.
    pub(super) fn new(total: u64, kernel: u64, archive: u64, loaders: u64) -> IsoReport {
        IsoReport { kernel, archive, loaders, overhead: total - kernel - archive - loaders }
    }

    /// Bytes of the whole.
    pub fn total(&self) -> u64 {
        self.kernel + self.archive + self.loaders + self.overhead
    }
}

/// How much of its boot program a BIOS loads: 2048 bytes, which load the rest.
const LOAD_BLOCKS: u16 = 4;

/// Adds the program that a BIOS starts from CD.
pub(super) fn add_boot_program(volume: &mut Volume, place: &RootPath, program: &[u8]) -> Result<ExtentId, IsoError> {
    let extent = volume.add_extent_with_info_table(program.to_vec())?;
    volume.add(place, FILE, whole(extent, program.len() as u64))?;
    volume.add_boot_image(extent, Platform::Bios, LOAD_BLOCKS);
    Ok(extent)
}

/// The FAT file system that UEFI firmware reads, which is one extent of the ISO.
pub(super) struct EfiPartition {
    pub extent: ExtentId,
    pub fat: FatImage,
}

impl EfiPartition {
    /// Adds the file system to the volume and makes it bootable.
    pub(super) fn add(volume: &mut Volume, fat: FatImage) -> EfiPartition {
        let extent = volume.add_extent_of_pieces(fat.size(), fat.pieces());
        volume.add_boot_image(extent, Platform::Uefi, eltorito::uefi_load_blocks(fat.size()));
        EfiPartition { extent, fat }
    }

    /// Where it is in the ISO, in bytes.
    pub(super) fn range(&self, layout: &IsoLayout) -> std::ops::Range<u64> {
        let start = offset_of(layout, self.extent);
        start..start + self.fat.size()
    }

    /// Its sectors that carry a serial number, where they are in the ISO.
    pub(super) fn boot_sectors(&self, layout: &IsoLayout, identity: &Identity) -> impl Iterator<Item = Piece> {
        let start = offset_of(layout, self.extent);
        let sectors = self.fat.boot_sectors(identity.fat_serial()).into_iter();
        sectors.map(move |piece| Piece { offset: start + piece.offset, ..piece })
    }
}

/// Where an extent begins, in bytes.
pub(super) fn offset_of(layout: &IsoLayout, extent: ExtentId) -> u64 {
    u64::from(layout.sector_of(extent)) * CD_SECTOR
}

/// A file that everybody may read.
pub(super) const FILE: Attributes = Attributes { mode: 0o644, uid: 0, gid: 0 };

/// A file that is an extent from its beginning.
pub(super) fn whole(extent: ExtentId, size: u64) -> Node {
    Node::File(Range { extent, offset: 0, size })
}

pub(super) fn text(text: String) -> Blob {
    Blob::from_bytes(text.into_bytes())
}

pub(super) fn path(constant: &str) -> RootPath {
    RootPath::new(constant).expect("internal error: a constant is no path")
}
