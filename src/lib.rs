//! minroot computes the smallest set of files that still does the job.

pub mod path;
pub mod reason;
pub mod recipe;

pub mod fetch;
pub mod packages;
pub mod root;

pub mod modules;
pub mod objects;
pub mod resolve;

pub mod graph;
pub mod init;
pub mod rules;
pub mod startup;
pub mod trace;

pub mod manifest;

pub mod iso;
pub mod pack;

pub mod boot;
pub mod cli;
pub mod explain;
pub mod text;
pub mod verify;
