//! The parts of an illumos ISO that are the illumos loader's own: what its Forth scripts include, the configuration
//! that names the kernel's archive, and the boot sectors of the image as a disk.
//!
//! ```text
//! BIOS, CD     El Torito ─► cdboot ──────────────┐
//! BIOS, disk   pmbr ─► isoboot (sectors 4 to 62) ─┴─► /boot/loader ─► /boot/loader.rc ─► Forth, loader.conf
//! ```

pub mod forth_includes;
pub mod hybrid_mbr;
pub mod loader_conf;
