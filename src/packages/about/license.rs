//! What packages call their licences, in SPDX licence expressions (SPDX 2.3, annex D).
//!
//! Nothing is guessed: a name that the SPDX list has, or that Debian's copyright format defines as the name of the same
//! licence, becomes that identifier; every other name becomes a `LicenseRef-` with the text that the package has for it.

use std::collections::BTreeMap;

/// The licences of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct License {
    /// An SPDX licence expression.
    pub expression: String,
    /// What its `LicenseRef-…` stand for, sorted by id.
    pub references: Vec<Reference>,
}

/// A licence that the SPDX list does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `LicenseRef-…`.
    pub id: String,
    /// The name that the package gives it.
    pub name: String,
    /// Empty when the root has none.
    pub text: String,
}

/// Puts the expression of one package together.
pub(super) struct Licenses<'p> {
    package: &'p str,
    /// Each term once, in the order they come.
    terms: Vec<String>,
    references: BTreeMap<String, Reference>,
}

impl<'p> Licenses<'p> {
    pub(super) fn new(package: &'p str) -> Licenses<'p> {
        Licenses { package, terms: Vec::new(), references: BTreeMap::new() }
    }

    /// Adds what holds besides the others: names joined by `and` and `or` as Debian's copyright format has them, in
    /// which a comma before the word makes it bind less. `text` gives the text of one name.
    pub(super) fn add(&mut self, names: &str, text: impl Fn(&str) -> String) {
        let spaced = names.split_whitespace().collect::<Vec<_>>().join(" ");
        let terms = match spaced.contains(" or ") {
            true => vec![self.split(&spaced, &[", or ", ", and ", " or ", " and "], &text)],
            false => spaced.split(" and ").map(|name| self.split(name, &[], &text)).collect(),
        };
        for term in terms {
            if !self.terms.contains(&term) {
                self.terms.push(term);
            }
        }
    }

    /// `None` when nothing was added.
    pub(super) fn finish(self) -> Option<License> {
        let expression = join(self.terms, " AND ")?;
        Some(License { expression, references: self.references.into_values().collect() })
    }

    /// The words that bind least come first.
    fn split(&mut self, names: &str, words: &[&str], text: &impl Fn(&str) -> String) -> String {
        let Some((word, tighter)) = words.split_first() else { return self.term(names.trim_matches([',', ' ']), text) };
        let parts: Vec<String> = names.split(word).map(|part| self.split(part, tighter, text)).collect();
        let operator = if word.contains("or") { " OR " } else { " AND " };
        join(parts, operator).unwrap_or_default()
    }

    fn term(&mut self, name: &str, text: &impl Fn(&str) -> String) -> String {
        if let Some(id) = identifier(name) {
            return id;
        }
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        let id: String = format!("{}-{name}", self.package).chars().map(plain).collect();
        let id = format!("LicenseRef-{id}");
        let reference = || Reference { id: id.clone(), name: name.to_owned(), text: text(name) };
        self.references.entry(id.clone()).or_insert_with(reference);
        id
    }
}

/// Joins terms, those that bind less in parentheses; `None` for none.
fn join(terms: Vec<String>, operator: &str) -> Option<String> {
    let inner = |term: String| {
        let binds_less = operator == " AND " && term.contains(" OR ");
        if binds_less && !is_enclosed(&term) { format!("({term})") } else { term }
    };
    match terms.len() {
        0 | 1 => terms.into_iter().next(),
        _ => Some(terms.into_iter().map(inner).collect::<Vec<_>>().join(operator)),
    }
}

/// Whether one pair of parentheses is around the whole.
fn is_enclosed(term: &str) -> bool {
    term.starts_with('(') && term.find(')') == Some(term.len() - 1)
}

/// Families that Debian's copyright format defines (7.1 "Short name") and that are the list's own: only of these it is
/// certain that `2` is `2.0`. `OPL-1` is the Open Publication License there, and the Open Public License here.
const FAMILIES: [&str; 8] = ["Apache", "Artistic", "CDDL", "CPL", "EFL", "LPPL", "MPL", "QPL"];

/// The families in whose names `+` is "or any later version", and `GPL-2` is that version only.
const GNU_FAMILIES: [&str; 4] = ["AGPL", "GFDL", "GPL", "LGPL"];

/// The SPDX identifier of a short name of Debian's copyright format, or of a name that is one already.
fn identifier(name: &str) -> Option<String> {
    match name {
        "Expat" => return Some("MIT".to_owned()),
        "CC0" => return Some("CC0-1.0".to_owned()),
        _ => {}
    }
    let (base, or_later) = name.strip_suffix('+').map_or((name, false), |base| (base, true));
    let (family, version) = base.split_once('-').unwrap_or((base, ""));
    let versions = [version.to_owned(), format!("{version}.0")];
    if GNU_FAMILIES.contains(&family) {
        let suffix = if or_later { "or-later" } else { "only" };
        let spelled = |version: &String| match version.strip_prefix("NIV-") {
            Some(version) => format!("{family}-{version}-no-invariants-{suffix}"),
            None => format!("{family}-{version}-{suffix}"),
        };
        if let Some(found) = versions.iter().map(spelled).find_map(|id| listed(&id)) {
            return Some(found.to_owned());
        }
    }
    // What tools make of `+` behind other names differs.
    if or_later {
        return None;
    }
    let known = FAMILIES.contains(&family).then(|| format!("{family}-{}", versions[1]));
    listed(name).or_else(|| listed(&known?)).map(str::to_owned)
}

/// The identifier as the list spells it; identifiers have no case.
fn listed(id: &str) -> Option<&'static str> {
    let licenses = spdx::identifiers::LICENSES.iter();
    let names = licenses.filter(|license| license.flags & spdx::flags::IS_DEPRECATED == 0).map(|license| license.name);
    names.into_iter().find(|name| name.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(all: &[&str]) -> String {
        let mut licenses = Licenses::new("pkg+1");
        all.iter().for_each(|names| licenses.add(names, |_| String::new()));
        licenses.finish().unwrap().expression
    }

    #[test]
    fn names_that_the_list_has_are_identifiers() {
        for (name, expected) in [
            ("GPL-2", "GPL-2.0-only"),
            ("GPL-2+", "GPL-2.0-or-later"),
            ("GPL-3.0-or-later", "GPL-3.0-or-later"),
            ("LGPL-2.1+", "LGPL-2.1-or-later"),
            ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"),
            ("Apache-2", "Apache-2.0"),
            ("Artistic-2", "Artistic-2.0"),
            ("BSD-3-clause", "BSD-3-Clause"),
            ("Expat", "MIT"),
            ("ISC", "ISC"),
            // No version of it is said, or the list has none.
            ("GPL", "LicenseRef-pkg-1-GPL"),
            ("Artistic", "LicenseRef-pkg-1-Artistic"),
            ("public-domain", "LicenseRef-pkg-1-public-domain"),
            ("GPL-9+", "LicenseRef-pkg-1-GPL-9-"),
            ("GPL-2.0+", "GPL-2.0-or-later"),
            ("GPL-2.0", "GPL-2.0-only"),
            ("MPL-1.1+", "LicenseRef-pkg-1-MPL-1.1-"),
            // The list's is another.
            ("OPL-1", "LicenseRef-pkg-1-OPL-1"),
            ("GPL-2+ with OpenSSL exception", "LicenseRef-pkg-1-GPL-2--with-OpenSSL-exception"),
        ] {
            assert_eq!(expression(&[name]), expected);
        }
    }

    #[test]
    fn and_binds_tighter_than_or_unless_a_comma_says_otherwise() {
        assert_eq!(expression(&["ISC or GPL-2 and MIT"]), "ISC OR GPL-2.0-only AND MIT");
        assert_eq!(expression(&["ISC or GPL-2, and MIT"]), "(ISC OR GPL-2.0-only) AND MIT");
        assert_eq!(expression(&["ISC or  MIT", "GPL-2", "ISC or MIT"]), "(ISC OR MIT) AND GPL-2.0-only");
        assert_eq!(expression(&["Expat"; 2]), "MIT");
    }

    #[test]
    fn every_expression_is_one_for_the_parser_of_the_list() {
        let names =
            ["ISC", "GPL-2+", "odd (name)", "", "and", ",", "x, or y", "a or", "with x exception", "\u{e9} & b"];
        for first in names {
            for second in names {
                for word in [" and ", " or ", ", and ", ", or ", " "] {
                    let text = expression(&[&format!("{first}{word}{second}"), first]);
                    spdx::Expression::parse(&text).unwrap_or_else(|error| panic!("{first}{word}{second}: {error}"));
                }
            }
        }
    }
}
