//! A configuration file of the illumos loader (`loader.conf`, each file of `conf.d`) to assignments.
//!
//! The grammar is that of `usr/src/boot/forth/support.4th` ("Conf file line parser"): one `name="value"` a line, quotes of
//! either kind, or none around a plain word, and `#` comments. What is surprising: an error does not end the boot. The
//! loader prints a warning and leaves the *rest* of that file unread.

use super::variables::Value;

/// `name = value` in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub name: String,
    pub value: Value,
}

/// What a file says up to its first error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Conf {
    pub assignments: Vec<Assignment>,
    /// The number of the first line that cannot be read, counted from 1, and that line.
    pub error: Option<(usize, String)>,
}

/// Reads a file.
pub(super) fn parse(text: &[u8]) -> Conf {
    let mut conf = Conf::default();
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = String::from_utf8_lossy(line);
        match parse_line(&line) {
            Ok(assignment) => conf.assignments.extend(assignment),
            Err(()) => {
                conf.error = Some((index + 1, line.into_owned()));
                break;
            }
        }
    }
    conf
}

/// One line; `None` when it says nothing.
fn parse_line(line: &str) -> Result<Option<Assignment>, ()> {
    let line = line.trim_matches(BLANKS);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if !line.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(());
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.,/".contains(c);
    let (name, rest) = line.split_at(line.find(|c| !is_name(c)).unwrap_or(line.len()));
    let rest = rest.trim_start_matches(BLANKS).strip_prefix('=').ok_or(())?.trim_start_matches(BLANKS);
    let (value, rest) = parse_value(rest)?;
    let rest = rest.trim_start_matches(BLANKS);
    if !rest.is_empty() && !rest.starts_with('#') {
        return Err(());
    }
    Ok(Some(Assignment { name: name.to_owned(), value }))
}

/// The value that a line goes on with, and what follows.
fn parse_value(text: &str) -> Result<(Value, &str), ()> {
    let first = text.chars().next().ok_or(())?;
    if first != '"' && first != '\'' {
        let is_word = |c: char| c.is_ascii_alphanumeric() || "_.,-@/:".contains(c);
        if !first.is_ascii_alphanumeric() && first != '/' && first != '-' {
            return Err(());
        }
        let (word, rest) = text.split_at(text.find(|c| !is_word(c)).unwrap_or(text.len()));
        return Ok((Value::new(word), rest));
    }
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.push(characters.next().ok_or(())?.1),
            end if end == first => {
                return Ok((Value { text: value, literal: first == '\'' }, &text[at + end.len_utf8()..]));
            }
            other => value.push(other),
        }
    }
    Err(())
}

const BLANKS: [char; 2] = [' ', '\t'];

#[cfg(test)]
mod tests {
    use super::*;

    fn assignments(text: &str) -> Vec<(String, String)> {
        let conf = parse(text.as_bytes());
        conf.assignments.into_iter().map(|a| (a.name, a.value.text)).collect()
    }

    #[test]
    fn lines_are_assignments_comments_or_empty() {
        let text = "# comment\n\n  boot_archive.hash_load = \"YES\" # why\nkernel='i86pc'\nttya-mode=9600,8,n,1,-\n\
                    boot-args=\"-B a=\\\"b c\\\"\"\n";
        let expected = [
            ("boot_archive.hash_load", "YES"),
            ("kernel", "i86pc"),
            ("ttya-mode", "9600,8,n,1,-"),
            ("boot-args", "-B a=\"b c\""),
        ];
        assert_eq!(assignments(text), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert!(parse(b"a='${b}'").assignments[0].value.literal);
    }

    #[test]
    fn an_error_ends_the_file_and_keeps_what_came_before() {
        for bad in ["b", "b=", "b=\"x", "b=x y", "=x", "b=$x", "b x=y", "b=\"x\" y", "\u{7f}ELF", "b=\"x\\", "é=1"] {
            let conf = parse(format!("a=\"1\"\n{bad}\nc=\"2\"\n").as_bytes());
            assert_eq!(conf.error, Some((2, bad.to_owned())), "{bad}");
            assert_eq!(conf.assignments.len(), 1, "{bad}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error() {
        assert_eq!(parse(b"\xff\xfe\0").error.map(|(line, _)| line), Some(1));
    }
}
