//! What the illumos loader does from `/boot/loader.rc` to the kernel and its modules, for one kind of machine.
//!
//! ```text
//! loader.rc ─► forth files ─► `initialize` ─► defaults/loader.conf ─► loader.conf, conf.d/* ─► transient.conf
//!                                 kernel, bootfile ──► unix                │
//!                                 NAME_load/_type/_name ─► modules ◄───────┘
//! ```
//!
//! Read from `usr/src/boot/forth/{loader,support,beastie}.4th` of illumos-gate, not from what minroot writes. What is
//! surprising: a module that cannot be loaded is told only when `verbose_loading` is set. The loader goes on, and
//! `usr/src/boot/common/multiboot2.c` stops long after with `No rootfs module provided, aborting`.

use super::super::{Component, Finding, Severity};
use super::conf;
use super::files::{Files, normal};
use super::forth::{self, Action, Condition, Statement};
use super::variables::{Environment, Value};
use crate::path::escaped;

/// The script that the loader begins with (usr/src/boot/common/interp.c).
pub(super) const SCRIPT: &str = "/boot/loader.rc";
const DEFAULTS: &str = "/boot/defaults/loader.conf";
const CONF_DIRECTORY: &str = "/boot/conf.d";
const TRANSIENT: &str = "/boot/transient.conf";
const MENU: &str = "/boot/forth/menu.rc";

/// Files that include files; the real chain is four deep.
const MAX_DEPTH: usize = 16;
/// Configuration files read; those of a directory count each time.
const MAX_CONF_FILES: usize = 1000;
/// Scripts read, each as often as it is included.
const MAX_INCLUDES: usize = 1000;

/// The machine that the loader runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Machine {
    pub efi: bool,
    /// The processor has 64 bits: `ISADIR` is `amd64`, else it is not set.
    pub is_64_bit: bool,
}

/// What the loader has loaded when it starts the kernel.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// Paths on the medium.
    pub kernel: Option<String>,
    pub modules: Vec<LoadedModule>,
    pub boot_args: String,
    /// In the order of the boot.
    pub findings: Vec<Finding>,
    /// Every file that was read.
    pub read: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoadedModule {
    /// `rootfs`, `hash`, `file`, …
    pub kind: String,
    pub path: String,
}

/// Runs the loader.
pub(super) fn run(files: &Files<'_>, machine: Machine) -> Loaded {
    let mut loader = Loader::new(files, machine);
    if machine.is_64_bit {
        loader.environment.set("ISADIR", &Value::new("amd64"));
    }
    loader.include(SCRIPT, "", false, 0);
    loader.load_all();
    loader.report_autoboot();
    let boot_args = loader.environment.get("boot-args").unwrap_or_default().to_owned();
    Loaded { boot_args, ..loader.loaded }
}

struct Loader<'f, 'i> {
    files: &'f Files<'i>,
    machine: Machine,
    environment: Environment,
    /// In the order in which they are first named, which is that of loading.
    modules: Vec<Module>,
    /// `loader_conf_files` as last set and not yet read.
    conf_files: Option<String>,
    n_conf_files: usize,
    n_includes: usize,
    is_configured: bool,
    /// The configuration is being read; one that asks for itself is not read again.
    is_configuring: bool,
    loaded: Loaded,
}

/// A module as the configuration describes it.
#[derive(Debug, Clone, Default)]
struct Module {
    name: String,
    load: bool,
    kind: Option<Value>,
    file: Option<Value>,
    /// The configuration that names the file, or else the one that has it loaded.
    named_in: String,
}

impl<'f, 'i> Loader<'f, 'i> {
    fn new(files: &'f Files<'i>, machine: Machine) -> Loader<'f, 'i> {
        Loader {
            files,
            machine,
            environment: Environment::default(),
            modules: Vec::new(),
            conf_files: None,
            n_conf_files: 0,
            n_includes: 0,
            is_configured: false,
            is_configuring: false,
            loaded: Loaded::default(),
        }
    }

    fn find(&mut self, finding: Finding) {
        self.loaded.findings.push(finding);
    }

    /// `interp_include` of common/interp.c. What comes behind a missing file is followed all the same, so that
    /// everything that is missing is told at once.
    fn include(&mut self, path: &str, from: &str, optional: bool, depth: usize) {
        let path = self.environment.expand(&Value::new(path));
        self.n_includes += 1;
        if self.n_includes > MAX_INCLUDES {
            return;
        }
        if depth > MAX_DEPTH {
            self.find(prevents(format!("`{path}` includes itself without end")).at(from));
            return;
        }
        let Some(text) = self.files.text(&path) else {
            if !optional {
                let message = format!("can't open '{path}': No such file or directory");
                let finding = prevents(message).at(if from.is_empty() { SCRIPT } else { from });
                self.find(
                    finding
                        .hint(format!("the loader stops at its prompt `ok`; put the file on {}", self.files.medium())),
                );
            }
            return;
        };
        self.loaded.read.push(normal(&path));
        for statement in forth::statements(&text) {
            self.execute(&statement, &path, depth);
        }
    }

    fn execute(&mut self, statement: &Statement, from: &str, depth: usize) {
        let is_certain = match statement.condition {
            Condition::Always => true,
            Condition::Efi(efi) if efi != self.machine.efi => return,
            Condition::Efi(_) => true,
            Condition::Unknown => false,
        };
        match &statement.action {
            Action::Include { path, optional } => self.include(path, from, *optional || !is_certain, depth + 1),
            Action::Set { name, value } => self.environment.set(name, &Value::new(value)),
            Action::Unset(name) => self.environment.unset(name),
            Action::Load { kind, file } => self.load_file(kind.as_deref(), file, from),
            Action::Configure | Action::Start => self.configure(),
            Action::Menu if !self.environment.is_yes("beastie_disable") => self.include(MENU, from, false, depth + 1),
            Action::Menu => {}
        }
    }

    /// A `load` in a script.
    fn load_file(&mut self, kind: Option<&str>, file: &str, from: &str) {
        let path = self.environment.expand(&Value::new(file));
        if !self.files.has(&path) {
            self.find(prevents(format!("can't find '{path}'")).at(from));
            return;
        }
        match kind {
            Some(kind) => {
                self.loaded.modules.push(LoadedModule { kind: kind.to_owned(), path: normal(&path) });
            }
            None => self.loaded.kernel = Some(normal(&path)),
        }
    }

    /// `initialize` of loader.4th.
    fn configure(&mut self) {
        if self.is_configuring {
            return;
        }
        (self.is_configured, self.is_configuring) = (true, true);
        self.conf_files = Some(DEFAULTS.to_owned());
        if !self.files.has(DEFAULTS) {
            let what = if self.machine.efi {
                "the UEFI loader takes only a device with this file for the one it was started from"
            } else {
                "the kernel has no path then"
            };
            self.find(prevents("Warning: unable to open file /boot/defaults/loader.conf").at(DEFAULTS).hint(what));
        }
        self.read_conf_files(0);
        self.read_conf(TRANSIENT);
        self.is_configuring = false;
    }

    /// `include_conf_files` of support.4th: the files that were named last, then all of the directory, each followed by
    /// what it names itself. The directory is thus read more than once, which changes nothing.
    fn read_conf_files(&mut self, depth: usize) {
        let Some(named) = self.conf_files.take() else { return };
        if depth > MAX_DEPTH {
            let message = "loader_conf_files names files that name each other without end";
            self.find(prevents(message).at(CONF_DIRECTORY));
            return;
        }
        let mut paths: Vec<String> = named.split(' ').filter(|path| !path.is_empty()).map(str::to_owned).collect();
        // TFTP lists no directories, and the words that would read this one do not ask for it then.
        if !self.files.is_network() {
            paths.extend(self.files.in_directory(CONF_DIRECTORY));
        }
        for path in paths {
            self.n_conf_files += 1;
            if self.n_conf_files > MAX_CONF_FILES {
                return;
            }
            self.read_conf(&path);
            self.read_conf_files(depth + 1);
        }
    }

    fn read_conf(&mut self, path: &str) {
        let Some(text) = self.files.text(path) else { return };
        let conf = conf::parse(&text);
        let is_first = !self.loaded.read.contains(&normal(path));
        for assignment in &conf.assignments {
            self.assign(&assignment.name, &assignment.value, path);
        }
        if !is_first {
            return;
        }
        self.loaded.read.push(normal(path));
        if let Some((line, text)) = conf.error {
            let message = format!("Warning: syntax error on file {path}");
            let finding = Finding::new(Severity::Harmful, Component::IllumosLoader, message).at(path);
            self.find(finding.hint(format!(
                "line {line} is `{}`; it has to be NAME=\"VALUE\", and nothing behind it was read",
                escaped(text.as_bytes())
            )));
        }
    }

    /// `process_assignment` of support.4th.
    fn assign(&mut self, name: &str, value: &Value, path: &str) {
        match name {
            "loader_conf_files" => {
                self.environment.set(name, value);
                self.conf_files = self.environment.get(name).map(str::to_owned);
                return;
            }
            "verbose_loading" => return,
            "exec" => {
                for statement in forth::statements(value.text.as_bytes()) {
                    // `exec` may not read the configuration that it is part of.
                    if !matches!(statement.action, Action::Configure | Action::Start) {
                        self.execute(&statement, path, 0);
                    }
                }
                return;
            }
            _ => {}
        }
        let suffix = ["_load", "_name", "_type", "_hash", "_flags", "_before", "_after", "_error"]
            .into_iter()
            .find_map(|suffix| Some((name.strip_suffix(suffix)?, suffix)).filter(|(module, _)| !module.is_empty()));
        let Some((module, suffix)) = suffix else {
            self.environment.set(name, value);
            return;
        };
        let module = self.module(module);
        match suffix {
            "_load" => {
                module.load = value.text.eq_ignore_ascii_case("yes");
                if module.file.is_none() {
                    path.clone_into(&mut module.named_in);
                }
            }
            "_name" => {
                module.file = Some(value.clone());
                path.clone_into(&mut module.named_in);
            }
            "_type" => module.kind = Some(value.clone()),
            _ => {}
        }
    }

    fn module(&mut self, name: &str) -> &mut Module {
        let index = self.modules.iter().position(|module| module.name == name).unwrap_or_else(|| {
            self.modules.push(Module { name: name.to_owned(), ..Module::default() });
            self.modules.len() - 1
        });
        &mut self.modules[index]
    }

    /// `load_kernel` and `load_modules`, and what the start of the kernel asks of them.
    fn load_all(&mut self) {
        // Where there is no script, nothing else can be told.
        if !self.files.has(SCRIPT) {
            return;
        }
        if self.loaded.kernel.is_none() {
            self.load_kernel();
        }
        let mut missing = Vec::new();
        for module in std::mem::take(&mut self.modules).into_iter().filter(|module| module.load) {
            let plain = Value::new(&module.name);
            let path = self.environment.expand(module.file.as_ref().unwrap_or(&plain));
            let kind = module.kind.as_ref().map(|kind| self.environment.expand(kind)).unwrap_or_default();
            match self.search(&path) {
                Some(path) => self.loaded.modules.push(LoadedModule { kind, path }),
                None => missing.push((kind, path, module)),
            }
        }
        if self.loaded.modules.iter().any(|module| module.kind == "rootfs") || self.loaded.kernel.is_none() {
            return;
        }
        let root = missing.iter().find(|(kind, ..)| kind == "rootfs");
        let finding = prevents("No rootfs module provided, aborting");
        let finding = match root {
            Some((_, path, module)) => finding.at(&module.named_in).hint(self.archive_hint(path, module)),
            None => finding.hint("no configuration has a module with NAME_load=\"YES\" and NAME_type=\"rootfs\""),
        };
        self.find(finding);
    }

    /// The trap of the seed's `conf.d/livemedia`: a name with the directory of the processor, and a file without.
    fn archive_hint(&self, path: &str, module: &Module) -> String {
        let written = module.file.as_ref().map_or(&module.name[..], |file| &file.text);
        let there = self.files.elsewhere(path);
        let medium = self.files.medium();
        format!("{}_name is `{written}`, which is {path} here and not on {medium}; {there}", module.name)
    }

    /// `standard_kernel_search` of support.4th.
    fn load_kernel(&mut self) {
        let directory = self.environment.get("kernel").map(str::to_owned);
        let names = self.environment.get("bootfile").unwrap_or_default().to_owned();
        let names: Vec<&str> = names.split(';').filter(|name| !name.is_empty()).collect();
        let mut tried: Vec<String> = Vec::new();
        if let Some(directory) = &directory {
            for place in [format!("/platform/{directory}"), directory.clone()] {
                tried.extend(names.iter().map(|name| format!("{place}/{name}")));
            }
            tried.push(directory.clone());
        }
        tried.extend(names.iter().map(|name| (*name).to_owned()));
        self.loaded.kernel = tried.iter().find_map(|path| self.search(path));
        if self.loaded.kernel.is_none() && !self.is_configured {
            let hint = "loader.rc never reads the configuration: it has no `initialize` or `start`";
            self.find(prevents("Unable to load a kernel!").at(SCRIPT).hint(hint));
        } else if self.loaded.kernel.is_none() && self.files.has(DEFAULTS) {
            let first = tried.first().map_or("`kernel` and `bootfile` are not set".to_owned(), |path| {
                format!("`{}` is not on {}", normal(path), self.files.medium())
            });
            let others = self.files.named("unix");
            let there = if others.is_empty() {
                "and no `unix` is".to_owned()
            } else {
                format!("which has `{}`", others.join("`, `"))
            };
            self.find(prevents("Unable to load a kernel!").hint(format!("{first}, {there}")));
        }
    }

    /// `file_search` of common/module.c: a path as it is, a name in each directory of `module_path`.
    fn search(&self, name: &str) -> Option<String> {
        if name.contains('/') {
            return self.files.has(name).then(|| normal(name));
        }
        let path = self.environment.get("module_path").unwrap_or_default();
        path.split(';')
            .map(|directory| format!("{directory}/{name}"))
            .find(|path| self.files.has(path))
            .map(|p| normal(&p))
    }

    fn report_autoboot(&mut self) {
        if self.environment.get("autoboot_delay").is_some_and(|delay| delay.eq_ignore_ascii_case("no")) {
            let message = "autoboot_delay is `NO`: the loader waits for somebody to start the kernel";
            self.find(Finding::new(Severity::Warning, Component::IllumosLoader, message));
        }
    }
}

fn prevents(message: impl Into<String>) -> Finding {
    Finding::new(Severity::PreventsStart, Component::IllumosLoader, message)
}

#[cfg(test)]
mod tests;
