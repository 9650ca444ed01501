//! A shell script to its commands: the grammar of the Shell Command Language (POSIX.1-2024, XCU 2.9 and 2.10).
//!
//! Redirections and here-documents are passed over: what a command prints is never looked at. What dash would not take,
//! or only bash does (arrays, arithmetic commands), is no script here.

use super::word::{Part, Word};
use std::sync::Arc;

/// Compound commands inside each other; no script of a person has half as many.
const DEPTH_LIMIT: usize = 24;

const RESERVED: [&str; 16] =
    ["if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "case", "esac", "in", "{", "}", "!"];

/// A command, simple or compound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Assignments, the name of a command and its arguments.
    Simple(Vec<Word>),
    /// One after the other.
    List(Vec<Node>),
    Not(Box<Node>),
    /// A command, and what follows it after `&&` or `||`. Flat, since a script may have thousands in a row.
    AndOr(Box<Node>, Vec<(Joint, Node)>),
    /// Commands joined by `|`, two at least.
    Pipeline(Vec<Node>),
    /// In parentheses: what it assigns is gone afterwards.
    Subshell(Box<Node>),
    /// Each condition with what it leads to, and what `else` does.
    If(Vec<(Node, Node)>, Box<Node>),
    For {
        variable: String,
        /// The positional parameters when there is no `in`.
        items: Option<Vec<Word>>,
        body: Box<Node>,
    },
    /// `while` and `until`.
    Loop {
        condition: Box<Node>,
        body: Box<Node>,
    },
    Case {
        subject: Word,
        arms: Vec<(Vec<Word>, Node)>,
    },
    Function {
        name: String,
        body: Arc<Node>,
    },
}

/// When the next command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joint {
    And,
    Or,
}

/// Reads a whole script; `None` when this is no shell's text, or one for bash alone.
pub fn parse(script: &str) -> Option<Node> {
    let mut parser = Parser { text: script.as_bytes(), position: 0, depth: 0, documents: Vec::new() };
    let list = parser.list()?;
    (parser.position == parser.text.len()).then_some(list)
}

pub(super) struct Parser<'s> {
    pub text: &'s [u8],
    pub position: usize,
    depth: usize,
    /// The marks of here-documents that begin after this line, and whether tabs before the last one count.
    documents: Vec<(String, bool)>,
}

impl Parser<'_> {
    pub fn peek(&self) -> Option<u8> {
        self.text.get(self.position).copied()
    }

    pub fn passes(&mut self, text: &str) -> bool {
        let passes = self.text[self.position..].starts_with(text.as_bytes());
        self.position += if passes { text.len() } else { 0 };
        passes
    }

    /// Commands up to a word or a mark that ends them, which stays.
    fn list(&mut self) -> Option<Node> {
        let mut nodes = Vec::new();
        loop {
            self.skip_separators();
            let ends = matches!(self.reserved(), Some("then" | "elif" | "else" | "fi" | "do" | "done" | "esac" | "}"));
            if ends || matches!(self.peek(), None | Some(b')' | b';')) {
                break;
            }
            nodes.push(self.and_or()?);
            self.skip_blanks();
            // `;;` ends a branch of `case`.
            if !self.text[self.position..].starts_with(b";;") && !self.passes(";") {
                self.passes("&");
            }
        }
        Some(Node::List(nodes))
    }

    fn and_or(&mut self) -> Option<Node> {
        let first = self.pipeline()?;
        let mut more = Vec::new();
        loop {
            self.skip_blanks();
            let joint = if self.passes("&&") {
                Joint::And
            } else if self.passes("||") {
                Joint::Or
            } else {
                break;
            };
            self.skip_newlines();
            more.push((joint, self.pipeline()?));
        }
        Some(if more.is_empty() { first } else { Node::AndOr(Box::new(first), more) })
    }

    fn pipeline(&mut self) -> Option<Node> {
        self.skip_blanks();
        let negated = self.keyword("!");
        let mut commands = vec![self.command()?];
        loop {
            self.skip_blanks();
            if self.text[self.position..].starts_with(b"||") || !self.passes("|") {
                break;
            }
            self.skip_newlines();
            commands.push(self.command()?);
        }
        let node = if commands.len() == 1 { commands.remove(0) } else { Node::Pipeline(commands) };
        Some(if negated { Node::Not(Box::new(node)) } else { node })
    }

    fn command(&mut self) -> Option<Node> {
        self.depth += 1;
        let node = if self.depth <= DEPTH_LIMIT { self.command_here() } else { None };
        self.depth -= 1;
        node
    }

    fn command_here(&mut self) -> Option<Node> {
        self.skip_blanks();
        let node = if self.passes("((") {
            return None;
        } else if self.passes("(") {
            let list = self.list()?;
            self.passes(")").then_some(Node::Subshell(Box::new(list)))?
        } else {
            match self.reserved() {
                Some("{") => self.block("{", "}")?,
                Some("if") => self.conditional()?,
                Some("for") => self.for_loop()?,
                Some(word @ ("while" | "until")) => {
                    self.position += word.len();
                    let condition = Box::new(self.list()?);
                    Node::Loop { condition, body: Box::new(self.block("do", "done")?) }
                }
                Some("case") => self.case()?,
                Some(_) => return None,
                None => return self.simple(),
            }
        };
        self.skip_blanks();
        while self.redirection()? {
            self.skip_blanks();
        }
        Some(node)
    }

    fn block(&mut self, opening: &str, closing: &str) -> Option<Node> {
        self.skip_separators();
        self.keyword(opening).then_some(())?;
        let list = self.list()?;
        self.keyword(closing).then_some(list)
    }

    fn conditional(&mut self) -> Option<Node> {
        let mut branches = Vec::new();
        while self.keyword("if") || self.keyword("elif") {
            let condition = self.list()?;
            self.keyword("then").then_some(())?;
            branches.push((condition, self.list()?));
        }
        let otherwise = if self.keyword("else") { self.list()? } else { Node::List(Vec::new()) };
        self.keyword("fi").then_some(Node::If(branches, Box::new(otherwise)))
    }

    fn for_loop(&mut self) -> Option<Node> {
        self.keyword("for").then_some(())?;
        self.skip_blanks();
        let variable = self.word()?.plain()?.to_owned();
        self.skip_newlines();
        let mut items = None;
        if self.keyword("in") {
            let items = items.insert(Vec::new());
            self.skip_blanks();
            while !matches!(self.peek(), None | Some(b';' | b'\n')) {
                items.push(self.word()?);
                self.skip_blanks();
            }
        }
        Some(Node::For { variable, items, body: Box::new(self.block("do", "done")?) })
    }

    fn case(&mut self) -> Option<Node> {
        self.keyword("case").then_some(())?;
        self.skip_blanks();
        let subject = self.word()?;
        self.skip_newlines();
        self.keyword("in").then_some(())?;
        let mut arms = Vec::new();
        loop {
            self.skip_newlines();
            if self.keyword("esac") {
                return Some(Node::Case { subject, arms });
            }
            self.passes("(");
            let mut patterns = Vec::new();
            loop {
                self.skip_blanks();
                patterns.push(self.word()?);
                self.skip_blanks();
                if !self.passes("|") {
                    break;
                }
            }
            self.passes(")").then_some(())?;
            arms.push((patterns, self.list()?));
            // The last branch needs no end of its own.
            if !self.passes(";;") && self.reserved() != Some("esac") {
                return None;
            }
        }
    }

    fn simple(&mut self) -> Option<Node> {
        let mut words: Vec<Word> = Vec::new();
        loop {
            self.skip_blanks();
            match self.peek() {
                None | Some(b'\n' | b';' | b'&' | b'|' | b')') => break,
                Some(b'(') => {
                    let [name] = &words[..] else { return None };
                    let name = name.plain()?.to_owned();
                    self.position += 1;
                    self.skip_blanks();
                    self.passes(")").then_some(())?;
                    self.skip_newlines();
                    return Some(Node::Function { name, body: Arc::new(self.command()?) });
                }
                Some(_) if self.redirection()? => {}
                Some(_) => words.push(self.word()?),
            }
            if matches!(&words[..], [only] if only.plain() == Some("[[")) {
                self.skip_test()?;
                words.push(Word::opaque());
                break;
            }
        }
        // Without words it was a redirection alone, which is a command too.
        Some(Node::Simple(words))
    }

    /// The rest of bash's `[[ ... ]]`, in which operators are words.
    fn skip_test(&mut self) -> Option<()> {
        let end = memchr::memmem::find(&self.text[self.position..], b" ]]")?;
        self.position += end + " ]]".len();
        Some(())
    }

    /// Passes over a redirection with the number before it; whether there was one. `None` when its file is missing.
    fn redirection(&mut self) -> Option<bool> {
        let rest = &self.text[self.position..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !matches!(rest.get(digits), Some(b'<' | b'>')) {
            return Some(false);
        }
        self.position += digits;
        let is_document = self.passes("<<");
        let strips_tabs = is_document && self.passes("-");
        let _operator =
            is_document || [">>", ">&", ">|", "<&", "<>", ">", "<"].into_iter().any(|operator| self.passes(operator));
        self.skip_blanks();
        let before = self.position;
        let file = self.word()?;
        if is_document {
            self.documents.push((file.without_quotes()?, strips_tabs));
        }
        (self.position > before).then_some(true)
    }

    /// The reserved word at this place, which stays.
    fn reserved(&self) -> Option<&'static str> {
        let rest = &self.text[self.position..];
        let is_end = |byte: Option<&u8>| byte.is_none_or(|byte| b" \t\n;&|()<>".contains(byte));
        RESERVED.into_iter().find(|word| rest.starts_with(word.as_bytes()) && is_end(rest.get(word.len())))
    }

    fn keyword(&mut self, word: &str) -> bool {
        let is_it = self.reserved() == Some(word);
        self.position += if is_it { word.len() } else { 0 };
        is_it
    }

    /// Blanks, and a comment up to the end of the line.
    fn skip_blanks(&mut self) {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\r') => self.position += 1,
                Some(b'\\') if self.passes("\\\n") => {}
                Some(b'#') => self.skip_line(),
                _ => return,
            }
        }
    }

    fn skip_newlines(&mut self) {
        self.skip_blanks();
        while self.passes("\n") {
            self.skip_documents();
            self.skip_blanks();
        }
    }

    fn skip_separators(&mut self) {
        self.skip_newlines();
        while !self.text[self.position..].starts_with(b";;") && self.passes(";") {
            self.skip_newlines();
        }
    }

    fn skip_line(&mut self) {
        let rest = &self.text[self.position..];
        self.position += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    }

    fn skip_documents(&mut self) {
        for (mark, strips_tabs) in std::mem::take(&mut self.documents) {
            while self.position < self.text.len() {
                let start = self.position;
                self.skip_line();
                let line = &self.text[start..self.position];
                self.passes("\n");
                let tabs = line.iter().take_while(|byte| strips_tabs && **byte == b'\t').count();
                if &line[tabs..] == mark.as_bytes() {
                    break;
                }
            }
        }
    }
}

impl Node {
    /// Calls `visit` with the name of every command that is written out, whether or not it would run.
    pub fn each_name(&self, visit: &mut impl FnMut(&str)) {
        match self {
            Node::Simple(words) => {
                let name = words.iter().find(|word| word.assignment().is_none());
                name.and_then(Word::without_quotes).iter().for_each(|name| visit(name));
            }
            Node::List(nodes) | Node::Pipeline(nodes) => nodes.iter().for_each(|node| node.each_name(visit)),
            Node::Not(node) | Node::Subshell(node) => node.each_name(visit),
            Node::AndOr(first, more) => {
                first.each_name(visit);
                more.iter().for_each(|(_, node)| node.each_name(visit));
            }
            Node::Loop { condition, body } => {
                condition.each_name(visit);
                body.each_name(visit);
            }
            Node::If(branches, otherwise) => {
                for (condition, then) in branches {
                    condition.each_name(visit);
                    then.each_name(visit);
                }
                otherwise.each_name(visit);
            }
            Node::For { body, .. } => body.each_name(visit),
            Node::Function { body, .. } => body.each_name(visit),
            Node::Case { arms, .. } => arms.iter().for_each(|(_, node)| node.each_name(visit)),
        }
    }
}

impl Word {
    /// A word whose text is unknown.
    fn opaque() -> Word {
        Word { parts: vec![Part::Unknown] }
    }
}
