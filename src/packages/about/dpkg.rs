//! Debian packages: dpkg's status file, and the copyright file that each package brings.

use super::deb822::{Paragraph, paragraphs};
use super::license::{License, Licenses};
use super::{About, Distribution, Supplier, url_quote};
use crate::path::RootPath;
use crate::root::Root;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

const STATUS: &str = "/var/lib/dpkg/status";

/// What is known of those of the packages that dpkg has installed.
///
/// # Errors
/// A file that is there and cannot be read.
pub(super) fn about(root: &Root, names: &BTreeSet<&str>) -> io::Result<BTreeMap<String, About>> {
    let Some(status) = root.read_optional(&RootPath::new(STATUS).expect("a constant"))? else {
        return Ok(BTreeMap::new());
    };
    let status = String::from_utf8_lossy(&status);
    let distribution = Distribution::of(root)?;
    let wanted = paragraphs(&status).filter_map(|fields| {
        let name = fields.first("Package").filter(|name| names.contains(name))?;
        let is_installed = fields.first("Status").is_none_or(|status| status.ends_with(" installed"));
        is_installed.then_some((name, fields))
    });
    // Where a package is installed for several processors, its versions are the same (Multi-Arch: same).
    let wanted: BTreeMap<&str, Paragraph<'_>> = wanted.collect();
    let one = |(name, fields): (&&str, &Paragraph<'_>)| {
        let copyright =
            root.read_optional(&RootPath::new(format!("/usr/share/doc/{name}/copyright")).expect("a name"))?;
        let license = copyright.and_then(|text| license(name, &String::from_utf8_lossy(&text)));
        let supplier = fields.first("Maintainer").map(Supplier::of);
        let (version, purl) = (fields.first("Version").map(str::to_owned), purl(name, fields, &distribution));
        Ok((name.to_string(), About { version, supplier, purl, license, ..About::new(name) }))
    };
    wanted.par_iter().map(one).collect()
}

/// The package URL (purl-spec, type `deb`). The source package is what the lists of vulnerabilities go by; `upstream` is
/// the word of syft and grype for it.
fn purl(name: &str, fields: &Paragraph<'_>, distribution: &Distribution) -> String {
    let mut qualifiers = Vec::new();
    qualifiers.extend(fields.first("Architecture").map(|arch| format!("arch={}", url_quote(arch))));
    qualifiers.extend(
        distribution
            .version
            .as_ref()
            .map(|version| format!("distro={}", url_quote(&format!("{}-{version}", distribution.id)))),
    );
    qualifiers.extend(fields.first("Source").map(|source| {
        // `gcc-12 (12.2.0-14)` where its version differs.
        let source = source.trim_end_matches(')').replacen(" (", "@", 1);
        format!("upstream={}", url_quote(&source))
    }));
    let version = fields.first("Version").map(|version| format!("@{}", url_quote(version))).unwrap_or_default();
    let path = format!("pkg:deb/{}/{}{version}", url_quote(&distribution.id), url_quote(name));
    if qualifiers.is_empty() { path } else { format!("{path}?{}", qualifiers.join("&")) }
}

/// The licences of a copyright file; `None` for one that only people can read.
fn license(package: &str, text: &str) -> Option<License> {
    let all: Vec<Paragraph<'_>> = paragraphs(text).collect();
    let (header, rest) = all.split_first()?;
    // The machine-readable format, also under the names it had before it was 1.0.
    let format = header.first("Format").or_else(|| header.first("Format-Specification"))?.to_lowercase();
    if !["copyright-format", "dep5", "dep-5"].iter().any(|known| format.contains(known)) {
        return None;
    }
    let texts: BTreeMap<&str, &[&str]> = rest
        .iter()
        .filter_map(|paragraph| paragraph.lines("License")?.split_first())
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| (*name, text))
        .collect();
    let mut licenses = Licenses::new(package);
    let of_files = rest.iter().filter(|paragraph| paragraph.lines("Files").is_some());
    for names in of_files.chain([header]).filter_map(|paragraph| paragraph.first("License")) {
        // The text may be that of one name or of all of them together.
        let text =
            |name: &str| texts.get(name).or_else(|| texts.get(names)).map_or(String::new(), |text| text.join("\n"));
        licenses.add(names, text);
    }
    licenses.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COPYRIGHT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
        \nFiles: *\nCopyright: x\nLicense: GPL-3+\n\
        \nFiles: a\n b\nLicense: GPL-3+ and odd\n\
        \nFiles: c\nLicense: own\n Do what\n .\n  you like.\n\
        \nLicense: GPL-3+\n Long text.\n\nLicense: odd\n Odd text.\n";

    #[test]
    fn the_licences_of_all_files_hold() {
        let license = license("x", COPYRIGHT).unwrap();
        assert_eq!(license.expression, "GPL-3.0-or-later AND LicenseRef-x-odd AND LicenseRef-x-own");
        let references: Vec<_> = license.references.iter().map(|r| (&*r.id, &*r.name, &*r.text)).collect();
        assert_eq!(
            references,
            [("LicenseRef-x-odd", "odd", "Odd text."), ("LicenseRef-x-own", "own", "Do what\n\n you like.")]
        );
    }

    #[test]
    fn a_file_for_people_says_nothing() {
        for text in
            ["", "This package was debianized by x.\nLicense: GPL-2\n", "Format: something else\n\nLicense: MIT\n"]
        {
            assert_eq!(license("x", text), None, "{text}");
        }
    }

    #[test]
    fn a_package_url_has_processor_distribution_and_source() {
        let fields = |text: &'static str| paragraphs(text).next().unwrap();
        let debian = Distribution { id: "debian".to_owned(), version: Some("12".to_owned()) };
        assert_eq!(
            purl("libstdc++6", &fields("Version: 1:2.0+b~1\nArchitecture: amd64\nSource: gcc-12 (12.2)"), &debian),
            "pkg:deb/debian/libstdc%2B%2B6@1:2.0%2Bb~1?arch=amd64&distro=debian-12&upstream=gcc-12%4012.2"
        );
        assert_eq!(purl("a", &Paragraph::default(), &Distribution { version: None, ..debian }), "pkg:deb/debian/a");
    }
}
