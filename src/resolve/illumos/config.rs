//! The configuration file that crle(1) writes: other default directories for the runtime linker (illumos
//! `usr/src/cmd/sgs/include/rtc.h`, `usr/src/common/sgsrtcid/sgsrtcid.h`).
//!
//! A header of 32-bit words in the byte order of the machine, before it perhaps 16 bytes that say whose it is. Offsets
//! count from the header. Only the default library path matters here; objects that the file replaces, and environment
//! variables that it sets, are not read.

use goblin::elf::header::{ELFCLASS32, ELFCLASS64};

/// `Rtc_id`: `?RLC`, class, byte order, machine, padding.
const ID: &[u8] = b"?RLC";
const ID_SIZE: usize = 16;
/// The newest `ch_version` that is understood (`RTC_VER_CURRENT`).
const VERSION: u32 = 4;
/// `ch_cnflags`: crle writes the file right now, its content does not count.
const RTC_HDR_IGNORE: u32 = 0x1;
/// Word number of `ch_edlibpath`, the default path of ELF objects.
const CH_EDLIBPATH: usize = 9;

/// The default library path that the file sets: directories with colons between them. `None` when it sets none, or is
/// for another class or damaged, which the runtime linker passes over as well.
pub fn library_path(file: &[u8], bits: u8) -> Option<&[u8]> {
    let class = if bits == 64 { ELFCLASS64 } else { ELFCLASS32 };
    let header = match file.strip_prefix(ID) {
        Some(rest) if rest.first() == Some(&class) => file.get(ID_SIZE..)?,
        Some(_) => return None,
        None => file,
    };
    let word = |number: usize| Some(u32::from_le_bytes(header.get(number * 4..number * 4 + 4)?.try_into().ok()?));
    if word(0)? > VERSION || word(1)? & RTC_HDR_IGNORE != 0 {
        return None;
    }
    let offset = usize::try_from(word(CH_EDLIBPATH)?).ok().filter(|offset| *offset != 0)?;
    let text = header.get(offset..)?;
    Some(&text[..memchr::memchr(0, text)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(id: Option<u8>, flags: u32, path: &[u8]) -> Vec<u8> {
        let mut words = [0u32; 20];
        (words[0], words[1], words[CH_EDLIBPATH]) = (1, flags, 80);
        let mut bytes = id.map_or(Vec::new(), |class| [ID, &[class], &[0; 11]].concat());
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend_from_slice(path);
        bytes
    }

    #[test]
    fn the_default_path_is_read_with_and_without_the_identification() {
        assert_eq!(library_path(&file(None, 0, b"/lib:/opt/lib\0"), 32), Some(&b"/lib:/opt/lib"[..]));
        assert_eq!(library_path(&file(Some(ELFCLASS64), 8, b"/lib/64\0"), 64), Some(&b"/lib/64"[..]));
    }

    #[test]
    fn a_file_for_others_or_a_damaged_one_sets_nothing() {
        assert_eq!(library_path(&file(Some(ELFCLASS64), 0, b"/lib/64\0"), 32), None);
        assert_eq!(library_path(&file(None, RTC_HDR_IGNORE, b"/lib\0"), 32), None);
        assert_eq!(library_path(&file(None, 0, b"/lib without an end"), 32), None);
        let whole = file(Some(ELFCLASS32), 0, b"/lib\0");
        for length in 0..whole.len() {
            assert_eq!(library_path(&whole[..length], 32), None, "{length}");
        }
    }
}
