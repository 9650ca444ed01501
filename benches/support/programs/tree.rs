//! A directory in which programs run that can see nothing else, and the outcome of a task there.

use crate::tasks::Program;
use anyhow::{Context, Result, ensure};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take until it answers, and any single command.
const PATIENCE: Duration = Duration::from_secs(20);

pub enum Outcome {
    Passes,
    /// What was printed instead.
    Fails(String),
}

impl Outcome {
    pub fn passes(&self) -> bool {
        matches!(self, Self::Passes)
    }
}

pub struct Tree {
    directory: PathBuf,
}

/// Runs until it is dropped; what it started ends with the namespace of all programs at the latest.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // The signal goes through timeout(1) to the server.
        let _ = rustix::process::kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

impl Tree {
    /// Adds what is the kernel's, and the directories that are empty at each start.
    pub fn new(directory: &Path) -> Result<Self> {
        for (name, mode) in [("proc", 0o555), ("dev", 0o755), ("dev/shm", 0o1777), ("tmp", 0o1777), ("run", 0o755)] {
            let path = directory.join(name);
            std::fs::create_dir_all(&path)?;
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode))?;
        }
        for (name, minor) in [("null", 3), ("zero", 5), ("random", 8), ("urandom", 9)] {
            let path = directory.join("dev").join(name);
            if !path.exists() {
                let mode = Mode::from_raw_mode(0o666);
                mknodat(CWD, &path, FileType::CharacterDevice, mode, rustix::fs::makedev(1, minor))?;
                std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666))?;
            }
        }
        for (name, target) in [("fd", "/proc/self/fd"), ("stderr", "/proc/self/fd/2")] {
            let path = directory.join("dev").join(name);
            if !path.is_symlink() {
                std::os::unix::fs::symlink(target, path)?;
            }
        }
        let mut mount = Command::new("mount");
        let status = mount.args(["-t", "proc", "proc"]).arg(directory.join("proc")).status()?;
        ensure!(status.success(), "{mount:?}");
        Ok(Self { directory: directory.to_owned() })
    }

    /// Whether the program does its task here.
    pub fn does(&self, program: &Program) -> Result<Outcome> {
        for command in program.before {
            let output = self.output(program, command)?;
            if !output.status.success() {
                return Ok(Outcome::Fails(said(&output)));
            }
        }
        let log = self.directory.join("tmp/server.log");
        let server = program.server.map(|command| self.serve(program, command, &log)).transpose()?;
        let begin = Instant::now();
        loop {
            let output = self.output(program, program.task)?;
            let text = said(&output);
            if text.contains(program.prints) {
                return Ok(Outcome::Passes);
            }
            if server.is_none() || begin.elapsed() > PATIENCE {
                let served = std::fs::read(&log).unwrap_or_default();
                return Ok(Outcome::Fails(format!("{text}\n{}", String::from_utf8_lossy(&served))));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn serve(&self, program: &Program, command: &[&str], log: &Path) -> Result<Server> {
        let log = std::fs::File::create(log)?;
        let mut command = self.command(program, command);
        let child = command.stdout(log.try_clone()?).stderr(log).spawn();
        child.map(Server).with_context(|| format!("{command:?}"))
    }

    fn output(&self, program: &Program, command: &[&str]) -> Result<Output> {
        let mut command = self.command(program, command);
        command.output().with_context(|| format!("{command:?}"))
    }

    fn command(&self, program: &Program, command: &[&str]) -> Command {
        let mut timeout = Command::new("timeout");
        timeout.args([&PATIENCE.as_secs().to_string(), "chroot", "--userspec", program.user]);
        timeout.arg(&self.directory).args(command).stdin(Stdio::null()).env_clear();
        timeout.envs([("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/tmp"), ("LC_ALL", "C")]);
        timeout
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.directory.join("proc")).status();
    }
}

/// Everything that was printed, errors last.
fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}
