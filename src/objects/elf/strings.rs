//! The dynamic string table: NUL-terminated strings, found by their index, of any bytes.

use super::ElfError;

/// The string at `index` without its NUL.
pub(super) fn get(table: &[u8], index: u64) -> Result<&[u8], ElfError> {
    let text = usize::try_from(index).ok().and_then(|start| table.get(start..));
    let end = text.and_then(|text| memchr::memchr(0, text));
    text.zip(end)
        .map(|(text, end)| &text[..end])
        .ok_or(ElfError::OutOfRange { field: "an index of the dynamic string table" })
}
