//! Integration tests, one target with a module per subject.

mod boot;
mod fetch;
mod init;
mod iso;
mod iso_boot;
mod pack;
mod modules;
mod manifest;
mod loader;
mod rules;
mod support;
mod verify;
