//! The real sensor, as one host of a fleet.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::bins;
use crate::cable::Cable;
use crate::process::Process;
use crate::replica::Fleet;

/// Starts it at the far end of a cable, where it finds a replica at the near one; to be killed, stopped, terminated.
///
/// # Errors
///
/// If it cannot be started.
pub fn start(fleet: &Fleet, id: &str, cable: &Cable) -> Result<Process> {
    let command = cable.command(&bins::sensor()?);
    launch(fleet, id, command, &cable.address().to_string(), &[])
}

/// Starts it on this host, as this host, with more settings: what it tells is then believed.
///
/// # Errors
///
/// If it cannot be started, or this host has no machine-id.
pub fn start_here(fleet: &Fleet, replica: &str, settings: &[&str]) -> Result<Process> {
    start_this_here(&bins::sensor()?, fleet, replica, settings)
}

/// The same with a program of choice.
///
/// # Errors
///
/// If it cannot be started, or this host has no machine-id.
pub fn start_this_here(
    program: &Path,
    fleet: &Fleet,
    replica: &str,
    settings: &[&str],
) -> Result<Process> {
    launch(fleet, &machine_id()?, Command::new(program), replica, settings)
}

/// As the sensor knows this host.
///
/// # Errors
///
/// If this host has no machine-id.
pub fn machine_id() -> Result<String> {
    let id = fs::read_to_string("/etc/machine-id").context("this host has no /etc/machine-id")?;
    Ok(id.trim().to_owned())
}

fn launch(
    fleet: &Fleet,
    id: &str,
    mut command: Command,
    replica: &str,
    settings: &[&str],
) -> Result<Process> {
    let files = fleet.pki.issue(&format!("spiffe://{}/host/{id}", fleet.name))?;
    let files = files.write(fleet.folder(), &format!("sensor-{id}"))?;
    let state = fleet.folder().join(format!("sensor-{id}-state"));
    fs::create_dir_all(&state)?;
    command.arg("run");
    for (setting, value) in [
        ("sensor.state_directory", state.display().to_string()),
        ("sensor.backend", "ebpf".to_owned()),
        // What it costs is not what is looked at.
        ("budget.cpu_percent", "10000".to_owned()),
        ("control.endpoints", replica.to_owned()),
        ("control.certificate", files.certificate.display().to_string()),
        ("control.key", files.key.display().to_string()),
        ("control.authorities", files.authorities.display().to_string()),
        ("control.stop_keys", fleet.stop_key.public.display().to_string()),
        ("control.operator_keys", fleet.operator_key.public.display().to_string()),
    ] {
        command.args(["--set", &format!("{setting}={value}")]);
    }
    command.args(settings.iter().flat_map(|setting| ["--set", setting]));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    Process::start(command, &fleet.folder().join(format!("sensor-{id}.log")))
}
