use super::*;
use crate::manifest::json::read;
use crate::manifest::needs::tests::manifest_of;
use crate::manifest::{Content, Packed};
use crate::path::RootPath;
use crate::text::Style;

fn small() -> Manifest {
    read(include_bytes!("../../../testdata/manifest/small.json")).unwrap()
}

fn entry<'m>(manifest: &'m mut Manifest, name: &[u8]) -> &'m mut Entry {
    manifest.entries.iter_mut().find(|entry| entry.path.file_name() == name).unwrap()
}

#[test]
fn a_manifest_does_not_differ_from_itself() {
    let manifest = small();
    let difference = diff(&manifest, &manifest);
    assert!(difference.is_empty());
    assert_eq!(difference.old_bytes, difference.new_bytes);
}

#[test]
fn other_reasons_alone_are_no_difference() {
    let (old, mut new) = (small(), small());
    entry(&mut new, b"libm.so.6").reasons[0].reason.detail = "libm.so".into();
    assert!(diff(&old, &new).is_empty());
}

#[test]
fn what_an_archive_takes_is_told_and_is_no_difference() {
    let packed = |compression: &str, bytes| {
        let mut manifest = small();
        let (format, compression) = ("cpio".to_owned(), compression.to_owned());
        manifest.packed = Some(Packed { format, compression, level: 6, bytes, overhead: 10 });
        manifest
    };
    let (old, new) = (packed("gzip", 3_000), packed("zstd", 2_000));
    let difference = diff(&old, &new);
    assert!(difference.is_empty());
    let expected = "packed: 2.0 KiB (2,000 bytes) as cpio with zstd, level 6, \
                    before 2.9 KiB (3,000 bytes) as cpio with gzip, level 6: -1,000 bytes";
    assert_eq!(difference.text(Style::Plain).to_string().lines().nth(1), Some(expected));
    assert_eq!(diff(&small(), &new).packed, None);
}

#[test]
fn all_that_one_new_reason_brings_in_stands_together() {
    let old = manifest_of(&[("/a", &["/t"]), ("/t", &[])]);
    let new = manifest_of(&[("/a", &["/t"]), ("/b", &["/a"]), ("/c", &["/b"]), ("/t", &[]), ("/u", &[])]);
    let shape = |groups: &[Group]| -> Vec<(String, Vec<String>)> {
        let names = |group: &Group| group.entries.iter().map(|entry| entry.path.to_string()).collect();
        groups.iter().map(|group| (group.cause.unwrap().entry.path.to_string(), names(group))).collect()
    };
    let expected =
        [("/b".to_owned(), vec!["/b".to_owned(), "/c".to_owned()]), ("/u".to_owned(), vec!["/u".to_owned()])];
    let difference = diff(&old, &new);
    assert_eq!(shape(&difference.added), expected);
    assert_eq!(difference.added[0].bytes, 20);
    assert_eq!(difference.added[0].cause.unwrap().because.unwrap().from.as_ref().unwrap().as_bytes(), b"/a");
    assert!(difference.removed.is_empty());
    // The other way round the same reasons have vanished.
    let back = diff(&new, &old);
    assert_eq!(shape(&back.removed), expected);
    assert!(back.added.is_empty());
}

#[test]
fn the_cause_may_lie_at_an_entry_that_was_in_before() {
    let old = manifest_of(&[("/a", &["/t"]), ("/t", &["/u"]), ("/u", &[])]);
    // /b is in for /a, which was there; /a is now in for /u too, and that chain is the shortest.
    let new = manifest_of(&[("/a", &["/t", "/u"]), ("/b", &["/a"]), ("/t", &["/u"]), ("/u", &[])]);
    let difference = diff(&old, &new);
    assert_eq!(difference.added[0].cause.unwrap().entry.path.as_bytes(), b"/a");
}

#[test]
fn an_island_has_no_cause() {
    let (old, new) = (manifest_of(&[("/t", &[])]), manifest_of(&[("/a", &["/b"]), ("/b", &["/a"]), ("/t", &[])]));
    let difference = diff(&old, &new);
    assert_eq!(difference.added.iter().map(|group| group.cause).collect::<Vec<_>>(), [None]);
    assert!(difference.text(Style::Plain).to_string().contains("without a chain of reasons"));
}

#[test]
fn every_field_of_an_entry_is_compared() {
    let (old, mut new) = (small(), small());
    entry(&mut new, b"libm.so.6").content = Content::File { size: 907_785, sha256: [1; 32], unpacked_from: None };
    entry(&mut new, b"libc.so.6").content = Content::File { size: 1_922_136, sha256: [1; 32], unpacked_from: None };
    entry(&mut new, b"lib").content = Content::Symlink { target: b"usr/lib64".to_vec() };
    entry(&mut new, b"console").content = Content::Char { major: 5, minor: 2 };
    entry(&mut new, b"init").mode = 0o700;
    entry(&mut new, b"node").uid = 7;
    entry(&mut new, b"libz.so.1.2.13").xattrs.clear();
    entry(&mut new, b"libz.so.1").content = Content::Directory;
    let difference = diff(&old, &new);
    let text = difference.text(Style::Plain).to_string();
    let changed: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("changed")).collect();
    assert_eq!(
        changed,
        [
            "changed: 8 paths",
            "  /dev/console: device 5:2, before 5:1",
            "  /init: mode 0700, before 0755",
            "  /lib: target usr/lib64, before usr/lib",
            "  /usr/bin/node: owner 7:0, before 0:0",
            "  /usr/lib/x86_64-linux-gnu/libc.so.6: other content of the same size",
            "  /usr/lib/x86_64-linux-gnu/libm.so.6: +1 bytes",
            "  /usr/lib/x86_64-linux-gnu/libz.so.1: type dir, before symlink",
            "  /usr/lib/x86_64-linux-gnu/libz.so.1.2.13: attributes none, before user.note=6869",
        ]
    );
}

#[test]
fn how_it_starts_and_what_is_missing_are_differences() {
    let (old, mut new) = (small(), small());
    new.boot.as_mut().unwrap().kernel_args.push_str(" quiet");
    new.missing.clear();
    let difference = diff(&old, &new);
    let json = serde_json::to_value(difference.json()).unwrap();
    assert_eq!(json["boot"]["new"]["kernel_args"], "console=ttyS0 rdinit=/init quiet");
    assert_eq!(json["no_longer_missing"][0]["name"], "libnode-extra.so.1");
    assert!(!difference.is_empty());
}

#[test]
fn bytes_of_the_groups_and_changes_explain_the_growth() {
    let old = small();
    let mut new = small();
    new.entries.retain(|entry| entry.path.file_name() != b"libgcc_s.so.1");
    entry(&mut new, b"libm.so.6").content = Content::File { size: 1, sha256: [1; 32], unpacked_from: None };
    let difference = diff(&old, &new);
    let sum = |groups: &[Group]| groups.iter().map(|group| i128::from(group.bytes)).sum::<i128>();
    let changed: i128 = difference.changed.iter().map(Change::growth).sum();
    let growth = i128::from(difference.new_bytes) - i128::from(difference.old_bytes);
    assert_eq!(sum(&difference.added) - sum(&difference.removed) + changed, growth);
}

/// A third of each file, and `overhead`.
fn packed(mut manifest: Manifest, overhead: u64) -> Manifest {
    let mut bytes = overhead;
    for entry in manifest.entries.iter_mut().filter(|entry| entry.is_file()) {
        bytes += entry.size() / 3;
        entry.packed = Some(entry.size() / 3);
    }
    let (format, compression) = ("cpio".to_owned(), "zstd".to_owned());
    manifest.packed = Some(Packed { format, compression, level: 9, bytes, overhead });
    manifest
}

#[test]
fn packed_bytes_of_the_groups_and_changes_explain_the_growth_of_the_archive() {
    let mut old = small();
    old.entries.retain(|entry| entry.path.file_name() != b"libz.so.1.2.13");
    let mut new = small();
    new.entries.retain(|entry| entry.path.file_name() != b"libgcc_s.so.1");
    entry(&mut new, b"libm.so.6").content = Content::File { size: 90, sha256: [1; 32], unpacked_from: None };
    entry(&mut new, b"libc.so.6").content = Content::File { size: 1_922_136, sha256: [1; 32], unpacked_from: None };
    entry(&mut new, b"init").mode = 0o700;
    entry(&mut new, b"lib").mode = 0o700;
    let (old, mut measured) = (packed(old, 60), packed(new.clone(), 50));
    // The same node takes less; its archive knows.
    let saved = 1_000;
    *entry(&mut measured, b"node").packed.as_mut().unwrap() -= saved;
    measured.packed.as_mut().unwrap().bytes -= saved;
    let difference = diff(&old, &measured);
    let archives = difference.packed.as_ref().unwrap();
    let expected =
        [("added", 40_426), ("removed", -41_770), ("changed", -302_564), ("unchanged", -1_000), ("overhead", -10)];
    assert_eq!(archives.parts(), expected);
    assert_eq!(archives.parts().iter().map(|(_, growth)| growth).sum::<i128>(), archives.growth());
    let text = difference.text(Style::Plain).to_string();
    let told = text.lines().filter(|line| line.contains("about") || line.contains("mode"));
    let told: Vec<&str> = told.filter_map(|line| line.split(", because of").next()).collect();
    assert_eq!(
        told,
        [
            "  of these about: added +40,426, removed -41,770, changed -302,564, unchanged -1,000, overhead -10",
            "added: 1 path, +121,280 bytes, about +40,426 packed",
            "removed: 1 path, -125,312 bytes, about -41,770 packed",
            "  /init: mode 0700, before 0755",
            "  /lib: mode 0700, before 0777",
            "  /usr/lib/x86_64-linux-gnu/libc.so.6: other content of the same size; about +0 bytes packed",
            "  /usr/lib/x86_64-linux-gnu/libm.so.6: -907,694 bytes; about -302,564 bytes packed",
        ]
    );
    for [old, new] in [[&old, &new], [&small(), &measured]] {
        let difference = diff(old, new);
        assert!(!difference.text(Style::Plain).to_string().contains("packed"));
        let json = serde_json::to_string(&difference.json()).unwrap();
        assert_eq!(json.matches("packed").count(), 1, "{json}");
        assert!(json.contains("\"packed\":null"), "{json}");
    }
}

#[test]
fn a_rule_that_moved_in_its_file_is_no_new_reason() {
    let with_line = |line: u32| {
        let mut manifest = small();
        entry(&mut manifest, b"libgcc_s.so.1").reasons[0].reason.detail = format!("linux/libgcc-s:{line}").into();
        manifest
    };
    let (old, mut new) = (with_line(12), with_line(30));
    let mut further = entry(&mut new, b"libgcc_s.so.1").clone();
    further.path = RootPath::new("/usr/lib/x86_64-linux-gnu/libgcc_t.so.1").unwrap();
    further.reasons[0].from = Some(RootPath::new("/usr/lib/x86_64-linux-gnu/libgcc_s.so.1").unwrap());
    new.entries.push(further);
    new.entries.sort_by(|a, b| a.path.cmp(&b.path));
    let difference = diff(&old, &new);
    let cause = difference.added[0].cause.as_ref().unwrap();
    assert_eq!(cause.entry.path.file_name(), b"libgcc_t.so.1");
}
