//! Which accelerator runs the guest: KVM when it really works, QEMU's own translator (TCG) otherwise.
//!
//! That `/dev/kvm` can be opened says little. Inside another virtual machine KVM may be there and run a guest's kernel
//! in an instruction emulator: the guest hangs in its decompressor for minutes, or stops at `int3`, `cmpxchg16b` or
//! `xrstor` with "KVM internal error". So a [payload](payload) of 336 bytes does these things in the place of the
//! firmware and must be done within [`DEADLINE`]. Under TCG it takes 0.4 s; under such a KVM each of its steps fails
//! even when the others are taken out.

mod payload;

use super::error::first_complaint;
use super::qemu::{self, Qemu};
use super::{Accel, Accelerator};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the payload may take.
const DEADLINE: Duration = Duration::from_secs(3);
/// What QEMU ends with when the payload has written 0x21 to the exit device: `value << 1 | 1`.
const DONE: i32 = 0x21 << 1 | 1;

/// An accelerator, and why it is not KVM when KVM was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub accelerator: Accelerator,
    pub why_not_kvm: Option<String>,
}

/// Decides by trying. Only [`Accel::Auto`] takes time.
pub fn choose(wanted: Accel, program: &Path) -> Choice {
    let why_not_kvm = match wanted {
        Accel::Kvm => return Choice { accelerator: Accelerator::Kvm, why_not_kvm: None },
        Accel::Tcg => return Choice { accelerator: Accelerator::Tcg, why_not_kvm: None },
        Accel::Auto => why_not_kvm(program),
    };
    let accelerator = if why_not_kvm.is_some() { Accelerator::Tcg } else { Accelerator::Kvm };
    Choice { accelerator, why_not_kvm }
}

fn why_not_kvm(program: &Path) -> Option<String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Some("this machine is not Linux on x86-64".to_owned());
    }
    match std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        Ok(_) => run_payload(program, Accelerator::Kvm).err(),
        Err(error) => Some(format!("cannot open `/dev/kvm`: {error}")),
    }
}

/// Runs the payload; an error says in a few words what became of it.
fn run_payload(program: &Path, accelerator: Accelerator) -> Result<(), String> {
    let mut rom = tempfile::NamedTempFile::new().map_err(|error| format!("cannot write the test program: {error}"))?;
    rom.write_all(&payload::rom()).map_err(|error| format!("cannot write the test program: {error}"))?;
    let mut arguments = qemu::base_arguments(accelerator);
    arguments
        .extend(["-m", "16M", "-serial", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"].map(Into::into));
    arguments.extend(["-bios".into(), rom.path().into()]);

    let deadline = Instant::now() + DEADLINE;
    let mut qemu = Qemu::start(program, &arguments).map_err(|error| format!("cannot run QEMU: {error}"))?;
    loop {
        let step = deadline.min(Instant::now() + Duration::from_millis(50));
        match qemu.wait_until(step) {
            Ok(Some(status)) if status.code() == Some(DONE) => return Ok(()),
            Ok(Some(status)) => return Err(format!("{status}: {}", first_complaint(&qemu.messages()))),
            Ok(None) if qemu.kvm_stopped() => {
                return Err("a test program met an instruction that this machine's KVM cannot run".to_owned());
            }
            Ok(None) if Instant::now() >= deadline => {
                return Err(format!("a test program was not done after {} s", DEADLINE.as_secs()));
            }
            Ok(None) => {}
            Err(error) => return Err(format!("cannot wait for QEMU: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// QEMU, or `None` with a message where it is missing.
    fn program() -> Option<std::path::PathBuf> {
        let program = qemu::find().ok();
        if program.is_none() {
            assert!(std::env::var_os("CI").is_none(), "QEMU is missing: tests/install-tools.sh installs it");
            eprintln!("skipped: QEMU is missing");
        }
        program
    }

    #[test]
    fn the_payload_is_done_where_the_processor_works() {
        let Some(program) = program() else { return };
        assert_eq!(run_payload(&program, Accelerator::Tcg), Ok(()));
    }

    #[test]
    fn the_decision_takes_no_longer_than_the_deadline_allows() {
        let Some(program) = program() else { return };
        let start = Instant::now();
        let choice = choose(Accel::Auto, &program);
        eprintln!("{choice:?} after {:?}", start.elapsed());
        assert!(start.elapsed() < DEADLINE + Duration::from_secs(1));
        assert_eq!(choice.accelerator == Accelerator::Tcg, choice.why_not_kvm.is_some());
    }

    #[test]
    fn a_program_that_is_no_qemu_is_no_kvm_either() {
        assert!(run_payload(Path::new("/bin/false"), Accelerator::Tcg).is_err());
        assert!(run_payload(Path::new("/does/not/exist"), Accelerator::Tcg).is_err());
    }
}
