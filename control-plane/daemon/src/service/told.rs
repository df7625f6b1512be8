//! What a service is told: by signals, by the clock, and by the file of its settings.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::notify::Notify;

/// How often the settings and the watchdog are looked at, and whatever else is to be looked at: all in one.
const TICK: Duration = Duration::from_secs(1);

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// SIGINT or SIGTERM: to end.
    End,
    /// SIGHUP: to read the settings again.
    Reload,
    /// The file is another one, and has been for a moment.
    Changed,
    /// A second is over.
    Tick,
}

/// Why a service would be deaf.
#[derive(Debug, Error)]
#[error("cannot handle {name}")]
pub struct NoSignal {
    name: &'static str,
    source: io::Error,
}

/// Who is listened to; tells the service manager meanwhile that we live.
pub struct Told {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    tick: Interval,
    file: Watched,
    /// The service manager.
    pub notify: Notify,
}

impl Told {
    /// Listens from now on; `file` has been read.
    pub fn new(file: PathBuf) -> Result<Self, NoSignal> {
        let handled = |name, kind| signal(kind).map_err(|source| NoSignal { name, source });
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            interrupt: handled("SIGINT", SignalKind::interrupt())?,
            terminate: handled("SIGTERM", SignalKind::terminate())?,
            hang_up: handled("SIGHUP", SignalKind::hangup())?,
            tick,
            file: Watched::new(file),
            notify: Notify::of_environment(),
        })
    }

    /// Waits for the next word.
    pub async fn next(&mut self) -> Word {
        tokio::select! {
            _ = self.interrupt.recv() => Word::End,
            _ = self.terminate.recv() => Word::End,
            _ = self.hang_up.recv() => Word::Reload,
            _ = self.tick.tick() => {
                self.notify.alive(TICK);
                if self.file.has_settled() { Word::Changed } else { Word::Tick }
            }
        }
    }

    /// Waits for something else, and is alive all the same; who calls hears later what comes meanwhile.
    pub async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = self.tick.tick() => self.notify.alive(TICK),
            }
        }
    }
}

/// A file that somebody may write anew.
struct Watched {
    path: PathBuf,
    /// As it was when it was read, and when it was last looked at.
    read: Option<Stamp>,
    seen: Option<Stamp>,
}

/// What changes with a file: its inode, its length, when it was written.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    bytes: u64,
    written: (i64, i64),
}

impl Watched {
    fn new(path: PathBuf) -> Self {
        let mut watched = Self { path, read: None, seen: None };
        watched.seen = watched.stamp();
        watched.read = watched.seen;
        watched
    }

    /// Whether it is another one than was read, and the same as a tick ago: half a file is not of interest,
    /// and one that is gone may come again.
    fn has_settled(&mut self) -> bool {
        let now = self.stamp();
        let has = now.is_some() && now == self.seen && now != self.read;
        self.seen = now;
        if has {
            self.read = now;
        }
        has
    }

    fn stamp(&self) -> Option<Stamp> {
        let file = fs::metadata(&self.path).ok()?;
        Some(Stamp {
            inode: (file.dev(), file.ino()),
            bytes: file.len(),
            written: (file.mtime(), file.mtime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_once_it_has_settled() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("settings.toml");
        let mut watched = Watched::new(path.clone());
        assert!(!watched.has_settled());
        fs::write(&path, "half").expect("a file");
        assert!(!watched.has_settled(), "it is new");
        fs::write(&path, "half and half").expect("a file");
        assert!(!watched.has_settled(), "it is still being written");
        assert!(watched.has_settled());
        assert!(!watched.has_settled(), "it has been read");
        fs::remove_file(&path).expect("no file");
        assert!(!watched.has_settled() && !watched.has_settled(), "there is nothing to read");
    }
}
