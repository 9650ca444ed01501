//! The rules against the runtime linker of this machine: what glibc says it loaded by name, the rules must have named.

use crate::support::{output, scratch, tool};
use minroot::objects::elf::{Elf, SymbolScan};
use minroot::path::RootPath;
use minroot::recipe::System;
use minroot::rules::{
    Bindings, Effect, Facts, Firing, ObjectFacts, RuleSet, RuleState, StringPattern, SymbolPattern, path_glob,
};
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// This machine as a source root, read with goblin's complete parser: slow, simple, and not the product's reader.
#[derive(Default)]
struct Host {
    objects: HashMap<RootPath, HostObject>,
}

struct HostObject {
    soname: Option<Vec<u8>>,
    needed: Vec<Vec<u8>>,
    interpreter: Option<Vec<u8>>,
    undefined: Vec<Vec<u8>>,
}

impl Host {
    fn with(files: &[&Path]) -> Host {
        let mut host = Host::default();
        for file in files {
            let bytes = std::fs::read(file).unwrap();
            let elf = goblin::elf::Elf::parse(&bytes).unwrap();
            let owned = |text: &str| text.as_bytes().to_vec();
            let symbols = elf.dynsyms.iter().filter(|symbol| symbol.st_shndx == 0);
            let undefined: Vec<Vec<u8>> =
                symbols.filter_map(|symbol| elf.dynstrtab.get_at(symbol.st_name)).map(owned).collect();
            let object = HostObject {
                soname: elf.soname.map(owned),
                needed: elf.libraries.iter().map(|name| owned(name)).collect(),
                interpreter: elf.interpreter.map(owned),
                undefined,
            };
            host.objects.insert(RootPath::new(file.as_os_str().as_bytes()).unwrap(), object);
        }
        host
    }

    /// Fires the rules of the binary on the objects, once.
    fn firings(&self) -> Vec<Firing> {
        let set = RuleSet::load(&[]).unwrap();
        // The scan that a trace makes sees the same symbols as a reader of the whole file.
        let scan = SymbolScan::new(set.symbol_patterns().iter().map(SymbolPattern::text)).unwrap();
        for path in self.objects.keys() {
            let bytes = std::fs::read(on_host(path)).unwrap();
            let scanned = Elf::read(&&bytes[..], &scan).unwrap().dynamic.unwrap_or_default().imports;
            for pattern in set.symbol_patterns() {
                assert_eq!(scanned >> pattern.index & 1 == 1, self.imports(path, pattern), "{path}: {pattern:?}");
            }
        }
        let new: Vec<RootPath> = self.objects.keys().cloned().collect();
        set.fire(&new, &mut RuleState::default(), self)
    }

    fn libraries(&self) -> BTreeSet<String> {
        let libraries = self.firings().into_iter().filter_map(|firing| match firing.effect {
            Effect::Library { soname, .. } => Some(String::from_utf8(soname).unwrap()),
            _ => None,
        });
        libraries.collect()
    }
}

fn on_host(path: &RootPath) -> &Path {
    Path::new(OsStr::from_bytes(path.as_bytes()))
}

impl Facts for Host {
    fn object(&self, path: &RootPath) -> Option<ObjectFacts<'_>> {
        let object = self.objects.get(path)?;
        Some(ObjectFacts {
            soname: object.soname.as_deref(),
            needed: object.needed.iter().map(Vec::as_slice).collect(),
            interpreter: object.interpreter.as_deref(),
        })
    }

    fn imports(&self, path: &RootPath, pattern: &SymbolPattern) -> bool {
        self.objects.get(path).is_some_and(|object| object.undefined.iter().any(|name| pattern.matches(name)))
    }

    fn strings(&self, path: &RootPath, patterns: &[&StringPattern]) -> Vec<Vec<Bindings>> {
        let content = self.read(path).unwrap_or_default();
        patterns.iter().map(|pattern| pattern.matches(&content)).collect()
    }

    fn read(&self, path: &RootPath) -> Option<Vec<u8>> {
        std::fs::read(on_host(path)).ok()
    }

    fn exists(&self, path: &RootPath) -> bool {
        on_host(path).exists()
    }

    /// Enough for patterns over the directories of libraries.
    fn glob(&self, pattern: &str) -> Vec<RootPath> {
        let matcher = path_glob(pattern).unwrap().compile_matcher();
        let mut found = Vec::new();
        let mut directories = vec![PathBuf::from("/lib"), PathBuf::from("/usr/lib"), PathBuf::from("/lib64")];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() && path.components().count() < 5 {
                    directories.push(path.clone());
                }
                if matcher.is_match(&path) {
                    found.push(RootPath::new(path.as_os_str().as_bytes()).unwrap());
                }
            }
        }
        found.sort();
        found
    }

    fn hardware(&self) -> &[String] {
        &[]
    }

    fn system(&self) -> System {
        System::Linux
    }

    fn arch(&self) -> &str {
        std::env::consts::ARCH
    }

    fn environment(&self) -> &[u8] {
        &[]
    }
}

/// What libc loaded by name while `program` ran, as the runtime linker tells.
fn loaded_by_libc(program: &Path, arguments: &[&str]) -> BTreeSet<String> {
    let mut full: Vec<&OsStr> = vec!["LD_DEBUG=files".as_ref(), program.as_os_str()];
    full.extend(arguments.iter().map(OsStr::new));
    let output = output(Path::new("/usr/bin/env"), &full);
    String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter(|line| line.contains("dynamically loaded by") && line.contains("/libc.so.6"))
        .filter_map(|line| Some(line.split_once("file=")?.1.split_once(' ')?.0.to_owned()))
        .collect()
}

#[test]
fn b35_what_glibc_loads_for_a_look_up_is_what_nsswitch_names() {
    let Some(getent) = tool("getent") else { return };
    let named = Host::with(&[&getent]).libraries();
    for database in ["passwd", "group", "hosts", "services"] {
        let loaded = loaded_by_libc(&getent, &[database, "no-such-name.invalid"]);
        eprintln!("{database}: libc loads {loaded:?}, the rules name {named:?}");
        assert!(loaded.is_subset(&named), "{database}: {loaded:?} is not within {named:?}");
    }
    assert!(!named.contains("libnss_files.so.2"), "files is inside libc: {named:?}");
}

#[test]
fn b34_a_thread_that_ends_early_loads_the_unwinder_the_rule_names() {
    let Some(gcc) = tool("gcc") else { return };
    let directory = scratch();
    let source = directory.path().join("threads.c");
    let program = directory.path().join("threads");
    let text = "#include <pthread.h>\nstatic void *end(void *a) { pthread_exit(a); }\n\
                int main(void) { pthread_t t; return pthread_create(&t, 0, end, 0) || pthread_join(t, 0); }\n";
    std::fs::write(&source, text).unwrap();
    crate::support::run(&gcc, &[source.as_os_str(), "-pthread".as_ref(), "-o".as_ref(), program.as_os_str()]);
    let named = Host::with(&[&program]).libraries();
    assert_eq!(named, BTreeSet::from(["libgcc_s.so.1".to_owned()]));
    assert_eq!(loaded_by_libc(&program, &[]), named);
}
