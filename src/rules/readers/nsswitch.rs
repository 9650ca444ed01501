//! `nsswitch.conf`(5) to one map per database and source: `hosts: files [NOTFOUND=return] dns` names `files` and `dns`.
//!
//! The surprise is in `inside_libc`: from glibc 2.34 the sources `files` and `dns` are part of libc itself
//! (glibc NEWS 2.34, "nss/nss_module.c": `is_nss`, `__nss_files_functions`), so only older systems load a library
//! for them, though Debian still ships the old names as stubs.

use crate::rules::pattern::Bindings;

/// `database` and `source` as in the file; `inside_libc` is `yes` for the sources of glibc >= 2.34's own, else `no`.
pub(super) const BINDINGS: &[&str] = &["database", "source", "inside_libc"];

pub(super) fn read(text: &[u8]) -> Vec<Bindings> {
    text.split(|&byte| byte == b'\n').flat_map(read_line).collect()
}

fn read_line(line: &[u8]) -> Vec<Bindings> {
    let line = line.split(|&byte| byte == b'#').next().unwrap_or_default();
    let Some(colon) = memchr::memchr(b':', line) else { return Vec::new() };
    let database = line[..colon].trim_ascii();
    if database.is_empty() {
        return Vec::new();
    }
    without_actions(&line[colon + 1..])
        .split(u8::is_ascii_whitespace)
        .filter(|source| !source.is_empty())
        .map(|source| {
            let inside_libc: &[u8] = if matches!(source, b"files" | b"dns") { b"yes" } else { b"no" };
            [("database", database), ("source", source), ("inside_libc", inside_libc)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into()
        })
        .collect()
}

/// The services with every `[STATUS=action …]` blanked; an action that is never closed hides the rest of the line.
fn without_actions(services: &[u8]) -> Vec<u8> {
    let mut inside = false;
    let mut plain = Vec::with_capacity(services.len());
    for &byte in services {
        inside |= byte == b'[';
        plain.push(if inside { b' ' } else { byte });
        inside &= byte != b']';
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let found: Vec<(String, String)> = read(text.as_bytes())
            .iter()
            .map(|b| {
                (
                    String::from_utf8_lossy(&b["database"]).into_owned(),
                    String::from_utf8_lossy(&b["source"]).into_owned(),
                )
            })
            .collect();
        let found: Vec<(&str, &str)> = found.iter().map(|(d, s)| (&d[..], &s[..])).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn each_service_of_each_database_is_named() {
        check(
            "passwd: files systemd\nhosts:\tfiles dns\n",
            &[("passwd", "files"), ("passwd", "systemd"), ("hosts", "files"), ("hosts", "dns")],
        );
    }

    #[test]
    fn actions_are_no_services() {
        check("hosts: mdns4_minimal [NOTFOUND=return] dns", &[("hosts", "mdns4_minimal"), ("hosts", "dns")]);
        check("hosts: resolve[!UNAVAIL=return SUCCESS=merge]files", &[("hosts", "resolve"), ("hosts", "files")]);
        check("hosts: files [NOTFOUND=return dns", &[("hosts", "files")]);
    }

    #[test]
    fn comments_and_lines_without_a_database_say_nothing() {
        check("# passwd: ldap\nhosts: files # dns\n\n: files\nfiles dns\n", &[("hosts", "files")]);
        check("hosts : files\r\n", &[("hosts", "files")]);
    }

    #[test]
    fn only_the_sources_inside_libc_are_marked() {
        let inside: Vec<Vec<u8>> =
            read(b"hosts: files dns mymachines").into_iter().map(|b| b["inside_libc"].clone()).collect();
        assert_eq!(inside, [&b"yes"[..], b"yes", b"no"]);
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        assert!(read(&[0xff; 64]).is_empty());
        assert_eq!(read(b"a:\xff[")[0]["source"], b"\xff");
        assert!(read(b"a:[[[[]").is_empty());
    }
}
