//! Commands that write: `pack`, `iso`, `pxe` and `build`.

use super::{Inputs, Machine};
use crate::pack::{Compression, Format};
use crate::text;
use clap::Args;
use std::path::PathBuf;

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
