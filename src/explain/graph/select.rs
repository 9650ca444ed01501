//! Parts of a graph: what surrounds some nodes, how far, and by which evidence.
//!
//! A walk goes *up* to what refers to a node and *down* to what the node needs, never first up and then down: the other
//! programs that need a library do not surround one of them.

use super::super::{locate::locate, nearest::nearest};
use super::{Edge, Graph, Node};
use crate::manifest::{Content, Entry, Manifest};
use crate::path::{RootPath, escaped};
use crate::reason::{Evidence, Kind};
use crate::rules::path_glob;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Which part of the graph.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// What it is about, and what surrounds that: paths, file names, names of missing things, or globs over them.
    /// Everything when empty.
    pub nodes: Vec<Vec<u8>>,
    /// Which way `depth` is counted, and edges are followed.
    pub direction: Direction,
    /// How many edges away from `nodes`, or from the targets when there are none.
    pub depth: Option<usize>,
    /// Only edges of these classes, and what they join; all classes when empty.
    pub evidence: Vec<Evidence>,
    /// Without the edges that only say where an entry is: in which directory, and by way of which link to a directory;
    /// and without the directories that have no others. In a drawing they hide the rest: everything needs `/lib`.
    pub without_directories: bool,
}

/// Which way from the nodes that a filter names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// To what needs them, and to what they need.
    #[default]
    Both,
    /// To what needs them.
    Up,
    /// To what they need.
    Down,
}

/// Why there is no such part.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// A node that the filter names does not exist.
    #[error("nothing in the manifest is called `{}`", escaped(name))]
    NoSuchNode {
        /// As the user spelled it.
        name: Vec<u8>,
        /// The entry with the most similar name; `None` when none is similar.
        nearest: Option<RootPath>,
    },
    /// A name of the filter has `*` or another sign of a glob, and is none.
    #[error("`{pattern}` is not a pattern")]
    Pattern {
        /// As the user spelled it.
        pattern: String,
        /// What is wrong with it.
        source: globset::Error,
    },
}

impl SelectError {
    /// What the user can do about it.
    pub fn hint(&self) -> String {
        match self {
            SelectError::NoSuchNode { nearest: Some(path), .. } => format!("did you mean `{path}`?"),
            SelectError::NoSuchNode { .. } => "`minroot tree -m MANIFEST` shows what there is".to_owned(),
            SelectError::Pattern { .. } => "a backslash before `*`, `?`, `[` or `{` takes it as it is".to_owned(),
        }
    }
}

impl<'m> Graph<'m> {
    /// The part that a filter tells. `manifest` is the one of the graph; its symlinks lead from a spelling to an entry.
    ///
    /// # Errors
    /// [`SelectError`]: the first name that nothing has.
    pub fn select(mut self, manifest: &Manifest, filter: &Filter) -> Result<Graph<'m>, SelectError> {
        let named = self.named(manifest, &filter.nodes)?;
        let mut is_named = vec![false; self.nodes.len()];
        named.iter().for_each(|node| is_named[*node] = true);
        let is_place = self.places(manifest, filter, &is_named);
        let is_containment = |edge: &Edge| filter.without_directories && edge.reason.kind == Kind::Directory;
        self.edges.retain(|edge| {
            let is_on_the_way = is_place[edge.from] || is_place[edge.to] || is_containment(edge);
            filter.takes(edge.reason.evidence) && (!is_on_the_way || is_named[edge.to])
        });
        let is_near = match (filter.nodes.is_empty(), filter.depth) {
            (true, None) => vec![true; self.nodes.len()],
            (true, Some(_)) => {
                let targets = (0..self.nodes.len()).filter(|node| !self.nodes[*node].asked_for.is_empty());
                self.reached(&targets.collect::<Vec<_>>(), Direction::Down, filter.depth)
            }
            (false, depth) => self.reached(&named, filter.direction, depth),
        };
        self.edges.retain(|edge| is_near[edge.from] && is_near[edge.to]);
        let is_kept: Vec<bool> =
            self.kept(filter, &is_near, &is_place).iter().zip(is_named).map(|(kept, named)| *kept || named).collect();
        Ok(self.only(&is_kept))
    }

    /// The links that lead to directories, if those are left out: all that nobody named.
    fn places(&self, manifest: &Manifest, filter: &Filter, is_named: &[bool]) -> Vec<bool> {
        let is_place = |entry: &Entry| {
            let inside = || {
                let Ok(located) = locate(manifest, entry.path.join(b"inside").as_bytes());
                located.path?.parent()
            };
            matches!(entry.content, Content::Symlink { .. })
                && inside().and_then(|path| manifest.entry(&path)).is_some_and(is_directory)
        };
        let is_left_out = |(node, is_named): (&Node, &bool)| {
            filter.without_directories && !is_named && node.entry().is_some_and(is_place)
        };
        self.nodes.iter().zip(is_named).map(is_left_out).collect()
    }

    /// The nodes that any of the names or patterns stands for.
    fn named(&self, manifest: &Manifest, names: &[Vec<u8>]) -> Result<Vec<usize>, SelectError> {
        let mut found = Vec::new();
        for name in names {
            let n_before = found.len();
            found.extend(self.exactly(manifest, name));
            // After the exact names: `[` is a program.
            if found.len() == n_before {
                found.extend(self.matching(name)?);
            }
            if found.len() == n_before {
                let nearest =
                    nearest(&manifest.entries, name).first().map(|found| manifest.entries[*found].path.clone());
                return Err(SelectError::NoSuchNode { name: name.clone(), nearest });
            }
        }
        Ok(found)
    }

    /// By a path, in any spelling that leads there in the image, or by a file name.
    fn exactly(&self, manifest: &Manifest, name: &[u8]) -> Vec<usize> {
        let locate = || {
            let Ok(located) = locate(manifest, name);
            located.path
        };
        let located = name.starts_with(b"/").then(locate).flatten();
        let is_it = |node: &usize| {
            let node = &self.nodes[*node];
            let path = node.entry().map(|entry| &entry.path);
            node.name() == name || path.is_some_and(|path| path.file_name() == name || Some(path) == located.as_ref())
        };
        (0..self.nodes.len()).filter(is_it).collect()
    }

    /// By a pattern over whole paths, or over file names if it has no slash.
    fn matching(&self, pattern: &[u8]) -> Result<Vec<usize>, SelectError> {
        let Ok(pattern) = std::str::from_utf8(pattern) else { return Ok(Vec::new()) };
        let glob = path_glob(pattern);
        let glob = glob.map_err(|source| SelectError::Pattern { pattern: pattern.to_owned(), source })?;
        let glob = glob.compile_matcher();
        let is_match = |node: &usize| {
            let name = self.nodes[*node].name();
            let last = name.rsplit(|&b| b == b'/').next().unwrap_or_default();
            glob.is_match(OsStr::from_bytes(if pattern.contains('/') { name } else { last }))
        };
        Ok((0..self.nodes.len()).filter(is_match).collect())
    }

    /// What lies within `depth` edges of the starts.
    fn reached(&self, starts: &[usize], direction: Direction, depth: Option<usize>) -> Vec<bool> {
        let mut reached = vec![false; self.nodes.len()];
        if direction != Direction::Up {
            self.walk(starts, depth, |edge| (edge.from, edge.to), &mut reached);
        }
        if direction != Direction::Down {
            self.walk(starts, depth, |edge| (edge.to, edge.from), &mut reached);
        }
        reached
    }

    /// Breadth first along the edges, each of them from the first end that `ends` gives to the second.
    fn walk(
        &self,
        starts: &[usize],
        depth: Option<usize>,
        ends: impl Fn(&Edge) -> (usize, usize),
        reached: &mut [bool],
    ) {
        let mut next = vec![Vec::new(); self.nodes.len()];
        for (near, far) in self.edges.iter().map(ends) {
            next[near].push(far);
        }
        let mut seen = vec![false; self.nodes.len()];
        let mut here = starts.to_vec();
        let mut n_steps = 0;
        loop {
            here.retain(|node| !std::mem::replace(&mut seen[*node], true));
            here.iter().for_each(|node| reached[*node] = true);
            if here.is_empty() || depth == Some(n_steps) {
                return;
            }
            n_steps += 1;
            here = here.iter().flat_map(|node| &next[*node]).copied().collect();
        }
    }

    /// Of the nodes that are near, those that an edge joins, and others as far as the filter leaves them any meaning.
    fn kept(&self, filter: &Filter, is_near: &[bool], is_place: &[bool]) -> Vec<bool> {
        let mut is_kept: Vec<bool> = (self.nodes.iter().zip(is_place))
            .map(|(node, is_place)| {
                let is_asked_for = node.asked_for.iter().any(|reason| filter.takes(reason.evidence));
                let is_place = *is_place || (filter.without_directories && node.entry().is_some_and(is_directory));
                is_asked_for || (filter.evidence.is_empty() && !is_place)
            })
            .zip(is_near)
            .map(|(has_meaning, is_near)| has_meaning && *is_near)
            .collect();
        for edge in &self.edges {
            is_kept[edge.from] = true;
            is_kept[edge.to] = true;
        }
        is_kept
    }

    /// The graph of some nodes, which have all ends of the edges.
    fn only(mut self, is_kept: &[bool]) -> Graph<'m> {
        let mut positions = Vec::with_capacity(is_kept.len());
        let mut n_kept = 0;
        for is_kept in is_kept {
            positions.push(n_kept);
            n_kept += usize::from(*is_kept);
        }
        for edge in &mut self.edges {
            (edge.from, edge.to) = (positions[edge.from], positions[edge.to]);
        }
        let mut kept = is_kept.iter();
        self.nodes.retain(|_| kept.next() == Some(&true));
        self
    }
}

impl Filter {
    fn takes(&self, evidence: Evidence) -> bool {
        self.evidence.is_empty() || self.evidence.contains(&evidence)
    }
}

fn is_directory(entry: &Entry) -> bool {
    entry.content == Content::Directory
}
