//! Where the binaries under test, and the ones that play the processes, are.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

/// The sensor: `WANGLOU_SENSOR`, else the release binary of this workspace, else its debug one.
pub fn sensor() -> Result<PathBuf> {
    find("WANGLOU_SENSOR", None, "wanglou-sensor", "cargo xtask build")
}

/// One of this crate's own binaries: in the folder `WANGLOU_TESTKIT_BIN`, else beside the sensor.
pub fn testkit(name: &str) -> Result<PathBuf> {
    let build = "cargo build --release -p wanglou-testkit --bins";
    find("WANGLOU_TESTKIT_BIN", Some(name), name, build)
}

fn find(variable: &str, inside: Option<&str>, name: &str, build: &str) -> Result<PathBuf> {
    if let Some(given) = env::var_os(variable) {
        let path =
            inside.map_or_else(|| PathBuf::from(&given), |file| Path::new(&given).join(file));
        if !path.is_file() {
            bail!("{variable} leads to {}, which is no file: run `{build}`", path.display());
        }
        return Ok(path);
    }
    let me = env::current_exe()?;
    // Tests are in target/debug/deps, binaries in target/release or, in a guest, all in one folder.
    for folder in me.ancestors().skip(1).take(4) {
        for candidate in [folder.join(name), folder.join("release").join(name)] {
            if candidate.is_file() {
                return Ok(prefer_release(&candidate));
            }
        }
    }
    bail!("{name} not found near {}: run `{build}` or set {variable}", me.display())
}

/// What is measured should be what is shipped.
fn prefer_release(found: &Path) -> PathBuf {
    let release = || {
        let (folder, name) = (found.parent()?, found.file_name()?);
        let sibling = folder.parent()?.join("release").join(name);
        sibling.is_file().then_some(sibling)
    };
    release().unwrap_or_else(|| found.to_owned())
}

/// Whether the sensor can attach a probe here, as its doctor says.
pub fn attaches(probe: &str) -> Result<bool> {
    let output = Command::new(sensor()?).arg("doctor").output().context("no doctor")?;
    let findings = String::from_utf8_lossy(&output.stdout);
    let line = findings.lines().find(|line| {
        let mut words = line.split_whitespace().skip(1);
        words.next() == Some("probe:") && words.next() == Some(probe)
    });
    Ok(line.with_context(|| format!("doctor knows no probe {probe}"))?.starts_with("ok"))
}
