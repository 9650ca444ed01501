//! The trusted certificates in `/etc/ssl/certs`, as update-ca-certificates(8) makes them: all in one file, for GnuTLS and
//! curl, and a link for each by the hash of its subject, where OpenSSL looks.
//!
//! Which of them are trusted is asked at installation and kept in `/etc/ca-certificates.conf`; the answer that is offered
//! is all of them.

use super::filling::Filling;
use super::subject;
use crate::fetch::error::FetchError;
use crate::fetch::member::Member;
use crate::path::RootPath;
use std::collections::BTreeMap;

const CERTIFICATES: &str = "/usr/share/ca-certificates";
const CONFIGURATION: &str = "/etc/ca-certificates.conf";
const TARGET: &str = "/etc/ssl/certs";
const BUNDLE: &[u8] = b"ca-certificates.crt";

/// Makes the files for a package, given by index; whether there were any certificates.
///
/// # Errors
/// [`FetchError::Read`] of a staged file.
pub fn make(filling: &mut Filling<'_>, package: usize) -> Result<bool, FetchError> {
    let target = path(TARGET);
    let mut bundle = Vec::new();
    let mut names = BTreeMap::new();
    for certificate in trusted(filling)? {
        let Some((_, text)) = filling.read(&certificate)? else { continue };
        let name = link_name(certificate.file_name());
        if filling.make(package, Member::symlink(target.join(&name), certificate.as_bytes())) {
            names.insert(name, subject::hash(&text));
        }
        bundle.extend_from_slice(&text);
        if bundle.last().is_some_and(|byte| *byte != b'\n') {
            bundle.push(b'\n');
        }
    }
    // Several subjects with one hash are numbered, by name.
    let mut numbers: BTreeMap<u32, usize> = BTreeMap::new();
    for (name, hash) in names {
        let Some(hash) = hash else { continue };
        let number = numbers.entry(hash).or_default();
        filling.make(package, Member::symlink(target.join(format!("{hash:08x}.{number}").as_bytes()), name));
        *number += 1;
    }
    Ok(!bundle.is_empty() && filling.make(package, Member::generated(target.join(BUNDLE), bundle)))
}

/// The certificates in the order of the configuration, in byte order without one.
fn trusted(filling: &Filling<'_>) -> Result<Vec<RootPath>, FetchError> {
    let all = path(CERTIFICATES);
    let Some((_, text)) = filling.read(&path(CONFIGURATION))? else {
        let mut found = filling.below(&all);
        found.retain(|path| path.as_bytes().ends_with(b".crt"));
        return Ok(found);
    };
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
    Ok(lines.filter_map(|line| RootPath::new(format!("{CERTIFICATES}/{line}")).ok()).collect())
}

/// `My CA (1).crt` → `My_CA_=1=.pem`
fn link_name(certificate: &[u8]) -> Vec<u8> {
    let name = certificate.strip_suffix(b".crt").unwrap_or(certificate);
    let replaced = name.iter().map(|byte| match byte {
        b' ' | b',' => b'_',
        b'(' | b')' => b'=',
        other => *other,
    });
    replaced.chain(*b".pem").collect()
}

fn path(text: &str) -> RootPath {
    RootPath::new(text).expect("a constant")
}
