//! A fleet of one host: its keys, its certificates, and the settings of a sensor that is joined to it.

use std::{path::PathBuf, time::SystemTime};

use anyhow::Result;
use wanglou_api::signing::Signer;

use crate::{pki::Pki, replica::Replica, scratch::Scratch};

/// All that lasts as long as a test.
pub struct Fleet {
    /// Whose word counts.
    pub pki: Pki,
    /// May stop.
    pub stop: Signer,
    /// May stop and start.
    pub operator: Signer,
    /// What the sensor remembers lies there.
    pub state: PathBuf,
    settings: Vec<String>,
    scratch: Scratch,
}

impl Fleet {
    /// The fleet `blue` with the host `a`.
    pub fn new() -> Result<Self> {
        Self::new_at(SystemTime::now())
    }

    /// The same, with a certificate of another time.
    pub fn new_at(now: SystemTime) -> Result<Self> {
        let scratch = Scratch::new("fleet")?;
        let pki = Pki::new(&scratch.join("pki"))?;
        let host = pki.issue_at("spiffe://blue/host/a", now)?;
        let (stop, stop_key) = pki.order_key("stop")?;
        let (operator, operator_key) = pki.order_key("operator")?;
        let state = scratch.join("state");
        let settings = [
            ("sensor.state_directory", &state),
            ("control.certificate", &host.certificate),
            ("control.key", &host.key),
            ("control.authorities", &pki.authorities()),
            ("control.stop_keys", &stop_key),
            ("control.operator_keys", &operator_key),
        ];
        let settings = settings.map(|(name, path)| format!("{name}={}", path.display()));
        Ok(Self { pki, stop, operator, state, settings: settings.into(), scratch })
    }

    /// A replica.
    pub fn replica(&self, name: &str) -> Result<Replica> {
        Replica::start(&self.pki, name)
    }

    /// A folder for whatever a test needs.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Settings of its sensor, and others.
    pub fn settings(&self, endpoints: &str, others: &[&str]) -> Vec<String> {
        let mut settings = self.settings.clone();
        settings.push(format!("control.endpoints={endpoints}"));
        settings.extend(others.iter().map(|&other| other.to_owned()));
        settings
    }
}
