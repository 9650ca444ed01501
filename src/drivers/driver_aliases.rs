//! `/etc/driver_aliases`: the names a device can have besides that of its driver (add_drv(8) `-i`).
//!
//! Aliases with a comma are quoted, but need not be if no piece is a number: the kernel joins names
//! (`parse_aliases` in modsysfile.c). A line whose driver has no major number is skipped without a word.

use super::lex::{Lexer, TokenKind};

/// `driver "alias" ["alias" …]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverAlias {
    pub driver: String,
    /// In the order of the line; usually one.
    pub aliases: Vec<String>,
}

pub(super) fn read_line(line: &str) -> Result<Option<DriverAlias>, String> {
    let mut words: Vec<String> = Vec::new();
    let mut joined = false;
    for token in Lexer::new(line, 1) {
        match token.kind {
            TokenKind::Name(word) | TokenKind::Text(word) if joined => {
                words.last_mut().expect("a comma follows a word").push_str(&word);
                joined = false;
            }
            TokenKind::Name(word) | TokenKind::Text(word) => words.push(word),
            TokenKind::Mark(',') if !joined && !words.is_empty() => {
                words.last_mut().expect("it is not empty").push(',');
                joined = true;
            }
            other => return Err(format!("{} in an alias", other.shown())),
        }
    }
    let mut words = words.into_iter();
    let Some(driver) = words.next() else { return Ok(None) };
    let aliases: Vec<String> = words.collect();
    if joined || aliases.is_empty() {
        return Err(format!("an alias of `{driver}` is missing"));
    }
    if aliases.iter().any(String::is_empty) || driver.is_empty() {
        return Err("an empty name".to_owned());
    }
    Ok(Some(DriverAlias { driver, aliases }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<Option<(&str, &[&str])>, &str>) {
        let found = read_line(line);
        let aliases: Vec<&str> = found.iter().flatten().flat_map(|e| e.aliases.iter().map(String::as_str)).collect();
        let found = found.as_ref().map(|e| e.as_ref().map(|e| (&e.driver[..], &aliases[..]))).map_err(|e| &e[..]);
        assert_eq!(found, expected, "{line:?}");
    }

    #[test]
    fn quoted_and_plain_aliases_are_the_same() {
        check("e1000g \"pci8086,100e\"", Ok(Some(("e1000g", &["pci8086,100e"]))));
        check("ata ide", Ok(Some(("ata", &["ide"]))));
        check("bge SUNW,bge", Ok(Some(("bge", &["SUNW,bge"]))));
        check("isa \"pciclass,060100\" # bridge", Ok(Some(("isa", &["pciclass,060100"]))));
        check("uhci pciclass,0c0300", Err("`0` in an alias"));
        check("# e1000g \"x\"", Ok(None));
    }

    #[test]
    fn several_aliases_may_be_on_one_line() {
        check("hid \"usbif,class3\" usbif,class4", Ok(Some(("hid", &["usbif,class3", "usbif,class4"]))));
    }

    #[test]
    fn lines_without_an_alias_are_named() {
        check("e1000g", Err("an alias of `e1000g` is missing"));
        check("e1000g SUNW,", Err("an alias of `e1000g` is missing"));
        check("e1000g \"pci8086", Err("a quote that is not closed on its line in an alias"));
        check("e1000g \"\"", Err("an empty name"));
        check(", x", Err("`,` in an alias"));
    }
}
