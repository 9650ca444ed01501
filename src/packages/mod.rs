//! Says which package delivered a file of a root, from the lists that its package system keeps: dpkg's, those of SVR4
//! (pkgadd and Tribblix's zap), or the manifests of an IPS image.

pub mod about;
pub mod actions;
pub mod contents;
mod dpkg;
pub mod image;
mod listed;
pub mod names;

use crate::path::RootPath;
use crate::root::Root;
use std::io;

/// Which package delivered which file of one root.
#[derive(Debug, Default)]
pub struct Packages {
    dpkg: dpkg::Lists,
    listed: listed::Listed,
}

impl Packages {
    /// Reads the lists of a root; one without a package system has no packages, which is no error.
    ///
    /// # Errors
    /// A list that is there and cannot be read.
    pub fn load(root: &Root) -> io::Result<Packages> {
        Ok(Packages { dpkg: dpkg::Lists::load(root)?, listed: listed::Listed::load(root)? })
    }

    /// The package that delivered what is at `path`. `None` for a file of no package.
    ///
    /// A directory that several packages share has no owner for dpkg; for SVR4 and IPS, where every package lists its
    /// directories, it is the first by name. `root` must be the one that was loaded. The directories of `path` are
    /// followed, its last component is not.
    pub fn owner(&self, root: &Root, path: &RootPath) -> Option<&str> {
        self.dpkg.owner(root, path).or_else(|| self.listed.owner(root, path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A root with the given files, their directories made.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        directory
    }

    fn check(directory: &tempfile::TempDir, expected: &[(&str, Option<&str>)]) {
        let root = Root::open(directory.path()).unwrap();
        let packages = Packages::load(&root).unwrap();
        for (path, owner) in expected {
            assert_eq!(packages.owner(&root, &RootPath::new(path).unwrap()), *owner, "{path}");
        }
    }

    #[test]
    fn a_tribblix_root_names_its_packages_through_links_too() {
        let contents = "/usr d none 0755 root sys TRIBb SUNWcs\n/usr/bin/ls f none 0555 root bin 1 2 3 SUNWcs\n\
                        /bin=./usr/bin s none SUNWcs\n";
        let directory = root(&[("var/sadm/install/contents", contents), ("usr/bin/ls", "x"), ("usr/bin/mine", "")]);
        std::os::unix::fs::symlink("usr/bin", directory.path().join("bin")).unwrap();
        let expected = [
            ("/usr", Some("SUNWcs")),
            ("/usr/bin/ls", Some("SUNWcs")),
            ("/bin/ls", Some("SUNWcs")),
            ("/bin", Some("SUNWcs")),
            ("/usr/bin/mine", None),
        ];
        check(&directory, &expected);
    }

    #[test]
    fn only_installed_manifests_of_an_image_count() {
        let manifest = |name: &str, path: &str| {
            format!("set name=pkg.fmri value=pkg://omnios/{name}@1\ndir path=usr mode=0755\nfile aa path={path}\n")
        };
        let (old, new, other) =
            (manifest("system/library", "old"), manifest("system/library", "lib/new"), manifest("a/first", "b"));
        let mut files = vec![
            ("var/pkg/publisher/omnios/pkg/system%2Flibrary/1%2C5.11-1%3A20240101T000000Z", old.as_str()),
            ("var/pkg/publisher/omnios/pkg/system%2Flibrary/2%2C5.11-1%3A20250101T000000Z", new.as_str()),
            ("var/pkg/publisher/omnios/pkg/a%2Ffirst/1", other.as_str()),
        ];
        check(&root(&files), &[("/old", Some("system/library")), ("/lib/new", Some("system/library"))]);
        let catalog = r#"{"_SIGNATURE": {"sha-1": "aa"}, "omnios": {
            "system/library": [{"signature-sha-1": "x", "version": "2,5.11-1:20250101T000000Z"}],
            "a/first": [{"version": "1"}]}}"#;
        files.push(("var/pkg/state/installed/catalog.base.C", catalog));
        let expected =
            [("/old", None), ("/lib/new", Some("system/library")), ("/b", Some("a/first")), ("/usr", Some("a/first"))];
        check(&root(&files), &expected);
    }

    #[test]
    fn a_damaged_manifest_names_its_package_and_line() {
        let directory = root(&[("var/pkg/publisher/p/pkg/a%2Fb/1", "set name=x\nfile path=\"\n")]);
        let error = Packages::load(&Root::open(directory.path()).unwrap()).unwrap_err().to_string();
        assert_eq!(error, "`a/b`: line 2 of the manifest: a quote is not closed");
    }
}
