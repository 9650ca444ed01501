//! `cargo run --release --example model-root -- --year 2015|2025 [--packages LIST] OUT` makes a model of an illumos
//! root in the directory `OUT`, for trying minroot on a machine without illumos.

#[path = "mod.rs"]
mod model_root;

use clap::{Parser, ValueEnum};
use model_root::{Options, Year};
use std::path::PathBuf;
use std::process::ExitCode;

/// Make a model of an illumos root: files that can be traced, but not run.
#[derive(Parser)]
#[command(name = "model-root")]
struct Arguments {
    /// The state of illumos: October 2015 or January 2025.
    #[arg(long)]
    year: YearArgument,
    /// Packages by IPS or Tribblix name, separated by commas; all of that year by default.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    packages: Vec<String>,
    /// Where to make it: an empty directory, or one that does not exist.
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum YearArgument {
    #[value(name = "2015")]
    Y2015,
    #[value(name = "2025")]
    Y2025,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let year = match arguments.year {
        YearArgument::Y2015 => Year::Y2015,
        YearArgument::Y2025 => Year::Y2025,
    };
    let options = Options { year, packages: arguments.packages };
    match model_root::generate(&options, &arguments.out) {
        Ok(summary) => {
            eprintln!(
                "{} packages: {} directories, {} files ({} objects, {} kernel modules), {} links, {} hard links",
                summary.packages,
                summary.directories,
                summary.files,
                summary.objects,
                summary.modules,
                summary.links,
                summary.hard_links
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {:#}", anyhow::Error::from(error));
            ExitCode::from(2)
        }
    }
}
