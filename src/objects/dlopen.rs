//! What code loads by name, as far as an object tells: the metadata that its authors put into `.note.dlopen`, and
//! strings that look like names of libraries.
//!
//! The metadata is JSON: an array of objects, each of a feature that needs any one of some libraries (UAPI Group,
//! "ELF dlopen metadata"). The first version of that specification had a single object with a single soname; such
//! notes are understood too. Keys that are not known here are none of our business: the format is open.

use super::elf::Name;
use crate::reason::Priority;
use serde::Deserialize;

/// The notes of one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DlopenNotes {
    /// In file order, each once.
    pub features: Vec<Feature>,
    /// What is wrong with the first note that is not understood, in words.
    pub problem: Option<String>,
}

/// A feature that needs a library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Any one of them is enough. Never empty, and none of them is.
    pub sonames: Vec<Name>,
    pub priority: Priority,
    /// A keyword.
    pub name: Option<String>,
    /// A sentence for people.
    pub description: Option<String>,
}

/// Why a note cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FeatureError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("`soname` is empty")]
    NoSoname,
    #[error("`soname` has a NUL character")]
    Nul,
}

/// One object of the array.
#[derive(Deserialize)]
struct FeatureJson {
    soname: Sonames,
    #[serde(default = "unless_said")]
    priority: Priority,
    feature: Option<String>,
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`soname` is no string and no list of strings")]
enum Sonames {
    AnyOf(Vec<String>),
    One(String),
}

/// "If it is not specified, a parser should assume 'recommended'."
fn unless_said() -> Priority {
    Priority::Recommended
}

impl DlopenNotes {
    /// Whether the object has no note, not even one that is not understood.
    pub fn is_empty(&self) -> bool {
        self.features.is_empty() && self.problem.is_none()
    }

    /// Adds what one note holds: JSON with zeros behind it.
    pub(super) fn add(&mut self, description: &[u8]) {
        match features(description) {
            Ok(features) => {
                let new = features.into_iter().filter(|feature| !self.features.contains(feature));
                self.features.extend(new.collect::<Vec<_>>());
            }
            Err(error) => self.note_problem(error),
        }
    }

    pub(super) fn note_problem(&mut self, problem: impl ToString) {
        self.problem.get_or_insert_with(|| problem.to_string());
    }
}

fn features(description: &[u8]) -> Result<Vec<Feature>, FeatureError> {
    let length = description.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let json = &description[..length];
    let found: Vec<FeatureJson> = match json.trim_ascii_start().first() {
        Some(b'{') => vec![serde_json::from_slice(json)?],
        _ => serde_json::from_slice(json)?,
    };
    found.into_iter().map(feature).collect()
}

fn feature(json: FeatureJson) -> Result<Feature, FeatureError> {
    let FeatureJson { soname, priority, feature: name, description } = json;
    let sonames = match soname {
        Sonames::AnyOf(sonames) => sonames,
        Sonames::One(soname) => vec![soname],
    };
    if sonames.is_empty() || sonames.iter().any(String::is_empty) {
        return Err(FeatureError::NoSoname);
    }
    if sonames.iter().any(|soname| soname.contains('\0')) {
        return Err(FeatureError::Nul);
    }
    let sonames = sonames.into_iter().map(|soname| Name::from(soname.into_bytes())).collect();
    Ok(Feature { sonames, priority, name, description })
}

/// Names are shorter than this before their `.so`, and from there on, in bytes.
pub(super) const LONGEST: usize = 512;

/// Calls `found` with the place and the text of each string that may be what `dlopen` is called with: `libz.so.1`,
/// `/usr/lib/x/plugin.so`, `$ORIGIN/lib/libx.so`.
///
/// A string ends with a NUL, but need not begin behind one: numbers may lie before it.
pub(super) fn library_names<'b>(bytes: &'b [u8], mut found: impl FnMut(usize, &'b [u8])) {
    for suffix in memchr::memmem::find_iter(bytes, b".so") {
        let rest = &bytes[suffix..bytes.len().min(suffix + LONGEST)];
        let Some(length) = memchr::memchr(0, rest) else { continue };
        let before = &bytes[suffix.saturating_sub(LONGEST)..suffix];
        let stem = before.iter().rev().take_while(|byte| is_of_a_name(**byte)).count();
        let start = suffix - stem;
        let text = &bytes[start..suffix + length];
        if stem < LONGEST && is_end(&bytes[..start]) && is_version(&rest[3..length]) && is_library_name(text) {
            found(start, text);
        }
    }
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._+-${}".contains(&byte)
}

/// Whether a string can begin behind these bytes: they are not the beginning of a sentence or of a `printf` format. One
/// character alone is likely the last byte of a number.
fn is_end(before: &[u8]) -> bool {
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~');
    match before {
        [.., b'%'] => false,
        [.., last, end] => !is_text(end) || !is_text(last),
        [end] => !is_text(end),
        [] => true,
    }
}

/// What follows `.so` in the name of a library: nothing, or `.` and a number, several times.
fn is_version(text: &[u8]) -> bool {
    let Some(text) = text.strip_prefix(b".") else { return text.is_empty() };
    text.split(|byte| *byte == b'.')
        .all(|part| part.first().is_some_and(u8::is_ascii_digit) && part.iter().all(|b| b.is_ascii_alphanumeric()))
}

/// A relative path depends on the working directory, and is more often a part of a path than one.
fn is_library_name(text: &[u8]) -> bool {
    let is_placed = [&b"/"[..], b"$ORIGIN/", b"${ORIGIN}/"].iter().any(|start| text.starts_with(start));
    let name = text.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let has_stem = !name.starts_with(b".so") && !name.iter().any(|byte| b"${}".contains(byte));
    has_stem && (is_placed || name.len() == text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(json: &str) -> DlopenNotes {
        let mut notes = DlopenNotes::default();
        notes.add(json.as_bytes());
        notes
    }

    /// `name [priority] soname soname`, or the problem.
    fn check(json: &str, expected: &[&str]) {
        let DlopenNotes { features, problem } = notes(json);
        let text = |feature: &Feature| {
            let sonames: Vec<_> = feature.sonames.iter().map(|soname| String::from_utf8_lossy(soname)).collect();
            format!("{} [{}] {}", feature.name.as_deref().unwrap_or("-"), feature.priority, sonames.join(" "))
        };
        let found: Vec<String> = features.iter().map(text).chain(problem).collect();
        assert_eq!(found, expected, "{json}");
    }

    #[test]
    fn a_note_is_a_list_of_features() {
        check(
            r#"[{"soname":["libbpf.so.1","libbpf.so.0"],"feature":"bpf","description":"d","priority":"suggested","x":[]},
                {"soname":["libz.so.1"]}]"#,
            &["bpf [suggested] libbpf.so.1 libbpf.so.0", "- [recommended] libz.so.1"],
        );
        check("[{\"soname\":[\"libz.so.1\"],\"priority\":\"required\"}]\0\0\0", &["- [required] libz.so.1"]);
        check("[]", &[]);
    }

    #[test]
    fn a_note_of_the_first_version_is_one_feature() {
        check(r#"{"soname":"libz.so.1","feature":"z"}"#, &["z [recommended] libz.so.1"]);
    }

    #[test]
    fn a_feature_that_is_there_twice_counts_once() {
        check(r#"[{"soname":["a"]},{"soname":["a"]}]"#, &["- [recommended] a", "- [recommended] a"]);
        let mut notes = notes(r#"[{"soname":["a"]}]"#);
        notes.add(br#"[{"soname":["a"]}]"#);
        assert_eq!(notes.features.len(), 1);
    }

    #[test]
    fn what_is_wrong_with_a_note_is_told() {
        let problem = |json: &str| notes(json).problem.unwrap_or_default();
        assert!(problem("").contains("EOF"), "{}", problem(""));
        assert!(problem("[{}]").contains("missing field `soname`"));
        assert!(problem(r#"[{"soname":["a"],"priority":"urgent"}]"#).contains("unknown variant `urgent`"));
        assert!(problem(r#"[{"soname":7}]"#).contains("`soname` is no string"));
        assert_eq!(problem(r#"[{"soname":[]}]"#), "`soname` is empty");
        assert_eq!(problem(r#"[{"soname":["a",""]}]"#), "`soname` is empty");
        assert_eq!(problem("[{\"soname\":[\"a\\u0000b\"]}]"), "`soname` has a NUL character");
        assert!(problem("[{\"soname\":[\"\u{7f}\"").contains("EOF"));
        assert!(!problem(&"[".repeat(100_000)).is_empty());
    }

    fn names(bytes: &[u8]) -> Vec<&str> {
        let mut names = Vec::new();
        library_names(bytes, |at, name| {
            assert_eq!(&bytes[at..at + name.len()], name);
            names.push(std::str::from_utf8(name).unwrap());
        });
        names
    }

    #[test]
    fn names_of_libraries_are_found_among_strings() {
        let bytes = b"libz.so\0x\0libssl.so.1.0.2k\0/opt/x/plugin.so\0$ORIGIN/l/libp.so.1\0libstdc++.so.6\0module.so\0";
        let expected = ["libz.so", "libssl.so.1.0.2k", "/opt/x/plugin.so", "$ORIGIN/l/libp.so.1", "libstdc++.so.6"];
        assert_eq!(names(bytes), [&expected[..], &["module.so"]].concat());
    }

    #[test]
    fn sentences_formats_and_parts_of_paths_are_no_names() {
        let bytes = b"cannot load libz.so\0lib%s.so\0%s.so\0%s/libz.so\0l/libz.so\0.so\0/.so\0ld.so.conf\0libz.so.\0\
                      libz.sort\0$x.so\0libz.so!\0libz.so";
        assert_eq!(names(bytes), [""; 0]);
    }

    #[test]
    fn a_number_before_a_name_is_no_part_of_it() {
        let one = [&1.0_f64.to_le_bytes()[..], b"liba.so\0"].concat();
        assert_eq!(names(&one), ["liba.so"]);
        assert_eq!(names(b"\xff\xfflibb.so\0"), ["libb.so"]);
    }

    #[test]
    fn a_string_that_is_too_long_is_no_name() {
        let bytes = [&b"\0"[..], &vec![b'a'; LONGEST + 1], b".so\0"].concat();
        assert_eq!(names(&bytes), [""; 0]);
        let bytes = [&b"a.so."[..], &vec![b'1'; LONGEST], b"\0"].concat();
        assert_eq!(names(&bytes), [""; 0]);
    }
}
