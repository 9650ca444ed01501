//! An explanation as JSON, with the words of the manifest's format 1.

use super::{Answer, Exclusion, Explanation, Included, Retained};
use crate::manifest::json::{BecauseText, ChoiceText, MissingText, OmissionText, PathText, type_name};
use crate::path::{RootPath, escaped};
use serde::Serialize;
use serde_json::Value;

impl Explanation<'_> {
    /// The explanation for programs: a JSON object whose `answer` is `included`, `excluded`, `missing` or `unknown`.
    pub fn json(&self) -> impl Serialize + '_ {
        ExplanationJson {
            asked: escaped(&self.asked).to_string(),
            links: self.links.iter().map(|link| PathText::new(&link.path)).collect(),
            answer: match &self.answer {
                Answer::Included(included) => AnswerJson::Included(Box::new(IncludedJson::new(included))),
                Answer::Excluded { path, omissions, choices } => AnswerJson::Excluded {
                    path: PathText::new(path),
                    omissions: omissions
                        .iter()
                        .map(|omission| OmissionJson {
                            exclusion: Exclusion::of(omission),
                            reference: OmissionText::new(omission),
                        })
                        .collect(),
                    choices: choices.iter().map(|choice| ChoiceText::new(choice)).collect(),
                },
                Answer::Missing(missing) => AnswerJson::Missing {
                    references: missing.iter().map(|missing| MissingText::new(missing)).collect(),
                },
                Answer::Unknown { nearest } => {
                    AnswerJson::Unknown { nearest: nearest.iter().map(|path| PathText::new(path)).collect() }
                }
            },
        }
    }
}

/// An object with the keys of a path added, as the manifest spells them.
pub(super) fn with_path(path: &RootPath, mut object: Value) -> Value {
    if let (Some(keys), Ok(Value::Object(of_path))) =
        (object.as_object_mut(), serde_json::to_value(PathText::new(path)))
    {
        keys.extend(of_path);
    }
    object
}

#[derive(Serialize)]
struct ExplanationJson<'a> {
    /// Escaped as paths are shown to people.
    asked: String,
    /// The symlinks on the way.
    links: Vec<PathText<'a>>,
    #[serde(flatten)]
    answer: AnswerJson<'a>,
}

#[derive(Serialize)]
#[serde(tag = "answer", rename_all = "lowercase")]
enum AnswerJson<'a> {
    Included(Box<IncludedJson<'a>>),
    Excluded {
        #[serde(flatten)]
        path: PathText<'a>,
        omissions: Vec<OmissionJson<'a>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        choices: Vec<ChoiceText<'a>>,
    },
    Missing {
        references: Vec<MissingText<'a>>,
    },
    Unknown {
        nearest: Vec<PathText<'a>>,
    },
}

#[derive(Serialize)]
struct IncludedJson<'a> {
    #[serde(flatten)]
    path: PathText<'a>,
    r#type: &'static str,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    packed: Option<u64>,
    package: Option<&'a str>,
    chain: Vec<StepJson<'a>>,
    /// Only when all were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<BecauseText<'a>>,
    /// Without which no way leads here; as for `reasons`.
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<PathText<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    choices: Vec<ChoiceText<'a>>,
    retained: Retained,
}

#[derive(Serialize)]
struct StepJson<'a> {
    #[serde(flatten)]
    path: PathText<'a>,
    because: Option<BecauseText<'a>>,
}

#[derive(Serialize)]
struct OmissionJson<'a> {
    exclusion: Exclusion,
    #[serde(flatten)]
    reference: OmissionText<'a>,
}

impl<'a> IncludedJson<'a> {
    fn new(included: &'a Included<'a>) -> IncludedJson<'a> {
        IncludedJson {
            path: PathText::new(&included.entry.path),
            r#type: type_name(&included.entry.content),
            size: included.entry.size(),
            packed: included.entry.packed,
            package: included.entry.package.as_deref(),
            chain: (included.chain.iter())
                .map(|step| StepJson {
                    path: PathText::new(&step.entry.path),
                    because: step.because.map(BecauseText::new),
                })
                .collect(),
            reasons: included.reasons.iter().map(|because| BecauseText::new(because)).collect(),
            gate: included.gate.map(|gate| PathText::new(&gate.path)),
            choices: included.choices.iter().map(|choice| ChoiceText::new(choice)).collect(),
            retained: included.retained,
        }
    }
}
