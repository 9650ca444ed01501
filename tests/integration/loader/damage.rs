//! B30: damaged objects are told with the field that is wrong; nothing panics, other files are not affected.

use super::fixture::{Fixture, LIBRARIES, foretold, has, required};
use minroot::objects::elf::{Elf, ElfError, SymbolScan};
use minroot::rules::RuleSet;
use minroot::verify::verify;
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};
use proptest::prelude::*;
use std::sync::OnceLock;

/// A library with everything in it: versions, symbols, needs.
fn library() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let places = ["/lib/x86_64-linux-gnu/libm.so.6", "/lib64/libm.so.6", "/lib/aarch64-linux-gnu/libm.so.6"];
        places.iter().find_map(|path| std::fs::read(path).ok()).expect("this machine has a libm")
    })
}

fn scan() -> SymbolScan {
    SymbolScan::with_dlopen(["malloc", "__.*_finite", "_dl_x86_get_cpu_features"]).unwrap()
}

fn read(bytes: &[u8]) -> Result<Elf, ElfError> {
    let _ = Elf::library_names(&bytes);
    Elf::read(&bytes, &scan())
}

#[test]
fn b30_a_library_cut_anywhere_is_whole_or_tells_its_field() {
    let whole = read(library()).unwrap();
    assert!(whole.needed().iter().any(|name| name.starts_with(b"libc.so")));
    for length in (0..library().len()).step_by(512).chain(0..128) {
        match read(&library()[..length]) {
            // Only sections, which nobody reads, and code were cut off.
            Ok(elf) => assert_eq!(Elf { is_cut_off: false, ..elf }, whole, "cut at {length}"),
            Err(error) => assert!(!error.to_string().is_empty(), "cut at {length}"),
        }
    }
    assert_eq!(read(&library()[..20]), Err(ElfError::TooShort));
    assert_eq!(read(b""), Err(ElfError::NotElf));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn b30_random_header_bytes_never_panic(changes in prop::collection::vec((0..0x400_usize, any::<u8>()), 1..12)) {
        let mut bytes = library().to_vec();
        for (offset, byte) in changes {
            bytes[offset] = byte;
        }
        let _ = read(&bytes);
    }

    #[test]
    fn b30_random_dynamic_entries_never_panic(
        changes in prop::collection::vec((0..40_usize, 0..2_usize, prop_oneof![any::<u64>(), 0..0x20_0000_u64]), 1..6),
    ) {
        let mut bytes = library().to_vec();
        let table = dynamic_offset(&bytes);
        for (entry, field, value) in changes {
            let at = table + entry * 16 + field * 8;
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        let _ = read(&bytes);
    }
}

fn dynamic_offset(bytes: &[u8]) -> usize {
    let header = elf::FileHeader64::<object::Endianness>::parse(bytes).unwrap();
    let endian = header.endian().unwrap();
    let segments = header.program_headers(endian, bytes).unwrap();
    let dynamic = segments.iter().find(|segment| segment.p_type(endian) == elf::PT_DYNAMIC).unwrap();
    dynamic.p_offset(endian) as usize
}

/// The header alone, with as many program headers as it can announce.
#[test]
fn b30_program_headers_beyond_the_end_are_out_of_range() {
    let mut bytes = library()[..64].to_vec();
    bytes[56..58].copy_from_slice(&u16::MAX.to_le_bytes());
    assert_eq!(read(&bytes), Err(ElfError::OutOfRange { field: "the program header table" }));
    bytes[54] = 1;
    assert_eq!(read(&bytes), Err(ElfError::Malformed { field: "e_phentsize" }));
}

#[test]
fn b30_tables_outside_the_file_are_named() {
    let table = dynamic_offset(library());
    let with = |tag: u64, value: u64| {
        let mut bytes = library().to_vec();
        let entries = (table..).step_by(16);
        let word = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let entry = entries.take(64).find(|at| word(&bytes, *at) == tag).expect("the tag is there");
        bytes[entry + 8..entry + 16].copy_from_slice(&value.to_le_bytes());
        read(&bytes).unwrap_err().to_string()
    };
    const DT_NEEDED: u64 = 1;
    const DT_STRTAB: u64 = 5;
    const DT_STRSZ: u64 = 10;
    const DT_VERNEED: u64 = 0x6fff_fffe;
    assert_eq!(with(DT_NEEDED, u64::MAX), "an index of the dynamic string table is out of range of the file");
    assert_eq!(with(DT_STRTAB, 1 << 60), "DT_STRTAB is out of range of the file");
    assert_eq!(with(DT_STRSZ, u64::MAX), "DT_STRSZ is out of range of the file");
    assert_eq!(with(DT_STRSZ, 1 << 40), "the dynamic string table is out of range of the file");
    assert_eq!(with(DT_VERNEED, 1 << 60), "DT_VERNEED is out of range of the file");
}

#[test]
fn b30_of_a_library_that_was_cut_off_verify_says_what_the_loader_says_or_a_shell_of_its_death() {
    let Some(fixture) = Fixture::new() else { return };
    let cut = format!("{LIBRARIES}/libcut.so");
    let source = "int table[3000] = {1}, zero[5000]; int cut(void) { return zero[table[2]]; }";
    fixture.library(&cut, source, &[]);
    fixture.program("/init", "int cut(void); int main(void) { return cut(); }", &[&format!("-LR{LIBRARIES}"), "-lcut"]);
    let whole = std::fs::read(fixture.host(&cut)).unwrap();
    let (mut told, mut killed) = (0, 0);
    for length in [0, 20, 63, 64, 400].into_iter().chain((0x400..whole.len()).step_by(0x400)) {
        fixture.write(&cut, &whole[..length]);
        let (real, foretold) = (fixture.run(&["/init"], &[]), foretold(fixture.root()));
        if foretold == ["Bus error"] {
            assert_eq!((real.success, &real.stderr[..]), (false, ""), "{length} of {}", whole.len());
            killed += 1;
        } else {
            assert_eq!(real.success, foretold.is_empty(), "{length} of {}: {real:?} {foretold:?}", whole.len());
            assert_eq!(real.stderr.lines().collect::<Vec<_>>(), foretold, "{length} of {}", whole.len());
            told += usize::from(!real.success);
        }
    }
    assert!(told == 5 && killed > 3, "{told} are told and {killed} kill, of {} bytes", whole.len());
}

#[test]
fn b30_of_a_program_that_was_cut_off_verify_says_what_the_kernel_does() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.program("/init", "int table[3000] = {1}, zero[5000]; int main(void) { return zero[table[2]]; }", &[]);
    let whole = std::fs::read(fixture.host("/init")).unwrap();
    let (mut told, mut killed) = (0, 0);
    for length in [63, 64, 800].into_iter().chain((0x400..whole.len()).step_by(0x400)) {
        fixture.write("/init", &whole[..length]);
        let real = fixture.run(&["/init"], &[]);
        let findings = verify(fixture.root(), None, &RuleSet::from_directories(&[]).unwrap()).unwrap().findings;
        let foretold = findings.first().map_or("", |finding| &finding.message[..]);
        match (&real.stderr[..], real.success) {
            ("", true) => assert_eq!(foretold, "", "{length} of {}", whole.len()),
            ("", false) => {
                assert_eq!(foretold, "/init: Segmentation fault", "{length} of {}", whole.len());
                killed += 1;
            }
            (said, _) => {
                let number = if length == 800 { 5 } else { 8 };
                assert_eq!(foretold, format!("Failed to execute /init (error -{number})"), "{length}: {said}");
                told += 1;
            }
        }
    }
    assert!(told == 3 && killed > 3, "{told} are told and {killed} killed, of {} bytes", whole.len());
}

#[test]
fn b30_a_damaged_file_does_not_affect_others() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.program("/app/run", "int main(void) { return 0; }", &[]);
    fixture.write("/app/damaged", &std::fs::read(fixture.host("/app/run")).unwrap()[..600]);
    fixture.write("/app/empty", "");
    let (trace, manifest) = fixture.trace(&["/app/damaged", "/app/empty", "/app/run"]);
    assert!(required(&manifest).is_empty());
    assert!(has(&manifest, "/app/empty") && has(&manifest, &format!("{LIBRARIES}/libc.so.6")));
    let why: Vec<&str> = trace.unknown.iter().map(|omission| &omission.why[..]).collect();
    assert_eq!(why.len(), 1);
    assert!(why[0].contains("begins like an ELF object, but"), "{why:?}");
}

#[test]
fn objects_of_either_class_and_byte_order_are_read() {
    for (bits, little_endian) in [(64, true), (64, false), (32, true), (32, false)] {
        let bytes = super::objects::build(bits == 64, !little_endian);
        let elf = read(&bytes).unwrap();
        assert_eq!((elf.identity.bits, elf.identity.little_endian), (bits, little_endian));
        assert_eq!(elf.identity.machine, elf::EM_S390.0);
        assert_eq!(elf.soname(), Some(&b"libself.so"[..]));
        assert_eq!(elf.needed(), [Box::from(&b"libfirst.so.1"[..]), Box::from(&b"libsecond.so.2"[..])]);
        let dynamic = elf.dynamic.unwrap();
        assert_eq!(dynamic.runpath.as_deref(), Some(&b"$ORIGIN/l"[..]));
        assert_eq!(dynamic.versions_needed[0].versions[0].name[..], b"V_1"[..]);
        for length in 0..bytes.len() {
            let _ = read(&bytes[..length]);
        }
    }
}
