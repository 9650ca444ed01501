//! Integration tests, one target with a module per subject.

mod modules;
mod support;
