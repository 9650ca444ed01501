//! Files by their name alone, wherever they are.

use super::{FileKind, Root};
use crate::path::RootPath;
use rustix::fs::{Dir, FileType, Mode, OFlags};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

impl Root {
    /// Every file and symlink whose name is wanted, sorted. Other file systems that are mounted in the root, such as
    /// `/proc`, are left out, and so is what cannot be read: this is for hints.
    pub fn find_named(&self, wanted: impl Fn(&[u8]) -> bool) -> Vec<RootPath> {
        let Ok(top) = self.lookup(&RootPath::root()) else { return Vec::new() };
        let device = top.info.inode.0;
        let mut found = Vec::new();
        let mut pending = vec![RootPath::root()];
        while let Some(directory) = pending.pop() {
            self.look_through(&directory, device, |name, is_directory| {
                if is_directory {
                    pending.push(directory.join(name));
                } else if wanted(name) {
                    found.push(directory.join(name));
                }
            });
        }
        found.sort();
        found
    }

    /// Shows each name in a directory of this device, and whether it is a directory.
    fn look_through(&self, directory: &RootPath, device: u64, mut show: impl FnMut(&[u8], bool)) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let relative = if directory.is_root() { b"." } else { directory.relative() };
        let Ok(fd) = rustix::fs::openat(&self.fd, OsStr::from_bytes(relative), flags, Mode::empty()) else { return };
        if !rustix::fs::fstat(&fd).is_ok_and(|stat| stat.st_dev == device) {
            return;
        }
        let Ok(entries) = Dir::new(fd) else { return };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let is_directory = match entry.file_type() {
                FileType::Directory => true,
                FileType::Unknown => {
                    self.info(&directory.join(name)).is_ok_and(|info| info.kind == FileKind::Directory)
                }
                _ => false,
            };
            show(name, is_directory);
        }
    }
}
