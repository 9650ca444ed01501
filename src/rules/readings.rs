//! What readers find in files, for the rules that ask the same: a dozen of them read `/etc/nsswitch.conf` for every
//! program, and several the imports of one script. Each file is read and taken apart once for all of them.

use super::facts::Facts;
use super::pattern::Bindings;
use super::readers::Reader;
use crate::path::RootPath;
use foldhash::HashMap;
use std::rc::Rc;

type Key = (RootPath, &'static str);

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Readings {
    /// In the files that rules name, which are few.
    files: HashMap<Key, Rc<[Bindings]>>,
    /// In the object of the last question: all rules are asked about one before the next.
    object: Option<(Key, Rc<[Bindings]>)>,
}

impl Readings {
    /// What is in a file that the rule names; nothing where it cannot be read.
    pub fn of_file(&mut self, file: &RootPath, reader: &'static Reader, facts: &dyn Facts) -> Rc<[Bindings]> {
        let key = (file.clone(), reader.name);
        self.files.entry(key).or_insert_with(|| read(file, reader, facts)).clone()
    }

    /// What is in an object of the image.
    pub fn of_object(&mut self, object: &RootPath, reader: &'static Reader, facts: &dyn Facts) -> Rc<[Bindings]> {
        if let Some(((path, name), known)) = &self.object
            && path == object
            && *name == reader.name
        {
            return known.clone();
        }
        let found = read(object, reader, facts);
        self.object = Some(((object.clone(), reader.name), found.clone()));
        found
    }
}

fn read(path: &RootPath, reader: &Reader, facts: &dyn Facts) -> Rc<[Bindings]> {
    facts.read(path).map_or_else(Vec::new, |content| reader.read(&content)).into()
}
