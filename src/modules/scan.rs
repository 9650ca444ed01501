//! The module files that a version directory really has.

use super::{ModuleName, is_module_file};
use crate::path::RootPath;
use crate::root::{Directory, FileKind, LookupError, Root};
use rayon::prelude::*;
use std::collections::HashMap;

/// Every module file below `version`, by path; of several files of one name the one that depmod would take.
pub(super) struct ModuleFiles {
    /// Sorted by path.
    pub chosen: Vec<(ModuleName, RootPath)>,
    /// Files that another of the same name hides, sorted.
    pub hidden: Vec<RootPath>,
}

/// # Errors
/// When a directory cannot be read.
pub(super) fn module_files(root: &Root, version: &RootPath) -> Result<ModuleFiles, LookupError> {
    let mut paths = Vec::new();
    // Level by level: a kernel has some 900 directories with few files each, so opening them is what takes the time.
    let mut level = vec![version.clone()];
    while !level.is_empty() {
        let lists: Result<Vec<_>, _> = level.into_par_iter().map(|directory| list(root, directory)).collect();
        let (files, directories): (Vec<_>, Vec<_>) = lists?.into_iter().unzip();
        paths.extend(files.into_iter().flatten());
        level = directories.into_iter().flatten().collect();
    }
    paths.sort_unstable();
    Ok(choose(version, paths))
}

/// The module files and the directories in one directory.
fn list(root: &Root, path: RootPath) -> Result<(Vec<RootPath>, Vec<RootPath>), LookupError> {
    let directory = Directory { path, links: Vec::new(), through: Vec::new() };
    let names = root.read_dir(&directory).map_err(|error| LookupError::Io {
        path: directory.path.clone(),
        error: rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO),
    })?;
    let (mut files, mut directories) = (Vec::new(), Vec::new());
    for name in names {
        let path = directory.path.join(&name);
        if is_module_file(&name) {
            files.push(path);
        } else if may_be_directory(&name) && root.lookup_nofollow(&path)?.info.kind == FileKind::Directory {
            directories.push(path);
        }
    }
    Ok((files, directories))
}

/// `build` and `source` lead to the kernel's sources, which depmod does not enter either; its own files need no stat.
fn may_be_directory(name: &[u8]) -> bool {
    !matches!(name, b"build" | b"source") && !name.starts_with(b"modules.")
}

/// depmod's built-in rule is `search updates built-in` (depmod.d(5)): a module in `updates/` hides its namesake. Among
/// equals the first by path wins; depmod takes the first that readdir gives.
fn choose(version: &RootPath, paths: Vec<RootPath>) -> ModuleFiles {
    let updates = version.join(b"updates");
    let (first, second): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.starts_with(&updates));
    let mut by_name: HashMap<ModuleName, RootPath> = HashMap::new();
    let mut hidden = Vec::new();
    for path in first.into_iter().chain(second) {
        let name = ModuleName::new(&String::from_utf8_lossy(path.file_name()));
        match by_name.entry(name) {
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(path);
            }
            std::collections::hash_map::Entry::Occupied(_) => hidden.push(path),
        }
    }
    let mut chosen: Vec<_> = by_name.into_iter().collect();
    chosen.sort_unstable_by(|a, b| a.1.cmp(&b.1));
    hidden.sort_unstable();
    ModuleFiles { chosen, hidden }
}
