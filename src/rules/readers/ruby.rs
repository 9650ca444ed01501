//! A Ruby source file to one map per feature that `require`, `require_relative` and `autoload` name by a literal
//! (Kernel in the core documentation), whether or not the call is ever reached.

use super::{bind, is_script_of};
use crate::rules::pattern::Bindings;
use memchr::memmem;
use std::collections::BTreeSet;

/// `role` is `feature` for what is looked for on the load path, `relative` for what is beside the file, `encoding`
/// for a constant of `Encoding`, in lower case. `path` is
/// without its suffix; `kind` is `so` where the call asks for compiled code (`.so`, `.o`), else `any`.
pub(super) const BINDINGS: &[&str] = &["role", "path", "kind"];

pub(super) fn read(text: &[u8]) -> Vec<Bindings> {
    if !is_script_of(text, b"ruby") {
        return Vec::new();
    }
    let mut found = BTreeSet::new();
    let mut in_comment = false;
    for line in text.split(|&byte| byte == b'\n') {
        in_comment = line.starts_with(b"=begin") || in_comment && !line.starts_with(b"=end");
        let line = line.trim_ascii();
        if line == b"__END__" {
            break;
        }
        if !in_comment && !line.starts_with(b"#") {
            calls(line, &mut found);
            encodings(line, &mut found);
        }
    }
    let values = found.into_iter();
    values.map(|(role, path, kind): Found| bind(BINDINGS, [role.as_bytes(), &path, kind.as_bytes()])).collect()
}

type Found = (&'static str, Vec<u8>, &'static str);

fn calls(line: &[u8], found: &mut BTreeSet<Found>) {
    for at in memmem::find_iter(line, b"require") {
        let rest = &line[at + b"require".len()..];
        match rest.strip_prefix(b"_relative") {
            Some(rest) => add("relative", rest, found),
            None => add("feature", rest, found),
        }
    }
    for at in memmem::find_iter(line, b"autoload") {
        let rest = &line[at..];
        if let Some(comma) = memchr::memchr(b',', rest) {
            add("feature", &rest[comma + 1..], found);
        }
    }
}

/// `Encoding::UTF_16LE`: Ruby loads it when the constant is used.
fn encodings(line: &[u8], found: &mut BTreeSet<Found>) {
    const CLASS: &[u8] = b"Encoding::";
    for at in memmem::find_iter(line, CLASS) {
        let rest = &line[at + CLASS.len()..];
        let is_name = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
        let end = rest.iter().position(|byte| !is_name(byte)).unwrap_or(rest.len());
        // `Encoding::Converter` is a class.
        if end > 1 && !rest.get(end).is_some_and(u8::is_ascii_lowercase) {
            found.insert(("encoding", rest[..end].to_ascii_lowercase(), "any"));
        }
    }
}

/// Adds the literal that the argument is; one with an expression in it is none.
fn add(role: &'static str, rest: &[u8], found: &mut BTreeSet<Found>) {
    let rest = rest.trim_ascii_start();
    let rest = rest.strip_prefix(b"(").unwrap_or(rest).trim_ascii_start();
    let Some(quote) = rest.first().filter(|byte| matches!(byte, b'"' | b'\'')) else { return };
    let Some(end) = memchr::memchr(*quote, &rest[1..]) else { return };
    let name = &rest[1..=end];
    if name.is_empty() || memmem::find(name, b"#{").is_some() {
        return;
    }
    let suffixes = [(&b".rb"[..], "any"), (b".so", "so"), (b".o", "so")];
    let (path, kind) =
        suffixes.iter().find_map(|(suffix, kind)| Some((name.strip_suffix(*suffix)?, *kind))).unwrap_or((name, "any"));
    found.insert((role, path.to_vec(), kind));
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn calls_with_literals_name_features() {
        let text = "require 'json'\n  require(\"a/b.rb\")\nrequire_relative '../c'\nautoload :D, 'd'\nrequire 'e.so'\n";
        check(
            "ruby",
            text,
            &["feature a/b any", "feature d any", "feature e so", "feature json any", "relative ../c any"],
        );
    }

    #[test]
    fn constants_name_encodings() {
        check("ruby", "x.encode(Encoding::UTF_16LE)\nEncoding::Converter\n", &["encoding utf_16le any"]);
    }

    #[test]
    fn comments_expressions_and_the_end_are_not_read() {
        check(
            "ruby",
            "# require 'a'\nrequire \"b#{c}\"\nrequire d\n=begin\nrequire 'e'\n=end\n__END__\nrequire 'f'\n",
            &[],
        );
    }

    #[test]
    fn what_does_not_end_does_no_harm() {
        check("ruby", "require\nrequire '\nrequire ''\nautoload\nautoload :A,\n=begin", &[]);
    }
}
