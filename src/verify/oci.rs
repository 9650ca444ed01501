//! A container image in an OCI layout, from the index to the process that starts: a directory, or one tar of it.
//!
//! Every blob is called by its digest, so that what was cut or changed on the way is noticed wherever it is. What a
//! runtime would not start is told in the words of runc, or of Docker before it comes to that.

use super::archive::{Archive, MAX_UNPACKED};
use super::plan::Command;
use super::{Component, Finding, Report, Severity, VerifyError};
use crate::iso::{Blob, BlobReader};
use crate::path::{RootPath, escaped};
use crate::recipe::System;
use crate::root::Root;
use crate::startup::{LIBRARY_PATH, PROGRAM_DIRECTORIES};
use crate::text::{count, hex, size};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// The file that makes a tree a layout (OCI image specification, "Image Layout").
const LAYOUT: &str = "oci-layout";
/// The largest document: what the specification asks of registries ("Manifests").
const MAX_DOCUMENT: u64 = 4 << 20;
/// Bytes digested at a time.
const BUFFER: usize = 1 << 18;

/// The files of a layout by name.
pub(super) enum Layout {
    Directory(PathBuf),
    Tar(BTreeMap<Vec<u8>, Blob>),
}

/// What a layout holds.
pub(super) struct Container {
    /// tar, compressed or not.
    pub layer: Archive,
    pub system: Option<System>,
    process: Process,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutFile {
    image_layout_version: String,
}

#[derive(Deserialize)]
struct ImageIndex {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct ImageManifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    size: u64,
}

#[derive(Deserialize)]
struct Configuration {
    architecture: String,
    os: String,
    #[serde(default)]
    config: Process,
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

/// Docker writes `null` for what is empty.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Process {
    user: Option<String>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
}

impl Layout {
    /// `None` for anything that is no layout, which others have words for.
    pub(super) fn open(path: &Path) -> Option<Layout> {
        if path.is_dir() {
            return path.join(LAYOUT).is_file().then(|| Layout::Directory(path.to_owned()));
        }
        let image = Blob::open(path).ok()?;
        let mut archive = tar::Archive::new(BufReader::new(File::open(path).ok()?));
        let mut files = BTreeMap::new();
        // What follows the first damage is missing, and is missed when it is needed.
        for entry in archive.entries_with_seek().ok()?.map_while(Result::ok) {
            let name = entry.path_bytes();
            let name = name.strip_prefix(b"./").unwrap_or(&name).to_vec();
            let blob = image.slice(entry.raw_file_position(), entry.size());
            files.extend(blob.map(|blob| (name, blob)));
        }
        files.contains_key(LAYOUT.as_bytes()).then_some(Layout::Tar(files))
    }

    fn file(&self, name: &str) -> Option<Blob> {
        match self {
            Layout::Directory(path) => Blob::open(&path.join(name)).ok(),
            Layout::Tar(files) => files.get(name.as_bytes()).cloned(),
        }
    }

    fn document<T: DeserializeOwned>(&self, name: &str) -> Result<T, Finding> {
        let blob = self.file(name).ok_or_else(|| damaged(name, "no such file"))?;
        parse(name, &blob)
    }

    /// The blob that a descriptor describes, its bytes compared with the digest that is its name.
    fn blob(&self, described: &Descriptor) -> Result<(String, Blob), Finding> {
        let Descriptor { digest, size: expected } = described;
        let digits = digest.strip_prefix("sha256:").filter(|digits| is_sha256(digits));
        let digits = digits.ok_or_else(|| damaged(digest, "it is no SHA-256"))?;
        let name = format!("blobs/sha256/{digits}");
        let blob = self.file(&name).ok_or_else(|| damaged(&name, "no such file"))?;
        if blob.len() != *expected {
            let problem = format!("it has {}, its descriptor says {}", size(blob.len()), size(*expected));
            return Err(damaged(&name, problem));
        }
        match sha256_of(BlobReader::new(&blob)) {
            Ok(found) if found == digits => Ok((name, blob)),
            Ok(found) => Err(damaged(&name, format!("its digest is sha256:{found}"))),
            Err(error) => Err(damaged(&name, error)),
        }
    }

    /// Follows the layout down to the layer. What was in the way of that is told in the report.
    ///
    /// # Errors
    /// An image of several layers: what of the lower ones the upper ones hide is not known here.
    pub(super) fn follow(&self, report: &mut Report) -> Result<Option<Container>, VerifyError> {
        match self.read(report) {
            Ok((1, container)) => Ok(Some(container)),
            Ok((n_layers, _)) => Err(VerifyError::Layers { n_layers }),
            Err(finding) => {
                report.find(finding);
                Ok(None)
            }
        }
    }

    /// The number of layers and the first of them.
    fn read(&self, report: &mut Report) -> Result<(usize, Container), Finding> {
        let LayoutFile { image_layout_version } = self.document(LAYOUT)?;
        if image_layout_version != "1.0.0" {
            return Err(damaged(LAYOUT, format!("nobody knows version {image_layout_version}")));
        }
        let index: ImageIndex = self.document("index.json")?;
        let first = index.manifests.first().ok_or_else(|| damaged("index.json", "it has no image"))?;
        report.saw(
            Component::Image,
            "index",
            format_args!("{}, {}", count(index.manifests.len() as u64, "image"), first.digest),
        );
        let (name, manifest) = self.blob(first)?;
        let manifest: ImageManifest = parse(&name, &manifest)?;
        let (name, configuration) = self.blob(&manifest.config)?;
        let Configuration { architecture, os, config, rootfs } = parse(&name, &configuration)?;
        report.saw(Component::Image, "configuration", format_args!("{os}/{architecture}"));
        let (Some(layer), Some(diff_id)) = (manifest.layers.first(), rootfs.diff_ids.first()) else {
            return Err(damaged(&name, "it has no layer"));
        };
        let (layer_name, blob) = self.blob(layer)?;
        let layer = Archive::new(vec![blob]);
        let unpacked = layer.decompressed().and_then(|(_, bytes)| sha256_of(bytes.take(MAX_UNPACKED)));
        let found = unpacked.map_err(|error| damaged(&layer_name, error))?;
        if diff_id.strip_prefix("sha256:") != Some(&found) {
            return Err(damaged(&name, format!("its diff_id is {diff_id}, that of the layer sha256:{found}")));
        }
        let system = match &*os {
            "linux" => Some(System::Linux),
            "illumos" => Some(System::Illumos),
            _ => None,
        };
        Ok((manifest.layers.len(), Container { layer, system, process: config }))
    }
}

impl Container {
    /// What a runtime starts; `None`, with a word to the user, for an image that leaves it to who starts it.
    pub(super) fn command(&self, report: &mut Report) -> Option<Command> {
        let Process { entrypoint, cmd, .. } = &self.process;
        let words: Vec<Vec<u8>> =
            entrypoint.iter().chain(cmd).flatten().map(|word| word.clone().into_bytes()).collect();
        if words.is_empty() {
            let finding = Finding::new(Severity::Warning, Component::Image, "no command specified");
            report.find(
                finding.hint("say what to start with `[oci] entrypoint` in a recipe, or behind `docker run IMAGE`"),
            );
            return None;
        }
        let path = self.variable("PATH").map_or_else(|| PROGRAM_DIRECTORIES.join(":"), str::to_owned).into_bytes();
        Some(Command { words, path })
    }

    /// The directories that the environment gives the runtime linker.
    pub(super) fn library_path(&self) -> Vec<String> {
        self.variable(LIBRARY_PATH).iter().flat_map(|list| list.split(':')).map(str::to_owned).collect()
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let mut variables = self.process.env.iter().flatten();
        variables.find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='))
    }

    /// Names of users and groups are looked up in the image; without an entry there nothing is started.
    pub(super) fn check_user(&self, root: &Root, report: &mut Report) {
        let Some(user) = &self.process.user else { return };
        let (user, group) = user.split_once(':').unwrap_or((user, ""));
        for (name, kind, file) in [(user, "user", "passwd"), (group, "group", "group")] {
            let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
            if !is_number && !has_name(root, file, name) {
                let shown = escaped(name.as_bytes());
                let message = format!("unable to find {kind} {shown}: no matching entries in {file} file");
                let finding = Finding::new(Severity::PreventsStart, Component::Image, message);
                report.find(finding.hint(format!("add /etc/{file} to the recipe, or give a number")));
            }
        }
    }
}

/// Whether a line of `/etc/passwd` or `/etc/group` begins with the name.
fn has_name(root: &Root, file: &str, name: &str) -> bool {
    let path = RootPath::new(format!("/etc/{file}")).expect("a constant");
    let text = root.read_optional(&path).ok().flatten().unwrap_or_default();
    let is_named = |line: &[u8]| line.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b":"));
    text.split(|&byte| byte == b'\n').any(is_named)
}

fn parse<T: DeserializeOwned>(name: &str, blob: &Blob) -> Result<T, Finding> {
    if blob.len() > MAX_DOCUMENT {
        return Err(damaged(name, format!("a document of {}", size(blob.len()))));
    }
    let bytes = blob.read().map_err(|error| damaged(name, error))?;
    serde_json::from_slice(&bytes).map_err(|error| damaged(name, error))
}

fn damaged(name: &str, problem: impl fmt::Display) -> Finding {
    let message = format!("{}: {problem}", escaped(name.as_bytes()));
    let finding = Finding::new(Severity::PreventsStart, Component::Image, message);
    finding.hint("the image is cut short or damaged; write it again")
}

fn is_sha256(digits: &str) -> bool {
    digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Hexadecimal digits.
fn sha256_of(mut input: impl Read) -> io::Result<String> {
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; BUFFER]);
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok(hex(&digest.finalize())),
            n => digest.update(&buffer[..n]),
        }
    }
}
