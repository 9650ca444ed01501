//! Two builds in different surroundings, from roots that differ in nothing an image should hold, are the same bytes.

use crate::command::{MINROOT, build_node, cache, minroot, node_image, node_recipe, succeed, with_umask};
use crate::support::{scratch, tool};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const NOBODY: u32 = 65534;

/// The lowest level of each compressor but zstd, which is in the ISO; the archive is large enough for many blocks.
const ARCHIVES: [(&str, &[&str]); 2] =
    [("gzip", &["--compress", "gzip", "--level", "1"]), ("xz", &["--compress", "xz", "--level", "0"])];

/// What must not show in an image.
struct Surroundings {
    name: &'static str,
    umask: &'static str,
    variables: [(&'static str, &'static str); 3],
    directory: &'static str,
}

const SURROUNDINGS: [Surroundings; 2] = [
    Surroundings {
        name: "plain",
        umask: "022",
        variables: [("RAYON_NUM_THREADS", "1"), ("TZ", "UTC"), ("LC_ALL", "C")],
        directory: "/tmp",
    },
    Surroundings {
        name: "odd",
        umask: "077",
        variables: [("RAYON_NUM_THREADS", "4"), ("TZ", "Asia/Kolkata"), ("LC_ALL", "tr_TR.UTF-8")],
        directory: "/",
    },
];

#[test]
fn b84_surroundings_and_directory_order_do_not_change_a_byte() {
    let Some(image) = node_image() else { return };
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let reversed = directory.path().join("root");
    copy_reversed(&image.root, &reversed);
    for (surroundings, root) in SURROUNDINGS.iter().zip([&image.root, &reversed]) {
        let out = directory.path().join(surroundings.name);
        fs::create_dir(&out).unwrap();
        let (iso, manifest) = (out.join("node.iso"), out.join("node.json"));
        succeed(&mut surroundings.apply(build_node(&iso, &manifest).arg("--root").arg(root)));
        for (name, flags) in ARCHIVES {
            let mut pack = minroot(["pack", "--format", "cpio"]);
            pack.args(flags).arg("-m").arg(&manifest).arg("--root").arg(root).arg("-o").arg(out.join(name));
            succeed(&mut surroundings.apply(&pack));
        }
    }
    let [plain, odd] = SURROUNDINGS.map(|surroundings| directory.path().join(surroundings.name));
    for name in ["node.json", "node.iso"].into_iter().chain(ARCHIVES.map(|(name, _)| name)) {
        assert_same(&plain.join(name), &odd.join(name));
    }
    assert_same(&plain.join("node.json"), &image.manifest);
    assert_same(&plain.join("node.iso"), &image.iso);
}

/// The packages are fetched anew into a cache of the user's own, so the files of that root belong to somebody else.
#[test]
fn b84_an_ordinary_user_gets_the_same_image_as_root() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can become another user; all other tests run as an ordinary user now");
        return;
    }
    let (Some(setpriv), Some(image)) = (tool("setpriv"), node_image()) else { return };
    let home = scratch();
    // The checkout may be where only root can go.
    let (program, recipe) = (home.path().join("minroot"), home.path().join("node.toml"));
    fs::copy(MINROOT, &program).unwrap();
    fs::copy(node_recipe(), &recipe).unwrap();
    give_packages(&home.path().join("cache/archives"));
    give_away(home.path());
    let out = |name| home.path().join(name);
    let mut build = Command::new(setpriv);
    build.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--inh-caps=-all", "--no-new-privs"]);
    build.arg(program).args(["build", "--compress", "zstd", "--level", "3"]).arg(recipe);
    build.arg("-o").arg(out("node.iso")).arg("-m").arg(out("node.json")).arg("--cache").arg(out("cache"));
    succeed(build.env("HOME", home.path()).env_remove("SOURCE_DATE_EPOCH").current_dir(home.path()));
    assert_eq!(fs::metadata(out("node.iso")).unwrap().uid(), NOBODY);
    assert_same(&out("node.json"), &image.manifest);
    assert_same(&out("node.iso"), &image.iso);
}

impl Surroundings {
    /// The same command in these surroundings.
    fn apply(&self, command: &Command) -> Command {
        let mut shell = with_umask(self.umask, command);
        shell.env_remove("SOURCE_DATE_EPOCH").envs(self.variables).current_dir(self.directory);
        shell
    }
}

fn assert_same(one: &Path, other: &Path) {
    let (one_bytes, other_bytes) = (fs::read(one).unwrap(), fs::read(other).unwrap());
    if one_bytes != other_bytes {
        let first = one_bytes.iter().zip(&other_bytes).position(|(a, b)| a != b);
        let first = first.unwrap_or(one_bytes.len().min(other_bytes.len()));
        panic!("{} and {} differ from byte {first} on", one.display(), other.display());
    }
}

/// Copies a root with the entries of each directory made in the reverse of byte order.
fn copy_reversed(from: &Path, to: &Path) {
    let info = fs::symlink_metadata(from).unwrap();
    if info.is_symlink() {
        symlink(fs::read_link(from).unwrap(), to).unwrap();
    } else if info.is_dir() {
        fs::create_dir(to).unwrap();
        let mut names: Vec<_> = fs::read_dir(from).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names.iter().rev().for_each(|name| copy_reversed(&from.join(name), &to.join(name)));
    } else {
        fs::copy(from, to).unwrap();
    }
    lchown(to, Some(info.uid()), Some(info.gid())).unwrap();
    if !info.is_symlink() {
        fs::set_permissions(to, fs::Permissions::from_mode(info.mode() & 0o7777)).unwrap();
    }
}

/// Copies what was downloaded already: the second user's apt asks for the lists only.
fn give_packages(archives: &Path) {
    fs::create_dir_all(archives).unwrap();
    let debs = fs::read_dir(cache().join("archives")).unwrap().map(|entry| entry.unwrap().path());
    for deb in debs.filter(|path| path.extension().is_some_and(|extension| extension == "deb")) {
        fs::copy(&deb, archives.join(deb.file_name().unwrap())).unwrap();
    }
}

/// Makes everything under `directory` belong to the ordinary user.
fn give_away(directory: &Path) {
    let mut waiting: Vec<PathBuf> = vec![directory.to_owned()];
    while let Some(path) = waiting.pop() {
        lchown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}
