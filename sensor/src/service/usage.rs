//! What the sensor costs, as the kernel counts it.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::breaker::Usage;
use crate::action::Category;
use crate::kernel::RunTime;

/// Probes are timed for a moment now and then: it makes every program of the host a little dearer, and
/// switching it on or off has the kernel change its code, for which every CPU is interrupted.
const TIMED: Duration = Duration::from_millis(100);
/// At one sample in so many, while all is well.
const EVERY: u32 = 10;

/// Meters a worker, its supervisor, and the probes.
pub(super) struct Meter {
    worker: u32,
    cpu: Duration,
    at: Instant,
    probes: RunTime,
    memory: [Option<Resident>; 2],
    /// What probes cost when they were timed last, and how many samples were taken.
    probes_percent: [f64; Category::ALL.len()],
    samples: u32,
}

impl Meter {
    /// Begins with a worker that has these programs.
    pub(super) fn of(worker: u32, programs: Vec<(Category, OwnedFd)>) -> Self {
        let probes = RunTime::of(programs);
        let (cpu, at) = (cpu_of(worker), Instant::now());
        let memory = [worker, std::process::id()].map(Resident::of);
        Self {
            worker,
            cpu,
            at,
            probes,
            memory,
            probes_percent: [0.0; Category::ALL.len()],
            samples: 0,
        }
    }

    /// What it cost since the last time; takes a moment itself. Probes are timed anew if that matters.
    pub(super) async fn sample(&mut self, matters: bool) -> Usage {
        if matters || self.samples.is_multiple_of(EVERY) {
            self.probes_percent = self.time_probes().await;
        }
        self.samples = self.samples.wrapping_add(1);
        let (cpu, now) = (cpu_of(self.worker), Instant::now());
        let process = cpu.saturating_sub(self.cpu).as_secs_f64();
        let process_percent = 100.0 * process / (now - self.at).as_secs_f64();
        (self.cpu, self.at) = (cpu, now);
        let memory_bytes = self.memory.iter().flatten().map(Resident::bytes).sum();
        Usage { process_percent, probes_percent: self.probes_percent, memory_bytes }
    }

    async fn time_probes(&self) -> [f64; Category::ALL.len()] {
        let Some(timed) = self.probes.begin() else { return Default::default() };
        let began = Instant::now();
        sleep(TIMED).await;
        let (ran, of) = (timed.end(), began.elapsed().as_nanos() as f64);
        ran.map(|ns| 100.0 * ns as f64 / of)
    }
}

/// CPU time of a worker and of ourselves; what is gone has none.
fn cpu_of(worker: u32) -> Duration {
    [worker, std::process::id()].into_iter().filter_map(process_cpu).sum()
}

/// CPU time of all threads of a process (`clock_getcpuclockid(3)`).
pub(crate) fn process_cpu(pid: u32) -> Option<Duration> {
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
pub(crate) struct Resident(File);

impl Resident {
    /// `None` if it is gone.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        File::open(format!("/proc/{pid}/statm")).ok().map(Self)
    }

    /// Now; 0 if it is gone.
    pub(crate) fn bytes(&self) -> u64 {
        let mut text = [0; 128];
        let read = self.0.read_at(&mut text, 0).unwrap_or(0);
        let statm = String::from_utf8_lossy(&text[..read]);
        let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
        pages * rustix::param::page_size() as u64
    }
}

#[cfg(test)]
mod tests {
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
