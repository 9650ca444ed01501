//! Paragraphs of `Name: value` fields (deb822(5)): dpkg's status file, and machine-readable copyright files.

/// The fields of one paragraph.
#[derive(Debug, Default)]
pub(super) struct Paragraph<'t> {
    fields: Vec<(&'t str, Vec<&'t str>)>,
}

impl<'t> Paragraph<'t> {
    /// The lines of a field, the first as it stands behind the colon and the others without what indents them; field
    /// names have no case.
    pub(super) fn lines(&self, name: &str) -> Option<&[&'t str]> {
        self.fields.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, lines)| &lines[..])
    }

    /// The first line of a field, when there is something on it.
    pub(super) fn first(&self, name: &str) -> Option<&'t str> {
        self.lines(name)?.first().copied().filter(|line| !line.is_empty())
    }
}

/// The paragraphs of a text, one after the other. A line that is neither field nor continuation is passed over.
pub(super) fn paragraphs(text: &str) -> impl Iterator<Item = Paragraph<'_>> {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        while lines.next_if(|line| line.trim().is_empty()).is_some() {}
        lines.peek()?;
        let mut paragraph = Paragraph::default();
        while let Some(line) = lines.next_if(|line| !line.trim().is_empty()) {
            if line.starts_with('#') {
                continue;
            }
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = paragraph.fields.last_mut() {
                    // A dot stands for an empty line, which would end the paragraph.
                    value.push(match line[1..].trim_end() {
                        "." => "",
                        continued => continued,
                    });
                }
            } else if let Some((name, value)) = line.split_once(':') {
                paragraph.fields.push((name, vec![value.trim()]));
            }
        }
        Some(paragraph)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_lines_and_paragraphs_end_at_an_empty_one() {
        let text = "\n# c\nA: 1\nb:\n x\n .\n  y\nnoise\n \n\nA: 2\n";
        let all: Vec<_> = paragraphs(text).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].first("a"), Some("1"));
        assert_eq!(all[0].lines("B"), Some(&["", "x", "", " y"][..]));
        assert_eq!((all[0].first("b"), all[0].first("c")), (None, None));
        assert_eq!(all[1].first("A"), Some("2"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic_or_go_on_for_ever(text in "[ \\t\\n:.#a\u{e9}]{0,60}") {
            proptest::prop_assert!(paragraphs(&text).count() <= text.len());
        }
    }
}
