//! Programs in scripting languages run from the reduced tree alone, in a chroot, with the real interpreter; and they
//! fail there as soon as the files that only a rule brought are gone.

use crate::command::{fetched, minroot, repository, succeed, text};
use crate::support::{output, scratch, tool};
use minroot::manifest::{Entry, Manifest, json};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Some modules begin with `#!/usr/bin/env python3`, which nobody starts: there is no `env`.
const SOURCE: &str = "system = \"linux\"\n[source]\napt = [\"python3\", \"perl\", \"ruby\"]\n";

struct Language {
    rule: &'static str,
    interpreter: &'static str,
    /// A script, and a second file that it loads from beside it.
    files: [(&'static str, &'static str); 2],
    prints: &'static str,
}

const PYTHON: Language = Language {
    rule: "linux/python",
    interpreter: "/usr/bin/python3",
    files: [
        (
            "/srv/run",
            "#!/usr/bin/python3\nimport datetime, decimal, json, sqlite3, ssl, tarfile\nfrom helper import name\n\
             answer = sqlite3.connect(':memory:').execute('select 6 * 7').fetchone()\n\
             year = datetime.datetime.strptime('2020-01-02', '%Y-%m-%d').year\n\
             print(json.dumps(answer), ssl.OPENSSL_VERSION.split()[0], decimal.Decimal('1.5') * 2, year,\n      \
             b'\\x80'.decode('cp437'), name)\n",
        ),
        ("/srv/helper.py", "name = 'helper'\n"),
    ],
    prints: "[42] OpenSSL 3.0 2020 \u{c7} helper\n",
};

const PERL: Language = Language {
    rule: "linux/perl",
    interpreter: "/usr/bin/perl",
    files: [
        (
            "/srv/run",
            "#!/usr/bin/perl\nuse strict;\nuse POSIX qw(floor);\nuse List::Util 'sum';\nuse Digest::SHA 'sha1_hex';\nuse File::Temp;\n\
             use lib '/srv';\nuse Helper;\nopen(my $self, '<:encoding(UTF-8)', $0) or die;\n'a1' =~ /(?<digit>\\d)/;\n\
             print join(' ', floor(2.5), sum(1, 2, 3), $+{digit}, substr(sha1_hex('a'), 0, 4), Helper::name()), \"\\n\";\n",
        ),
        ("/srv/Helper.pm", "package Helper;\nsub name { 'helper' }\n1;\n"),
    ],
    prints: "2 6 1 86f7 helper\n",
};

const RUBY: Language = Language {
    rule: "linux/ruby",
    interpreter: "/usr/bin/ruby",
    files: [
        (
            "/srv/run.rb",
            "require 'json'\nrequire 'set'\nrequire 'digest'\nrequire 'yaml'\nrequire_relative 'helper'\n\
             puts JSON.generate([Set.new([1]).size, Digest::SHA1.hexdigest('a')[0, 4], YAML.load('a: 1'), NAME])\n",
        ),
        ("/srv/helper.rb", "NAME = 'helper'\n"),
    ],
    prints: "[1,\"86f7\",{\"a\":1},\"helper\"]\n",
};

#[test]
fn b57_python_imports_from_the_reduced_tree() {
    check(&PYTHON);
}

#[test]
fn b57_perl_uses_modules_of_the_reduced_tree() {
    check(&PERL);
}

#[test]
fn ruby_requires_features_of_the_reduced_tree() {
    check(&RUBY);
}

/// A program of two packages: what is in `exports` and `imports` of a package.json is in no path of an import.
const NODE: [(&str, &str); 8] = [
    ("package.json", r##"{ "type": "module", "imports": { "#in": "./lib/in.js" } }"##),
    ("main.js", "import a from 'pkg';\nimport b from 'pkg/sub';\nimport c from '#in';\nconsole.log(a, b, c);\n"),
    ("lib/in.js", "export default 'in';\n"),
    (
        "node_modules/pkg/package.json",
        r#"{ "exports": { ".": { "browser": "./web.mjs", "import": "./esm.mjs" }, "./sub": "./lib/deep.mjs" } }"#,
    ),
    ("node_modules/pkg/esm.mjs", "export default 'esm';\n"),
    ("node_modules/pkg/web.mjs", "export default 'web';\n"),
    ("node_modules/pkg/lib/deep.mjs", "export default 'deep';\n"),
    ("node_modules/pkg/index.js", "module.exports = 'index';\n"),
];

#[test]
fn node_imports_what_packages_export_from_the_reduced_tree() {
    let chroot = tool("chroot").filter(|_| rustix::process::geteuid().is_root());
    let (Some(chroot), Some(debian)) = (chroot, fetched(&repository("benches/support/programs/node.toml"))) else {
        return;
    };
    let directory = scratch();
    let (root, tree) = (directory.path().join("root"), directory.path().join("tree"));
    reduce(&debian, &["/usr/bin/node"], &root);
    for (path, content) in NODE {
        let file = root.join("srv/app").join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }
    reduce(&root, &["/usr/bin/node", "/srv/app/main.js"], &tree);
    let run = output(&chroot, &[tree.as_os_str(), "/usr/bin/node".as_ref(), "/srv/app/main.js".as_ref()]);
    assert_eq!(text(&run.stdout), "esm deep in\n", "{}", text(&run.stderr));
    assert!(!tree.join("srv/app/node_modules/pkg/web.mjs").exists());
    // The names are asked for beside them.
    check_names(&chroot, &root);
}

/// Targets of `exports` and `imports` with conditions, patterns and holes in them. Each file says its own name.
const PATTERNS: &str = r##"{
    "name": "all", "main": "./main.js",
    "exports": {
        ".": { "import": "./m.mjs", "default": "./d.js" },
        "./whole.js": ["./gone/../x.js", "./d.js"],
        "./f/*": "./any/*.js", "./f/*.js": "./src/*.js", "./f/in/*": null, "./f/in/but": "./d.js",
        "./deep/*/x": { "require": "./src/*.js" }, "./both/*": { "node": null, "default": "./src/*.js" },
        "./out/*": "../*.js"
    },
    "imports": { "#a/*": { "import": "./src/*.js", "default": "./any/*.js" }, "#self": "all/f/a.js" }
}"##;
const NAMES: [&str; 16] = [
    "all",
    "all/whole.js",
    "all/f/a",
    "all/f/a.js",
    "all/f/b/c.js",
    "all/f/in/a.js",
    "all/f/in/but",
    "all/f/",
    "all/f",
    "all/deep/a/x",
    "all/both/a",
    "all/out/a",
    "all/main.js",
    "#a/a",
    "#self",
    "#gone",
];

/// Names that files of a package ask for by `import` and by `require`: what node loads is what a trace keeps.
fn check_names(chroot: &Path, root: &Path) {
    let package = root.join("srv/app/node_modules/all");
    let write = |path: &str, text: &str| {
        let file = package.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    write("package.json", PATTERNS);
    write("m.mjs", "export default 'm.mjs';\n");
    for file in ["main.js", "d.js", "x.js", "any/a.js", "any/in/a.js", "src/a.js", "src/b/c.js", "src/in/a.js"] {
        write(file, &format!("module.exports = '{file}';\n"));
    }
    for (number, name) in NAMES.iter().enumerate() {
        write(&format!("{number}.mjs"), &format!("const all = await import('{name}');\nconsole.log(all.default);\n"));
        write(&format!("{number}.cjs"), &format!("console.log(require('{name}'));\n"));
    }
    let ask = "for (const n of process.argv.slice(1)) { try { require('/srv/app/node_modules/all/' + n); } catch { console.log(''); } }";
    let ask_import = "for (const n of process.argv.slice(1)) await import('/srv/app/node_modules/all/' + n).catch(() => console.log(''));";
    for (kind, options, ask) in [("cjs", &["-e"][..], ask), ("mjs", &["--input-type=module", "-e"], ask_import)] {
        let files: Vec<String> = (0..NAMES.len()).map(|number| format!("{number}.{kind}")).collect();
        let mut arguments: Vec<&OsStr> = vec![root.as_os_str(), "/usr/bin/node".as_ref()];
        arguments.extend(options.iter().chain([&ask, &"--"]).map(OsStr::new));
        arguments.extend(files.iter().map(OsStr::new));
        let loaded = output(chroot, &arguments);
        let (loaded, problems) = (text(&loaded.stdout), text(&loaded.stderr));
        assert_eq!(loaded.lines().count(), NAMES.len(), "{loaded}{problems}");
        for ((name, loaded), file) in NAMES.iter().zip(loaded.lines()).zip(&files) {
            let target = format!("/srv/app/node_modules/all/{file}");
            let manifest = root.with_extension("names.json");
            succeed(minroot(["trace", "--root"]).arg(root).arg(target).arg("-o").arg(&manifest));
            let manifest = json::read(&std::fs::read(&manifest).unwrap()).unwrap();
            let kept = manifest.entries.iter().filter_map(|entry| {
                let path = entry.path.to_string();
                path.strip_prefix("/srv/app/node_modules/all/").map(str::to_owned)
            });
            let kept: Vec<String> =
                kept.filter(|path| path.ends_with("js") && !path.starts_with(|c: char| c.is_ascii_digit())).collect();
            assert_eq!(kept.join(" "), loaded, "{name} in {file}");
        }
    }
}

/// Packs what the targets need of a root into a tree.
fn reduce(root: &Path, targets: &[&str], tree: &Path) {
    let manifest = tree.with_extension("json");
    succeed(minroot(["trace", "--root"]).arg(root).args(targets).arg("-o").arg(&manifest));
    succeed(minroot(["pack", "--format", "dir", "-m"]).arg(&manifest).arg("--root").arg(root).arg("-o").arg(tree));
}

fn check(language: &Language) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: programs run in a chroot, which needs root");
        return;
    }
    let (Some(chroot), Some(root)) = (tool("chroot"), root()) else { return };
    let directory = scratch();
    let (recipe, manifest, tree) =
        (directory.path().join("r.toml"), directory.path().join("m.json"), directory.path().join("tree"));
    std::fs::write(&recipe, language.recipe()).unwrap();
    succeed(minroot(["trace", "--root"]).arg(root).arg(&recipe).arg("-o").arg(&manifest));
    let pack = ["pack", "--format", "dir", "-m"];
    succeed(minroot(pack).arg(&manifest).arg("--root").arg(root).arg("-o").arg(&tree));

    let run = || output(&chroot, &[tree.as_os_str(), language.interpreter.as_ref(), language.files[0].0.as_ref()]);
    let with = run();
    assert_eq!(text(&with.stdout), language.prints, "{}", text(&with.stderr));
    assert_eq!(text(&with.stderr), "");

    let manifest: Manifest = json::read(&std::fs::read(&manifest).unwrap()).unwrap();
    assert!(manifest.missing.is_empty(), "{:?}", manifest.missing);
    let by_rule: Vec<&Entry> = manifest.entries.iter().filter(|entry| language.brought(entry)).collect();
    eprintln!("{}: {} of {} entries by the rule", language.rule, by_rule.len(), manifest.entries.len());
    for entry in &by_rule {
        let path = tree.join(OsStr::from_bytes(&entry.path.as_bytes()[1..]));
        if !path.is_dir() || path.is_symlink() {
            std::fs::remove_file(&path).unwrap();
        }
    }
    let without = run();
    assert!(!without.status.success() && without.stdout.is_empty(), "{}", text(&without.stdout));
}

impl Language {
    fn recipe(&self) -> String {
        let files = self.files.map(|(path, content)| format!("[[file]]\npath = '{path}'\ncontent = {content:?}\n"));
        let targets = format!("[trace]\ntargets = ['{}']\n", self.interpreter);
        format!("system = 'linux'\n{targets}{}", files.concat())
    }

    /// Whether nothing but the rule asks for the file.
    fn brought(&self, entry: &Entry) -> bool {
        !entry.reasons.is_empty() && entry.reasons.iter().all(|reason| reason.reason.detail.starts_with(self.rule))
    }
}

/// A Debian with the interpreters; `None` with a message where there is no network to fetch from.
fn root() -> Option<&'static Path> {
    static ROOT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let fetch = || {
        let recipe = Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages.toml");
        std::fs::write(&recipe, SOURCE).unwrap();
        fetched(&recipe)
    };
    ROOT.get_or_init(fetch).as_deref()
}
