//! From the first sector of an illumos ISO, or the first program of a network card, to the kernel and the boot archive,
//! by each way there is.
//!
//! ```text
//! El Torito ─► cdboot ─► /boot/loader ──────────────┐
//!           ├► FAT ─► EFI/BOOT/BOOTX64.EFI ─────────┴► loader.rc ─► loader.conf … ─┐
//!           ├► stage2_eltorito (GRUB 0.97) ─► menu.lst ────────────────────────────┼► unix, boot_archive, hash
//!           └► GRUB 2 ─► grub.cfg ─────────────────────────────────────────────────┘
//! MBR ─► isoboot ─► /boot/loader
//! TFTP ─► pxeboot, loader64.efi, pxegrub, core.0 ─► as above from a directory
//! ```
//!
//! Each loader is read anew here, from what it does and not from what minroot writes for it. What is surprising: the
//! names of the kernel and the archive depend on the processor, so every chain is gone through for both kinds, and
//! what fails on a processor of 32 bits counts only where the image has a kernel for one.

mod cdboot;
mod conf;
mod files;
#[cfg(test)]
mod fixture;
mod forth;
mod grub2;
mod grub_legacy;
mod hybrid;
mod loader;
mod network;
mod plain;
mod rootfs;
mod uefi;
mod variables;

use super::iso::{self, BootFile};
use super::{Component, Finding, Report, Severity};
use crate::iso::eltorito::{CatalogEntry, Platform};
use crate::iso::{Blob, IsoImage};
use crate::path::RootPath;
use crate::resolve::krtld::{UNIX_32, UNIX_64};
use crate::root::Root;
use crate::text::{hex, size};
use files::Files;
use loader::Machine;
use rootfs::{Kind, RootArchive};

pub(super) use network::{follow_tree, is_tree};

/// What makes an ISO one of illumos.
const SIGNS: [&str; 5] = [
    "/boot/cdboot",
    "/boot/loader.rc",
    "/boot/defaults/loader.conf",
    "/boot/grub/stage2_eltorito",
    "/boot/grub/menu.lst",
];

/// What an image hands to the kernel.
pub(super) struct Start {
    /// `unix` as the loader has it.
    pub kernel: BootFile,
    pub archive: Blob,
    /// Whether the archive is what the kernel mounts as its root.
    pub is_ufs: bool,
}

/// What one loader does on one kind of machine.
struct Attempt {
    loader: Component,
    config: &'static str,
    /// Paths on the medium.
    kernel: Option<String>,
    /// Type, which may be empty, and path.
    modules: Vec<(String, String)>,
    /// The words that the kernel gets, its own name first.
    kernel_line: String,
    /// Whether gzip is unpacked on the way.
    reads_gzip: bool,
    findings: Vec<Finding>,
}

/// Whether the image is one of illumos.
pub(super) fn is_illumos(image: &IsoImage) -> bool {
    let has = |path: &&str| RootPath::new(path).is_ok_and(|path| image.find(&path).is_ok());
    SIGNS.iter().chain(&[UNIX_64, UNIX_32]).any(has)
}

/// Walks from the firmware to the kernel.
pub(super) fn follow(image: &IsoImage, report: &mut Report) -> Option<Start> {
    iso::check_length(image, report);
    let files = match Files::of_iso(image) {
        Ok(files) => files,
        Err(error) => {
            report.find(iso::unreadable(&error));
            return None;
        }
    };
    let bios = image.boot_entries().first().filter(|entry| entry.platform == Platform::Bios);
    let uefi = image.boot_entries().iter().find(|entry| entry.bootable && entry.platform == Platform::Uefi);
    let hints = [
        "it starts with UEFI only: /boot/cdboot adds BIOS",
        "it starts with a BIOS only: /boot/loader64.efi adds UEFI",
    ];
    iso::check_catalog(image, bios, uefi, hints, report);
    let mut attempts = Vec::new();
    if let Some(entry) = bios.filter(|entry| entry.bootable) {
        attempts.extend(from_bios(image, entry, &files, report));
    }
    if let Some(entry) = uefi {
        attempts.extend(from_uefi(image, entry, &files, report));
    }
    hybrid::check(image, uefi, &files, report);
    hand_over(attempts, &files, report)
}

/// What the loaders that were run hand to the kernel.
fn hand_over(mut attempts: Vec<(bool, Attempt)>, files: &Files<'_>, report: &mut Report) -> Option<Start> {
    attempts.iter_mut().for_each(|(_, attempt)| attempt.check_kernel_line());
    report_findings(&mut attempts, files, report);
    start(&attempts, files, report)
}

/// A loader on both kinds of processor.
fn on_both(run: impl Fn(bool) -> Attempt) -> Vec<(bool, Attempt)> {
    vec![(true, run(true)), (false, run(false))]
}

/// Compares the kernel that is started with that of the archive: krtld opens the second to read the first's own headers.
pub(super) fn check_kernel(root: &Root, start: &Start, report: &mut Report) {
    let path = &start.kernel.path;
    let prevents = |message: String| Finding::new(Severity::PreventsStart, Component::Kernel, message).at(path);
    let inside = RootPath::new(path).ok().and_then(|path| root.read_optional(&path).ok().flatten());
    match (inside, start.kernel.blob.read()) {
        (Some(inside), Ok(outside)) if inside == outside => {
            report.saw(Component::Kernel, path, "is the same in the archive");
        }
        (Some(_), _) => report.find(
            prevents("Unable to boot: the kernel that runs is not the one in the archive".to_owned())
                .hint("krtld reads the headers of the one for the other; write the image again"),
        ),
        (None, _) => report.find(
            prevents(format!("Unable to boot: krtld: could neither locate nor resolve symbols for: {path}"))
                .hint("the kernel has to be in the archive too, under the name by which the loader finds it"),
        ),
    }
}

/// What the BIOS starts, on both kinds of processor.
fn from_bios(image: &IsoImage, entry: &CatalogEntry, files: &Files<'_>, report: &mut Report) -> Vec<(bool, Attempt)> {
    let program = files.at_sector(entry.sector);
    let name = program.and_then(|file| std::str::from_utf8(file.path.file_name()).ok()).unwrap_or_default();
    match (name, program) {
        ("cdboot", Some(file)) => {
            if !cdboot::check(image, entry, file, report) {
                return Vec::new();
            }
            on_both(|is_64_bit| Attempt::of_loader(files, Machine { efi: false, is_64_bit }))
        }
        ("stage2_eltorito", Some(file)) => {
            cdboot::check_boot_image(image, entry, file, Component::GrubLegacy, report);
            on_both(|is_64_bit| grub_legacy::run(files, is_64_bit))
        }
        (_, Some(file)) if grub2::config(files).is_some() => {
            cdboot::check_boot_image(image, entry, file, Component::Grub, report);
            vec![(true, grub2::run(files))]
        }
        _ => {
            let message = "the BIOS boot image is neither cdboot nor GRUB: what it starts was not checked";
            let place = program.map_or_else(|| format!("sector {}", entry.sector), |file| file.path.to_string());
            report.find(Finding::new(Severity::Warning, Component::Bios, message).at(place));
            Vec::new()
        }
    }
}

/// What UEFI firmware starts; that has 64 bits.
fn from_uefi(image: &IsoImage, entry: &CatalogEntry, files: &Files<'_>, report: &mut Report) -> Vec<(bool, Attempt)> {
    if !uefi::check(image, entry, files, report) {
        return Vec::new();
    }
    if !files.has("/boot/loader.rc") && grub2::config(files).is_some() {
        return vec![(true, grub2::run(files))];
    }
    vec![(true, Attempt::of_loader(files, Machine { efi: true, is_64_bit: true }))]
}

/// Tells each finding once, however many machines have it.
fn report_findings(attempts: &mut [(bool, Attempt)], files: &Files<'_>, report: &mut Report) {
    let mut told: Vec<Finding> = Vec::new();
    let mut tell = |finding: Finding, report: &mut Report| {
        if !told.contains(&finding) {
            told.push(finding.clone());
            report.find(finding);
        }
    };
    for (is_64_bit, attempt) in attempts {
        let findings = std::mem::take(&mut attempt.findings);
        if *is_64_bit || files.has(UNIX_32) {
            findings.into_iter().for_each(|finding| tell(finding, report));
        } else if let Some(finding) = findings.into_iter().find(|f| f.severity == Severity::PreventsStart) {
            let message = format!("on a processor without 64 bits: {}", finding.message);
            let hint = "the image has no kernel for one";
            tell(Finding::new(Severity::Suggestion, finding.component, message).hint(hint), report);
        }
    }
}

/// What the first chain that gets so far hands over; all others have to hand over the same.
fn start(attempts: &[(bool, Attempt)], files: &Files<'_>, report: &mut Report) -> Option<Start> {
    let mut starts: Vec<(&Attempt, BootFile, BootFile)> = Vec::new();
    for (_, attempt) in attempts {
        let Some((kernel, archive)) = attempt.hand_over(files) else { continue };
        if !starts.iter().any(|(_, k, a)| k.is_same_file(&kernel) && a.is_same_file(&archive)) {
            starts.push((attempt, kernel, archive));
        }
    }
    let mut chosen = None;
    for (attempt, kernel, archive) in starts {
        report.saw(attempt.loader, &kernel.path, size(kernel.blob.len()));
        check_elf(attempt, &kernel, report);
        let found = check_archive(attempt, &archive, report);
        attempt.check_hash(files, found.as_ref(), report);
        if let (Some(found), None) = (found, &chosen) {
            chosen = Some(Start { kernel, archive: archive.blob, is_ufs: found.kind == Kind::Ufs });
        }
    }
    chosen
}

fn check_elf(attempt: &Attempt, kernel: &BootFile, report: &mut Report) {
    let mut magic = [0; 4];
    if kernel.blob.read_exact_at(0, &mut magic).is_ok() && magic == *b"\x7fELF" {
        return;
    }
    let message = match attempt.loader {
        Component::GrubLegacy => "Error 13: Invalid or unsupported executable format",
        Component::Grub => "error: no multiboot header found.",
        _ => "Unable to load a kernel!",
    };
    let finding = Finding::new(Severity::PreventsStart, attempt.loader, message).at(&kernel.path);
    report.find(finding.hint("it is no ELF file"));
}

fn check_archive(attempt: &Attempt, archive: &BootFile, report: &mut Report) -> Option<RootArchive> {
    let prevents =
        |component, message: &str| Finding::new(Severity::PreventsStart, component, message).at(&archive.path);
    let found = match rootfs::read(&archive.blob) {
        Ok(found) => found,
        Err(error) => {
            let hint = format!("the archive cannot be decompressed: {error}; write the image again");
            report.find(match attempt.loader {
                Component::GrubLegacy => {
                    prevents(attempt.loader, "Error 16: Inconsistent filesystem structure").hint(hint)
                }
                Component::Grub => prevents(attempt.loader, "error: premature end of compressed file.").hint(hint),
                _ => prevents(attempt.loader, "No rootfs module provided, aborting").hint(hint),
            });
            return None;
        }
    };
    let packed = if found.is_compressed { format!("{} of gzip, ", size(archive.blob.len())) } else { String::new() };
    report.saw(attempt.loader, &archive.path, format_args!("{packed}{} of {}", size(found.length), found.kind.name()));
    if found.left_over > 0 {
        let message = "the archive goes on behind its first gzip member, which is all that loaders read";
        report.find(prevents(attempt.loader, message).hint("compress it in one piece, as `minroot pack` does"));
    }
    if found.is_compressed && !attempt.reads_gzip {
        let message = "nothing loads `gzio`: unless it is built into GRUB, the kernel gets the archive compressed";
        let finding = Finding::new(Severity::Warning, attempt.loader, message).at(attempt.config);
        report.find(finding.hint("add `insmod gzio` to grub.cfg"));
    }
    match found.kind {
        Kind::Ufs => {}
        Kind::Hsfs => {
            let message = "the archive is ISO 9660: whether this kernel takes that for its root is not known";
            report.find(Finding::new(Severity::Warning, Component::Kernel, message).at(&archive.path));
        }
        Kind::Odc => {
            let hint = "krtld reads a cpio archive, the kernel mounts ufs: make it with `minroot pack --format ufs`";
            report.find(prevents(Component::Kernel, "vfs_mountroot: cannot mount root").hint(hint));
        }
        Kind::Unknown => {
            let hint = "it is no file system that krtld knows: make it with `minroot pack --format ufs`";
            report.find(prevents(Component::Kernel, "failed to mount ramdisk from boot").hint(hint));
        }
    }
    Some(found)
}

impl Attempt {
    fn new(loader: Component, config: &'static str) -> Attempt {
        Attempt {
            loader,
            config,
            kernel: None,
            modules: Vec::new(),
            kernel_line: String::new(),
            reads_gzip: loader != Component::Grub,
            findings: Vec::new(),
        }
    }

    fn of_loader(files: &Files<'_>, machine: Machine) -> Attempt {
        let loaded = loader::run(files, machine);
        let mut attempt = Attempt::new(Component::IllumosLoader, loader::SCRIPT);
        attempt.kernel_line = format!("{} {}", loaded.kernel.as_deref().unwrap_or_default(), loaded.boot_args);
        attempt.kernel = loaded.kernel;
        attempt.modules = loaded.modules.into_iter().map(|module| (module.kind, module.path)).collect();
        attempt.findings = loaded.findings;
        attempt
    }

    /// A finding about the configuration, unless it is about another file.
    fn find(&mut self, finding: Finding) {
        let finding = if finding.path.is_none() { finding.at(self.config) } else { finding };
        self.findings.push(finding);
    }

    /// Tells when a menu entry of GRUB that failed nowhere else loads no kernel, or no archive.
    fn check_lines(&mut self, no_kernel: Finding, no_module: &str) {
        if !self.findings.is_empty() {
            return;
        }
        if self.kernel.is_none() {
            self.find(no_kernel);
        } else if self.modules.is_empty() {
            let finding = Finding::new(Severity::PreventsStart, Component::Dboot, "Too few modules -- 0");
            self.find(finding.hint(no_module));
        }
    }

    /// The kernel and the archive; one or two modules without a type are the archive and its hash (`fixup_modules` of
    /// usr/src/uts/i86pc/dboot/dboot_startkern.c).
    fn hand_over(&self, files: &Files<'_>) -> Option<(BootFile, BootFile)> {
        let archive = self.module("rootfs", 0)?;
        Some((files.open(self.kernel.as_ref()?)?, files.open(archive)?))
    }

    fn module(&self, kind: &str, untyped: usize) -> Option<&str> {
        let typed = self.modules.iter().find(|(module, _)| module == kind);
        let all_untyped = self.modules.len() <= 2 && self.modules.iter().all(|(kind, _)| kind.is_empty());
        let found = typed.or_else(|| self.modules.get(untyped).filter(|_| all_untyped));
        found.map(|(_, path)| &path[..])
    }

    /// dboot_startkern.c: 40 hexadecimal digits, the SHA-1 of what the kernel gets.
    fn check_hash(&self, files: &Files<'_>, archive: Option<&RootArchive>, report: &mut Report) {
        let (Some(path), Some(archive)) = (self.module("hash", 1), archive) else { return };
        let text = files.text(path).unwrap_or_default();
        let expected = hex(&archive.sha1);
        let said = String::from_utf8_lossy(&text).trim().to_ascii_lowercase();
        if said == expected {
            report.saw(Component::Dboot, path, "is the SHA-1 of the archive");
            return;
        }
        let hint = format!("{path} says `{said}`, the archive has SHA-1 {expected} when it is decompressed");
        report.find(Finding::new(Severity::PreventsStart, Component::Dboot, "hash mismatch!").at(path).hint(hint));
    }

    /// What the kernel makes of its command line.
    fn check_kernel_line(&mut self) {
        if self.kernel.is_none() {
            return;
        }
        if self.kernel_line.contains("multiboot") {
            let message = "dboot panics on purpose: the kernel's command line has the word `multiboot`";
            let hint = "neither a directory of the kernel nor an argument may be named so";
            self.find(Finding::new(Severity::PreventsStart, Component::Dboot, message).hint(hint));
        }
        let first = self.kernel_line.split_whitespace().next().unwrap_or_default();
        if !first.contains("/platform/") {
            let message = format!("Unable to boot: krtld: could neither locate nor resolve symbols for: {first}");
            let hint = "the first word of the command line is the kernel's name; GRUB 2 wants it twice on the line";
            self.find(Finding::new(Severity::PreventsStart, Component::Kernel, message).hint(hint));
        }
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Ufs => "ufs",
            Kind::Hsfs => "ISO 9660",
            Kind::Odc => "cpio (odc)",
            Kind::Unknown => "an unknown kind",
        }
    }
}
