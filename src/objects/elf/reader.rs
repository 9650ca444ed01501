//! Reads ranges of one object, few and large, into buffers that serve again for the next object.

use super::{ElfError, Ranges};

/// How much is read before anything is known: the header, nearly always the program headers and the interpreter, and the
/// string table of many small programs. To copy three pages more costs as much as the second read that it saves to few.
const HEAD: u64 = 4 << 10;

/// A table behind the string table is read with it when it begins no farther than this behind it.
const NEAR: u64 = 16 << 10;

/// A window that serves for many objects has room for nearly all that is ever read at once, so that it is made once.
const ROOM: usize = 80 << 10;

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
    /// A window to keep, for one object after the other; [`Window::default`] is for a single table.
    pub(super) fn lasting() -> Window {
        Window { buffer: vec![0; ROOM], ..Window::default() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    /// `length` bytes from `offset` of the file, if they are all here.
    pub(super) fn get(&self, offset: u64, length: u64) -> Option<&[u8]> {
        let start = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        self.bytes().get(start..end)
    }

    /// Forgets the stretch: nothing is in memory any more.
    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    /// What is here from `offset` of the file on.
    pub(super) fn from(&self, offset: u64) -> Option<&[u8]> {
        self.bytes().get(usize::try_from(offset.checked_sub(self.start)?).ok()?..).filter(|rest| !rest.is_empty())
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a dyn Ranges) -> Reader<'a> {
        Reader { bytes, size: bytes.size() }
    }

    /// Bytes of the file.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The first pages of the file, or all of a shorter one.
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
        let is_enough = |bytes: &&[u8]| bytes.len() as u64 >= least;
        if let Some(bytes) = known.from(offset).filter(is_enough) {
            return Ok(bytes);
        }
        if scratch.from(offset).filter(is_enough).is_none() {
            let rest = self.size.saturating_sub(offset);
            self.fill(scratch, offset, least.max(TABLE_GUESS.min(rest)), field)?;
        }
        Ok(scratch.from(offset).expect("it has been read"))
    }

    /// `length` bytes from `offset`, and with them the tables of `behind` that begin shortly after.
    pub(super) fn read_with(
        &self,
        into: &mut Window,
        (offset, length): (u64, u64),
        behind: &[Option<u64>],
        field: &'static str,
    ) -> Result<(), ElfError> {
        let end = self.check(offset, length, field)?;
        let near = behind.iter().flatten().filter(|table| (end..end.saturating_add(NEAR)).contains(*table));
        let with_tables = near.map(|table| table.saturating_add(TABLE_GUESS).min(self.size)).fold(end, u64::max);
        self.fill(into, offset, with_tables - offset, field)
    }

    /// The end of a stretch that lies in the file.
    pub(super) fn check(&self, offset: u64, length: u64, field: &'static str) -> Result<u64, ElfError> {
        offset.checked_add(length).filter(|end| *end <= self.size).ok_or(ElfError::OutOfRange { field })
    }

    /// Checked against the file's length first, so that a lying size allocates nothing.
    fn fill(&self, window: &mut Window, offset: u64, length: u64, field: &'static str) -> Result<(), ElfError> {
        self.check(offset, length, field)?;
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
