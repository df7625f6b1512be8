//! The books of a run, in memory that outlives who writes them: when a worker is killed its supervisor
//! closes them, so that they balance all the same.
//!
//! Each number is written by one thread of one process only; so it needs no more than to be read whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, MemfdFlags, flock, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use wanglou_sensor_common::counters::Stream;

use crate::action::{Action, Category};
use crate::ledger::{ByAction, Cause};
use crate::module::Module;
use crate::output::Destination;

/// What is written. Zeroes are an empty page.
#[repr(C)]
pub struct Page {
    /// The boot id, as it is spelt; written before there is a worker.
    boot: [Number; BOOT_WORDS],
    /// `wanglou.run.id`; 0 while nothing has been written.
    pub run: Number,
    /// 1 once everything that was there at start has been told of.
    pub ready: Number,
    /// What the supervisor wants to be given up, so that it costs less: a level ([`Stream::worth`]). Written
    /// by the supervisor, and by nobody else.
    pub shed: Number,
    /// Which categories it wants to be told of: a bit for each. Written by the supervisor too.
    wanted: Number,
    /// Boot-clock time until which nothing was missing that no gap had told of, ns.
    pub whole_until: Number,
    /// Boot-clock time since which nobody had worked when this run began, ns; 0 if nobody had before.
    pub pause_since: Number,
    /// Those of each output.
    pub accounts: [Account; Destination::ALL.len()],
    /// Those of each module.
    pub modules: [ModuleAccount; Module::ALL.len()],
    /// What probes have counted as seen and the worker has dealt with: records taken from the ring and
    /// losses booked, by stream.
    pub settled: [Number; Stream::ALL.len()],
}

/// How often it is looked whether a writer is gone.
const POLL: Duration = Duration::from_millis(20);
/// Words that a boot id fills.
const BOOT_WORDS: usize = 5;

/// The books of one output. Without a line it has none.
#[repr(C)]
pub struct Account {
    /// `event.sequence` of the last line.
    pub sequence: Number,
    /// 1 while a chunk of lines is being written, so that half a line may have gone out.
    pub writing: Number,
    /// Events that are known to have happened, by action.
    pub produced: [Number; Action::ALL.len()],
    /// Those that the output has, by action. Of the uplink: those that a sink of the fleet has, written by the
    /// supervisor's keeper.
    pub delivered: [Number; Action::ALL.len()],
    /// Of the uplink: those that have come to the keeper in batches, whatever became of these; written by it.
    pub kept: [Number; Action::ALL.len()],
    /// The last of those batches; written after what it has in it.
    pub kept_number: Number,
    /// Those that are lost, by cause and action.
    pub dropped: [[Number; Action::ALL.len()]; Cause::ALL.len()],
}

/// What a module did.
#[repr(C)]
pub struct ModuleAccount {
    /// The number of its [`State`](crate::module::State).
    pub state: Number,
    /// Observations that it was handed.
    pub events: Number,
    /// Those that were lost before it had them, and those that it lost.
    pub dropped: Number,
    /// How often it has panicked.
    pub failures: Number,
    /// How often it did more than it may.
    pub trips: Number,
    /// CPU time that it took, by sample, ns.
    pub busy_ns: Number,
}

/// A number that one thread writes.
#[repr(transparent)]
pub struct Number(AtomicU64);

impl Number {
    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Writes it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds to it.
    pub fn add(&self, more: u64) {
        self.set(self.get().wrapping_add(more));
    }
}

/// The page, mapped; clones share it.
#[derive(Clone, Debug)]
pub struct Books {
    file: Arc<File>,
    /// Where that lies, if it does.
    path: Option<Arc<Path>>,
    mapping: Arc<Mapping>,
}

#[derive(Debug)]
struct Mapping(*const Page);

impl Books {
    /// Empty ones.
    pub fn new() -> io::Result<Self> {
        let file = File::from(memfd_create("wanglou-books", MemfdFlags::CLOEXEC)?);
        file.set_len(size_of::<Page>() as u64)?;
        Self::map(file)
    }

    /// Those of another process.
    pub fn of(fd: OwnedFd) -> io::Result<Self> {
        let file = File::from(fd);
        if file.metadata()?.len() != size_of::<Page>() as u64 {
            return Err(io::Error::other("the books are those of another version"));
        }
        Self::map(file)
    }

    /// Empty ones in a new file, for a boot: they are there for whoever finds them, if the supervisor is killed.
    pub fn create(path: &Path, boot_id: &str) -> io::Result<Self> {
        let mut options = File::options();
        let mut file = options.read(true).write(true).create_new(true).mode(0o600).open(path)?;
        // Not a hole: a disk that is full when that is filled would end us.
        if let Err(error) = file.write_all(&[0; size_of::<Page>()]) {
            let _ = fs::remove_file(path);
            return Err(error);
        }
        Self::begin(file, path, boot_id)
    }

    /// Empty ones in a file that had others: a disk that is full has room for them. Fails if somebody needs those.
    pub fn reuse(old: &Path, path: &Path, boot_id: &str) -> io::Result<Self> {
        let mut file = File::options().read(true).write(true).open(old)?;
        if file.metadata()?.len() != size_of::<Page>() as u64 {
            return Err(io::Error::other("it is that of another version"));
        }
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        file.write_all(&[0; size_of::<Page>()])?;
        fs::rename(old, path)?;
        Self::begin(file, path, boot_id)
    }

    fn begin(file: File, path: &Path, boot_id: &str) -> io::Result<Self> {
        // Held by whoever has this open, so by the worker too.
        flock(&file, FlockOperation::LockExclusive)?;
        let books = Self { path: Some(path.into()), ..Self::map(file)? };
        for (word, bytes) in books.page().boot.iter().zip(boot_id.as_bytes().chunks(8)) {
            let mut eight = [0; 8];
            eight[..bytes.len()].copy_from_slice(bytes);
            word.set(u64::from_le_bytes(eight));
        }
        Ok(books)
    }

    /// Those that somebody has left in a file, once whoever wrote them is gone; fails if they are not after `patience`.
    pub fn open(path: &Path, patience: Duration) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        let until = Instant::now() + patience;
        while let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if Instant::now() > until {
                return Err(error.into());
            }
            thread::sleep(POLL);
        }
        let books = Self::of(file.into())?;
        Ok(Self { path: Some(path.into()), ..books })
    }

    /// Where they lie, if they do.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The boot that they are of; `None` in memory only, or where it makes no sense.
    pub fn boot_id(&self) -> Option<String> {
        let bytes: Vec<u8> =
            self.page().boot.iter().flat_map(|it| it.get().to_le_bytes()).collect();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let text = String::from_utf8(bytes[..end].to_vec()).ok()?;
        (!text.is_empty()).then_some(text)
    }

    fn map(file: File) -> io::Result<Self> {
        let (bytes, access) = (size_of::<Page>(), ProtFlags::READ | ProtFlags::WRITE);
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let base = unsafe { mmap(ptr::null_mut(), bytes, access, MapFlags::SHARED, &file, 0) }?;
        let mapping = Arc::new(Mapping(base.cast_const().cast()));
        Ok(Self { file: Arc::new(file), path: None, mapping })
    }

    /// Nobody has worked since the last of a run before this one, until this one says otherwise.
    pub fn begin_after(&self, last: &Self) {
        let since = last.absent_since();
        self.page().pause_since.set(since);
        self.page().whole_until.set(since);
    }

    /// Since when nobody has worked, now that who wrote these is gone, boot-clock ns.
    pub fn absent_since(&self) -> u64 {
        let (page, uplink) = (self.page(), self.account(Destination::Uplink));
        // The pause before is told of in the first batch: without that, nobody knows of it yet.
        let is_untold = uplink.sequence.get() > 0 && uplink.kept_number.get() == 0;
        let before = Some(page.pause_since.get()).filter(|since| is_untold && *since > 0);
        before.unwrap_or(page.whole_until.get())
    }

    /// What is written.
    pub fn page(&self) -> &Page {
        // SAFETY: mapped for as long as this lives, and every pattern of bits is a page.
        unsafe { &*self.mapping.0 }
    }

    /// Asks for events of some categories.
    pub fn want(&self, categories: &[Category]) {
        let bits = categories.iter().fold(0, |bits, category| bits | 1 << *category as u64);
        self.page().wanted.set(bits);
    }

    /// Which are asked for.
    pub fn wanted(&self) -> Vec<Category> {
        let bits = self.page().wanted.get();
        let is_wanted = |category: &Category| bits & 1 << *category as u64 != 0;
        Category::ALL.into_iter().filter(is_wanted).collect()
    }

    /// Those of an output.
    pub fn account(&self, of: Destination) -> &Account {
        &self.page().accounts[of as usize]
    }

    /// Closes the books of one who was killed, but for what the uplink had not got: what it knew of and had not dealt
    /// with is lost, and so is what probes had seen and it had not taken. `seen` counts by stream what `action` names; `as_wanted` says
    /// by which action an output misses it, if it does.
    pub fn close(
        &self,
        seen: impl IntoIterator<Item = (Stream, Action, u64)>,
        as_wanted: impl Fn(Destination, Action) -> Option<Action>,
    ) {
        // What the uplink's batches have is known once the last of them has come.
        for destination in Destination::ALL.into_iter().filter(|it| *it != Destination::Uplink) {
            let account = self.account(destination);
            account.close(&account.delivered, |_| true);
        }
        for (stream, action, seen) in seen {
            let settled = &self.page().settled[stream as usize];
            let left = seen.saturating_sub(settled.get());
            settled.add(left);
            for destination in Destination::ALL {
                if let Some(action) = as_wanted(destination, action) {
                    self.account(destination).lose(action, left);
                }
            }
        }
    }
}

impl Account {
    fn close(&self, settled: &[Number; Action::ALL.len()], counts: impl Fn(Cause) -> bool) {
        for action in Action::ALL {
            let n = action as usize;
            let causes = Cause::ALL.into_iter().filter(|cause| counts(*cause));
            let dropped: u64 = causes.map(|cause| self.dropped[cause as usize][n].get()).sum();
            let open = self.produced[n].get().saturating_sub(settled[n].get() + dropped);
            self.dropped[Cause::WorkerKilled as usize][n].add(open);
        }
    }

    /// Closes those of the uplink of one who was killed: what has not come to the keeper is lost.
    pub fn close_uplink(&self) {
        self.close(&self.kept, |cause| !cause.is_of_batches());
    }

    fn lose(&self, action: Action, events: u64) {
        self.produced[action as usize].add(events);
        self.dropped[Cause::WorkerKilled as usize][action as usize].add(events);
    }
}

/// The memory, to be handed to another process.
impl AsFd for Books {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// All of some numbers.
pub fn read(numbers: &[Number; Action::ALL.len()]) -> ByAction {
    numbers.each_ref().map(Number::get)
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by us with this length, and nobody borrows from it any more. A failure would
        // only leave it mapped.
        let _ = unsafe { munmap(self.0.cast_mut().cast(), size_of::<Page>()) };
    }
}

// SAFETY: the page consists of atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_books_of_one_who_was_killed_balance() {
        let books = Books::new().expect("memory");
        let theirs =
            Books::of(books.as_fd().try_clone_to_owned().expect("a copy")).expect("the same");
        let account = books.account(Destination::Stdout);
        account.produced[Action::Exec as usize].add(10);
        account.delivered[Action::Exec as usize].add(4);
        account.dropped[Cause::RingFull as usize][Action::Exec as usize].add(1);
        books.page().settled[Stream::Exec as usize].add(10);
        let wants = |to, action| (to == Destination::Stdout).then_some(action);

        theirs.close([(Stream::Exec, Action::Exec, 12), (Stream::Fork, Action::Fork, 3)], wants);

        let killed = read(&account.dropped[Cause::WorkerKilled as usize]);
        assert_eq!((killed[Action::Exec as usize], killed[Action::Fork as usize]), (7, 3));
        assert_eq!(account.produced[Action::Exec as usize].get(), 12);
        assert_eq!(account.produced[Action::Fork as usize].get(), 3);
        theirs.close([(Stream::Exec, Action::Exec, 12)], wants);
        assert_eq!(
            account.produced[Action::Exec as usize].get(),
            12,
            "closed twice is closed once"
        );
        let other = books.account(Destination::File);
        assert_eq!(read(&other.produced).iter().sum::<u64>(), 0, "it is off");
    }

    #[test]
    fn a_pause_that_nobody_has_been_told_of_goes_on() {
        let books = Books::new().expect("memory");
        books.page().whole_until.set(30);
        assert_eq!(books.absent_since(), 30, "it is the first");
        books.page().pause_since.set(10);
        assert_eq!(books.absent_since(), 30, "there is no uplink");
        let uplink = books.account(Destination::Uplink);
        uplink.sequence.set(1);
        assert_eq!(books.absent_since(), 10, "what it told went with it");
        uplink.kept_number.set(1);
        assert_eq!(books.absent_since(), 30, "it has told of it");
    }

    #[test]
    fn what_is_no_page_is_refused() {
        let small = memfd_create("small", MemfdFlags::CLOEXEC).expect("memory");
        assert!(Books::of(small).is_err());
    }
}
