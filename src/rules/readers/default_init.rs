//! Files of `/etc/default`, above all `/etc/default/init`, to one map per variable: `TZ` and `LANG` name files under
//! `/usr/share/lib/zoneinfo` and `/usr/lib/locale`.

use super::bind;
use crate::rules::pattern::Bindings;

/// `value` is without the quotes around it.
pub(super) const BINDINGS: &[&str] = &["key", "value"];

pub(super) fn read(text: &[u8]) -> Vec<Bindings> {
    text.split(|&byte| byte == b'\n').filter_map(read_line).collect()
}

fn read_line(line: &[u8]) -> Option<Bindings> {
    let line = line.trim_ascii();
    let equals = memchr::memchr(b'=', line)?;
    let key = &line[..equals];
    if key.is_empty() || line.starts_with(b"#") || key.iter().any(u8::is_ascii_whitespace) {
        return None;
    }
    Some(bind(BINDINGS, [key, unquoted(line[equals + 1..].trim_ascii())]))
}

/// init takes a value with its quotes off (usr/src/cmd/init/init.c, `init_env`).
fn unquoted(value: &[u8]) -> &[u8] {
    let within = |quote: &[u8]| value.strip_prefix(quote)?.strip_suffix(quote);
    within(b"\"").or_else(|| within(b"'")).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn variables_lose_their_quotes() {
        check(
            "default-init",
            "# TZ=no\nTZ=Europe/Berlin\nCMASK=022\nLANG=\"de_DE.UTF-8\"\nLC_ALL=''\nA='\n",
            &["TZ Europe/Berlin", "CMASK 022", "LANG de_DE.UTF-8", "LC_ALL ", "A '"],
        );
    }

    #[test]
    fn other_lines_say_nothing() {
        check("default-init", "TZ\n=x\nset TZ=x\n\n", &[]);
    }
}
