//! The manifest as the page gets it: tables of texts, and arrays of numbers that point into them.
//!
//! Most of a large manifest is said again and again: paths below one another and as referrers, the words of reasons. Here
//! every text is told once, sorted ones by what they do not share with the one before, and digests not at all.

use crate::explain::alternatives::{price, savings};
use crate::explain::graph::name_of_unknown;
use crate::explain::size::immediate_dominators;
use crate::explain::text::reference_in_words;
use crate::manifest::json::type_name;
use crate::manifest::needs::Needs;
use crate::manifest::totals::CLASSES;
use crate::manifest::{Because, Choice, Content, Entry, Manifest, Missing, Omission};
use crate::path::{RootPath, escaped};
use crate::reason::{Evidence, Kind, Priority, Reason};
use crate::recipe::System;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

/// The types of `model.js` say what the fields are for.
#[derive(Serialize)]
pub(super) struct Data<'m> {
    system: System,
    arch: &'m str,
    evidence: [Evidence; 6],
    types: Vec<&'static str>,
    packages: Vec<String>,
    paths: Texts,
    r#type: Vec<usize>,
    size: Vec<u64>,
    package: Vec<i64>,
    /// What each takes in the archive; `None` when that was not measured.
    packed: Option<Vec<u64>>,
    /// Bytes of the archive.
    archive: Option<u64>,
    above: Vec<i64>,
    symlinks: Vec<(usize, String)>,
    hardlinks: Vec<(usize, usize)>,
    #[serde(flatten)]
    reasons: Reasons,
    chosen: Vec<(usize, String)>,
    missing: Vec<Doubt>,
    unknown: Vec<Doubt>,
    dropped: Vec<Doubt>,
}

/// The reasons of all entries, one after the other.
#[derive(Serialize)]
struct Reasons {
    kinds: Vec<KindWords>,
    details: Texts,
    /// The different ones: evidence, kind and detail.
    reasons: Vec<(u8, usize, usize)>,
    rules: Vec<String>,
    /// Which of the reasons a rule gives, and which rule.
    by_rule: Vec<(usize, usize)>,
    count: Vec<usize>,
    from: Vec<i64>,
    reason: Vec<usize>,
    outside: Vec<String>,
}

/// The words for references of a kind, with `{detail}` and `/{from}` where those go.
#[derive(Serialize)]
struct KindWords {
    name: Kind,
    /// When the user is the one who refers.
    asked: String,
    referred: String,
}

/// Sorted texts, each as the number of UTF-16 units (JavaScript's characters) that it shares with the one before, and
/// the rest of it.
#[derive(Default, Serialize)]
struct Texts {
    shared: Vec<usize>,
    rest: Vec<String>,
}

/// Something that is not in.
#[derive(Serialize)]
struct Doubt {
    name: String,
    from: i64,
    words: String,
    why: String,
    /// Something fails without it.
    bad: bool,
    /// That were tried.
    places: Vec<String>,
}

/// What a position that is not there is written as.
const NONE: i64 = -1;

impl<'m> Data<'m> {
    pub(super) fn of(manifest: &'m Manifest) -> Data<'m> {
        let needs = Needs::of(&manifest.entries);
        let entries = &manifest.entries;
        let (types, r#type) = table(entries.iter().map(|entry| type_name(&entry.content)));
        let packages: BTreeSet<&str> = entries.iter().filter_map(|entry| entry.package.as_deref()).collect();
        let packages: Vec<&str> = packages.into_iter().collect();
        Data {
            system: manifest.system,
            arch: &manifest.arch,
            evidence: CLASSES,
            types,
            package: entries.iter().map(|entry| package_position(&packages, entry)).collect(),
            packages: packages.iter().map(|name| escaped(name.as_bytes()).to_string()).collect(),
            paths: Texts::of(entries.iter().map(|entry| entry.path.to_string())),
            r#type,
            size: entries.iter().map(Entry::size).collect(),
            packed: (manifest.packed.as_ref())
                .map(|_| entries.iter().map(|entry| entry.packed.unwrap_or_default()).collect()),
            archive: manifest.packed.as_ref().map(|packed| packed.bytes),
            above: immediate_dominators(manifest, &needs).into_iter().map(written).collect(),
            symlinks: links(entries, |entry| match &entry.content {
                Content::Symlink { target } => Some(escaped(target).to_string()),
                _ => None,
            }),
            hardlinks: links(entries, |entry| match &entry.content {
                Content::Hardlink { to } => needs.position(to),
                _ => None,
            }),
            reasons: Reasons::of(entries, &needs),
            chosen: chosen(&manifest.choices, &needs),
            missing: manifest.missing.iter().map(|missing| Doubt::of_missing(missing, &needs)).collect(),
            unknown: manifest.unknown.iter().map(|omission| Doubt::of_omission(omission, &needs)).collect(),
            dropped: (manifest.dropped.iter().map(|omission| Doubt::of_omission(omission, &needs)))
                .chain(manifest.choices.iter().flat_map(|choice| Doubt::of_choice(choice, &needs)))
                .collect(),
        }
    }
}

impl Reasons {
    fn of(entries: &[Entry], needs: &Needs) -> Reasons {
        let all = || entries.iter().flat_map(|entry| &entry.reasons);
        let (different, reason) = table(all().map(|because| &because.reason));
        let (kinds, kind) = table(different.iter().map(|reason| reason.kind));
        let (details, detail) = table(different.iter().map(|reason| &*reason.detail));
        let reasons = different.iter().zip(kind).zip(detail);
        let by_rule = || different.iter().enumerate().filter_map(|(at, reason)| Some((at, reason.rule()?)));
        let (rules, rule) = table(by_rule().map(|(_, rule)| rule));
        let (outside, from) = referrers(all(), needs);
        Reasons {
            kinds: kinds.into_iter().map(KindWords::of).collect(),
            details: Texts::of(details.iter().map(|detail| escaped(detail.as_bytes()).to_string())),
            reasons: reasons.map(|((reason, kind), detail)| (reason.evidence as u8, kind, detail)).collect(),
            rules: rules.iter().map(|rule| escaped(rule.as_bytes()).to_string()).collect(),
            by_rule: by_rule().zip(rule).map(|((at, _), rule)| (at, rule)).collect(),
            count: entries.iter().map(|entry| entry.reasons.len()).collect(),
            from,
            reason,
            outside: outside.iter().map(|path| path.to_string()).collect(),
        }
    }
}

/// The different values, sorted, and where each of the values is among them.
fn table<T: Ord + Copy + Hash>(values: impl Iterator<Item = T> + Clone) -> (Vec<T>, Vec<usize>) {
    let different: Vec<T> = values.clone().collect::<BTreeSet<T>>().into_iter().collect();
    let positions: HashMap<T, usize> = different.iter().enumerate().map(|(at, value)| (*value, at)).collect();
    let found = values.map(|value| positions[&value]).collect();
    (different, found)
}

fn package_position(packages: &[&str], entry: &Entry) -> i64 {
    written(entry.package.as_deref().and_then(|name| packages.binary_search(&name).ok()))
}

/// Who refers: a position, [`NONE`] for the user, and a number below that for one of the paths that are no entries.
fn referrers<'m>(reasons: impl Iterator<Item = &'m Because>, needs: &Needs) -> (Vec<&'m RootPath>, Vec<i64>) {
    let mut outside: Vec<&RootPath> = Vec::new();
    let mut positions = BTreeMap::new();
    let from = reasons.map(|because| {
        let Some(path) = &because.from else { return NONE };
        let beyond = || {
            *positions.entry(path).or_insert_with(|| {
                outside.push(path);
                NONE - outside.len() as i64
            })
        };
        needs.position(path).map_or_else(beyond, |position| position as i64)
    });
    let from = from.collect();
    (outside, from)
}

fn written(position: Option<usize>) -> i64 {
    position.map_or(NONE, |position| position as i64)
}

/// Of the entries that are links of a kind.
fn links<T>(entries: &[Entry], to: impl Fn(&Entry) -> Option<T>) -> Vec<(usize, T)> {
    entries.iter().enumerate().filter_map(|(position, entry)| Some((position, to(entry)?))).collect()
}

/// The entries that were chosen among alternatives, with what that saves.
fn chosen(choices: &[Choice], needs: &Needs) -> Vec<(usize, String)> {
    let of_choice = |choice: &Choice| {
        let paths = choice.chosen().into_iter().flat_map(|chosen| &chosen.paths);
        paths.filter_map(|path| Some((needs.position(path)?, savings(choice)))).collect::<Vec<_>>()
    };
    choices.iter().flat_map(of_choice).collect()
}

impl KindWords {
    fn of(kind: Kind) -> KindWords {
        let reason = Reason::new(Evidence::Proven, kind, "{detail}");
        let from = RootPath::root().join(b"{from}");
        let words = |from| reference_in_words(&reason, from, &RootPath::root());
        KindWords { name: kind, asked: words(None), referred: words(Some(&from)) }
    }
}

impl Texts {
    fn of(texts: impl Iterator<Item = String>) -> Texts {
        let mut coded = Texts::default();
        let mut last = String::new();
        for text in texts {
            let same = last.chars().zip(text.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a);
            let (units, bytes) = same.fold((0, 0), |(units, bytes), c| (units + c.len_utf16(), bytes + c.len_utf8()));
            coded.shared.push(units);
            coded.rest.push(text[bytes..].to_owned());
            last = text;
        }
        coded
    }
}

impl Doubt {
    fn of_missing(missing: &Missing, needs: &Needs) -> Doubt {
        let consequence = missing.consequence.as_ref().map(|consequence| format!("; {consequence}"));
        let why = format!("{}{}", missing.priority, consequence.unwrap_or_default());
        let place = |path: &str, outcome: &str, step: &str| {
            escaped(format!("{path}: {outcome} ({step})").as_bytes()).to_string()
        };
        Doubt {
            name: escaped(missing.name.as_bytes()).to_string(),
            from: position_of(missing.from.as_ref(), needs),
            words: reference_in_words(&missing.reason, missing.from.as_ref(), &RootPath::root()),
            why: escaped(why.as_bytes()).to_string(),
            bad: missing.priority == Priority::Required,
            places: (missing.probes.iter()).map(|probe| place(&probe.path, &probe.outcome, &probe.step)).collect(),
        }
    }

    fn of_omission(omission: &Omission, needs: &Needs) -> Doubt {
        let to = omission.to.clone().unwrap_or_else(RootPath::root);
        Doubt {
            name: escaped(name_of_unknown(omission)).to_string(),
            from: position_of(omission.from.as_ref(), needs),
            words: reference_in_words(&omission.reason, omission.from.as_ref(), &to),
            why: escaped(omission.why.as_bytes()).to_string(),
            bad: false,
            places: Vec::new(),
        }
    }

    /// The paths that are not in because of what was chosen instead.
    fn of_choice(choice: &Choice, needs: &Needs) -> Vec<Doubt> {
        let because = choice.because.first();
        let from = because.and_then(|because| because.from.as_ref());
        let words = |path| because.map_or_else(String::new, |because| reference_in_words(&because.reason, from, path));
        let paths = choice.others().flat_map(|other| &other.paths).filter(|path| needs.position(path).is_none());
        paths
            .map(|path| Doubt {
                name: path.to_string(),
                from: position_of(from, needs),
                words: words(path),
                why: format!("alternative not chosen: {}", price(choice, path)),
                bad: false,
                places: Vec::new(),
            })
            .collect()
    }
}

fn position_of(path: Option<&RootPath>, needs: &Needs) -> i64 {
    written(path.and_then(|path| needs.position(path)))
}
