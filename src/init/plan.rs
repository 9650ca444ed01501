//! The text of `/init.plan`: bytes in, directives out. The init and the library share this file.
//!
//! `startup.rs` describes the format and writes it. Words are decoded where they stand and end with a NUL byte in the
//! place of their separator, because the init has no heap: what the kernel is given points into the plan itself.

use core::ffi::CStr;

/// Where the plan is in the image.
pub const PLAN_PATH: &CStr = c"/init.plan";

/// One line of the plan.
#[derive(Debug)]
pub enum Directive<'a> {
    /// `environment NAME=VALUE...`: variables of every command that follows.
    Environment(Words<'a>),
    /// `with NAME=VALUE...`: variables of the next command only.
    With(Words<'a>),
    /// `module PATH`: a kernel module to load.
    Module(&'a CStr),
    /// `network INTERFACE ADDRESS/PREFIX [GATEWAY]`.
    Network(Network<'a>),
    /// `run PROGRAM ARGUMENT...`: the next line has to wait until the program ends.
    Run(Words<'a>),
    /// `background PROGRAM ARGUMENT...`: the next line follows at once.
    Background(Words<'a>),
}

/// A static IPv4 address for one interface.
#[derive(Debug, PartialEq, Eq)]
pub struct Network<'a> {
    pub interface: &'a CStr,
    pub address: [u8; 4],
    /// Length of the network's prefix in bits, 1 to 32.
    pub prefix: u8,
    pub gateway: Option<[u8; 4]>,
}

/// What is wrong with a line of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    UnknownDirective,
    TooFewWords,
    TooManyWords,
    EmptyWord,
    Escape,
    Nul,
    Address,
    /// The last line has no newline: the file was cut short.
    Truncated,
}

impl Problem {
    pub fn text(self) -> &'static str {
        match self {
            Problem::UnknownDirective => "unknown directive",
            Problem::TooFewWords => "too few words",
            Problem::TooManyWords => "too many words",
            Problem::EmptyWord => "empty word, which is written \\e",
            Problem::Escape => "a backslash must be followed by \\ or xNN",
            Problem::Nul => "NUL byte",
            Problem::Address => "not an IPv4 address",
            Problem::Truncated => "the line is cut short",
        }
    }
}

/// The directives of a plan, each with its line number from 1; blank lines and lines that begin with `#` are passed over.
pub struct Lines<'a> {
    rest: &'a mut [u8],
    number: u32,
}

impl<'a> Lines<'a> {
    pub fn new(plan: &'a mut [u8]) -> Lines<'a> {
        Lines { rest: plan, number: 0 }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (u32, Result<Directive<'a>, Problem>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = core::mem::take(&mut self.rest);
            if rest.is_empty() {
                return None;
            }
            self.number = self.number.saturating_add(1);
            let Some(newline) = rest.iter().position(|byte| *byte == b'\n') else {
                return Some((self.number, Err(Problem::Truncated)));
            };
            let (line, rest) = rest.split_at_mut(newline + 1);
            self.rest = rest;
            if !matches!(line, [b'\n'] | [b'#', ..]) {
                return Some((self.number, directive(Words { rest: line })));
            }
        }
    }
}

fn directive(mut words: Words<'_>) -> Result<Directive<'_>, Problem> {
    let keyword = words.required()?;
    let directive = match keyword.to_bytes() {
        b"module" => {
            let path = words.required()?;
            words.finished()?;
            return Ok(Directive::Module(path));
        }
        b"network" => return network(words).map(Directive::Network),
        b"environment" => Directive::Environment,
        b"with" => Directive::With,
        b"run" => Directive::Run,
        b"background" => Directive::Background,
        _ => return Err(Problem::UnknownDirective),
    };
    if words.rest.is_empty() {
        return Err(Problem::TooFewWords);
    }
    Ok(directive(words))
}

fn network(mut words: Words<'_>) -> Result<Network<'_>, Problem> {
    let interface = words.required()?;
    let (address, prefix) = parse_address_and_prefix(words.required()?.to_bytes()).ok_or(Problem::Address)?;
    let gateway = match words.next() {
        None => None,
        Some(word) => Some(parse_address(word?.to_bytes()).ok_or(Problem::Address)?),
    };
    words.finished()?;
    Ok(Network { interface, address, prefix, gateway })
}

/// The words of one line, decoded as they are taken.
#[derive(Debug)]
pub struct Words<'a> {
    /// Empty, or ends with a newline.
    rest: &'a mut [u8],
}

impl<'a> Words<'a> {
    fn required(&mut self) -> Result<&'a CStr, Problem> {
        self.next().unwrap_or(Err(Problem::TooFewWords))
    }

    fn finished(&self) -> Result<(), Problem> {
        if self.rest.is_empty() { Ok(()) } else { Err(Problem::TooManyWords) }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Result<&'a CStr, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = core::mem::take(&mut self.rest);
        let separator = rest.iter().position(|byte| matches!(byte, b' ' | b'\n'))?;
        let (word, rest) = rest.split_at_mut(separator + 1);
        self.rest = rest;
        Some(decode(word))
    }
}

/// Decodes a word in place; its last byte is the separator, which makes room for the NUL byte.
fn decode(word: &mut [u8]) -> Result<&CStr, Problem> {
    let length = word.len().saturating_sub(1);
    let mut written = 0;
    match &word[..length] {
        b"" => return Err(Problem::EmptyWord),
        b"\\e" => {}
        _ => {
            let mut read = 0;
            while read < length {
                let (byte, width) = match &word[read..length] {
                    [b'\\', b'\\', ..] => (b'\\', 2),
                    [b'\\', b'x', high, low, ..] => (hexadecimal(*high)? << 4 | hexadecimal(*low)?, 4),
                    [b'\\', ..] => return Err(Problem::Escape),
                    [byte, ..] => (*byte, 1),
                    [] => break,
                };
                word[written] = byte;
                written += 1;
                read += width;
            }
        }
    }
    word[written] = 0;
    CStr::from_bytes_with_nul(&word[..=written]).map_err(|_| Problem::Nul)
}

fn hexadecimal(digit: u8) -> Result<u8, Problem> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(Problem::Escape),
    }
}

/// Reads `10.0.2.15/24`; the prefix is 1 to 32.
pub fn parse_address_and_prefix(text: &[u8]) -> Option<([u8; 4], u8)> {
    let slash = text.iter().position(|byte| *byte == b'/')?;
    let prefix = parse_number(&text[slash + 1..])?;
    Some((parse_address(&text[..slash])?, prefix)).filter(|_| (1..=32).contains(&prefix))
}

/// Reads a dotted quad: four decimal numbers without leading zeros, which some readers take for octal.
pub fn parse_address(text: &[u8]) -> Option<[u8; 4]> {
    let mut parts = text.split(|byte| *byte == b'.');
    let mut address = [0; 4];
    for part in &mut address {
        *part = parse_number(parts.next()?)?;
    }
    parts.next().is_none().then_some(address)
}

fn parse_number(digits: &[u8]) -> Option<u8> {
    if digits.is_empty() || (digits.len() > 1 && digits[0] == b'0') {
        return None;
    }
    digits.iter().try_fold(0u8, |value, digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(digit - b'0'),
        _ => None,
    })
}

/// The mask of a network: the first `prefix` bits are one.
pub fn netmask(prefix: u8) -> [u8; 4] {
    u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, prop_oneof};

    /// The plan's lines as debug text, words decoded; `NUMBER: PROBLEM` for a bad one.
    fn read(plan: &[u8]) -> Vec<String> {
        let mut plan = plan.to_vec();
        let words = |words: Words<'_>| -> Result<String, Problem> {
            Ok(words.map(|word| Ok(format!("{:?}", word?))).collect::<Result<Vec<_>, Problem>>()?.join(" "))
        };
        Lines::new(&mut plan)
            .map(|(number, line)| {
                let text = line.and_then(|directive| {
                    Ok(match directive {
                        Directive::Environment(rest) => format!("environment {}", words(rest)?),
                        Directive::With(rest) => format!("with {}", words(rest)?),
                        Directive::Module(path) => format!("module {path:?}"),
                        Directive::Network(network) => format!("{network:?}"),
                        Directive::Run(rest) => format!("run {}", words(rest)?),
                        Directive::Background(rest) => format!("background {}", words(rest)?),
                    })
                });
                text.unwrap_or_else(|problem| format!("{number}: {}", problem.text()))
            })
            .collect()
    }

    #[test]
    fn words_are_decoded_where_they_stand() {
        assert_eq!(
            read(b"# a comment\n\nrun /a\\x20b \\e \\\\e caf\xc3\xa9 \\xff\nbackground x\nmodule /m.ko\n"),
            [r#"run "/a b" "" "\\e" "café" "\xff""#, r#"background "x""#, r#"module "/m.ko""#]
        );
        assert_eq!(read(b"environment A=1 B=\nwith C=2\n"), [r#"environment "A=1" "B=""#, r#"with "C=2""#]);
    }

    #[test]
    fn a_bad_line_is_told_with_its_number_and_the_next_one_is_read() {
        let cases: [(&[u8], &str); 14] = [
            (b"boot /x\n", "unknown directive"),
            (b"run\n", "too few words"),
            (b"module\n", "too few words"),
            (b"module /a /b\n", "too many words"),
            (b"run a  b\n", "empty word, which is written \\e"),
            (b"run a \n", "empty word, which is written \\e"),
            (b"run \\n\n", "a backslash must be followed by \\ or xNN"),
            (b"run \\x4\n", "a backslash must be followed by \\ or xNN"),
            (b"run \\x4G\n", "a backslash must be followed by \\ or xNN"),
            (b"run a\\x00\n", "NUL byte"),
            (b"run a\0b\n", "NUL byte"),
            (b"network eth0 10.0.2.15\n", "not an IPv4 address"),
            (b"network eth0 10.0.2.15/24 10.0.2\n", "not an IPv4 address"),
            (b"network eth0 10.0.2.15/24 10.0.2.2 x\n", "too many words"),
        ];
        for (line, problem) in cases {
            let plan = [b"# first\n", line, b"run ok\n"].concat();
            assert_eq!(read(&plan), [format!("2: {problem}"), "run \"ok\"".to_owned()], "{:?}", line.escape_ascii());
        }
        assert_eq!(read(b"run a\nrun b"), ["run \"a\"", "2: the line is cut short"]);
    }

    /// A piece of a plan: what the parser looks for, or any byte.
    fn part() -> impl Strategy<Value = Vec<u8>> {
        let known = ["run ", "with ", "module ", "network ", "eth0 ", "1.2.3.4/5", " ", "\\", "\\x4", "\\e", "#", "\n"];
        prop_oneof![
            proptest::sample::select(known.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
            proptest::num::u8::ANY.prop_map(|byte| vec![byte]),
        ]
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_to_the_end(parts in proptest::collection::vec(part(), 0..40)) {
            let plan = parts.concat();
            let lines = plan.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
            proptest::prop_assert!(read(&plan).len() <= lines);
        }
    }

    #[test]
    fn addresses_are_dotted_quads() {
        assert_eq!(parse_address_and_prefix(b"10.0.2.15/24"), Some(([10, 0, 2, 15], 24)));
        assert_eq!(parse_address_and_prefix(b"255.255.255.255/32"), Some(([255; 4], 32)));
        for bad in ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.04", "1.2.3.-4", "1.2..4", "1.2.3.4 ", "::1"] {
            assert_eq!(parse_address(bad.as_bytes()), None, "{bad}");
        }
        for bad in ["1.2.3.4", "1.2.3.4/", "1.2.3.4/0", "1.2.3.4/33", "1.2.3.4/24/", "1.2.3.4/255.255.255.0"] {
            assert_eq!(parse_address_and_prefix(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(netmask(24), [255, 255, 255, 0]);
        assert_eq!(netmask(1), [128, 0, 0, 0]);
        assert_eq!(netmask(32), [255; 4]);
    }
}
