//! `/etc/mach`: the platform modules (`kernel/mach`) beyond the built-in `uppc`, the last of the file asked first.
//!
//! Without the file the machine runs on one processor with legacy interrupts.

use super::lex::{Lexer, TokenKind};

/// The modules of one line, in its order; usually one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformModules(pub Vec<String>);

pub(super) fn read_line(line: &str) -> Result<Option<PlatformModules>, String> {
    let mut modules = Vec::new();
    for token in Lexer::new(line, 1) {
        match token.kind {
            TokenKind::Name(name) | TokenKind::Text(name) => modules.push(name),
            other => return Err(format!("{} is no module", other.shown())),
        }
    }
    Ok((!modules.is_empty()).then_some(PlatformModules(modules)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_a_module() {
        assert_eq!(read_line("pcplusmp # apix").unwrap().unwrap().0, ["pcplusmp"]);
        assert_eq!(read_line("apix \"xpv_psm\"").unwrap().unwrap().0, ["apix", "xpv_psm"]);
        assert_eq!(read_line("#").unwrap(), None);
        assert_eq!(read_line("apix, x").unwrap_err(), "`,` is no module");
    }
}
