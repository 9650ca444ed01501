//! Every subcommand and flag; the doc comments are the help texts and the manual pages.

use crate::explain::size::By;
use crate::pack::{Compression, Format};
use crate::reason::Evidence;
use crate::recipe::{LazyPolicy, Take};
use crate::text;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// Find the smallest set of files that still does the job, say why each is in it, and make it boot.
///
/// An argument that ends in `.toml` is a recipe; several recipes are merged from left to right. Any other argument is a
/// path inside the root.
///
/// Exit codes: 0 done; 1 the answer is no (a required reference is missing, with --strict something cannot be known, an
/// image would not start, a path is not in); 2 it could not be told (bad usage, unreadable input).
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    /// No progress, notes or steps on standard error: errors and what is missing only.
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fill a source root from the packages of a recipe.
    ///
    /// The system's own apt resolves and downloads, with a private state directory and as an ordinary user; nothing is
    /// installed. Prints the path of the root. A second run downloads nothing.
    ///
    /// Example: `minroot fetch rules/recipes/debian-node.toml`
    Fetch(Fetch),
    /// Find what targets need, and write the manifest.
    ///
    /// Example: `minroot trace --root / /usr/bin/ssh --format tree`
    Trace(Trace),
    /// Say why a path is in a manifest, or why not.
    ///
    /// Example: `minroot why libcrypto.so.3 -m node.json`
    Why(Why),
    /// Say where the bytes of a manifest go, or what would go without some of it.
    ///
    /// Every table adds up to the bytes of the manifest. With --drop, --drop-rule or --drop-package the exit code is 1
    /// when something that stays requires what is dropped.
    ///
    /// Example: `minroot size -m node.json --drop-package libicu72`
    Size(Size),
    /// Say what differs between two manifests, or a manifest and an image, and which reason each difference comes from.
    ///
    /// NEW may be an image as well (an ISO, an archive, a directory): what it holds is compared with the manifest OLD.
    ///
    /// The exit code is 1 when an image of NEW is not one of OLD; with --max-bytes it is 1 when NEW is larger than that.
    ///
    /// Example: `minroot diff last-week.json node.json --max-bytes 64M`
    Diff(Diff),
    /// Show a manifest as a tree: what needs what, with sizes and reasons.
    ///
    /// What an entry needs is shown where the entry comes first. With --invert, who needs the entry.
    ///
    /// Example: `minroot tree libcrypto.so.3 -m node.json --invert`
    Tree(Tree),
    /// Draw what needs what in a manifest, or write it for other programs.
    ///
    /// Nodes are the entries and what is missing or unknown; edges lead from what refers to what it needs, with the
    /// evidence and the words of the reason. A page (html) has everything in one file, for any browser.
    ///
    /// Example: `minroot graph -m node.json --node libssl.so.3 --up --format dot | dot -Tsvg -o why.svg`
    Graph(Graph),
    /// Write the files of a manifest into an archive or a directory.
    ///
    /// Example: `minroot pack -m node.json --root / --format cpio --compress zstd -o initrd.zst`
    Pack(Pack),
    /// Write a bootable ISO for BIOS and UEFI, CD and disk.
    ///
    /// Example: `minroot iso -m node.json --root ROOT -o node.iso rules/recipes/debian-node.toml`
    Iso(Iso),
    /// Write a directory that a TFTP server gives to machines that start from the network (illumos).
    ///
    /// README.txt in it says how to serve it: the DHCP options, and a configuration for dnsmasq.
    ///
    /// Example: `minroot pxe -m node.json --root ROOT -o tftpboot rules/recipes/tribblix-node.toml`
    Pxe(Pxe),
    /// Write a software bill of materials: packages, files, and what depends on what.
    ///
    /// A package depends on another when a file of it needs a file of the other. Versions, suppliers and licences are
    /// those that the root says of its packages; what it does not say is not asserted.
    ///
    /// Example: `minroot sbom -m node.json --root / --format cyclonedx -o node.cdx.json`
    Sbom(Sbom),
    /// Read a finished ISO, archive, container image or directory again: would it start?
    ///
    /// Tells for each failure the line that the kernel or the runtime linker would print.
    ///
    /// Example: `minroot verify node.iso -m node.json`
    Verify(Verify),
    /// Start an ISO under QEMU and check it as the recipe says.
    ///
    /// Example: `minroot boot node.iso rules/recipes/debian-node.toml --uefi`
    Boot(Boot),
    /// Fetch, trace, pack, make the ISO and verify it, in one go.
    ///
    /// Example: `minroot build rules/recipes/debian-node.toml -o node.iso --boot`
    Build(Build),
    /// List, show or check the rules.
    ///
    /// Example: `minroot rules check --rules my-rules`
    Rules(Rules),
    /// Say in words when a rule holds and what it adds; with a manifest, what it brought in.
    ///
    /// Example: `minroot explain-rule linux/nsswitch -m node.json`
    ExplainRule(ExplainRule),
    /// Print the completions for a shell.
    ///
    /// Example: `minroot completions bash > ~/.local/share/bash-completion/completions/minroot`
    Completions { shell: clap_complete::Shell },
    /// Write the manual pages, one for each command.
    ///
    /// Example: `minroot man ~/.local/share/man/man1`
    Man {
        /// Where to; the page of the program itself goes to standard output when absent.
        directory: Option<PathBuf>,
    },
}

/// What to trace: shared by all commands that take recipes.
#[derive(Debug, Args)]
pub struct Inputs {
    /// Recipes (`*.toml`) and target paths inside the root.
    #[arg(required = true, value_name = "RECIPE|TARGET")]
    pub inputs: Vec<OsString>,
    /// The source root; overrides that of the recipe.
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// A directory of further rules and hardware profiles.
    #[arg(long, value_name = "DIR")]
    pub rules: Vec<PathBuf>,
    /// Leave out the rules that minroot brings along: what the objects alone say, and the rules of --rules.
    #[arg(long)]
    pub no_rules: bool,
    /// The least processor the image must run on: x86-64, x86-64-v2, -v3, -v4 or any.
    #[arg(long, value_name = "LEVEL")]
    pub cpu: Option<String>,
    /// Where runtime linkers of Linux look first, separated by colons: the LD_LIBRARY_PATH of every program, which the
    /// startup of the image sets. That of minroot's own environment is never used.
    #[arg(long, value_name = "DIR", value_delimiter = ':')]
    pub library_path: Vec<String>,
    /// Which lazy dependencies of illumos objects are kept [default: bound].
    #[arg(long, value_enum, value_name = "POLICY")]
    pub lazy: Option<LazyPolicy>,
    /// Take uncertain libraries too: those that strings name in objects that call dlopen, or those that a dlopen note
    /// only suggests.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub include: Vec<Take>,
    /// Exit with 1 when there is anything that cannot be known and is not in the recipe's `[accept]`: an object that
    /// calls dlopen with a computed name, a library that only a string names, a command that depends on a variable.
    #[arg(long)]
    pub strict: bool,
    /// A hardware profile, or one class of its devices: `virtio`, `qemu:network`.
    #[arg(long, value_name = "PROFILE")]
    pub hardware: Vec<String>,
    /// The smaller kernel that the recipe names, and the smallest compression.
    #[arg(long)]
    pub smallest: bool,
    #[command(flatten)]
    pub fetching: Fetching,
}

#[derive(Debug, Args)]
pub struct Fetching {
    /// Where package files and fetched roots are kept [default: ~/.cache/minroot].
    #[arg(long, value_name = "DIR", help_heading = "Fetching")]
    pub cache: Option<PathBuf>,
    /// Ask the repositories again, even if a finished root is there.
    #[arg(long, help_heading = "Fetching")]
    pub refresh: bool,
}

#[derive(Debug, Args)]
pub struct Fetch {
    /// Recipes, merged from left to right.
    #[arg(required = true)]
    pub recipes: Vec<PathBuf>,
    /// The smaller kernel that the recipe names.
    #[arg(long)]
    pub smallest: bool,
    #[command(flatten)]
    pub fetching: Fetching,
}

#[derive(Debug, Args)]
pub struct Trace {
    #[command(flatten)]
    pub inputs: Inputs,
    /// What to write.
    #[arg(long, value_enum, default_value_t)]
    pub format: ManifestFormat,
    /// Where to; `-` is standard output.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ManifestFormat {
    /// The manifest with digests, packages and reasons.
    #[default]
    Json,
    /// One path a line.
    Paths,
    /// Paths that end in a NUL byte, for `cpio -0`, `tar --null -T` and `rsync -0`.
    Paths0,
    /// What needs what, indented.
    Tree,
}

#[derive(Debug, Args)]
pub struct Why {
    /// A path inside the image, or only its last part.
    pub path: OsString,
    /// The manifest.
    #[arg(short, long, value_name = "FILE")]
    pub manifest: PathBuf,
    /// Show every reason, not only the shortest chain.
    #[arg(long)]
    pub all: bool,
    /// Begin the chain at this path instead of at a target.
    #[arg(long, value_name = "PATH")]
    pub from: Option<OsString>,
    #[arg(long)]
    /// Answer in JSON.
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Size {
    /// The manifest.
    #[arg(short, long, value_name = "FILE")]
    pub manifest: PathBuf,
    /// The tables to print [default: all].
    #[arg(long, value_enum, value_name = "WHAT")]
    pub by: Vec<By>,
    /// How many rows of each table, the largest first.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub top: usize,
    /// What would go without this path; of a directory, without all that is in it.
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with = "by")]
    pub drop: Vec<OsString>,
    /// What would go without this rule.
    #[arg(long, value_name = "ID", conflicts_with = "by")]
    pub drop_rule: Vec<String>,
    /// What would go without the files of this package.
    #[arg(long, value_name = "PACKAGE", conflicts_with = "by")]
    pub drop_package: Vec<String>,
    /// Answer in JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Diff {
    /// The manifest to compare with.
    pub old: PathBuf,
    /// The manifest that is looked at, or an image.
    pub new: PathBuf,
    /// A budget for the content of NEW, such as 64M.
    #[arg(long, value_name = "SIZE", value_parser = text::parse_size)]
    pub max_bytes: Option<u64>,
    /// Answer in JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Tree {
    /// The entry at the top: a path inside the image, or only its last part [default: all targets].
    #[arg(required_if_eq("invert", "true"))]
    pub path: Option<OsString>,
    /// The manifest.
    #[arg(short, long, value_name = "FILE")]
    pub manifest: PathBuf,
    /// How many levels to show below the top.
    #[arg(long, value_name = "N")]
    pub depth: Option<usize>,
    /// Show who needs the entry, instead of what it needs.
    #[arg(short, long)]
    pub invert: bool,
}

#[derive(Debug, Args)]
pub struct Graph {
    /// The manifest.
    #[arg(short, long, value_name = "FILE")]
    pub manifest: PathBuf,
    /// What to write.
    #[arg(long, value_enum)]
    pub format: GraphFormat,
    /// Where to; `-` is standard output.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
    /// Only what surrounds this: a path, a file name, a glob over either (`*` stays inside a directory, `**` does not),
    /// or the name of something missing.
    #[arg(long, value_name = "PATTERN")]
    pub node: Vec<OsString>,
    /// Only what needs the nodes of --node.
    #[arg(long, requires = "node", conflicts_with = "down")]
    pub up: bool,
    /// Only what the nodes of --node need.
    #[arg(long, requires = "node")]
    pub down: bool,
    /// Only so many edges away from the nodes of --node, or from the targets [default: any].
    #[arg(long, value_name = "N")]
    pub depth: Option<usize>,
    /// Only edges with this class of evidence, and what they join.
    #[arg(long, value_enum, value_name = "CLASS")]
    pub evidence: Vec<Evidence>,
    /// In dot and mermaid, draw which directories and links to directories lead to each entry too; json and graphml
    /// always have them.
    #[arg(long)]
    pub directories: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// For Graphviz.
    Dot,
    /// Node-link data: `nodes` with `id`, `what` (entry, missing, unknown, outside), `path` or `name`, `type`, `size`,
    /// `retained`, `package`, `evidence`, `asked_for`, `priority`, `why`; `edges` with `source`, `target` (ids),
    /// `evidence`, `kind`, `detail`, `words`. networkx reads it.
    Json,
    /// For yEd, Gephi, Cytoscape and networkx.
    Graphml,
    /// For a README or an issue: at most 500 edges and 50,000 characters, more is not drawn anywhere.
    Mermaid,
    /// A page for any browser, of the whole manifest: treemap, search, reasons, what-if. One file, without network.
    Html,
}

/// How an archive is compressed.
#[derive(Debug, Args)]
pub struct Compress {
    /// none, gzip, zstd or xz [default: zstd for an initramfs, gzip for a boot archive of illumos and for a container].
    #[arg(long, value_name = "NAME")]
    pub compress: Option<Compression>,
    /// The compressor's level.
    #[arg(long)]
    pub level: Option<i32>,
    /// Measure what each file takes in the archive, and write the manifest with that: `size`, `why` and the page tell it
    /// then. Reads all files once more.
    #[arg(long, value_name = "FILE")]
    pub sizes_to: Option<PathBuf>,
}

/// What is free in a UFS, besides the room for its log.
#[derive(Debug, Args)]
pub struct Reserve {
    /// With ufs: room for what the running system writes, such as 512K or 2M [default: 1M].
    #[arg(long, value_name = "SIZE", value_parser = text::parse_size)]
    pub free: Option<u64>,
    /// With ufs: inodes for the files that the running system makes [default: 256].
    #[arg(long, value_name = "N")]
    pub free_inodes: Option<u32>,
}

/// A manifest and where its content is.
#[derive(Debug, Args)]
pub struct Packed {
    /// The manifest that `trace` wrote.
    #[arg(short, long, value_name = "FILE")]
    pub manifest: PathBuf,
    /// The source root it was made from.
    #[arg(long, value_name = "DIR")]
    pub root: PathBuf,
    /// Recipes whose own large files the manifest names.
    pub recipes: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Pack {
    #[command(flatten)]
    pub packed: Packed,
    /// cpio, odc, tar, oci, ufs or dir [default: ufs for illumos, cpio for Linux].
    ///
    /// odc is the old portable form of cpio. illumos can load its kernel modules from it, but cannot mount it: it is for
    /// systems whose root file system is of ZFS or NFS.
    ///
    /// oci is a container image of one layer, as one file that `docker load`, `podman load` and skopeo take; where the
    /// output is a directory or ends in a slash, as an OCI image layout. What it starts is the only `[[startup]]` of the
    /// recipes, or what their `[oci]` says.
    #[arg(long)]
    pub format: Option<Format>,
    #[command(flatten)]
    pub compress: Compress,
    #[command(flatten)]
    pub reserve: Reserve,
    /// Write the SHA-1 of the archive before compression too, as the illumos loader wants it [default name: the
    /// archive's with `.hash`].
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub hash: Option<Option<PathBuf>>,
    /// Where to; `-` is standard output.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

#[derive(Debug, Args)]
pub struct Iso {
    #[command(flatten)]
    pub packed: Packed,
    #[command(flatten)]
    pub compress: Compress,
    /// The ISO to write.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

#[derive(Debug, Args)]
pub struct Pxe {
    #[command(flatten)]
    pub packed: Packed,
    #[command(flatten)]
    pub compress: Compress,
    /// The directory to write, which must be absent or empty.
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
}

#[derive(Debug, Args)]
pub struct Sbom {
    /// The manifest.
    #[arg(short, long, value_name = "FILE")]
    pub manifest: PathBuf,
    /// The source root it was made from. SPDX cannot do without, as it wants the SHA-1 of every file.
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Recipes whose own large files the manifest names.
    pub recipes: Vec<PathBuf>,
    /// What to write.
    #[arg(long, value_enum, default_value_t)]
    pub format: SbomFormat,
    /// Where to; `-` is standard output.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum SbomFormat {
    /// SPDX 2.3 in JSON.
    #[default]
    Spdx,
    /// CycloneDX 1.6 in JSON.
    Cyclonedx,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// An ISO, an archive, a container image, a directory, or what `pxe` wrote.
    pub image: PathBuf,
    /// The manifest it was made from.
    #[arg(short, long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// The system that starts from it; else that of the manifest, or told by what is in the image.
    #[arg(long, value_enum)]
    pub system: Option<System>,
    /// Answer in JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum System {
    Linux,
    Illumos,
}

impl From<System> for crate::recipe::System {
    fn from(system: System) -> crate::recipe::System {
        match system {
            System::Linux => crate::recipe::System::Linux,
            System::Illumos => crate::recipe::System::Illumos,
        }
    }
}

#[derive(Debug, Args)]
pub struct Boot {
    /// The ISO.
    pub image: PathBuf,
    /// Recipes, for the check, the memory and the network.
    pub recipes: Vec<PathBuf>,
    #[command(flatten)]
    pub machine: Machine,
    /// Answer in JSON.
    #[arg(long)]
    pub json: bool,
}

/// The virtual machine.
#[derive(Debug, Args)]
pub struct Machine {
    /// Start with UEFI firmware instead of a BIOS.
    #[arg(long, help_heading = "Virtual machine")]
    pub uefi: bool,
    /// Give the machine the ISO as a disk instead of a CD.
    #[arg(long, help_heading = "Virtual machine")]
    pub disk: bool,
    /// Memory in MiB.
    #[arg(long, value_name = "MIB", help_heading = "Virtual machine")]
    pub memory: Option<u32>,
    /// kvm, tcg, or auto: kvm if it really works.
    #[arg(long, value_enum, default_value_t, help_heading = "Virtual machine")]
    pub accel: AccelName,
    /// Show the guest's console.
    #[arg(short, long, help_heading = "Virtual machine")]
    pub verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum AccelName {
    #[default]
    Auto,
    Kvm,
    Tcg,
}

#[derive(Debug, Args)]
pub struct Build {
    #[command(flatten)]
    pub inputs: Inputs,
    #[command(flatten)]
    pub compress: Compress,
    /// The ISO to write; with --pxe, the directory.
    #[arg(short, long, value_name = "FILE|DIR")]
    pub output: PathBuf,
    /// Make a directory for machines that start from the network, as `pxe` does, instead of an ISO.
    #[arg(long, conflicts_with = "boot")]
    pub pxe: bool,
    /// Write the manifest too.
    #[arg(short, long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Start the ISO under QEMU and check it.
    #[arg(long)]
    pub boot: bool,
    #[command(flatten)]
    pub machine: Machine,
}

#[derive(Debug, Args)]
pub struct Rules {
    #[command(subcommand)]
    pub action: RulesAction,
    /// A directory of further rules.
    #[arg(long, value_name = "DIR", global = true)]
    pub rules: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ExplainRule {
    /// The rule's id, as reasons name it.
    pub id: String,
    /// A manifest: the entries that are in by the rule, and what would go without it.
    #[arg(short, long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// A directory of further rules.
    #[arg(long, value_name = "DIR")]
    pub rules: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum RulesAction {
    /// One line a rule.
    List {
        /// Answer in JSON.
        #[arg(long)]
        json: bool,
    },
    /// The whole text of a rule.
    Show { id: String },
    /// Unknown keys, duplicate ids, conflicts, rules without a firing example; runs the examples.
    Check,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    /// Where a command is shown without its program, the next reader has to try.
    #[test]
    fn the_help_of_each_command_has_an_example_that_is_understood() {
        for command in Arguments::command().get_subcommands() {
            let help = command.get_long_about().map(ToString::to_string).unwrap_or_default();
            let example = help.split_once("Example: `").and_then(|(_, rest)| rest.split_once('`'));
            let (example, _) = example.unwrap_or_else(|| panic!("no example: {}", command.get_name()));
            let words = example.split(['>', '|']).next().unwrap_or_default().trim_end().split(' ');
            let parsed = Arguments::try_parse_from(words).map(|arguments| format!("{:?}", arguments.command));
            assert!(parsed.is_ok(), "{example}: {parsed:?}");
            assert_eq!(example.split(' ').nth(1), Some(command.get_name()), "{example}");
        }
    }
}
