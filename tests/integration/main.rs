//! Integration tests, one target with a module per subject.

mod boot;
mod cli;
mod command;
mod determinism;
mod fetch;
mod illumos;
mod illumos_packages;
mod init;
mod iso;
mod iso_boot;
mod manifest;
mod loader;
mod model_root;
mod modules;
mod node;
mod pack;
mod pack_ufs;
mod readers;
mod rules;
mod small_root;
mod support;
mod verify;
mod transcripts;
mod ufs;
