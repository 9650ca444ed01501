//! `#!` lines, with the kernel and env(1) as judges.

use super::fixture::{Fixture, has, required};
use std::path::Path;

/// A root with busybox as its shell and as env.
fn with_shell() -> Option<Fixture> {
    let fixture = Fixture::new()?;
    let source = r#"
        int puts(const char *); int strcmp(const char *, const char *); char *strrchr(const char *, int);
        int main(int argc, char **argv) { puts(argv[argc - 1]); return 0; }
    "#;
    fixture.program("/bin/sh", source, &[]);
    fixture.copy_from_host(Path::new("/usr/bin/env"), "/usr/bin/env");
    Some(fixture)
}

#[test]
fn b56_a_script_brings_its_interpreter_and_what_that_needs() {
    let Some(fixture) = with_shell() else { return };
    fixture.script("/app/run", "#! /bin/sh -e\nexit\n");
    let compared = fixture.compare_script("/app/run");
    assert!(compared.0.success && has(&compared.1, "/bin/sh"));
}

#[test]
fn scripts_interpret_scripts_up_to_the_limit_of_the_kernel() {
    let Some(fixture) = with_shell() else { return };
    fixture.script("/app/s1", "#!/bin/sh\n");
    for n in 2..=7 {
        fixture.script(&format!("/app/s{n}"), format!("#!/app/s{}\n", n - 1));
    }
    for n in 1..=7 {
        let (ran, manifest) = fixture.compare_script(&format!("/app/s{n}"));
        assert_eq!(ran.success, n <= 5, "{n}: {ran:?}");
        if n > 5 {
            assert!(ran.stderr.contains("Too many levels of symbolic links"), "{ran:?}");
            assert!(required(&manifest)[0].probes[0].outcome.contains("too many levels"));
        }
    }
    fixture.script("/app/self", "#!/app/self\n");
    assert!(!fixture.compare_script("/app/self").0.success);
}

#[test]
fn a_line_is_read_as_the_kernel_reads_it() {
    let Some(fixture) = with_shell() else { return };
    let long = |length: usize| format!("/{}", "d/".repeat(200))[..length].trim_end_matches('/').to_owned();
    fixture.copy("/bin/sh", &long(253));
    fixture.copy("/bin/sh", "/bin/sh\r");
    fixture.copy("/bin/sh", "/bin/a b");
    let cases: [(&str, &[u8]); 10] = [
        ("carriage return, and there is such a file", b"#!/bin/sh\r\n"),
        ("carriage return in the argument", b"#!/bin/sh -e\r\n"),
        ("a blank ends the name", b"#!/bin/a b\n"),
        ("blanks before and behind", b"#! \t /bin/sh \t \n"),
        ("no line end", b"#!/bin/sh"),
        ("a NUL ends the line", b"#!/bin/sh\0x\n"),
        ("nothing", b"#!\n"),
        ("blanks only", b"#!  \t\n"),
        ("missing", b"#!/bin/none\n"),
        ("dots", b"#!/bin/../bin/./sh\n"),
    ];
    for (what, bytes) in cases {
        fixture.script("/app/run", bytes);
        eprintln!("{what}");
        fixture.compare_script("/app/run");
    }
    // The name has to end within 256 bytes.
    for (length, ending) in [(253, "\n"), (253, " x\n"), (255, "\n"), (254, "")] {
        fixture.script("/app/run", format!("#!{}{ending}", long(length)));
        fixture.compare_script("/app/run");
    }
    fixture.script("/app/run", format!("#!/bin/sh {}\n", "x".repeat(300)));
    assert!(fixture.compare_script("/app/run").0.success);
}

#[test]
fn a_relative_interpreter_depends_on_the_working_directory() {
    let Some(fixture) = with_shell() else { return };
    fixture.script("/app/run", "#!bin/sh\n");
    assert!(fixture.run(&["/app/run"], &[]).success, "the working directory is the root here");
    let (_, manifest) = fixture.trace(&["/app/run"]);
    assert!(required(&manifest)[0].probes[0].outcome.contains("working directory"));
}

#[test]
fn env_looks_its_program_up() {
    let Some(fixture) = with_shell() else { return };
    for name in ["/usr/bin/prog", "/usr/bin/my prog", "/usr/bin/prog -u"] {
        fixture.copy("/bin/sh", name);
        std::fs::remove_file(fixture.host(name)).unwrap();
        fixture.program(name, "int main(void) { return 0; }", &[]);
    }
    let cases = [
        ("prog", Some("/usr/bin/prog")),
        ("prog -u", Some("/usr/bin/prog -u")),
        ("-S prog -u", Some("/usr/bin/prog")),
        ("-Sprog", Some("/usr/bin/prog")),
        ("-iS PATH=/usr/bin prog -u", Some("/usr/bin/prog")),
        ("-S -i -u HOME A=1 'my prog' x", Some("/usr/bin/my prog")),
        ("-S my\\_prog", None),
        ("-S \"my\\_prog\"", Some("/usr/bin/my prog")),
        ("-S -- prog", Some("/usr/bin/prog")),
        ("none", None),
        ("/usr/bin/prog", Some("/usr/bin/prog")),
    ];
    for (argument, program) in cases {
        fixture.script("/app/run", format!("#!/usr/bin/env {argument}\n"));
        let ran = fixture.run(&["/app/run"], &["PATH=/usr/bin:/bin"]);
        let (_, manifest) = fixture.trace(&["/app/run"]);
        assert_eq!(program.is_some(), ran.success, "{argument}: {ran:?}");
        for name in ["/usr/bin/prog", "/usr/bin/my prog", "/usr/bin/prog -u"] {
            assert_eq!(has(&manifest, name), program == Some(name), "{argument}: {name}");
        }
    }
    // Here env starts the script itself, for ever.
    for argument in ["-S # prog", "A=1"] {
        fixture.script("/app/run", format!("#!/usr/bin/env {argument}\n"));
        assert!(required(&fixture.trace(&["/app/run"]).1).is_empty());
    }
}

#[test]
fn b58_what_a_shell_script_runs_and_reads_in_is_listed_and_not_kept() {
    let Some(fixture) = with_shell() else { return };
    for program in ["/usr/bin/sed", "/opt/tool/bin/tool"] {
        fixture.program(program, "int main(void) { return 0; }", &[]);
    }
    fixture.write("/lib/x.sh", "helper() { sed p; }\n");
    let text = "#!/bin/sh\nsed -n p </dev/null\n$FOO/bar\n. /lib/x.sh\n/opt/tool/bin/tool\nnowhere\n. \"$LIB/y.sh\"\n";
    fixture.script("/app/run", text);
    let (_, manifest) = fixture.trace(&["/app/run"]);
    let listed = |omissions: &[minroot::manifest::Omission]| -> Vec<String> {
        let mut lines: Vec<String> = omissions
            .iter()
            .filter(|omission| omission.from.as_ref().is_some_and(|from| from.as_bytes() == b"/app/run"))
            .map(|o| format!("{}: {}", o.why.split(':').next().unwrap(), o.reason.detail))
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(listed(&manifest.dropped), ["line 2: sed", "line 4: /lib/x.sh", "line 5: /opt/tool/bin/tool"]);
    assert_eq!(listed(&manifest.unknown), ["line 3: $FOO/bar", "line 7: \"$LIB/y.sh\""]);
    assert!(!has(&manifest, "/usr/bin/sed") && !has(&manifest, "/lib/x.sh"));
    // The user's word makes it count.
    let (_, manifest) = fixture.trace(&["/app/run", "/lib/x.sh"]);
    assert_eq!(listed(&manifest.dropped), ["line 2: sed", "line 5: /opt/tool/bin/tool"]);
}
