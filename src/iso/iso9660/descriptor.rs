//! The volume descriptors and path tables (ECMA-119 sections 8 and 9.4).

use super::tree::Directory;
use crate::calendar::Date;
use crate::iso::CD_SECTOR;
use crate::iso::bytes::{both16, both32, put};

/// What the primary volume descriptor says.
#[derive(Debug)]
pub struct Primary<'a> {
    pub label: &'a str,
    pub date: Date,
    /// Sectors of the whole volume.
    pub sectors: u32,
    /// Bytes of one path table.
    pub path_table: u32,
    /// The sectors of the little-endian and the big-endian path table.
    pub little_table: u32,
    pub big_table: u32,
    /// The record of the root directory.
    pub root: &'a [u8],
}

pub fn primary(primary: &Primary) -> [u8; CD_SECTOR as usize] {
    let mut sector = [0; CD_SECTOR as usize];
    sector[0] = 1;
    put(&mut sector, 1, b"CD001");
    sector[6] = 1;
    sector[8..72].fill(b' ');
    put(&mut sector, 40, primary.label.as_bytes());
    put(&mut sector, 80, &both32(primary.sectors));
    put(&mut sector, 120, &both16(1)); // volumes in the set
    put(&mut sector, 124, &both16(1)); // number of this volume
    put(&mut sector, 128, &both16(CD_SECTOR as u16));
    put(&mut sector, 132, &both32(primary.path_table));
    put(&mut sector, 140, &primary.little_table.to_le_bytes());
    put(&mut sector, 148, &primary.big_table.to_be_bytes());
    put(&mut sector, 156, primary.root);
    sector[190..813].fill(b' '); // volume set, publisher, preparer, application, file identifiers
    put(&mut sector, 813, &primary.date.iso_volume()); // created
    put(&mut sector, 830, &primary.date.iso_volume()); // modified
    put(&mut sector, 847, b"0000000000000000\0"); // expires: not specified
    put(&mut sector, 864, &primary.date.iso_volume()); // effective
    sector[881] = 1; // version of the directory structure
    sector
}

pub fn terminator() -> [u8; CD_SECTOR as usize] {
    let mut sector = [0; CD_SECTOR as usize];
    sector[0] = 255;
    put(&mut sector, 1, b"CD001");
    sector[6] = 1;
    sector
}

/// Bytes of one path table.
pub fn path_table_length(directories: &[Directory]) -> u64 {
    directories.iter().map(|directory| (8 + directory.identifier.len()).next_multiple_of(2) as u64).sum()
}

/// One path table; `sectors` has the first sector of each directory.
pub fn path_table(directories: &[Directory], sectors: &[u32], big_endian: bool) -> Vec<u8> {
    let mut table = Vec::new();
    for (directory, sector) in directories.iter().zip(sectors) {
        // Directories are counted from 1, and there are at most 65535.
        let parent = directory.parent as u16 + 1;
        table.extend_from_slice(&[directory.identifier.len() as u8, 0]);
        if big_endian {
            table.extend_from_slice(&sector.to_be_bytes());
            table.extend_from_slice(&parent.to_be_bytes());
        } else {
            table.extend_from_slice(&sector.to_le_bytes());
            table.extend_from_slice(&parent.to_le_bytes());
        }
        table.extend_from_slice(&directory.identifier);
        if directory.identifier.len() % 2 == 1 {
            table.push(0);
        }
    }
    table
}
