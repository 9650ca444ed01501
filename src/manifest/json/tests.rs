use super::outline::Damaged;
use super::*;
use crate::manifest::check::{CheckError, EntryError};
use crate::manifest::needs::Needed;
use crate::manifest::source::Source;
use crate::manifest::{
    Alternative, Because, Boot, Choice, Content, Entry, Manifest, Missing, Omission, Packed, Probed, Verdict,
};
use crate::path::RootPath;
use crate::reason::{Consequence, Evidence, Kind, Priority, Reason, Severity};
use crate::recipe::System;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const SMALL: &str = include_str!("../../../testdata/manifest/small.json");

fn written(manifest: &Manifest) -> String {
    let mut out = Vec::new();
    write(manifest, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The whole chain of messages that reading `text` gives.
fn error(text: &str) -> String {
    let mut error: &dyn std::error::Error = &read(text.as_bytes()).unwrap_err();
    let mut chain = error.to_string();
    while let Some(cause) = error.source() {
        chain = format!("{chain}: {cause}");
        error = cause;
    }
    chain
}

/// Replaces the first `old` of the small manifest by `new`, and looks for `expected` in the message.
fn check(old: &str, new: &str, expected: &str) {
    assert!(SMALL.contains(old), "{old}");
    let message = error(&SMALL.replacen(old, new, 1));
    assert!(message.contains(expected), "{old} -> {new}: {message}");
}

#[test]
fn reading_and_writing_change_no_byte() {
    let manifest = read(SMALL.as_bytes()).unwrap();
    assert_eq!(written(&manifest), SMALL);
    assert_eq!(manifest.entry(&RootPath::new(b"/srv/caf\xe9").unwrap()).unwrap().content, Content::Fifo);
}

#[test]
fn any_layout_is_read_alike() {
    let manifest = read(SMALL.as_bytes()).unwrap();
    let compact = SMALL.lines().map(str::trim_start).collect::<String>();
    assert_eq!(read(compact.as_bytes()).unwrap(), manifest);
    let spread: serde_json::Value = serde_json::from_str(SMALL).unwrap();
    assert_eq!(read(serde_json::to_string_pretty(&spread).unwrap().as_bytes()).unwrap(), manifest);
    // Line breaks where the fast way expects them, and something else between them.
    for (old, new) in
        [("\n  \"entries\": [\n", "\n  \"entries\": [\n\n"), ("}]},\n    {\"path\"", "}]}\n    ,{\"path\"")]
    {
        assert!(SMALL.contains(old));
        assert_eq!(read(SMALL.replacen(old, new, 1).as_bytes()).unwrap(), manifest);
    }
}

#[test]
fn a_list_that_is_not_one_is_refused() {
    check("\n  \"dropped\": [", "\n  \"entries\": [", "duplicate field `entries`");
    check("}]},\n    {\"path\"", "}]}\n    {\"path\"", "expected `,` or `]`");
    check("\n  ],\n  \"dropped\"", ",\n  ],\n  \"dropped\"", "trailing comma");
}

#[test]
fn every_cut_is_an_error() {
    // All but the last newline.
    for end in 0..SMALL.len() - 1 {
        assert!(read(&SMALL.as_bytes()[..end]).is_err(), "{end}");
        assert!(Outline::of(&SMALL.as_bytes()[..end]).is_none(), "{end}");
    }
}

#[test]
fn an_outline_reads_an_entry_when_it_is_asked_for() {
    let damaged = SMALL.replacen("\"mode\":\"0755\"", "\"mode\":\"0799\"", 1);
    let outline = Outline::of(damaged.as_bytes()).unwrap();
    let whole = read(SMALL.as_bytes()).unwrap();
    let at = |position: usize| outline.entry_at(position).ok() == Some(&whole.entries[position]);
    let wrong: Vec<usize> = (0..whole.entries.len()).filter(|position| !at(*position)).collect();
    assert_eq!(wrong.len(), 1);
    assert_eq!(outline.entry_at(wrong[0]), Err(Damaged));
}

#[test]
fn what_an_outline_cannot_tell_is_left_to_the_reader() {
    let mut lines: Vec<&str> = SMALL.lines().collect();
    let first = lines.iter().position(|line| line.starts_with("    {\"path\":\"/init")).unwrap();
    lines.swap(first, first + 1);
    for text in [
        lines.join("\n"),
        SMALL.replacen("\n  \"entries\": [\n", "\n  \"entries\": [\n\n", 1),
        SMALL.replacen("\"format\": 1", "\"format\": 2", 1),
        SMALL.replacen("\"reasons\":[{\"from\":\"", "\"reasons\":[{\"from_hex\":\"ff\"},{\"from\":\"", 1),
        SMALL.replacen("\"path\":\"/init\",", "", 1),
    ] {
        assert_ne!(text, SMALL);
        assert!(Outline::of(text.as_bytes()).is_none(), "{text}");
    }
}

#[test]
fn wrong_values_are_named_with_their_place() {
    check("\"mode\":\"0600\"", "\"mode\":\"600\"", "entries[1]: `mode`: `600` is not four octal digits at line");
    check("\"mode\":\"0600\"", "\"mode\":\"0689\"", "entries[1]: `mode`");
    check("\"mode\":\"0600\"", "\"mode\":600", "entries[1]: invalid type: integer `600`");
    check("\"mode\":\"0600\",", "", "entries[1]: missing field `mode`");
    check("\"type\":\"char\"", "\"type\":\"socket\"", "entries[1]: unknown variant `socket`");
    check("\"major\":5", "\"major\":4294967296", "entries[1]: invalid value: integer `4294967296`");
    check("\"major\":5,", "", "entries[1]: `major`: an entry of this type must have it");
    check("\"type\":\"fifo\"", "\"type\":\"fifo\",\"minor\":1", "entries[5]: `minor`: an entry of this type does not");
    check("\"size\":97687095", "\"size\":-1", "entries[9]: invalid value: integer `-1`");
    check("\"sha256\":\"", "\"sha256\":\"A", "entries[2]: `sha256`: a SHA-256 has 64 digits");
    check(
        "\"kind\":\"needed\",\"detail\":\"",
        "\"kind\":\"needed\",\"detail\":null,\"x\":\"",
        "invalid type: null, expected a string",
    );
    check("\"uid\":0", "\"uid\":0,\"owner\":\"root\"", "entries[0]: unknown field `owner`");
    check("\"uid\":0", "\"uid\":0,\"uid\":0", "entries[0]: duplicate field `uid`");
    check("\"value_base64\":\"aGk=\"", "\"value_base64\":\"aGk\"", "entries[17]: xattrs[0]: `value_base64`");
    check("\"kind\":\"interpreter\"", "\"kind\":\"loader\"", "entries[12]: reasons[0]: unknown variant `loader`");
    check("\"to\":\"/usr/share/doc\"", "\"to\":\"doc\"", "dropped[1]: `to`: the path is not absolute");
    check("\"step\":\"default", "\"stop\":\"default", "missing[0]: probes[1]: unknown field `stop`");
    let choices = |verdicts: &str| {
        let alternative = |verdict: &str| format!("{{\"name\":\"a\",\"paths\":[],\"verdict\":{verdict}}}");
        let alternatives: Vec<String> = verdicts.split(' ').map(alternative).collect();
        format!("\n  \"choices\": [{{\"by\":[],\"alternatives\":[{}]}}],\n  \"dropped\"", alternatives.join(","))
    };
    let dropped = "\n  \"dropped\"";
    check(dropped, &choices("\"taken\""), "choices[0]: alternatives[0]: unknown variant `taken`");
    check(dropped, &choices("{\"more\":-1}"), "choices[0]: alternatives[0]: invalid value: integer `-1`");
    check(dropped, &choices("\"chosen\" \"chosen\""), "`choices[0]` has not one `chosen` alternative");
    check(dropped, &choices("\"incomplete\""), "`choices[0]` has not one `chosen` alternative");
    check("\"digest\":\"", "\"digest\":\"0", "`digest`: a SHA-256 has 64 digits");
    check("\"system\": \"linux\"", "\"system\": \"plan9\"", "unknown variant `plan9`");
}

#[test]
fn odd_spellings_of_paths_are_refused() {
    check(
        "\"path\":\"/init\"",
        "\"path\":\"/./init\"",
        "entries[2]: `path`: `/./init` is not in its plain form, `/init`",
    );
    check("\"path\":\"/init\"", "\"path\":\"/x/../init\"", "entries[2]: `path`: the path has a `..` component");
    check("\"path\":\"/init\"", "\"path\":\"/in\\u0000it\"", "entries[2]: `path`: the path has a NUL byte");
    let hex = "\"path_hex\":\"2f7372762f636166e9\",\"type\"";
    check(hex, "\"path_hex\":\"2f7372762f636166E9\",\"type\"", "entries[5]: `path`: the hexadecimal form is not pairs");
    check(
        hex,
        "\"path_hex\":\"2f7372762f636166ea\",\"type\"",
        "entries[5]: `path`: the text and its hexadecimal form differ",
    );
    check(hex, "\"path_hex\":\"2f737276\",\"type\"", "entries[5]: `path`: the hexadecimal form is UTF-8");
}

#[test]
fn a_manifest_that_cannot_be_created_top_to_bottom_is_refused() {
    check(
        "\"path\":\"/usr\"",
        "\"path\":\"/user\"",
        "`entries[8]`, `/usr/bin`, is wrong: `path` has a parent that is not an entry",
    );
    check("\"path\":\"/srv\"", "\"path\":\"/lib\"", "`entries[4]`, `/lib`, is wrong: `path` is there twice");
    check(
        "\"path\":\"/srv\"",
        "\"path\":\"/a\"",
        "`entries[4]`, `/a`, is wrong: `path` sorts before the entry above it",
    );
    check(
        "\"type\":\"dir\"",
        "\"type\":\"fifo\"",
        "`entries[1]`, `/dev/console`, is wrong: `path` has a parent that is not a directory",
    );
    check("\"target\":\"usr/lib\"", "\"target\":\"\"", "`entries[3]`, `/lib`, is wrong: `target` is empty");
    check("\"path\":\"/srv/caf\\\\xe9\",\"path_hex\":\"2f7372762f636166e9\"},", "\"path\":\"/zzz\"},", "`targets[1]`");
    check("[{\"from\":\"/dev/console\",\"evidence\":\"proven\",\"kind\":\"directory\"}]", "[]", "`reasons` is empty");
    check("exec /usr", "EXEC /usr", "`entries[2]`, `/init`, is wrong: `sha256` is not the digest of the content");
}

#[test]
fn a_hard_link_comes_after_its_file() {
    let link = |to: &str| SMALL.replacen("\"type\":\"fifo\"", &format!("\"type\":\"hardlink\",\"to\":\"{to}\""), 1);
    assert!(error(&link("/usr/bin/node")).contains("`to` is `/usr/bin/node`, which is not a file before this entry"));
    assert!(error(&link("/lib")).contains("`to` is `/lib`"));
    let misplaced = SMALL.replacen("\"type\":\"fifo\",", "\"type\":\"hardlink\",", 1);
    let misplaced = misplaced.replacen(
        "\"reasons\":[{\"evidence\":\"target\",\"kind\":\"target\"}]",
        "\"to\":\"/init\",\"reasons\":[{\"evidence\":\"target\",\"kind\":\"target\"}]",
        1,
    );
    let manifest = read(misplaced.as_bytes()).unwrap();
    assert_eq!(manifest.entries[5].content, Content::Hardlink { to: RootPath::new("/init").unwrap() });
}

#[test]
fn another_format_is_told_apart_from_a_damaged_file() {
    for text in ["{\"format\": 2}", "{\"more\": [[[]]], \"format\": 2}"] {
        assert!(matches!(read(text.as_bytes()), Err(ManifestError::Format { found: 2 })), "{text}");
    }
    assert!(matches!(read(b"{\"format\": 1}"), Err(ManifestError::Json(_))));
    assert!(matches!(read(b"\xff"), Err(ManifestError::NotText(_))));
}

#[test]
fn totals_are_checked_and_may_be_left_out() {
    let wrong = SMALL.replacen("\"totals\": {\"files\":8", "\"totals\": {\"files\":9", 1);
    let error = read(wrong.as_bytes()).unwrap_err();
    assert!(matches!(error, ManifestError::Totals { .. }), "{error}");
    assert!(error.hint().contains("delete `totals`"));
    let start = SMALL.find(",\n  \"totals\"").unwrap();
    assert_eq!(read(format!("{}}}", &SMALL[..start]).as_bytes()).unwrap(), read(SMALL.as_bytes()).unwrap());
}

#[test]
fn deep_nesting_is_an_error() {
    for text in ["[".repeat(1_000_000), "{\"entries\":".repeat(1_000_000), "{\"format\":2,\"x\":".repeat(100_000)] {
        assert!(read(text.as_bytes()).is_err());
    }
}

#[test]
fn what_check_finds_is_typed() {
    let mut manifest = read(SMALL.as_bytes()).unwrap();
    manifest.entries[0].mode = 0o40755;
    let found = crate::manifest::check::check(&manifest).unwrap_err();
    assert!(matches!(found, CheckError::Entry { index: 0, source: EntryError::Mode(0o40755), .. }), "{found}");
}

#[test]
fn kinds_are_shown_as_they_are_spelled() {
    for kind in [Kind::RecipeFile, Kind::Needed, Kind::SearchPath] {
        assert_eq!(format!("\"{kind}\""), serde_json::to_string(&kind).unwrap());
    }
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(1..=255u8, 1..12)
}

/// A name that is no component of its own; half of them are UTF-8.
fn any_name() -> impl Strategy<Value = Vec<u8>> {
    let raw = any_bytes().prop_map(|mut name| {
        name.iter_mut().filter(|byte| **byte == b'/').for_each(|byte| *byte = b'_');
        name
    });
    let text = "[^/\0]{1,8}".prop_map(String::into_bytes);
    prop_oneof![raw, text].prop_filter("`.` and `..` are no names", |name| name != b"." && name != b"..")
}

fn any_path() -> impl Strategy<Value = RootPath> {
    prop::collection::vec(any_name(), 1..4)
        .prop_map(|names| names.iter().fold(RootPath::root(), |at, name| at.join(name)))
}

fn any_reason() -> impl Strategy<Value = Reason> {
    let evidence = prop_oneof![Just(Evidence::Target), Just(Evidence::Proven), Just(Evidence::Suspected)];
    let kind = prop_oneof![Just(Kind::Needed), Just(Kind::SearchPath), Just(Kind::Rule)];
    (evidence, kind, any::<String>()).prop_map(|(evidence, kind, detail)| Reason::new(evidence, kind, detail))
}

fn any_content() -> impl Strategy<Value = Content> {
    let generated = |bytes: Vec<u8>| {
        let sha256 = Sha256::digest(&bytes).into();
        Content::Generated { size: bytes.len() as u64, sha256, bytes: Some(bytes) }
    };
    prop_oneof![
        (any::<u32>(), any::<[u8; 32]>(), prop::option::of(any_path()))
            .prop_map(|(size, sha256, unpacked_from)| { Content::File { size: size.into(), sha256, unpacked_from } }),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(generated),
        any::<String>().prop_map(move |text| generated(text.into_bytes())),
        Just(Content::Generated { size: 1 << 40, sha256: [1; 32], bytes: None }),
        any_bytes().prop_map(|target| Content::Symlink { target }),
        any::<(u32, u32)>().prop_map(|(major, minor)| Content::Char { major, minor }),
        any::<(u32, u32)>().prop_map(|(major, minor)| Content::Block { major, minor }),
        Just(Content::Fifo),
        Just(Content::Directory),
    ]
}

fn any_because() -> impl Strategy<Value = Because> {
    (prop::option::of(any_path()), any_reason()).prop_map(|(from, reason)| Because { from, reason })
}

fn any_choice() -> impl Strategy<Value = Choice> {
    let verdict =
        prop_oneof![any::<u64>().prop_map(Verdict::More), Just(Verdict::Incomplete), Just(Verdict::NotCompared)];
    let alternative = (any::<String>(), prop::collection::vec(any_path(), 0..3), verdict)
        .prop_map(|(name, paths, verdict)| Alternative { name, paths, verdict });
    (prop::collection::vec(any_because(), 0..3), prop::collection::vec(alternative, 1..4)).prop_map(
        |(because, mut alternatives)| {
            alternatives[0].verdict = Verdict::Chosen;
            Choice { because, alternatives }
        },
    )
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let because = any_because();
    let xattrs = prop::collection::btree_map(any_bytes(), prop::collection::vec(any::<u8>(), 0..9), 0..3);
    let reasons = prop::collection::btree_set(because, 1..3);
    let package = prop::option::of(any::<String>());
    (any_name(), any_content(), 0..=0o7777u32, any::<(u32, u32)>(), xattrs, package, reasons).prop_map(
        |(name, content, mode, (uid, gid), xattrs, package, reasons)| {
            let path = RootPath::root().join(&name);
            let (xattrs, reasons) = (xattrs.into_iter().collect(), reasons.into_iter().collect());
            Entry { path, content, mode, uid, gid, xattrs, package, packed: None, reasons }
        },
    )
}

fn any_manifest() -> impl Strategy<Value = Manifest> {
    let omission = (prop::option::of(any_path()), any_reason(), prop::option::of(any_path()), any::<String>())
        .prop_map(|(from, reason, to, why)| Omission { from, reason, to, why });
    let probe = any::<(String, String, String)>().prop_map(|(path, step, outcome)| Probed { path, step, outcome });
    let consequence = prop::option::of(any::<String>())
        .prop_map(|words| words.map(|words| Consequence { severity: Severity::Hang, words: words.into() }));
    let probes = prop::collection::vec(probe, 0..3);
    let missing = (prop::option::of(any_path()), any_reason(), any::<String>(), consequence, probes).prop_map(
        |(from, reason, name, consequence, probes)| Missing {
            from,
            reason,
            name,
            priority: Priority::Suggested,
            consequence,
            probes,
        },
    );
    let boot = (any_path(), any::<String>()).prop_map(|(kernel, kernel_args)| Boot { kernel, kernel_args });
    let lists = (
        prop::collection::btree_set(any_path(), 0..3),
        prop::collection::vec(any_entry(), 0..5),
        prop::collection::vec(omission, 0..3),
        prop::collection::vec(missing, 0..3),
        prop::collection::vec(any_choice(), 0..3),
    );
    (any::<String>(), any::<[u8; 32]>(), prop::option::of(boot), lists).prop_map(
        |(arch, rules_digest, boot, (targets, mut entries, dropped, missing, choices))| {
            entries.sort_by(|a, b| a.path.cmp(&b.path));
            entries.dedup_by(|a, b| a.path == b.path);
            let (targets, unknown) = (targets.into_iter().collect(), dropped.clone());
            let system = System::Illumos;
            Manifest {
                system,
                arch,
                targets,
                rules_digest,
                boot,
                packed: None,
                entries,
                choices,
                dropped,
                unknown,
                missing,
            }
        },
    )
}

proptest! {
    #[test]
    fn any_bytes_survive_a_round_trip(manifest in any_manifest()) {
        let text = written(&manifest);
        let again = read(text.as_bytes()).unwrap();
        prop_assert_eq!(&again, &manifest);
        prop_assert_eq!(written(&again), text);
    }

    #[test]
    fn an_outline_has_all_that_the_manifest_has(manifest in any_manifest()) {
        let text = written(&manifest);
        let Some(outline) = Outline::of(text.as_bytes()) else {
            prop_assert!(manifest.entries.is_empty());
            return Ok(());
        };
        prop_assert_eq!(outline.lists(), &Manifest { entries: Vec::new(), ..manifest.clone() });
        for (position, (sketch, entry)) in outline.sketches().iter().zip(&manifest.entries).enumerate() {
            prop_assert_eq!((sketch.path(), sketch.file()), (entry.path(), entry.file()));
            prop_assert!(sketch.referrers().eq(entry.referrers()));
            prop_assert_eq!(outline.entry_at(position), Ok(entry));
            prop_assert_eq!(outline.position(entry.path()), Some(position));
        }
        prop_assert_eq!(outline.sketches().len(), manifest.entries.len());
    }

    #[test]
    fn damage_never_panics(place in 0..SMALL.len(), byte in any::<u8>()) {
        let mut damaged = SMALL.as_bytes().to_vec();
        damaged[place] = byte;
        let _ = read(&damaged);
        if let Some(outline) = Outline::of(&damaged) {
            let _ = (0..outline.sketches().len()).filter(|position| outline.entry_at(*position).is_ok()).count();
        }
    }
}

#[test]
fn sizes_in_an_archive_come_back_and_have_to_add_up() {
    let mut manifest = read(SMALL.as_bytes()).unwrap();
    let mut bytes = 100;
    for entry in manifest.entries.iter_mut().filter(|entry| entry.is_file()) {
        bytes += entry.size() / 3;
        entry.packed = Some(entry.size() / 3);
    }
    let (format, compression) = ("cpio".to_owned(), "zstd".to_owned());
    manifest.packed = Some(Packed { format, compression, level: 9, bytes, overhead: 100 });
    let text = written(&manifest);
    assert_eq!(read(text.as_bytes()).unwrap(), manifest);
    let check = |old: &str, new: &str, expected: &str| {
        assert!(text.contains(old), "{old}");
        let message = error(&text.replacen(old, new, 1));
        assert!(message.contains(expected), "{old} -> {new}: {message}");
    };
    check("\"overhead\":100", "\"overhead\":101", "`packed` is not the sum of what its files and its overhead take");
    check("\"overhead\":100", "\"overhead\":100,\"free\":1", "unknown field `free`");
    check("\"packed\":32562365,", "", "`/usr/bin/node`, is wrong: `packed` is not there");
    check("\"type\":\"dir\"", "\"packed\":0,\"type\":\"dir\"", "`packed` is there, and the entry has no content");
    let line = text.lines().find(|line| line.starts_with("  \"packed\"")).unwrap();
    check(&format!("{line}\n"), "", "`packed` is there, and the entry has no content in an archive that was measured");
}
