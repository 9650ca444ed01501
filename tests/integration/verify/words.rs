//! The words that are foretold, against what machines show: damaged images are started in QEMU.
//!
//! Slow, so only with `MINROOT_BOOT_ROOT`, which has the Debian packages that `iso_boot.rs` names. SeaBIOS writes to the
//! serial line what isolinux shows on the screen, and OVMF what systemd-boot does.

use super::image::{Image, Source, source, verdict};
use super::iso::replace;
use crate::support::tool;
use minroot::verify::Component;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const OVMF: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";

/// How long a machine may take to say it.
const SECONDS: &str = "120";

fn kernel() -> Option<Vec<u8>> {
    let Some(root) = std::env::var_os("MINROOT_BOOT_ROOT").map(PathBuf::from) else {
        eprintln!("skipped: MINROOT_BOOT_ROOT is not set");
        return None;
    };
    let mut files = fs::read_dir(root.join("boot")).unwrap().map(|entry| entry.unwrap().path());
    let kernel =
        files.find(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"vmlinuz")));
    Some(fs::read(kernel.expect("a kernel")).unwrap())
}

/// Runs the image until `words` appear, or to its end; gives all it has said so far, without colours.
fn console(file: &Path, uefi: bool, words: &str) -> String {
    let mut command = Command::new("timeout");
    command.arg(SECONDS).arg(tool("qemu-system-x86_64").expect("qemu"));
    command.args(["-no-user-config", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "512"]);
    command.args(["-nographic", "-monitor", "none", "-serial", "stdio", "-no-reboot", "-net", "none"]);
    if uefi {
        command.args(["-drive", &format!("if=pflash,format=raw,unit=0,readonly=on,file={OVMF}")]);
    }
    let drive = format!("file={},media=cdrom,if=ide,readonly=on,format=raw", file.display());
    let mut qemu = command.args(["-drive", &drive]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut raw, mut said) = (String::new(), String::new());
    let mut output = BufReader::new(qemu.stdout.take().unwrap());
    let mut piece = Vec::new();
    while !said.contains(words) {
        piece.clear();
        // Neither isolinux nor systemd-boot ends its last line.
        let bytes = output.fill_buf().unwrap();
        if bytes.is_empty() {
            break;
        }
        piece.extend_from_slice(bytes);
        let length = bytes.len();
        output.consume(length);
        raw.push_str(&String::from_utf8_lossy(&piece));
        said = without_cursor(&raw);
    }
    let _ = qemu.kill();
    let _ = qemu.wait();
    said
}

/// Text without the escape sequences by which SeaBIOS and OVMF move the cursor (ECMA-48 section 5.4).
fn without_cursor(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| ('@'..='~').contains(&c)).map_or(part.len(), |end| end + 1);
        plain.push_str(&part[end..]);
    }
    plain
}

/// Changes the image, then its file; what is foretold first has to be on the console.
fn check(uefi: bool, change: impl FnOnce(&Source, &mut Image), damage: impl FnOnce(&mut Vec<u8>)) {
    let (Some(source), Some(kernel), Some(_)) = (source(), kernel(), tool("qemu-system-x86_64")) else { return };
    let mut image = Image::new(source);
    image.kernel = kernel;
    change(source, &mut image);
    let file = image.iso(source);
    let mut bytes = fs::read(&file).unwrap();
    damage(&mut bytes);
    fs::write(&file, bytes).unwrap();
    let verdict = verdict(source, &file);
    // The manifest is minroot's own, and the other firmware's loader is not met.
    let others = if uefi { [Component::Bios, Component::Isolinux] } else { [Component::Uefi, Component::SystemdBoot] };
    let is_met = |component| component != Component::Manifest && !others.contains(&component);
    let finding = verdict.findings.iter().find(|finding| is_met(finding.component)).unwrap();
    // OVMF has a setup, which takes the place of systemd-boot's message; the hint says so.
    const ONLY_ENTRY: &str = "Reboot Into Firmware Interface";
    let is_hinted = finding.hint.as_ref().is_some_and(|hint| hint.contains(ONLY_ENTRY));
    let expected = if is_hinted { ONLY_ENTRY } else { &finding.message[..] };
    let said = console(&file, uefi, expected);
    assert!(said.contains(expected), "{expected}\n{said}");
    eprintln!("{} said: {expected}", finding.component);
}

fn in_image(change: impl FnOnce(&mut Image)) {
    check(false, |_, image| change(image), |_| {});
}

#[test]
fn the_kernel_says_why_there_is_no_init() {
    in_image(|image| image.remove("/init"));
    in_image(|image| image.entry("/init").mode = 0o644);
    in_image(|image| image.replace("/init", b"#!/bin/nosh\n"));
    in_image(|image| image.replace("/init", b"no program\n"));
}

#[test]
fn the_kernel_says_why_it_cannot_unpack() {
    use minroot::pack::{Compression, Format};
    let archive = |change: fn(Vec<u8>) -> Vec<u8>, compression| {
        check(
            false,
            |source, image| {
                let packed = fs::read(image.pack(source, Format::Cpio, compression)).unwrap();
                image.archive = Some(change(packed));
            },
            |_| {},
        );
    };
    archive(
        |plain| {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
            encoder.window_log(28).unwrap();
            std::io::Write::write_all(&mut encoder, &plain).unwrap();
            encoder.finish().unwrap()
        },
        Compression::None,
    );
    let broken: fn(Vec<u8>) -> Vec<u8> = |mut packed| {
        let middle = packed.len() / 2;
        packed[middle] ^= 0xff;
        packed
    };
    archive(broken, Compression::Zstd);
    archive(broken, Compression::Xz);
    archive(|packed| packed[..packed.len() / 2].to_vec(), Compression::Zstd);
    archive(|packed| [&packed[..], b"garbage!"].concat(), Compression::Gzip);
    archive(|_| [&b"070707"[..], &[b'0'; 506]].concat(), Compression::None);
}

#[test]
fn init_says_what_it_cannot_start() {
    in_image(|image| image.edit_plan("run hello", "run hallo"));
    in_image(|image| image.edit_plan("run hello", "run /srv/data"));
    in_image(|image| {
        image.edit_plan("run hello", "run /usr/bin/greet");
        image.remove("/lib64/ld-linux-x86-64.so.2");
    });
    in_image(|image| image.remove("/init.plan"));
    in_image(|image| image.edit_plan("run hello\n", "walk hello\n"));
}

#[test]
fn the_runtime_linker_says_what_is_missing() {
    in_image(|image| {
        image.edit_plan("run hello\n", "");
        image.remove(super::image::INNER);
    });
}

#[test]
fn isolinux_says_what_it_cannot_load() {
    check(false, |_, _| {}, |bytes| replace(bytes, b"LINUX /boot/vmlinuz\n", b"LINUX /boot/vmlinux\n"));
    check(false, |_, _| {}, |bytes| replace(bytes, b"isolinux.cfg", b"isolinux.cfx"));
    check(false, |_, _| {}, |bytes| replace(bytes, b"DEFAULT linux\n", b"#EFAULT linux\n"));
    check(false, |_, _| {}, |bytes| replace(bytes, b"NM\x10\x01\0ldlinux.c32", b"NM\x10\x01\0ldlinux.c33"));
    check(false, |_, image| image.kernel = b"no kernel\n".repeat(1000), |_| {});
}

#[test]
fn seabios_says_that_there_is_no_boot_record() {
    check(false, |_, _| {}, |bytes| bytes[17 * 2048 + 7] = b'X');
    check(false, |_, _| {}, |bytes| bytes[17 * 2048] = 255);
}

#[test]
fn systemd_boot_says_what_it_cannot_load() {
    let uefi = |from: &'static [u8], to: &'static [u8]| check(true, |_, _| {}, |bytes| replace(bytes, from, to));
    uefi(b"linux /vmlinuz\n", b"linux /vmlinux\n");
    uefi(b"initrd /initrd.img\n", b"initrd /initrd.imx\n");
}
