//! Commands that a shell does itself, as far as they change what it knows (XCU 2.15).

use super::word::Word;
use super::{End, Leave, Shell, Value, conditions};

impl Shell<'_> {
    /// Does a built-in command; `None` for a name that is none of them. `command` is how its words are written.
    pub fn built_in(&mut self, name: &str, arguments: &[Value], command: &[Word]) -> Option<End> {
        Some(match name {
            ":" | "true" => End::with(Some(true)),
            "false" => End::with(Some(false)),
            "[" | "test" => End::with(conditions::test(name, arguments, self.surroundings.test_file)),
            "exit" => self.leave(Leave::Script, arguments),
            "return" => self.leave(Leave::Function, arguments),
            "break" => self.leave(Leave::Loop { again: false }, arguments),
            "continue" => self.leave(Leave::Loop { again: true }, arguments),
            "export" | "local" | "readonly" => {
                if name == "local" {
                    let names = arguments.iter().flatten().filter_map(|word| word.split('=').next());
                    self.locals.extend(names.map(str::to_owned));
                }
                for (name, value) in command[1..].iter().filter_map(Word::assignment) {
                    let value = self.expand_one(&value);
                    self.variables.insert(name.to_owned(), value);
                }
                End::with(Some(true))
            }
            "unset" => {
                let names = arguments.iter().flatten().cloned();
                self.variables.extend(names.map(|name| (name, Some(String::new()))));
                End::with(Some(true))
            }
            "read" => {
                arguments.iter().flatten().for_each(|name| {
                    self.variables.remove(name);
                });
                End::with(None)
            }
            // It may assign anything. A sourced file may too, but those that are there when a package is new do not.
            "eval" => {
                self.variables.clear();
                End::with(None)
            }
            "shift" => {
                let is_known = self.certain && arguments.is_empty() && !self.arguments.is_empty();
                self.arguments = if is_known { self.arguments.split_off(1) } else { vec![None] };
                End::with(None)
            }
            "set" => {
                if let Some((Some("--"), rest)) = arguments.split_first().map(|(word, rest)| (word.as_deref(), rest)) {
                    self.arguments = if self.certain { rest.to_vec() } else { vec![None] };
                }
                End::with(Some(true))
            }
            _ => return None,
        })
    }

    /// Leaves, where that is certain; otherwise what follows is in doubt.
    fn leave(&mut self, leave: Leave, arguments: &[Value]) -> End {
        if self.certain {
            return End { success: None, leaves: Some(leave) };
        }
        // A script that fails installs nothing, so it does not come to that.
        let fails = arguments.first().is_some_and(|status| status.as_deref().is_some_and(|status| status != "0"));
        if leave != Leave::Script || !fails {
            self.doubtful = true;
            self.may_exit |= leave == Leave::Script;
        }
        End::with(None)
    }
}
