//! What there is to give.

use anyhow::{Context as _, Result};

/// A program, and what comes with it.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) package: &'static str,
    /// One line.
    pub(super) about: &'static str,
    /// What its image is called.
    pub(super) image: &'static str,
    /// What its image does when nobody says what.
    pub(super) command: &'static [&'static str],
    /// Files of the repository, and where the Debian package has them.
    pub(super) files: &'static [(&'static str, &'static str)],
    /// The unit of systemd that starts it.
    pub(super) unit: Option<&'static str>,
}

const ALL: [Program; 3] = [
    Program {
        name: "wanglou-sensor",
        package: "wanglou-sensor",
        about: "tells what each process of a host does, and whom it talks to",
        image: "wanglou/sensor",
        command: &["run"],
        files: &[
            (
                "docs/deploy/systemd/wanglou-sensor.service",
                "usr/lib/systemd/system/wanglou-sensor.service",
            ),
            ("docs/deploy/systemd/sensor.toml", "etc/wanglou/sensor.toml"),
        ],
        unit: Some("wanglou-sensor.service"),
    },
    Program {
        name: "wanglou-control-plane",
        package: "wanglou-control-plane",
        about: "runs a fleet of Wanglou sensors",
        image: "wanglou/control-plane",
        command: &["serve"],
        files: &[],
        unit: None,
    },
    Program {
        name: "wanglou",
        package: "wanglou-cli",
        about: "the operator's side of a fleet of Wanglou sensors",
        image: "wanglou/cli",
        command: &["--help"],
        files: &[],
        unit: None,
    },
];

/// The one of that name, or all.
pub(super) fn chosen(name: Option<&str>) -> Result<&'static [Program]> {
    let Some(name) = name else { return Ok(&ALL) };
    let at = ALL.iter().position(|program| program.name == name);
    let at = at.with_context(|| {
        let names: Vec<_> = ALL.iter().map(|program| program.name).collect();
        format!("there is no {name:?}: one of {}", names.join(", "))
    })?;
    Ok(&ALL[at..=at])
}
