//! The rule files inside the binary. A test keeps the list complete.

use super::problem::RulesError;
use super::{RuleFile, load};

macro_rules! built_in {
    ($($id:literal),* $(,)?) => {
        &[$(($id, concat!("rules/", $id, ".toml"), include_str!(concat!("../../rules/", $id, ".toml")))),*]
    };
}

/// Id, file name for messages, text.
static FILES: &[(&str, &str, &str)] = built_in![
    "illumos/boot/buses",
    "illumos/boot/cpu-modules",
    "illumos/boot/exec",
    "illumos/boot/first-use-modules",
    "illumos/boot/genunix",
    "illumos/boot/init",
    "illumos/boot/kernel-files",
    "illumos/boot/kmdb",
    "illumos/boot/mount-points",
    "illumos/boot/platform-support",
    "illumos/boot/pseudo-nexus",
    "illumos/boot/ramdisk-root",
    "illumos/boot/real-mode-devices",
    "illumos/boot/scheduling-class",
    "illumos/boot/startup-modules",
    "illumos/boot/zvol-walk",
    "illumos/console/consconfig",
    "illumos/console/device-links",
    "illumos/console/devices",
    "illumos/console/screen",
    "illumos/console/serial",
    "illumos/drivers/crypto-providers",
    "illumos/drivers/disk-targets",
    "illumos/drivers/pseudo-conf",
    "illumos/drivers/usb-devices",
    "illumos/loader/files",
    "illumos/loader/stages",
    "illumos/network/device-links",
    "illumos/network/dhcpagent",
    "illumos/network/dlmgmtd",
    "illumos/network/ipmgmtd",
    "illumos/network/mac-plugins",
    "illumos/network/netconfig",
    "illumos/network/sockets",
    "illumos/network/strplumb",
    "illumos/userland/devfsadm",
    "illumos/userland/dumpadm",
    "illumos/userland/file-systems",
    "illumos/userland/inittab",
    "illumos/userland/isaexec",
    "illumos/userland/locale",
    "illumos/userland/mount",
    "illumos/userland/nsswitch",
    "illumos/userland/pam",
    "illumos/userland/smf",
    "illumos/userland/terminfo",
    "illumos/userland/timezone",
    "illumos/userland/zone",
    "linux/kmod-indexes",
    "linux/libgcc-s",
    "linux/node-builtins",
    "linux/nsswitch",
];

pub(super) fn files() -> Result<Vec<RuleFile>, RulesError> {
    let mut files = Vec::with_capacity(FILES.len());
    let mut problems = Vec::new();
    for (id, name, text) in FILES {
        match load::file(id, name, text, true) {
            Ok(file) => files.push(file),
            Err(wrong) => problems.extend(wrong),
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(RulesError::Wrong(problems)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_rule_file_of_the_source_tree_is_compiled_in() {
        let on_disk = load::directory(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")).unwrap();
        let mut on_disk: Vec<String> = on_disk.into_iter().map(|file| file.id.0).collect();
        on_disk.sort();
        let listed: Vec<&str> = FILES.iter().map(|(id, ..)| *id).collect();
        assert_eq!(listed, on_disk, "the list in builtin.rs, and what is in rules/");
    }
}
