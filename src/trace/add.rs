//! How a path enters the graph: with every symlink and directory on its way, each with its reason.
//!
//! A reference to `/lib/x/libc.so.6` on a merged-usr system becomes: referrer → `/lib` (a link that stood for a
//! directory), referrer → the file; and for each link that stood for the file itself one more step, referrer → link →
//! file. Directories are entered by what is in them.

use super::{Item, Tracer};
use crate::manifest::{Missing, Probed};
use crate::path::RootPath;
use crate::reason::{Evidence, Kind, Priority, Reason};
use crate::resolve::Probe;
use crate::root::{FileKind, Found, Link, LookupError};
use crate::startup::GeneratedFile;

/// What a file is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The kernel starts it, if it is a program: then the `#!` line of a script counts.
    Start,
    /// It is read or mapped. Many modules of scripting languages have a `#!` line that nobody ever uses.
    Open,
}

impl Tracer<'_> {
    /// Adds what `path` leads to, to be started if it is a program, or notes that it is missing. Gives the path without
    /// symlinks.
    pub(super) fn need(
        &mut self,
        from: Option<&RootPath>,
        path: &RootPath,
        reason: Reason,
        priority: Priority,
    ) -> Option<RootPath> {
        self.need_path_for(Purpose::Start, from, path, reason, priority)
    }

    /// Adds what `path` leads to, or notes that it is missing.
    pub(super) fn need_path_for(
        &mut self,
        purpose: Purpose,
        from: Option<&RootPath>,
        path: &RootPath,
        reason: Reason,
        priority: Priority,
    ) -> Option<RootPath> {
        if self.graph.contains(path) && matches!(self.items.get(path), Some(Item::Generated(_))) {
            self.graph.connect(from, path, reason);
            return Some(path.clone());
        }
        match self.input.root.lookup(path) {
            Ok(found) => Some(self.need_for(purpose, from, found, reason)),
            Err(error) => {
                self.note_missing(from, path.to_string(), reason, priority, vec![probe(path, &error)]);
                None
            }
        }
    }

    /// Adds what a look-up found, to be started if it is a program.
    pub(super) fn need_found(&mut self, from: Option<&RootPath>, found: Found, reason: Reason) -> RootPath {
        self.need_for(Purpose::Start, from, found, reason)
    }

    /// Adds what a look-up found.
    pub(super) fn need_for(
        &mut self,
        purpose: Purpose,
        from: Option<&RootPath>,
        found: Found,
        reason: Reason,
    ) -> RootPath {
        let path = found.path.clone();
        self.connect(from, &found.links, &found.through, &path, reason);
        if found.info.kind == FileKind::File {
            let is_started = purpose == Purpose::Start && found.info.mode & 0o111 != 0;
            let is_new = self.examined.insert(path.clone());
            if is_new && !is_started {
                self.only_opened.insert(path.clone());
            }
            let was_only_opened = !is_new && is_started && self.only_opened.remove(&path);
            if is_new || was_only_opened {
                self.unexamined.push(found);
            }
        }
        path
    }

    /// Adds a file that is not looked into: firmware, kernel modules, libraries that a process brings.
    pub(super) fn need_data(&mut self, from: Option<&RootPath>, found: &Found, reason: Reason) {
        self.connect(from, &found.links, &found.through, &found.path, reason);
    }

    /// Adds a file that minroot or the recipe makes. What the root has there is not used.
    pub(super) fn generate(&mut self, from: Option<&RootPath>, mut file: GeneratedFile, reason: Reason) -> RootPath {
        let (directory, links) = self.image_directory(&file.path);
        file.path = directory.join(file.path.file_name());
        let path = file.path.clone();
        self.connect(from, &links, &[], &path, reason);
        self.items.insert(path.clone(), Item::Generated(file));
        path
    }

    /// Adds a directory or symlink that the root does not have, unless something else made it already.
    pub(super) fn make(&mut self, from: Option<&RootPath>, path: &RootPath, item: Item, reason: Reason) {
        let (directory, links) = self.image_directory(path);
        let path = directory.join(path.file_name());
        self.connect(from, &links, &[], &path, reason);
        self.items.entry(path).or_insert(item);
    }

    /// Adds a node, its links and the edges to them.
    pub(super) fn connect(
        &mut self,
        from: Option<&RootPath>,
        links: &[Link],
        through: &[RootPath],
        path: &RootPath,
        reason: Reason,
    ) {
        let mut from = from.cloned();
        let mut reason = reason;
        for directory in through {
            self.add_node(directory);
            self.graph.connect(from.as_ref(), directory, reason.clone());
        }
        for link in links {
            self.add_node(&link.path);
            self.graph.connect(from.as_ref(), &link.path, reason.clone());
            if link.last {
                // Where it leads is the same for all.
                if !self.chained.insert(link.path.clone()) {
                    return;
                }
                from = Some(link.path.clone());
                let target = crate::path::escaped(&link.target).to_string();
                reason = Reason::new(Evidence::Proven, Kind::Symlink, target);
            } else {
                self.follow_directory_link(link);
            }
        }
        self.add_node(path);
        self.graph.connect(from.as_ref(), path, reason);
    }

    /// A link to a directory keeps that directory: the link alone would dangle.
    fn follow_directory_link(&mut self, link: &Link) {
        if !self.followed.insert(link.path.clone()) {
            return;
        }
        let Ok(directory) = self.input.root.directory(&link.path) else { return };
        let reason = Reason::new(Evidence::Proven, Kind::Symlink, crate::path::escaped(&link.target).to_string());
        self.add_node(&directory.path);
        self.graph.connect(Some(&link.path), &directory.path, reason);
    }

    /// Adds a path without symlinks, with the directories it is in.
    pub(super) fn add_node(&mut self, path: &RootPath) {
        if !self.graph.add(path) {
            return;
        }
        self.new_paths.push(path.clone());
        if let Some(parent) = path.parent()
            && !parent.is_root()
        {
            self.add_node(&parent);
            self.graph.connect(Some(path), &parent, Reason::new(Evidence::Proven, Kind::Directory, ""));
        }
    }

    /// Where the directory of a file of the image is, with the links on the way; what the root does not have of it
    /// is made.
    fn image_directory(&mut self, path: &RootPath) -> (RootPath, Vec<Link>) {
        let Some(parent) = path.parent() else { return (RootPath::root(), Vec::new()) };
        if let Ok(directory) = self.input.root.directory(&parent) {
            return (directory.path.clone(), directory.links.clone());
        }
        let (above, links) = self.image_directory(&parent);
        let made = above.join(parent.file_name());
        self.items.entry(made.clone()).or_insert(Item::Directory);
        (made, links)
    }

    pub(super) fn note_missing(
        &mut self,
        from: Option<&RootPath>,
        name: String,
        reason: Reason,
        priority: Priority,
        probes: Vec<Probed>,
    ) {
        self.missing.insert(Missing { from: from.cloned(), reason, name, priority, consequence: None, probes });
    }
}

/// What a runtime linker tried, in the manifest's words.
pub(super) fn probed(probes: &[Probe]) -> Vec<Probed> {
    let probed = |probe: &Probe| Probed {
        path: probe.path.clone(),
        step: probe.step.to_string(),
        outcome: probe.outcome.to_string(),
    };
    probes.iter().map(probed).collect()
}

/// A path that was tried and why it did not serve.
pub(super) fn probe(path: &RootPath, error: &LookupError) -> Probed {
    let outcome = match error {
        LookupError::NotFound(_) => "no such file".to_owned(),
        other => other.to_string(),
    };
    Probed { path: path.to_string(), step: "path".to_owned(), outcome }
}
