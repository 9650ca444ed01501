//! Members of a cpio archive to a tree, as the kernel makes it (`init/initramfs.c` `do_name`, `do_symlink`).
//!
//! The kernel tells nobody about a member that it cannot make: a file whose directory comes later or never is simply not
//! there. Here each becomes a finding. Names are resolved in memory, so that what is given to the disk never
//! has a symlink in it, whatever the archive says.

use super::tree::{FileContent, Node, NodeKind, Tree};
use super::{Component, Finding, Severity};
use crate::pack::cpio::read::Member;
use crate::path::{RootPath, escaped};
use rustix::fs::FileType;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;

/// Bytes that are handed over at a time.
const CHUNK: usize = 256 << 10;

/// `NAME_MAX` of the kernel's memory file systems.
const NAME_MAX: usize = 255;

/// What the writer has to do.
pub(super) enum Job {
    /// The data that follow are the whole content of this file.
    Begin {
        content: usize,
        file: File,
    },
    Data(Vec<u8>),
    End,
}

/// What an archive has made so far.
pub(super) struct Members<'d> {
    directory: &'d Path,
    jobs: SyncSender<Job>,
    tree: Tree,
    /// By segment, file system and inode: files with further names to come.
    linked: HashMap<(usize, (u32, u32), u32), RootPath>,
    skipped: Vec<Finding>,
}

/// The whole archive.
pub(super) struct Finished {
    pub tree: Tree,
    /// One finding for each member that the kernel would pass over.
    pub skipped: Vec<Finding>,
}

impl<'d> Members<'d> {
    /// Members go into `directory`, which is empty, their data to `jobs`; `tree` is what the archive is unpacked over.
    pub(super) fn new(directory: &'d Path, jobs: SyncSender<Job>, tree: Tree) -> Members<'d> {
        let members = Members { directory, jobs, tree, linked: HashMap::new(), skipped: Vec::new() };
        for (path, node) in members.tree.iter() {
            if node.kind == NodeKind::Directory && !path.is_root() {
                // Fails only where every member fails as well, which tells why.
                let _ = fs::create_dir(members.host(path));
            }
        }
        members
    }

    pub(super) fn finish(self) -> Finished {
        Finished { tree: self.tree, skipped: self.skipped }
    }

    /// Whether something has this path by now.
    pub(super) fn has(&self, path: &RootPath) -> bool {
        self.tree.get(path).is_some()
    }

    /// Makes one member.
    ///
    /// # Errors
    /// Those of this machine, and those of reading the archive.
    pub(super) fn add(&mut self, member: &Member, data: &mut dyn Read) -> io::Result<()> {
        let Some((directory, name)) = self.tree.place(&member.name) else {
            self.skip(member, "its directory is not there when its turn comes");
            return Ok(());
        };
        if name.len() > NAME_MAX {
            self.skip(member, "its name has more than 255 bytes");
            return Ok(());
        }
        let path = if name.is_empty() { directory } else { directory.join(name) };
        let kind = FileType::from_raw_mode(member.mode);
        if !self.make_room(&path, kind)? {
            self.skip(member, "a directory that is not empty has its name");
            return Ok(());
        }
        let (major, minor) = member.device;
        let kind = match kind {
            FileType::RegularFile => return self.add_file(path, member, data),
            FileType::Directory => {
                // The directory that all is unpacked into is there.
                if self.tree.get(&path).is_none() && !path.is_root() {
                    fs::create_dir(self.host(&path))?;
                }
                NodeKind::Directory
            }
            FileType::Symlink => {
                let target = member.link_target.split(|&b| b == 0).next().unwrap_or_default().to_vec();
                symlink(OsStr::from_bytes(&target), self.host(&path))?;
                NodeKind::Symlink(target)
            }
            FileType::CharacterDevice => NodeKind::Char { major, minor },
            FileType::BlockDevice => NodeKind::Block { major, minor },
            FileType::Fifo => NodeKind::Fifo,
            FileType::Socket => NodeKind::Socket,
            FileType::Unknown => {
                self.skip(member, "its mode has no file type");
                return Ok(());
            }
        };
        self.tree.insert(path, node(kind, member));
        Ok(())
    }

    /// A file, or a further name of one: then the data may come with any of the names.
    fn add_file(&mut self, path: RootPath, member: &Member, data: &mut dyn Read) -> io::Result<()> {
        let key = (member.segment, member.file_system, member.inode);
        let first = if member.n_links > 1 { self.linked.get(&key).cloned() } else { None };
        let host = self.host(&path);
        let content = match first.as_ref().and_then(|first| self.tree.get(first)) {
            Some(Node { kind: NodeKind::File(content), .. }) if first.as_ref() != Some(&path) => {
                let content = *content;
                fs::hard_link(self.host(first.as_ref().expect("found above")), &host)?;
                content
            }
            _ => {
                self.tree.contents.push(FileContent::default());
                self.tree.contents.len() - 1
            }
        };
        if member.n_links > 1 {
            self.linked.entry(key).or_insert_with(|| path.clone());
        }
        let is_new = first.is_none();
        if is_new || member.size > 0 {
            let file = File::options().write(true).create(true).truncate(false).open(&host)?;
            self.send(Job::Begin { content, file })?;
            self.copy(member.size, data)?;
            self.send(Job::End)?;
            self.tree.contents[content].size = u64::from(member.size);
        }
        self.tree.insert(path, node(NodeKind::File(content), member));
        Ok(())
    }

    fn copy(&self, size: u32, data: &mut dyn Read) -> io::Result<()> {
        let mut left = size as usize;
        while left > 0 {
            let mut chunk = vec![0; left.min(CHUNK)];
            data.read_exact(&mut chunk)?;
            left -= chunk.len();
            self.send(Job::Data(chunk))?;
        }
        Ok(())
    }

    fn send(&self, job: Job) -> io::Result<()> {
        self.jobs.send(job).map_err(|_| io::Error::other("internal error: the writer has ended"))
    }

    /// Takes away what is at `path`, unless it is a directory and is to be one (`clean_path`); `false` when it cannot be
    /// taken away. The kernel would write into a file that is there already; here a new one takes its place,
    /// because the old data may still be on their way.
    fn make_room(&mut self, path: &RootPath, kind: FileType) -> io::Result<bool> {
        let Some(old) = self.tree.get(path) else { return Ok(true) };
        let host = self.host(path);
        match old.kind {
            NodeKind::Directory if kind == FileType::Directory => return Ok(true),
            NodeKind::Directory if path.is_root() || self.tree.has_children(path) => return Ok(false),
            NodeKind::Directory => fs::remove_dir(host)?,
            NodeKind::File(_) | NodeKind::Symlink(_) => fs::remove_file(host)?,
            _ => {}
        }
        self.tree.remove(path);
        self.linked.retain(|_, first| first != path);
        Ok(true)
    }

    fn skip(&mut self, member: &Member, why: &str) {
        let message = format!("`{}` of the archive is passed over in silence: {why}", escaped(&member.name));
        let finding = Finding::new(Severity::Harmful, Component::Kernel, message);
        self.skipped.push(finding.hint("put directories into the archive before what is in them"));
    }

    fn host(&self, path: &RootPath) -> PathBuf {
        self.directory.join(OsStr::from_bytes(path.relative()))
    }
}

fn node(kind: NodeKind, member: &Member) -> Node {
    Node { kind, mode: member.mode & 0o7777, uid: member.uid, gid: member.gid, built_in: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    const FILE: u32 = 0o100_644;
    const DIRECTORY: u32 = 0o040_755;
    const SYMLINK: u32 = 0o120_777;

    fn member(name: &str, mode: u32, data: &str) -> Member {
        let size = data.len() as u32;
        let link_target = if mode == SYMLINK { data.as_bytes().to_vec() } else { Vec::new() };
        Member { name: name.into(), mode, size, link_target, n_links: 1, ..Member::default() }
    }

    /// The tree as lines, and the reasons for what was passed over.
    fn unpacked(members: &[(Member, &str)]) -> (Vec<String>, Vec<String>) {
        let directory = tempfile::tempdir().unwrap();
        let (sender, jobs) = sync_channel(1000);
        let mut all = Members::new(directory.path(), sender, Tree::before_archive());
        for (member, data) in members {
            all.add(member, &mut data.as_bytes()).unwrap();
        }
        let Finished { tree, skipped } = all.finish();
        drop(jobs);
        let line = |(path, node): (&RootPath, &Node)| match &node.kind {
            NodeKind::File(content) => format!("{path} {} #{content}", tree.contents[*content].size),
            NodeKind::Symlink(target) => format!("{path} -> {}", escaped(target)),
            kind => format!("{path} {}", kind.name()),
        };
        let lines = tree.iter().filter(|(_, node)| !node.built_in).map(line).collect();
        (lines, skipped.into_iter().map(|finding| finding.message).collect())
    }

    #[test]
    fn members_without_their_directory_are_passed_over() {
        let (lines, skipped) = unpacked(&[
            (member("a/x", FILE, ""), ""),
            (member("a", DIRECTORY, ""), ""),
            (member("./a/y", FILE, "12"), "12"),
            (member("dev/null", 0o020_666, ""), ""),
        ]);
        assert_eq!(lines, ["/a dir", "/a/y 2 #0", "/dev/null char"]);
        assert_eq!(skipped.len(), 1);
        assert!(skipped[0].contains("`a/x` of the archive is passed over in silence"), "{skipped:?}");
    }

    #[test]
    fn nothing_is_written_through_a_symlink_to_the_host() {
        let outside = tempfile::tempdir().unwrap();
        let target = outside.path().to_str().unwrap();
        let (lines, skipped) = unpacked(&[
            (member("out", SYMLINK, target), ""),
            (member("out/x", FILE, "1"), "1"),
            (member("../../../../../../tmp", SYMLINK, "/"), ""),
            (member("tmp/y", FILE, "1"), "1"),
        ]);
        assert_eq!(lines, [format!("/out -> {target}"), "/tmp -> /".to_owned(), "/y 1 #0".to_owned()]);
        assert_eq!(skipped.len(), 1);
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn names_of_one_inode_share_their_content_whichever_has_the_data() {
        let name = |name, data: &str| Member { inode: 7, n_links: 3, ..member(name, FILE, data) };
        let (lines, _) = unpacked(&[
            (name("a", ""), ""),
            (name("b", ""), ""),
            (name("c", "123"), "123"),
            (Member { inode: 7, ..member("d", FILE, "x") }, "x"),
        ]);
        assert_eq!(lines, ["/a 3 #0", "/b 3 #0", "/c 3 #0", "/d 1 #1"]);
    }

    #[test]
    fn a_later_member_takes_the_place_of_an_earlier_one() {
        let (lines, skipped) = unpacked(&[
            (member("a", DIRECTORY, ""), ""),
            (member("a", FILE, "1"), "1"),
            (member("a", SYMLINK, "b"), ""),
            (member("a", FILE, "12"), "12"),
            (member("d", DIRECTORY, ""), ""),
            (member("d/x", FILE, ""), ""),
            (member("d", FILE, ""), ""),
        ]);
        assert_eq!(lines, ["/a 2 #1", "/d dir", "/d/x 0 #2"]);
        assert!(skipped[0].contains("a directory that is not empty has its name"), "{skipped:?}");
    }
}
