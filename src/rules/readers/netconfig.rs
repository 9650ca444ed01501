//! `netconfig`(5) to maps of what a transport needs: its device, and the libraries that translate its names.

use super::{bind, fields};
use crate::rules::pattern::Bindings;

/// The `role` is `device` or `library`, the `word` such as `/dev/tcp` or `tcpip.so`; a field of `-` gives no map.
pub(super) const BINDINGS: &[&str] = &["id", "semantics", "flags", "family", "protocol", "role", "word"];

pub(super) fn read(text: &[u8]) -> Vec<Bindings> {
    text.split(|&byte| byte == b'\n').flat_map(read_line).collect()
}

fn read_line(line: &[u8]) -> Vec<Bindings> {
    let fields = fields(line);
    let [id, semantics, flags, family, protocol, device, libraries] = fields[..] else { return Vec::new() };
    let libraries = libraries.split(|&byte| byte == b',').map(|library| (&b"library"[..], library));
    let words = std::iter::once((&b"device"[..], device)).chain(libraries);
    let words = words.filter(|(_, word)| !word.is_empty() && *word != b"-");
    words.map(|(role, word)| bind(BINDINGS, [id, semantics, flags, family, protocol, role, word])).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn a_transport_has_a_device_and_libraries() {
        check(
            "netconfig",
            "tcp\ttpi_cots_ord\tv inet tcp /dev/tcp -\nx tpi_clts - loopback - /dev/ticlts straddr.so,b.so # c\n",
            &[
                "tcp tpi_cots_ord v inet tcp device /dev/tcp",
                "x tpi_clts - loopback - device /dev/ticlts",
                "x tpi_clts - loopback - library straddr.so",
                "x tpi_clts - loopback - library b.so",
            ],
        );
        check("netconfig", "# c\ntcp a v inet tcp /dev/tcp\na b c d e - -\na b c d e - ,,\n", &[]);
    }
}
