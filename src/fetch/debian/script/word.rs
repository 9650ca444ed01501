//! The words of a script: quotes, backslashes and expansions (XCU 2.2 and 2.6), kept apart until values are known.

use super::syntax::Parser;

/// A word as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word {
    pub parts: Vec<Part>,
}

/// A piece of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Text {
        text: String,
        quoted: bool,
    },
    /// `$NAME`, or `${NAME}` with what is to be done with its value.
    Variable {
        name: String,
        form: Form,
        quoted: bool,
    },
    /// `$(...)` or back quotes.
    Command {
        text: String,
        quoted: bool,
    },
    /// Something whose value is not looked for, such as arithmetic.
    Unknown,
}

/// What becomes of a parameter's value (XCU 2.6.2). Words in it that are no plain text are `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    Value,
    /// `${NAME:-WORD}`
    Default(Option<String>),
    /// `${NAME:+WORD}`
    Alternative(Option<String>),
}

impl Word {
    /// The text of a word without quotes and expansions.
    pub fn plain(&self) -> Option<&str> {
        match &self.parts[..] {
            [Part::Text { text, quoted: false }] => Some(text),
            _ => None,
        }
    }

    /// The text of a word without expansions.
    pub fn without_quotes(&self) -> Option<String> {
        let text = |part: &Part| match part {
            Part::Text { text, .. } => Some(text.clone()),
            _ => None,
        };
        self.parts.iter().map(text).collect()
    }

    /// The name in `NAME=value`, and the value.
    pub fn assignment(&self) -> Option<(&str, Word)> {
        let Some(Part::Text { text, quoted: false }) = self.parts.first() else { return None };
        let (name, value) = text.split_once('=')?;
        let value = Part::Text { text: value.to_owned(), quoted: false };
        let parts = std::iter::once(value).chain(self.parts[1..].iter().cloned()).collect();
        is_name(name).then_some((name, Word { parts }))
    }
}

pub fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Parser<'_> {
    /// A word; empty when there is none at this place, `None` when a quote is not closed.
    pub fn word(&mut self) -> Option<Word> {
        let mut word = Word::default();
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' => break,
                b'\'' => {
                    self.position += 1;
                    let text = self.up_to(b'\'')?;
                    word.parts.push(Part::Text { text, quoted: true });
                }
                b'"' => self.double_quoted(&mut word)?,
                b'$' | b'`' => self.expansion(&mut word, false)?,
                b'\\' if self.passes("\\\n") => {}
                b'\\' => {
                    self.position += 1;
                    let escaped = self.run(|_, index| index > 0);
                    word.parts.push(Part::Text { text: escaped, quoted: true });
                }
                _ => {
                    let text = self.run(|byte, _| b" \t\r\n;&|<>()'\"$`\\".contains(&byte));
                    word.parts.push(Part::Text { text, quoted: false });
                }
            }
        }
        Some(word)
    }

    /// Characters up to one that ends them.
    fn run(&mut self, ends: impl Fn(u8, usize) -> bool) -> String {
        let rest = &self.text[self.position..];
        let mut length = rest.iter().enumerate().take_while(|(index, byte)| !ends(**byte, *index)).count();
        // All ends are ASCII but for those by count: a character is taken whole.
        while rest.get(length).is_some_and(|byte| (0x80..0xc0).contains(byte)) {
            length += 1;
        }
        self.position += length;
        String::from_utf8_lossy(&rest[..length]).into_owned()
    }

    fn up_to(&mut self, end: u8) -> Option<String> {
        let rest = &self.text[self.position..];
        let length = memchr::memchr(end, rest)?;
        self.position += length + 1;
        Some(String::from_utf8_lossy(&rest[..length]).into_owned())
    }

    fn double_quoted(&mut self, word: &mut Word) -> Option<()> {
        self.position += 1;
        // `""` is a word, though an empty one.
        word.parts.push(Part::Text { text: String::new(), quoted: true });
        loop {
            match self.peek()? {
                b'"' => {
                    self.position += 1;
                    return Some(());
                }
                b'$' | b'`' => self.expansion(word, true)?,
                b'\\' if self.passes("\\\n") => {}
                b'\\' => {
                    let hides = matches!(self.text.get(self.position + 1), Some(b'$' | b'`' | b'"' | b'\\'));
                    self.position += usize::from(hides);
                    let text = self.run(|_, index| index > 0);
                    word.parts.push(Part::Text { text, quoted: true });
                }
                _ => {
                    let text = self.run(|byte, _| b"\"$`\\".contains(&byte));
                    word.parts.push(Part::Text { text, quoted: true });
                }
            }
        }
    }

    /// A parameter or the output of a command, at `$` or a back quote. A `$` before anything else is itself.
    fn expansion(&mut self, word: &mut Word, quoted: bool) -> Option<()> {
        let part = if self.passes("`") {
            Part::Command { text: self.back_quoted()?, quoted }
        } else if self.passes("$((") {
            self.nested(b'(', b')')?;
            self.passes(")").then_some(Part::Unknown)?
        } else if self.passes("$(") {
            Part::Command { text: self.nested(b'(', b')')?, quoted }
        } else if self.passes("${") {
            parameter(&self.nested(b'{', b'}')?, quoted)
        } else {
            self.position += 1;
            match self.peek() {
                Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => {
                    let name = self.run(|byte, _| !byte.is_ascii_alphanumeric() && byte != b'_');
                    Part::Variable { name, form: Form::Value, quoted }
                }
                Some(byte @ (b'0'..=b'9' | b'@' | b'*')) => {
                    self.position += 1;
                    Part::Variable { name: char::from(byte).to_string(), form: Form::Value, quoted }
                }
                Some(b'#' | b'?' | b'-' | b'$' | b'!') => {
                    self.position += 1;
                    Part::Unknown
                }
                _ => Part::Text { text: "$".to_owned(), quoted: true },
            }
        };
        word.parts.push(part);
        Some(())
    }

    fn back_quoted(&mut self) -> Option<String> {
        let start = self.position;
        loop {
            match self.peek()? {
                b'`' => break,
                b'\\' => self.position += 2,
                _ => self.position += 1,
            }
        }
        self.position += 1;
        Some(String::from_utf8_lossy(&self.text[start..self.position - 1]).into_owned())
    }

    /// The text from after an opening mark to the mark that closes it, quotes respected.
    fn nested(&mut self, opening: u8, closing: u8) -> Option<String> {
        let start = self.position;
        // What closes each thing that is open.
        let mut open = vec![closing];
        while let Some(&end) = open.last() {
            let byte = self.peek()?;
            self.position += 1;
            let in_quotes = end == b'"';
            match byte {
                b'\\' => self.position += 1,
                _ if byte == end => {
                    open.pop();
                }
                b'$' if in_quotes && self.peek() == Some(opening) => {
                    self.position += 1;
                    open.push(closing);
                }
                _ if in_quotes => {}
                b'"' => open.push(b'"'),
                b'\'' if opening == b'(' => {
                    self.position += memchr::memchr(b'\'', self.text.get(self.position..)?)? + 1;
                }
                _ if byte == opening => open.push(closing),
                _ => {}
            }
        }
        Some(String::from_utf8_lossy(self.text.get(start..self.position - 1)?).into_owned())
    }
}

/// The inside of `${...}`.
fn parameter(text: &str, quoted: bool) -> Part {
    let is_name_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (name, rest) = text.split_at(text.find(|c| !is_name_part(c)).unwrap_or(text.len()));
    let is_digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    if !is_name(name) && !is_digits {
        return Part::Unknown;
    }
    let literal = |word: &str| (!word.contains(['$', '`', '"', '\'', '\\'])).then(|| word.to_owned());
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let form = match (rest.strip_prefix('-'), rest.strip_prefix('+')) {
        (Some(word), _) => Form::Default(literal(word)),
        (_, Some(word)) => Form::Alternative(literal(word)),
        _ if rest.is_empty() => Form::Value,
        _ => return Part::Unknown,
    };
    Part::Variable { name: name.to_owned(), form, quoted }
}
