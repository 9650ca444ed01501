//! Whether UEFI firmware would load a file: a PE32+ executable for x86-64 that is an EFI application and whole.
//!
//! A Linux kernel with an EFI stub is such a file too (Documentation/admin-guide/efi-stub.rst). Format: Microsoft,
//! *PE Format*, "COFF File Header" to "Section Table".

use crate::iso::Blob;

const MACHINE_X86_64: u16 = 0x8664;
const PE32_PLUS: u16 = 0x20b;
const EFI_APPLICATION: u16 = 10;

/// Offsets in the optional header, and its least length that has them.
const SUBSYSTEM: usize = 68;
const OPTIONAL_HEADER: usize = 70;

const SECTION: usize = 40;
/// More than any file has; the field could say 65,535.
const MAX_SECTIONS: u16 = 96;

/// Why firmware refuses a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PeError {
    #[error("it is no PE executable")]
    NoPe,
    #[error("it is for machine {0:#06x}, not for x86-64")]
    Machine(u16),
    #[error("it is no EFI application")]
    NoEfiApplication,
    #[error("it is cut short: {0}")]
    Truncated(String),
}

impl PeError {
    /// The status that `LoadImage` returns for it (UEFI specification 2.10, section 7.4.1).
    pub(super) fn status(&self) -> &'static str {
        match self {
            PeError::NoPe | PeError::Machine(_) | PeError::NoEfiApplication => "Unsupported",
            PeError::Truncated(_) => "Load Error",
        }
    }
}

/// Reads the headers and compares the sections with the length of the file.
pub(super) fn check(file: &Blob) -> Result<(), PeError> {
    let truncated = |what: &str| PeError::Truncated(format!("{what} is not there"));
    let mut dos = [0; 64];
    file.read_exact_at(0, &mut dos).map_err(|_| PeError::NoPe)?;
    if dos[..2] != *b"MZ" {
        return Err(PeError::NoPe);
    }
    let header = u64::from(u32::from_le_bytes([dos[60], dos[61], dos[62], dos[63]]));
    let mut coff = [0; 24];
    file.read_exact_at(header, &mut coff).map_err(|_| truncated("the PE header"))?;
    if coff[..4] != *b"PE\0\0" {
        return Err(PeError::NoPe);
    }
    let (machine, n_sections, optional) = (u16_at(&coff, 4), u16_at(&coff, 6), u16_at(&coff, 20));
    if machine != MACHINE_X86_64 {
        return Err(PeError::Machine(machine));
    }
    let mut start = [0; OPTIONAL_HEADER];
    file.read_exact_at(header + 24, &mut start).map_err(|_| truncated("the optional header"))?;
    if u16_at(&start, 0) != PE32_PLUS || u16_at(&start, SUBSYSTEM) != EFI_APPLICATION || n_sections > MAX_SECTIONS {
        return Err(PeError::NoEfiApplication);
    }
    let mut table = vec![0; usize::from(n_sections) * SECTION];
    file.read_exact_at(header + 24 + u64::from(optional), &mut table).map_err(|_| truncated("the section table"))?;
    for section in table.chunks_exact(SECTION) {
        let (length, offset) = (u64::from(u32_at(section, 16)), u64::from(u32_at(section, 20)));
        if length > 0 && offset + length > file.len() {
            let name = section[..8].split(|&b| b == 0).next().unwrap_or_default();
            let name = String::from_utf8_lossy(name);
            let problem = format!("section {name} ends at {}, the file at {}", offset + length, file.len());
            return Err(PeError::Truncated(problem));
        }
    }
    Ok(())
}

fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes([bytes[offset], bytes[offset + 1]])
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from(u16_at(bytes, offset)) | u32::from(u16_at(bytes, offset + 2)) << 16
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Headers of an EFI application with one section that is the rest of the file, up to `length`.
    pub(in crate::verify) fn put_headers(file: &mut [u8], header: usize) {
        let length = file.len() as u32;
        file[..2].copy_from_slice(b"MZ");
        file[60..64].copy_from_slice(&(header as u32).to_le_bytes());
        file[header..header + 4].copy_from_slice(b"PE\0\0");
        let mut put = |at: usize, value: &[u8]| file[header + at..header + at + value.len()].copy_from_slice(value);
        put(4, &MACHINE_X86_64.to_le_bytes());
        put(6, &1u16.to_le_bytes());
        put(20, &112u16.to_le_bytes());
        put(24, &PE32_PLUS.to_le_bytes());
        put(24 + SUBSYSTEM, &EFI_APPLICATION.to_le_bytes());
        put(24 + 112, b".text");
        put(24 + 112 + 16, &(length - 512).to_le_bytes());
        put(24 + 112 + 20, &512u32.to_le_bytes());
    }

    #[test]
    fn every_field_that_firmware_looks_at_is_checked() {
        let mut good = vec![0; 1024];
        put_headers(&mut good, 128);
        let status = |bytes: &[u8]| check(&Blob::from_bytes(bytes)).map_err(|error| error.status());
        assert_eq!(status(&good), Ok(()));
        for (at, expected) in
            [(0, "Unsupported"), (128, "Unsupported"), (132, "Unsupported"), (128 + 24 + 68, "Unsupported")]
        {
            let mut bad = good.clone();
            bad[at] ^= 0x55;
            assert_eq!(status(&bad), Err(expected), "byte {at}");
        }
        for length in 0..good.len() {
            assert!(status(&good[..length]).is_err(), "{length} bytes");
        }
        assert_eq!(status(&good[..1023]), Err("Load Error"));
    }
}
