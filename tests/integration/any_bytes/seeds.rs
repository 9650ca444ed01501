//! Good inputs for each reader, made by the fixtures of the other tests.

use crate::elf::{Entry, Object, export, import, one_name_over_and_over};
use crate::fetch::{Data, deb};
use crate::illumos_chain::image::{ARCHIVE, Image};
use crate::illumos_packages::{datastream, omnios, tribblix};
use crate::model_root::{generator::Year, shared};
use crate::pack_ufs::{Tree, plain};
use crate::support::{run, scratch, tool};
use crate::{command, small_root};
use minroot::iso::fat::{FatFile, FatImage};
use minroot::iso::iso9660::{Attributes, Node, Volume};
use minroot::iso::{Blob, IsoImage, write_image};
use minroot::manifest::{Content, Manifest};
use minroot::pack::{Compression, Contents, Format, PackOptions, write_archive};
use minroot::path::RootPath;
use minroot::recipe::System;
use minroot::root::Root;
use minroot::rules::RuleSet;
use std::fs;
use std::io::Read;
use std::path::Path;

/// Larger files only make damage rare.
const LARGEST: u64 = 64 << 10;

pub fn of(reader: &str) -> Vec<Vec<u8>> {
    match reader {
        "elf" => objects(),
        "kernel-module" => kernel_modules(),
        "module-index" => {
            MODULE_INDEXES.iter().enumerate().map(|(n, text)| [&[n as u8], text.as_bytes()].concat()).collect()
        }
        "script" => scripts(),
        "databases" => databases(),
        "package" => packages(),
        "rules" => files_of(&command::repository("rules")).into_iter().filter(|text| has(text, b"summary")).collect(),
        "recipe" => files_of(&command::repository("rules/recipes")),
        "manifest" => vec![fs::read(command::repository("testdata/manifest/small.json")).unwrap()],
        "cpio" => archives(),
        "iso9660" => isos(),
        "fat" => vec![fat()],
        "ufs" => vec![packed(Format::Ufs, Compression::None)],
        "image" => [archives(), isos()].concat(),
        _ => panic!("no seeds for `{reader}`"),
    }
}

fn has(text: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(text, word).is_some()
}

/// What a runtime linker of either system reads, and a real program of this machine.
fn objects() -> Vec<Vec<u8>> {
    let needed = [Entry::Needed("libc.so.6"), Entry::Runpath("$ORIGIN/../lib"), Entry::Flags1(8)];
    let filters = [Entry::Lazy("libnsl.so.1"), Entry::Filter("libc.so.1"), Entry::Auxiliary("/$ISALIST/libm.so")];
    let symbols = [export("open_door"), import("dlopen", Some(0)), import("getpwnam", None)];
    let library = Object { soname: Some("libdoor.so.1"), entries: &filters, symbols: &symbols, ..Object::default() };
    let versions = Object {
        entries: &needed,
        symbols: &symbols,
        defines: &["DOOR_1", "DOOR_2"],
        needs: &[("libc.so.6", "GLIBC_2.34")],
        ..Object::default()
    };
    let made = [library, Object { is_32: true, ..library }, versions, Object { is_32: true, ..versions }];
    let mut all: Vec<Vec<u8>> = made.iter().map(Object::bytes).collect();
    all.push(small_root::program(&["libc.so.6"], None));
    all.push(one_name_over_and_over(3000));
    all.extend(fs::read("/usr/bin/true"));
    all
}

fn kernel_modules() -> Vec<Vec<u8>> {
    use object::write::{Object, Symbol, SymbolSection};
    use object::{Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope};
    let mut module = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let fields = b"name=door\0depends=hinge,frame\0alias=pci:v00008086d*\0firmware=door.bin\0vermagic=6.1 SMP\0";
    for (name, content) in [(".modinfo", &fields[..]), ("__ksymtab_strings", b"open_door\0")] {
        let id = module.add_section(Vec::new(), name.into(), SectionKind::ReadOnlyData);
        module.append_section_data(id, content, 1);
    }
    module.add_symbol(Symbol {
        name: b"__ksymtab_open_door".to_vec(),
        value: 0,
        size: 8,
        kind: SymbolKind::Data,
        scope: SymbolScope::Linkage,
        weak: false,
        section: SymbolSection::Absolute,
        flags: SymbolFlags::None,
    });
    let plain = module.write().unwrap();
    let mut gzip = Vec::new();
    flate2::read::GzEncoder::new(&plain[..], flate2::Compression::fast()).read_to_end(&mut gzip).unwrap();
    let mut xz = Vec::new();
    liblzma::read::XzEncoder::new(&plain[..], 0).read_to_end(&mut xz).unwrap();
    let zstd = zstd::encode_all(&plain[..], 1).unwrap();
    vec![plain, gzip, xz, zstd]
}

/// In the order of the names in `readers.rs`.
const MODULE_INDEXES: [&str; 8] = [
    "kernel/a.ko: kernel/b.ko kernel/c.ko\nkernel/b.ko: kernel/c.ko\nkernel/c.ko:\n",
    "# Aliases extracted from modules themselves.\nalias pci:v00008086d0000100Esv*sd*bc*sc*i* a\nalias fs-[a-c]? b\n",
    "softdep a pre: b post: c\nsoftdep c pre: a\n",
    "weakdep a b c\n",
    "kernel/c.ko\nkernel/a.ko\n",
    "kernel/fs/ext4/ext4.ko\nkernel/lib/crc32c.ko\n",
    "ext4.alias=fs-ext4\0ext4.softdep=pre: crc32c\0ext4.file=fs/ext4/ext4\0crc32c.license=GPL\0",
    "# Device nodes to trigger on-demand module loading.\nfuse fuse c10:229\n",
];

/// The files in the examples of all rules are small, and of every format that there is a reader for.
fn scripts() -> Vec<Vec<u8>> {
    let rules = RuleSet::load(&[]).unwrap();
    let texts = rules.files().iter().flat_map(|file| given(&file.text)).filter(|text| text.len() > 20);
    let mut all: Vec<Vec<u8>> = texts.map(String::into_bytes).collect();
    all.sort();
    all.dedup();
    let script =
        b"#!/usr/bin/env -S sh -e\ncase $1 in (a|b) exec \"$(which x)\" <<E ;; esac\n$y `z`\nE\nif ! a; then b & fi\n";
    let plan = b"# plan\nmodule /a.ko\nnetwork eth0 10.0.2.15/24 10.0.2.2\nenvironment A=\\x20b\nwith C=\\e\nrun /bin/sh -c x\\\\\n";
    all.extend([script.to_vec(), plan.to_vec()]);
    all
}

/// The `given` files of a rule's examples.
fn given(rule: &str) -> Vec<String> {
    let rule: toml::Table = toml::from_str(rule).unwrap();
    let examples = rule["example"].as_array().unwrap().iter();
    let files = examples.filter_map(|example| example.get("given")?.as_table()).flat_map(|given| given.values());
    files.filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

fn databases() -> Vec<Vec<u8>> {
    let mut all = files_of(&shared(Year::Y2025).join("etc"));
    all.retain(|bytes| bytes.len() < 4000);
    all.push(b"file 0123 chash=0 path=usr/bin/su mode=4755 owner=root group=\"s y\\\"s\" \\\n  pkg.size=6\nlink path=a target=b\n".to_vec());
    all.push(
        b"/usr/bin/su=../x s none 0755 root sys 12 34 56 SUNWcs TRIBx:a\n/dev/null c none 13 2 0666 root sys SUNWcs\n"
            .to_vec(),
    );
    let entry = minroot::resolve::ldconfig::CacheEntry {
        soname: b"libdoor.so.1".to_vec(),
        path: b"/lib/libdoor.so.1".to_vec(),
        flags: 0x303,
    };
    all.push(minroot::resolve::ldconfig::write_cache(&[entry]));
    all
}

/// One of each format, with members that are not compressed, because damage to others seldom gets past a checksum.
fn packages() -> Vec<Vec<u8>> {
    let directory = scratch();
    let data =
        Data::new().directory("./usr").file("./usr/a", "text").symlink("./b", "usr/a").hard_link("./c", "./usr/a");
    let plain = fs::read(deb(directory.path(), "door", "Depends: hinge (>= 1)\n", data)).unwrap();
    let mut all = vec![plain];
    let spool = directory.path().join("spool");
    tribblix(&spool);
    all.extend(["odc", "newc"].iter().filter_map(|format| datastream(&spool, &["SUNWcs"], format)));
    if let Some(zip) = tool("zip") {
        let zap = directory.path().join("door.zap");
        let script = "cd \"$2\" && \"$0\" -q -r \"$1\" SUNWcs";
        run(&tool("sh").unwrap(), &["-c".as_ref(), script.as_ref(), zip.as_ref(), zap.as_ref(), spool.as_ref()]);
        all.push(fs::read(zap).unwrap());
    }
    let archive = directory.path().join("door.p5p");
    if omnios(directory.path()).archive(&archive).is_some() {
        all.push(fs::read(archive).unwrap());
    }
    all
}

/// All files below a directory that are not large.
fn files_of(directory: &Path) -> Vec<Vec<u8>> {
    let root = Root::open(directory).unwrap();
    let found = root.walk(&RootPath::root()).into_iter().flatten();
    let files = found.filter(|found| found.info.kind == minroot::root::FileKind::File && found.info.size < LARGEST);
    files.map(|found| root.read(&found).unwrap()).filter(|bytes| !bytes.is_empty()).collect()
}

fn tree() -> Tree {
    let mut tree = Tree::new();
    for directory in ["/dev", "/usr", "/usr/bin"] {
        tree.add(directory, Content::Directory);
    }
    tree.add_file("/usr/bin/door", &small_root::program(&["libc.so.6"], None));
    tree.add_file("/init", b"#!/bin/sh\n");
    tree.add_file("/large", &[7; 12 * 8192 + 1]);
    tree.add("/usr/bin/gate", Content::Hardlink { to: RootPath::new("/usr/bin/door").unwrap() });
    tree.add("/bin", Content::Symlink { target: b"usr/bin".to_vec() });
    tree.add("/dev/null", Content::Char { major: 1, minor: 3 });
    tree
}

fn packed(format: Format, compression: Compression) -> Vec<u8> {
    let (tree, directory) = (tree(), scratch());
    let out = directory.path().join("archive");
    let root = Root::open(tree.host.path()).unwrap();
    let options = PackOptions { format, compression, ..plain() };
    let system = if format == Format::Cpio { System::Linux } else { System::Illumos };
    let manifest = Manifest { system, ..tree.manifest() };
    write_archive(&manifest, &Contents::new(&root), &options, &out).unwrap();
    fs::read(out).unwrap()
}

/// One of each format as it is, and of Linux' in each compression that its kernel takes.
fn archives() -> Vec<Vec<u8>> {
    let plain = [Format::Cpio, Format::Odc, Format::Tar, Format::Ufs].map(|format| packed(format, Compression::None));
    let compressed = [Compression::Gzip, Compression::Xz, Compression::Zstd];
    plain.into_iter().chain(compressed.map(|compression| packed(Format::Cpio, compression))).collect()
}

/// With Rock Ridge and without an El Torito catalog; and one that starts a machine, with partitions and a FAT volume.
fn isos() -> Vec<Vec<u8>> {
    let attributes = Attributes { mode: 0o644, uid: 0, gid: 0 };
    let mut volume = Volume::new("DOOR", 0).unwrap();
    for name in ["/a/b/c", "/a/a name that is too long for a record without a continuation area, or nearly so", "/A"] {
        volume.add_file(&RootPath::new(name).unwrap(), attributes, Blob::from_bytes(&b"text"[..])).unwrap();
    }
    let link = Node::Symlink { target: b"../".repeat(90) };
    volume.add(&RootPath::new("/link").unwrap(), attributes, link).unwrap();
    volume.add(&RootPath::new("/null").unwrap(), attributes, Node::Char { major: 1, minor: 3 }).unwrap();
    let directory = scratch();
    let plain = directory.path().join("plain.iso");
    volume.layout().unwrap().write(&plain).unwrap();
    let mut image = Image::with_loader(&packed(Format::Ufs, Compression::Gzip));
    image.files.retain(|path, bytes| path == ARCHIVE || (bytes.len() as u64) < LARGEST);
    let bootable = image.write();
    assert!(IsoImage::open(&bootable).unwrap().uefi_volume().unwrap().is_some());
    vec![fs::read(plain).unwrap(), fs::read(bootable).unwrap()]
}

fn fat() -> Vec<u8> {
    let file = |path: &str, length| FatFile { path: path.into(), blob: Blob::from_bytes(vec![b'x'; length]) };
    let files = vec![file("EFI/BOOT/BOOTX64.EFI", 3000), file("a long name.conf", 10), file("EMPTY", 0)];
    let fat = FatImage::plan(files, 0).unwrap();
    let directory = scratch();
    let out = directory.path().join("fat");
    let pieces: Vec<_> = fat.pieces().into_iter().chain(fat.boot_sectors(1)).collect();
    write_image(&out, fat.size(), &pieces, |_| Vec::new()).unwrap();
    fs::read(out).unwrap()
}
