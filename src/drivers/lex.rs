//! The words of the files that the kernel reads itself, as its lexer makes them (`kobj_lex` in
//! usr/src/uts/common/os/modsysfile.c; character classes in sys/kobj_lex.h).
//!
//! One lexer serves `name_to_major`, `driver_aliases`, `driver_classes`, `dacf.conf`, `mach`, `path_to_inst`,
//! `/etc/system` and every driver.conf(5). The surprise: a comma, a slash and a colon are tokens of their own outside
//! of quotes, so an alias without quotes comes in pieces that its reader has to put together again.

/// One token, with the line it began on, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub line: usize,
    pub kind: TokenKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenKind {
    Name(String),
    /// What was in double quotes, without them.
    Text(String),
    /// A number as it is written, with its value in the kernel's 64-bit arithmetic.
    Number(String, u64),
    Mark(char),
    Newline,
    /// What no token begins with, or what does not end: the message.
    Bad(String),
}

impl TokenKind {
    /// The token as messages show it.
    pub fn shown(&self) -> String {
        match self {
            TokenKind::Name(text) | TokenKind::Text(text) | TokenKind::Number(text, _) => format!("`{text}`"),
            TokenKind::Mark(mark) => format!("`{mark}`"),
            TokenKind::Newline => "the end of the line".to_owned(),
            TokenKind::Bad(message) => message.clone(),
        }
    }
}

/// The tokens of a text. Comments (`#` to the end of the line) are left out; there is a [`TokenKind::Newline`] for
/// every line end.
pub(super) struct Lexer<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    line: usize,
}

impl<'t> Lexer<'t> {
    /// `first_line` is the number of the line the text begins with.
    pub fn new(text: &'t str, first_line: usize) -> Lexer<'t> {
        Lexer { rest: text.chars().peekable(), line: first_line }
    }

    /// Everything up to the next blank or line end, which some values of `/etc/system` are.
    pub fn raw_word(&mut self) -> String {
        while self.rest.next_if(|c| is_blank(*c)).is_some() {}
        let mut word = String::new();
        while let Some(c) = self.rest.next_if(|c| !is_blank(*c) && !matches!(c, '\n' | '\r')) {
            word.push(c);
        }
        word
    }

    /// The rest of the line without the blanks around it.
    pub fn raw_line(&mut self) -> String {
        let mut text = String::new();
        while let Some(c) = self.rest.next_if(|c| !matches!(c, '\n' | '\r')) {
            text.push(c);
        }
        text.trim().to_owned()
    }

    fn quoted(&mut self) -> TokenKind {
        let mut text = String::new();
        loop {
            match self.rest.peek().copied() {
                None | Some('\n') => return TokenKind::Bad("a quote that is not closed on its line".to_owned()),
                Some('"') => {
                    self.rest.next();
                    return TokenKind::Text(text);
                }
                Some('\\') => {
                    self.rest.next();
                    match self.rest.peek().copied() {
                        None => {}
                        Some('0'..='7') => text.push(self.octal()),
                        Some(escaped) => {
                            self.rest.next();
                            self.line += usize::from(escaped == '\n');
                            text.push(escaped);
                        }
                    }
                }
                Some(c) => {
                    self.rest.next();
                    text.push(c);
                }
            }
        }
    }

    /// The digits after a backslash, cut to a byte as the kernel's `char` is.
    fn octal(&mut self) -> char {
        let mut value = 0u8;
        while let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(8)) {
            self.rest.next();
            value = (value << 3) | digit as u8;
        }
        char::from(value)
    }

    fn number(&mut self, sign: Option<char>) -> TokenKind {
        let mut text: String = sign.into_iter().collect();
        let first = self.rest.next().unwrap_or_default();
        text.push(first);
        let hexadecimal = first == '0' && self.rest.next_if(|c| matches!(c, 'x' | 'X')).is_some();
        if hexadecimal {
            text.push('x');
        }
        let radix = match (hexadecimal, first) {
            (true, _) => 16,
            (false, '0') => 8,
            (false, _) => 10,
        };
        let mut value = first.to_digit(10).map_or(0, u64::from);
        let mut valid = true;
        let digit = |c: &char| if hexadecimal { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
        while let Some(c) = self.rest.next_if(digit) {
            text.push(c);
            match c.to_digit(radix) {
                // The kernel lets the value wrap as well (`kobj_getvalue`).
                Some(digit) => value = value.wrapping_mul(u64::from(radix)).wrapping_add(u64::from(digit)),
                None => valid = false,
            }
        }
        match sign {
            _ if !valid => TokenKind::Bad(format!("the number `{text}` is not octal")),
            Some('-') => TokenKind::Number(text, value.wrapping_neg()),
            Some('~') => TokenKind::Number(text, !value),
            _ => TokenKind::Number(text, value),
        }
    }

    fn name(&mut self, first: char) -> TokenKind {
        let mut text = String::new();
        let mut next = Some(first);
        while let Some(c) = next {
            match c {
                '\\' => text.extend(self.rest.next_if(|c| *c != '\n')),
                c => text.push(c),
            }
            next = self.rest.next_if(|c| is_name_character(*c) || *c == '\\');
        }
        TokenKind::Name(text)
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        // A carriage return is a line end of its own to the kernel; with `\n` after it, as here, the two are one.
        while self.rest.next_if(|c| is_blank(*c) || *c == '\r').is_some() {}
        let line = self.line;
        let kind = match self.rest.peek().copied()? {
            '#' => {
                while self.rest.next_if(|c| *c != '\n').is_some() {}
                return self.next();
            }
            '\n' => {
                self.rest.next();
                self.line += 1;
                TokenKind::Newline
            }
            '"' => {
                self.rest.next();
                self.quoted()
            }
            mark @ ('=' | '&' | '|' | '*' | ':' | ';' | ',' | '/') => {
                self.rest.next();
                TokenKind::Mark(mark)
            }
            '0'..='9' => self.number(None),
            sign @ ('-' | '~') => {
                self.rest.next();
                match self.rest.peek() {
                    Some('0'..='9') => self.number(Some(sign)),
                    // A lone `-` stands for "no options" in dacf.conf.
                    None | Some(' ' | '\t' | '\r' | '\n') if sign == '-' => TokenKind::Name("-".to_owned()),
                    _ => TokenKind::Bad(format!("`{sign}` without a number")),
                }
            }
            first if first.is_ascii_alphabetic() || matches!(first, '\\' | '_') => {
                self.rest.next();
                self.name(first)
            }
            other => {
                self.rest.next();
                TokenKind::Bad(format!("the character {other:?}"))
            }
        };
        Some(Token { line, kind })
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// What goes on with a name (`isnamechar`); a dot is not part of one, so names with dots need quotes.
fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[TokenKind]) {
        let found: Vec<TokenKind> = Lexer::new(text, 1).map(|token| token.kind).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    fn name(text: &str) -> TokenKind {
        TokenKind::Name(text.to_owned())
    }

    fn text(text: &str) -> TokenKind {
        TokenKind::Text(text.to_owned())
    }

    fn number(text: &str, value: u64) -> TokenKind {
        TokenKind::Number(text.to_owned(), value)
    }

    #[test]
    fn names_strings_numbers_and_marks_are_told_apart() {
        check(
            "sd \"pci1000,30\" 32 a:b=c\n",
            &[
                name("sd"),
                text("pci1000,30"),
                number("32", 32),
                name("a"),
                TokenKind::Mark(':'),
                name("b"),
                TokenKind::Mark('='),
                name("c"),
                TokenKind::Newline,
            ],
        );
        check("pci-ide -", &[name("pci-ide"), name("-")]);
    }

    #[test]
    fn comments_end_with_the_line() {
        check("# a \"b\nc # d", &[TokenKind::Newline, name("c")]);
        check("a\r\nb\r\n", &[name("a"), TokenKind::Newline, name("b"), TokenKind::Newline]);
    }

    #[test]
    fn numbers_have_the_values_of_the_kernel() {
        check(
            "010 0x1F -1 ~0",
            &[number("010", 8), number("0x1F", 31), number("-1", u64::MAX), number("~0", u64::MAX)],
        );
        check("08", &[TokenKind::Bad("the number `08` is not octal".to_owned())]);
        check(
            "99999999999999999999999",
            &[number("99999999999999999999999", 99_999_999_999_999_999_999_999u128 as u64)],
        );
    }

    #[test]
    fn backslashes_escape_in_names_and_strings() {
        check(r#"\#size-cells "a\"b\101\n""#, &[name("#size-cells"), text("a\"bAn")]);
    }

    #[test]
    fn lines_are_counted_from_the_first() {
        let lines: Vec<usize> = Lexer::new("a\n\n\"b\nc", 5).map(|token| token.line).collect();
        assert_eq!(lines, [5, 5, 6, 7, 7, 8]);
    }

    #[test]
    fn long_runs_of_line_ends_are_no_recursion() {
        assert_eq!(Lexer::new(&"\r".repeat(1_000_000), 1).count(), 0);
        assert_eq!(Lexer::new(&"#\n".repeat(100_000), 1).count(), 100_000);
    }

    #[test]
    fn odd_bytes_end_in_bad_tokens_and_never_in_a_loop() {
        for odd in ["\"", "\"\\", "\\", "\0", "@%^", "-", "~", "+x", "é", "\"\\777\"", "0x", "\u{85}"] {
            assert!(Lexer::new(odd, 1).count() <= odd.len() + 1, "{odd:?}");
        }
    }
}
