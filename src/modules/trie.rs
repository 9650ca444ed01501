//! kmod's binary index: a map from names or alias patterns to values, as `modules.dep.bin` and its siblings hold it.
//!
//! The format is a radix tree, all numbers 32-bit big-endian (kmod libkmod/libkmod-index.c):
//!
//! ```text
//! magic 0xB007F457, version 2.1, reference to the root node, nodes
//! node:      [prefix, NUL]  [first byte, last byte, reference per byte]  [count, (priority, value, NUL)...]
//! reference: offset from the start of the file; the three high bits say which parts the node has
//! ```
//!
//! A child is reached by one byte; `prefix` is what follows that byte on the way to the node. Absent children between
//! `first` and `last` are 0.

const MAGIC: u32 = 0xB007_F457;
const VERSION: u32 = 0x0002_0001;
const HAS_PREFIX: u32 = 0x8000_0000;
const HAS_VALUES: u32 = 0x4000_0000;
const HAS_CHILDREN: u32 = 0x2000_0000;
const OFFSET_MASK: u32 = 0x0FFF_FFFF;

/// A key with one of its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry<'e> {
    pub key: String,
    pub value: &'e str,
    /// Smaller comes first among the values of one key.
    pub priority: u32,
}

/// An index would be larger than the 256 MiB that its references can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge;

/// The index file. Keys and values that are not plain ASCII, or hold a NUL, are left out: kmod cannot store them.
pub(super) fn encode(mut entries: Vec<Entry<'_>>) -> Result<Vec<u8>, TooLarge> {
    let storable = |text: &str| text.is_ascii() && !text.contains('\0');
    entries.retain(|entry| storable(&entry.key) && storable(entry.value));
    // depmod puts a value before the ones of equal priority, so of two equals the later one comes first.
    entries.reverse();
    entries.sort_by(|a, b| (a.key.as_bytes(), a.priority).cmp(&(b.key.as_bytes(), b.priority)));
    let mut file = Vec::new();
    put(&mut file, MAGIC);
    put(&mut file, VERSION);
    put(&mut file, 0);
    // The root has no prefix, even when all keys begin alike.
    let root = write_node(&mut file, &entries, 0, 0)?;
    patch(&mut file, 8, root);
    Ok(file)
}

/// Writes the node of all `entries`, which share their first `depth` bytes, `prefix` of them in the node itself, and
/// then the nodes below it. Gives the reference to it.
///
/// Recursion is as deep as keys are prefixes of one another or part ways, so it is bounded by the length of the keys.
fn write_node(file: &mut Vec<u8>, entries: &[Entry<'_>], start: usize, prefix: usize) -> Result<u32, TooLarge> {
    let offset = u32::try_from(file.len()).ok().filter(|o| *o <= OFFSET_MASK).ok_or(TooLarge)?;
    let mut reference = offset;
    let depth = start + prefix;
    if prefix > 0 {
        reference |= HAS_PREFIX;
        put_string(file, &entries[0].key.as_bytes()[start..depth]);
    }
    let n_values = entries.iter().take_while(|entry| entry.key.len() == depth).count();
    let (here, below) = entries.split_at(n_values);
    let children_at = file.len() + 2;
    if let (Some(first), Some(last)) = (below.first(), below.last()) {
        reference |= HAS_CHILDREN;
        let (first, last) = (first.key.as_bytes()[depth], last.key.as_bytes()[depth]);
        file.extend([first, last]);
        file.resize(children_at + 4 * (usize::from(last - first) + 1), 0);
    }
    if !here.is_empty() {
        reference |= HAS_VALUES;
        put(file, u32::try_from(here.len()).map_err(|_| TooLarge)?);
        for entry in here {
            put(file, entry.priority);
            put_string(file, entry.value.as_bytes());
        }
    }
    for group in below.chunk_by(|a, b| a.key.as_bytes()[depth] == b.key.as_bytes()[depth]) {
        let child = write_node(file, group, depth + 1, common_length(group, depth + 1))?;
        let slot = usize::from(group[0].key.as_bytes()[depth] - below[0].key.as_bytes()[depth]);
        patch(file, children_at + 4 * slot, child);
    }
    Ok(reference)
}

/// How many bytes from `start` on all keys of a sorted group share.
fn common_length(group: &[Entry<'_>], start: usize) -> usize {
    let (first, last) = (&group[0].key.as_bytes()[start..], &group[group.len() - 1].key.as_bytes()[start..]);
    first.iter().zip(last).take_while(|(a, b)| a == b).count()
}

fn put(file: &mut Vec<u8>, number: u32) {
    file.extend(number.to_be_bytes());
}

fn put_string(file: &mut Vec<u8>, text: &[u8]) {
    file.extend_from_slice(text);
    file.push(0);
}

fn patch(file: &mut [u8], at: usize, number: u32) {
    file[at..at + 4].copy_from_slice(&number.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: &'static str, priority: u32) -> Entry<'static> {
        Entry { key: key.to_owned(), value, priority }
    }

    #[test]
    fn one_key_is_laid_out_as_the_format_says() {
        let file = encode(vec![entry("ab", "v", 7)]).unwrap();
        let expected: &[u8] = &[
            0xB0, 0x07, 0xF4, 0x57, 0, 2, 0, 1, 0x20, 0, 0, 12, // header: the root has children
            b'a', b'a', 0xC0, 0, 0, 18, // root: one child with prefix and values at 18
            b'b', 0, 0, 0, 0, 1, 0, 0, 0, 7, b'v', 0,
        ];
        assert_eq!(file, expected);
    }

    #[test]
    fn an_empty_index_is_a_header_with_an_empty_root() {
        assert_eq!(encode(Vec::new()).unwrap()[8..], [0, 0, 0, 12]);
    }

    #[test]
    fn the_order_of_insertion_does_not_matter_for_distinct_priorities() {
        let entries = vec![entry("on", "1", 1), entry("once", "2", 2), entry("on", "0", 0), entry("ask", "3", 3)];
        let reversed = entries.iter().rev().cloned().collect();
        assert_eq!(encode(entries), encode(reversed));
    }

    #[test]
    fn what_kmod_cannot_hold_is_left_out() {
        let empty = encode(Vec::new());
        assert_eq!(encode(vec![entry("caf\u{e9}", "v", 0), entry("a\0b", "v", 0)]), empty);
    }
}
