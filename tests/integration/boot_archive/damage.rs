//! Faults in a good image, one at a time: nothing makes the reader crash, and each is told with its field, but for fields
//! that nobody reads and values that are as good as others. Those are listed here with the reason.

use super::{image_of, u32_at};
use crate::pack_ufs::Tree;
use crate::support::scratch;
use minroot::manifest::{Content, Manifest};
use minroot::rules::RuleSet;
use minroot::ufs::check::check;
use minroot::ufs::read::{Image, read_superblock};
use minroot::ufs::{FieldPlace, GroupHeader, Inode, ROOT_INODE, Record, Superblock};
use minroot::verify::{Severity, Verdict, verify};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::io::{Read, copy, sink};

const SUPERBLOCK: usize = 8192;
const GROUP: usize = 24 << 10;
const BLOCK: usize = 8192;

/// A small image with one of everything.
struct Good {
    image: Vec<u8>,
    manifest: Manifest,
    /// What verify finds in it as it is: it has no kernel.
    findings: BTreeSet<String>,
    rules: RuleSet,
}

impl Good {
    fn new() -> Good {
        let mut tree = Tree::new();
        tree.add("/directory", Content::Directory);
        tree.add("/link", Content::Symlink { target: b"directory/file".to_vec() });
        tree.add("/fifo", Content::Fifo);
        tree.add("/null", Content::Char { major: 13, minor: 2 });
        tree.add_file("/directory/file", &[7; 200_000]);
        let (image, manifest) = (image_of(&tree), tree.manifest());
        let mut good = Good { image, manifest, findings: BTreeSet::new(), rules: RuleSet::load(&[]).unwrap() };
        good.findings = lines(&good.verdict(&good.image));
        let is_about_files = |line: &&String| line.contains("manifest") || line.starts_with("image");
        assert_eq!(good.findings.iter().find(is_about_files), None);
        good
    }

    fn verdict(&self, image: &[u8]) -> Verdict {
        let directory = scratch();
        let file = directory.path().join("boot_archive");
        fs::write(&file, image).unwrap();
        verify(&file, Some(&self.manifest), &self.rules).unwrap()
    }

    /// What verify says more than of the good image.
    fn verified(&self, image: &[u8]) -> Vec<String> {
        lines(&self.verdict(image)).difference(&self.findings).cloned().collect()
    }

    fn flipped(&self, bit: usize) -> Vec<u8> {
        let mut image = self.image.clone();
        image[bit / 8] ^= 1 << (bit % 8);
        image
    }

    /// The byte where the inode is that a name of the root or `/directory` leads to.
    fn inode(&self, name: &str) -> usize {
        let superblock = Superblock::read(&self.image[SUPERBLOCK..]).unwrap();
        let image = Image::open(&self.image, &superblock).unwrap();
        let entry = image.walk().map(Result::unwrap).find(|entry| entry.path.to_string() == name).unwrap();
        superblock.inode_offset(entry.number).unwrap() as usize
    }

    /// The byte where a pointer leads to.
    fn follow(&self, pointer: usize) -> usize {
        u32_at(&self.image, pointer) << 10
    }
}

fn lines(verdict: &Verdict) -> BTreeSet<String> {
    let hint = |hint: &Option<String>| hint.clone().unwrap_or_default();
    verdict.findings.iter().map(|f| format!("{}: {} ({})", f.component, f.message, hint(&f.hint))).collect()
}

/// Reads everything, and gives what the library says.
fn told(bytes: &Vec<u8>) -> Vec<String> {
    let superblock = match read_superblock(bytes) {
        Ok(superblock) => superblock,
        Err(error) => return vec![format!("{error} {:?}", error.source())],
    };
    let image = match Image::open(bytes, &superblock) {
        Ok(image) => image,
        Err(error) => return vec![error.to_string()],
    };
    let problems = check(image);
    let mut told = problems.told;
    for entry in image.walk() {
        match entry {
            Ok(entry) => {
                let content = image.content(entry.number, &entry.inode);
                // A file can be longer than anybody wants to read.
                if let Err(error) = copy(&mut content.take(1 << 20), &mut sink()) {
                    told.push(error.to_string());
                }
            }
            Err(error) => told.push(error.to_string()),
        }
    }
    told
}

/// Flips each bit of each field of a structure at `at`; gives how many flips of a field are told by a line that has one
/// of the words, and how many are not told at all.
fn flips(
    good: &Good,
    at: usize,
    fields: &[FieldPlace],
    words: impl Fn(&str) -> Vec<String>,
) -> BTreeMap<String, usize> {
    let mut silent = BTreeMap::new();
    for field in fields {
        let words = words(field.name);
        for bit in (at + field.offset) * 8..(at + field.offset + field.size) * 8 {
            let told = told(&good.flipped(bit));
            if told.is_empty() {
                *silent.entry(field.name.to_owned()).or_default() += 1;
            } else {
                let is_named = told.iter().any(|line| words.iter().any(|word| line.contains(word)));
                assert!(is_named, "{} at bit {bit}: none of {words:?} in {told:#?}", field.name);
            }
        }
    }
    silent
}

#[test]
fn every_bit_of_the_superblock_is_told_or_has_a_reason() {
    let good = Good::new();
    let silent = flips(&good, SUPERBLOCK, Superblock::FIELDS, |field| match field {
        // What the kernel says of them.
        "magic" => vec!["not a UFS magic number".to_owned()],
        "version" => vec!["unrecognized version".to_owned(), "fs_version".to_owned()],
        // Only their sum can be wrong.
        "time" => vec!["fs_state".to_owned()],
        field => vec![format!("fs_{field}")],
    });
    let expected = [
        // A flag for mounts with `nolargefiles`, which does no harm without a large file.
        ("flags", 1),
        // Settings of `tunefs`, for which other values are as good: 31 bits, and less when that gives 0.
        ("maxbpg", 30),
        ("maxcontig", 30),
        // Up to 99 per cent.
        ("minfree", 7),
        // Space or time.
        ("optim", 1),
    ];
    assert_eq!(silent, BTreeMap::from(expected.map(|(field, count)| (field.to_owned(), count))));
}

#[test]
fn every_bit_of_a_group_block_is_told_or_has_a_reason() {
    let good = Good::new();
    let group = |_: &str| vec!["cylinder group 0".to_owned()];
    let silent = flips(&good, GROUP, GroupHeader::FIELDS, group);
    let header = GroupHeader::read(&good.image[GROUP..]).unwrap();
    // Where a search begins: any place in the group is good.
    let below = |limit: u32| limit.ilog2() as usize + 1;
    let fields = ["rotor", "frotor", "irotor", "time"];
    let counts = fields.map(|field| silent.get(field).copied().unwrap_or_default());
    let limits = [header.ndblk, header.ndblk, header.niblk.into()].map(below);
    assert!((0..3).all(|n| counts[n] <= limits[n]), "{silent:?}");
    // When something was last allocated, which only `fsck` of a mounted disk ever printed.
    assert_eq!((counts[3], silent.len()), (32, 4), "{silent:?}");
    for byte in header.btotoff as usize..header.nextfreeoff as usize {
        let told = told(&good.flipped((GROUP + byte) * 8 + byte % 8));
        assert!(told.iter().any(|line| line.starts_with("cylinder group 0")), "byte {byte} of the group: {told:?}");
    }
    let summary = good.follow(SUPERBLOCK + 152);
    for bit in summary * 8..(summary + 16) * 8 {
        assert!(told(&good.flipped(bit)).iter().any(|line| line.starts_with("summary area")), "bit {bit}");
    }
}

#[test]
fn every_bit_of_an_inode_is_told_or_has_a_reason() {
    let good = Good::new();
    for name in ["/", "/directory", "/directory/file", "/link", "/fifo", "/null"] {
        let at = good.inode(name);
        for field in Inode::FIELDS {
            for bit in (at + field.offset) * 8..(at + field.offset + field.size) * 8 {
                let image = good.flipped(bit);
                let bit = bit - (at + field.offset) * 8;
                let is_silent = match field.name {
                    // Any second is good, and most microseconds below a million.
                    "atime" | "mtime" | "ctime" => bit < 32 || bit - 32 < 20,
                    // For file handles of NFS.
                    "generation" => true,
                    // Extended attributes, space that is reserved, compression: told where the reader would trip.
                    "flags" => bit < 3,
                    _ => false,
                };
                let told = told(&image);
                if told.is_empty() && !is_silent {
                    // What only the manifest knows: the mode, the size within a fragment, a device, an owner.
                    let verified = good.verified(&image);
                    // The mode of a symlink means nothing.
                    let is_link = name == "/link" && field.name == "mode";
                    // The manifest has no root directory.
                    let is_root = name == "/" && field.name == "mode";
                    assert!(!verified.is_empty() || is_link || is_root, "{name}: bit {bit} of {}", field.name);
                }
            }
        }
    }
}

#[test]
fn every_field_of_a_directory_and_every_pointer_of_an_indirect_block_is_told() {
    let good = Good::new();
    let root = good.follow(good.inode("/") + 40);
    let mut at = 0;
    let mut n_records = 0;
    while at < 512 {
        let record = Record::read(&good.image[root..root + 512], at).unwrap();
        let bytes = if record.inode == 0 { 4..6 } else { 0..8 + record.name.len() + 1 };
        for bit in bytes.flat_map(|byte| (root + at + byte) * 8..(root + at + byte + 1) * 8) {
            let image = good.flipped(bit);
            let told = told(&image);
            // Another name is as good as the right one, for everybody but the manifest.
            let is_told = !told.is_empty() || !good.verified(&image).is_empty();
            assert!(is_told || record.name == b"lost+found", "bit {} of record {at}", bit - (root + at) * 8);
        }
        at += record.length;
        n_records += 1;
    }
    assert!(n_records >= 7);
    let indirect = good.follow(good.inode("/directory/file") + 88);
    // 25 blocks, 12 of them in the inode.
    for bit in (0..13 * 32).chain((13..2048).step_by(97).map(|slot| slot * 32 + slot % 32)) {
        let told = told(&good.flipped(indirect * 8 + bit));
        let slot = format!("slot {} of the indirect block", bit / 32);
        let is_named = told.iter().any(|line| line.contains(&slot) || line.contains("fragment map"));
        assert!(is_named, "bit {bit}: {told:?}");
    }
}

#[test]
fn an_image_that_is_cut_at_any_block_is_told_and_its_gzip_as_well() {
    let good = Good::new();
    for length in (0..good.image.len()).step_by(BLOCK).chain([SUPERBLOCK + 1400, good.image.len() - 512]) {
        let cut = &good.image[..length];
        let told = told(&cut.to_vec());
        assert!(!told.is_empty(), "{length}");
        let verdict = good.verdict(cut);
        let worst = verdict.findings.iter().filter(|finding| finding.severity <= Severity::Harmful);
        let words = ["cut short", "past the end", "cannot mount root"];
        let is_named = |line: &String| words.iter().any(|word| line.contains(word));
        assert!(worst.count() > 0 && lines(&verdict).iter().any(is_named), "{length}: {:#?}", lines(&verdict));
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &good.image).unwrap();
    let packed = encoder.finish().unwrap();
    assert_eq!(good.verified(&packed), [""; 0], "the whole of it is as good as the plain one");
    for length in (20..packed.len()).step_by(packed.len() / 50) {
        let verified = good.verified(&packed[..length]);
        assert!(verified.iter().any(|line| line.contains("No rootfs module provided")), "{length}: {verified:?}");
    }
}

#[test]
fn rings_overlaps_and_giants_end_with_the_field() {
    let good = Good::new();
    let (root, directory) = (good.inode("/"), good.inode("/directory"));
    let (file, fifo) = (good.inode("/directory/file"), good.inode("/fifo"));
    let damaged = |writes: &[(usize, &[u8])]| {
        let mut image = good.image.clone();
        for (at, bytes) in writes {
            image[*at..*at + bytes.len()].copy_from_slice(bytes);
        }
        told(&image)
    };
    let has = |told: &[String], word: &str| assert!(told.iter().any(|line| line.contains(word)), "{word}: {told:#?}");
    let own_data = good.follow(directory + 40);
    // The directory has the root as its child: the third record is the file.
    has(&damaged(&[(own_data + 24, &ROOT_INODE.to_le_bytes())]), "has a second name");
    // Its content is the root's: a ring of two directories that are one.
    let root_pointer = &good.image[root + 40..root + 44];
    has(&damaged(&[(directory + 40, root_pointer)]), "in use for something else");
    let indirect = &good.image[file + 88..file + 92];
    let indirect_at = good.follow(file + 88);
    has(&damaged(&[(indirect_at, indirect)]), "slot 0 of the indirect block");
    // A tree of pointers that all lead back, under a size that wants all of them.
    let all_back: Vec<u8> = indirect.iter().copied().cycle().take(BLOCK).collect();
    let giant = &((1_u64 << 40) - 1).to_le_bytes()[..];
    let told = damaged(&[(indirect_at, &all_back), (file + 8, giant), (file + 92, indirect), (file + 96, indirect)]);
    has(&told, "in use for something else");
    has(&damaged(&[(file + 8, &u64::MAX.to_le_bytes())]), "ic_lsize is 18446744073709551615");
    has(&damaged(&[(directory + 8, &(1_u64 << 39).to_le_bytes())]), "ic_lsize is 549755813888");
    has(&damaged(&[(root + 8, &513_u64.to_le_bytes())]), "ic_lsize is 513");
    // A fifo that becomes a symlink or a directory without content.
    has(&damaged(&[(fifo, &0o120_777_u16.to_le_bytes())]), "ic_lsize of the symlink `fifo` is 0");
    has(&damaged(&[(fifo, &0o040_755_u16.to_le_bytes())]), "has no `.`");
    // Every field at its extremes.
    for field in Superblock::FIELDS {
        for byte in [0, 0xff, 0x7f] {
            damaged(&[(SUPERBLOCK + field.offset, &[byte; 16][..field.size.min(16)])]);
        }
    }
}

#[test]
fn nothing_makes_the_reader_crash() {
    let good = Good::new();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % limit as u64) as usize
    };
    // Where structures are; further behind there is nearly nothing but free space.
    let end = good.follow(good.inode("/directory/file") + 40).max(128 << 10);
    for _ in 0..3000 {
        let mut image = good.image.clone();
        for _ in 0..=random(8) {
            let at = random(end - SUPERBLOCK) + SUPERBLOCK;
            let length = 1 + random(8);
            let bytes = match random(3) {
                0 => [0xff; 8],
                1 => [0; 8],
                _ => u64::to_le_bytes(random(usize::MAX) as u64),
            };
            image[at..at + length].copy_from_slice(&bytes[..length]);
        }
        told(&image);
    }
}

#[test]
fn a_mount_that_is_refused_is_told_in_the_words_of_the_kernel() {
    let good = Good::new();
    let changed = |at: usize, bytes: &[u8]| {
        let mut image = good.image.clone();
        image[at..at + bytes.len()].copy_from_slice(bytes);
        good.verified(&image)
    };
    let root = good.inode("/");
    for (at, bytes, words) in [
        (SUPERBLOCK + 1372, &0x00de_cade_u32.to_le_bytes()[..], "mount: not a UFS magic number (0xdecade)"),
        (SUPERBLOCK + 1320, &60_u32.to_le_bytes(), "mount: unrecognized version of UFS on-disk format: 60"),
        (SUPERBLOCK + 48, &16_384_u32.to_le_bytes(), "fs_bsize is 16384, not 8192"),
        (SUPERBLOCK + 44, &0_u32.to_le_bytes(), "fs_ncg is 0, not between 1 and"),
        (SUPERBLOCK + 156, &1000_u32.to_le_bytes(), "fs_cssize is 1000, not a multiple of 1024"),
        (SUPERBLOCK + 152, &0x7fff_ffff_u32.to_le_bytes(), "fs_csaddr 2147483647, is past the end"),
        (root, &0_u16.to_le_bytes(), "unexpected free inode 2"),
        (root + 2, &0_u16.to_le_bytes(), "unexpected free inode 2"),
        (root, &0o100_755_u16.to_le_bytes(), "inode 2 is no directory"),
    ] {
        let told = changed(at, bytes);
        let expected = "kernel: vfs_mountroot: cannot mount root (";
        assert!(told.iter().any(|line| line.starts_with(expected) && line.contains(words)), "{words}: {told:#?}");
    }
    let told = changed(SUPERBLOCK + 209, &[0]);
    assert!(told.iter().any(|line| line.contains("The state of /devices/ramdisk:a is not okay")), "{told:#?}");
}
