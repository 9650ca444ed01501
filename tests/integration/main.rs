//! Integration tests, one target with a module per subject.

mod iso;
mod iso_boot;
mod support;
