//! For a path that is not there: the path that is there and was most likely meant.

use super::facts::Facts;
use super::problem::nearest;
use crate::path::RootPath;

/// The nearest existing name beside the first component of `path` that does not exist; `None` when nothing is close.
pub fn nearest_existing(path: &RootPath, facts: &dyn Facts) -> Option<RootPath> {
    let mut missing = path.clone();
    let directory = loop {
        let parent = missing.parent()?;
        if parent.is_root() || facts.exists(&parent) {
            break parent;
        }
        missing = parent;
    };
    let directory = std::str::from_utf8(directory.as_bytes()).ok()?;
    let beside = facts.glob(&format!("{}/*", globset::escape(directory.trim_end_matches('/'))));
    let wanted = std::str::from_utf8(missing.file_name()).ok()?;
    let names = beside.iter().filter_map(|path| std::str::from_utf8(path.file_name()).ok());
    let near = nearest(wanted, names)?;
    beside.iter().find(|path| path.file_name() == near.as_bytes()).cloned()
}
