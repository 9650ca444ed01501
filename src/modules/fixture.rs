//! Small module trees for the tests, written as text.

use super::{ModuleIndex, ModuleName, Referrer, Request, Selection, Wanted, depmod, modinfo, select};
use crate::path::RootPath;
use crate::reason::Priority;
use crate::root::Root;
use std::path::PathBuf;

/// A root with one kernel version, 6.1.
pub(super) struct Tree {
    directory: tempfile::TempDir,
}

impl Tree {
    /// Module paths below the version directory with their `.modinfo` fields; the suffix says how each is compressed.
    pub fn new(modules: &[(&str, &[&str])]) -> Tree {
        let tree = Tree { directory: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(tree.version("")).unwrap();
        for (path, fields) in modules {
            let plain = modinfo::tests::module(fields);
            let bytes = match path.rsplit('.').next() {
                Some("xz") => compress(liblzma::read::XzEncoder::new(&plain[..], 0)),
                Some("gz") => compress(flate2::read::GzEncoder::new(&plain[..], flate2::Compression::fast())),
                Some("zst") => zstd::encode_all(&plain[..], 1).unwrap(),
                _ => plain,
            };
            tree.write(&format!("lib/modules/6.1/{path}"), &bytes);
        }
        tree
    }

    /// Adds a file by its path below the root.
    pub fn with(self, path: &str, content: &[u8]) -> Tree {
        self.write(path, content);
        self
    }

    /// Adds an index file as depmod or the kernel build would.
    pub fn with_index(self, name: &str, text: &str) -> Tree {
        self.with(&format!("lib/modules/6.1/{name}"), text.as_bytes())
    }

    /// Adds all index files that `depmod` makes of what is there.
    pub fn with_depmod(self) -> Tree {
        for (name, bytes) in depmod::write(&self.index(), |_| true, depmod::FileNames::AsInRoot).unwrap() {
            self.write(&format!("lib/modules/6.1/{name}"), &bytes);
        }
        self
    }

    pub fn remove(&self, path: &str) {
        std::fs::remove_file(self.version(path)).unwrap();
    }

    pub fn root(&self) -> Root {
        Root::open(self.directory.path()).unwrap()
    }

    pub fn index(&self) -> ModuleIndex {
        ModuleIndex::load(&self.root(), &RootPath::new("/lib/modules/6.1").unwrap()).unwrap()
    }

    /// Selects modules or aliases that a recipe names.
    pub fn select(&self, wanted: &[&str]) -> Selection {
        let request = |name: &&str| Request {
            by: Referrer::Recipe,
            wanted: Wanted::Name((*name).to_owned()),
            priority: Priority::Required,
        };
        select(&self.root(), &self.index(), &wanted.iter().map(request).collect::<Vec<_>>())
    }

    fn version(&self, path: &str) -> PathBuf {
        self.directory.path().join("lib/modules/6.1").join(path)
    }

    fn write(&self, path: &str, content: &[u8]) {
        let path = self.directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

/// The names to load in order, then those only kept in brackets: `a b [c]`.
pub(super) fn outcome(selection: &Selection) -> String {
    let word = |name: &ModuleName, load| if load { name.to_string() } else { format!("[{name}]") };
    selection.modules.iter().map(|m| word(&m.name, m.load)).collect::<Vec<_>>().join(" ")
}

fn compress(mut encoder: impl std::io::Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    encoder.read_to_end(&mut bytes).unwrap();
    bytes
}
