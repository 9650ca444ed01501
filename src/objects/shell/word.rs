//! One word of a script: quotes, backslashes and expansions (XCU 2.2 and 2.6).

use super::{DEPTH_LIMIT, Scanner};

/// A word without its quotes.
pub(super) struct Word {
    pub start: usize,
    pub text: Vec<u8>,
    /// Nothing in it depends on a value.
    pub literal: bool,
    pub quoted: bool,
}

impl Word {
    /// The value of `NAME=value`; quotes and expansions may be in the value only.
    pub fn assigned(&self) -> Option<&[u8]> {
        let equals = memchr::memchr(b'=', &self.text)?;
        let (name, value) = (&self.text[..equals], &self.text[equals + 1..]);
        let is_name = name.iter().enumerate().all(|(index, byte)| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => true,
            b'0'..=b'9' => index > 0,
            _ => false,
        });
        (is_name && !name.is_empty()).then_some(value)
    }
}

impl Scanner<'_, '_> {
    /// A word; empty when there is none at this place.
    pub fn word(&mut self) -> Word {
        let mut word = Word { start: self.position, text: Vec::new(), literal: true, quoted: false };
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' => break,
                b'\'' => self.single_quoted(&mut word),
                b'"' => self.double_quoted(&mut word),
                b'\\' => {
                    word.quoted = true;
                    self.position += 1;
                    match self.peek() {
                        Some(b'\n') | None => {}
                        Some(escaped) => word.text.push(escaped),
                    }
                    self.position = (self.position + 1).min(self.script.len());
                }
                b'$' | b'`' => self.expansion(&mut word),
                _ => {
                    word.literal &= !matches!(byte, b'*' | b'?') && (byte, word.text.is_empty()) != (b'~', true);
                    // A lone bracket is the command `[`; in a word it begins a pattern.
                    word.literal &= byte != b'[' || word.text.iter().all(|b| *b == b'[');
                    word.text.push(byte);
                    self.position += 1;
                }
            }
        }
        word
    }

    fn single_quoted(&mut self, word: &mut Word) {
        word.quoted = true;
        let rest = &self.script[self.position + 1..];
        let end = memchr::memchr(b'\'', rest).unwrap_or(rest.len());
        word.text.extend_from_slice(&rest[..end]);
        self.position = (self.position + end + 2).min(self.script.len());
    }

    fn double_quoted(&mut self, word: &mut Word) {
        word.quoted = true;
        self.position += 1;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.position += 1;
                    return;
                }
                b'$' | b'`' => self.expansion(word),
                b'\\' => {
                    self.position += 1;
                    match self.peek() {
                        Some(escaped @ (b'$' | b'`' | b'"' | b'\\')) => word.text.push(escaped),
                        Some(b'\n') | None => {}
                        Some(other) => word.text.extend([b'\\', other]),
                    }
                    self.position = (self.position + 1).min(self.script.len());
                }
                _ => {
                    word.text.push(byte);
                    self.position += 1;
                }
            }
        }
    }

    /// A parameter or the output of a command, at `$` or a back quote. A `$` before anything else is itself.
    fn expansion(&mut self, word: &mut Word) {
        word.quoted = true;
        if self.peek() == Some(b'`') {
            word.literal = false;
            return self.back_quoted();
        }
        self.position += 1;
        match self.peek() {
            Some(b'(') => {
                word.literal = false;
                self.position += 1;
                if self.depth < DEPTH_LIMIT && self.peek() != Some(b'(') {
                    self.depth += 1;
                    self.list(true);
                    self.depth -= 1;
                } else {
                    self.skip_nested(b'(', b')');
                }
            }
            Some(b'{') => {
                word.literal = false;
                self.position += 1;
                self.skip_nested(b'{', b'}');
            }
            Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => {
                word.literal = false;
                while matches!(self.peek(), Some(b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_')) {
                    self.position += 1;
                }
            }
            Some(b'0'..=b'9' | b'@' | b'*' | b'#' | b'?' | b'-' | b'$' | b'!') => {
                word.literal = false;
                self.position += 1;
            }
            _ => word.text.push(b'$'),
        }
    }

    /// Passes over arithmetic or a parameter expansion, from after its opening mark to after the closing one.
    pub fn skip_nested(&mut self, opening: u8, closing: u8) {
        let mut open = 1usize;
        while let Some(byte) = self.peek().filter(|_| open > 0) {
            self.position += 1;
            match byte {
                b'\\' => self.position = (self.position + 1).min(self.script.len()),
                _ if byte == opening => open += 1,
                _ if byte == closing => open -= 1,
                _ => {}
            }
        }
    }

    /// Commands in back quotes, where a backslash hides a back quote, a dollar sign or another backslash.
    fn back_quoted(&mut self) {
        let start = self.position;
        self.position += 1;
        let mut inner = Vec::new();
        while let Some(byte) = self.peek() {
            self.position += 1;
            match (byte, self.peek()) {
                (b'`', _) => break,
                (b'\\', Some(escaped @ (b'`' | b'$' | b'\\'))) => {
                    inner.push(escaped);
                    self.position += 1;
                }
                _ => inner.push(byte),
            }
        }
        if self.depth < DEPTH_LIMIT {
            let line = self.line_at(start);
            Scanner::new(&inner, line, self.depth + 1, self.found).list(false);
        }
    }
}
