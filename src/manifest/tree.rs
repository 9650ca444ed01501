//! The manifest as a tree: targets at the top, below each entry what is in because of it, with the reason.
//!
//! It looks like the output of `libtree`. What an entry needs is shown where the entry comes first and folded to
//! `[above]` everywhere else, so the tree ends even where the entries need each other. Directories that are in only
//! because something lies in them are left out: they repeat what the paths say.
//!
//! ```text
//! /usr/bin/node [target]
//! ├── /usr/lib/libz.so.1 -> libz.so.1.2.13 [proven needed libz.so.1]
//! │   └── /usr/lib/libz.so.1.2.13 [proven symlink]
//! └── libquux.so.1 not found [proven needed, required]
//!         /opt/lib/libquux.so.1: no such file (runpath of /usr/bin/node)
//! ```

use super::needs::Needs;
use super::{Content, Entry, Manifest, Missing};
use crate::path::{RootPath, escaped};
use crate::reason::{Evidence, Kind, Reason};
use crate::text::Style;
use std::collections::HashMap;
use std::io::{self, Write};

/// Writes the tree.
///
/// # Errors
/// Only those of `out`.
pub fn write(manifest: &Manifest, style: Style, out: impl Write) -> io::Result<()> {
    let mut missing: HashMap<Option<&RootPath>, Vec<&Missing>> = HashMap::new();
    for reference in &manifest.missing {
        missing.entry(reference.from.as_ref()).or_default().push(reference);
    }
    let needs = Needs::of(manifest);
    let is_expanded = vec![false; manifest.entries.len()];
    Tree { manifest, needs, missing, style, is_expanded, prefix: String::new(), out }.write()
}

struct Tree<'m, W> {
    manifest: &'m Manifest,
    needs: Needs<'m>,
    /// Missing references by referrer.
    missing: HashMap<Option<&'m RootPath>, Vec<&'m Missing>>,
    style: Style,
    is_expanded: Vec<bool>,
    /// What stands left of the lines of the current level.
    prefix: String,
    out: W,
}

/// A line below an entry.
enum Child<'m> {
    Entry { position: usize, reasons: Vec<&'m Reason> },
    Missing(&'m Missing),
}

/// A level of the tree that is being written: a stack, because a chain of entries may be longer than that of the
/// processor.
struct Level<'m> {
    children: std::vec::IntoIter<Child<'m>>,
    /// The length of the prefix above this level.
    outer: usize,
}

const TEE: &str = "├── ";
const CORNER: &str = "└── ";
const BAR: &str = "│   ";
const BLANK: &str = "    ";

impl<'m, W: Write> Tree<'m, W> {
    fn write(mut self) -> io::Result<()> {
        for position in self.needs.targets().collect::<Vec<_>>() {
            let asked_for = self.manifest.entries[position].reasons.iter().filter(|because| because.from.is_none());
            let reasons = asked_for.map(|because| &because.reason).collect();
            let mut levels = Vec::new();
            levels.extend(self.child("", BLANK, Child::Entry { position, reasons })?);
            while let Some(level) = levels.last_mut() {
                let Some(child) = level.children.next() else {
                    self.prefix.truncate(level.outer);
                    levels.pop();
                    continue;
                };
                let (branch, below) = if level.children.len() == 0 { (CORNER, BLANK) } else { (TEE, BAR) };
                levels.extend(self.child(branch, below, child)?);
            }
        }
        for missing in self.missing.remove(&None).unwrap_or_default() {
            self.child("", "", Child::Missing(missing))?;
        }
        self.out.flush()
    }

    /// Writes one child; when there is something below it to write, that is the next level.
    fn child(&mut self, branch: &str, below: &str, child: Child<'m>) -> io::Result<Option<Level<'m>>> {
        match child {
            Child::Missing(missing) => self.missing(branch, below, missing).map(|()| None),
            Child::Entry { position, reasons } => {
                let entry = &self.manifest.entries[position];
                if std::mem::replace(&mut self.is_expanded[position], true) {
                    let is_folded = self.has_children(position);
                    return self.entry(branch, entry, &reasons, is_folded).map(|()| None);
                }
                self.entry(branch, entry, &reasons, false)?;
                let children = self.children(position);
                let outer = self.prefix.len();
                if !branch.is_empty() {
                    self.prefix.push_str(below);
                }
                Ok(Some(Level { children: children.into_iter(), outer }))
            }
        }
    }

    fn entry(&mut self, branch: &str, entry: &Entry, reasons: &[&Reason], is_folded: bool) -> io::Result<()> {
        write!(self.out, "{}{branch}{}", self.prefix, self.style.path(&entry.path))?;
        match &entry.content {
            Content::Symlink { target } => write!(self.out, " -> {}", escaped(target))?,
            Content::Hardlink { to } => write!(self.out, " = {to}")?,
            _ => {}
        }
        let mut labels: Vec<String> = reasons.iter().take(REASONS).map(|reason| label(reason)).collect();
        if reasons.len() > REASONS {
            labels.push(format!("{} more", reasons.len() - REASONS));
        }
        write!(self.out, " {}", self.style.remark(format_args!("[{}]", labels.join("; "))))?;
        if is_folded {
            write!(self.out, " {}", self.style.remark("[above]"))?;
        }
        writeln!(self.out)
    }

    fn missing(&mut self, branch: &str, below: &str, missing: &Missing) -> io::Result<()> {
        let Missing { reason, name, priority, probes, .. } = missing;
        // The name is on the line already.
        let detail = if *reason.detail == **name { "" } else { &reason.detail };
        let label = label(&Reason::new(reason.evidence, reason.kind, detail));
        writeln!(
            self.out,
            "{}{branch}{} {}",
            self.prefix,
            self.style.bad(format_args!("{} not found", escaped(name.as_bytes()))),
            self.style.remark(format_args!("[{label}, {priority}]"))
        )?;
        if let Some(consequence) = &missing.consequence {
            writeln!(self.out, "{}{below}    {}", self.prefix, escaped(consequence.to_string().as_bytes()))?;
        }
        for probe in probes {
            let path = escaped(probe.path.as_bytes());
            writeln!(self.out, "{}{below}    {path}: {} ({})", self.prefix, probe.outcome, probe.step)?;
        }
        Ok(())
    }

    fn has_children(&self, position: usize) -> bool {
        self.missing.contains_key(&Some(&self.manifest.entries[position].path))
            || self.shown_needs(position).next().is_some()
    }

    /// What to show below an entry: the strongest evidence first, then by path; what is missing comes last.
    fn children(&self, position: usize) -> Vec<Child<'m>> {
        let mut found: Vec<(Evidence, usize, Vec<&'m Reason>)> = Vec::new();
        for (to, reason) in self.shown_needs(position) {
            match found.last_mut().filter(|(_, last, _)| *last == to) {
                Some((evidence, _, reasons)) => {
                    *evidence = reason.evidence.min(*evidence);
                    reasons.push(reason);
                }
                None => found.push((reason.evidence, to, vec![reason])),
            }
        }
        found.sort_by_key(|(evidence, to, _)| (*evidence, *to));
        let missing = self.missing.get(&Some(&self.manifest.entries[position].path));
        let found = found.into_iter().map(|(_, position, reasons)| Child::Entry { position, reasons });
        found.chain(missing.into_iter().flatten().map(|missing| Child::Missing(missing))).collect()
    }

    /// The entries that an entry needs, each with one reason, without the directories it lies in.
    fn shown_needs(&self, position: usize) -> impl Iterator<Item = (usize, &'m Reason)> {
        let entries = &self.manifest.entries;
        (self.needs.edges(position).iter())
            .filter_map(|edge| Some((edge.to, &entries[edge.to].reasons[edge.reason?].reason)))
            .filter(|(_, reason)| reason.kind != Kind::Directory)
    }
}

/// How many reasons of one entry a line shows: a rule can have dozens, one for each word of a configuration.
const REASONS: usize = 3;

/// Evidence, kind and detail; a kind that repeats the evidence is said once: `rule linux/nsswitch`.
pub(crate) fn label(reason: &Reason) -> String {
    let (evidence, kind) = (reason.evidence.to_string(), reason.kind.to_string());
    let mut label = if evidence == kind { kind } else { format!("{evidence} {kind}") };
    if !reason.detail.is_empty() {
        label.push(' ');
        label.push_str(&escaped(reason.detail.as_bytes()).to_string());
    }
    label
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::manifest::json::read;
    use crate::manifest::needs::tests::manifest_of;

    /// Compares text to a file of `testdata/manifest`, or writes that file when `MINROOT_UPDATE` is set.
    pub(crate) fn compare(name: &str, text: &str) {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/manifest").join(name);
        if std::env::var_os("MINROOT_UPDATE").is_some() {
            std::fs::write(&file, text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(&file).unwrap(), "{name}");
    }

    fn tree(manifest: &Manifest, style: Style) -> String {
        let mut out = Vec::new();
        write(manifest, style, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_entry_is_expanded_once_with_its_reasons() {
        let manifest = read(include_bytes!("../../testdata/manifest/small.json")).unwrap();
        compare("tree.txt", &tree(&manifest, Style::Plain));
    }

    #[test]
    fn colour_is_the_only_difference_of_styles() {
        let manifest = read(include_bytes!("../../testdata/manifest/small.json")).unwrap();
        let colored = tree(&manifest, Style::Color);
        let plain = regex::Regex::new("\x1b\\[[0-9]*m").unwrap().replace_all(&colored, "").into_owned();
        assert_ne!(colored, plain);
        assert_eq!(plain, tree(&manifest, Style::Plain));
    }

    #[test]
    fn entries_that_need_each_other_are_folded() {
        let manifest = manifest_of(&[("/t", &[]), ("/a", &["/t", "/b"]), ("/b", &["/a"])]);
        let expected = "/t [target]\n\
                        └── /a [proven needed]\n    \
                            └── /b [proven needed]\n        \
                                └── /a [proven needed] [above]\n";
        assert_eq!(tree(&manifest, Style::Plain), expected);
    }

    #[test]
    fn a_missing_target_stands_at_the_top() {
        let mut manifest = manifest_of(&[]);
        manifest.missing.push(Missing {
            consequence: None,
            from: None,
            reason: Reason::new(Evidence::Target, Kind::Target, ""),
            name: "/usr/bin/nodd".to_owned(),
            priority: crate::reason::Priority::Required,
            probes: Vec::new(),
        });
        assert_eq!(tree(&manifest, Style::Plain), "/usr/bin/nodd not found [target, required]\n");
    }

    #[test]
    fn a_long_chain_does_not_end_the_stack() {
        let names: Vec<String> = (0..3_000).map(|i| format!("/{i:04}")).collect();
        let mut referrers: Vec<Vec<&str>> = vec![Vec::new()];
        referrers.extend(names.iter().map(|name| vec![name.as_str()]));
        let files: Vec<(&str, &[&str])> =
            names.iter().map(|n| n.as_str()).zip(referrers.iter().map(|r| &r[..])).collect();
        assert_eq!(tree(&manifest_of(&files), Style::Plain).lines().count(), 3_000);
    }
}
