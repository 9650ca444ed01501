//! The name of a unit to what follows from it: the template that it is an instance of, the names that its drop-ins may
//! stand under, and its specifiers (systemd.unit(5), "Description", "Specifiers", "String Escaping for Inclusion in
//! Unit Names").
//!
//! The surprise: most of what a unit says about itself is in its name, so that one file has as many meanings as it has
//! instances.

use crate::path::RootPath;

/// `UNIT_NAME_MAX` of systemd, in bytes.
const LONGEST: usize = 255;

const KINDS: [&[u8]; 11] = [
    b"service",
    b"socket",
    b"target",
    b"device",
    b"mount",
    b"automount",
    b"swap",
    b"timer",
    b"path",
    b"slice",
    b"scope",
];

/// `prefix.kind`, `prefix@instance.kind`, or of a template `prefix@.kind`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct UnitName {
    pub prefix: Vec<u8>,
    /// Empty for a template.
    pub instance: Option<Vec<u8>>,
    pub kind: Vec<u8>,
}

impl UnitName {
    /// `None` for what is no name of a unit.
    pub fn new(name: &[u8]) -> Option<UnitName> {
        let (stem, kind) = name.split_at(memchr::memrchr(b'.', name)?);
        let kind = &kind[1..];
        let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(byte);
        if name.len() > LONGEST || !KINDS.contains(&kind) || !stem.iter().all(is_of_name) {
            return None;
        }
        let (prefix, instance) = match memchr::memchr(b'@', stem) {
            Some(at) => (&stem[..at], Some(stem[at + 1..].to_vec())),
            None => (stem, None),
        };
        (!prefix.is_empty()).then(|| UnitName { prefix: prefix.to_vec(), instance, kind: kind.to_vec() })
    }

    pub fn text(&self) -> Vec<u8> {
        [&self.stem()[..], b".", &self.kind].concat()
    }

    /// The name without its kind.
    fn stem(&self) -> Vec<u8> {
        match &self.instance {
            Some(instance) => [&self.prefix[..], b"@", instance].concat(),
            None => self.prefix.clone(),
        }
    }

    pub fn is_template(&self) -> bool {
        self.instance.as_ref().is_some_and(Vec::is_empty)
    }

    /// Of an instance the template.
    pub fn template(&self) -> Option<UnitName> {
        let is_instance = self.instance.as_ref().is_some_and(|instance| !instance.is_empty());
        is_instance.then(|| UnitName { instance: Some(Vec::new()), ..self.clone() })
    }

    /// The unit of another kind that has the name otherwise.
    pub fn of_kind(&self, kind: &[u8]) -> UnitName {
        UnitName { kind: kind.to_vec(), ..self.clone() }
    }

    /// What this name is another one of, when it is a link to the file of that name.
    pub fn alias_of(&self, mut file: UnitName) -> UnitName {
        if file.is_template() && self.instance.is_some() {
            file.instance.clone_from(&self.instance);
        }
        file
    }

    /// The names whose directories with `.d`, `.wants` and `.requires` behind them are the unit's: its own, of an
    /// instance its template's, those cut off behind each `-` of the prefix, with the instance and without, and its kind.
    pub fn of_directories(&self) -> Vec<Vec<u8>> {
        let with_template = |name: UnitName| {
            let template = name.template();
            std::iter::once(name).chain(template)
        };
        let cut_off = memchr::memrchr_iter(b'-', &self.prefix).map(|dash| &self.prefix[..=dash]);
        let cut_off = cut_off.filter(|prefix| prefix.len() < self.prefix.len()).flat_map(|prefix| {
            let name = UnitName { prefix: prefix.to_vec(), ..self.clone() };
            let plain = name.instance.is_some().then(|| UnitName { instance: None, ..name.clone() });
            with_template(name).chain(plain)
        });
        let names = with_template(self.clone()).chain(cut_off).map(|name| name.text());
        names.chain([self.kind.clone()]).collect()
    }

    /// What `%letter` stands for in a unit of the system that is read from `file`; `None` where that depends on the
    /// machine, or on the instance of a template.
    pub fn specifier(&self, letter: u8, file: &RootPath) -> Option<Vec<u8>> {
        let instance = || self.instance.as_deref().unwrap_or_default();
        let last = || self.prefix.rsplit(|&byte| byte == b'-').next().unwrap_or_default();
        if self.is_template() && b"niINf".contains(&letter) {
            return None;
        }
        Some(match letter {
            b'%' => b"%".to_vec(),
            b'n' => self.text(),
            b'N' => self.stem(),
            b'i' => instance().to_vec(),
            b'I' => unescaped(instance()),
            b'p' => self.prefix.clone(),
            b'P' => unescaped(&self.prefix),
            b'j' => last().to_vec(),
            b'J' => unescaped(last()),
            b'f' => unescaped_path(self.instance.as_deref().unwrap_or(&self.prefix)),
            b'y' => file.as_bytes().to_vec(),
            b'Y' => file.parent()?.as_bytes().to_vec(),
            b'C' => b"/var/cache".to_vec(),
            b'E' => b"/etc".to_vec(),
            b'L' => b"/var/log".to_vec(),
            b'S' => b"/var/lib".to_vec(),
            b't' => b"/run".to_vec(),
            b'T' => b"/tmp".to_vec(),
            b'V' => b"/var/tmp".to_vec(),
            // The service manager is root's.
            b'h' => b"/root".to_vec(),
            b'u' | b'g' => b"root".to_vec(),
            b'U' | b'G' => b"0".to_vec(),
            _ => return None,
        })
    }
}

/// A name with its `-` as `/` and its `\xNN` as the bytes.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'-', _) => text.push(b'/'),
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digits = [*high, *low];
                match std::str::from_utf8(&digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                    Some(byte) => {
                        text.push(byte);
                        rest = after;
                    }
                    None => text.push(b'\\'),
                }
            }
            _ => text.push(byte),
        }
    }
    text
}

/// A name that stands for an absolute path; that of `/` is `-`.
fn unescaped_path(name: &[u8]) -> Vec<u8> {
    if name == b"-" { b"/".to_vec() } else { [b"/", &unescaped(name)[..]].concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> UnitName {
        UnitName::new(text.as_bytes()).unwrap()
    }

    #[track_caller]
    fn check_specifiers(unit: &str, letters: &str, expected: &str) {
        let file = RootPath::new("/etc/systemd/system/a@.service").unwrap();
        let values = letters.bytes().map(|letter| match name(unit).specifier(letter, &file) {
            Some(value) => String::from_utf8(value).unwrap(),
            None => "?".to_owned(),
        });
        assert_eq!(values.collect::<Vec<_>>().join(" "), expected, "{unit}");
    }

    #[test]
    fn names_are_taken_apart_and_put_together() {
        for text in ["a.service", "a@.socket", "a@b@c.d.mount", r"dev-disk-by\x2duuid-1.device"] {
            assert_eq!(name(text).text(), text.as_bytes());
        }
        for wrong in ["", ".", "a", "@b.service", ".service", "a.conf", "a b.service", "a/b.service"] {
            assert_eq!(UnitName::new(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(UnitName::new(&[&[b'a'; 248][..], b".service"].concat()), None);
        assert_eq!(name("a@b.service").template(), Some(name("a@.service")));
        assert_eq!(name("a@.service").template(), None);
    }

    #[test]
    fn drop_ins_stand_under_the_name_its_template_its_prefixes_and_its_kind() {
        let names = |text| {
            name(text)
                .of_directories()
                .iter()
                .map(|name| String::from_utf8_lossy(name).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(names("x-y-z.service"), ["x-y-z.service", "x-y-.service", "x-.service", "service"]);
        let all = ["x-y@i.service", "x-y@.service", "x-@i.service", "x-@.service", "x-.service", "service"];
        assert_eq!(names("x-y@i.service"), all);
        assert_eq!(names("a@b.socket"), ["a@b.socket", "a@.socket", "socket"]);
        assert_eq!(names("a-.slice"), ["a-.slice", "slice"]);
    }

    #[test]
    fn specifiers_are_parts_of_the_name_and_directories_of_the_system() {
        check_specifiers(
            r"a-b@dev-sd\x2da.service",
            "nNiIpPjf%",
            r"a-b@dev-sd\x2da.service a-b@dev-sd\x2da dev-sd\x2da dev/sd-a a-b a/b b /dev/sd-a %",
        );
        check_specifiers("var-lib.mount", "pPjJfi", "var-lib var/lib lib lib /var/lib ");
        check_specifiers(
            "a.service",
            "ECLStTVhuUyY",
            "/etc /var/cache /var/log /var/lib /run /tmp /var/tmp /root root 0 /etc/systemd/system/a@.service /etc/systemd/system",
        );
        check_specifiers("a@.service", "pijmbHvz", "a ? a ? ? ? ? ?");
        check_specifiers(r"a@\x.service", "I", r"\x");
        check_specifiers("a@-.service", "f", "/");
    }
}
