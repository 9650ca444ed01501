//! Linux kernel modules: what a kernel version offers, what some hardware needs of it, and the indexes modprobe reads.
//!
//! ```text
//! modules.dep, modules.alias, … ──┐
//!                                 ├─► ModuleIndex ─► select ─► files to keep, order to load them in, reasons
//! .modinfo of every module ───────┘        └───────► depmod ─► fresh indexes for the modules that were kept
//! ```
//!
//! An unpacked kernel package has no `modules.dep`: depmod(8) runs only when the package is installed. The surprising
//! thing is therefore that everything depmod writes can be had from the modules' own `.modinfo`, and that this is the
//! fallback whenever the indexes do not fit the files. Only files of the target root decide; the running kernel of this
//! machine (`/proc`, `/sys`, `uname`) is never asked.

pub mod depmod;
mod elf;
mod firmware;
#[cfg(test)]
mod fixture;
pub mod hardware;
mod index;
mod modinfo;
mod nearest;
mod order;
mod pattern;
mod scan;
mod select;
mod text;
mod trie;

pub use firmware::{FirmwareFile, firmware_directories};
pub use index::{Builtin, IndexError, Module, ModuleId, ModuleIndex, Origin, Stale, versions};
pub use modinfo::{MAX_MODULE_SIZE, Modinfo, ModinfoError, ModuleError, decompress};
pub use pattern::alias_matches;
pub use select::{Edge, Missing, Referrer, Request, SelectedModule, Selection, Wanted, select};

use std::fmt;
use std::sync::Arc;

/// The name of a module as the kernel knows it: `-` is `_`, no directory, no suffix.
///
/// modprobe(8) treats `snd-hda-intel` and `snd_hda_intel` as one name, and so does this type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleName(Arc<str>);

impl ModuleName {
    /// The module that a user, a dependency list or a path such as `kernel/fs/a-b.ko.xz` means.
    ///
    /// Like kmod, everything from the first dot of the file name on is the suffix.
    pub fn new(text: &str) -> ModuleName {
        let file_name = text.rsplit('/').next().unwrap_or(text);
        let stem = file_name.split('.').next().unwrap_or(file_name);
        ModuleName(stem.replace('-', "_").into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Lets a map be asked with a name that is known to be spelled the kernel's way, without making a [`ModuleName`] of it.
impl std::borrow::Borrow<str> for ModuleName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a module or firmware file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
}

impl Compression {
    /// What the suffix of a file name says.
    pub fn of_name(name: &[u8]) -> Compression {
        match name.rsplit(|&b| b == b'.').next() {
            Some(b"gz") => Compression::Gzip,
            Some(b"xz") => Compression::Xz,
            Some(b"zst") => Compression::Zstd,
            _ => Compression::None,
        }
    }

    /// What the first bytes say, as kmod decides: a wrong suffix does not matter to it.
    fn sniff(head: &[u8]) -> Compression {
        match head {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }

    /// The suffix with its dot; empty for an uncompressed file.
    pub fn suffix(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Xz => ".xz",
            Compression::Zstd => ".zst",
        }
    }
}

/// Whether a file name is that of a kernel module, compressed or not.
fn is_module_file(name: &[u8]) -> bool {
    let stem = name.strip_suffix(Compression::of_name(name).suffix().as_bytes()).unwrap_or(name);
    stem.ends_with(b".ko") && stem.len() > 3 && name.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_module_name_are_equal() {
        let name = ModuleName::new("snd_hda_intel");
        for text in ["snd-hda-intel", "snd_hda-intel.ko", "kernel/sound/snd-hda-intel.ko.zst", "snd-hda-intel.ko.gz"] {
            assert_eq!(ModuleName::new(text), name, "{text}");
        }
    }

    #[test]
    fn module_files_are_told_by_their_suffix() {
        for name in ["a.ko", "a.ko.gz", "a.ko.xz", "a.ko.zst"] {
            assert!(is_module_file(name.as_bytes()), "{name}");
        }
        for name in [".ko", "a.kob", "a.ko.bz2", "ko", "a.ko.", "caf\u{e9}.ko", "modules.dep"] {
            assert!(!is_module_file(name.as_bytes()), "{name}");
        }
    }
}
