//! What transcripts cannot show: other users, closed pipes, full disks, and other programs as readers.

use crate::command::{MINROOT, minroot, output_of, succeed, text};
use crate::small_root;
use crate::support::{scratch, tool};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A directory with the small root in it.
fn with_root() -> (TempDir, PathBuf) {
    let directory = scratch();
    let root = directory.path().join("root");
    small_root::make(&root);
    (directory, root)
}

/// `minroot trace` of the small root.
fn trace(root: &Path, target: &str) -> Command {
    let mut command = minroot(["trace", "--root"]);
    command.arg(root).arg(target);
    command
}

/// A shell that does something to itself before it becomes the command.
fn after(preparation: &str, command: &Command) -> Output {
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", &format!("{preparation} exec \"$0\" \"$@\"")])
        .arg(command.get_program())
        .args(command.get_args());
    output_of(&mut shell)
}

/// What could not be done on which path, the cause; never a panic.
fn assert_is_error(output: &Output, parts: &[&str]) {
    let messages = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{messages}");
    assert!(messages.contains("error: cannot ") && !messages.contains("panicked"), "{messages}");
    parts.iter().for_each(|part| assert!(messages.contains(part), "{part}\n{messages}"));
}

#[test]
fn a_choice_between_alternatives_is_told_from_the_manifest() {
    let (directory, root) = with_root();
    let rules = directory.path().join("rules");
    fs::create_dir(&rules).unwrap();
    let rule = "summary = 's'\nsystems = ['linux']\n[[rule]]\nwhen = { object = '/usr/bin/hello' }\n";
    fs::write(rules.join("greeting.toml"), format!("{rule}any_of = [['/etc/motd'], ['/boot/vmlinuz-1']]\n")).unwrap();
    let manifest = directory.path().join("manifest.json");
    let traced = |threads: &str| {
        let mut command = trace(&root, "/usr/bin/hello");
        command.arg("--rules").arg(&rules).arg("-o").arg(&manifest).env("RAYON_NUM_THREADS", threads);
        succeed(&mut command);
        fs::read(&manifest).unwrap()
    };
    assert!(traced("1") == traced("4"), "the answer does not depend on the threads");

    let why = |path: &str| output_of(minroot(["why", path, "-m"]).arg(&manifest));
    let (chosen, other) = (why("/boot/vmlinuz-1"), why("/etc/motd"));
    let saves = "chosen among alternatives: saves 2 bytes against /etc/motd (rule greeting:3, for /usr/bin/hello)";
    assert!(chosen.status.success() && text(&chosen.stdout).contains(saves), "{}", text(&chosen.stdout));
    let costs =
        "alternative not chosen: would cost 2 bytes more than /boot/vmlinuz-1 (rule greeting:3, for /usr/bin/hello)";
    assert_eq!(other.status.code(), Some(1));
    assert!(text(&other.stdout).contains(costs), "{}", text(&other.stdout));
}

/// What is wrong elsewhere does not keep an answer away; what is wrong with the answer is told as by every command.
#[test]
fn why_reads_of_a_manifest_what_the_answer_needs() {
    let (directory, root) = with_root();
    let manifest = directory.path().join("manifest.json");
    succeed(trace(&root, "/usr/bin/app").arg("/usr/bin/hello").arg("-o").arg(&manifest));
    let why = |path: &str| minroot(["why", path, "--all", "-m"]).arg(&manifest).output().unwrap();
    let library = why("/usr/lib/app/libgreet.so.1.2");
    assert!(library.status.success() && why("/usr/bin/hello").status.success());

    let written = fs::read_to_string(&manifest).unwrap();
    let line = written.lines().find(|line| line.contains("{\"path\":\"/usr/bin/hello\",\"type\"")).unwrap();
    let damaged = line.replacen("\"uid\":0", "\"uid\":-1", 1);
    assert_ne!(damaged, line);
    fs::write(&manifest, written.replacen(line, &damaged, 1)).unwrap();
    assert_eq!(why("/usr/lib/app/libgreet.so.1.2").stdout, library.stdout);
    let refused = why("/usr/bin/hello");
    assert_eq!((refused.status.code(), &*text(&refused.stdout)), (Some(2), ""));
    let messages = text(&refused.stderr);
    for part in ["cannot use the manifest `", "entries[", "integer `-1`", "minroot trace"] {
        assert!(messages.contains(part), "{part}\n{messages}");
    }
}

#[test]
fn an_unreadable_file_is_named() {
    let (_directory, root) = with_root();
    let file = root.join("usr/lib/app/libgreet.so.1.2");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = trace(&root, "/usr/bin/app");
    if rustix::process::geteuid().is_root() {
        // Root without privileges is the owner of its files and no more.
        let Some(setpriv) = tool("setpriv") else { return };
        let mut without = Command::new(setpriv);
        without.args(["--bounding-set=-all", "--inh-caps=-all"]).arg(MINROOT).args(command.get_args());
        command = without;
    }
    let output = output_of(&mut command);
    let messages = text(&output.stderr);
    assert_ne!(output.status.code(), Some(0), "{messages}");
    assert!(messages.contains("libgreet.so.1") && messages.contains("ermission denied"), "{messages}");
}

#[test]
fn a_closed_pipe_is_not_worth_a_word() {
    let (_directory, root) = with_root();
    for format in ["json", "paths", "paths0", "tree"] {
        let mut command = trace(&root, "/usr/bin/app");
        let mut child =
            command.args(["--format", format]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{format}: {output:?}");
    }
    for arguments in [&["rules", "list"][..], &["completions", "bash"], &["man"], &["--help"]] {
        let mut child = minroot(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(!text(&output.stderr).contains("panicked"), "{arguments:?}: {output:?}");
    }
}

/// `RLIMIT_FSIZE` stands in for a full disk; without the signal the write fails.
#[test]
fn a_full_disk_leaves_nothing_under_the_final_name() {
    let (directory, root) = with_root();
    // More than the limit, and nothing that compresses.
    let noise: Vec<u8> =
        (0..200_000u64).flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).to_le_bytes()).collect();
    fs::write(root.join("etc/motd"), noise).unwrap();
    let out = directory.path().join("out");
    fs::create_dir(&out).unwrap();
    let manifest = directory.path().join("motd.json");
    succeed(trace(&root, "/etc/motd").arg("-o").arg(&manifest));
    for compression in ["none", "gzip", "zstd", "xz"] {
        let mut pack = minroot(["pack", "--compress", compression]);
        pack.arg("-m").arg(&manifest).arg("--root").arg(&root).arg("-o").arg(out.join("motd.cpio"));
        let output = after("trap '' XFSZ; ulimit -f 100;", &pack);
        assert_is_error(&output, &["motd.cpio", "File too large"]);
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "{compression}");
    }
    let output = after("trap '' XFSZ; ulimit -f 0;", trace(&root, "/etc/motd").arg("-o").arg(out.join("motd.json")));
    assert_is_error(&output, &["motd.json", "File too large"]);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
}

#[test]
fn a_manifest_can_be_written_to_a_device() {
    let (_directory, root) = with_root();
    assert_is_error(&output_of(trace(&root, "/etc/motd").args(["-o", "/dev/full"])), &["/dev/full", "No space left"]);
    let written = succeed(trace(&root, "/etc/motd").args(["-o", "/dev/stdout", "--format", "paths"]));
    assert_eq!(text(&written), "/etc\n/etc/motd\n");
}

#[test]
fn names_of_a_hostile_file_do_not_reach_the_terminal() {
    let (_directory, root) = with_root();
    let hostile = small_root::program(&["\x1b]0;owned\x07.so"], None);
    fs::write(root.join("usr/bin/app"), hostile).unwrap();
    for format in ["json", "paths", "tree"] {
        let output = output_of(trace(&root, "/usr/bin/app").args(["--format", format]));
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        for stream in [&output.stdout, &output.stderr] {
            assert!(!stream.contains(&0x1b) && !stream.contains(&7), "{format}: {}", text(stream));
        }
    }
}

#[test]
fn damaged_objects_are_told_and_never_crash() {
    let (_directory, root) = with_root();
    let file = root.join("usr/lib/app/libgreet.so.1.2");
    let whole = fs::read(&file).unwrap();
    for length in (0..whole.len()).step_by(31) {
        fs::write(&file, &whole[..length]).unwrap();
        let output = output_of(trace(&root, "/usr/bin/app").args(["--format", "paths"]));
        let code = output.status.code();
        assert!(matches!(code, Some(0..=2)) && !text(&output.stderr).contains("panicked"), "{length}: {output:?}");
    }
    for place in (0..whole.len()).step_by(3) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0xff;
        fs::write(&file, bytes).unwrap();
        let output = output_of(trace(&root, "/usr/bin/app").args(["--format", "paths"]));
        let code = output.status.code();
        assert!(matches!(code, Some(0..=2)) && !text(&output.stderr).contains("panicked"), "{place}: {output:?}");
    }
}

#[test]
fn bash_accepts_the_completions() {
    let Some(bash) = tool("bash") else { return };
    let directory = scratch();
    let file = directory.path().join("minroot.bash");
    fs::write(&file, succeed(&mut minroot(["completions", "bash"]))).unwrap();
    let script = format!(
        "source {} && complete -p minroot && COMP_WORDS=(minroot tra) COMP_CWORD=1 && _minroot minroot tra minroot && echo ${{COMPREPLY[@]}}",
        file.display()
    );
    let printed = text(&succeed(Command::new(bash).args(["--norc", "-c", &script])));
    assert!(printed.ends_with("minroot\ntrace\n"), "{printed}");
}

#[test]
fn zsh_and_fish_accept_their_completions() {
    let directory = scratch();
    for shell in ["zsh", "fish"] {
        let Some(program) = tool(shell) else { continue };
        let file = directory.path().join(shell);
        fs::write(&file, succeed(&mut minroot(["completions", shell]))).unwrap();
        succeed(Command::new(program).arg("-n").arg(&file));
    }
    let Some(fish) = tool("fish") else { return };
    let script = format!("source {}; complete --do-complete 'minroot tra'", directory.path().join("fish").display());
    let printed = text(&succeed(Command::new(fish).args(["--no-config", "-c", &script])));
    assert!(printed.starts_with("trace\t"), "{printed}");
}

#[test]
fn man_accepts_the_manual_pages() {
    let Some(man) = tool("man") else { return };
    let directory = scratch();
    let pages = directory.path().join("man/man1");
    succeed(minroot(["man"]).arg(&pages));
    let names: Vec<PathBuf> = fs::read_dir(&pages).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(names.contains(&pages.join("minroot-build.1")), "{names:?}");
    for page in names {
        let output = output_of(
            Command::new(&man).args(["-l", "--warnings"]).arg(&page).env("LC_ALL", "C").env("MANPAGER", "cat"),
        );
        assert!(output.status.success() && output.stderr.is_empty(), "{}: {}", page.display(), text(&output.stderr));
        assert!(text(&output.stdout).contains("minroot"), "{}", page.display());
    }
}
