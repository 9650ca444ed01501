//! What can be known about an archive before the first byte is written.
//!
//! A format's limits are met here, with the path that meets them, and not half way through a long run. What the format
//! merely loses is a [`Warning`]. The Linux kernel's cpio unpacker (`init/initramfs.c`) *skips* members it does not
//! like without an error, so everything it would skip is refused as well.

use super::cpio::{TRAILER, odc};
use super::{Format, PackError};
use crate::manifest::{Content, Entry, Manifest};
use crate::path::{RootPath, escaped};
use crate::ufs;
use std::fmt;

/// Bytes of a path or a symlink's target, with the NUL at the end, that Linux takes (`PATH_MAX`).
const PATH_MAX: usize = 4096;
/// newc has eight hexadecimal digits for a size.
const NEWC_MAX_SIZE: u64 = u32::MAX as u64;
/// The kernel's own split of a device number: 12 and 20 bits (`include/linux/kdev_t.h`).
const MAX_DEVICE: (u32, u32) = (0xfff, 0xf_ffff);

/// Bytes of a symlink's target, with the NUL at the end, that illumos follows (`MAXPATHLEN`).
const UFS_MAX_TARGET: usize = 1024;

/// Something of the manifest that the result does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// The format has no place for extended attributes.
    XattrsLost {
        /// The entry.
        path: RootPath,
        /// Names of all its attributes, sorted.
        names: Vec<Vec<u8>>,
        /// The format that has no place for them.
        format: Format,
    },
    /// An attribute could not be set: most need privileges.
    XattrNotSet {
        /// The entry.
        path: RootPath,
        /// Name of the attribute.
        name: Vec<u8>,
        /// What the operating system says.
        error: String,
    },
    /// Owners need privileges; so many entries belong to somebody else than the manifest says.
    OwnersNotSet {
        /// How many entries.
        n_entries: usize,
    },
    /// A device node needs privileges and is left out.
    DeviceLeftOut {
        /// Where it would be.
        path: RootPath,
    },
}

/// Checks that `manifest` fits into `format`, and tells what it will lose there.
///
/// # Errors
/// The first entry that does not fit.
pub fn plan(manifest: &Manifest, format: Format) -> Result<Vec<Warning>, PackError> {
    for (index, entry) in manifest.entries.iter().enumerate() {
        check_place(manifest, index, entry)?;
        check_limits(entry)?;
        match format {
            Format::Cpio => check_newc(entry)?,
            Format::Odc => check_odc(index, entry)?,
            Format::Ufs => check_ufs(entry)?,
            Format::Oci => check_layer(entry)?,
            Format::Tar | Format::Dir => {}
        }
    }
    let loses_xattrs = matches!(format, Format::Cpio | Format::Odc | Format::Ufs);
    let lost = manifest.entries.iter().filter(|e| loses_xattrs && !e.xattrs.is_empty());
    Ok(lost
        .map(|entry| Warning::XattrsLost {
            path: entry.path.clone(),
            names: entry.xattrs.iter().map(|(name, _)| name.clone()).collect(),
            format,
        })
        .collect())
}

/// An entry must come after its directory and after the file it is a hard link to.
fn check_place(manifest: &Manifest, index: usize, entry: &Entry) -> Result<(), PackError> {
    let refuse = |reason: String| Err(PackError::DoesNotFit { path: entry.path.clone(), reason });
    if index > 0 && manifest.entries[index - 1].path >= entry.path {
        return refuse("the manifest is not sorted here".to_owned());
    }
    if let Some(parent) = entry.path.parent().filter(|p| !p.is_root()) {
        match manifest.entry(&parent).map(|e| &e.content) {
            Some(Content::Directory) => {}
            Some(_) => return refuse(format!("`{parent}` is in the manifest, but not as a directory")),
            None => return refuse(format!("its directory `{parent}` is not in the manifest")),
        }
    }
    if let Content::Hardlink { to } = &entry.content {
        let target = manifest.entry(to).filter(|_| *to < entry.path).map(|e| &e.content);
        if !matches!(target, Some(Content::File { .. } | Content::Generated { .. })) {
            return refuse(format!("it is a hard link to `{to}`, which is no file before it"));
        }
    }
    Ok(())
}

fn check_limits(entry: &Entry) -> Result<(), PackError> {
    let refuse = |reason: String| Err(PackError::DoesNotFit { path: entry.path.clone(), reason });
    if entry.path.relative().len() >= PATH_MAX {
        return refuse(format!("its name has more than {} bytes", PATH_MAX - 1));
    }
    match &entry.content {
        Content::Symlink { target } if target.is_empty() || target.len() >= PATH_MAX => {
            refuse(format!("the target of a symlink has 1 to {} bytes, not {}", PATH_MAX - 1, target.len()))
        }
        Content::Char { major, minor } | Content::Block { major, minor }
            if *major > MAX_DEVICE.0 || *minor > MAX_DEVICE.1 =>
        {
            refuse(format!("no system has the device number {major}:{minor}"))
        }
        _ => Ok(()),
    }
}

fn check_newc(entry: &Entry) -> Result<(), PackError> {
    if entry.size() > NEWC_MAX_SIZE {
        return Err(PackError::TooLarge { path: entry.path.clone(), size: entry.size() });
    }
    check_trailer(entry)
}

/// Both forms of cpio.
fn check_trailer(entry: &Entry) -> Result<(), PackError> {
    if entry.path.relative() == TRAILER {
        let reason = "cpio ends at this name".to_owned();
        return Err(PackError::DoesNotFit { path: entry.path.clone(), reason });
    }
    Ok(())
}

fn check_odc(index: usize, entry: &Entry) -> Result<(), PackError> {
    let refuse = |reason: String| Err(PackError::DoesNotFit { path: entry.path.clone(), reason });
    check_trailer(entry)?;
    if index >= odc::MAX_SHORT as usize {
        return refuse(format!("it is entry {}, and odc numbers {} at most", index + 1, odc::MAX_SHORT));
    }
    if entry.uid > odc::MAX_SHORT || entry.gid > odc::MAX_SHORT {
        let owner = format!("{}:{}", entry.uid, entry.gid);
        return refuse(format!("it belongs to {owner}, and odc has no owner above {}", odc::MAX_SHORT));
    }
    if entry.size() > odc::MAX_SIZE {
        return refuse(format!("it has {} bytes, and a file in odc less than 8 GiB", entry.size()));
    }
    match entry.content {
        Content::Char { major, minor } | Content::Block { major, minor }
            if major > odc::MAX_DEVICE.0 || minor > odc::MAX_DEVICE.1 =>
        {
            refuse(format!("odc has 10 and 8 bits for a device number, too few for {major}:{minor}"))
        }
        _ => Ok(()),
    }
}

/// A name with this beginning removes a file of the layers below (image specification, "Whiteouts").
const WHITEOUT: &[u8] = b".wh.";

fn check_layer(entry: &Entry) -> Result<(), PackError> {
    if entry.path.file_name().starts_with(WHITEOUT) {
        let reason = "in the layer of a container a name that begins with `.wh.` removes a file".to_owned();
        return Err(PackError::DoesNotFit { path: entry.path.clone(), reason });
    }
    Ok(())
}

fn check_ufs(entry: &Entry) -> Result<(), PackError> {
    let refuse = |reason: String| Err(PackError::DoesNotFit { path: entry.path.clone(), reason });
    if entry.path.file_name().len() > ufs::MAX_NAME {
        return refuse(format!("a name in UFS has at most {} bytes", ufs::MAX_NAME));
    }
    if entry.size() > ufs::MAX_FILE_SIZE {
        return refuse(format!("it has {} bytes, and a file in UFS at most 1 TiB - 1", entry.size()));
    }
    match &entry.content {
        Content::Symlink { target } if target.len() >= UFS_MAX_TARGET => {
            refuse(format!("illumos follows no symlink with a target of more than {} bytes", UFS_MAX_TARGET - 1))
        }
        Content::Char { major, minor } | Content::Block { major, minor }
            if ufs::encode_device(*major, *minor).is_none() =>
        {
            refuse(format!("UFS has 14 and 18 bits for a device number, too few for {major}:{minor}"))
        }
        _ => Ok(()),
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::XattrsLost { path, names, format } => {
                write!(f, "`{path}` loses what {format} cannot hold: ")?;
                for (index, name) in names.iter().enumerate() {
                    write!(f, "{}{}", if index == 0 { "" } else { ", " }, escaped(name))?;
                }
                Ok(())
            }
            Warning::XattrNotSet { path, name, error } => {
                write!(f, "cannot set {} of `{path}`: {error}", escaped(name))
            }
            Warning::OwnersNotSet { n_entries } => {
                write!(f, "{n_entries} entries keep your user as owner: only root can give files away")
            }
            Warning::DeviceLeftOut { path } => write!(f, "`{path}` is left out: only root can make a device node"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::testing::{directory, entry, file, hardlink, manifest};

    fn large(size: u64) -> Entry {
        entry("/big", Content::File { size, sha256: [0; 32], unpacked_from: None })
    }

    fn refused(format: Format, entries: Vec<Entry>) -> String {
        plan(&manifest(entries), format).unwrap_err().to_string()
    }

    #[test]
    fn b81_a_file_of_4_gib_does_not_fit_into_newc_but_into_tar() {
        let (fits, too_large) = (large(u64::from(u32::MAX)), large(1 << 32));
        assert!(plan(&manifest(vec![fits]), Format::Cpio).is_ok());
        assert!(plan(&manifest(vec![too_large.clone()]), Format::Tar).is_ok());
        let message = refused(Format::Cpio, vec![too_large]);
        assert!(message.contains("`/big`") && message.contains("4294967296"), "{message}");
    }

    #[test]
    fn capabilities_are_lost_in_newc_and_ufs_with_a_warning() {
        let mut ping = file("/ping", b"x");
        ping.xattrs = vec![(b"security.capability".to_vec(), vec![1]), (b"user.x".to_vec(), vec![2])];
        for (format, name) in [(Format::Cpio, "cpio"), (Format::Odc, "odc"), (Format::Ufs, "ufs")] {
            let warnings = plan(&manifest(vec![ping.clone()]), format).unwrap();
            let expected = format!("`/ping` loses what {name} cannot hold: security.capability, user.x");
            assert_eq!(warnings[0].to_string(), expected);
        }
        assert!(plan(&manifest(vec![ping]), Format::Tar).unwrap().is_empty());
    }

    #[test]
    fn what_the_kernel_would_skip_in_silence_is_refused() {
        let long = format!("/{}", "x".repeat(4096));
        assert!(refused(Format::Cpio, vec![file(&long, b"")]).contains("more than 4095 bytes"));
        assert!(plan(&manifest(vec![file(&long[..4096], b"")]), Format::Cpio).is_ok());
        for n in [0, 4096] {
            let link = entry("/l", Content::Symlink { target: vec![b'x'; n] });
            assert!(refused(Format::Cpio, vec![link]).contains(&format!("not {n}")));
        }
        assert!(refused(Format::Cpio, vec![file("/a/b", b"")]).contains("`/a` is not in the manifest"));
        assert!(refused(Format::Cpio, vec![file("/a", b""), file("/a/b", b"")]).contains("not as a directory"));
        assert!(refused(Format::Cpio, vec![file("/TRAILER!!!", b"")]).contains("ends at this name"));
        assert!(refused(Format::Cpio, vec![entry("/d", Content::Block { major: 4096, minor: 0 })]).contains("4096:0"));
    }

    #[test]
    fn what_ufs_cannot_hold_is_refused_with_its_path() {
        let fits = [
            file(&format!("/{}", "n".repeat(255)), b""),
            entry("/s", Content::Symlink { target: vec![b'x'; 1023] }),
            entry("/z", Content::Char { major: 4095, minor: 0x3_ffff }),
        ];
        assert!(plan(&manifest(fits.to_vec()), Format::Ufs).unwrap().is_empty());
        let name = refused(Format::Ufs, vec![file(&format!("/{}", "n".repeat(256)), b"")]);
        assert!(name.contains("at most 255 bytes"), "{name}");
        let link = refused(Format::Ufs, vec![entry("/s", Content::Symlink { target: vec![b'x'; 1024] })]);
        assert!(link.starts_with("`/s`") && link.contains("1023"), "{link}");
        let device = refused(Format::Ufs, vec![entry("/z", Content::Block { major: 1, minor: 0x4_0000 })]);
        assert!(device.starts_with("`/z`") && device.contains("1:262144"), "{device}");
        assert!(plan(&manifest(vec![large((1 << 40) - 1)]), Format::Ufs).is_ok());
        assert!(refused(Format::Ufs, vec![large(1 << 40)]).contains("`/big`"));
    }

    #[test]
    fn what_odc_cannot_count_is_refused_with_its_path() {
        let owned = |uid, gid| Entry { uid, gid, ..file("/f", b"") };
        let device = |major, minor| entry("/z", Content::Char { major, minor });
        assert!(
            plan(&manifest(vec![large((8 << 30) - 1), owned(0o777_777, 0), device(1023, 255)]), Format::Odc).is_ok()
        );
        for (entry, expected) in [
            (large(8 << 30), "8589934592"),
            (owned(0o1_000_000, 0), "262144:0"),
            (owned(0, 0o1_000_000), "0:262144"),
            (device(1024, 0), "1024:0"),
            (device(1, 256), "1:256"),
            (file("/TRAILER!!!", b""), "ends at this name"),
        ] {
            let name = format!("`{}`", entry.path);
            let message = refused(Format::Odc, vec![entry]);
            assert!(message.starts_with(&name) && message.contains(expected), "{message}");
        }
        let many = (0..=0o777_777).map(|index| entry(&format!("/{index:06}"), Content::Fifo)).collect();
        assert!(refused(Format::Odc, many).contains("it is entry 262144"));
    }

    #[test]
    fn a_name_that_removes_files_does_not_fit_into_a_layer() {
        assert!(refused(Format::Oci, vec![file("/.wh.motd", b"")]).starts_with("`/.wh.motd` does not fit"));
        assert!(plan(&manifest(vec![file("/a.wh.", b"")]), Format::Oci).unwrap().is_empty());
    }

    #[test]
    fn a_hard_link_needs_a_file_before_it() {
        assert!(plan(&manifest(vec![file("/a", b""), hardlink("/b", "/a")]), Format::Tar).is_ok());
        for entries in [
            vec![hardlink("/a", "/b"), file("/b", b"")],
            vec![hardlink("/a", "/a")],
            vec![directory("/a"), hardlink("/b", "/a")],
        ] {
            assert!(refused(Format::Tar, entries).contains("no file before it"));
        }
    }

    #[test]
    fn entries_out_of_order_are_refused() {
        assert!(refused(Format::Dir, vec![file("/b", b""), file("/a", b"")]).contains("not sorted"));
        assert!(refused(Format::Dir, vec![file("/a", b""), file("/a", b"")]).contains("not sorted"));
    }
}
