use super::*;

/// The commands of a script in one line each; an unknown word is `?`, a command that only may run begins with `~`.
fn commands(script: &str) -> Vec<String> {
    let test_file = |letter: char, path: &str| match path {
        "/unknown" => None,
        _ => Some(path == "/there" && letter == 'e'),
    };
    let surroundings = Surroundings {
        arguments: &["configure", ""],
        variables: &[("DPKG_ROOT", ""), ("DPKG_MAINTSCRIPT_ARCH", "amd64")],
        test_file: &test_file,
    };
    let script = follow(format!("#!/bin/sh -e\n{script}").as_bytes(), &surroundings).expect("a script");
    let line = |command: &Command| {
        let words: Vec<_> = command.words.iter().map(|word| word.as_deref().unwrap_or("?")).collect();
        format!("{}{}", if command.certain { "" } else { "~" }, words.join(" "))
    };
    script.commands.iter().map(line).collect()
}

fn check(script: &str, expected: &[&str]) {
    assert_eq!(commands(script), expected, "{script}");
}

#[test]
fn words_are_read_as_a_shell_reads_them() {
    check("a 'b c' \"d e\" f\\ g\\\n h # i\nj;k &&l", &["a b c d e f g h", "j", "k", "~l"]);
    check("x=1 y=\"$x $x\"; a $y \"$y\" ${x}2 \"\"", &["a 1 1 1 1 12 "]);
    check("a $unset; a $(b c) `d`; a *.x [ab] ~", &["a ?", "a ? ?", "a ? ? ?"]);
    check("a ${DPKG_ROOT:+--root=\"$DPKG_ROOT\"} ${DPKG_ROOT:-/x} $DPKG_ROOT/y", &["a /x /y"]);
    check("a $(dpkg --print-architecture) ${v%x} $((1+2)) '$v' \"\\$v\" a\\b", &["a amd64 ? ? $v $v ab"]);
    check("a 2>/dev/null >&2 <<-EOF b\n\tupdate x\n\tEOF\nc >f", &["a b", "c"]);
    check("a $(b \"\\' $(c \")\") '\" ')' ${v:-\"}\"}); d", &["a ?", "d"]);
    check("LC_ALL=C a; caf\u{e9} \u{e9}\\\u{e9}", &["a", "caf\u{e9} \u{e9}\u{e9}"]);
}

#[test]
fn branches_are_decided_by_arguments_files_and_values() {
    check("if [ \"$1\" = configure ] && [ -z \"$2\" ]; then a; else b; fi", &["a"]);
    check("case \"$1\" in install|upgrade) a;; (configure|x) b ;; *) c; esac", &["b"]);
    check("if [ ! -e /there ]; then a; elif test -f /x; then b; else c; fi", &["c"]);
    check("if ! false || a; then b; fi; [ 2 -gt 1 ] && c; [ 2 -gt 10 ] && d", &["b", "c"]);
    check("if getent x; then a; else b; fi; c", &["getent x", "~a", "~b", "c"]);
    check("case $unknown in x) a;; y) b;; *) c;; esac; d", &["~a", "~b", "~c", "d"]);
    check("[ -e /unknown ] && a || b", &["~a", "~b"]);
    check("a || true && b; ( exit 1 ); { c; }; d; exit 0; e", &["a", "b", "c", "d"]);
    check("if x; then a; elif y; then b; elif true; then c; else d; fi", &["x", "~y", "~a", "~b", "~c"]);
    check("if x; then exit 1; fi; a; [[ a < b ]] || b", &["x", "a", "~b"]);
}

#[test]
fn a_value_that_depends_on_an_unknown_decision_is_unknown() {
    check("p=10; if x; then p=5; a $p; fi; b $p", &["x", "~a 5", "b ?"]);
    check("p=10; if x; then p=10; fi; b $p", &["x", "b 10"]);
    check("p=10; if true; then p=5; fi; b $p", &["b 5"]);
    check("p=1; (p=2; a $p); b $p | c; read p; d $p", &["a 2", "b 1", "c", "d ?"]);
    check("p=1; while read l; do p=2; a $p; done; b $p", &["~a 2", "b ?"]);
    check("p=1; eval p=2; b $p; unset p; c $p d", &["b ?", "c d"]);
}

#[test]
fn loops_and_functions_are_followed_with_their_values() {
    check("for b in php phar; do u /usr/bin/$b ${b}8.2; done", &["u /usr/bin/php php8.2", "u /usr/bin/phar phar8.2"]);
    check("l='a b'; for i in $l c; do [ $i = b ] && continue; u $i; done", &["u a", "u c"]);
    check("for i in *; do u $i; done; for i; do v \"$i\"; done", &["~u ?", "v configure", "v "]);
    check("f() { N=\"$1\"; if [ -e \"$N\" ]; then u \"$N\"; fi; }\nf /there; f /x", &["u /there"]);
    check("in_root () { \"$@\"; }; in_root a \"b c\"; f() { return 0; a; }; f; b", &["a b c", "b"]);
    check("if x; then exit 1; fi; a; if x; then exit; fi; b", &["x", "a", "x", "~b"]);
    check(
        "f() { x && return; a; }; f; for i in 1 2; do y && break; b $i; done; c",
        &["x", "~a", "y", "~b 1", "~y", "~b 2", "c"],
    );
    check("v=1; f() { local v=2 w; a $v; }; f; b $v", &["a 2", "b ?"]);
    check("f() { shift; a $1 $2; set -- x; a $1; }; f 1 2; set -e; shift; a $1", &["a 2", "a x", "a"]);
}

#[test]
fn what_is_no_script_of_the_shell_is_not_followed() {
    let surroundings = Surroundings { arguments: &[], variables: &[], test_file: &|_, _| None };
    let follow = |script: &[u8]| follow(script, &surroundings);
    for script in ["", "a", "#!/usr/bin/perl\na", "#!/usr/bin/python3 sh.py\na"] {
        assert_eq!(follow(script.as_bytes()), None, "{script}");
    }
    for text in
        ["if a", "fi", "a )", "(a", "'", "\"", "`", "$(", "${", "case x in", "a=(b c)", "((1))", "a <", "a ;; b"]
    {
        assert_eq!(follow(format!("#!/bin/sh\n{text}").as_bytes()), None, "{text}");
    }
    assert!(follow(b"#! /usr/bin/env bash\n\xff '\xff' \\").is_some());
}

#[test]
fn names_are_found_in_branches_that_are_not_taken() {
    let surroundings = Surroundings { arguments: &["x"], variables: &[], test_file: &|_, _| None };
    let script = follow(b"#!/bin/sh\nif false; then /sbin/a; fi; f() { LC=x 'b'; }", &surroundings).unwrap();
    assert_eq!(script.names.iter().map(String::as_str).collect::<Vec<_>>(), ["/sbin/a", "b", "false"]);
    assert!(script.commands.is_empty());
}

#[test]
fn hostile_scripts_end() {
    let surroundings = Surroundings { arguments: &["x"], variables: &[], test_file: &|_, _| None };
    let nested = |opening: &str, closing: &str| format!("{}a{}", opening.repeat(9000), closing.repeat(9000));
    let scripts = [
        nested("( ", ")"),
        nested("{ ", ";}"),
        nested("if ", "; then b; fi"),
        nested("a() ", ""),
        nested("! ", ""),
        nested("a && ", ""),
        nested("a | ", ""),
        nested("$(", ")"),
        nested("${a:-", "}"),
        "f() { f; f; }; f".to_owned(),
        format!("f() {{ {} f {} }}; f", "if x; then ".repeat(20), "; fi ".repeat(20)),
        format!("if x; then a; {} fi", "elif x; then a; ".repeat(9000)),
        "x=ab; for i in 1 2 3 4 5 6 7 8 9; do x=$x$x$x$x; done; a $x".to_owned(),
        format!("l='{0}'; for i in $l; do for j in $l; do for k in $l; do a $l; done; done; done", "1 ".repeat(2000)),
        format!("{}a", (0..9000).map(|n| format!("v{n}=1; b && c\n")).collect::<String>()),
    ];
    for script in scripts {
        let begin = std::time::Instant::now();
        let found = follow(format!("#!/bin/sh\n{script}").as_bytes(), &surroundings);
        let bytes: usize =
            found.iter().flat_map(|s| &s.commands).flat_map(|c| &c.words).flatten().map(String::len).sum();
        assert!(bytes < 8 << 20 && begin.elapsed().as_secs() < 10, "{bytes} {:.60}", script);
    }
}
