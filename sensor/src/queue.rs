//! From the worker to its output: chunks of whole lines, bounded in bytes.
//!
//! When the output is slow the worker stops taking events from their source, and what does not fit
//! there is counted there; nothing is given up in between.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::action::Action;
use crate::books::Books;
use crate::ledger::ByAction;

/// Bytes of lines that wait at most, give or take the last one.
const MAX_BYTES: usize = 128 << 10;
/// A chunk is handed over when it has so many bytes, or at the end of a round.
const CHUNK_BYTES: usize = 32 << 10;
/// Room of a chunk: its last line may go beyond. One that long arguments made larger is not kept.
const KEEP_BYTES: usize = CHUNK_BYTES + (8 << 10);

/// Emptied chunks kept for the next lines.
const SPARES: usize = MAX_BYTES / CHUNK_BYTES;

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
}

/// The way to the output.
#[derive(Debug)]
pub struct Queue {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    books: Books,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Chunk>,
    spare: Vec<Chunk>,
    bytes: usize,
    closed: bool,
    failed: Option<io::Error>,
}

impl Queue {
    /// Starts the thread that writes to `output` and books what it takes; `wake` is called when writing
    /// fails.
    pub fn start(
        books: Books,
        output: impl Write + Send + 'static,
        wake: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let (state, changed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { state, changed, books });
        let theirs = Arc::clone(&shared);
        let writer = thread::Builder::new()
            .name("output".into())
            .spawn(move || theirs.write_all(output, wake))?;
        Ok(Self { shared, writer: Some(writer) })
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

    /// Waits for room beside `chunk`; `false` if there is none within `patience`.
    pub fn wait_for_room(&self, chunk: &Chunk, patience: Duration) -> bool {
        let full = |state: &mut State| {
            state.bytes + chunk.bytes.len() >= MAX_BYTES && state.failed.is_none()
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

    /// Why writing ended, once.
    pub fn take_failure(&self) -> Option<io::Error> {
        self.shared.lock().failed.take()
    }

    /// Lets the writer end, waits for it unless it is stuck, and says why writing failed.
    pub fn close(mut self, patience: Duration) -> Option<io::Error> {
        let written = self.wait_written(patience);
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        if let Some(writer) = self.writer.take().filter(|_| written) {
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

    fn write_all(&self, mut output: impl Write, wake: impl FnOnce()) {
        while let Some(mut chunk) = self.next() {
            self.books.page().writing.set(1);
            let (written, result) = write(&mut output, &chunk.bytes);
            self.count(&chunk, written);
            self.books.page().writing.set(u64::from(result.is_err()));
            let mut state = self.lock();
            state.bytes -= chunk.bytes.len();
            if let Err(error) = result {
                state.failed = Some(error);
                drop(state);
                self.changed.notify_all();
                return wake();
            }
            if chunk.bytes.capacity() <= KEEP_BYTES && state.spare.len() < SPARES {
                chunk.bytes.clear();
                chunk.lines.clear();
                state.spare.push(chunk);
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Waits for a chunk; `None` once the queue is closed and empty.
    fn next(&self) -> Option<Chunk> {
        let mut state = self.lock();
        loop {
            if let Some(chunk) = state.chunks.pop_front() {
                return Some(chunk);
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Counts the lines that are whole within the first `written` bytes.
    fn count(&self, chunk: &Chunk, written: usize) {
        let whole = if written == chunk.bytes.len() {
            chunk.lines.len()
        } else {
            chunk.bytes[..written].iter().filter(|&&byte| byte == b'\n').count()
        };
        let mut counts = ByAction::default();
        for action in chunk.lines[..whole].iter().flatten() {
            counts[*action as usize] += 1;
        }
        for (total, count) in self.books.page().delivered.iter().zip(counts) {
            total.add(count);
        }
    }
}

/// Writes all bytes; on failure says how many the output took.
fn write(output: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match output.write(&bytes[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes ten bytes and then no more.
    struct Disk(usize);

    impl Write for Disk {
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

    #[test]
    fn only_whole_lines_are_delivered() {
        let books = Books::new().expect("memory");
        let queue = Queue::start(books.clone(), Disk(0), || ()).expect("a thread");
        let lines = vec![Some(Action::Fork), None, Some(Action::Exec)];
        queue.send(&mut Chunk { bytes: b"one\ntwo\nthree\n".to_vec(), lines });

        assert!(queue.wait_written(Duration::from_secs(10)));

        let delivered = crate::books::read(&books.page().delivered);
        assert_eq!(delivered.iter().sum::<u64>(), 1);
        assert_eq!(delivered[Action::Fork as usize], 1);
        let failure = queue.take_failure().map(|error| error.kind());
        assert_eq!(failure, Some(io::ErrorKind::StorageFull));
    }

    #[test]
    fn a_written_chunk_leaves_room() {
        let books = Books::new().expect("memory");
        let queue = Queue::start(books, io::sink(), || ()).expect("a thread");
        let mut chunk = Chunk { bytes: vec![b'\n'; MAX_BYTES], lines: vec![None; MAX_BYTES] };
        assert!(!queue.wait_for_room(&chunk, Duration::ZERO));
        queue.send(&mut chunk);
        assert!(queue.wait_written(Duration::from_secs(10)));
        assert!(queue.wait_for_room(&chunk, Duration::ZERO));
    }
}
