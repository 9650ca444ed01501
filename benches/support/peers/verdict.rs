//! What a tool says against what really happens.

use crate::judge::Truth;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// A tool's answer with its files as in [`Truth`].
#[derive(Debug)]
pub struct Claim<'a> {
    pub files: BTreeSet<PathBuf>,
    /// All files that it names, those of the machine included.
    pub named: &'a [PathBuf],
    pub unresolved: &'a BTreeSet<String>,
    pub complaints: &'a BTreeSet<String>,
    pub exit: i32,
}

/// Right or wrong, and in what.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// With what is to be said all the same.
    Right(String),
    Wrong(String),
    /// Something failed, and the answer does not tell what.
    Vague,
}

/// Compares. A tool that names what the program fails for is right even if its exit code is 0, which is told.
pub fn verdict(truth: &Truth, claim: &Claim) -> Verdict {
    match &truth.subject {
        Some(subject) => of_failure(subject, claim),
        None => of_success(truth, claim),
    }
}

fn of_failure(subject: &str, claim: &Claim) -> Verdict {
    let names_it = claim.complaints.iter().any(|complaint| complaint.contains(subject));
    match (names_it, claim.exit) {
        (true, 0) => Verdict::Right("exit 0".to_owned()),
        (true, _) => Verdict::Right(String::new()),
        (false, 0) if claim.complaints.is_empty() && claim.named.iter().any(|file| ends_in(file, subject)) => {
            Verdict::Wrong(format!("finds {subject}"))
        }
        (false, 0) if claim.complaints.is_empty() => Verdict::Wrong("says nothing, exit 0".to_owned()),
        (false, _) => Verdict::Vague,
    }
}

fn of_success(truth: &Truth, claim: &Claim) -> Verdict {
    if let Some(complaint) = claim.complaints.first() {
        return Verdict::Wrong(format!("misses {}", complaint.rsplit('/').next().unwrap_or_default()));
    }
    if claim.exit != 0 {
        return Verdict::Wrong(format!("exit {}", claim.exit));
    }
    if let Some(file) = truth.files.difference(&claim.files).next() {
        let name = shown(file);
        let is_named = claim.unresolved.iter().any(|need| name.ends_with(need.as_str()));
        return Verdict::Wrong(if is_named { format!("no path for {name}") } else { format!("leaves {name} out") });
    }
    match claim.files.difference(&truth.files).next() {
        Some(file) => Verdict::Wrong(format!("takes {}", shown(file))),
        None => Verdict::Right(String::new()),
    }
}

fn ends_in(file: &Path, name: &str) -> bool {
    file.file_name().is_some_and(|file| file == name)
}

/// A file by its name, with the directory that tells variants apart.
fn shown(file: &Path) -> String {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match file.parent().map(name) {
        Some(parent) if parent.starts_with("x86-64-v") => format!("{parent}/{}", name(file)),
        _ => name(file),
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Right(note) if note.is_empty() => f.write_str("right"),
            Verdict::Right(note) => write!(f, "right, {note}"),
            Verdict::Wrong(why) => write!(f, "**wrong**: {why}"),
            Verdict::Vague => f.write_str("fails, not why"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set<T: From<&'static str> + Ord>(names: &[&'static str]) -> BTreeSet<T> {
        names.iter().map(|name| T::from(name)).collect()
    }

    fn check(truth: &Truth, files: &[&'static str], complaints: &[&'static str], exit: i32, expected: &str) {
        let (unresolved, complaints) = (set(&["libn.so"]), set(complaints));
        let named: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        let (files, unresolved, complaints) = (set(files), &unresolved, &complaints);
        let claim = Claim { files, named: &named, unresolved, complaints, exit };
        assert_eq!(verdict(truth, &claim).to_string(), expected);
    }

    #[test]
    fn a_program_that_runs_needs_just_its_files() {
        let truth = Truth { files: set(&["/l/liba.so", "/l/x86-64-v2/libb.so"]), ..Truth::default() };
        check(&truth, &["/l/liba.so", "/l/x86-64-v2/libb.so"], &[], 0, "right");
        check(&truth, &["/l/liba.so"], &[], 0, "**wrong**: leaves x86-64-v2/libb.so out");
        check(&truth, &["/l/liba.so", "/l/x86-64-v2/libb.so", "/l/libc.so"], &[], 0, "**wrong**: takes libc.so");
        check(&truth, &["/l/liba.so"], &["libb.so"], 1, "**wrong**: misses libb.so");
        check(&truth, &["/l/liba.so", "/l/x86-64-v2/libb.so"], &[], 3, "**wrong**: exit 3");
        let unnamed = Truth { files: set(&["/l/libn.so"]), ..Truth::default() };
        check(&unnamed, &[], &[], 0, "**wrong**: no path for libn.so");
    }

    #[test]
    fn a_program_that_fails_fails_for_something() {
        let truth = Truth { subject: Some("libb.so".to_owned()), ..Truth::default() };
        check(&truth, &[], &["libb.so"], 1, "right");
        check(&truth, &[], &["libb.so"], 0, "right, exit 0");
        check(&truth, &[], &["ERROR"], 1, "fails, not why");
        check(&truth, &["/l/libb.so"], &[], 0, "**wrong**: finds libb.so");
        check(&truth, &["/l/liba.so"], &[], 0, "**wrong**: says nothing, exit 0");
    }
}
