//! The BIOS side of the loader: the boot image `cdboot`, which finds `/boot/loader`.

use super::super::{Component, Finding, Report, Severity};
use super::plain;
use crate::iso::eltorito::{self, CatalogEntry};
use crate::iso::{CD_SECTOR, IsoEntry, IsoImage};
use crate::text::size;

/// Blocks of 512 bytes that the firmware has to load: cdboot is one CD sector.
const LOAD_BLOCKS: u16 = 4;

/// The largest boot image that is read.
const MAX_IMAGE: u64 = 4 << 20;

/// What cdboot looks for, in this order.
const PATHS: [&str; 2] = ["/BOOT/LOADER", "/boot/loader"];

/// Checks the boot image and what it starts; whether `/boot/loader` gets to run.
pub(super) fn check(image: &IsoImage, entry: &CatalogEntry, file: &IsoEntry, report: &mut Report) -> bool {
    let n_before = report.findings.len();
    check_boot_image(image, entry, file, Component::Cdboot, report);
    let Some((path, (sector, length))) = PATHS.iter().find_map(|path| Some((*path, plain::find(image.image(), path)?)))
    else {
        let has_name =
            image.walk().is_ok_and(|entries| entries.iter().any(|entry| entry.path.as_bytes() == b"/boot/loader"));
        let hint = if has_name {
            "cdboot reads no Rock Ridge names: the plain name has to be /BOOT/LOADER or /boot/loader, in one case"
        } else {
            "the ISO has no /boot/loader; the package system/boot/loader (TRIBsys-boot-loader) has it"
        };
        report.find(prevents("File not found").at("/boot/loader").hint(hint));
        return false;
    };
    let whole = length > 0 && image.image().slice(u64::from(sector) * CD_SECTOR, length).is_some();
    if !whole {
        let hint = format!("{path} has {length} bytes from sector {sector} on; write the ISO again");
        report.find(prevents("Boot failed").at("/boot/loader").hint(hint));
        return false;
    }
    report.saw(Component::Cdboot, "/boot/loader", format_args!("{} as {path}", size(length)));
    report.findings.len() == n_before
}

/// The length and the boot info table of a boot image that needs them.
pub(super) fn check_boot_image(
    image: &IsoImage,
    entry: &CatalogEntry,
    file: &IsoEntry,
    component: Component,
    report: &mut Report,
) {
    report.saw(component, &file.path, format_args!("{} at sector {}", size(file.size), entry.sector));
    if entry.load_blocks < LOAD_BLOCKS {
        let message = format!("the BIOS loads {} of the 2048 bytes of the boot program", entry.load_blocks * 512);
        report.find(
            Finding::new(Severity::PreventsStart, component, message)
                .at(&file.path)
                .hint("the load size in the boot catalog has to be 4"),
        );
    }
    let content = image.content(file).ok().filter(|blob| blob.len() <= MAX_IMAGE).and_then(|blob| blob.read().ok());
    if !content.is_some_and(|bytes| eltorito::info_table_is_right(&bytes, entry.sector)) {
        report.find(
            Finding::new(Severity::PreventsStart, component, "Boot failed").at(&file.path).hint(
                "its boot info table (bytes 8 to 63) is not that of this file at this sector; write the ISO again",
            ),
        );
    }
}

fn prevents(message: &str) -> Finding {
    Finding::new(Severity::PreventsStart, Component::Cdboot, message)
}
