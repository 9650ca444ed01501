//! Reads of format 1 no more than a question about a few entries asks.
//!
//! Most of the time that a large manifest takes goes into entries and reasons that no answer shows. Where each entry has
//! a line of its own, as [`write`](super::write) leaves it, the lines are searched for paths and referrers, which stay
//! where they are in the text, and an entry is read when it is asked for.

use super::FORMAT;
use super::entry::entry_on;
use super::fields::{Text, spelled};
use super::read::lines;
use crate::manifest::needs::Needed;
use crate::manifest::source::Source;
use crate::manifest::{Entry, Manifest};
use rayon::prelude::*;
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::OnceLock;

/// A manifest of which entries are read when they are asked for.
pub struct Outline<'t> {
    /// With no entries.
    lists: Manifest,
    sketches: Vec<Sketch<'t>>,
}

/// Enough of an entry to say who needs whom.
pub struct Sketch<'t> {
    line: &'t str,
    path: Cow<'t, [u8]>,
    to: Option<Cow<'t, [u8]>>,
    referrers: Vec<Option<Cow<'t, [u8]>>>,
    /// Once it was asked for.
    entry: OnceLock<Box<Entry>>,
}

/// The line of an entry holds none; [`read`](super::read) says what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged;

impl<'t> Outline<'t> {
    /// `None` when [`read`](super::read) has to see the document: it is wrong, or it does not look as
    /// [`write`](super::write) leaves it. Whether entries hold together and sums are right is not asked here.
    pub fn of(json: &'t [u8]) -> Option<Outline<'t>> {
        let (document, lines) = lines(json)?;
        let sketches = lines.read(Sketch::of)?;
        let is_sorted = sketches.par_windows(2).all(|pair| pair[0].path < pair[1].path);
        (document.format == FORMAT && is_sorted).then(|| Outline { lists: document.into_manifest(), sketches })
    }
}

impl<'t> Sketch<'t> {
    fn of(line: &'t str) -> Option<Sketch<'t>> {
        let text: SketchText = serde_json::from_str(line).ok()?;
        // Not in the place of the texts, which take twice the memory.
        let mut referrers = Vec::with_capacity(text.reasons.len());
        for text in text.reasons {
            referrers.push(match (text.from, text.from_hex) {
                (None, None) => None,
                (from, hex) => Some(bytes(from?, hex)?),
            });
        }
        let to = match text.to {
            Some(to) => Some(bytes(to, text.to_hex)?),
            None => None,
        };
        Some(Sketch { line, path: bytes(text.path, text.path_hex)?, to, referrers, entry: OnceLock::new() })
    }
}

/// The bytes that are spelled by a text and its hexadecimal form; borrowed where the document has them as they are.
fn bytes<'t>(text: Text<'t>, hex: Option<Text>) -> Option<Cow<'t, [u8]>> {
    match (text.0, hex) {
        (Cow::Borrowed(text), None) => Some(Cow::Borrowed(text.as_bytes())),
        (text, hex) => spelled("path", &Text(text), hex.as_ref()).ok().map(|bytes| Cow::Owned(bytes.into_owned())),
    }
}

impl Needed for Sketch<'_> {
    fn path(&self) -> &[u8] {
        &self.path
    }

    fn file(&self) -> Option<&[u8]> {
        self.to.as_deref()
    }

    fn referrers(&self) -> impl ExactSizeIterator<Item = Option<&[u8]>> {
        self.referrers.iter().map(Option::as_deref)
    }
}

impl<'t> Source for Outline<'t> {
    type Sketch = Sketch<'t>;
    type Error = Damaged;

    fn lists(&self) -> &Manifest {
        &self.lists
    }

    fn sketches(&self) -> &[Sketch<'t>] {
        &self.sketches
    }

    fn entry_at(&self, position: usize) -> Result<&Entry, Damaged> {
        let Sketch { line, entry, .. } = &self.sketches[position];
        if let Some(entry) = entry.get() {
            return Ok(entry);
        }
        let read = entry_on(line).ok_or(Damaged)?;
        Ok(entry.get_or_init(|| Box::new(read)))
    }
}

/// The keys of an entry that are looked at.
#[derive(Deserialize)]
struct SketchText<'a> {
    #[serde(borrow)]
    path: Text<'a>,
    #[serde(borrow)]
    path_hex: Option<Text<'a>>,
    #[serde(borrow)]
    to: Option<Text<'a>>,
    #[serde(borrow)]
    to_hex: Option<Text<'a>>,
    #[serde(borrow)]
    reasons: Vec<ReferrerText<'a>>,
}

/// The keys of a reason that are looked at.
#[derive(Deserialize)]
struct ReferrerText<'a> {
    #[serde(borrow)]
    from: Option<Text<'a>>,
    #[serde(borrow)]
    from_hex: Option<Text<'a>>,
}
