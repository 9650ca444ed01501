//! The musl resolver and the words of `minroot verify`, with the real musl loader as the judge.
//!
//! The roots are laid out as Alpine's: the loader in `/lib`, and a link to it by the name that programs need.

use super::fixture::{Fixture, foretold, has, listed_path, loaded, materialize, required, run_in};
use minroot::manifest::{Manifest, Missing};
use minroot::objects::elf::SymbolScan;
use minroot::reason::{Evidence, Kind, Reason};
use minroot::recipe::Recipe;
use minroot::resolve::glibc::{Cache, Request};
use minroot::resolve::musl::Musl;
use minroot::resolve::store::Store;
use minroot::root::Root;
use std::collections::BTreeSet;
use std::path::Path;

const LOADER: &str = "/lib/ld-musl-x86_64.so.1";
const PATH_FILE: &str = "/etc/ld-musl-x86_64.path";
/// The program under test: `verify` starts it, as the kernel would.
const INIT: &str = "/init";

const A: &str = "int b(void); int a(void) { return b(); }";
const B: &str = "int b(void) { return 0; }";
/// The one that must not be used.
const BAD_B: &str = "int b(void) { return 1; }";
const CALLS_A: &str = "int a(void); int main(void) { return a(); }";
const CALLS_B: &str = "int b(void); int main(void) { return b(); }";

/// A root with a C library.
pub fn alpine() -> Option<Fixture> {
    let fixture = Fixture::without_libc("musl-gcc")?;
    fixture.copy_from_host(Path::new(LOADER), LOADER);
    Some(fixture)
}

/// One program as the real loader and as minroot see it, and they agree.
struct Compared {
    /// What the loader prints.
    stderr: String,
    manifest: Manifest,
}

impl Compared {
    fn has(&self, path: &str) -> bool {
        has(&self.manifest, path)
    }

    fn missing(&self) -> &Missing {
        let missing = required(&self.manifest);
        assert_eq!(missing.len(), 1, "{missing:?}");
        missing[0]
    }
}

/// Compares for the program at [`INIT`]: outcome, mapped files, words of `verify`; and the outcome in a tree of the
/// traced files only.
fn compare(fixture: &Fixture) -> Compared {
    let real = fixture.run(&[INIT], &[]);
    let (_, manifest) = fixture.trace(&[INIT]);
    let foretold = foretold(fixture.root());
    assert_eq!(real.success, foretold.is_empty(), "{real:?}\n{foretold:?}");
    let printed: Vec<&str> = real.stderr.lines().collect();
    // Symbols of a library that is missing are missing as well, which verify does not repeat.
    let (said, consequences) = printed.split_at(foretold.len().min(printed.len()));
    assert_eq!(said, foretold, "{printed:#?}");
    assert!(consequences.iter().all(|line| line.starts_with("Error relocating ")), "{foretold:#?} {printed:#?}");

    // The list is not the kernel's start of the program: only by its real path it has the same $ORIGIN.
    let root = Root::open(fixture.root()).unwrap();
    let program = root.lookup_spelled(INIT.as_bytes()).unwrap().path.to_string();
    let listed = fixture.run(&[LOADER, "--list", &program], &[]);
    let spelled = listed.stdout.lines().filter_map(listed_path);
    let mapped: BTreeSet<String> =
        spelled.map(|path| root.lookup_spelled(path.as_bytes()).unwrap().path.to_string()).collect();
    assert_eq!(loaded(&manifest), mapped, "{listed:?}");

    let reduced = crate::support::scratch();
    materialize(&manifest, fixture.root(), reduced.path());
    let again = run_in(reduced.path(), &[INIT], &[]);
    assert!(again == real || !again.success && !real.success, "in the reduced tree: {again:?}");
    Compared { stderr: real.stderr, manifest }
}

#[test]
fn a_program_needs_its_loader_and_nothing_else() {
    let Some(fixture) = alpine() else { return };
    fixture.program(INIT, "int main(void) { return 0; }", &[]);
    let compared = compare(&fixture);
    assert_eq!(loaded(&compared.manifest), BTreeSet::from([LOADER.to_owned()]));
    assert!(required(&compared.manifest).is_empty());
}

#[test]
fn b22_the_c_library_is_the_loader_and_a_link_to_it_is_kept() {
    let Some(fixture) = alpine() else { return };
    const NAME: &str = "libc.musl-x86_64.so.1";
    fixture.program(INIT, "int main(void) { return 0; }", &[]);
    // With both at once, patchelf renames the wrong one.
    fixture.patchelf(INIT, &["--replace-needed", "libc.so", NAME]);
    fixture.patchelf(INIT, &["--add-needed", "libpthread.so.0"]);
    let link = format!("/lib/{NAME}");
    assert!(!compare(&fixture).has(&link));
    fixture.link("ld-musl-x86_64.so.1", &link);
    assert!(compare(&fixture).has(&link));
    // A file of that name is never looked at.
    std::fs::remove_file(fixture.host(&link)).unwrap();
    fixture.write(&link, "no library");
    assert!(!compare(&fixture).has(&link));
}

#[test]
fn b22_a_c_library_under_another_name_is_the_loader() {
    let Some(fixture) = alpine() else { return };
    fixture.program(INIT, "int main(void) { return 0; }", &[]);
    fixture.copy(LOADER, "/opt/x/libother.so");
    fixture.link("ld-musl-x86_64.so.1", "/lib/libsame.so");
    fixture.patchelf(INIT, &["--add-needed", "libsame.so", "--add-needed", LOADER]);
    assert!(compare(&fixture).has("/lib/libsame.so"));
}

#[test]
fn b01_runpath_and_rpath_of_the_executable_both_serve_its_libraries() {
    for tags in ["--enable-new-dtags", "--disable-new-dtags"] {
        let Some(fixture) = alpine() else { return };
        fixture.library("/app/l/libb.so", B, &[]);
        fixture.library("/app/l/liba.so", A, &["-LR/app/l", "-lb"]);
        fixture.program(INIT, CALLS_A, &["-LR/app/l", "-la", &format!("-Wl,{tags},-rpath,$ORIGIN/app/l")]);
        assert!(compare(&fixture).has("/app/l/libb.so"), "{tags}");
    }
}

#[test]
fn b01_the_search_path_of_the_object_itself_comes_first() {
    let Some(fixture) = alpine() else { return };
    fixture.library("/good/libb.so", B, &[]);
    fixture.library("/bad/libb.so", BAD_B, &[]);
    fixture.library("/app/liba.so", A, &["-LR/good", "-lb", "-Wl,-rpath,/good"]);
    fixture.program(INIT, CALLS_A, &["-LR/app", "-la", "-Wl,-rpath,/bad:/app"]);
    let compared = compare(&fixture);
    assert!(compared.has("/good/libb.so") && !compared.has("/bad/libb.so"));
}

#[test]
fn b23_a_library_path_that_the_user_asks_for_comes_before_all_others() {
    let Some(fixture) = alpine() else { return };
    fixture.library("/alt/libb.so", B, &[]);
    fixture.library("/own/libb.so", BAD_B, &[]);
    fixture.program(INIT, CALLS_B, &["-LR/alt", "-lb", "-Wl,-rpath,/own"]);
    assert!(fixture.run(&[INIT], &["LD_LIBRARY_PATH=/alt"]).success && !fixture.run(&[INIT], &[]).success);
    let mut recipe = Recipe::default();
    recipe.trace.library_path = vec!["/alt".to_owned()];
    let (_, manifest) = fixture.trace_with(&recipe, &[INIT], Cache::FromConfiguration);
    assert!(has(&manifest, "/alt/libb.so") && !has(&manifest, "/own/libb.so"));
}

#[test]
fn b03_origin_of_an_executable_is_where_its_link_leads() {
    let Some(fixture) = alpine() else { return };
    fixture.library("/opt/lib/libb.so", B, &[]);
    fixture.program("/opt/bin/run", CALLS_B, &["-LR/opt/lib", "-lb", "-Wl,-rpath,$ORIGIN/../lib"]);
    fixture.link("opt/bin/run", INIT);
    assert!(compare(&fixture).has("/opt/lib/libb.so"));
}

#[test]
fn b04_origin_of_a_library_is_the_path_it_was_opened_by() {
    let Some(fixture) = alpine() else { return };
    fixture.library("/app/link/libb.so", B, &[]);
    fixture.library("/app/real/liba.so", A, &["-LR/app/link", "-lb", "-Wl,-rpath,$ORIGIN"]);
    fixture.link("../real/liba.so", "/app/link/liba.so");
    fixture.program(INIT, CALLS_A, &["-LR/app/link", "-la", "-Wl,-rpath,${ORIGIN}/app/link"]);
    assert!(compare(&fixture).has("/app/link/libb.so"));
}

#[test]
fn b09_a_search_path_with_another_token_is_not_used_at_all() {
    let Some(fixture) = alpine() else { return };
    fixture.library("/app/libb.so", B, &[]);
    fixture.program(INIT, CALLS_B, &["-LR/app", "-lb", "-Wl,-rpath,/app:$LIB"]);
    let compared = compare(&fixture);
    let expected = "Error loading shared library libb.so: No such file or directory (needed by /init)";
    assert_eq!(compared.stderr.lines().next(), Some(expected));
    assert_eq!(compared.missing().name, "libb.so");
}

#[test]
fn the_path_file_takes_the_place_of_the_default_directories() {
    let Some(fixture) = alpine() else { return };
    fixture.library("/usr/lib/libb.so", B, &[]);
    fixture.program(INIT, CALLS_B, &["-LR/usr/lib", "-lb"]);
    assert!(!compare(&fixture).has(PATH_FILE));
    fixture.write(PATH_FILE, "\n/opt/a::/opt/b\n/opt/c/\n");
    let compared = compare(&fixture);
    assert!(compared.has(PATH_FILE));
    let tried = super::fixture::tried(compared.missing());
    for path in ["/opt/a/libb.so", "/opt/b/libb.so", "/opt/c//libb.so"] {
        assert!(tried.contains(&(path, PATH_FILE, "no such file")), "{tried:?}");
    }
    fixture.copy("/usr/lib/libb.so", "/opt/c/libb.so");
    assert!(compare(&fixture).has("/opt/c/libb.so"));
    fixture.write(PATH_FILE, "");
    let expected = "Error loading shared library libb.so: No error information (needed by /init)";
    assert_eq!(compare(&fixture).stderr.lines().next(), Some(expected));
}

#[test]
fn b05_a_needed_name_with_a_slash_is_a_path() {
    let Some(fixture) = alpine() else { return };
    fixture.library("/opt/x/libb.so", B, &[]);
    fixture.program(INIT, CALLS_B, &["-LR/opt/x", "-lb"]);
    fixture.patchelf(INIT, &["--replace-needed", "libb.so", "/opt/x/libb.so"]);
    assert!(compare(&fixture).has("/opt/x/libb.so"));
}

#[test]
fn b07_a_name_that_was_searched_is_not_searched_again_and_a_soname_is_no_name() {
    let Some(fixture) = alpine() else { return };
    fixture.library("/app/l/libb.so", B, &[]);
    fixture.library("/app/liba.so", A, &["-LR/app/l", "-lb"]);
    // liba.so finds nothing by itself: the executable's second need has brought it.
    fixture.program(INIT, CALLS_A, &["-LR/app", "-LR/app/l", "-lb", "-la", "-Wl,-rpath,/app:/app/l"]);
    compare(&fixture);
    fixture.program(INIT, CALLS_A, &["-LR/app", "-LR/app/l", "-lb", "-la", "-Wl,-rpath,/app"]);
    fixture.patchelf(INIT, &["--replace-needed", "libb.so", "/app/l/libb.so"]);
    let missing = compare(&fixture);
    assert_eq!(missing.missing().from.as_ref().unwrap().to_string(), "/app/liba.so");
}

#[test]
fn two_names_of_one_inode_are_one_library() {
    let Some(fixture) = alpine() else { return };
    fixture.library("/app/libb.so", "int n; int b(void) { return n++; }", &[]);
    std::fs::hard_link(fixture.host("/app/libb.so"), fixture.host("/app/libsame.so")).unwrap();
    fixture.link("libb.so", "/app/libagain.so");
    fixture.program(INIT, CALLS_B, &["-LR/app", "-lb", "-Wl,-rpath,/app"]);
    fixture.patchelf(INIT, &["--add-needed", "libagain.so"]);
    assert!(compare(&fixture).has("/app/libagain.so"));
}

#[test]
fn a_file_of_another_class_ends_the_search() {
    let Some(fixture) = alpine() else { return };
    fixture.library("/good/libb.so", B, &[]);
    fixture.program(INIT, CALLS_B, &["-LR/good", "-lb", "-Wl,-rpath,/bad:/good"]);
    let gcc = Fixture::without_libc("gcc").unwrap();
    gcc.library("/libb.so", B, &["-m32", "-nostdlib"]);
    fixture.copy_from_host(&gcc.host("/libb.so"), "/bad/libb.so");
    let compared = compare(&fixture);
    let expected = "Error loading shared library libb.so: Exec format error (needed by /init)";
    assert_eq!(compared.stderr.lines().next(), Some(expected));
}

#[test]
fn what_is_no_library_is_told_by_its_error_number() {
    let Some(fixture) = alpine() else { return };
    fixture.library("/good/libb.so", B, &[]);
    fixture.program(INIT, CALLS_B, &["-LR/good", "-lb", "-Wl,-rpath,/bad:/good"]);
    let whole = std::fs::read(fixture.host("/good/libb.so")).unwrap();
    let said = |words: &str| {
        let expected = format!("Error loading shared library libb.so: {words} (needed by /init)");
        assert_eq!(compare(&fixture).stderr.lines().next(), Some(&expected[..]));
    };
    for content in [&b""[..], b"\x7fELF", b"no library at all\n", &[b'x'; 4096], &whole[..64], &whole[..200]] {
        fixture.write("/bad/libb.so", content);
        said("Exec format error");
    }
    std::fs::remove_file(fixture.host("/bad/libb.so")).unwrap();
    fixture.link("libb.so", "/bad/libb.so");
    said("Symbolic link loop");
    std::fs::remove_file(fixture.host("/bad/libb.so")).unwrap();
    fixture.directory("/bad/libb.so");
    said("Is a directory");
}

#[test]
fn a_library_that_was_cut_off_kills_the_loader() {
    let Some(fixture) = alpine() else { return };
    fixture.library("/lib/libb.so", B, &[]);
    fixture.program(INIT, CALLS_B, &["-LR/lib", "-lb"]);
    let whole = std::fs::read(fixture.host("/lib/libb.so")).unwrap();
    let mut killed = 0;
    for length in (0x400..whole.len()).step_by(0x400) {
        fixture.write("/lib/libb.so", &whole[..length]);
        let (real, foretold) = (fixture.run(&[INIT], &[]), foretold(fixture.root()));
        if foretold == ["Bus error"] {
            // The words are the shell's, which is not there.
            assert_eq!((real.success, &real.stderr[..]), (false, ""), "{length} of {}", whole.len());
            killed += 1;
        } else {
            assert_eq!(real.success, foretold.is_empty(), "{length} of {}: {real:?} {foretold:?}", whole.len());
        }
    }
    assert!(killed > 3, "{killed} of {} bytes", whole.len());
}

#[test]
fn a_place_below_a_file_has_the_last_word() {
    let Some(fixture) = alpine() else { return };
    fixture.library("/good/libb.so", B, &[]);
    fixture.program(INIT, CALLS_B, &["-LR/good", "-lb"]);
    fixture.write("/usr/lib", "no directory");
    let compared = compare(&fixture);
    let expected = "Error loading shared library libb.so: Not a directory (needed by /init)";
    assert_eq!(compared.stderr.lines().next(), Some(expected));
}

#[test]
fn every_missing_library_is_told_with_who_needs_it() {
    let Some(fixture) = alpine() else { return };
    fixture.library("/lib/libb.so", B, &[]);
    fixture.library("/lib/liba.so", A, &["-LR/lib", "-lb"]);
    fixture.program(INIT, CALLS_A, &["-LR/lib", "-la"]);
    fixture.patchelf(INIT, &["--add-needed", "libc2.so", "--add-needed", "/opt/libd.so"]);
    std::fs::remove_file(fixture.host("/lib/libb.so")).unwrap();
    let said = compare(&fixture).stderr;
    let last = "Error loading shared library libb.so: No such file or directory (needed by /lib/liba.so)";
    assert_eq!(said.lines().nth(2), Some(last), "{said}");
}

#[test]
fn a_symbol_that_is_gone_is_told_with_the_object_that_wants_it() {
    let Some(fixture) = alpine() else { return };
    // Nobody asks for BIND_NOW here: musl binds everything at the start.
    let lazy = "-Wl,-z,lazy";
    fixture.library("/lib/libb.so", "int b(void) { return 0; } int data;", &[]);
    fixture.library(
        "/lib/liba.so",
        "int b(void); extern int data; int a(void) { return b() + data; }",
        &["-LR/lib", "-lb", lazy],
    );
    let source =
        "int a(void); int b(void); int w(void) __attribute__((weak)); int main(void) { return a() + b() + !!w; }";
    fixture.program(INIT, source, &["-LR/lib", "-la", "-lb", lazy]);
    assert_eq!(compare(&fixture).stderr, "");
    fixture.library("/lib/libb.so", "int other;", &[]);
    let expected = "Error relocating /lib/liba.so: b: symbol not found\n\
                    Error relocating /lib/liba.so: data: symbol not found\n\
                    Error relocating /init: b: symbol not found\n";
    assert_eq!(compare(&fixture).stderr, expected);
}

#[test]
fn names_of_large_file_functions_are_found() {
    let Some(fixture) = alpine() else { return };
    fixture.program(INIT, "int open64(const char *, int); int main(void) { return open64(\"/init\", 0) < 0; }", &[]);
    compare(&fixture);
}

#[test]
fn dlopen_searches_for_the_executable_and_not_for_its_caller() {
    let Some(fixture) = alpine() else { return };
    fixture.library("/app/plugin.so", B, &[]);
    let source = "void *dlopen(const char *, int); int a(void) { return !dlopen(\"plugin.so\", 2); }";
    fixture.library("/lib/liba.so", source, &["-Wl,-rpath,/app"]);
    for (search_path, is_found) in [("-Wl,-rpath,/other", false), ("-Wl,-rpath,/app", true)] {
        fixture.program(INIT, CALLS_A, &["-LR/lib", "-la", search_path]);
        assert_eq!(fixture.run(&[INIT], &[]).success, is_found);
        let (root, scan) = (Root::open(fixture.root()).unwrap(), SymbolScan::default());
        let mut store = Store::new(&root, &scan);
        let mut read = |path: &str| store.read(&root.lookup_spelled(path.as_bytes()).unwrap());
        let (executable, caller) = (read(INIT), read("/lib/liba.so"));
        let reason = Reason::new(Evidence::Rule, Kind::Rule, "plugin");
        let request = Request { caller, names: vec![b"plugin.so"[..].into()], reason, priority: None };
        let process = Musl::default().run(&mut store, executable, &[request]);
        assert_eq!(process.missing.is_empty(), is_found);
        let opened = process.maps.iter().map(|map| &map.name[..]).any(|name| name == b"/app/plugin.so");
        assert_eq!(opened, is_found, "{search_path}");
    }
}
