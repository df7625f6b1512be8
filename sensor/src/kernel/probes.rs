//! The worker's side of the probes: the ring, the counters and the links that keep them attached.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use aya::maps::{Map, MapData, RingBuf};
use thiserror::Error;
use wanglou_sensor_common::GROUPS;
use wanglou_sensor_common::counters::Stream;

use super::counters::{CounterMap, Totals};
use super::log::ProbeLog;
use super::message::{Loaded, VERSION};
use super::programs::{Hook, PROGRAMS};
use super::shedding::SheddingMap;
use super::{Network, Request, sys};
use crate::action::Category;
use crate::channel;

/// Why there are no probes.
#[derive(Debug, Error)]
pub enum ProbesError {
    /// The loader says why.
    #[error("{0}")]
    Loader(String),
    /// The loader could not be started or ended without a word.
    #[error("the loader of the probes failed: {0}")]
    Start(#[source] io::Error),
    /// What the loader handed over cannot be used.
    #[error("cannot use what the loader handed over: {0}")]
    Handover(String),
}

/// A program as it was found at start.
#[derive(Clone, Debug)]
pub struct ProgramStatus {
    /// Its name.
    pub name: &'static str,
    /// Where it hangs: `tp_btf/sched_process_exec`.
    pub hook: String,
    /// Why it does not run.
    pub missing: Option<String>,
    /// What serves instead; `None`: without it there are no probes at all.
    pub instead: Option<&'static str>,
    /// Instructions that the verifier walked; `None` where the kernel does not say (before 5.16).
    pub verified: Option<u32>,
}

struct Attached {
    name: &'static str,
    category: Category,
    skipped: Option<Stream>,
    program: OwnedFd,
    link: Option<OwnedFd>,
    misses: u64,
}

/// Probes that are attached for as long as this lives.
pub struct Probes {
    ring: RingBuf<MapData>,
    counters: CounterMap,
    counters_fd: OwnedFd,
    shedding: SheddingMap,
    cpus: u32,
    attached: Vec<Attached>,
    iterators: Vec<(&'static str, OwnedFd)>,
    programs: Vec<ProgramStatus>,
}

impl Probes {
    /// Has a loader attach everything; sized as told.
    pub fn load(request: &Request) -> Result<Self, ProbesError> {
        let (loaded, fds) = start_loader(request).map_err(ProbesError::Start)?;
        if let Some(error) = loaded.error {
            return Err(ProbesError::Loader(error));
        }
        Self::take_over(&loaded, fds)
    }

    fn take_over(loaded: &Loaded, fds: Vec<OwnedFd>) -> Result<Self, ProbesError> {
        let handover = |what: &str| ProbesError::Handover(what.to_owned());
        let mut fds = fds.into_iter();
        let mut next = || fds.next().ok_or_else(|| handover("a descriptor is missing"));
        let ring = MapData::from_fd(next()?)
            .and_then(|data| RingBuf::try_from(Map::RingBuf(data)))
            .map_err(|error| ProbesError::Handover(error.to_string()))?;
        let counters_fd = next()?;
        let counters = CounterMap::map(counters_fd.as_fd(), loaded.cpus as usize)
            .map_err(|error| ProbesError::Handover(format!("the counters: {error}")))?;

        let shedding = SheddingMap::map(next()?.as_fd())
            .map_err(|error| ProbesError::Handover(format!("what is given up: {error}")))?;

        let (mut attached, mut programs) = (Vec::new(), Vec::new());
        let mut iterators = Vec::new();
        for report in &loaded.programs {
            let spec = PROGRAMS
                .iter()
                .find(|spec| spec.name == report.name)
                .ok_or_else(|| handover(&format!("unknown program {}", report.name)))?;
            programs.push(ProgramStatus {
                name: spec.name,
                hook: spec.hook.section(),
                missing: report.missing.clone(),
                instead: spec.instead,
                verified: report.verified,
            });
            if report.missing.is_some() {
                continue;
            }
            let (program, link) = (next()?, next()?);
            match spec.hook {
                Hook::Iterator(_) | Hook::MapIterator(_) => iterators.push((spec.name, link)),
                _ => attached.push(Attached {
                    name: spec.name,
                    category: spec.category,
                    skipped: spec.skipped,
                    program,
                    link: Some(link),
                    misses: 0,
                }),
            }
        }
        let cpus = loaded.cpus;
        Ok(Self { ring, counters, counters_fd, shedding, cpus, attached, iterators, programs })
    }

    /// Hands every waiting record to `on`, at most `limit`; says how many there were.
    pub fn drain(&mut self, limit: usize, on: &mut dyn FnMut(&[u8])) -> usize {
        let mut records = 0;
        while records < limit {
            let Some(record) = self.ring.next() else { break };
            on(&record);
            records += 1;
        }
        records
    }

    /// What the probes counted so far.
    pub fn counted(&self) -> Totals {
        self.counters.totals()
    }

    /// Adds the runs that the kernel skipped, as of the last [`Self::look_for_skipped`].
    pub fn add_skipped(&self, totals: &mut Totals) {
        for attached in &self.attached {
            if let Some(stream) = attached.skipped {
                totals[stream as usize].nested += attached.misses;
            }
        }
    }

    /// Asks the kernel how often it skipped programs: a system call for each.
    pub fn look_for_skipped(&mut self) {
        for attached in self.attached.iter_mut().filter(|attached| attached.skipped.is_some()) {
            let misses = sys::recursion_misses(attached.program.as_fd());
            attached.misses = misses.unwrap_or(attached.misses);
        }
    }

    /// The map of counters, and for how many CPUs it has rows.
    pub fn counters(&self) -> (BorrowedFd<'_>, u32) {
        (self.counters_fd.as_fd(), self.cpus)
    }

    /// The programs that run by themselves.
    pub fn running(&self) -> impl Iterator<Item = (Category, BorrowedFd<'_>)> {
        self.attached.iter().map(|attached| (attached.category, attached.program.as_fd()))
    }

    /// How often the kernel skipped a program, as it was running on that CPU already.
    pub fn skipped(&self, name: &str) -> u64 {
        let attached = self.attached.iter().find(|attached| attached.name == name);
        attached.and_then(|it| sys::recursion_misses(it.program.as_fd())).unwrap_or(0)
    }

    /// Whether the kernel has an iterator.
    pub fn has_iterator(&self, name: &str) -> bool {
        self.iterators.iter().any(|(known, _)| *known == name)
    }

    /// Begins a run of an iterator; `None` where the kernel has no such one.
    pub fn iterate(&self, name: &str) -> Option<io::Result<OwnedFd>> {
        let (_, link) = self.iterators.iter().find(|(known, _)| *known == name)?;
        Some(sys::run_iterator(link.as_fd()))
    }

    /// Asks the probes to give up what is worth less than the level of its group ([`Stream::worth`]).
    pub fn shed(&self, levels: [u32; GROUPS]) {
        self.shedding.ask(levels);
    }

    /// Asks to be woken by the next record.
    pub fn wake_us(&self) {
        self.shedding.wake_us();
    }

    /// Nothing more goes into the ring; what is in it stays to be drained.
    pub fn detach(&mut self) {
        for attached in &mut self.attached {
            attached.link = None;
        }
    }

    /// The programs as they were found at start.
    pub fn programs(&self) -> &[ProgramStatus] {
        &self.programs
    }

    /// The probes' own log; to be opened before rights are given up.
    pub fn log(&self) -> Option<ProbeLog> {
        // The exec probe is the one that has something to say.
        let exec = self.attached.iter().find(|one| one.name == "exec")?;
        ProbeLog::of(exec.program.as_fd())
    }
}

/// Readable when the ring fills up.
impl AsFd for Probes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

fn network_flags(network: &Network) -> Vec<String> {
    let limits = network.limits;
    let mut flags = vec![
        "--network".to_owned(),
        format!("--process-limit={}", limits.process),
        format!("--cgroup-limit={}", limits.cgroup),
    ];
    flags.extend(network.loopback.then(|| "--include-loopback".to_owned()));
    flags.extend(network.filter.rules().iter().map(|rule| format!("--filter={rule}")));
    flags
}

fn start_loader(request: &Request) -> io::Result<(Loaded, Vec<OwnedFd>)> {
    let (ours, theirs) = channel::pair()?;
    let sizes = request.sizes;
    let mut loader = Command::new("/proc/self/exe")
        .arg0("wanglou-sensor")
        .args([super::LOADER, &sizes.ring_bytes.to_string(), &sizes.args_bytes.to_string()])
        .arg(format!("--process-events-limit={}", request.process_events_limit))
        .args(request.network.iter().flat_map(network_flags))
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        // Ctrl-C is for us: half a loader would look like a kernel that cannot serve.
        .process_group(0)
        .spawn()?;
    let received = channel::receive::<Loaded>(&ours);
    let status = loader.wait()?;
    let (loaded, fds) = received.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::other(format!("it ended with {status}")),
        _ => error,
    })?;
    if loaded.version != VERSION {
        let other = loaded.version;
        return Err(io::Error::other(format!("it speaks version {other}, not {VERSION}")));
    }
    Ok((loaded, fds))
}
