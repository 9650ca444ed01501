//! A shell script to one map per command and absolute path in it; the grammar is in [`crate::objects::shell`].

use super::bind;
use crate::objects::shell::{Role, words};
use crate::rules::pattern::Bindings;

/// `role` and `word` as in [`super`]; `line` is its number, from 1.
pub(super) const BINDINGS: &[&str] = &["role", "word", "line"];

pub(super) fn read(text: &[u8]) -> Vec<Bindings> {
    let found = words(text);
    let bindings = found.iter().map(|found| {
        let line = found.line.to_string();
        bind(BINDINGS, [role(found.role).as_bytes(), &found.text, line.as_bytes()])
    });
    bindings.collect()
}

/// The words of a command line, for readers of files that hold one.
pub(super) fn roles_and_words(command: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    words(command).into_iter().map(|word| (role(word.role), word.text)).collect()
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Command => "command",
        Role::Source | Role::Path => "path",
        Role::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn commands_have_their_line() {
        check(
            "shell",
            "#!/sbin/sh\n/usr/sbin/devfsadm -i\n$X /etc/y\n",
            &["command /usr/sbin/devfsadm 2", "unknown $X 3", "path /etc/y 3"],
        );
    }
}
