//! From recipes and flags to what a trace works on: one merged recipe, a root, a set of rules.

use super::args::{Fetching, Inputs};
use super::progress::FetchBar;
use super::report;
use crate::fetch::{self, Fetched};
use crate::path::RootPath;
use crate::recipe::Recipe;
use crate::root::Root;
use crate::rules::RuleSet;
use crate::trace;
use anyhow::Context;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What a command works on.
pub struct Setting {
    pub recipe: Recipe,
    pub root: Root,
    pub rules: RuleSet,
    pub rule_directories: Vec<PathBuf>,
    /// What cannot be known has to be accepted by the recipe.
    pub strict: bool,
}

impl Setting {
    /// Reads the recipes, applies the flags, and fetches the root when it is made of packages.
    pub fn new(inputs: &Inputs) -> anyhow::Result<Setting> {
        let (recipes, targets) = split(&inputs.inputs);
        let mut recipe = Recipe::load(&recipes)?;
        for target in targets {
            let path = RootPath::new(target.as_bytes())
                .with_context(|| format!("`{}` is no target", target.to_string_lossy()))
                .map_err(|error| report::with_hint(error, "a target is an absolute path inside the root"))?;
            let text = std::str::from_utf8(path.as_bytes())
                .context("a target has to be UTF-8")
                .map_err(|error| report::with_hint(error, "name a symlink to it, or a directory that it is in"))?;
            recipe.trace.targets.push(text.to_owned());
        }
        if inputs.lazy.is_some() {
            recipe.trace.lazy = inputs.lazy;
        }
        if inputs.cpu.is_some() {
            recipe.trace.cpu.clone_from(&inputs.cpu);
        }
        for directory in &inputs.library_path {
            RootPath::new(directory)
                .with_context(|| format!("`{directory}` is no directory for a library path"))
                .map_err(|error| report::with_hint(error, "give an absolute path inside the root"))?;
            recipe.trace.library_path.push(directory.clone());
        }
        recipe.trace.take.extend(&inputs.include);
        recipe.trace.hardware.extend(inputs.hardware.iter().cloned());
        if inputs.smallest {
            recipe.choose_smallest();
        }
        if let Some(root) = &inputs.root {
            recipe.source.root = Some(root.clone());
        }
        let fetched = fetch(&recipe, &inputs.fetching)?;
        let root = open_root(&fetched.root)?;
        let system = *recipe.system.get_or_insert_with(|| trace::system_of(&root));
        let rules = match inputs.no_rules {
            true => RuleSet::from_directories(&inputs.rules)?,
            false => RuleSet::load_for(Some(system), &inputs.rules)?,
        };
        Ok(Setting { recipe, root, rules, rule_directories: inputs.rules.clone(), strict: inputs.strict })
    }
}

/// Recipes end in `.toml`; everything else is a target.
fn split(inputs: &[OsString]) -> (Vec<PathBuf>, Vec<&OsString>) {
    let is_recipe = |input: &&OsString| Path::new(input).extension().is_some_and(|e| e == "toml");
    let (recipes, targets): (Vec<&OsString>, Vec<&OsString>) = inputs.iter().partition(is_recipe);
    (recipes.into_iter().map(PathBuf::from).collect(), targets)
}

/// Fills the root of a recipe, or finds it.
pub fn fetch(recipe: &Recipe, fetching: &Fetching) -> anyhow::Result<Fetched> {
    let cache = match &fetching.cache {
        Some(cache) => cache.clone(),
        // A root that is there already needs none.
        None if recipe.source.root.is_some() => PathBuf::new(),
        None => fetch::default_cache()
            .context("there is no place for a cache: neither XDG_CACHE_HOME nor HOME is an absolute path")
            .map_err(|error| report::with_hint(error, "give one with --cache DIR"))?,
    };
    let bar = FetchBar::new();
    let options = fetch::Options { refresh: fetching.refresh, progress: &bar, ..fetch::Options::new(cache) };
    let fetched = fetch::fetch(&recipe.source, &options);
    bar.finish();
    let fetched = fetched.map_err(report::hinted(fetch::FetchError::hint))?;
    for note in &fetched.notes {
        report::note(note);
    }
    Ok(fetched)
}

pub fn open_root(path: &Path) -> anyhow::Result<Root> {
    Root::open(path).with_context(|| format!("cannot open the root `{}`", path.display()))
}

/// The time of everything that is written: `SOURCE_DATE_EPOCH`, else 0.
///
/// See <https://reproducible-builds.org/specs/source-date-epoch/>.
pub fn epoch() -> anyhow::Result<u32> {
    let Some(value) = std::env::var_os("SOURCE_DATE_EPOCH") else { return Ok(0) };
    let text = value.to_string_lossy();
    text.parse()
        .with_context(|| format!("SOURCE_DATE_EPOCH is `{text}`, not a number of seconds up to {}", u32::MAX))
        .map_err(|error| report::with_hint(error, "`date +%s` prints the seconds of now; without it every time is 0"))
}
