//! An illumos image, traced once more from its own kernel and its own init.
//!
//! The rules say what the kernel, init and the daemons open by name, and what happens when it is not there: that is what
//! is told, in those words. A tree without `/kernel` and `/platform` is that of a zone, which has its kernel elsewhere.

use super::start::Image;
use super::{Component, Finding, Report, Severity, VerifyError, illumos_symbols};
use crate::graph::Graph;
use crate::manifest::{Manifest, Missing, Omission};
use crate::objects::elf::SymbolScan;
use crate::path::{RootPath, escaped};
use crate::reason::{self, Kind, Priority, Reason};
use crate::recipe::{Base, Recipe, System, TraceOptions};
use crate::resolve::glibc::Cache;
use crate::resolve::illumos::{UNKNOWN_FILE, WRONG_ELF};
use crate::resolve::krtld::UNIX_64;
use crate::resolve::store::Store;
use crate::root::Root;
use crate::text::count;
use crate::trace::{Input, Trace, VERSION_STEP, trace_kept};

const INIT: &str = "/sbin/init";
const PASSWD: &str = "/etc/passwd";
const KERNELS: &str = "/platform/*/kernel/{amd64/,}unix";
/// The hardware profile of a zone.
const ZONE: &str = "none";

/// Traces the image and reports what it lacks.
pub(super) fn check(image: &Image<'_>, manifest: Option<&Manifest>, report: &mut Report) -> Result<(), VerifyError> {
    let kernels = image.root.glob(KERNELS);
    let is_system = is_system(manifest);
    let is_zone = is_system && !has_kernel_directories(image.root);
    for kernel in &kernels {
        report.saw(Component::Kernel, kernel, "is a kernel");
    }
    if is_system && !is_zone && kernels.is_empty() {
        report.find(no_kernel());
    }
    check_init(image, is_zone, report);
    if is_zone {
        check_shell(image, report);
    }
    let trace = trace_again(image, targets(image, manifest, &kernels), is_zone)?;
    let dropped = |missing: &Missing| manifest.is_some_and(|manifest| was_dropped(manifest, missing));
    for missing in trace.missing.iter().filter(|missing| !dropped(missing)) {
        report.find(judge(missing, &trace.graph));
    }
    illumos_symbols::check(image.root, &trace.graph, report);
    let paths = count(trace.graph.paths().len() as u64, "path");
    report.saw(Component::Init, "closure", format_args!("kernel, init, all programs and what they need: {paths}"));
    Ok(())
}

/// What [`check`] would take for the image of a zone is no boot archive, unless the manifest says that it is neither.
pub(super) fn check_boot_archive(root: &Root, manifest: Option<&Manifest>, report: &mut Report) {
    if is_system(manifest) && !has_kernel_directories(root) {
        report.find(no_kernel());
    }
}

fn has_kernel_directories(root: &Root) -> bool {
    ["/kernel", "/platform"].iter().any(|path| root.has(path))
}

fn no_kernel() -> Finding {
    let message = format!("Unable to boot: krtld: could neither locate nor resolve symbols for: {UNIX_64}");
    Finding::new(Severity::PreventsStart, Component::Kernel, message).at(UNIX_64)
}

/// Whether something starts the image's files; nothing does with headers and libraries for a compiler, as their manifest
/// says.
fn is_system(manifest: Option<&Manifest>) -> bool {
    let starts = |path: &RootPath| path.as_bytes() == INIT.as_bytes() || path.as_bytes() == UNIX_64.as_bytes();
    manifest.is_none_or(|manifest| {
        manifest.targets.iter().chain(manifest.entries.iter().map(|entry| &entry.path)).any(starts)
    })
}

/// zlogin(1) runs login, which runs the shell of /etc/passwd; without one named there it is /usr/bin/sh
/// (usr/src/cmd/login/login.c).
fn check_shell(image: &Image<'_>, report: &mut Report) {
    let text = RootPath::new(PASSWD).ok().and_then(|path| image.root.read_optional(&path).ok().flatten());
    let Some(text) = text else { return };
    let text = String::from_utf8_lossy(&text);
    let Some(shell) = text.lines().find_map(|line| line.strip_prefix("root:")?.split(':').nth(5)) else {
        let message = "zlogin: the user `root` is unknown to the zone";
        report.find(Finding::new(Severity::Harmful, Component::Program, message).at(PASSWD));
        return;
    };
    let shell = if shell.is_empty() { "/usr/bin/sh" } else { shell };
    if image.root.has(shell) {
        report.saw(Component::Program, format_args!("shell of root, {shell}"), "is there");
    } else {
        let hint = format!("the shell of root in {PASSWD} is `{shell}`, which is not in the image");
        report.find(Finding::new(Severity::Harmful, Component::Program, "No shell").at(PASSWD).hint(hint));
    }
}

/// Whether the manifest says that the reference was left out on purpose.
fn was_dropped(manifest: &Manifest, missing: &Missing) -> bool {
    let same = |omission: &Omission| omission.from == missing.from && *omission.reason.detail == *missing.name;
    matches!(missing.reason.kind, Kind::LazyNeeded | Kind::Filtee) && manifest.dropped.iter().any(same)
}

/// What starts by itself, and what the manifest was made for.
fn targets(image: &Image<'_>, manifest: Option<&Manifest>, kernels: &[RootPath]) -> Vec<String> {
    let mut targets: Vec<RootPath> = manifest.map(|manifest| manifest.targets.clone()).unwrap_or_default();
    targets.extend(kernels.iter().cloned());
    targets.extend(RootPath::new(INIT).ok().filter(|_| image.root.has(INIT)));
    targets.sort();
    targets.dedup();
    // Recipes are text; a path that is not could only come from another tool.
    targets.iter().filter_map(|path| String::from_utf8(path.as_bytes().to_vec()).ok()).collect()
}

fn trace_again(image: &Image<'_>, targets: Vec<String>, is_zone: bool) -> Result<Trace, VerifyError> {
    let hardware = if is_zone { vec![ZONE.to_owned()] } else { Vec::new() };
    let recipe = Recipe {
        system: Some(System::Illumos),
        // A program that nothing starts by itself is there to be started by somebody.
        trace: TraceOptions { targets, hardware, base: Some(Base::Everything), ..TraceOptions::default() },
        ..Recipe::default()
    };
    let input =
        Input { root: image.root, rules: image.rules, recipe: &recipe, rule_directories: &[], cache: Cache::AsItIs };
    Ok(trace_kept(input)?)
}

/// What the runtime linker or the kernel prints (usr/src/cmd/sgs/rtld/common/rtld.msg, `MSG_SYS_OPEN` and `MSG_ERR_REJ_*`
/// behind the name of the process; usr/src/uts/common/exec/elf/elf.c); `None` where it is a rule that tells.
fn words(missing: &Missing, graph: &Graph) -> Option<String> {
    let from = missing.from.as_ref()?;
    let name = &missing.name;
    match missing.reason.kind {
        Kind::Needed | Kind::LazyNeeded | Kind::Filtee => {
            let program = program_of(from, graph)?;
            let program = escaped(program.file_name());
            // The first file that was passed over is remembered for the message.
            let why = match missing.probes.iter().find(|probe| is_rejection(&probe.outcome)) {
                Some(probe) => format!("{}: {}", probe.path, probe.outcome),
                None => format!("{name}: open failed: No such file or directory"),
            };
            Some(format!("ld.so.1: {program}: fatal: {why}"))
        }
        Kind::Interpreter => Some(format!("{from}: Cannot find {name}")),
        _ => None,
    }
}

/// Whether a file was there and its kind was wrong.
fn is_rejection(outcome: &str) -> bool {
    outcome == UNKNOWN_FILE || outcome.starts_with(WRONG_ELF)
}

/// A program that loads an object: the first one on the way up that nothing else loads; `None` when it is a library by
/// its name, which waits for a program that is not here.
fn program_of(object: &RootPath, graph: &Graph) -> Option<RootPath> {
    let mut waiting = vec![object.clone()];
    let mut next = 0;
    while let Some(path) = waiting.get(next).cloned() {
        let is_loaded = |reason: &Reason| {
            matches!(reason.kind, Kind::Needed | Kind::LazyNeeded | Kind::Filtee | Kind::Interpreter | Kind::Symlink)
        };
        let loaders: Vec<RootPath> = graph
            .reasons(&path)
            .into_iter()
            .filter(|(_, reason)| is_loaded(reason))
            .filter_map(|(from, _)| from)
            .collect();
        if loaders.is_empty() && memchr::memmem::find(path.file_name(), b".so").is_none() {
            return Some(path);
        }
        for loader in loaders {
            if !waiting.contains(&loader) {
                waiting.push(loader);
            }
        }
        next += 1;
    }
    None
}

/// `start_init_common` of the kernel's os/main.c sets up a process of 32 bits, whatever the kernel's own.
fn check_init(image: &Image<'_>, is_zone: bool, report: &mut Report) {
    let scan = SymbolScan::default();
    let mut store = Store::new(image.root, &scan);
    let Some(found) = RootPath::new(INIT).ok().and_then(|path| image.root.lookup(&path).ok()) else {
        // With a kernel, a rule tells it.
        if is_zone {
            let message = format!("the zone cannot boot: {INIT} is not in the image");
            report.find(Finding::new(Severity::PreventsStart, Component::Kernel, message).at(INIT));
        }
        return;
    };
    let id = store.read(&found);
    match store.object(id).elf().map(|elf| elf.identity.bits) {
        Some(64) => {
            let message =
                format!("exec({INIT}) failed: it is a 64-bit program, and the kernel starts init with 32 bits");
            report.find(Finding::new(Severity::PreventsStart, Component::Kernel, message).at(INIT));
        }
        Some(_) => report.saw(Component::Kernel, INIT, "is a 32-bit program"),
        None => {
            let message = format!("exec({INIT}) failed: it is no program");
            report.find(Finding::new(Severity::PreventsStart, Component::Kernel, message).at(INIT));
        }
    }
}

/// What ld.so.1 prints when a library is there and lacks a version (`MSG_VER_NFOUND` of
/// usr/src/cmd/sgs/rtld/common/rtld.msg). It begins with the program's name; a library, whichever program brings it,
/// stands there under its own.
fn version_message(missing: &Missing) -> Option<String> {
    let from = missing.from.as_ref().filter(|_| missing.probes.iter().any(|probe| probe.step == VERSION_STEP))?;
    let (library, version) = missing.name.strip_suffix(')')?.rsplit_once(" (")?;
    let program = escaped(from.file_name());
    Some(format!("ld.so.1: {program}: fatal: {library}: version '{version}' not found (required by file {from})"))
}

/// What a missing reference means.
fn judge(missing: &Missing, graph: &Graph) -> Finding {
    let severity = match missing.consequence.as_ref().map(|consequence| consequence.severity) {
        Some(reason::Severity::Panic | reason::Severity::Hang) => Severity::PreventsStart,
        Some(reason::Severity::Warning) => Severity::Warning,
        Some(reason::Severity::Loss) => Severity::Suggestion,
        None => match (missing.reason.kind, missing.priority) {
            // Only the first use of the library fails, which may never come.
            (Kind::LazyNeeded | Kind::Filtee, _) => Severity::Warning,
            (_, Priority::Required) => Severity::Harmful,
            (_, Priority::Recommended) => Severity::Warning,
            (_, Priority::Suggested) => Severity::Suggestion,
        },
    };
    let component = match (&missing.consequence, missing.reason.kind) {
        (Some(consequence), _) if consequence.severity == reason::Severity::Panic => Component::Kernel,
        (Some(consequence), _) if consequence.severity == reason::Severity::Hang => Component::Init,
        (_, Kind::Needed | Kind::LazyNeeded | Kind::Filtee | Kind::Interpreter) => Component::RuntimeLinker,
        (_, Kind::Module) => Component::Kernel,
        (_, Kind::Target) => Component::Program,
        _ => Component::Rules,
    };
    // A rule has words of its own, which say what the machine makes of it.
    let spoken = words(missing, graph).filter(|_| missing.consequence.is_none());
    let finding = match version_message(missing) {
        Some(message) => Finding::new(severity, component, message),
        None => match spoken {
            Some(words) => Finding::new(severity, component, words).hint(missing.sentence()),
            None => Finding::new(severity, component, format!("missing: {}", missing.sentence())),
        },
    };
    match &missing.from {
        Some(from) => finding.at(from),
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Probed;
    use crate::reason::Evidence;

    #[test]
    fn a_library_of_the_wrong_kind_is_told_by_its_path() {
        let path = |text: &str| RootPath::new(text).unwrap();
        let mut graph = Graph::default();
        let needs = || Reason::new(Evidence::Proven, Kind::Needed, "libfirst.so.1");
        for node in ["/usr/bin/prog", "/lib/libfirst.so.1"] {
            graph.add(&path(node));
        }
        graph.connect(None, &path("/usr/bin/prog"), Reason::new(Evidence::Target, Kind::Target, ""));
        graph.connect(Some(&path("/usr/bin/prog")), &path("/lib/libfirst.so.1"), needs());
        let check = |probes: &[(&str, &str)], expected: &str| {
            let probed = |(path, outcome): &(&str, &str)| Probed {
                path: (*path).to_owned(),
                step: "default directory".to_owned(),
                outcome: (*outcome).to_owned(),
            };
            let missing = Missing {
                from: Some(path("/lib/libfirst.so.1")),
                reason: needs(),
                name: "libsecond.so.1".to_owned(),
                priority: Priority::Required,
                consequence: None,
                probes: probes.iter().map(probed).collect(),
            };
            assert_eq!(words(&missing, &graph).as_deref(), Some(expected));
        };
        let absent = ("/lib/libsecond.so.1", "no such file");
        check(&[absent], "ld.so.1: prog: fatal: libsecond.so.1: open failed: No such file or directory");
        check(
            &[absent, ("/usr/lib/libsecond.so.1", "wrong ELF class: ELFCLASS64"), ("/opt/x", "unknown file type")],
            "ld.so.1: prog: fatal: /usr/lib/libsecond.so.1: wrong ELF class: ELFCLASS64",
        );
        check(
            &[("/usr/lib/libsecond.so.1", "unknown file type")],
            "ld.so.1: prog: fatal: /usr/lib/libsecond.so.1: unknown file type",
        );
    }
}
