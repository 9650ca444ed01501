//! `vfstab`(5) to one map per file system. The type names a program: `mount` runs `/usr/lib/fs/{type}/mount`, or the one
//! in `/etc/fs`, and `fsck` likewise.

use super::{bind, fields};
use crate::rules::pattern::Bindings;

/// The fields by their names in the manual; a field without a value is `-`, as in the file.
pub(super) const BINDINGS: &[&str] =
    &["device", "fsck_device", "mount_point", "type", "fsck_pass", "at_boot", "options"];

pub(super) fn read(text: &[u8]) -> Vec<Bindings> {
    let lines = text.split(|&byte| byte == b'\n');
    let entry = |line| Some(bind(BINDINGS, <[&[u8]; 7]>::try_from(fields(line)).ok()?));
    lines.filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn a_line_has_seven_fields() {
        check(
            "vfstab",
            "#device\tdevice\nfd\t-\t/dev/fd\tfd\t-\tno\t-\n/dev/dsk/c0 /dev/rdsk/c0 / ufs 1 no logging\n",
            &["fd - /dev/fd fd - no -", "/dev/dsk/c0 /dev/rdsk/c0 / ufs 1 no logging"],
        );
        check("vfstab", "swap - /tmp tmpfs - yes\na b c d e f g h\n\n", &[]);
    }
}
