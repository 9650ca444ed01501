//! Matching of module aliases, as kmod does it: a shell pattern, where `-` and `_` are one character on both sides,
//! except inside brackets (kmod shared/util.c, `alias_normalize`).

use crate::wildcard;

/// Whether the alias pattern of a module matches a modalias such as `pci:v00008086d0000100Esv…`.
pub fn alias_matches(pattern: &str, modalias: &str) -> bool {
    wildcard::matches_folded(pattern.as_bytes(), modalias.as_bytes(), dash_is_underscore)
}

fn dash_is_underscore(byte: u8) -> u8 {
    if byte == b'-' { b'_' } else { byte }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_match_as_kmod_has_it() {
        let check = |pattern: &str, alias: &str, expected: bool| {
            assert_eq!(alias_matches(pattern, alias), expected, "{pattern} on {alias}");
        };
        check("pci:v00001AF4d*sv*sd*bc*sc*i*", "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00", true);
        check("pci:v00001AF4d*sv*sd*bc*sc*i*", "pci:v00008086d00001000sv00001AF4sd00000001bc02sc00i00", false);
        check("virtio:d00000001v*", "virtio:d00000001v00001AF4", true);
        check("acpi*:LNRO0005:*", "acpi:LNRO0005:", true);
        check("usb:v0525pA4A[0-3]d*", "usb:v0525pA4A2d01", true);
        check("usb:v0525pA4A[0-3]d*", "usb:v0525pA4A4d01", false);
    }

    #[test]
    fn dash_and_underscore_are_one_character_outside_brackets() {
        assert!(alias_matches("crypto-crc32c", "crypto_crc32c"));
        assert!(alias_matches("platform:a_b-*", "platform:a-b_c"));
        assert!(!alias_matches("x[0-9]", "x_"));
    }
}
