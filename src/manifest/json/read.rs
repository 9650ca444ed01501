//! Reads format 1 and trusts nothing: the file may be written by hand, cut off, or made to do harm.
//!
//! Elements are turned into their final form one by one while the parser runs, so that no second copy of a large
//! manifest is made, and every message says which element of which list is wrong.

use super::FORMAT;
use super::choices::choices;
use super::entry::{entries, entry_on};
use super::fields::{FieldError, Text, digest, list, optional_path, path, plain_path};
use crate::manifest::check::{CheckError, check};
use crate::manifest::totals::Totals;
use crate::manifest::{Boot, Choice, Entry, Manifest, Missing, Omission, Packed, Probed};
use crate::path::RootPath;
use crate::reason::{Consequence, Evidence, Kind, Priority, Reason, Severity};
use crate::recipe::System;
use memchr::{memchr, memchr_iter, memmem};
use rayon::prelude::*;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Why some bytes are not a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// JSON is UTF-8; paths that are not are written as `path_hex`.
    #[error("the manifest is not UTF-8 text")]
    NotText(#[from] std::str::Utf8Error),
    /// The cause names list, index and field, and the line and column in the file.
    #[error("cannot understand the manifest")]
    Json(#[from] serde_json::Error),
    /// It was written by a minroot of another format.
    #[error("the manifest has format {found}, and this minroot reads format {FORMAT}")]
    Format {
        /// The number in the manifest.
        found: u64,
    },
    /// It could not be packed: the order, a parent, a digest or a reason is wrong.
    #[error("the manifest does not hold together")]
    Check(#[from] CheckError),
    /// Files or bytes were changed without their sums.
    #[error("the manifest's `totals` are not those of its entries")]
    Totals {
        /// Those of the document.
        stated: Totals,
        /// Those of its entries.
        actual: Totals,
    },
}

impl ManifestError {
    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            ManifestError::Totals { .. } => "after an edit by hand, delete `totals`; they are computed",
            _ => "write the manifest again with `minroot trace`",
        }
    }
}

/// Reads a manifest of format 1.
///
/// Unknown keys are refused, and so is anything that [`check`] finds. `totals` may be left out.
///
/// # Errors
/// [`ManifestError`]; nothing in the input makes this panic or allocate more than a small multiple of its length.
pub fn read(json: &[u8]) -> Result<Manifest, ManifestError> {
    let document = match by_lines(json) {
        Some(document) => document,
        // Also for anything that is wrong: one pass over the whole text knows the line and the column.
        None => {
            let text = std::str::from_utf8(json)?;
            serde_json::from_str(text).map_err(|error| match other_format(text) {
                Some(found) => ManifestError::Format { found },
                None => ManifestError::Json(error),
            })?
        }
    };
    if document.format != FORMAT {
        return Err(ManifestError::Format { found: document.format });
    }
    let stated = document.totals.clone();
    let manifest = document.into_manifest();
    let (checked, actual) = rayon::join(|| check(&manifest), || Totals::of(&manifest));
    checked?;
    match stated {
        Some(stated) if stated != actual => Err(ManifestError::Totals { stated, actual }),
        _ => Ok(manifest),
    }
}

/// Reads the entries on all processors, where each has a line of its own.
fn by_lines(json: &[u8]) -> Option<Document> {
    let (mut document, lines) = lines(json)?;
    document.entries = lines.read(entry_on)?;
    Some(document)
}

/// The entries of a document that has a line for each.
pub(super) struct Lines<'t>(&'t [u8]);

/// The document without its entries, and the lines of those, as [`write`](super::write) leaves them; `None` when the
/// text looks different.
///
/// JSON has no raw line break inside a string, so the lines between the brackets are elements of a list when each of
/// them is a whole entry; without them the rest is the same document with an empty list.
pub(super) fn lines(json: &[u8]) -> Option<(Document, Lines<'_>)> {
    const BEGIN: &[u8] = b"\n  \"entries\": [\n";
    const END: &[u8] = b"\n  ]";
    let begin = memmem::find(json, BEGIN)? + BEGIN.len();
    let end = begin + memmem::find(&json[begin..], END)?;
    let document = serde_json::from_slice(&[&json[..begin], &json[end..]].concat()).ok()?;
    Some((document, Lines(&json[begin..end])))
}

impl<'t> Lines<'t> {
    /// Reads each line on all processors; `None` when one of them is not an element of the list.
    pub fn read<T: Send>(&self, element: impl Fn(&'t str) -> Option<T> + Sync) -> Option<Vec<T>> {
        let lines: Vec<&[u8]> = self.pieces().into_par_iter().flat_map_iter(split).collect();
        let last = lines.len() - 1;
        let read = |(at, line): (usize, &&'t [u8])| {
            let line = std::str::from_utf8(line).ok()?;
            element(if at == last { line } else { line.strip_suffix(',')? })
        };
        // Each where it belongs: a list that may end early would be put together from pieces.
        let elements: Vec<Option<T>> = lines.par_iter().enumerate().map(read).collect();
        elements.into_iter().collect()
    }

    /// Whole lines, enough of them to be worth a processor's while; each without its last line break.
    fn pieces(&self) -> Vec<&'t [u8]> {
        const BYTES: usize = 1 << 18;
        let mut pieces = Vec::new();
        let mut left = self.0;
        while let Some(end) = left.get(BYTES..).and_then(|rest| memchr(b'\n', rest)) {
            pieces.push(&left[..BYTES + end]);
            left = &left[BYTES + end + 1..];
        }
        pieces.push(left);
        pieces
    }
}

fn split(piece: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr_iter(b'\n', piece).chain([piece.len()]).map(move |end| &piece[std::mem::replace(&mut start, end + 1)..end])
}

/// The format number of a document that says it is of another format; its keys are unknown here.
fn other_format(text: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Numbered {
        format: u64,
    }
    serde_json::from_str(text).ok().map(|Numbered { format }| format).filter(|format| *format != FORMAT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub format: u64,
    system: System,
    arch: String,
    #[serde(deserialize_with = "targets")]
    targets: Vec<RootPath>,
    #[serde(deserialize_with = "rules_digest")]
    rules: [u8; 32],
    #[serde(default, deserialize_with = "boot")]
    boot: Option<Boot>,
    #[serde(default)]
    packed: Option<Packed>,
    #[serde(deserialize_with = "entries")]
    entries: Vec<Entry>,
    #[serde(default, deserialize_with = "choices")]
    choices: Vec<Choice>,
    #[serde(deserialize_with = "dropped")]
    dropped: Vec<Omission>,
    #[serde(deserialize_with = "unknown")]
    unknown: Vec<Omission>,
    #[serde(deserialize_with = "missing")]
    missing: Vec<Missing>,
    totals: Option<Totals>,
}

impl Document {
    pub fn into_manifest(self) -> Manifest {
        Manifest {
            system: self.system,
            arch: self.arch,
            targets: self.targets,
            rules_digest: self.rules,
            boot: self.boot,
            packed: self.packed,
            entries: self.entries,
            choices: self.choices,
            dropped: self.dropped,
            unknown: self.unknown,
            missing: self.missing,
        }
    }
}

fn targets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RootPath>, D::Error> {
    list(deserializer, "targets", plain_path)
}

fn rules_digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    let text = RulesText::deserialize(deserializer)?;
    digest("digest", &text.digest).map_err(D::Error::custom)
}

fn boot<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Boot>, D::Error> {
    let text = BootText::deserialize(deserializer)?;
    let kernel = path("kernel", &text.kernel, text.kernel_hex.as_ref()).map_err(D::Error::custom)?;
    Ok(Some(Boot { kernel, kernel_args: text.kernel_args }))
}

fn dropped<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Omission>, D::Error> {
    list(deserializer, "dropped", omission)
}

fn unknown<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Omission>, D::Error> {
    list(deserializer, "unknown", omission)
}

fn missing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Missing>, D::Error> {
    list(deserializer, "missing", |text: MissingText| {
        Ok(Missing {
            from: optional_path("from", text.from.as_ref(), text.from_hex.as_ref())?,
            reason: Reason::new(text.evidence, text.kind, &*text.detail.0),
            name: text.name,
            priority: text.priority,
            consequence: text.consequence.map(|text| Consequence { severity: text.severity, words: text.words.into() }),
            probes: text.probes,
        })
    })
}

fn probes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Probed>, D::Error> {
    list(deserializer, "probes", |text: ProbeText| {
        Ok(Probed { path: text.path, step: text.step, outcome: text.outcome })
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesText<'a> {
    #[serde(borrow)]
    digest: Text<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BootText<'a> {
    #[serde(borrow)]
    kernel: Text<'a>,
    #[serde(borrow)]
    kernel_hex: Option<Text<'a>>,
    kernel_args: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OmissionText<'a> {
    #[serde(borrow)]
    from: Option<Text<'a>>,
    #[serde(borrow)]
    from_hex: Option<Text<'a>>,
    evidence: Evidence,
    kind: Kind,
    #[serde(borrow, default)]
    detail: Text<'a>,
    #[serde(borrow)]
    to: Option<Text<'a>>,
    #[serde(borrow)]
    to_hex: Option<Text<'a>>,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MissingText<'a> {
    name: String,
    priority: Priority,
    #[serde(borrow)]
    from: Option<Text<'a>>,
    #[serde(borrow)]
    from_hex: Option<Text<'a>>,
    evidence: Evidence,
    kind: Kind,
    #[serde(borrow, default)]
    detail: Text<'a>,
    #[serde(default)]
    consequence: Option<ConsequenceText>,
    #[serde(deserialize_with = "probes")]
    probes: Vec<Probed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsequenceText {
    severity: Severity,
    words: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProbeText {
    path: String,
    step: String,
    outcome: String,
}

fn omission(text: OmissionText<'_>) -> Result<Omission, FieldError> {
    Ok(Omission {
        from: optional_path("from", text.from.as_ref(), text.from_hex.as_ref())?,
        reason: Reason::new(text.evidence, text.kind, &*text.detail.0),
        to: optional_path("to", text.to.as_ref(), text.to_hex.as_ref())?,
        why: text.why,
    })
}
