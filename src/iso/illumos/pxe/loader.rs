//! The boot loader of an illumos root for the network, in the order of [`IllumosLoader`](super::super::IllumosLoader).

use super::super::loader::{self, IllumosLoaderError, LOADER32, LOADER64, PXEBOOT, read, required};
use super::super::{grub_legacy, grub2};
use crate::iso::parts::path as constant;
use crate::path::RootPath;
use crate::recipe::ForthFiles;
use crate::root::Root;
use std::collections::BTreeMap;

/// The files of a boot loader for the network, read from the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PxeLoader {
    Loader(Box<PxeFiles>),
    /// A core image that a BIOS starts from the network, its place, and the directory of `grub.cfg`.
    Grub2 {
        path: RootPath,
        core: Vec<u8>,
        directory: RootPath,
    },
    GrubLegacy {
        pxegrub: Vec<u8>,
    },
}

/// The loader of illumos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PxeFiles {
    /// What a BIOS starts; the loader itself is inside.
    pub pxeboot: Vec<u8>,
    /// What UEFI firmware starts.
    pub loader64: Vec<u8>,
    pub loader32: Option<Vec<u8>>,
    /// What these read, without what minroot writes itself.
    pub scripts: BTreeMap<RootPath, Vec<u8>>,
}

impl PxeLoader {
    /// Reads the loader of `root` with the scripts that `forth` asks for.
    ///
    /// # Errors
    /// [`IllumosLoaderError`]: no loader, part of one, an unreadable file.
    pub fn find(root: &Root, forth: ForthFiles) -> Result<PxeLoader, IllumosLoaderError> {
        if root.has(PXEBOOT) || root.has(LOADER64) {
            return Ok(PxeLoader::Loader(Box::new(PxeFiles {
                pxeboot: required(root, PXEBOOT)?,
                loader64: required(root, LOADER64)?,
                loader32: read(root, LOADER32)?,
                scripts: loader::scripts(root, forth)?,
            })));
        }
        for (path, directory) in grub2::NETWORK_CORES {
            if let Some(core) = read(root, path)? {
                return Ok(PxeLoader::Grub2 { path: constant(path), core, directory: constant(directory) });
            }
        }
        match read(root, grub_legacy::PXEGRUB)? {
            Some(pxegrub) => Ok(PxeLoader::GrubLegacy { pxegrub }),
            None => Err(IllumosLoaderError::NoneForNetwork),
        }
    }

    /// What a BIOS starts.
    pub(super) fn bios_program(&self) -> String {
        match self {
            PxeLoader::Loader(_) => PXEBOOT.to_owned(),
            PxeLoader::Grub2 { path, .. } => path.to_string(),
            PxeLoader::GrubLegacy { .. } => grub_legacy::PXEGRUB.to_owned(),
        }
    }

    /// All files with their places.
    pub(super) fn files(&self) -> Vec<(RootPath, &[u8])> {
        let program = constant(&self.bios_program());
        match self {
            PxeLoader::Grub2 { core, .. } => vec![(program, &core[..])],
            PxeLoader::GrubLegacy { pxegrub } => vec![(program, &pxegrub[..])],
            PxeLoader::Loader(files) => {
                let mut all = vec![(program, &files.pxeboot[..]), (constant(LOADER64), &files.loader64[..])];
                all.extend(files.loader32.as_ref().map(|bytes| (constant(LOADER32), &bytes[..])));
                all.extend(files.scripts.iter().map(|(path, bytes)| (path.clone(), &bytes[..])));
                all
            }
        }
    }

    /// Bytes of all these files.
    pub fn size(&self) -> u64 {
        self.files().iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }
}
