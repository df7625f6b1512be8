//! The real sensor, as one host of a fleet.

use std::fs;
use std::process::Stdio;

use anyhow::Result;

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
    let files = fleet.pki.issue(&format!("spiffe://{}/host/{id}", fleet.name))?;
    let files = files.write(fleet.folder(), &format!("sensor-{id}"))?;
    let state = fleet.folder().join(format!("sensor-{id}-state"));
    fs::create_dir_all(&state)?;
    let mut command = cable.command(&bins::sensor()?);
    command.arg("run");
    for (setting, value) in [
        ("sensor.state_directory", state.display().to_string()),
        ("sensor.backend", "ebpf".to_owned()),
        // What it costs is not what is looked at.
        ("budget.cpu_percent", "10000".to_owned()),
        ("control.endpoints", cable.address().to_string()),
        ("control.certificate", files.certificate.display().to_string()),
        ("control.key", files.key.display().to_string()),
        ("control.authorities", files.authorities.display().to_string()),
        ("control.stop_keys", fleet.stop_key.public.display().to_string()),
        ("control.operator_keys", fleet.operator_key.public.display().to_string()),
    ] {
        command.args(["--set", &format!("{setting}={value}")]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null());
    Process::start(command, &fleet.folder().join(format!("sensor-{id}.log")))
}
