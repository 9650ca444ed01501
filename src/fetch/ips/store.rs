//! Where IPS packages are: a `.p5p` archive, a repository of files, or an installed image. All give manifests by name, and
//! content by digest.
//!
//! The first two hold the same tree, `publisher/PUBLISHER/pkg/NAME/VERSION` and `.../file/XX/DIGEST`, an archive as tar
//! (solaris-ips src/modules/p5p.py). Its index is not needed: an archive is read once for the manifests, and once more
//! for the content.

use super::Form;
use crate::fetch::archive::{for_each_member, invalid};
use crate::fetch::error::FetchError;
use crate::fetch::unpack::write_content;
use crate::packages::image::{self, Installed, unquote};
use crate::path::RootPath;
use crate::root::Root;
use crate::text::hex;
use flate2::bufread::GzDecoder;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// The largest manifests, of thousands of files, have two megabytes.
const MANIFEST_LIMIT: u64 = 64 << 20;

/// An opened source.
pub enum Store<'a> {
    Archive(&'a Path),
    Repository(&'a Path),
    Image { path: &'a Path, root: Box<Root> },
}

/// A package in a source.
pub struct Found {
    pub publisher: String,
    /// The name.
    pub stem: String,
    pub version: String,
    manifest: Manifest,
}

enum Manifest {
    Text(Vec<u8>),
    File(PathBuf),
    Installed(Installed),
}

/// A file whose content is wanted.
pub struct Want {
    /// Under which it is stored; not checked yet.
    pub digest: String,
    /// Where it goes.
    pub staged: PathBuf,
    /// In bytes, where the manifest says so.
    pub size: Option<u64>,
    pub package: String,
    pub path: RootPath,
    /// Whether nothing is made of the package without it.
    pub is_needed: bool,
}

impl<'a> Store<'a> {
    /// Opens a source of which the form is known.
    ///
    /// # Errors
    /// [`FetchError::Read`].
    pub fn open(path: &'a Path, form: &Form) -> Result<Store<'a>, FetchError> {
        Ok(match form {
            Form::Archive => Store::Archive(path),
            Form::Repository => Store::Repository(path),
            Form::Image => {
                let root = Root::open(path).map_err(|e| read_error(path, io::Error::other(e)))?;
                Store::Image { path, root: Box::new(root) }
            }
        })
    }

    /// Every version of every package.
    ///
    /// # Errors
    /// [`FetchError`] of reading.
    pub fn packages(&self) -> Result<Vec<Found>, FetchError> {
        match self {
            Store::Archive(path) => archived(path),
            Store::Repository(path) => Ok(in_repository(path)),
            Store::Image { path, root } => {
                let installed = image::installed(root).map_err(|source| read_error(path, source))?;
                let found = |package: Installed| Found {
                    publisher: package.publisher.clone(),
                    stem: package.stem.clone(),
                    version: package.version.clone(),
                    manifest: Manifest::Installed(package),
                };
                Ok(installed.into_iter().map(found).collect())
            }
        }
    }

    /// The text of a manifest.
    ///
    /// # Errors
    /// [`FetchError::Read`].
    pub fn manifest(&self, found: &Found) -> Result<Vec<u8>, FetchError> {
        match (&found.manifest, self) {
            (Manifest::Text(text), _) => Ok(text.clone()),
            (Manifest::File(path), _) => std::fs::read(path).map_err(|source| read_error(path, source)),
            (Manifest::Installed(package), Store::Image { path, root }) => {
                package.text(root).map_err(|source| read_error(path, source))
            }
            (Manifest::Installed(_), _) => unreachable!("internal error: an installed package outside of an image"),
        }
    }

    /// Stages all content that is wanted; of what is not needed, what there is.
    ///
    /// # Errors
    /// [`FetchError::Content`] for what is needed and missing or not as promised, and of reading and writing.
    pub fn fill(&self, wants: Vec<Want>) -> Result<(), FetchError> {
        if let Store::Image { root, .. } = self {
            let is_there = |want: &&Want| want.is_needed || root.lookup(&want.path).is_ok();
            return wants.iter().filter(is_there).try_for_each(|want| from_image(root, want));
        }
        let mut by_digest: BTreeMap<String, Vec<Want>> = BTreeMap::new();
        for want in wants {
            // It becomes a file name.
            if !matches!(want.digest.len(), 40 | 64) || !want.digest.bytes().all(|b| b.is_ascii_hexdigit()) {
                if !want.is_needed {
                    continue;
                }
                return Err(want.problem(format!("`{}` is no digest", want.digest.escape_debug())));
            }
            by_digest.entry(want.digest.to_ascii_lowercase()).or_default().push(want);
        }
        match self {
            Store::Archive(path) => {
                let damaged = |source| damaged(path, source);
                let file = File::open(path).map_err(|source| read_error(path, source))?;
                for_each_member(BufReader::with_capacity(1 << 16, file), damaged, |member, reader| {
                    match Place::of(&member.path) {
                        Some(Place::Content(digest)) => match by_digest.remove(digest) {
                            Some(wants) => expand(reader, &wants),
                            None => Ok(()),
                        },
                        _ => Ok(()),
                    }
                })?;
            }
            Store::Repository(path) => {
                let places = content_directories(path);
                for (digest, wants) in std::mem::take(&mut by_digest) {
                    let found = places.iter().find_map(|place| stored(place, &digest));
                    let Some(found) = found else {
                        by_digest.insert(digest, wants);
                        continue;
                    };
                    let mut file = File::open(&found).map_err(|source| read_error(&found, source))?;
                    expand(&mut file, &wants)?;
                }
            }
            Store::Image { .. } => {}
        }
        match by_digest.into_values().flatten().find(|want| want.is_needed) {
            Some(want) => Err(want.problem(format!("there is no content `{}`", want.digest))),
            None => Ok(()),
        }
    }
}

impl Want {
    fn problem(&self, problem: String) -> FetchError {
        FetchError::Content { package: self.package.clone(), member: self.path.as_bytes().to_vec(), problem }
    }
}

/// What a path in an archive or a repository is.
enum Place<'p> {
    Manifest { publisher: &'p str, stem: &'p str, version: &'p str },
    Content(&'p str),
}

impl Place<'_> {
    fn of(path: &[u8]) -> Option<Place<'_>> {
        let path = std::str::from_utf8(path).ok()?;
        let names: Vec<&str> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
        match names[..] {
            ["publisher", publisher, "pkg", stem, version] => Some(Place::Manifest { publisher, stem, version }),
            ["publisher", _, "file", .., digest] => Some(Place::Content(digest)),
            _ => None,
        }
    }
}

fn archived(path: &Path) -> Result<Vec<Found>, FetchError> {
    let damaged = |source| damaged(path, source);
    let file = File::open(path).map_err(|source| read_error(path, source))?;
    let mut all = Vec::new();
    for_each_member(BufReader::with_capacity(1 << 16, file), damaged, |member, reader| {
        let Some(Place::Manifest { publisher, stem, version }) = Place::of(&member.path) else { return Ok(()) };
        let Some((stem, version)) = unquote(stem.as_bytes()).zip(unquote(version.as_bytes())) else { return Ok(()) };
        if member.kind != tar::EntryType::Regular {
            return Ok(());
        }
        let mut text = Vec::new();
        reader.take(MANIFEST_LIMIT).read_to_end(&mut text).map_err(damaged)?;
        if text.len() as u64 != member.size {
            return Err(damaged(invalid(&format!("the manifest of `{stem}` is truncated or larger than 64 MiB"))));
        }
        all.push(Found { publisher: publisher.to_owned(), stem, version, manifest: Manifest::Text(text) });
        Ok(())
    })?;
    Ok(all)
}

/// Repositories of one publisher, as they were made until 2010, have `pkg` and `file` at the top.
fn in_repository(path: &Path) -> Vec<Found> {
    let mut all = Vec::new();
    let mut places = vec![(String::new(), path.join("pkg"))];
    for (name, directory) in entries(&path.join("publisher")) {
        places.push((name, directory.join("pkg")));
    }
    for (publisher, directory) in places {
        for (stem, versions) in entries(&directory) {
            for (version, file) in entries(&versions) {
                let (publisher, manifest) = (publisher.clone(), Manifest::File(file));
                if let Some((stem, version)) = unquote(stem.as_bytes()).zip(unquote(version.as_bytes())) {
                    all.push(Found { publisher, stem, version, manifest });
                }
            }
        }
    }
    all
}

fn content_directories(path: &Path) -> Vec<PathBuf> {
    let publishers = entries(&path.join("publisher"));
    publishers.into_iter().map(|(_, directory)| directory.join("file")).chain([path.join("file")]).collect()
}

/// `XX/DIGEST`, or as before 2010 `XX/XXXXXX/DIGEST`.
fn stored(directory: &Path, digest: &str) -> Option<PathBuf> {
    let short = directory.join(&digest[..2]);
    [short.join(digest), short.join(&digest[2..8]).join(digest)].into_iter().find(|path| path.is_file())
}

/// Names and paths in a directory, sorted; none when there is no directory.
fn entries(directory: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut all: Vec<_> =
        entries.filter_map(|entry| Some((entry.file_name().to_str()?.to_owned(), entry.path()))).collect();
    all.sort();
    all
}

/// Decompresses content to its first place, checks it, and copies it to the others.
fn expand(reader: &mut (impl Read + ?Sized), wants: &[Want]) -> Result<(), FetchError> {
    let [first, rest @ ..] = wants else { return Ok(()) };
    let mut sha1 = Sha1::new();
    let mut sha256 = Sha256::new();
    let is_long = first.digest.len() == 64;
    // A byte more than promised is enough to see that it is too much.
    let limit = first.size.map_or(u64::MAX, |size| size.saturating_add(1));
    let mut content = GzDecoder::new(BufReader::new(reader)).take(limit);
    let seen = |bytes: &[u8]| if is_long { sha256.update(bytes) } else { sha1.update(bytes) };
    let broken = |error: io::Error| first.problem(format!("its gzip data are damaged: {error}"));
    let (_, size) = write_content(&first.staged, &mut content, seen, broken)?;
    if let Some(promised) = first.size.filter(|promised| *promised != size) {
        let found = if size > promised { "more".to_owned() } else { size.to_string() };
        return Err(first.problem(format!("it has {found} bytes instead of {promised}")));
    }
    let digest = if is_long { hex(&sha256.finalize()) } else { hex(&sha1.finalize()) };
    if !digest.eq_ignore_ascii_case(&first.digest) {
        return Err(first.problem(format!("its digest is {digest} instead of {}", first.digest)));
    }
    for want in rest {
        std::fs::copy(&first.staged, &want.staged)
            .map_err(|source| FetchError::Write { path: want.staged.clone(), source })?;
    }
    Ok(())
}

/// The file as it is in the image. It may have been edited since it was installed, so no digest is compared.
fn from_image(root: &Root, want: &Want) -> Result<(), FetchError> {
    let failed = |source: io::Error| want.problem(format!("the image does not give it: {source}"));
    let found = root.lookup(&want.path).map_err(|error| failed(io::Error::other(error)))?;
    let mut file = root.open_file(&found).map_err(failed)?;
    write_content(&want.staged, &mut file, |_| (), failed).map(|_| ())
}

fn read_error(path: &Path, source: io::Error) -> FetchError {
    FetchError::Read { path: path.to_owned(), source }
}

fn damaged(path: &Path, source: io::Error) -> FetchError {
    FetchError::Damaged { path: path.to_owned(), part: "tar archive".to_owned(), source }
}
