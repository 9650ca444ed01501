//! A PCI function to the names illumos gives its device node, the most exact first.
//!
//! The kernel tries the names of the `compatible` property in order and takes the first that has a driver, then the
//! node's own name (`pci_alias_table` in usr/src/uts/common/io/pciex/pci_props.c, `add_compatible` of intel's pci_boot.c
//! in older gates, `ddi_compatible_driver_major` in devcfg.c). Numbers are hexadecimal without leading zeros, in classes
//! with them. A function behind PCI Express has all `pciex` names before the `pci` names.
//!
//! The surprise is `pciSSSS,ssss`: the subsystem's numbers look like those of a device, so a card can be taken for
//! another one. The suffixes `,s` and `,p` of newer gates tell the two apart.

/// The numbers in a function's configuration space that its names are made of. The revision is not known: names that end
/// in one are asked for by what stands before it (`PciDevice::before_revision`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PciDevice {
    pub vendor: u16,
    pub device: u16,
    /// 0 where there is no subsystem.
    pub subsystem_vendor: u16,
    pub subsystem: u16,
    pub class: u8,
    pub subclass: u8,
    /// The programming interface.
    pub interface: u8,
}

/// How a function is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bus {
    Conventional,
    Express,
}

impl PciDevice {
    /// Reads a Linux modalias: `pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00`. `None` when it is of another
    /// bus, or has wildcards.
    pub fn from_modalias(alias: &str) -> Option<PciDevice> {
        let mut rest = alias.strip_prefix("pci:")?;
        let mut number = |key: &str, digits: usize| {
            rest = rest.strip_prefix(key)?;
            let (text, tail) = rest.split_at_checked(digits)?;
            rest = tail;
            text.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(text, 16).ok())?
        };
        let vendor = number("v", 8)?.try_into().ok()?;
        let device = number("d", 8)?.try_into().ok()?;
        let subsystem_vendor = number("sv", 8)?.try_into().ok()?;
        let subsystem = number("sd", 8)?.try_into().ok()?;
        let class = number("bc", 2)?.try_into().ok()?;
        let subclass = number("sc", 2)?.try_into().ok()?;
        let interface = number("i", 2)?.try_into().ok()?;
        rest.is_empty().then_some(PciDevice { vendor, device, subsystem_vendor, subsystem, class, subclass, interface })
    }

    /// The names, in the kernel's order.
    pub(super) fn names(&self, bus: Bus) -> Vec<String> {
        let mut names = Vec::new();
        if bus == Bus::Express {
            self.compatible("pciex", &mut names);
        }
        self.compatible("pci", &mut names);
        names.extend(self.node_name().map(str::to_owned));
        names
    }

    /// What stands before the revision, a hexadecimal number after a dot, in the names that have one.
    pub(super) fn before_revision(&self) -> Vec<String> {
        let of_bus = |prefix| [self.with_subsystem(prefix), Some(self.without_subsystem(prefix))];
        ["pciex", "pci"].into_iter().flat_map(of_bus).flatten().collect()
    }

    /// `None` where there is no subsystem.
    fn with_subsystem(&self, prefix: &str) -> Option<String> {
        let PciDevice { subsystem_vendor, subsystem, .. } = self;
        let name = self.without_subsystem(prefix);
        (*subsystem_vendor != 0).then(|| format!("{name}.{subsystem_vendor:x}.{subsystem:x}"))
    }

    fn without_subsystem(&self, prefix: &str) -> String {
        format!("{prefix}{:x},{:x}", self.vendor, self.device)
    }

    fn compatible(&self, prefix: &str, names: &mut Vec<String>) {
        let conventional = prefix == "pci";
        let PciDevice { subsystem_vendor, subsystem, .. } = self;
        if let Some(name) = self.with_subsystem(prefix) {
            names.push(name);
            if conventional && !self.has_shared_subsystem() {
                names.push(format!("{prefix}{subsystem_vendor:x},{subsystem:x},s"));
                if !self.is_bridge() {
                    names.push(format!("{prefix}{subsystem_vendor:x},{subsystem:x}"));
                }
            }
        }
        let name = self.without_subsystem(prefix);
        if conventional {
            names.push(format!("{name},p"));
        }
        names.push(name);
        let PciDevice { class, subclass, interface, .. } = self;
        names.push(format!("{prefix}class,{class:02x}{subclass:02x}{interface:02x}"));
        names.push(format!("{prefix}class,{class:02x}{subclass:02x}"));
    }

    /// The node's name where it is not made of the numbers (`process_devfunc` in pci_boot.c).
    fn node_name(&self) -> Option<&'static str> {
        match (self.class, self.subclass) {
            (0x01, 0x01) => Some("pci-ide"),
            (0x06, 0x01) => Some("isa"),
            (0x03, 0x00) => Some("display"),
            _ => None,
        }
    }

    /// A function with a header of type 1, a bridge from PCI to PCI.
    fn is_bridge(&self) -> bool {
        (self.class, self.subclass) == (0x06, 0x04)
    }

    /// Makers that give the subsystem a number that is taken (`pci_prop_no_subsys`).
    fn has_shared_subsystem(&self) -> bool {
        let nvidia_display = self.vendor == 0x10de && self.class == 0x03 && self.subclass == 0x00;
        let ivy_bridge = (self.vendor, self.device) == (0x8086, 0x0166)
            && (self.subsystem_vendor, self.subsystem) == (0x8086, 0x2044);
        nvidia_display || ivy_bridge
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(alias: &str, bus: Bus) -> Vec<String> {
        PciDevice::from_modalias(alias).unwrap().names(bus)
    }

    #[test]
    fn a_network_card_has_its_names_from_exact_to_general() {
        assert_eq!(
            names("pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00", Bus::Conventional),
            [
                "pci8086,100e.1af4.1100",
                "pci1af4,1100,s",
                "pci1af4,1100",
                "pci8086,100e,p",
                "pci8086,100e",
                "pciclass,020000",
                "pciclass,0200",
            ]
        );
    }

    #[test]
    fn express_names_go_first_and_have_no_bare_subsystem() {
        let names = names("pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00", Bus::Express);
        assert_eq!(names[..4], ["pciex8086,10d3.8086.0", "pciex8086,10d3", "pciexclass,020000", "pciexclass,0200"]);
        assert_eq!(names[4..7], ["pci8086,10d3.8086.0", "pci8086,0,s", "pci8086,0"]);
    }

    #[test]
    fn without_a_subsystem_there_are_no_names_of_one() {
        assert_eq!(
            names("pci:v00008086d00007111sv00000000sd00000000bc01sc01i8A", Bus::Conventional),
            ["pci8086,7111,p", "pci8086,7111", "pciclass,01018a", "pciclass,0101", "pci-ide",]
        );
    }

    #[test]
    fn bridges_and_shared_subsystems_lack_the_ambiguous_name() {
        let bridge = names("pci:v00001B36d0000000Csv00001AF4sd00000000bc06sc04i00", Bus::Conventional);
        assert!(bridge.contains(&"pci1af4,0,s".to_owned()) && !bridge.contains(&"pci1af4,0".to_owned()));
        let nvidia = names("pci:v000010DEd00000001sv00001043sd00000002bc03sc00i00", Bus::Conventional);
        assert!(!nvidia.iter().any(|name| name.starts_with("pci1043,2")));
    }

    #[test]
    fn other_aliases_are_no_pci_functions() {
        for alias in [
            "virtio:d00000001v00001AF4",
            "pci:v*d*sv*sd*bc*sc*i*",
            "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i0",
            "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00x",
            "pci:v10008086d0000100Esv00001AF4sd00001100bc02sc00i00",
            "pci:v+0008086d0000100Esv00001AF4sd00001100bc02sc00i00",
            "pci:v0000808é",
            "pci:",
        ] {
            assert_eq!(PciDevice::from_modalias(alias), None, "{alias}");
        }
    }
}
