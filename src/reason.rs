//! Why one file needs another: the label on every edge of the graph and every reason of the manifest.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The class of proof behind an edge; each edge has exactly one. The order is from the strongest to the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// The user asked for it: a target, an `include`, a startup line.
    Target,
    /// Read from the object and resolved by the rules of its loader.
    Proven,
    /// Metadata says so: `.note.dlopen`, softdep, weakdep, firmware, package data.
    Declared,
    /// A rule in `rules/` fired; the rule's id is the detail's prefix.
    Rule,
    /// Seen in an imported run-time trace.
    Observed,
    /// A string that looks like a library, a program or a file; listed, not kept.
    Suspected,
}

/// What kind of reference an edge stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Asked for by path.
    Target,
    /// A line of the recipe's startup.
    Startup,
    /// A file of the recipe.
    RecipeFile,
    /// `DT_NEEDED`.
    Needed,
    /// `DT_NEEDED` that is loaded when first used (illumos).
    LazyNeeded,
    /// What a filter stands for (illumos `DT_FILTER`, `DT_AUXILIARY` and their kin).
    Filtee,
    /// `PT_INTERP`.
    Interpreter,
    /// A `#!` line.
    Script,
    /// A line of `/etc/ld.so.preload`.
    Preload,
    /// The symlink's target.
    Symlink,
    /// The directory an entry is in.
    Directory,
    /// Found through this runtime-linker configuration (`ld.so.conf`, `ld.so.cache`).
    SearchPath,
    /// A glibc-hwcaps variant of a library that is in.
    Variant,
    /// A kernel module's `depends`.
    Module,
    /// The configuration file of an illumos driver.
    DriverConfiguration,
    /// A kernel module's softdep or weakdep.
    SoftModule,
    /// A kernel module chosen by a hardware profile's alias.
    Alias,
    /// A firmware file that a kernel module names.
    Firmware,
    /// `.note.dlopen` or a literal name in an object that calls `dlopen`.
    Dlopen,
    /// Named as a string in an object.
    String,
    /// A rule's `needs`.
    Rule,
}

/// The id of a rule: its path below `rules/` without the suffix, such as `linux/nsswitch`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleId(pub String);

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How badly a reference is wanted, in the words of the ELF dlopen metadata specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// It may be of use.
    Suggested,
    /// The referrer works without it, with less than it could do.
    Recommended,
    /// The referrer does not work without it.
    #[default]
    Required,
}

/// What happens when something is missing, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The kernel panics or halts.
    Panic,
    /// The machine hangs, or waits at a prompt for somebody.
    Hang,
    /// Somebody prints a warning and goes on.
    Warning,
    /// A feature is lost without a word.
    Loss,
}

/// What a machine does without a file: of a missing reference the part that a user will see.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Consequence {
    /// How bad it is, which decides the priority of the reference.
    pub severity: Severity,
    /// In the words of the component that fails, where it has any: ``Can't load specfs``.
    pub words: Arc<str>,
}

impl Severity {
    /// How badly a thing is wanted whose absence has this consequence: only what keeps the machine from running is
    /// required.
    pub fn priority(self) -> Priority {
        match self {
            Severity::Panic | Severity::Hang => Priority::Required,
            Severity::Warning => Priority::Recommended,
            Severity::Loss => Priority::Suggested,
        }
    }
}

/// Why a file is in: one edge of the graph, without its two ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason {
    /// How sure it is.
    pub evidence: Evidence,
    /// Which kind of reference it was.
    pub kind: Kind,
    /// The words the referrer used: a soname, the text of a `#!` line, a rule's id, a module alias. May be empty.
    /// Shared, because one reference leaves many edges: to the file, its links and the directories on its way.
    pub detail: Arc<str>,
}

impl Reason {
    /// A reason in the referrer's own words; see [`Reason::detail`].
    pub fn new(evidence: Evidence, kind: Kind, detail: impl Into<Arc<str>>) -> Reason {
        Reason { evidence, kind, detail: detail.into() }
    }

    /// The id of the rule that gives the reason, the beginning of the detail: of `linux/nsswitch:30 database=hosts` it is
    /// `linux/nsswitch`, of `hardware/qemu: …` it is `hardware/qemu`. `None` when no rule does.
    pub fn rule(&self) -> Option<&str> {
        let id = self.detail.split([' ', ':']).next()?;
        (self.evidence == Evidence::Rule).then_some(id)
    }

    /// Whether the rule with this id gives the reason; with its line, `linux/nsswitch:30`, only that part of the rule.
    pub fn is_of_rule(&self, id: &str) -> bool {
        let after = self.detail.strip_prefix(id);
        self.evidence == Evidence::Rule && after.is_some_and(|after| after.is_empty() || after.starts_with([' ', ':']))
    }

    /// Whether both are the same reason, wherever in its file the rule is that gives it.
    pub fn is_like(&self, other: &Reason) -> bool {
        (self.evidence, self.kind) == (other.evidence, other.kind)
            && (self.detail == other.detail
                || self.evidence == Evidence::Rule && without_line(&self.detail) == without_line(&other.detail))
    }
}

/// A rule's id and what matched, of `linux/nsswitch:30 database=hosts`.
fn without_line(detail: &str) -> (&str, &str) {
    let (place, matched) = detail.split_at(detail.find(' ').unwrap_or(detail.len()));
    match place.rsplit_once(':') {
        Some((id, line)) if line.bytes().all(|byte| byte.is_ascii_digit()) => (id, matched),
        _ => (place, matched),
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Evidence::Target => "target",
            Evidence::Proven => "proven",
            Evidence::Declared => "declared",
            Evidence::Rule => "rule",
            Evidence::Observed => "observed",
            Evidence::Suspected => "suspected",
        })
    }
}

/// The word of the manifest: `needed`, `recipe-file`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Serde knows the kebab-case names already; a unit variant serializes to a formatter as its name.
        self.serialize(f)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// `panic: Can't load specfs`.
impl fmt::Display for Consequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity, self.words)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_known_by_its_id_whatever_follows() {
        let rule = |detail: &str| Reason::new(Evidence::Rule, Kind::Rule, detail);
        for detail in ["linux/a", "linux/a:30", "linux/a:30 x=y", "linux/a x=y", "linux/a: words"] {
            assert!(rule(detail).is_of_rule("linux/a"), "{detail}");
            assert_eq!(rule(detail).rule(), Some("linux/a"));
        }
        assert!(!rule("linux/ab:30").is_of_rule("linux/a"));
        assert_eq!(Reason::new(Evidence::Proven, Kind::Needed, "libc.so.6").rule(), None);
        assert!(rule("linux/a:30 x=y").is_like(&rule("linux/a:4 x=y")));
        assert!(!rule("linux/a:30 x=y").is_like(&rule("linux/a:30 x=z")));
        assert!(!rule("hardware/q: 1").is_like(&rule("hardware/q: 2")));
    }
}
