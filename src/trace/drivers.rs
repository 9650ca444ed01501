//! The driver databases of an illumos root: which drivers a machine needs, and the image's own copies of the files.
//!
//! A hardware profile becomes drivers through `driver_aliases`, as the kernel would bind them. When the set of drivers
//! stands, the databases that are in the image are made anew, with the entries of those drivers and no others.

use super::illumos_kernel::NamedModule;
use super::{Item, TraceError, Tracer};
use crate::drivers::{Binding, DriverDatabases, Severity, SystemCommand};
use crate::manifest::Probed;
use crate::modules::hardware;
use crate::path::{RootPath, escaped};
use crate::reason::{Evidence, Kind, Priority, Reason};
use crate::recipe::System;
use crate::startup::GeneratedFile;
use std::collections::BTreeSet;

impl Tracer<'_> {
    /// Finds the drivers of the recipe's hardware, in a root of illumos; gives the databases for later.
    pub(super) fn choose_drivers(&mut self) -> Result<Option<DriverDatabases>, TraceError> {
        if self.system != System::Illumos {
            return Ok(None);
        }
        let databases = self.read_databases();
        self.module_path = databases.module_path.clone();
        let options = &self.input.recipe.trace;
        let devices = hardware::devices(&options.hardware, self.input.rule_directories)?;
        for binding in databases.modules_for(&devices) {
            self.need_driver_of(&binding);
        }
        for name in &options.modules {
            let reason = Reason::new(Evidence::Target, Kind::Target, format!("module {name}"));
            self.want_module(name.clone(), reason);
        }
        self.read_system_commands(&databases);
        Ok(Some(databases))
    }

    /// Modules that `/etc/system` has the kernel load, in an image with a kernel.
    fn read_system_commands(&mut self, databases: &DriverDatabases) {
        for table in &databases.system {
            for (line, command) in table.entries() {
                let SystemCommand::ForceLoad(module) = command else { continue };
                let detail = format!("forceload, line {line} of {}", table.path());
                self.illumos_modules.want_named(NamedModule {
                    name: module.clone(),
                    reason: Reason::new(Evidence::Declared, Kind::Module, detail),
                    priority: Priority::Recommended,
                    without_kernel: false,
                });
            }
        }
    }

    fn read_databases(&self) -> DriverDatabases {
        let root = self.input.root;
        let read = |path: &str| root.read_optional(&RootPath::new(path).ok()?).ok().flatten();
        let list = |directory: &str| {
            let directory = RootPath::new(directory).ok().and_then(|path| root.directory(&path).ok());
            let names = directory.and_then(|directory| root.read_dir(&directory).ok()).unwrap_or_default();
            names.into_iter().filter_map(|name| String::from_utf8(name).ok()).collect()
        };
        DriverDatabases::read(&read, &list)
    }

    fn need_driver_of(&mut self, binding: &Binding) {
        let Binding { profile, device, node, candidates, chosen } = binding;
        if chosen.is_empty() {
            let reason = Reason::new(Evidence::Rule, Kind::Alias, format!("hardware/{profile}: {device}"));
            let tried = candidates.iter().map(|name| Probed {
                path: name.clone(),
                step: "/etc/driver_aliases".to_owned(),
                outcome: "no driver of this name or alias".to_owned(),
            });
            let probes = tried.collect();
            self.note_missing(None, node.clone(), reason, Priority::Suggested, probes);
        }
        for driver in chosen {
            let detail = format!("hardware/{profile}: {device} is {}, the driver's", driver.name);
            let reason = Reason::new(Evidence::Rule, Kind::Alias, detail);
            self.want_module(format!("drv/{}", driver.driver), reason);
        }
    }

    /// Takes down a module that the user wants, by name or by the hardware.
    fn want_module(&mut self, name: String, reason: Reason) {
        let module = NamedModule { name, reason, priority: Priority::Required, without_kernel: true };
        self.illumos_modules.want_named(module);
    }

    /// Writes the databases that are in the image anew, for the drivers that are in it, and tells what does not fit.
    pub(super) fn trim_databases(&mut self, databases: Option<&DriverDatabases>) {
        let Some(databases) = databases else { return };
        let paths = self.graph.paths();
        let places = paths.iter().filter_map(|path| self.module_path.place(path));
        // A driver's `.conf` lies beside it in a 32-bit root.
        let drivers = places.filter(|place| place.class == b"drv").map(|place| escaped(place.name).to_string());
        let names = drivers.filter(|name| !name.ends_with(".conf"));
        let kept: BTreeSet<String> = names.collect();
        if kept.is_empty() {
            return;
        }
        for (path, bytes) in databases.trim(&kept) {
            let Ok(found) = self.input.root.lookup(&path) else { continue };
            if self.graph.contains(&found.path) {
                let file = GeneratedFile { path: found.path.clone(), mode: found.info.mode, bytes };
                self.items.insert(found.path, Item::Generated(file));
            }
        }
        for problem in databases.problems(&kept) {
            match problem.severity {
                Severity::Note => {}
                Severity::Warning | Severity::Loss => self.notes.push(problem.to_string()),
                Severity::Panic | Severity::Hang => {
                    let reason = Reason::new(Evidence::Rule, Kind::Rule, problem.rule);
                    let name = problem.driver.clone().unwrap_or_else(|| problem.path.to_string());
                    let (path, step) = (problem.path.to_string(), "driver databases".to_owned());
                    let probes = vec![Probed { path, step, outcome: problem.message.clone() }];
                    self.note_missing(None, name, reason, Priority::Required, probes);
                }
            }
        }
    }
}
