use std::fs;
use std::time::Duration;

use crate::usage::{Resident, process_cpu};

/// What one process costs.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// What the process is to its program.
    pub role: &'static str,
    /// CPU time of all its threads.
    pub cpu: Duration,
    /// Resident memory, bytes.
    pub resident: u64,
    /// How often one of its threads went to sleep by itself: as often it was woken.
    pub sleeps: u64,
}

impl Process {
    /// As it is now; `None` if it is gone.
    pub fn of(role: &'static str, pid: u32) -> Option<Self> {
        Some(Self {
            role,
            cpu: process_cpu(pid)?,
            resident: Resident::of(pid)?.bytes(),
            sleeps: sleeps(pid),
        })
    }
}

/// `voluntary_ctxt_switches` of every thread (`proc_pid_status(5)`).
fn sleeps(pid: u32) -> u64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let of_thread = |thread: fs::DirEntry| -> Option<u64> {
        let status = fs::read_to_string(thread.path().join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse().ok()
    };
    threads.flatten().filter_map(of_thread).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_sleeps_is_counted() {
        let me = std::process::id();
        let before = Process::of("me", me).expect("this process").sleeps;
        std::thread::spawn(|| std::thread::sleep(Duration::from_millis(1)))
            .join()
            .expect("it ends");
        std::thread::sleep(Duration::from_millis(1));
        assert!(Process::of("me", me).expect("this process").sleeps > before);
        // Above `PID_MAX_LIMIT`, include/linux/threads.h.
        assert!(Process::of("nobody", (4 << 20) + 1).is_none());
    }
}
