//! The inode of the disk (`struct icommon` in `ufs_inode.h`), and the device number inside it.

use super::fields::on_disk;

on_disk! {
    /// An inode of 128 bytes.
    pub struct Inode: "inode", 128 bytes {
        /// [`file_type`] and permissions; 0 when the inode is free.
        pub mode: u16 = 0,
        /// Names; signed, and a root inode that has none cannot be mounted.
        pub nlink: i16 = 2,
        /// The owner, or 65535 when [`Inode::uid`] needs more bits. The kernel prefers this field.
        pub suid: u16 = 4,
        pub sgid: u16 = 6,
        /// Bytes.
        pub size: u64 = 8,
        /// Seconds and microseconds.
        pub atime: [u32; 2] = 16,
        pub mtime: [u32; 2] = 24,
        pub ctime: [u32; 2] = 32,
        /// The first twelve blocks, as fragment numbers; 0 is a hole. A device has its number in the second.
        pub db: [u32; 12] = 40,
        /// Single, double and triple indirect block.
        pub ib: [u32; 3] = 88,
        pub flags: u32 = 100,
        /// Sectors that the file holds, indirect blocks among them.
        pub blocks: u32 = 104,
        /// The generation, for NFS file handles.
        pub generation: u32 = 108,
        /// The inode of the access control list.
        pub shadow: u32 = 112,
        pub uid: u32 = 116,
        pub gid: u32 = 120,
        /// The inode of the directory of extended attributes.
        pub oeftflag: u32 = 124,
    }
}

/// File types in [`Inode::mode`] (`ufs_inode.h`, `IFMT`).
pub mod file_type {
    pub const MASK: u16 = 0o170_000;
    pub const FIFO: u16 = 0o010_000;
    pub const CHAR: u16 = 0o020_000;
    pub const DIRECTORY: u16 = 0o040_000;
    pub const BLOCK: u16 = 0o060_000;
    pub const FILE: u16 = 0o100_000;
    pub const SYMLINK: u16 = 0o120_000;
    pub const SOCKET: u16 = 0o140_000;
}

impl Inode {
    /// The owner as the kernel reads it (`ufs_iget` in `ufs_inode.c`).
    pub fn owner(&self) -> u32 {
        if self.suid == u16::MAX { self.uid } else { self.suid.into() }
    }

    /// The group as the kernel reads it.
    pub fn group(&self) -> u32 {
        if self.sgid == u16::MAX { self.gid } else { self.sgid.into() }
    }

    /// The device number, which on x86 is in the second pointer.
    pub fn device(&self) -> (u32, u32) {
        decode_device(self.db[1])
    }
}

/// A device number for [`Inode::db`]: the old form of 8 and 8 bits where that is enough, else 14 and 18 bits (`cmpldev`
/// and `cmpdev`, as `ufs_inode.c` uses them). `None` when it needs more.
pub fn encode_device(major: u32, minor: u32) -> Option<u32> {
    match (major, minor) {
        (..=0x7f, ..=0xff) => Some(major << 8 | minor),
        (..=0x3fff, ..=0x3_ffff) => Some(major << 18 | minor),
        _ => None,
    }
}

/// Major and minor number, as the kernel reads them.
pub fn decode_device(stored: u32) -> (u32, u32) {
    match stored >> 16 {
        0 | 0xffff => ((stored >> 8) & 0xff, stored & 0xff),
        _ => (stored >> 18, stored & 0x3_ffff),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_an_inode_is_a_field() {
        let bytes: Vec<u8> = (0..128).collect();
        let inode = Inode::read(&bytes).unwrap();
        let mut again = [0; 128];
        inode.write(&mut again);
        assert_eq!(again[..], bytes);
        assert!(Inode::read(&bytes[..127]).is_err());
    }

    #[test]
    fn device_numbers_come_back_in_both_forms() {
        for (device, stored) in
            [((13, 2), 0x0d02), ((127, 255), 0x7fff), ((128, 0), 128 << 18), ((1, 256), 1 << 18 | 256)]
        {
            assert_eq!(encode_device(device.0, device.1), Some(stored));
            assert_eq!(decode_device(stored), device);
        }
        assert_eq!(decode_device(encode_device(300, 70_000).unwrap()), (300, 70_000));
        assert_eq!((encode_device(0x4000, 0), encode_device(0, 0x4_0000)), (None, None));
    }

    #[test]
    fn a_large_owner_is_in_the_long_field() {
        let inode = Inode { suid: 65_535, uid: 70_000, sgid: 12, gid: 99, ..Inode::default() };
        assert_eq!((inode.owner(), inode.group()), (70_000, 12));
    }
}
