//! Bytes inside JSON: text where they are UTF-8; otherwise an escaped form to read and hexadecimal digits to use.

use crate::path::escaped;
use crate::text::hex;
use std::borrow::Cow;

/// How bytes are spelled.
pub(super) struct Spelled<'a> {
    pub text: Cow<'a, str>,
    /// Only for bytes that are not UTF-8.
    pub hex: Option<String>,
}

/// Why a spelling stands for no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum SpellingError {
    #[error("the hexadecimal form is not pairs of the digits 0-9 and a-f")]
    Hex,
    #[error("the hexadecimal form is UTF-8, which is spelled as plain text")]
    NeedlessHex,
    #[error("the text and its hexadecimal form differ")]
    Differ,
}

pub(super) fn spell(bytes: &[u8]) -> Spelled<'_> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Spelled { text: Cow::Borrowed(text), hex: None },
        Err(_) => Spelled { text: Cow::Owned(escaped(bytes).to_string()), hex: Some(hex(bytes)) },
    }
}

/// The bytes behind a spelling. Each byte string has one spelling only, so that reading and writing change nothing.
pub(super) fn bytes<'a>(text: &'a str, hex: Option<&str>) -> Result<Cow<'a, [u8]>, SpellingError> {
    let Some(hex) = hex else { return Ok(Cow::Borrowed(text.as_bytes())) };
    let bytes = from_hex(hex).ok_or(SpellingError::Hex)?;
    if std::str::from_utf8(&bytes).is_ok() {
        return Err(SpellingError::NeedlessHex);
    }
    if escaped(&bytes).to_string() != text {
        return Err(SpellingError::Differ);
    }
    Ok(Cow::Owned(bytes))
}

/// Reads lower-case hexadecimal digits.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

/// Reads the 64 digits of a SHA-256.
pub(super) fn digest_from_hex(text: &str) -> Option<[u8; 32]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut digest = [0; 32];
    if pairs.len() != digest.len() || !rest.is_empty() {
        return None;
    }
    for (byte, &[high, low]) in digest.iter_mut().zip(pairs) {
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(digest)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}
