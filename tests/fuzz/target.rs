//! The fuzz target of every reader: each binary of this package is this file, and its name is that of the reader.

#![no_main]

mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::Reader::named(env!("CARGO_BIN_NAME")).check(bytes));
