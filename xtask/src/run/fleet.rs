//! A fleet of one, in `target/run`: everything in it is new with each run.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::background::Background;
use crate::workspace::Workspace;
use crate::{etcd, fleet, shell};

const NAME: &str = "local";
/// For etcd, and for a replica, to listen.
const PATIENCE: Duration = Duration::from_secs(30);
/// In which a sensor complains of its settings, if it does.
const COMPLAINT: Duration = Duration::from_millis(300);

/// Starts etcd, a replica and a sensor, and says what to try. What has been started before something fails is ended.
pub(super) fn start(workspace: &Workspace, sensor: &Path) -> Result<()> {
    fleet::build(workspace)?;
    let folder = Folder::new(workspace.target.join("run"))?;
    let host = host_id();
    shell::run(
        Command::new(fleet::program(workspace, "pki")).arg(&folder.0).args([NAME, host.as_str()]),
    )?;
    let mut started = Vec::new();
    let result = start_each(workspace, sensor, &folder, &mut started);
    match result {
        Ok(replica) => tell(workspace, &folder, replica),
        Err(error) => {
            started.iter_mut().for_each(Background::end);
            Err(error)
        }
    }
}

/// Where the replica is.
fn start_each(
    workspace: &Workspace,
    sensor: &Path,
    folder: &Folder,
    started: &mut Vec<Background>,
) -> Result<SocketAddr> {
    let store = free_port()?;
    let peer = free_port()?;
    let mut command = Command::new(etcd::find_or_unpack(workspace)?);
    command
        .arg("--name=local")
        .arg(format!("--data-dir={}", folder.path("etcd")))
        .args(["listen-client", "advertise-client"].map(|it| format!("--{it}-urls=http://{store}")))
        .args(
            ["listen-peer", "initial-advertise-peer"]
                .map(|it| format!("--{it}-urls=http://{peer}")),
        )
        .arg(format!("--initial-cluster=local=http://{peer}"));
    let mut etcd = Background::start("etcd", &mut command, &folder.0)?;
    let listens = etcd.until_it_listens(store, PATIENCE);
    started.push(etcd);
    listens?;

    let replica = free_port()?;
    let settings = folder.file("control-plane.toml", &replica_settings(folder, replica, store))?;
    let mut command = Command::new(fleet::program(workspace, "wanglou-control-plane"));
    command.arg("serve").arg("--config").arg(settings);
    let mut process = Background::start("control-plane", &mut command, &folder.0)?;
    let listens = process.until_it_listens(replica, PATIENCE);
    started.push(process);
    listens?;

    let settings = folder.file("sensor.toml", &sensor_settings(folder, replica))?;
    let mut command = Command::new(sensor);
    command.arg("run").arg("--config").arg(settings);
    let mut process = Background::start("sensor", &mut command, &folder.0)?;
    sleep(COMPLAINT);
    let runs = process.still_there();
    started.push(process);
    runs.map(|()| replica)
}

fn replica_settings(folder: &Folder, replica: SocketAddr, store: SocketAddr) -> String {
    format!(
        "control.listen = \"{replica}\"\n\
         control.certificate = \"{}\"\n\
         control.key = \"{}\"\n\
         control.authorities = \"{}\"\n\
         etcd.endpoints = [\"http://{store}\"]\n\
         fleet.hosts_per_lease = 1\n\
         fleet.stop_key = \"{}\"\n\
         fleet.operator_keys = [\"{}\"]\n\
         lake.location = \"{}\"\n\
         replica.state_directory = \"{}\"\n",
        folder.path("replica.pem"),
        folder.path("replica.key"),
        folder.path("authority.pem"),
        folder.path("stop-key.key"),
        folder.path("operator-key.pub"),
        folder.path("lake"),
        folder.path("replica"),
    )
}

fn sensor_settings(folder: &Folder, replica: SocketAddr) -> String {
    format!(
        "control.endpoints = [\"{replica}\"]\n\
         control.certificate = \"{}\"\n\
         control.key = \"{}\"\n\
         control.authorities = \"{}\"\n\
         control.stop_keys = [\"{}\"]\n\
         control.operator_keys = [\"{}\"]\n\
         sensor.state_directory = \"{}\"\n",
        folder.path("host.pem"),
        folder.path("host.key"),
        folder.path("authority.pem"),
        folder.path("stop-key.pub"),
        folder.path("operator-key.pub"),
        folder.path("sensor"),
    )
}

fn tell(workspace: &Workspace, folder: &Folder, replica: SocketAddr) -> Result<()> {
    let programs = fleet::program(workspace, "wanglou");
    let programs = programs.parent().context("no folder of programs")?.display();
    let environment = folder.file(
        "environment",
        &format!(
            "export PATH=\"{programs}:$PATH\"\n\
             export WANGLOU_ENDPOINT='{replica}'\n\
             export WANGLOU_CERTIFICATE='{}'\n\
             export WANGLOU_KEY='{}'\n\
             export WANGLOU_AUTHORITIES='{}'\n\
             export WANGLOU_SIGNING_KEY='{}'\n",
            folder.path("operator.pem"),
            folder.path("operator.key"),
            folder.path("authority.pem"),
            folder.path("operator-key.key"),
        ),
    )?;
    eprintln!(
        "xtask: this host is a fleet of one, until Ctrl-C. In another terminal:\n\
         \n    . {}\n    wanglou hosts --watch\n    wanglou events --follow\n    wanglou reconcile\n    \
         wanglou stop --all --reason trying\n    wanglou start --all --reason trying\n\n\
         xtask: logs are in {}",
        environment.display(),
        folder.0.display(),
    );
    Ok(())
}

/// A folder that was empty when the run began.
struct Folder(PathBuf);

impl Folder {
    fn new(path: PathBuf) -> Result<Self> {
        let made = || {
            if path.exists() {
                fs::remove_dir_all(&path)?;
            }
            ["lake", "replica", "sensor"]
                .iter()
                .try_for_each(|it| fs::create_dir_all(path.join(it)))
        };
        made().with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

/// As the sensor knows its host, where it can be a name.
fn host_id() -> String {
    let id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let id = id.trim();
    if id.is_empty() { "this-host".to_owned() } else { id.to_owned() }
}

fn free_port() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr()?)
}
