//! The thread that reads the socket and does nothing else: whatever the worker is busy with, the
//! kernel's buffer is emptied at once.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use super::message::{self, Event};
use super::queue::{Entry, Lost, Queue};
use super::sequence::{Sequences, sound};
use super::socket::{Error, Socket};

/// A running reader; dropping it ends the listening.
pub(super) struct Reader {
    stop: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Returns once the kernel has agreed, and a message of each CPU has been asked for.
    pub(super) fn start(queue: Arc<Queue>) -> Result<Self, Error> {
        let mut intake = Intake {
            socket: Socket::open()?,
            queue,
            sequences: Sequences::default(),
            batch: Vec::with_capacity(BATCH),
            lost: Lost::default(),
            refused: 0,
            answer: None,
            is_worker_busy: false,
        };
        intake.listen()?;
        sound();
        let stop = eventfd(0, EventfdFlags::CLOEXEC)
            .map_err(|error| Error::Io("make an eventfd", error.into()))?;
        let stopped = stop.try_clone().map_err(|error| Error::Io("copy a descriptor", error))?;
        let thread = std::thread::Builder::new()
            .name("cn_proc".into())
            .spawn(move || intake.run(&stopped))
            .map_err(|error| Error::Io("start the reading thread", error))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends the listening; all that has arrived is in the queue, all that has not is counted.
    pub(super) fn stop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = rustix::io::write(&self.stop, &1u64.to_ne_bytes());
            let _ = thread.join();
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Datagrams handed over at once.
const BATCH: usize = 256;

/// Datagrams read without looking up.
const ROUND: usize = 16 * BATCH;

/// How long the kernel may take to answer; it does so within the request.
const ANSWER: Duration = Duration::from_secs(1);

/// While the worker has enough to do, waking for each message helps nobody.
const NAP: Duration = Duration::from_micros(500);

/// After an overrun, how long until the CPUs are sounded, and at the soonest again.
const SETTLE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

struct Intake {
    socket: Socket,
    queue: Arc<Queue>,
    sequences: Sequences,
    batch: Vec<Entry>,
    lost: Lost,
    /// Refused, with its number not yet missing.
    refused: u64,
    /// The last acknowledgement, anybody's.
    answer: Option<(u32, u32)>,
    /// At the last hand-over, it had not come for the one before.
    is_worker_busy: bool,
}

impl Intake {
    fn listen(&mut self) -> Result<(), Error> {
        let ack = std::process::id();
        self.socket.listen(ack)?;
        let until = Instant::now() + ANSWER;
        loop {
            self.read();
            match self.answer.take() {
                Some((answer, 0)) if answer == ack.wrapping_add(1) => return Ok(()),
                Some((answer, error)) if answer == ack.wrapping_add(1) => {
                    return Err(match Errno::from_raw_os_error(error.cast_signed()) {
                        Errno::PERM => Error::Rights,
                        error => Error::Io("listen", error.into()),
                    });
                }
                _ if Instant::now() > until => return Err(Error::NoAnswer),
                _ => {}
            }
            let wait = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
            let _ = poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&wait));
        }
    }

    fn run(mut self, stop: &OwnedFd) {
        let mut overran = false;
        loop {
            let mut ready =
                [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
            let woken = poll(&mut ready, overran.then_some(&SETTLE));
            let stopping = !ready[1].revents().is_empty();
            overran |= self.read();
            if woken == Ok(0) || stopping {
                // The buffer is empty again, so this gets through, and shows what did not.
                sound();
                overran = self.read();
            }
            if stopping {
                self.socket.ignore();
                return;
            }
            if self.is_worker_busy {
                std::thread::sleep(NAP);
            }
        }
    }

    /// Reads until there is nothing more, or for long enough to look whether it is to stop;
    /// whether the kernel's buffer has overrun.
    fn read(&mut self) -> bool {
        let mut overran = false;
        let mut buffer = [0; 4096];
        for _ in 0..ROUND {
            match self.socket.receive(&mut buffer) {
                Ok(datagram) => self.take(datagram),
                Err(Errno::NOBUFS) => self.lost.overran = true,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // Out of memory, at worst: not to be asked again at once.
                Err(_) => {
                    std::thread::sleep(Duration::from_millis(10));
                    break;
                }
            }
            overran |= self.lost.overran;
            if self.batch.len() >= BATCH {
                self.flush();
            }
        }
        self.flush();
        overran
    }

    fn take(&mut self, datagram: &[u8]) {
        for message in message::parse(datagram) {
            let Ok(message) = message else {
                self.lost.refused += 1;
                self.refused += 1;
                continue;
            };
            if let Some(cpu) = message.cpu {
                let missing = u64::from(self.sequences.note(cpu, message.sequence));
                // One that was refused left a gap, too: it counts once.
                let refused = missing.min(self.refused);
                self.refused -= refused;
                self.lost.overrun += missing - refused;
            }
            match message.event {
                Event::Acknowledged { ack, error } => self.answer = Some((ack, error)),
                Event::Other => {}
                event => self.batch.push((message.time, event)),
            }
        }
    }

    fn flush(&mut self) {
        if !self.batch.is_empty() || self.lost.any() {
            self.is_worker_busy = self.queue.push(&self.batch, std::mem::take(&mut self.lost));
            self.batch.clear();
        }
    }
}
