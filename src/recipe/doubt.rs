//! What a recipe says of references that are not certain: which of them are taken, and which of those that cannot be
//! known are known to be so.

use crate::path::{RootPath, escaped};
use serde::Deserialize;
use std::collections::BTreeMap;

/// References that are listed unless the recipe takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Take {
    /// Libraries that strings of objects that call `dlopen` name.
    Suspected,
    /// Libraries that `.note.dlopen` only suggests, and files that a rule does.
    Suggested,
}

impl Take {
    /// Why a reference is listed and not kept that only this takes: in a manifest, [`Take::of`] knows it by these words.
    pub fn reason(self, listed: &str) -> String {
        format!("{listed}; {}", self.flag())
    }

    /// What would take a reference that was left out for this reason.
    pub fn of(reason: &str) -> Option<Take> {
        [Take::Suspected, Take::Suggested].into_iter().find(|take| reason.ends_with(take.flag()))
    }

    fn flag(self) -> &'static str {
        match self {
            Take::Suspected => "`--include suspected` takes it",
            Take::Suggested => "`--include suggested` takes it",
        }
    }
}

/// The baseline of `--strict`: what cannot be known and is accepted, by the object that refers.
///
/// A value is the text of the reference (`libx.so.1`, `$DAEMON`, `dlopen` for a computed name), or `*` for all of the
/// object.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Accept(pub BTreeMap<String, Vec<String>>);

/// The key of references that no object makes but the recipe's startup.
const STARTUP: &str = "startup";

/// The value that stands for all of an object.
const ALL: &str = "*";

impl Accept {
    /// The key of an object.
    pub fn key(from: Option<&RootPath>) -> String {
        from.map_or_else(|| STARTUP.to_owned(), |path| escaped(path.as_bytes()).to_string())
    }

    /// Whether `what` of the object is accepted.
    pub fn covers(&self, key: &str, what: &str) -> bool {
        self.0.get(key).is_some_and(|accepted| accepted.iter().any(|accepted| accepted == what || accepted == ALL))
    }

    /// The lines to have under `[accept]` so that these are accepted too; one for each key, whole.
    pub fn lines<'d>(&self, doubts: impl Iterator<Item = (&'d str, &'d str)>) -> Vec<String> {
        let mut wanted: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (key, what) in doubts {
            let known = || self.0.get(key).into_iter().flatten().map(String::as_str).collect();
            let values = wanted.entry(key).or_insert_with(known);
            if !values.contains(&what) {
                values.push(what);
            }
        }
        wanted.into_iter().map(|(key, values)| line(key, &values)).collect()
    }

    /// Adds what a later recipe accepts.
    pub(super) fn merge(&mut self, later: Accept) {
        for (key, values) in later.0 {
            super::join(self.0.entry(key).or_default(), values);
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let is_key = |key: &&String| *key == STARTUP || key.starts_with('/');
        match self.0.keys().find(|key| !is_key(key)) {
            Some(key) => Err(format!("[accept] `{key}` is neither an absolute path nor `{STARTUP}`")),
            None => Ok(()),
        }
    }
}

fn line(key: &str, values: &[&str]) -> String {
    let values: Vec<String> = values.iter().map(|value| toml::Value::from(*value).to_string()).collect();
    let key = if key == STARTUP { key.to_owned() } else { toml::Value::from(key).to_string() };
    format!("{key} = [{}]", values.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Recipe;

    fn accept(text: &str) -> Accept {
        toml::from_str::<Recipe>(text).unwrap().accept
    }

    #[test]
    fn the_lines_to_add_are_accepted_when_they_are_there() {
        let before = accept("[accept]\n'/a' = ['x']");
        let odd = "a \"b\" \\ ' \u{1}";
        let doubts = [("/a", "dlopen"), ("/b", odd), ("startup", "sh -c 'x'"), ("/a", "dlopen")];
        assert!(doubts.iter().all(|(key, what)| !before.covers(key, what)));
        let lines = before.lines(doubts.into_iter());
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], r#""/a" = ["x", "dlopen"]"#);
        let after = accept(&format!("[accept]\n{}", lines.join("\n")));
        assert!(doubts.iter().all(|(key, what)| after.covers(key, what)) && after.covers("/a", "x"));
        assert!(!after.covers("/a", "y") && !after.covers("/c", "dlopen"));
    }

    #[test]
    fn a_star_accepts_all_of_one_object() {
        let accept = accept("[accept]\n'/a' = ['*']");
        assert!(accept.covers("/a", "anything") && !accept.covers("/b", "anything"));
    }

    #[test]
    fn baselines_of_several_recipes_add_up() {
        let mut first: Recipe = toml::from_str("[accept]\n'/a' = ['x']").unwrap();
        first.merge(toml::from_str("[accept]\n'/a' = ['x', 'y']\n'/b' = ['z']").unwrap()).unwrap();
        assert_eq!(first.accept, accept("[accept]\n'/a' = ['x', 'y']\n'/b' = ['z']"));
    }

    #[test]
    fn a_key_is_a_path() {
        assert!(accept("[accept]\n'usr/bin/a' = ['x']").check().is_err());
        assert!(accept("[accept]\n'/usr/bin/a' = ['x']\nstartup = ['y']").check().is_ok());
    }
}
