//! The boot loaders, which come from the packages of the source root and never from the machine minroot runs on.

use crate::path::RootPath;
use crate::root::Root;

/// The boot loaders of a Linux image; at least one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaders {
    pub bios: Option<BiosLoader>,
    pub uefi: Option<UefiLoader>,
}

/// isolinux, which reads the kernel and the archive from the ISO 9660 file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BiosLoader {
    /// `isolinux.bin`: the boot image of the CD.
    pub isolinux: Vec<u8>,
    /// `ldlinux.c32`: the module without which isolinux starts nothing.
    pub ldlinux: Vec<u8>,
    /// `isohdpfx.bin`: the MBR program that starts isolinux from a disk.
    pub mbr: Vec<u8>,
}

/// systemd-boot, which reads the kernel and the archive from the FAT file system that it was started from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UefiLoader {
    /// `systemd-bootx64.efi`.
    pub systemd_boot: Vec<u8>,
}

/// Why the loaders of a root cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadersError {
    #[error("the source root has no boot loader: neither `{ISOLINUX}` nor `{SYSTEMD_BOOT}`")]
    None,
    #[error("the boot loader is incomplete: `{path}` is missing")]
    Incomplete { path: &'static str, package: &'static str },
    #[error("cannot read the boot loader file `{path}`")]
    Read { path: &'static str, source: std::io::Error },
}

const ISOLINUX: &str = "/usr/lib/ISOLINUX/isolinux.bin";
const ISOHDPFX: &str = "/usr/lib/ISOLINUX/isohdpfx.bin";
const LDLINUX: &str = "/usr/lib/syslinux/modules/bios/ldlinux.c32";
const SYSTEMD_BOOT: &str = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";

/// Which package of Debian and Ubuntu has a loader file.
const PACKAGES: [(&str, &str); 4] =
    [(ISOLINUX, "isolinux"), (ISOHDPFX, "isolinux"), (LDLINUX, "syslinux-common"), (SYSTEMD_BOOT, "systemd-boot-efi")];

impl Loaders {
    /// Reads the loaders from where the packages of Debian and Ubuntu put them. A platform none of whose packages
    /// is in the root is left out; [`Loaders::missing_packages`] says which would add it.
    ///
    /// # Errors
    /// [`LoadersError`]: no loader at all, half of one, an unreadable file.
    pub fn find(root: &Root) -> Result<Loaders, LoadersError> {
        let bios = match (read(root, ISOLINUX)?, read(root, LDLINUX)?, read(root, ISOHDPFX)?) {
            (Some(isolinux), Some(ldlinux), Some(mbr)) => Some(BiosLoader { isolinux, ldlinux, mbr }),
            // syslinux-common alone is no sign that somebody wants to boot with isolinux.
            (None, _, _) => None,
            (Some(_), None, _) => return Err(incomplete(LDLINUX)),
            (Some(_), _, None) => return Err(incomplete(ISOHDPFX)),
        };
        let uefi = read(root, SYSTEMD_BOOT)?.map(|systemd_boot| UefiLoader { systemd_boot });
        if bios.is_none() && uefi.is_none() {
            return Err(LoadersError::None);
        }
        Ok(Loaders { bios, uefi })
    }

    /// The packages that would add the platforms that are not there.
    pub fn missing_packages(&self) -> Vec<&'static str> {
        let bios: &[_] = if self.bios.is_none() { &["isolinux", "syslinux-common"] } else { &[] };
        let uefi: &[_] = if self.uefi.is_none() { &["systemd-boot-efi"] } else { &[] };
        [bios, uefi].concat()
    }

    /// Bytes of all loader files.
    pub fn size(&self) -> u64 {
        let bios = self.bios.as_ref().map_or(0, |b| b.isolinux.len() + b.ldlinux.len() + b.mbr.len());
        let uefi = self.uefi.as_ref().map_or(0, |u| u.systemd_boot.len());
        (bios + uefi) as u64
    }
}

impl LoadersError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            LoadersError::None => Some(
                "add `isolinux` and `syslinux-common` (BIOS) and `systemd-boot-efi` (UEFI) to `apt` in the recipe"
                    .to_owned(),
            ),
            LoadersError::Incomplete { package, .. } => Some(format!("add `{package}` to `apt` in the recipe")),
            LoadersError::Read { .. } => None,
        }
    }
}

fn read(root: &Root, path: &'static str) -> Result<Option<Vec<u8>>, LoadersError> {
    let inside = RootPath::new(path).expect("a constant");
    root.read_optional(&inside).map_err(|source| LoadersError::Read { path, source })
}

fn incomplete(path: &'static str) -> LoadersError {
    let package = PACKAGES.iter().find(|(file, _)| *file == path).map_or("", |(_, package)| package);
    LoadersError::Incomplete { path, package }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(files: &[&str]) -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let path = directory.path().join(&file[1..]);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        let root = Root::open(directory.path()).unwrap();
        (directory, root)
    }

    #[test]
    fn each_platform_is_optional() {
        let (_directory, root) = root(&[SYSTEMD_BOOT, LDLINUX]);
        let loaders = Loaders::find(&root).unwrap();
        assert!(loaders.bios.is_none());
        assert_eq!(loaders.uefi.as_ref().unwrap().systemd_boot, SYSTEMD_BOOT.as_bytes());
        assert_eq!(loaders.missing_packages(), ["isolinux", "syslinux-common"]);
    }

    #[test]
    fn a_missing_file_is_told_with_its_package() {
        let (_directory, root) = root(&[ISOLINUX, ISOHDPFX]);
        let error = Loaders::find(&root).unwrap_err();
        assert_eq!(error.to_string(), format!("the boot loader is incomplete: `{LDLINUX}` is missing"));
        assert!(error.hint().unwrap().contains("syslinux-common"));
    }

    #[test]
    fn a_root_without_any_loader_is_an_error() {
        let (_directory, root) = root(&[]);
        let hint = Loaders::find(&root).unwrap_err().hint().unwrap();
        assert!(hint.contains("isolinux") && hint.contains("systemd-boot-efi"));
    }
}
