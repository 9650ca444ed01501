//! Package file patterns, and the nearest names when one matches nothing.

use super::error::FetchError;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How many names a hint offers.
const OFFERS: usize = 3;

/// The files and directories of packages that match the patterns, sorted, each once. `*` and `?` stand for characters
/// of one path component.
///
/// # Errors
/// [`FetchError::NoMatch`] for a pattern without a file, [`FetchError::Damaged`] for a directory that is no package's, [`FetchError::Read`] for a directory that cannot be read.
pub fn matching_files(patterns: &[String]) -> Result<Vec<PathBuf>, FetchError> {
    let mut files = Vec::new();
    for pattern in patterns {
        let found = expand(Path::new(pattern))?;
        if found.is_empty() && Path::new(pattern).is_dir() {
            return Err(super::source::unknown(Path::new(pattern)));
        }
        if found.is_empty() {
            return Err(FetchError::NoMatch { pattern: pattern.clone(), nearest: nearest_files(Path::new(pattern)) });
        }
        files.extend(found);
    }
    files.sort();
    files.dedup();
    Ok(files)
}

/// The names most like `wanted`, the best first; none when nothing is like it.
pub fn nearest<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let tolerance = wanted.chars().count().div_ceil(3);
    let mut scored: Vec<(usize, &str)> = names
        .filter(|name| name.len().abs_diff(wanted.len()) <= tolerance || name.starts_with(wanted))
        .map(|name| (if name.starts_with(wanted) { 1 } else { distance(wanted, name) }, name))
        .filter(|(score, _)| *score <= tolerance)
        .collect();
    scored.sort_unstable();
    scored.dedup();
    scored.into_iter().take(OFFERS).map(|(_, name)| name.to_owned()).collect()
}

fn expand(pattern: &Path) -> Result<Vec<PathBuf>, FetchError> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let name = component.as_os_str();
        if !name.as_bytes().iter().any(|b| matches!(b, b'*' | b'?')) {
            found.iter_mut().for_each(|path| path.push(name));
            continue;
        }
        let mut deeper = Vec::new();
        for directory in found.iter().filter(|path| path.as_os_str().is_empty() || path.is_dir()) {
            let names = entries(directory)?.into_iter().filter(|entry| matches(name.as_bytes(), entry.as_bytes()));
            deeper.extend(names.map(|entry| directory.join(entry)));
        }
        found = deeper;
    }
    found.retain(|path| path.is_file() || super::source::is_package_directory(path));
    Ok(found)
}

fn entries(directory: &Path) -> Result<Vec<std::ffi::OsString>, FetchError> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let failed = |source| FetchError::Read { path: directory.to_owned(), source };
    std::fs::read_dir(directory).map_err(failed)?.map(|entry| Ok(entry.map_err(failed)?.file_name())).collect()
}

fn nearest_files(pattern: &Path) -> Vec<String> {
    let wanted = pattern.file_name().unwrap_or_default().to_string_lossy();
    let names = entries(pattern.parent().unwrap_or(Path::new("."))).unwrap_or_default();
    let names: Vec<_> = names.iter().filter_map(|name| name.to_str()).collect();
    nearest(&wanted, names.iter().copied())
}

/// Whether a name fits a pattern; as with a shell, `*` does not start with a leading dot.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    let (mut p, mut n) = (0, 0);
    // Where to go on when a character does not fit: the last `*`, taking one character more.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match retry.as_mut() {
                Some((after_star, taken)) => {
                    *taken += 1;
                    (p, n) = (*after_star, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

/// Insertions, deletions and substitutions between two names (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_match_as_in_a_shell() {
        for (pattern, name, fits) in [
            ("*.deb", "a.deb", true),
            ("*.deb", "a.debx", false),
            ("lib?_*_amd64.deb", "libx_1.2_amd64.deb", true),
            ("a*b*c", "axxbxxbc", true),
            ("a*b*c", "axxbxx", false),
            ("*", ".hidden", false),
            ("*", "", true),
            ("?", "", false),
            ("[ab]", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_without_a_file_offers_the_nearest_names() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["busybox-static.deb", "libc6.deb"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        let pattern = |name: &str| vec![directory.path().join(name).to_str().unwrap().to_owned()];
        assert_eq!(matching_files(&pattern("*.deb")).unwrap().len(), 2);
        let error = matching_files(&pattern("libc7.deb")).unwrap_err();
        assert_eq!(error.hint().unwrap(), "did you mean `libc6.deb`?");
        assert!(matching_files(&pattern("*.rpm")).is_err());
    }

    #[test]
    fn near_names_come_best_first() {
        let names = ["nodejs", "node", "nginx", "nodejs-doc"];
        assert_eq!(nearest("nodjs", names.iter().copied()), ["nodejs", "node"]);
        assert!(nearest("postgresql", names.iter().copied()).is_empty());
    }
}
