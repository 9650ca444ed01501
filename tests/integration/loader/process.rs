//! What a process maps beside and because of its needs.

use super::fixture::{Fixture, LIBRARIES, materialize, run_in, trace_in};
use crate::support;
use minroot::reason::Kind;
use minroot::recipe::Recipe;
use minroot::resolve::glibc::Cache;
use minroot::text;
use std::os::unix::fs::PermissionsExt;

const B: &str = "int b(void) { return 0; }";
const CALLS_B: &str = "int b(void); int main(void) { return b(); }";

#[test]
fn b08_variants_for_processors_are_kept_as_the_recipe_says() {
    let Some(fixture) = Fixture::new() else { return };
    let variants = ["x86-64-v2", "x86-64-v3", "x86-64-v4"];
    fixture.speaking_library("/app/l/libb.so", "baseline", &[]);
    for variant in variants {
        fixture.speaking_library(&format!("/app/l/glibc-hwcaps/{variant}/libb.so"), variant, &[]);
    }
    fixture.program("/app/run", CALLS_B, &["-LR/app/l", "-lb", "-Wl,-rpath,$ORIGIN/l"]);
    let real = fixture.run(&["/app/run"], &[]);
    let kept = |cpu: Option<&str>| {
        let mut recipe = Recipe::default();
        recipe.trace.cpu = cpu.map(str::to_owned);
        let (trace, manifest) = fixture.trace_with(&recipe, &["/app/run"], Cache::FromConfiguration);
        let reduced = support::scratch();
        materialize(&manifest, fixture.root(), reduced.path());
        let path = |variant| format!("/app/l/glibc-hwcaps/{variant}/libb.so");
        let kept = variants.map(|variant| super::fixture::has(&manifest, &path(variant)));
        assert!(super::fixture::has(&manifest, "/app/l/libb.so"));
        let variants = manifest.entries.iter().filter(|entry| entry.path.to_string().contains("glibc-hwcaps/x86"));
        let sizes: Vec<u64> = variants.map(|entry| entry.size()).filter(|&size| size > 0).collect();
        let cost = format!("take {} in {}", text::size(sizes.iter().sum()), text::count(sizes.len() as u64, "file"));
        assert_eq!(trace.notes.iter().any(|note| note.contains(&cost)), cpu.is_some(), "{cost}: {:?}", trace.notes);
        (kept, run_in(reduced.path(), &["/app/run"], &[]).stdout)
    };
    assert_eq!(kept(None), ([false; 3], "baseline\n".to_owned()));
    assert_eq!(kept(Some("x86-64-v2")).0, [true, false, false]);
    assert_eq!(kept(Some("any")), ([true; 3], real.stdout));
}

#[test]
fn b08_what_a_variant_needs_is_searched_in_its_process() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/app/l/libextra.so", "int extra(void) { return 0; }", &[]);
    fixture.library("/app/l/libb.so", B, &[]);
    let needs_extra = "int extra(void); int b(void) { return extra(); }";
    fixture.library("/app/l/glibc-hwcaps/x86-64-v2/libb.so", needs_extra, &["-LR/app/l", "-lextra"]);
    let rpath = "-Wl,--disable-new-dtags,-rpath,$ORIGIN/l";
    fixture.program("/app/run", CALLS_B, &["-LR/app/l", "-lb", rpath]);
    let mut recipe = Recipe::default();
    recipe.trace.cpu = Some("any".to_owned());
    let (_, manifest) = fixture.trace_with(&recipe, &["/app/run"], Cache::FromConfiguration);
    assert!(super::fixture::has(&manifest, "/app/l/libextra.so"));
    assert!(super::fixture::required(&manifest).is_empty());
}

#[test]
fn b10_static_executables_need_nothing() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.write("/etc/ld.so.preload", "/usr/lib/libgone.so\n");
    for kind in ["-static", "-static-pie"] {
        fixture.program("/app/run", "int main(void) { return 0; }", &[kind]);
        let compared = fixture.compare("/app/run");
        assert!(compared.real.success && compared.mapped.is_empty());
        assert!(compared.trace.notes.iter().all(|note| !note.contains("ld.so.preload")), "{:?}", compared.trace.notes);
    }
}

#[test]
fn b11_section_headers_are_not_needed() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/app/l/libb.so", B, &[]);
    fixture.program("/app/run", CALLS_B, &["-LR/app/l", "-lb", "-Wl,-rpath,$ORIGIN/l"]);
    for path in ["/app/run", "/app/l/libb.so"] {
        fixture.patch(path, &[(40, &[0; 8]), (58, &[0; 6])]);
    }
    assert!(fixture.compare("/app/run").has("/app/l/libb.so"));
}

#[test]
fn b15_a_version_that_is_not_defined_is_missing() {
    let Some(fixture) = Fixture::new() else { return };
    let library = |version: &str| {
        fixture.write("/version.map", format!("{version} {{ global: b; local: *; }};"));
        fixture.speaking_library("/app/l/libb.so", version, &["-Wl,--version-script,R/version.map"]);
    };
    library("V2");
    fixture.program("/app/run", CALLS_B, &["-LR/app/l", "-lb", "-Wl,-rpath,$ORIGIN/l"]);
    assert!(fixture.compare("/app/run").real.success);
    library("V1");
    let compared = fixture.compare("/app/run");
    assert!(compared.real.stderr.contains("version `V2' not found (required by /app/run)"), "{:?}", compared.real);
    assert_eq!(compared.missing().name, "libb.so (V2)");
    assert_eq!(compared.tried(), [("/app/l/libb.so", "symbol version", "version `V2' not found")]);
    // A library that defines no versions is good for all, and the loader grumbles.
    fixture.speaking_library("/app/l/libb.so", "none", &[]);
    let compared = fixture.compare("/app/run");
    assert!(compared.real.success && compared.real.stderr.contains("no version information available"));
}

#[test]
fn b16_libraries_that_need_each_other_terminate() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/app/l/liby.so", "int y(void) { return 0; }", &[]);
    fixture.library("/app/l/libx.so", "int y(void); int x(void) { return y(); }", &["-LR/app/l", "-ly"]);
    fixture.library("/app/l/liby.so", "int x(void); int y(void) { return 0; }", &["-LR/app/l", "-lx"]);
    let rpath = "-Wl,--disable-new-dtags,-rpath,$ORIGIN/l";
    fixture.program("/app/run", "int x(void); int main(void) { return x(); }", &["-LR/app/l", "-lx", rpath]);
    let compared = fixture.compare("/app/run");
    assert!(compared.reasons("/app/l/libx.so").contains(&("/app/l/liby.so".to_owned(), Kind::Needed)));
}

#[test]
fn b20_preloaded_libraries_belong_to_every_dynamic_executable() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/opt/libextra.so", "int extra(void) { return 0; }", &[]);
    fixture.library("/opt/libpre.so", B, &["-LR/opt", "-lextra", "-Wl,-rpath,$ORIGIN"]);
    fixture.program("/app/run", "int main(void) { return 0; }", &[]);
    fixture.write("/etc/ld.so.preload", "# comment /opt/no.so\n/opt/libpre.so:/usr/lib/libgone.so\n");
    let compared = fixture.compare("/app/run");
    assert!(compared.real.success);
    assert!(compared.real.stderr.contains("'/usr/lib/libgone.so' from /etc/ld.so.preload cannot be preloaded"));
    for path in ["/opt/libpre.so", "/etc/ld.so.preload"] {
        assert!(compared.reasons(path).contains(&("/app/run".to_owned(), Kind::Preload)), "{path}");
    }
    let notes = &compared.trace.notes;
    assert_eq!(notes.iter().filter(|note| note.contains("/usr/lib/libgone.so")).count(), 1, "{notes:?}");
}

#[test]
fn b50_one_inode_under_two_names_is_mapped_once_and_keeps_both() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/app/l/libb.so.1.0", B, &["-Wl,-soname,libother.so"]);
    std::fs::hard_link(fixture.host("/app/l/libb.so.1.0"), fixture.host("/app/l/libb.so.1")).unwrap();
    std::fs::hard_link(fixture.host("/app/l/libb.so.1.0"), fixture.host("/app/l/libb.so")).unwrap();
    fixture.program("/app/run", CALLS_B, &["-LR/app/l", "-lb", "-Wl,-rpath,$ORIGIN/l"]);
    // Two calls: patchelf mixes the two up when it gets them at once.
    fixture.patchelf("/app/run", &["--replace-needed", "libother.so", "libb.so.1"]);
    fixture.patchelf("/app/run", &["--add-needed", "libb.so"]);
    let (_, manifest) = fixture.trace(&["/app/run"]);
    let has = |path| super::fixture::has(&manifest, path);
    let kept = ["/app/l/libb.so", "/app/l/libb.so.1", "/app/l/libb.so.1.0"].map(has);
    assert_eq!(kept, [true, true, false], "{:?}", super::fixture::required(&manifest));
    let real = fixture.run(&["/app/run"], &["LD_TRACE_LOADED_OBJECTS=1"]);
    assert_eq!(real.stdout.matches("/app/l/libb.so").count(), 1, "{real:?}");
    let reduced = support::scratch();
    materialize(&manifest, fixture.root(), reduced.path());
    assert!(run_in(reduced.path(), &["/app/run"], &[]).success);
}

#[test]
fn b34_the_unwinder_of_ending_threads_comes_by_its_rule_and_its_soname() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.install_library("libgcc_s.so.1", &format!("{LIBRARIES}/libgcc_s-12.so"));
    fixture.link("libgcc_s-12.so", &format!("{LIBRARIES}/libgcc_s.so.1"));
    let source = "void pthread_exit(void *); int main(void) { pthread_exit(0); return 1; }";
    fixture.program("/app/run", source, &[]);
    let (_, manifest) = fixture.trace(&["/app/run"]);
    let reasons = super::fixture::reasons(&manifest, &format!("{LIBRARIES}/libgcc_s.so.1"));
    assert!(reasons.iter().any(|(_, kind)| *kind == Kind::Rule), "{reasons:?}");
    let reduced = support::scratch();
    materialize(&manifest, fixture.root(), reduced.path());
    assert!(run_in(reduced.path(), &["/app/run"], &[]).success);
    std::fs::remove_file(reduced.path().join(&LIBRARIES[1..]).join("libgcc_s.so.1")).unwrap();
    let without = run_in(reduced.path(), &["/app/run"], &[]);
    assert!(without.stderr.contains("libgcc_s.so.1 must be installed"), "{without:?}");
}

#[test]
fn an_empty_needed_name_is_the_executable_itself() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.program("/app/run", "int main(void) { return 0; }", &[]);
    fixture.patchelf("/app/run", &["--add-needed", "libnone.so"]);
    let bytes = std::fs::read(fixture.host("/app/run")).unwrap();
    let at = bytes.windows(11).position(|window| window == b"libnone.so\0").unwrap();
    for (name, missing) in [(&b"\0"[..], false), (b".\0", true), (b"..\0", true)] {
        fixture.patch("/app/run", &[(at, name)]);
        let (_, manifest) = fixture.trace(&["/app/run"]);
        assert_eq!(!super::fixture::required(&manifest).is_empty(), missing, "{name:?}");
        assert_eq!(!fixture.run(&["/app/run"], &[]).success, missing, "{name:?}");
    }
}

#[test]
fn b23_b24_the_environment_of_minroot_changes_nothing() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library(&format!("{LIBRARIES}/libb.so"), B, &[]);
    fixture.library("/alt/libb.so", "int b(void) { return 1; }", &[]);
    fixture.program("/app/run", CALLS_B, &["-LR/alt", "-lb"]);
    assert!(fixture.compare("/app/run").has(&format!("{LIBRARIES}/libb.so")));
    assert!(!fixture.run(&["/app/run"], &["LD_LIBRARY_PATH=/alt"]).success, "the real loader takes the other one");
    let manifest = |environment: &[(&str, &str)]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_minroot"));
        command.args(["trace", "--root"]).arg(fixture.root()).args(["--format", "json", "/app/run"]);
        let output = command.env_clear().envs(environment.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let noise = [
        ("LD_LIBRARY_PATH", "/alt"),
        ("LD_PRELOAD", "/x.so"),
        ("BASH_ENV", "/x.sh"),
        ("BASH_XTRACEFD", "1"),
        ("SHELLOPTS", "xtrace"),
        ("LC_ALL", "de_DE.UTF-8"),
        ("PATH", "/nonexistent"),
    ];
    assert!(manifest(&noise) == manifest(&[]));
}

#[test]
fn b23_a_library_path_that_the_user_asks_for_is_obeyed_where_the_loader_obeys_it() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.speaking_library(&format!("{LIBRARIES}/libb.so"), "default", &[]);
    for directory in ["alt", "own"] {
        fixture.speaking_library(&format!("/{directory}/libb.so"), directory, &[]);
    }
    let mut recipe = Recipe::default();
    recipe.trace.library_path = ["/empty", "/alt"].map(str::to_owned).to_vec();
    let variable = "LD_LIBRARY_PATH=/empty:/alt";
    for (path, speaker) in [
        (&["-Wl,-rpath,/own", "-Wl,--disable-new-dtags"][..], "own"),
        (&["-Wl,-rpath,/own", "-Wl,--enable-new-dtags"], "alt"),
        (&[], "alt"),
    ] {
        fixture.program("/app/run", CALLS_B, &[&["-LR/alt", "-lb"], path].concat());
        let (trace, manifest) = fixture.trace_with(&recipe, &["/app/run"], Cache::FromConfiguration);
        let reduced = support::scratch();
        materialize(&manifest, fixture.root(), reduced.path());
        for root in [fixture.root(), reduced.path()] {
            assert_eq!(run_in(root, &["/app/run"], &[variable]).stdout, format!("{speaker}\n"), "{path:?}");
        }
        assert!(trace.notes.iter().any(|note| note.contains(variable)), "{:?}", trace.notes);
    }
    // It is ignored by a program with other rights than its caller's, and does not hide what is missing.
    std::fs::set_permissions(fixture.host("/app/run"), std::fs::Permissions::from_mode(0o4755)).unwrap();
    let kept = |library: &str| {
        let (_, manifest) = fixture.trace_with(&recipe, &["/app/run"], Cache::FromConfiguration);
        super::fixture::has(&manifest, library)
    };
    assert!(kept(&format!("{LIBRARIES}/libb.so")) && !kept("/alt/libb.so"));
    std::fs::remove_file(fixture.host(&format!("{LIBRARIES}/libb.so"))).unwrap();
    std::fs::set_permissions(fixture.host("/app/run"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::remove_file(fixture.host("/alt/libb.so")).unwrap();
    let (trace, _) = fixture.trace_with(&recipe, &["/app/run"], Cache::FromConfiguration);
    let tried = super::fixture::tried(trace.missing.first().unwrap());
    assert_eq!(
        tried[..2],
        [("/empty/libb.so", "library path", "no such file"), ("/alt/libb.so", "library path", "no such file")]
    );
}

#[test]
fn b02_the_same_target_traced_twice_gives_the_same() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library(&format!("{LIBRARIES}/libb.so"), B, &[]);
    fixture.program("/app/run", CALLS_B, &[&format!("-LR{LIBRARIES}"), "-lb"]);
    let trace = || trace_in(fixture.root(), &Recipe::default(), &["/app/run"], Cache::FromConfiguration).1;
    assert_eq!(trace(), trace());
}
