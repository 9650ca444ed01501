//! The model of an illumos root: it says what the tables say, and our readers and binutils agree on that.

#[path = "../../testdata/illumos/model_root/mod.rs"]
pub mod generator;

use crate::support::{run, scratch, tool};
use generator::elf::{Module, ModuleNames};
use generator::tables::{Action, LinkFact, Tables, Verb};
use generator::{ModelError, Options, Year};
use minroot::objects::elf::{Elf, SymbolScan};
use minroot::path::RootPath;
use minroot::root::Root;
use object::read::elf::{FileHeader, SectionHeader, SectionTable};
use object::{Endianness, elf};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The whole root of a year, made once for all tests and kept for the next run; nobody may change it.
pub fn shared(year: Year) -> &'static Path {
    static ROOTS: [OnceLock<PathBuf>; 2] = [const { OnceLock::new() }; 2];
    ROOTS[usize::from(year == Year::Y2025)].get_or_init(|| {
        let options = Options { year, packages: Vec::new() };
        generator::generate_once(&options, Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap()
    })
}

/// The tables of a year, read once for all tests.
pub fn tables(year: Year) -> &'static Tables {
    static TABLES: [OnceLock<Tables>; 2] = [const { OnceLock::new() }; 2];
    TABLES[usize::from(year == Year::Y2025)].get_or_init(|| Tables::load(year).unwrap())
}

/// A root of some packages, for tests that change it.
pub fn of_packages(year: Year, packages: &[&str]) -> tempfile::TempDir {
    let directory = scratch();
    let packages = packages.iter().map(|name| (*name).to_owned()).collect();
    generator::generate(&Options { year, packages }, directory.path()).unwrap();
    directory
}

/// What the table says of each object that is delivered as an executable file, in its order.
fn facts(tables: &Tables) -> BTreeMap<&str, Vec<&LinkFact>> {
    let is_object =
        |action: &&Action| action.verb == Verb::File && action.mode & 0o111 != 0 && !action.path.starts_with("kernel/");
    let objects: BTreeSet<&str> = tables.actions.iter().filter(is_object).map(|action| action.path.as_str()).collect();
    let mut facts: BTreeMap<&str, Vec<&LinkFact>> = BTreeMap::new();
    for fact in tables.links.iter().filter(|fact| objects.contains(fact.object.as_str())) {
        facts.entry(&fact.object).or_default().push(fact);
    }
    facts
}

fn values<'a>(facts: &[&'a LinkFact], tag: &str) -> Vec<&'a str> {
    facts.iter().filter(|fact| fact.tag == tag).map(|fact| fact.value.as_str()).collect()
}

#[test]
fn our_reader_finds_in_every_object_what_the_table_says() {
    for (year, n_objects) in [(Year::Y2015, 233), (Year::Y2025, 1908)] {
        let tables = tables(year);
        let facts = facts(tables);
        assert_eq!(facts.len(), n_objects);
        for (path, facts) in facts {
            let bytes = fs::read(shared(year).join(path)).unwrap();
            let object =
                Elf::read(&&bytes[..], &SymbolScan::default()).unwrap_or_else(|error| panic!("{path}: {error}"));
            let text = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
            let dynamic = object.dynamic.clone().unwrap();
            assert_eq!(object.identity.bits == 64, facts[0].is_64, "{path}");
            assert_eq!(object.identity.os_abi, 0, "{path}");
            assert_eq!(dynamic.needed.iter().map(|n| text(n)).collect::<Vec<_>>(), values(&facts, "NEEDED"), "{path}");
            for (found, tag) in
                [(object.interpreter, "INTERP"), (dynamic.soname, "SONAME"), (dynamic.runpath, "RUNPATH")]
            {
                assert_eq!(found.as_deref().map(text).as_deref(), values(&facts, tag).last().copied(), "{path}");
            }
        }
    }
}

#[test]
fn readelf_counts_as_many_lazy_entries_and_filters_as_the_table_has() {
    let Some(readelf) = tool("readelf") else { return };
    let root = shared(Year::Y2025);
    let tables = tables(Year::Y2025);
    let facts = facts(tables);
    let paths: Vec<PathBuf> = facts.keys().map(|path| root.join(path)).collect();
    let arguments: Vec<&OsStr> = [OsStr::new("-dW")].into_iter().chain(paths.iter().map(|p| p.as_os_str())).collect();
    let text = String::from_utf8(run(&readelf, &arguments)).unwrap();
    let count = |words: &[&str]| text.lines().filter(|line| words.iter().any(|word| line.contains(word))).count();
    let of_tag = |tag: &str| facts.values().flatten().filter(|fact| fact.tag == tag).count();
    let lazy = facts.values().flatten().filter(|fact| fact.lazy).count();
    assert_eq!(count(&["(NEEDED)"]), of_tag("NEEDED"));
    assert_eq!(count(&["(POSFLAG_1)"]), lazy);
    assert_eq!(count(&["000006000000f ", "0x6000000f "]), of_tag("SUNW_FILTER"));
    assert_eq!(count(&["(FILTER)"]), of_tag("FILTER"));
    assert_eq!(count(&["(AUXILIARY)"]), of_tag("AUXILIARY"));
    let with_option = |option: &str| facts.values().flatten().filter(|fact| fact.value.contains(option)).count();
    assert_eq!(count(&["INTERPOSE"]), with_option("zinterpose"));
    assert_eq!(count(&["NOOPEN"]), with_option("znodlopen"));
    assert_eq!(count(&["LOADFLTR"]), with_option("zloadfltr"));
    assert_eq!(count(&["DIRECT"]), facts.len() - with_option("no-Bdirect"));
}

/// A lazy flag stands before the entry it is for, and before that only.
#[test]
fn readelf_sees_the_lazy_flag_before_its_entry() {
    let Some(readelf) = tool("readelf") else { return };
    let init = shared(Year::Y2015).join("sbin/init");
    let text = String::from_utf8(run(&readelf, &["-dW".as_ref(), init.as_os_str()])).unwrap();
    let words: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once('(')?.1.split_once(')'))
        .map(|(tag, rest)| if tag == "NEEDED" { rest.split(['[', ']']).nth(1).unwrap() } else { tag })
        .take_while(|word| *word != "STRTAB")
        .collect();
    let lazy = ["libpam.so.1", "libbsm.so.1", "libcontract.so.1", "libscf.so.1"];
    let expected: Vec<&str> = lazy.iter().flat_map(|name| ["POSFLAG_1", name]).chain(["libc.so.1"]).collect();
    assert_eq!(words, expected);
}

#[test]
fn as_many_paths_are_made_as_the_tables_have() {
    for year in [Year::Y2015, Year::Y2025] {
        let tables = tables(year);
        let mut paths: BTreeMap<&str, Verb> = BTreeMap::new();
        tables.actions.iter().for_each(|action| _ = paths.insert(&action.path, action.verb));
        let root = shared(year);
        let mut inodes = HashMap::new();
        for (path, verb) in &paths {
            let found = fs::symlink_metadata(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
            let kind = found.file_type();
            let as_expected = match verb {
                Verb::Directory => kind.is_dir(),
                Verb::Link => kind.is_symlink(),
                Verb::File | Verb::HardLink => kind.is_file(),
            };
            assert!(as_expected, "{path}: {verb:?}");
            if kind.is_file() {
                *inodes.entry(found.ino()).or_insert(0) += 1;
            }
        }
        let count = |verb| paths.values().filter(|v| **v == verb).count();
        assert_eq!(inodes.len(), count(Verb::File), "hard links are further names of files");
        let undeclared = self::paths(root).len() - paths.len();
        assert!(undeclared < 120, "{undeclared} paths that no package delivers");
    }
}

/// Reads a module's names as the kernel's linker does, through the section headers.
fn module_names<T: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> (ModuleNames, Vec<String>) {
    let header = T::parse(bytes).unwrap();
    let endian = header.endian().unwrap();
    assert_eq!((header.e_type(endian), header.e_phnum(endian)), (elf::ET_REL, 0));
    let sections: SectionTable<'_, T> = header.sections(endian, bytes).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    if let Some((_, section)) = sections.section_by_name(endian, b".dynamic") {
        let (entries, link) = section.dynamic(endian, bytes).unwrap().expect("SHT_DYNAMIC");
        let strings = sections.strings(endian, bytes, link).unwrap();
        let shared = sections.section_name(endian, sections.section(link).unwrap()).unwrap() == b".strtab";
        let kind = if shared { ModuleNames::SymbolStrings } else { ModuleNames::OwnStrings };
        use object::read::elf::Dyn;
        let needed = entries.iter().filter(|entry| entry.tag(endian) == elf::DT_NEEDED);
        return (kind, needed.map(|entry| text(entry.string(endian, strings).unwrap())).collect());
    }
    let symbols = sections.symbols(endian, bytes, elf::SHT_SYMTAB).unwrap();
    use object::read::elf::Sym;
    let variable = symbols.iter().find(|symbol| symbol.name(endian, symbols.strings()).unwrap() == b"_depends_on");
    let Some(symbol) = variable else { return (ModuleNames::Variable, Vec::new()) };
    let section = sections.section(object::SectionIndex(symbol.st_shndx(endian).0.into())).unwrap();
    let data = section.data(endian, bytes).unwrap();
    let size: u64 = symbol.st_size(endian).into();
    assert_eq!(data.len() as u64, size);
    let names = text(data.strip_suffix(b"\0").unwrap());
    (ModuleNames::Variable, names.split(' ').map(str::to_owned).collect())
}

#[test]
fn every_kernel_module_has_the_names_of_its_row() {
    let tables = tables(Year::Y2025);
    let mut kinds = [0, 0];
    for module in tables.modules.iter().filter(|module| module.name != "unix" || module.namespace == "kmdb") {
        let bytes = fs::read(shared(Year::Y2025).join(&module.path)).unwrap();
        let (kind, names) = module_names::<elf::FileHeader64<Endianness>>(&bytes);
        assert_eq!(names, module.depends, "{}", module.path);
        match kind {
            ModuleNames::SymbolStrings => kinds[0] += 1,
            ModuleNames::OwnStrings => kinds[1] += 1,
            ModuleNames::Variable => assert!(names.is_empty(), "{}: not in 2025", module.path),
        }
    }
    assert!(kinds.iter().all(|n| *n > 150), "both kinds are common: {kinds:?}");
}

#[test]
fn modules_of_2015_come_in_both_classes_and_some_have_a_variable() {
    let root = shared(Year::Y2015);
    let read = |path: &str| fs::read(root.join(path)).unwrap();
    for (narrow, wide) in [("kernel/drv/ata", "kernel/drv/amd64/ata"), ("kernel/drv/e1000g", "kernel/drv/amd64/e1000g")]
    {
        let (kind, names) = module_names::<elf::FileHeader32<Endianness>>(&read(narrow));
        assert_eq!(kind, ModuleNames::Variable, "{narrow}");
        assert!(!names.is_empty());
        assert_eq!(module_names::<elf::FileHeader64<Endianness>>(&read(wide)), (kind, names));
    }
    // The congestion control of 2025 was not there yet.
    let (_, names) = module_names::<elf::FileHeader64<Endianness>>(&read("kernel/drv/amd64/ip"));
    assert!(names.iter().all(|name| !name.starts_with("cc/") && name != "misc/cc"), "{names:?}");
    for (unix, bits) in [("platform/i86pc/kernel/unix", 32), ("platform/i86pc/kernel/amd64/unix", 64)] {
        let object = Elf::read(&&read(unix)[..], &SymbolScan::default()).unwrap();
        assert_eq!((object.identity.bits, object.identity.file_type), (bits, elf::ET_EXEC.0));
        assert_eq!(object.needed(), [b"genunix"[..].into(), b"dtracestubs"[..].into()]);
        assert_eq!(object.interpreter, None);
    }
}

#[test]
fn a_module_without_names_has_no_dynamic_section() {
    for names in [ModuleNames::SymbolStrings, ModuleNames::OwnStrings, ModuleNames::Variable] {
        let module = Module { is_64: true, needed: Vec::new(), names, text: "" };
        let found = module_names::<elf::FileHeader64<Endianness>>(&module.bytes().unwrap());
        assert_eq!(found, (ModuleNames::Variable, Vec::new()));
    }
}

/// The table describes `usr/bin/touch`, a hard link to `usr/bin/settime`, which it does not describe.
#[test]
fn a_file_with_several_names_is_what_the_table_says_of_any() {
    let read = |path: &str| fs::read(shared(Year::Y2025).join(path)).unwrap();
    let object = Elf::read(&&read("usr/bin/settime")[..], &SymbolScan::default()).unwrap();
    assert_eq!(object.needed().last().map(|name| &**name), Some(&b"libc.so.1"[..]));
    assert!(read("etc/default/init").starts_with(b"TZ="), "a row of the table, but no program");
}

/// `libcmdutils.so.1` was no filter of `libcustr.so.1` before there was a `libcustr.so.1`.
#[test]
fn objects_that_the_table_of_2015_lacks_need_nothing_newer_than_they_are() {
    let strings = |year| {
        let bytes = fs::read(shared(year).join("lib/amd64/libcmdutils.so.1")).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    assert!(strings(Year::Y2025).contains("libcustr.so.1"));
    assert!(!strings(Year::Y2015).contains("libcustr.so.1"));
    let zfs = fs::read(shared(Year::Y2015).join("sbin/zfs")).unwrap();
    let zfs = Elf::read(&&zfs[..], &SymbolScan::default()).unwrap();
    assert!(zfs.needed().iter().any(|name| &**name == b"libzfs.so.1"));
}

#[test]
fn contents_lists_every_path_with_the_size_it_has() {
    let root = shared(Year::Y2015);
    let text = fs::read_to_string(root.join("var/sadm/install/contents")).unwrap();
    let tables = tables(Year::Y2015);
    let paths: BTreeSet<&str> = tables.actions.iter().map(|action| action.path.as_str()).collect();
    let mut listed = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (path, target) = fields[0].split_once('=').map_or((fields[0], None), |(path, target)| (path, Some(target)));
        let on_disk = root.join(path.trim_start_matches('/'));
        match fields[1] {
            "d" => assert!(on_disk.is_dir() && fields.len() >= 7, "{line}"),
            "s" => assert_eq!(fs::read_link(&on_disk).unwrap().to_str(), target, "{line}"),
            "l" => assert!(on_disk.is_file() && target.is_some(), "{line}"),
            "f" | "e" => {
                let bytes = fs::read(&on_disk).unwrap();
                assert_eq!(fields[6].parse(), Ok(bytes.len()), "{line}");
                // For so few bytes the sum needs no folding but one.
                let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
                assert_eq!(fields[7].parse(), Ok(sum % 0xffff), "{line}");
                assert_eq!(fields.len(), 10, "{line}");
            }
            other => panic!("{other}: {line}"),
        }
        listed.push(&path[1..]);
    }
    assert!(listed.is_sorted());
    assert!(listed.iter().eq(paths.iter()), "the paths of the table, each once");
    assert!(text.contains("/usr/bin/egrep=../../usr/bin/grep l none SUNWcs\n") || text.contains(" l none SUNWcs\n"));
}

#[test]
fn modes_and_owners_are_those_of_the_packages() {
    let root = shared(Year::Y2025);
    let view = Root::open(root).unwrap();
    let info = |path: &str| view.lookup_nofollow(&RootPath::new(path).unwrap()).unwrap().info;
    let tables = tables(Year::Y2025);
    let actions = tables.actions.iter().filter(|action| matches!(action.verb, Verb::Directory | Verb::File));
    for action in actions {
        assert_eq!(info(&format!("/{}", action.path)).mode, action.mode, "{}", action.path);
    }
    let owner = |path| (info(path).uid, info(path).gid);
    assert_eq!(owner("/sbin/init"), (0, 3));
    assert_eq!(owner("/usr/bin/ls"), (0, 2));
    assert_eq!(owner("/etc/ipadm/ipadm.conf"), (16, 65));
    assert_eq!(owner("/bin"), (0, 0), "links belong to nobody in particular");
    assert_eq!(info("/usr/bin/su").mode, 0o4555);
    assert_eq!(fs::metadata(root.join("usr/bin/su")).unwrap().mode() & 0o7777, 0o555, "not for the user who made it");
}

#[test]
fn the_driver_databases_agree_with_the_modules() {
    let root = of_packages(Year::Y2025, &["SUNWcs", "SUNWcsd", "system/kernel", "driver/network/e1000g"]);
    let read = |path: &str| fs::read_to_string(root.path().join(path)).unwrap();
    let majors = read("etc/name_to_major");
    let numbers: BTreeMap<&str, u32> =
        majors.lines().map(|l| l.split_once(' ').unwrap()).map(|(name, n)| (name, n.parse().unwrap())).collect();
    assert_eq!(numbers.values().collect::<BTreeSet<_>>().len(), majors.lines().count(), "each number once");
    assert_eq!((numbers["dump"], numbers["cn"], numbers["ip"], numbers["pseudo"]), (0, 13, 22, 46));
    for name in numbers.keys() {
        let places = ["kernel", "usr/kernel", "platform/i86pc/kernel", "platform/i86xpv/kernel"];
        let mut places = places.iter().map(|place| root.path().join(place).join("drv/amd64").join(name));
        assert!(places.any(|path| path.is_file()), "{name} has no module");
    }
    for entry in fs::read_dir(root.path().join("kernel/drv/amd64")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(numbers.contains_key(&*name), "{name} has no number");
    }
    let aliases = read("etc/driver_aliases");
    assert!(aliases.contains("e1000g \"pci8086,100e\"\n"));
    assert!(aliases.lines().all(|line| numbers.contains_key(line.split_once(" \"").unwrap().0)));
    assert!(!aliases.contains("ahci"), "its package was not chosen");
    let permissions = read("etc/minor_perm");
    for line in ["mm:null 0666 root sys\n", "clone:ptmx 0666 root sys\n", "clone:e1000g 0666 root sys\n"] {
        assert!(permissions.contains(line), "{line}");
    }
    assert!(read("etc/driver_classes").contains("mpt\tscsi\n"));
    assert!(read("etc/security/device_policy").contains("mm:kmem\tread_priv_set=none\twrite_priv_set=all\n"));
    assert_eq!(read("kernel/drv/cn.conf"), "name=\"cn\" parent=\"pseudo\" instance=0;\n");
    assert!(read("kernel/drv/e1000g.conf").starts_with('#'));
    // A driver keeps its number whatever else is there.
    let all = fs::read_to_string(shared(Year::Y2025).join("etc/name_to_major")).unwrap();
    assert!(majors.lines().all(|line| all.lines().any(|other| other == line)));
}

#[test]
fn service_manifests_start_what_is_there() {
    for (year, n_expected) in [(Year::Y2015, 82), (Year::Y2025, 174)] {
        let root = shared(year);
        let mut n_manifests = 0;
        let mut n_started = 0;
        let manifests = ["lib/svc/manifest", "var/svc/manifest"].map(|directory| root.join(directory));
        let files = manifests.iter().filter(|directory| directory.is_dir()).flat_map(|directory| paths(directory));
        for path in files.filter(|path| path.is_file()) {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("<?xml version='1.0'?>\n<!DOCTYPE service_bundle"), "{}", path.display());
            let start = text.split("name='start' exec='").nth(1).unwrap().split(['\'', ' ']).next().unwrap();
            n_manifests += 1;
            if start != ":true" {
                n_started += 1;
                assert!(root.join(&start[1..]).exists(), "{start} of {}", path.display());
            }
        }
        assert_eq!(n_manifests, n_expected);
        assert!(n_started * 3 > n_manifests, "{n_started} of {n_manifests} start something");
    }
    let text = fs::read_to_string(shared(Year::Y2025).join("lib/svc/manifest/network/network-loopback.xml")).unwrap();
    assert!(text.contains("exec='/lib/svc/method/net-loopback %m'"), "{text}");
}

#[test]
fn the_same_options_give_the_same_tree() {
    let packages = ["SUNWcs", "TRIBsys-library", "system/kernel", "TRIBdrv-net-e1000g"];
    let first = of_packages(Year::Y2015, &packages);
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let second = one_thread.install(|| of_packages(Year::Y2015, &packages));
    let first = tree(first.path());
    assert!(first.len() > 2000, "{}", first.len());
    assert_eq!(first, tree(second.path()));
}

#[test]
fn a_package_goes_by_either_name() {
    let [ips, tribblix] = ["driver/serial/usbser", "TRIBdrv-ser-usbser"].map(|name| of_packages(Year::Y2015, &[name]));
    assert_eq!(tree(ips.path()), tree(tribblix.path()));
    assert!(ips.path().join("kernel/misc/amd64/usbser").is_file());
    assert!(!ips.path().join("etc").exists(), "nothing of other packages");
}

/// `usr/bin/mdb` is a hard link to `usr/lib/isaexec`, which is in SUNWcs.
#[test]
fn a_hard_link_into_another_package_becomes_a_file_without_it() {
    let alone = of_packages(Year::Y2025, &["developer/debug/mdb"]);
    let bytes = fs::read(alone.path().join("usr/bin/mdb")).unwrap();
    assert_eq!(bytes, fs::read(shared(Year::Y2025).join("usr/lib/isaexec")).unwrap());
}

#[test]
fn an_unknown_package_is_named_with_the_nearest() {
    let directory = scratch();
    let options = Options { year: Year::Y2015, packages: vec!["system/kernal".to_owned()] };
    let error = generator::generate(&options, &directory.path().join("out")).unwrap_err();
    assert_eq!(error.to_string(), "no package is called `system/kernal`; did you mean `system/kernel`?");
    assert!(!directory.path().join("out").exists(), "nothing was begun");
    let loader = Options { year: Year::Y2015, packages: vec!["system/boot/loader".to_owned()] };
    let error = generator::generate(&loader, directory.path()).unwrap_err();
    assert!(matches!(error, ModelError::UnknownPackage { .. }), "there was no such package in 2015: {error}");
}

#[test]
fn a_directory_with_something_in_it_is_left_alone() {
    let directory = scratch();
    fs::write(directory.path().join("mine"), "mine").unwrap();
    let options = Options { year: Year::Y2015, packages: vec!["SUNWcsd".to_owned()] };
    let error = generator::generate(&options, directory.path()).unwrap_err();
    assert!(matches!(error, ModelError::NotEmpty(_)), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

/// Every path below a directory.
fn paths(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}

/// Every path with its kind, mode, time, and target or digest.
fn tree(root: &Path) -> BTreeMap<PathBuf, String> {
    let line = |path: &PathBuf| {
        let info = fs::symlink_metadata(path).unwrap();
        let content = if info.is_symlink() {
            format!("link {}", fs::read_link(path).unwrap().display())
        } else if info.is_dir() {
            "directory".to_owned()
        } else {
            format!("file {} {:x?}", info.nlink(), Sha256::digest(fs::read(path).unwrap()))
        };
        format!("{content} {:o} {}", info.mode(), info.mtime())
    };
    paths(root).iter().map(|path| (path.strip_prefix(root).unwrap().to_owned(), line(path))).collect()
}
