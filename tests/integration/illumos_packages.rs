//! Roots made from SVR4 and IPS packages, which independent tools pack here: cpio, zip, bsdtar, gzip, sum.

use crate::support::{run, scratch, tool};
use minroot::fetch::{FetchError, Fetched, Options, fetch};
use minroot::packages::Packages;
use minroot::path::RootPath;
use minroot::recipe::Source;
use minroot::root::{FileKind, Root};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn source(patterns: &[&Path], select: &[&str]) -> Source {
    let text = |path: &&Path| path.to_str().unwrap().to_owned();
    let select = select.iter().map(|name| (*name).to_owned()).collect();
    Source { packages: patterns.iter().map(text).collect(), select, ..Source::default() }
}

fn fetch_from(directory: &Path, source: &Source) -> Result<Fetched, FetchError> {
    fetch(source, &Options::new(directory.join("cache")))
}

/// The error with its cause; nothing half-written stays.
fn failure(directory: &Path, source: &Source) -> String {
    let error = fetch_from(directory, source).unwrap_err();
    let left: Vec<_> = fs::read_dir(directory.join("cache/roots")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Runs a program with its standard input from one file and its standard output to another.
fn pipe(program: &Path, arguments: &[&str], directory: &Path, input: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", program.display());
    output.stdout
}

/// What a root says about a path: kind, mode, owner, group.
fn facts(root: &Root, path: &str) -> (FileKind, u32, u32, u32) {
    let info = root.lookup_nofollow(&RootPath::new(path).unwrap()).unwrap_or_else(|e| panic!("{path}: {e}")).info;
    (info.kind, info.mode, info.uid, info.gid)
}

fn owner(root: &Path, path: &str) -> Option<String> {
    let root = Root::open(root).unwrap();
    Packages::load(&root).unwrap().owner(&root, &RootPath::new(path).unwrap()).map(str::to_owned)
}

/// A package in a directory, written entry by entry as pkgmk(1) would.
struct Svr4 {
    directory: PathBuf,
    map: String,
}

impl Svr4 {
    fn new(parent: &Path, name: &str, parameters: &str) -> Svr4 {
        let directory = parent.join(name);
        write(&directory.join("pkginfo"), format!("PKG={name}\nNAME=x\nARCH=i386\nVERSION=0.40\n{parameters}"));
        Svr4 { directory, map: ": 1 100\n1 i pkginfo 1 2 3\n".to_owned() }
    }

    fn line(mut self, line: &str) -> Svr4 {
        self.map.push_str(line);
        self.map.push('\n');
        self
    }

    /// A file with the checksum that sum(1) gives it.
    fn file(self, kind: &str, path: &str, mode: &str, content: &str) -> Svr4 {
        let top = if path.starts_with('/') { "root" } else { "reloc" };
        let place = self.directory.join(top).join(path.trim_start_matches('/'));
        write(&place, content);
        let sum = run(&tool("sum").unwrap(), &["-s".as_ref(), place.as_ref()]);
        let sum = String::from_utf8(sum).unwrap().split(' ').next().unwrap().to_owned();
        self.line(&format!("1 {kind} {path} {mode} {} {sum} 1700000000", content.len()))
    }

    fn done(self) -> PathBuf {
        fs::write(self.directory.join("pkgmap"), self.map).unwrap();
        self.directory
    }
}

const POSTINSTALL: &str = "#!/sbin/sh\nCMD=/usr/sbin/add_drv\nif [ \"${BASEDIR}\" = \"/\" ]; then\n    BFLAGS=\"\"\nelse\n    \
    BFLAGS=\"-b ${BASEDIR}\"\nfi\n${CMD} ${BFLAGS} -m '* 0666 root sys' -i '\"pci8086,100e\" \"pci8086,100f\"' e1000g\n";

/// Two packages with every type of entry.
pub fn tribblix(parent: &Path) {
    Svr4::new(parent, "SUNWcs", "BASEDIR=/\nUSRDIR=usr\n")
        .line("1 d none usr 0755 root sys")
        .line("1 d none etc 0755 root sys")
        .line("1 x none var/private 0700 root sys")
        .file("e preserve", "etc/passwd", "0644 root sys", "root:x:0:0::/:/sbin/sh\nalice:x:1000:10::/:\n")
        .file("e preserve", "/etc/name_to_major", "0644 root sys", "cn 0\nrootnex 1\n")
        .file("f none", "usr/bin/su", "4755 root sys", "setuid")
        .file("f none", "$USRDIR/lib/isaexec", "0555 root bin", "isaexec")
        .file("v none", "/var/log/mine", "0600 alice staff", "")
        .line("1 s none bin=./usr/bin")
        .line("1 l none usr/bin/mdb=../lib/isaexec")
        .line("1 l none usr/bin/su2=usr/bin/su")
        .line("1 c none dev/null 13 2 0666 root sys")
        .line("1 p none etc/fifo 0600 root sys")
        .done();
    let package = Svr4::new(parent, "TRIBdrv-net-e1000g", "BASEDIR=/\n")
        .line("1 d none usr ? ? ?")
        .line("1 d none /kernel/drv/amd64 0755 root sys")
        .file("f none", "kernel/drv/amd64/e1000g", "0755 root sys", "module")
        .line("1 l none usr/bin/adb=../lib/isaexec")
        .line("1 i postinstall 1 2 3");
    write(&package.directory.join("install/postinstall"), POSTINSTALL);
    package.done();
}

fn check_tribblix(fetched: &Fetched) {
    let names: Vec<_> = fetched.packages.iter().map(|p| (p.package.as_str(), p.version.as_str())).collect();
    assert_eq!(names, [("SUNWcs", "0.40"), ("TRIBdrv-net-e1000g", "0.40")]);
    assert_eq!(fetched.notes, Vec::<String>::new());
    let root = Root::open(&fetched.root).unwrap();
    assert_eq!(facts(&root, "/usr/bin/su"), (FileKind::File, 0o4755, 0, 3));
    assert_eq!(facts(&root, "/usr"), (FileKind::Directory, 0o755, 0, 3), "not as the package with `?` has it");
    assert_eq!(facts(&root, "/var/private"), (FileKind::Directory, 0o700, 0, 3));
    assert_eq!(facts(&root, "/var/log/mine"), (FileKind::File, 0o600, 1000, 10), "numbers of the root's own passwd");
    assert_eq!(facts(&root, "/dev/null"), (FileKind::Char { major: 13, minor: 2 }, 0o666, 0, 3));
    assert_eq!(facts(&root, "/etc/fifo"), (FileKind::Fifo, 0o600, 0, 3));
    assert_eq!(facts(&root, "/usr/bin/adb"), (FileKind::File, 0o555, 0, 2), "a link has what its file has");
    let host = |path: &str| fs::symlink_metadata(fetched.root.join(path)).unwrap();
    assert_eq!(host("usr/bin/su").mode() & 0o7777, 0o755);
    assert_eq!(host("usr/bin/su").mtime(), 1_700_000_000);
    assert_eq!(host("usr/bin/su").ino(), host("usr/bin/su2").ino());
    assert_eq!(host("usr/bin/mdb").ino(), host("usr/lib/isaexec").ino());
    assert_eq!(host("usr/bin/adb").ino(), host("usr/lib/isaexec").ino(), "across packages");
    assert_eq!(fs::read_link(fetched.root.join("bin")).unwrap(), Path::new("./usr/bin"));
    assert_eq!(fs::read_to_string(fetched.root.join("bin/su")).unwrap(), "setuid");
    let text = |path: &str| fs::read_to_string(fetched.root.join(path)).unwrap();
    assert_eq!(text("etc/name_to_major"), "cn 0\nrootnex 1\ne1000g 2\n");
    assert_eq!(text("etc/driver_aliases"), "e1000g \"pci8086,100e\"\ne1000g \"pci8086,100f\"\n");
    assert_eq!(text("etc/minor_perm"), "e1000g:* 0666 root sys\n");
    assert!(!fetched.root.join("var/lib/dpkg").exists() && !fetched.root.join("usr/lib/x").exists());
    for (path, package) in [
        ("/usr/bin/su", Some("SUNWcs")),
        ("/bin/su", Some("SUNWcs")),
        ("/bin", Some("SUNWcs")),
        ("/usr", Some("SUNWcs")),
        ("/usr/bin/adb", Some("TRIBdrv-net-e1000g")),
        ("/kernel/drv/amd64/e1000g", Some("TRIBdrv-net-e1000g")),
        ("/dev/null", Some("SUNWcs")),
        ("/etc/minor_perm", None),
    ] {
        assert_eq!(owner(&fetched.root, path).as_deref(), package, "{path}");
    }
    let contents = text("var/sadm/install/contents");
    assert!(contents.contains("\n/usr d none 0755 root sys SUNWcs TRIBdrv-net-e1000g\n"), "{contents}");
    assert!(contents.contains("/usr/bin/mdb=../lib/isaexec l none SUNWcs\n"), "{contents}");
}

/// Packs packages as pkgtrans does: a header, an archive of what describes them, an archive of each.
pub fn datastream(parent: &Path, names: &[&str], format: &str) -> Option<Vec<u8>> {
    let (cpio, find) = (tool("cpio")?, tool("find")?);
    let mut stream = "# PaCkAgE DaTaStReAm\n".to_owned();
    names.iter().for_each(|name| stream.push_str(&format!("{name} 1 100\n")));
    stream.push_str("# end of header\n");
    let mut stream = stream.into_bytes();
    stream.resize(stream.len().next_multiple_of(512), 0);
    let format = ["-o", "-H", format, "--quiet"];
    let list: String = names.iter().map(|name| format!("{name}/pkginfo\n{name}/pkgmap\n")).collect();
    stream.extend(pipe(&cpio, &format, parent, list.as_bytes()));
    for name in names {
        let list = pipe(&find, &["."], &parent.join(name), b"");
        stream.extend(pipe(&cpio, &format, &parent.join(name), &list));
    }
    Some(stream)
}

#[test]
fn directories_datastreams_and_zaps_give_the_same_root() {
    let (Some(zip), Some(_)) = (tool("zip"), tool("cpio")) else { return };
    let directory = scratch();
    let spool = directory.path().join("spool");
    tribblix(&spool);
    check_tribblix(&fetch_from(directory.path(), &source(&[&spool], &[])).unwrap());
    check_tribblix(&fetch_from(directory.path(), &source(&[&spool.join("*")], &[])).unwrap());
    for format in ["odc", "newc"] {
        let file = directory.path().join(format!("{format}.pkg"));
        let stream = datastream(&spool, &["TRIBdrv-net-e1000g", "SUNWcs"], format).unwrap();
        write(&file, stream);
        check_tribblix(&fetch_from(directory.path(), &source(&[&file], &[])).unwrap());
    }
    for name in ["SUNWcs", "TRIBdrv-net-e1000g"] {
        // Told by content, not by name.
        let zap = directory.path().join("zaps").join(name);
        fs::create_dir_all(zap.parent().unwrap()).unwrap();
        let status = Command::new(&zip).args(["-q", "-r"]).arg(&zap).arg(name).current_dir(&spool).status().unwrap();
        assert!(status.success());
    }
    let zaps = directory.path().join("zaps/*");
    // zip adds a suffix where there is none.
    let fetched = fetch_from(directory.path(), &source(&[&zaps], &[])).unwrap();
    check_tribblix(&fetched);
    assert!(fetch_from(directory.path(), &source(&[&zaps], &[])).unwrap().reused);
}

#[test]
fn a_package_is_selected_by_either_of_its_names() {
    let directory = scratch();
    let spool = directory.path().join("spool");
    tribblix(&spool);
    for name in ["TRIBdrv-net-e1000g", "driver/network/e1000g"] {
        let fetched = fetch_from(directory.path(), &source(&[&spool], &[name])).unwrap();
        assert_eq!(fetched.packages.len(), 1);
        let note = "`TRIBdrv-net-e1000g`: the hard link `/usr/bin/adb` is left out: no package has `/usr/lib/isaexec`";
        assert_eq!(fetched.notes, [note]);
        assert_eq!(fs::read_to_string(fetched.root.join("etc/name_to_major")).unwrap(), "e1000g 0\n");
    }
    let error = fetch_from(directory.path(), &source(&[&spool], &["driver/network/e1000"])).unwrap_err();
    assert_eq!(error.to_string(), "the package sources have no package `driver/network/e1000`");
}

/// A package whose files of the class `none` are in an archive, made by the real tools.
fn class_archive(parent: &Path, suffix: &str, compress: &str) -> Option<PathBuf> {
    let (cpio, sh) = (tool("cpio")?, tool("sh")?);
    tool(compress.split(' ').next().unwrap())?;
    let package = Svr4::new(parent, "SUNWx", "BASEDIR=/opt\n")
        .file("f none", "bin/program", "0755 root bin", "a program")
        .file("e none", "etc/conf", "0644 root sys", "")
        .file("f other", "lib/plain", "0644 root bin", "beside the archive");
    let directory = package.done();
    let pack = format!(
        "cd \"$1/reloc\" && mkdir ../archive && printf './bin/program\\netc/conf\\n' | \"$0\" -o -c --quiet | {compress} > \
         ../archive/none{suffix} && rm -r bin etc"
    );
    run(&sh, &["-c".as_ref(), pack.as_ref(), cpio.as_os_str(), directory.as_os_str()]);
    Some(directory)
}

#[test]
fn files_of_a_class_archive_are_where_the_package_has_them() {
    for (suffix, compress) in [("", "cat"), (".bz2", "bzip2 -9"), (".gz", "gzip -9")] {
        let directory = scratch();
        let Some(package) = class_archive(directory.path(), suffix, compress) else { return };
        let fetched = fetch_from(directory.path(), &source(&[&package], &[])).unwrap();
        for (path, content) in [("bin/program", "a program"), ("etc/conf", ""), ("lib/plain", "beside the archive")] {
            assert_eq!(fs::read_to_string(fetched.root.join("opt").join(path)).unwrap(), content, "{suffix}: {path}");
        }

        // The archive is cut, or its file is not what `pkgmap` says.
        let archive = package.join(format!("archive/none{suffix}"));
        let whole = fs::read(&archive).unwrap();
        fs::write(&archive, &whole[..whole.len() / 2]).unwrap();
        let error = failure_of(&package);
        assert!(error.contains(&format!("archive/none{suffix} of SUNWx")), "{error}");
        fs::write(&archive, &whole).unwrap();
        let map = fs::read_to_string(package.join("pkgmap")).unwrap().replace(" 9 ", " 8 ");
        fs::write(package.join("pkgmap"), map).unwrap();
        let error = failure_of(&package);
        assert!(error.contains("`bin/program` has 9 bytes instead of 8"), "{error}");
    }
}

/// What is said about one package with this line, which is not to be unpacked.
fn svr4_refusal(line: &str, content: Option<&str>) -> String {
    let directory = scratch();
    let mut package = Svr4::new(directory.path(), "hostile", "BASEDIR=/\nUP=../..\n").line(line);
    if let Some(path) = content {
        write(&package.directory.join(path), "x");
    }
    package = package.line("1 d none tmp 1777 root sys");
    failure(directory.path(), &source(&[&package.done()], &[]))
}

#[test]
fn an_entry_that_would_leave_the_root_is_refused_with_its_package() {
    for (line, piece) in [
        ("1 f none ../../etc/passwd 0644 root sys 1 120 1", "reloc/../../etc/passwd"),
        ("1 f none $UP/etc/passwd 0644 root sys 1 120 1", "reloc/x"),
        ("1 f none /../etc/passwd 0644 root sys 1 120 1", "root/x"),
        ("1 d none ../x 0755 root sys", "x"),
        ("1 s none ../x=y", "x"),
    ] {
        let error = svr4_refusal(line, Some(piece).filter(|piece| !piece.contains("..")));
        assert!(error.contains("`hostile`") && error.contains("`..`"), "{error}");
    }
    let error = svr4_refusal("1 l none a=../../../etc/passwd", None);
    assert!(error.contains("hard link to `../../../etc/passwd`") && error.contains("`hostile`"), "{error}");
    let error = svr4_refusal("1 f none a 0644 root sys 1 120 1", None);
    assert_eq!(
        error,
        "the content of `a` of the package `hostile` is not what the package promises: there is no `reloc/a`"
    );
    let error = svr4_refusal("1 f none a 0644 root sys 1 121 1", Some("reloc/a"));
    assert!(error.ends_with("its checksum is 120 instead of 121"), "{error}");
    let error = svr4_refusal("1 f none a 0644 root sys 2 120 1", Some("reloc/a"));
    assert!(error.ends_with("it has 1 bytes instead of 2"), "{error}");
    let error = svr4_refusal("1 f none $NOT/a 0644 root sys 2 120 1", Some("reloc/a"));
    assert!(error.ends_with("`pkginfo` has no value for `$NOT`"), "{error}");
    let error = svr4_refusal("1 f none a 0644 root sys 1 120 1", Some("archive/none.7z"));
    assert!(error.contains("are in `archive/none.7z`, which minroot does not read"), "{error}");
    let error = svr4_refusal("1 f none a 0644 root", None);
    assert!(
        error.contains("`pkgmap of hostile`") && error.contains("line 3 of `pkgmap`: the group is missing"),
        "{error}"
    );

    // Through a link to the outside, and what a link in the package itself leads to.
    let outside = scratch();
    write(&outside.path().join("secret"), "x");
    let directory = scratch();
    let link = format!("1 s none escape={}", outside.path().display());
    let package =
        Svr4::new(directory.path(), "hostile", "").line(&link).file("f none", "escape/x", "0644 root sys", "x").done();
    let error = failure(directory.path(), &source(&[&package], &[]));
    assert!(error.contains("leads out of the root"), "{error}");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    let package = Svr4::new(directory.path(), "linked", "").line("1 f none secret 0644 root sys 1 120 1").done();
    fs::create_dir(package.join("reloc")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret"), package.join("reloc/secret")).unwrap();
    assert!(failure(directory.path(), &source(&[&package], &[])).ends_with("there is no `reloc/secret`"));
}

#[test]
fn damaged_datastreams_and_zaps_are_errors_and_never_a_panic() {
    let Some(zip) = tool("zip") else { return };
    let directory = scratch();
    let spool = directory.path().join("spool");
    tribblix(&spool);
    let Some(stream) = datastream(&spool, &["SUNWcs"], "odc") else { return };
    let zap = directory.path().join("x.zap");
    assert!(
        Command::new(zip).args(["-q", "-r"]).arg(&zap).arg("SUNWcs").current_dir(&spool).status().unwrap().success()
    );
    let file = directory.path().join("damaged");
    let good = [stream, fs::read(&zap).unwrap()];
    for bytes in &good {
        for cut in (0..bytes.len() - 1024).step_by(499) {
            fs::write(&file, &bytes[..cut]).unwrap();
            let error = fetch_from(directory.path(), &source(&[&file], &[])).unwrap_err();
            assert!(matches!(error, FetchError::Damaged { .. }), "{cut}: {error}");
        }
        for flip in (0..bytes.len()).step_by(211) {
            let mut bytes = bytes.clone();
            bytes[flip] ^= 0x11;
            fs::write(&file, bytes).unwrap();
            let _ = fetch_from(directory.path(), &source(&[&file], &[]));
        }
    }
    let mut huge = good[0].clone();
    let at = memchr::memmem::find(&huge, b"SUNWcs 1 100").unwrap();
    huge[at..at + 12].copy_from_slice(b"SUNWcs 99999");
    fs::write(&file, &huge).unwrap();
    assert!(failure_of(&file).contains("`archive of SUNWcs`"));
    huge[at..at + 12].copy_from_slice(b"SUNWcs 99999".map(|b| if b == b'9' { b' ' } else { b }).as_slice());
    fs::write(&file, &huge).unwrap();
    assert!(failure_of(&file).contains("the number of parts of `SUNWcs` is not a number"));
}

fn failure_of(file: &Path) -> String {
    let directory = scratch();
    failure(directory.path(), &source(&[file], &[]))
}

/// A repository of IPS packages, written file by file; content is stored by gzip under what sha1sum says.
pub struct Ips {
    pub directory: PathBuf,
}

impl Ips {
    fn new(directory: PathBuf) -> Ips {
        write(&directory.join("pkg5.repository"), "[repository]\nversion = 4\n");
        Ips { directory }
    }

    /// Stores content and gives the words of an action for it.
    fn content(&self, content: &str) -> String {
        let digest = pipe(&tool("sha1sum").unwrap(), &[], &self.directory, content.as_bytes());
        let digest = String::from_utf8(digest).unwrap()[..40].to_owned();
        let packed = pipe(&tool("gzip").unwrap(), &["-c", "-n"], &self.directory, content.as_bytes());
        write(&self.directory.join("publisher/omnios/file").join(&digest[..2]).join(&digest), packed);
        format!("{digest} chash=0 pkg.size={}", content.len())
    }

    fn package(&self, stem: &str, version: &str, manifest: &str) {
        let name = |text: &str| text.replace('/', "%2F").replace(',', "%2C").replace(':', "%3A");
        let path = self.directory.join("publisher/omnios/pkg").join(name(stem)).join(name(version));
        write(&path, format!("set name=pkg.fmri value=pkg://omnios/{stem}@{version}\n{manifest}"));
    }

    /// The same as an archive, made by bsdtar.
    pub fn archive(&self, file: &Path) -> Option<()> {
        let (bsdtar, directory) = (tool("bsdtar")?, self.directory.as_os_str());
        let words = ["-c", "--format", "pax", "-f"].map(OsStr::new);
        let names = ["-C".as_ref(), directory, "pkg5.repository".as_ref(), "publisher".as_ref()];
        run(&bsdtar, &[&words[..], &[file.as_os_str()], &names].concat());
        Some(())
    }
}

pub fn omnios(directory: &Path) -> Ips {
    let ips = Ips::new(directory.join("repository"));
    let (cddl, lost) = (ips.content("You may do this."), "0".repeat(40));
    let (su, old, empty) = (ips.content("setuid"), ips.content("old"), ips.content(""));
    let (isaexec, module, major) = (ips.content("isaexec"), ips.content("module"), ips.content("cn 0\nrootnex 1\n"));
    ips.package(
        "SUNWcs",
        "0.5.11,5.11-1:20240101T000000Z",
        &format!("file {old} path=usr/bin/su mode=0555 owner=root group=bin\n"),
    );
    ips.package(
        "SUNWcs",
        "0.5.11,5.11-2:20240101T000000Z",
        &format!(
            r#"set name=variant.arch value=i386 value=sparc
dir path=usr mode=0755 owner=root group=sys
dir path=etc mode=0755 owner=root group=sys
file {su} path=usr/bin/su mode=4755 owner=root group=sys timestamp=20250101T000000Z elfhash=ff
file {isaexec} path=usr/lib/isaexec mode=0555 owner=root group=bin variant.opensolaris.zone=global
file {old} path=usr/lib/zone mode=0555 owner=root group=bin variant.opensolaris.zone=nonglobal
file {old} path=usr/lib/sparc mode=0555 owner=root group=bin variant.arch=sparc
file {isaexec} path=usr/share/man/x mode=0444 owner=root group=bin facet.doc.man=true
file {major} path=etc/name_to_major mode=0644 owner=root group=sys preserve=true
file {empty} path=etc/kept mode=0644 owner=db group=db preserve=renamenew overlay=allow
hardlink path=usr/bin/mdb target=../lib/isaexec
link path=bin target=./usr/bin
link path=usr/bin/python target=python2 mediator=python mediator-version=2.7
license {cddl} license="lic CDDL"
license aa license=lost
license {lost} license=gone
legacy pkg=SUNWcs name="Core \"Solaris\""
group groupname=db gid=90
user username=db uid=90 group=db home-dir=/var/db
"#
        ),
    );
    ips.package(
        "driver/network/e1000g",
        "0.5.11,5.11-2:20240101T000000Z",
        &format!(
            r#"dir path=usr mode=0755 owner=root group=sys
file {module} path=kernel/drv/amd64/e1000g mode=0755 owner=root group=sys
file {su} path=etc/kept mode=0600 owner=root group=sys overlay=true
hardlink path=usr/bin/adb target=../../usr/lib/isaexec
link path=usr/bin/python target=python3 mediator=python mediator-version=3.12
driver name=e1000g clone_perms="e1000g 0666 root sys" perms="* 0666 root sys" alias=pci8086,100e \
    alias=pci8086,100f policy="read_priv_set=net_rawaccess"
depend fmri=pkg:/SUNWcs type=require
"#
        ),
    );
    ips.package("old/name", "1", "set name=pkg.renamed value=true\ndepend fmri=pkg:/new/name type=require\n");
    ips
}

fn check_omnios(fetched: &Fetched) {
    let names: Vec<_> = fetched.packages.iter().map(|p| (p.package.as_str(), p.version.as_str())).collect();
    let version = "0.5.11,5.11-2:20240101T000000Z";
    assert_eq!(names, [("SUNWcs", version), ("driver/network/e1000g", version)]);
    let root = Root::open(&fetched.root).unwrap();
    assert_eq!(facts(&root, "/usr/bin/su"), (FileKind::File, 0o4755, 0, 3));
    assert_eq!(facts(&root, "/etc/kept"), (FileKind::File, 0o600, 0, 3), "the overlay counts");
    assert_eq!(facts(&root, "/etc"), (FileKind::Directory, 0o755, 0, 3));
    let host = |path: &str| fs::symlink_metadata(fetched.root.join(path)).unwrap();
    assert_eq!(host("usr/bin/su").mtime(), 1_735_689_600);
    assert_eq!(host("usr/bin/mdb").ino(), host("usr/lib/isaexec").ino());
    assert_eq!(host("usr/bin/adb").ino(), host("usr/lib/isaexec").ino());
    assert_ne!(host("etc/kept").ino(), host("usr/bin/su").ino(), "equal content is not one file");
    let text = |path: &str| fs::read_to_string(fetched.root.join(path)).unwrap();
    assert_eq!((text("usr/bin/su").as_str(), text("etc/kept").as_str()), ("setuid", "setuid"));
    assert!(!fetched.root.join("usr/lib/zone").exists() && !fetched.root.join("usr/lib/sparc").exists());
    assert_eq!(fs::read_link(fetched.root.join("usr/bin/python")).unwrap(), Path::new("python3"));
    assert_eq!(text("etc/name_to_major"), "cn 0\nrootnex 1\ne1000g 2\n");
    assert_eq!(text("etc/driver_aliases"), "e1000g \"pci8086,100e\"\ne1000g \"pci8086,100f\"\n");
    assert_eq!(text("etc/minor_perm"), "e1000g:* 0666 root sys\nclone:e1000g 0666 root sys\n");
    assert_eq!(text("etc/security/device_policy"), "e1000g\tread_priv_set=net_rawaccess\n");
    assert_eq!(text("etc/passwd"), "db:x:90:90:& User:/var/db:\n");
    assert_eq!((text("etc/shadow").as_str(), text("etc/group").as_str()), ("db:*LK*:::::::\n", "db::90:\n"));
    for (path, package) in [
        ("/usr/bin/su", Some("SUNWcs")),
        ("/bin/su", Some("SUNWcs")),
        ("/usr", Some("SUNWcs")),
        ("/usr/bin/adb", Some("driver/network/e1000g")),
        ("/etc/kept", Some("SUNWcs")),
        ("/etc/passwd", None),
    ] {
        assert_eq!(owner(&fetched.root, path).as_deref(), package, "{path}");
    }
}

#[test]
fn repositories_archives_and_images_give_the_same_root() {
    let directory = scratch();
    let ips = omnios(directory.path());
    let names = ["SUNWcs", "TRIBdrv-net-e1000g"];
    let fetched = fetch_from(directory.path(), &source(&[&ips.directory], &names)).unwrap();
    check_omnios(&fetched);
    // The root is an image by itself.
    let image = directory.path().join("image");
    run(&tool("cp").unwrap(), &["-r".as_ref(), fetched.root.as_ref(), image.as_ref()]);
    fs::remove_file(image.join("etc/name_to_major")).unwrap();
    fs::write(image.join("etc/name_to_major"), "cn 0\nrootnex 1\n").unwrap();
    check_omnios(&fetch_from(directory.path(), &source(&[&image], &[])).unwrap());
    let archive = directory.path().join("packages");
    if ips.archive(&archive).is_some() {
        check_omnios(&fetch_from(directory.path(), &source(&[&archive], &["SUNWcs", "e1000g"])).unwrap());
    }
}

#[test]
fn facets_leave_out_what_the_recipe_does_not_want() {
    let directory = scratch();
    let ips = omnios(directory.path());
    let mut source = source(&[&ips.directory], &["SUNWcs"]);
    assert!(fetch_from(directory.path(), &source).unwrap().root.join("usr/share/man/x").exists());
    source.facets = [("doc".to_owned(), false)].into();
    assert!(!fetch_from(directory.path(), &source).unwrap().root.join("usr/share/man/x").exists());
    source.select = vec!["old/name".to_owned()];
    let fetched = fetch_from(directory.path(), &source).unwrap();
    assert_eq!(fetched.notes, ["`old/name` is now pkg:/new/name: it has no files"]);
}

/// What is said about one package with this action, which is not to be unpacked.
fn ips_refusal(action: &str, archived: bool) -> String {
    let directory = scratch();
    let ips = Ips::new(directory.path().join("repository"));
    let content = ips.content("content");
    let action = action.replace("CONTENT", &content).replace("DIGEST", &content[..40]);
    ips.package("hostile/package", "1", &format!("dir path=usr\n{action}\n"));
    let mut place = ips.directory.clone();
    if archived {
        place = directory.path().join("x.p5p");
        ips.archive(&place).unwrap();
    }
    failure(directory.path(), &source(&[&place], &[]))
}

#[test]
fn an_action_that_would_leave_the_root_or_lies_about_content_is_refused_with_its_package() {
    let Some(_) = tool("bsdtar") else { return };
    for archived in [false, true] {
        for (action, expected) in [
            ("file CONTENT path=../etc/passwd mode=0644", "`..`"),
            ("dir path=usr/../../x", "`..`"),
            ("link path=a/../../b target=c", "`..`"),
            ("link path=a target=../../etc\nfile CONTENT path=a/b", "leads out of the root"),
            ("hardlink path=a target=../../etc/passwd", "hard link to `../../etc/passwd`"),
            ("link path=a", "symlink to nothing"),
            ("file CONTENT path=", "something else elsewhere"),
            ("file CONTENT path=a mode=9", "its mode is not octal"),
            ("file path=a", "the action has no digest"),
            ("file ../../../x path=a", "`../../../x` is no digest"),
            ("file NOHASH path=a", "`NOHASH` is no digest"),
            ("file 0123456789012345678901234567890123456789 path=a", "there is no content `0123"),
            ("file DIGEST path=a pkg.size=6", "it has more bytes instead of 6"),
            ("file DIGEST path=a pkg.size=8", "it has 7 bytes instead of 8"),
            ("file DIGEST path=a pkg.size=x", "its `pkg.size` is not a number"),
            ("file DIGEST path=a timestamp=now", "its `timestamp` is no time"),
            ("file DIGEST path=\"a", "a quote is not closed"),
        ] {
            let error = ips_refusal(action, archived);
            let named = error.contains("`hostile/package`") || error.contains("manifest of hostile/package");
            assert!(named && error.contains(expected), "{action}: {error}");
        }
    }
}

#[test]
fn content_with_a_wrong_digest_is_refused() {
    let directory = scratch();
    let ips = Ips::new(directory.path().join("repository"));
    let content = ips.content("content");
    ips.package("a", "1", &format!("file {content} path=x"));
    let file = ips.directory.join("publisher/omnios/file").join(&content[..2]).join(&content[..40]);
    let gzip = tool("gzip").unwrap();
    fs::write(&file, pipe(&gzip, &["-c"], directory.path(), b"CONTENT")).unwrap();
    let error = failure(directory.path(), &source(&[&ips.directory], &[]));
    assert!(error.contains("its digest is ") && error.contains("`a`"), "{error}");
    fs::write(&file, "no gzip").unwrap();
    let error = failure(directory.path(), &source(&[&ips.directory], &[]));
    assert!(error.contains("its gzip data are damaged"), "{error}");
    // A megabyte of zeros in a kilobyte: not more is unpacked than was promised.
    fs::write(&file, pipe(&gzip, &["-c"], directory.path(), &vec![0; 1 << 20])).unwrap();
    assert!(failure(directory.path(), &source(&[&ips.directory], &[])).contains("instead of 7"));
}

#[test]
fn damaged_archives_are_errors_and_never_a_panic() {
    let directory = scratch();
    let ips = omnios(directory.path());
    let file = directory.path().join("x.p5p");
    if ips.archive(&file).is_none() {
        return;
    }
    let good = fs::read(&file).unwrap();
    for cut in (0..good.len() - 10240).step_by(997) {
        fs::write(&file, &good[..cut]).unwrap();
        let answer = fetch_from(directory.path(), &source(&[&file], &["SUNWcs"]));
        assert!(answer.is_err(), "{cut}");
    }
    for flip in (0..good.len()).step_by(499) {
        let mut bytes = good.clone();
        bytes[flip] ^= 0x11;
        fs::write(&file, bytes).unwrap();
        let _ = fetch_from(directory.path(), &source(&[&file], &[]));
    }
}
