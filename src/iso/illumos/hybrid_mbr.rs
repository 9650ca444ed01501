//! The boot sectors that start an illumos ISO from a disk: what installboot(8) and fdisk(8) would write, in the 32 KiB
//! that ISO 9660 leaves free.
//!
//! ```text
//! block  0          pmbr: where isoboot is, and the partition table
//!        3          partition 1 (0xbe): a copy of block 0
//!        4 .. 62    isoboot, which reads /boot/loader from the ISO 9660 file system
//! ```
//!
//! The surprising thing is isoboot's multiboot header: installboot overwrites its `bss_end_addr` *and* the field behind
//! it with a 64-bit block number (usr/src/cmd/boot/installboot/i386/installboot.c, prepare_bootblock).

use crate::iso::bytes::{put, u32_at};
use crate::iso::hybrid::MbrPartition;
use crate::iso::output::{Identity, Piece};
use crate::iso::{Blob, DISK_BLOCK};
use std::ops::Range;

/// Where partition 1 begins, and how many blocks it has.
const PARTITION_BLOCK: u32 = 3;
const PARTITION_BLOCKS: u32 = 60;

/// Block 0 of the partition is for the copy of the MBR.
const ISOBOOT_BLOCK: u32 = PARTITION_BLOCK + 1;

/// The most bytes of isoboot that there is room for.
pub const MAX_ISOBOOT: usize = (PARTITION_BLOCKS as usize - 1) * BLOCK;

const BLOCK: usize = DISK_BLOCK as usize;

/// Partition types: `X86BOOT` of sys/dktp/fdisk.h, and the EFI system partition.
const TYPE_X86BOOT: u8 = 0xbe;
const TYPE_EFI: u8 = 0xef;

/// Offsets in pmbr (usr/src/cmd/boot/installboot/i386/installboot.h). Its program ends where the signature is.
const STAGE2_BLOCKS: usize = 0xfc;
const STAGE2_BLOCK: usize = 0xfe;
const DISK_UUID: usize = 0x106;
const SIGNATURE: usize = 0x1b8;
const TABLE: usize = 0x1be;
const MAGIC: usize = 0x1fe;

/// The multiboot header (Multiboot specification 0.6.96, section 3.1): within so many bytes, at a multiple of 4.
const MULTIBOOT_SCAN: usize = 8192;
const MULTIBOOT_MAGIC: u32 = 0x1bad_b002;
const MULTIBOOT_BSS_END: usize = 24;
const MULTIBOOT_HEADER: usize = 32;

/// What the boot sectors are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HybridMbr {
    pmbr: Vec<u8>,
    isoboot: Vec<u8>,
}

/// Why a root's programs cannot start a disk.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HybridMbrError {
    #[error("`boot/pmbr` has {0} bytes, and a boot sector has 512")]
    NoBootSector(usize),
    #[error("`boot/isoboot` has {0} bytes, more than the {MAX_ISOBOOT} between the boot sector and the file system")]
    IsobootTooLong(usize),
    #[error("`boot/isoboot` is empty")]
    NoIsoboot,
}

impl HybridMbr {
    /// From the files `boot/pmbr` and `boot/isoboot`.
    ///
    /// # Errors
    /// [`HybridMbrError`]
    pub fn new(pmbr: Vec<u8>, mut isoboot: Vec<u8>) -> Result<HybridMbr, HybridMbrError> {
        if pmbr.len() != BLOCK {
            return Err(HybridMbrError::NoBootSector(pmbr.len()));
        }
        if isoboot.is_empty() {
            // With a size of 0 pmbr says "No boot loader".
            return Err(HybridMbrError::NoIsoboot);
        }
        if isoboot.len() > MAX_ISOBOOT {
            return Err(HybridMbrError::IsobootTooLong(isoboot.len()));
        }
        if let Some(header) = multiboot_header(&isoboot) {
            put(&mut isoboot, header + MULTIBOOT_BSS_END, &u64::from(PARTITION_BLOCK).to_le_bytes());
        }
        isoboot.resize(isoboot.len().next_multiple_of(BLOCK), 0);
        Ok(HybridMbr { pmbr, isoboot })
    }

    /// The boot sectors; `efi` is where the FAT image is in the file, in bytes, from and to whole blocks.
    pub fn pieces(&self, efi: Option<&Range<u64>>, identity: &Identity) -> Vec<Piece> {
        let mbr = Blob::from_bytes(self.mbr(efi, identity));
        let at = |block: u32, blob: Blob| Piece { offset: u64::from(block) * DISK_BLOCK, blob };
        vec![at(0, mbr.clone()), at(PARTITION_BLOCK, mbr), at(ISOBOOT_BLOCK, Blob::from_bytes(&self.isoboot[..]))]
    }

    fn mbr(&self, efi: Option<&Range<u64>>, identity: &Identity) -> Vec<u8> {
        let mut mbr = self.pmbr.clone();
        let blocks = (self.isoboot.len() / BLOCK) as u16; // at most 59
        put(&mut mbr, STAGE2_BLOCKS, &blocks.to_le_bytes());
        put(&mut mbr, STAGE2_BLOCK, &u64::from(ISOBOOT_BLOCK).to_le_bytes());
        put(&mut mbr, DISK_UUID, &identity.disk_guid());
        mbr[SIGNATURE..MAGIC].fill(0);
        put(&mut mbr, SIGNATURE, &identity.mbr_signature().to_le_bytes());
        // Many a BIOS starts only a disk that has an active partition.
        let boot =
            MbrPartition { active: true, kind: TYPE_X86BOOT, first_block: PARTITION_BLOCK, blocks: PARTITION_BLOCKS };
        put(&mut mbr, TABLE, &boot.to_bytes());
        if let Some(efi) = efi {
            let in_blocks = |bytes: u64| u32::try_from(bytes / DISK_BLOCK).unwrap_or(u32::MAX);
            let (first_block, blocks) = (in_blocks(efi.start), in_blocks(efi.end - efi.start));
            let efi = MbrPartition { active: false, kind: TYPE_EFI, first_block, blocks };
            put(&mut mbr, TABLE + 16, &efi.to_bytes());
        }
        put(&mut mbr, MAGIC, &[0x55, 0xaa]);
        mbr
    }
}

/// Where the multiboot header begins: the magic, flags and a checksum that makes their sum 0.
fn multiboot_header(program: &[u8]) -> Option<usize> {
    let last = program.len().min(MULTIBOOT_SCAN).checked_sub(MULTIBOOT_HEADER)?;
    (0..=last).step_by(4).find(|&at| {
        let sum = u32_at(program, at).wrapping_add(u32_at(program, at + 4)).wrapping_add(u32_at(program, at + 8));
        u32_at(program, at) == MULTIBOOT_MAGIC && sum == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iso::hybrid::read_tables;

    fn image(isoboot: Vec<u8>, efi: Option<&Range<u64>>) -> Vec<u8> {
        let mut bytes = vec![0; 1 << 20];
        let hybrid = HybridMbr::new(vec![0x33; BLOCK], isoboot).unwrap();
        for piece in hybrid.pieces(efi, &Identity::for_test()) {
            let content = piece.blob.read().unwrap();
            bytes[piece.offset as usize..][..content.len()].copy_from_slice(&content);
        }
        bytes
    }

    #[test]
    fn the_boot_sector_says_where_isoboot_is_and_how_long() {
        let bytes = image(vec![0x77; 3 * 512 + 1], Some(&(0x20000..0x30000)));
        assert_eq!(bytes[0xfc..0xfe], [4, 0]);
        assert_eq!(bytes[0xfe..0x106], 4u64.to_le_bytes());
        assert_eq!(bytes[3 * 512..4 * 512], bytes[..512]);
        assert_eq!(bytes[4 * 512..7 * 512 + 1], [0x77; 3 * 512 + 1]);
        assert_eq!((bytes[0], bytes[0x1b7], bytes[7 * 512 + 1]), (0x33, 0x33, 0));
        let tables = read_tables(&Blob::from_bytes(bytes)).unwrap().unwrap();
        let boot = MbrPartition { active: true, kind: 190, first_block: 3, blocks: 60 };
        let efi = MbrPartition { active: false, kind: 239, first_block: 256, blocks: 128 };
        assert_eq!((tables.mbr, tables.gpt), (vec![boot, efi], None));
    }

    #[test]
    fn isoboot_is_told_the_block_of_its_partition() {
        let mut isoboot = vec![0xff; 1024];
        for (at, word) in [(64, 0x1bad_b002), (68, 0x0001_0000), (72, (0x1bad_b002u32 + 0x0001_0000).wrapping_neg())] {
            put(&mut isoboot, at, &u32::to_le_bytes(word));
        }
        let bytes = image(isoboot, None);
        let header = 4 * 512 + 64;
        assert_eq!(bytes[header + 24..header + 32], 3u64.to_le_bytes());
        assert_eq!((bytes[header + 23], bytes[header + 32]), (0xff, 0xff));
    }

    #[test]
    fn the_largest_isoboot_ends_before_the_file_system() {
        let bytes = image(vec![0x77; MAX_ISOBOOT], None);
        assert_eq!(bytes.iter().rposition(|byte| *byte == 0x77), Some(63 * 512 - 1));
        let error = |pmbr, isoboot| HybridMbr::new(vec![0; pmbr], vec![0; isoboot]).unwrap_err();
        assert_eq!(error(512, MAX_ISOBOOT + 1), HybridMbrError::IsobootTooLong(MAX_ISOBOOT + 1));
        assert_eq!(error(440, 1), HybridMbrError::NoBootSector(440));
        assert_eq!(error(512, 0), HybridMbrError::NoIsoboot);
    }
}
