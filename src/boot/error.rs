//! What can go wrong: a machine that could not be started, and a guest that did not do what its recipe wants.

use super::network::NetworkError;
use crate::recipe::HttpCheck;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why there is no [`BootReport`](super::BootReport).
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    #[error("cannot find `{program}` on the PATH")]
    NoQemu { program: &'static str },
    #[error("cannot find UEFI firmware for QEMU: none of {}", join(.searched))]
    NoUefi { searched: Vec<PathBuf> },
    #[error("cannot read `{}`", path.display())]
    Medium { path: PathBuf, source: std::io::Error },
    #[error("cannot set up the network of the virtual machine")]
    Network(#[from] NetworkError),
    #[error("cannot ask the guest for `{0}`: the path of a request starts with `/` and has no spaces")]
    HttpPath(String),
    #[error("cannot find a free port on 127.0.0.1")]
    NoPort(#[source] std::io::Error),
    #[error("cannot run `{}`", program.display())]
    Run { program: PathBuf, source: std::io::Error },
    /// QEMU ended before it ran the guest.
    #[error("QEMU did not start ({status}): {}", first_complaint(messages))]
    Refused { status: ExitStatus, messages: String },
    /// The machine ran, and the answer is no.
    #[error(transparent)]
    Failed(Box<BootFailure>),
}

impl BootError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            BootError::NoQemu { .. } => Some(
                "install it: `apt install qemu-system-x86` (Debian), `dnf install qemu-system-x86-core` (Fedora), \
                 `pacman -S qemu-system-x86` (Arch)"
                    .to_owned(),
            ),
            BootError::NoUefi { .. } => {
                Some("install it: `apt install ovmf` (Debian), `dnf install edk2-ovmf` (Fedora, Arch alike)".to_owned())
            }
            BootError::Network(_) => Some("correct `[network]` in the recipe".to_owned()),
            BootError::HttpPath(_) => Some("correct `[check] http` in the recipe: `path = \"/\"`".to_owned()),
            BootError::Refused { .. } => {
                Some("`--accel tcg` runs without KVM, and `--memory MIB` asks for less memory".to_owned())
            }
            BootError::Failed(failure) => failure.hint(),
            // What the operating system says has hints of its own.
            BootError::Medium { .. } | BootError::NoPort(_) | BootError::Run { .. } => None,
        }
    }
}

/// A guest that ran and did not do what was wanted.
#[derive(Debug)]
pub struct BootFailure {
    pub kind: FailureKind,
    /// Seconds since QEMU was started.
    pub seconds: f64,
    /// The last lines of the console, oldest first.
    pub console: Vec<String>,
    /// Startup commands that have ended, in the words of the guest's init: `node exited with status 1`.
    pub exited: Vec<String>,
    /// What QEMU itself had to say, often empty.
    pub qemu_messages: String,
}

/// How a guest failed.
#[derive(Debug)]
pub enum FailureKind {
    /// The time of the check ran out.
    Timeout { limit: Duration, wanted: Wanted },
    /// Something answered, but never what was wanted.
    WrongReply { url: String, problem: String, contains: String },
    /// The guest switched itself off or restarted.
    PoweredOff,
    /// The guest's kernel stopped without switching off.
    Halted,
    /// The guest's kernel gave up, in its own words.
    Panic { line: String },
    /// KVM could not go on; see [`BootFailure::qemu_messages`].
    KvmStopped,
    /// QEMU ended by itself.
    QemuEnded { status: ExitStatus },
}

/// What a guest still owed when its time was up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The line by which the guest's init says that it starts the commands.
    Start,
    /// A reply from this URL; the reason that the last attempt gave.
    Reply { url: String, problem: String },
    /// This text on the console.
    Console { text: String },
}

impl std::error::Error for BootFailure {}

impl fmt::Display for BootFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FailureKind::Timeout { limit, wanted } => write!(f, "{wanted} within {} s", limit.as_secs()),
            FailureKind::WrongReply { url, problem, contains } if contains.is_empty() => {
                write!(f, "the guest answers {url} with `{problem}` instead of status 200")
            }
            FailureKind::WrongReply { url, problem, contains } => {
                write!(f, "the guest answers {url} with `{problem}` instead of status 200 and `{contains}`")
            }
            FailureKind::PoweredOff => write!(f, "the guest powered off or restarted after {:.1} s", self.seconds),
            FailureKind::Halted => write!(f, "the guest halted after {:.1} s", self.seconds),
            FailureKind::Panic { line } => write!(f, "the guest's kernel gave up after {:.1} s: {line}", self.seconds),
            FailureKind::KvmStopped => {
                write!(f, "KVM cannot run the guest: {}", first_complaint(&self.qemu_messages))
            }
            FailureKind::QemuEnded { status } => {
                write!(f, "QEMU ended after {:.1} s ({status}): {}", self.seconds, first_complaint(&self.qemu_messages))
            }
        }?;
        match self.exited.as_slice() {
            [] => Ok(()),
            exited => write!(f, "; {}", exited.join(", ")),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Start => write!(f, "the guest did not print `minroot: starting`"),
            Wanted::Reply { url, problem } => write!(f, "the guest did not answer {url} ({problem})"),
            Wanted::Console { text } => write!(f, "the guest did not print `{text}`"),
        }
    }
}

impl BootFailure {
    /// Whether the guest's kernel says that a processor of its machine stands still (Linux,
    /// Documentation/RCU/stallwarn.rst and Documentation/admin-guide/lockup-watchdogs.rst): on a busy machine emulators do
    /// that, and another start may go well.
    pub fn is_stalled(&self) -> bool {
        let of_rcu = |line: &str| line.contains("rcu: INFO: ") && line.contains("detected stall");
        self.console.iter().any(|line| of_rcu(line) || line.contains("watchdog: BUG: soft lockup"))
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let on_console = |text: &str| self.console.iter().any(|line| line.contains(text));
        let hint = match &self.kind {
            // The kernel prints the reason, goes on, and fails later with a message that misleads.
            _ if ["Initramfs unpacking failed", "Out of memory", "out of memory"].into_iter().any(on_console) => {
                "the guest needs more memory, `[boot] memory = …` (MiB)".to_owned()
            }
            _ if self.is_stalled() => {
                "the emulated processor stood still, which a busy machine brings: try again".to_owned()
            }
            FailureKind::Timeout { .. } if self.console.is_empty() => {
                "nothing came over the serial line: are `console=ttyS0` in `[boot] kernel_args` and a boot loader for \
                 this firmware and medium in the image?"
                    .to_owned()
            }
            FailureKind::Timeout { wanted: Wanted::Reply { .. }, .. } => {
                "the server must listen on the guest's address, not on 127.0.0.1 only; a slow guest needs a longer \
                 `[check] timeout` (seconds)"
                    .to_owned()
            }
            FailureKind::Timeout { .. } => "a slow guest needs a longer `[check] timeout` (seconds)".to_owned(),
            FailureKind::PoweredOff if !self.exited.is_empty() => {
                "the machine goes off when a startup command ends, unless it says `background = true`".to_owned()
            }
            FailureKind::KvmStopped => "run it without KVM: `--accel tcg`".to_owned(),
            _ => "`--verbose` shows all that the guest prints".to_owned(),
        };
        Some(hint)
    }
}

/// The guest's URL as seen from this machine, for messages.
pub(super) fn url(port: u16, check: &HttpCheck) -> String {
    format!("http://127.0.0.1:{port}{}", check.path)
}

/// The first line of QEMU's messages that is no warning: what follows an error is often a dump of registers.
pub(super) fn first_complaint(messages: &str) -> &str {
    messages.lines().find(|line| !line.contains("warning: ")).unwrap_or("it did not say why")
}

fn join(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
}
