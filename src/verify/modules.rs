//! The kernel modules that `/init` loads: there, whole, and each after those it needs.
//!
//! `/init` loads them in the order of its plan and asks nobody for dependencies, so the order is what `depends=` in each
//! module's `.modinfo` decides. What a module needs and is built into the kernel is not in that list.

use super::{Component, Finding, Report, Severity};
use crate::modules::{Compression, Modinfo, ModinfoError, ModuleName};
use crate::path::escaped;
use crate::root::{LookupError, Root};
use crate::text::count;
use std::collections::HashSet;

/// Checks the modules of a plan against each other and the release of the kernel, where that is known.
pub(super) fn check(root: &Root, modules: &[Vec<u8>], release: Option<&str>, report: &mut Report) {
    let mut loaded: HashSet<ModuleName> = HashSet::new();
    for path in modules {
        match read(root, path) {
            Ok(module) => {
                let needed: Vec<&str> =
                    module.depends().filter(|name| !loaded.contains(&ModuleName::new(name))).collect();
                if needed.is_empty() {
                    loaded.insert(name_of(path));
                } else {
                    let later: HashSet<ModuleName> = modules.iter().map(|path| name_of(path)).collect();
                    report.find(unknown_symbol(path, &needed, &later));
                }
                check_release(path, &module, release, report);
            }
            Err(error) => report.find(not_loaded(path, &error)),
        }
    }
    if !modules.is_empty() {
        report.saw(Component::Init, "modules", format_args!("{} in load order", count(modules.len() as u64, "module")));
    }
}

fn read(root: &Root, path: &[u8]) -> Result<Modinfo, ModinfoError> {
    let found = root.lookup_spelled(path)?;
    if Compression::of_name(found.path.file_name()) != Compression::None {
        // `/init` does not ask the kernel to decompress.
        return Err(ModinfoError::NotElf);
    }
    Modinfo::read_found(root, &found)
}

fn name_of(path: &[u8]) -> ModuleName {
    ModuleName::new(&String::from_utf8_lossy(path))
}

fn unknown_symbol(path: &[u8], needed: &[&str], later: &HashSet<ModuleName>) -> Finding {
    let hints = needed.iter().map(|name| {
        if later.contains(&ModuleName::new(name)) {
            format!("{name} has to be loaded before it, and itself without an error")
        } else {
            format!("{name} is not in /init.plan")
        }
    });
    let message = "unknown symbol, as a module that it needs is not loaded";
    cannot_load(path, message).hint(hints.collect::<Vec<_>>().join("; "))
}

/// A module says for which kernel it was made. With CONFIG_MODVERSIONS another release may do as well
/// (kernel/module/version.c `same_magic`), so this is a warning.
fn check_release(path: &[u8], module: &Modinfo, release: Option<&str>, report: &mut Report) {
    let magic = module.values("vermagic").next();
    let (Some(release), Some(made_for)) = (release, magic.and_then(|magic| magic.split(' ').next())) else { return };
    if made_for != release {
        let name = name_of(path);
        let message = format!("{name}: version magic '{made_for}' should be '{release}'");
        let finding = Finding::new(Severity::Warning, Component::Kernel, message);
        report.find(finding.at(escaped(path)).hint("take the modules of the package that has this kernel"));
    }
}

fn not_loaded(path: &[u8], error: &ModinfoError) -> Finding {
    match error {
        ModinfoError::Lookup(LookupError::NotFound(_) | LookupError::Dangling { .. }) => {
            cannot_load(path, super::exec::ENOENT.words)
        }
        ModinfoError::Lookup(error) => cannot_load(path, &error.to_string()),
        error => cannot_load(path, "not a module for this kernel").hint(error.to_string()),
    }
}

fn cannot_load(path: &[u8], words: &str) -> Finding {
    let message = format!("minroot: cannot load {}: {words}", escaped(path));
    Finding::new(Severity::Harmful, Component::Init, message).at(escaped(path))
}
