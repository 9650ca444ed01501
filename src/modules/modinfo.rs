//! A module file in, its `.modinfo` fields out: `depends=`, `alias=`, `softdep=`, `firmware=` and the rest.
//!
//! `.modinfo` is a list of NUL-terminated `key=value` strings (include/linux/module.h, `MODULE_INFO`). Keys repeat and
//! their order counts: depmod writes aliases in it.

use super::Compression;
use super::elf::{OpenFile, Ranges, Sections, string_at};
use crate::path::RootPath;
use crate::root::{Found, LookupError, Root};
use goblin::elf::Sym;
use std::io::Read;
use std::os::unix::fs::FileExt;

/// The most bytes a decompressed module may have. The largest module of a Debian kernel with debug
/// information (amdgpu) is about 400 MB; anything above this is a decompression bomb.
pub const MAX_MODULE_SIZE: u64 = 1 << 30;

/// Why a module cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the kernel module `{path}`")]
pub struct ModuleError {
    pub path: RootPath,
    pub source: ModinfoError,
}

/// What is wrong with a module.
#[derive(Debug, thiserror::Error)]
pub enum ModinfoError {
    #[error(transparent)]
    Lookup(#[from] LookupError),
    #[error("reading failed: {0}")]
    Read(std::io::Error),
    #[error("decompression failed: {0}")]
    Decompress(std::io::Error),
    #[error("it is larger than {MAX_MODULE_SIZE} bytes when decompressed")]
    TooLarge,
    #[error("it is no ELF object")]
    NotElf,
    #[error("its {field} is damaged")]
    Damaged { field: &'static str },
    #[error("it has no .modinfo section, so it is no kernel module")]
    NoModinfo,
}

/// The `.modinfo` section of one module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modinfo {
    section: Box<[u8]>,
}

impl Modinfo {
    /// Reads the module at `path`, compressed or not.
    ///
    /// # Errors
    /// [`ModuleError`] with the path.
    pub fn read(root: &Root, path: &RootPath) -> Result<Modinfo, ModuleError> {
        let open = || -> Result<Modinfo, ModinfoError> { Modinfo::read_found(root, &root.lookup(path)?) };
        open().map_err(|source| ModuleError { path: path.clone(), source })
    }

    /// Reads the module that a look-up found.
    ///
    /// # Errors
    /// [`ModinfoError`]: the field that is damaged, or the host's error.
    pub fn read_found(root: &Root, found: &Found) -> Result<Modinfo, ModinfoError> {
        with_ranges(root, found, Modinfo::from_ranges)
    }

    /// Reads the bytes of an uncompressed module.
    ///
    /// # Errors
    /// [`ModinfoError`]: the field that is damaged.
    pub fn from_bytes(module: &[u8]) -> Result<Modinfo, ModinfoError> {
        Modinfo::from_ranges(&module)
    }

    fn from_ranges(source: &dyn Ranges) -> Result<Modinfo, ModinfoError> {
        let section = Sections::read(source)?.content(b".modinfo", ".modinfo section")?;
        let section = section.ok_or(ModinfoError::NoModinfo)?;
        Ok(Modinfo { section: section.into_owned().into() })
    }

    /// Keys and values in the order of the file. Strings without `=` are passed over, as kmod does.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.section.split(|&b| b == 0).filter_map(|field| {
            let equals = memchr::memchr(b'=', field)?;
            Some((&field[..equals], &field[equals + 1..]))
        })
    }

    /// Every value of `key`, in order. Values that are not ASCII are passed over: kmod's indexes cannot hold them.
    pub fn values<'m>(&'m self, key: &'static str) -> impl Iterator<Item = &'m str> {
        self.fields().filter(move |(k, v)| *k == key.as_bytes() && v.is_ascii()).filter_map(|(_, v)| {
            // ASCII is UTF-8, so nothing is lost here.
            std::str::from_utf8(v).ok()
        })
    }

    /// The modules that this one needs directly, in the order of `depends=`.
    pub fn depends(&self) -> impl Iterator<Item = &str> {
        self.values("depends").flat_map(|list| list.split(',')).filter(|name| !name.is_empty())
    }
}

/// The names of the symbols that a module exports to others, in the order of its symbol table.
///
/// Each exported symbol `x` has a table entry `__ksymtab_x` (include/linux/export.h), of which modpost and depmod
/// make use as well.
///
/// # Errors
/// [`ModinfoError`]: the field that is damaged, or the host's error.
pub(super) fn exported_symbols(root: &Root, found: &Found) -> Result<Vec<String>, ModinfoError> {
    with_ranges(root, found, exported_from)
}

fn exported_from(source: &dyn Ranges) -> Result<Vec<String>, ModinfoError> {
    let sections = Sections::read(source)?;
    // Few modules export anything; the rest is spared the reading of its symbol table.
    if sections.content(b"__ksymtab_strings", "__ksymtab_strings section")?.is_none() {
        return Ok(Vec::new());
    }
    let tables = (sections.content(b".symtab", ".symtab section")?, sections.content(b".strtab", ".strtab section")?);
    let (Some(symbols), Some(strings)) = tables else { return Ok(Vec::new()) };
    let size = Sym::size(sections.context.container);
    let symbols = Sym::parse(&symbols, 0, symbols.len() / size, sections.context)
        .map_err(|_| ModinfoError::Damaged { field: ".symtab section" })?;
    let names = symbols.iter().filter_map(|symbol| string_at(&strings, symbol.st_name));
    let exported = names.filter_map(|name| name.strip_prefix(b"__ksymtab_"));
    Ok(exported.filter(|name| name.is_ascii()).filter_map(|name| String::from_utf8(name.to_vec()).ok()).collect())
}

/// Gives `read` the file itself when it is not compressed, else its decompressed bytes.
fn with_ranges<T>(
    root: &Root,
    found: &Found,
    read: impl FnOnce(&dyn Ranges) -> Result<T, ModinfoError>,
) -> Result<T, ModinfoError> {
    let file = root.open_file(found).map_err(ModinfoError::Read)?;
    let mut compression = Compression::of_name(found.path.file_name());
    // The suffix spares most kernels this read; where there is one, the content decides, as it does for kmod.
    if compression != Compression::None {
        let mut head = [0; 6];
        let length = file.read_at(&mut head, 0).map_err(ModinfoError::Read)?;
        compression = Compression::sniff(&head[..length]);
    }
    match compression {
        Compression::None => read(&OpenFile { file: &file, size: found.info.size }),
        compression => read(&decompress(file, compression)?.as_slice()),
    }
}

/// Everything behind a compressed reader; grows with what really comes out, up to [`MAX_MODULE_SIZE`].
///
/// # Errors
/// [`ModinfoError::Decompress`] for damaged input, [`ModinfoError::TooLarge`].
pub fn decompress(reader: impl Read, compression: Compression) -> Result<Vec<u8>, ModinfoError> {
    decompress_up_to(reader, compression, MAX_MODULE_SIZE)
}

fn decompress_up_to(reader: impl Read, compression: Compression, limit: u64) -> Result<Vec<u8>, ModinfoError> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file of exactly that size from a larger one.
    let bound = limit.saturating_add(1);
    let result = match compression {
        Compression::None => reader.take(bound).read_to_end(&mut bytes),
        Compression::Gzip => flate2::read::MultiGzDecoder::new(reader).take(bound).read_to_end(&mut bytes),
        Compression::Xz => liblzma::read::XzDecoder::new_multi_decoder(reader).take(bound).read_to_end(&mut bytes),
        Compression::Zstd => {
            zstd::stream::read::Decoder::new(reader).and_then(|d| d.take(bound).read_to_end(&mut bytes))
        }
    };
    result.map_err(ModinfoError::Decompress)?;
    if bytes.len() as u64 > limit { Err(ModinfoError::TooLarge) } else { Ok(bytes) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A relocatable object with these `.modinfo` fields and nothing else.
    pub fn module(fields: &[&str]) -> Vec<u8> {
        object_with(object::Architecture::X86_64, object::Endianness::Little, fields)
    }

    fn object_with(architecture: object::Architecture, order: object::Endianness, fields: &[&str]) -> Vec<u8> {
        let mut file = object::write::Object::new(object::BinaryFormat::Elf, architecture, order);
        let id = file.add_section(Vec::new(), b".modinfo".to_vec(), object::SectionKind::ReadOnlyData);
        let content: Vec<u8> = fields.iter().flat_map(|f| f.bytes().chain([0])).collect();
        file.append_section_data(id, &content, 1);
        file.write().unwrap()
    }

    fn depends(bytes: &[u8]) -> Vec<String> {
        Modinfo::from_bytes(bytes).unwrap().depends().map(str::to_owned).collect()
    }

    #[test]
    fn every_class_and_byte_order_is_read() {
        use object::{Architecture, Endianness};
        for (architecture, order) in [
            (Architecture::X86_64, Endianness::Little),
            (Architecture::I386, Endianness::Little),
            (Architecture::PowerPc, Endianness::Big),
            (Architecture::S390x, Endianness::Big),
        ] {
            let bytes = object_with(architecture, order, &["license=GPL", "depends=a,b-c", "alias=x", "alias=y"]);
            assert_eq!(depends(&bytes), ["a", "b-c"], "{architecture:?}");
            let info = Modinfo::from_bytes(&bytes).unwrap();
            assert_eq!(info.values("alias").collect::<Vec<_>>(), ["x", "y"]);
        }
    }

    #[test]
    fn empty_depends_means_no_dependency() {
        assert!(depends(&module(&["depends="])).is_empty());
    }

    #[test]
    fn truncation_at_every_length_is_an_error_and_no_panic() {
        let bytes = module(&["depends=a", "name=b"]);
        for length in 0..bytes.len() {
            let result = Modinfo::from_bytes(&bytes[..length]);
            assert!(result.is_err(), "{length} of {}", bytes.len());
        }
    }

    #[test]
    fn overwritten_bytes_never_panic_or_allocate_beyond_the_input() {
        let bytes = module(&["depends=a", "name=b"]);
        for position in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut damaged = bytes.clone();
                damaged[position] = value;
                let _ = Modinfo::from_bytes(&damaged);
                let _ = exported_from(&&damaged[..]);
            }
        }
    }

    #[test]
    fn errors_name_the_field() {
        let mut bytes = module(&["a=b"]);
        bytes[0x28..0x30].copy_from_slice(&u64::MAX.to_le_bytes()); // e_shoff
        let error = Modinfo::from_bytes(&bytes).unwrap_err();
        assert_eq!(error.to_string(), "its section header table is damaged");
        assert!(matches!(Modinfo::from_bytes(b"#!/bin/sh\n"), Err(ModinfoError::NotElf)));
    }

    #[test]
    fn decompression_is_bounded() {
        let zeros = vec![0; 100_000];
        let packed = zstd::encode_all(&zeros[..], 3).unwrap();
        let bounded = |limit| decompress_up_to(&packed[..], Compression::Zstd, limit);
        assert_eq!(bounded(100_000).unwrap(), zeros);
        assert!(matches!(bounded(99_999), Err(ModinfoError::TooLarge)));
        assert!(matches!(bounded(10), Err(ModinfoError::TooLarge)));
        for compression in [Compression::Gzip, Compression::Xz, Compression::Zstd] {
            assert!(matches!(decompress(&b"\x1f\x8bxx"[..], compression), Err(ModinfoError::Decompress(_))));
        }
    }
}
