//! What the resolver has found out, in the order it did, each fact once however many processes show it.

use super::places::{NameId, PlaceId};
use crate::reason::{Priority, Reason};
use crate::resolve::store::ObjectId;
use crate::resolve::{Probe, Step};

/// A caller takes it with [`super::Glibc::take_findings`].
#[derive(Debug, Default)]
pub struct Findings {
    pub bindings: Vec<Binding>,
    pub missing: Vec<Failure>,
    pub versions: Vec<VersionFailure>,
}

/// A name that led to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    pub referrer: ObjectId,
    /// For [`super::Glibc::name`].
    pub name: NameId,
    pub place: PlaceId,
    pub step: Step,
    pub by: By,
    /// The referrer's own search would have failed: it works because something else has loaded the object.
    pub by_load_order_only: bool,
}

/// How a name was asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum By {
    Needed,
    Interpreter,
    /// A word of `/etc/ld.so.preload`; the referrer is an executable.
    Preload,
    /// A glibc-hwcaps variant of the referrer, which newer processors take instead.
    Variant,
    /// By `dlopen`, for the reason and with the priority of the request.
    Dlopen(Reason, Option<Priority>),
}

/// A name that led nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub referrer: ObjectId,
    /// The first executable in whose process it failed.
    pub executable: ObjectId,
    pub name: Box<[u8]>,
    pub by: By,
    /// The last one is [`crate::resolve::Outcome::Fatal`] if that ended the search.
    pub probes: Vec<Probe>,
}

/// A version that the library in use does not define.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VersionFailure {
    pub referrer: ObjectId,
    pub library: ObjectId,
    /// What the library was asked for as.
    pub name: Box<[u8]>,
    pub version: Box<[u8]>,
}

/// A library that the running program will ask for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request {
    /// Whose code calls `dlopen`: its search path counts.
    pub caller: ObjectId,
    /// The first one that is there is loaded. Never empty.
    pub names: Vec<Box<[u8]>>,
    pub reason: Reason,
    /// `None` when the absence of all is not worth a word.
    pub priority: Option<Priority>,
}

impl Request {
    /// The names, for messages and as a name for what is missing: `libbpf.so.1 or libbpf.so.0`.
    pub fn name(&self) -> Box<[u8]> {
        self.names.join(&b" or "[..]).into()
    }

    pub(super) fn by(&self) -> By {
        By::Dlopen(self.reason.clone(), self.priority)
    }
}

/// Where a request would lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sought {
    /// To what the process has already.
    Loaded,
    To(PlaceId),
    /// Nowhere, with every place tried for any of its names.
    Nowhere(Vec<Probe>),
}
