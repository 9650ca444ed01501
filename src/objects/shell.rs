//! A shell script to the words that name other files: commands, and absolute paths among arguments.
//!
//! This is a reader, no shell: it follows the grammar of the Shell Command Language (POSIX.1-2024, XCU 2) far enough to
//! tell a command from a keyword, an argument, a pattern of `case` or the text of a here-document, and takes nothing for
//! granted that depends on a value. A command word with an expansion in it is [`Role::Unknown`]. Commands inside `$( )`
//! and back quotes are found, even where the word around them is an argument.

use std::collections::BTreeSet;

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
    /// An absolute path that is read, sourced, assigned or given to a command. It may be meant as something else.
    Path,
    /// A command whose name depends on a variable, a pattern or another command.
    Unknown,
}

/// Words that a shell does itself: the special built-in utilities (XCU 2.15), those that change the shell (1.7), and the
/// ordinary ones that ksh93, bash, dash and busybox all have built in.
const BUILT_IN: [&str; 51] = [
    ":", "break", "continue", "eval", "exit", "export", "readonly", "return", "set", "shift", "times", "trap", "unset",
    "alias", "bg", "cd", "fc", "fg", "getopts", "hash", "jobs", "read", "type", "ulimit", "umask", "unalias", "wait",
    "let", "local", "typeset", "declare", "print", "whence", "echo", "printf", "test", "[", "[[", "]]", "true",
    "false", "kill", "pwd", "builtin", "shopt", "suspend", "disown", "float", "integer", "enum", "caller",
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
    /// After `function`.
    FunctionName,
}

struct Word {
    start: usize,
    text: Vec<u8>,
    /// Nothing in it depends on a value.
    literal: bool,
    quoted: bool,
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
                    if expect != Expect::Pattern {
                        open += 1;
                        expect = Expect::Command;
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
                let role = if word.literal { Role::Path } else { Role::Unknown };
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
            Expect::FunctionName => {
                self.found.functions.insert(word.text);
                return Expect::Command;
            }
        }
        if let Some(value) = assigned(&word) {
            if !value.contains(&b':') {
                self.path(&word, value);
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
            Role::Command | Role::Path => word.text,
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

    /// A word; empty when there is none at this place.
    fn word(&mut self) -> Word {
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
    fn skip_nested(&mut self, opening: u8, closing: u8) {
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

/// The value of `NAME=value`; quotes and expansions may be in the value only.
fn assigned(word: &Word) -> Option<&[u8]> {
    let equals = memchr::memchr(b'=', &word.text)?;
    let (name, value) = (&word.text[..equals], &word.text[equals + 1..]);
    let is_name = name.iter().enumerate().all(|(index, byte)| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'_' => true,
        b'0'..=b'9' => index > 0,
        _ => false,
    });
    (is_name && !name.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words as `line role text`, with `c`, `p` and `?` for the roles.
    fn check(script: &str, expected: &[&str]) {
        let found: Vec<String> = words(script.as_bytes())
            .iter()
            .map(|word| {
                let role = match word.role {
                    Role::Command => 'c',
                    Role::Path => 'p',
                    Role::Unknown => '?',
                };
                format!("{} {role} {}", word.line, String::from_utf8_lossy(&word.text))
            })
            .collect();
        assert_eq!(found, expected, "{script}");
    }

    #[test]
    fn the_first_word_of_a_command_is_one() {
        check(
            "#!/sbin/sh\n# x\n/sbin/mount -F tmpfs swap /tmp\nls;du|wc&&a||b&\n",
            &["3 c /sbin/mount", "3 p /tmp", "4 c ls", "4 c du", "4 c wc", "4 c a", "4 c b"],
        );
    }

    #[test]
    fn keywords_and_built_ins_are_no_programs() {
        check(
            "if [ -f /etc/x ]; then\n\tls\nelif ! grep -q a b; then cd /tmp\nelse :; fi\n",
            &["1 p /etc/x", "2 c ls", "3 c grep", "3 p /tmp"],
        );
        check("for i in /a b; do cat $i; done; while true; do sleep 1; done", &["1 p /a", "1 c cat", "1 c sleep"]);
        check("{ a; } ; ( b; c ) ; \"test\" x", &["1 c a", "1 c b", "1 c c"]);
    }

    #[test]
    fn case_patterns_are_no_commands() {
        check(
            "case \"$1\" in\n'start'|run)\n\t/lib/svc/bin/x\n\t;;\n(stop) kill 1;;\n*) y;;\nesac\nz\n",
            &["3 c /lib/svc/bin/x", "6 c y", "8 c z"],
        );
        check("case a in b) case c in d) e;; esac;; f) g;; esac; h", &["1 c e", "1 c g", "1 c h"]);
    }

    #[test]
    fn variables_make_a_command_unknown() {
        check(
            "$DAEMON -x\n\"${X}/bin/y\" z\n/usr/bin/*/a\n~/b\n",
            &["1 ? $DAEMON", "2 ? \"${X}/bin/y\"", "3 ? /usr/bin/*/a", "4 ? ~/b"],
        );
        check("DAEMON=/usr/sbin/d PATH=/usr/bin:/sbin run a=/b", &["1 p /usr/sbin/d", "1 c run"]);
    }

    #[test]
    fn substitutions_are_looked_into() {
        check(
            "x=$(uname -s)\ny=`/sbin/z \\`inner\\``\necho \"a $(cat /etc/q) b\" $((1+2)) ${v:-`no`}\n",
            &["1 c uname", "2 c /sbin/z", "2 c inner", "3 c cat", "3 p /etc/q"],
        );
        check("$(a)/b c", &["1 c a", "1 ? $(a)/b"]);
    }

    #[test]
    fn wrappers_run_the_next_word() {
        check("exec /usr/bin/node /srv/x.js", &["1 c /usr/bin/node", "1 p /srv/x.js"]);
        check("env -i A=b nohup prog & command -v x; exec >/dev/null", &["1 c env", "1 c nohup", "1 c prog", "1 c x"]);
    }

    #[test]
    fn sourced_files_are_paths() {
        check(
            ". /lib/svc/share/smf_include.sh\n. $X/y\n. ./rel\n",
            &["1 p /lib/svc/share/smf_include.sh", "2 ? $X/y", "3 p ./rel"],
        );
    }

    #[test]
    fn functions_of_the_script_are_no_programs() {
        check(
            "early\nearly() {\n\tls\n}\nfunction late { du; }\nlate; early2 ( ) { x; }; early2",
            &["3 c ls", "5 c du", "6 c x"],
        );
    }

    #[test]
    fn redirections_and_here_documents_are_told_from_commands() {
        check("a <\\\n/etc/in >/etc/out 2>&1 2>/dev/null b\n", &["1 c a", "1 p /etc/in"]);
        check("cat <<EOF >/x\nrm -rf /\nEOF\nls <<-'E'\n\t$(no)\n\tE\nls", &["1 c cat", "4 c ls", "7 c ls"]);
        check("> /x y <> /z", &["1 c y"]);
    }

    #[test]
    fn quotes_and_continuations_join_words() {
        check("/usr/\"bin\"/'a b'\\ c \\\n  /p\n'ls'\n\"echo\"\n", &["1 c /usr/bin/a b c", "2 p /p", "3 c ls"]);
        check("echo '\n\n' ; x\ny", &["3 c x", "4 c y"]);
    }

    #[test]
    fn hostile_text_ends() {
        let odd =
            ["`", "$(", "${", "\"", "'", "\\", "(", ")", "<<", "<<E", "case", "case x in", "$((", "\"$(", "a=`", ";;"];
        for part in odd {
            words(part.as_bytes());
            words(part.repeat(2000).as_bytes());
            words(format!("{part} {part} \n{part}").as_bytes());
        }
        words(&[0xff; 1000]);
        words(&(0..=255).collect::<Vec<u8>>());
    }
}
