//! Integration tests, one target with a module per subject.

mod fetch;
mod support;
