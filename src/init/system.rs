//! What every program expects of the system around it: file systems, a console, drivers.

use super::errno::Errno;
use super::message::{say, say_error};
use super::syscall::{self, O_CLOEXEC, O_RDONLY, O_RDWR};
use core::ffi::CStr;

/// File system type, where it is mounted, options.
const FILE_SYSTEMS: [(&CStr, &CStr, &CStr); 4] = [
    (c"devtmpfs", c"/dev", c""),
    (c"proc", c"/proc", c""),
    (c"sysfs", c"/sys", c""),
    (c"tmpfs", c"/tmp", c"mode=1777"),
];

/// Mounts the kernel's file systems and an empty `/tmp`, making their directories; says what failed.
///
/// It has to come before [`open_console`], which needs `/dev`; so the first failure may be said to nobody.
pub fn mount_file_systems() -> [Result<(), Errno>; FILE_SYSTEMS.len()] {
    FILE_SYSTEMS.map(|(kind, directory, options)| {
        // A directory that cannot be made is a mount that fails: one message is enough.
        let _ = syscall::make_directory(directory, 0o755);
        match syscall::mount(kind, directory, options) {
            // Mounted already, by a kernel with CONFIG_DEVTMPFS_MOUNT or by a container.
            Err(Errno::EBUSY) => Ok(()),
            outcome => outcome,
        }
    })
}

/// Tells what [`mount_file_systems`] could not do, once there is a console to tell it on.
pub fn report_mounts(outcomes: &[Result<(), Errno>]) {
    for ((_, directory, _), outcome) in FILE_SYSTEMS.iter().zip(outcomes) {
        if let Err(error) = outcome {
            say_error([b"cannot mount ", directory.to_bytes()], *error);
        }
    }
}

/// Makes `/dev/console` the standard input, output and error, and the controlling terminal of the init's session.
///
/// The init leads the session, not the programs: when a session leader ends, the kernel hangs the terminal up
/// (`disassociate_ctty`), which throws away what a slow serial line has not sent yet.
pub fn open_console() {
    let Ok(console) = syscall::open(c"/dev/console", O_RDWR).or_else(|_| syscall::open(c"/dev/null", O_RDWR)) else {
        return;
    };
    for standard in 0..=2 {
        if standard != console {
            let _ = syscall::duplicate(console, standard);
        }
    }
    if console > 2 {
        syscall::close(console);
    }
    syscall::new_session();
    // A console that is no terminal, or none at all, is no reason to stop.
    let _ = syscall::take_terminal(0);
}

/// Waits until the console has sent what was written to it, or for five seconds: what a slow serial line has in its
/// buffer (4 KiB, four seconds at 9600 baud) would be lost with the power. Not tcdrain(3), which a line that was
/// stopped keeps waiting for ever.
pub fn drain_console() {
    const WAIT_MILLISECONDS: i64 = 5000;
    let deadline = syscall::monotonic_milliseconds().saturating_add(WAIT_MILLISECONDS);
    while syscall::unsent_bytes(1) > 0 && syscall::monotonic_milliseconds() < deadline {
        syscall::sleep_milliseconds(10);
    }
    // The last bytes have left the buffer for the hardware's own, of 16 to 128 bytes.
    syscall::sleep_milliseconds(20);
}

/// Loads a kernel module from a file; one that is there already is fine, any other failure is said.
pub fn load_module(path: &CStr) {
    let fd = match syscall::open(path, O_RDONLY | O_CLOEXEC) {
        Ok(fd) => fd,
        Err(error) => return say_error([b"cannot load ", path.to_bytes()], error),
    };
    let outcome = syscall::load_module(fd);
    syscall::close(fd);
    // The kernel's numbers mean something else here than their usual words (kernel/module/main.c).
    let meaning: &[u8] = match outcome {
        Ok(()) | Err(Errno::EEXIST) => return,
        Err(Errno::ENOENT) => b"unknown symbol, as a module that it needs is not loaded",
        Err(Errno::ENOEXEC) => b"not a module for this kernel",
        Err(error) => return say_error([b"cannot load ", path.to_bytes()], error),
    };
    say(&[b"cannot load ", path.to_bytes(), b": ", meaning]);
}
