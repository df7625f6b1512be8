//! Whose a socket is: a process that has a descriptor of it, by /proc.

use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt as _;
use std::{fs, io};

use crate::procfs::links;
use crate::procfs::stat;

/// A process and its boot-clock start, ns.
type Process = (u32, Option<u64>);

/// For each of these inodes a process that has it open, as far as there is one.
///
/// Looks through every descriptor of every process until all are found.
pub(super) fn of(mut wanted: HashSet<u32>) -> io::Result<HashMap<u32, Process>> {
    let mut found = HashMap::new();
    // What no process has a descriptor of any more.
    wanted.remove(&0);
    if wanted.is_empty() {
        return Ok(found);
    }
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        look(pid, &mut wanted, &mut found);
        if wanted.is_empty() {
            break;
        }
    }
    Ok(found)
}

/// A process that ends meanwhile, or that we may not look at, owns nothing that we know of.
fn look(pid: u32, wanted: &mut HashSet<u32>, found: &mut HashMap<u32, Process>) {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return };
    let mut start = None;
    for descriptor in descriptors.flatten() {
        let Ok(target) = fs::read_link(descriptor.path()) else { continue };
        let target = target.as_os_str().as_bytes();
        let Some(inode) = links::namespace(target).filter(|_| target.starts_with(b"socket:"))
        else {
            continue;
        };
        if wanted.remove(&inode) {
            let start = *start.get_or_insert_with(|| start_of(pid));
            found.insert(inode, (pid, start));
        }
    }
}

fn start_of(pid: u32) -> Option<u64> {
    let line = fs::read(format!("/proc/{pid}/stat")).ok()?;
    Some(stat::parse(&line)?.start())
}
