//! The graph as a Mermaid flowchart, for a README or an issue.
//!
//! Mermaid shows nothing of a chart that has more than its limits, which the pages that draw it, GitHub's among them,
//! leave at their defaults. So a larger graph is refused here, where a hint can say what to do.

use super::{Graph, Thing};
use crate::text::grouped;
use std::fmt::Write;

/// Mermaid's `maxEdges` and `maxTextSize` (<https://mermaid.js.org/config/schema-docs/config.html>).
const MAX_EDGES: usize = 500;
const MAX_CHARACTERS: usize = 50_000;

/// Nothing that draws Mermaid would draw this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the graph has {} edges in {} characters, and Mermaid draws at most {} in {}",
    grouped(*edges as u64), grouped(*characters as u64), grouped(MAX_EDGES as u64), grouped(MAX_CHARACTERS as u64)
)]
pub struct TooLarge {
    /// Edges of the graph.
    pub edges: usize,
    /// Characters of the chart that would be written.
    pub characters: usize,
}

impl TooLarge {
    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        "--node PATH, --depth N and --evidence CLASS take a part of it; --format html and dot have no limit"
    }
}

impl Graph<'_> {
    /// The graph as a flowchart.
    ///
    /// # Errors
    /// [`TooLarge`].
    pub fn mermaid(&self) -> Result<String, TooLarge> {
        let mut chart = "flowchart LR\n".to_owned();
        for (id, node) in self.nodes.iter().enumerate() {
            let class = match node.thing {
                Thing::Entry { .. } if node.asked_for.is_empty() => "",
                Thing::Entry { .. } => ":::target",
                Thing::Missing { .. } => ":::missing",
                Thing::Unknown { .. } | Thing::Outside { .. } => ":::unknown",
            };
            let _ = writeln!(chart, "  n{id}[\"{}\"]{class}", coded(&node.label()));
        }
        for edge in &self.edges {
            let _ = writeln!(chart, "  n{} -->|{}| n{}", edge.from, edge.reason.kind, edge.to);
        }
        // Both colours, so that it can be read on any background.
        chart.push_str("  classDef target fill:#dbe9ff,stroke:#1f5fbf,color:#10243f\n");
        chart.push_str("  classDef missing fill:#ffd7d2,stroke:#c0392b,color:#4a130c\n");
        chart.push_str("  classDef unknown fill:#fff3cd,stroke:#b7791f,color:#3f2c05\n");
        let (edges, characters) = (self.edges.len(), chart.chars().count());
        if edges > MAX_EDGES || characters > MAX_CHARACTERS { Err(TooLarge { edges, characters }) } else { Ok(chart) }
    }
}

/// Text for a quoted label: what could mean something to Mermaid, Markdown or HTML is an entity code (`#35;`).
fn coded(text: &str) -> String {
    let mut coded = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_alphanumeric() || matches!(character, '/' | '.' | '-' | '+' | ':' | ',' | ' ') {
            coded.push(character);
        } else {
            let _ = write!(coded, "#{};", u32::from(character));
        }
    }
    coded
}
