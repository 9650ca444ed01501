//! The choices of format 1, written and read: `{"by":[…],"alternatives":[{"name":…,"paths":[…],"verdict":…}]}`, where
//! the verdict is `"chosen"`, `{"more":BYTES}`, `"incomplete"` or `"not-compared"`.
//!
//! A manifest without choices has no such list, as those have none that were written before there were choices.

use super::entry::reasons;
use super::fields::{list, plain_path};
use super::write::{PathText, ReasonsText};
use crate::manifest::{Alternative, Because, Choice, Verdict};
use crate::path::RootPath;
use serde::{Deserialize, Deserializer, Serialize};

#[derive(Serialize)]
pub(crate) struct ChoiceText<'a> {
    by: ReasonsText<'a>,
    alternatives: Vec<AlternativeText<'a>>,
}

#[derive(Serialize)]
struct AlternativeText<'a> {
    name: &'a str,
    paths: Vec<PathText<'a>>,
    verdict: Verdict,
}

impl<'a> ChoiceText<'a> {
    pub(crate) fn new(choice: &'a Choice) -> ChoiceText<'a> {
        let alternatives = choice.alternatives.iter().map(|Alternative { name, paths, verdict }| AlternativeText {
            name,
            paths: paths.iter().map(PathText::new).collect(),
            verdict: *verdict,
        });
        ChoiceText { by: ReasonsText(&choice.because), alternatives: alternatives.collect() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChoiceRead {
    #[serde(deserialize_with = "reasons")]
    by: Vec<Because>,
    #[serde(deserialize_with = "alternatives")]
    alternatives: Vec<Alternative>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AlternativeRead {
    name: String,
    #[serde(deserialize_with = "paths")]
    paths: Vec<RootPath>,
    verdict: Verdict,
}

pub(super) fn choices<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Choice>, D::Error> {
    list(deserializer, "choices", |ChoiceRead { by: because, alternatives }| Ok(Choice { because, alternatives }))
}

fn alternatives<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Alternative>, D::Error> {
    list(deserializer, "alternatives", |AlternativeRead { name, paths, verdict }| {
        Ok(Alternative { name, paths, verdict })
    })
}

fn paths<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RootPath>, D::Error> {
    list(deserializer, "paths", plain_path)
}
