//! Observations of the probes.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};

use wanglou_sensor_common::counters::{Counters, Stream};
use wanglou_sensor_common::{GROUPS, Kind};

use super::sweep::Sweep;
use super::{Handles, Source};
use crate::action::Action;
use crate::books::Books;
use crate::clock;
use crate::decode::{self, Decoder};
use crate::kernel::{ProbeLog, Probes, ProgramStatus, Request, Totals};
use crate::ledger::{ByAction, Cause};
use crate::log::ids;
use crate::observation::{Action as Seen, Observation};
use crate::procfs;
use crate::sock_diag::{self, SockDiag};

/// Records handed over before somebody looks again whether there is room for more.
const BATCH: usize = 256;
/// How often the kernel is asked what it skipped.
const LOOK_NS: u64 = 1_000_000_000;
/// The kernel fills at most so much at once (`PAGE_SIZE << 3` in `kernel/bpf/bpf_iter.c`).
const ITERATOR_BYTES: usize = 32 << 10;

/// What is done between two pages of an iterator.
type Between = fn(&mut Ebpf, &mut dyn FnMut(&Observation<'_>));

/// The probes, and what has been counted of them.
pub(super) struct Ebpf {
    probes: Probes,
    decoder: Decoder,
    log: Option<ProbeLog>,
    procfs: procfs::Reader,
    told: Totals,
    /// Records that do not fit their layout, by what they would have told of.
    refused: ByAction,
    sweep: Sweep,
    listed: Option<SockDiag>,
    books: Books,
    /// What the probes themselves counted when losses were told of last.
    counted: Totals,
    /// Boot-clock time at which the kernel is asked again what it skipped, ns.
    next_look: u64,
    detached: bool,
}

impl Ebpf {
    pub(super) fn open(request: &Request, books: Books) -> Result<Self, String> {
        let procfs =
            procfs::Reader::open().map_err(|error| format!("cannot read /proc: {error}"))?;
        let probes = Probes::load(request).map_err(|error| error.to_string())?;
        let log = probes.log();
        let (decoder, told) = (Decoder::default(), Totals::default());
        let is_listed = probes.has_iterator("open_connections");
        let unlisted = request.network.as_ref().filter(|_| !is_listed);
        let listed = sock_diag::open_or_go_without(unlisted);
        let sweep = Sweep::default();
        Ok(Self {
            probes,
            decoder,
            log,
            procfs,
            told,
            refused: ByAction::default(),
            sweep,
            listed,
            books,
            counted: Totals::default(),
            next_look: 0,
            detached: false,
        })
    }

    /// Reads what an iterator writes, record by record; `false` where the kernel has none. Between its
    /// pages goes what the ring has, or a long list would let it fill up.
    fn run(&mut self, name: &str, on: &mut dyn FnMut(&Observation<'_>)) -> io::Result<bool> {
        self.read_pages(name, on, |source, on| {
            source.drain(on);
        })
    }

    /// The same with something else between the pages.
    fn read_pages(
        &mut self,
        name: &str,
        on: &mut dyn FnMut(&Observation<'_>),
        between: Between,
    ) -> io::Result<bool> {
        let Some(iterator) = self.probes.iterate(name) else { return Ok(false) };
        let mut iterator = File::from(iterator?);
        let mut bytes = vec![0; ITERATOR_BYTES];
        let mut filled = 0;
        loop {
            let read = iterator.read(&mut bytes[filled..])?;
            if read == 0 {
                return Ok(true);
            }
            filled += read;
            let mut rest = &bytes[..filled];
            while let Ok(len) = decode::record_len(rest) {
                let (record, behind) = rest.split_at(len);
                rest = behind;
                match self.decoder.decode(record) {
                    Ok(seen) => complete(&mut self.procfs, seen, on),
                    // No event: the process is told of by its next one.
                    Err(error) => {
                        tracing::error!(id = ids::ITERATOR_REFUSED.code, %error, "a record of the iterator is refused");
                    }
                }
            }
            let left = rest.len();
            bytes.copy_within(filled - left..filled, 0);
            filled = left;
            between(self, on);
        }
    }
}

/// Adds the arguments, which lie in the process's memory, where the iterator does not go.
fn complete<'a>(
    procfs: &'a mut procfs::Reader,
    mut seen: Observation<'a>,
    on: &mut dyn FnMut(&Observation<'_>),
) {
    if let Seen::Existing(image) = &mut seen.action
        && !image.kernel_thread
        && !image.ended
    {
        image.args = seen.start.and_then(|start| procfs.arguments(seen.pid, start));
    }
    on(&seen);
}

impl Source for Ebpf {
    fn drain(&mut self, on: &mut dyn FnMut(&Observation<'_>)) -> bool {
        let (decoder, refused) = (&mut self.decoder, &mut self.refused);
        let settled = &self.books.page().settled;
        let records = self.probes.drain(BATCH, &mut |record| {
            let stream = decode::kind(record).and_then(stream);
            match decoder.decode(record) {
                Ok(seen) => on(&seen),
                Err(error) => {
                    tracing::error!(id = ids::RECORD_REFUSED.code, %error, kind = ?decode::kind(record), "a record is refused");
                    refused[stream.map_or(Action::Unknown, action) as usize] += 1;
                }
            }
            if let Some(stream) = stream {
                settled[stream as usize].add(1);
            }
        });
        records > 0
    }

    fn losses(&mut self, lose: &mut dyn FnMut(Cause, Action, u64)) -> bool {
        let all = self.detached || clock::boot_ns() >= self.next_look;
        if all {
            self.next_look = clock::boot_ns() + LOOK_NS;
            self.probes.look_for_skipped();
        }
        let counted = self.probes.counted();
        let mut totals = counted;
        self.probes.add_skipped(&mut totals);
        for stream in Stream::ALL {
            let action = action(stream);
            let (now, told) = (&totals[stream as usize], &self.told[stream as usize]);
            lose(Cause::RingFull, action, now.ring_full - told.ring_full);
            lose(Cause::Oversized, action, now.oversized - told.oversized);
            lose(Cause::Recursion, action, now.nested - told.nested);
            let shed = |totals: &Counters| totals.table_full + totals.shed;
            lose(Cause::Shed, action, shed(now) - shed(told));
            lose(Cause::Throttled, action, now.throttled - told.throttled);
            // Runs that the kernel skipped have not been counted as seen.
            let lost = counted[stream as usize].lost() - self.counted[stream as usize].lost();
            self.books.page().settled[stream as usize].add(lost);
        }
        (self.told, self.counted) = (totals, counted);
        let refused = std::mem::take(&mut self.refused);
        for (action, events) in Action::ALL.into_iter().zip(refused) {
            lose(Cause::DecodeRefused, action, events);
        }
        all
    }

    fn snapshot(&mut self, on: &mut dyn FnMut(&Observation<'_>)) -> io::Result<()> {
        // What events tell of those that are listed comes after the list.
        if !self.read_pages("existing", on, |_, _| ())? {
            procfs::snapshot(&mut self.procfs, on)?;
        }
        Ok(())
    }

    fn sockets(&mut self, on: &mut dyn FnMut(&Observation<'_>)) -> io::Result<()> {
        self.run("listening_sockets", on)?;
        self.run("open_connections", on)?;
        // Where no iterator tells.
        sock_diag::look_or_give_up(&mut self.listed, on);
        self.listed = None;
        Ok(())
    }

    fn overdue(&mut self, last: bool, on: &mut dyn FnMut(&Observation<'_>)) -> io::Result<()> {
        if !last && !self.sweep.is_its_turn(clock::boot_ns()) {
            return Ok(());
        }
        let counted = self.probes.counted()[Stream::Accept as usize];
        let skipped = self.probes.skipped("state");
        let due = self.sweep.is_due(counted.waiting, counted.settled, skipped);
        if due || last && self.sweep.is_due_at_last(skipped) {
            self.run("sweep", on)?;
        }
        if last || self.sweep.are_flows_due() {
            self.run("flows", on)?;
        }
        Ok(())
    }

    fn detach(&mut self) {
        self.detached = true;
        self.probes.detach();
    }

    fn shed(&mut self, levels: [u32; GROUPS]) {
        self.probes.shed(levels);
    }

    fn wake_at_once(&mut self) -> bool {
        self.probes.wake_us();
        true
    }

    fn wake(&self) -> BorrowedFd<'_> {
        self.probes.as_fd()
    }

    fn handles(&self) -> Option<Handles<'_>> {
        let (counters, cpus) = self.probes.counters();
        Some(Handles { counters, cpus, programs: self.probes.running().collect() })
    }

    fn flush_log(&mut self) {
        if let Some(log) = &mut self.log {
            log.flush();
        }
    }

    /// Arguments of those that were there at start are for everybody to read; who has a socket is not.
    fn reads_others(&self) -> bool {
        !self.probes.has_iterator("existing") || self.listed.is_some()
    }

    fn probes(&self) -> Vec<(&'static str, Option<&'static str>)> {
        let instead =
            |it: &ProgramStatus| it.missing.as_ref().map(|_| it.instead.unwrap_or("nothing"));
        self.probes.programs().iter().map(|it| (it.name, instead(it))).collect()
    }

    fn describe(&self) -> String {
        let programs = self.probes.programs();
        let missing: Vec<_> = programs.iter().filter(|one| one.missing.is_some()).collect();
        let mut text =
            format!("ebpf, {} of {} probes", programs.len() - missing.len(), programs.len());
        for (n, program) in missing.iter().enumerate() {
            // Those that are made up for in the same way are named together.
            let instead = program.instead.unwrap_or_default();
            let again = missing.get(n + 1).is_some_and(|next| next.instead == program.instead);
            let first = n == 0 || missing[n - 1].instead != program.instead;
            text.push_str(if first { "; without " } else { ", " });
            text.push_str(program.name);
            if !again {
                text.push_str(": ");
                text.push_str(instead);
            }
        }
        text
    }
}

/// What counts records of a kind; `None` of what iterators write, and of what is no event.
fn stream(kind: Kind) -> Option<Stream> {
    Some(match kind {
        Kind::Fork => Stream::Fork,
        Kind::Exec => Stream::Exec,
        Kind::Exit => Stream::Exit,
        Kind::Credentials => Stream::Credentials,
        Kind::Listen => Stream::Listen,
        Kind::Attempt => Stream::Attempt,
        Kind::Accept => Stream::Accept,
        Kind::Disconnect => Stream::Disconnect,
        Kind::Flow => Stream::Flow,
        Kind::Existing | Kind::Open | Kind::Cgroup => return None,
    })
}

/// What records of a stream tell of; of several actions the most frequent.
pub fn action(stream: Stream) -> Action {
    match stream {
        Stream::Fork => Action::Fork,
        Stream::Exec => Action::Exec,
        Stream::Exit => Action::End,
        Stream::Credentials => Action::UidChange,
        Stream::Listen => Action::Listen,
        Stream::Attempt => Action::ConnectionAttempted,
        Stream::Accept => Action::ConnectionAccepted,
        Stream::Disconnect => Action::DisconnectReceived,
        Stream::Flow => Action::Flow,
    }
}
