//! The illumos kernel's runtime linker: where a module's needs are (`usr/src/uts/common/krtld/kobj.c`,
//! `usr/src/uts/common/sys/modctl.h`).
//!
//! A name is `class/module`, such as `misc/usbser`. It is looked for below each directory of the module path: that of
//! the platform, `/kernel`, `/usr/kernel`. On a 64-bit kernel `amd64` goes between class and module; what is not found
//! so is looked for once more with the name as it stands, which may have `amd64` in it already. A driver's `.conf` is
//! found by the same path, always without `amd64`.

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
        let (class, name) = match below {
            [name] | [b"amd64", name] => (&b""[..], *name),
            [class, b"amd64", name] => (*class, *name),
            [class, name] if *name != b"amd64" => (*class, *name),
            _ => return None,
        };
        Some(ModulePlace { platform, class, name })
    }
}

/// What a module asks for, without what the linker passes over.
pub fn needed(elf: &Elf) -> impl Iterator<Item = &[u8]> {
    let names = if elf.module_needed.is_empty() { elf.needed() } else { &elf.module_needed };
    names.iter().map(|name| &name[..]).filter(|name| !SKIPPED.contains(name))
}

/// Where the kernel finds the module `name` for a module of `bits` below `platform`.
///
/// # Errors
/// Every place tried.
pub fn find(root: &Root, platform: Option<&[u8]>, bits: u8, name: &[u8]) -> Result<Found, Vec<Probe>> {
    let mut probes = Vec::new();
    let spellings = [(bits == 64).then(|| with_isa(name)), Some(name.to_vec())];
    for spelling in spellings.into_iter().flatten() {
        for directory in module_path(platform) {
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
pub fn configuration(root: &Root, module: &ModulePlace<'_>) -> Option<Found> {
    if module.class != b"drv" {
        return None;
    }
    let file = [b"drv/", module.name, b".conf"].concat();
    module_path(module.platform).find_map(|directory| root.lookup_spelled(&[&directory[..], b"/", &file].concat()).ok())
}

/// `MOD_DEFPATH` with the platform's directory before it.
fn module_path(platform: Option<&[u8]>) -> impl Iterator<Item = Vec<u8>> {
    let platform = [b"/platform/", platform.unwrap_or(PLATFORM), b"/kernel"].concat();
    [platform, b"/kernel".to_vec(), b"/usr/kernel".to_vec()].into_iter()
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
            assert_eq!(find(&root, None, 64, name.as_bytes()).unwrap().path.to_string(), "/kernel/misc/amd64/scsi");
        }
        let probes = find(&root, None, 32, b"misc/scsi").unwrap_err();
        let tried: Vec<&str> = probes.iter().map(|probe| &probe.path[..]).collect();
        assert_eq!(tried, ["/platform/i86pc/kernel/misc/scsi", "/kernel/misc/scsi", "/usr/kernel/misc/scsi"]);
    }
}
