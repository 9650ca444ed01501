//! The boot catalog of a CD: which image the firmware starts, and for which platform ("El Torito" Bootable CD-ROM
//! Format Specification 1.0).
//!
//! The surprising thing is the length field of 16 bits, in units of 512 bytes: an EFI image of 32 MiB or more does not
//! fit. The UEFI specification (2.10, section 13.3.2.1) therefore reads a length of 0 or 1 as "to the end of the CD-ROM",
//! as EDK II does (MdeModulePkg/Universal/Disk/PartitionDxe/ElTorito.c: `SectorCount < 2`).

use super::bytes::{put, u16_at, u32_at};
use super::{CD_SECTOR, DISK_BLOCK, ReadError};

/// The platform of a boot image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// 0: started by a BIOS as 80x86 code.
    Bios,
    /// 0xEF: a FAT file system for UEFI firmware.
    Uefi,
    Other(u8),
}

/// An entry of the boot catalog: a no-emulation boot image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogEntry {
    pub platform: Platform,
    pub bootable: bool,
    /// The CD sector where the image begins.
    pub sector: u32,
    /// How much the firmware loads (BIOS) or the image has (UEFI), in units of 512 bytes.
    pub load_blocks: u16,
}

/// The length to the end of the medium. 1 rather than 0, as that is what installation media of Windows have and
/// thus all firmware has met.
const TO_THE_END: u16 = 1;

const VALIDATION_ENTRY: u8 = 1;
const BOOTABLE: u8 = 0x88;
const MORE_SECTIONS: u8 = 0x90;
const LAST_SECTION: u8 = 0x91;
const ENTRY: usize = 32;

const SYSTEM: &[u8] = b"EL TORITO SPECIFICATION";

/// Where the boot info table begins in a boot image.
const INFO_TABLE: usize = 8;

/// Where the boot info table ends, and the part of the image begins that its checksum covers.
pub const INFO_TABLE_END: usize = 64;

impl Platform {
    fn id(self) -> u8 {
        match self {
            Platform::Bios => 0,
            Platform::Uefi => 0xef,
            Platform::Other(id) => id,
        }
    }

    fn of(id: u8) -> Platform {
        match id {
            0 => Platform::Bios,
            0xef => Platform::Uefi,
            id => Platform::Other(id),
        }
    }
}

impl CatalogEntry {
    /// The length of the image in bytes, as UEFI firmware takes it, on a volume of `volume_sectors` CD sectors.
    pub fn uefi_length(&self, volume_sectors: u32) -> u64 {
        if self.load_blocks <= TO_THE_END {
            u64::from(volume_sectors.saturating_sub(self.sector)) * CD_SECTOR
        } else {
            u64::from(self.load_blocks) * DISK_BLOCK
        }
    }
}

/// The length field for a UEFI image of `size` bytes.
pub fn uefi_load_blocks(size: u64) -> u16 {
    match u16::try_from(size.div_ceil(DISK_BLOCK)) {
        Ok(blocks) if blocks > TO_THE_END => blocks,
        _ => TO_THE_END,
    }
}

/// The volume descriptor that leads to the catalog.
pub fn boot_record(catalog_sector: u32) -> [u8; CD_SECTOR as usize] {
    let mut descriptor = [0; CD_SECTOR as usize];
    put(&mut descriptor, 1, b"CD001");
    descriptor[6] = 1;
    put(&mut descriptor, 7, SYSTEM);
    put(&mut descriptor, 71, &catalog_sector.to_le_bytes());
    descriptor
}

/// The CD sector of the catalog, if `descriptor` is an El Torito boot record.
pub fn catalog_sector(descriptor: &[u8; CD_SECTOR as usize]) -> Option<u32> {
    (descriptor[0] == 0 && descriptor[7..].starts_with(SYSTEM)).then(|| u32_at(descriptor, 71))
}

/// The boot catalog. The first entry is the default one, which a BIOS starts; every further one gets a section.
///
/// # Panics
/// With no entry, or more than a catalog of one sector holds: a bug of the caller, who has one per platform.
pub fn write_catalog(entries: &[CatalogEntry]) -> [u8; CD_SECTOR as usize] {
    let mut catalog = [0; CD_SECTOR as usize];
    let (default, others) = entries.split_first().expect("internal error: a catalog without an entry");
    catalog[0] = VALIDATION_ENTRY;
    catalog[1] = default.platform.id();
    put(&mut catalog, 30, &[0x55, 0xaa]);
    // The words of the validation entry add up to 0.
    let sum = words(&catalog[..ENTRY]).fold(0, u16::wrapping_add);
    put(&mut catalog, 28, &sum.wrapping_neg().to_le_bytes());
    put(&mut catalog, ENTRY, &entry(default));
    for (index, other) in others.iter().enumerate() {
        let header = (2 + 2 * index) * ENTRY;
        catalog[header] = if index + 1 == others.len() { LAST_SECTION } else { MORE_SECTIONS };
        catalog[header + 1] = other.platform.id();
        put(&mut catalog, header + 2, &1u16.to_le_bytes()); // entries in this section
        put(&mut catalog, header + ENTRY, &entry(other));
    }
    catalog
}

/// The entries of a catalog, the default one first.
///
/// # Errors
/// No validation entry, a wrong checksum, or sections that lead out of the sector.
pub fn read_catalog(catalog: &[u8; CD_SECTOR as usize]) -> Result<Vec<CatalogEntry>, ReadError> {
    let damaged = |problem: &str| ReadError::damaged("boot catalog", problem);
    if catalog[0] != VALIDATION_ENTRY || catalog[30..32] != [0x55, 0xaa] {
        return Err(damaged("no validation entry"));
    }
    if words(&catalog[..ENTRY]).fold(0, u16::wrapping_add) != 0 {
        return Err(damaged("wrong checksum of the validation entry"));
    }
    let mut entries = vec![parse_entry(&catalog[ENTRY..2 * ENTRY], catalog[1])];
    let mut rest = catalog[2 * ENTRY..].chunks_exact(ENTRY);
    while let Some(header) = rest.next() {
        if !matches!(header[0], MORE_SECTIONS | LAST_SECTION) {
            break;
        }
        for _ in 0..u16_at(header, 2) {
            let entry = rest.next().ok_or_else(|| damaged("a section leads out of the sector"))?;
            entries.push(parse_entry(entry, header[1]));
        }
        if header[0] == LAST_SECTION {
            break;
        }
    }
    Ok(entries)
}

/// Writes into a boot image where the volume and the image itself are, as `mkisofs -boot-info-table` does; isolinux
/// and the illumos cdboot find their own file by it.
///
/// Returns `false`, and changes nothing, when the image has no room for the table.
#[must_use]
pub fn patch_info_table(image: &mut [u8], own_sector: u32) -> bool {
    if image.len() < INFO_TABLE_END {
        return false;
    }
    let checksum = info_checksum(image);
    let length = image.len() as u32;
    image[INFO_TABLE..INFO_TABLE_END].fill(0);
    put(image, 8, &PRIMARY_DESCRIPTOR.to_le_bytes());
    put(image, 12, &own_sector.to_le_bytes());
    put(image, 16, &length.to_le_bytes());
    put(image, 20, &checksum.to_le_bytes());
    true
}

/// The sector of the primary volume descriptor, which is the same on every CD.
const PRIMARY_DESCRIPTOR: u32 = 16;

/// Whether the boot info table of an image is right for its place.
pub fn info_table_is_right(image: &[u8], own_sector: u32) -> bool {
    let mut expected = image.to_vec();
    patch_info_table(&mut expected, own_sector) && expected == image
}

/// The sum of the 32-bit words behind the table, the last one filled up with zeros.
fn info_checksum(image: &[u8]) -> u32 {
    let word = |chunk: &[u8]| {
        let mut bytes = [0; 4];
        put(&mut bytes, 0, chunk);
        u32::from_le_bytes(bytes)
    };
    image[INFO_TABLE_END..].chunks(4).map(word).fold(0, u32::wrapping_add)
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.chunks_exact(2).map(|word| u16::from_le_bytes([word[0], word[1]]))
}

fn entry(entry: &CatalogEntry) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    bytes[0] = if entry.bootable { BOOTABLE } else { 0 };
    put(&mut bytes, 6, &entry.load_blocks.to_le_bytes());
    put(&mut bytes, 8, &entry.sector.to_le_bytes());
    bytes
}

fn parse_entry(bytes: &[u8], platform: u8) -> CatalogEntry {
    CatalogEntry {
        platform: Platform::of(platform),
        bootable: bytes[0] == BOOTABLE,
        load_blocks: u16_at(bytes, 6),
        sector: u32_at(bytes, 8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIOS: CatalogEntry = CatalogEntry { platform: Platform::Bios, bootable: true, sector: 30, load_blocks: 4 };
    const UEFI: CatalogEntry =
        CatalogEntry { platform: Platform::Uefi, bootable: true, sector: 99, load_blocks: TO_THE_END };

    #[test]
    fn catalogs_are_read_back() {
        for entries in [&[BIOS][..], &[UEFI], &[BIOS, UEFI], &[BIOS, UEFI, UEFI]] {
            assert_eq!(read_catalog(&write_catalog(entries)).unwrap(), entries);
        }
        let descriptor = boot_record(77);
        assert_eq!(catalog_sector(&descriptor), Some(77));
    }

    #[test]
    fn images_of_32_mib_and_more_reach_to_the_end_of_the_medium() {
        let limit = 65_535 * DISK_BLOCK;
        assert_eq!(uefi_load_blocks(limit), 65_535);
        assert_eq!(uefi_load_blocks(limit + 1), TO_THE_END);
        assert_eq!(uefi_load_blocks(u64::from(u32::MAX) * 2048), TO_THE_END);
        assert_eq!(UEFI.uefi_length(1099), 1000 * 2048);
        assert_eq!(CatalogEntry { load_blocks: 65_535, ..UEFI }.uefi_length(1099), limit);
        assert_eq!(UEFI.uefi_length(5), 0);
    }

    #[test]
    fn damaged_catalogs_are_errors() {
        let good = write_catalog(&[BIOS, UEFI]);
        for position in 0..ENTRY {
            let mut bad = good;
            bad[position] ^= 0x10;
            assert!(read_catalog(&bad).is_err(), "byte {position}");
        }
        let mut too_many = good;
        too_many[2 * ENTRY + 2] = 0xff;
        assert!(read_catalog(&too_many).is_err());
    }

    #[test]
    fn the_info_table_says_where_the_image_is() {
        let mut image: Vec<u8> = (0..=255).cycle().take(1001).collect();
        assert!(patch_info_table(&mut image, 33));
        assert_eq!((u32_at(&image, 8), u32_at(&image, 12), u32_at(&image, 16)), (16, 33, 1001));
        assert!(info_table_is_right(&image, 33));
        assert!(!info_table_is_right(&image, 34));
        image[1000] ^= 1;
        assert!(!info_table_is_right(&image, 33));
        assert!(!patch_info_table(&mut [0; 63], 1));
    }
}
