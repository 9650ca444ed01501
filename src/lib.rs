//! minroot computes the smallest set of files that still does the job.

pub mod manifest;
pub mod pack;
pub mod path;
pub mod reason;
pub mod recipe;
pub mod root;
