//! What one kernel version offers: its modules with dependencies and aliases, and what is built in.
//!
//! Filled from depmod's text indexes when they fit the files, else from the `.modinfo` of every module. Both ways give
//! the same value, so nothing downstream can tell them apart except by [`ModuleIndex::origin`].

use super::modinfo::{Modinfo, ModuleError};
use super::order::complete_dependencies;
use super::scan::{ModuleFiles, module_files};
use super::text::{self, DamagedLine};
use super::{Compression, ModuleName};
use crate::path::RootPath;
use crate::root::{LookupError, Root};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use std::fmt;

/// The place of a module in [`ModuleIndex::modules`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleId(pub(super) usize);

/// One loadable module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    pub name: ModuleName,
    /// The file, below the version directory as a rule; its last component may be a symlink.
    pub path: RootPath,
    /// All modules it needs, directly or not, in the order of `modules.dep`: to be loaded last first.
    pub dependencies: Vec<ModuleId>,
    /// Patterns, in the order of the module.
    pub aliases: Vec<Box<str>>,
    /// The values of `softdep=`, such as `pre: crypto-crc32c`.
    pub softdeps: Vec<Box<str>>,
    /// The values of `weakdep=`: names.
    pub weakdeps: Vec<Box<str>>,
}

impl Module {
    pub fn compression(&self) -> Compression {
        Compression::of_name(self.path.file_name())
    }
}

/// A module that is part of the kernel image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Builtin {
    pub name: ModuleName,
    /// Whether `modules.builtin` has it; the other names come from `modules.builtin.modinfo` only.
    pub listed: bool,
    pub aliases: Vec<Box<str>>,
    /// Firmware it may ask for, as in `firmware=`.
    pub firmware: Vec<Box<str>>,
}

/// Where an index comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The files that depmod wrote.
    DepmodFiles,
    /// The `.modinfo` of every module, because depmod has not run here (an unpacked kernel package).
    Modinfo,
    /// The `.modinfo` of every module, because depmod's files do not fit.
    Stale(Stale),
}

/// Why depmod's files cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    #[error("modules.dep lists `{0}`, which is gone")]
    Gone(RootPath),
    #[error("modules.dep does not list `{0}`")]
    Unlisted(RootPath),
    #[error("`{file}` names the module `{module}`, which modules.dep does not list")]
    UnknownModule { file: &'static str, module: String },
    #[error("`{0}` is absent")]
    Absent(&'static str),
    #[error("line {line} of `{file}` is damaged")]
    Damaged { file: &'static str, line: usize },
}

/// Why a version has no index at all.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("cannot list the kernel modules in `{directory}`")]
    Directory { directory: RootPath, source: LookupError },
    #[error("cannot read `{path}`")]
    Read { path: RootPath, source: std::io::Error },
}

/// The modules of one kernel version.
pub struct ModuleIndex {
    directory: RootPath,
    modules: Vec<Module>,
    by_name: HashMap<ModuleName, ModuleId>,
    builtins: Vec<Builtin>,
    builtin_by_name: HashMap<ModuleName, usize>,
    origin: Origin,
    problems: Vec<ModuleError>,
    cyclic: Vec<ModuleId>,
}

impl fmt::Debug for ModuleIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModuleIndex({}, {} modules, {:?})", self.directory, self.modules.len(), self.origin)
    }
}

/// The directories of all kernel versions in a root, without symlinks, sorted: `/lib/modules/*` and
/// `/usr/lib/modules/*`.
///
/// # Errors
/// When one of the two directories is there but cannot be read.
pub fn versions(root: &Root) -> Result<Vec<RootPath>, IndexError> {
    let mut found = Vec::new();
    for base in ["/lib/modules", "/usr/lib/modules"] {
        let base = RootPath::new(base).expect("a constant");
        let directory = match root.directory(&base) {
            Ok(directory) => directory,
            Err(error) if error.is_absent() => continue,
            Err(source) => return Err(IndexError::Directory { directory: base, source }),
        };
        let names = root.read_dir(&directory).map_err(|source| IndexError::Read { path: base, source })?;
        let paths = names.iter().map(|name| directory.path.join(name));
        found.extend(paths.filter_map(|path| root.directory(&path).ok()).map(|directory| directory.path.clone()));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

impl ModuleIndex {
    /// Reads depmod's files in `directory` (`/lib/modules/VERSION`) when they fit the module files there, else every
    /// module.
    ///
    /// # Errors
    /// When the directory or one of the index files is there but cannot be read. A single unreadable module is kept
    /// in [`ModuleIndex::problems`] instead.
    pub fn load(root: &Root, directory: &RootPath) -> Result<ModuleIndex, IndexError> {
        let source = Source::open(root, directory)?;
        match source.read_depmod_files()? {
            Ok(Some(modules)) => source.finish(modules, Origin::DepmodFiles),
            Ok(None) => source.compute(Origin::Modinfo),
            Err(stale) => source.compute(Origin::Stale(stale)),
        }
    }

    /// Reads the `.modinfo` of every module, whatever depmod's files say.
    ///
    /// # Errors
    /// As [`ModuleIndex::load`].
    pub fn compute(root: &Root, directory: &RootPath) -> Result<ModuleIndex, IndexError> {
        Source::open(root, directory)?.compute(Origin::Modinfo)
    }

    /// `/lib/modules/VERSION`, without symlinks.
    pub fn directory(&self) -> &RootPath {
        &self.directory
    }

    /// The kernel's version, as `uname -r` prints it.
    pub fn version(&self) -> String {
        String::from_utf8_lossy(self.directory.file_name()).into_owned()
    }

    /// All loadable modules in the order of `modules.order`, which is also modprobe's order among modules of one alias.
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    pub fn module(&self, id: ModuleId) -> &Module {
        &self.modules[id.0]
    }

    pub fn find(&self, name: &ModuleName) -> Option<ModuleId> {
        self.by_name.get(name).copied()
    }

    pub fn builtins(&self) -> &[Builtin] {
        &self.builtins
    }

    pub fn find_builtin(&self, name: &ModuleName) -> Option<&Builtin> {
        self.builtin_by_name.get(name).map(|&place| &self.builtins[place])
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The modules that could not be read and are not in the index.
    pub fn problems(&self) -> &[ModuleError] {
        &self.problems
    }

    /// Modules that need one another, or that such modules need; the order between them is arbitrary.
    pub fn cyclic(&self) -> &[ModuleId] {
        &self.cyclic
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ModuleId> {
        (0..self.modules.len()).map(ModuleId)
    }
}

/// A version directory that is being read.
struct Source<'r> {
    root: &'r Root,
    directory: RootPath,
    files: ModuleFiles,
}

/// Modules and what went wrong with some.
#[derive(Default)]
struct Found {
    modules: Vec<Module>,
    problems: Vec<ModuleError>,
    cyclic: Vec<ModuleId>,
}

impl<'r> Source<'r> {
    fn open(root: &'r Root, directory: &RootPath) -> Result<Source<'r>, IndexError> {
        let failed = |source| IndexError::Directory { directory: directory.clone(), source };
        let real = root.directory(directory).map_err(failed)?.path.clone();
        let files = module_files(root, &real).map_err(failed)?;
        Ok(Source { root, directory: real, files })
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, IndexError> {
        let path = self.directory.join(name.as_bytes());
        self.root.read_optional(&path).map_err(|source| IndexError::Read { path, source })
    }

    /// `None` when depmod has not run here.
    fn read_depmod_files(&self) -> Result<Result<Option<Found>, Stale>, IndexError> {
        let Some(dependencies) = self.read("modules.dep")? else { return Ok(Ok(None)) };
        let texts = Texts {
            dependencies,
            aliases: self.read("modules.alias")?,
            softdeps: self.read("modules.softdep")?.unwrap_or_default(),
            // depmod writes this file since kmod 33 only.
            weakdeps: self.read("modules.weakdep")?.unwrap_or_default(),
        };
        Ok(self.parse(&texts).map(|modules| Some(Found { modules, ..Found::default() })))
    }

    fn parse(&self, texts: &Texts) -> Result<Vec<Module>, Stale> {
        let aliases = texts.aliases.as_ref().ok_or(Stale::Absent("modules.alias"))?;
        let damaged = |file| move |DamagedLine(line)| Stale::Damaged { file, line };
        let lines = text::dependency_lines(&texts.dependencies).map_err(damaged("modules.dep"))?;
        let by_path: HashMap<&str, ModuleId> =
            lines.iter().enumerate().map(|(place, line)| (line.path, ModuleId(place))).collect();
        let mut modules = Vec::with_capacity(lines.len());
        for (index, line) in lines.iter().enumerate() {
            let known = |path: &&str| by_path.get(path).copied();
            let dependencies: Option<Vec<ModuleId>> = line.dependencies.iter().map(known).collect();
            let bad_line = Stale::Damaged { file: "modules.dep", line: index + 1 };
            let (Some(dependencies), Some(path)) = (dependencies, self.absolute(line.path)) else {
                return Err(bad_line);
            };
            modules.push(Module {
                name: ModuleName::new(line.path),
                path,
                dependencies,
                aliases: Vec::new(),
                softdeps: Vec::new(),
                weakdeps: Vec::new(),
            });
        }
        self.compare_with_files(&modules)?;
        let lists = [
            ("modules.alias", text::alias_lines(aliases)),
            ("modules.softdep", text::keyword_lines(&texts.softdeps, "softdep")),
            ("modules.weakdep", text::keyword_lines(&texts.weakdeps, "weakdep")),
        ];
        let by_name = names(&modules);
        for (file, lines) in lists {
            for (module, value) in lines.map_err(damaged(file))? {
                // depmod writes names the kernel's way; only a foreign file needs the other look-up.
                let known = by_name.get(module).or_else(|| by_name.get(&ModuleName::new(module)));
                let Some(&ModuleId(place)) = known else {
                    return Err(Stale::UnknownModule { file, module: module.to_owned() });
                };
                let module = &mut modules[place];
                let list = match file {
                    "modules.alias" => &mut module.aliases,
                    "modules.softdep" => &mut module.softdeps,
                    _ => &mut module.weakdeps,
                };
                list.push(value.into());
            }
        }
        Ok(modules)
    }

    /// A path of `modules.dep`; an absolute one is of a directory that depmod.d(5) calls external.
    fn absolute(&self, path: &str) -> Option<RootPath> {
        if path.starts_with('/') {
            return RootPath::new(path).ok();
        }
        RootPath::new([self.directory.as_bytes(), b"/", path.as_bytes()].concat()).ok()
    }

    fn compare_with_files(&self, modules: &[Module]) -> Result<(), Stale> {
        let present: HashSet<&RootPath> =
            self.files.chosen.iter().map(|(_, path)| path).chain(&self.files.hidden).collect();
        for module in modules {
            let is_there = present.contains(&module.path)
                || (!module.path.starts_with(&self.directory) && self.root.lookup(&module.path).is_ok());
            if !is_there {
                return Err(Stale::Gone(module.path.clone()));
            }
        }
        // A hidden namesake may be the listed one, where depmod.d says so; only a name that is not listed counts.
        let listed: HashSet<&ModuleName> = modules.iter().map(|module| &module.name).collect();
        match self.files.chosen.iter().find(|(name, _)| !listed.contains(name)) {
            Some((_, path)) => Err(Stale::Unlisted(path.clone())),
            None => Ok(()),
        }
    }

    fn compute(mut self, origin: Origin) -> Result<ModuleIndex, IndexError> {
        self.sort_by_modules_order()?;
        let read: Vec<Result<Modinfo, ModuleError>> =
            self.files.chosen.par_iter().map(|(_, path)| Modinfo::read(self.root, path)).collect();
        let mut found = Found::default();
        let mut depends = Vec::new();
        for ((name, path), info) in std::mem::take(&mut self.files.chosen).into_iter().zip(read) {
            match info {
                Ok(info) => {
                    found.modules.push(module_of(name, path, &info));
                    depends.push(info.depends().map(ModuleName::new).collect::<Vec<_>>());
                }
                Err(problem) => found.problems.push(problem),
            }
        }
        let by_name = names(&found.modules);
        // A name that is no module here is built in, or missing: `select` tells which when the module is wanted.
        let known = |names: &Vec<ModuleName>| names.iter().filter_map(|n| by_name.get(n)).map(|id| id.0).collect();
        let direct: Vec<Vec<usize>> = depends.iter().map(known).collect();
        let (complete, cyclic) = complete_dependencies(&direct);
        for (module, list) in found.modules.iter_mut().zip(complete) {
            module.dependencies = list.into_iter().map(ModuleId).collect();
        }
        found.cyclic = cyclic.into_iter().map(ModuleId).collect();
        self.finish(found, origin)
    }

    /// Modules of `modules.order` first, in its order, the others by path. The file has uncompressed names.
    fn sort_by_modules_order(&mut self) -> Result<(), IndexError> {
        let order = self.read("modules.order")?.unwrap_or_default();
        let mut places = HashMap::new();
        for (place, line) in text::path_lines(&order).enumerate() {
            places.entry(line.as_bytes()).or_insert(place);
        }
        let directory = self.directory.as_bytes().len() + 1;
        self.files.chosen.sort_by_cached_key(|(_, path)| {
            let relative = &path.as_bytes()[directory..];
            let suffix = Compression::of_name(relative).suffix().len();
            (places.get(&relative[..relative.len() - suffix]).copied().unwrap_or(usize::MAX), path.clone())
        });
        Ok(())
    }

    fn finish(self, found: Found, origin: Origin) -> Result<ModuleIndex, IndexError> {
        let Found { modules, problems, cyclic } = found;
        let builtins = self.builtins()?;
        let builtin_by_name = builtins.iter().enumerate().map(|(place, b)| (b.name.clone(), place)).collect();
        let by_name = names(&modules);
        let directory = self.directory;
        Ok(ModuleIndex { directory, modules, by_name, builtins, builtin_by_name, origin, problems, cyclic })
    }

    fn builtins(&self) -> Result<Vec<Builtin>, IndexError> {
        let mut builtins = Builtins::default();
        let list = self.read("modules.builtin")?;
        for path in text::path_lines(list.as_deref().unwrap_or_default()) {
            builtins.get(ModuleName::new(path)).listed = true;
        }
        let fields = self.read("modules.builtin.modinfo")?.unwrap_or_default();
        for (name, key, value) in text::builtin_fields(&fields) {
            let builtin = builtins.get(name);
            match key {
                "alias" => builtin.aliases.push(value.into()),
                "firmware" => builtin.firmware.push(value.into()),
                _ => {}
            }
        }
        Ok(builtins.list)
    }
}

/// Depmod's files as they are on disk.
struct Texts {
    dependencies: Vec<u8>,
    aliases: Option<Vec<u8>>,
    softdeps: Vec<u8>,
    weakdeps: Vec<u8>,
}

#[derive(Default)]
struct Builtins {
    list: Vec<Builtin>,
    places: HashMap<ModuleName, usize>,
}

impl Builtins {
    fn get(&mut self, name: ModuleName) -> &mut Builtin {
        let place = *self.places.entry(name.clone()).or_insert_with(|| {
            self.list.push(Builtin { name, listed: false, aliases: Vec::new(), firmware: Vec::new() });
            self.list.len() - 1
        });
        &mut self.list[place]
    }
}

fn module_of(name: ModuleName, path: RootPath, info: &Modinfo) -> Module {
    let list = |key| info.values(key).map(Box::from).collect();
    let (aliases, softdeps, weakdeps) = (list("alias"), list("softdep"), list("weakdep"));
    Module { name, path, dependencies: Vec::new(), aliases, softdeps, weakdeps }
}

fn names(modules: &[Module]) -> HashMap<ModuleName, ModuleId> {
    let mut by_name = HashMap::with_capacity(modules.len());
    for (place, module) in modules.iter().enumerate() {
        by_name.entry(module.name.clone()).or_insert(ModuleId(place));
    }
    by_name
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Tree;
    use super::*;

    const MODULES: &[(&str, &[&str])] = &[
        ("kernel/a.ko.xz", &["depends=b-c", "alias=pci:v1*", "alias=dmi:A B*", "softdep=pre: d", "weakdep=e"]),
        ("kernel/b-c.ko", &["depends=", "alias=fs-b"]),
    ];

    fn path(text: &str) -> RootPath {
        RootPath::new(format!("/lib/modules/6.1/{text}")).unwrap()
    }

    #[test]
    fn depmods_files_and_modinfo_give_the_same_index() {
        let computed = Tree::new(MODULES).index();
        assert_eq!(*computed.origin(), Origin::Modinfo);
        let loaded = Tree::new(MODULES).with_depmod().index();
        assert_eq!(*loaded.origin(), Origin::DepmodFiles);
        assert_eq!(loaded.modules(), computed.modules());
        let module = loaded.module(loaded.find(&ModuleName::new("a")).unwrap());
        assert_eq!(module.path, path("kernel/a.ko.xz"));
        assert_eq!(module.dependencies, [loaded.find(&ModuleName::new("b_c")).unwrap()]);
        assert_eq!(loaded.version(), "6.1");
    }

    #[test]
    fn b67_stale_files_are_noticed_and_the_modules_read() {
        let tree = Tree::new(MODULES).with_depmod();
        tree.remove("kernel/b-c.ko");
        let index = tree.index();
        assert_eq!(*index.origin(), Origin::Stale(Stale::Gone(path("kernel/b-c.ko"))));
        assert_eq!(index.modules().len(), 1);

        let tree = Tree::new(MODULES).with_depmod();
        let tree = tree.with("lib/modules/6.1/kernel/new.ko", &super::super::modinfo::tests::module(&["alias=new"]));
        let index = tree.index();
        assert_eq!(*index.origin(), Origin::Stale(Stale::Unlisted(path("kernel/new.ko"))));
        assert!(index.find(&ModuleName::new("new")).is_some());
    }

    #[test]
    fn b67_a_missing_or_damaged_file_makes_the_others_worthless() {
        let check = |spoil: &dyn Fn(Tree) -> Tree, expected: &str| {
            let index = spoil(Tree::new(MODULES).with_depmod()).index();
            let Origin::Stale(stale) = index.origin() else { panic!("{expected}: {:?}", index.origin()) };
            assert_eq!(stale.to_string(), expected);
            assert_eq!(index.modules(), Tree::new(MODULES).index().modules());
        };
        let without_alias = |tree: Tree| {
            tree.remove("modules.alias");
            tree
        };
        check(&without_alias, "`modules.alias` is absent");
        check(&|tree| tree.with_index("modules.alias", "alias x\n"), "line 1 of `modules.alias` is damaged");
        check(&|tree| tree.with_index("modules.dep", "kernel/a.ko.xz"), "line 1 of `modules.dep` is damaged");
        check(
            &|tree| tree.with_index("modules.dep", "kernel/a.ko.xz: kernel/zz.ko\n"),
            "line 1 of `modules.dep` is damaged",
        );
        check(
            &|tree| tree.with_index("modules.softdep", "softdep zz pre: a\n"),
            "`modules.softdep` names the module `zz`, which modules.dep does not list",
        );
    }

    #[test]
    fn a_module_in_updates_hides_its_namesake() {
        let tree = Tree::new(&[("kernel/a.ko", &["alias=old"]), ("updates/dkms/a.ko.zst", &["alias=new"])]);
        let index = tree.with_depmod().index();
        assert_eq!(*index.origin(), Origin::DepmodFiles);
        assert_eq!(index.modules().len(), 1);
        assert_eq!(*index.modules()[0].aliases, ["new".into()]);
    }

    #[test]
    fn circular_depends_terminate_and_are_named() {
        let index = Tree::new(&[("kernel/a.ko", &["depends=b"]), ("kernel/b.ko", &["depends=a"])]).index();
        assert_eq!(index.cyclic().len(), 2);
        assert_eq!(index.modules()[0].dependencies, [ModuleId(1)]);
    }

    #[test]
    fn versions_are_listed_once_on_a_merged_usr() {
        let tree = Tree::new(MODULES).with("usr/lib/modules/6.2/modules.order", b"");
        let all = |tree: &Tree| versions(&tree.root()).unwrap().iter().map(RootPath::to_string).collect::<Vec<_>>();
        assert_eq!(all(&tree), ["/lib/modules/6.1", "/usr/lib/modules/6.2"]);
        let merged = Tree::new(&[]);
        let host = merged.root().host().to_owned();
        std::fs::create_dir(host.join("usr")).unwrap();
        std::fs::rename(host.join("lib"), host.join("usr/lib")).unwrap();
        std::os::unix::fs::symlink("usr/lib", host.join("lib")).unwrap();
        assert_eq!(all(&merged), ["/usr/lib/modules/6.1"]);
    }
}
