//! What a root says of its packages besides which files are theirs: version, supplier, licence.
//!
//! Only what package systems keep is read; what they do not say is absent, and nothing is looked up elsewhere.

mod deb822;
mod dpkg;
mod illumos;
mod license;

pub use license::{License, Reference};

use super::image::quote;
use crate::path::RootPath;
use crate::root::Root;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// What is known of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    pub version: Option<String>,
    pub supplier: Option<Supplier>,
    /// The package URL (<https://github.com/package-url/purl-spec>).
    pub purl: String,
    pub license: Option<License>,
    /// The notice that the package installs.
    pub copyright: Option<String>,
}

/// Who made a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supplier {
    pub name: String,
    pub email: Option<String>,
    /// Else an organization, or nobody knows.
    pub is_person: bool,
}

/// What `os-release` says of a system.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Distribution {
    /// `debian`, `ubuntu`.
    id: String,
    version: Option<String>,
}

/// What a root knows of the packages of these names; of one that it does not know, only the name.
///
/// # Errors
/// A file of a package system that is there and cannot be read.
pub fn about<'n>(root: &Root, names: &BTreeSet<&'n str>) -> io::Result<BTreeMap<&'n str, About>> {
    let (mut dpkg, mut ips) = (dpkg::about(root, names)?, illumos::about_ips(root, names)?);
    let one = |name: &&'n str| {
        let known = match dpkg.remove(*name).or_else(|| ips.remove(*name)) {
            Some(about) => Some(about),
            None => illumos::about_svr4(root, name)?,
        };
        Ok((*name, known.unwrap_or_else(|| About::new(name))))
    };
    names.iter().map(one).collect()
}

impl About {
    /// When nothing is known but the name.
    pub fn new(name: &str) -> About {
        let purl = format!("pkg:generic/{}", url_quote(name));
        About { version: None, supplier: None, purl, license: None, copyright: None }
    }
}

impl Supplier {
    fn organization(name: &str) -> Supplier {
        Supplier { name: name.to_owned(), email: None, is_person: false }
    }

    /// Reads `NAME <EMAIL>`. Debian says of nobody whether it is a person: teams are known by the word.
    fn of(maintainer: &str) -> Supplier {
        const TEAMS: [&str; 6] = ["maintainers", "team", "developers", "group", "project", "packagers"];
        let (name, address) = maintainer.split_once('<').unwrap_or((maintainer, ""));
        let (name, address) = (name.trim(), address.trim_end_matches('>').trim());
        // Some packages have the address of a page there.
        let is_email =
            address.split_once('@').is_some_and(|(user, host)| !user.contains(['/', ':']) && !host.is_empty());
        let email = is_email.then(|| address.to_owned());
        let lower = name.to_lowercase();
        let is_person = !lower.split(|c: char| !c.is_alphanumeric()).any(|word| TEAMS.contains(&word));
        Supplier { name: name.trim_matches('"').to_owned(), email, is_person }
    }
}

impl Distribution {
    /// dpkg without `os-release` is taken for Debian's.
    fn of(root: &Root) -> io::Result<Distribution> {
        let path = RootPath::new("/etc/os-release").expect("a constant");
        let text = root.read_optional(&path)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let id = assigned(&text, "ID").unwrap_or_else(|| "debian".to_owned());
        Ok(Distribution { id, version: assigned(&text, "VERSION_ID") })
    }
}

/// The value of a line `NAME=VALUE`, perhaps quoted, of `os-release` or a `pkginfo`; `None` when it is empty or absent.
fn assigned(text: &str, name: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))?.trim();
    let unquoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    Some(unquoted.unwrap_or(value)).filter(|value| !value.is_empty()).map(str::to_owned)
}

/// Percent-encodes for a package URL, in which a colon stays as it is.
fn url_quote(text: &str) -> String {
    quote(text).replace("%3A", ":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn known(files: &[(&str, &str)], name: &str) -> About {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let root = Root::open(directory.path()).unwrap();
        about(&root, &BTreeSet::from([name])).unwrap().remove(name).unwrap()
    }

    #[test]
    fn a_debian_package_is_read_from_status_and_copyright() {
        let status = "Package: other\nVersion: 9\n\nPackage: libx\nStatus: install ok installed\nVersion: 1:2-3\n\
                      Maintainer: X Team <x@example.org>\nArchitecture: amd64\nDescription: x\n long\n";
        let copyright =
            "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: Expat\n";
        let files = [
            ("var/lib/dpkg/status", status),
            ("usr/share/doc/libx/copyright", copyright),
            ("etc/os-release", "NAME=\"U\"\nID=ubuntu\nVERSION_ID=\"24.04\"\n"),
        ];
        let about = known(&files, "libx");
        assert_eq!(about.version.as_deref(), Some("1:2-3"));
        assert_eq!(about.purl, "pkg:deb/ubuntu/libx@1:2-3?arch=amd64&distro=ubuntu-24.04");
        assert_eq!(about.license.unwrap().expression, "MIT");
        let supplier = Supplier { name: "X Team".into(), email: Some("x@example.org".into()), is_person: false };
        assert_eq!(about.supplier, Some(supplier));
        assert_eq!(known(&files, "gone"), About::new("gone"));
        let removed = status.replace("install ok installed", "deinstall ok config-files");
        assert_eq!(known(&[("var/lib/dpkg/status", &removed)], "libx"), About::new("libx"));
    }

    #[test]
    fn packages_of_illumos_are_read_from_their_manifest_or_pkginfo() {
        let manifest = "set name=pkg.fmri value=x\nlicense aa license=lic_CDDL\nlicense bb license=MIT\n";
        let about = known(&[("var/pkg/publisher/omnios/pkg/system%2Flibrary/1%2C5.11", manifest)], "system/library");
        assert_eq!(about.purl, "pkg:generic/omnios/system/library@1%2C5.11");
        let license = about.license.unwrap();
        assert_eq!(license.expression, "LicenseRef-system-library-lic-CDDL AND MIT");
        assert_eq!(license.references[0].text, "", "the root does not have it");
        let files = [
            ("var/pkg/publisher/omnios/pkg/system%2Flibrary/1", "license aa license=\"lic CDDL\"\n"),
            ("var/pkg/license/system%2Flibrary/license.lic%20CDDL", "You may\n\n do this.\n"),
        ];
        let license = known(&files, "system/library").license.unwrap();
        assert_eq!((&*license.references[0].name, &*license.references[0].text), ("lic CDDL", "You may\n\n do this."));
        assert_eq!(about.supplier, Some(Supplier::organization("omnios")));
        let pkginfo = "PKG=SUNWcs\nVERSION=\"11.11\"\nVENDOR=Example\n";
        let files = [("var/sadm/pkg/SUNWcs/pkginfo", pkginfo), ("var/sadm/pkg/SUNWcs/install/copyright", "(C) x\n")];
        let about = known(&files, "SUNWcs");
        assert_eq!((&*about.purl, about.copyright.as_deref()), ("pkg:generic/SUNWcs@11.11", Some("(C) x")));
        assert_eq!(about.supplier, Some(Supplier::organization("Example")));
    }

    #[test]
    fn maintainers_are_people_unless_they_are_teams() {
        for (text, name, email, is_person) in [
            ("Michael Stone <mstone@debian.org>", "Michael Stone", Some("mstone@debian.org"), true),
            ("GNU Libc Maintainers <l@example.org>", "GNU Libc Maintainers", Some("l@example.org"), false),
            ("Somebody", "Somebody", None, true),
            ("Some Group <https://example.org/@x>", "Some Group", None, false),
        ] {
            let expected = Supplier { name: name.into(), email: email.map(str::to_owned), is_person };
            assert_eq!(Supplier::of(text), expected);
        }
    }
}
