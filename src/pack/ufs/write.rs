//! A planned file system to bytes, from the first block to the last.
//!
//! Files are read once, in the order of their blocks. Only the ends of small files are held: they share a block that
//! comes behind the last of them.

use super::maps::inodes_in;
use super::nodes::{Kind, Node};
use super::place::{End, Extent, Piece, first_behind};
use super::{Plan, holes};
use crate::manifest::Entry;
use crate::pack::contents::{BUFFER, SparseRead};
use crate::pack::{Change, Contents, PackError};
use crate::ufs::{
    BLOCK_SIZE, FRAGMENT_SIZE, Field, INODE_SIZE, Inode, ROOT_INODE, SECTORS_PER_FRAGMENT, SUPERBLOCK_OFFSET, Summary,
    Superblock,
};
use std::collections::HashMap;
use std::io::{self, Read, Write};

const BLOCK: usize = BLOCK_SIZE as usize;

/// Opens the content of a file.
pub(super) type OpenFile<'p> = dyn Fn(&'p Entry) -> Result<Box<dyn SparseRead + 'p>, PackError> + 'p;

/// Writes the file system; gives the number of bytes.
pub(super) fn write(plan: &Plan<'_>, contents: &Contents<'_>, out: &mut impl Write) -> io::Result<u64> {
    write_files(plan, &|entry| Ok(Box::new(contents.open(entry)?)), out)
}

/// [`write`] with files that come from anywhere.
pub(super) fn write_files<'p>(plan: &'p Plan<'_>, open: &'p OpenFile<'p>, out: &mut impl Write) -> io::Result<u64> {
    let geometry = &plan.geometry;
    let mut superblock = vec![0; Superblock::SIZE];
    plan.superblock().write(&mut superblock);
    let mut content = ContentWriter::new(plan, open);
    for group in 0..geometry.n_groups {
        if group == 0 {
            out.write_all(&[0; SUPERBLOCK_OFFSET as usize])?;
            out.write_all(&superblock)?;
        }
        content.write_blocks(geometry.front_blocks(group), out)?;
        out.write_all(&superblock)?;
        out.write_all(&plan.groups.blocks[group as usize])?;
        out.write_all(&inodes(plan, group))?;
        if group == 0 {
            out.write_all(&summaries(&plan.groups.summaries))?;
        }
        content.write_blocks(geometry.content_blocks(group), out)?;
    }
    content.check_holes()?;
    Ok(u64::from(geometry.size) * u64::from(FRAGMENT_SIZE))
}

fn inodes(plan: &Plan<'_>, group: u32) -> Vec<u8> {
    let inodes = inodes_in(&plan.geometry, group, &plan.nodes);
    let mut bytes = vec![0; (plan.geometry.inodes_per_group * INODE_SIZE) as usize];
    let number = |slot: usize| group * plan.geometry.inodes_per_group + slot as u32;
    let used = bytes.chunks_mut(INODE_SIZE as usize).enumerate().skip(inodes.n_reserved as usize);
    for ((slot, bytes), node) in used.zip(inodes.nodes) {
        inode(plan, number(slot), node).write(bytes);
    }
    bytes
}

fn inode(plan: &Plan<'_>, number: u32, node: &Node<'_>) -> Inode {
    let placed = &plan.placement.nodes[(number - ROOT_INODE) as usize];
    let time = [plan.time, 0];
    let mut inode = Inode {
        mode: node.smode(),
        nlink: node.n_links as i16, // counted by nodes()
        suid: u16::try_from(node.uid).unwrap_or(u16::MAX),
        sgid: u16::try_from(node.gid).unwrap_or(u16::MAX),
        size: node.size,
        atime: time,
        mtime: time,
        ctime: time,
        db: std::array::from_fn(|block| placed.pointer(block as u32, &plan.addresses)),
        ib: std::array::from_fn(|index| {
            let level = index as u32 + 1;
            placed.indirect_pointer(level, first_behind(level), &plan.addresses)
        }),
        blocks: placed.n_fragments() * SECTORS_PER_FRAGMENT,
        generation: generation(number, plan.time),
        uid: node.uid,
        gid: node.gid,
        ..Inode::default()
    };
    if let Kind::Char { device } | Kind::Block { device } = node.kind {
        inode.db[1] = device;
    }
    inode
}

/// What `mkfs` takes from a random number, so that an NFS client does not mistake a file for one of an older file
/// system: here the same in every run, and another one at another time.
fn generation(inode: u32, time: u32) -> u32 {
    (inode ^ time.rotate_left(16)).wrapping_mul(0x9e37_79b1) >> 1 | 1
}

/// The summaries of all groups, in whole blocks.
fn summaries(summaries: &[Summary]) -> Vec<u8> {
    let mut bytes = vec![0; (summaries.len() * Summary::SIZE).next_multiple_of(BLOCK)];
    for (summary, place) in summaries.iter().zip(bytes.chunks_mut(Summary::SIZE)) {
        summary.write(place);
    }
    bytes
}

/// Writes the blocks of content in their order, and zeros for the free ones behind.
struct ContentWriter<'p, 'm> {
    plan: &'p Plan<'m>,
    open_file: &'p OpenFile<'p>,
    pieces: std::slice::Iter<'p, Piece>,
    /// What is left of extents that a group did not have the room for.
    rest: Option<(usize, Extent)>,
    open: Option<Open<'p>>,
    /// The ends of files that had whole blocks before.
    ends: HashMap<usize, Vec<u8>>,
    buffer: Vec<u8>,
}

/// A file that is being read.
struct Open<'p> {
    node: usize,
    reader: Box<dyn SparseRead + 'p>,
    /// Blocks read.
    position: u32,
}

impl<'p, 'm> ContentWriter<'p, 'm> {
    fn new(plan: &'p Plan<'m>, open_file: &'p OpenFile<'p>) -> ContentWriter<'p, 'm> {
        let pieces = plan.placement.pieces.iter();
        ContentWriter { plan, open_file, pieces, rest: None, open: None, ends: HashMap::new(), buffer: vec![0; BUFFER] }
    }

    /// Writes the next so many blocks.
    fn write_blocks(&mut self, mut n_blocks: u32, out: &mut impl Write) -> io::Result<()> {
        while n_blocks > 0 {
            if let Some((node, extent)) = self.rest.take() {
                let n_now = extent.n_blocks.min(n_blocks);
                self.write_extent(node, Extent { n_blocks: n_now, ..extent }, out)?;
                let (logical, left) = (extent.logical + n_now, extent.n_blocks - n_now);
                let block = extent.block + n_now;
                self.rest = (left > 0).then_some((node, Extent { logical, block, n_blocks: left }));
                n_blocks -= n_now;
                continue;
            }
            match self.pieces.next() {
                Some(Piece::Data { node, extent }) => {
                    self.rest = Some((*node, *extent));
                    continue;
                }
                Some(Piece::Indirect { node, level, logical }) => self.write_indirect(*node, *level, *logical, out)?,
                Some(Piece::Ends(ends)) => self.write_ends(ends, out)?,
                None => out.write_all(&[0; BLOCK])?,
            }
            n_blocks -= 1;
        }
        Ok(())
    }

    fn write_indirect(&mut self, node: usize, level: u32, logical: u32, out: &mut impl Write) -> io::Result<()> {
        let mut bytes = [0; BLOCK];
        let pointers = self.plan.placement.nodes[node].pointers(level, logical, &self.plan.addresses);
        for (pointer, place) in pointers.zip(bytes.chunks_mut(4)) {
            pointer.put(place);
        }
        out.write_all(&bytes)
    }

    fn write_extent(&mut self, node: usize, extent: Extent, out: &mut impl Write) -> io::Result<()> {
        let mut open = match self.open.take().filter(|open| open.node == node) {
            Some(open) => open,
            None => Open { node, reader: self.reader(node)?, position: 0 },
        };
        self.skip_hole(&mut open, extent.logical)?;
        let mut left = extent.n_blocks as usize * BLOCK;
        while left > 0 {
            let piece = left.min(BUFFER);
            read_padded(&mut open.reader, &mut self.buffer[..piece])?;
            out.write_all(&self.buffer[..piece])?;
            left -= piece;
        }
        open.position = extent.logical + extent.n_blocks;
        let placed = &self.plan.placement.nodes[node];
        let last = placed.extents.last().is_none_or(|last| last.logical + last.n_blocks == open.position);
        if last {
            return self.close(open);
        }
        self.open = Some(open);
        Ok(())
    }

    /// Keeps the end of a file for the block it is in, and lets the reader see that there is no more.
    fn close(&mut self, mut open: Open<'p>) -> io::Result<()> {
        let node = open.node;
        if let Some(end) = self.plan.placement.nodes[node].end {
            let mut bytes = vec![0; (end.n_fragments * FRAGMENT_SIZE) as usize];
            read_padded(&mut open.reader, &mut bytes)?;
            self.ends.insert(node, bytes);
            open.position += 1;
        }
        self.skip_hole(&mut open, holes::n_blocks(self.plan.nodes[node].size))?;
        match open.reader.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(self.changed(node)),
        }
    }

    /// Reads up to a block of the file; everything has to be zero there, as it was when the holes were looked for.
    fn skip_hole(&mut self, open: &mut Open<'_>, until: u32) -> io::Result<()> {
        let mut left = u64::from(until.saturating_sub(open.position)) * u64::from(BLOCK_SIZE);
        while left > 0 {
            match open.reader.skip_hole(left)? {
                0 => {}
                n => {
                    left -= n;
                    continue;
                }
            }
            let piece = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
            read_padded(&mut open.reader, &mut self.buffer[..piece])?;
            if !holes::is_zero(&self.buffer[..piece]) {
                return Err(self.changed(open.node));
            }
            left -= piece as u64;
        }
        open.position = open.position.max(until);
        Ok(())
    }

    fn write_ends(&mut self, ends: &[End], out: &mut impl Write) -> io::Result<()> {
        let mut block = Vec::with_capacity(BLOCK);
        for end in ends {
            let bytes = match self.ends.remove(&end.node) {
                Some(bytes) => bytes,
                None => {
                    let open = Open { node: end.node, reader: self.reader(end.node)?, position: 0 };
                    self.close(open)?;
                    self.ends.remove(&end.node).unwrap_or_default()
                }
            };
            block.extend_from_slice(&bytes);
        }
        block.resize(BLOCK, 0);
        out.write_all(&block)
    }

    /// Reads the files that have no block, so that they too are what the manifest says.
    fn check_holes(&mut self) -> io::Result<()> {
        for node in 0..self.plan.nodes.len() {
            let placed = &self.plan.placement.nodes[node];
            if matches!(self.plan.nodes[node].kind, Kind::File(_)) && placed.extents.is_empty() && placed.end.is_none()
            {
                let open = Open { node, reader: self.reader(node)?, position: 0 };
                self.close(open)?;
            }
        }
        Ok(())
    }

    fn reader(&self, node: usize) -> io::Result<Box<dyn SparseRead + 'p>> {
        let plan = self.plan;
        Ok(match &plan.nodes[node].kind {
            Kind::File(entry) => (self.open_file)(entry).map_err(io::Error::other)?,
            Kind::Directory(directory) => Box::new(io::Cursor::new(directory.bytes())),
            Kind::Symlink(target) => Box::new(*target),
            Kind::Char { .. } | Kind::Block { .. } | Kind::Fifo => Box::new(io::empty()),
        })
    }

    fn changed(&self, node: usize) -> io::Error {
        match self.plan.nodes[node].kind {
            Kind::File(Entry { path, .. }) => {
                io::Error::other(PackError::Changed { path: path.clone(), change: Change::Digest })
            }
            _ => io::Error::other("internal error: a directory or a link does not have the size that was planned"),
        }
    }
}

/// Fills the buffer; what comes behind the end of the content is zero.
fn read_padded(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<()> {
    let mut n_read = 0;
    while n_read < buffer.len() {
        match reader.read(&mut buffer[n_read..])? {
            0 => break,
            n => n_read += n,
        }
    }
    buffer[n_read..].fill(0);
    Ok(())
}
