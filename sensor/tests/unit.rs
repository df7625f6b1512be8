//! The systemd unit: that it is one, and that what it asks for is explained.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use wanglou_testkit::{bins, scratch::Scratch};

const UNIT: &str = "docs/deploy/systemd/wanglou-sensor.service";

#[test]
fn each_capability_is_explained() -> Result<()> {
    let unit = fs::read_to_string(file(UNIT))?;
    let asked: BTreeSet<_> = value(&unit, "CapabilityBoundingSet=")?.split(' ').collect();
    let page = fs::read_to_string(file("docs/security.md"))?;
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `CAP_"));
    let explained: BTreeSet<_> =
        rows.filter_map(|row| row.split_once('`')).map(|(name, _)| format!("CAP_{name}")).collect();
    let explained: BTreeSet<_> = explained.iter().map(String::as_str).collect();
    ensure!(asked == explained, "the unit asks for {asked:?}, the page explains {explained:?}");
    Ok(())
}

#[test]
fn nothing_blinds_the_sensor() -> Result<()> {
    let unit = fs::read_to_string(file(UNIT))?;
    for option in ["ProtectProc", "ProcSubset", "PrivateNetwork", "PrivateUsers", "PrivatePIDs"] {
        let asks = unit.lines().any(|line| line.starts_with(&format!("{option}=")));
        ensure!(!asks, "{option} hides the host from the sensor");
    }
    // A start that takes long is extended, a worker's end takes 25 s at most.
    ensure!(value(&unit, "Type=")? == "notify" && value(&unit, "KillMode=")? == "mixed");
    let seconds =
        |key| value(&unit, key)?.trim_end_matches('s').parse::<u32>().context("no number");
    ensure!(seconds("TimeoutStopSec=")? > 25 && seconds("WatchdogSec=")? >= 60);
    Ok(())
}

#[test]
fn its_settings_are_right() -> Result<()> {
    let settings = file("docs/deploy/systemd/sensor.toml");
    let output = Command::new(bins::sensor()?).args(["config", "check"]).arg(settings).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn systemd_finds_nothing_wrong() -> Result<()> {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("skipped: there is no systemd-analyze");
        return Ok(());
    }
    // It looks for the program where the unit says.
    let scratch = Scratch::new("unit")?;
    let copy = scratch.join("wanglou-sensor.service");
    let sensor = bins::sensor()?.display().to_string();
    let unit = fs::read_to_string(file(UNIT))?.replace("/usr/bin/wanglou-sensor", &sensor);
    fs::write(&copy, unit)?;
    let output = Command::new("systemd-analyze").arg("verify").arg(&copy).output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    let about_us: Vec<_> = told.lines().filter(|line| line.contains("wanglou-sensor")).collect();
    ensure!(about_us.is_empty(), "it says: {told}");
    Ok(())
}

/// What the unit says to a key, the first time.
fn value<'a>(unit: &'a str, key: &str) -> Result<&'a str> {
    let line = unit.lines().find_map(|line| line.strip_prefix(key));
    line.with_context(|| format!("the unit has no {key}"))
}

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
