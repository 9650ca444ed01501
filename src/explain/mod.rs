//! Why a path is in the image, or why it is not: the answer of `minroot why`.
//!
//! It is read off a manifest alone. The path may be spelled in any way that leads to the entry inside the image: with
//! symlinks on the way, such as `/lib/x86_64-linux-gnu/libc.so.6` for a file that lies below `/usr/lib`, or as a mere
//! file name. What a manifest cannot tell apart is a path without a reference to it and a path that does not exist.

mod alternatives;
pub mod diff;
pub mod graph;
mod json;
mod locate;
mod nearest;
mod rule;
pub mod size;
mod text;

use crate::manifest::needs::{Needed, Needs};
use crate::manifest::source::Source;
use crate::manifest::{Because, Choice, Content, Entry, Manifest, Missing, Omission};
use crate::path::{RootPath, file_name};
use crate::reason::{Evidence, Kind};
use crate::recipe::Take;
use locate::{Located, locate};
pub use rule::{Brought, brought};

/// How much to tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Show every reason, not only the shortest chain.
    pub all: bool,
    /// Begin the chain at this entry instead of at a target.
    pub from: Option<RootPath>,
}

/// The answer about one path. [`Explanation::text`] and [`Explanation::json`] show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation<'m> {
    /// As the user spelled it.
    pub asked: Vec<u8>,
    /// The symlinks of the manifest between `asked` and the path that the answer is about, in order.
    pub links: Vec<&'m Entry>,
    /// What the manifest says of it.
    pub answer: Answer<'m>,
}

/// Whether a path is in, and if not, which kind of "no" it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer<'m> {
    /// It is in the image.
    Included(Box<Included<'m>>),
    /// Some reference led there and was left out on purpose. One of the lists has something.
    Excluded {
        /// Where the reference would have led.
        path: RootPath,
        /// The references that were left out, each with its reason.
        omissions: Vec<&'m Omission>,
        /// Of which it was an alternative, and not the one that was chosen.
        choices: Vec<&'m Choice>,
    },
    /// It was looked for and not found. Never empty.
    Missing(Vec<&'m Missing>),
    /// No reference leads there, or there is no such path.
    Unknown {
        /// The entries with the most similar names, the most similar first; may be empty.
        nearest: Vec<&'m RootPath>,
    },
}

/// Why an entry is in, and what it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Included<'m> {
    /// What the path leads to, after the symlinks of [`Explanation::links`].
    pub entry: &'m Entry,
    /// Where the chain begins instead of at a target, as [`Options::from`] has it.
    pub from: Option<RootPath>,
    /// From a target (or `from`) to the entry; empty when no chain of reasons leads there.
    pub chain: Vec<Step<'m>>,
    /// Every reason when all were asked for, otherwise empty.
    pub reasons: Vec<&'m Because>,
    /// The last entry on the chain without which no other way would lead here either; only when all reasons were asked
    /// for, and not the one target there is.
    pub gate: Option<&'m Entry>,
    /// Of which it is the alternative that was chosen.
    pub choices: Vec<&'m Choice>,
    /// What would go with it.
    pub retained: Retained,
}

pub use crate::manifest::needs::Step;

/// What would go from the image if an entry went: the entry and all that is in for no other reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Retained {
    /// Bytes of content.
    pub bytes: u64,
    /// Bytes of the compressed archive, estimated; `None` when nobody measured one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packed: Option<u64>,
    /// Regular files, generated ones included.
    pub files: u64,
    /// Directories, which have no bytes of their own.
    pub directories: u64,
    /// Symlinks and hard links.
    pub links: u64,
    /// Devices and FIFOs.
    pub special: u64,
}

/// How a reference came to be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Exclusion {
    /// By a rule's `never`: recorded with evidence and kind `rule` and the rule's id as detail.
    Forbidden,
    /// Not proven enough: a string that looks like a name is listed and not kept.
    Suspected,
    /// A rule or a note only suggests it, and the recipe takes no such thing.
    Suggested,
    /// By policy.
    Dropped,
}

impl Exclusion {
    /// Reads from the record of a reference how it came to be left out.
    pub fn of(omission: &Omission) -> Exclusion {
        match (Take::of(&omission.why), omission.reason.evidence, omission.reason.kind) {
            (Some(Take::Suggested), ..) => Exclusion::Suggested,
            (Some(Take::Suspected), ..) | (None, Evidence::Suspected, _) => Exclusion::Suspected,
            (None, Evidence::Rule, Kind::Rule) => Exclusion::Forbidden,
            _ => Exclusion::Dropped,
        }
    }
}

impl Explanation<'_> {
    /// Whether the path is in the image; decides the exit code.
    pub fn is_included(&self) -> bool {
        matches!(self.answer, Answer::Included(_))
    }
}

/// Explains `asked`: an absolute path inside the image, or a name without a slash such as a soname.
pub fn explain<'m>(manifest: &'m Manifest, asked: &[u8], options: &Options) -> Explanation<'m> {
    let Ok(explanation) = explain_from(manifest, asked, options);
    explanation
}

/// [`explain`], from a manifest of which only what the answer needs is read.
///
/// # Errors
/// One of the entries that the answer is about cannot be read.
#[doc(hidden)]
pub fn explain_from<'m, S: Source>(
    source: &'m S,
    asked: &[u8],
    options: &Options,
) -> Result<Explanation<'m>, S::Error> {
    let (links, answer) = if asked.starts_with(b"/") {
        let Located { path, links } = locate(source, asked)?;
        (links, explain_path(source, asked, path, options)?)
    } else {
        (Vec::new(), explain_name(source, asked, options)?)
    };
    Ok(Explanation { asked: asked.to_owned(), links, answer })
}

fn explain_path<'m, S: Source>(
    source: &'m S,
    asked: &[u8],
    path: Option<RootPath>,
    options: &Options,
) -> Result<Answer<'m>, S::Error> {
    let Some(path) = path else { return unknown(source, asked) };
    if let Some(position) = source.position(path.as_bytes()) {
        return included(source, position, options);
    }
    let lists = source.lists();
    let spellings = [path.as_bytes(), asked];
    let omissions: Vec<_> = (lists.dropped.iter())
        .filter(|omission| omission.to.as_ref().is_some_and(|to| spellings.contains(&to.as_bytes())))
        .collect();
    let choices = alternatives::not_chosen(&lists.choices, &path);
    if !omissions.is_empty() || !choices.is_empty() {
        return Ok(Answer::Excluded { path, omissions, choices });
    }
    let looked_for = |missing: &&Missing| {
        spellings.contains(&missing.name.as_bytes())
            || missing.probes.iter().any(|probe| spellings.contains(&probe.path.as_bytes()))
    };
    let missing: Vec<_> = lists.missing.iter().filter(looked_for).collect();
    if missing.is_empty() { unknown(source, asked) } else { Ok(Answer::Missing(missing)) }
}

/// A name may be a reference that was not found, the file name of one entry, or a reference that was left out.
fn explain_name<'m, S: Source>(source: &'m S, name: &[u8], options: &Options) -> Result<Answer<'m>, S::Error> {
    let lists = source.lists();
    let missing: Vec<_> = lists.missing.iter().filter(|missing| missing.name.as_bytes() == name).collect();
    if !missing.is_empty() {
        return Ok(Answer::Missing(missing));
    }
    let has_name = |position: &usize| file_name(source.sketches()[*position].path()) == name;
    let mut entries = (0..source.sketches().len()).filter(has_name);
    if let (Some(position), None) = (entries.next(), entries.next()) {
        return included(source, position, options);
    }
    let dropped = lists.dropped.iter().filter_map(|omission| omission.to.as_ref());
    let others = lists.choices.iter().flat_map(|choice| choice.others().flat_map(|other| &other.paths));
    if let Some(path) = dropped.chain(others).find(|path| path.file_name() == name) {
        let omissions = lists.dropped.iter().filter(|omission| omission.to.as_ref() == Some(path)).collect();
        let choices = alternatives::not_chosen(&lists.choices, path);
        return Ok(Answer::Excluded { path: path.clone(), omissions, choices });
    }
    unknown(source, name)
}

fn unknown<'m, S: Source>(source: &'m S, asked: &[u8]) -> Result<Answer<'m>, S::Error> {
    let nearest = nearest::nearest(source.sketches(), asked).into_iter();
    let nearest = nearest.map(|position| Ok(&source.entry_at(position)?.path)).collect::<Result<_, _>>()?;
    Ok(Answer::Unknown { nearest })
}

fn included<'m, S: Source>(source: &'m S, position: usize, options: &Options) -> Result<Answer<'m>, S::Error> {
    let needs = Needs::of(source.sketches());
    let entry = source.entry_at(position)?;
    let from = match &options.from {
        Some(from) => Some(locate(source, from.as_bytes())?.path.unwrap_or_else(|| from.clone())),
        None => None,
    };
    let depths = || match &from {
        None => Some(needs.chains(None)),
        Some(from) => needs.position(from).map(|from| needs.chains(Some(from))),
    };
    let (chains, retained) = rayon::join(depths, || needs.retained(position));
    let chain = match chains {
        Some(chains) => chains.to(position, |position| source.entry_at(position))?.unwrap_or_default(),
        None => Vec::new(),
    };
    let gate = (options.all && from.is_none()).then(|| gate(&needs, &chain, position)).flatten();
    let retained = retained.into_iter().map(|position| source.entry_at(position)).collect::<Result<Vec<_>, _>>()?;
    Ok(Answer::Included(Box::new(Included {
        entry,
        from,
        chain,
        gate,
        reasons: if options.all { entry.reasons.iter().collect() } else { Vec::new() },
        choices: alternatives::chosen(&source.lists().choices, &entry.path),
        retained: Retained::of(retained.into_iter()),
    })))
}

/// The immediate dominator of an entry, which is on each chain that leads to it.
fn gate<'m>(needs: &Needs, chain: &[Step<'m>], to: usize) -> Option<&'m Entry> {
    let (_, before) = chain.split_last()?;
    let before = before.iter().filter_map(|step| Some((needs.position(&step.entry.path)?, step.entry)));
    let mut ways = before.rev();
    let (position, entry) = ways.find(|(gate, _)| !needs.reachable(|entry| entry != *gate, |_| true)[to])?;
    let is_only_target = needs.targets().eq([position]);
    (!is_only_target).then_some(entry)
}

impl Retained {
    fn of<'m>(entries: impl Iterator<Item = &'m Entry>) -> Retained {
        let mut retained = Retained::default();
        for entry in entries {
            retained.bytes = retained.bytes.saturating_add(entry.size());
            if let Some(packed) = entry.packed {
                retained.packed = Some(retained.packed.unwrap_or_default().saturating_add(packed));
            }
            let counter = match entry.content {
                Content::File { .. } | Content::Generated { .. } => &mut retained.files,
                Content::Directory => &mut retained.directories,
                Content::Symlink { .. } | Content::Hardlink { .. } => &mut retained.links,
                Content::Char { .. } | Content::Block { .. } | Content::Fifo => &mut retained.special,
            };
            *counter += 1;
        }
        retained
    }
}

#[cfg(test)]
mod tests;
