//! Whatever bytes a reader is given, it ends with an answer or an error: no panic, no hang, no memory out of proportion.
//!
//! These are the fuzz targets of `tests/fuzz`, here with a fixed number of inputs, the same ones in every run, because
//! libFuzzer wants all of minroot compiled a second time. `MINROOT_INPUTS=FACTOR` gives so many times as many inputs, and
//! others. With `MINROOT_CORPUS=DIRECTORY` the seeds are written there, for libFuzzer to begin with.

mod mutate;
#[path = "../../fuzz/readers.rs"]
mod readers;
mod seeds;

use mutate::{Random, damaged, repeated};
use readers::{READERS, Reader};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// No input of these sizes takes more than a fraction of it, even on a machine with much else to do.
const TOO_LONG: Duration = Duration::from_secs(20);

/// Inputs of each reader with something in them over and over.
const N_REPEATED: u64 = 8;

/// Gives a reader its seeds, then damaged variants of them.
fn check(name: &str, n_inputs: u64) {
    let reader = Reader::named(name);
    let seeds = seeds::of(name);
    if let Some(corpus) = std::env::var_os("MINROOT_CORPUS") {
        write_corpus(&Path::new(&corpus).join(name), &seeds);
    }
    for seed in &seeds {
        check_input(reader, seed);
    }
    let factor = std::env::var("MINROOT_INPUTS").map_or(1, |factor| factor.parse().expect("a number"));
    let mut random = Random::new(factor);
    for _ in 0..n_inputs * factor {
        check_input(reader, &damaged(&mut random, &seeds));
    }
    for _ in 0..N_REPEATED * factor {
        check_input(reader, &repeated(&mut random, &seeds));
    }
}

/// Keeps the input that fails, named in the message, for `cargo fuzz` and for a debugger.
fn check_input(reader: &Reader, input: &[u8]) {
    let start = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| reader.check(input)));
    let elapsed = start.elapsed();
    if outcome.is_err() || elapsed > TOO_LONG {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("failed-{}", reader.name));
        fs::write(&kept, input).unwrap();
        panic!("{}: {:?} after {elapsed:?} with the bytes in {}", reader.name, outcome.is_err(), kept.display());
    }
}

fn write_corpus(directory: &Path, seeds: &[Vec<u8>]) {
    fs::create_dir_all(directory).unwrap();
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(directory.join(format!("seed-{number:03}")), seed).unwrap();
    }
}

#[test]
fn every_reader_has_its_fuzz_target() {
    let package: toml::Table = toml::from_str(include_str!("../../fuzz/Cargo.toml")).unwrap();
    let targets: Vec<_> = package["bin"].as_array().unwrap().iter().map(|target| &target["name"]).collect();
    let readers: Vec<_> = READERS.iter().map(|reader| toml::Value::from(reader.name)).collect();
    assert_eq!(targets, readers.iter().collect::<Vec<_>>());
}

#[test]
fn elf_objects_of_any_bytes_are_read_or_refused() {
    check("elf", 8_000);
}

#[test]
fn kernel_modules_of_any_bytes_are_read_or_refused() {
    check("kernel-module", 10_000);
}

#[test]
fn module_indexes_of_any_bytes_are_read_or_refused() {
    check("module-index", 150);
}

#[test]
fn scripts_and_configuration_of_any_bytes_are_read() {
    check("script", 2_000);
}

#[test]
fn databases_of_any_bytes_are_read_or_refused() {
    check("databases", 300);
}

#[test]
fn packages_of_any_bytes_are_unpacked_or_refused() {
    check("package", 250);
}

#[test]
fn rules_of_any_bytes_are_read_or_refused() {
    check("rules", 250);
}

#[test]
fn recipes_of_any_bytes_are_read_or_refused() {
    check("recipe", 1_000);
}

#[test]
fn manifests_of_any_bytes_are_read_or_refused() {
    check("manifest", 2_000);
}

#[test]
fn cpio_archives_of_any_bytes_are_read_or_refused() {
    check("cpio", 800);
}

#[test]
fn iso_images_of_any_bytes_are_read_or_refused() {
    check("iso9660", 300);
}

#[test]
fn fat_volumes_of_any_bytes_are_read_or_refused() {
    check("fat", 5_000);
}

#[test]
fn ufs_images_of_any_bytes_are_read_or_refused() {
    check("ufs", 80);
}

#[test]
fn whole_images_of_any_bytes_are_judged() {
    check("image", 60);
}
