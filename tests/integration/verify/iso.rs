//! Damage between the firmware and the kernel.

use super::image::{Image, Source, kernel, lines, path, source, verdict};
use minroot::iso::IsoImage;
use std::fs;
use std::path::Path;

/// The findings for an image whose file was changed.
fn damaged(source: &Source, image: &Image, change: impl FnOnce(&mut Vec<u8>)) -> Vec<String> {
    let file = image.iso(source);
    let mut bytes = fs::read(&file).unwrap();
    change(&mut bytes);
    fs::write(&file, bytes).unwrap();
    lines(&verdict(source, &file))
}

/// Replaces the only occurrence of some bytes.
pub fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> = memchr::memmem::find_iter(bytes, from).collect();
    assert_eq!(places.len(), 1, "{:?}", from.escape_ascii().to_string());
    bytes[places[0]..places[0] + to.len()].copy_from_slice(to);
}

/// Where a file of the ISO begins.
fn offset_of(file: &Path, name: &str) -> usize {
    IsoImage::open(file).unwrap().find(&path(name)).unwrap().sector as usize * 2048
}

fn check(change: impl FnOnce(&mut Vec<u8>), expected: &[&str]) {
    let Some(source) = source() else { return };
    assert_eq!(damaged(source, &Image::new(source), change), expected);
}

#[test]
fn a_mistyped_kernel_is_what_isolinux_cannot_load() {
    check(
        |bytes| replace(bytes, b"LINUX /boot/vmlinuz\n", b"LINUX /boot/vmlinux\n"),
        &["P isolinux: Loading /boot/vmlinux... failed: No such file or directory"],
    );
}

#[test]
fn a_mistyped_kernel_has_a_hint_with_the_nearest_name() {
    let Some(source) = source() else { return };
    let image = Image::new(source);
    let file = image.iso(source);
    let mut bytes = fs::read(&file).unwrap();
    replace(&mut bytes, b"INITRD /boot/initrd.img\n", b"INITRD /boot/initrd.gz \n");
    fs::write(&file, bytes).unwrap();
    let verdict = verdict(source, &file);
    assert_eq!(verdict.findings[0].hint.as_deref(), Some("the ISO has `/boot/initrd.img`"));
    assert_eq!(verdict.findings[0].path.as_deref(), Some("/isolinux/isolinux.cfg"));
}

#[test]
fn a_configuration_without_a_default_waits_for_ever() {
    check(
        |bytes| replace(bytes, b"DEFAULT linux\n", b"#EFAULT linux\n"),
        &["P isolinux: No DEFAULT or UI configuration directive found!"],
    );
}

#[test]
fn a_configuration_under_another_name_is_not_found() {
    check(
        |bytes| replace(bytes, b"isolinux.cfg", b"isolinux.cfx"),
        &["P isolinux: WARNING: No configuration file found"],
    );
}

#[test]
fn isolinux_without_its_module_starts_nothing() {
    // The name field of Rock Ridge: isolinux.bin has the name in it as well.
    check(
        |bytes| replace(bytes, b"NM\x10\x01\0ldlinux.c32", b"NM\x10\x01\0ldlinux.c33"),
        &["P isolinux: Failed to load ldlinux.c32"],
    );
}

#[test]
fn a_wrong_boot_info_table_is_a_checksum_error() {
    let Some(source) = source() else { return };
    let image = Image::new(source);
    let at = offset_of(&image.iso(source), "/isolinux/isolinux.bin");
    let expected = ["P isolinux: Image checksum error, sorry..."];
    for place in [12, 20, 30_000] {
        assert_eq!(damaged(source, &image, |bytes| bytes[at + place] ^= 1), expected, "byte {place}");
    }
}

#[test]
fn an_mbr_that_looks_elsewhere_finds_no_isolinux() {
    check(|bytes| bytes[432] ^= 4, &["P BIOS: isolinux.bin missing or corrupt."]);
}

#[test]
fn a_catalog_entry_that_is_not_bootable_is_no_entry() {
    let Some(source) = source() else { return };
    let image = Image::new(source);
    let file = image.iso(source);
    let catalog = u32::from_le_bytes(fs::read(&file).unwrap()[17 * 2048 + 71..][..4].try_into().unwrap());
    let expected = ["P BIOS: Boot failed: Could not read from CDROM (code 000b)"];
    assert_eq!(damaged(source, &image, |bytes| bytes[catalog as usize * 2048 + 32] = 0), expected);
}

#[test]
fn an_image_without_boot_record_starts_nowhere() {
    let failed = |code| format!("P BIOS: Boot failed: Could not read from CDROM (code {code})");
    check(|bytes| bytes[17 * 2048 + 7] = b'X', &[&failed("0005")]);
    // What ends the list of descriptors, in the place of the boot record.
    check(|bytes| bytes[17 * 2048] = 255, &[&failed("0004")]);
}

#[test]
fn a_wrong_checksum_of_a_gpt_is_told() {
    check(|bytes| bytes[512 + 56] ^= 1, &["H UEFI: the GPT is damaged: wrong checksum of the header"]);
    check(
        |bytes| {
            let last = bytes.len() - 512;
            bytes[last + 56] ^= 1;
        },
        &["H UEFI: the second GPT is damaged: wrong checksum of the header"],
    );
}

#[test]
fn a_volume_without_the_uefi_loader_is_refused_by_the_firmware() {
    check(
        |bytes| replace(bytes, b"BOOTX64 EFI", b"BOOTX65 EFI"),
        &[r"P UEFI: failed to load \EFI\BOOT\BOOTX64.EFI: Not Found"],
    );
}

#[test]
fn an_entry_that_names_no_kernel_is_no_entry() {
    let no_entry = r"P systemd-boot: No loader found. Configuration files in \loader\entries\*.conf are needed.";
    check(|bytes| replace(bytes, b"linux /vmlinuz\n", b"linux /vmlinux\n"), &[no_entry]);
    check(|bytes| replace(bytes, b"linux /vmlinuz\n", b"#inux /vmlinuz\n"), &[no_entry]);
}

#[test]
fn an_entry_that_names_no_archive_prepares_nothing() {
    check(
        |bytes| replace(bytes, b"initrd /initrd.img\n", b"initrd /initrd.imx\n"),
        &["P systemd-boot: Error preparing initrd: Not Found"],
    );
}

#[test]
fn a_file_allocation_table_that_breaks_off_is_told() {
    let Some(source) = source() else { return };
    let image = Image::new(source);
    let fat = IsoImage::open(&image.iso(source)).unwrap().boot_entries()[1].sector as usize * 2048;
    let found = damaged(source, &image, |bytes| bytes[fat + 510] = 0);
    assert_eq!(found, ["P UEFI: the FAT boot sector is damaged: no signature at its end"]);
}

#[test]
fn a_kernel_that_is_none_or_cut_short_is_told_by_who_meets_it() {
    let Some(source) = source() else { return };
    let mut image = Image::new(source);
    image.kernel = b"#!/bin/sh\n".repeat(100);
    let found = lines(&verdict(source, &image.iso(source)));
    assert_eq!(
        found,
        [
            r"P systemd-boot: Error loading \vmlinuz: Unsupported",
            "P isolinux: Booting kernel failed: Invalid argument",
            "P systemd-boot: Error loading kernel: Unsupported",
        ]
    );
    image.kernel = kernel("6.1.0-test");
    image.kernel.truncate(60_000);
    let found = lines(&verdict(source, &image.iso(source)));
    assert!(found.contains(&"P kernel: uncompression error -- System halted".to_owned()), "{found:#?}");
}

#[test]
fn a_module_for_another_kernel_is_a_warning() {
    let Some(source) = source() else { return };
    let mut image = Image::new(source);
    image.kernel = kernel("6.2.0-other");
    let found = lines(&verdict(source, &image.iso(source)));
    assert_eq!(found.len(), 2);
    assert_eq!(found[0], "W kernel: first: version magic '6.1.0-test' should be '6.2.0-other'");
}

#[test]
fn a_command_line_is_compared_with_the_manifest_and_with_the_kernels_limit() {
    let Some(source) = source() else { return };
    let mut image = Image::new(source);
    image.kernel_args = image.kernel_args.replace("rdinit=/init", "rdinit=/start");
    let found = lines(&verdict(source, &image.iso(source)));
    assert!(found[0].starts_with("P kernel: Kernel panic - not syncing: No working init found."), "{found:#?}");
    assert!(found[1].starts_with("W isolinux: the kernel gets `rdinit=/start "), "{found:#?}");
    image.loaders.bios = None;
    image.kernel_args = "x".repeat(3000);
    let found = lines(&verdict(source, &image.iso(source)));
    assert_eq!(found[0], "H kernel: the command line has 3000 bytes, of which the kernel takes the first 2047");
}

#[test]
fn an_image_that_is_cut_short_never_passes() {
    let Some(source) = source() else { return };
    let image = Image::new(source);
    let file = image.iso(source);
    let whole = fs::read(&file).unwrap();
    let archive = offset_of(&file, "/boot/initrd.img");
    for length in [40_000, 60_000, archive - 1, archive + 5000, whole.len() - 20_000, whole.len() - 1] {
        fs::write(&file, &whole[..length]).unwrap();
        let found = lines(&verdict(source, &file));
        assert!(!found.is_empty(), "{length} bytes");
        if length < whole.len() - 20_000 {
            assert!(found[0].starts_with("P "), "{length} bytes: {found:#?}");
        }
    }
}

#[test]
fn no_changed_byte_of_the_structures_makes_it_panic() {
    let Some(source) = source() else { return };
    let image = Image::new(source);
    let file = image.iso(source);
    let whole = fs::read(&file).unwrap();
    let fat = IsoImage::open(&file).unwrap().boot_entries()[1].sector as usize * 2048;
    let places =
        (0..1200).step_by(37).chain((16 * 2048..24 * 2048).step_by(211)).chain((fat..fat + 20_000).step_by(509));
    for place in places {
        let mut bytes = whole.clone();
        bytes[place] ^= 0xff;
        fs::write(&file, bytes).unwrap();
        let _ = verdict(source, &file);
    }
}

#[test]
fn each_platform_alone_is_a_suggestion() {
    let Some(source) = source() else { return };
    for bios in [true, false] {
        let mut image = Image::new(source);
        if bios {
            image.loaders.uefi = None;
        } else {
            image.loaders.bios = None;
        }
        let verdict = verdict(source, &image.iso(source));
        assert!(verdict.starts());
        assert_eq!(lines(&verdict), [""; 0]);
        assert!(
            verdict.findings.iter().any(|f| f.hint.as_deref().is_some_and(|hint| hint.contains("add"))),
            "{verdict:?}"
        );
    }
}
