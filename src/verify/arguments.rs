//! The kernel's command line, as far as it decides what is started.

/// What a command line says about the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arguments {
    /// The program that is started in the archive: `rdinit=`, or the kernel's own `/init`.
    pub init: String,
    /// `rootfstype=ramfs`: the content may take all of the memory, not half of it.
    pub ramfs: bool,
}

impl Arguments {
    /// Reads the line as the kernel does (lib/cmdline.c `next_arg`): blanks inside double quotes separate nothing,
    /// what follows `--` is for the init, and the last of two equal keys counts.
    pub(super) fn parse(line: &str) -> Arguments {
        let mut arguments = Arguments { init: "/init".to_owned(), ramfs: false };
        let mut quoted = false;
        let words = line.split(|c: char| {
            quoted ^= c == '"';
            c.is_whitespace() && !quoted
        });
        for word in words.filter(|word| !word.is_empty()).take_while(|word| *word != "--") {
            let word = word.trim_matches('"');
            match word.split_once('=') {
                Some(("rdinit", program)) => arguments.init = program.trim_matches('"').to_owned(),
                Some(("rootfstype", kind)) => arguments.ramfs = kind == "ramfs",
                _ => {}
            }
        }
        arguments
    }

    /// What the kernel says when the init is not there. It then looks for another root file system: with
    /// `rootfstype=ramfs` it mounts an empty one, which has no init either.
    pub(super) fn without_init(&self) -> &'static str {
        if self.ramfs {
            "Kernel panic - not syncing: No working init found.  Try passing init= option to kernel. \
             See Linux Documentation/admin-guide/init.rst for guidance."
        } else {
            "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_settings_counts_and_quotes_hold_words_together() {
        for (line, init, ramfs) in [
            ("", "/init", false),
            ("rdinit=/a rootfstype=ramfs rdinit=/b", "/b", true),
            ("x=\"a rdinit=/no\" quiet", "/init", false),
            ("rdinit=\"/with space\"", "/with space", false),
            ("quiet -- rdinit=/no", "/init", false),
        ] {
            assert_eq!(Arguments::parse(line), Arguments { init: init.to_owned(), ramfs }, "{line}");
        }
    }
}
