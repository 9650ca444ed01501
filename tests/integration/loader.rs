//! The glibc resolver against the real runtime linker: one test per case of a lookup that tools got wrong.

mod configuration;
mod fixture;
mod process;
mod scripts;
mod search;
