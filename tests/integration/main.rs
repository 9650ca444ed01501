//! Integration tests, one target with a module per subject.

mod init;
mod boot;
mod rules;
mod fetch;
mod iso;
mod support;
mod verify;
