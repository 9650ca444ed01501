//! What a container runs: a recipe's `[oci]`, and its startup where that says enough.
//!
//! A container has one process and no `/init`, so that a recipe with one startup line says all, and one with several
//! says too much: which of them it is, only the table can tell.

use crate::recipe::Recipe;
use crate::startup::{Command, PROGRAM_DIRECTORIES, StartupError, command_line};
use std::collections::{BTreeMap, BTreeSet};

/// What an image says of the process that starts in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// What the image is called when it is loaded, `hello:1.0`; without a tag it is `latest`.
    pub name: Option<String>,
    /// Empty when a user of the image has to say what to start.
    pub entrypoint: Vec<String>,
    /// Arguments that a user of the image may replace.
    pub cmd: Vec<String>,
    /// Variables the process starts with; [`ImageConfig::of`] gives it a `PATH`.
    pub env: BTreeMap<String, String>,
    /// `USER` or `USER:GROUP`; root when absent.
    pub user: Option<String>,
    /// `/` when absent.
    pub workdir: Option<String>,
    /// `8000/tcp`.
    pub ports: BTreeSet<String>,
    /// Labels of the image, as annotations for whoever runs it.
    pub labels: BTreeMap<String, String>,
}

impl ImageConfig {
    /// What `recipe` says; with several startup lines and no entry point in its table, nothing is started.
    ///
    /// # Errors
    /// A startup line that cannot be taken apart.
    pub fn of(recipe: &Recipe) -> Result<ImageConfig, StartupError> {
        let oci = &recipe.oci;
        let mut env = BTreeMap::from([("PATH".to_owned(), PROGRAM_DIRECTORIES.join(":"))]);
        let entrypoint = match (&oci.entrypoint, &recipe.startup[..]) {
            (Some(entrypoint), _) => entrypoint.clone(),
            (None, [only]) => match command_line(&only.run)? {
                Command::Words { environment, words } => {
                    let pairs = environment.iter().filter_map(|variable| variable.split_once('='));
                    env.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
                    words
                }
                shell @ Command::Shell { .. } => {
                    vec![shell.program().to_owned(), "-c".to_owned(), only.run.clone()]
                }
            },
            (None, _) => Vec::new(),
        };
        env.extend(oci.env.clone());
        Ok(ImageConfig {
            name: oci.name.clone(),
            entrypoint,
            cmd: oci.cmd.clone().unwrap_or_default(),
            env,
            user: oci.user.clone(),
            workdir: oci.workdir.clone(),
            ports: recipe.ports().into_iter().collect(),
            labels: oci.labels.clone(),
        })
    }

    /// Repository and tag.
    pub(super) fn reference(&self) -> Option<(&str, &str)> {
        let name = self.name.as_deref()?;
        // A colon before a slash belongs to the port of a registry.
        Some(name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).unwrap_or((name, "latest")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(recipe: &str) -> ImageConfig {
        ImageConfig::of(&toml::from_str(recipe).unwrap()).unwrap()
    }

    #[test]
    fn the_only_startup_line_is_the_entry_point_with_its_variables() {
        let config =
            config("[[startup]]\nrun = \"PORT=80 node '/srv/a b.js'\"\n[oci]\nenv = { A = '1' }\ncmd = ['-v']");
        assert_eq!(config.entrypoint, ["node", "/srv/a b.js"]);
        assert_eq!(config.cmd, ["-v"]);
        let path = format!("PATH={}", PROGRAM_DIRECTORIES.join(":"));
        let env: Vec<String> = config.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(env, ["A=1", &path, "PORT=80"]);
    }

    #[test]
    fn a_line_of_a_shell_is_given_to_it() {
        let run = "echo $HOME | cat";
        assert_eq!(config(&format!("[[startup]]\nrun = '{run}'")).entrypoint, ["/bin/sh", "-c", run]);
    }

    #[test]
    fn of_several_startup_lines_none_is_the_entry_point() {
        let lines = "[[startup]]\nrun = 'a'\n[[startup]]\nrun = 'b'\n";
        assert!(config(lines).entrypoint.is_empty());
        assert_eq!(config(&format!("{lines}[oci]\nentrypoint = ['b', '-x']")).entrypoint, ["b", "-x"]);
    }

    #[test]
    fn the_tag_is_behind_the_last_slash() {
        let reference = |name: &str| {
            let config = ImageConfig { name: Some(name.to_owned()), ..ImageConfig::default() };
            config.reference().map(|(repository, tag)| format!("{repository} {tag}")).unwrap()
        };
        assert_eq!(reference("hello"), "hello latest");
        assert_eq!(reference("hello:1.0"), "hello 1.0");
        assert_eq!(reference("example.org:5000/hello"), "example.org:5000/hello latest");
        assert_eq!(reference("example.org:5000/hello:2"), "example.org:5000/hello 2");
    }
}
