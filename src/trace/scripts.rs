//! Scripts and the programs that their `#!` lines name.

use super::Tracer;
use super::add::probe;
use crate::manifest::Probed;
use crate::objects::script::{DEPTH_LIMIT, Script};
use crate::path::{RootPath, escaped};
use crate::reason::{Evidence, Kind, Priority, Reason};
use crate::startup::PROGRAM_DIRECTORIES;

impl Tracer<'_> {
    pub(super) fn examine_script(&mut self, path: &RootPath, head: &[u8]) {
        let script = match Script::parse(head) {
            Ok(script) => script,
            Err(error) => return self.cannot_know(path, error.to_string()),
        };
        let line = escaped(script.interpreter).to_string();
        let reason = Reason::new(Evidence::Proven, Kind::Script, line.clone());
        let unusable = match RootPath::new(script.interpreter) {
            Err(_) if !script.interpreter.starts_with(b"/") => {
                "a relative interpreter depends on the working directory"
            }
            _ if self.is_too_deep(path) => "too many levels of scripts that interpret scripts",
            _ => "",
        };
        if !unusable.is_empty() {
            let probes = vec![Probed { path: line.clone(), step: "#! line".into(), outcome: unusable.to_owned() }];
            return self.note_missing(Some(path), line, reason, Priority::Required, probes);
        }
        match self.input.root.lookup_spelled(script.interpreter) {
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

    /// Whether the kernel gives up on the way from a script to the program that interprets it.
    fn is_too_deep(&mut self, script: &RootPath) -> bool {
        let mut path = script.clone();
        for _ in 0..DEPTH_LIMIT {
            let Ok(found) = self.input.root.lookup(&path) else { return false };
            let store = self.glibc.store_mut();
            let id = store.read(&found);
            let Some(interpreter) = store.object(id).script().map(|script| script.interpreter.to_vec()) else {
                return false;
            };
            let Ok(found) = self.input.root.lookup_spelled(&interpreter) else { return false };
            path = found.path;
        }
        let Ok(found) = self.input.root.lookup(&path) else { return false };
        let store = self.glibc.store_mut();
        let id = store.read(&found);
        store.object(id).script().is_some()
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
