//! A process of which everything is known, as /proc showed it while it was held alive.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Stdio};
use std::{fs, thread, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::Value;
use wanglou_testkit::{Watch, event, proc, scratch::Scratch, sys};

use super::fields;
use crate::{held, report::tell};

/// Not root's.
const GID: u32 = 4321;
const SIGKILL: i32 = 9;

/// All that is known of one process from elsewhere than the sensor.
pub(crate) struct Known {
    pub(crate) pid: u32,
    pub(crate) facts: proc::Facts,
    pub(crate) boot_id: String,
    pub(crate) host_id: String,
    pub(crate) cgroup: Option<u64>,
    /// The signal that ended it, else it exited by itself.
    pub(crate) signal: Option<&'static str>,
}

/// One result for each field and backend.
pub(crate) fn run(backend: &str) {
    match observe(backend) {
        Ok(lives) => {
            for (known, events) in lives {
                fields::compare(backend, &known, &events);
            }
        }
        Err(error) => tell(&format!("{backend}: known process"), "", Err(error)),
    }
}

/// Runs one process that exits by itself, as somebody else, and one that is killed, on a terminal.
fn observe(backend: &str) -> Result<Vec<(Known, Vec<Value>)>> {
    let watch = Watch::builder().backend(backend).start()?;
    let folder = Scratch::new("known")?;

    let mut exits = held::command(folder.path())?.uid(held::OTHER_USER).gid(GID).spawn()?;
    let first = hold(&exits, None)?;
    held::release(&mut exits);
    exits.wait()?;

    let (ours, theirs) = sys::open_pty(80)?;
    let mut command = held::command(folder.path())?;
    command.stdin(Stdio::from(theirs));
    // SAFETY: both are single system calls, which are allowed between fork and exec.
    unsafe {
        command.pre_exec(|| {
            rustix::process::setsid()?;
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
            Ok(())
        });
    }
    let mut killed = command.spawn()?;
    let second = hold(&killed, Some("SIGKILL"))?;
    sys::kill(killed.id(), SIGKILL)?;
    let status = killed.wait()?;
    anyhow::ensure!(status.signal() == Some(SIGKILL), "was not killed: {status}");
    drop(ours);

    let capture = watch.stop()?;
    [first, second]
        .into_iter()
        .map(|known| {
            let events = capture.filter(|line| event::pid(line) == Some(known.pid))?;
            Ok((known, events))
        })
        .collect()
}

/// Reads everything there is to know while the process holds still.
fn hold(child: &Child, signal: Option<&'static str>) -> Result<Known> {
    let pid = child.id();
    // `spawn` returns once the exec has succeeded, but a backend that reads /proc needs its turn.
    thread::sleep(Duration::from_millis(300));
    let line = |path: &str| -> Result<String> {
        Ok(fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?.trim().into())
    };
    Ok(Known {
        pid,
        facts: proc::facts(pid)?,
        boot_id: line("/proc/sys/kernel/random/boot_id")?,
        host_id: line("/etc/machine-id")?,
        cgroup: cgroup(pid),
        signal,
    })
}

/// The id of its cgroup on the unified hierarchy, where that is the one in use.
fn cgroup(pid: u32) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let list = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = list.trim().strip_prefix("0::")?;
    // More lines: older hierarchies are in use beside it, and which one counts is theirs to say.
    if list.lines().count() > 1 {
        return None;
    }
    fs::metadata(format!("/sys/fs/cgroup{path}")).ok().map(|folder| folder.ino())
}
