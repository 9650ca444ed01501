//! Boot archives of illumos made by `pack --format ufs`: every figure in them is counted again, here by code that shares
//! nothing with the crate, in `damage` by the crate itself; `linux` asks another kernel.

mod damage;
mod linux;
mod read;
mod recount;

use crate::command::{minroot, recipe, succeed};
use crate::model_root::{generator::Year, shared};
use crate::pack_ufs::{Tree, plain};
use crate::support::scratch;
use minroot::manifest::Content;
use recount::problems;
use std::fs;

fn image_of(tree: &Tree) -> Vec<u8> {
    let directory = scratch();
    let image = directory.path().join("boot_archive");
    tree.pack(plain(), &image);
    fs::read(image).unwrap()
}

/// A file with holes below each level of indirect blocks but the last.
fn add_holes(tree: &mut Tree) {
    tree.add_sparse(80 << 20, &[8192 * 5, 20 << 20, (64 << 20) + 77].map(|at| (at, &b"between holes"[..])));
}

fn check_sound(image: &[u8]) {
    let told = problems(image);
    assert!(told.is_empty(), "{} problems:\n{}", told.len(), told[..told.len().min(40)].join("\n"));
}

#[test]
fn every_figure_of_an_empty_and_of_a_mixed_image_is_as_counted() {
    check_sound(&image_of(&Tree::new()));
    check_sound(&image_of(&Tree::mixed()));
}

#[test]
fn every_figure_of_an_image_of_40_000_files_is_as_counted() {
    let mut tree = Tree::new();
    tree.add("/many", Content::Directory);
    for n in 0..40_000 {
        tree.add_generated(&format!("/many/{n:05}"), vec![b'x'; n % 9000]);
    }
    check_sound(&image_of(&tree));
}

#[test]
fn every_figure_of_a_sparse_image_is_as_counted() {
    let mut tree = Tree::new();
    add_holes(&mut tree);
    let image = image_of(&tree);
    assert!(image.len() < 4 << 20);
    check_sound(&image);
}

#[test]
fn every_figure_of_the_boot_archive_of_the_model_root_is_as_counted() {
    let root = shared(Year::Y2025);
    let directory = scratch();
    let (manifest, image) = (directory.path().join("m.json"), directory.path().join("boot_archive"));
    let recipes = ["illumos-base", "illumos-vboxnet"].map(recipe);
    succeed(minroot(["trace", "--root"]).arg(root).args(recipes).arg("-o").arg(&manifest));
    let mut pack = minroot(["pack", "--compress", "none", "--root"]);
    succeed(pack.arg(root).arg("-m").arg(&manifest).arg("-o").arg(&image));
    check_sound(&fs::read(&image).unwrap());
}

/// A byte of an image, and what the recount says when a bit of it is changed.
struct Damage {
    at: usize,
    says: &'static str,
}

fn u32_at(image: &[u8], at: usize) -> usize {
    u32::from_le_bytes(image[at..at + 4].try_into().unwrap()) as usize
}

#[test]
fn a_changed_bit_in_any_kind_of_field_is_told() {
    let mut tree = Tree::new();
    tree.add("/directory", Content::Directory);
    tree.add("/link", Content::Symlink { target: b"directory/file".to_vec() });
    tree.add("/fifo", Content::Fifo);
    tree.add_file("/directory/file", &[7; 200_000]);
    let good = image_of(&tree);
    check_sound(&good);
    let sb = 8192;
    let (group, inodes, summary) = (24 << 10, 32 << 10, u32_at(&good, sb + 152) << 10);
    let inode = |number: usize| inodes + 128 * number;
    let is_big = |number: &usize| u32_at(&good, inode(*number) + 8) == 200_000;
    let file = inode((4..12).find(is_big).unwrap());
    let is_link = |number: &usize| good[inode(*number) + 1] >> 4 == 0o12;
    let link = inode((4..12).find(is_link).unwrap());
    let indirect = u32_at(&good, file + 88) << 10;
    let root = u32_at(&good, inode(2) + 40) << 10;
    let maps = |field: usize| group + u32_at(&good, group + field);
    let damages = [
        Damage { at: 5, says: "boot block" },
        Damage { at: sb + 40, says: "fs_dsize" },
        Damage { at: sb + 132, says: "fs_state" },
        Damage { at: sb + 196, says: "fs_cstotal: free blocks" },
        Damage { at: sb + 209, says: "fs_clean" },
        Damage { at: sb + 1320, says: "fs_version" },
        Damage { at: sb + 1372, says: "fs_magic" },
        Damage { at: (16 << 10) + 212, says: "superblock of group 0" },
        Damage { at: group + 4, says: "cg_magic" },
        Damage { at: group + 24, says: "group 0: directories" },
        Damage { at: group + 28, says: "group 0: free blocks" },
        Damage { at: group + 32, says: "group 0: free inodes" },
        Damage { at: group + 36, says: "group 0: free fragments" },
        Damage { at: group + 43, says: "cg_rotor" },
        Damage { at: group + 56, says: "cg_frsum[1]" },
        Damage { at: group + 80, says: "cg_frsum[7]" },
        Damage { at: maps(84), says: "free blocks of cylinder 0" },
        Damage { at: maps(88), says: "free blocks of position 0 of cylinder 0" },
        Damage { at: maps(92), says: "inode map of 0" },
        Damage { at: maps(96), says: "fragment map of 0" },
        Damage { at: summary + 4, says: "summary of group 0: free blocks" },
        Damage { at: file + 2, says: "ic_nlink" },
        Damage { at: file + 4, says: "ic_suid" },
        Damage { at: file + 104, says: "ic_blocks" },
        Damage { at: file + 112, says: "ic_shadow" },
        Damage { at: file + 40, says: "too" },
        Damage { at: file + 43, says: "behind the end" },
        Damage { at: file + 92, says: "indirect block" },
        Damage { at: link + 1, says: "no such type" },
        Damage { at: indirect, says: "too" },
        Damage { at: indirect + 8000, says: "slot 2000" },
        Damage { at: root, says: "does not start with" },
        Damage { at: root + 4, says: "mangled entry" },
        Damage { at: root + 6, says: "mangled entry" },
        Damage { at: root + 9, says: "wrong place" },
        Damage { at: (u32_at(&good, link + 40) << 10) + 30, says: "without zeros" },
    ];
    for Damage { at, says } in damages {
        let mut image = good.clone();
        image[at] ^= 1 << if says == "no such type" { 6 } else { 0 };
        let told = problems(&image);
        assert!(told.iter().any(|problem| problem.contains(says)), "byte {at}: no `{says}` in {told:#?}");
    }
}
