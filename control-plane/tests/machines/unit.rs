//! A unit of systemd as far as it says what is run, and as whom.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::machine::Namespaces;

/// Where packages have them.
const FOLDER: &str = "/usr/lib/systemd/system";
/// What a service may have made for it: the setting, and where that is.
const FOLDERS: [(&str, &str); 3] =
    [("StateDirectory", "/var/lib"), ("LogsDirectory", "/var/log"), ("RuntimeDirectory", "/run")];

/// One that is installed.
pub(crate) struct Unit {
    /// Without `.service`.
    pub(crate) name: String,
    host: String,
    settings: Vec<(String, String)>,
}

impl Unit {
    pub(crate) fn installed(name: &str, machine: &str, on: Namespaces) -> Result<Self> {
        let name = name.trim_end_matches(".service");
        let file = format!("{FOLDER}/{name}.service");
        let text = fs::read_to_string(on.path(&file)).with_context(|| format!("no {file}"))?;
        let settings = text.lines().filter_map(|line| line.split_once('='));
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Ok(Self { name: name.to_owned(), host: machine.to_owned(), settings })
    }

    fn all(&self, key: &str) -> impl Iterator<Item = String> {
        let values = self.settings.iter().filter(move |(it, _)| it == key);
        values.map(|(_, value)| value.replace("%H", &self.host).replace("%p", &self.name))
    }

    /// The last one counts.
    pub(crate) fn value(&self, key: &str) -> Option<String> {
        self.all(key).last()
    }

    pub(crate) fn user(&self) -> Option<String> {
        self.value("User")
    }

    /// The words of a command, with variables in them as systemd has them: one that is a word by itself is split.
    pub(crate) fn words(
        &self,
        key: &str,
        variables: &BTreeMap<String, String>,
    ) -> Result<Vec<String>> {
        let command = self.value(key).with_context(|| format!("{} has no {key}", self.name))?;
        let word = |word: &str| -> Vec<String> {
            let Some(name) = word.strip_prefix('$') else { return vec![word.to_owned()] };
            let value = variables.get(name).map_or("", String::as_str);
            value.split_whitespace().map(str::to_owned).collect()
        };
        Ok(command.split_whitespace().flat_map(word).collect())
    }

    /// What it has in its environment.
    pub(crate) fn variables(&self, on: Namespaces) -> Result<BTreeMap<String, String>> {
        let mut lines: Vec<_> = self.all("Environment").collect();
        for file in self.all("EnvironmentFile") {
            let (path, may_be_absent) =
                file.strip_prefix('-').map_or((&*file, false), |path| (path, true));
            match fs::read_to_string(on.path(path)) {
                Ok(text) => lines.extend(text.lines().map(str::to_owned)),
                Err(error) => ensure!(may_be_absent, "{path}: {error}"),
            }
        }
        let set = lines.iter().filter(|line| !line.starts_with('#'));
        let set = set.filter_map(|line| line.split_once('='));
        Ok(set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// The folders that are made for it, with their modes.
    pub(crate) fn folders(&self) -> Vec<(String, String)> {
        let made = FOLDERS.iter().filter_map(|(key, below)| {
            let mode = self.value(&format!("{key}Mode")).unwrap_or_else(|| "0755".to_owned());
            Some((format!("{below}/{}", self.value(key)?), mode))
        });
        made.collect()
    }
}
