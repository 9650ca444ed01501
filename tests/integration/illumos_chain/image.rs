//! An illumos ISO put together from the files of the model root, without minroot's own writer of such images: what is
//! checked here is the reader. Everything in it can be changed before it is written.

use crate::model_root::{generator::Year, shared};
use crate::support::{hex, scratch};
use minroot::iso::eltorito::{Platform, uefi_load_blocks};
use minroot::iso::fat::{FatFile, FatImage};
use minroot::iso::iso9660::{Attributes, Node, Range, Volume};
use minroot::iso::{Blob, IsoImage};
use minroot::path::RootPath;
use minroot::rules::RuleSet;
use minroot::verify::{Finding, Severity, Verdict, verify};
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub const UNIX: &str = "/platform/i86pc/kernel/amd64/unix";
pub const ARCHIVE: &str = "/platform/i86pc/amd64/boot_archive";
pub const HASH: &str = "/platform/i86pc/amd64/boot_archive.hash";
/// Blocks of a disk in a sector of a CD.
const BLOCKS: u32 = 4;

pub struct Image {
    /// Path and content on the ISO.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The file that a BIOS starts, and how many blocks of it are loaded.
    pub boot: (String, u16),
    /// The files of the EFI image; none without entries.
    pub efi: BTreeMap<String, Vec<u8>>,
    /// Whether there is an MBR with isoboot behind it.
    pub hybrid: bool,
    /// Bytes of the finished image that are overwritten.
    pub patches: Vec<(u64, Vec<u8>)>,
    pub scratch: tempfile::TempDir,
}

impl Image {
    /// With the illumos loader; `archive` is what the kernel gets.
    pub fn with_loader(archive: &[u8]) -> Image {
        let mut image = Image::bare(archive);
        let boot = shared(Year::Y2025).join("boot");
        let mut waiting = vec![boot.clone()];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    waiting.push(entry);
                } else {
                    let path = format!("/boot/{}", entry.strip_prefix(&boot).unwrap().display());
                    image.files.insert(path, fs::read(&entry).unwrap());
                }
            }
        }
        let efi = efi_program();
        image.files.insert("/boot/loader64.efi".into(), efi.clone());
        image.efi.insert("EFI/BOOT/BOOTX64.EFI".into(), efi);
        // What stands for isoboot has to be told from what stands for anything else.
        image.files.insert("/boot/isoboot".into(), (0..=250).cycle().take(40 * 512).collect());
        image.boot = ("/boot/cdboot".into(), 4);
        image.hybrid = true;
        image
    }

    /// With GRUB 0.97 and this menu.
    pub fn with_grub_legacy(archive: &[u8], menu: &str) -> Image {
        let mut image = Image::bare(archive);
        let stage2 = fs::read(shared(Year::Y2015).join("boot/grub/stage2_eltorito")).unwrap();
        image.files.insert("/boot/grub/stage2_eltorito".into(), stage2);
        image.files.insert("/boot/grub/menu.lst".into(), menu.into());
        image.boot = ("/boot/grub/stage2_eltorito".into(), 4);
        image
    }

    /// With GRUB 2 and this configuration.
    pub fn with_grub2(archive: &[u8], config: &str) -> Image {
        let mut image = Image::bare(archive);
        image.files.insert("/boot/grub/i386-pc/eltorito.img".into(), vec![0xeb; 30_000]);
        image.files.insert("/boot/grub/grub.cfg".into(), config.into());
        image.boot = ("/boot/grub/i386-pc/eltorito.img".into(), 4);
        image
    }

    fn bare(archive: &[u8]) -> Image {
        let unix = fs::read(shared(Year::Y2025).join(&UNIX[1..])).unwrap();
        let hash = hex(&Sha1::digest(archive));
        Image {
            files: BTreeMap::from([
                (UNIX.to_owned(), unix),
                (ARCHIVE.to_owned(), archive.to_vec()),
                (HASH.to_owned(), format!("{hash}\n").into_bytes()),
            ]),
            boot: (String::new(), 0),
            efi: BTreeMap::new(),
            hybrid: false,
            patches: Vec::new(),
            scratch: scratch(),
        }
    }

    pub fn put(&mut self, path: &str, content: &str) {
        self.files.insert(path.to_owned(), content.as_bytes().to_vec());
    }

    pub fn remove(&mut self, path: &str) {
        assert!(self.files.remove(path).is_some(), "{path}");
    }

    pub fn rename(&mut self, from: &str, to: &str) {
        let content = self.files.remove(from).unwrap();
        self.files.insert(to.to_owned(), content);
    }

    /// Writes the ISO.
    pub fn write(&self) -> PathBuf {
        let mut volume = Volume::new("ILLUMOS", 0).unwrap();
        let attributes = Attributes { mode: 0o644, uid: 0, gid: 0 };
        for (path, content) in &self.files {
            let path = RootPath::new(path).unwrap();
            if path.to_string() == self.boot.0 {
                let extent = volume.add_extent_with_info_table(content.clone()).unwrap();
                let range = Range { extent, offset: 0, size: content.len() as u64 };
                volume.add(&path, attributes, Node::File(range)).unwrap();
                volume.add_boot_image(extent, Platform::Bios, self.boot.1);
            } else {
                volume.add_file(&path, attributes, Blob::from_bytes(&content[..])).unwrap();
            }
        }
        let files: Vec<FatFile> = self
            .efi
            .iter()
            .map(|(path, bytes)| FatFile { path: path.clone(), blob: Blob::from_bytes(&bytes[..]) })
            .collect();
        let fat = (!files.is_empty()).then(|| FatImage::plan(files, 0).unwrap());
        let extent = fat.as_ref().map(|fat| {
            let pieces = fat.pieces().into_iter().chain(fat.boot_sectors(1)).collect();
            let extent = volume.add_extent_of_pieces(fat.size(), pieces);
            volume.add_boot_image(extent, Platform::Uefi, uefi_load_blocks(fat.size()));
            extent
        });
        let layout = volume.layout().unwrap();
        let out = self.scratch.path().join("out.iso");
        layout.write(&out).unwrap();
        let mut bytes = fs::read(&out).unwrap();
        if self.hybrid {
            let efi = extent.zip(fat).map(|(extent, fat)| (layout.sector_of(extent), fat.size()));
            self.make_hybrid(&mut bytes, efi);
        }
        for (at, patch) in &self.patches {
            bytes[*at as usize..][..patch.len()].copy_from_slice(patch);
        }
        fs::write(&out, bytes).unwrap();
        out
    }

    /// pmbr with its fields, isoboot in blocks 4 and following, two partitions.
    fn make_hybrid(&self, bytes: &mut [u8], efi: Option<(u32, u64)>) {
        let isoboot = &self.files["/boot/isoboot"];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &self.files["/boot/pmbr"]);
        put(0xfc, &(isoboot.len().div_ceil(512) as u16).to_le_bytes());
        put(0xfe, &4u64.to_le_bytes());
        put(4 * 512, isoboot);
        put(4 * 512 + 1000, &[0x5a; 8]);
        let mut partition = |index: usize, kind: u8, first: u32, blocks: u32| {
            let at = 446 + 16 * index;
            put(at, &[0x80 * u8::from(index == 0), 0, 2, 0, kind, 0xff, 0xff, 0xff]);
            put(at + 8, &first.to_le_bytes());
            put(at + 12, &blocks.to_le_bytes());
        };
        partition(0, 0xbe, 3, 60);
        if let Some((sector, size)) = efi {
            partition(1, 0xef, sector * BLOCKS, (size / 512) as u32);
        }
        put(510, &[0x55, 0xaa]);
    }

    pub fn verdict(&self) -> Verdict {
        verify(&self.write(), None, rules()).unwrap()
    }

    /// Where a file lies in the written image, in bytes.
    pub fn offset_of(&self, path: &str) -> u64 {
        let image = IsoImage::open(&self.write()).unwrap();
        u64::from(image.find(&RootPath::new(path).unwrap()).unwrap().sector) * 2048
    }
}

pub fn rules() -> &'static RuleSet {
    static RULES: std::sync::OnceLock<RuleSet> = std::sync::OnceLock::new();
    RULES.get_or_init(|| RuleSet::load(&[]).unwrap())
}

/// `P loader: message [path]`.
pub fn line(finding: &Finding) -> String {
    let path = finding.path.as_deref().map(|path| format!(" [{path}]")).unwrap_or_default();
    format!("{} {}: {}{path}", finding.severity.letter(), finding.component, finding.message)
}

/// All findings but suggestions.
pub fn lines(verdict: &Verdict) -> Vec<String> {
    verdict.findings.iter().filter(|finding| finding.severity != Severity::Suggestion).map(line).collect()
}

/// An EFI application of 64 bits that does nothing.
fn efi_program() -> Vec<u8> {
    let mut bytes = vec![0; 8192];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, b"MZ");
    put(60, &0x80u32.to_le_bytes());
    put(0x80, b"PE\0\0\x64\x86\x01\0");
    put(0x80 + 20, &112u16.to_le_bytes());
    put(0x80 + 24, &0x20bu16.to_le_bytes());
    put(0x80 + 24 + 68, &10u16.to_le_bytes());
    put(0x80 + 24 + 112 + 16, &(8192u32 - 512).to_le_bytes());
    put(0x80 + 24 + 112 + 20, &512u32.to_le_bytes());
    bytes
}

/// A file of the host, for comparison.
pub fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}
