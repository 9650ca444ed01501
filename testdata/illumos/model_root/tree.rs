//! Decides what is at every path, with its bytes, before anything is written.

use super::error::ModelError;
use super::files::Source;
use super::tables::{Action, Tables, Verb, Year};
use super::{Summary, accounts, contents};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is at a path.
#[derive(Debug, Clone)]
pub enum Kind {
    Directory,
    File {
        bytes: Arc<[u8]>,
        content: ContentKind,
    },
    Link {
        target: String,
    },
    /// `written` as in the table, `to` as a path of the root.
    HardLink {
        written: String,
        to: String,
    },
}

/// What a file is, for the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentKind {
    Object,
    Module,
    Other,
}

/// One path of the root.
#[derive(Debug, Clone)]
pub struct Entry {
    pub kind: Kind,
    pub mode: u32,
    pub owner: String,
    pub group: String,
    pub uid: u32,
    pub gid: u32,
    /// SVR4 names, sorted; several for a directory.
    pub packages: BTreeSet<String>,
    /// How an administrator's changes are kept, when the package says so: `preserve`, `renamenew`.
    pub editable: Option<String>,
}

/// The finished root, paths without a leading slash.
pub struct Tree {
    pub entries: BTreeMap<String, Entry>,
    /// Made by the generator: `var/sadm/install/contents`.
    pub contents: String,
}

/// Where SVR4 packaging keeps who owns what.
pub const CONTENTS_PATH: &str = "var/sadm/install/contents";

impl Tree {
    /// Everything the chosen packages deliver.
    ///
    /// # Errors
    /// [`ModelError::Account`], [`ModelError::Object`].
    pub fn plan(tables: &Tables, chosen: &BTreeSet<String>) -> Result<Tree, ModelError> {
        let actions = chosen_actions(tables, chosen);
        let source = Source::new(tables, &actions);
        let entry = |(path, actions): (&&str, &Vec<&Action>)| -> Result<(String, Entry), ModelError> {
            Ok(((*path).to_owned(), entry(&source, actions)?))
        };
        let entries: BTreeMap<String, Entry> = actions.par_iter().map(entry).collect::<Result<_, _>>()?;
        let contents = contents::text(&entries, tables.year);
        Ok(Tree { entries, contents })
    }

    /// A name for everything that is written: equal for equal trees.
    pub fn digest(&self, year: Year) -> String {
        let mut digest = Sha256::new();
        digest.update(year.time().to_le_bytes());
        // Paths, modes, owners, link targets; the bytes of files only by a sum.
        digest.update(&self.contents);
        for entry in self.entries.values() {
            if let Kind::File { bytes, .. } = &entry.kind {
                digest.update(bytes);
            }
        }
        digest.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Counts what is in the tree.
    pub fn summary(&self, packages: usize) -> Summary {
        let mut summary = Summary { packages, ..Summary::default() };
        for entry in self.entries.values() {
            match &entry.kind {
                Kind::Directory => summary.directories += 1,
                Kind::File { content, .. } => {
                    summary.files += 1;
                    summary.objects += usize::from(*content == ContentKind::Object);
                    summary.modules += usize::from(*content == ContentKind::Module);
                }
                Kind::Link { .. } => summary.links += 1,
                Kind::HardLink { .. } => summary.hard_links += 1,
            }
        }
        summary
    }
}

/// The actions of the chosen packages by path, the one that decides first.
fn chosen_actions<'t>(tables: &'t Tables, chosen: &BTreeSet<String>) -> BTreeMap<&'t str, Vec<&'t Action>> {
    let mut actions: BTreeMap<&str, Vec<&Action>> = BTreeMap::new();
    for action in tables.actions.iter().filter(|action| chosen.contains(&action.package)) {
        actions.entry(&action.path).or_default().push(action);
    }
    for rivals in actions.values_mut() {
        // Mediated links, the only paths besides directories that two packages deliver: the implementation
        // whose name sorts first is selected.
        rivals.sort_by_key(|action| (mediator(action), &action.package));
    }
    actions
}

fn mediator(action: &Action) -> &str {
    attribute(action, "mediator-implementation").unwrap_or("")
}

fn attribute<'a>(action: &'a Action, name: &str) -> Option<&'a str> {
    action.attributes.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn entry(source: &Source<'_>, actions: &[&Action]) -> Result<Entry, ModelError> {
    let action = actions[0];
    let kind = match action.verb {
        Verb::Directory => Kind::Directory,
        Verb::Link => Kind::Link { target: action.target.clone() },
        Verb::File => source.file(action)?,
        Verb::HardLink => {
            let to = hard_link_target(action);
            match source.delivers(&to) {
                true => Kind::HardLink { written: action.target.clone(), to },
                // The file is in a package that was not chosen: the link becomes the file.
                false => source.file_of_other_package(&to, action)?,
            }
        }
    };
    // Links have no owner of their own; a hard link that became a file has the usual one.
    let (owner, group, mode) = match (&kind, action.owner.is_empty()) {
        (Kind::File { .. }, true) => ("root", "bin", 0o555),
        (_, true) => ("root", "root", 0o777),
        (_, false) => (action.owner.as_str(), action.group.as_str(), action.mode),
    };
    let numbers = accounts::user_id(owner).zip(accounts::group_id(group));
    let (uid, gid) = numbers.ok_or_else(|| ModelError::Account {
        path: action.path.clone(),
        owner: owner.to_owned(),
        group: group.to_owned(),
    })?;
    // A path that is not a directory belongs to the package that won.
    let n_packages = if action.verb == Verb::Directory { actions.len() } else { 1 };
    let packages = actions[..n_packages].iter().map(|action| svr4_name(action)).collect();
    let (owner, group) = (owner.to_owned(), group.to_owned());
    let editable = attribute(action, "preserve").map(|how| if how == "true" { "preserve" } else { how }.to_owned());
    Ok(Entry { kind, mode, owner, group, uid, gid, packages, editable })
}

/// The SVR4 name of a package; made from the IPS name for those that are not packaged by Tribblix under a known name.
fn svr4_name(action: &Action) -> String {
    match action.tribblix.as_str() {
        "" => format!("TRIB{}", action.package.replace('/', "-")),
        name => name.to_owned(),
    }
}

/// The path of the root that a hard link names, relative to its directory.
pub fn hard_link_target(action: &Action) -> String {
    let mut components: Vec<&str> = match action.target.starts_with('/') {
        true => Vec::new(),
        false => action.path.split('/').collect(),
    };
    components.pop();
    for component in action.target.split('/') {
        match component {
            "" | "." => {}
            ".." => _ = components.pop(),
            name => components.push(name),
        }
    }
    components.join("/")
}
