//! Libraries that libc loads by names out of nsswitch.conf, with the loader's own account as the judge.

use super::fixture::{Fixture, LIBRARIES, has, materialize, run_in};
use crate::command::{minroot, succeed, text};
use crate::support;
use std::collections::BTreeSet;

const ASKS: &str = r#"
    int getaddrinfo(const char *, const char *, const void *, void **);
    int main(void) { void *found = 0; getaddrinfo("no-such-name.invalid", 0, 0, &found); return 0; }
"#;

/// `wins` is there with all that it needs, and in no configuration.
fn with_sources(hosts: &str) -> Option<Fixture> {
    let fixture = Fixture::new()?;
    fixture.library(&format!("{LIBRARIES}/libfat.so"), "", &[]);
    fixture.library(&format!("{LIBRARIES}/libnss_wins.so.2"), "", &[&format!("-LR{LIBRARIES}"), "-lfat"]);
    fixture.library(&format!("{LIBRARIES}/libthin.so"), "", &[]);
    fixture.library(&format!("{LIBRARIES}/libnss_mymachines.so.2"), "", &[&format!("-LR{LIBRARIES}"), "-lthin"]);
    fixture.write("/etc/nsswitch.conf", format!("passwd: wins\nhosts: {hosts}\n"));
    fixture.program("/app/asks", ASKS, &[]);
    Some(fixture)
}

/// Libraries that libc loaded while the program ran.
fn loaded_by_libc(root: &std::path::Path) -> BTreeSet<String> {
    let told = run_in(root, &["/app/asks"], &["LD_DEBUG=files"]).stderr;
    let lines = told.lines().filter(|line| line.contains("dynamically loaded by") && line.contains("/libc.so.6"));
    lines.filter_map(|line| Some(line.split_once("file=")?.1.split_once(' ')?.0.to_owned())).collect()
}

#[test]
fn b35_b37_a_look_up_brings_the_configured_sources_and_no_others() {
    let Some(fixture) = with_sources("files mymachines [NOTFOUND=return] dns") else { return };
    let loaded = loaded_by_libc(fixture.root());
    assert_eq!(loaded, BTreeSet::from(["libnss_mymachines.so.2".to_owned()]));
    let (_, manifest) = fixture.trace(&["/app/asks"]);
    for (name, kept) in [("nss_mymachines.so.2", true), ("thin.so", true), ("nss_wins.so.2", false), ("fat.so", false)]
    {
        assert_eq!(has(&manifest, &format!("{LIBRARIES}/lib{name}")), kept, "{name}");
    }
    let reduced = support::scratch();
    materialize(&manifest, fixture.root(), reduced.path());
    assert_eq!(loaded_by_libc(reduced.path()), loaded);

    // The objects alone do not tell.
    let paths = |flags: &[&str]| {
        let arguments = ["trace", "/app/asks", "--format", "paths", "--root"];
        text(&succeed(minroot(arguments).arg(fixture.root()).args(flags)))
    };
    let (with_rules, without) = (paths(&[]), paths(&["--no-rules"]));
    assert!(with_rules.contains("/libnss_mymachines.so.2\n"), "{with_rules}");
    assert!(without.contains("/libc.so.6\n") && !without.contains("nss"), "{without}");

    // Who asks for nothing brings nothing.
    fixture.program("/app/quiet", "int main(void) { return 0; }", &[]);
    let (_, manifest) = fixture.trace(&["/app/quiet"]);
    assert!(!has(&manifest, "/etc/nsswitch.conf") && !has(&manifest, &format!("{LIBRARIES}/libnss_mymachines.so.2")));
}

#[test]
fn b36_sources_inside_libc_are_not_missing() {
    let Some(fixture) = with_sources("files dns") else { return };
    assert!(loaded_by_libc(fixture.root()).is_empty());
    let compared = fixture.compare("/app/asks");
    assert!(compared.manifest.missing.is_empty(), "{:?}", compared.manifest.missing);
    // Neither are the stubs that some systems still have worth a byte.
    fixture.library(&format!("{LIBRARIES}/libnss_files.so.2"), "", &[]);
    assert!(loaded_by_libc(fixture.root()).is_empty());
    assert!(!has(&fixture.trace(&["/app/asks"]).1, &format!("{LIBRARIES}/libnss_files.so.2")));
}
