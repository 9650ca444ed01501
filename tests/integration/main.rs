//! Integration tests, one target with a module per subject.

mod pack;
mod support;
