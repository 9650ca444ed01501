//! A root small enough to see at a glance, the same byte for byte on every machine.

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
    let app = Elf { needed: &["libgreet.so.1", "libc.so.6"], runpath: Some("$ORIGIN/../lib/app"), ..Elf::PROGRAM };
    let broken = Elf { needed: &["libc.so.6", "libgone.so.1"], runpath: Some("/opt/lib"), ..Elf::PROGRAM };
    let library = |soname, needed| Elf { soname: Some(soname), needed, ..Elf::LIBRARY };
    let libraries = Path::new(LIBRARIES);
    for (path, content) in [
        (Path::new("usr/bin/app"), &app.bytes()[..]),
        (Path::new("usr/bin/broken"), &broken.bytes()),
        (Path::new("usr/bin/sh"), &Elf { needed: &["libc.so.6"], ..Elf::PROGRAM }.bytes()),
        (Path::new("usr/bin/hello"), b"#!/bin/sh\necho hello\n"),
        (Path::new("usr/lib/app/libgreet.so.1.2"), &library("libgreet.so.1", &["libc.so.6"]).bytes()),
        (&libraries.join("libc.so.6"), &library("libc.so.6", &["ld-linux-x86-64.so.2"]).bytes()),
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
    let elf = Elf { soname: Some("ld-linux-x86-64.so.2"), ..Elf::LIBRARY };
    [&elf.bytes()[..], directories].concat()
}

/// An ELF object for x86-64 with the fields that a runtime linker looks at, and no code.
#[derive(Clone, Copy)]
pub struct Elf<'a> {
    pub interpreter: Option<&'a str>,
    pub soname: Option<&'a str>,
    pub needed: &'a [&'a str],
    pub runpath: Option<&'a str>,
}

const HEADER: u64 = 64;
const PROGRAM_HEADER: u64 = 56;

impl<'a> Elf<'a> {
    pub const PROGRAM: Elf<'a> = Elf { interpreter: Some(LOADER), soname: None, needed: &[], runpath: None };
    pub const LIBRARY: Elf<'a> = Elf { interpreter: None, ..Elf::PROGRAM };

    /// Header, program headers, dynamic section, strings; every address is the offset in the file (gABI, "Object Files"
    /// and "Program Loading and Dynamic Linking").
    pub fn bytes(&self) -> Vec<u8> {
        const PT_LOAD: u32 = 1;
        const PT_DYNAMIC: u32 = 2;
        const PT_INTERP: u32 = 3;
        let [needed, strtab, strsz, soname, runpath] = [1, 5, 10, 14, 29];
        let mut strings = vec![0];
        let mut add = |text: &str| {
            let offset = strings.len() as u64;
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
            offset
        };
        let mut dynamic: Vec<(u64, u64)> = self.needed.iter().map(|name| (needed, add(name))).collect();
        dynamic.extend(self.soname.map(|name| (soname, add(name))));
        dynamic.extend(self.runpath.map(|path| (runpath, add(path))));
        let interpreter = self.interpreter.map(|path| (add(path), path.len() as u64 + 1));
        let n_segments = if interpreter.is_some() { 3 } else { 2 };
        let dynamic_offset = HEADER + n_segments * PROGRAM_HEADER;
        let dynamic_size = (dynamic.len() as u64 + 3) * 16;
        let strings_offset = dynamic_offset + dynamic_size;
        let end = strings_offset + strings.len() as u64;
        dynamic.extend([(strtab, strings_offset), (strsz, strings.len() as u64), (0, 0)]);

        // 64 bits, little endian, version 1; a shared object for x86-64.
        let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
        bytes.extend([0, HEADER, 0].iter().flat_map(|field: &u64| field.to_le_bytes()));
        bytes.extend([0, 0, 64, 56, n_segments as u16, 0, 0, 0].iter().flat_map(|field: &u16| field.to_le_bytes()));
        bytes.truncate(HEADER as usize);
        let mut segment = |kind: u32, offset: u64, size: u64| {
            bytes.extend_from_slice(&kind.to_le_bytes());
            bytes.extend_from_slice(&4u32.to_le_bytes());
            bytes.extend([offset, offset, offset, size, size, 1].iter().flat_map(|field| field.to_le_bytes()));
        };
        if let Some((offset, size)) = interpreter {
            segment(PT_INTERP, strings_offset + offset, size);
        }
        segment(PT_LOAD, 0, end);
        segment(PT_DYNAMIC, dynamic_offset, dynamic_size);
        bytes.extend(dynamic.iter().flat_map(|(tag, value)| [tag.to_le_bytes(), value.to_le_bytes()]).flatten());
        bytes.extend_from_slice(&strings);
        bytes
    }
}
