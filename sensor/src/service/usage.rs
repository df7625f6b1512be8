//! What the sensor costs, as the kernel counts it.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use wanglou_daemon::usage::{Resident, process_cpu};

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
