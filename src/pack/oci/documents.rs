//! The JSON documents of an image: configuration, manifest, index (OCI image specification 1.1, the first that
//! has zstd), and the `manifest.json` of `docker save`.

use super::config::ImageConfig;
use super::{Layer, PackError};
use crate::calendar::Date;
use crate::manifest::Manifest;
use crate::pack::Compression;
use crate::recipe::System;
use crate::text::hex;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The content of the file `oci-layout`.
pub(super) const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// The tag of an image: by it `umoci` and `skopeo` find the image in a layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The whole name of an image, for containerd and with it Docker from 29 on.
const IMAGE_NAME: &str = "io.containerd.image.name";

/// All documents of one image.
pub(super) struct Documents {
    pub config: Vec<u8>,
    pub manifest: Vec<u8>,
    pub index: Vec<u8>,
    /// `manifest.json`.
    pub docker: Vec<u8>,
}

/// A system and a processor as Go calls them, in whose words the specification speaks.
#[derive(Serialize, Clone, Copy)]
pub(super) struct Platform {
    architecture: &'static str,
    os: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    media_type: &'a str,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Platform>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'a str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageIndex<'a> {
    schema_version: u8,
    media_type: &'a str,
    manifests: [Descriptor<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageManifest<'a> {
    schema_version: u8,
    media_type: &'a str,
    config: Descriptor<'a>,
    layers: [Descriptor<'a>; 1],
}

#[derive(Serialize)]
struct Configuration<'a> {
    created: String,
    #[serde(flatten)]
    platform: Platform,
    config: Process<'a>,
    rootfs: RootFs,
    history: [History; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Process<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    exposed_ports: BTreeMap<&'a str, Nothing>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env: Vec<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    entrypoint: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    cmd: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    working_dir: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
}

/// `{}`.
#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct RootFs {
    r#type: &'static str,
    diff_ids: [String; 1],
}

/// One for each layer.
#[derive(Serialize)]
struct History {
    created: String,
    created_by: &'static str,
}

/// An element of `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<[String; 1]>,
    layers: [String; 1],
}

impl Documents {
    /// `epoch` is the time of the image, in seconds since 1970.
    pub fn new(platform: Platform, image: &ImageConfig, layer: &Layer, epoch: u32) -> Documents {
        let config = json(&configuration(image, platform, layer, epoch));
        let layers = [Descriptor { size: layer.size, ..Descriptor::new(layer.media_type, layer.sha256) }];
        let manifest = json(&ImageManifest {
            schema_version: 2,
            media_type: MANIFEST,
            config: Descriptor::of(CONFIG, &config),
            layers,
        });
        let annotations = annotations(image);
        let described = Descriptor { platform: Some(platform), annotations, ..Descriptor::of(MANIFEST, &manifest) };
        let index = json(&ImageIndex { schema_version: 2, media_type: INDEX, manifests: [described] });
        let repo_tags = image.reference().map(|(repository, tag)| [format!("{repository}:{tag}")]);
        let [config_name, layer_name] = [Sha256::digest(&config).into(), layer.sha256].map(|sha256| blob_name(&sha256));
        let docker = json(&[Saved { config: config_name, repo_tags, layers: [layer_name] }]);
        Documents { config, manifest, index, docker }
    }
}

/// Where a layout has the blob of this digest.
pub(super) fn blob_name(sha256: &[u8; 32]) -> String {
    format!("blobs/sha256/{}", hex(sha256))
}

/// `sha256:…`, as documents refer to blobs.
fn digest_text(sha256: &[u8; 32]) -> String {
    format!("sha256:{}", hex(sha256))
}

/// `None` for a compression that no reader of images has to know.
pub(super) fn layer_type(compression: Compression) -> Option<&'static str> {
    match compression {
        Compression::None => Some("application/vnd.oci.image.layer.v1.tar"),
        Compression::Gzip => Some("application/vnd.oci.image.layer.v1.tar+gzip"),
        Compression::Zstd => Some("application/vnd.oci.image.layer.v1.tar+zstd"),
        Compression::Xz => None,
    }
}

fn configuration<'a>(image: &'a ImageConfig, platform: Platform, layer: &Layer, epoch: u32) -> Configuration<'a> {
    let created = Date::from_epoch(epoch.into()).rfc3339();
    Configuration {
        created: created.clone(),
        platform,
        config: Process {
            user: image.user.as_deref(),
            exposed_ports: image.ports.iter().map(|port| (port.as_str(), Nothing {})).collect(),
            env: image.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            entrypoint: &image.entrypoint,
            cmd: &image.cmd,
            working_dir: image.workdir.as_deref(),
            labels: &image.labels,
        },
        rootfs: RootFs { r#type: "layers", diff_ids: [digest_text(&layer.diff_id)] },
        history: [History { created, created_by: "minroot pack" }],
    }
}

fn annotations<'a>(image: &ImageConfig) -> BTreeMap<&'a str, String> {
    let Some((repository, tag)) = image.reference() else {
        return BTreeMap::from([(REF_NAME, "latest".to_owned())]);
    };
    BTreeMap::from([(REF_NAME, tag.to_owned()), (IMAGE_NAME, format!("{}:{tag}", with_host(repository)))])
}

/// The repository as Docker completes it: one without a host is of Docker Hub.
fn with_host(repository: &str) -> String {
    let is_host = |first: &str| first.contains(['.', ':']) || first == "localhost";
    match repository.split_once('/') {
        Some((first, _)) if is_host(first) => repository.to_owned(),
        Some(_) => format!("docker.io/{repository}"),
        None => format!("docker.io/library/{repository}"),
    }
}

impl Platform {
    /// # Errors
    /// The manifest is for a processor that no container can be for.
    pub fn of(manifest: &Manifest) -> Result<Platform, PackError> {
        let architecture = match &*manifest.arch {
            "x86_64" | "amd64" => "amd64",
            "i686" | "i386" => "386",
            "aarch64" => "arm64",
            "armv7l" => "arm",
            "riscv64" => "riscv64",
            "ppc64le" => "ppc64le",
            "s390x" => "s390x",
            "sparc64" => "sparc64",
            other => return Err(PackError::NoPlatform { arch: other.to_owned() }),
        };
        let os = match manifest.system {
            System::Linux => "linux",
            System::Illumos => "illumos",
        };
        Ok(Platform { architecture, os })
    }
}

impl<'a> Descriptor<'a> {
    fn new(media_type: &'a str, sha256: [u8; 32]) -> Descriptor<'a> {
        Descriptor { media_type, digest: digest_text(&sha256), size: 0, platform: None, annotations: BTreeMap::new() }
    }

    fn of(media_type: &'a str, document: &[u8]) -> Descriptor<'a> {
        let size = document.len() as u64;
        Descriptor { size, ..Descriptor::new(media_type, Sha256::digest(document).into()) }
    }
}

fn json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("strings and numbers are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::testing;

    fn documents(arch: &str, system: System, image: &ImageConfig) -> Result<Documents, PackError> {
        let manifest = Manifest { arch: arch.to_owned(), system, ..testing::manifest(Vec::new()) };
        let file = tempfile::NamedTempFile::new().unwrap();
        let media_type = layer_type(Compression::Zstd).unwrap();
        let layer = Layer { file, media_type, size: 7, sha256: [1; 32], diff_id: [2; 32] };
        Ok(Documents::new(Platform::of(&manifest)?, image, &layer, 1_700_000_000))
    }

    fn value(document: &[u8]) -> serde_json::Value {
        serde_json::from_slice(document).unwrap()
    }

    #[test]
    fn an_image_that_says_nothing_has_only_what_must_be() {
        let documents = documents("x86_64", System::Linux, &ImageConfig::default()).unwrap();
        let created = "2023-11-14T22:13:20Z";
        let expected = serde_json::json!({
            "created": created, "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", "02".repeat(32))]},
            "history": [{"created": created, "created_by": "minroot pack"}],
        });
        assert_eq!(value(&documents.config), expected);
        let [described] = value(&documents.index)["manifests"].as_array().unwrap().clone().try_into().unwrap();
        assert_eq!(described["digest"], digest_text(&Sha256::digest(&documents.manifest).into()));
        assert_eq!(described["annotations"], serde_json::json!({ REF_NAME: "latest" }));
        assert_eq!(value(&documents.docker)[0]["RepoTags"], serde_json::Value::Null);
        let layer = &value(&documents.manifest)["layers"][0];
        assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
    }

    #[test]
    fn processors_and_systems_have_the_names_of_go() {
        for (arch, system, expected) in [
            ("aarch64", System::Linux, r#""architecture":"arm64","os":"linux""#),
            ("i686", System::Linux, r#""architecture":"386","os":"linux""#),
            ("amd64", System::Illumos, r#""architecture":"amd64","os":"illumos""#),
        ] {
            let config = documents(arch, system, &ImageConfig::default()).unwrap().config;
            assert!(String::from_utf8(config).unwrap().contains(expected), "{arch}");
        }
        let message = |arch| documents(arch, System::Linux, &ImageConfig::default()).err().unwrap().to_string();
        assert_eq!(message("vax"), "no container is for vax");
        assert_eq!(message(""), "no container is for files alone: nothing in them tells a processor");
    }

    #[test]
    fn the_whole_name_is_the_one_that_docker_makes_of_a_short_one() {
        for (name, tag, whole) in [
            ("hello", "latest", "docker.io/library/hello:latest"),
            ("me/hello:1", "1", "docker.io/me/hello:1"),
            ("localhost/hello", "latest", "localhost/hello:latest"),
            ("example.org:5000/hello", "latest", "example.org:5000/hello:latest"),
        ] {
            let image = ImageConfig { name: Some(name.to_owned()), ..ImageConfig::default() };
            let annotations = annotations(&image);
            assert_eq!((&*annotations[REF_NAME], &*annotations[IMAGE_NAME]), (tag, whole));
        }
    }
}
