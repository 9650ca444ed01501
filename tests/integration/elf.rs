//! Small ELF objects for x86 and its 64-bit form, made from what matters to a runtime linker: those of Linux, and those of
//! illumos with its own entries. They have no code. One segment that begins at address 0 holds everything, so that
//! addresses are offsets (gABI, "Object Files" and "Program Loading and Dynamic Linking").

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_STRSZ: u64 = 10;
const DT_SONAME: u64 = 14;
const DT_RUNPATH: u64 = 29;
const DT_PLTRELSZ: u64 = 2;
const DT_PLTREL: u64 = 20;
const DT_JMPREL: u64 = 23;
const DT_POSFLAG_1: u64 = 0x6fff_fdfd;
const DT_SYMINSZ: u64 = 0x6fff_fdfe;
const DT_VERDEF: u64 = 0x6fff_fffc;
const DT_VERDEFNUM: u64 = 0x6fff_fffd;
const DT_VERNEED: u64 = 0x6fff_fffe;
const DT_VERNEEDNUM: u64 = 0x6fff_ffff;
const DT_SYMINFO: u64 = 0x6fff_feff;
const DT_FLAGS_1: u64 = 0x6fff_fffb;

/// One entry of the dynamic section, in the order of the file.
#[derive(Clone, Copy)]
pub enum Entry {
    Needed(&'static str),
    Lazy(&'static str),
    Runpath(&'static str),
    /// `DT_FILTER`.
    Filter(&'static str),
    /// `DT_AUXILIARY`.
    Auxiliary(&'static str),
    /// `DT_SUNW_FILTER`.
    SymbolFilter(&'static str),
    Flags1(u64),
    /// `DT_POSFLAG_1` by itself.
    PositionFlags(u64),
}

/// One dynamic symbol.
#[derive(Clone, Copy)]
pub struct Symbol {
    pub name: &'static str,
    pub defined: bool,
    /// The position in [`Object::entries`] of what it was found in.
    pub bound_to: Option<usize>,
    pub relocation: Relocation,
}

/// What refers to a symbol.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Relocation {
    Nothing,
    Data,
    /// The procedure linkage table.
    Call,
}

pub const fn export(name: &'static str) -> Symbol {
    Symbol { name, defined: true, bound_to: None, relocation: Relocation::Nothing }
}

pub const fn import(name: &'static str, bound_to: Option<usize>) -> Symbol {
    Symbol { name, defined: false, bound_to, relocation: Relocation::Nothing }
}

#[derive(Clone, Copy, Default)]
pub struct Object<'a> {
    pub is_32: bool,
    pub interpreter: Option<&'static str>,
    pub soname: Option<&'static str>,
    pub entries: &'a [Entry],
    pub symbols: &'a [Symbol],
    /// Versions that it defines.
    pub defines: &'a [&'static str],
    /// A library, and the version that it needs of it.
    pub needs: &'a [(&'static str, &'static str)],
}

impl Object<'_> {
    pub fn write(&self, root: &Path, path: &str) {
        let file = root.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, self.bytes()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn bytes(&self) -> Vec<u8> {
        let word = if self.is_32 { 4 } else { 8 };
        let mut strings = vec![0];
        let mut string = |text: &str| {
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
            (strings.len() - text.len() - 1) as u64
        };
        // The dynamic section, and where in it each entry came to be.
        let (mut dynamic, mut positions) = (Vec::new(), Vec::new());
        for entry in self.entries {
            if let Entry::Lazy(_) = entry {
                dynamic.push((DT_POSFLAG_1, 1));
            }
            positions.push(dynamic.len() as u16);
            dynamic.push(match *entry {
                Entry::Needed(name) | Entry::Lazy(name) => (DT_NEEDED, string(name)),
                Entry::Runpath(list) => (DT_RUNPATH, string(list)),
                Entry::Filter(name) => (0x7fff_ffff, string(name)),
                Entry::Auxiliary(name) => (0x7fff_fffd, string(name)),
                Entry::SymbolFilter(name) => (0x6000_000f, string(name)),
                Entry::Flags1(flags) => (DT_FLAGS_1, flags),
                Entry::PositionFlags(flags) => (DT_POSFLAG_1, flags),
            });
        }
        dynamic.extend(self.soname.map(|soname| (DT_SONAME, string(soname))));
        let defined: Vec<u64> = self.defines.iter().map(|version| string(version)).collect();
        let needed: Vec<(u64, u64)> =
            self.needs.iter().map(|(library, version)| (string(library), string(version))).collect();
        let names: Vec<u64> = self.symbols.iter().map(|symbol| string(symbol.name)).collect();

        let symbol_size = if self.is_32 { 16 } else { 24 };
        let mut symtab = vec![0; symbol_size];
        let mut syminfo: Vec<u8> = [1u16, 0].iter().flat_map(|half| half.to_le_bytes()).collect();
        let (mut relocations, mut calls) = (Vec::new(), Vec::new());
        for (number, (symbol, name)) in self.symbols.iter().zip(&names).enumerate() {
            // What is defined has a value: where the segment begins, a symbol is no definition for anybody.
            let section = u16::from(symbol.defined);
            symtab.extend((*name as u32).to_le_bytes());
            if self.is_32 {
                symtab.extend([u32::from(section), 0].map(u32::to_le_bytes).concat());
                symtab.extend([0x12, 0]);
                symtab.extend(section.to_le_bytes());
            } else {
                symtab.extend([0x12, 0]);
                symtab.extend(section.to_le_bytes());
                symtab.extend([u64::from(section), 0].map(u64::to_le_bytes).concat());
            }
            let bound = symbol.bound_to.map_or(0xffff, |entry| positions[entry]);
            syminfo.extend(bound.to_le_bytes());
            syminfo.extend([1, 0]);
            let relocations = match symbol.relocation {
                Relocation::Nothing => continue,
                Relocation::Data => &mut relocations,
                Relocation::Call => &mut calls,
            };
            let info = if self.is_32 { ((number as u64 + 1) << 8) | 1 } else { ((number as u64 + 1) << 32) | 1 };
            [0, info, 0].iter().for_each(|value| put(relocations, *value, word));
        }
        let mut at = size_of_headers(self.is_32, 2 + u64::from(self.interpreter.is_some()));
        let mut body = Vec::new();
        let mut place = |bytes: &[u8]| {
            let start = at;
            body.extend_from_slice(bytes);
            let padding = bytes.len().next_multiple_of(8) - bytes.len();
            body.extend(vec![0; padding]);
            at += (bytes.len() + padding) as u64;
            (start, bytes.len() as u64)
        };
        let interpreter = self.interpreter.map(|path| place(&[path.as_bytes(), b"\0"].concat()));
        if !self.symbols.is_empty() {
            // The symbol table ends where the next table begins.
            dynamic.push((DT_SYMTAB, place(&symtab).0));
        }
        let (strings_at, strings_size) = place(&strings);
        dynamic.extend([(DT_STRTAB, strings_at), (DT_STRSZ, strings_size)]);
        if self.symbols.iter().any(|symbol| symbol.bound_to.is_some()) {
            let (start, size) = place(&syminfo);
            dynamic.extend([(DT_SYMINFO, start), (DT_SYMINSZ, size)]);
        }
        if !defined.is_empty() {
            dynamic
                .extend([(DT_VERDEF, place(&version_definitions(&defined)).0), (DT_VERDEFNUM, defined.len() as u64)]);
        }
        if !needed.is_empty() {
            dynamic.extend([(DT_VERNEED, place(&version_needs(&needed)).0), (DT_VERNEEDNUM, needed.len() as u64)]);
        }
        if !relocations.is_empty() {
            let (start, size) = place(&relocations);
            dynamic.extend([(DT_RELA, start), (DT_RELASZ, size)]);
        }
        if !calls.is_empty() {
            let (start, size) = place(&calls);
            dynamic.extend([(DT_JMPREL, start), (DT_PLTRELSZ, size), (DT_PLTREL, DT_RELA)]);
        }
        let mut table = Vec::new();
        for (tag, value) in dynamic.into_iter().chain([(0, 0)]) {
            put(&mut table, tag, word);
            put(&mut table, value, word);
        }
        let dynamic = place(&table);
        let end = at;

        let segments = [interpreter.map(|place| (3u32, place)), Some((1, (0, end))), Some((2, dynamic))];
        let mut file = headers(self.is_32, &segments.into_iter().flatten().collect::<Vec<_>>());
        file.extend(body);
        file
    }
}

/// An object of 64 bits with `count` needed libraries and as many symbols, every one with the same long name.
pub fn one_name_over_and_over(count: usize) -> Vec<u8> {
    let strings = [b"\0", &[b'n'; 60_000][..], b"\0"].concat();
    let symbols = [1u32, 0x12, 0, 0, 0, 0].map(u32::to_le_bytes).concat().repeat(count);
    let symbols_at = size_of_headers(false, 2);
    let strings_at = symbols_at + symbols.len() as u64;
    let tables = [(DT_SYMTAB, symbols_at), (DT_STRTAB, strings_at), (DT_STRSZ, strings.len() as u64)];
    let entries = tables.into_iter().chain(std::iter::repeat_n((DT_NEEDED, 1), count)).chain([(0, 0)]);
    let dynamic: Vec<u8> = entries.flat_map(|(tag, value)| [tag, value].map(u64::to_le_bytes).concat()).collect();
    let (dynamic_at, dynamic_size) = (strings_at + strings.len() as u64, dynamic.len() as u64);
    let segments = [(1, (0, dynamic_at + dynamic_size)), (2, (dynamic_at, dynamic_size))];
    [headers(false, &segments), symbols, strings, dynamic].concat()
}

/// How long the ELF header and the program headers behind it are.
fn size_of_headers(is_32: bool, n_segments: u64) -> u64 {
    let (header, segment) = header_sizes(is_32);
    header + n_segments * segment
}

/// Of the ELF header and of one program header.
fn header_sizes(is_32: bool) -> (u64, u64) {
    if is_32 { (52, 32) } else { (64, 56) }
}

/// The ELF header, and a program header for each segment: its type, where it is and how long.
fn headers(is_32: bool, segments: &[(u32, (u64, u64))]) -> Vec<u8> {
    let word = if is_32 { 4 } else { 8 };
    let (header_size, segment_size) = header_sizes(is_32);
    let mut file = vec![0x7f, b'E', b'L', b'F', if is_32 { 1 } else { 2 }, 1, 1, 0];
    file.extend([0; 8]);
    let machine = if is_32 { 3u16 } else { 62 };
    [3, machine, 1, 0].iter().for_each(|half| file.extend(half.to_le_bytes()));
    [0, header_size, 0].iter().for_each(|value| put(&mut file, *value, word));
    file.extend([0; 4]);
    let halves = [header_size, segment_size, segments.len() as u64, 0, 0, 0];
    halves.iter().for_each(|half| file.extend((*half as u16).to_le_bytes()));
    for (kind, (start, size)) in segments {
        file.extend(kind.to_le_bytes());
        if !is_32 {
            file.extend(4u32.to_le_bytes());
        }
        [*start, *start, *start, *size, *size].iter().for_each(|value| put(&mut file, *value, word));
        if is_32 {
            file.extend(4u32.to_le_bytes());
        }
        put(&mut file, 4096, word);
    }
    file
}

/// `Verdef` records with one `Verdaux` each.
fn version_definitions(names: &[u64]) -> Vec<u8> {
    let record = |(number, name): (usize, &u64)| {
        let next = if number + 1 == names.len() { 0u32 } else { 28 };
        let halves = [1, 0, number as u16 + 2, 1].map(u16::to_le_bytes).concat();
        [halves, [0, 20, next, *name as u32, 0].map(u32::to_le_bytes).concat()].concat()
    };
    names.iter().enumerate().flat_map(record).collect()
}

/// `Verneed` records with one `Vernaux` each, whose index is in the upper half of the second word.
fn version_needs(needs: &[(u64, u64)]) -> Vec<u8> {
    let record = |(number, (library, version)): (usize, &(u64, u64))| {
        let next = if number + 1 == needs.len() { 0u32 } else { 32 };
        let halves = [1u16, 1].map(u16::to_le_bytes).concat();
        let words = [*library as u32, 16, next, 0, (number as u32 + 2) << 16, *version as u32, 0];
        [halves, words.map(u32::to_le_bytes).concat()].concat()
    };
    needs.iter().enumerate().flat_map(record).collect()
}

fn put(bytes: &mut Vec<u8>, value: u64, word: usize) {
    bytes.extend_from_slice(&value.to_le_bytes()[..word]);
}
