//! A verdict in words.

use super::{Severity, Subject, Verdict};
use crate::text::{Style, count, written};
use std::fmt::{self, Display};

impl Verdict {
    /// The verdict for people: several lines, each ended by a newline.
    pub fn text(&self, style: Style) -> impl Display + '_ {
        written(move |f| write(self, style, f))
    }
}

fn write(verdict: &Verdict, style: Style, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for check in &verdict.checks {
        writeln!(f, "- {:<12} {}: {}", check.component, style.path(&check.what), check.seen)?;
    }
    for finding in &verdict.findings {
        let letter = finding.severity.letter();
        let message = match finding.severity {
            Severity::PreventsStart | Severity::Harmful => style.bad(&finding.message).to_string(),
            Severity::Warning | Severity::Suggestion => finding.message.clone(),
        };
        writeln!(f, "{letter} {:<12} {message}", finding.component)?;
        if let Some(path) = &finding.path {
            writeln!(f, "  {:<12} in {}", "", style.path(path))?;
        }
        if let Some(hint) = &finding.hint {
            writeln!(f, "  {:<12} {}", "", style.remark(format_args!("hint: {hint}")))?;
        }
    }
    writeln!(f, "{}", conclusion(verdict))
}

/// The last line. `would start` is said of what was checked: nothing was run.
fn conclusion(verdict: &Verdict) -> String {
    let subject = match verdict.subject {
        Subject::Iso => "the ISO",
        Subject::Archive => "the archive",
        Subject::Directory => "the directory",
        Subject::NetworkTree => "the tree for the network",
        Subject::Container => "the container",
    };
    let problems = |severity, noun| match verdict.count(severity) {
        0 => None,
        number => Some(count(number as u64, noun)),
    };
    let others: Vec<String> =
        [problems(Severity::Harmful, "fault"), problems(Severity::Warning, "warning")].into_iter().flatten().collect();
    let others = if others.is_empty() { String::new() } else { format!("; {}", others.join(", ")) };
    match problems(Severity::PreventsStart, "problem") {
        Some(problems) => format!("{subject} would not start: {problems}{others}"),
        None => format!("{subject} would start{others}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Check, Component, Finding};
    use super::*;

    #[test]
    fn findings_are_lines_with_their_place_and_hint() {
        let message = "Loading /boot/vmlinux... failed: No such file or directory";
        let finding = Finding::new(Severity::PreventsStart, Component::Isolinux, message)
            .at("/isolinux/isolinux.cfg")
            .hint("correct the path");
        let check = Check { component: Component::Bios, what: "boot catalog".into(), seen: "1 entry".into() };
        let mut verdict =
            Verdict { subject: Subject::Iso, checks: vec![check], findings: vec![finding], least_ram_mib: None };
        assert_eq!(
            verdict.text(Style::Plain).to_string(),
            "- BIOS         boot catalog: 1 entry\n\
             P isolinux     Loading /boot/vmlinux... failed: No such file or directory\n\
             \x20              in /isolinux/isolinux.cfg\n\
             \x20              hint: correct the path\n\
             the ISO would not start: 1 problem\n"
        );
        verdict.findings[0].severity = Severity::Harmful;
        assert!(verdict.text(Style::Plain).to_string().ends_with("the ISO would start; 1 fault\n"));
    }
}
