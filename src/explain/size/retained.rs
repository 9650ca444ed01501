//! Retained sizes: what would go from an image with each entry, for all entries at once.
//!
//! An entry retains what it dominates: what every chain of reasons from a target goes through it to. Sizes are added up
//! the dominator tree below a virtual root that stands for the user, so those of the root's children add up to all
//! that can be reached. Directories are left out of the graph where they cannot matter, because they have no bytes and
//! thousands of referrers, each of which costs the algorithm a walk up the tree.

use crate::manifest::needs::Needs;
use crate::manifest::totals::Tally;
use crate::manifest::{Content, Manifest};
use petgraph::algo::dominators::{Dominators, simple_fast};
use petgraph::graph::{DiGraph, NodeIndex};

/// What each entry retains, itself included; in the order of the entries.
///
/// An entry that no chain of reasons leads to retains only itself. Sums saturate at the largest `u64`.
pub fn retained(manifest: &Manifest, needs: &Needs) -> Vec<Tally> {
    let mut sums: Vec<Tally> = manifest.entries.iter().map(Tally::of).collect();
    let above = immediate_dominators(manifest, needs);
    // From the leaves up: an entry is added to the one above it when all below it have been added to it.
    let mut n_below = vec![0usize; sums.len()];
    for dominator in above.iter().flatten() {
        n_below[*dominator] += 1;
    }
    let mut complete: Vec<usize> = (0..sums.len()).filter(|entry| n_below[*entry] == 0).collect();
    while let Some(entry) = complete.pop() {
        let Some(dominator) = above[entry] else { continue };
        let sum = sums[entry];
        sums[dominator].add(sum);
        n_below[dominator] -= 1;
        if n_below[dominator] == 0 {
            complete.push(dominator);
        }
    }
    sums
}

/// The entry right above each in the dominator tree; `None` below the virtual root, and for what is not in the tree.
pub(in crate::explain) fn immediate_dominators(manifest: &Manifest, needs: &Needs) -> Vec<Option<usize>> {
    let entries = &manifest.entries;
    let matters = matters(manifest, needs);
    let root = NodeIndex::new(entries.len());
    let mut graph: DiGraph<(), ()> = DiGraph::with_capacity(entries.len() + 1, entries.len() * 3);
    for _ in 0..=entries.len() {
        graph.add_node(());
    }
    for target in needs.targets() {
        graph.add_edge(root, NodeIndex::new(target), ());
    }
    for from in 0..entries.len() {
        for edge in needs.edges(from).filter(|edge| matters[edge.to]) {
            graph.add_edge(NodeIndex::new(from), NodeIndex::new(edge.to), ());
        }
    }
    let dominators: Dominators<NodeIndex> = simple_fast(&graph, root);
    let above = |entry| dominators.immediate_dominator(NodeIndex::new(entry)).filter(|above| *above != root);
    (0..entries.len()).map(|entry| above(entry).map(NodeIndex::index)).collect()
}

/// Which entries can be on a chain to something with bytes: all but directories that lead to nothing except the
/// directories they are in.
fn matters(manifest: &Manifest, needs: &Needs) -> Vec<bool> {
    let mut matters = Vec::with_capacity(manifest.entries.len());
    for (position, entry) in manifest.entries.iter().enumerate() {
        // Directories come before what is in them, so what an edge upwards leads to is known.
        let leads_on = |to: usize| match matters.get(to) {
            Some(above) if entry.path.starts_with(&manifest.entries[to].path) => *above,
            _ => to != position,
        };
        let is_on_chain = entry.content != Content::Directory || needs.edges(position).any(|edge| leads_on(edge.to));
        matters.push(is_on_chain);
    }
    matters
}
