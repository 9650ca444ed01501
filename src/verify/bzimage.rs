//! A Linux kernel for x86, as its boot loaders see it (Documentation/arch/x86/boot.rst).
//!
//! The header says how long the file has to be, and up to which length the kernel takes its command line: what is
//! longer is cut off without a word.

use super::iso::{BootFile, Chain};
use super::{Component, Finding, Report, Severity};
use crate::iso::Blob;
use crate::text::size;

/// Offsets in the file: "The Real-Mode Kernel Header".
const SETUP_SECTS: usize = 0x1f1;
const SYSSIZE: usize = 0x1f4;
const BOOT_FLAG: usize = 0x1fe;
const MAGIC: usize = 0x202;
const VERSION: usize = 0x206;
const KERNEL_VERSION: usize = 0x20e;
const LOADFLAGS: usize = 0x211;
const CMDLINE_SIZE: usize = 0x238;
const HEADER: usize = 0x260;

const LOADED_HIGH: u8 = 1;
/// The protocol version from which on `cmdline_size` is there; before it was 255 bytes.
const WITH_CMDLINE_SIZE: u16 = 0x0206;

/// What the header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BzImage {
    /// `6.1.0-41-amd64`, as `uname -r` prints it.
    pub release: Option<String>,
    /// Bytes of the command line, without the NUL at its end.
    pub max_args: u32,
}

/// Why a file is no kernel, or not a whole one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BzImageError {
    #[error("it has no header of the Linux boot protocol")]
    NotKernel,
    #[error("it is a kernel of the old kind that is loaded below 1 MiB")]
    LoadedLow,
    #[error("it has {has} bytes, and its header says {says}")]
    Truncated { has: u64, says: u64 },
}

impl BzImage {
    /// Reads the kernel that a loader loads and reports what the loader or the kernel would say.
    pub(super) fn check(file: &BootFile, chain: &Chain, report: &mut Report) -> Option<BzImage> {
        match BzImage::read(&file.blob) {
            Ok(kernel) => {
                let release = kernel.release.as_deref().unwrap_or("of unknown release");
                report.saw(Component::Kernel, &file.path, format_args!("Linux {release}, {}", size(file.blob.len())));
                let given = chain.kernel_args.len();
                if given > kernel.max_args as usize {
                    let message = format!(
                        "the command line has {given} bytes, of which the kernel takes the first {}",
                        kernel.max_args
                    );
                    report.find(Finding::new(Severity::Harmful, Component::Kernel, message).at(&chain.config));
                }
                Some(kernel)
            }
            Err(error) => {
                let (component, message) = match error {
                    // What the decompressor in the kernel says of data that break off.
                    BzImageError::Truncated { .. } => (Component::Kernel, "uncompression error -- System halted"),
                    _ if chain.loader == Component::Isolinux => {
                        (Component::Isolinux, "Booting kernel failed: Invalid argument")
                    }
                    _ => (Component::SystemdBoot, "Error loading kernel: Unsupported"),
                };
                let finding = Finding::new(Severity::PreventsStart, component, message);
                report.find(finding.at(&file.path).hint(error.to_string()));
                None
            }
        }
    }

    fn read(file: &Blob) -> Result<BzImage, BzImageError> {
        let mut header = [0; HEADER];
        file.read_exact_at(0, &mut header).map_err(|_| BzImageError::NotKernel)?;
        if header[BOOT_FLAG..BOOT_FLAG + 2] != [0x55, 0xaa] || header[MAGIC..MAGIC + 4] != *b"HdrS" {
            return Err(BzImageError::NotKernel);
        }
        if header[LOADFLAGS] & LOADED_HIGH == 0 {
            return Err(BzImageError::LoadedLow);
        }
        // "For backwards compatibility, if the setup_sects field contains 0, the real value is 4."
        let setup_sectors = if header[SETUP_SECTS] == 0 { 4 } else { u64::from(header[SETUP_SECTS]) };
        let paragraphs = u64::from(u32_at(&header, SYSSIZE));
        let (has, says) = (file.len(), (1 + setup_sectors) * 512 + paragraphs * 16);
        // The last paragraph may be a part of one.
        if has + 15 < says {
            return Err(BzImageError::Truncated { has, says });
        }
        let version = u16::from_le_bytes([header[VERSION], header[VERSION + 1]]);
        let max_args = if version >= WITH_CMDLINE_SIZE { u32_at(&header, CMDLINE_SIZE) } else { 255 };
        let at = u16::from_le_bytes([header[KERNEL_VERSION], header[KERNEL_VERSION + 1]]);
        Ok(BzImage { release: release(file, at), max_args })
    }
}

/// The first word of the version string, which lies 512 bytes behind where the header says.
fn release(file: &Blob, at: u16) -> Option<String> {
    if at == 0 {
        return None;
    }
    let start = u64::from(at) + 512;
    let text = file.slice(start, 128.min(file.len().checked_sub(start)?))?.read().ok()?;
    let word = text.split(|&b| b == b' ' || b == 0).next().filter(|word| !word.is_empty() && word.is_ascii())?;
    String::from_utf8(word.to_vec()).ok()
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes([bytes[offset], bytes[offset + 1], bytes[offset + 2], bytes[offset + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with one setup sector and 64 KiB of kernel.
    fn sample() -> Vec<u8> {
        let mut file = vec![0; 1024 + 65_536];
        let mut put = |at: usize, value: &[u8]| file[at..at + value.len()].copy_from_slice(value);
        put(SETUP_SECTS, &[1]);
        put(SYSSIZE, &4096u32.to_le_bytes());
        put(BOOT_FLAG, &[0x55, 0xaa]);
        put(MAGIC, b"HdrS");
        put(VERSION, &0x020fu16.to_le_bytes());
        put(KERNEL_VERSION, &0x100u16.to_le_bytes());
        put(0x300, b"6.1.0-test (builder@host) #1");
        put(LOADFLAGS, &[LOADED_HIGH]);
        put(CMDLINE_SIZE, &2047u32.to_le_bytes());
        file
    }

    #[test]
    fn the_header_tells_release_and_limits() {
        let kernel = BzImage::read(&Blob::from_bytes(sample())).unwrap();
        assert_eq!(kernel, BzImage { release: Some("6.1.0-test".into()), max_args: 2047 });
    }

    #[test]
    fn damage_is_told_apart() {
        let read = |bytes: &[u8]| BzImage::read(&Blob::from_bytes(bytes));
        let good = sample();
        for at in [BOOT_FLAG, MAGIC] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(read(&bad), Err(BzImageError::NotKernel));
        }
        let mut low = good.clone();
        low[LOADFLAGS] = 0;
        assert_eq!(read(&low), Err(BzImageError::LoadedLow));
        assert!(read(&good[..good.len() - 15]).is_ok());
        let error = BzImageError::Truncated { has: 66_544, says: 66_560 };
        assert_eq!(read(&good[..good.len() - 16]), Err(error));
        for length in 0..HEADER {
            assert_eq!(read(&good[..length]), Err(BzImageError::NotKernel));
        }
    }
}
