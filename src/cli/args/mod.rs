//! Every subcommand and flag; the doc comments are the help texts and the manual pages.

mod answers;
mod images;
mod inputs;
mod machine;
mod rules;

pub use answers::{Diff, Graph, GraphFormat, Sbom, SbomFormat, Size, Tree, Why};
pub use images::{Build, Compress, Iso, Pack, Packed, Pxe};
pub use inputs::{Fetch, Fetching, Inputs, ManifestFormat, Trace};
pub use machine::{AccelName, Boot, Machine, Verify};
pub use rules::{ExplainRule, Rules, RulesAction};

use clap::{Parser, Subcommand};
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
