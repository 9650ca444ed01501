//! The UEFI side of the loader: the FAT image of the boot catalog, and in it the loader as `EFI/BOOT/BOOTX64.EFI`.

use super::super::iso::with_cause;
use super::super::{Component, Finding, Report, Severity, pe};
use super::files::Files;
use crate::iso::eltorito::CatalogEntry;
use crate::iso::fat::FatVolume;
use crate::iso::{Blob, IsoImage, ReadError};
use crate::text::size;

/// What firmware starts from a removable medium (UEFI specification 2.10, section 3.5.1.1).
const LOADER: &str = "EFI/BOOT/BOOTX64.EFI";
/// What it is a copy of.
const ORIGINAL: &str = "/boot/loader64.efi";

/// Checks the FAT image; whether its loader gets to run.
pub(super) fn check(image: &IsoImage, entry: &CatalogEntry, files: &Files<'_>, report: &mut Report) -> bool {
    let prevents = |message: String| Finding::new(Severity::PreventsStart, Component::Uefi, message);
    let shown = r"failed to load \EFI\BOOT\BOOTX64.EFI";
    let volume = match image.boot_image(entry).and_then(FatVolume::open) {
        Ok(volume) => volume,
        Err(error) => {
            let hint = "the EFI image cannot be read; write the ISO again";
            report.find(prevents(with_cause(&error)).hint(hint));
            return false;
        }
    };
    report.saw(Component::Uefi, "EFI image", format_args!("{:?} at sector {}", volume.kind(), entry.sector));
    let bytes = match volume.find(LOADER).and_then(|entry| volume.read(&entry)) {
        Ok(bytes) => bytes,
        Err(ReadError::NotFound(_)) => {
            let hint = "it is a copy of /boot/loader64.efi of the package system/boot/loader";
            report.find(prevents(format!("{shown}: Not Found")).at(LOADER).hint(hint));
            return false;
        }
        Err(error) => {
            report.find(prevents(format!("{shown}: Volume Corrupt: {}", with_cause(&error))).at(LOADER));
            return false;
        }
    };
    if let Err(problem) = pe::check(&Blob::from_bytes(&bytes[..])) {
        report.find(prevents(format!("{shown}: {}", problem.status())).at(LOADER).hint(problem.to_string()));
        return false;
    }
    let original = files.open(ORIGINAL).and_then(|file| file.blob.read().ok());
    if original.is_some_and(|original| original != bytes) {
        let message = format!("{LOADER} is not the {ORIGINAL} of this ISO");
        report.find(Finding::new(Severity::Warning, Component::Uefi, message).at(LOADER));
    }
    report.saw(Component::Uefi, format_args!("/{LOADER}"), size(bytes.len() as u64));
    true
}
