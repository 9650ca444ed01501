//! An explanation in words.

use super::{Answer, Exclusion, Explanation, Included, Retained, alternatives};
use crate::manifest::json::type_name;
use crate::manifest::{Because, Choice, Content, Missing, Omission};
use crate::path::{RootPath, escaped};
use crate::reason::{Kind, Reason};
use crate::text::{Style, count, grouped, size, written};
use std::collections::BTreeMap;
use std::fmt::{self, Display};

impl Explanation<'_> {
    /// The explanation for people: several lines, each ended by a newline.
    pub fn text(&self, style: Style) -> impl Display + '_ {
        written(move |f| Printer { style, f }.explanation(self))
    }
}

struct Printer<'f, 'b> {
    style: Style,
    f: &'f mut fmt::Formatter<'b>,
}

impl Printer<'_, '_> {
    fn explanation(&mut self, explanation: &Explanation) -> fmt::Result {
        let asked = escaped(&explanation.asked);
        match &explanation.answer {
            Answer::Included(included) => self.included_head(included)?,
            Answer::Excluded { path, .. } => writeln!(self.f, "{} is not in", self.style.bad(path))?,
            Answer::Missing(_) => writeln!(self.f, "{} was looked for and not found", self.style.bad(asked))?,
            Answer::Unknown { .. } => {
                writeln!(self.f, "{} is not in: no reference leads to it", self.style.bad(asked))?;
            }
        }
        for link in &explanation.links {
            if let Content::Symlink { target } = &link.content {
                writeln!(self.f, "  by way of the symlink {} -> {}", link.path, escaped(target))?;
            }
        }
        match &explanation.answer {
            Answer::Included(included) => self.included(included),
            Answer::Excluded { path, omissions, choices } => self.excluded(path, omissions, choices),
            Answer::Missing(missing) => missing.iter().try_for_each(|missing| self.missing(missing)),
            Answer::Unknown { nearest } => self.unknown(nearest),
        }
    }

    fn included_head(&mut self, included: &Included) -> fmt::Result {
        let entry = included.entry;
        write!(self.f, "{}: {}", self.style.path(&entry.path), type_name(&entry.content))?;
        match &entry.content {
            Content::File { size: bytes, .. } | Content::Generated { size: bytes, .. } => {
                write!(self.f, ", {}", size(*bytes))?;
                if let Some(packed) = entry.packed {
                    write!(self.f, ", about {} packed", size(packed))?;
                }
            }
            Content::Symlink { target } => write!(self.f, " to {}", escaped(target))?,
            Content::Hardlink { to } => write!(self.f, " to {to}")?,
            _ => {}
        }
        if let Some(package) = &entry.package {
            write!(self.f, ", of package {}", escaped(package.as_bytes()))?;
        }
        writeln!(self.f)
    }

    fn included(&mut self, included: &Included) -> fmt::Result {
        writeln!(self.f)?;
        if included.chain.is_empty() {
            match &included.from {
                Some(from) => writeln!(self.f, "  no chain of reasons leads here from {from}")?,
                None => writeln!(self.f, "  no chain of reasons leads here from a target")?,
            }
        }
        let paths: Vec<String> = included.chain.iter().map(|step| step.entry.path.to_string()).collect();
        let width = paths.iter().map(|path| path.chars().count()).max().unwrap_or(0);
        for (step, path) in included.chain.iter().zip(&paths) {
            let padding = width - path.chars().count();
            match step.because {
                Some(because) => writeln!(
                    self.f,
                    "  {}{:padding$}  {}",
                    self.style.path(path),
                    "",
                    self.style.remark(because_in_words(because, &step.entry.path))
                )?,
                None => writeln!(self.f, "  {}", self.style.path(path))?,
            }
        }
        self.reasons(included)?;
        if !included.choices.is_empty() {
            writeln!(self.f)?;
        }
        for choice in &included.choices {
            let saves = alternatives::savings(choice);
            writeln!(self.f, "chosen among alternatives: {saves} ({})", self.choosers(choice, &included.entry.path))?;
        }
        writeln!(self.f, "\n{}", without_it(&included.retained))
    }

    /// All reasons where they were asked for, else how many there are besides that of the chain.
    fn reasons(&mut self, included: &Included) -> fmt::Result {
        let all = &included.entry.reasons;
        if included.reasons.is_empty() {
            let further = all.len().saturating_sub(1) as u64;
            return match (further, &included.from) {
                (0, _) | (_, Some(_)) => Ok(()),
                (further, None) => writeln!(self.f, "\n{}: see --all", count(further, "further reason")),
            };
        }
        let kinds = all.iter().fold(BTreeMap::new(), |mut kinds, because| {
            *kinds.entry(because.reason.kind).or_insert(0u64) += 1;
            kinds
        });
        let of_each: Vec<String> = kinds.iter().map(|(kind, n)| format!("{} {kind}", grouped(*n))).collect();
        let of_each = if kinds.len() > 1 { format!(" ({})", of_each.join(", ")) } else { String::new() };
        writeln!(self.f, "\n{}{of_each}:", count(all.len() as u64, "reason"))?;
        for because in &included.reasons {
            writeln!(self.f, "  {}", because_in_words(because, &included.entry.path))?;
        }
        if let Some(gate) = included.gate {
            writeln!(self.f, "\nno way leads here but by {}", self.style.path(&gate.path))?;
        }
        Ok(())
    }

    /// Who had a choice.
    fn choosers(&self, choice: &Choice, entry: &RootPath) -> String {
        let words =
            choice.because.iter().map(|because| reference_in_words(&because.reason, because.from.as_ref(), entry));
        self.style.remark(words.collect::<Vec<_>>().join("; ")).to_string()
    }

    fn excluded(&mut self, path: &RootPath, omissions: &[&Omission], choices: &[&Choice]) -> fmt::Result {
        for choice in choices {
            let price = alternatives::price(choice, path);
            writeln!(self.f, "  alternative not chosen: {price} ({})", self.choosers(choice, path))?;
        }
        for omission in omissions {
            let label = match Exclusion::of(omission) {
                Exclusion::Forbidden => "forbidden",
                Exclusion::Suspected => "only suspected",
                Exclusion::Suggested => "only suggested",
                Exclusion::Dropped => "left out",
            };
            let reference = reference_in_words(&omission.reason, omission.from.as_ref(), path);
            let why = escaped(omission.why.as_bytes());
            writeln!(self.f, "  {label}: {why} ({})", self.style.remark(reference))?;
        }
        if omissions.iter().all(|omission| Exclusion::of(omission) != Exclusion::Forbidden) {
            self.include_hint(path)?;
        }
        Ok(())
    }

    fn missing(&mut self, missing: &Missing) -> fmt::Result {
        let by = match &missing.from {
            Some(from) => format!("needed by {from}"),
            None => "asked for".to_owned(),
        };
        writeln!(
            self.f,
            "\n  {} {by}: {} {}",
            self.style.path(escaped(missing.name.as_bytes())),
            missing.priority,
            self.style.remark(format_args!("[{}]", crate::manifest::tree::label(&missing.reason)))
        )?;
        for probe in &missing.probes {
            let (path, step) = (escaped(probe.path.as_bytes()), escaped(probe.step.as_bytes()));
            writeln!(self.f, "    {path}: {} ({step})", escaped(probe.outcome.as_bytes()))?;
        }
        if missing.probes.is_empty() {
            writeln!(self.f, "    no place was tried")?;
        }
        if let Some(consequence) = &missing.consequence {
            writeln!(self.f, "    without it: {}", self.style.bad(escaped(consequence.to_string().as_bytes())))?;
        }
        Ok(())
    }

    fn unknown(&mut self, nearest: &[&RootPath]) -> fmt::Result {
        if !nearest.is_empty() {
            writeln!(self.f, "\nsimilar paths that are in:")?;
            for path in nearest {
                writeln!(self.f, "  {path}")?;
            }
        }
        writeln!(self.f, "\nhint: to bring a file in, name it in `include` under [trace] in the recipe, or as a target")
    }

    fn include_hint(&mut self, path: &RootPath) -> fmt::Result {
        writeln!(self.f, "\nhint: to bring it in, add `include = [\"{path}\"]` under [trace] in the recipe")
    }
}

/// A reason and its strength: `NEEDED of /usr/bin/node [proven]`.
pub(super) fn because_in_words(because: &Because, entry: &RootPath) -> String {
    let Because { from, reason } = because;
    let words = reference_in_words(reason, from.as_ref(), entry);
    let evidence = reason.evidence.to_string();
    // `target` and `rule` say already what they rest on.
    if words.starts_with(&evidence) { words } else { format!("{words} [{evidence}]") }
}

/// What kind of reference leads to `entry`, in the words of its field, without the strength.
pub(super) fn reference_in_words(reason: &Reason, from: Option<&RootPath>, entry: &RootPath) -> String {
    let detail = escaped(reason.detail.as_bytes());
    let Some(from) = from else {
        return match reason.kind {
            Kind::Target => "target".to_owned(),
            Kind::Startup => format!("startup line `{detail}`"),
            Kind::RecipeFile => "file of the recipe".to_owned(),
            kind if reason.detail.is_empty() => kind.to_string(),
            kind => format!("{kind} {detail}"),
        };
    };
    // A soname that is the file's name, as it mostly is, would say nothing new.
    let quoted = match reason.detail.as_bytes() {
        b"" => String::new(),
        detail if detail == entry.file_name() || detail == entry.as_bytes() => String::new(),
        _ => format!(" `{detail}`"),
    };
    match reason.kind {
        Kind::Target => format!("target, by way of {from}"),
        Kind::Startup => format!("startup line{quoted} in {from}"),
        Kind::RecipeFile => format!("file of the recipe, by way of {from}"),
        Kind::Needed => format!("NEEDED{quoted} of {from}"),
        Kind::LazyNeeded => format!("lazy NEEDED{quoted} of {from}"),
        Kind::Filtee => format!("filtee{quoted} of {from}"),
        Kind::Interpreter => format!("interpreter{quoted} of {from}"),
        Kind::Script => format!("#! line{quoted} of {from}"),
        Kind::Preload => format!("preloaded{quoted} by {from}"),
        Kind::Symlink => format!("symlink {from}"),
        Kind::Directory => format!("directory of {from}"),
        Kind::SearchPath => format!("library search configuration{quoted} for {from}"),
        Kind::Variant => format!("hardware variant{quoted} of {from}"),
        Kind::Module => format!("module dependency{quoted} of {from}"),
        Kind::DriverConfiguration => format!("configuration of the driver {from}"),
        Kind::SoftModule => format!("soft module dependency{quoted} of {from}"),
        Kind::Alias => format!("hardware alias{quoted} through {from}"),
        Kind::Firmware => format!("firmware{quoted} of {from}"),
        Kind::Dlopen => format!("dlopen{quoted} by {from}"),
        Kind::String => format!("string{quoted} in {from}"),
        Kind::Rule => format!("rule {detail}, for {from}"),
    }
}

/// `without it 1.2 KiB (1,234 bytes) would go: 2 files`; with what that comes to in an archive that was measured.
pub(super) fn without_it(retained: &Retained) -> String {
    let packed = retained.packed.map(|packed| format!(", about {} packed", size(packed))).unwrap_or_default();
    format!("without it {} would go: {}{packed}", size(retained.bytes), retained_in_words(retained))
}

pub(super) fn retained_in_words(retained: &Retained) -> String {
    let Retained { files, directories, links, special, .. } = *retained;
    let counts = [(files, "file"), (links, "link"), (directories, "directory"), (special, "special file")];
    let words: Vec<String> = counts.into_iter().filter(|(n, _)| *n > 0).map(|(n, noun)| count(n, noun)).collect();
    words.join(", ")
}
