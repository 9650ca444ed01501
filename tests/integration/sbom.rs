//! Bills of materials, judged by the validators of their formats and by dpkg.
//!
//! The validators come from PyPI, into a virtual environment that stays in the cache of the tests.

use crate::command::{cache, minroot, output_of, succeed, text, with_umask};
use crate::illumos_packages::omnios;
use crate::small_root;
use crate::support::{run, scratch, tool};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The validators, with their versions, so that a new one does not fail an old commit.
const VALIDATORS: [&str; 2] = ["spdx-tools==0.8.5", "cyclonedx-python-lib[json-validation]==11.12.0"];

/// Prints what is wrong with a document, one complaint a line. A purl has one spelling only.
const JUDGE: &str = r#"
import json, sys
from packageurl import PackageURL
form, path = sys.argv[1:]
if form == "spdx":
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
    for message in validate_full_spdx_document(parse_file(path)):
        print(message.validation_message)
    packages = json.load(open(path))["packages"]
    purls = [ref["referenceLocator"] for package in packages for ref in package.get("externalRefs", [])]
else:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(path).read())
    if error:
        print(error)
    purls = [component["purl"] for component in json.load(open(path))["components"] if "purl" in component]
for purl in purls:
    if PackageURL.from_string(purl).to_string() != purl:
        print(purl, "is", PackageURL.from_string(purl).to_string())
if not purls:
    print("no package has a purl")
"#;

/// The Python that has the validators; `None` with a message where there is no network to get them from.
fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    PYTHON.get_or_init(install_validators).as_deref()
}

fn install_validators() -> Option<PathBuf> {
    let system = tool("python3")?;
    let place = cache().join("sbom-validators");
    let (python, installed) = (place.join("bin/python"), place.join("installed"));
    if fs::read_to_string(&installed).is_ok_and(|versions| versions == VALIDATORS.join("\n")) {
        return Some(python);
    }
    let mut venv = Command::new(system);
    venv.args(["-m", "venv", "--clear"]).arg(&place);
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(VALIDATORS);
    for command in [&mut venv, &mut pip] {
        let output = output_of(command);
        if !output.status.success() {
            assert!(std::env::var_os("CI").is_none(), "{command:?}: {}", text(&output.stderr));
            eprintln!("skipped: the validators cannot be installed: {}", text(&output.stderr));
            return None;
        }
    }
    fs::write(installed, VALIDATORS.join("\n")).unwrap();
    Some(python)
}

/// What the validator of a form says about a document.
fn complaints(form: &str, document: &Path) -> Option<String> {
    let output = run(
        python()?,
        &["-c", JUDGE, form].map(OsStr::new).into_iter().chain([document.as_os_str()]).collect::<Vec<_>>(),
    );
    Some(text(&output))
}

fn sbom(manifest: &Path, root: Option<&Path>, form: &str, out: &Path) -> Command {
    let mut command = minroot(["sbom", "--format", form, "-m"]);
    command.arg(manifest).arg("-o").arg(out);
    root.into_iter().for_each(|root| {
        command.arg("--root").arg(root);
    });
    command
}

fn json_of(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// The manifest of a program of this machine with a few packages, and a file of nobody's.
fn openssl() -> &'static Path {
    static MANIFEST: OnceLock<PathBuf> = OnceLock::new();
    MANIFEST.get_or_init(|| {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let [recipe, manifest] = ["sbom.toml", "openssl.json"].map(|name| place.join(name));
        let program = "[source]\nroot = '/'\n[trace]\ntargets = ['/usr/bin/openssl']\n\
                       [[file]]\npath = '/srv/mine'\ncontent = 'mine'\n";
        fs::write(&recipe, program).unwrap();
        succeed(minroot(["trace"]).arg(recipe).arg("-o").arg(&manifest));
        manifest
    })
}

#[test]
fn the_validators_of_both_formats_have_nothing_to_say() {
    let Some(_) = tool("openssl") else { return };
    let directory = scratch();
    for form in ["spdx", "cyclonedx"] {
        let document = directory.path().join(format!("openssl.{form}.json"));
        succeed(&mut sbom(openssl(), Some(Path::new("/")), form, &document));
        let Some(complaints) = complaints(form, &document) else { return };
        assert_eq!(complaints, "", "{form}");
    }
    let document = directory.path().join("without.json");
    succeed(&mut sbom(openssl(), None, "cyclonedx", &document));
    assert_eq!(complaints("cyclonedx", &document).unwrap(), "");
}

#[test]
fn odd_names_and_licences_are_valid_too() {
    let directory = scratch();
    let root = directory.path().join("root");
    small_root::make(&root);
    fs::remove_file(root.join("usr/bin/broken")).unwrap();
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("var/lib/dpkg/info/lib+odd.list", "/usr/bin/app\n/usr/lib/app/libgreet.so.1\n/usr/lib/app/libgreet.so.1.2\n");
    let fields = "Version: 1:2~rc1+x\nMaintainer: \"\u{c9}mile, Jr.\" <e@example.org>\nSource: odd (9)\n";
    write(
        "var/lib/dpkg/status",
        &format!("Package: lib+odd\nStatus: install ok installed\nArchitecture: amd64\n{fields}"),
    );
    let licences = ["GPL-2+ with OpenSSL exception", "a (b) and c, or Expat", "GPL-3 and BSD-3-clause or X11", "?"];
    let paragraphs = licences.map(|names| format!("\nFiles: x\nCopyright: y\nLicense: {names}\n Text of {names}.\n"));
    let format = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n";
    write("usr/share/doc/lib+odd/copyright", &format!("{format}{}", paragraphs.concat()));
    write("var/sadm/install/contents", "/usr/bin/sh f none 0555 root bin 1 2 3 SUNWsh\n");
    write("var/sadm/pkg/SUNWsh/pkginfo", "PKG=SUNWsh\nVERSION=11.11,REV=2\nVENDOR=\"Some & one\"\n");
    write("var/sadm/pkg/SUNWsh/install/copyright", "(C) \u{a9} <some> & one\n");
    let actions = "license aa license=\"lic_CDDL (x)\"\nfile bb path=usr/bin/hello\n";
    write("var/pkg/publisher/omnios.org/pkg/system%2Flibrary/1%2C5.11-1%3A20250101T000000Z", actions);
    let text = "You <may> \"do\"\n\n\u{a9} this.";
    write("var/pkg/license/system%2Flibrary/license.lic_CDDL%20%28x%29", text);
    fs::write(root.join(OsStr::from_bytes(b"usr/bin/caf\xe9")), "#!/bin/sh\n").unwrap();
    let manifest = directory.path().join("odd name.json");
    let mut trace = minroot(["trace", "/usr/bin/app", "/usr/bin/hello", "--root"]);
    let recipe = directory.path().join("all.toml");
    fs::write(&recipe, "[trace]\ninclude = ['/usr/bin']\n").unwrap();
    succeed(trace.arg(&root).arg(recipe).arg("-o").arg(&manifest));
    for form in ["spdx", "cyclonedx"] {
        let document = directory.path().join(format!("{form}.json"));
        succeed(&mut sbom(&manifest, Some(&root), form, &document));
        let said = fs::read_to_string(&document).unwrap();
        for expected in
            ["caf\\\\xe9", "generic/SUNWsh@11.11%2CREV%3D2", "generic/omnios.org/system/library@1%2C5.11-1:2025"]
        {
            assert!(said.contains(expected), "{expected} in {said}");
        }
        if form == "spdx" {
            let document = json_of(&document);
            let texts = document["hasExtractedLicensingInfos"].as_array().unwrap();
            let of_ips = texts.iter().find(|info| info["name"] == "lic_CDDL (x)").unwrap();
            assert_eq!(of_ips["extractedText"], text);
        }
        let Some(complaints) = complaints(form, &document) else { return };
        assert_eq!(complaints, "", "{form}");
    }
}

#[test]
fn licences_that_ips_packages_deliver_come_with_the_root() {
    let directory = scratch();
    let repository = omnios(directory.path()).directory;
    let [first, second] = ["first.toml", "second.toml"].map(|name| directory.path().join(name));
    let fetch = |recipe: &Path, packages: &Path| {
        fs::write(recipe, format!("[source]\npackages = ['{}']\nselect = ['SUNWcs']\n", packages.display())).unwrap();
        let fetched = succeed(minroot(["fetch"]).arg(recipe).arg("--cache").arg(directory.path().join("cache")));
        PathBuf::from(text(&fetched).trim_end())
    };
    let root = fetch(&first, &repository);
    // Of a root that is an image by itself as well.
    for root in [fetch(&second, &root), root] {
        let licences = root.join("var/pkg/license/SUNWcs");
        assert_eq!(fs::read_dir(&licences).unwrap().count(), 1, "nobody has the others");
        let mode = fs::metadata(licences.join("license.lic%20CDDL")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o444);
        let [manifest, document] = ["su.json", "su.spdx.json"].map(|name| directory.path().join(name));
        succeed(minroot(["trace", "/usr/bin/su", "--root"]).arg(&root).arg("-o").arg(&manifest));
        succeed(&mut sbom(&manifest, Some(&root), "spdx", &document));
        let texts = json_of(&document)["hasExtractedLicensingInfos"].take();
        let told = texts.as_array().unwrap().iter().map(|info| (&info["name"], &info["extractedText"]));
        let told: Vec<_> = told.map(|(name, text)| (name.as_str().unwrap(), text.as_str().unwrap())).collect();
        assert_eq!(told, [("gone", "gone"), ("lic CDDL", "You may do this."), ("lost", "lost")]);
        let Some(complaints) = complaints("spdx", &document) else { return };
        assert_eq!(complaints, "");
    }
}

#[test]
fn versions_and_files_are_those_that_dpkg_says() {
    let (Some(dpkg), Some(_)) = (tool("dpkg-query"), tool("openssl")) else { return };
    let directory = scratch();
    let document = directory.path().join("openssl.json");
    succeed(&mut sbom(openssl(), Some(Path::new("/")), "cyclonedx", &document));
    let installed = text(&run(&dpkg, &["-W", "-f", "${Package} ${Version}\n"].map(OsStr::new)));
    let installed: BTreeMap<&str, &str> = installed.lines().filter_map(|line| line.split_once(' ')).collect();
    let components = json_of(&document)["components"].take();
    let mut n_files = 0;
    for package in components.as_array().unwrap().iter().filter(|component| component["type"] == "library") {
        let name = package["name"].as_str().unwrap();
        assert_eq!(package["version"], installed[name], "{name}");
        let listed = text(&run(&dpkg, &["-L", name].map(OsStr::new)));
        for file in package["components"].as_array().into_iter().flatten() {
            let path = file["name"].as_str().unwrap();
            // dpkg says `/lib` of what is in `/usr/lib`.
            let is_listed = listed.lines().any(|line| line == path || path.strip_prefix("/usr") == Some(line));
            assert!(is_listed, "{path} of {name}");
            n_files += 1;
        }
    }
    assert!(n_files > 5, "{components:#}");
    assert!(components.as_array().unwrap().iter().any(|component| component["name"] == "/srv/mine"));
}

#[test]
fn surroundings_do_not_change_a_byte_and_the_epoch_is_the_time() {
    let Some(_) = tool("openssl") else { return };
    let directory = scratch();
    for form in ["spdx", "cyclonedx"] {
        let [one, four] = [("1", "UTC", "022"), ("4", "Asia/Kolkata", "077")].map(|(threads, zone, umask)| {
            let out = directory.path().join(format!("{form}-{threads}"));
            let mut command = sbom(openssl(), Some(Path::new("/")), form, &out);
            let surroundings = [("RAYON_NUM_THREADS", threads), ("TZ", zone), ("SOURCE_DATE_EPOCH", "1700000000")];
            succeed(&mut with_umask(umask, command.envs(surroundings)));
            fs::read(out).unwrap()
        });
        assert!(one == four, "{form}");
        assert!(text(&one).contains("\"2023-11-14T22:13:20Z\""), "{form}");
    }
}

#[test]
fn a_bill_that_cannot_be_made_leaves_the_old_one_as_it_was() {
    let directory = scratch();
    let [root, manifest, out] = ["root", "app.json", "out"].map(|name| directory.path().join(name));
    small_root::make(&root);
    succeed(minroot(["trace", "/usr/bin/app", "--root"]).arg(&root).arg("-o").arg(&manifest));
    fs::write(&out, "old").unwrap();
    let fails = |root: Option<&Path>, expected: &str| {
        let output = output_of(&mut sbom(&manifest, root, "spdx", &out));
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
        assert_eq!(fs::read(&out).unwrap(), b"old");
    };
    fails(None, "hint: give the root of the manifest with `--root`, or use `--format cyclonedx`");
    fs::write(root.join("usr/bin/app"), "changed").unwrap();
    fails(Some(&root), "`/usr/bin/app` has changed since it was traced");
}
