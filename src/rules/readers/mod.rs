//! Configuration files to bindings: what a rule can say about the content of a file. One file per format.
//!
//! A reader never fails: the program that reads the file at run time skips what it does not understand, and so do we.
//!
//! Readers that find commands (`inittab`, `shell`, `smf-manifest`, `systemd-unit`) have the same two bindings for them, `role` and
//! `word`: `command` is a program to run, `path` an absolute path beside it, `unknown` a command whose name depends on
//! something (see [`crate::objects::shell`]). A rule picks one with `role = "command"` and asks for `{word}`.

mod default_init;
mod inittab;
mod javascript;
mod kcf;
mod netconfig;
mod node_package;
mod nsswitch;
mod package_json;
mod pam;
mod perl;
mod php_ini;
mod python;
mod ruby;
mod shell;
mod smf_manifest;
mod systemd_unit;
mod udev_rules;
mod user_attr;
mod vfstab;

use super::facts::Facts;
use super::pattern::Bindings;
use crate::path::RootPath;

/// A configuration format that rules can name.
#[derive(Debug)]
pub struct Reader {
    /// As in `reader = "…"`.
    pub name: &'static str,
    /// The names every bindings map has; each can also be used as a filter in `when`.
    pub bindings: &'static [&'static str],
    read: Read,
}

/// What a reader takes.
#[derive(Debug)]
enum Read {
    /// The text of the file, which says all.
    Text(fn(&[u8]) -> Vec<Bindings>),
    /// Where the file is: what it says depends on its name, or on what is beside it.
    Path(fn(&RootPath, &dyn Facts) -> Vec<Bindings>),
}

/// Every format, by name.
pub static READERS: &[Reader] = &[
    Reader { name: "default-init", bindings: default_init::BINDINGS, read: Read::Text(default_init::read) },
    Reader { name: "inittab", bindings: inittab::BINDINGS, read: Read::Text(inittab::read) },
    Reader { name: "javascript", bindings: javascript::BINDINGS, read: Read::Path(javascript::read) },
    Reader { name: "kcf", bindings: kcf::BINDINGS, read: Read::Text(kcf::read) },
    Reader { name: "netconfig", bindings: netconfig::BINDINGS, read: Read::Text(netconfig::read) },
    Reader { name: "nsswitch", bindings: nsswitch::BINDINGS, read: Read::Text(nsswitch::read) },
    Reader { name: "package-json", bindings: package_json::BINDINGS, read: Read::Text(package_json::read) },
    Reader { name: "pam", bindings: pam::BINDINGS, read: Read::Text(pam::read) },
    Reader { name: "perl", bindings: perl::BINDINGS, read: Read::Text(perl::read) },
    Reader { name: "php-ini", bindings: php_ini::BINDINGS, read: Read::Text(php_ini::read) },
    Reader { name: "python", bindings: python::BINDINGS, read: Read::Text(python::read) },
    Reader { name: "ruby", bindings: ruby::BINDINGS, read: Read::Text(ruby::read) },
    Reader { name: "shell", bindings: shell::BINDINGS, read: Read::Text(shell::read) },
    Reader { name: "smf-manifest", bindings: smf_manifest::BINDINGS, read: Read::Text(smf_manifest::read) },
    Reader { name: "systemd-unit", bindings: systemd_unit::BINDINGS, read: Read::Path(systemd_unit::read) },
    Reader { name: "udev-rules", bindings: udev_rules::BINDINGS, read: Read::Text(udev_rules::read) },
    Reader { name: "user_attr", bindings: user_attr::BINDINGS, read: Read::Text(user_attr::read) },
    Reader { name: "vfstab", bindings: vfstab::BINDINGS, read: Read::Text(vfstab::read) },
];

impl Reader {
    /// One map per thing the file names, in the order of the file; none where it cannot be read.
    pub fn read(&self, path: &RootPath, facts: &dyn Facts) -> Vec<Bindings> {
        match self.read {
            Read::Text(read) => facts.read(path).map(|text| read(&text)).unwrap_or_default(),
            Read::Path(read) => read(path, facts),
        }
    }
}

/// A map from names and values in the same order.
fn bind<const N: usize>(names: &[&str], values: [&[u8]; N]) -> Bindings {
    debug_assert_eq!(names.len(), N);
    names.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value.to_owned())).collect()
}

/// Whether a file is in this language as far as its first line tells: that of a script names the interpreter, of which
/// `/usr/bin/env` is none.
fn is_script_of(text: &[u8], language: &[u8]) -> bool {
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    !line.starts_with(b"#!") || memchr::memmem::find(line, language).is_some()
}

/// The literal that an expression begins with, in quotes of either kind.
fn quoted(text: &[u8]) -> Option<&[u8]> {
    let text = text.trim_ascii_start();
    let quote = *text.first().filter(|byte| matches!(byte, b'"' | b'\''))?;
    let end = memchr::memchr(quote, &text[1..])?;
    Some(&text[1..=end])
}

/// The lines without their ends, and without a backslash line end where a line goes on on the next.
fn joined_lines(text: &[u8]) -> Vec<Vec<u8>> {
    join(text.split(|&byte| byte == b'\n'), b"")
}

/// Joins each line that ends in a backslash with the next; what stands for the backslash is `between` them.
fn join<'t>(text: impl Iterator<Item = &'t [u8]>, between: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut open: Option<Vec<u8>> = None;
    for line in text {
        let mut whole = open.take().unwrap_or_default();
        match line.strip_suffix(b"\\") {
            Some(start) => {
                whole.extend_from_slice(start);
                whole.extend_from_slice(between);
                open = Some(whole);
            }
            None => {
                whole.extend_from_slice(line);
                lines.push(whole);
            }
        }
    }
    lines.extend(open);
    lines
}

/// The blank-separated fields of a line, before any `#`.
fn fields(line: &[u8]) -> Vec<&[u8]> {
    let text = line.split(|&byte| byte == b'#').next().unwrap_or_default();
    text.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).collect()
}

/// What the tests of all readers share.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::System;
    use crate::rules::example::ExampleFacts;
    use crate::rules::{Example, Given};
    use std::collections::BTreeSet;

    /// What a reader finds in a file of a root that holds files with these texts.
    pub fn read_in(files: &[(&str, &[u8])], reader: &str, path: &str) -> Vec<Bindings> {
        let reader = READERS.iter().find(|known| known.name == reader).unwrap();
        let path_of = |path: &str| RootPath::new(path).unwrap();
        let file = |(name, text): &(&str, &[u8])| (path_of(name), Given::Text(text.to_vec()));
        let example = Example {
            line: 1,
            given: files.iter().map(file).collect(),
            exists: BTreeSet::new(),
            arch: String::new(),
            hardware: Vec::new(),
            environment: Vec::new(),
            adds: BTreeSet::new(),
        };
        reader.read(&path_of(path), &ExampleFacts { example: &example, system: System::Linux })
    }

    /// Compares what a reader finds, each map as its values in the order of the reader's names with blanks between.
    pub fn check(reader: &str, text: &str, expected: &[&str]) {
        check_in(&[("/file", text)], reader, "/file", expected);
    }

    /// [`check`] of a file among others.
    pub fn check_in(files: &[(&str, &str)], reader: &str, path: &str, expected: &[&str]) {
        let names = READERS.iter().find(|known| known.name == reader).unwrap().bindings;
        let shown = |bindings: &Bindings| {
            let values: Vec<String> =
                names.iter().map(|name| String::from_utf8_lossy(&bindings[*name]).into_owned()).collect();
            values.join(" ").trim_end().to_owned()
        };
        let files: Vec<(&str, &[u8])> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
        let found: Vec<String> = read_in(&files, reader, path).iter().map(shown).collect();
        let expected: Vec<&str> = expected.iter().map(|words| words.trim_end()).collect();
        assert_eq!(found, expected, "{reader}: {files:?}");
    }

    #[test]
    fn readers_are_sorted_by_name() {
        assert!(READERS.is_sorted_by_key(|reader| reader.name));
    }

    #[test]
    fn the_walk_through_names_every_reader_with_its_bindings() {
        let readme = include_str!("../../../rules/README.md");
        for reader in READERS {
            let start = format!("| `{}` |", reader.name);
            let line = readme.lines().find(|line| line.starts_with(&start)).expect(reader.name);
            for binding in reader.bindings {
                assert!(line.contains(&format!("`{binding}`")), "{}: {binding}", reader.name);
            }
        }
    }

    #[test]
    fn every_map_has_every_name_and_no_text_does_harm() {
        let texts: Vec<Vec<u8>> = vec![
            b"a:b:c:d e /f\n".to_vec(),
            b"a b c d e f g h\n".to_vec(),
            b"A=B\na::::b=c;d=e,f\n".to_vec(),
            b"\\\n\\\n\\".to_vec(),
            b":::::::::\n=;,;=\n".repeat(100),
            (0..=255).collect(),
            vec![0xff; 300],
            b"<service_bundle><service name=''/></service_bundle>".to_vec(),
        ];
        for reader in READERS {
            for text in &texts {
                // The name of a unit, too.
                for found in read_in(
                    &[("/etc/systemd/system/a-b@c.service", text)],
                    reader.name,
                    "/etc/systemd/system/a-b@c.service",
                ) {
                    let names: Vec<&str> = found.keys().map(String::as_str).collect();
                    let mut expected = reader.bindings.to_vec();
                    expected.sort_unstable();
                    assert_eq!(names, expected, "{}", reader.name);
                }
            }
        }
    }

    #[test]
    fn a_backslash_joins_lines() {
        assert_eq!(joined_lines(b"a\\\nb\nc\\"), [&b"ab"[..], b"c"]);
    }
}
