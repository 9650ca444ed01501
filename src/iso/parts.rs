//! What the ISOs of all systems are put together from.

use super::Blob;
use super::iso9660::{Attributes, ExtentId, Node, Range};
use crate::path::RootPath;

/// Where the bytes of an ISO went; the fields add up to the size of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsoReport {
    pub kernel: u64,
    pub archive: u64,
    /// The files of the boot loaders, as far as they are on the image.
    pub loaders: u64,
    /// File systems, partition tables, loader configuration, rest of the last sector of files.
    pub overhead: u64,
}

impl IsoReport {
    /// Bytes of the file.
    pub fn total(&self) -> u64 {
        self.kernel + self.archive + self.loaders + self.overhead
    }
}

/// A file that everybody may read.
pub(super) const FILE: Attributes = Attributes { mode: 0o644, uid: 0, gid: 0 };

/// A file that is an extent from its beginning.
pub(super) fn whole(extent: ExtentId, size: u64) -> Node {
    Node::File(Range { extent, offset: 0, size })
}

pub(super) fn text(text: String) -> Blob {
    Blob::from_bytes(text.into_bytes())
}

pub(super) fn path(constant: &str) -> RootPath {
    RootPath::new(constant).expect("internal error: a constant is no path")
}
