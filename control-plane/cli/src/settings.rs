//! Whom to ask, as whom: from flags, environment and file, in this order.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use wanglou_api::dial::check_endpoint;

use crate::cli::Connection;
use crate::failure::{Usage, one_line};

/// Where a replica listens on the machine that one is logged in to.
const LOCAL: &str = "localhost:7443";

/// All that a connection needs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// At least one.
    pub(crate) endpoints: Vec<String>,
    /// PEM.
    pub(crate) certificate: PathBuf,
    /// PEM.
    pub(crate) key: PathBuf,
    /// PEM.
    pub(crate) authorities: PathBuf,
    /// PEM; for starts only.
    pub(crate) signing_key: Option<PathBuf>,
}

/// `cli.toml`. Paths in it begin at its folder.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    endpoints: Vec<String>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    authorities: Option<PathBuf>,
    signing_key: Option<PathBuf>,
}

impl Settings {
    /// As they are here and now.
    pub(crate) fn load(flags: &Connection) -> Result<Self> {
        Self::of(flags, &|name| env::var_os(name))
    }

    fn of(flags: &Connection, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let path = file_path(&set);
        let file = path.as_deref().map(read).transpose()?.unwrap_or_default();
        let choose = |flag: &Option<PathBuf>, name: &str, of_file: Option<PathBuf>| {
            flag.clone().or_else(|| set(name).map(PathBuf::from)).or(of_file)
        };
        let need = |found: Option<PathBuf>, what: &str, name: &str| {
            found.with_context(|| missing(what, name, path.as_deref()))
        };
        let endpoints = if !flags.endpoint.is_empty() {
            flags.endpoint.clone()
        } else if let Some(list) = set("WANGLOU_ENDPOINT") {
            list.to_string_lossy().split(',').map(|one| one.trim().to_owned()).collect()
        } else if !file.endpoints.is_empty() {
            file.endpoints
        } else {
            vec![LOCAL.to_owned()]
        };
        for endpoint in &endpoints {
            check_endpoint(endpoint).map_err(|error| Usage(error.to_string()))?;
        }
        let certificate = choose(&flags.certificate, "WANGLOU_CERTIFICATE", file.certificate);
        let key = choose(&flags.key, "WANGLOU_KEY", file.key);
        let authorities = choose(&flags.authorities, "WANGLOU_AUTHORITIES", file.authorities);
        Ok(Self {
            endpoints,
            certificate: need(certificate, "certificate", "certificate")?,
            key: need(key, "key to the certificate", "key")?,
            authorities: need(authorities, "authorities of the fleet", "authorities")?,
            signing_key: choose(&flags.signing_key, "WANGLOU_SIGNING_KEY", file.signing_key),
        })
    }
}

/// Why something that has to be set is not, and where to set it.
pub(crate) fn missing(what: &str, name: &str, file: Option<&Path>) -> String {
    let variable = name.to_uppercase();
    let flag = name.replace('_', "-");
    let default = Path::new("~/.config/wanglou/cli.toml");
    let file = file.unwrap_or(default).display();
    format!(
        "no {what} is set: give --{flag} FILE, WANGLOU_{variable}, or {name} = \"FILE\" in {file}"
    )
}

fn file_path(set: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = set("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = folder.or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".config")))?;
    Some(folder.join("wanglou/cli.toml"))
}

/// Bytes that are far more than all settings need.
const MAX_BYTES: u64 = 1 << 20;

fn read(path: &Path) -> Result<File> {
    let text = match fs::metadata(path) {
        Ok(found) if found.len() > MAX_BYTES => Err(io::Error::other("it is too large")),
        Ok(_) => fs::read_to_string(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(File::default()),
        Err(error) => Err(error),
    };
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    let mut file: File = toml::from_str(&text).map_err(|error| {
        let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
        let line = 1 + before.matches('\n').count();
        anyhow::anyhow!("{}:{line}: {}", path.display(), one_line(error.message()))
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    for path in [&mut file.certificate, &mut file.key, &mut file.authorities, &mut file.signing_key]
    {
        *path = path.take().map(|path| folder.join(path));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn of(flags: &Connection, variables: &[(&str, &str)]) -> Result<Settings> {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        Settings::of(flags, &|name| variables.get(name).map(OsString::from))
    }

    fn folder(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("wanglou")).expect("a folder");
        fs::write(folder.path().join("wanglou/cli.toml"), text).expect("a file");
        folder
    }

    #[test]
    fn flags_go_before_environment_and_environment_before_the_file() {
        let folder = folder(
            "endpoints = [\"file:1\"]\ncertificate = \"file.pem\"\nkey = \"/file.key\"\nauthorities = \"ca.pem\"",
        );
        let home = folder.path().to_str().expect("UTF-8");
        let flags = Connection { key: Some("flag.key".into()), ..Connection::default() };
        let variables = [
            ("XDG_CONFIG_HOME", home),
            ("WANGLOU_ENDPOINT", "one, two:2"),
            ("WANGLOU_KEY", "variable.key"),
            ("WANGLOU_CERTIFICATE", ""),
        ];
        let settings = of(&flags, &variables).expect("settings");
        assert_eq!(settings.endpoints, ["one", "two:2"]);
        assert_eq!(settings.key, Path::new("flag.key"));
        assert_eq!(settings.certificate, folder.path().join("wanglou/file.pem"));
        assert_eq!(settings.authorities, folder.path().join("wanglou/ca.pem"));
        assert_eq!(settings.signing_key, None);
    }

    #[test]
    fn what_is_missing_says_where_it_could_be_set() {
        let error =
            of(&Connection::default(), &[("HOME", "/nowhere")]).expect_err("nothing is set");
        assert_eq!(
            error.to_string(),
            "no certificate is set: give --certificate FILE, WANGLOU_CERTIFICATE, or certificate = \"FILE\" in /nowhere/.config/wanglou/cli.toml"
        );
    }

    #[test]
    fn a_mistake_in_the_file_has_a_line() {
        let folder = folder("key = \"a\"\nceritficate = \"b\"\n");
        let home = folder.path().to_str().expect("UTF-8");
        let error =
            of(&Connection::default(), &[("XDG_CONFIG_HOME", home)]).expect_err("a mistake");
        let text = error.to_string();
        assert!(text.contains("cli.toml:2: unknown field `ceritficate`"), "{text}");
    }

    #[test]
    fn what_is_no_endpoint_is_wrong_usage() {
        let flags = Connection { endpoint: vec!["https://a".to_owned()], ..Connection::default() };
        let error = of(&flags, &[]).expect_err("no endpoint");
        assert!(error.is::<Usage>(), "{error}");
    }
}
