//! Sizes in words and columns.

use super::{Broken, By, Label, Row, Table, WhatIf};
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
        let mut lines = vec![Line::head(bytes, whole, name)];
        lines.extend(self.rows.iter().map(|row| Line::of_row(row, self.total)));
        if let Some(rest) = &self.rest {
            lines.push(Line::new(rest.sum, self.total, None, count(rest.rows, "further row")));
        }
        lines.push(Line::new(self.total, self.total, None, "in all".to_owned()));
        let width = |column: fn(&Line) -> &str| lines.iter().map(|line| column(line).len()).max().unwrap_or_default();
        let widths = [width(|l| &l.bytes), width(|l| &l.share), width(|l| &l.files), width(|l| &l.whole)];
        for (i, line) in lines.iter().enumerate() {
            write!(f, "{:>2$}  {:>3$}", line.bytes, line.share, widths[0], widths[1])?;
            write!(f, "  {:>1$}", line.files, widths[2])?;
            if whole.is_some() {
                write!(f, "  {:>1$}", line.whole, widths[3])?;
            }
            match i {
                0 => writeln!(f, "  {}", style.remark(&line.name))?,
                _ => writeln!(f, "  {}", line.name)?,
            }
        }
        Ok(())
    }
}

/// The columns of a line.
struct Line {
    bytes: String,
    share: String,
    files: String,
    whole: String,
    name: String,
}

impl Line {
    fn head(bytes: &str, whole: Option<&str>, name: &str) -> Line {
        let [bytes, share, files] = [bytes, "share", "files"].map(str::to_owned);
        Line { bytes, share, files, whole: whole.unwrap_or_default().to_owned(), name: name.to_owned() }
    }

    fn of_row(row: &Row, total: Tally) -> Line {
        Line::new(row.sum, total, row.whole, row.label.to_string())
    }

    fn new(sum: Tally, total: Tally, whole: Option<u64>, name: String) -> Line {
        let tenths = (u128::from(sum.bytes) * 1000).checked_div(u128::from(total.bytes)).unwrap_or(1000);
        let share = format!("{}.{}%", tenths / 10, tenths % 10);
        let whole = whole.map(grouped).unwrap_or_default();
        Line { bytes: grouped(sum.bytes), share, files: grouped(sum.files), whole, name }
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
