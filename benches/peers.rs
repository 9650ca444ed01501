//! What minroot and its peers say of programs that tools get wrong, beside what really happens; a table in Markdown.
//!
//! Each row is a small root, built with gcc and patchelf in a temporary directory. The real loader is the judge: the
//! program is run, and what the loader opened or gave up for is what every tool has to find. Nothing in the table is
//! written by hand but the titles.

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/integration/loader/fixture.rs"]
mod fixture;
#[path = "support/peers/judge.rs"]
mod judge;
#[path = "support/peers/rows.rs"]
mod rows;
#[path = "../tests/integration/support.rs"]
mod support;
#[path = "support/peers/tools.rs"]
mod tools;
#[path = "support/peers/verdict.rs"]
mod verdict;

use fixture::{Fixture, run_in};
use judge::{Truth, judge, own_files};
use rows::{Question, ROWS, Row};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tools::{AS_MINROOT, Answer, Asked, TOOLS, Tool};
use verdict::{Claim, Verdict, verdict};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    if arguments.nth(1).is_some_and(|word| word == AS_MINROOT) {
        return minroot::cli::main([AS_MINROOT.into()].into_iter().chain(arguments));
    }
    let tools = installed();
    let names: Vec<&str> = tools.iter().map(|(tool, _)| tool.name).collect();
    println!("| case | situation | really happens | {} |", names.join(" | "));
    println!("|---|---|---{}|", "|---".repeat(names.len()));
    let mut n_right = vec![0; tools.len()];
    for row in &ROWS {
        // The reason why there is none has been told.
        let Some(fixture) = Fixture::new() else { return ExitCode::FAILURE };
        (row.build)(&fixture);
        let truth = judge(row, &fixture);
        let mut line = format!("| {} | {} | {} |", row.case, row.what, happens(&truth));
        for ((tool, path), n_right) in tools.iter().zip(&mut n_right) {
            let cell = cell(tool, path, row, &fixture, &truth);
            *n_right += usize::from(cell.starts_with("right"));
            line.push_str(&format!(" {cell} |"));
        }
        println!("{line}");
    }
    let totals: Vec<String> = n_right.iter().map(|n| format!("{n} of {}", ROWS.len())).collect();
    println!("| | right | | {} |", totals.join(" | "));
    let versions: Vec<String> = tools.iter().map(|(tool, _)| tool.version()).collect();
    println!("\nVersions: {}. The judge is the loader of glibc of this machine.", versions.join(", "));
    ExitCode::SUCCESS
}

/// The tools that are there; what to install for the others goes to standard error.
fn installed() -> Vec<(&'static Tool, PathBuf)> {
    let there = TOOLS.iter().filter_map(|tool| match tool.path() {
        Some(path) => Some((tool, path)),
        None => {
            eprintln!("{} is left out: apt-get install {}", tool.name, tool.package);
            None
        }
    });
    there.collect()
}

fn happens(truth: &Truth) -> String {
    match &truth.subject {
        None => "runs".to_owned(),
        Some(subject) => {
            let words = truth.words.rsplit(": ").find(|part| !part.contains("No such file")).unwrap_or_default();
            let words = words.split(" (").next().unwrap_or_default();
            if words.contains(subject.as_str()) {
                format!("fails: {words}")
            } else {
                format!("fails: {subject}: {words}")
            }
        }
    }
}

fn cell(tool: &Tool, path: &Path, row: &Row, fixture: &Fixture, truth: &Truth) -> String {
    let out = support::scratch();
    let Some(answer) = tool.ask(path, &Asked { row, fixture, out: out.path() }) else { return "cannot".to_owned() };
    let claim = Claim {
        files: own_files(answer.files.iter().cloned(), fixture, row),
        named: &answer.files,
        unresolved: &answer.unresolved,
        complaints: &answer.complaints,
        exit: answer.exit,
    };
    let verdict = match row.question {
        Question::InRoot => of_root(row, fixture, &answer, verdict(truth, &claim)),
        Question::Here | Question::AnyProcessor => verdict(truth, &claim),
    };
    verdict.to_string()
}

/// Of another root nothing of this machine may be named, and what is made of it has to run there, with its links.
fn of_root(row: &Row, fixture: &Fixture, answer: &Answer, verdict: Verdict) -> Verdict {
    let root = fixture.root();
    if let Some(file) = answer.files.iter().find(|file| !file.starts_with(root)) {
        return Verdict::Wrong(format!("reads {} of this machine", file.display()));
    }
    let (Some(tree), Verdict::Right(_)) = (&answer.tree, &verdict) else { return verdict };
    let _ = std::fs::create_dir(tree.join("proc"));
    if !run_in(tree, &[row.program], &[]).success {
        return Verdict::Wrong("what it copies does not run".to_owned());
    }
    match lost_link(root, tree) {
        Some(loss) => Verdict::Wrong(loss),
        None => verdict,
    }
}

/// A link of the root that the tree has not, or not as a link.
fn lost_link(root: &Path, tree: &Path) -> Option<String> {
    let links = ["lib", "lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu/libq.so.1", "etc/alternatives/libq"];
    let lost = links.iter().find(|link| root.join(link).is_symlink() && !tree.join(link).is_symlink())?;
    let what = if tree.join(lost).exists() { "copies what is behind the link" } else { "leaves out the link" };
    Some(format!("{what} /{lost}"))
}
