//! `pkginfo` and `pkgmap`: what an SVR4 package is called and what is in it (pkginfo(5), pkgmap(5)).

use std::collections::BTreeMap;

/// The parameters of a package, from `pkginfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageInfo {
    /// `PKG`.
    pub name: String,
    /// Every parameter, `PKG` too.
    pub parameters: BTreeMap<String, String>,
}

/// One line of `pkgmap`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which part has the content; 1 unless a package was split for small media.
    pub part: u32,
    pub kind: EntryKind,
    /// Installation class; `none` for what is just copied.
    pub class: String,
    /// As written: relative to `BASEDIR` unless it begins with a slash, variables not yet replaced.
    pub path: String,
    /// `None` where the package leaves it to what is there already (`?`).
    pub mode: Option<u32>,
    pub owner: Option<String>,
    pub group: Option<String>,
    /// Of files.
    pub content: Option<Promise>,
}

/// What `pkgmap` says about a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    pub size: u64,
    /// As sum(1) counts.
    pub sum: u16,
    /// Seconds since 1970.
    pub modified: u64,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// `f`, `e` (edited while it is installed) or `v` (expected to change).
    File(char),
    /// `d`, or `x` for one that nobody else may use.
    Directory(char),
    Symlink(String),
    HardLink(String),
    Char {
        major: u32,
        minor: u32,
    },
    Block {
        major: u32,
        minor: u32,
    },
    Fifo,
    /// Scripts and information that are not installed.
    Information,
}

impl PackageInfo {
    /// Reads `NAME=VALUE` lines; a value may be quoted.
    ///
    /// # Errors
    /// Words for a name that is missing or no name.
    pub fn parse(text: &[u8]) -> Result<PackageInfo, String> {
        let text = String::from_utf8_lossy(text);
        let parameter = |line: &str| {
            let (name, value) = line.trim().split_once('=')?;
            let value = value.trim();
            let unquoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
            (!name.starts_with('#')).then(|| (name.to_owned(), unquoted.unwrap_or(value).to_owned()))
        };
        let parameters: BTreeMap<_, _> = text.lines().filter_map(parameter).collect();
        let name = parameters.get("PKG").cloned().ok_or("`pkginfo` has no `PKG`")?;
        // It becomes a file name.
        let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        if !is_plain || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || name.len() > 128 {
            return Err(format!("`PKG` is no name: `{}`", name.escape_debug()));
        }
        Ok(PackageInfo { name, parameters })
    }

    /// The value of a parameter; empty when it is absent.
    pub fn get(&self, parameter: &str) -> &str {
        self.parameters.get(parameter).map_or("", String::as_str)
    }

    /// Replaces `$NAME` and `${NAME}` by parameters.
    ///
    /// # Errors
    /// The name that is no parameter.
    pub fn expand(&self, text: &str) -> Result<String, String> {
        let mut parts = text.split('$');
        let mut expanded = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = match part.strip_prefix('{') {
                Some(braced) => braced.split_once('}').ok_or_else(|| part.to_owned())?,
                None => {
                    part.split_at(part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len()))
                }
            };
            let value = self.parameters.get(name).ok_or_else(|| name.to_owned())?;
            expanded.push_str(value);
            expanded.push_str(rest);
        }
        Ok(expanded)
    }
}

/// Reads `pkgmap`; gives the number of parts and the entries.
///
/// # Errors
/// The line and the field that is malformed.
pub fn parse_map(text: &[u8]) -> Result<(u32, Vec<Entry>), String> {
    let mut parts = 1;
    let mut entries = Vec::new();
    for (index, line) in text.split(|&b| b == b'\n').enumerate() {
        let problem = |field: &str| format!("line {} of `pkgmap`: {field}", index + 1);
        let line = std::str::from_utf8(line).map_err(|_| problem("it is not UTF-8"))?;
        match line.trim() {
            "" => {}
            comment if comment.starts_with('#') => {}
            // `: PARTS SIZE`
            head if head.starts_with(':') => {
                let count = head[1..].split_whitespace().next().and_then(|count| count.parse().ok());
                parts = count.ok_or_else(|| problem("the number of parts is not a number"))?;
            }
            line => entries.push(entry(line).map_err(|field| problem(&field))?),
        }
    }
    Ok((parts, entries))
}

fn entry(line: &str) -> Result<Entry, String> {
    let mut fields = Fields(line);
    let mut first = fields.next("type")?;
    let mut part = 1;
    if first.starts_with(|c: char| c.is_ascii_digit()) {
        part = first.parse().map_err(|_| "the part is not a number")?;
        first = fields.next("type")?;
    }
    if first == "i" {
        let path = fields.next("path")?.to_owned();
        let kind = EntryKind::Information;
        return Ok(Entry {
            part,
            kind,
            class: String::new(),
            path,
            mode: None,
            owner: None,
            group: None,
            content: None,
        });
    }
    let class = fields.next("class")?.to_owned();
    let path = fields.path()?;
    let link =
        || path.split_once('=').filter(|(_, to)| !to.is_empty()).ok_or_else(|| "a link has no target".to_owned());
    let (kind, path) = match first {
        "f" | "e" | "v" => (EntryKind::File(first.chars().next().unwrap_or_default()), path),
        "d" | "x" => (EntryKind::Directory(first.chars().next().unwrap_or_default()), path),
        "s" => (EntryKind::Symlink(link()?.1.to_owned()), link()?.0),
        "l" => (EntryKind::HardLink(link()?.1.to_owned()), link()?.0),
        "p" => (EntryKind::Fifo, path),
        "c" | "b" => {
            let (major, minor) = (fields.number("major number")?, fields.number("minor number")?);
            (if first == "c" { EntryKind::Char { major, minor } } else { EntryKind::Block { major, minor } }, path)
        }
        other => return Err(format!("`{}` is no type", other.escape_debug())),
    };
    let path = path.to_owned();
    if matches!(kind, EntryKind::Symlink(_) | EntryKind::HardLink(_)) {
        return Ok(Entry { part, kind, class, path, mode: None, owner: None, group: None, content: None });
    }
    let mode = match fields.next("mode")? {
        "?" => None,
        digits => {
            Some(u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o7777).ok_or("the mode is not octal")?)
        }
    };
    let known = |name: &str| (name != "?").then(|| name.to_owned());
    let (owner, group) = (known(fields.next("owner")?), known(fields.next("group")?));
    let content = match kind {
        EntryKind::File(_) => Some(Promise {
            size: fields.number("size")?,
            sum: fields.number("checksum")?,
            modified: fields.number("time")?,
        }),
        _ => None,
    };
    Ok(Entry { part, kind, class, path, mode, owner, group, content })
}

/// What is left of a line.
struct Fields<'t>(&'t str);

impl<'t> Fields<'t> {
    fn next(&mut self, name: &str) -> Result<&'t str, String> {
        let text = self.0.trim_start();
        let (field, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        self.0 = rest;
        if field.is_empty() { Err(format!("the {name} is missing")) } else { Ok(field) }
    }

    fn number<T: std::str::FromStr>(&mut self, name: &str) -> Result<T, String> {
        self.next(name)?.parse().map_err(|_| format!("the {name} is not a number"))
    }

    /// A path with special characters is in single quotes.
    fn path(&mut self) -> Result<&'t str, String> {
        match self.0.trim_start().strip_prefix('\'') {
            None => self.next("path"),
            Some(quoted) => {
                let (path, rest) = quoted.split_once('\'').ok_or("a quote is not closed")?;
                self.0 = rest;
                Ok(path)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_and_replaced() {
        let info = PackageInfo::parse(b"PKG=TRIBx\nNAME=\"a name\"\nBASEDIR='/opt'\n# x=y\nARCH=i386\n").unwrap();
        assert_eq!((info.name.as_str(), info.get("NAME"), info.get("BASEDIR")), ("TRIBx", "a name", "/opt"));
        assert_eq!(info.expand("$BASEDIR/a/${ARCH}x").unwrap(), "/opt/a/i386x");
        assert_eq!(info.expand("a/$b/c").unwrap_err(), "b");
        for bad in ["", "PKG=", "PKG=../x", "PKG=a/b", "PKG=.x", "PKG=a b"] {
            assert!(PackageInfo::parse(bad.as_bytes()).unwrap_err().contains("`PKG`"), "{bad}");
        }
    }

    #[test]
    fn every_type_of_entry_is_read() {
        let text = b": 1 2500\n1 d none /usr ? ? ?\n1 f none usr/bin/x 0555 root bin 12 1040 1700000000\n\
            1 e preserve $ETC/conf 0644 root sys 3 300 1\n1 s none bin=./usr/bin\n1 l none usr/bin/y=../bin/x\n\
            1 c none dev/null 13 2 0666 root sys\n1 b none dev/sd 32 0 0640 root sys\n1 p none run/fifo 0600 root sys\n\
            1 x none opt/mine 0755 root bin\nv none 'usr/a=b c' 0644 root bin 0 0 5\n1 i pkginfo 300 2000 1700000000\n";
        let (parts, entries) = parse_map(text).unwrap();
        assert_eq!((parts, entries.len()), (1, 11));
        assert_eq!((entries[0].kind.clone(), entries[0].mode), (EntryKind::Directory('d'), None));
        let file = &entries[1];
        assert_eq!(file.content, Some(Promise { size: 12, sum: 1040, modified: 1_700_000_000 }));
        assert_eq!((file.mode, file.owner.as_deref(), file.group.as_deref()), (Some(0o555), Some("root"), Some("bin")));
        assert_eq!((entries[2].path.as_str(), entries[2].class.as_str()), ("$ETC/conf", "preserve"));
        assert_eq!((entries[3].path.as_str(), &entries[3].kind), ("bin", &EntryKind::Symlink("./usr/bin".to_owned())));
        assert_eq!(entries[4].kind, EntryKind::HardLink("../bin/x".to_owned()));
        assert_eq!(entries[5].kind, EntryKind::Char { major: 13, minor: 2 });
        assert_eq!(entries[9].path, "usr/a=b c");
        assert_eq!(entries[10].kind, EntryKind::Information);
    }

    #[test]
    fn malformed_lines_name_the_line_and_the_field() {
        for (line, problem) in [
            ("1 z none a 0644 root bin 1 1 1", "`z` is no type"),
            ("1 f none a 9 root bin 1 1 1", "the mode is not octal"),
            ("1 f none a 0644 root bin 1 70000 1", "the checksum is not a number"),
            ("1 f none a 0644 root bin -1 1 1", "the size is not a number"),
            ("1 f none a 0644 root", "the group is missing"),
            ("1 s none a", "a link has no target"),
            ("1 s none a=", "a link has no target"),
            ("1 c none a x", "the major number is not a number"),
            ("99999999999 f none a", "the part is not a number"),
            (": x", "the number of parts is not a number"),
            ("1 f none 'a", "a quote is not closed"),
        ] {
            let text = format!("1 d none b 0755 root bin\n{line}\n");
            assert_eq!(parse_map(text.as_bytes()).unwrap_err(), format!("line 2 of `pkgmap`: {problem}"));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_them_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = parse_map(&bytes);
            let _ = PackageInfo::parse(&bytes).map(|info| info.expand("$a${b}$"));
        }
    }
}
