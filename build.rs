//! Compiles the init of Linux images (`src/init/`) with the compiler that builds minroot, for the library to embed.
//!
//! It is no crate of its own so that `cargo install minroot` is all anyone needs. Nothing of the builder's
//! surroundings gets in: flags of the environment (RUSTFLAGS) are not passed on, paths are replaced, symbols and
//! build identifiers left out. So the same compiler makes the same bytes in any directory.

use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCES: &str = "src/init";
const EDITION: &str = "2024";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SOURCES}");
    let output = PathBuf::from(variable("OUT_DIR")).join("init");
    let has_init = variable("CARGO_CFG_TARGET_OS") == "linux"
        && matches!(&*variable("CARGO_CFG_TARGET_ARCH"), "x86_64" | "aarch64");
    if has_init {
        compile(&output);
    } else {
        // minroot traces and packs on other systems too; it only says so when an image needs the init.
        std::fs::write(&output, b"").expect("cannot write to OUT_DIR");
    }
}

fn compile(output: &Path) {
    // The remapped path is in panic locations, which the optimizer mostly removes; compiling from the package's
    // directory keeps the rest of the path the same.
    let directory = variable("CARGO_MANIFEST_DIR");
    let mut command = Command::new(variable("RUSTC"));
    command
        .current_dir(&directory)
        .arg(format!("{SOURCES}/main.rs"))
        .args(["--crate-name", "init", "--crate-type", "bin", "--edition", EDITION, "--target", &variable("TARGET")])
        .arg(format!("--remap-path-prefix={directory}=minroot"))
        .args(["-C", "panic=abort", "-C", "opt-level=z", "-C", "lto=fat", "-C", "codegen-units=1"])
        .args(["-C", "relocation-model=static", "-C", "target-feature=+crt-static", "-C", "strip=symbols"])
        .args(["-C", "force-unwind-tables=no"])
        .arg("-Clink-args=-nostartfiles -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noseparate-code")
        .arg("-o")
        .arg(output);
    // For musl, rustc links start files of its own, and -nostartfiles does not hold it back.
    if variable("CARGO_CFG_TARGET_ENV") == "musl" {
        command.args(["-C", "link-self-contained=no"]);
    }
    // A cross build names its linker; otherwise it is rustc's own choice, as for minroot itself.
    if let Ok(linker) = std::env::var("RUSTC_LINKER") {
        command.arg(format!("-Clinker={linker}"));
    }
    let status = command.status().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    assert!(status.success(), "cannot compile the init of Linux images: {command:?} ended with {status}");
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|error| panic!("cargo sets {name}: {error}"))
}
