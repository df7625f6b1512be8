//! Every process that there is.

use std::io;
use std::os::unix::ffi::OsStrExt;

use super::process::{Detail, Process, Reader};
use super::stat::number;
use crate::clock::boot_ns;
use crate::observation::{Action, Observation, Provider};

/// Reports each process of the host as [`Action::Existing`], in the order of their ids.
///
/// A process that has ended and only waits for its parent is one of them, and says so.
///
/// It is no atomic picture: a process that starts meanwhile may be missing, one that is reported
/// may have ended. A source of events that has been listening since before knows of both.
pub fn snapshot(reader: &mut Reader, on: &mut dyn FnMut(&Observation<'_>)) -> io::Result<()> {
    walk(reader, &mut |pid, process| on(&existing(pid, process)))
}

/// The observation that a process is there.
pub(crate) fn existing(pid: u32, process: Process<'_>) -> Observation<'_> {
    Observation {
        time: boot_ns(),
        provider: Provider::Procfs,
        pid,
        start: Some(process.start),
        state: process.state,
        // Of one that has ended there is nothing more to know.
        incomplete: process.incomplete && !process.image.ended,
        action: Action::Existing(process.image),
    }
}

/// Reads each process in turn.
pub(crate) fn walk(reader: &mut Reader, on: &mut dyn FnMut(u32, Process<'_>)) -> io::Result<()> {
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = number(entry?.file_name().as_bytes()) else { continue };
        let Some(process) = reader.read(pid, Detail::Image) else { continue };
        on(pid, process);
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
