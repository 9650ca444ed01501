//! `minroot rules` and `minroot explain-rule`: what the rules are, whether they are in order, and what one is about.

use super::args::{ExplainRule, Rules, RulesAction};
use super::why::read_manifest;
use super::{Outcome, report};
use crate::explain::brought;
use crate::rules::{RuleFile, RuleSet};
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
            let file = find(&rules, id)?;
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

pub fn explain(options: &ExplainRule) -> anyhow::Result<Outcome> {
    let rules = RuleSet::load(&options.rules)?;
    let file = find(&rules, &options.id)?;
    let manifest = options.manifest.as_deref().map(read_manifest).transpose()?;
    let brought = manifest.as_ref().map(|manifest| brought(manifest, &options.id));
    report::answer(None::<()>, |style| {
        let text = file.words(style).to_string();
        let brought = brought.iter().map(|brought| format!("\n{}", brought.text(style)));
        brought.fold(text, |text, brought| text + &brought)
    })?;
    Ok(Outcome::Done)
}

fn find<'r>(rules: &'r RuleSet, id: &str) -> anyhow::Result<&'r RuleFile> {
    rules.find(id).map_err(|error| {
        let hint = error.hint.clone();
        report::with_hint(error.into(), hint)
    })
}
