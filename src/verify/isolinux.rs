//! What isolinux does: its own image, its configuration, the kernel and the archive that this names.
//!
//! The configuration format is in syslinux's doc/syslinux.txt, the messages are those of `isolinux.asm` and of
//! `ldlinux.c32` 6.04 (com32/elflink/ldlinux). A missing file is only noticed when it is loaded, long after the menu.

use super::arguments::Arguments;
use super::iso::{BootFile, Chain, nearest, with_cause};
use super::{Component, Finding, Report, Severity};
use crate::iso::eltorito::{self, CatalogEntry};
use crate::iso::{CD_SECTOR, ISOLINUX_DIRECTORIES, IsoEntry, IsoImage, IsoKind, ReadError};
use crate::path::RootPath;
use crate::text::size;

/// Blocks of 512 bytes that the firmware has to load: isolinux's first sector, which loads the rest.
const FIRST_LOAD: u16 = 4;

/// The largest image read for the check of its boot info table; isolinux has 40 KB.
const MAX_IMAGE: u64 = 4 << 20;

/// The largest configuration read.
const MAX_CONFIG: u64 = 1 << 20;

/// Follows the BIOS entry of the boot catalog; `None` when it leads to no kernel.
pub(super) fn follow(image: &IsoImage, entry: &CatalogEntry, report: &mut Report) -> Option<Chain> {
    // A damaged directory is told when a file in it is looked for.
    let files: Vec<IsoEntry> = image.walk().unwrap_or_default();
    if !check_image(image, entry, &files, report) {
        return None;
    }
    let (path, text) = match read_config(image) {
        Ok(Some(found)) => found,
        Ok(None) => {
            let hint = format!("it looks for isolinux.cfg in {}", ISOLINUX_DIRECTORIES.join(", "));
            report.find(prevents("WARNING: No configuration file found").hint(hint));
            return None;
        }
        Err(error) => {
            report.find(prevents(with_cause(&error)));
            return None;
        }
    };
    check_ldlinux(image, report);
    let config = Config::parse(&text);
    for include in &config.includes {
        let message = format!("`INCLUDE {include}` is not followed: what it says was not checked");
        report.find(Finding::new(Severity::Warning, Component::Isolinux, message).at(&path));
    }
    let Some(label) = config.default_label() else {
        report.find(
            prevents("No DEFAULT or UI configuration directive found!")
                .at(&path)
                .hint("write `DEFAULT` with the name of a label"),
        );
        return None;
    };
    report.saw(Component::Isolinux, &path, format_args!("starts `{}`", label.name));
    Some(load(image, &path, &label, &files, report))
}

/// The image that the firmware loads; whether it is isolinux.
fn check_image(image: &IsoImage, entry: &CatalogEntry, files: &[IsoEntry], report: &mut Report) -> bool {
    let at = u64::from(entry.sector) * CD_SECTOR;
    let file = files.iter().find(|file| file.kind == IsoKind::File && file.sector == entry.sector);
    let name = file.map_or_else(|| format!("sector {}", entry.sector), |file| file.path.to_string());
    // Without a name the table itself has to say how long the image is.
    let length = file.map(|file| file.size).or_else(|| {
        let mut field = [0; 4];
        image.image().read_exact_at(at + 16, &mut field).ok()?;
        Some(u64::from(u32::from_le_bytes(field)))
    });
    let bytes = length
        .filter(|length| *length <= MAX_IMAGE)
        .and_then(|length| image.image().slice(at, length))
        .and_then(|blob| blob.read().ok());
    let Some(bytes) = bytes else {
        let message = "Disk error: the boot image does not lie inside the ISO";
        report.find(prevents(message).at(&name).hint("the image is cut short; write it again"));
        return false;
    };
    if memchr::memmem::find(&bytes[..bytes.len().min(CD_SECTOR as usize)], b"ISOLINUX").is_none() {
        let message = "the BIOS boot image is not isolinux: what it starts was not checked";
        report.find(Finding::new(Severity::Warning, Component::Bios, message).at(&name));
        return false;
    }
    report.saw(Component::Isolinux, &name, format_args!("{} at sector {}", size(bytes.len() as u64), entry.sector));
    if entry.load_blocks < FIRST_LOAD {
        let message = format!("the BIOS loads {} of the 2048 bytes that isolinux begins with", entry.load_blocks * 512);
        report.find(Finding::new(Severity::PreventsStart, Component::Bios, message).at(&name));
    }
    if !eltorito::info_table_is_right(&bytes, entry.sector) {
        report.find(
            prevents("Image checksum error, sorry...").at(&name).hint(
                "its boot info table (bytes 8 to 63) is not that of this file at this sector; write the ISO again",
            ),
        );
    }
    true
}

/// isolinux itself only finds and starts `ldlinux.c32`, which reads the configuration (core/elflink/load_env32.c).
fn check_ldlinux(image: &IsoImage, report: &mut Report) {
    let exists = |directory: &str| {
        RootPath::new(format!("{directory}/ldlinux.c32")).is_ok_and(|path| matches!(image.file(&path), Ok(Some(_))))
    };
    if !ISOLINUX_DIRECTORIES.iter().any(|directory| exists(directory)) {
        report.find(
            prevents("Failed to load ldlinux.c32")
                .hint("put it beside isolinux.bin; it is in the package `syslinux-common`"),
        );
    }
}

fn read_config(image: &IsoImage) -> Result<Option<(RootPath, String)>, ReadError> {
    let Some((path, blob)) = image.isolinux_config()? else { return Ok(None) };
    let blob = blob.slice(0, blob.len().min(MAX_CONFIG)).unwrap_or(blob);
    let bytes = blob.read().map_err(|source| ReadError::Io { structure: "isolinux configuration", source })?;
    Ok(Some((path, String::from_utf8_lossy(&bytes).into_owned())))
}

/// Loads what a label names.
fn load(image: &IsoImage, config: &RootPath, label: &Label, files: &[IsoEntry], report: &mut Report) -> Chain {
    let mut open = |name: &str| {
        let path = absolute(config, name);
        match BootFile::in_iso(image, &path) {
            Ok(file) => {
                report.saw(Component::Isolinux, name, size(file.blob.len()));
                Some(BootFile { path: name.to_owned(), ..file })
            }
            Err(error) => {
                report.find(not_loaded(name, &path, &error, files).at(config));
                None
            }
        }
    };
    let kernel = open(&label.kernel);
    let initrds = label.initrds().iter().filter_map(|name| open(name)).collect();
    if label.initrds().is_empty() {
        report.find(no_archive(&label.append).at(config));
    }
    let (config, kernel_args) = (config.to_string(), label.append.clone());
    Chain { loader: Component::Isolinux, config, kernel, initrds, kernel_args }
}

/// What the kernel says when no loader has given it an archive.
pub(super) fn no_archive(kernel_args: &str) -> Finding {
    let message = Arguments::parse(kernel_args).without_init();
    Finding::new(Severity::PreventsStart, Component::Kernel, message).hint("the loader's configuration has no `initrd`")
}

fn not_loaded(name: &str, path: &str, error: &ReadError, files: &[IsoEntry]) -> Finding {
    match error {
        ReadError::NotFound(_) => {
            let finding = prevents(format!("Loading {name}... failed: No such file or directory"));
            let names: Vec<String> =
                files.iter().filter(|file| file.kind == IsoKind::File).map(|file| file.path.to_string()).collect();
            match nearest(path, names.iter().map(String::as_str)) {
                Some(near) => finding.hint(format!("the ISO has `{near}`")),
                None => finding,
            }
        }
        error => prevents(format!("Loading {name}... failed: {}", with_cause(error))).hint("write the ISO again"),
    }
}

/// A file named in a configuration, from the root: relative names are relative to the configuration.
fn absolute(config: &RootPath, name: &str) -> String {
    if name.starts_with('/') {
        return name.to_owned();
    }
    let directory = config.parent().unwrap_or_else(RootPath::root);
    format!("{}/{name}", directory.to_string().trim_end_matches('/'))
}

fn prevents(message: impl Into<String>) -> Finding {
    Finding::new(Severity::PreventsStart, Component::Isolinux, message)
}

/// A configuration, as far as it decides what starts without a key being pressed.
#[derive(Debug, Default)]
struct Config {
    /// The rest of the `DEFAULT` line: a label, or a kernel with its arguments.
    default: Option<String>,
    has_ui: bool,
    labels: Vec<Label>,
    includes: Vec<String>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Label {
    name: String,
    kernel: String,
    initrd: Option<String>,
    append: String,
    menu_default: bool,
}

impl Config {
    fn parse(text: &str) -> Config {
        let mut config = Config::default();
        let mut global_append = String::new();
        for line in text.lines() {
            let (keyword, rest) = split_word(line);
            let (keyword, rest) = (keyword.to_lowercase(), rest.to_owned());
            match (keyword.as_str(), config.labels.last_mut()) {
                ("default", _) => config.default = Some(rest),
                ("ui", _) => config.has_ui = true,
                ("include", _) => config.includes.push(rest),
                ("menu", label) => {
                    let (word, file) = split_word(&rest);
                    match (word.to_lowercase().as_str(), label) {
                        ("include", _) => config.includes.push(file.to_owned()),
                        ("default", Some(label)) => label.menu_default = true,
                        _ => {}
                    }
                }
                ("label", _) => {
                    let append = global_append.clone();
                    config.labels.push(Label { name: rest, append, ..Label::default() });
                }
                ("linux" | "kernel", Some(label)) => label.kernel = rest,
                ("initrd", Some(label)) => label.initrd = Some(rest),
                // A lone hyphen means: nothing, not even what was said for all labels.
                ("append", Some(label)) => label.append = if rest == "-" { String::new() } else { rest },
                ("append", None) => global_append = rest,
                _ => {}
            }
        }
        config
    }

    /// What starts when nobody touches a key; `None` when isolinux waits at its prompt.
    fn default_label(&self) -> Option<Label> {
        let by_name = |name: &str| self.labels.iter().find(|label| label.name.eq_ignore_ascii_case(name)).cloned();
        if self.has_ui {
            let menu = self.labels.iter().find(|label| label.menu_default).cloned();
            let named = self.default.as_deref().and_then(by_name);
            return menu.or(named).or_else(|| self.labels.first().cloned());
        }
        let default = self.default.as_deref()?;
        by_name(default).or_else(|| {
            // No label: isolinux takes the line for a kernel and its arguments.
            let (kernel, append) = split_word(default);
            Some(Label {
                name: default.to_owned(),
                kernel: kernel.to_owned(),
                append: append.to_owned(),
                ..Label::default()
            })
        })
    }
}

impl Label {
    /// The archives: those of the `INITRD` line, else of the last `initrd=` argument.
    fn initrds(&self) -> Vec<&str> {
        let argument = self.append.split_whitespace().rev().find_map(|word| word.strip_prefix("initrd="));
        let list = self.initrd.as_deref().or(argument).unwrap_or_default();
        list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
    }
}

/// The first word of a line and the rest, without the blanks around both.
pub(super) fn split_word(line: &str) -> (&str, &str) {
    let line = line.trim();
    line.split_once(char::is_whitespace).map_or((line, ""), |(word, rest)| (word, rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, &[&str], &str)>) {
        let label = Config::parse(text).default_label();
        let found = label.as_ref().map(|label| (label.kernel.as_str(), label.initrds(), label.append.as_str()));
        assert_eq!(found, expected.map(|(kernel, initrds, append)| (kernel, initrds.to_vec(), append)), "{text}");
    }

    #[test]
    fn the_default_label_is_what_starts_without_a_key() {
        let two = "label a\n kernel /a\nLABEL b\n\tLINUX /b\n INITRD /m.img,/i.img\n  APPEND  quiet  x=1 \n";
        check(&format!("default b\n{two}"), Some(("/b", &["/m.img", "/i.img"], "quiet  x=1")));
        check(&format!("DEFAULT A\n{two}"), Some(("/a", &[], "")));
        check(two, None);
        check(&format!("UI menu.c32\n{two}"), Some(("/a", &[], "")));
        check(&format!("UI menu.c32\n{two} MENU DEFAULT\n"), Some(("/b", &["/m.img", "/i.img"], "quiet  x=1")));
    }

    #[test]
    fn a_default_that_is_no_label_is_a_kernel_with_arguments() {
        check("default linux.old initrd=/x.img quiet\n", Some(("linux.old", &["/x.img"], "initrd=/x.img quiet")));
    }

    #[test]
    fn arguments_for_all_labels_can_be_taken_back() {
        let text = "default x\nappend quiet\nlabel x\nkernel /k\n";
        check(text, Some(("/k", &[], "quiet")));
        check(&format!("{text}append -\n"), Some(("/k", &[], "")));
        check(&format!("{text}append initrd=/old initrd=/new\n"), Some(("/k", &["/new"], "initrd=/old initrd=/new")));
    }

    #[test]
    fn relative_names_are_relative_to_the_configuration() {
        let at = |config: &str, name| absolute(&RootPath::new(config).unwrap(), name);
        assert_eq!(at("/isolinux/isolinux.cfg", "vmlinuz"), "/isolinux/vmlinuz");
        assert_eq!(at("/isolinux.cfg", "vmlinuz"), "/vmlinuz");
        assert_eq!(at("/isolinux.cfg", "/boot/k"), "/boot/k");
    }
}
