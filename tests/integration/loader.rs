//! The glibc resolver against the real runtime linker: one test per case of a lookup that tools got wrong.

mod configuration;
mod damage;
mod dlopen;
mod fixture;
mod objects;
mod process;
mod scripts;
mod search;
mod system;
mod tree;
