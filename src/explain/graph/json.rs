//! The graph as JSON.

use super::{Edge, Graph, Node, Thing};
use crate::manifest::json::{Document, PathText, type_name};
use crate::path::escaped;
use crate::reason::{Evidence, Kind, Priority, Reason};
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, Write};

/// The number of the schema.
const FORMAT: u64 = 1;

impl Graph<'_> {
    /// Writes the graph as JSON, in what networkx calls node-link data: `networkx.node_link_graph(json.load(file),
    /// edges="edges")` reads it.
    ///
    /// ```text
    /// {
    ///   "format": 1,             the number of this schema
    ///   "directed": true,
    ///   "multigraph": true,      two nodes can have several edges, one for each reason
    ///   "packed": {              the archive of the whole image, as in the manifest; absent when it was not measured
    ///     "format": "cpio", "compression": "zstd", "level": 9,
    ///     "bytes": 900,          of the archive: `overhead` and what `packed` of all its files is
    ///     "overhead": 100
    ///   },
    ///   "nodes": [{
    ///     "id": 0,               what edges name it by; counts from 0
    ///     "what": "entry",       or missing, unknown, outside (a referrer that is not in the manifest)
    ///     "asked_for": [{"evidence": "target", "kind": "startup", "detail": "/sbin/init"}],
    ///                            absent unless the user asked for it
    ///     "path": "/lib/x.so",   of entry and outside; not UTF-8: escaped, and exact as hexadecimal "path_hex"
    ///     "type": "file",        of entry: file, generated, dir, symlink, hardlink, char, block, fifo
    ///     "size": 408,           of entry: bytes of its own
    ///     "retained": 1316,      of entry: bytes that would go without it
    ///     "packed": 200,         of entry: bytes of the archive that its content takes, an estimate; of files only,
    ///                            when the archive was measured
    ///     "package": "libx1",    of entry; absent when none delivered it
    ///     "evidence": "target",  of entry: the strongest of all its reasons
    ///     "name": "libx.so",     of missing and unknown: what was asked for
    ///     "priority": "required",  of missing: required, recommended, suggested
    ///     "why": "..."           of unknown: why it cannot be known
    ///   }],
    ///   "edges": [{
    ///     "source": 0,           the node that refers
    ///     "target": 1,           the node that it needs
    ///     "evidence": "proven",  target, proven, declared, rule, observed, suspected
    ///     "kind": "needed",      and "detail": the reference, as in the manifest
    ///     "words": "NEEDED of /usr/bin/x"
    ///   }]
    /// }
    /// ```
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut document = Document::new(out);
        document.value("format", &FORMAT)?;
        document.value("directed", &true)?;
        document.value("multigraph", &true)?;
        if let Some(packed) = self.packed {
            document.value("packed", packed)?;
        }
        document.list("nodes", self.nodes.iter().enumerate().map(|(id, node)| NodeJson::new(id, node)))?;
        document.list("edges", self.edges.iter().map(|edge| EdgeJson::new(edge, self)))?;
        document.end()
    }
}

#[derive(Serialize)]
struct NodeJson<'a> {
    id: usize,
    what: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    asked_for: Vec<ReasonJson<'a>>,
    #[serde(flatten)]
    thing: ThingJson<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ThingJson<'a> {
    Entry {
        #[serde(flatten)]
        path: PathText<'a>,
        r#type: &'static str,
        size: u64,
        retained: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        packed: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        package: Option<&'a str>,
        evidence: Option<Evidence>,
    },
    Missing {
        name: &'a str,
        priority: Priority,
    },
    Unknown {
        name: Cow<'a, str>,
        why: &'a str,
    },
    Outside(PathText<'a>),
}

#[derive(Serialize)]
struct EdgeJson<'a> {
    source: usize,
    target: usize,
    #[serde(flatten)]
    reason: ReasonJson<'a>,
    words: String,
}

#[derive(Serialize)]
struct ReasonJson<'a> {
    evidence: Evidence,
    kind: Kind,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
}

impl<'a> NodeJson<'a> {
    fn new(id: usize, node: &Node<'a>) -> NodeJson<'a> {
        let thing = match node.thing {
            Thing::Entry { entry, retained } => ThingJson::Entry {
                path: PathText::new(&entry.path),
                r#type: type_name(&entry.content),
                size: entry.size(),
                retained,
                packed: entry.packed,
                package: entry.package.as_deref(),
                evidence: node.evidence(),
            },
            Thing::Missing { name, priority } => ThingJson::Missing { name, priority },
            Thing::Unknown { name, why } => ThingJson::Unknown { name: shown(name), why },
            Thing::Outside { path } => ThingJson::Outside(PathText::new(path)),
        };
        let asked_for = node.asked_for.iter().map(|reason| ReasonJson::new(reason)).collect();
        NodeJson { id, what: node.what(), asked_for, thing }
    }
}

impl<'a> EdgeJson<'a> {
    fn new(edge: &Edge<'a>, graph: &Graph<'a>) -> EdgeJson<'a> {
        let (source, target, reason) = (edge.from, edge.to, ReasonJson::new(edge.reason));
        EdgeJson { source, target, reason, words: edge.words(graph) }
    }
}

impl<'a> ReasonJson<'a> {
    fn new(reason: &'a Reason) -> ReasonJson<'a> {
        ReasonJson { evidence: reason.evidence, kind: reason.kind, detail: &reason.detail }
    }
}

/// The text of a name; one that is a path and not UTF-8 is escaped.
fn shown(name: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(name).map_or_else(|_| Cow::Owned(escaped(name).to_string()), Cow::Borrowed)
}
