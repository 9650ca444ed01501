//! The boot chain of an illumos ISO: a good one passes, and whatever is taken away or damaged is told in the words of the
//! component that would meet it.

pub mod image;

use image::{ARCHIVE, HASH, Image, UNIX, lines};
use minroot::verify::Verdict;

/// Something with the magic number of ufs where it has to be. The kernel would not get far with it, the loaders do.
fn archive() -> Vec<u8> {
    let mut bytes = vec![0; 16 << 10];
    bytes[8192 + 1372..8192 + 1376].copy_from_slice(&0x0001_1954_u32.to_le_bytes());
    bytes
}

/// What damage adds to the findings of the same image without it.
fn added(make: &dyn Fn() -> Image, damage: impl Fn(&mut Image)) -> Vec<String> {
    let before = lines(&make().verdict());
    let mut image = make();
    damage(&mut image);
    let mut found = lines(&image.verdict());
    found.retain(|line| !before.contains(line));
    found
}

fn with_loader() -> Image {
    Image::with_loader(&archive())
}

/// The findings of the loaders alone, not of what is in the archive.
fn of_chain(verdict: &Verdict) -> Vec<String> {
    let chain = ["BIOS", "UEFI", "cdboot", "pmbr", "loader", "GRUB 0.97", "GRUB 2", "dboot"];
    let mut found = lines(verdict);
    found.retain(|line| chain.iter().any(|component| line[2..].starts_with(&format!("{component}:"))));
    found
}

fn seen(verdict: &Verdict) -> Vec<String> {
    verdict.checks.iter().map(|check| format!("{}: {}", check.component, check.what)).collect()
}

#[test]
fn a_good_chain_of_the_loader_is_gone_through_without_a_fault() {
    let verdict = with_loader().verdict();
    assert_eq!(of_chain(&verdict), [""; 0]);
    let seen = seen(&verdict);
    for expected in [
        "BIOS: boot catalog",
        "cdboot: /boot/cdboot",
        "cdboot: /boot/loader",
        "UEFI: EFI image",
        "UEFI: /EFI/BOOT/BOOTX64.EFI",
        "pmbr: MBR",
        "pmbr: isoboot",
        &format!("loader: {UNIX}"),
        &format!("loader: {ARCHIVE}"),
        &format!("dboot: {HASH}"),
    ] {
        assert!(seen.iter().any(|seen| seen == expected), "{expected} in {seen:#?}");
    }
}

#[test]
fn b76_each_file_of_the_chain_that_is_missing_is_told_by_who_would_open_it() {
    let included =
        |path: &str, from: &str| format!("P loader: can't open '{path}': No such file or directory [{from}]");
    for (path, expected) in [
        ("/boot/loader", "P cdboot: File not found [/boot/loader]".to_owned()),
        ("/boot/loader.rc", included("/boot/loader.rc", "/boot/loader.rc")),
        ("/boot/forth/loader.4th", included("/boot/forth/loader.4th", "/boot/loader.rc")),
        ("/boot/forth/support.4th", included("/boot/forth/support.4th", "/boot/forth/loader.4th")),
        ("/boot/forth/screen.4th", included("/boot/forth/screen.4th", "/boot/forth/check-password.4th")),
        ("/boot/forth/beastie.4th", included("/boot/forth/beastie.4th", "/boot/loader.rc")),
        ("/boot/forth/menusets.4th", included("/boot/forth/menusets.4th", "/boot/forth/menu-commands.4th")),
        (UNIX, "P loader: Unable to load a kernel!".to_owned()),
        (ARCHIVE, "P loader: No rootfs module provided, aborting [/boot/defaults/loader.conf]".to_owned()),
    ] {
        let found = added(&with_loader, |image| image.remove(path));
        assert!(found.contains(&expected), "{path}: {found:#?}");
        // BIOS and UEFI end at the same file: it is told once.
        let chain = found.iter().filter(|line| line.starts_with("P loader") || line.starts_with("P cdboot"));
        assert_eq!(chain.count(), 1, "{path}: {found:#?}");
    }
    assert_eq!(added(&with_loader, |image| image.remove(HASH)), [""; 0], "no hash is no fault");
}

#[test]
fn without_its_defaults_the_loader_has_no_kernel_and_uefi_no_disk() {
    let found = added(&with_loader, |image| image.remove("/boot/defaults/loader.conf"));
    let expected = "P loader: Warning: unable to open file /boot/defaults/loader.conf [/boot/defaults/loader.conf]";
    assert!(found.iter().any(|line| line == expected), "{found:#?}");
}

#[test]
fn damage_on_the_way_from_the_firmware_is_told() {
    let check = |damage: &dyn Fn(&mut Image), expected: &str| {
        let found = added(&with_loader, damage);
        assert!(found.iter().any(|line| line == expected), "{expected} in {found:#?}");
    };
    check(
        &|image| image.boot.1 = 1,
        "P cdboot: the BIOS loads 512 of the 2048 bytes of the boot program [/boot/cdboot]",
    );
    check(
        &|image| image.patches.push((image.offset_of("/boot/cdboot") + 12, vec![9])),
        "P cdboot: Boot failed [/boot/cdboot]",
    );
    check(&|image| image.rename("/boot/loader", "/boot/loader.bin"), "P cdboot: File not found [/boot/loader]");
    check(
        &|image| {
            image.efi.clear();
            image.efi.insert("EFI/OTHER.EFI".into(), vec![0]);
        },
        r"P UEFI: failed to load \EFI\BOOT\BOOTX64.EFI: Not Found [EFI/BOOT/BOOTX64.EFI]",
    );
    check(
        &|image| drop(image.efi.insert("EFI/BOOT/BOOTX64.EFI".into(), vec![0; 512])),
        r"P UEFI: failed to load \EFI\BOOT\BOOTX64.EFI: Unsupported [EFI/BOOT/BOOTX64.EFI]",
    );
    check(&|image| image.patches.push((0xfc, vec![0, 0])), "P pmbr: No boot loader");
    check(&|image| image.patches.push((0xfe, vec![9])), "P pmbr: the MBR starts something else than isoboot");
    check(&|image| image.patches.push((0x104, vec![9])), "P pmbr: Disk error");
    check(
        &|image| image.patches.push((446 + 8, vec![9])),
        "H pmbr: as a disk: isoboot lies in 40 blocks from 4 on, its partition in 60 from 9 on",
    );
    let mut image = with_loader();
    image.patches.push((446 + 16 + 8, vec![0xff]));
    let found = lines(&image.verdict());
    assert!(found.iter().any(|line| line.starts_with("P UEFI: as a disk: no partition of type 0xef")), "{found:#?}");
}

#[test]
fn the_hash_has_to_be_that_of_what_the_kernel_gets() {
    let wrong = format!("P dboot: hash mismatch! [{HASH}]");
    assert_eq!(added(&with_loader, |image| image.put(HASH, "0123\n")), [wrong]);
}

#[test]
fn what_is_no_file_system_cannot_be_the_root() {
    let unknown = format!("P kernel: failed to mount ramdisk from boot [{ARCHIVE}]");
    let found = added(&with_loader, |image| image.put(ARCHIVE, "no file system"));
    assert!(found.contains(&unknown), "{found:#?}");
    let odc = format!("P kernel: vfs_mountroot: cannot mount root [{ARCHIVE}]");
    let found = added(&with_loader, |image| image.put(ARCHIVE, "070707"));
    assert!(found.contains(&odc), "{found:#?}");
    // Compressed data that break off are no module to the loader.
    let broken = format!("P loader: No rootfs module provided, aborting [{ARCHIVE}]");
    let found = added(&with_loader, |image| drop(image.files.insert(ARCHIVE.into(), b"\x1f\x8b\x08\0\0\0".to_vec())));
    assert!(found.contains(&broken), "{found:#?}");
}

#[test]
fn the_archive_without_the_directory_of_the_processor_needs_a_name_without_it() {
    let live = "boot_archive_name=\"/platform/i86pc/boot_archive\"\nboot_archive.hash_load=\"NO\"\n";
    let short = "/platform/i86pc/boot_archive";
    let aborting = |conf: &str| format!("P loader: No rootfs module provided, aborting [{conf}]");
    let found = added(&with_loader, |image| image.rename(ARCHIVE, short));
    assert!(found.contains(&aborting("/boot/defaults/loader.conf")), "{found:#?}");
    let found = added(&with_loader, |image| image.put("/boot/conf.d/livemedia", live));
    assert!(found.contains(&aborting("/boot/conf.d/livemedia")), "{found:#?}");
    let mut image = with_loader();
    image.rename(ARCHIVE, short);
    image.put("/boot/conf.d/livemedia", live);
    assert_eq!(of_chain(&image.verdict()), [""; 0]);
}

const MENU: &str = "default 0\ntimeout 3\ntitle illumos\n  kernel$ /platform/i86pc/kernel/$ISADIR/unix -v\n\
                    module$ /platform/i86pc/$ISADIR/boot_archive\n";

#[test]
fn grub_legacy_replaces_isadir_only_where_it_is_told_to() {
    let chain = |menu: &str| of_chain(&Image::with_grub_legacy(&archive(), menu).verdict());
    assert_eq!(chain(MENU), [""; 0]);
    let not_found = "P GRUB 0.97: Error 15: File not found [/boot/grub/menu.lst]";
    assert_eq!(chain(&MENU.replace("kernel$", "kernel")), [not_found]);
    assert_eq!(chain(&MENU.replace("$ISADIR/boot_archive", "boot_archive")), [not_found]);
    assert_eq!(chain(&MENU.replace("  kernel$", "findroot (pool_rpool,0,a)\nkernel$")), [not_found]);
    assert_eq!(chain(&MENU.replace("module$", "#")), ["P dboot: Too few modules -- 0 [/boot/grub/menu.lst]"]);
    assert_eq!(chain("timeout 3\n"), ["P GRUB 0.97: GRUB shows its prompt `grub>` [/boot/grub/menu.lst]"]);
    // A processor without 64 bits looks for `kernel//unix`, which counts where the image has a kernel for one.
    let mut image = Image::with_grub_legacy(&archive(), MENU);
    image.put("/platform/i86pc/kernel/unix", "\x7fELF");
    assert_eq!(of_chain(&image.verdict()), [not_found]);
    image.remove(UNIX);
    let verdict = image.verdict();
    assert_eq!(of_chain(&verdict), [not_found, not_found]);
    assert!(verdict.findings[0].hint.as_deref().unwrap().contains("the ISO has `/platform/i86pc/kernel/unix`"));
}

const CONFIG: &str = "set default=0\ninsmod gzio\nset unix=/platform/i86pc/kernel/amd64/unix\nmenuentry \"illumos\" {\n  \
                      multiboot2 $unix $unix -B console=ttya\n  module2 /platform/i86pc/amd64/boot_archive \
                      /platform/i86pc/amd64/boot_archive type=rootfs\n}\n";

#[test]
fn grub_2_wants_the_name_of_the_kernel_twice() {
    let findings = |config: &str| lines(&Image::with_grub2(&archive(), config).verdict());
    let good = findings(CONFIG);
    let new = |config: &str| findings(config).into_iter().filter(|line| !good.contains(line)).collect::<Vec<_>>();
    assert_eq!(of_chain(&Image::with_grub2(&archive(), CONFIG).verdict()), [""; 0]);
    let lost =
        "P kernel: Unable to boot: krtld: could neither locate nor resolve symbols for: -B [/boot/grub/grub.cfg]";
    assert_eq!(new(&CONFIG.replace("$unix $unix", "$unix")), [lost]);
    let missing = "P GRUB 2: error: file `/platform/unix' not found. [/boot/grub/grub.cfg]";
    assert!(new(&CONFIG.replace("multiboot2 $unix", "multiboot2 /platform/unix")).contains(&missing.to_owned()));
    let bare = new(&CONFIG.replace("module2", "#"));
    assert!(bare.contains(&"P dboot: Too few modules -- 0 [/boot/grub/grub.cfg]".to_owned()), "{bare:?}");
    let word = new(&CONFIG.replace("console=ttya", "x=multiboot"));
    assert!(word.iter().any(|line| line.starts_with("P dboot: dboot panics on purpose")), "{word:?}");
}

#[test]
fn no_byte_of_the_loaders_files_makes_it_panic() {
    let good = with_loader();
    let file = good.write();
    let bytes = image::read(&file);
    let start = good.offset_of("/boot/defaults/loader.conf");
    for at in (32 << 10..36 << 10).step_by(31).chain((start as usize..start as usize + 600).step_by(53)) {
        let mut bad = bytes.clone();
        bad[at] ^= 0xa5;
        std::fs::write(&file, &bad).unwrap();
        minroot::verify::verify(&file, None, image::rules()).unwrap();
    }
    for length in [0x8800, 0x9000, 0xc000, bytes.len() / 2, bytes.len() - 2048] {
        std::fs::write(&file, &bytes[..length]).unwrap();
        let verdict = minroot::verify::verify(&file, None, image::rules()).unwrap();
        assert!(!verdict.findings.is_empty(), "{length} bytes");
    }
}

/// The archive of a real trace. UFS is read elsewhere; of cpio, which the kernel would not take, everything else is
/// checked all the same.
mod contents {
    use super::image::{ARCHIVE, Image, UNIX, lines};
    use crate::model_root::{generator::Year, shared};
    use minroot::manifest::{Manifest, json};
    use minroot::pack::{Compression, Contents, Format, PackOptions, write_archive};
    use minroot::root::Root;
    use std::path::Path;
    use std::process::Command;
    use std::sync::OnceLock;

    fn manifest() -> &'static Manifest {
        static MANIFEST: OnceLock<Manifest> = OnceLock::new();
        MANIFEST.get_or_init(|| {
            let file = tempfile::NamedTempFile::new().unwrap();
            let recipe = crate::command::recipe("illumos-base");
            let mut trace = Command::new(env!("CARGO_BIN_EXE_minroot"));
            trace.arg("trace").arg("--root").arg(shared(Year::Y2025)).arg(recipe).arg("-o").arg(file.path());
            let output = trace.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            json::read(&std::fs::read(file.path()).unwrap()).unwrap()
        })
    }

    fn packed(without: &str) -> Vec<u8> {
        let mut manifest = manifest().clone();
        manifest.entries.retain(|entry| entry.path.as_bytes() != without.as_bytes());
        let root = Root::open(shared(Year::Y2025)).unwrap();
        let options = PackOptions { format: Format::Cpio, compression: Compression::Gzip, ..PackOptions::default() };
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("archive");
        write_archive(&manifest, &Contents::new(&root), &options, Path::new(&out)).unwrap();
        std::fs::read(out).unwrap()
    }

    #[test]
    fn what_is_in_the_archive_is_checked_as_a_directory_is() {
        let chain = |without: &str, unix: Option<&[u8]>| {
            let mut image = Image::with_loader(&packed(without));
            // The hash is that of what unpacks from it.
            image.remove(super::HASH);
            if let Some(unix) = unix {
                image.files.insert(UNIX.into(), unix.to_vec());
            }
            let mut found = lines(&image.verdict());
            let no_root = format!("P kernel: failed to mount ramdisk from boot [{ARCHIVE}]");
            assert_eq!(found.first(), Some(&no_root));
            found.remove(0);
            found
        };
        assert_eq!(chain("", None), [""; 0]);
        let lost = chain(UNIX, None);
        let expected = format!("P kernel: Unable to boot: krtld: could neither locate nor resolve symbols for: {UNIX}");
        assert!(lost.iter().any(|line| line.starts_with(&expected)), "{lost:#?}");
        let other = format!("P kernel: Unable to boot: the kernel that runs is not the one in the archive [{UNIX}]");
        assert_eq!(chain("", Some(b"\x7fELF of another build")), [other]);
        let library = chain("/lib/libc.so.1", None);
        let words = "ld.so.1: init: fatal: libc.so.1: open failed: No such file or directory";
        assert!(library.iter().any(|line| line.contains(words)), "{library:#?}");
        let module = chain("/kernel/fs/amd64/specfs", None);
        assert!(module.iter().any(|line| line.starts_with("P kernel: ") && line.contains("specfs")), "{module:#?}");
    }
}
