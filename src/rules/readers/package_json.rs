//! A package.json to the files that Node.js begins with when the package is asked for by its name (Node.js manual,
//! "Folders as modules" and `main`; "Packages": `exports`, `imports`, "Conditional exports").
//!
//! Of a choice by conditions the first that holds is taken, as Node.js does, once for `import` and once for `require`.
//! Which paths inside the package are ever asked for is not known here: every one that `exports` spells out counts.

use super::bind;
use crate::rules::pattern::Bindings;
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeSet;
use std::fmt;

/// `role` is `main` for the file that `main` names, or `index.js`, and `export` for one that `exports` or `imports` does.
/// `path` is without a leading `./` and a `/` at the end.
pub(super) const BINDINGS: &[&str] = &["role", "path"];

#[derive(Deserialize)]
struct Package {
    main: Option<String>,
    #[serde(default)]
    exports: Target,
    #[serde(default)]
    imports: Target,
}

/// A value of `exports` or `imports`: a file, or a choice in the order of the text.
#[derive(Default)]
enum Target {
    #[default]
    Nothing,
    File(String),
    FirstOf(Vec<Target>),
    Keyed(Vec<(String, Target)>),
}

pub(super) fn read(text: &[u8]) -> Vec<Bindings> {
    // Node refuses the package then.
    let Ok(package) = serde_json::from_slice::<Package>(text) else { return Vec::new() };
    let main = package.main.unwrap_or_default();
    let main = main.strip_prefix("./").unwrap_or(&main).trim_end_matches('/');
    let main = if main.is_empty() || main == "." { "index.js" } else { main };
    let mut exported = BTreeSet::new();
    for target in package.exports.of_each_path().into_iter().chain(package.imports.of_each_path()) {
        exported.extend(["import", "require"].into_iter().filter_map(|kind| target.file(kind)));
    }
    let exported = exported.into_iter().map(|file| bind(BINDINGS, [b"export", file.as_bytes()]));
    [bind(BINDINGS, [b"main", main.as_bytes()])].into_iter().chain(exported).collect()
}

impl Target {
    /// The targets of the paths of the package, or of names that begin with `#`; of patterns none.
    fn of_each_path(&self) -> Vec<&Target> {
        let is_path = |key: &str| key.starts_with('.') || key.starts_with('#');
        match self {
            Target::Keyed(entries) if entries.iter().any(|(key, _)| is_path(key)) => {
                let is_whole = |key: &str| !key.contains('*') && !key.ends_with('/');
                entries.iter().filter(|(key, _)| is_whole(key)).map(|(_, target)| target).collect()
            }
            target => vec![target],
        }
    }

    /// What Node.js takes; another package is none.
    fn file(&self, kind: &str) -> Option<&str> {
        let is_met = |key: &str| matches!(key, "node" | "node-addons" | "module-sync" | "default") || key == kind;
        match self {
            Target::Nothing => None,
            Target::File(name) => name.strip_prefix("./"),
            Target::FirstOf(targets) => targets.iter().find_map(|target| target.file(kind)),
            Target::Keyed(entries) => {
                entries.iter().filter(|(key, _)| is_met(key)).find_map(|(_, target)| target.file(kind))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Target, D::Error> {
        deserializer.deserialize_any(TargetVisitor)
    }
}

struct TargetVisitor;

impl<'de> Visitor<'de> for TargetVisitor {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a target of a package's exports")
    }

    fn visit_str<E>(self, text: &str) -> Result<Target, E> {
        Ok(Target::File(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Target, E> {
        Ok(Target::Nothing)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Target, E> {
        Ok(Target::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Target, A::Error> {
        let mut targets = Vec::new();
        while let Some(target) = seq.next_element()? {
            targets.push(target);
        }
        Ok(Target::FirstOf(targets))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Target, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            // A file type is of no use to a program that runs.
            if key == "types" {
                map.next_value::<IgnoredAny>()?;
            } else {
                entries.push((key, map.next_value()?));
            }
        }
        Ok(Target::Keyed(entries))
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::readers::tests::check as check_reader;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        check_reader("package-json", text, expected);
    }

    #[test]
    fn the_main_file_is_named_or_is_index() {
        check(r#"{ "name": "a", "main": "./lib/a" }"#, &["main lib/a"]);
        check(r#"{ "main": "lib/" }"#, &["main lib"]);
        check("{}", &["main index.js"]);
        for refused in ["{ \"main\": 1 }", "{ \"main\"", "", "[]", "{ \"exports\": 1 }"] {
            check(refused, &[]);
        }
    }

    #[test]
    fn of_conditions_the_first_that_holds_is_taken_for_import_and_for_require() {
        check(
            r#"{ "exports": { "types": "./a.d.ts", "browser": "./b.js", "import": "./m.mjs", "require": "./c.cjs", "default": "./d.js" } }"#,
            &["main index.js", "export c.cjs", "export m.mjs"],
        );
        check(
            r#"{ "exports": { ".": { "node": { "import": "./m.mjs", "default": "./n.js" }, "default": "./d.js" } } }"#,
            &["main index.js", "export m.mjs", "export n.js"],
        );
        // acorn of Debian 12
        check(
            r#"{ "main": "dist/a.js", "exports": { ".": [{ "import": "./dist/a.mjs", "require": "./dist/a.js" }, "./dist/a.js"] } }"#,
            &["main dist/a.js", "export dist/a.js", "export dist/a.mjs"],
        );
    }

    #[test]
    fn paths_inside_are_those_spelled_out_and_names_of_other_packages_are_none() {
        check(
            r##"{ "exports": { ".": "./a.js", "./b": "./lib/b.js", "./c/*": "./c/*.js", "./d/": "./d/", "./gone": null },
                 "imports": { "#in": { "node": "./in.js" }, "#out": "other" } }"##,
            &["main index.js", "export a.js", "export in.js", "export lib/b.js"],
        );
    }

    #[test]
    fn nesting_without_end_is_refused() {
        check(&format!("{{ \"exports\": {}", "[".repeat(100_000)), &[]);
    }
}
