//! Which undefined symbols an object has, as far as somebody asks.
//!
//! Rules ask for a handful of symbols in thousands of objects, and nearly all answers are no. How the strings of the
//! string table end gives that no at the speed of memory; only where one may be a name of interest is the symbol table
//! read, because it may as well be a defined symbol, or a longer name of which another one is the tail.
//!
//! A long string table is that of an object which defines much, and needs no more than others: there the names of the
//! undefined symbols are few, and the only ones that are looked at.

use super::reader::{Reader, Window};
use super::strings::Strings;
use super::{ElfError, Name, file_offset, segment_of};
use aho_corasick::packed::Searcher;
use foldhash::{HashMap, HashSet};
use goblin::container::Ctx;
use goblin::elf::dynamic::{self as dt, Dyn};
use goblin::elf::program_header::ProgramHeader;
use goblin::elf::sym::Sym;
use regex::bytes::Regex;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::Hir;
use regex_syntax::hir::literal::{ExtractKind, Extractor};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::OnceLock;

/// What the rules want to know of an object's undefined symbols: up to 64 patterns.
#[derive(Debug, Default)]
pub struct SymbolScan {
    /// Absent when nobody wants to know anything.
    filter: Option<Filter>,
    /// The patterns, as bits, of each name where a pattern is a list of names.
    names: HashMap<Box<[u8]>, u64>,
    /// The other patterns, with their bits.
    patterns: Vec<(u64, WholeName)>,
    /// The bit of [`DLOPEN`], where that is looked for.
    dlopen: u64,
    /// The bits of all patterns.
    all: u64,
}

/// An expression that a whole name has to match; compiled when a name first has to be looked at.
#[derive(Debug)]
struct WholeName {
    text: String,
    regex: OnceLock<Regex>,
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

/// No function that rules ask for has a longer name. A file may have a million names that are the ends of one string.
const LONGEST: usize = 4096;

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
        let parsed: Option<Vec<Hir>> = patterns.iter().map(|pattern| parse(pattern)).collect();
        let names: Vec<Option<Vec<Name>>> = match &parsed {
            Some(parsed) => parsed.iter().map(names_of).collect(),
            None => vec![None; patterns.len()],
        };
        let ends = parsed.iter().flatten().zip(&names);
        let ends: Option<Vec<Vec<Name>>> =
            ends.map(|(pattern, names)| names.clone().or_else(|| ends_of(pattern))).collect();
        let filter = match ends.and_then(|ends| Tails::of(&ends.concat())) {
            Some(tails) => Filter::Tails(tails),
            None => {
                let any = patterns.iter().map(|p| format!("(?:{p})")).collect::<Vec<_>>().join("|");
                Filter::Regex(Regex::new(&format!(r"(?s-u)(?:{any})\z"))?)
            }
        };
        let all = u64::MAX >> (64 - patterns.len());
        let mut scan = SymbolScan { filter: Some(filter), all, ..SymbolScan::default() };
        for (number, (pattern, names)) in patterns.iter().zip(names).enumerate() {
            let bit = 1 << number;
            match names {
                Some(names) => names.into_iter().for_each(|name| *scan.names.entry(name).or_default() |= bit),
                None => scan.patterns.push((bit, WholeName::new(pattern))),
            }
        }
        Ok(scan)
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
        let patterns: Vec<&str> = patterns.into_iter().chain([DLOPEN]).collect();
        let dlopen = 1 << (patterns.len() - 1);
        Ok(SymbolScan { dlopen, ..SymbolScan::new(patterns)? })
    }

    /// Whether the bits of the patterns that matched have the one of `dlopen` and its kin.
    pub(super) fn has_dlopen(&self, imports: u64) -> bool {
        imports & self.dlopen != 0
    }

    /// The bits of the patterns that a name matches.
    fn matches(&self, name: &[u8]) -> u64 {
        if name.len() > LONGEST {
            return 0;
        }
        let by_name = self.names.get(name).copied().unwrap_or_default();
        self.patterns.iter().filter(|(_, pattern)| pattern.matches(name)).fold(by_name, |bits, (bit, _)| bits | bit)
    }
}

impl WholeName {
    fn new(pattern: &str) -> WholeName {
        WholeName { text: format!(r"(?s-u)\A(?:{pattern})\z"), regex: OnceLock::new() }
    }

    fn matches(&self, name: &[u8]) -> bool {
        let compile = || Regex::new(&self.text).expect("it is well-formed: all were parsed together");
        self.regex.get_or_init(compile).is_match(name)
    }
}

/// The names that a pattern matches, where these can be listed: most are the two or three spellings of one function.
fn names_of(pattern: &Hir) -> Option<Vec<Name>> {
    let names = Extractor::new().kind(ExtractKind::Prefix).limit_total(100).extract(pattern);
    if !names.is_exact() || !pattern.properties().look_set().is_empty() {
        return None;
    }
    Some(names.literals()?.iter().map(|name| name.as_bytes().into()).collect())
}

/// What the names end with that a pattern matches; `None` when they end in too many ways.
fn ends_of(pattern: &Hir) -> Option<Vec<Name>> {
    let suffixes = Extractor::new().kind(ExtractKind::Suffix).limit_total(10_000).extract(pattern);
    Some(suffixes.literals()?.iter().map(|suffix| suffix.as_bytes().into()).collect())
}

fn parse(pattern: &str) -> Option<Hir> {
    ParserBuilder::new().utf8(false).unicode(false).dot_matches_new_line(true).build().parse(pattern).ok()
}

impl Filter {
    /// Whether a name may be one of interest.
    fn passes(&self, name: &[u8]) -> bool {
        match self {
            Filter::Tails(tails) => {
                name.len().checked_sub(tails.length).is_some_and(|at| tails.tails.contains(&name[at..]))
            }
            Filter::Regex(regex) => regex.is_match(name),
        }
    }

    /// Where the strings of a table are that pass, in its order and without their NULs.
    fn find(&self, strings: &[u8]) -> Vec<Range<usize>> {
        let start_of = |end: usize| memchr::memrchr(0, &strings[..end]).map_or(0, |nul| nul + 1);
        match self {
            Filter::Tails(tails) => {
                let ends = tails.endings.find_iter(strings).map(|ending| ending.end() - 1);
                let has_tail = |end: &usize| {
                    end.checked_sub(tails.length).is_some_and(|tail| tails.tails.contains(&strings[tail..*end]))
                };
                ends.filter(has_tail).map(|end| start_of(end)..end).collect()
            }
            Filter::Regex(regex) => {
                let ends = memchr::memchr_iter(0, strings).map(|end| start_of(end)..end);
                ends.filter(|range| regex.is_match(&strings[range.clone()])).collect()
            }
        }
    }
}

impl Tails {
    /// Of what the names of interest end with; `None` when that may be nothing, or too much.
    fn of(ends: &[Name]) -> Option<Tails> {
        let length = ends.iter().map(|end| end.len()).min()?.min(TAIL);
        if length == 0 {
            return None;
        }
        let last = |bytes: &[u8], count: usize| bytes[bytes.len().saturating_sub(count)..].to_vec();
        let tails: BTreeSet<Vec<u8>> = ends.iter().map(|end| last(end, length)).collect();
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

/// Where the symbols of an object are.
pub(super) struct Symbols<'a> {
    pub reader: &'a Reader<'a>,
    /// Of the symbol table; absent when the dynamic section does not say.
    pub place: Option<Range<u64>>,
    pub strings: &'a Strings<'a>,
    pub context: Ctx,
}

/// Which patterns does an undefined symbol match?
pub(super) fn imports(symbols: &Symbols<'_>, scratch: &mut Window, scan: &SymbolScan) -> Result<u64, ElfError> {
    let Some(filter) = &scan.filter else { return Ok(0) };
    let mut found = 0;
    let Some(strings) = symbols.strings.whole() else {
        let mut all = Vec::new();
        symbols.undefined(scratch, |names| {
            all.extend_from_slice(names);
            true
        })?;
        all.sort_unstable();
        symbols.strings.each(&all, |name| {
            if filter.passes(name) {
                found |= scan.matches(name);
            }
        })?;
        return Ok(found);
    };
    let candidates = filter.find(strings);
    if candidates.is_empty() {
        return Ok(0);
    }
    symbols.undefined(scratch, |names| {
        for name in names.iter().map(|name| *name as usize) {
            let after = candidates.partition_point(|candidate| candidate.start <= name);
            // A name may be the tail of the string that it begins in.
            if let Some(name) = after.checked_sub(1).and_then(|at| strings.get(name..candidates[at].end)) {
                found |= scan.matches(name);
            }
        }
        found != scan.all
    })?;
    Ok(found)
}

/// How many entries of the symbol table are read at a time.
const ENTRIES: u64 = 2048;

impl Symbols<'_> {
    /// Goes through the symbol table piece by piece; `look` gets the names of the undefined symbols, as indexes of the
    /// string table, and says whether to go on. Linkers put these symbols first, but nothing says that they have to.
    fn undefined(&self, scratch: &mut Window, mut look: impl FnMut(&[u64]) -> bool) -> Result<(), ElfError> {
        const FIELD: &str = "DT_SYMTAB";
        let place = self.place.clone().ok_or(ElfError::OutOfRange { field: FIELD })?;
        let size = Sym::size(self.context.container) as u64;
        let count = place.end.saturating_sub(place.start) / size;
        if count > 0 {
            // Whether the table is all there does not depend on what is found in it.
            self.reader.check(place.start, count * size, FIELD)?;
        }
        let mut names = Vec::new();
        for first in (0..count).step_by(ENTRIES as usize) {
            let length = ENTRIES.min(count - first) * size;
            let table = self.reader.read(scratch, (place.start + first * size, length), FIELD)?;
            names.clear();
            names.extend(table.chunks_exact(size as usize).filter_map(|entry| undefined_name(entry, self.context)));
            if !look(&names) {
                break;
            }
        }
        Ok(())
    }
}

/// `st_name` of an entry whose symbol is undefined. Two fields of six, read where the gABI ("Symbol Table") has them:
/// large libraries have tens of thousands of entries, nearly all defined.
fn undefined_name(entry: &[u8], context: Ctx) -> Option<u64> {
    let section_index = if context.is_big() { 6 } else { 14 };
    // `SHN_UNDEF` is 0, in either byte order.
    if entry.get(section_index..section_index + 2)? != [0, 0] {
        return None;
    }
    let name = entry.first_chunk()?;
    Some(if context.is_little_endian() { u32::from_le_bytes(*name) } else { u32::from_be_bytes(*name) }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::System;
    use crate::rules::{RuleSet, SymbolPattern};

    /// The strings that a scan lets through, out of a table that lies at the beginning of a file.
    fn candidates(patterns: &[&str], table: &[u8]) -> Vec<(usize, String)> {
        let found = SymbolScan::new(patterns.iter().copied()).unwrap().filter.unwrap().find(table);
        found.into_iter().map(|at| (at.start, String::from_utf8_lossy(&table[at]).into_owned())).collect()
    }

    const TABLE: &[u8] = b"\0dlopen\0xdlopen\0dlopens\0getpwnam_r\0getpwuid\0getpid\0n\0";

    #[test]
    fn a_name_has_the_bit_of_every_pattern_that_matches_it() {
        let scan = SymbolScan::new(["dlm?open", "(get|set)pw(nam|uid)(_r)?", "get.*", "x{0,3}y$", "dlopen"]).unwrap();
        assert_eq!(scan.patterns.len(), 2, "those that cannot be listed");
        let expected: [(&[u8], u64); 9] = [
            (b"dlopen", 0b10001),
            (b"dlmopen", 0b00001),
            (b"dlopens", 0),
            (b"xdlopen", 0),
            (b"getpwnam_r", 0b00110),
            (b"setpwuid", 0b00010),
            (b"get", 0b00100),
            (b"xxy", 0b01000),
            (b"xxxxy", 0),
        ];
        for (name, bits) in expected {
            assert_eq!(scan.matches(name), bits, "{}", String::from_utf8_lossy(name));
        }
    }

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

    /// A name with an end of any kind, such as `get.*`, or more than 64 different ends, and every string of every object is
    /// compared: a trace of all of /usr/bin takes a quarter longer. Let the rule ask for fewer functions, or for such that
    /// end like others.
    #[test]
    fn what_rules_ask_for_is_found_by_its_end() {
        for system in [System::Linux, System::Illumos] {
            let rules = RuleSet::load_for(Some(system), &[]).unwrap();
            let patterns = rules.symbol_patterns().iter().map(SymbolPattern::text);
            assert!(matches!(SymbolScan::with_dlopen(patterns).unwrap().filter, Some(Filter::Tails(_))));
        }
    }

    /// What a 64-bit object imports that has these symbols, as places of names in the string table and whether they are
    /// undefined.
    fn imports_of(symbols: &[(usize, bool)], strings: &[u8], patterns: &[&str]) -> u64 {
        let entry = |(name, is_undefined): &(usize, bool)| {
            let mut entry = [0; 24];
            entry[..4].copy_from_slice(&(*name as u32).to_le_bytes());
            entry[6] = u8::from(!is_undefined);
            entry
        };
        let table = symbols.iter().flat_map(entry).collect::<Vec<u8>>();
        let (place, at) = (0..table.len() as u64, table.len() as u64);
        let object = [&table, strings].concat();
        let object = &object[..];
        let reader = Reader::new(&object);
        let (head, mut window) = (Window::default(), Window::default());
        let strings = Strings::read(&reader, &head, &mut window, (at, strings.len() as u64), &[]).unwrap();
        let context = Ctx::new(goblin::container::Container::Big, goblin::container::Endian::Little);
        let symbols = Symbols { reader: &reader, place: Some(place), strings: &strings, context };
        let scan = SymbolScan::new(patterns.iter().copied()).unwrap();
        imports(&symbols, &mut Window::default(), &scan).unwrap()
    }

    #[test]
    fn only_undefined_symbols_count_however_long_the_tables_are() {
        let short = b"\0dlopen\0xdlopen\0getpwnam\0".to_vec();
        let filler = [&vec![b'x'; 997][..], b"\0"].concat().repeat(70);
        let long = [&short[..], &filler, b"getpwuid\0", &vec![b'y'; 200_000], b"dlopen\0", &filler, b"z"].concat();
        let defined = (short.len(), false);
        let (getpwuid, tail) = (short.len() + filler.len(), short.len() + filler.len() + 9 + 199_990);
        let patterns = ["dlm?open", "getpw(nam|uid)", "get.*id", "y{10}dlopen"];
        for strings in [&short, &long] {
            let found = |symbols: &[(usize, bool)]| imports_of(symbols, strings, &patterns);
            assert_eq!(found(&[]), 0);
            assert_eq!(found(&[(0, true), (1, false), (8, true), (16, false)]), 0);
            assert_eq!(found(&[(1, true)]), 0b0001);
            assert_eq!(found(&[(9, true)]), 0b0001, "the tail of another name");
            assert_eq!(found(&[(16, true), (1, true)]), 0b0011);
            let far: Vec<_> = std::iter::repeat_n(defined, 5000).chain([(16, true)]).collect();
            assert_eq!(found(&far), 0b0010);
            // Names that are not in the table, and one where another has ended.
            assert_eq!(
                found(&[(1 << 30, true), (strings.len(), true), (strings.len() + 1, true), (7, true), (1, true)]),
                0b0001
            );
        }
        let found = |symbols: &[(usize, bool)]| imports_of(symbols, &long, &patterns);
        assert_eq!(found(&[(long.len() - 1, true), (getpwuid, true)]), 0b0110);
        assert_eq!(found(&[(getpwuid + 9 + 200_000, true), (getpwuid, false), (9, false)]), 0b0001);
        assert_eq!(found(&[(tail, true), (tail - 1, true)]), 0b1000);
        // Names inside of each other take no more looks at the table than one.
        let many: Vec<_> = (0..200_000).map(|at| (getpwuid + 9 + at, true)).chain([(1, true)]).collect();
        assert_eq!(found(&many), 0b1001, "as far as they are no longer than names are");
    }
}
