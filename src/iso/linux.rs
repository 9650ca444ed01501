//! Kernel, archive and boot loaders to a bootable Linux ISO.
//!
//! With UEFI the kernel and the archive lie in the FAT file system only, and the ISO 9660 files that isolinux opens
//! are the same sectors under other names:
//!
//! ```text
//! ISO 9660    MBR, GPT | directories | isolinux.bin ldlinux.c32 *.cfg | FAT ........................ | GPT
//!             /boot/vmlinuz, /boot/initrd.img ──────────────────┐       |
//! FAT (ESP)                                          EFI loader │ /vmlinuz /initrd.img
//!                                                               └──────►^^^^^^^^^^^^^^
//! ```

use super::fat::{FatError, FatFile, FatImage};
use super::hybrid::{BACKUP_BYTES, BiosBoot, Disk, MAX_BOOT_CODE};
use super::iso9660::{ExtentId, IsoError, IsoLayout, Node, Range, Volume};
use super::output::{Identity, Piece, write_image};
use super::parts::{EfiPartition, FILE, IsoReport, add_boot_program, offset_of, path, text};
use super::{Blob, Loaders};
use std::path::Path;

/// What a Linux ISO is made of.
#[derive(Debug, Clone)]
pub struct LinuxIso {
    /// The bzImage.
    pub kernel: Blob,
    /// The initramfs, compressed or not.
    pub archive: Blob,
    /// The complete kernel command line.
    pub kernel_args: String,
    /// 1 to 32 characters of ASCII.
    pub label: String,
    pub loaders: Loaders,
    /// Seconds since 1970: every date in the image.
    pub epoch: u64,
}

/// Why a Linux ISO cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum LinuxIsoError {
    #[error("no boot loader is given")]
    NoLoader,
    #[error("the kernel command line has a control character, which no loader configuration can express")]
    BadKernelArgs,
    #[error("isolinux cannot pass on a kernel command line of {0} bytes, more than {MAX_KERNEL_ARGS}")]
    KernelArgsTooLong(usize),
    #[error("the MBR program has {0} bytes, more than the {MAX_BOOT_CODE} that there is room for")]
    MbrTooLong(usize),
    #[error("cannot lay out the EFI system partition")]
    Fat(#[from] FatError),
    #[error("cannot lay out the ISO 9660 volume")]
    Iso(#[from] IsoError),
    #[error("cannot write `{}`", .path.display())]
    Write { path: std::path::PathBuf, source: std::io::Error },
}

impl LinuxIsoError {
    /// What to do about it, where a cause does not say it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            LinuxIsoError::BadKernelArgs | LinuxIsoError::KernelArgsTooLong(_) => {
                Some("correct `kernel_args` in [boot] of the recipe, and trace it again")
            }
            LinuxIsoError::MbrTooLong(_) => Some("unpack the package `isolinux` again into the root"),
            LinuxIsoError::NoLoader | LinuxIsoError::Fat(_) | LinuxIsoError::Iso(_) | LinuxIsoError::Write { .. } => {
                None
            }
        }
    }
}

/// The x86 boot protocol takes 2047 bytes (`COMMAND_LINE_SIZE`, arch/x86/include/asm/setup.h); isolinux adds
/// `BOOT_IMAGE=/boot/vmlinuz initrd=/boot/initrd.img` to the line.
const MAX_KERNEL_ARGS: usize = 1960;

/// The names in the FAT file system.
const FAT_KERNEL: &str = "vmlinuz";
const FAT_ARCHIVE: &str = "initrd.img";

/// Writes the ISO to `path`, which is replaced when the new file is complete.
///
/// # Errors
/// [`LinuxIsoError`]. Nothing is left behind.
pub fn write_linux_iso(iso: &LinuxIso, path: &Path) -> Result<IsoReport, LinuxIsoError> {
    check(iso)?;
    let plan = Plan::new(iso)?;
    let size = plan.layout.size();
    write_image(path, size, plan.layout.pieces(), |identity| plan.identity_pieces(identity))
        .map_err(|source| LinuxIsoError::Write { path: path.to_owned(), source })?;
    Ok(IsoReport::new(size, iso.kernel.len(), iso.archive.len(), iso.loaders.size()))
}

fn check(iso: &LinuxIso) -> Result<(), LinuxIsoError> {
    if iso.loaders.bios.is_none() && iso.loaders.uefi.is_none() {
        return Err(LinuxIsoError::NoLoader);
    }
    if iso.kernel_args.contains(|c: char| c.is_control()) {
        return Err(LinuxIsoError::BadKernelArgs);
    }
    if iso.kernel_args.len() > MAX_KERNEL_ARGS && iso.loaders.bios.is_some() {
        return Err(LinuxIsoError::KernelArgsTooLong(iso.kernel_args.len()));
    }
    match &iso.loaders.bios {
        Some(bios) if bios.mbr.len() > MAX_BOOT_CODE => Err(LinuxIsoError::MbrTooLong(bios.mbr.len())),
        _ => Ok(()),
    }
}

/// The laid-out image, and what is needed for the parts that are written last.
struct Plan<'a> {
    layout: IsoLayout,
    isolinux: Option<(ExtentId, &'a [u8])>,
    efi: Option<EfiPartition>,
}

impl<'a> Plan<'a> {
    fn new(iso: &'a LinuxIso) -> Result<Plan<'a>, LinuxIsoError> {
        let mut volume = Volume::new(&iso.label, iso.epoch)?;
        let isolinux = match &iso.loaders.bios {
            Some(bios) => {
                let extent = add_boot_program(&mut volume, &path("/isolinux/isolinux.bin"), &bios.isolinux)?;
                volume.add_file(&path("/isolinux/ldlinux.c32"), FILE, Blob::from_bytes(&bios.ldlinux[..]))?;
                let config = text(isolinux_config(&iso.kernel_args));
                volume.add_file(&path("/isolinux/isolinux.cfg"), FILE, config)?;
                Some((extent, &bios.mbr[..]))
            }
            None => None,
        };
        let efi = match &iso.loaders.uefi {
            Some(uefi) => Some(add_efi(&mut volume, iso, &uefi.systemd_boot)?),
            None => {
                volume.add_file(&path("/boot/vmlinuz"), FILE, iso.kernel.clone())?;
                volume.add_file(&path("/boot/initrd.img"), FILE, iso.archive.clone())?;
                None
            }
        };
        Ok(Plan { layout: volume.layout()?, isolinux, efi })
    }

    /// The sectors that carry serial numbers and GUIDs.
    fn identity_pieces(&self, identity: &Identity) -> Vec<Piece> {
        let program = |(extent, code): &(ExtentId, &[u8])| BiosBoot {
            code: code.to_vec(),
            program: offset_of(&self.layout, *extent),
        };
        let esp = self.efi.as_ref().map(|efi| efi.range(&self.layout));
        let disk = Disk { size: self.layout.size(), bios: self.isolinux.as_ref().map(program), esp };
        let mut pieces = disk.pieces(identity);
        pieces.extend(self.efi.iter().flat_map(|efi| efi.boot_sectors(&self.layout, identity)));
        pieces
    }
}

/// Adds the FAT image, makes it bootable, and gives the kernel and the archive inside it ISO 9660 names.
fn add_efi(volume: &mut Volume, iso: &LinuxIso, systemd_boot: &[u8]) -> Result<EfiPartition, LinuxIsoError> {
    let file = |path: &str, blob: Blob| FatFile { path: path.to_owned(), blob };
    let fat = FatImage::plan(
        vec![
            file("EFI/BOOT/BOOTX64.EFI", Blob::from_bytes(systemd_boot)),
            file("loader/loader.conf", text("timeout 0\n".to_owned())),
            file("loader/entries/linux.conf", text(boot_entry(&iso.label, &iso.kernel_args))),
            file(FAT_KERNEL, iso.kernel.clone()),
            file(FAT_ARCHIVE, iso.archive.clone()),
        ],
        iso.epoch,
    )?;
    let efi = EfiPartition::add(volume, fat);
    for (name, in_fat, size) in
        [("/boot/vmlinuz", FAT_KERNEL, iso.kernel.len()), ("/boot/initrd.img", FAT_ARCHIVE, iso.archive.len())]
    {
        let range = Range { extent: efi.extent, offset: efi.fat.offset_of(in_fat).unwrap_or(0), size };
        volume.add(&path(name), FILE, Node::File(range))?;
    }
    volume.reserve_tail(BACKUP_BYTES);
    Ok(efi)
}

/// isolinux finds this in `/isolinux`; without a prompt and a timeout it starts the default at once.
fn isolinux_config(kernel_args: &str) -> String {
    format!(
        "DEFAULT linux\nPROMPT 0\nTIMEOUT 0\n\
         LABEL linux\n  LINUX /boot/vmlinuz\n  INITRD /boot/initrd.img\n  APPEND {kernel_args}\n"
    )
}

/// A type 1 entry of the Boot Loader Specification.
fn boot_entry(title: &str, kernel_args: &str) -> String {
    format!("title {title}\nlinux /{FAT_KERNEL}\ninitrd /{FAT_ARCHIVE}\noptions {kernel_args}\n")
}
