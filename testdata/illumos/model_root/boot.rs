//! What the boot loaders read: configuration that names the right files, and programs that are only the right size.

use super::pe::{self, Machine};
use super::tables::Year;

/// The bytes of a file below `boot`.
pub fn bytes(path: &str, year: Year) -> Option<Vec<u8>> {
    let inside = path.strip_prefix("boot/")?;
    let text = match inside {
        "loader.rc" => LOADER_RC,
        "defaults/loader.conf" => LOADER_CONF,
        "grub/menu.lst" => MENU_LST,
        "solaris/bootenv.rc" => BOOTENV_RC,
        "solaris/devicedb/master" => DEVICEDB,
        "forth/loader.4th" => LOADER_4TH,
        "forth/check-password.4th" => "include /boot/forth/screen.4th\n",
        "forth/menu.rc" => MENU_RC,
        "forth/menu.4th" => "include /boot/forth/frames.4th\n",
        "forth/menu-commands.4th" => "include /boot/forth/menusets.4th\n",
        "solaris/filelist.ramdisk" => match year {
            Year::Y2015 => "boot/solaris/bootenv.rc\nboot/solaris/devicedb/master\netc/driver_aliases\nkernel\n",
            Year::Y2025 => "boot/solaris/bootenv.rc\netc/driver_aliases\nkernel\n",
        },
        _ => return program(inside),
    };
    Some(text.as_bytes().to_vec())
}

/// Boot programs, zeros with what the chain before them looks for.
fn program(name: &str) -> Option<Vec<u8>> {
    const SECTOR: usize = 512;
    let (size, start): (usize, &[u8]) = match name {
        // Loaded whole, four sectors.
        "cdboot" => (4 * SECTOR, b"\xfa"),
        // A boot sector.
        "pmbr" | "grub/stage1" => (SECTOR, b"\xfa"),
        "isoboot" | "gptzfsboot" => (40 * SECTOR, b"\xfa"),
        "loader" | "pxeboot" | "grub/stage2" | "grub/stage2_eltorito" | "grub/pxegrub" => (64 * SECTOR, b"\xea"),
        "loader64.efi" => return Some(pe::application(Machine::X86_64, 64 * SECTOR)),
        "loader32.efi" => return Some(pe::application(Machine::I386, 64 * SECTOR)),
        _ => return None,
    };
    let mut bytes = start.to_vec();
    bytes.resize(size, 0);
    if size == SECTOR {
        bytes[SECTOR - 2..].copy_from_slice(b"\x55\xaa");
    }
    Some(bytes)
}

const LOADER_RC: &str = "\\ model of the loader's first script\n\
    include /boot/forth/loader.4th\n\
    try-include /boot/loader.rc.local\n\
    include /boot/forth/efi.4th\n\
    include /boot/forth/beadm.4th\n\
    initialize drop\n\
    include /boot/forth/beastie.4th\n\
    beastie-start\n";

const LOADER_4TH: &str = "\\ model of the loader's library\n\
    include /boot/forth/support.4th\n\
    include /boot/forth/color.4th\n\
    include /boot/forth/delay.4th\n\
    include /boot/forth/check-password.4th\n";

const MENU_RC: &str = "\\ model of the loader's menu\n\
    include /boot/forth/version.4th\n\
    include /boot/forth/brand.4th\n\
    include /boot/forth/menu.4th\n\
    include /boot/forth/menu-commands.4th\n\
    include /boot/forth/shortcuts.4th\n";

const LOADER_CONF: &str = "# model of the loader's defaults\n\
    exec=\".( Loading /boot/defaults/loader.conf ) cr\"\n\
    kernel=\"i86pc/kernel/${ISADIR}\"\n\
    bootfile=\"unix\"\n\
    module_path=\"/platform/i86pc/${ISADIR}/\"\n\
    loader_conf_files=\"/boot/loader.conf /boot/loader.conf.local\"\n\
    loader_conf_dirs=\"/boot/conf.d\"\n\
    boot_archive_load=\"YES\"\n\
    boot_archive_type=\"rootfs\"\n\
    boot_archive_name=\"/platform/i86pc/${ISADIR}/boot_archive\"\n\
    boot_archive.hash_load=\"YES\"\n\
    boot_archive.hash_type=\"hash\"\n\
    boot_archive.hash_name=\"/platform/i86pc/${ISADIR}/boot_archive.hash\"\n\
    console=\"text\"\n\
    os_console=\"text\"\n\
    autoboot_delay=\"10\"\n\
    beastie_disable=\"NO\"\n\
    verbose_loading=\"NO\"\n";

const MENU_LST: &str = "# model of a GRUB menu\n\
    default=0\n\
    timeout=10\n\
    title illumos\n\
    kernel$ /platform/i86pc/kernel/$ISADIR/unix\n\
    module$ /platform/i86pc/$ISADIR/boot_archive\n";

const BOOTENV_RC: &str = "# boot properties: setprop name value\n\
    setprop kbd-type US-English\n\
    setprop ata-dma-enabled 1\n\
    setprop atapi-cd-dma-enabled 1\n\
    setprop ttyb-rts-dtr-off false\n\
    setprop ttyb-ignore-cd true\n\
    setprop ttya-rts-dtr-off false\n\
    setprop ttya-ignore-cd true\n\
    setprop ttyb-mode 9600,8,n,1,-\n\
    setprop ttya-mode 9600,8,n,1,-\n\
    setprop lba-access-ok 1\n\
    setprop console 'text'\n";

/// ISA devices by Plug and Play identifier; the keyboard and the mouse are why its absence panics.
const DEVICEDB: &str = "# id\tnode\tclass\tbus\tbef\tdescription\n\
    PNP0303\tpnpPNP,303\tkey\tall\tnone\t\"Keyboard\"\n\
    PNP0F03\tpnpPNP,f03\tmou\tall\tnone\t\"Mouse\"\n\
    PNP0501\tasy\tcom\tall\tnone\t\"Serial port\"\n";
