//! Attributes to the entries of a directory record.

use super::{CONTINUE, CURRENT, PARENT, Posix, ROOT};
use crate::iso::CD_SECTOR;
use crate::iso::bytes::both32;

/// Bytes of a `CE` entry.
const CE_LENGTH: usize = 28;

const MAX_ENTRY: usize = 255;
const MAX_AREA: usize = CD_SECTOR as usize;

/// The entries of one record, divided so that they fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemUse {
    /// What the directory record itself holds, without a `CE` entry.
    inline: Vec<u8>,
    /// What continues elsewhere, each part without the `CE` entry that leads to the next.
    areas: Vec<Vec<u8>>,
}

impl SystemUse {
    /// Divides `entries` over a record with room for `capacity` bytes and as many areas as it takes.
    pub fn new(entries: &[Vec<u8>], capacity: usize) -> SystemUse {
        let mut parts = vec![Vec::new()];
        let mut room = capacity;
        let mut left: usize = entries.iter().map(Vec::len).sum();
        for entry in entries {
            let part = parts.last_mut().expect("never empty");
            // Unless everything that is left fits, the part ends with a CE entry.
            let reserve = if part.len() + left <= room { 0 } else { CE_LENGTH };
            if part.len() + entry.len() + reserve <= room {
                part.extend_from_slice(entry);
            } else {
                room = MAX_AREA;
                parts.push(entry.clone());
            }
            left -= entry.len();
        }
        let inline = parts.remove(0);
        SystemUse { inline, areas: parts }
    }

    /// Bytes in the directory record.
    pub fn inline_length(&self) -> usize {
        self.inline.len() + if self.areas.is_empty() { 0 } else { CE_LENGTH }
    }

    /// Bytes of each area, in order.
    pub fn area_lengths(&self) -> impl Iterator<Item = usize> {
        let last = self.areas.len().saturating_sub(1);
        self.areas.iter().enumerate().map(move |(i, area)| area.len() + if i == last { 0 } else { CE_LENGTH })
    }

    /// The bytes of the record and of each area, given where the areas are: their sector and their offset in it.
    pub fn to_bytes(&self, places: &[(u32, u32)]) -> (Vec<u8>, Vec<Vec<u8>>) {
        let lengths: Vec<_> = self.area_lengths().collect();
        let links = places.iter().zip(lengths).map(|((sector, offset), length)| {
            let numbers = [*sector, *offset, length as u32];
            entry(b"CE", &numbers.map(both32).concat())
        });
        // The record links to the first area, each area to the one after it, the last to none.
        let mut links = links.chain(std::iter::once(Vec::new()));
        let mut parts = std::iter::once(&self.inline)
            .chain(&self.areas)
            .map(|part| [&part[..], &links.next().unwrap_or_default()].concat());
        let inline = parts.next().unwrap_or_default();
        (inline, parts.collect())
    }
}

/// `SP`: the first entry of the root directory, which says that the others are there.
pub fn sharing_protocol() -> Vec<u8> {
    entry(b"SP", &[0xbe, 0xef, 0])
}

/// `ER`: which extension is in use. The identifier is that of the draft, as all writers use it and some readers, such as
/// the one in the illumos and FreeBSD loaders, know no other.
pub fn extension_reference() -> Vec<u8> {
    const IDENTIFIER: &[u8] = b"RRIP_1991A";
    const DESCRIPTION: &[u8] = b"THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS";
    let lengths = [IDENTIFIER.len() as u8, DESCRIPTION.len() as u8, 0, 1];
    entry(b"ER", &[&lengths, IDENTIFIER, DESCRIPTION].concat())
}

/// `PX`: mode, owner and serial number.
pub fn posix(posix: &Posix) -> Vec<u8> {
    let Posix { mode, links, uid, gid, serial } = *posix;
    entry(b"PX", &[mode, links, uid, gid, serial].map(both32).concat())
}

/// `PN`: a device. Small numbers are put into the low word in the old `dev_t` form, as xorriso and mkisofs do it and
/// Linux and libarchive read it; others are divided between the two words, which Linux reads as well.
pub fn device(major: u32, minor: u32) -> Vec<u8> {
    let words = if major <= 0xfff && minor <= 0xff { [0, major << 8 | minor] } else { [major, minor] };
    entry(b"PN", &words.map(both32).concat())
}

/// `NM`: the real name, in more than one entry when it is long.
pub fn name(name: &[u8]) -> Vec<Vec<u8>> {
    let parts: Vec<_> = name.chunks(MAX_ENTRY - 5).collect();
    let last = parts.len().saturating_sub(1);
    let part = |(i, part): (usize, &&[u8])| entry(b"NM", &[&[if i == last { 0 } else { CONTINUE }], *part].concat());
    parts.iter().enumerate().map(part).collect()
}

/// `SL`: where a symlink leads, component by component. Repeated slashes and a slash at the end are not kept.
///
/// Where the target goes on in another entry, it does so inside a component: between components some readers put a slash
/// there (Linux) and some do not (libarchive).
pub fn symlink(target: &[u8]) -> Vec<Vec<u8>> {
    let mut areas: Vec<Vec<u8>> = vec![Vec::new()];
    if target.first() == Some(&b'/') {
        push_component(&mut areas, ROOT, b"");
    }
    for part in target.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
        let flag = match part {
            b"." => CURRENT,
            b".." => PARENT,
            _ => 0,
        };
        push_component(&mut areas, flag, part);
    }
    let last = areas.len() - 1;
    let area =
        |(i, area): (usize, &Vec<u8>)| entry(b"SL", &[&[if i == last { 0 } else { CONTINUE }], &area[..]].concat());
    areas.iter().enumerate().map(area).collect()
}

/// Bytes of the two in front of the text of a component: flags and length.
const COMPONENT_HEADER: usize = 2;

/// Appends a component, with a flag instead of its text where there is one for it and it need not be divided.
fn push_component(areas: &mut Vec<Vec<u8>>, flag: u8, text: &[u8]) {
    let mut flag = flag;
    let mut left = text;
    loop {
        let area = areas.last_mut().expect("never empty");
        let room = MAX_ENTRY - 5 - COMPONENT_HEADER - area.len();
        // What fits leaves room to begin the next component, so that the entry can end inside it.
        if left.len() + COMPONENT_HEADER <= room {
            let text = if flag == 0 { left } else { b"" };
            area.extend_from_slice(&[flag, text.len() as u8]);
            area.extend_from_slice(text);
            return;
        }
        let (now, later) = left.split_at(left.len().min(room));
        area.extend_from_slice(&[CONTINUE, now.len() as u8]);
        area.extend_from_slice(now);
        areas.push(Vec::new());
        (flag, left) = (0, later);
    }
}

fn entry(signature: &[u8; 2], content: &[u8]) -> Vec<u8> {
    let length = (content.len() + 4) as u8;
    [&signature[..], &[length, 1], content].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_divided_only_when_they_must_be() {
        let entries = vec![vec![1; 100], vec![2; 80]];
        let fits = SystemUse::new(&entries, 180);
        assert_eq!((fits.inline_length(), fits.area_lengths().count()), (180, 0));
        let divided = SystemUse::new(&entries, 179);
        assert_eq!(divided.inline_length(), 128);
        assert_eq!(divided.area_lengths().collect::<Vec<_>>(), [80]);
        let (inline, areas) = divided.to_bytes(&[(9, 40)]);
        assert_eq!(inline[100..], entry(b"CE", &[9, 40, 80].map(both32).concat()));
        assert_eq!(areas, [vec![2; 80]]);
    }

    #[test]
    fn areas_link_to_each_other_and_stay_within_a_sector() {
        let entries = vec![vec![7; 250]; 20];
        let system_use = SystemUse::new(&entries, 100);
        assert_eq!(system_use.inline_length(), CE_LENGTH);
        let lengths: Vec<_> = system_use.area_lengths().collect();
        assert_eq!(lengths, [2028, 2028, 1000]);
        let places = [(1, 0), (2, 0), (3, 0)];
        let (_, areas) = system_use.to_bytes(&places);
        assert_eq!(areas.iter().map(Vec::len).collect::<Vec<_>>(), lengths);
        assert_eq!(areas[0][2000..2002], *b"CE");
        assert_eq!(areas[0][2004], 2);
        assert_eq!(areas[2][999], 7);
    }

    #[test]
    fn names_of_255_bytes_take_two_entries() {
        let entries = name(&[b'n'; 255]);
        assert_eq!(entries.iter().map(Vec::len).collect::<Vec<_>>(), [255, 10]);
        assert_eq!((entries[0][4], entries[1][4]), (CONTINUE, 0));
    }

    #[test]
    fn symlink_components_have_their_flags() {
        assert_eq!(symlink(b"/a/../."), [entry(b"SL", &[0, ROOT, 0, 0, 1, b'a', PARENT, 0, CURRENT, 0])]);
        let long = symlink(&[b'x'; 300]);
        assert_eq!(long.len(), 2);
        assert_eq!((long[0].len(), long[0][4], long[0][5]), (255, CONTINUE, CONTINUE));
        assert_eq!((long[1][4], long[1][5], long[1][6]), (0, 0, 52));
    }

    #[test]
    fn symlinks_are_divided_inside_components() {
        for length in 1..30 {
            let component = [&vec![b'c'; length][..], b"/../"].concat();
            let entries = symlink(&component.repeat(100));
            assert!(entries.len() > 1);
            for entry in &entries[..entries.len() - 1] {
                assert!(entry.len() <= MAX_ENTRY);
                let (mut at, mut last_flags) = (5, 0);
                while at < entry.len() {
                    last_flags = entry[at];
                    at += COMPONENT_HEADER + usize::from(entry[at + 1]);
                }
                assert_eq!((at, last_flags, entry[4]), (entry.len(), CONTINUE, CONTINUE));
            }
        }
    }
}
