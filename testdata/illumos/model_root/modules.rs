//! Module facts in, one kernel module for each path out.

use super::elf::{Module, ModuleNames, Needed, Object};
use super::objects::is_64_by_path;
use super::spread;
use super::tables::{KernelModule, Tables, Year};
use std::collections::{HashMap, HashSet};

/// What lies below a kernel directory.
pub enum KernelObject {
    Module(Module),
    /// `unix`, which is linked like a program but has no interpreter.
    Kernel(Object),
}

/// Kernel modules by path, and by namespace and name: in 2015 some lay in another directory than in 2025.
pub struct Modules<'t> {
    by_path: HashMap<&'t str, &'t KernelModule>,
    by_name: HashMap<(&'t str, &'t str), &'t KernelModule>,
    /// Modules such as `cc/cc_cubic` that packages of 2015 did not deliver yet.
    gone: HashSet<String>,
    year: Year,
}

impl<'t> Modules<'t> {
    pub fn new(tables: &'t Tables) -> Modules<'t> {
        let mut by_name = HashMap::new();
        for module in &tables.modules {
            by_name.entry((module.namespace.as_str(), module.name.as_str())).or_insert(module);
        }
        let by_path = tables.modules.iter().map(|module| (module.path.as_str(), module)).collect();
        let gone = if tables.year == Year::Y2015 { gone_modules(tables) } else { HashSet::new() };
        Modules { by_path, by_name, gone, year: tables.year }
    }

    /// The kernel object of a file; `None` when the file is something else.
    pub fn of(&self, path: &str, mode: u32, package: &str) -> Option<KernelObject> {
        let place = Place::of(path)?;
        let executable = mode & 0o111 != 0 && !path.ends_with(".conf");
        if !(place.is_64 || self.year == Year::Y2015 && executable) {
            return None;
        }
        let facts = self.facts(path, &place);
        let needed: Vec<String> = facts
            .map_or(&[][..], |module| &module.depends)
            .iter()
            .filter(|name| !self.gone.contains(*name))
            .cloned()
            .collect();
        if place.namespace == "(top)" && place.name == "unix" {
            let needed = needed.into_iter().map(|name| Needed { name, lazy: false }).collect();
            return Some(KernelObject::Kernel(Object {
                is_64: place.is_64,
                fixed_address: true,
                needed,
                ..Object::default()
            }));
        }
        let old = self.year == Year::Y2015 && package.starts_with("driver/") && spread(place.name).is_multiple_of(4);
        let names = match (old, spread(path).is_multiple_of(2)) {
            (true, _) => ModuleNames::Variable,
            (false, true) => ModuleNames::SymbolStrings,
            (false, false) => ModuleNames::OwnStrings,
        };
        Some(KernelObject::Module(Module { is_64: place.is_64, needed, names, text: self.text(&place) }))
    }

    /// Until 2021 ISA devices were looked up in a file (`usr/src/uts/intel/io/acpica/master_ops.c`).
    fn text(&self, place: &Place<'_>) -> &'static str {
        match (self.year, place.namespace, place.name) {
            (Year::Y2015, "misc", "acpica") => "/boot/solaris/devicedb/master",
            _ => "",
        }
    }

    fn facts(&self, path: &str, place: &Place<'_>) -> Option<&'t KernelModule> {
        let wide = format!("{}/amd64/{}", path.rsplit_once('/')?.0, place.name);
        let exact = self.by_path.get(path).or_else(|| self.by_path.get(wide.as_str()));
        exact.or_else(|| self.by_name.get(&(place.namespace, place.name))).copied()
    }
}

/// A path below a kernel directory, taken apart: `platform/i86pc/kernel/drv/amd64/isa`.
struct Place<'a> {
    /// `drv`, or `(top)`.
    namespace: &'a str,
    name: &'a str,
    is_64: bool,
}

impl<'a> Place<'a> {
    fn of(path: &'a str) -> Option<Place<'a>> {
        let inside = match path.strip_prefix("kernel/") {
            Some(inside) => inside,
            None => path.split_once("/kernel/").filter(|(root, _)| is_module_root(root))?.1,
        };
        let (directory, name) = inside.rsplit_once('/').unwrap_or(("", inside));
        let narrow = directory.strip_suffix("amd64").map(|rest| rest.trim_end_matches('/'));
        let namespace = match narrow.unwrap_or(directory) {
            "" => "(top)",
            namespace => namespace,
        };
        Some(Place { namespace, name, is_64: is_64_by_path(directory) })
    }
}

/// The directories that hold a `kernel` directory of the module path.
fn is_module_root(directory: &str) -> bool {
    directory == "usr" || directory.strip_prefix("platform/").is_some_and(|name| !name.contains('/'))
}

fn gone_modules(tables: &Tables) -> HashSet<String> {
    let modules = tables.actions.iter().filter_map(|action| Place::of(&action.path));
    let then: HashSet<(&str, &str)> = modules.map(|place| (place.namespace, place.name)).collect();
    let packages: HashSet<&str> = tables.actions.iter().map(|action| action.package.as_str()).collect();
    let now = tables.modules.iter().filter(|module| packages.contains(module.package.as_str()));
    now.filter(|module| module.namespace != "(top)")
        .filter(|module| !then.contains(&(module.namespace.as_str(), module.name.as_str())))
        .map(|module| format!("{}/{}", module.namespace, module.name))
        .collect()
}
