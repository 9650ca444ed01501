//! A Python source file to one map per module that its `import` statements name, at any depth and whether or not they
//! are ever reached. The language reference has the grammar in "The import statement", PEP 328 the relative form.
//!
//! `import a.b` needs the packages on the way too, so it is `a` and `a/b`. What follows `from a import` may be a name
//! inside `a` or a module of its own: both are named, and the one that exists tells. Never reached and left out is what
//! an `if TYPE_CHECKING:` holds.

use super::{bind, is_script_of, quoted};
use crate::rules::pattern::Bindings;
use memchr::memmem;
use std::collections::BTreeSet;
use std::ops::Range;

/// `role` is `absolute` for a module to look for on the path, `relative` for one beside the file (`../` per further
/// dot), `codec` for a text encoding named by a literal. `path` has slashes for the dots and no suffix. `scope` is
/// `main` below `if __name__ == "__main__":`, which only the file that is started runs, and in a
/// function `_test`, which is called there; else `module`.
pub(super) const BINDINGS: &[&str] = &["role", "path", "scope"];

pub(super) fn read(text: &[u8]) -> Vec<Bindings> {
    if !is_script_of(text, b"python") {
        return Vec::new();
    }
    let mut start = 0;
    let mut source = Source {
        lines: memchr::memchr_iter(b'\n', text).chain([text.len()]).map(|end| {
            let begun = std::mem::replace(&mut start, end + 1);
            (begun, &text[begun..end])
        }),
        found: BTreeSet::new(),
        quotes: Places::of(QUOTES, text),
        headed: Places::of(HEADED, text),
        calls: Places::of([CALLS, CODINGS, &[STRPTIME]].concat(), text),
    };
    source.read();
    let values = source.found.into_iter();
    values.map(|(role, path, scope)| bind(BINDINGS, [role.as_bytes(), &path, scope.as_bytes()])).collect()
}

/// `role`, `path` and `scope`.
type Found = (&'static str, Vec<u8>, &'static str);

struct Source<L> {
    /// With where each begins.
    lines: L,
    found: BTreeSet<Found>,
    /// Triple quotes.
    quotes: Places,
    /// Statements behind the header of their block.
    headed: Places,
    /// Calls of interest.
    calls: Places,
}

/// Where words are in a text that is gone through from its beginning to its end: one search over a file costs less than
/// one over each of its lines.
struct Places {
    /// The last one first.
    ahead: Vec<usize>,
}

impl Places {
    fn of<'w>(words: impl AsRef<[&'w str]>, text: &[u8]) -> Places {
        let words = words.as_ref().iter();
        let mut ahead: Vec<usize> = words.flat_map(|word| memmem::find_iter(text, word.as_bytes())).collect();
        ahead.sort_unstable_by(|one, other| other.cmp(one));
        Places { ahead }
    }

    /// Whether there is one in a range that no later question is about anything before.
    fn any_in(&mut self, range: &Range<usize>) -> bool {
        while self.ahead.pop_if(|at| *at < range.start).is_some() {}
        self.ahead.last().is_some_and(|at| range.contains(at))
    }
}

const QUOTES: &[&str] = &["\"\"\"", "'''"];

/// How the statements begin that import.
const IMPORTS: [&[u8]; 2] = [b"import ", b"from "];

const HEADED: &[&str] = &[": import ", ": from "];

/// Calls that import a module by a literal name.
const CALLS: &[&str] = &["import_module(", "__import__("];

/// Behind which an encoding is named.
const CODINGS: &[&str] = &["encode(", "decode(", "encoding="];

/// Modules/_datetimemodule.c and Modules/timemodule.c import `_strptime` by name.
const STRPTIME: &str = ".strptime(";

/// How a block begins that only the file that is started runs.
const SELF_TESTS: &[&[u8]] = &[b"if __name__ ", b"def _test(", b"def test("];

/// A block that only some uses of the file run, and how far its header is indented.
#[derive(Clone, Copy)]
enum Block {
    Main(usize),
    Types(usize),
}

impl<'t, L: Iterator<Item = (usize, &'t [u8])>> Source<L> {
    fn read(&mut self) {
        let mut block: Option<Block> = None;
        let mut quotes: Option<&[u8]> = None;
        while let Some((start, line)) = self.lines.next() {
            let was_inside = quotes.is_some();
            let place = start..start + line.len();
            if self.quotes.any_in(&place) {
                quotes = still_open(line, quotes);
            }
            let statement = line.trim_ascii();
            if was_inside || statement.is_empty() || statement.starts_with(b"#") {
                continue;
            }
            let indentation = line.len() - line.trim_ascii_start().len();
            if let Some(Block::Main(header) | Block::Types(header)) = block
                && indentation <= header
            {
                block = None;
            }
            let scope = match block {
                Some(Block::Types(_)) => continue,
                Some(Block::Main(_)) => "main",
                None => "module",
            };
            if block.is_none() {
                block = match statement {
                    b"if TYPE_CHECKING:" | b"if typing.TYPE_CHECKING:" => Some(Block::Types(indentation)),
                    _ if SELF_TESTS.iter().any(|start| statement.starts_with(start)) => Some(Block::Main(indentation)),
                    _ => None,
                };
            }
            self.statement(statement, &place, scope);
        }
    }

    /// Of a line, which is at `place`.
    fn statement(&mut self, statement: &[u8], place: &Range<usize>, scope: &'static str) {
        let (is_headed, has_calls) = (self.headed.any_in(place), self.calls.any_in(place));
        let is_import = IMPORTS.iter().any(|word| statement.starts_with(word));
        if !is_import && !is_headed && !has_calls && memchr::memchr(b';', statement).is_none() {
            return;
        }
        for part in statement.split(|&byte| byte == b';') {
            // `try: import x` and the like have a header on the same line.
            let header = || HEADED.iter().find_map(|word| memmem::find(part, word.as_bytes()));
            let part = match is_headed.then(header).flatten() {
                Some(colon) => &part[colon + 1..],
                None => part,
            };
            let part = part.trim_ascii_start();
            let [import, from] = IMPORTS;
            if let Some(names) = part.strip_prefix(import) {
                let names = self.with_continuation(names);
                names.split(|&byte| byte == b',').for_each(|name| self.chain(b"", module(name), scope));
            } else if let Some(rest) = part.strip_prefix(from) {
                self.from(rest, scope);
            } else if has_calls {
                self.calls(part, scope);
            }
        }
    }

    /// `from .a.b import c as d, e`.
    fn from(&mut self, rest: &[u8], scope: &'static str) {
        let Some(import) = memmem::find(rest, b"import") else { return };
        let from = rest[..import].trim_ascii();
        let n_dots = from.iter().take_while(|&&byte| byte == b'.').count();
        let prefix = b"../".repeat(n_dots.saturating_sub(1));
        let prefix = if n_dots == 0 { &b""[..] } else { &[b"./", &prefix[..]].concat() };
        let package = module(&from[n_dots..]);
        self.chain(prefix, package, scope);
        let names = self.with_continuation(&rest[import + b"import".len()..]);
        for name in names.split(|&byte| matches!(byte, b',' | b'(' | b')')).map(module).filter(|name| !name.is_empty())
        {
            let path = if package.is_empty() { name.to_vec() } else { [package, b".", name].concat() };
            self.name(prefix, &path, scope);
        }
    }

    /// What a statement says up to the end of its parenthesis or of its backslashes, without comments.
    fn with_continuation(&mut self, start: &[u8]) -> Vec<u8> {
        let mut whole = before_comment(start).to_vec();
        while whole.contains(&b'(') && !whole.contains(&b')') || whole.ends_with(b"\\") {
            let Some((_, line)) = self.lines.next() else { break };
            if whole.ends_with(b"\\") {
                whole.pop();
            }
            whole.push(b' ');
            whole.extend_from_slice(before_comment(line));
        }
        whole
    }

    /// Modules and encodings that a call names by a literal, and what the interpreter imports for a call itself.
    fn calls(&mut self, statement: &[u8], scope: &'static str) {
        for call in CALLS {
            for at in memmem::find_iter(statement, call.as_bytes()) {
                if let Some(name) = quoted(&statement[at + call.len()..]) {
                    self.chain(b"", module(name), scope);
                }
            }
        }
        for call in CODINGS {
            for at in memmem::find_iter(statement, call.as_bytes()) {
                if let Some(name) = quoted(&statement[at + call.len()..]) {
                    let path = name.iter().map(|byte| if *byte == b'-' { b'_' } else { byte.to_ascii_lowercase() });
                    self.found.insert(("codec", path.collect(), scope));
                }
            }
        }
        if memmem::find(statement, STRPTIME.as_bytes()).is_some() {
            self.name(b"", b"_strptime", scope);
        }
    }

    /// A module and the packages it is in.
    fn chain(&mut self, prefix: &[u8], module: &[u8], scope: &'static str) {
        let dots = module.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at);
        dots.chain([module.len()]).for_each(|end| self.name(prefix, &module[..end], scope));
    }

    fn name(&mut self, prefix: &[u8], module: &[u8], scope: &'static str) {
        if module.is_empty() {
            return;
        }
        let role = if prefix.is_empty() { "absolute" } else { "relative" };
        let path = module.iter().map(|&byte| if byte == b'.' { b'/' } else { byte });
        self.found.insert((role, prefix.iter().copied().chain(path).collect(), scope));
    }
}

/// The dotted name at the start of `text`.
fn module(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii_start();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.') || !byte.is_ascii();
    let end = text.iter().position(|byte| !is_name(byte)).unwrap_or(text.len());
    let name = &text[..end];
    if name.starts_with(b".") || name.ends_with(b".") || memmem::find(name, b"..").is_some() { b"" } else { name }
}

fn before_comment(line: &[u8]) -> &[u8] {
    line[..memchr::memchr(b'#', line).unwrap_or(line.len())].trim_ascii_end()
}

/// The triple quotes that are open at the end of a line. Those in comments and in other strings are not told apart:
/// a pair of them on one line does no harm.
fn still_open<'q>(line: &[u8], mut open: Option<&'q [u8]>) -> Option<&'q [u8]> {
    let mut rest = line;
    while let Some(at) = memchr::memchr2(b'"', b'\'', rest) {
        rest = &rest[at..];
        let quotes: &[u8] = if rest[0] == b'"' { b"\"\"\"" } else { b"'''" };
        if !rest.starts_with(quotes) {
            rest = &rest[1..];
            continue;
        }
        open = match open {
            None => Some(quotes),
            Some(this) if this == quotes => None,
            other => other,
        };
        rest = &rest[3..];
    }
    open
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn an_import_names_the_packages_on_the_way() {
        check(
            "python",
            "import os, xml.dom as d\n",
            &["absolute os module", "absolute xml module", "absolute xml/dom module"],
        );
    }

    #[test]
    fn what_is_imported_from_a_package_may_be_a_module() {
        check(
            "python",
            "def f():\n    from a.b import (c as x,  # why\n        d)\n    from e import *\n",
            &[
                "absolute a module",
                "absolute a/b module",
                "absolute a/b/c module",
                "absolute a/b/d module",
                "absolute e module",
            ],
        );
        check(
            "python",
            "from a import b, \\\n  c\n",
            &["absolute a module", "absolute a/b module", "absolute a/c module"],
        );
    }

    #[test]
    fn a_dot_is_the_directory_and_each_further_one_is_above() {
        check(
            "python",
            "from . import a\nfrom .b import c\nfrom ...d import e\n",
            &[
                "relative ./../../d module",
                "relative ./../../d/e module",
                "relative ./a module",
                "relative ./b module",
                "relative ./b/c module",
            ],
        );
    }

    #[test]
    fn imports_behind_a_header_and_a_semicolon_count() {
        check(
            "python",
            "try: import a\nexcept ImportError: import b; import c\n",
            &["absolute a module", "absolute b module", "absolute c module"],
        );
    }

    #[test]
    fn the_block_of_a_started_file_ends_with_its_indentation() {
        check(
            "python",
            "def _test():\n    import d\nif __name__ == '__main__':\n    import a\n\n    import b\nimport c\n",
            &["absolute a main", "absolute b main", "absolute c module", "absolute d main"],
        );
    }

    #[test]
    fn text_comments_and_imports_for_type_checkers_are_not_read() {
        let text = "\"\"\"Use\nimport a\n\"\"\"\n# import b\nif TYPE_CHECKING:\n    import c\nx = 'import d'\n'''one line'''\n";
        check("python", text, &[]);
    }

    #[test]
    fn literals_name_modules_and_encodings() {
        check(
            "python",
            "m = importlib.import_module('a.b')\nn = __import__(name)\nx.decode('CP437')\nd.strptime(s)\n",
            &["absolute _strptime module", "absolute a module", "absolute a/b module", "codec cp437 module"],
        );
    }

    #[test]
    fn a_script_of_another_interpreter_is_not_read() {
        check("python", "#!/usr/bin/env python3\nimport a\n", &["absolute a module"]);
        check("python", "#!/usr/bin/env perl\nimport a\n", &[]);
    }

    #[test]
    fn what_does_not_end_does_no_harm() {
        check("python", "from a import (b,", &["absolute a module", "absolute a/b module"]);
        check("python", "from a import b\\", &["absolute a module", "absolute a/b module"]);
        check("python", "import\nimport ,\nfrom\nfrom . import\nimport a..b\n__import__('", &[]);
    }
}
