//! minroot computes the smallest set of files that still does the job.

pub mod explain;
pub mod iso;
pub mod manifest;
pub mod pack;
pub mod path;
pub mod reason;
pub mod recipe;

pub mod fetch;
pub mod packages;
pub mod root;

pub mod objects;
pub mod modules;
pub mod resolve;
pub mod graph;
pub mod rules;
pub mod startup;
pub mod init;
pub mod trace;

pub mod manifest;
pub mod boot;
pub mod text;
