//! Unpacks IPS packages: the newest version of each that is wanted, as its manifest says for a global zone on x86.

mod package;
mod store;
mod version;

use super::archive::invalid;
use super::error::FetchError;
use super::source::{Selection, Staged};
use super::unpack::finish_content;
use crate::fetch::member::{Content, Delivery, Format, Member, MemberKind, Package};
use crate::packages::actions;
use std::collections::BTreeMap;
use std::path::Path;
use store::{Found, Store};

/// How packages are kept.
pub enum Form {
    /// A `.p5p` file.
    Archive,
    Repository,
    /// A root with packages installed.
    Image,
}

/// Unpacks the wanted packages of a source into `directory`, which does not exist yet.
///
/// # Errors
/// [`FetchError`] of reading the source, refusing an action, content that is not as promised, or writing.
pub fn stage(path: &Path, form: Form, selection: &Selection, directory: &Path) -> Result<Staged, FetchError> {
    std::fs::create_dir(directory).map_err(|source| FetchError::Write { path: directory.to_owned(), source })?;
    let store = Store::open(path, &form)?;
    let newest = newest(store.packages()?);
    let names: Vec<String> = newest.iter().map(|found| found.stem.clone()).collect();
    let mut packages = Vec::new();
    let mut wants = Vec::new();
    for (number, found) in newest.iter().filter(|found| selection.wants(&found.stem)).enumerate() {
        let text = store.manifest(found)?;
        let actions = actions::parse(&text).map_err(|error| FetchError::Damaged {
            path: path.to_owned(),
            part: format!("manifest of {}", found.stem),
            source: invalid(&error.to_string()),
        })?;
        let subject = package::Subject {
            source: path,
            publisher: &found.publisher,
            name: &found.stem,
            version: &found.version,
            manifest: text,
        };
        let (package, content) = package::build(subject, &actions, selection, &directory.join(number.to_string()))?;
        packages.push(package);
        wants.extend(content);
    }
    store.fill(wants)?;
    packages.iter_mut().for_each(leave_out_absent);
    for member in packages.iter().flat_map(|package| &package.members) {
        if let MemberKind::File(Content::Staged(staged)) = &member.kind {
            std::fs::OpenOptions::new()
                .write(true)
                .open(staged)
                .and_then(|file| finish_content(&file, member))
                .map_err(|source| FetchError::Write { path: staged.clone(), source })?;
        }
    }
    Ok(Staged { packages, names })
}

/// Takes out the members whose content the source does not have and nobody needs.
fn leave_out_absent(package: &mut Package) {
    let is_there = |member: &Member| match &member.kind {
        MemberKind::File(Content::Staged(staged)) => staged.exists(),
        _ => true,
    };
    let kept: Vec<bool> = package.members.iter().map(is_there).collect();
    let mut left = kept.iter();
    package.members.retain(|_| *left.next().unwrap_or(&true));
    if let Some(Delivery { format: Format::Illumos(records), .. }) = &mut package.delivery {
        let mut left = kept.iter();
        records.owners.retain(|_| *left.next().unwrap_or(&true));
    }
}

/// The newest version of each package, sorted by name; of several publishers' equals the first.
fn newest(all: Vec<Found>) -> Vec<Found> {
    let mut best: BTreeMap<String, Found> = BTreeMap::new();
    for found in all {
        let is_newer = |old: &Found| version::order(&found.version) > version::order(&old.version);
        if best.get(&found.stem).is_none_or(is_newer) {
            best.insert(found.stem.clone(), found);
        }
    }
    best.into_values().collect()
}
