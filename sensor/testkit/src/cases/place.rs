//! Where a process is, and who it is.

use std::{
    fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::PathBuf,
    process::{self, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{
    Case, Expect, Stage,
    expect::{absent, same, same_path, whole_args},
};
use crate::{event::action, proc, sys};

/// Ids that nobody has.
const UID: u32 = 54_321;
const GID: u32 = 51_234;

pub(super) const CASES: &[Case] = &[
    Case::any("held", held),
    Case::any("credentials", credentials),
    Case::any("mounts", mounts),
    Case::any("chroot", chroot),
    Case::any("pid_namespace", pid_namespace),
    Case::any("terminal", terminal),
];

/// Everything that /proc says of a process while it is held, its exec event says too.
fn held(stage: &Stage) -> Result<Expect> {
    let folder = stage.path("held here");
    fs::create_dir(&folder)?;
    let mut command = stage.role("hold");
    command.current_dir(&folder).uid(UID).gid(GID).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn()?;
    // A child by fork is not held yet while it is still us.
    while proc::facts(child.id())?.exe != stage.actor() {
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(stage.linger());
    let truth = proc::facts(child.id())?;
    drop(child.stdin.take());
    child.wait()?;
    let (pid, me, my_path) = (child.id(), process::id(), fs::read_link("/proc/self/exe")?);
    Ok(Box::new(move |stream| {
        let life = stream.life(pid)?;
        life.ran(1)?;
        let exec = life.one("exec")?;
        whole_args(exec, &[truth.exe.as_os_str(), "hold".as_ref()])?;
        same_path(exec, "process.executable", &truth.exe)?;
        same_path(exec, "process.working_directory", &folder)?;
        same(exec, "process.name", truth.comm.as_str())?;
        same(exec, "process.vpid", pid)?;
        same(exec, "process.parent.pid", me)?;
        same_path(exec, "process.parent.executable", &my_path)?;
        absent(exec, "process.real_parent")?;
        match truth.session {
            // That of the kernel's first process, which leads none: nobody has called setsid since.
            0 => absent(exec, "process.session_leader.pid")?,
            leader => same(exec, "process.session_leader.pid", leader)?,
        }
        same(exec, "process.interactive", truth.tty.is_some())?;
        for (name, ids) in [("user", truth.uid), ("group", truth.gid)] {
            same(exec, &format!("{name}.id"), ids[0].to_string())?;
            same(exec, &format!("{name}.effective.id"), ids[1].to_string())?;
        }
        for (name, inode) in ["pid", "mnt", "net"].into_iter().zip(truth.namespaces) {
            same(exec, &format!("wanglou.namespaces.{name}"), inode)?;
        }
        for common in ["host.id", "host.name", "host.boot.id", "wanglou.run.id"] {
            ensure!(crate::text(exec, common).is_some_and(|text| !text.is_empty()), "no {common}");
        }
        same(exec, "event.kind", "event")?;
        same(exec, "event.category", vec!["process"])?;
        same(exec, "event.type", vec!["start"])
    }))
}

/// Told at once where the kernel allows it, else with the next event of the process.
fn credentials(stage: &Stage) -> Result<Expect> {
    let pid = stage.run(stage.role("become").args([UID, GID].map(|id| id.to_string())))?;
    Ok(Box::new(move |stream| {
        let life = stream.life(pid)?;
        life.ran(1)?;
        let user = life.one("uid_change")?;
        same(user, "user.changes.id", UID.to_string())?;
        same(user, "event.category", vec!["process"])?;
        same(user, "event.type", vec!["change"])?;
        same(life.one("gid_change")?, "group.changes.id", GID.to_string())?;
        let last = life.events.last().map(|event| action(event));
        ensure!(last == Some("end"), "the last event is {last:?}");
        same(life.one("end")?, "user.id", UID.to_string())?;
        same(life.one("end")?, "group.id", GID.to_string())
    }))
}

fn mounts(stage: &Stage) -> Result<Expect> {
    let folder = stage.path("mounts");
    fs::create_dir(&folder)?;
    let pids = stage.keep("mounts", &[&folder.to_string_lossy()])?;
    Ok(Box::new(move |stream| {
        let exec = stream.life(pids["mnt"])?.one("exec")?;
        same_path(exec, "process.executable", &folder.join("mnt/deep/actor"))?;
        let exec = stream.life(pids["bind"])?.one("exec")?;
        same_path(exec, "process.executable", &folder.join("bind/actor"))
    }))
}

fn chroot(stage: &Stage) -> Result<Expect> {
    let root = stage.path("root");
    fs::create_dir_all(root.join("bin"))?;
    fs::copy(stage.actor(), root.join("bin/inside"))?;
    let mut command = stage.role("chroot");
    let mut child = command.arg(&root).args(["/bin/inside", "inside", "noop"]).spawn()?;
    ensure!(child.wait()?.success(), "the actor does not run in an empty root: is it static?");
    let pid = child.id();
    Ok(Box::new(move |stream| {
        let life = stream.life(pid)?;
        life.ran(2)?;
        let exec = life.of("exec")[1];
        same(exec, "process.executable", "/bin/inside")?;
        same(exec, "process.working_directory", "/")?;
        whole_args(exec, &["inside", "noop"])
    }))
}

fn pid_namespace(stage: &Stage) -> Result<Expect> {
    let pids = stage.keep("pid-namespace", &["first"])?;
    let ours = fs::metadata("/proc/self/ns/pid")?.ino();
    Ok(Box::new(move |stream| {
        let life = stream.life(pids["child"])?;
        life.ran(1)?;
        let exec = life.one("exec")?;
        same(exec, "process.vpid", 1)?;
        same(exec, "process.parent.pid", pids["role"])?;
        let theirs = crate::number(exec, "wanglou.namespaces.pid");
        ensure!(
            theirs.is_some_and(|inode| inode != ours),
            "namespaces.pid is {theirs:?}, ours {ours}"
        );
        Ok(())
    }))
}

fn terminal(stage: &Stage) -> Result<Expect> {
    let (_ours, theirs) = sys::open_pty(80)?;
    let device = theirs.metadata()?.rdev();
    let pid = stage.run(stage.role("session").arg("typed").stdin(theirs))?;
    let actor: PathBuf = stage.actor();
    Ok(Box::new(move |stream| {
        let life = stream.life(pid)?;
        life.ran(2)?;
        let exec = life.of("exec")[1];
        whole_args(exec, &[actor.as_os_str(), "noop".as_ref(), "typed".as_ref()])?;
        same(exec, "process.interactive", Value::Bool(true))?;
        same(exec, "process.tty.char_device.major", libc::major(device))?;
        same(exec, "process.tty.char_device.minor", libc::minor(device))?;
        same(exec, "process.session_leader.pid", pid)
    }))
}
