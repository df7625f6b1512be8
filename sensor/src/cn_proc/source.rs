//! From messages to observations.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};

use super::message::Event;
use super::queue::{Entry, Lost, QUEUE_BYTES, Queue};
use super::reader::Reader;
use super::socket::Error;
use super::threads::{Exit, Threads};
use crate::clock::boot_ns;
use crate::observation::{Action, End, Image, Observation, Provider, State};
use crate::procfs::{self, Detail};

/// Process events of the netlink connector, completed from /proc.
///
/// Its descriptor is readable while there are observations to be drained. Dropping it ends the
/// listening.
pub struct CnProc {
    reader: Reader,
    queue: Arc<Queue>,
    batch: Vec<Entry>,
    later: Later,
    processes: Processes,
}

/// Messages worked on at once: as far as one can see what else happens to a process.
const BATCH: usize = 1024;

impl CnProc {
    /// Begins to listen. Needs `CAP_NET_ADMIN` in the initial PID, user and network namespaces.
    pub fn start() -> Result<Self, Error> {
        let procfs = procfs::Reader::open().map_err(|error| Error::Io("read /proc", error))?;
        let queue = Queue::new(QUEUE_BYTES)
            .map_err(|error| Error::Io("make an eventfd", error))
            .map(Arc::new)?;
        let reader = Reader::start(Arc::clone(&queue))?;
        let processes =
            Processes { procfs, threads: Threads::default(), boot_offset: boot_offset() };
        let batch = Vec::with_capacity(BATCH);
        Ok(Self { reader, queue, batch, later: Later::default(), processes })
    }

    /// Reports what /proc shows now: once after the start, and again after each loss. A process
    /// may be reported here and by an event that still waits.
    pub fn snapshot(&mut self, on: &mut dyn FnMut(&Observation<'_>)) -> io::Result<()> {
        let threads = &mut self.processes.threads;
        procfs::snapshot::walk(&mut self.processes.procfs, &mut |pid, process| {
            if process.stat.threads > 1 {
                threads.has_several(pid);
            }
            on(&procfs::snapshot::existing(pid, process));
        })
    }

    /// Reports what has happened, up to a limit. The descriptor stays readable while there is
    /// more, or a loss that was not asked for.
    pub fn drain(&mut self, on: &mut dyn FnMut(&Observation<'_>)) {
        self.batch.clear();
        let has_lost = self.queue.take(BATCH, &mut self.batch);
        self.later.look_through(&self.batch);
        self.processes.follow_clock();
        for (index, &(time, event)) in self.batch.iter().enumerate() {
            self.processes.observe(time, event, index, &self.later, on);
        }
        if has_lost {
            self.processes.report_ended_unseen(on);
        }
    }

    /// What has been lost since this was last asked.
    pub fn lost(&mut self) -> Lost {
        self.queue.lost()
    }

    /// Ends the listening. What has arrived is still to be drained; losses are known to the last.
    pub fn stop(&mut self) {
        self.reader.stop();
    }
}

impl AsFd for CnProc {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

/// Where in a batch a PID is created and where its process executes a file for the last time:
/// /proc shows what is then, not what an earlier message was about.
#[derive(Default)]
struct Later {
    last: HashMap<u32, Last>,
}

#[derive(Clone, Copy, Default)]
struct Last {
    fork: Option<usize>,
    exec: Option<usize>,
}

impl Later {
    fn look_through(&mut self, batch: &[Entry]) {
        self.last.clear();
        for (index, &(_, event)) in batch.iter().enumerate() {
            match event {
                Event::Fork { pid, tgid, .. } if pid == tgid => {
                    self.last.entry(tgid).or_default().fork = Some(index);
                }
                Event::Exec { tgid } => self.last.entry(tgid).or_default().exec = Some(index),
                _ => {}
            }
        }
    }

    /// The PID belongs to another process by now.
    fn is_reused(&self, pid: u32, after: usize) -> bool {
        self.last.get(&pid).is_some_and(|last| last.fork > Some(after))
    }

    /// The process has executed another file by now.
    fn is_replaced(&self, pid: u32, after: usize) -> bool {
        self.last.get(&pid).is_some_and(|last| last.exec > Some(after))
    }
}

struct Processes {
    procfs: procfs::Reader,
    threads: Threads,
    /// What the boot clock is ahead of the monotonic one: all the time spent suspended.
    boot_offset: u64,
}

impl Processes {
    fn observe(
        &mut self,
        time: u64,
        event: Event,
        index: usize,
        later: &Later,
        on: &mut dyn FnMut(&Observation<'_>),
    ) {
        let time = time.saturating_add(self.boot_offset);
        match event {
            Event::Fork { parent, pid, tgid } if pid == tgid => {
                // Whatever had this PID before is gone, if its last exit was lost.
                if let Some(exit) = self.threads.forget(pid) {
                    report_end(pid, exit, on);
                }
                self.report_fork(time, pid, parent, later.is_reused(pid, index), on);
            }
            Event::Fork { tgid, .. } => self.threads.has_several(tgid),
            Event::Exec { tgid } => {
                // The other threads are gone; a leader that exited for it was replaced.
                self.threads.forget(tgid);
                let is_past = later.is_reused(tgid, index) || later.is_replaced(tgid, index);
                self.report_exec(time, tgid, is_past, on);
            }
            Event::Exit { pid, tgid, status } => {
                let procfs = &mut self.procfs;
                // Whoever executes a file after this has only lost its leader to it, whatever /proc
                // shows by now; of another process with its PID the fork tells.
                let replaced = later.is_replaced(tgid, index);
                let end = self.threads.exited(pid, tgid, Exit { time, status }, |time| {
                    !replaced && (later.is_reused(tgid, index) || has_ended(procfs, tgid, time))
                });
                if let Some(exit) = end {
                    report_end(tgid, exit, on);
                }
            }
            Event::User { pid, tgid, ids } if pid == tgid => {
                let state = State { user: Some(ids), ..State::default() };
                on(&observation(time, pid, state, Action::Credentials { old: None }));
            }
            Event::Group { pid, tgid, ids } if pid == tgid => {
                let state = State { group: Some(ids), ..State::default() };
                on(&observation(time, pid, state, Action::Credentials { old: None }));
            }
            // Ids are the process's, and threads that change their own alone are not reported.
            _ => {}
        }
    }

    /// `real_parent` is who called fork, but for clones with `CLONE_PARENT`, which name their
    /// creator's parent; nothing in the message tells them apart.
    fn report_fork(
        &mut self,
        time: u64,
        pid: u32,
        parent: u32,
        is_past: bool,
        on: &mut dyn FnMut(&Observation<'_>),
    ) {
        let read = self.read(time, pid, is_past, Detail::Fork);
        let mut observation = observation(
            time,
            pid,
            State::default(),
            Action::Fork { creator: Some((parent, None)) },
        );
        observation.incomplete = true;
        if let Some(process) = read {
            observation.start = Some(process.start);
            observation.incomplete = process.incomplete;
            // It may have changed its ids since: they were its creator's, and a change is told.
            observation.state = State { user: None, group: None, ..process.state };
        }
        on(&observation);
    }

    fn report_exec(
        &mut self,
        time: u64,
        pid: u32,
        is_past: bool,
        on: &mut dyn FnMut(&Observation<'_>),
    ) {
        let mut observation =
            observation(time, pid, State::default(), Action::Exec(Image::default()));
        observation.incomplete = true;
        if let Some(process) = self.read(time, pid, is_past, Detail::Image) {
            observation.start = Some(process.start);
            observation.state = process.state;
            observation.action = Action::Exec(process.image);
            observation.incomplete = process.incomplete;
        }
        on(&observation);
    }

    /// Reads /proc unless it shows something later than the event at `time`.
    fn read(
        &mut self,
        time: u64,
        pid: u32,
        is_past: bool,
        detail: Detail,
    ) -> Option<procfs::Process<'_>> {
        if is_past {
            return None;
        }
        self.procfs.read(pid, detail).filter(|process| process.start <= time)
    }

    fn report_ended_unseen(&mut self, on: &mut dyn FnMut(&Observation<'_>)) {
        let procfs = &mut self.procfs;
        for (pid, exit) in self.threads.ended_unseen(|pid, time| has_ended(procfs, pid, time)) {
            report_end(pid, exit, on);
        }
    }

    /// The offset moves with each suspend; less than that is the noise of reading two clocks.
    fn follow_clock(&mut self) {
        let offset = boot_offset();
        if offset.abs_diff(self.boot_offset) > 1_000_000 {
            self.boot_offset = offset;
        }
    }
}

/// The process that lived at `time` has no thread left, or its PID belongs to another by now.
fn has_ended(procfs: &mut procfs::Reader, pid: u32, time: u64) -> bool {
    procfs.stat(pid).is_none_or(|stat| stat.has_ended() || stat.start() > time)
}

fn report_end(pid: u32, exit: Exit, on: &mut dyn FnMut(&Observation<'_>)) {
    let end = End { status: Some(exit.status), ..End::default() };
    on(&observation(exit.time, pid, State::default(), Action::End(end)));
}

fn observation<'a>(time: u64, pid: u32, state: State<'a>, action: Action<'a>) -> Observation<'a> {
    let provider = Provider::CnProc;
    Observation { time, provider, pid, start: None, state, action, incomplete: false }
}

fn boot_offset() -> u64 {
    let monotonic = clock_gettime(ClockId::Monotonic);
    let monotonic = monotonic.tv_sec as u64 * 1_000_000_000 + monotonic.tv_nsec as u64;
    boot_ns().saturating_sub(monotonic)
}
