//! The image's PID 1: a freestanding program, compiled by `build.rs` and embedded in the library.
//!
//! A busybox script would need 1.9 MB of shell; this program needs a few kilobytes, because it is linked with nothing.
//! The surprise: its crate root is `main.rs` beside this file, and it is no part of the library. Its modules are
//! compiled here as well, `plan` because both sides share the format and the others for the tests and the linter.

pub mod plan;

#[cfg(all(test, target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[allow(dead_code, reason = "main.rs uses it")]
mod command;
#[cfg(all(test, target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[allow(dead_code, reason = "main.rs uses it")]
mod errno;
#[cfg(all(test, target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[allow(dead_code, reason = "main.rs uses it")]
mod message;
#[cfg(all(test, target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[allow(dead_code, reason = "main.rs uses it")]
mod network;
#[cfg(all(test, target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[allow(dead_code, reason = "main.rs uses it")]
mod run;
#[cfg(all(test, target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[allow(dead_code, reason = "main.rs uses it")]
mod syscall;
#[cfg(all(test, target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[allow(dead_code, reason = "main.rs uses it")]
mod system;

// Never compiled here, only named, so that `cargo fmt` finds the file.
#[cfg(any())]
mod main;

/// The init of the system that minroot was built for; empty where there is none.
static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));

/// The init for a Linux image of this architecture, in the kernel's word (`x86_64`, `aarch64`).
///
/// `None` unless minroot itself was built for Linux on that architecture, whose compiler made the init.
pub fn program(arch: &str) -> Option<&'static [u8]> {
    (arch == std::env::consts::ARCH && !PROGRAM.is_empty()).then_some(PROGRAM)
}
