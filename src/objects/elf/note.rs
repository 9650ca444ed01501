//! Notes (gABI chapter 5, "Note Section"): records of an owner, a type and what the two say. One kind is read, that of
//! libraries which the code loads by name.
//!
//! The loader maps notes, so they are found through `PT_NOTE`, nearly always in the first page. Only of an object that
//! calls `dlopen` and has no such note there the sections are looked at: tools that edit objects may leave the note out
//! of every segment.

use super::kernel_module::section_headers;
use super::reader::{Reader, Window};
use super::until_nul;
use crate::objects::dlopen::DlopenNotes;
use goblin::container::Ctx;
use goblin::elf::header::Header;
use goblin::elf::program_header::{PT_NOTE, ProgramHeader};
use goblin::elf::section_header::SHT_NOTE;

const OWNER: &[u8] = b"FDO\0";
const TYPE: u32 = 0x407c_0c0a;
const SECTION: &[u8] = b".note.dlopen";

/// No linker makes more segments of notes than one for each alignment.
const MOST_SEGMENTS: usize = 16;

/// Longer notes are not for those who load libraries, in bytes.
const LONGEST: u64 = 64 << 10;

/// The notes in the segments. One that cannot be read is a problem of its own, and none of the object.
pub(super) fn in_segments(
    reader: &Reader<'_>,
    head: &Window,
    scratch: &mut Window,
    segments: &[ProgramHeader],
    context: Ctx,
) -> DlopenNotes {
    let mut notes = DlopenNotes::default();
    let segments = segments.iter().filter(|segment| segment.p_type == PT_NOTE && segment.p_filesz > 0);
    for segment in segments.take(MOST_SEGMENTS) {
        if segment.p_filesz > LONGEST {
            notes.note_problem("PT_NOTE is too long");
            continue;
        }
        match reader.get(head, scratch, (segment.p_offset, segment.p_filesz), "PT_NOTE") {
            Ok(bytes) => add(bytes, segment.p_align, context, &mut notes),
            Err(error) => notes.note_problem(error),
        }
    }
    notes
}

/// The notes in the section of their name. Nothing runs by the sections: damaged ones count as absent.
pub(super) fn in_section(reader: &Reader<'_>, header: &Header, context: Ctx) -> DlopenNotes {
    let mut notes = DlopenNotes::default();
    let Ok(sections) = section_headers(reader, header, context) else { return notes };
    let Some(names) = sections.get(usize::from(header.e_shstrndx)) else { return notes };
    let (mut text, mut window) = (Window::default(), Window::default());
    let Ok(names) = reader.read(&mut text, (names.sh_offset, names.sh_size), "the section names") else { return notes };
    let is_named = |index: usize| names.get(index..).is_some_and(|name| until_nul(name) == SECTION);
    let wanted = sections.iter().filter(|section| section.sh_type == SHT_NOTE && section.sh_size <= LONGEST);
    for section in wanted.filter(|section| is_named(section.sh_name)).take(MOST_SEGMENTS) {
        if let Ok(bytes) = reader.read(&mut window, (section.sh_offset, section.sh_size), "a section") {
            add(bytes, section.sh_addralign, context, &mut notes);
        }
    }
    notes
}

/// Goes through the records of one segment or section.
fn add(bytes: &[u8], alignment: u64, context: Ctx, notes: &mut DlopenNotes) {
    let alignment = if alignment == 8 { 8 } else { 4 };
    let mut at = 0;
    while let Some(record) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let Some((owner, description, end)) = extent(record, at, alignment, bytes.len(), context) else {
            notes.note_problem("a note is longer than its segment");
            return;
        };
        if word(record, 8, context) == TYPE && &bytes[owner.0..owner.1] == OWNER {
            notes.add(&bytes[description.0..description.1]);
        }
        at = end;
    }
}

type Extent = (usize, usize);

/// Where the owner and the description of a record are, and where the next one begins.
fn extent(
    record: &[u8; 12],
    at: usize,
    alignment: usize,
    size: usize,
    context: Ctx,
) -> Option<(Extent, Extent, usize)> {
    let length = |offset| usize::try_from(word(record, offset, context)).ok();
    let owner = at.checked_add(record.len())?;
    let owner_end = owner.checked_add(length(0)?)?;
    let description = owner_end.checked_next_multiple_of(alignment)?;
    let description_end = description.checked_add(length(4)?).filter(|end| *end <= size)?;
    // The last record need not be padded.
    let end = description_end.checked_next_multiple_of(alignment)?;
    Some(((owner, owner_end), (description, description_end), end))
}

fn word(record: &[u8; 12], at: usize, context: Ctx) -> u32 {
    let bytes = [record[at], record[at + 1], record[at + 2], record[at + 3]];
    if context.is_little_endian() { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use goblin::container::{Container, Endian};

    fn record(owner: &[u8], kind: u32, description: &[u8], alignment: usize, order: fn(u32) -> [u8; 4]) -> Vec<u8> {
        let mut bytes = [owner.len() as u32, description.len() as u32, kind].map(order).concat();
        for part in [owner, description] {
            bytes.extend_from_slice(part);
            bytes.resize(bytes.len().next_multiple_of(alignment), 0);
        }
        bytes
    }

    fn read(bytes: &[u8], alignment: u64, endian: Endian) -> DlopenNotes {
        let mut notes = DlopenNotes::default();
        add(bytes, alignment, Ctx::new(Container::Big, endian), &mut notes);
        notes
    }

    const JSON: &[u8] = br#"[{"soname":["libz.so.1"]}]"#;

    #[test]
    fn the_note_is_found_among_others() {
        for (endian, order) in
            [(Endian::Little, u32::to_le_bytes as fn(u32) -> [u8; 4]), (Endian::Big, u32::to_be_bytes)]
        {
            for alignment in [4, 8] {
                let bytes = [
                    record(b"GNU\0", 3, &[1; 20], alignment, order),
                    record(b"GNU\0", TYPE, b"{", alignment, order),
                    record(b"FDO\0", TYPE, JSON, alignment, order),
                    record(b"FDO\0", 1, b"{", alignment, order),
                    record(b"", TYPE, b"{", alignment, order),
                ];
                let notes = read(&bytes.concat(), alignment as u64, endian);
                assert_eq!((notes.features.len(), notes.problem), (1, None), "{endian:?} {alignment}");
            }
        }
    }

    #[test]
    fn a_note_cut_anywhere_is_told_or_not_seen() {
        let whole = record(b"FDO\0", TYPE, JSON, 4, u32::to_le_bytes);
        for length in 0..whole.len() {
            let notes = read(&whole[..length], 4, Endian::Little);
            let is_whole = length >= 16 + JSON.len();
            assert_eq!(notes.features.len(), usize::from(is_whole), "{length}");
            assert_eq!(notes.problem.is_some(), !is_whole && length >= 12, "{length}");
        }
    }

    #[test]
    fn huge_lengths_end_the_search() {
        for at in [0, 4] {
            let mut bytes = record(b"FDO\0", TYPE, JSON, 4, u32::to_le_bytes);
            bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
            assert!(read(&bytes, 4, Endian::Little).problem.is_some());
        }
        // Records without owner and description are 12 bytes long: this ends.
        assert_eq!(read(&[0; 4096], 4, Endian::Little), DlopenNotes::default());
    }
}
