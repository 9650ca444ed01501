//! The `minroot` command as a user runs it, and the image of the node recipe, which is made once.

use crate::support::scratch;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// The program under test.
pub const MINROOT: &str = env!("CARGO_BIN_EXE_minroot");

/// `minroot` with arguments, in an environment that does not depend on who runs the tests.
pub fn minroot<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(MINROOT);
    command.args(arguments).env("LC_ALL", "C").env_remove("SOURCE_DATE_EPOCH").stdin(Stdio::null());
    command
}

/// Runs a command that must succeed; gives its standard output.
pub fn succeed(command: &mut Command) -> Vec<u8> {
    let output = output_of(command);
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, text(&output.stderr));
    output.stdout
}

pub fn output_of(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
}

/// The same command with another umask, which only a shell can set for another program.
pub fn with_umask(umask: &str, command: &Command) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A recipe of the repository, by its name.
pub fn recipe(name: &str) -> PathBuf {
    repository(&format!("rules/recipes/{name}.toml"))
}

pub fn node_recipe() -> PathBuf {
    recipe("debian-node")
}

/// Where packages stay from one run of the tests to the next: `MINROOT_TEST_CACHE`, else `target/test-cache`.
pub fn cache() -> PathBuf {
    std::env::var_os("MINROOT_TEST_CACHE").map_or_else(|| repository("target/test-cache"), PathBuf::from)
}

/// The root that `minroot fetch` fills by a recipe; `None` with a message where there is no network to fetch from.
pub fn fetched(recipe: &Path) -> Option<PathBuf> {
    let fetch = output_of(minroot(["fetch"]).arg(recipe).arg("--cache").arg(cache()));
    had_network(&fetch).then(|| PathBuf::from(text(&fetch.stdout).trim_end()))
}

/// Whether a command that downloads did it; the network is the only thing that may be missing, and not in CI.
fn had_network(output: &Output) -> bool {
    if !output.status.success() {
        let message = text(&output.stderr);
        assert!(std::env::var_os("CI").is_none() && message.contains("is the network up"), "{message}");
        eprintln!("skipped: {message}");
    }
    output.status.success()
}

/// The ISO of the node recipe at a fast level of compression, its manifest, and the root both were made from.
pub struct NodeImage {
    pub iso: PathBuf,
    pub manifest: PathBuf,
    pub root: PathBuf,
}

/// What `minroot build` makes of the node recipe; `None` with a message where there is no network to fetch from.
pub fn node_image() -> Option<&'static NodeImage> {
    static IMAGE: OnceLock<Option<NodeImage>> = OnceLock::new();
    IMAGE.get_or_init(build_node_image).as_ref()
}

fn build_node_image() -> Option<NodeImage> {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (iso, manifest) = (out.join("node.iso"), out.join("node.json"));
    let build = output_of(build_node(&iso, &manifest).arg("--cache").arg(cache()));
    if !had_network(&build) {
        return None;
    }
    let root = fetched(&node_recipe())?;
    Some(NodeImage { iso, manifest, root })
}

/// `minroot build` of the node recipe, fast, into the two files.
pub fn build_node(iso: &Path, manifest: &Path) -> Command {
    let mut command = minroot(["build", "--compress", "zstd", "--level", "3"]);
    command.arg(node_recipe()).arg("-o").arg(iso).arg("-m").arg(manifest);
    command
}

/// A directory whose programs are links to those of the usual PATH, without the ones named.
pub fn path_without(programs: &[&str]) -> tempfile::TempDir {
    let directory = scratch();
    let path = std::env::var_os("PATH").unwrap_or_default();
    for entry in std::env::split_paths(&path).filter_map(|place| std::fs::read_dir(place).ok()).flatten().flatten() {
        if !programs.iter().any(|program| entry.file_name() == OsStr::new(program)) {
            // The first of a name is the one that counts.
            let _ = std::os::unix::fs::symlink(entry.path(), directory.path().join(entry.file_name()));
        }
    }
    directory
}
