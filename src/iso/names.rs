//! Identifiers for readers that know plain ISO 9660 only: capitals, digits and `_`, at most 30 of them.
//!
//! The real names are in the Rock Ridge fields; these have to be legal and unique, and the same in every run. Boot
//! loaders read them: illumos' cdboot looks for `BOOT/LOADER`, so what is a legal name in small letters must stay
//! recognizable.

use std::collections::HashSet;

/// Characters of name and extension together (ECMA-119 section 7.5.1, interchange level 2 and 3).
const MAX_LENGTH: usize = 30;

const MAX_EXTENSION: usize = 10;

/// An identifier; ordered as directory records must be (ECMA-119 section 9.3), by name and then by extension.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    name: Vec<u8>,
    extension: Vec<u8>,
    is_directory: bool,
}

impl Identifier {
    /// The bytes of the directory record.
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.is_directory { self.name.clone() } else { [&self.name, &b"."[..], &self.extension, b";1"].concat() }
    }

    fn new(name: &[u8], is_directory: bool) -> Identifier {
        let (name, extension) = match memchr::memrchr(b'.', name) {
            Some(dot) if dot > 0 && !is_directory => (&name[..dot], &name[dot + 1..]),
            _ => (name, &b""[..]),
        };
        let extension = legal(extension, MAX_EXTENSION);
        let name = legal(name, MAX_LENGTH - extension.len());
        Identifier { name, extension, is_directory }
    }

    /// The same with a number at the end of its name.
    fn numbered(&self, number: u32) -> Identifier {
        let tail = format!("_{number}");
        let mut numbered = self.clone();
        numbered.name.truncate(MAX_LENGTH - self.extension.len() - tail.len());
        numbered.name.extend_from_slice(tail.as_bytes());
        numbered
    }
}

/// Identifiers for the entries of one directory, given as name and whether it is a directory, in the same order.
///
/// The order decides which of two names with equal identifiers gets a number, so it has to be the sorted one.
pub fn identifiers(entries: &[(&[u8], bool)]) -> Vec<Identifier> {
    // Directories and files share one space of names.
    let mut used: HashSet<(Vec<u8>, Vec<u8>)> = HashSet::new();
    let mut next = std::collections::HashMap::new();
    let unique = |(name, is_directory): &(&[u8], bool)| {
        let plain = Identifier::new(name, *is_directory);
        let key = |identifier: &Identifier| (identifier.name.clone(), identifier.extension.clone());
        let mut candidate = plain.clone();
        while !used.insert(key(&candidate)) {
            let number = next.entry(key(&plain)).or_insert(0u32);
            candidate = plain.numbered(*number);
            *number += 1;
        }
        candidate
    };
    entries.iter().map(unique).collect()
}

fn legal(part: &[u8], length: usize) -> Vec<u8> {
    let legal = |byte: &u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_uppercase() } else { b'_' };
    part.iter().take(length).map(legal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&[u8]], expected: &[&str]) {
        let entries: Vec<_> = names.iter().map(|name| (*name, false)).collect();
        let found: Vec<_> =
            identifiers(&entries).iter().map(|i| String::from_utf8_lossy(&i.to_bytes()).into_owned()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn names_become_legal() {
        check(
            &[b"loader", b"isolinux.cfg", b"a.b.c", b".profile", b"caf\xe9\n x", b"ldlinux.c32"],
            &["LOADER.;1", "ISOLINUX.CFG;1", "A_B.C;1", "_PROFILE.;1", "CAF___X.;1", "LDLINUX.C32;1"],
        );
        let directory = identifiers(&[(b"conf.d", true)]).remove(0);
        assert_eq!(directory.to_bytes(), b"CONF_D");
    }

    #[test]
    fn equal_identifiers_get_numbers() {
        check(&[b"A", b"a", b"a_0", b"a_1"], &["A.;1", "A_0.;1", "A_0_0.;1", "A_1.;1"]);
        let long: Vec<_> = (0..3).map(|i| format!("{}{i}.txt", "x".repeat(250))).collect();
        let x = "X".repeat(25);
        check(
            &long.iter().map(|n| n.as_bytes()).collect::<Vec<_>>(),
            &[&format!("{x}XX.TXT;1"), &format!("{x}_0.TXT;1"), &format!("{x}_1.TXT;1")],
        );
    }

    #[test]
    fn a_file_and_a_directory_never_share_an_identifier() {
        let both = identifiers(&[(b"x", true), (b"X", false)]);
        assert_eq!((both[0].to_bytes(), both[1].to_bytes()), (b"X".to_vec(), b"X_0.;1".to_vec()));
    }
}
