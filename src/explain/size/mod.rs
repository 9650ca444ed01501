//! Where the bytes of a manifest go: the tables of `minroot size`.
//!
//! Each table attributes every byte once, so its rows add up to the manifest's total; a hard link is a further name of
//! a file and adds nothing. What a row is *worth* is a second figure that does not add up: a file's retained size has
//! that of other files in it, and targets share libraries.

mod drop;
mod json;
mod retained;
mod targets;
mod text;

pub use drop::{Broken, Drop, DropError, WhatIf, what_if};
pub(super) use retained::immediate_dominators;
pub use retained::retained;

use crate::manifest::needs::Needs;
use crate::manifest::totals::{Tally, strongest};
use crate::manifest::{Entry, Manifest};
use crate::path::RootPath;
use crate::reason::Evidence;
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};

/// What the rows of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The package that delivered the file.
    Package,
    /// The directory the file is in.
    Directory,
    /// The strongest evidence for the file.
    Evidence,
    /// The target without which the file would not be in.
    Target,
    /// Each file for itself.
    File,
}

impl By {
    /// All divisions, in the order in which `minroot size` prints them.
    pub const ALL: [By; 5] = [By::Package, By::Directory, By::Evidence, By::Target, By::File];
}

/// The bytes of a manifest in one division.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table<'m> {
    /// What its rows are.
    pub by: By,
    /// The largest first.
    pub rows: Vec<Row<'m>>,
    /// The rows that are not shown, together.
    pub rest: Option<Rest>,
    /// What the archive takes besides the content of files, compressed; `None` when nobody measured it.
    pub overhead: Option<u64>,
    /// Of the whole manifest; with the overhead, where that is known.
    pub total: Tally,
}

/// Files that are counted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'m> {
    /// What they have in common.
    pub label: Label<'m>,
    /// Of the files that are attributed to this row and to no other.
    pub sum: Tally,
    /// With the directories below, with what is shared with other targets, with what the file retains.
    pub whole: Option<Tally>,
}

/// What a row is about. The order decides between rows of one size.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label<'m> {
    /// `None` for what no package delivered.
    Package(Option<&'m str>),
    /// A directory, a target or a file, as the table has it.
    Path(RootPath),
    /// The strongest evidence of its files.
    Evidence(Evidence),
    /// Needed by several targets.
    Shared,
    /// No chain of reasons leads there from a target.
    Unreached,
}

/// The rows that a table leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// How many there are.
    pub rows: u64,
    /// What they come to.
    pub sum: Tally,
}

/// The regular files of a manifest, with their positions.
fn files(manifest: &Manifest) -> impl Iterator<Item = (usize, &Entry)> {
    manifest.entries.iter().enumerate().filter(|(_, entry)| entry.is_file())
}

/// Makes the tables, each with its `top` largest rows.
pub fn tables<'m>(manifest: &'m Manifest, by: &[By], top: usize) -> Vec<Table<'m>> {
    // One look at who needs whom serves all tables that ask.
    let needs = OnceCell::new();
    let needs = || needs.get_or_init(|| Needs::of(&manifest.entries));
    let table = |by| {
        let rows = match by {
            By::Package => grouped(manifest, |entry| Label::Package(entry.package.as_deref())),
            By::Directory => by_directory(manifest),
            By::Evidence => grouped(manifest, |entry| strongest(entry).map_or(Label::Unreached, Label::Evidence)),
            By::Target => targets::rows(manifest, needs()),
            By::File => by_file(manifest, needs()),
        };
        let mut table = Table::new(by, rows, top, manifest.packed.as_ref().map(|packed| packed.overhead));
        if by == By::Target {
            targets::add_shared(manifest, needs(), &mut table.rows);
        }
        table
    };
    by.iter().copied().map(table).collect()
}

impl<'m> Table<'m> {
    fn new(by: By, mut rows: Vec<Row<'m>>, top: usize, overhead: Option<u64>) -> Table<'m> {
        let mut total = Tally { packed: overhead.unwrap_or_default(), ..Tally::default() };
        rows.iter().for_each(|row| total.add(row.sum));
        rows.sort_by(|a, b| {
            let whole = |row: &Row| row.whole.filter(|_| by == By::File).map(|whole| whole.bytes);
            let worth = |row: &Row| (whole(row), row.sum.bytes, row.sum.files);
            worth(b).cmp(&worth(a)).then_with(|| a.label.cmp(&b.label))
        });
        let left_out = rows.split_off(top.min(rows.len()));
        let rest = (!left_out.is_empty()).then(|| {
            let mut sum = Tally::default();
            left_out.iter().for_each(|row| sum.add(row.sum));
            Rest { rows: left_out.len() as u64, sum }
        });
        Table { by, rows, rest, overhead, total }
    }
}

fn grouped<'m>(manifest: &'m Manifest, label: impl Fn(&'m Entry) -> Label<'m>) -> Vec<Row<'m>> {
    let mut sums: HashMap<Label, Tally> = HashMap::new();
    for (_, entry) in files(manifest) {
        sums.entry(label(entry)).or_default().add(Tally::of(entry));
    }
    sums.into_iter().map(|(label, sum)| Row { label, sum, whole: None }).collect()
}

/// Directories that have files in them; with what lies below as the second figure.
fn by_directory(manifest: &Manifest) -> Vec<Row<'_>> {
    let mut direct: BTreeMap<RootPath, Tally> = BTreeMap::new();
    let mut last: Option<(RootPath, Tally)> = None;
    for (_, entry) in files(manifest) {
        // Only `/` has no parent, and that is no file.
        let parent = entry.path.parent().unwrap_or_else(RootPath::root);
        match &mut last {
            // Neighbours mostly share their directory.
            Some((directory, sum)) if *directory == parent => sum.add(Tally::of(entry)),
            _ => {
                if let Some((directory, sum)) = last.replace((parent, Tally::of(entry))) {
                    direct.entry(directory).or_default().add(sum);
                }
            }
        }
    }
    if let Some((directory, sum)) = last {
        direct.entry(directory).or_default().add(sum);
    }
    let mut whole: HashMap<RootPath, Tally> = HashMap::new();
    for (directory, sum) in &direct {
        for above in std::iter::successors(Some(directory.clone()), RootPath::parent) {
            whole.entry(above).or_default().add(*sum);
        }
    }
    let rows = direct.into_iter().map(|(directory, sum)| {
        let whole = whole.get(&directory).copied();
        Row { label: Label::Path(directory), sum, whole }
    });
    rows.collect()
}

/// Every entry with bytes of its own or that retains some: a symlink has none and may retain a library.
fn by_file<'m>(manifest: &'m Manifest, needs: &Needs) -> Vec<Row<'m>> {
    let retained = retained(manifest, needs);
    let rows = manifest.entries.iter().zip(retained).map(|(entry, retained)| Row {
        label: Label::Path(entry.path.clone()),
        sum: Tally::of(entry),
        whole: Some(retained),
    });
    rows.filter(|row| row.sum.files > 0 || row.whole.is_some_and(|whole| whole.bytes > 0)).collect()
}

#[cfg(test)]
mod tests;
