//! `/etc/security/device_policy`: the privileges that opening a device takes (add_drv(8) `-p`).

use super::table::fields;

/// `driver[:minor] read_priv_set=… write_priv_set=…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicePolicy {
    /// `None` for `*`, the default for all devices.
    pub driver: Option<String>,
    pub minor: Option<String>,
    /// Names and privilege sets as they are written.
    pub privileges: Vec<(String, String)>,
}

pub(super) fn read_line(line: &str) -> Result<Option<DevicePolicy>, String> {
    let fields = fields(line);
    let [device, sets @ ..] = &fields[..] else { return Ok(None) };
    let privileges: Option<Vec<(String, String)>> =
        sets.iter().map(|set| set.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))).collect();
    let privileges = privileges.filter(|sets| !sets.is_empty()).ok_or("not of the form device name=privileges …")?;
    let (driver, minor) = match device.split_once(':') {
        Some((driver, minor)) => (driver, Some(minor.to_owned())),
        None => (*device, None),
    };
    if driver.is_empty() {
        return Err(format!("`{device}` names no driver"));
    }
    Ok(Some(DevicePolicy { driver: (driver != "*").then(|| driver.to_owned()), minor, privileges }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_device_and_privileges() {
        let entry = read_line("mm:kmem\tread_priv_set=none\twrite_priv_set=all").unwrap().unwrap();
        assert_eq!((entry.driver.as_deref(), entry.minor.as_deref()), (Some("mm"), Some("kmem")));
        assert_eq!(entry.privileges[1], ("write_priv_set".to_owned(), "all".to_owned()));
        assert_eq!(read_line("* read_priv_set=none").unwrap().unwrap().driver, None);
        assert_eq!(read_line("#").unwrap(), None);
    }

    #[test]
    fn malformed_lines_are_named() {
        assert_eq!(read_line("mm").unwrap_err(), "not of the form device name=privileges …");
        assert_eq!(read_line("mm read").unwrap_err(), "not of the form device name=privileges …");
        assert_eq!(read_line(":a b=c").unwrap_err(), "`:a` names no driver");
    }
}
