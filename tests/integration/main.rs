//! Integration tests, one target with a module per subject.

mod manifest;
mod support;
