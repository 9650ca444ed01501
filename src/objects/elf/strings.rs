//! The dynamic string table: NUL-terminated strings, found by their index, of any bytes.

use super::reader::{Reader, Window};
use super::{ElfError, Name};
use std::cell::{Cell, RefCell};

/// Up to this length the table is read in one piece. The few that are longer, up to megabytes of C++ names, would cost
/// more in fresh memory than in reading.
const SHORT: u64 = 64 << 10;

/// How much of a long table is read for one string: the names of libraries lie side by side, and those of versions too.
const STRING_GUESS: u64 = 1024;

/// And how much for many strings all over it.
const STRETCH: u64 = 8 << 10;

/// How much memory the names of one table may take for each byte of the file, and whatever its length: a megabyte of
/// entries can have the same long string for their names.
const MOST_PER_BYTE: u64 = 4;
const MOST: u64 = 1 << 20;

/// What a name takes beside its text.
const BESIDE_TEXT: u64 = 32;

/// The string table of one object.
pub(super) struct Strings<'a> {
    reader: &'a Reader<'a>,
    offset: u64,
    size: u64,
    /// A short table is in here, and perhaps what lies behind it in the file; nothing of a long one is.
    window: &'a Window,
    /// What was last read of a long table.
    stretch: RefCell<Window>,
    /// Bytes of the names that were given out.
    given: Cell<u64>,
}

impl<'a> Strings<'a> {
    /// The table at `offset` of the file. A short one that is not in `head` as a whole is read into `window`, with the
    /// tables of `behind` that begin shortly after it.
    pub(super) fn read(
        reader: &'a Reader<'a>,
        head: &'a Window,
        window: &'a mut Window,
        (offset, size): (u64, u64),
        behind: &[Option<u64>],
    ) -> Result<Strings<'a>, ElfError> {
        offset.checked_add(size).ok_or(ElfError::OutOfRange { field: "DT_STRSZ" })?;
        if head.get(offset, size).is_some() {
            return Ok(Strings::new(reader, (offset, size), head));
        }
        if size > SHORT {
            reader.check(offset, size, FIELD)?;
            window.clear();
        } else {
            reader.read_with(window, (offset, size), behind, FIELD)?;
        }
        Ok(Strings::new(reader, (offset, size), window))
    }

    fn new(reader: &'a Reader<'a>, (offset, size): (u64, u64), window: &'a Window) -> Strings<'a> {
        Strings { reader, offset, size, window, stretch: RefCell::default(), given: Cell::default() }
    }

    /// A table that is not the dynamic one, or not near any other.
    pub(super) fn read_whole(
        reader: &'a Reader<'a>,
        window: &'a mut Window,
        (offset, size): (u64, u64),
    ) -> Result<Strings<'a>, ElfError> {
        reader.read(window, (offset, size), FIELD)?;
        Ok(Strings::new(reader, (offset, size), window))
    }

    /// The index of a string that stands by itself in a table that was read whole.
    pub(super) fn position_of(&self, text: &[u8]) -> Option<u64> {
        let wanted = [b"\0", text, b"\0"].concat();
        memchr::memmem::find(self.whole()?, &wanted).map(|before| before as u64 + 1)
    }

    /// What of the file was read with the table.
    pub(super) fn window(&self) -> &'a Window {
        self.window
    }

    /// All of the table, unless it is long.
    pub(super) fn whole(&self) -> Option<&'a [u8]> {
        self.window.get(self.offset, self.size)
    }

    /// The string at `index` without its NUL.
    pub(super) fn get(&self, index: u64) -> Result<Name, ElfError> {
        const OUTSIDE: ElfError = ElfError::OutOfRange { field: "an index of the dynamic string table" };
        if index > self.size {
            return Err(OUTSIDE);
        }
        let mut window = self.stretch.borrow_mut();
        let text = match self.whole() {
            Some(table) => until_nul(&table[index as usize..]),
            None => self.fetch(&mut window, index, STRING_GUESS)?,
        };
        let text = text.ok_or(OUTSIDE)?;
        self.given.set(self.given.get() + text.len() as u64 + BESIDE_TEXT);
        if self.given.get() > MOST + self.reader.size().saturating_mul(MOST_PER_BYTE) {
            return Err(ElfError::TooManyNames);
        }
        Ok(text.into())
    }

    /// Shows the strings of a long table that begin at these indexes, which ascend; not those without an end.
    pub(super) fn each(&self, indexes: &[u64], mut look: impl FnMut(&[u8])) -> Result<(), ElfError> {
        let mut window = self.stretch.borrow_mut();
        let mut end = None;
        for &index in indexes {
            // Whatever begins inside of a string ends where that does: no file makes this look at a byte again and again.
            if end.is_none_or(|end| end < index) {
                let Some(text) = self.fetch(&mut window, index, STRETCH)? else { break };
                end = Some(index + text.len() as u64);
            }
            let length = end.map_or(0, |end| end - index);
            look(window.get(self.offset + index, length).expect("it has been read"));
        }
        Ok(())
    }

    /// The string at `index` of a long table, for which `guess` bytes are read when it is not in the window. `None` when
    /// it has no end.
    fn fetch<'w>(&self, window: &'w mut Window, index: u64, guess: u64) -> Result<Option<&'w [u8]>, ElfError> {
        let (at, rest) = (self.offset + index, self.size.saturating_sub(index));
        let mut length = 0;
        while window.from(at).and_then(until_nul).is_none() {
            if length == rest {
                return Ok(None);
            }
            length = rest.min(guess.max(length * 2));
            self.reader.read(window, (at, length), FIELD)?;
        }
        Ok(window.from(at).and_then(until_nul))
    }
}

const FIELD: &str = "the dynamic string table";

fn until_nul(text: &[u8]) -> Option<&[u8]> {
    Some(&text[..memchr::memchr(0, text)?])
}
