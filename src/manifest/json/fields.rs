//! The values of format 1, and what is wrong with one.

use super::spelling::{bytes, digest_from_hex};
use crate::path::RootPath;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A value that has the right JSON type and is wrong all the same.
#[derive(Debug, thiserror::Error)]
#[error("`{field}`: {problem}")]
pub(super) struct FieldError {
    field: &'static str,
    problem: String,
}

pub(super) fn wrong<T>(field: &'static str, problem: impl ToString) -> Result<T, FieldError> {
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
pub(super) struct Text<'a>(pub Cow<'a, str>);

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

pub(super) fn required<T>(field: &'static str, value: Option<T>) -> Result<T, FieldError> {
    match value {
        Some(value) => Ok(value),
        None => wrong(field, "an entry of this type must have it"),
    }
}

pub(super) fn spelled<'a>(
    field: &'static str,
    text: &'a Text,
    hex: Option<&Text>,
) -> Result<Cow<'a, [u8]>, FieldError> {
    bytes(&text.0, hex.map(|hex| &*hex.0)).or_else(|error| wrong(field, error))
}

pub(super) fn path(field: &'static str, text: &Text, hex: Option<&Text>) -> Result<RootPath, FieldError> {
    let bytes = spelled(field, text, hex)?;
    match RootPath::new(&bytes) {
        Ok(path) if path.as_bytes() == &*bytes => Ok(path),
        Ok(path) => wrong(field, format_args!("`{}` is not in its plain form, `{path}`", text.0)),
        Err(error) => wrong(field, error),
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

pub(super) fn plain_path(text: PathText<'_>) -> Result<RootPath, FieldError> {
    path("path", &text.path, text.path_hex.as_ref())
}

pub(super) fn optional_path(
    field: &'static str,
    text: Option<&Text>,
    hex: Option<&Text>,
) -> Result<Option<RootPath>, FieldError> {
    match (text, hex) {
        (Some(text), hex) => path(field, text, hex).map(Some),
        (None, None) => Ok(None),
        (None, Some(_)) => wrong(field, "only its hexadecimal form is there"),
    }
}

pub(super) fn digest(field: &'static str, text: &Text) -> Result<[u8; 32], FieldError> {
    match digest_from_hex(&text.0) {
        Some(digest) => Ok(digest),
        None => wrong(field, "a SHA-256 has 64 digits, 0-9 and a-f"),
    }
}

pub(super) fn base64(field: &'static str, text: &Text) -> Result<Vec<u8>, FieldError> {
    STANDARD.decode(text.0.as_bytes()).or_else(|error| wrong(field, error))
}
