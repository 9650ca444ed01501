//! A rules file of udev to what its rules run (udev(7), "Rules files"): programs of `PROGRAM`, `IMPORT{program}` and `RUN`,
//! and the built-in commands that read files. Whether a device ever matches is not asked.

use super::{bind, joined_lines};
use crate::rules::pattern::Bindings;
use std::collections::BTreeSet;

/// `role` is `path` for a program by its absolute path, `name` for one that udev looks for in its own directory,
/// `builtin` for a built-in command; `word` is the first word of the command.
pub(super) const BINDINGS: &[&str] = &["role", "word"];

pub(super) fn read(text: &[u8]) -> Vec<Bindings> {
    let mut found = BTreeSet::new();
    for line in joined_lines(text) {
        let mut rest = line.trim_ascii();
        if rest.starts_with(b"#") {
            continue;
        }
        while let Some((key, value, after)) = next_pair(rest) {
            let role = match key {
                b"PROGRAM" | b"IMPORT{program}" | b"RUN" | b"RUN{program}" => "program",
                b"IMPORT{builtin}" | b"RUN{builtin}" => "builtin",
                _ => "",
            };
            let word = first_word(value);
            // What begins with a substitution depends on the device.
            if !role.is_empty() && !word.is_empty() && !word.contains(&b'$') && !word.contains(&b'%') {
                let role = if role == "builtin" || word[0] != b'/' { role } else { "path" };
                found.insert((if role == "program" { "name" } else { role }, word.to_vec()));
            }
            rest = after;
        }
    }
    found.into_iter().map(|(role, word)| bind(BINDINGS, [role.as_bytes(), &word])).collect()
}

/// The next `KEY{attribute} operator "value"`: the key with its attribute, the value, and what follows. The value goes on
/// behind a quote with a backslash before it.
fn next_pair(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let text = text.trim_ascii_start().strip_prefix(b",").unwrap_or(text).trim_ascii_start();
    let open = memchr::memchr(b'"', text)?;
    let (before, value) = (&text[..open], &text[open + 1..]);
    let is_operator = |byte: u8| b"=!+-: \t".contains(&byte);
    let key_end = before.iter().position(|&byte| is_operator(byte)).unwrap_or(before.len());
    let close = memchr::memchr_iter(b'"', value).find(|&at| at == 0 || value[at - 1] != b'\\')?;
    Some((&before[..key_end], &value[..close], &value[close + 1..]))
}

fn first_word(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii_start();
    let quoted = value.strip_prefix(b"'");
    let is_end = |byte: &u8| if quoted.is_some() { *byte == b'\'' } else { byte.is_ascii_whitespace() };
    quoted.unwrap_or(value).split(is_end).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::rules::readers::tests::check;

    #[test]
    fn programs_and_built_in_commands_are_named_with_their_first_word() {
        check(
            "udev-rules",
            "ACTION==\"add\", KERNEL==\"sr[0-9]*\", IMPORT{program}=\"cdrom_id --lock-media $devnode\"\n\
             RUN+=\"/sbin/kpartx -un -p -part /dev/$name\", \\\n  RUN{builtin}+=\"kmod load sg\"\n\
             PROGRAM==\"'/opt/my tool' x\"\nIMPORT{builtin}=\"hwdb --subsystem=usb\"",
            &["builtin hwdb", "builtin kmod", "name cdrom_id", "path /opt/my tool", "path /sbin/kpartx"],
        );
    }

    #[test]
    fn comments_other_keys_and_what_depends_on_the_device_are_none() {
        check(
            "udev-rules",
            "# RUN+=\"/bin/a\"\nENV{REMOVE_CMD}!=\"\", RUN+=\"$env{REMOVE_CMD}\"\nIMPORT{db}=\"ID_FS\"\n\
             ENV{X}=\"RUN+=\\\"/bin/b\\\"\"\nRUN+=\"/bin/c",
            &[],
        );
        check("udev-rules", "RUN+=\"\"\n\"\"\"\n,,,\nRUN\n", &[]);
    }
}
