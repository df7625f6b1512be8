//! Real containers: a containerd of the test's own, with its CRI plugin and runc, and images made on the spot; Docker
//! on top of it, and Podman.
//!
//! ```text
//! image      an image of busybox, as a tar archive     cri     pods, over its socket as the kubelet makes them
//! programs   where all of them are                     messages   what that says
//! docker     a daemon of the test's own                engine  containers by the command line of both
//! podman     its service, with crun or runc            traces  what they leave on a host
//! ```

mod cri;
mod docker;
mod engine;
mod image;
pub mod messages;
mod podman;
mod programs;
mod traces;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use self::traces::remove_cgroup;
pub use self::{
    cri::{Cri, NAMESPACE as POD_NAMESPACE, Pod},
    docker::Docker,
    engine::{Engine, Start},
    podman::Podman,
    programs::{Programs, programs, programs_of},
};
use crate::scratch::Scratch;

/// The image that all of them have.
pub const IMAGE: &str = "localhost/busybox:1";
/// The namespace that `ctr` works in.
const NAMESPACE: &str = "default";
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// A cgroup of this process's own, for containers that are told which to be in.
pub fn cgroup() -> String {
    format!("/wanglou-containers-{}", process::id())
}

/// containerd, and what it runs: all of it ends with the value.
#[derive(Debug)]
pub struct Containerd {
    child: Child,
    programs: Programs,
    made: Vec<String>,
    scratch: Scratch,
}

impl Containerd {
    /// Listens, and has an image.
    pub fn start(programs: Programs) -> Result<Self> {
        let scratch = Scratch::new("containerd")?;
        let folder = scratch.path().display();
        // No network: pods use the host's. Copies of the image's files need no file system of their own.
        let config = format!(
            "version = 2\nroot = \"{folder}/root\"\nstate = \"{folder}/state\"\n\
             disabled_plugins = [\"io.containerd.snapshotter.v1.btrfs\", \
             \"io.containerd.snapshotter.v1.zfs\", \"io.containerd.snapshotter.v1.devmapper\", \
             \"io.containerd.snapshotter.v1.aufs\", \"io.containerd.internal.v1.opt\"]\n\
             [grpc]\naddress = \"{folder}/run/containerd.sock\"\n\
             [plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"{IMAGE}\"\n\
             restrict_oom_score_adj = true\n\
             [plugins.\"io.containerd.grpc.v1.cri\".containerd]\nsnapshotter = \"native\"\n\
             [plugins.\"io.containerd.grpc.v1.cri\".cni]\n\
             bin_dir = \"{folder}/cni\"\nconf_dir = \"{folder}/cni\"\n"
        );
        fs::write(scratch.join("config.toml"), config)?;
        let log = fs::File::create(scratch.join("log"))?;
        let child = programs
            .command("containerd")
            .arg("--config")
            .arg(scratch.join("config.toml"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start containerd")?;
        let mut containerd = Self { child, programs, made: Vec::new(), scratch };
        containerd.wait_until_ready()?;
        let archive = image::write(&containerd.programs, &containerd.scratch)?;
        for namespace in [NAMESPACE, "k8s.io"] {
            let import = ["--namespace", namespace, "images", "import", "--snapshotter", "native"];
            let mut import = containerd.ctr(&import);
            finish(import.arg(&archive))?;
        }
        Ok(containerd)
    }

    /// Its socket, which the CRI has too. It is alone in its folder but for what containerd puts beside it.
    pub fn socket(&self) -> PathBuf {
        self.scratch.join("run/containerd.sock")
    }

    /// Takes images from a file into the namespace of pods.
    pub fn import(&self, archive: &Path) -> Result<()> {
        let import = ["--namespace", "k8s.io", "images", "import", "--snapshotter", "native"];
        finish(self.ctr(&import).arg(archive))
    }

    /// The cgroup that all of ours lie in.
    pub fn cgroup(&self) -> String {
        cgroup()
    }

    /// What it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.scratch.join("log")).unwrap_or_default()
    }

    /// A folder that containers can be given.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Has a container run a shell script, and does not wait for its end. It sees the folder `given` as `/given`;
    /// `cgroup` is the path of its cgroup below [`Containerd::cgroup`], by default the one that `ctr` would have taken.
    pub fn run(
        &mut self,
        id: &str,
        script: &str,
        given: &Path,
        cgroup: Option<&str>,
    ) -> Result<()> {
        let mount = format!("type=bind,src={},dst=/given,options=rbind:rw", given.display());
        let mut run = self.ctr(&["run", "--detach", "--snapshotter", "native", "--mount", &mount]);
        let cgroup = cgroup.map_or(format!("/{NAMESPACE}/{id}"), ToOwned::to_owned);
        run.args(["--cgroup", &format!("{}{cgroup}", self.cgroup())]);
        self.made.push(id.to_owned());
        finish(run.args([IMAGE, id, "/bin/busybox", "sh", "-c", script]))
    }

    /// The first process of a container that runs.
    pub fn pid(&self, id: &str) -> Result<u32> {
        let output = self.ctr(&["tasks", "ls"]).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = text.lines().map(str::split_whitespace);
        let line = lines.find_map(|mut words| (words.next() == Some(id)).then(|| words.next()));
        let pid = line.flatten().and_then(|pid| pid.parse().ok());
        pid.with_context(|| format!("ctr knows no task {id}: {text}"))
    }

    /// Waits until a container is over, and removes it.
    pub fn remove(&mut self, id: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while finish(&mut self.ctr(&["tasks", "rm", id])).is_err() {
            if Instant::now() > deadline {
                bail!("the container {id} is not over after {PATIENCE:?}");
            }
            thread::sleep(POLL);
        }
        self.made.retain(|it| it != id);
        finish(&mut self.ctr(&["containers", "rm", id]))
    }

    fn ctr(&self, args: &[&str]) -> Command {
        let mut ctr = self.programs.command("ctr");
        ctr.arg("--address").arg(self.socket()).args(args);
        ctr
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while finish(&mut self.ctr(&["version"])).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("containerd ended with {status}: {}", self.log());
            }
            if Instant::now() > deadline {
                bail!("containerd does not listen after {PATIENCE:?}: {}", self.log());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        // Nobody is left to tell of a failure.
        let made = std::mem::take(&mut self.made);
        if !made.is_empty() {
            let _ = self.ctr(&["tasks", "rm", "--force"]).args(&made).output();
            let _ = self.ctr(&["containers", "rm"]).args(&made).output();
        }
        programs::end(&mut self.child);
        // Its parents are nobody's.
        for folder in traces::cgroups(&self.cgroup()) {
            remove_cgroup(&folder);
        }
    }
}

fn finish(command: &mut Command) -> Result<()> {
    said(command).map(drop)
}

/// What a command says that succeeds.
fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
