//! The kernels of an image and its kernel arguments to the lines of `/boot/loader.conf`.
//!
//! The surprising thing is `${ISADIR}`, which the loader sets to `amd64` on a 64-bit processor and to nothing on others:
//! `/platform/i86pc/${ISADIR}/boot_archive` names two files, so an image with both kernels needs the archive under both
//! names. A name without the variable is right only where there is one kernel.

use crate::path::RootPath;
use crate::resolve::krtld::{UNIX_32, UNIX_64};

/// Which kernels an image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernels {
    /// [`UNIX_64`].
    Bits64,
    /// [`UNIX_32`].
    Bits32,
    Both,
}

/// What the configuration says.
#[derive(Debug, Clone, Copy)]
pub struct LoaderConf<'a> {
    pub kernels: Kernels,
    /// Options of the kernel such as `-v` and `-B console=ttya`.
    pub kernel_args: &'a str,
    /// There is a digest beside the archive.
    pub hash: bool,
    /// Show the menu instead of starting at once.
    pub menu: bool,
}

/// Why arguments cannot be written into a configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoaderConfError {
    #[error("the kernel arguments have {0:?}, which the configuration of the loader cannot express")]
    BadCharacter(char),
    #[error("the kernel arguments have the word `multiboot`, on which the kernel panics on purpose")]
    Multiboot,
}

const ARCHIVE_64: &str = "/platform/i86pc/amd64/boot_archive";
const ARCHIVE_32: &str = "/platform/i86pc/boot_archive";
const ARCHIVE_OF_BOTH: &str = "/platform/i86pc/${ISADIR}/boot_archive";

/// Seconds before the menu starts the default.
const MENU_DELAY: u32 = 5;

impl Kernels {
    /// The kernels among some paths.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a RootPath>) -> Option<Kernels> {
        let paths: Vec<&[u8]> = paths.into_iter().map(RootPath::as_bytes).collect();
        match (paths.contains(&UNIX_32.as_bytes()), paths.contains(&UNIX_64.as_bytes())) {
            (true, true) => Some(Kernels::Both),
            (true, false) => Some(Kernels::Bits32),
            (false, true) => Some(Kernels::Bits64),
            (false, false) => None,
        }
    }

    /// The variable `kernel`: a kernel that is alone is named, so that a 32-bit image starts on a 64-bit machine too.
    fn kernel_directory(self) -> &'static str {
        match self {
            Kernels::Bits64 => "i86pc/kernel/amd64",
            Kernels::Bits32 => "i86pc/kernel",
            Kernels::Both => "i86pc/kernel/${ISADIR}",
        }
    }

    /// The kernel that a machine of 64 bits starts.
    pub fn first_unix(self) -> &'static str {
        match self {
            Kernels::Bits64 | Kernels::Both => UNIX_64,
            Kernels::Bits32 => UNIX_32,
        }
    }

    /// Under which names the archive has to be on the ISO.
    pub fn archive_paths(self) -> Vec<RootPath> {
        let names: &[&str] = match self {
            Kernels::Bits64 => &[ARCHIVE_64],
            Kernels::Bits32 => &[ARCHIVE_32],
            Kernels::Both => &[ARCHIVE_64, ARCHIVE_32],
        };
        names.iter().map(|name| RootPath::new(name).expect("a constant")).collect()
    }

    fn archive_name(self) -> &'static str {
        match self {
            Kernels::Bits64 => ARCHIVE_64,
            Kernels::Bits32 => ARCHIVE_32,
            Kernels::Both => ARCHIVE_OF_BOTH,
        }
    }
}

impl LoaderConf<'_> {
    /// The text. Every value is in double quotes, as the loader's parser demands (usr/src/boot/forth/support.4th).
    ///
    /// # Errors
    /// [`LoaderConfError`]
    pub fn text(&self) -> Result<String, LoaderConfError> {
        check_arguments(self.kernel_args)?;
        let name = self.kernels.archive_name();
        let mut lines = vec![
            ("kernel", self.kernels.kernel_directory().to_owned()),
            ("boot_archive_load", "YES".to_owned()),
            ("boot_archive_type", "rootfs".to_owned()),
            ("boot_archive_name", name.to_owned()),
            // A digest of another archive that happens to be there would make the kernel panic.
            ("boot_archive.hash_load", if self.hash { "YES" } else { "NO" }.to_owned()),
        ];
        if self.hash {
            lines.push(("boot_archive.hash_type", "hash".to_owned()));
            lines.push(("boot_archive.hash_name", format!("{name}.hash")));
        }
        if let Some(console) = console(self.kernel_args) {
            lines.push(("console", console.to_owned()));
            lines.push(("os_console", console.to_owned()));
        }
        if !self.kernel_args.trim().is_empty() {
            lines.push(("boot-args", self.kernel_args.trim().to_owned()));
        }
        if self.menu {
            lines.push(("autoboot_delay", MENU_DELAY.to_string()));
        } else {
            lines.push(("beastie_disable", "YES".to_owned()));
            lines.push(("autoboot_delay", "-1".to_owned()));
        }
        Ok(lines.iter().map(|(variable, value)| format!("{variable}=\"{value}\"\n")).collect())
    }
}

/// Refuses what the kernel or the configuration of a boot loader cannot take.
///
/// # Errors
/// [`LoaderConfError`]
pub fn check_arguments(kernel_args: &str) -> Result<(), LoaderConfError> {
    // `$` would be expanded, and a backslash quotes.
    let bad = |c: &char| c.is_control() || matches!(c, '"' | '$' | '\\');
    if let Some(bad) = kernel_args.chars().find(bad) {
        return Err(LoaderConfError::BadCharacter(bad));
    }
    // usr/src/uts/i86pc/dboot/dboot_startkern.c takes it for the name of the 32-bit program `multiboot` of old.
    if kernel_args.contains("multiboot") {
        return Err(LoaderConfError::Multiboot);
    }
    Ok(())
}

/// The value of the boot property `console`, so that the loader speaks where the kernel will.
fn console(kernel_args: &str) -> Option<&str> {
    let words: Vec<&str> = kernel_args.split_whitespace().collect();
    let lists = words.windows(2).filter(|pair| pair[0] == "-B").map(|pair| pair[1]);
    lists.flat_map(|list| list.split(',')).filter_map(|property| property.strip_prefix("console=")).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(kernels: Kernels, kernel_args: &str) -> LoaderConf<'_> {
        LoaderConf { kernels, kernel_args, hash: false, menu: false }
    }

    #[test]
    fn the_archive_has_every_name_that_its_variable_can_expand_to() {
        for kernels in [Kernels::Bits64, Kernels::Bits32, Kernels::Both] {
            let text = conf(kernels, "").text().unwrap();
            let line = text.lines().find(|line| line.starts_with("boot_archive_name")).unwrap();
            let name = line.split('"').nth(1).unwrap();
            let mut expanded: Vec<String> =
                ["amd64", ""].iter().map(|isa| name.replace("${ISADIR}", isa).replace("//", "/")).collect();
            expanded.dedup();
            let paths: Vec<String> = kernels.archive_paths().iter().map(RootPath::to_string).collect();
            assert_eq!(paths, expanded);
        }
    }

    #[test]
    fn the_loader_speaks_on_the_console_of_the_kernel() {
        let text = conf(Kernels::Bits64, "-v -B acpi-user-options=2,console=ttya").text().unwrap();
        let expected = "kernel=\"i86pc/kernel/amd64\"\n\
                        boot_archive_load=\"YES\"\n\
                        boot_archive_type=\"rootfs\"\n\
                        boot_archive_name=\"/platform/i86pc/amd64/boot_archive\"\n\
                        boot_archive.hash_load=\"NO\"\n\
                        console=\"ttya\"\n\
                        os_console=\"ttya\"\n\
                        boot-args=\"-v -B acpi-user-options=2,console=ttya\"\n\
                        beastie_disable=\"YES\"\n\
                        autoboot_delay=\"-1\"\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_digest_is_named_like_the_archive() {
        let text = LoaderConf { hash: true, ..conf(Kernels::Both, "") }.text().unwrap();
        assert!(text.contains("boot_archive.hash_name=\"/platform/i86pc/${ISADIR}/boot_archive.hash\"\n"), "{text}");
    }

    #[test]
    fn what_the_configuration_cannot_express_is_refused() {
        for bad in ['"', '$', '\\', '\n'] {
            let error = conf(Kernels::Bits64, &format!("-v {bad}")).text().unwrap_err();
            assert_eq!(error, LoaderConfError::BadCharacter(bad));
        }
        assert_eq!(conf(Kernels::Bits64, "-B x=multiboot").text(), Err(LoaderConfError::Multiboot));
    }
}
