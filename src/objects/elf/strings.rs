//! The dynamic string table: NUL-terminated strings, found by their index, of any bytes.

use super::reader::{Reader, Window};
use super::{ElfError, Name};
use std::cell::RefCell;

/// Up to this length the table is read in one piece. The few that are longer, up to megabytes of C++ names, would cost
/// more in fresh memory than in reading.
const SHORT: u64 = 64 << 10;

/// A long table is gone through in pieces of this length.
const PIECE: u64 = 64 << 10;

/// How much of a long table is read for one string: the names of libraries lie side by side, and those of versions too.
const STRING_GUESS: u64 = 1024;

/// The string table of one object.
pub(super) struct Strings<'a> {
    reader: &'a Reader<'a>,
    offset: u64,
    size: u64,
    /// A short table is in here, and perhaps what lies behind it in the file; nothing of a long one is.
    window: &'a Window,
    /// What was last read of a long table.
    stretch: RefCell<Window>,
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
        Strings { reader, offset, size, window, stretch: RefCell::default() }
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

    fn whole(&self) -> Option<&'a [u8]> {
        self.window.get(self.offset, self.size)
    }

    /// The string at `index` without its NUL.
    pub(super) fn get(&self, index: u64) -> Result<Name, ElfError> {
        const OUTSIDE: ElfError = ElfError::OutOfRange { field: "an index of the dynamic string table" };
        let rest = self.size.checked_sub(index).ok_or(OUTSIDE)?;
        if let Some(table) = self.whole() {
            return until_nul(&table[index as usize..]).map(Name::from).ok_or(OUTSIDE);
        }
        let mut stretch = self.stretch.borrow_mut();
        if let Some(text) = stretch.from(self.offset + index).and_then(until_nul) {
            return Ok(text.into());
        }
        let mut length = STRING_GUESS;
        loop {
            let text = self.reader.read(&mut stretch, (self.offset + index, length.min(rest)), FIELD)?;
            match until_nul(text) {
                Some(text) => return Ok(text.into()),
                None if length >= rest => return Err(OUTSIDE),
                None => length *= 2,
            }
        }
    }

    /// Shows the table from its beginning to its end, cut into pieces at the ends of strings; `look` gets the index of
    /// each piece too. What follows the last NUL is no string and is not shown.
    pub(super) fn pieces(&self, scratch: &mut Window, mut look: impl FnMut(usize, &[u8])) -> Result<(), ElfError> {
        if let Some(table) = self.whole() {
            look(0, table);
            return Ok(());
        }
        let (mut index, mut length) = (0, PIECE);
        while index < self.size {
            let place = (self.offset + index, length.min(self.size - index));
            let piece = self.reader.read(scratch, place, FIELD)?;
            match memchr::memrchr(0, piece) {
                Some(nul) => {
                    look(index as usize, &piece[..=nul]);
                    index += nul as u64 + 1;
                    length = PIECE;
                }
                None if length >= self.size - index => break,
                None => length *= 2,
            }
        }
        Ok(())
    }
}

const FIELD: &str = "the dynamic string table";

fn until_nul(text: &[u8]) -> Option<&[u8]> {
    Some(&text[..memchr::memchr(0, text)?])
}
