//! Forth text to the few statements that decide which files the illumos loader reads.
//!
//! This is no Forth interpreter. `loader.rc` and what it includes are lines of words; those that matter here stand at the
//! top level, outside of definitions: `include`, `try-include`, `set`, `load`, and the words that read the
//! configuration, show the menu and boot. A definition's body is passed over, whatever it holds.

/// Something the interpreter does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub condition: Condition,
    pub action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Include {
        path: String,
        /// `try-include`: nothing happens when the file is not there.
        optional: bool,
    },
    /// `set NAME=VALUE`, quotes taken off.
    Set {
        name: String,
        value: String,
    },
    Unset(String),
    /// `load [-t TYPE] FILE ARGUMENT...`
    Load {
        kind: Option<String>,
        file: String,
    },
    /// `initialize` of loader.4th: the configuration is read.
    Configure,
    /// `start` of loader.4th: the configuration is read, kernel and modules are loaded.
    Start,
    /// `beastie-start` of beastie.4th: the menu, unless `beastie_disable` is set.
    Menu,
}

/// When a statement is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Always,
    /// Behind `efi? [if]`, or in its `[else]`.
    Efi(bool),
    /// Behind an `[if]` that is not understood.
    Unknown,
}

/// Reads a file.
pub(super) fn statements(text: &[u8]) -> Vec<Statement> {
    let text = String::from_utf8_lossy(text);
    let mut reader = Reader::default();
    for line in text.lines() {
        reader.line(line);
    }
    reader.statements
}

#[derive(Default)]
struct Reader {
    statements: Vec<Statement>,
    in_definition: bool,
    /// In a comment in parentheses that its line did not end.
    in_comment: bool,
    conditions: Vec<Condition>,
    /// The word before this one.
    last: String,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let mut words = Words(line);
        while let Some(word) = words.next() {
            if self.in_comment {
                self.in_comment = !word.ends_with(')');
                continue;
            }
            match word.to_ascii_lowercase().as_str() {
                "\\" => return,
                "(" => self.in_comment = !words.skip_past(')'),
                ".(" => drop(words.skip_past(')')),
                "s'" => drop(words.skip_past('\'')),
                quoted if quoted.ends_with('"') => drop(words.skip_past('"')),
                // The next word is data.
                "[char]" | "char" | "'" | "[']" | "postpone" => drop(words.next()),
                ":" => {
                    words.next();
                    self.in_definition = true;
                }
                ":noname" => self.in_definition = true,
                ";" | ";constructor" => self.in_definition = false,
                _ if self.in_definition => {}
                "[if]" => self.conditions.push(self.condition_of_last()),
                "[else]" => {
                    if let Some(condition) = self.conditions.last_mut() {
                        *condition = condition.otherwise();
                    }
                }
                "[then]" => drop(self.conditions.pop()),
                command => {
                    if let Some(action) = action(command, &mut words) {
                        let condition = self.condition();
                        self.statements.push(Statement { condition, action });
                    }
                }
            }
            self.last = word.to_ascii_lowercase();
        }
    }

    fn condition_of_last(&self) -> Condition {
        if self.last == "efi?" { Condition::Efi(true) } else { Condition::Unknown }
    }

    /// That of all `[if]`s around.
    fn condition(&self) -> Condition {
        let mut whole = Condition::Always;
        for condition in &self.conditions {
            whole = match (whole, *condition) {
                (Condition::Always, inner) => inner,
                (outer, inner) if outer == inner => outer,
                _ => Condition::Unknown,
            };
        }
        whole
    }
}

impl Condition {
    fn otherwise(self) -> Condition {
        match self {
            Condition::Efi(is_efi) => Condition::Efi(!is_efi),
            other => other,
        }
    }
}

fn action(command: &str, words: &mut Words<'_>) -> Option<Action> {
    Some(match command {
        "include" | "try-include" => {
            Action::Include { path: words.next()?.to_owned(), optional: command == "try-include" }
        }
        "set" => {
            let (name, value) = words.rest().split_once('=')?;
            let value = value.trim();
            let unquoted = ['"', '\''].iter().find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q));
            Action::Set { name: name.trim().to_owned(), value: unquoted.unwrap_or(value).to_owned() }
        }
        "unset" => Action::Unset(words.next()?.to_owned()),
        "load" => {
            let first = words.next()?;
            let (kind, file) = match first.strip_prefix("-t") {
                Some("") => (Some(words.next()?.to_owned()), words.next()?),
                Some(kind) => (Some(kind.to_owned()), words.next()?),
                None => (None, first),
            };
            // Arguments of the file are no words of their own.
            words.rest();
            Action::Load { kind, file: file.to_owned() }
        }
        "initialize" => Action::Configure,
        "start" => Action::Start,
        "beastie-start" => Action::Menu,
        _ => return None,
    })
}

/// The words of a line, and what is left of it.
struct Words<'l>(&'l str);

impl<'l> Words<'l> {
    fn next(&mut self) -> Option<&'l str> {
        let line = self.0.trim_start();
        let end = line.find(char::is_whitespace).unwrap_or(line.len());
        let (word, rest) = line.split_at(end);
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }

    /// Goes behind the next `end`; to the end of the line, and `false`, when there is none.
    fn skip_past(&mut self, end: char) -> bool {
        match self.0.split_once(end) {
            Some((_, rest)) => {
                self.0 = rest;
                true
            }
            None => {
                self.0 = "";
                false
            }
        }
    }

    fn rest(&mut self) -> &'l str {
        std::mem::take(&mut self.0).trim()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn include(path: &str, optional: bool) -> Action {
        Action::Include { path: path.to_owned(), optional }
    }

    #[test]
    fn what_stands_at_the_top_level_is_done() {
        let text = "\\ include /comment\n( include /comment\n include /still ) include /a\n\
                    try-include /b\nset autoboot_delay=\"3\"\nunset x\nload -t rootfs /c -v\nload /d\n\
                    initialize drop\n.\" include /string\" cr s\" include /string\" evaluate start beastie-start\n";
        let actions: Vec<Action> = statements(text.as_bytes()).into_iter().map(|s| s.action).collect();
        assert_eq!(
            actions,
            [
                include("/a", false),
                include("/b", true),
                Action::Set { name: "autoboot_delay".into(), value: "3".into() },
                Action::Unset("x".into()),
                Action::Load { kind: Some("rootfs".into()), file: "/c".into() },
                Action::Load { kind: None, file: "/d".into() },
                Action::Configure,
                Action::Start,
                Action::Menu,
            ]
        );
    }

    #[test]
    fn definitions_are_passed_over_up_to_their_own_end() {
        let text = ": initialize ( -- )\n  [char] ; emit ' ; drop\n  .\" ;\" include /no\n; include /yes\n";
        let found = statements(text.as_bytes());
        assert_eq!(found, [Statement { condition: Condition::Always, action: include("/yes", false) }]);
    }

    #[test]
    fn conditions_are_those_of_the_firmware_or_unknown() {
        let text = "efi? [if]\n include /efi\n x [if] include /deep [then]\n[else] include /bios [then]\n\
                    x [if] include /what [then] include /always [then]\n";
        let conditions: Vec<Condition> = statements(text.as_bytes()).into_iter().map(|s| s.condition).collect();
        let expected =
            [Condition::Efi(true), Condition::Unknown, Condition::Efi(false), Condition::Unknown, Condition::Always];
        assert_eq!(conditions, expected);
    }

    #[test]
    fn unfinished_text_says_nothing() {
        for text in ["include", "set x", "load", "load -t", "( include /a", ": x include /a", "unset", "s\" include /a"]
        {
            assert_eq!(statements(text.as_bytes()), [], "{text}");
        }
    }
}
