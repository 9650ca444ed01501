//! `minroot pack`, `minroot iso` and `minroot pxe`: from a manifest and its root to an archive, and to what starts it.

use super::args::{Compress, Iso, Pack, Packed, Pxe};
use super::sizes::{check_sizes, write_sizes};
use super::why::read_manifest;
use super::{Outcome, progress, report, setting};
use crate::iso::illumos::pxe::{PxeError, PxeLoader, write_pxe_tree};
use crate::iso::illumos::{
    IllumosImage, IllumosIsoError, IllumosLoader, IllumosLoaderError, hash_file as sha1_text, write_illumos_iso,
};
use crate::iso::{Blob, IsoReport, LinuxIso, LinuxIsoError, Loaders, LoadersError, write_linux_iso};
use crate::manifest::{Content, Manifest};
use crate::output::{self, directory_of};
use crate::pack::oci::ImageConfig;
use crate::pack::{
    Compression, Contents, Format, PackError, PackOptions, PackReport, ufs, write_archive, write_stream,
};
use crate::path::{RootPath, escaped};
use crate::recipe::{BootOptions, Recipe, System};
use crate::resolve::krtld::{UNIX_32, UNIX_64};
use crate::root::Root;
use crate::text::{count, hex, size};
use anyhow::Context;
use std::path::{Path, PathBuf};

/// The volume label of every ISO.
const LABEL: &str = "MINROOT";

pub fn pack(options: &Pack) -> anyhow::Result<Outcome> {
    let output = &options.output;
    check_sizes(&options.compress)?;
    let hash = options.hash.as_ref().map(|hash| hash_file(hash.as_deref(), output)).transpose()?;
    let manifest = read_manifest(&options.packed.manifest)?;
    let root = setting::open_root(&options.packed.root)?;
    let recipe = Recipe::load(&options.packed.recipes)?;
    let contents = contents(&root, &recipe);
    let format = options.format.unwrap_or(match manifest.system {
        System::Illumos => Format::Ufs,
        System::Linux => Format::Cpio,
    });
    let default = ufs::Reserve::default();
    let (compression, level) = compression(format, &options.compress, &recipe.boot)?;
    let image = (format == Format::Oci).then(|| image_config(&recipe)).transpose()?;
    let pack = PackOptions {
        format,
        compression,
        level,
        epoch: setting::epoch()?,
        reserve: ufs::Reserve {
            free: options.reserve.free.unwrap_or(default.free),
            free_inodes: options.reserve.free_inodes.unwrap_or(default.free_inodes),
        },
        sha1: hash.is_some(),
        image: image.as_ref(),
    };
    let reading = progress::reading("packing", &root);
    let written = if output == Path::new("-") {
        write_stream(&manifest, &contents, &pack, &mut std::io::stdout().lock(), output)
    } else {
        write_archive(&manifest, &contents, &pack, output)
    };
    drop(reading);
    let written = written.map_err(report::hinted(PackError::hint))?;
    write_sizes(&manifest, &contents, &pack, &written, &options.compress)?;
    if let (Some(file), Some(sha1)) = (&hash, &written.sha1) {
        report::write_output(file, |out| write!(out, "{}", sha1_text(sha1)))
            .with_context(|| format!("cannot write `{}`", file.display()))?;
    }
    tell_packed(&written);
    if let (Some(image), Some(sha256)) = (&image, &written.image) {
        tell_image(image, sha256);
    }
    Ok(Outcome::Done)
}

/// What a container of the recipe runs.
fn image_config(recipe: &Recipe) -> anyhow::Result<ImageConfig> {
    let image = ImageConfig::of(recipe).map_err(|error| {
        let hint = error.hint();
        report::with_hint(error.into(), hint)
    })?;
    if image.entrypoint.is_empty() && image.cmd.is_empty() {
        let why = match recipe.startup.len() {
            0 => "no recipe says what".to_owned(),
            n => format!("a container has one process, and there are {n} lines of startup"),
        };
        report::note(&format!("the image starts nothing by itself: {why}; `[oci] entrypoint` in a recipe does"));
    }
    Ok(image)
}

/// Where the digest of an archive goes: by default to what `boot_archive.hash_name` of the loader is.
fn hash_file(asked: Option<&Path>, archive: &Path) -> anyhow::Result<PathBuf> {
    match asked {
        Some(file) => Ok(file.to_owned()),
        None if archive == Path::new("-") => {
            let error = anyhow::anyhow!("there is no name for the hash of what goes to the standard output");
            Err(report::with_hint(error, "give one with `--hash=FILE`"))
        }
        None => {
            let mut name = archive.as_os_str().to_owned();
            name.push(".hash");
            Ok(name.into())
        }
    }
}

pub fn iso(options: &Iso) -> anyhow::Result<Outcome> {
    write_medium(Medium::Iso, &options.packed, &options.compress, &options.output)
}

pub fn pxe(options: &Pxe) -> anyhow::Result<Outcome> {
    write_medium(Medium::NetworkTree, &options.packed, &options.compress, &options.output)
}

fn write_medium(medium: Medium, packed: &Packed, compress: &Compress, output: &Path) -> anyhow::Result<Outcome> {
    medium.check(output, compress)?;
    let manifest = read_manifest(&packed.manifest)?;
    let root = setting::open_root(&packed.root)?;
    let recipe = Recipe::load(&packed.recipes)?;
    medium.write(&manifest, &root, &recipe, compress, output)?;
    Ok(Outcome::Done)
}

/// What a machine starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    Iso,
    /// A directory for a TFTP server.
    NetworkTree,
}

impl Medium {
    /// The word of notes.
    pub fn word(self) -> &'static str {
        match self {
            Medium::Iso => "ISO",
            Medium::NetworkTree => "tree",
        }
    }

    /// Tells before the work, and not after it, that the medium cannot be written.
    pub fn check(self, output: &Path, compress: &Compress) -> anyhow::Result<()> {
        check_sizes(compress)?;
        let tried = match self {
            Medium::Iso => output::begin(output).map(drop),
            Medium::NetworkTree => output::begin_directory(output).map(drop),
        };
        let tried = tried.with_context(|| format!("cannot write `{}`", output.display()));
        match tried {
            Err(error) if self == Medium::Iso && output::is_no_file(output) => {
                Err(report::with_hint(error, "write the ISO to a file; `dd` copies it to a disk"))
            }
            tried => tried,
        }
    }

    /// Packs the manifest's files, writes the medium around the archive, and tells of both.
    pub fn write(
        self,
        manifest: &Manifest,
        root: &Root,
        recipe: &Recipe,
        compress: &Compress,
        output: &Path,
    ) -> anyhow::Result<PackReport> {
        let (step, write): (_, Write) = match (self, manifest.system) {
            (Medium::Iso, System::Linux) => ("iso", write_iso_of_linux),
            (Medium::Iso, System::Illumos) => ("iso", write_iso_of_illumos),
            (Medium::NetworkTree, _) => ("pxe", write_pxe),
        };
        let (packed, written) = write(manifest, root, recipe, compress, output)?;
        tell_packed(&packed);
        tell_medium(step, &written);
        Ok(packed)
    }
}

type Write = fn(&Manifest, &Root, &Recipe, &Compress, &Path) -> anyhow::Result<(PackReport, IsoReport)>;

fn write_iso_of_illumos(
    manifest: &Manifest,
    root: &Root,
    recipe: &Recipe,
    compress: &Compress,
    output: &Path,
) -> anyhow::Result<(PackReport, IsoReport)> {
    let loader = IllumosLoader::find(root, recipe.boot.forth.unwrap_or_default())
        .map_err(report::hinted(IllumosLoaderError::hint))?;
    let (packed, image) = illumos_image(manifest, root, recipe, compress, output)?;
    let written = write_illumos_iso(&image, &loader, output).map_err(report::hinted(IllumosIsoError::hint))?;
    Ok((packed, written))
}

fn write_pxe(
    manifest: &Manifest,
    root: &Root,
    recipe: &Recipe,
    compress: &Compress,
    output: &Path,
) -> anyhow::Result<(PackReport, IsoReport)> {
    if manifest.system == System::Linux {
        let error = anyhow::anyhow!("a tree for the network is made of illumos only, and the manifest is of Linux");
        let hint = "pack an initramfs, and give it with the kernel to the network boot program of your choice";
        return Err(report::with_hint(error, hint));
    }
    let loader = PxeLoader::find(root, recipe.boot.forth.unwrap_or_default())
        .map_err(report::hinted(IllumosLoaderError::hint))?;
    let (packed, image) = illumos_image(manifest, root, recipe, compress, output)?;
    let written = write_pxe_tree(&image, &loader, output).map_err(report::hinted(PxeError::hint))?;
    Ok((packed, written))
}

/// What the loaders of illumos start, whatever the medium at `output`.
fn illumos_image(
    manifest: &Manifest,
    root: &Root,
    recipe: &Recipe,
    compress: &Compress,
    output: &Path,
) -> anyhow::Result<(PackReport, IllumosImage)> {
    let contents = contents(root, recipe);
    let kernels = illumos_kernels(manifest, &contents)?;
    let (packed, archive) = archive_for(Format::Ufs, manifest, &contents, recipe, compress, output)?;
    let image = IllumosImage {
        kernels,
        archive,
        sha1: packed.sha1.context("internal error: the archive has no digest")?,
        kernel_args: recipe.boot.kernel_args.clone().unwrap_or_default(),
        label: LABEL.to_owned(),
        epoch: setting::epoch()?.into(),
    };
    Ok((packed, image))
}

/// The kernels of the archive, as they are in it: what was traced.
fn illumos_kernels(manifest: &Manifest, contents: &Contents<'_>) -> anyhow::Result<Vec<(RootPath, Blob)>> {
    let mut kernels = Vec::new();
    for path in [UNIX_32, UNIX_64] {
        let path = RootPath::new(path)?;
        if let Some(entry) = manifest.entry(&path) {
            let bytes = contents.read(entry).map_err(report::hinted(PackError::hint))?;
            kernels.push((path, Blob::from_bytes(bytes)));
        }
    }
    if kernels.is_empty() {
        let error = anyhow::anyhow!("the manifest has no kernel: neither `{UNIX_64}` nor `{UNIX_32}`");
        return Err(report::with_hint(error, "trace with rules/recipes/illumos-base.toml, or with a kernel as target"));
    }
    Ok(kernels)
}

/// Packs what the medium at `output` starts, into a file without a name.
fn archive_for(
    format: Format,
    manifest: &Manifest,
    contents: &Contents<'_>,
    recipe: &Recipe,
    compress: &Compress,
    output: &Path,
) -> anyhow::Result<(PackReport, Blob)> {
    let (compression, level) = compression(format, compress, &recipe.boot)?;
    let options = PackOptions {
        format,
        compression,
        level,
        epoch: setting::epoch()?,
        sha1: format == Format::Ufs,
        ..PackOptions::default()
    };
    let mut archive =
        tempfile::tempfile_in(directory_of(output)).with_context(|| format!("cannot write `{}`", output.display()))?;
    let reading = progress::reading("packing", contents.root());
    let packed =
        write_stream(manifest, contents, &options, &mut archive, output).map_err(report::hinted(PackError::hint))?;
    drop(reading);
    write_sizes(manifest, contents, &options, &packed, compress)?;
    Ok((packed, Blob::from_file(archive, output)?))
}

fn write_iso_of_linux(
    manifest: &Manifest,
    root: &Root,
    recipe: &Recipe,
    compress: &Compress,
    output: &Path,
) -> anyhow::Result<(PackReport, IsoReport)> {
    let boot = manifest
        .boot
        .as_ref()
        .context("the manifest says nothing about starting: it has no kernel")
        .map_err(|error| report::with_hint(error, "trace a recipe with [[startup]] from a root with a kernel"))?;
    let loaders = Loaders::find(root).map_err(report::hinted(LoadersError::hint))?;
    let missing = loaders.missing_packages();
    if !missing.is_empty() {
        report::note(&format!("the ISO will not start everywhere: the root lacks {}", missing.join(", ")));
    }
    let (packed, archive) = archive_for(Format::Cpio, manifest, &contents(root, recipe), recipe, compress, output)?;
    let iso = LinuxIso {
        kernel: kernel(root, &boot.kernel)?,
        archive,
        kernel_args: boot.kernel_args.clone(),
        label: LABEL.to_owned(),
        loaders,
        epoch: setting::epoch()?.into(),
    };
    let written = write_linux_iso(&iso, output).map_err(report::hinted(LinuxIsoError::hint))?;
    Ok((packed, written))
}

fn kernel(root: &Root, path: &RootPath) -> anyhow::Result<Blob> {
    let open = || {
        let found = root.lookup(path)?;
        let file = root.open_file(&found)?;
        anyhow::Ok(Blob::from_file(file, Path::new("the kernel"))?)
    };
    open().with_context(|| format!("cannot read the kernel `{path}`"))
}

/// The content of entries, with the recipe's own files.
pub fn contents<'r>(root: &'r Root, recipe: &Recipe) -> Contents<'r> {
    let mut contents = Contents::new(root);
    for file in &recipe.file {
        if let (Ok(path), Some(from)) = (RootPath::new(&file.path), &file.from) {
            contents.give(path, from.clone());
        }
    }
    contents
}

/// The flags, else the recipe's choice for what a machine boots, else what suits the format.
fn compression(format: Format, compress: &Compress, boot: &BootOptions) -> anyhow::Result<(Compression, Option<i32>)> {
    let boots = matches!(format, Format::Cpio | Format::Odc | Format::Ufs);
    let compression = match (compress.compress, boot.compress.as_ref().filter(|_| boots)) {
        (Some(compression), _) => compression,
        (None, Some(name)) => name.parse()?,
        (None, None) => match format {
            Format::Cpio => Compression::Zstd,
            Format::Ufs | Format::Odc | Format::Oci => Compression::Gzip,
            Format::Tar | Format::Dir => Compression::None,
        },
    };
    Ok((compression, compress.level.or(boot.level.filter(|_| boots))))
}

fn tell_packed(packed: &PackReport) {
    for warning in &packed.warnings {
        report::note(&warning.to_string());
    }
    let PackReport { n_entries, unpacked, packed: bytes, .. } = packed;
    report::step("pack", format_args!("{n_entries} entries, {} to {}", size(*unpacked), size(*bytes)));
    if let Some(usage) = &packed.usage {
        tell_usage(usage, packed.least_ram_mib.unwrap_or_default());
    }
}

fn tell_image(image: &ImageConfig, sha256: &[u8; 32]) {
    let command: Vec<&str> = image.entrypoint.iter().chain(&image.cmd).map(String::as_str).collect();
    let starts = if command.is_empty() {
        String::new()
    } else {
        format!(", starts `{}`", escaped(command.join(" ").as_bytes()))
    };
    report::step("oci", format_args!("sha256:{}{starts}", hex(sha256)));
}

fn tell_usage(usage: &ufs::Usage, least_ram_mib: u64) {
    let ufs::Usage { used, free, log, used_inodes, free_inodes, .. } = usage;
    report::step(
        "ufs",
        format_args!(
            "{} used, {} free, {} of them for the log; {} used, {} free; needs about {least_ram_mib} MiB of memory",
            size(*used),
            size(*free),
            size(*log),
            count((*used_inodes).into(), "inode"),
            count((*free_inodes).into(), "inode"),
        ),
    );
}

fn tell_medium(name: &str, written: &IsoReport) {
    report::step(
        name,
        format_args!(
            "{}: kernel {}, archive {}, boot loaders {}, the rest {}",
            size(written.total()),
            size(written.kernel),
            size(written.archive),
            size(written.loaders),
            size(written.overhead),
        ),
    );
}

/// Counts for people: files with their bytes, links, directories.
pub fn tell_traced(manifest: &Manifest) {
    let count = |kind: fn(&Content) -> bool| manifest.entries.iter().filter(|e| kind(&e.content)).count();
    let files = count(|c| matches!(c, Content::File { .. } | Content::Generated { .. }));
    let links = count(|c| matches!(c, Content::Symlink { .. } | Content::Hardlink { .. }));
    let directories = count(|c| matches!(c, Content::Directory));
    let bytes = size(manifest.total_bytes());
    report::step("trace", format_args!("{files} files ({bytes}), {links} links, {directories} directories"));
}
