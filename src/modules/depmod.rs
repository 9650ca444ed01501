//! Modules in, the files that depmod(8) would write for them out, text and binary.
//!
//! Used for a whole kernel that was unpacked but never installed, and for the few modules of an image. modprobe reads
//! the `.bin` files only; busybox reads the text. `modules.order`, `modules.builtin` and `modules.builtin.modinfo` come
//! from the kernel build and are not written here.

use super::index::{Module, ModuleId, ModuleIndex};
use super::modinfo::{ModuleError, exported_symbols};
use super::trie::{self, Entry};
use super::{Compression, ModuleName};
use crate::root::Root;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// The name of an index file, to be put into `/lib/modules/VERSION`, and its content.
pub type IndexFile = (&'static str, Vec<u8>);

/// Whether module files are listed as they are, or under the names they have when decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileNames {
    AsInRoot,
    Decompressed,
}

/// Why no index can be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot write `{file}`: it would be larger than the 256 MiB that its format allows")]
pub struct DepmodError {
    pub file: &'static str,
}

/// The index files for the modules that `keep` accepts, sorted by name.
///
/// Dependencies outside the kept modules are left out of `modules.dep`, so `keep` should accept a closed set, such
/// as [`super::select()`] gives.
///
/// # Errors
/// When an index outgrows its format.
pub fn write(
    index: &ModuleIndex,
    keep: impl Fn(&ModuleName) -> bool,
    names: FileNames,
) -> Result<Vec<IndexFile>, DepmodError> {
    let kept: Vec<Kept<'_>> = kept_modules(index, keep, names);
    let encode = |file, entries| trie::encode(entries).map_err(|trie::TooLarge| DepmodError { file });
    Ok(vec![
        ("modules.alias", aliases(&kept)),
        ("modules.alias.bin", encode("modules.alias.bin", alias_entries(&kept))?),
        ("modules.builtin.alias.bin", encode("modules.builtin.alias.bin", builtin_alias_entries(index))?),
        ("modules.builtin.bin", encode("modules.builtin.bin", builtin_entries(index))?),
        ("modules.dep", dependencies(&kept)),
        ("modules.dep.bin", encode("modules.dep.bin", dependency_entries(&kept))?),
        ("modules.devname", device_names(&kept)),
        (
            "modules.softdep",
            keyword_lines("# Soft dependencies extracted from modules themselves.", "softdep", &kept, |m| &m.softdeps),
        ),
        (
            "modules.weakdep",
            keyword_lines("# Weak dependencies extracted from modules themselves.", "weakdep", &kept, |m| &m.weakdeps),
        ),
    ])
}

/// The symbol indexes, `modules.symbols` and `modules.symbols.bin`, of the kept modules.
///
/// They serve `symbol_request()` alone, which a few media drivers call, and cost reading every symbol
/// table; so they are apart from [`write()`]. Modules that cannot be read are given back and have no line.
///
/// # Errors
/// When the index outgrows its format.
pub fn write_symbols(
    root: &Root,
    index: &ModuleIndex,
    keep: impl Fn(&ModuleName) -> bool,
) -> Result<(Vec<IndexFile>, Vec<ModuleError>), DepmodError> {
    let kept = kept_modules(index, keep, FileNames::AsInRoot);
    let read: Vec<Result<Vec<String>, ModuleError>> = kept
        .par_iter()
        .map(|kept| {
            let path = &kept.module.path;
            let symbols = root.lookup(path).map_err(Into::into).and_then(|found| exported_symbols(root, &found));
            symbols.map_err(|source| ModuleError { path: path.clone(), source })
        })
        .collect();
    let mut problems = Vec::new();
    // Of two modules with one symbol, the later one provides it to depmod as well.
    let mut owners: BTreeMap<String, &Kept<'_>> = BTreeMap::new();
    for (kept, symbols) in kept.iter().zip(read) {
        match symbols {
            Ok(symbols) => owners.extend(symbols.into_iter().map(|symbol| (symbol, kept))),
            Err(problem) => problems.push(problem),
        }
    }
    let mut text = b"# Aliases for symbols, used by symbol_request().\n".to_vec();
    let mut entries = Vec::with_capacity(owners.len());
    for (symbol, owner) in &owners {
        let name = owner.module.name.as_str();
        text.extend(format!("alias symbol:{symbol} {name}\n").into_bytes());
        entries.push(Entry { key: format!("symbol:{symbol}"), value: name, priority: owner.priority });
    }
    let binary = trie::encode(entries).map_err(|trie::TooLarge| DepmodError { file: "modules.symbols.bin" })?;
    Ok((vec![("modules.symbols", text), ("modules.symbols.bin", binary)], problems))
}

/// A module with what its lines say.
struct Kept<'i> {
    module: &'i Module,
    priority: u32,
    /// `kernel/fs/a.ko: kernel/lib/b.ko`, without the newline.
    line: String,
}

fn kept_modules<'i>(index: &'i ModuleIndex, keep: impl Fn(&ModuleName) -> bool, names: FileNames) -> Vec<Kept<'i>> {
    let is_kept: Vec<bool> = index.modules().iter().map(|module| keep(&module.name)).collect();
    let file_name = |module: &Module| listed_path(index, module, names);
    let ids = index.ids().filter(|id| is_kept[id.0]);
    ids.zip(0..)
        .map(|(id, priority)| {
            let module = index.module(id);
            let mut line = file_name(module) + ":";
            for &ModuleId(dependency) in module.dependencies.iter().filter(|id| is_kept[id.0]) {
                line.push(' ');
                line.push_str(&file_name(&index.modules()[dependency]));
            }
            Kept { module, priority, line }
        })
        .collect()
}

/// The path relative to the version directory; an external module keeps its absolute one.
fn listed_path(index: &ModuleIndex, module: &Module, names: FileNames) -> String {
    let path = &module.path;
    let relative = match path.as_bytes().strip_prefix(index.directory().as_bytes()) {
        Some(below) => &below[1..],
        None => path.as_bytes(),
    };
    let mut text = String::from_utf8_lossy(relative).into_owned();
    let compression = module.compression();
    if names == FileNames::Decompressed && compression != Compression::None {
        text.truncate(text.len() - compression.suffix().len());
    }
    text
}

fn dependencies(kept: &[Kept<'_>]) -> Vec<u8> {
    lines(kept.iter().map(|kept| kept.line.clone()))
}

fn dependency_entries<'k>(kept: &'k [Kept<'_>]) -> Vec<Entry<'k>> {
    let entry = |kept: &'k Kept<'_>| Entry {
        key: kept.module.name.as_str().to_owned(),
        value: &kept.line,
        priority: kept.priority,
    };
    kept.iter().map(entry).collect()
}

fn aliases(kept: &[Kept<'_>]) -> Vec<u8> {
    keyword_lines_of("# Aliases extracted from modules themselves.", kept, |module, list| {
        list.extend(module.aliases.iter().map(|alias| format!("alias {alias} {}", module.name)));
    })
}

fn alias_entries<'k>(kept: &'k [Kept<'_>]) -> Vec<Entry<'k>> {
    let entries = kept.iter().flat_map(|kept| {
        let keys = kept.module.aliases.iter().filter_map(|alias| underscored(alias));
        keys.map(|key| Entry { key, value: kept.module.name.as_str(), priority: kept.priority })
    });
    entries.collect()
}

fn builtin_entries(index: &ModuleIndex) -> Vec<Entry<'_>> {
    let listed = index.builtins().iter().filter(|builtin| builtin.listed);
    listed.map(|builtin| Entry { key: builtin.name.as_str().to_owned(), value: "", priority: 0 }).collect()
}

fn builtin_alias_entries(index: &ModuleIndex) -> Vec<Entry<'_>> {
    let entries = index.builtins().iter().flat_map(|builtin| {
        let keys = builtin.aliases.iter().filter_map(|alias| underscored(alias));
        keys.map(|key| Entry { key, value: builtin.name.as_str(), priority: 0 })
    });
    entries.collect()
}

fn keyword_lines(head: &str, keyword: &str, kept: &[Kept<'_>], values: impl Fn(&Module) -> &Vec<Box<str>>) -> Vec<u8> {
    keyword_lines_of(head, kept, |module, list| {
        list.extend(values(module).iter().map(|value| format!("{keyword} {} {value}", module.name)));
    })
}

fn keyword_lines_of(head: &str, kept: &[Kept<'_>], add: impl Fn(&Module, &mut Vec<String>)) -> Vec<u8> {
    let mut list = vec![head.to_owned()];
    kept.iter().for_each(|kept| add(kept.module, &mut list));
    lines(list.into_iter())
}

/// `MODULE NODE c10:235` for the modules that udev and systemd-tmpfiles make a device node for before they are loaded.
fn device_names(kept: &[Kept<'_>]) -> Vec<u8> {
    let nodes: Vec<String> = kept.iter().filter_map(|kept| device_name(kept.module)).collect();
    let head = (!nodes.is_empty()).then(|| "# Device nodes to trigger on-demand module loading.".to_owned());
    lines(head.into_iter().chain(nodes))
}

fn device_name(module: &Module) -> Option<String> {
    let name = module.aliases.iter().find_map(|alias| alias.strip_prefix("devname:"))?;
    let (letter, major, minor) = module.aliases.iter().find_map(|alias| {
        let (letter, numbers) = match alias.strip_prefix("char-major-") {
            Some(numbers) => ('c', numbers),
            None => ('b', alias.strip_prefix("block-major-")?),
        };
        let (major, minor) = numbers.split_once('-')?;
        Some((letter, major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    })?;
    Some(format!("{} {name} {letter}{major}:{minor}", module.name))
}

/// The alias as modprobe looks it up: `-` is `_` outside brackets; `None` when the brackets do not match.
fn underscored(alias: &str) -> Option<String> {
    let mut in_brackets = false;
    let mut text = String::with_capacity(alias.len());
    for character in alias.chars() {
        match character {
            '[' => in_brackets = true,
            ']' if !in_brackets => return None,
            ']' => in_brackets = false,
            _ => {}
        }
        text.push(if character == '-' && !in_brackets { '_' } else { character });
    }
    (!in_brackets).then_some(text)
}

fn lines(list: impl Iterator<Item = String>) -> Vec<u8> {
    list.flat_map(|line| (line + "\n").into_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Tree;
    use super::*;

    fn text(index: &ModuleIndex, keep: &[&str], names: FileNames, file: &str) -> String {
        let keep = |name: &ModuleName| keep.contains(&name.as_str());
        let files = write(index, keep, names).unwrap();
        let (_, bytes) = files.into_iter().find(|(name, _)| *name == file).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_reduced_index_names_only_what_is_kept() {
        let index = Tree::new(&[
            ("kernel/a.ko.xz", &["depends=b", "alias=x-y", "softdep=pre: c"]),
            ("kernel/b.ko.zst", &["depends=", "alias=z", "weakdep=w"]),
            ("kernel/c.ko", &["depends=", "alias=q"]),
        ])
        .index();
        let check = |names, file, expected| assert_eq!(text(&index, &["a", "b"], names, file), expected, "{file}");
        check(FileNames::AsInRoot, "modules.dep", "kernel/a.ko.xz: kernel/b.ko.zst\nkernel/b.ko.zst:\n");
        check(FileNames::Decompressed, "modules.dep", "kernel/a.ko: kernel/b.ko\nkernel/b.ko:\n");
        check(
            FileNames::AsInRoot,
            "modules.alias",
            "# Aliases extracted from modules themselves.\nalias x-y a\nalias z b\n",
        );
        check(
            FileNames::AsInRoot,
            "modules.softdep",
            "# Soft dependencies extracted from modules themselves.\nsoftdep a pre: c\n",
        );
        check(
            FileNames::AsInRoot,
            "modules.weakdep",
            "# Weak dependencies extracted from modules themselves.\nweakdep b w\n",
        );
        check(FileNames::AsInRoot, "modules.devname", "");
    }

    #[test]
    fn device_names_need_a_number() {
        let index = Tree::new(&[
            ("kernel/fuse.ko", &["alias=devname:fuse", "alias=char-major-10-229", "alias=fs-fuse"]),
            ("kernel/loop.ko", &["alias=block-major-7-*", "alias=devname:loop-control", "alias=char-major-10-237"]),
            ("kernel/none.ko", &["alias=devname:none"]),
        ])
        .index();
        assert_eq!(
            text(&index, &["fuse", "loop", "none"], FileNames::AsInRoot, "modules.devname"),
            "# Device nodes to trigger on-demand module loading.\nfuse fuse c10:229\nloop loop-control c10:237\n"
        );
    }

    #[test]
    fn brackets_of_an_alias_keep_their_dashes() {
        assert_eq!(underscored("a-b[0-9]-c").as_deref(), Some("a_b[0-9]_c"));
        assert_eq!(underscored("a]"), None);
        assert_eq!(underscored("a[0-9"), None);
    }
}
