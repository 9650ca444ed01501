//! What conditions are asked of: the source root and its objects, as the caller knows them.

use super::pattern::{Bindings, StringPattern, SymbolPattern};
use crate::path::RootPath;
use crate::recipe::System;

/// What the engine asks about the source root and its objects, from several threads. Answers must not change during a
/// run.
pub trait Facts: Sync {
    /// What the object at `path` says about itself; `None` for anything that is neither an ELF object nor a script.
    fn object(&self, path: &RootPath) -> Option<ObjectFacts<'_>>;
    /// Whether an undefined dynamic symbol of the object matches.
    fn imports(&self, path: &RootPath, pattern: &SymbolPattern) -> bool;
    /// [`StringPattern::matches`] over the content of the file, for each of the patterns.
    fn strings(&self, path: &RootPath, patterns: &[&StringPattern]) -> Vec<Vec<Bindings>>;
    /// The content of a file of the source root; `None` when there is none.
    fn read(&self, path: &RootPath) -> Option<Vec<u8>>;
    /// Whether the path leads to something in the source root.
    fn exists(&self, path: &RootPath) -> bool;
    /// Where the path leads in the source root, without symlinks; for a link to an absolute path that is not there, as
    /// `/dev/null` in a root without devices, that path.
    fn leads_to(&self, path: &RootPath) -> Option<RootPath> {
        self.exists(path).then(|| path.clone())
    }
    /// The paths of the source root that match, in the syntax of [`super::path_glob`]. They are real paths: symlinked
    /// directories are not entered, so rules write `/{usr/,}lib` for roots with and without merged `/usr`.
    fn glob(&self, pattern: &str) -> Vec<RootPath>;
    /// The hardware profiles the image is for.
    fn hardware(&self) -> &[String];
    /// The system that the root holds: rules for another do not fire.
    fn system(&self) -> System;
    /// The processor architecture, in the kernel's word; empty when not known.
    fn arch(&self) -> &str;
    /// The variables that commands of the image are started with: `NAME=value`, each with a NUL behind it.
    fn environment(&self) -> &[u8];
}

/// What conditions compare with.
#[derive(Debug, Clone, Default)]
pub struct ObjectFacts<'a> {
    /// `DT_SONAME` (gABI, "Dynamic Section"); `None` when the object has none, as most programs.
    pub soname: Option<&'a [u8]>,
    /// `DT_NEEDED`, in the order of the object.
    pub needed: Vec<&'a [u8]>,
    /// Of a script, what its `#!` line names.
    pub interpreter: Option<&'a [u8]>,
}
