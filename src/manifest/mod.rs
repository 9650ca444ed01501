//! The manifest: every kept path with kind, mode, owner, size, digest and the reasons it is in.
//!
//! The types here say what an image holds; [`json`] is their stable text form (format 1).

#[doc(hidden)]
pub mod check;
mod choice;
pub mod json;
pub mod lists;
#[doc(hidden)]
pub mod needs;
#[doc(hidden)]
pub mod source;
pub mod totals;
pub mod tree;

pub use choice::{Alternative, Choice, Verdict};

use crate::path::RootPath;
use crate::reason::{Consequence, Evidence, Reason};
use crate::recipe::System;
use serde::{Deserialize, Serialize};

/// Everything an image is to hold, and what was decided on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Which system's runtime linker and kernel the files are for.
    pub system: System,
    /// The processor architecture, in the kernel's word: `x86_64`, `aarch64`; empty when no object told.
    pub arch: String,
    /// What the user asked for, sorted.
    pub targets: Vec<RootPath>,
    /// SHA-256 over the rules that were in force.
    pub rules_digest: [u8; 32],
    /// How the image starts; absent for a plain file set.
    pub boot: Option<Boot>,
    /// The archive that was made of the entries, once [`measure`](crate::pack::measure) has looked at it.
    pub packed: Option<Packed>,
    /// Sorted by path: every directory before what is in it, every file before the hard links to it.
    pub entries: Vec<Entry>,
    /// What was chosen among alternatives, sorted.
    pub choices: Vec<Choice>,
    /// References that were left out on purpose.
    pub dropped: Vec<Omission>,
    /// References that were seen but not understood, such as `dlopen` of a computed name.
    pub unknown: Vec<Omission>,
    /// References that lead nowhere.
    pub missing: Vec<Missing>,
}

/// What the boot loader needs; these files go onto the ISO, not into the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// The kernel image inside the root.
    pub kernel: RootPath,
    /// The complete kernel command line.
    pub kernel_args: String,
}

/// An archive, and what it takes besides the content of its files: with [`Entry::packed`] of all files its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packed {
    /// As `--format` names it.
    pub format: String,
    /// As `--compress` names it.
    pub compression: String,
    /// Of the compression.
    pub level: i32,
    /// All of the archive, compressed.
    pub bytes: u64,
    /// Headers, names, links, padding and free space, compressed.
    pub overhead: u64,
}

/// One path of the image: what is there, whose it is, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is in the image.
    pub path: RootPath,
    /// What is there.
    pub content: Content,
    /// Permission bits with setuid, setgid and sticky (`0o7777`).
    pub mode: u32,
    /// Owner, as a number: the names are those of the image's own `/etc/passwd`.
    pub uid: u32,
    /// Group, as a number.
    pub gid: u32,
    /// Extended attributes, sorted by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// The package that delivered the path, where the root says so.
    pub package: Option<String>,
    /// Bytes of the compressed archive that the content takes, an estimate: there for every file when [`Manifest::packed`]
    /// is, and for nothing else.
    pub packed: Option<u64>,
    /// Sorted; never empty.
    pub reasons: Vec<Because>,
}

/// One reason for an entry: who refers to it, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Because {
    /// The entry that needs this one; `None` when the user asked for it.
    pub from: Option<RootPath>,
    /// How it needs it.
    pub reason: Reason,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A regular file of the root.
    File {
        /// Bytes, holes included.
        size: u64,
        /// Digest of the content as it is in the image.
        sha256: [u8; 32],
        /// The bytes come from this path of the root, decompressed: a kernel module `x.ko` from `x.ko.xz`.
        unpacked_from: Option<RootPath>,
    },
    /// A regular file that minroot or the recipe made.
    Generated {
        /// Bytes.
        size: u64,
        /// Digest of the content.
        sha256: [u8; 32],
        /// The bytes; absent for a large file of the recipe, which has to be given again to pack it.
        bytes: Option<Vec<u8>>,
    },
    /// A directory; what is in it are entries of their own.
    Directory,
    /// A symlink.
    Symlink {
        /// The text of the link: never empty, no NUL byte; it may lead nowhere.
        target: Vec<u8>,
    },
    /// A further name of the file at `to`, which sorts before this entry.
    Hardlink {
        /// The path of the file.
        to: RootPath,
    },
    /// A character device.
    Char {
        /// Major number as the target's kernel counts it.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Major number as the target's kernel counts it.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// A reference that did not become an entry, with the reason it might have been one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Omission {
    /// The entry that refers; `None` when the user or the recipe does.
    pub from: Option<RootPath>,
    /// The reason it would have been in for.
    pub reason: Reason,
    /// Where the reference would have led, when that is known.
    pub to: Option<RootPath>,
    /// Why it was left out, or why it cannot be known.
    pub why: String,
}

/// A reference that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// The entry that refers; `None` when the user or the recipe does.
    pub from: Option<RootPath>,
    /// The reason it was looked for.
    pub reason: Reason,
    /// What was asked for: a soname, a path, a module name.
    pub name: String,
    /// A missing required reference makes `trace` exit with 1; the others are told.
    pub priority: crate::reason::Priority,
    /// What happens without it, where a rule says so.
    pub consequence: Option<Consequence>,
    /// Every place tried, in order.
    pub probes: Vec<Probed>,
}

/// A place that was tried, in words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probed {
    /// The place, a path of the root; in a message only, so bytes that are not UTF-8 are escaped.
    pub path: String,
    /// Why this place was tried: `runpath of /usr/bin/x`, `default directory`.
    pub step: String,
    /// What was there: `no such file`, `wrong ELF class`.
    pub outcome: String,
}

impl Manifest {
    /// Nothing but entries, which have to be sorted by path.
    pub fn new(system: System, arch: &str, entries: Vec<Entry>) -> Manifest {
        Manifest {
            system,
            arch: arch.to_owned(),
            targets: Vec::new(),
            rules_digest: [0; 32],
            boot: None,
            packed: None,
            entries,
            choices: Vec::new(),
            dropped: Vec::new(),
            unknown: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// The entry at `path`.
    pub fn entry(&self, path: &RootPath) -> Option<&Entry> {
        self.entries.binary_search_by(|e| e.path.cmp(path)).ok().map(|i| &self.entries[i])
    }

    /// Bytes of file content, each inode counted once; saturates at the largest `u64`, which no real manifest reaches.
    pub fn total_bytes(&self) -> u64 {
        self.entries.iter().map(Entry::size).fold(0, u64::saturating_add)
    }
}

impl Missing {
    /// ``fs/specfs` needed by /platform/… (rule illumos/boot/startup-modules): panic: Can't load specfs``.
    pub fn sentence(&self) -> String {
        let mut text = format!("`{}`", self.name);
        if let Some(from) = &self.from {
            text.push_str(&format!(" needed by {from}"));
        }
        if self.reason.evidence == Evidence::Rule {
            text.push_str(&format!(" (rule {})", self.reason.detail));
        } else if !self.reason.detail.is_empty() && *self.reason.detail != *self.name {
            text.push_str(&format!(" ({})", self.reason.detail));
        }
        if let Some(consequence) = &self.consequence {
            text.push_str(&format!(": {consequence}"));
        }
        text
    }
}

impl Entry {
    /// Bytes of content; 0 for anything without content of its own.
    pub fn size(&self) -> u64 {
        match self.content {
            Content::File { size, .. } | Content::Generated { size, .. } => size,
            _ => 0,
        }
    }

    /// Whether it is a regular file with content of its own, generated ones included; a hard link is not.
    pub fn is_file(&self) -> bool {
        matches!(self.content, Content::File { .. } | Content::Generated { .. })
    }
}
