//! A path in the plain ISO 9660 tree, found as cdboot finds it: by the identifiers of the directory records, without Rock
//! Ridge (`usr/src/boot/i386/cdboot/cdboot.S`).
//!
//! cdboot compares byte for byte and leaves out only `;VERSION` and a dot at the end, so a name has to be all capitals
//! or all small, as one of the two paths is that it tries.

use crate::iso::{Blob, CD_SECTOR};

/// The root's directory record in the primary volume descriptor, in sector 16 (ECMA-119 section 8.4.18).
const ROOT_RECORD: u64 = 16 * CD_SECTOR + 156;

/// The largest directory that is searched.
const MAX_DIRECTORY: u64 = 1 << 20;

/// Where the file at `path` lies: its first sector and its bytes; `None` when cdboot finds none.
pub(super) fn find(image: &Blob, path: &str) -> Option<(u32, u64)> {
    let mut record = [0; 34];
    image.read_exact_at(ROOT_RECORD, &mut record).ok()?;
    let mut here = extent(&record)?;
    for component in path.split('/').filter(|component| !component.is_empty()) {
        let length = here.1.min(MAX_DIRECTORY);
        let directory = image.slice(u64::from(here.0) * CD_SECTOR, length)?.read().ok()?;
        here = find_in(&directory, component.as_bytes())?;
    }
    Some(here)
}

fn find_in(directory: &[u8], name: &[u8]) -> Option<(u32, u64)> {
    let sector = CD_SECTOR as usize;
    let mut at = 0;
    while let Some(&length) = directory.get(at) {
        if length == 0 {
            // The rest of the sector is empty.
            at = (at + 1).next_multiple_of(sector);
            continue;
        }
        let record = directory.get(at..at + usize::from(length))?;
        let identifier = record.get(33..33 + usize::from(*record.get(32)?))?;
        if stem(identifier) == name {
            return extent(record);
        }
        at += usize::from(length);
    }
    None
}

fn stem(identifier: &[u8]) -> &[u8] {
    let end = identifier.iter().position(|&byte| byte == b';').unwrap_or(identifier.len());
    identifier[..end].strip_suffix(b".").unwrap_or(&identifier[..end])
}

/// The first sector and the bytes that a directory record names.
fn extent(record: &[u8]) -> Option<(u32, u64)> {
    let field = |at: usize| Some(u32::from_le_bytes(record.get(at..at + 4)?.try_into().ok()?));
    Some((field(2)?, u64::from(field(10)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iso::iso9660::{Attributes, Volume};
    use crate::path::RootPath;

    fn image(paths: &[&str]) -> Vec<u8> {
        let mut volume = Volume::new("TEST", 0).unwrap();
        for path in paths {
            let attributes = Attributes { mode: 0o644, uid: 0, gid: 0 };
            volume.add_file(&RootPath::new(path).unwrap(), attributes, Blob::from_bytes(path.as_bytes())).unwrap();
        }
        let layout = volume.layout().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        layout.write(file.path()).unwrap();
        std::fs::read(file.path()).unwrap()
    }

    #[test]
    fn identifiers_are_compared_byte_for_byte_without_version() {
        let image = Blob::from_bytes(image(&["/boot/loader", "/boot/loader.rc", "/other"]));
        let (sector, length) = find(&image, "/BOOT/LOADER").unwrap();
        let content = image.slice(u64::from(sector) * CD_SECTOR, length).unwrap().read().unwrap();
        assert_eq!(content, b"/boot/loader");
        for missing in ["/boot/loader", "/BOOT/loader", "/BOOT/LOADE", "/OTHER/LOADER", "/NO"] {
            assert_eq!(find(&image, missing), None, "{missing}");
        }
        assert_eq!(stem(b"LOADER.;1"), b"LOADER");
        assert_eq!(stem(b"loader"), b"loader");
        assert_eq!(stem(b"LOADER.RC;1"), b"LOADER.RC");
    }

    #[test]
    fn damaged_directories_have_no_files() {
        let good = image(&["/boot/loader"]);
        for at in (16 * 2048..good.len()).step_by(7) {
            let mut bad = good.clone();
            bad[at] ^= 0xff;
            find(&Blob::from_bytes(bad), "/BOOT/LOADER");
        }
        let whole = find(&Blob::from_bytes(&good[..]), "/BOOT/LOADER");
        assert!(whole.is_some());
        for length in (0..good.len()).step_by(512) {
            let found = find(&Blob::from_bytes(&good[..length]), "/BOOT/LOADER");
            assert!(found.is_none() || found == whole && length > 18 * 2048, "{length}");
        }
    }
}
