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
    pub(super) unit: Option<Unit>,
}

/// A service of a machine.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) name: &'static str,
    /// It works as it is installed. Others are enabled by whoever has given them what they need.
    pub(super) starts: bool,
    /// Who it runs as, as a file of sysusers.d; root if nobody else.
    pub(super) user: Option<&'static str>,
    /// Folders that it makes, and that go when it is purged.
    pub(super) folders: &'static [&'static str],
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
        unit: Some(Unit {
            name: "wanglou-sensor.service",
            starts: true,
            user: None,
            folders: &["/var/lib/wanglou", "/var/log/wanglou"],
        }),
    },
    Program {
        name: "wanglou-control-plane",
        package: "wanglou-control-plane",
        about: "runs a fleet of Wanglou sensors",
        image: "wanglou/control-plane",
        command: &["serve"],
        files: &[
            (
                "docs/deploy/systemd/wanglou-control-plane.service",
                "usr/lib/systemd/system/wanglou-control-plane.service",
            ),
            (
                "docs/deploy/systemd/wanglou-control-plane.sysusers",
                "usr/lib/sysusers.d/wanglou-control-plane.conf",
            ),
            ("docs/deploy/systemd/control-plane.toml", "etc/wanglou/control-plane.toml"),
        ],
        unit: Some(Unit {
            name: "wanglou-control-plane.service",
            starts: false,
            user: Some("wanglou-control-plane.conf"),
            folders: &["/var/lib/wanglou-control-plane"],
        }),
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
