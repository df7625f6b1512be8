//! One run, as the keeper has it: what its worker hands over, its books, and their end.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::net::{RecvFlags, recv};
use tokio::sync::oneshot;
use wanglou_api::sensor::v1::{ClosedRun, RunId};

use super::batch;
use super::record::{Head, PREFIX, Prefix, Record};
use super::spool::{Found, Lost, Spool};
use crate::action::Action;
use crate::books::{self, Account, Books};
use crate::clock;
use crate::ledger::{ByAction, Cause};
use crate::log::ids;
use crate::output::Destination;

/// How the names of books end.
const ENDING: &str = "books";
/// Old ones, for when a disk has no room for new ones.
const SPARE: &str = "books.spare";
/// A worker whose supervisor was killed is gone a moment later.
const GONE: Duration = Duration::from_secs(5);
/// Batches that are taken before somebody else has their turn.
const TURN: usize = 16;

/// One run.
pub(super) struct Run {
    books: Books,
    boot_id: String,
    /// `None` once all has been heard.
    socket: Option<OwnedFd>,
    /// The record that is being heard.
    heard: Vec<u8>,
    closes: Option<oneshot::Sender<()>>,
    is_closed: bool,
}

impl Run {
    /// Books in a folder, if it takes them; else in memory.
    pub(super) fn new_books(folder: Option<&Path>, boot_id: &str) -> io::Result<Books> {
        if let Some(folder) = folder {
            let path = folder.join(format!("{:020}.{ENDING}", clock::boot_ns()));
            let books = Books::create(&path, boot_id).or_else(|error| {
                Books::reuse(&folder.join(SPARE), &path, boot_id).map_err(|_| error)
            });
            match books {
                Ok(books) => return Ok(books),
                Err(error) => tracing::warn!(
                    id = ids::BOOKS_NOT_KEPT.code,
                    "{}: {error}: the books of this run do not outlive the supervisor",
                    path.display()
                ),
            }
        }
        Books::new()
    }

    /// Has some lie in a folder that are of no run.
    pub(super) fn have_spare(folder: &Path) {
        let path = folder.join(SPARE);
        if !path.exists() {
            // Where there is no room for it there is none.
            let _ = Books::create(&path, "");
        }
    }

    /// One whose worker is about to begin.
    pub(super) fn attend(socket: OwnedFd, books: Books, boot_id: &str) -> Self {
        Self {
            books,
            boot_id: boot_id.to_owned(),
            socket: Some(socket),
            heard: Vec::new(),
            closes: None,
            is_closed: false,
        }
    }

    /// Those whose books lie in a folder, as nobody has closed them; `found` is what their batches say.
    pub(super) fn left_in(folder: &Path, found: &Found) -> Vec<Self> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|it| it == ENDING));
        paths.sort();
        paths.into_iter().filter_map(|path| Self::left_at(&path, found)).collect()
    }

    fn left_at(path: &Path, found: &Found) -> Option<Self> {
        let read = Books::open(path, GONE)
            .and_then(|books| Ok((books.boot_id().ok_or_else(no_boot)?, books)))
            .inspect_err(|error| {
                tracing::warn!(
                    id = ids::BOOKS_NOT_KEPT.code,
                    "{}: {error}: a run is not closed that nobody has closed before",
                    path.display()
                );
                let _ = fs::remove_file(path);
            });
        let (boot_id, books) = read.ok()?;
        let run = (boot_id.clone(), books.page().run.get());
        if let Some((number, so_far)) = found.get(&run) {
            let account = books.account(Destination::Uplink);
            // Whoever was killed may have kept a batch and not have counted all of it.
            if *number > account.kept_number.get() {
                if let Some(so_far) = so_far {
                    let both = account.kept.iter().zip(so_far);
                    both.for_each(|(kept, so_far)| kept.set(*so_far));
                }
                account.kept_number.set(*number);
            }
        }
        // Nobody else has those of other outputs, and what probes had counted went with who was killed.
        books.close([], |_, _| None);
        let (socket, heard, closes) = (None, Vec::new(), None);
        Some(Self { books, boot_id, socket, heard, closes, is_closed: false })
    }

    /// Its books, if they know since when nobody works in this boot.
    pub(super) fn books_in(&self, boot_id: &str) -> Option<&Books> {
        let knows = self.boot_id == boot_id && self.books.page().whole_until.get() > 0;
        knows.then_some(&self.books)
    }

    /// Where something may be heard.
    pub(super) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(|socket| socket.as_fd())
    }

    /// Whether its books are closed.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether it is this one.
    pub(super) fn is(&self, run: &RunId) -> bool {
        run.run_id == self.books.page().run.get() && run.boot_id == self.boot_id
    }

    /// The fleet has these.
    pub(super) fn deliver(&self, counts: &ByAction) {
        add(&self.account().delivered, counts);
    }

    /// These are lost.
    pub(super) fn lose(&self, counts: &ByAction, cause: Cause) {
        add(&self.account().dropped[cause as usize], counts);
    }

    /// Takes what its worker hands over; `true` if there may be more.
    pub(super) fn listen(&mut self, spool: &mut Spool, now: u64, lost: &mut Vec<Lost>) -> bool {
        for _ in 0..TURN {
            match self.hear() {
                Ok(Some(record)) => {
                    if let Err(error) = self.keep(&record, spool, now, lost) {
                        self.breaks(&error);
                    }
                }
                Ok(None) => return false,
                Err(error) => {
                    if error.kind() != io::ErrorKind::UnexpectedEof {
                        self.breaks(&error);
                    }
                    // Half a record was not handed over.
                    (self.socket, self.heard) = (None, Vec::new());
                    if let Some(reply) = self.closes.take() {
                        self.close(spool, now, lost);
                        let _ = reply.send(());
                    }
                    return false;
                }
            }
        }
        true
    }

    /// Closes its books once all that was handed over has been heard, and says so.
    pub(super) fn close_once_heard(
        &mut self,
        reply: oneshot::Sender<()>,
        spool: &mut Spool,
        now: u64,
        lost: &mut Vec<Lost>,
    ) {
        if self.socket.is_some() {
            self.closes = Some(reply);
        } else {
            self.close(spool, now, lost);
            let _ = reply.send(());
        }
    }

    /// Closes its books: what was not handed over is lost, and there are no more batches. To do it twice is to do it once:
    /// where they lie they stay until somebody works again, as they know since when nobody does.
    pub(super) fn close(&mut self, spool: &mut Spool, now: u64, lost: &mut Vec<Lost>) {
        self.is_closed = true;
        let run_id = self.books.page().run.get();
        if run_id > 0 {
            let account = self.account();
            account.close_uplink();
            let ledger = batch::ledger(account, &books::read(&account.kept));
            let run = Some(RunId { boot_id: self.boot_id.clone(), run_id });
            let last_number = account.kept_number.get();
            let head = Head::Closed(ClosedRun { run, last_number, ledger: Some(ledger) });
            spool.append(&head, &head.write(&[]), now, lost);
        }
    }

    /// Nobody needs its books any more, but for their room on the disk.
    pub(super) fn forget(&self) {
        if let Some(path) = self.books.path() {
            // What is there at the next start is closed again, which changes nothing.
            let _ = fs::rename(path, path.with_file_name(SPARE));
        }
    }

    /// The next record that is whole; `None` if there is none yet, `UnexpectedEof` if there are no more.
    fn hear(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(socket) = &self.socket else { return Ok(None) };
        loop {
            let wanted = match self.heard.first_chunk::<PREFIX>() {
                None => PREFIX,
                Some(prefix) => Prefix::parse(prefix).ok_or_else(no_record)?.bytes(),
            };
            let so_far = self.heard.len();
            if so_far >= PREFIX && so_far == wanted {
                return Ok(Some(std::mem::take(&mut self.heard)));
            }
            self.heard.reserve_exact(wanted - so_far);
            self.heard.resize(wanted, 0);
            let got = recv(socket, &mut self.heard[so_far..], RecvFlags::DONTWAIT);
            self.heard.truncate(so_far + got.map_or(0, |(bytes, _)| bytes));
            match got {
                Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Keeps a batch, and counts it.
    fn keep(
        &self,
        bytes: &[u8],
        spool: &mut Spool,
        now: u64,
        lost: &mut Vec<Lost>,
    ) -> io::Result<()> {
        let record = Record::parse(bytes).filter(|record| record.told.is_some());
        let head = record.ok_or_else(no_record)?.head;
        let (account, number) = (self.account(), head.number());
        let is_ours = head.run().is_some_and(|run| self.is(run));
        if !is_ours || number != account.kept_number.get() + 1 {
            return Err(no_record());
        }
        spool.append(&head, bytes, now, lost);
        add(&account.kept, &head.counts());
        account.kept_number.set(number);
        Ok(())
    }

    fn breaks(&mut self, error: &io::Error) {
        tracing::error!(
            id = ids::HANDOVER_BROKEN.code,
            "what a worker hands over makes no sense: {error}: nothing more is taken of it"
        );
        self.socket = None;
    }

    fn account(&self) -> &Account {
        self.books.account(Destination::Uplink)
    }
}

fn add(to: &[books::Number; Action::ALL.len()], counts: &ByAction) {
    for (to, more) in to.iter().zip(counts) {
        to.add(*more);
    }
}

fn no_record() -> io::Error {
    io::Error::other("that is no record of its run, or not the next one")
}

fn no_boot() -> io::Error {
    io::Error::other("these are no books")
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use wanglou_api::sensor::v1::publish_request::Record as Told;
    use wanglou_api::sensor::v1::{Batch, BatchLedger, PublishRequest};

    use super::super::shelf::Limits;
    use super::*;
    use crate::ledger::named;

    const LIMITS: Limits = Limits { bytes: 64 << 20, seconds: 86_400 };

    /// One with so many forks, after others.
    fn batch(number: u64, forks: u64, before: u64) -> Head {
        let of = |forks| named(&Action::ALL.map(|it| if it == Action::Fork { forks } else { 0 }));
        let ledger = BatchLedger { produced: of(before + forks), ..BatchLedger::default() };
        let run = Some(RunId { boot_id: "boot".to_owned(), run_id: 7 });
        let (counts, ledger) = (of(forks), Some(ledger));
        Head::Batch(Batch { run, number, counts, ledger, ..Batch::default() })
    }

    #[test]
    fn books_that_nobody_needs_are_those_of_the_next() {
        let folder = std::env::temp_dir().join(format!("wanglou-spare-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("a folder");
        Run::have_spare(&folder);
        let spare = folder.join(SPARE);
        Books::open(&spare, GONE).expect("the spare").page().run.set(6);
        let path = folder.join("00000000000000000042.books");
        let books = Books::reuse(&spare, &path, "boot").expect("no more room");
        assert_eq!((books.page().run.get(), books.boot_id().as_deref()), (0, Some("boot")));
        assert!(!spare.exists() && path.exists());
        assert!(Books::reuse(&path, &spare, "boot").is_err(), "somebody needs them");
        let (boot_id, heard) = ("boot".to_owned(), Vec::new());
        let run = Run { books, boot_id, socket: None, heard, closes: None, is_closed: true };
        run.forget();
        assert!(spare.exists() && !path.exists());
        fs::remove_dir_all(&folder).expect("ours");
    }

    /// Between a batch that lies in the spool and its place in the books.
    #[test]
    fn who_was_killed_before_it_had_counted_is_put_right() {
        let folder = std::env::temp_dir().join(format!("wanglou-run-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let (mut spool, _) = Spool::open(folder.clone(), LIMITS, 1);
        let books = Run::new_books(Some(&folder), "boot").expect("a disk");
        books.page().run.set(7);
        let (account, fork) = (books.account(Destination::Uplink), Action::Fork as usize);
        account.produced[fork].set(100);
        account.dropped[Cause::RingFull as usize][fork].set(10);
        for (number, forks, before) in [(1, 30, 0), (2, 25, 30)] {
            let head = batch(number, forks, before);
            spool.append(&head, &head.write(&[]), 1, &mut Vec::new());
        }
        account.kept[fork].set(30);
        account.kept_number.set(1);
        drop((spool, books));

        let (mut spool, found) = Spool::open(folder.clone(), LIMITS, 2);
        let mut left = Run::left_in(&folder, &found);
        assert_eq!(left.len(), 1);
        left[0].close(&mut spool, 2, &mut Vec::new());
        left[0].forget();
        assert!(Run::left_in(&folder, &found).is_empty(), "its books are gone");
        let run = RunId { boot_id: "boot".to_owned(), run_id: 7 };
        let mut last = None;
        while let Some(telling) = spool.next(2, &mut Vec::new()) {
            spool.stored(&run, telling.number);
            last = Some(telling);
        }
        let told = PublishRequest::decode(last.expect("a record").bytes).expect("a request");
        let Some(Told::ClosedRun(closed)) = told.record else { panic!("{told:?}") };
        let ledger = closed.ledger.expect("books");
        assert_eq!((closed.last_number, ledger.produced["fork"]), (2, 100));
        assert_eq!(ledger.dropped["worker_killed"].counts["fork"], 100 - 10 - 55);
        assert!(ledger.in_flight.is_empty());
        fs::remove_dir_all(&folder).expect("ours");
    }
}
