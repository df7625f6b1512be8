//! All machines, on one network that nothing else is on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use wanglou_fleet_testkit::process::Process;

use crate::machine::{Machine, Site, said};
use crate::mirror;
use crate::page::Block;

const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// Those of the page.
pub(crate) const MACHINES: [&str; 11] = [
    "etcd-1",
    "etcd-2",
    "etcd-3",
    "replica-1",
    "replica-2",
    "host-1",
    "host-2",
    "host-3",
    "host-4",
    "host-5",
    "ops",
];

/// They are gone when this is dropped, the network last.
pub(crate) struct Machines {
    all: Vec<Machine>,
    _switch: Process,
    folder: TempDir,
}

impl Machines {
    /// With what an operator has before they begin: names, packages, a folder in common, and ssh.
    pub(crate) fn start(packages: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (mirror, shared) = (folder.path().join("mirror"), folder.path().join("shared"));
        fs::create_dir(&mirror)?;
        fs::create_dir(&shared)?;
        mirror::make(packages, &mirror)?;
        let site = Site { folder: folder.path(), mirror: &mirror, shared: &shared };
        let switch = switch(folder.path())?;
        let start = |name: &&str| Machine::start(name, &site);
        let all = MACHINES.iter().map(start).collect::<Result<Vec<_>>>()?;
        for (n, machine) in all.iter().enumerate() {
            plug(machine, &switch, n)?;
            // Not one of 32 zeros, which is none.
            machine.namespaces().write("/etc/machine-id", &format!("{:032x}\n", 0xface + n))?;
            machine.namespaces().write("/etc/hosts", &hosts())?;
        }
        let machines = Self { all, _switch: switch, folder };
        let ops = machines.named("ops")?;
        ops.run("mkdir /root/packages")?;
        for package in mirror::packages(packages)? {
            let name = package.file_name().context("no name")?.to_string_lossy().into_owned();
            if name.starts_with("wanglou") {
                fs::copy(&package, ops.namespaces().path(&format!("/root/packages/{name}")))?;
            }
        }
        ops.namespaces().write("/usr/bin/ssh", &machines.ssh())?;
        ops.run("chmod 755 /usr/bin/ssh")?;
        Ok(machines)
    }

    pub(crate) fn named(&self, name: &str) -> Result<&Machine> {
        let found = self.all.iter().find(|machine| machine.name == name);
        found.with_context(|| format!("there is no machine {name}"))
    }

    /// Runs a block on all machines that it is for, as somebody with a window for each would; tells what the first has said.
    pub(crate) fn run(&self, block: &Block) -> Result<String> {
        let on = block.machines.iter().map(|name| self.named(name)).collect::<Result<Vec<_>>>()?;
        let told = thread::scope(|scope| -> Result<Vec<_>> {
            let running: Vec<_> =
                on.iter().map(|machine| scope.spawn(|| machine.run(&block.script))).collect();
            let ended =
                running.into_iter().map(|it| it.join().ok().context("a thread has ended")?);
            ended.collect()
        })?;
        told.into_iter().next().context("it is for no machine")
    }

    /// Has no keys and asks nobody: it goes to the other machine as root.
    fn ssh(&self) -> String {
        let cases: String = self
            .all
            .iter()
            .map(|it| format!("root@{}) id={} ;;\n", it.name, it.namespaces().id()))
            .collect();
        format!(
            "#!/bin/sh\nset -eu\nif [ \"$1\" = -n ]; then shift; exec < /dev/null; fi\n\
             case $1 in\n{cases}*) echo \"ssh: $1 is nobody\" >&2; exit 255 ;;\nesac\nshift\n\
             exec nsenter --target \"$id\" --mount --net --uts -- sh -c \"$*\"\n"
        )
    }

    /// What services have said, for who looks at what has failed.
    pub(crate) fn complaint(&self) -> String {
        self.all.iter().filter_map(Machine::complaint).collect::<Vec<_>>().join("\n")
    }

    /// Ends all of it, and says so if something of it is left.
    pub(crate) fn end(self) -> Result<()> {
        let folder = self.folder.path().to_owned();
        let of = |machine: &Machine| fs::read_link(machine.namespaces().namespace());
        let namespaces = self.all.iter().map(of).collect::<Result<Vec<_>, _>>()?;
        drop(self);
        ensure!(!folder.exists(), "{} is left", folder.display());
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        ensure!(!mounts.contains(&*folder.to_string_lossy()), "mounts are left: {mounts}");
        // A worker whose supervisor was killed is ended by the kernel, which nobody waits for.
        let started = Instant::now();
        while let Some(left) = somebody_in(&namespaces)? {
            ensure!(started.elapsed() < PATIENCE, "a process is left: {}", left.display());
            thread::sleep(POLL);
        }
        Ok(())
    }
}

/// The first process that is in one of these.
fn somebody_in(namespaces: &[PathBuf]) -> Result<Option<PathBuf>> {
    let processes = fs::read_dir("/proc")?.flatten().map(|entry| entry.path());
    // Others end meanwhile.
    let is_in = |process: &PathBuf| {
        fs::read_link(process.join("ns/mnt")).is_ok_and(|it| namespaces.contains(&it))
    };
    Ok(processes.into_iter().find(is_in))
}

/// In a network of its own, a bridge.
fn switch(folder: &Path) -> Result<Process> {
    let mut command = Command::new("unshare");
    let script = "ip link add switch type bridge && ip link set switch up && echo ready >&2 && exec sleep infinity";
    command.args(["--net", "sh", "-c", script]).stdin(Stdio::null()).stdout(Stdio::null());
    let mut switch = Process::start(command, &folder.join("switch.log"))?;
    while !switch.told()?.contains("ready") {
        ensure!(switch.is_running(), "there is no switch: {}", switch.complaint());
        thread::sleep(POLL);
    }
    Ok(switch)
}

fn plug(machine: &Machine, switch: &Process, n: usize) -> Result<()> {
    let (name, id) = (&machine.name, machine.namespaces().id());
    let mut cable = Command::new("nsenter");
    cable.args([&format!("--net=/proc/{}/ns/net", switch.id()), "sh", "-e", "-c"]);
    said(cable.arg(format!(
        "ip link add {name} type veth peer name eth0 netns {id}; ip link set {name} master switch up"
    )))?;
    let address = address(n);
    machine.run(&format!(
        "ip address add {address}/24 dev eth0; ip link set eth0 up; ip link set lo up"
    ))?;
    Ok(())
}

/// Of 198.18.0.0/15, which is for tests of networks (RFC 2544).
fn address(n: usize) -> String {
    format!("198.18.0.{}", n + 1)
}

fn hosts() -> String {
    let names = MACHINES.iter().enumerate().map(|(n, name)| format!("{} {name}\n", address(n)));
    std::iter::once("127.0.0.1 localhost\n".to_owned()).chain(names).collect()
}
