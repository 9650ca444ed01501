//! Mistakes in rule files, each with the message it gets.

use super::*;

/// Reads a file with a good head; the rules begin at line 3.
fn check(rules: &str, expected: &[&str]) {
    let text = format!("summary = 's'\nsystems = ['linux']\n{rules}");
    check_file(&text, expected);
}

fn check_file(text: &str, expected: &[&str]) {
    let problems = file("t", "t.toml", text).err().unwrap_or_default();
    let found: Vec<String> = problems
        .iter()
        .map(|problem| match &problem.hint {
            Some(hint) => format!("{problem}; {hint}"),
            None => problem.to_string(),
        })
        .collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn a_complete_rule_is_read() {
    check(
        "[[rule]]\nwhen = { object = '/a', file = '/b', reader = 'nsswitch', database = 'hosts' }\n\
         needs = ['/lib/{source}.so']\npriority = 'suggested'\noptional = true\n",
        &[],
    );
}

#[test]
fn unknown_keys_name_the_nearest_key() {
    check("[[rule]]\nneed = ['/a']\nneeds = ['/a']", &["t.toml:4:1: unknown key `need`; did you mean `needs`?"]);
    check(
        "[[rule]]\nneeds = ['/a']\nwhen = { objekt = '/a' }",
        &["t.toml:5:10: unknown key `objekt`; did you mean `object`?"],
    );
    check(
        "[[rule]]\nneeds = ['/a']\n[[example]]\ngiven = {}\nadds = []\ncolour = 1",
        &["t.toml:8:1: unknown key `colour`; known here: given, exists, arch, hardware, environment, adds"],
    );
    check_file(
        "sumary = 's'\nsystems = ['linux']\n[[rule]]\nneeds = ['/a']",
        &["t.toml:1:1: `summary` is missing", "t.toml:1:1: unknown key `sumary`; did you mean `summary`?"],
    );
}

#[test]
fn filters_are_known_for_their_reader_only() {
    check(
        "[[rule]]\nwhen = { object = '/a', database = 'hosts' }\nneeds = ['/a']",
        &["t.toml:4:25: unknown key `database`; known here: object, soname, needed, interpreter, imports, \
           strings, file, reader, exists, included, arch, hardware, environment"],
    );
    check(
        "[[rule]]\nwhen = { file = '/a', reader = 'nsswich' }\nneeds = ['/a']",
        &["t.toml:4:32: unknown reader `nsswich`; did you mean `nsswitch`?"],
    );
}

#[test]
fn wrong_types_are_told_at_the_value() {
    check(
        "[[rule]]\nneeds = '/a'",
        &[
            "t.toml:3:1: the rule has no effect; add one of needs, programs, libraries, modules, generate, first_of, \
             any_of, directories, files, links, never",
            "t.toml:4:9: `needs` takes a list of strings, this is of type string",
        ],
    );
    check("[[rule]]\nneeds = ['/a', 1]", &["t.toml:4:16: `needs` takes a string, this is of type integer"]);
    check(
        "[[rule]]\nneeds = ['/a']\noptional = 'yes'",
        &["t.toml:5:12: `optional` takes true or false, this is of type string"],
    );
    check("[[rule]]\nneeds = ['/a']\nwhen = []", &["t.toml:5:8: `when` takes a table, this is of type array"]);
    check("rule = 1", &["t.toml:3:8: `rule` takes a list, this is of type integer"]);
    check(
        "[[rule]]\nneeds = ['/a']\npriority = 'must'",
        &["t.toml:5:12: unknown word `must`; known here: required, recommended, suggested"],
    );
}

#[test]
fn broken_toml_has_a_place() {
    let text = "summary = 's\nsystems = ['linux']";
    let problems = file("t", "t.toml", text).unwrap_err();
    assert_eq!((problems.len(), problems[0].line), (1, 1), "{problems:?}");
}

#[test]
fn patterns_that_do_not_compile_are_told() {
    check(
        "[[rule]]\nwhen = { object = '/a', imports = 'a)|(b' }\nneeds = ['/a']",
        &["t.toml:4:35: `a)|(b`: unopened group"],
    );
    check(
        "[[rule]]\nwhen = { object = '/[a' }\nneeds = ['/a']",
        &["t.toml:4:19: `/[a`: unclosed character class; missing ']'"],
    );
    let many = format!("/{}", "{a,b}".repeat(12));
    check(
        &format!("[[rule]]\nwhen = {{ object = '{many}' }}\nneeds = ['/a']"),
        &[&format!("t.toml:4:19: `{many}`: too many alternatives")],
    );
    check(
        "[[rule]]\nwhen = { imports = '^read$' }\nneeds = ['/a']",
        &["t.toml:4:20: `imports` matches whole names anyway; write `read`"],
    );
}

#[test]
fn paths_must_be_absolute_and_stay_below_the_root() {
    check(
        "[[rule]]\nneeds = ['libx.so', '/usr/../etc']",
        &[
            "t.toml:4:10: `libx.so` is not an absolute path; a library found by name goes into `libraries`",
            "t.toml:4:21: `/usr/../etc`: the path has a `..` component",
        ],
    );
}

#[test]
fn bindings_must_be_bound() {
    check(
        "[[rule]]\nwhen = { file = '/a', reader = 'nsswitch' }\nneeds = ['/{sorce}']",
        &["t.toml:5:10: nothing binds `{sorce}`; did you mean `source`?"],
    );
    check(
        "[[rule]]\nneeds = ['/{match}']",
        &[
            "t.toml:4:10: nothing binds `{match}`; only `strings`, `environment`, `reader` and conditions on an object bind names",
        ],
    );
}

#[test]
fn names_that_are_bound_twice_are_told() {
    check(
        "[[rule]]\nwhen = { object = '/a', strings = '(?<object_name>x)', environment = '^(?<match>A)=' }\nneeds = ['/a']",
        &[
            "t.toml:4:8: `match` is bound by `strings` and by `environment`",
            "t.toml:4:8: `object_name` is bound by `strings` and by the object",
        ],
    );
}

#[test]
fn conditions_and_effects_that_need_each_other_are_told() {
    let object = "add one of object, soname, needed, interpreter, imports";
    check(
        "[[rule]]\nwhen = { strings = 'x' }\nneeds = ['/a']",
        &[&format!("t.toml:4:20: `strings` without a condition on the object would read every file; {object}")],
    );
    check(
        "[[rule]]\nwhen = { file = '/x' }\nneeds = ['/a']",
        &[
            "t.toml:4:17: `file` takes a `reader`; known readers: default-init, inittab, javascript, kcf, netconfig, nsswitch, \
           package-json, pam, perl, php-ini, python, ruby, shell, smf-manifest, systemd-unit, udev-rules, user_attr, vfstab; or use `exists`",
        ],
    );
    check(
        "[[rule]]\nlibraries = ['libx.so']",
        &["t.toml:4:13: `libraries` are looked up for an object, and no condition names one; \
           use `needs` with a path"],
    );
    check("[[rule]]\nnever = ['/a']", &["t.toml:4:9: `never` takes a `reason`; add reason = \"…\""]);
    check("[[rule]]\nneeds = ['/a']\nreason = 'x'", &["t.toml:5:10: `reason` belongs to `never`"]);
    check("[[rule]]\nany_of = [[], ['/a']]", &["t.toml:4:10: an alternative is empty; use optional = true"]);
    check("[[rule]]\nfirst_of = [['/a'], []]", &["t.toml:4:12: an alternative is empty; use optional = true"]);
}

#[test]
fn a_consequence_says_how_bad_and_in_which_words() {
    let rule = |more: &str| format!("[[rule]]\nneeds = ['/a']\n{more}");
    check(&rule("consequence = { severity = 'panic', words = 'w' }"), &[]);
    check(
        &rule("consequence = { severity = 'dead', words = '' }"),
        &["t.toml:5:28: unknown word `dead`; known here: panic, hang, warning, loss", "t.toml:5:44: `words` is empty"],
    );
    check(
        &rule("consequence = { severity = 'loss', words = 'w' }\npriority = 'required'"),
        &["t.toml:6:12: the priority follows from the consequence; take `priority` out"],
    );
    check(&rule("consequence = { severity = 'loss' }"), &["t.toml:5:15: `words` is missing"]);
}

#[test]
fn examples_say_what_they_mean() {
    check(
        "[[rule]]\nneeds = ['/a']\n[[example]]\ngiven = { '/b' = 'elf need=x', 'c' = '' }\nadds = ['a', 'lib x']",
        &[
            "t.toml:6:18: unknown key `need`; did you mean `needed`?",
            "t.toml:6:32: `c`: the path is not absolute",
            "t.toml:7:9: cannot understand `a`; write a path, or a name after one of: library, module, generate, \
             never, directory, file, link, unresolved",
            "t.toml:7:14: cannot understand `lib x`; write a path, or a name after one of: library, module, \
             generate, never, directory, file, link, unresolved",
        ],
    );
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_no_panic() {
    let text = include_str!("../../../rules/linux/nsswitch.toml");
    for (end, _) in text.char_indices().step_by(7) {
        let _ = file("t", "t.toml", &text[..end]);
    }
}
