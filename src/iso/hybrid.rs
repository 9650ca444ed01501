//! The partition tables that make a CD image boot as a disk as well: an MBR and a GPT in front, a second GPT at the end.
//!
//! ISO 9660 leaves the first 32 KiB of a volume to others. A BIOS loads the first 512 bytes, isolinux's MBR program,
//! which loads isolinux.bin from the block number that is patched into it; UEFI firmware finds the FAT file system
//! through the GPT (UEFI specification 2.10, section 5). Both tables have one real partition, the EFI system partition.

use super::bytes::{put, u16_at, u32_at, u64_at};
use super::output::{Identity, Piece};
use super::{Blob, DISK_BLOCK, ReadError};
use std::ops::Range;

/// Bytes that the second GPT needs at the end of the image: its header, and the entries in front of it.
pub const BACKUP_BYTES: u64 = DISK_BLOCK + ENTRIES_BYTES;

/// The most boot code that an MBR has room for: isolinux's program, behind which its block number follows.
pub const MAX_BOOT_CODE: usize = 432;

const BLOCK: usize = DISK_BLOCK as usize;

/// The specification asks for room for 128 entries whatever their number (section 5.3.1).
const ENTRIES: u32 = 128;
const ENTRY: usize = 128;
const ENTRIES_BYTES: u64 = ENTRIES as u64 * ENTRY as u64;
const ENTRIES_BLOCKS: u64 = ENTRIES_BYTES / DISK_BLOCK;

const HEADER_BYTES: usize = 92;
const GPT_SIGNATURE: &[u8] = b"EFI PART";

/// Offsets in the MBR.
const MBR_PROGRAM_BLOCK: usize = MAX_BOOT_CODE;
const MBR_SIGNATURE: usize = 440;
const MBR_TABLE: usize = 446;

/// Partition types of an MBR.
const TYPE_GPT_PROTECTIVE: u8 = 0xee;
const TYPE_HIDDEN_NTFS: u8 = 0x17; // what isohybrid calls its partition; no system mounts it by itself

/// `C12A7328-F81F-11D2-BA4B-00A0C93EC93B`, the EFI system partition, in the byte order of a GPT.
const EFI_SYSTEM: [u8; 16] =
    [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];

/// What the tables have to say of an image.
#[derive(Debug)]
pub struct Disk {
    /// Bytes of the image, a whole number of blocks.
    pub size: u64,
    pub bios: Option<BiosBoot>,
    /// The bytes of the image that are the EFI system partition, from and to whole blocks.
    pub esp: Option<Range<u64>>,
}

/// How a BIOS starts the image as a disk.
#[derive(Debug)]
pub struct BiosBoot {
    /// At most [`MAX_BOOT_CODE`] bytes.
    pub code: Vec<u8>,
    /// Where the program lies that the code loads, in bytes.
    pub program: u64,
}

impl Disk {
    /// The MBR and both GPTs; without an EFI system partition the MBR alone.
    pub fn pieces(&self, identity: &Identity) -> Vec<Piece> {
        let mbr = Piece { offset: 0, blob: Blob::from_bytes(self.mbr(identity)) };
        let Some(esp) = &self.esp else { return vec![mbr] };
        let entries = gpt_entries(esp, identity);
        let last = self.size / DISK_BLOCK - 1;
        let backup_entries = last - ENTRIES_BLOCKS;
        let header = |own: u64, other: u64, first_entry: u64| {
            gpt_header(&GptHeader {
                own,
                other,
                usable: 2 + ENTRIES_BLOCKS..=backup_entries - 1,
                disk: identity.disk_guid(),
                first_entry,
                entries_crc: crc32fast::hash(&entries),
            })
        };
        let front = [&header(1, last, 2)[..], &entries].concat();
        let back = [&entries[..], &header(last, 1, backup_entries)].concat();
        vec![
            mbr,
            Piece { offset: DISK_BLOCK, blob: Blob::from_bytes(front) },
            Piece { offset: backup_entries * DISK_BLOCK, blob: Blob::from_bytes(back) },
        ]
    }

    fn mbr(&self, identity: &Identity) -> Vec<u8> {
        let mut mbr = vec![0; BLOCK];
        if let Some(bios) = &self.bios {
            put(&mut mbr, 0, &bios.code);
            put(&mut mbr, MBR_PROGRAM_BLOCK, &(bios.program / DISK_BLOCK).to_le_bytes());
        }
        put(&mut mbr, MBR_SIGNATURE, &identity.mbr_signature().to_le_bytes());
        let blocks = u32::try_from(self.size / DISK_BLOCK).unwrap_or(u32::MAX);
        let partitions = if self.esp.is_some() {
            // Firmware takes the GPT only with a protective entry that begins at 1 and is not active (EDK II,
            // PartitionDxe/Gpt.c). Many a BIOS boots only a disk that has an active entry, so there is one, of no type.
            vec![
                MbrPartition {
                    active: false,
                    kind: TYPE_GPT_PROTECTIVE,
                    first_block: 1,
                    blocks: blocks.saturating_sub(1),
                },
                MbrPartition { active: true, kind: 0, first_block: 0, blocks: 1 },
            ]
        } else {
            vec![MbrPartition { active: true, kind: TYPE_HIDDEN_NTFS, first_block: 0, blocks }]
        };
        for (index, partition) in partitions.iter().enumerate() {
            put(&mut mbr, MBR_TABLE + 16 * index, &partition.to_bytes());
        }
        put(&mut mbr, 510, &[0x55, 0xaa]);
        mbr
    }
}

/// An entry of an MBR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MbrPartition {
    pub active: bool,
    pub kind: u8,
    pub first_block: u32,
    pub blocks: u32,
}

impl MbrPartition {
    pub(super) fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[0] = if self.active { 0x80 } else { 0 };
        put(&mut bytes, 1, &cylinder_head_sector(self.first_block));
        bytes[4] = self.kind;
        let last = self.first_block.saturating_add(self.blocks.saturating_sub(1));
        put(&mut bytes, 5, &cylinder_head_sector(last));
        put(&mut bytes, 8, &self.first_block.to_le_bytes());
        put(&mut bytes, 12, &self.blocks.to_le_bytes());
        bytes
    }
}

/// A block in the old notation, with 255 heads and 63 sectors; beyond its reach the highest value.
fn cylinder_head_sector(block: u32) -> [u8; 3] {
    let (track, sector) = (block / 63, block % 63 + 1);
    let (cylinder, head) = (track / 255, track % 255);
    if cylinder > 1023 {
        return [0xfe, 0xff, 0xff];
    }
    [head as u8, (sector | cylinder >> 8 << 6) as u8, cylinder as u8]
}

struct GptHeader {
    /// The blocks of this header and of the other one.
    own: u64,
    other: u64,
    usable: std::ops::RangeInclusive<u64>,
    disk: [u8; 16],
    first_entry: u64,
    entries_crc: u32,
}

fn gpt_header(header: &GptHeader) -> [u8; BLOCK] {
    let mut bytes = [0; BLOCK];
    put(&mut bytes, 0, GPT_SIGNATURE);
    put(&mut bytes, 8, &0x0001_0000u32.to_le_bytes());
    put(&mut bytes, 12, &(HEADER_BYTES as u32).to_le_bytes());
    put(&mut bytes, 24, &header.own.to_le_bytes());
    put(&mut bytes, 32, &header.other.to_le_bytes());
    put(&mut bytes, 40, &header.usable.start().to_le_bytes());
    put(&mut bytes, 48, &header.usable.end().to_le_bytes());
    put(&mut bytes, 56, &header.disk);
    put(&mut bytes, 72, &header.first_entry.to_le_bytes());
    put(&mut bytes, 80, &ENTRIES.to_le_bytes());
    put(&mut bytes, 84, &(ENTRY as u32).to_le_bytes());
    put(&mut bytes, 88, &header.entries_crc.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..HEADER_BYTES]);
    put(&mut bytes, 16, &crc.to_le_bytes());
    bytes
}

fn gpt_entries(esp: &Range<u64>, identity: &Identity) -> Vec<u8> {
    let mut entries = vec![0; ENTRIES_BYTES as usize];
    put(&mut entries, 0, &EFI_SYSTEM);
    put(&mut entries, 16, &identity.partition_guid());
    put(&mut entries, 32, &(esp.start / DISK_BLOCK).to_le_bytes());
    put(&mut entries, 40, &(esp.end / DISK_BLOCK - 1).to_le_bytes());
    for (index, unit) in "EFI system".encode_utf16().enumerate() {
        put(&mut entries, 56 + 2 * index, &unit.to_le_bytes());
    }
    entries
}

/// The partition tables of a finished image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionTables {
    /// The entries of the MBR that are in use.
    pub mbr: Vec<MbrPartition>,
    /// The block that isolinux's MBR program loads, if there is boot code at all.
    pub program_block: Option<u64>,
    /// The partitions of the GPT; `None` without one.
    pub gpt: Option<Vec<GptPartition>>,
}

/// An entry of a GPT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GptPartition {
    pub is_efi_system: bool,
    pub guid: [u8; 16],
    /// Blocks, the last one included.
    pub first_block: u64,
    pub last_block: u64,
}

/// Reads the tables of an image; `None` when it has no MBR. Both GPTs are read and must agree.
///
/// # Errors
/// A GPT with wrong checksums or that leads out of the image.
pub fn read_tables(image: &Blob) -> Result<Option<PartitionTables>, ReadError> {
    let mbr: [u8; BLOCK] = image.array(0, "MBR")?;
    if mbr[510..] != [0x55, 0xaa] {
        return Ok(None);
    }
    let partition = |index: usize| {
        let entry = &mbr[MBR_TABLE + 16 * index..];
        MbrPartition {
            active: entry[0] == 0x80,
            kind: entry[4],
            first_block: u32_at(entry, 8),
            blocks: u32_at(entry, 12),
        }
    };
    let used: Vec<_> = (0..4).map(partition).filter(|partition| partition.blocks > 0).collect();
    let gpt = if used.iter().any(|partition| partition.kind == TYPE_GPT_PROTECTIVE) {
        let (front, backup) = read_gpt(image, 1, "GPT")?;
        let (back, _) = read_gpt(image, backup, "second GPT")?;
        if front != back {
            return Err(ReadError::damaged("second GPT", "it differs from the first"));
        }
        Some(front)
    } else {
        None
    };
    let has_code = u16_at(&mbr, 0) != 0;
    Ok(Some(PartitionTables { mbr: used, program_block: has_code.then(|| u64_at(&mbr, MBR_PROGRAM_BLOCK)), gpt }))
}

/// The used entries of the GPT whose header is at `block`, and the block of the other header.
fn read_gpt(image: &Blob, block: u64, structure: &'static str) -> Result<(Vec<GptPartition>, u64), ReadError> {
    let damaged = |problem: String| ReadError::damaged(structure, problem);
    let in_bytes =
        |block: u64| block.checked_mul(DISK_BLOCK).ok_or_else(|| damaged(format!("block {block} is beyond any disk")));
    let mut header: [u8; BLOCK] = image.array(in_bytes(block)?, structure)?;
    if !header.starts_with(GPT_SIGNATURE) || u64_at(&header, 24) != block {
        return Err(damaged(format!("no header at block {block}")));
    }
    let header_bytes = u32_at(&header, 12) as usize;
    if !(HEADER_BYTES..=BLOCK).contains(&header_bytes) {
        return Err(damaged(format!("a header of {header_bytes} bytes")));
    }
    let expected = u32_at(&header, 16);
    put(&mut header, 16, &[0; 4]);
    if crc32fast::hash(&header[..header_bytes]) != expected {
        return Err(damaged("wrong checksum of the header".into()));
    }
    let (count, entry_bytes) = (u64::from(u32_at(&header, 80)), u64::from(u32_at(&header, 84)));
    if entry_bytes < ENTRY as u64 {
        return Err(damaged(format!("entries of {entry_bytes} bytes")));
    }
    let entries = image.vector(in_bytes(u64_at(&header, 72))?, count * entry_bytes, structure)?;
    if crc32fast::hash(&entries) != u32_at(&header, 88) {
        return Err(damaged("wrong checksum of the entries".into()));
    }
    let blocks = image.len() / DISK_BLOCK;
    let mut partitions = Vec::new();
    for entry in entries.chunks_exact(entry_bytes as usize).filter(|entry| entry[..16] != [0; 16]) {
        let (first_block, last_block) = (u64_at(entry, 32), u64_at(entry, 40));
        if first_block > last_block || last_block >= blocks {
            return Err(damaged(format!("a partition from block {first_block} to {last_block} of {blocks}")));
        }
        let guid = std::array::from_fn(|i| entry[16 + i]);
        partitions.push(GptPartition { is_efi_system: entry[..16] == EFI_SYSTEM, guid, first_block, last_block });
    }
    Ok((partitions, u64_at(&header, 32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 1 << 20;

    fn image(disk: &Disk) -> Vec<u8> {
        let mut bytes = vec![0; disk.size as usize];
        for piece in disk.pieces(&Identity::for_test()) {
            let content = piece.blob.read().unwrap();
            bytes[piece.offset as usize..][..content.len()].copy_from_slice(&content);
        }
        bytes
    }

    fn both() -> Disk {
        let bios = BiosBoot { code: vec![0x33; 432], program: 60 * 2048 };
        Disk { size: SIZE, bios: Some(bios), esp: Some(100 * 2048..200 * 2048) }
    }

    #[test]
    fn tables_are_read_back() {
        let bytes = image(&both());
        let tables = read_tables(&Blob::from_bytes(bytes)).unwrap().unwrap();
        assert_eq!(tables.program_block, Some(240));
        assert_eq!(tables.mbr[0], MbrPartition { active: false, kind: 0xee, first_block: 1, blocks: 2047 });
        let gpt = tables.gpt.unwrap();
        assert_eq!(gpt.len(), 1);
        assert!(gpt[0].is_efi_system);
        assert_eq!((gpt[0].first_block, gpt[0].last_block), (400, 799));
    }

    #[test]
    fn without_an_efi_system_partition_there_is_one_active_partition_and_no_gpt() {
        let bytes = image(&Disk { esp: None, ..both() });
        let tables = read_tables(&Blob::from_bytes(bytes)).unwrap().unwrap();
        assert_eq!(tables.mbr, [MbrPartition { active: true, kind: 0x17, first_block: 0, blocks: 2048 }]);
        assert_eq!(tables.gpt, None);
    }

    #[test]
    fn every_damaged_byte_of_a_gpt_is_noticed() {
        let good = image(&both());
        let last = good.len() - 512;
        for position in (512..512 + HEADER_BYTES).chain(1024..1024 + 128).chain(last..last + HEADER_BYTES) {
            let mut bad = good.clone();
            bad[position] ^= 0x40;
            assert!(read_tables(&Blob::from_bytes(bad)).is_err(), "byte {position}");
        }
        assert!(read_tables(&Blob::from_bytes(&good[..good.len() - 512])).is_err());
        assert!(read_tables(&Blob::from_bytes(&good[..100])).is_err());
    }

    #[test]
    fn huge_entry_counts_allocate_nothing() {
        let mut bytes = image(&both());
        put(&mut bytes, 512 + 80, &[0xff; 8]);
        put(&mut bytes, 512 + 16, &[0; 4]);
        let crc = crc32fast::hash(&bytes[512..512 + HEADER_BYTES]);
        put(&mut bytes, 512 + 16, &crc.to_le_bytes());
        assert!(read_tables(&Blob::from_bytes(bytes)).is_err());
    }

    #[test]
    fn blocks_in_the_old_notation() {
        assert_eq!(cylinder_head_sector(0), [0, 1, 0]);
        assert_eq!(cylinder_head_sector(63), [1, 1, 0]);
        assert_eq!(cylinder_head_sector(255 * 63 * 300), [0, 1 | 1 << 6, 44]);
        assert_eq!(cylinder_head_sector(u32::MAX), [0xfe, 0xff, 0xff]);
    }
}
