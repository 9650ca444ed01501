//! How much memory an image needs to unpack its archive and start.

use super::archive::{Archive, ZSTD_HEADER, zstd_window};
use super::arguments::Arguments;
use super::tree::Tree;
use super::{Component, Finding, Report, Severity};
use crate::pack::cpio::read::Segment;
use crate::pack::{Compression, least_ram_for};

/// What UEFI firmware keeps for itself; see [`crate::pack::least_ram_mib`].
const UEFI_MIB: u64 = 48;

/// The least memory in MiB, which is reported as well.
pub(super) fn least_ram_mib(
    archive: &Archive,
    tree: &Tree,
    segments: &[Segment],
    arguments: &Arguments,
    report: &mut Report,
) -> u64 {
    let decoder = segments.iter().map(|segment| decoder_memory(archive, segment)).max().unwrap_or(0);
    let sizes = || tree.contents.iter().map(|content| content.size);
    let least = least_ram_for(sizes(), archive.len(), decoder);
    let content_mib = sizes().map(|size| size.next_multiple_of(4096)).sum::<u64>().div_ceil(1 << 20);
    let message = if arguments.ramfs || 2 * content_mib <= least {
        format!("the machine needs {least} MiB of memory at least, with UEFI {} MiB", least + UEFI_MIB)
    } else {
        format!("the machine needs {} MiB of memory at least: the content may take half of it", 2 * content_mib)
    };
    let finding = Finding::new(Severity::Suggestion, Component::Kernel, message);
    if arguments.ramfs {
        report.find(finding);
        return least;
    }
    report
        .find(finding.hint("with `rootfstype=ramfs` on the kernel's command line the content may take all the memory"));
    least.max(2 * content_mib)
}

/// Bytes, from what the stream itself asks for where that can be read.
fn decoder_memory(archive: &Archive, segment: &Segment) -> u64 {
    match segment.compression {
        Compression::Zstd => {
            zstd_window(&archive.bytes_at(segment.offset, ZSTD_HEADER)).unwrap_or_default().min(segment.unpacked)
        }
        compression => compression.decoder_memory(compression.default_level()),
    }
}
