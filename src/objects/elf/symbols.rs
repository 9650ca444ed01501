//! Which undefined symbols an object has, as far as somebody asks.
//!
//! Rules ask for a handful of symbols in thousands of objects, and nearly all answers are no. One regular expression
//! over the string table gives that no at the speed of memory; only where it finds something is the symbol table read,
//! because a name in the string table may as well be a defined symbol or the tail of a longer name.

use super::reader::{Reader, Window};
use super::{ElfError, file_offset, segment_of};
use goblin::container::Ctx;
use goblin::elf::dynamic::{self as dt, Dyn};
use goblin::elf::program_header::ProgramHeader;
use goblin::elf::section_header::SHN_UNDEF;
use goblin::elf::sym::{Sym, Symtab};
use regex::bytes::Regex;
use std::ops::Range;
use std::sync::OnceLock;

/// What the rules want to know of an object's undefined symbols: up to 64 patterns.
#[derive(Debug, Default)]
pub struct SymbolScan {
    /// Finds any of the patterns at the end of a string; a name may be the tail of a longer one.
    anywhere: Option<Regex>,
    /// Each as a whole name; compiled when a name first has to be looked at.
    patterns: Vec<(String, OnceLock<Regex>)>,
}

impl SymbolScan {
    /// Each pattern must match a whole symbol name.
    ///
    /// # Errors
    /// A pattern that is no regular expression.
    ///
    /// # Panics
    /// With more than 64 patterns: the rules that need more have to share some.
    pub fn new<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Result<SymbolScan, regex::Error> {
        let patterns: Vec<&str> = patterns.into_iter().collect();
        assert!(patterns.len() <= 64, "internal error: a symbol scan holds 64 patterns");
        if patterns.is_empty() {
            return Ok(SymbolScan::default());
        }
        let any = patterns.iter().map(|p| format!("(?:{p})")).collect::<Vec<_>>().join("|");
        Ok(SymbolScan {
            anywhere: Some(Regex::new(&format!(r"(?s-u)(?:{any})\x00"))?),
            patterns: patterns.iter().map(|p| (format!(r"(?s-u)\A(?:{p})\z"), OnceLock::new())).collect(),
        })
    }

    /// Where in a string table the strings end that a name of interest is the whole or the tail of, sorted.
    pub(super) fn ends(&self, strings: &[u8]) -> Vec<usize> {
        let found = self.anywhere.iter().flat_map(|regex| regex.find_iter(strings));
        found.map(|found| found.end() - 1).collect()
    }

    fn matches(&self, name: &[u8]) -> u64 {
        let is_match = |(text, regex): &(String, OnceLock<Regex>)| {
            regex.get_or_init(|| Regex::new(text).expect("it is well-formed as part of `anywhere`")).is_match(name)
        };
        self.patterns.iter().enumerate().filter(|(_, p)| is_match(p)).fold(0, |bits, (n, _)| bits | 1 << n)
    }
}

/// Where in the file the symbol table begins and ends.
///
/// No entry of the dynamic section gives its length, so it is taken to end where the next table that the section does
/// name begins, or its segment does.
pub(super) fn place(table: &[Dyn], segments: &[ProgramHeader]) -> Option<Range<u64>> {
    const TABLES: [u64; 9] = [
        dt::DT_STRTAB,
        dt::DT_HASH,
        dt::DT_GNU_HASH,
        dt::DT_VERSYM,
        dt::DT_VERNEED,
        dt::DT_VERDEF,
        dt::DT_RELA,
        dt::DT_REL,
        dt::DT_JMPREL,
    ];
    let address = table.iter().find(|d| d.d_tag == dt::DT_SYMTAB)?.d_val;
    let segment = segment_of(segments, address)?;
    let start = file_offset(segments, address)?;
    let segment_end = segment.p_offset.checked_add(segment.p_filesz)?;
    let next = table.iter().filter(|d| TABLES.contains(&d.d_tag) && d.d_val > address).map(|d| d.d_val).min();
    let next = next.map_or(segment_end, |next| start.saturating_add(next - address));
    Some(start..next.min(segment_end))
}

/// Goes through the symbol table: which patterns does an undefined symbol match? Only names that end at one of `ends`
/// are looked at.
pub(super) fn imports(
    reader: &Reader<'_>,
    scratch: &mut Window,
    place: Range<u64>,
    (names, ends): (&[u8], &[usize]),
    context: Ctx,
    scan: &SymbolScan,
) -> Result<u64, ElfError> {
    const FIELD: &str = "DT_SYMTAB";
    let size = Sym::size(context.container) as u64;
    let count = (place.end - place.start) / size;
    let table = reader.read(scratch, (place.start, count * size), FIELD)?;
    let symbols = Symtab::parse(table, 0, count as usize, context).map_err(|_| ElfError::Malformed { field: FIELD })?;
    let mut found = 0;
    for symbol in symbols.iter().filter(|symbol| symbol.st_shndx == SHN_UNDEF as usize) {
        let next = ends.partition_point(|end| *end < symbol.st_name);
        if let Some(name) = ends.get(next).and_then(|end| names.get(symbol.st_name..*end))
            && !name.contains(&0)
        {
            found |= scan.matches(name);
        }
    }
    Ok(found)
}
