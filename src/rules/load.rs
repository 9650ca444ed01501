//! The text of a rule file to a [`RuleFile`]; everything that is wrong is reported at once, each with its place.
//!
//! The files inside the binary are read by every run and were checked by a test, so what only finds mistakes is left
//! out for them ([`built_in`]): compiling expressions that no object of this run may ever be asked for, reading examples.

use super::example::Given;
use super::pattern::{StringPattern, Template, check_symbols, last_line, path_glob};
use super::problem::{Problem, RulesError, instead_of};
use super::readers::{READERS, Reader};
use super::table::{Source, Table, Text};
use super::{Condition, Effects, Example, Mechanism, Reading, Rule, RuleFile};
use crate::path::RootPath;
use crate::reason::{Consequence, Priority, RuleId, Severity};
use crate::recipe::System;
use crate::root::alternatives;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use toml::de::DeTable;

const FILE_KEYS: &[&str] = &["summary", "mechanism", "systems", "why", "evidence", "rule", "example"];
const RULE_KEYS: &[&str] = &[
    "when",
    "needs",
    "programs",
    "libraries",
    "modules",
    "generate",
    "first_of",
    "any_of",
    "directories",
    "files",
    "links",
    "never",
    "reason",
    "priority",
    "consequence",
    "optional",
];
const CONSEQUENCE_KEYS: &[&str] = &["severity", "words"];
const CONDITION_KEYS: &[&str] = &[
    "object",
    "soname",
    "needed",
    "interpreter",
    "imports",
    "strings",
    "file",
    "reader",
    "exists",
    "included",
    "arch",
    "hardware",
    "environment",
];
const EXAMPLE_KEYS: &[&str] = &["given", "exists", "arch", "hardware", "environment", "adds"];
const SYSTEMS: &[(&str, System)] = &[("linux", System::Linux), ("illumos", System::Illumos)];
const PRIORITIES: &[(&str, Priority)] =
    &[("required", Priority::Required), ("recommended", Priority::Recommended), ("suggested", Priority::Suggested)];
const SEVERITIES: &[(&str, Severity)] =
    &[("panic", Severity::Panic), ("hang", Severity::Hang), ("warning", Severity::Warning), ("loss", Severity::Loss)];
/// Bound by every condition on an object: the directory it is in, its name there, and that without its last suffix.
const OBJECT_BINDINGS: &[&str] = &["object_directory", "object_name", "object_stem"];
/// How `adds` spells effects other than a path.
const ADDED_WORDS: &[&str] = &["library", "module", "generate", "never", "directory", "file", "link", "unresolved"];
/// Directories below `rules/` whose files have another format.
pub(super) const OTHER_FORMATS: &[&str] = &["hardware", "recipes"];

/// The rule files below a directory of this machine, each with its path from there without suffix as id.
///
/// # Errors
/// What cannot be read, and everything that is wrong in the files.
pub(super) fn directory(top: &Path) -> Result<Vec<RuleFile>, RulesError> {
    let mut paths = Vec::new();
    for path in entries(top)? {
        if is_directory(&path) {
            if !OTHER_FORMATS.iter().any(|name| path.file_name().is_some_and(|n| n == *name)) {
                toml_files(&path, &mut paths)?;
            }
        } else {
            paths.push(path);
        }
    }
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for path in paths.iter().filter(|path| is_toml(path)) {
        let text = std::fs::read_to_string(path).map_err(|source| RulesError::Read { path: path.clone(), source })?;
        let id = path.strip_prefix(top).unwrap_or(path).with_extension("");
        match file(&id.to_string_lossy(), &path.to_string_lossy(), &text) {
            Ok(file) => files.push(file),
            Err(wrong) => problems.extend(wrong),
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(RulesError::Wrong(problems)) }
}

fn toml_files(directory: &Path, found: &mut Vec<PathBuf>) -> Result<(), RulesError> {
    for path in entries(directory)? {
        if is_directory(&path) {
            toml_files(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// What is in a directory of this machine, sorted.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, RulesError> {
    let read = || -> std::io::Result<Vec<_>> {
        std::fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect()
    };
    let mut paths = read().map_err(|source| RulesError::Read { path: directory.to_owned(), source })?;
    paths.sort();
    Ok(paths)
}

/// A symlink to a directory is none, so that one that leads upwards does no harm.
fn is_directory(path: &Path) -> bool {
    path.is_dir() && !path.is_symlink()
}

fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}

/// Reads one rule file; `name` is what messages call it.
///
/// # Errors
/// Everything that is wrong, in the examples too, sorted by place.
pub(super) fn file(id: &str, name: &str, text: &str) -> Result<RuleFile, Vec<Problem>> {
    let source = Source::new(name, text);
    read(&source, text, |table| {
        table.tables("example").iter().for_each(|example| drop(read_example(&source, example)));
        read_file(id, &source, table)
    })
}

/// Reads a file inside the binary, which [`file`] finds nothing wrong with.
///
/// # Errors
/// What keeps it from being understood at all.
pub(super) fn built_in(id: &str, name: &str, text: &str) -> Result<RuleFile, Vec<Problem>> {
    let source = Source::trusted(name, text);
    let without_examples = text.find("\n[[example]]").map_or(text, |end| &text[..end]);
    read(&source, without_examples, |table| RuleFile { built_in: true, ..read_file(id, &source, table) })
}

/// The examples of a file.
///
/// # Errors
/// Everything that is wrong in the file, sorted by place.
pub(super) fn examples(file: &RuleFile) -> Result<Vec<Example>, Vec<Problem>> {
    let source = Source::new(&file.file, &file.text);
    read(&source, &file.text, |table| {
        read_file(&file.id.0, &source, table);
        table.tables("example").iter().map(|example| read_example(&source, example)).collect()
    })
}

/// Parses `text`, the source's or its beginning, and hands the table on.
fn read<T>(source: &Source<'_>, text: &str, understand: impl FnOnce(&Table<'_>) -> T) -> Result<T, Vec<Problem>> {
    let parsed = DeTable::parse(text);
    let understood = match &parsed {
        Ok(entries) => Some(understand(&Table::new(source, entries.get_ref(), 0))),
        Err(error) => {
            source.problem(error.span().map_or(0, |span| span.start), error.message(), None);
            None
        }
    };
    let mut problems = source.problems.take();
    problems.sort();
    match understood {
        Some(understood) if problems.is_empty() => Ok(understood),
        _ => Err(problems),
    }
}

fn read_file(id: &str, source: &Source<'_>, table: &Table<'_>) -> RuleFile {
    table.only(FILE_KEYS);
    let owned = |text: Option<Text<'_>>| text.map(|text| text.text.to_owned()).unwrap_or_default();
    let systems = table.list("systems");
    if systems.is_empty() {
        source.problem(table.start_of("systems"), "`systems` is missing or empty", Some(known(SYSTEMS)));
    }
    let rules = table.tables("rule");
    if rules.is_empty() && !table.has("rule") {
        source.problem(0, "the file has no [[rule]]", None);
    }
    RuleFile {
        id: RuleId(id.to_owned()),
        file: source.file.to_owned(),
        text: source.text.to_owned(),
        built_in: false,
        summary: owned(table.required_text("summary")),
        mechanism: table.choice("mechanism", Mechanism::WORDS),
        systems: systems.into_iter().filter_map(|system| table.chosen(system, SYSTEMS)).collect(),
        why: owned(table.text("why")),
        evidence: table.list("evidence").iter().map(|text| text.text.to_owned()).collect(),
        rules: rules.iter().map(|rule| read_rule(source, rule)).collect(),
    }
}

fn known<T>(words: &[(&str, T)]) -> String {
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    format!("known here: {}", words.join(", "))
}

fn read_rule(source: &Source<'_>, table: &Table<'_>) -> Rule {
    table.only(RULE_KEYS);
    let when = table.table("when").map(|when| read_condition(source, &when)).unwrap_or_default();
    let name = |text: Text<'_>| Template::new(text.text, source.place(text.start));
    let path = |text: Text<'_>| read_path_template(source, text);
    let names = |key: &str| table.list(key).into_iter().map(name).collect();
    let paths = |key: &str| table.list(key).into_iter().map(path).collect();
    let lists = |key: &str| table.lists(key).into_iter().map(|list| list.into_iter().map(path).collect()).collect();
    let effects = Effects {
        needs: paths("needs"),
        programs: names("programs"),
        libraries: names("libraries"),
        modules: names("modules"),
        generate: names("generate"),
        first_of: lists("first_of"),
        any_of: lists("any_of"),
        directories: paths("directories"),
        files: paths("files"),
        links: (table.table("links").map(|links| links.texts()).unwrap_or_default().into_iter())
            .map(|(link, target)| (path(link), name(target)))
            .collect(),
        never: paths("never"),
        reason: table.text("reason").map(|reason| reason.text.to_owned()).unwrap_or_default(),
    };
    if !source.is_trusted {
        check_effects(source, table, &when, &effects);
        check_bindings(source, table, &when, &effects);
    }
    let consequence = table.table("consequence").and_then(|table| read_consequence(&table));
    if consequence.is_some() && table.has("priority") {
        let hint = Some("take `priority` out".to_owned());
        source.problem(table.start_of("priority"), "the priority follows from the consequence", hint);
    }
    let given = table.choice("priority", PRIORITIES).unwrap_or_default();
    Rule {
        line: source.place(table.start()).0,
        when,
        effects,
        priority: consequence.as_ref().map_or(given, |consequence| consequence.severity.priority()),
        consequence,
        optional: table.flag("optional"),
    }
}

fn read_consequence(table: &Table<'_>) -> Option<Consequence> {
    table.only(CONSEQUENCE_KEYS);
    let severity = table.required_text("severity").and_then(|text| table.chosen(text, SEVERITIES));
    let words = table.required_text("words").map(|words| words.text.into());
    Some(Consequence { severity: severity?, words: words? })
}

fn read_condition(source: &Source<'_>, table: &Table<'_>) -> Condition {
    let reader = table.text("reader").and_then(|text| find_reader(source, text));
    let filters = reader.map_or(&[][..], |reader| reader.bindings);
    let known: Vec<&str> = CONDITION_KEYS.iter().chain(filters).copied().collect();
    table.only(&known);
    let text = |key| table.text(key).map(|text| text.text.to_owned());
    let glob = |key| table.text(key).and_then(|text| read_glob(source, text));
    let path = |key| table.text(key).and_then(|text| read_path(source, text));
    let when = Condition {
        object: glob("object"),
        soname: glob("soname"),
        needed: glob("needed"),
        interpreter: glob("interpreter"),
        imports: table.text("imports").and_then(|text| read_symbols(source, text)),
        strings: table.text("strings").and_then(|text| read_strings(source, text)),
        reading: reader.map(|reader| Reading {
            file: path("file"),
            reader,
            filter: filters.iter().filter_map(|name| Some(((*name).to_owned(), text(name)?))).collect(),
        }),
        exists: glob("exists"),
        included: glob("included"),
        arch: text("arch"),
        hardware: text("hardware"),
        environment: table.text("environment").and_then(|text| read_strings(source, text)),
    };
    if !source.is_trusted {
        check_condition(source, table, &when);
    }
    when
}

/// Conditions that make no sense without another one.
fn check_condition(source: &Source<'_>, table: &Table<'_>, when: &Condition) {
    let object_hint = || Some("add one of object, soname, needed, interpreter, imports".to_owned());
    if table.has("strings") && !when.has_object() {
        let message = "`strings` without a condition on the object would read every file";
        source.problem(table.start_of("strings"), message, object_hint());
    }
    if table.has("file") && !table.has("reader") {
        let readers: Vec<&str> = READERS.iter().map(|reader| reader.name).collect();
        let hint = format!("known readers: {}; or use `exists`", readers.join(", "));
        source.problem(table.start_of("file"), "`file` takes a `reader`", Some(hint));
    }
    if table.has("reader") && !table.has("file") && !when.has_object() {
        source.problem(table.start_of("reader"), "`reader` takes a `file`", object_hint());
    }
}

fn check_effects(source: &Source<'_>, table: &Table<'_>, when: &Condition, effects: &Effects) {
    if effects.templates().next().is_none() {
        let hint = "add one of needs, programs, libraries, modules, generate, first_of, any_of, directories, files, \
                    links, never";
        source.problem(table.start(), "the rule has no effect", Some(hint.to_owned()));
    }
    if !effects.libraries.is_empty() && !when.has_object() {
        let message = "`libraries` are looked up for an object, and no condition names one";
        source.problem(table.start_of("libraries"), message, Some("use `needs` with a path".to_owned()));
    }
    match (effects.never.is_empty(), effects.reason.trim().is_empty()) {
        (false, true) => {
            let hint = Some("add reason = \"…\"".to_owned());
            source.problem(table.start_of("never"), "`never` takes a `reason`", hint);
        }
        (true, false) => source.problem(table.start_of("reason"), "`reason` belongs to `never`", None),
        _ => {}
    }
    for (key, lists) in [("first_of", &effects.first_of), ("any_of", &effects.any_of)] {
        if lists.iter().any(Vec::is_empty) {
            source.problem(table.start_of(key), "an alternative is empty", Some("use optional = true".to_owned()));
        }
    }
}

/// A template that must be able to become an absolute path or a glob over such.
fn read_path_template(source: &Source<'_>, text: Text<'_>) -> Template {
    let template = Template::new(text.text, source.place(text.start));
    let is_fixed = template.bindings().next().is_none();
    let begins_with_binding = text.text.starts_with('{') && !is_fixed;
    if !text.text.starts_with('/') && !begins_with_binding {
        let hint = Some("a library found by name goes into `libraries`".to_owned());
        source.problem(text.start, format!("`{}` is not an absolute path", text.text), hint);
    } else if is_fixed && !source.is_trusted {
        is_glob(source, text);
    }
    template
}

/// Every `{name}` must be bound by the rule's conditions, by one of them only.
fn check_bindings(source: &Source<'_>, table: &Table<'_>, when: &Condition, effects: &Effects) {
    let strings = when.strings.as_ref().map(StringPattern::binding_names).unwrap_or_default();
    let environment = when.environment.as_ref().map(StringPattern::group_names).unwrap_or_default();
    let reader = when.reading.as_ref().map_or(&[][..], |reading| reading.reader.bindings);
    let object = if when.has_object() { OBJECT_BINDINGS } else { &[] };
    let binders =
        [("`strings`", &strings[..]), ("`environment`", &environment), ("the reader", reader), ("the object", object)];
    let mut known: BTreeMap<&str, &str> = BTreeMap::new();
    for (binder, names) in binders {
        for name in names {
            if let Some(other) = known.insert(name, binder) {
                let message = format!("`{name}` is bound by {other} and by {binder}");
                source.problem(table.start_of("when"), message, None);
            }
        }
    }
    let known: Vec<&str> = known.into_keys().collect();
    for template in effects.templates() {
        for name in template.bindings().filter(|name| !known.contains(name)) {
            let hint = match known.is_empty() {
                true => "only `strings`, `environment`, `reader` and conditions on an object bind names".to_owned(),
                false => instead_of(name, &known),
            };
            let file = source.file.to_owned();
            let message = format!("nothing binds `{{{name}}}`");
            let problem = Problem { file, line: template.line, column: template.column, message, hint: Some(hint) };
            source.problems.borrow_mut().push(problem);
        }
    }
}

fn read_example(source: &Source<'_>, table: &Table<'_>) -> Example {
    table.only(EXAMPLE_KEYS);
    for key in ["given", "adds"] {
        if !table.has(key) {
            source.problem(table.start(), format!("`{key}` is missing"), None);
        }
    }
    let mut given = BTreeMap::new();
    for (path, description) in table.table("given").map(|given| given.texts()).unwrap_or_default() {
        let value = Given::parse(description.text);
        if let Err((message, hint)) = &value {
            source.problem(description.start, message, hint.clone());
        }
        if let (Some(path), Ok(value)) = (read_path(source, path), value) {
            given.insert(path, value);
        }
    }
    let adds = table.list("adds");
    for added in &adds {
        let word = added.text.split_once(' ').map_or("", |(word, _)| word);
        if !added.text.starts_with('/') && !ADDED_WORDS.contains(&word) {
            let hint = format!("write a path, or a name after one of: {}", ADDED_WORDS.join(", "));
            source.problem(added.start, format!("cannot understand `{}`", added.text), Some(hint));
        }
    }
    Example {
        line: source.place(table.start()).0,
        given,
        exists: table.list("exists").into_iter().filter_map(|text| read_path(source, text)).collect(),
        arch: table.text("arch").map(|text| text.text.to_owned()).unwrap_or_default(),
        hardware: table.list("hardware").iter().map(|text| text.text.to_owned()).collect(),
        environment: (table.table("environment").map(|table| table.texts()).unwrap_or_default().into_iter())
            .flat_map(|(name, value)| format!("{}={}\0", name.text, value.text).into_bytes())
            .collect(),
        adds: adds.iter().map(|text| text.text.to_owned()).collect::<BTreeSet<_>>(),
    }
}

fn find_reader(source: &Source<'_>, text: Text<'_>) -> Option<&'static Reader> {
    let found = READERS.iter().find(|reader| reader.name == text.text);
    if found.is_none() {
        let names: Vec<&str> = READERS.iter().map(|reader| reader.name).collect();
        source.problem(text.start, format!("unknown reader `{}`", text.text), Some(instead_of(text.text, &names)));
    }
    found
}

fn read_path(source: &Source<'_>, text: Text<'_>) -> Option<RootPath> {
    let path = RootPath::new(text.text);
    if let Err(error) = &path {
        source.problem(text.start, format!("`{}`: {error}", text.text), None);
    }
    path.ok()
}

fn read_glob(source: &Source<'_>, text: Text<'_>) -> Option<String> {
    (source.is_trusted || is_glob(source, text)).then(|| text.text.to_owned())
}

/// Whether the text is a glob; what is no glob is noted.
fn is_glob(source: &Source<'_>, text: Text<'_>) -> bool {
    let wrong = match path_glob(text.text) {
        _ if text.text.split('/').any(|component| component == "..") => "the path has a `..` component".to_owned(),
        Err(error) => error.kind().to_string(),
        Ok(_) if alternatives(text.text).is_empty() => "too many alternatives".to_owned(),
        Ok(_) => return true,
    };
    source.problem(text.start, format!("`{}`: {wrong}", text.text), None);
    false
}

fn read_strings(source: &Source<'_>, text: Text<'_>) -> Option<StringPattern> {
    let pattern = StringPattern::new(text.text);
    match source.is_trusted {
        true => Some(pattern),
        false => match pattern.compile() {
            Ok(_) => Some(pattern),
            Err(error) => {
                wrong_pattern(source, text, &last_line(&error));
                None
            }
        },
    }
}

fn read_symbols(source: &Source<'_>, text: Text<'_>) -> Option<String> {
    if text.text.starts_with('^') || text.text.ends_with('$') {
        let hint = Some(format!("write `{}`", text.text.trim_start_matches('^').trim_end_matches('$')));
        source.problem(text.start, "`imports` matches whole names anyway", hint);
    }
    if !source.is_trusted
        && let Err(error) = check_symbols(text.text)
    {
        wrong_pattern(source, text, &error);
        return None;
    }
    Some(text.text.to_owned())
}

fn wrong_pattern(source: &Source<'_>, text: Text<'_>, error: &str) {
    source.problem(text.start, format!("`{}`: {error}", text.text), None);
}

#[cfg(test)]
mod tests;
