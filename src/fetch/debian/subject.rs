//! The hash of a certificate's subject, by which OpenSSL finds it in a directory (openssl-rehash(1)).
//!
//! It is the beginning of a SHA-1 digest of the name in a canonical form (`x509_name_canon` in OpenSSL's x_name.c):
//! every text as UTF-8, ASCII letters in lower case, blanks trimmed and joined, and the outermost header left out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const UTF8_STRING: u8 = 0x0c;
/// `[0]`, the version of a certificate.
const VERSION: u8 = 0xa0;

/// The hash of the first certificate in a PEM file. `None` when there is none, or it is damaged.
pub fn hash(pem: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let body: String = body.split_whitespace().collect();
    let der = STANDARD.decode(body).ok()?;
    let digest = Sha1::digest(canonical(subject(&der)?)?);
    Some(u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]))
}

/// The content of the subject (RFC 5280, 4.1): after the version, the serial number, the algorithm, the issuer and the
/// validity.
fn subject(der: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = expect(der, SEQUENCE)?;
    let (mut rest, _) = expect(certificate, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    for _ in ["serialNumber", "signature", "issuer", "validity"] {
        rest = element(rest)?.2;
    }
    Some(expect(rest, SEQUENCE)?.0)
}

fn canonical(mut name: &[u8]) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    while !name.is_empty() {
        let (mut set, rest) = expect(name, SET)?;
        name = rest;
        let mut attributes = Vec::new();
        while !set.is_empty() {
            let (attribute, rest) = expect(set, SEQUENCE)?;
            set = rest;
            let (_, _, value) = element(attribute)?;
            let key = &attribute[..attribute.len() - value.len()];
            let (tag, content, _) = element(value)?;
            let value = match text(tag, content) {
                Some(text) => encode(UTF8_STRING, folded(&text).as_bytes()),
                None => value.to_vec(),
            };
            attributes.extend(encode(SEQUENCE, &[key, &value].concat()));
        }
        all.extend(encode(SET, &attributes));
    }
    Some(all)
}

/// The text of a string type; `None` for another type.
fn text(tag: u8, content: &[u8]) -> Option<String> {
    match tag {
        // UTF8String, PrintableString, IA5String, VisibleString
        0x0c | 0x13 | 0x16 | 0x1a => String::from_utf8(content.to_vec()).ok(),
        // TeletexString, which OpenSSL takes for Latin-1
        0x14 => Some(content.iter().copied().map(char::from).collect()),
        // BMPString
        0x1e => {
            let units = content.chunks(2).map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?)));
            String::from_utf16(&units.collect::<Option<Vec<_>>>()?).ok()
        }
        _ => None,
    }
}

fn folded(text: &str) -> String {
    let words: Vec<_> =
        text.split(|c: char| c.is_ascii_whitespace() || c == '\x0b').filter(|w| !w.is_empty()).collect();
    words.join(" ").to_ascii_lowercase()
}

fn expect(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    element(der).filter(|(found, _, _)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// The tag and the content of the first element, and what follows it (X.690, 8.1).
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn encode(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut element = vec![tag];
    match content.len() {
        0..=0x7f => element.push(content.len() as u8),
        _ => {
            element.push(0x80 + significant.len() as u8);
            element.extend_from_slice(significant);
        }
    }
    element.extend_from_slice(content);
    element
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A self-made name: `SET { SEQUENCE { 2.5.4.3, value } }`.
    fn name(tag: u8, value: &[u8]) -> Vec<u8> {
        let attribute = [&[0x06, 3, 0x55, 4, 3][..], &encode(tag, value)].concat();
        encode(SET, &encode(SEQUENCE, &attribute))
    }

    #[test]
    fn texts_of_all_types_have_one_canonical_form() {
        let expected = name(UTF8_STRING, b"a b");
        for (tag, value) in [(0x13, &b"  A \t\n b "[..]), (0x0c, b"a B"), (0x14, b"A b"), (0x1e, b"\0A\0 \0B")] {
            assert_eq!(canonical(&name(tag, value)).unwrap(), expected, "{tag:#x}");
        }
        let number = name(0x02, b"A");
        assert_eq!(canonical(&number).unwrap(), number, "what is no text stays");
        assert_eq!(encode(SET, &[7; 300])[..4], [SET, 0x82, 1, 44]);
    }

    #[test]
    fn truncated_elements_give_nothing() {
        let good = encode(SEQUENCE, &encode(SEQUENCE, &[0x02, 1, 1, 0x30, 0, 0x30, 0, 0x30, 0, 0x30, 0]));
        assert_eq!(subject(&good), Some(&[][..]));
        assert!((0..good.len()).all(|end| subject(&good[..end]).is_none()));
        for bad in [&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff][..], &[0x30, 0x80], &[0x30, 0x85, 0, 0, 0, 0, 0]] {
            assert_eq!(subject(bad), None);
        }
        assert_eq!(hash(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----"), None);
        assert_eq!(hash(b"\xff"), None);
    }
}
