//! The image that `cargo xtask dist` makes, run by containerd as a kubelet has it run `DaemonSet`s: the same
//! capabilities, the same mounts, the same profiles.

use std::{
    collections::BTreeMap,
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use wanglou_testkit::{
    bins,
    containers::{Containerd, Cri, Pod},
    event::{action, field},
    ledger, lock,
    scratch::Scratch,
    telemetry::get,
};

use crate::{container, daemonset::DaemonSet, programs, tag};

const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);
/// Bits of `include/uapi/linux/capability.h`.
const CAPABILITIES: [(&str, u64); 6] = [
    ("DAC_READ_SEARCH", 2),
    ("NET_ADMIN", 12),
    ("SYS_PTRACE", 19),
    ("SYS_ADMIN", 21),
    ("PERFMON", 38),
    ("BPF", 39),
];
/// The only thing that is not as in the manifest: no control plane is here, so events go to standard output.
const SETTINGS: &str =
    "[output.stdout]\nenabled = true\n[telemetry]\nlisten = \"127.0.0.1:9630\"\n";

#[test]
fn the_image_works_as_the_daemonset_has_it_run() -> Result<()> {
    let Some(programs) = programs() else { return Ok(()) };
    let Some(image) = env::var_os("WANGLOU_IMAGE") else {
        eprintln!("skipped: WANGLOU_IMAGE is not set: `cargo xtask test` makes the image");
        return Ok(());
    };
    let _turn = lock::alone()?;
    let daemonset = DaemonSet::read()?;
    let containerd = Containerd::start(programs)?;
    containerd.import(Path::new(&image))?;
    let mut cri = Cri::connect(&containerd.socket())?;
    let host = Scratch::new("host")?;
    let logs = host.join("logs");
    fs::create_dir(&logs)?;
    let folder = containerd.socket().parent().context("the socket is in no folder")?.to_owned();
    let _shared = (Shared::new(&folder)?, Shared::new(host.path())?);
    let pod = daemonset.pod(format!("{}/kubepods/wanglou", containerd.cgroup()), &logs)?;
    let name = format!("docker.io/wanglou/sensor:{}", env!("CARGO_PKG_VERSION"));
    let config = daemonset.config(&pod, &name, |volume| place(volume, &host, &folder))?;

    let pod_id = cri.run_pod(&pod)?;
    let id = cri.start((&pod_id, &pod), config)?;
    let address = SocketAddr::from(([127, 0, 0, 1], 9630));
    let log = logs.join("sensor.log");
    wait_until(&log, "it is ready", || {
        daemonset.probes().iter().all(|path| get(address, path).is_ok_and(|it| it.code == 200))
    })?;
    has_its_rights_and_no_others(&daemonset, address)?;
    has_the_probes_of_a_host(address)?;

    // Another pod, which it sees as it sees one on a host.
    let given = Scratch::new("given")?;
    let other = Pod {
        name: "web-0".to_owned(),
        uid: "8c1f7a52-0b1e-4d3a-9a53-5f6c1d0e9b12".to_owned(),
        cgroup: format!("{}/kubepods/web", containerd.cgroup()),
        labels: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
        ..Pod::default()
    };
    let other_id = cri.run_pod(&other)?;
    let script = "/bin/busybox true from-web; exec /bin/busybox sleep 1000";
    let web = cri.run((&other_id, &other), "server", script, given.path())?;
    let seen = |action_wanted: &str| {
        events(&log).unwrap_or_default().into_iter().find(|event| {
            action(event) == action_wanted
                && container(event) == Some(&web)
                && (action_wanted != "exec" || tag(event) == Some("from-web"))
        })
    };
    wait_until(&log, "the other container is told of", || {
        seen("exec").is_some() && seen("container_seen").is_some()
    })?;
    let told = seen("container_seen").context("it has just been there")?;
    ensure!(field(&told, "orchestrator.resource.name") == Some(&"web-0".into()), "{told}");

    cri.remove_pod(&other_id)?;
    cri.stop(&id, daemonset.grace()?)?;
    let (is_over, code) = cri.status(&id)?;
    ensure!(is_over && code == 0, "it ended with {code}: {}", read(&log));
    let mut audit = ledger::Audit::default();
    for event in events(&log)? {
        audit.line(&event)?;
    }
    audit.close()?;
    cri.remove_pod(&pod_id)
}

/// Where the test has what a node has.
fn place(volume: &str, host: &Scratch, containerd: &Path) -> Result<String> {
    let folder = host.join(volume);
    let path = match volume {
        // The host's own.
        "machine-id" => return Ok("/etc/machine-id".to_owned()),
        "cgroup" => return Ok("/sys/fs/cgroup".to_owned()),
        "containerd" => containerd.to_owned(),
        "settings" => {
            fs::create_dir_all(&folder)?;
            fs::write(folder.join("sensor.toml"), SETTINGS)?;
            folder
        }
        "state" | "fleet" | "host" | "crio" => {
            fs::create_dir_all(&folder)?;
            folder
        }
        other => bail!("the test has no place for the volume {other}"),
    };
    Ok(path.display().to_string())
}

/// A folder whose mounts come and go in containers too, as they do everywhere where systemd has mounted `/`.
struct Shared(PathBuf);

impl Shared {
    fn new(folder: &Path) -> Result<Self> {
        let mount = |how: &[&str]| {
            let done = Command::new("mount").args(how).arg(folder).status();
            ensure!(done.context("cannot run mount")?.success(), "mount {how:?} failed");
            Ok(())
        };
        mount(&["--bind", &folder.to_string_lossy()])?;
        let shared = Self(folder.to_owned());
        mount(&["--make-shared"])?;
        Ok(shared)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Whoever still has it open keeps it until then.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// The supervisor has what the manifest lists; the worker, which reads what anybody can shape, has nothing.
fn has_its_rights_and_no_others(daemonset: &DaemonSet, address: SocketAddr) -> Result<()> {
    let status = status(address)?;
    let worker = status["worker"]["pid"].as_u64().context("no worker")?;
    let told = fs::read_to_string(format!("/proc/{worker}/status"))?;
    let of = |text: &str, key: &str| -> Result<String> {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        Ok(line.with_context(|| format!("no {key}"))?.trim().to_owned())
    };
    for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        ensure!(u64::from_str_radix(&of(&told, set)?, 16)? == 0, "the worker's {set}: {told}");
    }
    let supervisor = of(&told, "PPid")?;
    let told = fs::read_to_string(format!("/proc/{supervisor}/status"))?;
    let mut wanted = 0;
    for name in daemonset.capabilities() {
        let found = CAPABILITIES.iter().find(|(known, _)| *known == name);
        wanted |= 1 << found.with_context(|| format!("the test does not know {name}"))?.1;
    }
    let allowed = u64::from_str_radix(&of(&told, "CapBnd")?, 16)?;
    ensure!(allowed == wanted, "the supervisor may have {allowed:x}, not {wanted:x}");
    ensure!(of(&told, "NoNewPrivs")? == "1" && of(&told, "Seccomp")? == "2", "{told}");
    Ok(())
}

/// Whatever the kernel gives to root on the host.
fn has_the_probes_of_a_host(address: SocketAddr) -> Result<()> {
    let doctor = Command::new(bins::sensor()?).arg("doctor").output()?;
    let doctor = String::from_utf8(doctor.stdout)?;
    let status = status(address)?;
    let mut compared = 0;
    for line in doctor.lines().filter_map(|line| line.strip_prefix("ok    probe: ")) {
        let name = line.split_whitespace().next().context("no name")?;
        let probe = &status["worker"]["probes"][name];
        ensure!(probe["attached"] == true, "{name} is not there: {probe}");
        compared += 1;
    }
    ensure!(compared > 0, "the doctor names no probes: {doctor}");
    Ok(())
}

fn status(address: SocketAddr) -> Result<Value> {
    Ok(serde_json::from_slice(&get(address, "/status")?.body)?)
}

fn read(log: &Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}

/// Of its log, as a kubelet finds it: time, stream, whether the line is whole, the line.
fn events(log: &Path) -> Result<Vec<Value>> {
    let mut events = Vec::new();
    let mut line = String::new();
    for entry in read(log).lines() {
        let mut words = entry.splitn(4, ' ');
        let (Some(stream), Some(whole), Some(text)) = (words.nth(1), words.next(), words.next())
        else {
            continue;
        };
        if stream != "stdout" {
            continue;
        }
        line.push_str(text);
        if whole == "F" {
            events.push(serde_json::from_str(&line).with_context(|| line.clone())?);
            line.clear();
        }
    }
    Ok(events)
}

fn wait_until(log: &Path, what: &str, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        ensure!(Instant::now() < until, "not within {PATIENCE:?}: {what}: {}", read(log));
        thread::sleep(POLL);
    }
    Ok(())
}
