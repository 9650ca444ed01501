//! Says which Debian package delivered a file of a root, from dpkg's own lists.
//!
//! A list holds the paths as the package names them, but a file's identity is its path without symlinks: the list says
//! `/lib/x86_64-linux-gnu/libc.so.6` where a merged root has `/usr/lib/...`, and `/usr/share/doc/libasan6/copyright`
//! where another package made `libasan6` a link. So a path that is not listed is looked for again through every
//! directory link that a list may have meant: the links in the root directory, and paths that one list has
//! something below and another has nothing below. The latter is what makes the search short; asking the disk about
//! each of 30,000 listed directories is not.
//!
//! The lists of a large system have 300,000 lines. They stay in memory as they are; the index holds a
//! 64-bit digest of each line and where it is.

use crate::path::RootPath;
use crate::root::{FileKind, Root};
use rayon::prelude::*;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::sync::OnceLock;

const INFO: &str = "/var/lib/dpkg/info";
const DIVERSIONS: &str = "/var/lib/dpkg/diversions";

/// Which package delivered which file of one root.
#[derive(Debug, Default)]
pub struct Lists {
    lists: Vec<List>,
    /// Sorted by digest.
    lines: Vec<Line>,
    diversions: Vec<Diversion>,
    /// Found by the first look-up that needs them.
    aliases: OnceLock<Vec<Alias>>,
}

/// A package's `.list` file.
#[derive(Debug)]
struct List {
    package: String,
    text: Vec<u8>,
}

/// One line of a list.
#[derive(Debug, Clone, Copy)]
struct Line {
    digest: u64,
    list: u32,
    start: u32,
    length: u32,
    /// The next line is below this one; packages list a directory directly before what is in it.
    is_parent: bool,
}

/// A symlink to a directory.
#[derive(Debug)]
struct Alias {
    link: RootPath,
    /// Where it leads, free of symlinks.
    directory: RootPath,
}

/// A file that one package moved away so that its own can take the place (dpkg-divert(1)).
#[derive(Debug)]
struct Diversion {
    from: Vec<u8>,
    to: Vec<u8>,
    /// `:` for a diversion made by the administrator.
    package: String,
}

impl Lists {
    /// Reads the lists of a root; one without dpkg has no packages, which is no error.
    ///
    /// # Errors
    /// A list that is there and cannot be read.
    pub fn load(root: &Root) -> io::Result<Lists> {
        let info = RootPath::new(INFO).expect("a constant");
        let directory = match root.directory(&info) {
            Ok(directory) => directory,
            Err(error) if error.is_absent() => return Ok(Lists::default()),
            Err(error) => return Err(io::Error::other(error)),
        };
        let names = root.read_dir(&directory)?;
        let lists: Vec<(List, Vec<Line>)> = names
            .par_iter()
            .filter_map(|name| Some((name, std::str::from_utf8(name.strip_suffix(b".list")?).ok()?)))
            .map(|(name, package)| {
                let found = root.lookup_in(&directory, name).map_err(io::Error::other)?;
                let text = root.read(&found)?;
                // `libc6:amd64.list`: the architecture is no part of the name.
                let package = package.split(':').next().unwrap_or(package).to_owned();
                let lines = lines(&text);
                Ok((List { package, text }, lines))
            })
            .collect::<io::Result<_>>()?;
        let mut packages = Lists { diversions: diversions(root)?, ..Lists::default() };
        packages.lines.reserve(lists.iter().map(|(_, lines)| lines.len()).sum());
        for (index, (list, lines)) in lists.into_iter().enumerate() {
            packages.lists.push(list);
            packages.lines.extend(lines.into_iter().map(|line| Line { list: index as u32, ..line }));
        }
        packages.lines.par_sort_unstable_by_key(|line| line.digest);
        Ok(packages)
    }

    /// The package that delivered what is at `path`. `None` for a file of no package, and for a directory
    /// that several packages share.
    ///
    /// `root` must be the one that was loaded. The directories of `path` are followed, its last component is not.
    pub fn owner(&self, root: &Root, path: &RootPath) -> Option<&str> {
        if self.lines.is_empty() {
            return None;
        }
        if let Some(answer) = self.listed_owner(path) {
            return answer;
        }
        // Without the symlinks of its directories, should it have any.
        let parent = root.directory(&path.parent()?).ok()?;
        let canonical = parent.path.join(path.file_name());
        if canonical != *path
            && let Some(answer) = self.listed_owner(&canonical)
        {
            return answer;
        }
        let aliases = self.aliases.get_or_init(|| self.find_aliases(root));
        aliases.iter().filter(|alias| canonical.starts_with(&alias.directory)).find_map(|alias| {
            let rest = &canonical.as_bytes()[alias.directory.as_bytes().len()..];
            let path = RootPath::new([alias.link.as_bytes(), b"/", rest].concat()).ok()?;
            self.listed_owner(&path)
        })?
    }

    /// `None` when no list has the path; `Some(None)` when lists have it and yet no single package owns it.
    fn listed_owner(&self, path: &RootPath) -> Option<Option<&str>> {
        if let Some(diversion) = self.diversions.iter().find(|d| d.to == path.as_bytes()) {
            let owners = self.listing(&diversion.from).filter(|name| *name != diversion.package);
            return Some(single(owners));
        }
        let mut owners = self.listing(path.as_bytes()).peekable();
        owners.peek()?;
        match self.diversions.iter().find(|d| d.from == path.as_bytes()) {
            Some(diversion) => Some(single(owners.filter(|name| *name == diversion.package))),
            None => Some(single(owners)),
        }
    }

    /// The packages whose lists have exactly this path.
    fn listing<'p>(&'p self, path: &[u8]) -> impl Iterator<Item = &'p str> {
        let digest = digest(path);
        let start = self.lines.partition_point(|line| line.digest < digest);
        self.lines[start..]
            .iter()
            .take_while(move |line| line.digest == digest)
            .filter(move |line| self.text(line) == path)
            .map(|line| self.lists[line.list as usize].package.as_str())
    }

    /// The symlinks that lists may name paths through.
    fn find_aliases(&self, root: &Root) -> Vec<Alias> {
        let top = root.directory(&RootPath::root()).map(|top| root.read_dir(&top).unwrap_or_default());
        let top = top.unwrap_or_default().into_iter().map(|name| RootPath::root().join(&name));
        let runs = self.lines.chunk_by(|a, b| a.digest == b.digest);
        let disputed = runs.filter(|run| run.iter().any(|l| l.is_parent) && run.iter().any(|l| !l.is_parent));
        let links = top.chain(disputed.filter_map(|run| RootPath::new(self.text(&run[0])).ok())).filter_map(|link| {
            let is_link = root.lookup_nofollow(&link).is_ok_and(|found| found.info.kind == FileKind::Symlink);
            let directory = is_link.then(|| root.directory(&link).ok()).flatten()?.path.clone();
            Some(Alias { link, directory })
        });
        links.collect()
    }

    fn text(&self, line: &Line) -> &[u8] {
        &self.lists[line.list as usize].text[line.start as usize..][..line.length as usize]
    }
}

/// The one name that all are; `None` when there are different ones.
fn single<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let first = names.next()?;
    names.all(|name| name == first).then_some(first)
}

fn lines(text: &[u8]) -> Vec<Line> {
    // Offsets are 32 bits wide; a list of 4 GiB is no list.
    let text = &text[..text.len().min(u32::MAX as usize)];
    let mut lines = Vec::with_capacity(text.len() / 48);
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', text).chain([text.len()]) {
        if end > start {
            let line = &text[start..end];
            let next = text.get(end + 1..).unwrap_or_default();
            let is_parent = next.strip_prefix(line).is_some_and(|rest| rest.first() == Some(&b'/'));
            let (start, length) = (start as u32, line.len() as u32);
            lines.push(Line { digest: digest(line), list: 0, start, length, is_parent });
        }
        start = end + 1;
    }
    lines
}

/// Reads triples of lines: the path, where it is now, and the package that has it moved.
fn diversions(root: &Root) -> io::Result<Vec<Diversion>> {
    let text = root.read_optional(&RootPath::new(DIVERSIONS).expect("a constant"))?.unwrap_or_default();
    let lines: Vec<&[u8]> = text.split(|&b| b == b'\n').collect();
    let read = |triple: &[&[u8]]| Diversion {
        from: triple[0].to_vec(),
        to: triple[1].to_vec(),
        package: String::from_utf8_lossy(triple[2]).into_owned(),
    };
    Ok(lines.chunks_exact(3).map(read).collect())
}

fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    /// A root with the given lists, files (their directories made) and symlinks.
    fn root(lists: &[(&str, &str)], files: &[&str], links: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let place = |path: &str| {
            let path = directory.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        for (target, link) in links {
            symlink(target, place(link)).unwrap();
        }
        for file in files {
            fs::write(place(file), "").unwrap();
        }
        for (name, text) in lists {
            fs::write(place(&format!("/var/lib/dpkg/info/{name}.list")), text).unwrap();
        }
        directory
    }

    fn check(directory: &Path, expected: &[(&str, Option<&str>)]) {
        let root = Root::open(directory).unwrap();
        let packages = Lists::load(&root).unwrap();
        for (path, owner) in expected {
            assert_eq!(packages.owner(&root, &RootPath::new(path).unwrap()), *owner, "{path}");
        }
    }

    #[test]
    fn a_listed_path_is_found_through_the_links_of_a_merged_usr() {
        let lists =
            [("libc6:amd64", "/.\n/lib\n/lib/x/libc.so.6\n/usr/share/doc\n"), ("b", "/usr/share/doc\n/usr/lib/b")];
        let directory = root(&lists, &["/usr/lib/x/libc.so.6", "/usr/lib/b", "/etc/passwd"], &[("usr/lib", "/lib")]);
        check(
            directory.path(),
            &[
                ("/lib/x/libc.so.6", Some("libc6")),
                ("/usr/lib/x/libc.so.6", Some("libc6")),
                ("/lib/b", Some("b")),
                ("/usr/share/doc", None),
                ("/etc/passwd", None),
                ("/no/such/directory/x", None),
                ("/", None),
            ],
        );
    }

    #[test]
    fn b85_a_directory_that_another_package_made_a_link_is_followed_both_ways() {
        let lists = [
            ("gcc-12-base", "/usr/share/doc/gcc-12-base\n/usr/share/doc/gcc-12-base/copyright\n"),
            ("libasan6", "/usr/share/doc/libasan6\n"),
            ("strange", "/usr/share/doc/libasan6\n/usr/share/doc/libasan6/README\n"),
        ];
        let files = ["/usr/share/doc/gcc-12-base/copyright", "/usr/share/doc/gcc-12-base/README"];
        let directory = root(&lists, &files, &[("gcc-12-base", "/usr/share/doc/libasan6")]);
        check(
            directory.path(),
            &[
                ("/usr/share/doc/libasan6/copyright", Some("gcc-12-base")),
                ("/usr/share/doc/gcc-12-base/README", Some("strange")),
            ],
        );
    }

    #[test]
    fn a_diverted_file_belongs_to_the_package_it_came_from() {
        let lists = [("perf", "/usr/bin/perf\n"), ("wrapper", "/usr/bin/perf\n"), ("a", "/usr/bin/a\n")];
        let directory = root(&lists, &["/usr/bin/perf", "/usr/bin/perf.real", "/usr/bin/a.local"], &[]);
        let diversions = "/usr/bin/perf\n/usr/bin/perf.real\nwrapper\n/usr/bin/a\n/usr/bin/a.local\n:\n";
        fs::write(directory.path().join("var/lib/dpkg/diversions"), diversions).unwrap();
        check(
            directory.path(),
            &[
                ("/usr/bin/perf", Some("wrapper")),
                ("/usr/bin/perf.real", Some("perf")),
                ("/usr/bin/a", None),
                ("/usr/bin/a.local", Some("a")),
            ],
        );
    }

    #[test]
    fn a_root_without_dpkg_has_no_packages() {
        let directory = root(&[], &["/usr/bin/a"], &[]);
        check(directory.path(), &[("/usr/bin/a", None)]);
    }

    #[test]
    fn odd_lists_do_no_harm() {
        let directory = root(&[("a", "\n\n/x"), ("b", ""), ("c", "not a path\n\u{e9}\n")], &["/x"], &[]);
        check(directory.path(), &[("/x", Some("a"))]);
    }
}
