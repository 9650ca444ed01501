//! The rules for illumos on the model root: the closure of a known hand-made list, and what a finished tree says when
//! one of its files is taken away.

use crate::model_root::generator::Year;
use crate::model_root::shared;
use minroot::manifest::{Content, Manifest};
use minroot::pack::compress::Compression;
use minroot::pack::{Contents, Format, PackOptions, write_archive};
use minroot::path::RootPath;
use minroot::reason::{self, Priority};
use minroot::recipe::Recipe;
use minroot::resolve::glibc::Cache;
use minroot::root::Root;
use minroot::rules::RuleSet;
use minroot::trace::{Input, trace};
use minroot::verify::{Severity, Verdict, verify};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The inittab of an image that runs a script in place of svc.startd.
const FILES: &str = r##"
system = "illumos"
[[file]]
path = "/etc/inittab"
content = """
ap::sysinit:/sbin/autopush -f /etc/iu.ap
sp::sysinit:/sbin/soconfig -d /etc/sock2path.d
smf::sysinit:/etc/rc.image >/dev/msglog 2<>/dev/msglog </dev/console
"""
[[file]]
path = "/etc/rc.image"
mode = "0755"
content = """#!/sbin/sh
exec /sbin/sh
"""
"##;

/// The programs that `mvi.files` keeps.
const MVI: &[&str] = &[
    "/sbin/init",
    "/sbin/sh",
    "/usr/bin/sh",
    "/usr/bin/env",
    "/usr/bin/ls",
    "/usr/bin/du",
    "/usr/bin/hostname",
    "/sbin/ifconfig",
    "/usr/sbin/ifconfig",
    "/lib/inet/ipmgmtd",
    "/sbin/autopush",
    "/sbin/soconfig",
];

const KERNEL: &str = "/platform/i86pc/kernel/amd64/unix";

fn manifest_of(year: Year, targets: &[&str], lazy: &str) -> Manifest {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("image.toml");
    fs::write(&file, format!("{FILES}\n[trace]\nlazy = \"{lazy}\"\ntargets = {targets:?}\n")).unwrap();
    let recipe = Recipe::load(&[file]).unwrap();
    let root = Root::open(shared(year)).unwrap();
    let rules = RuleSet::load(&[]).unwrap();
    let cache = Cache::FromConfiguration;
    let trace = trace(Input { root: &root, rules: &rules, recipe: &recipe, rule_directories: &[], cache }).unwrap();
    trace.manifest(&root, &rules).unwrap()
}

/// Everything but directories, without what the recipe itself brings.
fn files(manifest: &Manifest) -> BTreeSet<String> {
    let kept = manifest.entries.iter().filter(|entry| entry.content != Content::Directory);
    let kept = kept.filter(|entry| !matches!(entry.content, Content::Generated { .. }));
    kept.map(|entry| entry.path.to_string()).collect()
}

fn mvi_files() -> BTreeSet<String> {
    let table = include_str!("../../../testdata/illumos/mvi_lists.tsv");
    table.lines().filter_map(|line| line.strip_prefix("mvi\tfiles\t")).map(|path| format!("/{path}")).collect()
}

/// What rules add to the programs of `mvi.files`, and which: `mvi` has these files from the packages it installs.
const BY_RULES: &[(&str, &str)] = &[
    ("/etc/default/init", "illumos/boot/init"),
    ("/etc/group", "illumos/userland/nsswitch"),
    ("/etc/hosts", "illumos/userland/nsswitch"),
    ("/etc/inet/hosts", "the file behind /etc/hosts"),
    ("/etc/ipadm/ipadm.conf", "illumos/network/ipmgmtd"),
    ("/etc/iu.ap", "illumos/network/sockets"),
    ("/etc/nsswitch.conf", "illumos/userland/nsswitch"),
    ("/etc/passwd", "illumos/userland/nsswitch"),
    ("/etc/sock2path.d/system%2Fkernel", "illumos/network/sockets"),
    ("/lib/nss_user.so.1", "illumos/userland/nsswitch: the source of `printers: user files`"),
    ("/usr/lib/nss_user.so.1", "illumos/userland/nsswitch"),
];

/// What only `--lazy all` has: libraries for uses that an image of `mvi` does not make of its programs.
const BY_LAZY_DEPENDENCIES: &[(&str, &str)] = &[
    ("/lib/libdevinfo.so.1", "libdladm: device names of links, beyond plumbing"),
    ("/lib/libdhcpagent.so.1", "ifconfig: the subcommand dhcp"),
    ("/lib/libdhcputil.so.1", "ifconfig: the subcommand dhcp"),
    ("/lib/libelf.so.1", "ld.so.1: relocatable objects"),
    ("/lib/libipmp.so.1", "ifconfig: the subcommand group"),
    ("/lib/libkstat.so.1", "libdladm: statistics of links"),
    ("/lib/libld.so.4", "ld.so.1: relocatable objects"),
    ("/lib/liblddbg.so.4", "ld.so.1: LD_DEBUG"),
    ("/lib/librcm.so.1", "libdladm: renaming and removing links"),
    ("/lib/librtld.so.1", "ld.so.1: dldump"),
    ("/lib/libuuid.so.1", "libdhcpagent: the identity of a client"),
    ("/usr/lib/libexacct.so.1", "libdladm: usage of links"),
    ("/usr/lib/libpool.so.1", "libdladm: processor pools of links"),
    ("/etc/netconfig", "illumos/network/netconfig, since libnsl is in"),
    ("/usr/lib/straddr.so", "illumos/network/netconfig"),
    ("/usr/lib/straddr.so.2", "the file behind straddr.so"),
];

fn paths(differences: &[&[(&str, &str)]]) -> BTreeSet<String> {
    differences.iter().copied().flatten().map(|(path, _)| (*path).to_owned()).collect()
}

#[test]
fn all_lazy_dependencies_and_the_rules_cover_the_list_of_mvi() {
    let manifest = manifest_of(Year::Y2015, MVI, "all");
    let (found, mvi) = (files(&manifest), mvi_files());
    assert_eq!(mvi.len(), 49);
    assert_eq!(mvi.difference(&found).collect::<Vec<_>>(), [""; 0]);
    let more: BTreeSet<String> = found.difference(&mvi).cloned().collect();
    assert_eq!(more, paths(&[BY_RULES, BY_LAZY_DEPENDENCIES]));
    // The two that no object names.
    for path in ["/lib/nss_files.so.1", "/usr/lib/nss_files.so.1"] {
        let entry = manifest.entry(&RootPath::new(path).unwrap()).unwrap();
        let reasons: Vec<&str> = entry.reasons.iter().map(|because| &*because.reason.detail).collect();
        assert!(reasons.iter().any(|detail| detail.starts_with("illumos/userland/nsswitch:")), "{path}: {reasons:?}");
    }
    // Of a package outside the gate, whose objects are not in the model.
    assert_eq!(manifest.missing.iter().map(|missing| &missing.name[..]).collect::<Vec<_>>(), ["libxml2.so.2"]);
}

#[test]
fn the_eager_closure_of_the_list_of_mvi_is_17_files_and_what_rules_add() {
    let manifest = manifest_of(Year::Y2015, MVI, "eager");
    let found = files(&manifest);
    let backends = ["/lib/nss_files.so.1", "/usr/lib/nss_files.so.1"].map(str::to_owned);
    let eager: Vec<&String> =
        found.iter().filter(|path| !paths(&[BY_RULES]).contains(*path) && !backends.contains(path)).collect();
    assert_eq!(eager.len(), 17, "{eager:?}");
    assert!(eager.iter().all(|path| mvi_files().contains(*path)), "{eager:?}");
    let more: BTreeSet<String> = found.difference(&mvi_files()).cloned().collect();
    assert_eq!(more, paths(&[BY_RULES]));
    assert_eq!(manifest.missing, []);
}

#[test]
fn usbser_is_in_because_the_console_needs_it() {
    let manifest = manifest_of(Year::Y2025, &[KERNEL], "eager");
    let usbser = manifest.entry(&RootPath::new("/kernel/misc/amd64/usbser").unwrap()).unwrap();
    let from: Vec<String> = usbser.reasons.iter().filter_map(|b| b.from.as_ref().map(ToString::to_string)).collect();
    assert!(from.contains(&"/platform/i86pc/kernel/dacf/amd64/consconfig_dacf".to_owned()), "{from:?}");
}

/// What `boot.md` of the facts calls P or H, and what both years have of it.
const FATAL: &[(&str, &[&str])] = &[
    (
        "panic",
        &[
            "/kernel/amd64/genunix",
            "/kernel/fs/amd64/specfs",
            "/kernel/fs/amd64/devfs",
            "/kernel/fs/amd64/dev",
            "/kernel/fs/amd64/procfs",
            "/kernel/misc/amd64/acpica",
            "/kernel/misc/amd64/busra",
            "/kernel/misc/amd64/pci_autoconfig",
            "/kernel/misc/amd64/iommulib",
            "/platform/i86pc/kernel/drv/amd64/isa",
            "/platform/i86pc/kernel/drv/amd64/rootnex",
            "/kernel/fs/amd64/ufs",
            "/kernel/misc/amd64/fssnap_if",
            "/kernel/drv/amd64/ramdisk",
            "/kernel/drv/ramdisk.conf",
            "/kernel/sched/amd64/TS",
            "/kernel/sched/amd64/TS_DPTBL",
            "/kernel/exec/amd64/elfexec",
            "/platform/i86pc/kernel/dacf/amd64/consconfig_dacf",
            "/kernel/misc/amd64/consconfig",
            "/kernel/misc/amd64/usbser",
            "/kernel/misc/amd64/dls",
            "/kernel/misc/amd64/mac",
            "/kernel/misc/amd64/strplumb",
            "/kernel/drv/amd64/pseudo",
            "/kernel/drv/amd64/clone",
            "/kernel/drv/amd64/conskbd",
            "/kernel/drv/amd64/consms",
            "/kernel/drv/amd64/wc",
            "/kernel/drv/amd64/iwscn",
            "/kernel/drv/wc.conf",
            "/kernel/drv/conskbd.conf",
            "/kernel/misc/amd64/tem",
            "/kernel/fs/amd64/zfs",
            "/kernel/drv/amd64/zfs",
            "/etc/name_to_major",
            "/etc/name_to_sysnum",
            "/devices",
            "/dev",
            "/sbin/init",
            "/lib/ld.so.1",
            "/lib/libc.so.1",
        ],
    ),
    (
        "hang",
        &[
            "/platform/i86pc/kernel/mach/amd64/uppc",
            "/kernel/fs/amd64/ctfs",
            "/kernel/fs/amd64/mntfs",
            "/kernel/fs/amd64/tmpfs",
            "/system/contract",
            "/etc/svc/volatile",
            "/etc/mnttab",
            "/etc/dacf.conf",
            "/kernel/drv/amd64/cn",
            "/kernel/drv/cn.conf",
            "/dev/console",
            "/etc/inittab",
            "/sbin/sh",
            "/etc/rc.image",
        ],
    ),
];

/// What only one of the years has or needs.
const FATAL_2015: &[(&str, &[&str])] = &[("panic", &["/boot/solaris/devicedb/master", "/kernel/misc/amd64/pcie"])];
const FATAL_2025: &[(&str, &[&str])] = &[
    ("panic", &["/platform/i86pc/kernel/misc/amd64/pcie", "/platform/i86pc/kernel/misc/amd64/pci_prd"]),
    (
        "hang",
        &[
            "/boot/loader",
            "/boot/loader.rc",
            "/boot/defaults/loader.conf",
            "/boot/forth/loader.4th",
            "/boot/forth/support.4th",
            "/boot/forth/color.4th",
            "/boot/forth/delay.4th",
            "/boot/forth/check-password.4th",
            "/boot/forth/screen.4th",
            "/boot/forth/efi.4th",
            "/boot/forth/beadm.4th",
            "/boot/forth/beastie.4th",
            "/boot/forth/menu.rc",
            "/boot/forth/version.4th",
            "/boot/forth/brand.4th",
            "/boot/forth/menu.4th",
            "/boot/forth/menu-commands.4th",
            "/boot/forth/shortcuts.4th",
            "/boot/forth/frames.4th",
            "/boot/forth/menusets.4th",
            "/boot/isoboot",
        ],
    ),
];

/// A finished tree, and how to look at it.
struct Image {
    directory: tempfile::TempDir,
    manifest: Manifest,
    rules: RuleSet,
}

impl Image {
    fn new(year: Year, targets: &[&str]) -> Image {
        let manifest = manifest_of(year, targets, "eager");
        let fatal: Vec<String> = manifest
            .missing
            .iter()
            .filter(|missing| missing.priority == Priority::Required)
            .map(minroot::manifest::Missing::sentence)
            .collect();
        assert_eq!(fatal, [""; 0]);
        let directory = tempfile::tempdir().unwrap();
        let root = Root::open(shared(year)).unwrap();
        pack(&manifest, &root, &directory.path().join("tree"));
        Image { directory, manifest, rules: RuleSet::load(&[]).unwrap() }
    }

    fn tree(&self) -> std::path::PathBuf {
        self.directory.path().join("tree")
    }

    /// With `manifest`, its targets are those of the image; without, kernel and init are what can be told.
    fn verdict(&self, manifest: Option<&Manifest>) -> Verdict {
        verify(&self.tree(), manifest, &self.rules).unwrap()
    }

    /// Takes a path away, looks, and puts it back.
    fn without(&self, path: &str, manifest: Option<&Manifest>) -> Verdict {
        let (here, away) = (self.tree().join(&path[1..]), self.directory.path().join("away"));
        fs::rename(&here, &away).unwrap_or_else(|error| panic!("{path}: {error}"));
        let verdict = self.verdict(manifest);
        fs::rename(&away, &here).unwrap();
        verdict
    }
}

fn pack(manifest: &Manifest, root: &Root, out: &Path) {
    let options = PackOptions { format: Format::Dir, compression: Compression::None, ..PackOptions::default() };
    write_archive(manifest, &Contents::new(root), &options, out).unwrap();
}

fn fatal_words(verdict: &Verdict) -> Vec<&str> {
    let fatal = verdict.findings.iter().filter(|finding| finding.severity == Severity::PreventsStart);
    fatal.map(|finding| &finding.message[..]).collect()
}

fn every_fatal_file_is_told(year: Year, targets: &[&str], more: &[(&str, &[&str])]) {
    let image = Image::new(year, targets);
    let whole = image.verdict(None);
    assert!(whole.starts(), "{:?}", whole.findings);
    assert!(image.verdict(Some(&image.manifest)).starts());
    let mut untold = Vec::new();
    for (consequence, paths) in FATAL.iter().chain(more) {
        for path in *paths {
            // What starts on the ISO is no part of what kernel and init reach.
            let manifest = path.starts_with("/boot/").then_some(&image.manifest);
            let verdict = image.without(path, manifest);
            let words = fatal_words(&verdict);
            if verdict.starts() || !words.iter().any(|words| words.contains(&format!(": {consequence}: "))) {
                untold.push(format!("{path}: no {consequence} in {words:?}"));
            }
        }
    }
    assert!(untold.is_empty(), "{}", untold.join("\n"));
    let verdict = image.without(KERNEL, None);
    assert!(fatal_words(&verdict)[0].starts_with("Unable to boot: krtld"), "{:?}", verdict.findings);
}

#[test]
fn each_file_that_an_image_of_2015_cannot_start_without_is_told_with_the_consequence() {
    every_fatal_file_is_told(Year::Y2015, &[KERNEL, "/usr/bin/find"], FATAL_2015);
}

#[test]
fn each_file_that_an_image_of_2025_cannot_start_without_is_told_with_the_consequence() {
    let targets = [KERNEL, "/usr/bin/find", "/boot/cdboot", "/boot/pmbr", "/boot/loader64.efi"];
    every_fatal_file_is_told(Year::Y2025, &targets, FATAL_2025);
}

#[test]
fn what_the_kernel_only_warns_of_does_not_prevent_a_start() {
    let image = Image::new(Year::Y2025, &[KERNEL]);
    let spoken = [
        ("/etc/system", reason::Severity::Warning, Severity::Warning),
        ("/kernel/fs/amd64/objfs", reason::Severity::Warning, Severity::Warning),
        ("/etc/driver_aliases", reason::Severity::Loss, Severity::Suggestion),
    ];
    for (path, consequence, severity) in spoken {
        let verdict = image.without(path, None);
        assert!(verdict.starts(), "{path}: {:?}", verdict.findings);
        let words = format!(": {consequence}: ");
        let finding = verdict.findings.iter().find(|finding| finding.message.contains(&words));
        let finding = finding.unwrap_or_else(|| panic!("{path}: {:?}", verdict.findings));
        assert_eq!(finding.severity, severity, "{path}");
    }
}

#[test]
fn an_image_for_the_other_class_brings_the_other_modules() {
    let manifest = manifest_of(Year::Y2015, &["/platform/i86pc/kernel/unix"], "eager");
    let found = files(&manifest);
    assert!(found.contains("/kernel/fs/specfs") && !found.contains("/kernel/fs/amd64/specfs"));
    let by_name: BTreeMap<&str, bool> =
        ["/kernel/misc/usbser", "/kernel/drv/cn.conf"].map(|p| (p, found.contains(p))).into();
    assert!(by_name.values().all(|found| *found), "{by_name:?}");
}
