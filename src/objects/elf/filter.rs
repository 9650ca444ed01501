//! Entries of the dynamic section that only the Solaris link-editor writes: position flags and filters (illumos
//! `usr/src/uts/common/sys/link.h`; Linker and Libraries Guide, "Dynamic Section").
//!
//! `DT_POSFLAG_1` describes the one entry that follows it, whatever that is: a `DT_NEEDED` or a filter. Neither goblin
//! nor object knows these numbers; one of them collides with an Android tag.

use super::Name;
use goblin::elf::dynamic::Dyn;

const DT_POSFLAG_1: u64 = 0x6fff_fdfd;
const DT_FILTER: u64 = 0x7fff_ffff;
const DT_AUXILIARY: u64 = 0x7fff_fffd;
/// A filter for single symbols, as the mapfile of the object says. Android writes `DT_ANDROID_RELA` with this number.
const DT_SUNW_FILTER: u64 = 0x6000_000f;
const DT_SUNW_AUXILIARY: u64 = 0x6000_000d;

/// The entry is loaded when a symbol bound to it is first used.
pub(super) const DF_P1_LAZYLOAD: u64 = 0x1;

/// An object that stands for others: references to its symbols are answered by the filtees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub kind: FilterKind,
    /// `DT_FILTER` and `DT_AUXILIARY` speak for the object, their `DT_SUNW_` counterparts for some of its symbols.
    pub whole_object: bool,
    /// One name, or several with colons between them.
    pub filtees: Name,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterKind {
    /// The filter has no code of its own: without the filtee its symbols do not exist.
    Standard,
    /// The filtee is used where it is there; else the filter's own code.
    Auxiliary,
}

/// What an entry of the dynamic section filters, and whether for the whole object.
pub(super) fn kind(tag: u64) -> Option<(FilterKind, bool)> {
    Some(match tag {
        DT_FILTER => (FilterKind::Standard, true),
        DT_AUXILIARY => (FilterKind::Auxiliary, true),
        DT_SUNW_FILTER => (FilterKind::Standard, false),
        DT_SUNW_AUXILIARY => (FilterKind::Auxiliary, false),
        _ => return None,
    })
}

/// Hands each `DT_POSFLAG_1` to the entry behind it.
#[derive(Default)]
pub(super) struct PositionFlags {
    next: u64,
}

impl PositionFlags {
    /// The flags of one entry; entries have to be given in file order.
    pub(super) fn of_entry(&mut self, entry: &Dyn) -> u64 {
        let flags = std::mem::take(&mut self.next);
        if entry.d_tag == DT_POSFLAG_1 {
            self.next = entry.d_val;
        }
        flags
    }
}
