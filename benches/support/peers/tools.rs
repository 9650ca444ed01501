//! The tools of the table: how each is asked, and what its output says.

use crate::fixture::{Fixture, listed_path};
use crate::rows::{Question, Row};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The first word on the command line that makes this program minroot.
pub const AS_MINROOT: &str = "as-minroot";

/// What a tool says of a program.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Files on this machine that it names or copies.
    pub files: Vec<PathBuf>,
    /// Needs that it names without a file and without a complaint.
    pub unresolved: BTreeSet<String>,
    /// Names and versions that it misses, or a message.
    pub complaints: BTreeSet<String>,
    pub exit: i32,
    /// The tree that it made of the answer.
    pub tree: Option<PathBuf>,
}

/// A tool.
pub struct Tool {
    pub name: &'static str,
    program: &'static str,
    /// The Debian package, with what it forgets to depend on.
    pub package: &'static str,
    /// `None` where it has no way to ask the question.
    ask: fn(&Path, &Asked) -> Option<Answer>,
}

/// A question about one program; `out` is an empty directory.
pub struct Asked<'a> {
    pub row: &'a Row,
    pub fixture: &'a Fixture,
    pub out: &'a Path,
}

pub const TOOLS: [Tool; 6] = [
    Tool { name: "minroot", program: "", package: "", ask: minroot },
    Tool { name: "ldd", program: "/usr/bin/ldd", package: "libc-bin", ask: ldd },
    Tool { name: "libtree", program: "/usr/bin/libtree", package: "libtree", ask: libtree },
    Tool { name: "lddtree", program: "/usr/bin/lddtree", package: "pax-utils python3-pyelftools", ask: lddtree },
    Tool { name: "scanelf", program: "/usr/bin/scanelf", package: "pax-utils", ask: scanelf },
    Tool {
        name: "dracut-install",
        program: "/usr/lib/dracut/dracut-install",
        package: "dracut-core",
        ask: dracut_install,
    },
];

impl Tool {
    /// Where it is; `None` when it is not installed.
    pub fn path(&self) -> Option<PathBuf> {
        let path = if self.program.is_empty() { std::env::current_exe().ok()? } else { PathBuf::from(self.program) };
        path.exists().then_some(path)
    }

    pub fn ask(&self, path: &Path, asked: &Asked) -> Option<Answer> {
        (self.ask)(path, asked)
    }

    /// The Debian packages with their versions, or minroot's own version.
    pub fn version(&self) -> String {
        if self.program.is_empty() {
            return format!("minroot {}", env!("CARGO_PKG_VERSION"));
        }
        let package = self.package.split(' ').next().unwrap_or_default();
        let output = Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]).output();
        let version = output.map(|output| stdout(&output)).unwrap_or_default();
        format!("{} ({package} {version})", self.name)
    }
}

impl Asked<'_> {
    fn program(&self) -> PathBuf {
        self.fixture.host(self.row.program)
    }

    fn in_root(&self) -> bool {
        self.row.question == Question::InRoot
    }
}

fn run<A: AsRef<OsStr>>(tool: &Path, arguments: impl IntoIterator<Item = A>) -> Output {
    // lddtree is for the system's own Python.
    let environment = [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("LC_ALL", "C.UTF-8")];
    let output = Command::new(tool).args(arguments).env_clear().envs(environment).output();
    output.unwrap_or_else(|error| panic!("cannot start {}: {error}", tool.display()))
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn both(output: &Output) -> String {
    stdout(output) + &String::from_utf8_lossy(&output.stderr)
}

fn exit(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn minroot(tool: &Path, asked: &Asked) -> Option<Answer> {
    let mut arguments = vec![OsStr::new(AS_MINROOT), "trace".as_ref()];
    let (root, target) = match asked.row.question {
        Question::InRoot => (asked.fixture.root(), PathBuf::from(asked.row.program)),
        _ => (Path::new("/"), asked.program()),
    };
    if asked.row.question == Question::AnyProcessor {
        arguments.extend(["--cpu", "any"].map(OsStr::new));
    }
    let manifest = asked.out.join("manifest.json");
    let more = [target.as_os_str(), "--root".as_ref(), root.as_os_str(), "-o".as_ref(), manifest.as_os_str()];
    let output = run(tool, arguments.into_iter().chain(more));
    let text = std::fs::read(&manifest).unwrap_or_default();
    let mut answer = Answer { exit: exit(&output), ..read_manifest(&text, root) };
    if asked.in_root() {
        let tree = asked.out.join("tree");
        let pack = [AS_MINROOT, "pack", "--format", "dir", "--compress", "none", "-m"].map(OsStr::new);
        let more = [manifest.as_os_str(), "--root".as_ref(), root.as_os_str(), "-o".as_ref(), tree.as_os_str()];
        run(tool, pack.into_iter().chain(more));
        answer.tree = Some(tree);
    }
    Some(answer)
}

/// Files that are in and files that are suspected, and what is missing.
fn read_manifest(text: &[u8], root: &Path) -> Answer {
    let manifest: serde_json::Value = serde_json::from_slice(text).unwrap_or_default();
    let list = |key: &str| manifest[key].as_array().cloned().unwrap_or_default();
    let host = |path: &serde_json::Value| root.join(path.as_str().unwrap_or_default().trim_start_matches('/'));
    let entries = list("entries").into_iter().filter(|entry| entry["type"] != "dir").map(|entry| host(&entry["path"]));
    let suspected =
        list("dropped").into_iter().filter(|omission| omission["evidence"] == "suspected" && !omission["to"].is_null());
    Answer {
        files: entries.chain(suspected.map(|omission| host(&omission["to"]))).collect(),
        complaints: list("missing").iter().filter_map(|missing| missing["name"].as_str().map(str::to_owned)).collect(),
        ..Answer::default()
    }
}

fn ldd(tool: &Path, asked: &Asked) -> Option<Answer> {
    if asked.in_root() {
        return None;
    }
    let output = run(tool, [asked.program()]);
    Some(Answer { exit: exit(&output), ..read_ldd(&both(&output)) })
}

fn read_ldd(text: &str) -> Answer {
    let mut answer = Answer::default();
    for line in text.lines() {
        if let Some(name) = line.trim().strip_suffix(" => not found") {
            answer.complaints.insert(name.to_owned());
        } else if line.contains("error while loading") || line.contains("' not found (required by") {
            answer.complaints.insert(line.trim().to_owned());
        } else if let Some(path) = listed_path(line) {
            answer.files.push(path.into());
        }
    }
    answer
}

fn libtree(tool: &Path, asked: &Asked) -> Option<Answer> {
    let output = run(tool, ["-p".as_ref(), "-vv".as_ref(), asked.program().as_os_str()]);
    Some(Answer { exit: exit(&output), ..read_libtree(&both(&output)) })
}

fn read_libtree(text: &str) -> Answer {
    let mut answer = Answer::default();
    for line in text.lines().filter(|line| !line.contains('┊')) {
        let line = line.trim_start_matches(['│', '├', '└', '─', ' ', '\u{a0}']);
        if let Some(name) = line.strip_suffix(" not found") {
            answer.complaints.insert(name.to_owned());
        } else if let Some((path, _)) = line.rsplit_once(" [").filter(|(path, _)| path.starts_with('/')) {
            answer.files.push(path.into());
        }
    }
    answer
}

fn lddtree(tool: &Path, asked: &Asked) -> Option<Answer> {
    let mut arguments: Vec<&OsStr> = Vec::new();
    let (program, tree) = (asked.program(), asked.out.join("tree"));
    if !asked.in_root() {
        let output = run(tool, [program]);
        return Some(Answer { exit: exit(&output), ..read_lddtree(&both(&output)) });
    }
    arguments.extend(["--root".as_ref(), asked.fixture.root().as_os_str()]);
    let output = run(tool, arguments.iter().copied().chain([asked.row.program.as_ref()]));
    arguments.extend(["--copy-to-tree".as_ref(), tree.as_os_str(), asked.row.program.as_ref()]);
    run(tool, arguments);
    Some(Answer { exit: exit(&output), tree: Some(tree), ..read_lddtree(&both(&output)) })
}

fn read_lddtree(text: &str) -> Answer {
    let mut answer = Answer::default();
    for line in text.lines() {
        if let Some((_, interpreter)) = line.split_once(" (interpreter => ") {
            answer.files.extend(interpreter.strip_suffix(')').filter(|path| path.starts_with('/')).map(PathBuf::from));
            continue;
        }
        match line.trim().split_once(" => ") {
            Some((name, "None")) => {
                answer.complaints.insert(name.to_owned());
            }
            Some((_, path)) => answer.files.push(path.into()),
            None => {}
        }
    }
    answer
}

fn scanelf(tool: &Path, asked: &Asked) -> Option<Answer> {
    let output = run(tool, ["-q".as_ref(), "-L".as_ref(), "-n".as_ref(), asked.program().as_os_str()]);
    Some(Answer { exit: exit(&output), ..read_scanelf(&stdout(&output)) })
}

/// `name,/path,name  FILE`: names that it finds in the cache become paths.
fn read_scanelf(text: &str) -> Answer {
    let words = text.lines().filter_map(|line| line.split_once("  ")).flat_map(|(needs, _)| needs.split(','));
    let (paths, names): (Vec<&str>, Vec<&str>) =
        words.filter(|word| !word.is_empty()).partition(|word| word.starts_with('/'));
    Answer {
        files: paths.into_iter().map(PathBuf::from).collect(),
        unresolved: names.into_iter().map(str::to_owned).collect(),
        ..Answer::default()
    }
}

fn dracut_install(tool: &Path, asked: &Asked) -> Option<Answer> {
    let tree = asked.out.join("tree");
    std::fs::create_dir(&tree).expect("an empty directory");
    let mut arguments: Vec<&OsStr> = vec!["-D".as_ref(), tree.as_os_str(), "-l".as_ref()];
    let program = asked.program();
    match asked.in_root() {
        true => arguments.extend(["-r".as_ref(), asked.fixture.root().as_os_str(), asked.row.program.as_ref()]),
        false => arguments.push(program.as_os_str()),
    }
    let output = run(tool, arguments);
    let root = if asked.in_root() { asked.fixture.root() } else { Path::new("/") };
    let files = files_below(&tree).iter().filter_map(|file| Some(root.join(file.strip_prefix(&tree).ok()?))).collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    let complaints = errors.lines().filter(|line| line.contains("ERROR")).map(str::to_owned).collect();
    let made = asked.in_root().then_some(tree);
    Some(Answer { files, complaints, exit: exit(&output), tree: made, ..Answer::default() })
}

/// Everything below a directory but directories.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_directory { waiting.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(files: &[&str], unresolved: &[&str], complaints: &[&str]) -> Answer {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let files = files.iter().map(PathBuf::from).collect();
        Answer { files, unresolved: set(unresolved), complaints: set(complaints), ..Answer::default() }
    }

    #[test]
    fn ldd_has_paths_names_and_errors() {
        let text = "\tlinux-vdso.so.1 (0x0000)\n\tliba.so => /x/liba.so (0x00007f8a)\n\tlibb.so => not found\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f8af)\n/x/run: /x/libv.so: version `V2' not found (required by /x/run)\n";
        let version = "/x/run: /x/libv.so: version `V2' not found (required by /x/run)";
        let expected = answer(&["/x/liba.so", "/lib64/ld-linux-x86-64.so.2"], &[], &["libb.so", version]);
        assert_eq!(read_ldd(text), expected);
        assert_eq!(read_ldd("\tstatically linked\n"), Answer::default());
    }

    #[test]
    fn libtree_draws_a_tree() {
        let text = "/x/run \n├── /x/l/liba.so [runpath]\n│   └── libb.so not found\n│       ┊ 1. rpath:\n\
                    └── /lib/libc.so.6 [ld.so.conf]\n    └── /lib/ld.so [ld.so.conf]\nError [/x/run]: Not all found\n";
        let expected = answer(&["/x/l/liba.so", "/lib/libc.so.6", "/lib/ld.so"], &[], &["libb.so"]);
        assert_eq!(read_libtree(text), expected);
    }

    #[test]
    fn lddtree_says_none_for_what_it_does_not_find() {
        let text = "/x/run (interpreter => /lib64/ld.so)\n    liba.so => /x/liba.so\n        libb.so => None\n";
        assert_eq!(read_lddtree(text), answer(&["/lib64/ld.so", "/x/liba.so"], &[], &["libb.so"]));
        assert_eq!(read_lddtree("/x/run (interpreter => None)\n"), Answer::default());
    }

    #[test]
    fn scanelf_resolves_what_the_cache_has() {
        let expected = answer(&["/lib/libc.so.6"], &["liba.so"], &[]);
        assert_eq!(read_scanelf("liba.so,/lib/libc.so.6  /x/run\n"), expected);
        assert_eq!(read_scanelf("  /x/run\n"), Answer::default());
        assert_eq!(read_scanelf(""), Answer::default());
    }

    #[test]
    fn a_manifest_has_files_suspicions_and_what_is_missing() {
        let text = br#"{"entries": [{"path": "/a", "type": "dir"}, {"path": "/a/b", "type": "file"}],
            "dropped": [{"to": "/p", "evidence": "suspected"}, {"to": "/q", "evidence": "proven"},
                        {"evidence": "suspected"}],
            "missing": [{"name": "libb.so (V2)"}]}"#;
        assert_eq!(read_manifest(text, Path::new("/")), answer(&["/a/b", "/p"], &[], &["libb.so (V2)"]));
    }
}
