//! Where the cases act.

use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::{Case, Expect};
use crate::{bins, scratch::Scratch};

/// A folder with a copy of the actor that everyone may run, and what the backend can do.
#[derive(Debug)]
pub struct Stage {
    scratch: Scratch,
    probes: bool,
    linger: Duration,
}

/// Why a case could not be tried.
#[derive(Debug)]
pub struct Skip(pub String);

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Skip {}

impl Stage {
    /// For a backend: `ebpf`, or `cn_proc`, for which processes `linger` before they end, as it reads /proc.
    pub fn new(backend: &str, linger: Duration) -> Result<Self> {
        let scratch = Scratch::new("cases")?;
        fs::copy(bins::testkit("actor")?, scratch.join("actor"))
            .context("cannot copy the actor")?;
        Ok(Self { scratch, probes: backend == "ebpf", linger })
    }

    pub(super) fn play(&self, case: Case) -> Result<Expect> {
        if case.needs_probes && !self.probes {
            return Err(Skip("only the probes can know".into()).into());
        }
        (case.act)(self)
    }

    /// Whether the probes are under test, which see everything.
    pub fn probes(&self) -> bool {
        self.probes
    }

    /// How long a process has to stay for its backend to read of it.
    pub fn linger(&self) -> Duration {
        if self.probes { Duration::ZERO } else { self.linger }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// The program that plays the processes.
    pub fn actor(&self) -> PathBuf {
        self.path("actor")
    }

    /// The actor in a role.
    pub fn role(&self, role: &str) -> Command {
        let mut command = self.command(&self.actor());
        command.arg(role);
        command
    }

    /// Any program, with a word for the actor that it may lead to.
    pub fn command(&self, path: &PathBuf) -> Command {
        let mut command = Command::new(path);
        command.stdin(Stdio::null());
        if !self.probes {
            command.env("ACTOR_LINGER_MS", self.linger.as_millis().to_string());
        }
        command
    }

    /// Runs a command to its end, however that is; its pid.
    pub fn run(&self, command: &mut Command) -> Result<u32> {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        child.wait()?;
        Ok(child.id())
    }

    /// Plays a role, and all that comes of it, to the end; the numbers it named, such as pids.
    pub fn keep(&self, role: &str, args: &[&str]) -> Result<HashMap<String, u32>> {
        let mut command = self.role("keep");
        let output = command.arg(role).args(args).stdout(Stdio::piped()).spawn()?;
        let keeper = output.id();
        let output = output.wait_with_output()?;
        ensure!(output.status.success(), "the role {role} failed");
        let text = String::from_utf8(output.stdout)?;
        let named = text.lines().filter_map(|line| {
            let (name, number) = line.split_once(' ')?;
            Some((name.to_owned(), number.parse().ok()?))
        });
        Ok(named.chain([("keeper".to_owned(), keeper)]).collect())
    }
}
