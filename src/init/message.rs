//! Lines on the console that begin with `minroot: `; `minroot boot` looks for them, so their words are an interface.

use super::errno::Errno;
use super::syscall::{Descriptor, write};

const STANDARD_ERROR: Descriptor = 2;

/// Prints a line made of `parts`.
pub fn say(parts: &[&[u8]]) {
    say_all(parts.iter().copied());
}

/// Prints a line made of `parts`. A control byte is shown as `?`, so that an argument cannot begin a line of its own.
pub fn say_all<'a>(parts: impl Iterator<Item = &'a [u8]>) {
    let mut line = Line::new();
    line.add(b"minroot: ");
    for byte in parts.flatten() {
        line.add(&[if byte.is_ascii_control() { b'?' } else { *byte }]);
    }
    line.add(b"\n");
    line.flush();
}

/// Prints a line after a line end, as the program before may have left the console in the middle of a line.
pub fn say_after_output(parts: &[&[u8]]) {
    write(STANDARD_ERROR, b"\n");
    say(parts);
}

/// Prints `parts`, a colon and what the error number means.
pub fn say_error(parts: [&[u8]; 2], error: Errno) {
    match error.text() {
        Some(text) => say(&[parts[0], parts[1], b": ", text.as_bytes()]),
        None => say(&[parts[0], parts[1], b": error ", Decimal::new(error.0.into()).digits()]),
    }
}

/// A number in decimal digits.
pub struct Decimal {
    digits: [u8; 10],
    start: usize,
}

impl Decimal {
    pub fn new(mut number: u32) -> Decimal {
        let mut decimal = Decimal { digits: [b'0'; 10], start: 10 };
        for (index, digit) in decimal.digits.iter_mut().enumerate().rev() {
            *digit = b'0' + (number % 10) as u8;
            decimal.start = index;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        decimal
    }

    pub fn digits(&self) -> &[u8] {
        self.digits.get(self.start..).unwrap_or(&[])
    }
}

/// Gathers a line, so that it reaches the console in one piece unless it is very long.
struct Line {
    bytes: [u8; 256],
    length: usize,
}

impl Line {
    fn new() -> Line {
        Line { bytes: [0; 256], length: 0 }
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.length == self.bytes.len() {
                self.flush();
            }
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = *byte;
                self.length += 1;
            }
        }
    }

    fn flush(&mut self) {
        write(STANDARD_ERROR, self.bytes.get(..self.length).unwrap_or(&[]));
        self.length = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::Decimal;

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 7, 10, 255, 1_000_000, u32::MAX] {
            assert_eq!(Decimal::new(number).digits(), number.to_string().as_bytes());
        }
    }
}
