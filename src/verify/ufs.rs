//! A UFS image, the boot archive of illumos: what the kernel's mount would say, what does not add up in it, its files.
//!
//! What is surprising: mount sees hardly any damage. It is found by comparing everything in the image with everything
//! else ([`check`]), because the kernel finds it later, when it panics.

use super::archive::{Archive, MAX_UNPACKED, Unpacked, fill};
use super::members::{Finished, Members};
use super::tree::{Node, NodeKind, Tree};
use super::{Component, Finding, Report, Severity, VerifyError};
use crate::iso::Blob;
use crate::manifest::Manifest;
use crate::pack::Compression;
use crate::pack::cpio::read::Member;
use crate::path::RootPath;
use crate::text::{count, size};
use crate::ufs::check::check;
use crate::ufs::read::{Entry, Image, MountError, read_superblock};
use crate::ufs::{
    BLOCK_SIZE, FRAGMENT_SIZE, LOST_FOUND_INODE, MAGIC, ROOT_INODE, SUPERBLOCK_OFFSET, Superblock, file_type,
};
use std::collections::HashSet;
use std::error::Error;
use std::io::{self, Read, Write};
use std::path::Path;

/// Where `fs_magic` is.
pub(super) const MAGIC_AT: u64 = SUPERBLOCK_OFFSET + 1372;
pub(super) const MAGIC_BYTES: [u8; 4] = MAGIC.to_le_bytes();

/// Bytes that are decompressed at a time.
const BUFFER: usize = 1 << 18;

/// Whether an archive is UFS, compressed or not. Where a boot archive of illumos is expected it is also what neither has
/// the magic number nor is cpio, so that of a damaged one it is told what is wrong with it.
pub(super) fn is_ufs(archive: &Archive, is_expected: bool) -> bool {
    let mut head = Vec::new();
    let length = MAGIC_AT + MAGIC_BYTES.len() as u64;
    let Ok((compression, input)) = archive.decompressed() else { return false };
    // What cannot be decompressed is told later.
    let _ = input.take(length).read_to_end(&mut head);
    let may_be_damaged = is_loadable(compression) && !head.starts_with(b"0707");
    head.get(MAGIC_AT as usize..) == Some(&MAGIC_BYTES[..]) || (is_expected && may_be_damaged)
}

/// Unpacks into a fresh directory; `None`, with a finding, when the kernel would not mount the image.
///
/// `lost+found`, which every file system has, is only kept where the manifest has it.
///
/// # Errors
/// What this machine refuses: no room, no permission.
pub(super) fn unpack(
    archive: &Archive,
    manifest: Option<&Manifest>,
    report: &mut Report,
) -> Result<Option<Unpacked>, VerifyError> {
    let Some(blob) = inflate(archive, report).map_err(cannot_unpack)? else { return Ok(None) };
    let superblock = read_superblock(&blob);
    let image = superblock
        .as_ref()
        .map_err(cannot_mount)
        .and_then(|superblock| Image::open(&blob, superblock).map_err(|error| cannot_mount(&error)));
    match image {
        Ok(image) => unpack_image(image, manifest, report).map(Some),
        Err(finding) => {
            report.find(finding);
            Ok(None)
        }
    }
}

/// Whether the loaders can hand over an archive that is compressed so.
fn is_loadable(compression: Compression) -> bool {
    matches!(compression, Compression::None | Compression::Gzip)
}

fn cannot_unpack(source: io::Error) -> VerifyError {
    VerifyError::Unpack { directory: std::env::temp_dir(), source }
}

/// The image as the loader hands it over: the first gzip member, or the file as it is.
fn inflate(archive: &Archive, report: &mut Report) -> io::Result<Option<Blob>> {
    let no_module = |hint: String| {
        Finding::new(Severity::PreventsStart, Component::IllumosLoader, "No rootfs module provided, aborting")
            .hint(hint)
    };
    let (compression, input) = archive.decompressed()?;
    if !is_loadable(compression) {
        report.find(no_module(format!("the archive is compressed with {compression}, loaders unpack gzip")));
    }
    let mut file = tempfile::tempfile()?;
    let mut input = input.take(MAX_UNPACKED);
    let mut buffer = vec![0; BUFFER];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => file.write_all(&buffer[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                report.find(no_module(format!("the archive cannot be decompressed: {error}; write it again")));
                return Ok(None);
            }
        }
    }
    let blob = Blob::from_file(file, Path::new("boot archive"))?;
    let packed = match compression {
        Compression::None => String::new(),
        compression => format!("{} of {compression}, ", size(archive.len())),
    };
    report.saw(Component::Image, "archive", format_args!("{packed}{} of ufs", size(blob.len())));
    Ok(Some(blob))
}

/// The kernel's last words; what it says before them, or would if it looked, is the hint.
fn cannot_mount(error: &MountError) -> Finding {
    let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    let finding = Finding::new(Severity::PreventsStart, Component::Kernel, "vfs_mountroot: cannot mount root");
    finding.hint(format!("{error}{cause}"))
}

fn unpack_image(image: Image<'_>, manifest: Option<&Manifest>, report: &mut Report) -> Result<Unpacked, VerifyError> {
    find_problems(image, report);
    let read = |members: &mut Members<'_>| Unpacking::new(image, members).run();
    let (directory, Finished { mut tree, skipped }, outcome) = fill(tree_of_root(image), manifest.is_some(), read)?;
    let findings = outcome.map_err(cannot_unpack)?;
    findings.into_iter().chain(skipped).for_each(|finding| report.find(finding));
    leave_lost_found(&mut tree, image, manifest);
    let Superblock { ncg, cstotal, .. } = image.superblock();
    let bytes = |count: u32, size: u32| u64::from(count) * u64::from(size);
    let free = bytes(cstotal.n_free_blocks, BLOCK_SIZE) + bytes(cstotal.n_free_fragments, FRAGMENT_SIZE);
    report.saw(
        Component::Kernel,
        "root file system",
        format_args!(
            "{} in {}, {} and {} free",
            count(tree.len() as u64, "entry"),
            count((*ncg).into(), "cylinder group"),
            size(free),
            count(cstotal.n_free_inodes.into(), "inode")
        ),
    );
    Ok(Unpacked { directory, tree, segments: Vec::new() })
}

/// What mount does not notice, and what the remount of the startup does.
fn find_problems(image: Image<'_>, report: &mut Report) {
    if !image.is_okay() {
        let message =
            "mount: The state of /devices/ramdisk:a is not okay and it was attempted to be mounted read/write";
        let finding = Finding::new(Severity::Harmful, Component::Program, message);
        report.find(finding.hint("root stays read-only; make the archive anew with `minroot pack --format ufs`"));
    }
    let problems = check(image);
    for problem in problems.told {
        report.find(Finding::new(Severity::Harmful, Component::Image, problem));
    }
    if problems.n_more > 0 {
        let message = format!("{} more in the file system", count(problems.n_more, "problem"));
        report.find(Finding::new(Severity::Harmful, Component::Image, message));
    }
}

/// The root directory, which is there before anything is unpacked.
fn tree_of_root(image: Image<'_>) -> Tree {
    let mut tree = Tree::default();
    if let Ok(root) = image.inode(ROOT_INODE) {
        let (mode, uid, gid) = (u32::from(root.mode) & 0o7777, root.owner(), root.group());
        tree.insert(RootPath::root(), Node { kind: NodeKind::Directory, mode, uid, gid, built_in: false });
    }
    tree
}

fn leave_lost_found(tree: &mut Tree, image: Image<'_>, manifest: Option<&Manifest>) {
    let path = RootPath::new("/lost+found").expect("a constant");
    let is_wanted = manifest.is_some_and(|manifest| manifest.entry(&path).is_some());
    let is_that = tree.get(&path).is_some_and(|node| node.kind == NodeKind::Directory)
        && image.inode(LOST_FOUND_INODE).is_ok_and(|inode| inode.mode & file_type::MASK == file_type::DIRECTORY);
    if is_that && !is_wanted && !tree.has_children(&path) {
        tree.remove(&path);
    }
}

/// Paths of an image to members.
struct Unpacking<'u, 'd, 's> {
    image: Image<'s>,
    members: &'u mut Members<'d>,
    /// Files with several names whose content is there already.
    unpacked: HashSet<u32>,
    bytes_left: u64,
    findings: Vec<Finding>,
}

impl<'u, 'd, 's> Unpacking<'u, 'd, 's> {
    fn new(image: Image<'s>, members: &'u mut Members<'d>) -> Unpacking<'u, 'd, 's> {
        Unpacking { image, members, unpacked: HashSet::new(), bytes_left: MAX_UNPACKED, findings: Vec::new() }
    }

    /// Gives what could not be read.
    fn run(mut self) -> io::Result<Vec<Finding>> {
        for entry in self.image.walk() {
            match entry {
                Ok(entry) if entry.path.is_root() => {}
                Ok(entry) => self.add(entry)?,
                Err(error) => {
                    let finding = Finding::new(Severity::Harmful, Component::Kernel, error.to_string());
                    self.findings.push(finding.hint("the kernel finds no file there"));
                }
            }
        }
        Ok(self.findings)
    }

    fn add(&mut self, Entry { path, number, inode, target }: Entry) -> io::Result<()> {
        let kind = inode.mode & file_type::MASK;
        let mut member = Member {
            name: path.relative().to_vec(),
            inode: number,
            mode: inode.mode.into(),
            uid: inode.owner(),
            gid: inode.group(),
            n_links: u32::try_from(inode.nlink).unwrap_or(1),
            link_target: target,
            ..Member::default()
        };
        if matches!(kind, file_type::CHAR | file_type::BLOCK) {
            member.device = inode.device();
        }
        if kind == file_type::FILE && (inode.nlink < 2 || self.unpacked.insert(number)) {
            let left = self.bytes_left.checked_sub(inode.size);
            let (Some(left), Ok(size)) = (left, u32::try_from(inode.size)) else {
                let message = format!("`{path}` was not looked at: its ic_lsize is {}", inode.size);
                let finding = Finding::new(Severity::Warning, Component::Image, message).at(&path);
                self.findings.push(finding.hint("files of 4 GiB, and more than 8 GiB in all, are not unpacked"));
                return Ok(());
            };
            (self.bytes_left, member.size) = (left, size);
        }
        let mut data = Zeroed { input: self.image.content(number, &inode), error: None };
        self.members.add(&member, &mut data)?;
        if let Some(error) = data.error {
            let message = format!("`{path}` cannot be read: {error}");
            self.findings.push(Finding::new(Severity::Harmful, Component::Kernel, message).at(&path));
        }
        Ok(())
    }
}

/// Goes on with zeros when its input fails: one file that cannot be read is no reason not to look at the others.
struct Zeroed<R> {
    input: R,
    error: Option<io::Error>,
}

impl<R: Read> Read for Zeroed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.error.is_none() {
            match self.input.read(buffer) {
                Ok(length) => return Ok(length),
                Err(error) => self.error = Some(error),
            }
        }
        buffer.fill(0);
        Ok(buffer.len())
    }
}
