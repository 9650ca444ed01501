//! `/etc/security/extra_privs`: privileges that drivers define for themselves, one a line (add_drv(8) `-P`).
//!
//! The file does not say which driver a privilege belongs to, so it is never trimmed.

use super::table::fields;

pub(super) fn read_line(line: &str) -> Result<Option<String>, String> {
    match fields(line)[..] {
        [] => Ok(None),
        [privilege] => Ok(Some(privilege.to_owned())),
        _ => Err("more than one privilege on a line".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_privilege() {
        assert_eq!(read_line(" net_thing # x").unwrap().as_deref(), Some("net_thing"));
        assert_eq!(read_line("").unwrap(), None);
        assert!(read_line("a b").is_err());
    }
}
