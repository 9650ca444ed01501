//! One gzip member, made by several threads: blocks of input in, a stream any gunzip reads out.
//!
//! Each block of [`BLOCK`] bytes is deflated on its own with the last 32 KiB before it as dictionary and ended by a
//! sync flush (RFC 1951 section 3.2.4: an empty stored block on a byte boundary), so that the pieces can be joined.
//! What is surprising: the number of threads has no influence on the bytes, because block boundaries depend on the
//! input only. It has to be one member: the kernel's unpacker starts a new archive at a new member.

use crc32fast::Hasher;
use flate2::{Compress, FlushCompress, Status};
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Bytes of input per block. Larger gains little: each block has the full window of the one before.
const BLOCK: usize = 256 << 10;
/// How far back deflate can refer (RFC 1951 section 2).
const WINDOW: usize = 32 << 10;
/// Blocks each worker may have waiting, so that it never waits for the reading side.
const QUEUE: usize = 4;

/// Compresses what is written to it.
///
/// Work is dealt to the workers in turn and collected in the same turn, which keeps the order without numbering.
pub(super) struct GzipWriter<W: Write> {
    out: W,
    workers: Vec<Worker>,
    /// Blocks handed out, and blocks written; their difference is what is in the queues.
    n_sent: usize,
    n_written: usize,
    /// The dictionary followed by new input.
    pending: Vec<u8>,
    dictionary: usize,
    checksum: Hasher,
    /// Length of the input modulo 2^32, which is what the trailer holds.
    length: u32,
}

struct Worker {
    jobs: SyncSender<Job>,
    blocks: Receiver<io::Result<Block>>,
}

struct Job {
    bytes: Vec<u8>,
    /// How many of the bytes were compressed before.
    dictionary: usize,
    last: bool,
}

struct Block {
    deflated: Vec<u8>,
    checksum: Hasher,
}

impl<W: Write> GzipWriter<W> {
    /// Starts a member; `level` is 1 to 9.
    pub fn new(mut out: W, level: u32, n_threads: usize) -> io::Result<GzipWriter<W>> {
        // RFC 1952 section 2.3: deflate, no flags, no time (what `gzip -n` writes), no hint, made on Unix.
        out.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])?;
        let workers = (0..n_threads.max(1)).map(|_| Worker::start(level)).collect::<io::Result<_>>()?;
        let pending = Vec::with_capacity(WINDOW + BLOCK);
        let checksum = Hasher::new();
        Ok(GzipWriter { out, workers, n_sent: 0, n_written: 0, pending, dictionary: 0, checksum, length: 0 })
    }

    /// Compresses what is left and ends the member.
    pub fn finish(mut self) -> io::Result<W> {
        self.send(true)?;
        while self.n_written < self.n_sent {
            self.write_block()?;
        }
        self.out.write_all(&self.checksum.finalize().to_le_bytes())?;
        self.out.write_all(&self.length.to_le_bytes())?;
        Ok(self.out)
    }

    fn send(&mut self, last: bool) -> io::Result<()> {
        if self.n_sent - self.n_written == self.workers.len() * QUEUE {
            self.write_block()?;
        }
        let mut next = Vec::with_capacity(WINDOW + BLOCK);
        next.extend_from_slice(&self.pending[self.pending.len().saturating_sub(WINDOW)..]);
        let dictionary = std::mem::replace(&mut self.dictionary, next.len());
        let bytes = std::mem::replace(&mut self.pending, next);
        let worker = &self.workers[self.n_sent % self.workers.len()];
        worker.jobs.send(Job { bytes, dictionary, last }).map_err(|_| worker_died())?;
        self.n_sent += 1;
        Ok(())
    }

    fn write_block(&mut self) -> io::Result<()> {
        let worker = &self.workers[self.n_written % self.workers.len()];
        let block = worker.blocks.recv().map_err(|_| worker_died())??;
        self.out.write_all(&block.deflated)?;
        self.checksum.combine(&block.checksum);
        self.n_written += 1;
        Ok(())
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.pending.len() == self.dictionary + BLOCK {
            self.send(false)?;
        }
        let room = self.dictionary + BLOCK - self.pending.len();
        let n = room.min(bytes.len());
        self.pending.extend_from_slice(&bytes[..n]);
        self.length = self.length.wrapping_add(n as u32);
        Ok(n)
    }

    /// Does nothing: a flush in mid-block would change the bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Worker {
    /// The thread ends when the writer, and with it the queue, is dropped.
    fn start(level: u32) -> io::Result<Worker> {
        let (jobs, todo) = sync_channel::<Job>(QUEUE);
        let (done, blocks) = sync_channel(QUEUE);
        std::thread::Builder::new().name("gzip".to_owned()).spawn(move || {
            for job in todo {
                if done.send(compress(level, &job)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Worker { jobs, blocks })
    }
}

fn worker_died() -> io::Error {
    io::Error::other("internal error: a compression thread ended early")
}

fn compress(level: u32, job: &Job) -> io::Result<Block> {
    let (dictionary, mut input) = job.bytes.split_at(job.dictionary);
    let mut checksum = Hasher::new();
    checksum.update(input);
    // A new state for each block: after `reset`, zlib-rs 0.6 finds other matches than a new state does, and then the
    // bytes depend on which thread had which blocks before.
    let mut deflate = Compress::new(flate2::Compression::new(level), false);
    if !dictionary.is_empty() {
        deflate.set_dictionary(dictionary)?;
    }
    let flush = if job.last { FlushCompress::Finish } else { FlushCompress::Sync };
    // Deflate grows its input by 5 bytes per stored block at most, so that one turn is nearly always enough.
    let mut deflated = Vec::with_capacity(input.len() + input.len() / 16 + 1024);
    loop {
        let before = deflate.total_in();
        let status = deflate.compress_vec(input, &mut deflated, flush)?;
        input = &input[(deflate.total_in() - before) as usize..];
        // A flush is complete only when room was left over (zlib.h, deflate()).
        let complete = if job.last { status == Status::StreamEnd } else { deflated.len() < deflated.capacity() };
        if input.is_empty() && complete {
            return Ok(Block { deflated, checksum });
        }
        deflated.reserve(64 << 10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::compress::tests::sample;
    use std::io::Read;

    fn packed(input: &[u8], level: u32, n_threads: usize) -> Vec<u8> {
        let mut writer = GzipWriter::new(Vec::new(), level, n_threads).unwrap();
        // Odd pieces: boundaries of the caller must not matter.
        input.chunks(77_777).for_each(|piece| writer.write_all(piece).unwrap());
        writer.finish().unwrap()
    }

    #[test]
    fn every_level_and_length_comes_back_through_a_single_member_decoder() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK, 5 * BLOCK + 12_345] {
            let input = sample(length);
            for level in [1, 6, 9] {
                let mut output = Vec::new();
                let bytes = packed(&input, level, 3);
                flate2::bufread::GzDecoder::new(&bytes[..]).read_to_end(&mut output).unwrap();
                assert!(output == input, "{length} bytes at level {level}");
            }
        }
    }

    #[test]
    fn thread_count_does_not_change_the_bytes() {
        let input = sample(9 * BLOCK + 7);
        let one = packed(&input, 6, 1);
        assert!(one == packed(&input, 6, 2) && one == packed(&input, 6, 7));
    }

    #[test]
    fn blocks_use_the_window_before_them() {
        // 20 KiB of noise, repeated: without the dictionary each block would hold the noise again.
        let noise = &sample(4 << 20)[..20 << 10];
        let input = noise.repeat(8 * BLOCK / noise.len());
        assert!(packed(&input, 6, 2).len() < 2 * noise.len() + (64 << 10));
    }
}
