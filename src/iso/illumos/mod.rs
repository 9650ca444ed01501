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
//! [`pxe`] makes of the same parts a directory for machines that start from the network.
//!
//! Everything else is in the archive. What surprises: cdboot, the first program of all, reads the plain ISO 9660 names
//! and wants `/BOOT/LOADER`; all others read Rock Ridge (illumos-gate usr/src/boot/i386/cdboot/cdboot.S).

pub mod forth_includes;
mod grub2;
mod grub_legacy;
pub mod hybrid_mbr;
mod loader;
pub mod loader_conf;
pub mod pxe;

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

/// What a boot medium of illumos is made of, besides its boot loader.
#[derive(Debug, Clone)]
pub struct IllumosImage {
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
    /// Seconds since 1970: every date in the image.
    pub epoch: u64,
}

/// Why an illumos ISO cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum IllumosIsoError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot lay out the EFI system partition")]
    Fat(#[from] FatError),
    #[error("cannot lay out the ISO 9660 volume")]
    Iso(#[from] IsoError),
    #[error("cannot write `{}`", .path.display())]
    Write { path: std::path::PathBuf, source: std::io::Error },
}

/// Why what the kernel needs cannot be handed to it, whatever the medium.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("there is no kernel: neither `{UNIX_64}` nor `{UNIX_32}`")]
    NoKernel,
    #[error(transparent)]
    Arguments(#[from] LoaderConfError),
}

impl IllumosIsoError {
    /// What to do about it, where a cause does not say it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            IllumosIsoError::Start(error) => Some(error.hint()),
            IllumosIsoError::Fat(_) | IllumosIsoError::Iso(_) | IllumosIsoError::Write { .. } => None,
        }
    }
}

impl StartError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            StartError::NoKernel => "trace with rules/recipes/illumos-base.toml, or with a kernel as target",
            StartError::Arguments(_) => "correct `kernel_args` in [boot] of the recipe",
        }
    }
}

/// Writes the ISO with its `loader` to `path`, which is replaced when the new file is complete.
///
/// # Errors
/// [`IllumosIsoError`]. Nothing is left behind.
pub fn write_illumos_iso(
    image: &IllumosImage,
    loader: &IllumosLoader,
    path: &Path,
) -> Result<IsoReport, IllumosIsoError> {
    let plan = Plan::new(image, loader)?;
    let size = plan.layout.size();
    write_image(path, size, plan.layout.pieces(), |identity| plan.identity_pieces(identity))
        .map_err(|source| IllumosIsoError::Write { path: path.to_owned(), source })?;
    Ok(image.report(size, loader.size()))
}

/// The digest beside an archive, as `digest -a sha1` prints it and dboot compares it.
pub fn hash_file(sha1: &[u8; 20]) -> String {
    hex(sha1) + "\n"
}

/// What the loaders are told about an image.
struct Start {
    kernels: Kernels,
    arguments: String,
    /// Under which names the archive has to be on the medium.
    archives: Vec<RootPath>,
}

impl IllumosImage {
    fn start(&self) -> Result<Start, StartError> {
        let kernels = Kernels::of(self.kernels.iter().map(|(path, _)| path)).ok_or(StartError::NoKernel)?;
        let arguments = self.kernel_args.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        check_arguments(&arguments)?;
        Ok(Start { kernels, arguments, archives: kernels.archive_paths() })
    }

    /// The kernels and the archive with its digest, each with every name that a loader can ask for.
    fn platform(&self, archives: &[RootPath]) -> Vec<(Vec<RootPath>, Blob)> {
        let mut files: Vec<_> =
            self.kernels.iter().map(|(name, kernel)| (vec![name.clone()], kernel.clone())).collect();
        for (suffix, blob) in [("", self.archive.clone()), (".hash", text(hash_file(&self.sha1)))] {
            files.push((archives.iter().map(|archive| path(&format!("{archive}{suffix}"))).collect(), blob));
        }
        files
    }

    /// Of a medium of `total` bytes.
    fn report(&self, total: u64, loaders: u64) -> IsoReport {
        let kernel = self.kernels.iter().map(|(_, kernel)| kernel.len()).sum();
        IsoReport::new(total, kernel, self.archive.len(), loaders)
    }
}

impl Start {
    /// `/boot/loader.conf`.
    fn loader_conf(&self) -> Result<(RootPath, Blob), StartError> {
        let conf = LoaderConf { kernels: self.kernels, kernel_args: &self.arguments, hash: true, menu: false };
        Ok((path("/boot/loader.conf"), text(conf.text()?)))
    }

    /// `grub.cfg` in the directory that GRUB 2 looks into.
    fn grub_cfg(&self, title: &str, directory: &RootPath) -> (RootPath, Blob) {
        let config = grub2::config(title, self.kernels, &self.archives[0], &self.arguments);
        (directory.join(b"grub.cfg"), text(config))
    }

    /// `menu.lst` of GRUB legacy.
    fn menu_lst(&self, title: &str) -> (RootPath, Blob) {
        let menu = grub_legacy::menu(title, self.kernels, &self.archives[0], &self.arguments);
        (path(grub_legacy::MENU), text(menu))
    }
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
    fn new(image: &IllumosImage, loader: &'a IllumosLoader) -> Result<Plan<'a>, IllumosIsoError> {
        let start = image.start()?;
        let mut volume = Volume::new(&image.label, image.epoch)?;
        let mut disk = None;
        let (name, config) = match loader {
            IllumosLoader::Loader(files) => {
                add_boot_program(&mut volume, &path("/boot/cdboot"), &files.cdboot)?;
                for (name, bytes) in &files.tree {
                    volume.add_file(name, FILE, Blob::from_bytes(&bytes[..]))?;
                }
                let efi = EfiPartition::add(&mut volume, efi_programs(files, image.epoch)?);
                disk = Some(DiskBoot { files, efi });
                start.loader_conf()?
            }
            IllumosLoader::Grub2 { path: place, core, directory } => {
                add_boot_program(&mut volume, place, core)?;
                start.grub_cfg(&image.label, directory)
            }
            IllumosLoader::GrubLegacy { stage2 } => {
                add_boot_program(&mut volume, &path(grub_legacy::STAGE2), stage2)?;
                start.menu_lst(&image.label)
            }
        };
        volume.add_file(&name, FILE, config)?;
        for (names, blob) in image.platform(&start.archives) {
            let size = blob.len();
            let extent = volume.add_extent(blob);
            for name in names {
                volume.add(&name, FILE, whole(extent, size))?;
            }
        }
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
