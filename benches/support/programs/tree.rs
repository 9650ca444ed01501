//! A directory in which programs run that can see nothing else, and the outcome of a task there.

use crate::tasks::Program;
use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, mknodat};
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

/// Runs until it is dropped, with everything that it started.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // unshare(1) takes its namespace along.
        let _ = self.0.kill();
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

    /// Processes, mounts and /proc of its own; when unshare ends, so does the command.
    fn command(&self, program: &Program, command: &[&str]) -> Command {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--pid", "--fork", "--kill-child"]);
        unshare.arg(format!("--mount-proc={}", self.directory.join("proc").display()));
        unshare.args(["timeout", &PATIENCE.as_secs().to_string(), "chroot", "--userspec", program.user]);
        unshare.arg(&self.directory).args(command).stdin(Stdio::null()).env_clear();
        unshare.envs([("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/tmp"), ("LC_ALL", "C.UTF-8")]);
        unshare
    }
}

/// Everything that was printed, errors last.
fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}
