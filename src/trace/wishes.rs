//! What the user asked for: targets, includes, the recipe's files, the commands of its startup.

use super::add::{Purpose, probe};
use super::{TraceError, Tracer};
use crate::manifest::{Omission, Probed};
use crate::objects::script::LINE_LIMIT;
use crate::objects::{Format, sniff};
use crate::path::RootPath;
use crate::reason::{Evidence, Kind, Priority, Reason};
use crate::recipe::{Base, RecipeFile, Startup, System};
use crate::resolve::store::Object;
use crate::root::{FileKind, Found};
use crate::rules::nearest_existing;
use crate::startup::{Command, GeneratedFile, command_line, illumos};
use rayon::prelude::*;

impl Tracer<'_> {
    /// The recipe's `[[file]]`s, with their content.
    pub(super) fn add_recipe_files(&mut self) -> Result<(), TraceError> {
        for file in &self.input.recipe.file {
            let bytes = content(file)?;
            let path = RootPath::new(&file.path).expect("checked when the recipe was read");
            let mode = file.permissions().expect("checked when the recipe was read");
            let reason = Reason::new(Evidence::Target, Kind::RecipeFile, "");
            self.bring(GeneratedFile { path, mode, bytes }, reason);
        }
        Ok(())
    }

    /// Adds a file that the recipe makes, and what it needs when it is a script.
    fn bring(&mut self, file: GeneratedFile, reason: Reason) {
        let is_script = file.mode & 0o111 != 0 && sniff(&file.bytes) == Format::Script;
        let head = file.bytes[..file.bytes.len().min(LINE_LIMIT)].to_vec();
        let path = self.generate(None, file, reason);
        if is_script {
            self.examine_script(&path, &head);
        }
    }

    pub(super) fn add_targets(&mut self) {
        let root = self.input.root;
        let targets = self.input.recipe.trace.targets.par_iter().map(|target| {
            let path = RootPath::new(target).expect("checked when the recipe was read");
            let found = root.lookup(&path);
            (path, found)
        });
        for (path, found) in targets.collect::<Vec<_>>() {
            let reason = Reason::new(Evidence::Target, Kind::Target, "");
            match found {
                Ok(found) => {
                    if found.info.kind == FileKind::File && found.info.mode & 0o111 == 0 {
                        self.not_executable.insert(found.path.clone());
                    }
                    let found = self.need_found(None, found, reason);
                    // Whoever names a script wants it run, if not by the kernel.
                    self.only_opened.remove(&found);
                }
                Err(error) => {
                    let probes = vec![self.with_nearest(&path, probe(&path, &error), "you")];
                    self.note_missing(None, path.to_string(), reason, Priority::Required, probes);
                }
            }
            self.targets.insert(path);
        }
    }

    /// Tells of programs among the targets that no kernel starts.
    pub(super) fn note_modes_of_targets(&mut self) {
        for path in std::mem::take(&mut self.not_executable) {
            let store = self.glibc.store();
            let object = store.known(&path).map(|id| store.object(id));
            let is_program = |object: &Object| object.elf().is_some_and(|elf| elf.interpreter.is_some());
            if object.is_some_and(|object| is_program(object) || object.script().is_some()) {
                self.notes
                    .push(format!("{path} is a program without execute permission: the kernel refuses to start it"));
            }
        }
    }

    /// Everything in the root, when the recipe starts from that.
    pub(super) fn add_base(&mut self) {
        if self.input.recipe.trace.base.unwrap_or_default() == Base::Everything {
            let reason = Reason::new(Evidence::Target, Kind::Target, "base everything");
            self.need_below(Purpose::Start, None, &RootPath::root(), &reason, Priority::Required);
        }
    }

    /// Holds back what the recipe excludes.
    pub(super) fn add_exclusions(&mut self) {
        for pattern in &self.input.recipe.trace.exclude {
            let paths = self.input.root.glob(pattern);
            if paths.is_empty() {
                self.notes.push(format!("`exclude` of `{pattern}` matches nothing"));
            }
            for path in paths {
                let below = self.input.root.walk(&path).into_iter().filter_map(Result::ok).map(|entry| entry.path);
                let all: Vec<RootPath> = below.chain([path]).collect();
                self.forbidden.extend(all.into_iter().map(|path| (path, format!("the recipe excludes {pattern}"))));
            }
        }
    }

    /// Includes may be patterns; a directory brings everything below it.
    pub(super) fn add_includes(&mut self) {
        for include in &self.input.recipe.trace.include {
            let reason = Reason::new(Evidence::Target, Kind::Target, format!("include {include}"));
            let paths = self.input.root.glob(include);
            if paths.is_empty() {
                let path = RootPath::new(include).expect("checked when the recipe was read");
                let probe = Probed { path: include.clone(), step: "include".into(), outcome: "matches nothing".into() };
                let probes = vec![self.with_nearest(&path, probe, "you")];
                self.note_missing(None, include.clone(), reason.clone(), Priority::Required, probes);
            }
            for path in paths {
                self.need_below(Purpose::Start, None, &path, &reason, Priority::Required);
            }
        }
    }

    /// Adds what was meant, perhaps, by a path or pattern that is not there.
    pub(super) fn with_nearest(&self, path: &RootPath, mut probe: Probed, who: &str) -> Probed {
        if let Some(near) = nearest_existing(path, &self.known()) {
            probe.outcome.push_str(&format!("; did {who} mean {near}?"));
        }
        probe
    }

    /// A path, and everything below it when it is a directory.
    pub(super) fn need_below(
        &mut self,
        purpose: Purpose,
        from: Option<&RootPath>,
        path: &RootPath,
        reason: &Reason,
        priority: Priority,
    ) {
        let Some(found) = self.need_path_for(purpose, from, path, reason.clone(), priority) else { return };
        if !self.input.root.lookup(&found).is_ok_and(|f| f.info.kind == FileKind::Directory) {
            return;
        }
        let root = self.input.root;
        // A symlink found on a walk stays, wherever it leads: a dangling one is told, not followed.
        let follow = |entry: Found| match entry.info.kind {
            FileKind::Symlink => root.lookup(&entry.path).unwrap_or(entry),
            _ => entry,
        };
        let entries: Vec<_> = root.walk(&found).into_par_iter().map(|entry| entry.map(follow)).collect();
        for entry in entries {
            match entry {
                Ok(entry) => {
                    self.need_for(purpose, from, entry, reason.clone());
                }
                Err(error) => {
                    let probes = vec![probe(&found, &error)];
                    self.note_missing(from, found.to_string(), reason.clone(), priority, probes);
                }
            }
        }
    }

    /// The programs that startup lines and the entry point of a container name, and the files among their arguments.
    pub(super) fn add_startup_commands(&mut self) -> Result<(), TraceError> {
        let recipe = self.input.recipe;
        for startup in &recipe.startup {
            self.add_command(&command_line(&startup.run)?, &startup.run);
        }
        if let Some(entrypoint) = &recipe.oci.entrypoint {
            let words: Vec<String> = entrypoint.iter().chain(recipe.oci.cmd.iter().flatten()).cloned().collect();
            let environment = recipe.oci.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let line = words.join(" ");
            self.add_command(&Command::Words { environment, words }, &line);
        }
        self.add_container_accounts();
        Ok(())
    }

    /// A container runtime looks up names of users and groups in the files of the image, and starts nothing without.
    fn add_container_accounts(&mut self) {
        let Some(user) = &self.input.recipe.oci.user else { return };
        let (user, group) = user.split_once(':').unwrap_or((user, ""));
        for (name, file) in [(user, "/etc/passwd"), (group, "/etc/group")] {
            if !name.bytes().all(|byte| byte.is_ascii_digit()) {
                let reason = Reason::new(Evidence::Target, Kind::Startup, format!("the container's user {name}"));
                self.need(None, &RootPath::new(file).expect("a constant"), reason, Priority::Required);
            }
        }
    }

    fn add_command(&mut self, command: &Command, line: &str) {
        self.add_program(command, line);
        for path in command.paths() {
            if self.input.root.lookup(&path).is_ok() || self.graph.contains(&path) {
                let reason = Reason::new(Evidence::Target, Kind::Startup, line);
                self.need(None, &path, reason, Priority::Recommended);
            }
        }
        if let Command::Shell { .. } = command {
            self.unknown.insert(Omission {
                from: None,
                reason: Reason::new(Evidence::Suspected, Kind::Startup, line),
                to: None,
                why: "the line is run by a shell; programs it starts have to be targets of their own".into(),
            });
        }
    }

    /// The inittab and the script that start the recipe's commands in an image of illumos, unless the recipe brings
    /// an inittab. What the root's own starts is not wanted then: it is the services.
    pub(super) fn add_illumos_startup(&mut self) {
        let recipe = self.input.recipe;
        let brings_inittab = recipe.file.iter().any(|file| file.path == illumos::INITTAB);
        if self.system != System::Illumos || recipe.startup.is_empty() || brings_inittab {
            return;
        }
        let root = self.input.root;
        for file in illumos::files(&recipe.startup, |path| root.has(path)) {
            self.bring(file, Reason::new(Evidence::Target, Kind::Startup, "the recipe's startup"));
        }
    }

    fn add_program(&mut self, command: &Command, line: &str) {
        let reason = Reason::new(Evidence::Target, Kind::Startup, line);
        let candidates = command.program_candidates();
        let existing = candidates.iter().find(|p| self.graph.contains(p) || self.input.root.lookup(p).is_ok());
        match existing {
            Some(path) => {
                self.targets.insert(path.clone());
                self.need(None, path, reason, Priority::Required);
            }
            None => {
                let tried = candidates.iter().filter_map(|p| Some(probe(p, &self.input.root.lookup(p).err()?)));
                let probes = tried.collect();
                self.note_missing(None, command.program().to_owned(), reason, Priority::Required, probes);
            }
        }
    }
}

/// The variables that startup lines set: `NAME=value`, each with a NUL behind it. A line that is wrong is told where its
/// program is looked for.
pub(super) fn environment(startup: &[Startup]) -> Vec<u8> {
    let mut text = String::new();
    for line in startup {
        if let Ok(Command::Words { environment, .. }) = command_line(&line.run) {
            environment.iter().for_each(|variable| text.extend([variable, "\0"]));
        }
    }
    text.into_bytes()
}

fn content(file: &RecipeFile) -> Result<Vec<u8>, TraceError> {
    match &file.from {
        Some(from) => std::fs::read(from).map_err(|source| TraceError::RecipeFile {
            path: file.path.clone(),
            from: from.clone(),
            source,
        }),
        None => Ok(file.content.clone().unwrap_or_default().into_bytes()),
    }
}
