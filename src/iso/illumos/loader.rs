//! The boot loader of an illumos root: its own loader, GRUB 2 or GRUB legacy, whichever is there.
//!
//! A root of before 2016 has GRUB legacy, a later one the loader, and GRUB 2 is put there by hand: so where several
//! are, the loader goes before GRUB 2, and that before GRUB legacy.

use super::forth_includes::{FIRST_SCRIPT, IncludesError, reached};
use super::hybrid_mbr::{HybridMbr, HybridMbrError};
use super::{grub_legacy, grub2};
use crate::iso::parts::path as constant;
use crate::path::RootPath;
use crate::recipe::ForthFiles;
use crate::root::{FileKind, Root};
use std::collections::{BTreeMap, BTreeSet};

/// The files of a boot loader, read from the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IllumosLoader {
    Loader(Box<LoaderFiles>),
    /// A core image that a BIOS starts from CD, its place, and the directory of `grub.cfg`.
    Grub2 {
        path: RootPath,
        core: Vec<u8>,
        directory: RootPath,
    },
    /// `stage2_eltorito`.
    GrubLegacy {
        stage2: Vec<u8>,
    },
}

/// The loader of illumos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderFiles {
    /// What a BIOS starts from CD.
    pub cdboot: Vec<u8>,
    /// What a BIOS starts from disk.
    pub hybrid: HybridMbr,
    /// What UEFI firmware starts.
    pub loader64: Vec<u8>,
    pub loader32: Option<Vec<u8>>,
    /// What these read from the ISO, `/boot/loader` first among them, without what minroot writes itself.
    pub tree: BTreeMap<RootPath, Vec<u8>>,
}

/// Why the loader of a root cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IllumosLoaderError {
    #[error("the root has no boot loader: none of `{CDBOOT}`, `{}` and `{}`", grub2::CORES[0].0, grub_legacy::STAGE2)]
    None,
    #[error("the root has no boot loader for the network: none of `{PXEBOOT}`, `{}` and `{}`", grub2::NETWORK_CORES[0].0, grub_legacy::PXEGRUB)]
    NoneForNetwork,
    #[error("the boot loader is incomplete: `{0}` is missing")]
    Incomplete(&'static str),
    #[error("the boot loader is incomplete")]
    Script(#[from] IncludesError),
    #[error(transparent)]
    Hybrid(#[from] HybridMbrError),
    #[error("cannot read the boot loader file `{path}`")]
    Read { path: String, source: std::io::Error },
}

const CDBOOT: &str = "/boot/cdboot";
const LOADER: &str = "/boot/loader";
pub(super) const PXEBOOT: &str = "/boot/pxeboot";
pub(super) const LOADER64: &str = "/boot/loader64.efi";
pub(super) const LOADER32: &str = "/boot/loader32.efi";
const PMBR: &str = "/boot/pmbr";
const ISOBOOT: &str = "/boot/isoboot";
/// By this file the loader of UEFI recognizes the file system that it was meant for.
const DEFAULTS: &str = "/boot/defaults/loader.conf";
const BOOTENV: &str = "/boot/solaris/bootenv.rc";
const FORTH: &str = "/boot/forth";
/// Included under names that are put together from variables; these are the usual values.
const BRAND: &str = "/boot/forth/brand-illumos.4th";
const LOGO: &str = "/boot/forth/logo-illumos.4th";

/// What minroot writes, should a script include it.
const WRITTEN: [&[u8]; 1] = [b"/boot/loader.conf"];

impl IllumosLoader {
    /// Reads the loader of `root` with the scripts that `forth` asks for.
    ///
    /// # Errors
    /// [`IllumosLoaderError`]: no loader, part of one, an unreadable file.
    pub fn find(root: &Root, forth: ForthFiles) -> Result<IllumosLoader, IllumosLoaderError> {
        if root.has(CDBOOT) || root.has(LOADER64) || root.has(LOADER) {
            return Ok(IllumosLoader::Loader(Box::new(LoaderFiles::read(root, forth)?)));
        }
        for (path, directory) in grub2::CORES {
            if let Some(core) = read(root, path)? {
                let (path, directory) = (constant(path), constant(directory));
                return Ok(IllumosLoader::Grub2 { path, core, directory });
            }
        }
        match read(root, grub_legacy::STAGE2)? {
            Some(stage2) => Ok(IllumosLoader::GrubLegacy { stage2 }),
            None => Err(IllumosLoaderError::None),
        }
    }

    /// Bytes of all loader files that go onto an ISO.
    pub fn size(&self) -> u64 {
        let bytes = match self {
            IllumosLoader::Grub2 { core, .. } => core.len(),
            IllumosLoader::GrubLegacy { stage2 } => stage2.len(),
            IllumosLoader::Loader(files) => {
                let efi = files.loader64.len() + files.loader32.as_ref().map_or(0, Vec::len);
                let tree: usize = files.tree.values().map(Vec::len).sum();
                // pmbr and isoboot lie in the blocks in front of the volume, which are part of the rest.
                files.cdboot.len() + efi + tree
            }
        };
        bytes as u64
    }
}

impl LoaderFiles {
    fn read(root: &Root, forth: ForthFiles) -> Result<LoaderFiles, IllumosLoaderError> {
        let cdboot = required(root, CDBOOT)?;
        let (pmbr, isoboot) = (required(root, PMBR)?, required(root, ISOBOOT)?);
        let loader64 = required(root, LOADER64)?;
        let mut tree = scripts(root, forth)?;
        tree.insert(constant(LOADER), required(root, LOADER)?);
        let hybrid = HybridMbr::new(pmbr, isoboot)?;
        Ok(LoaderFiles { cdboot, hybrid, loader64, loader32: read(root, LOADER32)?, tree })
    }
}

/// What the loader interprets: its scripts and its configuration, without what minroot writes.
pub(super) fn scripts(root: &Root, forth: ForthFiles) -> Result<BTreeMap<RootPath, Vec<u8>>, IllumosLoaderError> {
    for path in [FIRST_SCRIPT, DEFAULTS] {
        if !root.has(path) {
            return Err(IllumosLoaderError::Incomplete(path));
        }
    }
    let mut tree = reached(|path| root.read_optional(path), &BTreeSet::new())?;
    tree.retain(|path, _| !WRITTEN.contains(&path.as_bytes()));
    for path in [DEFAULTS, BOOTENV, BRAND, LOGO] {
        if let Some(bytes) = read(root, path)? {
            tree.insert(constant(path), bytes);
        }
    }
    if forth == ForthFiles::All && root.has(FORTH) {
        for found in root.walk(&constant(FORTH)) {
            let io = |error| IllumosLoaderError::Read { path: FORTH.to_owned(), source: std::io::Error::other(error) };
            let found = found.map_err(io)?;
            if found.info.kind == FileKind::File && !tree.contains_key(&found.path) {
                let failed = |source| IllumosLoaderError::Read { path: found.path.to_string(), source };
                let bytes = root.read(&found).map_err(failed)?;
                tree.insert(found.path, bytes);
            }
        }
    }
    Ok(tree)
}

impl IllumosLoaderError {
    /// Which package to add, in both families of names.
    pub fn hint(&self) -> Option<String> {
        match self {
            IllumosLoaderError::None | IllumosLoaderError::NoneForNetwork => {
                Some(format!("{LOADER_PACKAGE}, or GRUB ({GRUB_PACKAGE})"))
            }
            IllumosLoaderError::Incomplete(_) | IllumosLoaderError::Script(IncludesError::Missing { .. }) => {
                Some(LOADER_PACKAGE.to_owned())
            }
            IllumosLoaderError::Script(IncludesError::NoFirstScript) => Some(LOADER_PACKAGE.to_owned()),
            IllumosLoaderError::Hybrid(_) => {
                Some(format!("its files are no longer those of the package: {LOADER_PACKAGE}"))
            }
            IllumosLoaderError::Script(IncludesError::Read { .. }) | IllumosLoaderError::Read { .. } => None,
        }
    }
}

const LOADER_PACKAGE: &str = "add the package `TRIBsys-boot-loader` (IPS: `system/boot/loader`) to the root";
const GRUB_PACKAGE: &str = "`TRIBsys-boot-grub`, `SUNWgrub`; IPS: `system/boot/grub`";

pub(super) fn required(root: &Root, path: &'static str) -> Result<Vec<u8>, IllumosLoaderError> {
    read(root, path)?.ok_or(IllumosLoaderError::Incomplete(path))
}

pub(super) fn read(root: &Root, path: &str) -> Result<Option<Vec<u8>>, IllumosLoaderError> {
    let failed = |source| IllumosLoaderError::Read { path: path.to_owned(), source };
    root.read_optional(&constant(path)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(files: &[&str]) -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let path = directory.path().join(&file[1..]);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let content = if *file == PMBR { vec![0xfa; 512] } else { file.as_bytes().to_vec() };
            std::fs::write(path, content).unwrap();
        }
        let root = Root::open(directory.path()).unwrap();
        (directory, root)
    }

    const WHOLE: [&str; 9] =
        [CDBOOT, PMBR, ISOBOOT, LOADER64, LOADER, FIRST_SCRIPT, DEFAULTS, "/boot/forth/x.4th", grub_legacy::STAGE2];

    #[test]
    fn the_loader_goes_before_grub() {
        let (_directory, root) = root(&WHOLE);
        let IllumosLoader::Loader(files) = IllumosLoader::find(&root, ForthFiles::All).unwrap() else { panic!() };
        let tree: Vec<String> = files.tree.keys().map(ToString::to_string).collect();
        assert_eq!(tree, [DEFAULTS, "/boot/forth/x.4th", LOADER, FIRST_SCRIPT]);
        assert_eq!(files.loader32, None);
        let IllumosLoader::Loader(files) = IllumosLoader::find(&root, ForthFiles::Needed).unwrap() else { panic!() };
        assert_eq!(files.tree.len(), 3);
    }

    #[test]
    fn each_missing_file_is_told_with_its_package() {
        for missing in &WHOLE[..7] {
            let files: Vec<&str> = WHOLE.into_iter().filter(|file| file != missing).collect();
            let (_directory, root) = root(&files);
            let error = IllumosLoader::find(&root, ForthFiles::All).unwrap_err();
            assert_eq!(error.to_string(), format!("the boot loader is incomplete: `{missing}` is missing"));
            let hint = error.hint().unwrap();
            assert!(hint.contains("TRIBsys-boot-loader") && hint.contains("system/boot/loader"), "{hint}");
        }
    }

    #[test]
    fn roots_without_the_loader_may_have_a_grub() {
        let (_directory, with_grub2) = root(&[grub2::CORES[2].0, grub_legacy::STAGE2]);
        let found = IllumosLoader::find(&with_grub2, ForthFiles::All).unwrap();
        assert!(matches!(found, IllumosLoader::Grub2 { directory, .. } if directory == constant("/boot/grub2")));
        let (_directory, with_legacy) = root(&[grub_legacy::STAGE2]);
        let found = IllumosLoader::find(&with_legacy, ForthFiles::All).unwrap();
        assert_eq!(found, IllumosLoader::GrubLegacy { stage2: grub_legacy::STAGE2.into() });
        let (_directory, without) = root(&[]);
        let hint = IllumosLoader::find(&without, ForthFiles::All).unwrap_err().hint().unwrap();
        assert!(hint.contains("system/boot/loader") && hint.contains("SUNWgrub"), "{hint}");
    }
}
