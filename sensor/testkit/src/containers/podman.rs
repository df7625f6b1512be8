use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::Path,
    process::{Child, Stdio},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, bail};

use super::{Engine, PATIENCE, POLL, Programs, image, programs, traces, traces::Traces};
use crate::scratch::Scratch;

/// Podman as root has it, with an image, and the service that speaks Docker's API: all of it ends with the value.
#[derive(Debug)]
pub struct Podman {
    /// Its command line.
    pub engine: Engine,
    service: Child,
    _scratch: Scratch,
    _traces: Traces,
}

impl Podman {
    /// What it needs besides what containerd does.
    pub const PROGRAMS: [&str; 3] = ["podman", "conmon", "crun"];

    /// Listens, and has an image. `runtime` is what it runs containers by, `crun` or `runc`.
    pub fn start(programs: &Programs, runtime: &str) -> Result<Self> {
        let parents = ["/libpod_parent", &super::cgroup()];
        let parents = parents.into_iter().flat_map(traces::cgroups);
        // There is no option for it.
        let cache = "/var/lib/containers";
        let cached = format!("{cache}/cache/blob-info-cache-v1.boltdb");
        let traces = Traces::of([cached.into(), cache.into()].into_iter().chain(parents));
        let scratch = Scratch::new("podman")?;
        configure(&scratch, programs, runtime)?;
        let in_scratch = |name: &str| scratch.join(name).into_os_string();
        let socket = scratch.join("podman.sock");
        // There need be no systemd.
        let args =
            ["--cgroup-manager=cgroupfs", "--events-backend=none", "--tmpdir"].map(Into::into);
        let args = args.into_iter().chain([in_scratch("tmp")]).collect();
        let env = vec![
            // Where it looks for `policy.json`.
            ("HOME", in_scratch("home")),
            ("CONTAINERS_CONF", in_scratch("containers.conf")),
            ("CONTAINERS_STORAGE_CONF", in_scratch("storage.conf")),
            ("CONTAINERS_REGISTRIES_CONF", in_scratch("registries.conf")),
        ];
        let engine = Engine {
            program: "podman",
            programs: programs.clone(),
            args,
            env,
            socket: socket.clone(),
            made: Vec::new(),
        };
        engine.load(&image::write(programs, &scratch)?)?;
        let service = engine
            .command(&["system", "service", "--time", "0"])
            .arg(format!("unix://{}", socket.display()))
            .stdout(Stdio::null())
            .stderr(fs::File::create(scratch.join("log"))?)
            .spawn()
            .context("cannot start Podman's service")?;
        let mut podman = Self { engine, service, _scratch: scratch, _traces: traces };
        podman.wait_until_ready()?;
        Ok(podman)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while UnixStream::connect(self.engine.socket()).is_err() {
            if let Some(status) = self.service.try_wait()? {
                bail!("Podman's service ended with {status}");
            }
            if Instant::now() > deadline {
                bail!("Podman's service does not listen after {PATIENCE:?}");
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

/// What there is no option for: nothing of it is the host's.
fn configure(scratch: &Scratch, programs: &Programs, runtime: &str) -> Result<()> {
    let policy = scratch.join("home/.config/containers");
    fs::create_dir_all(&policy)?;
    fs::write(policy.join("policy.json"), r#"{"default":[{"type":"insecureAcceptAnything"}]}"#)?;
    fs::write(scratch.join("registries.conf"), "")?;
    let folder = scratch.path().display();
    let storage = format!(
        "[storage]\ndriver = \"vfs\"\ngraphroot = \"{folder}/root\"\nrunroot = \"{folder}/run\"\n"
    );
    fs::write(scratch.join("storage.conf"), storage)?;
    let started = scratch.join("runtime.sh");
    start_by(&started, &programs.find(runtime), programs, scratch.path())?;
    let conmon = programs.find("conmon");
    // Limits above its own are what a runtime may not set everywhere.
    let settings = format!(
        "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
         [network]\nnetwork_config_dir = \"{folder}/networks\"\n\
         [engine]\nruntime = \"{runtime}\"\nlock_type = \"file\"\n\
         conmon_path = [\"{}\"]\n\
         conmon_env_vars = [\"LD_LIBRARY_PATH={}\"]\n\
         [engine.runtimes]\n{runtime} = [\"{}\"]\n",
        conmon.display(),
        programs.library_path.display(),
        started.display(),
    );
    Ok(fs::write(scratch.join("containers.conf"), settings)?)
}

/// Podman lets a runtime have nothing of its environment, so neither what it needs of libraries. And crun refuses a host
/// whose controllers are of both versions of cgroups: it does not get to see version 2 there.
fn start_by(script: &Path, runtime: &Path, programs: &Programs, scratch: &Path) -> Result<()> {
    let hide = if runtime.ends_with("crun") {
        "unshare --mount sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec \"$@\"' sh"
    } else {
        ""
    };
    let text = format!(
        "#!/bin/sh\nexport LD_LIBRARY_PATH={}\nexec {hide} {} --root {}/state \"$@\"\n",
        programs.library_path.display(),
        runtime.display(),
        scratch.display(),
    );
    fs::write(script, text)?;
    Ok(fs::set_permissions(script, fs::Permissions::from_mode(0o755))?)
}

impl Drop for Podman {
    fn drop(&mut self) {
        self.engine.remove_all();
        programs::end(&mut self.service);
    }
}
