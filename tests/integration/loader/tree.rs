//! The root as a tree: links, odd names and odd kinds of files, with a chroot as the judge.

use super::fixture::{Fixture, has, materialize, required};
use crate::support;
use minroot::manifest::{Content, lists};
use minroot::path::RootPath;
use minroot::recipe::Recipe;
use minroot::root::{LookupError, Root};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A root with a program that tells which file a path leads to.
fn with_reader() -> Option<Fixture> {
    let fixture = Fixture::new()?;
    let source = r#"
        #include <stdio.h>
        #include <string.h>
        #include <errno.h>
        int main(int argc, char **argv) {
            char text[64] = "";
            FILE *file = fopen(argv[1], "r");
            if (!file) { fprintf(stderr, "%d", errno); return 1; }
            fgets(text, sizeof text, file);
            puts(text);
            return 0;
        }
    "#;
    fixture.program("/read", source, &[]);
    Some(fixture)
}

/// Follows a path in a chroot and with our own walk; both have to come to the same file or to the same error.
fn check(fixture: &Fixture, path: &str) -> Result<String, LookupError> {
    let real = fixture.run(&["/read", path], &[]);
    let root = Root::open(fixture.root()).unwrap();
    let found = root.lookup_spelled(path.as_bytes());
    match &found {
        Ok(found) => {
            let ours = String::from_utf8(root.read(found).unwrap()).unwrap();
            assert_eq!(real.stdout.trim_end(), ours, "{path}: {real:?}");
        }
        Err(error) => {
            let number = match error {
                LookupError::NotFound(_) | LookupError::Dangling { .. } => "2",
                LookupError::NotADirectory(_) => "20",
                LookupError::Loop(_) => "40",
                LookupError::Io { .. } => "other",
            };
            assert_eq!(real.stderr, number, "{path}: {error}");
        }
    }
    found.map(|found| found.path.to_string())
}

#[test]
fn paths_lead_where_they_lead_in_a_chroot() {
    let Some(fixture) = with_reader() else { return };
    fixture.write("/data/deep/file", "file");
    fixture.write("/top", "top");
    for (target, link) in [
        ("/data/deep/file", "/absolute"),
        ("../data/deep/file", "/links/relative"),
        ("../../../../../../top", "/links/climbing"),
        ("/../../top", "/links/climbing-absolute"),
        ("absolute", "/chained"),
        ("/data", "/directory"),
        ("directory/deep/../deep", "/through"),
        ("nowhere", "/dangling"),
        ("dangling", "/to-dangling"),
        ("/top/", "/slash"),
        (".", "/dot"),
    ] {
        fixture.link(target, link);
    }
    for (path, expected) in [
        ("/absolute", "/data/deep/file"),
        ("/links/relative", "/data/deep/file"),
        ("/links/climbing", "/top"),
        ("/links/climbing-absolute", "/top"),
        ("/chained", "/data/deep/file"),
        ("/directory/deep/file", "/data/deep/file"),
        ("/through/file", "/data/deep/file"),
        ("/directory/../top", "/top"),
        ("//data/./deep//file", "/data/deep/file"),
        ("/dot/dot/dot/top", "/top"),
        ("/../../top", "/top"),
    ] {
        assert_eq!(check(&fixture, path).unwrap(), expected, "{path}");
    }
    for path in [
        "/dangling",
        "/to-dangling",
        "/missing",
        "/missing/x",
        "/top/x",
        "/top/..",
        "/top/",
        "/top/.",
        "/slash",
        "/dangling/x",
    ] {
        assert!(check(&fixture, path).is_err(), "{path}");
    }
}

#[test]
fn b43_circles_of_links_are_told_with_their_chain() {
    let Some(fixture) = with_reader() else { return };
    for (target, link) in [("self", "/self"), ("b", "/a"), ("/x/c", "/b"), ("../a", "/x/c"), ("a", "/into")] {
        fixture.link(target, link);
    }
    assert!(check(&fixture, "/self").unwrap_err().to_string().ends_with(": /self -> /self"));
    assert!(check(&fixture, "/a/file").is_err());
    let told = check(&fixture, "/into").unwrap_err().to_string();
    assert!(told.contains("/a -> /b -> /x/c"), "{told}");
    let (_, manifest) = fixture.trace(&["/into"]);
    assert!(required(&manifest)[0].probes[0].outcome.contains("/a -> /b -> /x/c"));
}

#[test]
fn as_many_links_are_followed_as_the_kernel_follows() {
    let Some(fixture) = with_reader() else { return };
    fixture.write("/l0", "end");
    fixture.link(".", "/d");
    for n in 1..=41 {
        fixture.link(&format!("l{}", n - 1), &format!("/l{n}"));
    }
    for (path, good) in [("/l39", true), ("/l40", true), ("/l41", false), ("/d/l39", true), ("/d/l40", false)] {
        assert_eq!(check(&fixture, path).is_ok(), good, "{path}");
        let root = Root::open(fixture.root()).unwrap();
        assert_eq!(root.lookup(&RootPath::new(path).unwrap()).is_ok(), good, "{path}");
    }
}

#[test]
fn b41_links_of_parent_directories_are_kept_as_they_are() {
    let Some(fixture) = with_reader() else { return };
    fixture.write("/opt/y/f", "f");
    fixture.link("../../opt/y", "/usr/share/x");
    fixture.link("/usr/share/x/../y/f", "/climbs");
    let (_, manifest) = fixture.trace(&["/usr/share/x/f", "/climbs", "/read"]);
    for path in ["/usr/share/x", "/opt/y", "/opt/y/f", "/climbs"] {
        assert!(has(&manifest, path), "{path}");
    }
    assert!(!has(&manifest, "/"), "the root itself is no entry");
    let reduced = support::scratch();
    materialize(&manifest, fixture.root(), reduced.path());
    for path in ["/usr/share/x/f", "/climbs"] {
        assert!(super::fixture::run_in(reduced.path(), &["/read", path], &[]).success, "{path}");
    }
}

#[test]
fn b51_names_are_bytes() {
    let Some(fixture) = Fixture::new() else { return };
    let names: [&[u8]; 6] = [b"a b\nc", b"caf\xe9", b"-rf", b"#x", b" lead", b"back\\slash"];
    let directory = fixture.host("/odd/x").parent().unwrap().to_owned();
    for name in names {
        std::fs::write(directory.join(OsStr::from_bytes(name)), name).unwrap();
        let link = [b"link to ", name].concat();
        std::os::unix::fs::symlink(OsStr::from_bytes(name), directory.join(OsStr::from_bytes(&link))).unwrap();
    }
    let mut recipe = Recipe::default();
    recipe.trace.include.push("/odd".to_owned());
    let (trace, manifest) = fixture.trace_with(&recipe, &[], minroot::resolve::glibc::Cache::FromConfiguration);
    let mut list = Vec::new();
    lists::paths0(&trace.kept(), &mut list).unwrap();
    for name in names {
        let line = [b"odd/", name, b"\0"].concat();
        assert!(list.windows(line.len()).any(|window| window == line), "{}", name.escape_ascii());
    }
    let reduced = support::scratch();
    materialize(&manifest, fixture.root(), reduced.path());
    for name in names {
        let link = [b"link to ", name].concat();
        assert_eq!(std::fs::read(reduced.path().join("odd").join(OsStr::from_bytes(&link))).unwrap(), name);
    }
}

#[test]
fn devices_and_pipes_are_described_and_never_opened() {
    let Some(fixture) = Fixture::new() else { return };
    let Some(mknod) = support::tool("mknod") else { return };
    let make = |path: &str, arguments: &[&str]| {
        std::process::Command::new(&mknod).arg(fixture.host(path)).args(arguments).status().unwrap().success()
    };
    assert!(make("/dev/pipe", &["p"]));
    let is_root = make("/dev/null", &["c", "1", "3"]) && make("/dev/loop0", &["b", "7", "0"]);
    fixture.program("/app/run", "int main(void) { return 0; }", &["-Wl,-rpath,/dev"]);
    let targets = if is_root { &["/dev/pipe", "/dev/null", "/dev/loop0"][..] } else { &["/dev/pipe"] };
    let (_, manifest) = fixture.trace(targets);
    assert!(required(&manifest).is_empty());
    let content = |path: &str| {
        let path = RootPath::new(path).unwrap();
        manifest.entries.iter().find(|entry| entry.path == path).map(|entry| entry.content.clone()).unwrap()
    };
    assert_eq!(content("/dev/pipe"), Content::Fifo);
    if is_root {
        assert_eq!(content("/dev/null"), Content::Char { major: 1, minor: 3 });
        assert_eq!(content("/dev/loop0"), Content::Block { major: 7, minor: 0 });
    }
}

#[test]
fn hard_links_keep_one_content() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.write("/data/b", "content");
    std::fs::hard_link(fixture.host("/data/b"), fixture.host("/data/a")).unwrap();
    std::fs::hard_link(fixture.host("/data/b"), fixture.host("/data/unwanted")).unwrap();
    let (_, manifest) = fixture.trace(&["/data/b", "/data/a"]);
    let content = |path: &str| {
        let path = RootPath::new(path).unwrap();
        manifest.entries.iter().find(|entry| entry.path == path).map(|entry| entry.content.clone())
    };
    assert!(matches!(content("/data/a"), Some(Content::File { .. })));
    assert_eq!(content("/data/b"), Some(Content::Hardlink { to: RootPath::new("/data/a").unwrap() }));
    assert_eq!(content("/data/unwanted"), None);
}

#[test]
fn files_are_found_by_name_wherever_they_are() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.write("/z/libx.so", "");
    fixture.link("nowhere", "/a/libx.so");
    fixture.directory("/b/libx.so");
    let root = Root::open(fixture.root()).unwrap();
    let found: Vec<String> = root.find_named(|name| name == b"libx.so").iter().map(ToString::to_string).collect();
    assert_eq!(found, ["/a/libx.so", "/z/libx.so"]);
    assert!(Path::new("/proc/self").exists());
    let host = Root::open(Path::new("/")).unwrap();
    assert!(host.find_named(|name| name == b"oom_score_adj").is_empty(), "other file systems are left out");
}
