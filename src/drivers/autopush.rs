//! `/etc/iu.ap`: the STREAMS modules that are pushed on a device when it is opened (autopush(8)).
//!
//! Without `ldterm` on the console there is no line editing and no interrupt key.

use super::table::fields;

/// `driver minor lastminor module …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autopush {
    /// A driver's name, or its major number in digits.
    pub driver: String,
    /// The first minor number; -1 stands for all.
    pub minor: i64,
    /// The last of a range; 0 where there is none.
    pub last_minor: i64,
    /// In the order they are pushed, without the `[anchor]` mark.
    pub modules: Vec<String>,
}

pub(super) fn read_line(line: &str) -> Result<Option<Autopush>, String> {
    let fields = fields(line);
    let [driver, minor, last_minor, modules @ ..] = &fields[..] else {
        return if fields.is_empty() { Ok(None) } else { Err("fewer than four fields".to_owned()) };
    };
    let number = |text: &str| text.parse::<i64>().map_err(|_| format!("`{text}` is no minor number"));
    let (minor, last_minor) = (number(minor)?, number(last_minor)?);
    let modules: Vec<String> =
        modules.iter().filter(|module| **module != "[anchor]").map(|module| (*module).to_owned()).collect();
    if modules.is_empty() {
        return Err(format!("no module for `{driver}`"));
    }
    Ok(Some(Autopush { driver: (*driver).to_owned(), minor, last_minor, modules }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_range_of_minors_and_modules() {
        let entry = read_line("asy\t-1 0  ldterm [anchor] ttcompat # serial").unwrap().unwrap();
        assert_eq!((&entry.driver[..], entry.minor, entry.last_minor), ("asy", -1, 0));
        assert_eq!(entry.modules, ["ldterm", "ttcompat"]);
        assert_eq!(read_line("# asy 0").unwrap(), None);
    }

    #[test]
    fn incomplete_lines_are_named() {
        assert_eq!(read_line("asy 0").unwrap_err(), "fewer than four fields");
        assert_eq!(read_line("asy all 0 ldterm").unwrap_err(), "`all` is no minor number");
        assert_eq!(read_line("asy 0 0 [anchor]").unwrap_err(), "no module for `asy`");
        assert_eq!(read_line("asy 0 0").unwrap_err(), "no module for `asy`");
    }
}
