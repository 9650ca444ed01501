//! Whether the loader takes a file that it has opened (glibc `elf/dl-load.c`, `open_verify` and
//! `_dl_map_object_from_fd`). The checks and the words of those that are fatal are glibc's, in its order. It does not compare segments with the length of
//! the file.

use crate::objects::elf::{CutOff, ElfError, Identity, PROGRAM_HEADERS};
use crate::resolve::store::{Facts, Object};
use crate::resolve::{KILLED, LOST, Outcome};
use goblin::elf::dynamic::DF_1_PIE;
use goblin::elf::header::{ELFOSABI_GNU, ELFOSABI_NONE, ET_DYN, ET_EXEC};

/// How little of a file is too little: the header of a 64-bit object.
const HEADER_SIZE: u64 = 64;

/// `wanted` is the identity of the executable, `size` the length of the file in bytes.
pub(super) fn accept(object: &Object, wanted: Identity, size: u64) -> Outcome {
    let elf = match &object.facts {
        Facts::Elf(elf) => elf,
        Facts::Damaged(ElfError::TooShort) => return fatal("file too short"),
        Facts::Damaged(ElfError::OutOfRange { field }) if *field == PROGRAM_HEADERS => {
            return fatal("cannot read file data");
        }
        Facts::Damaged(ElfError::OutOfRange { .. }) => return fatal(KILLED),
        Facts::Damaged(ElfError::Zeros { .. }) => return fatal(LOST),
        Facts::Damaged(error) => return Outcome::Fatal(error.to_string()),
        Facts::Script(_) | Facts::Data if size < HEADER_SIZE => return fatal("file too short"),
        Facts::Script(_) | Facts::Data => return fatal("invalid ELF header"),
        Facts::Unreadable(why) => return Outcome::Fatal(format!("cannot read file data: {why}")),
    };
    let found = elf.identity;
    if found.bits != wanted.bits {
        return Outcome::Skipped("wrong ELF class");
    }
    if found.little_endian != wanted.little_endian {
        let wanted = if wanted.little_endian { "little" } else { "big" };
        return Outcome::Fatal(format!("ELF file data encoding not {wanted}-endian"));
    }
    if !matches!(found.os_abi, ELFOSABI_NONE | ELFOSABI_GNU) {
        return fatal("ELF file OS ABI invalid");
    }
    if found.machine != wanted.machine {
        return Outcome::Skipped("another machine's object");
    }
    match (found.file_type, &elf.dynamic) {
        (ET_DYN, None) => fatal("object file has no dynamic section"),
        (ET_DYN, Some(dynamic)) if dynamic.has_flag_1(DF_1_PIE) => {
            fatal("cannot dynamically load position-independent executable")
        }
        (ET_DYN, Some(_)) if elf.cut_off == Some(CutOff::ZeroedPage) => fatal(KILLED),
        (ET_DYN, Some(_)) => Outcome::Found,
        (ET_EXEC, _) => fatal("cannot dynamically load executable"),
        _ => fatal("only ET_DYN and ET_EXEC can be loaded"),
    }
}

fn fatal(words: &str) -> Outcome {
    Outcome::Fatal(words.to_owned())
}
