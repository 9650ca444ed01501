//! Boots an image from CD and disk, under BIOS and UEFI, in QEMU without hardware acceleration.
//!
//! Slow, so only with `MINROOT_BOOT_ROOT`: a directory into which `dpkg -x` has unpacked the Debian packages isolinux,
//! syslinux-common, systemd-boot-efi, busybox-static and linux-image-VERSION-cloud-amd64.

use crate::support::{scratch, tool};
use minroot::iso::{Blob, LinuxIso, Loaders, write_linux_iso};
use minroot::path::RootPath;
use minroot::root::Root;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const OVMF: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Firmware {
    Bios,
    Uefi,
}

#[derive(Debug, Clone, Copy)]
enum Medium {
    Cd,
    Disk,
}

#[test]
fn the_same_file_boots_from_cd_and_disk_under_bios_and_uefi() {
    let Some(root) = std::env::var_os("MINROOT_BOOT_ROOT").map(PathBuf::from) else {
        eprintln!("skipped: MINROOT_BOOT_ROOT is not set");
        return;
    };
    let Some(qemu) = tool("qemu-system-x86_64") else { return };
    // Below and above the 32 MiB beyond which the boot catalog cannot tell the length of the EFI system partition.
    for padding in [0, 40 << 20] {
        let directory = scratch();
        let file = directory.path().join("boot.iso");
        let report = write_linux_iso(&linux_iso(&root, padding), &file).unwrap();
        eprintln!("{report:?}, {} bytes", report.total());
        for firmware in [Firmware::Bios, Firmware::Uefi] {
            for medium in [Medium::Cd, Medium::Disk] {
                let started = Instant::now();
                let log = boot(&qemu, &file, firmware, medium);
                assert!(log.contains("minroot-init token=4711"), "{firmware:?} from {medium:?}:\n{log}");
                eprintln!("{firmware:?} from {medium:?}: {:.1} s", started.elapsed().as_secs_f64());
            }
        }
    }
}

/// Runs the image until the guest powers off; gives what it wrote to its serial line.
fn boot(qemu: &Path, file: &Path, firmware: Firmware, medium: Medium) -> String {
    let mut command = Command::new("timeout");
    command.arg("300").arg(qemu);
    command.args(["-nodefaults", "-no-user-config", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "512"]);
    command.args(["-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot"]);
    if firmware == Firmware::Uefi {
        command.args(["-drive", &format!("if=pflash,format=raw,unit=0,readonly=on,file={OVMF}")]);
    }
    let file = file.display();
    match medium {
        Medium::Cd => command.args(["-drive", &format!("file={file},media=cdrom,if=ide,readonly=on,format=raw")]),
        Medium::Disk => command.args([
            "-drive",
            &format!("file={file},if=none,id=d0,format=raw,snapshot=on"),
            "-device",
            "ide-hd,drive=d0",
        ]),
    };
    let mut qemu = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut log = Vec::new();
    qemu.stdout.take().unwrap().read_to_end(&mut log).unwrap();
    qemu.wait().unwrap();
    String::from_utf8_lossy(&log).into_owned()
}

fn linux_iso(root: &Path, padding: usize) -> LinuxIso {
    let kernel = std::fs::read_dir(root.join("boot")).unwrap().map(|entry| entry.unwrap().path());
    let kernel = kernel.filter(|path| path.file_name().unwrap().as_encoded_bytes().starts_with(b"vmlinuz")).max();
    // As long as isolinux can take it, with the word that proves it at the end.
    let (start, end) = ("console=ttyS0 panic=-1 padding=", " token=4711");
    let kernel_args = format!("{start}{}{end}", "x".repeat(1960 - start.len() - end.len()));
    LinuxIso {
        kernel: Blob::open(&kernel.unwrap()).unwrap(),
        archive: Blob::from_bytes(archive(root, padding)),
        kernel_args,
        label: "MINROOT".into(),
        loaders: Loaders::find(&Root::open(root).unwrap()).unwrap(),
        epoch: 0,
    }
}

/// An initramfs that says hello, shows a word of the kernel command line, and turns the machine off.
fn archive(root: &Path, padding: usize) -> Vec<u8> {
    let busybox = Root::open(root).unwrap();
    let found = busybox.lookup(&RootPath::new("/bin/busybox").unwrap()).unwrap();
    let busybox = busybox.read(&found).unwrap();
    let init = b"#!/bin/busybox sh\n/bin/busybox mount -t proc proc /proc\nread -r line < /proc/cmdline\n\
        for word in $line; do case $word in token=*) echo minroot-init $word;; esac; done\n/bin/busybox poweroff -f\n";
    let mut archive = Vec::new();
    for (name, mode, device, content) in [
        ("bin", 0o040_755, (0, 0), &b""[..]),
        ("bin/busybox", 0o100_755, (0, 0), &busybox),
        ("dev", 0o040_755, (0, 0), b""),
        ("dev/console", 0o020_600, (5, 1), b""),
        ("init", 0o100_755, (0, 0), init),
        ("padding", 0o100_644, (0, 0), &vec![0; padding]),
        ("proc", 0o040_755, (0, 0), b""),
        ("TRAILER!!!", 0, (0, 0), b""),
    ] {
        let fields = [1, mode, 0, 0, 1, 0, content.len(), 0, 0, device.0, device.1, name.len() + 1, 0];
        archive.extend_from_slice(b"070701");
        archive.extend(fields.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
        archive.extend_from_slice(name.as_bytes());
        archive.push(0);
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(4), 0);
    }
    archive
}
