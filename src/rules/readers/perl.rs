//! A Perl source file to one map per module or file that `use`, `no` and `require` name (perlfunc(1)), whether or not
//! the statement is ever reached. What a string holds that is given to `eval` is not read.
//!
//! Some modules the interpreter loads itself for the sake of a variable or a layer (gv.c `S_require_tie_mod`,
//! perlio.c `PerlIO_load_module`); the constructs that cause it are looked for as text.

use super::{bind, is_script_of};
use crate::rules::pattern::Bindings;
use memchr::memmem;
use std::collections::BTreeSet;

/// `role` is `module`, or `file` where the name is a literal. `path` is the file below a directory of `@INC`, a module
/// without its `.pm`; `name` is its last part.
pub(super) const BINDINGS: &[&str] = &["role", "path", "name"];

/// What stands in the text, and the module that it loads.
const IMPLIED: &[(&[u8], &[u8])] = &[
    (b"$!{", b"Errno"),
    (b"%!", b"Errno"),
    (b"$+{", b"Tie/Hash/NamedCapture"),
    (b"$-{", b"Tie/Hash/NamedCapture"),
    (b"%+", b"Tie/Hash/NamedCapture"),
    (b":encoding(", b"PerlIO"),
    (b":encoding(", b"PerlIO/encoding"),
    (b":encoding(", b"Encode"),
    (b", \\", b"PerlIO/scalar"),
    (b"glob(", b"File/Glob"),
    (b"glob ", b"File/Glob"),
    (b"<*", b"File/Glob"),
];

pub(super) fn read(text: &[u8]) -> Vec<Bindings> {
    if !is_script_of(text, b"perl") {
        return Vec::new();
    }
    let mut found = BTreeSet::new();
    let mut in_pod = false;
    for line in text.split(|&byte| byte == b'\n') {
        if line.first() == Some(&b'=') && line.get(1).is_some_and(u8::is_ascii_alphabetic) {
            in_pod = !line.starts_with(b"=cut");
            continue;
        }
        let line = line.trim_ascii();
        if matches!(line, b"__END__" | b"__DATA__") {
            break;
        }
        if in_pod || line.starts_with(b"#") {
            continue;
        }
        read_line(line, &mut found);
    }
    let bindings = found.iter().map(|(role, path): &(&str, Vec<u8>)| {
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        bind(BINDINGS, [role.as_bytes(), path, name])
    });
    bindings.collect()
}

type Found = BTreeSet<(&'static str, Vec<u8>)>;

fn read_line(line: &[u8], found: &mut Found) {
    for keyword in [&b"use"[..], b"no", b"require"] {
        for at in memmem::find_iter(line, keyword) {
            let (before, after) = (line[..at].trim_ascii_end(), &line[at + keyword.len()..]);
            if !after.first().is_some_and(u8::is_ascii_whitespace) {
                continue;
            }
            let after = after.trim_ascii_start();
            if keyword == b"require" {
                let is_word = at > 0 && (is_word(&line[at - 1]) || b"$@%&>-".contains(&line[at - 1]));
                if !is_word && !before.contains(&b'#') {
                    required(after, found);
                }
            } else if before.is_empty() || before.ends_with(b";") || before.ends_with(b"{") {
                used(after, found);
            }
        }
    }
    let line = line.split(|&byte| byte == b'#').next().unwrap_or_default();
    for (text, module) in IMPLIED {
        let is_open = !text.ends_with(b"\\") || memmem::find(line, b"open").is_some();
        if is_open && memmem::find(line, text).is_some() {
            found.insert(("module", module.to_vec()));
        }
    }
}

/// What follows `use`: a module, and for some pragmas modules in their list.
fn used(rest: &[u8], found: &mut Found) {
    let Some(name) = module(rest) else { return };
    found.insert(("module", slashed(name)));
    if matches!(name, b"parent" | b"base" | b"if") {
        let list = rest[name.len()..].split(|&byte| byte == b';').next().unwrap_or_default();
        let words = list.split(|byte| !is_word(byte) && *byte != b':');
        let modules = words.filter(|word| word.first().is_some_and(u8::is_ascii_uppercase)).filter_map(module);
        found.extend(modules.map(|name| ("module", slashed(name))));
    }
    if name == b"open" {
        found.insert(("module", b"PerlIO/encoding".to_vec()));
    }
}

fn required(rest: &[u8], found: &mut Found) {
    if let Some(quote) = rest.first().filter(|byte| matches!(byte, b'"' | b'\'')) {
        let Some(end) = memchr::memchr(*quote, &rest[1..]) else { return };
        let path = &rest[1..=end];
        if !path.is_empty() && !path.contains(&b'$') {
            found.insert(("file", path.to_vec()));
        }
    } else if let Some(name) = module(rest) {
        found.insert(("module", slashed(name)));
    }
}

/// The bare word at the start; a version number (`use 5.010`, `use v5.36`) is none.
fn module(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(|byte| !is_word(byte) && *byte != b':').unwrap_or(text.len());
    let name = &text[..end];
    let is_version = name.first() == Some(&b'v') && name.get(1).is_some_and(u8::is_ascii_digit);
    (name.first().is_some_and(u8::is_ascii_alphabetic) && !is_version && !name.ends_with(b":")).then_some(name)
}

fn slashed(module: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(module.len());
    for part in module.split(|&byte| byte == b':').filter(|part| !part.is_empty()) {
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(part);
    }
    path
}

fn is_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || *byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn use_and_require_name_modules_and_files() {
        check(
            "perl",
            "use POSIX qw(floor);\nno warnings;\neval { require A::B; };\nrequire 'x.pl';\n",
            &["file x.pl x.pl", "module A/B B", "module POSIX POSIX", "module warnings warnings"],
        );
    }

    #[test]
    fn base_classes_and_conditional_modules_are_modules() {
        check(
            "perl",
            "use parent -norequire, qw(A::B C);\nuse if $] < 5, 'D::E' => 1;\n",
            &["module A/B B", "module C C", "module D/E E", "module if if", "module parent parent"],
        );
    }

    #[test]
    fn versions_variables_pod_and_the_end_are_not_read() {
        let text = "use 5.010;\nuse v5.36;\nrequire $x;\n$require X;\n# use A;\n=pod\n\nuse B;\n\n=cut\nuse C;\n__END__\nuse D;\n";
        check("perl", text, &["module C C"]);
    }

    #[test]
    fn what_the_interpreter_loads_itself_is_seen_in_the_text() {
        check(
            "perl",
            "print $+{year};\nopen(my $f, '<:encoding(UTF-8)', $x);\n",
            &[
                "module Encode Encode",
                "module PerlIO PerlIO",
                "module PerlIO/encoding encoding",
                "module Tie/Hash/NamedCapture NamedCapture",
            ],
        );
    }

    #[test]
    fn what_does_not_end_does_no_harm() {
        check("perl", "use\nrequire\nuse ;\nrequire 'x\nuse A:\nuse ::\n=", &[]);
    }
}
