//! The node image and its archive through the eyes of other programs; what they list has to be the manifest.

use crate::command::{NodeImage, minroot, node_image, succeed, text};
use crate::support::{run, scratch, tool};
use minroot::manifest::{Content, Entry, Manifest, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes of a block of the ISO, and of a sector of a disk.
const BLOCK: u64 = 2048;
const SECTOR: u64 = 512;

#[test]
fn cpio_and_bsdtar_list_the_entries_of_the_manifest_in_order() {
    let Some(image) = node_image() else { return };
    let (Some(cpio), Some(bsdtar)) = (tool("cpio"), tool("bsdtar")) else { return };
    let directory = scratch();
    let archive = pack(image, &directory.path().join("archive"));
    let expected: Vec<String> = manifest(image).entries.iter().map(relative).collect();
    let listed = run(&bsdtar, &["-tf".as_ref(), archive.as_os_str()]);
    let listed: Vec<String> = lines(&listed).iter().map(|line| line.trim_end_matches('/').to_owned()).collect();
    assert_eq!(listed, expected, "bsdtar");
    let mut list = Command::new(&cpio);
    list.args(["-t", "--quiet"]).stdin(File::open(&archive).unwrap());
    assert_eq!(lines(&succeed(&mut list)), expected, "cpio");
}

#[test]
fn bsdtar_finds_the_modes_owners_sizes_and_link_targets_of_the_manifest() {
    let (Some(bsdtar), Some(image)) = (tool("bsdtar"), node_image()) else { return };
    let directory = scratch();
    let archive = pack(image, &directory.path().join("archive"));
    let listed = run(&bsdtar, &["--numeric-owner".as_ref(), "-tvf".as_ref(), archive.as_os_str()]);
    let manifest = manifest(image);
    assert_eq!(lines(&listed).len(), manifest.entries.len());
    for (line, entry) in lines(&listed).iter().zip(&manifest.entries) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // -rwxr-xr-x  0 0      0       18880 Jan  1  1970 init
        let [mode, _, uid, gid, size, _, _, _, name, link @ ..] = &fields[..] else { panic!("{line}") };
        assert_eq!((*mode, name.trim_end_matches('/')), (&*mode_in_letters(entry), &*relative(entry)), "{line}");
        assert_eq!((*uid, *gid), (&*entry.uid.to_string(), &*entry.gid.to_string()), "{line}");
        match &entry.content {
            Content::Symlink { target } => assert_eq!(link, ["->", &text(target)], "{line}"),
            _ => assert_eq!(*size, entry.size().to_string(), "{line}"),
        }
    }
}

#[test]
fn xorriso_and_isoinfo_list_the_image() {
    let Some(image) = node_image() else { return };
    let (Some(xorriso), Some(isoinfo)) = (tool("xorriso"), tool("isoinfo")) else { return };
    let report = xorriso_run(&xorriso, image, &["-report_el_torito", "plain", "-report_system_area", "plain"]);
    for fact in [
        "El Torito boot img :   1  BIOS  y   none",
        "El Torito boot img :   2  UEFI  y   none",
        "El Torito img path :   1  /isolinux/isolinux.bin",
        "El Torito img opts :   1  boot-info-table isohybrid-suitable",
        "System area summary: MBR isohybrid cyl-align-off GPT",
        "GPT partname local :   1  EFI system",
    ] {
        assert!(report.contains(fact), "{fact}\n{report}");
    }
    let files = [
        "/boot/initrd.img",
        "/boot/vmlinuz",
        "/isolinux/isolinux.bin",
        "/isolinux/isolinux.cfg",
        "/isolinux/ldlinux.c32",
    ];
    let listed = xorriso_run(&xorriso, image, &["-find", "/", "-type", "f", "-exec", "echo"]);
    assert_eq!(lines(listed.as_bytes()), files.map(|file| format!("'{file}'")));
    let mut list = Command::new(&isoinfo);
    let listed = succeed(list.args(["-R", "-f", "-i"]).arg(&image.iso));
    let found: BTreeSet<String> = lines(&listed).into_iter().collect();
    assert_eq!(found, files.iter().chain(&["/boot", "/isolinux"]).map(|file| file.to_string()).collect());
}

#[test]
fn the_iso_carries_the_kernel_of_the_root_and_the_archive_of_the_manifest() {
    let Some(image) = node_image() else { return };
    let (Some(xorriso), Some(bsdtar)) = (tool("xorriso"), tool("bsdtar")) else { return };
    let directory = scratch();
    let manifest = manifest(image);
    let extract = |file: &str| {
        let to = directory.path().join(Path::new(file).file_name().unwrap());
        let to_text = to.to_str().unwrap();
        xorriso_run(&xorriso, image, &["-osirrox", "on", "-extract", file, to_text]);
        to
    };
    let boot = manifest.boot.as_ref().unwrap();
    let kernel = image.root.join(text(boot.kernel.relative()));
    assert!(std::fs::read(extract("/boot/vmlinuz")).unwrap() == std::fs::read(kernel).unwrap());
    let config = std::fs::read_to_string(extract("/isolinux/isolinux.cfg")).unwrap();
    assert!(config.contains(&boot.kernel_args), "{config}");
    let archive = extract("/boot/initrd.img");
    let tree = directory.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    run(&bsdtar, &["-xf", archive.to_str().unwrap(), "-C", tree.to_str().unwrap()].map(OsStr::new));
    for entry in &manifest.entries {
        if let Content::File { sha256, .. } | Content::Generated { sha256, .. } = &entry.content {
            let bytes = std::fs::read(tree.join(relative(entry))).unwrap();
            assert_eq!(<[u8; 32]>::from(Sha256::digest(bytes)), *sha256, "{}", entry.path);
        }
    }
}

#[test]
fn fsck_and_mtools_accept_the_efi_partition() {
    let Some(image) = node_image() else { return };
    let (Some(xorriso), Some(fsck), Some(mdir)) = (tool("xorriso"), tool("fsck.fat"), tool("mdir")) else { return };
    let report = xorriso_run(&xorriso, image, &["-report_system_area", "plain"]);
    let line = report.lines().find(|line| line.starts_with("GPT start and size")).unwrap();
    let numbers: Vec<u64> = line.split_whitespace().rev().take(2).map(|n| n.parse().unwrap()).collect();
    let (size, start) = (numbers[0] * SECTOR, numbers[1] * SECTOR);
    assert_eq!(start % BLOCK, 0);
    let at = format!("{}@@{start}", image.iso.display());
    let listing = run(&mdir, &["-i", &at, "-/", "-b", "::"].map(OsStr::new));
    for file in ["::/EFI/BOOT/BOOTX64.EFI", "::/vmlinuz", "::/initrd.img", "::/loader/entries/linux.conf"] {
        assert!(lines(&listing).iter().any(|line| line == file), "{}", text(&listing));
    }
    let directory = scratch();
    let partition = directory.path().join("partition");
    let iso = std::fs::read(&image.iso).unwrap();
    let (start, end) = (usize::try_from(start).unwrap(), usize::try_from(start + size).unwrap());
    std::fs::write(&partition, &iso[start..end]).unwrap();
    run(&fsck, &["-n".as_ref(), partition.as_os_str()]);
}

fn manifest(image: &NodeImage) -> Manifest {
    json::read(&std::fs::read(&image.manifest).unwrap()).unwrap()
}

/// An archive without compression.
fn pack(image: &NodeImage, to: &Path) -> PathBuf {
    let mut pack = minroot(["pack", "--format", "cpio", "--compress", "none"]);
    succeed(pack.arg("-m").arg(&image.manifest).arg("--root").arg(&image.root).arg("-o").arg(to));
    to.to_owned()
}

fn relative(entry: &Entry) -> String {
    text(entry.path.relative())
}

fn lines(bytes: &[u8]) -> Vec<String> {
    text(bytes).lines().map(str::to_owned).collect()
}

/// The first column of `ls -l`.
fn mode_in_letters(entry: &Entry) -> String {
    let kind = match entry.content {
        Content::Directory => 'd',
        Content::Symlink { .. } => 'l',
        _ => '-',
    };
    let bits = (0..9).map(|i| if entry.mode & (0o400 >> i) != 0 { ['r', 'w', 'x'][i % 3] } else { '-' });
    std::iter::once(kind).chain(bits).collect()
}

fn xorriso_run(xorriso: &Path, image: &NodeImage, commands: &[&str]) -> String {
    let mut command = Command::new(xorriso);
    // It tells its opinions on standard error and answers on standard output.
    text(&succeed(command.arg("-indev").arg(&image.iso).args(commands)))
}
