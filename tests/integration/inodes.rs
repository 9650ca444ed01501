//! What a file has beside its bytes, from the root into the archive: other names, permissions, attributes.

use crate::command::{minroot, output_of, succeed, text};
use crate::support::{run, scratch, tool};
use minroot::manifest::{Content, Manifest, json};
use minroot::pack::cpio;
use minroot::path::RootPath;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// What is one file in the root of the test; `/x` is not kept.
const GROUPS: [&[&str]; 5] = [
    &["a/one", "b/two", "c/three"],
    &["a/empty", "c/empty"],
    &["a/link", "b/link"],
    &["b/half", "x/half"],
    &["c/single"],
];

/// Traces what is below `include` and gives the manifest's file.
fn trace(root: &Path, include: &[&str], out: &Path) -> PathBuf {
    let (recipe, manifest) = (out.join("recipe.toml"), out.join("manifest.json"));
    fs::write(&recipe, format!("system = \"linux\"\n[trace]\ninclude = {include:?}\n")).unwrap();
    succeed(minroot(["trace", "--root"]).arg(root).arg(recipe).arg("-o").arg(&manifest));
    manifest
}

fn pack(root: &Path, manifest: &Path, format: &str, out: &Path) -> String {
    let mut command = minroot(["pack", "--compress", "none", "--format", format, "--root"]);
    let output = output_of(command.arg(root).arg("-m").arg(manifest).arg("-o").arg(out));
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stderr)
}

fn read(manifest: &Path) -> Manifest {
    json::read(&fs::read(manifest).unwrap()).unwrap()
}

/// Makes the groups, each name by itself in one order or the other, so that the host numbers them differently.
fn make_groups(root: &Path, reversed: bool) {
    let mut groups = GROUPS.map(<[&str]>::to_vec).to_vec();
    if reversed {
        groups.reverse();
        groups.iter_mut().for_each(|names| names.reverse());
    }
    for names in groups {
        let first = root.join(names[0]);
        for name in &names {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        }
        match names[0].rsplit('/').next().unwrap() {
            "link" => symlink("one", &first).unwrap(),
            "empty" => fs::write(&first, "").unwrap(),
            _ => fs::write(&first, names.len().to_string().repeat(1000)).unwrap(),
        }
        for name in &names[1..] {
            fs::hard_link(&first, root.join(name)).unwrap();
        }
    }
}

#[test]
fn b46_names_of_one_file_stay_one_file_whatever_number_the_host_gives_it() {
    let directory = scratch();
    let mut archives = Vec::new();
    for (name, reversed) in [("forwards", false), ("backwards", true)] {
        let out = directory.path().join(name);
        let root = out.join("root");
        make_groups(&root, reversed);
        let manifest = trace(&root, &["/a", "/b", "/c"], &out);
        for format in ["cpio", "tar"] {
            pack(&root, &manifest, format, &out.join(format));
        }
        archives.push(["cpio", "tar"].map(|format| fs::read(out.join(format)).unwrap()));
    }
    assert!(archives[0] == archives[1], "the order in which the root was made shows");

    let members = cpio::read::list(&archives[0][0][..], u64::MAX).unwrap();
    let mut by_inode: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for member in &members {
        by_inode.entry(member.inode).or_default().insert(text(&member.name));
        assert!(member.inode as usize <= members.len(), "{}: inode {}", text(&member.name), member.inode);
    }
    let kept: Vec<BTreeSet<String>> = GROUPS
        .iter()
        .map(|names| names.iter().filter(|name| !name.starts_with("x/")).map(|name| (*name).to_owned()).collect())
        .collect();
    for names in kept.iter().filter(|names| !names.iter().any(|name| name.ends_with("link"))) {
        assert!(by_inode.values().any(|group| group == names), "{names:?} in {by_inode:?}");
    }
    let data: u64 = members.iter().filter(|m| m.link_target.is_empty()).map(|m| u64::from(m.size)).sum();
    assert_eq!(data, 1000 * 3, "the data of each file is there once");
    let n_links = |name: &[u8]| members.iter().find(|member| member.name == name).unwrap().n_links;
    assert_eq!((n_links(b"a/one"), n_links(b"b/half"), n_links(b"c/single")), (3, 1, 1));

    let (Some(gnu_cpio), Some(bsdtar)) = (tool("cpio"), tool("bsdtar")) else { return };
    for (format, program, arguments) in [("cpio", gnu_cpio, ["-idm", "--quiet"]), ("tar", bsdtar, ["-xf", "-"])] {
        let unpacked = directory.path().join(format!("unpacked-{format}"));
        fs::create_dir(&unpacked).unwrap();
        let archive = fs::File::open(directory.path().join("forwards").join(format)).unwrap();
        let mut command = std::process::Command::new(program);
        succeed(command.args(arguments).current_dir(&unpacked).stdin(Stdio::from(archive)));
        for names in &kept {
            let inodes: BTreeSet<u64> =
                names.iter().map(|name| fs::symlink_metadata(unpacked.join(name)).unwrap().ino()).collect();
            let is_links = names.iter().any(|name| name.ends_with("link"));
            assert!(inodes.len() == 1 || is_links, "{format}: {names:?}");
        }
        assert_eq!(fs::read(unpacked.join("c/three")).unwrap().len(), 1000, "{format}");
    }
}

#[test]
fn b49_any_name_of_a_file_may_be_kept_and_its_bytes_count_once() {
    const SIZE: usize = 4000;
    let directory = scratch();
    let root = directory.path().join("root");
    let names = ["/usr/bin/perl", "/usr/bin/perl5.36.0", "/usr/bin/another"];
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    fs::write(root.join(&names[0][1..]), vec![b'p'; SIZE]).unwrap();
    for name in &names[1..] {
        fs::hard_link(root.join(&names[0][1..]), root.join(&name[1..])).unwrap();
    }
    for kept in [&names[..1], &names[1..2], &names[..2], &names[1..], &names[..]] {
        let manifest = trace(&root, kept, directory.path());
        let value: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
        assert_eq!(value["totals"]["bytes"], SIZE, "{kept:?}");
        let manifest = read(&manifest);
        let first = RootPath::new(kept.iter().min().unwrap()).unwrap();
        for name in kept {
            let path = RootPath::new(name).unwrap();
            match &manifest.entry(&path).unwrap().content {
                Content::File { size, .. } => assert_eq!((*size, &path), (SIZE as u64, &first)),
                Content::Hardlink { to } => assert_eq!(to, &first),
                other => panic!("{name}: {other:?}"),
            }
        }
        let out = directory.path().join("tree");
        pack(&root, &directory.path().join("manifest.json"), "dir", &out);
        for name in names {
            let there = fs::metadata(out.join(&name[1..])).ok();
            assert_eq!(there.map(|info| info.nlink()), kept.contains(&name).then_some(kept.len() as u64), "{name}");
        }
        fs::remove_dir_all(out).unwrap();
    }
}

/// A capability as setcap(8) writes it: revision 2, effective, `cap_net_raw` (include/uapi/linux/capability.h).
const CAP_NET_RAW: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn b48_permissions_and_attributes_stay_or_their_loss_is_told() {
    let directory = scratch();
    let root = directory.path().join("root");
    fs::create_dir_all(root.join("d")).unwrap();
    let set = |name: &str, attribute: &str, value: &[u8]| {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::lsetxattr(root.join("d").join(name), attribute, value, flags)
    };
    for (name, mode) in [("capable", 0o755), ("setuid", 0o4755), ("setgid", 0o2711), ("noted", 0o640)] {
        fs::write(root.join("d").join(name), name).unwrap();
        fs::set_permissions(root.join("d").join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(root.join("d"), fs::Permissions::from_mode(0o1777)).unwrap();
    if let Err(error) =
        set("capable", "security.capability", &CAP_NET_RAW).and_then(|()| set("noted", "user.x", b"1\0\n="))
    {
        eprintln!("skipped: attributes cannot be set here: {error}");
        return;
    }
    let manifest = trace(&root, &["/d"], directory.path());
    let (cpio, tar) = (directory.path().join("cpio"), directory.path().join("tar"));
    let lost = pack(&root, &manifest, "cpio", &cpio);
    for (path, attribute) in [("/d/capable", "security.capability"), ("/d/noted", "user.x")] {
        assert!(lost.lines().any(|line| line.contains(path) && line.contains(attribute)), "{lost}");
    }
    assert!(!lost.contains("/d/setuid"), "{lost}");
    for member in cpio::read::list(&fs::read(&cpio).unwrap()[..], u64::MAX).unwrap() {
        let on_disk = fs::symlink_metadata(root.join(text(&member.name))).unwrap().mode();
        assert_eq!(member.mode, on_disk, "{}", text(&member.name));
    }
    assert_eq!(pack(&root, &manifest, "tar", &tar).matches("attribute").count(), 0);
    let (Some(gnu_tar), true) = (tool("tar"), rustix::process::geteuid().is_root()) else { return };
    let unpacked = directory.path().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let options = ["--xattrs", "--xattrs-include=*", "-xpf"].map(OsStr::new);
    run(&gnu_tar, &[&options[..], &[tar.as_os_str(), "-C".as_ref(), unpacked.as_os_str()]].concat());
    let value = |name: &str, attribute: &str| {
        let mut value = [0; 64];
        let length = rustix::fs::lgetxattr(unpacked.join("d").join(name), attribute, &mut value).unwrap();
        value[..length].to_vec()
    };
    assert_eq!(value("capable", "security.capability"), CAP_NET_RAW);
    assert_eq!(value("noted", "user.x"), b"1\0\n=");
    for name in ["setuid", "setgid", ""] {
        let mode = |tree: &Path| fs::metadata(tree.join("d").join(name)).unwrap().mode();
        assert_eq!(mode(&unpacked), mode(&root), "{name}");
    }
}
