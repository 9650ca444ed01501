//! What is built into one glibc runtime linker: its default directories, `$LIB`, and where its cache is.
//!
//! These differ from distribution to distribution and from prefix to prefix, and the loader that counts is the one that
//! an executable names in `PT_INTERP`. All three are plain strings in the loader itself, so they are read from there
//! (glibc `elf/dl-load.c` `system_dirs`, `elf/dl-cache.c` `LD_SO_CACHE`); only a loader that is not in the
//! root is guessed at.

use crate::objects::elf::Identity;
use goblin::elf::header::{EM_386, EM_AARCH64, EM_ARM, EM_PPC, EM_PPC64, EM_RISCV, EM_S390, EM_X86_64};

/// What one runtime linker has built in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltIn {
    /// Directories that are searched last, in order, without trailing slash.
    pub default_directories: Vec<Vec<u8>>,
    /// What `$LIB` stands for: `lib/x86_64-linux-gnu` on Debian, `lib64` on Fedora.
    pub lib: Vec<u8>,
    /// `/etc/ld.so.cache`, or below a prefix.
    pub cache: Vec<u8>,
}

impl BuiltIn {
    /// Reads the strings of a loader; `None` when it has no list of directories.
    pub fn from_loader(bytes: &[u8]) -> Option<BuiltIn> {
        let default_directories = directory_list(bytes)?;
        let lib = default_directories[0].strip_prefix(b"/usr").unwrap_or(&default_directories[0]);
        let lib = lib.strip_prefix(b"/").unwrap_or(lib).to_vec();
        Some(BuiltIn { default_directories, lib, cache: cache_path(bytes) })
    }

    /// What a loader of this architecture has on an ordinary system, first of all its own directory.
    pub fn guess(interpreter: &[u8], identity: Identity) -> BuiltIn {
        let own = &interpreter[..interpreter.iter().rposition(|&b| b == b'/').unwrap_or(0)];
        let wide: &[u8] = if identity.bits == 64 { b"/lib64" } else { b"/lib" };
        let usr = [b"/usr", wide].concat();
        let mut default_directories = Vec::new();
        for directory in [own, wide, &usr, b"/lib", b"/usr/lib"] {
            if !directory.is_empty() && !default_directories.contains(&directory.to_vec()) {
                default_directories.push(directory.to_vec());
            }
        }
        BuiltIn { default_directories, lib: wide[1..].to_vec(), cache: b"/etc/ld.so.cache".to_vec() }
    }
}

/// The longest run of NUL-separated directory names that end in a slash, one of them a library directory.
fn directory_list(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut best: Vec<Vec<u8>> = Vec::new();
    for start in memchr::memmem::find_iter(bytes, b"\0/") {
        let run: Vec<Vec<u8>> = bytes[start + 1..]
            .split(|&b| b == 0)
            .take_while(|text| text.len() > 1 && text[0] == b'/' && text.ends_with(b"/") && text.is_ascii())
            .map(|text| text[..text.len() - 1].to_vec())
            .collect();
        let libraries = run.iter().any(|d| memchr::memmem::find(d, b"/lib").is_some());
        if libraries && run.len() > best.len() {
            best = run;
        }
    }
    (!best.is_empty()).then_some(best)
}

fn cache_path(bytes: &[u8]) -> Vec<u8> {
    const NAME: &[u8] = b"/ld.so.cache\0";
    memchr::memmem::find(bytes, NAME)
        .map(|at| {
            let start = memchr::memrchr(0, &bytes[..at]).map_or(at, |nul| nul + 1);
            bytes[start..at + NAME.len() - 1].to_vec()
        })
        .filter(|path| path.starts_with(b"/") && path.is_ascii())
        .unwrap_or_else(|| b"/etc/ld.so.cache".to_vec())
}

/// What `$PLATFORM` stands for: `AT_PLATFORM` of the kernel for this architecture.
pub fn platform(identity: Identity) -> &'static [u8] {
    match identity.machine {
        EM_X86_64 => b"x86_64",
        EM_386 => b"i686",
        EM_AARCH64 => b"aarch64",
        EM_PPC64 => b"ppc64le",
        EM_S390 => b"s390x",
        _ => b"",
    }
}

/// The soname of the library that the kernel maps into every process and that is no file (vdso(7)).
pub fn kernel_library(identity: Identity) -> &'static [u8] {
    match (identity.machine, identity.bits) {
        (EM_386, _) => b"linux-gate.so.1",
        (EM_PPC | EM_PPC64 | EM_S390, 32) => b"linux-vdso32.so.1",
        (EM_PPC | EM_PPC64 | EM_S390, _) => b"linux-vdso64.so.1",
        _ => b"linux-vdso.so.1",
    }
}

/// The loader that a library would be loaded by, when nothing else names one (glibc's ABI pages; Debian wiki
/// "Multiarch/Tuples").
pub fn usual_interpreter(identity: Identity) -> Option<&'static [u8]> {
    Some(match (identity.machine, identity.bits, identity.little_endian) {
        (EM_X86_64, 64, _) => b"/lib64/ld-linux-x86-64.so.2",
        (EM_X86_64, 32, _) => b"/libx32/ld-linux-x32.so.2",
        (EM_386, ..) => b"/lib/ld-linux.so.2",
        (EM_AARCH64, 64, true) => b"/lib/ld-linux-aarch64.so.1",
        (EM_PPC64, 64, true) => b"/lib64/ld64.so.2",
        (EM_S390, 64, _) => b"/lib/ld64.so.1",
        (EM_ARM, 32, true) => b"/lib/ld-linux-armhf.so.3",
        (EM_PPC64, 64, false) => b"/lib64/ld64.so.1",
        (EM_RISCV, 64, _) => b"/lib/ld-linux-riscv64-lp64d.so.1",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directories_of_a_loader_are_read_from_its_strings() {
        let bytes = b"junk\0/proc/\0x\0/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/\0\0\0/opt/px/etc/ld.so.cache\0";
        let built_in = BuiltIn::from_loader(bytes).unwrap();
        let directories: Vec<_> = built_in.default_directories.iter().map(|d| String::from_utf8_lossy(d)).collect();
        assert_eq!(directories, ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib"]);
        assert_eq!(built_in.lib, b"lib/x86_64-linux-gnu");
        assert_eq!(built_in.cache, b"/opt/px/etc/ld.so.cache");
        assert_eq!(BuiltIn::from_loader(b"\x7fELF nothing here"), None);
    }
}
