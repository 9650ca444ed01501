//! The maps and counts of groups: which fragments and inodes are free, per group, per cylinder, and in all.

use super::geometry::Geometry;
use super::nodes::Node;
use super::place::Placement;
use crate::ufs::{
    BLOCK_SIZE, FRAGMENTS_PER_BLOCK, Field, GROUP_MAGIC, GroupHeader, N_POSITIONS, ROOT_INODE, SECTORS_PER_FRAGMENT,
    Summary,
};

/// All fragments of a block are free.
const FREE: u8 = 0xff;

/// The group blocks of a file system, complete, with the summaries that repeat their counts.
pub(super) struct Groups {
    pub blocks: Vec<Vec<u8>>,
    pub summaries: Vec<Summary>,
}

impl Groups {
    pub fn new(geometry: &Geometry, nodes: &[Node<'_>], placement: &Placement, time: u32) -> Groups {
        let free = free_fragments(geometry, placement);
        let mut groups = Groups { blocks: Vec::new(), summaries: Vec::new() };
        for group in 0..geometry.n_groups {
            let (block, summary) = group_block(geometry, group, nodes, &free, time);
            groups.blocks.push(block);
            groups.summaries.push(summary);
        }
        groups
    }

    pub fn total(&self) -> Summary {
        let mut total = Summary::default();
        self.summaries.iter().for_each(|summary| total.add(summary));
        total
    }
}

/// A byte per block of the image, with a bit per free fragment, lowest first: what the maps of all groups are, one
/// behind the other.
fn free_fragments(geometry: &Geometry, placement: &Placement) -> Vec<u8> {
    let in_use = |n_fragments: u32| FREE.checked_shl(n_fragments).unwrap_or(0);
    let block_of = |fragment: u32| (fragment / FRAGMENTS_PER_BLOCK) as usize;
    let mut free = vec![0; block_of(geometry.size)];
    geometry.content().for_each(|fragment| free[block_of(fragment)] = FREE);
    let used: Vec<_> = geometry.content().take(placement.n_blocks as usize).map(block_of).collect();
    used.iter().for_each(|block| free[*block] = 0);
    for (block, n_used) in &placement.partial {
        free[used[*block as usize]] = in_use(*n_used);
    }
    // The summaries are whole fragments; the rest of their last block is free, as mkfs leaves it.
    let end = geometry.data_fragment() + geometry.summary_fragments();
    if !end.is_multiple_of(FRAGMENTS_PER_BLOCK) {
        free[block_of(end)] = in_use(end % FRAGMENTS_PER_BLOCK);
    }
    free
}

fn group_block(geometry: &Geometry, group: u32, nodes: &[Node<'_>], free: &[u8], time: u32) -> (Vec<u8>, Summary) {
    let maps = geometry.maps();
    let first = (geometry.group_base(group) / FRAGMENTS_PER_BLOCK) as usize;
    let free = &free[first..first + (geometry.fragments_in(group) / FRAGMENTS_PER_BLOCK) as usize];
    let inodes = inodes_in(geometry, group, nodes);
    let n_directories = inodes.nodes.iter().filter(|node| node.is_directory()).count() as u32;
    let mut summary =
        Summary { n_directories, n_free_inodes: geometry.inodes_per_group - inodes.n_used, ..Summary::default() };

    let mut block = vec![0; BLOCK_SIZE as usize];
    let mut runs = [0; FRAGMENTS_PER_BLOCK as usize];
    for (index, bits) in (0..).zip(free) {
        if *bits == FREE {
            summary.n_free_blocks += 1;
            let (cylinder, position) = place_on_disk(geometry, index * FRAGMENTS_PER_BLOCK);
            add_one::<u32>(&mut block[maps.block_totals.start + 4 * cylinder..]);
            add_one::<u16>(&mut block[maps.block_positions.start + 2 * (cylinder * N_POSITIONS as usize + position)..]);
        } else {
            summary.n_free_fragments += bits.count_ones();
            count_runs(*bits, &mut runs);
        }
    }
    for inode in 0..inodes.n_used as usize {
        block[maps.inodes.start + inode / 8] |= 1 << (inode % 8);
    }
    block[maps.fragments.start..][..free.len()].copy_from_slice(free);

    let header = GroupHeader {
        magic: GROUP_MAGIC,
        time,
        cgx: group,
        ncyl: geometry.cylinders_in(group) as u16,
        niblk: geometry.inodes_per_group as u16,
        ndblk: geometry.fragments_in(group),
        cs: summary,
        // Nothing was looked for yet.
        rotor: 0,
        frotor: 0,
        irotor: 0,
        frsum: runs,
        btotoff: maps.block_totals.start as u32,
        boff: maps.block_positions.start as u32,
        iusedoff: maps.inodes.start as u32,
        freeoff: maps.fragments.start as u32,
        nextfreeoff: maps.fragments.end as u32,
    };
    header.write(&mut block);
    (block, summary)
}

/// The inodes of a group.
pub(super) struct GroupInodes<'n, 'm> {
    /// Inodes that no node has come first: 0 and 1 in group 0.
    pub n_reserved: u32,
    pub nodes: &'n [Node<'m>],
    /// Of both.
    pub n_used: u32,
}

pub(super) fn inodes_in<'n, 'm>(geometry: &Geometry, group: u32, nodes: &'n [Node<'m>]) -> GroupInodes<'n, 'm> {
    let n_reserved = if group == 0 { ROOT_INODE } else { 0 };
    let from = (group * geometry.inodes_per_group).saturating_sub(ROOT_INODE) as usize;
    let to = ((group + 1) * geometry.inodes_per_group - ROOT_INODE) as usize;
    let nodes = &nodes[from.min(nodes.len())..to.min(nodes.len())];
    GroupInodes { n_reserved, nodes, n_used: n_reserved + nodes.len() as u32 }
}

/// Cylinder and rotational position of a fragment of a group, at one head (`cbtocylno` and `cbtorpos` in `ufs_fs.h`).
fn place_on_disk(geometry: &Geometry, fragment: u32) -> (usize, usize) {
    let sector = fragment * SECTORS_PER_FRAGMENT;
    let per_cylinder = geometry.sectors_per_cylinder;
    let position = sector % per_cylinder * N_POSITIONS / per_cylinder;
    ((sector / per_cylinder) as usize, position as usize)
}

fn add_one<T: Field + std::ops::AddAssign + From<u8>>(place: &mut [u8]) {
    let mut count = T::get(place);
    count += T::from(1);
    count.put(place);
}

/// Counts the runs of set bits by their length.
fn count_runs(mut bits: u8, runs: &mut [u32; FRAGMENTS_PER_BLOCK as usize]) {
    while bits != 0 {
        bits >>= bits.trailing_zeros();
        let length = bits.trailing_ones();
        runs[length as usize] += 1;
        bits >>= length;
    }
}

#[cfg(test)]
mod tests {
    use super::super::geometry::tests::newfs;
    use super::super::holes::all_blocks;
    use super::super::nodes::nodes;
    use super::*;
    use crate::pack::testing::manifest;
    use std::convert::Infallible;

    /// The maps of an empty file system.
    fn empty(geometry: &Geometry) -> Groups {
        let made = manifest(Vec::new());
        let nodes = nodes(&made).unwrap();
        let whole = |node: &Node<'_>| Ok::<_, Infallible>(all_blocks(node.size));
        let placement = Placement::new(&nodes, 100, whole).unwrap().unwrap();
        Groups::new(geometry, &nodes, &placement, 7)
    }

    #[test]
    fn an_empty_file_system_has_the_counts_of_the_gates_mkfs() {
        for (mib, sectors, blocks, inodes) in
            [(64, 601, 8089, 4476), (64, 2048, 8119, 3836), (40, 4096, 5051, 3836), (100, 613, 12_648, 6716)]
        {
            let groups = empty(&newfs(mib, sectors, 16_384));
            let expected =
                Summary { n_directories: 2, n_free_blocks: blocks, n_free_inodes: inodes, n_free_fragments: 14 };
            assert_eq!(groups.total(), expected, "{mib} MiB");
        }
    }

    #[test]
    fn cylinders_and_positions_count_the_free_blocks_of_their_group() {
        let geometry = newfs(64, 601, 16_384);
        let groups = empty(&geometry);
        let maps = geometry.maps();
        for (block, summary) in groups.blocks.iter().zip(&groups.summaries) {
            let totals: Vec<_> = block[maps.block_totals.clone()].chunks(4).map(u32::get).collect();
            let positions: Vec<_> = block[maps.block_positions.clone()].chunks(2).map(u16::get).collect();
            assert_eq!(totals.iter().sum::<u32>(), summary.n_free_blocks);
            for (total, positions) in totals.iter().zip(positions.chunks(8)) {
                assert_eq!(positions.iter().copied().map(u32::from).sum::<u32>(), *total);
            }
        }
        let first = GroupHeader::read(&groups.blocks[0]).unwrap();
        // Seven behind the summary, seven behind the root directory.
        assert_eq!(first.frsum, [0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!((first.ncyl, first.niblk, first.ndblk, first.cs.n_directories), (16, 320, 4808, 2));
        let last = GroupHeader::read(&groups.blocks[13]).unwrap();
        assert_eq!((last.cgx, last.ndblk, last.ncyl), (13, 65_536 - 13 * 4808, 11));
    }

    #[test]
    fn runs_of_free_fragments_are_counted_by_length() {
        let mut runs = [0; 8];
        for bits in [0b1110_1011, 0, 0b0111_1111, 0b1000_0001] {
            count_runs(bits, &mut runs);
        }
        assert_eq!(runs, [0, 3, 1, 1, 0, 0, 0, 1]);
    }
}
