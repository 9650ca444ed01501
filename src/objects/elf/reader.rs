//! Reads ranges of one object, few and large, into buffers that serve again for the next object.

use super::{ElfError, Ranges};

/// How much is read before anything is known: the header, nearly always the program headers and the interpreter.
const HEAD: u64 = 4096;

/// A table behind the string table is read with it when it begins no farther than this behind it.
const NEAR: u64 = 64 << 10;

/// How long a version table is taken to be when its place is known but not its length.
const TABLE_GUESS: u64 = 1024;

/// One object and how long it is.
pub(super) struct Reader<'a> {
    bytes: &'a dyn Ranges,
    size: u64,
}

/// A stretch of the object that is in memory.
#[derive(Default)]
pub(super) struct Window {
    start: u64,
    length: usize,
    /// Only grows, so that its bytes are set to zero once and not for every object.
    buffer: Vec<u8>,
}

impl Window {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    /// `length` bytes from `offset` of the file, if they are all here.
    fn get(&self, offset: u64, length: u64) -> Option<&[u8]> {
        let start = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        self.bytes().get(start..end)
    }

    /// What is here from `offset` of the file on.
    fn from(&self, offset: u64) -> Option<&[u8]> {
        self.bytes().get(usize::try_from(offset.checked_sub(self.start)?).ok()?..).filter(|rest| !rest.is_empty())
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a dyn Ranges) -> Reader<'a> {
        Reader { bytes, size: bytes.size() }
    }

    /// The first page of the file, or all of a shorter one.
    pub(super) fn head(&self, into: &mut Window) -> Result<(), ElfError> {
        self.fill(into, 0, HEAD.min(self.size), "the ELF header")
    }

    /// `length` bytes from `offset`: out of `known` where they are there, else read into `scratch`.
    pub(super) fn get<'w>(
        &self,
        known: &'w Window,
        scratch: &'w mut Window,
        (offset, length): (u64, u64),
        field: &'static str,
    ) -> Result<&'w [u8], ElfError> {
        if let Some(bytes) = known.get(offset, length) {
            return Ok(bytes);
        }
        self.read(scratch, (offset, length), field)
    }

    /// `length` bytes from `offset`, read into `scratch`.
    pub(super) fn read<'w>(
        &self,
        scratch: &'w mut Window,
        (offset, length): (u64, u64),
        field: &'static str,
    ) -> Result<&'w [u8], ElfError> {
        self.fill(scratch, offset, length, field)?;
        Ok(scratch.bytes())
    }

    /// A table whose end only its content tells: at least `least` bytes from `offset`, more where they are at hand.
    pub(super) fn open_ended<'w>(
        &self,
        known: &'w Window,
        scratch: &'w mut Window,
        (offset, least): (u64, u64),
        field: &'static str,
    ) -> Result<&'w [u8], ElfError> {
        if let Some(bytes) = known.from(offset).filter(|bytes| bytes.len() as u64 >= least) {
            return Ok(bytes);
        }
        let rest = self.size.saturating_sub(offset);
        self.fill(scratch, offset, least.max(TABLE_GUESS.min(rest)), field)?;
        Ok(scratch.bytes())
    }

    /// Reads the string table into `into`, and with it the tables of `behind` that begin shortly after it.
    pub(super) fn strings<'w>(
        &self,
        into: &'w mut Window,
        (offset, length): (u64, u64),
        behind: &[Option<u64>],
    ) -> Result<&'w [u8], ElfError> {
        let end = offset.checked_add(length).ok_or(ElfError::OutOfRange { field: "DT_STRSZ" })?;
        let near = behind.iter().flatten().filter(|table| (end..end.saturating_add(NEAR)).contains(*table));
        let with_tables = near.map(|table| table.saturating_add(TABLE_GUESS).min(self.size)).fold(end, u64::max);
        self.fill(into, offset, with_tables - offset, "the dynamic string table")?;
        Ok(&into.bytes()[..length as usize])
    }

    /// Checked against the file's length first, so that a lying size allocates nothing.
    fn fill(&self, window: &mut Window, offset: u64, length: u64, field: &'static str) -> Result<(), ElfError> {
        if offset.checked_add(length).is_none_or(|end| end > self.size) {
            return Err(ElfError::OutOfRange { field });
        }
        window.start = offset;
        window.length = usize::try_from(length).map_err(|_| ElfError::OutOfRange { field })?;
        if window.buffer.len() < window.length {
            window.buffer.resize(window.length, 0);
        }
        let wanted = &mut window.buffer[..window.length];
        let mut done = 0;
        while done < wanted.len() {
            match self.bytes.read_at(offset + done as u64, &mut wanted[done..]) {
                Ok(0) => return Err(ElfError::OutOfRange { field }),
                Ok(n) => done += n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let error = rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO);
                    return Err(ElfError::Io(error));
                }
            }
        }
        Ok(())
    }
}
