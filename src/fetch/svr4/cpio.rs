//! Reads the cpio archives of a datastream: the portable (`odc`) and the newer ASCII form (`newc`), one after the other
//! in one file, each padded to 512 bytes. A boot archive of illumos in its `odc` form is one such archive.

use crate::fetch::archive::invalid;
use std::io::{self, Read};

const BLOCK: u64 = 512;
const TRAILER: &[u8] = b"TRAILER!!!";
/// `PATH_MAX`, with the NUL byte at the end.
const NAME_LIMIT: u64 = 4097;

/// A file that holds archives, and how far it was read.
pub struct Stream<R> {
    reader: R,
    position: u64,
}

/// What a header says.
pub struct Header {
    pub name: Vec<u8>,
    /// File type and permission bits, as in `st_mode`.
    pub mode: u32,
    /// Equal for the names of one file, of which there are `n_links`.
    pub inode: u32,
    pub n_links: u32,
    pub uid: u32,
    pub gid: u32,
    /// Major and minor number of a device node.
    pub device: (u32, u32),
    pub size: u64,
    /// What follows the content to the next header.
    padding: u64,
}

impl<R: Read> Stream<R> {
    /// A stream at its beginning.
    pub fn new(reader: R) -> Stream<R> {
        Stream { reader, position: 0 }
    }

    /// The next 512 bytes.
    ///
    /// # Errors
    /// The reader's, and `UnexpectedEof`.
    pub fn block(&mut self) -> io::Result<[u8; BLOCK as usize]> {
        let mut block = [0; BLOCK as usize];
        self.fill(&mut block)?;
        Ok(block)
    }

    /// Reads one archive and calls `visit` with each of its members and a reader of the content.
    ///
    /// # Errors
    /// What `visit` gives, and through `damaged` the reader's errors and `InvalidData` with the field.
    pub fn archive<E>(
        &mut self,
        damaged: impl Fn(io::Error) -> E,
        mut visit: impl FnMut(&Header, &mut dyn Read) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut first = true;
        loop {
            let header = self.header(first).map_err(&damaged)?;
            first = false;
            if header.name == TRAILER {
                let rest = self.position.next_multiple_of(BLOCK) - self.position;
                // The last archive may end with the trailer.
                let skipped = io::copy(&mut (&mut self.reader).take(rest), &mut io::sink()).map_err(&damaged)?;
                self.position += skipped;
                return Ok(());
            }
            let mut content = (&mut self.reader).take(header.size);
            visit(&header, &mut content)?;
            io::copy(&mut content, &mut io::sink()).map_err(&damaged)?;
            if content.limit() != 0 {
                return Err(damaged(io::ErrorKind::UnexpectedEof.into()));
            }
            // Both are less than what was read.
            self.position += header.size;
            self.skip(header.padding).map_err(&damaged)?;
        }
    }

    /// Reads a header; blocks of zeros before the `first` one of an archive are padding of the archive before.
    fn header(&mut self, first: bool) -> io::Result<Header> {
        let mut magic = [0; 6];
        self.fill(&mut magic)?;
        while first && magic == [0; 6] {
            self.skip(self.position.next_multiple_of(BLOCK) - self.position)?;
            self.fill(&mut magic)?;
        }
        match &magic {
            b"070707" => self.odc(),
            b"070701" | b"070702" => self.newc(),
            _ => Err(invalid("a cpio header does not begin with 070707 or 070701")),
        }
    }

    fn odc(&mut self) -> io::Result<Header> {
        let mut rest = [0; 70];
        self.fill(&mut rest)?;
        let long = |from: usize, to: usize, name| number(&rest[from..to], 8, name);
        // Six octal digits each.
        let short = |index: usize, name| long(index * 6, index * 6 + 6, name).map(|value| value as u32);
        let (inode, mode, uid, gid) = (short(1, "inode")?, short(2, "mode")?, short(3, "owner")?, short(4, "group")?);
        let (n_links, device) = (short(5, "number of links")?, short(6, "device number")?);
        let (name_size, size) = (long(53, 59, "name size")?, long(59, 70, "size")?);
        let device = (device >> 8, device & 0xff);
        let name = self.name(name_size)?;
        Ok(Header { name, mode, inode, n_links, uid, gid, device, size, padding: 0 })
    }

    fn newc(&mut self) -> io::Result<Header> {
        let mut rest = [0; 104];
        self.fill(&mut rest)?;
        // Eight hexadecimal digits each.
        let field = |index: usize, name| number(&rest[index * 8..][..8], 16, name).map(|value| value as u32);
        let (inode, mode, uid, gid) = (field(0, "inode")?, field(1, "mode")?, field(2, "owner")?, field(3, "group")?);
        let (n_links, size) = (field(4, "number of links")?, u64::from(field(6, "size")?));
        let device = (field(9, "device number")?, field(10, "device number")?);
        let name_size = u64::from(field(11, "name size")?);
        let name = self.name(name_size)?;
        let padding = |length: u64| length.next_multiple_of(4) - length;
        self.skip(padding(110 + name_size))?;
        Ok(Header { name, mode, inode, n_links, uid, gid, device, size, padding: padding(size) })
    }

    fn name(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size == 0 || size > NAME_LIMIT {
            return Err(invalid("the name size of a cpio header is out of range"));
        }
        let mut name = vec![0; size as usize];
        self.fill(&mut name)?;
        match name.pop() {
            Some(0) if !name.contains(&0) => Ok(name),
            _ => Err(invalid("a name in a cpio header has no end")),
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.reader.read_exact(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        if io::copy(&mut (&mut self.reader).take(count), &mut io::sink())? != count {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += count;
        Ok(())
    }
}

fn number(digits: &[u8], radix: u32, field: &str) -> io::Result<u64> {
    let text = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'));
    text.and_then(|text| u64::from_str_radix(text, radix).ok())
        .ok_or_else(|| invalid(&format!("the {field} of a cpio header is not a number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odc(name: &str, mode: u32, content: &[u8]) -> Vec<u8> {
        let head = format!(
            "070707{:06o}{:06o}{mode:06o}{:06o}{:06o}{:06o}{:06o}{:011o}{:06o}{:011o}{name}\0",
            1,
            2,
            0,
            0,
            1,
            0,
            0,
            name.len() + 1,
            content.len()
        );
        [head.as_bytes(), content].concat()
    }

    fn read(bytes: &[u8], archives: usize) -> io::Result<Vec<(String, Vec<u8>)>> {
        let mut stream = Stream::new(bytes);
        let mut all = Vec::new();
        for _ in 0..archives {
            stream.archive(
                |error| error,
                |header, reader| {
                    let mut content = Vec::new();
                    reader.read_to_end(&mut content)?;
                    all.push((String::from_utf8_lossy(&header.name).into_owned(), content));
                    Ok(())
                },
            )?;
        }
        Ok(all)
    }

    fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }

    #[test]
    fn archives_follow_each_other_on_blocks() {
        let one = padded([odc("a", 0o100644, b"one"), odc("TRAILER!!!", 0, b"")].concat());
        let two = [odc("b/c", 0o100644, b"two"), odc("TRAILER!!!", 0, b"")].concat();
        let expected = [("a".to_owned(), b"one".to_vec()), ("b/c".to_owned(), b"two".to_vec())];
        assert_eq!(read(&[&one[..], &two].concat(), 2).unwrap(), expected);
        // More padding than needed, as tapes have it.
        assert_eq!(read(&[&one[..], &[0; 2048], &two].concat(), 2).unwrap(), expected);
        assert!(read(&one, 2).is_err());
    }

    #[test]
    fn damaged_headers_name_the_field() {
        let good = [odc("a", 0o100644, b"one"), odc("TRAILER!!!", 0, b"")].concat();
        for cut in 0..good.len() {
            assert!(read(&good[..cut], 1).is_err(), "{cut}");
        }
        let with = |at: usize, bytes: &[u8]| {
            let mut bad = good.clone();
            bad[at..at + bytes.len()].copy_from_slice(bytes);
            read(&bad, 1).unwrap_err().to_string()
        };
        assert_eq!(with(65, b"9"), "the size of a cpio header is not a number");
        assert_eq!(with(59, b"777777"), "the name size of a cpio header is out of range");
        assert_eq!(with(59, b"000000"), "the name size of a cpio header is out of range");
        assert_eq!(with(0, b"1"), "a cpio header does not begin with 070707 or 070701");
        assert_eq!(with(77, b"x"), "a name in a cpio header has no end");
        assert!(read(&odc("a", 0o100644, &[b'x'; 3])[..77], 1).is_err());
    }
}
