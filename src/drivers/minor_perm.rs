//! `/etc/minor_perm`: owner and mode of device nodes (add_drv(8) `-m`), which devfsadm hands to the kernel.
//!
//! `clone:NAME` is not about the driver `clone` alone: it is the node through which the driver NAME is cloned. A node
//! without an entry is for root only, mode 0600.

use super::table::fields;

/// `driver:minor mode owner group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinorPermission {
    pub driver: String,
    /// The minor node's name; `*` and other patterns as they are written.
    pub minor: String,
    pub mode: u16,
    pub owner: String,
    pub group: String,
}

/// Nodes of `clone` that are not called like the driver behind them: ptm(4D), ticlts(4D).
const CLONES: [(&str, &str); 4] = [("ptmx", "ptm"), ("ticlts", "tl"), ("ticots", "tl"), ("ticotsord", "tl")];

impl MinorPermission {
    /// The driver that a `clone:NAME` entry is for; `None` for any other entry.
    pub fn cloned(&self) -> Option<&str> {
        (self.driver == "clone" && self.minor != "*").then(|| {
            CLONES.iter().find(|(minor, _)| *minor == self.minor).map_or(&self.minor[..], |(_, driver)| driver)
        })
    }
}

pub(super) fn read_line(line: &str) -> Result<Option<MinorPermission>, String> {
    match fields(line)[..] {
        [] => Ok(None),
        [node, mode, owner, group] => {
            let (driver, minor) = node.split_once(':').unwrap_or_default();
            if driver.is_empty() || minor.is_empty() {
                return Err(format!("`{node}` is not of the form driver:minor"));
            }
            let mode = u16::from_str_radix(mode, 8)
                .ok()
                .filter(|mode| *mode <= 0o7777)
                .ok_or_else(|| format!("`{mode}` is no octal mode"))?;
            let text = str::to_owned;
            let (driver, minor, owner, group) = (text(driver), text(minor), text(owner), text(group));
            Ok(Some(MinorPermission { driver, minor, mode, owner, group }))
        }
        ref other => Err(format!("{} fields instead of four", other.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_node_with_mode_owner_and_group() {
        let entry = read_line("asy:*,cu 0600 uucp uucp").unwrap().unwrap();
        assert_eq!((&entry.driver[..], &entry.minor[..], entry.mode), ("asy", "*,cu", 0o600));
        assert_eq!((&entry.owner[..], &entry.group[..]), ("uucp", "uucp"));
        assert_eq!(entry.cloned(), None);
        assert_eq!(read_line("  # x").unwrap(), None);
    }

    #[test]
    fn a_clone_entry_is_about_the_driver_behind_it() {
        let cloned = |line: &str| read_line(line).unwrap().unwrap().cloned().map(str::to_owned);
        assert_eq!(cloned("clone:e1000g 0666 root sys").as_deref(), Some("e1000g"));
        assert_eq!(cloned("clone:ptmx 0666 root sys").as_deref(), Some("ptm"));
        assert_eq!(cloned("clone:* 0666 root sys"), None);
    }

    #[test]
    fn malformed_lines_are_named() {
        for (line, expected) in [
            ("asy 0666 root sys", "`asy` is not of the form driver:minor"),
            (":* 0666 root sys", "`:*` is not of the form driver:minor"),
            ("asy:* 0986 root sys", "`0986` is no octal mode"),
            ("asy:* 77777 root sys", "`77777` is no octal mode"),
            ("asy:* 0666 root", "3 fields instead of four"),
        ] {
            assert_eq!(read_line(line).unwrap_err(), expected);
        }
    }
}
