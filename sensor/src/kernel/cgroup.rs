//! Where every cgroup of the host begins.

use std::fs::{self, File};

/// The root of the unified hierarchy as it is mounted here (`proc_pid_mountinfo(5)`).
pub(super) fn root() -> Result<File, String> {
    const MOUNTS: &str = "/proc/self/mountinfo";
    let mounts = fs::read_to_string(MOUNTS).map_err(|error| format!("{MOUNTS}: {error}"))?;
    let path = mounts.lines().find_map(mount_point);
    let path = path.ok_or("no cgroup2 is mounted: mount -t cgroup2 none /sys/fs/cgroup")?;
    File::open(path).map_err(|error| format!("{path}: {error}"))
}

/// `36 35 98:0 / /mnt options - cgroup2 none options`: the fifth field, if that is the type.
fn mount_point(line: &str) -> Option<&str> {
    let (mount, file_system) = line.split_once(" - ")?;
    let is_cgroup2 = file_system.split(' ').next() == Some("cgroup2");
    mount.split(' ').nth(4).filter(|_| is_cgroup2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_unified_hierarchy_counts() {
        let v1 = "31 24 0:26 / /sys/fs/cgroup/pids rw shared:9 - cgroup cgroup rw,pids";
        let v2 = "30 24 0:25 / /sys/fs/cgroup/unified rw,nosuid shared:8 - cgroup2 none rw";
        assert_eq!([v1, v2, ""].map(mount_point), [None, Some("/sys/fs/cgroup/unified"), None]);
    }
}
