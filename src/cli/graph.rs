//! `minroot graph`: from a manifest alone, without the root.

use super::args::{Graph as Options, GraphFormat};
use super::why::read_manifest;
use super::{Outcome, report};
use crate::explain::graph::{Direction, Filter, Graph};
use anyhow::Context;
use std::os::unix::ffi::OsStrExt;

pub fn run(options: &Options) -> anyhow::Result<Outcome> {
    let manifest = read_manifest(&options.manifest)?;
    let graph = Graph::of(&manifest).select(&manifest, &filter(options)).map_err(|error| {
        let hint = error.hint();
        report::with_optional_hint(error.into(), hint)
    })?;
    let chart = match options.format {
        GraphFormat::Mermaid => graph.mermaid().map_err(|error| report::with_hint(error.into(), error.hint()))?,
        _ => String::new(),
    };
    report::write_output(&options.output, |out| match options.format {
        GraphFormat::Dot => graph.dot(out),
        GraphFormat::Json => graph.json(out),
        GraphFormat::Graphml => graph.graphml(out),
        GraphFormat::Mermaid => out.write_all(chart.as_bytes()),
    })
    .with_context(|| format!("cannot write `{}`", options.output.display()))?;
    Ok(Outcome::Done)
}

fn filter(options: &Options) -> Filter {
    Filter {
        nodes: options.node.iter().map(|pattern| pattern.as_bytes().to_vec()).collect(),
        direction: match (options.up, options.down) {
            (true, _) => Direction::Up,
            (_, true) => Direction::Down,
            _ => Direction::Both,
        },
        depth: options.depth,
        evidence: options.evidence.clone(),
        without_directories: matches!(options.format, GraphFormat::Dot | GraphFormat::Mermaid) && !options.directories,
    }
}
