//! The driver databases in `/etc`, assembled for the drivers that the chosen packages deliver, and the drivers' `.conf`
//! files. Formats: the manual pages of the same names in section 5, add_drv(8).

use super::tables::{Driver, Tables};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Drivers whose major number is their place in this list, as in `usr/src/uts/intel/os/name_to_major`; `-` is nobody's.
const SEEDED: &str = "dump fssnap kstat ksyms logindmux ptm pts aggr arp bl clone conskbd bridge cn consms cpuid crypto \
    cryptoadm dld dlpistub icmp icmp6 ip ip6 ipnet ippctl ipsecah ipsecesp iptun bnx iwscn kb8042 keysock kmdb - llc1 \
    lofi log mm mouse8042 nulldriver openeepr options ptc poll physmem pseudo ptsl rts random sad scsi_vhci kvm vioblk \
    simnet sgen softmac spdsock st sy sysevent sysmsg tcp tcp6 tl udp vnic udp6 wc acpi_drv";

/// The first number given to the others.
const FIRST_FREE_MAJOR: usize = 100;

/// Drivers without hardware: they attach because their `.conf` file says so.
const PSEUDO: &str = "aggr arp clone cn conskbd consms crypto cryptoadm devinfo dld dtrace dump fssnap icmp icmp6 ip ip6 \
    ipnet ipsecah ipsecesp iptun iwscn keysock kstat ksyms llc1 lofi log logindmux mm nulldriver openeepr physmem \
    pm poll pool ptc ptm pts ptsl ramdisk random rts sad simnet softmac spdsock sy sysevent sysmsg tcp tcp6 tl udp \
    udp6 vnic wc zcons zfs";

/// The assembled texts.
pub struct Databases {
    texts: HashMap<&'static str, String>,
}

impl Databases {
    /// Assembles them for the drivers among the delivered files.
    pub fn new(tables: &Tables, delivered: &BTreeSet<&str>) -> Databases {
        let names: BTreeSet<&str> = delivered.iter().filter_map(|path| driver_name(path)).collect();
        // A package may offer a driver twice, for two settings of an image; the second is not the usual one.
        let usual = |driver: &&Driver| driver.other != "variant.smrt.aliases=true";
        let drivers = tables.drivers.iter().filter(usual).filter(|driver| names.contains(driver.name.as_str()));
        let mut drivers: Vec<&Driver> = drivers.collect();
        drivers.sort_by_key(|driver| &driver.name);
        let texts = [
            ("etc/name_to_major", name_to_major(tables, &names)),
            ("etc/driver_aliases", driver_aliases(&drivers)),
            ("etc/driver_classes", driver_classes(&drivers)),
            ("etc/minor_perm", minor_perm(&drivers)),
            ("etc/security/device_policy", device_policy(&drivers)),
            ("etc/security/extra_privs", extra_privs(&drivers)),
            ("etc/devlink.tab", devlink_tab(&drivers)),
        ];
        Databases { texts: texts.into() }
    }

    /// The database at a path.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// The `.conf` file of a driver, driver.conf(5).
    pub fn driver_configuration(&self, path: &str) -> Option<String> {
        let (directory, file) = path.rsplit_once('/')?;
        let name = file.strip_suffix(".conf").filter(|_| directory.ends_with("kernel/drv"))?;
        let pseudo = PSEUDO.split_whitespace().any(|driver| driver == name);
        // The instance that the name /ramdisk-root is looked for at.
        let instance = if name == "ramdisk" { 1024 } else { 0 };
        Some(match pseudo {
            true => format!("name=\"{name}\" parent=\"pseudo\" instance={instance};\n"),
            false => format!("# {name}: found by the devices it drives, no instances of its own\n"),
        })
    }
}

/// The driver that a file below a directory `kernel/drv` is.
fn driver_name(path: &str) -> Option<&str> {
    let (directory, name) = path.rsplit_once('/')?;
    let directory = directory.strip_suffix("/amd64").unwrap_or(directory);
    (directory.ends_with("kernel/drv") && !name.ends_with(".conf")).then_some(name)
}

/// One `name number` a line. A driver has the same number whatever packages are chosen.
fn name_to_major(tables: &Tables, names: &BTreeSet<&str>) -> String {
    let seeded: HashMap<&str, usize> = SEEDED.split_whitespace().enumerate().map(|(n, name)| (name, n)).collect();
    let delivered = tables.actions.iter().filter_map(|action| driver_name(&action.path));
    let modules = tables.modules.iter().filter(|module| module.namespace == "drv").map(|module| module.name.as_str());
    let others: BTreeSet<&str> = delivered.chain(modules).filter(|name| !seeded.contains_key(name)).collect();
    let others = others.into_iter().enumerate().map(|(n, name)| (name, FIRST_FREE_MAJOR + n));
    let numbers = seeded.iter().map(|(name, number)| (*name, *number)).chain(others);
    let lines: BTreeMap<usize, &str> =
        numbers.filter(|(name, _)| names.contains(name)).map(|(name, number)| (number, name)).collect();
    lines.into_iter().map(|(number, name)| format!("{name} {number}\n")).collect()
}

fn driver_aliases(drivers: &[&Driver]) -> String {
    let aliases = |driver: &&Driver| {
        let name = driver.name.clone();
        words(&driver.aliases).map(|alias| format!("{name} \"{alias}\"\n")).collect::<String>()
    };
    drivers.iter().map(aliases).collect()
}

fn driver_classes(drivers: &[&Driver]) -> String {
    let mut text = "# driver\tclass\n".to_owned();
    for driver in drivers {
        words(&driver.classes).for_each(|class| text.push_str(&format!("{}\t{class}\n", driver.name)));
    }
    text
}

/// `driver:minor mode owner group`; the minors of a clone driver are listed under `clone`.
fn minor_perm(drivers: &[&Driver]) -> String {
    let mut text = String::new();
    for driver in drivers {
        items(&driver.permissions).for_each(|line| text.push_str(&format!("{}:{line}\n", driver.name)));
        items(&driver.clone_permissions).for_each(|line| text.push_str(&format!("clone:{line}\n")));
    }
    text
}

/// `driver[:minor] read_priv_set=... write_priv_set=...`, after the line for all other devices.
fn device_policy(drivers: &[&Driver]) -> String {
    let mut text = "# device\tpolicy\n*\t\tread_priv_set=none\twrite_priv_set=none\n".to_owned();
    for driver in drivers {
        for policy in items(&driver.policy) {
            let (minor, sets): (Vec<&str>, Vec<&str>) = words(policy).partition(|word| !word.contains('='));
            let minor = minor.first().map_or_else(String::new, |minor| format!(":{minor}"));
            text.push_str(&format!("{}{minor}\t{}\n", driver.name, sets.join("\t")));
        }
    }
    text
}

fn extra_privs(drivers: &[&Driver]) -> String {
    let mut text = "# privileges that drivers define, one a line\n".to_owned();
    for driver in drivers {
        words(&driver.privileges).for_each(|privilege| text.push_str(&format!("{privilege}\n")));
    }
    text
}

fn devlink_tab(drivers: &[&Driver]) -> String {
    let mut text = "# devfs-spec\tdev-spec\textra-dev-spec\n".to_owned();
    for line in drivers.iter().filter_map(|driver| driver.other.strip_prefix("devlink=")) {
        text.push_str(&line.replace("\\t", "\t"));
        text.push('\n');
    }
    text
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(';').map(str::trim).filter(|item| !item.is_empty())
}
