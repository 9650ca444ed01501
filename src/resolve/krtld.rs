//! The illumos kernel's runtime linker: where a module's needs are (`usr/src/uts/common/krtld/kobj.c`,
//! `usr/src/uts/common/sys/modctl.h`).
//!
//! A name is `class/module`, such as `misc/usbser`. It is looked for below each directory of the module path: that of
//! the platform, `/kernel`, `/usr/kernel`, or else those that `moddir` of `/etc/system` names. On a 64-bit kernel
//! `amd64` goes between class and module; what is not found so is looked for once more with the name as it stands, which
//! may have `amd64` in it already. A driver's `.conf` is found by the same path, always without `amd64`.

use super::{Outcome, Probe, Step};
use crate::objects::elf::Elf;
use crate::path::{RootPath, escaped};
use crate::root::{Found, Root};

/// The platform when nothing tells which: a PC.
const PLATFORM: &[u8] = b"i86pc";

/// Where the kernel of each class is, on an ISO and in the archive that it starts: the linker opens the name that it was
/// started by once more, inside the archive.
pub const UNIX_32: &str = "/platform/i86pc/kernel/unix";
pub const UNIX_64: &str = "/platform/i86pc/kernel/amd64/unix";

/// Modules that the linker has built in or passes over: `unix` names the second.
const SKIPPED: [&[u8]; 1] = [b"dtracestubs"];

/// The directories that modules are looked for in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModulePath {
    /// What `moddir` says, absolute and without a slash at the end; empty for the kernel's own path.
    moddir: Vec<Vec<u8>>,
}

impl ModulePath {
    /// The path of a kernel whose `/etc/system` has a `moddir` with these directories; its own when there are none.
    pub fn of_moddir(directories: &[String]) -> ModulePath {
        // `kobj_open_path` puts a slash before a directory that begins with none.
        let absolute = |directory: &String| [b"/", directory.trim_matches('/').as_bytes()].concat();
        let moddir = directories.iter().map(absolute).map(|path| path.strip_suffix(b"/").unwrap_or(&path).to_vec());
        ModulePath { moddir: moddir.collect() }
    }

    /// The directories in order, for a kernel below `/platform/PLATFORM`: `MOD_DEFPATH` with that of the platform before
    /// it, or `moddir`, which takes the place of all of them.
    pub fn directories(&self, platform: Option<&[u8]>) -> Vec<Vec<u8>> {
        if !self.moddir.is_empty() {
            return self.moddir.clone();
        }
        let platform = [b"/platform/", platform.unwrap_or(PLATFORM), b"/kernel"].concat();
        vec![platform, b"/kernel".to_vec(), b"/usr/kernel".to_vec()]
    }

    /// Reads a module's path; `None` when no kernel looks there.
    pub fn place<'p>(&self, path: &'p RootPath) -> Option<ModulePlace<'p>> {
        let below = |directory: &Vec<u8>| path.as_bytes().strip_prefix(&directory[..])?.strip_prefix(b"/");
        ModulePlace::of(path).or_else(|| {
            self.moddir.iter().filter_map(below).find_map(|rest| {
                let components: Vec<&[u8]> = rest.split(|byte| *byte == b'/').collect();
                let (class, name) = class_and_name(&components).filter(|(class, _)| !class.is_empty())?;
                Some(ModulePlace { platform: None, class, name })
            })
        })
    }

    /// Where the kernel below `platform` finds the module `name` for a module of `bits`.
    ///
    /// # Errors
    /// Every place tried.
    pub fn find(&self, root: &Root, platform: Option<&[u8]>, bits: u8, name: &[u8]) -> Result<Found, Vec<Probe>> {
        let mut probes = Vec::new();
        let spellings = [(bits == 64).then(|| with_isa(name)), Some(name.to_vec())];
        // A name without a class, `genunix`, is of the kernel's core: it is loaded before anybody reads `/etc/system`.
        let own = ModulePath::default();
        let directories = if name.contains(&b'/') { self } else { &own }.directories(platform);
        for spelling in spellings.into_iter().flatten() {
            for directory in &directories {
                let path = [&directory[..], b"/", &spelling].concat();
                match root.lookup_spelled(&path) {
                    Ok(found) => return Ok(found),
                    Err(_) => probes.push(Probe {
                        path: escaped(&path).to_string(),
                        step: Step::ModulePath,
                        outcome: Outcome::Absent,
                    }),
                }
            }
        }
        Err(probes)
    }

    /// The configuration file of a driver, if it has one.
    pub fn configuration(&self, root: &Root, module: &ModulePlace<'_>) -> Option<Found> {
        if module.class != b"drv" {
            return None;
        }
        let file = [b"/drv/", module.name, b".conf"].concat();
        let directories = self.directories(module.platform);
        directories.iter().find_map(|directory| root.lookup_spelled(&[&directory[..], &file].concat()).ok())
    }
}

/// A module as its path tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModulePlace<'p> {
    /// The platform's name, when the module is below `/platform`.
    pub platform: Option<&'p [u8]>,
    /// `drv`, `misc`, `fs` …; empty for `unix` and `genunix`.
    pub class: &'p [u8],
    pub name: &'p [u8],
}

impl<'p> ModulePlace<'p> {
    /// Reads a path such as `/platform/i86pc/kernel/drv/amd64/rootnex`; `None` when no kernel looks there.
    pub fn of(path: &'p RootPath) -> Option<ModulePlace<'p>> {
        let components: Vec<&[u8]> = path.components().collect();
        let (platform, below) = match &components[..] {
            [b"platform", platform, b"kernel", below @ ..] => (Some(*platform), below),
            [b"kernel", below @ ..] | [b"usr", b"kernel", below @ ..] => (None, below),
            _ => return None,
        };
        let (class, name) = class_and_name(below)?;
        Some(ModulePlace { platform, class, name })
    }

    /// Whether the linker loads the module's needs with the kernel itself, before anybody reads `/etc/system`.
    pub fn is_primary(&self) -> bool {
        self.class.is_empty()
    }
}

/// The class and the name that the components below a directory of the module path tell.
fn class_and_name<'p>(below: &[&'p [u8]]) -> Option<(&'p [u8], &'p [u8])> {
    match below {
        [name] | [b"amd64", name] => Some((b"", name)),
        [class, b"amd64", name] => Some((class, name)),
        [class, name] if *name != b"amd64" => Some((class, name)),
        _ => None,
    }
}

/// What a module asks for, without what the linker passes over.
pub fn needed(elf: &Elf) -> impl Iterator<Item = &[u8]> {
    let names = if elf.module_needed.is_empty() { elf.needed() } else { &elf.module_needed };
    names.iter().map(|name| &name[..]).filter(|name| !SKIPPED.contains(name))
}

/// `misc/usbser` → `misc/amd64/usbser`, `genunix` → `amd64/genunix`.
fn with_isa(name: &[u8]) -> Vec<u8> {
    match memchr::memrchr(b'/', name) {
        Some(slash) => [&name[..=slash], b"amd64/", &name[slash + 1..]].concat(),
        None => [b"amd64/", name].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modules_path_tells_its_class() {
        let check = |path: &str, expected: Option<(Option<&str>, &str, &str)>| {
            let path = RootPath::new(path).unwrap();
            let place = ModulePlace::of(&path);
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let place = place.map(|p| (p.platform.map(text), text(p.class), text(p.name)));
            let expected = expected.map(|(p, c, n)| (p.map(str::to_owned), c.to_owned(), n.to_owned()));
            assert_eq!(place, expected, "{path}");
        };
        check("/kernel/misc/amd64/usbser", Some((None, "misc", "usbser")));
        check("/kernel/drv/cn", Some((None, "drv", "cn")));
        check("/platform/i86pc/kernel/amd64/unix", Some((Some("i86pc"), "", "unix")));
        check("/kernel/amd64/genunix", Some((None, "", "genunix")));
        check("/usr/kernel/drv/amd64/dtrace", Some((None, "drv", "dtrace")));
        check("/usr/lib/libc.so.1", None);
        check("/kernel/a/b/c/d", None);
    }

    #[test]
    fn the_isa_goes_before_the_last_component() {
        assert_eq!(with_isa(b"misc/usbser"), b"misc/amd64/usbser");
        assert_eq!(with_isa(b"genunix"), b"amd64/genunix");
    }

    #[test]
    fn a_name_that_has_the_isa_already_is_found_as_it_stands() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("kernel/misc/amd64")).unwrap();
        std::fs::write(directory.path().join("kernel/misc/amd64/scsi"), "").unwrap();
        let root = Root::open(directory.path()).unwrap();
        for name in ["misc/scsi", "misc/amd64/scsi"] {
            let found = ModulePath::default().find(&root, None, 64, name.as_bytes()).unwrap();
            assert_eq!(found.path.to_string(), "/kernel/misc/amd64/scsi");
        }
        let probes = ModulePath::default().find(&root, None, 32, b"misc/scsi").unwrap_err();
        let tried: Vec<&str> = probes.iter().map(|probe| &probe.path[..]).collect();
        assert_eq!(tried, ["/platform/i86pc/kernel/misc/scsi", "/kernel/misc/scsi", "/usr/kernel/misc/scsi"]);
    }
    #[test]
    fn the_directories_of_moddir_take_the_place_of_the_kernels_own() {
        let directories = |moddir: &[&str]| {
            let moddir: Vec<String> = moddir.iter().map(|&directory| directory.to_owned()).collect();
            let path = ModulePath::of_moddir(&moddir);
            (path.directories(Some(b"i86hvm")).iter().map(|directory| escaped(directory).to_string()).collect(), path)
        };
        let (own, path): (Vec<String>, _) = directories(&[]);
        assert_eq!(own, ["/platform/i86hvm/kernel", "/kernel", "/usr/kernel"]);
        let module = RootPath::new("/test/drv/amd64/e1000g").unwrap();
        assert_eq!(path.place(&module), None);
        let (named, path): (Vec<String>, _) = directories(&["test/", "/kernel", "/"]);
        assert_eq!(named, ["/test", "/kernel", ""]);
        assert_eq!(path.place(&module), Some(ModulePlace { platform: None, class: b"drv", name: b"e1000g" }));
        assert_eq!(path.place(&RootPath::new("/testing/drv/e1000g").unwrap()), None);
    }
}
