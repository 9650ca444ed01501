//! What a recipe wishes for and does not get, or gets more of than it says.

use crate::command::{minroot, output_of, succeed, text};
use crate::elf::{Entry, Object, import};
use crate::small_root;
use crate::support::scratch;
use minroot::manifest::json;
use minroot::path::RootPath;
use minroot::reason::Kind;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A root, and what `trace` answers to a recipe about it: exit code, paths, messages.
struct Wishes(tempfile::TempDir);

impl Wishes {
    fn new() -> Wishes {
        let directory = scratch();
        let root = directory.path().join("root");
        for file in [
            "usr/share/zoneinfo/Etc/UTC",
            "usr/share/zoneinfo/Europe/Berlin",
            "usr/share/mime/types",
            "lib/modules/6.1/kernel/virtio_net.ko",
            "boot/vmlinuz-6.1",
        ] {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), file).unwrap();
        }
        Wishes(directory)
    }

    fn root(&self) -> std::path::PathBuf {
        self.0.path().join("root")
    }

    fn link(&self, target: &str, path: &str) {
        symlink(target, self.root().join(path)).unwrap();
    }

    fn trace(&self, recipe: &str, rules: Option<&Path>) -> (Option<i32>, Vec<String>, String) {
        let file = self.0.path().join("recipe.toml");
        fs::write(&file, format!("system = \"linux\"\n{recipe}")).unwrap();
        let mut command = minroot(["trace", "--format", "paths", "--root"]);
        command.arg(self.root()).arg(file).args(rules.iter().flat_map(|rules| ["--rules".as_ref(), rules.as_os_str()]));
        let output = output_of(&mut command);
        let paths = text(&output.stdout).lines().map(str::to_owned).collect();
        (output.status.code(), paths, text(&output.stderr))
    }
}

/// `include` brings what is in a directory, by whatever link it is called; a target, the directory alone.
#[test]
fn b53_a_link_to_a_directory_brings_the_link_and_what_is_in_the_directory() {
    let wishes = Wishes::new();
    wishes.link("../zoneinfo/Etc", "usr/share/mime/near");
    wishes.link("/usr/share/zoneinfo", "usr/share/zones");
    wishes.link("zones", "usr/share/twice");
    let all = [
        "/usr/share/zoneinfo",
        "/usr/share/zoneinfo/Etc",
        "/usr/share/zoneinfo/Etc/UTC",
        "/usr/share/zoneinfo/Europe",
        "/usr/share/zoneinfo/Europe/Berlin",
    ];
    for (include, links, kept) in [
        ("/usr/share/mime/near", &["/usr/share/mime", "/usr/share/mime/near"][..], &all[..3]),
        ("/usr/share/zones", &["/usr/share/zones"], &all),
        ("/usr/share/twice", &["/usr/share/twice", "/usr/share/zones"], &all),
        ("/usr/share/zone*", &["/usr/share/zones"], &all),
        ("/usr/share/zones/Etc", &["/usr/share/zones"], &all[..3]),
    ] {
        let (code, paths, _) = wishes.trace(&format!("[trace]\ninclude = ['{include}']"), None);
        let mut expected: Vec<&str> = [&["/usr", "/usr/share"], links, kept].concat();
        expected.sort_unstable();
        assert_eq!((code, paths.iter().map(String::as_str).collect::<Vec<_>>()), (Some(0), expected), "{include}");
    }
    let (code, paths, _) = wishes.trace("[trace]\ntargets = ['/usr/share/twice']", None);
    assert_eq!((code, paths.last().unwrap().as_str(), paths.len()), (Some(0), "/usr/share/zones", 5), "{paths:?}");
    // Links that lead to each other, and a directory inside itself.
    wishes.link("..", "usr/share/zoneinfo/up");
    let (code, paths, _) = wishes.trace("[trace]\ninclude = ['/usr/share/zones']", None);
    assert_eq!(code, Some(0));
    assert!(!paths.iter().any(|path| path == "/usr/share/mime/types"), "{paths:?}");
}

#[test]
fn b54_a_wish_that_matches_nothing_is_told_with_what_is_near() {
    let wishes = Wishes::new();
    for (index, text) in [("modules.dep", "kernel/virtio_net.ko:\n"), ("modules.alias", "")] {
        fs::write(wishes.root().join("lib/modules/6.1").join(index), text).unwrap();
    }
    for (recipe, name, near) in [
        ("[trace]\ntargets = ['/usr/share/mime/tpyes']", "/usr/share/mime/tpyes", "/usr/share/mime/types"),
        (
            "[trace]\ninclude = ['/usr/share/zoneinfo/Europe/Berln']",
            "/usr/share/zoneinfo/Europe/Berln",
            "Europe/Berlin",
        ),
        (
            "[trace]\ninclude = ['/usr/share/zoneinfo/Erope/*']",
            "/usr/share/zoneinfo/Erope/*",
            "/usr/share/zoneinfo/Europe",
        ),
        ("[trace]\nmodules = ['virtio_nte']", "virtio_nte", "virtio_net"),
    ] {
        let (code, _, told) = wishes.trace(recipe, None);
        assert_eq!(code, Some(1), "{recipe}: {told}");
        assert!(told.contains(name) && told.contains(near), "{recipe}: {told}");
    }
    let (code, _, told) = wishes.trace("[trace]\nhardware = ['virtoi']", None);
    assert!(code == Some(2) && told.contains("did you mean `virtio`?"), "{told}");
    // An exclusion that matches nothing leaves nothing out; it is told all the same.
    let (code, _, told) =
        wishes.trace("[trace]\ninclude = ['/usr/share/mime']\nexclude = ['/usr/share/mime/tpyes']", None);
    assert!(code == Some(0) && told.contains("`exclude` of `/usr/share/mime/tpyes` matches nothing"), "{told}");

    let rules = wishes.0.path().join("rules");
    fs::create_dir_all(rules.join("my")).unwrap();
    for (optional, expected) in [(false, Some(1)), (true, Some(0))] {
        let rule = format!(
            "summary = 's'\nmechanism = 'open'\nsystems = ['linux']\nwhy = 'w'\nevidence = ['e']\n[[rule]]\n\
             when = {{ included = '/usr/share/mime/types' }}\nneeds = ['/usr/share/mime/tpyes']\noptional = {optional}\n"
        );
        fs::write(rules.join("my/mime.toml"), rule).unwrap();
        let (code, _, told) = wishes.trace("[trace]\ninclude = ['/usr/share/mime/types']", Some(&rules));
        assert_eq!(code, expected, "{told}");
        assert_eq!(told.contains("did the rule mean /usr/share/mime/types?"), !optional, "{told}");
    }
}

/// Data that no object refers to comes by a rule that has a name and a trigger; where the recipe does not want it, it is
/// listed with that name.
#[test]
fn b39_data_packs_are_rules_with_a_name_and_what_is_left_out_is_listed() {
    let directory = scratch();
    let root = directory.path().join("root");
    small_root::make(&root);
    for (function, file, rule) in [
        ("localtime_r", "/etc/localtime", "linux/timezone"),
        ("getservbyname", "/etc/services", "linux/accounts"),
        ("SSL_CTX_set_default_verify_paths", "/etc/ssl/certs/ca-certificates.crt", "linux/ca-certificates"),
        ("getaddrinfo", "/etc/nsswitch.conf", "linux/nsswitch"),
    ] {
        fs::create_dir_all(root.join(&file[1..]).parent().unwrap()).unwrap();
        fs::write(root.join(&file[1..]), "").unwrap();
        let manifest = |functions: &[&'static str], without: &str| {
            let symbols: Vec<_> = functions.iter().map(|name| import(name, None)).collect();
            let interpreter = Some("/lib64/ld-linux-x86-64.so.2");
            let entries = &[Entry::Needed("libc.so.6")];
            Object { interpreter, entries, symbols: &symbols, ..Object::default() }.write(&root, "usr/bin/app");
            let recipe = directory.path().join("recipe.toml");
            fs::write(&recipe, format!("[trace]\ntargets = [\"/usr/bin/app\"]\nexclude = [{without}]\n")).unwrap();
            json::read(&succeed(minroot(["trace", "--root"]).arg(&root).arg(&recipe))).unwrap()
        };
        let path = RootPath::new(file).unwrap();
        let named = |reason: &minroot::reason::Reason| reason.kind == Kind::Rule && reason.detail.contains(rule);
        let with = manifest(&[function], "");
        let entry = with.entries.iter().find(|entry| entry.path == path).unwrap_or_else(|| panic!("{file}"));
        assert!(entry.reasons.iter().any(|because| named(&because.reason)), "{:?}", entry.reasons);
        let without = manifest(&[function], &format!("{file:?}"));
        assert!(without.entries.iter().all(|entry| entry.path != path));
        let listed = without.dropped.iter().find(|omission| omission.to.as_ref() == Some(&path)).unwrap();
        assert!(named(&listed.reason), "{listed:?}");
        // Nobody asks for it.
        assert!(manifest(&["getpid"], "").entries.iter().all(|entry| entry.path != path), "{file}");
    }
}
