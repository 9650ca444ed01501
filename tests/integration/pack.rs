//! Archives made by `pack`, judged by the tools that people unpack them with.

use crate::support::{run, scratch, tool};
use minroot::manifest::{Because, Content, Entry, Manifest};
use minroot::pack::compress::Compression;
use minroot::pack::{Contents, Format, PackError, PackOptions, PackReport, Warning, cpio, write_archive};
use minroot::path::RootPath;
use minroot::reason::{Evidence, Kind, Reason};
use minroot::recipe::System;
use minroot::root::Root;
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const EPOCH: u32 = 1_700_000_000;

/// A root on disk with the manifest that describes it.
pub struct Tree {
    pub host: tempfile::TempDir,
    pub entries: Vec<Entry>,
}

impl Tree {
    fn new() -> Tree {
        Tree { host: scratch(), entries: Vec::new() }
    }

    /// All that an archive can hold, with the names that break scripts.
    pub fn odd() -> Tree {
        let mut tree = Tree::new();
        tree.add("/", Content::Directory, 0o755);
        for directory in ["/dev", "/empty", "/usr", "/usr/bin"] {
            tree.add(directory, Content::Directory, 0o755);
        }
        tree.add("/tmp", Content::Directory, 0o1777);
        for name in [&b"/-rf"[..], b"/#x", b"/ lead", b"/a b\nc", b"/caf\xe9", b"/back\\slash", b"/usr/bin/plain"] {
            tree.add_file(name, name, 0o644);
        }
        tree.add_file(b"/usr/bin/passwd", b"setuid program", 0o4755);
        tree.add_file(b"/usr/bin/zero", b"", 0o600);
        // Half of it does not compress, so that an archive of it meets the limit of the test for full disks.
        let words = (0..300_000_u32).map(|n| if n % 2 == 0 { n.wrapping_mul(0x9e37_79b1) } else { 7 });
        let large: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        tree.add_file(b"/usr/large", &large, 0o755);
        tree.add("/usr/largest", Content::Hardlink { to: path("/usr/large") }, 0o755);
        tree.add("/zlink", Content::Hardlink { to: path("/usr/large") }, 0o755);
        let long = format!("/{}", ["d".repeat(100).as_str(), "e".repeat(150).as_str()].join("/"));
        tree.add(&long[..101], Content::Directory, 0o755);
        tree.add_file(long.as_bytes(), b"long name", 0o644);
        let mut raw = vec![b'\xe9'; 120];
        raw[0] = b'/';
        tree.add_file(&raw, b"long name that is not UTF-8", 0o644);
        for (name, target) in [("/bin", b"usr/bin".to_vec()), ("/long", vec![b't'; 3000]), ("/raw", b"\xff\n".to_vec())]
        {
            tree.add(name, Content::Symlink { target }, 0o777);
        }
        tree.add("/dev/null", Content::Char { major: 1, minor: 3 }, 0o666);
        tree.add("/dev/loop0", Content::Block { major: 7, minor: 70_000 }, 0o660);
        tree.add("/dev/initctl", Content::Fifo, 0o600);
        tree
    }

    pub fn add(&mut self, at: impl AsRef<[u8]>, content: Content, mode: u32) -> &mut Entry {
        let reason = Because { from: None, reason: Reason::new(Evidence::Target, Kind::Target, "") };
        let (path, xattrs) = (path(at), Vec::new());
        self.entries.push(Entry {
            path,
            content,
            mode,
            uid: 0,
            gid: 0,
            xattrs,
            package: None,
            packed: None,
            reasons: vec![reason],
        });
        self.entries.last_mut().unwrap()
    }

    /// Writes the file to the root as well.
    pub fn add_file(&mut self, at: &[u8], bytes: &[u8], mode: u32) -> &mut Entry {
        let host = self.host.path().join(OsStr::from_bytes(&at[1..]));
        fs::create_dir_all(host.parent().unwrap()).unwrap();
        fs::write(host, bytes).unwrap();
        let (size, sha256) = (bytes.len() as u64, Sha256::digest(bytes).into());
        self.add(at, Content::File { size, sha256, unpacked_from: None }, mode)
    }

    pub fn manifest(&self) -> Manifest {
        let mut entries = self.entries.clone();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Manifest::new(System::Linux, "x86_64", entries)
    }

    pub fn pack(&self, format: Format, compression: Compression, out: &Path) -> Result<PackReport, PackError> {
        let root = Root::open(self.host.path()).unwrap();
        // The lowest levels, so that the tests stay fast.
        let level = Some(*compression.levels().start());
        let options = PackOptions { format, compression, level, epoch: EPOCH, ..PackOptions::default() };
        write_archive(&self.manifest(), &Contents::new(&root), &options, out)
    }

    /// Compares an unpacked tree with the manifest; an ordinary user has no `devices` in it.
    pub fn compare(&self, unpacked: &Path, devices: bool) {
        let is_device = |entry: &&Entry| matches!(entry.content, Content::Char { .. } | Content::Block { .. });
        for entry in self.entries.iter().filter(|entry| devices || !is_device(entry)) {
            let host = unpacked.join(OsStr::from_bytes(entry.path.relative()));
            let found = fs::symlink_metadata(&host).unwrap_or_else(|error| panic!("{}: {error}", entry.path));
            let kind = found.file_type();
            match &entry.content {
                Content::File { .. } | Content::Generated { .. } => {
                    let original = self.host.path().join(OsStr::from_bytes(entry.path.relative()));
                    assert!(fs::read(&host).unwrap() == fs::read(original).unwrap(), "{}", entry.path);
                }
                Content::Directory => assert!(kind.is_dir()),
                Content::Symlink { target } => assert_eq!(fs::read_link(&host).unwrap().as_os_str().as_bytes(), target),
                Content::Hardlink { to } => {
                    let first = fs::metadata(unpacked.join(OsStr::from_bytes(to.relative()))).unwrap();
                    assert_eq!((first.ino(), first.nlink()), (found.ino(), found.nlink()), "{}", entry.path);
                }
                Content::Char { major, minor } | Content::Block { major, minor } => {
                    assert_eq!(found.rdev(), rustix::fs::makedev(*major, *minor), "{}", entry.path);
                }
                Content::Fifo => assert!(kind.is_fifo()),
            }
            if !kind.is_symlink() {
                assert_eq!(found.mode() & 0o7777, entry.mode, "mode of {}", entry.path);
                // GNU cpio changes the time of a directory again when it makes what is inside.
                assert!(kind.is_dir() || found.mtime() == i64::from(EPOCH), "time of {}", entry.path);
            }
        }
    }
}

fn path(bytes: impl AsRef<[u8]>) -> RootPath {
    RootPath::new(bytes).unwrap()
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs `program` in `directory` with `input` as its standard input.
fn feed(program: &Path, arguments: &[&str], input: &Path, directory: &Path) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::from(fs::File::open(input).unwrap()))
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

pub fn names_in(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn gnu_cpio_lists_every_name_and_unpacks_the_same_tree() {
    let Some(gnu_cpio) = tool("cpio") else { return };
    let (tree, directory) = (Tree::odd(), scratch());
    let archive = directory.path().join("a.cpio");
    tree.pack(Format::Cpio, Compression::None, &archive).unwrap();
    let listed = feed(&gnu_cpio, &["-t", "--quiet", "--null"], &archive, directory.path());
    let mut expected = Vec::new();
    for entry in &tree.manifest().entries {
        expected.extend_from_slice(if entry.path.is_root() { b"." } else { entry.path.relative() });
        expected.push(0);
    }
    assert_eq!(String::from_utf8_lossy(&listed), String::from_utf8_lossy(&expected));
    let long = String::from_utf8_lossy(&feed(&gnu_cpio, &["-itv", "--quiet"], &archive, directory.path())).into_owned();
    for line in ["-rwsr-xr-x", "crw-rw-rw-", "1,   3", "7, 70000", "prw-------", "drwxrwxrwt", "bin -> usr/bin"] {
        assert!(long.contains(line), "{line} in\n{long}");
    }
    if is_root() {
        let unpacked = directory.path().join("unpacked");
        fs::create_dir(&unpacked).unwrap();
        feed(&gnu_cpio, &["-idm", "--quiet"], &archive, &unpacked);
        tree.compare(&unpacked, true);
    }
}

#[test]
fn bsdtar_unpacks_the_same_tree_from_cpio_and_tar() {
    let Some(bsdtar) = tool("bsdtar") else { return };
    let tree = Tree::odd();
    for format in [Format::Cpio, Format::Tar] {
        let directory = scratch();
        let archive = directory.path().join("archive");
        tree.pack(format, Compression::Zstd, &archive).unwrap();
        let listed = run(&bsdtar, &[OsStr::new("-tvf"), archive.as_os_str()]);
        assert_eq!(listed.iter().filter(|b| **b == b'\n').count(), tree.entries.len(), "{format}");
        if is_root() {
            let unpacked = directory.path().join("unpacked");
            fs::create_dir(&unpacked).unwrap();
            run(&bsdtar, &["-xpf".as_ref(), archive.as_os_str(), "-C".as_ref(), unpacked.as_os_str()]);
            tree.compare(&unpacked, true);
        }
    }
}

#[test]
fn gnu_cpio_bsdtar_and_verify_read_the_same_tree_from_odc() {
    let (Some(gnu_cpio), Some(bsdtar)) = (tool("cpio"), tool("bsdtar")) else { return };
    let (mut tree, directory) = (Tree::odd(), scratch());
    let archive = directory.path().join("archive");
    let error = tree.pack(Format::Odc, Compression::None, &archive).unwrap_err();
    assert!(error.to_string().contains("too few for 7:70000"), "{error}");
    let device = tree.entries.iter_mut().find(|entry| matches!(entry.content, Content::Block { .. })).unwrap();
    device.content = Content::Block { major: 7, minor: 200 };
    let report = tree.pack(Format::Odc, Compression::None, &archive).unwrap();
    assert_eq!(report.packed, fs::metadata(&archive).unwrap().len());
    let listed = feed(&gnu_cpio, &["-t", "--quiet", "--null"], &archive, directory.path());
    assert_eq!(listed.iter().filter(|byte| **byte == 0).count(), tree.entries.len());
    if is_root() {
        let [by_cpio, by_bsdtar] = ["by-cpio", "by-bsdtar"].map(|name| directory.path().join(name));
        fs::create_dir(&by_cpio).unwrap();
        fs::create_dir(&by_bsdtar).unwrap();
        feed(&gnu_cpio, &["-idm", "--quiet"], &archive, &by_cpio);
        tree.compare(&by_cpio, true);
        run(&bsdtar, &["-xpf".as_ref(), archive.as_os_str(), "-C".as_ref(), by_bsdtar.as_os_str()]);
        tree.compare(&by_bsdtar, true);
        // What another program writes is read as well.
        let theirs = directory.path().join("theirs");
        let names = directory.path().join("names");
        fs::write(&names, &listed).unwrap();
        let written = feed(&gnu_cpio, &["-o", "-0", "-H", "odc", "--quiet"], &names, &by_cpio);
        fs::write(&theirs, written).unwrap();
        assert_eq!(differences(&theirs, &tree.manifest()), [""; 0]);
    }
    assert_eq!(differences(&archive, &tree.manifest()), [""; 0]);
    tree.pack(Format::Odc, Compression::Gzip, &archive).unwrap();
    assert_eq!(differences(&archive, &tree.manifest()), [""; 0]);
    let error = tree.pack(Format::Odc, Compression::Zstd, &archive).unwrap_err();
    assert_eq!(error.to_string(), "the loader of illumos cannot unpack zstd");
}

/// What `verify` finds in a boot archive of illumos that the manifest says otherwise.
fn differences(archive: &Path, manifest: &Manifest) -> Vec<String> {
    let rules = minroot::rules::RuleSet::load(&[]).unwrap();
    let verdict = minroot::verify::verify_as(Some(System::Illumos), archive, Some(manifest), &rules).unwrap();
    assert!(verdict.checks.iter().any(|check| check.seen.contains("cpio (odc)")), "{:?}", verdict.findings);
    let component = |finding: &&minroot::verify::Finding| finding.component == minroot::verify::Component::Manifest;
    verdict.findings.iter().filter(component).map(|finding| finding.message.clone()).collect()
}

#[test]
fn gnu_tar_unpacks_names_and_attributes_from_pax_records() {
    let Some(gnu_tar) = tool("tar") else { return };
    let mut tree = Tree::odd();
    tree.add_file(b"/attr", b"x", 0o644).xattrs = vec![(b"user.minroot".to_vec(), b"a\0b\n=\xff".to_vec())];
    let directory = scratch();
    let archive = directory.path().join("a.tar");
    let report = tree.pack(Format::Tar, Compression::None, &archive).unwrap();
    assert!(report.warnings.is_empty() && report.packed == fs::metadata(&archive).unwrap().len());
    let unpacked = directory.path().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let arguments = ["--xattrs", "--warning=no-unknown-keyword", "-xpf"].map(OsStr::new);
    let place = ["-C".as_ref(), unpacked.as_os_str()];
    if is_root() {
        // GNU tar does not know hdrcharset: it reads the bytes of the name as they are, which is right.
        run(&gnu_tar, &[&arguments[..], &[archive.as_os_str()], &place].concat());
        tree.compare(&unpacked, true);
        let mut value = [0; 64];
        match rustix::fs::lgetxattr(unpacked.join("attr"), "user.minroot", &mut value) {
            Ok(length) => assert_eq!(&value[..length], b"a\0b\n=\xff"),
            Err(error) => eprintln!("skipped: the file system of the test has no attributes: {error}"),
        }
    }
}

#[test]
fn compressed_archives_pass_the_tests_of_their_own_tools() {
    let tree = Tree::odd();
    let directory = scratch();
    let plain = directory.path().join("plain");
    tree.pack(Format::Cpio, Compression::None, &plain).unwrap();
    let plain = fs::read(plain).unwrap();
    for (compression, program) in [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd"), (Compression::Xz, "xz")] {
        let Some(program) = tool(program) else { continue };
        let archive = directory.path().join(compression.to_string());
        let report = tree.pack(Format::Cpio, compression, &archive).unwrap();
        assert_eq!((report.unpacked, report.n_entries), (plain.len() as u64, tree.entries.len()));
        assert!(report.packed < report.unpacked && report.packed == fs::metadata(&archive).unwrap().len());
        assert!(feed(&program, &["-dc"], &archive, directory.path()) == plain, "{compression}");
        let members = cpio::read::list(&fs::read(&archive).unwrap()[..], plain.len() as u64).unwrap();
        assert_eq!(members.len(), tree.entries.len());
    }
}

#[test]
fn gzip_is_one_member_for_pythons_zlib() {
    let Some(python) = tool("python3") else { return };
    let directory = scratch();
    let archive = directory.path().join("a.gz");
    let report = Tree::odd().pack(Format::Cpio, Compression::Gzip, &archive).unwrap();
    let script = "import sys, zlib
d = zlib.decompressobj(31)
n = len(d.decompress(open(sys.argv[1], 'rb').read()))
print(n, d.eof, len(d.unused_data))";
    let answer = run(&python, &["-c".as_ref(), script.as_ref(), archive.as_os_str()]);
    assert_eq!(String::from_utf8_lossy(&answer).trim(), format!("{} True 0", report.unpacked));
}

#[test]
fn xz_has_the_check_and_the_filter_that_the_kernel_reads() {
    let Some(xz) = tool("xz") else { return };
    let directory = scratch();
    let archive = directory.path().join("a.xz");
    Tree::odd().pack(Format::Cpio, Compression::Xz, &archive).unwrap();
    let listed = run(&xz, &["-lvv".as_ref(), archive.as_os_str()]);
    let listed = String::from_utf8_lossy(&listed);
    assert!(listed.contains("CRC32") && listed.contains("--x86"), "{listed}");
}

/// The pool of rayon is made once per process, so each count gets a process of its own: this test program again.
#[test]
fn thread_count_time_zone_and_umask_do_not_change_the_bytes() {
    const OUT: &str = "MINROOT_TEST_PACK_OUT";
    let name = "pack::thread_count_time_zone_and_umask_do_not_change_the_bytes";
    if let Some(out) = std::env::var_os(OUT) {
        for (format, compression) in combinations() {
            let file = Path::new(&out).join(format!("{format}-{compression}"));
            Tree::odd().pack(format, compression, &file).unwrap();
        }
        return;
    }
    let directory = scratch();
    for (n_threads, zone) in [("1", "UTC"), ("4", "Asia/Kolkata")] {
        let out = directory.path().join(n_threads);
        fs::create_dir(&out).unwrap();
        let status = Command::new("/bin/sh")
            .args(["-c", "umask 0$2; exec \"$0\" --exact \"$1\"", std::env::current_exe().unwrap().to_str().unwrap()])
            .args([name, n_threads])
            .envs([("RAYON_NUM_THREADS", n_threads), ("TZ", zone)])
            .env(OUT, &out)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
    }
    for (format, compression) in combinations() {
        let [one, four] = ["1", "4"].map(|n| directory.path().join(n).join(format!("{format}-{compression}")));
        assert!(fs::read(one).unwrap() == fs::read(four).unwrap(), "{format} {compression}");
    }
}

fn combinations() -> impl Iterator<Item = (Format, Compression)> {
    let all = [Format::Cpio, Format::Tar, Format::Oci].into_iter();
    let all = all.flat_map(|format| Compression::ALL.map(|compression| (format, compression)));
    // Images of containers know no xz.
    all.filter(|combination| *combination != (Format::Oci, Compression::Xz))
}

#[test]
fn a_directory_is_the_same_tree() {
    let tree = Tree::odd();
    let directory = scratch();
    let out = directory.path().join("out");
    let report = tree.pack(Format::Dir, Compression::None, &out).unwrap();
    tree.compare(&out, is_root());
    for directory in ["", "dev", "empty", "usr/bin"] {
        assert_eq!(fs::metadata(out.join(directory)).unwrap().mtime(), i64::from(EPOCH), "time of {directory}");
    }
    let left_out = report.warnings.iter().filter(|w| matches!(w, Warning::DeviceLeftOut { .. })).count();
    assert_eq!(left_out, if is_root() { 0 } else { 2 });
    // Again over what is there: refused, and what is there stays.
    let error = tree.pack(Format::Dir, Compression::None, &out).unwrap_err();
    assert!(matches!(error, PackError::Write { .. }), "{error}");
    tree.compare(&out, is_root());
    assert_eq!(names_in(directory.path()), [out]);
}

#[test]
fn changed_content_leaves_nothing_behind() {
    let mut tree = Tree::new();
    tree.add_file(b"/a", &vec![1; 5 << 20], 0o644);
    tree.add_file(b"/b", b"as traced", 0o644);
    fs::write(tree.host.path().join("b"), "something else").unwrap();
    let directory = scratch();
    let out = directory.path().join("out");
    for (format, compression) in combinations().chain([(Format::Dir, Compression::None)]) {
        let error = tree.pack(format, compression, &out).unwrap_err();
        assert_eq!(error.to_string(), "`/b` has changed since it was traced: it is longer", "{format} {compression}");
        assert!(names_in(directory.path()).is_empty(), "{format} {compression}");
    }
}

/// `RLIMIT_FSIZE` stands in for a full disk. A shell ignores SIGXFSZ for the child, so that the write fails instead.
#[test]
fn a_full_disk_leaves_the_old_archive_as_it_was() {
    const CHILD: &str = "MINROOT_TEST_PACK_FULL";
    if std::env::var_os(CHILD).is_none() {
        let script = "trap '' XFSZ; exec \"$0\" --exact pack::a_full_disk_leaves_the_old_archive_as_it_was";
        let program = std::env::current_exe().unwrap();
        let child = output_with(Path::new("/bin/sh"), &["-c".as_ref(), script.as_ref(), program.as_os_str()], CHILD);
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        return;
    }
    let (tree, directory) = (Tree::odd(), scratch());
    let out = directory.path().join("archive");
    fs::write(&out, "the old archive").unwrap();
    rustix::process::setrlimit(
        rustix::process::Resource::Fsize,
        rustix::process::Rlimit { current: Some(1 << 18), maximum: None },
    )
    .unwrap();
    for (format, compression) in combinations() {
        let error = tree.pack(format, compression, &out).unwrap_err();
        assert!(matches!(error, PackError::Write { .. }), "{format} {compression}: {error}");
        assert_eq!(fs::read(&out).unwrap(), b"the old archive");
        assert_eq!(names_in(directory.path()), std::slice::from_ref(&out), "{format} {compression}");
    }
    let error = tree.pack(Format::Dir, Compression::None, &directory.path().join("tree")).unwrap_err();
    assert!(matches!(error, PackError::MakeEntry { .. }), "{error}");
    assert_eq!(names_in(directory.path()), [out]);
}

/// Runs a program with one more environment variable set.
fn output_with(program: &Path, arguments: &[&OsStr], variable: &str) -> std::process::Output {
    Command::new(program).args(arguments).env(variable, "1").output().unwrap()
}

#[test]
fn a_device_is_written_to_and_not_replaced() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        eprintln!("skipped: there is no /dev/full");
        return;
    }
    for (format, compression) in combinations() {
        let error = Tree::odd().pack(format, compression, full).unwrap_err();
        assert!(matches!(error, PackError::Write { .. }), "{error}");
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "No space left on device (os error 28)");
    }
    assert!(fs::metadata(full).unwrap().file_type().is_char_device());
    Tree::odd().pack(Format::Tar, Compression::None, Path::new("/dev/null")).unwrap();
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

/// The first process of the kernel test: tells what it finds, then switches the machine off.
const INIT: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void show(const char *path) {
    struct stat st;
    unsigned char buffer[65536];
    unsigned sum = 0;
    long n;
    if (lstat(path, &st) != 0) { printf("%s is missing\n", path); return; }
    if (S_ISREG(st.st_mode)) {
        int fd = open(path, O_RDONLY);
        while ((n = read(fd, buffer, sizeof buffer)) > 0)
            for (long i = 0; i < n; i++) sum = sum * 31 + buffer[i];
    }
    printf("%s %o %lu %ld %u %u:%u %ld\n", path, st.st_mode, (unsigned long)st.st_nlink,
           S_ISREG(st.st_mode) ? (long)st.st_size : 0, sum, major(st.st_rdev), minor(st.st_rdev), (long)st.st_mtime);
}

int main(void) {
    int console = open("/dev/console", O_RDWR);
    dup2(console, 1);
    const char *paths[] = {"/usr/large", "/usr/largest", "/zlink", "/usr/bin/passwd", "/dev/loop0", "/-rf", "/empty"};
    for (int i = 0; i < 7; i++) show(paths[i]);
    fflush(stdout);
    reboot(RB_POWER_OFF);
}
"#;

/// Slow, so only with a kernel that can unpack all of them: `MINROOT_TEST_KERNEL=/boot/vmlinuz-...`.
#[test]
fn the_kernel_unpacks_every_compression_and_keeps_hard_links() {
    let Some(kernel) = std::env::var_os("MINROOT_TEST_KERNEL") else {
        eprintln!("skipped: MINROOT_TEST_KERNEL names no kernel");
        return;
    };
    let (Some(qemu), Some(gcc)) = (tool("qemu-system-x86_64"), tool("gcc")) else { return };
    let (mut tree, directory) = (Tree::odd(), scratch());
    let [source, init] = ["init.c", "init"].map(|name| directory.path().join(name));
    fs::write(&source, INIT).unwrap();
    run(&gcc, &["-static".as_ref(), "-O1".as_ref(), "-o".as_ref(), init.as_os_str(), source.as_os_str()]);
    tree.add_file(b"/init", &fs::read(&init).unwrap(), 0o755);
    tree.add("/dev/console", Content::Char { major: 5, minor: 1 }, 0o600);
    for compression in Compression::ALL {
        let archive = directory.path().join(compression.to_string());
        let report = tree.pack(Format::Cpio, compression, &archive).unwrap();
        let console = Command::new(&qemu)
            .args(["-nographic", "-no-reboot", "-m"])
            .arg(format!("{}M", report.least_ram_mib.unwrap()))
            .args(["-append", "console=ttyS0 panic=-1 rdinit=/init rootfstype=ramfs", "-kernel"])
            .args([kernel.as_os_str(), "-initrd".as_ref(), archive.as_os_str()])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let console = String::from_utf8_lossy(&console.stdout);
        let large = fs::read(tree.host.path().join("usr/large")).unwrap();
        let sum = |bytes: &[u8]| bytes.iter().fold(0_u32, |sum, b| sum.wrapping_mul(31).wrapping_add(u32::from(*b)));
        let mut expected = ["/usr/large", "/usr/largest", "/zlink"]
            .map(|name| format!("{name} 100755 3 {} {} 0:0 {EPOCH}", large.len(), sum(&large)))
            .to_vec();
        expected.push(format!("/usr/bin/passwd 104755 1 14 {} 0:0 {EPOCH}", sum(b"setuid program")));
        expected.push(format!("/dev/loop0 60660 1 0 0 7:70000 {EPOCH}"));
        expected.push(format!("/-rf 100644 1 4 {} 0:0 {EPOCH}", sum(b"/-rf")));
        expected.push(format!("/empty 40755 2 0 0 0:0 {EPOCH}"));
        for line in expected {
            assert!(console.contains(&line), "{compression}: `{line}` is not in\n{console}");
        }
    }
}
