//! Turns a `.deb` file into its control fields and the members of its data archive (deb(5)).
//!
//! A `.deb` is an `ar` archive of `debian-binary`, `control.tar.*` and `data.tar.*`. Its `ar` headers are
//! read here, not by a crate: there are three of them, never with a long name, and each names an offset to check.

use super::archive::{TarMember, for_each_member, invalid};
use super::control::Control;
use super::error::FetchError;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Limits for what is kept in memory: control members are a few kilobytes, `md5sums` of a large package a few megabytes.
const CONTROL_LIMIT: u64 = 16 << 20;
/// What the decoder of a hostile xz file may take; `xz -9` needs 65 MiB to unpack.
const XZ_MEMORY: u64 = 256 << 20;

const MAGIC: &[u8] = b"!<arch>\n";
const HEADER_SIZE: u64 = 60;

/// An opened package file.
pub struct Deb {
    path: PathBuf,
    file: File,
    control: Part,
    data: Part,
}

/// Everything of `control.tar` that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlFiles {
    pub control: Control,
    /// Configuration files, one absolute path a line; empty when there are none.
    pub conffiles: Vec<u8>,
    pub md5sums: Vec<u8>,
    /// The script that dpkg would run after unpacking; empty when there is none.
    pub postinst: Vec<u8>,
}

/// A member of the `ar` archive: name and where its content is.
#[derive(Debug, Clone)]
struct Part {
    name: String,
    offset: u64,
    size: u64,
}

impl Deb {
    /// Opens a package file and finds its parts; nothing is unpacked yet.
    ///
    /// # Errors
    /// [`FetchError::Read`], or [`FetchError::Damaged`] when it is no package file.
    pub fn open(path: &Path) -> Result<Deb, FetchError> {
        let read = |source| FetchError::Read { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(read)?;
        let parts = parts(&mut file).map_err(|source| FetchError::Damaged {
            path: path.to_owned(),
            part: "ar headers".to_owned(),
            source,
        })?;
        let find = |prefix: &str| {
            let rest =
                |name: &str| name.strip_prefix(prefix).is_some_and(|rest| matches!(rest.get(..1), None | Some(".")));
            parts.iter().find(|part| rest(&part.name)).cloned().ok_or_else(|| FetchError::Damaged {
                path: path.to_owned(),
                part: "ar headers".to_owned(),
                source: invalid(&format!("there is no `{prefix}`")),
            })
        };
        Ok(Deb { path: path.to_owned(), file, control: find("control.tar")?, data: find("data.tar")? })
    }

    /// Reads `control.tar`.
    ///
    /// # Errors
    /// [`FetchError::Damaged`] and [`FetchError::Compression`], with the part's name.
    pub fn control(&self) -> Result<ControlFiles, FetchError> {
        let mut files: [Vec<u8>; 4] = Default::default();
        self.members(&self.control, |member, reader| {
            let name = member.path.strip_prefix(b"./").unwrap_or(&member.path);
            let wanted = [&b"control"[..], b"conffiles", b"md5sums", b"postinst"].iter().position(|n| *n == name);
            if let Some(index) = wanted {
                let mut bytes = Vec::new();
                reader.take(CONTROL_LIMIT).read_to_end(&mut bytes).map_err(|e| self.damaged(&self.control, e))?;
                if bytes.len() as u64 != member.size {
                    let problem = format!("`{}` is truncated or larger than 16 MiB", String::from_utf8_lossy(name));
                    return Err(self.damaged(&self.control, invalid(&problem)));
                }
                files[index] = bytes;
            }
            Ok(())
        })?;
        let [control, conffiles, md5sums, postinst] = files;
        let control = Control::parse(&control).map_err(|problem| self.damaged(&self.control, invalid(&problem)))?;
        Ok(ControlFiles { control, conffiles, md5sums, postinst })
    }

    /// Calls `visit` with each member of `data.tar` in order, and a reader of its content.
    ///
    /// # Errors
    /// What `visit` gives, and as [`Deb::control`].
    pub fn data(
        &self,
        visit: impl FnMut(TarMember, &mut dyn Read) -> Result<(), FetchError>,
    ) -> Result<(), FetchError> {
        self.members(&self.data, visit)
    }

    /// An error about the content of `data.tar`.
    pub fn damaged_data(&self, source: io::Error) -> FetchError {
        self.damaged(&self.data, source)
    }

    fn members(
        &self,
        part: &Part,
        visit: impl FnMut(TarMember, &mut dyn Read) -> Result<(), FetchError>,
    ) -> Result<(), FetchError> {
        let damaged = |source| self.damaged(part, source);
        (&self.file).seek(SeekFrom::Start(part.offset)).map_err(damaged)?;
        let reader = BufReader::with_capacity(1 << 16, (&self.file).take(part.size));
        let suffix = part.name.split_once(".tar").map_or("", |(_, suffix)| suffix);
        match suffix {
            "" => for_each_member(reader, damaged, visit),
            ".gz" => for_each_member(flate2::bufread::MultiGzDecoder::new(reader), damaged, visit),
            ".xz" => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)
                    .map_err(|error| damaged(error.into()))?;
                for_each_member(liblzma::bufread::XzDecoder::new_stream(reader, stream), damaged, visit)
            }
            ".zst" => {
                let decoder = zstd::stream::read::Decoder::with_buffer(reader).map_err(damaged)?;
                for_each_member(decoder, damaged, visit)
            }
            _ => Err(FetchError::Compression { path: self.path.clone(), part: part.name.clone() }),
        }
    }

    fn damaged(&self, part: &Part, source: io::Error) -> FetchError {
        FetchError::Damaged { path: self.path.clone(), part: part.name.clone(), source }
    }
}

/// The members of the `ar` archive, up to and including `data.tar`.
fn parts(file: &mut File) -> io::Result<Vec<Part>> {
    let length = file.metadata()?.len();
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic).map_err(|_| invalid("it is no `ar` archive"))?;
    if magic != MAGIC {
        return Err(invalid("it is no `ar` archive"));
    }
    let mut parts = Vec::new();
    let mut position = MAGIC.len() as u64;
    while position < length {
        let part = part(file, position, length)?;
        if parts.is_empty() {
            check_version(file, &part)?;
        }
        // Content is padded to even offsets; the sum cannot overflow, both are within the file.
        position = part.offset + part.size + part.size % 2;
        // What comes after the data is for other tools, such as signatures.
        let last = part.name.starts_with("data.tar");
        parts.push(part);
        if last {
            break;
        }
    }
    Ok(parts)
}

/// Reads the `ar` header at `position`: name (16), times and owners (32), size (10 decimal digits), "`\n".
fn part(file: &mut File, position: u64, length: u64) -> io::Result<Part> {
    let mut header = [0; HEADER_SIZE as usize];
    file.seek(SeekFrom::Start(position))?;
    file.read_exact(&mut header).map_err(|_| invalid("a header is truncated"))?;
    let name = std::str::from_utf8(&header[..16]).map_err(|_| invalid("a member's name is not text"))?;
    let name = name.trim_end().trim_end_matches('/').to_owned();
    if &header[58..] != b"`\n" {
        return Err(invalid(&format!("the header of `{name}` has no end mark")));
    }
    let digits = std::str::from_utf8(&header[48..58]).unwrap_or_default().trim_end();
    let size: u64 = digits.parse().map_err(|_| invalid(&format!("the size of `{name}` is not a number")))?;
    let offset = position + HEADER_SIZE;
    if offset.checked_add(size).is_none_or(|end| end > length) {
        return Err(invalid(&format!("`{name}` ends after the file")));
    }
    Ok(Part { name, offset, size })
}

/// The first member says `2.0`; a later minor version stays readable (deb(5)).
fn check_version(file: &mut File, part: &Part) -> io::Result<()> {
    if part.name != "debian-binary" {
        return Err(invalid("the first member is not `debian-binary`"));
    }
    let mut version = [0; 2];
    file.seek(SeekFrom::Start(part.offset))?;
    if part.size < 2 || file.read_exact(&mut version).is_err() || &version != b"2." {
        return Err(invalid("`debian-binary` names a format that is not 2.x"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    fn ar(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for (name, content) in parts {
            bytes.extend_from_slice(format!("{name:<16}{:<32}{:<10}`\n", "", content.len()).as_bytes());
            bytes.extend_from_slice(content);
            bytes.resize(bytes.len().next_multiple_of(2), b'\n');
        }
        bytes
    }

    fn open(bytes: &[u8]) -> Result<Deb, FetchError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.deb");
        std::fs::write(&path, bytes).unwrap();
        Deb::open(&path)
    }

    fn cause(result: Result<Deb, FetchError>) -> String {
        result.err().expect("an error").source().expect("a cause").to_string()
    }

    #[test]
    fn parts_are_found_and_what_follows_the_data_is_ignored() {
        let bytes =
            ar(&[("debian-binary", b"2.0\n"), ("_x", b"?"), ("control.tar", b""), ("data.tar.xz", b""), ("z", b"")]);
        let deb = open(&bytes).unwrap();
        assert_eq!((deb.control.name.as_str(), deb.data.name.as_str()), ("control.tar", "data.tar.xz"));
    }

    #[test]
    fn damaged_containers_are_errors_that_name_the_field() {
        let good = ar(&[("debian-binary", b"2.0\n"), ("control.tar", b"abcd"), ("data.tar", b"abcd")]);
        assert_eq!(cause(open(b"")), "it is no `ar` archive");
        assert_eq!(cause(open(b"PK\x03\x04 and so on")), "it is no `ar` archive");
        assert_eq!(cause(open(&good[..good.len() - 1])), "`data.tar` ends after the file");
        assert_eq!(cause(open(&good[..90])), "a header is truncated");
        assert_eq!(cause(open(&ar(&[("debian-binary", b"3.0\n")]))), "`debian-binary` names a format that is not 2.x");
        assert_eq!(cause(open(&ar(&[("x", b"")]))), "the first member is not `debian-binary`");
        assert_eq!(cause(open(&ar(&[("debian-binary", b"2.0\n")]))), "there is no `control.tar`");
        let mut huge = good.clone();
        huge[56..66].copy_from_slice(b"9999999999");
        assert_eq!(cause(open(&huge)), "`debian-binary` ends after the file");
        huge[56..66].copy_from_slice(b"-1        ");
        assert_eq!(cause(open(&huge)), "the size of `debian-binary` is not a number");
    }

    #[test]
    fn an_unknown_compression_is_named() {
        let deb = open(&ar(&[("debian-binary", b"2.0\n"), ("control.tar.bz2", b""), ("data.tar.bz2", b"")])).unwrap();
        let error = deb.control().unwrap_err();
        assert!(error.to_string().contains("`control.tar.bz2`"), "{error}");
    }
}
