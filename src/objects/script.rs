//! `#!` lines, by the rules of the Linux kernel (`fs/binfmt_script.c`, execve(2)) and of env(1).
//!
//! The kernel looks at the first 256 bytes only, passes everything after the interpreter as *one* argument, and does
//! not strip a carriage return: a script saved with DOS line ends asks for the interpreter `sh\r`.

use std::borrow::Cow;

/// `BINPRM_BUF_SIZE`: how much of a file the kernel looks at (include/uapi/linux/binfmts.h).
pub const LINE_LIMIT: usize = 256;

/// How many scripts may interpret one another: the sixth fails with `ELOOP`. The kernel's comment speaks of four levels,
/// its loop makes five (`exec_binprm` in fs/exec.c).
pub const DEPTH_LIMIT: usize = 5;

/// A `#!` line taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script<'a> {
    /// The program that the kernel starts.
    pub interpreter: &'a [u8],
    /// The rest of the line, which the program gets as one argument.
    pub argument: Option<&'a [u8]>,
}

/// Why a `#!` line starts nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    #[error("the `#!` line names no interpreter")]
    Empty,
    #[error("the interpreter's name on the `#!` line does not end within 256 bytes")]
    TooLong,
}

impl<'a> Script<'a> {
    /// Reads the line at the start of `head`, which holds the file's first [`LINE_LIMIT`] bytes or the whole file.
    ///
    /// # Errors
    /// [`ScriptError`], where the kernel says `ENOEXEC`.
    ///
    /// # Panics
    /// When `head` does not begin with `#!`; the caller has sniffed it.
    pub fn parse(head: &'a [u8]) -> Result<Script<'a>, ScriptError> {
        let head = &head[..head.len().min(LINE_LIMIT)];
        let text = head.strip_prefix(b"#!").expect("sniffed before");
        let end = text.iter().position(|&b| b == b'\n' || b == 0);
        let line = match end {
            Some(end) => &text[..end],
            // Without a line end in sight, the name at least has to be complete.
            None if head.len() == LINE_LIMIT && !trim_start(text).iter().any(is_blank) => {
                return Err(ScriptError::TooLong);
            }
            // The kernel puts its NUL into the last byte.
            None => &text[..text.len().min(LINE_LIMIT - 1 - 2)],
        };
        let line = trim_end(trim_start(line));
        if line.is_empty() {
            return Err(ScriptError::Empty);
        }
        let name_end = line.iter().position(is_blank).unwrap_or(line.len());
        let argument = Some(trim_start(&line[name_end..])).filter(|a| !a.is_empty());
        Ok(Script { interpreter: &line[..name_end], argument })
    }

    /// When the interpreter is env(1): the program it looks up on the PATH.
    ///
    /// `None` when env starts nothing that can be told: no argument, or only options.
    pub fn env_program(&self) -> Option<Cow<'a, [u8]>> {
        let name = self.interpreter.rsplit(|&b| b == b'/').next()?;
        if name != b"env" {
            return None;
        }
        let argument = self.argument?;
        let words = match to_be_split(argument) {
            Some(text) => split_string(text),
            // Without -S the whole argument is one word; a blank in it is part of the program's name.
            None => vec![argument.to_vec()],
        };
        // Options of env, with `-u NAME` and `-C DIR` as the two that take a word, then NAME=VALUE assignments.
        let mut words = words.into_iter();
        let mut options = true;
        while let Some(word) = words.next() {
            match word.as_slice() {
                b"--" if options => options = false,
                b"-u" | b"-C" | b"--unset" | b"--chdir" if options => {
                    words.next();
                }
                option if options && option.starts_with(b"-") => {}
                assignment if assignment.contains(&b'=') => options = false,
                // A variable of the environment that the script will be started in.
                unknown if unknown.contains(&b'$') => return None,
                _ => return Some(Cow::Owned(word)),
            }
        }
        None
    }
}

/// What follows `-S` in the only argument, where options without a value may stand before it: `-vS`.
fn to_be_split(argument: &[u8]) -> Option<&[u8]> {
    if let Some(text) = argument.strip_prefix(b"--split-string=") {
        return Some(text);
    }
    let cluster = argument.strip_prefix(b"-")?;
    let plain = cluster.iter().take_while(|b| matches!(b, b'i' | b'0' | b'v')).count();
    cluster[plain..].strip_prefix(b"S")
}

/// The words of `env -S`, with its quotes and escapes (env(1), "-S/--split-string").
fn split_string(text: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            (None, b' ' | b'\t') => words.extend(word.take()),
            (None, b'#') if word.is_none() => break,
            (None, b'\'' | b'"') => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (Some(open), _) if byte == open => quote = None,
            (None | Some(b'"'), b'\\') => match bytes.next() {
                Some(b'_') if quote.is_none() => words.extend(word.take()),
                Some(b'_') => word.get_or_insert_default().push(b' '),
                Some(b'c') | None => break,
                Some(escaped) => word.get_or_insert_default().push(match escaped {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    other => other,
                }),
            },
            _ => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    words
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn trim_start(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|b| is_blank(b)).count()..]
}

fn trim_end(text: &[u8]) -> &[u8] {
    &text[..text.len() - text.iter().rev().take_while(|b| is_blank(b)).count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &[u8], interpreter: &[u8], argument: Option<&[u8]>) {
        assert_eq!(Script::parse(head).unwrap(), Script { interpreter, argument }, "{}", head.escape_ascii());
    }

    #[test]
    fn everything_after_the_interpreter_is_one_argument() {
        check(b"#!/bin/sh\n", b"/bin/sh", None);
        check(b"#! \t/bin/sh  -e  -u \t\nrest", b"/bin/sh", Some(b"-e  -u"));
        check(b"#!/bin/sh", b"/bin/sh", None);
        check(b"#!relative/sh -x\n", b"relative/sh", Some(b"-x"));
    }

    #[test]
    fn a_carriage_return_belongs_to_the_name() {
        check(b"#!/bin/sh\r\n", b"/bin/sh\r", None);
        check(b"#!/bin/sh -e\r\n", b"/bin/sh", Some(b"-e\r"));
    }

    #[test]
    fn the_line_ends_at_256_bytes() {
        let mut long = b"#!/".to_vec();
        long.resize(400, b'x');
        assert_eq!(Script::parse(&long), Err(ScriptError::TooLong));
        let mut cut = b"#!/bin/sh ".to_vec();
        cut.resize(400, b'y');
        check(&cut, b"/bin/sh", Some(&[b'y'; LINE_LIMIT - 11]));
        assert_eq!(Script::parse(b"#!  \n"), Err(ScriptError::Empty));
    }

    #[test]
    fn env_names_the_program_it_will_start() {
        let program = |line: &'static [u8]| Script::parse(line).unwrap().env_program().map(Cow::into_owned);
        assert_eq!(program(b"#!/usr/bin/env python3\n").unwrap(), b"python3");
        assert_eq!(program(b"#!/usr/bin/env python3 -u\n").unwrap(), b"python3 -u");
        assert_eq!(program(b"#!/usr/bin/env -S python3 -u\n").unwrap(), b"python3");
        assert_eq!(program(b"#!/usr/bin/env -Spython3 -u\n").unwrap(), b"python3");
        assert_eq!(program(b"#!/usr/bin/env -S -i -u HOME A=1 'my prog' x\n").unwrap(), b"my prog");
        assert_eq!(program(b"#!/usr/bin/env -S a\\_b\n").unwrap(), b"a");
        assert_eq!(program(b"#!/usr/bin/env -vS A=1 perl -w\n").unwrap(), b"perl");
        assert_eq!(program(b"#!/usr/bin/env -S -- perl\n").unwrap(), b"perl");
        assert_eq!(program(b"#!/usr/bin/env -S ${HOME}/x\n"), None);
        assert_eq!(program(b"#!/usr/bin/env\n"), None);
        assert_eq!(program(b"#!/bin/sh -e\n"), None);
    }
}
