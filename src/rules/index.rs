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
use std::collections::BTreeMap;

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

/// The rules that one path concerns.
pub(super) struct PathHits {
    /// By `object`.
    objects: Vec<usize>,
    /// By `included`.
    pub included: Vec<usize>,
}

/// Rules by soname and interpreter, which repeat from object to object.
#[derive(Debug, Default)]
pub(super) struct NameCache {
    needed: HashMap<Vec<u8>, Vec<usize>>,
    interpreters: HashMap<Vec<u8>, Vec<usize>>,
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

    /// What the path alone decides.
    pub fn path_hits(&self, path: &RootPath) -> PathHits {
        let matching = |globs: &Globs| globs.matching(path.as_bytes());
        PathHits { objects: matching(&self.objects), included: matching(&self.included) }
    }

    /// The rules that name an object by its path or soname, whatever else they ask of it.
    pub fn naming(&self, path: &RootPath, soname: Option<&[u8]>) -> Vec<usize> {
        let by_soname = soname.map(|soname| self.sonames.matching(soname)).unwrap_or_default();
        [self.objects.matching(path.as_bytes()), by_soname].concat()
    }

    /// The rules whose globs over the object all match, sorted.
    pub fn candidates(&self, path: &PathHits, object: Option<&ObjectFacts<'_>>, cache: &mut NameCache) -> Vec<usize> {
        let mut hits = vec![0u8; self.globs_used.len()];
        let mut hit = |rules: &[usize]| rules.iter().for_each(|&rule| hits[rule] += 1);
        hit(&path.objects);
        let mut candidates = Vec::new();
        if let Some(object) = object {
            if let Some(soname) = object.soname {
                hit(&self.sonames.matching(soname));
            }
            if let Some(interpreter) = object.interpreter {
                hit(self.interpreters.remembered(interpreter, &mut cache.interpreters));
            }
            let mut needed: Vec<usize> = Vec::new();
            for name in &object.needed {
                needed.extend_from_slice(self.needed.remembered(name, &mut cache.needed));
            }
            needed.sort_unstable();
            needed.dedup();
            hit(&needed);
            candidates.clone_from(&self.by_imports);
        }
        let complete = hits.iter().zip(&self.globs_used).enumerate();
        candidates.extend(complete.filter(|(_, (hits, used))| **used > 0 && hits == used).map(|(rule, _)| rule));
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

    fn remembered<'c>(&self, name: &[u8], cache: &'c mut HashMap<Vec<u8>, Vec<usize>>) -> &'c [usize] {
        if !cache.contains_key(name) {
            cache.insert(name.to_vec(), self.matching(name));
        }
        &cache[name]
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
