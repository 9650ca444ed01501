//! A unit file of systemd, or a drop-in of one, to what it starts, reads and pulls in (systemd.syntax(7),
//! systemd.unit(5), systemd.exec(5), and "Command lines" of systemd.service(5)).
//!
//! The surprise: a unit does not know its own name here, so that a word with a specifier such as `%i` says nothing, nor
//! does one with a variable. An empty assignment takes back what the same file said before, not what other files say.

use super::{bind, join, shell};
use crate::rules::pattern::Bindings;
use foldhash::HashMap;

/// `key` is that of the assignment. `role` is `command` for a program, by path or name, `path` for a file, `unit`, `user`
/// for an account, `pam` for a service of PAM. `strength` is `required` where the unit fails without the word, else
/// `wanted`. Of an instance, `a@b.service`, the template, `a@.service`, is what has the strength: it is the file.
pub(super) const BINDINGS: &[&str] = &["key", "role", "strength", "word"];

const REQUIRED: &str = "required";
const WANTED: &str = "wanted";

pub(super) fn read(text: &[u8]) -> Vec<Bindings> {
    let mut found = Vec::new();
    for (key, value) in assignments(text) {
        let Ok(name) = std::str::from_utf8(&key) else { continue };
        words(name, &value, &mut |role, strength, word: &[u8]| {
            found.push(bind(BINDINGS, [&key, role.as_bytes(), strength.as_bytes(), word]));
        });
    }
    found
}

/// The assignments that stand, in order.
fn assignments(text: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut standing: HashMap<Vec<u8>, Vec<(usize, Vec<u8>)>> = HashMap::default();
    for (number, line) in lines(text).iter().enumerate() {
        let Some(equals) = memchr::memchr(b'=', line) else { continue };
        let (key, value) = (line[..equals].trim_ascii(), line[equals + 1..].trim_ascii());
        let values = standing.entry(key.to_vec()).or_default();
        match value {
            b"" => values.clear(),
            _ => values.push((number, value.to_vec())),
        }
    }
    let all = standing.into_iter().flat_map(|(key, values)| values.into_iter().map(move |value| (key.clone(), value)));
    let mut all: Vec<_> = all.collect();
    all.sort_unstable_by_key(|(_, (number, _))| *number);
    all.into_iter().map(|(key, (_, value))| (key, value)).collect()
}

/// Lines that are no comment, those that end in a backslash with the next; a comment between two such is left out.
fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    let is_comment = |line: &&[u8]| matches!(line.trim_ascii_start().first(), Some(b'#' | b';'));
    let lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end);
    join(lines.filter(|line| !is_comment(line)), b" ")
}

/// What takes a role, a strength and a word.
type Note<'n> = dyn FnMut(&'static str, &'static str, &[u8]) + 'n;

fn words(key: &str, value: &[u8], note: &mut Note<'_>) {
    match key {
        "ExecStart" | "ExecStartPre" | "ExecStartPost" | "ExecCondition" => commands(value, REQUIRED, note),
        "ExecReload" | "ExecStop" | "ExecStopPost" => commands(value, WANTED, note),
        "Requires" | "Requisite" | "BindsTo" => units(value, REQUIRED, note),
        "Wants" | "Upholds" | "OnFailure" | "OnSuccess" | "Sockets" | "Service" | "Unit" => units(value, WANTED, note),
        "EnvironmentFile" => match value.strip_prefix(b"-") {
            Some(file) => path(file, WANTED, note),
            None => path(value, REQUIRED, note),
        },
        "WorkingDirectory" => path(value.strip_prefix(b"-").unwrap_or(value), WANTED, note),
        "User" | "Group" => note("user", WANTED, value),
        "PAMName" => note("pam", WANTED, value),
        // `!` asks for absence, `|` for one of several.
        _ if key.starts_with("ConditionPath") || key.starts_with("ConditionFile") || key.starts_with("AssertPath") => {
            path(value.strip_prefix(b"|").unwrap_or(value), WANTED, note);
        }
        _ => {}
    }
}

fn path(value: &[u8], strength: &'static str, note: &mut Note<'_>) {
    let is_one = value.first() == Some(&b'/') && value.len() > 1 && !value.contains(&b'*');
    if let Some(path) = literal(value).filter(|_| is_one) {
        note("path", strength, &path);
    }
}

/// Kinds of units that come from files, or else are missing; the others are made at run time, too.
const OF_FILES: [&[u8]; 5] = [b".service", b".socket", b".target", b".timer", b".path"];

fn units(value: &[u8], strength: &'static str, note: &mut Note<'_>) {
    for unit in split(value).unwrap_or_default().iter().filter_map(|word| literal(word)) {
        let strength = if OF_FILES.iter().any(|kind| unit.ends_with(kind)) { strength } else { WANTED };
        let (at, dot) = (memchr::memchr(b'@', &unit), memchr::memrchr(b'.', &unit));
        match (at, dot) {
            (Some(at), Some(dot)) if at + 1 < dot => {
                note("unit", WANTED, &unit);
                note("unit", strength, &[&unit[..=at], &unit[dot..]].concat());
            }
            _ => note("unit", strength, &unit),
        }
    }
}

/// Command lines: several are divided by a word `;`.
fn commands(value: &[u8], strength: &'static str, note: &mut Note<'_>) {
    let words = split(value).unwrap_or_default();
    for command in words.split(|word| word == b";") {
        let Some((first, arguments)) = command.split_first() else { continue };
        let n_prefixes = first.iter().take_while(|byte| b"@-:+!|".contains(byte)).count();
        let (prefixes, program) = first.split_at(n_prefixes);
        let strength = if prefixes.contains(&b'-') { WANTED } else { strength };
        // With `@` the next word is what the program sees as its name.
        let arguments = arguments.get(usize::from(prefixes.contains(&b'@'))..).unwrap_or_default();
        let Some(program) = literal(program).filter(|program| !program.is_empty()) else { continue };
        note("command", strength, &program);
        match script(&program, arguments) {
            Some(script) => {
                for (role, word) in shell::roles_and_words(&script) {
                    if matches!(role, "command" | "path") {
                        note(role, WANTED, &word);
                    }
                }
            }
            None => {
                for argument in arguments {
                    let value = argument.split(|&byte| byte == b'=').next_back().unwrap_or_default();
                    path(value, WANTED, note);
                }
            }
        }
    }
}

/// What a shell gets with `-c`.
fn script(program: &[u8], arguments: &[Vec<u8>]) -> Option<Vec<u8>> {
    let name = program.rsplit(|&byte| byte == b'/').next()?;
    let at = arguments.iter().position(|word| word.starts_with(b"-") && word.ends_with(b"c"))?;
    let is_shell = matches!(name, b"sh" | b"bash" | b"dash");
    let script = arguments.get(at + 1).filter(|_| is_shell)?;
    // What systemd puts in for a variable, the shell would have put in.
    Some(script.to_vec()).map(|text| undoubled(&undoubled(&text, b'$'), b'%'))
}

/// A word without specifiers and variables, of which `%%` and `$$` are none.
fn literal(word: &[u8]) -> Option<Vec<u8>> {
    let plain = undoubled(&undoubled(word, b'$'), b'%');
    let n_lost = word.len() - plain.len();
    let n_marks = word.iter().filter(|byte| matches!(byte, b'$' | b'%')).count();
    (n_marks == 2 * n_lost).then_some(plain)
}

/// The text with one of each two of the byte that stand side by side.
fn undoubled(text: &[u8], byte: u8) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied().peekable();
    while let Some(next) = rest.next() {
        plain.push(next);
        if next == byte {
            rest.next_if_eq(&byte);
        }
    }
    plain
}

/// The words of a value without their quotes and escapes; `None` for a value that systemd refuses.
fn split(value: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            (None, byte) if byte.is_ascii_whitespace() => words.extend(word.take()),
            (None, b'"' | b'\'') => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (Some(open), _) if open == byte => quote = None,
            (_, b'\\') => match bytes.next()? {
                b'x' => {
                    let digits = [bytes.next()?, bytes.next()?];
                    let digits = std::str::from_utf8(&digits).ok()?;
                    word.get_or_insert_default().push(u8::from_str_radix(digits, 16).ok()?);
                }
                escaped => word.get_or_insert_default().push(match escaped {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b's' => b' ',
                    other => other,
                }),
            },
            _ => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use crate::rules::readers::tests::check as check_reader;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        check_reader("systemd-unit", text, expected);
    }

    #[test]
    fn programs_are_named_with_their_prefixes_and_files_among_their_arguments() {
        check(
            "[Service]\nExecStart=-/sbin/agetty -o '-p -- \\\\u' --noclear - $TERM\n",
            &["ExecStart command wanted /sbin/agetty"],
        );
        check(
            "ExecStart=@+/usr/bin/a name /etc/a --config=/etc/b \"/etc/c d\" /\nExecReload=kill -HUP $MAINPID",
            &[
                "ExecStart command required /usr/bin/a",
                "ExecStart path wanted /etc/a",
                "ExecStart path wanted /etc/b",
                "ExecStart path wanted /etc/c d",
                "ExecReload command wanted kill",
            ],
        );
        check(
            "ExecStartPre=/bin/a ; -/bin/b \\x2fetc\\x2fx\n",
            &[
                "ExecStartPre command required /bin/a",
                "ExecStartPre command wanted /bin/b",
                "ExecStartPre path wanted /etc/x",
            ],
        );
    }

    #[test]
    fn what_a_shell_gets_is_read_as_a_script() {
        check(
            "ExecStart=/bin/sh -ec 'test -e /etc/a && exec /usr/bin/b \"$$X\"'\n",
            &[
                "ExecStart command required /bin/sh",
                "ExecStart path wanted /etc/a",
                "ExecStart command wanted /usr/bin/b",
            ],
        );
    }

    #[test]
    fn specifiers_and_variables_say_nothing_unless_doubled() {
        check("ExecStart=/bin/%i\nExecStartPre=$X\nEnvironmentFile=/etc/%p\nRequires=a@%i.service\n", &[]);
        check("EnvironmentFile=/etc/100%%\n", &["EnvironmentFile path required /etc/100%"]);
        check("EnvironmentFile=/etc/%%i%\n", &[]);
    }

    #[test]
    fn units_are_pulled_in_and_an_instance_is_a_file_of_its_template() {
        check(
            "[Unit]\nRequires=a.service dev-sda.device\nWants = b@tty1.service\nAfter=c.service\n",
            &[
                "Requires unit required a.service",
                "Requires unit wanted dev-sda.device",
                "Wants unit wanted b@tty1.service",
                "Wants unit wanted b@.service",
            ],
        );
    }

    #[test]
    fn lines_go_on_behind_comments_and_empty_assignments_take_back() {
        check(
            "Wants=a.service \\\n# not this: x.service\n  b.service\n; nor this\nExecStart=/bin/a\nExecStart=\nExecStart=/bin/b",
            &["Wants unit wanted a.service", "Wants unit wanted b.service", "ExecStart command required /bin/b"],
        );
    }

    #[test]
    fn files_of_conditions_and_accounts_are_named() {
        check(
            "ConditionPathExists=!/etc/no\nConditionPathExists=|/etc/yes\nConditionFileIsExecutable=/bin/x\n\
             EnvironmentFile=-/etc/default/a\nWorkingDirectory=~\nUser=daemon\nPAMName=login\n",
            &[
                "ConditionPathExists path wanted /etc/yes",
                "ConditionFileIsExecutable path wanted /bin/x",
                "EnvironmentFile path wanted /etc/default/a",
                "User user wanted daemon",
                "PAMName pam wanted login",
            ],
        );
    }

    #[test]
    fn what_systemd_refuses_is_left_out() {
        check(
            "ExecStart=/bin/a 'open\nExecStart=/bin/b \\xzz\nExecStart=/bin/c \\\nno assignment\n=\n",
            &["ExecStart command required /bin/c"],
        );
        check("ExecStart=; ;\nExecStart=@\nExecStart=@-\nUser=\n\\", &[]);
    }
}
