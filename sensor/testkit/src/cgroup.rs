//! A cgroup of a test's own.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

/// Where a cgroup can be made, in the order in which the sensor goes by hierarchies.
const HIERARCHIES: [&str; 3] = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory", "/sys/fs/cgroup"];

/// A cgroup that is removed again.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    /// From the root of its hierarchy.
    pub name: String,
}

impl Cgroup {
    /// Makes one, and one in it.
    pub fn make(purpose: &str) -> Result<Self> {
        Self::named(&format!("/wanglou-{purpose}-{}", std::process::id()), "inner")
    }

    /// Makes one of this name, as somebody else would have made it, and one in it.
    pub fn named(name: &str, inner: &str) -> Result<Self> {
        let is_there = |path: &&&str| Path::new(path).join("cgroup.procs").exists();
        let hierarchy = HIERARCHIES.iter().find(is_there).context("no cgroups are mounted")?;
        let path = PathBuf::from(format!("{hierarchy}{name}/{inner}"));
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path, name: name.to_owned() })
    }

    /// Has a command run in the inner one.
    pub fn enter(&self, mut command: Command) -> Command {
        let procs = self.path.join("cgroup.procs");
        // SAFETY: a write of one byte to a file, in a child that has no other thread.
        unsafe { command.pre_exec(move || fs::write(&procs, "0")) };
        command
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let until = Instant::now() + Duration::from_secs(5);
        // What was in it may still be on its way out.
        while fs::remove_dir(&self.path).is_err() && Instant::now() < until {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.path.parent().map(fs::remove_dir);
    }
}
