//! A JavaScript file to one map per module that `require`, `import` or `export … from` names by a literal (Node.js
//! manual, "Modules: CommonJS modules" and "ECMAScript modules"), whether or not the call is ever reached.
//!
//! The surprise: where a package has `exports`, or a name begins with `#`, no part of the name need be that of a file. Such
//! names are looked up here, by the package.json that Node.js would read, for the path of what it would load.

use super::node_package::{Call, Package};
use super::{bind, is_script_of, quoted};
use crate::path::RootPath;
use crate::rules::Facts;
use crate::rules::pattern::Bindings;
use foldhash::HashMap;
use memchr::memmem;
use std::collections::BTreeSet;
use std::rc::Rc;

/// `role` is `relative` for what is beside the file, without a leading `./`; `file` for one with its whole path, which a
/// package.json names, and for that package.json; `package` for a name that is looked for in directories of packages;
/// absolute paths, URLs and `node:` names are neither. `package` is the package that such a name begins with. A file that is
/// written as a module has an `es-module` without a path as well.
pub(super) const BINDINGS: &[&str] = &["role", "path", "package"];

/// Where packages are beside the directories `node_modules`, as in the rule.
const DIRECTORIES: [&str; 3] = ["/usr/local/lib/node_modules", "/usr/share/nodejs", "/usr/lib/nodejs"];
const OF_ARCHITECTURES: &str = "/usr/lib/*-linux-gnu*/nodejs";

pub(super) fn read(path: &RootPath, facts: &dyn Facts) -> Vec<Bindings> {
    let Some(text) = facts.read(path).filter(|text| is_script_of(text, b"node")) else { return Vec::new() };
    let mut lookup = Lookup { file: path, facts, packages: HashMap::default(), found: BTreeSet::new() };
    for module in modules(&text) {
        lookup.module(module);
    }
    let found = lookup.found.iter();
    found.map(|(role, path)| bind(BINDINGS, [role.as_bytes(), path, package(role, path)])).collect()
}

/// What a literal names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Module<'t> {
    /// The file is written as a module.
    Itself,
    Relative(&'t str),
    Package(&'t str, Call),
    /// With its `#`.
    OfOwnPackage(&'t str, Call),
}

fn modules(text: &[u8]) -> BTreeSet<Module<'_>> {
    let mut found = BTreeSet::new();
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.trim_ascii();
        if line.starts_with(b"//") || line.starts_with(b"*") || line.starts_with(b"/*") {
            continue;
        }
        if line.starts_with(b"import ") || line.starts_with(b"export ") {
            found.insert(Module::Itself);
        }
        for (word, call) in [(&b"require"[..], Call::Require), (b"import", Call::Import), (b"from", Call::Import)] {
            for at in memmem::find_iter(line, word) {
                if at == 0 || !is_of_name(line[at - 1]) {
                    found.extend(module(&line[at + word.len()..], call));
                }
            }
        }
    }
    found
}

/// Whether a byte before a word makes it part of another name, or of a property.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.')
}

/// The literal behind the word, with or without a parenthesis.
fn module(rest: &[u8], call: Call) -> Option<Module<'_>> {
    let rest = rest.trim_ascii_start();
    let name = std::str::from_utf8(quoted(rest.strip_prefix(b"(").unwrap_or(rest))?).ok()?;
    if name.starts_with("./") || name.starts_with("../") {
        let path = name.strip_prefix("./").unwrap_or(name);
        let path = path.strip_suffix('/').unwrap_or(path);
        return (!path.is_empty()).then_some(Module::Relative(path));
    }
    let is_of_package = |byte: u8| byte.is_ascii_alphanumeric() || b"@/._-~".contains(&byte);
    let (first, others) = name.as_bytes().split_first()?;
    match first {
        _ if !others.iter().all(|&byte| is_of_package(byte)) => None,
        b'#' => Some(Module::OfOwnPackage(name, call)),
        b'@' => Some(Module::Package(name, call)),
        first if first.is_ascii_alphanumeric() => Some(Module::Package(name, call)),
        _ => None,
    }
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

/// What the modules of one file come to.
struct Lookup<'f> {
    file: &'f RootPath,
    facts: &'f dyn Facts,
    /// By the path of their package.json.
    packages: HashMap<RootPath, Option<Rc<Package>>>,
    found: BTreeSet<(&'static str, Vec<u8>)>,
}

impl Lookup<'_> {
    fn module(&mut self, module: Module<'_>) {
        match module {
            Module::Itself => self.note("es-module", b""),
            Module::Relative(path) => self.relative(path),
            Module::Package(name, call) => self.of_package(name, call),
            Module::OfOwnPackage(name, call) => {
                let Some((directory, package)) = self.own_package() else { return };
                match package.imported(name, call) {
                    Some(file) if file.starts_with("./") => self.file_of(&directory, Some(&file)),
                    Some(other) => {
                        self.file_of(&directory, None);
                        self.of_package(&other, call);
                    }
                    None => self.file_of(&directory, None),
                }
            }
        }
    }

    fn note(&mut self, role: &'static str, path: &[u8]) {
        self.found.insert((role, path.to_vec()));
    }

    /// What is asked for by its path has the beginning that `main` names, whatever the package exports.
    fn relative(&mut self, path: &str) {
        self.note("relative", path.as_bytes());
        let directory = self.file.parent().and_then(|directory| beside(&directory, path));
        if let Some(package) =
            directory.and_then(|directory| self.package(&directory)).filter(|package| package.has_exports())
        {
            self.note("relative", format!("{path}/{}", package.main()).as_bytes());
        }
    }

    /// PACKAGE_SELF_RESOLVE, then the first directory with a package.json of the package.
    fn of_package(&mut self, name: &str, call: Call) {
        let of_name = package("package", name.as_bytes());
        let inside = format!(".{}", &name[of_name.len()..]);
        let own = self.own_package().filter(|(_, own)| own.has_exports());
        let own = own.filter(|(_, own)| own.name.as_ref().is_some_and(|known| known.as_bytes() == of_name));
        match own.or_else(|| self.installed(&name[..of_name.len()])).filter(|(_, package)| package.has_exports()) {
            Some((directory, package)) => self.file_of(&directory, package.exported(&inside, call).as_deref()),
            None => self.note("package", name.as_bytes()),
        }
    }

    /// A file of a package, and the package.json that led to it.
    fn file_of(&mut self, directory: &RootPath, file: Option<&str>) {
        self.note("file", directory.join(b"package.json").as_bytes());
        if let Some(path) = file.and_then(|file| beside(directory, file)) {
            self.note("file", path.as_bytes());
        }
    }

    /// The package that the file is part of (LOOKUP_PACKAGE_SCOPE).
    fn own_package(&mut self) -> Option<(RootPath, Rc<Package>)> {
        let above = std::iter::successors(self.file.parent(), RootPath::parent);
        let mut inside = above.take_while(|directory| directory.file_name() != b"node_modules");
        inside.find_map(|directory| self.package(&directory).map(|package| (directory, package)))
    }

    fn installed(&mut self, name: &str) -> Option<(RootPath, Rc<Package>)> {
        let above = std::iter::successors(self.file.parent(), RootPath::parent);
        let beside_file = above.filter(|directory| directory.file_name() != b"node_modules");
        let beside_file = beside_file.map(|directory| directory.join(b"node_modules"));
        let of_system = DIRECTORIES.iter().filter_map(|directory| RootPath::new(directory).ok());
        let directories: Vec<RootPath> =
            beside_file.chain(of_system).chain(self.facts.glob(OF_ARCHITECTURES)).collect();
        let mut packages = directories.iter().filter_map(|directory| beside(directory, name));
        packages.find_map(|directory| self.package(&directory).map(|package| (directory, package)))
    }

    fn package(&mut self, directory: &RootPath) -> Option<Rc<Package>> {
        let path = directory.join(b"package.json");
        let facts = self.facts;
        let read = || facts.read(&path).and_then(|text| Package::parse(&text)).map(Rc::new);
        self.packages.entry(path.clone()).or_insert_with(read).clone()
    }
}

/// A path from a directory on, with its dots taken back; `None` above `/`.
fn beside(directory: &RootPath, path: &str) -> Option<RootPath> {
    let mut reached = directory.clone();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => reached = reached.parent()?,
            name => reached = reached.join(name.as_bytes()),
        }
    }
    Some(reached)
}

#[cfg(test)]
mod tests {
    use crate::rules::readers::tests::check_in;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        check_with(&[("/srv/app/lib/a.js", text)], expected);
    }

    /// Files of which the first is read.
    #[track_caller]
    fn check_with(files: &[(&str, &str)], expected: &[&str]) {
        check_in(files, "javascript", files[0].0, expected);
    }

    #[test]
    fn what_a_package_exports_is_a_file_with_its_whole_path() {
        let json = r#"{ "exports": { ".": { "import": "./m.mjs", "require": "./c.js" }, "./f/*.js": "./src/*.js", "./f/in/*": null } }"#;
        let package = ("/srv/node_modules/p/package.json", json);
        let (own, main) = ("file /srv/node_modules/p/package.json", "file /srv/node_modules/p/m.mjs");
        check_with(&[("/srv/app/lib/a.mjs", "import 'p'"), package], &["es-module", main, own]);
        check_with(&[("/srv/app/lib/a.js", "require('p')"), package], &["file /srv/node_modules/p/c.js", own]);
        let deep = "file /srv/node_modules/p/src/x/y.js";
        check_with(
            &[("/srv/a.js", "require('p/f/x/y.js'); require('p/f/in/x.js'); require('p/no')"), package],
            &[own, deep],
        );
        // What is nearer counts, and one without exports is none of this.
        let nearer = ("/srv/app/node_modules/p/package.json", r#"{ "main": "x.js" }"#);
        check_with(&[("/srv/app/a.js", "require('p/f/x.js')"), package, nearer], &["package p/f/x.js p"]);
        check_with(
            &[
                ("/srv/a.js", "require('@s/q/x')"),
                ("/usr/share/nodejs/@s/q/package.json", r#"{ "exports": { "./*": "./*.js" } }"#),
            ],
            &["file /usr/share/nodejs/@s/q/package.json", "file /usr/share/nodejs/@s/q/x.js"],
        );
    }

    #[test]
    fn a_package_knows_itself_by_its_name_and_its_imports() {
        let json = r##"{ "name": "me", "exports": "./main.js", "imports": { "#x/*": "./x/*.js", "#d": "dep" } }"##;
        let files = [
            ("/srv/app/lib/a.js", "require('me'); require('#x/y'); require('#d'); require('#no')"),
            ("/srv/app/package.json", json),
        ];
        check_with(
            &files,
            &["file /srv/app/main.js", "file /srv/app/package.json", "file /srv/app/x/y.js", "package dep dep"],
        );
    }

    #[test]
    fn a_directory_has_its_main_file_whatever_it_exports() {
        let json = ("/srv/app/package.json", r#"{ "main": "./m.js", "exports": "./e.js" }"#);
        check_with(&[("/srv/app/test/a.js", "require('../')"), json], &["relative ..", "relative ../m.js"]);
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
