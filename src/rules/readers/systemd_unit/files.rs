//! The name of a unit to its files, and those to the assignments that stand (systemd.unit(5), "Unit File Load Path" and
//! "Description"; systemd.syntax(7)).
//!
//! The surprise: an empty assignment takes back what the files before it said as well, which is how a drop-in puts one
//! program in the place of another.

use super::super::join;
use super::name::UnitName;
use crate::path::RootPath;
use crate::rules::Facts;
use foldhash::HashMap;
use std::collections::BTreeMap;

/// Where units of the system are, those that hide others first. `/lib` is another directory where `/usr` is not merged.
const DIRECTORIES: [&str; 4] =
    ["/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// Where the search for a unit ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fragment {
    /// At a file with the unit's own name.
    Own(RootPath),
    /// At the file of its template.
    Template(RootPath),
    /// At a link to `/dev/null`, which says that there is to be no such unit.
    Masked(RootPath),
    Absent,
}

pub(super) fn find(name: &UnitName, facts: &dyn Facts) -> Fragment {
    let in_directories = |name: &UnitName| {
        let paths = DIRECTORIES.iter().filter_map(|directory| RootPath::new(directory).ok());
        let paths = paths.map(|directory| directory.join(&name.text()));
        let found = paths.filter_map(|path| Some((facts.leads_to(&path)?, path)));
        // A link that leads nowhere else does not count.
        found.filter(|(end, _)| is_null(end) || facts.exists(end)).map(|(end, path)| (is_null(&end), path)).next()
    };
    if let Some((is_masked, path)) = in_directories(name) {
        return if is_masked { Fragment::Masked(path) } else { Fragment::Own(path) };
    }
    match name.template().as_ref().and_then(in_directories) {
        Some((true, path)) => Fragment::Masked(path),
        Some((false, path)) => Fragment::Template(path),
        None => Fragment::Absent,
    }
}

fn is_null(path: &RootPath) -> bool {
    path.as_bytes() == b"/dev/null"
}

/// A unit with what its file and its drop-ins say.
pub(super) struct Unit {
    /// That of the file, when the name is a link to one with another name. systemd 252 takes the name that it first
    /// loads the unit by, which for most is that of the file too: what is enabled comes first.
    pub name: UnitName,
    /// Every name that it is known to have.
    pub names: Vec<UnitName>,
    /// Its file, without symlinks.
    pub path: RootPath,
    /// In the order in which they are read.
    pub drop_ins: Vec<RootPath>,
    /// The assignments that stand, in order.
    pub assignments: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Unit {
    /// The unit of this name that is read from `path`; `None` where nothing can be read.
    pub fn read(name: &UnitName, path: &RootPath, facts: &dyn Facts) -> Option<Unit> {
        let text = facts.read(path)?;
        let path = facts.leads_to(path)?;
        // A link to a file that is no unit's, such as one in /opt, gives it the link's name.
        let directory = path.parent().unwrap_or_else(RootPath::root);
        let is_unit = DIRECTORIES.iter().any(|known| known.as_bytes() == directory.as_bytes());
        let of_file = UnitName::new(path.file_name()).filter(|_| is_unit).map(|of_file| name.alias_of(of_file));
        let mut names = vec![name.clone()];
        names.extend(of_file.filter(|of_file| of_file != name));
        let drop_ins = beside(&names, ".d", "*.conf", facts);
        let texts = std::iter::once(text).chain(drop_ins.iter().filter_map(|path| facts.read(path)));
        let assignments = assignments(&texts.collect::<Vec<_>>());
        let name = names.last().unwrap_or(name).clone();
        Some(Unit { name, names, path, drop_ins, assignments })
    }
}

/// What is in the directories of a unit with these names and this suffix, in the order in which it is read: by the names
/// of the files, of which the first in the order of directories hides the others.
pub(super) fn beside(names: &[UnitName], suffix: &str, pattern: &str, facts: &dyn Facts) -> Vec<RootPath> {
    let names: Vec<Vec<u8>> = names.iter().flat_map(UnitName::of_directories).collect();
    let mut found: BTreeMap<Vec<u8>, RootPath> = BTreeMap::new();
    for top in DIRECTORIES.iter().filter_map(|directory| RootPath::new(directory).ok()) {
        for name in &names {
            let directory = top.join(&[name, suffix.as_bytes()].concat());
            if facts.exists(&directory) {
                // Names of units have nothing in them that is special in a glob.
                for path in facts.glob(&format!("{directory}/{pattern}")) {
                    found.entry(path.file_name().to_vec()).or_insert(path);
                }
            }
        }
    }
    found.into_values().collect()
}

/// Dependencies cannot be taken back (systemd.unit(5), "Overriding vendor settings").
const NEVER_TAKEN_BACK: [&str; 6] = ["Wants", "Requires", "Requisite", "BindsTo", "Upholds", "OnFailure"];

/// Of these the last counts.
const SINGLE: [&str; 10] = [
    "User",
    "Group",
    "PAMName",
    "WorkingDirectory",
    "RootDirectory",
    "RootImage",
    "Slice",
    "Unit",
    "Accept",
    "StandardInput",
];

/// The assignments of texts that are read one after the other, as far as they stand at the end, in order.
fn assignments(texts: &[Vec<u8>]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut standing: HashMap<Vec<u8>, Vec<(usize, Vec<u8>)>> = HashMap::default();
    for (number, line) in texts.iter().flat_map(|text| lines(text)).enumerate() {
        let Some(equals) = memchr::memchr(b'=', &line) else { continue };
        let (key, value) = (line[..equals].trim_ascii(), line[equals + 1..].trim_ascii());
        let values = standing.entry(key.to_vec()).or_default();
        let is_one_of = |keys: &[&str]| keys.iter().any(|known| known.as_bytes() == key);
        if (value.is_empty() && !is_one_of(&NEVER_TAKEN_BACK)) || is_one_of(&SINGLE) {
            values.clear();
        }
        if !value.is_empty() {
            values.push((number, value.to_vec()));
        }
    }
    let all = standing.into_iter().flat_map(|(key, values)| values.into_iter().map(move |value| (key.clone(), value)));
    let mut all: Vec<_> = all.collect();
    all.sort_unstable_by_key(|(_, (number, _))| *number);
    all.into_iter().map(|(key, (_, value))| (key, value)).collect()
}

/// Lines that are no comment, those that end in a backslash with the next; a comment between two such is left out.
fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    let is_comment = |line: &&[u8]| matches!(line.trim_ascii_start().first(), Some(b'#' | b';'));
    let lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end);
    join(lines.filter(|line| !is_comment(line)), b" ")
}
