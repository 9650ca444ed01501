//! A startup line, split as a POSIX shell would split it, or found to need that shell.
//!
//! The rules are those of the Shell Command Language (POSIX.1-2024, XCU 2.2 Quoting, 2.3 Token Recognition, 2.9.1
//! Simple Commands). Whatever a shell would expand, redirect or do by itself makes a line a shell's: it is better to
//! ask for a `/bin/sh` that is not needed than to start a program with `*` for a name.

use super::{PROGRAM_DIRECTORIES, StartupError};
use crate::path::RootPath;

/// The shell that runs lines with shell syntax.
pub const SHELL: &str = "/bin/sh";

/// What a startup line starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A program and its arguments, without quotes; at least one word.
    Words {
        /// `NAME=value`, from the front of the line.
        environment: Vec<String>,
        words: Vec<String>,
    },
    /// `/bin/sh -c SCRIPT`, as the line uses shell syntax.
    Shell {
        /// The line as the recipe has it.
        script: String,
    },
}

impl Command {
    /// The program: a path, or a bare name to be looked for in [`PROGRAM_DIRECTORIES`].
    pub fn program(&self) -> &str {
        match self {
            Command::Words { words, .. } => words.first().map_or("", String::as_str),
            Command::Shell { .. } => SHELL,
        }
    }

    /// The places where the program can be, in order: one for a path, one for each directory for a bare name.
    pub fn program_candidates(&self) -> Vec<RootPath> {
        let program = self.program();
        if program.contains('/') {
            return absolute_path(program).into_iter().collect();
        }
        PROGRAM_DIRECTORIES.iter().filter_map(|directory| absolute_path(&format!("{directory}/{program}"))).collect()
    }

    /// The absolute paths on the line, each once and in order: the program if it is one, arguments (`/srv/hello.js`,
    /// `--config=/etc/x`) and values of variables (`NODE_PATH=/a:/b`); of a shell's line, `/bin/sh` and the words
    /// that look like paths.
    ///
    /// An argument may name a file that is made later, or mean something else: what is not in the root is no error.
    /// Paths with `..` are left out, and so is `/`.
    pub fn paths(&self) -> Vec<RootPath> {
        let mut candidates: Vec<&str> = Vec::new();
        match self {
            Command::Words { environment, words } => {
                for word in words {
                    candidates.push(word);
                    candidates.extend(word.split_once('=').map(|(_, value)| value));
                }
                let values = environment.iter().filter_map(|variable| variable.split_once('='));
                candidates.extend(values.flat_map(|(_, value)| value.split(':')));
            }
            Command::Shell { script } => {
                candidates.push(SHELL);
                let boundary = |c: char| c.is_whitespace() || "|&;<>()$`\\\"'*?[]#~=%{}!".contains(c);
                candidates.extend(script.split(boundary));
            }
        }
        let mut paths = Vec::new();
        for path in candidates.into_iter().filter_map(absolute_path) {
            if !path.is_root() && !paths.contains(&path) {
                paths.push(path);
            }
        }
        paths
    }
}

fn absolute_path(text: &str) -> Option<RootPath> {
    RootPath::new(text).ok()
}

/// Takes a startup line apart.
///
/// # Errors
/// A line without a command, a quote without its partner, a backslash at the end, a NUL byte. Lines with shell syntax
/// are not looked at further: what is wrong in them, the shell says when it runs them.
pub fn command_line(run: &str) -> Result<Command, StartupError> {
    if run.contains('\0') {
        return Err(StartupError::Nul { run: run.to_owned() });
    }
    let Some(mut words) = Splitter::new(run).words()? else {
        return Ok(Command::Shell { script: run.to_owned() });
    };
    let n_assignments = words.iter().take_while(|word| word.is_assignment).count();
    let command = words.split_off(n_assignments);
    let Some(first) = command.first() else {
        return Err(StartupError::NoCommand { run: run.to_owned() });
    };
    if !first.quoted && SHELL_WORDS.contains(&&*first.text) {
        return Ok(Command::Shell { script: run.to_owned() });
    }
    let texts = |words: Vec<Word>| words.into_iter().map(|word| word.text).collect();
    Ok(Command::Words { environment: texts(words), words: texts(command) })
}

/// First words that only a shell understands: reserved words (XCU 2.4), special built-in utilities (2.15) and those
/// that change the shell itself (1.7). `echo`, `test`, `kill`, `true` and the like are programs as well.
const SHELL_WORDS: [&str; 52] = [
    "!", "{", "}", "case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "in", "then", "until", "while",
    "function", "[[", "]]", // reserved, and in shells that go beyond POSIX
    ".", ":", "break", "continue", "eval", "exec", "exit", "export", "readonly", "return", "set", "shift", "times",
    "trap", "unset", // special built-in utilities
    "alias", "bg", "cd", "command", "fc", "fg", "getopts", "hash", "jobs", "read", "type", "ulimit", "umask",
    "unalias", "wait", "source", "local", "let",
];

/// What may stand before and after a line, as the string of a recipe may begin and end with a line end.
const BLANKS: [char; 3] = [' ', '\t', '\n'];

/// Characters that outside of quotes mean something to a shell wherever they are.
const SHELL_CHARACTERS: &str = "|&;<>()$`*?[\n";

#[derive(Default)]
struct Word {
    text: String,
    /// Some of the word was in quotes, which makes a reserved word an ordinary one.
    quoted: bool,
    /// `NAME=value` with nothing of `NAME=` in quotes.
    is_assignment: bool,
}

struct Splitter<'a> {
    run: &'a str,
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    words: Vec<Word>,
    /// The word being read; `None` between words.
    word: Option<Word>,
}

impl<'a> Splitter<'a> {
    fn new(run: &'a str) -> Splitter<'a> {
        Splitter { run, rest: run.trim_start_matches(BLANKS).chars().peekable(), words: Vec::new(), word: None }
    }

    /// The words of the line; `None` when it needs a shell.
    fn words(mut self) -> Result<Option<Vec<Word>>, StartupError> {
        while let Some(character) = self.rest.next() {
            match character {
                ' ' | '\t' => self.words.extend(self.word.take()),
                '\n' if self.rest.clone().all(|character| BLANKS.contains(&character)) => break,
                '\'' => self.single_quoted()?,
                '"' => {
                    if !self.double_quoted()? {
                        return Ok(None);
                    }
                }
                '\\' => match self.rest.next() {
                    // A line continuation: both characters vanish.
                    Some('\n') => {}
                    Some(escaped) => self.quoted_word().text.push(escaped),
                    None => return Err(StartupError::TrailingBackslash { run: self.run.to_owned() }),
                },
                _ if self.is_shell_syntax(character) => return Ok(None),
                _ => self.push(character),
            }
        }
        self.words.extend(self.word.take());
        Ok(Some(self.words))
    }

    fn is_shell_syntax(&self, character: char) -> bool {
        match character {
            '#' => self.word.is_none(),
            // Tilde expansion: at the start of a word, and after `=` and `:` of an assignment (XCU 2.6.1).
            '~' => match &self.word {
                None => true,
                Some(word) => word.is_assignment && word.text.ends_with(['=', ':']),
            },
            _ => SHELL_CHARACTERS.contains(character),
        }
    }

    fn push(&mut self, character: char) {
        let word = self.word.get_or_insert_default();
        if character == '=' && !word.quoted && is_variable_name(&word.text) {
            word.is_assignment = true;
        }
        word.text.push(character);
    }

    /// The word being read, which exists from its first quote on, even if nothing is in the quotes.
    fn quoted_word(&mut self) -> &mut Word {
        let word = self.word.get_or_insert_default();
        word.quoted = true;
        word
    }

    fn single_quoted(&mut self) -> Result<(), StartupError> {
        self.quoted_word();
        loop {
            match self.rest.next() {
                Some('\'') => return Ok(()),
                Some(character) => self.quoted_word().text.push(character),
                None => return Err(self.unterminated('\'')),
            }
        }
    }

    /// Reads to the closing quote; false when something in the quotes is a shell's to expand.
    fn double_quoted(&mut self) -> Result<bool, StartupError> {
        self.quoted_word();
        loop {
            match self.rest.next() {
                Some('"') => return Ok(true),
                Some('$' | '`') => return Ok(false),
                Some('\\') => match self.rest.next_if(|next| "$`\"\\\n".contains(*next)) {
                    Some('\n') => {}
                    Some(escaped) => self.quoted_word().text.push(escaped),
                    None => self.quoted_word().text.push('\\'),
                },
                Some(character) => self.quoted_word().text.push(character),
                None => return Err(self.unterminated('"')),
            }
        }
    }

    fn unterminated(&self, quote: char) -> StartupError {
        StartupError::UnterminatedQuote { run: self.run.to_owned(), quote }
    }
}

/// Letters, digits and underscores, no digit first (XBD 3.216 Name).
fn is_variable_name(text: &str) -> bool {
    text.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words as `VAR=value… | word word…`, a shell's line as `sh`, an error as its message.
    fn check(run: &str, expected: &str) {
        let shown = match command_line(run) {
            Ok(Command::Words { environment, words }) => format!("{}|{}", environment.join("·"), words.join("·")),
            Ok(Command::Shell { script }) => {
                assert_eq!(script, run);
                "sh".to_owned()
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected, "{run:?}");
    }

    #[test]
    fn plain_words_are_split_as_a_shell_splits_them() {
        let cases = [
            ("/usr/bin/node /srv/hello.js", "|/usr/bin/node·/srv/hello.js"),
            ("\n echo a\n \n", "|echo·a"),
            ("echo a\\ ", "|echo·a "),
            ("  node\t a  b ", "|node·a·b"),
            (r"echo 'a b' '\' ''", r"|echo·a b·\·"),
            (r#"echo "a 'b' \" \\ \x" "" "#, r#"|echo·a 'b' " \ \x·"#),
            (r"echo a\ b \\ \' \$HOME \*", r"|echo·a b·\·'·$HOME·*"),
            (r#"a'b'"c"d"#, "|abcd"),
            ("echo a\\\nb \"c\\\nd\"", "|echo·ab·cd"),
            ("echo 'a\nb'", "|echo·a\nb"),
            ("A=1 _b2='x y' prog C=3", "A=1·_b2=x y|prog·C=3"),
            ("A= prog", "A=|prog"),
            ("2A=1 x", "|2A=1·x"),
            ("'A=1' x", "|A=1·x"),
            ("A'B'=1 x", "|AB=1·x"),
            ("/opt/a=b x", "|/opt/a=b·x"),
            ("a#b a~b -x=~ {a,b} a! %d +x @y ]", "|a#b·a~b·-x=~·{a,b}·a!·%d·+x·@y·]"),
            ("'if' x", "|if·x"),
            ("echo if cd", "|echo·if·cd"),
            ("café ü", "|café·ü"),
        ];
        for (run, expected) in cases {
            check(run, expected);
        }
    }

    #[test]
    fn shell_syntax_needs_the_shell() {
        for run in [
            "a | b",
            "a & b",
            "a &",
            "a; b",
            "a && b",
            "a > b",
            "a < b",
            "(a)",
            "a $B",
            "a \"$B\"",
            "a `b`",
            "a \"`b`\"",
            "a *",
            "a ?",
            "a [b]",
            "~/a",
            "A=~ x",
            "A=/x:~/y x",
            "a # b",
            "a\nb",
            "if true",
            "cd /x",
            "exec x",
            ". /x",
            "! x",
            "{ x",
            "A=1 export B",
        ] {
            check(run, "sh");
        }
    }

    #[test]
    fn lines_that_no_shell_would_take_are_errors() {
        check("", "the startup line `` has no command");
        check("  ", "the startup line `  ` has no command");
        check("A=1", "the startup line `A=1` has no command");
        check("a 'b", "the startup line `a 'b` has a ' without its partner");
        check("a \"b", "the startup line `a \"b` has a \" without its partner");
        check("a \\", "the startup line `a \\\\` ends with a backslash");
        check("a\0", "the startup line `a\\x00` has a NUL byte");
    }

    #[test]
    fn paths_on_the_line_are_reported() {
        let paths = |run| command_line(run).unwrap().paths().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(paths("/usr/bin/node /srv/hello.js /srv/hello.js"), ["/usr/bin/node", "/srv/hello.js"]);
        assert_eq!(paths("node --require=/srv//a.js b/c / ../d /e/../f"), ["/srv/a.js"]);
        assert_eq!(paths("NODE_PATH=/a:/b:c node"), ["/a", "/b"]);
        assert_eq!(paths("/bin/x </etc/in >\"/tmp/out\"; A=/y z"), ["/bin/sh", "/bin/x", "/etc/in", "/tmp/out", "/y"]);
    }

    #[test]
    fn a_bare_name_has_a_candidate_in_each_directory() {
        let candidates = |run| command_line(run).unwrap().program_candidates();
        assert_eq!(candidates("/a/b c"), [RootPath::new("/a/b").unwrap()]);
        assert_eq!(candidates("node").len(), 6);
        assert_eq!(candidates("node")[3], RootPath::new("/usr/bin/node").unwrap());
        assert_eq!(candidates("./node"), []);
    }
}
