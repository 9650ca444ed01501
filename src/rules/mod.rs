//! Hand-written rules, data in `rules/`, to the files that no loader names: name-service backends, built-in scripts,
//! module indexes.
//!
//! [`RuleSet::load`] reads them, [`RuleSet::fire`] says what follows from the paths that joined the image, and is
//! called until nothing new appears; [`RuleSet::check`] judges the set as a whole. The surprise: the order in which
//! paths arrive never changes the outcome, because every condition is either a fact of the source root, which stands
//! still, or "something is in the image" (`included`), which once true stays true.
//!
//! `rules/README.md` is the walk-through for authors.

mod apply;
mod builtin;
mod check;
mod claims;
mod evaluate;
mod example;
mod facts;
mod firing;
mod globs;
mod index;
mod load;
mod nearest;
mod pattern;
mod problem;
#[doc(hidden)]
pub mod readers;
mod readings;
mod table;
mod words;

#[doc(hidden)]
pub use apply::RuleState;
#[doc(hidden)]
pub use example::{Given, GivenObject};
#[doc(hidden)]
pub use facts::{Facts, ObjectFacts};
#[doc(hidden)]
pub use firing::{Effect, Firing, Made, Need, first_existing};
#[doc(hidden)]
pub use nearest::nearest_existing;
#[doc(hidden)]
pub use pattern::{Bindings, StringPattern, SymbolPattern, Template, path_glob};
pub use problem::{Problem, RulesError};

use crate::path::RootPath;
use crate::reason::{Consequence, Priority, RuleId};
use crate::recipe::System;
use index::Index;
use readers::Reader;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// All rules in force, ready to fire.
#[derive(Debug)]
pub struct RuleSet {
    /// Sorted by id.
    files: Vec<RuleFile>,
    /// Every `[[rule]]` as (file, rule in the file); its position is the number the engine works with.
    numbers: Vec<(usize, usize)>,
    symbols: Vec<SymbolPattern>,
    index: Index,
}

/// One file of `rules/`: one mechanism, explained, with examples.
#[derive(Debug, Clone)]
pub struct RuleFile {
    /// Its path below `rules/` without the suffix.
    pub id: RuleId,
    /// The file's name for messages.
    pub file: String,
    /// The whole text, as `rules show` prints it.
    pub text: String,
    /// Compiled into the binary, as opposed to read from a directory of the user's.
    pub built_in: bool,
    /// The line that explanations print.
    pub summary: String,
    /// How the dependency comes about; `None` when the file does not say.
    pub mechanism: Option<Mechanism>,
    /// The systems it is for; on others it does not fire.
    pub systems: Vec<System>,
    /// How the dependency stays hidden from the object file.
    pub why: String,
    /// Source files, manual pages and recorded traces that another person can check.
    pub evidence: Vec<String>,
    /// In the order of the file.
    pub rules: Vec<Rule>,
}

/// How the dependency that a rule stands for comes about at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// A library loaded by name.
    Dlopen,
    /// A program started by name.
    Exec,
    /// A file opened by name.
    Open,
    /// A configuration file names it.
    Config,
    /// A service needs it.
    Service,
    /// The kernel or a driver needs it.
    Driver,
}

/// One `[[rule]]`: when all conditions hold, all effects follow.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Line of its `[[rule]]` header, from 1.
    pub line: usize,
    /// What has to hold.
    pub when: Condition,
    /// What follows.
    pub effects: Effects,
    /// Given as such, or as the severity of the consequence has it.
    pub priority: Priority,
    /// What happens when what the rule needs is missing.
    pub consequence: Option<Consequence>,
    /// What the rule names may be absent from the root without a word.
    pub optional: bool,
}

/// `when = {…}`; an absent condition always holds. Of paths and names of objects these are globs as [`path_glob`] reads
/// them.
#[derive(Debug, Clone, Default)]
pub struct Condition {
    /// A path of the image.
    pub object: Option<String>,
    /// The object's `DT_SONAME`.
    pub soname: Option<String>,
    /// One of the object's `DT_NEEDED` entries.
    pub needed: Option<String>,
    /// The object's `PT_INTERP`, or the interpreter of a script's `#!` line.
    pub interpreter: Option<String>,
    /// One of the object's undefined dynamic symbols: a regular expression over whole names.
    pub imports: Option<String>,
    /// A string in the object's bytes, of an ELF object in what is mapped of it but the instructions; every match fires
    /// with its bindings.
    pub strings: Option<StringPattern>,
    /// A configuration file; everything the reader finds in it fires with its bindings.
    pub reading: Option<Reading>,
    /// A path or glob of the source root.
    pub exists: Option<String>,
    /// A path of the image other than the object; it may join later than the object.
    pub included: Option<String>,
    /// The architecture that the image is for, in the kernel's word.
    pub arch: Option<String>,
    /// The name of a hardware profile the image is for.
    pub hardware: Option<String>,
    /// A variable that the commands of the image are started with, as `NAME=value`; every match fires with its bindings.
    pub environment: Option<StringPattern>,
}

/// `file`, `reader` and the filters on what the reader finds.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The file in the source root; the object itself when absent.
    pub file: Option<RootPath>,
    /// What understands the format of the file.
    pub reader: &'static Reader,
    /// Bindings that must have exactly this value, such as `database` = `hosts`.
    pub filter: BTreeMap<String, String>,
}

/// What follows when a rule fires.
#[derive(Debug, Clone, Default)]
pub struct Effects {
    /// Paths and globs; with `/**` at the end a directory and everything below it.
    pub needs: Vec<Template>,
    /// Programs, by path or by a name that is looked for as init and the methods of services do.
    pub programs: Vec<Template>,
    /// Sonames, found as `dlopen` called by the object would find them.
    pub libraries: Vec<Template>,
    /// Kernel modules by name.
    pub modules: Vec<Template>,
    /// Files that minroot makes itself, by the generator's name.
    pub generate: Vec<Template>,
    /// Lists of needs, of which the first that exists is the one that is used.
    pub first_of: Vec<Vec<Template>>,
    /// Lists of needs, any one of which is as good as another.
    pub any_of: Vec<Vec<Template>>,
    /// Directories that the image must have; made empty where the root has none.
    pub directories: Vec<Template>,
    /// Files that the image must have; made empty where the root has none.
    pub files: Vec<Template>,
    /// Symlinks that the image must have, and their targets; made where the root has nothing of the name. A target need
    /// not lead to anything.
    pub links: Vec<(Template, Template)>,
    /// Globs of paths that must stay out.
    pub never: Vec<Template>,
    /// Why `never`; given exactly when there is one.
    pub reason: String,
}

/// One `[[example]]`: a small image, and what the file's rules must add to it.
#[derive(Debug, Clone)]
pub struct Example {
    /// Line of its `[[example]]` header, from 1.
    pub line: usize,
    /// What is in the image, and with it in the root.
    pub given: BTreeMap<RootPath, Given>,
    /// What is in the root only.
    pub exists: BTreeSet<RootPath>,
    /// The architecture of the image that is given, in the kernel's word.
    pub arch: String,
    /// The hardware profiles that it is for.
    pub hardware: Vec<String>,
    /// `NAME=value` of each variable, with a NUL behind it.
    pub environment: Vec<u8>,
    /// `/path`, `library SONAME`, `module NAME`, `generate NAME`, `never GLOB`, `directory PATH`, `file PATH`,
    /// `link PATH`, `unresolved NAME`.
    pub adds: BTreeSet<String>,
}

/// No rule has the id that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no rule `{id}`")]
pub struct UnknownRule {
    /// As it was asked for.
    pub id: String,
    /// What to type instead.
    pub hint: String,
}

impl RuleSet {
    /// The rules compiled into the binary, and those of the directories given with `--rules`.
    ///
    /// # Errors
    /// [`RulesError`]: a directory that cannot be read, or everything that is wrong in the files.
    pub fn load(directories: &[PathBuf]) -> Result<RuleSet, RulesError> {
        RuleSet::load_for(None, directories)
    }

    /// [`RuleSet::load`] without the built-in rules that are for other systems than this one: reading what could never
    /// fire takes longer than many a trace.
    ///
    /// # Errors
    /// As [`RuleSet::load`].
    pub fn load_for(system: Option<System>, directories: &[PathBuf]) -> Result<RuleSet, RulesError> {
        let mut files = builtin::files(system)?;
        files.extend(read_directories(directories)?);
        RuleSet::new(files)
    }

    /// The rules of these directories alone.
    ///
    /// # Errors
    /// As [`RuleSet::load`].
    pub fn from_directories(directories: &[PathBuf]) -> Result<RuleSet, RulesError> {
        RuleSet::new(read_directories(directories)?)
    }

    /// Puts rule files together.
    ///
    /// # Errors
    /// Ids that occur twice.
    pub(crate) fn new(mut files: Vec<RuleFile>) -> Result<RuleSet, RulesError> {
        files.sort_by(|a, b| a.id.cmp(&b.id));
        let twice = files.windows(2).filter(|pair| pair[0].id == pair[1].id);
        let twice: Vec<Problem> = twice
            .map(|pair| {
                let message = format!("the rule id `{}` is taken by {}", pair[1].id, pair[0].file);
                let hint = Some("give the file another name".to_owned());
                Problem { file: pair[1].file.clone(), line: 1, column: 1, message, hint }
            })
            .collect();
        if !twice.is_empty() {
            return Err(RulesError::Wrong(twice));
        }
        let numbers: Vec<(usize, usize)> =
            files.iter().enumerate().flat_map(|(file, f)| (0..f.rules.len()).map(move |rule| (file, rule))).collect();
        let rules: Vec<&Rule> = numbers.iter().map(|&(file, rule)| &files[file].rules[rule]).collect();
        let texts: BTreeSet<&str> = rules.iter().filter_map(|rule| rule.when.imports.as_deref()).collect();
        let texts: Vec<&str> = texts.into_iter().collect();
        let symbols = texts.iter().enumerate().map(|(index, text)| SymbolPattern::new(index, text)).collect();
        let index = Index::new(&rules, &texts);
        Ok(RuleSet { files, numbers, symbols, index })
    }

    /// The rules of one file for Linux, whose id is `t`, and no others.
    #[cfg(test)]
    pub(crate) fn of_text(rules: &str) -> RuleSet {
        let text = format!("summary='s'\nsystems=['linux']\n{rules}");
        let file = load::file("t", "t.toml", &text).unwrap_or_else(|problems| panic!("{problems:?}"));
        RuleSet::new(vec![file]).unwrap()
    }

    /// Every rule file, sorted by id: what `rules list` prints.
    pub fn files(&self) -> &[RuleFile] {
        &self.files
    }

    /// The rule file with this id: what `rules show` prints.
    ///
    /// # Errors
    /// [`UnknownRule`], with the nearest id.
    pub fn find(&self, id: &str) -> Result<&RuleFile, UnknownRule> {
        let known = || self.files.iter().map(|file| &file.id.0[..]);
        self.files.iter().find(|file| file.id.0 == id).ok_or_else(|| UnknownRule {
            id: id.to_owned(),
            hint: match problem::nearest(id, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`minroot rules list` names them all".to_owned(),
            },
        })
    }

    /// SHA-256 over all ids and texts, which tells one set of rules from another in a manifest.
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for file in &self.files {
            for text in [&file.id.0, &file.text] {
                // The length keeps the end of one text apart from the start of the next.
                digest.update((text.len() as u64).to_le_bytes());
                digest.update(text);
            }
        }
        digest.finalize().into()
    }

    /// Every symbol pattern of the set, by index, so that a caller can match them all in one pass over an object.
    pub fn symbol_patterns(&self) -> &[SymbolPattern] {
        &self.symbols
    }

    fn rule(&self, number: usize) -> (&RuleFile, &Rule) {
        let (file, rule) = self.numbers[number];
        (&self.files[file], &self.files[file].rules[rule])
    }
}

impl Mechanism {
    pub(crate) const WORDS: &[(&str, Mechanism)] = &[
        ("dlopen", Mechanism::Dlopen),
        ("exec", Mechanism::Exec),
        ("open", Mechanism::Open),
        ("config", Mechanism::Config),
        ("service", Mechanism::Service),
        ("driver", Mechanism::Driver),
    ];

    /// Whether what a rule of it needs may be started, as opposed to read or mapped.
    fn starts(self) -> bool {
        matches!(self, Mechanism::Exec | Mechanism::Service)
    }

    /// The word in rule files.
    pub fn word(self) -> &'static str {
        Mechanism::WORDS.iter().find(|(_, mechanism)| *mechanism == self).map_or("", |(word, _)| word)
    }
}

impl Effects {
    /// Every template.
    fn templates(&self) -> impl Iterator<Item = &Template> {
        let words = [
            &self.programs,
            &self.libraries,
            &self.modules,
            &self.generate,
            &self.never,
            &self.directories,
            &self.files,
        ];
        let links = self.links.iter().flat_map(|(link, target)| [link, target]);
        self.paths().chain(words.into_iter().flatten()).chain(links)
    }

    /// The templates that name paths to be kept.
    fn paths(&self) -> impl Iterator<Item = &Template> {
        self.needs.iter().chain(self.first_of.iter().chain(&self.any_of).flatten())
    }
}

fn read_directories(directories: &[PathBuf]) -> Result<Vec<RuleFile>, RulesError> {
    let files: Vec<Vec<RuleFile>> = directories.iter().map(|top| load::directory(top)).collect::<Result<_, _>>()?;
    Ok(files.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory as given with `--rules`, with one rule in each file.
    fn directory(names: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "summary='s'\nsystems=['linux']\n[[rule]]\nneeds=['/a']\n").unwrap();
        }
        directory
    }

    #[test]
    fn a_directory_of_the_user_adds_rules_in_the_order_of_their_ids() {
        let more = directory(&["z.toml", "local/a.toml", "notes.txt", "recipes/x.toml"]);
        let set = RuleSet::load(&[more.path().to_owned()]).unwrap();
        let ids: Vec<&str> = set.files().iter().map(|file| &file.id.0[..]).collect();
        assert!(ids.is_sorted(), "{ids:?}");
        let own: Vec<&str> = set.files().iter().filter(|file| !file.built_in).map(|file| &file.id.0[..]).collect();
        assert_eq!(own, ["local/a", "z"]);
    }

    #[test]
    fn an_id_that_is_taken_names_both_files() {
        let more = directory(&["linux/nsswitch.toml"]);
        let message = RuleSet::load(&[more.path().to_owned()]).unwrap_err().to_string();
        let taken = "nsswitch.toml:1:1: the rule id `linux/nsswitch` is taken by rules/linux/nsswitch.toml";
        assert!(message.contains(taken), "{message}");
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error_with_its_path() {
        let error = RuleSet::load(&[PathBuf::from("/no/such/rules")]).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the rules in `/no/such/rules`");
    }

    #[test]
    fn the_digest_tells_sets_apart_and_not_the_order_of_directories() {
        let (one, other) = (directory(&["x.toml"]), directory(&["y.toml"]));
        let digest = |directories: &[&tempfile::TempDir]| {
            let paths: Vec<PathBuf> = directories.iter().map(|directory| directory.path().to_owned()).collect();
            RuleSet::load(&paths).unwrap().digest()
        };
        assert_eq!(digest(&[&one, &other]), digest(&[&other, &one]));
        assert_ne!(digest(&[&one]), digest(&[&other]));
    }

    #[test]
    fn an_unknown_id_has_a_hint() {
        let set = RuleSet::load(&[]).unwrap();
        assert_eq!(set.find("linux/nsswitch").unwrap().id.0, "linux/nsswitch");
        assert_eq!(set.find("linux/nswitch").unwrap_err().hint, "did you mean `linux/nsswitch`?");
    }
}
