//! The image's own copies of the databases: the same text with the entries of the kept drivers only.
//!
//! Both directions matter. An entry of a driver that is not there makes the kernel warn at every boot, or devfsadm make
//! a node that cannot be opened; a kept driver that loses an entry loses devices without a word. So an entry about a
//! driver stays if and only if the driver is kept. A field that may be a driver's name or something else (the minor of
//! `clone`, a socket module, the module of a `set`) counts as one when the full `name_to_major` knows it.

use super::minor_perm::MinorPermission;
use super::{DriverDatabases, SystemCommand, Table};
use crate::path::RootPath;
use std::collections::BTreeSet;

impl DriverDatabases {
    /// The databases for an image with these drivers, as (path, content) in the order of the paths; those that are not
    /// in the root are not made. Comments, order, spelling and numbers are those of the originals.
    ///
    /// `name_to_sysnum`, `mach` and `extra_privs` name no drivers and are not among them, nor are the `.conf` files,
    /// which belong to their driver as a whole.
    pub fn trim(&self, kept: &BTreeSet<String>) -> Vec<(RootPath, Vec<u8>)> {
        let stays = |name: &str| kept.contains(name) || self.major(name).is_none();
        let is_kept = |driver: &str| kept.contains(driver);
        let mut trimmed = Vec::new();
        add(&mut trimmed, &self.name_to_major, |entry| is_kept(&entry.driver));
        add(&mut trimmed, &self.driver_aliases, |entry| is_kept(&entry.driver));
        add(&mut trimmed, &self.ppt_aliases, |entry| is_kept(&entry.driver));
        add(&mut trimmed, &self.driver_classes, |entry| is_kept(&entry.driver));
        add(&mut trimmed, &self.minor_perm, |entry| {
            is_kept(&entry.driver) && MinorPermission::cloned(entry).is_none_or(stays)
        });
        add(&mut trimmed, &self.dacf, |rule| rule.driver().is_none_or(is_kept));
        add(&mut trimmed, &self.autopush, |entry| self.driver_with_number(&entry.driver).is_none_or(stays));
        add(&mut trimmed, &self.path_to_inst, |entry| is_kept(&entry.driver));
        add(&mut trimmed, &self.device_policy, |entry| entry.driver.as_deref().is_none_or(is_kept));
        for table in &self.sock2path {
            add(&mut trimmed, Some(table), |entry| entry.driver().is_none_or(stays));
        }
        for table in &self.system {
            add(&mut trimmed, Some(table), |command| command_driver(command).is_none_or(stays));
        }
        trimmed.sort_by(|a, b| a.0.cmp(&b.0));
        trimmed
    }

    /// The driver that a field means which may hold a major number instead of a name.
    pub(super) fn driver_with_number<'d>(&'d self, field: &'d str) -> Option<&'d str> {
        match field.parse::<u32>() {
            Ok(number) => self.majors.iter().find(|(_, major)| **major == number).map(|(driver, _)| &driver[..]),
            Err(_) => Some(field),
        }
    }
}

/// The driver a command of `/etc/system` is about: that of `drv/NAME`, or the module of a `set`, which may be one.
pub(super) fn command_driver(command: &SystemCommand) -> Option<&str> {
    command.module().filter(|_| !command.is_other_namespace())
}

fn add<'t, T: 't>(
    trimmed: &mut Vec<(RootPath, Vec<u8>)>,
    table: impl Into<Option<&'t Table<T>>>,
    keep: impl Fn(&T) -> bool,
) {
    if let Some(table) = table.into() {
        trimmed.push((table.path().clone(), table.trimmed(keep)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::databases;
    use super::*;
    use proptest::prelude::*;

    const FILES: &[(&str, &str)] = &[
        ("/etc/name_to_major", "# numbers\ncn 0\nclone 5\nasy 8\ne1000g 20\nppt 25\nptm 30\ntl 31\ntcp 32\nohci 40\n"),
        (
            "/etc/driver_aliases",
            "asy \"pci11c1,480\"\ne1000g \"pci8086,100e\"\nghost \"pci1,1\"\nohci \"pciclass,0c0310\"\n",
        ),
        ("/etc/ppt_aliases", "ppt \"/pci@0,0/pci8086,6f08@3/pci10de,11d7@0\"\n"),
        ("/etc/driver_classes", "# classes\nata\tscsi\nohci usb\n"),
        (
            "/etc/minor_perm",
            "clone:e1000g 0666 root sys\ne1000g:* 0666 root sys\nclone:ptmx 0666 root sys\ncn:* 0620 root tty\nclone:llc1 0666 root sys\n",
        ),
        (
            "/etc/dacf.conf",
            "driver-minorname=\"ohci:x\" m:o post-attach -\nminor-nodetype=\"ddi_keyboard\" m:o post-attach -\n",
        ),
        ("/etc/iu.ap", "cn 0 0 ldterm\nasy -1 0 ldterm\n20 0 0 x\n"),
        ("/etc/sock2path.d/system%2Fkernel", "2 2 0 tcp\n1 1 0 /dev/ticlts\n31 4 0 trill\n"),
        ("/etc/path_to_inst", "#path_to_inst_bootstrap_1\n\"/isa/asy@1\" 0 \"asy\"\n\"/pci@0\" 0 \"e1000g\"\n"),
        (
            "/etc/system",
            "* keep\nforceload: drv/ohci\nforceload: misc/ohci\nset e1000g:x=1\nset maxusers=4\nset zfs:y=1\n",
        ),
        ("/etc/security/device_policy", "*\tread_priv_set=none\ntcp a=b\ncn a=b\n"),
        ("/etc/mach", "apix\n"),
    ];

    fn set(drivers: &[&str]) -> BTreeSet<String> {
        drivers.iter().map(|driver| (*driver).to_owned()).collect()
    }

    fn trimmed(kept: &[&str], path: &str) -> String {
        let files = databases(FILES).trim(&set(kept));
        String::from_utf8(files.into_iter().find(|(p, _)| p.as_bytes() == path.as_bytes()).unwrap().1).unwrap()
    }

    #[test]
    fn numbers_and_comments_stay() {
        assert_eq!(trimmed(&["e1000g", "cn"], "/etc/name_to_major"), "# numbers\ncn 0\ne1000g 20\n");
        assert_eq!(trimmed(&[], "/etc/name_to_major"), "# numbers\n");
    }

    #[test]
    fn aliases_and_classes_of_unknown_drivers_go_too() {
        assert_eq!(trimmed(&["asy"], "/etc/driver_aliases"), "asy \"pci11c1,480\"\n");
        assert_eq!(trimmed(&["asy"], "/etc/driver_classes"), "# classes\n");
        assert_eq!(trimmed(&["asy"], "/etc/ppt_aliases"), "");
        assert!(trimmed(&["ppt"], "/etc/ppt_aliases").starts_with("ppt \"/pci@0,0/"));
    }

    #[test]
    fn a_clone_node_needs_both_drivers() {
        let perm = |kept: &[&str]| trimmed(kept, "/etc/minor_perm");
        assert_eq!(
            perm(&["clone", "e1000g"]),
            "clone:e1000g 0666 root sys\ne1000g:* 0666 root sys\nclone:llc1 0666 root sys\n"
        );
        assert_eq!(perm(&["e1000g"]), "e1000g:* 0666 root sys\n");
        assert_eq!(perm(&["clone", "ptm"]), "clone:ptmx 0666 root sys\nclone:llc1 0666 root sys\n");
    }

    #[test]
    fn entries_that_name_no_driver_stay() {
        assert_eq!(trimmed(&[], "/etc/dacf.conf"), "minor-nodetype=\"ddi_keyboard\" m:o post-attach -\n");
        assert_eq!(trimmed(&["tl"], "/etc/sock2path.d/system%2Fkernel"), "1 1 0 /dev/ticlts\n31 4 0 trill\n");
        assert_eq!(trimmed(&["cn"], "/etc/security/device_policy"), "*\tread_priv_set=none\ncn a=b\n");
        assert_eq!(trimmed(&[], "/etc/system"), "* keep\nforceload: misc/ohci\nset maxusers=4\nset zfs:y=1\n");
    }

    #[test]
    fn a_major_number_stands_for_its_driver() {
        assert_eq!(trimmed(&["e1000g"], "/etc/iu.ap"), "20 0 0 x\n");
        assert_eq!(trimmed(&["asy"], "/etc/iu.ap"), "asy -1 0 ldterm\n");
    }

    #[test]
    fn instances_of_other_drivers_go_and_the_bootstrap_mark_stays() {
        assert_eq!(trimmed(&["asy"], "/etc/path_to_inst"), "#path_to_inst_bootstrap_1\n\"/isa/asy@1\" 0 \"asy\"\n");
    }

    #[test]
    fn copies_come_in_the_order_of_their_paths_and_only_of_files_that_exist() {
        let paths: Vec<String> = databases(FILES).trim(&set(&[])).iter().map(|(path, _)| path.to_string()).collect();
        assert!(paths.is_sorted() && paths.len() == FILES.len() - 1, "{paths:?}");
        assert!(databases(&[]).trim(&set(&["cn"])).is_empty());
    }

    /// The databases again, read from their trimmed copies.
    fn again(full: &DriverDatabases, kept: &BTreeSet<String>) -> DriverDatabases {
        let files = full.trim(kept);
        let read = |path: &str| {
            files.iter().find(|(name, _)| name.as_bytes() == path.as_bytes()).map(|(_, content)| content.clone())
        };
        DriverDatabases::read(&read, &|_| Vec::new())
    }

    proptest! {
        #[test]
        fn no_entry_is_left_of_others_and_none_is_lost_of_kept(keep in proptest::collection::vec(any::<bool>(), 9)) {
            let full = databases(FILES);
            let kept: BTreeSet<String> =
                full.drivers().zip(&keep).filter(|(_, keep)| **keep).map(|(driver, _)| driver.to_owned()).collect();
            let image = again(&full, &kept);
            prop_assert_eq!(image.drivers().map(str::to_owned).collect::<BTreeSet<_>>(), kept.clone());
            let aliases = |of: &DriverDatabases| -> Vec<_> {
                let entries = of.driver_aliases.iter().flat_map(Table::entries).map(|(_, entry)| entry.clone());
                entries.filter(|entry| kept.contains(&entry.driver)).collect()
            };
            prop_assert_eq!(aliases(&image), aliases(&full));
            prop_assert_eq!(image.driver_aliases.as_ref().unwrap().entries().count(), aliases(&full).len());
            for driver in &kept {
                prop_assert_eq!(image.major(driver), full.major(driver));
            }
            // Trimming what is trimmed changes nothing.
            prop_assert_eq!(image.trim(&kept), full.trim(&kept).into_iter()
                .filter(|(path, _)| !path.as_bytes().starts_with(b"/etc/sock2path.d")).collect::<Vec<_>>());
        }
    }
}
