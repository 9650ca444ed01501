//! Giving everything its place, and the bytes that depend on it.
//!
//! The order in the image: system area (16 sectors, left to others), descriptors, path tables, directories,
//! continuation areas, boot catalog, extents, tail.

use super::descriptor::{self, Primary};
use super::tree::{Data, Directory, RECORD_HEADER, Record, directories};
use super::{BootImage, ExtentContent, ExtentId, IsoError, Volume};
use crate::calendar::Date;
use crate::iso::bytes::{both16, both32, put};
use crate::iso::eltorito::{self, CatalogEntry};
use crate::iso::output::{Piece, write_image};
use crate::iso::{Blob, CD_SECTOR};
use std::path::Path;

/// The sector of the primary volume descriptor: the first after the system area.
const FIRST_DESCRIPTOR: u64 = 16;

/// A volume with a place for everything.
#[derive(Debug)]
pub struct IsoLayout {
    sectors: u32,
    extents: Vec<u32>,
    pieces: Vec<Piece>,
}

impl IsoLayout {
    /// Bytes of the whole image.
    pub fn size(&self) -> u64 {
        u64::from(self.sectors) * CD_SECTOR
    }

    /// Where an extent begins.
    pub fn sector_of(&self, extent: ExtentId) -> u32 {
        self.extents[extent.0]
    }

    /// Writes the volume to `path`, which is replaced when the new file is complete. There are no partition tables:
    /// the image boots as a CD only.
    ///
    /// # Errors
    /// The host's error; a source that became shorter meanwhile. Nothing is left behind.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        write_image(path, self.size(), &self.pieces, |_| Vec::new())
    }

    /// Everything but the system area and the tail, in ascending order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

impl Volume {
    /// Gives everything its place.
    ///
    /// # Errors
    /// More directories or more bytes than the format can number.
    pub fn layout(&self) -> Result<IsoLayout, IsoError> {
        let directories = directories(self)?;
        let places = Places::new(self, &directories)?;
        let mut pieces = Vec::new();
        let mut put_at = |sector: u32, bytes: Vec<u8>| {
            pieces.push(Piece { offset: u64::from(sector) * CD_SECTOR, blob: Blob::from_bytes(bytes) });
        };
        put_at(FIRST_DESCRIPTOR as u32, self.descriptors(&directories, &places));
        put_at(places.little_table, descriptor::path_table(&directories, &places.directories, false));
        put_at(places.big_table, descriptor::path_table(&directories, &places.directories, true));
        let (trees, continuations) = self.directory_bytes(&directories, &places);
        put_at(places.directories[0], trees);
        if !continuations.is_empty() {
            put_at(places.continuations, continuations);
        }
        if let Some(catalog) = places.catalog {
            put_at(catalog, eltorito::write_catalog(&self.catalog_entries(&places)).to_vec());
        }
        pieces.extend(self.extent_pieces(&places));
        Ok(IsoLayout { sectors: places.end, extents: places.extents, pieces })
    }

    fn descriptors(&self, directories: &[Directory], places: &Places) -> Vec<u8> {
        let date = Date::from_epoch(self.epoch);
        // The root's record here is its own `.` without system use.
        let dot = RecordPlace { sector: places.directories[0], length: directories[0].length() as u32 };
        let mut root = record_header(&[0], dot, DIRECTORY_FLAG, &date);
        root[0] = root.len() as u8;
        let mut bytes = descriptor::primary(&Primary {
            label: &self.label,
            date,
            sectors: places.end,
            path_table: descriptor::path_table_length(directories) as u32,
            little_table: places.little_table,
            big_table: places.big_table,
            root: &root,
        })
        .to_vec();
        if let Some(catalog) = places.catalog {
            bytes.extend(eltorito::boot_record(catalog));
        }
        bytes.extend(descriptor::terminator());
        bytes
    }

    /// All directories, which lie one behind the other, and all continuation areas.
    fn directory_bytes(&self, directories: &[Directory], places: &Places) -> (Vec<u8>, Vec<u8>) {
        let date = Date::from_epoch(self.epoch);
        let mut areas = AreaPlaces::default();
        let mut continuations = Vec::new();
        let mut bytes = Vec::new();
        for directory in directories {
            let start = bytes.len();
            for record in &directory.records {
                let area_places: Vec<_> = record
                    .system_use
                    .area_lengths()
                    .map(|length| areas.next(length))
                    .map(|(sector, offset)| (places.continuations + sector, offset))
                    .collect();
                let (system_use, record_areas) = record.system_use.to_bytes(&area_places);
                for ((sector, offset), area) in area_places.iter().zip(record_areas) {
                    let at = (sector - places.continuations) as usize * CD_SECTOR as usize + *offset as usize;
                    continuations.resize(at, 0);
                    continuations.extend(area);
                }
                bytes.resize(start + record.offset_after((bytes.len() - start) as u64) as usize, 0);
                bytes.extend(record_bytes(record, &system_use, directories, places, &date));
            }
            bytes.resize(start + directory.length() as usize, 0);
        }
        (bytes, continuations)
    }

    fn catalog_entries(&self, places: &Places) -> Vec<CatalogEntry> {
        let entry = |image: &BootImage| CatalogEntry {
            platform: image.platform,
            bootable: true,
            sector: places.extents[image.extent.0],
            load_blocks: image.load_blocks,
        };
        self.boot_images.iter().map(entry).collect()
    }

    fn extent_pieces(&self, places: &Places) -> Vec<Piece> {
        let mut all = Vec::new();
        for (extent, sector) in self.extents.iter().zip(&places.extents) {
            let start = u64::from(*sector) * CD_SECTOR;
            match &extent.content {
                ExtentContent::Pieces(pieces) => {
                    all.extend(pieces.iter().map(|p| Piece { offset: start + p.offset, blob: p.blob.clone() }));
                }
                ExtentContent::WithInfoTable(program) => {
                    let mut program = program.clone();
                    let patched = eltorito::patch_info_table(&mut program, *sector);
                    debug_assert!(patched, "the length was checked when the program was added");
                    all.push(Piece { offset: start, blob: Blob::from_bytes(program) });
                }
            }
        }
        all
    }
}

/// The sector of everything.
struct Places {
    little_table: u32,
    big_table: u32,
    directories: Vec<u32>,
    continuations: u32,
    catalog: Option<u32>,
    extents: Vec<u32>,
    /// The first sector after the volume.
    end: u32,
}

impl Places {
    fn new(volume: &Volume, directories: &[Directory]) -> Result<Places, IsoError> {
        let is_bootable = !volume.boot_images.is_empty();
        let mut next = FIRST_DESCRIPTOR + if is_bootable { 3 } else { 2 };
        let mut take = |bytes: u64| {
            let here = u32::try_from(next).map_err(|_| IsoError::TooLarge)?;
            next = next.checked_add(bytes.div_ceil(CD_SECTOR)).ok_or(IsoError::TooLarge)?;
            Ok(here)
        };
        if directories.iter().any(|directory| directory.length() > u64::from(u32::MAX)) {
            return Err(IsoError::TooLarge);
        }
        let table = descriptor::path_table_length(directories);
        let mut areas = AreaPlaces::default();
        for record in directories.iter().flat_map(|directory| &directory.records) {
            record.system_use.area_lengths().for_each(|length| {
                areas.next(length);
            });
        }
        Ok(Places {
            little_table: take(table)?,
            big_table: take(table)?,
            directories: directories.iter().map(|d| take(d.length())).collect::<Result<_, _>>()?,
            continuations: take(areas.end())?,
            catalog: if is_bootable { Some(take(CD_SECTOR)?) } else { None },
            extents: volume.extents.iter().map(|e| take(e.size)).collect::<Result<_, _>>()?,
            end: {
                take(volume.tail)?;
                take(0)?
            },
        })
    }
}

/// Hands out places for continuation areas: sector and offset, both from the start of all areas.
#[derive(Default)]
struct AreaPlaces {
    next: u64,
}

impl AreaPlaces {
    fn next(&mut self, length: usize) -> (u32, u32) {
        let left = self.next.next_multiple_of(CD_SECTOR) - self.next;
        if left < length as u64 {
            self.next += left;
        }
        let place = ((self.next / CD_SECTOR) as u32, (self.next % CD_SECTOR) as u32);
        self.next += length as u64;
        place
    }

    fn end(&self) -> u64 {
        self.next
    }
}

const DIRECTORY_FLAG: u8 = 0x02;
const MULTI_EXTENT_FLAG: u8 = 0x80;

struct RecordPlace {
    sector: u32,
    length: u32,
}

fn record_bytes(
    record: &Record,
    system_use: &[u8],
    directories: &[Directory],
    places: &Places,
    date: &Date,
) -> Vec<u8> {
    let (place, flags) = match record.data {
        Data::Directory(index) => {
            let length = directories[index].length() as u32;
            (RecordPlace { sector: places.directories[index], length }, DIRECTORY_FLAG)
        }
        Data::File { range, more } => {
            // Inside the extent, so inside the volume, and a section's length fits.
            let sector = places.extents[range.extent.0] + (range.offset / CD_SECTOR) as u32;
            let flags = if more { MULTI_EXTENT_FLAG } else { 0 };
            (RecordPlace { sector, length: range.size as u32 }, flags)
        }
        Data::Nothing => (RecordPlace { sector: 0, length: 0 }, 0),
    };
    let mut bytes = record_header(&record.identifier, place, flags, date);
    bytes.extend_from_slice(system_use);
    bytes.resize(record.length(), 0);
    bytes[0] = bytes.len() as u8;
    bytes
}

/// A record up to its system use field, its own length not yet filled in (ECMA-119 section 9.1).
fn record_header(identifier: &[u8], place: RecordPlace, flags: u8, date: &Date) -> Vec<u8> {
    let mut bytes = vec![0; RECORD_HEADER];
    put(&mut bytes, 2, &both32(place.sector));
    put(&mut bytes, 10, &both32(place.length));
    put(&mut bytes, 18, &date.iso_record());
    bytes[25] = flags;
    put(&mut bytes, 28, &both16(1)); // volume of the set
    bytes[32] = identifier.len() as u8;
    bytes.extend_from_slice(identifier);
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    bytes
}
