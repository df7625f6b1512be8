//! From the worker to one output: chunks of whole lines, bounded in bytes.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::action::Action;
use crate::books::{Account, Books, Number};
use crate::ledger::{ByAction, Cause};
use crate::log::ids;
use crate::output::{Destination, Sink};

/// A chunk is handed over when it has so many bytes, or at the end of a round.
const CHUNK_BYTES: usize = 32 << 10;
/// Room of a chunk: its last line may go beyond. One that long arguments made larger is not kept.
const KEEP_BYTES: usize = CHUNK_BYTES + (8 << 10);

/// Emptied chunks kept for the next lines.
const SPARES: usize = 4;

/// Lines, and which of them are events that the ledger counts.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Whole lines.
    pub bytes: Vec<u8>,
    /// One for each line; `None` for a ledger or a gap.
    pub lines: Vec<Option<Action>>,
}

impl Chunk {
    /// Without lines; doubling its room line by line would end at twice as much.
    fn with_room() -> Self {
        Self { bytes: Vec::with_capacity(KEEP_BYTES), lines: Vec::new() }
    }

    /// How many lines are whole within the first `written` bytes.
    pub fn whole_lines(&self, written: usize) -> usize {
        if written == self.bytes.len() {
            return self.lines.len();
        }
        self.bytes[..written].iter().filter(|&&byte| byte == b'\n').count()
    }
}

/// The way to the output.
#[derive(Debug)]
pub struct Queue {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
    max_bytes: usize,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    books: Books,
    of: Destination,
}

/// What the writer does once the output takes no more.
pub enum OnFailure {
    /// It ends, and wakes whoever waits for that.
    End(Box<dyn FnOnce() + Send>),
    /// It tries again with what comes next; what was not written is lost.
    GoOn,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Chunk>,
    spare: Vec<Chunk>,
    bytes: usize,
    closed: bool,
    /// The writer has written all that there was before that.
    ended: bool,
    failed: Option<io::Error>,
    /// What was given last, the output did not take.
    failing: bool,
}

impl Queue {
    /// Starts the thread that writes to an output and books what it takes; `max_bytes` of lines wait at
    /// most, give or take the last one.
    pub fn start(
        books: Books,
        of: Destination,
        sink: Box<dyn Sink>,
        max_bytes: usize,
        on_failure: OnFailure,
    ) -> io::Result<Self> {
        let (state, changed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { state, changed, books, of });
        let theirs = Arc::clone(&shared);
        let writer = thread::Builder::new()
            .name(of.name().into())
            .spawn(move || theirs.write_all(sink, on_failure))?;
        Ok(Self { shared, writer: Some(writer), max_bytes })
    }

    /// Whether a chunk should be handed over before its round is at its end.
    pub fn is_worth_sending(chunk: &Chunk) -> bool {
        chunk.bytes.len() >= CHUNK_BYTES
    }

    /// Hands a chunk over and leaves an empty one in its place.
    pub fn send(&self, chunk: &mut Chunk) {
        if chunk.lines.is_empty() {
            return;
        }
        let mut state = self.shared.lock();
        let empty = state.spare.pop().unwrap_or_else(Chunk::with_room);
        let full = std::mem::replace(chunk, empty);
        state.bytes += full.bytes.len();
        state.chunks.push_back(full);
        drop(state);
        self.shared.changed.notify_all();
    }

    /// How full it is with `chunk`: 1 is full.
    pub fn fill(&self, chunk: &Chunk) -> f64 {
        let state = self.shared.lock();
        if state.failed.is_some() {
            return 0.0;
        }
        (state.bytes + chunk.bytes.len()) as f64 / self.max_bytes as f64
    }

    /// Waits for room beside `chunk`; `false` if there is none within `patience`.
    pub fn wait_for_room(&self, chunk: &Chunk, patience: Duration) -> bool {
        let full = |state: &mut State| {
            state.bytes + chunk.bytes.len() >= self.max_bytes && state.failed.is_none()
        };
        let state = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(state, patience, full);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Waits until everything is written; `false` if that takes longer than `patience`.
    pub fn wait_written(&self, patience: Duration) -> bool {
        let waiting = |state: &mut State| state.bytes > 0 && state.failed.is_none();
        let waited = self.shared.changed.wait_timeout_while(self.shared.lock(), patience, waiting);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Whether the output did not take what it was given last.
    pub fn is_failing(&self) -> bool {
        self.shared.lock().failing
    }

    /// Why writing ended, once.
    pub fn take_failure(&self) -> Option<io::Error> {
        self.shared.lock().failed.take()
    }

    /// Lets the writer end, waits for it unless it is stuck, and says why writing failed.
    pub fn close(mut self, patience: Duration) -> Option<io::Error> {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        let has_more = |state: &mut State| !state.ended && state.failed.is_none();
        let waited = self.shared.changed.wait_timeout_while(self.shared.lock(), patience, has_more);
        let has_ended = !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out();
        if let Some(writer) = self.writer.take().filter(|_| has_ended) {
            // A panic of the writer has been printed by its own thread.
            let _ = writer.join();
        }
        self.take_failure()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn account(&self) -> &Account {
        self.books.account(self.of)
    }

    fn write_all(&self, mut sink: Box<dyn Sink>, on_failure: OnFailure) {
        let mut end = match on_failure {
            OnFailure::End(wake) => Some(wake),
            OnFailure::GoOn => None,
        };
        let mut failing = None;
        while let Some(mut chunk) = self.next(&mut *sink) {
            self.account().writing.set(1);
            let (whole, result) = sink.take(&chunk);
            let (whole, rest) = chunk.lines.split_at(whole);
            if self.of != Destination::Uplink {
                count(whole, &self.account().delivered);
            }
            self.account().writing.set(u64::from(result.is_err()));
            let mut state = self.lock();
            match (result, end.take()) {
                (Err(error), Some(wake)) => {
                    state.failed = Some(error);
                    drop(state);
                    self.changed.notify_all();
                    return wake();
                }
                (Err(error), None) => {
                    count(rest, &self.account().dropped[Cause::OutputFailed as usize]);
                    if failing.replace(error.kind()) != Some(error.kind()) {
                        let output = sink.name();
                        tracing::error!(
                            id = ids::OUTPUT_FAILED.code,
                            "cannot write to {output}: {error}: events are lost until that is over"
                        );
                    }
                }
                (Ok(()), wake) => {
                    end = wake;
                    if failing.take().is_some() {
                        let output = sink.name();
                        tracing::info!(id = ids::OUTPUT_WRITES.code, "can write to {output} again");
                    }
                }
            }
            state.failing = failing.is_some();
            state.bytes -= chunk.bytes.len();
            if chunk.bytes.capacity() <= KEEP_BYTES && state.spare.len() < SPARES {
                chunk.bytes.clear();
                chunk.lines.clear();
                state.spare.push(chunk);
            }
            drop(state);
            self.changed.notify_all();
        }
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Waits for a chunk; `None` once the queue is closed and empty. What the output holds for too long meanwhile is
    /// handed over.
    fn next(&self, sink: &mut dyn Sink) -> Option<Chunk> {
        let mut state = self.lock();
        loop {
            if let Some(chunk) = state.chunks.pop_front() {
                return Some(chunk);
            }
            let is_closed = state.closed;
            state = match sink.holds_for() {
                Some(left) if is_closed || left.is_zero() => {
                    drop(state);
                    // One that cannot hand it over has said so to whoever gave it.
                    let _ = sink.flush();
                    self.lock()
                }
                _ if is_closed => return None,
                Some(left) => {
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// Counts the events of some lines.
fn count(lines: &[Option<Action>], totals: &[Number; Action::ALL.len()]) {
    let mut counts = ByAction::default();
    for action in lines.iter().flatten() {
        counts[*action as usize] += 1;
    }
    for (total, count) in totals.iter().zip(counts) {
        total.add(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Stdout;

    const OF: Destination = Destination::Stdout;
    const MAX_BYTES: usize = 128 << 10;

    /// Takes ten bytes and then no more.
    struct Disk(usize);

    impl io::Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = 10 - self.0;
            self.0 += bytes.len().min(room);
            if room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok(bytes.len().min(room))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn three_lines() -> Chunk {
        let lines = vec![Some(Action::Fork), None, Some(Action::Exec)];
        Chunk { bytes: b"one\ntwo\nthree\n".to_vec(), lines }
    }

    #[test]
    fn only_whole_lines_are_delivered() {
        let books = Books::new().expect("memory");
        let end = OnFailure::End(Box::new(|| ()));
        let sink = Box::new(Stdout::of(Disk(0)));
        let queue = Queue::start(books.clone(), OF, sink, MAX_BYTES, end).expect("a thread");
        queue.send(&mut three_lines());

        assert!(queue.wait_written(Duration::from_secs(10)));

        let delivered = crate::books::read(&books.account(OF).delivered);
        assert_eq!(delivered.iter().sum::<u64>(), 1);
        assert_eq!(delivered[Action::Fork as usize], 1);
        let failure = queue.take_failure().map(|error| error.kind());
        assert_eq!(failure, Some(io::ErrorKind::StorageFull));
    }

    #[test]
    fn one_that_goes_on_counts_what_is_lost() {
        let books = Books::new().expect("memory");
        let sink = Box::new(Stdout::of(Disk(0)));
        let queue = Queue::start(books.clone(), OF, sink, MAX_BYTES, OnFailure::GoOn);
        let queue = queue.expect("a thread");
        queue.send(&mut three_lines());
        queue.send(&mut three_lines());
        assert!(queue.wait_written(Duration::from_secs(10)));

        let account = books.account(OF);
        let lost = crate::books::read(&account.dropped[Cause::OutputFailed as usize]);
        assert_eq!((lost[Action::Fork as usize], lost[Action::Exec as usize]), (1, 2));
        assert_eq!(account.delivered[Action::Fork as usize].get(), 1);
    }

    #[test]
    fn a_written_chunk_leaves_room() {
        let books = Books::new().expect("memory");
        let sink = Box::new(Stdout::of(io::sink()));
        let queue = Queue::start(books, OF, sink, MAX_BYTES, OnFailure::GoOn).expect("a thread");
        let mut chunk = Chunk { bytes: vec![b'\n'; MAX_BYTES], lines: vec![None; MAX_BYTES] };
        assert!(!queue.wait_for_room(&chunk, Duration::ZERO));
        assert!(queue.fill(&chunk) >= 1.0);
        queue.send(&mut chunk);
        assert!(queue.wait_written(Duration::from_secs(10)));
        assert!(queue.wait_for_room(&chunk, Duration::ZERO));
    }
}
