//! Our images against other readers: xorriso, isoinfo, bsdtar, mtools and fsck.fat.
//!
//! The loaders here are stand-ins of the right size: what boots is tested elsewhere, what is on the image here.

use crate::support::{output, run, scratch, tool};
use minroot::iso::iso9660::{Attributes, Node, Range, Volume};
use minroot::iso::{BiosLoader, Blob, IsoImage, IsoKind, Loaders, UefiLoader};
use minroot::iso::{IsoReport, LinuxIso, write_linux_iso};
use minroot::path::RootPath;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

const EPOCH: u64 = 1_700_000_000;

/// Bytes that repeat, but never at the same place of a sector, so that a shifted extent is noticed.
fn noise(length: usize, seed: u32) -> Vec<u8> {
    const PERIOD: usize = 65_537;
    let mut state = seed;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    let period: Vec<u8> = std::iter::repeat_with(next).take(PERIOD.min(length)).collect();
    let mut bytes = period.repeat(length.div_ceil(PERIOD));
    bytes.truncate(length);
    bytes
}

fn loaders() -> Loaders {
    Loaders {
        bios: Some(BiosLoader { isolinux: noise(38_912, 1), ldlinux: noise(119_524, 2), mbr: noise(432, 3) }),
        uefi: Some(UefiLoader { systemd_boot: noise(140_891, 4) }),
    }
}

fn linux_iso(kernel: usize, archive: usize) -> LinuxIso {
    LinuxIso {
        kernel: Blob::from_bytes(noise(kernel, 5)),
        archive: Blob::from_bytes(noise(archive, 6)),
        kernel_args: "console=ttyS0 quiet".into(),
        label: "MINROOT".into(),
        loaders: loaders(),
        epoch: EPOCH,
    }
}

fn written(iso: &LinuxIso) -> (tempfile::TempDir, PathBuf, IsoReport) {
    let directory = scratch();
    let path = directory.path().join("out.iso");
    let report = write_linux_iso(iso, &path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), report.total());
    (directory, path, report)
}

fn path(bytes: impl AsRef<[u8]>) -> RootPath {
    RootPath::new(bytes).unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn args<'a>(arguments: &[&'a str]) -> Vec<&'a OsStr> {
    arguments.iter().map(|argument| OsStr::new(*argument)).collect()
}

#[test]
fn kernel_and_archive_are_stored_once_and_overhead_is_small() {
    let (_directory, file, report) = written(&linux_iso(14_186_432, 1_000_001));
    assert!(report.loaders + report.overhead <= 600_000, "{report:?}");
    let iso = IsoImage::open(&file).unwrap();
    let fat = iso.uefi_volume().unwrap().unwrap();
    let entry = iso.boot_entries()[1];
    for (in_iso, in_fat) in [("/boot/vmlinuz", "vmlinuz"), ("/boot/initrd.img", "initrd.img")] {
        let extents = fat.extents(&fat.find(in_fat).unwrap()).unwrap();
        let file = iso.find(&path(in_iso)).unwrap();
        let start = (u64::from(file.sector) - u64::from(entry.sector)) * 2048;
        assert_eq!(extents, [(start, file.size)]);
    }
}

#[test]
fn our_reader_finds_what_was_written() {
    let source = linux_iso(9_000_000, 2_000_000);
    let (_directory, file, _) = written(&source);
    let iso = IsoImage::open(&file).unwrap();
    assert_eq!(iso.label(), "MINROOT");
    let read = |name: &str| iso.file(&path(name)).unwrap().unwrap().read().unwrap();
    assert_eq!(read("/boot/vmlinuz"), source.kernel.read().unwrap());
    assert_eq!(read("/boot/initrd.img"), source.archive.read().unwrap());
    assert_eq!(read("/isolinux/ldlinux.c32"), source.loaders.bios.as_ref().unwrap().ldlinux);
    let (config_path, config) = iso.isolinux_config().unwrap().unwrap();
    assert_eq!(config_path, path("/isolinux/isolinux.cfg"));
    assert!(text(config.read().unwrap()).contains("APPEND console=ttyS0 quiet\n"));
    let fat = iso.uefi_volume().unwrap().unwrap();
    let entry = text(fat.read(&fat.find("loader/entries/linux.conf").unwrap()).unwrap());
    assert!(entry.contains("options console=ttyS0 quiet\n"), "{entry}");
    let tables = iso.partitions().unwrap().unwrap();
    let isolinux = iso.find(&path("/isolinux/isolinux.bin")).unwrap();
    assert_eq!(tables.program_block, Some(u64::from(isolinux.sector) * 4));
    let esp = tables.gpt.unwrap()[0];
    assert_eq!(esp.first_block, u64::from(iso.boot_entries()[1].sector) * 4);
    assert!(minroot::iso::eltorito::info_table_is_right(&read("/isolinux/isolinux.bin"), isolinux.sector));
}

#[test]
fn equal_inputs_give_equal_images_and_other_content_another_identity() {
    let (_a, first, _) = written(&linux_iso(100_000, 50_000));
    let (_b, second, _) = written(&linux_iso(100_000, 50_000));
    assert!(std::fs::read(first).unwrap() == std::fs::read(&second).unwrap());
    let mut other = linux_iso(100_000, 50_000);
    other.archive = Blob::from_bytes(noise(50_000, 7));
    let (_c, third, _) = written(&other);
    let guid = |file: &Path| IsoImage::open(file).unwrap().partitions().unwrap().unwrap().gpt.unwrap()[0].guid;
    assert_ne!(guid(&second), guid(&third));
}

#[test]
fn each_platform_works_alone() {
    let mut bios = linux_iso(100_000, 50_000);
    bios.loaders.uefi = None;
    let (_directory, file, _) = written(&bios);
    let iso = IsoImage::open(&file).unwrap();
    assert_eq!(iso.boot_entries().len(), 1);
    assert!(iso.uefi_volume().unwrap().is_none());
    assert!(iso.partitions().unwrap().unwrap().gpt.is_none());
    assert!(iso.file(&path("/boot/vmlinuz")).unwrap().is_some());

    let mut uefi = linux_iso(100_000, 50_000);
    uefi.loaders.bios = None;
    let (_directory, file, _) = written(&uefi);
    let iso = IsoImage::open(&file).unwrap();
    assert!(iso.uefi_volume().unwrap().is_some());
    assert!(iso.isolinux_config().unwrap().is_none());
    assert_eq!(iso.partitions().unwrap().unwrap().program_block, None);

    let mut none = linux_iso(1, 1);
    none.loaders = Loaders { bios: None, uefi: None };
    assert!(write_linux_iso(&none, Path::new("/nonexistent/out.iso")).is_err());
}

#[test]
fn b80_xorriso_sees_both_boot_images_and_both_partition_tables() {
    let Some(xorriso) = tool("xorriso") else { return };
    // Below and above the 32 MiB that the catalog's length field can express.
    for (archive, uefi_blocks) in [(1_000_000, None), (40 << 20, Some("1 "))] {
        let (_directory, file, _) = written(&linux_iso(9_000_000, archive));
        let file = file.to_str().unwrap();
        let report = text(run(&xorriso, &args(&["-indev", file, "-report_el_torito", "plain"])));
        let line = |start: &str| {
            let found = report.lines().find(|line| line.starts_with(start));
            found.unwrap_or_else(|| panic!("{start} in {report}")).to_owned()
        };
        assert!(line("El Torito boot img :   1  BIOS  y   none").contains("     4 "), "{report}");
        let uefi = line("El Torito boot img :   2  UEFI  y   none");
        let iso = IsoImage::open(Path::new(file)).unwrap();
        let entry = iso.boot_entries()[1];
        assert!(uefi.ends_with(&format!("{:6}  {:10}", entry.load_blocks, entry.sector)), "{uefi}");
        if let Some(blocks) = uefi_blocks {
            assert_eq!(format!("{} ", entry.load_blocks), blocks);
        }
        assert!(line("El Torito img opts :   1").contains("boot-info-table"), "{report}");

        let report = text(run(&xorriso, &args(&["-indev", file, "-report_system_area", "plain"])));
        for expected in ["System area summary: MBR protective-msdos-label", "GPT", "GPT type GUID      :   1  28732ac1"]
        {
            assert!(report.contains(expected), "{expected} in {report}");
        }
    }
}

#[test]
fn b80_fsck_and_mtools_accept_the_fat_file_system() {
    let (Some(fsck), Some(mdir), Some(mcopy)) = (tool("fsck.fat"), tool("mdir"), tool("mcopy")) else { return };
    // FAT12, FAT16.
    for (kernel, kind) in [(100_000, "12 bit entries"), (40 << 20, "16 bit entries")] {
        let source = linux_iso(kernel, 50_000);
        let (directory, file, _) = written(&source);
        let entry = IsoImage::open(&file).unwrap().boot_entries()[1];
        let at = format!("{}@@{}", file.display(), u64::from(entry.sector) * 2048);
        let listing = text(run(&mdir, &args(&["-i", &at, "-/", "-b", "::"])));
        assert_eq!(
            listing.lines().collect::<Vec<_>>(),
            [
                "::/EFI/",
                "::/loader/",
                "::/vmlinuz",
                "::/initrd.img",
                "::/EFI/BOOT/",
                "::/EFI/BOOT/BOOTX64.EFI",
                "::/loader/loader.conf",
                "::/loader/entries/",
                "::/loader/entries/linux.conf",
            ]
        );
        let copy = directory.path().join("kernel");
        run(&mcopy, &args(&["-i", &at, "::/vmlinuz", copy.to_str().unwrap()]));
        assert!(std::fs::read(&copy).unwrap() == source.kernel.read().unwrap());

        let image = directory.path().join("fat.img");
        let iso = IsoImage::open(&file).unwrap();
        std::fs::write(&image, iso.boot_image(&entry).unwrap().read().unwrap()).unwrap();
        let report = text(run(&fsck, &args(&["-n", "-v", image.to_str().unwrap()])));
        assert!(report.contains(kind), "{report}");
    }
}

/// A volume with everything that makes names and trees difficult.
fn odd_volume() -> (Volume, Vec<(RootPath, IsoKind)>) {
    let mut volume = Volume::new("ODD", EPOCH).unwrap();
    let mut expected = Vec::new();
    let attributes = Attributes { mode: 0o640, uid: 1000, gid: 7 };
    let long = [b'l'; 250];
    let longest = [b'L'; 255];
    let deep = "/d/e/e/p/e/r/t/h/a/n/i/t";
    for name in [b"/with space", &b"/new\nline"[..], b"/caf\xe9", b"/UPPER", b"/upper", b"/.hidden", b"/a;1"] {
        volume.add_file(&path(name), attributes, Blob::from_bytes(name)).unwrap();
        expected.push((path(name), IsoKind::File));
    }
    for name in [path(deep).join(&long), path(deep).join(&longest), path("/empty")] {
        volume.add_file(&name, attributes, Blob::from_bytes([])).unwrap();
        expected.push((name, IsoKind::File));
    }
    let far = b"../far/".repeat(100);
    for (name, target) in [("/link", &b"/with space"[..]), ("/far", far.trim_ascii_end()), ("/up", b"../..")] {
        let target = target.strip_suffix(b"/").unwrap_or(target).to_vec();
        volume.add(&path(name), attributes, Node::Symlink { target: target.clone() }).unwrap();
        expected.push((path(name), IsoKind::Symlink { target }));
    }
    volume.add(&path("/dev/null"), attributes, Node::Char { major: 1, minor: 3 }).unwrap();
    expected.push((path("/dev/null"), IsoKind::Char { major: 1, minor: 3 }));
    volume.add(&path("/dev/sda"), attributes, Node::Block { major: 8, minor: 0 }).unwrap();
    expected.push((path("/dev/sda"), IsoKind::Block { major: 8, minor: 0 }));
    volume.add(&path("/fifo"), attributes, Node::Fifo).unwrap();
    expected.push((path("/fifo"), IsoKind::Fifo));
    let mut above = Some(path(deep));
    while let Some(directory) = above.filter(|directory| !directory.is_root()) {
        above = directory.parent();
        expected.push((directory, IsoKind::Directory));
    }
    expected.push((path("/dev"), IsoKind::Directory));
    for i in 0..300 {
        let name = path(format!("/many/file number {i} with a rather long name.txt"));
        volume.add_file(&name, attributes, Blob::from_bytes(i.to_string().into_bytes())).unwrap();
        expected.push((name, IsoKind::File));
    }
    expected.push((path("/many"), IsoKind::Directory));
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    (volume, expected)
}

fn odd_file() -> (tempfile::TempDir, PathBuf, Vec<(RootPath, IsoKind)>) {
    let (volume, expected) = odd_volume();
    let directory = scratch();
    let file = directory.path().join("odd.iso");
    volume.layout().unwrap().write(&file).unwrap();
    (directory, file, expected)
}

#[test]
fn odd_names_and_deep_directories_are_read_back() {
    let (_directory, file, expected) = odd_file();
    let iso = IsoImage::open(&file).unwrap();
    let found = iso.walk().unwrap();
    assert_eq!(found.iter().map(|e| (e.path.clone(), e.kind.clone())).collect::<Vec<_>>(), expected);
    for entry in found.iter().filter(|entry| entry.kind != IsoKind::Directory) {
        assert_eq!((entry.mode, entry.uid, entry.gid), (0o640, 1000, 7), "{entry:?}");
    }
    let content = iso.file(&path("/new\nline")).unwrap().unwrap().read().unwrap();
    assert_eq!(content, b"/new\nline");
}

#[test]
fn bsdtar_extracts_the_odd_tree() {
    let Some(bsdtar) = tool("bsdtar") else { return };
    let (directory, file, expected) = odd_file();
    let out = directory.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let exclude = ["--exclude", "dev", "-C", out.to_str().unwrap(), "-xf", file.to_str().unwrap()];
    let result = output(&bsdtar, &args(&exclude));
    assert!(result.status.success(), "{}", text(result.stderr));
    for (name, kind) in expected.iter().filter(|(name, _)| !name.starts_with(&path("/dev"))) {
        let on_disk = out.join(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name.relative()));
        let metadata = std::fs::symlink_metadata(&on_disk).unwrap_or_else(|error| panic!("{name}: {error}"));
        match kind {
            IsoKind::File => {
                let content = std::fs::read(&on_disk).unwrap();
                assert!(content.is_empty() || name.starts_with(&path("/many")) || content == name.as_bytes());
            }
            IsoKind::Symlink { target } => {
                let found = std::fs::read_link(&on_disk).unwrap();
                assert_eq!(found.as_os_str().as_encoded_bytes(), target);
            }
            IsoKind::Directory => assert!(metadata.is_dir()),
            _ => {}
        }
    }
    let listing = text(run(&bsdtar, &args(&["-tvf", file.to_str().unwrap()])));
    let line = |end: &str| listing.lines().find(|line| line.ends_with(end)).unwrap_or_default().to_owned();
    assert!(line(" dev/null").starts_with("crw-r-----") && line(" dev/null").contains("1,3"), "{}", line(" dev/null"));
    assert!(line(" dev/sda").starts_with("brw-r-----") && line(" dev/sda").contains("8,0"), "{}", line(" dev/sda"));
}

#[test]
fn isoinfo_and_xorriso_list_the_odd_tree() {
    let (Some(isoinfo), Some(xorriso)) = (tool("isoinfo"), tool("xorriso")) else { return };
    let (_directory, file, expected) = odd_file();
    let file = file.to_str().unwrap();
    let listing = run(&isoinfo, &args(&["-R", "-f", "-i", file]));
    let mut found: Vec<&[u8]> = listing.split(|b| *b == b'\n').filter(|line| !line.is_empty()).collect();
    // isoinfo does not escape the newline and cannot name the four names beyond its buffers, so only the others count.
    found.sort();
    let plain = expected.iter().filter(|(name, _)| !name.as_bytes().contains(&b'\n') && name.file_name().len() < 250);
    for (name, _) in plain {
        assert!(found.binary_search(&name.as_bytes()).is_ok(), "isoinfo does not list `{name}`");
    }
    let listing = text(run(&isoinfo, &args(&["-R", "-l", "-i", file])));
    assert!(listing.lines().any(|line| line.contains("Nov 14 2023") && line.ends_with(" with space ")), "{listing}");

    let report = text(run(&xorriso, &args(&["-indev", file, "-find", "/", "-exec", "lsdl"])));
    // The root is listed as well, and one name takes two lines.
    assert_eq!(report.lines().count(), expected.len() + 2, "{report}");
    assert!(report.contains("'/with space'"), "{report}");
    assert!(report.contains("'/link' -> '/with space'"), "{report}");
}

#[test]
fn b81_files_of_4_gib_and_more_are_in_several_extents_that_other_readers_join() {
    let Some(xorriso) = tool("xorriso") else { return };
    let directory = scratch();
    let sparse = directory.path().join("sparse");
    let size = 4_300_000_000u64;
    std::fs::File::create(&sparse).unwrap().set_len(size).unwrap();
    let mut volume = Volume::new("LARGE", 0).unwrap();
    let extent = volume.add_extent(Blob::open(&sparse).unwrap());
    let attributes = Attributes { mode: 0o644, uid: 0, gid: 0 };
    volume.add(&path("/large"), attributes, Node::File(Range { extent, offset: 0, size })).unwrap();
    volume.add_file(&path("/small"), attributes, Blob::from_bytes(*b"behind it")).unwrap();
    let file = directory.path().join("large.iso");
    // The descriptors and directories alone: the content is as empty as what is not written.
    volume.layout().unwrap().write(&file).unwrap();
    let iso = IsoImage::open(&file).unwrap();
    assert_eq!(iso.find(&path("/large")).unwrap().size, size);
    assert_eq!(iso.file(&path("/small")).unwrap().unwrap().read().unwrap(), b"behind it");
    let report = text(run(&xorriso, &args(&["-indev", file.to_str().unwrap(), "-lsl", "/"])));
    assert!(report.lines().any(|line| line.contains(" 4300000000 ") && line.ends_with("'large'")), "{report}");
}

#[test]
fn an_image_of_xorriso_is_read() {
    let Some(xorriso) = tool("xorriso") else { return };
    let directory = scratch();
    let tree = directory.path().join("tree");
    let deep = tree.join("d/e/e/p/e/r/t/h/a/n/i/t");
    std::fs::create_dir_all(&deep).unwrap();
    let long = "long".repeat(60);
    std::fs::write(deep.join(&long), noise(5000, 9)).unwrap();
    std::fs::write(tree.join("new\nline"), "x").unwrap();
    std::os::unix::fs::symlink("../".repeat(90) + &long, tree.join("link")).unwrap();
    let image = directory.path().join("FAT");
    std::fs::write(&image, noise(512 * 100, 10)).unwrap();
    std::fs::rename(&image, tree.join("efi.img")).unwrap();
    let file = directory.path().join("theirs.iso");
    let (file, tree) = (file.to_str().unwrap(), tree.to_str().unwrap());
    let mkisofs = ["-as", "mkisofs", "-R", "-V", "THEIRS", "-e", "efi.img", "-no-emul-boot", "-o", file, tree];
    run(&xorriso, &args(&mkisofs));
    let iso = IsoImage::open(Path::new(file)).unwrap();
    assert_eq!(iso.label(), "THEIRS");
    let found = iso.walk().unwrap();
    assert_eq!(found.iter().filter(|e| e.kind == IsoKind::Directory).count(), 12);
    let deep = path(format!("/d/e/e/p/e/r/t/h/a/n/i/t/{long}"));
    assert_eq!(iso.file(&deep).unwrap().unwrap().read().unwrap(), noise(5000, 9));
    let target = ("../".repeat(90) + &long).into_bytes();
    assert_eq!(iso.find(&path("/link")).unwrap().kind, IsoKind::Symlink { target });
    assert!(iso.find(&path("/new\nline")).is_ok());
    let boot_image = iso.boot_image(&iso.boot_entries()[0]).unwrap().read().unwrap();
    assert_eq!(boot_image, noise(512 * 100, 10));
}

#[test]
fn bad_images_are_errors() {
    let mut source = linux_iso(3000, 2000);
    source.loaders = Loaders {
        bios: Some(BiosLoader { isolinux: noise(100, 1), ldlinux: noise(100, 2), mbr: noise(432, 3) }),
        uefi: Some(UefiLoader { systemd_boot: noise(100, 4) }),
    };
    let (_directory, file, _) = written(&source);
    let good = std::fs::read(file).unwrap();
    let walk = |bytes: &[u8]| {
        let iso = IsoImage::new(Blob::from_bytes(bytes))?;
        iso.partitions()?;
        if let Some(fat) = iso.uefi_volume()? {
            fat.walk()?;
        }
        iso.walk()?.iter().filter(|e| e.kind == IsoKind::File).try_for_each(|e| iso.content(e).map(|_| ()))
    };
    walk(&good).unwrap();
    for length in (0..good.len()).step_by(1021) {
        assert!(walk(&good[..length]).is_err(), "{length} bytes");
    }
    // Whatever a damaged byte of the metadata does, it is no panic and no endless loop.
    let metadata = 32_768..32_768 + 20 * 2048;
    for position in metadata.filter(|position| good[*position] != 0) {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bad = good.clone();
            bad[position] = value;
            let _ = walk(&bad);
        }
    }
}

#[test]
fn a_directory_inside_itself_is_an_error() {
    let mut volume = Volume::new("LOOP", 0).unwrap();
    volume.add(&path("/a/b"), Attributes { mode: 0o755, uid: 0, gid: 0 }, Node::Directory).unwrap();
    let directory = scratch();
    let file = directory.path().join("loop.iso");
    volume.layout().unwrap().write(&file).unwrap();
    let mut bytes = std::fs::read(file).unwrap();
    let iso = IsoImage::new(Blob::from_bytes(&bytes[..])).unwrap();
    let (a, b) = (iso.find(&path("/a")).unwrap().sector, iso.find(&path("/a/b")).unwrap().sector);
    // The record of `b` is the third in `a`, behind the dots.
    let start = a as usize * 2048;
    let record = start + usize::from(bytes[start]) + usize::from(bytes[start + usize::from(bytes[start])]);
    assert_eq!(bytes[record + 2..record + 6], b.to_le_bytes());
    bytes[record + 2..record + 6].copy_from_slice(&a.to_le_bytes());
    let error = IsoImage::new(Blob::from_bytes(bytes)).unwrap().walk().unwrap_err();
    assert!(error.to_string().contains("contains itself"), "{error}");
}

/// Forty lie in a long one, each a sector behind the one before, so that its records would be read forty times.
#[test]
fn directories_that_share_sectors_are_an_error() {
    let mut volume = Volume::new("SHARED", 0).unwrap();
    let attributes = Attributes { mode: 0o755, uid: 0, gid: 0 };
    for n in 0..40 {
        volume.add(&path(format!("/d{n:02}")), attributes, Node::Directory).unwrap();
    }
    for n in 0..800 {
        let name = path(format!("/long/a name of which a sector of a directory holds few {n:03}"));
        volume.add(&name, attributes, Node::Fifo).unwrap();
    }
    let directory = scratch();
    let file = directory.path().join("shared.iso");
    volume.layout().unwrap().write(&file).unwrap();
    let mut bytes = std::fs::read(file).unwrap();
    let iso = IsoImage::new(Blob::from_bytes(&bytes[..])).unwrap();
    let long = iso.find(&path("/long")).unwrap();
    let sectors: Vec<u32> = (0..40).map(|n| iso.find(&path(format!("/d{n:02}"))).unwrap().sector).collect();
    // Where the root is, its own record in the volume descriptor says.
    let root = u32::from_le_bytes(bytes[16 * 2048 + 158..][..4].try_into().unwrap()) as usize * 2048;
    for (n, sector) in sectors.into_iter().enumerate() {
        let record = memchr::memmem::find(&bytes[root..], &sector.to_le_bytes()).unwrap() + root;
        let behind = n as u32 + 1;
        bytes[record..record + 4].copy_from_slice(&(long.sector + behind).to_le_bytes());
        let rest = long.size as u32 - behind * 2048;
        bytes[record + 8..record + 12].copy_from_slice(&rest.to_le_bytes());
    }
    let error = IsoImage::new(Blob::from_bytes(bytes)).unwrap().walk().unwrap_err();
    assert!(error.to_string().contains("shares sectors"), "{error}");
}
