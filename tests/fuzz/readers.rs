//! Everything of minroot that reads what others wrote, as functions of nothing but the bytes: what libFuzzer drives
//! (`target.rs`), and what the ordinary tests give a bounded number of damaged inputs (`tests/integration/any_bytes`).
//!
//! An error is a right answer to any input. Wrong are a panic, a hang, and memory out of proportion, which is why the
//! lazy parts of what was read are asked for as well.

#[path = "meter.rs"]
mod meter;

use minroot::drivers::DriverDatabases;
use minroot::fetch::{Options, fetch};
use minroot::init::plan::{Directive, Lines};
use minroot::iso::fat::FatVolume;
use minroot::iso::{Blob, IsoImage, IsoKind};
use minroot::manifest::json;
use minroot::modules::{Modinfo, ModuleIndex, Referrer, Request, Wanted, decompress, select};
use minroot::objects::elf::{Elf, SymbolScan};
use minroot::objects::script::Script;
use minroot::objects::{Format, shell, sniff};
use minroot::pack::cpio;
use minroot::packages::{actions, contents, image};
use minroot::path::RootPath;
use minroot::reason::Priority;
use minroot::recipe::{Recipe, Source, System};
use minroot::resolve::{krtld, ldconfig};
use minroot::root::{Metadata, Root};
use minroot::rules::{Bindings, Facts, ObjectFacts, RuleSet, StringPattern, SymbolPattern, readers};
use minroot::{ufs, verify};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// What one of minroot's readers does with any bytes.
pub struct Reader {
    pub name: &'static str,
    read: fn(&[u8]),
    /// What it may allocate at once whatever the input, in MiB: the state of a decompressor, the rules.
    base_mib: u64,
    /// What it may allocate beyond that for each byte of the input, in bytes.
    per_byte: u64,
}

/// Bytes that anything compressed may unpack to here.
const UNPACKED: u64 = 4 << 20;

pub static READERS: &[Reader] = &[
    Reader { name: "elf", read: elf, base_mib: 4, per_byte: 64 },
    Reader { name: "kernel-module", read: kernel_module, base_mib: 80, per_byte: 64 },
    Reader { name: "module-index", read: module_index, base_mib: 4, per_byte: 64 },
    Reader { name: "script", read: script, base_mib: 4, per_byte: 64 },
    // The text stands for fifteen files, and a wrong line of two bytes has a message of a hundred.
    Reader { name: "databases", read: databases, base_mib: 4, per_byte: 15 * 200 },
    Reader { name: "package", read: package, base_mib: 80, per_byte: 64 },
    Reader { name: "rules", read: rules, base_mib: 64, per_byte: 64 },
    Reader { name: "recipe", read: recipe, base_mib: 4, per_byte: 64 },
    Reader { name: "manifest", read: manifest, base_mib: 4, per_byte: 64 },
    Reader { name: "cpio", read: cpio, base_mib: 8, per_byte: 64 },
    Reader { name: "iso9660", read: iso9660, base_mib: 4, per_byte: 64 },
    Reader { name: "fat", read: fat, base_mib: 4, per_byte: 64 },
    Reader { name: "ufs", read: ufs, base_mib: 4, per_byte: 64 },
    Reader { name: "image", read: image, base_mib: 80, per_byte: 64 },
];

impl Reader {
    pub fn named(name: &str) -> &'static Reader {
        READERS.iter().find(|reader| reader.name == name).unwrap_or_else(|| panic!("no reader is named `{name}`"))
    }

    /// Reads the bytes, and panics when that takes more memory than their size explains. Counted is what this thread
    /// allocates through Rust's allocator; libFuzzer's limit covers the rest.
    pub fn check(&self, bytes: &[u8]) {
        // What is made once per process is not this input's.
        LazyLock::force(&FIXTURE);
        let most = (self.base_mib << 20) + self.per_byte * bytes.len() as u64;
        let peak = meter::peak_of(|| (self.read)(bytes));
        assert!(peak <= most, "{}: {peak} bytes are allocated at once for {} bytes", self.name, bytes.len());
    }
}

/// Directories and rules that are made once per process.
struct Fixture {
    directory: tempfile::TempDir,
    rules: RuleSet,
    symbols: SymbolScan,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let rules = RuleSet::load(&[]).expect("the built-in rules");
    let texts = ["dlopen|dlmopen", "get(pw|gr).*", "iconv_open"];
    Fixture {
        directory: tempfile::tempdir().expect("a temporary directory"),
        rules,
        symbols: SymbolScan::new(texts).expect("expressions"),
    }
});

/// A fresh directory for one input.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(FIXTURE.directory.path()).expect("a temporary directory")
}

fn write(path: PathBuf, bytes: &[u8]) -> PathBuf {
    fs::create_dir_all(path.parent().expect("below the scratch directory")).expect("a directory");
    fs::write(&path, bytes).expect("a file");
    path
}

fn elf(bytes: &[u8]) {
    let source = &bytes;
    if let Ok(elf) = Elf::read(source, &FIXTURE.symbols) {
        let _ = krtld::needed(&elf).count();
    }
    let _ = (Elf::bindings(source), Elf::globals(source), Elf::library_names(source));
}

/// Plain and compressed, as the kernel's modules are.
fn kernel_module(bytes: &[u8]) {
    let _ = Modinfo::from_bytes(bytes).map(|modinfo| modinfo.depends().count());
    use minroot::modules::Compression::{Gzip, Xz, Zstd};
    for compression in [Gzip, Xz, Zstd] {
        let _ = decompress(bytes, compression);
    }
}

/// The first byte says which of depmod's files the rest is; all others are absent or as the kernel build leaves them.
fn module_index(bytes: &[u8]) {
    const NAMES: [&str; 8] = [
        "modules.dep",
        "modules.alias",
        "modules.softdep",
        "modules.weakdep",
        "modules.order",
        "modules.builtin",
        "modules.builtin.modinfo",
        "modules.devname",
    ];
    let [which, text @ ..] = bytes else { return };
    let directory = scratch();
    let modules = directory.path().join("lib/modules/6.1");
    for name in ["a", "b", "c"] {
        write(modules.join(format!("kernel/{name}.ko")), b"");
    }
    write(modules.join("modules.dep"), b"kernel/a.ko: kernel/b.ko\nkernel/b.ko:\nkernel/c.ko:\n");
    write(modules.join("modules.alias"), b"alias pci:v00008086d0000100E* a\n");
    write(modules.join(NAMES[usize::from(*which) % NAMES.len()]), text);
    let root = Root::open(directory.path()).expect("the directory");
    let at = RootPath::new("/lib/modules/6.1").expect("a path");
    let Ok(index) = ModuleIndex::load(&root, &at) else { return };
    let wanted = ["a", "c", "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00"].map(|name| Request {
        by: Referrer::Recipe,
        wanted: Wanted::Name(name.to_owned()),
        priority: Priority::Required,
    });
    select(&root, &index, &wanted);
}

/// `#!` lines, shell words, and the languages and configuration files that rules have readers for.
fn script(bytes: &[u8]) {
    if sniff(bytes) == Format::Script {
        let _ = Script::parse(bytes).map(|script| script.env_program().is_some());
    }
    shell::words(bytes);
    let template = RootPath::new("/etc/systemd/system/a-b@.service").expect("a path");
    for reader in readers::READERS {
        reader.read(&template, &OneFile { path: &template, bytes });
    }
    // minroot's own init reads its plan in place.
    for (_, directive) in Lines::new(&mut bytes.to_vec()) {
        if let Ok(Directive::Run(words) | Directive::Environment(words)) = directive {
            words.for_each(drop);
        }
    }
}

/// A root for the readers of rules that holds a file and nothing else.
struct OneFile<'a> {
    path: &'a RootPath,
    bytes: &'a [u8],
}

impl Facts for OneFile<'_> {
    fn object(&self, _: &RootPath) -> Option<ObjectFacts<'_>> {
        None
    }
    fn imports(&self, _: &RootPath, _: &SymbolPattern) -> bool {
        false
    }
    fn strings(&self, _: &RootPath, patterns: &[&StringPattern]) -> Vec<Vec<Bindings>> {
        vec![Vec::new(); patterns.len()]
    }
    fn read(&self, path: &RootPath) -> Option<Vec<u8>> {
        self.exists(path).then(|| self.bytes.to_vec())
    }
    fn exists(&self, path: &RootPath) -> bool {
        path == self.path
    }
    fn glob(&self, _: &str) -> Vec<RootPath> {
        Vec::new()
    }
    fn hardware(&self) -> &[String] {
        &[]
    }
    fn system(&self) -> System {
        System::Linux
    }
    fn arch(&self) -> &str {
        ""
    }
    fn environment(&self) -> &[u8] {
        &[]
    }
}

/// What systems and package managers keep in text or tables of their own.
fn databases(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = actions::parse(bytes);
    let _ = image::unquote(bytes);
    contents::listings(&text).for_each(drop);
    ldconfig::read_cache(bytes);
    let _ = Metadata::parse(bytes).map(|metadata| metadata.to_text());
    DriverDatabases::read(&|_| Some(bytes.to_vec()), &|_| vec!["fragment".to_owned()]).notes();
}

/// A `.deb`, a datastream or zap of SVR4, an archive of IPS: told by their first bytes.
fn package(bytes: &[u8]) {
    let directory = scratch();
    let file = write(directory.path().join("package"), bytes);
    let pattern = file.to_str().expect("UTF-8").to_owned();
    let source = Source { packages: vec![pattern], ..Source::default() };
    let _ = fetch(&source, &Options::new(directory.path().join("cache")));
}

fn rules(bytes: &[u8]) {
    let directory = scratch();
    write(directory.path().join("area/rule.toml"), bytes);
    let _ = RuleSet::from_directories(&[directory.path().to_owned()]).map(|rules| rules.check());
}

fn recipe(bytes: &[u8]) {
    let directory = scratch();
    let _ = Recipe::load(&[write(directory.path().join("recipe.toml"), bytes)]);
}

/// What can be read is written and read again to the same.
fn manifest(bytes: &[u8]) {
    let Ok(manifest) = json::read(bytes) else { return };
    let mut text = Vec::new();
    json::write(&manifest, &mut text).expect("memory");
    assert!(json::read(&text).is_ok_and(|again| again == manifest), "it is another manifest when written");
}

fn cpio(bytes: &[u8]) {
    let mut content = [0; 1000];
    let _ = cpio::read::read(bytes, UNPACKED, |_, data| {
        while data.read(&mut content)? > 0 {}
        Ok(())
    });
}

fn iso9660(bytes: &[u8]) {
    let Ok(image) = IsoImage::new(Blob::from_bytes(bytes)) else { return };
    let _ = (image.partitions(), image.isolinux_config(), image.uefi_volume());
    for entry in image.boot_entries() {
        let _ = image.boot_image(entry);
    }
    for entry in image.walk().iter().flatten().filter(|entry| entry.kind == IsoKind::File) {
        let _ = image.content(entry);
        let _ = image.find(&entry.path);
    }
}

fn fat(bytes: &[u8]) {
    let Ok(volume) = FatVolume::open(Blob::from_bytes(bytes)) else { return };
    for entry in volume.walk().iter().flatten() {
        let _ = (volume.read(entry), volume.extents(entry));
    }
}

fn ufs(bytes: &[u8]) {
    let source = bytes.to_vec();
    let Ok(superblock) = ufs::read::read_superblock(&source) else { return };
    let Ok(image) = ufs::read::Image::open(&source, &superblock) else { return };
    ufs::check::check(image);
    for entry in image.walk().flatten() {
        // Holes cost nothing to claim.
        let _ = std::io::copy(&mut image.content(entry.number, &entry.inode).take(UNPACKED), &mut std::io::sink());
    }
}

/// A whole archive or ISO, with the chain from the firmware to what is started, for either system.
fn image(bytes: &[u8]) {
    let directory = scratch();
    let file = write(directory.path().join("image"), bytes);
    for system in [System::Linux, System::Illumos] {
        verify_as(system, &file);
    }
}

fn verify_as(system: System, file: &Path) {
    if let Ok(verdict) = verify::verify_as(Some(system), file, None, &FIXTURE.rules) {
        let _ = serde_json::to_string(&verdict.json());
    }
}
