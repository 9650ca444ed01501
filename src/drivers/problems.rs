//! What does not fit together in the databases, for an image with certain drivers, and what it does to a running system.
//!
//! The numbers are those of the boot notes: K18 no major number, K19 an alias without its driver, K20 a pseudo device
//! without its node, K21 classes, K22 permissions, K23 `/etc/system`; `7` is their list of files that the kernel opens.

use super::trim::command_driver;
use super::{DriverDatabases, SystemCommand};
use crate::path::RootPath;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How bad a problem is, from the mildest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; often as it should be.
    Note,
    /// Something does not work, without a message.
    Loss,
    /// The kernel says so and goes on.
    Warning,
    /// The system starts and is of no use.
    Hang,
    /// The kernel does not start.
    Panic,
}

/// One thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    /// The rule it breaks, such as `K18`.
    pub rule: &'static str,
    /// The file to look into, and the line if there is one.
    pub path: RootPath,
    pub line: Option<usize>,
    /// The driver it is about.
    pub driver: Option<String>,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {} ({})", self.message, self.rule)
    }
}

/// Drivers without hardware that every boot uses: their only device node is the one their `.conf` asks for.
const PSEUDO: [&str; 14] =
    ["clone", "cn", "conskbd", "consms", "log", "mm", "poll", "ramdisk", "random", "sad", "sy", "sysmsg", "tl", "wc"];

impl DriverDatabases {
    /// What does not fit together when exactly the drivers `kept` are in the image: the worst first, then by rule, file
    /// and line.
    pub fn problems(&self, kept: &BTreeSet<String>) -> Vec<Problem> {
        let mut found = Problems { databases: self, kept, problems: Vec::new() };
        found.missing_files();
        found.numbers();
        found.aliases();
        found.nodes();
        found.classes();
        found.permissions();
        found.settings();
        let mut problems = found.problems;
        problems.sort_by(|a, b| {
            (b.severity, a.rule, &a.path, a.line, &a.driver).cmp(&(a.severity, b.rule, &b.path, b.line, &b.driver))
        });
        problems
    }
}

struct Problems<'d> {
    databases: &'d DriverDatabases,
    kept: &'d BTreeSet<String>,
    problems: Vec<Problem>,
}

impl Problems<'_> {
    fn add(
        &mut self,
        (severity, rule): (Severity, &'static str),
        (path, line): (&RootPath, Option<usize>),
        driver: Option<&str>,
        message: String,
    ) {
        let (path, driver) = (path.clone(), driver.map(str::to_owned));
        self.problems.push(Problem { severity, rule, path, line, driver, message });
    }

    fn missing(&mut self, severity: Severity, path: &str, consequence: &str) {
        self.add((severity, "7"), (&file(path), None), None, format!("the file is missing: {consequence}"));
    }

    fn missing_files(&mut self) {
        let databases = self.databases;
        if databases.name_to_major.is_none() {
            self.missing(Severity::Panic, "/etc/name_to_major", "the kernel panics, `file not found`");
        }
        if databases.name_to_sysnum.is_none() {
            self.missing(Severity::Panic, "/etc/name_to_sysnum", "the kernel panics, `file not found`");
        }
        if databases.system.iter().all(|table| table.path().as_bytes() != b"/etc/system") {
            self.missing(Severity::Warning, "/etc/system", "the kernel says `cannot open system file`");
        }
        if databases.path_to_inst.is_none() {
            self.missing(Severity::Warning, "/etc/path_to_inst", "the boot is a reconfiguration boot");
        }
        if databases.driver_aliases.is_none() {
            self.missing(Severity::Loss, "/etc/driver_aliases", "no device gets its driver by an alias");
        }
        if databases.driver_classes.is_none() {
            self.missing(Severity::Loss, "/etc/driver_classes", "drivers that bind by class get no device");
        }
        if databases.dacf.is_none() {
            self.missing(Severity::Loss, "/etc/dacf.conf", "keyboard and mouse do not join the console");
        }
        if databases.mach.is_none() {
            self.missing(Severity::Loss, "/etc/mach", "one processor only, with legacy interrupts");
        }
        if databases.autopush.is_none() {
            self.missing(Severity::Loss, "/etc/iu.ap", "terminals have no line editing");
        }
        if databases.minor_perm.is_none() {
            self.missing(Severity::Loss, "/etc/minor_perm", "all device nodes are for root only, mode 0600");
        }
        if databases.sock2path.is_empty() {
            self.missing(Severity::Loss, "/etc/sock2path.d", "every socket() fails");
        }
    }

    /// K18: every kept driver has a number, and one number means one driver.
    fn numbers(&mut self) {
        let Some(table) = &self.databases.name_to_major else { return };
        let (path, kept) = (table.path(), self.kept);
        for driver in kept.iter().filter(|driver| self.databases.major(driver).is_none()) {
            let message = format!("the driver `{driver}` has no major number and cannot be used");
            self.add((Severity::Loss, "K18"), (path, None), Some(driver), message);
        }
        let (mut drivers, mut numbers) = (BTreeMap::new(), BTreeMap::new());
        for (line, entry) in table.entries() {
            let driver = &entry.driver[..];
            if let Some(first) = drivers.insert(driver, line) {
                let message = format!("`{driver}` has a number already, in line {first}; this one does not count");
                self.add((Severity::Warning, "K18"), (path, Some(line)), Some(driver), message);
                drivers.insert(driver, first);
            } else if let Some(other) = numbers.insert(entry.major, driver)
                && kept.contains(driver)
            {
                let message = format!("`{driver}` and `{other}` have the same number, {}", entry.major);
                self.add((Severity::Warning, "K18"), (path, Some(line)), Some(driver), message);
                numbers.insert(entry.major, other);
            }
        }
    }

    /// K19: an alias leads to a driver that is there, and to one only.
    fn aliases(&mut self) {
        let Some(table) = &self.databases.driver_aliases else { return };
        let mut first: BTreeMap<&str, &str> = BTreeMap::new();
        for (line, entry) in table.entries() {
            let (place, driver) = ((table.path(), Some(line)), &entry.driver[..]);
            if self.databases.major(driver).is_none() {
                let message = format!("`{driver}` has an alias and no major number; nothing binds to it");
                self.add((Severity::Warning, "K19"), place, Some(driver), message);
                continue;
            }
            for alias in &entry.aliases {
                let taken = match first.get(&alias[..]) {
                    Some(other) => Some(*other),
                    None => self.databases.majors.get_key_value(alias).map(|(driver, _)| &driver[..]),
                };
                first.entry(alias).or_insert(driver);
                if let Some(other) = taken.filter(|other| *other != driver && self.kept.contains(driver)) {
                    let message = format!("`{alias}` is of `{other}` already; it does not bind to `{driver}`");
                    self.add((Severity::Warning, "K19"), place, Some(driver), message);
                }
            }
        }
    }

    /// K20: pseudo devices have a node, and nodes have a parent.
    fn nodes(&mut self) {
        for driver in self.kept {
            let Some(conf) = self.databases.conf(driver) else {
                if PSEUDO.contains(&&driver[..]) {
                    self.no_pseudo_node(&file(&format!("/kernel/drv/{driver}.conf")), driver, "has no .conf");
                }
                continue;
            };
            let is_pseudo = |parent: Option<&str>| parent == Some("pseudo");
            if PSEUDO.contains(&&driver[..]) && !conf.nodes.iter().any(|node| is_pseudo(node.parent_driver())) {
                self.no_pseudo_node(&conf.path, driver, "has no entry with parent=\"pseudo\" in its .conf");
            }
            for node in &conf.nodes {
                let Some(parent) = node.parent_driver() else { continue };
                // `pseudo` is part of the kernel's own tree, and paths of hardware may come and go.
                let is_path = node.parent.as_deref().is_some_and(|path| path.starts_with('/'));
                if parent != "pseudo" && !is_path && !self.is_kept_name(parent) {
                    let message =
                        format!("the node `{}` has the parent `{parent}`, which is no kept driver", node.name);
                    self.add((Severity::Warning, "K20"), (&conf.path, Some(node.line)), Some(driver), message);
                }
            }
        }
    }

    fn no_pseudo_node(&mut self, path: &RootPath, driver: &str, reason: &str) {
        let severity = if driver == "cn" { Severity::Hang } else { Severity::Loss };
        let message = format!("`{driver}` {reason}: /devices/pseudo/{driver}@0 does not exist");
        self.add((severity, "K20"), (path, None), Some(driver), message);
    }

    fn is_kept_name(&self, name: &str) -> bool {
        self.databases.driver_of(name).is_some_and(|driver| self.kept.contains(driver))
    }

    /// K21: exporters are there, and drivers that live by a class have an exporter.
    fn classes(&mut self) {
        let Some(table) = &self.databases.driver_classes else { return };
        for (line, entry) in table.entries() {
            let driver = &entry.driver[..];
            if self.databases.major(driver).is_none() {
                let message = format!("`{driver}` exports the class `{}` and has no major number", entry.class);
                self.add((Severity::Warning, "K21"), (table.path(), Some(line)), Some(driver), message);
            }
        }
        let with_alias: BTreeSet<&str> = self.databases.aliases.values().map(String::as_str).collect();
        for driver in self.kept.iter().filter(|driver| !with_alias.contains(&driver[..])) {
            let Some(conf) = self.databases.conf(driver) else { continue };
            let classes: BTreeSet<&str> = conf.nodes.iter().filter_map(|node| node.class.as_deref()).collect();
            let has_exporter =
                |class: &&str| self.databases.exporters(class).any(|exporter| self.kept.contains(exporter));
            if conf.nodes.iter().any(|node| node.parent.is_some()) || classes.iter().any(has_exporter) {
                continue;
            }
            if let Some(class) = classes.first() {
                let message =
                    format!("`{driver}` has devices of the class `{class}` only, and no kept driver exports it");
                self.add((Severity::Loss, "K21"), (&conf.path, None), Some(driver), message);
            }
        }
    }

    /// K22: nodes that only root can open.
    fn permissions(&mut self) {
        let Some(table) = &self.databases.minor_perm else { return };
        let mut covered: BTreeSet<&str> = BTreeSet::new();
        for (_, entry) in table.entries() {
            covered.insert(&entry.driver);
            covered.extend(entry.cloned());
        }
        for driver in self.kept.iter().filter(|driver| !covered.contains(&driver[..])) {
            let message = format!("no permissions for `{driver}`: its nodes, if it has any, are for root only");
            self.add((Severity::Note, "K22"), (table.path(), None), Some(driver), message);
        }
    }

    /// K23: `/etc/system` speaks of drivers that are there, and does not keep out those that are wanted.
    fn settings(&mut self) {
        for table in &self.databases.system {
            for (line, command) in table.entries() {
                let Some(driver) = command_driver(command) else { continue };
                let (kept, known) = (self.kept.contains(driver), self.databases.major(driver).is_some());
                let (severity, message) = match command {
                    SystemCommand::Exclude(_) if kept => {
                        (Severity::Loss, format!("the kept driver `{driver}` is excluded"))
                    }
                    SystemCommand::ForceLoad(module) if !kept => {
                        (Severity::Warning, format!("`{module}` is to be loaded and is not in the image"))
                    }
                    SystemCommand::Set(setting) if known && !kept => {
                        let variable = &setting.variable;
                        (Severity::Note, format!("`{variable}` is set for `{driver}`, which is not in the image"))
                    }
                    _ => continue,
                };
                self.add((severity, "K23"), (table.path(), Some(line)), Some(driver), message);
            }
        }
    }
}

fn file(path: &str) -> RootPath {
    RootPath::new(path).unwrap_or_else(|_| RootPath::root())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::databases;
    use super::*;

    /// The problems of one rule, as text.
    fn check(rule: &str, kept: &[&str], files: &[(&str, &str)], expected: &[(Severity, &str)]) {
        let kept = kept.iter().map(|driver| (*driver).to_owned()).collect();
        let found = databases(files).problems(&kept);
        let found: Vec<(Severity, String)> = found
            .iter()
            .filter(|problem| problem.rule == rule)
            .map(|problem| (problem.severity, problem.to_string()))
            .collect();
        let found: Vec<(Severity, &str)> = found.iter().map(|(severity, text)| (*severity, &text[..])).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn missing_files_are_named_with_what_happens_then() {
        let found = databases(&[]).problems(&BTreeSet::new());
        assert_eq!(found.len(), 11);
        assert_eq!(
            found[0].to_string(),
            "/etc/name_to_major: the file is missing: the kernel panics, `file not found` (7)"
        );
        assert!(found.is_sorted_by(|a, b| a.severity >= b.severity));
    }

    #[test]
    fn k18_a_kept_driver_needs_a_number_of_its_own() {
        check(
            "K18",
            &["a", "b", "c"],
            &[("/etc/name_to_major", "a 1\na 2\nb 1\n")],
            &[
                (
                    Severity::Warning,
                    "/etc/name_to_major:2: `a` has a number already, in line 1; this one does not count (K18)",
                ),
                (Severity::Warning, "/etc/name_to_major:3: `b` and `a` have the same number, 1 (K18)"),
                (Severity::Loss, "/etc/name_to_major: the driver `c` has no major number and cannot be used (K18)"),
            ],
        );
    }

    #[test]
    fn k19_an_alias_needs_its_driver_and_has_one_only() {
        let files =
            [("/etc/name_to_major", "a 1\nb 2\nc 3\n"), ("/etc/driver_aliases", "a x\nghost y\nb x\na c\nc x\n")];
        check(
            "K19",
            &["a", "b"],
            &files,
            &[
                (
                    Severity::Warning,
                    "/etc/driver_aliases:2: `ghost` has an alias and no major number; nothing binds to it (K19)",
                ),
                (Severity::Warning, "/etc/driver_aliases:3: `x` is of `a` already; it does not bind to `b` (K19)"),
                (Severity::Warning, "/etc/driver_aliases:4: `c` is of `c` already; it does not bind to `a` (K19)"),
            ],
        );
    }

    #[test]
    fn k20_pseudo_devices_need_a_node() {
        let files = [
            ("/etc/name_to_major", "cn 0\nlog 1\nmm 2\nasy 3\nx 4\npci 5\n"),
            ("/kernel/drv/mm.conf", "name=\"mm\" parent=\"pseudo\" instance=0;"),
            ("/kernel/drv/log.conf", "log-size=1;"),
            (
                "/kernel/drv/x.conf",
                "\nname=\"x\" parent=\"pci\"; name=\"x\" parent=\"/pci@0\"; name=\"x\" class=\"y\";",
            ),
        ];
        check(
            "K20",
            &["cn", "log", "mm", "asy", "x"],
            &files,
            &[
                (Severity::Hang, "/kernel/drv/cn.conf: `cn` has no .conf: /devices/pseudo/cn@0 does not exist (K20)"),
                (
                    Severity::Warning,
                    "/kernel/drv/x.conf:2: the node `x` has the parent `pci`, which is no kept driver (K20)",
                ),
                (
                    Severity::Loss,
                    "/kernel/drv/log.conf: `log` has no entry with parent=\"pseudo\" in its .conf: \
                 /devices/pseudo/log@0 does not exist (K20)",
                ),
            ],
        );
    }

    #[test]
    fn k21_classes_need_an_exporter() {
        let files = [
            ("/etc/name_to_major", "ata 1\ncmdk 2\nsd 3\n"),
            ("/etc/driver_aliases", "sd \"scsiclass,00\"\n"),
            ("/etc/driver_classes", "ata dada\nghost scsi\n"),
            ("/kernel/drv/cmdk.conf", "name=\"cmdk\" class=\"dada\" target=0;"),
            ("/kernel/drv/sd.conf", "name=\"sd\" class=\"scsi\" target=0 lun=0;"),
        ];
        let ghost = (
            Severity::Warning,
            "/etc/driver_classes:2: `ghost` exports the class `scsi` and has no major number (K21)",
        );
        check("K21", &["ata", "cmdk", "sd"], &files, &[ghost]);
        let alone =
            "/kernel/drv/cmdk.conf: `cmdk` has devices of the class `dada` only, and no kept driver exports it (K21)";
        check("K21", &["cmdk", "sd"], &files, &[ghost, (Severity::Loss, alone)]);
    }

    #[test]
    fn k22_a_driver_without_permissions_is_noted() {
        let files = [
            ("/etc/name_to_major", "a 1\nb 2\nclone 3\nc 4\n"),
            ("/etc/minor_perm", "a:* 0666 root sys\nclone:b 0666 root sys\n"),
        ];
        let text = "/etc/minor_perm: no permissions for `c`: its nodes, if it has any, are for root only (K22)";
        check("K22", &["a", "b", "c"], &files, &[(Severity::Note, text)]);
    }

    #[test]
    fn k23_settings_fit_the_kept_drivers() {
        let files = [
            ("/etc/name_to_major", "a 1\nb 2\n"),
            ("/etc/system", "exclude: drv/a\nforceload: drv/b\nset b:x=1\nset c:x=1\nforceload: fs/zfs\nset y=1\n"),
        ];
        check(
            "K23",
            &["a"],
            &files,
            &[
                (Severity::Warning, "/etc/system:2: `drv/b` is to be loaded and is not in the image (K23)"),
                (Severity::Loss, "/etc/system:1: the kept driver `a` is excluded (K23)"),
                (Severity::Note, "/etc/system:3: `x` is set for `b`, which is not in the image (K23)"),
            ],
        );
    }

    #[test]
    fn a_trimmed_copy_has_no_problem_that_the_drivers_do_not_have() {
        let files = [
            ("/etc/name_to_major", "a 1\nb 2\n"),
            ("/etc/driver_aliases", "a x\nb x\nghost y\n"),
            ("/etc/driver_classes", "ghost scsi\n"),
            ("/etc/system", "forceload: drv/b\n"),
        ];
        let kept: BTreeSet<String> = ["a".to_owned()].into();
        let trimmed = databases(&files).trim(&kept);
        let read = |path: &str| trimmed.iter().find(|(p, _)| p.as_bytes() == path.as_bytes()).map(|(_, c)| c.clone());
        let image = DriverDatabases::read(&read, &|_| Vec::new());
        let rules: BTreeSet<&str> = image.problems(&kept).iter().map(|problem| problem.rule).collect();
        assert_eq!(rules, ["7"].into());
    }
}
