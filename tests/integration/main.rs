//! Integration tests, one target with a module per subject.

mod rules;
mod support;
