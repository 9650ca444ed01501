//! Choices in words: what the one that was taken saves, and what another would have cost.

use crate::manifest::{Alternative, Choice, Verdict};
use crate::path::{RootPath, escaped};
use crate::text::size;
use std::fmt::Display;

/// The choices that a path was chosen by.
pub(super) fn chosen<'m>(choices: &'m [Choice], path: &RootPath) -> Vec<&'m Choice> {
    choices.iter().filter(|choice| choice.chosen().is_some_and(|chosen| chosen.paths.contains(path))).collect()
}

/// The choices that a path was not chosen by.
pub(super) fn not_chosen<'m>(choices: &'m [Choice], path: &RootPath) -> Vec<&'m Choice> {
    choices.iter().filter(|choice| choice.others().any(|other| other.paths.contains(path))).collect()
}

/// `saves 1.2 MB against /b`.
pub(super) fn savings(choice: &Choice) -> String {
    let against = |other: &Alternative| {
        let name = name(other);
        match other.verdict {
            Verdict::Chosen => None,
            Verdict::More(0) => Some(format!("as small as {name}, which comes later")),
            Verdict::More(bytes) => Some(format!("saves {} against {name}", size(bytes))),
            Verdict::Incomplete => Some(format!("{name} would lack something required")),
            Verdict::NotCompared => Some(format!("{name} was not compared")),
        }
    };
    choice.alternatives.iter().filter_map(against).collect::<Vec<_>>().join("; ")
}

/// `would cost 1.2 MB more than /a`, of the alternative that has the path.
pub(super) fn price(choice: &Choice, path: &RootPath) -> String {
    let other = choice.others().find(|other| other.paths.contains(path));
    let chosen = choice.chosen().map(name).map_or_else(String::new, |name| name.to_string());
    match other.map(|other| other.verdict) {
        Some(Verdict::More(0)) => format!("would cost as much as {chosen}, which comes first"),
        Some(Verdict::More(bytes)) => format!("would cost {} more than {chosen}", size(bytes)),
        Some(Verdict::Incomplete) => format!("would lack something required, which {chosen} does not"),
        Some(Verdict::NotCompared | Verdict::Chosen) | None => format!("was not compared with {chosen}"),
    }
}

fn name(alternative: &Alternative) -> impl Display + '_ {
    escaped(alternative.name.as_bytes())
}
