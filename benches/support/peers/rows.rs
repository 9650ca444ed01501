//! The situations of the table, each a small root that is built with gcc.

use crate::fixture::{Fixture, LIBRARIES};

const A: &str = "int b(void); int a(void) { return b(); }";
const B: &str = "int b(void) { return 0; }";
const CALLS_A: &str = "int a(void); int main(void) { return a(); }";
const CALLS_B: &str = "int b(void); int main(void) { return b(); }";

/// One row.
pub struct Row {
    /// As in `testdata/cases.toml`.
    pub case: &'static str,
    pub what: &'static str,
    pub build: fn(&Fixture),
    /// The program inside the root.
    pub program: &'static str,
    pub question: Question,
}

/// What is asked about the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// What it needs here, by its path on this machine.
    Here,
    /// What it needs on any processor.
    AnyProcessor,
    /// What it needs in its root, which is not this machine's.
    InRoot,
}

const fn row(case: &'static str, what: &'static str, program: &'static str, build: fn(&Fixture)) -> Row {
    Row { case, what, build, program, question: Question::Here }
}

pub const ROWS: [Row; 17] = [
    row("B01", "RUNPATH of the program, need of a library", "/app/run", |fixture| chain(fixture, "--enable-new-dtags")),
    row("B01", "the same with RPATH", "/app/run", |fixture| chain(fixture, "--disable-new-dtags")),
    row("B03", "program started through a link, `$ORIGIN/../lib`", "/usr/bin/java", program_through_a_link),
    row("B04", "library found through a link, its own `$ORIGIN`", "/app/run", library_through_a_link),
    row("B05", "NEEDED is an absolute path", "/app/run", absolute_need),
    row("B06", "program with DF_1_NODEFLIB", "/app/run", no_default_directories),
    row("B07", "needed soname is loaded already", "/app/run", loaded_already),
    Row { question: Question::AnyProcessor, ..row("B08", "glibc-hwcaps beside the baseline", "/app/run", variants) },
    row("B09", "`${ORIGIN}/$LIB`", "/app/run", tokens),
    row("B10", "static PIE", "/app/run", static_pie),
    row("B11", "no section headers", "/app/run", no_section_headers),
    row("B12", "dlopen of a literal soname", "/app/run", dlopen),
    row("B13", "library of the wrong class first", "/app/run", wrong_class),
    row("B14", "empty file first", "/app/run", empty_file),
    row("B15", "symbol version that is not defined", "/app/run", missing_version),
    row("B16", "two libraries that need each other", "/app/run", circle),
    Row { question: Question::InRoot, ..row("B17", "other root, absolute links, merged usr", "/app/run", other_root) },
];

fn chain(fixture: &Fixture, tags: &str) {
    fixture.library("/app/l/libb.so", B, &[]);
    fixture.library("/app/l/liba.so", A, &["-LR/app/l", "-lb"]);
    fixture.program("/app/run", CALLS_A, &["-LR/app/l", "-la", &format!("-Wl,{tags},-rpath,$ORIGIN/l")]);
}

fn program_through_a_link(fixture: &Fixture) {
    fixture.library("/opt/lib/libb.so", B, &[]);
    fixture.program("/opt/bin/java", CALLS_B, &["-LR/opt/lib", "-lb", "-Wl,-rpath,$ORIGIN/../lib"]);
    fixture.link("../../opt/bin/java", "/usr/bin/java");
}

fn library_through_a_link(fixture: &Fixture) {
    fixture.library("/app/link/libb.so", B, &[]);
    fixture.library("/app/real/liba.so", A, &["-LR/app/link", "-lb", "-Wl,-rpath,$ORIGIN"]);
    fixture.link("../real/liba.so", "/app/link/liba.so");
    fixture.program("/app/run", CALLS_A, &["-LR/app/link", "-la", "-Wl,-rpath,$ORIGIN/link"]);
}

fn absolute_need(fixture: &Fixture) {
    fixture.library("/app/x/libb.so", B, &[]);
    fixture.program("/app/run", CALLS_B, &["-LR/app/x", "-lb"]);
    let path = fixture.host("/app/x/libb.so");
    fixture.patchelf("/app/run", &["--replace-needed", "libb.so", path.to_str().expect("a temporary directory")]);
}

fn no_default_directories(fixture: &Fixture) {
    fixture.program("/app/run", "int main(void) { return 0; }", &["-Wl,-z,nodefaultlib"]);
}

fn loaded_already(fixture: &Fixture) {
    fixture.library("/app/l/libb.so", B, &[]);
    fixture.library("/app/l/liba.so", A, &["-LR/app/l", "-lb"]);
    fixture.program("/app/run", CALLS_A, &["-LR/app/l", "-lb", "-la", "-Wl,-rpath,$ORIGIN/l"]);
}

fn variants(fixture: &Fixture) {
    fixture.library("/app/l/libb.so", B, &[]);
    for level in ["x86-64-v2", "x86-64-v3"] {
        fixture.library(&format!("/app/l/glibc-hwcaps/{level}/libb.so"), B, &[]);
    }
    fixture.program("/app/run", CALLS_B, &["-LR/app/l", "-lb", "-Wl,-rpath,$ORIGIN/l"]);
}

fn tokens(fixture: &Fixture) {
    fixture.library("/app/lib/x86_64-linux-gnu/libb.so", B, &[]);
    let link = "-LR/app/lib/x86_64-linux-gnu";
    fixture.program("/app/run", CALLS_B, &[link, "-lb", "-Wl,-rpath,${ORIGIN}/$LIB"]);
}

fn static_pie(fixture: &Fixture) {
    fixture.program("/app/run", "int main(void) { return 0; }", &["-static-pie"]);
}

fn no_section_headers(fixture: &Fixture) {
    const SECTION_OFFSET: usize = 40;
    const SECTION_SIZE_AND_COUNT: usize = 58;
    fixture.library("/app/l/libb.so", B, &[]);
    fixture.program("/app/run", CALLS_B, &["-LR/app/l", "-lb", "-Wl,-rpath,$ORIGIN/l"]);
    for path in ["/app/run", "/app/l/libb.so"] {
        fixture.patch(path, &[(SECTION_OFFSET, &[0; 8]), (SECTION_SIZE_AND_COUNT, &[0; 6])]);
    }
}

fn dlopen(fixture: &Fixture) {
    fixture.library("/app/l/libp.so.1", B, &[]);
    let source = "void *dlopen(const char *, int); int main(void) { return !dlopen(\"libp.so.1\", 2); }";
    fixture.program("/app/run", source, &["-Wl,-rpath,$ORIGIN/l"]);
}

fn wrong_class(fixture: &Fixture) {
    const CLASS: usize = 4;
    fixture.library("/app/l64/libb.so", B, &[]);
    fixture.copy("/app/l64/libb.so", "/app/l32/libb.so");
    fixture.patch("/app/l32/libb.so", &[(CLASS, &[1])]);
    fixture.program("/app/run", CALLS_B, &["-LR/app/l64", "-lb", "-Wl,-rpath,$ORIGIN/l32:$ORIGIN/l64"]);
}

fn empty_file(fixture: &Fixture) {
    fixture.library("/app/good/libb.so", B, &[]);
    fixture.write("/app/bad/libb.so", "");
    fixture.program("/app/run", CALLS_B, &["-LR/app/good", "-lb", "-Wl,-rpath,$ORIGIN/bad:$ORIGIN/good"]);
}

fn missing_version(fixture: &Fixture) {
    let library = |version: &str| {
        fixture.write("/version.map", format!("{version} {{ global: b; local: *; }};"));
        fixture.library("/app/l/libb.so", B, &["-Wl,--version-script,R/version.map"]);
    };
    library("V2");
    fixture.program("/app/run", CALLS_B, &["-LR/app/l", "-lb", "-Wl,-rpath,$ORIGIN/l"]);
    library("V1");
}

fn circle(fixture: &Fixture) {
    fixture.library("/app/l/liby.so", "int y(void) { return 0; }", &[]);
    fixture.library("/app/l/libx.so", "int y(void); int x(void) { return y(); }", &["-LR/app/l", "-ly"]);
    fixture.library("/app/l/liby.so", "int x(void); int y(void) { return 0; }", &["-LR/app/l", "-lx"]);
    let rpath = "-Wl,--disable-new-dtags,-rpath,$ORIGIN/l";
    fixture.program("/app/run", "int x(void); int main(void) { return x(); }", &["-LR/app/l", "-lx", rpath]);
}

fn other_root(fixture: &Fixture) {
    fixture.directory("/usr");
    std::fs::rename(fixture.host("/lib"), fixture.host("/usr/lib")).expect("a fixture has /lib");
    fixture.link("usr/lib", "/lib");
    fixture.library("/opt/v/libq.so.1.2", B, &["-Wl,-soname,libq.so.1"]);
    fixture.link("/opt/v/libq.so.1.2", "/etc/alternatives/libq");
    fixture.link("/etc/alternatives/libq", &format!("/usr{LIBRARIES}/libq.so.1"));
    // The loader does without, other tools do not.
    fixture.write("/etc/ld.so.conf", format!("{LIBRARIES}\n/usr{LIBRARIES}\n"));
    fixture.program("/app/run", CALLS_B, &["-LR/opt/v", "-l:libq.so.1.2"]);
}
