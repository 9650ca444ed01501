//! Container images made by `pack`, judged by skopeo, which inspects and copies them, and umoci, which unpacks them.

use crate::command::{minroot, output_of, succeed, text};
use crate::pack::{Tree, is_root, names_in};
use crate::small_root;
use crate::support::{hex, namespace, run, scratch, tool};
use minroot::pack::compress::Compression;
use minroot::pack::{Format, PackError};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `oci:/path`, and what else skopeo calls images by.
fn image(transport: &str, path: &Path) -> String {
    format!("{transport}:{}", path.display())
}

fn skopeo(arguments: &[&str]) -> Option<Vec<u8>> {
    let skopeo = tool("skopeo")?;
    let arguments = ["--insecure-policy"].iter().chain(arguments).map(OsStr::new);
    Some(run(&skopeo, &arguments.collect::<Vec<_>>()))
}

/// Unpacks a layout into a bundle: `rootfs`, and `config.json` for a runtime.
fn unpack(layout: &Path, tag: &str, bundle: &Path) -> Option<()> {
    let umoci = tool("umoci")?;
    let image = format!("{}:{tag}", layout.display());
    let mut arguments = vec![OsStr::new("unpack"), "--image".as_ref(), image.as_ref(), bundle.as_os_str()];
    if !is_root() {
        arguments.insert(1, "--rootless".as_ref());
    }
    run(&umoci, &arguments);
    Some(())
}

fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// What is odd about names, and what only pax records can say.
fn odd_tree() -> Tree {
    let mut tree = Tree::odd();
    let attributes = tree.add_file(b"/attr", b"x", 0o644);
    attributes.xattrs = vec![(b"user.minroot".to_vec(), b"a\0b\n=\xff".to_vec())];
    if is_root() {
        tree.add_file(b"/owned", b"x", 0o640).uid = 3_000_000;
    }
    tree
}

#[test]
fn umoci_unpacks_the_tree_of_the_manifest_from_a_layout() {
    let (tree, directory) = (odd_tree(), scratch());
    for compression in [Compression::None, Compression::Gzip] {
        let [layout, bundle] = ["layout", "bundle"].map(|name| directory.path().join(format!("{compression}-{name}")));
        fs::create_dir(&layout).unwrap();
        let report = tree.pack(Format::Oci, compression, &layout).unwrap();
        assert!(report.warnings.is_empty(), "{:?}", report.warnings);
        let Some(()) = unpack(&layout, "latest", &bundle) else { return };
        let rootfs = bundle.join("rootfs");
        tree.compare(&rootfs, is_root());
        if is_root() {
            assert_eq!(fs::metadata(rootfs.join("owned")).unwrap().uid(), 3_000_000);
        }
        let mut value = [0; 64];
        match rustix::fs::lgetxattr(rootfs.join("attr"), "user.minroot", &mut value) {
            Ok(length) => assert_eq!(&value[..length], b"a\0b\n=\xff"),
            Err(error) => eprintln!("skipped: the file system of the test has no attributes: {error}"),
        }
    }
}

#[test]
fn skopeo_reads_one_file_as_the_archive_of_a_layout_and_of_docker() {
    let (tree, directory) = (odd_tree(), scratch());
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let [archive, copy] = ["image.tar", "copy"].map(|name| directory.path().join(format!("{compression}-{name}")));
        let report = tree.pack(Format::Oci, compression, &archive).unwrap();
        assert_eq!(report.packed, fs::metadata(&archive).unwrap().len());
        let Some(inspected) = skopeo(&["inspect", &image("oci-archive", &archive)]) else { return };
        let inspected = json_of(&inspected);
        let digest = minroot::text::hex(&report.image.unwrap());
        assert_eq!(
            (&inspected["Digest"], &inspected["Architecture"]),
            (&json!(format!("sha256:{digest}")), &json!("amd64"))
        );
        fs::create_dir(&copy).unwrap();
        // Copying compares every digest, that of the layer before compression too.
        for transport in ["oci-archive", "docker-archive"] {
            let copy = copy.join(transport);
            let destination = format!("{}:latest", image("oci", &copy));
            skopeo(&["copy", "--dest-compress-format", "gzip", "-q", &image(transport, &archive), &destination]);
            let config = |image: &str| json_of(&skopeo(&["inspect", "--config", image]).unwrap());
            let [here, there] = [image(transport, &archive), destination].map(|image| config(&image));
            assert_eq!(here["rootfs"], there["rootfs"], "{compression} {transport}");
            assert_eq!(here["created"], "2023-11-14T22:13:20Z");
        }
        let Some(()) = unpack(&copy.join("oci-archive"), "latest", &copy.join("bundle")) else { return };
        tree.compare(&copy.join("bundle/rootfs"), is_root());
    }
}

#[test]
fn a_layout_takes_the_place_of_no_files_and_leaves_none_behind() {
    let (mut tree, directory) = (odd_tree(), scratch());
    // Absent, the slash at the end asks for a directory.
    let out = PathBuf::from(format!("{}/", directory.path().join("layout").display()));
    tree.pack(Format::Oci, Compression::Gzip, &out).unwrap();
    let files = |directory: &Path| {
        let mut names: Vec<String> =
            names_in(directory).iter().map(|p| p.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(files(&out), ["blobs", "index.json", "manifest.json", "oci-layout"]);
    let index = fs::read(out.join("index.json")).unwrap();
    let error = tree.pack(Format::Oci, Compression::None, &out).unwrap_err();
    assert!(matches!(error, PackError::Write { .. }), "{error}");
    assert_eq!(fs::read(out.join("index.json")).unwrap(), index);
    tree.add_file(b"/.wh.passwd", b"", 0o644);
    let other = directory.path().join("other/");
    let error = tree.pack(Format::Oci, Compression::None, &other).unwrap_err();
    assert!(error.to_string().starts_with("`/.wh.passwd` does not fit"), "{error}");
    tree.entries.pop();
    fs::write(tree.host.path().join("usr/large"), "changed").unwrap();
    let error = tree.pack(Format::Oci, Compression::None, &other).unwrap_err();
    assert!(matches!(error, PackError::Changed { .. }), "{error}");
    assert_eq!(files(directory.path()), ["layout"]);
}

#[test]
fn a_program_of_this_machine_runs_in_the_unpacked_image_as_the_recipe_says() {
    let (Some(chroot), Some(unshare)) = (tool("chroot"), tool("unshare")) else { return };
    let directory = scratch();
    let [recipe, manifest, layout, bundle] =
        ["recipe.toml", "manifest.json", "layout/", "bundle"].map(|name| directory.path().join(name));
    let program = r#"
        [source]
        root = "/"
        [[file]]
        path = "/srv/words"
        content = "three\nof\nthem\n"
        [oci]
        name = "example.org/words:1.0"
        entrypoint = ["sort", "-r"]
        cmd = ["/srv/words"]
        env = { LC_ALL = "C", PATH = "/usr/bin" }
        user = "65534:65534"
        workdir = "/srv"
        ports = ["53/udp", "80"]
        labels = { "org.opencontainers.image.title" = "words" }
        [boot]
        compress = "zstd"
        level = 19
    "#;
    fs::write(&recipe, program).unwrap();
    succeed(minroot(["trace"]).arg(&recipe).arg("-o").arg(&manifest));
    let mut pack = minroot(["pack", "--format", "oci", "--root", "/"]);
    pack.arg("-m").arg(&manifest).arg("-o").arg(&layout).arg(&recipe);
    let packed = output_of(&mut pack);
    assert!(packed.status.success(), "{}", text(&packed.stderr));
    assert!(text(&packed.stderr).contains("starts `sort -r /srv/words`"), "{}", text(&packed.stderr));
    let Some(config) = skopeo(&["inspect", "--config", &image("oci", &layout)]) else { return };
    let expected = json!({
        "User": "65534:65534",
        "ExposedPorts": { "53/udp": {}, "80/tcp": {} },
        "Env": ["LC_ALL=C", "PATH=/usr/bin"],
        "Entrypoint": ["sort", "-r"],
        "Cmd": ["/srv/words"],
        "WorkingDir": "/srv",
        "Labels": { "org.opencontainers.image.title": "words" },
    });
    assert_eq!(json_of(&config)["config"], expected);
    let Some(()) = unpack(&layout, "1.0", &bundle) else { return };
    let process = json_of(&fs::read(bundle.join("config.json")).unwrap())["process"].take();
    assert_eq!((&process["cwd"], &process["user"]["uid"]), (&json!("/srv"), &json!(65534)));
    let words: Vec<&str> = process["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let mut command = Command::new(unshare);
    command.args(namespace()).arg(chroot).arg(bundle.join("rootfs")).args(words);
    assert_eq!(text(&succeed(command.env("PATH", "/usr/bin").env("LC_ALL", "C"))), "three\nthem\nof\n");
}

/// The small root with a manifest of its program, to be packed by several recipes.
struct Small {
    directory: tempfile::TempDir,
}

impl Small {
    fn new() -> Small {
        let small = Small { directory: scratch() };
        small_root::make(&small.path("root"));
        let mut trace = minroot(["trace", "/usr/bin/app", "--root"]);
        succeed(trace.arg(small.path("root")).arg("-o").arg(small.path("app.json")));
        small
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Packs by a recipe of this table.
    fn pack(&self, table: &str, out: &str) -> PathBuf {
        let (recipe, out) = (self.path("recipe.toml"), self.path(out));
        fs::write(&recipe, format!("[oci]\n{table}")).unwrap();
        let mut pack = minroot(["pack", "--format", "oci", "--root"]);
        succeed(pack.arg(self.path("root")).arg("-m").arg(self.path("app.json")).arg("-o").arg(&out).arg(recipe));
        out
    }

    /// The exit code of `verify`, and what it says.
    fn verify(&self, image: &Path) -> (i32, String) {
        let output = output_of(minroot(["verify"]).arg(image).arg("-m").arg(self.path("app.json")));
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    }
}

#[test]
fn verify_follows_an_image_to_its_process_in_both_forms() {
    let small = Small::new();
    for out in ["image.tar", "layout/"] {
        let (code, said) = small.verify(&small.pack("entrypoint = ['app']", out));
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("the container would start"), "{said}");
    }
    // What another program writes is read as well.
    let [from, to] = [image("oci", &small.path("layout")), image("oci-archive", &small.path("copy.tar"))];
    let Some(_) = skopeo(&["copy", "-q", &from, &to]) else { return };
    let (code, said) = small.verify(&small.path("copy.tar"));
    assert!(code == 0 && said.contains("the container would start"), "{said}");
}

#[test]
fn a_user_by_name_needs_the_accounts_of_the_root() {
    let small = Small::new();
    let recipe = small.path("recipe.toml");
    fs::write(&recipe, "[oci]\nentrypoint = ['app']\nuser = 'web:web'\n").unwrap();
    let traced = || {
        let mut trace = minroot(["trace", "--format", "paths", "--root"]);
        let output = output_of(trace.arg(small.path("root")).arg(&recipe));
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, _, said) = traced();
    assert_eq!(code, Some(1));
    assert!(said.contains("missing: `/etc/passwd`") && said.contains("missing: `/etc/group`"), "{said}");
    for file in ["passwd", "group"] {
        fs::write(small.path("root/etc").join(file), "web:x:1:1::/:\n").unwrap();
    }
    let (code, paths, said) = traced();
    assert_eq!(code, Some(0), "{said}");
    for path in ["/etc/group", "/etc/passwd", "/usr/bin/app"] {
        assert!(paths.lines().any(|line| line == path), "{path} in {paths}");
    }
}

#[test]
fn verify_says_what_the_runtime_would() {
    let small = Small::new();
    for (table, code, expected) in [
        ("entrypoint = ['gone']", 1, "exec: \"gone\": executable file not found in $PATH"),
        ("entrypoint = ['app']\nenv = { PATH = '/opt' }", 1, "it is in none of /opt"),
        ("entrypoint = ['/usr/bin/gone']", 1, "exec /usr/bin/gone: no such file or directory"),
        ("entrypoint = ['/usr/lib']", 1, "exec /usr/lib: permission denied"),
        ("entrypoint = ['app']\nuser = 'web:1'", 1, "unable to find user web: no matching entries in passwd file"),
        ("entrypoint = ['app']\nuser = '1:web'", 1, "unable to find group web: no matching entries in group file"),
        ("env = {}", 0, "no command specified"),
    ] {
        let (found, said) = small.verify(&small.pack(table, "image.tar"));
        assert_eq!(found, code, "{table}: {said}");
        assert!(said.contains(expected), "{table}: {said}");
    }
}

#[test]
fn verify_notices_whatever_was_changed_in_a_layout() {
    let small = Small::new();
    let layout = small.pack("entrypoint = ['app']", "layout/");
    let blobs = layout.join("blobs/sha256");
    for blob in names_in(&blobs) {
        let whole = fs::read(&blob).unwrap();
        let mut changed = whole.clone();
        changed[whole.len() / 2] ^= 1;
        for (bytes, expected) in [(&changed[..], "its digest is sha256:"), (&whole[1..], "its descriptor says")] {
            fs::write(&blob, bytes).unwrap();
            let (code, said) = small.verify(&layout);
            assert!(code == 1 && said.contains(expected), "{}: {said}", blob.display());
        }
        fs::remove_file(&blob).unwrap();
        let (code, said) = small.verify(&layout);
        assert!(code == 1 && said.contains("no such file"), "{}: {said}", blob.display());
        fs::write(&blob, whole).unwrap();
    }
    rewrite_manifest(&layout, &|manifest| manifest["config"]["digest"] = json!("sha256:../../../x"));
    let (code, said) = small.verify(&layout);
    assert!(code == 1 && said.contains("sha256:../../../x: it is no SHA-256"), "{said}");
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion": "2"}"#).unwrap();
    let (code, said) = small.verify(&layout);
    assert!(code == 1 && said.contains("oci-layout: nobody knows version 2"), "{said}");
}

#[test]
fn an_image_of_several_layers_is_not_judged() {
    let small = Small::new();
    let layout = small.pack("entrypoint = ['app']", "layout/");
    rewrite_manifest(&layout, &|manifest| {
        let layer = manifest["layers"][0].clone();
        manifest["layers"] = json!([layer, layer]);
    });
    let (code, said) = small.verify(&layout);
    assert!(code == 2 && said.contains("cannot verify a container image of 2 layers"), "{said}");
}

#[test]
fn a_cut_image_is_no_reason_to_panic() {
    let small = Small::new();
    let whole = fs::read(small.pack("entrypoint = ['app']", "image.tar")).unwrap();
    let cut = small.path("cut.tar");
    // The last member is `oci-layout`: data, padding, and two blocks at the end.
    for length in (0..whole.len() - 3 * 512).step_by(whole.len() / 12) {
        fs::write(&cut, &whole[..length]).unwrap();
        let (code, said) = small.verify(&cut);
        assert!(matches!(code, 1 | 2), "{length}: {said}");
    }
}

/// Changes the manifest of a layout's image, with its digest and size in the index.
fn rewrite_manifest(layout: &Path, change: &dyn Fn(&mut Value)) {
    let index = layout.join("index.json");
    let mut document = json_of(&fs::read(&index).unwrap());
    let digest = document["manifests"][0]["digest"].as_str().unwrap().replace("sha256:", "");
    let mut manifest = json_of(&fs::read(layout.join("blobs/sha256").join(digest)).unwrap());
    change(&mut manifest);
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let digest = hex(&Sha256::digest(&bytes));
    fs::write(layout.join("blobs/sha256").join(&digest), &bytes).unwrap();
    document["manifests"][0]["digest"] = json!(format!("sha256:{digest}"));
    document["manifests"][0]["size"] = json!(bytes.len());
    fs::write(index, serde_json::to_vec(&document).unwrap()).unwrap();
}
