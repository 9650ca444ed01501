//! The manifest as a tree: targets at the top, below each entry what is in because of it, with its size and the reason.
//!
//! It looks like the output of `libtree`. What an entry needs is shown where the entry comes first and folded to
//! `[above]` everywhere else, so the tree ends even where the entries need each other. Directories that are in only
//! because something lies in them are left out: they repeat what the paths say. [`View::inverted`] turns it round: one
//! entry at the top, below each entry who needs it.
//!
//! ```text
//! /usr/bin/node 98.6 MiB [target]
//! ├── /usr/lib/libz.so.1 -> libz.so.1.2.13 [proven needed libz.so.1]
//! │   └── /usr/lib/libz.so.1.2.13 118.5 KiB [proven symlink]
//! └── libquux.so.1 not found [proven needed, required]
//!         /opt/lib/libquux.so.1: no such file (runpath of /usr/bin/node)
//! ```

use super::needs::Needs;
use super::{Because, Content, Entry, Manifest, Missing};
use crate::path::{RootPath, escaped};
use crate::reason::{Evidence, Kind, Reason};
use crate::text::{Style, rounded_size};
use std::collections::HashMap;
use std::io::{self, Write};

/// Which part of the tree is written, and how.
#[derive(Debug, Clone, Copy, Default)]
pub struct View<'m> {
    /// Whether there is colour.
    pub style: Style,
    /// The entry at the top; else all targets, and what nobody but the user asked for and is missing.
    pub top: Option<&'m Entry>,
    /// How many levels there are below the top; else all.
    pub depth: Option<usize>,
    /// Below each entry who needs it, instead of what it needs.
    pub inverted: bool,
}

/// Writes the tree.
///
/// # Errors
/// Only those of `out`.
pub fn write(manifest: &Manifest, view: View, out: impl Write) -> io::Result<()> {
    let mut missing: HashMap<Option<&RootPath>, Vec<&Missing>> = HashMap::new();
    for reference in &manifest.missing {
        missing.entry(reference.from.as_ref()).or_default().push(reference);
    }
    let needs = Needs::of(&manifest.entries);
    let is_expanded = vec![false; manifest.entries.len()];
    Tree { manifest, needs, missing, view, is_expanded, prefix: String::new(), out }.write()
}

struct Tree<'m, W> {
    manifest: &'m Manifest,
    needs: Needs<'m>,
    /// Missing references by referrer.
    missing: HashMap<Option<&'m RootPath>, Vec<&'m Missing>>,
    view: View<'m>,
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
        let tops: Vec<usize> = match self.view.top {
            Some(top) => self.needs.position(&top.path).into_iter().collect(),
            None => self.needs.targets().collect(),
        };
        for position in tops {
            let reasons = asked_for(&self.manifest.entries[position]).collect();
            let mut levels = Vec::new();
            levels.extend(self.child("", BLANK, Child::Entry { position, reasons }, 0)?);
            while let Some(level) = levels.last_mut() {
                let Some(child) = level.children.next() else {
                    self.prefix.truncate(level.outer);
                    levels.pop();
                    continue;
                };
                let (branch, below) = if level.children.len() == 0 { (CORNER, BLANK) } else { (TEE, BAR) };
                let depth = levels.len();
                levels.extend(self.child(branch, below, child, depth)?);
            }
        }
        if self.view.top.is_none() {
            for missing in self.missing.remove(&None).unwrap_or_default() {
                self.missing("", "", missing)?;
            }
        }
        self.out.flush()
    }

    /// Writes one child; when there is something below it to write, that is the next level.
    fn child(&mut self, branch: &str, below: &str, child: Child<'m>, depth: usize) -> io::Result<Option<Level<'m>>> {
        match child {
            Child::Missing(missing) => self.missing(branch, below, missing).map(|()| None),
            Child::Entry { position, reasons } => {
                let entry = &self.manifest.entries[position];
                let fold = match self.is_expanded[position] {
                    true => Some("[above]"),
                    false => self.view.depth.filter(|most| depth >= *most).map(|_| "[deeper]"),
                };
                if let Some(fold) = fold {
                    let fold = if self.has_children(position) { fold } else { "" };
                    return self.entry(branch, entry, &reasons, fold).map(|()| None);
                }
                self.is_expanded[position] = true;
                self.entry(branch, entry, &reasons, "")?;
                let children = self.children(position);
                let outer = self.prefix.len();
                if !branch.is_empty() {
                    self.prefix.push_str(below);
                }
                Ok(Some(Level { children: children.into_iter(), outer }))
            }
        }
    }

    fn entry(&mut self, branch: &str, entry: &Entry, reasons: &[&Reason], fold: &str) -> io::Result<()> {
        let style = self.view.style;
        write!(self.out, "{}{branch}{}", self.prefix, style.path(&entry.path))?;
        match &entry.content {
            Content::File { size, .. } | Content::Generated { size, .. } => {
                write!(self.out, " {}", rounded_size(*size))?;
            }
            Content::Symlink { target } => write!(self.out, " -> {}", escaped(target))?,
            Content::Hardlink { to } => write!(self.out, " = {to}")?,
            _ => {}
        }
        let mut labels: Vec<String> = reasons.iter().take(REASONS).map(|reason| label(reason)).collect();
        if reasons.len() > REASONS {
            labels.push(format!("{} more", reasons.len() - REASONS));
        }
        if !labels.is_empty() {
            write!(self.out, " {}", style.remark(format_args!("[{}]", labels.join("; "))))?;
        }
        // Turned round, the reasons above are those of the entry that this one needs.
        if self.view.inverted && !branch.is_empty() && asked_for(entry).next().is_some() {
            write!(self.out, " {}", style.remark("[target]"))?;
        }
        if !fold.is_empty() {
            write!(self.out, " {}", style.remark(fold))?;
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
            self.view.style.bad(format_args!("{} not found", escaped(name.as_bytes()))),
            self.view.style.remark(format_args!("[{label}, {priority}]"))
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
        self.missing_of(position).next().is_some() || !self.shown(position).is_empty()
    }

    /// What to show below an entry: the strongest evidence first, then by path; what is missing comes last.
    fn children(&self, position: usize) -> Vec<Child<'m>> {
        let mut found: Vec<(Evidence, usize, Vec<&'m Reason>)> = Vec::new();
        for (other, reason) in self.shown(position) {
            match found.last_mut().filter(|(_, last, _)| *last == other) {
                Some((evidence, _, reasons)) => {
                    *evidence = reason.evidence.min(*evidence);
                    reasons.push(reason);
                }
                None => found.push((reason.evidence, other, vec![reason])),
            }
        }
        found.sort_by_key(|(evidence, other, _)| (*evidence, *other));
        let found = found.into_iter().map(|(_, position, reasons)| Child::Entry { position, reasons });
        found.chain(self.missing_of(position).map(Child::Missing)).collect()
    }

    fn missing_of(&self, position: usize) -> impl Iterator<Item = &'m Missing> + use<'m, '_, W> {
        let missing = self.missing.get(&Some(&self.manifest.entries[position].path));
        missing.filter(|_| !self.view.inverted).into_iter().flatten().copied()
    }

    /// The entries that an entry needs, or those that need it, each with one reason; those that need it by another one
    /// follow each other. Directories are left out, unless it is them that somebody asks about.
    fn shown(&self, position: usize) -> Vec<(usize, &'m Reason)> {
        let entries = &self.manifest.entries;
        let entry = &entries[position];
        if !self.view.inverted {
            let edges = self.needs.edges(position);
            let needed = edges.filter_map(|edge| Some((edge.to, &entries[edge.to].reasons[edge.reason?].reason)));
            return needed.filter(|(_, reason)| reason.kind != Kind::Directory).collect();
        }
        let is_top = self.view.top.is_some_and(|top| top.path == entry.path);
        let reasons = entry.reasons.iter().filter(|because| is_top || because.reason.kind != Kind::Directory);
        let needing = |because: &'m Because| Some((self.needs.position(because.from.as_ref()?)?, &because.reason));
        reasons.filter_map(needing).collect()
    }
}

/// The reasons for which an entry is in by itself.
fn asked_for(entry: &Entry) -> impl Iterator<Item = &Reason> {
    entry.reasons.iter().filter(|because| because.from.is_none()).map(|because| &because.reason)
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
        write(manifest, View { style, ..View::default() }, &mut out).unwrap();
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
        assert_eq!(view(&manifest, View::default()), expected);
    }

    /// Without the sizes, which are all the same.
    fn view(manifest: &Manifest, view: View) -> String {
        let mut out = Vec::new();
        write(manifest, view, &mut out).unwrap();
        String::from_utf8(out).unwrap().replace(" 10 bytes", "")
    }

    #[test]
    fn what_lies_deeper_is_folded_where_it_is_first_met_deep() {
        let manifest = manifest_of(&[("/t", &[]), ("/a", &["/t"]), ("/b", &["/a", "/t"]), ("/c", &["/b"])]);
        let expected = "/t [target]\n\
                        ├── /a [proven needed]\n\
                        │   └── /b [proven needed] [deeper]\n\
                        └── /b [proven needed]\n    \
                            └── /c [proven needed]\n";
        assert_eq!(view(&manifest, View { depth: Some(2), ..View::default() }), expected);
        let expected = "/t [target]\n├── /a [proven needed] [deeper]\n└── /b [proven needed] [deeper]\n";
        assert_eq!(view(&manifest, View { depth: Some(1), ..View::default() }), expected);
    }

    #[test]
    fn turned_round_each_entry_stands_above_those_that_need_it() {
        let manifest = manifest_of(&[("/t", &[]), ("/a", &["/t"]), ("/b", &["/a", "/t"]), ("/c", &["/b"])]);
        let top = manifest.entries.iter().find(|entry| entry.path.as_bytes() == b"/c");
        let expected = "/c\n\
                        └── /b [proven needed]\n    \
                            ├── /a [proven needed]\n    \
                            │   └── /t [proven needed] [target]\n    \
                            └── /t [proven needed] [target]\n";
        assert_eq!(view(&manifest, View { top, inverted: true, ..View::default() }), expected);
    }

    #[test]
    fn one_entry_at_the_top_leaves_out_the_others() {
        let manifest = manifest_of(&[("/t", &[]), ("/a", &["/t"]), ("/b", &["/a", "/t"])]);
        let top = manifest.entries.iter().find(|entry| entry.path.as_bytes() == b"/a");
        assert_eq!(view(&manifest, View { top, ..View::default() }), "/a\n└── /b [proven needed]\n");
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
