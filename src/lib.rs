//! minroot computes the smallest set of files that still does the job.

pub mod fetch;
pub mod manifest;
pub mod packages;
pub mod path;
pub mod reason;
pub mod recipe;
pub mod root;
