//! The page of `graph --format html` in a browser: it says what `why` and `size` say, by mouse and by keyboard.

use crate::browser::{Browser, Tab};
use crate::command::{minroot, repository, succeed};
use crate::graph::hostile_manifest;
use crate::manifest::large_manifest::large_manifest;
use crate::support::scratch;
use minroot::explain::graph::page;
use minroot::explain::size::{Drop, what_if};
use minroot::explain::{Options, explain};
use minroot::manifest::{Alternative, Choice, Manifest, Packed, Verdict, json};
use minroot::path::RootPath;
use minroot::text::{Style, size};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

/// The page of a manifest, opened; `None` with a message on a machine without a browser.
fn open(manifest: &Manifest) -> Option<Tab> {
    open_page(&page_of(manifest))
}

fn open_page(page: &[u8]) -> Option<Tab> {
    let browser = Browser::get()?;
    let directory = scratch();
    let file = directory.path().join("page.html");
    fs::write(&file, page).unwrap();
    Some(Tab::open(browser, &file))
}

fn page_of(manifest: &Manifest) -> Vec<u8> {
    let mut page = Vec::new();
    page::write(manifest, &mut page).unwrap();
    page
}

fn small() -> Manifest {
    json::read(&fs::read(repository("testdata/manifest/small.json")).unwrap()).unwrap()
}

/// The same in an archive of a third of its bytes and three million more.
fn small_packed() -> Manifest {
    let mut manifest = small();
    let overhead = 3_000_000;
    let mut bytes = overhead;
    for entry in manifest.entries.iter_mut().filter(|entry| entry.is_file()) {
        bytes += entry.size() / 3;
        entry.packed = Some(entry.size() / 3);
    }
    let (format, compression) = ("cpio".to_owned(), "zstd".to_owned());
    manifest.packed = Some(Packed { format, compression, level: 9, bytes, overhead });
    manifest
}

/// What a real program needs on this machine.
fn real() -> Manifest {
    json::read(&succeed(&mut minroot(["trace", "--root", "/", "/usr/bin/perl", "/bin/sh"]))).unwrap()
}

/// Selects everything, each by its part of the address, then unticks it, and tells what is on the page.
const ASK_ALL: &str = "(async () => {
    const lines = selector => [...document.querySelectorAll(selector)].map(one => one.textContent);
    const answers = [];
    for (const hash of HASHES) {
        const followed = new Promise(done => addEventListener('hashchange', done, { once: true }));
        location.hash = '#' + encodeURI(hash).replace(/#/g, '%23');
        await followed;
        for (let more; (more = document.querySelector('#details button:not([hidden])')); ) more.click();
        const answer = { chain: lines('#details ol .words'), retained: lines('#retained')[0] };
        document.querySelector('#details input').click();
        for (let more; (more = document.querySelector('#without button:not([hidden]):not(li button)')); ) more.click();
        answer.freed = lines('#freed')[0];
        answer.left = lines('#left')[0];
        answer.packed = lines('#packed')[0];
        answer.broken = lines('#without .broken li').map(line => line.replaceAll(' (gone)', ''));
        document.querySelector('#without li button').click();
        answers.push(answer);
    }
    return answers;
})()";

fn check_all(manifest: &Manifest) {
    let Some(mut tab) = open(manifest) else { return };
    let reasons = manifest.entries.iter().flat_map(|entry| &entry.reasons);
    let rules: BTreeSet<&str> = reasons.filter_map(|because| because.reason.rule()).collect();
    assert!(!rules.is_empty());
    let paths = manifest.entries.iter().map(|entry| entry.path.to_string());
    let hashes: Vec<String> = paths.chain(rules.iter().map(|rule| format!("rule={rule}"))).collect();
    let answers = tab.evaluate(&ASK_ALL.replace("HASHES", &json!(hashes).to_string()));
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), hashes.len());
    for (answer, entry) in answers.iter().zip(&manifest.entries) {
        check_why(answer, manifest, &entry.path);
        let paths = vec![entry.path.as_bytes().to_vec()];
        check_what_if(answer, manifest, &Drop { paths, ..Drop::default() });
    }
    for (answer, rule) in answers[manifest.entries.len()..].iter().zip(rules) {
        check_what_if(answer, manifest, &Drop { rules: vec![rule.to_owned()], ..Drop::default() });
    }
    tab.close();
}

/// Compares what the page says of one entry with what `why` prints.
fn check_why(answer: &Value, manifest: &Manifest, path: &RootPath) {
    let why = explain(manifest, path.as_bytes(), &Options::default()).text(Style::Plain).to_string();
    let lines: Vec<&str> = why.lines().collect();
    let chain: Vec<String> = (lines.iter().skip_while(|line| !line.is_empty()).skip(1))
        .take_while(|line| !line.is_empty())
        .map(|line| line.trim().replacen("  ", " — ", 1).split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(strings(&answer["chain"]), chain, "{path}");
    let retained = why.lines().find_map(|line| line.strip_prefix("without it ")).unwrap();
    assert_eq!(answer["retained"], format!("Without it {retained}"), "{path}");
}

/// Compares what the page says when something is unticked with what `size` prints without it.
fn check_what_if(answer: &Value, manifest: &Manifest, drop: &Drop) {
    let what_if = what_if(manifest, drop).unwrap().text(Style::Plain, 0).to_string();
    let mut lines = what_if.lines();
    assert_eq!((&answer["freed"], &answer["left"]), (&json!(lines.next()), &json!(lines.next())), "{drop:?}");
    if manifest.packed.is_some() {
        assert_eq!(answer["packed"], json!(lines.next()), "{drop:?}");
    }
    let mut broken: Vec<String> = lines.filter(|line| line.contains(": ")).map(|line| line.trim().to_owned()).collect();
    let mut shown: Vec<String> =
        strings(&answer["broken"]).iter().map(|line| line.replacen(" — ", " (", 1) + ")").collect();
    broken.sort();
    shown.sort();
    assert_eq!(shown, broken, "{drop:?}");
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_page_of_a_real_program_says_what_the_commands_say() {
    check_all(&real());
}

#[test]
fn the_page_of_every_type_of_entry_says_what_the_commands_say() {
    check_all(&small_packed());
}

#[test]
fn alternatives_are_told_as_why_tells_them() {
    let mut manifest = small();
    let libz = manifest.entries.iter().find(|entry| entry.path.file_name() == b"libz.so.1").unwrap();
    let (chosen, because) = (libz.path.clone(), libz.reasons.clone());
    let other = RootPath::new("/usr/lib/libz-ng.so.2").unwrap();
    let alternatives = [("libz.so.1", &chosen, Verdict::Chosen), ("libz-ng.so.2", &other, Verdict::More(1000))];
    let alternatives = alternatives.map(|(name, path, verdict)| Alternative {
        name: name.to_owned(),
        paths: vec![path.clone()],
        verdict,
    });
    manifest.choices.push(Choice { because, alternatives: alternatives.to_vec() });
    let why = |path: &RootPath| explain(&manifest, path.as_bytes(), &Options::default()).text(Style::Plain).to_string();
    let Some(mut tab) = open(&manifest) else { return };
    tab.evaluate("document.querySelector('#search').focus()");
    tab.write("libz.so.1");
    tab.press("Enter");
    tab.wait_for(&format!("document.querySelector('#details h2').innerText === '{chosen}'"));
    let saves = "chosen among alternatives: saves 1,000 bytes against libz-ng.so.2";
    assert!(why(&chosen).contains(saves) && tab.text("#details").contains(saves), "{}", tab.text("#details"));
    tab.evaluate("document.querySelector('#search').select()");
    tab.write("libz-ng");
    let costs = "alternative not chosen: would cost 1,000 bytes more than libz.so.1";
    assert!(why(&other).contains(costs) && tab.text("#results").contains(costs), "{}", tab.text("#results"));
    tab.close();
}

#[test]
fn a_package_is_left_out_as_size_does_without_it() {
    let manifest = small();
    let Some(mut tab) = open(&manifest) else { return };
    let drop = Drop { packages: vec!["libc6".to_owned()], ..Drop::default() };
    let expected = what_if(&manifest, &drop).unwrap().text(Style::Plain, 0).to_string();
    tab.evaluate("location.hash = '#package=libc6'");
    tab.wait_for("document.querySelector('#details h2').innerText === 'package libc6'");
    tab.click("#details input");
    assert!(expected.starts_with(&format!("{}\n{}\n", tab.text("#freed"), tab.text("#left"))), "{expected}");
    assert!(tab.text("#without").contains("Breaks: 3 references"), "{}", tab.text("#without"));
    tab.click("#without li button");
    assert_eq!(tab.text("#status"), "everything is in");
    tab.close();
}

#[test]
fn a_library_is_found_and_left_out_with_the_keyboard_alone() {
    let Some(mut tab) = open(&small()) else { return };
    tab.press("/");
    tab.write("LIBZ");
    assert_eq!(tab.text("#found"), "2 found");
    tab.press("ArrowDown");
    tab.press("ArrowDown");
    tab.press("Enter");
    let libz = "/usr/lib/x86_64-linux-gnu/libz.so.1.2.13";
    tab.wait_for(&format!("document.querySelector('#details h2').innerText === '{libz}'"));
    assert_eq!(tab.evaluate("document.activeElement.id"), "details");
    tab.press("Tab");
    tab.press("Tab");
    assert_eq!(tab.evaluate("document.activeElement.type"), "checkbox");
    assert_eq!(tab.evaluate("getComputedStyle(document.activeElement).outlineStyle"), "solid");
    tab.press(" ");
    assert_eq!(tab.text("#status"), "118.4 KiB (121,280 bytes) would go, 1 reference would break");
    assert_eq!(tab.evaluate("document.activeElement.checked"), false);
    tab.press(" ");
    assert_eq!(tab.text("#status"), "everything is in");
    tab.close();
}

#[test]
fn the_treemap_is_walked_with_the_arrows() {
    let Some(mut tab) = open(&small()) else { return };
    tab.evaluate("document.querySelector('#treemap').focus()");
    let mut walk = |keys: &[&str]| {
        keys.iter().for_each(|key| tab.press(key));
        tab.text("#status")
    };
    assert_eq!(walk(&["ArrowDown"]), "/usr: 96.3 MiB (100,974,575 bytes), 2 parts");
    assert_eq!(walk(&["ArrowDown", "ArrowDown"]), "/usr/bin/node: 93.2 MiB (97,687,095 bytes)");
    assert_eq!(walk(&["ArrowUp", "ArrowRight"]), "/usr/lib: 3.1 MiB (3,287,480 bytes), 1 part");
    assert_eq!(walk(&["z"]), "/usr/lib: 3.1 MiB (3,287,480 bytes), 1 part");
    assert_eq!(tab.text("#crumbs"), "all\nusr\nlib");
    tab.press("ArrowDown");
    tab.press("Enter");
    tab.wait_for("document.querySelector('#details h2').innerText === '/usr/lib/x86_64-linux-gnu'");
    // A picture that gets another size while the button is down does not keep the click away.
    tab.click_while("#crumbs button", |tab| {
        let width = tab.evaluate("document.querySelector('#boxes').width");
        tab.evaluate("document.querySelector('#treemap').style.width = '300px'");
        tab.wait_for(&format!("document.querySelector('#boxes').width < {width}"));
    });
    assert_eq!(tab.text("#crumbs"), "all");
    tab.click("[value=retained]");
    // In the middle of what the program retains is the program.
    tab.click("#treemap");
    tab.wait_for("document.querySelector('#details h2').innerText === '/usr/bin/node'");
    tab.close();
}

#[test]
fn the_treemap_of_packed_sizes_is_the_archive_to_the_byte() {
    let manifest = small_packed();
    let Some(mut tab) = open(&manifest) else { return };
    let below = |path: &str| {
        let path = RootPath::new(path).unwrap();
        let entries = manifest.entries.iter().filter(|entry| entry.path.starts_with(&path));
        size(entries.filter_map(|entry| entry.packed).sum())
    };
    tab.click("[value=packed]");
    let archive = size(manifest.packed.as_ref().unwrap().bytes);
    assert_eq!(tab.text("#status"), format!("all: about {archive} packed, 4 parts"));
    tab.evaluate("document.querySelector('#treemap').focus()");
    for (key, told) in [
        ("ArrowDown", format!("/usr: about {} packed, 2 parts", below("/usr"))),
        ("ArrowRight", "(headers and the like): about 2.9 MiB (3,000,000 bytes) packed".to_owned()),
        ("ArrowLeft", format!("/usr: about {} packed, 2 parts", below("/usr"))),
        ("ArrowDown", format!("/usr/bin: about {} packed, 1 part", below("/usr/bin"))),
        ("ArrowRight", format!("/usr/lib: about {} packed, 1 part", below("/usr/lib"))),
    ] {
        tab.press(key);
        assert_eq!(tab.text("#status"), told);
    }
    assert!(tab.text("#legend").contains("target 31.1 MiB"), "{}", tab.text("#legend"));
    tab.click("[value=directory]");
    assert_eq!(tab.text("#status"), "all: 96.3 MiB (100,974,639 bytes), 3 parts");
    assert!(tab.text("#legend").contains("target 93.2 MiB"), "{}", tab.text("#legend"));
    tab.close();
    let mut tab = open(&small()).unwrap();
    assert_eq!(tab.evaluate("document.querySelector('[value=packed]').getClientRects().length"), 0);
    assert_eq!(tab.evaluate("document.querySelector('[value=retained]').getClientRects().length"), 1);
    tab.close();
}

#[test]
fn the_colours_follow_the_system() {
    let Some(mut tab) = open(&small()) else { return };
    // The background of the page, and the largest file in the treemap.
    for (scheme, back, file) in
        [("light", "rgb(246, 247, 249)", "141,183,247"), ("dark", "rgb(18, 22, 28)", "44,93,163")]
    {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        tab.call("Emulation.setEmulatedMedia", json!({ "features": features }));
        tab.wait_for(&format!("getComputedStyle(document.body).backgroundColor === '{back}'"));
        let pixel = "document.querySelector('#boxes').getContext('2d').getImageData(300, 300, 1, 1).data";
        tab.wait_for(&format!("{pixel}.slice(0, 3).join() === '{file}'"));
    }
    tab.click("#colours [value=package]");
    assert!(tab.text("#legend").starts_with("nodejs 93.2 MiB"));
    tab.close();
}

#[test]
fn hostile_names_are_only_text() {
    let manifest = hostile_manifest();
    let Some(mut tab) = open(&manifest) else { return };
    tab.wait_for("document.querySelectorAll('#details li').length === 14");
    let mut shown =
        strings(&tab.evaluate("[...document.querySelectorAll('#details li a')].map(one => one.textContent)"));
    let mut paths: Vec<String> = manifest.entries.iter().map(|entry| entry.path.to_string()).collect();
    shown.sort();
    paths.sort();
    assert_eq!(shown, paths);
    assert!(tab.text("#doubts").contains("\\x00<&\"\\\\\\x01 required — "), "{}", tab.text("#doubts"));
    assert_eq!(tab.evaluate("document.querySelectorAll('script').length"), 2);
    assert_eq!(tab.evaluate("performance.getEntriesByType('resource').length"), 0);
    tab.close();
}

#[test]
fn a_script_that_is_not_of_the_page_does_not_run() {
    let Some(mut tab) = open(&small()) else { return };
    let ran = "(() => { const script = document.createElement('script'); script.textContent = 'window.ran = true'; \
                document.body.append(script); return window.ran === true; })()";
    assert_eq!(tab.evaluate(ran), false);
}

/// The issue wants 2 s and 5 MB; a machine that runs all tests at once gets more time.
#[test]
fn forty_thousand_entries_fit_into_a_page() {
    let page = page_of(&large_manifest());
    let bytes = page.len();
    assert!(bytes < 5_000_000, "{bytes} bytes");
    let Some(mut tab) = open_page(&page) else { return };
    let milliseconds = tab.evaluate("Number(document.documentElement.dataset.ready)");
    eprintln!("{bytes} bytes, ready after {milliseconds} ms");
    assert!(milliseconds.as_f64().unwrap() < 20_000.0, "{milliseconds} ms");
    tab.evaluate("document.querySelector('#search').focus()");
    tab.write("libsomething-32999.so.1.2.3");
    tab.press("Enter");
    tab.wait_for(
        "document.querySelector('#retained')?.innerText.startsWith('Without it 33.2 KiB (33,999 bytes) would go')",
    );
    tab.close();
}
