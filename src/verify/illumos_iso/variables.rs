//! The environment of the illumos loader, and how `$name` and `${name}` are replaced in what it is told.
//!
//! The replacement is that of `usr/src/boot/common/interp_parse.c`: it happens each time a command line is taken apart, so
//! a variable that `set` gives is expanded at once, and the name of a module only when it is loaded. A variable that
//! nobody has set is nothing, which turns `kernel/${ISADIR}/unix` into `kernel//unix` on a 32-bit processor.

use std::collections::BTreeMap;

/// Name to value.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment {
    values: BTreeMap<String, String>,
}

/// A value as it is written in a configuration, without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub text: String,
    /// It was in single quotes: nothing in it is replaced.
    pub literal: bool,
}

impl Environment {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub(super) fn set(&mut self, name: &str, value: &Value) {
        let value = self.expand(value);
        self.values.insert(name.to_owned(), value);
    }

    pub(super) fn unset(&mut self, name: &str) {
        self.values.remove(name);
    }

    /// Whether a variable says yes, as the loader's `compare-insensitive` has it.
    pub(super) fn is_yes(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("yes"))
    }

    /// Replaces the variables in a value.
    pub(super) fn expand(&self, value: &Value) -> String {
        if value.literal { value.text.clone() } else { expand(&value.text, |name| self.get(name)) }
    }
}

impl Value {
    pub(super) fn new(text: &str) -> Value {
        Value { text: text.to_owned(), literal: false }
    }
}

/// How many bytes replaced variables may come to. No loader has as much room for a line, and a variable that is set to
/// itself twice doubles each time.
const MOST: usize = 4096;

/// Replaces `$name` and `${name}` by what `lookup` gives, or by nothing; also by nothing what would be too much.
pub(super) fn expand<'v>(text: &str, lookup: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let most = text.len() + MOST;
    let value =
        |name: &str, length: usize| lookup(name).filter(|value| length + value.len() <= most).unwrap_or_default();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        expanded.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        let braced = rest.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        if let Some((name, after)) = braced {
            expanded.push_str(value(name, expanded.len()));
            rest = after;
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        if end == 0 {
            expanded.push('$');
        } else {
            expanded.push_str(value(&rest[..end], expanded.len()));
            rest = &rest[end..];
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_when_a_command_is_taken_apart() {
        let mut environment = Environment::default();
        environment.set("ISADIR", &Value::new("amd64"));
        environment.set("kernel", &Value::new("i86pc/kernel/${ISADIR}"));
        environment.unset("ISADIR");
        assert_eq!(environment.get("kernel"), Some("i86pc/kernel/amd64"));
        let check = |text: &str, expected: &str| {
            assert_eq!(environment.expand(&Value::new(text)), expected, "{text}");
        };
        check("/platform/${kernel}/unix", "/platform/i86pc/kernel/amd64/unix");
        check("/platform/$kernel/unix", "/platform/i86pc/kernel/amd64/unix");
        check("kernel/${ISADIR}/unix", "kernel//unix");
        check("$", "$");
        check("${kernel", "${kernel");
        check("a$ b", "a$ b");
        for _ in 0..64 {
            environment.set("twice", &Value::new("x$twice$twice"));
        }
        assert!((2000..=4200).contains(&environment.get("twice").unwrap().len()));
        let literal = Value { text: "${kernel}".to_owned(), literal: true };
        assert_eq!(environment.expand(&literal), "${kernel}");
    }
}
