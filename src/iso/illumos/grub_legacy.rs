//! `/boot/grub/menu.lst` of GRUB legacy, the boot loader of illumos up to 2016.
//!
//! The root's own menu is for its disk and is not taken. `kernel$` replaces `$ISADIR` by `amd64` on a processor with 64
//! bits and by nothing on others (illumos-gate usr/src/grub/grub-0.97/stage2/expand.c).
//!
//! There is no line for the digest of the archive. This GRUB cannot say of what type a module is; a kernel takes a second
//! one without a type for the digest (`fixup_modules` of usr/src/uts/i86pc/dboot/dboot_startkern.c in 2019), but nothing
//! says so of the older kernels that come with this GRUB, and those that do not know it might not start.

use super::loader_conf::Kernels;
use crate::path::RootPath;
use crate::resolve::krtld::{UNIX_32, UNIX_64};

pub const STAGE2: &str = "/boot/grub/stage2_eltorito";
/// The same for machines that start from the network.
pub const PXEGRUB: &str = "/boot/grub/pxegrub";
pub const MENU: &str = "/boot/grub/menu.lst";

/// The menu, with one entry that starts at once; `archive` is the name of the archive on the ISO.
pub fn menu(title: &str, kernels: Kernels, archive: &RootPath, arguments: &str) -> String {
    let kernel = match kernels {
        Kernels::Bits32 => format!("kernel {UNIX_32}"),
        Kernels::Bits64 => format!("kernel {UNIX_64}"),
        Kernels::Both => "kernel$ /platform/i86pc/kernel/$ISADIR/unix".to_owned(),
    };
    let kernel = format!("{kernel} {arguments}");
    format!("default 0\ntimeout 0\ntitle {title}\n{}\nmodule {archive}\n", kernel.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> RootPath {
        RootPath::new("/platform/i86pc/boot_archive").unwrap()
    }

    #[test]
    fn a_kernel_that_is_alone_is_named() {
        let check = |kernels, line: &str| {
            let menu = menu("X", kernels, &archive(), "-B console=ttya");
            assert!(menu.lines().any(|found| found == line), "{menu}");
        };
        check(Kernels::Bits64, "kernel /platform/i86pc/kernel/amd64/unix -B console=ttya");
        check(Kernels::Bits32, "kernel /platform/i86pc/kernel/unix -B console=ttya");
        check(Kernels::Both, "kernel$ /platform/i86pc/kernel/$ISADIR/unix -B console=ttya");
        assert!(
            menu("X", Kernels::Bits64, &archive(), "").contains("amd64/unix\nmodule /platform/i86pc/boot_archive\n")
        );
    }
}
