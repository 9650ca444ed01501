//! IPS manifests: one action a line, `NAME [PAYLOAD] KEY=VALUE...` (pkg(7), "Actions").
//!
//! Values may be quoted, a key may come several times, and a line that ends in a backslash goes on. The surprising part
//! is the payload: a word without `=` directly after the name, the digest of the content, which may also be written
//! as `hash=`.

/// One action of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Action {
    /// `file`, `dir`, `link`, `driver`, ...
    pub kind: String,
    /// What the content is stored under, usually its SHA-1; `NOHASH` in a manifest that was not published.
    pub payload: Option<String>,
    /// Keys and values in the order of the line.
    pub attributes: Vec<(String, String)>,
}

/// A manifest that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the manifest: {problem}")]
pub struct ManifestError {
    /// Counted from 1; of the first line, for an action of several.
    pub line: usize,
    pub problem: &'static str,
}

impl Action {
    /// The first value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// Every value of a key, in order.
    pub fn all<'a, 'k: 'a>(&'a self, key: &'k str) -> impl Iterator<Item = &'a str> + use<'a, 'k> {
        self.attributes.iter().filter(move |(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// The path of an action that delivers one; `None` for others.
    pub fn path(&self) -> Option<&str> {
        matches!(self.kind.as_str(), "file" | "dir" | "link" | "hardlink").then(|| self.get("path"))?
    }
}

/// Reads a manifest.
///
/// # Errors
/// The first line that is malformed, and what is wrong with it.
pub fn parse(text: &[u8]) -> Result<Vec<Action>, ManifestError> {
    let mut actions = Vec::new();
    let mut joined = Vec::new();
    let mut first_line = 1;
    for (index, line) in text.split(|&b| b == b'\n').enumerate() {
        if joined.is_empty() {
            first_line = index + 1;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(front) = line.strip_suffix(b"\\") {
            joined.extend_from_slice(front);
            joined.push(b' ');
            continue;
        }
        joined.extend_from_slice(line);
        let located = |problem| ManifestError { line: first_line, problem };
        let whole = std::mem::take(&mut joined);
        let whole = std::str::from_utf8(&whole).map_err(|_| located("it is not UTF-8"))?.trim();
        if !whole.is_empty() && !whole.starts_with('#') {
            actions.push(action(whole).map_err(located)?);
        }
    }
    if joined.is_empty() { Ok(actions) } else { Err(ManifestError { line: first_line, problem: "it does not end" }) }
}

fn action(line: &str) -> Result<Action, &'static str> {
    let (kind, mut rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let mut action = Action { kind: kind.to_owned(), ..Action::default() };
    if !kind.bytes().all(|b| b.is_ascii_lowercase()) {
        return Err("it does not begin with the name of an action");
    }
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (key, tail) = rest.split_at(end);
        let Some(tail) = tail.strip_prefix('=') else {
            if action.payload.is_some() || !action.attributes.is_empty() {
                return Err("a word is no `KEY=VALUE`");
            }
            action.payload = Some(key.to_owned());
            rest = tail;
            continue;
        };
        if key.is_empty() || key.contains(['"', '\'']) {
            return Err("a key is empty or quoted");
        }
        let (value, tail) = value(tail)?;
        match key {
            "hash" => action.payload = Some(value),
            _ => action.attributes.push((key.to_owned(), value)),
        }
        rest = tail;
    }
    Ok(action)
}

/// The value at the start of `text`, and what follows it.
///
/// Inside quotes a backslash protects a quote or a backslash; before anything else, and outside of quotes, it is itself.
fn value(text: &str) -> Result<(String, &str), &'static str> {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return Ok((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((index, c)) = characters.next() {
        match c {
            '\\' if characters.peek().is_some_and(|(_, next)| *next == quote || *next == '\\') => {
                value.extend(characters.next().map(|(_, protected)| protected));
            }
            c if c == quote => {
                let rest = &text[index + 1..];
                if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
                    return Err("something follows a closing quote");
                }
                return Ok((value, rest));
            }
            c => value.push(c),
        }
    }
    Err("a quote is not closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_continuations_and_repeated_keys_are_read() {
        let text = br#"
# a comment
set name=pkg.summary value="The \"core\" C:\\ of it's all"
file 0123abcd path=usr/bin/x \
    mode=0555 owner=root group=bin pkg.size=3
driver name=e1000g clone_perms="e1000g 0666 root sys" perms="* 0666 root sys" alias=pci8086,1000 alias="pci8086,1001"
link path=a target='b "c" d'
file hash=ff path=b devlink=type=ddi_pseudo;name=\t\D
"#;
        let actions = parse(text).unwrap();
        assert_eq!(actions[0].get("value"), Some(r#"The "core" C:\ of it's all"#));
        assert_eq!(actions[1].payload.as_deref(), Some("0123abcd"));
        assert_eq!((actions[1].path(), actions[1].get("pkg.size")), (Some("usr/bin/x"), Some("3")));
        assert_eq!(actions[2].all("alias").collect::<Vec<_>>(), ["pci8086,1000", "pci8086,1001"]);
        assert_eq!((actions[2].get("perms"), actions[2].path()), (Some("* 0666 root sys"), None));
        assert_eq!(actions[3].get("target"), Some("b \"c\" d"));
        assert_eq!(
            (actions[4].payload.as_deref(), actions[4].get("devlink")),
            (Some("ff"), Some("type=ddi_pseudo;name=\\t\\D"))
        );
    }

    #[test]
    fn malformed_lines_are_errors_with_their_number() {
        for (text, line) in [
            ("set name=x\nfile path=\"a", 2),
            ("file a b path=x", 1),
            ("set name=\"x\"y", 1),
            ("=", 1),
            ("file =x", 1),
            ("\n\nset name=x \\\n value=\"", 3),
            ("set name=x \\", 1),
            ("File path=a", 1),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().line, line, "{text}");
        }
        assert_eq!(parse(b"set a=\xff").unwrap_err().problem, "it is not UTF-8");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
