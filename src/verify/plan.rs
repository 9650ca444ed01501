//! `/init.plan` as `/init` will read it: which modules it loads, which programs it starts, with which words.

use crate::init::plan::{Directive, Lines, Words};
use crate::startup::{LIBRARY_PATH, PROGRAM_DIRECTORIES};

const PATH: &str = "PATH";

/// What a plan says, line by line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Paths as written.
    pub modules: Vec<Vec<u8>>,
    pub commands: Vec<Command>,
    /// The absolute directories of `LD_LIBRARY_PATH`.
    pub library_path: Vec<String>,
    /// Line number from 1 and what is wrong there, in the words of `/init`, which passes over such a line.
    pub problems: Vec<(u32, &'static str)>,
}

/// A `run` or `background` line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command {
    /// The program and its arguments; never empty.
    pub words: Vec<Vec<u8>>,
    /// The PATH at this line.
    pub path: Vec<u8>,
}

impl Plan {
    pub(super) fn parse(mut text: Vec<u8>) -> Plan {
        let mut plan = Plan::default();
        let default = PROGRAM_DIRECTORIES.join(":").into_bytes();
        let mut path = default.clone();
        let mut next_path: Option<Vec<u8>> = None;
        for (line, directive) in Lines::new(&mut text) {
            let outcome = directive.and_then(|directive| {
                match directive {
                    Directive::Environment(words) => {
                        let variables = collect(words)?;
                        path = value_in(&variables, PATH).unwrap_or(path.clone());
                        if let Some(list) = value_in(&variables, LIBRARY_PATH) {
                            let list = String::from_utf8_lossy(&list).into_owned();
                            let is_absolute = |directory: &&str| directory.starts_with('/');
                            plan.library_path = list.split(':').filter(is_absolute).map(str::to_owned).collect();
                        }
                    }
                    Directive::With(words) => next_path = value_in(&collect(words)?, PATH).or(next_path.take()),
                    Directive::Module(module) => plan.modules.push(module.to_bytes().to_vec()),
                    Directive::Network(_) => {}
                    Directive::Run(words) | Directive::Background(words) => {
                        let path = next_path.take().unwrap_or_else(|| path.clone());
                        plan.commands.push(Command { words: collect(words)?, path });
                    }
                }
                Ok(())
            });
            if let Err(problem) = outcome {
                plan.problems.push((line, problem.text()));
            }
        }
        plan
    }
}

fn collect(words: Words<'_>) -> Result<Vec<Vec<u8>>, crate::init::plan::Problem> {
    words.map(|word| word.map(|word| word.to_bytes().to_vec())).collect()
}

/// The value of a variable, if it is set.
fn value_in(variables: &[Vec<u8>], name: &str) -> Option<Vec<u8>> {
    let value = |variable: &Vec<u8>| Some(variable.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.to_vec());
    variables.iter().rev().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_the_path_of_its_line() {
        let text = "environment PATH=/a A=1 LD_LIBRARY_PATH=/l::m:/m\nrun x\nwith PATH=/b\nbackground y z\\x20z\nrun /x\nbad\nmodule /m.ko\n";
        let plan = Plan::parse(text.as_bytes().to_vec());
        let commands: Vec<_> = plan.commands.iter().map(|c| (c.words.len(), &c.path[..])).collect();
        assert_eq!(commands, [(1, &b"/a"[..]), (2, b"/b"), (1, b"/a")]);
        assert_eq!(plan.modules, [b"/m.ko"]);
        assert_eq!(plan.library_path, ["/l", "/m"]);
        assert_eq!(plan.problems, [(6, "unknown directive")]);
        let plan = Plan::parse(b"run x\n".to_vec());
        assert_eq!(plan.commands[0].path, PROGRAM_DIRECTORIES.join(":").as_bytes());
    }
}
