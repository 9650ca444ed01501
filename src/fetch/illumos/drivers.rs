//! Adds drivers to the databases that the kernel and devfsadm read, as add_drv(8) would.
//!
//! Text in, text out: nothing here knows where the files are. Entries that are there already stay as they are, so adding
//! a driver again changes nothing. The formats are those of illumos-gate usr/src/cmd/modload (add_drv.c, drvsubr.c).

use super::add_line;
use std::collections::BTreeSet;

/// A driver as a package declares it: a `driver` action, or the options of add_drv(8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DriverAction {
    pub name: String,
    /// Names of devices that it drives, such as `pci8086,100e`.
    pub aliases: Vec<String>,
    pub classes: Vec<String>,
    /// `MINOR MODE OWNER GROUP`.
    pub permissions: Vec<String>,
    /// The same for minor nodes of the `clone` driver; without `MINOR` it is the driver's name.
    pub clone_permissions: Vec<String>,
    /// `[MINOR] read_priv_set=PRIVILEGES write_priv_set=PRIVILEGES`.
    pub policies: Vec<String>,
    pub privileges: Vec<String>,
    /// Lines for `/etc/devlink.tab`, `\t` for a tab.
    pub links: Vec<String>,
}

/// The texts of the databases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseTexts {
    pub name_to_major: String,
    pub driver_aliases: String,
    pub driver_classes: String,
    pub minor_perm: String,
    pub device_policy: String,
    pub extra_privs: String,
    pub devlink_tab: String,
}

impl DatabaseTexts {
    /// Where the texts belong, in the order of [`DatabaseTexts::into_texts`].
    pub const FILES: [&str; 7] = [
        "/etc/name_to_major",
        "/etc/driver_aliases",
        "/etc/driver_classes",
        "/etc/minor_perm",
        "/etc/security/device_policy",
        "/etc/security/extra_privs",
        "/etc/devlink.tab",
    ];

    /// Texts in the order of [`DatabaseTexts::FILES`].
    pub fn from_texts(texts: [String; 7]) -> DatabaseTexts {
        let [name_to_major, driver_aliases, driver_classes, minor_perm, device_policy, extra_privs, devlink_tab] =
            texts;
        DatabaseTexts {
            name_to_major,
            driver_aliases,
            driver_classes,
            minor_perm,
            device_policy,
            extra_privs,
            devlink_tab,
        }
    }

    /// The texts in the order of [`DatabaseTexts::FILES`].
    pub fn into_texts(self) -> [String; 7] {
        [
            self.name_to_major,
            self.driver_aliases,
            self.driver_classes,
            self.minor_perm,
            self.device_policy,
            self.extra_privs,
            self.devlink_tab,
        ]
    }

    /// Adds a driver. A new one gets the lowest major number that is free.
    ///
    /// # Errors
    /// Words for the field that would damage a database; nothing is added then.
    pub fn add(&mut self, driver: &DriverAction) -> Result<(), &'static str> {
        let name = &driver.name;
        check(driver)?;
        if !self.name_to_major.lines().any(|line| line.split_whitespace().next() == Some(name)) {
            let major = free_major(&self.name_to_major);
            add_line(&mut self.name_to_major, &format!("{name} {major}"));
        }
        for alias in &driver.aliases {
            let alias = alias.trim_matches('"');
            if !self.driver_aliases.lines().any(|line| is_alias(line, name, alias)) {
                add_line(&mut self.driver_aliases, &format!("{name} \"{alias}\""));
            }
        }
        for class in &driver.classes {
            add_fields(&mut self.driver_classes, &format!("{name}\t{class}"));
        }
        for permission in &driver.permissions {
            add_fields(&mut self.minor_perm, &format!("{name}:{permission}"));
        }
        for permission in &driver.clone_permissions {
            let named = permission.split_whitespace().count() > 3;
            let minor = if named { String::new() } else { format!("{name} ") };
            add_fields(&mut self.minor_perm, &format!("clone:{minor}{permission}"));
        }
        for policy in &driver.policies {
            // A policy that begins with a setting is for all minor nodes.
            let (minor, settings) = match policy.split_once(char::is_whitespace) {
                Some((minor, settings)) if !minor.contains('=') => (minor, settings.trim()),
                _ => ("*", policy.as_str()),
            };
            let device = if minor == "*" { name.clone() } else { format!("{name}:{minor}") };
            add_fields(&mut self.device_policy, &format!("{device}\t{settings}"));
        }
        for privilege in &driver.privileges {
            add_fields(&mut self.extra_privs, &format!("{name}:{privilege}"));
        }
        for link in &driver.links {
            add_fields(&mut self.devlink_tab, &link.replace("\\t", "\t"));
        }
        Ok(())
    }
}

fn check(driver: &DriverAction) -> Result<(), &'static str> {
    let is_word =
        |text: &String| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '"' || c == ':');
    let is_line = |text: &String| !text.trim().is_empty() && !text.contains(['\n', '\r']);
    let has_fields =
        |text: &String, counts: &[usize]| is_line(text) && counts.contains(&text.split_whitespace().count());
    if !is_word(&driver.name) {
        return Err("its name is no word");
    }
    if !driver.aliases.iter().all(|alias| is_word(&alias.trim_matches('"').replace(':', ""))) {
        return Err("an alias is no word");
    }
    if !driver.classes.iter().all(is_word) {
        return Err("a class is no word");
    }
    if !driver.permissions.iter().all(|text| has_fields(text, &[4])) {
        return Err("a permission is not `MINOR MODE OWNER GROUP`");
    }
    if !driver.clone_permissions.iter().all(|text| has_fields(text, &[3, 4])) {
        return Err("a clone permission is not `[MINOR] MODE OWNER GROUP`");
    }
    if !driver.policies.iter().chain(&driver.links).all(is_line) {
        return Err("a policy or a link is no line");
    }
    if driver.privileges.iter().all(is_word) { Ok(()) } else { Err("a privilege is no word") }
}

/// Major numbers begin at 0; what is reserved is in the file.
fn free_major(name_to_major: &str) -> u32 {
    let taken: BTreeSet<u32> = name_to_major
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse().ok())
        .collect();
    (0..).find(|number| !taken.contains(number)).unwrap_or(u32::MAX)
}

fn is_alias(line: &str, name: &str, alias: &str) -> bool {
    let mut fields = line.split_whitespace();
    fields.next() == Some(name) && fields.next().map(|field| field.trim_matches('"')) == Some(alias)
}

/// Adds a line unless one with the same fields is there, however they are spaced.
fn add_fields(text: &mut String, line: &str) {
    let same = |old: &str| old.split_whitespace().eq(line.split_whitespace());
    if !text.lines().any(same) {
        add_line(text, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn driver() -> DriverAction {
        DriverAction {
            name: "vnet".to_owned(),
            aliases: words(&["pci1,2", "\"pci1,3\""]),
            classes: words(&["net"]),
            permissions: words(&["* 0666 root sys", "a,cu 0600 uucp uucp"]),
            clone_permissions: words(&["0666 root sys", "ptmx 0666 root sys"]),
            policies: words(&["read_priv_set=net_rawaccess", "ctl  write_priv_set=none", "* read_priv_set=x"]),
            privileges: words(&["sys_vnet"]),
            links: words(&["type=ddi_pseudo;name=vnet\\t\\D"]),
        }
    }

    #[test]
    fn a_driver_is_added_to_each_database_once() {
        let mut databases = DatabaseTexts {
            name_to_major: "# cn 3\ncn 0\nrootnex 1\nzfs 3".to_owned(),
            driver_aliases: "vnet pci1,2\n".to_owned(),
            minor_perm: "vnet:*  0666 root\tsys\n".to_owned(),
            ..DatabaseTexts::default()
        };
        databases.add(&driver()).unwrap();
        let once = databases.clone();
        databases.add(&driver()).unwrap();
        assert_eq!(databases, once);
        assert_eq!(once.name_to_major, "# cn 3\ncn 0\nrootnex 1\nzfs 3\nvnet 2\n");
        assert_eq!(once.driver_aliases, "vnet pci1,2\nvnet \"pci1,3\"\n");
        assert_eq!(once.driver_classes, "vnet\tnet\n");
        assert_eq!(
            once.minor_perm,
            "vnet:*  0666 root\tsys\nvnet:a,cu 0600 uucp uucp\nclone:vnet 0666 root sys\nclone:ptmx 0666 root sys\n"
        );
        assert_eq!(
            once.device_policy,
            "vnet\tread_priv_set=net_rawaccess\nvnet:ctl\twrite_priv_set=none\nvnet\tread_priv_set=x\n"
        );
        assert_eq!(
            (once.extra_privs.as_str(), once.devlink_tab.as_str()),
            ("vnet:sys_vnet\n", "type=ddi_pseudo;name=vnet\t\\D\n")
        );
        assert_eq!(DatabaseTexts::from_texts(once.clone().into_texts()), once);
    }

    #[test]
    fn a_field_that_would_damage_a_database_is_refused() {
        let mut databases = DatabaseTexts::default();
        for bad in [
            DriverAction { name: "a b".to_owned(), ..driver() },
            DriverAction { name: String::new(), ..driver() },
            DriverAction { aliases: words(&["a\nb"]), ..driver() },
            DriverAction { permissions: words(&["* 0666 root"]), ..driver() },
            DriverAction { permissions: words(&["* 0666 root\nsys"]), ..driver() },
            DriverAction { policies: words(&["x\ny"]), ..driver() },
            DriverAction { privileges: words(&[""]), ..driver() },
        ] {
            assert!(databases.add(&bad).is_err(), "{bad:?}");
        }
        assert_eq!(databases, DatabaseTexts::default());
    }
}
