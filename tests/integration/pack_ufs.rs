//! Boot archives of illumos made by `pack --format ufs`, judged by a reader that is not ours: GRUB's.

use crate::command::{minroot, output_of, recipe, succeed, text, with_umask};
use crate::model_root::{generator::Year, shared};
use crate::support::{hex, output, run, scratch, tool};
use minroot::manifest::{Because, Content, Entry, Manifest, json};
use minroot::pack::{Compression, Contents, Format, PackOptions, PackReport, ufs, write_archive};
use minroot::path::RootPath;
use minroot::reason::{Evidence, Kind, Reason};
use minroot::recipe::System;
use minroot::root::Root;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const EPOCH: u32 = 1_700_000_000;

/// A root on disk with the manifest that describes it.
pub struct Tree {
    pub host: tempfile::TempDir,
    pub entries: BTreeMap<RootPath, Entry>,
}

impl Tree {
    pub fn new() -> Tree {
        Tree { host: scratch(), entries: BTreeMap::new() }
    }

    /// Files around every border of the format, and all else that an archive can hold.
    pub fn mixed() -> Tree {
        let mut tree = Tree::new();
        for directory in ["/dev", "/empty", "/sizes", "/deep"] {
            tree.add(directory, Content::Directory);
        }
        let block = 8192;
        let sizes = [0, 1, 1023, 1024, 1025, 7168, 7169, 8191, 8192, 8193, 12 * block - 1, 12 * block, 12 * block + 1];
        let single = (12 + 2048) * block;
        for size in sizes.into_iter().chain([single - 1, single, single + 1, 2 * single + 12_345]) {
            tree.add_file(&format!("/sizes/{size}"), &noise(size));
        }
        let mut deep = "/deep".to_owned();
        for depth in 0..60 {
            deep = format!("{deep}/d{depth}");
            tree.add(&deep, Content::Directory);
        }
        tree.add_file(&format!("{deep}/file"), b"at the bottom");
        tree.add_file(&format!("/{}", "n".repeat(255)), b"a long name");
        tree.add("/dev/null", Content::Char { major: 13, minor: 2 });
        tree.add("/dev/disk", Content::Block { major: 300, minor: 70_000 });
        tree.add("/dev/initctl", Content::Fifo);
        let to = RootPath::new("/sizes/8193").unwrap();
        tree.add("/sizes/link", Content::Hardlink { to });
        tree.add("/to-sizes", Content::Symlink { target: b"sizes".to_vec() });
        // Longer than what other systems keep in the inode.
        tree.add("/to-file", Content::Symlink { target: format!("{}sizes/8193", "./".repeat(200)).into_bytes() });
        tree
    }

    /// As many files as fill several groups of inodes, each with its number as content.
    pub fn many() -> Tree {
        let mut tree = Tree::new();
        tree.add("/many", Content::Directory);
        for n in 0..40_000 {
            tree.add_generated(&format!("/many/{n:05}"), n.to_string().into_bytes());
        }
        tree
    }

    pub fn add(&mut self, at: &str, content: Content) {
        let reason = Because { from: None, reason: Reason::new(Evidence::Target, Kind::Target, "") };
        let mode = if content == Content::Directory { 0o755 } else { 0o644 };
        let path = RootPath::new(at).unwrap();
        let (xattrs, reasons) = (Vec::new(), vec![reason]);
        let entry =
            Entry { path: path.clone(), content, mode, uid: 0, gid: 0, xattrs, package: None, packed: None, reasons };
        self.entries.insert(path, entry);
    }

    /// Writes the file to the root as well.
    pub fn add_file(&mut self, at: &str, bytes: &[u8]) {
        let host = self.host.path().join(&at[1..]);
        fs::create_dir_all(host.parent().unwrap()).unwrap();
        fs::write(host, bytes).unwrap();
        let (size, sha256) = (bytes.len() as u64, Sha256::digest(bytes).into());
        self.add(at, Content::File { size, sha256, unpacked_from: None });
    }

    /// A file that is not in the root.
    pub fn add_generated(&mut self, at: &str, bytes: Vec<u8>) {
        let (size, sha256) = (bytes.len() as u64, Sha256::digest(&bytes).into());
        self.add(at, Content::Generated { size, sha256, bytes: Some(bytes) });
    }

    /// `/sparse`: a file of nothing but holes between the pieces.
    pub fn add_sparse(&mut self, size: u64, pieces: &[(u64, &[u8])]) {
        let host = self.host.path().join("sparse");
        let file = fs::File::create(&host).unwrap();
        file.set_len(size).unwrap();
        for (at, bytes) in pieces {
            file.write_all_at(bytes, *at).unwrap();
        }
        let mut digest = Sha256::new();
        std::io::copy(&mut fs::File::open(&host).unwrap(), &mut HashWriter(&mut digest)).unwrap();
        let sha256 = digest.finalize().into();
        self.add("/sparse", Content::File { size, sha256, unpacked_from: None });
    }

    /// Modes beyond those of permission, and owners beyond 16 bits.
    pub fn add_owners(&mut self) {
        self.add_file("/setuid", b"for another");
        self.own("/setuid", 0o4755, 70_000, 65_535);
        self.own("/dev/null", 0o666, 3, 65_536);
        self.own("/empty", 0o1777, 65_534, 4);
    }

    pub fn own(&mut self, at: &str, mode: u32, uid: u32, gid: u32) {
        let entry = self.entries.get_mut(&RootPath::new(at).unwrap()).unwrap();
        (entry.mode, entry.uid, entry.gid) = (mode, uid, gid);
    }

    pub fn manifest(&self) -> Manifest {
        Manifest::new(System::Illumos, "x86_64", self.entries.values().cloned().collect())
    }

    pub fn pack(&self, options: PackOptions, out: &Path) -> PackReport {
        let root = Root::open(self.host.path()).unwrap();
        let options = PackOptions { format: Format::Ufs, epoch: EPOCH, ..options };
        write_archive(&self.manifest(), &Contents::new(&root), &options, out).unwrap()
    }
}

pub fn plain() -> PackOptions<'static> {
    PackOptions { compression: Compression::None, ..PackOptions::default() }
}

/// Bytes that repeat nowhere within a block or at its borders, so that no block is taken for another.
fn noise(length: u64) -> Vec<u8> {
    (0..length.div_ceil(4) as u32)
        .flat_map(|n| n.wrapping_mul(0x9e37_79b1).to_le_bytes())
        .take(length as usize)
        .collect()
}

/// What `grub-fstest` prints for a command about a path of the image.
fn grub(fstest: &Path, image: &Path, command: &str, path: &str, local: Option<&Path>) -> String {
    let inside = format!("(loop0){path}");
    let mut arguments = vec![image.as_os_str(), OsStr::new(command), OsStr::new(&inside)];
    arguments.extend(local.map(Path::as_os_str));
    text(&run(fstest, &arguments))
}

/// The names of a directory of the image, sorted.
fn names(fstest: &Path, image: &Path, directory: &str) -> Vec<String> {
    let listed = grub(fstest, image, "ls", &format!("{directory}/"), None);
    let mut names: Vec<_> = listed.split_whitespace().map(|name| name.trim_end_matches('/').to_owned()).collect();
    names.sort();
    names
}

#[test]
fn grub_reads_every_file_of_a_mixed_tree_as_it_is() {
    let Some(fstest) = tool("grub-fstest") else { return };
    let tree = Tree::mixed();
    let directory = scratch();
    let image = directory.path().join("boot_archive");
    tree.pack(plain(), &image);
    for entry in tree.entries.values() {
        let path = entry.path.to_string();
        match &entry.content {
            Content::File { .. } => {
                let local = tree.host.path().join(&path[1..]);
                grub(&fstest, &image, "cmp", &path, Some(&local));
            }
            Content::Hardlink { to } => {
                let local = tree.host.path().join(&to.to_string()[1..]);
                grub(&fstest, &image, "cmp", &path, Some(&local));
            }
            Content::Directory => {
                let inside = |other: &&RootPath| other.parent().as_ref() == Some(&entry.path);
                let expected = tree.entries.keys().filter(inside);
                let mut expected: Vec<_> = expected.map(|path| text(path.file_name())).collect();
                expected.sort();
                assert_eq!(names(&fstest, &image, &path), expected, "{path}");
            }
            _ => {}
        }
    }
    assert!(names(&fstest, &image, "").contains(&"lost+found".to_owned()));
    for link in ["/to-sizes/8193", "/to-file"] {
        grub(&fstest, &image, "cmp", link, Some(&tree.host.path().join("sizes/8193")));
    }
    // The judge can say no.
    let other = tree.host.path().join("sizes/8192");
    let inside = [image.as_os_str(), OsStr::new("cmp"), OsStr::new("(loop0)/sizes/8193"), other.as_os_str()];
    assert!(!output(&fstest, &inside).status.success());
}

#[test]
fn forty_thousand_files_fill_several_groups_of_inodes() {
    let Some(fstest) = tool("grub-fstest") else { return };
    let tree = Tree::many();
    let directory = scratch();
    let image = directory.path().join("boot_archive");
    let usage = tree.pack(plain(), &image).usage.unwrap();
    assert_eq!(usage.used_inodes, 40_000 + 5);
    // A fragment and an inode each, a name of 16 bytes, and what is asked to be free.
    let least = 40_000 * (1024 + 128 + 16);
    assert!((least..least + (4 << 20)).contains(&(usage.used as usize)), "{usage:?}");
    assert_eq!(names(&fstest, &image, "/many").len(), 40_000);
    for n in [0, 1, 21_880, 21_885, 21_886, 21_890, 39_999] {
        assert_eq!(grub(&fstest, &image, "cat", &format!("/many/{n:05}"), None), n.to_string());
    }
}

#[test]
fn a_sparse_file_of_3_gib_takes_only_its_data() {
    let Some(fstest) = tool("grub-fstest") else { return };
    let mut tree = Tree::new();
    let (size, at) = (3 << 30, (2 << 30) + 8192 * 5 + 77);
    tree.add_sparse(size, &[(at, b"beyond two gigabytes")]);
    let directory = scratch();
    let image = directory.path().join("boot_archive");
    let report = tree.pack(plain(), &image);
    assert!(report.unpacked < 4 << 20, "{} bytes", report.unpacked);
    let listed = run(&fstest, &["--".as_ref(), image.as_os_str(), "ls".as_ref(), "-l".as_ref(), "(loop0)/".as_ref()]);
    assert!(text(&listed).contains("3221225472"), "{}", text(&listed));
    let skip = format!("--skip={at}");
    let arguments =
        [skip.as_ref(), "--length=20".as_ref(), image.as_os_str(), "cat".as_ref(), "(loop0)/sparse".as_ref()];
    assert_eq!(text(&run(&fstest, &arguments)), "beyond two gigabytes");
}

struct HashWriter<'d>(&'d mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Bytes that a manifest's content takes in blocks and fragments, with indirect blocks, directories and long symlinks.
fn content_size(tree: &Tree) -> u64 {
    let (fragment, block) = (1024_u64, 8192_u64);
    let size = |entry: &Entry| match &entry.content {
        Content::File { size, .. } | Content::Generated { size, .. } if *size <= 12 * block => {
            size.next_multiple_of(fragment)
        }
        Content::File { size, .. } | Content::Generated { size, .. } => {
            let blocks = size.div_ceil(block);
            let indirect = (blocks - 12).div_ceil(2048);
            (blocks + indirect + u64::from(indirect > 1)) * block
        }
        Content::Directory | Content::Symlink { .. } => fragment,
        _ => 0,
    };
    let names: usize = tree.entries.keys().map(|path| 8 + path.file_name().len() + 4).sum();
    tree.entries.values().map(size).sum::<u64>() + (names as u64).next_multiple_of(block)
}

#[test]
fn an_image_is_no_larger_than_one_of_newfs_with_the_same_reserve() {
    let mut megabytes = Tree::new();
    for n in 0..20 {
        megabytes.add_generated(&format!("/{n}"), vec![b'x'; 3_000_000 + n]);
    }
    for tree in [Tree::new(), Tree::mixed(), Tree::many(), megabytes] {
        let directory = scratch();
        let size = tree.pack(plain(), &directory.path().join("boot_archive")).unpacked;
        // One inode of 128 bytes for 2048 bytes or for each entry, and in each group of 4808 KiB a superblock and a
        // group block (what mkfs.c makes of the cylinders of lofi.c); the log and what is free by default.
        let content = content_size(&tree) + (2 << 20);
        let inodes = (tree.entries.len() as u64 + 260).max(content / 2048).next_multiple_of(64) * 128;
        let groups = (content + inodes).div_ceil(4808 << 10) * (16 << 10);
        let newfs = content + inodes + groups;
        assert!(size <= newfs, "{size} bytes, of newfs {newfs}");
    }
}

#[test]
fn the_compressed_archive_is_one_gzip_member_of_the_plain_one() {
    let tree = Tree::mixed();
    let directory = scratch();
    let (image, packed) = (directory.path().join("boot_archive"), directory.path().join("boot_archive.gz"));
    let report = tree.pack(PackOptions { sha1: true, ..plain() }, &image);
    tree.pack(PackOptions { compression: Compression::Gzip, level: Some(1), ..plain() }, &packed);
    let bytes = fs::read(&image).unwrap();
    assert_eq!(report.sha1, Some(Sha1::digest(&bytes).into()));
    assert_eq!(report.usage.unwrap().size, bytes.len() as u64);
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(fs::File::open(&packed).unwrap()).read_to_end(&mut unpacked).unwrap();
    assert!(unpacked == bytes, "one member holds all");
    if let Some(gzip) = tool("gzip") {
        run(&gzip, &["-t".as_ref(), packed.as_os_str()]);
    }
    let zstd = PackOptions { format: Format::Ufs, compression: Compression::Zstd, ..plain() };
    let root = Root::open(tree.host.path()).unwrap();
    let error = write_archive(&tree.manifest(), &Contents::new(&root), &zstd, &packed).unwrap_err();
    assert_eq!(error.to_string(), "the loader of illumos cannot unpack zstd");
}

/// The manifest and the host files of a tree, for the command.
fn saved(tree: &Tree, directory: &Path) -> PathBuf {
    let manifest = directory.join("manifest.json");
    json::write(&tree.manifest(), &mut fs::File::create(&manifest).unwrap()).unwrap();
    manifest
}

#[test]
fn the_command_writes_the_same_bytes_with_any_umask_and_number_of_threads_and_into_a_pipe() {
    let tree = Tree::mixed();
    let directory = scratch();
    let manifest = saved(&tree, directory.path());
    let pack = |out: &OsStr| {
        let mut command = minroot(["pack", "--root"]);
        command.arg(tree.host.path()).arg("-m").arg(&manifest).arg("-o").arg(out);
        command.env("SOURCE_DATE_EPOCH", "7");
        command
    };
    let archive = |name: &str| directory.path().join(name).into_os_string();
    // Neither --format nor --compress: an illumos manifest is a gzip'ed UFS.
    let fast = |out: &OsStr| {
        let mut command = pack(out);
        command.args(["--level", "1"]);
        command
    };
    succeed(fast(&archive("one")).env("RAYON_NUM_THREADS", "1"));
    let mut again = fast(&archive("two"));
    succeed(&mut with_umask("077", again.env("RAYON_NUM_THREADS", "2").env("TZ", "Asia/Kolkata")));
    let one = fs::read(archive("one")).unwrap();
    assert!(one.starts_with(&[0x1f, 0x8b]) && one == fs::read(archive("two")).unwrap());
    assert!(one == succeed(&mut fast(OsStr::new("-"))));

    let mut with_hash = pack(&archive("boot_archive"));
    let told = output_of(with_hash.args(["--compress", "none", "--free", "3M", "--free-inodes", "700", "--hash"]));
    assert!(told.status.success(), "{}", text(&told.stderr));
    let digits = hex(&Sha1::digest(fs::read(archive("boot_archive")).unwrap()));
    assert_eq!(fs::read_to_string(archive("boot_archive.hash")).unwrap(), format!("{digits}\n"));
    for words in ["used, 4.", "of them for the log", "92 inodes used, 804 inodes free", "MiB of memory"] {
        assert!(text(&told.stderr).contains(words), "{words}: {}", text(&told.stderr));
    }
    succeed(fast(&archive("named")).arg(format!("--hash={}", directory.path().join("sha1").display())));
    assert_eq!(fs::read_to_string(directory.path().join("sha1")).unwrap().len(), 41);
    let refused = output_of(pack(OsStr::new("-")).arg("--hash"));
    assert!(!refused.status.success() && text(&refused.stderr).contains("--hash=FILE"));
}

#[test]
fn grub_reads_the_boot_archive_of_the_model_root() {
    let Some(fstest) = tool("grub-fstest") else { return };
    let root = shared(Year::Y2025);
    let directory = scratch();
    let (manifest, image) = (directory.path().join("m.json"), directory.path().join("boot_archive"));
    let mut trace = minroot(["trace", "--root"]);
    trace.arg(root).args(["illumos-base", "illumos-vboxnet"].map(recipe));
    succeed(trace.arg("-o").arg(&manifest));
    let mut pack = minroot(["pack", "--compress", "none", "--root"]);
    succeed(pack.arg(root).arg("-m").arg(&manifest).arg("-o").arg(&image));
    let manifest = json::read(&fs::read(&manifest).unwrap()).unwrap();
    let mut n_compared = 0;
    for entry in &manifest.entries {
        let path = entry.path.to_string();
        let local = directory.path().join("local");
        match &entry.content {
            Content::File { unpacked_from: None, .. } => {
                grub(&fstest, &image, "cmp", &path, Some(&root.join(&path[1..])));
                n_compared += 1;
            }
            Content::Generated { bytes: Some(bytes), .. } => {
                fs::write(&local, bytes).unwrap();
                grub(&fstest, &image, "cmp", &path, Some(&local));
                n_compared += 1;
            }
            _ => {}
        }
    }
    assert!(n_compared > 100, "only {n_compared} files");
    let content: u64 = manifest.entries.iter().map(|entry| entry.size().next_multiple_of(1024)).sum();
    let size = fs::metadata(&image).unwrap().len();
    let reserve = ufs::Reserve::default().free + (1 << 20) + 8192;
    // Metadata of such a tree: inodes of 128 bytes, directories, symlinks, superblocks and maps.
    let inodes = 128 * (manifest.entries.len() as u64 + 256 + 64) + 1024 * manifest.entries.len() as u64;
    assert!(size < content + reserve + inodes + (64 << 10), "{size} bytes for {content}");
}
