//! Trees for machines that start illumos from the network: what is in them, who gets to run, and one that is started.

use crate::command::{minroot, output_of, recipe, succeed, text, with_umask};
use crate::illumos_stub::StubMachine;
use crate::model_root::{generator::Year, shared};
use crate::support::{hex, scratch, tool};
use minroot::rules::RuleSet;
use minroot::verify::{Severity, Subject, Verdict, verify};
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

const UNIX: &str = "platform/i86pc/kernel/amd64/unix";
const UNIX_32: &str = "platform/i86pc/kernel/unix";
const ARCHIVE: &str = "platform/i86pc/amd64/boot_archive";
const EPOCH: &str = "1700000000";

/// `minroot build --pxe` of the model root's smallest image.
fn build(year: Year, more: &[&str], out: &Path) -> Command {
    let mut command = minroot(["build", "--pxe", "--root"]);
    command.arg(shared(year)).arg(recipe("illumos-base")).args(more).arg("-o").arg(out);
    command.env("SOURCE_DATE_EPOCH", EPOCH);
    command
}

/// A tree that was built, and that a test may change.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new(year: Year, more: &[&str]) -> Tree {
        let scratch = scratch();
        succeed(&mut build(year, more, &scratch.path().join("tree")));
        Tree(scratch)
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join("tree").join(path)
    }

    fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn verdict(&self) -> Verdict {
        verify(&self.at(""), None, &RuleSet::load(&[]).unwrap()).unwrap()
    }

    /// What is said while a file is not there.
    fn without(&self, path: &str) -> Vec<String> {
        let aside = self.0.path().join("aside");
        fs::rename(self.at(path), &aside).unwrap();
        let lines = prevents(&self.verdict());
        fs::rename(&aside, self.at(path)).unwrap();
        lines
    }
}

/// `component: message [path]` of what prevents a start.
fn prevents(verdict: &Verdict) -> Vec<String> {
    let findings = verdict.findings.iter().filter(|finding| finding.severity == Severity::PreventsStart);
    findings.map(|f| format!("{}: {} [{}]", f.component, f.message, f.path.as_deref().unwrap_or_default())).collect()
}

#[test]
fn the_model_roots_make_trees_with_everything_that_their_loaders_ask_for() {
    for (year, programs, config) in [
        (Year::Y2015, &["boot/grub/pxegrub"][..], "boot/grub/menu.lst"),
        (
            Year::Y2025,
            &["boot/pxeboot", "boot/loader64.efi", "boot/forth/menu.rc", "boot/loader.rc"],
            "boot/loader.conf",
        ),
    ] {
        let tree = Tree::new(year, &[]);
        for path in programs.iter().chain(&[UNIX]) {
            assert!(tree.read(path) == fs::read(shared(year).join(path)).unwrap(), "{path}");
        }
        let mut archive = Vec::new();
        flate2::read::GzDecoder::new(&tree.read(ARCHIVE)[..]).read_to_end(&mut archive).unwrap();
        assert_eq!(archive[8192 + 1372..8192 + 1376], 0x0001_1954u32.to_le_bytes());
        let hash = text(&tree.read(&format!("{ARCHIVE}.hash")));
        assert_eq!(hash.trim_end(), hex(&Sha1::digest(&archive)));
        let config = text(&tree.read(config));
        assert!(config.contains(&format!("/{ARCHIVE}")), "{config}");
        let readme = text(&tree.read("README.txt"));
        for program in programs.iter().filter(|path| !path.contains("forth") && !path.ends_with("rc")) {
            assert!(
                readme.contains(&format!("    dhcp-boot={program}\n")) || readme.contains(&format!(",{program}\n"))
            );
        }
        assert_eq!(readme.contains("option:root-path,tftp://"), year == Year::Y2025, "{readme}");
        let verdict = tree.verdict();
        assert_eq!((verdict.subject, prevents(&verdict)), (Subject::NetworkTree, vec![]));
        assert!(text(&succeed(&mut verify_command(&tree))).contains("the tree for the network would start"));
    }
}

fn verify_command(tree: &Tree) -> Command {
    minroot(["verify".as_ref(), tree.at("").as_os_str()])
}

#[test]
fn each_missing_file_is_told_by_who_would_fetch_it() {
    let opens = |path: &str, from: &str| format!("loader: can't open '/{path}': No such file or directory [/{from}]");
    let tree = Tree::new(Year::Y2025, &[]);
    let no_archive = "loader: No rootfs module provided, aborting [/boot/loader.conf]";
    for (path, expected) in [
        ("boot/pxeboot", "BIOS: PXE-E3B: TFTP Error - File Not found [/boot/pxeboot]".to_owned()),
        ("boot/loader64.efi", "UEFI: PXE-E23: Client received TFTP error from server. [/boot/loader64.efi]".to_owned()),
        ("boot/loader.rc", opens("boot/loader.rc", "boot/loader.rc")),
        ("boot/forth/support.4th", opens("boot/forth/support.4th", "boot/forth/loader.4th")),
        (UNIX, "loader: Unable to load a kernel! []".to_owned()),
        (ARCHIVE, no_archive.to_owned()),
    ] {
        assert_eq!(tree.without(path), [expected]);
    }
    fs::write(tree.at("boot/loader64.efi"), "MZ").unwrap();
    assert_eq!(
        prevents(&tree.verdict()),
        ["UEFI: failed to load /boot/loader64.efi: Unsupported [/boot/loader64.efi]"]
    );
    assert_eq!(output_of(&mut verify_command(&tree)).status.code(), Some(1));

    let tree = Tree::new(Year::Y2015, &[]);
    let not_found = "GRUB 0.97: Error 15: File not found [/boot/grub/menu.lst]";
    for (path, expected) in [
        ("boot/grub/pxegrub", "BIOS: PXE-E3B: TFTP Error - File Not found [/boot/grub/pxegrub]"),
        ("boot/grub/menu.lst", "GRUB 0.97: GRUB shows its prompt `grub>` [/boot/grub/menu.lst]"),
        (UNIX, not_found),
        (ARCHIVE, not_found),
    ] {
        assert_eq!(tree.without(path), [expected]);
    }
}

#[test]
fn nothing_is_read_from_a_directory_that_tftp_cannot_list() {
    let tree = Tree::new(Year::Y2025, &[]);
    fs::create_dir(tree.at("boot/conf.d")).unwrap();
    fs::write(tree.at("boot/conf.d/other"), "boot_archive_name=\"/elsewhere\"\n").unwrap();
    assert_eq!(prevents(&tree.verdict()), [""; 0]);
    fs::write(tree.at("boot/loader.conf"), "boot_archive_name=\"/elsewhere\"\n").unwrap();
    assert_eq!(prevents(&tree.verdict()), ["loader: No rootfs module provided, aborting [/boot/loader.conf]"]);
}

#[test]
fn a_root_is_no_tree_for_the_network_whatever_loaders_it_has() {
    let scratch = scratch();
    for path in ["boot", "etc"] {
        fs::create_dir(scratch.path().join(path)).unwrap();
    }
    fs::write(scratch.path().join("boot/pxeboot"), "x").unwrap();
    let subject = || verify(scratch.path(), None, &RuleSet::load(&[]).unwrap()).unwrap().subject;
    assert_eq!(subject(), Subject::Directory);
    fs::remove_dir(scratch.path().join("etc")).unwrap();
    assert_eq!(subject(), Subject::NetworkTree);
}

/// Everything below a directory: path, mode, time, inode and bytes.
fn contents(directory: &Path) -> BTreeMap<String, (u32, i64, u64, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(path) = waiting.pop() {
        let metadata = fs::metadata(&path).unwrap();
        let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
        let bytes = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        all.insert(name, (metadata.permissions().mode() & 0o7777, metadata.mtime(), metadata.ino(), bytes));
        if metadata.is_dir() {
            waiting.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    all
}

#[test]
fn both_kernels_share_an_archive_and_equal_inputs_give_equal_trees_whatever_the_umask() {
    let more = ["/platform/i86pc/kernel/unix"];
    let first = Tree::new(Year::Y2015, &more);
    let files = contents(&first.at(""));
    assert!(files.contains_key(UNIX) && files.contains_key(UNIX_32));
    let inode = |path: &str| files[path].2;
    assert_eq!(inode(ARCHIVE), inode("platform/i86pc/boot_archive"));
    for (path, (mode, time, ..)) in &files {
        let is_directory = first.at(path).is_dir();
        assert_eq!((*mode, *time), (if is_directory { 0o755 } else { 0o644 }, 1_700_000_000), "{path}");
    }
    let second = scratch();
    let out = second.path().join("tree");
    let mut build_again = build(Year::Y2015, &more, &out);
    build_again.envs([("RAYON_NUM_THREADS", "1"), ("TZ", "Asia/Tokyo")]);
    succeed(&mut with_umask("077", &build_again));
    let without_inode = |files: BTreeMap<String, (u32, i64, u64, Vec<u8>)>| -> Vec<_> {
        files.into_iter().map(|(path, (mode, time, _, bytes))| (path, mode, time, bytes)).collect()
    };
    assert!(without_inode(contents(&out)) == without_inode(files));
    // A tree that is there is not touched.
    let again = output_of(&mut build(Year::Y2015, &[], &out));
    assert_eq!(again.status.code(), Some(2), "{}", text(&again.stderr));
}

#[test]
fn linux_and_roots_without_a_network_loader_are_refused() {
    let scratch = scratch();
    let at = |name: &str| scratch.path().join(name);
    fs::create_dir_all(at("root/platform/i86pc/kernel/amd64")).unwrap();
    fs::write(at("root").join(UNIX), "x").unwrap();
    for (system, expected) in [
        ("linux", "a tree for the network is made of illumos only"),
        ("illumos", "the root has no boot loader for the network: none of `/boot/pxeboot`"),
    ] {
        let recipe = format!("system = \"{system}\"\n[trace]\ntargets = [\"/{UNIX}\"]\n");
        fs::write(at("recipe.toml"), recipe).unwrap();
        let mut trace = minroot(["trace", "--root"]);
        // Of illumos, the kernel misses its modules.
        output_of(trace.arg(at("root")).arg(at("recipe.toml")).arg("-o").arg(at("m.json")));
        let mut command = minroot(["pxe", "--root"]);
        let output = output_of(command.arg(at("root")).arg("-m").arg(at("m.json")).arg("-o").arg(at("tree")));
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
        assert!(!at("tree").exists());
    }
}

#[test]
fn the_efi_loader_of_the_model_is_a_pe_file_to_other_tools_too() {
    let Some(objdump) = tool("objdump") else { return };
    for (program, format) in [("loader64.efi", "pei-x86-64"), ("loader32.efi", "pei-i386")] {
        let file = shared(Year::Y2025).join("boot").join(program);
        let headers = text(&crate::support::run(&objdump, &["-p".as_ref(), file.as_os_str()]));
        assert!(headers.contains(&format!("file format {format}")), "{headers}");
        assert!(headers.contains("(EFI application)"), "{headers}");
    }
}

#[test]
fn isos_of_the_model_roots_pass_verify_as_they_are_built() {
    for year in [Year::Y2015, Year::Y2025] {
        let scratch = scratch();
        let mut command = minroot(["build", "--root"]);
        succeed(command.arg(shared(year)).arg(recipe("illumos-base")).arg("-o").arg(scratch.path().join("out.iso")));
    }
}

#[test]
fn grub_starts_the_kernel_by_tftp_with_the_archive_as_it_was_packed() {
    let modules = ["pxe", "tftp", "normal", "multiboot", "gzio"];
    let core = "boot/grub/i386-pc/core.0";
    let Some(machine) = StubMachine::new(core, "i386-pc-pxe", &modules) else { return };
    let tree = machine.make("pxe", "tree");
    let network = format!("user,id=n,restrict=on,tftp={},bootfile={core}", tree.display());
    machine.assert_starts(&["-netdev", &network, "-device", "e1000,netdev=n", "-boot", "n"]);
}
