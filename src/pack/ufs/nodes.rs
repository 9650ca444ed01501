//! Manifest to inodes: every file, directory, link and device with its number, and the names in each directory.
//!
//! Numbers follow the manifest, so that they depend on nothing else: 2 is the root directory, 3 is `lost+found`, which
//! `mkfs` makes and only `fsck` wants. Hard links are names of one inode.

use crate::manifest::{Content, Entry, Manifest};
use crate::pack::PackError;
use crate::path::RootPath;
use crate::ufs::{
    DIRECTORY_CHUNK, LOST_FOUND_INODE, MAX_LINKS, ROOT_INODE, Record, encode_device, file_type, record_length,
};

/// Bytes of the directory that `mkfs` makes for `fsck` (`usr/src/cmd/fs.d/ufs/mkfs/mkfs.c`, `fsinit`).
const LOST_FOUND_SIZE: usize = 8192;
const LOST_FOUND: &[u8] = b"lost+found";

/// An inode to be written.
#[derive(Debug)]
pub(super) struct Node<'m> {
    pub kind: Kind<'m>,
    /// Permission bits.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    /// Names in directories, `.` and `..` among them.
    pub n_links: u32,
    /// Bytes of content.
    pub size: u64,
}

#[derive(Debug)]
pub(super) enum Kind<'m> {
    File(&'m Entry),
    Directory(Directory<'m>),
    Symlink(&'m [u8]),
    Char { device: u32 },
    Block { device: u32 },
    Fifo,
}

#[derive(Debug)]
pub(super) struct Directory<'m> {
    inode: u32,
    parent: u32,
    names: Vec<(&'m [u8], u32)>,
    /// Bytes at the least; what is more than the names is for names to come.
    least: usize,
}

/// The inodes of `manifest` in the order of their numbers, from [`ROOT_INODE`] on. The manifest has been checked by
/// [`crate::pack::plan`].
///
/// # Errors
/// An entry that its inode or its directory cannot count.
pub(super) fn nodes(manifest: &Manifest) -> Result<Vec<Node<'_>>, PackError> {
    let mut nodes = vec![root(manifest)];
    if !manifest.entries.iter().any(|entry| entry.path.relative() == LOST_FOUND) {
        nodes.push(lost_found());
        link(&mut nodes, ROOT_INODE, LOST_FOUND, LOST_FOUND_INODE);
    }
    let mut inodes: Vec<u32> = Vec::with_capacity(manifest.entries.len());
    let inode_at = |inodes: &[u32], path: &RootPath| {
        let found = manifest.entries.binary_search_by(|entry| entry.path.cmp(path)).ok();
        found.and_then(|index| inodes.get(index)).copied().unwrap_or(ROOT_INODE)
    };
    for entry in &manifest.entries {
        let Some(parent) = entry.path.parent() else {
            inodes.push(ROOT_INODE);
            continue;
        };
        let parent = inode_at(&inodes, &parent);
        let inode = match &entry.content {
            Content::Hardlink { to } => inode_at(&inodes, to),
            content => {
                let inode = ROOT_INODE + nodes.len() as u32;
                nodes.push(Node::new(entry, kind(entry, content, inode, parent)));
                inode
            }
        };
        inodes.push(inode);
        let links = link(&mut nodes, parent, entry.path.file_name(), inode);
        if links > MAX_LINKS {
            let reason = format!("an inode has at most {MAX_LINKS} names, and a directory one in each subdirectory");
            return Err(PackError::DoesNotFit { path: entry.path.clone(), reason });
        }
    }
    for node in &mut nodes {
        node.size = match &node.kind {
            Kind::File(entry) => entry.size(),
            Kind::Directory(directory) => directory.bytes().len() as u64,
            Kind::Symlink(target) => target.len() as u64,
            Kind::Char { .. } | Kind::Block { .. } | Kind::Fifo => 0,
        };
    }
    Ok(nodes)
}

/// Adds a name to a directory; gives the larger count of links of the two.
fn link<'m>(nodes: &mut [Node<'m>], parent: u32, name: &'m [u8], inode: u32) -> u32 {
    let index = |inode: u32| (inode - ROOT_INODE) as usize;
    nodes[index(inode)].n_links += 1;
    let n_links = nodes[index(inode)].n_links;
    let is_directory = matches!(nodes[index(inode)].kind, Kind::Directory(_));
    let parent = &mut nodes[index(parent)];
    if let Kind::Directory(directory) = &mut parent.kind {
        directory.names.push((name, inode));
        // The new directory's `..`.
        parent.n_links += u32::from(is_directory);
    }
    n_links.max(parent.n_links)
}

fn root(manifest: &Manifest) -> Node<'_> {
    let kind = directory(ROOT_INODE, ROOT_INODE, 0);
    let mut node = match manifest.entries.first().filter(|entry| entry.path.is_root()) {
        Some(entry) => Node::new(entry, kind),
        None => Node { kind, mode: 0o755, uid: 0, gid: 0, n_links: 1, size: 0 },
    };
    node.n_links += 1; // nobody else has a name for it: its own `..`
    node
}

fn lost_found<'m>() -> Node<'m> {
    let kind = directory(LOST_FOUND_INODE, ROOT_INODE, LOST_FOUND_SIZE);
    Node { kind, mode: 0o700, uid: 0, gid: 0, n_links: 1, size: 0 }
}

fn kind<'m>(entry: &'m Entry, content: &'m Content, inode: u32, parent: u32) -> Kind<'m> {
    // The plan has refused numbers that do not fit.
    let encoded = |major, minor| encode_device(major, minor).unwrap_or_default();
    match content {
        Content::File { .. } | Content::Generated { .. } | Content::Hardlink { .. } => Kind::File(entry),
        Content::Directory => directory(inode, parent, 0),
        Content::Symlink { target } => Kind::Symlink(target),
        Content::Char { major, minor } => Kind::Char { device: encoded(*major, *minor) },
        Content::Block { major, minor } => Kind::Block { device: encoded(*major, *minor) },
        Content::Fifo => Kind::Fifo,
    }
}

fn directory<'m>(inode: u32, parent: u32, least: usize) -> Kind<'m> {
    Kind::Directory(Directory { inode, parent, names: Vec::new(), least })
}

impl<'m> Node<'m> {
    fn new(entry: &Entry, kind: Kind<'m>) -> Node<'m> {
        let own = u32::from(matches!(kind, Kind::Directory(_))); // its `.`
        let mode = (entry.mode & 0o7777) as u16;
        Node { kind, mode, uid: entry.uid, gid: entry.gid, n_links: own, size: 0 }
    }

    /// The bits of `ic_smode`.
    pub fn smode(&self) -> u16 {
        self.mode
            | match self.kind {
                Kind::File(_) => file_type::FILE,
                Kind::Directory(_) => file_type::DIRECTORY,
                Kind::Symlink(_) => file_type::SYMLINK,
                Kind::Char { .. } => file_type::CHAR,
                Kind::Block { .. } => file_type::BLOCK,
                Kind::Fifo => file_type::FIFO,
            }
    }

    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory(_))
    }
}

impl Directory<'_> {
    /// The content: chunks that records fill to the last byte, names in the order of the manifest.
    pub fn bytes(&self) -> Vec<u8> {
        let mut chunks = Chunks::default();
        chunks.push(self.inode, b".");
        chunks.push(self.parent, b"..");
        for (name, inode) in &self.names {
            chunks.push(*inode, name);
        }
        while chunks.bytes.len() < self.least {
            chunks.begin();
        }
        chunks.bytes
    }
}

/// Records in chunks. The last record of a chunk takes all that is left of it, until another one comes.
#[derive(Default)]
struct Chunks<'n> {
    bytes: Vec<u8>,
    last: Option<Record<'n>>,
}

impl<'n> Chunks<'n> {
    /// Appends a chunk with one unused record.
    fn begin(&mut self) {
        self.bytes.resize(self.bytes.len() + DIRECTORY_CHUNK, 0);
        self.last = None;
        self.put(Record { inode: 0, length: DIRECTORY_CHUNK, name: &[] });
    }

    fn push(&mut self, inode: u32, name: &'n [u8]) {
        let needed = record_length(name.len());
        let shortened = self.last.map(|last| Record { length: record_length(last.name.len()), ..last });
        let room = match (self.last, shortened) {
            (Some(last), Some(shortened)) => last.length - shortened.length,
            _ => 0,
        };
        if let Some(shortened) = shortened.filter(|_| needed <= room) {
            self.put_at(self.bytes.len() - room - shortened.length, shortened);
            self.put(Record { inode, length: room, name });
        } else {
            self.begin();
            self.put(Record { inode, length: DIRECTORY_CHUNK, name });
        }
    }

    /// Writes the record that ends with the chunk.
    fn put(&mut self, record: Record<'n>) {
        self.put_at(self.bytes.len() - record.length, record);
        self.last = (record.inode != 0).then_some(record);
    }

    fn put_at(&mut self, at: usize, record: Record<'n>) {
        record.write(&mut self.bytes[at..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::testing::{directory, entry, file, hardlink, manifest};

    fn listed(bytes: &[u8]) -> Vec<(u32, String)> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let record = Record::read(bytes, at).unwrap();
            found
                .extend((record.inode != 0).then(|| (record.inode, String::from_utf8_lossy(record.name).into_owned())));
            at += record.length;
        }
        assert_eq!(at % DIRECTORY_CHUNK, 0);
        found
    }

    fn names(node: &Node<'_>) -> String {
        let Kind::Directory(directory) = &node.kind else { panic!("no directory") };
        let names: Vec<_> =
            listed(&directory.bytes()).into_iter().map(|(inode, name)| format!("{name}={inode}")).collect();
        names.join(" ")
    }

    #[test]
    fn inodes_are_numbered_in_the_order_of_the_manifest_and_links_are_counted() {
        let made = manifest(vec![directory("/a"), directory("/a/b"), file("/a/c", b"x"), hardlink("/d", "/a/c")]);
        let nodes = nodes(&made).unwrap();
        let links: Vec<_> = nodes.iter().map(|node| node.n_links).collect();
        // root with lost+found and a; lost+found; a with b; b; c with d.
        assert_eq!(links, [4, 2, 3, 2, 2]);
        assert_eq!(names(&nodes[0]), ".=2 ..=2 lost+found=3 a=4 d=6");
        assert_eq!(names(&nodes[1]), ".=3 ..=2");
        assert_eq!(names(&nodes[2]), ".=4 ..=2 b=5 c=6");
        assert_eq!((nodes[0].size, nodes[1].size, nodes[4].size), (512, 8192, 1));
    }

    #[test]
    fn a_lost_found_of_the_manifest_is_not_made_again() {
        let mut root = directory("/");
        root.mode = 0o1777;
        let made = manifest(vec![root, entry("/lost+found", Content::Fifo)]);
        let nodes = nodes(&made).unwrap();
        assert_eq!((nodes.len(), nodes[0].n_links, nodes[0].smode()), (2, 2, 0o041_777));
        assert_eq!(names(&nodes[0]), ".=2 ..=2 lost+found=3");
        assert_eq!(nodes[1].smode(), 0o010_644);
    }

    #[test]
    fn more_links_than_an_inode_counts_are_refused() {
        let mut entries = vec![file("/a", b"")];
        entries.extend((1..32_767).map(|n| hardlink(&format!("/b{n:05}"), "/a")));
        assert_eq!(nodes(&manifest(entries.clone())).unwrap().last().unwrap().n_links, 32_767);
        entries.push(hardlink("/c", "/a"));
        assert!(nodes(&manifest(entries)).unwrap_err().to_string().starts_with("`/c` does not fit"));
        // The root has `.`, `..`, and the `..` of lost+found already.
        let directories = |n: usize| manifest((0..n).map(|n| directory(&format!("/{n:05}"))).collect());
        assert_eq!(nodes(&directories(32_764)).unwrap()[0].n_links, 32_767);
        assert!(nodes(&directories(32_765)).unwrap_err().to_string().starts_with("`/32764` does not fit"));
    }

    #[test]
    fn names_of_every_length_fill_chunks_to_the_last_byte() {
        let files = (1..=255).map(|n| file(&format!("/{}", "x".repeat(n)), b""));
        let made = manifest(files.collect());
        let nodes = nodes(&made).unwrap();
        let Kind::Directory(root) = &nodes[0].kind else { panic!("no directory") };
        let found = listed(&root.bytes());
        assert_eq!(found.len(), 3 + 255);
        let lengths: Vec<_> = found[3..].iter().map(|(_, name)| name.len()).collect();
        assert!(lengths.iter().copied().eq(1..=255));
    }
}
