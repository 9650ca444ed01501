//! Dynamic string tokens: `$ORIGIN`, `$LIB` and `$PLATFORM`, bare or in braces (ld.so(8), "Dynamic string tokens").

/// What the tokens stand for in one object.
#[derive(Debug, Clone, Copy)]
pub struct Tokens<'a> {
    /// The directory of the object; see [`super::Glibc`] for whose.
    pub origin: &'a [u8],
    pub lib: &'a [u8],
    pub platform: &'a [u8],
}

impl Tokens<'_> {
    /// Replaces the tokens of one path. A `$` before anything else stays as it is, as in glibc's `is_dst`.
    pub fn expand(&self, text: &[u8]) -> Vec<u8> {
        let mut expanded = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(dollar) = memchr::memchr(b'$', rest) {
            expanded.extend_from_slice(&rest[..dollar]);
            rest = &rest[dollar..];
            let token = [(&b"ORIGIN"[..], self.origin), (b"LIB", self.lib), (b"PLATFORM", self.platform)]
                .into_iter()
                .find_map(|(name, value)| Some((token_length(rest, name)?, value)));
            match token {
                Some((length, value)) => {
                    expanded.extend_from_slice(value);
                    rest = &rest[length..];
                }
                None => {
                    expanded.push(b'$');
                    rest = &rest[1..];
                }
            }
        }
        expanded.extend_from_slice(rest);
        expanded
    }
}

/// How many bytes `$NAME` or `${NAME}` takes at the start of `text`, if it is there.
fn token_length(text: &[u8], name: &[u8]) -> Option<usize> {
    let after = &text[1..];
    if let Some(braced) = after.strip_prefix(b"{") {
        let closed = braced.strip_prefix(name)?.starts_with(b"}");
        return closed.then_some(name.len() + 3);
    }
    let tail = after.strip_prefix(name)?;
    let goes_on = tail.first().is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    (!goes_on).then_some(name.len() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_replaced_and_other_dollars_kept() {
        let tokens = Tokens { origin: b"/opt/app", lib: b"lib64", platform: b"x86_64" };
        let check = |text: &str, expected: &str| {
            assert_eq!(String::from_utf8_lossy(&tokens.expand(text.as_bytes())), expected);
        };
        check("$ORIGIN/../lib", "/opt/app/../lib");
        check("${ORIGIN}/$LIB/${PLATFORM}", "/opt/app/lib64/x86_64");
        check("$ORIGINAL/$", "$ORIGINAL/$");
        check("${ORIGIN/x", "${ORIGIN/x");
        check("/plain", "/plain");
    }
}
