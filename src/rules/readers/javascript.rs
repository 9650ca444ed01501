//! A JavaScript file to one map per module that `require`, `import` or `export … from` names by a literal (Node.js
//! manual, "Modules: CommonJS modules" and "ECMAScript modules"), whether or not the call is ever reached.

use super::{bind, is_script_of, quoted};
use crate::rules::pattern::Bindings;
use memchr::memmem;
use std::collections::BTreeSet;

/// `role` is `relative` for what is beside the file, without a leading `./`, and `package` for a name that is looked
/// for in directories of packages; absolute paths, URLs and `node:` names are neither. `package` is the package that such
/// a name begins with. A file that is written as a module has an `es-module` without a path as well.
pub(super) const BINDINGS: &[&str] = &["role", "path", "package"];

pub(super) fn read(text: &[u8]) -> Vec<Bindings> {
    if !is_script_of(text, b"node") {
        return Vec::new();
    }
    let mut found = BTreeSet::new();
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.trim_ascii();
        if line.starts_with(b"//") || line.starts_with(b"*") || line.starts_with(b"/*") {
            continue;
        }
        if line.starts_with(b"import ") || line.starts_with(b"export ") {
            found.insert(("es-module", &b""[..]));
        }
        for word in [&b"require"[..], b"import", b"from"] {
            for at in memmem::find_iter(line, word) {
                if at == 0 || !is_of_name(line[at - 1]) {
                    found.extend(module(&line[at + word.len()..]));
                }
            }
        }
    }
    found.into_iter().map(|(role, path)| bind(BINDINGS, [role.as_bytes(), path, package(role, path)])).collect()
}

/// The first part of a name, of one with a scope the first two: `@scope/name`.
fn package<'n>(role: &str, name: &'n [u8]) -> &'n [u8] {
    let n_parts = if name.starts_with(b"@") { 2 } else { 1 };
    match memchr::memchr_iter(b'/', name).nth(n_parts - 1) {
        _ if role != "package" => b"",
        Some(end) => &name[..end],
        None => name,
    }
}

/// Whether a byte before a word makes it part of another name, or of a property.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.')
}

/// The literal behind the word, with or without a parenthesis.
fn module(rest: &[u8]) -> Option<(&'static str, &[u8])> {
    let rest = rest.trim_ascii_start();
    let name = quoted(rest.strip_prefix(b"(").unwrap_or(rest))?;
    if name.starts_with(b"./") || name.starts_with(b"../") {
        let path = name.strip_prefix(b"./").unwrap_or(name);
        let path = path.strip_suffix(b"/").unwrap_or(path);
        return (!path.is_empty()).then_some(("relative", path));
    }
    let is_of_package = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'@' | b'/' | b'.' | b'_' | b'-');
    let is_package = name.first().is_some_and(|byte| *byte == b'@' || byte.is_ascii_alphanumeric());
    (is_package && name.iter().all(is_of_package)).then_some(("package", name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let words = |bindings: &Bindings| {
            let names = ["role", "path", "package"].map(|name| String::from_utf8_lossy(&bindings[name]).into_owned());
            names.join(" ").trim_end().to_owned()
        };
        let found: Vec<String> = read(text.as_bytes()).iter().map(words).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn literals_behind_require_import_and_from_are_modules() {
        check(
            "const { a } = require('a'), b = require (\"@scope/b/c.js\")",
            &["package @scope/b/c.js @scope/b", "package a a"],
        );
        check(
            "import x from './x.mjs'\nexport * from '../y'\nimport 'z'\nconst l = await import('./lazy/')",
            &["es-module", "package z z", "relative ../y", "relative lazy", "relative x.mjs"],
        );
    }

    #[test]
    fn comments_properties_computed_names_and_urls_are_none() {
        check("// require('a')\n * require('b')\nx.require('c')\nmyrequire('d')", &[]);
        check(
            "require(name)\nrequire(`t`)\nrequire('node:fs')\nrequire('/abs')\nfrom 'https://x/y'\nrequire('./')",
            &[],
        );
        check("require('cut off\nrequire(\nimport", &[]);
        check("from '@scope'", &["package @scope @scope"]);
        check("#!/bin/sh\nrequire('a')\n", &[]);
        check("#!/usr/bin/env node\nrequire('a/b')\n", &["package a/b a"]);
    }
}
