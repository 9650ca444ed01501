//! Sizes as JSON.

use super::{Label, Row, Table, WhatIf};
use crate::explain::json::with_path;
use crate::manifest::json::{BecauseText, PathText};
use serde::Serialize;
use serde_json::{Value, json};

impl Table<'_> {
    /// The table for programs: `by`, `rows`, `rest` and `total`; `overhead` of an archive that was measured.
    pub fn json(&self) -> impl Serialize + use<> {
        let rest = self.rest.map(|rest| {
            let mut value = json!(rest.sum);
            value["rows"] = json!(rest.rows);
            value
        });
        let rows: Vec<Value> = self.rows.iter().map(row).collect();
        let mut value = json!({ "by": self.by, "rows": rows, "rest": rest, "total": self.total });
        if let Some(overhead) = self.overhead {
            value["overhead"] = json!(overhead);
        }
        value
    }
}

fn row(row: &Row) -> Value {
    let mut value = json!(row.sum);
    match &row.label {
        Label::Package(package) => value["package"] = json!(package),
        Label::Path(path) => value = with_path(path, value),
        Label::Evidence(evidence) => value["evidence"] = json!(evidence),
        Label::Shared => value["shared"] = json!(true),
        Label::Unreached => value["unreached"] = json!(true),
    }
    if let Some(whole) = row.whole {
        value["whole"] = json!(whole.bytes);
        if whole.packed > 0 {
            value["whole_packed"] = json!(whole.packed);
        }
    }
    value
}

impl WhatIf<'_> {
    /// The answer for programs: `freed`, `left`, `gone` and `broken`; `archive` where one was measured.
    pub fn json(&self) -> impl Serialize + use<> {
        let gone = self.gone.iter().map(|entry| with_path(&entry.path, json!({ "size": entry.size() })));
        let gone: Vec<Value> = gone.collect();
        let broken: Vec<Value> = (self.broken.iter())
            .map(|broken| {
                json!({
                    "referrer": PathText::new(&broken.referrer.path),
                    "dropped": PathText::new(&broken.dropped.path),
                    "because": BecauseText::new(broken.because),
                    "required": broken.is_required(),
                })
            })
            .collect();
        let mut value = json!({ "freed": self.freed, "left": self.left, "gone": gone, "broken": broken });
        if let Some(archive) = self.archive {
            value["archive"] = json!(archive);
        }
        value
    }
}
