//! QEMU: where it is, what its command line says, and the running machine.
//!
//! The machine is the same everywhere: no configuration of the user, no device that is not named here, no way from the
//! guest to the network, and one port of 127.0.0.1 that leads to the guest.

use super::error::BootError;
use super::network::GuestNetwork;
use super::process::Process;
use super::{Accelerator, Firmware, Medium, Nic};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::time::Instant;

const PROGRAM: &str = "qemu-system-x86_64";

/// Where distributions keep the code part of OVMF, most specific first. Without a part for variables the firmware keeps
/// them in memory, which is what a test wants.
const UEFI_CODE: [&str; 7] = [
    "/usr/share/OVMF/OVMF_CODE_4M.fd",       // Debian, Ubuntu
    "/usr/share/OVMF/OVMF_CODE.fd",          // Debian 11 and before
    "/usr/share/edk2/ovmf/OVMF_CODE.fd",     // Fedora
    "/usr/share/edk2/x64/OVMF_CODE.4m.fd",   // Arch
    "/usr/share/edk2-ovmf/x64/OVMF_CODE.fd", // Arch before 2024
    "/usr/share/qemu/ovmf-x86_64-code.bin",  // openSUSE
    "/usr/share/qemu/edk2-x86_64-code.fd",   // QEMU's own, as Alpine installs it
];

/// Bytes of QEMU's own messages that are kept.
const MAX_MESSAGES: usize = 2048;

/// A machine to be started.
#[derive(Debug)]
pub struct Machine<'a> {
    pub medium: &'a Medium,
    /// The code part of the UEFI firmware; without it the machine has QEMU's BIOS.
    pub uefi_code: Option<&'a Path>,
    /// MiB.
    pub memory: u32,
    pub nic: Nic,
    pub accelerator: Accelerator,
    pub network: GuestNetwork,
    pub forward: Option<Forward>,
}

/// A port of 127.0.0.1 that leads to one of the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    pub host_port: u16,
    pub guest_port: u16,
}

/// A running machine. Dropping it ends it.
pub struct Qemu {
    process: Process,
    /// A file without a name, as a pipe that nobody reads would block QEMU.
    messages: File,
}

/// Finds QEMU on the PATH.
pub fn find() -> Result<PathBuf, BootError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(PROGRAM))
        .find(|file| file.is_file())
        .ok_or(BootError::NoQemu { program: PROGRAM })
}

/// Finds the firmware for `firmware`; the BIOS is part of QEMU.
pub fn find_firmware(firmware: Firmware, qemu: &Path) -> Result<Option<PathBuf>, BootError> {
    match firmware {
        Firmware::Bios => Ok(None),
        Firmware::Uefi => {
            // QEMU under a prefix of its own, as a package manager in a home directory installs it.
            let beside =
                qemu.parent().and_then(Path::parent).map(|prefix| prefix.join("share/qemu/edk2-x86_64-code.fd"));
            let searched: Vec<PathBuf> = UEFI_CODE.iter().map(PathBuf::from).chain(beside).collect();
            match searched.iter().find(|path| path.is_file()) {
                Some(path) => Ok(Some(path.clone())),
                None => Err(BootError::NoUefi { searched }),
            }
        }
    }
}

/// A port of 127.0.0.1 that was free a moment ago.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Whether QEMU ended because the port it was to forward is taken.
pub fn is_port_taken(messages: &str) -> bool {
    messages.contains("Could not set up host forwarding rule")
}

/// The options that every run of QEMU has, the probe of the accelerator included.
pub fn base_arguments(accelerator: Accelerator) -> Vec<OsString> {
    let (accel, cpu) = match accelerator {
        Accelerator::Kvm => ("kvm", "host"),
        Accelerator::Tcg => ("tcg", "max"),
    };
    let mut arguments = Arguments::default();
    arguments.add(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none"]);
    arguments.add(["-machine", "q35", "-accel", accel, "-cpu", cpu]);
    arguments.0
}

impl Machine<'_> {
    /// QEMU's arguments for this machine.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments = Arguments(base_arguments(self.accelerator));
        arguments.add(["-m", &format!("{}M", self.memory), "-serial", "stdio"]);
        if let Some(code) = self.uefi_code {
            arguments.add(["-drive"]);
            arguments.add_with_path("if=pflash,format=raw,unit=0,readonly=on,file=", code);
        }
        self.add_medium(&mut arguments);
        self.add_network(&mut arguments);
        arguments.0
    }

    fn add_medium(&self, arguments: &mut Arguments) {
        match self.medium {
            Medium::Cd(path) => {
                arguments.add(["-drive"]);
                arguments.add_with_path("if=none,id=medium,media=cdrom,format=raw,readonly=on,file=", path);
                arguments.add(["-device", "ide-cd,drive=medium,bootindex=0"]);
            }
            Medium::Disk(path) => {
                // What the guest writes goes to a temporary file of QEMU's and is forgotten.
                arguments.add(["-drive"]);
                arguments.add_with_path("if=none,id=medium,media=disk,format=raw,snapshot=on,file=", path);
                arguments.add(["-device", "ide-hd,drive=medium,bootindex=0"]);
            }
            Medium::Kernel { kernel, initrd, args } => {
                arguments.0.extend(["-kernel".into(), kernel.into(), "-append".into(), args.into()]);
                arguments.0.extend(["-initrd".into(), initrd.into()]);
            }
        }
    }

    fn add_network(&self, arguments: &mut Arguments) {
        let GuestNetwork { network, prefix, guest, host, dns } = self.network;
        let mut netdev =
            format!("user,id=net,restrict=on,ipv6=off,net={network}/{prefix},host={host},dns={dns},dhcpstart={guest}");
        if let Some(Forward { host_port, guest_port }) = self.forward {
            netdev.push_str(&format!(",hostfwd=tcp:127.0.0.1:{host_port}-{guest}:{guest_port}"));
        }
        let model = match self.nic {
            Nic::VirtioNet => "virtio-net-pci",
            Nic::E1000 => "e1000",
        };
        // Without its ROM the card is no boot device, and the firmware does not try the network.
        arguments.add(["-netdev", &netdev, "-device", &format!("{model},netdev=net,romfile=")]);
    }
}

impl Qemu {
    /// Starts QEMU; the guest's console is its standard output.
    pub fn start(program: &Path, arguments: &[OsString]) -> io::Result<Qemu> {
        let messages = tempfile::tempfile()?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(messages.try_clone()?);
        Ok(Qemu { process: Process::start(&mut command)?, messages })
    }

    /// The guest's console, once.
    pub fn take_console(&mut self) -> Option<ChildStdout> {
        self.process.take_stdout()
    }

    /// Waits for QEMU to end by itself; `None` when it still runs at `deadline`.
    pub fn wait_until(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        self.process.wait_until(deadline)
    }

    /// What QEMU has said so far, its beginning when it is long.
    pub fn messages(&self) -> String {
        let mut text = vec![0; MAX_MESSAGES];
        // QEMU writes at the offset that its descriptor shares with ours, so reading must not move it.
        match self.messages.read_at(&mut text, 0) {
            Ok(length) => String::from_utf8_lossy(&text[..length]).trim().to_owned(),
            Err(error) => format!("(its messages cannot be read: {error})"),
        }
    }

    /// Whether KVM met an instruction it cannot run. QEMU then stops the guest, but goes on itself.
    pub fn kvm_stopped(&self) -> bool {
        let messages = self.messages();
        messages.contains("KVM internal error") || messages.contains("kvm run failed")
    }
}

/// Arguments in the making.
#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn add<const N: usize>(&mut self, arguments: [&str; N]) {
        self.0.extend(arguments.map(OsString::from));
    }

    /// An option string that ends in a path. QEMU takes a comma in it as the end unless it is doubled; an absolute path
    /// cannot be mistaken for `protocol:`.
    fn add_with_path(&mut self, option: &str, path: &Path) {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut bytes = option.as_bytes().to_vec();
        for &byte in OsStr::as_bytes(path.as_os_str()) {
            bytes.push(byte);
            if byte == b',' {
                bytes.push(byte);
            }
        }
        self.0.push(OsString::from_vec(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(medium: &Medium) -> Machine<'_> {
        Machine {
            medium,
            uefi_code: None,
            memory: 256,
            nic: Nic::VirtioNet,
            accelerator: Accelerator::Tcg,
            network: GuestNetwork::default(),
            forward: Some(Forward { host_port: 40000, guest_port: 8000 }),
        }
    }

    fn command_line(machine: &Machine<'_>) -> String {
        let arguments = machine.arguments();
        arguments.iter().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_cd_is_read_only_and_the_guest_is_shut_in() {
        assert_eq!(
            command_line(&machine(&Medium::Cd("/tmp/a.iso".into()))),
            "-nodefaults -no-user-config -no-reboot -display none -monitor none -machine q35 -accel tcg -cpu max \
             -m 256M -serial stdio \
             -drive if=none,id=medium,media=cdrom,format=raw,readonly=on,file=/tmp/a.iso \
             -device ide-cd,drive=medium,bootindex=0 \
             -netdev user,id=net,restrict=on,ipv6=off,net=10.0.2.0/24,host=10.0.2.2,dns=10.0.2.3,\
             dhcpstart=10.0.2.15,hostfwd=tcp:127.0.0.1:40000-10.0.2.15:8000 \
             -device virtio-net-pci,netdev=net,romfile="
        );
    }

    #[test]
    fn a_disk_is_never_written() {
        let medium = Medium::Disk("/tmp/a.iso".into());
        let text = command_line(&Machine { nic: Nic::E1000, accelerator: Accelerator::Kvm, ..machine(&medium) });
        assert!(text.contains("media=disk,format=raw,snapshot=on,file=/tmp/a.iso -device ide-hd,"), "{text}");
        assert!(text.contains("-accel kvm -cpu host "), "{text}");
        assert!(text.contains("-device e1000,netdev=net"), "{text}");
    }

    #[test]
    fn a_kernel_is_given_directly_and_firmware_as_flash() {
        let medium =
            Medium::Kernel { kernel: "/k,1".into(), initrd: "/i".into(), args: "console=ttyS0 panic=-1".to_owned() };
        let text = command_line(&Machine { uefi_code: Some(Path::new("/fw.fd")), forward: None, ..machine(&medium) });
        assert!(text.contains("-kernel /k,1 -append console=ttyS0 panic=-1 -initrd /i "), "{text}");
        assert!(text.contains("-drive if=pflash,format=raw,unit=0,readonly=on,file=/fw.fd "), "{text}");
        assert!(!text.contains("hostfwd"), "{text}");
    }

    #[test]
    fn odd_file_names_reach_qemu_unharmed() {
        let medium = Medium::Cd(PathBuf::from(OsStr::from_bytes(b"nbd:a,b\xff.iso")));
        let expected = std::path::absolute("nbd:a").unwrap();
        let arguments = machine(&medium).arguments();
        let drive = arguments.iter().find(|argument| argument.as_bytes().starts_with(b"if=none")).unwrap();
        let mut end = expected.into_os_string().into_vec();
        end.extend_from_slice(b",,b\xff.iso");
        assert!(drive.as_bytes().ends_with(&end), "{}", drive.display());
    }
}
