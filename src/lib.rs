//! minroot computes the smallest set of files that still does the job.

pub mod init;
pub mod boot;
pub mod manifest;
pub mod objects;
pub mod modules;
pub mod fetch;
pub mod manifest;
pub mod packages;
pub mod path;
pub mod reason;
pub mod recipe;
pub mod resolve;
pub mod root;
pub mod startup;
pub mod rules;
