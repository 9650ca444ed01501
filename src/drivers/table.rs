//! A database that is a table of lines: what each line says, and the same text again with fewer lines.
//!
//! A line is kept as bytes beside its meaning, so a trimmed copy has the comments, the order and the spelling of the
//! original.

use crate::path::RootPath;
use std::fmt;

/// Something in a database that its reader does not understand and, at run time, skips.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The file.
    pub path: RootPath,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// The lines of one file, in order.
#[derive(Debug, Clone)]
pub struct Table<T> {
    path: RootPath,
    lines: Vec<Line<T>>,
    notes: Vec<Note>,
}

#[derive(Debug, Clone)]
struct Line<T> {
    /// With its line end, if it has one.
    text: Vec<u8>,
    meaning: Meaning<T>,
}

#[derive(Debug, Clone)]
enum Meaning<T> {
    /// A comment or an empty line.
    Nothing,
    Entry(T),
    /// There is a note about it.
    Malformed,
}

impl<T> Table<T> {
    /// Reads a text line by line. `read_line` gets one line without its end and says what is in it: nothing, an entry,
    /// or what is wrong.
    pub(super) fn parse(
        path: RootPath,
        text: &[u8],
        read_line: impl Fn(&str) -> Result<Option<T>, String>,
    ) -> Table<T> {
        let mut table = Table { path, lines: Vec::new(), notes: Vec::new() };
        for bytes in text.split_inclusive(|&byte| byte == b'\n') {
            let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let meaning = match std::str::from_utf8(line) {
                Ok(line) => read_line(line),
                // Only a comment may hold what is no text: old files have Latin-1 in theirs.
                Err(_) if line.trim_ascii_start().starts_with(b"#") => Ok(None),
                Err(_) => Err("the line is no text".to_owned()),
            };
            let meaning = match meaning {
                Ok(None) => Meaning::Nothing,
                Ok(Some(entry)) => Meaning::Entry(entry),
                Err(message) => {
                    table.notes.push(Note { path: table.path.clone(), line: table.lines.len() + 1, message });
                    Meaning::Malformed
                }
            };
            table.lines.push(Line { text: bytes.to_vec(), meaning });
        }
        table
    }

    /// The file it was read from.
    pub fn path(&self) -> &RootPath {
        &self.path
    }

    /// The entries with their line numbers, from 1.
    pub fn entries(&self) -> impl Iterator<Item = (usize, &T)> {
        self.lines.iter().enumerate().filter_map(|(index, line)| match &line.meaning {
            Meaning::Entry(entry) => Some((index + 1, entry)),
            Meaning::Nothing | Meaning::Malformed => None,
        })
    }

    /// The lines that could not be understood, in order.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The text with the entries that `keep` accepts and all comments. Malformed lines are left out: their reader skips
    /// them with a warning, and [`Table::notes`] names them.
    pub(super) fn trimmed(&self, keep: impl Fn(&T) -> bool) -> Vec<u8> {
        let kept = self.lines.iter().filter(|line| match &line.meaning {
            Meaning::Nothing => true,
            Meaning::Entry(entry) => keep(entry),
            Meaning::Malformed => false,
        });
        let mut text: Vec<u8> = Vec::new();
        for line in kept {
            // The last line of the original may lack its end and be followed by nothing, but never by another entry.
            if !text.is_empty() && !text.ends_with(b"\n") {
                text.push(b'\n');
            }
            text.extend_from_slice(&line.text);
        }
        text
    }
}

/// The blank-separated fields of a line before any `#`, for the files that user programs read.
pub(super) fn fields(line: &str) -> Vec<&str> {
    line.split('#').next().unwrap_or_default().split_ascii_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Option<String>, String> {
        match fields(line)[..] {
            [] => Ok(None),
            [word] => Ok(Some(word.to_owned())),
            _ => Err("too many words".to_owned()),
        }
    }

    #[test]
    fn a_trimmed_copy_keeps_comments_order_and_spelling() {
        let table = Table::parse(RootPath::root(), b"# head\n\n b \na # why\nc c\nlast", read);
        assert_eq!(table.trimmed(|word| word != "a"), b"# head\n\n b \nlast");
        assert_eq!(table.entries().map(|(line, _)| line).collect::<Vec<_>>(), [3, 4, 6]);
        assert_eq!(table.notes()[0].to_string(), "/:5: too many words");
    }

    #[test]
    fn bytes_that_are_no_text_are_noted_outside_of_comments() {
        let table = Table::parse(RootPath::root(), b"# \xe9\n\xff\nb\r\n", read);
        assert_eq!(table.notes().len(), 1);
        assert_eq!(table.entries().map(|(_, word)| &word[..]).collect::<Vec<_>>(), ["b"]);
        assert_eq!(table.trimmed(|_| true), b"# \xe9\nb\r\n");
    }
}
