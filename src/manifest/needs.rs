//! The reasons of a manifest read forwards: from each entry to the entries that are in because of it.
//!
//! A manifest says of each entry who needs it; questions about what would happen without an entry go the other way.
//! Two kinds of need are not always written down as reasons and are added here: an entry needs the directory it is
//! in, and a hard link needs the file that it is a name of. Without them a directory would seem to go with the one
//! entry that first brought it in.
//!
//! What goes away with an entry is what that entry dominates. For one entry two walks find it, with and without the
//! entry, which is several times faster than the dominators of every entry.

use super::{Because, Content, Entry, Manifest};
use crate::path::RootPath;
use foldhash::fast::RandomState;
use rayon::prelude::*;
use std::collections::HashMap;

/// Entries and who needs whom; entries are known by their position in the manifest.
pub struct Needs<'m> {
    entries: &'m [Entry],
    positions: HashMap<&'m [u8], usize, RandomState>,
    /// `edges[starts[i]..starts[i + 1]]` are those of entry `i`.
    starts: Vec<usize>,
    edges: Vec<Edge>,
    /// In the order of their paths.
    targets: Vec<usize>,
}

/// One entry needs another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The position of the needed entry.
    pub to: usize,
    /// Which of its reasons this is; `None` for a need that is not written down.
    pub reason: Option<usize>,
}

/// One entry of a chain, with the reason that leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'m> {
    /// The entry that the chain has come to.
    pub entry: &'m Entry,
    /// `None` for the start of a chain that does not begin at a target.
    pub because: Option<&'m Because>,
}

/// The shortest chains of reasons from the targets, or from one entry.
pub struct Chains<'n, 'm> {
    needs: &'n Needs<'m>,
    /// How many written-down reasons each entry is away from the start.
    depths: Vec<usize>,
    is_from_targets: bool,
}

const UNREACHED: usize = usize::MAX;

impl<'m> Needs<'m> {
    /// Reads the reasons of all entries once; the answers borrow from the manifest.
    pub fn of(manifest: &'m Manifest) -> Needs<'m> {
        let entries = &manifest.entries[..];
        let positions: HashMap<&[u8], usize, RandomState> =
            entries.iter().enumerate().map(|(position, entry)| (entry.path.as_bytes(), position)).collect();
        let position = |path: &[u8]| positions.get(path).copied();
        let pairs: Vec<(usize, Edge)> = (entries.par_iter().enumerate())
            .flat_map_iter(|(to, entry)| {
                let position = &position;
                let written = entry.reasons.iter().enumerate().filter_map(move |(reason, because)| {
                    // A referrer that is no entry itself cannot be followed; it still shows as a reason.
                    let from = position(because.from.as_ref()?.as_bytes())?;
                    Some((from, Edge { to, reason: Some(reason) }))
                });
                let parent = position(entry.path.parent_bytes()).filter(|parent| *parent != to);
                let linked = match &entry.content {
                    Content::Hardlink { to } => position(to.as_bytes()),
                    _ => None,
                };
                let unwritten = parent.into_iter().chain(linked);
                written.chain(unwritten.map(move |needed| (to, Edge { to: needed, reason: None })))
            })
            .collect();
        let (starts, edges) = group(entries.len(), &pairs);
        let is_target = |entry: &Entry| entry.reasons.iter().any(|because| because.from.is_none());
        let targets = (0..entries.len()).filter(|position| is_target(&entries[*position])).collect();
        Needs { entries, positions, starts, edges, targets }
    }

    /// The number by which [`Edge`] knows the entry; `None` when the path is not in.
    pub fn position(&self, path: &RootPath) -> Option<usize> {
        self.positions.get(path.as_bytes()).copied()
    }

    /// What the entry needs; written-down needs in the order of their paths.
    pub fn edges(&self, position: usize) -> &[Edge] {
        &self.edges[self.starts[position]..self.starts[position + 1]]
    }

    /// The entries that the user asked for, in the order of their paths.
    pub fn targets(&self) -> impl Iterator<Item = usize> + '_ {
        self.targets.iter().copied()
    }

    /// The shortest chain of reasons from a target, or from `from`, to an entry. Of chains of one length the one
    /// with the stronger evidence is taken, looking from the entry backwards, then the one of the first path.
    ///
    /// `None` when no reason leads there.
    pub fn chain(&self, to: usize, from: Option<usize>) -> Option<Vec<Step<'m>>> {
        self.chains(from).to(to)
    }

    /// The shortest chains to every entry, as [`chain`](Needs::chain) has them.
    pub fn chains(&self, from: Option<usize>) -> Chains<'_, 'm> {
        let starts: Vec<usize> = match from {
            Some(from) => vec![from],
            None => self.targets().collect(),
        };
        Chains { needs: self, depths: self.depths(&starts), is_from_targets: from.is_none() }
    }

    /// The entries that would go if this one went, itself included, in the order of their paths.
    pub fn retained(&self, without: usize) -> Vec<usize> {
        let (all, left) =
            rayon::join(|| self.reachable(|_| true, |_| true), || self.reachable(|entry| entry != without, |_| true));
        (0..self.entries.len()).filter(|i| *i == without || (all[*i] && !left[*i])).collect()
    }

    /// How many written-down reasons each entry is away from the starts.
    fn depths(&self, starts: &[usize]) -> Vec<usize> {
        let mut depths = vec![UNREACHED; self.entries.len()];
        for start in starts {
            depths[*start] = 0;
        }
        let mut queue = starts.to_vec();
        let mut next = 0;
        while let Some(&here) = queue.get(next) {
            next += 1;
            for edge in self.edges(here).iter().filter(|edge| edge.reason.is_some()) {
                if depths[edge.to] == UNREACHED {
                    depths[edge.to] = depths[here] + 1;
                    queue.push(edge.to);
                }
            }
        }
        depths
    }

    /// Whether each entry can be reached from the targets by way of the entries that are there and the reasons that hold.
    pub fn reachable(&self, is_there: impl Fn(usize) -> bool, holds: impl Fn(&Because) -> bool) -> Vec<bool> {
        let mut reached = vec![false; self.entries.len()];
        let mut stack = Vec::new();
        for target in self.targets() {
            let mut asked_for = self.entries[target].reasons.iter().filter(|because| because.from.is_none());
            if is_there(target) && asked_for.any(&holds) {
                reached[target] = true;
                stack.push(target);
            }
        }
        while let Some(here) = stack.pop() {
            for edge in self.edges(here) {
                let is_open = || edge.reason.is_none_or(|reason| holds(&self.entries[edge.to].reasons[reason]));
                if !reached[edge.to] && is_there(edge.to) && is_open() {
                    reached[edge.to] = true;
                    stack.push(edge.to);
                }
            }
        }
        reached
    }
}

impl<'m> Chains<'_, 'm> {
    /// The chain to one entry; `None` when no reason leads there.
    pub fn to(&self, to: usize) -> Option<Vec<Step<'m>>> {
        let mut steps = Vec::new();
        let mut here = Some(to);
        while let Some(position) = here {
            let (step, referrer) = self.last_step(position)?;
            steps.push(step);
            here = referrer;
        }
        steps.reverse();
        Some(steps)
    }

    /// The last step of the chain to an entry, and the position of the entry before it.
    pub fn last_step(&self, to: usize) -> Option<(Step<'m>, Option<usize>)> {
        let depth = Some(self.depths[to]).filter(|depth| *depth != UNREACHED)?;
        let entry = &self.needs.entries[to];
        let referrer = |because: &Because| because.from.as_ref().and_then(|from| self.needs.position(from));
        let leads_here = |because: &&Because| match &because.from {
            None => depth == 0 && self.is_from_targets,
            Some(_) => depth > 0 && referrer(because).is_some_and(|from| self.depths[from] == depth - 1),
        };
        // Reasons are sorted by path, and the first of equals is taken.
        let because = entry.reasons.iter().filter(leads_here).min_by_key(|because| because.reason.evidence);
        Some((Step { entry, because }, because.and_then(referrer)))
    }
}

/// Puts the edges of each entry next to each other, in the order they come.
fn group(n_entries: usize, pairs: &[(usize, Edge)]) -> (Vec<usize>, Vec<Edge>) {
    let mut starts = vec![0; n_entries + 1];
    for (from, _) in pairs {
        starts[from + 1] += 1;
    }
    for i in 0..n_entries {
        starts[i + 1] += starts[i];
    }
    let mut free = starts.clone();
    let mut edges = vec![Edge { to: 0, reason: None }; pairs.len()];
    for (from, edge) in pairs {
        edges[free[*from]] = *edge;
        free[*from] += 1;
    }
    (starts, edges)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::manifest::totals::Totals;
    use crate::reason::{Evidence, Kind, Reason};
    use crate::recipe::System;
    use petgraph::algo::dominators::simple_fast;
    use petgraph::graph::DiGraph;
    use proptest::prelude::*;

    /// Files of 10 bytes with the referrers of each; a file without a referrer is a target.
    pub(crate) fn manifest_of(files: &[(&str, &[&str])]) -> Manifest {
        let path = |text: &str| RootPath::new(text).unwrap();
        let mut entries: Vec<Entry> = files
            .iter()
            .map(|(name, referrers)| {
                let mut reasons: Vec<Because> = referrers
                    .iter()
                    .map(|from| Because {
                        from: Some(path(from)),
                        reason: Reason::new(Evidence::Proven, Kind::Needed, ""),
                    })
                    .collect();
                if referrers.is_empty() {
                    reasons.push(Because { from: None, reason: Reason::new(Evidence::Target, Kind::Target, "") });
                }
                reasons.sort();
                let content = match *name {
                    "/" => Content::Directory,
                    _ => Content::File { size: 10, sha256: [0; 32], unpacked_from: None },
                };
                let (mode, package, xattrs) = (0o644, None, Vec::new());
                Entry { path: path(name), content, mode, uid: 0, gid: 0, xattrs, package, packed: None, reasons }
            })
            .collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Manifest::new(System::Linux, "x86_64", entries)
    }

    fn names(manifest: &Manifest, positions: &[usize]) -> Vec<String> {
        positions.iter().map(|position| manifest.entries[*position].path.to_string()).collect()
    }

    fn check_retained(files: &[(&str, &[&str])], without: &str, expected: &[&str]) {
        let manifest = manifest_of(files);
        let needs = Needs::of(&manifest);
        let without = needs.position(&RootPath::new(without).unwrap()).unwrap();
        assert_eq!(names(&manifest, &needs.retained(without)), expected);
    }

    #[test]
    fn what_has_another_way_in_stays() {
        let diamond: &[(&str, &[&str])] = &[("/t", &[]), ("/a", &["/t"]), ("/b", &["/t"]), ("/c", &["/a", "/b"])];
        check_retained(diamond, "/a", &["/a"]);
        check_retained(diamond, "/t", &["/a", "/b", "/c", "/t"]);
    }

    #[test]
    fn a_cycle_goes_with_the_only_way_into_it() {
        let cycle: &[(&str, &[&str])] = &[("/t", &[]), ("/a", &["/t", "/b"]), ("/b", &["/a"])];
        check_retained(cycle, "/a", &["/a", "/b"]);
    }

    #[test]
    fn a_target_that_is_needed_as_well_stays_without_its_referrer() {
        let mut manifest = manifest_of(&[("/t", &[]), ("/a", &["/t"])]);
        let asked_for = Because { from: None, reason: Reason::new(Evidence::Target, Kind::Target, "") };
        manifest.entries[0].reasons.insert(0, asked_for);
        let needs = Needs::of(&manifest);
        assert_eq!(names(&manifest, &needs.retained(1)), ["/t"]);
    }

    #[test]
    fn a_directory_goes_with_the_last_entry_in_it() {
        let mut manifest = manifest_of(&[("/d", &["/d/a"]), ("/d/a", &[]), ("/d/b", &[])]);
        manifest.entries[0].content = Content::Directory;
        assert_eq!(Needs::of(&manifest).retained(1), [1]);
        manifest.entries.pop();
        assert_eq!(Needs::of(&manifest).retained(1), [0, 1]);
    }

    #[test]
    fn a_hard_link_keeps_its_file() {
        let mut manifest = manifest_of(&[("/a", &["/t"]), ("/l", &["/u"]), ("/t", &[]), ("/u", &[])]);
        manifest.entries[1].content = Content::Hardlink { to: RootPath::new("/a").unwrap() };
        assert_eq!(Needs::of(&manifest).retained(2), [2]);
    }

    #[test]
    fn chains_are_short_then_strong_then_first() {
        let files: &[(&str, &[&str])] =
            &[("/t", &[]), ("/a", &["/t"]), ("/b", &["/t"]), ("/c", &["/t"]), ("/x", &["/a", "/b", "/c"])];
        let mut manifest = manifest_of(files);
        let chain = |manifest: &Manifest| -> Vec<String> {
            let needs = Needs::of(manifest);
            let to = needs.position(&RootPath::new("/x").unwrap()).unwrap();
            needs.chain(to, None).unwrap().iter().map(|step| step.entry.path.to_string()).collect()
        };
        assert_eq!(chain(&manifest), ["/t", "/a", "/x"]);
        manifest.entries.last_mut().unwrap().reasons[0].reason.evidence = Evidence::Rule;
        assert_eq!(chain(&manifest), ["/t", "/b", "/x"]);
    }

    #[test]
    fn no_chain_leads_to_an_island() {
        let manifest = manifest_of(&[("/a", &["/b"]), ("/b", &["/a"]), ("/c", &["/gone"]), ("/t", &[])]);
        let needs = Needs::of(&manifest);
        assert_eq!(needs.chain(0, None), None);
        assert_eq!(needs.chain(2, None), None);
        assert_eq!(needs.retained(0), [0]);
        assert_eq!(needs.chain(1, Some(0)).unwrap().len(), 2);
    }

    #[test]
    fn a_file_counts_under_its_strongest_evidence_only() {
        let mut manifest = manifest_of(&[("/a", &["/t"]), ("/t", &[])]);
        manifest.entries[0].reasons.push(Because {
            from: Some(RootPath::new("/t").unwrap()),
            reason: Reason::new(Evidence::Rule, Kind::Rule, "linux/x"),
        });
        let totals = Totals::of(&manifest);
        assert_eq!((totals.files, totals.bytes), (2, 20));
        assert_eq!(totals.by_evidence[&Evidence::Proven].files, 1);
        assert_eq!(totals.by_evidence[&Evidence::Rule].files, 0);
    }

    proptest! {
        /// petgraph's dominator tree is the independent judge.
        #[test]
        fn what_goes_is_what_the_entry_dominates(
            edges in prop::collection::vec((0..12usize, 0..12usize), 0..40),
            targets in prop::collection::vec(0..12usize, 1..4),
        ) {
            let name = |i: usize| format!("/{i:02}");
            let mut manifest = manifest_of(&[]);
            let mut graph = DiGraph::<(), ()>::new();
            let nodes: Vec<_> = (0..12).map(|_| graph.add_node(())).collect();
            let top = graph.add_node(());
            for (i, node) in nodes.iter().enumerate() {
                let mut entry = manifest_of(&[(&name(i), &[])]).entries.remove(0);
                if targets.contains(&i) {
                    graph.add_edge(top, *node, ());
                } else {
                    entry.reasons.clear();
                }
                for (from, _) in edges.iter().filter(|(_, to)| *to == i) {
                    graph.add_edge(nodes[*from], *node, ());
                    let reason = Reason::new(Evidence::Proven, Kind::Needed, "");
                    entry.reasons.push(Because { from: Some(RootPath::new(name(*from)).unwrap()), reason });
                }
                manifest.entries.push(entry);
            }
            let dominators = simple_fast(&graph, top);
            let needs = Needs::of(&manifest);
            for (i, node) in nodes.iter().enumerate() {
                let dominated: Vec<usize> = (0..12)
                    .filter(|j| *j == i || dominators.dominators(nodes[*j]).is_some_and(|mut up| up.any(|n| n == *node)))
                    .collect();
                prop_assert_eq!(needs.retained(i), dominated);
            }
        }
    }
}
