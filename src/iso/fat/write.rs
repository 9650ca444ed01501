//! A list of files to a FAT volume.

use super::geometry::{FatKind, Geometry};
use super::names::{self, ShortName};
use super::{ATTR_ARCHIVE, ATTR_DIRECTORY, ENTRY, SECTOR};
use crate::calendar::Date;
use crate::iso::Blob;
use crate::iso::TOO_LARGE;
use crate::iso::bytes::put;
use crate::iso::output::Piece;
use std::collections::{BTreeMap, HashSet};

/// A file to be stored.
#[derive(Debug, Clone)]
pub struct FatFile {
    /// Components with `/` between them and none in front: `EFI/BOOT/BOOTX64.EFI`. Directories are made.
    pub path: String,
    pub blob: Blob,
}

/// A volume that is laid out and ready to be written.
#[derive(Debug)]
pub struct FatImage {
    geometry: Geometry,
    nodes: Vec<Node>,
    date: (u16, u16),
}

/// Why a list of files does not make a FAT volume.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FatError {
    #[error("`{path}` is no name for a file on a FAT volume")]
    BadName { path: String },
    #[error("`{path}` is on the FAT volume twice (FAT does not tell capitals from small letters)")]
    Duplicate { path: String },
    #[error("`{path}` has {size} bytes, and FAT stores less than 4 GiB in a file")]
    FileTooLarge { path: String, size: u64 },
    #[error("no FAT volume is large enough for these files")]
    TooLarge,
}

impl FatError {
    /// What to do about it, where it is in the user's hands.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            FatError::FileTooLarge { .. } | FatError::TooLarge => Some(TOO_LARGE),
            FatError::BadName { .. } | FatError::Duplicate { .. } => None,
        }
    }
}

/// A file or directory; the root comes first, every directory before what is in it.
#[derive(Debug)]
struct Node {
    path: String,
    parent: usize,
    content: Content,
    /// The first cluster of the chain; 0 for an empty file and for the fixed root.
    cluster: u64,
}

#[derive(Debug)]
enum Content {
    File(Blob),
    Directory(Vec<Child>),
}

#[derive(Debug)]
struct Child {
    node: usize,
    name: String,
    short: ShortName,
    has_long_name: bool,
}

impl FatImage {
    /// Lays out `files`, whose order decides where they lie: contiguous, in the order given.
    ///
    /// # Errors
    /// [`FatError`]: a name FAT cannot store, a name given twice, too much content.
    pub fn plan(files: Vec<FatFile>, epoch: u64) -> Result<FatImage, FatError> {
        let mut nodes = build_tree(files)?;
        let chains: Vec<u64> = nodes[1..].iter().map(Node::bytes).collect();
        let root = nodes[0].bytes();
        let geometry = Geometry::choose(&chains, root).ok_or(FatError::TooLarge)?;
        let mut next = 2;
        for (index, node) in nodes.iter_mut().enumerate() {
            let fixed_root = index == 0 && geometry.kind != FatKind::Fat32;
            if node.bytes() > 0 && !fixed_root {
                node.cluster = next;
                next += node.bytes().div_ceil(geometry.cluster_bytes());
            }
        }
        Ok(FatImage { geometry, nodes, date: Date::from_epoch(epoch).fat() })
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.geometry.total * SECTOR
    }

    pub fn kind(&self) -> FatKind {
        self.geometry.kind
    }

    /// Where the content of a file begins, in bytes from the start of the volume: always on a CD sector. `None` for an
    /// empty file and for what is no file.
    pub fn offset_of(&self, path: &str) -> Option<u64> {
        let node = self.nodes.iter().find(|n| n.path == path && matches!(n.content, Content::File(_)))?;
        (node.cluster != 0).then(|| self.geometry.cluster_offset(node.cluster))
    }

    /// Everything but the boot sectors, in ascending order.
    pub fn pieces(&self) -> Vec<Piece> {
        let table = Blob::from_bytes(self.table());
        let first = self.geometry.reserved * SECTOR;
        let second = first + self.geometry.table * SECTOR;
        let mut pieces = vec![Piece { offset: first, blob: table.clone() }, Piece { offset: second, blob: table }];
        for (index, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.bytes() > 0) {
            let offset = match node.cluster {
                0 => second + self.geometry.table * SECTOR,
                cluster => self.geometry.cluster_offset(cluster),
            };
            let blob = match &node.content {
                Content::File(blob) => blob.clone(),
                Content::Directory(children) => Blob::from_bytes(self.directory(index, children)),
            };
            pieces.push(Piece { offset, blob });
        }
        pieces
    }

    /// The boot sector, and for FAT32 its copy and the two information sectors.
    pub fn boot_sectors(&self, serial: u32) -> Vec<Piece> {
        let boot = Blob::from_bytes(self.boot_sector(serial));
        if self.geometry.kind != FatKind::Fat32 {
            return vec![Piece { offset: 0, blob: boot }];
        }
        let information = Blob::from_bytes(self.information_sector());
        let at = |sector: u64, blob: &Blob| Piece { offset: sector * SECTOR, blob: blob.clone() };
        vec![at(0, &boot), at(1, &information), at(BACKUP, &boot), at(BACKUP + 1, &information)]
    }

    fn boot_sector(&self, serial: u32) -> Vec<u8> {
        let geometry = &self.geometry;
        let fat32 = geometry.kind == FatKind::Fat32;
        let mut sector = vec![0; SECTOR as usize];
        // Jump over the parameter block to code that asks the BIOS to go on with the next disk.
        let code = if fat32 { 90 } else { 62 };
        put(&mut sector, 0, &[0xeb, code - 2, 0x90]);
        put(&mut sector, 3, b"MSWIN4.1"); // the name that readers know, says the specification
        put(&mut sector, code.into(), &[0xcd, 0x18]); // int 0x18
        put(&mut sector, 11, &(SECTOR as u16).to_le_bytes());
        sector[13] = geometry.sectors_per_cluster as u8;
        put(&mut sector, 14, &(geometry.reserved as u16).to_le_bytes());
        sector[16] = 2; // tables
        put(&mut sector, 17, &((geometry.root * SECTOR) as usize / ENTRY).to_le_bytes()[..2]);
        match u16::try_from(geometry.total) {
            Ok(total) if !fat32 => put(&mut sector, 19, &total.to_le_bytes()),
            _ => put(&mut sector, 32, &(geometry.total as u32).to_le_bytes()),
        }
        sector[21] = MEDIA;
        put(&mut sector, 24, &32u16.to_le_bytes()); // sectors per track
        put(&mut sector, 26, &64u16.to_le_bytes()); // heads
        let extended = if fat32 {
            put(&mut sector, 36, &(geometry.table as u32).to_le_bytes());
            put(&mut sector, 44, &(self.nodes[0].cluster as u32).to_le_bytes());
            put(&mut sector, 48, &1u16.to_le_bytes()); // information sector
            put(&mut sector, 50, &(BACKUP as u16).to_le_bytes());
            64
        } else {
            put(&mut sector, 22, &(geometry.table as u16).to_le_bytes());
            36
        };
        sector[extended] = 0x80; // drive
        sector[extended + 2] = 0x29; // the following three fields are there
        put(&mut sector, extended + 3, &serial.to_le_bytes());
        put(&mut sector, extended + 7, b"NO NAME    ");
        put(
            &mut sector,
            extended + 18,
            match geometry.kind {
                FatKind::Fat12 => b"FAT12   ",
                FatKind::Fat16 => b"FAT16   ",
                FatKind::Fat32 => b"FAT32   ",
            },
        );
        put(&mut sector, 510, &[0x55, 0xaa]);
        sector
    }

    fn information_sector(&self) -> Vec<u8> {
        let used: u64 = self.nodes.iter().map(|n| n.bytes().div_ceil(self.geometry.cluster_bytes())).sum();
        let free = (self.geometry.clusters - used) as u32;
        let next_free = if free == 0 { u32::MAX } else { used as u32 + 2 };
        let mut sector = vec![0; SECTOR as usize];
        put(&mut sector, 0, b"RRaA");
        put(&mut sector, 484, b"rrAa");
        put(&mut sector, 488, &free.to_le_bytes());
        put(&mut sector, 492, &next_free.to_le_bytes());
        put(&mut sector, 510, &[0x55, 0xaa]);
        sector
    }

    /// The table: the media byte, the clean mark, then one contiguous chain after the other.
    fn table(&self) -> Vec<u8> {
        let geometry = &self.geometry;
        let mut entries = vec![0xffff_ff00 | u32::from(MEDIA), 0xffff_ffff];
        for node in self.nodes.iter().filter(|n| n.cluster != 0) {
            let last = node.cluster + node.bytes().div_ceil(geometry.cluster_bytes()) - 1;
            entries.extend((node.cluster..last).map(|cluster| cluster as u32 + 1));
            entries.push(0xffff_ffff);
        }
        let mut bytes = Vec::with_capacity(geometry.kind.table_bytes(geometry.clusters) as usize);
        match geometry.kind {
            FatKind::Fat12 => {
                for pair in entries.chunks(2) {
                    let packed = pair[0] & 0xfff | pair.get(1).map_or(0, |second| second & 0xfff) << 12;
                    bytes.extend_from_slice(&packed.to_le_bytes()[..3]);
                }
            }
            FatKind::Fat16 => entries.iter().for_each(|e| bytes.extend_from_slice(&(*e as u16).to_le_bytes())),
            FatKind::Fat32 => {
                entries.iter().for_each(|e| bytes.extend_from_slice(&(e & 0x0fff_ffff).to_le_bytes()));
            }
        }
        bytes
    }

    fn directory(&self, index: usize, children: &[Child]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.nodes[index].bytes() as usize);
        if index != 0 {
            // The parent of a first-level directory is written as 0 even where the root has a cluster.
            let parent = self.nodes[index].parent;
            let parent = if parent == 0 { 0 } else { self.nodes[parent].cluster };
            bytes.extend(self.entry(b".          ", ATTR_DIRECTORY, self.nodes[index].cluster, 0));
            bytes.extend(self.entry(b"..         ", ATTR_DIRECTORY, parent, 0));
        }
        for child in children {
            if child.has_long_name {
                bytes.extend(names::long_entries(&child.name, &child.short).concat());
            }
            let node = &self.nodes[child.node];
            let (attributes, size) = match &node.content {
                Content::File(blob) => (ATTR_ARCHIVE, blob.len()),
                Content::Directory(_) => (ATTR_DIRECTORY, 0),
            };
            bytes.extend(self.entry(&child.short, attributes, node.cluster, size));
        }
        bytes
    }

    fn entry(&self, short: &ShortName, attributes: u8, cluster: u64, size: u64) -> [u8; ENTRY] {
        let (time, date) = self.date;
        let mut entry = [0; ENTRY];
        put(&mut entry, 0, short);
        entry[11] = attributes;
        put(&mut entry, 14, &time.to_le_bytes()); // created
        put(&mut entry, 16, &date.to_le_bytes());
        put(&mut entry, 18, &date.to_le_bytes()); // read
        put(&mut entry, 20, &((cluster >> 16) as u16).to_le_bytes());
        put(&mut entry, 22, &time.to_le_bytes()); // written
        put(&mut entry, 24, &date.to_le_bytes());
        put(&mut entry, 26, &(cluster as u16).to_le_bytes());
        put(&mut entry, 28, &(size as u32).to_le_bytes());
        entry
    }
}

/// "Fixed disk"; the low byte of the first table entry repeats it.
const MEDIA: u8 = 0xf8;

/// The sector of FAT32's second boot sector.
const BACKUP: u64 = 6;

impl Node {
    /// Bytes of content: of a file its size, of a directory its entries.
    fn bytes(&self) -> u64 {
        match &self.content {
            Content::File(blob) => blob.len(),
            Content::Directory(children) => {
                let dots = if self.path.is_empty() { 0 } else { 2 };
                let entries: usize = children.iter().map(Child::entries).sum();
                // An empty root still has a sector.
                ((dots + entries).max(1) * ENTRY) as u64
            }
        }
    }
}

impl Child {
    fn entries(&self) -> usize {
        let long =
            if self.has_long_name { self.name.encode_utf16().count().div_ceil(names::UNITS_PER_ENTRY) } else { 0 };
        long + 1
    }
}

fn build_tree(files: Vec<FatFile>) -> Result<Vec<Node>, FatError> {
    let root = Node { path: String::new(), parent: 0, content: Content::Directory(Vec::new()), cluster: 0 };
    let mut nodes = vec![root];
    // By path in capitals, as FAT compares.
    let mut known = BTreeMap::from([(String::new(), 0)]);
    for FatFile { path, blob } in files {
        if blob.len() > u64::from(u32::MAX) {
            return Err(FatError::FileTooLarge { path, size: blob.len() });
        }
        let mut parent = 0;
        for (slash, _) in path.match_indices('/') {
            let directory = &path[..slash];
            parent = match known.get(&directory.to_uppercase()) {
                Some(&node) if matches!(nodes[node].content, Content::Directory(_)) => node,
                Some(_) => return Err(FatError::Duplicate { path: directory.to_owned() }),
                None => add(&mut nodes, &mut known, parent, directory, Content::Directory(Vec::new()))?,
            };
        }
        if known.contains_key(&path.to_uppercase()) {
            return Err(FatError::Duplicate { path });
        }
        add(&mut nodes, &mut known, parent, &path, Content::File(blob))?;
    }
    name_children(&mut nodes);
    Ok(nodes)
}

fn add(
    nodes: &mut Vec<Node>,
    known: &mut BTreeMap<String, usize>,
    parent: usize,
    path: &str,
    content: Content,
) -> Result<usize, FatError> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if !names::is_valid(name) {
        return Err(FatError::BadName { path: path.to_owned() });
    }
    let node = nodes.len();
    nodes.push(Node { path: path.to_owned(), parent, content, cluster: 0 });
    known.insert(path.to_uppercase(), node);
    if let Content::Directory(children) = &mut nodes[parent].content {
        children.push(Child { node, name: name.to_owned(), short: [b' '; 11], has_long_name: false });
    }
    Ok(node)
}

/// Gives every name its short form. Names that are their own short form come first: an alias must not take theirs.
fn name_children(nodes: &mut [Node]) {
    for node in nodes {
        let Content::Directory(children) = &mut node.content else { continue };
        let mut used: HashSet<ShortName> = children.iter().filter_map(|child| names::exact(&child.name)).collect();
        for child in children {
            child.short = names::exact(&child.name).unwrap_or_else(|| {
                child.has_long_name = true;
                names::alias(&child.name, &used)
            });
            used.insert(child.short);
        }
    }
}
