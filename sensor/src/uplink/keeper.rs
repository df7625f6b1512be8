//! Who keeps the spool: a thread of the supervisor, the only one that reads what workers hand over, touches the spool's
//! files, and writes what has become of batches into the books. It sleeps until there is something to do.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use wanglou_api::sensor::v1::RecordId;

use super::run::Run;
use super::settings::Settings;
use super::shelf::Limits;
use super::spool::{Found, Lost, Spool, Telling};
use super::unix_seconds;
use crate::books::Books;
use crate::host;
use crate::ledger::Cause;
use crate::log::ids;
use crate::telemetry::State;

/// Questions that wait for the keeper.
const WAITING: usize = 64;
/// While something lies there, its age is looked at so often.
const LOOK: Duration = Duration::from_secs(30);
/// Time for whoever was killed to be gone, for a disk to make place for the books of a run, and for all of a worker to
/// be kept that is gone.
const LEFT: Duration = Duration::from_secs(10);
const BOOKS: Duration = Duration::from_secs(2);
const CLOSE: Duration = Duration::from_secs(10);

/// What the keeper is asked for.
enum Ask {
    /// For the books of the last run of a supervisor before us that was killed.
    Left(oneshot::Sender<Option<Books>>),
    /// For books that outlive us.
    Books(oneshot::Sender<Books>),
    /// To listen to a worker that writes these books.
    Attend(OwnedFd, Books),
    /// To close the books of the worker that was attended to last, which is gone.
    Close(oneshot::Sender<()>),
    /// To go by other settings.
    Configure(Settings),
    /// For the next record that is to be told.
    Next(oneshot::Sender<Telling>),
    /// To do what an answer asks for: it is stored, or else why not.
    Answer(RecordId, Option<String>),
    /// To tell again what has no answer.
    EndStream,
    /// To say when nothing is left to be told.
    Settle(oneshot::Sender<()>),
    /// To leave no books but those that nobody could close.
    End(oneshot::Sender<()>),
}

/// The keeper, as others have it; clones share it.
#[derive(Clone, Debug)]
pub struct Keeping {
    asks: mpsc::Sender<Ask>,
    wake: Arc<OwnedFd>,
    own_rate: Arc<AtomicU64>,
}

impl Keeping {
    /// Starts one, which begins with what lies in `STATE/spool`.
    pub fn start(state_directory: PathBuf, settings: Settings, state: State) -> io::Result<Self> {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (asks, asked) = mpsc::channel(WAITING);
        let theirs = Arc::clone(&wake);
        thread::Builder::new().name("wanglou-spool".to_owned()).spawn(move || {
            Keeper::open(state_directory.join("spool"), settings, state).run(asked, &theirs);
        })?;
        let own_rate = Arc::new(AtomicU64::new(settings.bytes_per_second));
        Ok(Self { asks, wake, own_rate })
    }

    /// Goes by other settings. They count from the next stream on, as far as they are about streams.
    pub async fn configure(&self, settings: Settings) {
        self.own_rate.store(settings.bytes_per_second, Ordering::Relaxed);
        self.ask(Ask::Configure(settings)).await;
    }

    /// Bytes a second that may be told, 0 for any number.
    pub(crate) fn own_rate(&self) -> u64 {
        self.own_rate.load(Ordering::Relaxed)
    }

    /// The books of the last run in this boot, whether its supervisor ended or was killed: they know since when nobody works.
    pub async fn left(&self) -> Option<Books> {
        let (reply, left) = oneshot::channel();
        self.ask(Ask::Left(reply)).await;
        timeout(LEFT, left).await.ok()?.ok()?
    }

    /// Books for a worker, which outlive the supervisor if the disk has room for them.
    pub async fn books(&self) -> io::Result<Books> {
        let (reply, books) = oneshot::channel();
        self.ask(Ask::Books(reply)).await;
        match timeout(BOOKS, books).await {
            Ok(Ok(books)) => Ok(books),
            _ => Books::new(),
        }
    }

    /// Listens to a worker from now on.
    pub async fn attend(&self, socket: OwnedFd, books: Books) {
        self.ask(Ask::Attend(socket, books)).await;
    }

    /// The worker is gone: closes what the uplink has of its books, once all that it has handed over is kept.
    pub async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        self.ask(Ask::Close(reply)).await;
        if timeout(CLOSE, closed).await.is_err() {
            tracing::error!(
                id = ids::SPOOL_STUCK.code,
                "the spool takes nothing after {CLOSE:?}: what a worker has handed over last waits"
            );
        }
    }

    /// The next record that is to be told, once there is one. It counts as told: who does not wait for it has to end the
    /// stream.
    pub(crate) async fn next(&self) -> oneshot::Receiver<Telling> {
        let (reply, next) = oneshot::channel();
        self.ask(Ask::Next(reply)).await;
        next
    }

    /// One has got its answer: it is stored, or will not be.
    pub(crate) async fn answer(&self, id: RecordId, refused: Option<String>) {
        self.ask(Ask::Answer(id, refused)).await;
    }

    /// The stream is over.
    pub(crate) fn end_stream(&self) {
        // The next stream begins with it too.
        if self.asks.try_send(Ask::EndStream).is_ok() {
            self.wake();
        }
    }

    /// The same, and waits until it is known.
    pub(crate) async fn begin_stream(&self) {
        self.ask(Ask::EndStream).await;
    }

    /// Waits until nothing is left to be told.
    pub async fn settle(&self) {
        let (reply, settled) = oneshot::channel();
        self.ask(Ask::Settle(reply)).await;
        let _ = settled.await;
    }

    /// The service ends as it was told to: nobody has to be told that nobody works.
    pub async fn end(&self) {
        let (reply, ended) = oneshot::channel();
        self.ask(Ask::End(reply)).await;
        // What is left is closed again at the next start.
        let _ = timeout(BOOKS, ended).await;
    }

    async fn ask(&self, ask: Ask) {
        // One that has ended answers nobody, and who waits hears that.
        if self.asks.send(ask).await.is_ok() {
            self.wake();
        }
    }

    fn wake(&self) {
        // It is full only if the keeper has not looked since.
        let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
    }
}

struct Keeper {
    spool: Spool,
    /// Those that are attended to, and the last one that was.
    runs: Vec<Run>,
    /// The books of the last run of who was killed before us.
    left: Option<Books>,
    waits: Option<oneshot::Sender<Telling>>,
    settles: Vec<oneshot::Sender<()>>,
    boot_id: String,
    state: State,
}

impl Keeper {
    fn open(folder: PathBuf, settings: Settings, state: State) -> Self {
        let now = unix_seconds();
        let (spool, found) = Spool::open(folder, limits(settings), now);
        let boot_id = host::Host::read(0).map(|host| host.boot_id).unwrap_or_default();
        let (runs, settles) = (Vec::new(), Vec::new());
        let mut keeper = Self { spool, runs, left: None, waits: None, settles, boot_id, state };
        let mut lost = Vec::new();
        keeper.close_those_left(&found, now, &mut lost);
        keeper.book(lost);
        keeper.have_spare_books();
        keeper
    }

    /// Closes the books of runs whose supervisor has not, as it was killed.
    fn close_those_left(&mut self, found: &Found, now: u64, lost: &mut Vec<Lost>) {
        let Some(folder) = self.spool.folder() else { return };
        for mut run in Run::left_in(folder, found) {
            run.close(&mut self.spool, now, lost);
            // In the order of their beginnings.
            self.left = run.books_in(&self.boot_id).cloned().or(self.left.take());
            self.runs.push(run);
        }
    }

    /// Until nobody asks any more.
    fn run(mut self, mut asked: mpsc::Receiver<Ask>, wake: &OwnedFd) {
        loop {
            let mut lost = Vec::new();
            let now = unix_seconds();
            loop {
                match asked.try_recv() {
                    Ok(ask) => self.take(ask, now, &mut lost),
                    Err(mpsc::error::TryRecvError::Empty) => break,
                    Err(mpsc::error::TryRecvError::Disconnected) => return self.spool.finish(),
                }
            }
            let mut is_busy = false;
            for run in &mut self.runs {
                is_busy |= run.listen(&mut self.spool, now, &mut lost);
            }
            if let Some(found) = self.spool.look(now, &mut lost) {
                self.close_those_left(&found, now, &mut lost);
            }
            self.tell(now, &mut lost);
            self.book(lost);
            self.say_how_it_is(now);
            if !is_busy {
                self.wait(wake);
            }
        }
    }

    /// Who is killed while the disk is full has a next one.
    fn have_spare_books(&self) {
        if let Some(folder) = self.spool.own_folder() {
            Run::have_spare(folder);
        }
    }

    /// Those whose books are closed are not needed any more.
    fn forget_closed(&mut self) {
        self.runs.iter().filter(|run| run.is_closed()).for_each(Run::forget);
        self.runs.retain(|run| !run.is_closed());
    }

    fn take(&mut self, ask: Ask, now: u64, lost: &mut Vec<Lost>) {
        match ask {
            Ask::Left(reply) => drop(reply.send(self.left.take())),
            Ask::Books(reply) => {
                // A disk that takes nothing new may have room for what is there.
                let books = Run::new_books(self.spool.own_folder(), &self.boot_id);
                if let Ok(books) = books
                    && let Err(books) = reply.send(books)
                    && let Some(path) = books.path()
                {
                    // Who has waited for too long has others.
                    let _ = std::fs::remove_file(path);
                }
            }
            Ask::Attend(socket, books) => {
                // None of them has a worker any more; one whose worker could not be started has not been closed.
                for run in self.runs.iter_mut().filter(|run| !run.is_closed()) {
                    run.close_once_heard(oneshot::channel().0, &mut self.spool, now, lost);
                }
                self.forget_closed();
                self.have_spare_books();
                self.runs.push(Run::attend(socket, books, &self.boot_id));
            }
            Ask::Close(reply) => {
                // Who has no uplink has not been attended to.
                if let Some(run) = self.runs.last_mut().filter(|run| !run.is_closed()) {
                    run.close_once_heard(reply, &mut self.spool, now, lost);
                }
            }
            Ask::Configure(settings) => self.spool.limit(limits(settings)),
            Ask::Next(reply) => self.waits = Some(reply),
            Ask::Answer(RecordId { run: Some(of), number }, None) => {
                self.state.uplink(|uplink| uplink.stored += 1);
                if let Some(told) = self.spool.stored(&of, number)
                    && told.is_batch
                    && told.cause.is_none()
                    && let Some(run) = self.runs.iter().find(|run| run.is(&of))
                {
                    run.deliver(&told.counts);
                }
            }
            Ask::Answer(RecordId { run: Some(run), number }, Some(why)) => {
                self.state.uplink(|uplink| uplink.refused += 1);
                tracing::error!(
                    id = ids::RECORD_NOT_STORED.code,
                    "the fleet does not take record {number} of run {}: {why}",
                    run.run_id
                );
                if let Some(told) = self.spool.refused(&run, number) {
                    lost.push((run, told.counts, Cause::OutputFailed));
                }
            }
            Ask::Answer(RecordId { run: None, .. }, _) => {}
            Ask::EndStream => {
                self.waits = None;
                self.spool.end_stream();
            }
            Ask::Settle(reply) => self.settles.push(reply),
            // The books of the last run stay: they know since when nobody works.
            Ask::End(reply) => drop(reply.send(())),
        }
    }

    /// Hands out the next record if somebody waits for it.
    fn tell(&mut self, now: u64, lost: &mut Vec<Lost>) {
        if let Some(waits) = self.waits.take_if(|waits| !waits.is_closed()) {
            match self.spool.next(now, lost) {
                // One that is gone meanwhile has its stream ended.
                Some(telling) => drop(waits.send(telling)),
                None => self.waits = Some(waits),
            }
        }
        if self.spool.shelf().is_settled() {
            for settled in self.settles.drain(..) {
                let _ = settled.send(());
            }
        }
    }

    /// Counts what is lost.
    fn book(&self, lost: Vec<Lost>) {
        for (of, counts, cause) in lost {
            let events: u64 = counts.iter().sum();
            self.state.uplink(|uplink| uplink.lose(cause, events));
            if let Some(run) = self.runs.iter().find(|run| run.is(&of)) {
                run.lose(&counts, cause);
            }
        }
    }

    fn say_how_it_is(&self, now: u64) {
        let shelf = self.spool.shelf();
        let (bytes, records) = shelf.totals();
        let oldest = shelf.oldest().map(|oldest| now.saturating_sub(oldest));
        let is_failing = self.spool.is_failing();
        self.state.uplink(|uplink| uplink.keeps(bytes, records, oldest, is_failing));
    }

    /// Waits for something to do.
    fn wait(&self, wake: &OwnedFd) {
        let mut fds = vec![PollFd::new(wake, PollFlags::IN)];
        let sockets = self.runs.iter().filter_map(Run::socket);
        fds.extend(sockets.map(|socket| PollFd::from_borrowed_fd(socket, PollFlags::IN)));
        let is_empty = self.spool.shelf().is_settled() && !self.spool.is_failing();
        let for_how_long = if self.spool.is_failing() { Duration::from_secs(1) } else { LOOK };
        let for_how_long = Timespec::try_from(for_how_long).ok().filter(|_| !is_empty);
        // Woken by a signal, it looks and waits again.
        let _ = poll(&mut fds, for_how_long.as_ref());
        let mut count = [0; 8];
        let _ = rustix::io::read(wake, &mut count);
    }
}

fn limits(settings: Settings) -> Limits {
    Limits { bytes: settings.spool_bytes, seconds: settings.spool_seconds }
}
