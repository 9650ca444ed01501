//! Compressed streams that the Linux kernel unpacks: which there are, how they are written, how they are read back.
//!
//! The settings follow from two demands. The kernel must be able to read the result: its decoders are cut down
//! (no CRC64 in xz, a window limit in zstd, one gzip member per archive). And the bytes may not depend on the number
//! of threads, which is why every multithreaded mode is used even with one thread: zstd and xz write *different*
//! streams in their single-threaded modes.

use super::gzip::GzipWriter;
use liblzma::stream::{Check, Filters, LzmaOptions, MtStreamBuilder, Stream};
use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::ops::RangeInclusive;
use std::str::FromStr;
use zstd::zstd_safe::CParameter;

/// How an archive is compressed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// As it is.
    None,
    /// gzip: every kernel and loader reads it.
    Gzip,
    /// zstd, which Linux unpacks since 5.9.
    #[default]
    Zstd,
    /// xz: the smallest, and the slowest to unpack.
    Xz,
}

/// A level that the compression does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{compression} has no level {level}: it takes {} to {}", levels.start(), levels.end())]
pub struct LevelError {
    /// The one that was asked for.
    pub compression: Compression,
    /// The level that was asked for.
    pub level: i32,
    /// Those that it has.
    pub levels: RangeInclusive<i32>,
}

/// A name that is none of `none`, `gzip`, `zstd`, `xz`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no compression `{0}`: it is one of none, gzip, zstd, xz")]
pub struct UnknownCompression(String);

/// What the writer knows about the bytes that will come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Expected {
    /// Their exact number: small archives then get a small window, which saves memory when they are unpacked.
    pub size: Option<u64>,
    /// They are x86 machine code for the most part.
    pub x86: bool,
}

/// The largest window that the kernel's unpacker takes, as a power of two: `ZSTD_WINDOWSIZE_MAX` in
/// `lib/decompress_unzstd.c` is 128 MiB. No level below exceeds it: level 22 has just this window.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Memory that reading an xz stream may take. The kernel has no limit (`lib/decompress_unxz.c` allows any
/// dictionary), `xz -9` needs 64 MiB, and a header could ask for 4 GiB.
const XZ_DECODER_MEMORY: u64 = 256 << 20;

impl Compression {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Compression; 4] = [Compression::None, Compression::Gzip, Compression::Zstd, Compression::Xz];

    /// The level used when none is asked for: the last one before time grows much faster than size shrinks.
    ///
    /// On 102 MB of Debian's node.js, zstd 3 gives 33.8 MB in 1.2 s of processor time, 9 gives 30.7 MB in 4 s, 12 gives
    /// 30.5 MB in 11 s, 16 gives 29.3 MB in 57 s and 19 gives 27.1 MB in 100 s.
    pub fn default_level(self) -> i32 {
        match self {
            Compression::None => 0,
            Compression::Gzip | Compression::Xz => 6,
            Compression::Zstd => 9,
        }
    }

    /// The levels there are, fastest first.
    pub fn levels(self) -> RangeInclusive<i32> {
        match self {
            Compression::None => 0..=0,
            Compression::Gzip => 1..=9,
            Compression::Zstd => 1..=22,
            Compression::Xz => 0..=9,
        }
    }

    /// The level asked for, or the default.
    ///
    /// # Errors
    /// A level outside of [`Compression::levels`].
    pub fn level(self, asked: Option<i32>) -> Result<i32, LevelError> {
        let (level, levels) = (asked.unwrap_or(self.default_level()), self.levels());
        if levels.contains(&level) { Ok(level) } else { Err(LevelError { compression: self, level, levels }) }
    }

    /// Bytes the kernel needs to unpack a stream of `level`, on top of the stream and its content.
    pub fn decoder_memory(self, level: i32) -> u64 {
        match self {
            Compression::None => 0,
            Compression::Gzip => 64 << 10,
            // Window sizes of the levels for large input: zstd's ZSTD_defaultCParameters, first table.
            Compression::Zstd => match level {
                ..=16 => 4 << 20,
                17..=19 => 8 << 20,
                20 => 32 << 20,
                21 => 64 << 20,
                _ => 128 << 20,
            },
            Compression::Xz => u64::from(xz_dictionary(level)),
        }
    }

    /// Tells the compression from the first bytes as the kernel does (`compressed_formats` in `lib/decompress.c`
    /// has the first two bytes of each); `None` when it is another one or no compression at all.
    pub fn detect(first: &[u8]) -> Option<Compression> {
        match first {
            [0x1f, 0x8b | 0x9e, ..] => Some(Compression::Gzip),
            [0x28, 0xb5, ..] => Some(Compression::Zstd),
            [0xfd, 0x37, ..] => Some(Compression::Xz),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::Xz => "xz",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Compression {
    type Err = UnknownCompression;

    fn from_str(text: &str) -> Result<Compression, UnknownCompression> {
        let found = Compression::ALL.into_iter().find(|c| c.name() == text);
        found.ok_or_else(|| UnknownCompression(text.to_owned()))
    }
}

/// Compresses what is written to it; nothing is complete before [`Encoder::finish`].
pub(super) enum Encoder<W: Write> {
    None(W),
    Gzip(Box<GzipWriter<W>>),
    Zstd(zstd::stream::write::Encoder<'static, W>),
    Xz(liblzma::write::XzEncoder<W>),
}

impl<W: Write> Encoder<W> {
    /// `level` comes from [`Compression::level`]; `n_threads` changes the speed, never the bytes.
    pub fn new(
        out: W,
        compression: Compression,
        level: i32,
        expected: Expected,
        n_threads: usize,
    ) -> io::Result<Encoder<W>> {
        Ok(match compression {
            Compression::None => Encoder::None(out),
            Compression::Gzip => Encoder::Gzip(Box::new(GzipWriter::new(out, level as u32, n_threads)?)),
            Compression::Zstd => Encoder::Zstd(zstd_encoder(out, level, expected, n_threads)?),
            Compression::Xz => {
                let stream = xz_encoder(level, expected, n_threads)?;
                Encoder::Xz(liblzma::write::XzEncoder::new_stream(out, stream))
            }
        })
    }

    /// Compresses what is left, writes the end of the stream and gives the writer back.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Encoder::None(out) => Ok(out),
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Zstd(encoder) => encoder.finish(),
            Encoder::Xz(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Encoder::None(out) => out.write(bytes),
            Encoder::Gzip(encoder) => encoder.write(bytes),
            Encoder::Zstd(encoder) => encoder.write(bytes),
            Encoder::Xz(encoder) => encoder.write(bytes),
        }
    }

    /// Flushes only what is not compressed: anything else would change the bytes.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Encoder::None(out) => out.flush(),
            _ => Ok(()),
        }
    }
}

fn zstd_encoder<W: Write>(
    out: W,
    level: i32,
    expected: Expected,
    n_threads: usize,
) -> io::Result<zstd::stream::write::Encoder<'static, W>> {
    // Window and job size are those of the level; they do not depend on the number of workers. A larger window is not
    // worth its memory in the guest: at level 19, 32 MiB instead of 8 gave 27.01 MB instead of 27.15.
    let mut encoder = zstd::stream::write::Encoder::new(out, level)?;
    // The kernel checks it, and `zstd -t` does.
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(expected.size)?;
    encoder.set_parameter(CParameter::NbWorkers(n_threads.max(1) as u32))?;
    Ok(encoder)
}

/// Bytes of the LZMA2 dictionary of a preset: the table in xz(1), 256 KiB for 0 to 64 MiB for 9.
fn xz_dictionary(level: i32) -> u32 {
    match level {
        0 => 256 << 10,
        1 => 1 << 20,
        2 => 2 << 20,
        3 | 4 => 4 << 20,
        5 | 6 => 8 << 20,
        7 => 16 << 20,
        8 => 32 << 20,
        _ => 64 << 20,
    }
}

fn xz_encoder(level: i32, expected: Expected, n_threads: usize) -> io::Result<Stream> {
    let options = LzmaOptions::new_preset(level as u32)?;
    let mut filters = Filters::new();
    if expected.x86 {
        filters.x86();
    }
    filters.lzma2(&options);
    // Blocks of three dictionaries, what `xz -T` uses, said here so that no other liblzma changes the bytes. On 102 MB
    // of Debian's node.js `-6` gives 24.11 MB so, 23.72 MB as one block (which one thread has to make), and 24.86 MB
    // without the filter; `xz -6 --check=crc32` gives 24.45 MB. From level 8 on most images are a single block.
    let block = (3 * u64::from(xz_dictionary(level))).max(1 << 20);
    let mut builder = MtStreamBuilder::new();
    builder.filters(filters).check(Check::Crc32).block_size(block).threads(n_threads.max(1) as u32);
    Ok(builder.encoder()?)
}

/// Reads one compressed stream and stops right behind it, so that what follows can be read from `input`.
///
/// A zstd window above 128 MiB is refused as the kernel refuses it, and an xz dictionary that would take more than
/// 256 MiB; the amount of output is for the caller to limit.
pub(crate) fn decoder<'a>(compression: Compression, input: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(input),
        Compression::Gzip => Box::new(flate2::bufread::GzDecoder::new(input)),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?.single_frame();
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(decoder)
        }
        Compression::Xz => {
            let stream = Stream::new_stream_decoder(XZ_DECODER_MEMORY, 0)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
        }
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Bytes that compress about as well as machine code, the same in every run.
    pub(in crate::pack) fn sample(length: usize) -> Vec<u8> {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut bytes = Vec::with_capacity(length + 64);
        while bytes.len() < length {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if state.is_multiple_of(3) && bytes.len() > 100 {
                let start = (state >> 8) as usize % (bytes.len() - 64);
                bytes.extend_from_within(start..start + 40);
            } else {
                bytes.extend_from_slice(&state.to_le_bytes()[..6]);
            }
        }
        bytes.truncate(length);
        bytes
    }

    pub(in crate::pack) fn compressed(input: &[u8], compression: Compression, level: i32, n_threads: usize) -> Vec<u8> {
        let expected = Expected { size: Some(input.len() as u64), x86: true };
        let mut encoder = Encoder::new(Vec::new(), compression, level, expected, n_threads).unwrap();
        input.chunks(99_999).for_each(|piece| encoder.write_all(piece).unwrap());
        encoder.finish().unwrap()
    }

    #[test]
    fn every_compression_is_known_by_its_first_bytes_and_read_up_to_its_end() {
        let input = sample(3 << 20);
        for compression in [Compression::Gzip, Compression::Zstd, Compression::Xz] {
            let mut stream = compressed(&input, compression, 1, 2);
            assert_eq!(Compression::detect(&stream), Some(compression));
            stream.extend_from_slice(b"what follows");
            let mut rest = &stream[..];
            let mut output = Vec::new();
            decoder(compression, &mut rest).unwrap().read_to_end(&mut output).unwrap();
            assert!(output == input && rest == b"what follows", "{compression}");
        }
    }

    #[test]
    fn thread_count_does_not_change_the_bytes() {
        // Enough for several jobs of zstd (512 KiB at least) and several blocks of xz (3 dictionaries) at low levels.
        let input = sample(5 << 19);
        for (compression, level) in
            [(Compression::Gzip, 6), (Compression::Zstd, 1), (Compression::Zstd, 9), (Compression::Xz, 0)]
        {
            let one = compressed(&input, compression, level, 1);
            for n_threads in [2, 3, 5] {
                assert!(one == compressed(&input, compression, level, n_threads), "{compression} with {n_threads}");
            }
        }
    }

    #[test]
    fn levels_outside_the_range_name_the_range() {
        assert_eq!(Compression::Zstd.level(None), Ok(Compression::Zstd.default_level()));
        assert_eq!(Compression::Zstd.level(Some(22)), Ok(22));
        let error = Compression::Xz.level(Some(10)).unwrap_err();
        assert_eq!(error.to_string(), "xz has no level 10: it takes 0 to 9");
        assert!(Compression::None.level(Some(1)).is_err());
    }
}
