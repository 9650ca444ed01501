//! Traces over the model of an illumos root: recipes, kernel modules, whole systems, and real executables.

use super::{files, trace};
use crate::model_root::generator::{Year, elf};
use crate::model_root::{of_packages, shared, tables};
use crate::support::{run, tool};
use minroot::manifest::{Content, Manifest};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

fn recipe(name: &str) -> String {
    format!("{}/rules/recipes/{name}.toml", env!("CARGO_MANIFEST_DIR"))
}

fn has(manifest: &Manifest, path: &str) -> bool {
    manifest.entries.iter().any(|entry| entry.path.as_bytes() == path.as_bytes())
}

fn traced(root: &Path, arguments: &[&str]) -> Manifest {
    let (output, manifest) = trace(root, arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    manifest.unwrap()
}

#[test]
fn recipes_compose_and_each_brings_what_it_is_for() {
    let root = shared(Year::Y2015);
    let base = recipe("illumos-base");
    for (name, expected) in [
        ("vboxnet", &["/kernel/drv/amd64/e1000g", "/lib/inet/ipmgmtd", "/lib/libipadm.so.1"][..]),
        ("bhyvenet", &["/kernel/drv/amd64/vioif", "/sbin/dlmgmtd", "/usr/lib/devfsadm/linkmod/SUNW_misc_link.so"]),
        ("dhcp", &["/sbin/dhcpagent", "/lib/libdhcpagent.so.1"]),
        ("wipe", &["/usr/sbin/format", "/usr/lib/libdiskmgt.so.1"]),
        ("zlogin", &["/usr/bin/login", "/usr/lib/security/pam_unix_auth.so.1", "/usr/lib/passwdutil.so.1"]),
    ] {
        let manifest = traced(root, &[&base, &recipe(&format!("illumos-{name}"))]);
        for path in expected.iter().chain(&["/sbin/init", "/lib/libc.so.1", "/kernel/amd64/genunix"]) {
            assert!(has(&manifest, path), "{name} is without {path}");
        }
    }
    for (name, absent) in [
        ("nonet", "/kernel/drv/amd64/e1000g"),
        ("nodisk", "/kernel/drv/amd64/ahci"),
        ("32bit", "/kernel/amd64/genunix"),
        ("extreme", "/kernel/drv/amd64/zfs"),
    ] {
        let manifest = traced(root, &[&base, &recipe(&format!("illumos-{name}"))]);
        assert!(!has(&manifest, absent) && has(&manifest, "/sbin/init"), "{name}");
    }
    let zone = traced(root, &[&recipe("illumos-zone")]);
    assert!(has(&zone, "/usr/bin/getent") && has(&zone, "/sbin/init"));
    assert!(zone.entries.iter().all(|entry| !entry.path.as_bytes().starts_with(b"/kernel")));
}

/// Until 2018 a root has a kernel of each class: what the machine has is wanted for each that is in the image.
#[test]
fn b74_hardware_brings_the_drivers_of_each_kernel_in_the_image() {
    let root = shared(Year::Y2015);
    let base = recipe("illumos-base");
    let both = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    let text = "system = \"illumos\"\n[trace]\ntargets = [\"/platform/i86pc/kernel/unix\"]\n";
    std::fs::write(both.path(), text).unwrap();
    for (recipes, of_32, of_64) in [
        (&[&base[..]][..], false, true),
        (&[&base, &recipe("illumos-32bit")], true, false),
        (&[&base, both.path().to_str().unwrap()], true, true),
    ] {
        let manifest = traced(root, recipes);
        for driver in ["e1000g", "ahci", "kb8042"] {
            assert_eq!(has(&manifest, &format!("/kernel/drv/{driver}")), of_32, "{driver} of {recipes:?}");
            assert_eq!(has(&manifest, &format!("/kernel/drv/amd64/{driver}")), of_64, "{driver} of {recipes:?}");
        }
    }
}

#[test]
fn startup_lines_replace_the_services_of_the_systems_own_inittab() {
    let root = shared(Year::Y2015);
    let manifest = traced(root, &[&recipe("illumos-base")]);
    let inittab = manifest.entries.iter().find(|entry| entry.path.as_bytes() == b"/etc/inittab").unwrap();
    let Content::Generated { bytes: Some(bytes), .. } = &inittab.content else { panic!("{:?}", inittab.content) };
    let inittab = String::from_utf8(bytes.clone()).unwrap();
    assert!(inittab.ends_with("smf::sysinit:/etc/rc.minroot\n"), "{inittab}");
    for path in ["/etc/rc.minroot", "/sbin/autopush", "/sbin/soconfig", "/etc/fs/ufs/mount"] {
        assert!(has(&manifest, path), "{path}");
    }
    assert!(!has(&manifest, "/lib/svc/bin/svc.startd"));
}

/// The packages that the first minimal illumos was built without, and had to learn of by panics.
#[test]
fn what_the_first_minimal_illumos_lacked_is_told_with_its_consequence() {
    let packages = ["SUNWcs", "SUNWcsd", "system/kernel", "system/kernel/platform", "system/library"];
    let root = of_packages(Year::Y2015, &packages);
    let (output, _) = trace(root.path(), &["/platform/i86pc/kernel/amd64/unix"]);
    let told = String::from_utf8(output.stderr).unwrap();
    let line = |name: &str| told.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {told}"));
    assert_eq!(output.status.code(), Some(1));
    assert!(line("/boot/solaris/devicedb/master").contains("panic"), "{told}");
    let usbser = line("misc/usbser");
    assert!(usbser.contains("consconfig_dacf") && usbser.contains("panic"), "{usbser}");
}

#[test]
fn a_module_that_etc_system_forces_is_brought_where_there_is_a_kernel() {
    let root =
        of_packages(Year::Y2015, &["SUNWcs", "SUNWcsd", "system/kernel", "system/kernel/platform", "system/library"]);
    let system = root.path().join("etc/system");
    let text = std::fs::read_to_string(&system).unwrap_or_default();
    let commands = "forceload: fs/hsfs\nforceload: misc/nowhere\n";
    std::fs::write(&system, format!("{text}\n* a comment\n{commands}")).unwrap();
    let manifest = trace(root.path(), &["/platform/i86pc/kernel/amd64/unix"]).1.unwrap();
    assert!(has(&manifest, "/kernel/fs/amd64/hsfs"));
    assert!(manifest.missing.iter().any(|missing| missing.name == "misc/nowhere"), "{:?}", manifest.missing);
    let manifest = trace(root.path(), &["/sbin/sh"]).1.unwrap();
    assert!(!has(&manifest, "/kernel/fs/amd64/hsfs"));
}

/// `moddir` takes the place of the kernel's own path, but for what is loaded before anybody reads `/etc/system`.
#[test]
fn modules_are_looked_for_in_the_directories_of_moddir() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let write = |path: &str, bytes: &[u8]| {
        let file = root.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    };
    let needed = vec![elf::Needed { name: "genunix".to_owned(), lazy: false }];
    let unix = elf::Object { is_64: true, fixed_address: true, needed, ..elf::Object::default() };
    let needed = |name: &str| {
        let names = elf::ModuleNames::SymbolStrings;
        elf::Module { is_64: true, needed: vec![name.to_owned()], names, text: "" }.bytes().unwrap()
    };
    write("platform/i86pc/kernel/amd64/unix", &unix.bytes().unwrap());
    write("kernel/amd64/genunix", &elf::Object { is_64: true, ..elf::Object::default() }.bytes().unwrap());
    write("kernel/fs/amd64/specfs", &needed("misc/first"));
    write("kernel/misc/amd64/first", b"");
    write("test/drv/amd64/e1000g", &needed("misc/second"));
    write("test/misc/amd64/second", b"");
    write("test/drv/e1000g.conf", b"");
    write("etc/name_to_major", b"e1000g 1\n");
    let traced = |moddir: &str| {
        std::fs::write(root.join("etc/system"), format!("forceload: drv/e1000g\n{moddir}\n")).unwrap();
        trace(root, &["/platform/i86pc/kernel/amd64/unix"]).1.unwrap()
    };
    let own = ["/kernel/fs/amd64/specfs", "/kernel/misc/amd64/first"];
    let test = ["/test/drv/amd64/e1000g", "/test/drv/e1000g.conf", "/test/misc/amd64/second"];
    let each = |manifest: &Manifest, paths: &[&str], expected: bool| {
        paths.iter().for_each(|path| assert_eq!(has(manifest, path), expected, "{path}"));
        assert!(has(manifest, "/kernel/amd64/genunix"));
    };

    let manifest = traced("");
    each(&manifest, &own, true);
    each(&manifest, &test, false);
    // The second takes the place of the first.
    let manifest = traced("moddir: /nowhere\nmoddir: test /platform/i86pc/kernel:/kernel");
    each(&manifest, &own, true);
    each(&manifest, &test, true);
    let manifest = traced("moddir: /test");
    each(&manifest, &own, false);
    each(&manifest, &test, true);
    let specfs = manifest.missing.iter().find(|missing| missing.name == "fs/specfs").unwrap();
    let probes: Vec<&str> = specfs.probes.iter().map(|probe| &probe.path[..]).collect();
    assert_eq!(probes, ["/test/fs/amd64/specfs", "/test/fs/specfs"]);
    let verdict = Command::new(env!("CARGO_BIN_EXE_minroot")).arg("verify").arg(root).output().unwrap();
    let told = String::from_utf8(verdict.stdout).unwrap();
    assert!(told.contains("fs/specfs") && !told.contains("`drv/e1000g`") && !told.contains("`genunix`"), "{told}");
}

#[test]
fn every_module_of_the_tables_finds_what_it_needs() {
    let root = shared(Year::Y2025);
    let modules = &tables(Year::Y2025).modules;
    let paths: Vec<String> = modules.iter().map(|module| format!("/{}", module.path)).collect();
    let there: Vec<&str> = paths.iter().filter(|path| root.join(&path[1..]).exists()).map(String::as_str).collect();
    assert!(there.len() > 600, "{}", there.len());
    let (_, manifest) = trace(root, &there);
    let manifest = manifest.unwrap();
    for missing in &manifest.missing {
        // Names that the tables have from Makefiles of modules that are not packaged.
        let name = &missing.name;
        assert!(!root.join(format!("kernel/{}", name.replace('/', "/amd64/"))).exists(), "{name} is there");
    }
    let usbser = manifest.entries.iter().find(|entry| entry.path.as_bytes() == b"/kernel/misc/amd64/usbser").unwrap();
    let from: Vec<String> = usbser.reasons.iter().filter_map(|r| Some(r.from.as_ref()?.to_string())).collect();
    assert!(from.contains(&"/platform/i86pc/kernel/dacf/amd64/consconfig_dacf".to_owned()), "{from:?}");
}

#[test]
fn b75_databases_of_the_image_list_its_drivers_and_no_others() {
    let root = shared(Year::Y2015);
    let manifest = traced(root, &[&recipe("illumos-base")]);
    let content = |path: &str| {
        let entry = manifest.entries.iter().find(|entry| entry.path.as_bytes() == path.as_bytes());
        match &entry.unwrap_or_else(|| panic!("no {path}")).content {
            Content::Generated { bytes: Some(bytes), .. } => String::from_utf8(bytes.clone()).unwrap(),
            other => panic!("{path}: {other:?}"),
        }
    };
    let names = content("/etc/name_to_major");
    let listed: BTreeSet<&str> = names.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let drivers = manifest.entries.iter().filter_map(|entry| {
        let path = std::str::from_utf8(entry.path.as_bytes()).ok()?;
        path.rsplit_once("/drv/amd64/").map(|(_, name)| name)
    });
    let drivers: BTreeSet<&str> = drivers.collect();
    let unlisted: Vec<_> = drivers.difference(&listed).collect();
    assert!(unlisted.is_empty(), "{unlisted:?}");
    assert!(listed.contains("e1000g") && !listed.contains("mpt"), "{listed:?}");
    for line in content("/etc/driver_aliases").lines() {
        let driver = line.split_whitespace().next().unwrap();
        assert!(drivers.contains(driver) || driver.starts_with('#'), "{line}");
    }
}

#[test]
fn a_whole_system_is_traced() {
    let recipe = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(recipe.path(), "system = \"illumos\"\n[trace]\nbase = \"everything\"\n").unwrap();
    let root = shared(Year::Y2025);
    let manifest = trace(root, &[recipe.path().to_str().unwrap()]).1.unwrap();
    assert!(manifest.entries.len() > 37_000, "{}", manifest.entries.len());
    let unpackaged = manifest.entries.iter().filter(|entry| entry.package.is_none()).count();
    assert!(unpackaged * 100 < manifest.entries.len(), "{unpackaged} entries have no package");
}

/// Unpacks a package of the npm registry; `None` where there is no npm or no network.
fn from_npm(package: &str, directory: &Path) -> Option<PathBuf> {
    let (npm, tar) = (tool("npm")?, tool("tar")?);
    let packed = Command::new(npm).args(["pack", "--silent", package]).current_dir(directory).output().ok()?;
    let name = String::from_utf8(packed.stdout).ok()?.trim().to_owned();
    if !packed.status.success() || name.is_empty() {
        eprintln!("skipped: npm cannot fetch {package}");
        return None;
    }
    let archive = directory.join(name);
    run(&tar, &[OsStr::new("-xzf"), archive.as_os_str(), OsStr::new("-C"), directory.as_os_str()]);
    Some(directory.join("package"))
}

#[test]
fn b73_real_executables_find_everything_in_the_model_root() {
    let root = of_packages(Year::Y2025, &["SUNWcs", "SUNWcsd", "system/library", "system/library/math"]);
    for (package, program) in
        [("@esbuild/sunos-x64@0.28.2", "bin/esbuild"), ("@expo/ngrok-bin-sunos-x64@2.3.41", "ngrok")]
    {
        let directory = tempfile::tempdir().unwrap();
        let Some(package) = from_npm(package, directory.path()) else { return };
        std::fs::create_dir_all(root.path().join("opt/bin")).unwrap();
        let name = Path::new(program).file_name().unwrap().to_str().unwrap();
        std::fs::copy(package.join(program), root.path().join("opt/bin").join(name)).unwrap();
        let found = files(root.path(), &[&format!("/opt/bin/{name}")]);
        // Go links to the names that the link-editor uses, which are links.
        for path in
            ["/lib/amd64/ld.so.1", "/lib/amd64/libsocket.so", "/lib/amd64/libsocket.so.1", "/lib/amd64/libc.so.1"]
        {
            assert!(found.contains(&path.to_owned()), "{name} is without {path}: {found:?}");
        }
        let missing = trace(root.path(), &[&format!("/opt/bin/{name}")]).1.unwrap().missing;
        assert!(missing.is_empty(), "{missing:?}");
    }
}
