//! Chains of links on the way to executables and libraries.

use super::fixture::{Fixture, LIBRARIES, LOADER, has, required};
use minroot::manifest::Content;
use minroot::path::RootPath;
use minroot::recipe::Recipe;
use minroot::resolve::glibc::Cache;
use std::collections::BTreeSet;

const A: &str = "int b(void); int a(void) { return b(); }";
const B: &str = "int b(void) { return 0; }";
const CALLS_A: &str = "int a(void); int main(void) { return a(); }";
const CALLS_B: &str = "int b(void); int main(void) { return b(); }";

#[test]
fn b03_every_chain_of_links_leads_to_the_directory_of_the_executable() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/opt/v1/lib/libb.so", B, &[]);
    fixture.program("/opt/v1/bin/java", CALLS_B, &["-LR/opt/v1/lib", "-lb", "-Wl,-rpath,$ORIGIN/../lib"]);
    for (target, link) in [
        ("v1", "/opt/current"),
        ("/opt/current/bin/java", "/etc/alternatives/java"),
        ("/etc/alternatives/java", "/usr/bin/java"),
        ("../bin/java", "/usr/local/java"),
        ("usr/bin", "/bin"),
    ] {
        fixture.link(target, link);
    }
    let chain = ["/opt/current", "/etc/alternatives/java", "/usr/bin/java", "/usr/local/java"];
    for (start, n_links) in
        [("/opt/current/bin/java", 1), ("/etc/alternatives/java", 2), ("/bin/java", 3), ("/usr/local/java", 4)]
    {
        let compared = fixture.compare(start);
        assert!(compared.real.success && compared.has("/opt/v1/lib/libb.so"), "{start}");
        for (n, link) in chain.iter().enumerate() {
            assert_eq!(compared.has(link), n < n_links, "{start}: {link}");
        }
        assert_eq!(compared.has("/bin"), start.starts_with("/bin"), "{start}");
    }
}

#[test]
fn b04_only_the_first_link_of_a_chain_counts_for_a_library() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/link/libb.so", B, &[]);
    fixture.library("/app/real/liba.so", A, &["-LR/link", "-lb", "-Wl,-rpath,$ORIGIN"]);
    fixture.link("/app/real/liba.so", "/app/two/liba.so");
    fixture.link("../two/liba.so", "/app/one/liba.so");
    fixture.link("real", "/app/directory");
    for (opened_in, place, works) in [
        ("one", "/app/one", true),
        ("one", "/app/two", false),
        ("one", "/app/real", false),
        ("two", "/app/two", true),
        ("directory", "/app/real", true),
        ("directory/../one", "/app/one", true),
    ] {
        fixture.copy("/link/libb.so", &format!("{place}/libb.so"));
        let rpath = format!("-Wl,-rpath,$ORIGIN/{opened_in}");
        fixture.program("/app/run", CALLS_A, &["-LR/app/real", "-la", &rpath]);
        assert_eq!(fixture.compare("/app/run").real.success, works, "{opened_in}, {place}");
        std::fs::remove_file(fixture.host(&format!("{place}/libb.so"))).unwrap();
    }
}

#[test]
fn b17_links_of_every_shape_stay_in_the_root() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/opt/v/libb.so", B, &[]);
    fixture.link("opt", "/shortcut");
    fixture.program("/app/run", CALLS_B, &["-LR/opt/v", "-lb"]);
    let name = format!("{LIBRARIES}/libb.so");
    for (target, works) in [
        ("/opt/v/libb.so", true),
        ("../../opt/v/libb.so", true),
        ("../../../../../../../opt/v/libb.so", true),
        ("/../../opt/./v//libb.so", true),
        ("/shortcut/v/libb.so", true),
        ("../../shortcut/../opt/v/libb.so", true),
        ("/shortcut/none/libb.so", false),
        ("/opt/v/libb.so/", false),
    ] {
        fixture.link(target, &name);
        let compared = fixture.compare("/app/run");
        assert_eq!(compared.real.success, works, "{target}");
        if works {
            assert!(compared.has(&name) && compared.has("/opt/v/libb.so"), "{target}");
            assert_eq!(compared.has("/shortcut"), target.contains("shortcut"), "{target}");
        }
        std::fs::remove_file(fixture.host(&name)).unwrap();
    }
}

/// No loader of this machine could run it; what is kept is the same.
#[test]
fn b17_a_root_of_another_machine_is_traced_alike() {
    const MACHINE: usize = 18;
    const AARCH64: [u8; 2] = [183, 0];
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/opt/v/libb.so", B, &[]);
    fixture.library("/app/l/liba.so", A, &["-LR/opt/v", "-lb", "-Wl,-rpath,/opt/../shortcut/v"]);
    fixture.link("/opt", "/shortcut");
    fixture.program("/app/run", CALLS_A, &["-LR/app/l", "-la", "-Wl,-rpath,$ORIGIN/l"]);
    let paths = |fixture: &Fixture| -> BTreeSet<String> {
        let (_, manifest) = fixture.trace(&["/app/run"]);
        assert!(required(&manifest).is_empty(), "{:?}", manifest.missing);
        manifest.entries.iter().map(|entry| entry.path.to_string()).collect()
    };
    assert!(fixture.compare("/app/run").real.success);
    let here = paths(&fixture);
    assert!(here.contains("/shortcut") && here.contains("/opt/v/libb.so") && here.contains(LOADER));
    for path in here.iter().filter(|path| path.contains(".so") || *path == "/app/run") {
        if fixture.host(path).symlink_metadata().unwrap().is_file() {
            fixture.patch(path, &[(MACHINE, &AARCH64)]);
        }
    }
    assert_eq!(paths(&fixture), here);
}

#[test]
fn b41_dead_links_of_a_root_are_passed_over_by_the_loader_and_kept_on_request() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/app/l/libb.so", B, &[]);
    for (target, link) in [
        ("nowhere", "/app/dead/libb.so"),
        ("/gone/for/good", "/app/dead/absolute"),
        ("dead", "/app/dead/dead"),
        ("/gone", "/app/deaddir"),
    ] {
        fixture.link(target, link);
    }
    let rpath = "-Wl,-rpath,$ORIGIN/dead:$ORIGIN/deaddir:$ORIGIN/l";
    fixture.program("/app/run", CALLS_B, &["-LR/app/l", "-lb", rpath]);
    let compared = fixture.compare("/app/run");
    assert!(compared.real.success && !compared.has("/app/dead/libb.so") && !compared.has("/app/deaddir"));

    let mut recipe = Recipe::default();
    recipe.trace.include.push("/app".to_owned());
    let (_, manifest) = fixture.trace_with(&recipe, &[], Cache::FromConfiguration);
    assert!(required(&manifest).is_empty(), "{:?}", required(&manifest));
    for link in ["/app/dead/libb.so", "/app/dead/absolute", "/app/dead/dead", "/app/deaddir"] {
        let entry = manifest.entry(&RootPath::new(link).unwrap()).unwrap_or_else(|| panic!("{link} is kept"));
        assert!(matches!(entry.content, Content::Symlink { .. }), "{link}");
    }
    // Asked for by name, a dead link is a wish that leads nowhere.
    let (_, manifest) = fixture.trace(&["/app/dead/absolute"]);
    assert_eq!(required(&manifest)[0].name, "/app/dead/absolute");
    assert!(!has(&manifest, "/gone/for/good"));
}
