//! Every dynamic executable of this machine: what glibc says it maps against what we say.

use super::fixture::{LOADER, listed_path};
use minroot::objects::elf::SymbolScan;
use minroot::path::RootPath;
use minroot::resolve::cpu::Cpu;
use minroot::resolve::glibc::{By, Cache, Glibc};
use minroot::resolve::store::{ObjectId, Store};
use minroot::root::{FileKind, Found, Root};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// What the loader lists for one executable: real paths, and names that are not found.
type Listed = BTreeSet<String>;

#[test]
fn every_executable_of_this_machine_maps_what_the_loader_lists() {
    if !Path::new(LOADER).exists() {
        eprintln!("skipped: this is no x86-64 machine with glibc");
        return;
    }
    let root = Root::open(Path::new("/")).unwrap();
    let scan = SymbolScan::default();
    let executables = dynamic_executables(&root, &scan);
    let real: Vec<Option<Listed>> = executables.par_iter().map(ask_loader).collect();
    for cache in [Cache::FromConfiguration, Cache::AsItIs] {
        let mut glibc = Glibc::new(Store::new(&root, &scan), Cpu::default(), cache, &[]);
        let mut n_compared = 0;
        let mut differences = Vec::new();
        for (found, real) in executables.iter().zip(&real) {
            let ours = run(&mut glibc, found);
            match real {
                Some(real) if *real != ours => differences.push((&found.path, real, ours)),
                Some(_) => n_compared += 1,
                None => eprintln!("{}: the loader lists nothing", found.path),
            }
        }
        for (path, real, ours) in &differences {
            let (more, less) = (ours.difference(real).collect::<Vec<_>>(), real.difference(ours).collect::<Vec<_>>());
            eprintln!("{path}: we say {more:?}, the loader says {less:?}");
        }
        eprintln!("{cache:?}: {n_compared} executables agree, {} do not", differences.len());
        assert!(differences.is_empty() && n_compared > 0);
    }
}

fn dynamic_executables(root: &Root, scan: &SymbolScan) -> Vec<Found> {
    let mut store = Store::new(root, scan);
    let mut executables = Vec::new();
    for directory in ["/usr/bin", "/usr/sbin"] {
        for found in root.walk(&RootPath::new(directory).unwrap()).into_iter().filter_map(Result::ok) {
            if found.info.kind == FileKind::File
                && found.info.mode & 0o111 != 0
                && let id = store.read(&found)
                && store.object(id).elf().is_some_and(|elf| elf.interpreter.is_some())
            {
                executables.push(found);
            }
        }
    }
    executables
}

/// `LD_TRACE_LOADED_OBJECTS` makes the loader list what it has mapped, instead of starting the program; a setuid or
/// setgid program does not obey, and is given to the loader as an argument.
fn ask_loader(executable: &Found) -> Option<Listed> {
    const SET_ID: u32 = 0o6000;
    let path = executable.path.to_string();
    let mut command = Command::new(if executable.info.mode & SET_ID == 0 { &path } else { LOADER });
    if executable.info.mode & SET_ID == 0 {
        command.env_clear().env("LD_TRACE_LOADED_OBJECTS", "1");
    } else {
        command.env_clear().args(["--list", &path]);
    }
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut listed = Listed::new();
    for line in text.lines() {
        if let Some(path) = listed_path(line) {
            listed.insert(std::fs::canonicalize(path).ok()?.to_str()?.to_owned());
        } else if let Some(name) = line.trim().strip_suffix(" => not found") {
            listed.insert(name.to_owned());
        }
    }
    Some(listed)
}

fn run(glibc: &mut Glibc<'_>, found: &Found) -> Listed {
    let executable = glibc.store_mut().read(found);
    let members = glibc.run(executable, &[]);
    let missing = glibc.take_findings().missing;
    let path = |id: ObjectId| glibc.store().object(id).path.to_string();
    let mut ours: Listed = members.into_iter().skip(1).map(path).collect();
    let names = missing.into_iter().filter(|failure| failure.by == By::Needed).map(|failure| failure.name);
    ours.extend(names.map(|name| String::from_utf8_lossy(&name).into_owned()));
    ours
}
