//! What an image holds, by path: the side of an archive or directory in the comparison with a manifest.

use crate::path::RootPath;
use crate::root::{FileKind, Found, METADATA_PATH, Metadata, Override, Root};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::ops::Bound;

/// How many symlinks a path may lead through: the kernel's limit (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// Bytes of a file that are read at a time.
const CHUNK: usize = 256 << 10;

/// Everything in an image.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: BTreeMap<RootPath, Node>,
    pub contents: Vec<FileContent>,
}

/// One path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub kind: NodeKind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// From the archive that is built into every kernel, not from the image.
    pub built_in: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NodeKind {
    /// The place of its content in [`Tree::contents`]; hard links share one.
    File(usize),
    Directory,
    Symlink(Vec<u8>),
    Char {
        major: u32,
        minor: u32,
    },
    Block {
        major: u32,
        minor: u32,
    },
    Fifo,
    Socket,
}

/// The bytes of one inode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct FileContent {
    pub size: u64,
    /// Absent unless digests were asked for.
    pub sha256: Option<[u8; 32]>,
}

impl Tree {
    /// What is in the root file system before any archive is unpacked (the kernel's `usr/default_cpio_list`).
    pub(super) fn before_archive() -> Tree {
        let mut tree = Tree::default();
        let mut add = |path: &str, kind, mode| {
            let node = Node { kind, mode, uid: 0, gid: 0, built_in: true };
            tree.nodes.insert(RootPath::new(path).expect("a constant"), node);
        };
        add("/", NodeKind::Directory, 0o755);
        add("/dev", NodeKind::Directory, 0o755);
        add("/dev/console", NodeKind::Char { major: 5, minor: 1 }, 0o600);
        add("/root", NodeKind::Directory, 0o700);
        tree
    }

    /// What a root holds; files are digested on all threads.
    ///
    /// # Errors
    /// A directory or file that cannot be read.
    pub(super) fn of_root(root: &Root, digests: bool) -> io::Result<Tree> {
        let mut tree = Tree::default();
        let mut inodes = HashMap::new();
        let mut files = Vec::new();
        let metadata = RootPath::new(METADATA_PATH).expect("a constant");
        for found in root.walk(&RootPath::root()) {
            let found = found.map_err(io::Error::other)?;
            if found.path == metadata {
                continue;
            }
            let kind = match found.info.kind {
                FileKind::File => NodeKind::File(*inodes.entry(found.info.inode).or_insert_with(|| {
                    files.push(found.clone());
                    files.len() - 1
                })),
                FileKind::Directory => NodeKind::Directory,
                FileKind::Symlink => NodeKind::Symlink(root.read_link(&found)?),
                FileKind::Char { major, minor } => NodeKind::Char { major, minor },
                FileKind::Block { major, minor } => NodeKind::Block { major, minor },
                FileKind::Fifo => NodeKind::Fifo,
                FileKind::Socket => NodeKind::Socket,
            };
            let (mode, uid, gid) = (found.info.mode, found.info.uid, found.info.gid);
            tree.nodes.insert(found.path, Node { kind, mode, uid, gid, built_in: false });
        }
        let contents: io::Result<Vec<FileContent>> =
            files.par_iter().map(|found| content(root, found, digests)).collect();
        tree.contents = contents?;
        Ok(tree)
    }

    /// How many paths there are that the image brings.
    pub(super) fn len(&self) -> usize {
        self.nodes.values().filter(|node| !node.built_in).count()
    }

    pub(super) fn get(&self, path: &RootPath) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// All paths, sorted.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&RootPath, &Node)> {
        self.nodes.iter()
    }

    pub(super) fn insert(&mut self, path: RootPath, node: Node) {
        self.nodes.insert(path, node);
    }

    pub(super) fn remove(&mut self, path: &RootPath) {
        self.nodes.remove(path);
    }

    /// Whether something lies below a directory.
    pub(super) fn has_children(&self, directory: &RootPath) -> bool {
        let after = (Bound::Excluded(directory.clone()), Bound::Unbounded);
        self.nodes.range(after).next().is_some_and(|(path, _)| path.starts_with(directory))
    }

    /// Where a name of an archive leads: the directory free of symlinks, and the last component, which is not followed.
    /// An empty component stands for the root itself. `None` when the kernel finds no such directory.
    pub(super) fn place<'n>(&self, name: &'n [u8]) -> Option<(RootPath, &'n [u8])> {
        let mut components: Vec<&[u8]> = name.split(|&b| b == b'/').filter(|c| !matches!(*c, b"" | b".")).collect();
        let last = components.pop().unwrap_or_default();
        let directory = self.descend(RootPath::root(), &components, &mut 0)?;
        if last == b".." {
            return Some((directory.parent().unwrap_or_else(RootPath::root), b""));
        }
        Some((directory, last))
    }

    fn descend(&self, mut here: RootPath, components: &[&[u8]], n_links: &mut usize) -> Option<RootPath> {
        for component in components {
            if *component == b".." {
                here = here.parent().unwrap_or_else(RootPath::root);
                continue;
            }
            let path = here.join(component);
            match &self.nodes.get(&path)?.kind {
                NodeKind::Directory => here = path,
                NodeKind::Symlink(target) => {
                    *n_links += 1;
                    if *n_links > MAX_LINKS {
                        return None;
                    }
                    let from = if target.starts_with(b"/") { RootPath::root() } else { here };
                    let components: Vec<&[u8]> =
                        target.split(|&b| b == b'/').filter(|c| !matches!(*c, b"" | b".")).collect();
                    here = self.descend(from, &components, n_links)?;
                }
                _ => return None,
            }
        }
        Some(here)
    }

    /// What the unpacked files do not have on disk.
    pub(super) fn metadata(&self) -> Metadata {
        let mut metadata = Metadata::default();
        metadata.set_owner(0, 0);
        for (path, node) in &self.nodes {
            let kind = match node.kind {
                NodeKind::File(_) => FileKind::File,
                NodeKind::Directory => FileKind::Directory,
                NodeKind::Symlink(_) => FileKind::Symlink,
                NodeKind::Char { major, minor } => FileKind::Char { major, minor },
                NodeKind::Block { major, minor } => FileKind::Block { major, minor },
                NodeKind::Fifo => FileKind::Fifo,
                NodeKind::Socket => FileKind::Socket,
            };
            metadata.insert(path.clone(), Override { kind, mode: node.mode, uid: node.uid, gid: node.gid });
        }
        metadata
    }
}

impl NodeKind {
    /// The word of the manifest.
    pub(super) fn name(&self) -> &'static str {
        match self {
            NodeKind::File(_) => "file",
            NodeKind::Directory => "dir",
            NodeKind::Symlink(_) => "symlink",
            NodeKind::Char { .. } => "char",
            NodeKind::Block { .. } => "block",
            NodeKind::Fifo => "fifo",
            NodeKind::Socket => "socket",
        }
    }
}

fn content(root: &Root, found: &Found, digests: bool) -> io::Result<FileContent> {
    if !digests {
        return Ok(FileContent { size: found.info.size, sha256: None });
    }
    let mut file = root.open_file(found)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut size = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(FileContent { size, sha256: Some(digest.finalize().into()) }),
            Ok(length) => {
                digest.update(&buffer[..length]);
                size += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RootPath {
        RootPath::new(text).unwrap()
    }

    fn tree(links: &[(&str, &str)], directories: &[&str]) -> Tree {
        let mut tree = Tree::before_archive();
        let node = |kind| Node { kind, mode: 0o755, uid: 0, gid: 0, built_in: false };
        for directory in directories {
            tree.insert(path(directory), node(NodeKind::Directory));
        }
        for (link, target) in links {
            tree.insert(path(link), node(NodeKind::Symlink(target.as_bytes().to_vec())));
        }
        tree
    }

    #[test]
    fn names_lead_through_symlinks_but_never_out() {
        let tree = tree(
            &[("/lib", "usr/lib"), ("/abs", "/usr"), ("/up", "../../.."), ("/loop", "loop"), ("/usr/out", "/../etc")],
            &["/usr", "/usr/lib"],
        );
        for (name, expected) in [
            ("a", Some(("/", "a"))),
            ("./lib/x", Some(("/usr/lib", "x"))),
            ("/abs/lib/x", Some(("/usr/lib", "x"))),
            ("up/usr/x", Some(("/usr", "x"))),
            ("../../x", Some(("/", "x"))),
            ("usr/lib/..", Some(("/usr", ""))),
            (".", Some(("/", ""))),
            ("loop/x", None),
            ("usr/out/x", None),
            ("no/x", None),
            ("dev/console/x", None),
        ] {
            let expected = expected.map(|(directory, last)| (path(directory), last.as_bytes()));
            assert_eq!(tree.place(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn a_directory_is_empty_when_only_its_neighbours_have_contents() {
        let tree = tree(&[], &["/a", "/a-b", "/ab", "/c", "/c/d"]);
        assert!(!tree.has_children(&path("/a")));
        assert!(tree.has_children(&path("/c")));
        assert!(tree.has_children(&path("/dev")));
        assert!(!tree.has_children(&path("/root")));
    }
}
