//! B30: damaged objects are told with the field that is wrong; nothing panics, other files are not affected.

use super::fixture::{Fixture, LIBRARIES, has, required};
use minroot::objects::elf::{Elf, ElfError, SymbolScan};
use minroot::rules::RuleSet;
use minroot::verify::{Severity, verify};
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};
use proptest::prelude::*;
use std::ops::Range;
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
            Ok(elf) => assert_eq!(Elf { cut_off: None, ..elf }, whole, "cut at {length}"),
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
    dynamic_section(bytes).expect("it has one").start
}

fn dynamic_section(bytes: &[u8]) -> Option<Range<usize>> {
    let header = elf::FileHeader64::<object::Endianness>::parse(bytes).unwrap();
    let endian = header.endian().unwrap();
    let segments = header.program_headers(endian, bytes).unwrap();
    let dynamic = segments.iter().find(|segment| segment.p_type(endian) == elf::PT_DYNAMIC)?;
    let start = dynamic.p_offset(endian) as usize;
    Some(start..start + dynamic.p_filesz(endian) as usize)
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

/// What kills a program, in the words of a shell.
fn death(signal: i32) -> &'static str {
    match signal {
        7 => "Bus error",
        11 => "Segmentation fault",
        _ => panic!("signal {signal}"),
    }
}

/// Runs the root's `/init` with one of its files cut off at many places, and compares with what `verify` says: that
/// it runs, the line that is printed, or the death. Where the file only lacks what the program may never touch, it says what
/// would happen then. Gives how many cuts came to which end: a line, a death, nothing.
fn compare_cuts(fixture: &Fixture, file: &str, step: usize) -> (usize, usize, usize) {
    let whole = std::fs::read(fixture.host(file)).unwrap();
    let dynamic = dynamic_section(&whole);
    let rules = RuleSet::from_directories(&[]).unwrap();
    let mut ends = (0, 0, 0);
    // What comes of half a dynamic section is another question.
    let inside =
        |length: &usize| dynamic.as_ref().is_some_and(|dynamic| (dynamic.start + 1..dynamic.end).contains(length));
    let lengths = [20, 63].into_iter().chain((64..whole.len()).step_by(step));
    for length in lengths.filter(|length| !inside(length)) {
        fixture.write(file, &whole[..length]);
        let real = fixture.run(&["/init"], &[]);
        let findings = verify(fixture.root(), None, &rules).unwrap().findings;
        let of = |severity: Severity| findings.iter().find(|finding| finding.severity == severity);
        let (ends_it, harms) = (of(Severity::PreventsStart), of(Severity::Harmful));
        let at = format!("{file}, {length} of {}: {real:?} {findings:#?}", whole.len());
        match (real.signal, ends_it) {
            (None, None) => {
                assert!(real.success, "{at}");
                ends.2 += 1;
            }
            (None, Some(finding)) => {
                let said = real.stderr.strip_prefix("exec: ").unwrap_or(&real.stderr).trim_end();
                let number = if said == "Input/output error" { 5 } else { 8 };
                let is_of_kernel = finding.message == format!("Failed to execute /init (error -{number})");
                assert!(!real.success && (is_of_kernel || finding.message == said), "{at}");
                ends.0 += 1;
            }
            (Some(signal), finding) => {
                let words = &finding.or(harms).expect(&at).message;
                assert!(words.trim_start_matches("/init: ").starts_with(death(signal)), "{at}");
                ends.1 += 1;
            }
        }
    }
    fixture.write(file, &whole);
    ends
}

#[test]
fn b30_of_a_library_that_was_cut_off_verify_says_what_the_loader_says_or_a_shell_of_its_death() {
    let Some(fixture) = Fixture::new() else { return };
    let cut = format!("{LIBRARIES}/libcut.so");
    // With pages of zeros behind its data, without, and without any data.
    for (source, options) in [
        ("int table[3000] = {1}, zero[5000]; int cut(void) { return zero[table[2]]; }", &[][..]),
        ("int table[3000] = {1}; int cut(void) { return table[2]; }", &["-nostartfiles"]),
        ("int cut(void) { return 0; }", &["-nostartfiles"]),
    ] {
        fixture.library(&cut, source, options);
        let main = "int cut(void); int main(void) { return cut(); }";
        fixture.program("/init", main, &[&format!("-LR{LIBRARIES}"), "-lcut"]);
        let (told, killed, ran) = compare_cuts(&fixture, &cut, 0x340);
        assert!(told >= 3 && killed > 5 && ran > 1, "{told} {killed} {ran}");
    }
}

#[test]
fn b30_of_a_program_that_was_cut_off_verify_says_what_the_kernel_does() {
    let Some(fixture) = Fixture::new() else { return };
    let exits = "void _start(void) { __asm__(\"mov $60, %eax; xor %edi, %edi; syscall\"); }";
    for (source, options) in [
        ("int table[3000] = {1}, zero[5000]; int main(void) { return zero[table[2]]; }".to_owned(), &[][..]),
        ("int table[3000] = {1}; int main(void) { return table[2]; }".to_owned(), &["-no-pie"]),
        ("int table[3000] = {1}; void _exit(int); void _start(void) { _exit(0); }".to_owned(), &["-nostartfiles"]),
        // Without a loader nobody touches the data.
        (format!("int table[3000] = {{1}}; {exits}"), &["-nostdlib", "-static"]),
    ] {
        fixture.program("/init", &source, options);
        let (told, killed, ran) = compare_cuts(&fixture, "/init", 0x340);
        assert!(told >= 2 && killed > 3 && ran > 1, "{told} {killed} {ran} of {options:?}");
    }
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
