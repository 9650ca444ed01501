//! A TOML table read key by key, collecting a [`Problem`] with its place for every mistake instead of stopping at the
//! first: a person who writes a rule file wants the whole list.

use super::problem::{Problem, instead_of};
use std::cell::RefCell;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A file that is being read, with what was found wrong so far.
pub(super) struct Source<'a> {
    pub file: &'a str,
    pub text: &'a str,
    pub problems: RefCell<Vec<Problem>>,
    /// Checks that only find mistakes are left out.
    pub is_trusted: bool,
    /// Where each line ends: every template of a rule keeps its place.
    newlines: Vec<usize>,
}

/// A string value with where it stands.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub text: &'a str,
    /// Byte offset of the value in the file.
    pub start: usize,
}

pub(super) struct Table<'a> {
    source: &'a Source<'a>,
    entries: &'a DeTable<'a>,
    start: usize,
}

impl<'a> Source<'a> {
    pub fn new(file: &'a str, text: &'a str) -> Source<'a> {
        let newlines = memchr::memchr_iter(b'\n', text.as_bytes()).collect();
        Source { file, text, problems: RefCell::default(), is_trusted: false, newlines }
    }

    pub fn trusted(file: &'a str, text: &'a str) -> Source<'a> {
        Source { is_trusted: true, ..Source::new(file, text) }
    }

    /// Notes a problem at a byte offset.
    pub fn problem(&self, start: usize, message: impl Into<String>, hint: Option<String>) {
        let (line, column) = self.place(start);
        let file = self.file.to_owned();
        self.problems.borrow_mut().push(Problem { file, line, column, message: message.into(), hint });
    }

    /// Line and column, in characters and both from 1, of a byte offset.
    pub fn place(&self, start: usize) -> (usize, usize) {
        let lines = self.newlines.partition_point(|&newline| newline < start);
        let line_start = lines.checked_sub(1).map_or(0, |last| self.newlines[last] + 1);
        let before = self.text.get(line_start..start).unwrap_or_default();
        (lines + 1, before.chars().count() + 1)
    }
}

impl<'a> Table<'a> {
    pub fn new(source: &'a Source<'a>, entries: &'a DeTable<'a>, start: usize) -> Table<'a> {
        Table { source, entries, start }
    }

    /// Byte offset of the table's header.
    pub fn start(&self) -> usize {
        self.start
    }

    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Byte offset of a key's value, or of the table without that key.
    pub fn start_of(&self, key: &str) -> usize {
        self.entries.get(key).map_or(self.start, |value| value.span().start)
    }

    /// Notes every key that is none of `known`.
    pub fn only(&self, known: &[&str]) {
        for key in self.entries.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let message = format!("unknown key `{name}`");
                self.source.problem(key.span().start, message, Some(instead_of(name, known)));
            }
        }
    }

    /// Keys with their values' texts; values of another type are noted.
    pub fn texts(&self) -> Vec<(Text<'a>, Text<'a>)> {
        let entries = self.entries.iter();
        entries
            .filter_map(|(key, value)| {
                let name = Text { text: key.get_ref(), start: key.span().start };
                Some((name, self.as_text(name.text, value)?))
            })
            .collect()
    }

    pub fn text(&self, key: &str) -> Option<Text<'a>> {
        self.as_text(key, self.entries.get(key)?)
    }

    /// A string that must be there and say something.
    pub fn required_text(&self, key: &str) -> Option<Text<'a>> {
        if !self.has(key) {
            self.source.problem(self.start, format!("`{key}` is missing"), None);
        }
        let text = self.text(key)?;
        if text.text.trim().is_empty() {
            self.source.problem(text.start, format!("`{key}` is empty"), None);
        }
        Some(text)
    }

    /// A list of strings; empty without the key.
    pub fn list(&self, key: &str) -> Vec<Text<'a>> {
        self.entries.get(key).map_or_else(Vec::new, |value| self.as_list(key, value))
    }

    /// A list of lists of strings; empty without the key.
    pub fn lists(&self, key: &str) -> Vec<Vec<Text<'a>>> {
        self.array(key).into_iter().flatten().map(|value| self.as_list(key, value)).collect()
    }

    pub fn flag(&self, key: &str) -> bool {
        let Some(value) = self.entries.get(key) else { return false };
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type(key, "true or false", value);
        }
        flag.unwrap_or(false)
    }

    pub fn table(&self, key: &str) -> Option<Table<'a>> {
        self.as_table(key, self.entries.get(key)?)
    }

    /// The tables of a `[[key]]` list.
    pub fn tables(&self, key: &str) -> Vec<Table<'a>> {
        self.array(key).into_iter().flatten().filter_map(|value| self.as_table(key, value)).collect()
    }

    /// One of a fixed set of words.
    pub fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<T> {
        self.chosen(self.text(key)?, words)
    }

    /// What a text stands for among a fixed set of words; any other word is noted.
    pub fn chosen<T: Copy>(&self, text: Text<'a>, words: &[(&str, T)]) -> Option<T> {
        let found = words.iter().find(|(word, _)| *word == text.text);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.source.problem(
                text.start,
                format!("unknown word `{}`", text.text),
                Some(instead_of(text.text, &known)),
            );
        }
        found.map(|(_, value)| *value)
    }

    fn array(&self, key: &str) -> Option<impl Iterator<Item = &'a Spanned<DeValue<'a>>> + use<'a>> {
        let value = self.entries.get(key)?;
        let array = value.get_ref().as_array();
        if array.is_none() {
            self.wrong_type(key, "a list", value);
        }
        Some(array?.iter())
    }

    fn as_list(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Vec<Text<'a>> {
        match value.get_ref().as_array() {
            Some(array) => array.iter().filter_map(|item| self.as_text(key, item)).collect(),
            None => {
                self.wrong_type(key, "a list of strings", value);
                Vec::new()
            }
        }
    }

    fn as_text(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Option<Text<'a>> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(key, "a string", value);
        }
        Some(Text { text: text?, start: value.span().start })
    }

    fn as_table(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Option<Table<'a>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(key, "a table", value);
        }
        Some(Table::new(self.source, table?, value.span().start))
    }

    fn wrong_type(&self, key: &str, wanted: &str, value: &Spanned<DeValue<'_>>) {
        let message = format!("`{key}` takes {wanted}, this is of type {}", value.get_ref().type_str());
        self.source.problem(value.span().start, message, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = "a\nbä = 1\n";
        let source = Source::new("t.toml", text);
        assert_eq!(source.place(0), (1, 1));
        assert_eq!(source.place(1), (1, 2));
        assert_eq!(source.place(2), (2, 1));
        assert_eq!(source.place(text.find('=').unwrap()), (2, 4));
        assert_eq!(source.place(text.len()), (3, 1));
    }
}
