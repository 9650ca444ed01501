//! Reads of format 1 no more than a question about a few entries asks.
//!
//! Most of the time that a large manifest takes goes into entries and reasons that no answer shows. Where each entry has
//! a line of its own, as [`write`](super::write) leaves it, the lines are searched for paths and referrers, which stay
//! where they are in the text, and an entry is read when it is asked for.

use super::FORMAT;
use super::entry::entry_on;
use super::read::lines;
use crate::manifest::needs::Needed;
use crate::manifest::source::Source;
use crate::manifest::{Entry, Manifest};
use memchr::memchr;
use memchr::memmem::Finder;
use rayon::prelude::*;
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
        let keys = Keys::new();
        let sketches = lines.read(|line| Sketch::of(line, &keys))?;
        let is_sorted = sketches.par_windows(2).all(|pair| pair[0].path < pair[1].path);
        (document.format == FORMAT && is_sorted).then(|| Outline { lists: document.into_manifest(), sketches })
    }
}

/// What keys are found by in the text.
struct Keys {
    hex: Finder<'static>,
    reasons: Finder<'static>,
    to: Finder<'static>,
    /// Of a reason that begins with it: it has no `from`.
    evidence: Finder<'static>,
    from: Finder<'static>,
}

impl Keys {
    fn new() -> Keys {
        Keys {
            hex: Finder::new("_hex\":"),
            reasons: Finder::new("\"reasons\":["),
            to: Finder::new("\"to\":\""),
            evidence: Finder::new("{\"evidence\":"),
            from: Finder::new("\"from\":\""),
        }
    }
}

impl<'t> Sketch<'t> {
    fn of(line: &'t str, keys: &Keys) -> Option<Sketch<'t>> {
        // Without escapes a quote is where a string begins or ends, and never in one.
        let has_escapes = memchr(b'\\', line.as_bytes()).is_some();
        let sketch = if has_escapes { None } else { Sketch::between_quotes(line, keys) };
        sketch.or_else(|| Sketch::of_entry(line))
    }

    /// Of a line in which every path stands as it is. Whether the rest of it is JSON comes out when the entry is read.
    fn between_quotes(line: &'t str, keys: &Keys) -> Option<Sketch<'t>> {
        let text = line.as_bytes();
        if keys.hex.find(text).is_some() {
            return None;
        }
        let path = string(text.trim_ascii_start().strip_prefix(b"{\"path\":\"")?)?;
        let (before, reasons) = text.split_at(keys.reasons.find(text)?);
        let to = match keys.to.find(before) {
            Some(at) => Some(Cow::Borrowed(string(&before[at + keys.to.needle().len()..])?)),
            None => None,
        };
        // Reasons are sorted: first come those that have no `from`.
        let by_the_user = keys.evidence.find_iter(reasons).map(|_| None);
        let by_entries = (keys.from.find_iter(reasons))
            .map(|at| string(&reasons[at + keys.from.needle().len()..]).map(|from| Some(Cow::Borrowed(from))));
        let referrers = by_the_user.map(Some).chain(by_entries).collect::<Option<_>>()?;
        Some(Sketch { line, path: Cow::Borrowed(path), to, referrers, entry: OnceLock::new() })
    }

    fn of_entry(line: &'t str) -> Option<Sketch<'t>> {
        let entry = entry_on(line)?;
        let owned = |path: &[u8]| Cow::Owned(path.to_owned());
        let referrers = entry.referrers().map(|from| from.map(owned)).collect();
        let (path, to) = (owned(entry.path()), entry.file().map(owned));
        Some(Sketch { line, path, to, referrers, entry: OnceLock::from(Box::new(entry)) })
    }
}

/// What stands before the next quote.
fn string(text: &[u8]) -> Option<&[u8]> {
    memchr(b'"', text).map(|end| &text[..end])
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
