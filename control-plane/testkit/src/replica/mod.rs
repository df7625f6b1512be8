//! Replicas: the real `wanglou-control-plane serve`, with settings in a file and everything else in a folder.

pub mod http;
mod settings;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::json;
pub use settings::Settings;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::bins;
use crate::pki::{OrderKey, OrderKeyFiles, Pki};
use crate::port::Port;
use crate::process::{Process, Usage};

/// For a replica to find etcd and begin to serve.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// What all replicas of a fleet have in common, in a folder that is gone when this is dropped.
#[derive(Debug)]
pub struct Fleet {
    /// Its name.
    pub name: String,
    /// Its authority.
    pub pki: Pki,
    /// With which replicas sign a stop.
    pub stop_key: OrderKeyFiles,
    /// With which an operator signs a start.
    pub operator_key: OrderKeyFiles,
    folder: TempDir,
}

impl Fleet {
    /// A new one.
    ///
    /// # Errors
    ///
    /// If the temporary folder cannot be written to.
    pub fn new(name: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("wanglou-fleet-").tempdir()?;
        let pki = Pki::new(name)?;
        pki.save(folder.path())?;
        let stop_key = OrderKey::new()?.write(folder.path(), "stop-key")?;
        let operator_key = OrderKey::new()?.write(folder.path(), "operator-key")?;
        Ok(Self { name: name.to_owned(), pki, stop_key, operator_key, folder })
    }

    /// Its folder: the authority is in it too, as [`Pki::load`] wants it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a replica with settings that are changed first, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// With its log, if it does not get ready.
    pub async fn replica(
        &self,
        id: &str,
        etcd: &[String],
        change: impl FnOnce(&mut Settings),
    ) -> Result<Replica> {
        let mut replica = self.launch(id, etcd, change)?;
        replica.ready().await?;
        Ok(replica)
    }

    /// The same without waiting, for a replica that will not get ready.
    ///
    /// # Errors
    ///
    /// If it cannot be started at all.
    pub fn launch(
        &self,
        id: &str,
        etcd: &[String],
        change: impl FnOnce(&mut Settings),
    ) -> Result<Replica> {
        let (control, telemetry) = (Port::free()?, Port::free()?);
        let uri = format!("spiffe://{}/replica/{id}", self.name);
        let files = self.pki.issue(&uri)?.write(self.folder(), &format!("replica-{id}"))?;
        let state = self.folder().join(format!("state-{id}"));
        fs::create_dir_all(&state)?;
        let mut settings = Settings::default();
        settings
            .set("control.listen", json!(control.address()))
            .set("control.certificate", json!(files.certificate))
            .set("control.key", json!(files.key))
            .set("control.authorities", json!(files.authorities))
            .set("etcd.endpoints", json!(etcd))
            .set("fleet.hosts_per_lease", json!(500))
            .set("fleet.stop_key", json!(self.stop_key.private))
            .set("fleet.operator_keys", json!([self.operator_key.public]))
            .set("lake.location", json!(self.folder().join("lake")))
            .set("replica.state_directory", json!(state))
            .set("telemetry.listen", json!(telemetry.address()));
        change(&mut settings);
        let config = self.folder().join(format!("replica-{id}.toml"));
        fs::write(&config, settings.to_toml())?;
        let log = self.folder().join(format!("replica-{id}.log"));
        let program = bins::control_plane()?;
        let process = start(&program, &config, &log)?;
        Ok(Replica { process, program, control, telemetry, config, log })
    }
}

fn start(program: &Path, config: &Path, log: &Path) -> Result<Process> {
    let mut command = Command::new(program);
    command.arg("serve").arg("--config").arg(config).stdin(Stdio::null()).stdout(Stdio::null());
    Process::start(command, log)
}

/// A replica.
#[derive(Debug)]
pub struct Replica {
    /// To be killed, stopped, resumed, terminated.
    pub process: Process,
    /// What is started the next time.
    pub program: PathBuf,
    control: Port,
    telemetry: Port,
    config: PathBuf,
    log: PathBuf,
}

impl Replica {
    /// Where hosts, operators and other replicas reach it: `127.0.0.1:port`.
    pub fn address(&self) -> String {
        self.control.address().to_string()
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    ///
    /// With its log, if it ends or takes too long.
    pub async fn ready(&mut self) -> Result<()> {
        let started = Instant::now();
        loop {
            let said = self.get("/readyz").await;
            if matches!(said, Ok((200, _))) {
                return Ok(());
            }
            if !self.process.is_running() || started.elapsed() > PATIENCE {
                let said = said.map_or_else(|error| error.to_string(), |(_, text)| text);
                bail!("replica is not ready ({}): {}", said.trim(), self.process.complaint());
            }
            sleep(POLL).await;
        }
    }

    /// Ends it, if it has not ended, and starts it again with the same state and ports.
    ///
    /// # Errors
    ///
    /// With its log, if it does not get ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.launch_again()?;
        self.ready().await
    }

    /// The same without waiting: what it needs may be away.
    ///
    /// # Errors
    ///
    /// If it cannot be started at all.
    pub fn launch_again(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = start(&self.program, &self.config, &self.log)?;
        Ok(())
    }

    /// Asks it to end, as a service manager does.
    ///
    /// # Errors
    ///
    /// With its log, if it does not within `patience`.
    pub fn terminate(&mut self, patience: Duration) -> Result<ExitStatus> {
        self.process.terminate(patience)
    }

    /// What it answers on its telemetry port: status and body.
    ///
    /// # Errors
    ///
    /// If nobody answers there.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        http::get(self.telemetry.address(), path).await
    }

    /// All its metrics: name with labels, as exposed, and value.
    ///
    /// # Errors
    ///
    /// If it does not answer, or not with metrics.
    pub async fn metrics(&self) -> Result<BTreeMap<String, f64>> {
        let (status, text) = self.get("/metrics").await?;
        if status != 200 {
            bail!("/metrics answers {status}: {}", text.trim());
        }
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        lines
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').context("a metric without a value")?;
                Ok((name.to_owned(), value.parse()?))
            })
            .collect()
    }

    /// What it has cost since it was started.
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub fn usage(&self) -> Result<Usage> {
        self.process.usage()
    }
}
