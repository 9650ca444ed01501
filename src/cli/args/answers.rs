//! Commands that answer from a manifest: `why`, `size`, `diff`, `tree`, `graph` and `sbom`.

use crate::explain::size::By;
use crate::reason::Evidence;
use crate::text;
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Why {
    /// A path inside the image, or only its last part.
    pub path: OsString,
    /// The manifest.
    #[arg(short, long, value_name = "FILE")]
    pub manifest: PathBuf,
    /// Show every reason, not only the shortest chain.
    #[arg(long)]
    pub all: bool,
    /// Begin the chain at this path instead of at a target.
    #[arg(long, value_name = "PATH")]
    pub from: Option<OsString>,
    #[arg(long)]
    /// Answer in JSON.
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Size {
    /// The manifest.
    #[arg(short, long, value_name = "FILE")]
    pub manifest: PathBuf,
    /// The tables to print [default: all].
    #[arg(long, value_enum, value_name = "WHAT")]
    pub by: Vec<By>,
    /// How many rows of each table, the largest first.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub top: usize,
    /// What would go without this path; of a directory, without all that is in it.
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with = "by")]
    pub drop: Vec<OsString>,
    /// What would go without this rule.
    #[arg(long, value_name = "ID", conflicts_with = "by")]
    pub drop_rule: Vec<String>,
    /// What would go without the files of this package.
    #[arg(long, value_name = "PACKAGE", conflicts_with = "by")]
    pub drop_package: Vec<String>,
    /// Answer in JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Diff {
    /// The manifest to compare with.
    pub old: PathBuf,
    /// The manifest that is looked at, or an image.
    pub new: PathBuf,
    /// A budget for the content of NEW, such as 64M.
    #[arg(long, value_name = "SIZE", value_parser = text::parse_size)]
    pub max_bytes: Option<u64>,
    /// Answer in JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Tree {
    /// The entry at the top: a path inside the image, or only its last part [default: all targets].
    #[arg(required_if_eq("invert", "true"))]
    pub path: Option<OsString>,
    /// The manifest.
    #[arg(short, long, value_name = "FILE")]
    pub manifest: PathBuf,
    /// How many levels to show below the top.
    #[arg(long, value_name = "N")]
    pub depth: Option<usize>,
    /// Show who needs the entry, instead of what it needs.
    #[arg(short, long)]
    pub invert: bool,
}

#[derive(Debug, Args)]
pub struct Graph {
    /// The manifest.
    #[arg(short, long, value_name = "FILE")]
    pub manifest: PathBuf,
    /// What to write.
    #[arg(long, value_enum)]
    pub format: GraphFormat,
    /// Where to; `-` is standard output.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
    /// Only what surrounds this: a path, a file name, a glob over either (`*` stays inside a directory, `**` does not),
    /// or the name of something missing.
    #[arg(long, value_name = "PATTERN")]
    pub node: Vec<OsString>,
    /// Only what needs the nodes of --node.
    #[arg(long, requires = "node", conflicts_with = "down")]
    pub up: bool,
    /// Only what the nodes of --node need.
    #[arg(long, requires = "node")]
    pub down: bool,
    /// Only so many edges away from the nodes of --node, or from the targets [default: any].
    #[arg(long, value_name = "N")]
    pub depth: Option<usize>,
    /// Only edges with this class of evidence, and what they join.
    #[arg(long, value_enum, value_name = "CLASS")]
    pub evidence: Vec<Evidence>,
    /// In dot and mermaid, draw which directories and links to directories lead to each entry too; json and graphml
    /// always have them.
    #[arg(long)]
    pub directories: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// For Graphviz.
    Dot,
    /// Node-link data: `nodes` with `id`, `what` (entry, missing, unknown, outside), `path` or `name`, `type`, `size`,
    /// `retained`, `package`, `evidence`, `asked_for`, `priority`, `why`; `edges` with `source`, `target` (ids),
    /// `evidence`, `kind`, `detail`, `words`. networkx reads it.
    Json,
    /// For yEd, Gephi, Cytoscape and networkx.
    Graphml,
    /// For a README or an issue: at most 500 edges and 50,000 characters, more is not drawn anywhere.
    Mermaid,
    /// A page for any browser, of the whole manifest: treemap, search, reasons, what-if. One file, without network.
    Html,
}

#[derive(Debug, Args)]
pub struct Sbom {
    /// The manifest.
    #[arg(short, long, value_name = "FILE")]
    pub manifest: PathBuf,
    /// The source root it was made from. SPDX cannot do without, as it wants the SHA-1 of every file.
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Recipes whose own large files the manifest names.
    pub recipes: Vec<PathBuf>,
    /// What to write.
    #[arg(long, value_enum, default_value_t)]
    pub format: SbomFormat,
    /// Where to; `-` is standard output.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum SbomFormat {
    /// SPDX 2.3 in JSON.
    #[default]
    Spdx,
    /// CycloneDX 1.6 in JSON.
    Cyclonedx,
}
