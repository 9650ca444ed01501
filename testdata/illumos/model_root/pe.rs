//! An EFI application that returns at once: headers that firmware and minroot accept, and one section.
//!
//! Format: Microsoft, *PE Format*, "MS-DOS Stub" to "Section Table". PE32 and PE32+ differ in the optional header, where
//! the second has addresses of 64 bits and no `BaseOfData`.

/// The processor that an application is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    I386,
    X86_64,
}

/// Where the PE header is, right behind the DOS header that leads to it.
const HEADER: usize = 0x40;
/// The COFF file header begins behind the signature, the optional header behind both.
const COFF: usize = HEADER + 4;
const OPTIONAL: usize = COFF + 20;

/// All headers together, and what the section's size in the file is a multiple of.
const FILE_ALIGNMENT: u32 = 0x200;
/// Where the section is in memory.
const SECTION_ALIGNMENT: u32 = 0x1000;

const EXECUTABLE_IMAGE: u16 = 0x0002;
const LARGE_ADDRESS_AWARE: u16 = 0x0020;
const EFI_APPLICATION: u16 = 10;
/// Code that is read and executed.
const TEXT: u32 = 0x6000_0020;

/// `xor %eax, %eax; ret` on both machines: `EFI_SUCCESS`.
const CODE: [u8; 3] = [0x31, 0xc0, 0xc3];

/// An application of `size` bytes, which is a multiple of 512 and more than that.
pub fn application(machine: Machine, size: usize) -> Vec<u8> {
    let (id, magic, flags, optional_size) = match machine {
        Machine::I386 => (0x014c_u16, 0x010b_u16, EXECUTABLE_IMAGE, 96),
        Machine::X86_64 => (0x8664, 0x020b, EXECUTABLE_IMAGE | LARGE_ADDRESS_AWARE, 112),
    };
    let code_size = u32::try_from(size).expect("a small file") - FILE_ALIGNMENT;
    let image_size = (SECTION_ALIGNMENT + code_size).next_multiple_of(SECTION_ALIGNMENT);
    let mut file = vec![0; size];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3c, &(HEADER as u32).to_le_bytes());
    put(HEADER, b"PE\0\0");
    put(COFF, &id.to_le_bytes());
    put(COFF + 2, &1u16.to_le_bytes()); // sections
    put(COFF + 16, &(optional_size as u16).to_le_bytes());
    put(COFF + 18, &flags.to_le_bytes());
    put(OPTIONAL, &magic.to_le_bytes());
    put(OPTIONAL + 4, &code_size.to_le_bytes());
    put(OPTIONAL + 16, &SECTION_ALIGNMENT.to_le_bytes()); // the entry point
    put(OPTIONAL + 20, &SECTION_ALIGNMENT.to_le_bytes()); // the base of the code
    put(OPTIONAL + 32, &SECTION_ALIGNMENT.to_le_bytes());
    put(OPTIONAL + 36, &FILE_ALIGNMENT.to_le_bytes());
    put(OPTIONAL + 56, &image_size.to_le_bytes());
    put(OPTIONAL + 60, &FILE_ALIGNMENT.to_le_bytes()); // the size of the headers
    put(OPTIONAL + 68, &EFI_APPLICATION.to_le_bytes());
    // The optional header ends without data directories.
    let section = OPTIONAL + optional_size;
    put(section, b".text");
    put(section + 8, &code_size.to_le_bytes());
    put(section + 12, &SECTION_ALIGNMENT.to_le_bytes());
    put(section + 16, &code_size.to_le_bytes());
    put(section + 20, &FILE_ALIGNMENT.to_le_bytes());
    put(section + 36, &TEXT.to_le_bytes());
    put(FILE_ALIGNMENT as usize, &CODE);
    file
}
