//! What really happens: the program runs, and its loader tells what it opens.

use crate::fixture::{Fixture, LOADER, listed_path};
use crate::rows::{Question, Row};
use minroot::root::{FileKind, Root};
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Levels that a loader can be told not to go beyond, and one that no directory is called after.
const MASKS: [&str; 4] = ["none", "x86-64-v2", "x86-64-v3", "x86-64-v4"];

/// The outcome of running the program of a row.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Files of the root that the loader opened, without symlinks and without the program.
    pub files: BTreeSet<PathBuf>,
    /// What the loader gave up for: the file name of a library, or a version. `None` for a program that runs.
    pub subject: Option<String>,
    /// The loader's last words.
    pub words: String,
}

/// Runs the program of a row.
pub fn judge(row: &Row, fixture: &Fixture) -> Truth {
    let program = fixture.host(row.program);
    let (success, stderr) = match row.question {
        Question::InRoot => {
            let ran = fixture.run(&[row.program], &["LD_DEBUG=files"]);
            (ran.success, ran.stderr)
        }
        Question::Here | Question::AnyProcessor => {
            let output = Command::new(&program).env_clear().env("LD_DEBUG", "files").output().expect("it was built");
            (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
        }
    };
    if !success {
        let words = complaint(&stderr).unwrap_or_default().to_owned();
        return Truth { subject: Some(subject(&words)), words, ..Truth::default() };
    }
    let mut opened: Vec<String> = stderr.lines().filter_map(initialized).map(str::to_owned).collect();
    if row.question == Question::AnyProcessor {
        opened = MASKS.iter().flat_map(|mask| listed(&program, mask)).collect();
    }
    let at = |path: &str| match row.question {
        Question::InRoot => fixture.host(path),
        Question::Here | Question::AnyProcessor => PathBuf::from(path),
    };
    Truth { files: own_files(opened.iter().map(|path| at(path)), fixture, row), ..Truth::default() }
}

/// Those of the paths that lead to files of the root and not to the program, without symlinks. In a root of its own,
/// links lead where they lead in it.
pub fn own_files(paths: impl Iterator<Item = PathBuf>, fixture: &Fixture, row: &Row) -> BTreeSet<PathBuf> {
    let root = Root::open(fixture.root()).expect("the root is there");
    let real = |path: PathBuf| match row.question {
        Question::InRoot => {
            let found = root.lookup_spelled(path.strip_prefix(root.host()).ok()?.as_os_str().as_bytes()).ok()?;
            (found.info.kind == FileKind::File).then(|| fixture.host(&found.path.to_string()))
        }
        Question::Here | Question::AnyProcessor => path.canonicalize().ok(),
    };
    let program = real(fixture.host(row.program));
    let files = paths.filter_map(real).filter(|path| path.starts_with(root.host()));
    files.filter(|path| Some(path) != program.as_ref()).collect()
}

/// `4711: calling init: /path` of `LD_DEBUG=files`.
fn initialized(line: &str) -> Option<&str> {
    Some(line.split_once("calling init: ")?.1.trim())
}

/// What the loader lists when it may not use variants beyond one level.
fn listed(program: &Path, mask: &str) -> Vec<String> {
    let output = Command::new(LOADER).args(["--glibc-hwcaps-mask", mask, "--list"]).arg(program).output();
    let stdout = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&stdout).lines().filter_map(listed_path).map(str::to_owned).collect()
}

/// The line of standard error that says why the program does not start, without the program's name.
fn complaint(stderr: &str) -> Option<&str> {
    let marks = ["error while loading shared libraries: ", " not found (required by "];
    let line = stderr.lines().rev().find(|line| marks.iter().any(|mark| line.contains(mark)))?;
    Some(line.split_once(": ").map_or(line, |(_, words)| words.trim_start_matches(marks[0])))
}

/// What a complaint is about.
fn subject(words: &str) -> String {
    if let Some((_, rest)) = words.split_once("version `") {
        return rest.split('\'').next().unwrap_or_default().to_owned();
    }
    let path = words.split(": ").next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_loader_have_a_subject() {
        for (stderr, expected) in [
            (
                "run: error while loading shared libraries: libb.so: cannot open shared object file: No such file",
                "libb.so",
            ),
            ("run: error while loading shared libraries: /x/bad/libb.so: file too short\n", "libb.so"),
            ("noise: x\nrun: /x/l/libb.so: version `V2' not found (required by run)\n", "V2"),
        ] {
            assert_eq!(subject(complaint(stderr).unwrap()), expected);
        }
        assert_eq!(complaint("      12:\tcalling init: /lib/x.so\n"), None);
    }
}
