//! The way from a disk or USB stick: `pmbr` in the first block, which loads `isoboot` from the blocks its fields name.
//!
//! The fields are those of `usr/src/cmd/boot/installboot/i386/installboot.h`: a count of blocks at 0xfc and the first
//! block at 0xfe. installboot puts isoboot into the second block of a partition of type 0xbe; the first is a copy
//! of pmbr. Some bytes of isoboot are written when it is installed, so it is not compared to the last byte.

use super::super::{Component, Finding, Report, Severity};
use super::files::Files;
use crate::iso::eltorito::CatalogEntry;
use crate::iso::hybrid::MbrPartition;
use crate::iso::{Blob, CD_SECTOR, DISK_BLOCK, IsoImage};
use crate::text::count;

const COUNT_AT: usize = 0xfc;
const BLOCK_AT: usize = 0xfe;

/// Partition types: the illumos boot partition, the EFI system partition.
const X86BOOT: u8 = 0xbe;
const EFI_SYSTEM: u8 = 0xef;

const ISOBOOT: &str = "/boot/isoboot";

/// Bytes of isoboot that may differ: what installboot writes into it, a block number of 64 bits, a UUID, and a
/// checksum behind the multiboot header.
const PATCHED: usize = 64;

/// Checks the MBR; an ISO without one starts as a CD only, which is told as a suggestion.
pub(super) fn check(image: &IsoImage, uefi: Option<&CatalogEntry>, files: &Files<'_>, report: &mut Report) {
    let mut block = [0; DISK_BLOCK as usize];
    let has_mbr = image.image().read_exact_at(0, &mut block).is_ok() && block[510..] == [0x55, 0xaa];
    if !has_mbr {
        report.find(
            Finding::new(Severity::Suggestion, Component::Bios, "Boot failed: not a bootable disk")
                .hint("the image starts as a CD only: it has no MBR"),
        );
        return;
    }
    let partitions = match image.partitions() {
        Ok(tables) => tables.map(|tables| tables.mbr).unwrap_or_default(),
        Err(error) => {
            let message = super::super::iso::with_cause(&error);
            report.find(Finding::new(Severity::Harmful, Component::Uefi, message));
            return;
        }
    };
    report.saw(Component::Pmbr, "MBR", count(partitions.len() as u64, "partition"));
    if block[..2] != [0, 0] {
        check_program(image.image(), &block, &partitions, files, report);
    }
    let Some(uefi) = uefi else { return };
    let expected = u64::from(uefi.sector) * (CD_SECTOR / DISK_BLOCK);
    if !partitions.iter().any(|p| p.kind == EFI_SYSTEM && u64::from(p.first_block) == expected) {
        let message = format!("as a disk: no partition of type 0xef begins at block {expected}");
        report.find(
            Finding::new(Severity::PreventsStart, Component::Uefi, message)
                .hint("the boot catalog has the EFI image there; write the ISO again"),
        );
    }
}

fn check_program(image: &Blob, mbr: &[u8], partitions: &[MbrPartition], files: &Files<'_>, report: &mut Report) {
    let prevents = |message: &str| Finding::new(Severity::PreventsStart, Component::Pmbr, message);
    let n_blocks = u64::from(u16::from_le_bytes([mbr[COUNT_AT], mbr[COUNT_AT + 1]]));
    let first = mbr[BLOCK_AT..BLOCK_AT + 8].iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    if n_blocks == 0 {
        let hint = "as a disk: the count of blocks at 0xfc of the MBR is zero";
        report.find(prevents("No boot loader").hint(hint));
        return;
    }
    let program = first.checked_mul(DISK_BLOCK).and_then(|at| image.slice(at, n_blocks * DISK_BLOCK));
    let Some(program) = program.and_then(|blob| blob.read().ok()) else {
        let hint = format!("as a disk: {n_blocks} blocks from block {first} on are not in the image");
        report.find(prevents("Disk error").hint(hint));
        return;
    };
    let home = partitions.iter().find(|partition| partition.kind == X86BOOT);
    let is_home = |partition: &&MbrPartition| {
        let (start, length) = (u64::from(partition.first_block), u64::from(partition.blocks));
        first == start + 1 && first + n_blocks <= start + length
    };
    if home.filter(is_home).is_none() {
        let message = match home {
            Some(home) => format!(
                "as a disk: isoboot lies in {n_blocks} blocks from {first} on, its partition in {} from {} on",
                home.blocks, home.first_block
            ),
            None => "as a disk: no partition of type 0xbe holds isoboot".to_owned(),
        };
        let hint = "isoboot belongs into the second and following blocks of the partition of type 0xbe";
        report.find(Finding::new(Severity::Harmful, Component::Pmbr, message).hint(hint));
    }
    let isoboot = files.open(ISOBOOT).and_then(|file| file.blob.read().ok());
    if !is_isoboot(&program, isoboot.as_deref()) {
        let hint = format!("as a disk: what lies in {n_blocks} blocks from block {first} on is not {ISOBOOT}");
        report.find(prevents("the MBR starts something else than isoboot").hint(hint));
        return;
    }
    report.saw(Component::Pmbr, "isoboot", format_args!("{n_blocks} blocks from block {first} on"));
}

/// Compares with the file, where the ISO has it.
fn is_isoboot(program: &[u8], file: Option<&[u8]>) -> bool {
    let Some(file) = file else { return program.iter().any(|&byte| byte != 0) };
    let Some(start) = program.get(..file.len()) else { return false };
    !file.is_empty() && start.iter().zip(file).filter(|(a, b)| a != b).count() <= PATCHED.min(file.len() / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installed_isoboot_differs_in_a_few_bytes_only() {
        let file: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let mut program = file.clone();
        program.resize(1024, 0);
        assert!(is_isoboot(&program, Some(&file)));
        program[100..108].fill(0xee);
        assert!(is_isoboot(&program, Some(&file)));
        program[100..300].fill(0xee);
        assert!(!is_isoboot(&program, Some(&file)));
        assert!(!is_isoboot(&file[..512], Some(&file)));
        assert!(is_isoboot(&program, None));
        assert!(!is_isoboot(&[0; 512], None));
    }
}
