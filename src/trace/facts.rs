//! What the rules ask of the root and its objects, answered from what has been read already.

use super::Input;
use crate::path::RootPath;
use crate::recipe::System;
use crate::resolve::store::Store;
use crate::root::FileKind;
use crate::rules::{Bindings, Facts, ObjectFacts, RuleSet, StringPattern, SymbolPattern};

/// The rules' symbol patterns in the order of their numbers: bit *n* of [`crate::objects::elf::Dynamic::imports`].
pub(super) fn symbol_patterns(rules: &RuleSet) -> impl Iterator<Item = &str> {
    rules.symbol_patterns().iter().map(SymbolPattern::text)
}

/// The view of the rule engine on a running trace.
pub(super) struct Known<'t> {
    pub input: Input<'t>,
    pub store: &'t Store<'t>,
    pub arch: &'t str,
}

impl Facts for Known<'_> {
    fn object(&self, path: &RootPath) -> Option<ObjectFacts<'_>> {
        let elf = self.store.object(self.store.known(path)?).elf()?;
        Some(ObjectFacts {
            soname: elf.soname(),
            needed: elf.needed().iter().map(|name| &name[..]).collect(),
            interpreter: elf.interpreter.as_deref(),
        })
    }

    fn imports(&self, path: &RootPath, pattern: &SymbolPattern) -> bool {
        let object = self.store.known(path).map(|id| self.store.object(id));
        let dynamic = object.and_then(|object| object.elf()?.dynamic.as_ref());
        dynamic.is_some_and(|dynamic| dynamic.imports >> pattern.index & 1 == 1)
    }

    fn strings(&self, path: &RootPath, pattern: &StringPattern) -> Vec<Bindings> {
        self.read(path).map_or_else(Vec::new, |bytes| pattern.matches(&bytes))
    }

    fn read(&self, path: &RootPath) -> Option<Vec<u8>> {
        let found = self.input.root.lookup(path).ok().filter(|found| found.info.kind == FileKind::File)?;
        self.input.root.read(&found).ok()
    }

    fn exists(&self, path: &RootPath) -> bool {
        self.input.root.lookup(path).is_ok()
    }

    fn glob(&self, pattern: &str) -> Vec<RootPath> {
        self.input.root.glob(pattern)
    }

    fn hardware(&self) -> &[String] {
        &self.input.recipe.trace.hardware
    }

    fn system(&self) -> System {
        self.input.recipe.system.unwrap_or_default()
    }

    fn arch(&self) -> &str {
        self.arch
    }
}
