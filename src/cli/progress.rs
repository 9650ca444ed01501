//! Progress on standard error; none when it is no terminal, and with `--quiet`.

use super::report;
use crate::fetch::{Progress, Step};
use crate::root::Root;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::io::{IsTerminal, stderr};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Shows the steps of a fetch, one after the other.
pub struct FetchBar(ProgressBar);

impl FetchBar {
    pub fn new() -> FetchBar {
        FetchBar(if report::is_quiet() { ProgressBar::hidden() } else { ProgressBar::new(0) })
    }

    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Progress for FetchBar {
    fn begin(&self, step: Step, total: u64) {
        let (name, template) = match step {
            Step::Update => ("package lists", "{msg:>16} {bar:30} {percent}%"),
            Step::Resolve => ("resolving", "{msg:>16} {spinner}"),
            Step::Download => ("downloading", "{msg:>16} {bar:30} {percent}%"),
            Step::Unpack => ("unpacking", "{msg:>16} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}"),
        };
        self.0.set_style(style(template));
        self.0.set_message(name);
        self.0.set_length(total);
        self.0.set_position(0);
        self.0.tick();
    }

    fn advance_to(&self, done: u64) {
        self.0.set_position(done);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a constant that is right")
}

/// How many files of the root have been opened since, and how fast; on the terminal until it is dropped.
pub struct Reading(ProgressBar);

/// Work that ends before the first redraw shows nothing.
const REDRAW: Duration = Duration::from_millis(200);

/// Shows that files of `root` are read, for the purpose that `name` says.
pub fn reading(name: &'static str, root: &Root) -> Reading {
    if report::is_quiet() || !stderr().is_terminal() {
        return Reading(ProgressBar::hidden());
    }
    let (opened, before) = (root.opened(), root.opened().load(Ordering::Relaxed));
    let files = move |state: &ProgressState, out: &mut dyn Write| {
        let files = opened.load(Ordering::Relaxed) - before;
        let per_second = files as f64 / state.elapsed().as_secs_f64().max(f64::EPSILON);
        let _ = write!(out, "{files} files, {per_second:.0}/s");
    };
    let bar = ProgressBar::new_spinner();
    bar.set_style(style("{msg:>16} {spinner} {files}").with_key("files", files));
    bar.set_message(name);
    bar.enable_steady_tick(REDRAW);
    Reading(bar)
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
