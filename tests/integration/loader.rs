//! The resolvers of glibc and musl against the real runtime linkers: one test per case of a lookup that tools got wrong.

mod configuration;
mod damage;
mod dlopen;
mod fixture;
mod links;
mod musl;
mod musl_dlopen;
mod name_service;
mod names;
mod plugins;
mod objects;
mod process;
mod scripts;
mod search;
mod system;
mod tokens;
mod tree;
