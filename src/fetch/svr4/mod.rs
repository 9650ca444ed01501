//! Unpacks SVR4 packages: a directory with `pkginfo`, `pkgmap` and the content, a datastream of pkgtrans(1), or a `.zap`
//! of Tribblix, which is such a directory in a zip archive.
//!
//! All three are first taken apart into [`Pieces`], in whatever order they hold their files, those of class archives
//! among them; `pkgmap` then says what each of them is. A source may hold several packages.

mod class_archive;
pub(crate) mod cpio;
mod info;
mod package;
mod pieces;
mod script;

use super::archive::invalid;
use super::error::FetchError;
use super::source::{Selection, Staged, files_below};
use super::store;
use cpio::Stream;
use foldhash::{HashMap, HashMapExt};
use info::PackageInfo;
use pieces::Pieces;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What a datastream begins with (libpkg, `HDR_PREFIX`).
pub const DATASTREAM: &[u8] = b"# PaCkAgE DaTaStReAm";
const END_OF_HEADER: &[u8] = b"# end of header\n";
/// 10,000 packages have a table of contents of 400 KiB.
const HEADER_LIMIT: usize = 1 << 20;
/// `pkginfo`, read before it is known whether the package is wanted.
const INFO_LIMIT: u64 = 1 << 20;

/// How packages are held together.
pub enum Form {
    Datastream,
    Zap,
    Directory,
}

/// Whether a directory is a package.
pub fn is_package(path: &Path) -> bool {
    path.join("pkginfo").is_file() && path.join("pkgmap").is_file()
}

/// Unpacks the wanted packages of a source into `directory`, which does not exist yet.
///
/// # Errors
/// [`FetchError`] of reading the source, refusing an entry, content that is not as promised, or writing.
pub fn stage(path: &Path, form: Form, selection: &Selection, directory: &Path) -> Result<Staged, FetchError> {
    std::fs::create_dir(directory).map_err(|source| FetchError::Write { path: directory.to_owned(), source })?;
    let mut reading = Reading { path, selection, directory, names: Vec::new(), found: Vec::new() };
    match form {
        Form::Datastream => reading.datastream()?,
        Form::Zap => reading.zap()?,
        Form::Directory => reading.directories()?,
    }
    let digest = match form {
        Form::Directory => None,
        _ => Some(store::file_digest(path).map_err(|source| FetchError::Read { path: path.to_owned(), source })?),
    };
    let Reading { names, found, .. } = reading;
    let build = |(info, pieces)| package::build(path, digest.clone(), info, pieces);
    Ok(Staged { packages: found.into_iter().map(build).collect::<Result<_, _>>()?, names })
}

/// A source that is being taken apart.
struct Reading<'a> {
    path: &'a Path,
    selection: &'a Selection,
    directory: &'a Path,
    /// Of every package.
    names: Vec<String>,
    /// The wanted ones.
    found: Vec<(PackageInfo, Pieces)>,
}

impl Reading<'_> {
    /// A header with a table of contents, an archive with what describes each package, then one for each part of each
    /// package (illumos-gate usr/src/lib/libpkg/common/dstream.c).
    fn datastream(&mut self) -> Result<(), FetchError> {
        let file = File::open(self.path).map_err(|source| FetchError::Read { path: self.path.to_owned(), source })?;
        let mut stream = Stream::new(BufReader::with_capacity(1 << 16, file));
        let contents = table_of_contents(&mut stream).map_err(|e| self.damaged("header", e))?;
        let numbers: HashMap<&[u8], usize> =
            contents.iter().enumerate().map(|(number, line)| (line.package.as_bytes(), number)).collect();
        let mut described: HashMap<Vec<u8>, Pieces> = HashMap::new();
        let damaged = |error| self.damaged("first archive", error);
        stream.archive(damaged, |header, reader| {
            let name = header.name.strip_prefix(b"./").unwrap_or(&header.name);
            let slash = memchr::memchr(b'/', name).unwrap_or(0);
            let (package, rest) = name.split_at(slash);
            let Some(&number) = numbers.get(package).filter(|_| is_file(header.mode)) else { return Ok(()) };
            let fresh = || Pieces::new(self.prefix(number));
            described.entry(package.to_vec()).or_insert_with(fresh).add(&rest[1..], reader, damaged)
        })?;
        for line in &contents {
            let mut pieces = described.remove(line.package.as_bytes()).ok_or_else(|| {
                self.damaged("first archive", invalid(&format!("it does not describe `{}`", line.package)))
            })?;
            let info = self.info(&line.package, pieces.read(b"pkginfo")?)?;
            let wanted = self.selection.wants(&info.name);
            let part = format!("archive of {}", line.package);
            for _ in 0..line.parts {
                let damaged = |error| self.damaged(&part, error);
                stream.archive(damaged, |header, reader| match wanted && is_file(header.mode) {
                    true => pieces.add(&header.name, reader, damaged),
                    false => Ok(()),
                })?;
            }
            self.note(info, wanted.then_some(pieces));
        }
        Ok(())
    }

    fn zap(&mut self) -> Result<(), FetchError> {
        let path = self.path;
        let broken = |error: zip::result::ZipError| damaged(path, "zip archive", io::Error::other(error));
        let file = File::open(self.path).map_err(|source| FetchError::Read { path: self.path.to_owned(), source })?;
        let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(broken)?;
        // What is in each directory at the top, or at the top itself: names from there, and indices.
        let mut groups: BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, usize>> = BTreeMap::new();
        for index in 0..archive.len() {
            let name = archive.by_index_raw(index).map_err(broken)?.name_raw().to_vec();
            let slash = memchr::memchr(b'/', &name).map_or(0, |slash| slash + 1);
            for (prefix, rest) in [name.split_at(0), name.split_at(slash)] {
                groups.entry(prefix.to_vec()).or_default().entry(rest.to_vec()).or_insert(index);
            }
        }
        groups.retain(|_, names| names.contains_key(&b"pkginfo"[..]) && names.contains_key(&b"pkgmap"[..]));
        if groups.is_empty() {
            return Err(self.damaged("zip archive", invalid("no directory in it has `pkginfo` and `pkgmap`")));
        }
        for (number, (prefix, names)) in groups.into_iter().enumerate() {
            let mut text = Vec::new();
            let mut entry = archive.by_index(names[&b"pkginfo"[..]]).map_err(broken)?;
            (&mut entry).take(INFO_LIMIT).read_to_end(&mut text).map_err(|e| self.damaged("pkginfo", e))?;
            drop(entry);
            let info = self.info(&String::from_utf8_lossy(&prefix), Some(text))?;
            if !self.selection.wants(&info.name) {
                self.note(info, None);
                continue;
            }
            let mut pieces = Pieces::new(self.prefix(number));
            for (name, index) in names {
                let entry = archive.by_index(index).map_err(broken)?;
                if !entry.is_file() {
                    continue;
                }
                // A byte more than it should be is found out by its size.
                let mut limited = entry.take(u64::MAX);
                limited.set_limit(limited.get_ref().size().saturating_add(1));
                let part = String::from_utf8_lossy(&name).into_owned();
                pieces.add(&name, &mut limited, |error| self.damaged(&part, error))?;
            }
            self.note(info, Some(pieces));
        }
        Ok(())
    }

    /// One package, or a directory of packages as in `/var/spool/pkg`. Symlinks in it are left alone: the content of
    /// a package is in regular files, and what a link leads to is not the package's.
    fn directories(&mut self) -> Result<(), FetchError> {
        let mut packages = vec![self.path.to_owned()];
        if !is_package(self.path) {
            let failed = |source| FetchError::Read { path: self.path.to_owned(), source };
            let entries = std::fs::read_dir(self.path).map_err(failed)?;
            packages = entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect::<Result<_, _>>()?;
            packages.retain(|path| is_package(path));
            packages.sort();
        }
        for (number, package) in packages.iter().enumerate() {
            let read =
                |path: &Path| std::fs::read(path).map_err(|source| FetchError::Read { path: path.to_owned(), source });
            let info = self.info(&package.display().to_string(), Some(read(&package.join("pkginfo"))?))?;
            let wanted = self.selection.wants(&info.name);
            let mut pieces = Pieces::new(self.prefix(number));
            for file in if wanted { files_below(package) } else { Vec::new() } {
                let name = file.strip_prefix(package).unwrap_or(&file);
                if !file.symlink_metadata().is_ok_and(|facts| facts.is_file()) {
                    continue;
                }
                let failed = |source| FetchError::Read { path: file.clone(), source };
                pieces.add(name.as_os_str().as_bytes(), &mut File::open(&file).map_err(failed)?, failed)?;
            }
            self.note(info, wanted.then_some(pieces));
        }
        Ok(())
    }

    fn note(&mut self, info: PackageInfo, pieces: Option<Pieces>) {
        self.names.push(info.name.clone());
        self.found.extend(pieces.map(|pieces| (info, pieces)));
    }

    fn info(&self, package: &str, text: Option<Vec<u8>>) -> Result<PackageInfo, FetchError> {
        let text = text.ok_or_else(|| format!("`{package}` has no `pkginfo`"));
        text.and_then(|text| PackageInfo::parse(&text)).map_err(|problem| self.damaged("pkginfo", invalid(&problem)))
    }

    fn prefix(&self, package: usize) -> PathBuf {
        self.directory.join(package.to_string())
    }

    fn damaged(&self, part: &str, source: io::Error) -> FetchError {
        damaged(self.path, part, source)
    }
}

fn damaged(path: &Path, part: &str, source: io::Error) -> FetchError {
    FetchError::Damaged { path: path.to_owned(), part: part.to_owned(), source }
}

/// A line of a datastream's header.
struct Content {
    package: String,
    parts: u32,
}

/// Reads the header block by block until its last line: `PACKAGE PARTS SIZE [PARTS-ON-EACH-VOLUME...]`.
fn table_of_contents(stream: &mut Stream<impl Read>) -> io::Result<Vec<Content>> {
    let mut header = Vec::new();
    let end = loop {
        header.extend_from_slice(&stream.block()?);
        if let Some(end) = memchr::memmem::find(&header, END_OF_HEADER) {
            break end;
        }
        if header.len() > HEADER_LIMIT {
            return Err(invalid("it does not end within 1 MiB"));
        }
    };
    let text = std::str::from_utf8(&header[..end]).map_err(|_| invalid("it is not text"))?;
    let mut contents: Vec<Content> = Vec::new();
    let mut names = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut fields = line.split_whitespace();
        let package = fields.next().unwrap_or_default().to_owned();
        let parts = fields.next().and_then(|parts| parts.parse().ok());
        let parts = parts
            .ok_or_else(|| invalid(&format!("the number of parts of `{}` is not a number", package.escape_debug())))?;
        if !names.insert(package.clone()) {
            return Err(invalid(&format!("it names `{}` twice", package.escape_debug())));
        }
        contents.push(Content { package, parts });
    }
    if contents.is_empty() { Err(invalid("it names no package")) } else { Ok(contents) }
}

/// `S_IFREG`, or no type at all.
fn is_file(mode: u32) -> bool {
    matches!(mode & 0o170_000, 0o100_000 | 0)
}
