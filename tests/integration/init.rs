//! The init on a real kernel: images made with other tools' `cpio`, booted under QEMU's own processor emulation.
//!
//! The kernel and busybox are Debian's; they are downloaded by `apt-get download` once, into `target/test-cache`.

use crate::support::{run, scratch, tool};
use minroot::path::RootPath;
use minroot::recipe::{Network, Startup};
use minroot::startup::{self, Plan, generate, kernel_args};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// What makes a virtio network card work on Debian's cloud kernel, in load order.
const VIRTIO_MODULES: [&str; 8] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
];

/// Messages of the kernel may come in the middle of a line, so only emergencies are shown, such as "Power down". On a
/// busy machine the emulated timer can be so late that the kernel takes it for broken and panics, unless it is told
/// not to look (`no_timer_check`).
const KERNEL_ARGS: &str = "console=ttyS0 loglevel=1 no_timer_check";

/// A boot takes about five seconds; a busy machine takes longer.
const BOOT_DEADLINE: Duration = Duration::from_secs(120);

#[test]
fn commands_run_in_order_and_each_failure_is_told() {
    let Some(parts) = parts() else { return };
    let image = Image::new(parts);
    image.write("srv/text", 0o644, "no program\n");
    image.write("srv/orphaned-script", 0o755, "#!/no/interpreter\n");
    let modules = ["/lib/virtio_net.ko", "/srv/text", "/lib/none.ko", "/lib/failover.ko", "/lib/failover.ko"];
    let network = Network { interface: "eth9".into(), address: "10.0.2.15/24".into(), gateway: None };
    let commands = [
        background("/bin/busybox sleep 1000"),
        foreground("/bin/busybox true"),
        foreground("printf unfinished; exit 3"),
        foreground("/bin/busybox sh -c 'kill -9 $$'"),
        foreground("/no/such/program"),
        foreground("no-such-name"),
        foreground("/srv/orphaned-script"),
        foreground("/srv/text"),
        foreground("GREETING='hello  world' busybox env"),
        foreground("busybox sh -c 'echo terminal >/dev/tty'"),
        foreground("busybox sh -c '(sleep 0.1 &)'"),
        foreground(
            "sleep 0.5; grep -l 'State:.*zombie' /proc/[0-9]*/status; echo looked for zombies; cat /proc/mounts",
        ),
    ];
    let mut guest = image.boot(&modules, &commands, Some(&network), &[]);
    let console = guest.console_to_the_end();
    for line in [
        "minroot: cannot load /lib/virtio_net.ko: unknown symbol, as a module that it needs is not loaded",
        "minroot: cannot load /srv/text: not a module for this kernel",
        "minroot: cannot load /lib/none.ko: No such file or directory",
        "minroot: cannot configure eth9: No such device",
        "minroot: starting /bin/busybox sleep 1000",
        "minroot: starting /bin/busybox true",
        "minroot: starting /bin/sh -c printf unfinished; exit 3",
        "minroot: /bin/sh exited with status 3",
        "minroot: /bin/busybox was ended by signal 9",
        "minroot: cannot start /no/such/program: No such file or directory",
        "minroot: cannot start no-such-name: No such file or directory",
        "minroot: cannot start /srv/orphaned-script: its interpreter (the PT_INTERP or #! line names it) is missing",
        "minroot: cannot start /srv/text: Permission denied",
        "GREETING=hello  world",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME=/",
        "TERM=linux",
        "terminal",
        "looked for zombies",
    ] {
        assert!(console.iter().any(|seen| seen == line), "no line `{line}` in\n{}", console.join("\n"));
    }
    for mount in ["devtmpfs /dev ", "proc /proc ", "sysfs /sys ", "tmpfs /tmp "] {
        assert!(console.iter().any(|seen| seen.starts_with(mount)), "no `{mount}` in\n{}", console.join("\n"));
    }
    assert!(!console.iter().any(|line| line.starts_with("minroot: cannot load /lib/failover.ko")));
    assert!(!console.iter().any(|line| line.starts_with("minroot: /bin/busybox exited")), "success is not told");
    assert!(!console.iter().any(|line| line.starts_with("/proc/")), "zombies in\n{}", console.join("\n"));
    assert!(console.iter().any(|line| line.contains("reboot: Power down")), "{}", console.join("\n"));
}

#[test]
fn an_address_answers_and_the_machine_goes_off_with_its_last_background_program() {
    let Some(parts) = parts() else { return };
    let image = Image::new(parts);
    image.write("srv/index.html", 0o644, "hello from the guest\n");
    image.write(
        "srv/cgi-bin/stop",
        0o755,
        "#!/bin/sh\nkill $(cat /tmp/server)\nprintf 'Content-Type: text/plain\\n\\nbye\\n'\n",
    );
    let modules = VIRTIO_MODULES.map(|name| format!("/lib/{name}.ko"));
    let network =
        Network { interface: "eth0".into(), address: "10.0.2.15/24".into(), gateway: Some("10.0.2.2".into()) };
    let commands = [
        background("echo $$ >/tmp/server; exec busybox httpd -f -p 80 -h /srv"),
        background("busybox sh -c 'busybox ip route >/dev/console; read line || exit 4'"),
    ];
    let port = free_port();
    let forward = format!("user,id=net,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:{port}-:80");
    let modules: Vec<&str> = modules.iter().map(String::as_str).collect();
    let mut guest = image.boot(
        &modules,
        &commands,
        Some(&network),
        &["-netdev", &forward, "-device", "virtio-net-pci,netdev=net,romfile="],
    );
    guest.wait_for("minroot: starting /bin/sh -c echo");
    let page = guest.get(port, "/index.html");
    assert!(page.contains("hello from the guest"), "{page}");
    guest.stop(port);
    let console = guest.console_to_the_end();
    for line in [
        "default via 10.0.2.2 dev eth0 ",
        "10.0.2.0/24 dev eth0 scope link  src 10.0.2.15 ",
        "minroot: busybox exited with status 4",
        "minroot: /bin/sh was ended by signal 15",
    ] {
        assert!(console.iter().any(|seen| seen == line), "no line `{line}` in\n{}", console.join("\n"));
    }
    assert!(!console.iter().any(|line| line.contains("minroot: cannot")), "{}", console.join("\n"));
    assert!(console.iter().any(|line| line.contains("reboot: Power down")), "{}", console.join("\n"));
}

#[test]
fn the_init_has_the_same_bytes_wherever_it_is_built() {
    let (Some(rustc), Some(_)) = (tool("rustc"), tool("cc")) else { return };
    let build = |directory: &Path| {
        fs::create_dir_all(directory.join("src/init")).unwrap();
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        for entry in fs::read_dir(package.join("src/init")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), directory.join("src/init").join(entry.file_name())).unwrap();
        }
        let script = directory.join("build-script");
        let source = package.join("build.rs");
        let to = OsStr::new("-o");
        run(&rustc, &["--edition=2024".as_ref(), source.as_os_str(), to, script.as_os_str()]);
        let status = Command::new(&script)
            .env("RUSTC", &rustc)
            .env("TARGET", host(&rustc))
            .env("CARGO_CFG_TARGET_OS", "linux")
            .env("CARGO_CFG_TARGET_ARCH", std::env::consts::ARCH)
            .env("CARGO_CFG_TARGET_ENV", if cfg!(target_env = "musl") { "musl" } else { "gnu" })
            .env("CARGO_MANIFEST_DIR", directory)
            .env("OUT_DIR", directory)
            .stdout(Stdio::null())
            .status();
        assert!(status.unwrap().success());
        fs::read(directory.join("init")).unwrap()
    };
    let (short, long) = (scratch(), scratch());
    let long = long.path().join("a directory/with/a/longer/name");
    assert_eq!(build(short.path()), build(&long));
}

#[test]
fn a_startup_line_is_split_as_the_shell_splits_it() {
    let Some(sh) = tool("sh") else { return };
    // Any line of these pieces; a linear congruential generator makes the same ones every time.
    let pieces = [
        "a", "b", " ", " ", "'", "'", "\"", "\"", "\\", "=", "~", "#", "!", "{", "}", "-", "\t", "$x", "\n", "é", "if",
    ];
    let mut random = 1u32;
    let mut next = |below: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as usize % below
    };
    let (mut script, mut expected, mut n_lines) = (String::new(), String::new(), 0);
    for _ in 0..20_000 {
        let line: String = (0..next(12)).map(|_| pieces[next(pieces.len())]).collect();
        // In the first place an assignment is none of the words; behind `printf` it would be one.
        if let Ok(startup::Command::Words { environment, words }) = startup::command_line(&line)
            && environment.is_empty()
        {
            script += &format!("printf '%s|' {}\necho\n", line.trim_start_matches(char::is_whitespace));
            expected += &(words.join("|") + "|\n");
            n_lines += 1;
        }
    }
    eprintln!("{n_lines} lines of plain words");
    assert!(n_lines > 1000);
    let seen = String::from_utf8(run(&sh, &["-c".as_ref(), script.as_ref()])).unwrap();
    for (seen, expected) in seen.lines().zip(expected.lines()) {
        assert_eq!(seen, expected);
    }
    assert_eq!(seen, expected);
}

/// The system that a compiler runs on, such as `x86_64-unknown-linux-gnu`.
fn host(rustc: &Path) -> String {
    let version = String::from_utf8(run(rustc, &["-vV".as_ref()])).unwrap();
    version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc tells its host").to_owned()
}

fn foreground(run: &str) -> Startup {
    Startup { run: run.to_owned(), background: false, last: false }
}

fn background(run: &str) -> Startup {
    Startup { run: run.to_owned(), background: true, last: false }
}

/// What the images are made of.
struct Parts {
    qemu: PathBuf,
    cpio: PathBuf,
    kernel: PathBuf,
    modules: Vec<PathBuf>,
    busybox: PathBuf,
}

/// The parts, or `None` with a message where they cannot be had.
fn parts() -> Option<&'static Parts> {
    static PARTS: LazyLock<Option<Parts>> = LazyLock::new(|| {
        if !cfg!(target_arch = "x86_64") {
            eprintln!("skipped: the kernel under test is for x86_64");
            return None;
        }
        let (qemu, cpio) = (tool("qemu-system-x86_64")?, tool("cpio")?);
        let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-cache");
        let kernel_package = dependency_of("linux-image-cloud-amd64", "linux-image-")?;
        let kernel_tree = unpacked(&kernel_package, &cache)?;
        let busybox = unpacked("busybox-static", &cache)?.join("bin/busybox");
        let version = kernel_package.strip_prefix("linux-image-")?.to_owned();
        let listing = run(Path::new("/usr/bin/find"), &[kernel_tree.as_os_str(), "-name".as_ref(), "*.ko".as_ref()]);
        let listing = String::from_utf8(listing).expect("file names of Debian's kernel are ASCII");
        let modules = VIRTIO_MODULES.map(|name| {
            let suffix = format!("/{name}.ko");
            let found = listing.lines().find(|line| line.ends_with(&suffix));
            PathBuf::from(found.unwrap_or_else(|| panic!("{kernel_package} has no module {name}")))
        });
        let kernel = kernel_tree.join(format!("boot/vmlinuz-{version}"));
        Some(Parts { qemu, cpio, kernel, modules: modules.into(), busybox })
    });
    PARTS.as_ref()
}

/// The real package behind a metapackage: the dependency whose name begins with `prefix`.
fn dependency_of(package: &str, prefix: &str) -> Option<String> {
    let listing = String::from_utf8(run(&tool("apt-cache")?, &["depends".as_ref(), package.as_ref()])).ok()?;
    let mut dependencies = listing.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    dependencies.find(|name| name.starts_with(prefix)).map(str::to_owned)
}

/// The content of a Debian package, downloaded if need be. It gets its final name when it is complete, so that a test
/// that was interrupted leaves nothing to trip over.
fn unpacked(package: &str, cache: &Path) -> Option<PathBuf> {
    let tree = cache.join(package);
    if tree.is_dir() {
        return Some(tree);
    }
    fs::create_dir_all(cache).expect("target can be written to");
    let work = tempfile::tempdir_in(cache).expect("target can be written to");
    let downloaded = Command::new(tool("apt-get")?)
        .args(["-q", "-o", "APT::Sandbox::User=root", "download", package])
        .current_dir(work.path())
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !downloaded {
        assert!(std::env::var_os("CI").is_none(), "cannot download {package}");
        eprintln!("skipped: cannot download {package}");
        return None;
    }
    let mut files = fs::read_dir(work.path()).expect("a directory").map(|entry| entry.expect("an entry").path());
    let archive = files.find(|file| file.extension() == Some(OsStr::new("deb"))).expect("apt-get made a .deb");
    let content = work.path().join("content");
    run(&tool("dpkg")?, &["-x".as_ref(), archive.as_os_str(), content.as_os_str()]);
    // Another test process may have been faster; its copy is as good.
    if fs::rename(&content, &tree).is_err() {
        assert!(tree.is_dir(), "cannot rename to {}", tree.display());
    }
    Some(tree)
}

/// The tree of an image in the making: busybox as program and as shell, and the virtio modules in `/lib`.
struct Image {
    parts: &'static Parts,
    directory: tempfile::TempDir,
}

impl Image {
    fn new(parts: &'static Parts) -> Image {
        let image = Image { parts, directory: scratch() };
        for directory in ["bin", "lib", "srv/cgi-bin"] {
            fs::create_dir_all(image.tree().join(directory)).unwrap();
        }
        fs::copy(&parts.busybox, image.tree().join("bin/busybox")).unwrap();
        symlink("busybox", image.tree().join("bin/sh")).unwrap();
        for module in &parts.modules {
            fs::copy(module, image.tree().join("lib").join(module.file_name().unwrap())).unwrap();
        }
        image
    }

    fn tree(&self) -> PathBuf {
        self.directory.path().join("tree")
    }

    fn write(&self, path: &str, mode: u32, content: impl AsRef<[u8]>) {
        let path = self.tree().join(path);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Adds `/init` and its plan, packs the tree with the real cpio and starts a machine with it.
    fn boot(self, modules: &[&str], commands: &[Startup], network: Option<&Network>, devices: &[&str]) -> Guest {
        let modules: Vec<RootPath> = modules.iter().map(|path| RootPath::new(path).unwrap()).collect();
        let plan = Plan { arch: "x86_64", modules: &modules, commands, network, library_path: &[] };
        for file in generate(&plan).expect("a plan") {
            if file.path.as_bytes() == b"/init" {
                eprintln!("/init has {} bytes", file.bytes.len());
            }
            self.write(file.path.to_string().trim_start_matches('/'), file.mode, file.bytes);
        }
        let archive = self.directory.path().join("initrd");
        self.pack(&archive);
        Guest::start(self, &archive, devices)
    }

    fn pack(&self, archive: &Path) {
        let names = run(
            Path::new("/usr/bin/find"),
            &[self.tree().as_os_str(), "-mindepth".as_ref(), "1".as_ref(), "-printf".as_ref(), "%P\\n".as_ref()],
        );
        let mut cpio = Command::new(&self.parts.cpio)
            .args(["--quiet", "-o", "-H", "newc", "-R", "0:0"])
            .current_dir(self.tree())
            .stdin(Stdio::piped())
            .stdout(fs::File::create(archive).unwrap())
            .spawn()
            .unwrap();
        cpio.stdin.take().unwrap().write_all(&names).unwrap();
        assert!(cpio.wait().unwrap().success());
    }
}

/// A running machine, ended with the value.
struct Guest {
    qemu: Child,
    lines: Receiver<String>,
    console: Vec<String>,
    started: Instant,
    _image: Image,
}

impl Guest {
    fn start(image: Image, archive: &Path, devices: &[&str]) -> Guest {
        let started = Instant::now();
        let mut qemu = Command::new(&image.parts.qemu)
            .args(["-accel", "tcg", "-cpu", "max", "-machine", "q35", "-m", "256", "-nodefaults", "-no-user-config"])
            .args(["-no-reboot", "-display", "none", "-monitor", "none", "-serial", "stdio"])
            .arg("-kernel")
            .arg(&image.parts.kernel)
            .arg("-initrd")
            .arg(archive)
            .args(["-append", &kernel_args(Some(KERNEL_ARGS))])
            .args(devices)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(qemu.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Guest { qemu, lines, console: Vec::new(), started, _image: image }
    }

    /// The next line of the console; `None` when the machine is off.
    fn next_line(&mut self) -> Option<String> {
        let left = BOOT_DEADLINE.saturating_sub(self.started.elapsed());
        let received = self.lines.recv_timeout(left);
        match received {
            Ok(line) => {
                if self.console.is_empty() {
                    eprintln!("{:.2} s: first line of the console", self.started.elapsed().as_secs_f64());
                } else if line.starts_with("minroot: ") {
                    eprintln!("{:.2} s: {line}", self.started.elapsed().as_secs_f64());
                }
                self.console.push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the machine does not end:\n{}", self.console.join("\n")),
        }
    }

    fn wait_for(&mut self, beginning: &str) {
        while let Some(line) = self.next_line() {
            if line.starts_with(beginning) {
                return;
            }
        }
        panic!("no line `{beginning}` in\n{}", self.console.join("\n"));
    }

    /// Everything on the console, after the machine is off.
    fn console_to_the_end(&mut self) -> Vec<String> {
        while self.next_line().is_some() {}
        let status = self.qemu.wait().unwrap();
        assert!(status.success(), "qemu: {status}");
        self.console.clone()
    }

    /// Asks until there is an answer: the program has been started, but does not listen yet.
    fn get(&self, port: u16, path: &str) -> String {
        while self.started.elapsed() < BOOT_DEADLINE {
            match request(port, path) {
                Ok(reply) if !reply.is_empty() => {
                    eprintln!("{:.2} s: answer", self.started.elapsed().as_secs_f64());
                    return reply;
                }
                _ => std::thread::sleep(Duration::from_millis(100)),
            }
        }
        panic!("no answer:\n{}", self.console.join("\n"))
    }

    /// Asks for the end until the machine is off. The reply may get lost with the server, and so may a request that
    /// a busy machine did not read in time.
    fn stop(&mut self, port: u16) {
        while self.started.elapsed() < BOOT_DEADLINE && self.qemu.try_wait().unwrap().is_none() {
            let _ = request(port, "/cgi-bin/stop");
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

fn request(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut reply = String::new();
    stream.take(1 << 16).read_to_string(&mut reply)?;
    Ok(reply)
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
