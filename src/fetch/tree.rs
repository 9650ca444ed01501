//! Decides where every member of every package goes, before anything is written under its final name.
//!
//! A package may name `/lib/x` where another says that `/lib` is a symlink to `usr/lib`. dpkg leaves that to
//! the kernel and to the order of unpacking. Here a tree in memory follows such links itself, always inside the
//! root, with all symlinks put in before anything else: the result does not depend on the order, and when the tree is
//! written no path goes through a symlink at all.
//!
//! A path through a symlink is refused when the link leads out of the root: a relative link that climbs above it, or
//! an absolute one to a directory that no package ships (on a machine without minroot's re-rooting, that would be a
//! directory of the host).

use super::error::{FetchError, Refusal};
use super::member::{Member, MemberKind, Origin, Package, same};
use crate::path::RootPath;
use std::collections::HashMap;

/// How many symlinks one path may go through (`MAXSYMLINKS`, path_resolution(7)).
const MAX_LINKS: usize = 40;

const ROOT: NodeId = 0;

type NodeId = usize;

/// One place of the finished tree.
#[derive(Debug)]
pub struct Place<'p> {
    /// Free of symlinks, all of its directories come before it.
    pub path: RootPath,
    /// `None` for a directory that is only on the way to something.
    pub member: Option<&'p Member>,
    pub origin: Option<Origin>,
}

/// Gives every member its place; parents come before what is in them.
///
/// # Errors
/// [`FetchError::Refused`] for a path that leads out of the root or through something that is no directory,
/// [`FetchError::Conflict`] for two packages that want the same path for different things.
pub fn plan(packages: &[Package]) -> Result<Vec<Place<'_>>, FetchError> {
    let mut tree = Tree { packages, nodes: vec![Node::new(ROOT, Vec::new(), Shape::Directory)], ..Tree::default() };
    for origin in sorted_links(packages) {
        tree.place_symlink(origin)?;
    }
    for origin in origins(packages).filter(|o| matches!(member(packages, *o).kind, MemberKind::Directory)) {
        tree.place_directory(origin)?;
    }
    let is_leaf = |kind: &MemberKind| !matches!(kind, MemberKind::Directory | MemberKind::Symlink(_));
    for origin in origins(packages).filter(|o| is_leaf(&member(packages, *o).kind)) {
        tree.place_leaf(origin)?;
    }
    tree.check_absolute_links()?;
    Ok(tree.places())
}

/// Symlinks, those nearest to the root first, since they lead to the others.
fn sorted_links(packages: &[Package]) -> Vec<Origin> {
    let is_link = |o: &Origin| matches!(member(packages, *o).kind, MemberKind::Symlink(_));
    let mut links: Vec<_> = origins(packages).filter(is_link).collect();
    links.sort_by_cached_key(|origin| (member(packages, *origin).path.components().count(), *origin));
    links
}

fn origins(packages: &[Package]) -> impl Iterator<Item = Origin> {
    let members = |(package, p): (usize, &Package)| (0..p.members.len()).map(move |member| Origin { package, member });
    packages.iter().enumerate().flat_map(members)
}

fn member(packages: &[Package], origin: Origin) -> &Member {
    &packages[origin.package].members[origin.member]
}

#[derive(Default)]
struct Tree<'p> {
    packages: &'p [Package],
    nodes: Vec<Node>,
    children: HashMap<(NodeId, Vec<u8>), NodeId>,
    /// Absolute symlinks that members went through, and where that led.
    absolute: Vec<Detour>,
}

struct Node {
    parent: NodeId,
    name: Vec<u8>,
    shape: Shape,
    origin: Option<Origin>,
    /// Some package ships this directory, under its own path or through relative links.
    shipped: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Directory,
    Symlink,
    Leaf,
}

struct Detour {
    member: Origin,
    link: NodeId,
    directory: NodeId,
}

impl Node {
    fn new(parent: NodeId, name: Vec<u8>, shape: Shape) -> Node {
        Node { parent, name, shape, origin: None, shipped: false }
    }
}

impl<'p> Tree<'p> {
    fn place_symlink(&mut self, origin: Origin) -> Result<(), FetchError> {
        let (directory, name) = self.parent(origin)?;
        match self.children.get(&(directory, name.clone())) {
            None => {
                self.add(directory, name, Shape::Symlink, Some(origin));
                Ok(())
            }
            Some(&node) if self.nodes[node].shape == Shape::Symlink => self.contest(node, origin),
            Some(_) => Err(self.refused(origin, Refusal::Shape)),
        }
    }

    /// Directories of several packages are one; the first package's mode and owner count, as with dpkg.
    fn place_directory(&mut self, origin: Origin) -> Result<(), FetchError> {
        let detours = self.absolute.len();
        let node = self.walk(origin, member(self.packages, origin).path.components())?;
        let through_absolute_link = self.absolute.len() > detours;
        self.nodes[node].origin.get_or_insert(origin);
        self.nodes[node].shipped |= !through_absolute_link;
        Ok(())
    }

    fn place_leaf(&mut self, origin: Origin) -> Result<(), FetchError> {
        let (directory, name) = self.parent(origin)?;
        let Some(&node) = self.children.get(&(directory, name.clone())) else {
            self.add(directory, name, Shape::Leaf, Some(origin));
            return Ok(());
        };
        let shape = self.nodes[node].shape;
        match shape {
            Shape::Directory => return Err(self.refused(origin, Refusal::Shape)),
            // `/usr/lib/x -> /lib/x` beside the file `/lib/x`: one path in a merged root, where the link is void.
            Shape::Symlink if self.leads_to_itself(node)? => self.nodes[node].origin = Some(origin),
            Shape::Symlink | Shape::Leaf => self.contest(node, origin)?,
        }
        self.nodes[node].shape = match self.origin_kind(node) {
            MemberKind::Symlink(_) => Shape::Symlink,
            _ => Shape::Leaf,
        };
        Ok(())
    }

    /// Two members want one path: `Replaces` decides, equal files need no decision, anything else is an error.
    fn contest(&mut self, node: NodeId, new: Origin) -> Result<(), FetchError> {
        let old = self.nodes[node].origin.expect("symlinks and leaves have an origin");
        let [first, second] = [old, new].map(|origin| &self.packages[origin.package]);
        if old.package != new.package && second.replaces.contains(&first.name) {
            self.nodes[node].origin = Some(new);
            return Ok(());
        }
        let gives_way = old.package != new.package && first.replaces.contains(&second.name);
        if gives_way || same((first, old.member), (second, new.member))? {
            return Ok(());
        }
        Err(FetchError::Conflict {
            path: self.path(node).as_bytes().to_vec(),
            first: first.name.clone(),
            second: second.name.clone(),
        })
    }

    /// The directory a member goes into, and its name there.
    fn parent(&mut self, origin: Origin) -> Result<(NodeId, Vec<u8>), FetchError> {
        let path = &member(self.packages, origin).path;
        let directory = path.parent().unwrap_or_else(RootPath::root);
        Ok((self.walk(origin, directory.components())?, path.file_name().to_vec()))
    }

    /// Walks from the root to a directory, following symlinks and adding directories that are missing.
    fn walk<'c>(&mut self, origin: Origin, components: impl Iterator<Item = &'c [u8]>) -> Result<NodeId, FetchError> {
        let packages = self.packages;
        let mut pending: Vec<&[u8]> = components.collect();
        pending.reverse();
        let mut here = ROOT;
        let mut links = Vec::new();
        // How much is pending after the target of an absolute link, and the link.
        let mut open: Vec<(usize, NodeId)> = Vec::new();
        loop {
            while let Some((_, link)) = open.pop_if(|(rest, _)| *rest == pending.len()) {
                self.absolute.push(Detour { member: origin, link, directory: here });
            }
            let Some(name) = pending.pop() else { return Ok(here) };
            if name == b".." {
                if here == ROOT {
                    let link = *links.last().expect("only symlinks hold `..`");
                    return Err(self.leaves_root(origin, link));
                }
                here = self.nodes[here].parent;
                continue;
            }
            let Some(&node) = self.children.get(&(here, name.to_vec())) else {
                here = self.add(here, name.to_vec(), Shape::Directory, None);
                continue;
            };
            match self.nodes[node].shape {
                Shape::Directory => here = node,
                Shape::Leaf => {
                    let path = self.path(node).as_bytes().to_vec();
                    return Err(self.refused(origin, Refusal::NotADirectory(path)));
                }
                Shape::Symlink => {
                    links.push(node);
                    if links.len() > MAX_LINKS {
                        let path = self.path(node).as_bytes().to_vec();
                        return Err(self.refused(origin, Refusal::LinkLoop(path)));
                    }
                    let source = self.nodes[node].origin.expect("symlinks have an origin");
                    let target = link_target(packages, source);
                    if target.first() == Some(&b'/') {
                        here = ROOT;
                        open.push((pending.len(), node));
                    }
                    pending.extend(target.split(|&b| b == b'/').rev().filter(|c| !matches!(*c, b"" | b".")));
                }
            }
        }
    }

    /// Whether a symlink, its directories followed, names its own path.
    fn leads_to_itself(&mut self, node: NodeId) -> Result<bool, FetchError> {
        let origin = self.nodes[node].origin.expect("symlinks have an origin");
        let target = link_target(self.packages, origin);
        let Ok(absolute) = RootPath::new(target) else { return Ok(false) };
        let directory = absolute.parent().unwrap_or_else(RootPath::root);
        let detours = self.absolute.len();
        let directory = self.walk(origin, directory.components())?;
        self.absolute.truncate(detours);
        Ok(self.nodes[node].parent == directory && self.nodes[node].name == absolute.file_name())
    }

    fn check_absolute_links(&self) -> Result<(), FetchError> {
        match self.absolute.iter().find(|detour| !self.nodes[detour.directory].shipped) {
            Some(detour) => Err(self.leaves_root(detour.member, detour.link)),
            None => Ok(()),
        }
    }

    fn add(&mut self, parent: NodeId, name: Vec<u8>, shape: Shape, origin: Option<Origin>) -> NodeId {
        let id = self.nodes.len();
        self.children.insert((parent, name.clone()), id);
        self.nodes.push(Node { origin, ..Node::new(parent, name, shape) });
        id
    }

    fn origin_kind(&self, node: NodeId) -> &'p MemberKind {
        &member(self.packages, self.nodes[node].origin.expect("symlinks and leaves have an origin")).kind
    }

    fn path(&self, node: NodeId) -> RootPath {
        let mut names = Vec::new();
        let mut here = node;
        while here != ROOT {
            names.push(self.nodes[here].name.as_slice());
            here = self.nodes[here].parent;
        }
        names.iter().rev().fold(RootPath::root(), |path, name| path.join(name))
    }

    fn refused(&self, origin: Origin, refusal: Refusal) -> FetchError {
        let package = &self.packages[origin.package];
        let member = package.members[origin.member].path.as_bytes().to_vec();
        FetchError::Refused { package: package.name.clone(), member, refusal }
    }

    fn leaves_root(&self, origin: Origin, link: NodeId) -> FetchError {
        let source = self.nodes[link].origin.expect("symlinks have an origin");
        let refusal = Refusal::LeavesRoot {
            link: self.path(link).as_bytes().to_vec(),
            target: link_target(self.packages, source).to_vec(),
            owner: self.packages[source.package].name.clone(),
        };
        self.refused(origin, refusal)
    }

    /// A parent is always added before its children, so the order of adding will do.
    fn places(self) -> Vec<Place<'p>> {
        let mut paths: Vec<RootPath> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            paths.push(if paths.is_empty() { RootPath::root() } else { paths[node.parent].join(&node.name) });
        }
        let place = |(path, node): (RootPath, &Node)| Place {
            path,
            member: node.origin.map(|origin| member(self.packages, origin)),
            origin: node.origin,
        };
        paths.into_iter().zip(&self.nodes).map(place).collect()
    }
}

fn link_target(packages: &[Package], origin: Origin) -> &[u8] {
    match &member(packages, origin).kind {
        MemberKind::Symlink(target) => target,
        _ => &[],
    }
}
