//! CycloneDX 1.6 in JSON (<https://cyclonedx.org/docs/1.6/json/>).
//!
//! The files of a package are components inside of it; those of no package stand beside the packages.

use super::model::{File, Node, Package, Sbom};
use crate::calendar::Date;
use crate::packages::about::Supplier;
use crate::path::escaped;
use crate::text::hex;
use serde::Serialize;
use std::collections::BTreeSet;

const IMAGE: &str = "image";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bom<'s> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    bom_format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u32,
    metadata: Metadata<'s>,
    components: Vec<Component<'s>>,
    dependencies: Vec<Dependency>,
}

#[derive(Serialize)]
struct Metadata<'s> {
    timestamp: String,
    tools: Tools,
    component: Component<'s>,
}

#[derive(Serialize)]
struct Tools {
    components: [Tool; 1],
}

#[derive(Serialize)]
struct Tool {
    r#type: &'static str,
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Component<'s> {
    r#type: &'static str,
    #[serde(rename = "bom-ref")]
    bom_ref: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    supplier: Option<SupplierText<'s>>,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'s str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    licenses: Option<[LicenseChoice<'s>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    copyright: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<&'s str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    components: Vec<Component<'s>>,
}

#[derive(Serialize)]
struct SupplierText<'s> {
    name: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<[Contact<'s>; 1]>,
}

#[derive(Serialize)]
struct Contact<'s> {
    email: &'s str,
}

#[derive(Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Serialize)]
struct LicenseChoice<'s> {
    expression: &'s str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    r#ref: String,
    depends_on: Vec<String>,
}

impl Sbom {
    /// The bill as a CycloneDX 1.6 document.
    pub fn cyclonedx(&self) -> impl Serialize {
        let mut by_package = self.files_by_package();
        let mut files_of = |package| by_package.remove(&package).into_iter().flatten().map(file).collect::<Vec<_>>();
        let mut components: Vec<Component<'_>> = self
            .packages
            .iter()
            .enumerate()
            .map(|(index, package)| component(package, files_of(Some(index))))
            .collect();
        components.extend(files_of(None));
        let image = Component {
            r#type: "container",
            bom_ref: IMAGE.to_owned(),
            name: self.name.clone(),
            ..Component::default()
        };
        Bom {
            schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
            bom_format: "CycloneDX",
            spec_version: "1.6",
            serial_number: format!("urn:uuid:{}", self.uuid()),
            version: 1,
            metadata: Metadata {
                timestamp: Date::from_epoch(self.epoch.into()).rfc3339(),
                tools: Tools {
                    components: [Tool { r#type: "application", name: "minroot", version: env!("CARGO_PKG_VERSION") }],
                },
                component: image,
            },
            components,
            dependencies: self.dependency_texts(),
        }
    }

    /// One for each part, as the format asks for; one that needs nothing has an empty list.
    fn dependency_texts(&self) -> Vec<Dependency> {
        let files = self.files.iter().enumerate().filter(|(_, file)| file.package.is_none());
        let nodes = (0..self.packages.len()).map(Node::Package).chain(files.map(|(index, _)| Node::File(index)));
        let nothing = BTreeSet::new();
        [Node::Image]
            .into_iter()
            .chain(nodes)
            .map(|node| Dependency {
                r#ref: self.bom_ref(node),
                depends_on: self
                    .dependencies
                    .get(&node)
                    .unwrap_or(&nothing)
                    .iter()
                    .map(|to| self.bom_ref(*to))
                    .collect(),
            })
            .collect()
    }

    fn bom_ref(&self, node: Node) -> String {
        match node {
            Node::Image => IMAGE.to_owned(),
            Node::Package(index) => self.packages[index].about.purl.clone(),
            Node::File(index) => file_ref(&self.files[index]),
        }
    }
}

/// The path, which no purl and no other part has for a name.
fn file_ref(file: &File) -> String {
    escaped(file.path.as_bytes()).to_string()
}

fn component<'s>(package: &'s Package, files: Vec<Component<'s>>) -> Component<'s> {
    let about = &package.about;
    Component {
        r#type: "library",
        bom_ref: about.purl.clone(),
        supplier: about.supplier.as_ref().map(supplier),
        name: package.name.clone(),
        version: about.version.as_deref(),
        licenses: about.license.as_ref().map(|license| [LicenseChoice { expression: &license.expression }]),
        copyright: about.copyright.as_deref(),
        purl: Some(&about.purl),
        components: files,
        ..Component::default()
    }
}

fn file<'s>(file: &File) -> Component<'s> {
    let sha1 = file.sha1.map(|digest| Hash { alg: "SHA-1", content: hex(&digest) });
    let sha256 = Hash { alg: "SHA-256", content: hex(&file.sha256) };
    Component {
        r#type: "file",
        bom_ref: file_ref(file),
        name: file_ref(file),
        hashes: sha1.into_iter().chain([sha256]).collect(),
        ..Component::default()
    }
}

fn supplier(supplier: &Supplier) -> SupplierText<'_> {
    SupplierText { name: &supplier.name, contact: supplier.email.as_deref().map(|email| [Contact { email }]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sbom::model::tests::sample;
    use serde_json::json;

    #[test]
    fn files_are_in_their_packages_and_every_part_says_what_it_needs() {
        let sbom = Sbom::new(&sample(), None, "sample", 0).unwrap();
        let document = serde_json::to_value(sbom.cyclonedx()).unwrap();
        let component = |name: &str, content: &[u8]| {
            let hash = json!({"alg": "SHA-256", "content": hex(&<sha2::Sha256 as sha2::Digest>::digest(content))});
            json!({"type": "file", "bom-ref": name, "name": name, "hashes": [hash]})
        };
        let package = |name: &str, files: &[serde_json::Value]| {
            let purl = format!("pkg:generic/{name}");
            json!({"type": "library", "bom-ref": purl, "name": name, "purl": purl, "components": files})
        };
        let expected = json!([
            package("a", &[component("/a", b"a"), component("/d", b"d")]),
            package("b", &[component("/b", b"b")]),
            component("/c", b"c"),
        ]);
        assert_eq!(document["components"], expected);
        let expected = json!([
            {"ref": "image", "dependsOn": ["pkg:generic/a"]},
            {"ref": "pkg:generic/a", "dependsOn": ["pkg:generic/b"]},
            {"ref": "pkg:generic/b", "dependsOn": ["/c"]},
            {"ref": "/c", "dependsOn": ["pkg:generic/a", "pkg:generic/b"]},
        ]);
        assert_eq!(document["dependencies"], expected);
    }
}
