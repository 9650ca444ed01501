//! A source root whose author wants minroot to read or write outside of it, or to wait for ever: links in all
//! directions, and pipes, sockets and devices wherever a file is looked for.
//!
//! What is outside says who has read it: an open of the pipe there never ends, and the words of the file there would be
//! in what is written.

use crate::command::{minroot, text};
use crate::small_root;
use crate::support::{scratch, tool};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const SECRET: &str = "the words of a file outside the root";

/// Much longer than any of these commands takes; a pipe that is opened has no end.
const LIMIT: Duration = Duration::from_secs(60);

/// Files that minroot or one of its rules reads, and that a root may as well not have.
const READ: [&str; 11] = [
    "etc/ld.so.preload",
    "etc/ld.so.conf",
    "etc/ld.so.cache",
    "etc/nsswitch.conf",
    "etc/pam.d/login",
    "etc/ssl/openssl.cnf",
    "etc/mime.types",
    "etc/localtime",
    "usr/lib/x86_64-linux-gnu/libpipe.so.1",
    "usr/lib/modules/6.1/modules.dep",
    "usr/lib/x86_64-linux-gnu/gconv/gconv-modules",
];

/// Files without which nothing can be said, when they are there.
const REQUIRED: [&str; 3] = ["var/lib/dpkg/info/door.list", "var/sadm/install/contents", "var/lib/minroot/metadata"];

/// What stands in the place of those files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trap {
    Pipe,
    Socket,
    /// A device that gives zeros without end.
    Device,
    /// By `..` as often as it takes.
    LinkOut,
    /// From the top of the host, which inside the root is another place.
    AbsoluteLinkOut,
    LinkToPipeOutside,
    LinkToItself,
    Directory,
    Unreadable,
}

impl Trap {
    /// Whether it could be set.
    fn set(self, place: &Path, outside: &Outside) -> bool {
        let top = "../".repeat(40);
        let out = |path: &Path| PathBuf::from(format!("{top}{}", path.strip_prefix("/").unwrap().display()));
        match self {
            Trap::Pipe => return mknod(place, &["p"]),
            Trap::Device => return mknod(place, &["c", "1", "5"]),
            // The path of a socket may have 107 bytes: it is made elsewhere.
            Trap::Socket => {
                let directory = scratch();
                let short = directory.path().join("s");
                drop(UnixListener::bind(&short).unwrap());
                return fs::rename(short, place).is_ok();
            }
            Trap::LinkOut => symlink(out(&outside.file), place).unwrap(),
            Trap::AbsoluteLinkOut => symlink(&outside.file, place).unwrap(),
            Trap::LinkToPipeOutside => symlink(out(&outside.pipe), place).unwrap(),
            Trap::LinkToItself => symlink(place.file_name().unwrap(), place).unwrap(),
            Trap::Directory => fs::create_dir(place).unwrap(),
            Trap::Unreadable => {
                fs::write(place, "").unwrap();
                fs::set_permissions(place, fs::Permissions::from_mode(0o0)).unwrap();
            }
        }
        true
    }
}

fn mknod(place: &Path, arguments: &[&str]) -> bool {
    let mknod = tool("mknod").unwrap();
    Command::new(mknod).arg(place).args(arguments).stderr(Stdio::null()).status().unwrap().success()
}

/// What nobody is to touch.
struct Outside {
    directory: tempfile::TempDir,
    file: PathBuf,
    pipe: PathBuf,
}

impl Outside {
    fn new() -> Outside {
        let directory = scratch();
        let (file, pipe) = (directory.path().join("file"), directory.path().join("pipe"));
        fs::write(&file, SECRET).unwrap();
        assert!(mknod(&pipe, &["p"]));
        Outside { directory, file, pipe }
    }

    fn is_untouched(&self) -> bool {
        fs::read_dir(self.directory.path()).unwrap().count() == 2 && fs::read(&self.file).unwrap() == SECRET.as_bytes()
    }
}

/// A root with a trap in the place of each file, and links that lead everywhere. `None` where the trap cannot be set.
fn root_with(trap: Trap, files: &[&str], outside: &Outside) -> Option<tempfile::TempDir> {
    let root = scratch();
    small_root::make(root.path());
    for place in files.iter().map(|place| root.path().join(place)) {
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        if !trap.set(&place, outside) {
            return None;
        }
    }
    let program = small_root::program(&["libpipe.so.1", "libc.so.6"], Some("/odd:/odd/up:/odd/loop"));
    fs::write(root.path().join("usr/bin/app"), program).unwrap();
    let odd = root.path().join("odd");
    fs::create_dir(&odd).unwrap();
    let top = "../".repeat(40);
    for (link, target) in
        [("up", &*top), ("loop", "pool"), ("pool", "loop"), ("here", "."), ("root", "/"), ("dead", "/nowhere/at/all")]
    {
        symlink(target, odd.join(link)).unwrap();
    }
    fs::hard_link(root.path().join("etc/motd"), odd.join("motd")).unwrap();
    Some(root)
}

/// Runs a command that ends by itself.
fn run(command: &mut Command) -> Output {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("{command:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.code().is_some_and(|code| code <= 2) && !said.contains("panicked"), "{command:?}: {said}");
    output
}

fn check(trap: Trap) {
    if tool("mknod").is_none() {
        return;
    }
    let outside = Outside::new();
    let Some(root) = root_with(trap, &READ, &outside) else {
        eprintln!("skipped: this user cannot make a {trap:?}");
        return;
    };
    let out = scratch();
    let at = |name: &str| out.path().join(name);
    let recipe = at("everything.toml");
    fs::write(&recipe, "[trace]\nbase = \"everything\"\ntargets = [\"/usr/bin/app\", \"/usr/bin/hello\"]\n").unwrap();
    let some = ["/usr/bin/app", "/usr/bin/hello", "/odd", "/etc"];
    for (name, inputs, formats) in [("some", &some[..], ["cpio", "dir"]), ("all", &[], ["tar", "ufs"])] {
        let manifest = at(name);
        let mut trace = minroot(["trace", "--include", "suspected", "--root"]);
        trace.arg(root.path()).args(inputs).arg("-o").arg(&manifest);
        if name == "all" {
            trace.arg(&recipe);
        }
        let traced = run(&mut trace);
        if !manifest.exists() {
            let said = text(&traced.stderr);
            assert!(trap == Trap::Socket && said.contains("a socket cannot be put into an image"), "{trap:?}: {said}");
            continue;
        }
        for format in formats {
            let mut pack = minroot(["pack", "--compress", "none", "--format", format, "--root"]);
            let packed = at(&format!("{name}.{format}"));
            run(pack.arg(root.path()).arg("-m").arg(&manifest).arg("-o").arg(&packed));
            assert!(!holds_secret(&packed), "{trap:?}: {name}.{format}");
            run(minroot(["verify"]).arg(&packed).arg("-m").arg(&manifest));
        }
        run(minroot(["size", "-m"]).arg(&manifest));
        assert!(!holds_secret(&manifest));
    }
    run(minroot(["verify"]).arg(root.path()));
    for file in REQUIRED {
        let root = root_with(trap, &[file], &outside).unwrap();
        let manifest = at("required");
        let traced = run(minroot(["trace", "--root"]).arg(root.path()).arg("/usr/bin/hello").arg("-o").arg(&manifest));
        if traced.status.code() == Some(2) {
            assert!(!manifest.exists() && text(&traced.stderr).starts_with("error: cannot "), "{trap:?}: {traced:?}");
        } else {
            assert!(!holds_secret(&manifest), "{trap:?} {file}");
            fs::remove_file(manifest).unwrap();
        }
    }
    assert!(outside.is_untouched());
}

/// Whether the words from outside are in a file, or in one below a directory.
fn holds_secret(path: &Path) -> bool {
    let facts = path.symlink_metadata().unwrap();
    if facts.is_dir() {
        return fs::read_dir(path).unwrap().any(|entry| holds_secret(&entry.unwrap().path()));
    }
    facts.is_file() && memchr::memmem::find(&fs::read(path).unwrap(), SECRET.as_bytes()).is_some()
}

#[test]
fn pipes_sockets_and_devices_in_the_place_of_files_are_never_opened() {
    for trap in [Trap::Pipe, Trap::Socket, Trap::Device] {
        check(trap);
    }
}

#[test]
fn links_that_would_leave_the_root_lead_to_nothing_outside() {
    for trap in [Trap::LinkOut, Trap::AbsoluteLinkOut, Trap::LinkToPipeOutside] {
        check(trap);
    }
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_goes_on() {
    for trap in [Trap::LinkToItself, Trap::Directory, Trap::Unreadable] {
        check(trap);
    }
}
