//! The reasons of a manifest read forwards: from each entry to the entries that are in because of it.
//!
//! A manifest says of each entry who needs it; questions about what would happen without an entry go the other way.
//! Two kinds of need are not always written down as reasons and are added here: an entry needs the directory it is
//! in, and a hard link needs the file that it is a name of. Without them a directory would seem to go with the one
//! entry that first brought it in.
//!
//! What goes away with an entry is what that entry dominates. For one entry two walks find it, with and without the
//! entry, which is several times faster than the dominators of every entry.

use super::{Because, Content, Entry};
use crate::path::{RootPath, parent_bytes};
use foldhash::fast::RandomState;
use rayon::prelude::*;
use std::collections::HashMap;
use std::num::NonZeroU32;

/// What who needs whom is read from: an entry, or as much of it.
pub trait Needed: Sync {
    /// Where it is in the image.
    fn path(&self) -> &[u8];

    /// The file that it is a further name of, when it is a hard link.
    fn file(&self) -> Option<&[u8]>;

    /// Who needs it, one for each of its reasons in their order; `None` is the user.
    fn referrers(&self) -> impl ExactSizeIterator<Item = Option<&[u8]>>;
}

impl Needed for Entry {
    fn path(&self) -> &[u8] {
        self.path.as_bytes()
    }

    fn file(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Hardlink { to } => Some(to.as_bytes()),
            _ => None,
        }
    }

    fn referrers(&self) -> impl ExactSizeIterator<Item = Option<&[u8]>> {
        self.reasons.iter().map(|because| because.from.as_ref().map(RootPath::as_bytes))
    }
}

/// Who needs whom; entries are known by their position in the manifest.
pub struct Needs<'m> {
    n_entries: usize,
    positions: HashMap<&'m [u8], usize, RandomState>,
    /// `edges[starts[i]..starts[i + 1]]` are those of entry `i`.
    starts: Vec<u32>,
    edges: Vec<ShortEdge>,
    /// What the user asked for, in the order of the entries.
    asked_for: Vec<Edge>,
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
pub struct Chains<'n> {
    needs: &'n Needs<'n>,
    /// How many written-down reasons each entry is away from the start.
    depths: Vec<u32>,
    is_from_targets: bool,
}

const UNREACHED: u32 = u32::MAX;

impl<'m> Needs<'m> {
    /// Reads the reasons of all entries once; the answers borrow from the paths.
    pub fn of(entries: &'m [impl Needed]) -> Needs<'m> {
        let positions: HashMap<&[u8], usize, RandomState> =
            entries.iter().enumerate().map(|(position, entry)| (entry.path(), position)).collect();
        let position = |path: &[u8]| positions.get(path).copied();
        let pairs = |(first, entries): (usize, &'m [_])| pairs_of(first * CHUNK, entries, position);
        let chunks: Vec<Vec<Pair>> = entries.par_chunks(CHUNK).enumerate().map(pairs).collect();
        let (starts, edges) = group(entries.len(), &chunks);
        let of_the_user = |(to, entry)| by_the_user(entry).map(move |reason| Edge { to, reason: Some(reason) });
        let asked_for = entries.iter().enumerate().flat_map(of_the_user).collect();
        Needs { n_entries: entries.len(), positions, starts, edges, asked_for }
    }

    /// The number by which [`Edge`] knows the entry; `None` when the path is not in.
    pub fn position(&self, path: &RootPath) -> Option<usize> {
        self.positions.get(path.as_bytes()).copied()
    }

    /// What the entry needs; written-down needs in the order of their paths.
    pub fn edges(&self, position: usize) -> impl ExactSizeIterator<Item = Edge> + '_ {
        let (start, end) = (self.starts[position] as usize, self.starts[position + 1] as usize);
        self.edges[start..end].iter().map(|edge| edge.long())
    }

    /// The entries that the user asked for, in the order of their paths.
    pub fn targets(&self) -> impl Iterator<Item = usize> + '_ {
        self.asked_for.chunk_by(|a, b| a.to == b.to).map(|reasons| reasons[0].to)
    }

    /// The shortest chains of reasons from the targets, or from `from`, to every entry. Of chains of one length the one
    /// with the stronger evidence is taken, looking from the entry backwards, then the one of the first path.
    pub fn chains(&self, from: Option<usize>) -> Chains<'_> {
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
        (0..self.n_entries).filter(|i| *i == without || (all[*i] && !left[*i])).collect()
    }

    /// How many written-down reasons each entry is away from the starts.
    fn depths(&self, starts: &[usize]) -> Vec<u32> {
        let mut depths = vec![UNREACHED; self.n_entries];
        for start in starts {
            depths[*start] = 0;
        }
        let mut queue = Vec::with_capacity(self.n_entries);
        queue.extend_from_slice(starts);
        let mut next = 0;
        while let Some(&here) = queue.get(next) {
            next += 1;
            for edge in self.edges(here).filter(|edge| edge.reason.is_some()) {
                if depths[edge.to] == UNREACHED {
                    depths[edge.to] = depths[here] + 1;
                    queue.push(edge.to);
                }
            }
        }
        depths
    }

    /// Whether each entry can be reached from the targets by way of the entries that are there and the reasons that
    /// hold; needs that are not written down always do.
    pub fn reachable(&self, is_there: impl Fn(usize) -> bool, holds: impl Fn(Edge) -> bool) -> Vec<bool> {
        let mut reached = vec![false; self.n_entries];
        let is_open = |edge: &Edge| is_there(edge.to) && (edge.reason.is_none() || holds(*edge));
        let mut stack: Vec<usize> = Vec::new();
        for edge in self.asked_for.iter().filter(|edge| is_open(edge)) {
            if !std::mem::replace(&mut reached[edge.to], true) {
                stack.push(edge.to);
            }
        }
        while let Some(here) = stack.pop() {
            for edge in self.edges(here) {
                if !reached[edge.to] && is_open(&edge) {
                    reached[edge.to] = true;
                    stack.push(edge.to);
                }
            }
        }
        reached
    }
}

/// How many entries are read at a time.
const CHUNK: usize = 1 << 10;

/// The edges that lead to some entries, of which the first is at `first`.
fn pairs_of(first: usize, entries: &[impl Needed], position: impl Fn(&[u8]) -> Option<usize>) -> Vec<Pair> {
    let most = entries.iter().map(|entry| entry.referrers().len() + 2).sum();
    let mut pairs = Vec::with_capacity(most);
    for (to, entry) in (first..).zip(entries) {
        for (reason, from) in entry.referrers().enumerate() {
            // A referrer that is no entry itself cannot be followed; it still shows as a reason.
            if let Some(from) = from.and_then(&position) {
                pairs.push(Pair { from: from as u32, edge: ShortEdge::new(to, Some(reason)) });
            }
        }
        let parent = position(parent_bytes(entry.path())).filter(|parent| *parent != to);
        for needed in parent.into_iter().chain(entry.file().and_then(&position)) {
            pairs.push(Pair { from: to as u32, edge: ShortEdge::new(needed, None) });
        }
    }
    pairs
}

/// Which reasons of an entry are that the user asked for it.
fn by_the_user(entry: &impl Needed) -> impl Iterator<Item = usize> {
    entry.referrers().enumerate().filter(|(_, from)| from.is_none()).map(|(reason, _)| reason)
}

impl Chains<'_> {
    /// The chain to one entry; `None` when no reason leads there. `entry` has the entry at a position.
    ///
    /// # Errors
    /// Those of `entry`.
    pub fn to<'m, E>(
        &self,
        to: usize,
        entry: impl Fn(usize) -> Result<&'m Entry, E>,
    ) -> Result<Option<Vec<Step<'m>>>, E> {
        let mut steps = Vec::new();
        let mut here = Some(to);
        while let Some(position) = here {
            let Some((step, referrer)) = self.last_step(position, entry(position)?) else { return Ok(None) };
            steps.push(step);
            here = referrer;
        }
        steps.reverse();
        Ok(Some(steps))
    }

    /// The last step of the chain to an entry, which is the one at `to`, and the position of the entry before it.
    pub fn last_step<'m>(&self, to: usize, entry: &'m Entry) -> Option<(Step<'m>, Option<usize>)> {
        let depth = Some(self.depths[to]).filter(|depth| *depth != UNREACHED)?;
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

/// An [`Edge`] in a third of the memory: there are several times as many as entries.
///
/// A manifest of four thousand million entries or reasons would not fit into any memory.
#[derive(Clone, Copy)]
struct ShortEdge {
    to: u32,
    /// Counted from 1.
    reason: Option<NonZeroU32>,
}

impl ShortEdge {
    fn new(to: usize, reason: Option<usize>) -> ShortEdge {
        ShortEdge { to: to as u32, reason: reason.and_then(|reason| NonZeroU32::new(reason as u32 + 1)) }
    }

    fn long(self) -> Edge {
        Edge { to: self.to as usize, reason: self.reason.map(|reason| reason.get() as usize - 1) }
    }
}

/// An entry, and an edge that begins at it.
struct Pair {
    from: u32,
    edge: ShortEdge,
}

/// Puts the edges of each entry next to each other, in the order they come.
fn group(n_entries: usize, chunks: &[Vec<Pair>]) -> (Vec<u32>, Vec<ShortEdge>) {
    // Two places further on: when the edges of an entry are in, its end is the start of the next one.
    let mut starts = vec![0; n_entries + 2];
    for pair in chunks.iter().flatten() {
        starts[pair.from as usize + 2] += 1;
    }
    for i in 2..starts.len() {
        starts[i] += starts[i - 1];
    }
    let mut edges = vec![ShortEdge::new(0, None); chunks.iter().map(Vec::len).sum()];
    for pair in chunks.iter().flatten() {
        let free = &mut starts[pair.from as usize + 1];
        edges[*free as usize] = pair.edge;
        *free += 1;
    }
    (starts, edges)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::manifest::Manifest;
    use crate::manifest::source::Source;
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

    fn chain<'m>(manifest: &'m Manifest, needs: &Needs, to: usize, from: Option<usize>) -> Option<Vec<Step<'m>>> {
        let Ok(chain) = needs.chains(from).to(to, |position| manifest.entry_at(position));
        chain
    }

    fn check_retained(files: &[(&str, &[&str])], without: &str, expected: &[&str]) {
        let manifest = manifest_of(files);
        let needs = Needs::of(&manifest.entries);
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
        let needs = Needs::of(&manifest.entries);
        assert_eq!(names(&manifest, &needs.retained(1)), ["/t"]);
    }

    #[test]
    fn a_directory_goes_with_the_last_entry_in_it() {
        let mut manifest = manifest_of(&[("/d", &["/d/a"]), ("/d/a", &[]), ("/d/b", &[])]);
        manifest.entries[0].content = Content::Directory;
        assert_eq!(Needs::of(&manifest.entries).retained(1), [1]);
        manifest.entries.pop();
        assert_eq!(Needs::of(&manifest.entries).retained(1), [0, 1]);
    }

    #[test]
    fn a_hard_link_keeps_its_file() {
        let mut manifest = manifest_of(&[("/a", &["/t"]), ("/l", &["/u"]), ("/t", &[]), ("/u", &[])]);
        manifest.entries[1].content = Content::Hardlink { to: RootPath::new("/a").unwrap() };
        assert_eq!(Needs::of(&manifest.entries).retained(2), [2]);
    }

    #[test]
    fn chains_are_short_then_strong_then_first() {
        let files: &[(&str, &[&str])] =
            &[("/t", &[]), ("/a", &["/t"]), ("/b", &["/t"]), ("/c", &["/t"]), ("/x", &["/a", "/b", "/c"])];
        let mut manifest = manifest_of(files);
        let names = |manifest: &Manifest| -> Vec<String> {
            let needs = Needs::of(&manifest.entries);
            let to = needs.position(&RootPath::new("/x").unwrap()).unwrap();
            chain(manifest, &needs, to, None).unwrap().iter().map(|step| step.entry.path.to_string()).collect()
        };
        assert_eq!(names(&manifest), ["/t", "/a", "/x"]);
        manifest.entries.last_mut().unwrap().reasons[0].reason.evidence = Evidence::Rule;
        assert_eq!(names(&manifest), ["/t", "/b", "/x"]);
    }

    #[test]
    fn no_chain_leads_to_an_island() {
        let manifest = manifest_of(&[("/a", &["/b"]), ("/b", &["/a"]), ("/c", &["/gone"]), ("/t", &[])]);
        let needs = Needs::of(&manifest.entries);
        assert_eq!(chain(&manifest, &needs, 0, None), None);
        assert_eq!(chain(&manifest, &needs, 2, None), None);
        assert_eq!(needs.retained(0), [0]);
        assert_eq!(chain(&manifest, &needs, 1, Some(0)).unwrap().len(), 2);
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
            let needs = Needs::of(&manifest.entries);
            for (i, node) in nodes.iter().enumerate() {
                let dominated: Vec<usize> = (0..12)
                    .filter(|j| *j == i || dominators.dominators(nodes[*j]).is_some_and(|mut up| up.any(|n| n == *node)))
                    .collect();
                prop_assert_eq!(needs.retained(i), dominated);
            }
        }
    }
}
