//! The table of `testdata/cases.toml` against the tests that there are.
//!
//! A test program knows only its own tests, so this file is part of two: the unit tests and the integration tests. Each
//! checks the names that begin with its own.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/cases.toml");
/// The last case, and the numbers that none has.
const LAST: u32 = 85;
const UNUSED: [u32; 12] = [21, 32, 42, 44, 45, 47, 55, 62, 63, 68, 70, 79];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    about: String,
    /// `CRATE::MODULE::TEST`.
    #[serde(default)]
    tests: Vec<String>,
    /// What is still missing; there may be tests for a part of it.
    open: Option<String>,
}

fn table() -> BTreeMap<String, Case> {
    toml::from_str(&std::fs::read_to_string(TABLE).unwrap()).unwrap()
}

/// The numbers in the name of a test: `b23_b24_the_environment`.
fn numbers(test: &str) -> Vec<String> {
    let name = test.rsplit("::").next().unwrap_or_default();
    let is_number =
        |word: &&str| word.len() == 3 && word.starts_with('b') && word[1..].bytes().all(|b| b.is_ascii_digit());
    name.split('_').take_while(is_number).map(str::to_uppercase).collect()
}

#[test]
fn every_case_has_tests_or_a_reason() {
    let table = table();
    let expected: Vec<String> = (1..=LAST).filter(|n| !UNUSED.contains(n)).map(|n| format!("B{n:02}")).collect();
    assert_eq!(table.keys().cloned().collect::<Vec<_>>(), expected);
    for (number, case) in &table {
        assert!(case.about.ends_with('.'), "{number}: a sentence");
        assert!(!case.tests.is_empty() || case.open.is_some(), "{number}: neither `tests` nor `open`");
        let carries = case.tests.iter().any(|test| numbers(test).contains(number));
        assert!(carries || case.tests.is_empty(), "{number}: no test has the number in its name");
    }
}

#[test]
fn every_test_of_a_case_is_in_this_program_and_in_the_table() {
    let own = concat!(env!("CARGO_CRATE_NAME"), "::");
    let listed = Command::new(std::env::current_exe().unwrap()).arg("--list").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let there: BTreeSet<String> =
        listed.lines().filter_map(|line| Some(format!("{own}{}", line.strip_suffix(": test")?))).collect();
    assert!(there.contains(&format!("{}::{}", module_path!(), "every_case_has_tests_or_a_reason")), "{listed}");

    let table = table();
    for (number, case) in &table {
        for test in case.tests.iter().filter(|test| test.starts_with(own)) {
            assert!(there.contains(test), "{number}: there is no test `{test}`");
        }
    }
    for test in &there {
        for number in numbers(test) {
            let is_listed = table.get(&number).is_some_and(|case| case.tests.contains(test));
            assert!(is_listed, "`{test}` is not in the table under {number}");
        }
    }
}
