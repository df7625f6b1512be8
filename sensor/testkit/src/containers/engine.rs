//! Containers by the command line of Docker, which Podman's is too.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::{IMAGE, Programs, finish, said};

/// Whoever runs containers, and those that it runs: they end with the value.
#[derive(Debug)]
pub struct Engine {
    pub(super) program: &'static str,
    pub(super) programs: Programs,
    /// What every command begins with.
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(&'static str, OsString)>,
    /// Where its API listens.
    pub(super) socket: PathBuf,
    pub(super) made: Vec<String>,
}

/// A container to be started.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// Its name.
    pub name: &'a str,
    /// Further arguments of `run`.
    pub args: &'a [&'a str],
    /// What its shell does.
    pub script: &'a str,
    /// What it sees as `/given`.
    pub given: &'a Path,
}

impl Engine {
    /// Where its API listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Starts a container and gives its id.
    pub fn run(&mut self, start: Start<'_>) -> Result<String> {
        let mut run = self.command(&["run", "--detach", "--network", "none"]);
        run.args(["--name", start.name]).args(start.args);
        run.arg("--volume").arg(format!("{}:/given", start.given.display()));
        self.made.push(start.name.to_owned());
        said(run.args([IMAGE, "/bin/busybox", "sh", "-c", start.script]))
    }

    /// Has a container run another shell script, and waits for its end.
    pub fn exec(&self, name: &str, script: &str) -> Result<()> {
        finish(&mut self.command(&["exec", name, "/bin/busybox", "sh", "-c", script]))
    }

    /// The first process of a container that runs.
    pub fn pid(&self, name: &str) -> Result<u32> {
        Ok(said(&mut self.command(&["inspect", "--format", "{{.State.Pid}}", name]))?.parse()?)
    }

    pub(super) fn load(&self, archive: &Path) -> Result<()> {
        finish(self.command(&["load", "--input"]).arg(archive))
    }

    /// It does what `args` say.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.programs.command(self.program);
        command.args(&self.args).args(args).envs(self.env.iter().cloned());
        command
    }

    /// Ends them all. Their first processes would be given time to end by themselves, which they do not.
    pub(super) fn remove_all(&mut self) {
        for name in std::mem::take(&mut self.made) {
            let _ = self.command(&["kill", &name]).output();
            if let Err(error) = finish(&mut self.command(&["rm", "--force", "--volumes", &name])) {
                eprintln!("the container {name} is left: {error:#}");
            }
        }
    }
}
