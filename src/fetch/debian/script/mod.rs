//! An installation script to the commands it runs when its package is installed for the first time, without running it.
//!
//! Most scripts decide little: they compare their arguments, which dpkg always gives alike, look for files, and loop over
//! words that are written in them. So the script is followed with what is known (arguments, dpkg's variables, the files
//! of the root), and everything else has no value. Where a decision depends on something unknown, all of its branches are
//! followed, and a variable that differs after them has no value any more. A command that would run in every case is
//! told apart from one that only may.
//!
//! objects/shell.rs asks another question of scripts, which of their words may name files, and follows no values.

mod built_in;
mod conditions;
mod expand;
mod syntax;
mod word;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use syntax::{Joint, Node};
use word::Word;

/// Steps after which a script is given up; the longest of Debian's take some hundreds.
const STEP_LIMIT: usize = 50_000;
/// Bytes of words and variables that cost as much as a step when they are copied: memory is bounded too.
const BYTES_PER_STEP: usize = 64;
/// What a copied word or variable costs besides its bytes.
const WORD_COST: usize = 32;
/// Functions that call each other.
const CALL_LIMIT: usize = 8;
/// Bytes in a value, and words that an expansion gives.
const VALUE_LIMIT: usize = 1 << 12;
/// Bytes of a script; the longest of Debian's have 60 kB.
const SCRIPT_LIMIT: usize = 1 << 20;

/// A branch without commands.
static NOTHING: Node = Node::List(Vec::new());

/// A word's text, as far as it is known.
type Value = Option<String>;

/// A command that the script runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its name and arguments; one without a value may be any number of words.
    pub words: Vec<Value>,
    /// Nothing unknown decides whether it runs.
    pub certain: bool,
}

impl Command {
    /// Its name without directories; empty when that is not known.
    pub fn name(&self) -> &str {
        file_name(self.words.first().and_then(Option::as_deref).unwrap_or_default())
    }

    /// All of its words; `None` when one has no value.
    pub fn literal(&self) -> Option<Vec<&str>> {
        self.words.iter().map(Option::as_deref).collect()
    }
}

/// `/usr/sbin/adduser` → `adduser`
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Whether a word can be the name of a file in a directory.
pub fn is_file_name(word: &str) -> bool {
    !word.contains(['/', '\0']) && !matches!(word, "" | "." | "..")
}

/// What is in a script.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// In the order they would run.
    pub commands: Vec<Command>,
    /// The name of every command that is written out, those included that would not run.
    pub names: BTreeSet<String>,
}

/// What a script may ask about its surroundings.
pub struct Surroundings<'a> {
    /// The arguments of the script.
    pub arguments: &'a [&'a str],
    /// Variables that are set before it starts.
    pub variables: &'a [(&'a str, &'a str)],
    /// The answer to `test -LETTER PATH`, `None` when it is not known.
    pub test_file: &'a dyn Fn(char, &str) -> Option<bool>,
}

/// Follows a shell script. `None` when it is none, or too long to follow.
pub fn follow(script: &[u8], surroundings: &Surroundings<'_>) -> Option<Script> {
    let first_line = script.split(|byte| *byte == b'\n').next()?;
    let words = String::from_utf8_lossy(first_line).into_owned();
    let is_shell = words.strip_prefix("#!").is_some_and(|line| {
        let shells = ["sh", "dash", "bash"];
        line.split_whitespace().any(|word| shells.contains(&file_name(word)))
    });
    if !is_shell || script.len() > SCRIPT_LIMIT {
        return None;
    }
    let node = syntax::parse(&String::from_utf8_lossy(script))?;
    let mut found = Script::default();
    node.each_name(&mut |name| {
        found.names.insert(name.to_owned());
    });
    let values = surroundings.variables.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())));
    let mut shell = Shell {
        surroundings,
        commands: Vec::new(),
        variables: values.collect(),
        arguments: surroundings.arguments.iter().map(|argument| Some((*argument).to_owned())).collect(),
        functions: HashMap::new(),
        certain: true,
        doubtful: false,
        may_exit: false,
        locals: Vec::new(),
        steps: 0,
        calls: 0,
    };
    shell.run(&node);
    found.commands = shell.commands;
    (shell.steps <= STEP_LIMIT).then_some(found)
}

struct Shell<'a> {
    surroundings: &'a Surroundings<'a>,
    commands: Vec<Command>,
    /// One that is not here has no value.
    variables: HashMap<String, Value>,
    arguments: Vec<Value>,
    functions: HashMap<String, Arc<Node>>,
    certain: bool,
    /// The script, the function or the loop may have been left before.
    doubtful: bool,
    may_exit: bool,
    /// Names that functions have made local.
    locals: Vec<String>,
    steps: usize,
    calls: usize,
}

/// How a command ended: its status where that is known, and what it keeps from running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    success: Option<bool>,
    leaves: Option<Leave>,
}

/// `break` and `continue`, `return`, `exit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leave {
    Loop { again: bool },
    Function,
    Script,
}

impl End {
    fn with(success: Option<bool>) -> End {
        End { success, leaves: None }
    }
}

impl Shell<'_> {
    fn run(&mut self, node: &Node) -> End {
        self.steps += 1;
        if self.steps > STEP_LIMIT {
            return End { success: None, leaves: Some(Leave::Script) };
        }
        match node {
            Node::Simple(words) => self.simple(words),
            Node::List(nodes) => self.list(nodes),
            Node::Not(node) => {
                let end = self.run(node);
                End { success: end.success.map(|success| !success), ..end }
            }
            Node::AndOr(first, more) => self.and_or(first, more),
            Node::Pipeline(nodes) => {
                for node in nodes {
                    self.in_subshell(node);
                }
                End::with(None)
            }
            Node::Subshell(node) => self.in_subshell(node),
            Node::If(branches, otherwise) => self.conditional(branches, otherwise),
            Node::For { variable, items, body } => {
                self.in_doubt(|shell| shell.for_loop(variable, items.as_deref(), body))
            }
            Node::Loop { condition, body } => self.in_doubt(|shell| {
                shell.run(condition);
                shell.one_of(&[body, &NOTHING])
            }),
            Node::Case { subject, arms } => self.case(subject, arms),
            Node::Function { name, body } => {
                self.functions.insert(name.clone(), Arc::clone(body));
                End::with(Some(true))
            }
        }
    }

    fn list(&mut self, nodes: &[Node]) -> End {
        let mut end = End::with(Some(true));
        for node in nodes {
            end = self.run(node);
            if end.leaves.is_some() {
                break;
            }
        }
        end
    }

    fn and_or(&mut self, first: &Node, more: &[(Joint, Node)]) -> End {
        let mut end = self.run(first);
        for (joint, node) in more {
            if end.leaves.is_some() {
                return end;
            }
            end = match (end.success, joint) {
                (Some(true), Joint::And) | (Some(false), Joint::Or) => self.run(node),
                (Some(_), _) => end,
                (None, joint) => {
                    let second = self.perhaps(&[node, &NOTHING])[0].success;
                    // `unknown || true` is true, whatever the unknown is.
                    End::with(second.filter(|success| *success == (*joint == Joint::Or)))
                }
            };
        }
        end
    }

    fn conditional(&mut self, branches: &[(Node, Node)], otherwise: &Node) -> End {
        let certain = self.certain;
        let mut possible = Vec::new();
        let mut decided = None;
        for (condition, then) in branches {
            let end = self.run(condition);
            if end.leaves.is_some() {
                return end;
            }
            if end.success == Some(true) {
                decided = Some(then);
                break;
            }
            if end.success.is_none() {
                possible.push(then);
                // What comes next is only asked if this is false.
                self.certain = false;
            }
        }
        self.certain = certain;
        possible.push(decided.unwrap_or(otherwise));
        self.one_of(&possible)
    }

    fn for_loop(&mut self, variable: &str, items: Option<&[Word]>, body: &Node) -> End {
        let items = match items {
            Some(words) => self.expand_all(words),
            None => self.arguments.clone(),
        };
        if items.iter().any(Option::is_none) {
            self.variables.insert(variable.to_owned(), None);
            return self.one_of(&[body, &NOTHING]);
        }
        for item in items {
            self.variables.insert(variable.to_owned(), item);
            let end = self.run(body);
            match end.leaves {
                None | Some(Leave::Loop { again: true }) => {}
                Some(Leave::Loop { again: false }) => break,
                Some(_) => return end,
            }
        }
        End::with(None)
    }

    fn case(&mut self, subject: &Word, arms: &[(Vec<Word>, Node)]) -> End {
        let subject = self.expand_one(subject);
        let mut possible: Vec<&Node> = Vec::new();
        let mut decided = &NOTHING;
        for (patterns, node) in arms {
            let compare = |pattern: &Word| match pattern.plain() {
                Some("*") => Some(true),
                _ => Some(self.expand_one(pattern)? == *subject.as_ref()?),
            };
            let answers: Vec<_> = patterns.iter().map(compare).collect();
            // One that matches decides, one that is not known leaves it open.
            let answer = match answers.contains(&Some(true)) {
                true => Some(true),
                false => (!answers.contains(&None)).then_some(false),
            };
            match answer {
                Some(false) => {}
                Some(true) => {
                    decided = node;
                    break;
                }
                None => possible.push(node),
            }
        }
        possible.push(decided);
        self.one_of(&possible)
    }

    /// Follows the only branch there is, or all of several.
    fn one_of(&mut self, branches: &[&Node]) -> End {
        if let [only] = branches {
            return self.run(only);
        }
        self.perhaps(branches);
        End::with(None)
    }

    /// Follows branches of which one is taken. What only some of them assign has no value afterwards.
    fn perhaps(&mut self, branches: &[&Node]) -> Vec<End> {
        self.count_copies(branches.len());
        let (before, certain) = (self.variables.clone(), self.certain);
        self.certain = false;
        let mut ends = Vec::new();
        let mut after: Option<HashMap<String, Value>> = None;
        for branch in branches {
            self.variables.clone_from(&before);
            ends.push(self.run(branch));
            after = Some(match after {
                None => std::mem::take(&mut self.variables),
                Some(mut after) => {
                    after.retain(|name, value| self.variables.get(name) == Some(value));
                    after
                }
            });
        }
        self.variables = after.unwrap_or(before);
        self.certain = certain;
        ends
    }

    fn count_copies(&mut self, copies: usize) {
        self.steps += self.variables.len() * copies * WORD_COST / BYTES_PER_STEP;
    }

    fn in_subshell(&mut self, node: &Node) -> End {
        self.count_copies(1);
        let variables = self.variables.clone();
        let end = self.run(node);
        self.variables = variables;
        End::with(end.success)
    }

    fn simple(&mut self, words: &[Word]) -> End {
        let assignments: Vec<_> = words.iter().map_while(Word::assignment).collect();
        let command = &words[assignments.len()..];
        if command.is_empty() {
            for (name, value) in assignments {
                let value = self.expand_one(&value);
                self.variables.insert(name.to_owned(), value);
            }
            return End::with(Some(true));
        }
        let words = self.expand_all(command);
        let Some(Some(name)) = words.first() else {
            return End::with(None);
        };
        if let Some(end) = self.built_in(name, &words[1..], command) {
            return end;
        }
        if let Some(body) = self.functions.get(name).cloned() {
            return self.call(&body, words[1..].to_vec());
        }
        self.commands.push(Command { words, certain: self.certain && !self.doubtful });
        End::with(None)
    }

    /// Runs what `return`, `break` or `continue` may leave: it is in doubt only up to its end.
    fn in_doubt(&mut self, run: impl FnOnce(&mut Self) -> End) -> End {
        let doubtful = self.doubtful;
        let end = run(self);
        self.doubtful = doubtful || self.may_exit;
        end
    }

    fn call(&mut self, body: &Node, arguments: Vec<Value>) -> End {
        if self.calls >= CALL_LIMIT {
            return End::with(None);
        }
        self.calls += 1;
        let callers = std::mem::replace(&mut self.arguments, arguments);
        let locals = std::mem::take(&mut self.locals);
        let end = self.in_doubt(|shell| shell.run(body));
        self.arguments = callers;
        // Whatever the caller has under these names is forgotten too.
        for name in std::mem::replace(&mut self.locals, locals) {
            self.variables.remove(&name);
        }
        self.calls -= 1;
        End { success: end.success, leaves: end.leaves.filter(|leave| *leave == Leave::Script) }
    }
}

#[cfg(test)]
mod tests;
