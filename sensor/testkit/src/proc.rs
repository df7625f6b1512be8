//! What /proc says of a process, as the truth to compare with.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// A process as it was when it was read.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its parent now.
    pub ppid: u32,
    /// The leader of its session.
    pub session: u32,
    /// Its controlling terminal, major and minor; absent if it has none.
    pub tty: Option<(u32, u32)>,
    /// Clock ticks from boot to its start.
    pub start_ticks: u64,
    /// Its name, at most 15 bytes.
    pub comm: String,
    /// Its program.
    pub exe: PathBuf,
    /// Its working directory.
    pub cwd: PathBuf,
    /// The inodes of its namespaces: pid, mnt, net.
    pub namespaces: [u64; 3],
    /// Real and effective user.
    pub uid: [u32; 2],
    /// Real and effective group.
    pub gid: [u32; 2],
}

/// Reads a live process.
pub fn facts(pid: u32) -> io::Result<Facts> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let stat = fs::read_to_string(folder.join("stat"))?;
    let (head, tail) = stat.rsplit_once(')').ok_or_else(malformed)?;
    // The first field after the name is the third of proc(5).
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let nth = |n: usize| -> io::Result<u64> {
        fields.get(n - 3).and_then(|field| field.parse().ok()).ok_or_else(malformed)
    };
    let small = |n: usize| nth(n).map(|value| u32::try_from(value).unwrap_or_default());
    let status = fs::read_to_string(folder.join("status"))?;
    let tty = small(7)?;
    Ok(Facts {
        ppid: small(4)?,
        session: small(6)?,
        tty: (tty != 0).then_some(((tty >> 8) & 0xfff, (tty & 0xff) | ((tty >> 12) & 0xfff00))),
        start_ticks: nth(22)?,
        comm: head.split_once('(').ok_or_else(malformed)?.1.to_owned(),
        exe: fs::read_link(folder.join("exe"))?,
        cwd: fs::read_link(folder.join("cwd"))?,
        namespaces: [ns(&folder, "pid")?, ns(&folder, "mnt")?, ns(&folder, "net")?],
        uid: ids(&status, "Uid:")?,
        gid: ids(&status, "Gid:")?,
    })
}

/// Whether a process is over and nobody has waited for it.
pub fn is_zombie(pid: u32) -> io::Result<bool> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, tail) = stat.rsplit_once(')').ok_or_else(malformed)?;
    Ok(tail.trim_start().starts_with('Z'))
}

/// How many threads the machine has.
pub fn threads() -> io::Result<u64> {
    let loads = fs::read_to_string("/proc/loadavg")?;
    let total = loads.split_whitespace().nth(3).and_then(|field| field.split_once('/'));
    total.and_then(|(_, total)| total.parse().ok()).ok_or_else(malformed)
}

/// The children of a process's main thread.
pub fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The ids of the BPF programs that a process holds, by itself or through links.
pub fn programs_held(pid: u32) -> io::Result<Vec<u32>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        // A descriptor may be closed while we read.
        let Ok(info) = fs::read_to_string(entry?.path()) else { continue };
        ids.extend(
            info.lines()
                .filter_map(|line| line.strip_prefix("prog_id:")?.trim().parse::<u32>().ok()),
        );
    }
    ids.extend(
        children(pid).into_iter().flat_map(|child| programs_held(child).unwrap_or_default()),
    );
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// A line of /proc/PID/status in kB, such as `VmRSS:`.
pub fn status_kb(pid: u32, key: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Resident memory of a process, kB, where a page that several have mapped counts for each in part (`Pss`, as proc(5)
/// has it): over all processes of a program that nobody else runs, what they take of the host.
pub fn proportional_kb(pid: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A set of capabilities, such as `CapEff:`, as bits.
pub fn capabilities(pid: u32, set: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(set))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn ns(folder: &Path, kind: &str) -> io::Result<u64> {
    fs::metadata(folder.join("ns").join(kind)).map(|ns| ns.ino())
}

fn ids(status: &str, key: &str) -> io::Result<[u32; 2]> {
    let line = status.lines().find_map(|line| line.strip_prefix(key)).ok_or_else(malformed)?;
    let mut ids = line.split_whitespace().map(|id| id.parse().map_err(|_| malformed()));
    let mut next = || ids.next().ok_or_else(malformed)?;
    Ok([next()?, next()?])
}

fn malformed() -> io::Error {
    io::Error::other("not the form of proc(5)")
}

/// Descriptors that this process, and those that it starts, may have open.
pub fn open_files_limit() -> io::Result<u64> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    soft.ok_or_else(|| io::Error::other("/proc/self/limits names no open files"))
}
