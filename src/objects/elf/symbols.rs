//! Which undefined symbols an object has, as far as somebody asks.
//!
//! Rules ask for a handful of symbols in thousands of objects, and nearly all answers are no. How the strings of the
//! string table end gives that no at the speed of memory; only where one may be a name of interest is the symbol table
//! read, because it may as well be a defined symbol, or a longer name of which another one is the tail.

use super::reader::{Reader, Window};
use super::strings::Strings;
use super::{ElfError, Name, file_offset, segment_of};
use aho_corasick::packed::Searcher;
use foldhash::HashSet;
use goblin::container::Ctx;
use goblin::elf::dynamic::{self as dt, Dyn};
use goblin::elf::program_header::ProgramHeader;
use goblin::elf::section_header::SHN_UNDEF;
use goblin::elf::sym::{Sym, Symtab};
use regex::bytes::Regex;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::literal::{ExtractKind, Extractor};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::OnceLock;

/// What the rules want to know of an object's undefined symbols: up to 64 patterns.
#[derive(Debug, Default)]
pub struct SymbolScan {
    /// Absent when nobody wants to know anything.
    filter: Option<Filter>,
    /// Each as a whole name; compiled when a name first has to be looked at.
    patterns: Vec<(String, OnceLock<Regex>)>,
    /// The bit of [`DLOPEN`], where that is looked for.
    dlopen: u64,
}

/// Functions that load a library by a name that no entry of the object holds. The last one is glibc's own, of versions
/// before 2.34.
const DLOPEN: &str = "dlopen|dlmopen|__libc_dlopen_mode";

/// Which strings may be, or have as their tail, a name that a pattern matches.
#[derive(Debug)]
enum Filter {
    Tails(Tails),
    /// Some pattern has no tails that could be listed, such as `get.*`.
    Regex(Regex),
}

/// How the names end that the patterns match: tails of one length.
#[derive(Debug)]
struct Tails {
    length: usize,
    tails: HashSet<Box<[u8]>>,
    /// Finds the last bytes of the tails, with the NUL behind them: as many as one vector instruction compares.
    endings: Searcher,
}

/// More than this of a name's end is not compared before the symbol table is asked.
const TAIL: usize = 6;

/// And this is what a tail is first found by.
const ENDING: usize = 3;

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
        let filter = match Tails::of(&any) {
            Some(tails) => Filter::Tails(tails),
            None => Filter::Regex(Regex::new(&format!(r"(?s-u)(?:{any})\z"))?),
        };
        Ok(SymbolScan {
            filter: Some(filter),
            patterns: patterns.iter().map(|p| (format!(r"(?s-u)\A(?:{p})\z"), OnceLock::new())).collect(),
            dlopen: 0,
        })
    }

    /// [`SymbolScan::new`], which also looks for functions that load libraries by name:
    /// [`Dynamic::calls_dlopen`](super::Dynamic::calls_dlopen).
    ///
    /// # Errors
    /// As [`SymbolScan::new`].
    ///
    /// # Panics
    /// With more than 63 patterns.
    pub fn with_dlopen<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Result<SymbolScan, regex::Error> {
        let scan = SymbolScan::new(patterns.into_iter().chain([DLOPEN]))?;
        Ok(SymbolScan { dlopen: 1 << (scan.patterns.len() - 1), ..scan })
    }

    /// Whether the bits of the patterns that matched have the one of `dlopen` and its kin.
    pub(super) fn has_dlopen(&self, imports: u64) -> bool {
        imports & self.dlopen != 0
    }

    /// The strings of a table that a name of interest is the whole or the tail of, in the order of the table.
    pub(super) fn candidates(&self, strings: &Strings<'_>, scratch: &mut Window) -> Result<Vec<Candidate>, ElfError> {
        let mut candidates = Vec::new();
        let Some(filter) = &self.filter else { return Ok(candidates) };
        strings.pieces(scratch, |index, piece| {
            filter.find(piece, |found| {
                candidates.push(Candidate { index: index + found.start, text: piece[found].into() });
            });
        })?;
        Ok(candidates)
    }

    fn matches(&self, name: &[u8]) -> u64 {
        let is_match = |(text, regex): &(String, OnceLock<Regex>)| {
            regex.get_or_init(|| Regex::new(text).expect("it is well-formed: all were parsed together")).is_match(name)
        };
        self.patterns.iter().enumerate().filter(|(_, p)| is_match(p)).fold(0, |bits, (n, _)| bits | 1 << n)
    }
}

impl Filter {
    /// Calls `found` with the place of each string that passes, without its NUL.
    fn find(&self, strings: &[u8], mut found: impl FnMut(Range<usize>)) {
        let start_of = |end: usize| memchr::memrchr(0, &strings[..end]).map_or(0, |nul| nul + 1);
        match self {
            Filter::Tails(tails) => {
                for ending in tails.endings.find_iter(strings) {
                    let end = ending.end() - 1;
                    if end.checked_sub(tails.length).is_some_and(|tail| tails.tails.contains(&strings[tail..end])) {
                        found(start_of(end)..end);
                    }
                }
            }
            Filter::Regex(regex) => {
                let ends = memchr::memchr_iter(0, strings).map(|end| start_of(end)..end);
                ends.filter(|range| regex.is_match(&strings[range.clone()])).for_each(found);
            }
        }
    }
}

impl Tails {
    /// `None` when the pattern is malformed, or its matches end in too many ways.
    fn of(pattern: &str) -> Option<Tails> {
        let hir = ParserBuilder::new().utf8(false).unicode(false).dot_matches_new_line(true).build().parse(pattern);
        let suffixes = Extractor::new().kind(ExtractKind::Suffix).limit_total(10_000).extract(&hir.ok()?);
        let suffixes = suffixes.literals()?;
        let length = suffixes.iter().map(|suffix| suffix.len()).min()?.min(TAIL);
        if length == 0 {
            return None;
        }
        let last = |bytes: &[u8], count: usize| bytes[bytes.len().saturating_sub(count)..].to_vec();
        let tails: BTreeSet<Vec<u8>> = suffixes.iter().map(|suffix| last(suffix.as_bytes(), length)).collect();
        let endings: BTreeSet<Vec<u8>> = tails.iter().map(|tail| [&last(tail, ENDING)[..], b"\0"].concat()).collect();
        let tails = tails.into_iter().map(Vec::into_boxed_slice).collect();
        Some(Tails { length, tails, endings: Searcher::new(endings)? })
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

/// A string of the table that may hold a name of interest.
pub(super) struct Candidate {
    /// Where in the table it begins.
    index: usize,
    text: Name,
}

impl Candidate {
    /// The name that begins at an index inside of this string.
    fn tail(&self, index: usize) -> Option<&[u8]> {
        self.text.get(index.checked_sub(self.index)?..)
    }
}

/// How many entries of the symbol table are read at a time.
const ENTRIES: u64 = 2048;

/// Goes through the symbol table: which patterns does an undefined symbol match? Only names in `candidates` are looked
/// at.
pub(super) fn imports(
    reader: &Reader<'_>,
    scratch: &mut Window,
    place: Range<u64>,
    candidates: &[Candidate],
    context: Ctx,
    scan: &SymbolScan,
) -> Result<u64, ElfError> {
    const FIELD: &str = "DT_SYMTAB";
    let size = Sym::size(context.container) as u64;
    let mut found = 0;
    let mut next = place.start;
    while next + size <= place.end {
        let count = ENTRIES.min((place.end - next) / size);
        let table = reader.read(scratch, (next, count * size), FIELD)?;
        let symbols = Symtab::parse(table, 0, count as usize, context);
        let symbols = symbols.map_err(|_| ElfError::Malformed { field: FIELD })?;
        for symbol in symbols.iter().filter(|symbol| symbol.st_shndx == SHN_UNDEF as usize) {
            let after = candidates.partition_point(|candidate| candidate.index <= symbol.st_name);
            if let Some(name) = after.checked_sub(1).and_then(|at| candidates[at].tail(symbol.st_name)) {
                found |= scan.matches(name);
            }
        }
        next += count * size;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The strings that a scan lets through, out of a table that lies at the beginning of a file.
    fn candidates(patterns: &[&str], table: &[u8]) -> Vec<(usize, String)> {
        let scan = SymbolScan::new(patterns.iter().copied()).unwrap();
        let reader = Reader::new(&table);
        let (head, mut window, mut scratch) = (Window::default(), Window::default(), Window::default());
        let strings = Strings::read(&reader, &head, &mut window, (0, table.len() as u64), &[]).unwrap();
        let found = scan.candidates(&strings, &mut scratch).unwrap();
        found.iter().map(|c| (c.index, String::from_utf8_lossy(&c.text).into_owned())).collect()
    }

    const TABLE: &[u8] = b"\0dlopen\0xdlopen\0dlopens\0getpwnam_r\0getpwuid\0getpid\0n\0";

    #[test]
    fn a_string_passes_when_it_ends_like_a_name() {
        let expected = [(1, "dlopen"), (8, "xdlopen"), (24, "getpwnam_r")].map(|(at, name)| (at, name.to_owned()));
        assert_eq!(candidates(&["dlm?open", "getpwnam(_r)?"], TABLE), expected);
        assert_eq!(candidates(&["n"], TABLE).last().unwrap(), &(51, "n".to_owned()));
    }

    #[test]
    fn patterns_whose_names_cannot_be_listed_are_searched_for_as_they_are() {
        let expected = [(24, "getpwnam_r"), (35, "getpwuid")].map(|(at, name)| (at, name.to_owned()));
        assert_eq!(candidates(&["getpw.*"], TABLE), expected);
    }

    #[test]
    fn a_long_table_is_searched_across_its_pieces() {
        let filler = [&vec![b'x'; 997][..], b"\0"].concat().repeat(300);
        let table =
            [b"\0", &filler[..], b"dlopen\0", &filler, &vec![b'y'; 200_000], b"dlopen\0", &filler, b"z"].concat();
        let found = candidates(&["dlopen"], &table);
        let places: Vec<usize> = found.iter().map(|(index, _)| *index).collect();
        assert_eq!(places, [1 + filler.len(), 8 + 2 * filler.len()]);
        assert_eq!(found[1].1.len(), 200_006);
    }
}
