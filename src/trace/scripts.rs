//! Scripts and the programs that their `#!` lines name.

use super::Tracer;
use super::add::probe;
use crate::manifest::Probed;
use crate::objects::script::{DEPTH_LIMIT, Script};
use crate::path::{RootPath, escaped};
use crate::reason::{Evidence, Kind, Priority, Reason};
use crate::root::{Found, LookupError};
use crate::startup::PROGRAM_DIRECTORIES;

/// What a `#!` line names. Thousands of scripts name the same few programs, so that each is looked up once.
#[derive(Debug, Clone)]
pub(super) struct Interpreter {
    found: Result<Found, LookupError>,
    /// How many scripts it takes to come to a program, itself the first; no more than the kernel follows.
    n_scripts: usize,
}

impl Tracer<'_> {
    pub(super) fn examine_script(&mut self, path: &RootPath, head: &[u8]) {
        let script = match Script::parse(head) {
            Ok(script) => script,
            Err(error) => return self.cannot_know(path, error.to_string()),
        };
        let line = escaped(script.interpreter).to_string();
        let reason = Reason::new(Evidence::Proven, Kind::Script, line.clone());
        let interpreter = self.interpreter(script.interpreter);
        let unusable = match RootPath::new(script.interpreter) {
            Err(_) if !script.interpreter.starts_with(b"/") => {
                "a relative interpreter depends on the working directory"
            }
            _ if interpreter.n_scripts >= DEPTH_LIMIT => "too many levels of scripts that interpret scripts",
            _ => "",
        };
        if !unusable.is_empty() {
            let probes = vec![Probed { path: line.clone(), step: "#! line".into(), outcome: unusable.to_owned() }];
            return self.note_missing(Some(path), line, reason, Priority::Required, probes);
        }
        match interpreter.found {
            Ok(found) => {
                self.need_found(Some(path), found, reason);
            }
            Err(error) => {
                let probes = vec![Probed { path: line.clone(), ..probe(path, &error) }];
                self.note_missing(Some(path), line, reason, Priority::Required, probes);
            }
        }
        if let Some(program) = script.env_program() {
            self.need_on_path(path, &program);
        }
    }

    fn interpreter(&mut self, name: &[u8]) -> Interpreter {
        if let Some(known) = self.interpreters.get(name) {
            return known.clone();
        }
        let found = self.input.root.lookup_spelled(name);
        let interpreter = Interpreter { n_scripts: self.count_scripts(found.clone()), found };
        self.interpreters.insert(name.to_vec(), interpreter.clone());
        interpreter
    }

    /// Follows the `#!` lines from one file on, as the kernel does.
    fn count_scripts(&mut self, mut found: Result<Found, LookupError>) -> usize {
        let mut n_scripts = 0;
        while let Ok(file) = &found
            && n_scripts < DEPTH_LIMIT
        {
            let store = self.glibc.store_mut();
            let id = store.read(file);
            let Some(script) = store.object(id).script() else { break };
            found = self.input.root.lookup_spelled(script.interpreter);
            n_scripts += 1;
        }
        n_scripts
    }

    /// A program that env(1) looks up, in the directories that `/init` puts on the PATH.
    fn need_on_path(&mut self, script: &RootPath, program: &[u8]) {
        let reason = Reason::new(Evidence::Proven, Kind::Script, format!("env {}", escaped(program)));
        let name = escaped(program).to_string();
        if program.contains(&b'/') {
            if let Ok(path) = RootPath::new(program) {
                self.need(Some(script), &path, reason, Priority::Required);
            }
            return;
        }
        let mut probes = Vec::new();
        for directory in PROGRAM_DIRECTORIES {
            let Ok(path) = RootPath::new([directory.as_bytes(), b"/", program].concat()) else { continue };
            match self.input.root.lookup(&path) {
                Ok(found) => {
                    self.need_found(Some(script), found, reason);
                    return;
                }
                Err(error) => probes.push(probe(&path, &error)),
            }
        }
        self.note_missing(Some(script), name, reason, Priority::Required, probes);
    }
}
