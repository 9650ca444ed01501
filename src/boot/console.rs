//! The guest's serial console: bytes in, lines of plain text and the signs of life or death in them out.
//!
//! Firmware and boot loaders paint screens on a serial line, so escape sequences are removed while reading, and a
//! cursor movement ends a line as a newline does. A prompt has no newline; it is seen in [`Console::partial`].

use std::collections::VecDeque;

/// How many lines a failure shows.
pub const TAIL_LINES: usize = 40;
/// Bytes after which a line is broken, so that a guest that never sends a newline cannot fill our memory.
const MAX_LINE: usize = 4096;

/// The console so far: its last lines and the one that is being written.
#[derive(Debug, Default)]
pub struct Console {
    state: Escape,
    line: Vec<u8>,
    tail: VecDeque<String>,
}

/// What a line of the console says about the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign {
    /// Our init starts what the recipe asks for.
    Starting,
    /// A startup command has ended; the words of our init.
    Exited(String),
    /// The kernel has given up.
    Panic(String),
    /// The kernel switches the machine off.
    PoweredDown,
    /// The kernel has stopped without switching off.
    Halted,
}

/// Where in an escape sequence the reader is (ECMA-48).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Escape {
    #[default]
    Text,
    /// After ESC.
    Start,
    /// After ESC and an intermediate byte, such as `(` of a character set.
    Intermediate,
    /// In a control sequence, `ESC [ … final`.
    Control,
    /// In a string, `ESC ] … BEL` or `ESC ] … ESC \`.
    String,
}

impl Console {
    /// Takes what the guest wrote and returns the lines that are complete now; blank lines are left out.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for &byte in bytes {
            if self.is_line_end(byte) {
                lines.extend(self.end_line());
            }
        }
        lines
    }

    /// Ends the console: what was written of the last line.
    pub fn finish(&mut self) -> Option<String> {
        self.end_line()
    }

    /// The line that is being written.
    pub fn partial(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.line)
    }

    /// Whether the guest has written anything yet.
    pub fn is_empty(&self) -> bool {
        self.tail.is_empty() && self.line.is_empty()
    }

    /// The last [`TAIL_LINES`] lines, the unfinished one included.
    pub fn tail(&self) -> Vec<String> {
        let partial = Some(self.partial().trim_end().to_owned()).filter(|line| !line.is_empty());
        let mut lines: Vec<String> = self.tail.iter().cloned().chain(partial).collect();
        lines.drain(..lines.len().saturating_sub(TAIL_LINES));
        lines
    }

    /// Adds a byte of text to the line, or follows an escape sequence; tells whether the line ends here.
    fn is_line_end(&mut self, byte: u8) -> bool {
        const ESC: u8 = 0x1b;
        const BEL: u8 = 0x07;
        let (state, ends) = match (self.state, byte) {
            (_, ESC) => (Escape::Start, false),
            (Escape::Text, b'\n' | b'\r') => (Escape::Text, true),
            (Escape::Text, byte) => {
                if byte == b'\t' || !byte.is_ascii_control() {
                    self.line.push(byte);
                }
                (Escape::Text, self.line.len() >= MAX_LINE)
            }
            (Escape::Start, b'[') => (Escape::Control, false),
            (Escape::Start, b']' | b'P' | b'X' | b'^' | b'_') => (Escape::String, false),
            (Escape::Start | Escape::Intermediate, 0x20..=0x2f) => (Escape::Intermediate, false),
            (Escape::Start | Escape::Intermediate, _) => (Escape::Text, false),
            (Escape::Control, b'H' | b'f' | b'J') => (Escape::Text, true),
            (Escape::Control, 0x20..=0x3f) => (Escape::Control, false),
            (Escape::String, BEL) => (Escape::Text, false),
            // A lone newline cannot belong to a sequence: it was garbage, and the text goes on.
            (Escape::Control | Escape::String, b'\n') => (Escape::Text, true),
            (Escape::Control, _) => (Escape::Text, false),
            (Escape::String, _) => (Escape::String, false),
        };
        self.state = state;
        ends
    }

    fn end_line(&mut self) -> Option<String> {
        let line = String::from_utf8_lossy(&self.line).trim_end().to_owned();
        self.line.clear();
        if line.is_empty() {
            return None;
        }
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(line.clone());
        Some(line)
    }
}

impl Sign {
    /// Reads one line; most say nothing.
    pub fn of(line: &str) -> Option<Sign> {
        let line = without_timestamp(line);
        if let Some(ours) = line.strip_prefix("minroot: ") {
            return match ours {
                "switching off" => Some(Sign::PoweredDown),
                _ if ours.starts_with("starting") => Some(Sign::Starting),
                _ => ours.contains(" exited with status ").then(|| Sign::Exited(ours.to_owned())),
            };
        }
        // Linux kernel/panic.c; illumos uts/common/os/panic.c.
        if line.starts_with("Kernel panic - not syncing") || line.starts_with("panic[cpu") {
            return Some(Sign::Panic(line.to_owned()));
        }
        // Linux kernel/reboot.c, `pr_fmt` "reboot: ".
        match line.strip_prefix("reboot: ").unwrap_or(line) {
            "Power down" => Some(Sign::PoweredDown),
            "System halted" => Some(Sign::Halted),
            _ => None,
        }
    }
}

/// Cuts what the kernel puts before its lines: `[    1.234567] `, with CONFIG_PRINTK_CALLER `[    1.234567][    T1] `.
fn without_timestamp(line: &str) -> &str {
    let Some((stamp, rest)) = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else { return line };
    let is_stamp = stamp.contains('.')
        && stamp.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '.' | '[' | ']' | 'T' | 'C'));
    if is_stamp { rest } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<String> {
        let mut console = Console::default();
        let mut lines = console.feed(bytes);
        lines.extend(console.finish());
        lines
    }

    #[test]
    fn escape_sequences_do_not_reach_the_text() {
        assert_eq!(lines(b"\x1b[2J\x1b[01;01H\x1b[0m\x1b[37mBdsDxe: loading\r\n"), ["BdsDxe: loading"]);
        assert_eq!(lines(b"\x1b]0;title\x07a\x1b(Bb\x1b7c\x1b]8;;x\x1b\\d\n"), ["abcd"]);
        assert_eq!(lines(b"GRUB\x1b[5;1HBooting"), ["GRUB", "Booting"]);
        assert_eq!(lines(b"\x00\x07tab\tok\n"), ["tab\tok"]);
    }

    #[test]
    fn sequences_and_characters_may_be_cut_anywhere() {
        let text = "a\x1b[1;31mé\x1b]0;t\x1b\\b\r\nsecond".as_bytes();
        for cut in 0..text.len() {
            let mut console = Console::default();
            let mut lines = console.feed(&text[..cut]);
            lines.extend(console.feed(&text[cut..]));
            assert_eq!(lines, ["aéb"], "cut at {cut}");
            assert_eq!(console.partial(), "second");
        }
    }

    #[test]
    fn an_unfinished_sequence_ends_at_the_newline() {
        assert_eq!(lines(b"\x1b]never closed\nnext\n"), ["next"]);
    }

    #[test]
    fn the_tail_and_the_line_are_bounded() {
        let mut console = Console::default();
        for n in 0..1000 {
            console.feed(format!("line {n}\n").as_bytes());
        }
        console.feed(b"prompt> ");
        let tail = console.tail();
        assert_eq!(tail.len(), TAIL_LINES);
        assert_eq!(tail.last().unwrap(), "prompt>");
        assert_eq!(tail[tail.len() - 2], "line 999");

        let mut console = Console::default();
        for _ in 0..100 {
            console.feed(&[b'x'; 1000]);
        }
        assert!(console.line.len() <= MAX_LINE);
        assert!(console.tail().iter().map(String::len).sum::<usize>() <= TAIL_LINES * MAX_LINE);
    }

    #[test]
    fn signs_are_read_with_and_without_the_kernels_timestamp() {
        let check = |line: &str, expected: Option<Sign>| assert_eq!(Sign::of(line), expected, "{line}");
        check("minroot: starting /usr/bin/node /srv/hello.js", Some(Sign::Starting));
        check("[    2.500000] minroot: starting node", Some(Sign::Starting));
        check("[    2.500000][    T1] minroot: starting node", Some(Sign::Starting));
        check("minroot: switching off", Some(Sign::PoweredDown));
        check("minroot: node exited with status 1", Some(Sign::Exited("node exited with status 1".to_owned())));
        let panic = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000000";
        check(&format!("[    1.0] {panic}"), Some(Sign::Panic(panic.to_owned())));
        check(
            "panic[cpu0]/thread=fffffffffbc49ba0: ",
            Some(Sign::Panic("panic[cpu0]/thread=fffffffffbc49ba0: ".to_owned())),
        );
        check("[    9.9] reboot: Power down", Some(Sign::PoweredDown));
        check("reboot: System halted", Some(Sign::Halted));
    }

    #[test]
    fn ordinary_lines_are_no_sign() {
        for line in [
            "",
            "[",
            "[] ",
            "hello",
            "starting",
            "echo minroot: starting",
            "[drm] minroot: starting",
            "[    0.000000] Command line: panic=-1",
            "Kernel panic settings",
            "minroot: loading virtio_net",
        ] {
            assert_eq!(Sign::of(line), None, "{line}");
        }
    }
}
