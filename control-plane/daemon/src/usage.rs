//! What a process costs, as the kernel counts it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

/// CPU time of all threads of a process (`clock_getcpuclockid(3)`); `None` if it is gone.
pub fn process_cpu(pid: u32) -> Option<Duration> {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both are ours; a process that is gone makes the call fail.
    let failed = unsafe {
        libc::clock_getcpuclockid(pid.cast_signed(), &raw mut clock) != 0
            || libc::clock_gettime(clock, &raw mut time) != 0
    };
    (!failed).then(|| Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32))
}

/// Resident memory of a process: the second number of /proc/PID/statm, in pages (`proc_pid_statm(5)`). The file
/// stays open, as opening it takes most of the time.
#[derive(Debug)]
pub struct Resident(File);

impl Resident {
    /// `None` if it is gone.
    pub fn of(pid: u32) -> Option<Self> {
        File::open(format!("/proc/{pid}/statm")).ok().map(Self)
    }

    /// Now; 0 if it is gone.
    pub fn bytes(&self) -> u64 {
        let mut text = [0; 128];
        let read = self.0.read_at(&mut text, 0).unwrap_or(0);
        let statm = String::from_utf8_lossy(&text[..read]);
        let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
        pages * rustix::param::page_size() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_process_that_works_has_more_cpu_time() {
        let me = std::process::id();
        let before = process_cpu(me).expect("a clock");
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(20) {}
        assert!(process_cpu(me).expect("a clock") > before);
        assert!(Resident::of(me).is_some_and(|it| it.bytes() > 1 << 20));
        // Above `PID_MAX_LIMIT`, include/linux/threads.h.
        assert_eq!(process_cpu((4 << 20) + 1), None);
    }
}
