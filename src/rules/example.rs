//! An `[[example]]` run through the engine: a small image in memory, traced to the end, and what the rules added.

use super::apply::RuleState;
use super::facts::{Facts, ObjectFacts};
use super::firing::{Effect, Firing, Need, first_existing};
use super::pattern::{Bindings, StringPattern, SymbolPattern, as_path, path_glob};
use super::problem::instead_of;
use super::{Example, RuleSet};
use crate::objects::script::Script;
use crate::path::RootPath;
use crate::recipe::System;
use std::collections::BTreeSet;

const OBJECT_KEYS: &[&str] = &["soname", "needed", "interpreter", "imports", "strings"];

/// A file of an example's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// `elf`, then `key=value` or `key=value,value` for what the object says about itself.
    Object(GivenObject),
    /// Anything else is the file's text.
    Text(Vec<u8>),
}

/// What an object of an example says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenObject {
    soname: Option<String>,
    needed: Vec<String>,
    interpreter: Option<String>,
    imports: Vec<String>,
    strings: Vec<String>,
}

impl Given {
    /// Reads the description of a file; an error is a message and a hint.
    pub(super) fn parse(text: &str) -> Result<Given, (String, Option<String>)> {
        let mut words = text.split_ascii_whitespace();
        if !(text == "elf" || text.starts_with("elf ")) {
            return Ok(Given::Text(text.into()));
        }
        words.next();
        let mut object = GivenObject::default();
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let values = || value.split(',').map(str::to_owned);
            match key {
                "soname" => object.soname = Some(value.to_owned()),
                "interpreter" => object.interpreter = Some(value.to_owned()),
                "needed" => object.needed.extend(values()),
                "imports" => object.imports.extend(values()),
                "strings" => object.strings.extend(values()),
                _ => return Err((format!("unknown key `{key}`"), Some(instead_of(key, OBJECT_KEYS)))),
            }
        }
        Ok(Given::Object(object))
    }

    /// What a reader of the file's bytes would see.
    fn content(&self) -> Vec<u8> {
        match self {
            Given::Object(object) => object.strings.join("\0").into_bytes(),
            Given::Text(text) => text.clone(),
        }
    }
}

/// Fires the rules until nothing new appears, and gives what they added in the words of `adds`.
pub(super) fn run(set: &RuleSet, example: &Example, system: System, state: &mut RuleState) -> BTreeSet<String> {
    let facts = ExampleFacts { example, system };
    let mut outcome = Outcome { facts: &facts, added: BTreeSet::new(), new: Vec::new() };
    let mut new: Vec<RootPath> = example.given.keys().cloned().collect();
    while !new.is_empty() {
        for firing in set.fire(&new, state, &facts) {
            outcome.add(&firing);
        }
        new = std::mem::take(&mut outcome.new);
    }
    outcome.added
}

struct Outcome<'a> {
    facts: &'a ExampleFacts<'a>,
    added: BTreeSet<String>,
    /// Added paths that the rules have not seen.
    new: Vec<RootPath>,
}

impl Outcome<'_> {
    fn add(&mut self, firing: &Firing) {
        match &firing.effect {
            Effect::Need(need) => self.need(need, firing.optional),
            Effect::FirstOf { alternatives } | Effect::AnyOf { alternatives } => {
                let chosen = first_existing(alternatives, self.facts);
                let chosen = chosen.or(alternatives.first().map(Vec::as_slice)).unwrap_or_default();
                chosen.iter().for_each(|need| self.need(need, firing.optional));
            }
            Effect::Library { soname, .. } => {
                if !firing.optional || self.facts.paths().any(|path| path.file_name() == soname) {
                    self.name("library", &String::from_utf8_lossy(soname));
                }
            }
            Effect::Make { path, made } => {
                self.name(made.word(), &path.to_string());
                self.new.push(path.clone());
            }
            Effect::Module { name } => self.name("module", name),
            Effect::Generate { name } => self.name("generate", name),
            Effect::Never { glob, .. } => self.name("never", glob),
            Effect::Unresolved { name } => {
                if !firing.optional {
                    self.name("unresolved", name);
                }
            }
        }
    }

    fn need(&mut self, need: &Need, optional: bool) {
        let absent = optional && !self.facts.exists(&need.path);
        let text = if need.below { format!("{}/**", need.path) } else { need.path.to_string() };
        if !absent && !self.facts.example.given.contains_key(&need.path) && self.added.insert(text) {
            self.new.push(need.path.clone());
        }
    }

    fn name(&mut self, word: &str, name: &str) {
        self.added.insert(format!("{word} {name}"));
    }
}

/// The example as a source root.
pub(super) struct ExampleFacts<'a> {
    pub example: &'a Example,
    pub system: System,
}

impl ExampleFacts<'_> {
    fn paths(&self) -> impl Iterator<Item = &RootPath> {
        self.example.given.keys().chain(&self.example.exists)
    }

    fn given_object(&self, path: &RootPath) -> Option<&GivenObject> {
        match self.example.given.get(path) {
            Some(Given::Object(object)) => Some(object),
            _ => None,
        }
    }
}

impl Facts for ExampleFacts<'_> {
    fn object(&self, path: &RootPath) -> Option<ObjectFacts<'_>> {
        let object = match self.example.given.get(path)? {
            Given::Object(object) => object,
            Given::Text(text) => {
                let script = text.starts_with(b"#!").then(|| Script::parse(text).ok())??;
                return Some(ObjectFacts { interpreter: Some(script.interpreter), ..ObjectFacts::default() });
            }
        };
        Some(ObjectFacts {
            soname: object.soname.as_deref().map(str::as_bytes),
            needed: object.needed.iter().map(|name| name.as_bytes()).collect(),
            interpreter: object.interpreter.as_deref().map(str::as_bytes),
        })
    }

    fn imports(&self, path: &RootPath, pattern: &SymbolPattern) -> bool {
        self.given_object(path).is_some_and(|object| object.imports.iter().any(|name| pattern.matches(name.as_bytes())))
    }

    fn strings(&self, path: &RootPath, patterns: &[&StringPattern]) -> Vec<Vec<Bindings>> {
        let content = self.read(path).unwrap_or_default();
        patterns.iter().map(|pattern| pattern.matches(&content)).collect()
    }

    fn read(&self, path: &RootPath) -> Option<Vec<u8>> {
        self.example.given.get(path).map(Given::content)
    }

    fn exists(&self, path: &RootPath) -> bool {
        self.paths().any(|known| known.starts_with(path))
    }

    fn glob(&self, pattern: &str) -> Vec<RootPath> {
        let Ok(glob) = path_glob(pattern) else { return Vec::new() };
        let matcher = glob.compile_matcher();
        let above = |path: &RootPath| std::iter::successors(Some(path.clone()), RootPath::parent);
        let all: BTreeSet<RootPath> = self.paths().flat_map(above).collect();
        all.into_iter().filter(|path| matcher.is_match(as_path(path.as_bytes()))).collect()
    }

    fn hardware(&self) -> &[String] {
        &self.example.hardware
    }

    fn system(&self) -> System {
        self.system
    }

    fn arch(&self) -> &str {
        &self.example.arch
    }

    fn environment(&self) -> &[u8] {
        &self.example.environment
    }
}
