//! `minroot fetch`: prints the path of the filled root.

use super::args::Fetch;
use super::{Outcome, report, setting};
use crate::recipe::Recipe;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

pub fn run(options: &Fetch) -> anyhow::Result<Outcome> {
    let mut recipe = Recipe::load(&options.recipes)?;
    if options.smallest {
        recipe.choose_smallest();
    }
    let fetched = setting::fetch(&recipe, &options.fetching)?;
    report::step("fetch", format_args!("{} packages, {} downloaded", fetched.packages.len(), fetched.downloaded));
    let mut out = std::io::stdout().lock();
    out.write_all(fetched.root.as_os_str().as_bytes())?;
    out.write_all(b"\n")?;
    Ok(Outcome::Done)
}
