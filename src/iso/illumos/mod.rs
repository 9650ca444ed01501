//! Kernel, boot archive and the loader of an illumos root to a bootable ISO.
//!
//! ```text
//! blocks 0..63  MBR, isoboot                      a BIOS from disk    (loader)
//! El Torito     cdboot | GRUB                     a BIOS from CD
//!               FAT: EFI/BOOT/BOOTX64.EFI         UEFI firmware       (loader)
//! ISO 9660      /boot                             the loader's scripts and configuration
//!               /platform/i86pc/kernel/…/unix     the same file as in the archive
//!               /platform/i86pc/…boot_archive     once on the medium, whatever its names
//! ```
//!
//! Everything else is in the archive. What surprises: cdboot, the first program of all, reads the plain ISO 9660 names
//! and wants `/BOOT/LOADER`; all others read Rock Ridge (illumos-gate usr/src/boot/i386/cdboot/cdboot.S).

pub mod forth_includes;
mod grub2;
mod grub_legacy;
pub mod hybrid_mbr;
mod loader;
pub mod loader_conf;

pub use loader::{IllumosLoader, IllumosLoaderError, LoaderFiles};

use super::Blob;
use super::fat::{FatError, FatFile, FatImage};
use super::iso9660::{IsoError, IsoLayout, Volume};
use super::output::{Identity, Piece, write_image};
use super::parts::{EfiPartition, FILE, IsoReport, add_boot_program, path, text, whole};
use crate::path::RootPath;
use crate::resolve::krtld::{UNIX_32, UNIX_64};
use crate::text::hex;
use loader_conf::{Kernels, LoaderConf, LoaderConfError, check_arguments};
use std::path::Path;

/// What an illumos ISO is made of.
#[derive(Debug, Clone)]
pub struct IllumosIso {
    /// The kernels that the archive has, each at [`UNIX_32`] or [`UNIX_64`].
    pub kernels: Vec<(RootPath, Blob)>,
    /// What the kernel mounts as its root: a UFS, compressed with gzip or not.
    pub archive: Blob,
    /// Of the archive before compression.
    pub sha1: [u8; 20],
    /// Options of the kernel, and its properties with `-B`.
    pub kernel_args: String,
    /// 1 to 32 characters of ASCII.
    pub label: String,
    pub loader: IllumosLoader,
    /// Seconds since 1970: every date in the image.
    pub epoch: u64,
}

/// Why an illumos ISO cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum IllumosIsoError {
    #[error("there is no kernel: neither `{UNIX_64}` nor `{UNIX_32}`")]
    NoKernel,
    #[error(transparent)]
    Arguments(#[from] LoaderConfError),
    #[error("cannot lay out the EFI system partition")]
    Fat(#[from] FatError),
    #[error("cannot lay out the ISO 9660 volume")]
    Iso(#[from] IsoError),
    #[error("cannot write `{}`", .path.display())]
    Write { path: std::path::PathBuf, source: std::io::Error },
}

const LOADER_CONF: &str = "/boot/loader.conf";

/// Writes the ISO to `path`, which is replaced when the new file is complete.
///
/// # Errors
/// [`IllumosIsoError`]. Nothing is left behind.
pub fn write_illumos_iso(iso: &IllumosIso, path: &Path) -> Result<IsoReport, IllumosIsoError> {
    let plan = Plan::new(iso)?;
    let size = plan.layout.size();
    write_image(path, size, plan.layout.pieces(), |identity| plan.identity_pieces(identity))
        .map_err(|source| IllumosIsoError::Write { path: path.to_owned(), source })?;
    let kernel = iso.kernels.iter().map(|(_, kernel)| kernel.len()).sum();
    Ok(IsoReport::new(size, kernel, iso.archive.len(), iso.loader.size()))
}

/// The digest beside an archive, as `digest -a sha1` prints it and dboot compares it.
pub fn hash_file(sha1: &[u8; 20]) -> String {
    hex(sha1) + "\n"
}

/// The laid-out image, and what is needed for the parts that are written last.
struct Plan<'a> {
    layout: IsoLayout,
    disk: Option<DiskBoot<'a>>,
}

/// How the image starts from a disk, and under UEFI.
struct DiskBoot<'a> {
    files: &'a LoaderFiles,
    efi: EfiPartition,
}

impl<'a> Plan<'a> {
    fn new(iso: &'a IllumosIso) -> Result<Plan<'a>, IllumosIsoError> {
        let kernels = Kernels::of(iso.kernels.iter().map(|(path, _)| path)).ok_or(IllumosIsoError::NoKernel)?;
        let arguments = iso.kernel_args.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        check_arguments(&arguments)?;
        let archives = kernels.archive_paths();
        let mut volume = Volume::new(&iso.label, iso.epoch)?;
        let mut disk = None;
        match &iso.loader {
            IllumosLoader::Loader(files) => {
                add_boot_program(&mut volume, &path("/boot/cdboot"), &files.cdboot)?;
                for (name, bytes) in &files.tree {
                    volume.add_file(name, FILE, Blob::from_bytes(&bytes[..]))?;
                }
                let conf = LoaderConf { kernels, kernel_args: &arguments, hash: true, menu: false };
                volume.add_file(&path(LOADER_CONF), FILE, text(conf.text()?))?;
                let efi = EfiPartition::add(&mut volume, efi_programs(files, iso.epoch)?);
                disk = Some(DiskBoot { files, efi });
            }
            IllumosLoader::Grub2 { path: place, core, directory } => {
                add_boot_program(&mut volume, place, core)?;
                let config = grub2::config(&iso.label, kernels, &archives[0], &arguments);
                volume.add_file(&directory.join(b"grub.cfg"), FILE, text(config))?;
            }
            IllumosLoader::GrubLegacy { stage2 } => {
                add_boot_program(&mut volume, &path(grub_legacy::STAGE2), stage2)?;
                let menu = grub_legacy::menu(&iso.label, kernels, &archives[0], &arguments);
                volume.add_file(&path(grub_legacy::MENU), FILE, text(menu))?;
            }
        }
        add_platform(&mut volume, iso, &archives)?;
        Ok(Plan { layout: volume.layout()?, disk })
    }

    /// The sectors that carry serial numbers and signatures.
    fn identity_pieces(&self, identity: &Identity) -> Vec<Piece> {
        let Some(DiskBoot { files, efi }) = &self.disk else { return Vec::new() };
        let mut pieces = files.hybrid.pieces(Some(&efi.range(&self.layout)), identity);
        pieces.extend(efi.boot_sectors(&self.layout, identity));
        pieces
    }
}

/// The FAT file system with the programs for UEFI firmware. They find their files on the ISO 9660 volume around it.
fn efi_programs(files: &LoaderFiles, epoch: u64) -> Result<FatImage, FatError> {
    let programs = [("BOOTX64.EFI", Some(&files.loader64)), ("BOOTIA32.EFI", files.loader32.as_ref())];
    let fat_files = programs.into_iter().filter_map(|(name, bytes)| {
        let blob = Blob::from_bytes(&bytes?[..]);
        Some(FatFile { path: format!("EFI/BOOT/{name}"), blob })
    });
    FatImage::plan(fat_files.collect(), epoch)
}

/// Adds the kernels and the archive with its digest, under every name that the loader can ask for.
fn add_platform(volume: &mut Volume, iso: &IllumosIso, archives: &[RootPath]) -> Result<(), IsoError> {
    for (name, kernel) in &iso.kernels {
        volume.add_file(name, FILE, kernel.clone())?;
    }
    for (suffix, blob) in [("", iso.archive.clone()), (".hash", text(hash_file(&iso.sha1)))] {
        let size = blob.len();
        let extent = volume.add_extent(blob);
        for archive in archives {
            volume.add(&path(&format!("{archive}{suffix}")), FILE, whole(extent, size))?;
        }
    }
    Ok(())
}
