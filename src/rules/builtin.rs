//! The rule files inside the binary. A test keeps the list complete.

use super::problem::RulesError;
use super::{RuleFile, load};
use crate::recipe::System;
use rayon::prelude::*;

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
    "illumos/drivers/pci-passthrough",
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
    "linux/accounts",
    "linux/alsa",
    "linux/ca-certificates",
    "linux/config-includes",
    "linux/dbus",
    "linux/fontconfig",
    "linux/gconv",
    "linux/gdb",
    "linux/gdk-pixbuf",
    "linux/gettext",
    "linux/gio-modules",
    "linux/git",
    "linux/imagemagick",
    "linux/iwlwifi-pnvm",
    "linux/java",
    "linux/kmod-indexes",
    "linux/krb5",
    "linux/libgcc-s",
    "linux/locale",
    "linux/magic",
    "linux/mesa",
    "linux/mime",
    "linux/node-builtins",
    "linux/node-modules",
    "linux/nsswitch",
    "linux/openssl",
    "linux/pam",
    "linux/perl",
    "linux/php",
    "linux/postgresql",
    "linux/python",
    "linux/ruby",
    "linux/samba",
    "linux/sasl",
    "linux/server-files",
    "linux/shell",
    "linux/systemd-directories",
    "linux/systemd-generators",
    "linux/systemd-runtime",
    "linux/systemd-units",
    "linux/terminfo",
    "linux/timezone",
    "linux/udev",
    "linux/vim",
    "linux/vulkan-icd",
];

/// The directories that hold the rules of one system; a test keeps that true.
const DIRECTORIES: [(&str, System); 2] = [("illumos/", System::Illumos), ("linux/", System::Linux)];

/// The built-in files, without those in the directories of other systems than the one that is wanted.
pub(super) fn files(wanted: Option<System>) -> Result<Vec<RuleFile>, RulesError> {
    let is_wanted = |id: &str| {
        let only = DIRECTORIES.iter().find(|(directory, _)| id.starts_with(directory)).map(|(_, system)| *system);
        only.is_none() || wanted.is_none() || only == wanted
    };
    let read: Vec<_> = FILES
        .par_iter()
        .filter(|(id, ..)| is_wanted(id))
        .map(|(id, name, text)| load::built_in(id, name, text))
        .collect();
    let mut files = Vec::with_capacity(FILES.len());
    let mut problems = Vec::new();
    for file in read {
        match file {
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
    fn the_directory_of_a_system_holds_only_its_rules() {
        for file in files(None).unwrap() {
            let directory = DIRECTORIES.iter().find(|(directory, _)| file.id.0.starts_with(directory));
            let (_, system) = directory.unwrap_or_else(|| panic!("{} is in no directory of a system", file.id));
            assert_eq!(file.systems, [*system], "{}", file.id);
        }
        let for_linux = files(Some(System::Linux)).unwrap();
        assert!(for_linux.len() > 3 && for_linux.len() < FILES.len());
    }

    #[test]
    fn reading_a_file_in_short_gives_the_rules_that_reading_it_whole_gives() {
        for (id, name, text) in FILES {
            // All that is compiled late is compiled now.
            let rules = |file: Result<RuleFile, _>| {
                let file = file.unwrap_or_else(|problems| panic!("{problems:?}"));
                let patterns = file.rules.iter().flat_map(|rule| [&rule.when.strings, &rule.when.environment]);
                for pattern in patterns.flatten() {
                    pattern.compile().unwrap();
                }
                format!("{:?}", file.rules)
            };
            assert_eq!(rules(load::file(id, name, text)), rules(load::built_in(id, name, text)), "{id}");
        }
    }

    #[test]
    fn every_rule_file_of_the_source_tree_is_compiled_in() {
        let on_disk = load::directory(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")).unwrap();
        let mut on_disk: Vec<String> = on_disk.into_iter().map(|file| file.id.0).collect();
        on_disk.sort();
        let listed: Vec<&str> = FILES.iter().map(|(id, ..)| *id).collect();
        assert_eq!(listed, on_disk, "the list in builtin.rs, and what is in rules/");
    }
}
