//! Files of `/etc/sock2path.d`: which module or device serves a kind of socket (sock2path.d(5), soconfig(8)).
//!
//! The last field is a device (`/dev/ticots`) or the name of a socket module, which for `tcp`, `udp`, `icmp` and `rts`
//! is a hard link of the driver of that name. soconfig refuses a device that is not in `/dev`.

use super::table::fields;

/// `family type protocol [path|module]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketPath {
    pub family: i64,
    pub socket_type: i64,
    pub protocol: i64,
    /// `None` takes the entry back.
    pub provider: Option<String>,
}

/// Devices that are not called like their driver: the loopback transports of ticlts(4D).
const DEVICES: [(&str, &str); 3] = [("ticlts", "tl"), ("ticots", "tl"), ("ticotsord", "tl")];

impl SocketPath {
    /// The driver behind the provider, if it has one.
    pub fn driver(&self) -> Option<&str> {
        let provider = self.provider.as_deref()?;
        let name = provider.strip_prefix("/dev/").unwrap_or(provider);
        Some(DEVICES.iter().find(|(device, _)| *device == name).map_or(name, |(_, driver)| driver))
    }
}

pub(super) fn read_line(line: &str) -> Result<Option<SocketPath>, String> {
    let number = |text: &str| {
        let digits = text.strip_prefix("0x").or(text.strip_prefix("0X"));
        let value = digits.map_or_else(|| text.parse(), |digits| i64::from_str_radix(digits, 16));
        value.map_err(|_| format!("`{text}` is no number"))
    };
    match fields(line)[..] {
        [] => Ok(None),
        [family, socket_type, protocol, ref provider @ ..] if provider.len() <= 1 => Ok(Some(SocketPath {
            family: number(family)?,
            socket_type: number(socket_type)?,
            protocol: number(protocol)?,
            provider: provider.first().map(|provider| (*provider).to_owned()),
        })),
        ref other => Err(format!("{} fields instead of three or four", other.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_kind_of_socket_and_its_provider() {
        let driver = |line: &str| read_line(line).unwrap().unwrap().driver().map(str::to_owned);
        assert_eq!(driver("\t2\t2\t0\ttcp").as_deref(), Some("tcp"));
        assert_eq!(driver("1 2 0 /dev/ticotsord # unix").as_deref(), Some("tl"));
        assert_eq!(driver("27 4 2 /dev/keysock").as_deref(), Some("keysock"));
        assert_eq!(driver("0x1a 2 0"), None);
        assert_eq!(read_line(" # 2 2 0 tcp").unwrap(), None);
    }

    #[test]
    fn malformed_lines_are_named() {
        assert_eq!(read_line("2 2").unwrap_err(), "2 fields instead of three or four");
        assert_eq!(read_line("2 2 0 tcp x").unwrap_err(), "5 fields instead of three or four");
        assert_eq!(read_line("inet 2 0 tcp").unwrap_err(), "`inet` is no number");
    }
}
