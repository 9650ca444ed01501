//! Writes format 1.

use super::FORMAT;
use super::choices::ChoiceText;
use super::spelling::{Spelled, spell};
use crate::manifest::totals::Totals;
use crate::manifest::{Because, Boot, Content, Entry, Manifest, Missing, Omission};
use crate::path::RootPath;
use crate::reason::{Evidence, Kind, Priority, Severity};
use crate::text::hex;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, Write};

/// Writes the manifest as format 1. Equal manifests give equal bytes.
///
/// The manifest has to pass [`check`](crate::manifest::check::check), or [`read`](super::read) refuses what is written.
///
/// # Errors
/// Only those of `out`.
pub fn write(manifest: &Manifest, out: impl Write) -> io::Result<()> {
    let mut document = Document::new(out);
    document.value("format", &FORMAT)?;
    document.value("system", &manifest.system)?;
    document.value("arch", &manifest.arch)?;
    document.list("targets", manifest.targets.iter().map(PathText::new))?;
    document.value("rules", &RulesText { digest: hex(&manifest.rules_digest) })?;
    if let Some(boot) = &manifest.boot {
        document.value("boot", &BootText::new(boot))?;
    }
    if let Some(packed) = &manifest.packed {
        document.value("packed", packed)?;
    }
    document.list("entries", manifest.entries.iter().map(EntryText::new))?;
    if !manifest.choices.is_empty() {
        document.list("choices", manifest.choices.iter().map(ChoiceText::new))?;
    }
    document.list("dropped", manifest.dropped.iter().map(OmissionText::new))?;
    document.list("unknown", manifest.unknown.iter().map(OmissionText::new))?;
    document.list("missing", manifest.missing.iter().map(MissingText::new))?;
    document.value("totals", &Totals::of(manifest))?;
    document.end()
}

/// The outer object, in which every value and every element of a list has a line.
pub(crate) struct Document<W> {
    out: W,
    /// The line being made; kept for its memory.
    line: Vec<u8>,
    is_empty: bool,
}

impl<W: Write> Document<W> {
    pub(crate) fn new(out: W) -> Document<W> {
        Document { out, line: Vec::new(), is_empty: true }
    }

    pub(crate) fn value(&mut self, key: &str, value: &impl Serialize) -> io::Result<()> {
        self.key(key)?;
        self.append(value)
    }

    pub(crate) fn list<T: Serialize>(
        &mut self,
        key: &str,
        elements: impl ExactSizeIterator<Item = T>,
    ) -> io::Result<()> {
        self.key(key)?;
        if elements.len() == 0 {
            return self.out.write_all(b"[]");
        }
        let mut separator = "[\n    ";
        for element in elements {
            self.line.extend_from_slice(separator.as_bytes());
            separator = ",\n    ";
            self.append(&element)?;
        }
        self.out.write_all(b"\n  ]")
    }

    fn key(&mut self, key: &str) -> io::Result<()> {
        let separator = if self.is_empty { "{\n  " } else { ",\n  " };
        self.is_empty = false;
        write!(self.out, "{separator}\"{key}\": ")
    }

    fn append(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.line, value)?;
        self.out.write_all(&self.line)?;
        self.line.clear();
        Ok(())
    }

    pub(crate) fn end(mut self) -> io::Result<()> {
        self.out.write_all(b"\n}\n")?;
        self.out.flush()
    }
}

#[derive(Serialize)]
struct RulesText {
    digest: String,
}

/// A path as an object of its own.
#[derive(Serialize)]
pub(crate) struct PathText<'a> {
    path: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
}

impl<'a> PathText<'a> {
    pub(crate) fn new(path: &'a RootPath) -> PathText<'a> {
        let Spelled { text: path, hex: path_hex } = spell(path.as_bytes());
        PathText { path, path_hex }
    }
}

#[derive(Serialize)]
struct BootText<'a> {
    kernel: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel_hex: Option<String>,
    kernel_args: &'a str,
}

impl<'a> BootText<'a> {
    fn new(boot: &'a Boot) -> BootText<'a> {
        let Spelled { text: kernel, hex: kernel_hex } = spell(boot.kernel.as_bytes());
        BootText { kernel, kernel_hex, kernel_args: &boot.kernel_args }
    }
}

/// The fields of every type of entry; a type leaves out those it does not have.
#[derive(Serialize)]
struct EntryText<'a> {
    path: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    r#type: &'static str,
    mode: ModeText,
    uid: u32,
    gid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unpacked_from: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unpacked_from_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    major: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minor: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    xattrs: Vec<XattrText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packed: Option<u64>,
    reasons: ReasonsText<'a>,
}

impl<'a> EntryText<'a> {
    fn new(entry: &'a Entry) -> EntryText<'a> {
        let Spelled { text: path, hex: path_hex } = spell(entry.path.as_bytes());
        let mut text = EntryText {
            path,
            path_hex,
            r#type: type_name(&entry.content),
            mode: ModeText(entry.mode),
            uid: entry.uid,
            gid: entry.gid,
            size: None,
            sha256: None,
            unpacked_from: None,
            unpacked_from_hex: None,
            content: None,
            content_base64: None,
            target: None,
            target_hex: None,
            to: None,
            to_hex: None,
            major: None,
            minor: None,
            xattrs: entry.xattrs.iter().map(|(name, value)| XattrText::new(name, value)).collect(),
            package: entry.package.as_deref(),
            packed: entry.packed,
            reasons: ReasonsText(&entry.reasons),
        };
        text.set_content(&entry.content);
        text
    }

    fn set_content(&mut self, content: &'a Content) {
        match content {
            Content::File { size, sha256, unpacked_from } => {
                self.size = Some(*size);
                self.sha256 = Some(hex(sha256));
                (self.unpacked_from, self.unpacked_from_hex) =
                    spell_option(unpacked_from.as_ref().map(RootPath::as_bytes));
            }
            Content::Generated { size, sha256, bytes } => {
                self.size = Some(*size);
                self.sha256 = Some(hex(sha256));
                match bytes.as_deref().map(std::str::from_utf8) {
                    Some(Ok(text)) => self.content = Some(text),
                    Some(Err(_)) => self.content_base64 = bytes.as_ref().map(|bytes| STANDARD.encode(bytes)),
                    None => {}
                }
            }
            Content::Symlink { target } => (self.target, self.target_hex) = spell_option(Some(target)),
            Content::Hardlink { to } => (self.to, self.to_hex) = spell_option(Some(to.as_bytes())),
            Content::Char { major, minor } | Content::Block { major, minor } => {
                self.major = Some(*major);
                self.minor = Some(*minor);
            }
            Content::Directory | Content::Fifo => {}
        }
    }
}

/// The word for what an entry is, as `type` has it.
pub(crate) fn type_name(content: &Content) -> &'static str {
    match content {
        Content::File { .. } => "file",
        Content::Generated { .. } => "generated",
        Content::Directory => "dir",
        Content::Symlink { .. } => "symlink",
        Content::Hardlink { .. } => "hardlink",
        Content::Char { .. } => "char",
        Content::Block { .. } => "block",
        Content::Fifo => "fifo",
    }
}

fn spell_option(bytes: Option<&[u8]>) -> (Option<Cow<'_, str>>, Option<String>) {
    match bytes.map(spell) {
        Some(Spelled { text, hex }) => (Some(text), hex),
        None => (None, None),
    }
}

/// Permission bits in octal, which JSON has no number for.
struct ModeText(u32);

impl Serialize for ModeText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:04o}", self.0))
    }
}

/// Reasons, without a list of their text forms.
pub(super) struct ReasonsText<'a>(pub &'a [Because]);

impl Serialize for ReasonsText<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(BecauseText::new))
    }
}

#[derive(Serialize)]
struct XattrText<'a> {
    name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name_hex: Option<String>,
    value_base64: String,
}

impl<'a> XattrText<'a> {
    fn new(name: &'a [u8], value: &[u8]) -> XattrText<'a> {
        let Spelled { text: name, hex: name_hex } = spell(name);
        XattrText { name, name_hex, value_base64: STANDARD.encode(value) }
    }
}

#[derive(Serialize)]
pub(crate) struct BecauseText<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_hex: Option<String>,
    evidence: Evidence,
    kind: Kind,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
}

impl<'a> BecauseText<'a> {
    pub(crate) fn new(because: &'a Because) -> BecauseText<'a> {
        let (from, from_hex) = spell_option(because.from.as_ref().map(RootPath::as_bytes));
        let reason = &because.reason;
        BecauseText { from, from_hex, evidence: reason.evidence, kind: reason.kind, detail: &reason.detail }
    }
}

#[derive(Serialize)]
pub(crate) struct OmissionText<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_hex: Option<String>,
    evidence: Evidence,
    kind: Kind,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_hex: Option<String>,
    why: &'a str,
}

impl<'a> OmissionText<'a> {
    pub(crate) fn new(omission: &'a Omission) -> OmissionText<'a> {
        let Omission { from, reason, to, why } = omission;
        let (from, from_hex) = spell_option(from.as_ref().map(RootPath::as_bytes));
        let (to, to_hex) = spell_option(to.as_ref().map(RootPath::as_bytes));
        let (evidence, kind, detail) = (reason.evidence, reason.kind, &reason.detail);
        OmissionText { from, from_hex, evidence, kind, detail, to, to_hex, why }
    }
}

#[derive(Serialize)]
pub(crate) struct MissingText<'a> {
    name: &'a str,
    priority: Priority,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_hex: Option<String>,
    evidence: Evidence,
    kind: Kind,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    consequence: Option<ConsequenceText<'a>>,
    probes: Vec<ProbeText<'a>>,
}

#[derive(Serialize)]
struct ConsequenceText<'a> {
    severity: Severity,
    words: &'a str,
}

#[derive(Serialize)]
struct ProbeText<'a> {
    path: &'a str,
    step: &'a str,
    outcome: &'a str,
}

impl<'a> MissingText<'a> {
    pub(crate) fn new(missing: &'a Missing) -> MissingText<'a> {
        let (from, from_hex) = spell_option(missing.from.as_ref().map(RootPath::as_bytes));
        MissingText {
            name: &missing.name,
            priority: missing.priority,
            from,
            from_hex,
            evidence: missing.reason.evidence,
            kind: missing.reason.kind,
            detail: &missing.reason.detail,
            consequence: (missing.consequence.as_ref())
                .map(|consequence| ConsequenceText { severity: consequence.severity, words: &consequence.words }),
            probes: (missing.probes.iter())
                .map(|probe| ProbeText { path: &probe.path, step: &probe.step, outcome: &probe.outcome })
                .collect(),
        }
    }
}
