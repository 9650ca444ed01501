//! Reads format 1 and trusts nothing: the file may be written by hand, cut off, or made to do harm.
//!
//! Elements are turned into their final form one by one while the parser runs, so that no second copy of a large
//! manifest is made, and every message says which element of which list is wrong.

use super::FORMAT;
use super::choices::choices;
use super::spelling::{bytes, digest_from_hex};
use crate::manifest::check::{CheckError, check};
use crate::manifest::totals::Totals;
use crate::manifest::{Because, Boot, Choice, Content, Entry, Manifest, Missing, Omission, Packed, Probed};
use crate::path::RootPath;
use crate::reason::{Consequence, Evidence, Kind, Priority, Reason, Severity};
use crate::recipe::System;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rayon::prelude::*;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

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
    let text = std::str::from_utf8(json)?;
    let document = match by_lines(text) {
        Some(document) => document,
        // Also for anything that is wrong: one pass over the whole text knows the line and the column.
        None => serde_json::from_str(text).map_err(|error| match other_format(text) {
            Some(found) => ManifestError::Format { found },
            None => ManifestError::Json(error),
        })?,
    };
    if document.format != FORMAT {
        return Err(ManifestError::Format { found: document.format });
    }
    let manifest = Manifest {
        system: document.system,
        arch: document.arch,
        targets: document.targets,
        rules_digest: document.rules,
        boot: document.boot,
        packed: document.packed,
        entries: document.entries,
        choices: document.choices,
        dropped: document.dropped,
        unknown: document.unknown,
        missing: document.missing,
    };
    let (checked, actual) = rayon::join(|| check(&manifest), || Totals::of(&manifest));
    checked?;
    match document.totals {
        Some(stated) if stated != actual => Err(ManifestError::Totals { stated, actual }),
        _ => Ok(manifest),
    }
}

/// Reads the entries on all processors, where each has a line of its own as [`write`](super::write) leaves it; `None`
/// when the text looks different.
///
/// JSON has no raw line break inside a string, so the lines between the brackets are elements of a list when each of
/// them is a whole entry; without them the rest is the same document with an empty list.
fn by_lines(text: &str) -> Option<Document> {
    const BEGIN: &str = "\n  \"entries\": [\n";
    const END: &[u8] = b"  ]";
    let begin = memchr::memmem::find(text.as_bytes(), BEGIN.as_bytes())? + BEGIN.len();
    let (mut lines, mut here) = (Vec::new(), begin);
    while !text.as_bytes()[here..].starts_with(END) {
        let next = here + memchr::memchr(b'\n', &text.as_bytes()[here..])?;
        lines.push(&text[here..next]);
        here = next + 1;
    }
    let last = lines.len().checked_sub(1)?;
    let mut document: Document = serde_json::from_str(&[&text[..begin], &text[here..]].concat()).ok()?;
    let read_entry = |(at, line): (usize, &&str)| {
        let element = if at == last { line } else { line.strip_suffix(',')? };
        entry(serde_json::from_str(element).ok()?).ok()
    };
    // Each where it belongs: a list that may end early would be put together from pieces.
    let entries: Vec<Option<Entry>> = lines.par_iter().enumerate().map(read_entry).collect();
    document.entries = entries.into_iter().collect::<Option<_>>()?;
    Some(document)
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
struct Document {
    format: u64,
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

fn targets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RootPath>, D::Error> {
    list(deserializer, "targets", plain_path)
}

pub(super) fn plain_path(text: PathText<'_>) -> Result<RootPath, FieldError> {
    path("path", &text.path, text.path_hex.as_ref())
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

fn entries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Entry>, D::Error> {
    list(deserializer, "entries", entry)
}

pub(super) fn reasons<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Because>, D::Error> {
    list(deserializer, "reasons", |text: BecauseText| {
        let from = optional_path("from", text.from.as_ref(), text.from_hex.as_ref())?;
        Ok(Because { from, reason: Reason::new(text.evidence, text.kind, &*text.detail.0) })
    })
}

/// The name and value of an extended attribute.
type Xattr = (Vec<u8>, Vec<u8>);

fn xattrs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Xattr>, D::Error> {
    list(deserializer, "xattrs", |text: XattrText| {
        let name = spelled("name", &text.name, text.name_hex.as_ref())?.into_owned();
        Ok((name, base64("value_base64", &text.value_base64)?))
    })
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

/// A value that has the right JSON type and is wrong all the same.
#[derive(Debug, thiserror::Error)]
#[error("`{field}`: {problem}")]
pub(super) struct FieldError {
    field: &'static str,
    problem: String,
}

fn wrong<T>(field: &'static str, problem: impl ToString) -> Result<T, FieldError> {
    Err(FieldError { field, problem: problem.to_string() })
}

/// Reads a list element by element; errors get the list's name and the element's index, counted from 0.
pub(super) fn list<'de, D, Text, T>(
    deserializer: D,
    name: &'static str,
    convert: fn(Text) -> Result<T, FieldError>,
) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    Text: Deserialize<'de>,
{
    struct ListVisitor<Text, T> {
        name: &'static str,
        convert: fn(Text) -> Result<T, FieldError>,
    }

    impl<'de, Text: Deserialize<'de>, T> Visitor<'de> for ListVisitor<Text, T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "the list `{}`", self.name)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            loop {
                let place = |problem: &dyn fmt::Display| {
                    A::Error::custom(format_args!("{}[{}]: {problem}", self.name, list.len()))
                };
                let Some(text) = elements.next_element().map_err(|error| place(&error))? else { return Ok(list) };
                let element = (self.convert)(text).map_err(|error| place(&error))?;
                list.push(element);
            }
        }
    }

    deserializer.deserialize_seq(ListVisitor { name, convert })
}

/// Text that is borrowed from the document unless it has escapes.
///
/// `Option<Cow<str>>` would do, but serde borrows a `Cow` only when it is a field's own type.
#[derive(Default)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor<'a>(PhantomData<&'a str>);

        impl<'de: 'a, 'a> Visitor<'de> for TextVisitor<'a> {
            type Value = Text<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PathText<'a> {
    #[serde(borrow)]
    path: Text<'a>,
    #[serde(borrow)]
    path_hex: Option<Text<'a>>,
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
struct EntryText<'a> {
    #[serde(borrow)]
    path: Text<'a>,
    #[serde(borrow)]
    path_hex: Option<Text<'a>>,
    r#type: EntryType,
    #[serde(borrow)]
    mode: Text<'a>,
    uid: u32,
    gid: u32,
    size: Option<u64>,
    #[serde(borrow)]
    sha256: Option<Text<'a>>,
    #[serde(borrow)]
    unpacked_from: Option<Text<'a>>,
    #[serde(borrow)]
    unpacked_from_hex: Option<Text<'a>>,
    content: Option<String>,
    #[serde(borrow)]
    content_base64: Option<Text<'a>>,
    #[serde(borrow)]
    target: Option<Text<'a>>,
    #[serde(borrow)]
    target_hex: Option<Text<'a>>,
    #[serde(borrow)]
    to: Option<Text<'a>>,
    #[serde(borrow)]
    to_hex: Option<Text<'a>>,
    major: Option<u32>,
    minor: Option<u32>,
    #[serde(default, deserialize_with = "xattrs")]
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    package: Option<String>,
    packed: Option<u64>,
    #[serde(deserialize_with = "reasons")]
    reasons: Vec<Because>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EntryType {
    File,
    Generated,
    Dir,
    Symlink,
    Hardlink,
    Char,
    Block,
    Fifo,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct XattrText<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    name_hex: Option<Text<'a>>,
    #[serde(borrow)]
    value_base64: Text<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BecauseText<'a> {
    #[serde(borrow)]
    from: Option<Text<'a>>,
    #[serde(borrow)]
    from_hex: Option<Text<'a>>,
    evidence: Evidence,
    kind: Kind,
    #[serde(borrow, default)]
    detail: Text<'a>,
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

fn entry(mut text: EntryText<'_>) -> Result<Entry, FieldError> {
    let content = content(&mut text)?;
    Ok(Entry {
        path: path("path", &text.path, text.path_hex.as_ref())?,
        content,
        mode: mode(&text.mode)?,
        uid: text.uid,
        gid: text.gid,
        xattrs: text.xattrs,
        package: text.package,
        packed: text.packed,
        reasons: text.reasons,
    })
}

fn omission(text: OmissionText<'_>) -> Result<Omission, FieldError> {
    Ok(Omission {
        from: optional_path("from", text.from.as_ref(), text.from_hex.as_ref())?,
        reason: Reason::new(text.evidence, text.kind, &*text.detail.0),
        to: optional_path("to", text.to.as_ref(), text.to_hex.as_ref())?,
        why: text.why,
    })
}

/// Takes the fields that the type has; one that is left over belongs to another type.
fn content(text: &mut EntryText<'_>) -> Result<Content, FieldError> {
    let content = match text.r#type {
        EntryType::File => Content::File {
            size: required("size", text.size.take())?,
            sha256: digest("sha256", &required("sha256", text.sha256.take())?)?,
            unpacked_from: optional_path(
                "unpacked_from",
                text.unpacked_from.take().as_ref(),
                text.unpacked_from_hex.take().as_ref(),
            )?,
        },
        EntryType::Generated => Content::Generated {
            size: required("size", text.size.take())?,
            sha256: digest("sha256", &required("sha256", text.sha256.take())?)?,
            bytes: generated(text.content.take(), text.content_base64.take())?,
        },
        EntryType::Symlink => Content::Symlink {
            target: spelled("target", &required("target", text.target.take())?, text.target_hex.take().as_ref())?
                .into_owned(),
        },
        EntryType::Hardlink => {
            Content::Hardlink { to: path("to", &required("to", text.to.take())?, text.to_hex.take().as_ref())? }
        }
        EntryType::Char => {
            Content::Char { major: required("major", text.major.take())?, minor: required("minor", text.minor.take())? }
        }
        EntryType::Block => Content::Block {
            major: required("major", text.major.take())?,
            minor: required("minor", text.minor.take())?,
        },
        EntryType::Dir => Content::Directory,
        EntryType::Fifo => Content::Fifo,
    };
    let left_over = [
        ("size", text.size.is_some()),
        ("sha256", text.sha256.is_some()),
        ("unpacked_from", text.unpacked_from.is_some()),
        ("unpacked_from_hex", text.unpacked_from_hex.is_some()),
        ("content", text.content.is_some()),
        ("content_base64", text.content_base64.is_some()),
        ("target", text.target.is_some()),
        ("target_hex", text.target_hex.is_some()),
        ("to", text.to.is_some()),
        ("to_hex", text.to_hex.is_some()),
        ("major", text.major.is_some()),
        ("minor", text.minor.is_some()),
    ];
    match left_over.into_iter().find(|(_, is_there)| *is_there) {
        Some((field, _)) => wrong(field, "an entry of this type does not have it"),
        None => Ok(content),
    }
}

fn generated(text: Option<String>, encoded: Option<Text<'_>>) -> Result<Option<Vec<u8>>, FieldError> {
    match (text, encoded) {
        (None, None) => Ok(None),
        (Some(text), None) => Ok(Some(text.into_bytes())),
        (None, Some(encoded)) => {
            let bytes = base64("content_base64", &encoded)?;
            if std::str::from_utf8(&bytes).is_ok() {
                return wrong("content_base64", "the content is UTF-8, which `content` holds as plain text");
            }
            Ok(Some(bytes))
        }
        (Some(_), Some(_)) => wrong("content_base64", "there is `content` as well"),
    }
}

fn required<T>(field: &'static str, value: Option<T>) -> Result<T, FieldError> {
    match value {
        Some(value) => Ok(value),
        None => wrong(field, "an entry of this type must have it"),
    }
}

fn spelled<'a>(field: &'static str, text: &'a Text, hex: Option<&Text>) -> Result<Cow<'a, [u8]>, FieldError> {
    bytes(&text.0, hex.map(|hex| &*hex.0)).or_else(|error| wrong(field, error))
}

fn path(field: &'static str, text: &Text, hex: Option<&Text>) -> Result<RootPath, FieldError> {
    let bytes = spelled(field, text, hex)?;
    match RootPath::new(&bytes) {
        Ok(path) if path.as_bytes() == &*bytes => Ok(path),
        Ok(path) => wrong(field, format_args!("`{}` is not in its plain form, `{path}`", text.0)),
        Err(error) => wrong(field, error),
    }
}

fn optional_path(field: &'static str, text: Option<&Text>, hex: Option<&Text>) -> Result<Option<RootPath>, FieldError> {
    match (text, hex) {
        (Some(text), hex) => path(field, text, hex).map(Some),
        (None, None) => Ok(None),
        (None, Some(_)) => wrong(field, "only its hexadecimal form is there"),
    }
}

fn mode(text: &Text) -> Result<u32, FieldError> {
    let digits = text.0.as_bytes();
    if digits.len() != 4 || !digits.iter().all(|digit| matches!(digit, b'0'..=b'7')) {
        return wrong("mode", format_args!("`{}` is not four octal digits", text.0));
    }
    Ok(digits.iter().fold(0, |mode, digit| mode << 3 | u32::from(digit - b'0')))
}

fn digest(field: &'static str, text: &Text) -> Result<[u8; 32], FieldError> {
    match digest_from_hex(&text.0) {
        Some(digest) => Ok(digest),
        None => wrong(field, "a SHA-256 has 64 digits, 0-9 and a-f"),
    }
}

fn base64(field: &'static str, text: &Text) -> Result<Vec<u8>, FieldError> {
    STANDARD.decode(text.0.as_bytes()).or_else(|error| wrong(field, error))
}
