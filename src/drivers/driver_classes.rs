//! `/etc/driver_classes`: the kinds of children a driver can have (add_drv(8) `-c`).
//!
//! It ties two drivers that never name each other: `ata` exports `scsi`, `sd.conf` has nodes with `class="scsi"`.

use super::lex::{Lexer, TokenKind};

/// `exporter class`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverClass {
    /// The driver that has the children.
    pub driver: String,
    pub class: String,
}

pub(super) fn read_line(line: &str) -> Result<Option<DriverClass>, String> {
    let tokens: Vec<TokenKind> = Lexer::new(line, 1).map(|token| token.kind).collect();
    match &tokens[..] {
        [] => Ok(None),
        [TokenKind::Name(driver) | TokenKind::Text(driver), TokenKind::Name(class) | TokenKind::Text(class)] => {
            Ok(Some(DriverClass { driver: driver.clone(), class: class.clone() }))
        }
        [TokenKind::Name(driver) | TokenKind::Text(driver)] => Err(format!("the class of `{driver}` is missing")),
        [_, _, extra, ..] => Err(format!("{} after the class", extra.shown())),
        tokens => Err(format!("{} is no name", tokens[tokens.len() - 1].shown())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_exporter_and_a_class() {
        let entry = read_line("mpt_sas\tscsi-self-identifying").unwrap().unwrap();
        assert_eq!((&entry.driver[..], &entry.class[..]), ("mpt_sas", "scsi-self-identifying"));
        assert_eq!(read_line("  # ata scsi").unwrap(), None);
    }

    #[test]
    fn partial_and_overlong_lines_are_named() {
        assert_eq!(read_line("ata").unwrap_err(), "the class of `ata` is missing");
        assert_eq!(read_line("ata scsi dada").unwrap_err(), "`dada` after the class");
        assert_eq!(read_line("ata 5").unwrap_err(), "`5` is no name");
    }
}
