//! Which rules can concern a new path, without asking every rule.
//!
//! Globs of one kind are one table: those without wildcards, which are most, are looked up, the others asked one after
//! the other, which takes less time than compiling them at every start. A rule is a candidate when each of its globs
//! matched, which is counted: a rule with `object` and `needed` needs two hits. Rules without any glob are kept in two
//! short lists.

use super::facts::ObjectFacts;
use super::{Condition, Rule};
use crate::path::RootPath;
use crate::root::{alternatives, is_pattern};
use crate::wildcard::PathGlob;
use foldhash::HashMap;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub(super) struct Index {
    objects: Globs,
    sonames: Globs,
    needed: Globs,
    interpreters: Globs,
    included: Globs,
    /// Per rule: how many of the first four kinds it uses.
    globs_used: Vec<u8>,
    /// Per rule: the number of its symbol pattern.
    pub symbol: Vec<Option<usize>>,
    /// Rules whose only condition on the object is `imports`.
    by_imports: Vec<usize>,
    /// Rules without a condition on an object: they fire once for the whole image.
    pub whole_image: Vec<usize>,
}

/// The globs of one kind, and the rules that have each.
#[derive(Debug)]
struct Globs {
    /// By what matches itself only.
    names: HashMap<Box<[u8]>, Vec<usize>>,
    globs: Vec<(PathGlob, Vec<usize>)>,
}

/// The rules that one path concerns, by number, sorted.
pub(super) struct Hits {
    /// Those whose globs over the object all match.
    pub candidates: Vec<usize>,
    /// Those whose `included` matches.
    pub included: Vec<usize>,
}

impl Index {
    /// `symbols` is sorted; the number of a symbol pattern is its position.
    pub fn new(rules: &[&Rule], symbols: &[&str]) -> Index {
        let globs_used = rules.iter().map(|rule| rule.when.globs().iter().flatten().count() as u8).collect();
        let symbol = rules.iter().map(|rule| symbols.binary_search(&rule.when.imports.as_deref()?).ok()).collect();
        let chosen = |wanted: fn(&Condition) -> bool| {
            rules.iter().enumerate().filter(|(_, rule)| wanted(&rule.when)).map(|(number, _)| number).collect()
        };
        Index {
            objects: Globs::new(rules, |when| when.object.as_deref()),
            sonames: Globs::new(rules, |when| when.soname.as_deref()),
            needed: Globs::new(rules, |when| when.needed.as_deref()),
            interpreters: Globs::new(rules, |when| when.interpreter.as_deref()),
            included: Globs::new(rules, |when| when.included.as_deref()),
            globs_used,
            symbol,
            by_imports: chosen(|when| when.has_object() && when.globs().iter().all(Option::is_none)),
            whole_image: chosen(|when| !when.has_object()),
        }
    }

    /// What the path decides, and what the object there says about itself.
    pub fn hits(&self, path: &RootPath, object: Option<&ObjectFacts<'_>>) -> Hits {
        let included = self.included.matching(path.as_bytes());
        Hits { candidates: self.candidates(path, object), included }
    }

    /// The rules that name an object by its path or soname, whatever else they ask of it.
    pub fn naming(&self, path: &RootPath, soname: Option<&[u8]>) -> Vec<usize> {
        let by_soname = soname.map(|soname| self.sonames.matching(soname)).unwrap_or_default();
        [self.objects.matching(path.as_bytes()), by_soname].concat()
    }

    fn candidates(&self, path: &RootPath, object: Option<&ObjectFacts<'_>>) -> Vec<usize> {
        let mut hits = self.objects.matching(path.as_bytes());
        let mut candidates = Vec::new();
        if let Some(object) = object {
            let by_name = [(object.soname, &self.sonames), (object.interpreter, &self.interpreters)];
            hits.extend(by_name.into_iter().flat_map(|(name, globs)| Some(globs.matching(name?))).flatten());
            // Several names may match one glob.
            let needed: BTreeSet<usize> = object.needed.iter().flat_map(|name| self.needed.matching(name)).collect();
            hits.extend(needed);
            candidates.clone_from(&self.by_imports);
        }
        hits.sort_unstable();
        let complete = hits.chunk_by(|one, other| one == other);
        let complete = complete.filter(|same| same.len() == usize::from(self.globs_used[same[0]]));
        candidates.extend(complete.map(|same| same[0]));
        candidates.sort_unstable();
        candidates
    }
}

impl Globs {
    fn new(rules: &[&Rule], glob: fn(&Condition) -> Option<&str>) -> Globs {
        let mut by_text: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (number, rule) in rules.iter().enumerate() {
            for text in glob(&rule.when).into_iter().flat_map(alternatives) {
                by_text.entry(text).or_default().push(number);
            }
        }
        let (globs, names): (Vec<_>, Vec<_>) =
            by_text.into_iter().partition(|(text, _)| is_pattern(text) || text.contains('\\'));
        Globs {
            names: names.into_iter().map(|(text, rules)| (text.into_bytes().into(), rules)).collect(),
            globs: globs.into_iter().map(|(text, rules)| (PathGlob::new(text.as_bytes()), rules)).collect(),
        }
    }

    /// The rules whose glob matches, sorted; each once, though several of its alternatives may match.
    fn matching(&self, name: &[u8]) -> Vec<usize> {
        let mut rules = self.names.get(name).cloned().unwrap_or_default();
        for (_, matching) in self.globs.iter().filter(|(glob, _)| glob.matches(name)) {
            rules.extend_from_slice(matching);
        }
        rules.sort_unstable();
        rules.dedup();
        rules
    }
}

impl Condition {
    /// The globs over facts of the object.
    fn globs(&self) -> [Option<&str>; 4] {
        [self.object.as_deref(), self.soname.as_deref(), self.needed.as_deref(), self.interpreter.as_deref()]
    }

    /// Whether the rule is about one object, as opposed to the image as a whole.
    pub(super) fn has_object(&self) -> bool {
        self.imports.is_some() || self.globs().iter().any(Option::is_some)
    }
}
