//! Configuration files to bindings: what a rule can say about the content of a file. One file per format.
//!
//! A reader never fails: the program that reads the file at run time skips what it does not understand, and so do we.

mod nsswitch;

use super::pattern::Bindings;

/// A configuration format that rules can name.
#[derive(Debug)]
pub struct Reader {
    /// As in `reader = "…"`.
    pub name: &'static str,
    /// The names every bindings map has; each can also be used as a filter in `when`.
    pub bindings: &'static [&'static str],
    read: fn(&[u8]) -> Vec<Bindings>,
}

/// Every format, by name.
pub static READERS: &[Reader] = &[Reader { name: "nsswitch", bindings: nsswitch::BINDINGS, read: nsswitch::read }];

impl Reader {
    /// One map per thing the file names, in the order of the file.
    pub fn read(&self, text: &[u8]) -> Vec<Bindings> {
        (self.read)(text)
    }
}
