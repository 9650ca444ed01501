//! What a machine starts from the network: the boot programs of a directory that a TFTP server gives away.
//!
//! Nothing in the directory says which of its files the DHCP server names. So each loader of which there is a part is
//! run, and has to have its programs: those of the illumos loader for a BIOS *and* for UEFI.

use super::super::{Component, Finding, Report, Severity, pe};
use super::files::Files;
use super::loader::Machine;
use super::{Attempt, Start, grub_legacy, grub2, hand_over, on_both};
use crate::root::Root;
use crate::text::size;

const PXEBOOT: &str = "/boot/pxeboot";
const LOADER64: &str = "/boot/loader64.efi";
const PXEGRUB: &str = "/boot/grub/pxegrub";
/// Core images of GRUB 2 as `grub-mknetdir` names them.
const CORES: [&str; 4] =
    ["/boot/grub/i386-pc/core.0", "/boot/grub/core.0", "/boot/grub2/i386-pc/core.0", "/boot/grub2/core.0"];

/// Parts of the illumos loader, of which one tells that it is meant.
const LOADER_PARTS: [&str; 4] = [PXEBOOT, LOADER64, super::loader::SCRIPT, "/boot/defaults/loader.conf"];

/// What every root has and no such directory.
const ROOT_PARTS: [&str; 3] = ["/etc", "/sbin", "/kernel"];

/// What a BIOS and UEFI firmware say when the server does not have their boot program.
const BIOS_NOT_FOUND: &str = "PXE-E3B: TFTP Error - File Not found";
const UEFI_NOT_FOUND: &str = "PXE-E23: Client received TFTP error from server.";

/// Whether a directory is one for the network, and no root.
pub(in crate::verify) fn is_tree(directory: &Root) -> bool {
    let has = |paths: &[&str]| paths.iter().any(|path| directory.has(path));
    let is_meant = has(&LOADER_PARTS) || has(&CORES) || has(&[PXEGRUB, grub_legacy::MENU]) || has(&grub2::CONFIGS);
    is_meant && !has(&ROOT_PARTS)
}

/// Walks from the firmware to the kernel.
///
/// # Errors
/// A directory that cannot be read.
pub(in crate::verify) fn follow_tree(directory: &Root, report: &mut Report) -> std::io::Result<Option<Start>> {
    let files = Files::of_tree(directory)?;
    let mut attempts = Vec::new();
    if LOADER_PARTS.iter().any(|path| files.has(path)) {
        if check_bios_program(&files, PXEBOOT, LOADER_PACKAGE, report) {
            attempts.extend(on_both(|is_64_bit| Attempt::of_loader(&files, Machine { efi: false, is_64_bit })));
        }
        if check_efi_program(&files, report) {
            attempts.push((true, Attempt::of_loader(&files, Machine { efi: true, is_64_bit: true })));
        }
    }
    let core = CORES.into_iter().find(|path| files.has(path));
    if core.is_some() || grub2::config(&files).is_some() {
        let hint = "`grub-mkimage -O i386-pc-pxe` makes it";
        if check_bios_program(&files, core.unwrap_or(CORES[0]), hint, report) {
            attempts.push((true, grub2::run(&files)));
        }
    }
    if (files.has(PXEGRUB) || files.has(grub_legacy::MENU))
        && check_bios_program(&files, PXEGRUB, "it is in the package system/boot/grub (TRIBsys-boot-grub)", report)
    {
        attempts.extend(on_both(|is_64_bit| grub_legacy::run(&files, is_64_bit)));
    }
    Ok(hand_over(attempts, &files, report))
}

const LOADER_PACKAGE: &str = "it is in the package system/boot/loader (TRIBsys-boot-loader)";

/// Whether the program of a BIOS gets to run.
fn check_bios_program(files: &Files<'_>, path: &str, origin: &str, report: &mut Report) -> bool {
    match files.open(path).filter(|file| !file.blob.is_empty()) {
        Some(program) => {
            report.saw(Component::Bios, path, size(program.blob.len()));
            true
        }
        None => {
            let finding = Finding::new(Severity::PreventsStart, Component::Bios, BIOS_NOT_FOUND);
            report.find(finding.at(path).hint(origin));
            false
        }
    }
}

/// Whether the program of UEFI firmware gets to run.
fn check_efi_program(files: &Files<'_>, report: &mut Report) -> bool {
    let prevents = |message: String| Finding::new(Severity::PreventsStart, Component::Uefi, message).at(LOADER64);
    let Some(program) = files.open(LOADER64) else {
        report.find(prevents(UEFI_NOT_FOUND.to_owned()).hint(LOADER_PACKAGE));
        return false;
    };
    if let Err(problem) = pe::check(&program.blob) {
        let message = format!("failed to load {LOADER64}: {}", problem.status());
        report.find(prevents(message).hint(problem.to_string()));
        return false;
    }
    report.saw(Component::Uefi, LOADER64, size(program.blob.len()));
    true
}
