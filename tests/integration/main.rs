//! Integration tests, one target with a module per subject.

mod boot;
mod support;
