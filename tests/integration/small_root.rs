//! A root small enough to see at a glance, the same byte for byte on every machine.

use crate::elf::{Entry, Object};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Makes the root in `directory`:
///
/// ```text
/// /usr/bin/app      needs libgreet.so.1, which it finds through its RUNPATH, and libc.so.6
/// /usr/bin/broken   needs libgone.so.1, which is nowhere
/// /usr/bin/hello    #!/bin/sh
/// /usr/bin/sh       needs libc.so.6
/// /etc/motd         nobody needs it
/// /boot/vmlinuz-1, /boot/vmlinuz-2
/// ```
pub fn make(directory: &Path) {
    let libraries = Path::new(LIBRARIES);
    for (path, content) in [
        (Path::new("usr/bin/app"), &program(&["libgreet.so.1", "libc.so.6"], Some("$ORIGIN/../lib/app"))[..]),
        (Path::new("usr/bin/broken"), &program(&["libc.so.6", "libgone.so.1"], Some("/opt/lib"))),
        (Path::new("usr/bin/sh"), &program(&["libc.so.6"], None)),
        (Path::new("usr/bin/hello"), b"#!/bin/sh\necho hello\n"),
        (Path::new("usr/lib/app/libgreet.so.1.2"), &library("libgreet.so.1", &["libc.so.6"])),
        (&libraries.join("libc.so.6"), &library("libc.so.6", &["ld-linux-x86-64.so.2"])),
        (&libraries.join("ld-linux-x86-64.so.2"), &loader()),
        (Path::new("etc/motd"), b"welcome\n"),
        (Path::new("boot/vmlinuz-1"), b"kernel"),
        (Path::new("boot/vmlinuz-2"), b"kernel"),
    ] {
        let file = directory.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::create_dir_all(directory.join("usr/lib64")).unwrap();
    for (link, target) in [
        ("bin", "usr/bin"),
        ("lib", "usr/lib"),
        ("lib64", "usr/lib64"),
        ("usr/lib/app/libgreet.so.1", "libgreet.so.1.2"),
        ("usr/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
    ] {
        symlink(target, directory.join(link)).unwrap();
    }
}

/// The directories built into Debian's runtime linker are plain strings of it.
fn loader() -> Vec<u8> {
    let directories = b"\0/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/\0\0";
    [&library("ld-linux-x86-64.so.2", &[])[..], directories].concat()
}

/// A program that needs these libraries.
pub fn program(needed: &[&'static str], runpath: Option<&'static str>) -> Vec<u8> {
    let mut entries: Vec<Entry> = needed.iter().map(|name| Entry::Needed(name)).collect();
    entries.extend(runpath.map(Entry::Runpath));
    Object { interpreter: Some(LOADER), entries: &entries, ..Object::default() }.bytes()
}

pub fn library(soname: &'static str, needed: &[&'static str]) -> Vec<u8> {
    let entries: Vec<Entry> = needed.iter().map(|name| Entry::Needed(name)).collect();
    Object { soname: Some(soname), entries: &entries, ..Object::default() }.bytes()
}
