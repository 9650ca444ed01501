//! What would go, and what would break, without some paths, rules or packages.
//!
//! What is dropped goes, and so does all that is then in for no reason. Something *breaks* when an entry that stays
//! has a reference to what is dropped. A rule or a package is dropped on purpose, so the reasons of a dropped rule do
//! not count; and directories are not dropped with their package, because other packages lie in them too.

use super::super::{locate::locate, nearest::nearest};
use super::files;
use crate::manifest::needs::{Edge, Needs};
use crate::manifest::totals::Tally;
use crate::manifest::{Because, Content, Entry, Manifest, Packed};
use crate::path::{RootPath, escaped};
use crate::reason::{Evidence, Kind};
use std::collections::HashSet;

/// What to do without.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drop {
    /// Absolute paths; a directory with all that is in it.
    pub paths: Vec<Vec<u8>>,
    /// Ids of rules, such as `linux/nsswitch`.
    pub rules: Vec<String>,
    /// Names of packages, as [`Entry::package`] has them.
    pub packages: Vec<String>,
}

/// What the image would be without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhatIf<'m> {
    /// In the order of their paths.
    pub gone: Vec<&'m Entry>,
    /// The files that go, with the bytes that become free.
    pub freed: Tally,
    /// What stays; of the archive, without its overhead.
    pub left: Tally,
    /// The archive that is told of, where one was measured.
    pub archive: Option<&'m Packed>,
    /// References that would lead nowhere, in the order of the entries they are of.
    pub broken: Vec<Broken<'m>>,
}

/// An entry that stays refers to one that is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken<'m> {
    /// The entry that stays.
    pub referrer: &'m Entry,
    /// The entry that it would look for in vain.
    pub dropped: &'m Entry,
    /// Of the dropped entry, from the referrer.
    pub because: &'m Because,
}

/// Something that cannot be dropped because it is not in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DropError {
    /// No entry has this path.
    #[error("`{}` is not in the manifest", escaped(path))]
    Path {
        /// As the user spelled it.
        path: Vec<u8>,
        /// The entry with the most similar name; `None` when none is similar.
        nearest: Option<RootPath>,
    },
    /// No reason has this rule's id.
    #[error("no entry of the manifest is in because of the rule `{0}`")]
    Rule(String),
    /// No entry was delivered by a package of this name.
    #[error("no entry of the manifest is of the package `{0}`")]
    Package(String),
}

impl DropError {
    /// What the user can do about it.
    pub fn hint(&self) -> String {
        match self {
            DropError::Path { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?"),
            DropError::Path { nearest: None, .. } => "`minroot tree -m MANIFEST` shows what there is".to_owned(),
            DropError::Rule(_) => "`minroot why PATH --all` tells the rules that bring a path in".to_owned(),
            DropError::Package(_) => "`minroot size --by package` lists the packages".to_owned(),
        }
    }
}

impl Broken<'_> {
    /// Whether the referrer fails without it; otherwise it may do without, or it is not proven that it ever asks.
    pub fn is_required(&self) -> bool {
        matches!(self.because.reason.evidence, Evidence::Target | Evidence::Proven | Evidence::Rule)
    }
}

/// Finds what would go and what would break.
///
/// # Errors
/// [`DropError`]: the first thing that is not in the manifest.
pub fn what_if<'m>(manifest: &'m Manifest, drop: &Drop) -> Result<WhatIf<'m>, DropError> {
    let needs = Needs::of(&manifest.entries);
    let is_dropped = dropped(manifest, drop)?;
    let holds = |because: &Because| !drop.rules.iter().any(|rule| because.reason.is_of_rule(rule));
    let is_left = |edge: Edge| edge.reason.is_none_or(|reason| holds(&manifest.entries[edge.to].reasons[reason]));
    let (before, after) =
        rayon::join(|| needs.reachable(|_| true, |_| true), || needs.reachable(|entry| !is_dropped[entry], is_left));
    let is_gone: Vec<bool> =
        (0..is_dropped.len()).map(|entry| is_dropped[entry] || (before[entry] && !after[entry])).collect();
    let entries = &manifest.entries;
    // The bytes of a file stay as long as one of its names does.
    let kept_inodes: HashSet<&RootPath> = (entries.iter().zip(&is_gone))
        .filter_map(|(entry, is_gone)| match &entry.content {
            Content::Hardlink { to } if !is_gone => Some(to),
            _ => None,
        })
        .collect();
    let (mut freed, mut left) = (Tally::default(), Tally::default());
    for (position, entry) in files(manifest) {
        let is_freed = is_gone[position] && !kept_inodes.contains(&entry.path);
        if is_freed { &mut freed } else { &mut left }.add(Tally::of(entry));
    }
    let gone = entries.iter().zip(&is_gone).filter(|(_, is_gone)| **is_gone).map(|(entry, _)| entry).collect();
    let broken = broken(manifest, &needs, &is_gone, holds);
    Ok(WhatIf { gone, freed, left, archive: manifest.packed.as_ref(), broken })
}

fn broken<'m>(
    manifest: &'m Manifest,
    needs: &Needs,
    is_gone: &[bool],
    holds: impl Fn(&Because) -> bool,
) -> Vec<Broken<'m>> {
    let mut broken = Vec::new();
    for (position, referrer) in manifest.entries.iter().enumerate().filter(|(position, _)| !is_gone[*position]) {
        for edge in needs.edges(position).filter(|edge| is_gone[edge.to]) {
            let dropped = &manifest.entries[edge.to];
            let Some(because) = edge.reason.map(|reason| &dropped.reasons[reason]) else { continue };
            // A directory that goes takes with it what is in it.
            if because.reason.kind != Kind::Directory && holds(because) {
                broken.push(Broken { referrer, dropped, because });
            }
        }
    }
    broken
}

/// Which entries the user wants dropped.
fn dropped(manifest: &Manifest, drop: &Drop) -> Result<Vec<bool>, DropError> {
    let mut is_dropped = vec![false; manifest.entries.len()];
    for asked in &drop.paths {
        let Ok(located) = locate(manifest, asked);
        let path = located.path.filter(|path| manifest.entry(path).is_some());
        let path = path.ok_or_else(|| DropError::Path {
            path: asked.clone(),
            nearest: nearest(&manifest.entries, asked).first().map(|found| manifest.entries[*found].path.clone()),
        })?;
        for (entry, is_dropped) in manifest.entries.iter().zip(&mut is_dropped) {
            *is_dropped |= entry.path.starts_with(&path);
        }
    }
    for rule in &drop.rules {
        let mut reasons = manifest.entries.iter().flat_map(|entry| &entry.reasons);
        if !reasons.any(|because| because.reason.is_of_rule(rule)) {
            return Err(DropError::Rule(rule.clone()));
        }
    }
    for package in &drop.packages {
        let mut is_known = false;
        for (entry, is_dropped) in manifest.entries.iter().zip(&mut is_dropped) {
            if entry.package.as_ref() == Some(package) {
                is_known = true;
                *is_dropped |= entry.content != Content::Directory;
            }
        }
        if !is_known {
            return Err(DropError::Package(package.clone()));
        }
    }
    Ok(is_dropped)
}
