//! minroot computes the smallest set of files that still does the job, says why each file is in it, and turns the set
//! into an archive and a bootable image.
//!
//! ```text
//! root ─► objects ─► resolve ─► graph ◄── rules      trace repeats this until nothing new appears
//!                                 ├──► manifest ─► pack ─► iso ─► boot
//!                                 └──► explain · sbom · verify
//! ```
//!
//! The modules below are in the order of the data. Dependencies point one way: a module uses those above it.
//!
//! Words: a *target* is a path the user asks for; an *object* a file that refers to others; a *reference* a name an
//! object asks for, a *resolution* the path it led to, a *probe* one place tried on the way; the *manifest* is every
//! kept path with its reasons.
//!
//! # The library
//!
//! What is documented here is for other programs: trace a root, ask about the result, pack and verify it. The rest is
//! the command's own, public only because integration tests and benchmarks drive it, and free to change.
//!
//! Trace a root and list the files:
//!
//! ```
//! use minroot::{recipe::Recipe, root::Root, rules::RuleSet, trace::{Cache, Input, trace}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let directory = tempfile::tempdir()?;
//! std::fs::create_dir_all(directory.path().join("usr/bin"))?;
//! std::fs::write(directory.path().join("usr/bin/hello"), "#!/usr/bin/sh\necho hello\n")?;
//! std::os::unix::fs::symlink("busybox", directory.path().join("usr/bin/sh"))?;
//! std::fs::write(directory.path().join("usr/bin/busybox"), "the shell")?;
//! std::fs::write(directory.path().join("usr/bin/perl"), "needed by nobody")?;
//!
//! let (root, rules) = (Root::open(directory.path())?, RuleSet::load(&[])?);
//! let mut recipe = Recipe::default();
//! recipe.trace.targets.push("/usr/bin/hello".to_owned());
//! let cache = Cache::FromConfiguration;
//! let found = trace(Input { root: &root, rules: &rules, recipe: &recipe, rule_directories: &[], cache })?;
//! let manifest = found.manifest(&root, &rules)?;
//!
//! let paths: Vec<String> = manifest.entries.iter().map(|entry| entry.path.to_string()).collect();
//! assert_eq!(paths, ["/usr", "/usr/bin", "/usr/bin/busybox", "/usr/bin/hello", "/usr/bin/sh"]);
//! # Ok(())
//! # }
//! ```
//!
//! Ask a saved manifest why a file is in, without the root:
//!
//! ```
//! use minroot::explain::{Options, explain};
//! use minroot::{manifest::json, text::Style};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let manifest = json::read(&std::fs::read("testdata/manifest/small.json")?)?;
//! let answer = explain(&manifest, b"/dev/console", &Options::default());
//! assert!(answer.is_included());
//! assert!(answer.text(Style::Plain).to_string().contains("rule linux/dev-console"));
//! # Ok(())
//! # }
//! ```
//!
//! Pack it: the same bytes whenever and wherever it is done.
//!
//! ```
//! use minroot::manifest::json;
//! use minroot::pack::{Compression, Contents, Format, PackOptions, write_archive};
//! use minroot::root::Root;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use minroot::{recipe::Recipe, rules::RuleSet, trace::{Cache, Input, trace}};
//! # let directory = tempfile::tempdir()?;
//! # std::fs::write(directory.path().join("hello"), "hello")?;
//! # let (root, rules) = (Root::open(directory.path())?, RuleSet::load(&[])?);
//! # let mut recipe = Recipe::default();
//! # recipe.trace.targets.push("/hello".to_owned());
//! # let input = Input { root: &root, rules: &rules, recipe: &recipe, rule_directories: &[], cache: Cache::AsItIs };
//! # let saved = directory.path().join("hello.json");
//! # json::write(&trace(input)?.manifest(&root, &rules)?, std::fs::File::create(&saved)?)?;
//! # let (directory, manifest) = (directory.path(), saved);
//! let (root, manifest) = (Root::open(directory)?, json::read(&std::fs::read(manifest)?)?);
//! let options = PackOptions { format: Format::Tar, compression: Compression::Gzip, ..PackOptions::default() };
//! let report = write_archive(&manifest, &Contents::new(&root), &options, &directory.join("hello.tar.gz"))?;
//! assert_eq!(report.n_entries, manifest.entries.len());
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//!
//! - Nothing in the source root is ever executed or changed, and symlinks never lead out of it.
//! - `objects` and `graph` do no I/O, so they can be tested on bytes and on text.
//! - Every node has a reason; every manifest entry can be explained back to a target.
//! - Nothing is left out silently: a rule or a recipe that forbids a path gives its reason.
//! - Sizes add up: what the reports attribute equals what is on disk.
//! - Same input, same rules, same bytes out: sorted order everywhere, times set from one place.
//! - Only [`manifest`], [`recipe`] and [`rules`] are serialized; other types are free to change.

#![warn(missing_docs)]

// Words: what all the others talk about.
pub mod path;
pub mod reason;
pub mod recipe;
pub mod text;
mod calendar;
mod wildcard;

// Reading: packages to a root, a root to its files, files to what they say.
pub mod root;
#[doc(hidden)]
pub mod packages;
#[doc(hidden)]
pub mod objects;
#[doc(hidden)]
pub mod modules;
#[doc(hidden)]
pub mod drivers;
#[doc(hidden)]
pub mod fetch;

// Deciding: what a reference leads to, what the rules add, what a started image needs.
#[doc(hidden)]
pub mod resolve;
mod graph;
pub mod rules;
#[doc(hidden)]
pub mod init;
#[doc(hidden)]
pub mod startup;

// Joining: the one place that sees all of the above.
pub mod trace;

// Writing.
mod output;
pub mod manifest;
#[doc(hidden)]
pub mod ufs;
pub mod pack;
#[doc(hidden)]
pub mod iso;

// Using the result.
pub mod explain;
mod sbom;
pub mod verify;
#[doc(hidden)]
pub mod boot;

// Talking.
#[doc(hidden)]
pub mod cli;

// The unit tests among those that testdata/cases.toml names.
#[cfg(test)]
#[path = "../tests/integration/cases.rs"]
mod cases;
