//! Kernel modules and firmware from a root into an image, with kmod's own programs as judges of what is in it.

use crate::command::{minroot, output_of, succeed, text};
use crate::support::{run, scratch, tool};
use minroot::manifest::{Content, Manifest, json};
use minroot::modules::ModuleName;
use minroot::path::RootPath;
use minroot::root::Root;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

const VERSION: &str = "6.1.0-test";

/// A root with a kernel whose modules the test makes, and something that loads them.
struct Kernel {
    directory: tempfile::TempDir,
    gcc: PathBuf,
}

/// What minroot made of the root.
struct Image {
    manifest: Manifest,
    /// Unpacked.
    tree: PathBuf,
    messages: String,
}

impl Kernel {
    fn new() -> Option<Kernel> {
        let kernel = Kernel { directory: scratch(), gcc: tool("gcc")? };
        kernel.write(&format!("boot/vmlinuz-{VERSION}"), b"kernel");
        let source = kernel.directory.path().join("modprobe.c");
        fs::write(&source, "int main(void) { return 0; }").unwrap();
        let program = kernel.host("sbin/modprobe");
        run(&kernel.gcc, &["-static".as_ref(), "-o".as_ref(), program.as_os_str(), source.as_os_str()]);
        Some(kernel)
    }

    fn host(&self, path: &str) -> PathBuf {
        let host = self.directory.path().join("root").join(path);
        fs::create_dir_all(host.parent().unwrap()).unwrap();
        host
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        fs::write(self.host(path), bytes).unwrap();
    }

    fn link(&self, target: &str, path: &str) {
        symlink(target, self.host(path)).unwrap();
    }

    /// A module with these `.modinfo` fields; a program named in `compress` makes `path` of it, with its suffix.
    fn module(&self, name: &str, fields: &[&str], compress: Option<(&str, &str)>) -> Option<Vec<u8>> {
        let source = self.directory.path().join("module.c");
        let field = |(n, field): (usize, &&str)| {
            format!(
                "static const char f{n}[] __attribute__((section(\".modinfo\"), used, aligned(1))) = \"{field}\";\n"
            )
        };
        fs::write(&source, fields.iter().enumerate().map(field).collect::<String>()).unwrap();
        let file = self.host(&format!("lib/modules/{VERSION}/kernel/{name}"));
        run(&self.gcc, &["-c".as_ref(), "-o".as_ref(), file.as_os_str(), source.as_os_str()]);
        let bytes = fs::read(&file).unwrap();
        if let Some((program, suffix)) = compress {
            let packed = run(&tool(program)?, &["-c".as_ref(), "-q".as_ref(), file.as_os_str()]);
            fs::remove_file(&file).unwrap();
            self.write(&format!("lib/modules/{VERSION}/kernel/{name}{suffix}"), &packed);
        }
        Some(bytes)
    }

    fn image(&self, modules: &[&str]) -> Image {
        let at = |name: &str| self.directory.path().join(name);
        let recipe = format!("system = \"linux\"\n[trace]\ntargets = [\"/sbin/modprobe\"]\nmodules = {modules:?}\n");
        fs::write(at("recipe.toml"), recipe).unwrap();
        let mut trace = minroot(["trace", "--root"]);
        let output = output_of(trace.arg(at("root")).arg(at("recipe.toml")).arg("-o").arg(at("manifest.json")));
        assert_ne!(output.status.code(), Some(2), "{}", text(&output.stderr));
        let tree = at("tree");
        let _ = fs::remove_dir_all(&tree);
        let mut pack = minroot(["pack", "--format", "dir", "--compress", "none", "--root"]);
        succeed(pack.arg(at("root")).arg("-m").arg(at("manifest.json")).arg("-o").arg(&tree));
        let manifest = json::read(&fs::read(at("manifest.json")).unwrap()).unwrap();
        Image { manifest, tree, messages: text(&output.stderr) }
    }
}

impl Image {
    fn link(&self, path: &str) -> Option<String> {
        match &self.manifest.entry(&RootPath::new(path).unwrap())?.content {
            Content::Symlink { target } => Some(text(target)),
            _ => None,
        }
    }

    /// The content at the end of a path's links, none of which leads out of the image.
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let root = Root::open(&self.tree).unwrap();
        root.read_optional(&RootPath::new(path).unwrap()).unwrap()
    }

    /// Bytes of the regular files below a directory.
    fn bytes_below(&self, directory: &str) -> u64 {
        let files = self.manifest.entries.iter().filter(|entry| entry.path.to_string().starts_with(directory));
        files.map(|entry| if let Content::File { size, .. } = entry.content { size } else { 0 }).sum()
    }

    /// What modprobe would load for a name, by the indexes of the image and nothing of this machine.
    fn modprobe(&self, name: &str) -> Option<Vec<ModuleName>> {
        let none = scratch();
        let mut command = Command::new(tool("modprobe")?);
        command.args(["-C".as_ref(), none.path().as_os_str(), "-d".as_ref(), self.tree.as_os_str()]);
        let output = output_of(command.args(["-S", VERSION, "--show-depends", name]));
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        let loaded = text(&output.stdout);
        let files = loaded.lines().map(|line| line.trim().strip_prefix("insmod ").expect("a file").to_owned());
        Some(
            files.inspect(|file| assert!(file.ends_with(".ko"), "{file}")).map(|file| ModuleName::new(&file)).collect(),
        )
    }
}

#[test]
fn b65_b66_b72_modules_of_any_spelling_and_compression_load_from_the_image_as_they_are() {
    let Some(kernel) = Kernel::new() else { return };
    let made = [
        ("virtio-core.ko", &["depends="][..], None),
        ("net_fail-over.ko", &["depends=virtio_core"], Some(("xz", ".xz"))),
        (
            "virtio_net-x.ko",
            &["depends=net-fail_over", "alias=virtio:d1v*", "softdep=pre: extra-one"],
            Some(("gzip", ".gz")),
        ),
        ("extra_one.ko", &["depends=virtio-core"], Some(("zstd", ".zst"))),
        ("signed.ko", &["depends=virtio_net_x"], None),
    ];
    let mut plain = Vec::new();
    for (name, fields, compress) in made {
        let Some(bytes) = kernel.module(name, fields, compress) else { return };
        plain.push((name, bytes));
    }
    // What signs a module follows its last byte.
    let signed = [&plain.pop().unwrap().1[..], b"signature~Module signature appended~\n"].concat();
    kernel.write(&format!("lib/modules/{VERSION}/kernel/signed.ko"), &signed);
    plain.push(("signed.ko", signed));

    let expected = ["virtio_core", "net_fail_over", "extra_one", "virtio_net_x"].map(ModuleName::new);
    for wanted in ["virtio_net_x", "virtio-net-x", "virtio_net-x", "virtio:d1v2"] {
        let image = kernel.image(&[wanted]);
        assert!(image.messages.is_empty(), "{wanted}: {}", image.messages);
        for (name, bytes) in &plain[..4] {
            let path = format!("/lib/modules/{VERSION}/kernel/{name}");
            assert!(image.read(&path).as_deref() == Some(bytes), "{wanted}: {path}");
        }
        assert_eq!(image.read(&format!("/lib/modules/{VERSION}/kernel/signed.ko")), None);
        let Some(loaded) = image.modprobe(wanted) else { return };
        assert_eq!(loaded.iter().collect::<BTreeSet<_>>(), expected.iter().collect(), "{wanted}");
    }
    let image = kernel.image(&["signed"]);
    assert!(image.read(&format!("/lib/modules/{VERSION}/kernel/signed.ko")).as_deref() == Some(&plain[4].1));
}

#[test]
fn b52_b71_b72_firmware_stays_behind_its_links_and_as_it_is() {
    const SIZE: usize = 100_000;
    let Some(kernel) = Kernel::new() else { return };
    let names = ["a.bin", "b.bin", "regulatory.db", "vendor/c.bin", "deep/d.bin", "dead.bin"];
    let fields: Vec<String> = names.iter().map(|name| format!("firmware={name}")).collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).chain(["depends="]).collect();
    kernel.module("wifi.ko", &fields, None);
    // An ELF file for a machine that nobody has.
    let firmware = [&b"\x7fELF\x02\x02\x01"[..], &[0xee; SIZE]].concat();
    kernel.write("usr/share/fw/real-1.0.bin", &firmware);
    for (target, link) in [
        ("../../usr/share/fw/real-1.0.bin", "lib/firmware/a.bin"),
        ("a.bin", "lib/firmware/b.bin"),
        ("/etc/alternatives/regulatory.db", "lib/firmware/regulatory.db"),
        ("/lib/firmware/parts/regulatory.db-debian", "etc/alternatives/regulatory.db"),
        ("../share/parts", "lib/firmware/parts"),
        ("../../../usr/share/fw/real-1.0.bin", "lib/share/parts/regulatory.db-debian"),
        ("company", "lib/firmware/vendor"),
        ("../b.bin", "lib/firmware/company/c.bin"),
        ("nowhere.bin", "lib/firmware/dead.bin"),
    ] {
        kernel.link(target, link);
    }
    kernel.write("lib/share/unwanted", &firmware);

    let image = kernel.image(&["wifi"]);
    for name in &names[..4] {
        assert!(image.read(&format!("/lib/firmware/{name}")).as_deref() == Some(&firmware), "{name}");
    }
    for (path, target) in [
        ("/lib/firmware/b.bin", "a.bin"),
        ("/lib/firmware/regulatory.db", "/etc/alternatives/regulatory.db"),
        ("/etc/alternatives/regulatory.db", "/lib/firmware/parts/regulatory.db-debian"),
        ("/lib/firmware/parts", "../share/parts"),
        ("/lib/firmware/vendor", "company"),
    ] {
        assert_eq!(image.link(path).as_deref(), Some(target), "{path}");
    }
    assert_eq!(image.bytes_below("/usr/share") + image.bytes_below("/lib/firmware"), firmware.len() as u64);
    assert_eq!(image.bytes_below("/lib/share"), 0);
    for name in &names[4..] {
        assert!(image.messages.contains(name), "{name}: {}", image.messages);
    }
}

#[test]
fn b69_patterns_suffixes_and_files_that_no_module_declares_come_along() {
    let Some(kernel) = Kernel::new() else { return };
    let fields = ["depends=", "firmware=ath11k/WCN6855/hw2.1/*", "firmware=iwlwifi-so-a0-gf-a0-72.ucode"];
    kernel.module("iwlwifi.ko", &fields, None);
    let wanted = [
        "ath11k/WCN6855/hw2.1/amss.bin.zst",
        "ath11k/WCN6855/hw2.1/m3.bin",
        "iwlwifi-so-a0-gf-a0-72.ucode.xz",
        "iwlwifi-so-a0-gf-a0.pnvm",
    ];
    let unwanted = ["ath11k/WCN6855/hw2.0/amss.bin", "iwlwifi-so-a0-gf-a0-64.ucode"];
    for name in wanted.iter().chain(&unwanted) {
        kernel.write(&format!("lib/firmware/{name}"), name.as_bytes());
    }
    let image = kernel.image(&["iwlwifi"]);
    assert!(image.messages.is_empty(), "{}", image.messages);
    for name in wanted {
        assert_eq!(image.read(&format!("/lib/firmware/{name}")).as_deref(), Some(name.as_bytes()), "{name}");
    }
    for name in unwanted {
        assert_eq!(image.read(&format!("/lib/firmware/{name}")), None, "{name}");
    }
    let entry = image.manifest.entry(&RootPath::new("/lib/firmware/iwlwifi-so-a0-gf-a0.pnvm").unwrap()).unwrap();
    assert!(entry.reasons[0].reason.detail.contains("linux/iwlwifi-pnvm"), "{:?}", entry.reasons);
}
