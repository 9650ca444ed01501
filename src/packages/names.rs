//! The two names of one illumos package: Tribblix calls `TRIBsys-library` what IPS calls `system/library`.
//!
//! The pairs are data, `rules/illumos/package-names.tsv`, so that a recipe written for one distribution works with the
//! packages of another.

/// Tribblix name, tab, IPS name; one header line.
const PAIRS: &str = include_str!("../../rules/illumos/package-names.tsv");

/// The other name of a package, when it has one: IPS for Tribblix, Tribblix for IPS.
pub fn other_name(name: &str) -> Option<&'static str> {
    pairs().find_map(|(tribblix, ips)| match name {
        _ if tribblix == ips => None,
        _ if tribblix == name => Some(ips),
        _ if ips == name => Some(tribblix),
        _ => None,
    })
}

/// Whether `wanted`, as a user writes it, names the package `name`.
///
/// The name itself, its other name, `pkg:/NAME` and `pkg://PUBLISHER/NAME` do; and, as for pkg(1), the last
/// components of an IPS name: `library/math` for `system/library/math`.
pub fn is_named(name: &str, wanted: &str) -> bool {
    let wanted = match wanted.strip_prefix("pkg://") {
        Some(rest) => rest.split_once('/').map_or(rest, |(_, name)| name),
        None => wanted.strip_prefix("pkg:/").unwrap_or(wanted),
    };
    name == wanted
        || other_name(wanted) == Some(name)
        || !wanted.is_empty() && name.strip_suffix(wanted).is_some_and(|front| front.ends_with('/'))
}

fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAIRS.lines().skip(1).filter_map(|line| line.split_once('\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The packages that the first minimal illumos was made from, by both names.
    const ORIGIN: [(&str, &str); 21] = [
        ("SUNWcsd", "SUNWcsd"),
        ("SUNWcs", "SUNWcs"),
        ("TRIBsys-library", "system/library"),
        ("TRIBsys-kernel", "system/kernel"),
        ("TRIBdrv-ser-usbser", "driver/serial/usbser"),
        ("TRIBsys-kernel-platform", "system/kernel/platform"),
        ("TRIBdrv-usb", "driver/usb"),
        ("TRIBsys-kernel-dtrace", "system/kernel/dtrace/providers"),
        ("TRIBsys-net", "system/network"),
        ("TRIBsys-lib-math", "system/library/math"),
        ("TRIBsys-libdiskmgt", "system/library/libdiskmgt"),
        ("TRIBsys-boot-grub", "system/boot/grub"),
        ("TRIBsys-zones", "system/zones"),
        ("TRIBdrv-storage-ata", "driver/storage/ata"),
        ("TRIBdrv-storage-ahci", "driver/storage/ahci"),
        ("TRIBdrv-i86pc-platform", "driver/i86pc/platform"),
        ("TRIBdrv-i86pc-ioat", "driver/i86pc/ioat"),
        ("TRIBdrv-i86pc-fipe", "driver/i86pc/fipe"),
        ("TRIBdrv-net-e1000g", "driver/network/e1000g"),
        ("TRIBsys-boot-real-mode", "system/boot/real-mode"),
        ("TRIBsys-file-system-zfs", "system/file-system/zfs"),
    ];

    #[test]
    fn each_pair_resolves_in_both_directions() {
        for (tribblix, ips) in ORIGIN {
            assert!(is_named(tribblix, ips) && is_named(ips, tribblix), "{tribblix} {ips}");
            assert!(is_named(ips, ips) && is_named(tribblix, tribblix));
        }
    }

    #[test]
    fn the_table_is_sorted_and_names_each_package_once() {
        let mut seen = std::collections::BTreeSet::new();
        let all: Vec<_> = pairs().collect();
        assert!(all.is_sorted());
        for (tribblix, ips) in all {
            assert!(seen.insert(tribblix) && (tribblix == ips || seen.insert(ips)), "{tribblix} {ips}");
        }
        assert_eq!(PAIRS.lines().count(), pairs().count() + 1);
    }

    #[test]
    fn names_are_shortened_as_pkg_does() {
        assert!(is_named("system/library/math", "library/math"));
        assert!(is_named("system/library/math", "pkg://omnios/system/library/math"));
        assert!(is_named("system/library/math", "pkg:/system/library/math"));
        assert!(!is_named("system/library/math", "ath"));
        assert!(!is_named("system/library/math", ""));
        assert!(!is_named("system/library", "library/math"));
    }
}
