//! SPDX 2.3 in JSON (<https://spdx.github.io/spdx-spec/v2.3/>).
//!
//! A package is said to be analyzed as far as the image has it: its verification code is that of the files that are
//! listed, not of all that its archive delivers.

use super::SbomError;
use super::model::{File, Node, Package, Sbom};
use crate::calendar::Date;
use crate::packages::about::{Reference, Supplier};
use crate::path::escaped;
use crate::text::hex;
use serde::Serialize;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use std::collections::BTreeMap;

const UNKNOWN: &str = "NOASSERTION";
const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-Image";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'s> {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: &'s str,
    document_namespace: String,
    creation_info: CreationInfo,
    packages: Vec<PackageText<'s>>,
    files: Vec<FileText>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    has_extracted_licensing_infos: Vec<LicenseText<'s>>,
    relationships: Vec<Relationship>,
}

#[derive(Serialize)]
struct CreationInfo {
    created: String,
    creators: [String; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PackageText<'s> {
    #[serde(rename = "SPDXID")]
    id: String,
    name: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_info: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    supplier: Option<String>,
    download_location: &'static str,
    files_analyzed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    package_verification_code: Option<VerificationCode>,
    license_concluded: &'static str,
    license_declared: &'s str,
    copyright_text: &'s str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<ExternalRef<'s>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VerificationCode {
    package_verification_code_value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalRef<'s> {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: &'s str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileText {
    #[serde(rename = "SPDXID")]
    id: String,
    file_name: String,
    checksums: [Checksum; 2],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: &'static str,
    checksum_value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LicenseText<'s> {
    license_id: &'s str,
    name: &'s str,
    extracted_text: &'s str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    relationship_type: &'static str,
    related_spdx_element: String,
}

impl Sbom {
    /// The bill as an SPDX 2.3 document.
    ///
    /// # Errors
    /// [`SbomError::NoSha1`], for a bill that was made without a root.
    pub fn spdx(&self) -> Result<impl Serialize, SbomError> {
        let files = self.files.iter().map(file).collect::<Option<Vec<_>>>().ok_or(SbomError::NoSha1)?;
        let by_package = self.files_by_package();
        let code = |package| verification_code(by_package.get(&package).map_or(&[], |files| &files[..]));
        let packages =
            self.packages.iter().enumerate().map(|(index, package)| self.package(index, package, code(Some(index))));
        let references = self.packages.iter().filter_map(|package| package.about.license.as_ref());
        let texts: BTreeMap<&str, &Reference> =
            references.flat_map(|license| &license.references).map(|reference| (&*reference.id, reference)).collect();
        Ok(Document {
            spdx_version: "SPDX-2.3",
            data_license: "CC0-1.0",
            id: DOCUMENT,
            name: &self.name,
            document_namespace: format!("https://spdx.org/spdxdocs/minroot-{}", self.uuid()),
            creation_info: CreationInfo {
                created: Date::from_epoch(self.epoch.into()).rfc3339(),
                creators: [format!("Tool: minroot-{}", env!("CARGO_PKG_VERSION"))],
            },
            packages: [self.image(code(None))].into_iter().chain(packages).collect(),
            files,
            has_extracted_licensing_infos: texts.into_values().map(license_text).collect(),
            relationships: self.relationships(),
        })
    }

    /// The package that stands for the whole.
    fn image(&self, code: Option<VerificationCode>) -> PackageText<'_> {
        PackageText {
            id: IMAGE.to_owned(),
            name: &self.name,
            version_info: None,
            supplier: None,
            download_location: UNKNOWN,
            files_analyzed: code.is_some(),
            package_verification_code: code,
            license_concluded: UNKNOWN,
            license_declared: UNKNOWN,
            copyright_text: UNKNOWN,
            external_refs: Vec::new(),
        }
    }

    fn package<'s>(&'s self, index: usize, package: &'s Package, code: Option<VerificationCode>) -> PackageText<'s> {
        let about = &package.about;
        PackageText {
            id: self.id(Node::Package(index)),
            name: &package.name,
            version_info: about.version.as_deref(),
            supplier: about.supplier.as_ref().map(supplier),
            download_location: UNKNOWN,
            files_analyzed: code.is_some(),
            package_verification_code: code,
            license_concluded: UNKNOWN,
            license_declared: about.license.as_ref().map_or(UNKNOWN, |license| &license.expression),
            copyright_text: about.copyright.as_deref().unwrap_or(UNKNOWN),
            external_refs: vec![ExternalRef {
                reference_category: "PACKAGE-MANAGER",
                reference_type: "purl",
                reference_locator: &about.purl,
            }],
        }
    }

    fn relationships(&self) -> Vec<Relationship> {
        let relate = |from: String, kind, to: String| Relationship {
            spdx_element_id: from,
            relationship_type: kind,
            related_spdx_element: to,
        };
        let mut all = vec![relate(DOCUMENT.to_owned(), "DESCRIBES", IMAGE.to_owned())];
        for index in 0..self.packages.len() {
            all.push(relate(IMAGE.to_owned(), "CONTAINS", self.id(Node::Package(index))));
        }
        for file in &self.files {
            let container = file.package.map_or(Node::Image, Node::Package);
            all.push(relate(self.id(container), "CONTAINS", file_id(file)));
        }
        for (from, needed) in &self.dependencies {
            all.extend(needed.iter().map(|to| relate(self.id(*from), "DEPENDS_ON", self.id(*to))));
        }
        all
    }

    fn id(&self, node: Node) -> String {
        match node {
            Node::Image => IMAGE.to_owned(),
            Node::Package(index) => id("Package", &self.packages[index].name, self.packages[index].name.as_bytes()),
            Node::File(index) => file_id(&self.files[index]),
        }
    }
}

/// The SHA-1 of the sorted SHA-1s of the files ("Package verification code field"); `None` without files.
fn verification_code(files: &[&File]) -> Option<VerificationCode> {
    let mut digests: Vec<String> = files.iter().filter_map(|file| Some(hex(&file.sha1?))).collect();
    digests.sort_unstable();
    let package_verification_code_value = hex(&Sha1::digest(digests.concat()));
    (!digests.is_empty()).then_some(VerificationCode { package_verification_code_value })
}

/// An id that stays the same when other elements come and go: a readable part, and one that makes it the only one.
fn id(kind: &str, readable: &str, bytes: &[u8]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '-' };
    let readable: String = readable.chars().map(plain).collect();
    format!("SPDXRef-{kind}-{readable}-{}", &hex(&Sha256::digest(bytes))[..12])
}

fn file_id(file: &File) -> String {
    id("File", &String::from_utf8_lossy(file.path.file_name()), file.path.as_bytes())
}

fn file(file: &File) -> Option<FileText> {
    let checksum = |algorithm, digest: &[u8]| Checksum { algorithm, checksum_value: hex(digest) };
    Some(FileText {
        id: file_id(file),
        file_name: format!("./{}", escaped(file.path.relative())),
        checksums: [checksum("SHA1", &file.sha1?), checksum("SHA256", &file.sha256)],
    })
}

fn license_text(reference: &Reference) -> LicenseText<'_> {
    let extracted_text = if reference.text.is_empty() { &reference.name } else { &reference.text };
    LicenseText { license_id: &reference.id, name: &reference.name, extracted_text }
}

fn supplier(supplier: &Supplier) -> String {
    let kind = if supplier.is_person { "Person" } else { "Organization" };
    match &supplier.email {
        Some(email) => format!("{kind}: {} ({email})", supplier.name),
        None => format!("{kind}: {}", supplier.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::Contents;
    use crate::root::Root;
    use crate::sbom::model::tests::sample;
    use serde_json::{Value, json};

    fn document() -> Value {
        let host = tempfile::tempdir().unwrap();
        let root = Root::open(host.path()).unwrap();
        let sbom = Sbom::new(&sample(), Some((&root, &Contents::new(&root))), "sample", 1_700_000_000).unwrap();
        serde_json::to_value(sbom.spdx().unwrap()).unwrap()
    }

    #[test]
    fn elements_are_related_as_the_parts_are() {
        let document = document();
        let relationships = document["relationships"].as_array().unwrap().iter().map(|relationship| {
            let [from, to] = ["spdxElementId", "relatedSpdxElement"].map(|key| relationship[key].as_str().unwrap());
            // Without the digits that make the ids unique.
            let short = |id: &str| id.trim_start_matches("SPDXRef-").trim_end_matches(|c: char| c != '-').to_owned();
            let [from, to] = [from, to]
                .map(|id| if id.contains("age-") || id.contains("File-") { short(id) } else { id.to_owned() });
            format!("{from} {} {to}", relationship["relationshipType"].as_str().unwrap())
        });
        let expected = [
            "SPDXRef-DOCUMENT DESCRIBES SPDXRef-Image",
            "SPDXRef-Image CONTAINS Package-a-",
            "SPDXRef-Image CONTAINS Package-b-",
            "Package-a- CONTAINS File-a-",
            "Package-b- CONTAINS File-b-",
            "SPDXRef-Image CONTAINS File-c-",
            "Package-a- CONTAINS File-d-",
            "SPDXRef-Image DEPENDS_ON Package-a-",
            "Package-a- DEPENDS_ON Package-b-",
            "Package-b- DEPENDS_ON File-c-",
            "File-c- DEPENDS_ON Package-a-",
            "File-c- DEPENDS_ON Package-b-",
        ];
        assert_eq!(relationships.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn files_have_both_digests_and_packages_the_code_of_theirs() {
        let document = document();
        // `printf a | sha1sum`, and `printf SORTED-SHA1s | sha1sum` of `a` and `d`.
        let sha1 = "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8";
        assert_eq!(document["files"][0]["checksums"][0], json!({"algorithm": "SHA1", "checksumValue": sha1}));
        assert_eq!(document["files"][0]["fileName"], "./a");
        let code = &document["packages"][1]["packageVerificationCode"]["packageVerificationCodeValue"];
        assert_eq!(code, "f7771462aa4e707ec77d99e107382bcab354e9d6");
        assert_eq!(document["creationInfo"]["created"], "2023-11-14T22:13:20Z");
    }

    #[test]
    fn a_bill_without_a_root_is_no_spdx() {
        let sbom = Sbom::new(&sample(), None, "sample", 0).unwrap();
        let error = sbom.spdx().err().unwrap();
        assert!(matches!(error, SbomError::NoSha1) && error.hint().is_some());
    }
}
