//! Rules whose cheap conditions hold to their firings: what is in the files, once per object whatever the number of
//! rules that ask.

use super::facts::Facts;
use super::firing::Firing;
use super::globs::GlobCache;
use super::pattern::{Bindings, StringPattern};
use super::readings::{OfObject, Readings};
use super::{Rule, RuleFile, RuleSet};
use crate::path::RootPath;

/// A rule that only what is in files can still keep from firing. The order puts those about one object side by side.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ready {
    /// `None` is the image as a whole.
    pub object: Option<RootPath>,
    pub number: usize,
}

/// What the evaluations of one call share.
#[derive(Clone, Copy)]
pub(super) struct Evaluation<'a> {
    pub set: &'a RuleSet,
    pub facts: &'a dyn Facts,
    pub globs: &'a GlobCache,
    pub readings: &'a Readings,
}

/// A rule whose conditions hold, with one set of bindings.
pub(super) struct Match<'a> {
    pub file: &'a RuleFile,
    pub rule: &'a Rule,
    pub object: Option<&'a RootPath>,
    pub bindings: Bindings,
    /// For the reasons: see [`Firing::detail`].
    pub detail: String,
}

impl Evaluation<'_> {
    /// Checks the conditions that are left of rules about one object: which of them fire, once per bindings, and what.
    pub fn of_object(&self, ready: &[Ready]) -> (Vec<usize>, Vec<Firing>) {
        let object = ready.first().and_then(|ready| ready.object.as_ref());
        let mut strings = self.strings(ready, object).into_iter();
        let mut readings = OfObject::default();
        let (mut fired, mut firings) = (Vec::new(), Vec::new());
        for &Ready { number, .. } in ready {
            let (file, rule) = self.set.rule(number);
            let nothing_bound = || vec![Bindings::new()];
            let from_strings = match (&rule.when.strings, object) {
                (Some(_), Some(_)) => strings.next().unwrap_or_default(),
                _ => nothing_bound(),
            };
            if from_strings.is_empty() {
                continue;
            }
            let from_file = match &rule.when.reading {
                Some(reading) => self.readings.of(reading, object, &mut readings, self.facts),
                None => nothing_bound(),
            };
            let from_environment = match &rule.when.environment {
                Some(pattern) => pattern.groups(self.facts.environment()),
                None => nothing_bound(),
            };
            let combined = from_strings.iter().flat_map(|strings| from_file.iter().map(move |file| [strings, file]));
            for of_files in combined {
                for from_environment in &from_environment {
                    let bound = of_files.into_iter().chain([from_environment]);
                    let mut bindings: Bindings = bound.flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
                    let detail = detail(file, rule, &bindings);
                    bindings.extend(object.into_iter().flat_map(of_object));
                    let matched = Match { file, rule, object, bindings, detail };
                    matched.effects(self.facts, self.globs, &mut firings);
                    fired.push(number);
                }
            }
        }
        fired.dedup();
        (fired, firings)
    }

    /// What the string patterns of the rules find in the object, in their order.
    fn strings(&self, ready: &[Ready], object: Option<&RootPath>) -> Vec<Vec<Bindings>> {
        let patterns = ready.iter().filter_map(|ready| self.set.rule(ready.number).1.when.strings.as_ref());
        let patterns: Vec<&StringPattern> = patterns.collect();
        match object {
            Some(object) if !patterns.is_empty() => self.facts.strings(object, &patterns),
            _ => Vec::new(),
        }
    }
}

/// What every object binds.
fn of_object(object: &RootPath) -> [(String, Vec<u8>); 3] {
    let directory = object.parent().filter(|parent| !parent.is_root());
    let directory = directory.map_or_else(Vec::new, |directory| directory.as_bytes().to_vec());
    let name = object.file_name();
    let stem = &name[..memchr::memrchr(b'.', name).unwrap_or(name.len())];
    [("object_directory", &directory[..]), ("object_name", name), ("object_stem", stem)]
        .map(|(name, value)| (name.to_owned(), value.to_vec()))
}

/// The rule's place, then what matched.
fn detail(file: &RuleFile, rule: &Rule, bindings: &Bindings) -> String {
    let mut detail = format!("{}:{}", file.id, rule.line);
    for (name, value) in bindings {
        detail.push_str(&format!(" {name}={}", crate::path::escaped(value)));
    }
    detail
}
