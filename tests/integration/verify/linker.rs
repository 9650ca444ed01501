//! Missing and unfit libraries, against the machine's own runtime linker: the image is unpacked and the program started in
//! it, and what is printed then has to be what was foretold.

use super::image::{
    INNER, Image, LIBRARY, PROGRAM, Source, compile, inner, library, library_32, lines, linked, source, verdict,
};
use crate::support::tool;
use minroot::pack::{Compression, Format};
use std::path::Path;
use std::process::Command;

/// What the program prints when it is started inside the tree; `None` where this user may not change the root.
fn really(tree: &Path) -> Option<String> {
    let chroot = tool("chroot")?;
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can try the program in the tree");
        return None;
    }
    let mut command = Command::new(chroot);
    command.arg(tree).arg("greet").env_clear().env("PATH", "/usr/bin");
    Some(String::from_utf8(command.output().unwrap().stderr).unwrap().trim_end().to_owned())
}

/// The first finding about libraries, as foretold for the ISO and the directory.
fn foretold(source: &Source, change: impl FnOnce(&mut Image)) -> (String, Option<String>) {
    let mut image = Image::new(source);
    image.edit_plan("run hello\n", "");
    change(&mut image);
    let tree = image.pack(source, Format::Dir, Compression::None);
    let of = |file: &Path| {
        let verdict = verdict(source, file);
        assert!(!verdict.starts());
        let mut found = lines(&verdict);
        found.retain(|line| line.contains(" ld.so: "));
        assert!(!found.is_empty(), "{verdict:#?}");
        found.remove(0)
    };
    let message = of(&image.iso(source));
    assert_eq!(message, of(&tree));
    (message, really(&tree))
}

fn check(expected: &str, change: impl FnOnce(&mut Image)) {
    let Some(source) = source() else { return };
    let (foretold, really) = foretold(source, change);
    assert_eq!(foretold, format!("P ld.so: {expected}"));
    if let Some(really) = really {
        assert_eq!(really, expected);
    }
}

#[test]
fn a_good_tree_runs() {
    let Some(source) = source() else { return };
    let image = Image::new(source);
    let tree = image.pack(source, Format::Dir, Compression::None);
    if let Some(printed) = really(&tree) {
        assert_eq!(printed, "");
    }
}

#[test]
fn a_missing_library_is_told_in_the_words_of_the_runtime_linker() {
    check(
        "greet: error while loading shared libraries: libgreet.so.1: cannot open shared object file: No such file or directory",
        |image| image.remove(LIBRARY),
    );
}

#[test]
fn a_library_that_a_library_needs_is_told_by_its_own_name() {
    check(
        "greet: error while loading shared libraries: libinner.so.1: cannot open shared object file: No such file or directory",
        |image| image.remove(INNER),
    );
}

#[test]
fn a_library_of_the_other_class_is_told_with_its_class() {
    let Some(gcc) = tool("gcc") else { return };
    check("greet: error while loading shared libraries: libgreet.so.1: wrong ELF class: ELFCLASS32", |image| {
        image.replace(LIBRARY, &library_32(&gcc));
    });
}

#[test]
fn a_library_that_is_none_is_told_with_its_path() {
    check(&format!("greet: error while loading shared libraries: {LIBRARY}: file too short"), |image| {
        image.replace(LIBRARY, b"\x7fELF");
    });
    check(&format!("greet: error while loading shared libraries: {LIBRARY}: invalid ELF header"), |image| {
        image.replace(LIBRARY, &b"no library at all\n".repeat(10));
    });
}

#[test]
fn a_missing_version_is_told_with_both_ends() {
    let Some(gcc) = tool("gcc") else { return };
    check(&format!("greet: {LIBRARY}: version `GREET_1' not found (required by greet)"), |image| {
        image.replace(LIBRARY, &library(&gcc, "GREET_2"));
    });
}

/// A program that has all its symbols looked up at the start, one of them in a library.
fn binds_now(gcc: &Path, library: &[u8]) -> Vec<u8> {
    let source = "int greet(void); int maybe(void) __attribute__((weak)); int main(void) { return greet() + !!maybe; }";
    linked(gcc, source, library, &["-Wl,-z,now", "-Wl,--allow-shlib-undefined"])
}

const GREET: [&str; 3] = ["-shared", "-fPIC", "-Wl,-soname,libgreet.so.1"];

#[test]
fn a_weak_symbol_may_be_missing() {
    let (Some(gcc), Some(source)) = (tool("gcc"), source()) else { return };
    let mut image = Image::new(source);
    image.replace(PROGRAM, &binds_now(&gcc, &library(&gcc, "GREET_1")));
    let tree = image.pack(source, Format::Dir, Compression::None);
    assert!(verdict(source, &tree).starts());
    assert_eq!(really(&tree).unwrap_or_default(), "");
}

#[test]
fn a_missing_symbol_is_told_with_the_object_that_wants_it() {
    let Some(gcc) = tool("gcc") else { return };
    check("greet: symbol lookup error: greet: undefined symbol: greet", |image| {
        let with = compile(&gcc, "int greet(void) { return 0; }", &GREET);
        image.replace(PROGRAM, &binds_now(&gcc, &with));
        image.replace(LIBRARY, &compile(&gcc, "int other(void) { return 0; }", &GREET));
    });
    check(&format!("greet: symbol lookup error: {LIBRARY}: undefined symbol: inner"), |image| {
        let source = "int inner(void); int greet(void) { return inner(); }";
        let options = [&GREET[..], &["-Wl,--version-script=@/GREET_1.map", "-Wl,-z,now"]].concat();
        image.replace(LIBRARY, &linked(&gcc, source, &inner(&gcc), &options));
        let soname = "-Wl,-soname,libinner.so.1";
        image.replace(INNER, &compile(&gcc, "int other(void) { return 7; }", &["-shared", "-fPIC", soname]));
    });
}

#[test]
fn a_symbol_that_its_library_has_lost_is_told_with_the_version() {
    let Some(gcc) = tool("gcc") else { return };
    check("greet: symbol lookup error: greet: undefined symbol: greet, version GREET_1", |image| {
        image.replace(PROGRAM, &binds_now(&gcc, &library(&gcc, "GREET_1")));
        // The version is there, and nothing in it.
        let options = [&GREET[..], &["-Wl,--version-script=@/GREET_1.map"]].concat();
        image.replace(LIBRARY, &compile(&gcc, "int other(void) { return 0; }", &options));
    });
}

#[test]
fn a_library_beside_the_search_path_has_a_hint() {
    let Some(source) = source() else { return };
    let mut image = Image::new(source);
    image.remove(LIBRARY);
    image.replace("/srv/libgreet.so.1", b"");
    let verdict = verdict(source, &image.iso(source));
    let hint = verdict.findings[0].hint.as_deref().unwrap();
    assert!(hint.contains("`/srv/libgreet.so.1` does not serve"), "{hint}");
}
