//! Finds the drivers that a `postinstall` script would add, without running it.
//!
//! SVR4 packages have no driver actions: their scripts call add_drv(8), with `$CMD` or by name and options that are the
//! same in every package. Words are read as a shell would, variables as far as the script sets them to plain text.

use crate::fetch::illumos::DriverAction;
use std::collections::HashMap;

/// What a script holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub drivers: Vec<DriverAction>,
    /// It does something besides adding drivers.
    pub does_more: bool,
}

/// Words that only decide which options add_drv gets.
const CONTROL: [&str; 8] = ["if", "then", "else", "elif", "fi", "exit", "[", ":"];

/// Reads a script.
pub fn drivers(script: &str) -> Found {
    let mut found = Found::default();
    let mut variables: HashMap<String, String> = HashMap::new();
    let joined = script.replace("\\\n", " ");
    for line in joined.lines() {
        let words = words(line, &variables);
        let Some(first) = words.first() else { continue };
        if let Some((name, value)) = assignment(first)
            && words.len() == 1
        {
            variables.insert(name.to_owned(), value.to_owned());
        } else if first.rsplit('/').next() == Some("add_drv") {
            match driver(&words[1..]) {
                Some(driver) => found.drivers.push(driver),
                None => found.does_more = true,
            }
        } else if !CONTROL.contains(&first.as_str()) {
            found.does_more = true;
        }
    }
    found
}

fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_name.then_some((name, value))
}

/// The words of a line, quotes removed and known variables replaced; unknown ones become nothing. A comment ends it.
fn words(line: &str, variables: &HashMap<String, String>) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() || c == ';' => words.extend(word.take().filter(|word| !word.is_empty())),
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(rest.next()),
            (None | Some('"'), '$') => {
                let braced = rest.next_if_eq(&'{').is_some();
                let mut name = String::new();
                while let Some(c) = rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    name.push(c);
                }
                if braced {
                    rest.next_if_eq(&'}');
                }
                let value = variables.get(&name).map_or("", String::as_str);
                if quote.is_some() {
                    word.get_or_insert_default().push_str(value);
                    continue;
                }
                // Outside of quotes a value may be several words.
                for c in value.chars() {
                    match c.is_whitespace() {
                        true => words.extend(word.take().filter(|word| !word.is_empty())),
                        false => word.get_or_insert_default().push(c),
                    }
                }
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word.filter(|word| !word.is_empty()));
    words
}

/// Reads the arguments of add_drv(8); `None` for what it would not take.
fn driver(arguments: &[String]) -> Option<DriverAction> {
    let mut driver = DriverAction::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "-n" | "-f" | "-u" | "-v" => {}
            "-b" => {
                // `BASEDIR` is not known to the script alone, so its value may be missing.
                rest.as_slice().first().filter(|next| next.starts_with('/')).and_then(|_| rest.next());
            }
            "-c" => driver.classes.extend(rest.next()?.split_whitespace().map(str::to_owned)),
            "-i" => {
                driver.aliases.extend(rest.next()?.split_whitespace().map(|alias| alias.trim_matches('"').to_owned()))
            }
            "-m" => driver.permissions.extend(permissions(rest.next()?)),
            "-p" => driver.policies.push(rest.next()?.clone()),
            "-P" => driver.privileges.extend(rest.next()?.split(',').map(str::to_owned)),
            name if name.starts_with('-') => return None,
            name => driver.name = name.to_owned(),
        }
    }
    (!driver.name.is_empty()).then_some(driver)
}

/// `* 0666 root sys,a,cu 0600 uucp uucp` → both. Minor names may hold commas too, so fields are counted.
fn permissions(list: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut fields: Vec<&str> = Vec::new();
    for field in list.split_whitespace() {
        if fields.len() < 3 {
            fields.push(field);
            continue;
        }
        let (group, next) = field.split_once(',').unwrap_or((field, ""));
        fields.push(group);
        all.push(fields.join(" "));
        fields.clear();
        fields.extend(Some(next).filter(|next| !next.is_empty()));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = r#"#!/sbin/sh
# made by a tool
CMD=/usr/sbin/add_drv
if [ "${BASEDIR}" = "/" ]; then
    BFLAGS=""
else
    BFLAGS="-b ${BASEDIR}"
fi
${CMD} ${BFLAGS} -m '* 0666 root sys','a,cu 0600 uucp uucp' -i '"pci8086,1000" "pci8086,1001"' -c net e1000g
${CMD} ${BFLAGS} -p 'ctl read_priv_set=none' -P sys_x \
   zfs
exit 0
"#;

    #[test]
    fn the_drivers_of_a_generated_script_are_found() {
        let found = drivers(SCRIPT);
        assert!(!found.does_more);
        let e1000g = DriverAction {
            name: "e1000g".to_owned(),
            aliases: vec!["pci8086,1000".to_owned(), "pci8086,1001".to_owned()],
            classes: vec!["net".to_owned()],
            permissions: vec!["* 0666 root sys".to_owned(), "a,cu 0600 uucp uucp".to_owned()],
            ..DriverAction::default()
        };
        let zfs = DriverAction {
            name: "zfs".to_owned(),
            policies: vec!["ctl read_priv_set=none".to_owned()],
            privileges: vec!["sys_x".to_owned()],
            ..DriverAction::default()
        };
        assert_eq!(found.drivers, [e1000g, zfs]);
    }

    #[test]
    fn other_commands_are_noticed_and_nothing_panics() {
        assert!(drivers("rm -rf /tmp/x").does_more);
        assert!(drivers("add_drv -z x").does_more);
        assert!(drivers("add_drv -m").does_more);
        for odd in ["add_drv", "'", "\"$", "${", "\\", "add_drv -m 'a b' x", "=", "add_drv -b"] {
            drivers(odd);
        }
        assert_eq!(drivers("# add_drv x\n"), Found::default());
    }
}
