//! `inittab`(5) to one map per word of each line's command: `ap::sysinit:/sbin/autopush -f /etc/iu.ap` names the command
//! `/sbin/autopush` and the path `/etc/iu.ap`.
//!
//! init hands the command to `/sbin/sh -c`. The id `smf` is special: its command is not run once but kept running, and
//! an init that finds no such line stops in maintenance mode (usr/src/cmd/init/init.c).

use super::{bind, joined_lines, shell};
use crate::rules::pattern::Bindings;

/// `levels` may be empty; `role` and `word` as in [`super`].
pub(super) const BINDINGS: &[&str] = &["id", "levels", "action", "role", "word"];

pub(super) fn read(text: &[u8]) -> Vec<Bindings> {
    joined_lines(text).iter().flat_map(|line| read_line(line)).collect()
}

fn read_line(line: &[u8]) -> Vec<Bindings> {
    let line = line.trim_ascii();
    if line.starts_with(b"#") {
        return Vec::new();
    }
    let mut fields = line.splitn(4, |&byte| byte == b':').map(<[u8]>::trim_ascii);
    let (Some(id), Some(levels), Some(action), Some(process)) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Vec::new();
    };
    let words = shell::roles_and_words(process);
    words.iter().map(|(role, word)| bind(BINDINGS, [id, levels, action, role.as_bytes(), word])).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn commands_and_their_paths_are_named() {
        check(
            "inittab",
            "# comment\nap::sysinit:/sbin/autopush -f /etc/iu.ap\n\
             smf::sysinit:/lib/svc/bin/svc.startd\t>/dev/msglog 2<>/dev/msglog </dev/console\n",
            &[
                "ap  sysinit command /sbin/autopush",
                "ap  sysinit path /etc/iu.ap",
                "smf  sysinit command /lib/svc/bin/svc.startd",
                "smf  sysinit path /dev/console",
            ],
        );
    }

    #[test]
    fn a_command_may_have_colons_and_shell_syntax() {
        check("inittab", "x:s3:once:a:b; exec $C\n", &["x s3 once command a:b", "x s3 once unknown $C"]);
        check("inittab", "x:3:respawn:/bin/a \\\n/b\n", &["x 3 respawn command /bin/a", "x 3 respawn path /b"]);
    }

    #[test]
    fn lines_without_a_command_say_nothing() {
        check("inittab", "is:3:initdefault:\nshort:line\n\n", &[]);
    }
}
