//! Which container a process is in, by the path of its cgroup: of one that was there, and of one that is made meanwhile.

use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context as _, Result, ensure};
use wanglou_testkit::{Watch, cgroup::Cgroup, event, scratch::Scratch, text};

use crate::held;
use crate::report::Verdict;

/// As Docker and containerd name cgroups: a folder, one in it, and whose that is.
const OLD: (&str, &str, &str) = ("/docker", "", "docker");
const NEW: (&str, &str, &str) = ("/kubepods.slice", "cri-containerd-", "containerd");

pub(crate) fn run(backend: &str) -> Result<Verdict> {
    let folder = Scratch::new("container")?;
    let old = Container::make(OLD, "0d")?;
    let watch = Watch::builder().backend(backend).start()?;
    let new = Container::make(NEW, "e7")?;
    let pids = [old.run(&folder)?, new.run(&folder)?];
    let capture = watch.stop()?;
    for (container, pid) in [&old, &new].into_iter().zip(pids) {
        for action in ["exec", "end"] {
            let is_it = |line: &_| event::pid(line) == Some(pid) && event::action(line) == action;
            let events = capture.filter(is_it)?;
            let event = events.first().with_context(|| format!("{action} of {pid} is missing"))?;
            let told = (text(event, "container.id"), text(event, "container.runtime"));
            let wanted = (Some(container.id.as_str()), Some(container.runtime));
            ensure!(told == wanted, "{action}: {told:?}, not {wanted:?}");
        }
    }
    let hierarchies = fs::read_to_string("/proc/self/cgroup")?.lines().count();
    Ok(Verdict::Passed(if hierarchies > 1 { "v1 beside v2" } else { "v2" }.to_owned()))
}

struct Container {
    cgroup: Cgroup,
    id: String,
    runtime: &'static str,
}

impl Container {
    fn make((folder, prefix, runtime): (&str, &str, &'static str), id: &str) -> Result<Self> {
        let id = id.repeat(32);
        let suffix = if prefix.is_empty() { "" } else { ".scope" };
        let cgroup = Cgroup::named(folder, &format!("{prefix}{id}{suffix}"))?;
        Ok(Self { cgroup, id, runtime })
    }

    /// Has a process live in it for long enough to be looked at.
    fn run(&self, folder: &Scratch) -> Result<u32> {
        let mut child = self.cgroup.enter(held::command(folder.path())?).spawn()?;
        thread::sleep(Duration::from_millis(300));
        held::release(&mut child);
        child.wait()?;
        Ok(child.id())
    }
}
