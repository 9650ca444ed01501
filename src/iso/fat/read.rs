//! Reading a FAT volume that firmware will boot from, ours or another program's.

use super::geometry::FatKind;
use super::names::{self, ShortName};
use super::{ATTR_DIRECTORY, ATTR_LONG_NAME, ATTR_VOLUME, ENTRY, SECTOR};
use crate::iso::bytes::{u16_at, u32_at};
use crate::iso::{Blob, ReadError};
use std::collections::HashSet;

const BOOT: &str = "FAT boot sector";
const TABLE: &str = "FAT table";
const DIRECTORY: &str = "FAT directory";

/// Directories below directories; a path of FAT has at most 260 characters.
const MAX_DEPTH: usize = 130;

/// An open volume.
#[derive(Debug)]
pub struct FatVolume {
    blob: Blob,
    kind: FatKind,
    serial: u32,
    cluster_bytes: u64,
    clusters: u64,
    data_start: u64,
    root: RootDirectory,
    table: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum RootDirectory {
    Fixed { offset: u64, length: u64 },
    Chain { cluster: u32 },
}

/// A file or directory of the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FatEntry {
    /// From the root, with `/` between components and none in front.
    pub path: String,
    pub is_directory: bool,
    /// Bytes; 0 for a directory.
    pub size: u32,
    /// 0 for an empty file.
    pub cluster: u32,
}

impl FatVolume {
    /// Reads the boot sector and the first table of the volume that `blob` holds; `blob` may be longer than the volume.
    ///
    /// # Errors
    /// No FAT volume, or one that does not fit into `blob`.
    pub fn open(blob: Blob) -> Result<FatVolume, ReadError> {
        let boot: [u8; SECTOR as usize] = blob.array(0, BOOT)?;
        let damaged = |problem: &str| ReadError::damaged(BOOT, problem);
        if boot[510..] != [0x55, 0xaa] {
            return Err(damaged("no signature at its end"));
        }
        let sector = u64::from(u16_at(&boot, 11));
        if !matches!(sector, 512 | 1024 | 2048 | 4096) {
            return Err(damaged(&format!("{sector} bytes per sector")));
        }
        let sectors_per_cluster = u64::from(boot[13]);
        if !sectors_per_cluster.is_power_of_two() {
            return Err(damaged(&format!("{sectors_per_cluster} sectors per cluster")));
        }
        let (reserved, tables) = (u64::from(u16_at(&boot, 14)), u64::from(boot[16]));
        if reserved == 0 || tables == 0 {
            return Err(damaged("no reserved sector or no table"));
        }
        let either = |short: u16, long: usize| match short {
            0 => u64::from(u32_at(&boot, long)),
            short => u64::from(short),
        };
        let total = either(u16_at(&boot, 19), 32);
        let table_sectors = either(u16_at(&boot, 22), 36);
        let root_bytes = u64::from(u16_at(&boot, 17)) * ENTRY as u64;
        // All products are of at most 48 bits.
        let root_start = reserved + tables * table_sectors;
        let data_start = root_start + root_bytes.div_ceil(sector);
        if total * sector > blob.len() {
            let problem = format!("the volume has {} bytes, the image only {}", total * sector, blob.len());
            return Err(damaged(&problem));
        }
        let clusters = total.checked_sub(data_start).ok_or_else(|| damaged("no sector is left for clusters"))?
            / sectors_per_cluster;
        let kind = FatKind::of(clusters);
        if kind.table_bytes(clusters) > table_sectors * sector {
            return Err(damaged(&format!("the table is too short for {clusters} clusters")));
        }
        let (root, extended) = match kind {
            FatKind::Fat32 => (RootDirectory::Chain { cluster: u32_at(&boot, 44) }, 64),
            _ => (RootDirectory::Fixed { offset: root_start * sector, length: root_bytes }, 36),
        };
        let serial = if boot[extended + 2] == 0x29 { u32_at(&boot, extended + 3) } else { 0 };
        Ok(FatVolume {
            table: blob.vector(reserved * sector, kind.table_bytes(clusters), TABLE)?,
            kind,
            serial,
            cluster_bytes: sectors_per_cluster * sector,
            clusters,
            data_start: data_start * sector,
            root,
            blob,
        })
    }

    pub fn kind(&self) -> FatKind {
        self.kind
    }

    /// The volume's serial number; 0 when it has none.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Every file and directory, a directory before what is in it, otherwise in the order on disk.
    ///
    /// # Errors
    /// A damaged directory or chain; directories that contain each other.
    pub fn walk(&self) -> Result<Vec<FatEntry>, ReadError> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut waiting = vec![(FatEntry { path: String::new(), is_directory: true, size: 0, cluster: 0 }, 0)];
        // Directories of one volume do not share clusters, so that together they are no longer than it is.
        let mut left = self.blob.len();
        while let Some((directory, depth)) = waiting.pop() {
            if depth > MAX_DEPTH || !seen.insert(directory.cluster) {
                let problem = format!("`{}` contains itself", directory.path);
                return Err(ReadError::damaged(DIRECTORY, problem));
            }
            let bytes = self.directory_bytes(&directory)?;
            left = left.checked_sub(bytes.len() as u64).ok_or_else(|| {
                ReadError::damaged(DIRECTORY, format!("`{}` shares clusters with other directories", directory.path))
            })?;
            let mut children = parse_directory(&bytes, &directory.path);
            if depth > 0 {
                found.push(directory);
            }
            let below = children.extract_if(.., |child| child.is_directory);
            waiting.extend(below.map(|child| (child, depth + 1)));
            found.extend(children);
        }
        Ok(found)
    }

    /// Finds a path as firmware does: capitals and small letters are the same, `/` and `\` both separate.
    ///
    /// # Errors
    /// [`ReadError::NotFound`], or a damaged directory.
    pub fn find(&self, path: &str) -> Result<FatEntry, ReadError> {
        let mut here = FatEntry { path: String::new(), is_directory: true, size: 0, cluster: 0 };
        for component in path.split(['/', '\\']).filter(|c| !c.is_empty()) {
            let missing = || ReadError::NotFound(path.to_owned());
            if !here.is_directory {
                return Err(missing());
            }
            let same = |entry: &FatEntry| {
                let name = entry.path.rsplit('/').next().unwrap_or_default();
                name.to_uppercase() == component.to_uppercase()
            };
            here = parse_directory(&self.directory_bytes(&here)?, &here.path)
                .into_iter()
                .find(same)
                .ok_or_else(missing)?;
        }
        Ok(here)
    }

    /// The content of a file.
    ///
    /// # Errors
    /// A damaged chain, or one that is too short for the file's size.
    pub fn read(&self, entry: &FatEntry) -> Result<Vec<u8>, ReadError> {
        let mut content = Vec::new();
        for (offset, length) in self.extents(entry)? {
            content.extend(self.blob.vector(offset, length, "FAT file")?);
        }
        Ok(content)
    }

    /// Where the content of a file lies: offset from the start of the volume and length, both in bytes, neighbouring
    /// clusters joined.
    ///
    /// # Errors
    /// As [`FatVolume::read`].
    pub fn extents(&self, entry: &FatEntry) -> Result<Vec<(u64, u64)>, ReadError> {
        let mut left = u64::from(entry.size);
        if left == 0 {
            return Ok(Vec::new());
        }
        let mut extents: Vec<(u64, u64)> = Vec::new();
        for cluster in self.chain(entry.cluster)? {
            let (offset, length) = (self.cluster_offset(cluster), left.min(self.cluster_bytes));
            match extents.last_mut() {
                Some((start, so_far)) if *start + *so_far == offset => *so_far += length,
                _ if length > 0 => extents.push((offset, length)),
                _ => {}
            }
            left -= length;
        }
        if left > 0 {
            let problem = format!("the chain of `{}` ends {left} bytes too early", entry.path);
            return Err(ReadError::damaged(TABLE, problem));
        }
        Ok(extents)
    }

    fn directory_bytes(&self, directory: &FatEntry) -> Result<Vec<u8>, ReadError> {
        match self.root {
            RootDirectory::Fixed { offset, length } if directory.cluster == 0 => {
                self.blob.vector(offset, length, DIRECTORY)
            }
            RootDirectory::Chain { cluster } if directory.cluster == 0 => self.clusters_of(cluster),
            _ => self.clusters_of(directory.cluster),
        }
    }

    fn clusters_of(&self, first: u32) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::new();
        for cluster in self.chain(first)? {
            bytes.extend(self.blob.vector(self.cluster_offset(cluster), self.cluster_bytes, DIRECTORY)?);
        }
        Ok(bytes)
    }

    /// The clusters of a chain. A chain that is longer than the volume has a loop.
    fn chain(&self, first: u32) -> Result<Vec<u32>, ReadError> {
        let mut chain = Vec::new();
        let mut cluster = first;
        loop {
            if cluster < 2 || u64::from(cluster) >= self.clusters + 2 {
                return Err(ReadError::damaged(TABLE, format!("a chain from {first} leads to cluster {cluster}")));
            }
            if chain.len() as u64 >= self.clusters {
                return Err(ReadError::damaged(TABLE, format!("the chain from cluster {first} is a loop")));
            }
            chain.push(cluster);
            match self.next(cluster) {
                Some(next) => cluster = next,
                None => return Ok(chain),
            }
        }
    }

    /// The table's entry for a cluster inside the volume; `None` for the end of a chain.
    fn next(&self, cluster: u32) -> Option<u32> {
        let index = cluster as usize;
        let (value, end) = match self.kind {
            FatKind::Fat12 => {
                let pair = u16_at(&self.table, index * 3 / 2);
                (u32::from(if index.is_multiple_of(2) { pair & 0xfff } else { pair >> 4 }), 0xff8)
            }
            FatKind::Fat16 => (u32::from(u16_at(&self.table, index * 2)), 0xfff8),
            FatKind::Fat32 => (u32_at(&self.table, index * 4) & 0x0fff_ffff, 0x0fff_fff8),
        };
        (value < end).then_some(value)
    }

    fn cluster_offset(&self, cluster: u32) -> u64 {
        self.data_start + (u64::from(cluster) - 2) * self.cluster_bytes
    }
}

/// The entries of a directory without `.`, `..`, labels and deleted ones.
fn parse_directory(bytes: &[u8], directory: &str) -> Vec<FatEntry> {
    let mut entries = Vec::new();
    let mut long = LongName::default();
    for entry in bytes.chunks_exact(ENTRY) {
        let attributes = entry[11];
        match entry[0] {
            0 => break,
            0xe5 => long = LongName::default(),
            _ if attributes & 0x3f == ATTR_LONG_NAME => long.push(entry),
            b'.' => {}
            _ if attributes & ATTR_VOLUME != 0 => long = LongName::default(),
            _ => {
                let short: ShortName = std::array::from_fn(|i| entry[i]);
                let name = std::mem::take(&mut long).finish(&short).unwrap_or_else(|| short_text(&short, entry[12]));
                let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
                let is_directory = attributes & ATTR_DIRECTORY != 0;
                let size = if is_directory { 0 } else { u32_at(entry, 28) };
                let cluster = u32::from(u16_at(entry, 20)) << 16 | u32::from(u16_at(entry, 26));
                entries.push(FatEntry { path, is_directory, size, cluster });
            }
        }
    }
    entries
}

/// A long name as it is collected, from its end to its beginning.
#[derive(Default)]
struct LongName {
    /// The parts in the order on disk: the last one first.
    parts: Vec<[u16; names::UNITS_PER_ENTRY]>,
    /// The number that the next part must have.
    expected: u8,
    checksum: u8,
}

impl LongName {
    fn push(&mut self, entry: &[u8]) {
        let number = entry[0] & !names::LAST_LONG_ENTRY;
        if entry[0] & names::LAST_LONG_ENTRY != 0 {
            *self = LongName { parts: Vec::new(), expected: number, checksum: entry[13] };
        }
        if number == 0 || number != self.expected || entry[13] != self.checksum {
            *self = LongName::default();
            return;
        }
        self.parts.push(names::UNIT_OFFSETS.map(|offset| u16_at(entry, offset)));
        self.expected -= 1;
    }

    /// `None` when the parts are incomplete or belong to another short name.
    fn finish(self, short: &ShortName) -> Option<String> {
        if self.parts.is_empty() || self.expected != 0 || self.checksum != names::checksum(short) {
            return None;
        }
        let units = self.parts.into_iter().rev().flatten().take_while(|unit| *unit != 0);
        Some(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
    }
}

/// A short name as text. Bits 3 and 4 of `case` say that stem and extension are in small letters.
fn short_text(short: &ShortName, case: u8) -> String {
    let part = |bytes: &[u8], small: bool| {
        let text: String = bytes.iter().map(|b| char::from(*b)).collect();
        let text = text.trim_end().to_owned();
        if small { text.to_ascii_lowercase() } else { text }
    };
    let (stem, extension) = (part(&short[..8], case & 0x08 != 0), part(&short[8..], case & 0x10 != 0));
    if extension.is_empty() { stem } else { format!("{stem}.{extension}") }
}

#[cfg(test)]
mod tests {
    use super::super::write::{FatError, FatFile, FatImage};
    use super::*;

    /// The whole volume in memory.
    fn bytes(image: &FatImage) -> Vec<u8> {
        let mut bytes = vec![0; image.size() as usize];
        for piece in image.pieces().into_iter().chain(image.boot_sectors(0x1234_5678)) {
            let content = piece.blob.read().unwrap();
            bytes[piece.offset as usize..][..content.len()].copy_from_slice(&content);
        }
        bytes
    }

    fn file(path: &str, content: impl Into<Vec<u8>>) -> FatFile {
        FatFile { path: path.into(), blob: Blob::from_bytes(content.into()) }
    }

    fn sample() -> Vec<FatFile> {
        vec![
            file("EFI/BOOT/BOOTX64.EFI", vec![1; 5000]),
            file("loader/loader.conf", "timeout 0\n"),
            file("loader/entries/linux and more.conf", "title Linux\n"),
            file("vmlinuz", vec![2; 9_000]),
            file("empty", ""),
        ]
    }

    #[test]
    fn what_is_written_is_read_back() {
        // FAT32 takes 2 GiB and has a test of its own.
        for (padding, kind) in [(0, FatKind::Fat12), (9 << 20, FatKind::Fat16)] {
            let mut files = sample();
            files.push(file("padding.bin", vec![0; padding]));
            let image = FatImage::plan(files.clone(), 0).unwrap();
            let volume = FatVolume::open(Blob::from_bytes(bytes(&image))).unwrap();
            assert_eq!((volume.kind(), volume.serial()), (kind, 0x1234_5678));
            for FatFile { path, blob } in &files {
                let entry = volume.find(&path.to_uppercase().replace('/', "\\")).unwrap();
                assert_eq!(&entry.path, path);
                assert_eq!(volume.read(&entry).unwrap(), blob.read().unwrap(), "{path}");
                let extents = volume.extents(&entry).unwrap();
                assert_eq!(extents.first().map(|e| e.0), image.offset_of(path));
                assert!(extents.len() <= 1 && extents.iter().all(|e| e.0 % 2048 == 0));
            }
            assert_eq!(volume.walk().unwrap().iter().filter(|e| e.is_directory).count(), 4);
        }
    }

    /// A blob of `size` zeros that take no space.
    fn hole(size: u64) -> Blob {
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        Blob::from_file(file, std::path::Path::new("hole")).unwrap()
    }

    #[test]
    fn a_fat32_volume_is_read_back() {
        let large = hole(2_300_000_000);
        let files = [sample(), vec![FatFile { path: "large".into(), blob: large.clone() }]].concat();
        let image = FatImage::plan(files, 0).unwrap();
        let volume = tempfile::tempfile().unwrap();
        volume.set_len(image.size()).unwrap();
        for piece in image.pieces().into_iter().chain(image.boot_sectors(7)) {
            if piece.blob.len() != large.len() {
                std::os::unix::fs::FileExt::write_all_at(&volume, &piece.blob.read().unwrap(), piece.offset).unwrap();
            }
        }
        let volume = FatVolume::open(Blob::from_file(volume, std::path::Path::new("volume")).unwrap()).unwrap();
        assert_eq!((volume.kind(), volume.serial()), (FatKind::Fat32, 7));
        let entry = volume.find("large").unwrap();
        assert_eq!(volume.extents(&entry).unwrap(), [(image.offset_of("large").unwrap(), large.len())]);
        let entry = volume.find("loader/loader.conf").unwrap();
        assert_eq!(volume.read(&entry).unwrap(), b"timeout 0\n");
        assert_eq!(volume.walk().unwrap().len(), 10);
    }

    #[test]
    fn files_of_4_gib_are_refused_when_they_are_planned() {
        let size = 1 << 32;
        let plan = FatImage::plan(vec![FatFile { path: "large".into(), blob: hole(size) }], 0);
        assert_eq!(plan.unwrap_err(), FatError::FileTooLarge { path: "large".into(), size });
    }

    #[test]
    fn names_that_differ_in_case_only_are_refused() {
        let twice = |a, b| FatImage::plan(vec![file(a, "1"), file(b, "2")], 0).unwrap_err();
        assert_eq!(twice("vmlinuz", "VMLINUZ"), FatError::Duplicate { path: "VMLINUZ".into() });
        assert_eq!(twice("a", "A/b"), FatError::Duplicate { path: "A".into() });
        assert!(matches!(twice("a", "b//c"), FatError::BadName { .. }));
    }

    #[test]
    fn truncated_volumes_are_errors() {
        let whole = bytes(&FatImage::plan(sample(), 0).unwrap());
        for length in (0..whole.len()).step_by(509) {
            assert!(FatVolume::open(Blob::from_bytes(&whole[..length])).is_err(), "{length}");
        }
    }

    #[test]
    fn damage_never_panics() {
        let whole = bytes(&FatImage::plan(sample(), 0).unwrap());
        // The parameter block, and every byte of tables and directories that says something.
        let said = (64..12_288).filter(|position| whole[*position] != 0);
        for position in (0..64).chain(said) {
            for value in [0, 1, 0x80, 0xff] {
                let mut damaged = whole[..].to_vec();
                damaged[position] = value;
                let Ok(volume) = FatVolume::open(Blob::from_bytes(damaged)) else { continue };
                let Ok(entries) = volume.walk() else { continue };
                for entry in entries {
                    let _ = volume.read(&entry);
                }
            }
        }
    }

    #[test]
    fn a_loop_in_a_chain_is_an_error() {
        let image = FatImage::plan(vec![file("vmlinuz", vec![2; 70_000])], 0).unwrap();
        let mut bytes = bytes(&image);
        let volume = FatVolume::open(Blob::from_bytes(bytes.clone())).unwrap();
        let table = usize::from(u16_at(&bytes, 14)) * 512;
        // Cluster 2, the first of the file, follows itself.
        bytes[table + 3] = 2;
        bytes[table + 4] &= 0xf0;
        let entry = volume.find("vmlinuz").unwrap();
        let error = FatVolume::open(Blob::from_bytes(bytes)).unwrap().read(&entry).unwrap_err();
        assert!(error.to_string().contains("loop"), "{error}");
    }

    /// Each of sixty goes on with the clusters of the next, so that they would be read two thousand times.
    #[test]
    fn directories_that_share_clusters_are_an_error() {
        let names: Vec<String> = (0..60).map(|n| format!("D{n:02}")).collect();
        let image = FatImage::plan(names.iter().map(|name| file(&format!("{name}/F"), "x")).collect(), 0).unwrap();
        let mut bytes = bytes(&image);
        let volume = FatVolume::open(Blob::from_bytes(bytes.clone())).unwrap();
        let table = usize::from(u16_at(&bytes, 14)) * 512;
        let clusters: Vec<u32> = names.iter().map(|name| volume.find(name).unwrap().cluster).collect();
        for pair in clusters.windows(2) {
            let (at, next) = (table + pair[0] as usize * 3 / 2, pair[1] as u16);
            let old = u16_at(&bytes, at);
            let new = if pair[0].is_multiple_of(2) { old & 0xf000 | next } else { old & 0xf | next << 4 };
            bytes[at..at + 2].copy_from_slice(&new.to_le_bytes());
        }
        let error = FatVolume::open(Blob::from_bytes(bytes)).unwrap().walk().unwrap_err();
        assert!(error.to_string().contains("shares clusters"), "{error}");
    }

    #[test]
    fn a_directory_inside_itself_is_an_error() {
        let image = FatImage::plan(vec![file("A/B/C", "x")], 0).unwrap();
        let mut bytes = bytes(&image);
        let volume = FatVolume::open(Blob::from_bytes(bytes.clone())).unwrap();
        let (a, b) = (volume.find("A").unwrap(), volume.find("A/B").unwrap());
        // The third entry of A, behind the dots, is B; make it A.
        let entry = volume.cluster_offset(a.cluster) as usize + 2 * ENTRY;
        assert_eq!(u32::from(u16_at(&bytes, entry + 26)), b.cluster);
        bytes[entry + 26] = a.cluster as u8;
        let error = FatVolume::open(Blob::from_bytes(bytes)).unwrap().walk().unwrap_err();
        assert!(error.to_string().contains("contains itself"), "{error}");
    }
}
