//! Kernel modules: our indexes against depmod, modprobe and modinfo, on a real Debian kernel.

use crate::support::{output, run, scratch, tool};
use minroot::modules::hardware;
use minroot::modules::{
    Modinfo, ModuleIndex, ModuleName, Origin, Referrer, Request, Selection, Stale, Wanted, depmod, select, versions,
};
use minroot::path::RootPath;
use minroot::reason::{Kind, Priority};
use minroot::root::Root;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// An unpacked kernel package: never installed, so without depmod's files.
struct Kernel {
    tree: PathBuf,
    version: String,
}

/// Downloads and unpacks the kernel that the Debian package `metapackage` depends on, once for all runs.
fn kernel(metapackage: &str) -> Option<Kernel> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let (cache, get, dpkg) = (tool("apt-cache")?, tool("apt-get")?, tool("dpkg-deb")?);
    let depends = run(&cache, &["depends".as_ref(), metapackage.as_ref()]);
    let depends = String::from_utf8(depends).unwrap();
    let package =
        depends.lines().find_map(|l| l.trim().strip_prefix("Depends: ")).filter(|p| p.starts_with("linux-image-"));
    let Some(package) = package else { return skip(&format!("apt knows no {metapackage}")) };
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels");
    let tree = directory.join(package);
    let version = package.trim_start_matches("linux-image-").to_owned();
    if !tree.is_dir() {
        let download = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let done = Command::new(get).args(["download", "-q", package]).current_dir(download.path()).output().unwrap();
        if !done.status.success() {
            return skip(&format!("cannot download {package}: {}", String::from_utf8_lossy(&done.stderr)));
        }
        let archive = std::fs::read_dir(download.path()).unwrap().next().unwrap().unwrap().path();
        let unpacked = download.path().join("tree");
        run(&dpkg, &["-x".as_ref(), archive.as_ref(), unpacked.as_ref()]);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::rename(unpacked, &tree).unwrap();
    }
    Some(Kernel { tree, version })
}

fn skip<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("skipped: {why}");
    None
}

impl Kernel {
    fn directory(&self) -> RootPath {
        RootPath::new(format!("/lib/modules/{}", self.version)).unwrap()
    }

    fn host_directory(&self, tree: &Path) -> PathBuf {
        tree.join("lib/modules").join(&self.version)
    }

    fn index(&self) -> ModuleIndex {
        ModuleIndex::load(&Root::open(&self.tree).unwrap(), &self.directory()).unwrap()
    }

    /// A copy whose files are links to the same data.
    fn copy(&self) -> tempfile::TempDir {
        let copy = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let cp = tool("cp").unwrap();
        run(&cp, &["-al".as_ref(), self.tree.join("lib").as_ref(), copy.path().join("lib").as_ref()]);
        copy
    }

    fn copy_with_depmod(&self) -> Option<tempfile::TempDir> {
        let depmod = tool("depmod")?;
        let copy = self.copy();
        // Without the depmod.d of this machine.
        let none = scratch();
        let tree = copy.path().as_ref();
        run(&depmod, &["-C".as_ref(), none.path().as_ref(), "-b".as_ref(), tree, self.version.as_ref()]);
        Some(copy)
    }

    fn copy_with_our_files(&self) -> tempfile::TempDir {
        let copy = self.copy();
        let root = Root::open(&self.tree).unwrap();
        let index = self.index();
        let mut files = depmod::write(&index, |_| true, depmod::FileNames::AsInRoot).unwrap();
        let (symbols, problems) = depmod::write_symbols(&root, &index, |_| true).unwrap();
        assert!(problems.is_empty());
        files.extend(symbols);
        for (name, bytes) in files {
            std::fs::write(self.host_directory(copy.path()).join(name), bytes).unwrap();
        }
        copy
    }

    fn select(&self, hardware: &[&str]) -> Selection {
        let hardware: Vec<String> = hardware.iter().map(|name| (*name).to_owned()).collect();
        let requests = hardware::requests(&hardware, &[]).unwrap();
        select(&Root::open(&self.tree).unwrap(), &self.index(), &requests)
    }
}

/// Asks modprobe about a tree. It would read the modprobe.d of this machine, whose soft dependencies are not the
/// target's, so it gets an empty directory.
fn ask_modprobe(modprobe: &Path, tree: &Path, version: &str, flag: &str, name: &str) -> (Option<i32>, String) {
    let no_configuration = scratch();
    let arguments: [&OsStr; 8] = [
        "-C".as_ref(),
        no_configuration.path().as_ref(),
        "-d".as_ref(),
        tree.as_ref(),
        "-S".as_ref(),
        version.as_ref(),
        flag.as_ref(),
        name.as_ref(),
    ];
    let answer = output(modprobe, &arguments);
    (answer.status.code(), String::from_utf8(answer.stdout).unwrap().replace(tree.to_str().unwrap(), ""))
}

fn names(selection: &Selection) -> Vec<&str> {
    selection.modules.iter().map(|module| module.name.as_str()).collect()
}

const NETWORK: [&str; 8] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
];

#[test]
fn the_cloud_kernel_needs_eight_modules_for_a_network() {
    let Some(kernel) = kernel("linux-image-cloud-amd64") else { return };
    let selection = kernel.select(&["qemu:network"]);
    assert_eq!(names(&selection), NETWORK);
    assert!(selection.modules.iter().all(|module| module.load));
    assert!(selection.problems.is_empty() && selection.firmware.is_empty());
    // The driver of the e1000 is told to be missing, which is no failure.
    assert_eq!(selection.missing.len(), 1);
    assert_eq!(selection.missing[0].priority, Priority::Recommended);
    let edge = |to: &str| selection.edges.iter().find(|e| e.to == ModuleName::new(to)).unwrap();
    assert_eq!(edge("virtio_net").reason.kind, Kind::Alias);
    assert_eq!(
        *edge("virtio_net").reason.detail,
        *"hardware/qemu: virtio:d00000001v00001AF4 matches virtio:d00000001v*"
    );
    assert_eq!(edge("failover").from, Referrer::Module(ModuleName::new("net_failover")));
}

#[test]
fn the_standard_kernel_adds_the_e1000() {
    let Some(kernel) = kernel("linux-image-amd64") else { return };
    let selection = kernel.select(&["qemu:network"]);
    assert_eq!(names(&selection), [&NETWORK[..], &["e1000"]].concat());
    assert!(selection.missing.is_empty());
}

#[test]
fn every_device_of_every_profile_has_a_driver_in_the_standard_kernel() {
    let Some(kernel) = kernel("linux-image-amd64") else { return };
    for profile in hardware::builtin_profiles() {
        let selection = kernel.select(&[profile]);
        let missing: Vec<_> = selection.missing.iter().filter(|m| m.reason.kind != Kind::Firmware).collect();
        assert!(missing.is_empty(), "{profile}: {missing:?}");
        eprintln!("{profile}: {}", names(&selection).join(" "));
    }
}

#[test]
fn an_unpacked_kernel_gives_the_same_text_indexes_as_depmod() {
    for metapackage in ["linux-image-cloud-amd64", "linux-image-amd64"] {
        let Some(kernel) = kernel(metapackage) else { return };
        assert_eq!(*kernel.index().origin(), Origin::Modinfo);
        let Some(theirs) = kernel.copy_with_depmod() else { return };
        let ours = kernel.copy_with_our_files();
        let read = |tree: &Path, name: &str| {
            std::fs::read_to_string(kernel.host_directory(tree).join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
        };
        // Order matters in these: modprobe takes the modules of one alias in it.
        for name in ["modules.alias", "modules.softdep", "modules.devname"] {
            assert_eq!(read(ours.path(), name), read(theirs.path(), name), "{name}");
        }
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
        let (a, b) = (lines(&read(ours.path(), "modules.symbols")), lines(&read(theirs.path(), "modules.symbols")));
        assert!(a == b, "modules.symbols: {:?}", a.symmetric_difference(&b).take(5).collect::<Vec<_>>());
        let (a, b) = (read(ours.path(), "modules.dep"), read(theirs.path(), "modules.dep"));
        let same_lines = a.lines().zip(b.lines()).filter(|(a, b)| a == b).count();
        eprintln!("modules.dep: {same_lines} of {} lines are the same byte for byte", b.lines().count());
        assert_eq!(a.lines().count(), b.lines().count());
        for (a, b) in a.lines().zip(b.lines()) {
            let sorted = |line: &str| line.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
            assert_eq!(sorted(a), sorted(b));
            assert_eq!(a.split(' ').next(), b.split(' ').next());
        }
    }
}

#[test]
fn binary_indexes_hold_what_those_of_depmod_hold() {
    let Some(kernel) = kernel("linux-image-amd64") else { return };
    let Some(theirs) = kernel.copy_with_depmod() else { return };
    let ours = kernel.copy_with_our_files();
    for name in ["modules.alias.bin", "modules.builtin.bin", "modules.builtin.alias.bin", "modules.symbols.bin"] {
        let read = |tree: &Path| binary_index(&std::fs::read(kernel.host_directory(tree).join(name)).unwrap());
        let (ours, theirs) = (read(ours.path()), read(theirs.path()));
        assert!(!theirs.is_empty(), "{name}");
        assert!(ours == theirs, "{name}: {:?}", ours.iter().zip(&theirs).find(|(a, b)| a != b));
    }
}

/// A reader of kmod's index, written from its description: key to (priority, value) in order.
fn binary_index(file: &[u8]) -> BTreeMap<Vec<u8>, Vec<(u32, Vec<u8>)>> {
    fn number(file: &[u8], at: usize) -> u32 {
        u32::from_be_bytes(file[at..at + 4].try_into().unwrap())
    }
    fn string(file: &[u8], at: &mut usize) -> Vec<u8> {
        let end = *at + file[*at..].iter().position(|&b| b == 0).unwrap();
        let text = file[*at..end].to_vec();
        *at = end + 1;
        text
    }
    fn node(file: &[u8], reference: u32, mut key: Vec<u8>, index: &mut BTreeMap<Vec<u8>, Vec<(u32, Vec<u8>)>>) {
        let mut at = (reference & 0x0fff_ffff) as usize;
        if reference & 0x8000_0000 != 0 {
            key.extend(string(file, &mut at));
        }
        let mut children = Vec::new();
        if reference & 0x2000_0000 != 0 {
            let (first, last) = (file[at], file[at + 1]);
            at += 2;
            for byte in first..=last {
                children.push((byte, number(file, at)));
                at += 4;
            }
        }
        if reference & 0x4000_0000 != 0 {
            let count = number(file, at);
            at += 4;
            for _ in 0..count {
                let priority = number(file, at);
                at += 4;
                index.entry(key.clone()).or_default().push((priority, string(file, &mut at)));
            }
        }
        for (byte, child) in children.into_iter().filter(|(_, child)| *child != 0) {
            node(file, child, [&key[..], &[byte]].concat(), index);
        }
    }
    assert_eq!((number(file, 0), number(file, 4)), (0xb007_f457, 0x0002_0001));
    let mut index = BTreeMap::new();
    node(file, number(file, 8), Vec::new(), &mut index);
    index
}

#[test]
fn modprobe_answers_the_same_from_our_indexes() {
    for (metapackage, step) in [("linux-image-cloud-amd64", 5), ("linux-image-amd64", 29)] {
        let Some(kernel) = kernel(metapackage) else { return };
        let (Some(modprobe), Some(theirs)) = (tool("modprobe"), kernel.copy_with_depmod()) else { return };
        let ours = kernel.copy_with_our_files();
        let index = kernel.index();
        let ask = |tree: &Path, flag: &str, name: &str| ask_modprobe(&modprobe, tree, &kernel.version, flag, name);
        let mut asked = 0;
        for module in index.modules().iter().step_by(step) {
            let name = module.name.as_str();
            let (ours, theirs) = (ask(ours.path(), "-D", name), ask(theirs.path(), "-D", name));
            assert_eq!(theirs.0, Some(0), "{name}");
            // Modules that do not need one another may come in any order.
            let set = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
            assert_eq!(set(&ours.1), set(&theirs.1), "{name}");
            assert_eq!(ours.1.lines().last(), theirs.1.lines().last(), "{name}");
            asked += 1;
        }
        let builtins: Vec<_> = index.builtins().iter().flat_map(|b| &b.aliases).take(40).collect();
        let aliases = index.modules().iter().flat_map(|module| &module.aliases).step_by(step * 11);
        for alias in aliases.chain(builtins) {
            let modalias = alias.replace(['*', '?'], "0");
            assert_eq!(ask(ours.path(), "-R", &modalias), ask(theirs.path(), "-R", &modalias), "{modalias}");
            asked += 1;
        }
        eprintln!("{metapackage}: {asked} questions, the same answers");
    }
}

#[test]
fn b65_our_selection_loads_what_modprobe_would() {
    let Some(kernel) = kernel("linux-image-amd64") else { return };
    let (Some(modprobe), Some(tree)) = (tool("modprobe"), kernel.copy_with_depmod()) else { return };
    let root = Root::open(tree.path()).unwrap();
    let index = ModuleIndex::load(&root, &kernel.directory()).unwrap();
    assert_eq!(*index.origin(), Origin::DepmodFiles);
    let mut compared = 0;
    for module in index.modules().iter().step_by(17) {
        let (status, answer) = ask_modprobe(&modprobe, tree.path(), &kernel.version, "-D", module.name.as_str());
        assert_eq!(status, Some(0), "{}", module.name);
        let theirs: BTreeSet<ModuleName> = answer
            .lines()
            .filter_map(|line| line.strip_prefix("insmod ")?.split(' ').next())
            .map(ModuleName::new)
            .collect();
        let wanted = Wanted::Name(module.name.as_str().to_owned());
        let request = Request { by: Referrer::Recipe, wanted, priority: Priority::Required };
        let selection = select(&root, &index, &[request]);
        let loaded: Vec<_> = selection.modules.iter().filter(|m| m.load).map(|m| m.name.clone()).collect();
        for (place, name) in loaded.iter().enumerate() {
            let needed = &index.module(index.find(name).unwrap()).dependencies;
            assert!(needed.iter().all(|id| loaded[..place].contains(&index.module(*id).name)), "{name} too early");
        }
        let ours: BTreeSet<_> = loaded.into_iter().collect();
        // modprobe reads one softdep line of a module only; with several we load more.
        let several = ours.iter().any(|name| index.module(index.find(name).unwrap()).softdeps.len() > 1);
        if several {
            assert!(ours.is_superset(&theirs), "{}", module.name);
        } else {
            assert_eq!(ours, theirs, "{}", module.name);
        }
        compared += 1;
    }
    eprintln!("{compared} modules, the same sets");
}

#[test]
fn modinfo_fields_are_those_of_the_modinfo_program() {
    let Some(kernel) = kernel("linux-image-cloud-amd64") else { return };
    let Some(modinfo) = tool("modinfo") else { return };
    let root = Root::open(&kernel.tree).unwrap();
    let index = kernel.index();
    for module in index.modules().iter().step_by(11) {
        let info = Modinfo::read(&root, &module.path).unwrap();
        for key in ["alias", "depends", "softdep", "firmware", "description"] {
            let path = kernel.tree.join(std::str::from_utf8(module.path.relative()).unwrap());
            let theirs = run(&modinfo, &["-0".as_ref(), "-F".as_ref(), key.as_ref(), path.as_ref()]);
            let theirs: Vec<&[u8]> = theirs.split(|&b| b == 0).filter(|v| !v.is_empty()).collect();
            let ours = info.fields().filter(|(k, v)| *k == key.as_bytes() && !v.is_empty()).map(|(_, v)| v);
            assert_eq!(ours.collect::<Vec<_>>(), theirs, "{key} of {}", module.name);
        }
    }
}

#[test]
fn loading_depmods_files_equals_computing_them() {
    let Some(kernel) = kernel("linux-image-cloud-amd64") else { return };
    let ours = kernel.copy_with_our_files();
    let root = Root::open(ours.path()).unwrap();
    let loaded = ModuleIndex::load(&root, &kernel.directory()).unwrap();
    assert_eq!(*loaded.origin(), Origin::DepmodFiles);
    let computed = ModuleIndex::compute(&root, &kernel.directory()).unwrap();
    assert_eq!(loaded.modules(), computed.modules());
    assert_eq!(versions(&root).unwrap(), [kernel.directory()]);

    // A module more or less than the index says makes the index stale.
    let gone = loaded.modules()[0].path.clone();
    let host = |path: &RootPath| ours.path().join(std::str::from_utf8(path.relative()).unwrap());
    std::fs::remove_file(host(&gone)).unwrap();
    let index = ModuleIndex::load(&root, &kernel.directory()).unwrap();
    assert_eq!(*index.origin(), Origin::Stale(Stale::Gone(gone)));
    assert_eq!(index.modules().len(), loaded.modules().len() - 1);
}

#[test]
fn a_reduced_tree_works_with_modprobe_whatever_the_compression() {
    let Some(kernel) = kernel("linux-image-cloud-amd64") else { return };
    let Some(modprobe) = tool("modprobe") else { return };
    let selection = kernel.select(&["qemu:network"]);
    // kmod 30 of Debian is built without zlib, so gzip is not in this list; the unit tests have it.
    for (program, suffix) in [("", ""), ("xz", ".xz"), ("zstd", ".zst")] {
        let tree = scratch();
        let directory = kernel.host_directory(tree.path());
        std::fs::create_dir_all(&directory).unwrap();
        for name in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
            std::fs::copy(kernel.host_directory(&kernel.tree).join(name), directory.join(name)).unwrap();
        }
        for module in &selection.modules {
            let relative = std::str::from_utf8(module.path.relative()).unwrap();
            let to = tree.path().join(relative);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(kernel.tree.join(relative), &to).unwrap();
            if !program.is_empty() {
                let Some(program) = tool(program) else { return };
                run(&program, &["-q".as_ref(), to.as_ref()]);
                let _ = std::fs::remove_file(&to); // zstd keeps its input
            }
        }
        let index = ModuleIndex::load(&Root::open(tree.path()).unwrap(), &kernel.directory()).unwrap();
        assert!(index.problems().is_empty(), "{:?}", index.problems());
        for (name, bytes) in depmod::write(&index, |_| true, depmod::FileNames::AsInRoot).unwrap() {
            std::fs::write(directory.join(name), bytes).unwrap();
        }
        let ask = |name: &str| {
            let (status, answer) = ask_modprobe(&modprobe, tree.path(), &kernel.version, "-D", name);
            assert_eq!(status, Some(0), "{name}");
            answer
        };
        let files = |text: &str| text.lines().map(|l| ModuleName::new(l.trim_end())).collect::<Vec<_>>();
        assert_eq!(
            files(&ask("virtio-net")),
            ["virtio_ring", "virtio", "failover", "net_failover", "virtio_net"].map(ModuleName::new)
        );
        assert!(ask("virtio-net").lines().all(|line| line.trim_end().ends_with(&format!(".ko{suffix}"))));
        assert_eq!(files(&ask("pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00")).len(), 5);
        assert!(ask("8250").starts_with("builtin"));
    }
}

#[test]
fn the_ids_of_the_qemu_profiles_are_those_that_qemu_shows() {
    let Some(qemu) = tool("qemu-system-x86_64") else { return };
    let virtio = |options: &str| {
        let kinds =
            ["virtio-net-pci", "virtio-blk-pci,drive=disk", "virtio-scsi-pci", "virtio-serial-pci", "virtio-rng-pci"];
        kinds.map(|kind| format!("{kind}{options}"))
    };
    let cards = ["e1000", "e1000e", "VGA"].map(str::to_owned);
    let machines = [("pc", virtio(",disable-modern=off,disable-legacy=off")), ("q35", virtio(",disable-legacy=on"))];
    let mut shown = BTreeSet::new();
    for (machine, devices) in machines {
        let mut command = Command::new(&qemu);
        command.args(["-M", machine, "-S", "-display", "none", "-nodefaults", "-monitor", "stdio"]);
        command.args(["-drive", "if=none,id=disk,file=/dev/null,format=raw,read-only=on"]);
        for device in devices.iter().chain(&cards) {
            command.args(["-device", device]);
        }
        let pipe = std::process::Stdio::piped;
        let mut child = command.stdin(pipe()).stdout(pipe()).stderr(pipe()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"info pci\nquit\n").unwrap();
        let answer = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        let mut device = None;
        for line in text.lines().map(|line| line.trim_end_matches('\r')) {
            if let Some((_, id)) = line.split_once(": PCI device ") {
                device = Some(id.to_owned());
            } else if let Some((_, subsystem)) = line.split_once("PCI subsystem ") {
                shown.insert((device.take().unwrap(), subsystem.to_owned()));
            }
        }
    }
    assert!(!shown.is_empty());
    for name in ["qemu", "qemu-e1000e", "virtio"] {
        let profile = hardware::profile(name, &[]).unwrap();
        for alias in profile
            .devices
            .iter()
            .flat_map(|device| device.alias.iter().chain(&device.illumos))
            .filter(|alias| alias.starts_with("pci:"))
        {
            let hex = |from: usize| alias[from..from + 4].to_lowercase();
            // pci:vVVVVVVVVdDDDDDDDDsvSSSSSSSSsdSSSSSSSS: the numbers are 16 bits wide.
            let id = (format!("{}:{}", hex(9), hex(18)), format!("{}:{}", hex(28), hex(38)));
            assert!(shown.contains(&id), "{name}: {alias} is none of {shown:?}");
        }
    }
}
