//! An initramfs file to the members that the Linux kernel would find in it.
//!
//! What the boot loader hands to the kernel is a *sequence*: archives one after the other, zeros between them, each
//! plain or compressed on its own, microcode in a plain archive at the front. This follows `unpack_to_rootfs` of
//! `init/initramfs.c` step by step. Where the kernel passes over a member in silence (a name that is too long, a
//! directory with data) this is an error, because the image would then lack what its maker put in.

use super::error::{Place, Problem, ReadError};
use super::{ALIGN, HEADER, TRAILER, file_type};
use crate::pack::compress::{Compression, decoder};
use std::io::{self, BufRead, BufReader, Read};

/// A member of an archive, as its header says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Member {
    /// Without a leading slash, as stored.
    pub name: Vec<u8>,
    /// Number that names of one file share.
    pub inode: u32,
    /// `st_mode`: file type and permissions.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub n_links: u32,
    pub mtime: u32,
    /// Bytes of data; for a symlink, of its target.
    pub size: u32,
    /// Major and minor number of the file system; with the inode it tells which members are one file.
    pub file_system: (u32, u32),
    /// Major and minor number of a device node.
    pub device: (u32, u32),
    /// What a symlink holds; empty for anything else.
    pub link_target: Vec<u8>,
    /// Which of the [`Segment`]s it is in.
    pub segment: usize,
    /// Where the header and the data are: in the file for a plain segment, in the unpacked bytes for another.
    pub header_offset: u64,
    pub data_offset: u64,
}

/// A part of the file that is compressed as a whole, or one plain archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Where it begins in the file.
    pub offset: u64,
    /// Bytes it takes in the file, without the zeros behind it.
    pub stored: u64,
    /// Bytes when unpacked.
    pub unpacked: u64,
    pub compression: Compression,
    pub n_members: u64,
}

/// Reads a whole file and calls `visit` with each member and its data, in the order of the file.
///
/// `visit` may leave data unread. All compressed segments together may unpack to `limit` bytes. Nothing is kept in
/// memory but one member's name and the state of a decompressor.
///
/// # Errors
/// [`ReadError`]; also when `visit` fails.
pub fn read(
    input: impl BufRead,
    limit: u64,
    mut visit: impl FnMut(&Member, &mut dyn Read) -> io::Result<()>,
) -> Result<Vec<Segment>, ReadError> {
    let mut file = Stream { bytes: input, position: 0, segment: None, limit: u64::MAX };
    let mut segments = Vec::new();
    let mut left = limit;
    while let Some(byte) = file.peek()? {
        if byte == 0 {
            file.consume(1);
            continue;
        }
        let offset = file.position;
        let index = segments.len();
        let segment = if byte == b'0' && offset.is_multiple_of(ALIGN) {
            let n_members = read_archive(&mut file, index, &mut visit)?;
            let size = file.position - offset;
            file.skip_padding()?;
            Segment { offset, stored: size, unpacked: size, compression: Compression::None, n_members }
        } else {
            read_compressed(&mut file, index, left, limit, &mut visit)?
        };
        if segment.compression != Compression::None {
            left -= segment.unpacked;
        }
        segments.push(segment);
    }
    Ok(segments)
}

/// The members of a whole file, without their data.
///
/// # Errors
/// As [`read`].
pub fn list(input: impl BufRead, limit: u64) -> Result<Vec<Member>, ReadError> {
    let mut members = Vec::new();
    read(input, limit, |member, _| {
        members.push(member.clone());
        Ok(())
    })?;
    Ok(members)
}

impl Member {
    pub fn is_file(&self) -> bool {
        self.mode & 0o170_000 == file_type::FILE
    }

    pub fn is_symlink(&self) -> bool {
        self.mode & 0o170_000 == file_type::SYMLINK
    }
}

fn read_compressed<R: BufRead>(
    file: &mut Stream<R>,
    index: usize,
    left: u64,
    limit: u64,
    visit: &mut dyn FnMut(&Member, &mut dyn Read) -> io::Result<()>,
) -> Result<Segment, ReadError> {
    let offset = file.position;
    let place = file.place();
    let failed = |problem| ReadError { place, problem };
    // Enough for the magic and the stream flags of xz; the decompressor gets it back in front of the rest.
    let mut first = Vec::new();
    Read::by_ref(file).take(8).read_to_end(&mut first).map_err(|error| failed(Problem::Io(error)))?;
    let Some(compression) = Compression::detect(&first) else {
        return Err(failed(match foreign(&first) {
            Some(name) => Problem::Unsupported(name),
            None => Problem::UnknownCompression,
        }));
    };
    // xz file format 1.0.4 section 2.1.1.2; what the kernel can check is in Documentation/staging/xz.rst.
    if let (Compression::Xz, Some(check @ 2..)) = (compression, first.get(7)) {
        return Err(failed(Problem::XzCheck(*check)));
    }
    let unpacked = decoder(compression, (&first[..]).chain(&mut *file)).map_err(|e| failed(Problem::Decompress(e)))?;
    let mut stream =
        Stream { bytes: BufReader::with_capacity(1 << 17, unpacked), position: 0, segment: Some(offset), limit: left };
    let mut n_members = 0;
    let outcome = loop {
        match stream.peek() {
            Ok(None) => break Ok(()),
            Ok(Some(0)) => stream.consume(1),
            Ok(Some(b'0')) => match read_archive(&mut stream, index, visit).and_then(|n| {
                n_members += n;
                stream.skip_padding()
            }) {
                Ok(()) => {}
                Err(error) => break Err(error),
            },
            Ok(Some(_)) => break Err(stream.error(Problem::Junk)),
            Err(error) => break Err(error),
        }
    };
    let unpacked = stream.position;
    // The stream counts down from what all segments had left; people know the limit they gave.
    outcome.map_err(|error| match error.problem {
        Problem::Limit(_) => ReadError { problem: Problem::Limit(limit), ..error },
        _ => error,
    })?;
    drop(stream);
    Ok(Segment { offset, stored: file.position - offset, unpacked, compression, n_members })
}

/// What else the kernel knows (`lib/decompress.c`).
fn foreign(first: &[u8]) -> Option<&'static str> {
    match first {
        [0x42, 0x5a, ..] => Some("bzip2"),
        [0x5d, 0x00, ..] => Some("lzma"),
        [0x89, 0x4c, ..] => Some("lzo"),
        [0x02, 0x21, ..] => Some("lz4"),
        _ => None,
    }
}

/// Reads members up to and including the trailer.
fn read_archive<R: BufRead>(
    stream: &mut Stream<R>,
    segment: usize,
    visit: &mut dyn FnMut(&Member, &mut dyn Read) -> io::Result<()>,
) -> Result<u64, ReadError> {
    let mut n_members = 0;
    loop {
        let (mut member, checksum) = read_header(stream, segment)?;
        if member.name == TRAILER {
            stream.skip(u64::from(member.size), "the trailer")?;
            return Ok(n_members);
        }
        if member.is_symlink() {
            if !(1..=4096).contains(&member.size) {
                return Err(stream.error(Problem::TargetSize(member.size)));
            }
            member.link_target = stream.read_bytes(member.size as usize, "the target of a symlink")?;
            visit(&member, &mut io::empty()).map_err(|error| stream.error(Problem::Visit(error)))?;
        } else {
            if !member.is_file() && member.size > 0 {
                return Err(stream.error(Problem::UnexpectedData(member.size)));
            }
            read_data(stream, &member, checksum, visit)?;
        }
        stream.align("the padding of data")?;
        n_members += 1;
    }
}

/// Lets `visit` read the data of a file, then reads what it left.
fn read_data<R: BufRead>(
    stream: &mut Stream<R>,
    member: &Member,
    checksum: Option<u32>,
    visit: &mut dyn FnMut(&Member, &mut dyn Read) -> io::Result<()>,
) -> Result<(), ReadError> {
    let mut data = Data { stream, left: u64::from(member.size), sum: 0, failed: None };
    let visited = visit(member, &mut data);
    let drained = if data.failed.is_none() { io::copy(&mut data, &mut io::sink()).map(drop) } else { Ok(()) };
    let (sum, failed) = (data.sum, data.failed);
    if let Some(error) = failed {
        return Err(error);
    }
    visited.and(drained).map_err(|error| stream.error(Problem::Visit(error)))?;
    match checksum {
        Some(expected) if expected != sum => Err(stream.error(Problem::Checksum)),
        _ => Ok(()),
    }
}

/// Gives the member and, for the `070702` form, the sum of its bytes.
fn read_header<R: BufRead>(stream: &mut Stream<R>, segment: usize) -> Result<(Member, Option<u32>), ReadError> {
    let header_offset = stream.position;
    let bytes = stream.read_bytes(HEADER as usize, "a header")?;
    let place = Place { segment: stream.segment, offset: header_offset };
    let at_header = |problem| ReadError { place, problem };
    let has_checksum = match &bytes[..6] {
        b"070701" => false,
        b"070702" => true,
        b"070707" => return Err(at_header(Problem::OldFormat)),
        _ => return Err(at_header(Problem::Magic)),
    };
    let field = |index: usize, name| {
        let digits = &bytes[6 + 8 * index..][..8];
        hexadecimal(digits).ok_or_else(|| at_header(Problem::NotHexadecimal(name)))
    };
    let mut member = Member {
        inode: field(0, "inode")?,
        mode: field(1, "mode")?,
        uid: field(2, "uid")?,
        gid: field(3, "gid")?,
        n_links: field(4, "nlink")?,
        mtime: field(5, "mtime")?,
        size: field(6, "filesize")?,
        file_system: (field(7, "devmajor")?, field(8, "devminor")?),
        device: (field(9, "rdevmajor")?, field(10, "rdevminor")?),
        segment,
        header_offset,
        ..Member::default()
    };
    let name_size = field(11, "namesize")?;
    let checksum = field(12, "check")?;
    if !(2..=4096).contains(&name_size) {
        return Err(at_header(Problem::NameSize(name_size)));
    }
    member.name = stream.read_bytes(name_size as usize, "a name")?;
    if member.name.pop() != Some(0) {
        return Err(at_header(Problem::NameWithoutNul));
    }
    // More than one NUL is no fault: that is how some writers align the data (gen_init_cpio -a, dracut-cpio).
    member.name.truncate(memchr::memchr(0, &member.name).unwrap_or(member.name.len()));
    stream.align("the padding of a name")?;
    member.data_offset = stream.position;
    Ok((member, has_checksum.then_some(checksum)))
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    // from_str_radix would take a sign.
    let text = std::str::from_utf8(digits).ok().filter(|t| t.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u32::from_str_radix(text, 16).ok()
}

/// Bytes with their offset, and a limit to their number.
struct Stream<R> {
    bytes: R,
    position: u64,
    /// As [`Place::segment`].
    segment: Option<u64>,
    limit: u64,
}

impl<R: BufRead> Stream<R> {
    fn place(&self) -> Place {
        Place { segment: self.segment, offset: self.position }
    }

    fn error(&self, problem: Problem) -> ReadError {
        ReadError { place: self.place(), problem }
    }

    fn io_error(&self, error: io::Error) -> ReadError {
        self.error(match self.segment {
            Some(_) if error.kind() == io::ErrorKind::UnexpectedEof => Problem::Truncated("compressed data"),
            Some(_) => Problem::Decompress(error),
            None => Problem::Io(error),
        })
    }

    /// The next byte, if there is one.
    fn peek(&mut self) -> Result<Option<u8>, ReadError> {
        let next = loop {
            match self.bytes.fill_buf() {
                Ok(bytes) => break Ok(bytes.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        match next {
            Ok(Some(_)) if self.position >= self.limit => Err(self.error(Problem::Limit(self.limit))),
            Ok(byte) => Ok(byte),
            Err(error) => Err(self.io_error(error)),
        }
    }

    /// Some of the next bytes; 0 only at the end.
    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        if self.peek()?.is_none() {
            return Ok(0);
        }
        let room = usize::try_from(self.limit - self.position).unwrap_or(usize::MAX).min(buffer.len());
        match self.read(&mut buffer[..room]) {
            Ok(n) => Ok(n),
            Err(error) => Err(self.io_error(error)),
        }
    }

    /// `size` is at most 4096 here, so that a lie in a header costs nothing.
    fn read_bytes(&mut self, size: usize, field: &'static str) -> Result<Vec<u8>, ReadError> {
        let mut bytes = vec![0; size];
        let mut filled = 0;
        while filled < size {
            match self.read_some(&mut bytes[filled..])? {
                0 => return Err(self.error(Problem::Truncated(field))),
                n => filled += n,
            }
        }
        Ok(bytes)
    }

    fn skip(&mut self, size: u64, field: &'static str) -> Result<(), ReadError> {
        let mut left = size;
        while left > 0 {
            let room = left.min(4096) as usize;
            self.read_bytes(room, field)?;
            left -= room as u64;
        }
        Ok(())
    }

    fn align(&mut self, field: &'static str) -> Result<(), ReadError> {
        self.skip(self.position.next_multiple_of(ALIGN) - self.position, field)
    }

    /// The zeros behind an archive (`do_reset`).
    fn skip_padding(&mut self) -> Result<(), ReadError> {
        while let Some(byte) = self.peek()? {
            if byte != 0 {
                return if self.position.is_multiple_of(ALIGN) { Ok(()) } else { Err(self.error(Problem::Padding)) };
            }
            self.consume(1);
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.bytes.read(buffer)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl<R: BufRead> BufRead for Stream<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.bytes.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.bytes.consume(n);
        self.position += n as u64;
    }
}

/// The data of one member, as `visit` sees it.
struct Data<'s, R> {
    stream: &'s mut Stream<R>,
    left: u64,
    /// Sum of the bytes modulo 2^32, which is what `070702` calls a checksum.
    sum: u32,
    failed: Option<ReadError>,
}

impl<R: BufRead> Read for Data<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if room == 0 {
            return Ok(0);
        }
        let outcome = match self.stream.read_some(&mut buffer[..room]) {
            Ok(0) => Err(self.stream.error(Problem::Truncated("the data of a file"))),
            other => other,
        };
        match outcome {
            Ok(n) => {
                self.left -= n as u64;
                self.sum = buffer[..n].iter().fold(self.sum, |sum, byte| sum.wrapping_add(u32::from(*byte)));
                Ok(n)
            }
            Err(error) => {
                let message = error.to_string();
                self.failed = Some(error);
                Err(io::Error::new(io::ErrorKind::InvalidData, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Content;
    use crate::pack::compress::tests::compressed;
    use crate::pack::testing::{archive, directory, entry, file, manifest};
    use std::error::Error;

    /// An archive with one file, one directory and one symlink.
    fn sample(name: &str) -> Vec<u8> {
        let link = entry("/link", Content::Symlink { target: b"../x".to_vec() });
        let made = manifest(vec![directory("/d"), file(&format!("/d/{name}"), b"0123456789"), link]);
        archive(|contents, out| super::super::write(&made, contents, 0, out))
    }

    fn message(bytes: &[u8]) -> String {
        let error = list(bytes, 1 << 20).expect_err("it is damaged");
        format!("{error}: {}", error.source().expect("a cause"))
    }

    /// `sample` with some bytes of the first header replaced.
    fn patched(at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut archive = sample("f");
        archive[at..at + bytes.len()].copy_from_slice(bytes);
        archive
    }

    #[test]
    fn b82_all_segments_are_read_as_the_kernel_reads_them() {
        let mut bytes = sample("microcode");
        let plain = bytes.len();
        bytes.extend([0; 4096]);
        for compression in [Compression::Zstd, Compression::Gzip, Compression::Xz] {
            bytes.extend(compressed(&[sample("a"), vec![0; 64], sample("b")].concat(), compression, 1, 1));
            bytes.extend([0; 7]);
        }
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(sample("last"));
        let mut names = Vec::new();
        let segments = read(&bytes[..], 1 << 20, |member, data| {
            let mut content = Vec::new();
            data.read_to_end(&mut content)?;
            assert_eq!(content, if member.is_file() { &b"0123456789"[..] } else { b"" });
            if member.is_file() {
                names.push((member.segment, String::from_utf8_lossy(&member.name).into_owned()));
            }
            Ok(())
        })
        .unwrap();
        let expected = [(0, "microcode"), (1, "a"), (1, "b"), (2, "a"), (2, "b"), (3, "a"), (3, "b"), (4, "last")];
        assert_eq!(names, expected.map(|(segment, name)| (segment, format!("d/{name}"))));
        assert_eq!((segments[0].offset, segments[0].n_members, segments[1].n_members), (0, 3, 6));
        assert_eq!(segments[1].offset, plain as u64 + 4096);
        assert!(bytes[segments[3].offset as usize..].starts_with(b"\xfd7zXZ"));
        // The padding to 512 belongs to what was unpacked, the zeros between segments to neither.
        assert_eq!(segments[1].unpacked, 2 * plain as u64 + 64);
    }

    #[test]
    fn offsets_lead_to_the_data() {
        let bytes = sample("f");
        let members = list(&bytes[..], 0).unwrap();
        let data = members[1].data_offset as usize;
        assert_eq!(&bytes[data..data + 10], b"0123456789");
        assert!(bytes[members[2].header_offset as usize..].starts_with(b"070701"));
        assert_eq!(members[2].link_target, b"../x");
    }

    #[test]
    fn truncation_anywhere_is_an_error_or_the_padding() {
        let whole = sample("f");
        let end = memchr::memmem::find(&whole, b"TRAILER!!!\0").unwrap() + 11;
        for length in 1..whole.len() {
            assert_eq!(list(&whole[..length], 0).is_err(), length < end.next_multiple_of(4), "{length} bytes");
        }
        for compression in [Compression::Zstd, Compression::Gzip, Compression::Xz] {
            let whole = compressed(&whole, compression, 1, 1);
            for length in 1..whole.len() {
                assert!(list(&whole[..length], 1 << 20).is_err(), "{compression}: {length} bytes");
            }
        }
    }

    #[test]
    fn no_changed_byte_makes_it_panic() {
        for whole in [sample("f"), compressed(&sample("f"), Compression::Zstd, 1, 1)] {
            for position in 0..whole.len() {
                for change in [0x01, 0x40, 0xff] {
                    let mut bytes = whole.clone();
                    bytes[position] ^= change;
                    let _ = list(&bytes[..], 1 << 20);
                }
            }
        }
    }

    #[test]
    fn damage_names_the_field_and_the_place() {
        let magic = "cannot read the archive at offset 0: no cpio magic (`070701` or `070702`)";
        assert_eq!(message(&patched(0, b"070709")), magic);
        assert!(message(&patched(0, b"070707")).contains("incorrect cpio method used"));
        assert!(message(&patched(6, b"0000+001")).contains("the field inode is not hexadecimal"));
        assert!(message(&patched(94, b"0000000G")).contains("the field namesize is not hexadecimal"));
        assert!(message(&patched(94, b"ffffffff")).contains("the name has 4294967295 bytes"));
        assert!(message(&patched(94, b"00000001")).contains("the name has 1 bytes"));
        assert!(message(&patched(110, b"dd")).contains("the name has no NUL at its end"));
        assert!(message(&patched(54, b"ffffffff")).contains("neither file nor symlink has 4294967295 bytes"));
        // The mode of a file: four gibibytes of data that are not there.
        let mut huge = patched(14, b"000081a4");
        huge[54..62].copy_from_slice(b"ffffffff");
        assert!(message(&huge).contains("the file ends in the middle of the data of a file"));
    }

    #[test]
    fn what_lies_between_archives_must_be_zeros_up_to_a_multiple_of_four() {
        let one = sample("f");
        assert!(message(&[&one[..], &[0; 2], &one].concat()).contains("broken padding"));
        assert!(message(&[&one[..], b"junk"].concat()).contains("invalid magic at start of compressed archive"));
        assert!(message(b"BZh9").contains("compressed with bzip2"));
        let inside = compressed(&[&one[..], b"junk"].concat(), Compression::Gzip, 1, 1);
        let expected = "offset 512 of what unpacks from offset 0: junk within compressed archive";
        assert!(message(&inside).contains(expected));
    }

    #[test]
    fn unpacking_stops_at_the_limit() {
        let mut bomb = sample("f");
        bomb.resize(64 << 20, 0);
        let bytes = compressed(&bomb, Compression::Zstd, 1, 1);
        assert!(bytes.len() < 1 << 14 && list(&bytes[..], 64 << 20).is_ok());
        assert!(message(&bytes).contains("it unpacks to more than 1048576 bytes"));
        // Two segments share the limit.
        let twice = compressed(&sample("f"), Compression::Gzip, 1, 1).repeat(2);
        assert!(list(&twice[..], 1024).is_ok());
        let error = list(&twice[..], 1023).unwrap_err();
        assert!(matches!(error.problem, Problem::Limit(1023)), "{error:?}");
    }

    #[test]
    fn checksums_of_the_070702_form_are_checked() {
        let mut bytes = sample("f");
        let at = list(&bytes[..], 0).unwrap()[1].header_offset as usize;
        bytes[at + 5] = b'2';
        assert!(message(&bytes).contains("bad data checksum"));
        bytes[at + 102..at + 110].copy_from_slice(b"0000020d"); // 525 = the digits 0 to 9
        assert_eq!(list(&bytes[..], 0).unwrap().len(), 3);
    }

    #[test]
    fn an_xz_stream_with_a_check_that_the_kernel_lacks_is_refused() {
        let mut xz = Vec::new();
        liblzma::read::XzEncoder::new(&sample("f")[..], 1).read_to_end(&mut xz).unwrap();
        assert!(message(&xz).contains("its xz check is number 4"));
    }
}
