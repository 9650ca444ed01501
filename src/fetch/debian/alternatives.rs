//! Links through `/etc/alternatives`: what `update-alternatives --install` commands make together.
//!
//! `LINK` leads to `/etc/alternatives/NAME`, and that to the path with the highest priority; of equals to the first by
//! name, the order in which update-alternatives(1) keeps them. Slaves follow the choice of their master, those whose file
//! is missing are left out, and so is a link in whose place a package has a file.

use super::filling::Filling;
use super::script::{Command, is_file_name};
use crate::fetch::member::Member;
use crate::path::RootPath;
use std::cmp::Reverse;
use std::collections::BTreeMap;

const DIRECTORY: &str = "/etc/alternatives";

/// Actions that change nothing where nothing was made before.
const WITHOUT_EFFECT: [&str; 6] = ["--auto", "--display", "--list", "--query", "--remove", "--remove-all"];

/// What the commands ask for, by name.
#[derive(Debug, Default)]
pub struct Alternatives {
    choices: BTreeMap<String, Vec<Choice>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Choice {
    /// Of the package.
    index: usize,
    priority: i32,
    /// The master, then its slaves.
    links: Vec<Link>,
}

#[derive(Debug, PartialEq, Eq)]
struct Link {
    link: RootPath,
    name: String,
    path: RootPath,
}

impl Alternatives {
    /// Notes a command of a package, given by index; whether it could be read.
    pub fn add(&mut self, index: usize, command: &Command) -> bool {
        let action = command.words[1..].iter().position(|word| {
            // Options before the action that take no value; the others name directories of dpkg's tests.
            word.as_deref().is_none_or(|word| !["--quiet", "--verbose", "--force", "--skip-auto"].contains(&word))
        });
        let Some(words) = action.map(|action| &command.words[1 + action..]) else { return false };
        match words.first().map(Option::as_deref) {
            Some(Some("--install")) => {}
            Some(Some(action)) => return WITHOUT_EFFECT.contains(&action),
            Some(None) | None => return false,
        }
        let words: Option<Vec<&str>> = words[1..].iter().map(Option::as_deref).collect();
        let Some((name, choice)) = words.and_then(|words| choice(index, &words)) else { return false };
        self.choices.entry(name).or_default().push(choice);
        true
    }

    /// Makes the links; gives the packages whose links were made.
    pub fn finish(self, filling: &mut Filling<'_>) -> Vec<usize> {
        let mut makers = Vec::new();
        for choices in self.choices.into_values() {
            let usable = choices.into_iter().filter(|choice| filling.exists(&choice.links[0].path));
            // The last of equals: a second command for the same path takes the place of the first.
            let best = usable.max_by(|a, b| {
                let rank = |choice: &Choice| (choice.priority, Reverse(choice.links[0].path.clone()));
                rank(a).cmp(&rank(b))
            });
            let Some(Choice { index, links, .. }) = best else { continue };
            for Link { link, name, path } in links {
                if !filling.exists(&path) {
                    continue;
                }
                let middle = RootPath::new(DIRECTORY).expect("a constant").join(name.as_bytes());
                let made = filling.make(index, Member::symlink(link.clone(), middle.as_bytes()));
                // Some packages bring the link themselves.
                if made || filling.link(&link) == Some(middle.as_bytes()) {
                    filling.make(index, Member::symlink(middle, path.as_bytes()));
                    makers.push(index);
                }
            }
        }
        makers
    }
}

/// `LINK NAME PATH PRIORITY [--slave LINK NAME PATH]...`
fn choice(index: usize, words: &[&str]) -> Option<(String, Choice)> {
    let [link, name, path, priority, slaves @ ..] = words else { return None };
    let mut links = vec![Link::new(link, name, path)?];
    for slave in slaves.chunks(4) {
        let ["--slave", link, name, path] = slave else { return None };
        links.push(Link::new(link, name, path)?);
    }
    Some(((*name).to_owned(), Choice { index, priority: priority.parse().ok()?, links }))
}

impl Link {
    fn new(link: &str, name: &str, path: &str) -> Option<Link> {
        let (link, path) = (RootPath::new(link).ok()?, RootPath::new(path).ok()?);
        is_file_name(name).then(|| Link { link, name: name.to_owned(), path })
    }
}
