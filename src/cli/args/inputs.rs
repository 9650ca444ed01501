//! `fetch` and `trace`, and what all commands that trace take.

use crate::recipe::{LazyPolicy, Take};
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// What to trace: shared by all commands that take recipes.
#[derive(Debug, Args)]
pub struct Inputs {
    /// Recipes (`*.toml`) and target paths inside the root.
    #[arg(required = true, value_name = "RECIPE|TARGET")]
    pub inputs: Vec<OsString>,
    /// The source root; overrides that of the recipe.
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// A directory of further rules and hardware profiles.
    #[arg(long, value_name = "DIR")]
    pub rules: Vec<PathBuf>,
    /// Leave out the rules that minroot brings along: what the objects alone say, and the rules of --rules.
    #[arg(long)]
    pub no_rules: bool,
    /// The least processor the image must run on: x86-64, x86-64-v2, -v3, -v4 or any.
    #[arg(long, value_name = "LEVEL")]
    pub cpu: Option<String>,
    /// Where runtime linkers of Linux look first, separated by colons: the LD_LIBRARY_PATH of every program, which the
    /// startup of the image sets. That of minroot's own environment is never used.
    #[arg(long, value_name = "DIR", value_delimiter = ':')]
    pub library_path: Vec<String>,
    /// Which lazy dependencies of illumos objects are kept [default: bound].
    #[arg(long, value_enum, value_name = "POLICY")]
    pub lazy: Option<LazyPolicy>,
    /// Take uncertain libraries too: those that strings name in objects that call dlopen, or those that a dlopen note
    /// only suggests.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub include: Vec<Take>,
    /// Exit with 1 when there is anything that cannot be known and is not in the recipe's `[accept]`: an object that
    /// calls dlopen with a computed name, a library that only a string names, a command that depends on a variable.
    #[arg(long)]
    pub strict: bool,
    /// A hardware profile, or one class of its devices: `virtio`, `qemu:network`.
    #[arg(long, value_name = "PROFILE")]
    pub hardware: Vec<String>,
    /// The smaller kernel that the recipe names, and the smallest compression.
    #[arg(long)]
    pub smallest: bool,
    #[command(flatten)]
    pub fetching: Fetching,
}

#[derive(Debug, Args)]
pub struct Fetching {
    /// Where package files and fetched roots are kept [default: ~/.cache/minroot].
    #[arg(long, value_name = "DIR", help_heading = "Fetching")]
    pub cache: Option<PathBuf>,
    /// Ask the repositories again, even if a finished root is there.
    #[arg(long, help_heading = "Fetching")]
    pub refresh: bool,
}

#[derive(Debug, Args)]
pub struct Fetch {
    /// Recipes, merged from left to right.
    #[arg(required = true)]
    pub recipes: Vec<PathBuf>,
    /// The smaller kernel that the recipe names.
    #[arg(long)]
    pub smallest: bool,
    #[command(flatten)]
    pub fetching: Fetching,
}

#[derive(Debug, Args)]
pub struct Trace {
    #[command(flatten)]
    pub inputs: Inputs,
    /// What to write.
    #[arg(long, value_enum, default_value_t)]
    pub format: ManifestFormat,
    /// Where to; `-` is standard output.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ManifestFormat {
    /// The manifest with digests, packages and reasons.
    #[default]
    Json,
    /// One path a line.
    Paths,
    /// Paths that end in a NUL byte, for `cpio -0`, `tar --null -T` and `rsync -0`.
    Paths0,
    /// What needs what, indented.
    Tree,
}
