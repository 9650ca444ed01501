use super::*;
use crate::manifest::json::{Outline, read};
use crate::manifest::needs::tests::manifest_of;
use crate::manifest::{Alternative, Verdict};
use crate::reason::Reason;
use crate::text::Style;

const SMALL: &str = include_str!("../../testdata/manifest/small.json");

fn small() -> Manifest {
    read(SMALL.as_bytes()).unwrap()
}

/// Compares the answer to the text in `testdata/manifest/why-NAME.txt`.
fn check(name: &str, asked: &str, options: Options) {
    let manifest = small();
    let explanation = explain(&manifest, asked.as_bytes(), &options);
    let text = explanation.text(Style::Plain).to_string();
    // No more of the manifest than the answer shows makes no difference.
    let outline = Outline::of(SMALL.as_bytes()).unwrap();
    assert_eq!(explain_from(&outline, asked.as_bytes(), &options), Ok(explanation));
    crate::manifest::tree::tests::compare(&format!("why-{name}.txt"), &text);
}

fn from(path: &str) -> Options {
    Options { from: Some(RootPath::new(path).unwrap()), ..Options::default() }
}

fn all() -> Options {
    Options { all: true, ..Options::default() }
}

#[test]
fn an_included_file_has_its_shortest_chain() {
    check("included", "/usr/lib/x86_64-linux-gnu/libgcc_s.so.1", Options::default());
}

#[test]
fn a_path_through_a_symlink_is_answered_for_the_real_entry() {
    check("through-symlink", "/lib/x86_64-linux-gnu/../x86_64-linux-gnu/libc.so.6", all());
}

#[test]
fn a_symlink_is_an_entry_of_its_own() {
    check("symlink", "/usr/lib/x86_64-linux-gnu/libz.so.1", Options::default());
}

#[test]
fn a_file_name_is_enough_when_there_is_one_of_it() {
    check("file-name", "libz.so.1.2.13", Options::default());
}

#[test]
fn a_chain_can_begin_elsewhere() {
    check("from", "/usr/lib/x86_64-linux-gnu/libc.so.6", from("/init"));
    check("from-nowhere", "/usr/bin/node", from("/lib/x86_64-linux-gnu/libm.so.6"));
}

#[test]
fn all_reasons_end_with_the_one_entry_that_all_ways_share() {
    // /t and /u are targets; /c is needed by two that only /a needs.
    let manifest = manifest_of(&[
        ("/t", &[]),
        ("/u", &[]),
        ("/a", &["/t", "/u"]),
        ("/b", &["/a"]),
        ("/b2", &["/a"]),
        ("/c", &["/b", "/b2"]),
        ("/d", &["/c", "/u"]),
    ]);
    let gate = |asked: &str| match explain(&manifest, asked.as_bytes(), &all()).answer {
        Answer::Included(included) => included.gate.map(|gate| gate.path.to_string()),
        other => panic!("{other:?}"),
    };
    assert_eq!(gate("/c").as_deref(), Some("/a"));
    assert_eq!(gate("/b").as_deref(), Some("/a"));
    assert_eq!(gate("/a"), None);
    assert_eq!(gate("/d"), None);
    assert_eq!(gate("/t"), None);
    let text = explain(&manifest, b"/c", &all()).text(Style::Plain).to_string();
    assert!(text.contains("\nno way leads here but by /a\n"), "{text}");
    let few = explain(&manifest, b"/c", &Options::default()).text(Style::Plain).to_string();
    assert!(few.contains("\n1 further reason: see --all\n"), "{few}");
    // One target is on every way: nothing that one would want to be told.
    let manifest = manifest_of(&[("/t", &[]), ("/a", &["/t"]), ("/b", &["/a", "/t"])]);
    assert!(!explain(&manifest, b"/b", &all()).text(Style::Plain).to_string().contains("no way"));
}

#[test]
fn a_forbidden_path_names_the_rule() {
    check("forbidden", "/usr/share/doc", Options::default());
}

#[test]
fn a_suspected_path_tells_how_to_bring_it_in() {
    check("suspected", "/usr/bin/python3", Options::default());
}

/// Beside a path that a rule forbids, which has the same evidence and kind.
#[test]
fn what_is_only_suggested_is_not_forbidden() {
    let mut manifest = small();
    let forbidden = |omission: &&Omission| Exclusion::of(omission) == Exclusion::Forbidden;
    let mut suggested = manifest.dropped.iter().find(forbidden).unwrap().clone();
    suggested.why = Take::Suggested.reason("a rule only suggests it");
    suggested.to = Some(RootPath::new("/usr/share/zoneinfo").unwrap());
    manifest.dropped.push(suggested);
    let explanation = explain(&manifest, b"/usr/share/zoneinfo", &Options::default());
    let text = explanation.text(Style::Plain).to_string();
    let told = "  only suggested: a rule only suggests it; `--include suggested` takes it (rule ";
    assert!(text.contains(told) && text.contains("include = [\"/usr/share/zoneinfo\"]"), "{text}");
    let json = serde_json::to_value(explanation.json()).unwrap();
    assert_eq!(json["omissions"][0]["exclusion"], "suggested");
}

#[test]
fn a_missing_reference_lists_every_place_tried() {
    check("missing", "libnode-extra.so.1", Options::default());
    let manifest = small();
    let by_probe = explain(&manifest, b"/opt/node/lib/libnode-extra.so.1", &Options::default());
    assert!(matches!(by_probe.answer, Answer::Missing(_)));
    let through_link = explain(&manifest, b"/lib/x86_64-linux-gnu/libnode-extra.so.1", &Options::default());
    assert!(matches!(through_link.answer, Answer::Missing(_)));
}

#[test]
fn an_unknown_path_has_neighbours() {
    check("unknown", "/lib64/libz.so.1.2.11", Options::default());
}

#[test]
fn links_that_form_a_loop_lead_nowhere() {
    let mut manifest = small();
    let link = manifest.entries.iter_mut().find(|entry| entry.path.as_bytes() == b"/lib").unwrap();
    link.content = Content::Symlink { target: b"/lib".to_vec() };
    let explanation = explain(&manifest, b"/lib/x", &Options::default());
    assert!(matches!(explanation.answer, Answer::Unknown { .. }));
    assert_eq!(explanation.links.len(), 40);
}

#[test]
fn any_bytes_may_be_asked_for() {
    let manifest = small();
    for asked in [&b""[..], b"/", b"//..", b"/\0", b"\xff", b"/\xff/..", b"../x"] {
        let explanation = explain(&manifest, asked, &all());
        assert!(!explanation.text(Style::Color).to_string().is_empty());
        serde_json::to_string(&explanation.json()).unwrap();
    }
}

/// [`small`], where `libz.so.1` was chosen by the note of `/usr/bin/node`.
fn with_choice() -> Manifest {
    let path = |text: &str| RootPath::new(text).unwrap();
    let alternative = |name: &str, paths: &[&str], verdict| Alternative {
        name: name.to_owned(),
        paths: paths.iter().map(|text| path(text)).collect(),
        verdict,
    };
    let chosen = ["/usr/lib/x86_64-linux-gnu/libz.so.1", "/usr/lib/x86_64-linux-gnu/libz.so.1.2.13"];
    let reason = Reason::new(Evidence::Declared, Kind::Dlopen, "libz-ng.so.2 or libz.so.1 (recommended)");
    let choice = Choice {
        because: vec![Because { from: Some(path("/usr/bin/node")), reason }],
        alternatives: vec![
            alternative("libz-ng.so.2", &["/opt/libz-ng.so.2"], Verdict::More(123_456)),
            alternative("libz.so.1", &chosen, Verdict::Chosen),
            alternative("libz.so.0", &["/opt/libz.so.0"], Verdict::More(0)),
            alternative("libz-old.so", &["/opt/libz-old.so"], Verdict::Incomplete),
            alternative("libz-odd.so", &["/opt/libz-odd.so"], Verdict::NotCompared),
        ],
    };
    Manifest { choices: vec![choice], ..small() }
}

#[test]
fn a_chosen_alternative_tells_what_it_saves_and_the_others_what_they_would_have_cost() {
    let manifest = with_choice();
    let text = |asked: &str| explain(&manifest, asked.as_bytes(), &Options::default()).text(Style::Plain).to_string();
    let chosen = "chosen among alternatives: saves 120.6 KiB (123,456 bytes) against libz-ng.so.2; as small as libz.so.0, \
                  which comes later; libz-old.so would lack something required; libz-odd.so was not compared \
                  (dlopen `libz-ng.so.2 or libz.so.1 (recommended)` by /usr/bin/node)";
    for spelling in ["/usr/lib/x86_64-linux-gnu/libz.so.1", "libz.so.1.2.13"] {
        assert!(text(spelling).contains(chosen), "{}", text(spelling));
    }
    for (name, price) in [
        ("libz-ng.so.2", "would cost 120.6 KiB (123,456 bytes) more than libz.so.1"),
        ("libz.so.0", "would cost as much as libz.so.1, which comes first"),
        ("libz-old.so", "would lack something required, which libz.so.1 does not"),
        ("libz-odd.so", "was not compared with libz.so.1"),
    ] {
        for asked in [name.to_owned(), format!("/opt/{name}")] {
            let head = format!("/opt/{name} is not in\n  alternative not chosen: {price} (dlopen");
            assert!(text(&asked).starts_with(&head), "{}", text(&asked));
        }
    }
    let json = |asked: &str| serde_json::to_value(explain(&manifest, asked.as_bytes(), &all()).json()).unwrap();
    assert_eq!(json("libz.so.1.2.13")["choices"][0]["alternatives"][1]["verdict"], "chosen");
    assert_eq!(json("/opt/libz-ng.so.2")["choices"][0]["alternatives"][0]["verdict"]["more"], 123_456);
}

#[test]
fn json_says_what_the_text_says() {
    let manifest = small();
    let json = |asked: &str| serde_json::to_value(explain(&manifest, asked.as_bytes(), &all()).json()).unwrap();
    let included = json("/lib/x86_64-linux-gnu/libgcc_s.so.1");
    assert_eq!(included["answer"], "included");
    assert_eq!(included["path"], "/usr/lib/x86_64-linux-gnu/libgcc_s.so.1");
    assert_eq!(included["links"][0]["path"], "/lib");
    assert_eq!(included["chain"][2]["because"]["detail"], "linux/libgcc-s");
    assert_eq!(included["retained"]["files"], 1);
    assert_eq!(included["retained"]["bytes"], 125_312);
    assert_eq!(json("/srv/caf")["answer"], "unknown");
    let forbidden = json("/usr/share/doc");
    assert_eq!(forbidden["omissions"][0]["exclusion"], "forbidden");
    assert_eq!(forbidden["path"], "/usr/share/doc");
    assert_eq!(json("libnode-extra.so.1")["references"][0]["probes"].as_array().unwrap().len(), 2);
}
