//! Scripts and the words found in them.

use super::*;
use proptest::prelude::*;

/// The words as `line role text`, with `c`, `p` and `?` for the roles.
fn check(script: &str, expected: &[&str]) {
    let found: Vec<String> = words(script.as_bytes())
        .iter()
        .map(|word| {
            let role = match word.role {
                Role::Command => 'c',
                Role::Source => 's',
                Role::Path => 'p',
                Role::Unknown => '?',
            };
            format!("{} {role} {}", word.line, String::from_utf8_lossy(&word.text))
        })
        .collect();
    assert_eq!(found, expected, "{script}");
}

#[test]
fn the_first_word_of_a_command_is_one() {
    check(
        "#!/sbin/sh\n# x\n/sbin/mount -F tmpfs swap /tmp\nls;du|wc&&a||b&\n",
        &["3 c /sbin/mount", "3 p /tmp", "4 c ls", "4 c du", "4 c wc", "4 c a", "4 c b"],
    );
}

#[test]
fn keywords_and_built_ins_are_no_programs() {
    check(
        "if [ -f /etc/x ]; then\n\tls\nelif ! grep -q a b; then cd /tmp\nelse :; fi\n",
        &["1 p /etc/x", "2 c ls", "3 c grep", "3 p /tmp"],
    );
    check("for i in /a b; do cat $i; done; while true; do sleep 1; done", &["1 p /a", "1 c cat", "1 c sleep"]);
    check("{ a; } ; ( b; c ) ; \"test\" x", &["1 c a", "1 c b", "1 c c"]);
}

#[test]
fn case_patterns_are_no_commands() {
    check(
        "case \"$1\" in\n'start'|run)\n\t/lib/svc/bin/x\n\t;;\n(stop) kill 1;;\n*) y;;\nesac\nz\n",
        &["3 c /lib/svc/bin/x", "6 c y", "8 c z"],
    );
    check("case a in b) case c in d) e;; esac;; f) g;; esac; h", &["1 c e", "1 c g", "1 c h"]);
}

#[test]
fn variables_make_a_command_unknown() {
    check(
        "$DAEMON -x\n\"${X}/bin/y\" z\n/usr/bin/*/a\n~/b\n",
        &["1 ? $DAEMON", "2 ? \"${X}/bin/y\"", "3 ? /usr/bin/*/a", "4 ? ~/b"],
    );
    check("DAEMON=/usr/sbin/d PATH=/usr/bin:/sbin run a=/b", &["1 p /usr/sbin/d", "1 c run"]);
}

#[test]
fn substitutions_are_looked_into() {
    check(
        "x=$(uname -s)\ny=`/sbin/z \\`inner\\``\necho \"a $(cat /etc/q) b\" $((1+2)) ${v:-`no`}\n",
        &["1 c uname", "2 c /sbin/z", "2 c inner", "3 c cat", "3 p /etc/q"],
    );
    check("$(a)/b c", &["1 c a", "1 ? $(a)/b"]);
}

#[test]
fn wrappers_run_the_next_word() {
    check("exec /usr/bin/node /srv/x.js", &["1 c /usr/bin/node", "1 p /srv/x.js"]);
    check("env -i A=b nohup prog & command -v x; exec >/dev/null", &["1 c env", "1 c nohup", "1 c prog", "1 c x"]);
}

#[test]
fn sourced_files_are_told_from_other_paths() {
    check(
        ". /lib/svc/share/smf_include.sh\n. $X/y\n. ./rel\n",
        &["1 s /lib/svc/share/smf_include.sh", "2 ? $X/y", "3 s ./rel"],
    );
}

#[test]
fn functions_of_the_script_are_no_programs() {
    check(
        "early\nearly() {\n\tls\n}\nfunction late { du; }\nlate; early2 ( ) { x; }; early2",
        &["3 c ls", "5 c du", "6 c x"],
    );
}

#[test]
fn redirections_and_here_documents_are_told_from_commands() {
    check("a <\\\n/etc/in >/etc/out 2>&1 2>/dev/null b\n", &["1 c a", "1 p /etc/in"]);
    check("cat <<EOF >/x\nrm -rf /\nEOF\nls <<-'E'\n\t$(no)\n\tE\nls", &["1 c cat", "4 c ls", "7 c ls"]);
    check("> /x y <> /z", &["1 c y"]);
}

#[test]
fn tests_arithmetic_and_arrays_hold_no_commands() {
    check("[[ -n $a && ( -x /b || c < d ) ]] && e\n", &["1 p /b", "1 c e"]);
    check("[[ a ==\n@(x|y) ]]; z", &["2 c z"]);
    check("(( i < 10 )) || a; ((i++)); b=(c d); f @(g|h) i", &["1 c a", "1 c f"]);
    check("(a; (b) ); env x=y (", &["1 c a", "1 c b", "1 c env"]);
}

#[test]
fn quotes_and_continuations_join_words() {
    check("/usr/\"bin\"/'a b'\\ c \\\n  /p\n'ls'\n\"echo\"\n", &["1 c /usr/bin/a b c", "2 p /p", "3 c ls"]);
    check("echo '\n\n' ; x\ny", &["3 c x", "4 c y"]);
}

#[test]
fn hostile_text_ends() {
    let odd =
        ["`", "$(", "${", "\"", "'", "\\", "(", ")", "<<", "<<E", "case", "case x in", "$((", "\"$(", "a=`", ";;"];
    for part in odd {
        words(part.as_bytes());
        words(part.repeat(2000).as_bytes());
        words(format!("{part} {part} \n{part}").as_bytes());
    }
    words(&[0xff; 1000]);
    words(&(0..=255).collect::<Vec<u8>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_ends_and_its_words_are_in_order_of_lines(
        text in "([a-z/=#*]|[ \n;]|\\$\\(|\\$\\{|[`$(){}\"'\\\\<>|&]|case x in|esac|\\[\\[|\\]\\]|<<e\n){0,120}",
    ) {
        let n_lines = 1 + text.matches('\n').count();
        for word in words(text.as_bytes()) {
            prop_assert!(word.line >= 1 && word.line <= n_lines, "{:?}", word);
        }
    }
}
