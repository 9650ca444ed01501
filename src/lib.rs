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
//! # Invariants
//!
//! - Nothing in the source root is ever executed or changed, and symlinks never lead out of it.
//! - [`objects`] and [`graph`] do no I/O, so they can be tested on bytes and on text.
//! - Every node has a reason; every manifest entry can be explained back to a target.
//! - Nothing is left out silently: a rule or a recipe that forbids a path gives its reason.
//! - Sizes add up: what the reports attribute equals what is on disk.
//! - Same input, same rules, same bytes out: sorted order everywhere, times set from one place.
//! - Only [`manifest`], [`recipe`] and [`rules`] are serialized; other types are free to change.

// Words: what all the others talk about.
pub mod path;
pub mod reason;
pub mod recipe;
pub mod text;
mod calendar;

// Reading: packages to a root, a root to its files, files to what they say.
pub mod root;
pub mod packages;
pub mod objects;
pub mod modules;
pub mod drivers;
pub mod fetch;

// Deciding: what a reference leads to, what the rules add, what a started image needs.
pub mod resolve;
pub mod graph;
pub mod rules;
pub mod init;
pub mod startup;

// Joining: the one place that sees all of the above.
pub mod trace;

// Writing.
pub mod output;
pub mod manifest;
pub mod ufs;
pub mod pack;
pub mod iso;

// Using the result.
pub mod explain;
pub mod sbom;
pub mod verify;
pub mod boot;

// Talking.
pub mod cli;

// The unit tests among those that testdata/cases.toml names.
#[cfg(test)]
#[path = "../tests/integration/cases.rs"]
mod cases;
