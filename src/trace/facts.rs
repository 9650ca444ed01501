//! What the rules ask of the root and its objects, answered from what has been read already.

use super::{Input, Item};
use crate::objects::Ranges;
use crate::objects::elf::Elf;
use crate::objects::script::Script;
use crate::path::RootPath;
use crate::recipe::System;
use crate::resolve::krtld;
use crate::resolve::store::{FileRanges, Object, Store};
use crate::root::{FileKind, LookupError};
use crate::rules::{Bindings, Facts, ObjectFacts, RuleSet, StringPattern, SymbolPattern};
use foldhash::HashMap;
use std::collections::BTreeSet;
use std::io;
use std::ops::Range;

/// The rules' symbol patterns in the order of their numbers: bit *n* of [`crate::objects::elf::Dynamic::imports`].
pub(super) fn symbol_patterns(rules: &RuleSet) -> impl Iterator<Item = &str> {
    rules.symbol_patterns().iter().map(SymbolPattern::text)
}

/// How much of a file is searched for strings at a time. A library of 50 MB in one piece would cost more in fresh
/// memory than the search itself.
const PIECE: usize = 64 << 10;

/// [`StringPattern::matches`] over a stretch of a file for each of the patterns, in pieces as long as the buffer; pieces
/// end where a string does. Of a string longer than a piece, the parts count as strings.
fn matches_in_pieces(
    file: &dyn Ranges,
    stretch: Range<u64>,
    buffer: &mut [u8],
    patterns: &[&StringPattern],
    found: &mut [BTreeSet<Bindings>],
) -> io::Result<()> {
    let (mut at, mut held) = (stretch.start, 0_usize);
    while at < stretch.end {
        let left = usize::try_from(stretch.end - at).unwrap_or(usize::MAX);
        let room = buffer.len().min(held.saturating_add(left));
        let length = match file.read_at(at, &mut buffer[held..room]) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        at += length as u64;
        held += length;
        let is_at_end = length == 0 || at == stretch.end;
        if held < room && !is_at_end {
            continue;
        }
        let whole = match memchr::memrchr(0, &buffer[..held]) {
            Some(nul) if !is_at_end => nul + 1,
            _ => held,
        };
        for (pattern, found) in patterns.iter().zip(found.iter_mut()) {
            found.extend(pattern.matches(&buffer[..whole]));
        }
        if is_at_end {
            break;
        }
        buffer.copy_within(whole..held, 0);
        held -= whole;
    }
    Ok(())
}

fn of_script(script: Script<'_>) -> ObjectFacts<'_> {
    ObjectFacts { interpreter: Some(script.interpreter), ..ObjectFacts::default() }
}

/// The view of the rule engine on a running trace.
pub(super) struct Known<'t> {
    pub input: Input<'t>,
    pub store: &'t Store<'t>,
    /// Files that the image has instead of those of the root.
    pub items: &'t HashMap<RootPath, Item>,
    pub arch: &'t str,
    pub system: System,
    /// As [`Facts::environment`] has it.
    pub environment: &'t [u8],
}

impl Known<'_> {
    /// What each of the patterns finds among the strings of a file; `None` when it cannot be read.
    fn search(&self, path: &RootPath, patterns: &[&StringPattern]) -> Option<Vec<BTreeSet<Bindings>>> {
        let file = FileRanges::open(self.input.root, path)?;
        let object = self.store.known(path).map(|id| self.store.object(id));
        let stretches = match object.and_then(Object::elf) {
            Some(_) => Elf::strings(&file).ok()?,
            None => std::iter::once(0..file.size()).collect(),
        };
        let mut found = vec![BTreeSet::new(); patterns.len()];
        let longest = stretches.iter().map(|stretch| stretch.end - stretch.start).max().unwrap_or_default();
        let mut buffer = vec![0; usize::try_from(longest).map_or(PIECE, |longest| longest.min(PIECE))];
        for stretch in stretches {
            matches_in_pieces(&file, stretch, &mut buffer, patterns, &mut found).ok()?;
        }
        Some(found)
    }
}

impl Facts for Known<'_> {
    fn object(&self, path: &RootPath) -> Option<ObjectFacts<'_>> {
        if let Some(Item::Generated(file)) = self.items.get(path) {
            return Some(of_script(file.script()?));
        }
        let object = self.store.object(self.store.known(path)?);
        let Some(elf) = object.elf() else { return Some(of_script(object.script()?)) };
        Some(ObjectFacts {
            soname: elf.soname(),
            needed: krtld::needed(elf).collect(),
            interpreter: elf.interpreter.as_deref(),
        })
    }

    fn imports(&self, path: &RootPath, pattern: &SymbolPattern) -> bool {
        let object = self.store.known(path).map(|id| self.store.object(id));
        let dynamic = object.and_then(|object| object.elf()?.dynamic.as_ref());
        dynamic.is_some_and(|dynamic| dynamic.imports >> pattern.index & 1 == 1)
    }

    fn strings(&self, path: &RootPath, patterns: &[&StringPattern]) -> Vec<Vec<Bindings>> {
        let found = self.search(path, patterns).unwrap_or_else(|| vec![BTreeSet::new(); patterns.len()]);
        found.into_iter().map(|found| found.into_iter().collect()).collect()
    }

    fn read(&self, path: &RootPath) -> Option<Vec<u8>> {
        if let Some(Item::Generated(file)) = self.items.get(path) {
            return Some(file.bytes.clone());
        }
        let found = self.input.root.lookup(path).ok().filter(|found| found.info.kind == FileKind::File)?;
        self.input.root.read(&found).ok()
    }

    fn exists(&self, path: &RootPath) -> bool {
        matches!(self.items.get(path), Some(Item::Generated(_))) || self.input.root.lookup(path).is_ok()
    }

    fn leads_to(&self, path: &RootPath) -> Option<RootPath> {
        if let Some(Item::Generated(_)) = self.items.get(path) {
            return Some(path.clone());
        }
        match self.input.root.lookup(path) {
            Ok(found) => Some(found.path),
            Err(LookupError::Dangling { target, .. }) => RootPath::new(target).ok(),
            Err(_) => None,
        }
    }

    fn glob(&self, pattern: &str) -> Vec<RootPath> {
        self.input.root.glob(pattern)
    }

    fn hardware(&self) -> &[String] {
        &self.input.recipe.trace.hardware
    }

    fn system(&self) -> System {
        self.system
    }

    fn arch(&self) -> &str {
        self.arch
    }

    fn environment(&self) -> &[u8] {
        self.environment
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RuleSet;

    #[test]
    fn strings_are_found_whatever_the_pieces() {
        let rules = RuleSet::load(&[]).unwrap();
        let rule = rules.find("linux/node-builtins").unwrap().rules.iter();
        let pattern = rule.filter_map(|rule| rule.when.strings.as_ref()).next().expect("it has one");
        let content = b"x\0modprobe\0/usr/share/nodejs/a/b.js\0junk\0/usr/share/nodejs/c.js\0tail";
        let whole = pattern.matches(content);
        assert!(!whole.is_empty());
        for piece in 32..content.len() + 2 {
            let mut found = [BTreeSet::new()];
            let (whole_file, mut buffer) = (0..content.len() as u64, vec![0; piece]);
            matches_in_pieces(&&content[..], whole_file, &mut buffer, &[pattern], &mut found).unwrap();
            let [found] = found;
            assert_eq!(found.into_iter().collect::<Vec<_>>(), whole, "{piece}");
        }
    }
}
