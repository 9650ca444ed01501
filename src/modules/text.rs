//! The text indexes of depmod, line by line: `modules.dep`, `modules.alias`, `modules.softdep`, `modules.builtin`, ….
//!
//! modules.dep(5) calls these files informative, modprobe.d(5) gives the syntax of the lines. They are ASCII in
//! practice; a line that is not UTF-8 counts as damaged.

use super::ModuleName;

/// The number of the first line that does not read, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DamagedLine(pub usize);

/// `path: dependency dependency …`, paths relative to the version directory unless they begin with a slash.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DependencyLine<'t> {
    pub path: &'t str,
    /// In reverse load order.
    pub dependencies: Vec<&'t str>,
}

pub(super) fn dependency_lines(text: &[u8]) -> Result<Vec<DependencyLine<'_>>, DamagedLine> {
    let mut lines = Vec::new();
    for (number, line) in content_lines(text)? {
        let (path, list) = line.split_once(':').filter(|(path, _)| !path.is_empty()).ok_or(DamagedLine(number))?;
        lines.push(DependencyLine { path, dependencies: list.split_ascii_whitespace().collect() });
    }
    Ok(lines)
}

/// `alias PATTERN MODULE` lines as (module, pattern). A pattern may have spaces (DMI names do), a module may not.
pub(super) fn alias_lines(text: &[u8]) -> Result<Vec<(&str, &str)>, DamagedLine> {
    let mut aliases = Vec::new();
    for (number, line) in content_lines(text)? {
        let rest = line.strip_prefix("alias ").ok_or(DamagedLine(number))?;
        let (pattern, module) = rest.trim_end().rsplit_once(' ').ok_or(DamagedLine(number))?;
        aliases.push((module, pattern));
    }
    Ok(aliases)
}

/// `softdep MODULE pre: a b post: c` or `weakdep MODULE a b` lines as (module, rest).
pub(super) fn keyword_lines<'t>(text: &'t [u8], keyword: &str) -> Result<Vec<(&'t str, &'t str)>, DamagedLine> {
    let mut found = Vec::new();
    for (number, line) in content_lines(text)? {
        let rest = line.strip_prefix(keyword).and_then(|rest| rest.strip_prefix(' ')).ok_or(DamagedLine(number))?;
        found.push(rest.split_once(' ').ok_or(DamagedLine(number))?);
    }
    Ok(found)
}

/// One path a line, as in `modules.builtin` and `modules.order`; what is not UTF-8 is passed over.
pub(super) fn path_lines(text: &[u8]) -> impl Iterator<Item = &str> {
    let lines = text.split(|&b| b == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    lines.map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The `module.key=value` strings of `modules.builtin.modinfo`; what is not ASCII is passed over.
pub(super) fn builtin_fields(text: &[u8]) -> impl Iterator<Item = (ModuleName, &str, &str)> {
    let fields = text.split(|&b| b == 0).filter(|f| f.is_ascii()).filter_map(|f| std::str::from_utf8(f).ok());
    fields.filter_map(|field| {
        let (module, rest) = field.split_once('.')?;
        let (key, value) = rest.split_once('=')?;
        Some((ModuleName::new(module), key, value))
    })
}

/// The names in the value of a `softdep=`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SoftLists<'t> {
    pub pre: Vec<&'t str>,
    pub post: Vec<&'t str>,
    /// Names before any `pre:` or `post:`, as in `softdep cifs gcm`. modprobe ignores them; the kernel asks for such
    /// modules when it needs them.
    pub unmarked: Vec<&'t str>,
}

pub(super) fn soft_lists(value: &str) -> SoftLists<'_> {
    let mut lists = SoftLists::default();
    let mut list = &mut lists.unmarked;
    for word in value.split_ascii_whitespace() {
        match word {
            "pre:" => list = &mut lists.pre,
            "post:" => list = &mut lists.post,
            name => list.push(name),
        }
    }
    lists
}

/// The numbered lines that are neither empty nor comments.
fn content_lines(text: &[u8]) -> Result<impl Iterator<Item = (usize, &str)>, DamagedLine> {
    let text = std::str::from_utf8(text)
        .map_err(|error| DamagedLine(1 + memchr::memchr_iter(b'\n', &text[..error.valid_up_to()]).count()))?;
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    Ok(numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softdep_values_are_split_by_their_markers() {
        assert_eq!(
            soft_lists("pre: a platform:b post: c"),
            SoftLists { pre: vec!["a", "platform:b"], post: vec!["c"], unmarked: vec![] }
        );
        assert_eq!(soft_lists("gcm").unmarked, ["gcm"]);
        assert_eq!(soft_lists(""), SoftLists::default());
    }

    #[test]
    fn damaged_lines_are_counted() {
        assert_eq!(dependency_lines(b"a.ko:\nb.ko c.ko\n").unwrap_err(), DamagedLine(2));
        assert_eq!(alias_lines(b"# x\n\nalias a\n").unwrap_err(), DamagedLine(3));
        assert_eq!(alias_lines(b"alias a b\nalias \xff c\n").unwrap_err(), DamagedLine(2));
        assert_eq!(keyword_lines(b"softdep a\n", "softdep").unwrap_err(), DamagedLine(1));
    }

    #[test]
    fn an_alias_may_have_spaces() {
        assert_eq!(alias_lines(b"alias dmi:*:svnA B:* m\n").unwrap(), [("m", "dmi:*:svnA B:*")]);
    }

    #[test]
    fn builtin_fields_keep_dots_in_values() {
        let fields: Vec<_> = builtin_fields(b"ext4.alias=fs-ext4\0a.firmware=x/y.bin\0junk\0").collect();
        assert_eq!(fields[1], (ModuleName::new("a"), "firmware", "x/y.bin"));
        assert_eq!(fields.len(), 2);
    }
}
