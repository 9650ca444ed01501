//! A rule file in words, for those who read rules and do not write them: what `minroot explain-rule` prints.

use super::{Condition, Effects, Mechanism, Rule, RuleFile, Template};
use crate::reason::Priority;
use crate::text::{Style, written};
use std::fmt::{self, Display};

impl RuleFile {
    /// What the file is about, and for each of its rules when it holds and what follows. Several lines.
    pub fn words(&self, style: Style) -> impl Display + '_ {
        written(move |f| {
            writeln!(f, "{}: {}", style.path(&self.id), self.summary)?;
            if !self.why.trim().is_empty() {
                writeln!(f)?;
                self.why.trim().lines().try_for_each(|line| writeln!(f, "  {line}"))?;
            }
            if let Some(mechanism) = self.mechanism {
                writeln!(f, "\n{} {}", style.remark("how:"), mechanism.words())?;
            }
            for rule in &self.rules {
                writeln!(f, "\n{}", style.remark(format_args!("{}:{}", self.file, rule.line)))?;
                column(f, "when", &rule.when.words())?;
                column(f, rule.effects.verb(), &rule.effects.words())?;
                writeln!(f, "  {:<6}{}", "", rule.strength())?;
            }
            if !self.evidence.is_empty() {
                writeln!(f, "\n{}", style.remark("evidence:"))?;
            }
            self.evidence.iter().try_for_each(|line| writeln!(f, "  {line}"))
        })
    }
}

fn column(f: &mut fmt::Formatter<'_>, label: &str, lines: &[String]) -> fmt::Result {
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    lines.iter().zip(labels).try_for_each(|(line, label)| writeln!(f, "  {label:<6}{line}"))
}

impl Mechanism {
    fn words(self) -> &'static str {
        match self {
            Mechanism::Dlopen => "a library is loaded by name",
            Mechanism::Exec => "a program is started by name",
            Mechanism::Open => "a file is opened by name",
            Mechanism::Config => "a configuration file names it",
            Mechanism::Service => "a service needs it",
            Mechanism::Driver => "the kernel or a driver needs it",
        }
    }
}

impl Condition {
    fn words(&self) -> Vec<String> {
        // Taken apart, so that a new condition cannot be forgotten here.
        let Condition {
            object,
            soname,
            needed,
            interpreter,
            imports,
            strings,
            environment,
            reading,
            exists,
            included,
            arch,
            hardware,
        } = self;
        let reading = reading.as_ref().map(|reading| {
            let file = reading.file.as_ref().map_or_else(|| "it".to_owned(), |file| format!("`{file}`"));
            let filter: Vec<String> = reading.filter.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            let filter = if filter.is_empty() { String::new() } else { format!(" with {}", filter.join(", ")) };
            format!("{file}, read as {}, has something{filter}", reading.reader.name)
        });
        let lines = [
            object.as_ref().map(|glob| format!("a path of the image matches `{glob}`")),
            soname.as_ref().map(|glob| format!("its soname matches `{glob}`")),
            needed.as_ref().map(|glob| format!("its NEEDED entries have `{glob}`")),
            interpreter.as_ref().map(|glob| format!("its interpreter matches `{glob}`")),
            imports.as_ref().map(|symbols| format!("it imports a symbol that matches `{symbols}`")),
            strings.as_ref().map(|pattern| format!("a string in it matches `{}`", pattern.text())),
            environment.as_ref().map(|pattern| format!("a variable of the startup is `{}`", pattern.text())),
            reading,
            exists.as_ref().map(|glob| format!("the root has `{glob}`")),
            included.as_ref().map(|glob| format!("`{glob}` is in the image")),
            arch.as_ref().map(|arch| format!("the image is for {arch}")),
            hardware.as_ref().map(|profile| format!("the image is for the hardware `{profile}`")),
        ];
        let lines: Vec<String> = lines.into_iter().flatten().collect();
        if lines.is_empty() { vec!["always".to_owned()] } else { lines }
    }
}

impl Effects {
    fn verb(&self) -> &'static str {
        if self.never.is_empty() { "adds" } else { "bars" }
    }

    fn words(&self) -> Vec<String> {
        let Effects {
            needs,
            programs,
            libraries,
            modules,
            generate,
            first_of,
            any_of,
            directories,
            files,
            links,
            never,
            reason,
        } = self;
        let named = |words: &'static str, templates: &[Template]| {
            templates.iter().map(|template| format!("{words}{}", template.text)).collect::<Vec<_>>()
        };
        let lists = |words: &str, lists: &[Vec<Template>]| {
            let list = |list: &Vec<Template>| named("", list).join(" with ");
            let texts: Vec<String> = lists.iter().map(list).collect();
            (!texts.is_empty()).then(|| format!("{words}{}", texts.join(", ")))
        };
        let links = links.iter().map(|(link, target)| format!("link {} -> {}", link.text, target.text));
        let mut lines = named("", needs);
        lines.extend(named("program ", programs));
        lines.extend(named("library ", libraries));
        lines.extend(named("kernel module ", modules));
        lines.extend(named("made by minroot: ", generate));
        lines.extend(lists("the first there is of: ", first_of));
        lines.extend(lists("the smallest of: ", any_of));
        lines.extend(named("directory ", directories));
        lines.extend(named("file ", files));
        lines.extend(links);
        lines.extend(named("", never));
        lines.extend((!reason.is_empty()).then(|| format!("because {}", reason)));
        lines
    }
}

impl Rule {
    /// How much is lost without.
    fn strength(&self) -> String {
        let priority = match (&self.consequence, self.priority) {
            (Some(consequence), _) => format!("without it: {consequence}"),
            (None, Priority::Required) => "required".to_owned(),
            (None, Priority::Recommended) => "recommended: its absence is told and no fault".to_owned(),
            (None, Priority::Suggested) => "suggested: taken with `--include suggested` only".to_owned(),
        };
        if self.optional { format!("{priority}; what the root does not have is not missed") } else { priority }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RuleSet;

    fn words(rules: &str) -> String {
        RuleSet::of_text(rules).files()[0].words(Style::Plain).to_string()
    }

    #[test]
    fn conditions_and_effects_are_said_one_a_line() {
        let text = words(
            "[[rule]]\nwhen = { object = '/usr/bin/a*', imports = 'dlopen' }\nneeds = ['/x', '/y/**']\n\
             libraries = ['liba.so.1']\npriority = 'recommended'\noptional = true\n",
        );
        assert_eq!(
            text,
            "t: s\n\nt.toml:3\n  when  a path of the image matches `/usr/bin/a*`\n        \
             it imports a symbol that matches `dlopen`\n  adds  /x\n        /y/**\n        library liba.so.1\n        \
             recommended: its absence is told and no fault; what the root does not have is not missed\n"
        );
    }

    #[test]
    fn what_is_kept_out_has_its_reason() {
        let text = words("[[rule]]\nnever = ['/usr/share/doc/**']\nreason = 'nobody reads it'\n");
        assert!(
            text.contains("  when  always\n  bars  /usr/share/doc/**\n        because nobody reads it\n"),
            "{text}"
        );
    }

    #[test]
    fn every_built_in_rule_says_when_and_what() {
        for file in RuleSet::load(&[]).unwrap().files() {
            for rule in &file.rules {
                assert!(
                    !rule.when.words().is_empty() && !rule.effects.words().is_empty(),
                    "{}:{}",
                    file.file,
                    rule.line
                );
            }
        }
    }
}
