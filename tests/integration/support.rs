//! What the subjects share: tools of the machine, and scratch directories.

#![allow(dead_code, reason = "each helper serves some of the subjects")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The Debian packages the tests want, as `.ci/run` and `tests/install-tools.sh` install them.
///
/// Finds `program` on the PATH. A machine without it skips the test with a message; CI (`CI` set) may not skip.
pub fn tool(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let found = places.map(|dir| dir.join(program)).find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "`{program}` is missing: tests/install-tools.sh installs it");
        eprintln!("skipped: `{program}` is missing; tests/install-tools.sh installs it");
    }
    found
}

/// Runs a program that must succeed and gives its standard output.
pub fn run(program: &Path, arguments: &[&std::ffi::OsStr]) -> Vec<u8> {
    let output = output(program, arguments);
    assert!(
        output.status.success(),
        "{} {arguments:?}: {}\n{}",
        program.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Runs a program in a fixed environment, whatever its outcome.
pub fn output(program: &Path, arguments: &[&std::ffi::OsStr]) -> Output {
    Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()))
}

/// A fresh directory that goes away with the value.
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Digits of a digest, made apart from the crate that is under test.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Options of unshare(1) for a mount namespace, as root or as an ordinary user who becomes root inside.
pub fn namespace() -> &'static [&'static str] {
    if rustix::process::geteuid().is_root() { &["--mount"] } else { &["--map-root-user", "--mount"] }
}
