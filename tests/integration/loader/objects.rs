//! Small shared libraries of any class and byte order, for readers: they have no code.

use object::build::elf::{Builder, Dynamic, SectionData, SectionId, VersionData, VersionNeed};
use object::{Endianness, elf};

/// A library that is called `libself.so`, needs two others, one of them with a version, and has a `DT_RUNPATH`.
pub fn build(is_64: bool, big_endian: bool) -> Vec<u8> {
    let word = if is_64 { 8 } else { 4 };
    let mut builder = Builder::new(if big_endian { Endianness::Big } else { Endianness::Little }, is_64);
    builder.header.e_type = elf::ET_DYN;
    builder.header.e_machine = elf::EM_S390;
    builder.header.e_phoff = builder.file_header_size();
    add_versioned_symbol(&mut builder);

    let text = |tag, text: &'static [u8]| Dynamic::String { tag, val: text.into() };
    let automatic =
        [elf::DT_STRTAB, elf::DT_STRSZ, elf::DT_SYMTAB, elf::DT_VERSYM, elf::DT_VERNEED, elf::DT_VERNEEDNUM];
    let mut entries = vec![
        text(elf::DT_NEEDED, b"libfirst.so.1"),
        text(elf::DT_NEEDED, b"libsecond.so.2"),
        text(elf::DT_SONAME, b"libself.so"),
        text(elf::DT_RUNPATH, b"$ORIGIN/l"),
    ];
    entries.extend(automatic.map(|tag| Dynamic::Auto { tag }));
    let mut section = |name: &'static [u8], kind, align, data| {
        let section = builder.sections.add();
        section.name = name.into();
        section.sh_type = kind;
        section.sh_flags = elf::SHF_ALLOC;
        section.sh_addralign = align;
        section.data = data;
        section.id()
    };
    let sections = [
        section(b".dynsym", elf::SHT_DYNSYM, word, SectionData::DynamicSymbol),
        section(b".dynstr", elf::SHT_STRTAB, 1, SectionData::DynamicString),
        section(b".gnu.version", elf::SHT_GNU_VERSYM, 2, SectionData::GnuVersym),
        section(b".gnu.version_r", elf::SHT_GNU_VERNEED, word, SectionData::GnuVerneed),
        section(b".dynamic", elf::SHT_DYNAMIC, word, SectionData::Dynamic(entries)),
    ];
    let names = section(b".shstrtab", elf::SHT_STRTAB, 1, SectionData::SectionString);
    builder.sections.get_mut(names).sh_flags = elf::SectionFlags(0);
    let [.., dynamic] = sections;
    builder.sections.get_mut(dynamic).sh_entsize = 2 * word;
    lay_out(&mut builder, &sections, dynamic, if is_64 { 56 } else { 32 });
    let mut bytes = Vec::new();
    builder.write(&mut bytes).unwrap();
    bytes
}

fn add_versioned_symbol(builder: &mut Builder<'static>) {
    let file = builder.version_files.add(b"libfirst.so.1"[..].into());
    let need = VersionNeed { file, name: b"V_1"[..].into(), flags: elf::VersionFlags(0) };
    let version = builder.versions.add(VersionData::Need(need));
    let symbol = builder.dynamic_symbols.add();
    symbol.name = b"first"[..].into();
    symbol.version = version;
}

/// One segment to load with everything in it, and one for the dynamic section.
fn lay_out(builder: &mut Builder<'static>, sections: &[SectionId], dynamic: SectionId, program_header_size: u64) {
    let headers = builder.file_header_size() + 2 * program_header_size;
    builder.set_section_sizes();
    let load = builder.segments.add_load_segment(elf::PF_R, 0x1000);
    (load.p_filesz, load.p_memsz) = (headers, headers);
    for id in sections {
        load.append_section(builder.sections.get_mut(*id));
    }
    let segment = builder.segments.add();
    segment.p_type = elf::PT_DYNAMIC;
    segment.append_section(builder.sections.get_mut(dynamic));
}
