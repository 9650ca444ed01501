//! The text beside a tree that says how to serve it.
//!
//! Numbers of client architectures are those of RFC 4578 section 2.1, as firmware uses them: 7, which it calls EBC, is what
//! machines of 64 bits say. The addresses are examples from a private network.

use super::super::loader::{LOADER32, LOADER64};
use super::super::{IllumosImage, Start, grub_legacy};
use super::PxeLoader;

/// Above this a transfer in blocks of 512 bytes has more of them than the 16 bits of their number can count (RFC 1350).
const SMALL_BLOCKS_END: u64 = 65_535 * 512;

/// The address of the server in the examples, and of its network.
const SERVER: &str = "192.168.59.1";

/// The text.
pub(super) fn text(loader: &PxeLoader, start: &Start, image: &IllumosImage) -> String {
    let mut paragraphs = vec![
        "This directory starts illumos from the network: a DHCP server tells a machine the name of its boot\n\
         program, and a TFTP server that has this directory as its root gives it all files.\n"
            .to_owned(),
        options(loader),
        dnsmasq(loader),
        boot_by_http(start),
    ];
    if let PxeLoader::GrubLegacy { .. } = loader {
        paragraphs.push(format!(
            "The menu is {}. For a machine of its own it is menu.lst.01 and the machine's Ethernet\n\
             address in capitals without colons (menu.lst.010800271234AB), in the directory of this file.\n",
            grub_legacy::MENU
        ));
    }
    if image.archive.len() > SMALL_BLOCKS_END {
        paragraphs.push(
            "The boot archive is larger than 32 MiB: the TFTP server has to support the option `blksize`, or let\n\
             the number of blocks begin anew, as dnsmasq does.\n"
                .to_owned(),
        );
    }
    paragraphs.join("\n")
}

/// The DHCP options as any server has them.
fn options(loader: &PxeLoader) -> String {
    let mut lines = vec![
        ("next-server", "the TFTP server".to_owned()),
        ("filename, BIOS", relative(&loader.bios_program()).to_owned()),
    ];
    for (machine, program, _) in efi_programs(loader) {
        lines.push((machine, relative(program).to_owned()));
    }
    if let PxeLoader::Loader(_) = loader {
        lines.push(("root-path (17)", format!("tftp://{SERVER}/   with the server's address; else NFS is used")));
    }
    let lines: String = lines.iter().map(|(name, value)| format!("    {name:<22} {value}\n")).collect();
    format!("DHCP:\n\n{lines}")
}

/// A configuration for one interface.
fn dnsmasq(loader: &PxeLoader) -> String {
    let mut lines = vec![
        "# dnsmasq --keep-in-foreground --conf-file=FILE".to_owned(),
        "port=0".to_owned(),
        "interface=eth1".to_owned(),
        "bind-interfaces".to_owned(),
        "dhcp-range=192.168.59.100,192.168.59.200,1h".to_owned(),
        "enable-tftp".to_owned(),
        "tftp-root=/the/path/of/this/directory".to_owned(),
    ];
    let mut others = String::new();
    for (_, program, architectures) in efi_programs(loader) {
        let tag = program.trim_start_matches("/boot/").trim_end_matches(".efi");
        lines.extend(architectures.iter().map(|number| format!("dhcp-match=set:{tag},option:client-arch,{number}")));
        lines.push(format!("dhcp-boot=tag:{tag},{}", relative(program)));
        others += &format!("tag:!{tag},");
    }
    lines.push(format!("dhcp-boot={others}{}", relative(&loader.bios_program())));
    if let PxeLoader::Loader(_) = loader {
        lines.push(format!("dhcp-option=option:root-path,tftp://{SERVER}/"));
    }
    let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    format!("dnsmasq, for an interface eth1 of the address {SERVER} where it is the only DHCP server:\n\n{lines}")
}

/// iPXE on a BIOS is a multiboot loader itself, and needs no other.
fn boot_by_http(start: &Start) -> String {
    let kernel = start.kernels.first_unix();
    let archive = &start.archives[0];
    let arguments = if start.arguments.is_empty() { String::new() } else { format!(" {}", start.arguments) };
    format!(
        "By HTTP, iPXE on a BIOS starts the same files without another boot program (not tried):\n\n    \
         #!ipxe\n    \
         kernel http://{SERVER}{kernel}{arguments}\n    \
         module http://{SERVER}{archive} type=rootfs name=ramdisk\n    \
         boot\n"
    )
}

/// What is said of the machine, its program, and its numbers as a client.
fn efi_programs(loader: &PxeLoader) -> Vec<(&'static str, &'static str, &'static [u8])> {
    let PxeLoader::Loader(files) = loader else { return Vec::new() };
    let mut programs = vec![("filename, UEFI", LOADER64, &[7, 9][..])];
    if files.loader32.is_some() {
        programs.push(("filename, UEFI 32-bit", LOADER32, &[6]));
    }
    programs
}

fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}
