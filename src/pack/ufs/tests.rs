//! Whole images, and what is in them.

use super::*;
use crate::manifest::Content;
use crate::pack::testing::{archive, directory, entry, file, hardlink, manifest};
use crate::root::{Root, SparseFile};
use crate::ufs::read::{Image, read_superblock};
use crate::ufs::{BACKUP_FRAGMENT, Inode, MAX_FILE_SIZE, Record, SUPERBLOCK_OFFSET};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Read;

fn image(manifest: &Manifest, reserve: Reserve) -> Vec<u8> {
    archive(|contents, out| Plan::new(manifest, contents, reserve, 7).unwrap().write(contents, out))
}

fn inode(image: &[u8], number: u32) -> Inode {
    let superblock = Superblock::read(&image[SUPERBLOCK_OFFSET as usize..]).unwrap();
    Inode::read(&image[superblock.inode_offset(number).unwrap() as usize..]).unwrap()
}

fn fragments(image: &[u8], fragment: u32) -> &[u8] {
    &image[fragment as usize * FRAGMENT_SIZE as usize..]
}

/// The inode of a name in the root directory.
fn in_root(image: &[u8], name: &[u8]) -> Inode {
    let directory = fragments(image, inode(image, ROOT_INODE).db[0]);
    let mut at = 0;
    loop {
        let record = Record::read(directory, at).unwrap();
        if record.inode != 0 && record.name == name {
            return inode(image, record.inode);
        }
        at += record.length;
    }
}

#[test]
fn an_empty_file_system_is_marked_clean_and_has_room_for_its_log() {
    let bytes = image(&manifest(Vec::new()), Reserve { free: 0, free_inodes: 0 });
    let superblock = Superblock::read(&bytes[SUPERBLOCK_OFFSET as usize..]).unwrap();
    assert_eq!(superblock.state.wrapping_add(superblock.time), crate::ufs::STATE_OKAY);
    assert_eq!((superblock.clean, superblock.version, superblock.ncg), (1, 0, 1));
    // The log of 1 MiB and its block; lost+found and the root directory are in use already.
    assert_eq!(superblock.cstotal.n_free_blocks, 129);
    assert_eq!((superblock.cstotal.n_directories, superblock.cstotal.n_free_inodes), (2, 60));
    assert_eq!(bytes.len(), superblock.size as usize * 1024);
    assert!(bytes[..SUPERBLOCK_OFFSET as usize].iter().all(|byte| *byte == 0), "holes are read from here");
}

#[test]
fn special_files_links_and_large_owners_are_where_illumos_looks() {
    let mut passwd = file("/passwd", b"setuid");
    (passwd.mode, passwd.uid, passwd.gid) = (0o4755, 70_000, 65_535);
    let made = manifest(vec![
        entry("/char", Content::Char { major: 13, minor: 2 }),
        entry("/disk", Content::Block { major: 300, minor: 70_000 }),
        entry("/fifo", Content::Fifo),
        passwd,
        hardlink("/passwd2", "/passwd"),
        entry("/short", Content::Symlink { target: b"target".to_vec() }),
    ]);
    let bytes = image(&made, Reserve::default());
    let (char, disk) = (in_root(&bytes, b"char"), in_root(&bytes, b"disk"));
    assert_eq!((char.mode, char.db[0], char.db[1], char.blocks), (0o020_644, 0, 0x0d02, 0));
    assert_eq!((disk.mode, disk.device()), (0o060_644, (300, 70_000)));
    assert_eq!(in_root(&bytes, b"fifo").mode, 0o010_644);
    let passwd = in_root(&bytes, b"passwd");
    assert_eq!(passwd, in_root(&bytes, b"passwd2"));
    assert_eq!((passwd.mode, passwd.nlink, passwd.size), (0o104_755, 2, 6));
    assert_eq!((passwd.suid, passwd.uid, passwd.sgid, passwd.gid), (65_535, 70_000, 65_535, 65_535));
    assert_eq!((passwd.atime, passwd.mtime, passwd.ctime), ([7, 0], [7, 0], [7, 0]));
    let link = in_root(&bytes, b"short");
    assert_eq!((link.size, link.blocks, link.db[1..].to_vec(), link.ib), (6, 2, vec![0; 11], [0; 3]));
    assert_eq!(fragments(&bytes, link.db[0])[..1024], *[&b"target"[..], &[0; 1018]].concat());
}

#[test]
fn groups_begin_with_the_same_superblock_and_files_go_on_across_them() {
    // 50 MB: more than one group, and a double indirect block.
    let content: Vec<u8> = (0..12_500_000_u32).flat_map(u32::to_le_bytes).collect();
    let bytes = image(&manifest(vec![file("/large", &content)]), Reserve { free: 30 << 20, free_inodes: 70 });
    let superblock = Superblock::read(&bytes[SUPERBLOCK_OFFSET as usize..]).unwrap();
    assert!(superblock.ncg >= 2);
    for group in 0..superblock.ncg {
        let backup = superblock.group_base(group).unwrap() + BACKUP_FRAGMENT;
        assert_eq!(Superblock::read(fragments(&bytes, backup)).unwrap(), superblock);
    }
    let large = in_root(&bytes, b"large");
    let pointers = |fragment: u32| -> Vec<u32> {
        fragments(&bytes, fragment)[..8192].as_chunks().0.iter().map(|four| u32::from_le_bytes(*four)).collect()
    };
    let single = pointers(large.ib[1]).into_iter().filter(|pointer| *pointer != 0).flat_map(pointers);
    let blocks = large.db.into_iter().chain(pointers(large.ib[0])).chain(single);
    let read: Vec<u8> = blocks.flat_map(|block| &fragments(&bytes, block)[..8192]).copied().collect();
    assert!(read[..content.len()] == content);
    assert_eq!((large.size, large.ib[2]), (50_000_000, 0));
}

#[test]
fn a_file_with_holes_takes_only_its_data_and_is_still_checked() {
    let host = tempfile::tempdir().unwrap();
    let sparse = |bytes: &[(u64, &[u8])]| {
        let file = fs::File::create(host.path().join("sparse")).unwrap();
        file.set_len(crate::root::LEAST_SPARSE_SIZE + 5).unwrap();
        bytes.iter().for_each(|(at, bytes)| std::os::unix::fs::FileExt::write_all_at(&file, bytes, *at).unwrap());
    };
    sparse(&[(1 << 20, b"data")]);
    let traced = fs::read(host.path().join("sparse")).unwrap();
    let (size, sha256) = (traced.len() as u64, Sha256::digest(&traced).into());
    let made = manifest(vec![entry("/sparse", Content::File { size, sha256, unpacked_from: None })]);
    let root = Root::open(host.path()).unwrap();
    let contents = Contents::new(&root);
    let plan = Plan::new(&made, &contents, Reserve::default(), 0).unwrap();
    let mut bytes = Vec::new();
    plan.write(&contents, &mut bytes).unwrap();
    let inode = in_root(&bytes, b"sparse");
    // A block of data and one that leads to it.
    assert_eq!((inode.size, inode.blocks, inode.db), (size, 32, [0; 12]));
    assert!(bytes.len() < 4 << 20);

    // Now there is data where the plan has a hole: the manifest knows that it is not what was traced.
    for change in [&[(1 << 20, &b"data"[..]), (2 << 20, b"more")][..], &[(1 << 20, b"data"), (size - 1, b"x")], &[]] {
        sparse(change);
        let error = PackError::from_io(plan.write(&contents, &mut Vec::new()).unwrap_err(), |e| panic!("{e}"));
        assert!(matches!(error, PackError::Changed { .. }), "{error}");
    }
}

#[test]
fn b77_the_reserve_is_free_and_nothing_else() {
    for (free, free_inodes) in [(0, 0), (1, 1), (1 << 20, 256), (300 << 20, 5000)] {
        let files: Vec<_> = (0..100).map(|n| file(&format!("/{n:03}"), &vec![b'x'; n * 300])).collect();
        let made = manifest(files);
        let empty = tempfile::tempdir().unwrap();
        let root = Root::open(empty.path()).unwrap();
        let usage = Plan::new(&made, &Contents::new(&root), Reserve { free, free_inodes }, 0).unwrap().usage();
        let spare = usage.free - usage.log - free;
        // Beside the last ends and the summary; and the last block of what was asked for.
        assert!(spare < 10 * 8192, "{spare} bytes more than asked");
        assert!(usage.free_inodes >= free_inodes && usage.free_inodes < free_inodes + 64 * 8, "{usage:?}");
        assert_eq!((usage.size, usage.used_inodes), (usage.used + usage.free, 104));
    }
}

#[test]
fn what_no_loader_can_place_is_refused_with_the_largest_file() {
    let empty = tempfile::tempdir().unwrap();
    let root = Root::open(empty.path()).unwrap();
    let refused = |entries: Vec<Entry>, reserve: Reserve, epoch: u32| {
        let made = manifest(entries);
        Plan::new(&made, &Contents::new(&root), reserve, epoch).err().unwrap().to_string()
    };
    let large = |at: &str, size| entry(at, Content::Generated { size, sha256: [0; 32], bytes: Some(Vec::new()) });
    let two = vec![large("/a", 2 << 30), large("/b", 3 << 30)];
    assert!(refused(two, Reserve::default(), 0).ends_with("the largest file is `/b`"));
    let many = (0..100).map(|n| large(&format!("/{n:02}"), (1 << 40) - 1)).collect();
    assert!(refused(many, Reserve::default(), 0).contains("4 GiB"));
    let reserve = Reserve { free: u64::MAX, free_inodes: 1 };
    assert!(refused(vec![directory("/a")], reserve, 0).ends_with("has to place it"));
    let reserve = Reserve { free: 0, free_inodes: u32::MAX };
    assert!(refused(vec![], reserve, 0).contains("4 GiB"));
    assert!(refused(vec![], Reserve::default(), 1 << 31).contains("2038"));
}

/// The figures of an image counted by code that shares nothing with this crate.
#[path = "../../../tests/integration/boot_archive/recount/mod.rs"]
mod recount;

/// Twelve blocks, 2048 and 2048² of them lie before the first that the third level leads to.
const THIRD_LEVEL: u64 = (12 + 2048 + 2048 * 2048) * 8192;

/// An image with a file of nothing but holes between the pieces, which was checked and whose pieces were read again; with
/// the file's inode.
fn sparse_image(size: u64, pieces: &[(u64, &[u8])]) -> (Vec<u8>, Inode) {
    let host = tempfile::tempdir().unwrap();
    let file = fs::File::create(host.path().join("large")).unwrap();
    file.set_len(size).unwrap();
    pieces.iter().for_each(|(at, bytes)| std::os::unix::fs::FileExt::write_all_at(&file, bytes, *at).unwrap());
    let made = manifest(vec![entry("/large", Content::File { size, sha256: [0; 32], unpacked_from: None })]);
    let root = Root::open(host.path()).unwrap();
    let plan = Plan::new(&made, &Contents::new(&root), Reserve { free: 0, free_inodes: 0 }, 0).unwrap();
    let mut bytes = Vec::new();
    // Without its digest, which takes half a minute.
    let open = |_: &_| Ok(Box::new(SparseFile::new(fs::File::open(host.path().join("large")).unwrap())) as Box<_>);
    write::write_files(&plan, &open, &mut bytes).unwrap();

    assert_eq!(recount::problems(&bytes), [""; 0]);
    let superblock = read_superblock(&bytes).unwrap();
    let image = Image::open(&bytes, &superblock).unwrap();
    assert!(crate::ufs::check::check(image).is_empty());
    let inode = in_root(&bytes, b"large");
    for (at, expected) in pieces {
        let mut read = vec![0; expected.len()];
        image.content(4, &inode).at(*at).read_exact(&mut read).unwrap();
        assert_eq!(read, *expected, "at {at}");
    }
    (bytes, inode)
}

#[test]
fn a_file_behind_the_third_level_of_indirect_blocks_takes_its_data_and_no_more() {
    let size = THIRD_LEVEL + (600 << 20) + 5;
    let pieces: [(u64, &[u8]); 5] = [
        (0, b"first"),
        (THIRD_LEVEL - 4, b"on the border"),
        (THIRD_LEVEL + (70 << 20), b"within"),
        (size - 9000, b"last block"),
        (size - 3, b"end"),
    ];
    let (bytes, inode) = sparse_image(size, &pieces);
    // Six blocks of data; two that lead to the last of the second level, and one, one and three to those behind.
    assert_eq!((inode.size, inode.blocks), (size, 13 * 16));
    assert!(bytes.len() < 2 << 20, "{}", bytes.len());
}

#[test]
fn the_largest_file_is_written_and_a_larger_one_is_refused() {
    let (_, inode) = sparse_image(MAX_FILE_SIZE, &[(MAX_FILE_SIZE - 3, b"end")]);
    // A block of data, behind one of each level.
    assert_eq!((inode.size, inode.blocks), (MAX_FILE_SIZE, 4 * 16));
    let larger = Content::File { size: MAX_FILE_SIZE + 1, sha256: [0; 32], unpacked_from: None };
    let empty = tempfile::tempdir().unwrap();
    let root = Root::open(empty.path()).unwrap();
    let made = manifest(vec![entry("/larger", larger)]);
    let refused = Plan::new(&made, &Contents::new(&root), Reserve::default(), 0).err().unwrap().to_string();
    assert!(refused.contains("`/larger`") && refused.contains("at most 1 TiB - 1"), "{refused}");
}
