//! The tables as they are on disk: tab separated, one header line. README.md beside them says what they mean.

use super::error::ModelError;
use std::fs;
use std::path::PathBuf;

/// Which state of illumos.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Year {
    /// October 2015: kernel and userland in 32 and 64 bits, GRUB. The packages of the `mvi` lists only.
    Y2015,
    /// January 2025: a 64-bit kernel, the illumos loader. All packages.
    Y2025,
}

impl Year {
    /// Seconds since 1970 of the commit the tables come from: the time of every file.
    pub fn time(self) -> i64 {
        match self {
            Year::Y2015 => 1_445_212_800,
            Year::Y2025 => 1_737_676_800,
        }
    }

    fn packages(self) -> &'static str {
        match self {
            Year::Y2015 => "packages_2015.tsv",
            Year::Y2025 => "packages.tsv",
        }
    }
}

/// What a package does to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Directory,
    File,
    Link,
    HardLink,
}

/// One row of a packages table.
#[derive(Debug, Clone)]
pub struct Action {
    pub package: String,
    /// SVR4 name; empty when it is not known.
    pub tribblix: String,
    pub verb: Verb,
    /// Without a leading slash.
    pub path: String,
    /// 0 for links, which have none.
    pub mode: u32,
    pub owner: String,
    pub group: String,
    /// Of links, as written.
    pub target: String,
    pub attributes: String,
}

/// One row of a links table: one fact about an object.
#[derive(Debug, Clone)]
pub struct LinkFact {
    pub object: String,
    pub is_64: bool,
    pub executable: bool,
    pub tag: String,
    pub value: String,
    pub lazy: bool,
}

/// One kernel module of 2025.
#[derive(Debug, Clone)]
pub struct KernelModule {
    pub path: String,
    pub name: String,
    /// Such as `drv`, or `(top)`.
    pub namespace: String,
    pub package: String,
    /// Such as `misc/usbser`.
    pub depends: Vec<String>,
}

/// One driver action of 2025; lists as in the table.
#[derive(Debug, Clone)]
pub struct Driver {
    pub name: String,
    pub package: String,
    pub classes: String,
    pub aliases: String,
    pub permissions: String,
    pub clone_permissions: String,
    pub policy: String,
    pub privileges: String,
    pub other: String,
}

/// The tables a year's root is made from.
pub struct Tables {
    pub year: Year,
    pub actions: Vec<Action>,
    /// The actions of 2025 too, for 2015: what stands in for facts that the smaller tables lack.
    pub actions_2025: Vec<Action>,
    pub links: Vec<LinkFact>,
    /// As `actions_2025`.
    pub links_2025: Vec<LinkFact>,
    pub modules: Vec<KernelModule>,
    pub drivers: Vec<Driver>,
    /// IPS name and SVR4 name, the latter empty when not known; of all packages of 2025, empty and obsolete ones too.
    pub packages: Vec<(String, String)>,
}

impl Tables {
    /// Reads what the year needs.
    ///
    /// # Errors
    /// [`ModelError::Read`], [`ModelError::Column`], [`ModelError::Field`].
    pub fn load(year: Year) -> Result<Tables, ModelError> {
        let (actions_2025, links_2025) = match year {
            Year::Y2015 => (actions(Year::Y2025)?, links("userland_links.tsv")?),
            Year::Y2025 => Default::default(),
        };
        let own_links = match year {
            Year::Y2015 => "userland_links_2015.tsv",
            Year::Y2025 => "userland_links.tsv",
        };
        Ok(Tables {
            year,
            actions: actions(year)?,
            actions_2025,
            links: links(own_links)?,
            links_2025,
            modules: modules()?,
            drivers: drivers()?,
            packages: package_names()?,
        })
    }
}

fn actions(year: Year) -> Result<Vec<Action>, ModelError> {
    let table = Table::read(year.packages())?;
    let columns = ["package", "tribblix_name", "action", "path", "mode", "owner", "group", "target", "attributes"];
    let action =
        |(line, [package, tribblix, verb, path, mode, owner, group, target, attributes]): (usize, [&str; 9])| {
            let damaged = |field| ModelError::Field { table: table.name, line, field };
            Ok(Action {
                package: package.to_owned(),
                tribblix: tribblix.to_owned(),
                verb: match verb {
                    "dir" => Verb::Directory,
                    "file" => Verb::File,
                    "link" => Verb::Link,
                    "hardlink" => Verb::HardLink,
                    _ => return Err(damaged("action")),
                },
                path: path.to_owned(),
                mode: if mode.is_empty() { 0 } else { u32::from_str_radix(mode, 8).map_err(|_| damaged("mode"))? },
                owner: owner.to_owned(),
                group: group.to_owned(),
                target: target.to_owned(),
                attributes: attributes.to_owned(),
            })
        };
    table.rows(columns)?.map(action).collect()
}

fn links(name: &'static str) -> Result<Vec<LinkFact>, ModelError> {
    let table = Table::read(name)?;
    let fact = |(line, [object, bits, kind, tag, value, lazy]): (usize, [&str; 6])| {
        let damaged = |field| ModelError::Field { table: name, line, field };
        Ok(LinkFact {
            object: object.to_owned(),
            is_64: match bits {
                "32" => false,
                "64" => true,
                _ => return Err(damaged("bits")),
            },
            executable: kind == "exe",
            tag: tag.to_owned(),
            // Two kinds of shell quotes of the Makefiles are left in the tables: `'$ORIGIN` and `\$PLATFORM`.
            value: value.replace(['\'', '\\'], ""),
            lazy: lazy == "yes",
        })
    };
    table.rows(["object", "bits", "kind", "tag", "dep", "lazy"])?.map(fact).collect()
}

fn modules() -> Result<Vec<KernelModule>, ModelError> {
    let table = Table::read("kmods.tsv")?;
    let module = |(_, [path, name, namespace, package, depends]): (usize, [&str; 5])| {
        let depends = match (namespace, name) {
            // The table repeats here what it says of the kernel of that name; a debugger module needs the debugger.
            ("kmdb", "unix") => "misc/kmdbmod",
            // Modules without source.
            _ if depends == "unknown" => "",
            _ => depends,
        };
        KernelModule {
            path: path.to_owned(),
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            package: package.to_owned(),
            depends: depends.split_whitespace().map(str::to_owned).collect(),
        }
    };
    Ok(table.rows(["module", "name", "namespace", "package", "depends"])?.map(module).collect())
}

fn drivers() -> Result<Vec<Driver>, ModelError> {
    let table = Table::read("drivers.tsv")?;
    let columns = ["driver", "package", "class", "aliases", "perms", "clone_perms", "policy", "privs", "other"];
    let driver = |(_, row): (usize, [&str; 9])| {
        let [name, package, classes, aliases, permissions, clone_permissions, policy, privileges, other] =
            row.map(str::to_owned);
        Driver { name, package, classes, aliases, permissions, clone_permissions, policy, privileges, other }
    };
    Ok(table.rows(columns)?.map(driver).collect())
}

fn package_names() -> Result<Vec<(String, String)>, ModelError> {
    let table = Table::read("package_list.tsv")?;
    let names = |(_, [ips, tribblix]): (usize, [&str; 2])| (ips.to_owned(), tribblix.to_owned());
    Ok(table.rows(["package", "tribblix_name"])?.map(names).collect())
}

/// A table in memory.
struct Table {
    name: &'static str,
    text: String,
}

impl Table {
    fn read(name: &'static str) -> Result<Table, ModelError> {
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/illumos")).join(name);
        let text = fs::read_to_string(&path).map_err(|source| ModelError::Read { path, source })?;
        Ok(Table { name, text })
    }

    /// The wanted columns of every row, with its line number. A row may end early: empty fields at its end are absent.
    fn rows<const N: usize>(
        &self,
        columns: [&'static str; N],
    ) -> Result<impl Iterator<Item = (usize, [&str; N])>, ModelError> {
        let mut lines = self.text.lines().enumerate();
        let header: Vec<&str> = lines.next().map_or_else(Vec::new, |(_, line)| line.split('\t').collect());
        let mut places = [0; N];
        for (place, column) in places.iter_mut().zip(columns) {
            *place = header
                .iter()
                .position(|title| *title == column)
                .ok_or(ModelError::Column { table: self.name, column })?;
        }
        Ok(lines.map(move |(index, line)| {
            let fields: Vec<&str> = line.split('\t').collect();
            (index + 1, places.map(|place| fields.get(place).copied().unwrap_or("")))
        }))
    }
}
