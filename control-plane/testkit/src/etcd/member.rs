//! One process of etcd.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::Result;

use crate::port::Port;
use crate::process::{Process, Usage};

/// Where a member is, which stays as it is over all its lives.
#[derive(Debug)]
pub(super) struct Plan {
    name: String,
    folder: PathBuf,
    scheme: &'static str,
    client: Port,
    peer: Port,
}

impl Plan {
    pub(super) fn new(n: usize, folder: &Path, tls: bool) -> Result<Self> {
        let name = format!("m{n}");
        let folder = folder.join(&name);
        fs::create_dir(&folder)?;
        let scheme = if tls { "https" } else { "http" };
        Ok(Self { name, folder, scheme, client: Port::free()?, peer: Port::free()? })
    }

    pub(super) fn client(&self) -> String {
        format!("{}://{}", self.scheme, self.client.address())
    }

    pub(super) fn peer(&self) -> String {
        format!("http://{}", self.peer.address())
    }

    /// As the others are told of it.
    pub(super) fn as_peer(&self) -> String {
        format!("{}={}", self.name, self.peer())
    }

    fn launch(&self, more: &[String]) -> Result<Process> {
        let program = env::var_os("WANGLOU_ETCD").unwrap_or_else(|| "etcd".into());
        let (client, peer) = (self.client(), self.peer());
        let mut command = Command::new(program);
        for (name, _) in env::vars_os() {
            // Settings of another etcd of this machine.
            if name.to_string_lossy().starts_with("ETCD_") {
                command.env_remove(name);
            }
        }
        command
            // Its releases before 3.5 ask for a word of consent there.
            .envs(cfg!(target_arch = "aarch64").then_some(("ETCD_UNSUPPORTED_ARCH", "arm64")))
            .args([format!("--name={}", self.name)])
            .args([format!("--data-dir={}", self.folder.join("data").display())])
            .args([format!("--listen-client-urls={client}")])
            .args([format!("--advertise-client-urls={client}")])
            .args([format!("--listen-peer-urls={peer}")])
            .args([format!("--initial-advertise-peer-urls={peer}")])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        Process::start(command, &self.folder.join("log"))
    }
}

/// One member.
#[derive(Debug)]
pub struct Member {
    plan: Plan,
    arguments: Vec<String>,
    process: Process,
    is_meant_to_run: bool,
}

impl Member {
    pub(super) fn start(plan: Plan, arguments: Vec<String>) -> Result<Self> {
        let process = plan.launch(&arguments)?;
        Ok(Self { plan, arguments, process, is_meant_to_run: true })
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Neither killed nor stopped.
    pub(super) fn is_meant_to_run(&self) -> bool {
        self.is_meant_to_run
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    pub(super) fn complaint(&mut self) -> String {
        self.process.complaint()
    }

    /// Ends it as a power failure would.
    ///
    /// # Errors
    ///
    /// If it cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.is_meant_to_run = false;
        self.process.kill()
    }

    /// Has it stand still, with all its sockets open.
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub fn stop(&mut self) -> Result<()> {
        self.is_meant_to_run = false;
        self.process.stop()
    }

    /// Has it go on where it was stopped.
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub fn resume(&mut self) -> Result<()> {
        self.process.resume()?;
        self.is_meant_to_run = true;
        Ok(())
    }

    /// Starts it once more, on its old data and ports, and does not wait: without a quorum it would be for ever.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = self.plan.launch(&self.arguments)?;
        self.is_meant_to_run = true;
        Ok(())
    }

    /// What it has cost in this life.
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub fn usage(&self) -> Result<Usage> {
        self.process.usage()
    }
}
