//! The driver databases of an illumos root: text to facts, facts to the drivers a machine needs, and trimmed text again.
//!
//! ```text
//! /etc/name_to_major, driver_aliases, … ──► DriverDatabases ──► modules_for(devices)   which driver, by which alias
//! drivers' .conf files ─────────────────┘         ├───────────► trim(kept)             the image's own copies
//!                                                 └───────────► problems(kept)         what does not fit together
//! ```
//!
//! Nothing here reads files: [`DriverDatabases::read`] asks the caller for their content. A caller that traces an image
//!
//! 1. reads the databases of the source root;
//! 2. asks [`DriverDatabases::modules_for`] with the devices of [`crate::modules::hardware::devices`], and looks for
//!    `drv/NAME` on the kernel's module path; [`DriverDatabases::conf`] names the `.conf` that belongs to a driver;
//! 3. when the set of drivers stands, writes what [`DriverDatabases::trim`] gives instead of the originals, and reports
//!    [`DriverDatabases::problems`] and [`DriverDatabases::notes`].
//!
//! The surprise: a driver is tied to its device through up to five files that do not name each other. No alias helps
//! without a major number, no major number without a `.conf` if the device is a pseudo device, and a disk behind a
//! controller may need the controller's class. Everything else in the image can be right and the device still not be
//! there, without a message.
//!
//! Sources: usr/src/uts/common/os/modsysfile.c and modctl.c of illumos-gate; add_drv(8), driver.conf(5), system(5).

mod autopush;
mod conf;
mod dacf;
mod device_policy;
mod driver_aliases;
mod driver_classes;
mod extra_privs;
mod hardware;
mod lex;
mod mach;
mod minor_perm;
mod name_to_major;
mod name_to_sysnum;
mod path_to_inst;
mod pci;
mod problems;
mod sock2path;
mod system;
mod table;
mod trim;

pub use autopush::Autopush;
pub use conf::{ConfNode, DriverConf, Property, PropertyValue};
pub use dacf::{DacfDevices, DacfRule};
pub use device_policy::DevicePolicy;
pub use driver_aliases::DriverAlias;
pub use driver_classes::DriverClass;
pub use hardware::{Binding, Chosen};
pub use mach::PlatformModules;
pub use minor_perm::MinorPermission;
pub use name_to_major::MajorNumber;
pub use name_to_sysnum::SystemCall;
pub use path_to_inst::{BOOTSTRAP, Instance};
pub use pci::PciDevice;
pub use problems::{Problem, Severity};
pub use sock2path::SocketPath;
pub use system::{Setting, SystemCommand};
pub use table::{Note, Table};

use crate::path::RootPath;
use crate::resolve::krtld::ModulePath;
use std::collections::BTreeMap;

/// Everything the databases of one root say. A file that is not there is `None` or absent from its list.
#[derive(Debug, Clone)]
pub struct DriverDatabases {
    pub name_to_major: Option<Table<MajorNumber>>,
    pub driver_aliases: Option<Table<DriverAlias>>,
    /// `/etc/ppt_aliases`: the devices that bhyve passes through to its machines, as aliases of the driver `ppt`.
    pub ppt_aliases: Option<Table<DriverAlias>>,
    pub driver_classes: Option<Table<DriverClass>>,
    pub minor_perm: Option<Table<MinorPermission>>,
    pub name_to_sysnum: Option<Table<SystemCall>>,
    pub dacf: Option<Table<DacfRule>>,
    pub autopush: Option<Table<Autopush>>,
    pub path_to_inst: Option<Table<Instance>>,
    pub mach: Option<Table<PlatformModules>>,
    pub device_policy: Option<Table<DevicePolicy>>,
    pub extra_privs: Option<Table<String>>,
    /// The files of `/etc/sock2path.d`, by name.
    pub sock2path: Vec<Table<SocketPath>>,
    /// `/etc/system.d/.self-assembly` and the other files of that directory by name, then `/etc/system`.
    pub system: Vec<Table<SystemCommand>>,
    /// As the last `moddir` of the system files says.
    pub module_path: ModulePath,
    /// By driver.
    confs: BTreeMap<String, DriverConf>,
    /// Driver to number; where a driver has several, the first.
    majors: BTreeMap<String, u32>,
    /// Alias to driver, for drivers with a number; where an alias occurs twice, the first.
    aliases: BTreeMap<String, String>,
}

impl DriverDatabases {
    /// Reads all databases.
    ///
    /// `read` gives the content of a file of the root, `None` when there is none; `list` the names of the files in a
    /// directory in any order, none when there is no such directory. Paths are absolute inside the root.
    pub fn read(read: &dyn Fn(&str) -> Option<Vec<u8>>, list: &dyn Fn(&str) -> Vec<String>) -> DriverDatabases {
        let name_to_major = table(read, "/etc/name_to_major", name_to_major::read_line);
        let driver_aliases = table(read, "/etc/driver_aliases", driver_aliases::read_line);
        let majors = majors(name_to_major.as_ref());
        let sock2path = fragments(read, list, "/etc/sock2path.d", sock2path::read_line);
        let mut system = fragments(read, list, "/etc/system.d", system::read_line);
        system.sort_by_key(|table| table.path().file_name() != b".self-assembly");
        system.extend(table(read, "/etc/system", system::read_line));
        let module_path = module_path(&system);
        let conf = |driver: &String| Some((driver.clone(), read_conf(read, &module_path, driver)?));
        let confs = majors.keys().filter_map(conf).collect();
        DriverDatabases {
            ppt_aliases: table(read, "/etc/ppt_aliases", driver_aliases::read_line),
            driver_classes: table(read, "/etc/driver_classes", driver_classes::read_line),
            minor_perm: table(read, "/etc/minor_perm", minor_perm::read_line),
            name_to_sysnum: table(read, "/etc/name_to_sysnum", name_to_sysnum::read_line),
            dacf: table(read, "/etc/dacf.conf", dacf::read_line),
            autopush: table(read, "/etc/iu.ap", autopush::read_line),
            path_to_inst: table(read, "/etc/path_to_inst", path_to_inst::read_line),
            mach: table(read, "/etc/mach", mach::read_line),
            device_policy: table(read, "/etc/security/device_policy", device_policy::read_line),
            extra_privs: table(read, "/etc/security/extra_privs", extra_privs::read_line),
            aliases: aliases(driver_aliases.as_ref(), &majors),
            name_to_major,
            driver_aliases,
            sock2path,
            system,
            module_path,
            confs,
            majors,
        }
    }

    /// Every driver with a major number, sorted.
    pub fn drivers(&self) -> impl Iterator<Item = &str> {
        self.majors.keys().map(String::as_str)
    }

    /// The driver's major number.
    pub fn major(&self, driver: &str) -> Option<u32> {
        self.majors.get(driver).copied()
    }

    /// The driver of a device with this name: the driver of that very name, else the one that has it as an alias. Only
    /// drivers with a major number count (`ddi_name_to_major`).
    pub fn driver_of(&self, name: &str) -> Option<&str> {
        match self.majors.get_key_value(name) {
            Some((driver, _)) => Some(driver),
            None => self.aliases.get(name).map(String::as_str),
        }
    }

    /// The `.conf` that the kernel reads for a driver: the first on the module path.
    pub fn conf(&self, driver: &str) -> Option<&DriverConf> {
        self.confs.get(driver)
    }

    /// The drivers that export a class of children, in the order of `driver_classes`.
    pub fn exporters<'d>(&'d self, class: &'d str) -> impl Iterator<Item = &'d str> {
        let entries = self.driver_classes.iter().flat_map(Table::entries);
        entries.filter(move |(_, entry)| entry.class == class).map(|(_, entry)| &entry.driver[..])
    }

    /// All lines that could not be understood, file by file in the order of the fields; a trimmed copy leaves them out.
    pub fn notes(&self) -> Vec<&Note> {
        fn of<'d, T: 'd>(tables: impl IntoIterator<Item = &'d Table<T>>) -> impl Iterator<Item = &'d Note> {
            tables.into_iter().flat_map(|table| table.notes())
        }
        of(&self.name_to_major)
            .chain(of(&self.driver_aliases))
            .chain(of(&self.ppt_aliases))
            .chain(of(&self.driver_classes))
            .chain(of(&self.minor_perm))
            .chain(of(&self.name_to_sysnum))
            .chain(of(&self.dacf))
            .chain(of(&self.autopush))
            .chain(of(&self.path_to_inst))
            .chain(of(&self.mach))
            .chain(of(&self.device_policy))
            .chain(of(&self.extra_privs))
            .chain(of(&self.sock2path))
            .chain(of(&self.system))
            .chain(self.confs.values().flat_map(|conf| &conf.notes))
            .collect()
    }
}

fn table<T>(
    read: &dyn Fn(&str) -> Option<Vec<u8>>,
    path: &str,
    read_line: fn(&str) -> Result<Option<T>, String>,
) -> Option<Table<T>> {
    let text = read(path)?;
    Some(Table::parse(RootPath::new(path).ok()?, &text, read_line))
}

/// The files of a directory as tables, by name. A name that cannot be a file of the directory is passed over.
fn fragments<T>(
    read: &dyn Fn(&str) -> Option<Vec<u8>>,
    list: &dyn Fn(&str) -> Vec<String>,
    directory: &str,
    read_line: fn(&str) -> Result<Option<T>, String>,
) -> Vec<Table<T>> {
    let mut names = list(directory);
    names.sort();
    names.dedup();
    names.retain(|name| !name.is_empty() && !name.contains('/') && name != "." && name != "..");
    names.iter().filter_map(|name| table(read, &format!("{directory}/{name}"), read_line)).collect()
}

/// `setparams` of modsysfile.c: a later `moddir` takes the place of an earlier one.
fn module_path(system: &[Table<SystemCommand>]) -> ModulePath {
    let commands = system.iter().flat_map(Table::entries).map(|(_, command)| command);
    let moddir = commands.filter_map(|command| match command {
        SystemCommand::ModuleDirectories(directories) => Some(ModulePath::of_moddir(directories)),
        _ => None,
    });
    moddir.last().unwrap_or_default()
}

/// The first `drv/NAME.conf` on the module path, which is searched without `amd64` (`hwc_parse` of modsysfile.c).
fn read_conf(read: &dyn Fn(&str) -> Option<Vec<u8>>, module_path: &ModulePath, driver: &str) -> Option<DriverConf> {
    // A name that would leave the directory is no file's name.
    if driver.contains('/') {
        return None;
    }
    module_path.directories(None).into_iter().find_map(|directory| {
        let path = format!("{}/drv/{driver}.conf", String::from_utf8(directory).ok()?);
        Some(conf::parse(RootPath::new(&path).ok()?, &read(&path)?))
    })
}

fn majors(table: Option<&Table<MajorNumber>>) -> BTreeMap<String, u32> {
    let mut majors = BTreeMap::new();
    for (_, entry) in table.into_iter().flat_map(Table::entries) {
        majors.entry(entry.driver.clone()).or_insert(entry.major);
    }
    majors
}

fn aliases(table: Option<&Table<DriverAlias>>, majors: &BTreeMap<String, u32>) -> BTreeMap<String, String> {
    let mut aliases = BTreeMap::new();
    for (_, entry) in table.into_iter().flat_map(Table::entries).filter(|(_, e)| majors.contains_key(&e.driver)) {
        for alias in &entry.aliases {
            aliases.entry(alias.clone()).or_insert_with(|| entry.driver.clone());
        }
    }
    aliases
}

/// Small databases for the tests of this module.
#[cfg(test)]
mod fixture {
    use super::DriverDatabases;

    /// Databases from (path, content) pairs.
    pub fn databases(files: &[(&str, &str)]) -> DriverDatabases {
        let read =
            |path: &str| files.iter().find(|(name, _)| *name == path).map(|(_, content)| content.as_bytes().to_vec());
        let list = |directory: &str| {
            let below = files.iter().filter_map(|(path, _)| path.strip_prefix(directory)?.strip_prefix('/'));
            below.filter(|name| !name.contains('/')).map(str::to_owned).collect()
        };
        DriverDatabases::read(&read, &list)
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::databases;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_name_is_the_driver_itself_before_it_is_an_alias() {
        let found = databases(&[
            ("/etc/name_to_major", "ata 1\nide 2\nghosts 3\nsd 4\n"),
            (
                "/etc/driver_aliases",
                "ata \"ide\"\nata \"ide2\"\nghost \"scsiclass,00\"\nsd \"scsiclass,00\"\nide ide2\n",
            ),
        ]);
        assert_eq!(found.driver_of("ide"), Some("ide"));
        assert_eq!(found.driver_of("ide2"), Some("ata"));
        assert_eq!(found.driver_of("scsiclass,00"), Some("sd"));
        assert_eq!(found.driver_of("nothing"), None);
        assert_eq!((found.major("sd"), found.major("ghost")), (Some(4), None));
    }

    #[test]
    fn the_first_conf_on_the_module_path_counts() {
        let found = databases(&[
            ("/etc/name_to_major", "asy 1\n../x 2\n\"../x\" 3\n"),
            ("/kernel/drv/asy.conf", "b=1;"),
            ("/platform/i86pc/kernel/drv/asy.conf", "a=1;"),
        ]);
        assert_eq!(found.conf("asy").unwrap().path.as_bytes(), b"/platform/i86pc/kernel/drv/asy.conf");
        assert!(found.conf("../x").is_none());
    }

    #[test]
    fn the_last_moddir_says_where_confs_are() {
        let found = databases(&[
            ("/etc/name_to_major", "asy 1\nwc 2\n"),
            ("/etc/system.d/.self-assembly", "moddir: /first\n"),
            ("/etc/system", "moddir: test:/kernel\n"),
            ("/first/drv/asy.conf", "a=1;"),
            ("/kernel/drv/asy.conf", "b=1;"),
            ("/test/drv/asy.conf", "c=1;"),
            ("/usr/kernel/drv/wc.conf", "d=1;"),
        ]);
        assert_eq!(found.conf("asy").unwrap().path.as_bytes(), b"/test/drv/asy.conf");
        assert!(found.conf("wc").is_none());
    }

    #[test]
    fn fragments_are_read_by_name_and_the_assembled_file_first() {
        let found = databases(&[
            ("/etc/system", "set a=1\n"),
            ("/etc/system.d/zz", "set b=1\n"),
            ("/etc/system.d/.self-assembly", "set c=1\n"),
            ("/etc/sock2path.d/b", "2 2 0 tcp\n"),
            ("/etc/sock2path.d/a", "bad\n"),
        ]);
        let names: Vec<String> = found.system.iter().map(|table| table.path().to_string()).collect();
        assert_eq!(names, ["/etc/system.d/.self-assembly", "/etc/system.d/zz", "/etc/system"]);
        assert_eq!(found.sock2path.len(), 2);
        assert_eq!(found.notes()[0].to_string(), "/etc/sock2path.d/a:1: 1 fields instead of three or four");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_text_is_read_trimmed_and_judged(
            text in "([a-c]|[ \t\r\n;,:=]|[*#\"\\\\/&|]|-?[0-9]|0x|pseudo|parent|class|name|set|exclude|drv/){0,80}",
        ) {
            let paths = [
                "/etc/driver_aliases", "/etc/ppt_aliases", "/etc/driver_classes", "/etc/minor_perm", "/etc/name_to_sysnum", "/etc/dacf.conf",
                "/etc/iu.ap", "/etc/path_to_inst", "/etc/mach", "/etc/security/device_policy", "/etc/sock2path.d/x",
                "/etc/security/extra_privs", "/etc/system", "/etc/system.d/x", "/kernel/drv/a.conf",
            ];
            let mut files: Vec<(&str, &str)> = paths.iter().map(|path| (*path, &text[..])).collect();
            let numbers = format!("a 1\nb 2\n{text}");
            files.push(("/etc/name_to_major", &numbers));
            let found = databases(&files);
            for kept in [BTreeSet::new(), ["a".to_owned()].into()] {
                found.problems(&kept);
                found.trim(&kept);
            }
        }
    }

    #[test]
    fn an_empty_root_has_nothing() {
        let found = databases(&[]);
        assert_eq!(found.drivers().count(), 0);
        assert!(found.name_to_major.is_none() && found.notes().is_empty());
    }
}
