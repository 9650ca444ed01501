//! Integration tests, one target with a module per subject.

mod boot;
mod fetch;
mod init;
mod iso;
mod rules;
mod iso_boot;
mod pack;
mod modules;
mod manifest;
mod support;
mod verify;
