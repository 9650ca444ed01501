//! How many sectors and clusters a volume has, and which type that makes it.

use super::SECTOR;
use crate::iso::CD_SECTOR;

/// The type of a volume, which follows from the number of its clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FatKind {
    Fat12,
    Fat16,
    Fat32,
}

/// The number of clusters with which FAT16 and FAT32 begin.
const FAT16_FROM: u64 = 4085;
const FAT32_FROM: u64 = 65_525;

/// The specification asks writers to stay this far away from the limits, because many readers are off by a few.
const MARGIN: u64 = 16;

/// The highest number of clusters of a FAT32 volume: numbers from 0x0ffffff7 on are marks, and 0 and 1 name no cluster.
const MAX_CLUSTERS: u64 = 0x0fff_fff5;

const SECTORS_PER_CD_SECTOR: u64 = CD_SECTOR / SECTOR;

impl FatKind {
    pub fn of(clusters: u64) -> FatKind {
        match clusters {
            0..FAT16_FROM => FatKind::Fat12,
            FAT16_FROM..FAT32_FROM => FatKind::Fat16,
            _ => FatKind::Fat32,
        }
    }

    /// Bytes that the table needs for `clusters` clusters and the two entries before them.
    pub fn table_bytes(self, clusters: u64) -> u64 {
        let entries = clusters + 2;
        match self {
            FatKind::Fat12 => (entries * 3).div_ceil(2),
            FatKind::Fat16 => entries * 2,
            FatKind::Fat32 => entries * 4,
        }
    }
}

/// The shape of a volume to be written; sizes in sectors of 512 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    pub kind: FatKind,
    pub sectors_per_cluster: u64,
    pub clusters: u64,
    /// Boot sector and what else lies before the first table; stretched so that the clusters begin on a CD sector.
    pub reserved: u64,
    /// One of the two equal tables.
    pub table: u64,
    /// Fixed root directory of FAT12 and FAT16; 0 for FAT32.
    pub root: u64,
    pub total: u64,
}

impl Geometry {
    /// The smallest volume that holds chains of the given lengths (bytes) and a root directory of `root` bytes: FAT16
    /// if a cluster size makes it one, as that is what firmware knows best and its tables are small.
    ///
    /// `None` when no volume is large enough.
    pub fn choose(chains: &[u64], root: u64) -> Option<Geometry> {
        let candidates: Vec<_> = (2..=6).filter_map(|shift| Geometry::with_cluster(1 << shift, chains, root)).collect();
        let smallest = |kind| candidates.iter().filter(|g| g.kind == kind).min_by_key(|g| g.total).copied();
        smallest(FatKind::Fat16).or_else(|| smallest(FatKind::Fat12)).or_else(|| smallest(FatKind::Fat32))
    }

    fn with_cluster(sectors_per_cluster: u64, chains: &[u64], root: u64) -> Option<Geometry> {
        let cluster = sectors_per_cluster * SECTOR;
        let count = |bytes: &u64| bytes.div_ceil(cluster);
        let mut clusters: u64 = chains.iter().map(count).sum();
        if clusters > FAT32_FROM - MARGIN {
            clusters = (clusters + count(&root)).max(FAT32_FROM + MARGIN);
        } else if (FAT16_FROM - MARGIN..FAT16_FROM + MARGIN).contains(&clusters) {
            clusters = FAT16_FROM + MARGIN;
        }
        let kind = FatKind::of(clusters);
        let table = kind.table_bytes(clusters).div_ceil(SECTOR);
        let (root, reserved) = match kind {
            FatKind::Fat32 => (0, 32),
            _ => (root.div_ceil(CD_SECTOR) * SECTORS_PER_CD_SECTOR, 1),
        };
        let start = (reserved + 2 * table + root).next_multiple_of(SECTORS_PER_CD_SECTOR);
        let total = start + clusters * sectors_per_cluster;
        // The root of FAT12 and FAT16 counts its entries in 16 bits.
        let fits = clusters <= MAX_CLUSTERS && total <= u64::from(u32::MAX) && root * 16 <= u64::from(u16::MAX);
        let reserved = start - 2 * table - root;
        fits.then_some(Geometry { kind, sectors_per_cluster, clusters, reserved, table, root, total })
    }

    pub fn cluster_bytes(&self) -> u64 {
        self.sectors_per_cluster * SECTOR
    }

    /// Where a cluster begins, in bytes; the first one has the number 2.
    pub fn cluster_offset(&self, cluster: u64) -> u64 {
        (self.data_start() + (cluster - 2) * self.sectors_per_cluster) * SECTOR
    }

    /// The sector where the clusters begin.
    fn data_start(&self) -> u64 {
        self.reserved + 2 * self.table + self.root
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: u64 = 64 * 32;

    #[test]
    fn the_type_follows_from_the_number_of_clusters() {
        for (clusters, kind) in [
            (1, FatKind::Fat12),
            (4084, FatKind::Fat12),
            (4085, FatKind::Fat16),
            (65_524, FatKind::Fat16),
            (65_525, FatKind::Fat32),
        ] {
            assert_eq!(FatKind::of(clusters), kind, "{clusters}");
        }
    }

    #[test]
    fn the_cluster_size_follows_the_content() {
        for (megabytes, kind, cluster) in [
            (1, FatKind::Fat12, 2048),
            (40, FatKind::Fat16, 8192),
            (400, FatKind::Fat16, 32_768),
            (3000, FatKind::Fat32, 32_768),
        ] {
            let geometry = Geometry::choose(&[megabytes << 20, 100_000, 2048, 2048], ROOT).unwrap();
            assert_eq!((geometry.kind, geometry.cluster_bytes()), (kind, cluster), "{megabytes} MiB: {geometry:?}");
        }
    }

    #[test]
    fn clusters_begin_on_cd_sectors_and_types_keep_their_distance() {
        for clusters in (0..4200).chain(65_000..66_000) {
            let geometry = Geometry::with_cluster(4, &[clusters * 2048], ROOT).unwrap();
            assert_eq!(geometry.cluster_offset(2) % CD_SECTOR, 0);
            assert!(geometry.clusters >= clusters);
            assert!(geometry.clusters.abs_diff(FAT16_FROM) >= MARGIN, "{geometry:?}");
            assert!(geometry.clusters.abs_diff(FAT32_FROM) >= MARGIN, "{geometry:?}");
            assert!(geometry.table * SECTOR >= geometry.kind.table_bytes(geometry.clusters));
        }
    }

    #[test]
    fn too_much_content_is_refused() {
        assert_eq!(Geometry::choose(&[3 << 40], ROOT), None);
    }
}
