//! Runs the transcripts of `testdata/cli/*.md` and compares what the commands print, to the byte.
//!
//! A transcript is prose with blocks marked `console`. A line `$ command` (continued by lines `> ...`) runs in a shell, in a directory that
//! holds the small root as `root` and whatever earlier commands of the same file made; the lines after it are what it
//! prints to both streams, and `? N` is its exit code when that is not 0. `MINROOT_UPDATE=1` writes what is printed
//! into the transcripts.

use crate::command::{MINROOT, repository, text};
use crate::small_root;
use crate::support::scratch;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn commands_print_what_the_transcripts_say() {
    let files = fs::read_dir(repository("testdata/cli")).unwrap().map(|entry| entry.unwrap().path());
    let mut different = Vec::new();
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "md")) {
        let expected = fs::read_to_string(&file).unwrap();
        let found = replay(&expected);
        if found == expected {
            continue;
        }
        if std::env::var_os("MINROOT_UPDATE").is_some() {
            fs::write(&file, found).unwrap();
        } else {
            let line = found.lines().zip(expected.lines()).position(|(one, other)| one != other);
            different.push(format!("{}: from line {:?} on:\n{found}", file.display(), line.map(|line| line + 1)));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// The transcript as it would be written now.
fn replay(transcript: &str) -> String {
    let directory = scratch();
    small_root::make(&directory.path().join("root"));
    let mut out = String::new();
    let mut lines = transcript.lines().peekable();
    let mut is_console = false;
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            is_console = line == "```console";
        }
        let Some(first) = line.strip_prefix("$ ").filter(|_| is_console) else {
            // What was printed the last time is dropped; only prose and the marks of blocks stay.
            if !is_console || line.starts_with("```") {
                out.push_str(line);
                out.push('\n');
            }
            continue;
        };
        let mut command = first.to_owned();
        out.push_str(&format!("$ {first}\n"));
        while let Some(more) = lines.next_if(|line| line.starts_with("> ")) {
            command.push_str(&format!("\n{}", &more[2..]));
            out.push_str(&format!("{more}\n"));
        }
        out.push_str(&run(&command, directory.path()));
    }
    out
}

fn run(command: &str, directory: &Path) -> String {
    let programs = Path::new(MINROOT).parent().unwrap().display();
    let path = std::env::var("PATH").unwrap();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("exec 2>&1\n{command}")]).current_dir(directory).stdin(Stdio::null());
    shell.env_clear().env("PATH", format!("{programs}:{path}")).env("LC_ALL", "C").env("HOME", directory);
    let output = shell.output().unwrap();
    let mut printed = text(&output.stdout);
    if !printed.is_empty() && !printed.ends_with('\n') {
        printed.push('\n');
    }
    match output.status.code() {
        Some(0) => printed,
        Some(code) => printed + &format!("? {code}\n"),
        None => printed + &format!("? {}\n", output.status),
    }
}
