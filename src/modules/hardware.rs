//! Hardware profiles (`rules/hardware/*.toml`): the devices of a known machine, in the words a device has for itself.
//!
//! A profile lists modaliases, not modules: which driver a device needs is for the target's `modules.alias` to say, so
//! one profile serves every kernel, and PCI ids serve illumos' `driver_aliases` too (see [`crate::drivers`]). Each device
//! has a class, so a recipe can ask for part of a machine: `hardware = ["qemu:network"]`.

use super::nearest::nearest;
use super::{Referrer, Request, Wanted};
use crate::reason::Priority;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The profiles that are part of minroot.
const BUILTIN: &[(&str, &str)] = &[
    ("bhyve", include_str!("../../rules/hardware/bhyve.toml")),
    ("none", include_str!("../../rules/hardware/none.toml")),
    ("qemu", include_str!("../../rules/hardware/qemu.toml")),
    ("qemu-e1000e", include_str!("../../rules/hardware/qemu-e1000e.toml")),
    ("virtio", include_str!("../../rules/hardware/virtio.toml")),
    ("virtualbox", include_str!("../../rules/hardware/virtualbox.toml")),
    ("vmware", include_str!("../../rules/hardware/vmware.toml")),
];

/// The devices of one machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// One line for `rules list`.
    pub summary: String,
    /// What is in it and what is not, and the reason.
    pub why: String,
    /// Where the ids can be checked.
    pub evidence: Vec<String>,
    #[serde(default, rename = "device")]
    pub devices: Vec<Device>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    pub name: String,
    pub class: Class,
    /// The modaliases of the device and of what appears behind it, in that order: a virtio card is a PCI device first
    /// and a virtio device when `virtio_pci` drives it. Empty for a device that Linux needs no module for.
    #[serde(default)]
    pub alias: Vec<String>,
    /// What illumos has beside the PCI and SCSI devices among the aliases: modaliases of PCI functions, names of device
    /// nodes.
    #[serde(default)]
    pub illumos: Vec<String>,
    #[serde(default)]
    pub comment: String,
}

/// What a device is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    Network,
    Storage,
    /// Serial ports and virtio consoles.
    Console,
    /// Random numbers.
    Entropy,
    /// USB controllers and the input devices and disks behind them.
    Usb,
    /// What the other devices hang on. It comes with every class: illumos has drivers for it, Linux has it built in.
    Bus,
}

const CLASSES: [(&str, Class); 6] = [
    ("network", Class::Network),
    ("storage", Class::Storage),
    ("console", Class::Console),
    ("entropy", Class::Entropy),
    ("usb", Class::Usb),
    ("bus", Class::Bus),
];

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HardwareError {
    #[error("there is no hardware profile `{name}`")]
    Unknown { name: String, nearest: Vec<String> },
    #[error(
        "the hardware profile `{name}` has no class `{class}`; the classes are network, storage, console, entropy, usb, bus"
    )]
    UnknownClass { name: String, class: String },
    #[error("cannot read the hardware profile `{}`", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot understand the hardware profile `{origin}`")]
    Syntax { origin: String, source: Box<toml::de::Error> },
    #[error("the hardware profile `{origin}` is wrong: {problem}")]
    Content { origin: String, problem: String },
}

impl HardwareError {
    /// What to do about it, where that can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            HardwareError::Unknown { nearest, .. } if nearest.is_empty() => {
                let known: Vec<&str> = builtin_profiles().collect();
                Some(format!("there are {}, and those that `--rules DIR` has in DIR/hardware", known.join(", ")))
            }
            HardwareError::Unknown { nearest, .. } => Some(format!("did you mean `{}`?", nearest.join("` or `"))),
            HardwareError::Syntax { .. } | HardwareError::Content { .. } => {
                Some("the profiles in rules/hardware are complete ones".to_owned())
            }
            // The text has the classes, and the operating system's words have hints of their own.
            HardwareError::UnknownClass { .. } | HardwareError::Read { .. } => None,
        }
    }
}

/// The names of the profiles that are part of minroot, sorted.
pub fn builtin_profiles() -> impl Iterator<Item = &'static str> {
    BUILTIN.iter().map(|(name, _)| *name)
}

/// Reads the profile `name`. The user's `DIRECTORY/hardware/NAME.toml` goes before minroot's own of that name.
///
/// # Errors
/// [`HardwareError`]; for bad TOML the cause has line and column.
pub fn profile(name: &str, directories: &[PathBuf]) -> Result<Profile, HardwareError> {
    let plain = !name.is_empty() && !name.contains(['/', '.', '\0']);
    for directory in directories.iter().filter(|_| plain) {
        let path = directory.join("hardware").join(format!("{name}.toml"));
        match std::fs::read_to_string(&path) {
            Ok(text) => return parse(&path.display().to_string(), &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(HardwareError::Read { path, source }),
        }
    }
    match BUILTIN.iter().find(|(builtin, _)| *builtin == name) {
        Some((_, text)) => parse(&format!("hardware/{name}"), text),
        None => {
            let own = directories.iter().flat_map(|directory| user_profiles(directory));
            let names: Vec<String> = own.chain(builtin_profiles().map(str::to_owned)).collect();
            let nearest = nearest(name, names.iter().map(String::as_str));
            Err(HardwareError::Unknown { name: name.to_owned(), nearest })
        }
    }
}

/// A device of a profile that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileDevice {
    /// The profile's name.
    pub profile: String,
    pub device: Device,
}

/// The devices of the recipe's `hardware` list: of profiles, or of single classes of them as in `qemu:network`, with
/// which come the profile's buses.
///
/// # Errors
/// As [`profile`], and for a class that does not exist or that the profile has no device of.
pub fn devices(hardware: &[String], directories: &[PathBuf]) -> Result<Vec<ProfileDevice>, HardwareError> {
    let mut wanted_devices = Vec::new();
    for wanted in hardware {
        let (name, class) = wanted.split_once(':').map_or((wanted.as_str(), None), |(n, c)| (n, Some(c)));
        let mut devices = profile(name, directories)?.devices;
        if let Some(text) = class {
            let known = CLASSES.iter().find(|(word, _)| *word == text).map(|(_, class)| *class);
            if !devices.iter().any(|device| Some(device.class) == known) {
                return Err(HardwareError::UnknownClass { name: name.to_owned(), class: text.to_owned() });
            }
            devices.retain(|device| device.class == Class::Bus || Some(device.class) == known);
        }
        wanted_devices.extend(devices.into_iter().map(|device| ProfileDevice { profile: name.to_owned(), device }));
    }
    Ok(wanted_devices)
}

/// What the recipe's `hardware` list wants of Linux: every modalias of its [`devices`].
///
/// # Errors
/// As [`devices`].
pub fn requests(hardware: &[String], directories: &[PathBuf]) -> Result<Vec<Request>, HardwareError> {
    let mut requests = Vec::new();
    for ProfileDevice { profile, device } in devices(hardware, directories)? {
        let by = Referrer::Profile { profile, device: device.name };
        requests.extend(device.alias.into_iter().map(|alias| Request {
            by: by.clone(),
            wanted: Wanted::Alias(alias),
            priority: Priority::Recommended,
        }));
    }
    Ok(requests)
}

fn parse(origin: &str, text: &str) -> Result<Profile, HardwareError> {
    let profile: Profile = toml::from_str(text)
        .map_err(|source| HardwareError::Syntax { origin: origin.to_owned(), source: Box::new(source) })?;
    for device in &profile.devices {
        let problem = |problem| HardwareError::Content {
            origin: origin.to_owned(),
            problem: format!("device `{}`: {problem}", device.name),
        };
        if device.alias.is_empty() && device.illumos.is_empty() {
            return Err(problem("it has no alias".to_owned()));
        }
        for alias in device.alias.iter().chain(&device.illumos) {
            check_alias(alias).map_err(|expected| problem(format!("`{alias}` is not of the form {expected}")))?;
        }
    }
    Ok(profile)
}

/// The forms of the common buses (scripts/mod/file2alias.c), where `#` is an upper-case hexadecimal digit. A device
/// says what it is, so there is no wildcard; a lower-case digit would match nothing.
fn check_alias(alias: &str) -> Result<(), &'static str> {
    const FORMS: [&str; 3] =
        ["pci:v########d########sv########sd########bc##sc##i##", "virtio:d########v########", "scsi:t-0x"];
    let bus = |text: &str| text.split_once(':').map(|(bus, _)| bus.to_owned());
    let form = match FORMS.iter().find(|form| bus(form) == bus(alias)) {
        Some(form) if form.ends_with("0x") => return alias.starts_with(form).then_some(()).ok_or("scsi:t-0x##"),
        Some(form) => form,
        None if alias.is_empty() || alias.contains(['*', '?', '[', ' ']) => return Err("an alias without wildcards"),
        None => return Ok(()),
    };
    let fits = |(expected, actual): (u8, u8)| match expected {
        b'#' => matches!(actual, b'0'..=b'9' | b'A'..=b'F'),
        literal => literal == actual,
    };
    (form.len() == alias.len() && form.bytes().zip(alias.bytes()).all(fits)).then_some(()).ok_or(form)
}

/// The profiles a user's rules directory has; an unreadable one has none to suggest.
fn user_profiles(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory.join("hardware")).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| name.strip_suffix(".toml").map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "summary = 's'\nwhy = 'w'\nevidence = ['e']\n";

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn every_builtin_profile_reads_and_cites_its_source() {
        for name in builtin_profiles() {
            let profile = profile(name, &[]).unwrap();
            assert!(!profile.summary.is_empty() && !profile.why.is_empty() && !profile.evidence.is_empty(), "{name}");
            let mut devices: Vec<_> = profile.devices.iter().map(|d| &d.name).collect();
            devices.sort();
            devices.dedup();
            assert_eq!(devices.len(), profile.devices.len(), "{name}: two devices of one name");
        }
    }

    #[test]
    fn every_profile_file_is_compiled_in() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
        let mut files = user_profiles(&directory);
        files.sort();
        assert_eq!(files, builtin_profiles().collect::<Vec<_>>());
    }

    #[test]
    fn a_class_narrows_a_profile() {
        let all = requests(&names(&["qemu"]), &[]).unwrap();
        let network = requests(&names(&["qemu:network"]), &[]).unwrap();
        assert!(network.len() < all.len() && !network.is_empty());
        assert!(requests(&names(&["none"]), &[]).unwrap().is_empty());
        let error = requests(&names(&["qemu:netwrk"]), &[]).unwrap_err();
        assert!(error.to_string().contains("no class `netwrk`"), "{error}");
    }

    #[test]
    fn a_mistyped_profile_gets_a_suggestion() {
        let error = requests(&names(&["vritio"]), &[]).unwrap_err();
        assert_eq!(error.to_string(), "there is no hardware profile `vritio`");
        assert_eq!(error.hint().as_deref(), Some("did you mean `virtio`?"));
        assert!(matches!(profile("../hardware/qemu", &[]), Err(HardwareError::Unknown { .. })));
    }

    #[test]
    fn unknown_keys_are_errors_with_their_place() {
        let error = parse("x", &format!("{HEAD}[[device]]\nname='n'\nclass='network'\nalais=[]\n")).unwrap_err();
        let HardwareError::Syntax { source, .. } = error else { panic!("{error}") };
        assert!(source.to_string().contains("unknown field `alais`"), "{source}");
    }

    #[test]
    fn an_alias_that_could_never_match_is_refused() {
        let check = |alias: &str, good: bool| assert_eq!(check_alias(alias).is_ok(), good, "{alias}");
        check("pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00", true);
        check("pci:v00008086d0000100esv00001AF4sd00001100bc02sc00i00", false);
        check("pci:v00008086d0000100Esv*sd*bc*sc*i*", false);
        check("pci:v8086d100E", false);
        check("virtio:d00000001v00001AF4", true);
        check("virtio:d1v1AF4", false);
        check("scsi:t-0x05", true);
        check("scsi:5", false);
        check("char-major-4-64", true);
        check("char-major-4-*", false);
    }

    #[test]
    fn a_directory_of_the_user_goes_first() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("hardware")).unwrap();
        let text = format!("{HEAD}[[device]]\nname='n'\nclass='storage'\nalias=['scsi:t-0x00']\n");
        std::fs::write(directory.path().join("hardware/virtio.toml"), text).unwrap();
        let directories = [directory.path().to_owned()];
        assert_eq!(profile("virtio", &directories).unwrap().devices[0].name, "n");
        assert_eq!(profile("qemu", &directories).unwrap(), profile("qemu", &[]).unwrap());
    }
}
