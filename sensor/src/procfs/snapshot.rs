//! Every process that there is.

use std::io;
use std::os::unix::ffi::OsStrExt;

use super::boot_time;
use super::process::{Detail, Process, Reader};
use super::stat::number;
use crate::observation::{Action, Observation, Provider};

/// Reports each process of the host as [`Action::Existing`], in the order of their ids.
///
/// It is no atomic picture: a process that starts meanwhile may be missing, one that is reported
/// may have ended. A source of events that has been listening since before knows of both.
pub fn snapshot(reader: &mut Reader, on: &mut dyn FnMut(&Observation<'_>)) -> io::Result<()> {
    walk(reader, &mut |pid, process| on(&existing(pid, process)))
}

/// The observation that a process is there.
pub(crate) fn existing(pid: u32, process: Process<'_>) -> Observation<'_> {
    Observation {
        time: boot_time(),
        provider: Provider::Procfs,
        pid,
        start: Some(process.start),
        state: process.state,
        action: Action::Existing(process.image),
        incomplete: process.incomplete,
    }
}

/// Reads each process in turn. One that has ended and only waits for its parent is left out:
/// nothing more will be heard of it.
pub(crate) fn walk(reader: &mut Reader, on: &mut dyn FnMut(u32, Process<'_>)) -> io::Result<()> {
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = number(entry?.file_name().as_bytes()) else { continue };
        let Some(process) = reader.read(pid, Detail::Image) else { continue };
        if !process.stat.has_ended() {
            on(pid, process);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_this_process_and_no_thread() {
        let mut reader = Reader::open().expect("/proc");
        let mut seen = Vec::new();
        std::thread::scope(|threads| {
            let (stay, stayed) = std::sync::mpsc::channel::<()>();
            threads.spawn(move || stayed.recv());
            snapshot(&mut reader, &mut |observation| seen.push(observation.pid)).expect("/proc");
            drop(stay);
        });
        let me = std::process::id();
        assert_eq!(seen.iter().filter(|&&pid| pid == me).count(), 1);
        assert!(seen.windows(2).all(|pids| pids[0] < pids[1]));
    }
}
