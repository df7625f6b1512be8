//! Where the programs under test are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context as _, Result, bail};

/// The control plane: `WANGLOU_CONTROL_PLANE`, else built now.
///
/// # Errors
///
/// If that is no program, or does not compile.
pub fn control_plane() -> Result<PathBuf> {
    match env::var_os("WANGLOU_CONTROL_PLANE") {
        Some(given) => there("WANGLOU_CONTROL_PLANE", given.into()),
        None => build("wanglou-control-plane", "wanglou-control-plane"),
    }
}

/// The operator's program: `WANGLOU_CLI`, else built now.
///
/// # Errors
///
/// If that is no program, or does not compile.
pub fn cli() -> Result<PathBuf> {
    match env::var_os("WANGLOU_CLI") {
        Some(given) => there("WANGLOU_CLI", given.into()),
        None => build("wanglou-cli", "wanglou"),
    }
}

/// The sensor: `WANGLOU_SENSOR`. Its probes need a toolchain of their own, so that it is not built here.
///
/// # Errors
///
/// If that is not set, or no program.
pub fn sensor() -> Result<PathBuf> {
    let given = env::var_os("WANGLOU_SENSOR");
    let given = given.context("WANGLOU_SENSOR is not set: run `cargo xtask build`, and set it")?;
    there("WANGLOU_SENSOR", given.into())
}

/// What is upgraded from: programs of an earlier version in the folder `WANGLOU_PREVIOUS`.
///
/// # Errors
///
/// If that is set and one of them is not there.
pub fn previous() -> Result<Option<[PathBuf; 2]>> {
    let Some(folder) = env::var_os("WANGLOU_PREVIOUS").map(PathBuf::from) else { return Ok(None) };
    let program = |name: &str| there("WANGLOU_PREVIOUS", folder.join(name));
    Ok(Some([program("wanglou-sensor")?, program("wanglou-control-plane")?]))
}

/// One of this crate's own: in the folder `WANGLOU_FLEET_BIN`, else built now.
///
/// # Errors
///
/// If that is no program, or does not compile.
pub fn testkit(name: &str) -> Result<PathBuf> {
    match env::var_os("WANGLOU_FLEET_BIN") {
        Some(folder) => there("WANGLOU_FLEET_BIN", Path::new(&folder).join(name)),
        None => build("wanglou-fleet-testkit", name),
    }
}

fn there(variable: &str, path: PathBuf) -> Result<PathBuf> {
    if !path.is_file() {
        bail!("{variable} leads to {}, which is no file: build it, or unset it", path.display());
    }
    Ok(path)
}

/// Builds it as the tests themselves are built, into the folder that they are in.
fn build(package: &str, name: &str) -> Result<PathBuf> {
    // Tests of one program that want it at once wait for the first.
    static BUILT: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let me = env::current_exe()?;
    // Tests are in target/debug/deps, binaries one above.
    let folder = me.ancestors().skip(1).find(|it| !it.ends_with("deps"));
    let folder = folder.context("this program is in no folder")?;
    let mut built =
        BUILT.lock().map_err(|_| anyhow::anyhow!("building {name} has failed before"))?;
    if !built.iter().any(|it| it == name) {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["build", "--quiet", "--package", package, "--bin", name]);
        if folder.ends_with("release") {
            command.arg("--release");
        }
        let status = command.current_dir(env!("CARGO_MANIFEST_DIR")).status();
        if !status.context("cannot start cargo")?.success() {
            bail!("{name} does not compile");
        }
        built.push(name.to_owned());
    }
    there("the target folder", folder.join(name))
}
