//! Between the thread that reads the socket and the worker: bounded, in order of arrival, and
//! readable as a descriptor while there is something in it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, eventfd};

use super::message::Event;

/// Bytes that may wait by default: 131,072 messages.
pub(super) const QUEUE_BYTES: usize = 4 << 20;

/// What waits: an event and when it was, on the monotonic clock.
pub(super) type Entry = (u64, Event);

/// Messages lost since this was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Numbered by the kernel and never received, of a kind that nobody knows: threads, names and
    /// other things that are no events of the sensor's are among them.
    pub overrun: u64,
    /// The kernel said that the receive buffer was full.
    pub overran: bool,
    /// Received, and refused by a full queue, by what they would have become.
    pub queue_full: Kinds,
    /// Received, and no message that a kernel sends.
    pub refused: u64,
}

impl Lost {
    /// Something is missing, so that what is known of the host's processes may be wrong.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

/// A number for each kind of event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// New processes.
    pub fork: u64,
    /// Executed files.
    pub exec: u64,
    /// Exits of leaders.
    pub end: u64,
    /// Changes of user ids.
    pub user: u64,
    /// Changes of group ids.
    pub group: u64,
    /// Threads that came and went; no event comes of them.
    pub threads: u64,
}

impl Kinds {
    fn count(&mut self, event: Event) {
        match event {
            Event::Fork { pid, tgid, .. } if pid == tgid => self.fork += 1,
            Event::Exec { .. } => self.exec += 1,
            Event::Exit { pid, tgid, .. } if pid == tgid => self.end += 1,
            Event::User { pid, tgid, .. } if pid == tgid => self.user += 1,
            Event::Group { pid, tgid, .. } if pid == tgid => self.group += 1,
            _ => self.threads += 1,
        }
    }
}

/// See the module.
pub(super) struct Queue {
    inner: Mutex<Inner>,
    /// Readable exactly while there are entries or losses: one write a burst, however long.
    filled: OwnedFd,
    capacity: usize,
}

#[derive(Default)]
struct Inner {
    entries: VecDeque<Entry>,
    lost: Lost,
}

impl Inner {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && !self.lost.any()
    }
}

impl Queue {
    pub(super) fn new(bytes: usize) -> io::Result<Self> {
        let filled = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let capacity = (bytes / size_of::<Entry>()).max(1);
        Ok(Self { inner: Mutex::default(), filled, capacity })
    }

    /// Puts what there is room for, and counts the rest; whether the worker has still to take what
    /// was put before.
    pub(super) fn push(&self, entries: &[Entry], lost: Lost) -> bool {
        let mut inner = self.lock();
        let was_empty = inner.is_empty();
        let (fits, rest) = entries.split_at(entries.len().min(self.capacity - inner.entries.len()));
        inner.entries.extend(fits);
        inner.lost.overrun += lost.overrun;
        inner.lost.overran |= lost.overran;
        inner.lost.refused += lost.refused;
        rest.iter().for_each(|&(_, event)| inner.lost.queue_full.count(event));
        if was_empty && !inner.is_empty() {
            // Fails only at a count of 2^64 - 2.
            let _ = rustix::io::write(&self.filled, &1u64.to_ne_bytes());
        }
        !was_empty
    }

    /// Moves the first `most` entries; whether there are losses that nobody has asked for yet.
    pub(super) fn take(&self, most: usize, into: &mut Vec<Entry>) -> bool {
        let mut inner = self.lock();
        let count = inner.entries.len().min(most);
        into.extend(inner.entries.drain(..count));
        if count > 0 && inner.is_empty() {
            self.emptied();
        }
        inner.lost.any()
    }

    pub(super) fn lost(&self) -> Lost {
        let mut inner = self.lock();
        let lost = std::mem::take(&mut inner.lost);
        if lost.any() && inner.is_empty() {
            self.emptied();
        }
        lost
    }

    fn emptied(&self) {
        // It is readable, or something is wrong that no one here can mend.
        let _ = rustix::io::read(&self.filled, &mut [0; 8]);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that is done under the lock can be left half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.filled.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn is_readable(queue: &Queue) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(queue, PollFlags::IN)], Some(&now)).expect("poll") == 1
    }

    proptest! {
        #[test]
        fn keeps_order_and_counts_the_rest(
            steps in prop::collection::vec((0usize..12, 0usize..12), 1..40),
        ) {
            let queue = Queue::new(10 * size_of::<Entry>()).expect("an eventfd");
            let (mut put, mut waiting, mut refused) = (0, VecDeque::new(), 0);
            for (pushes, takes) in steps {
                let entries: Vec<Entry> =
                    (put..put + pushes as u64).map(|n| (n, Event::Exec { tgid: 1 })).collect();
                put += pushes as u64;
                queue.push(&entries, Lost::default());
                for entry in entries {
                    if waiting.len() < 10 { waiting.push_back(entry) } else { refused += 1 }
                }
                prop_assert_eq!(is_readable(&queue), !waiting.is_empty() || refused > 0);
                let mut taken = Vec::new();
                prop_assert_eq!(queue.take(takes, &mut taken), refused > 0);
                let expected: Vec<_> = waiting.drain(..takes.min(waiting.len())).collect();
                prop_assert_eq!(taken, expected);
                if takes % 2 == 0 {
                    prop_assert_eq!(queue.lost().queue_full.exec, refused);
                    refused = 0;
                    prop_assert_eq!(is_readable(&queue), !waiting.is_empty());
                }
            }
        }
    }
}
