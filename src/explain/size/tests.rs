use super::*;
use crate::manifest::json::read;
use crate::manifest::needs::tests::manifest_of;
use crate::manifest::totals::Totals;
use crate::manifest::{Because, Content, Packed};
use crate::reason::{Kind, Reason};
use proptest::prelude::*;

fn small() -> Manifest {
    read(include_bytes!("../../../testdata/manifest/small.json")).unwrap()
}

fn drop_paths(paths: &[&str]) -> Drop {
    Drop { paths: paths.iter().map(|path| path.as_bytes().to_vec()).collect(), ..Drop::default() }
}

fn gone(what_if: &WhatIf) -> Vec<String> {
    what_if.gone.iter().map(|entry| entry.path.to_string()).collect()
}

/// The bytes of a row by its label as it is shown.
fn row(manifest: &Manifest, by: By, label: &str) -> (u64, Option<u64>) {
    let tables = tables(manifest, &[by], usize::MAX);
    let row = tables[0].rows.iter().find(|row| row.label.to_string() == label).unwrap();
    (row.sum.bytes, row.whole.map(|whole| whole.bytes))
}

#[test]
fn a_symlink_retains_its_library() {
    let libz = "/usr/lib/x86_64-linux-gnu/libz.so.1";
    assert_eq!(row(&small(), By::File, libz), (0, Some(121_280)));
    assert_eq!(row(&small(), By::File, &format!("{libz}.2.13")), (121_280, Some(121_280)));
}

#[test]
fn directories_have_what_is_in_them_and_below() {
    let manifest = small();
    assert_eq!(row(&manifest, By::Directory, "/"), (43, Some(100_974_639)));
    assert_eq!(row(&manifest, By::Directory, "/usr/bin"), (97_687_095, Some(97_687_095)));
}

#[test]
fn what_several_targets_need_is_shared() {
    let manifest = manifest_of(&[("/a", &["/s", "/t"]), ("/b", &["/t"]), ("/s", &[]), ("/t", &[])]);
    assert_eq!(row(&manifest, By::Target, "/t"), (20, Some(30)));
    assert_eq!(row(&manifest, By::Target, "/s"), (10, Some(20)));
    assert_eq!(row(&manifest, By::Target, "(shared by several targets)"), (10, None));
}

#[test]
fn a_dropped_symlink_takes_its_library_along_and_breaks_the_program() {
    let manifest = small();
    let what_if = what_if(&manifest, &drop_paths(&["/lib/x86_64-linux-gnu/libz.so.1"])).unwrap();
    let libz = "/usr/lib/x86_64-linux-gnu/libz.so.1".to_owned();
    assert_eq!(gone(&what_if), [libz.clone(), format!("{libz}.2.13")]);
    assert_eq!(what_if.freed, Tally { files: 1, bytes: 121_280, packed: 0 });
    let broken: Vec<_> =
        what_if.broken.iter().map(|b| (b.referrer.path.to_string(), b.dropped.path.to_string())).collect();
    assert_eq!(broken, [("/usr/bin/node".to_owned(), libz)]);
    assert!(what_if.broken[0].is_required());
}

#[test]
fn a_dropped_directory_takes_along_what_is_in_it() {
    let manifest = small();
    let what_if = what_if(&manifest, &drop_paths(&["/srv"])).unwrap();
    assert_eq!(gone(&what_if), ["/srv", "/srv/caf\\xe9", "/srv/hello.js"]);
    assert_eq!(what_if.broken.len(), 1, "the startup line");
}

#[test]
fn without_a_rule_goes_what_only_the_rule_brought_in() {
    let manifest = small();
    let drop = Drop { rules: vec!["linux/libgcc-s".to_owned()], ..Drop::default() };
    let what_if = what_if(&manifest, &drop).unwrap();
    assert_eq!(gone(&what_if), ["/usr/lib/x86_64-linux-gnu/libgcc_s.so.1"]);
    assert_eq!(what_if.broken, []);
}

#[test]
fn a_rule_is_known_by_its_whole_id() {
    let mut manifest = small();
    let libgcc = manifest.entries.iter_mut().find(|entry| entry.path.file_name() == b"libgcc_s.so.1").unwrap();
    libgcc.reasons[0].reason.detail = "linux/libgcc-s source=x".into();
    let freed = |rule: &str| {
        let drop = Drop { rules: vec![rule.to_owned()], ..Drop::default() };
        what_if(&manifest, &drop).map(|what_if| what_if.freed.bytes)
    };
    assert_eq!(freed("linux/libgcc-s"), Ok(125_312));
    assert_eq!(freed("linux/libgcc"), Err(DropError::Rule("linux/libgcc".to_owned())));
}

#[test]
fn a_package_goes_with_all_its_files() {
    let manifest = small();
    let drop = Drop { packages: vec!["libc6".to_owned()], ..Drop::default() };
    let what_if = what_if(&manifest, &drop).unwrap();
    // libgcc_s.so.1 was in for libc.so.6 only.
    assert_eq!(what_if.freed, Tally { files: 4, bytes: 3_166_200, packed: 0 });
    assert!(what_if.broken.iter().all(|broken| broken.referrer.path.as_bytes() == b"/usr/bin/node"));
}

#[test]
fn what_is_not_in_cannot_be_dropped() {
    let error = what_if(&small(), &drop_paths(&["/usr/bin/nodd"])).unwrap_err();
    assert_eq!(error.hint(), "did you mean `/usr/bin/node`?");
    let drop = Drop { packages: vec!["libicu72".to_owned()], ..Drop::default() };
    assert_eq!(what_if(&small(), &drop), Err(DropError::Package("libicu72".to_owned())));
}

#[test]
fn bytes_stay_while_another_name_of_them_stays() {
    let mut manifest = manifest_of(&[("/a", &["/t"]), ("/l", &["/u"]), ("/t", &[]), ("/u", &[])]);
    manifest.entries[1].content = Content::Hardlink { to: RootPath::new("/a").unwrap() };
    let freed = |paths: &[&str]| what_if(&manifest, &drop_paths(paths)).unwrap().freed.bytes;
    assert_eq!(freed(&["/a"]), 0);
    assert_eq!(freed(&["/a", "/l"]), 10);
    assert_eq!(freed(&["/t", "/u"]), 30);
}

proptest! {
    /// Random graphs with packages, evidence, directories, links and islands.
    #[test]
    fn every_table_adds_up_to_the_byte(
        edges in prop::collection::vec((0..14usize, 0..14usize), 0..40),
        kinds in prop::collection::vec(0..6usize, 14),
        sizes in prop::collection::vec(0..1_000_000u64, 14),
        targets in prop::collection::vec(0..14usize, 0..4),
        top in 0..8usize,
        overhead in 0..1_000u64,
    ) {
        let name = |i: usize| if i < 7 { format!("/{i:02}") } else { format!("/00/{i:02}") };
        let because = |from: Option<usize>| {
            let evidence = [Evidence::Proven, Evidence::Rule, Evidence::Declared][from.unwrap_or_default() % 3];
            Because { from: from.map(|i| RootPath::new(name(i)).unwrap()), reason: Reason::new(evidence, Kind::Needed, "") }
        };
        let mut manifest = manifest_of(&[]);
        for i in 0..14 {
            let mut entry = manifest_of(&[(&name(i), &[])]).entries.remove(0);
            entry.content = match kinds[i] {
                _ if i == 0 => Content::Directory,
                0 => Content::Directory,
                1 => Content::Symlink { target: b"x".to_vec() },
                2 => Content::Hardlink { to: RootPath::new(name(1)).unwrap() },
                _ => Content::File { size: sizes[i], sha256: [0; 32], unpacked_from: None },
            };
            entry.packed = entry.is_file().then(|| sizes[(i + 1) % 14]);
            entry.package = (i % 3 > 0).then(|| format!("package{}", i % 3));
            entry.reasons = edges.iter().filter(|(_, to)| *to == i).map(|(from, _)| because(Some(*from))).collect();
            if targets.contains(&i) || entry.reasons.is_empty() && kinds[i] > 4 {
                entry.reasons.push(because(None));
            }
            entry.reasons.sort();
            manifest.entries.push(entry);
        }
        manifest.entries.sort_by(|a, b| a.path.cmp(&b.path));
        manifest.entries.retain(|entry| !entry.reasons.is_empty() || entry.size() == 0);
        let totals = Totals::of(&manifest);
        let bytes = overhead + manifest.entries.iter().filter_map(|entry| entry.packed).sum::<u64>();
        let (format, compression) = ("cpio".to_owned(), "gzip".to_owned());
        manifest.packed = Some(Packed { format, compression, level: 6, bytes, overhead });
        for table in tables(&manifest, &By::ALL, top) {
            let mut sum = table.rest.map(|rest| rest.sum).unwrap_or_default();
            table.rows.iter().for_each(|row| sum.add(row.sum));
            sum.packed += table.overhead.unwrap();
            prop_assert_eq!(sum, table.total);
            prop_assert_eq!(sum, Tally { files: totals.files, bytes: totals.bytes, packed: bytes }, "{:?}", table.by);
        }
        // The two ways to retained sizes agree, and those right below the virtual root add up with what is unreached.
        let needs = Needs::of(&manifest.entries);
        let retained = retained(&manifest, &needs);
        for (position, sum) in retained.iter().enumerate() {
            let mut expected = Tally::default();
            needs.retained(position).iter().for_each(|i| expected.add(Tally::of(&manifest.entries[*i])));
            prop_assert_eq!(*sum, expected);
        }
        let above = retained::immediate_dominators(&manifest, &needs);
        let top_level: u64 = retained.iter().zip(&above).filter(|(_, above)| above.is_none()).map(|(sum, _)| sum.bytes).sum();
        prop_assert_eq!(top_level, totals.bytes);
        // What only one target leads to is what the target retains.
        for row in tables(&manifest, &[By::Target], usize::MAX).remove(0).rows {
            let Label::Path(path) = &row.label else { continue };
            prop_assert_eq!(row.sum, retained[needs.position(path).unwrap()]);
        }
    }
}
