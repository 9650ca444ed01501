//! The script that the illumos loader starts with to all scripts that it reaches through `include` and `try-include`.
//!
//! The surprising thing is that the word also stands inside strings that are evaluated later, as where `beastie.4th`
//! brings in the menu; so every `include` that is followed by an absolute path counts, wherever it stands outside of
//! comments.

use crate::path::RootPath;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// What the loader interprets first (illumos-gate usr/src/boot/common/interp.c).
pub const FIRST_SCRIPT: &str = "/boot/loader.rc";

/// Where the menu begins; nothing of it is read with `beastie_disable="YES"`.
pub const MENU: &str = "/boot/forth/menu.rc";

/// Why the scripts of a root cannot start anything.
#[derive(Debug, thiserror::Error)]
pub enum IncludesError {
    #[error("the loader has no first script: `{FIRST_SCRIPT}` is missing")]
    NoFirstScript,
    #[error("`{script}` includes `{included}`, which is missing")]
    Missing { script: RootPath, included: RootPath },
    #[error("cannot read the loader script `{script}`")]
    Read { script: RootPath, source: io::Error },
}

/// [`FIRST_SCRIPT`] and everything it reaches, with the content. `read` gives the bytes of a file of the root, `None` for
/// one that is not there. What lies behind one of `skipped` is not followed.
///
/// # Errors
/// [`IncludesError`]: an `include` of a missing file, on which the loader drops to its prompt. A `try-include` may fail.
pub fn reached(
    read: impl Fn(&RootPath) -> io::Result<Option<Vec<u8>>>,
    skipped: &BTreeSet<RootPath>,
) -> Result<BTreeMap<RootPath, Vec<u8>>, IncludesError> {
    let mut scripts = BTreeMap::new();
    let first = RootPath::new(FIRST_SCRIPT).expect("a constant");
    let mut waiting = vec![(first.clone(), None)];
    while let Some((path, included_by)) = waiting.pop() {
        if scripts.contains_key(&path) || skipped.contains(&path) {
            continue;
        }
        let content = read(&path).map_err(|source| IncludesError::Read { script: path.clone(), source })?;
        match (content, included_by) {
            (Some(content), _) => {
                for Include { path: included, required } in includes(&content) {
                    waiting.push((included, Some((path.clone(), required))));
                }
                scripts.insert(path, content);
            }
            (None, Some((_, false))) => {}
            (None, Some((script, true))) => return Err(IncludesError::Missing { script, included: path }),
            (None, None) => return Err(IncludesError::NoFirstScript),
        }
    }
    Ok(scripts)
}

#[derive(Debug, PartialEq, Eq)]
struct Include {
    path: RootPath,
    /// `include`, not `try-include`.
    required: bool,
}

/// The includes of a script with a literal absolute path, in order.
fn includes(script: &[u8]) -> Vec<Include> {
    let mut found = Vec::new();
    for line in script.split(|byte| *byte == b'\n') {
        let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        // A lone backslash begins a comment, which ends with the line.
        let words: Vec<&[u8]> = words.take_while(|word| *word != b"\\").collect();
        for pair in words.windows(2) {
            let required = match pair[0] {
                b"include" => true,
                b"try-include" => false,
                _ => continue,
            };
            // Inside a string the closing quote ends the path.
            let end = memchr::memchr(b'"', pair[1]).unwrap_or(pair[1].len());
            if let Ok(path) = RootPath::new(&pair[1][..end]) {
                found.push(Include { path, required });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)], skipped: &[&str]) -> Result<Vec<String>, String> {
        let read = |path: &RootPath| {
            let found = files.iter().find(|(name, _)| name.as_bytes() == path.as_bytes());
            Ok(found.map(|(_, text)| text.as_bytes().to_vec()))
        };
        let skipped = skipped.iter().map(|path| RootPath::new(path).unwrap()).collect();
        let scripts = reached(read, &skipped).map_err(|error| error.to_string())?;
        Ok(scripts.keys().map(RootPath::to_string).collect())
    }

    #[test]
    fn includes_are_followed_through_strings_and_cycles_but_not_through_comments() {
        let files = [
            ("/boot/loader.rc", "\\ include /boot/never\ninclude /boot/forth/loader.4th\ntry-include /boot/absent\n"),
            ("/boot/forth/loader.4th", ": start s\" include /boot/forth/menu.rc\" evaluate ; \\ include /boot/no\n"),
            (MENU, "include /boot/forth/menu.4th\n"),
            ("/boot/forth/menu.4th", "include /boot/loader.rc\r\n"),
            ("/boot/forth/unused.4th", ""),
        ];
        let all = ["/boot/forth/loader.4th", "/boot/forth/menu.4th", "/boot/forth/menu.rc", "/boot/loader.rc"];
        assert_eq!(check(&files, &[]).unwrap(), all);
        assert_eq!(check(&files, &[MENU]).unwrap(), ["/boot/forth/loader.4th", "/boot/loader.rc"]);
    }

    #[test]
    fn a_missing_script_is_told_with_who_includes_it() {
        let error = check(&[("/boot/loader.rc", "include /boot/x.4th")], &[]).unwrap_err();
        assert_eq!(error, "`/boot/loader.rc` includes `/boot/x.4th`, which is missing");
        let error = check(&[], &[]).unwrap_err();
        assert_eq!(error, "the loader has no first script: `/boot/loader.rc` is missing");
    }

    #[test]
    fn computed_and_relative_names_are_left_alone() {
        assert_eq!(includes(b"include\ninclude $x\nevaluate include"), []);
    }
}
