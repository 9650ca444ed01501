//! What is read from the installation scripts of real packages, against what dash, update-alternatives(1) and
//! update-ca-certificates(8) make of the same scripts in a tree of dpkg-deb's.

use crate::fetch::fetch_by_apt;
use crate::support::{run, scratch, tool};
use minroot::fetch::Options;
use minroot::packages::Packages;
use minroot::path::RootPath;
use minroot::root::Root;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Those whose scripts honour `DPKG_ROOT` and ask nobody.
const SCRIPTED: [&str; 4] = ["libblas3", "mawk", "vim-tiny", "libc-bin"];

/// Links and the content of files below the directories that scripts write to, but for dpkg's own. Links to the
/// certificates of `root` are given as they would be inside of it.
fn made(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.join("usr"), root.join("etc")];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let inside = path.strip_prefix(root).unwrap().to_owned();
            if path.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                let target = target.strip_prefix(root).map_or(target.clone(), |inside| Path::new("/").join(inside));
                if target.starts_with("/etc/alternatives") || inside.starts_with("etc") {
                    found.insert(inside, target.into_os_string().into_encoded_bytes());
                }
            } else if path.is_dir() {
                pending.push(path);
            } else if ["etc/nsswitch.conf", "etc/ssl/certs/ca-certificates.crt"].map(Path::new).contains(&&*inside) {
                found.insert(inside, fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn scripts_that_are_read_make_what_scripts_that_run_make() {
    let (Some(apt_get), Some(dpkg_deb), Some(_), Some(_)) =
        (tool("apt-get"), tool("dpkg-deb"), tool("update-alternatives"), tool("openssl"))
    else {
        return;
    };
    let directory = scratch();
    let options = Options { apt_get, ..Options::new(directory.path().join("cache")) };
    let names = [&SCRIPTED[..], &["base-passwd", "ca-certificates"]].concat();
    let Some((_, fetched)) = fetch_by_apt(&names, &options) else { return };

    let theirs = directory.path().join("theirs");
    for package in &fetched.packages {
        let archive = directory.path().join("cache/archives").join(&package.file);
        let control = directory.path().join(&package.package);
        run(&dpkg_deb, &["-x".as_ref(), archive.as_ref(), theirs.as_ref()]);
        run(&dpkg_deb, &["-e".as_ref(), archive.as_ref(), control.as_ref()]);
    }
    for needed in ["var/lib/dpkg/alternatives", "etc/alternatives", "var/log"] {
        fs::create_dir_all(theirs.join(needed)).unwrap();
    }
    // It would change its root, which an ordinary user cannot; what it makes is no link of a script.
    let ldconfig = directory.path().join("bin/ldconfig");
    fs::create_dir(ldconfig.parent().unwrap()).unwrap();
    fs::write(&ldconfig, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&ldconfig, fs::Permissions::from_mode(0o755)).unwrap();
    for name in SCRIPTED {
        let script = directory.path().join(name).join("postinst");
        shell(&[script.as_ref(), "configure".as_ref(), "".as_ref()], &theirs, ldconfig.parent().unwrap());
    }
    let [program, certificates, target] =
        ["usr/sbin/update-ca-certificates", "usr/share/ca-certificates", "etc/ssl/certs"].map(|path| theirs.join(path));
    let mut arguments: Vec<&OsStr> = vec![program.as_ref(), "--default".as_ref()];
    arguments.extend(["--certsconf".as_ref(), OsStr::new("/dev/null"), "--certsdir".as_ref(), certificates.as_ref()]);
    arguments.extend(["--localcertsdir".as_ref(), OsStr::new("/nonexistent"), "--hooksdir".as_ref(), "".as_ref()]);
    arguments.extend(["--etccertsdir".as_ref(), target.as_os_str()]);
    shell(&arguments, &theirs, ldconfig.parent().unwrap());

    let (ours, theirs) = (made(&fetched.root), made(&theirs));
    let [alternatives, hashes] = ["etc/alternatives", "etc/ssl/certs"]
        .map(|directory| theirs.keys().filter(|path| path.starts_with(directory)).count());
    eprintln!("{alternatives} alternatives, {hashes} files of certificates, {} in all", theirs.len());
    assert!(alternatives > 10 && hashes > 200, "{theirs:?}");
    let differing: Vec<_> =
        ours.keys().chain(theirs.keys()).filter(|path| ours.get(*path) != theirs.get(*path)).collect();
    assert!(differing.is_empty(), "{differing:?}");

    for name in ["passwd", "group"] {
        let master = fetched.root.join(format!("usr/share/base-passwd/{name}.master"));
        assert_eq!(fs::read(fetched.root.join("etc").join(name)).unwrap(), fs::read(master).unwrap());
    }
    assert!(!fetched.notes.iter().any(|note| note.contains("not made")), "{:?}", fetched.notes);
    let root = Root::open(&fetched.root).unwrap();
    let packages = Packages::load(&root).unwrap();
    for (path, owner) in [("/usr/bin/awk", "mawk"), ("/etc/nsswitch.conf", "libc-bin"), ("/etc/passwd", "base-passwd")]
    {
        assert_eq!(packages.owner(&root, &RootPath::new(path).unwrap()), Some(owner), "{path}");
    }
}

/// Runs a script with dpkg's variables for a tree.
fn shell(arguments: &[&OsStr], tree: &Path, programs: &Path) {
    let path = [programs.as_os_str(), ":".as_ref(), &std::env::var_os("PATH").unwrap_or_default()].join(OsStr::new(""));
    let output =
        Command::new("/bin/sh").args(arguments).env("DPKG_ROOT", tree).env("LC_ALL", "C").env("PATH", path).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
