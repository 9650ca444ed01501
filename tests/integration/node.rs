//! The node recipe from package names to an HTTP reply, and its manifest against what takes the place of a tracer's
//! answer: the real loader's list in a chroot, and the list of files that a hand-made image could not do without.

use crate::command::{build_node, cache, minroot, node_image, node_recipe, output_of, path_without, succeed, text};
use crate::support::{run, scratch, tool};
use minroot::manifest::{Content, Manifest, json};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

const REPLY: &str = "hello from minroot\n";

/// Debian's libnode reads these by absolute path when it starts (`strace`; node aborts without any one of them).
const BUILTINS: [&str; 5] = [
    "acorn/dist/acorn.js",
    "acorn-walk/dist/walk.js",
    "cjs-module-lexer/lexer.js",
    "cjs-module-lexer/dist/lexer.js",
    "undici/undici-fetch.js",
];

/// What a virtio network card needs of Debian's cloud kernel.
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

/// What minroot and the recipe bring themselves.
const MADE: [&str; 3] = ["/init", "/init.plan", "/srv/hello.js"];

#[test]
fn the_image_answers_from_disk_and_under_uefi() {
    let (Some(_), Some(image)) = (tool("qemu-system-x86_64"), node_image()) else { return };
    // From a CD under a BIOS: see below.
    for flags in [&["--disk"][..], &["--uefi"], &["--uefi", "--disk"]] {
        let mut boot = minroot(["boot", "--json", "--accel", "tcg"]);
        let answer = succeed(boot.arg(&image.iso).arg(node_recipe()).args(flags));
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!((answer["status"].as_u64(), answer["body"].as_str()), (Some(200), Some(REPLY)), "{flags:?}");
        eprintln!("boot {flags:?}: {:.1} s", answer["seconds"].as_f64().unwrap());
    }
}

#[test]
fn build_with_boot_prints_the_reply() {
    let (Some(_), Some(_)) = (tool("qemu-system-x86_64"), node_image()) else { return };
    let directory = scratch();
    let mut build = build_node(&directory.path().join("node.iso"), &directory.path().join("node.json"));
    // Without --memory: the least that minroot computes has to be enough.
    let output = output_of(build.arg("--boot").arg("--cache").arg(cache()));
    let messages = text(&output.stderr);
    assert!(output.status.success(), "{messages}");
    assert_eq!(text(&output.stdout), format!("HTTP/1.1 200 OK\n{REPLY}"));
    eprintln!("{messages}");
}

#[test]
fn build_without_qemu_succeeds_and_says_what_to_install() {
    let Some(image) = node_image() else { return };
    let (directory, path) = (scratch(), path_without(&["qemu-system-x86_64", "qemu-kvm", "kvm"]));
    let iso = directory.path().join("node.iso");
    let mut build = build_node(&iso, &directory.path().join("node.json"));
    let output = output_of(build.arg("--root").arg(&image.root).env("PATH", path.path()));
    let messages = text(&output.stderr);
    assert!(output.status.success(), "{messages}");
    assert!(messages.contains("qemu-system-x86"), "{messages}");
    assert!(iso.is_file());

    let output = output_of(build.arg("--boot"));
    let messages = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{messages}");
    assert!(messages.contains("\nerror: cannot find `qemu") && messages.contains("\n\nhint: "), "{messages}");
    assert!(iso.is_file());
}

/// `chroot` needs root; the list itself does not depend on who asks.
#[test]
fn the_manifest_holds_what_the_real_loader_opens_and_the_files_of_the_hand_made_image() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: the real loader is asked in a chroot, which needs root");
        return;
    }
    let (Some(chroot), Some(image)) = (tool("chroot"), node_image()) else { return };
    let node = Path::new("/usr/bin/node");
    let mut walk = Walk { root: &image.root, seen: BTreeSet::new() };
    let loader = ["/lib64/ld-linux-x86-64.so.2", "--list"].map(OsStr::new);
    let listed = run(&chroot, &[&[image.root.as_os_str()], &loader[..], &[node.as_os_str()]].concat());
    let libraries = loaded(&text(&listed));
    assert_eq!(libraries.len(), 18, "{}", text(&listed));
    walk.follow(node);
    libraries.iter().for_each(|library| walk.follow(library));
    BUILTINS.iter().for_each(|file| walk.follow(&Path::new("/usr/share/nodejs").join(file)));
    let kernel = only_entry(&image.root.join("usr/lib/modules"));
    MODULES.iter().for_each(|file| walk.follow(&Path::new("/usr/lib/modules").join(&kernel).join("kernel").join(file)));
    let mut expected = walk.seen;
    expected.extend(MADE.map(PathBuf::from));
    expected.insert("/srv".into());

    let manifest = manifest(&image.manifest);
    let found: BTreeSet<PathBuf> =
        manifest.entries.iter().map(|e| OsStr::from_bytes(e.path.as_bytes()).into()).collect();
    assert_eq!(found.difference(&expected).collect::<Vec<_>>(), Vec::<&PathBuf>::new(), "in and not needed");
    assert_eq!(expected.difference(&found).collect::<Vec<_>>(), Vec::<&PathBuf>::new(), "needed and not in");
}

#[test]
fn the_image_is_as_small_as_the_hand_made_one() {
    let Some(image) = node_image() else { return };
    let manifest = manifest(&image.manifest);
    let count = |is: fn(&Content) -> bool| manifest.entries.iter().filter(|entry| is(&entry.content)).count();
    let files = count(|content| matches!(content, Content::File { .. } | Content::Generated { .. }));
    assert_eq!((files, count(|content| matches!(content, Content::Symlink { .. }))), (35, 14));
    // A removal loop that booted the hand-made image without one entry after the other could do without these only.
    for removed in ["/bin", "/proc", "/dev", "/sys", "/tmp"] {
        let path = minroot::path::RootPath::new(removed).unwrap();
        assert!(manifest.entry(&path).is_none(), "{removed}");
    }
    assert!(manifest.missing.is_empty(), "{:?}", manifest.missing);
    // What cannot be known is told: these four load libraries by name.
    let unknown = manifest.unknown.iter().filter_map(|unknown| unknown.from.as_ref());
    let names: Vec<_> = unknown.map(|path| String::from_utf8_lossy(path.file_name()).into_owned()).collect();
    let callers = ["libcrypto.so", "libicuuc.so", "libnode.so", "libuv.so"];
    assert!(names.iter().zip(callers).all(|(name, caller)| name.starts_with(caller)), "{names:?}");
    assert_eq!(names.len(), callers.len());
}

#[test]
fn every_entry_has_an_answer_from_why() {
    let Some(image) = node_image() else { return };
    for entry in &manifest(&image.manifest).entries {
        let mut why = minroot([OsStr::new("why"), OsStr::from_bytes(entry.path.as_bytes()), OsStr::new("-m")]);
        let answer = text(&succeed(why.arg(&image.manifest)));
        assert!(answer.contains("without it "), "{answer}");
        assert!(!answer.contains("no chain of reasons"), "{answer}");
    }
}

fn manifest(file: &Path) -> Manifest {
    json::read(&std::fs::read(file).unwrap()).unwrap()
}

/// The files of `ld.so --list`: `NAME => PATH (ADDRESS)`, and the loader itself without an arrow.
fn loaded(list: &str) -> Vec<PathBuf> {
    let path = |line: &str| {
        let place = line.split(" => ").last()?.split(" (0x").next()?.trim();
        place.starts_with('/').then(|| PathBuf::from(place))
    };
    list.lines().filter_map(path).collect()
}

/// Everything on the way to some paths: directories, symlinks, files.
struct Walk<'r> {
    root: &'r Path,
    seen: BTreeSet<PathBuf>,
}

impl Walk<'_> {
    /// Goes down `path` one component after the other, as a system whose `/` is the root would.
    fn follow(&mut self, path: &Path) {
        let mut place = PathBuf::from("/");
        let mut components: Vec<_> = path.components().rev().map(|c| c.as_os_str().to_owned()).collect();
        while let Some(component) = components.pop() {
            match Path::new(&component).components().next() {
                Some(Component::Normal(name)) => place.push(name),
                Some(Component::ParentDir) => drop(place.pop()),
                _ => {
                    place = PathBuf::from("/");
                    continue;
                }
            }
            let host = self.root.join(place.strip_prefix("/").unwrap());
            if place.parent().is_some() {
                self.seen.insert(place.clone());
            }
            if let Ok(target) = std::fs::read_link(&host) {
                place.pop();
                components.extend(target.components().rev().map(|c| c.as_os_str().to_owned()));
            } else {
                assert!(host.exists(), "{} is not in the root", place.display());
            }
        }
    }
}

fn only_entry(directory: &Path) -> PathBuf {
    let names: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 1, "{}", directory.display());
    names.into_iter().next().unwrap().into()
}
