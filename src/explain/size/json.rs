//! Sizes as JSON.

use super::{Label, Row, Sum, Table, WhatIf};
use crate::manifest::json::{BecauseText, PathText};
use serde::Serialize;
use serde_json::{Value, json};

impl Table<'_> {
    /// The table for programs: `by`, `rows`, `rest` and `total`.
    pub fn json(&self) -> impl Serialize + use<> {
        let rest = self.rest.map(|rest| json!({ "rows": rest.rows, "files": rest.sum.files, "bytes": rest.sum.bytes }));
        let rows: Vec<Value> = self.rows.iter().map(row).collect();
        json!({ "by": self.by, "rows": rows, "rest": rest, "total": self.total })
    }
}

fn row(row: &Row) -> Value {
    let Sum { files, bytes } = row.sum;
    let mut value = json!({ "files": files, "bytes": bytes });
    let (key, label) = match &row.label {
        Label::Package(package) => ("package", json!(package)),
        Label::Path(path) => ("at", json!(PathText::new(path))),
        Label::Evidence(evidence) => ("evidence", json!(evidence)),
        Label::Shared => ("shared", json!(true)),
        Label::Unreached => ("unreached", json!(true)),
    };
    value[key] = label;
    if let Some(whole) = row.whole {
        value["whole"] = json!(whole);
    }
    value
}

impl WhatIf<'_> {
    /// The answer for programs: `freed`, `left`, `gone` and `broken`.
    pub fn json(&self) -> impl Serialize + use<> {
        let gone: Vec<PathText> = self.gone.iter().map(|entry| PathText::new(&entry.path)).collect();
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
        json!({ "freed": self.freed, "left": self.left, "gone": gone, "broken": broken })
    }
}
