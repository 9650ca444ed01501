//! A shell script to the words that name other files: commands, and absolute paths among arguments.
//!
//! This is a reader, no shell: it follows the grammar of the Shell Command Language (POSIX.1-2024, XCU 2) far enough to
//! tell a command from a keyword, an argument, a pattern of `case` or the text of a here-document, and takes nothing for
//! granted that depends on a value. A command word with an expansion in it is [`Role::Unknown`]. Commands inside `$( )`
//! and back quotes are found, even where the word around them is an argument.

mod word;

use std::collections::BTreeSet;
use word::Word;

/// A word of a script that names, or may name, another file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellWord {
    /// The line the word begins in, from 1.
    pub line: usize,
    pub role: Role,
    /// Without quotes; for [`Role::Unknown`] as it is written.
    pub text: Vec<u8>,
}

/// What a word is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A program to run: a path, or a name to be looked for on the PATH.
    Command,
    /// A file that the shell reads commands from, with `.` or `source`; a name without a slash is looked for on the
    /// PATH.
    Source,
    /// An absolute path that is read, assigned or given to a command. It may be meant as something else.
    Path,
    /// A command whose name depends on a variable, a pattern or another command.
    Unknown,
}

/// Words that a shell does itself: the special built-in utilities (XCU 2.15), those that change the shell (1.7), and the
/// ordinary ones that ksh93, bash, dash and busybox all have built in.
const BUILT_IN: [&str; 49] = [
    ":", "break", "continue", "eval", "exit", "export", "readonly", "return", "set", "shift", "times", "trap", "unset",
    "alias", "bg", "cd", "fc", "fg", "getopts", "hash", "jobs", "read", "type", "ulimit", "umask", "unalias", "wait",
    "let", "local", "typeset", "declare", "print", "whence", "echo", "printf", "test", "[", "true", "false", "kill",
    "pwd", "builtin", "shopt", "suspend", "disown", "float", "integer", "enum", "caller",
];

/// Commands that run the command after them, and whether they are programs of their own.
const WRAPPERS: [(&str, bool); 7] = [
    ("exec", false),
    ("command", false),
    ("env", true),
    ("nohup", true),
    ("pfexec", true),
    ("setsid", true),
    ("time", false),
];

/// Substitutions inside each other that are looked into; no script of a person has half as many.
const DEPTH_LIMIT: usize = 32;

/// The words of a script in the order they are met. A text that no shell accepts gives the words up to where it goes
/// wrong, and possibly some that are none.
pub fn words(script: &[u8]) -> Vec<ShellWord> {
    let mut found = Found::default();
    Scanner::new(script, 1, 0, &mut found).list(false);
    let Found { mut words, functions } = found;
    words.retain(|word| word.role != Role::Command || !functions.contains(&word.text));
    words
}

#[derive(Default)]
struct Found {
    words: Vec<ShellWord>,
    /// Names that the script defines itself.
    functions: BTreeSet<Vec<u8>>,
}

struct Scanner<'s, 'f> {
    script: &'s [u8],
    position: usize,
    /// The line at `counted`, from which lines are counted on.
    line: usize,
    counted: usize,
    depth: usize,
    found: &'f mut Found,
}

/// What the next word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Command,
    /// After `exec`, `env` and the like: options and assignments may come first.
    Wrapped,
    Argument,
    /// After `.`: a file that is read.
    Source,
    /// The word that `case` compares.
    Subject,
    /// A pattern of `case`, up to its `)`.
    Pattern,
    /// Inside `[[ ]]`, where `&&`, `<` and parentheses are operators of the test.
    Test,
    /// After `function`.
    FunctionName,
}

struct HereDocument {
    end: Vec<u8>,
    strips_tabs: bool,
}

impl<'s, 'f> Scanner<'s, 'f> {
    fn new(script: &'s [u8], line: usize, depth: usize, found: &'f mut Found) -> Scanner<'s, 'f> {
        Scanner { script, position: 0, line, counted: 0, depth, found }
    }

    fn peek(&self) -> Option<u8> {
        self.script.get(self.position).copied()
    }

    fn passes(&mut self, text: &[u8]) -> bool {
        let passes = self.script[self.position..].starts_with(text);
        self.position += if passes { text.len() } else { 0 };
        passes
    }

    /// The line of a position; positions are asked for in rising order but for the words around a substitution.
    fn line_at(&mut self, position: usize) -> usize {
        let newlines = |part: &[u8]| memchr::memchr_iter(b'\n', part).count();
        if position >= self.counted {
            self.line += newlines(&self.script[self.counted..position]);
        } else {
            self.line -= newlines(&self.script[position..self.counted]);
        }
        self.counted = position;
        self.line
    }

    fn add(&mut self, role: Role, start: usize, text: Vec<u8>) {
        let line = self.line_at(start);
        self.found.words.push(ShellWord { line, role, text });
    }

    /// Commands up to the end, or to the parenthesis that closes a substitution.
    fn list(&mut self, in_parentheses: bool) {
        let mut expect = Expect::Command;
        let (mut open, mut cases) = (0usize, 0usize);
        let mut documents: Vec<HereDocument> = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' => self.position += 1,
                b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>' if expect == Expect::Test => self.position += 1,
                b'\\' if self.script[self.position..].starts_with(b"\\\n") => self.position += 2,
                b'#' => self.skip_line(),
                b'\n' => {
                    self.position += 1;
                    for document in documents.drain(..) {
                        self.skip_document(&document);
                    }
                    if !matches!(expect, Expect::Pattern | Expect::Subject) {
                        expect = Expect::Command;
                    }
                }
                b';' | b'&' | b'|' => {
                    let ends_branch = self.passes(b";;") || self.passes(b";&");
                    self.position += usize::from(!ends_branch);
                    if expect != Expect::Pattern {
                        expect = if ends_branch && cases > 0 { Expect::Pattern } else { Expect::Command };
                    }
                }
                b'(' => {
                    self.position += 1;
                    match expect {
                        Expect::Pattern => {}
                        Expect::Command if self.peek() != Some(b'(') => open += 1,
                        // Arithmetic, the values of an array, or a pattern such as `@(a|b)`.
                        _ => self.skip_nested(b'(', b')'),
                    }
                }
                b')' => {
                    self.position += 1;
                    match expect {
                        Expect::Pattern => expect = Expect::Command,
                        _ if open == 0 && in_parentheses => return,
                        _ => {
                            open = open.saturating_sub(1);
                            expect = Expect::Argument;
                        }
                    }
                }
                b'<' | b'>' => documents.extend(self.redirection()),
                _ => {
                    let word = self.word();
                    if word.text.iter().all(u8::is_ascii_digit)
                        && !word.quoted
                        && matches!(self.peek(), Some(b'<' | b'>'))
                    {
                        continue;
                    }
                    expect = self.meaning(word, expect, &mut cases);
                }
            }
        }
    }

    /// Notes what a word stands for, and says what comes next.
    fn meaning(&mut self, word: Word, expect: Expect, cases: &mut usize) -> Expect {
        let plain = if word.literal && !word.quoted { std::str::from_utf8(&word.text).unwrap_or("") } else { "" };
        match expect {
            Expect::Command | Expect::Wrapped => {}
            Expect::Argument => {
                self.path(&word, &word.text);
                return Expect::Argument;
            }
            Expect::Source => {
                let role = if word.literal { Role::Source } else { Role::Unknown };
                self.add_word(role, word);
                return Expect::Argument;
            }
            Expect::Subject => {
                if plain != "in" {
                    return Expect::Subject;
                }
                *cases += 1;
                return Expect::Pattern;
            }
            Expect::Pattern => {
                if plain != "esac" {
                    return Expect::Pattern;
                }
                *cases = cases.saturating_sub(1);
                return Expect::Argument;
            }
            Expect::Test => {
                self.path(&word, &word.text);
                return if plain == "]]" { Expect::Argument } else { Expect::Test };
            }
            Expect::FunctionName => {
                self.found.functions.insert(word.text);
                return Expect::Command;
            }
        }
        if let Some(value) = word.assigned() {
            if !value.contains(&b':') {
                self.path(&word, value);
            }
            if value.is_empty() && self.passes(b"(") {
                self.skip_nested(b'(', b')');
            }
            return expect;
        }
        if expect == Expect::Wrapped && word.text.starts_with(b"-") {
            return Expect::Wrapped;
        }
        match plain {
            "if" | "then" | "else" | "elif" | "do" | "while" | "until" | "!" | "{" => return Expect::Command,
            "fi" | "done" | "esac" | "}" | "for" | "select" | "in" => return Expect::Argument,
            "case" => return Expect::Subject,
            "function" => return Expect::FunctionName,
            "." | "source" => return Expect::Source,
            "[[" => return Expect::Test,
            _ => {}
        }
        if let Some((_, is_program)) = WRAPPERS.iter().find(|(name, _)| *name == plain) {
            if *is_program {
                self.add_word(Role::Command, word);
            }
            return Expect::Wrapped;
        }
        if !plain.is_empty() && self.defines_function() {
            self.found.functions.insert(word.text);
            return Expect::Command;
        }
        let is_built_in = std::str::from_utf8(&word.text).is_ok_and(|text| BUILT_IN.contains(&text));
        match word.literal {
            true if is_built_in || word.text.is_empty() => {}
            true => self.add_word(Role::Command, word),
            false => self.add_word(Role::Unknown, word),
        }
        Expect::Argument
    }

    fn add_word(&mut self, role: Role, word: Word) {
        let text = match role {
            Role::Unknown => self.script[word.start..self.position].to_vec(),
            Role::Command | Role::Source | Role::Path => word.text,
        };
        self.add(role, word.start, text);
    }

    /// Notes `text`, a part of the word, if it is an absolute path.
    fn path(&mut self, word: &Word, text: &[u8]) {
        if word.literal && text.starts_with(b"/") && text.len() > 1 {
            self.add(Role::Path, word.start, text.to_vec());
        }
    }

    /// Whether `()` follows; it is passed over.
    fn defines_function(&mut self) -> bool {
        let blanks = |bytes: &[u8]| bytes.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let rest = &self.script[self.position..];
        let before = blanks(rest);
        let Some(rest) = rest[before..].strip_prefix(b"(") else { return false };
        let between = blanks(rest);
        if !rest[between..].starts_with(b")") {
            return false;
        }
        self.position += before + between + 2;
        true
    }

    /// A redirection with its file. What is written is no reference; what is read is one.
    fn redirection(&mut self) -> Option<HereDocument> {
        if self.passes(b"<<") {
            let strips_tabs = self.passes(b"-");
            self.skip_blanks();
            let end = self.word();
            return Some(HereDocument { end: end.text, strips_tabs });
        }
        let reads = self.passes(b"<") && !self.passes(b">") && !self.passes(b"&");
        if !reads {
            let _operator = self.passes(b">") && (self.passes(b">") || self.passes(b"&") || self.passes(b"|"));
        }
        self.skip_blanks();
        let file = self.word();
        if reads {
            self.path(&file, &file.text);
        }
        None
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.position += 1;
        }
    }

    fn skip_line(&mut self) {
        let rest = &self.script[self.position..];
        self.position += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    }

    fn skip_document(&mut self, document: &HereDocument) {
        while self.position < self.script.len() {
            let start = self.position;
            self.skip_line();
            let mut line = &self.script[start..self.position];
            self.position = (self.position + 1).min(self.script.len());
            while document.strips_tabs && line.starts_with(b"\t") {
                line = &line[1..];
            }
            if line == document.end {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
