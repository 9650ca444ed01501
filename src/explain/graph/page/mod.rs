//! The page: a manifest to look around in, as one HTML file that needs nothing else and asks no network for anything.
//!
//! It is made by hand. The libraries that draw treemaps (d3-hierarchy, ECharts, Plotly, foamtree) come with tens of
//! kilobytes to megabytes of script that would have to be bundled with npm before cargo could build, and none of them
//! answers what a manifest is asked: the shortest chain of reasons, what an entry retains, what breaks without it. Those
//! answers are most of the script; a treemap of its own on a canvas is a tenth of it.
//!
//! The script reads from top to bottom: `model.js` is the manifest with the same answers as
//! [`explain`](crate::explain::explain) and [`what_if`](crate::explain::size::what_if); `treemap.js` lays out and paints;
//! `dom.js` makes elements; `map.js` is the treemap on the page, `answers.js` the text beside it, and `page.js` joins
//! them. The files are plain JavaScript with types in JSDoc comments, and are put into the page one after the other, in
//! one scope. The page's own policy (Content-Security-Policy) names the digests of this
//! script and of the style, so nothing that a manifest contains can run; its names only ever become text nodes.

mod data;

use crate::manifest::Manifest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data::Data;
use sha2::{Digest, Sha256};
use std::io::{self, Write};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: [&str; 6] = [
    include_str!("model.js"),
    include_str!("treemap.js"),
    include_str!("dom.js"),
    include_str!("map.js"),
    include_str!("answers.js"),
    include_str!("page.js"),
];

/// Writes the page of a manifest. Equal manifests give equal bytes.
///
/// # Errors
/// Only those of `out`.
pub fn write(manifest: &Manifest, out: &mut dyn Write) -> io::Result<()> {
    let script = format!("\"use strict\";\n{{\n{}}}\n", SCRIPT.join("\n"));
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'",
        source(&script),
        source(STYLE)
    );
    let data = in_script(&serde_json::to_string(&Data::of(manifest))?);
    let mut rest = PAGE;
    for (mark, text) in [("policy", &policy[..]), ("style", STYLE), ("data", &data), ("script", &script)] {
        let mark = format!("<!--{mark}-->");
        let (before, after) = rest.split_once(&mark).expect("the page has each mark once, in this order");
        out.write_all(before.as_bytes())?;
        out.write_all(text.as_bytes())?;
        rest = after;
    }
    out.write_all(rest.as_bytes())
}

/// The digest of a script or a style, as a policy names it (<https://www.w3.org/TR/CSP3/#grammardef-hash-source>).
fn source(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

/// JSON that no HTML parser can take for the end of the script element, or for a comment in it. In JSON these characters
/// occur in strings only, where any character can be spelled by its number.
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}
