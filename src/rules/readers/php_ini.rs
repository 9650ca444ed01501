//! A settings file of PHP to one map per extension that it loads ("Runtime Configuration" in the manual).

use super::bind;
use crate::rules::pattern::Bindings;

/// `kind` is `extension` or `zend_extension`; `file` is the name in the extension directory, with its suffix.
pub(super) const BINDINGS: &[&str] = &["kind", "file"];

pub(super) fn read(text: &[u8]) -> Vec<Bindings> {
    text.split(|&byte| byte == b'\n').filter_map(read_line).collect()
}

fn read_line(line: &[u8]) -> Option<Bindings> {
    let line = line.split(|&byte| byte == b';').next().unwrap_or_default();
    let equals = memchr::memchr(b'=', line)?;
    let (key, value) = (line[..equals].trim_ascii(), line[equals + 1..].trim_ascii());
    if !matches!(key, b"extension" | b"zend_extension") {
        return None;
    }
    let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
    let suffix: &[u8] = if value.ends_with(b".so") { b"" } else { b".so" };
    (!value.is_empty()).then(|| bind(BINDINGS, [key, &[value, suffix].concat()]))
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn extensions_have_a_suffix_whether_or_not_it_is_written() {
        check(
            "php-ini",
            "; priority=20\nextension=ftp\nzend_extension = \"opcache.so\" ; fast\n",
            &["extension ftp.so", "zend_extension opcache.so"],
        );
    }

    #[test]
    fn other_settings_and_comments_say_nothing() {
        check("php-ini", ";extension=a\n[extension]\nextension=\nextension_dir=/x\n", &[]);
    }
}
