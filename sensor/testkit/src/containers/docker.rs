use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, bail};

use super::{
    Containerd, Engine, PATIENCE, POLL, Programs, finish, image, programs, traces, traces::Traces,
};

/// Docker's daemon on a containerd of its own, with an image: all of it ends with the value.
#[derive(Debug)]
pub struct Docker {
    /// Its command line.
    pub engine: Engine,
    child: Child,
    // It goes after the daemon, whose files are in its folder.
    containerd: Containerd,
    _traces: Traces,
}

impl Docker {
    /// What it needs besides what containerd does.
    pub const PROGRAMS: [&str; 2] = ["dockerd", "docker"];

    /// Listens, and has an image.
    pub fn start(programs: &Programs) -> Result<Self> {
        let containerd = Containerd::start(programs.clone())?;
        // There is no option for those.
        let fixed = ["/run/docker", "/etc/docker/key.json", "/etc/docker"].map(PathBuf::from);
        let traces = Traces::of(fixed.into_iter().chain(traces::cgroups("/docker")));
        let scratch = containerd.scratch();
        let in_scratch = |name: &str| scratch.join(name).into_os_string();
        // What a daemon of the host's is told is not for this one.
        fs::write(scratch.join("daemon.json"), "{}")?;
        let socket = scratch.join("docker.sock");
        let host = format!("unix://{}", socket.display());
        let mut dockerd = programs.command("dockerd");
        for (option, name) in [
            ("--config-file", "daemon.json"),
            ("--data-root", "docker"),
            ("--exec-root", "docker-exec"),
            ("--pidfile", "docker.pid"),
        ] {
            dockerd.arg(option).arg(in_scratch(name));
        }
        let child = dockerd
            .args(["--host", &host, "--containerd"])
            .arg(containerd.socket())
            // No network, and copies of files: nothing of the kernel's has to be changed.
            .args(["--bridge=none", "--iptables=false", "--ip6tables=false"])
            .args(["--ip-forward=false", "--storage-driver=vfs", "--group=root"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(scratch.join("docker.log"))?)
            .spawn()
            .context("cannot start dockerd")?;
        let engine = Engine {
            program: "docker",
            programs: programs.clone(),
            args: vec!["--host".into(), host.into()],
            env: vec![("DOCKER_CONFIG", in_scratch("docker-client"))],
            socket,
            made: Vec::new(),
        };
        let mut docker = Self { engine, child, containerd, _traces: traces };
        docker.wait_until_ready()?;
        docker.engine.load(&docker.containerd.scratch().join(image::ARCHIVE))?;
        Ok(docker)
    }

    /// Of the containerd that it runs on, which speaks CRI as well.
    pub fn containerd(&self) -> &Containerd {
        &self.containerd
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let log = self.containerd.scratch().join("docker.log");
        let said = |log: &Path| fs::read_to_string(log).unwrap_or_default();
        while finish(&mut self.engine.command(&["version"])).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("dockerd ended with {status}: {}", said(&log));
            }
            if Instant::now() > deadline {
                bail!("dockerd does not listen after {PATIENCE:?}: {}", said(&log));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        self.engine.remove_all();
        programs::end(&mut self.child);
    }
}
