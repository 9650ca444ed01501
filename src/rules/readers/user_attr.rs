//! `user_attr`(5) to one map per value: which profiles, roles and privileges a user has.

use super::{bind, joined_lines};
use crate::rules::pattern::Bindings;

/// A list such as `profiles=A,B` gives one map for each `value`.
pub(super) const BINDINGS: &[&str] = &["user", "key", "value"];

pub(super) fn read(text: &[u8]) -> Vec<Bindings> {
    joined_lines(text).iter().flat_map(|line| read_line(line)).collect()
}

/// `user:qualifier:reserved:reserved:key=value;key=value`.
fn read_line(line: &[u8]) -> Vec<Bindings> {
    let line = line.split(|&byte| byte == b'#').next().unwrap_or_default();
    let mut fields = line.splitn(5, |&byte| byte == b':');
    let (Some(user), Some(attributes)) = (fields.next().map(<[u8]>::trim_ascii), fields.nth(3)) else {
        return Vec::new();
    };
    let pairs = attributes.split(|&byte| byte == b';').filter_map(|pair| {
        let equals = memchr::memchr(b'=', pair)?;
        Some((pair[..equals].trim_ascii(), &pair[equals + 1..]))
    });
    let values = pairs.flat_map(|(key, values)| {
        values
            .split(|&byte| byte == b',')
            .map(<[u8]>::trim_ascii)
            .filter(|value| !value.is_empty())
            .map(move |v| (key, v))
    });
    values.map(|(key, value)| bind(BINDINGS, [user, key, value])).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn lists_give_one_map_for_each_value() {
        check(
            "user_attr",
            "# x\nroot::::auths=solaris.*,solaris.grant;profiles=Web Console Management,All;lock_after_retries=no\n",
            &[
                "root auths solaris.*",
                "root auths solaris.grant",
                "root profiles Web Console Management",
                "root profiles All",
                "root lock_after_retries no",
            ],
        );
    }

    #[test]
    fn lines_go_on_after_a_backslash() {
        check("user_attr", "adm::::type=role;\\\nroles= ,a\n", &["adm type role", "adm roles a"]);
    }

    #[test]
    fn lines_without_attributes_say_nothing() {
        check("user_attr", "root:::\nroot::::\nroot\n::::;=;\n", &[]);
    }
}
