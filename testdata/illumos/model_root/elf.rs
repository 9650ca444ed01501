//! Writes ELF objects as the illumos link-editor would, without code and without symbols.
//!
//! An [`Object`] is an executable or library: a dynamic section found through program headers. A [`Module`] is what
//! `ld -r -dy -N` makes for the kernel: relocatable, no program headers, and the names of its dependencies
//! found only through the section headers.
//!
//! Sources: gABI chapters 4 and 5; `usr/src/uts/common/sys/link.h` of illumos-gate for the tags and flags of its own.

use object::build::elf::{Builder, Dynamic, SectionData, SectionId};
use object::{Endianness, elf};

/// `DT_SUNW_AUXILIARY`: the following symbols' auxiliary filtee (`sys/link.h`). No crate names it.
const DT_SUNW_AUXILIARY: elf::DynamicTag = elf::DynamicTag(0x6000_000d);
/// `DT_SUNW_FILTER`: a filtee of single symbols; Android uses the number for something else.
const DT_SUNW_FILTER: elf::DynamicTag = elf::DynamicTag(0x6000_000f);
/// The next dependency is loaded when a symbol of it is first used.
const DF_P1_LAZYLOAD: u64 = 0x1;

/// A dependency, in link order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Needed {
    pub name: String,
    pub lazy: bool,
}

/// How an object is a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Filter {
    Standard,
    Auxiliary,
    SymbolsStandard,
    SymbolsAuxiliary,
}

/// What the dynamic section of an executable or library says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Object {
    pub is_64: bool,
    /// `ET_EXEC`; otherwise `ET_DYN`.
    pub fixed_address: bool,
    pub interpreter: Option<String>,
    pub needed: Vec<Needed>,
    /// Filters and their filtees; those of single symbols come before the others, as the link-editor writes them.
    pub filters: Vec<(Filter, String)>,
    pub soname: Option<String>,
    pub runpath: Option<String>,
    /// `DT_FLAGS`, left out when 0.
    pub flags: u64,
    /// `DT_FLAGS_1`, left out when 0.
    pub flags_1: u64,
}

impl Object {
    /// The file's bytes. There is no symbol table at all, so nobody can tell which dependencies symbols are bound to.
    ///
    /// # Errors
    /// Those of the `object` crate.
    pub fn bytes(&self) -> object::build::Result<Vec<u8>> {
        let mut builder = builder(self.is_64, if self.fixed_address { elf::ET_EXEC } else { elf::ET_DYN });
        builder.header.e_phoff = builder.file_header_size();
        let interpreter = self.interpreter.as_ref().map(|path| {
            let text = [path.as_bytes(), b"\0"].concat();
            add(&mut builder, b".interp", elf::SHT_PROGBITS, 1, SectionData::Data(text.into()))
        });
        let strings = add(&mut builder, b".dynstr", elf::SHT_STRTAB, 1, SectionData::DynamicString);
        let word = word(self.is_64);
        let entries = SectionData::Dynamic(self.dynamic());
        let dynamic = add(&mut builder, b".dynamic", elf::SHT_DYNAMIC, word, entries);
        builder.sections.get_mut(dynamic).sh_entsize = 2 * word;
        builder.sections.get_mut(dynamic).sh_link_section = Some(strings);
        for id in interpreter.into_iter().chain([strings, dynamic]) {
            builder.sections.get_mut(id).sh_flags = elf::SHF_ALLOC;
        }
        add(&mut builder, b".shstrtab", elf::SHT_STRTAB, 1, SectionData::SectionString);
        self.lay_out(&mut builder, interpreter, strings, dynamic);
        let mut bytes = Vec::new();
        builder.write(&mut bytes)?;
        Ok(bytes)
    }

    fn dynamic(&self) -> Vec<Dynamic<'static>> {
        let text = |tag, text: &str| Dynamic::String { tag, val: text.as_bytes().to_vec().into() };
        let number = |tag, val| Dynamic::Integer { tag, val };
        let mut entries = Vec::new();
        for needed in &self.needed {
            if needed.lazy {
                entries.push(number(elf::DT_POSFLAG_1, DF_P1_LAZYLOAD));
            }
            entries.push(text(elf::DT_NEEDED, &needed.name));
        }
        let filters = |of_symbols: bool| self.filters.iter().filter(move |(kind, _)| kind.of_symbols() == of_symbols);
        entries.extend(filters(true).map(|(kind, filtee)| text(kind.tag(), filtee)));
        entries.extend(self.soname.iter().map(|name| text(elf::DT_SONAME, name)));
        entries.extend(filters(false).map(|(kind, filtee)| text(kind.tag(), filtee)));
        entries.extend(self.runpath.iter().map(|path| text(elf::DT_RUNPATH, path)));
        entries.extend([elf::DT_STRTAB, elf::DT_STRSZ].map(|tag| Dynamic::Auto { tag }));
        let flags = [(elf::DT_FLAGS, self.flags), (elf::DT_FLAGS_1, self.flags_1)];
        entries.extend(flags.into_iter().filter(|(_, flags)| *flags != 0).map(|(tag, flags)| number(tag, flags)));
        entries
    }

    /// One segment with everything in it, and those that point into it. `PT_INTERP` comes before any `PT_LOAD` (gABI).
    fn lay_out(
        &self,
        builder: &mut Builder<'static>,
        interpreter: Option<SectionId>,
        strings: SectionId,
        dynamic: SectionId,
    ) {
        if interpreter.is_some() {
            builder.segments.add().p_type = elf::PT_INTERP;
        }
        let n_segments = if interpreter.is_some() { 3 } else { 2 };
        let headers = builder.file_header_size() + n_segments * if self.is_64 { 56 } else { 32 };
        builder.set_section_sizes();
        let load = builder.segments.add_load_segment(elf::PF_R | elf::PF_W, 0x1000);
        (load.p_filesz, load.p_memsz) = (headers, headers);
        for id in interpreter.into_iter().chain([strings, dynamic]) {
            load.append_section(builder.sections.get_mut(id));
        }
        let segment = builder.segments.add();
        segment.p_type = elf::PT_DYNAMIC;
        segment.p_flags = elf::PF_R | elf::PF_W;
        segment.append_section(builder.sections.get_mut(dynamic));
        if let (Some(id), Some(segment)) = (interpreter, builder.segments.iter_mut().next()) {
            segment.p_flags = elf::PF_R;
            segment.append_section_range(builder.sections.get(id));
        }
    }
}

impl Filter {
    fn tag(self) -> elf::DynamicTag {
        match self {
            Filter::Standard => elf::DT_FILTER,
            Filter::Auxiliary => elf::DT_AUXILIARY,
            Filter::SymbolsStandard => DT_SUNW_FILTER,
            Filter::SymbolsAuxiliary => DT_SUNW_AUXILIARY,
        }
    }

    fn of_symbols(self) -> bool {
        matches!(self, Filter::SymbolsStandard | Filter::SymbolsAuxiliary)
    }
}

/// Where a kernel module keeps the names of what it needs. All three are met in real modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModuleNames {
    /// `DT_NEEDED` in the section `.dynamic`, whose `sh_link` is the string table of the symbols.
    SymbolStrings,
    /// The same with a string table of its own.
    OwnStrings,
    /// A variable `char _depends_on[]`, names separated by spaces, as modules had it before `ld -N`.
    Variable,
}

/// A kernel module.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Module {
    pub is_64: bool,
    /// Such as `misc/usbser`.
    pub needed: Vec<String>,
    pub names: ModuleNames,
    /// A path among its data, such as that of a file it opens.
    pub text: &'static str,
}

impl Module {
    /// The file's bytes: `ET_REL`, with the three functions every module defines.
    ///
    /// # Errors
    /// Those of the `object` crate.
    pub fn bytes(&self) -> object::build::Result<Vec<u8>> {
        let mut builder = builder(self.is_64, elf::ET_REL);
        add(&mut builder, b".text", elf::SHT_PROGBITS, 16, SectionData::Data(vec![0xc3; 16].into()));
        let mut strings = Strings::default();
        let mut symbols = self.symbol(0, 0, 0, 0);
        for name in ["_init", "_info", "_fini"] {
            symbols.extend(self.symbol(strings.add(name), u32::from(elf::STT_FUNC.0), 1, 1));
        }
        if self.needed.is_empty() {
            // Nothing to say: such a module has no dynamic section.
        } else if self.names == ModuleNames::Variable {
            let text = [self.needed.join(" ").as_bytes(), b"\0"].concat();
            let size = text.len() as u32;
            add(&mut builder, b".data", elf::SHT_PROGBITS, 4, SectionData::Data(text.into()));
            symbols.extend(self.symbol(strings.add("_depends_on"), u32::from(elf::STT_OBJECT.0), 2, size));
        }
        if !self.text.is_empty() {
            let text = [self.text.as_bytes(), b"\0"].concat();
            add(&mut builder, b".rodata", elf::SHT_PROGBITS, 1, SectionData::Data(text.into()));
        }
        let dynamic = self.dynamic(&mut builder, &mut strings);
        let table = add(&mut builder, b".symtab", elf::SHT_SYMTAB, word(self.is_64), SectionData::Data(symbols.into()));
        let names = add(&mut builder, b".strtab", elf::SHT_STRTAB, 1, SectionData::Data(strings.0.into()));
        if let Some(dynamic) = dynamic {
            let section = builder.sections.get_mut(dynamic);
            section.sh_link_section.get_or_insert(names);
        }
        let section = builder.sections.get_mut(table);
        section.sh_link_section = Some(names);
        section.sh_entsize = if self.is_64 { 24 } else { 16 };
        section.sh_info = 1; // the first symbol that is not local
        add(&mut builder, b".shstrtab", elf::SHT_STRTAB, 1, SectionData::SectionString);
        builder.set_section_sizes();
        let mut bytes = Vec::new();
        builder.write(&mut bytes)?;
        Ok(bytes)
    }

    /// Adds `.dynamic` when the names are kept there, with a string table of its own or none yet.
    fn dynamic(&self, builder: &mut Builder<'static>, symbol_strings: &mut Strings) -> Option<SectionId> {
        if self.needed.is_empty() || self.names == ModuleNames::Variable {
            return None;
        }
        let mut own = Strings::default();
        let shared = self.names == ModuleNames::SymbolStrings;
        let strings = if shared { symbol_strings } else { &mut own };
        let needed = u64::from(elf::DT_NEEDED.0 as u32);
        let mut entries: Vec<u64> =
            self.needed.iter().flat_map(|name| [needed, u64::from(strings.add(name))]).collect();
        entries.extend([0, 0]); // DT_NULL
        let bytes: Vec<u8> = entries.into_iter().flat_map(|value| self.word_bytes(value)).collect();
        let word = word(self.is_64);
        let dynamic = add(builder, b".dynamic", elf::SHT_DYNAMIC, word, SectionData::Data(bytes.into()));
        let own = (!shared).then(|| add(builder, b".dynstr", elf::SHT_STRTAB, 1, SectionData::Data(own.0.into())));
        let section = builder.sections.get_mut(dynamic);
        section.sh_entsize = 2 * word;
        section.sh_link_section = own;
        Some(dynamic)
    }

    /// One entry of a symbol table (gABI, "Symbol Table"): global, of the given type, at the start of a section.
    fn symbol(&self, name: u32, kind: u32, section: u16, size: u32) -> Vec<u8> {
        let info = if name == 0 { 0 } else { elf::STB_GLOBAL.0 << 4 | kind as u8 };
        let mut bytes = name.to_le_bytes().to_vec();
        if self.is_64 {
            bytes.extend([info, 0]);
            bytes.extend(section.to_le_bytes());
            bytes.extend([0, u64::from(size)].iter().flat_map(|field| field.to_le_bytes()));
        } else {
            bytes.extend([0, size].iter().flat_map(|field: &u32| field.to_le_bytes()));
            bytes.extend([info, 0]);
            bytes.extend(section.to_le_bytes());
        }
        bytes
    }

    fn word_bytes(&self, value: u64) -> Vec<u8> {
        let length = if self.is_64 { 8 } else { 4 };
        value.to_le_bytes()[..length].to_vec()
    }
}

/// A string table.
struct Strings(Vec<u8>);

impl Default for Strings {
    fn default() -> Self {
        Strings(vec![0])
    }
}

impl Strings {
    fn add(&mut self, text: &str) -> u32 {
        let offset = self.0.len() as u32;
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
        offset
    }
}

fn builder(is_64: bool, file_type: elf::FileType) -> Builder<'static> {
    let mut builder = Builder::new(Endianness::Little, is_64);
    builder.header.e_type = file_type;
    builder.header.e_machine = if is_64 { elf::EM_X86_64 } else { elf::EM_386 };
    builder
}

fn add(
    builder: &mut Builder<'static>,
    name: &'static [u8],
    kind: elf::SectionType,
    align: u64,
    data: SectionData<'static>,
) -> SectionId {
    let section = builder.sections.add();
    section.name = name.into();
    section.sh_type = kind;
    section.sh_addralign = align;
    section.data = data;
    section.id()
}

fn word(is_64: bool) -> u64 {
    if is_64 { 8 } else { 4 }
}
