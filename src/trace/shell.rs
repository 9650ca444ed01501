//! What shell scripts of the image run and read in, listed and not kept: whether a script ever comes to a command,
//! nobody can read off it. A rule or the recipe makes a command count.

use super::{Item, Tracer};
use crate::manifest::Omission;
use crate::objects::script::Script;
use crate::objects::shell::{Role, ShellWord, words};
use crate::path::{RootPath, escaped};
use crate::reason::{Evidence, Kind, Reason};
use crate::root::{FileKind, Root};
use crate::startup::PROGRAM_DIRECTORIES;
use foldhash::HashMap;
use rayon::prelude::*;
use std::collections::BTreeSet;

/// Interpreters whose scripts are read, by file name.
const SHELLS: [&[u8]; 8] = [b"sh", b"bash", b"dash", b"ash", b"ksh", b"ksh93", b"ksh88", b"jsh"];

/// A longer script is no script of a person.
const LONGEST: u64 = 1 << 20;

impl Tracer<'_> {
    /// Lists the commands and sourced files of the image's shell scripts that lead to files outside the image, and
    /// those whose names depend on a variable.
    pub(super) fn suspect_commands(&mut self) {
        let scripts: Vec<(RootPath, Option<Vec<u8>>)> =
            self.graph.paths().into_iter().filter_map(|path| self.shell_script(path)).collect();
        let root = self.input.root;
        let read = |path: &RootPath| {
            let found = root.lookup(path).ok().filter(|found| found.info.kind == FileKind::File)?;
            (found.info.size <= LONGEST).then(|| root.read(&found).ok())?
        };
        let found = scripts.into_par_iter().map(|(path, generated)| {
            let bytes = generated.or_else(|| read(&path)).unwrap_or_default();
            (path, words(&bytes))
        });
        let found: Vec<(RootPath, Vec<ShellWord>)> = found.collect();
        let words = || found.iter().flat_map(|(path, words)| words.iter().map(move |word| (path, word)));
        // Each is looked up once: the same few are in all scripts.
        let commands: BTreeSet<&[u8]> =
            words().filter(|(_, word)| is_followed(word.role)).map(|(_, word)| &word.text[..]).collect();
        let programs: HashMap<&[u8], RootPath> =
            commands.into_par_iter().filter_map(|word| Some((word, program(root, word)?))).collect();
        let suspicions = words().filter_map(|(path, word)| self.suspicion(path, word, &programs));
        for (role, omission) in suspicions.collect::<Vec<_>>() {
            match role {
                Role::Unknown => self.unknown.insert(omission),
                Role::Command | Role::Source | Role::Path => self.dropped.insert(omission),
            };
        }
    }

    /// The path again if a shell runs the file there, with its content when that is not in the root.
    fn shell_script(&self, path: RootPath) -> Option<(RootPath, Option<Vec<u8>>)> {
        let is_of_a_shell = |script: &Script<'_>| {
            script.interpreter.rsplit(|byte| *byte == b'/').next().is_some_and(|name| SHELLS.contains(&name))
        };
        if let Some(Item::Generated(file)) = self.items.get(&path) {
            return is_of_a_shell(&file.script()?).then(|| (path, Some(file.bytes.clone())));
        }
        let store = self.glibc.store();
        let script = store.object(store.known(&path)?).script()?;
        is_of_a_shell(&script).then_some((path, None))
    }

    fn suspicion(
        &self,
        script: &RootPath,
        word: &ShellWord,
        programs: &HashMap<&[u8], RootPath>,
    ) -> Option<(Role, Omission)> {
        let ShellWord { line, role, text } = word;
        let reason = Reason::new(Evidence::Suspected, Kind::Script, escaped(text).to_string());
        let from = Some(script.clone());
        match role {
            Role::Unknown => {
                let why = format!("line {line}: what it runs depends on a variable");
                Some((*role, Omission { from, reason, to: None, why }))
            }
            Role::Command | Role::Source => {
                let to = programs.get(&text[..]).filter(|path| !self.graph.contains(path))?.clone();
                let what = if *role == Role::Source { "read in by" } else { "a command of" };
                let why = format!("line {line}: {what} the script, which may never come to it");
                Some((*role, Omission { from, reason, to: Some(to), why }))
            }
            Role::Path => None,
        }
    }
}

/// Whether the file that a word names is listed.
fn is_followed(role: Role) -> bool {
    matches!(role, Role::Command | Role::Source)
}

/// The program or sourced file that a word means, without symlinks.
fn program(root: &Root, word: &[u8]) -> Option<RootPath> {
    let file = |path: Vec<u8>| {
        let found = root.lookup(&RootPath::new(path).ok()?).ok()?;
        (found.info.kind == FileKind::File).then_some(found.path)
    };
    match word.first()? {
        b'/' => file(word.to_vec()),
        _ if word.contains(&b'/') => None,
        _ => PROGRAM_DIRECTORIES.iter().find_map(|directory| file([directory.as_bytes(), b"/", word].concat())),
    }
}
