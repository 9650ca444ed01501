//! Commands that try what was written: `verify` reads it as a machine would, `boot` starts one.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Verify {
    /// An ISO, an archive, a container image, a directory, or what `pxe` wrote.
    pub image: PathBuf,
    /// The manifest it was made from.
    #[arg(short, long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// The system that starts from it; else that of the manifest, or told by what is in the image.
    #[arg(long, value_enum)]
    pub system: Option<System>,
    /// Answer in JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum System {
    Linux,
    Illumos,
}

impl From<System> for crate::recipe::System {
    fn from(system: System) -> crate::recipe::System {
        match system {
            System::Linux => crate::recipe::System::Linux,
            System::Illumos => crate::recipe::System::Illumos,
        }
    }
}

#[derive(Debug, Args)]
pub struct Boot {
    /// The ISO.
    pub image: PathBuf,
    /// Recipes, for the check, the memory and the network.
    pub recipes: Vec<PathBuf>,
    #[command(flatten)]
    pub machine: Machine,
    /// Answer in JSON.
    #[arg(long)]
    pub json: bool,
}

/// The virtual machine.
#[derive(Debug, Args)]
pub struct Machine {
    /// Start with UEFI firmware instead of a BIOS.
    #[arg(long, help_heading = "Virtual machine")]
    pub uefi: bool,
    /// Give the machine the ISO as a disk instead of a CD.
    #[arg(long, help_heading = "Virtual machine")]
    pub disk: bool,
    /// Memory in MiB.
    #[arg(long, value_name = "MIB", help_heading = "Virtual machine")]
    pub memory: Option<u32>,
    /// kvm, tcg, or auto: kvm if it really works.
    #[arg(long, value_enum, default_value_t, help_heading = "Virtual machine")]
    pub accel: AccelName,
    /// Show the guest's console.
    #[arg(short, long, help_heading = "Virtual machine")]
    pub verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum AccelName {
    #[default]
    Auto,
    Kvm,
    Tcg,
}
