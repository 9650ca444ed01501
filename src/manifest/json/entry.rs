//! An element of `entries`: the fields that each type has, and what they may hold.

use super::fields::{FieldError, Text, base64, digest, list, optional_path, path, required, spelled, wrong};
use crate::manifest::{Because, Content, Entry};
use crate::reason::{Evidence, Kind, Reason};
use serde::{Deserialize, Deserializer};

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

pub(super) fn entries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Entry>, D::Error> {
    list(deserializer, "entries", entry)
}

/// The entry that a text holds and nothing else; what is wrong is said by reading the whole list.
pub(super) fn entry_on(line: &str) -> Option<Entry> {
    entry(serde_json::from_str(line).ok()?).ok()
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

fn mode(text: &Text) -> Result<u32, FieldError> {
    let digits = text.0.as_bytes();
    if digits.len() != 4 || !digits.iter().all(|digit| matches!(digit, b'0'..=b'7')) {
        return wrong("mode", format_args!("`{}` is not four octal digits", text.0));
    }
    Ok(digits.iter().fold(0, |mode, digit| mode << 3 | u32::from(digit - b'0')))
}
