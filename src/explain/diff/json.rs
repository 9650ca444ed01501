//! A difference as JSON, with the words of the manifest's format 1.

use super::{Change, Difference, Group, PackedDifference};
use crate::explain::json::with_path;
use crate::manifest::json::{BecauseText, MissingText, PathText};
use crate::manifest::{Boot, Entry};
use serde::Serialize;
use serde_json::{Map, Value, json};

impl Difference<'_> {
    /// The difference for programs; empty lists and a `boot` of null stand for no difference.
    pub fn json(&self) -> impl Serialize + use<> {
        let groups = |groups: &[Group]| groups.iter().map(group).collect::<Vec<_>>();
        let boot = self.boot.map(|(old, new)| json!({ "old": old.map(boot), "new": new.map(boot) }));
        let packed = self.packed.as_ref().map(packed);
        json!({
            "old_bytes": self.old_bytes,
            "new_bytes": self.new_bytes,
            "packed": packed,
            "added": groups(&self.added),
            "removed": groups(&self.removed),
            "changed": self.changed.iter().map(change).collect::<Vec<_>>(),
            "boot": boot,
            "now_missing": self.now_missing.iter().map(|missing| MissingText::new(missing)).collect::<Vec<_>>(),
            "no_longer_missing":
                self.no_longer_missing.iter().map(|missing| MissingText::new(missing)).collect::<Vec<_>>(),
        })
    }
}

/// The archives, and by how many bytes of them the parts grew; those add up to the growth of `bytes`.
fn packed(packed: &PackedDifference) -> Value {
    let parts: Map<String, Value> =
        packed.parts().into_iter().map(|(name, growth)| (name.to_owned(), number(growth))).collect();
    json!({ "old": packed.old, "new": packed.new, "growth": parts })
}

/// As exact as JSON's readers are: numbers that no archive reaches are the largest of 64 bits.
fn number(number: i128) -> Value {
    i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX }).into()
}

fn group(group: &Group) -> Value {
    let cause = group
        .cause
        .as_ref()
        .map(|step| json!({ "to": PathText::new(&step.entry.path), "because": step.because.map(BecauseText::new) }));
    let entry = |entry: &&Entry| with_path(&entry.path, json!({ "size": entry.size() }));
    let entries = group.entries.iter().map(entry).collect::<Vec<_>>();
    let mut group_json = json!({ "bytes": group.bytes, "cause": cause, "entries": entries });
    if let Some(packed) = group.packed {
        group_json["packed"] = packed.into();
    }
    group_json
}

fn change(change: &Change) -> Value {
    let mut change_json = json!({ "fields": change.fields });
    if let Some(growth) = change.packed_growth {
        change_json["packed_growth"] = number(growth);
    }
    with_path(&change.new.path, change_json)
}

fn boot(boot: &Boot) -> Value {
    json!({ "kernel": PathText::new(&boot.kernel), "kernel_args": boot.kernel_args })
}
