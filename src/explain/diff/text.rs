//! A difference in words.

use super::{Change, Difference, Group};
use crate::explain::text::because_in_words;
use crate::manifest::needs::Step;
use crate::manifest::{Boot, Entry, Packed};
use crate::path::escaped;
use crate::text::{Style, count, grouped, size, written};
use std::fmt::{self, Display};

impl Difference<'_> {
    /// The difference for people: several lines, each ended by a newline.
    pub fn text(&self, style: Style) -> impl Display + '_ {
        written(move |f| self.write(style, f))
    }

    fn write(&self, style: Style, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let growth = signed(i128::from(self.new_bytes) - i128::from(self.old_bytes));
        writeln!(f, "{}, before {}: {growth} bytes", size(self.new_bytes), size(self.old_bytes))?;
        if let Some(packed) = &self.packed {
            let (after, before) = (packed_in_words(packed.new), packed_in_words(packed.old));
            writeln!(f, "packed: {after}, before {before}: {} bytes", signed(packed.growth()))?;
            let parts = packed.parts().into_iter().filter(|(_, growth)| *growth != 0);
            let parts: Vec<String> = parts.map(|(name, growth)| format!("{name} {}", signed(growth))).collect();
            if !parts.is_empty() {
                writeln!(f, "  of these about: {}", parts.join(", "))?;
            }
        }
        for (what, which, sign, groups) in
            [("added", "a new reason", '+', &self.added), ("removed", "the lost reason", '-', &self.removed)]
        {
            for group in groups {
                let n = count(group.entries.len() as u64, "path");
                write!(f, "\n{what}: {n}, {sign}{} bytes", grouped(group.bytes))?;
                if let Some(packed) = group.packed {
                    write!(f, ", about {sign}{} packed", grouped(packed))?;
                }
                writeln!(f, "{}", style.remark(cause(group, which)))?;
                entries(f, style, sign, &group.entries)?;
            }
        }
        if !self.changed.is_empty() {
            writeln!(f, "\nchanged: {}", count(self.changed.len() as u64, "path"))?;
        }
        for change in &self.changed {
            writeln!(f, "  {}: {}", style.path(&change.new.path), in_words(change))?;
        }
        if let Some((old, new)) = self.boot {
            writeln!(f, "\nboot: {}, before {}", boot_in_words(new), boot_in_words(old))?;
        }
        for (title, missing) in [("now missing", &self.now_missing), ("no longer missing", &self.no_longer_missing)] {
            if !missing.is_empty() {
                writeln!(f, "\n{title}:")?;
            }
            for missing in missing {
                writeln!(f, "  {} [{}]", escaped(missing.sentence().as_bytes()), missing.priority)?;
            }
        }
        Ok(())
    }
}

fn entries(f: &mut fmt::Formatter, style: Style, sign: char, entries: &[&Entry]) -> fmt::Result {
    let shown = |entry: &Entry| format!("{sign}{}", grouped(entry.size()));
    let width = entries.iter().map(|entry| shown(entry).len()).max().unwrap_or_default();
    entries.iter().try_for_each(|entry| writeln!(f, "  {:>width$}  {}", shown(entry), style.path(&entry.path)))
}

/// `, because of a new reason for /usr/lib/libz.so.1: NEEDED of /usr/bin/node [proven]`.
fn cause(group: &Group, which: &str) -> String {
    match group.cause {
        Some(Step { entry, because: Some(because) }) => {
            format!(", because of {which} for {}: {}", entry.path, because_in_words(because, &entry.path))
        }
        _ => ", without a chain of reasons".to_owned(),
    }
}

fn in_words(change: &Change) -> String {
    let mut words: Vec<String> = Vec::new();
    let growth = change.growth();
    for field in &change.fields {
        words.push(match field.name {
            "size" => format!("{} bytes", signed(growth)),
            // Who wants to compare digests asks for JSON.
            "sha256" if growth != 0 => continue,
            "sha256" => "other content of the same size".to_owned(),
            name => format!("{name} {}, before {}", or_none(&field.new), or_none(&field.old)),
        });
    }
    if let Some(growth) = change.packed_growth.filter(|growth| *growth != 0 || change.changes_content()) {
        words.push(format!("about {} bytes packed", signed(growth)));
    }
    words.join("; ")
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

/// `1.2 KiB (1,234 bytes) as cpio with zstd, level 9`.
fn packed_in_words(packed: &Packed) -> String {
    let Packed { format, compression, level, bytes, .. } = packed;
    let [format, compression] = [format, compression].map(|word| escaped(word.as_bytes()).to_string());
    format!("{} as {format} with {compression}, level {level}", size(*bytes))
}

fn boot_in_words(boot: Option<&Boot>) -> String {
    boot.map_or_else(
        || "none".to_owned(),
        |Boot { kernel, kernel_args }| format!("{kernel} `{}`", escaped(kernel_args.as_bytes())),
    )
}

/// `+1,234`, `-5`, `+0`.
fn signed(number: i128) -> String {
    let sign = if number < 0 { '-' } else { '+' };
    // The difference of two u64 fits.
    format!("{sign}{}", grouped(u64::try_from(number.unsigned_abs()).unwrap_or(u64::MAX)))
}
