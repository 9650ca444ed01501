//! Class archives: the relocatable files of a class in one cpio archive, `archive/CLASS`, as Solaris media and packages of
//! OpenCSW and OpenOffice have them, mostly compressed. Their class's script unpacks them below `BASEDIR` when the package
//! is installed; here their files become pieces as if they lay below `reloc/`.
//!
//! `pkgmap` says which files there are and how large. Nothing else is unpacked, whatever the archive holds.

use super::cpio::Stream;
use super::info::{Entry, EntryKind};
use super::pieces::Pieces;
use crate::fetch::archive::invalid;
use crate::fetch::error::FetchError;
use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use foldhash::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};

const DIRECTORY: &[u8] = b"archive/";

/// Unpacks the class archives among the pieces. One in another compression than bzip2 and gzip stays a piece.
///
/// # Errors
/// [`FetchError::Read`], [`FetchError::Write`], and what `damaged` makes of an archive's name and error.
pub fn unpack(
    pieces: &mut Pieces,
    entries: &[Entry],
    damaged: impl Fn(&str, io::Error) -> FetchError,
) -> Result<(), FetchError> {
    let names = pieces.names().into_iter().filter(|name| name.starts_with(DIRECTORY));
    let names: Vec<Vec<u8>> = names.map(<[u8]>::to_vec).collect();
    if names.is_empty() {
        return Ok(());
    }
    let sizes = promised_sizes(entries);
    for name in names {
        let Some(decoder) = decoder(&name) else { continue };
        let Some(archive) = pieces.take(&name) else { continue };
        let file = File::open(&archive.path).map_err(|source| FetchError::Read { path: archive.path, source })?;
        let part = String::from_utf8_lossy(&name).into_owned();
        let damaged = |error| damaged(&part, error);
        Stream::new(decoder(file)).archive(damaged, |header, reader| {
            let member = header.name.strip_prefix(b"./").unwrap_or(&header.name);
            match sizes.get(member) {
                None => Ok(()),
                Some(size) if *size == header.size => pieces.add(&[b"reloc/", member].concat(), reader, damaged),
                Some(size) => {
                    let member = String::from_utf8_lossy(member).escape_debug().to_string();
                    Err(damaged(invalid(&format!("`{member}` has {} bytes instead of {size}", header.size))))
                }
            }
        })?;
    }
    Ok(())
}

/// The relocatable files of `pkgmap` with their sizes.
fn promised_sizes(entries: &[Entry]) -> HashMap<&[u8], u64> {
    let files = entries.iter().filter(|entry| matches!(entry.kind, EntryKind::File(_)) && !entry.path.starts_with('/'));
    files.filter_map(|entry| Some((entry.path.as_bytes(), entry.content?.size))).collect()
}

/// How to read an archive of this name; `None` when nobody here can.
fn decoder(name: &[u8]) -> Option<fn(File) -> Box<dyn Read>> {
    let class = name.strip_prefix(DIRECTORY)?;
    match memchr::memrchr(b'.', class).map(|dot| &class[dot..]) {
        None => Some(|file| Box::new(BufReader::new(file))),
        Some(b".bz2") => Some(|file| Box::new(BufReader::new(MultiBzDecoder::new(BufReader::new(file))))),
        Some(b".gz") => Some(|file| Box::new(BufReader::new(MultiGzDecoder::new(BufReader::new(file))))),
        Some(_) => None,
    }
}
