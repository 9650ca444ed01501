//! A finished ISO, archive, container image or directory is read back, and the way that the machine will go through it
//! is walked.
//!
//! ```text
//! boot catalog ─► isolinux.cfg ────┐
//!              └► FAT ─► entry ────┴► kernel, archive ─► members ─► /init ─► /init.plan ─► programs ─► libraries
//! MBR, GPT ────────────────────────┘      (whole?)      (manifest?)          (modules)     (re-traced)
//! ```
//!
//! Each failure is told in the words of the component that would fail, so that what a user reads here is what would have
//! been on the screen. What is surprising: the archive is really unpacked, as the kernel would do it, into a
//! private temporary directory, because whether a program finds its libraries is asked of the same resolver that chose
//! them, and that reads a root. Nothing of the image is executed, and nobody's privileges are needed: owners, modes
//! and device nodes are kept in memory as [`Metadata`](crate::root::Metadata).

mod archive;
mod arguments;
mod bzimage;
mod closure;
mod contents;
mod exec;
mod held;
mod illumos;
mod illumos_iso;
mod illumos_symbols;
mod iso;
mod isolinux;
mod json;
mod members;
mod modules;
mod musl;
mod oci;
mod odc;
mod pe;
mod plan;
mod ram;
mod runtime_linker;
mod start;
mod symbols;
mod systemd_boot;
mod tar;
mod text;
mod tree;
mod ufs;

use crate::iso::{Blob, IsoImage};
use crate::manifest::{Entry, Manifest};
use crate::recipe::System;
use crate::root::Root;
use crate::rules::RuleSet;
use crate::trace::{TraceError, system_of};
use archive::Archive;
use arguments::Arguments;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use tree::Tree;

/// What was looked at in an image, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What the image turned out to be.
    pub subject: Subject,
    /// In the order of the walk.
    pub checks: Vec<Check>,
    /// The worst first; among equals in the order of the walk.
    pub findings: Vec<Finding>,
    /// MiB of memory that the machine needs at least; absent when there is no archive to tell from.
    pub least_ram_mib: Option<u64>,
}

/// What an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// An ISO image, for CDs and disks.
    Iso,
    /// An initramfs, which is cpio archives one behind the other, a tar archive, or a boot archive of illumos, which is a
    /// UFS image or cpio in its old form; compressed or not.
    Archive,
    /// A directory, as `pack --format dir` writes it.
    Directory,
    /// What a TFTP server gives to machines that start illumos from the network.
    NetworkTree,
    /// A container image in an OCI layout, as a directory or as one tar of it.
    Container,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Who reads this part of the image.
    pub component: Component,
    /// `boot catalog`, `/isolinux/isolinux.cfg`.
    pub what: String,
    /// What was there: `default entry linux`, `14,186,432 bytes`.
    pub seen: String,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Who fails.
    pub component: Component,
    /// What it says, in its own words where it has any.
    pub message: String,
    /// The file that it is about: of the ISO for firmware and loaders, else of the archive or directory.
    pub path: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How bad a finding is; the worst is the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// One of the ways in which the image is made to start (BIOS or UEFI, CD or disk) ends before the last program of
    /// the startup runs.
    PreventsStart,
    /// It starts, but something in it fails later, or it is not what its manifest says.
    Harmful,
    /// It may be meant so.
    Warning,
    /// Nothing is wrong; it could be better, or is good to know.
    Suggestion,
}

/// Who reads a part of the image, and would complain about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// The firmware of a PC, which reads the boot catalog or the MBR.
    Bios,
    /// UEFI firmware, which reads a FAT file system.
    Uefi,
    /// ISOLINUX of the SYSLINUX project.
    Isolinux,
    /// systemd-boot.
    SystemdBoot,
    /// The boot program of an illumos CD.
    Cdboot,
    /// The program in the MBR of an illumos disk, and `isoboot` behind it.
    Pmbr,
    /// `/boot/loader` and `loader64.efi` of illumos, with their Forth files.
    IllumosLoader,
    /// illumos' GRUB 0.97.
    GrubLegacy,
    /// GRUB 2.
    Grub,
    /// The part of the illumos kernel that runs first.
    Dboot,
    /// The Linux or illumos kernel.
    Kernel,
    /// `/init`.
    Init,
    /// The runtime linker of the programs: glibc's, musl's or illumos' `ld.so.1`.
    RuntimeLinker,
    /// A program that the startup runs.
    Program,
    /// A rule of `rules/` whose mechanism would not work.
    Rules,
    /// The file as such, which nobody complains about in particular.
    Image,
    /// minroot itself, which compares with the manifest.
    Manifest,
}

/// Why nothing can be said about an image. Damage is no such reason as long as it is known what the image is.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The image cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// On this machine.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Its first bytes are those of nothing that can be verified.
    #[error("`{}` is neither an ISO image nor an archive nor a directory", path.display())]
    Unknown {
        /// On this machine.
        path: PathBuf,
    },
    /// There is no room, or no directory for temporary files.
    #[error("cannot unpack the archive into `{}`", directory.display())]
    Unpack {
        /// The private temporary directory.
        directory: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Several layers, which hide files of each other.
    #[error("cannot verify a container image of {n_layers} layers, only one of a single layer")]
    Layers {
        /// As the manifest of the image lists them.
        n_layers: usize,
    },
    /// What the startup runs cannot be traced again in the unpacked archive.
    #[error("cannot trace what the image starts")]
    Trace(#[from] TraceError),
}

/// Reads the image at `path` back and says whether it would start. With a manifest, the members of its archive are
/// compared with that, to the last byte.
///
/// The archive is unpacked below the directory for temporary files (`TMPDIR`), and removed again.
///
/// # Errors
/// [`VerifyError`]: the image cannot be read, is of no known kind, or there is no room to unpack its archive.
pub fn verify(path: &Path, manifest: Option<&Manifest>, rules: &RuleSet) -> Result<Verdict, VerifyError> {
    verify_as(None, path, manifest, rules)
}

/// [`verify`] for an image of the given system; without one it is that of the manifest, or told by what is in the image.
///
/// # Errors
/// Those of [`verify`].
pub fn verify_as(
    system: Option<System>,
    path: &Path,
    manifest: Option<&Manifest>,
    rules: &RuleSet,
) -> Result<Verdict, VerifyError> {
    let mut report = Report::default();
    let (subject, least_ram_mib) = walk(system, path, manifest, rules, &mut report)?;
    Ok(report.verdict(subject, least_ram_mib))
}

/// The manifest of what the image at `path` holds, by the entries that were read back; what an image does not say, as
/// packages and reasons, is that of `manifest`. `None` when there is nothing in the image to read: [`verify`] says why.
///
/// # Errors
/// Those of [`verify`].
pub fn read_back(path: &Path, manifest: &Manifest, rules: &RuleSet) -> Result<Option<Manifest>, VerifyError> {
    let mut report = Report { wants_held: true, ..Report::default() };
    walk(Some(manifest.system), path, Some(manifest), rules, &mut report)?;
    Ok(report.held.map(|entries| Manifest { entries, packed: None, ..manifest.clone() }))
}

/// Walks the way that the machine will walk. Gives what the image is, and the MiB of memory it needs.
fn walk(
    system: Option<System>,
    path: &Path,
    manifest: Option<&Manifest>,
    rules: &RuleSet,
    report: &mut Report,
) -> Result<(Subject, Option<u64>), VerifyError> {
    let system = system.or_else(|| manifest.map(|manifest| manifest.system));
    let subject = match Subject::of(path, system) {
        // A boot archive whose magic number is damaged.
        Err(VerifyError::Unknown { .. }) if system == Some(System::Illumos) => Subject::Archive,
        subject => subject?,
    };
    let least_ram_mib = match subject {
        Subject::NetworkTree => {
            let failed = |source| VerifyError::Read { path: path.to_owned(), source };
            let directory = Root::open(path).map_err(failed)?;
            let start = illumos_iso::follow_tree(&directory, report).map_err(failed)?;
            verify_illumos_start(start, manifest, rules, report)?;
            None
        }
        Subject::Container => {
            if let Some(layout) = oci::Layout::open(path) {
                verify_container(&layout, manifest, rules, report)?;
            }
            None
        }
        Subject::Directory => {
            let root = Root::open(path).map_err(|source| VerifyError::Read { path: path.to_owned(), source })?;
            verify_directory(&root, system, manifest, rules, report)?;
            None
        }
        Subject::Archive => {
            let archive = Archive::new(vec![open(path)?]);
            if tar::is_tar(&archive) {
                let unpacked = tar::unpack(&archive, manifest.is_some(), report)?;
                verify_unpacked(unpacked, system, manifest, rules, report)?;
                return Ok((subject, None));
            }
            // Linux has words of its own for it.
            if system == Some(System::Illumos) && odc::is_odc(&archive) {
                let unpacked = odc::unpack(&archive, manifest.is_some(), report)?;
                verify_unpacked(unpacked, system, manifest, rules, report)?;
                return Ok((subject, None));
            }
            if ufs::is_ufs(&archive, system == Some(System::Illumos)) {
                verify_ufs(&archive, system, manifest, rules, report)?;
                return Ok((subject, None));
            }
            let kernel_args = manifest.and_then(|m| m.boot.as_ref()).map(|boot| &boot.kernel_args[..]);
            let arguments = Arguments::parse(kernel_args.unwrap_or_default());
            verify_archive(&archive, &arguments, None, manifest, rules, report)?
        }
        Subject::Iso => match IsoImage::new(open(path)?) {
            Ok(image) if is_illumos(&image, system) => {
                let start = illumos_iso::follow(&image, report);
                verify_illumos_start(start, manifest, rules, report)?;
                None
            }
            Ok(image) => {
                let start = iso::follow(&image, manifest, report);
                let arguments = Arguments::parse(&start.kernel_args);
                match &start.archive {
                    Some(archive) => {
                        verify_archive(archive, &arguments, start.kernel.as_ref(), manifest, rules, report)?
                    }
                    None => None,
                }
            }
            Err(error) => {
                report.find(iso::unreadable(&error));
                None
            }
        },
    };
    Ok((subject, least_ram_mib))
}

fn is_illumos(image: &IsoImage, system: Option<System>) -> bool {
    system.map_or_else(|| illumos_iso::is_illumos(image), |system| system == System::Illumos)
}

/// What the archive holds that the loaders hand over, as in a directory.
fn verify_illumos_start(
    start: Option<illumos_iso::Start>,
    manifest: Option<&Manifest>,
    rules: &RuleSet,
    report: &mut Report,
) -> Result<(), VerifyError> {
    let Some(start) = start else { return Ok(()) };
    let archive = Archive::new(vec![start.archive.clone()]);
    let unpacked = if start.is_ufs {
        ufs::unpack(&archive, manifest, report)?
    } else if odc::is_odc(&archive) {
        odc::unpack(&archive, manifest.is_some(), report)?
    } else {
        archive::unpack(&archive, manifest.is_some(), report)?
    };
    let Some(unpacked) = unpacked else { return Ok(()) };
    let root = unpacked.open(manifest, report)?;
    if report.is_enough() {
        return Ok(());
    }
    illumos_iso::check_kernel(&root, &start, report);
    let arguments = Arguments::parse("");
    let image = start::Image { root: &root, tree: &unpacked.tree, arguments: &arguments, kernel: None, rules };
    illumos::check(&image, manifest, report)
}

/// The files of a container, and the process that a runtime of Linux would start.
fn verify_container(
    layout: &oci::Layout,
    manifest: Option<&Manifest>,
    rules: &RuleSet,
    report: &mut Report,
) -> Result<(), VerifyError> {
    let Some(container) = layout.follow(report)? else { return Ok(()) };
    let Some(unpacked) = tar::unpack(&container.layer, manifest.is_some(), report)? else { return Ok(()) };
    let root = unpacked.open(manifest, report)?;
    if report.is_enough() || container.system != Some(System::Linux) {
        return Ok(());
    }
    container.check_user(&root, report);
    let Some(command) = container.command(report) else { return Ok(()) };
    let arguments = Arguments::parse("");
    let image = start::Image { root: &root, tree: &unpacked.tree, arguments: &arguments, kernel: None, rules };
    start::check_container(&image, &command, container.library_path(), report)
}

/// Gives the least memory in MiB.
fn verify_archive(
    archive: &Archive,
    arguments: &Arguments,
    kernel: Option<&bzimage::BzImage>,
    manifest: Option<&Manifest>,
    rules: &RuleSet,
    report: &mut Report,
) -> Result<Option<u64>, VerifyError> {
    // Of an archive that breaks off, everything behind the break is missing, which nobody has to be told file by file.
    let Some(unpacked) = archive::unpack(archive, manifest.is_some(), report)? else { return Ok(None) };
    let root = unpacked.open(manifest, report)?;
    if report.is_enough() {
        return Ok(None);
    }
    let archive::Unpacked { tree, segments, .. } = &unpacked;
    start::check(&start::Image { root: &root, tree, arguments, kernel, rules }, report)?;
    Ok(Some(ram::least_ram_mib(archive, tree, segments, arguments, report)))
}

fn verify_directory(
    root: &Root,
    system: Option<System>,
    manifest: Option<&Manifest>,
    rules: &RuleSet,
    report: &mut Report,
) -> Result<(), VerifyError> {
    let failed = |source| VerifyError::Read { path: root.host().to_owned(), source };
    let tree = Tree::of_root(root, manifest.is_some()).map_err(failed)?;
    report.saw(Component::Image, "directory", crate::text::count(tree.len() as u64, "entry"));
    if let Some(manifest) = manifest {
        contents::compare(&tree, manifest, contents::Owners::AsUnpacked, report);
    }
    verify_tree(root, &tree, system, manifest, rules, report)
}

/// What an archive held that no loader of Linux starts: a container, a zone, what a compiler needs, a boot archive of
/// illumos. `None` is one that could not be unpacked.
fn verify_unpacked(
    unpacked: Option<archive::Unpacked>,
    system: Option<System>,
    manifest: Option<&Manifest>,
    rules: &RuleSet,
    report: &mut Report,
) -> Result<(), VerifyError> {
    let Some(unpacked) = unpacked else { return Ok(()) };
    let root = unpacked.open(manifest, report)?;
    verify_tree(&root, &unpacked.tree, system, manifest, rules, report)
}

/// The boot archive of illumos that is its root, whose files the kernel would see.
fn verify_ufs(
    archive: &Archive,
    system: Option<System>,
    manifest: Option<&Manifest>,
    rules: &RuleSet,
    report: &mut Report,
) -> Result<(), VerifyError> {
    let Some(unpacked) = ufs::unpack(archive, manifest, report)? else { return Ok(()) };
    let root = unpacked.open(manifest, report)?;
    let system = system.unwrap_or(System::Illumos);
    if system == System::Illumos {
        illumos::check_boot_archive(&root, manifest, report);
    }
    verify_tree(&root, &unpacked.tree, Some(system), manifest, rules, report)
}

/// What starts in a tree.
fn verify_tree(
    root: &Root,
    tree: &Tree,
    system: Option<System>,
    manifest: Option<&Manifest>,
    rules: &RuleSet,
    report: &mut Report,
) -> Result<(), VerifyError> {
    if report.is_enough() {
        return Ok(());
    }
    let arguments = Arguments::parse("");
    let image = start::Image { root, tree, arguments: &arguments, kernel: None, rules };
    match system.unwrap_or_else(|| system_of(root)) {
        System::Linux => start::check(&image, report),
        System::Illumos => illumos::check(&image, manifest, report),
    }
}

fn open(path: &Path) -> Result<Blob, VerifyError> {
    Blob::open(path).map_err(|source| VerifyError::Read { path: path.to_owned(), source })
}

impl Subject {
    /// Tells by the content: a CD has `CD001` in sector 16, an initramfs begins with a magic number that the kernel
    /// knows or with zeros before one.
    fn of(path: &Path, system: Option<System>) -> Result<Subject, VerifyError> {
        let failed = |source| VerifyError::Read { path: path.to_owned(), source };
        let is_directory = std::fs::metadata(path).map_err(failed)?.is_dir();
        if oci::Layout::open(path).is_some() {
            return Ok(Subject::Container);
        }
        if is_directory {
            let is_tree = system != Some(System::Linux) && illumos_iso::is_tree(&Root::open(path).map_err(failed)?);
            return Ok(if is_tree { Subject::NetworkTree } else { Subject::Directory });
        }
        let image = open(path)?;
        let starts_at = |offset: u64, magic: &[u8]| {
            let mut bytes = vec![0; magic.len()];
            image.read_exact_at(offset, &mut bytes).is_ok() && bytes == magic
        };
        if starts_at(16 * crate::iso::CD_SECTOR + 1, b"CD001") {
            return Ok(Subject::Iso);
        }
        // `compressed_formats` of the kernel's lib/decompress.c, all of them: what we cannot read is at least known.
        const MAGICS: [&[u8]; 9] = [
            b"0707",
            b"\x1f\x8b",
            b"\x1f\x9e",
            b"\x28\xb5\x2f\xfd",
            b"\xfd7zXZ",
            b"BZh",
            b"\x5d\0\0",
            b"\x89LZO",
            b"\x02\x21\x4c\x18",
        ];
        if MAGICS.iter().any(|magic| starts_at(0, magic)) {
            return Ok(Subject::Archive);
        }
        if starts_at(tar::MAGIC_AT, tar::MAGIC) || starts_at(ufs::MAGIC_AT, &ufs::MAGIC_BYTES) {
            return Ok(Subject::Archive);
        }
        Err(VerifyError::Unknown { path: path.to_owned() })
    }
}

impl Verdict {
    /// Whether nothing is known that prevents a start.
    pub fn starts(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::PreventsStart)
    }

    /// How many findings there are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

impl VerifyError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            VerifyError::Unpack { .. } => Some("set TMPDIR to a directory with more room"),
            VerifyError::Unknown { .. } => {
                Some("an image is what `pack`, `iso`, `pxe` or `build` wrote; a manifest goes after `-m`")
            }
            VerifyError::Layers { .. } => Some("unpack it with umoci, and verify the directory"),
            VerifyError::Trace(_) => Some("pack it again from a manifest that `minroot trace` writes"),
            VerifyError::Read { .. } => None,
        }
    }
}

impl Severity {
    /// All of them, the worst first.
    pub const ALL: [Severity; 4] =
        [Severity::PreventsStart, Severity::Harmful, Severity::Warning, Severity::Suggestion];

    /// `P`, `H`, `W` or `S`.
    pub fn letter(self) -> char {
        match self {
            Severity::PreventsStart => 'P',
            Severity::Harmful => 'H',
            Severity::Warning => 'W',
            Severity::Suggestion => 'S',
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Component::Bios => "BIOS",
            Component::Uefi => "UEFI",
            Component::Isolinux => "isolinux",
            Component::SystemdBoot => "systemd-boot",
            Component::Cdboot => "cdboot",
            Component::Pmbr => "pmbr",
            Component::IllumosLoader => "loader",
            Component::GrubLegacy => "GRUB 0.97",
            Component::Grub => "GRUB 2",
            Component::Dboot => "dboot",
            Component::Kernel => "kernel",
            Component::Init => "/init",
            Component::RuntimeLinker => "ld.so",
            Component::Program => "program",
            Component::Rules => "rules",
            Component::Image => "image",
            Component::Manifest => "manifest",
        })
    }
}

impl Finding {
    fn new(severity: Severity, component: Component, message: impl Into<String>) -> Finding {
        Finding { severity, component, message: message.into(), path: None, hint: None }
    }

    fn at(mut self, path: impl fmt::Display) -> Finding {
        self.path = Some(path.to_string());
        self
    }

    fn hint(mut self, hint: impl Into<String>) -> Finding {
        self.hint = Some(hint.into());
        self
    }
}

/// The verdict as it grows.
#[derive(Default)]
struct Report {
    checks: Vec<Check>,
    findings: Vec<Finding>,
    /// Whether to keep what the image holds.
    wants_held: bool,
    /// What it was found to hold, once that has been compared with a manifest.
    held: Option<Vec<Entry>>,
}

impl Report {
    fn saw(&mut self, component: Component, what: impl fmt::Display, seen: impl fmt::Display) {
        self.checks.push(Check { component, what: what.to_string(), seen: seen.to_string() });
    }

    /// Nothing but what the image holds was asked for, and that is known: the rest of the way need not be walked.
    fn is_enough(&self) -> bool {
        self.held.is_some()
    }

    fn find(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn verdict(self, subject: Subject, least_ram_mib: Option<u64>) -> Verdict {
        let Report { checks, mut findings, .. } = self;
        findings.sort_by_key(|finding| finding.severity);
        Verdict { subject, checks, findings, least_ram_mib }
    }
}
