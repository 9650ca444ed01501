//! What can go wrong while a root is filled, and what the user can do about it.

use crate::path::escaped;
use std::io;
use std::path::PathBuf;

/// The part that tells what kind of package a file is.
pub(super) const BEGINNING: &str = "beginning";

/// The same of a directory.
pub(super) const CONTENTS: &str = "content";

/// Why a root could not be filled.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("the recipe names no source")]
    NoSource,
    #[error("cannot start `{}`", program.display())]
    StartApt { program: PathBuf, source: io::Error },
    #[error("apt cannot {action}: {}", output.join("; "))]
    Apt {
        action: &'static str,
        /// apt's own messages, without its `E: `.
        output: Vec<String>,
    },
    #[error("apt knows no package {}", quoted(names))]
    UnknownPackages { names: Vec<String>, nearest: Vec<String> },
    #[error("`{0}` is not a package name")]
    PackageName(String),
    #[error("`{0}` is not the name of an architecture")]
    Architecture(String),
    #[error("apt named the archive `{0}`, which is not the name of a package file")]
    ArchiveName(String),
    #[error("`{}` does not have the digest that the package lists promise", path.display())]
    Digest { path: PathBuf },
    #[error("no package file matches `{pattern}`")]
    NoMatch { pattern: String, nearest: Vec<String> },
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot understand the `{part}` of the package file `{}`", path.display())]
    Damaged { path: PathBuf, part: String, source: io::Error },
    #[error("cannot unpack `{}`: `{part}` is compressed in a way that minroot does not know", path.display())]
    Compression { path: PathBuf, part: String },
    #[error("cannot unpack `{}`: the files of `{package}` are in `{part}`, which minroot does not read", path.display())]
    ClassArchive { path: PathBuf, package: String, part: String },
    #[error("refused to unpack `{}` of the package `{package}`: {refusal}", escaped(member))]
    Refused { package: String, member: Vec<u8>, refusal: Refusal },
    #[error("`{}` is both in the package `{first}` and in the package `{second}`", escaped(path))]
    Conflict { path: Vec<u8>, first: String, second: String },
    #[error("the package `{package}` is there twice: `{first}` and `{second}`")]
    TwoVersions { package: String, first: String, second: String },
    #[error("the package sources have no package {}", quoted(names))]
    NotSelected { names: Vec<String>, nearest: Vec<String> },
    #[error(
        "the content of `{}` of the package `{package}` is not what the package promises: {problem}",
        escaped(member)
    )]
    Content { package: String, member: Vec<u8>, problem: String },
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// Why one member of a package was not unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    Path(#[from] crate::path::PathError),
    #[error("its path is longer than 4096 bytes or has a name longer than 255 bytes")]
    TooLong,
    #[error(
        "its path goes through the symlink `{}` of the package `{owner}` to `{}`, which leads out of the root",
        escaped(link),
        escaped(target)
    )]
    LeavesRoot { link: Vec<u8>, target: Vec<u8>, owner: String },
    #[error("its path goes through too many symlinks, the last of them `{}`", escaped(.0))]
    LinkLoop(Vec<u8>),
    #[error("its path goes through `{}`, which is not a directory", escaped(.0))]
    NotADirectory(Vec<u8>),
    #[error("it is a hard link to `{}`, which is no earlier file of the package", escaped(.0))]
    HardLink(Vec<u8>),
    #[error("it is a symlink to nothing")]
    EmptyLink,
    #[error("its type in the archive, {0:?}, is not known")]
    Type(char),
    #[error("it is a directory here and something else elsewhere")]
    Shape,
}

impl FetchError {
    /// What to do about it, where that can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            FetchError::NoSource => {
                Some("give --root DIR, or a recipe whose [source] has `root`, `apt` or `packages`".to_owned())
            }
            FetchError::StartApt { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("packages by name need Debian's apt; elsewhere give [source] `packages` or `root`".to_owned())
            }
            FetchError::UnknownPackages { nearest, .. }
            | FetchError::NoMatch { nearest, .. }
            | FetchError::NotSelected { nearest, .. }
                if !nearest.is_empty() =>
            {
                Some(format!("did you mean {}?", quoted(nearest)))
            }
            FetchError::NoMatch { .. } => Some("patterns are relative to the directory of the recipe".to_owned()),
            FetchError::NotSelected { .. } => {
                Some("correct `select` in [source], or add the package's file to `packages`".to_owned())
            }
            FetchError::UnknownPackages { .. } => {
                Some("the package may be in a repository that this machine's apt sources do not name".to_owned())
            }
            FetchError::Apt { output, .. } if output.iter().any(|line| is_network_trouble(line)) => {
                Some("is the network up, and is a proxy needed (`http_proxy`)?".to_owned())
            }
            FetchError::Write { source, .. }
                if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                Some("the cache needs about five times the size of the packages; set XDG_CACHE_HOME".to_owned())
            }
            FetchError::Compression { .. } => Some("gz, xz, zst and no compression are known".to_owned()),
            FetchError::ClassArchive { package, .. } => Some(format!(
                "install it where pkgadd is, with `pkgadd -R DIR -d . {package}`, and make DIR the recipe's [source] root"
            )),
            FetchError::Digest { path } => Some(format!("remove `{}` and try again", path.display())),
            FetchError::TwoVersions { .. } | FetchError::Conflict { .. } => Some("leave one of the two out".to_owned()),
            FetchError::Damaged { part, .. } if [BEGINNING, CONTENTS].contains(&&part[..]) => Some(
                "[source] `packages` takes `.deb`, SVR4 (directory, datastream, `.zap`) and IPS (`.p5p`, repository, image)"
                    .to_owned(),
            ),
            FetchError::Damaged { path, .. } => Some(format!(
                "get the package again: `sha256sum {}` tells whether it is what its publisher has",
                path.display()
            )),
            FetchError::Content { package, .. } => {
                Some(format!("get `{package}` again, from another place if that does not help"))
            }
            FetchError::Refused { package, .. } => Some(format!(
                "leave `{package}` out, or give a root that it is installed in as the recipe's [source] `root`"
            )),
            FetchError::PackageName(_) => {
                Some("write names as apt does: `hello`, `hello:arm64`, `hello=2.10-3`, `hello/bookworm`".to_owned())
            }
            FetchError::Architecture(_) => Some("`dpkg --print-architecture` prints this machine's".to_owned()),
            FetchError::Apt { .. } | FetchError::ArchiveName(_) => {
                Some("`apt-get download PACKAGE` shows whether apt itself works here".to_owned())
            }
            // What the operating system says has hints of its own.
            FetchError::StartApt { .. } | FetchError::Read { .. } | FetchError::Write { .. } => None,
        }
    }
}

/// Whether a message of apt's speaks of the network; the words are those of apt's http method and of the resolver.
fn is_network_trouble(line: &str) -> bool {
    ["Could not resolve", "Temporary failure", "Unable to connect", "Could not connect", "Connection", "timed out"]
        .iter()
        .any(|words| line.contains(words))
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
