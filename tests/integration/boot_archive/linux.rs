//! The `ufs` module of Debian's kernel mounts boot archives of illumos in a virtual machine, and tells what it sees.
//!
//! `ufstype=sunx86` is the layout of illumos. With `44bsd` the same images mount as well, and look empty: so every path is
//! asked for. The initramfs is minroot's own work; the list comes back on a disk, as a serial line would take minutes.

use super::add_holes;
use crate::command::{fetched, minroot, output_of, recipe, succeed, text};
use crate::model_root::{generator::Year, shared};
use crate::pack_ufs::{Tree, plain};
use crate::support::{hex, run, scratch, tool};
use minroot::manifest::{Content, Manifest, json};
use minroot::path::RootPath;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// The cloud kernel of Debian has no `ufs`. Each disk after the first is mounted; the first takes the list.
const RECIPE: &str = r#"
system = "linux"
[source]
apt = ["busybox-static", "linux-image-amd64"]
[trace]
targets = ["/bin/busybox"]
modules = ["ufs", "virtio_pci", "virtio_blk"]
[[file]]
path = "/srv/list"
mode = "0755"
content = '''
b=/bin/busybox
out=$1
shift
$b mkdir /mnt
{
    for disk; do
        echo "disk $disk"
        $b mount -t ufs -o ro,ufstype=sunx86 $disk /mnt || continue
        cd /mnt
        $b find . -print0 | $b xargs -0 $b stat -c 'stat %f %u:%g %t:%T %i %h %s %n'
        $b find . -type l -print0 | $b xargs -0 -r $b stat -c 'link %N'
        $b find . -type f -print0 | $b xargs -0 -r $b sha256sum
        cd /
        $b umount /mnt
    done
    echo end
} >$out
'''
[[startup]]
run = "/bin/busybox sh /srv/list /dev/vda /dev/vdb /dev/vdc /dev/vdd /dev/vde"
"#;

/// Room for the list: 240 bytes for each of 40,000 files are 9.6 MB.
const LIST_SIZE: u64 = 64 << 20;

/// What Linux says of a path.
#[derive(Debug, Default)]
struct Seen {
    mode: u32,
    owner: String,
    device: (u32, u32),
    inode: u32,
    n_links: u32,
    size: u64,
    target: String,
    sha256: String,
}

/// A kernel and an initramfs; `None` with a message where there is no network to fetch from.
fn guest(directory: &Path) -> Option<(PathBuf, PathBuf)> {
    let (recipe, manifest, initrd) = (directory.join("list.toml"), directory.join("m.json"), directory.join("initrd"));
    fs::write(&recipe, RECIPE).unwrap();
    let root = fetched(&recipe)?;
    succeed(minroot(["trace", "--root"]).arg(&root).arg(&recipe).arg("-o").arg(&manifest));
    succeed(minroot(["pack", "--root"]).arg(&root).arg(&recipe).arg("-m").arg(&manifest).arg("-o").arg(&initrd));
    let boot = fs::read_dir(root.join("boot")).unwrap().map(|entry| entry.unwrap().path());
    let is_kernel = |path: &PathBuf| path.file_name().unwrap().as_encoded_bytes().starts_with(b"vmlinuz-");
    Some((boot.into_iter().find(is_kernel).unwrap(), initrd))
}

/// Boots once with all images; gives what was seen in each, by path.
fn seen(images: &[PathBuf]) -> Option<Vec<BTreeMap<String, Seen>>> {
    let (qemu, timeout) = (tool("qemu-system-x86_64")?, tool("timeout")?);
    let directory = scratch();
    let (kernel, initrd) = guest(directory.path())?;
    let list = directory.path().join("list");
    fs::File::create(&list).unwrap().set_len(LIST_SIZE).unwrap();
    let mut arguments = vec!["300".into(), qemu.into_os_string()];
    // A busy machine can have a timer so late that the kernel takes it for broken, unless told not to look.
    let fixed = "-nodefaults -no-user-config -machine q35 -accel tcg -cpu max -m 512 -display none -serial stdio \
        -monitor none -no-reboot";
    arguments.extend(fixed.split_whitespace().map(Into::into));
    arguments.extend(["-kernel".into(), kernel.into_os_string(), "-initrd".into(), initrd.into_os_string()]);
    arguments.extend(["-append".into(), "console=ttyS0 loglevel=4 no_timer_check panic=-1".into()]);
    arguments.extend(["-drive".into(), format!("file={},format=raw,if=virtio", list.display()).into()]);
    for image in images {
        let drive = format!("file={},format=raw,if=virtio,readonly=on", image.display());
        arguments.extend(["-drive".into(), drive.into()]);
    }
    let arguments: Vec<&OsStr> = arguments.iter().map(|argument: &std::ffi::OsString| &**argument).collect();
    let console = text(&run(&timeout, &arguments));
    Some(parse(&list, &console))
}

fn parse(list: &Path, console: &str) -> Vec<BTreeMap<String, Seen>> {
    let mut images: Vec<BTreeMap<String, Seen>> = Vec::new();
    let mut is_whole = false;
    for line in BufReader::new(fs::File::open(list).unwrap()).lines() {
        let line = line.unwrap_or_else(|error| panic!("{error}: {console}"));
        let (first, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match first {
            "disk" => images.push(BTreeMap::new()),
            "stat" => {
                let fields: Vec<&str> = rest.splitn(7, ' ').collect();
                let hex = |text: &str| u32::from_str_radix(text, 16).unwrap();
                let (major, minor) = fields[2].split_once(':').unwrap();
                let seen = Seen {
                    mode: hex(fields[0]),
                    owner: fields[1].to_owned(),
                    device: (hex(major), hex(minor)),
                    inode: fields[3].parse().unwrap(),
                    n_links: fields[4].parse().unwrap(),
                    size: fields[5].parse().unwrap(),
                    ..Seen::default()
                };
                images.last_mut().unwrap().insert(absolute(fields[6]), seen);
            }
            "link" => {
                let (path, target) = rest.split_once("' -> '").unwrap();
                let path = absolute(path.trim_start_matches('\''));
                images.last_mut().unwrap().get_mut(&path).unwrap().target = target.trim_end_matches('\'').to_owned();
            }
            "end" => {
                is_whole = true;
                break;
            }
            digest => {
                assert!(digest.len() == 64, "`{}` is no line of the list:\n{console}", line.trim_matches('\0'));
                let path = absolute(rest.trim_start());
                images.last_mut().unwrap().get_mut(&path).unwrap().sha256 = digest.to_owned();
            }
        }
    }
    assert!(is_whole, "the list has no end:\n{console}");
    images
}

fn absolute(path: &str) -> String {
    match path.strip_prefix('.').unwrap_or_else(|| panic!("`{path}` is not below the mount point")) {
        "" => "/".to_owned(),
        path => path.to_owned(),
    }
}

/// How what was seen differs from the manifest.
fn differences(seen: &BTreeMap<String, Seen>, manifest: &Manifest) -> Vec<String> {
    let mut expected: BTreeSet<String> = manifest.entries.iter().map(|entry| entry.path.to_string()).collect();
    expected.extend(["/".to_owned(), "/lost+found".to_owned()]);
    let mut n_names: BTreeMap<u32, u32> = BTreeMap::new();
    seen.values().for_each(|seen| *n_names.entry(seen.inode).or_default() += 1);
    let mut differences = Vec::new();
    for path in seen.keys().filter(|path| !expected.contains(*path)) {
        differences.push(format!("{path}: is there"));
    }
    for path in expected.iter().filter(|path| !seen.contains_key(*path)) {
        differences.push(format!("{path}: is not there"));
    }
    for entry in &manifest.entries {
        let Some(found) = seen.get(&entry.path.to_string()) else { continue };
        let mut same = |what: &str, found: String, expected: String| {
            if found != expected {
                differences.push(format!("{}: {what} is {found}, not {expected}", entry.path));
            }
        };
        if let Content::Hardlink { to } = &entry.content {
            let first = seen.get(&to.to_string()).map(|seen| seen.inode);
            same("inode", format!("{:?}", Some(found.inode)), format!("{first:?}"));
            continue;
        }
        same("type", format!("{:o}", found.mode & 0o170_000), format!("{:o}", file_type(&entry.content)));
        same("owner", found.owner.clone(), format!("{}:{}", entry.uid, entry.gid));
        match &entry.content {
            Content::Symlink { target } => {
                same("target", found.target.clone(), String::from_utf8_lossy(target).into_owned());
                continue;
            }
            Content::File { size, sha256, .. } | Content::Generated { size, sha256, .. } => {
                same("size", found.size.to_string(), size.to_string());
                same("digest", found.sha256.clone(), hex(sha256));
                same("link count", found.n_links.to_string(), n_names[&found.inode].to_string());
            }
            Content::Char { major, minor } | Content::Block { major, minor } => {
                same("device", format!("{:?}", found.device), format!("{:?}", (major, minor)));
            }
            _ => {}
        }
        // That of a symlink means nothing.
        same("mode", format!("{:o}", found.mode & 0o7777), format!("{:o}", entry.mode));
    }
    differences
}

/// In `st_mode`.
fn file_type(content: &Content) -> u32 {
    match content {
        Content::File { .. } | Content::Generated { .. } | Content::Hardlink { .. } => 0o100_000,
        Content::Directory => 0o040_000,
        Content::Symlink { .. } => 0o120_000,
        Content::Char { .. } => 0o020_000,
        Content::Block { .. } => 0o060_000,
        Content::Fifo => 0o010_000,
    }
}

/// Files around every border, owners beyond 16 bits, modes, and holes.
fn mixed() -> Tree {
    let mut tree = Tree::mixed();
    tree.add_owners();
    add_holes(&mut tree);
    tree
}

/// The node image of the model root.
fn node(directory: &Path) -> (Manifest, PathBuf) {
    let root = shared(Year::Y2025);
    let (manifest, image) = (directory.join("node.json"), directory.join("node"));
    let recipes = ["illumos-base", "illumos-vboxnet", "illumos-node"].map(recipe);
    // The tables have no program that is not illumos' own: node itself is missing.
    output_of(minroot(["trace", "--root"]).arg(root).args(&recipes).arg("-o").arg(&manifest));
    let mut pack = minroot(["pack", "--compress", "none", "--root"]);
    succeed(pack.arg(root).args(&recipes).arg("-m").arg(&manifest).arg("-o").arg(&image));
    (json::read(&fs::read(&manifest).unwrap()).unwrap(), image)
}

#[test]
fn linux_mounts_every_archive_and_sees_what_the_manifest_says() {
    let directory = scratch();
    let (node_manifest, node_image) = node(directory.path());
    let mut images = vec![node_image];
    let mut manifests = vec![node_manifest];
    for (name, tree) in [("empty", Tree::new()), ("mixed", mixed()), ("many", Tree::many())] {
        let image = directory.path().join(name);
        tree.pack(plain(), &image);
        images.push(image);
        manifests.push(tree.manifest());
    }
    let Some(seen) = seen(&images) else { return };
    assert_eq!(seen.len(), images.len());
    for (seen, manifest) in seen.iter().zip(&manifests) {
        assert_eq!(differences(seen, manifest), [""; 0]);
    }
    let n_files = |seen: &BTreeMap<String, Seen>| seen.values().filter(|seen| seen.sha256.len() == 64).count();
    let counts: Vec<usize> = seen.iter().map(n_files).collect();
    assert!(counts[0] > 100 && counts[2] > 15, "{counts:?}");
    assert_eq!((counts[1], counts[3]), (0, 40_000));

    // The comparison can say no.
    let mut other = mixed();
    other.add("/absent", Content::Fifo);
    other.add("/dev/null", Content::Char { major: 13, minor: 3 });
    other.add("/to-sizes", Content::Symlink { target: b"size".to_vec() });
    other.add("/sizes/link", Content::Hardlink { to: RootPath::new("/sizes/8192").unwrap() });
    other.add("/dev/initctl", Content::Directory);
    other.add_generated("/sizes/1", b"x".to_vec());
    other.own("/setuid", 0o755, 70_000, 65_536);
    other.entries.remove(&RootPath::new("/empty").unwrap());
    let told: Vec<String> = differences(&seen[2], &other.manifest()).iter().map(|line| words(line)).collect();
    let expected = [
        "/empty: is",
        "/absent: is",
        "/dev/initctl: type",
        "/dev/initctl: mode",
        "/dev/null: owner",
        "/dev/null: device",
        "/dev/null: mode",
        "/setuid: owner",
        "/setuid: mode",
        "/sizes/1: digest",
        "/sizes/link: inode",
        "/to-sizes: target",
    ];
    assert_eq!(told, expected);
}

/// The path, and what of it differs.
fn words(line: &str) -> String {
    line.split(' ').take(2).collect::<Vec<_>>().join(" ")
}
