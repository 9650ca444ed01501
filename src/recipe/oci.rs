//! `[oci]`: what a container runs, where the recipe's `[[startup]]` does not say it.

use super::{Recipe, join, replace};
use crate::path::RootPath;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What a container image says of the process that starts in it; the words are those of the image specification.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Oci {
    /// What the image is called when it is loaded: `hello`, `registry.example.org/hello:1.0`.
    pub name: Option<String>,
    /// The program and its first arguments; else those of the only `[[startup]]`.
    pub entrypoint: Option<Vec<String>>,
    /// Further arguments, which those of `docker run` take the place of.
    pub cmd: Option<Vec<String>>,
    /// Variables the process starts with, beside those of the startup line.
    pub env: BTreeMap<String, String>,
    /// `USER` or `USER:GROUP`, names or numbers.
    pub user: Option<String>,
    /// Where the process starts.
    pub workdir: Option<String>,
    /// `8000`, `53/udp`; the port of the recipe's HTTP check when there are none.
    pub ports: Vec<String>,
    /// Labels, such as `org.opencontainers.image.source`.
    pub labels: BTreeMap<String, String>,
}

/// A name as registries take it: an optional host, path components, an optional tag (distribution specification,
/// "Pulling manifests"; the host as in Docker's reference grammar).
const NAME: &str = r"(?x)^
    (?: [a-zA-Z0-9] [a-zA-Z0-9.-]* (?: :[0-9]+ )? / )?
    [a-z0-9]+ (?: (?: \. | _ | __ | -+ | / ) [a-z0-9]+ )*
    (?: :[a-zA-Z0-9_] [a-zA-Z0-9_.-]{0,127} )?
$";

impl Oci {
    /// Adds what a later recipe says.
    pub(super) fn merge(&mut self, later: Oci) {
        let Oci { name, entrypoint, cmd, env, user, workdir, ports, labels } = later;
        replace(&mut self.name, name);
        replace(&mut self.entrypoint, entrypoint);
        replace(&mut self.cmd, cmd);
        self.env.extend(env);
        replace(&mut self.user, user);
        replace(&mut self.workdir, workdir);
        join(&mut self.ports, ports);
        self.labels.extend(labels);
    }

    pub(super) fn check(&self) -> Result<(), String> {
        self.check_strings()?;
        let is_name = |name: &String| regex::Regex::new(NAME).expect("a constant").is_match(name);
        if let Some(name) = self.name.as_ref().filter(|name| !is_name(name)) {
            return Err(format!("[oci] `{name}` is no name of an image: give one such as `example.org/hello:1.0`"));
        }
        if let Some(entrypoint) = &self.entrypoint
            && entrypoint.first().is_none_or(String::is_empty)
        {
            return Err("[oci] `entrypoint` begins with no program".to_owned());
        }
        if let Some(name) = self.env.keys().find(|name| name.is_empty() || name.contains('=')) {
            return Err(format!("[oci] `{name}` is no name of a variable"));
        }
        if let Some(workdir) = &self.workdir {
            RootPath::new(workdir).map_err(|error| format!("[oci] workdir `{workdir}`: {error}"))?;
        }
        match self.ports.iter().find(|port| !is_port(port)) {
            Some(port) => Err(format!("[oci] `{port}` is no port: give one such as `8000` or `53/udp`")),
            None => Ok(()),
        }
    }

    /// No argument, variable or user of a process holds a NUL byte.
    fn check_strings(&self) -> Result<(), String> {
        let lists = self.entrypoint.iter().chain(&self.cmd).flatten();
        let strings = lists.chain(self.env.iter().flat_map(|(name, value)| [name, value]));
        match strings.chain(&self.user).find(|text| text.contains('\0')) {
            Some(text) => Err(format!("[oci] `{}` has a NUL byte", text.escape_debug())),
            None => Ok(()),
        }
    }
}

impl Recipe {
    /// The ports that a container listens on, with their protocol: `8000/tcp`.
    pub fn ports(&self) -> Vec<String> {
        let checked = self.check.http.as_ref().filter(|_| self.oci.ports.is_empty());
        let ports = self.oci.ports.iter().cloned().chain(checked.map(|http| http.port.to_string()));
        ports.map(|port| if port.contains('/') { port } else { format!("{port}/tcp") }).collect()
    }
}

fn is_port(text: &str) -> bool {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    number.parse::<u16>().is_ok_and(|number| number > 0) && matches!(protocol, "tcp" | "udp" | "sctp")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(table: &str) -> Result<(), String> {
        toml::from_str::<Recipe>(&format!("[oci]\n{table}")).unwrap().oci.check()
    }

    #[test]
    fn names_are_those_that_registries_take() {
        for name in ["hello", "a/b-c__d.e:1.0_x", "example.org:5000/Team"] {
            assert_eq!(checked(&format!("name = '{name}'")).is_ok(), name != "example.org:5000/Team", "{name}");
        }
        for name in ["", "Hello", "hello:", "hello:a b", "a//b", "-a", "a/", "hello@sha256:00", "a___b", "h:.x"] {
            assert!(checked(&format!("name = '{name}'")).unwrap_err().contains("no name of an image"), "{name}");
        }
        assert!(checked("name = 'Registry.example.org:5000/team/hello:v1'").is_ok());
    }

    #[test]
    fn what_no_process_can_have_is_refused() {
        for (table, expected) in [
            ("entrypoint = []", "begins with no program"),
            ("entrypoint = ['', 'x']", "begins with no program"),
            ("cmd = [\"a\\u0000b\"]", "`a\\0b` has a NUL byte"),
            ("env = { 'A=B' = 'x' }", "`A=B` is no name of a variable"),
            ("workdir = 'srv'", "workdir `srv`: the path is not absolute"),
            ("ports = ['0']", "`0` is no port"),
            ("ports = ['80/icmp']", "`80/icmp` is no port"),
            ("ports = ['65536']", "`65536` is no port"),
        ] {
            let problem = checked(table).unwrap_err();
            assert!(problem.starts_with("[oci] ") && problem.contains(expected), "{table}: {problem}");
        }
    }

    #[test]
    fn the_port_of_the_check_is_the_port_of_the_container_unless_the_table_has_some() {
        let ports = |text: &str| toml::from_str::<Recipe>(text).unwrap().ports();
        assert_eq!(ports("[check]\nhttp = { port = 8000 }"), ["8000/tcp"]);
        assert_eq!(ports("[check]\nhttp = { port = 8000 }\n[oci]\nports = ['53/udp', '80']"), ["53/udp", "80/tcp"]);
        assert!(ports("").is_empty());
    }

    #[test]
    fn later_recipes_override_values_and_add_variables_and_labels() {
        let mut first: Recipe = toml::from_str("[oci]\nuser='1'\nenv={A='1',B='2'}\nports=['1']").unwrap();
        first.merge(toml::from_str("[oci]\nuser='2'\nenv={B='3'}\nports=['1','2']\nlabels={a='b'}").unwrap()).unwrap();
        let expected = "[oci]\nuser='2'\nenv={A='1',B='3'}\nports=['1','2']\nlabels={a='b'}";
        assert_eq!(first, toml::from_str(expected).unwrap());
    }
}
