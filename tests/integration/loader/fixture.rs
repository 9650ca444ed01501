//! Small roots that a test builds with gcc, and the real runtime linker as the judge of what we say about them.
//!
//! [`Fixture::compare`] runs a program in a chroot of its root, asks glibc what it maps, traces the same program with
//! minroot, and runs it once more in a tree that holds nothing but what the trace kept.

use crate::support::{self, namespace};
use minroot::manifest::{Content, Entry, Manifest, Missing};
use minroot::path::RootPath;
use minroot::reason::{Kind, Priority};
use minroot::recipe::Recipe;
use minroot::resolve::glibc::Cache;
use minroot::root::Root;
use minroot::rules::RuleSet;
use minroot::trace::{Input, Trace};
use minroot::verify::{Component, Severity, verify};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
pub const LIBRARIES: &str = "/lib/x86_64-linux-gnu";

/// Starts a program in a chroot: root, number of environment variables, these, program, arguments.
const ENTER: &str = r#"
    my $root = shift; my $n = shift; my @env = splice(@ARGV, 0, $n);
    chroot $root or die "chroot: $!"; chdir "/" or die "chdir: $!";
    # The system call itself: execvp, which perl has, gives what the kernel does not take to a shell.
    my $EXECVE = 59;
    syscall($EXECVE, $ARGV[0], pack("p*", @ARGV, undef), pack("p*", @env, undef));
    print STDERR "exec: $!\n"; exit 126;
"#;

/// A root with a C library in it.
pub struct Fixture {
    directory: TempDir,
    gcc: PathBuf,
    patchelf: PathBuf,
}

/// What a program did.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    pub success: bool,
    /// The number of the signal that killed it.
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// One program as the real loader and as minroot see it, and they agree.
pub struct Compared {
    pub real: Ran,
    pub trace: Trace,
    pub manifest: Manifest,
    /// Files that the loader maps, without symlinks; empty when it gave up before it could tell.
    pub mapped: BTreeSet<String>,
}

impl Fixture {
    /// `None`, with a message, where the tools are missing.
    pub fn new() -> Option<Fixture> {
        let fixture = Fixture::without_libc("gcc")?;
        fixture.directory("/lib64");
        for name in ["libc.so.6", "ld-linux-x86-64.so.2"] {
            fixture.install_library(name, &format!("{LIBRARIES}/{name}"));
        }
        fixture.link("../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", LOADER);
        Some(fixture)
    }

    /// A root with nothing in it, and the compiler of another C library for what comes in.
    pub fn without_libc(compiler: &str) -> Option<Fixture> {
        if !cfg!(target_arch = "x86_64") {
            eprintln!("skipped: the fixtures are for x86-64");
            return None;
        }
        let (gcc, patchelf) = (support::tool(compiler)?, support::tool("patchelf")?);
        support::tool("perl")?;
        let unshare = support::tool("unshare")?;
        if !Command::new(unshare).args(namespace()).arg("true").status().is_ok_and(|status| status.success()) {
            assert!(std::env::var_os("CI").is_none(), "no mount namespace can be made");
            eprintln!("skipped: no mount namespace can be made");
            return None;
        }
        let fixture = Fixture { directory: support::scratch(), gcc, patchelf };
        fixture.directory("/proc");
        Some(fixture)
    }

    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// The place of a path of the root on this machine, with its directory made.
    pub fn host(&self, path: &str) -> PathBuf {
        let host = self.root().join(path.trim_start_matches('/'));
        fs::create_dir_all(host.parent().expect("below the root")).unwrap();
        host
    }

    pub fn directory(&self, path: &str) {
        fs::create_dir_all(self.root().join(path.trim_start_matches('/'))).unwrap();
    }

    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.host(path), bytes).unwrap();
    }

    pub fn script(&self, path: &str, text: impl AsRef<[u8]>) {
        self.write(path, text);
        fs::set_permissions(self.host(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn link(&self, target: &str, path: &str) {
        symlink(target, self.host(path)).unwrap();
    }

    pub fn copy(&self, from: &str, to: &str) {
        fs::copy(self.host(from), self.host(to)).unwrap();
    }

    pub fn copy_from_host(&self, from: &Path, to: &str) {
        fs::copy(from, self.host(to)).unwrap_or_else(|error| panic!("cannot copy {}: {error}", from.display()));
    }

    /// Copies a library of this machine.
    pub fn install_library(&self, name: &str, to: &str) {
        let host = self.output(Command::new(&self.gcc).arg(format!("-print-file-name={name}")));
        self.copy_from_host(Path::new(host.trim()), to);
    }

    /// Changes bytes of a file, at the offset of the first.
    pub fn patch(&self, path: &str, patches: &[(usize, &[u8])]) {
        let mut bytes = fs::read(self.host(path)).unwrap();
        for (offset, new) in patches {
            bytes[*offset..offset + new.len()].copy_from_slice(new);
        }
        fs::write(self.host(path), bytes).unwrap();
    }

    /// A shared library with its file name as the soname. `R` in the arguments stands for the root on this machine.
    pub fn library(&self, path: &str, source: &str, arguments: &[&str]) {
        let name = path.rsplit('/').next().unwrap();
        let soname = format!("-Wl,-soname,{name}");
        self.compile(path, source, &[&["-shared", "-fPIC", "-Wl,--no-as-needed", &soname], arguments].concat());
    }

    /// An executable; it has to exit with 0 when all is well.
    pub fn program(&self, path: &str, source: &str, arguments: &[&str]) {
        self.compile(path, source, &[&["-Wl,--no-as-needed"], arguments].concat());
    }

    /// A library with `b`, which says `word` when it is called.
    pub fn speaking_library(&self, path: &str, word: &str, arguments: &[&str]) {
        let source = format!("int puts(const char *); int b(void) {{ puts(\"{word}\"); return 0; }}");
        self.library(path, &source, arguments);
    }

    pub fn compile(&self, path: &str, source: &str, arguments: &[&str]) {
        let code = self.directory.path().join("source.c");
        fs::write(&code, source).unwrap();
        let root = self.root().to_str().unwrap();
        let arguments = arguments.iter().map(|argument| argument.replace("R/", &format!("{root}/")));
        // Missing needs of libraries are what many tests are about.
        let relaxed = ["-w", "-Wl,--allow-shlib-undefined", "-Wl,--unresolved-symbols=ignore-in-shared-libs"];
        let mut command = Command::new(&self.gcc);
        command.arg("-o").arg(self.host(path)).arg(&code).args(relaxed).args(arguments);
        self.output(&mut command);
        fs::remove_file(code).unwrap();
    }

    pub fn patchelf(&self, path: &str, arguments: &[&str]) {
        self.output(Command::new(&self.patchelf).args(arguments).arg(self.host(path)));
    }

    fn output(&self, command: &mut Command) -> String {
        let output = command.env("LC_ALL", "C").output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a program in a chroot, with nothing but these variables in its environment.
    pub fn run(&self, command: &[&str], environment: &[&str]) -> Ran {
        run_in(self.root(), command, environment)
    }

    /// Makes `/etc/ld.so.cache` from `/etc/ld.so.conf`, and links named after the sonames.
    pub fn ldconfig(&self) {
        let ldconfig = support::tool("ldconfig").expect("part of the C library");
        self.output(Command::new(ldconfig).arg("-r").arg(self.root()));
    }

    /// What minroot says of targets, with the built-in rules.
    pub fn trace(&self, targets: &[&str]) -> (Trace, Manifest) {
        self.trace_with(&Recipe::default(), targets, Cache::FromConfiguration)
    }

    pub fn trace_with(&self, recipe: &Recipe, targets: &[&str], cache: Cache) -> (Trace, Manifest) {
        trace_in(self.root(), recipe, targets, cache)
    }

    /// Runs and traces a program, and compares: outcome, mapped files, names that are not found; and the outcome in a
    /// tree of the traced files only.
    pub fn compare(&self, program: &str) -> Compared {
        self.compare_with(program, &Recipe::default(), Cache::FromConfiguration)
    }

    pub fn compare_with(&self, program: &str, recipe: &Recipe, cache: Cache) -> Compared {
        let real = self.run(&[program], &[]);
        let listed = self.run(&[program], &["LD_TRACE_LOADED_OBJECTS=1"]);
        let (trace, manifest) = self.trace_with(recipe, &[program], cache);

        let missing = required(&manifest);
        assert_eq!(real.success, missing.is_empty(), "{program}: {real:?}\n{missing:?}");
        let gave_up = listed.stderr.contains("error while loading") || listed.stderr.contains("exec:");
        let mapped = if gave_up { BTreeSet::new() } else { self.mapped(program, &listed.stdout) };
        if !gave_up {
            assert_eq!(loaded(&manifest), mapped, "{program}: files\n{}", listed.stdout);
            let names: BTreeSet<&str> = missing.iter().map(|m| &m.name[..]).filter(|n| !n.contains(" (")).collect();
            assert_eq!(names, not_found(&listed.stdout), "{program}: names that are not found");
        }

        let reduced = support::scratch();
        materialize(&manifest, self.root(), reduced.path());
        let again = run_in(reduced.path(), &[program], &[]);
        if real.success {
            assert_eq!(again, real, "{program} in the reduced tree");
        } else {
            // A file that ended the search is not kept, so that the words may be others.
            assert!(!again.success, "{program} in the reduced tree");
        }
        let (_, again) = trace_in(reduced.path(), recipe, &[program], Cache::AsItIs);
        assert_eq!(names(&required(&again)), names(&missing), "{program} traced again in the reduced tree");
        Compared { real, trace, manifest, mapped }
    }

    /// Runs and traces a script, and compares the outcome, also in a tree of the traced files only.
    pub fn compare_script(&self, script: &str) -> (Ran, Manifest) {
        let real = self.run(&[script], &[]);
        let (trace, manifest) = self.trace(&[script]);
        let is_good = required(&manifest).is_empty() && trace.unknown.is_empty();
        assert_eq!(real.success, is_good, "{real:?}\n{:?}\n{:?}", manifest.missing, trace.unknown);
        let reduced = support::scratch();
        materialize(&manifest, self.root(), reduced.path());
        let again = run_in(reduced.path(), &[script], &[]);
        assert!(again == real || !again.success && !real.success, "{script} in the reduced tree: {again:?}");
        (real, manifest)
    }

    /// The files in the loader's list, and the loader, which it does not list when nothing needs it; without symlinks.
    fn mapped(&self, program: &str, listed: &str) -> BTreeSet<String> {
        let root = Root::open(self.root()).unwrap();
        let program = root.lookup_spelled(program.as_bytes()).unwrap().path.to_string();
        let interpreter = Command::new(&self.patchelf).arg("--print-interpreter").arg(self.host(&program)).output();
        let interpreter = String::from_utf8(interpreter.unwrap().stdout).unwrap();
        let spelled = listed.lines().filter_map(listed_path).chain(Some(interpreter.trim()).filter(|i| !i.is_empty()));
        spelled.map(|path| root.lookup_spelled(path.as_bytes()).unwrap().path.to_string()).collect()
    }
}

impl Compared {
    /// The reference that leads nowhere, of which there has to be just one.
    pub fn missing(&self) -> &Missing {
        let missing = required(&self.manifest);
        assert_eq!(missing.len(), 1, "{missing:?}");
        missing[0]
    }

    /// Each place that was tried for the missing name: path, why, what was there.
    pub fn tried(&self) -> Vec<(&str, &str, &str)> {
        tried(self.missing())
    }

    pub fn has(&self, path: &str) -> bool {
        has(&self.manifest, path)
    }

    /// Every reason for a path: who needs it, and how.
    pub fn reasons(&self, path: &str) -> Vec<(String, Kind)> {
        reasons(&self.manifest, path)
    }
}

pub fn tried(missing: &Missing) -> Vec<(&str, &str, &str)> {
    missing.probes.iter().map(|p| (&p.path[..], &p.step[..], &p.outcome[..])).collect()
}

pub fn has(manifest: &Manifest, path: &str) -> bool {
    let path = RootPath::new(path).unwrap();
    manifest.entries.iter().any(|entry| entry.path == path)
}

pub fn reasons(manifest: &Manifest, path: &str) -> Vec<(String, Kind)> {
    let path = RootPath::new(path).unwrap();
    let entry = manifest.entries.iter().find(|entry| entry.path == path).expect("the path is in");
    let reasons = entry.reasons.iter();
    reasons.map(|r| (r.from.as_ref().map_or(String::new(), ToString::to_string), r.reason.kind)).collect()
}

pub fn required(manifest: &Manifest) -> Vec<&Missing> {
    manifest.missing.iter().filter(|missing| missing.priority == Priority::Required).collect()
}

pub fn trace_in(root: &Path, recipe: &Recipe, targets: &[&str], cache: Cache) -> (Trace, Manifest) {
    let root = Root::open(root).unwrap();
    let rules = RuleSet::load(&[]).unwrap();
    let mut recipe = recipe.clone();
    recipe.trace.targets.extend(targets.iter().map(|target| (*target).to_owned()));
    let input = Input { root: &root, rules: &rules, recipe: &recipe, rule_directories: &[], cache };
    let trace = minroot::trace::trace(input).unwrap();
    let manifest = trace.manifest(&root, &rules).unwrap();
    (trace, manifest)
}

fn names<'m>(missing: &[&'m Missing]) -> BTreeSet<&'m str> {
    missing.iter().map(|missing| &missing.name[..]).collect()
}

/// What `verify` says that the runtime linker of `/init` will print.
pub fn foretold(root: &Path) -> Vec<String> {
    let verdict = verify(root, None, &RuleSet::load(&[]).unwrap()).unwrap();
    let findings = verdict.findings.into_iter().filter(|finding| finding.component == Component::RuntimeLinker);
    findings.inspect(|f| assert_eq!(f.severity, Severity::PreventsStart, "{f:?}")).map(|f| f.message).collect()
}

/// Makes a directory tree of a manifest.
pub fn materialize(manifest: &Manifest, root: &Path, tree: &Path) {
    let at = |tree: &Path, path: &RootPath| tree.join(OsStr::from_bytes(path.relative()));
    for entry in &manifest.entries {
        let to = at(tree, &entry.path);
        let set_mode = || fs::set_permissions(&to, fs::Permissions::from_mode(entry.mode)).unwrap();
        match &entry.content {
            Content::Directory => fs::create_dir(&to).unwrap(),
            Content::File { .. } => {
                fs::copy(at(root, &entry.path), &to).unwrap();
            }
            Content::Generated { bytes, .. } => {
                fs::write(&to, bytes.as_ref().unwrap()).unwrap();
                set_mode();
            }
            Content::Symlink { target } => symlink(OsStr::from_bytes(target), &to).unwrap(),
            Content::Hardlink { to: first } => fs::hard_link(at(tree, first), &to).unwrap(),
            other => panic!("{}: {other:?} in a test's tree", entry.path),
        }
    }
    fs::create_dir_all(tree.join("proc")).unwrap();
}

/// Files that are in because the loader maps them.
pub fn loaded(manifest: &Manifest) -> BTreeSet<String> {
    let by_loader = |kind| matches!(kind, Kind::Needed | Kind::Interpreter | Kind::Preload);
    let is_file = |content: &Content| matches!(content, Content::File { .. } | Content::Hardlink { .. });
    let files = manifest.entries.iter().filter(|entry| is_file(&entry.content) && entry.path != preload_file());
    // A link that the loader opened stands for the file it leads to.
    fn is_loaded(manifest: &Manifest, entry: &Entry, by_loader: &impl Fn(Kind) -> bool) -> bool {
        let find = |path: &RootPath| manifest.entries.iter().find(|entry| entry.path == *path);
        entry.reasons.iter().any(|because| match because.reason.kind {
            Kind::Symlink => because.from.as_ref().and_then(find).is_some_and(|e| is_loaded(manifest, e, by_loader)),
            kind => by_loader(kind),
        })
    }
    files.filter(|entry| is_loaded(manifest, entry, &by_loader)).map(|entry| entry.path.to_string()).collect()
}

fn preload_file() -> RootPath {
    RootPath::new("/etc/ld.so.preload").unwrap()
}

/// The path on a line of `LD_TRACE_LOADED_OBJECTS`: `name => path (address)` or `path (address)`.
pub fn listed_path(line: &str) -> Option<&str> {
    let path = line.trim().rsplit_once(" (0x")?.0;
    let path = path.split_once(" => ").map_or(path, |(_, path)| path);
    path.starts_with('/').then_some(path)
}

fn not_found(listed: &str) -> BTreeSet<&str> {
    listed.lines().filter_map(|line| line.trim().strip_suffix(" => not found")).collect()
}

pub fn run_in(root: &Path, command: &[&str], environment: &[&str]) -> Ran {
    let enter = r#"root=$0; code=$1; shift; mount --rbind /proc "$root/proc" && exec perl -e "$code" "$root" "$@""#;
    let output = Command::new("unshare")
        .args(namespace())
        .args(["sh", "-c", enter])
        .arg(root)
        .arg(ENTER)
        .arg(environment.len().to_string())
        .args(environment)
        .args(command)
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let signal = output.status.signal();
    Ran { success: output.status.success(), signal, stdout: text(output.stdout), stderr: text(output.stderr) }
}
