//! A machine that starts an illumos image with GRUB 2. No kernel of illumos can be had here: what is started is a stub
//! in its place, which judges what GRUB hands over.

use crate::command::{minroot, repository, succeed, text};
use crate::support::{hex, run, scratch, tool};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const KERNEL: &str = "/platform/i86pc/kernel/amd64/unix";

/// A root with the stub as its kernel, GRUB as its boot loader, and a manifest of both.
pub struct StubMachine {
    root: tempfile::TempDir,
    qemu: PathBuf,
}

impl StubMachine {
    /// Makes a core image of `modules` at `core` in the root; `None` with a message where tools are missing.
    pub fn new(core: &str, format: &str, modules: &[&str]) -> Option<StubMachine> {
        let (gcc, mkimage, qemu) = (tool("gcc")?, tool("grub-mkimage")?, tool("qemu-system-x86_64")?);
        let recipe = "system = \"illumos\"\n[trace]\ntargets = [\"/etc/motd\"]\ninclude = [\"/platform\"]\n\
                      [boot]\nkernel_args = \"-v -B console=ttya\"\n";
        let root = root_of(&[
            (KERNEL, stub_kernel(&gcc)),
            ("/etc/motd", b"hello\n".to_vec()),
            ("/recipe.toml", recipe.into()),
            (&format!("/{core}"), Vec::new()),
        ]);
        let machine = StubMachine { root, qemu };
        let core = machine.at(core);
        let options = ["-O", format, "-p", "/boot/grub", "-o", core.to_str().unwrap()];
        run(&mkimage, &args(&[&options[..], modules].concat()));
        // The kernel misses its modules, which is what the trace says; the manifest is written all the same.
        let mut trace = minroot(["trace", "--root"]);
        trace.arg(machine.root.path()).arg(machine.at("recipe.toml")).arg("-o").arg(machine.at("m.json"));
        trace.output().unwrap();
        Some(machine)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn minroot(&self, command: &str) -> Command {
        let mut command = minroot([command, "--root"]);
        command.arg(self.root.path()).arg("-m").arg(self.at("m.json")).arg(self.at("recipe.toml"));
        command
    }

    /// What a subcommand writes under a name in the root.
    pub fn make(&self, command: &str, name: &str) -> PathBuf {
        succeed(self.minroot(command).arg("-o").arg(self.at(name)));
        self.at(name)
    }

    /// Starts it, and reads on the serial line that the kernel got its command line and the archive as it was packed.
    pub fn assert_starts(&self, medium: &[&str]) {
        succeed(self.minroot("pack").args(["--format", "ufs", "--compress", "none", "-o"]).arg(self.at("archive")));
        let digest = hex(&<sha2::Sha256 as sha2::Digest>::digest(fs::read(self.at("archive")).unwrap()));
        let mut machine = Command::new("timeout");
        machine.arg("120").arg(&self.qemu).args(["-nodefaults", "-machine", "q35", "-accel", "tcg", "-cpu", "max"]);
        machine.args(["-m", "256", "-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot"]);
        let log = text(&machine.args(["-device", "isa-debug-exit,iobase=0xf4"]).args(medium).output().unwrap().stdout);
        let expected = format!(
            "minroot-stub multiboot line=[{KERNEL} -v -B console=ttya] \
             module=[/platform/i86pc/amd64/boot_archive type=rootfs] ufs sha256={digest} end"
        );
        assert!(log.contains(&expected), "{expected}\nis not in\n{log}");
    }
}

/// A root with these files.
pub fn root_of(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let directory = scratch();
    for (name, bytes) in files {
        let host = directory.path().join(&name[1..]);
        fs::create_dir_all(host.parent().unwrap()).unwrap();
        fs::write(host, bytes).unwrap();
    }
    directory
}

pub fn args<'a>(arguments: &[&'a str]) -> Vec<&'a OsStr> {
    arguments.iter().map(|argument| OsStr::new(*argument)).collect()
}

/// Compiles the stub that stands in for `unix`; its multiboot header has to be in the first 8 KiB of the file.
fn stub_kernel(gcc: &Path) -> Vec<u8> {
    let directory = scratch();
    let out = directory.path().join("unix");
    let (out, source) = (out.to_str().unwrap().to_owned(), repository("testdata/illumos/stub_unix.c"));
    let flags = "-m32 -march=i686 -mno-sse -O1 -ffreestanding -fno-builtin -fno-stack-protector -fno-pie -no-pie -static \
                 -nostdlib -Wl,-n -Wl,-Ttext=0x200000 -Wl,--section-start=.multiboot=0x1ff000 -Wl,--build-id=none";
    let mut arguments: Vec<&str> = flags.split_whitespace().collect();
    arguments.extend(["-o", &out, source.to_str().unwrap()]);
    run(gcc, &args(&arguments));
    fs::read(out).unwrap()
}
