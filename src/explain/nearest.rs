//! The entries whose names look most like a name that the manifest does not have.

use crate::manifest::needs::Needed;
use crate::path::file_name;

/// How many names to suggest.
const SUGGESTIONS: usize = 3;

/// The positions of the entries with the most similar file names, then the most similar whole paths; none when nothing
/// is similar.
pub(super) fn nearest(entries: &[impl Needed], asked: &[u8]) -> Vec<usize> {
    let name = last_name(asked);
    if name.is_empty() {
        return Vec::new();
    }
    let mut limit = (name.len() / 3).max(2);
    let mut similar: Vec<(usize, usize)> = Vec::new();
    // The smallest distances so far, sorted: what is further off than the last of them needs no exact distance.
    let mut best: Vec<usize> = Vec::with_capacity(SUGGESTIONS + 1);
    let mut row = Vec::new();
    for (position, entry) in entries.iter().enumerate() {
        let Some(edits) = distance(name, file_name(entry.path()), limit, &mut row) else { continue };
        similar.push((edits, position));
        best.insert(best.partition_point(|other| *other <= edits), edits);
        if best.len() > SUGGESTIONS {
            best.pop();
            limit = best[SUGGESTIONS - 1];
        }
    }
    similar.retain(|(edits, _)| *edits <= limit);
    // Entries are sorted by path, and so are their positions.
    let mut ranked: Vec<_> = (similar.into_iter())
        .map(|(edits, position)| (edits, differing(asked, entries[position].path()), position))
        .collect();
    ranked.sort();
    ranked.into_iter().map(|(_, _, position)| position).take(SUGGESTIONS).collect()
}

fn last_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&b| b == b'/').find(|name| !name.is_empty()).unwrap_or_default()
}

/// How many bytes of the longer path lie between the common beginning and the common end.
fn differing(a: &[u8], b: &[u8]) -> usize {
    let (a, b) = without_common_ends(a, b);
    a.len().max(b.len())
}

/// The Levenshtein distance in bytes; `None` when it is over `limit`. `row` is scratch memory.
fn distance(a: &[u8], b: &[u8], limit: usize, row: &mut Vec<usize>) -> Option<usize> {
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    let (a, b) = without_common_ends(a, b);
    row.clear();
    row.extend(0..=b.len());
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
        if row.iter().all(|edits| *edits > limit) {
            return None;
        }
    }
    row.last().copied().filter(|edits| *edits <= limit)
}

fn without_common_ends<'a>(a: &'a [u8], b: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let start = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[start..], &b[start..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    (&a[..a.len() - end], &b[..b.len() - end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::needs::tests::manifest_of;

    #[test]
    fn edits_are_counted_up_to_the_limit() {
        for (a, b, expected) in [
            ("libc.so.6", "libc.so.6", Some(0)),
            ("libc.so.6", "libc.so.5", Some(1)),
            ("kitten", "sitting", Some(3)),
            ("", "abc", Some(3)),
            ("abcd", "wxyz", None),
            ("a", "abcdef", None),
        ] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes(), 3, &mut Vec::new()), expected, "{a} {b}");
        }
    }

    #[test]
    fn the_same_name_elsewhere_comes_before_a_similar_one_here() {
        let manifest =
            manifest_of(&[("/usr/lib/libz.so.2", &[]), ("/opt/lib/libz.so.1", &[]), ("/usr/bin/other", &[])]);
        let found = nearest(&manifest.entries, b"/usr/lib/libz.so.1");
        let found: Vec<String> = found.iter().map(|found| manifest.entries[*found].path.to_string()).collect();
        assert_eq!(found, ["/opt/lib/libz.so.1", "/usr/lib/libz.so.2"]);
    }

    #[test]
    fn nothing_is_suggested_for_a_name_like_no_other() {
        let manifest = manifest_of(&[("/usr/bin/node", &[])]);
        assert!(nearest(&manifest.entries, b"/usr/bin/xyzzyplugh").is_empty());
        assert!(nearest(&manifest.entries, b"/").is_empty());
    }
}
