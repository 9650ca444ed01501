//! The bytes of a file: an object, a module, a text that a reader of the project knows, or a word about what it is.

use super::databases::Databases;
use super::elf::{Module, Object};
use super::error::ModelError;
use super::modules::{KernelObject, Modules};
use super::objects::Objects;
use super::tables::{Action, Tables, Verb, Year};
use super::tree::{ContentKind, Kind};
use super::{boot, configuration, services};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex};

/// Everything the bytes of files depend on.
pub struct Source<'t> {
    year: Year,
    objects: Objects,
    modules: Modules<'t>,
    databases: Databases,
    delivered: BTreeSet<&'t str>,
    built_objects: Cache<Object>,
    built_modules: Cache<Module>,
}

impl<'t> Source<'t> {
    /// Prepares for the chosen actions, by path.
    pub fn new(tables: &'t Tables, actions: &BTreeMap<&'t str, Vec<&'t Action>>) -> Source<'t> {
        let files = actions.iter().filter(|(_, actions)| matches!(actions[0].verb, Verb::File | Verb::HardLink));
        let delivered: BTreeSet<&str> = files.map(|(path, _)| *path).collect();
        Source {
            year: tables.year,
            objects: Objects::new(tables),
            modules: Modules::new(tables),
            databases: Databases::new(tables, &delivered),
            delivered,
            built_objects: Cache::default(),
            built_modules: Cache::default(),
        }
    }

    /// Whether a chosen package delivers a file at the path.
    pub fn delivers(&self, path: &str) -> bool {
        self.delivered.contains(path)
    }

    /// The file of an action.
    ///
    /// # Errors
    /// [`ModelError::Object`].
    pub fn file(&self, action: &Action) -> Result<Kind, ModelError> {
        let path = action.path.as_str();
        match self.modules.of(path, action.mode, &action.package) {
            Some(KernelObject::Module(module)) => {
                let bytes = self.built_modules.get(&module, path, Module::bytes)?;
                return Ok(Kind::File { bytes, content: ContentKind::Module });
            }
            Some(KernelObject::Kernel(object)) => {
                let bytes = self.built_objects.get(&object, path, Object::bytes)?;
                return Ok(Kind::File { bytes, content: ContentKind::Module });
            }
            None => {}
        }
        // First: some methods of services are programs.
        if self.objects.describes(path) {
            return self.program(path);
        }
        if let Some(text) = self.text(path) {
            return Ok(Kind::File { bytes: text.into(), content: ContentKind::Other });
        }
        if action.mode & 0o111 != 0 {
            return self.program(path);
        }
        let bytes = format!("model of /{path} of {}\n", action.package).into_bytes().into();
        Ok(Kind::File { bytes, content: ContentKind::Other })
    }

    /// What a hard link leads to whose file no chosen package delivers.
    ///
    /// # Errors
    /// [`ModelError::Object`].
    pub fn file_of_other_package(&self, to: &str, link: &Action) -> Result<Kind, ModelError> {
        match self.modules.of(to, 0o755, &link.package) {
            Some(_) => self.file(&Action { path: to.to_owned(), mode: 0o755, ..link.clone() }),
            None => self.program(to),
        }
    }

    fn program(&self, path: &str) -> Result<Kind, ModelError> {
        match self.objects.of(path) {
            Some(object) => {
                let bytes = self.built_objects.get(&object, path, Object::bytes)?;
                Ok(Kind::File { bytes, content: ContentKind::Object })
            }
            None => {
                let bytes = format!("#!/sbin/sh\n# model of /{path}\nexit 0\n").into_bytes().into();
                Ok(Kind::File { bytes, content: ContentKind::Other })
            }
        }
    }

    fn text(&self, path: &str) -> Option<Vec<u8>> {
        let text = self.databases.text(path).map(str::to_owned);
        let text = text.or_else(|| self.databases.driver_configuration(path));
        let text = text.or_else(|| configuration::text(path));
        let text = text.or_else(|| services::text(path, |path| self.delivers(path)));
        text.map(String::into_bytes).or_else(|| boot::bytes(path, self.year))
    }
}

/// Objects that are built already: many files are equal.
struct Cache<K>(Mutex<HashMap<K, Arc<[u8]>>>);

impl<K> Default for Cache<K> {
    fn default() -> Self {
        Cache(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash> Cache<K> {
    fn get(
        &self,
        key: &K,
        path: &str,
        build: impl Fn(&K) -> object::build::Result<Vec<u8>>,
    ) -> Result<Arc<[u8]>, ModelError> {
        let lock = || self.0.lock().expect("no thread panics while it holds the lock");
        if let Some(bytes) = lock().get(key) {
            return Ok(bytes.clone());
        }
        let bytes = build(key).map_err(|source| ModelError::Object { path: path.to_owned(), source })?;
        let bytes: Arc<[u8]> = bytes.into();
        lock().insert(key.clone(), bytes.clone());
        Ok(bytes)
    }
}
