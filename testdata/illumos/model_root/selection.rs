//! Package names in, packages out; an IPS name and a Tribblix name mean the same package.

use super::error::ModelError;
use super::tables::{Tables, Year};
use std::collections::{BTreeSet, HashMap};

/// IPS names of what `wanted` says, all packages of the year when it says nothing.
///
/// # Errors
/// [`ModelError::UnknownPackage`] with the nearest name.
pub fn select(tables: &Tables, wanted: &[String]) -> Result<BTreeSet<String>, ModelError> {
    let names = names(tables);
    if wanted.is_empty() {
        return Ok(names.values().map(|name| (*name).to_owned()).collect());
    }
    let find = |name: &String| match names.get(name.as_str()) {
        Some(ips) => Ok((*ips).to_owned()),
        None => Err(ModelError::UnknownPackage { name: name.clone(), nearest: nearest(name, names.keys()) }),
    };
    wanted.iter().map(find).collect()
}

/// Every name a package of the year has, to its IPS name.
fn names(tables: &Tables) -> HashMap<&str, &str> {
    let delivering = tables.actions.iter().map(|action| (action.package.as_str(), action.tribblix.as_str()));
    // Only the list of 2025 has the packages that deliver nothing.
    let listed = tables.packages.iter().map(|(ips, tribblix)| (ips.as_str(), tribblix.as_str()));
    let listed = listed.filter(|_| tables.year == Year::Y2025);
    let mut names = HashMap::new();
    for (ips, tribblix) in delivering.chain(listed) {
        names.insert(ips, ips);
        if !tribblix.is_empty() {
            names.insert(tribblix, ips);
        }
    }
    names
}

fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a &'a str>) -> Option<String> {
    let distance = |candidate: &&&str| strsim::damerau_levenshtein(name, candidate);
    // By name among equals, because the order of a hash map changes from run to run.
    names.min_by_key(|candidate| (distance(candidate), **candidate)).map(|name| (*name).to_owned())
}
