//! Where the strings of an object are, and names of libraries among them: what its code may call `dlopen` with.
//!
//! Compilers put literals into memory that is only read, so for names of libraries segments that can be written are
//! left out; so are the interpreter's name and the dynamic string table, whose names the loader reads and not the code.

use super::reader::{Reader, Window};
use super::{Buffers, ElfError, Name, context, file_offset, parse_dynamic, parse_header, program_headers};
use crate::objects::dlopen::{LONGEST, library_names};
use goblin::elf::dynamic::{DT_STRSZ, DT_STRTAB};
use goblin::elf::program_header::{PF_W, PF_X, PT_DYNAMIC, PT_INTERP, PT_LOAD, ProgramHeader};
use std::collections::BTreeSet;
use std::ops::Range;

/// How much is searched at a time, in bytes.
const PIECE: u64 = 1 << 20;

/// A name is at most two of [`LONGEST`] long. One that begins in the first of these bytes of a piece was seen in the
/// piece before, with what is before it.
const OVERLAP: u64 = 4 * LONGEST as u64;

pub(super) fn read(reader: &Reader<'_>, buffers: &mut Buffers) -> Result<BTreeSet<Name>, ElfError> {
    reader.head(&mut buffers.head)?;
    let header = parse_header(buffers.head.bytes())?;
    let context = context(&header)?;
    let segments = program_headers(reader, buffers, &header, context)?;
    let mut not_literal: Vec<Range<u64>> = Vec::new();
    for segment in &segments {
        match segment.p_type {
            PT_INTERP => not_literal.push(extent(segment)),
            PT_DYNAMIC => {
                let place = (segment.p_offset, segment.p_filesz);
                let table = parse_dynamic(reader.read(&mut buffers.other, place, "PT_DYNAMIC")?, context)?;
                let value = |tag| table.iter().find(|entry| entry.d_tag == tag).map(|entry| entry.d_val);
                if let (Some(start), Some(size)) =
                    (value(DT_STRTAB).and_then(|address| file_offset(&segments, address)), value(DT_STRSZ))
                {
                    not_literal.push(start..start.saturating_add(size));
                }
            }
            _ => {}
        }
    }
    let mut names = BTreeSet::new();
    let read_only = segments.iter().filter(|segment| segment.p_type == PT_LOAD && segment.p_flags & PF_W == 0);
    for stretch in united(read_only.map(extent).collect()) {
        search(reader, stretch, PIECE, |at, name| {
            if !not_literal.iter().any(|range| range.contains(&at)) {
                names.insert(name.into());
            }
        })?;
    }
    Ok(names)
}

/// Where strings of the program can be, in the order of the file: in what is mapped of it, and not among the
/// instructions where linkers keep these apart (`-z separate-code`), which is half of most objects. All of a file that
/// is not mapped.
pub(super) fn stretches(reader: &Reader<'_>, buffers: &mut Buffers) -> Result<Vec<Range<u64>>, ElfError> {
    reader.head(&mut buffers.head)?;
    let header = parse_header(buffers.head.bytes())?;
    let segments = program_headers(reader, buffers, &header, context(&header)?)?;
    let mapped = || segments.iter().filter(|segment| segment.p_type == PT_LOAD);
    let has_literals_apart = mapped().any(|segment| segment.p_flags & (PF_W | PF_X) == 0);
    let searched = mapped().filter(|segment| segment.p_flags & PF_X == 0 || !has_literals_apart).map(extent);
    let inside = searched.map(|stretch| stretch.start.min(reader.size())..stretch.end.min(reader.size()));
    match mapped().next() {
        Some(_) => Ok(united(inside.collect())),
        None => Ok(std::iter::once(0..reader.size()).collect()),
    }
}

/// Searches a stretch of the file in pieces; `found` gets the offset of each name.
fn search(
    reader: &Reader<'_>,
    Range { start, end }: Range<u64>,
    piece: u64,
    mut found: impl FnMut(u64, &[u8]),
) -> Result<(), ElfError> {
    let mut window = Window::default();
    let mut at = start;
    while at < end {
        let length = piece.min(end - at);
        let unseen = if at == start { 0 } else { LONGEST };
        let bytes = reader.read(&mut window, (at, length), "PT_LOAD")?;
        library_names(bytes, |index, name| {
            if index >= unseen {
                found(at + index as u64, name);
            }
        });
        at += if length < piece { length } else { piece - OVERLAP };
    }
    Ok(())
}

/// The same bytes without overlaps, so that nothing is searched twice.
fn united(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut united: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match united.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => united.push(range),
        }
    }
    united
}

/// Where in the file a segment is; what is beyond the end of the file is found out by reading it.
fn extent(segment: &ProgramHeader) -> Range<u64> {
    segment.p_offset..segment.p_offset.saturating_add(segment.p_filesz)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_several_segments_have_are_searched_once() {
        assert_eq!(united(vec![5..9, 0..3, 2..4, 9..9, 20..21, 6..7]), [0..4, 5..9, 20..21]);
    }

    /// An object of 64 bits with these segments: kind, flags, offset and length in the file.
    fn object(segments: &[(u32, u32, u64, u64)], size: usize) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(16, 0);
        bytes.extend([3u16, 62].map(u16::to_le_bytes).concat());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend([0u64, 64, 0].map(u64::to_le_bytes).concat());
        bytes.extend(0u32.to_le_bytes());
        bytes.extend([64u16, 56, segments.len() as u16, 64, 0, 0].map(u16::to_le_bytes).concat());
        for (kind, flags, offset, length) in segments {
            bytes.extend([*kind, *flags].map(u32::to_le_bytes).concat());
            bytes.extend([*offset, *offset, *offset, *length, *length, 8].map(u64::to_le_bytes).concat());
        }
        bytes.resize(size, 0);
        bytes
    }

    #[test]
    fn strings_are_where_instructions_are_not_unless_the_linker_mixes_them() {
        const R: u32 = 4;
        let found = |segments: &[(u32, u32, u64, u64)]| {
            let bytes = object(segments, 0x4000);
            let found = stretches(&Reader::new(&&bytes[..]), &mut Buffers::new()).unwrap();
            found.iter().map(|stretch| (stretch.start, stretch.end)).collect::<Vec<_>>()
        };
        let (code, data) = ((PT_LOAD, R | PF_X, 0x1000, 0xf00), (PT_LOAD, R | PF_W, 0x3000, 0x500));
        let apart = [(PT_LOAD, R, 0, 0x800), code, (PT_LOAD, R, 0x2000, 0x1000), data];
        assert_eq!(found(&apart), [(0, 0x800), (0x2000, 0x3500)]);
        assert_eq!(found(&[code, data]), [(0x1000, 0x1f00), (0x3000, 0x3500)]);
        assert_eq!(found(&[(PT_INTERP, R, 0, 0x10)]), [(0, 0x4000)]);
        assert_eq!(found(&[(PT_LOAD, R, 0x3000, u64::MAX)]), [(0x3000, 0x4000)]);
        assert_eq!(found(&[(PT_LOAD, R, u64::MAX, 1)]), [(0x4000, 0x4000)]);
    }

    #[test]
    fn names_are_found_whatever_the_pieces() {
        let filler = [&b"%"[..], &vec![b'x'; 700], b"\0"].concat().repeat(9);
        let bytes = [&b"liba.so\0"[..], &filler, b"libb.so.1\0cannot load libc.so\0", &filler, b"/x/d.so\0"].concat();
        let whole = |piece| {
            let mut names = BTreeSet::new();
            search(&Reader::new(&&bytes[..]), 0..bytes.len() as u64, piece, |at, name| {
                names.insert((at as usize, String::from_utf8_lossy(name).into_owned()));
            })
            .unwrap();
            names
        };
        let expected = whole(1 << 20);
        assert_eq!(expected.iter().map(|(_, name)| &name[..]).collect::<Vec<_>>(), ["liba.so", "libb.so.1", "/x/d.so"]);
        for piece in (OVERLAP + 1..OVERLAP + 1600).step_by(7).chain([bytes.len() as u64]) {
            assert_eq!(whole(piece), expected, "{piece}");
        }
    }
}
