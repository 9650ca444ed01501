//! `/etc/name_to_major`: the driver's number, which is its place in the kernel's tables and part of every device number.
//!
//! The kernel panics when the file is missing. A number is never given anew when others are dropped: the nodes of a
//! running system and the caches in `/etc/devices` remember it (add_drv(8)).

use super::lex::{Lexer, TokenKind};

/// `driver number`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MajorNumber {
    pub driver: String,
    pub major: u32,
}

pub(super) fn read_line(line: &str) -> Result<Option<MajorNumber>, String> {
    let entry = binding(line)?;
    Ok(entry.map(|(driver, major)| MajorNumber { driver, major }))
}

/// `name number [second-name]`, the form of every file that `read_binding_file` of the kernel reads.
pub(super) fn binding(line: &str) -> Result<Option<(String, u32)>, String> {
    let tokens: Vec<TokenKind> = Lexer::new(line, 1).map(|token| token.kind).collect();
    match &tokens[..] {
        [] => Ok(None),
        [TokenKind::Name(name) | TokenKind::Text(name), TokenKind::Number(text, value), rest @ ..] => {
            if let Some(extra) = rest.iter().find(|token| !matches!(token, TokenKind::Name(_) | TokenKind::Text(_))) {
                return Err(format!("{} after the number", extra.shown()));
            }
            match u32::try_from(*value) {
                Ok(value) if value <= i32::MAX as u32 => Ok(Some((name.clone(), value))),
                _ => Err(format!("the number {text} is too large")),
            }
        }
        [TokenKind::Name(name) | TokenKind::Text(name), ..] => Err(format!("`{name}` has no number")),
        [first, ..] => Err(format!("{} where a name should be", first.shown())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<Option<(&str, u32)>, &str>) {
        let found = read_line(line);
        let found = found.as_ref().map(|e| e.as_ref().map(|e| (&e.driver[..], e.major))).map_err(|e| &e[..]);
        assert_eq!(found, expected, "{line:?}");
    }

    #[test]
    fn a_line_is_a_driver_and_its_number() {
        check("cn 0", Ok(Some(("cn", 0))));
        check("  pci-ide\t0x20 # comment", Ok(Some(("pci-ide", 32))));
        check("\"sd\" 32 generic", Ok(Some(("sd", 32))));
        check("# cn 0", Ok(None));
        check("", Ok(None));
    }

    #[test]
    fn lines_the_kernel_would_warn_about_are_named() {
        check("cn", Err("`cn` has no number"));
        check("12 cn", Err("`12` where a name should be"));
        check("cn 4294967296", Err("the number 4294967296 is too large"));
        check("cn -1", Err("the number -1 is too large"));
        check("cn 1 2", Err("`2` after the number"));
        check("\"cn 1", Err("a quote that is not closed on its line where a name should be"));
    }
}
