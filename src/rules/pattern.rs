//! The four kinds of pattern in a rule: globs over paths and names, regular expressions over symbol names and over the
//! strings of an object, and templates whose `{bindings}` a match filled in.

use crate::path::RootPath;
use globset::{Glob, GlobBuilder};
use regex::bytes::{Captures, Regex, RegexBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

/// What a match says about itself, by name; values are bytes, because paths are.
pub type Bindings = BTreeMap<String, Vec<u8>>;

/// Reads a path glob as rules write them: `*` and `?` stay inside one directory, `**` does not, `{a,b}` is a choice.
///
/// # Errors
/// The glob's own, such as an unclosed class.
pub fn path_glob(pattern: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(pattern).literal_separator(true).empty_alternates(true).build()
}

/// Bytes as the globset crate wants them.
pub(super) fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// A regular expression over whole symbol names, shared by all rules that spell it the same way.
#[derive(Debug, Clone)]
pub struct SymbolPattern {
    /// Position in [`super::RuleSet::symbol_patterns`].
    pub index: usize,
    text: String,
    /// Compiled when first asked: a trace scans for all patterns at once and never asks.
    regex: OnceLock<Regex>,
}

impl SymbolPattern {
    /// The expression as the rule has it; it matches whole names.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `text` was accepted by [`check_symbols`].
    pub(super) fn new(index: usize, text: &str) -> SymbolPattern {
        SymbolPattern { index, text: text.to_owned(), regex: OnceLock::new() }
    }

    /// Whether the whole of `name` matches.
    pub fn matches(&self, name: &[u8]) -> bool {
        let compile = || symbol_regex(&self.text).expect("the pattern was checked when its rule was read");
        self.regex.get_or_init(compile).is_match(name)
    }
}

/// Whether `text` is a regular expression, alone and inside the group that anchors it: `a)|(b` is not.
///
/// # Errors
/// What is wrong with it, in one line.
pub(super) fn check_symbols(text: &str) -> Result<(), String> {
    let mut parser = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build();
    let mut check = |text: &str| parser.parse(text).map(drop).map_err(|error| last_line(&error));
    check(text)?;
    check(&format!("^(?:{text})$"))
}

/// The crate's messages draw a picture over several lines; the last of them is the sentence.
pub(super) fn last_line(error: &impl std::fmt::Display) -> String {
    error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

fn symbol_regex(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!("^(?:{text})$")).unicode(false).build()
}

/// What the whole of a match is bound to.
const WHOLE: &str = "match";

/// A regular expression over the NUL-terminated strings of a file; `^` and `$` are the ends of a string.
#[derive(Debug, Clone)]
pub struct StringPattern {
    text: String,
    /// Compiled when first asked: most runs have no object that a rule with such a pattern is about.
    regex: OnceLock<Regex>,
}

impl StringPattern {
    /// The expression as the rule has it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Only a `text` that compiles may be asked anything: [`StringPattern::compile`] tells.
    pub(super) fn new(text: &str) -> StringPattern {
        StringPattern { text: text.to_owned(), regex: OnceLock::new() }
    }

    /// # Errors
    /// The text is no regular expression, or one that is too large.
    pub(super) fn compile(&self) -> Result<&Regex, regex::Error> {
        if let Some(regex) = self.regex.get() {
            return Ok(regex);
        }
        let regex = RegexBuilder::new(&self.text).unicode(false).multi_line(true).line_terminator(0).build()?;
        Ok(self.regex.get_or_init(|| regex))
    }

    fn regex(&self) -> &Regex {
        self.compile().expect("the pattern was checked when its rule was read, or by a test")
    }

    /// `match` and the named groups.
    pub(super) fn binding_names(&self) -> Vec<&str> {
        [WHOLE].into_iter().chain(self.group_names()).collect()
    }

    /// The named groups.
    pub(super) fn group_names(&self) -> Vec<&str> {
        self.regex().capture_names().flatten().collect()
    }

    /// [`StringPattern::matches`] with the named groups alone.
    pub(super) fn groups(&self, content: &[u8]) -> Vec<Bindings> {
        let mut found = self.matches(content);
        found.iter_mut().for_each(|bindings| drop(bindings.remove(WHOLE)));
        found
    }

    /// The bindings of every match in the content of a file, sorted, each once.
    ///
    /// One search over all bytes: the strings are never taken apart, so a 50 MB library costs what finding the
    /// literal part of the expression costs.
    pub fn matches(&self, content: &[u8]) -> Vec<Bindings> {
        let regex = self.regex();
        let mut found = BTreeSet::new();
        let mut position = 0;
        while let Some(captures) = regex.captures_at(content, position) {
            let matched = captures.get_match();
            let Some(nul) = memchr::memchr(0, matched.as_bytes()) else {
                found.insert(bindings_of(regex, &captures));
                // The end of a line is where the next one begins, too. An empty match must not be found again.
                let end = matched.end() - usize::from(matched.as_bytes().ends_with(b"\n"));
                position = end.max(matched.start() + 1);
                if position > content.len() {
                    break;
                }
                continue;
            };
            // A negated class such as `[^/]+` ran into the next string: ask again within the one it began in.
            position = matched.start() + nul;
            if let Some(captures) = regex.captures(&content[matched.start()..position]) {
                found.insert(bindings_of(regex, &captures));
            }
            position += 1;
        }
        found.into_iter().collect()
    }
}

fn bindings_of(regex: &Regex, captures: &Captures<'_>) -> Bindings {
    let named = regex.capture_names().flatten();
    let groups = named.filter_map(|name| Some((name.to_owned(), captures.name(name)?.as_bytes().to_vec())));
    let whole = (WHOLE.to_owned(), captures[0].to_vec());
    groups.chain([whole]).collect()
}

/// Text with `{name}` where a binding goes. Braces around anything else, such as `{a,b}`, belong to a glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// As written.
    pub text: String,
    /// Where it is written, from 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Binding(String),
}

impl Template {
    pub(super) fn new(text: &str, (line, column): (usize, usize)) -> Template {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, from_brace) = rest.split_at(open);
            literal.push_str(before);
            match from_brace[1..].split_once('}') {
                Some((name, after)) if is_binding_name(name) => {
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Binding(name.to_owned()));
                    rest = after;
                }
                _ => {
                    literal.push('{');
                    rest = &from_brace[1..];
                }
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Template { text: text.to_owned(), line, column, parts }
    }

    /// The names in braces.
    pub(super) fn bindings(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Binding(name) => Some(&name[..]),
            Part::Literal(_) => None,
        })
    }

    /// The one path this names whatever the bindings are; `None` for a glob or with bindings.
    pub(super) fn fixed_path(&self) -> Option<RootPath> {
        match self.expand_path(&Bindings::new()) {
            Some(PathPattern::Path(path)) if self.bindings().next().is_none() => Some(path),
            _ => None,
        }
    }

    /// The text with its bindings filled in.
    pub(super) fn expand(&self, bindings: &Bindings) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => bytes.extend_from_slice(text.as_bytes()),
                Part::Binding(name) => bytes.extend_from_slice(bindings.get(name).map_or(&[], |value| value)),
            }
        }
        bytes
    }

    /// The text as a path or, when what the author wrote has glob characters, as a glob; characters that a binding
    /// brings stand for themselves. `None` when no path can come of it: relative, `..`, a NUL.
    ///
    /// Behind `{object_directory}` a `..` is the directory above, as the imports of scripts write it; not above `/`.
    pub(super) fn expand_path(&self, bindings: &Bindings) -> Option<PathPattern> {
        let is_glob = |part: &Part| matches!(part, Part::Literal(text) if text.contains(['*', '?', '[', '{']));
        if !self.parts.iter().any(is_glob) {
            let path = self.expand(bindings);
            let path = if self.is_beside_object() { without_dots(&path)? } else { path };
            return RootPath::new(path).ok().map(PathPattern::Path);
        }
        let mut glob = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => glob.push_str(text),
                Part::Binding(name) => {
                    let value = bindings.get(name).map_or(&[][..], |value| value);
                    glob.push_str(&globset::escape(std::str::from_utf8(value).ok()?));
                }
            }
        }
        if self.is_beside_object() {
            glob = String::from_utf8(without_dots(glob.as_bytes())?).ok()?;
        }
        glob.starts_with('/').then_some(PathPattern::Glob(glob))
    }

    fn is_beside_object(&self) -> bool {
        matches!(self.parts.first(), Some(Part::Binding(name)) if name == "object_directory")
    }

    /// The template without the `/**` at its end, which asks for everything below a directory.
    pub(super) fn without_below(&self) -> Option<Template> {
        let directory = self.text.strip_suffix("/**")?;
        Some(Template::new(directory, (self.line, self.column)))
    }
}

/// The path with its `.` and `..` taken back, by their names alone, as the languages do that have them in imports.
/// `None` above `/`.
fn without_dots(path: &[u8]) -> Option<Vec<u8>> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for component in path.split(|&byte| byte == b'/').filter(|component| !component.is_empty()) {
        match component {
            b"." => {}
            b".." => drop(kept.pop()?),
            name => kept.push(name),
        }
    }
    Some([b"/", &kept.join(&b'/')[..]].concat())
}

/// What a template for paths came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PathPattern {
    Path(RootPath),
    Glob(String),
}

fn is_binding_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(pairs: &[(&str, &str)]) -> Bindings {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn symbol_patterns_match_whole_names_only() {
        let matches = |text: &str, name: &[u8]| SymbolPattern::new(0, text).matches(name);
        assert!(matches("getpw.*", b"getpwnam_r"));
        assert!(!matches("getpw.*", b"my_getpwnam"));
        assert!(!matches("read|write", b"pread"));
    }

    #[test]
    fn a_pattern_that_breaks_out_of_its_group_is_refused() {
        assert!(check_symbols("a|b").is_ok());
        assert!(check_symbols("a)|(b").is_err());
        assert!(check_symbols("[a").is_err());
    }

    #[test]
    fn string_patterns_bind_the_match_and_its_groups() {
        let pattern = StringPattern::new(r"^/data/(?<stem>.+)\.js$");
        assert_eq!(pattern.binding_names(), ["match", "stem"]);
        let found = pattern.matches(b"x\0/data/b.js\0/data/a.js\0/data/a.js\0no/data/c.js\0/data/d.json\0");
        assert_eq!(
            found,
            [bind(&[("match", "/data/a.js"), ("stem", "a")]), bind(&[("match", "/data/b.js"), ("stem", "b")])]
        );
    }

    #[test]
    fn a_line_that_ends_a_match_begins_the_next() {
        let found = StringPattern::new(r"(^|\n)a=(?<value>[0-9]+)\n").groups(b"a=1\na=2\n\0a=3\nb=4\na=5\n");
        let values: BTreeSet<&[u8]> = found.iter().map(|bindings| &bindings["value"][..]).collect();
        assert_eq!(values, [b"1", b"2", b"3", b"5"].map(|value| &value[..]).into());
        assert_eq!(StringPattern::new(r"\n").matches(b"\n\n").len(), 1);
    }

    #[test]
    fn a_match_never_crosses_a_nul() {
        let pattern = StringPattern::new("^/[^x]+x$");
        assert!(pattern.matches(b"/a\0b/x\0").is_empty());
        let pattern = StringPattern::new("^/[^/]+$");
        assert_eq!(pattern.matches(b"/a\0b\0/c\0"), [bind(&[("match", "/a")]), bind(&[("match", "/c")])]);
        assert_eq!(StringPattern::new("x*").matches(b"\0axx").len(), 2);
    }

    #[test]
    fn braces_are_bindings_or_choices() {
        let template = Template::new("/usr/lib/{x86_64,aarch64}/{name}.so", (1, 1));
        assert_eq!(template.bindings().collect::<Vec<_>>(), ["name"]);
        let glob = template.expand_path(&bind(&[("name", "a*")]));
        assert_eq!(glob, Some(PathPattern::Glob("/usr/lib/{x86_64,aarch64}/a[*].so".to_owned())));
        assert_eq!(Template::new("{", (1, 1)).expand(&Bindings::new()), b"{");
    }

    #[test]
    fn bindings_cannot_lead_out_of_the_root() {
        let template = Template::new("/etc/{name}", (1, 1));
        assert_eq!(template.expand_path(&bind(&[("name", "../x")])), None);
        assert_eq!(Template::new("{name}", (1, 1)).expand_path(&bind(&[("name", "relative")])), None);
    }

    #[test]
    fn dots_lead_up_from_the_object_and_not_above_the_root() {
        let up = |name: &str| {
            let bindings = bind(&[("object_directory", "/opt/app"), ("name", name)]);
            ["{object_directory}/{name}.py", "{object_directory}/{name}.*"]
                .map(|template| match Template::new(template, (1, 1)).expand_path(&bindings) {
                    Some(PathPattern::Path(path)) => path.to_string(),
                    Some(PathPattern::Glob(glob)) => glob,
                    None => "none".to_owned(),
                })
                .join(" ")
        };
        assert_eq!(up("./a"), "/opt/app/a.py /opt/app/a.*");
        assert_eq!(up("../a"), "/opt/a.py /opt/a.*");
        assert_eq!(up("../../a"), "/a.py /a.*");
        assert_eq!(up("../../../a"), "none none");
    }
}
