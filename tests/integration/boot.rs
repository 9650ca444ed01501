//! Boots under QEMU: Debian's cloud kernel with a busybox in its initramfs, and media small enough to write here.
//!
//! The kernel and busybox are Debian's packages, downloaded by apt once into `target/test-cache`. The initramfs is made
//! by the `cpio` tool, the CDs by `xorriso`, the FAT images by `mtools`.

use crate::support::{run, scratch, tool};
use minroot::boot::{
    Accel, Accelerator, BootError, BootFailure, BootReport, BootRequest, Event, FailureKind, Firmware, Medium, Nic,
    Wanted, boot,
};
use minroot::recipe::{Check, HttpCheck, Network};
use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Loads the network driver, then does what `scenario=` on the kernel's command line says.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
while read -r module; do insmod "$module"; done </modules.list
ip link set lo up
ip addr add "${address:-10.0.2.15/24}" dev eth0
ip link set eth0 up
echo "minroot: loading is done"
[ "$scenario" = wordless ] || echo "minroot: starting $scenario"
case $scenario in
serve|wordless) httpd -f -p 8000 -h /www ;;
error) while :; do printf 'HTTP/1.0 500 Broken\r\n\r\nhello, broken' | nc -l -p 8000; done ;;
silent) sleep 1000 ;;
off) echo "minroot: server exited with status 7"; poweroff -f ;;
panic) exit 3 ;;
esac
"#;

/// In load order; the paths are below the kernel package's `lib/modules/*/kernel`.
const MODULES: [&str; 8] = [
    "drivers/virtio/virtio_ring.ko",
    "drivers/virtio/virtio.ko",
    "drivers/virtio/virtio_pci_modern_dev.ko",
    "drivers/virtio/virtio_pci_legacy_dev.ko",
    "drivers/virtio/virtio_pci.ko",
    "net/core/failover.ko",
    "drivers/net/net_failover.ko",
    "drivers/net/virtio_net.ko",
];

/// A kernel and an initramfs with [`INIT`].
struct Guest {
    kernel: PathBuf,
    initrd: PathBuf,
}

/// The guest, made once; `None` with a message where a tool or the packages are missing.
fn guest() -> Option<&'static Guest> {
    static GUEST: OnceLock<Option<Guest>> = OnceLock::new();
    GUEST.get_or_init(make_guest).as_ref()
}

fn make_guest() -> Option<Guest> {
    tool("qemu-system-x86_64")?;
    let cpio = tool("cpio")?;
    let packages = debian_packages()?;
    let scratch = scratch();
    let tree = scratch.path();
    for directory in ["bin", "dev", "www"] {
        fs::create_dir(tree.join(directory)).unwrap();
    }
    fs::copy(packages.join("bin/busybox"), tree.join("bin/busybox")).unwrap();
    fs::write(tree.join("www/index.html"), "hello from the guest\n").unwrap();
    fs::write(tree.join("init"), INIT).unwrap();
    fs::set_permissions(tree.join("init"), fs::Permissions::from_mode(0o755)).unwrap();
    let modules = only_entry(&packages.join("lib/modules"), "").join("kernel");
    let names = MODULES.map(|module| module.rsplit('/').next().unwrap());
    for (module, name) in MODULES.iter().zip(names) {
        fs::copy(modules.join(module), tree.join(name)).unwrap();
    }
    fs::write(tree.join("modules.list"), names.map(|name| format!("/{name}\n")).concat()).unwrap();

    let cache = packages.parent().unwrap();
    let initrd = cache.join("boot-initrd");
    let mut new = tempfile::NamedTempFile::new_in(cache).unwrap();
    new.write_all(&archive(&cpio, tree)).unwrap();
    new.persist(&initrd).unwrap();
    Some(Guest { kernel: only_entry(&packages.join("boot"), "vmlinuz-"), initrd })
}

/// `cpio -o` over everything in the tree.
fn archive(cpio: &Path, tree: &Path) -> Vec<u8> {
    let find = Command::new("find").arg(".").current_dir(tree).output().unwrap();
    let mut child = Command::new(cpio)
        .args(["--quiet", "-o", "-H", "newc", "-R", "0:0"])
        .current_dir(tree)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&find.stdout).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// Debian's busybox-static and its cloud kernel, unpacked; kept in `target/test-cache` from one run to the next.
fn debian_packages() -> Option<PathBuf> {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-cache");
    let unpacked = cache.join("boot-packages");
    if unpacked.is_dir() {
        return Some(unpacked);
    }
    fs::create_dir_all(&cache).unwrap();
    let scratch = tempfile::tempdir_in(&cache).unwrap();
    if let Err(problem) = download(scratch.path()) {
        assert!(std::env::var_os("CI").is_none(), "{problem}");
        eprintln!("skipped: {problem}");
        return None;
    }
    let tree = scratch.path().join("tree");
    let dpkg = tool("dpkg-deb")?;
    for entry in fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension() == Some(OsStr::new("deb")) {
            run(&dpkg, &["-x".as_ref(), entry.as_ref(), tree.as_ref()]);
        }
    }
    // Another test process may have been faster; its tree is as good.
    let _ = fs::rename(&tree, &unpacked);
    Some(unpacked)
}

fn download(directory: &Path) -> Result<(), String> {
    let apt = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(directory).env("LC_ALL", "C").output();
        let output = output.map_err(|error| format!("cannot run {program}: {error}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(format!("{program} {arguments:?}: {}", text(&output.stderr)))
        }
    };
    let depends = apt("apt-cache", &["depends", "linux-image-cloud-amd64"])?;
    let kernel = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let kernel = kernel.ok_or("linux-image-cloud-amd64 names no kernel: run apt-get update")?;
    apt("apt-get", &["download", "busybox-static", kernel]).map(drop)
}

fn only_entry(directory: &Path, prefix: &str) -> PathBuf {
    let mut entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let entry = entries.find(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    entry.unwrap_or_else(|| panic!("no {prefix}* in {}", directory.display())).path()
}

/// What happened in one boot.
struct Outcome {
    result: Result<BootReport, BootError>,
    lines: Vec<String>,
    elapsed: Duration,
}

impl Outcome {
    fn report(&self) -> &BootReport {
        self.result.as_ref().unwrap_or_else(|error| panic!("{error:?}\n{}", self.lines.join("\n")))
    }

    fn failure(&self) -> &BootFailure {
        match &self.result {
            Err(BootError::Failed(failure)) => failure,
            other => panic!("{other:?}\n{}", self.lines.join("\n")),
        }
    }
}

fn boot_with(medium: Medium, firmware: Firmware, check: &Check, network: Option<&Network>) -> Outcome {
    let lines = RefCell::new(Vec::new());
    let start = Instant::now();
    let result = boot(&BootRequest {
        medium,
        firmware,
        memory: 256,
        nic: Nic::VirtioNet,
        // What KVM does on this machine is the subject of the unit tests.
        accel: Accel::Tcg,
        network,
        check,
        observer: &|event| match event {
            Event::Console(line) => lines.borrow_mut().push(line.to_owned()),
            Event::Note(note) => eprintln!("{note}"),
        },
    });
    Outcome { result, lines: lines.into_inner(), elapsed: start.elapsed() }
}

/// Boots the guest in a scenario, with some more on its command line.
fn boot_guest(scenario: &str, check: &Check, network: Option<&Network>) -> Option<Outcome> {
    let guest = guest()?;
    let address = network.map(|network| format!(" address={}", network.address)).unwrap_or_default();
    let medium = Medium::Kernel {
        kernel: guest.kernel.clone(),
        initrd: guest.initrd.clone(),
        args: format!("console=ttyS0 quiet rootfstype=ramfs scenario={scenario}{address}"),
    };
    let start = || boot_with(medium.clone(), Firmware::Bios, check, network);
    let mut outcome = start();
    if matches!(&outcome.result, Err(BootError::Failed(failure)) if failure.is_stalled()) {
        eprintln!("{scenario}: a processor of the guest stood still, which is not what is tested here: again");
        outcome = start();
    }
    eprintln!("{scenario}: {:.1?}", outcome.elapsed);
    Some(outcome)
}

fn hello(timeout: u32) -> Check {
    let http = HttpCheck { port: 8000, path: "/".to_owned(), contains: "hello".to_owned() };
    Check { http: Some(http), console: None, timeout: Some(timeout) }
}

fn text(text: &str, timeout: u32) -> Check {
    Check { http: None, console: Some(text.to_owned()), timeout: Some(timeout) }
}

#[test]
fn a_server_that_answers_makes_a_report() {
    let Some(outcome) = boot_guest("serve", &hello(120), None) else { return };
    let report = outcome.report();
    let reply = report.reply.as_ref().unwrap();
    assert_eq!(reply.body, b"hello from the guest\n");
    assert!(reply.status_line.ends_with("200 OK"), "{}", reply.status_line);
    assert_eq!((report.accelerator, report.memory), (Accelerator::Tcg, 256));
    assert!(report.seconds > 0.5 && report.seconds <= outcome.elapsed.as_secs_f64());
    assert!(outcome.lines.iter().any(|line| line == "minroot: starting serve"));
    eprintln!("first reply after {:.2} s", report.seconds);
}

#[test]
fn the_guest_has_the_address_of_its_recipe() {
    let address = "192.168.59.59/24".to_owned();
    let network = Network { interface: "eth0".to_owned(), address, gateway: None };
    let Some(outcome) = boot_guest("serve", &hello(120), Some(&network)) else { return };
    assert_eq!(outcome.report().reply.as_ref().unwrap().status, 200);
}

#[test]
fn a_guest_without_our_init_is_asked_as_well() {
    let Some(outcome) = boot_guest("wordless", &hello(120), None) else { return };
    assert_eq!(outcome.report().reply.as_ref().unwrap().status, 200);
    assert!(!outcome.lines.iter().any(|line| line.contains("minroot: starting")));
}

#[test]
fn an_empty_check_wants_the_start_and_console_text_is_found() {
    let Some(outcome) = boot_guest("silent", &Check::default(), None) else { return };
    assert_eq!(outcome.report().reply, None);
    let Some(outcome) = boot_guest("silent", &text("loading is done", 120), None) else { return };
    assert_eq!(outcome.report().reply, None);
}

#[test]
fn a_guest_that_powers_off_fails_at_once_with_its_last_words() {
    let Some(outcome) = boot_guest("off", &hello(120), None) else { return };
    let failure = outcome.failure();
    assert!(matches!(failure.kind, FailureKind::PoweredOff), "{failure:?}");
    assert_eq!(failure.exited, ["server exited with status 7"]);
    assert!(failure.console.len() <= 40, "{failure:?}");
    // Under emulation a kernel can get stuck before its own last word.
    let last_words = ["minroot: switching off", "Power down"];
    assert!(failure.console.iter().any(|line| last_words.iter().any(|words| line.contains(words))), "{failure:?}");
    assert!(failure.hint().unwrap().contains("background"));
    assert!(outcome.elapsed < Duration::from_secs(60));
}

/// As guests of these tests said it.
#[test]
fn a_processor_that_stands_still_is_not_the_servers_fault() {
    let wanted =
        Wanted::Reply { url: "http://127.0.0.1:1/".to_owned(), problem: "no complete reply in time".to_owned() };
    let kind = FailureKind::Timeout { limit: Duration::from_secs(120), wanted };
    let console = Vec::new();
    let mut failure = BootFailure { kind, seconds: 120.0, console, exited: Vec::new(), qemu_messages: String::new() };
    for said in [
        "[   24.733641] rcu: INFO: rcu_preempt self-detected stall on CPU",
        "[   28.976122] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [ksoftirqd/0:14]",
    ] {
        failure.console = vec![said.to_owned()];
        assert!(failure.is_stalled() && failure.hint().unwrap().contains("try again"), "{said}");
    }
    failure.console = vec!["minroot: starting off".to_owned()];
    assert!(!failure.is_stalled() && failure.hint().unwrap().contains("127.0.0.1 only"));
}

#[test]
fn a_panic_ends_the_wait_with_the_kernels_words() {
    let Some(outcome) = boot_guest("panic", &hello(120), None) else { return };
    let failure = outcome.failure();
    assert!(failure.to_string().contains("Attempted to kill init! exitcode=0x00000300"), "{failure}");
    assert!(failure.console.iter().any(|line| line.contains("end Kernel panic")), "{failure:?}");
    assert!(outcome.elapsed < Duration::from_secs(60));
}

#[test]
fn a_guest_that_never_answers_is_given_up_in_time() {
    let Some(outcome) = boot_guest("silent", &hello(8), None) else { return };
    let failure = outcome.failure();
    // On a busy machine the guest may not have come as far as its server.
    let FailureKind::Timeout { limit, wanted: Wanted::Start | Wanted::Reply { .. } } = &failure.kind else {
        panic!("{failure:?}")
    };
    assert_eq!(*limit, Duration::from_secs(8));
    assert!(failure.seconds < 9.0 && outcome.elapsed < Duration::from_secs(15), "{:?}", outcome.elapsed);
    eprintln!("{failure}");
}

#[test]
fn an_error_reply_is_reported_as_such() {
    let Some(outcome) = boot_guest("error", &hello(60), None) else { return };
    let failure = outcome.failure();
    let FailureKind::WrongReply { problem, .. } = &failure.kind else { panic!("{failure:?}") };
    assert_eq!(problem, "HTTP/1.0 500 Broken");
    assert!(outcome.elapsed < Duration::from_secs(50), "{:?}", outcome.elapsed);
}

/// A boot sector that prints a text on the serial port and stops.
fn boot_sector() -> Vec<u8> {
    #[rustfmt::skip]
    let code = [
        0xfa,                   // cli
        0xfc,                   // cld
        0x0e, 0x1f,             // push cs; pop ds
        0xba, 0xf8, 0x03,       // mov $0x3f8, %dx
        0xe8, 0x00, 0x00,       // call next
        0x5e,                   // next: pop %si
        0x83, 0xc6, 0x0d,       // add $(text - next), %si
        0xac,                   // again: lodsb
        0x84, 0xc0,             // test %al, %al
        0x74, 0x03,             // jz stop
        0xee,                   // out %al, (%dx)
        0xeb, 0xf8,             // jmp again
        0xf4,                   // stop: hlt
    ];
    let mut sector = code.to_vec();
    sector.extend_from_slice(b"hello from the boot sector\r\n\0");
    sector.resize(510, 0);
    sector.extend_from_slice(&[0x55, 0xaa]);
    sector
}

/// A FAT file system from which the firmware's shell prints a text.
fn efi_file_system(directory: &Path) -> Option<PathBuf> {
    let (mformat, mcopy) = (tool("mformat")?, tool("mcopy")?);
    let (image, script) = (directory.join("efi.img"), directory.join("startup.nsh"));
    fs::write(&image, vec![0; 1440 << 10]).unwrap();
    fs::write(&script, "echo hello from the firmware\r\n").unwrap();
    run(&mformat, &["-i".as_ref(), image.as_ref(), "-f".as_ref(), "1440".as_ref(), "::".as_ref()]);
    run(&mcopy, &["-i".as_ref(), image.as_ref(), script.as_ref(), "::/startup.nsh".as_ref()]);
    Some(image)
}

/// A CD with an El Torito entry for the image.
fn cd(directory: &Path, image: &Path, entry: &str) -> Option<PathBuf> {
    let xorriso = tool("xorriso")?;
    let tree = directory.join("tree");
    fs::create_dir(&tree).unwrap();
    fs::copy(image, tree.join("boot.img")).unwrap();
    let iso = directory.join("a, b.iso");
    let options = ["-as", "mkisofs", "-quiet", entry, "boot.img", "-no-emul-boot", "-o"];
    let mut arguments: Vec<&OsStr> = options.iter().map(OsStr::new).collect();
    arguments.extend([iso.as_os_str(), tree.as_os_str()]);
    run(&xorriso, &arguments);
    Some(iso)
}

#[test]
fn the_bios_boots_a_cd_and_a_disk_which_stays_as_it_is() {
    let Some(_) = tool("qemu-system-x86_64") else { return };
    let scratch = scratch();
    let sector = scratch.path().join("disk.img");
    let mut bytes = boot_sector();
    bytes.resize(1 << 20, 0);
    fs::write(&sector, &bytes).unwrap();
    let check = text("hello from the boot sector", 30);
    let outcome = boot_with(Medium::Disk(sector.clone()), Firmware::Bios, &check, None);
    eprintln!("BIOS disk: {:.2} s", outcome.report().seconds);
    assert_eq!(fs::read(&sector).unwrap(), bytes);

    fs::write(&sector, &bytes[..2048]).unwrap();
    let Some(iso) = cd(scratch.path(), &sector, "-b") else { return };
    let outcome = boot_with(Medium::Cd(iso), Firmware::Bios, &check, None);
    eprintln!("BIOS CD: {:.2} s", outcome.report().seconds);
    assert_eq!((outcome.report().firmware, outcome.report().reply.as_ref()), (Firmware::Bios, None));
}

#[test]
fn uefi_firmware_boots_a_cd_and_a_disk() {
    let Some(_) = tool("qemu-system-x86_64") else { return };
    let scratch = scratch();
    let Some(image) = efi_file_system(scratch.path()) else { return };
    let check = text("hello from the firmware", 90);
    let outcome = boot_with(Medium::Disk(image.clone()), Firmware::Uefi, &check, None);
    eprintln!("UEFI disk: {:.2} s", outcome.report().seconds);
    let Some(iso) = cd(scratch.path(), &image, "-e") else { return };
    let outcome = boot_with(Medium::Cd(iso), Firmware::Uefi, &check, None);
    eprintln!("UEFI CD: {:.2} s", outcome.report().seconds);
}

#[test]
fn what_cannot_be_run_is_told_apart_from_a_guest_that_fails() {
    let Some(_) = tool("qemu-system-x86_64") else { return };
    let missing = Medium::Cd("/does/not/exist.iso".into());
    let outcome = boot_with(missing, Firmware::Bios, &hello(5), None);
    assert!(matches!(outcome.result, Err(BootError::Medium { .. })), "{:?}", outcome.result);

    let scratch = scratch();
    let empty = scratch.path().join("empty");
    fs::write(&empty, "").unwrap();
    let no_kernel = Medium::Kernel { kernel: empty.clone(), initrd: empty, args: String::new() };
    let outcome = boot_with(no_kernel, Firmware::Bios, &hello(5), None);
    assert!(matches!(outcome.result, Err(BootError::Refused { .. })), "{:?}", outcome.result);
}
