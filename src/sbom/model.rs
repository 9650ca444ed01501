//! A manifest, and what its root knows, to the parts of an image: what both formats say.

use super::SbomError;
use crate::manifest::needs::{Edge, Needs};
use crate::manifest::{Content, Entry, Manifest, json};
use crate::pack::{Contents, PackError};
use crate::packages::about::{About, about};
use crate::path::RootPath;
use crate::reason::Kind;
use crate::root::Root;
use rayon::prelude::*;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// Bytes digested at a time.
const BUFFER: usize = 1 << 18;

/// The parts of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Sbom {
    /// What the image is called.
    pub name: String,
    /// Seconds since 1970.
    pub epoch: u32,
    /// Of the manifest in its text form: two bills of one manifest are of the same image.
    pub manifest_sha256: [u8; 32],
    /// Sorted by name.
    pub packages: Vec<Package>,
    /// Sorted by path.
    pub files: Vec<File>,
    /// What each part needs of the others; a part is in it only if it needs something.
    pub dependencies: BTreeMap<Node, BTreeSet<Node>>,
}

/// A package that some of the image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    pub about: About,
}

/// A regular file. Symlinks, directories and devices have no content, and are not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub path: RootPath,
    pub sha256: [u8; 32],
    /// Only where the content was there to be read.
    pub sha1: Option<[u8; 20]>,
    /// The position of its package.
    pub package: Option<usize>,
}

/// A part that needs others, or is needed; by its position. Files are such parts only when they are of no package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// The image as a whole, which needs what was asked for.
    Image,
    Package(usize),
    File(usize),
}

impl Sbom {
    /// The parts of what `manifest` describes. Without its root, packages have names only, and files no SHA-1.
    ///
    /// # Errors
    /// A file that is there and cannot be read, or that has changed since the manifest was made.
    pub fn new(
        manifest: &Manifest,
        root: Option<(&Root, &Contents<'_>)>,
        name: &str,
        epoch: u32,
    ) -> Result<Sbom, SbomError> {
        let of_package = |entry: &&Entry| entry.content != Content::Directory;
        let names = manifest.entries.iter().filter(of_package).filter_map(|entry| entry.package.as_deref()).collect();
        let about = match root {
            Some((root, _)) => about(root, &names).map_err(SbomError::Packages)?,
            None => names.iter().map(|name| (*name, About::new(name))).collect(),
        };
        let positions: BTreeMap<&str, usize> = about.keys().enumerate().map(|(index, name)| (*name, index)).collect();
        let files = files(manifest, root.map(|(_, contents)| contents), &positions)?;
        let dependencies = dependencies(manifest, &files, &positions);
        let packages = about.into_iter().map(|(name, about)| Package { name: name.to_owned(), about }).collect();
        let manifest_sha256 = digest_of(manifest);
        Ok(Sbom { name: name.to_owned(), epoch, manifest_sha256, packages, files, dependencies })
    }

    /// The files of each package, and those of none.
    pub(super) fn files_by_package(&self) -> BTreeMap<Option<usize>, Vec<&File>> {
        let mut all: BTreeMap<Option<usize>, Vec<&File>> = BTreeMap::new();
        for file in &self.files {
            all.entry(file.package).or_default().push(file);
        }
        all
    }

    /// The digest of the manifest as a UUID (RFC 9562, version 8), for documents that have to have a name of their own.
    pub(super) fn uuid(&self) -> String {
        let mut bytes: [u8; 16] = self.manifest_sha256[..16].try_into().expect("it has 32 bytes");
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let digits = crate::text::hex(&bytes);
        let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
        parts.join("-")
    }
}

fn digest_of(manifest: &Manifest) -> [u8; 32] {
    let mut text = Vec::new();
    json::write(manifest, &mut text).expect("memory takes what is written to it");
    Sha256::digest(&text).into()
}

/// The regular files with their digests, further names of one as well.
fn files(
    manifest: &Manifest,
    contents: Option<&Contents<'_>>,
    packages: &BTreeMap<&str, usize>,
) -> Result<Vec<File>, PackError> {
    let one = |entry: &Entry| {
        let content = match &entry.content {
            Content::Hardlink { to } => manifest.entry(to)?,
            _ => entry,
        };
        let (Content::File { sha256, .. } | Content::Generated { sha256, .. }) = content.content else { return None };
        let sha1 = contents.map(|contents| sha1_of(contents, content)).transpose();
        let package = entry.package.as_deref().and_then(|name| packages.get(name).copied());
        Some(sha1.map(|sha1| File { path: entry.path.clone(), sha256, sha1, package }))
    };
    manifest.entries.par_iter().filter_map(one).collect()
}

fn sha1_of(contents: &Contents<'_>, entry: &Entry) -> Result<[u8; 20], PackError> {
    let (mut reader, mut digest, mut buffer) = (contents.open(entry)?, Sha1::new(), vec![0; BUFFER]);
    let failed = |source| PackError::Read { path: entry.path.clone(), source };
    loop {
        match reader.read(&mut buffer).map_err(|error| PackError::from_io(error, failed))? {
            0 => return Ok(digest.finalize().into()),
            n => digest.update(&buffer[..n]),
        }
    }
}

/// The reasons of the manifest, between the parts that the entries belong to.
fn dependencies(
    manifest: &Manifest,
    files: &[File],
    packages: &BTreeMap<&str, usize>,
) -> BTreeMap<Node, BTreeSet<Node>> {
    let parts = Parts { manifest, needs: Needs::of(&manifest.entries), files, packages };
    let mut dependencies: BTreeMap<Node, BTreeSet<Node>> = BTreeMap::new();
    let mut add = |from: Node, to: BTreeSet<Node>| {
        let others = to.into_iter().filter(|to| *to != from).collect::<BTreeSet<Node>>();
        if !others.is_empty() {
            dependencies.entry(from).or_default().extend(others);
        }
    };
    for target in parts.needs.targets() {
        add(Node::Image, parts.reached([target].into()));
    }
    for position in 0..manifest.entries.len() {
        if let Some(node) = parts.node(position) {
            add(node, parts.reached(parts.needed(position).collect()));
        }
    }
    dependencies
}

struct Parts<'a> {
    manifest: &'a Manifest,
    needs: Needs<'a>,
    files: &'a [File],
    packages: &'a BTreeMap<&'a str, usize>,
}

impl Parts<'_> {
    /// The part that an entry belongs to; `None` for a directory, and for a link or a device of no package.
    fn node(&self, position: usize) -> Option<Node> {
        let entry = &self.manifest.entries[position];
        if entry.content == Content::Directory {
            return None;
        }
        let package = entry.package.as_deref().and_then(|name| self.packages.get(name));
        let file = || self.files.binary_search_by(|file| file.path.cmp(&entry.path)).ok();
        package.map(|package| Node::Package(*package)).or_else(|| file().map(Node::File))
    }

    /// The entries that an entry needs; that each needs its directory says nothing about parts.
    fn needed(&self, position: usize) -> impl Iterator<Item = usize> {
        let reason = |edge: Edge| {
            let because = self.manifest.entries[edge.to].reasons.get(edge.reason?)?;
            (because.reason.kind != Kind::Directory).then_some(edge.to)
        };
        self.needs.edges(position).filter_map(reason)
    }

    /// The parts of entries; of those that belong to none, such as a symlink of the administrator, what they need.
    fn reached(&self, mut left: Vec<usize>) -> BTreeSet<Node> {
        let (mut nodes, mut passed) = (BTreeSet::new(), BTreeSet::new());
        while let Some(position) = left.pop() {
            match self.node(position) {
                Some(node) => {
                    nodes.insert(node);
                }
                None if passed.insert(position) => left.extend(self.needed(position)),
                None => {}
            }
        }
        nodes
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::manifest::Because;
    use crate::pack::testing::{entry, file, manifest};
    use crate::reason::{Evidence, Reason};

    /// `/a` of package a is a target and needs `/l`, a link of nobody to `/b` of package b; `/b` needs `/c` of nobody,
    /// which needs `/b` and `/d` of package a.
    pub fn sample() -> Manifest {
        let link = entry("/l", Content::Symlink { target: b"b".to_vec() });
        let mut entries = vec![file("/a", b"a"), file("/b", b"b"), file("/c", b"c"), file("/d", b"d"), link];
        for (at, package, referrers) in [
            (0, Some("a"), &[][..]),
            (1, Some("b"), &["/l", "/c"]),
            (2, None, &["/b"]),
            (3, Some("a"), &["/c"]),
            (4, None, &["/a"]),
        ] {
            let because = |from: &&str| Because {
                from: Some(RootPath::new(from).unwrap()),
                reason: Reason::new(Evidence::Proven, Kind::Needed, ""),
            };
            entries[at].package = package.map(str::to_owned);
            if !referrers.is_empty() {
                entries[at].reasons = referrers.iter().map(because).collect();
            }
        }
        manifest(entries)
    }

    #[test]
    fn parts_depend_on_each_other_as_their_files_do() {
        let sbom = Sbom::new(&sample(), None, "sample", 0).unwrap();
        let [a, b, c] = [Node::Package(0), Node::Package(1), Node::File(2)];
        let expected = [(Node::Image, vec![a]), (a, vec![b]), (b, vec![c]), (c, vec![a, b])];
        let expected = expected.map(|(from, to)| (from, to.into_iter().collect())).into();
        assert_eq!(sbom.dependencies, expected);
        let by_package = sbom.files_by_package();
        let names = |package| by_package[&package].iter().map(|file| file.path.to_string()).collect::<Vec<_>>();
        assert_eq!((names(None), names(Some(0))), (vec!["/c".to_owned()], vec!["/a".to_owned(), "/d".to_owned()]));
        assert!(sbom.files.iter().all(|file| file.sha1.is_none()));
    }

    #[test]
    fn the_name_of_a_document_is_a_uuid_of_the_manifest() {
        let mut manifest = sample();
        let uuid = |manifest: &Manifest| Sbom::new(manifest, None, "x", 0).unwrap().uuid();
        let first = uuid(&manifest);
        let form = regex::Regex::new("^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$").unwrap();
        assert!(form.is_match(&first), "{first}");
        manifest.entries[0].mode = 0o600;
        assert_ne!(uuid(&manifest), first);
    }
}
