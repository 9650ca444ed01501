//! The control fields of a package: `Name: value` lines, as in a package and as in dpkg's status file (deb822(5)).

/// What a package says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    pub package: String,
    pub version: String,
    pub architecture: String,
    /// Names of the packages whose files this one may take over (`Replaces`), without their version conditions.
    pub replaces: Vec<String>,
    /// Whether several architectures can be installed side by side; dpkg then names its files `PACKAGE:ARCH`.
    pub multi_arch_same: bool,
    /// All fields as in the package, each line ended by a newline, no empty lines.
    pub text: String,
}

impl Control {
    /// Reads the `control` member.
    ///
    /// # Errors
    /// Words for what is missing or malformed.
    pub fn parse(bytes: &[u8]) -> Result<Control, String> {
        let lossy = String::from_utf8_lossy(bytes);
        let text: String =
            lossy.lines().filter(|line| !line.trim().is_empty()).flat_map(|line| [line.trim_end(), "\n"]).collect();
        let required = |name: &str| {
            let value = field(&text, name).unwrap_or_default();
            // The values become file names.
            let plain = |c: char| c.is_ascii_alphanumeric() || "+-.:~_".contains(c);
            match value.chars().next() {
                None => Err(format!("the field `{name}` is missing")),
                Some(first) if first.is_ascii_alphanumeric() && value.chars().all(plain) => Ok(value),
                Some(_) => Err(format!("the field `{name}` is not valid: `{}`", value.escape_debug())),
            }
        };
        let package = required("Package")?;
        if package.contains([':', '_']) {
            return Err(format!("the field `Package` is not valid: `{package}`"));
        }
        let version = required("Version")?;
        let architecture = required("Architecture")?;
        let replaces = field(&text, "Replaces").unwrap_or_default().split(',').filter_map(package_name).collect();
        let multi_arch_same = field(&text, "Multi-Arch").is_some_and(|value| value == "same");
        Ok(Control { package, version, architecture, replaces, multi_arch_same, text })
    }

    /// How dpkg names the files about this package below `info/`.
    pub fn info_name(&self) -> String {
        if self.multi_arch_same { format!("{}:{}", self.package, self.architecture) } else { self.package.clone() }
    }
}

/// The value of a field, its continuation lines joined; field names have no case.
fn field(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines().skip_while(|line| {
        !line.split_once(':').is_some_and(|(key, _)| !key.starts_with([' ', '\t']) && key.eq_ignore_ascii_case(name))
    });
    let (_, first) = lines.next()?.split_once(':')?;
    let mut value = first.trim().to_owned();
    for more in lines.take_while(|line| line.starts_with([' ', '\t'])) {
        value.push('\n');
        value.push_str(more.trim());
    }
    Some(value)
}

/// `libfoo:any (<< 1.2)` → `libfoo`.
fn package_name(relation: &str) -> Option<String> {
    let name = relation.trim().split([' ', '\t', '\n', '(', ':', '[']).next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_whatever_their_case_and_folding() {
        let control = Control::parse(
            b"package: libfoo\nVERSION: 1:2.0~rc1-3\nArchitecture: amd64\nReplaces: a (<< 1.2),\n b:any,\n\tc\nMulti-Arch: same\nDescription: x\n Package: y\n .\n\n",
        )
        .unwrap();
        assert_eq!((control.package.as_str(), control.version.as_str()), ("libfoo", "1:2.0~rc1-3"));
        assert_eq!(control.replaces, ["a", "b", "c"]);
        assert_eq!(control.info_name(), "libfoo:amd64");
        assert!(control.text.ends_with(" .\n"));
    }

    #[test]
    fn names_that_could_be_paths_are_refused() {
        for package in ["../x", ".x", "a/b", "", "a b", "a:b"] {
            let text = format!("Package: {package}\nVersion: 1\nArchitecture: all\n");
            assert!(Control::parse(text.as_bytes()).unwrap_err().contains("`Package`"), "{package}");
        }
        assert!(Control::parse(b"Package: a\nArchitecture: all\n").unwrap_err().contains("`Version` is missing"));
        assert!(Control::parse(b"Package: a\nVersion: 1/../2\nArchitecture: all\n").is_err());
    }
}
