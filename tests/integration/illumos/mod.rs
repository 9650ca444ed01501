//! illumos roots made by hand: what its runtime linkers find, and what is dropped with which proof.

mod model;
mod rules;

use crate::elf::{Entry, Object, Relocation, Symbol, export, import};
use minroot::manifest::{Content, Manifest, json};
use minroot::objects::elf::{Elf, SymbolScan};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

/// A 32-bit program.
const PROGRAM: Object<'static> = Object {
    is_32: true,
    interpreter: Some("/lib/ld.so.1"),
    soname: None,
    entries: &[Entry::Needed("libc.so.1")],
    symbols: &[],
    defines: &[],
    needs: &[],
};

/// A root with both runtime linkers and a C library for both classes.
fn root() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let library = |is_32, soname| Object { is_32, soname: Some(soname), ..Object::default() };
    for (path, is_32) in [("lib", true), ("lib/amd64", false)] {
        library(is_32, "libc.so.1").write(root, &format!("{path}/libc.so.1"));
        library(is_32, "ld.so.1").write(root, &format!("{path}/ld.so.1"));
    }
    symlink("amd64", root.join("lib/64")).unwrap();
    directory
}

fn trace(root: &Path, arguments: &[&str]) -> (Output, Option<Manifest>) {
    let manifest = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_minroot"))
        .arg("trace")
        .arg("--root")
        .arg(root)
        .args(arguments)
        .arg("-o")
        .arg(manifest.path())
        .output()
        .unwrap();
    let bytes = std::fs::read(manifest.path()).unwrap();
    (output, json::read(&bytes).ok())
}

/// The files of the closure, without directories.
fn files(root: &Path, arguments: &[&str]) -> Vec<String> {
    let (output, manifest) = trace(root, arguments);
    let manifest = manifest.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let entries = manifest.entries.iter().filter(|entry| entry.content != Content::Directory);
    entries.map(|entry| entry.path.to_string()).collect()
}

fn dropped(root: &Path, arguments: &[&str]) -> Vec<String> {
    let manifest = trace(root, arguments).1.unwrap();
    manifest.dropped.iter().map(|omission| format!("{}: {}", omission.reason.detail, omission.why)).collect()
}

#[test]
fn each_class_has_its_own_default_directories() {
    let root = root();
    let root = root.path();
    PROGRAM.write(root, "usr/bin/small");
    Object { is_32: false, interpreter: Some("/lib/64/ld.so.1"), ..PROGRAM }.write(root, "usr/bin/large");
    assert_eq!(files(root, &["/usr/bin/small"]), ["/lib/ld.so.1", "/lib/libc.so.1", "/usr/bin/small"]);
    let large = ["/lib/64", "/lib/amd64/ld.so.1", "/lib/amd64/libc.so.1", "/usr/bin/large"];
    assert_eq!(files(root, &["/usr/bin/large"]), large);
}

#[test]
fn a_runpath_serves_its_own_object_only() {
    let root = root();
    let root = root.path();
    let entries = [Entry::Runpath("$ORIGIN/../lib/app"), Entry::Needed("libfirst.so.1")];
    Object { entries: &entries, ..PROGRAM }.write(root, "opt/bin/app");
    let first = Object { is_32: true, entries: &[Entry::Needed("libsecond.so.1")], ..Object::default() };
    first.write(root, "opt/lib/app/libfirst.so.1");
    Object { is_32: true, ..Object::default() }.write(root, "opt/lib/app/libsecond.so.1");
    let (output, manifest) = trace(root, &["/opt/bin/app"]);
    assert_eq!(output.status.code(), Some(1));
    let manifest = manifest.unwrap();
    let [missing] = &manifest.missing.iter().collect::<Vec<_>>()[..] else { panic!("{:?}", manifest.missing) };
    assert_eq!(missing.name, "libsecond.so.1");
    let tried: Vec<&str> = missing.probes.iter().map(|probe| &probe.path[..]).collect();
    assert_eq!(tried, ["/lib/libsecond.so.1", "/usr/lib/libsecond.so.1", "/opt/lib/app/libsecond.so.1"]);
    assert!(missing.probes[2].outcome.contains("on no search path"), "{:?}", missing.probes[2]);
}

/// The finding about the runtime linker of a zone with a program that needs a version of a library, which defines others.
fn version_finding(defines: &[&'static str]) -> Option<String> {
    let root = root();
    let root = root.path();
    let entries = [Entry::Needed("libc.so.1"), Entry::Needed("libx.so.1")];
    let needs = [("libc.so.1", "SUNW_1.1"), ("libx.so.1", "X_2.0")];
    Object { entries: &entries, needs: &needs, ..PROGRAM }.write(root, "usr/bin/app");
    Object { is_32: true, soname: Some("libx.so.1"), defines, ..Object::default() }.write(root, "lib/libx.so.1");
    let traced = trace(root, &["/usr/bin/app"]).0;
    assert_eq!(traced.status.code(), Some(i32::from(!defines.is_empty() && !defines.contains(&"X_2.0"))));
    let mut command = Command::new(env!("CARGO_BIN_EXE_minroot"));
    let output = command.arg("verify").arg(root).output().unwrap();
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let line = told.lines().find(|line| line.contains("ld.so.1:"))?;
    Some(line[line.find("ld.so.1:").unwrap()..].to_owned())
}

#[test]
fn a_version_that_a_library_lacks_is_told_in_the_words_of_the_runtime_linker() {
    let expected = "ld.so.1: app: fatal: libx.so.1: version 'X_2.0' not found (required by file /usr/bin/app)";
    assert_eq!(version_finding(&["X_1.0", "X_1.1"]).as_deref(), Some(expected));
    assert_eq!(version_finding(&["X_1.0", "X_2.0"]), None);
    // A library without any versions has them all, as far as ld.so.1 is concerned.
    assert_eq!(version_finding(&[]), None);
}

/// What the runtime linker says of a zone whose program has these entries and refers to `wanted`, and whose libx.so.1
/// defines `defined`.
fn symbol_finding(entries: &[Entry], wanted: Symbol, defined: &[Symbol]) -> Option<String> {
    let root = root();
    let root = root.path();
    Object { entries, symbols: &[wanted], ..PROGRAM }.write(root, "usr/bin/app");
    for (soname, symbols) in
        [("ld.so.1", &[export("dlopen")][..]), ("libc.so.1", &[export("exit")]), ("libx.so.1", defined)]
    {
        let library = Object { is_32: true, soname: Some(soname), symbols, ..Object::default() };
        library.write(root, &format!("lib/{soname}"));
    }
    let output = Command::new(env!("CARGO_BIN_EXE_minroot")).arg("verify").arg(root).output().unwrap();
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let line = told.lines().find(|line| line.contains("ld.so.1:"))?;
    Some(line[line.find("ld.so.1:").unwrap()..].to_owned())
}

#[test]
fn a_symbol_that_nothing_of_a_process_defines_is_told_in_the_words_of_the_runtime_linker() {
    let words = "ld.so.1: app: fatal: relocation error: file /usr/bin/app: symbol table: referenced symbol not found";
    let needed = [Entry::Needed("libc.so.1"), Entry::Needed("libx.so.1")];
    let lazy = [Entry::Needed("libc.so.1"), Entry::Lazy("libx.so.1")];
    let bound_now = [needed[0], needed[1], Entry::Flags1(1)];
    let of = |relocation| Symbol { relocation, ..import("table", None) };
    let other = [export("other")];
    for (entries, relocation, expected) in [
        (&needed[..], Relocation::Data, Some(words)),
        (&lazy, Relocation::Data, Some(words)),
        (&bound_now, Relocation::Call, Some(words)),
        // Only the first call would fail; and nobody looks for what nothing refers to.
        (&needed, Relocation::Call, None),
        (&bound_now, Relocation::Nothing, None),
    ] {
        assert_eq!(symbol_finding(entries, of(relocation), &other).as_deref(), expected);
    }
    for entries in [&needed[..], &lazy, &bound_now] {
        assert_eq!(symbol_finding(entries, of(Relocation::Data), &[other[0], export("table")]), None);
    }
    assert_eq!(symbol_finding(&needed, of(Relocation::Data), &[]), None, "a library without a symbol table");
    // A library that is missing is told, and what it may have defined is not.
    let missing = [needed[0], needed[1], Entry::Needed("liby.so.1")];
    let told = symbol_finding(&missing, of(Relocation::Data), &other);
    assert_eq!(told.as_deref(), Some("ld.so.1: app: fatal: liby.so.1: open failed: No such file or directory"));
}

#[test]
fn a_library_of_the_other_class_is_passed_over_and_told() {
    let root = root();
    let root = root.path();
    Object { entries: &[Entry::Needed("libx.so.1")], ..PROGRAM }.write(root, "usr/bin/app");
    Object { is_32: false, ..Object::default() }.write(root, "lib/libx.so.1");
    let missing = trace(root, &["/usr/bin/app"]).1.unwrap().missing;
    let probes = &missing[0].probes;
    assert_eq!(probes[0].outcome, "wrong ELF class: ELFCLASS64");
    Object { is_32: true, ..Object::default() }.write(root, "usr/lib/libx.so.1");
    assert!(files(root, &["/usr/bin/app"]).contains(&"/usr/lib/libx.so.1".to_owned()));
}

#[test]
fn a_filter_needs_its_filtee_and_an_auxiliary_one_takes_it_where_it_is() {
    let root = root();
    let root = root.path();
    let entries = [
        Entry::Auxiliary("/platform/$PLATFORM/lib/libc_psr.so.1"),
        Entry::SymbolFilter("libcustr.so.1"),
        Entry::Filter("libc.so.1"),
    ];
    Object { entries: &entries, ..PROGRAM }.write(root, "usr/bin/app");
    Object { is_32: true, ..Object::default() }.write(root, "usr/lib/libcustr.so.1");
    let found = files(root, &["/usr/bin/app"]);
    assert_eq!(found, ["/lib/ld.so.1", "/lib/libc.so.1", "/usr/bin/app", "/usr/lib/libcustr.so.1"]);
    Object { is_32: true, ..Object::default() }.write(root, "platform/i86pc/lib/libc_psr.so.1");
    assert!(files(root, &["/usr/bin/app"]).contains(&"/platform/i86pc/lib/libc_psr.so.1".to_owned()));
    std::fs::remove_file(root.join("usr/lib/libcustr.so.1")).unwrap();
    assert_eq!(trace(root, &["/usr/bin/app"]).0.status.code(), Some(1));
}

/// A program with four lazy libraries: one whose function it calls, one whose data it has, one for nothing, and one
/// that does not tell what it exports.
fn lazy_root() -> tempfile::TempDir {
    let directory = root();
    let root = directory.path();
    let entries = [
        Entry::Needed("libc.so.1"),
        Entry::Lazy("libcall.so.1"),
        Entry::Lazy("libdata.so.1"),
        Entry::Lazy("libidle.so.1"),
    ];
    let data = Symbol { relocation: Relocation::Data, ..import("table", Some(2)) };
    Object {
        is_32: false,
        interpreter: Some("/lib/64/ld.so.1"),
        entries: &entries,
        symbols: &[import("call", Some(1)), data, import("printf", Some(0))],
        ..PROGRAM
    }
    .write(root, "usr/bin/app");
    for name in ["call", "data", "idle"] {
        Object::default().write(root, &format!("lib/amd64/lib{name}.so.1"));
    }
    directory
}

#[test]
fn b78_a_lazy_dependency_is_kept_as_the_policy_says() {
    let root = lazy_root();
    let libraries = |policy: &str| {
        let files = files(root.path(), &["/usr/bin/app", "--lazy", policy]);
        let names = files.iter().filter_map(|file| file.strip_prefix("/lib/amd64/lib")).map(str::to_owned);
        names.filter(|name| name != "c.so.1").collect::<Vec<_>>()
    };
    assert_eq!(libraries("all"), ["call.so.1", "data.so.1", "idle.so.1"]);
    assert_eq!(libraries("bound"), ["call.so.1", "data.so.1"]);
    assert_eq!(libraries("eager"), ["data.so.1"]);
    let idle = "libidle.so.1: never pulled in: none of the 3 undefined symbols is bound to it";
    assert_eq!(dropped(root.path(), &["/usr/bin/app"]), [idle]);
    let call = "libcall.so.1: not loaded at start; a call of call would fail";
    assert_eq!(dropped(root.path(), &["/usr/bin/app", "--lazy", "eager"]), [call, idle]);
}

#[test]
fn why_shows_the_proof_of_a_dropped_edge() {
    let root = lazy_root();
    let manifest = tempfile::NamedTempFile::new().unwrap();
    let minroot = env!("CARGO_BIN_EXE_minroot");
    let run = |arguments: &[&str]| {
        let output = Command::new(minroot).args(arguments).arg("-m").arg(manifest.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let mut trace = Command::new(minroot);
    trace.args(["trace", "/usr/bin/app", "-o"]).arg(manifest.path()).arg("--root").arg(root.path());
    assert!(trace.status().unwrap().success());
    let (code, text) = run(&["why", "/lib/amd64/libidle.so.1"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("none of the 3 undefined symbols is bound to it"), "{text}");
    let (code, text) = run(&["why", "/lib/amd64/libcall.so.1"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("lazy NEEDED `libcall.so.1: lazy, bound by call` of /usr/bin/app"), "{text}");
}

#[test]
fn without_the_link_editors_word_exports_decide_and_without_symbols_nothing_is_dropped() {
    let root = root();
    let root = root.path();
    let entries = [Entry::Lazy("libused.so.1"), Entry::Lazy("libidle.so.1"), Entry::Lazy("libmute.so.1")];
    Object { entries: &entries, symbols: &[import("used", None)], ..PROGRAM }.write(root, "usr/bin/app");
    Object { is_32: true, symbols: &[export("used")], ..Object::default() }.write(root, "lib/libused.so.1");
    Object { is_32: true, symbols: &[export("other")], ..Object::default() }.write(root, "lib/libidle.so.1");
    Object { is_32: true, ..Object::default() }.write(root, "lib/libmute.so.1");
    let found = files(root, &["/usr/bin/app"]);
    assert_eq!(found, ["/lib/ld.so.1", "/lib/libmute.so.1", "/lib/libused.so.1", "/usr/bin/app"]);
    Object { entries: &entries, ..PROGRAM }.write(root, "usr/bin/mute");
    assert!(files(root, &["/usr/bin/mute"]).contains(&"/lib/libidle.so.1".to_owned()));
}

#[test]
fn position_flags_describe_the_one_entry_behind_them() {
    let root = root();
    let root = root.path();
    // 0xc is deferred and a bit without a name; a flag before a filter says nothing of the dependency after it.
    let entries = [
        Entry::PositionFlags(0xc),
        Entry::Needed("libnow.so.1"),
        Entry::PositionFlags(1),
        Entry::Auxiliary("libnone.so.1"),
        Entry::Needed("libtoo.so.1"),
    ];
    Object { entries: &entries, ..PROGRAM }.write(root, "usr/bin/app");
    Object { is_32: true, ..Object::default() }.write(root, "lib/libnow.so.1");
    Object { is_32: true, ..Object::default() }.write(root, "lib/libtoo.so.1");
    let found = files(root, &["/usr/bin/app", "--lazy", "eager"]);
    assert_eq!(found, ["/lib/ld.so.1", "/lib/libnow.so.1", "/lib/libtoo.so.1", "/usr/bin/app"]);
}

#[test]
fn a_configuration_file_of_crle_replaces_the_default_directories() {
    let root = root();
    let root = root.path();
    PROGRAM.write(root, "usr/bin/app");
    let mut words = [0u32; 20];
    (words[0], words[9]) = (1, 80);
    let mut file: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    file.extend_from_slice(b"/opt/lib:/lib\0");
    std::fs::create_dir_all(root.join("var/ld")).unwrap();
    std::fs::write(root.join("var/ld/ld.config"), file).unwrap();
    Object { is_32: true, ..Object::default() }.write(root, "opt/lib/libc.so.1");
    let found = files(root, &["/usr/bin/app"]);
    assert!(found.contains(&"/opt/lib/libc.so.1".to_owned()), "{found:?}");
    assert!(found.contains(&"/var/ld/ld.config".to_owned()), "{found:?}");
}

#[test]
fn an_object_linked_without_default_directories_has_only_its_own() {
    let root = root();
    let root = root.path();
    const DF_1_NODEFLIB: u64 = 0x800;
    let entries = [Entry::Flags1(DF_1_NODEFLIB), Entry::Runpath("/opt/lib"), Entry::Needed("libc.so.1")];
    Object { entries: &entries, ..PROGRAM }.write(root, "usr/bin/app");
    let missing = trace(root, &["/usr/bin/app"]).1.unwrap().missing;
    let tried: Vec<&str> = missing.iter().flat_map(|missing| &missing.probes).map(|probe| &probe.path[..]).collect();
    assert_eq!(tried[0], "/opt/lib/libc.so.1");
    assert!(tried[1..].iter().all(|path| !path.starts_with("/usr/lib")), "{tried:?}");
}

#[test]
fn every_real_solaris_object_is_read() {
    // Not part of the project: what they are and where they come from is said beside them.
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/samples/elf");
    let Ok(files) = std::fs::read_dir(&samples) else {
        eprintln!("skipped: no samples in {}", samples.display());
        return;
    };
    let mut n_files = 0;
    for file in files {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let elf = Elf::read(&&bytes[..], &SymbolScan::default()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let symbols = Elf::bindings(&&bytes[..]).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("s11-exe_solaris") {
            let symbols = symbols.expect("a program has symbols");
            assert_eq!(elf.needed(), [Box::from(&b"libc.so.1"[..])], "{name}");
            assert!(symbols.has_syminfo && symbols.undefined.iter().any(|s| s.bound_to == Some(0)), "{name}");
        }
        n_files += 1;
    }
    assert_eq!(n_files, 10);
}

#[test]
fn an_image_can_start_from_everything_less_what_the_recipe_excludes() {
    let root = root();
    let root = root.path();
    PROGRAM.write(root, "usr/bin/app");
    for path in
        ["usr/share/man/man1/app.1", "usr/include/stdio.h", "usr/share/lib/zoneinfo/UTC", "var/lib/minroot/metadata"]
    {
        std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        std::fs::write(root.join(path), "").unwrap();
    }
    std::fs::write(root.join("var/lib/minroot/metadata"), "minroot-metadata 1\n").unwrap();
    symlink("nowhere", root.join("usr/dangling")).unwrap();
    let recipe = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    let text = "[trace]\nbase = \"everything\"\nexclude = [\"/usr/share/man\", \"/usr/include/*.h\", \"/no/such\"]\n";
    std::fs::write(recipe.path(), text).unwrap();
    let recipe = recipe.path().to_str().unwrap();
    let expected = [
        "/lib/64",
        "/lib/amd64/ld.so.1",
        "/lib/amd64/libc.so.1",
        "/lib/ld.so.1",
        "/lib/libc.so.1",
        "/usr/bin/app",
        "/usr/dangling",
        "/usr/share/lib/zoneinfo/UTC",
    ];
    assert_eq!(files(root, &[recipe]), expected);
    let (output, _) = trace(root, &[recipe]);
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(notes.contains("`exclude` of `/no/such` matches nothing"), "{notes}");
}

#[test]
fn commands_of_a_shell_script_are_listed_and_not_kept() {
    let root = root();
    let root = root.path();
    PROGRAM.write(root, "sbin/sh");
    PROGRAM.write(root, "usr/sbin/dladm");
    PROGRAM.write(root, "usr/bin/rm");
    std::fs::create_dir_all(root.join("lib/svc/method")).unwrap();
    let text = "#!/sbin/sh\nif [ -f /etc/x ]; then\n  dladm show-link\nfi\n$TOOL -x\n/usr/bin/rm -f /tmp/y\nnowhere\n";
    std::fs::write(root.join("lib/svc/method/net"), text).unwrap();
    let manifest = trace(root, &["/lib/svc/method/net"]).1.unwrap();
    let list = |omissions: &[minroot::manifest::Omission]| -> Vec<String> {
        let told = omissions.iter().filter(|omission| omission.reason.kind.to_string() == "script");
        told.map(|o| format!("{} {:?} {}", o.reason.detail, o.to.as_ref().map(ToString::to_string), o.why)).collect()
    };
    let never = "a command of the script, which may never come to it";
    let expected = [
        format!("/usr/bin/rm Some(\"/usr/bin/rm\") line 6: {never}"),
        format!("dladm Some(\"/usr/sbin/dladm\") line 3: {never}"),
    ];
    assert_eq!(list(&manifest.dropped), expected);
    assert_eq!(list(&manifest.unknown), ["$TOOL None line 5: what it runs depends on a variable"]);
    assert!(manifest.entries.iter().all(|entry| entry.path.as_bytes() != b"/usr/bin/rm"));
}

#[test]
fn strings_that_lead_to_what_the_running_system_makes_are_not_suspected() {
    let root = root();
    let root = root.path();
    PROGRAM.write(root, "usr/bin/app");
    let app = root.join("usr/bin/app");
    let bytes = [std::fs::read(&app).unwrap(), b"\0/etc/mtab\0/etc/motd\0/proc/self/mounts\0".to_vec()].concat();
    std::fs::write(&app, bytes).unwrap();
    for path in ["proc/self/mounts", "etc/motd"] {
        std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        std::fs::write(root.join(path), "").unwrap();
    }
    symlink("/proc/self/mounts", root.join("etc/mtab")).unwrap();
    assert_eq!(dropped(root, &["/usr/bin/app"]), ["/etc/motd: only a string in the object"]);
}
