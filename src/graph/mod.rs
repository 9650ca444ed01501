//! Who needs whom: nodes are paths, symlinks and directories among them; each edge has one reason.
//!
//! A petgraph `DiGraph` lists the edges of a node in reverse order of insertion, which depends on the work's order, so
//! every answer here is sorted.

use crate::path::RootPath;
use crate::reason::Reason;
use foldhash::{HashMap, HashSet};
use petgraph::Direction;
use petgraph::graph::{DiGraph, EdgeIndex, NodeIndex};
use petgraph::visit::{EdgeRef, NodeFiltered};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// The dependency graph of one trace.
#[derive(Debug, Default)]
pub struct Graph {
    graph: DiGraph<RootPath, Reason>,
    nodes: HashMap<RootPath, NodeIndex>,
    /// The first edge between two nodes: few pairs have a second.
    first_edges: HashMap<(NodeIndex, NodeIndex), EdgeIndex>,
    /// The reasons of the others: those of an object for a link of its library directory are as many as its needs.
    further_reasons: HashMap<(NodeIndex, NodeIndex), HashSet<Reason>>,
    /// What the user asked for, with how.
    roots: BTreeMap<NodeIndex, BTreeSet<Reason>>,
}

/// A node of one graph by its number, for those who connect the same ones again and again: looking up paths takes most
/// of the time of [`Graph::connect`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(NodeIndex);

impl Graph {
    /// Adds a node; whether it is new.
    pub fn add(&mut self, path: &RootPath) -> bool {
        if self.nodes.contains_key(path) {
            return false;
        }
        let node = self.graph.add_node(path.clone());
        self.nodes.insert(path.clone(), node);
        true
    }

    pub fn contains(&self, path: &RootPath) -> bool {
        self.nodes.contains_key(path)
    }

    /// The number of a node.
    ///
    /// # Panics
    /// When the path is no node of the graph: a bug of the caller.
    pub fn node(&self, path: &RootPath) -> NodeId {
        NodeId(self.nodes[path])
    }

    /// Adds an edge between two nodes of the graph, or marks `to` as asked for by the user when there is no `from`.
    /// An edge that is there already is not added again.
    ///
    /// # Panics
    /// When an end is no node of the graph: a bug of the caller.
    pub fn connect(&mut self, from: Option<&RootPath>, to: &RootPath, reason: Reason) {
        let to = self.node(to);
        match from {
            None => {
                self.roots.entry(to.0).or_default().insert(reason);
            }
            Some(from) => self.connect_nodes(self.node(from), to, reason),
        }
    }

    /// [`Graph::connect`] for nodes by their numbers.
    ///
    /// # Panics
    /// When a number is not of this graph: a bug of the caller.
    pub fn connect_nodes(&mut self, NodeId(from): NodeId, NodeId(to): NodeId, reason: Reason) {
        if from == to {
            return;
        }
        match self.first_edges.entry((from, to)) {
            Entry::Vacant(first) => {
                first.insert(self.graph.add_edge(from, to, reason));
            }
            Entry::Occupied(first) => {
                let is_first = self.graph[*first.get()] == reason;
                let mut is_new = || self.further_reasons.entry((from, to)).or_default().insert(reason.clone());
                if !is_first && is_new() {
                    self.graph.add_edge(from, to, reason);
                }
            }
        }
    }

    /// Why `path` is in: who refers to it and how, sorted; `None` stands for the user.
    pub fn reasons(&self, path: &RootPath) -> Vec<(Option<RootPath>, Reason)> {
        let Some(&node) = self.nodes.get(path) else { return Vec::new() };
        let asked = self.roots.get(&node).into_iter().flatten().map(|reason| (None, reason.clone()));
        let edges = self.graph.edges_directed(node, Direction::Incoming);
        let needed = edges.map(|edge| (Some(self.graph[edge.source()].clone()), edge.weight().clone()));
        let mut reasons: Vec<_> = asked.chain(needed).collect();
        reasons.sort();
        reasons
    }

    /// What the user's wishes lead to without passing a path that `forbidden` holds back, sorted.
    pub fn reachable(&self, forbidden: impl Fn(&RootPath) -> bool) -> Vec<RootPath> {
        let allowed = NodeFiltered::from_fn(&self.graph, |node| !forbidden(&self.graph[node]));
        let roots = self.roots.keys().copied().filter(|node| !forbidden(&self.graph[*node]));
        let mut pending: Vec<NodeIndex> = roots.collect();
        let mut seen = vec![false; self.graph.node_count()];
        let mut paths = Vec::new();
        while let Some(node) = pending.pop() {
            if !std::mem::replace(&mut seen[node.index()], true) {
                paths.push(self.graph[node].clone());
                pending.extend(petgraph::visit::IntoNeighbors::neighbors(&allowed, node));
            }
        }
        paths.sort_unstable();
        paths
    }

    /// The paths that the user's wishes lead to by references of which `follow` says yes.
    pub fn reachable_by(&self, follow: impl Fn(&Reason) -> bool) -> HashSet<&RootPath> {
        let mut pending: Vec<NodeIndex> = self.roots.keys().copied().collect();
        let mut paths = HashSet::default();
        while let Some(node) = pending.pop() {
            if paths.insert(&self.graph[node]) {
                pending.extend(self.graph.edges(node).filter(|edge| follow(edge.weight())).map(|edge| edge.target()));
            }
        }
        paths
    }

    /// The paths of all nodes, sorted.
    pub fn paths(&self) -> Vec<RootPath> {
        let mut paths: Vec<_> = self.graph.node_weights().cloned().collect();
        paths.sort_unstable();
        paths
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::{Evidence, Kind};

    fn path(text: &str) -> RootPath {
        RootPath::new(text).unwrap()
    }

    fn reason(detail: &str) -> Reason {
        Reason::new(Evidence::Proven, Kind::Needed, detail)
    }

    fn graph(edges: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::default();
        for (from, to) in edges {
            graph.add(&path(from));
            graph.add(&path(to));
            graph.connect(Some(&path(from)), &path(to), reason("x"));
        }
        graph
    }

    #[test]
    fn an_edge_is_there_once_for_each_reason() {
        let mut graph = graph(&[("/a", "/b"), ("/a", "/b")]);
        let (a, b) = (graph.node(&path("/a")), graph.node(&path("/b")));
        for detail in ["y", "z", "y", "x", "z"] {
            graph.connect(Some(&path("/a")), &path("/b"), reason(detail));
            graph.connect_nodes(a, b, reason(detail));
        }
        graph.connect_nodes(b, b, reason("itself"));
        let details: Vec<_> = graph.reasons(&path("/b")).into_iter().map(|(_, reason)| reason.detail).collect();
        assert_eq!(details.iter().map(|detail| &**detail).collect::<Vec<_>>(), ["x", "y", "z"]);
    }

    #[test]
    fn references_that_do_not_count_lead_nowhere() {
        let mut graph = graph(&[("/a", "/b"), ("/b", "/c"), ("/a", "/d")]);
        graph.connect(None, &path("/a"), reason("asked"));
        graph.connect(Some(&path("/d")), &path("/b"), reason("weak"));
        let reached = |graph: &Graph| graph.reachable_by(|reason| &*reason.detail != "weak").len();
        assert_eq!(reached(&graph), 4);
        let mut weak = Graph::default();
        ["/a", "/b"].iter().for_each(|name| assert!(weak.add(&path(name))));
        weak.connect(None, &path("/a"), reason("asked"));
        weak.connect(Some(&path("/a")), &path("/b"), reason("weak"));
        assert_eq!((reached(&weak), weak.reachable_by(|_| true).len()), (1, 2));
    }

    #[test]
    fn what_is_only_behind_a_forbidden_path_goes_with_it() {
        let mut graph = graph(&[("/a", "/b"), ("/b", "/c"), ("/a", "/d"), ("/d", "/a")]);
        graph.connect(None, &path("/a"), reason("asked"));
        let reached = graph.reachable(|p| *p == path("/b"));
        assert_eq!(reached, [path("/a"), path("/d")]);
        assert_eq!(graph.reachable(|_| false).len(), 4);
        assert!(graph.reachable(|p| *p == path("/a")).is_empty());
    }
}
