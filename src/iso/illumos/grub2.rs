//! `grub.cfg` of GRUB 2.
//!
//! GRUB 2 does not put the name of the kernel in front of its arguments, but illumos takes the first word for it; so
//! the name is there twice. Multiboot 1 is used, which every kernel of illumos has.
//!
//! The core image must have `biosdisk`, `iso9660`, `normal`, `multiboot` and `gzio` built in, and `cpuid` for a root
//! with both kernels: no module files go onto the ISO.

use super::loader_conf::Kernels;
use crate::path::RootPath;
use crate::resolve::krtld::{UNIX_32, UNIX_64};

/// Where a core image for CDs is, as `grub-mkimage -O i386-pc-eltorito` and `grub-mkrescue` make it; GRUB's own
/// directory, which has its `grub.cfg`, comes second.
pub const CORES: [(&str, &str); 4] = [
    ("/boot/grub/i386-pc/eltorito.img", "/boot/grub"),
    ("/boot/grub/eltorito.img", "/boot/grub"),
    ("/boot/grub2/i386-pc/eltorito.img", "/boot/grub2"),
    ("/boot/grub2/eltorito.img", "/boot/grub2"),
];

/// The same for machines that start from the network, as `grub-mkimage -O i386-pc-pxe` makes it: with `pxe` and `tftp`
/// built in instead of `biosdisk` and `iso9660`.
pub const NETWORK_CORES: [(&str, &str); 4] = [
    ("/boot/grub/i386-pc/core.0", "/boot/grub"),
    ("/boot/grub/core.0", "/boot/grub"),
    ("/boot/grub2/i386-pc/core.0", "/boot/grub2"),
    ("/boot/grub2/core.0", "/boot/grub2"),
];

/// The configuration, with one entry that starts at once; `archive` is the name of the archive on the ISO.
pub fn config(title: &str, kernels: Kernels, archive: &RootPath, arguments: &str) -> String {
    let words: String = arguments.split_whitespace().map(|word| format!(" {}", quoted(word))).collect();
    let kernel = |path: &str| format!("multiboot {path} {path}{words}\n");
    let start = match kernels {
        Kernels::Bits32 => kernel(UNIX_32),
        Kernels::Bits64 => kernel(UNIX_64),
        Kernels::Both => {
            format!("insmod cpuid\nif cpuid -l; then\n{}else\n{}fi\n", kernel(UNIX_64), kernel(UNIX_32))
        }
    };
    let hash = format!("{archive}.hash");
    format!(
        "set timeout=0\nset default=0\nmenuentry {} {{\ninsmod gzio\n{start}\
         module {archive} {archive} type=rootfs\nmodule {hash} {hash} type=hash\n}}\n",
        quoted(title)
    )
}

/// A word that GRUB's script language takes as it is.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:,=@%+-".contains(c);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> RootPath {
        RootPath::new("/platform/i86pc/boot_archive").unwrap()
    }

    #[test]
    fn the_name_of_the_kernel_is_its_first_argument() {
        let config = config("X", Kernels::Bits64, &archive(), "-v -B a=b;c,d='e'");
        let kernel = "/platform/i86pc/kernel/amd64/unix";
        assert!(config.contains(&format!("\nmultiboot {kernel} {kernel} -v -B 'a=b;c,d='\\''e'\\'''\n")), "{config}");
        assert!(config.contains("boot_archive type=rootfs\n") && config.contains("boot_archive.hash type=hash\n"));
    }

    #[test]
    fn the_processor_decides_between_two_kernels() {
        let config = config("X", Kernels::Both, &archive(), "");
        let place = |text: &str| config.find(text).unwrap();
        assert!(place("cpuid -l") < place("kernel/amd64/unix\n") && place("else") < place("kernel/unix\n"));
    }
}
