//! Roots made from packages: hand-built ones that try to leave the root, and real ones compared with dpkg-deb's tree.

use crate::support::{run, scratch, tool};
use minroot::fetch::{FetchError, Fetched, Options, fetch};
use minroot::packages::Packages;
use minroot::path::RootPath;
use minroot::recipe::Source;
use minroot::root::{FileKind, Root};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tar::EntryType;

/// A data archive that is written member by member, with names as given.
pub struct Data(tar::Builder<Vec<u8>>);

impl Data {
    pub fn new() -> Data {
        Data(tar::Builder::new(Vec::new()))
    }

    fn add(mut self, kind: EntryType, name: &[u8], link: &[u8], mode: u32, content: &[u8]) -> Data {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(if mode & 0o2000 == 0 { 0 } else { 42 });
        header.set_mtime(1_600_000_000);
        header.set_size(content.len() as u64);
        if let EntryType::Char | EntryType::Block = kind {
            header.set_device_major(1).unwrap();
            header.set_device_minor(3).unwrap();
        }
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    pub fn file(self, name: &str, content: &str) -> Data {
        self.add(EntryType::Regular, name.as_bytes(), b"", 0o644, content.as_bytes())
    }

    pub fn directory(self, name: &str) -> Data {
        self.add(EntryType::Directory, name.as_bytes(), b"", 0o755, b"")
    }

    pub fn symlink(self, name: &str, target: &str) -> Data {
        self.add(EntryType::Symlink, name.as_bytes(), target.as_bytes(), 0o777, b"")
    }

    pub fn hard_link(self, name: &str, target: &str) -> Data {
        self.add(EntryType::Link, name.as_bytes(), target.as_bytes(), 0o644, b"")
    }
}

/// Writes `NAME.deb` with no compression at all.
pub fn deb(directory: &Path, name: &str, fields: &str, data: Data) -> PathBuf {
    let control = format!("Package: {name}\nVersion: 1\nArchitecture: all\n{fields}");
    let control = Data::new().file("./control", &control).0.into_inner().unwrap();
    let path = directory.join(format!("{name}.deb"));
    let mut ar = ar::Builder::new(fs::File::create(&path).unwrap());
    for (member, content) in
        [("debian-binary", b"2.0\n".to_vec()), ("control.tar", control), ("data.tar", data.0.into_inner().unwrap())]
    {
        ar.append(&ar::Header::new(member.into(), content.len() as u64), content.as_slice()).unwrap();
    }
    path
}

/// Fetches all package files of a directory.
fn fetch_all(directory: &Path) -> Result<Fetched, FetchError> {
    let pattern = directory.join("*.deb").to_str().unwrap().to_owned();
    let source = Source { packages: vec![pattern], ..Source::default() };
    fetch(&source, &Options::new(directory.join("cache")))
}

/// Every path of a host directory with kind, mode, size or target, and time; what dpkg-deb and minroot must agree on.
fn tree(directory: &Path) -> BTreeMap<Vec<u8>, String> {
    let mut all = BTreeMap::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let facts = path.symlink_metadata().unwrap();
            let (mode, time) = (facts.mode() & 0o7777, facts.mtime());
            let text = if facts.is_symlink() {
                format!("link {} {time}", fs::read_link(&path).unwrap().display())
            } else if facts.is_dir() {
                pending.push(path.clone());
                format!("directory {mode:o}")
            } else {
                format!("file {mode:o} {} {} {time}", facts.len(), facts.nlink())
            };
            let relative = path.strip_prefix(directory).unwrap();
            all.insert(relative.as_os_str().as_bytes().to_vec(), text);
        }
    }
    all
}

fn refusal(data: Data) -> String {
    let directory = scratch();
    deb(directory.path(), "hostile", "", data);
    let error = fetch_all(directory.path()).unwrap_err();
    assert!(error.to_string().contains("`hostile`"), "{error}");
    let left: Vec<_> = fs::read_dir(directory.path().join("cache/roots")).unwrap().collect();
    assert!(left.is_empty(), "nothing half-written stays: {left:?}");
    error.to_string()
}

#[test]
fn a_member_that_would_leave_the_root_is_refused_by_name() {
    let outside = scratch();
    let target = outside.path().to_str().unwrap();
    let error = refusal(Data::new().symlink("./escape", target).file("./escape/file", "x"));
    assert!(error.contains("`/escape/file`") && error.contains("leads out of the root"), "{error}");
    // The directory entry does not make the link's target a directory of the package.
    let data = Data::new().symlink("./escape", target).directory("./escape/").file("./escape/file", "x");
    assert!(refusal(data).contains("leads out of the root"));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);

    let error = refusal(Data::new().file("./usr/../../etc/passwd", "x"));
    assert!(error.contains("`./usr/../../etc/passwd`") && error.contains("`..`"), "{error}");
    let error = refusal(Data::new().directory("./a/").symlink("./a/up", "../../../etc").file("./a/up/passwd", "x"));
    assert!(error.contains("leads out of the root"), "{error}");
    assert!(refusal(Data::new().symlink("./a", "b").symlink("./b", "a").file("./a/x", "")).contains("too many"));
    assert!(refusal(Data::new().file("./a", "").file("./a/b", "")).contains("not a directory"));
    assert!(refusal(Data::new().hard_link("./a", "/etc/passwd")).contains("hard link"));
    assert!(refusal(Data::new().hard_link("./a", "../../etc/passwd")).contains("`..`"));
    assert!(refusal(Data::new().file("./var/lib/dpkg/status", "x")).contains("`/var/lib/dpkg/status`"));
    assert!(refusal(Data::new().symlink("./var", target)).contains("leads out of the root"));
    assert!(refusal(Data::new().symlink("./", "x")).contains("something else"));
}

#[test]
fn links_inside_the_root_are_followed_and_absolute_ones_re_rooted() {
    let directory = scratch();
    let data = Data::new()
        .directory("./")
        .directory("./opt/")
        .directory("./opt/tool/")
        .symlink("./tool", "/opt/tool")
        .file("./tool/x", "re-rooted");
    deb(directory.path(), "tool", "", data);
    deb(directory.path(), "link", "", Data::new().symlink("./usr/share/doc/link", "base"));
    let data = Data::new().directory("./usr/share/doc/link/").file("./usr/share/doc/link/copyright", "free");
    deb(directory.path(), "base", "", data);
    let root = fetch_all(directory.path()).unwrap().root;
    assert_eq!(fs::read_to_string(root.join("opt/tool/x")).unwrap(), "re-rooted");
    assert_eq!(fs::read_link(root.join("tool")).unwrap(), Path::new("/opt/tool"));
    assert_eq!(fs::read_to_string(root.join("usr/share/doc/base/copyright")).unwrap(), "free");
    let root = Root::open(&root).unwrap();
    let packages = Packages::load(&root).unwrap();
    let owner = |path: &str| packages.owner(&root, &RootPath::new(path).unwrap()).map(str::to_owned);
    assert_eq!(owner("/usr/share/doc/base/copyright").as_deref(), Some("base"));
    assert_eq!(owner("/opt/tool/x").as_deref(), Some("tool"));
}

#[test]
fn a_merged_usr_loses_no_file() {
    let directory = scratch();
    let data = Data::new().file("./lib/x", "one").file("./usr/lib/y", "two").symlink("./usr/lib/x", "/lib/x");
    deb(directory.path(), "a", "", data);
    deb(directory.path(), "b", "", Data::new().file("./lib/same", "3").file("./usr/lib/same", "3"));
    let root = fetch_all(directory.path()).unwrap().root;
    assert_eq!(fs::read_link(root.join("lib")).unwrap(), Path::new("usr/lib"));
    assert_eq!(fs::read_to_string(root.join("usr/lib/x")).unwrap(), "one", "the link to itself gives way");
    assert_eq!(fs::read_to_string(root.join("lib/y")).unwrap(), "two");
    deb(directory.path(), "c", "", Data::new().file("./lib/z", "here").file("./usr/lib/z", "there"));
    let error = fetch_all(directory.path()).unwrap_err();
    assert_eq!(error.to_string(), "`/usr/lib/z` is both in the package `c` and in the package `c`");
}

#[test]
fn one_package_takes_over_a_file_of_another_only_with_replaces() {
    let directory = scratch();
    deb(directory.path(), "a", "", Data::new().file("./f", "of a"));
    deb(directory.path(), "b", "", Data::new().file("./f", "of b"));
    let error = fetch_all(directory.path()).unwrap_err();
    assert_eq!(error.to_string(), "`/f` is both in the package `a` and in the package `b`");
    for replacing in ["a", "b"] {
        let other = if replacing == "a" { "b" } else { "a" };
        deb(directory.path(), other, "", Data::new().file("./f", &format!("of {other}")));
        let fields = format!("Replaces: x, {other} (<< 2)\n");
        deb(directory.path(), replacing, &fields, Data::new().file("./f", &format!("of {replacing}")));
        let root = fetch_all(directory.path()).unwrap().root;
        assert_eq!(fs::read_to_string(root.join("f")).unwrap(), format!("of {replacing}"));
    }
}

#[test]
fn what_the_disk_cannot_hold_is_in_the_metadata() {
    let directory = scratch();
    let data = Data::new()
        .add(EntryType::Regular, b"./usr/bin/su", b"", 0o4755, b"x")
        .add(EntryType::Regular, b"./usr/bin/wall", b"", 0o2755, b"x")
        .add(EntryType::Regular, b"./etc/shadow", b"", 0, b"secret")
        .hard_link("./usr/bin/su2", "./usr/bin/su")
        .add(EntryType::Directory, b"./tmp/", b"", 0o1777, b"")
        .add(EntryType::Directory, b"./locked/", b"", 0o555, b"")
        .file("./locked/in", "x")
        .add(EntryType::Char, b"./dev/null", b"", 0o666, b"")
        .add(EntryType::Fifo, b"./run/fifo", b"", 0o600, b"")
        .add(EntryType::Regular, b"./caf\xe9 \n-rf", b"", 0o600, b"odd");
    deb(directory.path(), "modes", "", data);
    let fetched = fetch_all(directory.path()).unwrap();
    let on_disk = |name: &str| fs::symlink_metadata(fetched.root.join(name)).unwrap();
    assert_eq!(on_disk("usr/bin/su").mode() & 0o7777, 0o755, "no setuid program of this user's");
    assert_eq!(on_disk("usr/bin/su").ino(), on_disk("usr/bin/su2").ino());
    let root = Root::open(&fetched.root).unwrap();
    let facts = |path: &[u8]| {
        let info = root.lookup_nofollow(&RootPath::new(path).unwrap()).unwrap().info;
        (info.kind, info.mode, info.uid, info.gid)
    };
    assert_eq!(facts(b"/usr/bin/su"), (FileKind::File, 0o4755, 0, 0));
    assert_eq!(facts(b"/usr/bin/wall"), (FileKind::File, 0o2755, 0, 42));
    assert_eq!(facts(b"/etc/shadow"), (FileKind::File, 0, 0, 0));
    assert_eq!(facts(b"/tmp"), (FileKind::Directory, 0o1777, 0, 0));
    assert_eq!(facts(b"/locked"), (FileKind::Directory, 0o555, 0, 0));
    assert_eq!(facts(b"/dev/null"), (FileKind::Char { major: 1, minor: 3 }, 0o666, 0, 0));
    assert_eq!(facts(b"/run/fifo"), (FileKind::Fifo, 0o600, 0, 0));
    assert_eq!(facts(b"/caf\xe9 \n-rf"), (FileKind::File, 0o600, 0, 0));
    assert_eq!(facts(b"/usr"), (FileKind::Directory, 0o755, 0, 0));
}

#[test]
fn a_finished_root_is_reused_until_a_package_changes() {
    let directory = scratch();
    deb(directory.path(), "a", "", Data::new().file("./f", "1"));
    assert!(!fetch_all(directory.path()).unwrap().reused);
    let second = fetch_all(directory.path()).unwrap();
    assert!(second.reused);
    assert_eq!(second.packages[0].package, "a");
    deb(directory.path(), "a", "", Data::new().file("./f", "22"));
    let third = fetch_all(directory.path()).unwrap();
    assert!(!third.reused);
    assert_eq!(fs::read_to_string(third.root.join("f")).unwrap(), "22");
}

#[test]
fn the_same_packages_give_the_same_root_whatever_the_number_of_threads() {
    let directory = scratch();
    for name in ["a", "b", "c", "base-files"] {
        let data = Data::new().directory("./").directory("./usr/").file(&format!("./usr/{name}"), name);
        deb(directory.path(), name, "", data.symlink(&format!("./lib/{name}"), "x"));
    }
    let with_threads = |n: usize| {
        let cache = directory.path().join(format!("cache{n}"));
        let source =
            Source { packages: vec![directory.path().join("*.deb").to_str().unwrap().to_owned()], ..Source::default() };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        let fetched = pool.install(|| fetch(&source, &Options::new(cache)).unwrap());
        let status = fs::read(fetched.root.join("var/lib/dpkg/status")).unwrap();
        (tree(&fetched.root), status, fetched.notes)
    };
    assert_eq!(with_threads(1), with_threads(4));
}

#[test]
fn damaged_packages_are_errors_that_name_the_file_and_the_part() {
    let directory = scratch();
    let path = deb(directory.path(), "a", "", Data::new().file("./f", &"x".repeat(5000)));
    let good = fs::read(&path).unwrap();
    for cut in (0..good.len()).step_by(97) {
        fs::write(&path, &good[..cut]).unwrap();
        let error = fetch_all(directory.path()).unwrap_err();
        assert!(matches!(error, FetchError::Damaged { .. }), "{cut}: {error}");
    }
    for flip in (0..good.len()).step_by(61) {
        let mut bytes = good.clone();
        bytes[flip] ^= 0x80;
        fs::write(&path, bytes).unwrap();
        // Content may change without anybody noticing; what matters is that nothing panics.
        let _ = fetch_all(directory.path());
    }
}

/// Builds packages with dpkg-deb in every compression it knows.
#[test]
fn every_compression_of_dpkg_deb_is_read() {
    let Some(dpkg_deb) = tool("dpkg-deb") else { return };
    for (method, works) in [("none", true), ("gzip", true), ("xz", true), ("zstd", true)] {
        let directory = scratch();
        let tree = directory.path().join("tree");
        fs::create_dir_all(tree.join("DEBIAN")).unwrap();
        fs::create_dir_all(tree.join("usr/bin")).unwrap();
        fs::write(tree.join("usr/bin/x"), "content").unwrap();
        fs::create_dir_all(tree.join("etc")).unwrap();
        fs::write(tree.join("etc/x.conf"), "").unwrap();
        fs::write(tree.join("DEBIAN/conffiles"), "/etc/x.conf\n").unwrap();
        let control = "Package: x\nVersion: 1:2~3\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: d\n";
        fs::write(tree.join("DEBIAN/control"), control).unwrap();
        let compression = format!("-Z{method}");
        let target = directory.path().join("x.deb");
        run(
            &dpkg_deb,
            &[OsStr::new(&compression), "--root-owner-group".as_ref(), "-b".as_ref(), tree.as_ref(), target.as_ref()],
        );
        let fetched = fetch_all(directory.path());
        assert_eq!(fetched.is_ok(), works, "{method}: {fetched:?}");
        let fetched = fetched.unwrap();
        assert_eq!(fetched.packages[0].version, "1:2~3");
        let info = fetched.root.join("var/lib/dpkg/info");
        assert_eq!(fs::read_to_string(info.join("x.conffiles")).unwrap(), "/etc/x.conf\n");
        let list = fs::read_to_string(info.join("x.list")).unwrap();
        assert!(list.starts_with("/.\n/etc\n/etc/x.conf\n"), "{list}");
    }
}

/// Fetches from the machine's repositories; `None` without a network, where CI fails.
pub fn fetch_by_apt(names: &[&str], options: &Options<'_>) -> Option<(Source, Fetched)> {
    let source = Source { apt: names.iter().map(|name| (*name).to_owned()).collect(), ..Source::default() };
    match fetch(&source, options) {
        Err(error) if std::env::var_os("CI").is_none() && error.hint().is_some_and(|hint| hint.contains("network")) => {
            eprintln!("skipped: no network: {error}");
            None
        }
        answer => Some((source, answer.unwrap())),
    }
}

#[test]
fn apt_downloads_once_and_knows_the_nearest_name() {
    let Some(apt_get) = tool("apt-get") else { return };
    let directory = scratch();
    let options = Options { apt_get, ..Options::new(directory.path().join("cache")) };
    let Some((source, first)) = fetch_by_apt(&["isolinux", "busybox-static"], &options) else { return };
    assert_eq!((first.downloaded, first.reused), (2, false));
    assert_eq!(first.packages.len(), 2, "nothing essential is added");
    let begin = Instant::now();
    let second = fetch(&source, &options).unwrap();
    let elapsed = begin.elapsed();
    assert_eq!((second.downloaded, second.reused), (0, true));
    assert_eq!(second.packages, first.packages);
    eprintln!("a finished root was found in {elapsed:?}");
    assert!(elapsed.as_millis() < 50, "{elapsed:?}");
    // Another root from what is in the cache.
    let other = Source { apt: vec!["isolinux".to_owned()], ..Source::default() };
    assert_eq!(fetch(&other, &options).unwrap().downloaded, 0);

    let unknown = Source { apt: vec!["isolinu".to_owned()], ..Source::default() };
    let error = fetch(&unknown, &options).unwrap_err();
    assert_eq!(error.to_string(), "apt knows no package `isolinu`");
    assert!(error.hint().unwrap().contains("`isolinux`"), "{:?}", error.hint());
}

/// Runs the test above once more as `nobody`, when this is root.
#[test]
fn apt_works_for_an_ordinary_user() {
    let Some(setpriv) = tool("setpriv").filter(|_| fs::metadata("/proc/self").unwrap().uid() == 0) else { return };
    let directory = scratch();
    let program = directory.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let home = directory.path().join("home");
    fs::create_dir(&home).unwrap();
    for path in [directory.path(), &home] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let output = std::process::Command::new(setpriv)
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args(["--exact", "fetch::apt_downloads_once_and_knows_the_nearest_name"])
        .env("TMPDIR", &home)
        .env("HOME", &home)
        .current_dir(&home)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn trees_of_real_packages_are_those_of_dpkg_deb() {
    let (Some(apt_get), Some(dpkg_deb), Some(dpkg_query)) = (tool("apt-get"), tool("dpkg-deb"), tool("dpkg-query"))
    else {
        return;
    };
    let directory = scratch();
    let options = Options { apt_get, ..Options::new(directory.path().join("cache")) };
    let names = ["coreutils", "passwd", "perl-base", "base-files", "nodejs"];
    let Some((_, fetched)) = fetch_by_apt(&names, &options) else { return };
    assert!(fetched.packages.iter().any(|p| p.package == "libc6"), "the closure is complete");
    let archives = directory.path().join("cache/archives");
    for package in &fetched.packages {
        let theirs = directory.path().join("theirs");
        run(&dpkg_deb, &["-x".as_ref(), archives.join(&package.file).as_ref(), theirs.as_ref()]);
        compare(&tree(&theirs), &fetched.root);
        fs::remove_dir_all(&theirs).unwrap();
    }
    let admin = format!("--admindir={}", fetched.root.join("var/lib/dpkg").display());
    let owner = run(&dpkg_query, &[OsStr::new(&admin), "-S".as_ref(), "/bin/cat".as_ref()]);
    assert_eq!(String::from_utf8_lossy(&owner), "coreutils: /bin/cat\n");
    let listed = run(&dpkg_query, &[OsStr::new(&admin), "-W".as_ref(), "-f=${db:Status-Status}\n".as_ref()]);
    assert_eq!(String::from_utf8_lossy(&listed).lines().count(), fetched.packages.len());
    // Every file of the root is attributed, except those that minroot made.
    let root = Root::open(&fetched.root).unwrap();
    let packages = Packages::load(&root).unwrap();
    for found in root.walk(&RootPath::root()).into_iter().map(Result::unwrap).filter(|f| f.info.kind == FileKind::File)
    {
        let made_here = found.path.as_bytes().starts_with(b"/var/lib/dpkg/")
            || found.path.as_bytes().starts_with(b"/var/lib/minroot/");
        assert_eq!(packages.owner(&root, &found.path).is_none(), made_here, "{}", found.path);
    }
}

/// Every path that dpkg-deb unpacked is in `root`, with the same kind, mode, size and time; modes that the disk does not
/// hold are those of the metadata.
fn compare(theirs: &BTreeMap<Vec<u8>, String>, root: &Path) {
    let view = Root::open(root).unwrap();
    for (path, expected) in theirs {
        let found = view.lookup_nofollow(&RootPath::new([b"/", path.as_slice()].concat()).unwrap()).unwrap();
        let host = root.join(OsStr::from_bytes(found.path.relative()));
        let facts = fs::symlink_metadata(&host).unwrap();
        let ours = match found.info.kind {
            FileKind::Symlink => format!("link {} {}", fs::read_link(&host).unwrap().display(), facts.mtime()),
            FileKind::Directory => format!("directory {:o}", found.info.mode),
            _ => format!("file {:o} {} {} {}", found.info.mode, facts.len(), facts.nlink(), facts.mtime()),
        };
        // Top-level directories became links of the merged /usr.
        if !(expected.starts_with("directory") && found.info.kind == FileKind::Symlink) {
            assert_eq!(&ours, expected, "{}", host.display());
        }
    }
}

/// A script in the place of apt-get shows what the real one is given, and what becomes of its errors.
#[test]
fn apt_gets_no_environment_of_the_caller_and_its_errors_are_passed_on() {
    let directory = scratch();
    let program = directory.path().join("apt-get");
    let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\"; echo \"$@\" >>calls; env >environment\n\
        echo 'E: Could not resolve host x' >&2; exit 100\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let options = Options {
        apt_get: program,
        architecture: Some("amd64".to_owned()),
        ..Options::new(directory.path().join("cache"))
    };
    let source = Source { apt: vec!["a".to_owned()], ..Source::default() };
    let error = fetch(&source, &options).unwrap_err();
    assert_eq!(error.to_string(), "apt cannot fetch the package lists: Could not resolve host x");
    assert!(error.hint().unwrap().contains("network"));
    let environment = fs::read_to_string(directory.path().join("environment")).unwrap();
    assert!(environment.contains("LC_ALL=C\n") && !environment.contains("CARGO"), "{environment}");
    // With lists of an earlier day the work goes on, and the next step tells.
    fs::write(directory.path().join("cache/apt/amd64/lists/x_Packages"), "").unwrap();
    let error = fetch(&source, &options).unwrap_err();
    assert_eq!(error.to_string(), "apt cannot resolve the packages: Could not resolve host x");
    let calls = fs::read_to_string(directory.path().join("calls")).unwrap();
    assert!(calls.lines().last().unwrap().ends_with("--print-uris install -- a"), "{calls}");
    for name in ["-o", "a-", "a b", ""] {
        let source = Source { apt: vec![name.to_owned()], ..Source::default() };
        assert!(matches!(fetch(&source, &options), Err(FetchError::PackageName(_))), "{name}");
    }
}

#[test]
fn a_missing_apt_has_a_hint() {
    let directory = scratch();
    let options = Options { apt_get: "/nonexistent/apt-get".into(), ..Options::new(directory.path().join("cache")) };
    let source = Source { apt: vec!["busybox-static".to_owned()], ..Source::default() };
    let error = fetch(&source, &options).unwrap_err();
    assert_eq!(error.to_string(), "cannot start `/nonexistent/apt-get`");
    assert!(error.hint().unwrap().contains("Debian's apt"), "{error}");
}

/// Times for `benches/`; run with `--ignored --nocapture`.
#[test]
#[ignore = "prints times, needs the network"]
fn times_of_a_node_and_kernel_closure() {
    let directory = scratch();
    let options = Options::new(directory.path().join("cache"));
    let names =
        ["nodejs", "linux-image-cloud-amd64", "busybox-static", "isolinux", "syslinux-common", "grub-efi-amd64-bin"];
    let begin = Instant::now();
    let Some((source, fetched)) = fetch_by_apt(&names, &options) else { return };
    eprintln!("first: {:?}, {} packages downloaded", begin.elapsed(), fetched.downloaded);
    eprintln!("{:#?} {:?}", fetched.notes, fetched.module_directories);
    let begin = Instant::now();
    let reused = fetch(&source, &options).unwrap().reused;
    eprintln!("second: {:?}, reused {reused}", begin.elapsed());
    let pattern = directory.path().join("cache/archives/*.deb").to_str().unwrap().to_owned();
    let files = Source { packages: vec![pattern], ..Source::default() };
    for threads in [1, 2] {
        let refresh = Options { refresh: true, ..Options::new(directory.path().join("cache")) };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let begin = Instant::now();
        let fetched = pool.install(|| fetch(&files, &refresh).unwrap());
        eprintln!("unpack with {threads} threads: {:?}, {} files", begin.elapsed(), tree(&fetched.root).len());
    }
    let begin = Instant::now();
    for package in &fetched.packages {
        let archive = directory.path().join("cache/archives").join(&package.file);
        run(Path::new("dpkg-deb"), &["-x".as_ref(), archive.as_ref(), directory.path().join("theirs").as_ref()]);
    }
    eprintln!("dpkg-deb -x, one after the other: {:?}", begin.elapsed());
    load_times(&fetched.root);
}

/// How long the attribution of this machine takes; run with `--ignored --nocapture`.
#[test]
#[ignore = "prints times"]
fn times_of_loading_the_package_lists() {
    let begin = Instant::now();
    let mut lines = 0;
    for entry in fs::read_dir("/var/lib/dpkg/info").unwrap() {
        let path = entry.unwrap().path();
        if path.extension() == Some(OsStr::new("list")) {
            lines += fs::read(path).unwrap().iter().filter(|b| **b == b'\n').count();
        }
    }
    eprintln!("only reading {lines} lines: {:?}", begin.elapsed());
    load_times(Path::new("/"));
}

fn load_times(host: &Path) {
    let root = Root::open(host).unwrap();
    for _ in 0..10 {
        let begin = Instant::now();
        let packages = Packages::load(&root).unwrap();
        let loaded = begin.elapsed();
        let begin = Instant::now();
        let miss = packages.owner(&root, &RootPath::new("/etc/passwd").unwrap());
        eprintln!("{}: load {loaded:?}, first miss {:?} {miss:?}", host.display(), begin.elapsed());
    }
}
