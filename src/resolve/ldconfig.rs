//! What ldconfig(8) does for the glibc loader: `ld.so.conf` in, `ld.so.cache` out.
//!
//! The loader itself never reads `ld.so.conf`. A directory that only the configuration names is searched through the
//! cache, so an image with a library in such a directory needs a cache; minroot writes one for just these libraries.

use crate::path::RootPath;
use crate::root::Root;
use std::collections::BTreeSet;

/// How deep `include` lines may nest before they are taken for a circle.
const INCLUDE_LIMIT: usize = 16;

/// The directories of a configuration file and all it includes, in order, each once, as they are spelled there but
/// without slashes at the end.
///
/// Relative patterns are relative to the including file's directory; a pattern that matches nothing is no error, as in
/// ldconfig. `hwcap` lines are obsolete and ignored.
pub fn directories(root: &Root, configuration: &RootPath) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    read(root, configuration, INCLUDE_LIMIT, &mut BTreeSet::new(), &mut found);
    let mut seen = BTreeSet::new();
    found.retain(|directory| seen.insert(directory.clone()));
    found
}

/// What a file says, unless it is among `read_files`: once more it would say nothing new.
fn read(
    root: &Root,
    configuration: &RootPath,
    depth: usize,
    read_files: &mut BTreeSet<RootPath>,
    found: &mut Vec<Vec<u8>>,
) {
    if !read_files.insert(configuration.clone()) {
        return;
    }
    let Ok(Some(bytes)) = root.read_optional(configuration) else { return };
    for line in bytes.split(|&b| b == b'\n') {
        let line = line.split(|&b| b == b'#').next().unwrap_or_default().trim_ascii();
        let mut words = line.split(u8::is_ascii_whitespace);
        match words.next() {
            None | Some(b"" | b"hwcap") => {}
            Some(b"include") => {
                let base = configuration.parent().unwrap_or_else(RootPath::root);
                for pattern in words.filter(|word| !word.is_empty()).map(String::from_utf8_lossy) {
                    let pattern =
                        if pattern.starts_with('/') { pattern.into_owned() } else { format!("{base}/{pattern}") };
                    for file in root.glob(&as_of_glob_3(pattern)).iter().filter(|_| depth > 0) {
                        read(root, file, depth - 1, read_files, found);
                    }
                }
            }
            Some(_) => {
                // `DIRECTORY=TYPE` is an old way to force a library type.
                let directory = line.split(|&b| b == b'=').next().unwrap_or(line).trim_ascii_end();
                if directory.starts_with(b"/") {
                    let end = directory.iter().rposition(|&b| b != b'/').map_or(1, |last| last + 1);
                    found.push(directory[..end].to_vec());
                }
            }
        }
    }
}

/// A pattern of glob(3), to which braces and a second star mean nothing.
fn as_of_glob_3(mut pattern: String) -> String {
    while pattern.contains("**") {
        pattern = pattern.replace("**", "*");
    }
    pattern.replace('{', "[{]").replace('}', "[}]")
}

/// Whether ldconfig looks into a file of this name (glibc `elf/dl-is_dso.h` `_dl_is_dso`, `elf/ldconfig.c`
/// `skip_dso_based_on_name`).
pub fn is_library_name(name: &[u8]) -> bool {
    let begins = |prefix: &[u8]| name.starts_with(prefix);
    let library = (begins(b"lib") || begins(b"ld-")) && memchr::memmem::find(name, b".so").is_some();
    (library || begins(b"ld.so.") || begins(b"ld64.so.")) && !name.ends_with(b"-gdb.py")
}

/// The name under which ldconfig enters a library file, which is its soname; a link to the library keeps its own name
/// if that is the one for ld(1), `libx.so` (glibc `elf/ldconfig.c` `search_dir`). `None` for no library.
pub fn cache_key<'n>(file: &'n [u8], is_link: bool, soname: Option<&'n [u8]>) -> Option<&'n [u8]> {
    if !is_library_name(file) {
        return None;
    }
    let soname = soname.unwrap_or(file);
    let is_development_link = is_link && file.ends_with(b".so") && soname.starts_with(file);
    Some(if is_development_link { file } else { soname })
}

/// One library of a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntry {
    /// What objects need it as.
    pub soname: Vec<u8>,
    /// As the loader is to open it.
    pub path: Vec<u8>,
    /// Which kind of library it is: see [`flags`].
    pub flags: u32,
}

/// The cache's mark for a library's architecture (glibc `sysdeps/generic/ldconfig.h`); `None` for those that minroot
/// writes no cache for.
pub fn flags(machine: u16, bits: u8) -> Option<u32> {
    use goblin::elf::header::{EM_386, EM_AARCH64, EM_ARM, EM_RISCV, EM_X86_64};
    const ELF_LIBC6: u32 = 0x0003;
    Some(match (machine, bits) {
        (EM_X86_64, 64) => ELF_LIBC6 | 0x0300,
        (EM_X86_64, 32) => ELF_LIBC6 | 0x0800,
        (EM_386, 32) => ELF_LIBC6,
        (EM_AARCH64, 64) => ELF_LIBC6 | 0x0a00,
        (EM_ARM, 32) => ELF_LIBC6 | 0x0900,
        (EM_RISCV, 64) => ELF_LIBC6 | 0x1000,
        _ => return None,
    })
}

const MAGIC: &[u8; 20] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const RECORD: usize = 24;
/// `cache_file_new_flags_endian_little`.
const LITTLE_ENDIAN: u8 = 2;

/// The bytes of an `ld.so.cache` in the format that glibc 2.2 and later read ("glibc-ld.so.cache1.1", without
/// extensions), for a little-endian machine.
pub fn write_cache(entries: &[CacheEntry]) -> Vec<u8> {
    let mut sorted: Vec<&CacheEntry> = entries.iter().collect();
    // The loader's binary search wants descending names; equal names stay in the order of the search.
    sorted.sort_by(|a, b| compare(&b.soname, &a.soname));
    let strings_at = HEADER + RECORD * sorted.len();
    let mut strings = Vec::new();
    let mut records = Vec::new();
    for entry in &sorted {
        let mut place = |text: &[u8]| {
            let at = (strings_at + strings.len()) as u32;
            strings.extend_from_slice(text);
            strings.push(0);
            at
        };
        let key = place(&entry.soname);
        let value = place(&entry.path);
        for word in [entry.flags, key, value, 0, 0, 0] {
            records.extend_from_slice(&word.to_le_bytes());
        }
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&(sorted.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&(strings.len() as u32).to_le_bytes());
    bytes.push(LITTLE_ENDIAN);
    bytes.resize(HEADER, 0);
    bytes.extend_from_slice(&records);
    bytes.extend_from_slice(&strings);
    bytes
}

/// Reads a cache; `None` when it is not one or is damaged, which the loader treats like an absent one.
///
/// Entries for processor variants (`hwcap` not 0) are left out.
pub fn read_cache(bytes: &[u8]) -> Option<Vec<CacheEntry>> {
    // An old-format cache may come first; the new one follows it, aligned (dl-cache.c).
    let start = memchr::memmem::find(bytes, MAGIC)?;
    let bytes = &bytes[start..];
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let count = word(MAGIC.len())? as usize;
    let string = |at: u32| {
        let text = bytes.get(at as usize..)?;
        Some(&text[..memchr::memchr(0, text)?])
    };
    let mut entries = Vec::new();
    for n in 0..count {
        let at = n.checked_mul(RECORD)?.checked_add(HEADER)?;
        let hwcap = (word(at + 16)?, word(at + 20)?);
        if hwcap == (0, 0) {
            let (soname, path) = (string(word(at + 4)?)?.to_vec(), string(word(at + 8)?)?.to_vec());
            entries.push(CacheEntry { soname, path, flags: word(at)? });
        }
    }
    Some(entries)
}

/// The order of names in a cache: runs of digits compare as numbers (`_dl_cache_libcmp` in glibc's elf/dl-cache.c).
fn compare(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        match (a.first(), b.first()) {
            (None, None) => return std::cmp::Ordering::Equal,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (number_a, rest_a) = number(a);
                let (number_b, rest_b) = number(b);
                match number_a.cmp(&number_b) {
                    std::cmp::Ordering::Equal => (a, b) = (rest_a, rest_b),
                    unequal => return unequal,
                }
            }
            // A digit is greater than anything else in its place.
            (Some(x), y) if x.is_ascii_digit() && !y.is_some_and(u8::is_ascii_digit) => {
                return std::cmp::Ordering::Greater;
            }
            (x, Some(y)) if y.is_ascii_digit() && !x.is_some_and(u8::is_ascii_digit) => {
                return std::cmp::Ordering::Less;
            }
            (x, y) if x == y => (a, b) = (&a[1..], &b[1..]),
            (x, y) => return x.cmp(&y),
        }
    }
}

fn number(text: &[u8]) -> (u64, &[u8]) {
    let length = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let value = text[..length].iter().fold(0_u64, |n, b| n.wrapping_mul(10).wrapping_add(u64::from(b - b'0')));
    (value, &text[length..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(soname: &str, path: &str) -> CacheEntry {
        CacheEntry { soname: soname.into(), path: path.into(), flags: 0x303 }
    }

    #[test]
    fn cache_round_trips_in_descending_order() {
        let entries = [entry("liba.so.1", "/opt/liba.so.1"), entry("libb.so.10", "/x"), entry("libb.so.9", "/y")];
        let names: Vec<_> = read_cache(&write_cache(&entries)).unwrap().into_iter().map(|e| e.soname).collect();
        assert_eq!(names, [b"libb.so.10".to_vec(), b"libb.so.9".to_vec(), b"liba.so.1".to_vec()]);
    }

    #[test]
    fn includes_that_multiply_are_read_once() {
        let host = tempfile::tempdir().unwrap();
        let etc = host.path().join("etc");
        std::fs::create_dir(&etc).unwrap();
        std::fs::create_dir(host.path().join("{a,b}")).unwrap();
        std::fs::write(host.path().join("{a,b}/c.conf"), "/braces/").unwrap();
        let again = "include /etc/*.conf\n".repeat(100);
        let bomb = format!("include {}/*/**/x\n", "/{a,b}".repeat(40));
        for (name, directory) in [("ld.so.conf", "/one"), ("other.conf", "/two")] {
            std::fs::write(etc.join(name), format!("{again}{bomb}include /{{a,b}}/c.conf\n{directory}\n")).unwrap();
        }
        let root = Root::open(host.path()).unwrap();
        let found = directories(&root, &RootPath::new("/etc/ld.so.conf").unwrap());
        assert_eq!(found, ["/braces", "/two", "/one"].map(|directory| directory.as_bytes().to_vec()));
    }

    #[test]
    fn a_damaged_cache_is_no_cache() {
        let bytes = write_cache(&[entry("liba.so.1", "/a")]);
        for length in 0..bytes.len() {
            assert!(read_cache(&bytes[..length]).is_none(), "{length}");
        }
        let mut huge = bytes.clone();
        huge[20..24].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(read_cache(&huge).is_none());
    }

    #[test]
    fn only_library_names_are_cached() {
        for name in ["liba.so", "liba.so.1", "ld-linux-x86-64.so.2", "ld64.so.2"] {
            assert!(is_library_name(name.as_bytes()), "{name}");
        }
        for name in ["plugin.so", "liba.a", "liba.so.1.2-gdb.py", "ld.gold"] {
            assert!(!is_library_name(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_library_is_cached_by_its_soname() {
        let check = |file: &'static str, is_link, soname: &'static str, expected: &str| {
            let soname = Some(soname.as_bytes()).filter(|s| !s.is_empty());
            let key = cache_key(file.as_bytes(), is_link, soname).unwrap();
            assert_eq!(String::from_utf8_lossy(key), expected, "{file}");
        };
        check("liba.so.1.2", false, "liba.so.1", "liba.so.1");
        check("liba.so.1", true, "liba.so.1", "liba.so.1");
        check("liba.so", true, "liba.so.1", "liba.so");
        check("liba.so", false, "liba.so.1", "liba.so.1");
        check("libother.so.1", true, "liba.so.1", "liba.so.1");
        check("liba.so.1.2", false, "", "liba.so.1.2");
        assert_eq!(cache_key(b"plugin.so", false, Some(b"liba.so")), None);
    }
}
