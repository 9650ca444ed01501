//! `minroot graph`: from a manifest alone, without the root.

use super::args::{Graph as Options, GraphFormat};
use super::why::read_manifest;
use super::{Outcome, report};
use crate::explain::graph::{Direction, Filter, Graph, page};
use crate::manifest::Manifest;
use anyhow::{Context, anyhow};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

pub fn run(options: &Options) -> anyhow::Result<Outcome> {
    let manifest = read_manifest(&options.manifest)?;
    let part = || part(&manifest, options);
    match options.format {
        GraphFormat::Html if filter(options) != Filter::default() => {
            let error = anyhow!("the page is of the whole manifest, and no part of it can be chosen");
            Err(report::with_hint(error, "the page has a search; --format dot draws a part"))
        }
        GraphFormat::Html => write(options, |out| page::write(&manifest, out)),
        GraphFormat::Dot => part().and_then(|graph| write(options, |out| graph.dot(out))),
        GraphFormat::Json => part().and_then(|graph| write(options, |out| graph.json(out))),
        GraphFormat::Graphml => part().and_then(|graph| write(options, |out| graph.graphml(out))),
        GraphFormat::Mermaid => {
            let chart = part()?.mermaid().map_err(|error| report::with_hint(error.into(), error.hint()))?;
            write(options, |out| out.write_all(chart.as_bytes()))
        }
    }
}

fn part<'m>(manifest: &'m Manifest, options: &Options) -> anyhow::Result<Graph<'m>> {
    Graph::of(manifest).select(manifest, &filter(options)).map_err(|error| {
        let hint = error.hint();
        report::with_hint(error.into(), hint)
    })
}

fn filter(options: &Options) -> Filter {
    let is_drawing = matches!(options.format, GraphFormat::Dot | GraphFormat::Mermaid);
    Filter {
        nodes: options.node.iter().map(|pattern| pattern.as_bytes().to_vec()).collect(),
        direction: match (options.up, options.down) {
            (true, _) => Direction::Up,
            (_, true) => Direction::Down,
            _ => Direction::Both,
        },
        depth: options.depth,
        evidence: options.evidence.clone(),
        without_directories: is_drawing && !options.directories,
    }
}

fn write(options: &Options, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<Outcome> {
    report::write_output(&options.output, content)
        .with_context(|| format!("cannot write `{}`", options.output.display()))?;
    Ok(Outcome::Done)
}
