//! Packages of illumos: the manifests of an IPS image, and the `pkginfo` of SVR4 packages.

use super::license::Licenses;
use super::{About, Supplier, assigned, url_quote};
use crate::packages::image;
use crate::path::RootPath;
use crate::root::Root;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// What is known of those of the packages that an IPS image has installed.
///
/// # Errors
/// A manifest or a licence that is there and cannot be read.
pub(super) fn about_ips(root: &Root, names: &BTreeSet<&str>) -> io::Result<BTreeMap<String, About>> {
    let mut all = BTreeMap::new();
    for package in image::installed(root)?.iter().filter(|package| names.contains(&*package.stem)) {
        let mut licenses = Licenses::new(&package.stem);
        for action in package.actions(root)?.iter().filter(|action| action.kind == "license") {
            let Some(name) = action.get("license") else { continue };
            // A root need not have it. Of several names it is the text of all of them together.
            let text = root.read_optional(&image::license_path(&package.stem, name))?.unwrap_or_default();
            licenses.add(name, |_| String::from_utf8_lossy(&text).trim_end().to_owned());
        }
        let path: Vec<String> = package.stem.split('/').map(url_quote).collect();
        let (publisher, version) = (url_quote(&package.publisher), url_quote(&package.version));
        let about = About {
            version: Some(package.version.clone()),
            supplier: Some(Supplier::organization(&package.publisher)),
            purl: format!("pkg:generic/{publisher}/{}@{version}", path.join("/")),
            license: licenses.finish(),
            ..About::new(&package.stem)
        };
        all.insert(package.stem.clone(), about);
    }
    Ok(all)
}

/// What is known of an SVR4 package; `None` when it is none.
///
/// # Errors
/// A file that is there and cannot be read.
pub(super) fn about_svr4(root: &Root, name: &str) -> io::Result<Option<About>> {
    let directory = RootPath::new("/var/sadm/pkg").expect("a constant");
    let Ok(directory) = RootPath::new(format!("{directory}/{name}")) else { return Ok(None) };
    let Some(info) = root.read_optional(&directory.join(b"pkginfo"))? else { return Ok(None) };
    let info = String::from_utf8_lossy(&info);
    let copyright = root.read_optional(&directory.join(b"install").join(b"copyright"))?;
    let version = assigned(&info, "VERSION");
    let suffix = version.as_ref().map(|version| format!("@{}", url_quote(version))).unwrap_or_default();
    Ok(Some(About {
        version,
        supplier: assigned(&info, "VENDOR").map(|vendor| Supplier::organization(&vendor)),
        purl: format!("pkg:generic/{}{suffix}", url_quote(name)),
        copyright: copyright.map(|text| String::from_utf8_lossy(&text).trim().to_owned()),
        ..About::new(name)
    }))
}
