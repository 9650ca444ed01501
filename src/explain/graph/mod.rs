//! The manifest as a graph, for other programs to draw or to compute with: the answer of `minroot graph`.
//!
//! Nodes are the entries of the manifest and, beside them, what is missing or unknown; an edge leads from what refers to
//! what it needs, once for each reason. The surprising part is what is *no* edge: that the user asked for an entry is a
//! mark of its node, because nothing refers to it, and the two needs that no manifest writes down (the directory that an
//! entry is in, the file that a hard link is a name of) are not invented here. Sizes that an entry *retains* know them.
//!
//! The formats are [`dot`](Graph::dot), [`graphml`](Graph::graphml), [`mermaid`](Graph::mermaid), [`json`](Graph::json),
//! whose schema is documented there, and [`page`], which is of the whole manifest.

mod dot;
mod graphml;
mod json;
mod mermaid;
pub mod page;
mod select;

pub use mermaid::TooLarge;
pub use select::{Direction, Filter, SelectError};

use super::size::retained;
use super::text::reference_in_words;
use crate::manifest::needs::Needs;
use crate::manifest::totals::strongest;
use crate::manifest::{Entry, Manifest, Omission, Packed};
use crate::path::{RootPath, escaped};
use crate::reason::{Evidence, Priority, Reason};
use std::collections::HashMap;

/// Things and who refers to them; a node is known by its position.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph<'m> {
    /// Entries in the order of their paths, then the others in the order in which the manifest has them.
    pub nodes: Vec<Node<'m>>,
    /// In the order of the nodes that they lead to.
    pub edges: Vec<Edge<'m>>,
    /// The archive of the whole image, where it was measured; then its files have [`Entry::packed`].
    pub packed: Option<&'m Packed>,
}

/// An entry of the manifest, or something that its references name.
#[derive(Debug, Clone, PartialEq)]
pub struct Node<'m> {
    /// What it stands for; the filters and formats look at this.
    pub thing: Thing<'m>,
    /// By which words the user asked for it; mostly empty.
    pub asked_for: Vec<&'m Reason>,
}

/// What a node stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Thing<'m> {
    /// Kept in the image.
    Entry {
        /// As the manifest has it.
        entry: &'m Entry,
        /// Bytes that would go without it.
        retained: u64,
    },
    /// What was looked for and not found, by the name that was asked for.
    Missing {
        /// As the manifest has it: a soname, a path, a module name.
        name: &'m str,
        /// The highest among those who refer to it.
        priority: Priority,
    },
    /// What cannot be known; one node for all who refer to it in the same words.
    Unknown {
        /// Where the reference would lead, or its words.
        name: &'m [u8],
        /// Why it cannot be known.
        why: &'m str,
    },
    /// A path that a reason names and that is no entry itself.
    Outside {
        /// As the reason spells it.
        path: &'m RootPath,
    },
}

/// A reason: the node at `from` refers to the one at `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge<'m> {
    /// Position of the referrer in [`Graph::nodes`].
    pub from: usize,
    /// Position of what is needed in [`Graph::nodes`].
    pub to: usize,
    /// As the manifest has it.
    pub reason: &'m Reason,
}

impl<'m> Graph<'m> {
    /// All of the manifest.
    pub fn of(manifest: &'m Manifest) -> Graph<'m> {
        let needs = Needs::of(&manifest.entries);
        let retained = retained(manifest, &needs).into_iter().map(|sum| sum.bytes);
        let entries = manifest.entries.iter().zip(retained);
        let things = entries.map(|(entry, retained)| Thing::Entry { entry, retained });
        let nodes = things.map(|thing| Node { thing, asked_for: Vec::new() }).collect();
        let mut maker = Maker {
            needs,
            graph: Graph { nodes, edges: Vec::new(), packed: manifest.packed.as_ref() },
            others: HashMap::new(),
        };
        for (position, entry) in manifest.entries.iter().enumerate() {
            for because in &entry.reasons {
                maker.reason(because.from.as_ref(), &because.reason, position);
            }
        }
        for missing in &manifest.missing {
            let thing = Thing::Missing { name: &missing.name, priority: missing.priority };
            let to = maker.other(Key::Missing(&missing.name), thing);
            if let Thing::Missing { priority, .. } = &mut maker.graph.nodes[to].thing {
                *priority = missing.priority.max(*priority);
            }
            maker.reason(missing.from.as_ref(), &missing.reason, to);
        }
        for omission in &manifest.unknown {
            let (name, why) = (name_of_unknown(omission), &omission.why[..]);
            let to = maker.other(Key::Unknown(name, why), Thing::Unknown { name, why });
            maker.reason(omission.from.as_ref(), &omission.reason, to);
        }
        maker.graph
    }
}

/// Where the reference would lead, or its words, or why there are none.
fn name_of_unknown(omission: &Omission) -> &[u8] {
    match &omission.to {
        Some(to) => to.as_bytes(),
        None if omission.reason.detail.is_empty() => omission.why.as_bytes(),
        None => omission.reason.detail.as_bytes(),
    }
}

impl<'m> Node<'m> {
    /// The path of an entry, the name of anything else.
    pub fn name(&self) -> &'m [u8] {
        match self.thing {
            Thing::Entry { entry: Entry { path, .. }, .. } | Thing::Outside { path } => path.as_bytes(),
            Thing::Missing { name, .. } => name.as_bytes(),
            Thing::Unknown { name, .. } => name,
        }
    }

    /// The entry it stands for; `None` for what is missing, unknown or outside the manifest.
    pub fn entry(&self) -> Option<&'m Entry> {
        match self.thing {
            Thing::Entry { entry, .. } => Some(entry),
            _ => None,
        }
    }

    /// The strongest evidence for an entry.
    fn evidence(&self) -> Option<Evidence> {
        self.entry().and_then(strongest)
    }

    /// What the node stands for: `entry`, `missing`, `unknown`, `outside`.
    fn what(&self) -> &'static str {
        match self.thing {
            Thing::Entry { .. } => "entry",
            Thing::Missing { .. } => "missing",
            Thing::Unknown { .. } => "unknown",
            Thing::Outside { .. } => "outside",
        }
    }

    /// The name for people; what is no entry says so.
    fn label(&self) -> String {
        let name = escaped(self.name());
        match self.thing {
            Thing::Entry { .. } => name.to_string(),
            _ => format!("{}: {name}", self.what()),
        }
    }
}

impl Edge<'_> {
    /// `NEEDED of /usr/bin/node`, as `why` words it, without the evidence.
    fn words(&self, graph: &Graph) -> String {
        let path = |node: usize| match graph.nodes[node].thing {
            Thing::Entry { entry: Entry { path, .. }, .. } | Thing::Outside { path } => Some(path),
            _ => None,
        };
        // What is no path is told whole, as it is when it differs from the path.
        reference_in_words(self.reason, path(self.from), path(self.to).unwrap_or(&RootPath::root()))
    }
}

/// Text of which XML, and so the SVG that Graphviz makes, can have every character: of those that are left when text is
/// escaped for people, it has no U+FFFE and U+FFFF.
fn for_xml(escaped: &str) -> String {
    escaped.replace('\u{fffe}', "\\xef\\xbf\\xbe").replace('\u{ffff}', "\\xef\\xbf\\xbf")
}

/// A graph being made.
struct Maker<'m> {
    needs: Needs<'m>,
    graph: Graph<'m>,
    /// The nodes that are no entries.
    others: HashMap<Key<'m>, usize>,
}

#[derive(PartialEq, Eq, Hash)]
enum Key<'m> {
    Missing(&'m str),
    Unknown(&'m [u8], &'m str),
    Outside(&'m RootPath),
}

impl<'m> Maker<'m> {
    fn other(&mut self, key: Key<'m>, thing: Thing<'m>) -> usize {
        *self.others.entry(key).or_insert_with(|| {
            self.graph.nodes.push(Node { thing, asked_for: Vec::new() });
            self.graph.nodes.len() - 1
        })
    }

    fn reason(&mut self, from: Option<&'m RootPath>, reason: &'m Reason, to: usize) {
        let Some(path) = from else {
            self.graph.nodes[to].asked_for.push(reason);
            return;
        };
        let from = match self.needs.position(path) {
            Some(entry) => entry,
            None => self.other(Key::Outside(path), Thing::Outside { path }),
        };
        self.graph.edges.push(Edge { from, to, reason });
    }
}

#[cfg(test)]
mod tests;
