//! How errors, hints, notes and findings look on a terminal.

use crate::iso::fat::FatError;
use crate::iso::iso9660::IsoError;
use crate::manifest::Missing;
use crate::output;
use crate::path::escaped;
use crate::reason::Priority;
use crate::recipe::{Accept, RecipeError};
use crate::rules::RulesError;
use crate::text::Style;
use crate::trace::Doubt;
use crate::verify::VerifyError;
use serde::Serialize;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// An error with what to do about it.
#[derive(Debug)]
struct Hinted {
    error: anyhow::Error,
    hint: String,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Hinted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// Adds what to type to an error.
pub fn with_hint(error: anyhow::Error, hint: impl Into<String>) -> anyhow::Error {
    Hinted { error, hint: hint.into() }.into()
}

pub fn with_optional_hint(error: anyhow::Error, hint: Option<impl Into<String>>) -> anyhow::Error {
    match hint {
        Some(hint) => with_hint(error, hint),
        None => error,
    }
}

/// Adds to an error what it says itself to do about it, for `map_err`.
pub fn hinted<E: Into<anyhow::Error>, H: Into<String>>(hint: impl Fn(&E) -> Option<H>) -> impl Fn(E) -> anyhow::Error {
    move |error| {
        let hint = hint(&error);
        with_optional_hint(error.into(), hint)
    }
}

/// Prints an error with its causes and its hint.
pub fn error(error: &anyhow::Error) {
    let style = style(&io::stderr());
    let mut text = format!("{} {error}\n", style.bad("error:"));
    for cause in error.chain().skip(1) {
        text.push_str(&format!("  caused by: {cause}\n"));
    }
    let hinted = error.chain().find_map(|cause| cause.downcast_ref::<Hinted>()).map(|hinted| &hinted.hint[..]);
    if let Some(hint) = hinted.or_else(|| error.chain().find_map(usual_hint)) {
        text.push_str(&format!("\n{} {hint}\n", style.remark("hint:")));
    }
    let _ = io::stderr().write_all(text.as_bytes());
}

/// What to do about a cause that is the same wherever it comes up.
fn usual_hint(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let recipe = cause.downcast_ref::<RecipeError>();
    if recipe.is_some_and(|error| !matches!(error, RecipeError::Read { .. })) {
        return Some("`minroot` comes with complete recipes in rules/recipes");
    }
    let of_verify = || cause.downcast_ref::<VerifyError>()?.hint();
    let of_rules = || cause.downcast_ref::<RulesError>()?.hint();
    let of_fat = || cause.downcast_ref::<FatError>()?.hint();
    let of_iso = || cause.downcast_ref::<IsoError>()?.hint();
    if let Some(hint) = of_verify().or_else(of_rules).or_else(of_fat).or_else(of_iso) {
        return Some(hint);
    }
    match cause.downcast_ref::<io::Error>()?.kind() {
        io::ErrorKind::NotFound => Some("is the path spelled right, and its directory there?"),
        io::ErrorKind::PermissionDenied => Some("`ls -l` says who may; run as that user, or name another path"),
        io::ErrorKind::DirectoryNotEmpty => Some("name an empty directory, or one that is not there yet"),
        io::ErrorKind::IsADirectory => Some("name a file in it"),
        io::ErrorKind::AlreadyExists => {
            Some("what is there is no directory: name one, or a path that is not there yet")
        }
        io::ErrorKind::ReadOnlyFilesystem => Some("write to another file system"),
        io::ErrorKind::NotADirectory => Some("a part of the path is no directory: `ls -l` says which"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("make room, or write to another file system; TMPDIR says where temporary files go")
        }
        _ => None,
    }
}

/// Prints the answer of a command: in JSON, or the text for people.
pub fn answer(json: Option<impl Serialize>, text: impl FnOnce(Style) -> String) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match json {
        Some(json) => {
            serde_json::to_writer_pretty(&mut out, &json)?;
            writeln!(out)?;
        }
        None => write!(out, "{}", text(style(&io::stdout())))?,
    }
    Ok(())
}

/// Set by `--quiet`: nothing but answers, errors and what is missing.
static QUIET: AtomicBool = AtomicBool::new(false);

/// From now on notes, steps and progress are not shown.
pub fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// A line for the user that is neither an answer nor an error.
pub fn note(text: &str) {
    if is_quiet() {
        return;
    }
    let _ = writeln!(io::stderr(), "{} {text}", style(&io::stderr()).remark("note:"));
}

/// One step of a long command, as it is done.
pub fn step(name: &str, text: impl fmt::Display) {
    if is_quiet() {
        return;
    }
    let _ = writeln!(io::stderr(), "{:>8}  {text}", name);
}

/// Colour on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
pub fn style(stream: &impl IsTerminal) -> Style {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted && stream.is_terminal() { Style::Color } else { Style::Plain }
}

/// Whether somebody closed the pipe we write to: not worth a word.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe))
}

/// Writes `content` to standard output for `-`, as it is to a device or a pipe, else beside `path` and then to it.
///
/// # Errors
/// The host's error; nothing half-written is left.
pub fn write_output(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    if path == Path::new("-") {
        return buffered(&mut io::stdout().lock(), content);
    }
    if output::is_no_file(path) {
        return buffered(&mut File::options().write(true).open(path)?, content);
    }
    let mut file = output::begin(path)?;
    buffered(&mut file, content)?;
    output::finish(file, path)
}

fn buffered(out: &mut dyn Write, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    content(&mut out)?;
    out.flush()
}

/// Tells what is missing; whether anything required is.
pub fn missing<'m>(missing: impl Iterator<Item = &'m Missing> + Clone) -> bool {
    missing.clone().for_each(one_missing);
    missing.into_iter().any(|missing| missing.priority == Priority::Required)
}

/// Tells what cannot be known, and the lines with which a recipe accepts it.
pub fn doubts(doubts: &[Doubt], accept: &Accept) {
    if doubts.is_empty() {
        return;
    }
    let style = style(&io::stderr());
    let mut text = String::new();
    for Doubt { key, what, why } in doubts {
        let what = if what == why { String::new() } else { format!(" `{}`", escaped(what.as_bytes())) };
        text.push_str(&format!("{} {key}{what}: {}\n", style.bad("not known:"), escaped(why.as_bytes())));
    }
    let lines = accept.lines(doubts.iter().map(|doubt| (&doubt.key[..], &doubt.what[..])));
    let hint = style.remark("hint:");
    text.push_str(&format!("\n{hint} a recipe accepts this with\n\n[accept]\n{}\n", lines.join("\n")));
    let _ = io::stderr().write_all(text.as_bytes());
}

fn one_missing(missing: &Missing) {
    let style = style(&io::stderr());
    let mut text = match missing.priority {
        Priority::Required => style.bad("missing:").to_string(),
        Priority::Recommended => style.remark("missing, recommended:").to_string(),
        Priority::Suggested => return,
    };
    text.push_str(&format!(" {}", missing.sentence()));
    text.push('\n');
    if missing.priority == Priority::Required {
        for probe in &missing.probes {
            text.push_str(&format!("    {} [{}]: {}\n", probe.path, probe.step, probe.outcome));
        }
    }
    let _ = io::stderr().write_all(text.as_bytes());
}
