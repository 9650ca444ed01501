//! What an ELF object asks of its loader: interpreter, dynamic section, symbol versions.
//!
//! Everything is found through the program headers, as the runtime linker finds it; section headers may be absent
//! (gABI chapter 5 "Program Loading and Dynamic Linking"). goblin decodes the structures over the few ranges read
//! here; it never sees the whole file, because its `Elf::parse` reads every string and fails on one that is not UTF-8.

mod bindings;
mod filter;
mod globals;
mod kernel_module;
mod literals;
mod note;
mod reader;
mod strings;
mod symbols;
mod version;

pub use bindings::{Bindings, Undefined};
pub use filter::{Filter, FilterKind};
pub use globals::{Globals, Wanted};
pub use symbols::SymbolScan;
pub use version::{NeededVersion, VersionNeed};

use super::Ranges;
use super::dlopen::DlopenNotes;
use filter::PositionFlags;
use goblin::container::Ctx;
use goblin::elf::dynamic::{self as dt, Dynamic as DynamicTable};
use goblin::elf::header::{self, Header};
use goblin::elf::program_header::{self, ProgramHeader};
use reader::{Reader, Window};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use strings::Strings;

/// A string of the object: a soname, a path, a version.
pub type Name = Box<[u8]>;

/// What one ELF object says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elf {
    pub identity: Identity,
    /// `PT_INTERP`.
    pub interpreter: Option<Name>,
    /// Absent in a static executable and in a relocatable object.
    pub dynamic: Option<Dynamic>,
    /// What the authors say of the libraries that the code loads by name.
    pub dlopen: DlopenNotes,
    /// What an illumos kernel module, a relocatable object without program headers, asks the kernel's linker for:
    /// `misc/usbser`. Linux modules keep such names elsewhere.
    pub module_needed: Vec<Name>,
    /// What the file is too short for.
    pub cut_off: Option<CutOff>,
}

/// What a file that was cut off lacks of its segments; of several the worst, which is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CutOff {
    /// Bytes of a page that the file begins: they are zeros, and nobody is told.
    Bytes,
    /// Whole pages: a SIGBUS kills who touches one of them.
    Pages,
    /// The last page of a segment that goes on in memory: every loader writes zeros behind the bytes of the file there, and
    /// is killed.
    ZeroedPage,
}

/// What decides whether a loader accepts the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// 32 or 64.
    pub bits: u8,
    pub little_endian: bool,
    /// `e_machine`.
    pub machine: u16,
    /// `e_type`: `ET_EXEC`, `ET_DYN`, `ET_REL`.
    pub file_type: u16,
    /// `EI_OSABI`; 0 for nearly everything, illumos included.
    pub os_abi: u8,
}

/// The dynamic section, in the words of the gABI; strings in file order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dynamic {
    pub soname: Option<Name>,
    pub needed: Vec<Name>,
    /// Which of [`Dynamic::needed`] are loaded when first used, by index: `DT_POSFLAG_1` with `DF_P1_LAZYLOAD`.
    pub lazy: Vec<usize>,
    /// What an illumos filter stands for, in file order.
    pub filters: Vec<Filter>,
    pub rpath: Option<Name>,
    pub runpath: Option<Name>,
    /// `DT_FLAGS_1`.
    pub flags_1: u64,
    /// Functions are looked up when the object is loaded, not when they are first called: `DT_BIND_NOW`, `DF_BIND_NOW`
    /// or `DF_1_NOW`.
    pub binds_now: bool,
    /// `DT_VERNEED`.
    pub versions_needed: Vec<VersionNeed>,
    /// `DT_VERDEF` without the base definition; `None` when the object defines no versions at all.
    pub versions_defined: Option<Vec<Name>>,
    /// Bit *n* is set when an undefined symbol matches pattern *n* of the [`SymbolScan`].
    pub imports: u64,
    /// An undefined symbol is one of the functions that load a library by name, if the scan looks for them.
    pub calls_dlopen: bool,
}

/// The fields of [`ElfError`] that the kernel reads before it starts a program; of a library, its loader reads the first.
pub const PROGRAM_HEADERS: &str = "the program header table";
pub const INTERPRETER: &str = "PT_INTERP";

/// Why an object cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// Another kind of file: the magic number is not there.
    #[error("not an ELF file")]
    NotElf,
    #[error("file too short")]
    TooShort,
    #[error("{field} is out of range of the file")]
    OutOfRange { field: &'static str },
    /// The file ends before it, inside of the page where it begins: whoever maps the page sees zeros.
    #[error("{field} is zeros: the file was cut off before it")]
    Zeros { field: &'static str },
    #[error("{field} is not understood")]
    Malformed { field: &'static str },
    #[error("it has more names, or longer ones, than a file of its length can have room for")]
    TooManyNames,
    #[error("cannot read: {0}")]
    Io(rustix::io::Errno),
}

impl Elf {
    /// Reads the facts; `scan` asks which undefined symbols are there.
    ///
    /// # Errors
    /// [`ElfError::NotElf`] for another kind of file, else the field that is damaged.
    pub fn read(bytes: &dyn Ranges, scan: &SymbolScan) -> Result<Elf, ElfError> {
        BUFFERS.with_borrow_mut(|buffers| read(&Reader::new(bytes), buffers, scan))
    }

    /// The symbols, for those who want to know which library each is bound to; read only on demand. `None` for an
    /// object that has none.
    ///
    /// # Errors
    /// As [`Elf::read`].
    pub fn bindings(bytes: &dyn Ranges) -> Result<Option<Bindings>, ElfError> {
        bindings::read(&Reader::new(bytes))
    }

    /// The symbols that other objects have to define, or find here; read only on demand. `None` for an object without a
    /// dynamic section.
    ///
    /// # Errors
    /// As [`Elf::read`].
    pub fn globals(bytes: &dyn Ranges) -> Result<Option<Globals>, ElfError> {
        globals::read(&Reader::new(bytes))
    }

    /// Where in the file its strings are, in the order of the file.
    ///
    /// # Errors
    /// As [`Elf::read`].
    pub fn strings(bytes: &dyn Ranges) -> Result<Vec<Range<u64>>, ElfError> {
        BUFFERS.with_borrow_mut(|buffers| literals::stretches(&Reader::new(bytes), buffers))
    }

    /// Strings of the read-only data that may be names of libraries; read only on demand, because that takes reading
    /// most of the file.
    ///
    /// # Errors
    /// As [`Elf::read`].
    pub fn library_names(bytes: &dyn Ranges) -> Result<BTreeSet<Name>, ElfError> {
        BUFFERS.with_borrow_mut(|buffers| literals::read(&Reader::new(bytes), buffers))
    }

    /// What a file lacks of its segments, whatever else is wrong with it.
    ///
    /// # Errors
    /// As [`Elf::read`].
    pub fn cut_off(bytes: &dyn Ranges) -> Result<Option<CutOff>, ElfError> {
        let (reader, mut buffers) = (Reader::new(bytes), Buffers::new());
        reader.head(&mut buffers.head)?;
        let header = parse_header(buffers.head.bytes())?;
        let segments = program_headers(&reader, &mut buffers, &header, context(&header)?)?;
        Ok(cut_off(&segments, reader.size()))
    }

    /// `DT_NEEDED` names; none in a static object.
    pub fn needed(&self) -> &[Name] {
        self.dynamic.as_ref().map_or(&[], |d| &d.needed)
    }

    pub fn soname(&self) -> Option<&[u8]> {
        self.dynamic.as_ref()?.soname.as_deref()
    }
}

impl Dynamic {
    pub fn has_flag_1(&self, flag: u64) -> bool {
        self.flags_1 & flag != 0
    }
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers::new());
}

/// What a thread keeps between two objects, so that it allocates once and not for each.
struct Buffers {
    head: Window,
    strings: Window,
    other: Window,
}

impl Buffers {
    fn new() -> Buffers {
        Buffers { head: Window::lasting(), strings: Window::lasting(), other: Window::lasting() }
    }
}

fn read(reader: &Reader<'_>, buffers: &mut Buffers, scan: &SymbolScan) -> Result<Elf, ElfError> {
    reader.head(&mut buffers.head)?;
    buffers.other.clear();
    let header = parse_header(buffers.head.bytes())?;
    let context = context(&header)?;
    let identity = Identity {
        bits: if context.is_big() { 64 } else { 32 },
        little_endian: context.is_little_endian(),
        machine: header.e_machine,
        file_type: header.e_type,
        os_abi: header.e_ident[header::EI_OSABI],
    };
    if header.e_type == header::ET_REL {
        let module_needed = kernel_module::needed(reader, &header, context)?;
        let dlopen = DlopenNotes::default();
        return Ok(Elf { identity, interpreter: None, dynamic: None, dlopen, module_needed, cut_off: None });
    }
    let segments = program_headers(reader, buffers, &header, context)?;
    let find = |kind| segments.iter().find(|segment| segment.p_type == kind);
    let interpreter = match find(program_header::PT_INTERP) {
        Some(segment) => {
            let place = (segment.p_offset, segment.p_filesz);
            let text = reader.get(&buffers.head, &mut buffers.other, place, INTERPRETER)?;
            Some(until_nul(text).into())
        }
        None => None,
    };
    let mut dlopen = match header.e_type {
        // The notes of a dead process are long, and about that process.
        header::ET_CORE => DlopenNotes::default(),
        _ => note::in_segments(reader, &buffers.head, &mut buffers.other, &segments, context),
    };
    let cut_off = cut_off(&segments, reader.size());
    let dynamic = match find(program_header::PT_DYNAMIC) {
        Some(segment) if is_zeros(segment, reader.size()) && cut_off != Some(CutOff::ZeroedPage) => {
            return Err(ElfError::Zeros { field: "PT_DYNAMIC" });
        }
        Some(segment) => Some(read_dynamic(reader, buffers, &segments, segment, context, scan)?),
        None => None,
    };
    if dlopen.is_empty() && dynamic.as_ref().is_some_and(|dynamic| dynamic.calls_dlopen) {
        dlopen = note::in_section(reader, &header, context);
    }
    Ok(Elf { identity, interpreter, dynamic, dlopen, module_needed: Vec::new(), cut_off })
}

fn parse_header(head: &[u8]) -> Result<Header, ElfError> {
    if !head.starts_with(header::ELFMAG) {
        return Err(ElfError::NotElf);
    }
    let long_enough = match head.get(header::EI_CLASS) {
        Some(&header::ELFCLASS32) => 52,
        Some(&header::ELFCLASS64) => 64,
        Some(_) => return Err(ElfError::Malformed { field: "EI_CLASS" }),
        None => return Err(ElfError::TooShort),
    };
    if head.len() < long_enough {
        return Err(ElfError::TooShort);
    }
    goblin::elf::Elf::parse_header(head).map_err(|_| ElfError::Malformed { field: "the ELF header" })
}

fn context(header: &Header) -> Result<Ctx, ElfError> {
    let container = header.container().map_err(|_| ElfError::Malformed { field: "EI_CLASS" })?;
    let endianness = header.endianness().map_err(|_| ElfError::Malformed { field: "EI_DATA" })?;
    Ok(Ctx::new(container, endianness))
}

/// The program headers, wherever in the file they lie: post-link optimizers put them at its end.
fn program_headers(
    reader: &Reader<'_>,
    buffers: &mut Buffers,
    header: &Header,
    context: Ctx,
) -> Result<Vec<ProgramHeader>, ElfError> {
    let count = usize::from(header.e_phnum);
    if count == 0 {
        return Ok(Vec::new());
    }
    let size = ProgramHeader::size(context);
    if usize::from(header.e_phentsize) != size {
        return Err(ElfError::Malformed { field: "e_phentsize" });
    }
    let place = (header.e_phoff, (count * size) as u64);
    let table = reader.get(&buffers.head, &mut buffers.other, place, PROGRAM_HEADERS)?;
    ProgramHeader::parse(table, 0, count, context).map_err(|_| ElfError::Malformed { field: PROGRAM_HEADERS })
}

fn read_dynamic(
    reader: &Reader<'_>,
    Buffers { head, strings, other }: &mut Buffers,
    segments: &[ProgramHeader],
    segment: &ProgramHeader,
    context: Ctx,
    scan: &SymbolScan,
) -> Result<Dynamic, ElfError> {
    let bytes = reader.get(head, other, (segment.p_offset, segment.p_filesz), "PT_DYNAMIC")?;
    let table = parse_dynamic(bytes, context)?;
    let entry = |tag| table.iter().rev().find(|d| d.d_tag == tag).map(|d| d.d_val);
    let offset = |address| file_offset(segments, address);

    let flags_1 = entry(dt::DT_FLAGS_1).unwrap_or(0);
    let mut dynamic = Dynamic { flags_1, binds_now: flags_1 & dt::DF_1_NOW != 0, ..Dynamic::default() };
    let Some(strings_at) = entry(dt::DT_STRTAB).and_then(offset) else {
        // Without strings nothing has a name: the dynamic section of a static PIE may be like that.
        return match entry(dt::DT_NEEDED) {
            Some(_) => Err(ElfError::OutOfRange { field: "DT_STRTAB" }),
            None => Ok(dynamic),
        };
    };
    let strings_size = entry(dt::DT_STRSZ).ok_or(ElfError::Malformed { field: "DT_STRSZ" })?;
    let needed_at = entry(dt::DT_VERNEED).map(|address| offset(address).ok_or("DT_VERNEED"));
    let defined_at = entry(dt::DT_VERDEF).map(|address| offset(address).ok_or("DT_VERDEF"));
    // Linkers write these tables side by side: one read serves all.
    let behind = [needed_at, defined_at].map(|place| place.and_then(Result::ok));
    let names = Strings::read(reader, head, strings, (strings_at, strings_size), &behind)?;

    let mut position_flags = PositionFlags::default();
    for d in &table {
        let name = || names.get(d.d_val);
        let flags = position_flags.of_entry(d);
        if let Some((kind, scope)) = filter::kind(d.d_tag) {
            dynamic.filters.push(Filter { kind, whole_object: scope, filtees: name()? });
            continue;
        }
        match d.d_tag {
            dt::DT_NEEDED => {
                if flags & filter::DF_P1_LAZYLOAD != 0 {
                    dynamic.lazy.push(dynamic.needed.len());
                }
                dynamic.needed.push(name()?);
            }
            dt::DT_SONAME => dynamic.soname = Some(name()?),
            dt::DT_RPATH => dynamic.rpath = Some(name()?),
            dt::DT_RUNPATH => dynamic.runpath = Some(name()?),
            dt::DT_BIND_NOW => dynamic.binds_now = true,
            dt::DT_FLAGS => dynamic.binds_now |= d.d_val & dt::DF_BIND_NOW != 0,
            _ => {}
        }
    }
    let little_endian = context.is_little_endian();
    let mut versions = version::Tables { reader, strings: &names, scratch: other, little_endian };
    if let Some(place) = needed_at {
        let offset = place.map_err(|field| ElfError::OutOfRange { field })?;
        dynamic.versions_needed = versions.needed(offset, entry(dt::DT_VERNEEDNUM).unwrap_or(0))?;
    }
    if let Some(place) = defined_at {
        let offset = place.map_err(|field| ElfError::OutOfRange { field })?;
        let defined = versions.defined(offset, entry(dt::DT_VERDEFNUM).unwrap_or(0))?;
        dynamic.versions_defined = Some(defined.into_iter().map(|version| version.name).collect());
    }
    let place = symbols::place(&table, segments);
    let symbols = symbols::Symbols { reader, place, strings: &names, context };
    dynamic.imports = symbols::imports(&symbols, other, scan)?;
    dynamic.calls_dlopen = scan.has_dlopen(dynamic.imports);
    Ok(dynamic)
}

/// The entries of a dynamic section up to its `DT_NULL`.
fn parse_dynamic(bytes: &[u8], context: Ctx) -> Result<Vec<dt::Dyn>, ElfError> {
    // goblin wants to look for the segment by itself; this one says that its bytes begin at 0.
    let here = ProgramHeader { p_type: program_header::PT_DYNAMIC, p_filesz: bytes.len() as u64, ..Default::default() };
    let table = DynamicTable::parse(bytes, &[here], context).ok().flatten();
    Ok(table.ok_or(ElfError::Malformed { field: "PT_DYNAMIC" })?.dyns)
}

/// The smallest page of the processors that there are.
const PAGE: u64 = 4096;

/// What a file of this size lacks of its segments.
fn cut_off(segments: &[ProgramHeader], size: u64) -> Option<CutOff> {
    let loaded = segments.iter().filter(|segment| segment.p_type == program_header::PT_LOAD && segment.p_filesz > 0);
    let lacking = loaded.filter_map(|segment| {
        let end = segment.p_offset.saturating_add(segment.p_filesz);
        match (end - 1) / PAGE * PAGE {
            _ if end <= size => None,
            last_page if last_page < size => Some(CutOff::Bytes),
            _ if segment.is_write() && segment.p_memsz > segment.p_filesz => Some(CutOff::ZeroedPage),
            _ => Some(CutOff::Pages),
        }
    });
    lacking.max()
}

/// Whether a file of this size ends before the segment, and has the beginning of its first page.
fn is_zeros(segment: &ProgramHeader, size: u64) -> bool {
    segment.p_filesz > 0
        && (segment.p_offset / PAGE * PAGE..=segment.p_offset).contains(&size)
        && !size.is_multiple_of(PAGE)
}

/// The `PT_LOAD` segment that has the byte of a virtual address in the file.
fn segment_of(segments: &[ProgramHeader], address: u64) -> Option<&ProgramHeader> {
    let holds = |s: &&ProgramHeader| address.checked_sub(s.p_vaddr).is_some_and(|inside| inside < s.p_filesz);
    segments.iter().filter(|s| s.p_type == program_header::PT_LOAD).find(holds)
}

/// Where in the file the byte of a virtual address is.
fn file_offset(segments: &[ProgramHeader], address: u64) -> Option<u64> {
    let segment = segment_of(segments, address)?;
    segment.p_offset.checked_add(address - segment.p_vaddr)
}

fn until_nul(text: &[u8]) -> &[u8] {
    &text[..memchr::memchr(0, text).unwrap_or(text.len())]
}
