//! Link facts in, one [`Object`] for each executable and library out.

use super::elf::{Filter, Needed, Object};
use super::spread;
use super::tables::{Action, LinkFact, Tables, Verb, Year};
use super::tree::hard_link_target;
use object::elf;
use std::collections::{HashMap, HashSet};

/// Programs that no table describes and that are no scripts; all others outside the directories of an instruction set
/// are taken for scripts.
const PROGRAMS: [&str; 14] = [
    "boot/grub/bin/grub",
    "usr/bin/pax",
    "usr/lib/getoptcvt",
    "usr/lib/inet/certdb",
    "usr/lib/inet/certlocal",
    "usr/lib/inet/certrldb",
    "usr/lib/labeld",
    "usr/lib/lpsched",
    "usr/lib/platexec",
    "usr/sbin/ikeadm",
    "usr/sbin/ikecert",
    "usr/xpg4/bin/cp",
    "usr/xpg4/bin/edit",
    "usr/xpg4/bin/more",
];

/// Objects by path.
pub struct Objects {
    known: HashMap<String, Object>,
    year: Year,
}

impl Objects {
    /// Collects the facts. What the table of 2015 does not describe has the facts of 2025 as a stand-in.
    pub fn new(tables: &Tables) -> Objects {
        let mut known = collect(&tables.links, tables.year);
        if tables.year == Year::Y2015 {
            let gone = gone_libraries(tables);
            for (path, mut object) in collect(&tables.links_2025, tables.year) {
                object.needed.retain(|needed| !gone.contains(needed.name.as_str()));
                object.filters.retain(|(_, filtee)| !gone.contains(filtee.as_str()));
                set_class(&mut object, is_64_by_path(&path));
                known.entry(path).or_insert(object);
            }
        }
        // `etc/default/init` is in the table because its Makefile is that of a program.
        for action in tables.actions.iter().filter(|action| action.verb == Verb::File && action.mode & 0o111 == 0) {
            known.remove(&action.path);
        }
        // Of a file with several names the table may describe another one than the packages.
        for link in tables.actions.iter().filter(|action| action.verb == Verb::HardLink) {
            if let Some(object) = known.get(&link.path).cloned() {
                known.entry(hard_link_target(link)).or_insert(object);
            }
        }
        Objects { known, year: tables.year }
    }

    /// Whether a table has facts about the path.
    pub fn describes(&self, path: &str) -> bool {
        self.known.contains_key(path)
    }

    /// The object of an executable file; `None` for what is likely a script.
    pub fn of(&self, path: &str) -> Option<Object> {
        if let Some(object) = self.known.get(path) {
            return Some(object.clone());
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        let is_library = name.ends_with(".so") || name.contains(".so.");
        let object = Object {
            is_64: is_64_by_path(path),
            needed: vec![Needed { name: "libc.so.1".to_owned(), lazy: false }],
            flags_1: elf::DF_1_DIRECT.0,
            ..Object::default()
        };
        if is_library {
            let soname = name.contains(".so.").then(|| name.to_owned());
            return Some(Object { soname, ..object });
        }
        let is_program = PROGRAMS.contains(&path) || (in_isa_directory(path) && !name.contains('.'))
            // Named `in.routed` and the like.
            || (in_isa_directory(path) && name.starts_with("in."));
        let interpreter = if object.is_64 { "/usr/lib/amd64/ld.so.1" } else { "/usr/lib/ld.so.1" };
        is_program.then(|| Object {
            interpreter: Some(interpreter.to_owned()),
            fixed_address: fixed_address(path, self.year),
            ..object
        })
    }
}

/// Whether a component of the path names the 64-bit instruction set.
pub fn is_64_by_path(path: &str) -> bool {
    path.split('/').any(|component| matches!(component, "amd64" | "64"))
}

fn in_isa_directory(path: &str) -> bool {
    is_64_by_path(path) || path.split('/').any(|component| matches!(component, "i86" | "i386"))
}

fn collect(links: &[LinkFact], year: Year) -> HashMap<String, Object> {
    let mut objects: HashMap<String, Object> = HashMap::new();
    for fact in links {
        let object = objects.entry(fact.object.clone()).or_insert_with(|| Object {
            is_64: fact.is_64,
            fixed_address: fact.executable && fixed_address(&fact.object, year),
            flags_1: elf::DF_1_DIRECT.0,
            ..Object::default()
        });
        add_fact(object, fact);
    }
    objects
}

/// Old programs are linked to an address; of the newer ones an eighth is position independent.
fn fixed_address(path: &str, year: Year) -> bool {
    year == Year::Y2015 || !spread(path).is_multiple_of(8)
}

fn add_fact(object: &mut Object, fact: &LinkFact) {
    let value = || fact.value.clone();
    match fact.tag.as_str() {
        "NEEDED" => object.needed.push(Needed { name: value(), lazy: fact.lazy }),
        "FILTER" => object.filters.push((Filter::Standard, value())),
        "AUXILIARY" => object.filters.push((Filter::Auxiliary, value())),
        "SUNW_FILTER" => object.filters.push((Filter::SymbolsStandard, value())),
        "SUNW_AUXILIARY" => object.filters.push((Filter::SymbolsAuxiliary, value())),
        "RUNPATH" => object.runpath = Some(value()),
        "INTERP" => object.interpreter = Some(value()),
        "SONAME" => object.soname = Some(value()),
        "FLAGS" => fact.value.split_whitespace().for_each(|flag| add_flag(object, flag)),
        // `NONE`: the row says only that there is an object.
        _ => {}
    }
}

/// The options of ld(1) that reach the runtime linker.
fn add_flag(object: &mut Object, option: &str) {
    let flag = match option {
        "zinterpose" => elf::DF_1_INTERPOSE,
        "zinitfirst" => elf::DF_1_INITFIRST,
        "znodelete" => elf::DF_1_NODELETE,
        "znodlopen" => elf::DF_1_NOOPEN,
        "zloadfltr" => elf::DF_1_LOADFLTR,
        "znow" => {
            object.flags |= elf::DF_BIND_NOW.0;
            elf::DF_1_NOW
        }
        "no-Bdirect" => {
            object.flags_1 &= !elf::DF_1_DIRECT.0;
            return;
        }
        _ => return,
    };
    object.flags_1 |= flag.0;
}

/// Names that packages of 2015 did not deliver yet: today's package delivers them, and it was there without them. What
/// belongs to a package outside the tables of 2015 stays.
fn gone_libraries(tables: &Tables) -> HashSet<&str> {
    let then: HashSet<&str> = tables.actions.iter().map(file_name).collect();
    let packages: HashSet<&str> = tables.actions.iter().map(|action| action.package.as_str()).collect();
    let now = tables.actions_2025.iter().filter(|action| packages.contains(action.package.as_str()));
    now.map(file_name).filter(|name| !then.contains(name)).collect()
}

fn file_name(action: &Action) -> &str {
    action.path.rsplit('/').next().unwrap_or(&action.path)
}

/// Makes an object what it was when programs were 32-bit outside the directories of an instruction set.
fn set_class(object: &mut Object, is_64: bool) {
    if object.is_64 && !is_64 {
        let paths = [&mut object.interpreter, &mut object.runpath];
        for path in paths.into_iter().flatten() {
            *path = path.replace("/amd64", "").replace("/64", "");
        }
    }
    object.is_64 = is_64;
}
