//! Missing and unfit libraries, against the machine's own runtime linker: the image is unpacked and the program started in
//! it, and what is printed then has to be what was foretold.

use super::image::{INNER, Image, LIBRARY, Source, library, library_32, lines, source, verdict};
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
