//! A good image passes; damaged in one place it fails, with the words of the component that would meet the damage.

mod archive;
mod image;
mod iso;
mod linker;
mod words;

use image::{Image, lines, source, verdict};
use minroot::pack::{Compression, Format};
use minroot::text::Style;
use minroot::verify::{VerifyError, verify};

#[test]
fn a_good_image_has_no_fault_in_any_form() {
    let Some(source) = source() else { return };
    let image = Image::new(source);
    let iso = verdict(source, &image.iso(source));
    assert_eq!(lines(&iso), [""; 0], "{}", iso.text(Style::Plain));
    assert!(iso.starts() && iso.least_ram_mib.is_some_and(|mib| (96..200).contains(&mib)), "{iso:?}");
    assert!(iso.text(Style::Plain).to_string().ends_with("the ISO would start\n"));
    for compression in Compression::ALL {
        let archive = verdict(source, &image.pack(source, Format::Cpio, compression));
        assert_eq!(lines(&archive), [""; 0], "{compression}");
    }
    let directory = verdict(source, &image.pack(source, Format::Dir, Compression::None));
    assert_eq!(lines(&directory), [""; 0]);
}

#[test]
fn everything_on_the_way_is_listed_as_seen() {
    let Some(source) = source() else { return };
    let verdict = verdict(source, &Image::new(source).iso(source));
    let seen: Vec<String> = verdict.checks.iter().map(|c| format!("{}: {}", c.component, c.what)).collect();
    for expected in [
        "image: ISO 9660 volume",
        "BIOS: boot catalog",
        "isolinux: /isolinux/isolinux.bin",
        "isolinux: /isolinux/isolinux.cfg",
        "isolinux: /boot/initrd.img",
        "UEFI: /EFI/BOOT/BOOTX64.EFI",
        "systemd-boot: /loader/entries/linux.conf",
        "BIOS: partition tables",
        "kernel: /boot/vmlinuz",
        "manifest: manifest",
        "kernel: /init",
        "/init: /init.plan",
        "/init: modules",
        "/init: greet",
        "ld.so: closure",
    ] {
        assert!(seen.iter().any(|seen| seen == expected), "{expected} in {seen:#?}");
    }
}

#[test]
fn the_verdict_is_json_for_programs() {
    let Some(source) = source() else { return };
    let mut image = Image::new(source);
    image.remove(image::LIBRARY);
    let verdict = verdict(source, &image.iso(source));
    let json = serde_json::to_value(verdict.json()).unwrap();
    assert_eq!(json["starts"], false);
    assert_eq!(json["subject"], "iso");
    assert_eq!(json["findings"][0]["severity"], "prevents-start");
    assert_eq!(json["findings"][0]["component"], "runtime-linker");
    assert_eq!(json["findings"][0]["path"], image::PROGRAM);
    assert!(json["checks"].as_array().is_some_and(|checks| checks.len() > 10));
}

#[test]
fn the_verdict_is_always_the_same() {
    let Some(source) = source() else { return };
    let mut image = Image::new(source);
    image.remove(image::INNER);
    image.edit_plan("run hello\n", "run hallo\n");
    let file = image.iso(source);
    assert_eq!(verdict(source, &file), verdict(source, &file));
}

#[test]
fn nothing_of_the_archive_is_left_behind() {
    let Some(source) = source() else { return };
    let image = Image::new(source);
    let whole = std::fs::read(image.pack(source, Format::Cpio, Compression::Zstd)).unwrap();
    let temporary = crate::support::scratch();
    let file = image.scratch.path().join("initrd.img");
    for (length, code) in [(whole.len(), 0), (whole.len() / 2, 1)] {
        std::fs::write(&file, &whole[..length]).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_minroot"));
        let output = command.arg("verify").arg(&file).env("TMPDIR", temporary.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "{length} bytes");
    }
}

#[test]
fn what_is_no_image_cannot_be_told_about() {
    let Some(source) = source() else { return };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "#!/bin/sh\n").unwrap();
    let error = verify(file.path(), None, &source.rules).unwrap_err();
    assert!(matches!(error, VerifyError::Unknown { .. }) && error.hint().is_some(), "{error}");
    let error = verify(std::path::Path::new("/nonexistent"), None, &source.rules).unwrap_err();
    assert!(matches!(error, VerifyError::Read { .. }), "{error}");
}
