//! The root of Debian packages while files are added to it: what is where, and what a path leads to.

use crate::fetch::error::FetchError;
use crate::fetch::illumos::relative;
use crate::fetch::member::{Content, Member, MemberKind, Origin, Package, inside};
use crate::fetch::tree;
use crate::path::RootPath;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

/// How many symlinks one path may go through (`MAXSYMLINKS`, path_resolution(7)).
const MAX_LINKS: usize = 40;
/// Bytes of a file that is read to be copied or extended.
const TEXT_LIMIT: u64 = 4 << 20;
/// Directories that are filled when a system runs, so that packages do not say what is in them.
const VOLATILE: [&str; 5] = ["/dev", "/proc", "/run", "/sys", "/tmp"];

/// Packages, and the places that their members will have.
pub struct Filling<'p> {
    pub packages: &'p mut Vec<Package>,
    places: BTreeMap<RootPath, Kind>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Directory,
    Link(Vec<u8>),
    File(Origin),
    Other,
}

impl<'p> Filling<'p> {
    /// `links` are those that minroot adds itself.
    ///
    /// # Errors
    /// As [`tree::plan`].
    pub fn new(packages: &'p mut Vec<Package>, links: Vec<Member>) -> Result<Filling<'p>, FetchError> {
        packages.push(Package { name: "minroot".to_owned(), replaces: Vec::new(), members: links, delivery: None });
        let places = tree::plan(packages)?.into_iter().map(|place| {
            let kind = match (place.member.map(|member| &member.kind), place.origin) {
                (None | Some(MemberKind::Directory), _) => Kind::Directory,
                (Some(MemberKind::Symlink(target)), _) => Kind::Link(target.clone()),
                (Some(MemberKind::File(_)), Some(origin)) => Kind::File(origin),
                (Some(MemberKind::HardLink(member)), Some(origin)) => Kind::File(Origin { member: *member, ..origin }),
                _ => Kind::Other,
            };
            (place.path, kind)
        });
        let places = places.collect();
        packages.pop();
        Ok(Filling { packages, places })
    }

    /// Where a path leads, its directories' links and its own followed. `None` when nothing is there.
    pub fn resolve(&self, path: &RootPath) -> Option<RootPath> {
        let mut pending: Vec<Vec<u8>> = path.components().map(<[u8]>::to_vec).collect();
        pending.reverse();
        let (mut here, mut links) = (RootPath::root(), 0);
        while let Some(name) = pending.pop() {
            let next = here.join(&name);
            match self.places.get(&next)? {
                Kind::Link(target) => {
                    links += 1;
                    let target = relative(&here, target).filter(|_| links <= MAX_LINKS)?;
                    let mut names: Vec<_> = target.components().map(<[u8]>::to_vec).collect();
                    names.reverse();
                    pending.extend(names);
                    here = RootPath::root();
                }
                _ => here = next,
            }
        }
        Some(here)
    }

    /// The place of a path, its directories' links followed. `None` when one of them is no directory.
    fn place(&self, path: &RootPath) -> Option<RootPath> {
        let mut missing = vec![path.file_name().to_vec()];
        let mut directory = path.parent()?;
        loop {
            match self.resolve(&directory) {
                Some(found) if self.places.get(&found)? == &Kind::Directory => {
                    return Some(missing.iter().rev().fold(found, |path, name| path.join(name)));
                }
                Some(_) => return None,
                // A link to nothing is no place for a directory.
                None if self.places.contains_key(&directory) => return None,
                None => {
                    missing.push(directory.file_name().to_vec());
                    directory = directory.parent()?;
                }
            }
        }
    }

    /// The answer to test(1)'s `-LETTER PATH`; `None` when packages do not say.
    pub fn test(&self, letter: char, path: &str) -> Option<bool> {
        let path = RootPath::new(path).ok()?;
        let is_volatile = |directory: &&str| path.starts_with(&RootPath::new(directory).expect("a constant"));
        if VOLATILE.iter().any(is_volatile) {
            return None;
        }
        let kind = self.resolve(&path).and_then(|place| self.places.get(&place));
        Some(match letter {
            'e' => kind.is_some(),
            'd' => kind == Some(&Kind::Directory),
            'f' | 'r' | 's' | 'x' => kind.is_some_and(|kind| *kind != Kind::Directory),
            'h' | 'L' => self.link(&path).is_some(),
            _ => return None,
        })
    }

    /// Where the symlink at a path leads, as it is written.
    pub fn link(&self, path: &RootPath) -> Option<&[u8]> {
        match self.places.get(&self.place(path)?)? {
            Kind::Link(target) => Some(target),
            _ => None,
        }
    }

    pub fn exists(&self, path: &RootPath) -> bool {
        self.resolve(path).is_some()
    }

    /// The regular file at a path, links followed, and what is in it. `None` for anything else, and for a file too long
    /// to be a text.
    ///
    /// # Errors
    /// [`FetchError::Read`] of a staged file.
    pub fn read(&self, path: &RootPath) -> Result<Option<(Origin, Vec<u8>)>, FetchError> {
        let Some(Kind::File(origin)) = self.resolve(path).and_then(|place| self.places.get(&place)) else {
            return Ok(None);
        };
        let bytes = match self.packages[origin.package].content(origin.member) {
            Some(Content::Bytes(bytes)) => bytes.clone(),
            Some(Content::Staged(staged)) => {
                let mut bytes = Vec::new();
                File::open(staged)
                    .and_then(|file| file.take(TEXT_LIMIT + 1).read_to_end(&mut bytes))
                    .map_err(|source| FetchError::Read { path: staged.clone(), source })?;
                bytes
            }
            None => return Ok(None),
        };
        Ok(Some((*origin, bytes)).filter(|(_, bytes)| bytes.len() as u64 <= TEXT_LIMIT))
    }

    /// Every path below a directory, in byte order.
    pub fn below(&self, directory: &RootPath) -> Vec<RootPath> {
        // `/a-b` is between `/a` and `/a/b`.
        let begins_alike = |path: &&RootPath| path.as_bytes().starts_with(directory.as_bytes());
        let after = self.places.range(directory..).map(|(path, _)| path).take_while(begins_alike);
        after.filter(|path| path.starts_with(directory) && *path != directory).cloned().collect()
    }

    /// Adds a member to a package, unless there is something in its place or no place for it; whether it was added.
    pub fn make(&mut self, package: usize, member: Member) -> bool {
        let is_free = |place: &RootPath| !self.places.contains_key(place) && inside(place.as_bytes()).is_ok();
        let Some(place) = self.place(&member.path).filter(is_free) else { return false };
        let members = &mut self.packages[package].members;
        let kind = match &member.kind {
            MemberKind::Symlink(target) => Kind::Link(target.clone()),
            MemberKind::File(_) => Kind::File(Origin { package, member: members.len() }),
            _ => Kind::Other,
        };
        // Without links on the way: one of them might be none that packages are unpacked through.
        members.push(Member { path: place.clone(), ..member });
        let mut directory = place.parent();
        while let Some(path) = directory.filter(|path| !self.places.contains_key(path)) {
            directory = path.parent();
            self.places.insert(path, Kind::Directory);
        }
        self.places.insert(place, kind);
        true
    }
}
