//! The loader on small images: what it loads, and what it says of what is missing.

use super::super::fixture::{image, lines};
use super::*;

const LOADER_RC: &str = "include /boot/forth/loader.4th\ntry-include /boot/loader.rc.local\ninitialize drop\n\
                         include /boot/forth/beastie.4th\nbeastie-start\n";
const LOADER_4TH: &str = "efi? [if]\n\tinclude /boot/forth/efi.4th\n[then]\n: initialize include /no ;\n";
const DEFAULTS: &str = "kernel=\"i86pc/kernel/${ISADIR}\"\nbootfile=\"unix\"\n\
                        loader_conf_files=\"/boot/loader.conf /boot/loader.conf.local\"\n\
                        boot_archive_load=\"YES\"\nboot_archive_type=\"rootfs\"\n\
                        boot_archive_name=\"/platform/i86pc/${ISADIR}/boot_archive\"\n\
                        boot_archive.hash_load=\"YES\"\nboot_archive.hash_type=\"hash\"\n\
                        boot_archive.hash_name=\"/platform/i86pc/${ISADIR}/boot_archive.hash\"\n";
const GOOD: [(&str, &str); 7] = [
    ("/boot/loader.rc", LOADER_RC),
    ("/boot/forth/loader.4th", LOADER_4TH),
    ("/boot/forth/beastie.4th", "\\ the menu\n"),
    ("/boot/forth/menu.rc", "\\ its files\n"),
    ("/boot/defaults/loader.conf", DEFAULTS),
    ("/platform/i86pc/kernel/amd64/unix", "\u{7f}ELF"),
    ("/platform/i86pc/amd64/boot_archive", "archive"),
];
const BIOS: Machine = Machine { efi: false, is_64_bit: true };

/// Runs the loader with these files added to, or put in the place of, those of a good image; without text they are
/// taken away.
fn run_with(changes: &[(&str, Option<&str>)], machine: Machine) -> Loaded {
    let mut files: Vec<(&str, &str)> =
        GOOD.iter().filter(|(path, _)| changes.iter().all(|(changed, _)| changed != path)).copied().collect();
    files.extend(changes.iter().filter_map(|(path, text)| Some((*path, (*text)?))));
    let image = image(&files);
    run(&Files::of_iso(&image).unwrap(), machine)
}

fn paths(loaded: &Loaded) -> Vec<&str> {
    loaded.modules.iter().map(|module| &module.path[..]).collect()
}

#[test]
fn a_good_image_gives_kernel_and_archive() {
    let loaded = run_with(&[], BIOS);
    assert_eq!(lines(&loaded.findings), [""; 0]);
    assert_eq!(loaded.kernel.as_deref(), Some("/platform/i86pc/kernel/amd64/unix"));
    assert_eq!(paths(&loaded), ["/platform/i86pc/amd64/boot_archive"]);
    assert_eq!(loaded.modules[0].kind, "rootfs");
}

#[test]
fn a_missing_file_leaves_the_interpreter_at_its_prompt() {
    let missing = |path: &str, from: &str| format!("P can't open '{path}': No such file or directory [{from}]");
    for (path, from) in [
        ("/boot/loader.rc", "/boot/loader.rc"),
        ("/boot/forth/loader.4th", "/boot/loader.rc"),
        ("/boot/forth/beastie.4th", "/boot/loader.rc"),
        ("/boot/forth/menu.rc", "/boot/loader.rc"),
    ] {
        assert_eq!(lines(&run_with(&[(path, None)], BIOS).findings), [missing(path, from)]);
    }
    let efi = run_with(&[], Machine { efi: true, ..BIOS });
    assert_eq!(lines(&efi.findings), [missing("/boot/forth/efi.4th", "/boot/forth/loader.4th")]);
}

#[test]
fn without_the_menu_its_files_are_not_needed() {
    let conf = Some("beastie_disable=\"YES\"\n");
    let loaded = run_with(&[("/boot/forth/menu.rc", None), ("/boot/loader.conf", conf)], BIOS);
    assert_eq!(lines(&loaded.findings), [""; 0]);
}

#[test]
fn the_name_of_the_archive_has_to_be_that_of_the_file_for_the_processor() {
    let live = "boot_archive_name=\"/platform/i86pc/boot_archive\"\nboot_archive.hash_load=\"NO\"\n";
    // The name without the processor's directory, the file with it.
    let loaded = run_with(&[("/boot/conf.d/livemedia", Some(live))], BIOS);
    assert_eq!(lines(&loaded.findings), ["P No rootfs module provided, aborting [/boot/conf.d/livemedia]"]);
    let hint = loaded.findings[0].hint.as_deref().unwrap();
    assert!(hint.contains("the ISO has `/platform/i86pc/amd64/boot_archive`"), "{hint}");
    // The other way round.
    let moved = [("/platform/i86pc/amd64/boot_archive", None), ("/platform/i86pc/boot_archive", Some("archive"))];
    let loaded = run_with(&moved, BIOS);
    assert_eq!(lines(&loaded.findings), ["P No rootfs module provided, aborting [/boot/defaults/loader.conf]"]);
    // Both without: it starts, and a machine without 64 bits finds the archive too, but no kernel.
    let both = [moved[0], moved[1], ("/boot/conf.d/livemedia", Some(live))];
    assert_eq!(lines(&run_with(&both, BIOS).findings), [""; 0]);
    let small = run_with(&both, Machine { is_64_bit: false, ..BIOS });
    assert_eq!(paths(&small), ["/platform/i86pc/boot_archive"]);
    assert_eq!(lines(&small.findings), ["P Unable to load a kernel! []"]);
}

#[test]
fn later_files_have_the_last_word_and_a_broken_one_keeps_what_came_before_its_error() {
    let broken = "boot_archive_load=\"YES\"\nboot_archive_name = oops $\nboot_archive_load=\"NO\"\n";
    let loaded = run_with(
        &[
            ("/boot/loader.conf", Some("boot-args=\"-v\"\nbootfile=\"other;unix\"\n")),
            ("/boot/conf.d/b", Some("boot-args=\"-v -B console=${os_console}\"\n")),
            ("/boot/conf.d/a", Some("os_console=ttya\n")),
            ("/boot/conf.d/c", Some(broken)),
            ("/boot/transient.conf", Some("autoboot_delay='NO'\n")),
        ],
        BIOS,
    );
    assert_eq!(loaded.boot_args, "-v -B console=ttya");
    assert_eq!(loaded.kernel.as_deref(), Some("/platform/i86pc/kernel/amd64/unix"));
    assert_eq!(
        lines(&loaded.findings),
        [
            "H Warning: syntax error on file /boot/conf.d/c [/boot/conf.d/c]",
            "W autoboot_delay is `NO`: the loader waits for somebody to start the kernel []",
        ]
    );
}

#[test]
fn modules_are_loaded_only_when_the_configuration_says_so() {
    for (conf, expected) in [
        ("boot_archive_load=\"NO\"\n", "no configuration has a module with NAME_load=\"YES\""),
        ("boot_archive_type=\"file\"\n", "no configuration has a module with NAME_load=\"YES\""),
    ] {
        let loaded = run_with(&[("/boot/loader.conf", Some(conf))], BIOS);
        assert_eq!(loaded.findings.len(), 1, "{conf}");
        assert_eq!(loaded.findings[0].message, "No rootfs module provided, aborting");
        assert!(loaded.findings[0].hint.as_deref().unwrap().starts_with(expected), "{conf}");
    }
    let hash = [("/platform/i86pc/amd64/boot_archive.hash", Some("x"))];
    assert_eq!(run_with(&hash, BIOS).modules[1].kind, "hash");
}

#[test]
fn a_script_may_load_the_files_itself() {
    let script = "load /platform/i86pc/kernel/${ISADIR}/unix -v\nload -t rootfs /platform/i86pc/amd64/boot_archive\n";
    let loaded = run_with(&[("/boot/loader.rc", Some(script))], BIOS);
    assert_eq!(lines(&loaded.findings), [""; 0]);
    assert_eq!((loaded.kernel.is_some(), loaded.modules.len()), (true, 1));
    let wrong = run_with(&[("/boot/loader.rc", Some("load /unix\n"))], BIOS);
    assert_eq!(lines(&wrong.findings)[0], "P can't find '/unix' [/boot/loader.rc]");
}

#[test]
fn files_that_name_themselves_are_told() {
    let loaded = run_with(&[("/boot/loader.rc.local", Some("include /boot/loader.rc.local\n"))], BIOS);
    assert!(lines(&loaded.findings)[0].contains("includes itself without end"), "{:?}", loaded.findings);
    let conf = "loader_conf_files=\"/boot/loader.conf\"\n";
    let loaded = run_with(&[("/boot/loader.conf", Some(conf))], BIOS);
    assert!(lines(&loaded.findings)[0].contains("name each other without end"), "{:?}", loaded.findings);
}

#[test]
fn scripts_and_configurations_that_multiply_come_to_an_end() {
    let again = "include /boot/loader.rc\n".repeat(100);
    let loaded = run_with(&[("/boot/loader.rc", Some(&again))], BIOS);
    assert!(
        lines(&loaded.findings)
            .contains(&"P `/boot/loader.rc` includes itself without end [/boot/loader.rc]".to_owned())
    );
    // What `exec` includes starts the whole configuration, of which it is part.
    let exec = "exec=\"include /boot/again.4th\"\n";
    let changes = [("/boot/transient.conf", Some(exec)), ("/boot/again.4th", Some("start\n"))];
    assert_eq!(run_with(&changes, BIOS).kernel.as_deref(), Some("/platform/i86pc/kernel/amd64/unix"));
}
