//! Resolves package names and downloads archives with the system's apt, as an ordinary user.
//!
//! apt reads the machine's own sources, keys and preferences, but keeps everything it writes below minroot's cache. Its
//! idea of what is installed is an empty file, so the closure is complete, and nothing essential is added to it. The
//! surprising part is the configuration: `#clear` removes the hooks of other packages (packagekit, appstream,
//! docker-clean), which would run programs and delete files of the real system.

use super::error::FetchError;
use super::names::nearest;
use super::{Progress, Step};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

/// Package lists older than this are fetched anew before packages are resolved.
const LIST_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Files that say where packages come from.
const SOURCES: [&str; 4] =
    ["/etc/apt/sources.list", "/etc/apt/sources.list.d", "/etc/apt/preferences", "/etc/apt/preferences.d"];

/// What apt gets of the caller's environment: where programs are, and how to reach the network.
const ENVIRONMENT: [&str; 15] = [
    "PATH",
    "TMPDIR",
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
];

/// apt with a state directory of its own.
pub struct Apt<'a> {
    program: &'a Path,
    state: PathBuf,
    archives: PathBuf,
    sources: String,
    progress: &'a dyn Progress,
    /// What did not stop the work and should be known.
    pub notes: Vec<String>,
    updated: bool,
}

/// One package file of a closure, as apt names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// In lower-case hexadecimal.
    pub sha256: String,
}

/// A digest over the machine's package sources, in hexadecimal: a change means other packages.
pub fn sources_digest() -> String {
    let mut digest = Sha256::new();
    for path in SOURCES.map(Path::new) {
        let mut files: Vec<PathBuf> = match std::fs::read_dir(path) {
            Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
            Err(_) => vec![path.to_owned()],
        };
        files.sort();
        for file in files {
            // What this user cannot read, apt cannot read either.
            if let Ok(bytes) = std::fs::read(&file) {
                digest.update(file.as_os_str().as_encoded_bytes());
                digest.update((bytes.len() as u64).to_le_bytes());
                digest.update(bytes);
            }
        }
    }
    crate::text::hex(&digest.finalize())
}

/// Whether `name` is what apt calls a package, with an optional `=VERSION` or `/RELEASE`; options and the `-` and `+`
/// suffixes of apt's command line are not.
pub fn check_name(name: &str) -> Result<(), FetchError> {
    let (package, selector) = name.split_at(name.find(['=', '/', ':']).unwrap_or(name.len()));
    let plain = |text: &str, more: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
    let starts_well = package.starts_with(|c: char| c.is_ascii_alphanumeric());
    let ends_well = !package.ends_with('-') && selector.len() != 1;
    if starts_well && ends_well && plain(package, "+-.") && plain(selector, "=/:+-.~_") {
        return Ok(());
    }
    Err(FetchError::PackageName(name.to_owned()))
}

impl<'a> Apt<'a> {
    /// Prepares the state for one architecture below the cache. The caller holds the cache's lock.
    ///
    /// # Errors
    /// [`FetchError::Write`].
    pub fn open(
        program: &'a Path,
        cache: &Path,
        architecture: &str,
        progress: &'a dyn Progress,
    ) -> Result<Apt<'a>, FetchError> {
        let state = cache.join("apt").join(architecture);
        let archives = cache.join("archives");
        for directory in [&state.join("lists/partial"), &state.join("none/partial"), &archives.join("partial")] {
            std::fs::create_dir_all(directory).map_err(|source| write_error(directory, source))?;
        }
        let apt =
            Apt { program, state, archives, sources: sources_digest(), progress, notes: Vec::new(), updated: false };
        apt.write("status", "")?;
        apt.write("apt.conf", &configuration(&apt.state, &apt.archives, architecture)?)?;
        Ok(apt)
    }

    /// Brings the closure of `names` into the cache: every package that they need, whether this machine has it or not.
    /// Returns the archives and how many of them were downloaded.
    ///
    /// Updates the package lists when there are none, when they are older than a day or from other sources, when a name
    /// is unknown, when a download fails (the repository may have moved on), and when `refresh` is set.
    ///
    /// # Errors
    /// [`FetchError::UnknownPackages`], [`FetchError::Apt`] with what apt said, or [`FetchError::Digest`] when it
    /// delivered something else.
    pub fn obtain(&mut self, names: &[String], refresh: bool) -> Result<(Vec<Archive>, usize), FetchError> {
        if refresh || !self.lists_are_current() {
            self.update()?;
        }
        let try_once = |apt: &Apt| {
            let archives = apt.resolve(names)?;
            let downloaded = apt.download(names, &archives)?;
            Ok((archives, downloaded))
        };
        match try_once(self) {
            Err(FetchError::UnknownPackages { .. } | FetchError::Apt { .. }) if !self.updated => {
                self.update()?;
                try_once(self)
            }
            answer => answer,
        }
    }

    /// Makes sure that every archive is in the cache with the right content; returns how many were downloaded.
    fn download(&self, names: &[String], archives: &[Archive]) -> Result<usize, FetchError> {
        let missing: Vec<&Archive> = archives.par_iter().filter(|archive| !is_complete(archive)).collect();
        if missing.is_empty() {
            return Ok(0);
        }
        for archive in &missing {
            // apt takes a file of the right size for a finished download.
            match std::fs::remove_file(&archive.path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(write_error(&archive.path, error));
                }
                _ => {}
            }
        }
        self.progress.begin(Step::Download, 100);
        self.run("download the packages", &["--download-only", "install", "--"], names)?;
        match missing.par_iter().find_first(|archive| !is_complete(archive)) {
            Some(archive) => Err(FetchError::Digest { path: archive.path.clone() }),
            None => Ok(missing.len()),
        }
    }

    fn resolve(&self, names: &[String]) -> Result<Vec<Archive>, FetchError> {
        self.progress.begin(Step::Resolve, 0);
        // Archives that are there would be left out; the empty directory makes the list complete.
        let mut nowhere = OsStr::new("Dir::Cache::archives=").to_owned();
        nowhere.push(self.state.join("none"));
        let arguments =
            [OsStr::new("-o"), &nowhere, OsStr::new("--print-uris"), OsStr::new("install"), OsStr::new("--")];
        let lines = match self.run("resolve the packages", &arguments, names) {
            Err(FetchError::Apt { output, .. }) if !unknown_names(&output).is_empty() => {
                return Err(self.unknown_packages(unknown_names(&output)));
            }
            answer => answer?,
        };
        lines.iter().filter_map(|line| parse_uri_line(line)).map(|found| self.archive(found)).collect()
    }

    fn archive(&self, (name, size, sha256): (&str, u64, &str)) -> Result<Archive, FetchError> {
        let plain = !name.contains('/') && !name.starts_with('.') && name.ends_with(".deb");
        if !plain || sha256.len() != 64 {
            return Err(FetchError::ArchiveName(name.to_owned()));
        }
        Ok(Archive { path: self.archives.join(name), size, sha256: sha256.to_ascii_lowercase() })
    }

    fn unknown_packages(&self, names: Vec<String>) -> FetchError {
        let known = self.known_packages().unwrap_or_default();
        let mut near: Vec<String> = names
            .iter()
            .flat_map(|name| nearest(name.split(['=', '/', ':']).next().unwrap_or(name), known.lines()))
            .collect();
        near.dedup();
        FetchError::UnknownPackages { names, nearest: near }
    }

    /// All names of the lists, from apt-cache beside apt-get; `None` when it does not work.
    fn known_packages(&self) -> Option<String> {
        let program = self.program.with_file_name("apt-cache");
        let output = self.command(&program).arg("pkgnames").stderr(Stdio::null()).output().ok()?;
        String::from_utf8(output.stdout).ok()
    }

    /// A failed update is fatal only when there are no lists at all: one broken source among many is common.
    fn update(&mut self) -> Result<(), FetchError> {
        self.updated = true;
        self.progress.begin(Step::Update, 100);
        let none: [String; 0] = [];
        match self.run("fetch the package lists", &["-o", "APT::Update::Error-Mode=any", "update"], &none) {
            Ok(_) => self.write("lists-updated", &self.sources),
            Err(FetchError::Apt { output, .. }) if self.has_lists() => {
                self.notes.push(format!("not all package lists could be updated: {}", output.join("; ")));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn lists_are_current(&self) -> bool {
        let stamp = self.state.join("lists-updated");
        let age = || stamp.metadata().ok()?.modified().ok().map(|time| SystemTime::now().duration_since(time));
        let is_young = age().is_some_and(|age| age.is_ok_and(|age| age < LIST_AGE));
        is_young && self.has_lists() && std::fs::read_to_string(&stamp).is_ok_and(|sources| sources == self.sources)
    }

    fn has_lists(&self) -> bool {
        let is_list = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().contains("_Packages");
        std::fs::read_dir(self.state.join("lists")).is_ok_and(|mut entries| entries.any(|e| e.is_ok_and(is_list)))
    }

    /// Runs apt-get and returns the lines of its output that are not about progress.
    fn run<S: AsRef<OsStr>>(
        &self,
        action: &'static str,
        arguments: &[S],
        names: &[String],
    ) -> Result<Vec<String>, FetchError> {
        let start = |source| FetchError::StartApt { program: self.program.to_owned(), source };
        let mut child = self
            .command(self.program)
            .args(["-q", "-o", "APT::Status-Fd=1"])
            .args(arguments)
            .args(names)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start)?;
        let mut errors = child.stderr.take().expect("piped");
        let errors = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // A broken pipe only costs words of a message; the exit status decides.
            let _ = errors.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let mut lines = Vec::new();
        for line in BufReader::new(child.stdout.take().expect("piped")).split(b'\n') {
            let line = String::from_utf8_lossy(&line.map_err(start)?).into_owned();
            match parse_progress(&line) {
                Some(percent) => self.progress.advance_to(percent),
                None => lines.push(line),
            }
        }
        let status = child.wait().map_err(start)?;
        let errors = errors.join().unwrap_or_default();
        if status.success() {
            return Ok(lines);
        }
        let mut output = messages(&errors, "E: ");
        if output.is_empty() {
            output = vec![format!("it ended with {status}")];
        }
        Err(FetchError::Apt { action, output })
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C");
        command.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.arg("-c").arg(self.state.join("apt.conf")).current_dir("/");
        command
    }

    fn write(&self, name: &str, content: &str) -> Result<(), FetchError> {
        let path = self.state.join(name);
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(&self.state)?;
            file.write_all(content.as_bytes())?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|source| write_error(&path, source))
    }
}

/// apt's configuration; read after that of the machine, so its values win and its `#clear` lines take effect.
fn configuration(state: &Path, archives: &Path, architecture: &str) -> Result<String, FetchError> {
    let text = |path: &Path| match path.to_str() {
        // apt.conf(5) has no way to write a quote inside quotes.
        Some(text) if !text.contains(['"', '\n', '\\']) => Ok(text.to_owned()),
        _ => {
            let problem =
                "apt cannot use a directory whose name holds a quote, a backslash or bytes that are not UTF-8";
            Err(write_error(path, std::io::Error::new(std::io::ErrorKind::InvalidInput, problem)))
        }
    };
    let (state, archives) = (text(state)?, text(archives)?);
    Ok(format!(
        r#"// Written by minroot before each use.
Dir::State "{state}";
Dir::State::lists "{state}/lists";
Dir::State::status "{state}/status";
Dir::State::extended_states "{state}/extended_states";
Dir::Cache "{state}";
Dir::Cache::archives "{archives}";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
Dir::Log "{state}";
APT::Architecture "{architecture}";
#clear APT::Architectures;
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Get::Assume-Yes "true";
// A name is a name: without this an unknown one is tried as a regular expression.
APT::Cmd::Pattern-Only "true";
// The cache belongs to the user, where the user _apt cannot write.
APT::Sandbox::User "root";
APT::Keep-Downloaded-Packages "true";
Acquire::ForceHash "SHA256";
Acquire::Languages "none";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::IndexTargets::deb::CNF::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons-small::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons::DefaultEnabled "false";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Stats;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Install::Pre-Invoke;
#clear APT::Install::Post-Invoke-Success;
#clear AptCli::Hooks;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
"#
    ))
}

/// `'URI' NAME SIZE SHA256:DIGEST` → name, size, digest.
fn parse_uri_line(line: &str) -> Option<(&str, u64, &str)> {
    let mut fields = line.strip_prefix('\'')?.split_once("' ")?.1.split_whitespace();
    let (name, size, hash) = (fields.next()?, fields.next()?, fields.next()?);
    Some((name, size.parse().ok()?, hash.strip_prefix("SHA256:").unwrap_or_default()))
}

/// `dlstatus:2:81.6344:Retrieving file 2 of 2` → 81 (apt's README.progress-reporting).
fn parse_progress(line: &str) -> Option<u64> {
    let percent = line.strip_prefix("dlstatus:")?.split(':').nth(1)?;
    percent.split('.').next()?.parse().ok()
}

fn messages(output: &str, prefix: &str) -> Vec<String> {
    let mut lines: Vec<String> =
        output.lines().filter_map(|line| Some(line.strip_prefix(prefix)?.trim().to_owned())).collect();
    lines.dedup();
    lines
}

/// The names that apt's messages call unknown.
fn unknown_names(messages: &[String]) -> Vec<String> {
    let quoted = |text: &str| text.split('\'').nth(1).map(str::to_owned);
    let name = |message: &String| {
        if let Some(name) = message.strip_prefix("Unable to locate package ") {
            return Some(name.to_owned());
        }
        if message.starts_with("Version '") || message.starts_with("Release '") {
            let package = message.split(" for ").nth(1).and_then(quoted)?;
            return Some(format!("{package}={}", quoted(message)?));
        }
        quoted(message).filter(|_| message.ends_with("has no installation candidate"))
    };
    messages.iter().filter_map(name).collect()
}

fn is_complete(archive: &Archive) -> bool {
    archive.path.metadata().is_ok_and(|m| m.len() == archive.size)
        && super::store::file_digest(&archive.path).is_ok_and(|digest| digest == archive.sha256)
}

fn write_error(path: &Path, source: std::io::Error) -> FetchError {
    FetchError::Write { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_suffixes_of_apt_are_no_package_names() {
        for name in ["libstdc++6", "nodejs=18.20.4+dfsg-1~deb12u1", "curl/bookworm-backports", "libc6:amd64", "0ad"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "-o", "--root=/", "bash-", "a b", "./a.deb", "../a", "a;b", "a=", "^task", "lib*", "a\n"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn output_of_apt_is_understood() {
        let line = "'http://x/y_1.deb' y_1%3a1_amd64.deb 108396 SHA256:cb14";
        assert_eq!(parse_uri_line(line), Some(("y_1%3a1_amd64.deb", 108396, "cb14")));
        assert_eq!(parse_uri_line("Reading package lists..."), None);
        assert_eq!(parse_progress("dlstatus:2:81.6344:Retrieving file 2 of 2"), Some(81));
        assert_eq!(parse_progress("Get:2 http://x"), None);
        let errors = "W: x\nE: Unable to locate package nosuch\nE: Version '99' for 'nodejs' was not found\nE: Package 'awk' has no installation candidate\n";
        assert_eq!(unknown_names(&messages(errors, "E: ")), ["nosuch", "nodejs=99", "awk"]);
    }

    #[test]
    fn a_cache_path_that_apt_cannot_quote_is_an_error() {
        assert!(configuration(Path::new("/a\"b"), Path::new("/c"), "amd64").is_err());
        assert!(configuration(Path::new("/a b"), Path::new("/c"), "amd64").unwrap().contains("\"/a b/lists\""));
    }
}
