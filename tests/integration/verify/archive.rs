//! Damage in the archive, and in what it holds.

use super::image::{Image, LIBRARY, PROGRAM, SCRIPT, Source, lines, module, path, source, verdict};
use crate::support::tool;
use minroot::manifest::Content;
use minroot::pack::{Compression, Format};
use std::fs;
use std::io::Write;

/// The findings for an image that was changed before it was packed, without those about the manifest.
fn changed(source: &Source, change: impl FnOnce(&mut Image)) -> Vec<String> {
    let mut image = Image::new(source);
    change(&mut image);
    let mut found = lines(&verdict(source, &image.iso(source)));
    found.retain(|line| !line.contains(" manifest: "));
    found
}

fn check(change: impl FnOnce(&mut Image), expected: &[&str]) {
    let Some(source) = source() else { return };
    assert_eq!(changed(source, change), expected);
}

/// The findings for an archive of these bytes.
fn of_archive(source: &Source, archive: Vec<u8>) -> Vec<String> {
    let mut image = Image::new(source);
    image.archive = Some(archive);
    lines(&verdict(source, &image.iso(source)))
}

#[test]
fn damaged_compressed_data_are_told_as_the_kernel_does() {
    let Some(source) = source() else { return };
    let image = Image::new(source);
    // In gzip most damage decodes to other bytes; a block of type 3 (RFC 1951 section 3.2.3) does not decode at all.
    let middle: fn(&[u8]) -> usize = |archive| archive.len() / 2;
    for (compression, words, place) in [
        (Compression::Zstd, "ZSTD-compressed data is corrupt", middle),
        (Compression::Gzip, "uncompression error", |_| 10),
        (Compression::Xz, "XZ-compressed data is corrupt", middle),
    ] {
        let mut archive = fs::read(image.pack(source, Format::Cpio, compression)).unwrap();
        let place = place(&archive);
        archive[place] |= 0x07;
        archive[place + 1] ^= 0xff;
        let expected = format!("P kernel: Initramfs unpacking failed: {words}");
        assert_eq!(of_archive(source, archive), [expected], "{compression}");
    }
}

#[test]
fn a_window_that_the_kernel_does_not_take_is_refused() {
    let Some(source) = source() else { return };
    let plain = fs::read(Image::new(source).pack(source, Format::Cpio, Compression::None)).unwrap();
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(28).unwrap();
    encoder.write_all(&plain).unwrap();
    let found = of_archive(source, encoder.finish().unwrap());
    assert_eq!(found, ["P kernel: Initramfs unpacking failed: ZSTD-compressed data is probably corrupt"]);
}

#[test]
fn an_xz_stream_with_a_check_that_the_kernel_lacks_is_refused() {
    let (Some(source), Some(xz)) = (source(), tool("xz")) else { return };
    let image = Image::new(source);
    let plain = image.pack(source, Format::Cpio, Compression::None);
    let archive = crate::support::run(&xz, &["-0".as_ref(), "--check=crc64".as_ref(), "-c".as_ref(), plain.as_ref()]);
    let words = "Input was encoded with settings that are not supported by this XZ decoder";
    assert_eq!(of_archive(source, archive), [format!("P kernel: Initramfs unpacking failed: {words}")]);
}

#[test]
fn what_follows_an_archive_must_be_another_one() {
    let Some(source) = source() else { return };
    let image = Image::new(source);
    let archive = fs::read(image.pack(source, Format::Cpio, Compression::Gzip)).unwrap();
    let failed = "P kernel: Initramfs unpacking failed: ";
    let words = "invalid magic at start of compressed archive";
    assert_eq!(of_archive(source, [&archive[..], b"garbage"].concat()), [format!("{failed}{words}")]);
    assert_eq!(of_archive(source, [&archive[..], &[0; 512]].concat()), [""; 0]);
    let broken = of_archive(source, archive[..archive.len() - 100].to_vec());
    assert_eq!(broken, [format!("{failed}uncompression error")]);
}

#[test]
fn an_archive_of_the_old_format_is_refused() {
    let Some(source) = source() else { return };
    let found = of_archive(source, [&b"070707"[..], &[b'0'; 200]].concat());
    assert_eq!(found, ["P kernel: Initramfs unpacking failed: incorrect cpio method used: use -H newc option"]);
}

#[test]
fn an_archive_without_init_ends_in_a_panic() {
    let panic = "Kernel panic - not syncing: No working init found.  Try passing init= option to kernel. \
        See Linux Documentation/admin-guide/init.rst for guidance.";
    check(|image| image.remove("/init"), &[&format!("P kernel: {panic}")]);
    let Some(source) = source() else { return };
    let found = changed(source, |image| {
        image.remove("/init");
        image.kernel_args = "console=ttyS0".into();
    });
    assert_eq!(found[0], "P kernel: Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)");
}

#[test]
fn an_init_that_cannot_be_executed_is_told_with_the_error_number() {
    check(|image| image.entry("/init").mode = 0o644, &["P kernel: Failed to execute /init (error -13)"]);
    check(|image| image.replace("/init", b"exit\n"), &["P kernel: Failed to execute /init (error -8)"]);
    check(|image| image.replace("/init", b"#!/bin/sh\n"), &["P kernel: Failed to execute /init (error -2)"]);
}

#[test]
fn an_init_without_its_plan_follows_nothing() {
    check(
        |image| image.remove("/init.plan"),
        &["P /init: minroot: cannot follow /init.plan: No such file or directory"],
    );
}

#[test]
fn a_bad_line_of_the_plan_is_told_with_its_number() {
    check(
        |image| image.edit_plan("run hello\n", "walk hello\n"),
        &["H /init: minroot: /init.plan line 5: unknown directive"],
    );
}

#[test]
fn a_program_that_is_not_there_cannot_be_started() {
    check(
        |image| image.edit_plan("run greet", "run great"),
        &["P /init: minroot: cannot start great: No such file or directory"],
    );
    check(
        |image| image.edit_plan("run greet", "run /bin/great"),
        &["P /init: minroot: cannot start /bin/great: No such file or directory"],
    );
    check(
        |image| image.edit_plan("run greet", "run /srv/data"),
        &["P /init: minroot: cannot start /srv/data: Permission denied"],
    );
}

#[test]
fn a_missing_runtime_linker_is_a_missing_interpreter() {
    let interpreter = "its interpreter (the PT_INTERP or #! line names it) is missing";
    check(
        |image| {
            image.remove("/lib64/ld-linux-x86-64.so.2");
            image.edit_plan("run greet", "run /usr/bin/greet");
            image.edit_plan("run hello", "run /usr/bin/hello");
        },
        &[
            &format!("P /init: minroot: cannot start /usr/bin/hello: {interpreter}"),
            &format!("P /init: minroot: cannot start /usr/bin/greet: {interpreter}"),
        ],
    );
}

#[test]
fn a_script_whose_interpreter_is_missing_is_not_started() {
    check(
        |image| image.replace(SCRIPT, b"#!/bin/nosh\n"),
        &["P /init: minroot: cannot start hello: No such file or directory"],
    );
    check(
        |image| image.replace(SCRIPT, b"#!/usr/bin/greet\r\n"),
        &["P /init: minroot: cannot start hello: No such file or directory"],
    );
}

#[test]
fn an_argument_that_leads_nowhere_is_a_warning() {
    check(
        |image| image.edit_plan("greet /srv/data", "greet /srv/date /run/x /proc/1"),
        &["W program: greet: /srv/date: No such file or directory"],
    );
}

#[test]
fn modules_are_loaded_after_those_they_need() {
    let (Some(source), Some(gcc)) = (source(), tool("gcc")) else { return };
    let directory = "/lib/modules/6.1.0-test/kernel";
    let line = |name: &str| format!("module {directory}/{name}.ko\n");
    let unknown = format!(
        "H /init: minroot: cannot load {directory}/second.ko: unknown symbol, as a module that it needs is not loaded"
    );
    let (first, second) = (line("first"), line("second"));
    let found = changed(source, |image| {
        image.edit_plan(&format!("{first}{second}"), &format!("{second}{first}"));
    });
    assert_eq!(found, [&unknown[..]]);
    let found = changed(source, |image| image.edit_plan(&first, ""));
    assert_eq!(found, [&unknown[..]]);
    let found = changed(source, |image| image.remove(&format!("{directory}/first.ko")));
    let missing = format!("H /init: minroot: cannot load {directory}/first.ko: No such file or directory");
    assert_eq!(found, [missing, unknown.clone()]);
    let found = changed(source, |image| image.replace(&format!("{directory}/first.ko"), b"\x7fELF"));
    let damaged = format!("H /init: minroot: cannot load {directory}/first.ko: not a module for this kernel");
    assert_eq!(found, [damaged, unknown]);
    let more = module(&gcc, "second", "");
    assert_eq!(changed(source, |image| image.replace(&format!("{directory}/second.ko"), &more)), [""; 0]);
}

#[test]
fn what_differs_from_the_manifest_is_told_entry_by_entry() {
    let Some(source) = source() else { return };
    let mut image = Image::new(source);
    image.replace("/srv/data", b"Many bytes");
    image.replace("/srv/extra", b"");
    image.entry(LIBRARY).mode = 0o600;
    image.entry("/init.plan").uid = 7;
    image.entry("/bin").content = Content::Symlink { target: b"usr/bin".to_vec() };
    let verdict = verdict(source, &image.iso(source));
    assert!(verdict.starts());
    assert_eq!(
        lines(&verdict),
        [
            "H manifest: `/bin` leads to `usr/bin`, the manifest says `/usr/bin`",
            "H manifest: `/srv/data` has another content than the manifest says: its SHA-256 differs",
            "W manifest: `/init.plan` belongs to 7:0, the manifest says 0:0",
            &format!("W manifest: `{LIBRARY}` has mode 0600, the manifest says 0644"),
            "W manifest: `/srv/extra` is in the image and not in the manifest",
        ]
    );
}

#[test]
fn an_entry_that_is_not_in_the_archive_is_told() {
    let Some(source) = source() else { return };
    let mut image = Image::new(source);
    image.remove("/srv/data");
    let found = lines(&verdict(source, &image.iso(source)));
    assert_eq!(
        found,
        [
            "H manifest: `/srv/data` is in the manifest and not in the image",
            "W program: greet: /srv/data: No such file or directory",
        ]
    );
}

#[test]
fn files_before_their_directory_are_passed_over() {
    let (Some(source), Some(cpio)) = (source(), tool("cpio")) else { return };
    let image = Image::new(source);
    let tree = image.pack(source, Format::Dir, Compression::None);
    // GNU cpio takes the names as they come: the program before /usr.
    let list = image.scratch.path().join("list");
    fs::write(&list, "usr/bin/greet\nusr\nusr/bin\ninit\n").unwrap();
    let output = std::process::Command::new(cpio)
        .args(["--quiet", "-o", "-H", "newc", "-R", "0:0"])
        .current_dir(&tree)
        .stdin(fs::File::open(&list).unwrap())
        .output()
        .unwrap();
    let found = of_archive(source, output.stdout);
    let silent =
        "`usr/bin/greet` of the archive is passed over in silence: its directory is not there when its turn comes";
    assert!(found.contains(&format!("H kernel: {silent}")), "{found:#?}");
}

#[test]
fn archives_of_gnu_cpio_with_hard_links_are_read_as_the_kernel_reads_them() {
    let (Some(source), Some(cpio)) = (source(), tool("cpio")) else { return };
    let mut image = Image::new(source);
    let again = path("/usr/bin/greet-again");
    let mut entry = image.entry(PROGRAM).clone();
    (entry.path, entry.content) = (again.clone(), Content::Hardlink { to: path(PROGRAM) });
    let at = image.manifest.entries.partition_point(|entry| entry.path < again);
    image.manifest.entries.insert(at, entry);
    let tree = image.pack(source, Format::Dir, Compression::None);
    let mut names: Vec<String> =
        image.manifest.entries.iter().map(|entry| String::from_utf8(entry.path.relative().to_vec()).unwrap()).collect();
    names.retain(|name| !name.is_empty());
    let list = image.scratch.path().join("list");
    fs::write(&list, names.join("\n") + "\n").unwrap();
    let output = std::process::Command::new(cpio)
        .args(["--quiet", "-o", "-H", "newc", "-R", "0:0"])
        .current_dir(&tree)
        .stdin(fs::File::open(&list).unwrap())
        .output()
        .unwrap();
    let file = image.scratch.path().join("gnu.cpio");
    fs::write(&file, output.stdout).unwrap();
    let verdict = minroot::verify::verify(&file, Some(&image.manifest), &source.rules).unwrap();
    assert_eq!(lines(&verdict), [""; 0]);
}
