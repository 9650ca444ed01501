//! A difference as JSON, with the words of the manifest's format 1.

use super::{Change, Difference, Group};
use crate::explain::json::with_path;
use crate::manifest::json::{BecauseText, MissingText, PathText};
use crate::manifest::{Boot, Entry};
use serde::Serialize;
use serde_json::{Value, json};

impl Difference<'_> {
    /// The difference for programs; empty lists and a `boot` of null stand for no difference.
    pub fn json(&self) -> impl Serialize + use<> {
        let groups = |groups: &[Group]| groups.iter().map(group).collect::<Vec<_>>();
        let boot = self.boot.map(|(old, new)| json!({ "old": old.map(boot), "new": new.map(boot) }));
        let packed = self.packed.map(|(old, new)| json!({ "old": old, "new": new }));
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

fn group(group: &Group) -> Value {
    let cause = group
        .cause
        .as_ref()
        .map(|step| json!({ "to": PathText::new(&step.entry.path), "because": step.because.map(BecauseText::new) }));
    let entry = |entry: &&Entry| with_path(&entry.path, json!({ "size": entry.size() }));
    json!({ "bytes": group.bytes, "cause": cause, "entries": group.entries.iter().map(entry).collect::<Vec<_>>() })
}

fn change(change: &Change) -> Value {
    with_path(&change.new.path, json!({ "fields": change.fields }))
}

fn boot(boot: &Boot) -> Value {
    json!({ "kernel": PathText::new(&boot.kernel), "kernel_args": boot.kernel_args })
}
