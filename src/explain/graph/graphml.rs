//! The graph as GraphML (<http://graphml.graphdrawing.org/primer/graphml-primer.html>), for yEd, Gephi, Cytoscape and
//! networkx.
//!
//! XML has no way at all to spell most control characters and two others, so names are shown as they are to people, and
//! a node whose bytes that does not tell has them in hexadecimal digits as well.

use super::{Graph, Node, Thing, for_xml};
use crate::manifest::json::type_name;
use crate::path::escaped;
use crate::text::hex;
use std::fmt::Display;
use std::io::{self, Write};

/// The attributes: id, the kind of element, type.
const KEYS: [(&str, &str, &str); 13] = [
    ("what", "node", "string"),
    ("name", "node", "string"),
    ("name_hex", "node", "string"),
    ("type", "node", "string"),
    ("size", "node", "long"),
    ("retained", "node", "long"),
    ("package", "node", "string"),
    ("strongest", "node", "string"),
    ("asked_for", "node", "boolean"),
    ("evidence", "edge", "string"),
    ("kind", "edge", "string"),
    ("detail", "edge", "string"),
    ("words", "edge", "string"),
];

impl Graph<'_> {
    /// Writes the graph as GraphML. An attribute that does not apply is absent.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn graphml(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
        writeln!(out, "<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">")?;
        for (id, element, kind) in KEYS {
            writeln!(out, "  <key id=\"{id}\" for=\"{element}\" attr.name=\"{id}\" attr.type=\"{kind}\"/>")?;
        }
        writeln!(out, "  <graph id=\"minroot\" edgedefault=\"directed\">")?;
        for (id, node) in self.nodes.iter().enumerate() {
            write!(out, "    <node id=\"n{id}\">")?;
            write_node(node, out)?;
            writeln!(out, "</node>")?;
        }
        for edge in &self.edges {
            write!(out, "    <edge source=\"n{}\" target=\"n{}\">", edge.from, edge.to)?;
            data(out, "evidence", edge.reason.evidence)?;
            data(out, "kind", edge.reason.kind)?;
            if !edge.reason.detail.is_empty() {
                data(out, "detail", escaped(edge.reason.detail.as_bytes()))?;
            }
            data(out, "words", edge.words(self))?;
            writeln!(out, "</edge>")?;
        }
        writeln!(out, "  </graph>\n</graphml>")
    }
}

fn write_node(node: &Node, out: &mut dyn Write) -> io::Result<()> {
    data(out, "what", node.what())?;
    let name = escaped(node.name()).to_string();
    data(out, "name", &name)?;
    if for_xml(&name).as_bytes() != node.name() {
        data(out, "name_hex", hex(node.name()))?;
    }
    if let Thing::Entry { entry, retained } = node.thing {
        data(out, "type", type_name(&entry.content))?;
        data(out, "size", entry.size())?;
        data(out, "retained", retained)?;
        if let Some(package) = &entry.package {
            data(out, "package", escaped(package.as_bytes()))?;
        }
    }
    if let Some(evidence) = node.evidence() {
        data(out, "strongest", evidence)?;
    }
    data(out, "asked_for", !node.asked_for.is_empty())
}

fn data(out: &mut dyn Write, key: &str, value: impl Display) -> io::Result<()> {
    let value = for_xml(&value.to_string()).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    write!(out, "<data key=\"{key}\">{value}</data>")
}
