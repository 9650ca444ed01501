//! The manifests of an IPS image: `var/pkg/publisher/PUBLISHER/pkg/STEM/VERSION`, names quoted as in URLs.
//!
//! An image also keeps manifests of packages that are not, or no longer, installed. What is installed is said by the
//! catalog `var/pkg/state/installed/catalog.base.C`; without it every manifest counts.

use super::actions::{self, Action};
use crate::path::RootPath;
use crate::root::{Found, Root};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

const PUBLISHERS: &str = "/var/pkg/publisher";
const LICENSES: &str = "/var/pkg/license";
const INSTALLED: &str = "/var/pkg/state/installed/catalog.base.C";

/// A package that an image has installed.
#[derive(Debug)]
pub struct Installed {
    pub publisher: String,
    /// The name, such as `system/library`.
    pub stem: String,
    pub version: String,
    manifest: Found,
}

impl Installed {
    /// The manifest as it is stored.
    ///
    /// # Errors
    /// The host's error.
    pub fn text(&self, root: &Root) -> io::Result<Vec<u8>> {
        root.read(&self.manifest)
    }

    /// The actions of the manifest.
    ///
    /// # Errors
    /// When it cannot be read, and `InvalidData` naming the package and the line.
    pub fn actions(&self, root: &Root) -> io::Result<Vec<Action>> {
        actions::parse(&self.text(root)?)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("`{}`: {error}", self.stem)))
    }
}

/// Where an image keeps the text of a package's licence of this name, as the `license` action delivers it
/// (solaris-ips src/modules/client/image.py, `get_license_dir`, and src/modules/actions/license.py). There is one for all
/// versions; images of an older format, which kept them beside the manifests of each version, have none there.
pub fn license_path(stem: &str, name: &str) -> RootPath {
    RootPath::new(LICENSES)
        .expect("a constant")
        .join(quote(stem).as_bytes())
        .join(format!("license.{}", quote(name)).as_bytes())
}

/// The packages that an image has installed, sorted by publisher, name and version; none in a root that is no image.
///
/// # Errors
/// A directory or a catalog that is there and cannot be read.
pub fn installed(root: &Root) -> io::Result<Vec<Installed>> {
    let catalog = catalog(root)?;
    let mut all = Vec::new();
    for publisher in names(root, &RootPath::new(PUBLISHERS).expect("a constant"))? {
        let packages = RootPath::new(PUBLISHERS).expect("a constant").join(&publisher).join(b"pkg");
        for stem in names(root, &packages)? {
            let versions = packages.join(&stem);
            for version in names(root, &versions)? {
                let Ok(manifest) = root.lookup(&versions.join(&version)) else { continue };
                let [Some(publisher), Some(stem), Some(version)] = [&publisher, &stem, &version].map(|n| unquote(n))
                else {
                    continue;
                };
                let listed = |set: &BTreeSet<_>| set.contains(&(publisher.clone(), stem.clone(), version.clone()));
                if catalog.as_ref().is_none_or(listed) {
                    all.push(Installed { publisher, stem, version, manifest });
                }
            }
        }
    }
    all.sort_by(|a, b| (&a.publisher, &a.stem, &a.version).cmp(&(&b.publisher, &b.stem, &b.version)));
    Ok(all)
}

/// Undoes the quoting of URLs, `%2F` for a slash; `None` when it is malformed or no text.
pub fn unquote(name: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(*rest.next()?).to_digit(16);
        bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// Quotes a name as a URL does, everything but letters, digits and `-_.~`.
pub fn quote(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    name.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Publisher, name and version of what is installed; `None` without a catalog.
fn catalog(root: &Root) -> io::Result<Option<BTreeSet<(String, String, String)>>> {
    /// Publishers have objects of packages; the signature beside them is an object of strings.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Part {
        Packages(BTreeMap<String, Vec<Version>>),
        #[allow(dead_code, reason = "read to be passed over")]
        Other(serde_json::Value),
    }
    #[derive(Deserialize)]
    struct Version {
        version: String,
    }
    let Some(text) = root.read_optional(&RootPath::new(INSTALLED).expect("a constant"))? else { return Ok(None) };
    let parts: BTreeMap<String, Part> = serde_json::from_slice(&text)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{INSTALLED}: {error}")))?;
    let mut all = BTreeSet::new();
    for (publisher, part) in parts {
        let Part::Packages(packages) = part else { continue };
        for (stem, versions) in packages {
            all.extend(versions.into_iter().map(|v| (publisher.clone(), stem.clone(), v.version)));
        }
    }
    Ok(Some(all))
}

fn names(root: &Root, directory: &RootPath) -> io::Result<Vec<Vec<u8>>> {
    match root.directory(directory) {
        Ok(directory) => root.read_dir(&directory),
        Err(error) if error.is_absent() => Ok(Vec::new()),
        Err(error) => Err(io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_as_in_urls() {
        let version = "0.5.11,5.11-2025.0.0.1:20250101T000000Z";
        assert_eq!(quote("system/library"), "system%2Flibrary");
        assert_eq!(unquote(quote(version).as_bytes()).unwrap(), version);
        for bad in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(unquote(bad.as_bytes()), None, "{bad}");
        }
    }
}
