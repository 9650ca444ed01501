//! What a package.json says about the package to the file that a name leads to (Node.js manual, "Packages"; "Modules:
//! ECMAScript modules", "Resolution Algorithm Specification": PACKAGE_EXPORTS_RESOLVE and what it calls).
//!
//! The surprise: the best key is not the longest, but the one with the longest text before its `*`; and its target counts
//! even when it is `null`, which is how a package hides some files of a pattern.

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::cmp::Reverse;
use std::fmt;

#[derive(Deserialize)]
pub(super) struct Package {
    pub name: Option<String>,
    pub main: Option<String>,
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

/// How a module is asked for, which is a condition of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Call {
    Import,
    Require,
}

/// What a target comes to.
enum Outcome {
    /// None of its conditions holds.
    Undefined,
    /// There is to be no such module.
    Hidden,
    Name(String),
}

impl Package {
    /// `None` for what Node.js refuses.
    pub fn parse(text: &[u8]) -> Option<Package> {
        serde_json::from_slice(text).ok()
    }

    /// Whether `exports` takes the place of `main` and of the paths of files.
    pub fn has_exports(&self) -> bool {
        !matches!(self.exports, Target::Nothing)
    }

    /// The file that a directory stands for which is asked for by its path, without a leading `./` and a `/` at the end;
    /// it may lack its suffix.
    pub fn main(&self) -> &str {
        let main = self.main.as_deref().unwrap_or_default();
        let main = main.strip_prefix("./").unwrap_or(main).trim_end_matches('/');
        if main.is_empty() || main == "." { "index.js" } else { main }
    }

    /// The file of the package that `exports` has for this path, `.` or `./path`; without a leading `./`.
    pub fn exported(&self, path: &str, call: Call) -> Option<String> {
        let has_paths =
            matches!(&self.exports, Target::Keyed(entries) if entries.iter().any(|(key, _)| key.starts_with('.')));
        let found = match &self.exports {
            Target::Keyed(entries) if has_paths => of_keys(entries, path, false, call),
            target if path == "." => target.resolve(None, false, call),
            _ => Outcome::Undefined,
        };
        Some(found.name()?.strip_prefix("./")?.to_owned())
    }

    /// What `imports` has for this name, which begins with `#`: `./` and a file of the package, or another package.
    pub fn imported(&self, name: &str, call: Call) -> Option<String> {
        match &self.imports {
            Target::Keyed(entries) => of_keys(entries, name, true, call).name(),
            _ => None,
        }
    }
}

impl Outcome {
    fn name(self) -> Option<String> {
        match self {
            Outcome::Name(name) => Some(name),
            Outcome::Undefined | Outcome::Hidden => None,
        }
    }
}

/// PACKAGE_IMPORTS_EXPORTS_RESOLVE.
fn of_keys(entries: &[(String, Target)], name: &str, is_import: bool, call: Call) -> Outcome {
    if name.ends_with('/') {
        return Outcome::Undefined;
    }
    // Of a key that is there twice, JSON has the last.
    let whole = entries.iter().rev().find(|(key, _)| key == name && !key.contains('*'));
    if let Some((_, target)) = whole {
        return target.resolve(None, is_import, call);
    }
    let matching = entries.iter().filter_map(|(key, target)| Some((key, target, within(key, name)?)));
    let best = matching.min_by_key(|(key, _, _)| (Reverse(key.find('*')), Reverse(key.len())));
    best.map_or(Outcome::Undefined, |(_, target, within)| target.resolve(Some(within), is_import, call))
}

/// What the `*` of a key stands for in a name that it matches.
fn within<'n>(key: &str, name: &'n str) -> Option<&'n str> {
    let (start, end) = key.split_once('*').filter(|(_, end)| !end.contains('*'))?;
    let within = name.strip_prefix(start)?.strip_suffix(end)?;
    (!within.is_empty()).then_some(within)
}

impl Target {
    /// PACKAGE_TARGET_RESOLVE.
    fn resolve(&self, within: Option<&str>, is_import: bool, call: Call) -> Outcome {
        let of_call = match call {
            Call::Import => "import",
            Call::Require => "require",
        };
        let is_met = |key: &str| matches!(key, "node" | "node-addons" | "module-sync" | "default") || key == of_call;
        match self {
            Target::Nothing => Outcome::Hidden,
            Target::File(target) => {
                let is_of_package = target.starts_with("./");
                let is_elsewhere = target.starts_with(['/', '.']) || target.contains(':');
                if has_dots(within.unwrap_or_default()) || (!is_of_package && (!is_import || is_elsewhere)) {
                    return Outcome::Hidden;
                }
                if is_of_package && has_dots(&target[2..]) {
                    return Outcome::Hidden;
                }
                Outcome::Name(within.map_or_else(|| target.clone(), |within| target.replace('*', within)))
            }
            Target::FirstOf(targets) => {
                let outcomes = targets.iter().map(|target| target.resolve(within, is_import, call));
                outcomes.into_iter().find(|outcome| matches!(outcome, Outcome::Name(_))).unwrap_or(Outcome::Hidden)
            }
            Target::Keyed(entries) => {
                let outcomes = entries.iter().filter(|(key, _)| is_met(key));
                let mut outcomes = outcomes.map(|(_, target)| target.resolve(within, is_import, call));
                outcomes.find(|outcome| !matches!(outcome, Outcome::Undefined)).unwrap_or(Outcome::Undefined)
            }
        }
    }
}

/// Whether a path has a component that leads out of the package, or into another one.
fn has_dots(path: &str) -> bool {
    path.split(['/', '\\']).any(|name| matches!(name, "." | "..") || name.eq_ignore_ascii_case("node_modules"))
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
    use super::*;

    #[track_caller]
    fn check_exports(exports: &str, expected: &[(&str, Call, Option<&str>)]) {
        let package = Package::parse(format!("{{ \"exports\": {exports} }}").as_bytes()).unwrap();
        for (path, call, file) in expected {
            assert_eq!(package.exported(path, *call).as_deref(), *file, "{path} {call:?} of {exports}");
        }
    }

    #[test]
    fn of_conditions_the_first_that_holds_is_taken_for_import_and_for_require() {
        check_exports(
            r#"{ "types": "./a.d.ts", "browser": "./b.js", "import": "./m.mjs", "require": "./c.cjs", "default": "./d.js" }"#,
            &[(".", Call::Import, Some("m.mjs")), (".", Call::Require, Some("c.cjs")), ("./a", Call::Import, None)],
        );
        check_exports(
            r#"{ ".": { "node": { "import": "./m.mjs" }, "default": "./d.js" } }"#,
            &[(".", Call::Import, Some("m.mjs")), (".", Call::Require, Some("d.js"))],
        );
        // acorn of Debian 12
        check_exports(
            r#"{ ".": [{ "import": "./dist/a.mjs", "require": "./dist/a.js" }, "./dist/a.js"] }"#,
            &[(".", Call::Import, Some("dist/a.mjs")), (".", Call::Require, Some("dist/a.js"))],
        );
        check_exports(r#"{ ".": { "node": null, "default": "./d.js" } }"#, &[(".", Call::Import, None)]);
    }

    #[test]
    fn of_patterns_the_one_with_the_longest_beginning_is_taken_even_when_it_hides() {
        check_exports(
            r#"{ "./*": "./any/*.js", "./f/*.js": "./src/*.js", "./f/*": "./other/*", "./f/in/*": null,
                 "./f/in/but": "./but.js", "./twice/*": "./*/*.js", "./old/": "./old/" }"#,
            &[
                ("./x", Call::Import, Some("any/x.js")),
                ("./f/a.js", Call::Import, Some("src/a.js")),
                ("./f/a/b.js", Call::Require, Some("src/a/b.js")),
                ("./f/a", Call::Import, Some("other/a")),
                ("./f/in/a.js", Call::Import, None),
                ("./f/in/but", Call::Import, Some("but.js")),
                ("./twice/x", Call::Import, Some("x/x.js")),
                ("./old/x", Call::Import, Some("any/old/x.js")),
                ("./f/", Call::Import, None),
                (".", Call::Import, None),
            ],
        );
    }

    #[test]
    fn no_target_is_outside_the_package() {
        for target in ["../a.js", "/a.js", "a.js", "./../a.js", "./x/../a.js", "./node_modules/b/a.js"] {
            check_exports(&format!("\"{target}\""), &[(".", Call::Import, None)]);
        }
        check_exports(r#"{ "./*": "./*" }"#, &[("./../a", Call::Import, None), ("./a", Call::Import, Some("a"))]);
    }

    #[test]
    fn imports_lead_to_files_and_to_other_packages() {
        let text =
            br##"{ "imports": { "#in/*": "./lib/*.js", "#dep": { "node": "dep/sub", "default": "./no.js" } } }"##;
        let package = Package::parse(text).unwrap();
        assert_eq!(package.imported("#in/a", Call::Import).as_deref(), Some("./lib/a.js"));
        assert_eq!(package.imported("#dep", Call::Require).as_deref(), Some("dep/sub"));
        assert_eq!(package.imported("#gone", Call::Import), None);
    }

    #[test]
    fn nesting_without_end_and_numbers_are_refused() {
        for refused in [format!("{{ \"exports\": {}", "[".repeat(100_000)), "{ \"exports\": 1 }".to_owned()] {
            assert!(Package::parse(refused.as_bytes()).is_none());
        }
    }
}
