//! Owners by path, for package systems whose lists name paths as they are on disk: SVR4 and IPS.

use super::contents;
use super::image;
use crate::path::RootPath;
use crate::root::Root;
use foldhash::{HashMap, HashMapExt};
use rayon::prelude::*;
use std::io;

const CONTENTS: &str = "/var/sadm/install/contents";

/// Which package delivered which path.
#[derive(Debug, Default)]
pub struct Listed {
    names: Vec<String>,
    by_path: HashMap<RootPath, u32>,
}

impl Listed {
    /// Reads what a root says about SVR4 and IPS packages; where both name a path, IPS counts.
    ///
    /// # Errors
    /// A list that is there and cannot be read.
    pub fn load(root: &Root) -> io::Result<Listed> {
        let mut listed = Listed::default();
        let mut ids = HashMap::new();
        if let Some(text) = root.read_optional(&RootPath::new(CONTENTS).expect("a constant"))? {
            for listing in contents::listings(&String::from_utf8_lossy(&text)) {
                let owners = listing.packages.iter().copied();
                // The first by name stands for all.
                let (Ok(path), Some(owner)) = (RootPath::new(listing.path), owners.min()) else { continue };
                let id = listed.id(&mut ids, owner);
                listed.by_path.insert(path, id);
            }
        }
        let installed = image::installed(root)?;
        let manifests: Vec<(&str, Vec<RootPath>)> = installed
            .par_iter()
            .map(|package| {
                let actions = package.actions(root)?;
                let path = |path: &str| RootPath::new(format!("/{path}")).ok();
                Ok((package.stem.as_str(), actions.iter().filter_map(|action| path(action.path()?)).collect()))
            })
            .collect::<io::Result<_>>()?;
        let mut by_name: Vec<_> = manifests.iter().collect();
        // From the last name to the first, which stays.
        by_name.sort_by(|a, b| b.0.cmp(a.0));
        for (stem, paths) in by_name {
            let id = listed.id(&mut ids, stem);
            listed.by_path.extend(paths.iter().map(|path| (path.clone(), id)));
        }
        Ok(listed)
    }

    /// The package that delivered `path`; of several, the first by name.
    pub fn owner(&self, root: &Root, path: &RootPath) -> Option<&str> {
        if self.by_path.is_empty() {
            return None;
        }
        let id = self.by_path.get(path).or_else(|| {
            // Without the symlinks of its directories: a list says `/usr/bin/ls` where the path is `/bin/ls`.
            let parent = root.directory(&path.parent()?).ok()?;
            self.by_path.get(&parent.path.join(path.file_name()))
        })?;
        Some(&self.names[*id as usize])
    }

    fn id(&mut self, ids: &mut HashMap<String, u32>, name: &str) -> u32 {
        *ids.entry(name.to_owned()).or_insert_with(|| {
            self.names.push(name.to_owned());
            u32::try_from(self.names.len() - 1).expect("internal error: more packages than a list can hold")
        })
    }
}
