//! Names with something in them: tokens, dots, links, and where glibc takes them as they stand.

use super::fixture::Fixture;

const B: &str = "int b(void) { return 0; }";
const CALLS_B: &str = "int b(void); int main(void) { return b(); }";

#[test]
fn b05_a_needed_path_may_have_tokens_dots_and_links_in_it() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/opt/x/libb.so", B, &[]);
    fixture.link("x", "/opt/link");
    for (spelled, works) in [
        ("$ORIGIN/../x/libb.so", true),
        ("${ORIGIN}/../x/libb.so", true),
        ("/opt/./x//libb.so", true),
        ("/opt/link/libb.so", true),
        ("/opt/link/../x/libb.so", true),
        ("/opt/none/libb.so", false),
        ("$ORIGIN/libb.so", false),
    ] {
        fixture.program("/opt/bin/run", CALLS_B, &["-LR/opt/x", "-lb"]);
        fixture.patchelf("/opt/bin/run", &["--replace-needed", "libb.so", spelled]);
        assert_eq!(fixture.compare("/opt/bin/run").real.success, works, "{spelled}");
    }
}

#[test]
fn b09_a_token_ends_where_its_name_does() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/link/libb.so", B, &[]);
    for (rpath, directory, works) in [
        ("$ORIGIN/${LIB}", "/app/lib/x86_64-linux-gnu", true),
        ("${ORIGIN}/$LIB/deep", "/app/lib/x86_64-linux-gnu/deep", true),
        ("$ORIGIN/x$LIB", "/app/xlib/x86_64-linux-gnu", true),
        ("$ORIGIN/${LIB}64", "/app/lib/x86_64-linux-gnu64", true),
        // No tokens: the dollar is part of the name.
        ("$ORIGIN/$LIBS", "/app/$LIBS", true),
        ("$ORIGIN/$LIBS", "/app/lib/x86_64-linux-gnuS", false),
        ("$ORIGIN/${LIB", "/app/${LIB", true),
        ("$ORIGINAL/l", "/app/l", false),
        ("$ORIGIN/$UNKNOWN", "/app", false),
    ] {
        fixture.copy("/link/libb.so", &format!("{directory}/libb.so"));
        fixture.program("/app/run", CALLS_B, &["-LR/link", "-lb", &format!("-Wl,-rpath,{rpath}")]);
        assert_eq!(fixture.compare("/app/run").real.success, works, "{rpath}");
        std::fs::remove_file(fixture.host(&format!("{directory}/libb.so"))).unwrap();
    }
}
