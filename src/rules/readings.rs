//! What readers find in files, for the rules that ask the same: a dozen of them read `/etc/nsswitch.conf` for every
//! program, and several the imports of one script. Each file is read and taken apart once for all of them.

use super::Reading;
use super::facts::Facts;
use super::pattern::Bindings;
use super::readers::Reader;
use crate::path::RootPath;
use foldhash::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What was found so far in the files that rules name, which are few.
#[derive(Debug, Default)]
pub(super) struct Readings {
    files: Mutex<HashMap<OfFile, Arc<[Bindings]>>>,
}

/// A file, and the reader's name.
type OfFile = (RootPath, &'static str);

/// What was found in one object, by the reader's name.
#[derive(Debug, Default)]
pub(super) struct OfObject(HashMap<&'static str, Arc<[Bindings]>>);

impl Readings {
    /// What a rule's reader finds in the file that it names, else in the object; nothing where that cannot be read.
    pub fn of(
        &self,
        reading: &Reading,
        object: Option<&RootPath>,
        of_object: &mut OfObject,
        facts: &dyn Facts,
    ) -> Vec<Bindings> {
        let reader = reading.reader;
        let all = match (&reading.file, object) {
            (Some(file), _) => self.of_file(file, reader, facts),
            (None, Some(object)) => {
                of_object.0.entry(reader.name).or_insert_with(|| read(object, reader, facts)).clone()
            }
            (None, None) => return Vec::new(),
        };
        let is_wanted = |bindings: &&Bindings| {
            reading.filter.iter().all(|(name, value)| bindings.get(name).is_some_and(|v| v == value.as_bytes()))
        };
        all.iter().filter(is_wanted).cloned().collect()
    }

    fn of_file(&self, file: &RootPath, reader: &'static Reader, facts: &dyn Facts) -> Arc<[Bindings]> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.entry((file.clone(), reader.name)).or_insert_with(|| read(file, reader, facts)).clone()
    }
}

fn read(path: &RootPath, reader: &Reader, facts: &dyn Facts) -> Arc<[Bindings]> {
    reader.read(path, facts).into()
}
