//! Where the loader looks for a name that an object needs.

use super::fixture::{Fixture, LIBRARIES, LOADER, required};
use minroot::reason::Kind;

const A: &str = "int b(void); int a(void) { return b(); }";
const B: &str = "int b(void) { return 0; }";
/// The one that must not be used.
const BAD_B: &str = "int b(void) { return 1; }";
const CALLS_A: &str = "int a(void); int main(void) { return a(); }";
const CALLS_B: &str = "int b(void); int main(void) { return b(); }";

/// `/app/run` needs `/app/l/liba.so`, which needs `/app/l/libb.so` and says nothing of where that is.
fn chain(tags: &str) -> Option<Fixture> {
    let fixture = Fixture::new()?;
    fixture.library("/app/l/libb.so", B, &[]);
    fixture.library("/app/l/liba.so", A, &["-LR/app/l", "-lb"]);
    fixture.program("/app/run", CALLS_A, &["-LR/app/l", "-la", &format!("-Wl,{tags},-rpath,$ORIGIN/l")]);
    Some(fixture)
}

#[test]
fn b01_runpath_of_the_executable_does_not_serve_its_libraries() {
    let Some(fixture) = chain("--enable-new-dtags") else { return };
    let compared = fixture.compare("/app/run");
    assert!(compared.real.stderr.contains("libb.so: cannot open shared object file"), "{:?}", compared.real);
    let missing = compared.missing();
    assert_eq!(missing.from.as_ref().unwrap().to_string(), "/app/l/liba.so");
    assert_eq!(missing.name, "libb.so");
    let words = "there, but a RUNPATH serves only the needs of its own object";
    assert!(compared.tried().contains(&("/app/l/libb.so", "runpath of /app/run", words)), "{:?}", compared.tried());
}

#[test]
fn b01_rpath_of_the_executable_serves_its_libraries() {
    let Some(fixture) = chain("--disable-new-dtags") else { return };
    assert!(fixture.compare("/app/run").has("/app/l/libb.so"));
}

#[test]
fn b02_a_library_on_its_own_is_another_question_than_in_a_program() {
    let Some(fixture) = chain("--disable-new-dtags") else { return };
    let alone = fixture.run(&[LOADER, "--list", "/app/l/liba.so"], &[]);
    assert!(alone.stderr.contains("libb.so: cannot open shared object file"), "{alone:?}");
    let (_, manifest) = fixture.trace(&["/app/l/liba.so"]);
    assert_eq!(required(&manifest)[0].name, "libb.so");
    let (_, manifest) = fixture.trace(&["/app/run"]);
    assert!(required(&manifest).is_empty());
}

#[test]
fn b03_origin_of_an_executable_is_where_its_link_leads() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/opt/lib/libb.so", B, &[]);
    fixture.program("/opt/bin/java", CALLS_B, &["-LR/opt/lib", "-lb", "-Wl,-rpath,$ORIGIN/../lib"]);
    fixture.link("../../opt/bin/java", "/usr/bin/java");
    let compared = fixture.compare("/usr/bin/java");
    assert!(compared.has("/usr/bin/java") && compared.has("/opt/bin/java") && compared.has("/opt/lib/libb.so"));
}

#[test]
fn b04_origin_of_a_library_is_the_path_it_was_opened_by() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/app/link/libb.so", B, &[]);
    fixture.library("/app/real/liba.so", A, &["-LR/app/link", "-lb", "-Wl,-rpath,$ORIGIN"]);
    fixture.link("../real/liba.so", "/app/link/liba.so");
    fixture.program("/app/run", CALLS_A, &["-LR/app/link", "-la", "-Wl,-rpath,$ORIGIN/link"]);
    assert!(fixture.compare("/app/run").has("/app/link/libb.so"));
}

#[test]
fn b05_a_needed_name_with_a_slash_is_a_path() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/opt/x/libb.so", B, &[]);
    fixture.program("/app/run", CALLS_B, &["-LR/opt/x", "-lb"]);
    fixture.patchelf("/app/run", &["--replace-needed", "libb.so", "/opt/x/libb.so"]);
    assert!(fixture.compare("/app/run").has("/opt/x/libb.so"));
}

#[test]
fn b05_a_relative_path_depends_on_the_working_directory() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/opt/x/libb.so", B, &[]);
    fixture.program("/app/run", CALLS_B, &["-LR/opt/x", "-lb"]);
    fixture.patchelf("/app/run", &["--replace-needed", "libb.so", "opt/x/libb.so"]);
    // The real program runs here, because its working directory happens to be the root.
    assert!(fixture.run(&["/app/run"], &[]).success);
    let (_, manifest) = fixture.trace(&["/app/run"]);
    assert!(required(&manifest)[0].probes[0].outcome.contains("working directory"));
}

#[test]
fn b06_nodeflib_takes_the_default_directories_from_one_object() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.program("/app/run", "int main(void) { return 0; }", &["-Wl,-z,nodefaultlib"]);
    assert_eq!(fixture.compare("/app/run").missing().name, "libc.so.6");

    // A RUNPATH counts, and what the library needs is found as ever.
    let libc = format!("-Wl,-rpath,$ORIGIN/l,-rpath,{LIBRARIES}");
    fixture.library(&format!("{LIBRARIES}/libb.so"), B, &[]);
    fixture.library("/app/l/liba.so", A, &[&format!("-LR{LIBRARIES}"), "-lb"]);
    fixture.program("/app/run", CALLS_A, &["-LR/app/l", "-la", "-Wl,-z,nodefaultlib", &libc]);
    assert!(fixture.compare("/app/run").has(&format!("{LIBRARIES}/libb.so")));
}

#[test]
fn b07_a_soname_that_is_loaded_already_is_not_searched() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/app/l/libb.so", B, &[]);
    fixture.library("/app/l/liba.so", A, &["-LR/app/l", "-lb"]);
    for order in [["-lb", "-la"], ["-la", "-lb"]] {
        fixture.program("/app/run", CALLS_A, &["-LR/app/l", order[0], order[1], "-Wl,-rpath,$ORIGIN/l"]);
        let compared = fixture.compare("/app/run");
        let note = "/app/l/liba.so finds `libb.so` only because another object of the process has loaded it before";
        assert!(compared.trace.notes.iter().any(|n| n == note), "{:?}", compared.trace.notes);
    }
}

#[test]
fn b09_lib_and_braces_are_expanded() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/app/lib/x86_64-linux-gnu/libb.so", B, &[]);
    let link = "-LR/app/lib/x86_64-linux-gnu";
    fixture.program("/app/run", CALLS_B, &[link, "-lb", "-Wl,-rpath,${ORIGIN}/$LIB"]);
    assert!(fixture.compare("/app/run").has("/app/lib/x86_64-linux-gnu/libb.so"));
}

#[test]
fn b13_a_library_of_another_class_or_machine_is_passed_over() {
    const CLASS: usize = 4;
    const MACHINE: usize = 18;
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/app/l64/libb.so", B, &[]);
    fixture.copy("/app/l64/libb.so", "/app/l32/libb.so");
    fixture.patch("/app/l32/libb.so", &[(CLASS, &[1])]);
    fixture.copy("/app/l64/libb.so", "/app/arm/libb.so");
    fixture.patch("/app/arm/libb.so", &[(MACHINE, &[183])]);
    let path = "-Wl,-rpath,$ORIGIN/l32:$ORIGIN/arm:$ORIGIN/l64";
    fixture.program("/app/run", CALLS_B, &["-LR/app/l64", "-lb", path]);
    let compared = fixture.compare("/app/run");
    assert!(compared.has("/app/l64/libb.so") && !compared.has("/app/l32/libb.so"));

    std::fs::remove_file(fixture.host("/app/l64/libb.so")).unwrap();
    let compared = fixture.compare("/app/run");
    let step = "runpath of /app/run";
    assert!(compared.tried().contains(&("/app/l32/libb.so", step, "wrong ELF class")), "{:?}", compared.tried());
    assert!(compared.tried().contains(&("/app/arm/libb.so", step, "another machine's object")));
    assert!(compared.real.stderr.contains("libb.so: wrong ELF class: ELFCLASS32"), "{:?}", compared.real);
}

#[test]
fn b14_a_file_that_is_no_library_ends_the_search() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/app/good/libb.so", B, &[]);
    let path = "-Wl,-rpath,$ORIGIN/bad:$ORIGIN/good";
    fixture.program("/app/run", CALLS_B, &["-LR/app/good", "-lb", path]);
    let whole = std::fs::read(fixture.host("/app/good/libb.so")).unwrap();
    let text = [b'x'; 100];
    let files = [(&b""[..], "file too short"), (&whole[..40], "file too short"), (&text, "invalid ELF header")];
    for (bytes, words) in files {
        fixture.write("/app/bad/libb.so", bytes);
        let compared = fixture.compare("/app/run");
        assert!(compared.real.stderr.contains(&format!("/app/bad/libb.so: {words}")), "{:?}", compared.real);
        assert_eq!(compared.tried(), [("/app/bad/libb.so", "runpath of /app/run", words)]);
    }
}

#[test]
fn b14_a_directory_in_place_of_a_library_ends_the_search() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/app/good/libb.so", B, &[]);
    fixture.directory("/app/bad/libb.so");
    let path = "-Wl,-rpath,$ORIGIN/bad:$ORIGIN/good";
    fixture.program("/app/run", CALLS_B, &["-LR/app/good", "-lb", path]);
    let real = fixture.run(&["/app/run"], &[]);
    assert!(real.stderr.contains("/app/bad/libb.so: cannot read file data: Error 21"), "{real:?}");
    let (_, manifest) = fixture.trace(&["/app/run"]);
    assert_eq!(required(&manifest)[0].probes[0].outcome, "cannot read file data: Is a directory");
}

#[test]
fn a_link_that_is_broken_in_another_way_than_dead_makes_the_loader_leave_a_list() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/app/good/libb.so", BAD_B, &[]);
    fixture.library(&format!("{LIBRARIES}/libb.so"), B, &[]);
    let path = "-Wl,-rpath,$ORIGIN/broken:$ORIGIN/good";
    fixture.program("/app/run", CALLS_B, &["-LR/app/good", "-lb", path]);
    // `good` comes after the link in the same list; the default directories are another list.
    for target in ["libb.so", "../good/libb.so/", "../good/libb.so/.", "../good/libb.so/../libb.so"] {
        fixture.link(target, "/app/broken/libb.so");
        let compared = fixture.compare("/app/run");
        assert!(compared.real.success && !compared.has("/app/good/libb.so"), "{target}");
        std::fs::remove_file(fixture.host("/app/broken/libb.so")).unwrap();
    }
}

#[test]
fn b17_absolute_links_stay_in_the_root_and_are_kept() {
    let Some(fixture) = Fixture::new() else { return };
    std::fs::create_dir(fixture.host("/usr/x").parent().unwrap()).ok();
    std::fs::rename(fixture.host("/lib"), fixture.host("/usr/lib")).unwrap();
    fixture.link("usr/lib", "/lib");
    fixture.library("/opt/v/libb.so.1.2", B, &["-Wl,-soname,libb.so"]);
    fixture.link("/opt/v/libb.so.1.2", "/etc/alternatives/libb");
    fixture.link("/etc/alternatives/libb", "/usr/lib/x86_64-linux-gnu/libb.so");
    fixture.program("/app/run", CALLS_B, &["-LR/opt/v", "-l:libb.so.1.2"]);
    let compared = fixture.compare("/app/run");
    for path in ["/lib", "/usr/lib/x86_64-linux-gnu/libb.so", "/etc/alternatives/libb", "/opt/v/libb.so.1.2"] {
        assert!(compared.has(path), "{path}");
    }
}

#[test]
fn b18_default_directories_need_no_configuration() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/usr/lib/libb.so", B, &[]);
    fixture.program("/app/run", CALLS_B, &["-LR/usr/lib", "-lb"]);
    assert!(fixture.compare("/app/run").has("/usr/lib/libb.so"));
    fixture.write("/etc/ld.so.conf", "");
    assert!(!fixture.compare("/app/run").has("/etc/ld.so.cache"));
}

/// A loader that is only copied keeps the directories that were built into it: the prefix is not searched. A loader
/// that was built for a prefix has other strings, as the second part has.
#[test]
fn b19_default_directories_are_those_built_into_the_named_loader() {
    let Some(fixture) = Fixture::new() else { return };
    let prefix = "/opt/px/lib/ld-linux-x86-64.so.2";
    fixture.copy(LOADER, prefix);
    fixture.library("/opt/px/lib/libb.so", BAD_B, &[]);
    fixture.program("/app/run", CALLS_B, &["-LR/opt/px/lib", "-lb"]);
    fixture.patchelf("/app/run", &["--set-interpreter", prefix]);
    assert_eq!(fixture.compare("/app/run").missing().name, "libb.so");
    fixture.library("/usr/lib/libb.so", B, &[]);
    let compared = fixture.compare("/app/run");
    assert!(compared.has(prefix) && compared.has("/usr/lib/libb.so") && !compared.has(LOADER));

    // The same length, so that the table of lengths in the loader stays right.
    let mut bytes = std::fs::read(fixture.host(prefix)).unwrap();
    let (from, to) = (b"\0/usr/lib/\0", b"\0/opt/lib/\0");
    let at = bytes.windows(from.len()).position(|window| window == from).expect("a default directory");
    bytes[at..at + to.len()].copy_from_slice(to);
    fixture.write(prefix, bytes);
    fixture.library("/opt/lib/libb.so", B, &[]);
    let compared = fixture.compare("/app/run");
    assert!(compared.has("/opt/lib/libb.so") && !compared.has("/usr/lib/libb.so"));
}

#[test]
fn b26_a_library_needs_no_execute_permission() {
    use std::os::unix::fs::PermissionsExt;
    let Some(fixture) = chain("--disable-new-dtags") else { return };
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(fixture.host("/app/l/liba.so"), mode.clone()).unwrap();
    let compared = fixture.compare("/app/run");
    assert!(compared.has("/app/l/libb.so") && compared.trace.notes.is_empty(), "{:?}", compared.trace.notes);
    // The program itself does need it.
    std::fs::set_permissions(fixture.host("/app/run"), mode).unwrap();
    assert_eq!(fixture.run(&["/app/run"], &[]).stderr, "exec: Permission denied\n");
    let (trace, manifest) = fixture.trace(&["/app/run"]);
    assert!(required(&manifest).is_empty());
    let note = "/app/run is a program without execute permission: the kernel refuses to start it";
    assert_eq!(trace.notes, [note]);
}

#[test]
fn b27_the_loader_is_one_file_with_two_reasons() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.program("/app/run", "int main(void) { return 0; }", &[]);
    fixture.patchelf("/app/run", &["--add-needed", "ld-linux-x86-64.so.2"]);
    let compared = fixture.compare("/app/run");
    let kinds: Vec<Kind> = compared.reasons(LOADER).into_iter().map(|(_, kind)| kind).collect();
    assert!(kinds.contains(&Kind::Needed) && kinds.contains(&Kind::Interpreter), "{kinds:?}");
    let loaders = compared.mapped.iter().filter(|path| path.contains("/ld-linux")).count();
    assert_eq!(loaders, 1);
}

#[test]
fn b29_a_library_elsewhere_in_the_root_is_pointed_at() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/opt/app/lib/libb.so", B, &[]);
    fixture.program("/usr/bin/run", CALLS_B, &["-LR/opt/app/lib", "-lb"]);
    let compared = fixture.compare("/usr/bin/run");
    let (path, step, outcome) = *compared.tried().last().unwrap();
    assert_eq!((path, step), ("/opt/app/lib/libb.so", "elsewhere in the root"));
    assert!(outcome.contains("on no search path of /usr/bin/run") && outcome.contains("RUNPATH"), "{outcome}");
}

#[test]
fn b31_a_missing_program_interpreter_is_told_as_such() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.program("/app/run", "int main(void) { return 0; }", &[]);
    fixture.patchelf("/app/run", &["--set-interpreter", "/lib/ld-nope.so.2"]);
    let compared = fixture.compare("/app/run");
    assert_eq!(compared.real.stderr, "exec: No such file or directory\n");
    let missing = compared.missing();
    assert_eq!((missing.reason.kind, &missing.name[..]), (Kind::Interpreter, "/lib/ld-nope.so.2"));
}
