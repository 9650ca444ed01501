//! Sizes in words and columns.

use super::{Broken, By, Label, Table, WhatIf};
use crate::explain::Retained;
use crate::explain::text::{because_in_words, retained_in_words};
use crate::manifest::totals::Tally;
use crate::path::escaped;
use crate::text::{Style, count, grouped, size, written};
use std::fmt::{self, Display};

impl Table<'_> {
    /// The table for people: a title, columns, and the sum.
    pub fn text(&self, style: Style) -> impl Display + '_ {
        written(move |f| self.write(style, f))
    }

    fn write(&self, style: Style, f: &mut fmt::Formatter) -> fmt::Result {
        let (name, bytes, whole) = match self.by {
            By::Package => ("package", "bytes", None),
            By::Directory => ("directory", "bytes in it", Some("and below")),
            By::Evidence => ("evidence", "bytes", None),
            By::Target => ("target", "only for it", Some("all it needs")),
            By::File => ("file", "own bytes", Some("retained")),
        };
        let layout = Layout { total: self.total, whole: whole.is_some(), packed: self.overhead.is_some() };
        let mut lines = vec![layout.head(bytes, whole.unwrap_or_default(), name)];
        lines.extend(self.rows.iter().map(|row| layout.line(row.sum, row.whole, row.label.to_string())));
        if let Some(rest) = &self.rest {
            lines.push(layout.line(rest.sum, None, count(rest.rows, "further row")));
        }
        if let Some(packed) = self.overhead {
            let sum = Tally { packed, ..Tally::default() };
            lines.push(layout.line(sum, None, "(the archive itself)".to_owned()));
        }
        lines.push(layout.line(self.total, None, "in all".to_owned()));
        let width = |column: usize| lines.iter().map(|line| line.columns[column].len()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..lines[0].columns.len()).map(width).collect();
        for (i, line) in lines.iter().enumerate() {
            for (column, width) in line.columns.iter().zip(&widths) {
                write!(f, "{column:>width$}  ")?;
            }
            match i {
                0 => writeln!(f, "{}", style.remark(&line.name))?,
                _ => writeln!(f, "{}", line.name)?,
            }
        }
        Ok(())
    }
}

struct Line {
    columns: Vec<String>,
    name: String,
}

/// Which columns a table has.
struct Layout {
    total: Tally,
    whole: bool,
    packed: bool,
}

impl Layout {
    fn head(&self, bytes: &str, whole: &str, name: &str) -> Line {
        let packed = if whole.is_empty() { String::new() } else { format!("{whole}, packed") };
        let columns = [bytes, "share", "files", whole, "packed", &packed].map(str::to_owned);
        Line { columns: self.chosen(columns), name: name.to_owned() }
    }

    fn line(&self, sum: Tally, whole: Option<Tally>, name: String) -> Line {
        let tenths = (u128::from(sum.bytes) * 1000).checked_div(u128::from(self.total.bytes)).unwrap_or(1000);
        let share = format!("{}.{}%", tenths / 10, tenths % 10);
        let [whole, whole_packed] =
            [|sum: Tally| sum.bytes, |sum: Tally| sum.packed].map(|of| whole.map(of).map(grouped).unwrap_or_default());
        let columns = [grouped(sum.bytes), share, grouped(sum.files), whole, grouped(sum.packed), whole_packed];
        Line { columns: self.chosen(columns), name }
    }

    fn chosen(&self, columns: [String; 6]) -> Vec<String> {
        let is_shown = [true, true, true, self.whole, self.packed, self.whole && self.packed];
        columns.into_iter().zip(is_shown).filter(|(_, is_shown)| *is_shown).map(|(column, _)| column).collect()
    }
}

impl Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Label::Package(Some(package)) => escaped(package.as_bytes()).fmt(f),
            Label::Package(None) => f.write_str("(of no package)"),
            Label::Path(path) => path.fmt(f),
            Label::Evidence(evidence) => evidence.fmt(f),
            Label::Shared => f.write_str("(shared by several targets)"),
            Label::Unreached => f.write_str("(without a chain of reasons)"),
        }
    }
}

impl WhatIf<'_> {
    /// The answer for people: what goes, the `top` largest by name, then what breaks.
    pub fn text(&self, style: Style, top: usize) -> impl Display + '_ {
        written(move |f| self.write(style, top, f))
    }

    fn write(&self, style: Style, top: usize, f: &mut fmt::Formatter) -> fmt::Result {
        let gone = retained_in_words(&Retained::of(self.gone.iter().copied()));
        let gone = if gone.is_empty() { "nothing" } else { &gone };
        writeln!(f, "{} would go: {gone}", size(self.freed.bytes))?;
        writeln!(f, "{} would be left in {}", size(self.left.bytes), count(self.left.files, "file"))?;
        if let Some(archive) = self.archive {
            writeln!(f, "packed: about {} of {} would go", size(self.freed.packed), size(archive.bytes))?;
        }
        let mut largest = self.gone.clone();
        largest.sort_by(|a, b| b.size().cmp(&a.size()).then_with(|| a.path.cmp(&b.path)));
        let shown = &largest[..top.min(largest.len())];
        let width = shown.first().map_or(0, |entry| grouped(entry.size()).len());
        if !shown.is_empty() {
            writeln!(f, "\ngoes:")?;
        }
        for entry in shown {
            writeln!(f, "  {:>width$}  {}", grouped(entry.size()), entry.path)?;
        }
        if largest.len() > shown.len() {
            writeln!(f, "  {:>width$}  and {}", "", count((largest.len() - shown.len()) as u64, "further path"))?;
        }
        let lists: [(&str, Vec<&Broken>); 2] = [
            ("breaks", self.broken.iter().filter(|broken| broken.is_required()).collect()),
            ("may miss it", self.broken.iter().filter(|broken| !broken.is_required()).collect()),
        ];
        for (title, broken) in lists.iter().filter(|(_, broken)| !broken.is_empty()) {
            writeln!(f, "\n{title}:")?;
            for Broken { referrer, dropped, because } in broken {
                let why = style.remark(because_in_words(because, &dropped.path));
                writeln!(f, "  {}: {} ({why})", style.bad(&referrer.path), dropped.path)?;
            }
        }
        Ok(())
    }
}
