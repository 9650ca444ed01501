//! `minroot rules`: what the rules are, and whether they are in order.

use super::args::{Rules, RulesAction};
use super::{Outcome, report};
use crate::rules::RuleSet;
use std::io::Write;

pub fn run(options: &Rules) -> anyhow::Result<Outcome> {
    let rules = RuleSet::load(&options.rules)?;
    let mut out = std::io::stdout().lock();
    match &options.action {
        RulesAction::List { json: true } => {
            let list = rules.files().iter().map(
                |f| serde_json::json!({ "id": f.id, "summary": f.summary, "file": f.file, "evidence": f.evidence }),
            );
            writeln!(out, "{:#}", serde_json::Value::from_iter(list))?;
        }
        RulesAction::List { json: false } => {
            let width = rules.files().iter().map(|f| f.id.0.len()).max().unwrap_or_default();
            for file in rules.files() {
                writeln!(out, "{:width$}  {}", file.id.0, file.summary)?;
            }
        }
        RulesAction::Show { id } => {
            let file = rules.find(id).map_err(|error| {
                let hint = error.hint.clone();
                report::with_hint(error.into(), hint)
            })?;
            out.write_all(file.text.as_bytes())?;
        }
        RulesAction::Check => {
            let problems = rules.check();
            for problem in &problems {
                writeln!(out, "{problem}")?;
            }
            if !problems.is_empty() {
                return Ok(Outcome::No);
            }
            report::step("rules", format_args!("{} files are in order", rules.files().len()));
        }
    }
    Ok(Outcome::Done)
}
