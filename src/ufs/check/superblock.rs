//! The superblock against itself, the length of the image, and its copies.

use super::Problems;
use crate::ufs::read::Image;
use crate::ufs::{
    BACKUP_FRAGMENT, BLOCK_SIZE, FRAGMENT_SIZE, FRAGMENTS_PER_BLOCK, Field, GroupMaps, INODES_FRAGMENT,
    INODES_PER_BLOCK, MAX_INODES_PER_GROUP, N_POSITIONS, SECTORS_PER_FRAGMENT, SUPERBLOCK_OFFSET, Summary, Superblock,
};

/// Fields in which a copy may differ: what changes while the file system is in use, and the settings of `tunefs`, which
/// `fsck` passes over as well (`setup.c`).
const VARIABLE: [&str; 14] = [
    "time",
    "state",
    "si",
    "cstotal",
    "fmod",
    "clean",
    "ronly",
    "flags",
    "cgrotor",
    "minfree",
    "rotdelay",
    "maxcontig",
    "maxbpg",
    "optim",
];

/// Checks everything but the sums; whether groups can be found by it.
pub(super) fn check(image: Image<'_>, problems: &mut Problems) -> bool {
    check_settings(image, problems);
    let is_findable = check_geometry(image, problems);
    // The first copy is found in any case.
    check_copies(image, if is_findable { image.superblock().ncg } else { 1 }, problems);
    is_findable
}

fn check_geometry(image: Image<'_>, problems: &mut Problems) -> bool {
    let sb = image.superblock();
    let have = image.length() / u64::from(FRAGMENT_SIZE);
    if u64::from(sb.size) > have {
        problems.tell(|| format!("fs_size says {} fragments, the image has only {have}: it is cut short", sb.size));
    }
    let before = problems.told.len();
    problems.compare("fs_sblkno", sb.sblkno, BACKUP_FRAGMENT);
    problems.compare("fs_dblkno", sb.dblkno, INODES_FRAGMENT + sb.ipg / (INODES_PER_BLOCK / FRAGMENTS_PER_BLOCK));
    problems.compare("fs_ncg", sb.ncg, sb.size.div_ceil(sb.fpg));
    problems.compare("fs_nrpos", sb.nrpos, N_POSITIONS);
    if !sb.ipg.is_multiple_of(INODES_PER_BLOCK) || sb.ipg > MAX_INODES_PER_GROUP {
        problems.tell(|| format!("fs_ipg is {}, not a multiple of 64 up to {MAX_INODES_PER_GROUP}", sb.ipg));
    }
    if sb.spc == 0 || !(1..=BLOCK_SIZE).contains(&sb.cpg) || !sb.fpg.is_multiple_of(FRAGMENTS_PER_BLOCK) {
        problems.tell(|| format!("fs_spc is {}, fs_cpg {}, fs_fpg {}: no geometry", sb.spc, sb.cpg, sb.fpg));
        return false;
    }
    let sectors = u64::from(sb.cpg) * u64::from(sb.spc);
    problems.compare("fs_fpg", u64::from(sb.fpg), sectors / u64::from(SECTORS_PER_FRAGMENT));
    match GroupMaps::new(sb.cpg, sb.ipg, sb.spc) {
        Some(maps) if maps.group_size() <= BLOCK_SIZE => {
            problems.compare("fs_cgsize", sb.cgsize, maps.group_size().next_multiple_of(FRAGMENT_SIZE));
        }
        _ => problems.tell(|| format!("fs_cpg is {}: the maps of a group do not fit into a block", sb.cpg)),
    }
    let last = sb.size.saturating_sub(sb.fpg.saturating_mul(sb.ncg - 1));
    if last < sb.dblkno {
        problems.tell(|| format!("fs_size leaves {last} fragments to the last group, its inodes take {}", sb.dblkno));
    }
    problems.compare("fs_csaddr", sb.csaddr, sb.dblkno);
    if problems.told.len() > before || problems.n_more > 0 {
        return false;
    }
    problems.compare("fs_ncyl", u64::from(sb.ncyl), (u64::from(sb.size) * 2).div_ceil(u64::from(sb.spc)));
    problems.compare("fs_cssize", sb.cssize, (sb.ncg * Summary::SIZE as u32).next_multiple_of(FRAGMENT_SIZE));
    problems.compare("fs_dsize", sb.dsize, data_fragments(sb));
    true
}

/// Fragments for data: those in front of a copy of the superblock are, but for the first group.
fn data_fragments(sb: &Superblock) -> u32 {
    let metadata = (sb.dblkno - BACKUP_FRAGMENT).saturating_mul(sb.ncg);
    sb.size.saturating_sub(metadata.saturating_add(BACKUP_FRAGMENT + sb.cssize / FRAGMENT_SIZE))
}

/// Fields that do not say where things are.
fn check_settings(image: Image<'_>, problems: &mut Problems) {
    let sb = image.superblock();
    if !image.is_okay() {
        let (state, clean, okay) = (sb.state, sb.clean, sb.okay_state());
        problems.tell(|| {
            format!("fs_state is {state:#x} and fs_clean {clean}, not {okay:#x} and 1: it cannot be mounted read-write")
        });
    }
    let half_cylinder = sb.spc.div_ceil(2).checked_next_multiple_of(FRAGMENTS_PER_BLOCK);
    for (field, found, expected) in [
        ("fs_si", sb.si, 0),
        ("fs_cpc", sb.cpc, 0),
        ("fs_logbno", sb.logbno, 0),
        ("fs_reclaim", sb.reclaim, 0),
        ("fs_rotdelay", sb.rotdelay, 0),
        ("fs_ntrak", sb.ntrak, 1),
        ("fs_nsect", sb.nsect, sb.spc),
        ("fs_npsect", sb.npsect, sb.nsect),
        ("fs_cgoffset", sb.cgoffset, half_cylinder.unwrap_or_default()),
    ] {
        problems.compare(field, found, expected);
    }
    problems.compare("fs_qbmask", sb.qbmask, u64::from(BLOCK_SIZE - 1));
    problems.compare("fs_qfmask", sb.qfmask, u64::from(FRAGMENT_SIZE - 1));
    problems.compare("fs_fmod", sb.fmod, 0);
    problems.compare("fs_ronly", sb.ronly, 0);
    for (field, found, least, most) in [
        ("fs_time", sb.time, 0, i32::MAX as u32),
        ("fs_minfree", sb.minfree, 0, 99),
        ("fs_maxcontig", sb.maxcontig, 1, i32::MAX as u32),
        ("fs_maxbpg", sb.maxbpg, 1, i32::MAX as u32),
        ("fs_optim", sb.optim, 0, 1),
        ("fs_sbsize", sb.sbsize, 1380, Superblock::SIZE as u32),
        ("fs_cgrotor", sb.cgrotor, 0, sb.ncg - 1),
    ] {
        if !(least..=most).contains(&found) {
            problems.tell(|| format!("{field} is {found}, not between {least} and {most}"));
        }
    }
    if !matches!(sb.postblformat, 1 | u32::MAX) {
        problems.tell(|| format!("fs_postblformat is {}, neither 1 nor -1", sb.postblformat));
    }
}

/// `fsck` compares the copy in the last group only, and falls back on any. `n_groups` are looked at.
fn check_copies(image: Image<'_>, n_groups: u32, problems: &mut Problems) {
    let sb = image.superblock();
    let mut first = vec![0; Superblock::SIZE];
    let mut copy = first.clone();
    if image.read(0, SUPERBLOCK_OFFSET, &mut first).is_err() {
        return;
    }
    for group in 0..n_groups {
        let fragment = sb.group_base(group).and_then(|base| base.checked_add(BACKUP_FRAGMENT));
        if fragment.is_none_or(|fragment| image.read(fragment, 0, &mut copy).is_err()) {
            problems
                .tell(|| format!("cylinder group {group}: its copy of the superblock is past the end of the image"));
            break;
        }
        for field in Superblock::FIELDS.iter().filter(|field| !VARIABLE.contains(&field.name)) {
            let place = field.offset..field.offset + field.size;
            let number = |bytes: &[u8]| match field.size {
                8 => u64::get(&bytes[place.clone()]),
                4 => u32::get(&bytes[place.clone()]).into(),
                _ => bytes[place.start].into(),
            };
            let what = format_args!("cylinder group {group}: fs_{} of its copy of the superblock", field.name);
            problems.compare(what, number(&copy), number(&first));
        }
    }
}
