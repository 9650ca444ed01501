//! UFS, the boot archive of illumos: a manifest to a file system that is mounted from memory.
//!
//! The steps are those of the list below. Everything is planned before the first byte is written, because the maps of
//! a group come before its content: an image is then written from front to back, into a pipe or a compressor too.
//! What is surprising: the image is as full as asked. It has no spare room but the reserve, which has to hold the log
//! that illumos makes when the root is mounted read-write.
//!
//! 1. `nodes`: entries to inodes and directories.
//! 2. `holes`: blocks of large files that are zero.
//! 3. `place`: content to blocks.
//! 4. `geometry`: the smallest file system with these blocks and inodes.
//! 5. `maps` and `superblock`: what is free in it.
//! 6. [`write`]: all of it to bytes.

mod geometry;
mod holes;
mod maps;
mod nodes;
mod place;
mod superblock;
mod write;

use super::{Contents, Format, PackError, Warning};
use crate::manifest::{Entry, Manifest};
use crate::ufs::{BLOCK_SIZE, FRAGMENT_SIZE, FRAGMENTS_PER_BLOCK, LARGE_FILE, ROOT_INODE, Superblock};
use geometry::{Geometry, MAX_FRAGMENTS};
use maps::Groups;
use nodes::{Kind, Node};
use place::Placement;
use std::io::{self, Write};

/// Room for what the running system writes, on top of the log's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserve {
    /// Bytes.
    pub free: u64,
    /// Inodes to leave free at least; the file system may have more.
    pub free_inodes: u32,
}

/// How much of a file system is in use. Bytes are those of whole fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of the image.
    pub size: u64,
    /// Bytes that hold content or describe the file system.
    pub used: u64,
    /// Bytes that are free, the log's among them.
    pub free: u64,
    /// Bytes that a read-write mount takes for its log, unless it is mounted with `nologging`.
    pub log: u64,
    /// Inodes of the entries, and those that UFS keeps for itself.
    pub used_inodes: u32,
    /// Inodes that new files can have.
    pub free_inodes: u32,
}

/// A file system that is ready to be written.
pub struct Plan<'m> {
    nodes: Vec<Node<'m>>,
    placement: Placement,
    geometry: Geometry,
    groups: Groups,
    /// The first fragment of each block of content.
    addresses: Vec<u32>,
    time: u32,
    warnings: Vec<Warning>,
}

impl Default for Reserve {
    /// 1 MiB and 256 inodes: a start writes a few small files, such as `utmpx` and the state of `init` and `ipmgmtd`.
    fn default() -> Reserve {
        Reserve { free: 1 << 20, free_inodes: 256 }
    }
}

impl<'m> Plan<'m> {
    /// Plans the smallest file system that holds `manifest` and the reserve. Large files are looked at for holes.
    ///
    /// `epoch` is the time of everything, in seconds since 1970.
    ///
    /// # Errors
    /// An entry that UFS cannot hold, a file system that no boot loader can place, a large file that cannot be read.
    pub fn new(
        manifest: &'m Manifest,
        contents: &Contents<'_>,
        reserve: Reserve,
        epoch: u32,
    ) -> Result<Plan<'m>, PackError> {
        let warnings = super::plan(manifest, Format::Ufs)?;
        if i32::try_from(epoch).is_err() {
            return Err(PackError::TooLate { epoch });
        }
        let nodes = nodes::nodes(manifest)?;
        let blocks = |node: &Node<'_>| match node.kind {
            Kind::File(entry) => holes::data_blocks(contents, entry),
            _ => Ok(holes::all_blocks(node.size)),
        };
        let too_large = || PackError::image_too_large(manifest);
        let placement = Placement::new(&nodes, MAX_FRAGMENTS / FRAGMENTS_PER_BLOCK, blocks)?.ok_or_else(too_large)?;
        let n_inodes = u64::from(ROOT_INODE) + nodes.len() as u64 + u64::from(reserve.free_inodes);
        let geometry = least_geometry(&placement, n_inodes, reserve.free).ok_or_else(too_large)?;
        let addresses = geometry.content().take(placement.n_blocks as usize).collect();
        let groups = Groups::new(&geometry, &nodes, &placement, epoch);
        Ok(Plan { nodes, placement, geometry, groups, addresses, time: epoch, warnings })
    }

    /// What the manifest has and the file system will not.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// How full the file system is.
    pub fn usage(&self) -> Usage {
        let total = self.groups.total();
        let bytes = |n_fragments: u32| u64::from(n_fragments) * u64::from(FRAGMENT_SIZE);
        let size = bytes(self.geometry.size);
        let free = bytes(total.n_free_blocks * FRAGMENTS_PER_BLOCK + total.n_free_fragments);
        Usage {
            size,
            used: size - free,
            free,
            log: self.geometry.log_size(),
            used_inodes: self.geometry.n_inodes() - total.n_free_inodes,
            free_inodes: total.n_free_inodes,
        }
    }

    /// Writes the image from its first byte to its last and gives their number: [`Usage::size`].
    ///
    /// # Errors
    /// About reading they hold a [`PackError`], as when a file has changed; about writing they are those of `out`.
    pub fn write(&self, contents: &Contents<'_>, out: &mut impl Write) -> io::Result<u64> {
        write::write(self, contents, out)
    }

    fn superblock(&self) -> Superblock {
        let has_large_files = self.nodes.iter().any(|node| node.size >= LARGE_FILE);
        superblock::superblock(&self.geometry, self.groups.total(), has_large_files, self.time)
    }
}

/// The smallest file system with room for the log and `free` bytes more.
///
/// Fragments that are left over beside the ends of files count as free. The log takes whole blocks, and grows with the
/// file system.
fn least_geometry(placement: &Placement, n_inodes: u64, free: u64) -> Option<Geometry> {
    let block = u64::from(BLOCK_SIZE);
    let left_over = u64::from(placement.left_over()) * u64::from(FRAGMENT_SIZE);
    let free_blocks = free.saturating_sub(left_over).div_ceil(block);
    let mut log = 0;
    loop {
        let n_blocks = u64::from(placement.n_blocks).checked_add(free_blocks)?.checked_add(log / block)?;
        let geometry = Geometry::least(n_blocks, n_inodes)?;
        if geometry.log_size() <= log {
            return Some(geometry);
        }
        log = geometry.log_size();
    }
}

impl PackError {
    fn image_too_large(manifest: &Manifest) -> PackError {
        let largest = manifest.entries.iter().max_by_key(|entry| entry.size()).filter(|entry| entry.size() > 0);
        PackError::ImageTooLarge { largest: largest.map(|entry: &Entry| entry.path.clone()) }
    }
}

#[cfg(test)]
mod tests;
