//! What illumos' GRUB 0.97 does: `/boot/grub/menu.lst` to the kernel and its modules.
//!
//! `kernel$` and `module$` replace `$ISADIR` (`usr/src/grub/grub-0.97/stage2/expand.c`): by `amd64` on a processor of 64
//! bits, and by *nothing* on another, where `/platform/i86pc/kernel/$ISADIR/unix` is `/platform/i86pc/kernel//unix`. Without
//! the dollar sign nothing is replaced, and GRUB looks for a directory of that name.

use super::super::{Component, Finding, Severity};
use super::files::{Files, normal, without_device};
use super::{Attempt, variables};

pub(super) const MENU: &str = "/boot/grub/menu.lst";
const SIGNATURES: &str = "/boot/grub/bootsign";

/// Where the entry's files are when no command says so: what GRUB was started from.
const NOT_FOUND: &str = "Error 15: File not found";

/// An entry of the menu.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Entry {
    title: String,
    /// Command and arguments.
    lines: Vec<(String, String)>,
}

/// Runs the default entry.
pub(super) fn run(files: &Files<'_>, is_64_bit: bool) -> Attempt {
    let mut attempt = Attempt::new(Component::GrubLegacy, MENU);
    let Some(text) = files.text(MENU) else {
        let hint = format!("there is no menu.lst on {}", files.medium());
        attempt.find(prevents("GRUB shows its prompt `grub>`").at(MENU).hint(hint));
        return attempt;
    };
    let (default, entries) = parse(&String::from_utf8_lossy(&text));
    let Some(entry) = entries.get(default) else {
        let hint = match entries.len() {
            0 => "menu.lst has no entry: a `title` line begins one".to_owned(),
            n => format!("the default is entry {default}, counted from 0, of {n}"),
        };
        attempt.find(prevents("GRUB shows its prompt `grub>`").hint(hint));
        return attempt;
    };
    for (command, arguments) in &entry.lines {
        execute(files, command, arguments, is_64_bit, &mut attempt);
    }
    let title = &entry.title;
    let no_kernel = prevents("Error 8: Kernel must be loaded before booting");
    let no_module = format!("entry `{title}` has no module line: the boot archive is missing");
    attempt.check_lines(no_kernel.hint(format!("entry `{title}` has no kernel line")), &no_module);
    attempt
}

fn execute(files: &Files<'_>, command: &str, arguments: &str, is_64_bit: bool, attempt: &mut Attempt) {
    let isadir = if is_64_bit { "amd64" } else { "" };
    let expands = command.ends_with('$');
    let arguments = if expands {
        variables::expand(arguments, |name| Some(if name == "ISADIR" { isadir } else { "" }))
    } else {
        arguments.to_owned()
    };
    let mut words = arguments.split_whitespace().skip_while(|word| word.starts_with("--"));
    match command.trim_end_matches('$') {
        "kernel" | "module" => {
            let is_kernel = command.starts_with("kernel");
            let named = words.next().unwrap_or_default();
            let path = without_device(named);
            let Some(file) = files.open(path) else {
                attempt.find(not_found(files, command, path, is_64_bit));
                return;
            };
            if is_kernel {
                attempt.kernel = Some(file.path);
                attempt.kernel_line = arguments.trim().to_owned();
            } else {
                attempt.modules.push((String::new(), file.path));
            }
        }
        "findroot" => {
            let signature = arguments.trim_matches(['(', ')', ' ']).split(',').next().unwrap_or_default();
            if !files.has(&format!("{SIGNATURES}/{signature}")) {
                let hint = format!("`findroot` looks for {SIGNATURES}/{signature}; a CD needs no such line");
                attempt.find(prevents(NOT_FOUND).hint(hint));
            }
        }
        "bootfs" => {
            let message = "`bootfs` names a file system of a ZFS pool, which the CD is not";
            attempt.find(Finding::new(Severity::Warning, Component::GrubLegacy, message).at(MENU));
        }
        _ => {}
    }
}

fn not_found(files: &Files<'_>, command: &str, path: &str, is_64_bit: bool) -> Finding {
    let machine = if is_64_bit { "with" } else { "without" };
    let there = files.elsewhere(path);
    let remark = if path.contains("$ISADIR") { format!("; only `{command}$` replaces $ISADIR") } else { String::new() };
    let place = normal(path);
    let medium = files.medium();
    let hint =
        format!("on a processor {machine} 64 bits `{command}` is {place}, which is not on {medium}; {there}{remark}");
    prevents(NOT_FOUND).hint(hint)
}

fn prevents(message: &str) -> Finding {
    Finding::new(Severity::PreventsStart, Component::GrubLegacy, message)
}

/// The number of the default entry, and the entries.
fn parse(text: &str) -> (usize, Vec<Entry>) {
    let mut default = 0;
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
        let (command, rest) = line.split_at(end);
        let arguments = rest.trim_start_matches([' ', '\t', '=']).trim();
        match (command, entries.last_mut()) {
            ("title", _) => entries.push(Entry { title: arguments.to_owned(), lines: Vec::new() }),
            ("default", None) => default = arguments.parse().unwrap_or(0),
            (_, Some(entry)) => entry.lines.push((command.to_owned(), arguments.to_owned())),
            (_, None) => {}
        }
    }
    (default, entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_before_the_first_title_are_for_the_menu() {
        let text =
            "# comment\ndefault=1\ntimeout 3\nkernel /no\ntitle a b\n kernel$ /x/$ISADIR -B a=b\ntitle c\nmodule /y\n";
        let (default, entries) = parse(text);
        assert_eq!(default, 1);
        assert_eq!(entries[0].title, "a b");
        assert_eq!(entries[0].lines, [("kernel$".to_owned(), "/x/$ISADIR -B a=b".to_owned())]);
        assert_eq!(entries[1].lines, [("module".to_owned(), "/y".to_owned())]);
        assert_eq!(parse("default saved\n"), (0, Vec::new()));
    }
}
