//! Runs an image under QEMU and checks it as its recipe says.
//!
//! ```text
//! BootRequest ─► accel (does KVM work?) ─► qemu (command line) ─► console ─► check ◄─ http
//!                                                                              └─► BootReport or BootFailure
//! ```
//!
//! The one thing that surprises: QEMU's user networking accepts connections to a forwarded port from the start, long
//! before the guest listens, so a connection proves nothing and an early request only waits for retransmissions. The
//! guest's init says on the console when it starts the server; requests begin then.

mod accel;
mod check;
mod console;
mod error;
mod http;
mod network;
mod process;
mod qemu;

pub use error::{BootError, BootFailure, FailureKind, Wanted};
pub use http::Reply;
pub use network::NetworkError;

use crate::recipe::{Check, HttpCheck, Network};
use network::GuestNetwork;
use qemu::{Forward, Machine, Qemu};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

/// How often another port is tried when the one that was free is taken before QEMU gets it.
const MAX_PORT_ATTEMPTS: u32 = 5;

/// What to run, and what it must show.
pub struct BootRequest<'a> {
    pub medium: Medium,
    pub firmware: Firmware,
    /// MiB.
    pub memory: u32,
    pub nic: Nic,
    pub accel: Accel,
    /// The guest's address; that of QEMU's DHCP server, 10.0.2.15, when absent.
    pub network: Option<&'a Network>,
    /// An empty check wants the line `minroot: starting`, which the guest's init prints before the first command.
    pub check: &'a Check,
    /// Is told what happens while it happens, on the calling thread.
    pub observer: &'a dyn Fn(Event<'_>),
}

/// What the machine boots from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Medium {
    Cd(PathBuf),
    /// The image as a disk; it is not written.
    Disk(PathBuf),
    /// A kernel and its initramfs, without a boot loader.
    Kernel {
        kernel: PathBuf,
        initrd: PathBuf,
        /// The kernel's command line.
        args: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Firmware {
    #[default]
    Bios,
    Uefi,
}

/// The guest's network card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nic {
    #[default]
    VirtioNet,
    E1000,
}

/// How the accelerator is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accel {
    /// KVM when it works, TCG otherwise.
    #[default]
    Auto,
    Tcg,
    /// KVM without trying it first.
    Kvm,
}

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    Kvm,
    Tcg,
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The guest printed this line; escape sequences are gone.
    Console(&'a str),
    /// A line for the user, such as why KVM is not used.
    Note(&'a str),
}

/// A guest that did what was wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct BootReport {
    /// From the start of QEMU to the first byte of the reply, or to the line of the console that was wanted.
    pub seconds: f64,
    /// The reply, when the check asks for one.
    pub reply: Option<Reply>,
    pub accelerator: Accelerator,
    pub firmware: Firmware,
    pub medium: Medium,
    /// MiB.
    pub memory: u32,
}

/// Whether there is a QEMU to boot with.
///
/// # Errors
/// [`BootError::NoQemu`], whose hint says what to install.
pub fn is_available() -> Result<(), BootError> {
    qemu::find().map(drop)
}

/// Boots what is asked for and waits until the check is fulfilled or cannot be any more. QEMU has ended on return.
///
/// The time of the check, 120 s when it does not say, starts with QEMU.
///
/// # Errors
/// [`BootError::Failed`] when the guest ran and did not do what was wanted; any other when that could not be found out.
pub fn boot(request: &BootRequest<'_>) -> Result<BootReport, BootError> {
    let program = qemu::find()?;
    let uefi_code = qemu::find_firmware(request.firmware, &program)?;
    let network = request.network.map(GuestNetwork::of).transpose()?.unwrap_or_default();
    request.medium.check_readable()?;
    request.check.http.iter().try_for_each(check_path)?;

    let choice = accel::choose(request.accel, &program);
    if let Some(why) = &choice.why_not_kvm {
        (request.observer)(Event::Note(&format!("KVM does not work here ({why}): using TCG, which is slower")));
    }
    let run = |accelerator| {
        let machine = Machine {
            medium: &request.medium,
            uefi_code: uefi_code.as_deref(),
            memory: request.memory,
            nic: request.nic,
            accelerator,
            network,
            forward: None,
        };
        run_on_free_port(request, &program, machine)
    };
    match run(choice.accelerator) {
        // The guest does what the probe did not think of.
        Err(BootError::Failed(failure))
            if request.accel == Accel::Auto && matches!(failure.kind, FailureKind::KvmStopped) =>
        {
            (request.observer)(Event::Note("KVM cannot run this guest: starting again with TCG, which is slower"));
            run(Accelerator::Tcg)
        }
        outcome => outcome,
    }
}

/// Runs the machine, with another port when QEMU finds that the one chosen is taken by now.
fn run_on_free_port(
    request: &BootRequest<'_>,
    program: &Path,
    mut machine: Machine<'_>,
) -> Result<BootReport, BootError> {
    let mut attempt = 1;
    loop {
        if let Some(http) = &request.check.http {
            let host_port = qemu::free_port().map_err(BootError::NoPort)?;
            machine.forward = Some(Forward { host_port, guest_port: http.port });
        }
        match run_once(request, program, &machine) {
            Err(BootError::Refused { messages, .. })
                if qemu::is_port_taken(&messages) && attempt < MAX_PORT_ATTEMPTS =>
            {
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

fn run_once(request: &BootRequest<'_>, program: &Path, machine: &Machine<'_>) -> Result<BootReport, BootError> {
    let qemu = Qemu::start(program, &machine.arguments())
        .map_err(|source| BootError::Run { program: program.to_owned(), source })?;
    let fulfilled = check::watch(qemu, request.check, machine.forward, request.observer)?;
    Ok(BootReport {
        seconds: fulfilled.after.as_secs_f64(),
        reply: fulfilled.reply,
        accelerator: machine.accelerator,
        firmware: request.firmware,
        medium: request.medium.clone(),
        memory: request.memory,
    })
}

/// The path becomes part of a request line, which a blank or a line end would break.
fn check_path(http: &HttpCheck) -> Result<(), BootError> {
    let is_sound = http.path.starts_with('/') && http.path.bytes().all(|byte| byte.is_ascii_graphic());
    if is_sound { Ok(()) } else { Err(BootError::HttpPath(http.path.clone())) }
}

impl Medium {
    /// Reports a file that cannot be read as such, rather than in QEMU's words.
    fn check_readable(&self) -> Result<(), BootError> {
        let files = match self {
            Medium::Cd(path) | Medium::Disk(path) => vec![path],
            Medium::Kernel { kernel, initrd, .. } => vec![kernel, initrd],
        };
        files.into_iter().try_for_each(|path| match File::open(path) {
            Ok(_) => Ok(()),
            Err(source) => Err(BootError::Medium { path: path.clone(), source }),
        })
    }
}

/// In the words of a report: `CD`, `disk`, `kernel`.
impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Medium::Cd(_) => "CD",
            Medium::Disk(_) => "disk",
            Medium::Kernel { .. } => "kernel",
        })
    }
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Firmware::Bios => "BIOS",
            Firmware::Uefi => "UEFI",
        })
    }
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Accelerator::Kvm => "KVM",
            Accelerator::Tcg => "TCG",
        })
    }
}
