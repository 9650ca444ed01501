//! The `ufs` module of Debian's kernel mounts boot archives of illumos in a virtual machine, and tells what it sees.
//!
//! `ufstype=sunx86` is the layout of illumos. With `44bsd` the same images mount as well, and look empty: so every path is
//! asked for. The initramfs is minroot's own work; the list comes back on a disk, as a serial line would take minutes.

use super::plain;
use crate::command::{cache, minroot, output_of, repository, succeed, text};
use crate::model_root::{generator::Year, shared};
use crate::pack_ufs::Tree;
use crate::support::{run, scratch, tool};
use minroot::manifest::{Content, Entry, Manifest, json};
use minroot::path::RootPath;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
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
        $b find . -type l | while read -r link; do echo "link $($b readlink $link) $link"; done
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
    let fetch = output_of(minroot(["fetch"]).arg(&recipe).arg("--cache").arg(cache()));
    if !fetch.status.success() {
        let message = text(&fetch.stderr);
        assert!(std::env::var_os("CI").is_none() && message.contains("is the network up"), "{message}");
        eprintln!("skipped: {message}");
        return None;
    }
    let root = PathBuf::from(text(&fetch.stdout).trim_end());
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
                let (target, path) = rest.rsplit_once(' ').unwrap();
                images.last_mut().unwrap().get_mut(&absolute(path)).unwrap().target = target.to_owned();
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

/// Compares everything that was seen with the manifest; gives the number of files whose content was compared.
fn compare(seen: &BTreeMap<String, Seen>, manifest: &Manifest) -> usize {
    let mut n_files = 0;
    let mut paths: Vec<String> = manifest.entries.iter().map(|entry| entry.path.to_string()).collect();
    paths.extend(["/".to_owned(), "/lost+found".to_owned()]);
    paths.sort();
    paths.dedup();
    let found: Vec<&String> = seen.keys().collect();
    assert_eq!(found, paths.iter().collect::<Vec<_>>());
    let names = |inode: u32| seen.values().filter(|seen| seen.inode == inode).count() as u32;
    for entry in &manifest.entries {
        let found = &seen[&entry.path.to_string()];
        let path = &entry.path;
        let same = |entry: &Entry, kind: u32| {
            let mode = if kind == 0o120_000 { found.mode & 0o7777 } else { entry.mode };
            assert_eq!((found.mode, &found.owner), (kind | mode, &format!("{}:{}", entry.uid, entry.gid)), "{path}");
        };
        match &entry.content {
            Content::File { size, sha256, .. } | Content::Generated { size, sha256, .. } => {
                same(entry, 0o100_000);
                let sha256: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!((found.size, &found.sha256), (*size, &sha256), "{path}");
                if found.n_links > 1 {
                    assert_eq!(found.n_links, names(found.inode), "{path}");
                }
                n_files += 1;
            }
            Content::Hardlink { to } => assert_eq!(found.inode, seen[&to.to_string()].inode, "{path}"),
            Content::Directory => same(entry, 0o040_000),
            Content::Symlink { target } => {
                same(entry, 0o120_000);
                assert_eq!(found.target.as_bytes(), target, "{path}");
            }
            Content::Char { major, minor } => {
                same(entry, 0o020_000);
                assert_eq!(found.device, (*major, *minor), "{path}");
            }
            Content::Block { major, minor } => {
                same(entry, 0o060_000);
                assert_eq!(found.device, (*major, *minor), "{path}");
            }
            Content::Fifo => same(entry, 0o010_000),
        }
    }
    n_files
}

/// Files around every border, owners beyond 16 bits, modes, and holes.
fn mixed() -> Tree {
    let mut tree = Tree::mixed();
    tree.add_file("/setuid", b"for another");
    for (at, mode, uid, gid) in
        [("/setuid", 0o4755, 70_000, 65_535), ("/dev/null", 0o666, 3, 65_536), ("/empty", 0o1777, 65_534, 4)]
    {
        let entry = tree.entries.get_mut(&RootPath::new(at).unwrap()).unwrap();
        (entry.mode, entry.uid, entry.gid) = (mode, uid, gid);
    }
    let host = tree.host.path().join("sparse");
    let file = fs::File::create(&host).unwrap();
    let size = 40 << 20;
    file.set_len(size).unwrap();
    for at in [8192 * 5, 20 << 20, (33 << 20) + 77] {
        file.write_all_at(b"between holes", at).unwrap();
    }
    let sha256 = Sha256::digest(fs::read(&host).unwrap()).into();
    tree.add("/sparse", Content::File { size, sha256, unpacked_from: None });
    tree
}

fn many() -> Tree {
    let mut tree = Tree::new();
    tree.add("/many", Content::Directory);
    for n in 0..40_000 {
        let bytes = n.to_string().into_bytes();
        let (size, sha256) = (bytes.len() as u64, Sha256::digest(&bytes).into());
        tree.add(&format!("/many/{n:05}"), Content::Generated { size, sha256, bytes: Some(bytes) });
    }
    tree
}

/// The node image of the model root.
fn node(directory: &Path) -> (Manifest, PathBuf) {
    let root = shared(Year::Y2025);
    let (manifest, image) = (directory.join("node.json"), directory.join("node"));
    let recipes = ["base", "vboxnet", "node"].map(|name| repository(&format!("rules/recipes/illumos-{name}.toml")));
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
    for (name, tree) in [("empty", Tree::new()), ("mixed", mixed()), ("many", many())] {
        let image = directory.path().join(name);
        tree.pack(plain(), &image);
        images.push(image);
        manifests.push(tree.manifest());
    }
    let Some(seen) = seen(&images) else { return };
    assert_eq!(seen.len(), images.len());
    let counts: Vec<usize> = seen.iter().zip(&manifests).map(|(seen, manifest)| compare(seen, manifest)).collect();
    assert!(counts[0] > 100 && counts[2] > 15, "{counts:?}");
    assert_eq!((counts[1], counts[3]), (0, 40_000));
}
