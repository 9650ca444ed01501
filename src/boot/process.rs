//! A child process that cannot outlive us.
//!
//! QEMU runs until it is told to stop, so every way out of this module's callers, a panic included, ends it: by
//! [`Drop`], and on Linux by the kernel when we are killed ourselves. The latter watches the *thread* that started the
//! child, so a [`Process`] is started and waited for by one thread.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus};
use std::time::{Duration, Instant};

/// A running child; dropping it kills it and collects its status.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `command`. A crash of the child leaves no core file in the current directory.
    pub fn start(command: &mut Command) -> io::Result<Process> {
        let parent = rustix::process::getpid();
        // SAFETY: between fork and exec only async-signal-safe calls are allowed. `prepare_child` makes system calls
        // (prctl, getppid, setrlimit) and builds errors from plain numbers; it neither allocates nor takes a lock.
        unsafe { command.pre_exec(move || prepare_child(parent)) };
        Ok(Process { child: command.spawn()? })
    }

    /// The child's standard output, once, when it was piped.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The status when the child has ended by itself.
    pub fn status(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for the child to end by itself; `None` when it still runs at `deadline`.
    pub fn wait_until(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        loop {
            let status = self.status()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when the child has ended and was waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn prepare_child(parent: rustix::process::Pid) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // The parent may have gone before the signal was asked for; then nobody would send it.
    if rustix::process::getppid() != Some(parent) {
        return Err(io::ErrorKind::Interrupted.into());
    }
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(pid: u32) -> bool {
        rustix::process::test_kill_process(rustix::process::Pid::from_raw(pid.cast_signed()).unwrap()).is_ok()
    }

    #[test]
    fn dropping_ends_the_child() {
        let process = Process::start(Command::new("sleep").arg("100")).unwrap();
        let pid = process.child.id();
        assert!(runs(pid));
        drop(process);
        assert!(!runs(pid));
    }

    #[test]
    fn a_child_that_ends_by_itself_gives_its_status() {
        let mut process = Process::start(Command::new("sh").args(["-c", "exit 3"])).unwrap();
        let status = process.wait_until(Instant::now() + Duration::from_secs(10)).unwrap().unwrap();
        assert_eq!(status.code(), Some(3));
    }

    #[test]
    fn waiting_ends_at_the_deadline() {
        let mut process = Process::start(Command::new("sleep").arg("100")).unwrap();
        assert!(process.wait_until(Instant::now() + Duration::from_millis(20)).unwrap().is_none());
    }

    /// The thread that starts the child stands for the process: the kernel does not tell the two apart here.
    #[test]
    #[cfg(target_os = "linux")]
    fn the_child_ends_with_its_parent() {
        let process = std::thread::spawn(|| Process::start(Command::new("sleep").arg("100")).unwrap()).join().unwrap();
        let mut process = process;
        let status = process.wait_until(Instant::now() + Duration::from_secs(10)).unwrap();
        assert!(status.is_some_and(|status| !status.success()), "{status:?}");
    }
}
