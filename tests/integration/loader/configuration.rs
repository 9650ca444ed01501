//! `ld.so.conf` and `ld.so.cache`: the loader reads only the cache, so an image needs one where nothing else leads to
//! a library. The fixtures' caches are made by the real ldconfig, those of the reduced trees by minroot.

use super::fixture::{Fixture, LIBRARIES, materialize, run_in};
use crate::support;
use minroot::reason::Kind;
use minroot::recipe::Recipe;
use minroot::resolve::glibc::Cache;

const B: &str = "int b(void) { return 0; }";
const CALLS_B: &str = "int b(void); int main(void) { return b(); }";

#[test]
fn a_directory_of_the_configuration_brings_a_cache() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/opt/x/libb.so.1", B, &[]);
    fixture.program("/app/run", CALLS_B, &["-LR/opt/x", "-l:libb.so.1"]);
    fixture.write("/etc/ld.so.conf", "include ld.so.conf.d/*.conf\n");
    fixture.write("/etc/ld.so.conf.d/x.conf", "  /opt/x/ # a comment\n");
    fixture.ldconfig();
    let compared = fixture.compare("/app/run");
    assert!(compared.real.success);
    assert_eq!(compared.reasons("/etc/ld.so.cache"), [("/app/run".to_owned(), Kind::SearchPath)]);
    assert!(!compared.has("/etc/ld.so.conf"), "the loader never reads it");

    // Without a cache the real loader finds nothing; a finished tree is judged by what is there.
    std::fs::remove_file(fixture.host("/etc/ld.so.cache")).unwrap();
    let compared = fixture.compare_with("/app/run", &Recipe::default(), Cache::AsItIs);
    assert_eq!(compared.missing().name, "libb.so.1");
}

#[test]
fn the_cache_knows_a_library_by_its_soname() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/opt/x/libreal-1.2.so", B, &["-Wl,-soname,libb.so.1"]);
    fixture.program("/app/run", CALLS_B, &["-LR/opt/x", "-l:libreal-1.2.so"]);
    fixture.write("/etc/ld.so.conf", "/opt/x\n");
    // ldconfig has not been here since the library came; it would make a link. Our cache names the file.
    let (_, manifest) = fixture.trace(&["/app/run"]);
    let reduced = support::scratch();
    materialize(&manifest, fixture.root(), reduced.path());
    assert!(run_in(reduced.path(), &["/app/run"], &[]).success);
    assert!(!reduced.path().join("opt/x/libb.so.1").exists());

    fixture.ldconfig();
    let compared = fixture.compare("/app/run");
    assert!(compared.real.success && compared.has("/opt/x/libb.so.1") && compared.has("/opt/x/libreal-1.2.so"));
}

#[test]
fn the_cache_does_not_know_a_library_by_its_file_name() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/opt/x/libb.so.1", B, &[]);
    fixture.program("/app/run", CALLS_B, &["-LR/opt/x", "-l:libb.so.1"]);
    fixture.library("/opt/x/libb.so.1", B, &["-Wl,-soname,libother.so.1"]);
    fixture.write("/etc/ld.so.conf", "/opt/x\n");
    fixture.ldconfig();
    assert_eq!(fixture.compare("/app/run").missing().name, "libb.so.1");
}

#[test]
fn directories_of_the_configuration_keep_their_order_before_the_default_ones() {
    let Some(fixture) = Fixture::new() else { return };
    let default = format!("{LIBRARIES}/libb.so.1");
    fixture.speaking_library("/opt/x/libb.so.1", "configured", &[]);
    fixture.speaking_library(&default, "default", &[]);
    fixture.program("/app/run", CALLS_B, &["-LR/opt/x", "-l:libb.so.1"]);
    for (configuration, word) in
        [(format!("/opt/x\n{LIBRARIES}\n"), "configured\n"), (format!("{LIBRARIES}\n/opt/x\n"), "default\n")]
    {
        fixture.write("/etc/ld.so.conf", configuration);
        fixture.ldconfig();
        let compared = fixture.compare("/app/run");
        assert_eq!(compared.real.stdout, word);
        assert_eq!(compared.has("/etc/ld.so.cache"), word == "configured\n");
    }
}

#[test]
fn nodeflib_takes_what_is_below_the_default_directories_out_of_the_cache() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/usr/lib/below/libb.so.1", B, &[]);
    let libc = format!("-Wl,-rpath,{LIBRARIES}");
    fixture.program("/app/run", CALLS_B, &["-LR/usr/lib/below", "-l:libb.so.1", "-Wl,-z,nodefaultlib", &libc]);
    fixture.write("/etc/ld.so.conf", "/usr/lib/below\n");
    fixture.ldconfig();
    assert_eq!(fixture.compare("/app/run").missing().name, "libb.so.1");

    std::fs::rename(fixture.host("/usr/lib/below"), fixture.host("/opt/x")).unwrap();
    fixture.write("/etc/ld.so.conf", "/opt/x\n");
    fixture.ldconfig();
    assert!(fixture.compare("/app/run").has("/opt/x/libb.so.1"));
}

#[test]
fn a_directory_of_the_configuration_may_have_dots_and_links_in_it() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/opt/real/libb.so.1", B, &[]);
    fixture.link("real", "/opt/x");
    fixture.program("/app/run", CALLS_B, &["-LR/opt/x", "-l:libb.so.1"]);
    fixture.write("/etc/ld.so.conf", "include ../etc/more.conf\n");
    fixture.write("/etc/more.conf", "/usr/../opt/x\n");
    fixture.directory("/usr");
    fixture.ldconfig();
    assert!(fixture.compare("/app/run").has("/opt/x"));
}

#[test]
fn a_file_in_the_configuration_that_is_no_library_is_not_in_the_cache() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/opt/x/libb.so.1", B, &[]);
    fixture.program("/app/run", CALLS_B, &["-LR/opt/x", "-l:libb.so.1"]);
    fixture.write("/opt/bad/libb.so.1", "not a library");
    fixture.write("/etc/ld.so.conf", "/opt/bad\n/opt/x\n");
    fixture.ldconfig();
    assert!(fixture.compare("/app/run").real.success);
}
