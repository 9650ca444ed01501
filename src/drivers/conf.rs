//! A driver's `.conf` (driver.conf(5)): properties for all its devices, and device nodes that no hardware announces.
//!
//! A pseudo device exists only because its driver's file says `name="X" parent="pseudo" instance=0;`. An entry ends
//! with a semicolon, not with the line, and one that is wrong costs the kernel the rest of that entry, at times the next
//! one too (`get_hwc_spec` in modsysfile.c); so it does here.

use super::lex::{Lexer, Token, TokenKind};
use super::table::Note;
use crate::path::RootPath;

/// What a `.conf` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverConf {
    pub path: RootPath,
    /// In order.
    pub nodes: Vec<ConfNode>,
    /// Those of entries without a `name`, which are for all devices of the driver.
    pub properties: Vec<Property>,
    pub notes: Vec<Note>,
}

/// A device node that the file asks for; it has a `parent`, a `class` or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfNode {
    /// Line of the entry's first word, from 1.
    pub line: usize,
    pub name: String,
    /// A driver's name (`pseudo`), or a device path.
    pub parent: Option<String>,
    /// Any driver that exports this class in `driver_classes` gets such a child.
    pub class: Option<String>,
    pub properties: Vec<Property>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    pub name: String,
    pub value: PropertyValue,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PropertyValue {
    /// A name without a value.
    Flag,
    Strings(Vec<String>),
    /// The kernel's `int`, 32 bits.
    Integers(Vec<i32>),
}

impl ConfNode {
    /// The value of `instance`, which pseudo(5) makes the unit address of.
    pub fn instance(&self) -> Option<i32> {
        self.properties.iter().find(|property| property.name == "instance").and_then(|property| match &property.value {
            PropertyValue::Integers(values) => values.first().copied(),
            _ => None,
        })
    }

    /// The driver that `parent` names: the last component of a device path without its address.
    pub fn parent_driver(&self) -> Option<&str> {
        let last = self.parent.as_deref()?.rsplit('/').next()?;
        last.split('@').next().filter(|name| !name.is_empty())
    }
}

/// Reads a `.conf`; what is wrong in it is noted and passed over, as by the kernel.
pub(super) fn parse(path: RootPath, text: &[u8]) -> DriverConf {
    let text = String::from_utf8_lossy(text);
    let mut conf = DriverConf { path, nodes: Vec::new(), properties: Vec::new(), notes: Vec::new() };
    let mut lexer = Lexer::new(&text, 1);
    while let Some(token) = lexer.next() {
        match token.kind {
            TokenKind::Newline => {}
            TokenKind::Name(_) => read_entry(&mut lexer, token, &mut conf),
            other => conf.note(token.line, format!("{} where an entry should begin", other.shown())),
        }
    }
    conf
}

impl DriverConf {
    fn note(&mut self, line: usize, message: String) {
        self.notes.push(Note { path: self.path.clone(), line, message });
    }
}

/// An entry being read.
#[derive(Default)]
struct Entry {
    name: Option<String>,
    parent: Option<String>,
    class: Option<String>,
    properties: Vec<Property>,
}

/// Reads from the entry's first word to its semicolon. When something is wrong, the rest of the entry is passed over.
fn read_entry(lexer: &mut Lexer<'_>, first: Token, conf: &mut DriverConf) {
    let line = first.line;
    let mut words = EntryWords { lexer, next: Some(first) };
    let entry = match words.read() {
        Ok(entry) => entry,
        Err((line, message)) => {
            words.skip();
            return conf.note(line, message);
        }
    };
    let Entry { name, parent, class, properties } = entry;
    match name {
        Some(name) if parent.is_some() || class.is_some() => {
            conf.nodes.push(ConfNode { line, name, parent, class, properties });
        }
        Some(name) => conf.note(line, format!("the node `{name}` has neither a parent nor a class")),
        None if parent.is_some() || class.is_some() => conf.note(line, "the node has no name".to_owned()),
        None => conf.properties.extend(properties),
    }
}

/// The tokens of an entry, of which the next one is known.
struct EntryWords<'l, 't> {
    lexer: &'l mut Lexer<'t>,
    next: Option<Token>,
}

impl EntryWords<'_, '_> {
    /// Goes on to the next token; entries go on over line ends.
    fn advance(&mut self) {
        self.next = self.lexer.find(|token| token.kind != TokenKind::Newline);
    }

    /// Goes on if the next token is `mark`.
    fn passes(&mut self, mark: char) -> bool {
        let passes = self.next.as_ref().is_some_and(|token| token.kind == TokenKind::Mark(mark));
        if passes {
            self.advance();
        }
        passes
    }

    /// The entry up to its semicolon, or the line of what is wrong with it.
    fn read(&mut self) -> Result<Entry, (usize, String)> {
        let mut entry = Entry::default();
        let mut line = self.next.as_ref().map_or(0, |token| token.line);
        loop {
            let key = match &self.next {
                None => return Err((line, "the entry does not end with a semicolon".to_owned())),
                Some(Token { kind: TokenKind::Mark(';'), .. }) => return Ok(entry),
                Some(Token { kind: TokenKind::Name(key), line: at }) => {
                    line = *at;
                    key.clone()
                }
                Some(Token { kind, line }) => return Err((*line, format!("{} in an entry", kind.shown()))),
            };
            self.advance();
            let mut values = Vec::new();
            let mut more = self.passes('=');
            while more {
                match &self.next {
                    Some(Token { kind: value @ (TokenKind::Text(_) | TokenKind::Number(..)), .. }) => {
                        values.push(value.clone());
                    }
                    _ => return Err((line, format!("`{key}` has no value"))),
                }
                self.advance();
                more = self.passes(',');
            }
            entry.set(key, values).map_err(|message| (line, message))?;
        }
    }

    fn skip(&mut self) {
        while self.next.as_ref().is_some_and(|token| token.kind != TokenKind::Mark(';')) {
            self.advance();
        }
    }
}

impl Entry {
    fn set(&mut self, key: String, values: Vec<TokenKind>) -> Result<(), String> {
        let slot = match &key[..] {
            "name" | "NAME" => &mut self.name,
            "parent" | "PARENT" => &mut self.parent,
            "class" | "CLASS" => &mut self.class,
            _ => {
                let value = property_value(&key, values)?;
                self.properties.push(Property { name: key, value });
                return Ok(());
            }
        };
        let Ok([TokenKind::Text(value)]) = <[TokenKind; 1]>::try_from(values) else {
            return Err(format!("`{key}` takes one string"));
        };
        if slot.is_some() {
            return Err(format!("`{key}` is given twice; a semicolon may be missing before it"));
        }
        *slot = Some(value);
        Ok(())
    }
}

fn property_value(key: &str, values: Vec<TokenKind>) -> Result<PropertyValue, String> {
    if values.is_empty() {
        return Ok(PropertyValue::Flag);
    }
    let (mut strings, mut integers) = (Vec::new(), Vec::new());
    for value in values {
        match value {
            TokenKind::Text(text) => strings.push(text),
            // Cut to 32 bits, as the kernel does.
            TokenKind::Number(_, number) => integers.push(number as i32),
            _ => {}
        }
    }
    match (strings.is_empty(), integers.is_empty()) {
        (false, true) => Ok(PropertyValue::Strings(strings)),
        (true, false) => Ok(PropertyValue::Integers(integers)),
        _ => Err(format!("`{key}` mixes strings and numbers")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> DriverConf {
        parse(RootPath::new("/kernel/drv/x.conf").unwrap(), text.as_bytes())
    }

    fn notes(text: &str) -> Vec<String> {
        let conf = read(text);
        conf.notes.iter().map(|note| format!("{}: {}", note.line, note.message)).collect()
    }

    #[test]
    fn a_pseudo_node_has_a_parent_and_an_instance() {
        let conf = read("# c\nname=\"ramdisk\" parent=\"pseudo\" instance=1024;\n");
        assert_eq!(conf.notes, []);
        let [node] = &conf.nodes[..] else { panic!("{conf:?}") };
        assert_eq!((node.line, &node.name[..], node.instance()), (2, "ramdisk", Some(1024)));
        assert_eq!(node.parent_driver(), Some("pseudo"));
    }

    #[test]
    fn entries_go_over_lines_and_share_them() {
        let conf = read("name=\"sd\" class=\"scsi\"\n\ttarget=0\n\tlun=0; name=\"sd\" class=\"scsi\" target=1 lun=0;");
        assert_eq!(conf.nodes.len(), 2);
        assert_eq!(conf.nodes[1].class.as_deref(), Some("scsi"));
        assert_eq!(conf.nodes[1].line, 3);
    }

    #[test]
    fn an_entry_without_a_name_is_for_all_devices() {
        let conf = read("ddi-forceattach=1;\nlist=\"a\",\n\"b\"; numbers=1,0x10,-1; \\#cells; flag;");
        let property = |name: &str| &conf.properties.iter().find(|p| p.name == name).unwrap().value;
        assert_eq!(conf.properties.len(), 5);
        assert_eq!(*property("list"), PropertyValue::Strings(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(*property("numbers"), PropertyValue::Integers(vec![1, 16, -1]));
        assert_eq!(*property("#cells"), PropertyValue::Flag);
    }

    #[test]
    fn a_parent_may_be_a_path() {
        let conf = read("name=\"x\" parent=\"/pci@0,0/isa@1\"; name=\"y\" parent=\"/\";");
        assert_eq!(conf.nodes[0].parent_driver(), Some("isa"));
        assert_eq!(conf.nodes[1].parent_driver(), None);
    }

    #[test]
    fn what_the_kernel_would_warn_about_is_noted_with_its_line() {
        assert_eq!(notes("name=\"x\""), ["1: the entry does not end with a semicolon"]);
        assert_eq!(notes("\nname=\"x\";"), ["2: the node `x` has neither a parent nor a class"]);
        assert_eq!(notes("parent=\"pseudo\";"), ["1: the node has no name"]);
        assert_eq!(notes("a=1\nb=;"), ["2: `b` has no value"]);
        assert_eq!(notes("a=1,\"b\";"), ["1: `a` mixes strings and numbers"]);
        assert_eq!(notes("name=5 parent=\"pseudo\";"), ["1: `name` takes one string"]);
        assert_eq!(notes(";"), ["1: `;` where an entry should begin"]);
        assert_eq!(notes("a @;"), ["1: the character '@' in an entry"]);
        let missing = "name=\"a\" parent=\"pseudo\"\nname=\"b\" parent=\"pseudo\";\n";
        assert_eq!(notes(missing), ["2: `name` is given twice; a semicolon may be missing before it"]);
    }

    #[test]
    fn hostile_text_ends() {
        for text in ["=".repeat(5000), "a=".repeat(5000), "a=1,".repeat(5000), "\"".repeat(5000), "a".repeat(5000)] {
            read(&text);
        }
        parse(RootPath::root(), &[0xff; 100]);
    }
}
