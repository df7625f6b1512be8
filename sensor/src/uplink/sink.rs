//! The worker's side: batches go to the supervisor, through a socket that takes as much as that has room for. While it
//! has none, the queue of the uplink fills, and decides what is lost.

use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use wanglou_api::sensor::v1::RunId;

use super::batch::{self, Packer};
use super::record::Head;
use crate::books::Books;
use crate::host::Host;
use crate::ledger::ByAction;
use crate::log::ids;
use crate::output::{Destination, Sink};
use crate::queue::Chunk;

/// A batch is sealed once it has so many bytes of content, or would have more …
const SEAL_BYTES: usize = 256 << 10;
/// … or so long after its first event.
const SEAL_AFTER: Duration = Duration::from_secs(1);

/// Takes events for the fleet.
pub struct Uplink {
    socket: File,
    books: Books,
    run: RunId,
    packer: Packer,
    /// When the open batch is sealed at the latest, if there is one.
    seal_at: Option<Instant>,
    /// Of the last one.
    number: u64,
    /// Events in all batches so far.
    told: ByAction,
    is_broken: bool,
}

impl Uplink {
    /// One that leads to who keeps batches.
    pub fn new(socket: OwnedFd, host: &Host, books: Books) -> Self {
        let run_id = books.page().run.get();
        Self {
            socket: socket.into(),
            run: RunId { boot_id: host.boot_id.clone(), run_id },
            books,
            packer: Packer::new(),
            seal_at: None,
            number: 0,
            told: ByAction::default(),
            is_broken: false,
        }
    }

    fn pack(&mut self, chunk: &Chunk) -> io::Result<()> {
        let mut counts = ByAction::default();
        for action in chunk.lines.iter().flatten() {
            counts[*action as usize] += 1;
        }
        if self.packer.content() > 0 && self.packer.content() + chunk.bytes.len() > SEAL_BYTES {
            self.seal(true)?;
        }
        self.packer.add(&chunk.bytes, &counts)?;
        self.seal_at.get_or_insert(Instant::now() + SEAL_AFTER);
        if self.packer.content() >= SEAL_BYTES { self.seal(true) } else { Ok(()) }
    }

    /// Hands over the open batch; while there is much to do, what packs it is kept.
    fn seal(&mut self, keep: bool) -> io::Result<()> {
        self.seal_at = None;
        let (events, content, counts) = self.packer.finish(keep)?;
        for (told, more) in self.told.iter_mut().zip(counts) {
            *told += more;
        }
        self.number += 1;
        let ledger = batch::ledger(self.books.account(Destination::Uplink), &self.told);
        let head = Head::Batch(batch::batch(&self.run, self.number, (content, &counts), ledger));
        let head = head.write(&events);
        let mut both = [IoSlice::new(&head), IoSlice::new(&events)];
        let mut rest = &mut both[..];
        while rest.iter().any(|piece| !piece.is_empty()) {
            match self.socket.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What comes after a batch that could not be handed over has no number: it stays under way until whoever closes the
    /// books finds it.
    fn breaks(&mut self, error: &io::Error) {
        self.is_broken = true;
        self.seal_at = None;
        tracing::error!(
            id = ids::OUTPUT_FAILED.code,
            "cannot hand over what the fleet is to have: {error}: its events are lost until there is another worker"
        );
    }
}

impl Sink for Uplink {
    fn take(&mut self, chunk: &Chunk) -> (usize, io::Result<()>) {
        if !self.is_broken
            && let Err(error) = self.pack(chunk)
        {
            self.breaks(&error);
        }
        (chunk.lines.len(), Ok(()))
    }

    fn holds_for(&self) -> Option<Duration> {
        self.seal_at.map(|at| at.saturating_duration_since(Instant::now()))
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.seal_at.is_some()
            && let Err(error) = self.seal(false)
        {
            self.breaks(&error);
        }
        Ok(())
    }

    fn name(&self) -> String {
        "the fleet".to_owned()
    }
}
