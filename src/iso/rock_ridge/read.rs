//! The system use field of a directory record to attributes.

use super::{CONTINUE, CURRENT, PARENT, Posix, ROOT};
use crate::iso::bytes::u32_at;
use crate::iso::{Blob, CD_SECTOR, ReadError};

const STRUCTURE: &str = "Rock Ridge entry";

/// How many continuation areas a record may have: Linux stops there as well (fs/isofs/rock.c, `RR_MAX_CE_ENTRIES`).
const MAX_AREAS: usize = 32;

/// Knows whether a volume uses the system use fields, and where they begin.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemUseReader {
    /// Bytes to skip in every field but the root's own; `None` for a volume without Rock Ridge.
    skip: Option<u8>,
}

/// What the entries say.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Attached {
    pub posix: Option<Posix>,
    pub name: Option<Vec<u8>>,
    /// Where a symlink leads; empty for anything else.
    pub target: Vec<u8>,
    /// Major and minor number of a device.
    pub device: Option<(u32, u32)>,
}

impl SystemUseReader {
    /// `dot` is the field of the root's own record, which begins with `SP` if the fields are in use (SUSP section 5.3).
    pub fn new(dot: &[u8]) -> SystemUseReader {
        match dot {
            [b'S', b'P', 7, 1, 0xbe, 0xef, skip, ..] => SystemUseReader { skip: Some(*skip) },
            _ => SystemUseReader { skip: None },
        }
    }

    /// Reads a field and the areas where it continues.
    ///
    /// # Errors
    /// Entries that are cut off, areas outside the image, or too many of them.
    pub fn read(&self, image: &Blob, field: &[u8]) -> Result<Attached, ReadError> {
        let mut reading = Reading::default();
        let Some(skip) = self.skip else { return Ok(reading.attached) };
        let skip = if field.starts_with(b"SP") { 0 } else { usize::from(skip) };
        let mut next = reading.area(field.get(skip..).unwrap_or_default())?;
        for _ in 0..MAX_AREAS {
            let Some(Continuation { sector, offset, length }) = next else { return Ok(reading.attached) };
            if u64::from(offset) + u64::from(length) > CD_SECTOR {
                return Err(damaged("a continuation area leads out of its sector"));
            }
            let start = u64::from(sector) * CD_SECTOR + u64::from(offset);
            next = reading.area(&image.vector(start, length.into(), STRUCTURE)?)?;
        }
        Err(damaged("continuation areas without end"))
    }
}

/// What a `CE` entry says.
struct Continuation {
    sector: u32,
    offset: u32,
    length: u32,
}

#[derive(Default)]
struct Reading {
    attached: Attached,
    /// The last component of the symlink's target goes on in the next one.
    component_goes_on: bool,
}

impl Reading {
    /// Takes in the entries of one area; gives where they continue.
    fn area(&mut self, mut area: &[u8]) -> Result<Option<Continuation>, ReadError> {
        let mut next = None;
        // Fewer than four bytes are padding.
        while let [first, second, length, _version, ..] = *area {
            if length == 0 {
                break;
            }
            let entry = area.get(..length.into()).filter(|entry| entry.len() >= 4);
            let content = &entry.ok_or_else(|| damaged("an entry is cut off"))?[4..];
            area = &area[length.into()..];
            match (&[first, second], content.len()) {
                (b"ST", _) => break,
                (b"CE", 24..) => {
                    let number = |index: usize| u32_at(content, index * 8);
                    next = Some(Continuation { sector: number(0), offset: number(1), length: number(2) });
                }
                (b"PX", 32..) => {
                    let number = |index: usize| u32_at(content, index * 8);
                    // Version 1.10 has no serial number.
                    let serial = if content.len() >= 40 { number(4) } else { 0 };
                    let [mode, links, uid, gid] = [0, 1, 2, 3].map(number);
                    self.attached.posix = Some(Posix { mode, links, uid, gid, serial });
                }
                (b"PN", 16..) => self.attached.device = Some(device(u32_at(content, 0), u32_at(content, 8))),
                (b"NM", 1..) if content[0] & (CURRENT | PARENT) == 0 => {
                    self.attached.name.get_or_insert_default().extend_from_slice(&content[1..]);
                }
                (b"SL", 1..) => self.symlink(&content[1..])?,
                (b"CE" | b"PX" | b"PN" | b"NM" | b"SL", ..1) => return Err(damaged("an entry is too short")),
                _ => {}
            }
        }
        Ok(next)
    }

    fn symlink(&mut self, mut components: &[u8]) -> Result<(), ReadError> {
        while let [flags, length, rest @ ..] = components {
            let content = rest.get(..usize::from(*length)).ok_or_else(|| damaged("a symlink component is cut off"))?;
            components = &rest[content.len()..];
            let target = &mut self.attached.target;
            if !self.component_goes_on && !target.is_empty() && target.last() != Some(&b'/') {
                target.push(b'/');
            }
            match flags & (CURRENT | PARENT | ROOT) {
                0 => target.extend_from_slice(content),
                CURRENT => target.push(b'.'),
                PARENT => target.extend_from_slice(b".."),
                _ => target.push(b'/'),
            }
            self.component_goes_on = flags & CONTINUE != 0;
        }
        Ok(())
    }
}

/// The numbers as Linux takes them: both words, or a `dev_t` of the old form in the low one.
fn device(high: u32, low: u32) -> (u32, u32) {
    if high == 0 && low > 0xff { (low >> 8, low & 0xff) } else { (high, low) }
}

fn damaged(problem: &str) -> ReadError {
    ReadError::damaged(STRUCTURE, problem)
}

#[cfg(test)]
mod tests {
    use super::super::write;
    use super::*;

    const READER: SystemUseReader = SystemUseReader { skip: Some(0) };

    /// Divides `entries` over a record and areas, the first of which is sector 0 of the image, and reads them.
    fn round_trip(entries: &[Vec<u8>]) -> Attached {
        let system_use = write::SystemUse::new(entries, 150);
        let places: Vec<_> = (0..system_use.area_lengths().count() as u32).map(|sector| (sector, 0)).collect();
        let (field, areas) = system_use.to_bytes(&places);
        let mut image = Vec::new();
        for area in areas {
            image.extend(area);
            image.resize(image.len().next_multiple_of(2048), 0);
        }
        READER.read(&Blob::from_bytes(image), &field).unwrap()
    }

    #[test]
    fn attributes_are_read_back() {
        let posix = Posix { mode: 0o100_4755, links: 1, uid: 1000, gid: 7, serial: 99 };
        for length in [1, 100, 250, 255] {
            let name = vec![b'n'; length];
            let mut entries = vec![write::posix(&posix)];
            entries.extend(write::name(&name));
            let attached = round_trip(&entries);
            assert_eq!((attached.posix, attached.name), (Some(posix), Some(name)));
        }
        for device in [(1, 3), (8, 300), (0, 5), (259, 70_000), (4095, 255)] {
            assert_eq!(round_trip(&[write::device(device.0, device.1)]).device, Some(device));
        }
    }

    #[test]
    fn symlink_targets_are_read_back() {
        let long = [b'x'; 700];
        let deep = b"../component".repeat(300);
        for target in [&b"a"[..], b"/", b"/usr/lib", b"../../x", "./a/./b".as_bytes(), b"caf\xe9 \n", &long, &deep] {
            let attached = round_trip(&write::symlink(target));
            assert_eq!(attached.target.escape_ascii().to_string(), target.escape_ascii().to_string());
        }
    }

    #[test]
    fn areas_that_lead_to_each_other_are_an_error() {
        let mut image = vec![0; 2048];
        let link = write::SystemUse::new(&[vec![0; 100], vec![0; 100]], 150).to_bytes(&[(0, 0)]).0[100..].to_vec();
        let mut endless = link.clone();
        // The area is as long as its link says.
        endless.resize(100, 0);
        image[..100].copy_from_slice(&endless);
        let error = READER.read(&Blob::from_bytes(image), &link).unwrap_err();
        assert!(error.to_string().contains("without end"), "{error}");
    }

    #[test]
    fn damage_never_panics() {
        let entries = [write::name(b"name"), write::symlink(b"/a/b"), vec![write::device(1, 2)]].concat().concat();
        let image = Blob::from_bytes(vec![0; 4096]);
        for cut in 0..entries.len() {
            let _ = READER.read(&image, &entries[..cut]);
        }
        for position in 0..entries.len() {
            for value in 0..=255 {
                let mut damaged = entries.clone();
                damaged[position] = value;
                let _ = READER.read(&image, &damaged);
            }
        }
    }
}
