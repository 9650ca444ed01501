//! glibc-hwcaps: variants of a library for newer processors, in subdirectories that the loader searches first.
//!
//! The processor is the one the image will run on, never the one that minroot runs on. The names are those of the
//! x86-64 psABI's micro-architecture levels (glibc `sysdeps/x86_64/dl-hwcaps_subdirs.c`).

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The least processor that an image must run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Cpu {
    /// The baseline of the architecture: no variants.
    #[default]
    Baseline,
    /// x86-64-v2, -v3 or -v4.
    X86_64(u8),
    /// Whatever it turns out to be: every variant is kept.
    Any,
}

/// A processor name that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no processor level: use x86-64, x86-64-v2, x86-64-v3, x86-64-v4 or any")]
pub struct UnknownCpu(String);

impl FromStr for Cpu {
    type Err = UnknownCpu;

    fn from_str(text: &str) -> Result<Cpu, UnknownCpu> {
        match text.strip_prefix("x86-64-").unwrap_or(text) {
            "x86-64" | "baseline" => Ok(Cpu::Baseline),
            "v2" => Ok(Cpu::X86_64(2)),
            "v3" => Ok(Cpu::X86_64(3)),
            "v4" => Ok(Cpu::X86_64(4)),
            "any" => Ok(Cpu::Any),
            _ => Err(UnknownCpu(text.to_owned())),
        }
    }
}

impl Cpu {
    /// The subdirectories of a library directory that such a processor's loader may take a library from, best first.
    pub fn subdirectories(self) -> &'static [&'static str] {
        const ALL: [&str; 3] = ["glibc-hwcaps/x86-64-v4", "glibc-hwcaps/x86-64-v3", "glibc-hwcaps/x86-64-v2"];
        match self {
            Cpu::Baseline => &[],
            Cpu::X86_64(level) => &ALL[usize::from(4_u8.saturating_sub(level)).min(ALL.len())..],
            Cpu::Any => &ALL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_includes_those_below_it() {
        let names = |text: &str| text.parse::<Cpu>().unwrap().subdirectories();
        assert_eq!(names("x86-64-v3"), ["glibc-hwcaps/x86-64-v3", "glibc-hwcaps/x86-64-v2"]);
        assert_eq!(names("v2"), ["glibc-hwcaps/x86-64-v2"]);
        assert_eq!(names("any").len(), 3);
        assert!(names("x86-64").is_empty());
        assert!("pentium".parse::<Cpu>().is_err());
    }
}
