//! Reading a finished image, ours or another program's, as the firmware and the boot loaders will read it.
//!
//! Nothing in the image is believed: every extent is checked against the size of the image before it is read, and a
//! directory that is met twice is an error.

use super::bytes::u32_at;
use super::eltorito::{self, CatalogEntry, Platform};
use super::fat::FatVolume;
use super::hybrid::{self, PartitionTables};
use super::rock_ridge::{Attached, SystemUseReader};
use super::{Blob, CD_SECTOR, ReadError};
use crate::path::{RootPath, escaped};
use std::collections::HashSet;
use std::path::Path;

const SECTOR: usize = CD_SECTOR as usize;
const RECORD: &str = "ISO 9660 directory";
const PRIMARY: &str = "ISO 9660 volume descriptor";

/// Directories below directories. Linux limits paths to 4096 bytes, so no usable path is deeper.
const MAX_DEPTH: usize = 2048;

/// Where isolinux looks for its configuration (syslinux 6, doc/isolinux.txt).
pub(crate) const ISOLINUX_DIRECTORIES: [&str; 5] = ["/boot/isolinux", "/isolinux", "/boot/syslinux", "/syslinux", "/"];

/// An open image.
#[derive(Debug)]
pub struct IsoImage {
    image: Blob,
    label: String,
    sectors: u32,
    root: IsoEntry,
    rock_ridge: SystemUseReader,
    boot_entries: Vec<CatalogEntry>,
}

/// An entry of the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsoEntry {
    pub path: RootPath,
    pub kind: IsoKind,
    /// Permission bits with setuid, setgid and sticky (`0o7777`); what ISO 9660 readers assume without Rock Ridge.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Bytes; 0 for anything but a file.
    pub size: u64,
    /// The first CD sector of a file or directory.
    pub sector: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IsoKind {
    Directory,
    File,
    Symlink { target: Vec<u8> },
    Char { major: u32, minor: u32 },
    Block { major: u32, minor: u32 },
    Fifo,
    Socket,
}

impl IsoImage {
    /// Opens a file of the host.
    ///
    /// # Errors
    /// As [`IsoImage::new`], and the host's error.
    pub fn open(path: &Path) -> Result<IsoImage, ReadError> {
        IsoImage::new(Blob::open(path).map_err(|source| ReadError::Io { structure: "ISO image", source })?)
    }

    /// Reads the volume descriptors and the boot catalog.
    ///
    /// # Errors
    /// No ISO 9660 volume, or a damaged one.
    pub fn new(image: Blob) -> Result<IsoImage, ReadError> {
        let (primary, catalog) = read_descriptors(&image)?;
        if u64::from(u32_at(&primary, 128) & 0xffff) != CD_SECTOR {
            return Err(ReadError::damaged(PRIMARY, "its blocks have not 2048 bytes"));
        }
        let label = String::from_utf8_lossy(&primary[40..72]).trim_end_matches([' ', '\0']).to_owned();
        let sectors = u32_at(&primary, 80);
        let root = IsoEntry {
            path: RootPath::root(),
            kind: IsoKind::Directory,
            mode: 0o555,
            uid: 0,
            gid: 0,
            size: u64::from(u32_at(&primary, 156 + 10)),
            sector: u32_at(&primary, 156 + 2),
        };
        let boot_entries = match catalog {
            Some(sector) => eltorito::read_catalog(&image.array(u64::from(sector) * CD_SECTOR, "boot catalog")?)?,
            None => Vec::new(),
        };
        let mut iso = IsoImage { image, label, sectors, root, rock_ridge: SystemUseReader::default(), boot_entries };
        iso.read_root()?;
        Ok(iso)
    }

    pub fn label(&self) -> &str {
        &self.label
    }

    /// Bytes of the volume, which can be less than the image has.
    pub fn volume_size(&self) -> u64 {
        u64::from(self.sectors) * CD_SECTOR
    }

    /// The El Torito entries, the default one first; empty for an image that does not boot as a CD.
    pub fn boot_entries(&self) -> &[CatalogEntry] {
        &self.boot_entries
    }

    /// MBR and GPT; `None` when the image does not boot as a disk.
    ///
    /// # Errors
    /// Tables that contradict themselves.
    pub fn partitions(&self) -> Result<Option<PartitionTables>, ReadError> {
        hybrid::read_tables(&self.image)
    }

    /// Every entry, a directory before what is in it, sorted by path.
    ///
    /// # Errors
    /// A damaged directory; directories that contain each other.
    pub fn walk(&self) -> Result<Vec<IsoEntry>, ReadError> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut waiting = vec![(self.root.clone(), 0)];
        // Directories of one image do not share sectors, so that together they are no longer than it is.
        let mut left = self.image.len();
        while let Some((directory, depth)) = waiting.pop() {
            if depth > MAX_DEPTH || !seen.insert(directory.sector) {
                return Err(ReadError::damaged(RECORD, format!("`{}` contains itself", directory.path)));
            }
            left = left.checked_sub(directory.size).ok_or_else(|| {
                ReadError::damaged(RECORD, format!("`{}` shares sectors with other directories", directory.path))
            })?;
            let children = self.children(&directory)?;
            let below = children.iter().filter(|child| child.kind == IsoKind::Directory);
            waiting.extend(below.map(|child| (child.clone(), depth + 1)));
            found.extend(children);
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// What is at `path`, symlinks not followed.
    ///
    /// # Errors
    /// [`ReadError::NotFound`], or a damaged directory.
    pub fn find(&self, path: &RootPath) -> Result<IsoEntry, ReadError> {
        let mut here = self.root.clone();
        for component in path.components() {
            if here.kind != IsoKind::Directory {
                return Err(ReadError::NotFound(path.to_string()));
            }
            let mut children = self.children(&here)?.into_iter();
            here = children
                .find(|child| child.path.file_name() == component)
                .ok_or_else(|| ReadError::NotFound(path.to_string()))?;
        }
        Ok(here)
    }

    /// The content of a file, not yet read.
    ///
    /// # Errors
    /// A file that does not lie inside the image; anything but a file.
    pub fn content(&self, file: &IsoEntry) -> Result<Blob, ReadError> {
        if file.kind != IsoKind::File {
            return Err(ReadError::NotFound(file.path.to_string()));
        }
        self.extent(file)
    }

    /// The content of the file at `path`; `None` when there is none.
    ///
    /// # Errors
    /// As [`IsoImage::find`] and [`IsoImage::content`].
    pub fn file(&self, path: &RootPath) -> Result<Option<Blob>, ReadError> {
        match self.find(path) {
            Ok(entry) => self.content(&entry).map(Some),
            Err(ReadError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The configuration that isolinux will use: its path and content.
    ///
    /// # Errors
    /// As [`IsoImage::file`].
    pub fn isolinux_config(&self) -> Result<Option<(RootPath, Blob)>, ReadError> {
        for directory in ISOLINUX_DIRECTORIES {
            let path = RootPath::new(format!("{directory}/isolinux.cfg")).expect("a constant");
            if let Some(content) = self.file(&path)? {
                return Ok(Some((path, content)));
            }
        }
        Ok(None)
    }

    /// The FAT file system that UEFI firmware starts from on a CD, as far as the boot catalog lets it see.
    ///
    /// # Errors
    /// A volume that is damaged or longer than the catalog says.
    pub fn uefi_volume(&self) -> Result<Option<FatVolume>, ReadError> {
        let Some(entry) = self.boot_entries.iter().find(|e| e.bootable && e.platform == Platform::Uefi) else {
            return Ok(None);
        };
        FatVolume::open(self.boot_image(entry)?).map(Some)
    }

    /// The bytes of a boot image as UEFI firmware takes them.
    ///
    /// # Errors
    /// An image that leads out of the file.
    pub fn boot_image(&self, entry: &CatalogEntry) -> Result<Blob, ReadError> {
        let length = entry.uefi_length(self.sectors);
        self.image.slice(u64::from(entry.sector) * CD_SECTOR, length).ok_or_else(|| {
            let problem = format!("the image at sector {} leads out of the file", entry.sector);
            ReadError::damaged("boot catalog", problem)
        })
    }

    /// The whole file.
    pub fn image(&self) -> &Blob {
        &self.image
    }

    fn extent(&self, entry: &IsoEntry) -> Result<Blob, ReadError> {
        self.image.slice(u64::from(entry.sector) * CD_SECTOR, entry.size).ok_or_else(|| {
            let IsoEntry { path, size, sector, .. } = entry;
            let problem = format!("`{path}` has {size} bytes from sector {sector} on, the image {}", self.image.len());
            ReadError::damaged(RECORD, problem)
        })
    }

    /// Learns from the root's own record whether the volume has Rock Ridge, and the root's attributes.
    fn read_root(&mut self) -> Result<(), ReadError> {
        let bytes = self.directory_bytes(&self.root)?;
        let dot = Records::new(&bytes).next().ok_or_else(|| ReadError::damaged(RECORD, "the root is empty"))??;
        self.rock_ridge = SystemUseReader::new(dot.system_use);
        let attached = self.rock_ridge.read(&self.image, dot.system_use)?;
        if let Some(posix) = attached.posix {
            (self.root.mode, self.root.uid, self.root.gid) = (posix.mode & 0o7777, posix.uid, posix.gid);
        }
        Ok(())
    }

    fn directory_bytes(&self, directory: &IsoEntry) -> Result<Vec<u8>, ReadError> {
        self.extent(directory)?.read().map_err(|source| ReadError::Io { structure: RECORD, source })
    }

    fn children(&self, directory: &IsoEntry) -> Result<Vec<IsoEntry>, ReadError> {
        let bytes = self.directory_bytes(directory)?;
        let mut children = Vec::new();
        let mut unfinished: Option<IsoEntry> = None;
        for record in Records::new(&bytes).skip(2) {
            let record = record?;
            let attached = self.rock_ridge.read(&self.image, record.system_use)?;
            let mut entry = new_entry(&directory.path, &record, attached)?;
            // A file of several extents: they have to follow each other, as every writer places them.
            if let Some(first) = unfinished.take() {
                let follows = u64::from(first.sector) + first.size / CD_SECTOR == u64::from(entry.sector);
                if entry.path != first.path || !follows || !first.size.is_multiple_of(CD_SECTOR) {
                    return Err(ReadError::damaged(RECORD, format!("`{}` is in pieces", first.path)));
                }
                entry = IsoEntry { size: first.size + entry.size, ..first };
            }
            if record.goes_on() {
                unfinished = Some(entry);
            } else {
                children.push(entry);
            }
        }
        match unfinished {
            Some(first) => Err(ReadError::damaged(RECORD, format!("the last extent of `{}` is missing", first.path))),
            None => Ok(children),
        }
    }
}

/// The primary volume descriptor, and the sector of the boot catalog if there is one.
fn read_descriptors(image: &Blob) -> Result<([u8; SECTOR], Option<u32>), ReadError> {
    let mut primary = None;
    let mut catalog = None;
    // Real volumes have a handful of descriptors.
    for sector in 16..16 + 64 {
        let descriptor: [u8; SECTOR] = image.array(sector * CD_SECTOR, PRIMARY)?;
        if descriptor[1..6] != *b"CD001" {
            return Err(ReadError::damaged(PRIMARY, format!("no descriptor in sector {sector}")));
        }
        match descriptor[0] {
            255 => break,
            1 if primary.is_none() => primary = Some(descriptor),
            _ => catalog = catalog.or(eltorito::catalog_sector(&descriptor)),
        }
    }
    let primary = primary.ok_or_else(|| ReadError::damaged(PRIMARY, "there is no primary one"))?;
    Ok((primary, catalog))
}

/// A directory record, as far as it concerns us.
struct Record<'a> {
    sector: u32,
    length: u32,
    flags: u8,
    identifier: &'a [u8],
    system_use: &'a [u8],
}

impl Record<'_> {
    fn is_directory(&self) -> bool {
        self.flags & 0x02 != 0
    }

    fn goes_on(&self) -> bool {
        self.flags & 0x80 != 0
    }
}

/// The records of a directory, in order.
struct Records<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Records<'a> {
    fn new(bytes: &'a [u8]) -> Records<'a> {
        Records { bytes, offset: 0 }
    }

    fn parse(record: &'a [u8]) -> Option<Record<'a>> {
        let identifier = record.get(33..33 + usize::from(*record.get(32)?))?;
        let system_use = record.get((33 + identifier.len()).next_multiple_of(2)..).unwrap_or_default();
        Some(Record {
            sector: u32_at(record, 2),
            length: u32_at(record, 10),
            flags: record[25],
            identifier,
            system_use,
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let length = usize::from(*self.bytes.get(self.offset)?);
            if length == 0 {
                // The rest of the sector is empty.
                self.offset = (self.offset + 1).next_multiple_of(SECTOR);
                continue;
            }
            let start = self.offset;
            let record = self.bytes.get(start..start + length).and_then(Records::parse);
            self.offset = start + length;
            return Some(record.ok_or_else(|| ReadError::damaged(RECORD, format!("a cut record at byte {start}"))));
        }
    }
}

fn new_entry(directory: &RootPath, record: &Record, attached: Attached) -> Result<IsoEntry, ReadError> {
    let name = attached.name.unwrap_or_else(|| plain_name(record.identifier));
    if name.is_empty() || name == b"." || name == b".." || name.iter().any(|b| matches!(b, b'/' | 0)) {
        return Err(ReadError::damaged(RECORD, format!("a file named `{}`", escaped(&name))));
    }
    let path = directory.join(&name);
    let (mode, uid, gid) = match attached.posix {
        Some(posix) => (posix.mode, posix.uid, posix.gid),
        None if record.is_directory() => (0o040_555, 0, 0),
        None => (0o100_444, 0, 0),
    };
    let (major, minor) = attached.device.unwrap_or_default();
    let kind = match mode & 0o170_000 {
        // Where the two disagree, the record says what can be read.
        _ if record.is_directory() => IsoKind::Directory,
        0o120_000 => IsoKind::Symlink { target: attached.target },
        0o020_000 => IsoKind::Char { major, minor },
        0o060_000 => IsoKind::Block { major, minor },
        0o010_000 => IsoKind::Fifo,
        0o140_000 => IsoKind::Socket,
        _ => IsoKind::File,
    };
    let has_size = matches!(kind, IsoKind::File | IsoKind::Directory);
    let size = if has_size { u64::from(record.length) } else { 0 };
    Ok(IsoEntry { path, kind, mode: mode & 0o7777, uid, gid, size, sector: record.sector })
}

/// The name of a record without Rock Ridge, as Linux shows it: small letters, without version and empty extension.
fn plain_name(identifier: &[u8]) -> Vec<u8> {
    let end = identifier.iter().position(|b| *b == b';').unwrap_or(identifier.len());
    let name = &identifier[..end];
    name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase()
}
