//! A small image made by minroot itself: Debian's boot loaders, a kernel that is all header, two modules, a program with
//! two libraries and a script. Everything in it can be changed before it is packed.

use crate::support::{run, tool};
use minroot::iso::{Blob, LinuxIso, Loaders, write_linux_iso};
use minroot::manifest::{Content, Entry, Manifest};
use minroot::pack::{Compression, Contents, Format, PackOptions, write_archive};
use minroot::path::RootPath;
use minroot::recipe::Recipe;
use minroot::resolve::glibc::Cache;
use minroot::root::Root;
use minroot::rules::RuleSet;
use minroot::trace::{Input, trace};
use minroot::verify::{Severity, Verdict, verify};
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub const RELEASE: &str = "6.1.0-test";
pub const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/libgreet.so.1";
pub const INNER: &str = "/usr/lib/x86_64-linux-gnu/libinner.so.1";
pub const PROGRAM: &str = "/usr/bin/greet";
pub const SCRIPT: &str = "/usr/bin/hello";

const RECIPE: &str = r#"
system = "linux"
[trace]
targets = ["/srv/data"]
modules = ["second"]
[[startup]]
run = "hello"
[[startup]]
run = "greet /srv/data"
[boot]
kernel_args = "console=ttyS0"
"#;

/// A root with everything, its manifest and the loaders; made once.
pub struct Source {
    _directory: tempfile::TempDir,
    pub root: PathBuf,
    pub manifest: Manifest,
    pub loaders: Loaders,
    pub rules: RuleSet,
}

/// An image in the making.
pub struct Image {
    pub manifest: Manifest,
    pub kernel: Vec<u8>,
    pub loaders: Loaders,
    pub kernel_args: String,
    /// Packed from the manifest when absent.
    pub archive: Option<Vec<u8>>,
    pub scratch: tempfile::TempDir,
}

/// `None`, with a message, where a tool or a package is missing.
pub fn source() -> Option<&'static Source> {
    static SOURCE: OnceLock<Option<Source>> = OnceLock::new();
    SOURCE.get_or_init(make_source).as_ref()
}

fn make_source() -> Option<Source> {
    let gcc = tool("gcc")?;
    let packages = Root::open(&packages()?).unwrap();
    let directory = crate::support::scratch();
    let root = directory.path().join("root");
    fill(&root, &gcc);
    let tree = Root::open(&root).unwrap();
    let loaders = Loaders::find(&packages).unwrap();
    let rules = RuleSet::load(&[]).unwrap();
    let file = directory.path().join("recipe.toml");
    fs::write(&file, RECIPE).unwrap();
    let recipe = Recipe::load(&[file]).unwrap();
    let input =
        Input { root: &tree, rules: &rules, recipe: &recipe, rule_directories: &[], cache: Cache::FromConfiguration };
    let trace = trace(input).unwrap();
    let manifest = trace.manifest(&tree, &rules).unwrap();
    assert_eq!(manifest.missing, []);
    Some(Source { root, manifest, loaders, rules, _directory: directory })
}

fn fill(root: &Path, gcc: &Path) {
    let put = |path: &str, bytes: &[u8], mode| {
        let host = root.join(&path[1..]);
        fs::create_dir_all(host.parent().unwrap()).unwrap();
        fs::write(&host, bytes).unwrap();
        fs::set_permissions(&host, fs::Permissions::from_mode(mode)).unwrap();
    };
    let machine = |path: &str| fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    put("/lib64/ld-linux-x86-64.so.2", &machine("/lib64/ld-linux-x86-64.so.2"), 0o755);
    put("/lib/x86_64-linux-gnu/libc.so.6", &machine("/lib/x86_64-linux-gnu/libc.so.6"), 0o755);
    put(&format!("/boot/vmlinuz-{RELEASE}"), &kernel(RELEASE), 0o644);
    put("/srv/data", b"many bytes", 0o640);
    put(SCRIPT, b"#!/bin/greet -x\n", 0o755);
    symlink("/usr/bin", root.join("bin")).unwrap();
    put(LIBRARY, &library(gcc, "GREET_1"), 0o644);
    let linked = root.join("libinner.so.1");
    put("/libinner.so.1", &inner(gcc), 0o644);
    put(INNER, &fs::read(&linked).unwrap(), 0o644);
    fs::remove_file(linked).unwrap();
    put(PROGRAM, &program(gcc), 0o755);
    fs::hard_link(root.join(&PROGRAM[1..]), root.join("usr/bin/greet-again")).unwrap();
    put(&format!("/lib/modules/{RELEASE}/kernel/first.ko"), &module(gcc, "first", ""), 0o644);
    put(&format!("/lib/modules/{RELEASE}/kernel/second.ko"), &module(gcc, "second", "first"), 0o644);
}

/// Compiles C with these options.
pub fn compile(gcc: &Path, source: &str, options: &[&str]) -> Vec<u8> {
    let directory = crate::support::scratch();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("x.c"), source).unwrap();
    fs::write(path("GREET_1.map"), "GREET_1 { greet; };\n").unwrap();
    fs::write(path("GREET_2.map"), "GREET_2 { greet; };\n").unwrap();
    let output = path("out");
    let options = options.iter().map(|option| option.replace('@', directory.path().to_str().unwrap()));
    let mut arguments: Vec<String> = vec!["-O1".into(), "-o".into(), output.to_str().unwrap().into()];
    arguments.push(path("x.c").to_str().unwrap().into());
    arguments.extend(options);
    run(gcc, &arguments.iter().map(OsStr::new).collect::<Vec<_>>());
    fs::read(output).unwrap()
}

/// [`compile`] against a library.
pub fn linked(gcc: &Path, source: &str, library: &[u8], options: &[&str]) -> Vec<u8> {
    let directory = crate::support::scratch();
    let file = directory.path().join("liblinked.so");
    fs::write(&file, library).unwrap();
    compile(gcc, source, &[&[file.to_str().unwrap()], options].concat())
}

pub fn inner(gcc: &Path) -> Vec<u8> {
    compile(gcc, "int inner(void) { return 7; }", &["-shared", "-fPIC", "-Wl,-soname,libinner.so.1"])
}

/// `libgreet.so.1`, which needs `libinner.so.1`, with its function in a version.
pub fn library(gcc: &Path, version: &str) -> Vec<u8> {
    let source = "int inner(void); int greet(void) { return inner(); }";
    let script = format!("-Wl,--version-script=@/{version}.map");
    linked(gcc, source, &inner(gcc), &["-shared", "-fPIC", "-Wl,-soname,libgreet.so.1", &script])
}

fn program(gcc: &Path) -> Vec<u8> {
    let source = "int greet(void); int main(void) { return greet(); }";
    linked(gcc, source, &library(gcc, "GREET_1"), &["-Wl,--allow-shlib-undefined"])
}

/// `libgreet.so.1` for a 32-bit processor.
pub fn library_32(gcc: &Path) -> Vec<u8> {
    let options = ["-m32", "-nostdlib", "-shared", "-fPIC", "-Wl,-soname,libgreet.so.1"];
    compile(gcc, "int greet(void) { return 0; }", &options)
}

/// An object file with the one section that makes it a kernel module.
pub fn module(gcc: &Path, name: &str, depends: &str) -> Vec<u8> {
    let vermagic = format!("{RELEASE} SMP mod_unload ");
    let fields = [format!("name={name}"), format!("depends={depends}"), format!("vermagic={vermagic}")];
    let field = |(number, text): (usize, &String)| {
        format!("const char f{number}[] __attribute__((section(\".modinfo\"), used)) = \"{text}\";\n")
    };
    let source: String = fields.iter().enumerate().map(field).collect();
    compile(gcc, &source, &["-c"])
}

/// A file with the headers of a bzImage with an EFI stub, and nothing behind them.
pub fn kernel(release: &str) -> Vec<u8> {
    let mut bytes = vec![0; 5 * 512 + (64 << 10)];
    let length = bytes.len() as u32;
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0x1f1, &[4]);
    put(0x1f4, &4096u32.to_le_bytes());
    put(0x1fe, &[0x55, 0xaa]);
    put(0x202, b"HdrS\x0f\x02");
    put(0x20e, &0x300u16.to_le_bytes());
    put(0x211, &[1]);
    put(0x238, &2047u32.to_le_bytes());
    put(0x500, format!("{release} (builder@host) #1 SMP").as_bytes());
    put(0, b"MZ");
    put(60, &0x400u32.to_le_bytes());
    put(0x400, b"PE\0\0\x64\x86\x01\0");
    put(0x414, &[112, 0]);
    put(0x418, &[0x0b, 0x02]);
    put(0x418 + 68, &[10, 0]);
    put(0x418 + 112, b".text");
    put(0x418 + 112 + 16, &(length - 1024).to_le_bytes());
    put(0x418 + 112 + 20, &1024u32.to_le_bytes());
    bytes
}

/// Debian's boot loaders, unpacked; kept in `target/test-cache` from one run to the next.
fn packages() -> Option<PathBuf> {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-cache");
    let unpacked = cache.join("loader-packages");
    if unpacked.is_dir() {
        return Some(unpacked);
    }
    let dpkg = tool("dpkg-deb")?;
    fs::create_dir_all(&cache).unwrap();
    let scratch = tempfile::tempdir_in(&cache).unwrap();
    let mut apt = Command::new("apt-get");
    apt.args(["download", "isolinux", "syslinux-common", "systemd-boot-efi"]).current_dir(scratch.path());
    let done = apt.output().is_ok_and(|output| output.status.success());
    if !done {
        assert!(std::env::var_os("CI").is_none(), "apt-get cannot download the boot loaders");
        eprintln!("skipped: apt-get cannot download the boot loaders");
        return None;
    }
    let tree = scratch.path().join("tree");
    for entry in fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension() == Some(OsStr::new("deb")) {
            run(&dpkg, &["-x".as_ref(), entry.as_ref(), tree.as_ref()]);
        }
    }
    // Another test process may have been faster; its tree is as good.
    let _ = fs::rename(&tree, &unpacked);
    Some(unpacked)
}

impl Image {
    pub fn new(source: &Source) -> Image {
        Image {
            manifest: source.manifest.clone(),
            kernel: kernel(RELEASE),
            loaders: source.loaders.clone(),
            kernel_args: source.manifest.boot.as_ref().unwrap().kernel_args.clone(),
            archive: None,
            scratch: crate::support::scratch(),
        }
    }

    /// Gives a file other content; makes the file when there is none.
    pub fn replace(&mut self, at: &str, bytes: &[u8]) {
        let content = Content::Generated {
            size: bytes.len() as u64,
            sha256: Sha256::digest(bytes).into(),
            bytes: Some(bytes.to_vec()),
        };
        let path = path(at);
        match self.manifest.entries.binary_search_by(|entry| entry.path.cmp(&path)) {
            Ok(index) => self.manifest.entries[index].content = content,
            Err(index) => {
                let reasons = self.manifest.entries[0].reasons.clone();
                let (xattrs, package) = (Vec::new(), None);
                let entry =
                    Entry { path, content, mode: 0o644, uid: 0, gid: 0, xattrs, package, packed: None, reasons };
                self.manifest.entries.insert(index, entry);
            }
        }
    }

    pub fn remove(&mut self, at: &str) {
        let n_before = self.manifest.entries.len();
        self.manifest.entries.retain(|entry| entry.path != path(at));
        assert_eq!(self.manifest.entries.len() + 1, n_before, "{at}");
    }

    pub fn entry(&mut self, at: &str) -> &mut Entry {
        let path = path(at);
        self.manifest.entries.iter_mut().find(|entry| entry.path == path).unwrap_or_else(|| panic!("no {at}"))
    }

    /// The text of the plan with something in it replaced.
    pub fn edit_plan(&mut self, from: &str, to: &str) {
        let Content::Generated { bytes: Some(bytes), .. } = &self.entry("/init.plan").content else { panic!() };
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.contains(from), "{text}");
        self.replace("/init.plan", text.replace(from, to).as_bytes());
    }

    /// The archive, as packed with these settings.
    pub fn pack(&self, source: &Source, format: Format, compression: Compression) -> PathBuf {
        let root = Root::open(&source.root).unwrap();
        let options = PackOptions { format, compression, ..PackOptions::default() };
        let out = self.scratch.path().join(format!("archive.{format}"));
        write_archive(&self.manifest, &Contents::new(&root), &options, &out).unwrap();
        out
    }

    pub fn iso(&self, source: &Source) -> PathBuf {
        let archive = match &self.archive {
            Some(bytes) => Blob::from_bytes(&bytes[..]),
            None => Blob::open(&self.pack(source, Format::Cpio, Compression::Zstd)).unwrap(),
        };
        let iso = LinuxIso {
            kernel: Blob::from_bytes(&self.kernel[..]),
            archive,
            kernel_args: self.kernel_args.clone(),
            label: "MINROOT".into(),
            loaders: self.loaders.clone(),
            epoch: 0,
        };
        let out = self.scratch.path().join("out.iso");
        write_linux_iso(&iso, &out).unwrap();
        out
    }
}

/// Verifies an image against the manifest of the source.
pub fn verdict(source: &Source, image: &Path) -> Verdict {
    verify(image, Some(&source.manifest), &source.rules).unwrap()
}

/// `P isolinux: message`, for each finding but suggestions.
pub fn lines(verdict: &Verdict) -> Vec<String> {
    let findings = verdict.findings.iter().filter(|finding| finding.severity != Severity::Suggestion);
    findings.map(|f| format!("{} {}: {}", f.severity.letter(), f.component, f.message)).collect()
}

pub fn path(text: &str) -> RootPath {
    RootPath::new(text).unwrap()
}
