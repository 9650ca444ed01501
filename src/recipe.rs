//! Recipes: what an image is for, in TOML, and how several of them become one.

mod doubt;
mod oci;
mod unknown;

pub use doubt::{Accept, Take};
pub use oci::Oci;

use crate::path::RootPath;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The kind of system that a root holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// A Linux kernel, with glibc or musl.
    #[default]
    Linux,
    /// illumos, or a distribution of it such as Tribblix, OmniOS and SmartOS.
    Illumos,
}

/// One recipe, or several merged by [`Recipe::merge`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// What the root holds; told from its files when absent.
    pub system: Option<System>,
    /// Where the root comes from.
    pub source: Source,
    /// What is kept of it.
    pub trace: TraceOptions,
    /// What cannot be known and is accepted, for `--strict`.
    pub accept: Accept,
    /// Files of the user's own.
    pub file: Vec<RecipeFile>,
    /// What runs at boot, in order.
    pub startup: Vec<Startup>,
    /// A static address that the startup sets; absent for none.
    pub network: Option<Network>,
    /// How the image starts.
    pub boot: BootOptions,
    /// What a container of it runs.
    pub oci: Oci,
    /// What shows that it works.
    pub check: Check,
}

/// Where the files come from. Exactly one kind may be given; `fetch` fills a root from the other two.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Source {
    /// A directory that is a root already.
    pub root: Option<PathBuf>,
    /// Package names for the system's apt.
    pub apt: Vec<String>,
    /// Package files, and directories of illumos packages, with `*` and `?`.
    pub packages: Vec<String>,
    /// Which of `packages` to take, by name; a package of illumos answers to its Tribblix and to its IPS name. All when
    /// empty.
    pub select: Vec<String>,
    /// Facets of IPS packages that are not as usual, `true`; `doc = false` leaves out `facet.doc` and `facet.doc.*`.
    pub facets: BTreeMap<String, bool>,
    /// Packages of `apt` that smaller ones stand in for when the image is to be as small as possible.
    pub smallest: BTreeMap<String, String>,
}

/// `[trace]`: what is wanted of the root, and how doubts are settled.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TraceOptions {
    /// What the image starts from.
    pub base: Option<Base>,
    /// Absolute paths inside the root.
    pub targets: Vec<String>,
    /// Further paths to keep; a directory is kept with everything below it.
    pub include: Vec<String>,
    /// Paths to leave out, whatever wants them, with `*` and `?`; a directory goes with everything below it.
    pub exclude: Vec<String>,
    /// Names of hardware profiles, `rules/hardware/NAME.toml`.
    pub hardware: Vec<String>,
    /// Kernel modules by name, loaded at boot after those of the hardware profiles.
    pub modules: Vec<String>,
    /// The processor the image must run on, for glibc-hwcaps: `x86-64`, `x86-64-v2`, `-v3`, `-v4` or `any`.
    pub cpu: Option<String>,
    /// Directories where runtime linkers of Linux look before most others: `LD_LIBRARY_PATH` of every program. The
    /// startup sets it.
    pub library_path: Vec<String>,
    /// Which lazy dependencies of illumos objects are kept.
    pub lazy: Option<LazyPolicy>,
    /// Uncertain references that are taken: `suspected`, `suggested`.
    pub take: Vec<Take>,
}

/// What an image starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// Only what is asked for, and what that needs.
    #[default]
    Nothing,
    /// Everything in the root, less what the recipe excludes and rules forbid.
    Everything,
}

/// Which lazy dependencies of illumos objects are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LazyPolicy {
    /// All of them, as `ldd` shows.
    All,
    /// Those that some symbol is bound to, and those of objects that do not tell.
    #[default]
    Bound,
    /// Those that are loaded when the program starts.
    Eager,
}

/// A file that the recipe brings: exactly one of `content` and `from`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeFile {
    /// Where it is in the image, absolute.
    pub path: String,
    /// Text of the file; binary files take `from`.
    pub content: Option<String>,
    /// A file of this machine, relative to the recipe.
    pub from: Option<PathBuf>,
    /// Permission bits in octal, such as `"0755"`; `0644` when absent.
    pub mode: Option<String>,
}

/// `[[startup]]`: a command that runs when the image starts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Startup {
    /// A command line. Plain words are started directly; shell syntax needs `/bin/sh` in the root.
    pub run: String,
    /// The next command does not wait for this one; on Linux the machine goes on when it ends, instead of powering off.
    #[serde(default)]
    pub background: bool,
    /// After the commands of all other recipes: the shell on the console, which would keep them waiting.
    #[serde(default)]
    pub last: bool,
}

/// A static address for one interface.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Name of the interface in the image: `eth0`, `vioif0`.
    pub interface: String,
    /// With prefix length: `10.0.2.15/24`.
    pub address: String,
    /// Address of the router; without it only the own network is reached.
    pub gateway: Option<String>,
}

/// `[boot]`: the kernel, its command line and the archive that it unpacks.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BootOptions {
    /// Added to what minroot passes itself (`rootfstype=ramfs`, `rdinit=/init`).
    pub kernel_args: Option<String>,
    /// The kernel image inside the root; found below `/boot` when absent.
    pub kernel: Option<String>,
    /// Memory of the virtual machine in MiB; computed from the archive when absent.
    pub memory: Option<u32>,
    /// `zstd`, `gzip`, `xz` or `none`.
    pub compress: Option<String>,
    /// Level of `compress`; the default of that when absent.
    pub level: Option<i32>,
    /// Which Forth files of the illumos loader go onto the ISO.
    pub forth: Option<ForthFiles>,
}

/// Which Forth files of the illumos loader go onto the ISO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForthFiles {
    /// Everything in `/boot/forth`: the scripts can put names together when they run, and the loader stops at its
    /// prompt when one is missing. They are small beside the kernel.
    #[default]
    All,
    /// What `/boot/loader.rc` includes by a name that is written in it, and what that includes.
    Needed,
}

/// What a booted image must show before it counts as working.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Check {
    /// A request that the image must answer.
    pub http: Option<HttpCheck>,
    /// Text that must appear on the console.
    pub console: Option<String>,
    /// Seconds until the check counts as failed.
    pub timeout: Option<u32>,
}

/// `[check.http]`: a request that is sent from this machine to the guest.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpCheck {
    /// The guest's port; it is forwarded from 127.0.0.1.
    pub port: u16,
    /// The path that is asked for; `/` when absent.
    #[serde(default = "slash")]
    pub path: String,
    /// What the reply's body must contain.
    #[serde(default)]
    pub contains: String,
}

fn slash() -> String {
    "/".to_owned()
}

/// Why a recipe cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("cannot read the recipe `{}`", path.display())]
    Read {
        /// On this machine.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// It is no TOML, or has a key that recipes do not have.
    #[error("cannot understand the recipe `{}`{}", path.display(), instead(source))]
    Syntax {
        /// On this machine.
        path: PathBuf,
        /// With line and column.
        source: Box<toml::de::Error>,
    },
    /// A value cannot be meant: a path that is not absolute, a source given twice.
    #[error("the recipe `{}` is wrong: {problem}", path.display())]
    Content {
        /// On this machine.
        path: PathBuf,
        /// In words, with the key.
        problem: String,
    },
    /// Two recipes say different things where only one can hold; in words, with the key.
    #[error("the recipes do not fit together: {0}")]
    Conflict(String),
}

fn instead(error: &toml::de::Error) -> String {
    unknown::meant(error.message()).map_or(String::new(), |meant| format!(": did you mean `{meant}`?"))
}

impl Recipe {
    /// Reads recipes and merges them left to right; relative host paths become relative to their recipe's directory.
    ///
    /// # Errors
    /// [`RecipeError`], with the recipe's path and for bad TOML the line and column.
    pub fn load(paths: &[PathBuf]) -> Result<Recipe, RecipeError> {
        let mut merged = Recipe::default();
        for path in paths {
            merged.merge(Recipe::load_one(path)?)?;
        }
        Ok(merged)
    }

    fn load_one(path: &Path) -> Result<Recipe, RecipeError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| RecipeError::Read { path: path.to_owned(), source })?;
        let mut recipe: Recipe = toml::from_str(&text)
            .map_err(|source| RecipeError::Syntax { path: path.to_owned(), source: Box::new(source) })?;
        recipe.check().map_err(|problem| RecipeError::Content { path: path.to_owned(), problem })?;
        let base = path.parent().unwrap_or(Path::new(""));
        if let Some(root) = &mut recipe.source.root {
            *root = base.join(&*root);
        }
        for pattern in &mut recipe.source.packages {
            *pattern = base.join(&*pattern).to_string_lossy().into_owned();
        }
        for from in recipe.file.iter_mut().filter_map(|f| f.from.as_mut()) {
            *from = base.join(&*from);
        }
        Ok(recipe)
    }

    /// What a type alone cannot say.
    fn check(&self) -> Result<(), String> {
        let source = &self.source;
        let kinds = [source.root.is_some(), !source.apt.is_empty(), !source.packages.is_empty()];
        if kinds.iter().filter(|given| **given).count() > 1 {
            return Err("[source] takes one of `root`, `apt` and `packages`".to_owned());
        }
        for file in &self.file {
            if file.content.is_some() == file.from.is_some() {
                return Err(format!("[[file]] `{}` takes one of `content` and `from`", file.path));
            }
            file.permissions()?;
        }
        self.accept.check()?;
        self.oci.check()?;
        let paths = self.trace.targets.iter().chain(&self.trace.include).chain(self.file.iter().map(|f| &f.path));
        for path in paths.chain(&self.trace.library_path).chain(&self.boot.kernel) {
            RootPath::new(path).map_err(|error| format!("`{path}`: {error}"))?;
        }
        Ok(())
    }

    /// Adds `later` to this recipe: single values of `later` win, lists are joined without repeats, files of one path
    /// are replaced.
    ///
    /// # Errors
    /// When the two name different kinds of source, or different systems.
    pub fn merge(&mut self, later: Recipe) -> Result<(), RecipeError> {
        let Recipe { system, source, trace, accept, file, startup, network, boot, oci, check } = later;
        if let (Some(ours), Some(theirs)) = (self.system, system)
            && ours != theirs
        {
            return Err(RecipeError::Conflict(format!("one is for {ours:?}, another for {theirs:?}")));
        }
        replace(&mut self.system, system);
        if source.root.is_some() {
            self.source = source;
        } else {
            if self.source.root.is_some() && !(source.apt.is_empty() && source.packages.is_empty()) {
                return Err(RecipeError::Conflict("one has a `root`, another packages".to_owned()));
            }
            join(&mut self.source.apt, source.apt);
            join(&mut self.source.packages, source.packages);
            join(&mut self.source.select, source.select);
            self.source.facets.extend(source.facets);
            self.source.smallest.extend(source.smallest);
            if !self.source.apt.is_empty() && !self.source.packages.is_empty() {
                return Err(RecipeError::Conflict("one has `apt`, another `packages`".to_owned()));
            }
        }
        join(&mut self.trace.targets, trace.targets);
        replace(&mut self.trace.base, trace.base);
        join(&mut self.trace.include, trace.include);
        join(&mut self.trace.exclude, trace.exclude);
        join(&mut self.trace.hardware, trace.hardware);
        join(&mut self.trace.modules, trace.modules);
        replace(&mut self.trace.cpu, trace.cpu);
        join(&mut self.trace.library_path, trace.library_path);
        replace(&mut self.trace.lazy, trace.lazy);
        join(&mut self.trace.take, trace.take);
        self.accept.merge(accept);
        for new in file {
            self.file.retain(|old| old.path != new.path);
            self.file.push(new);
        }
        self.startup.extend(startup);
        self.startup.sort_by_key(|command| command.last);
        replace(&mut self.network, network);
        let BootOptions { kernel_args, kernel, memory, compress, level, forth } = boot;
        replace(&mut self.boot.kernel_args, kernel_args);
        replace(&mut self.boot.kernel, kernel);
        replace(&mut self.boot.memory, memory);
        replace(&mut self.boot.compress, compress);
        replace(&mut self.boot.level, level);
        replace(&mut self.boot.forth, forth);
        self.oci.merge(oci);
        let Check { http, console, timeout } = check;
        replace(&mut self.check.http, http);
        replace(&mut self.check.console, console);
        replace(&mut self.check.timeout, timeout);
        Ok(())
    }
}

impl Recipe {
    /// Takes the smaller packages that the recipe names, and the smallest compression.
    pub fn choose_smallest(&mut self) {
        for package in &mut self.source.apt {
            if let Some(smaller) = self.source.smallest.get(package) {
                package.clone_from(smaller);
            }
        }
        self.boot.compress = Some("xz".to_owned());
        self.boot.level = None;
    }
}

impl RecipeFile {
    /// The permission bits.
    ///
    /// # Errors
    /// When `mode` is not an octal number up to 7777.
    pub fn permissions(&self) -> Result<u32, String> {
        let Some(mode) = &self.mode else { return Ok(0o644) };
        u32::from_str_radix(mode, 8)
            .ok()
            .filter(|bits| *bits <= 0o7777)
            .ok_or_else(|| format!("[[file]] `{}`: mode `{mode}` is not octal", self.path))
    }
}

fn replace<T>(old: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *old = new;
    }
}

fn join<T: PartialEq>(list: &mut Vec<T>, more: Vec<T>) {
    for item in more {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(text: &str) -> Recipe {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn later_recipes_override_values_and_extend_lists() {
        let mut first = recipe("[source]\napt=['a']\n[boot]\nmemory=256\n[trace]\ntargets=['/a']");
        first
            .merge(recipe("[source]\napt=['a','b']\n[boot]\nmemory=512\nlevel=3\n[trace]\ntargets=['/b','/a']"))
            .unwrap();
        assert_eq!(first.source.apt, ["a", "b"]);
        assert_eq!(first.trace.targets, ["/a", "/b"]);
        assert_eq!((first.boot.memory, first.boot.level), (Some(512), Some(3)));
    }

    #[test]
    fn the_shell_of_an_earlier_recipe_waits_for_the_commands_of_a_later_one() {
        let mut first = recipe("[[startup]]\nrun='mount'\n[[startup]]\nrun='sh'\nlast=true");
        first.merge(recipe("[[startup]]\nrun='plumb'\n[[startup]]\nrun='up'")).unwrap();
        let order: Vec<&str> = first.startup.iter().map(|command| command.run.as_str()).collect();
        assert_eq!(order, ["mount", "plumb", "up", "sh"]);
    }

    #[test]
    fn a_mistyped_key_is_an_error_with_its_place() {
        let error = toml::from_str::<Recipe>("[trace]\ntarget = ['/a']").unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
        assert!(error.to_string().contains("unknown field `target`"), "{error}");
    }

    #[test]
    fn a_source_is_of_one_kind() {
        assert!(recipe("[source]\nroot='/'\napt=['a']").check().is_err());
        let mut first = recipe("[source]\nroot='/'");
        assert!(first.merge(recipe("[source]\napt=['a']")).is_err());
    }

    #[test]
    fn paths_that_climb_are_refused() {
        assert!(recipe("[trace]\ntargets=['/a/../b']").check().is_err());
        assert!(recipe("[[file]]\npath='relative'\ncontent=''").check().is_err());
    }
}
