//! What GRUB 2 does: `grub.cfg` to the kernel and its modules by `multiboot` and `module` lines.
//!
//! This is no shell: variables are replaced, menu entries found, and every other line of the chosen entry is looked at as
//! if it ran. What is surprising: GRUB 2 leaves the file's name out of the command line that it hands over, and the
//! kernel takes the first word for its own name (`boot-file`), so that the name has to be on the line twice.

use super::super::{Component, Finding, Severity};
use super::files::{Files, without_device};
use super::{Attempt, variables};
use std::collections::BTreeMap;

/// Where the configuration lies, by the prefix that the image was made with.
pub(super) const CONFIGS: [&str; 3] = ["/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/grub/grub.cfg"];

/// The configuration that the ISO has.
pub(super) fn config(files: &Files<'_>) -> Option<&'static str> {
    CONFIGS.into_iter().find(|path| files.has(path))
}

/// A menu entry, or the lines outside of all of them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Block {
    title: String,
    lines: Vec<Vec<String>>,
}

/// Runs the default entry.
pub(super) fn run(files: &Files<'_>) -> Attempt {
    let Some(path) = config(files) else {
        let mut attempt = Attempt::new(Component::Grub, CONFIGS[0]);
        attempt.find(
            prevents("GRUB shows its prompt `grub>`").hint(format!("there is no grub.cfg on {}", files.medium())),
        );
        return attempt;
    };
    let mut attempt = Attempt::new(Component::Grub, path);
    let text = files.text(path).unwrap_or_default();
    let (outside, entries) = parse(&String::from_utf8_lossy(&text));
    let mut variables = BTreeMap::new();
    let mut run = |block: &Block, attempt: &mut Attempt| {
        for line in &block.lines {
            execute(files, line, &mut variables, attempt);
        }
        variables.get("default").cloned()
    };
    let default = run(&outside, &mut attempt).unwrap_or_default();
    let chosen = match default.parse::<usize>() {
        Ok(index) => entries.get(index),
        Err(_) => entries.iter().find(|entry| entry.title == default).or(entries.first()),
    };
    match chosen {
        Some(entry) => drop(run(entry, &mut attempt)),
        None if attempt.kernel.is_none() => {
            let hint = match entries.len() {
                0 => "grub.cfg has no menu entry".to_owned(),
                n => format!("the default is `{default}`, and there are {n} entries"),
            };
            attempt.find(prevents("GRUB shows its prompt `grub>`").hint(hint));
            return attempt;
        }
        None => {}
    }
    let no_kernel = prevents("error: you need to load the kernel first.").hint("there is no `multiboot2` line");
    attempt.check_lines(no_kernel, "there is no `module2` line: the boot archive is missing");
    attempt
}

fn execute(files: &Files<'_>, line: &[String], variables: &mut BTreeMap<String, String>, attempt: &mut Attempt) {
    let words: Vec<String> =
        line.iter().map(|word| variables::expand(word, |name| variables.get(name).map(String::as_str))).collect();
    let Some((command, arguments)) = words.split_first() else { return };
    match command.as_str() {
        "set" => {
            if let Some((name, value)) = arguments.first().and_then(|word| word.split_once('=')) {
                variables.insert(name.to_owned(), value.to_owned());
            }
        }
        "insmod" => attempt.reads_gzip |= arguments.iter().any(|module| module == "gzio"),
        "multiboot" | "multiboot2" | "module" | "module2" => {
            let mut arguments = arguments.iter().skip_while(|word| word.starts_with("--"));
            let named = arguments.next().map(String::as_str).unwrap_or_default();
            let path = without_device(named);
            let rest: Vec<&str> = arguments.map(String::as_str).collect();
            let Some(file) = files.open(path) else {
                let message = format!("error: file `{path}' not found.");
                attempt.find(prevents(&message).hint(files.elsewhere(path)));
                return;
            };
            if command.starts_with("module") {
                let kind = rest.iter().find_map(|word| word.strip_prefix("type=")).unwrap_or_default();
                attempt.modules.push((kind.to_owned(), file.path));
            } else {
                attempt.kernel = Some(file.path);
                attempt.kernel_line = rest.join(" ");
            }
        }
        _ => {}
    }
}

/// The lines outside of menu entries, and the entries.
fn parse(text: &str) -> (Block, Vec<Block>) {
    let mut outside = Block::default();
    let mut entries: Vec<Block> = Vec::new();
    let mut in_entry = false;
    // Lines go on behind a backslash.
    for line in text.replace("\\\n", " ").lines() {
        for words in commands(line) {
            match words[0].as_str() {
                "menuentry" => {
                    entries.push(Block { title: words.get(1).cloned().unwrap_or_default(), lines: Vec::new() });
                    in_entry = true;
                }
                "}" => in_entry = false,
                _ if in_entry => entries.last_mut().expect("in an entry").lines.push(words),
                _ => outside.lines.push(words),
            }
        }
    }
    (outside, entries)
}

/// The commands of a line: words, quotes taken off.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in line.chars() {
        match (quote, character) {
            (Some(end), c) if c == end => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() || c == ';' => {
                commands.last_mut().expect("never empty").extend(word.take());
                if c == ';' {
                    commands.push(Vec::new());
                }
            }
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    commands.last_mut().expect("never empty").extend(word);
    commands.retain(|words| !words.is_empty());
    commands
}

fn prevents(message: &str) -> Finding {
    Finding::new(Severity::PreventsStart, Component::Grub, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_told_from_what_is_around_them() {
        let text = "set default=\"0\" # why\nset k=/unix; insmod gzio\nmenuentry 'a b' --class x {\n  multiboot2 $k \\\n  -v\n}\n";
        let (outside, entries) = parse(text);
        let lines = |block: &Block| block.lines.iter().map(|words| words.join(" ")).collect::<Vec<_>>();
        assert_eq!(lines(&outside), ["set default=0", "set k=/unix", "insmod gzio"]);
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].title, "a b");
        assert_eq!(lines(&entries[0]), ["multiboot2 $k -v"]);
        assert_eq!(parse("menuentry"), (Block::default(), vec![Block::default()]));
        assert_eq!(parse("}\n'"), (Block { lines: vec![vec![String::new()]], ..Block::default() }, vec![]));
    }
}
