//! `pam.conf`(5) and the files of `pam.d` to one map per module: which libraries libpam opens for a service.
//!
//! A module that is no absolute path is looked for in `/usr/lib/security`, by a 64-bit program in its `64` directory;
//! `$ISA` in a path stands for the same difference (usr/src/lib/libpam/pam_impl.h, `PAM_LIB_DIR`, `PAM_ISA_DIR`). The
//! file that `include` names is text and the same for both (pam_framework.c, `PAM_INCLUDE`). A file of `pam.d` has no
//! service field: its name is the service.

use super::{bind, fields};
use crate::rules::pattern::Bindings;

/// `service` is in lower case, and empty in a file of `pam.d`; `module` is as in the file; `path` and `path64` are where
/// programs of 32 and 64 bits find it. `control` is a word, or everything in square brackets where Linux has those.
pub(super) const BINDINGS: &[&str] = &["service", "type", "control", "module", "path", "path64"];

const TYPES: [&[u8]; 4] = [b"auth", b"account", b"session", b"password"];

pub(super) fn read(text: &[u8]) -> Vec<Bindings> {
    super::joined_lines(text).iter().filter_map(|line| read_line(line)).collect()
}

fn read_line(line: &[u8]) -> Option<Bindings> {
    let words = fields(line);
    // A service may be called `auth` too, so the second word decides first.
    let (service, rest) = match words.as_slice() {
        [service, kind, ..] if is_type(kind) => (service.to_ascii_lowercase(), &words[1..]),
        [kind, ..] if is_type(kind) => (Vec::new(), &words[..]),
        _ => return None,
    };
    let (kind, rest) = rest.split_first()?;
    let kind = kind.strip_prefix(b"-").unwrap_or(kind).to_ascii_lowercase();
    let n_control = match rest.first()? {
        first if first.starts_with(b"[") => 1 + rest.iter().position(|word| word.ends_with(b"]"))?,
        _ => 1,
    };
    let (control, rest) = rest.split_at(n_control);
    let (control, module) = (control.join(&b' '), *rest.first()?);
    let is_text = control.eq_ignore_ascii_case(b"include") && !module.starts_with(b"/");
    let (path, path64) = (path(module, b""), path(module, if is_text { b"" } else { b"64/" }));
    Some(bind(BINDINGS, [&service, &kind, &control, module, &path, &path64]))
}

/// Linux allows capitals, and a `-` before the type of a module that may be missing.
fn is_type(word: &[u8]) -> bool {
    let word = word.strip_prefix(b"-").unwrap_or(word);
    TYPES.iter().any(|kind| word.eq_ignore_ascii_case(kind))
}

/// Where a module is; `isa` is the directory for the program's word size, with its slash, or empty.
fn path(module: &[u8], isa: &[u8]) -> Vec<u8> {
    const ISA: &[u8] = b"/$ISA/";
    if !module.starts_with(b"/") {
        return [b"/usr/lib/security/", isa, module].concat();
    }
    match memchr::memmem::find(module, ISA) {
        Some(start) => [&module[..=start], isa, &module[start + ISA.len()..]].concat(),
        None => module.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn a_bare_module_is_in_the_directory_of_the_word_size() {
        check(
            "pam",
            "login\tauth requisite\t\tpam_authtok_get.so.1\n",
            &["login auth requisite pam_authtok_get.so.1 /usr/lib/security/pam_authtok_get.so.1 \
               /usr/lib/security/64/pam_authtok_get.so.1"],
        );
    }

    #[test]
    fn an_included_file_is_the_same_for_both_word_sizes() {
        let both = "/usr/lib/security/extra /usr/lib/security/extra";
        check("pam", "login auth include extra\n", &[&format!("login auth include extra {both}")]);
    }

    #[test]
    fn isa_in_a_path_stands_for_the_word_size() {
        check(
            "pam",
            "OTHER account required /opt/$ISA/pam_x.so.1 debug\nother account required /opt/pam_y.so\n",
            &[
                "other account required /opt/$ISA/pam_x.so.1 /opt/pam_x.so.1 /opt/64/pam_x.so.1",
                "other account required /opt/pam_y.so /opt/pam_y.so /opt/pam_y.so",
            ],
        );
    }

    #[test]
    fn files_of_pam_d_have_no_service() {
        let found =
            super::read(b"auth required pam_unix.so\n-session optional pam_systemd.so\nauth auth required x.so");
        let values = |name: &str| found.iter().map(|b| String::from_utf8(b[name].clone()).unwrap()).collect::<Vec<_>>();
        assert_eq!(values("service"), ["", "", "auth"]);
        assert_eq!(values("type"), ["auth", "session", "auth"]);
        assert_eq!(values("module"), ["pam_unix.so", "pam_systemd.so", "x.so"]);
    }

    #[test]
    fn controls_in_brackets_are_one_word() {
        let found = super::read(b"auth [success=1 default=ignore] pam_unix.so nullok\nauth [open pam_x.so\n");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["control"], b"[success=1 default=ignore]");
        assert_eq!(found[0]["module"], b"pam_unix.so");
    }

    #[test]
    fn comments_and_partial_lines_say_nothing() {
        check("pam", "# login auth required x\nlogin auth required\nlogin auth\n@include common-auth\nauth\n", &[]);
    }
}
