//! Progress bars on standard error; none when it is no terminal.

use crate::fetch::{Progress, Step};
use indicatif::{ProgressBar, ProgressStyle};

/// Shows the steps of a fetch, one after the other.
pub struct FetchBar(ProgressBar);

impl FetchBar {
    pub fn new() -> FetchBar {
        FetchBar(ProgressBar::new(0))
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
        self.0.set_style(ProgressStyle::with_template(template).expect("a constant that is right"));
        self.0.set_message(name);
        self.0.set_length(total);
        self.0.set_position(0);
        self.0.tick();
    }

    fn advance_to(&self, done: u64) {
        self.0.set_position(done);
    }
}
