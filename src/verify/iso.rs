//! From the first sector of an ISO to the kernel, the archive and the command line, by each way the image offers.
//!
//! A BIOS and UEFI firmware take different ways through the same file, and a CD drive and a USB stick again
//! (El Torito or partition tables); all of them have to end at the same bytes.

use super::archive::Archive;
use super::bzimage::BzImage;
use super::{Component, Finding, Report, Severity, isolinux, systemd_boot};
use crate::iso::eltorito::{CatalogEntry, Platform};
use crate::iso::hybrid::PartitionTables;
use crate::iso::{Blob, CD_SECTOR, DISK_BLOCK, IsoImage, IsoKind, ReadError};
use crate::manifest::Manifest;
use crate::text::{count, size};
use std::io;

/// Disk blocks in a CD sector.
const BLOCKS: u64 = CD_SECTOR / DISK_BLOCK;

/// The sector of the boot record ("El Torito" specification 1.0, section 2.0).
const BOOT_RECORD: u64 = 17;

/// What isolinux's MBR program looks for at offset 64 of what it has loaded (syslinux, `mbr/isohdpfx.S`).
const HYBRID_MAGIC: [u8; 4] = 0x7078_c0fb_u32.to_le_bytes();
const HYBRID_MAGIC_AT: u64 = 64;

/// What would add the other way to start.
const LACKING: [&str; 2] = [
    "it starts with UEFI only; the packages `isolinux` and `syslinux-common` add BIOS",
    "it starts with a BIOS only; the package `systemd-boot-efi` adds UEFI",
];

/// How much of two files is compared at a time.
const CHUNK: u64 = 1 << 20;

/// What an image hands to the kernel.
pub(super) struct Start {
    pub kernel: Option<BzImage>,
    pub archive: Option<Archive>,
    pub kernel_args: String,
}

/// What one boot loader starts.
pub(super) struct Chain {
    pub loader: Component,
    /// The configuration that says so.
    pub config: String,
    pub kernel: Option<BootFile>,
    pub initrds: Vec<BootFile>,
    pub kernel_args: String,
}

/// A file that a boot loader loads.
pub(super) struct BootFile {
    /// As the loader names it.
    pub path: String,
    pub blob: Blob,
    /// Where it begins in the image; absent when it lies in pieces, or is a file of a directory.
    pub start: Option<u64>,
}

impl BootFile {
    /// Whether it is the same file, under whatever name.
    pub(super) fn is_same_file(&self, other: &BootFile) -> bool {
        self.path == other.path || self.start.is_some() && self.start == other.start
    }
}

/// Walks from the firmware to the kernel.
pub(super) fn follow(image: &IsoImage, manifest: Option<&Manifest>, report: &mut Report) -> Start {
    check_length(image, report);
    let bios = image.boot_entries().first().filter(|entry| entry.platform == Platform::Bios);
    let uefi = image.boot_entries().iter().find(|entry| entry.bootable && entry.platform == Platform::Uefi);
    check_catalog(image, bios, uefi, LACKING, report);
    let chains = [
        bios.filter(|entry| entry.bootable).and_then(|entry| isolinux::follow(image, entry, report)),
        uefi.and_then(|entry| systemd_boot::follow(image, entry, report)),
    ];
    check_disk(image, bios, uefi, report);
    let chains: Vec<Chain> = chains.into_iter().flatten().collect();
    check_equal(&chains, report);
    let mut kernel = None;
    for chain in &chains {
        check_kernel_args(chain, manifest, report);
        if let Some(file) = &chain.kernel {
            kernel = BzImage::check(file, chain, report).or(kernel);
        }
    }
    // What a later chain starts is the same, or has been told to differ.
    let Some(chain) = chains.into_iter().find(|chain| !chain.initrds.is_empty()) else {
        return Start { kernel, archive: None, kernel_args: String::new() };
    };
    let archive = Archive::new(chain.initrds.into_iter().map(|file| file.blob).collect());
    Start { kernel, archive: Some(archive), kernel_args: chain.kernel_args }
}

/// The finding for an image whose volume cannot be read at all.
pub(super) fn unreadable(error: &ReadError) -> Finding {
    Finding::new(Severity::PreventsStart, Component::Image, with_cause(error)).hint("write or download the image again")
}

/// An error and its cause in one line: the readers tell an `io::Error` in `source()`.
pub(super) fn with_cause(error: &ReadError) -> String {
    match error {
        ReadError::Io { source, .. } => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}

pub(super) fn check_length(image: &IsoImage, report: &mut Report) {
    let (has, says) = (image.image().len(), image.volume_size());
    report.saw(Component::Image, "ISO 9660 volume", format_args!("`{}`, {}", image.label(), size(says)));
    if has < says {
        let message = format!("the image has {has} bytes, and its volume {says}: it is cut short");
        let finding = Finding::new(Severity::Harmful, Component::Image, message);
        report.find(finding.hint("write or download the image again"));
    }
}

/// What a BIOS says is SeaBIOS's `cdrom_boot` (src/cdrom.c), whose code tells the step that failed.
///
/// `hints` are for an image that starts with UEFI only, and for one that starts with a BIOS only.
pub(super) fn check_catalog(
    image: &IsoImage,
    bios: Option<&CatalogEntry>,
    uefi: Option<&CatalogEntry>,
    hints: [&str; 2],
    report: &mut Report,
) {
    let failed = |code| format!("Boot failed: Could not read from CDROM (code {code})");
    let entries = image.boot_entries();
    report.saw(Component::Bios, "boot catalog", count(entries.len() as u64, "entry"));
    match (bios, uefi) {
        (None, None) if entries.is_empty() => {
            // It looks in one sector only: the step that fails is that of the descriptor's type or that of its name.
            let mut kind = [0];
            let is_record = image.image().read_exact_at(BOOT_RECORD * CD_SECTOR, &mut kind).is_ok() && kind == [0];
            let code = if is_record { "0005" } else { "0004" };
            let finding = Finding::new(Severity::PreventsStart, Component::Bios, failed(code));
            report.find(finding.hint("the ISO has no El Torito boot record: make it with `minroot iso`"));
        }
        (None, None) => {
            report.find(Finding::new(Severity::PreventsStart, Component::Bios, failed("0009")));
        }
        (Some(entry), _) if !entry.bootable => report.find(
            Finding::new(Severity::PreventsStart, Component::Bios, failed("000b"))
                .hint("the default entry of the boot catalog is not marked as bootable"),
        ),
        (None, Some(_)) => {
            report.find(Finding::new(Severity::Suggestion, Component::Bios, failed("0009")).hint(hints[0]))
        }
        (Some(_), None) => report.find(
            Finding::new(Severity::Suggestion, Component::Uefi, "the boot catalog has no entry for UEFI")
                .hint(hints[1]),
        ),
        (Some(_), Some(_)) => {}
    }
}

/// The ways from a USB stick.
fn check_disk(image: &IsoImage, bios: Option<&CatalogEntry>, uefi: Option<&CatalogEntry>, report: &mut Report) {
    match image.partitions() {
        Ok(Some(tables)) => {
            let gpt = tables
                .gpt
                .as_ref()
                .map_or("no GPT".to_owned(), |gpt| format!("GPT with {}", count(gpt.len() as u64, "partition")));
            let mbr = count(tables.mbr.len() as u64, "partition");
            report.saw(Component::Bios, "partition tables", format_args!("MBR with {mbr}, {gpt}"));
            if let Some(entry) = bios {
                check_mbr(image, entry, &tables, report);
            }
            if let Some(entry) = uefi {
                check_gpt(entry, &tables, report);
            }
        }
        Ok(None) => report.find(
            Finding::new(Severity::Suggestion, Component::Bios, "Boot failed: not a bootable disk")
                .hint("the image starts as a CD only: it has no MBR"),
        ),
        // EDK II takes the other GPT when one is damaged (PartitionDxe/Gpt.c), other firmware may not.
        Err(error) => report.find(
            Finding::new(Severity::Harmful, Component::Uefi, with_cause(&error))
                .hint("as a disk the image may not start; write it again"),
        ),
    }
}

fn check_mbr(image: &IsoImage, entry: &CatalogEntry, tables: &PartitionTables, report: &mut Report) {
    let Some(program) = tables.program_block else { return };
    let mut magic = [0; 4];
    let at = u64::from(entry.sector) * CD_SECTOR + HYBRID_MAGIC_AT;
    let is_hybrid = image.image().read_exact_at(at, &mut magic).is_ok() && magic == HYBRID_MAGIC;
    if program != u64::from(entry.sector) * BLOCKS || !is_hybrid {
        let message = "isolinux.bin missing or corrupt.";
        report.find(Finding::new(Severity::PreventsStart, Component::Bios, message).hint(format!(
            "as a disk: the MBR program looks for isolinux in block {program}, the boot catalog has it in block {}",
            u64::from(entry.sector) * BLOCKS
        )));
    }
    if !tables.mbr.iter().any(|partition| partition.active) {
        let message = "no partition of the MBR is active: many a BIOS starts no such disk";
        report.find(Finding::new(Severity::Warning, Component::Bios, message));
    }
}

fn check_gpt(entry: &CatalogEntry, tables: &PartitionTables, report: &mut Report) {
    let Some(gpt) = &tables.gpt else { return };
    let expected = u64::from(entry.sector) * BLOCKS;
    if !gpt.iter().any(|partition| partition.is_efi_system && partition.first_block == expected) {
        let message = format!("as a disk: no EFI system partition of the GPT begins at block {expected}");
        report.find(
            Finding::new(Severity::PreventsStart, Component::Uefi, message)
                .hint("the boot catalog has the EFI system partition there; write the image again"),
        );
    }
}

/// What the loaders start has to be the same, byte for byte.
fn check_equal(chains: &[Chain], report: &mut Report) {
    let [first, second] = chains else { return };
    let mut differ = |what: &str, a: &BootFile, b: &BootFile| {
        if !same(a, b).unwrap_or(false) {
            let message = format!(
                "{} starts another {what} than {}: `{}` is not `{}`",
                second.loader, first.loader, b.path, a.path
            );
            report.find(
                Finding::new(Severity::Harmful, second.loader, message)
                    .at(&second.config)
                    .hint(format!("what {} starts was checked, the other was not", first.loader)),
            );
        }
    };
    if let (Some(a), Some(b)) = (&first.kernel, &second.kernel) {
        differ("kernel", a, b);
    }
    for (a, b) in first.initrds.iter().zip(&second.initrds) {
        differ("archive", a, b);
    }
    if first.initrds.len() != second.initrds.len() && !first.initrds.is_empty() && !second.initrds.is_empty() {
        let message = format!("{} loads {}", second.loader, count(second.initrds.len() as u64, "archive"));
        report.find(Finding::new(Severity::Harmful, second.loader, message).at(&second.config));
    }
}

fn same(a: &BootFile, b: &BootFile) -> io::Result<bool> {
    if a.blob.len() != b.blob.len() {
        return Ok(false);
    }
    // The usual case: one file under two names.
    if a.start.is_some() && a.start == b.start {
        return Ok(true);
    }
    let mut offset = 0;
    while offset < a.blob.len() {
        let length = CHUNK.min(a.blob.len() - offset) as usize;
        let (mut left, mut right) = (vec![0; length], vec![0; length]);
        a.blob.read_exact_at(offset, &mut left)?;
        b.blob.read_exact_at(offset, &mut right)?;
        if left != right {
            return Ok(false);
        }
        offset += length as u64;
    }
    Ok(true)
}

fn check_kernel_args(chain: &Chain, manifest: Option<&Manifest>, report: &mut Report) {
    let Some(boot) = manifest.and_then(|manifest| manifest.boot.as_ref()) else { return };
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    if words(&boot.kernel_args) != words(&chain.kernel_args) {
        let message = format!("the kernel gets `{}`, the manifest says `{}`", chain.kernel_args, boot.kernel_args);
        report.find(Finding::new(Severity::Warning, chain.loader, message).at(&chain.config));
    }
}

impl BootFile {
    /// A file of the ISO 9660 file system, symlinks not followed.
    ///
    /// # Errors
    /// As [`IsoImage::find`] and [`IsoImage::content`].
    pub(super) fn in_iso(image: &IsoImage, path: &str) -> Result<BootFile, ReadError> {
        let missing = || ReadError::NotFound(path.to_owned());
        let entry = image.find(&crate::path::RootPath::new(path).map_err(|_| missing())?)?;
        if entry.kind != IsoKind::File {
            return Err(missing());
        }
        let blob = image.content(&entry)?;
        Ok(BootFile { path: path.to_owned(), blob, start: Some(u64::from(entry.sector) * CD_SECTOR) })
    }
}

/// The name in `names` that is most like `name`, for a hint; `None` when none is near.
pub(super) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let likeness = |other: &str| strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
    let best = names.map(|other| (likeness(other), other)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.8).then_some(best.1)
}
