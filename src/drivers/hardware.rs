//! The devices of a machine to the drivers that the databases have for them.
//!
//! A profile (`rules/hardware/*.toml`) says what a device is in Linux' words. Those of PCI and SCSI say enough for
//! illumos too; what illumos adds by itself, such as the node of a PS/2 keyboard or of the disk behind a virtio
//! controller, the profile lists under `illumos`. A virtio alias names nothing here: illumos has no virtio bus, its
//! drivers bind to the PCI function.

use super::DriverDatabases;
use super::pci::{Bus, PciDevice};
use crate::modules::hardware::ProfileDevice;
use std::collections::BTreeSet;

/// One device node, the names it was looked up by, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    pub profile: String,
    /// The device's name in the profile.
    pub device: String,
    /// What the profile says the node is: a modalias or a node's name.
    pub node: String,
    /// The names that were tried, in the kernel's order.
    pub candidates: Vec<String>,
    /// The driver that takes the node; two if it depends on the slot, conventional PCI first, and more if it depends on
    /// the revision; none if no driver of the root does.
    pub chosen: Vec<Chosen>,
}

/// A driver and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    pub driver: String,
    /// The name of the node that the driver answers to: one of its aliases, or its own name.
    pub name: String,
}

impl DriverDatabases {
    /// For each device which driver takes it, by which name. Devices keep their order; a device has one binding for each
    /// node it makes, and none for what only Linux sees of it.
    pub fn modules_for(&self, devices: &[ProfileDevice]) -> Vec<Binding> {
        devices.iter().flat_map(|device| self.bindings(device)).collect()
    }

    fn bindings(&self, ProfileDevice { profile, device }: &ProfileDevice) -> Vec<Binding> {
        let mut seen = BTreeSet::new();
        let nodes = device.alias.iter().chain(&device.illumos).filter(|node| seen.insert(*node));
        let binding = |node: &String| {
            let (candidates, chosen) = self.bind(node)?;
            let (profile, device) = (profile.clone(), device.name.clone());
            Some(Binding { profile, device, node: node.clone(), candidates, chosen })
        };
        nodes.filter_map(binding).collect()
    }

    /// The names of a node and its drivers; `None` for a Linux alias that is no node of illumos.
    fn bind(&self, node: &str) -> Option<(Vec<String>, Vec<Chosen>)> {
        if let Some(pci) = PciDevice::from_modalias(node) {
            let mut chosen: Vec<Chosen> = Vec::new();
            let by_slot = [Bus::Conventional, Bus::Express].map(|bus| self.first_bound(pci.names(bus)));
            for found in by_slot.into_iter().flatten().chain(self.bound_to_a_revision(&pci)) {
                if chosen.iter().all(|other| other.driver != found.driver) {
                    chosen.push(found);
                }
            }
            return Some((pci.names(Bus::Express), chosen));
        }
        let name = match node.split_once(':') {
            // scsi:t-0x05; the class has two digits without the prefix (scsi_hba_nodename_compatible_get).
            Some(("scsi", kind)) => {
                let class = u8::from_str_radix(kind.strip_prefix("t-0x")?, 16).ok()?;
                format!("scsiclass,{class:02x}")
            }
            Some(_) => return None,
            None if node.starts_with("char-major-") => return None,
            None => node.to_owned(),
        };
        let chosen = self.first_bound(vec![name.clone()]).into_iter().collect();
        Some((vec![name], chosen))
    }

    /// The drivers that take the function if it has a certain revision, which no profile knows.
    fn bound_to_a_revision(&self, pci: &PciDevice) -> Vec<Chosen> {
        let mut found = Vec::new();
        for stem in pci.before_revision() {
            for (alias, driver) in self.aliases.range(stem.clone()..).take_while(|(alias, _)| alias.starts_with(&stem))
            {
                let revision = alias[stem.len()..].strip_prefix('.');
                if revision.is_some_and(|revision| u8::from_str_radix(revision, 16).is_ok()) {
                    found.push(Chosen { driver: driver.clone(), name: alias.clone() });
                }
            }
        }
        found
    }

    fn first_bound(&self, names: Vec<String>) -> Option<Chosen> {
        names.into_iter().find_map(|name| {
            let driver = self.driver_of(&name)?.to_owned();
            Some(Chosen { driver, name })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::databases;
    use super::*;
    use crate::modules::hardware::{builtin_profiles, devices};

    /// Numbers and aliases as the gate of 2025 has them, for the devices of the profiles.
    fn gate() -> DriverDatabases {
        databases(&[
            (
                "/etc/name_to_major",
                "rootnex 0\npci 1\nnpe 2\nisa 3\ni8042 4\nkb8042 5\nmouse8042 6\nvgatext 7\nasy 8\nahci 9\nata 10\n\
                 pci-ide 11\ncmdk 12\nsd 13\nblkdev 14\nnvme 15\nvioblk 16\nvioif 17\nvioscsi 18\nviorand 19\ne1000g 20\n\
                 pcn 21\nvmxnet3s 22\nmpt 23\nmpt_sas 24\npcieb 25\npci_pci 26\nohci 27\nuhci 28\nehci 29\nxhci 30\n\
                 hubd 31\nhid 32\nusb_mid 33\nscsa2usb 34\n",
            ),
            (
                "/etc/driver_aliases",
                "npe \"pciex_root_complex\"\nisa \"pciclass,060100\"\nkb8042 \"pnpPNP,303\"\nmouse8042 \"pnpPNP,f03\"\n\
                 vgatext \"pciclass,000100\"\nvgatext \"pciclass,030000\"\nasy \"pci11c1,480\"\nahci \"pciclass,010601\"\n\
                 ata \"ide\"\nsd \"scsiclass,00\"\nsd \"scsiclass,05\"\nnvme \"pciclass,010802\"\n\
                 nvme \"pciexclass,010802\"\nvioblk \"pci1af4,1001\"\nvioif \"pci1af4,1\"\nvioif \"pci1af4,1000,p\"\n\
                 vioscsi \"pci1af4,1004\"\nviorand \"pci1af4,1005\"\ne1000g \"pci8086,100e\"\ne1000g \"pci8086,100f\"\n\
                 e1000g \"pciex8086,10d3\"\ne1000g \"pci8086,10d3\"\ne1000g \"pci8086,1004.8086.1004\"\n\
                 pcn \"pci1022,2000\"\nvmxnet3s \"pci15ad,7b0\"\nmpt \"pci1000,30\"\nmpt \"pci1000,54\"\n\
                 pcieb \"pciexclass,060400\"\npci_pci \"pciclass,060400\"\nohci \"pciclass,0c0310\"\n\
                 uhci \"pciclass,0c0300\"\nehci \"pciclass,0c0320\"\nxhci \"pciclass,0c0330\"\nhubd \"usbif,class9\"\n\
                 hid \"usbif,class3\"\nusb_mid \"usb,device\"\nscsa2usb \"usbif,class8\"\n",
            ),
        ])
    }

    fn bindings(hardware: &str) -> Vec<Binding> {
        gate().modules_for(&devices(&[hardware.to_owned()], &[]).unwrap())
    }

    fn drivers(hardware: &str) -> BTreeSet<String> {
        bindings(hardware).into_iter().flat_map(|binding| binding.chosen).map(|chosen| chosen.driver).collect()
    }

    fn chosen(hardware: &str, device: &str, node: &str) -> Vec<(String, String)> {
        let found = bindings(hardware);
        let found = found.into_iter().find(|b| b.device == device && b.node.starts_with(node)).unwrap();
        found.chosen.into_iter().map(|chosen| (chosen.driver, chosen.name)).collect()
    }

    fn pair(driver: &str, name: &str) -> Vec<(String, String)> {
        vec![(driver.to_owned(), name.to_owned())]
    }

    #[test]
    fn each_device_is_bound_by_the_first_name_that_has_a_driver() {
        assert_eq!(chosen("qemu", "e1000 network card", "pci:"), pair("e1000g", "pci8086,100e"));
        assert_eq!(chosen("qemu", "virtio network card (transitional)", "pci:"), pair("vioif", "pci1af4,1"));
        assert_eq!(chosen("qemu", "ICH9 AHCI controller", "pci:"), pair("ahci", "pciclass,010601"));
        assert_eq!(chosen("qemu", "ICH9 AHCI controller", "scsi:t-0x05"), pair("sd", "scsiclass,05"));
        assert_eq!(chosen("qemu", "PIIX3 IDE controller", "pci:"), pair("pci-ide", "pci-ide"));
        assert_eq!(chosen("virtualbox", "PRO/1000 T Server", "pci:"), pair("e1000g", "pci8086,1004.8086.1004"));
    }

    #[test]
    fn a_subsystem_can_be_taken_for_the_device() {
        // The transitional virtio block device has the subsystem 1af4:2, the network card 1af4:1.
        assert_eq!(chosen("qemu", "virtio block device (transitional)", "pci:"), pair("vioblk", "pci1af4,1001"));
        let taken =
            databases(&[("/etc/name_to_major", "a 1\nb 2"), ("/etc/driver_aliases", "a pci1af4,x\nb \"pci1af4,2\"")]);
        assert_eq!(taken.bind("pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00").unwrap().1[0].driver, "b");
    }

    #[test]
    fn a_device_without_a_driver_is_reported_with_the_names_tried() {
        let found = bindings("qemu");
        let modern = found.iter().find(|b| b.device == "virtio block device (modern)").unwrap();
        assert!(modern.chosen.is_empty());
        assert!(modern.candidates.contains(&"pciclass,010000".to_owned()), "{:?}", modern.candidates);
    }

    #[test]
    fn a_driver_that_depends_on_the_slot_is_kept_for_both() {
        let found = databases(&[
            ("/etc/name_to_major", "pcieb 1\npci_pci 2\n"),
            ("/etc/driver_aliases", "pcieb \"pciexclass,060400\"\npci_pci \"pciclass,060400\"\n"),
        ]);
        let (_, chosen) = found.bind("pci:v00001B36d0000000Csv00001AF4sd00000000bc06sc04i00").unwrap();
        assert_eq!(chosen.iter().map(|c| &c.driver[..]).collect::<Vec<_>>(), ["pci_pci", "pcieb"]);
    }

    #[test]
    fn a_driver_for_one_revision_of_a_device_is_kept_beside_that_of_the_others() {
        let found = databases(&[
            ("/etc/name_to_major", "e1000g 1\nold 2\nother 3\nboard 4\nexpress 5\n"),
            (
                "/etc/driver_aliases",
                "e1000g \"pci8086,100f\"\nold \"pci8086,100f.1\"\nother \"pci8086,100f.15ad.751\"\n\
                 board \"pci8086,100f.15ad.750.a0\"\nother \"pci8086,100f1.2\"\nexpress \"pciex8086,100f.3\"\n\
                 other \"pci8086,100f.100\"\n",
            ),
        ]);
        let (_, chosen) = found.bind("pci:v00008086d0000100Fsv000015ADsd00000750bc02sc00i00").unwrap();
        let pairs: Vec<_> = chosen.iter().map(|c| (&c.driver[..], &c.name[..])).collect();
        let expected = [
            ("e1000g", "pci8086,100f"),
            ("express", "pciex8086,100f.3"),
            ("board", "pci8086,100f.15ad.750.a0"),
            ("old", "pci8086,100f.1"),
        ];
        assert_eq!(pairs, expected);
    }

    #[test]
    fn linux_names_are_no_nodes() {
        for alias in ["virtio:d00000001v00001AF4", "char-major-4-64", "scsi:t-0xzz", "acpi:PNP0303:"] {
            assert_eq!(gate().bind(alias), None, "{alias}");
        }
    }

    #[test]
    fn every_machine_has_its_buses_console_and_disks() {
        for machine in ["qemu", "virtualbox", "bhyve", "vmware"] {
            let drivers = drivers(machine);
            for driver in ["rootnex", "pci", "isa", "i8042", "kb8042", "mouse8042", "vgatext", "asy", "ahci", "sd"] {
                assert!(drivers.contains(driver), "{machine}: {driver} is not in {drivers:?}");
            }
        }
        assert!(drivers("virtio").is_superset(&["vioif", "vioblk", "blkdev", "vioscsi"].map(str::to_owned).into()));
        assert!(drivers("virtualbox").is_superset(&["ohci", "ehci", "hid", "hubd", "cmdk"].map(str::to_owned).into()));
        assert!(drivers("none").is_empty());
    }

    #[test]
    fn a_class_brings_the_buses_its_devices_hang_on() {
        let network = drivers("qemu:network");
        assert!(network.contains("pci") && network.contains("e1000g"), "{network:?}");
        assert!(!network.contains("ahci") && !network.contains("vgatext"), "{network:?}");
    }

    #[test]
    fn profiles_say_nothing_twice() {
        for profile in builtin_profiles() {
            for ProfileDevice { device, .. } in devices(&[profile.to_owned()], &[]).unwrap() {
                let nodes: Vec<&String> = device.alias.iter().chain(&device.illumos).collect();
                assert_eq!(nodes.iter().collect::<BTreeSet<_>>().len(), nodes.len(), "{profile}: {}", device.name);
            }
        }
    }
}
