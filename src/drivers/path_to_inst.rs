//! `/etc/path_to_inst`: which instance number a device at a place in the tree has (path_to_inst(5)).
//!
//! A file with the line `#path_to_inst_bootstrap_1` and no entries is that of a medium: the kernel then numbers the
//! devices anew and asks for a reconfiguration boot (usr/src/uts/common/os/instance.c).

use super::lex::{Lexer, TokenKind};

/// The comment that asks for a reconfiguration boot.
pub const BOOTSTRAP: &str = "#path_to_inst_bootstrap_1";

/// `"device-path" instance "driver"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub device: String,
    pub instance: u32,
    pub driver: String,
}

pub(super) fn read_line(line: &str) -> Result<Option<Instance>, String> {
    let tokens: Vec<TokenKind> = Lexer::new(line, 1).map(|token| token.kind).collect();
    match &tokens[..] {
        [] => Ok(None),
        [TokenKind::Text(device), TokenKind::Number(text, number), TokenKind::Text(driver)] => {
            if !device.starts_with('/') {
                return Err(format!("`{device}` is no device path"));
            }
            let instance = u32::try_from(*number).map_err(|_| format!("the instance {text} is too large"))?;
            Ok(Some(Instance { device: device.clone(), instance, driver: driver.clone() }))
        }
        _ => Err("not of the form \"path\" instance \"driver\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_path_a_number_and_a_driver() {
        let entry = read_line("\"/pci@0,0/pci8086,100e@3\" 0 \"e1000g\"").unwrap().unwrap();
        assert_eq!(entry.device, "/pci@0,0/pci8086,100e@3");
        assert_eq!((entry.instance, &entry.driver[..]), (0, "e1000g"));
        assert_eq!(read_line(BOOTSTRAP).unwrap(), None);
    }

    #[test]
    fn malformed_lines_are_named() {
        assert!(read_line("\"/pci@0,0\" 0").unwrap_err().starts_with("not of the form"));
        assert!(read_line("/pci@0,0 0 pci").unwrap_err().starts_with("not of the form"));
        assert_eq!(read_line("\"pci\" 0 \"pci\"").unwrap_err(), "`pci` is no device path");
        assert_eq!(read_line("\"/pci\" -1 \"pci\"").unwrap_err(), "the instance -1 is too large");
    }
}
