//! Which block holds what: every file's blocks, indirect blocks and last fragments, in the order they are written.
//!
//! Blocks are numbered from 0 here, as if there were nothing else; [`super::geometry`] says where in the image they
//! are. The ends of small files share blocks. Such a block gets its number when it is full, so that whoever writes the
//! image in its order has read all of the ends by then, and has to keep those of a few files only.

use super::nodes::Node;
use crate::ufs::{BLOCK_SIZE, FRAGMENT_SIZE, FRAGMENTS_PER_BLOCK, N_DIRECT, POINTERS_PER_BLOCK};
use std::collections::BTreeMap;
use std::ops::Range;

/// Blocks that may be waiting for more ends: more of them leave less over, and are half a MiB to hold at most.
const MAX_OPEN: usize = 64;

/// Where all content is.
#[derive(Debug, Default)]
pub(super) struct Placement {
    /// One per inode.
    pub nodes: Vec<Placed>,
    /// What is in the blocks, in their order.
    pub pieces: Vec<Piece>,
    pub n_blocks: u32,
    /// Blocks of ends with the fragments they use, where that is not all of them.
    pub partial: Vec<(u32, u32)>,
    open: Vec<Vec<End>>,
}

/// Where the content of one inode is.
#[derive(Debug, Default)]
pub(super) struct Placed {
    /// In order; what is between them is a hole.
    pub extents: Vec<Extent>,
    /// By level (1 to 3) and the first block of the file that they lead to.
    pub indirect: BTreeMap<(u32, u32), u32>,
    pub end: Option<PlacedEnd>,
}

/// Blocks of a file that follow each other in the image too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// The first block, counted in the file.
    pub logical: u32,
    /// The first block, counted in the image's content.
    pub block: u32,
    pub n_blocks: u32,
}

/// The last fragments of a file, in a block it shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlacedEnd {
    pub logical: u32,
    pub block: u32,
    pub fragment: u32,
    pub n_fragments: u32,
}

/// What is in some blocks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Data { node: usize, extent: Extent },
    Indirect { node: usize, level: u32, logical: u32 },
    Ends(Vec<End>),
}

/// The last fragments of the file of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub node: usize,
    pub n_fragments: u32,
}

impl Placement {
    /// Places the content of all nodes; `data` tells which blocks of a node are not holes.
    ///
    /// # Errors
    /// Those of `data`. Content of more than `max_blocks` blocks is `None`.
    pub fn new<E>(
        nodes: &[Node<'_>],
        max_blocks: u32,
        mut data: impl FnMut(&Node<'_>) -> Result<Vec<Range<u32>>, E>,
    ) -> Result<Option<Placement>, E> {
        let mut placement = Placement::default();
        for (index, node) in nodes.iter().enumerate() {
            placement.nodes.push(Placed::default());
            let end = end_fragments(node.size);
            for range in data(node)? {
                let last_is_end = end > 0 && range.end == blocks_of(node.size);
                placement.add_blocks(index, range.start..range.end - u32::from(last_is_end));
            }
            if end > 0 {
                placement.add_end(End { node: index, n_fragments: end }, blocks_of(node.size) - 1);
            }
            // One file has 2^27 blocks at most, so that the count cannot overflow in between.
            if placement.n_blocks > max_blocks {
                return Ok(None);
            }
        }
        for ends in std::mem::take(&mut placement.open) {
            placement.close(ends);
        }
        Ok(Some(placement))
    }

    /// Free fragments of the blocks that ends share.
    pub fn left_over(&self) -> u32 {
        self.partial.iter().map(|(_, used)| FRAGMENTS_PER_BLOCK - used).sum()
    }

    fn add_blocks(&mut self, node: usize, range: Range<u32>) {
        let mut logical = range.start;
        while logical < range.end {
            let border = self.add_indirect(node, logical);
            let end = range.end.min(border);
            let extent = Extent { logical, block: self.n_blocks, n_blocks: end - logical };
            self.nodes[node].extents.push(extent);
            self.pieces.push(Piece::Data { node, extent });
            self.n_blocks += extent.n_blocks;
            logical = end;
        }
    }

    /// Places the indirect blocks that lead to a block of a file, unless they are there; gives the first block that
    /// needs others.
    fn add_indirect(&mut self, node: usize, logical: u32) -> u32 {
        for (level, first) in indirect_to(logical) {
            if let std::collections::btree_map::Entry::Vacant(vacant) = self.nodes[node].indirect.entry((level, first))
            {
                vacant.insert(self.n_blocks);
                self.pieces.push(Piece::Indirect { node, level, logical: first });
                self.n_blocks += 1;
            }
        }
        match logical.checked_sub(N_DIRECT) {
            None => N_DIRECT,
            Some(behind) => logical - behind % POINTERS_PER_BLOCK + POINTERS_PER_BLOCK,
        }
    }

    /// Puts an end into the waiting block that it fills best.
    fn add_end(&mut self, end: End, logical: u32) {
        self.nodes[end.node].end = Some(PlacedEnd { logical, block: 0, fragment: 0, n_fragments: end.n_fragments });
        let room = |ends: &[End]| FRAGMENTS_PER_BLOCK - used(ends);
        let fitting = (0..self.open.len()).filter(|index| room(&self.open[*index]) >= end.n_fragments);
        let best = fitting.min_by_key(|index| room(&self.open[*index]));
        let index = best.unwrap_or_else(|| {
            if self.open.len() == MAX_OPEN {
                let fullest = (0..MAX_OPEN).min_by_key(|index| room(&self.open[*index])).unwrap_or(0);
                let ends = self.open.remove(fullest);
                self.close(ends);
            }
            self.open.push(Vec::new());
            self.open.len() - 1
        });
        self.open[index].push(end);
        if used(&self.open[index]) == FRAGMENTS_PER_BLOCK {
            let ends = self.open.remove(index);
            self.close(ends);
        }
    }

    /// Gives a block of ends its number.
    fn close(&mut self, ends: Vec<End>) {
        let mut fragment = 0;
        for end in &ends {
            if let Some(placed) = &mut self.nodes[end.node].end {
                (placed.block, placed.fragment) = (self.n_blocks, fragment);
            }
            fragment += end.n_fragments;
        }
        if fragment < FRAGMENTS_PER_BLOCK {
            self.partial.push((self.n_blocks, fragment));
        }
        self.pieces.push(Piece::Ends(ends));
        self.n_blocks += 1;
    }
}

impl Placed {
    /// The fragment of a block of the file; 0 in a hole. `addresses` has the first fragment of each block of content.
    pub fn pointer(&self, logical: u32, addresses: &[u32]) -> u32 {
        if let Some(end) = self.end.filter(|end| end.logical == logical) {
            return addresses[end.block as usize] + end.fragment;
        }
        let next = self.extents.partition_point(|extent| extent.logical <= logical);
        match next.checked_sub(1).map(|index| self.extents[index]) {
            Some(extent) if logical - extent.logical < extent.n_blocks => {
                addresses[(extent.block + logical - extent.logical) as usize]
            }
            _ => 0,
        }
    }

    /// The fragment of an indirect block; 0 where there is none.
    pub fn indirect_pointer(&self, level: u32, logical: u32, addresses: &[u32]) -> u32 {
        self.indirect.get(&(level, logical)).map_or(0, |block| addresses[*block as usize])
    }

    /// The pointers of an indirect block.
    pub fn pointers(&self, level: u32, logical: u32, addresses: &[u32]) -> impl Iterator<Item = u32> {
        let step = POINTERS_PER_BLOCK.pow(level - 1);
        (0..POINTERS_PER_BLOCK).map(move |index| match logical.checked_add(index.saturating_mul(step)) {
            Some(logical) if level == 1 => self.pointer(logical, addresses),
            Some(logical) => self.indirect_pointer(level - 1, logical, addresses),
            None => 0,
        })
    }

    /// Fragments that the file holds, its indirect blocks among them.
    pub fn n_fragments(&self) -> u32 {
        let blocks: u32 = self.extents.iter().map(|extent| extent.n_blocks).sum();
        (blocks + self.indirect.len() as u32) * FRAGMENTS_PER_BLOCK + self.end.map_or(0, |end| end.n_fragments)
    }
}

/// The first block of a file that hangs on the indirect block of a level (`ib[level - 1]`).
pub(super) fn first_behind(level: u32) -> u32 {
    N_DIRECT + (1..level).map(|level| POINTERS_PER_BLOCK.pow(level)).sum::<u32>()
}

/// The indirect blocks on the way to a block of a file, from the inode on, as level and first block they lead to.
fn indirect_to(logical: u32) -> Vec<(u32, u32)> {
    let Some(top) = (1..=3).rev().find(|level| logical >= first_behind(*level)) else { return Vec::new() };
    let first = first_behind(top);
    let aligned = |level: u32| match POINTERS_PER_BLOCK.checked_pow(level) {
        Some(span) => first + (logical - first) / span * span,
        None => first, // the triple indirect block leads to more than 2^32 blocks
    };
    (1..=top).rev().map(|level| (level, aligned(level))).collect()
}

/// Fragments of the last block, where it is not a whole one: only files without indirect blocks have that.
fn end_fragments(size: u64) -> u32 {
    let rest = (size % u64::from(BLOCK_SIZE)).div_ceil(FRAGMENT_SIZE.into()) as u32;
    let small = size <= u64::from(N_DIRECT * BLOCK_SIZE);
    if small && rest < FRAGMENTS_PER_BLOCK { rest } else { 0 }
}

fn blocks_of(size: u64) -> u32 {
    super::holes::n_blocks(size)
}

fn used(ends: &[End]) -> u32 {
    ends.iter().map(|end| end.n_fragments).sum()
}

#[cfg(test)]
mod tests {
    use super::super::holes::all_blocks;
    use super::super::nodes::Kind;
    use super::*;
    use std::convert::Infallible;

    const KIB: u64 = 1024;
    const BLOCK: u64 = 8 * KIB;

    fn node(size: u64) -> Node<'static> {
        Node { kind: Kind::Fifo, mode: 0, uid: 0, gid: 0, n_links: 1, size }
    }

    fn placed(sizes: &[u64]) -> Placement {
        let nodes: Vec<_> = sizes.iter().map(|size| node(*size)).collect();
        let whole = |node: &Node<'_>| Ok::<_, Infallible>(all_blocks(node.size));
        Placement::new(&nodes, u32::MAX, whole).unwrap().unwrap()
    }

    #[test]
    fn fragments_end_where_indirect_blocks_begin() {
        for (size, n_fragments) in [
            (0, 0),
            (1, 1),
            (KIB, 1),
            (KIB + 1, 2),
            (7 * KIB, 7),
            (7 * KIB + 1, 8),
            (BLOCK, 8),
            (BLOCK + 1, 9),
            (12 * BLOCK - 1, 96),
            (12 * BLOCK, 96),
            (11 * BLOCK + 1, 89),
            // One block more, and one that leads to it.
            (12 * BLOCK + 1, 112),
            ((12 + 2048) * BLOCK, (2060 + 1) * 8),
            // The double indirect block, and a single one below it.
            ((12 + 2048) * BLOCK + 1, (2061 + 3) * 8),
            ((12 + 4096) * BLOCK + 1, (4109 + 4) * 8),
        ] {
            assert_eq!(placed(&[size]).nodes[0].n_fragments(), n_fragments, "{size}");
        }
    }

    #[test]
    fn indirect_blocks_of_all_levels_lead_to_a_block() {
        let (single, double) = (12 + 2048, 12 + 2048 + 2048 * 2048);
        assert_eq!(indirect_to(11), []);
        assert_eq!(indirect_to(12), [(1, 12)]);
        assert_eq!(indirect_to(single - 1), [(1, 12)]);
        assert_eq!(indirect_to(single + 2049), [(2, single), (1, single + 2048)]);
        assert_eq!(indirect_to(double + 5), [(3, double), (2, double), (1, double)]);
        let last = (crate::ufs::MAX_FILE_SIZE / BLOCK) as u32;
        let behind = last - double;
        let expected = [(3, double), (2, double + behind / (1 << 22) * (1 << 22)), (1, double + behind / 2048 * 2048)];
        assert_eq!(indirect_to(last), expected);
    }

    #[test]
    fn holes_take_nothing_and_pointers_lead_around_them() {
        let nodes = [node(1 << 39)];
        let far = 12 + 2048 + 2048 * 2048 + 7;
        let data = |_: &Node<'_>| Ok::<_, Infallible>(vec![3..5, 2060..2061, far..far + 1]);
        let placement = Placement::new(&nodes, 100, data).unwrap().unwrap();
        let placed = &placement.nodes[0];
        assert_eq!(placement.n_blocks, 4 + 2 + 3);
        let addresses: Vec<u32> = (0..9).map(|block| 1000 + 8 * block).collect();
        let pointers: Vec<_> = (0..12).map(|logical| placed.pointer(logical, &addresses)).collect();
        assert_eq!(pointers, [0, 0, 0, 1000, 1008, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(placed.indirect_pointer(1, 12, &addresses), 0);
        let first = |level, logical| placed.pointers(level, logical, &addresses).next().unwrap();
        assert_eq!((first(2, 2060), first(1, 2060)), (1024, 1032));
        assert_eq!((first(3, far - 7), first(2, far - 7), first(1, far - 7)), (1048, 1056, 0));
        assert_eq!(placed.pointers(1, far - 7, &addresses).nth(7), Some(1064));
    }

    #[test]
    fn ends_share_blocks_and_nothing_is_in_two_places() {
        let sizes: Vec<u64> = (0..5000_u64).map(|n| n * 7919 % (3 * BLOCK)).collect();
        let placement = placed(&sizes);
        let mut used = vec![0_u8; placement.n_blocks as usize];
        for placed in &placement.nodes {
            for extent in &placed.extents {
                for block in extent.block..extent.block + extent.n_blocks {
                    assert_eq!(std::mem::replace(&mut used[block as usize], 0xff), 0);
                }
            }
            if let Some(end) = placed.end {
                let bits = (((1_u32 << end.n_fragments) - 1) << end.fragment) as u8;
                assert_eq!(used[end.block as usize] & bits, 0);
                used[end.block as usize] |= bits;
            }
        }
        let n_used: u32 = used.iter().map(|bits| bits.count_ones()).sum();
        assert_eq!(u64::from(n_used), sizes.iter().map(|size| size.div_ceil(KIB)).sum::<u64>());
        assert_eq!(placement.left_over(), placement.n_blocks * 8 - n_used);
        assert!(placement.left_over() < 8 * MAX_OPEN as u32, "{} left over", placement.left_over());
    }

    #[test]
    fn too_many_blocks_are_no_placement() {
        let nodes = [node(10 * BLOCK), node(BLOCK)];
        let whole = |node: &Node<'_>| Ok::<_, Infallible>(all_blocks(node.size));
        assert!(Placement::new(&nodes, 11, whole).unwrap().is_some());
        assert!(Placement::new(&nodes, 10, whole).unwrap().is_none());
    }
}
