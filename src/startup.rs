//! A recipe's startup lines, modules and network become `/init` and its plan, the text file `/init.plan`.
//!
//! The surprise: no shell is needed. A startup line of plain words is taken apart here, when the image is made, and
//! `/init` (see [`crate::init`]) starts the program itself; only a line with shell syntax needs `/bin/sh` in the image.
//!
//! # `/init.plan`
//!
//! One directive a line, carried out from top to bottom; blank lines and lines that begin with `#` are comments.
//!
//! | line | effect |
//! | --- | --- |
//! | `environment NAME=VALUE...` | variables of every command that follows |
//! | `module PATH` | loads a kernel module; that it is there already is fine |
//! | `network INTERFACE ADDRESS/PREFIX [GATEWAY]` | waits up to 5 s for the interface, then brings it up |
//! | `with NAME=VALUE...` | variables of the next command only |
//! | `run PROGRAM ARGUMENT...` | starts a program on the console and waits for its end |
//! | `background PROGRAM ARGUMENT...` | starts a program with `/dev/null` as its input and goes on |
//!
//! Words are separated by one space. In a word a backslash is `\\`, a space `\x20`, and any other byte can be `\xNN`
//! with two lower-case digits; the empty word is `\e`. A program without a slash is looked for in PATH.
//!
//! Before the first line `/init` mounts `/dev`, `/proc`, `/sys` and `/tmp` and brings `lo` up. After the last line it
//! switches the machine off; if there was no `run`, first it waits until all programs in the background have ended.
//!
//! # What it says
//!
//! `/init` talks on the console in lines that begin with `minroot: `, and [`crate::init`]'s users may rely on them:
//!
//! ```text
//! minroot: starting /usr/bin/node /srv/hello.js
//! minroot: cannot start /usr/bin/node: No such file or directory
//! minroot: /usr/bin/node exited with status 1
//! minroot: /usr/bin/node was ended by signal 11
//! minroot: cannot load /usr/lib/modules/6.1/virtio.ko: not a module for this kernel
//! minroot: cannot configure eth0: No such device
//! ```

mod command;
pub mod illumos;
mod kernel;

pub use command::{Command, command_line};
pub use kernel::kernel_args;

use crate::init;
use crate::init::plan::{netmask, parse_address, parse_address_and_prefix};
use crate::objects::script::Script;
use crate::objects::{Format, sniff};
use crate::path::{RootPath, escaped};
use crate::recipe::{Network, Startup};

/// The directories in which a program without a slash in its name is looked for, in order.
pub const PROGRAM_DIRECTORIES: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// What runtime linkers of Linux know a library path by (ld.so(8)).
pub const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

/// The longest interface name in bytes: `IFNAMSIZ` of the kernel, less the NUL byte.
const MAX_INTERFACE_NAME: usize = 15;

/// What an image does when it starts.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// The image's architecture, in the kernel's word: `x86_64`, `aarch64`.
    pub arch: &'a str,
    /// Kernel modules, uncompressed, in load order.
    pub modules: &'a [RootPath],
    pub commands: &'a [Startup],
    pub network: Option<&'a Network>,
    /// Directories of [`LIBRARY_PATH`]; the variable is not set without any.
    pub library_path: &'a [String],
}

/// A regular file that minroot makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedFile {
    pub path: RootPath,
    /// Permission bits.
    pub mode: u32,
    pub bytes: Vec<u8>,
}

impl GeneratedFile {
    /// The `#!` line, when the file is a script with a good one.
    pub fn script(&self) -> Option<Script<'_>> {
        let is_script = sniff(&self.bytes) == Format::Script;
        is_script.then(|| Script::parse(&self.bytes).ok()).flatten()
    }
}

/// Why a recipe's startup cannot become an image's; each names the recipe's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartupError {
    #[error("the recipe has no [[startup]], so the image would start nothing")]
    NothingToStart,
    #[error("this minroot has no init for {arch}")]
    NoInit { arch: String },
    #[error("the startup line `{}` has no command", escaped(.run.as_bytes()))]
    NoCommand { run: String },
    #[error("the startup line `{}` has a {quote} without its partner", escaped(.run.as_bytes()))]
    UnterminatedQuote { run: String, quote: char },
    #[error("the startup line `{}` ends with a backslash", escaped(.run.as_bytes()))]
    TrailingBackslash { run: String },
    #[error("the startup line `{}` has a NUL byte", escaped(.run.as_bytes()))]
    Nul { run: String },
    #[error("the network's interface `{}` is no name of an interface", escaped(.interface.as_bytes()))]
    Interface { interface: String },
    #[error("the network's address `{}` is no IPv4 address with a prefix length", escaped(.address.as_bytes()))]
    Address { address: String },
    #[error("the network's address `{address}` cannot be a machine's")]
    NotAHost { address: String },
    #[error("the network's gateway `{}` is no IPv4 address", escaped(.gateway.as_bytes()))]
    Gateway { gateway: String },
    #[error("the network's gateway `{gateway}` is not in the network of `{address}`")]
    GatewayOutside { gateway: String, address: String },
}

impl StartupError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            StartupError::NothingToStart => "add [[startup]] with run = \"/path/of/program\"",
            StartupError::NoInit { .. } => {
                "build minroot on Linux for the image's architecture, x86_64 or aarch64, and make the image with that"
            }
            StartupError::NoCommand { .. } => "write a program after the variables",
            StartupError::UnterminatedQuote { .. } => "close the quote, or put a backslash before it",
            StartupError::TrailingBackslash { .. } => "write \\\\ for a backslash",
            StartupError::Nul { .. } => "take it out; no argument of a program can hold one",
            StartupError::Interface { .. } => "give 1 to 15 bytes without space, slash and colon, such as eth0",
            StartupError::Address { .. } => "write it as 10.0.2.15/24, with a prefix of 1 to 32 bits",
            StartupError::NotAHost { .. } => "give an address from 1.0.0.0 to 223.255.255.255 that is not 127.x.x.x",
            StartupError::Gateway { .. } => "write it as 10.0.2.2, without a prefix length",
            StartupError::GatewayOutside { .. } => "correct the prefix length or the gateway",
        }
    }
}

/// Makes `/init` and `/init.plan`.
///
/// # Errors
/// [`StartupError`]; a plan that is written is one that `/init` can read.
pub fn generate(plan: &Plan<'_>) -> Result<Vec<GeneratedFile>, StartupError> {
    let text = plan_text(plan)?;
    let program = init::program(plan.arch).ok_or_else(|| StartupError::NoInit { arch: plan.arch.to_owned() })?;
    let file = |name: &[u8], mode, bytes| GeneratedFile { path: RootPath::root().join(name), mode, bytes };
    Ok(vec![file(b"init", 0o755, program.to_vec()), file(b"init.plan", 0o644, text.into_bytes())])
}

/// The text of `/init.plan`.
fn plan_text(plan: &Plan<'_>) -> Result<String, StartupError> {
    if plan.commands.is_empty() {
        return Err(StartupError::NothingToStart);
    }
    let mut text = "# Made by minroot: what /init does, from top to bottom.\n".to_owned();
    let path = format!("PATH={}", PROGRAM_DIRECTORIES.join(":"));
    write_line(&mut text, "environment", [&*path, "HOME=/", "TERM=linux"]);
    if !plan.library_path.is_empty() {
        write_line(&mut text, "environment", [format!("{LIBRARY_PATH}={}", plan.library_path.join(":"))]);
    }
    for module in plan.modules {
        write_line(&mut text, "module", [module.as_bytes()]);
    }
    if let Some(network) = plan.network {
        write_line(&mut text, "network", network_words(network)?);
    }
    for startup in plan.commands {
        write_command(&mut text, startup)?;
    }
    Ok(text)
}

fn write_command(text: &mut String, startup: &Startup) -> Result<(), StartupError> {
    let keyword = if startup.background { "background" } else { "run" };
    match command_line(&startup.run)? {
        Command::Words { environment, words } => {
            if !environment.is_empty() {
                write_line(text, "with", environment);
            }
            write_line(text, keyword, words);
        }
        Command::Shell { script } => write_line(text, keyword, [command::SHELL, "-c", &script]),
    }
    Ok(())
}

fn write_line<W: AsRef<[u8]>>(text: &mut String, keyword: &str, words: impl IntoIterator<Item = W>) {
    text.push_str(keyword);
    for word in words {
        text.push(' ');
        text.push_str(&encode(word.as_ref()));
    }
    text.push('\n');
}

/// A word of the plan; [`crate::init::plan`] decodes it.
fn encode(word: &[u8]) -> String {
    if word.is_empty() { "\\e".to_owned() } else { escaped(word).to_string().replace(' ', "\\x20") }
}

fn network_words(network: &Network) -> Result<Vec<&str>, StartupError> {
    let Network { interface, address, gateway } = network;
    if !is_interface_name(interface.as_bytes()) {
        return Err(StartupError::Interface { interface: interface.clone() });
    }
    let Some((host, prefix)) = parse_address_and_prefix(address.as_bytes()) else {
        return Err(StartupError::Address { address: address.clone() });
    };
    if matches!(host[0], 0 | 127 | 224..) {
        return Err(StartupError::NotAHost { address: address.clone() });
    }
    let mut words = vec![&**interface, &**address];
    if let Some(gateway) = gateway {
        let Some(router) = parse_address(gateway.as_bytes()) else {
            return Err(StartupError::Gateway { gateway: gateway.clone() });
        };
        // The kernel takes a gateway only when an interface leads to it (ENETUNREACH otherwise).
        let network_of = |address: [u8; 4]| u32::from_be_bytes(address) & u32::from_be_bytes(netmask(prefix));
        if network_of(router) != network_of(host) {
            return Err(StartupError::GatewayOutside { gateway: gateway.clone(), address: address.clone() });
        }
        words.push(gateway);
    }
    Ok(words)
}

/// What the kernel accepts (`dev_valid_name` in net/core/dev.c), less bytes that cannot be shown.
fn is_interface_name(name: &[u8]) -> bool {
    (1..=MAX_INTERFACE_NAME).contains(&name.len())
        && !matches!(name, b"." | b"..")
        && name.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::plan::{Directive, Lines};

    fn startup(run: &str, background: bool) -> Startup {
        Startup { run: run.to_owned(), background, last: false }
    }

    fn network(interface: &str, address: &str, gateway: Option<&str>) -> Network {
        Network { interface: interface.into(), address: address.into(), gateway: gateway.map(str::to_owned) }
    }

    fn text(modules: &[RootPath], commands: &[Startup], network: Option<&Network>) -> Result<String, StartupError> {
        plan_text(&Plan { arch: std::env::consts::ARCH, modules, commands, network, library_path: &[] })
    }

    #[test]
    fn b23_a_library_path_is_in_the_environment_of_all_commands() {
        let library_path = &["/opt/my lib".to_owned(), "/alt".to_owned()];
        let (commands, network) = (&[startup("x", false)], None);
        let plan = Plan { arch: std::env::consts::ARCH, modules: &[], commands, network, library_path };
        let expected = "TERM=linux\nenvironment LD_LIBRARY_PATH=/opt/my\\x20lib:/alt\nrun x\n";
        assert!(plan_text(&plan).unwrap().ends_with(expected));
    }

    #[test]
    fn a_plan_is_text_that_people_can_read() {
        let modules = [RootPath::new("/usr/lib/modules/6.1/virtio ring.ko").unwrap()];
        let commands = [
            startup("/sbin/watch --quiet ''", true),
            startup("PORT=80 NAME='a b' node /srv/hello.js", false),
            startup("echo $HOME | cat", false),
        ];
        let network = network("eth0", "10.0.2.15/24", Some("10.0.2.2"));
        assert_eq!(
            text(&modules, &commands, Some(&network)).unwrap(),
            "# Made by minroot: what /init does, from top to bottom.\n\
             environment PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/ TERM=linux\n\
             module /usr/lib/modules/6.1/virtio\\x20ring.ko\n\
             network eth0 10.0.2.15/24 10.0.2.2\n\
             background /sbin/watch --quiet \\e\n\
             with PORT=80 NAME=a\\x20b\n\
             run node /srv/hello.js\n\
             run /bin/sh -c echo\\x20$HOME\\x20|\\x20cat\n"
        );
    }

    #[test]
    fn the_init_reads_back_every_byte_that_an_argument_can_hold() {
        let mut words: Vec<Vec<u8>> = (1..=255).map(|byte| vec![byte]).collect();
        words.extend(
            [b"".as_slice(), b"\\e", b"\\x20", b"caf\xc3\xa9 \xe2\x82\xac", b"# no comment"].map(<[u8]>::to_vec),
        );
        words.push((1..=255).rev().collect());
        let mut text = String::new();
        write_line(&mut text, "run", &words);
        let mut bytes = text.into_bytes();
        let mut lines = Lines::new(&mut bytes);
        let Some((1, Ok(Directive::Run(read)))) = lines.next() else { panic!("not one run directive") };
        let read: Vec<Vec<u8>> = read.map(|word| word.unwrap().to_bytes().to_vec()).collect();
        assert_eq!(read, words);
        assert!(lines.next().is_none());
    }

    #[test]
    fn the_init_reads_back_modules_and_network() {
        let modules = [RootPath::new(b"/m\xff\n.ko").unwrap()];
        let network = network("enp0s3", "192.168.59.59/24", None);
        let mut bytes = text(&modules, &[startup("x", false)], Some(&network)).unwrap().into_bytes();
        let mut lines = Lines::new(&mut bytes).map(|(_, line)| line.unwrap()).skip(1);
        assert!(matches!(lines.next(), Some(Directive::Module(path)) if path.to_bytes() == b"/m\xff\n.ko"));
        let Some(Directive::Network(read)) = lines.next() else { panic!("no network") };
        assert_eq!((read.interface, read.address, read.prefix), (c"enp0s3", [192, 168, 59, 59], 24));
        assert_eq!(read.gateway, None);
    }

    #[test]
    fn a_network_that_cannot_work_is_refused() {
        let cases = [
            (network("", "10.0.2.15/24", None), "the network's interface `` is no name of an interface"),
            (network("sixteen-bytes-xx", "10.0.2.15/24", None), "interface `sixteen-bytes-xx` is no name"),
            (network("eth0:1", "10.0.2.15/24", None), "interface `eth0:1` is no name"),
            (network("eth0\n", "10.0.2.15/24", None), "interface `eth0\\x0a` is no name"),
            (network("..", "10.0.2.15/24", None), "interface `..` is no name"),
            (network("eth0", "10.0.2.15", None), "address `10.0.2.15` is no IPv4 address with a prefix length"),
            (network("eth0", "10.0.2.15/33", None), "address `10.0.2.15/33` is no IPv4"),
            (network("eth0", "fe80::1/64", None), "address `fe80::1/64` is no IPv4"),
            (network("eth0", "0.0.0.0/8", None), "address `0.0.0.0/8` cannot be a machine's"),
            (network("eth0", "255.255.255.255/24", None), "cannot be a machine's"),
            (network("eth0", "127.0.0.2/8", None), "cannot be a machine's"),
            (network("eth0", "10.0.2.15/24", Some("10.0.2.2/24")), "gateway `10.0.2.2/24` is no IPv4 address"),
            (
                network("eth0", "10.0.2.15/24", Some("10.0.3.2")),
                "gateway `10.0.3.2` is not in the network of `10.0.2.15/24`",
            ),
        ];
        for (network, expected) in cases {
            let error = text(&[], &[startup("x", false)], Some(&network)).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(!error.hint().is_empty());
        }
        for good in ["10.0.2.15/32", "223.255.255.255/1"] {
            network_words(&network("fifteen-bytes-x", good, None)).unwrap();
        }
    }

    #[test]
    fn an_image_without_a_command_is_refused() {
        assert_eq!(text(&[], &[], None), Err(StartupError::NothingToStart));
    }

    #[test]
    fn the_init_is_a_small_static_executable_of_this_architecture_only() {
        let commands = &[startup("x", false)];
        let generate = |arch| generate(&Plan { arch, modules: &[], commands, network: None, library_path: &[] });
        assert_eq!(generate("riscv64"), Err(StartupError::NoInit { arch: "riscv64".to_owned() }));
        if cfg!(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))) {
            let files = generate(std::env::consts::ARCH).unwrap();
            assert_eq!(
                files.iter().map(|f| (f.path.to_string(), f.mode)).collect::<Vec<_>>(),
                [("/init".to_owned(), 0o755), ("/init.plan".to_owned(), 0o644)]
            );
            let elf = goblin::elf::Elf::parse(&files[0].bytes).unwrap();
            assert!(elf.interpreter.is_none() && elf.dynamic.is_none() && elf.syms.is_empty());
            assert!(files[0].bytes.len() <= 20 * 1024, "{} bytes", files[0].bytes.len());
        }
    }
}
