//! What the started programs need beyond themselves, traced once more inside the image.
//!
//! The same tracer that chose the files is asked again, with the image as its root and with the `ld.so.cache` that is
//! there, not the one that ldconfig would make. What it finds missing now was lost on the way, or never found.

use super::exec::ENOENT;
use super::runtime_linker::{Process, RuntimeLinker};
use super::start::{Image, Program};
use super::{Component, Finding, Report, Severity, VerifyError};
use crate::graph::Graph;
use crate::manifest::Missing;
use crate::objects::elf::SymbolScan;
use crate::path::RootPath;
use crate::reason::{Kind, Priority};
use crate::recipe::{Recipe, TraceOptions};
use crate::resolve::glibc::Cache;
use crate::resolve::store::Store;
use crate::root::FileKind;
use crate::text::count;
use crate::trace::{Input, trace_kept};

/// What the tracer says of a program that env(1) looks for.
const ENV: &str = "env ";

/// Traces the programs of the startup and reports what they lack. `library_path` is that of their environment.
pub(super) fn check(
    image: &Image<'_>,
    programs: &[Program],
    library_path: Vec<String>,
    report: &mut Report,
) -> Result<(), VerifyError> {
    let targets = programs.iter().filter_map(|program| utf8(&program.target, report)).collect();
    let options = TraceOptions { targets, library_path, ..TraceOptions::default() };
    let recipe = Recipe { trace: options, ..Recipe::default() };
    let trace = trace_kept(Input {
        root: image.root,
        rules: image.rules,
        recipe: &recipe,
        rule_directories: &[],
        cache: Cache::AsItIs,
    })?;
    let closure = Closure { image, programs, graph: &trace.graph };
    let scan = SymbolScan::default();
    let mut linker =
        RuntimeLinker::new(image.root, image.tree, Store::new(image.root, &scan), &recipe.trace.library_path);
    for process in closure.processes() {
        linker.start(&process).into_iter().for_each(|finding| report.find(finding));
    }
    for missing in &trace.missing {
        if let Some(finding) = closure.judge(missing, &linker) {
            report.find(finding);
        }
    }
    let (programs, paths) = (count(programs.len() as u64, "program"), count(trace.graph.paths().len() as u64, "path"));
    report.saw(Component::RuntimeLinker, "closure", format_args!("{programs} and what they need: {paths}"));
    Ok(())
}

/// Recipes are text; a program whose path is not could only come from another tool's plan.
fn utf8(path: &RootPath, report: &mut Report) -> Option<String> {
    let text = String::from_utf8(path.as_bytes().to_vec()).ok();
    if text.is_none() {
        let message = format!("what `{path}` needs was not checked: its path is no text");
        report.find(Finding::new(Severity::Warning, Component::Program, message));
    }
    text
}

struct Closure<'a> {
    image: &'a Image<'a>,
    programs: &'a [Program],
    graph: &'a Graph,
}

impl Closure<'_> {
    /// Every program in the trace, those that the startup starts first.
    fn processes(&self) -> Vec<Process> {
        let mut processes = Vec::new();
        for path in self.graph.paths() {
            let found = self.image.root.lookup_nofollow(&path);
            if !found.is_ok_and(|found| found.info.kind == FileKind::File) {
                continue;
            }
            let started = self.started_as(&path);
            if started.is_some() || !self.is_library(&path) {
                let is_started = started.is_some();
                let (name, file) = started.unwrap_or_else(|| (path.to_string(), path.clone()));
                processes.push(Process { is_started, name, file, path });
            }
        }
        processes.sort_by_key(|process| !process.is_started);
        processes
    }

    /// The name a program runs under and the file it is started by, if the startup starts it, directly or by a script.
    fn started_as(&self, path: &RootPath) -> Option<(String, RootPath)> {
        let program = self.programs.iter().find(|program| program.process == *path);
        let known = program.map(|program| (program.name.clone(), program.target.clone()));
        known.or_else(|| Some((self.name_in_script(path)?, path.clone())))
    }

    /// The name that a `#!` line of a started script has for a program. Scripts interpret scripts a few times at most,
    /// and the kernel's limit has cut longer chains off already.
    fn name_in_script(&self, path: &RootPath) -> Option<String> {
        let reasons = self.names(path).into_iter().flat_map(|name| self.graph.reasons(&name));
        reasons.filter(|(_, reason)| reason.kind == Kind::Script).find_map(|(script, reason)| {
            let script = script?;
            let is_started = self.programs.iter().any(|program| program.files.contains(&script));
            is_started.then(|| reason.detail.strip_prefix(ENV).unwrap_or(&reason.detail).to_owned())
        })
    }

    /// Whether something loads the file, as opposed to running it.
    fn is_library(&self, path: &RootPath) -> bool {
        use Kind::{Dlopen, Interpreter, Needed, Preload, Variant};
        let reasons = self.names(path).into_iter().flat_map(|name| self.graph.reasons(&name));
        reasons.into_iter().any(|(_, r)| matches!(r.kind, Needed | Interpreter | Preload | Variant | Dlopen))
    }

    /// The path itself and all symlinks of the graph that lead to it.
    fn names(&self, path: &RootPath) -> Vec<RootPath> {
        let mut names = vec![path.clone()];
        let mut next = 0;
        while let Some(name) = names.get(next).cloned() {
            for (from, reason) in self.graph.reasons(&name) {
                if let Some(link) = from.filter(|_| reason.kind == Kind::Symlink)
                    && !names.contains(&link)
                {
                    names.push(link);
                }
            }
            next += 1;
        }
        names
    }

    /// What a missing reference means; `None` for one that has been told already.
    fn judge(&self, missing: &Missing, linker: &RuntimeLinker<'_>) -> Option<Finding> {
        let from = missing.from.clone()?;
        let severity = match missing.priority {
            Priority::Required => Severity::Harmful,
            Priority::Recommended => Severity::Warning,
            Priority::Suggested => Severity::Suggestion,
        };
        let is_started = self.programs.iter().any(|program| program.files.contains(&from));
        let name = &missing.name;
        let finding = match missing.reason.kind {
            Kind::Script if is_started && missing.reason.detail.starts_with(ENV) => {
                let message = format!("env: '{name}': No such file or directory");
                Finding::new(Severity::PreventsStart, Component::Program, message)
            }
            // The kernel has been asked about these.
            Kind::Script | Kind::Interpreter if is_started => return None,
            Kind::Interpreter => {
                let message = format!("{from}: {}", ENOENT.words);
                let hint = format!("its interpreter `{name}` is not in the image");
                Finding::new(severity, Component::Program, message).hint(hint)
            }
            Kind::Script => {
                let message = format!("{from}: {name}: bad interpreter: No such file or directory");
                Finding::new(severity, Component::Program, message)
            }
            Kind::Needed if linker.told.contains(&(from.clone(), name.clone())) => return None,
            Kind::Needed | Kind::Dlopen => {
                let message = format!("{name}: cannot open shared object file: No such file or directory");
                Finding::new(severity, Component::RuntimeLinker, message)
            }
            _ => {
                let message = format!("`{name}` is missing, which {} asks for", missing.reason.detail);
                Finding::new(severity, Component::Rules, message)
            }
        };
        Some(finding.at(from))
    }
}
