//! A cgroup of the worker's own, for hosts that want a wall behind the breaker. Version 1 or 2, whichever
//! has the controller.
//!
//! It lies below the one that the supervisor is in. Version 2 gives controllers to the cgroups below one
//! only if nobody is in itself; a supervisor that is alone there moves into a leaf beside its worker's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::Duration;

use thiserror::Error;

use crate::log::ids;
use crate::procfs::cgroup::{Hierarchy, of_controller, path, unified};

const WORKER: &str = "wanglou-worker.";
const SUPERVISOR: &str = "wanglou-supervisor.";
const MEMORY: &str = "memory";
const CPU: &str = "cpu";

/// In which the quota of CPU time is given, microseconds.
const PERIOD_USEC: u64 = 100_000;

/// What the kernel lets a worker have; 0 for whatever there is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Memory of the worker, with its loader and its maps, bytes.
    pub memory_bytes: u64,
    /// CPU time, percent of one core.
    pub cpu_percent: f64,
}

/// Why the worker has no limits.
#[derive(Debug, Error)]
pub(super) enum CgroupError {
    #[error("no cgroups with the controller {0} are mounted")]
    None(&'static str),
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

/// Cgroups with limits, removed on drop; the worker has to be gone by then.
#[derive(Debug, Default)]
pub(super) struct Cgroup {
    folders: Vec<PathBuf>,
    /// Where we ourselves have made room, and for which controllers.
    left: Option<(PathBuf, String)>,
}

impl Cgroup {
    /// Makes one with these limits; without any it does nothing.
    pub(super) fn new(limits: &Limits) -> Result<Self, CgroupError> {
        let mut cgroup = Self::default();
        if limits.memory_bytes > 0 {
            let bytes = limits.memory_bytes.to_string();
            let (folder, is_v2) = cgroup.with(MEMORY)?;
            let file = if is_v2 { "memory.max" } else { "memory.limit_in_bytes" };
            write(&folder.join(file), &bytes)?;
        }
        if limits.cpu_percent > 0.0 {
            let quota = (limits.cpu_percent / 100.0 * PERIOD_USEC as f64) as u64;
            let (folder, is_v2) = cgroup.with(CPU)?;
            if is_v2 {
                write(&folder.join("cpu.max"), &format!("{quota} {PERIOD_USEC}"))?;
            } else {
                write(&folder.join("cpu.cfs_period_us"), &PERIOD_USEC.to_string())?;
                write(&folder.join("cpu.cfs_quota_us"), &quota.to_string())?;
            }
        }
        Ok(cgroup)
    }

    /// Puts a process in, with all that it will start.
    pub(super) fn take(&self, pid: u32) -> Result<(), CgroupError> {
        self.folders.iter().try_for_each(|folder| enter(folder, pid))
    }

    /// The folder that has a controller, and whether it is of version 2.
    fn with(&mut self, controller: &'static str) -> Result<(PathBuf, bool), CgroupError> {
        let (parent, is_v2) = parent(controller)?;
        if is_v2 {
            self.hand_down(&parent, controller)?;
        }
        let folder = parent.join(format!("{WORKER}{}", process::id()));
        if !self.folders.contains(&folder) {
            make(&folder)?;
            self.folders.push(folder.clone());
        }
        Ok((folder, is_v2))
    }

    /// Has the cgroups below this one get a controller.
    fn hand_down(&mut self, parent: &Path, controller: &str) -> Result<(), CgroupError> {
        let control = parent.join("cgroup.subtree_control");
        let handed_down = fs::read_to_string(&control).unwrap_or_default();
        if handed_down.split_whitespace().any(|name| name == controller) {
            return Ok(());
        }
        let text = format!("+{controller}");
        match write(&control, &text) {
            Err(CgroupError::Io { source, .. })
                if source.kind() == io::ErrorKind::ResourceBusy && self.left.is_none() =>
            {
                let leaf = parent.join(format!("{SUPERVISOR}{}", process::id()));
                make(&leaf)?;
                self.left = Some((parent.to_owned(), String::new()));
                enter(&leaf, process::id())?;
                write(&control, &text)?;
            }
            done => done?,
        }
        if let Some((_, controllers)) = &mut self.left {
            controllers.push_str(&format!("-{controller} "));
        }
        Ok(())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for folder in &self.folders {
            remove(folder);
        }
        if let Some((parent, controllers)) = &self.left {
            // Where it is not possible we stay where we are, which harms nobody.
            let _ = write(&parent.join("cgroup.subtree_control"), controllers.trim());
            let _ = enter(parent, process::id());
            remove(&parent.join(format!("{SUPERVISOR}{}", process::id())));
        }
    }
}

/// Removes those of supervisors that were killed.
pub(super) fn remove_stale() {
    for controller in [MEMORY, CPU] {
        let Ok((parent, _)) = parent(controller) else { continue };
        let folders = fs::read_dir(&parent).into_iter().flatten().flatten();
        for folder in folders.map(|entry| entry.path()) {
            let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let pid = [WORKER, SUPERVISOR].iter().find_map(|prefix| name.strip_prefix(prefix));
            let pid = pid.and_then(|pid| pid.parse().ok());
            if pid.is_some_and(|pid| pid != process::id() && !is_one_of_us(pid)) {
                remove(&folder);
            }
        }
    }
}

/// A number that has gone to somebody else since is none of us.
fn is_one_of_us(pid: u32) -> bool {
    let name = |pid: &str| fs::read(format!("/proc/{pid}/comm")).ok();
    name(&pid.to_string()).is_some_and(|theirs| Some(theirs) == name("self"))
}

/// Where the supervisor's cgroup of a controller is, as it was before it made room, and whether it is one of
/// version 2.
fn parent(controller: &'static str) -> Result<(PathBuf, bool), CgroupError> {
    let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let own = fs::read("/proc/self/cgroup").unwrap_or_default();
    let hierarchy: Option<Hierarchy> =
        of_controller(&mounts, controller).or_else(|| unified(&mounts));
    let found = hierarchy.and_then(|hierarchy| {
        let folder = hierarchy.folder(path(&own, hierarchy.controller)?)?;
        Some((folder, hierarchy.controller.is_none()))
    });
    let (folder, is_v2) = found.ok_or(CgroupError::None(controller))?;
    let is_leaf = folder
        .file_name()
        .is_some_and(|name| name.to_str().is_some_and(|name| name.starts_with(SUPERVISOR)));
    let folder = match folder.parent().filter(|_| is_leaf) {
        Some(parent) => parent.to_owned(),
        None => folder,
    };
    Ok((folder, is_v2))
}

fn make(folder: &Path) -> Result<(), CgroupError> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(CgroupError::Io { path: folder.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

fn enter(folder: &Path, pid: u32) -> Result<(), CgroupError> {
    write(&folder.join("cgroup.procs"), &pid.to_string())
}

fn write(path: &Path, text: &str) -> Result<(), CgroupError> {
    fs::write(path, text).map_err(|source| CgroupError::Io { path: path.to_owned(), source })
}

/// A process that has just ended is in it for a moment still.
fn remove(folder: &Path) {
    const TRIES: u32 = 20;
    const PAUSE: Duration = Duration::from_millis(5);
    for _ in 0..TRIES {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => thread::sleep(PAUSE),
            _ => return,
        }
    }
    let folder = folder.display();
    tracing::warn!(
        id = ids::CGROUP_LEFT.code,
        "the cgroup {folder} is still in use: the next start removes it"
    );
}
