//! One storm under one tracer.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use wanglou_testkit::{Watch, ledger, proc, storm};

use super::bpftrace::{Bpftrace, PROCESSES};
use super::probes::{self, Runs};
use super::process;

/// Who watches the storm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tracer {
    Nobody,
    Ebpf,
    CnProc,
    Bpftrace,
}

/// What one storm cost.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    /// Spawned processes a second.
    pub(super) rate: f64,
    /// From the first process to the last.
    pub(super) wall: Duration,
    /// The tracer's CPU time until it was ready: compiling, loading, verifying.
    pub(super) start_cpu: Duration,
    /// The tracer's CPU time during the storm.
    pub(super) storm_cpu: Duration,
    pub(super) delivered: u64,
    pub(super) lost: u64,
    /// The most resident memory that the tracer had.
    pub(super) rss_kb: u64,
    /// The same of its loader, which is gone when it is ready.
    pub(super) loader_kb: u64,
    /// Its share of memory after the storm.
    pub(super) pss_kb: u64,
    /// What its probes took, where the kernel was asked to measure.
    pub(super) probes: Runs,
}

impl Tracer {
    pub(super) const ALL: [Self; 4] = [Self::Nobody, Self::Ebpf, Self::CnProc, Self::Bpftrace];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nobody => "none",
            Self::Ebpf => "wanglou-sensor, eBPF",
            Self::CnProc => "wanglou-sensor, cn_proc",
            Self::Bpftrace => "bpftrace",
        }
    }
}

/// Long enough for the last events to be read: the tracers poll, they are not woken by each.
const DRAIN: Duration = Duration::from_millis(500);

/// Starts the tracer, lets the storm blow, stops the tracer.
pub(super) fn measure(tracer: Tracer, total: u64, workers: u64) -> Result<Figures> {
    match tracer {
        Tracer::Nobody => Ok(Figures::of(&storm::run(total, workers)?)),
        Tracer::Ebpf => watch("ebpf", total, workers),
        Tracer::CnProc => watch("cn_proc", total, workers),
        Tracer::Bpftrace => bpftrace(total, workers),
    }
}

fn watch(backend: &str, total: u64, workers: u64) -> Result<Figures> {
    let watch = Watch::builder().backend(backend).start()?;
    let mut figures = under(watch.pid(), &watch.programs()?, total, workers)?;
    let capture = watch.stop()?;
    let audit = capture.audit()?;
    figures.start_cpu = capture.cpu.saturating_sub(figures.storm_cpu);
    figures.delivered =
        ["fork", "exec", "end"].iter().filter_map(|action| audit.seen.get(*action)).sum();
    figures.lost = audit.dropped.values().map(ledger::total).sum();
    figures.loader_kb = capture.memory.children_kb.values().copied().max().unwrap_or_default();
    Ok(figures)
}

fn bpftrace(total: u64, workers: u64) -> Result<Figures> {
    let bpftrace = Bpftrace::start(PROCESSES)?;
    let programs = proc::programs_held(bpftrace.pid())?;
    let mut figures = under(bpftrace.pid(), &programs, total, workers)?;
    let ended = bpftrace.stop()?;
    figures.start_cpu = ended.cpu.saturating_sub(figures.storm_cpu);
    figures.delivered = ended.delivered;
    figures.lost = ended.lost;
    Ok(figures)
}

/// The storm itself, with the tracer's clocks read before and after.
fn under(pid: u32, programs: &[u32], total: u64, workers: u64) -> Result<Figures> {
    let (cpu, runs) = (process::cpu(pid)?, probes::runs(programs)?);
    let mut figures = Figures::of(&storm::run(total, workers)?);
    thread::sleep(DRAIN);
    figures.storm_cpu = process::cpu(pid)?.saturating_sub(cpu);
    figures.probes = probes::runs(programs)? - runs;
    figures.rss_kb = proc::status_kb(pid, "VmHWM:").unwrap_or_default();
    figures.pss_kb = process::pss_kb(pid)?;
    Ok(figures)
}

impl Figures {
    fn of(storm: &storm::Storm) -> Self {
        let wall = Duration::from_nanos(storm.wall_ns);
        let rate = storm.spawned as f64 / wall.as_secs_f64();
        Self { rate, wall, ..Self::default() }
    }
}
