//! A machine: a network, a name and a root file system of its own (`machine.sh`). Processes have the numbers that they have
//! everywhere, as sensors want to know all of them by those.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use wanglou_fleet_testkit::process::Process;

use crate::services::Services;

/// Of a machine's root, and of whatever runs for it: that of a fresh Debian.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// Where all machines find what is theirs.
pub(crate) struct Site<'a> {
    /// Of the test: logs, and what machines write.
    pub(crate) folder: &'a Path,
    /// Packages as apt wants them.
    pub(crate) mirror: &'a Path,
    /// What replicas have in common.
    pub(crate) shared: &'a Path,
}

/// One of them. It is gone when this is dropped, with all that runs on it.
pub(crate) struct Machine {
    pub(crate) name: String,
    services: Services,
    holder: Process,
}

impl Machine {
    pub(crate) fn start(name: &str, site: &Site) -> Result<Self> {
        let files = site.folder.join(name);
        fs::create_dir(&files)?;
        let ready = site.folder.join(format!("{name}.ready"));
        let mut command = Command::new("unshare");
        command.args(["--mount", "--net", "--uts", "sh", "-c", include_str!("machine.sh"), "sh"]);
        command.arg(name).arg(&files).arg(site.mirror).arg(site.shared).arg(&ready);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut holder = Process::start(command, &site.folder.join(format!("{name}.log")))?;
        let started = Instant::now();
        while fs::read(&ready).map_or(true, |said| said.is_empty()) {
            let waits = holder.is_running() && started.elapsed() < PATIENCE;
            ensure!(waits, "there is no {name}: {}", holder.complaint());
            sleep(POLL);
        }
        let services = Services::start(Namespaces { id: holder.id() }, site.folder, name)?;
        Ok(Self { name: name.to_owned(), services, holder })
    }

    pub(crate) fn namespaces(&self) -> Namespaces {
        Namespaces { id: self.holder.id() }
    }

    /// Runs a script as whoever is root there would, who stops at what fails, and does not wait forever.
    pub(crate) fn run(&self, script: &str) -> Result<String> {
        let mut shell = self.namespaces().command("timeout");
        shell.args(["--kill-after=5", "120", "bash", "-e", "-o", "pipefail", "-c", script]);
        let first = script.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
        let told = said(&mut shell).with_context(|| format!("on {}: {first} …", self.name))?;
        Ok(String::from_utf8_lossy(&told.stdout).into_owned())
    }

    /// What of it is to be looked at when something fails.
    pub(crate) fn complaint(&self) -> Option<String> {
        let complaint = self.services.complaint();
        (!complaint.is_empty()).then(|| format!("on {}: {complaint}", self.name))
    }
}

/// Those of a machine, by the process that holds them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Namespaces {
    id: u32,
}

impl Namespaces {
    pub(crate) fn id(self) -> u32 {
        self.id
    }

    /// What is there as long as one of its processes is.
    pub(crate) fn namespace(self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/mnt", self.id))
    }

    /// A file of it, as it is found from here.
    pub(crate) fn path(self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{file}", self.id))
    }

    pub(crate) fn write(self, file: &str, text: &str) -> Result<()> {
        let path = self.path(file);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// A program of it, in the environment that root has after a login.
    pub(crate) fn command(self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args([format!("--target={}", self.id)]);
        command.args(["--mount", "--net", "--uts", "--", program]).env_clear();
        command.envs([("PATH", PATH), ("HOME", "/root"), ("LC_ALL", "C.UTF-8")]);
        // Nobody is there to be asked.
        command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        command
    }
}

/// Runs it, and wants it to succeed.
pub(crate) fn said(command: &mut Command) -> Result<Output> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(
        output.status.success(),
        "{}: {}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    Ok(output)
}
