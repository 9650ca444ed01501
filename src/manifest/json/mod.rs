//! Format 1: the manifest as one JSON document, for people to read, for `diff` and for other programs.
//!
//! Every element of a list has a line of its own, keys have a fixed order and nothing depends on the host or the
//! clock, so equal manifests are equal files and a small change is a small `diff`. A path is bytes, JSON is Unicode:
//! bytes that are not UTF-8 are shown escaped under their key and are told exactly under the same key with `_hex`.
//!
//! `packed`, of the document and of its files, is there when an archive was measured, and a minroot from before that
//! refuses it by name; all others are as they were.

mod choices;
mod entry;
mod fields;
mod outline;
mod read;
mod spelling;
mod write;

pub(crate) use choices::ChoiceText;
#[doc(hidden)]
pub use outline::Outline;
pub use read::{ManifestError, read};
pub use write::write;
pub(crate) use write::{BecauseText, Document, MissingText, OmissionText, PathText, type_name};

/// The number of the format that is written, and the only one that is read.
pub const FORMAT: u64 = 1;

#[cfg(test)]
mod tests;
