//! Long names and the short aliases that every one of them must have.
//!
//! A name that already is `8.3` in capitals is stored as it is; any other name gets entries of 13 UTF-16 units each,
//! in front of the entry with its alias and in reverse order (FAT32 File System Specification 1.03, "Long Directory
//! Entries").

use super::{ATTR_LONG_NAME, ENTRY};
use crate::iso::bytes::put;
use std::collections::HashSet;

/// The eleven bytes of a short name, padded with spaces.
pub type ShortName = [u8; 11];

/// UTF-16 units in one long-name entry, and where they are.
pub const UNITS_PER_ENTRY: usize = 13;
pub const UNIT_OFFSETS: [usize; UNITS_PER_ENTRY] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

/// Marks the entry that holds the end of a long name, which comes first.
pub const LAST_LONG_ENTRY: u8 = 0x40;

const MAX_UNITS: usize = 255;

/// Whether FAT can store `name` at all.
pub fn is_valid(name: &str) -> bool {
    let forbidden = |c: char| c.is_control() || "\"*/:<>?\\|".contains(c);
    !name.is_empty()
        && name.encode_utf16().count() <= MAX_UNITS
        && !name.ends_with(['.', ' '])
        && !name.contains(forbidden)
}

/// The short name, if `name` needs no long one.
pub fn exact(name: &str) -> Option<ShortName> {
    let (stem, extension) = split(name);
    let fits = (1..=8).contains(&stem.len()) && extension.len() <= 3 && name.matches('.').count() <= 1;
    let plain = |part: &str| part.bytes().all(|b| is_short(b) && !b.is_ascii_lowercase());
    (fits && plain(stem) && plain(extension)).then(|| join(stem.as_bytes(), extension.as_bytes()))
}

/// A short alias that is not in `used`.
pub fn alias(name: &str, used: &HashSet<ShortName>) -> ShortName {
    if let Some(short) = exact(&name.to_ascii_uppercase())
        && !used.contains(&short)
    {
        return short;
    }
    let (stem, extension) = split(name.trim_start_matches('.'));
    let stem = basis(stem, 8);
    let extension = basis(extension, 3);
    // A directory has fewer entries than there are tails, so the search ends.
    (1u32..)
        .map(|n| {
            let tail = format!("~{n}");
            let mut numbered = stem[..stem.len().min(8 - tail.len())].to_vec();
            numbered.extend_from_slice(tail.as_bytes());
            join(&numbered, &extension)
        })
        .find(|short| !used.contains(short))
        .expect("internal error: every alias is taken")
}

/// The long-name entries of `name` in the order on disk.
pub fn long_entries(name: &str, short: &ShortName) -> Vec<[u8; ENTRY]> {
    let mut units: Vec<u16> = name.encode_utf16().collect();
    let count = units.len().div_ceil(UNITS_PER_ENTRY);
    if !units.len().is_multiple_of(UNITS_PER_ENTRY) {
        units.push(0);
        units.resize(count * UNITS_PER_ENTRY, 0xffff);
    }
    let entry = |index: usize| {
        let mut bytes = [0; ENTRY];
        bytes[0] = (index + 1) as u8 | if index + 1 == count { LAST_LONG_ENTRY } else { 0 };
        bytes[11] = ATTR_LONG_NAME;
        bytes[13] = checksum(short);
        for (unit, offset) in units[index * UNITS_PER_ENTRY..].iter().zip(UNIT_OFFSETS) {
            put(&mut bytes, offset, &unit.to_le_bytes());
        }
        bytes
    };
    (0..count).rev().map(entry).collect()
}

/// Ties long-name entries to the short name that follows them.
pub fn checksum(short: &ShortName) -> u8 {
    short.iter().fold(0, |sum: u8, &byte| sum.rotate_right(1).wrapping_add(byte))
}

/// Stem and extension; a dot in front begins no extension.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 => (&name[..dot], &name[dot + 1..]),
        _ => (name, ""),
    }
}

fn basis(part: &str, length: usize) -> Vec<u8> {
    let kept = part.chars().filter(|c| *c != ' ' && *c != '.');
    let short = |c: char| u8::try_from(c).ok().filter(|b| is_short(*b)).unwrap_or(b'_').to_ascii_uppercase();
    kept.map(short).take(length).collect()
}

fn is_short(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"$%'-_@~`!(){}^#&".contains(&byte)
}

fn join(stem: &[u8], extension: &[u8]) -> ShortName {
    let mut short = [b' '; 11];
    put(&mut short, 0, stem);
    put(&mut short, 8, extension);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_in_8_3_need_no_long_name() {
        assert_eq!(exact("BOOTX64.EFI"), Some(*b"BOOTX64 EFI"));
        assert_eq!(exact("EFI"), Some(*b"EFI        "));
        for name in ["vmlinuz", "A.B.C", "LOADER.CONF", "TOOLONGNAME", ".X", "A B", "A+B", "É"] {
            assert_eq!(exact(name), None, "{name}");
        }
    }

    #[test]
    fn aliases_are_unique() {
        let mut used = HashSet::new();
        for (name, expected) in [
            ("vmlinuz", b"VMLINUZ    "),
            ("Vmlinuz", b"VMLINU~1   "),
            ("loader.conf", b"LOADER~1CON"),
            ("loader.config", b"LOADER~2CON"),
            (".profile", b"PROFIL~1   "),
            ("a+b é.txt", b"A_B_~1  TXT"),
        ] {
            let short = alias(name, &used);
            let shown = |s: &[u8]| String::from_utf8_lossy(s).into_owned();
            assert_eq!(shown(&short), shown(expected), "{name}");
            assert!(used.insert(short));
        }
        for i in 0..200 {
            assert!(used.insert(alias(&format!("same beginning {i}"), &used)));
        }
    }

    #[test]
    fn names_that_fat_cannot_store_are_refused() {
        for name in ["", "a/b", "a:b", "tab\t", "dot.", "space ", &"x".repeat(256)] {
            assert!(!is_valid(name), "{name:?}");
        }
        assert!(is_valid("a name with spaces.and.dots"));
    }

    #[test]
    fn long_names_are_stored_backwards_and_padded() {
        let entries = long_entries("loader entries.conf", b"LOADER~1CON");
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0][0], 0x42);
        assert_eq!(entries[1][0], 1);
        assert_eq!(entries[1][1], b'l');
        assert_eq!(&entries[0][30..], [0xff, 0xff]);
        assert_eq!(long_entries("thirteen char", b"X          ").len(), 1);
    }
}
