//! From the kernel's first program to the last line of the startup.

use super::arguments::Arguments;
use super::bzimage::BzImage;
use super::exec::{ExecError, Machines, Startable};
use super::plan::{Command, Plan};
use super::tree::Tree;
use super::{Component, Finding, Report, Severity, VerifyError, closure, exec, modules};
use crate::objects::elf::SymbolScan;
use crate::path::{RootPath, escaped};
use crate::resolve::store::Store;
use crate::root::{FileKind, Root};
use crate::rules::RuleSet;
use crate::text::count;

const PLAN: &str = "/init.plan";

/// What is mounted over, or filled, when the image runs.
const FILLED_AT_RUN_TIME: [&str; 6] = ["/dev", "/proc", "/sys", "/tmp", "/run", "/var"];

/// An unpacked image.
pub(super) struct Image<'a> {
    pub root: &'a Root,
    pub tree: &'a Tree,
    pub arguments: &'a Arguments,
    /// Absent when the archive or directory is checked by itself.
    pub kernel: Option<&'a BzImage>,
    pub rules: &'a RuleSet,
}

/// A program that the startup starts and the kernel accepts.
pub(super) struct Program {
    /// As it is started: symlinks on the way are part of what it needs.
    pub target: RootPath,
    /// `argv[0]` of its process.
    pub name: String,
    pub process: RootPath,
    pub files: Vec<RootPath>,
}

/// Checks the init, what it loads and starts, and what that needs.
pub(super) fn check(image: &Image<'_>, report: &mut Report) -> Result<(), VerifyError> {
    let scan = SymbolScan::default();
    let mut store = Store::new(image.root, &scan);
    let (mut programs, mut library_path) = (Vec::new(), Vec::new());
    programs.extend(check_init(image, &mut store, report));
    if !programs.is_empty()
        && let Some(plan) = read_plan(image, report)
    {
        for (line, problem) in &plan.problems {
            let message = format!("minroot: {PLAN} line {line}: {problem}");
            report.find(Finding::new(Severity::Harmful, Component::Init, message).at(PLAN));
        }
        library_path = plan.library_path;
        modules::check(image.root, &plan.modules, image.kernel.and_then(|kernel| kernel.release.as_deref()), report);
        for command in &plan.commands {
            programs.extend(check_command(image, command, &mut store, report));
        }
        if plan.commands.is_empty() {
            let message = "the plan starts no program: the machine is switched off at once";
            report.find(Finding::new(Severity::PreventsStart, Component::Init, message).at(PLAN));
        }
    }
    closure::check(image, &programs, library_path, report)
}

impl Image<'_> {
    fn machines(&self) -> Machines {
        if self.kernel.is_some() { Machines::X86 } else { Machines::Any }
    }
}

/// `kernel_init` of the kernel's init/main.c: a program that is not there counts as no archive at all, one that cannot
/// be executed is passed over, and so are the four names that are tried next.
fn check_init(image: &Image<'_>, store: &mut Store<'_>, report: &mut Report) -> Option<Program> {
    let init = &image.arguments.init;
    let prevents = |message: &str| Finding::new(Severity::PreventsStart, Component::Kernel, message).at(init);
    match exec::check(image.root, store, init.as_bytes(), image.machines()) {
        Ok(startable) => {
            report.saw(Component::Kernel, init, "can be executed");
            Some(Program::new(init.as_bytes(), init.clone(), startable))
        }
        Err(error) if error.interpreter.is_none() && error.errno == exec::ENOENT => {
            let hint = format!("`{init}` is not in the image");
            report.find(prevents(image.arguments.without_init()).hint(hint));
            None
        }
        Err(error) => {
            let message = format!("Failed to execute {init} (error -{})", error.errno.number);
            report.find(prevents(&message).hint(explain(&error)));
            None
        }
    }
}

/// The plan, when the init is one that reads it.
fn read_plan(image: &Image<'_>, report: &mut Report) -> Option<Plan> {
    let init = RootPath::new(&image.arguments.init).ok()?;
    let init = image.root.read_optional(&init).ok().flatten()?;
    memchr::memmem::find(&init, PLAN.as_bytes())?;
    let path = RootPath::new(PLAN).expect("a constant");
    match image.root.read_optional(&path) {
        Ok(Some(text)) => {
            let plan = Plan::parse(text);
            report.saw(Component::Init, PLAN, format_args!("starts {}", count(plan.commands.len() as u64, "program")));
            Some(plan)
        }
        Ok(None) => {
            let message = format!("minroot: cannot follow {PLAN}: {}", exec::ENOENT.words);
            report.find(Finding::new(Severity::PreventsStart, Component::Init, message).at(PLAN));
            None
        }
        Err(error) => {
            let message = format!("minroot: cannot follow {PLAN}: {error}");
            report.find(Finding::new(Severity::PreventsStart, Component::Init, message).at(PLAN));
            None
        }
    }
}

/// Starts a command as `src/init/command.rs` does, whose words these are.
fn check_command(image: &Image<'_>, command: &Command, store: &mut Store<'_>, report: &mut Report) -> Option<Program> {
    let program = &command.words[0];
    let file = find_program(image.root, command);
    let shown = escaped(program);
    check_arguments(image, command, report);
    match exec::check(image.root, store, &file, image.machines()) {
        Ok(startable) => {
            report.saw(Component::Init, &shown, format_args!("is {}", startable.process));
            Some(Program::new(&file, shown.to_string(), startable))
        }
        Err(error) => {
            // The init tells a missing interpreter only of a program that it finds under the very name of the line.
            let finds_it = error.interpreter.is_some() && image.root.lookup_spelled(program).is_ok();
            let words = if finds_it && error.errno == exec::ENOENT {
                "its interpreter (the PT_INTERP or #! line names it) is missing"
            } else {
                error.errno.words
            };
            let message = format!("minroot: cannot start {shown}: {words}");
            let hint = match &error {
                ExecError { interpreter: None, errno: exec::ENOENT, .. } if !program.contains(&b'/') => {
                    format!("it is in none of {}", escaped(&command.path))
                }
                error => explain(error),
            };
            report.find(Finding::new(Severity::PreventsStart, Component::Init, message).at(escaped(&file)).hint(hint));
            None
        }
    }
}

/// Checks the process of a container; there is no init, and what is wrong is told as runc does.
pub(super) fn check_container(
    image: &Image<'_>,
    command: &Command,
    library_path: Vec<String>,
    report: &mut Report,
) -> Result<(), VerifyError> {
    let scan = SymbolScan::default();
    let mut store = Store::new(image.root, &scan);
    let program = &command.words[0];
    let (file, shown) = (find_program(image.root, command), escaped(program));
    check_arguments(image, command, report);
    match exec::check(image.root, &mut store, &file, image.machines()) {
        Ok(startable) => {
            report.saw(Component::Program, &shown, format_args!("is {}", startable.process));
            closure::check(image, &[Program::new(&file, shown.to_string(), startable)], library_path, report)
        }
        Err(error) => {
            let prevents = |message| Finding::new(Severity::PreventsStart, Component::Program, message);
            report.find(if program.contains(&b'/') || file != *program {
                let message = format!("exec {}: {}", escaped(&file), error.errno.words.to_lowercase());
                prevents(message).at(escaped(&file)).hint(explain(&error))
            } else {
                let message = format!("exec: \"{shown}\": executable file not found in $PATH");
                prevents(message).hint(format!("it is in none of {}", escaped(&command.path)))
            });
            Ok(())
        }
    }
}

/// The file of a program: as it is with a slash, else the first executable of that name in PATH.
fn find_program(root: &Root, command: &Command) -> Vec<u8> {
    let program = &command.words[0];
    if program.contains(&b'/') {
        return program.clone();
    }
    let candidates = command.path.split(|&b| b == b':').map(|directory| [directory, b"/", &program[..]].concat());
    let is_executable = |path: &Vec<u8>| {
        let found = root.lookup_spelled(path);
        found.is_ok_and(|f| f.info.kind == FileKind::Directory || f.info.mode & 0o111 != 0)
    };
    candidates.into_iter().find(is_executable).unwrap_or_else(|| program.clone())
}

/// An argument that looks like the path of a file, and leads nowhere, may be a file that the program would make.
fn check_arguments(image: &Image<'_>, command: &Command, report: &mut Report) {
    for word in &command.words[1..] {
        let is_plain = word.iter().all(|byte| byte.is_ascii_graphic() && !b"*?[]{}()$`;|&<>\"'\\:,=".contains(byte));
        let Ok(path) = RootPath::new(word) else { continue };
        let is_filled = FILLED_AT_RUN_TIME.iter().any(|d| path.starts_with(&RootPath::new(d).expect("a constant")));
        if is_plain && !is_filled && !path.is_root() && image.root.lookup(&path).is_err() {
            let message = format!("{}: {path}: No such file or directory", escaped(&command.words[0]));
            let finding = Finding::new(Severity::Warning, Component::Program, message).at(&path);
            report.find(finding.hint("an argument names it; unless the program makes it, add it to the recipe"));
        }
    }
}

/// What is behind an error number.
fn explain(error: &ExecError) -> String {
    let why = error.why.as_deref();
    match (&error.interpreter, why) {
        (Some(interpreter), Some(why)) => format!("its interpreter `{interpreter}`: {}, {why}", error.errno.words),
        (Some(interpreter), None) => format!("its interpreter `{interpreter}`: {}", error.errno.words),
        (None, Some(why)) => why.to_owned(),
        (None, None) => format!("it is not in the image: {}", error.errno.words),
    }
}

impl Program {
    fn new(spelled: &[u8], name: String, startable: Startable) -> Program {
        let Startable { files, process, name: interpreter } = startable;
        // A path that climbs can only be traced from where it leads to. The program itself comes first or last.
        let target = RootPath::new(spelled).or_else(|_| RootPath::new([b"/", spelled].concat()));
        Program {
            target: target.unwrap_or_else(|_| process.clone()),
            name: interpreter.unwrap_or(name),
            process,
            files,
        }
    }
}
