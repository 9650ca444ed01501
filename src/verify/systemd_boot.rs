//! What UEFI firmware and systemd-boot do: the FAT volume, the loader in it, its entries, the files that these name.
//!
//! The entries are those of the Boot Loader Specification, type 1; the messages are those of systemd-boot 252
//! (src/boot/efi/boot.c). An entry whose kernel is missing is not shown at all, so what is said then is that there is
//! no entry; on firmware with a setup of its own (OVMF) not even that, as the menu has an entry for it.

use super::iso::{BootFile, Chain, nearest, with_cause};
use super::isolinux::{no_archive, split_word};
use super::{Component, Finding, Report, Severity, pe};
use crate::iso::eltorito::CatalogEntry;
use crate::iso::fat::{FatEntry, FatVolume};
use crate::iso::{Blob, CD_SECTOR, IsoImage, ReadError};
use crate::text::size;

/// What firmware starts from a removable medium (UEFI specification 2.10, section 3.5.1.1).
const LOADER: &str = "EFI/BOOT/BOOTX64.EFI";
const CONFIG: &str = "loader/loader.conf";
const ENTRIES: &str = "loader/entries/";

/// Every systemd-boot has this in its section `.sdmagic`.
const SYSTEMD_BOOT: &[u8] = b"LoaderInfo: systemd-boot";

const NO_ENTRY: &str = r"No loader found. Configuration files in \loader\entries\*.conf are needed.";
const ONLY_FIRMWARE: &str = "or the menu has no entry but `Reboot Into Firmware Interface`";

/// Follows the UEFI entry of the boot catalog; `None` when it leads to no kernel.
pub(super) fn follow(image: &IsoImage, entry: &CatalogEntry, report: &mut Report) -> Option<Chain> {
    match Volume::open(image, entry) {
        Ok(volume) => {
            report.saw(
                Component::Uefi,
                "EFI system partition",
                format_args!("{:?} at sector {}", volume.fat.kind(), entry.sector),
            );
            volume.follow(report)
        }
        Err(error) => {
            let finding = Finding::new(Severity::PreventsStart, Component::Uefi, with_cause(&error));
            report.find(finding.hint("the EFI system partition cannot be read; write the ISO again"));
            None
        }
    }
}

/// The FAT volume with all that is in it.
struct Volume {
    fat: FatVolume,
    /// The bytes of the volume, and where they begin in the image.
    blob: Blob,
    start: u64,
    files: Vec<FatEntry>,
}

/// A type 1 entry.
#[derive(Debug, Default, PartialEq, Eq)]
struct BootEntry {
    /// In the volume.
    path: String,
    linux: Option<String>,
    initrds: Vec<String>,
    options: Vec<String>,
}

impl Volume {
    fn open(image: &IsoImage, entry: &CatalogEntry) -> Result<Volume, ReadError> {
        let blob = image.boot_image(entry)?;
        let fat = FatVolume::open(blob.clone())?;
        let files = fat.walk()?;
        Ok(Volume { fat, blob, start: u64::from(entry.sector) * CD_SECTOR, files })
    }

    fn follow(&self, report: &mut Report) -> Option<Chain> {
        if !self.check_loader(report) {
            return None;
        }
        let default = self.default_entry(report);
        let entries: Vec<BootEntry> = self.entries(report);
        let starting: Vec<&BootEntry> = match &default {
            Some(pattern) => entries.iter().filter(|entry| matches(pattern, &entry.path)).collect(),
            None => entries.iter().collect(),
        };
        if starting.is_empty() {
            let hint = match (&default, entries.is_empty()) {
                (Some(pattern), false) => format!("no entry is named `{pattern}`, as {CONFIG} wants it"),
                _ => format!("/{ENTRIES} has no entry with a `linux` line"),
            };
            report.find(prevents(NO_ENTRY).hint(format!("{hint}; {ONLY_FIRMWARE}")));
            return None;
        }
        // Of several entries any may be the one that is started: each has to work, and the first is followed.
        let chains: Vec<Option<Chain>> = starting.into_iter().map(|entry| self.load(entry, report)).collect();
        chains.into_iter().flatten().next()
    }

    /// The loader itself; whether it is systemd-boot.
    fn check_loader(&self, report: &mut Report) -> bool {
        let firmware = |message: &str| Finding::new(Severity::PreventsStart, Component::Uefi, message).at(LOADER);
        let shown = r"failed to load \EFI\BOOT\BOOTX64.EFI";
        let bytes = match self.fat.find(LOADER).and_then(|entry| self.fat.read(&entry)) {
            Ok(bytes) => bytes,
            Err(ReadError::NotFound(_)) => {
                let finding = firmware(&format!("{shown}: Not Found"));
                report.find(finding.hint("the package `systemd-boot-efi` has it"));
                return false;
            }
            Err(error) => {
                report.find(firmware(&format!("{shown}: Volume Corrupt: {}", with_cause(&error))));
                return false;
            }
        };
        if let Err(problem) = pe::check(&Blob::from_bytes(&bytes[..])) {
            report.find(firmware(&format!("{shown}: {}", problem.status())).hint(problem.to_string()));
            return false;
        }
        if memchr::memmem::find(&bytes, SYSTEMD_BOOT).is_none() {
            let message = "the UEFI loader is not systemd-boot: what it starts was not checked";
            report.find(Finding::new(Severity::Warning, Component::Uefi, message).at(LOADER));
            return false;
        }
        report.saw(
            Component::Uefi,
            format_args!("/{LOADER}"),
            format_args!("systemd-boot, {}", size(bytes.len() as u64)),
        );
        true
    }

    /// The pattern of the entry to start, where `loader.conf` has one.
    fn default_entry(&self, report: &mut Report) -> Option<String> {
        let text = match self.text(CONFIG) {
            Ok(text) => text,
            Err(ReadError::NotFound(_)) => {
                let message = "there is no loader.conf: the entry to start and the time to wait are systemd-boot's own";
                report.find(Finding::new(Severity::Suggestion, Component::SystemdBoot, message).at(CONFIG));
                return None;
            }
            Err(error) => {
                report.find(Finding::new(Severity::Harmful, Component::SystemdBoot, with_cause(&error)).at(CONFIG));
                return None;
            }
        };
        let mut settings = text.lines().rev().map(split_word);
        settings.find(|(key, _)| *key == "default").map(|(_, pattern)| pattern.to_owned())
    }

    fn entries(&self, report: &mut Report) -> Vec<BootEntry> {
        let is_entry = |file: &&FatEntry| {
            let path = file.path.to_lowercase();
            !file.is_directory && path.starts_with(ENTRIES) && path.ends_with(".conf")
        };
        let mut entries = Vec::new();
        for file in self.files.iter().filter(is_entry) {
            match self.text(&file.path) {
                Ok(text) => entries.push(BootEntry::parse(&file.path, &text)),
                Err(error) => report.find(prevents(with_cause(&error)).at(&file.path)),
            }
        }
        entries.retain(|entry| entry.linux.is_some());
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries
    }

    /// Loads what an entry names.
    fn load(&self, entry: &BootEntry, report: &mut Report) -> Option<Chain> {
        let name = entry.linux.as_deref()?;
        let kernel = match self.file(name) {
            Ok(file) => file,
            Err(error) => {
                let finding = match &error {
                    ReadError::NotFound(_) => prevents(NO_ENTRY).hint(format!("{}; {ONLY_FIRMWARE}", self.hint(name))),
                    error => prevents(format!("Error loading {}: {}", backslashes(name), with_cause(error))),
                };
                report.find(finding.at(&entry.path));
                return None;
            }
        };
        report.saw(Component::SystemdBoot, format_args!("/{}", entry.path), format_args!("starts `{name}`"));
        if let Err(problem) = pe::check(&kernel.blob) {
            let message = format!("Error loading {}: {}", backslashes(name), problem.status());
            report.find(prevents(message).at(&entry.path).hint(problem.to_string()));
        }
        let mut initrds = Vec::new();
        for name in &entry.initrds {
            match self.file(name) {
                Ok(file) => {
                    report.saw(Component::SystemdBoot, name, size(file.blob.len()));
                    initrds.push(file);
                }
                Err(error) => {
                    let status = match &error {
                        ReadError::NotFound(_) => "Not Found".to_owned(),
                        error => format!("Volume Corrupt: {}", with_cause(error)),
                    };
                    let message = format!("Error preparing initrd: {status}");
                    report.find(prevents(message).at(&entry.path).hint(self.hint(name)));
                }
            }
        }
        let (config, kernel_args) = (entry.path.clone(), entry.options.join(" "));
        if entry.initrds.is_empty() {
            report.find(no_archive(&kernel_args).at(&entry.path));
        }
        Some(Chain { loader: Component::SystemdBoot, config, kernel: Some(kernel), initrds, kernel_args })
    }

    /// A file, as a part of the image where it is in one piece.
    fn file(&self, path: &str) -> Result<BootFile, ReadError> {
        let entry = self.fat.find(path)?;
        if entry.is_directory {
            return Err(ReadError::NotFound(path.to_owned()));
        }
        if let [(offset, length)] = self.fat.extents(&entry)?[..]
            && let Some(blob) = self.blob.slice(offset, length)
        {
            return Ok(BootFile { path: path.to_owned(), blob, start: Some(self.start + offset) });
        }
        let blob = Blob::from_bytes(self.fat.read(&entry)?);
        Ok(BootFile { path: path.to_owned(), blob, start: None })
    }

    fn text(&self, path: &str) -> Result<String, ReadError> {
        let bytes = self.fat.read(&self.fat.find(path)?)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn hint(&self, path: &str) -> String {
        let files = self.files.iter().filter(|file| !file.is_directory).map(|file| file.path.as_str());
        match nearest(path.trim_start_matches(['/', '\\']), files) {
            Some(near) => format!("`{path}` is not in the EFI system partition, which has `/{near}`"),
            None => format!("`{path}` is not in the EFI system partition"),
        }
    }
}

impl BootEntry {
    fn parse(path: &str, text: &str) -> BootEntry {
        let mut entry = BootEntry { path: path.to_owned(), ..BootEntry::default() };
        for (key, value) in text.lines().map(split_word) {
            match key {
                "linux" | "efi" => entry.linux = Some(value.to_owned()),
                "initrd" => entry.initrds.push(value.to_owned()),
                "options" => entry.options.push(value.to_owned()),
                _ => {}
            }
        }
        entry
    }
}

fn prevents(message: impl Into<String>) -> Finding {
    Finding::new(Severity::PreventsStart, Component::SystemdBoot, message)
}

/// A path as systemd-boot prints it.
fn backslashes(path: &str) -> String {
    path.replace('/', "\\")
}

/// Whether `default` in `loader.conf`, a glob over entry names, means this entry.
fn matches(pattern: &str, path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let glob = globset::GlobBuilder::new(pattern).case_insensitive(true).build().map(|glob| glob.compile_matcher());
    glob.is_ok_and(|glob| glob.is_match(name) || name.strip_suffix(".conf").is_some_and(|stem| glob.is_match(stem)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_keep_every_archive_and_option() {
        let text =
            "title  Linux\n# linux /no\nlinux /vmlinuz\ninitrd /ucode\ninitrd\t/initrd.img\noptions a b\noptions c\n";
        let entry = BootEntry::parse("loader/entries/x.conf", text);
        assert_eq!(entry.linux.as_deref(), Some("/vmlinuz"));
        assert_eq!(entry.initrds, ["/ucode", "/initrd.img"]);
        assert_eq!(entry.options.join(" "), "a b c");
    }

    #[test]
    fn the_default_is_a_pattern_over_names() {
        assert!(matches("linux", "loader/entries/linux.conf"));
        assert!(matches("LIN*.conf", "loader/entries/linux.conf"));
        assert!(!matches("debian*", "loader/entries/linux.conf"));
    }
}
