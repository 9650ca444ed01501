//! A service manifest (service_bundle(5)) to maps of what each service runs and depends on.
//!
//! A method's command is a shell's (smf_method(7)): its words are named as those of a script. `:kill` and `:true` are
//! done by the restarter, and a `%` token is the service's own name in one place and the value of a property in another,
//! which makes the word unknown. A text that is no XML has nothing to say, as svccfg would refuse it.

use super::{bind, shell};
use crate::rules::pattern::Bindings;
use roxmltree::{Document, Node, ParsingOptions};

/// `service` and `instance` are names as in `svc:/{service}:{instance}`; `instance` is empty for what all instances
/// have. `kind` is `method` or `dependency`, `name` that of it, such as `start`.
///
/// Of a method, `role` and `word` as in [`super`]. Of a dependency, `role` is `service` and `word` an FMRI, or `role` is
/// `path` and `word` a file. The restarter is a dependency of that name.
pub(super) const BINDINGS: &[&str] = &["service", "instance", "kind", "name", "role", "word"];

pub(super) fn read(text: &[u8]) -> Vec<Bindings> {
    let Ok(text) = std::str::from_utf8(text) else { return Vec::new() };
    // Each manifest names the DTD; its entities are limited by the parser.
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let Ok(document) = Document::parse_with_options(text, options) else { return Vec::new() };
    document
        .descendants()
        .flat_map(|node| Item::new(node).map(|item| item.bindings(node)).unwrap_or_default())
        .collect()
}

/// A method or a dependency, and whose it is.
struct Item<'d> {
    service: &'d str,
    instance: &'d str,
    kind: &'static str,
    name: &'d str,
}

impl<'d> Item<'d> {
    fn new(node: Node<'d, '_>) -> Option<Item<'d>> {
        let (kind, name) = match node.tag_name().name() {
            "exec_method" => ("method", node.attribute("name")?),
            "dependency" => ("dependency", node.attribute("name")?),
            "restarter" => ("dependency", "restarter"),
            _ => return None,
        };
        let owner = node.parent()?;
        let (service, instance) = match owner.tag_name().name() {
            "instance" => (owner.parent()?, owner.attribute("name")?),
            _ => (owner, ""),
        };
        let service = service.has_tag_name("service").then(|| service.attribute("name"))??;
        Some(Item { service, instance, kind, name })
    }

    fn bindings(&self, node: Node<'_, '_>) -> Vec<Bindings> {
        let words = if self.kind == "method" { self.method(node) } else { targets(node) };
        let Item { service, instance, kind, name } = self;
        let bindings = words.iter().map(|(role, word)| {
            let names = [*service, *instance, *kind, *name].map(str::as_bytes);
            bind(BINDINGS, [names[0], names[1], names[2], names[3], role.as_bytes(), word])
        });
        bindings.collect()
    }

    fn method(&self, node: Node<'_, '_>) -> Vec<(&'static str, Vec<u8>)> {
        let command = node.attribute("exec").unwrap_or("").trim();
        if command.starts_with(':') {
            return Vec::new();
        }
        let mut words = shell::roles_and_words(self.expanded(command).as_bytes());
        for (role, word) in &mut words {
            if word.contains(&b'%') && *role == "command" {
                *role = "unknown";
            }
        }
        words.retain(|(role, word)| *role != "path" || !word.contains(&b'%'));
        words
    }

    /// The command with the tokens that can be known from the manifest: `%m` the method, `%s` the service, `%i` the
    /// instance, `%%` a per cent sign.
    fn expanded(&self, command: &str) -> String {
        let mut expanded = String::with_capacity(command.len());
        let mut rest = command.chars();
        while let Some(character) = rest.next() {
            if character != '%' {
                expanded.push(character);
                continue;
            }
            match rest.next() {
                Some('m') => expanded.push_str(self.name),
                Some('s') => expanded.push_str(self.service),
                Some('i') if !self.instance.is_empty() => expanded.push_str(self.instance),
                Some(token) => expanded.extend(['%', token]),
                None => expanded.push('%'),
            }
        }
        expanded
    }
}

/// What a dependency names.
fn targets(node: Node<'_, '_>) -> Vec<(&'static str, Vec<u8>)> {
    let fmris = node.children().filter(|child| child.has_tag_name("service_fmri"));
    let fmris = fmris.filter_map(|child| child.attribute("value")).map(str::trim);
    let target = |fmri: &str| match fmri.strip_prefix("file://") {
        // file://localhost/etc/x, or file:///etc/x
        Some(location) => location.find('/').map(|slash| ("path", location.as_bytes()[slash..].to_vec())),
        None => Some(("service", fmri.as_bytes().to_vec())),
    };
    fmris.filter_map(target).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    const MANIFEST: &str = r#"<?xml version="1.0"?>
<!DOCTYPE service_bundle SYSTEM "/usr/share/lib/xml/dtd/service_bundle.dtd.1">
<!-- a comment -->
<service_bundle type='manifest' name='x:console-login'>
<service name='system/console-login' type='service' version='1'>
  <dependency name='fs' grouping='require_all' restart_on='none' type='service'>
    <service_fmri value='svc:/system/filesystem/minimal' />
    <service_fmri value='svc:/system/utmp:default'/>
  </dependency>
  <dependency name='config' grouping='require_all' restart_on='none' type='path'>
    <service_fmri value='file://localhost/etc/ttydefs'/>
    <service_fmri value='file:///etc/x'/>
  </dependency>
  <exec_method type='method' name='stop' exec=':kill -9' timeout_seconds='3'/>
  <instance name='default' enabled='true'>
    <restarter><service_fmri value='svc:/system/svc/restarter:default'/></restarter>
    <exec_method type='method' name='start' exec='/lib/svc/method/%s %m &amp;&amp; /sbin/y /etc/%{p/q}' timeout_seconds='0'/>
  </instance>
</service>
</service_bundle>"#;

    #[test]
    fn methods_and_dependencies_are_named_with_their_service() {
        let s = "system/console-login";
        let expected: Vec<String> = [
            " dependency fs service svc:/system/filesystem/minimal",
            " dependency fs service svc:/system/utmp:default",
            " dependency config path /etc/ttydefs",
            " dependency config path /etc/x",
            "default dependency restarter service svc:/system/svc/restarter:default",
            "default method start command /lib/svc/method/system/console-login",
            "default method start command /sbin/y",
        ]
        .map(|rest| format!("{s} {rest}"))
        .into();
        check("smf-manifest", MANIFEST, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    }

    fn method(exec: &str, expected: &[&str]) {
        let text = format!("<service name='a'><exec_method name='start' exec='{exec}'/></service>");
        check("smf-manifest", &text, expected);
    }

    #[test]
    fn tokens_that_are_not_in_the_manifest_make_a_word_unknown() {
        method("%{prop}/bin/x -f /etc/y", &["a  method start unknown %{prop}/bin/x", "a  method start path /etc/y"]);
        method("/bin/%i %% %", &["a  method start unknown /bin/%i"]);
        method("$HOME/x", &["a  method start unknown $HOME/x"]);
        method(":true", &[]);
        method("", &[]);
    }

    #[test]
    fn what_is_no_manifest_says_nothing() {
        for text in ["", "<service name='a'>", "x", "<exec_method name='start' exec='/a'/>", "<a><b></a></b>"] {
            check("smf-manifest", text, &[]);
        }
    }

    #[test]
    fn entities_and_nesting_without_end_are_refused() {
        let mut entities = String::from("<!DOCTYPE x [<!ENTITY e0 'aaaaaaaaaa'>");
        for level in 1..12 {
            let before = level - 1;
            entities += &format!("<!ENTITY e{level} '{}'>", format!("&e{before};").repeat(10));
        }
        check("smf-manifest", &format!("{entities}]><service name='&e11;'/>"), &[]);
        let nested = format!("{}{}", "<a>".repeat(200_000), "</a>".repeat(200_000));
        check("smf-manifest", &nested, &[]);
    }
}
