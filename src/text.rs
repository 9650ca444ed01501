//! How sizes, counts, digests and colours look in the output.

use std::fmt::{self, Display};

/// Whether the output may have colour; the command line decides, nobody else looks at the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// No escape sequences: for pipes, files and `NO_COLOR`.
    #[default]
    Plain,
    /// ANSI colours (ECMA-48 SGR).
    Color,
}

impl Style {
    /// The path the line is about.
    pub fn path<T: Display>(self, text: T) -> impl Display {
        self.paint("1", text)
    }

    /// Evidence and other side remarks.
    pub fn remark<T: Display>(self, text: T) -> impl Display {
        self.paint("36", text)
    }

    /// What is wrong.
    pub fn bad<T: Display>(self, text: T) -> impl Display {
        self.paint("31", text)
    }

    fn paint<T: Display>(self, sgr: &'static str, text: T) -> impl Display {
        Painted { style: self, sgr, text }
    }
}

struct Painted<T> {
    style: Style,
    sgr: &'static str,
    text: T,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.style {
            Style::Plain => self.text.fmt(f),
            Style::Color => write!(f, "\x1b[{}m{}\x1b[0m", self.sgr, self.text),
        }
    }
}

/// What a function writes, to be printed without a string of it in between.
// `std::fmt::from_fn` is this from Rust 1.93 on.
pub(crate) fn written(write: impl Fn(&mut fmt::Formatter<'_>) -> fmt::Result) -> impl Display {
    struct Written<F>(F);
    impl<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> Display for Written<F> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            (self.0)(f)
        }
    }
    Written(write)
}

/// A number of bytes, rounded to binary units and exact: `1.9 MiB (1,948,710 bytes)`; below 1 KiB only exact.
pub fn size(bytes: u64) -> String {
    let exact = count(bytes, "byte");
    match rounded(bytes) {
        Some(rounded) => format!("{rounded} ({exact})"),
        None => exact,
    }
}

/// A number of bytes, rounded to binary units: `1.9 MiB`; below 1 KiB exact.
pub fn rounded_size(bytes: u64) -> String {
    rounded(bytes).unwrap_or_else(|| count(bytes, "byte"))
}

/// Reads a number of bytes: `4096`, `512K`, `2M`, `1G`, with binary units.
///
/// # Errors
/// What is wrong, in words.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes() {
        [.., b'K' | b'k'] => (&text[..text.len() - 1], 10),
        [.., b'M' | b'm'] => (&text[..text.len() - 1], 20),
        [.., b'G' | b'g'] => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| "a size is a number with K, M, G or nothing behind it".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "the size is too large".to_owned())
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// A number with its noun, in the plural when it is not one: `1 file`, `12,000 files`.
pub fn count(number: u64, noun: &str) -> String {
    let plural = match noun {
        _ if number == 1 => noun.to_owned(),
        _ if noun.ends_with('y') => format!("{}ies", &noun[..noun.len() - 1]),
        _ => format!("{noun}s"),
    };
    format!("{} {plural}", grouped(number))
}

/// Tenths of the largest unit in which the number is at least 1; `None` below 1 KiB.
fn rounded(bytes: u64) -> Option<String> {
    if bytes < 1024 {
        return None;
    }
    let mut unit = 1u128;
    let mut shown = None;
    for name in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        unit *= 1024;
        let tenths = (u128::from(bytes) * 10 + unit / 2) / unit;
        shown = Some(format!("{}.{} {name}", tenths / 10, tenths % 10));
        // After rounding, so that no size is shown as 1024.0 of a unit.
        if tenths < 10_240 {
            break;
        }
    }
    shown
}

/// Digits in groups of three, with commas.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_and_exact() {
        for (bytes, expected) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1000, "1,000 bytes"),
            (1024, "1.0 KiB (1,024 bytes)"),
            (1_948_710, "1.9 MiB (1,948,710 bytes)"),
            (1_048_575, "1.0 MiB (1,048,575 bytes)"),
            (97_687_095, "93.2 MiB (97,687,095 bytes)"),
            (u64::MAX, "16.0 EiB (18,446,744,073,709,551,615 bytes)"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn sizes_are_read_with_binary_units() {
        for (text, bytes) in [("0", 0), ("4096", 4096), ("512K", 512 << 10), ("2m", 2 << 20), ("1G", 1 << 30)] {
            assert_eq!(parse_size(text), Ok(bytes));
        }
        for text in ["", "M", "-1", "1T", "1.5M", "17179869184G"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nouns_follow_the_number() {
        assert_eq!(count(1, "directory"), "1 directory");
        assert_eq!(count(2, "directory"), "2 directories");
        assert_eq!(count(12_000, "file"), "12,000 files");
    }

    #[test]
    fn plain_style_adds_nothing() {
        assert_eq!(Style::Plain.bad("x").to_string(), "x");
        assert_eq!(Style::Color.bad("x").to_string(), "\x1b[31mx\x1b[0m");
    }
}
