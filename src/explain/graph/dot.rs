//! The graph in the language of Graphviz, for `dot -Tsvg`.
//!
//! Inside a quoted string of the language a quote is the only thing that a backslash escapes; what looks like other
//! escapes is left to the label, which has its own (`\n`, `\N`, `\G`) and reads HTML entities as well. So a backslash is
//! doubled for the label, a quote is escaped for the language, and an ampersand becomes an entity
//! (<https://graphviz.org/doc/info/lang.html>, <https://graphviz.org/docs/attr-types/escString/>).

use super::{Edge, Graph, Node, Thing, for_xml};
use crate::manifest::json::type_name;
use crate::path::escaped;
use crate::reason::{Evidence, Priority};
use crate::text::size;
use std::io::{self, Write};

impl Graph<'_> {
    /// Writes the graph for Graphviz: a label is the path, a tooltip has the rest, a colour is the evidence.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn dot(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "digraph minroot {{")?;
        writeln!(out, "  graph [rankdir=LR, charset=\"UTF-8\"];")?;
        writeln!(out, "  node [shape=box, style=filled, fillcolor=white, fontname=\"sans-serif\", fontsize=10];")?;
        writeln!(out, "  edge [fontname=\"sans-serif\", fontsize=8];")?;
        for (id, node) in self.nodes.iter().enumerate() {
            let (label, tooltip) = (quoted(&node.label()), quoted(&tooltip(node)));
            writeln!(out, "  n{id} [label={label}, tooltip={tooltip}{}];", node_style(node))?;
        }
        for edge in &self.edges {
            let Edge { from, to, reason } = edge;
            let tooltip = quoted(&edge.words(self));
            let style = edge_style(reason.evidence);
            writeln!(out, "  n{from} -> n{to} [label=\"{}\", tooltip={tooltip}, {style}];", reason.kind)?;
        }
        writeln!(out, "}}")
    }
}

fn tooltip(node: &Node) -> String {
    match node.thing {
        Thing::Entry { entry, retained } => {
            let kind = type_name(&entry.content);
            let package = entry.package.as_ref().map(|name| format!(" of {}", escaped(name.as_bytes())));
            let (package, own, retained) = (package.unwrap_or_default(), size(entry.size()), size(retained));
            format!("{kind}{package}, {own}; without it {retained} would go")
        }
        Thing::Missing { priority, .. } => format!("missing, {priority}"),
        Thing::Unknown { why, .. } => escaped(why.as_bytes()).to_string(),
        Thing::Outside { .. } => "not in the manifest".to_owned(),
    }
}

fn node_style(node: &Node) -> &'static str {
    match node.thing {
        Thing::Missing { priority: Priority::Required, .. } => ", fillcolor=\"#ffd7d2\", color=\"#c0392b\"",
        Thing::Missing { .. } | Thing::Unknown { .. } => ", fillcolor=\"#fff3cd\", color=\"#b7791f\"",
        Thing::Outside { .. } => ", style=dashed",
        Thing::Entry { .. } if node.asked_for.is_empty() => "",
        Thing::Entry { .. } => ", fillcolor=\"#dbe9ff\", penwidth=2",
    }
}

fn edge_style(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Target => "color=\"#1f5fbf\"",
        Evidence::Proven => "color=\"#2f6f4f\"",
        Evidence::Declared => "color=\"#7a5195\"",
        Evidence::Rule => "color=\"#b5651d\"",
        Evidence::Observed => "color=\"#0f7c8a\", style=dashed",
        Evidence::Suspected => "color=\"#8a8a8a\", style=dotted",
    }
}

/// A quoted string that a label shows as the text is, which has no control characters.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in for_xml(text).chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '&' => quoted.push_str("&amp;"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
