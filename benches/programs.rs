//! Twenty programs of Debian, each traced from a root of its packages and then given a task in a tree that holds
//! nothing but what the trace kept; a table in Markdown.
//!
//! The tree gets what a kernel gives and no package has: /proc, a few devices, /tmp and /run. Everything else has to
//! come from the trace: what fails shows a file that neither objects nor rules tell of. The trace takes recipes
//! (support/programs), in which only what a user has to write anyway is named: targets, accounts, settings, scripts.
//!
//! Needs root, for the chroot, and a network or a filled cache. With names of programs as arguments, those alone. The
//! variable `MINROOT` names another program to be judged.

#[path = "support/programs/tasks.rs"]
mod tasks;
#[path = "support/programs/tree.rs"]
mod tree;

use anyhow::{Context, Result, ensure};
use minroot::manifest::{Manifest, json, totals::Totals};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use tasks::{PROGRAMS, Program};
use tree::{Outcome, Tree};

/// The first word on the command line that makes this program minroot.
const AS_MINROOT: &str = "as-minroot";

/// The first word of the run that asks the programs.
const IN_NAMESPACE: &str = "in-namespace";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|word| word == AS_MINROOT).is_some() {
        return minroot::cli::main([AS_MINROOT.into()].into_iter().chain(arguments));
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("programs run in a chroot, which needs root");
        return ExitCode::FAILURE;
    }
    if arguments.next_if(|word| word == IN_NAMESPACE).is_none() {
        return in_namespace(arguments);
    }
    let wanted: Vec<OsString> = arguments.collect();
    println!("| program | version | targets | files | bytes | of the root | the task alone in the tree |");
    println!("|---|---|---:|---:|---:|---:|---|");
    let mut n_passed = 0;
    let mut n_asked = 0;
    for program in PROGRAMS.iter().filter(|program| wanted.is_empty() || wanted.iter().any(|name| name == program.name))
    {
        n_asked += 1;
        match row(program) {
            Ok(row) => {
                n_passed += usize::from(row.outcome.passes());
                println!("{}", row.line(program));
            }
            Err(error) => println!("| {} | | | | | | cannot tell: {} |", program.name, cell(&format!("{error:#}"))),
        }
    }
    println!("\n{n_passed} of {n_asked} pass.");
    if n_passed == n_asked { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Starts this program again with mounts and processes of its own: none is left when it ends, however it ends.
fn in_namespace(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    unshare.args(std::env::current_exe().ok()).arg(IN_NAMESPACE).args(arguments);
    match unshare.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cannot start unshare: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Row {
    version: String,
    manifest: Manifest,
    /// Bytes of the regular files of the whole root.
    root: u64,
    outcome: Outcome,
}

impl Row {
    fn line(&self, program: &Program) -> String {
        let totals = Totals::of(&self.manifest);
        let said = match &self.outcome {
            Outcome::Passes => "passes".to_owned(),
            Outcome::Fails(said) => format!("fails: {}", cell(said)),
        };
        format!(
            "| {} | {} | {} | {} | {:.1} MB | {:.1} MB | {said} |",
            program.name,
            self.version,
            self.manifest.targets.len(),
            totals.files,
            totals.bytes as f64 / 1e6,
            self.root as f64 / 1e6
        )
    }
}

/// The last lines of a message in one cell of a table.
fn cell(message: &str) -> String {
    let lines: Vec<&str> = message.trim().lines().rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" / ").replace('|', "\\|")
}

fn row(program: &Program) -> Result<Row> {
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("benches/support/programs/{}.toml", program.name));
    let root = minroot(["fetch".as_ref(), recipe.as_os_str()], 0)?;
    let root = PathBuf::from(root.trim_end());
    let scratch = tempfile::tempdir()?;
    let (traced, directory) = (scratch.path().join("manifest.json"), scratch.path().join("tree"));
    // A reference that is missing in the root, 1, is told by the task, if it matters.
    minroot(["trace".as_ref(), recipe.as_os_str(), "-o".as_ref(), traced.as_os_str()], 1)?;
    let of = ["-m".as_ref(), traced.as_os_str(), "--root".as_ref(), root.as_os_str(), recipe.as_os_str()];
    minroot(["pack", "--format", "dir", "-o"].map(OsStr::new).into_iter().chain([directory.as_os_str()]).chain(of), 0)?;
    let manifest = json::read(&std::fs::read(&traced)?)?;
    let outcome = Tree::new(&directory)?.does(program)?;
    Ok(Row { version: version(&root, program.package)?, manifest, root: size(&root)?, outcome })
}

/// Standard output of minroot, which may exit with `worst` at most.
fn minroot<'a>(arguments: impl IntoIterator<Item = &'a OsStr>, worst: i32) -> Result<String> {
    let mut command = match std::env::var_os("MINROOT") {
        Some(program) => Command::new(program),
        None => Command::new(std::env::current_exe()?),
    };
    if std::env::var_os("MINROOT").is_none() {
        command.arg(AS_MINROOT);
    }
    let output = command.args(arguments).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code().is_some_and(|code| code <= worst), "{command:?}: {said}");
    String::from_utf8(output.stdout).context("a path that is not UTF-8")
}

/// As the root's list of packages has it.
fn version(root: &Path, package: &str) -> Result<String> {
    let status = std::fs::read_to_string(root.join("var/lib/dpkg/status")).context("var/lib/dpkg/status")?;
    let paragraph = status.split("\n\n").find(|text| text.lines().any(|line| line == format!("Package: {package}")));
    let version = paragraph.and_then(|text| text.lines().find_map(|line| line.strip_prefix("Version: ")));
    version.map(str::to_owned).with_context(|| format!("{package} is not in the root"))
}

/// Bytes of the regular files below a directory.
fn size(directory: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        sum += if kind.is_dir() {
            size(&entry.path())?
        } else if kind.is_file() {
            entry.metadata()?.len()
        } else {
            0
        };
    }
    Ok(sum)
}
