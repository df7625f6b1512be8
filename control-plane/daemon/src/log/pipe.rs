//! From the standard error of a process that a service has started to the service's log.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::record::{self, LONGEST, Record};
use super::{LOG, Level, Process, ids};

/// Tells a process that a service reads its standard error; the value is from which levels on.
pub const PIPE: &str = "WANGLOU_LOG_PIPE";

/// Reads in a row: what one has to say without end must not keep the service from its work.
const READS: usize = 32;

/// The service's end.
#[derive(Debug)]
pub struct Ear {
    pipe: AsyncFd<OwnedFd>,
    lines: Lines,
    over: bool,
}

impl Ear {
    /// A pipe: our end, and the one that is to be a child's standard error. `child` is who that is, and `helpers`
    /// those that it may start itself.
    pub fn new(child: Process, helpers: &'static [Process]) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        // SAFETY: the descriptor is ours and stays open and the same until it is dropped.
        let pipe = unsafe { AsyncFd::register_with_interest(ours, Interest::READABLE) }?;
        let lines = Lines { child, helpers, line: Vec::new() };
        Ok((Self { pipe, lines, over: false }, theirs))
    }

    /// Waits for something, and writes it to our log; for ever where nothing can come any more.
    pub async fn listen(&mut self) {
        if self.over {
            std::future::pending::<()>().await;
        }
        match self.pipe.readable().await {
            Ok(mut guard) => match self.lines.read(&self.pipe) {
                Found::More => {}
                Found::Nothing => guard.clear_ready(),
                Found::End => self.over = true,
            },
            Err(_) => self.over = true,
        }
    }

    /// Writes to our log what there is by now, of one that says no more.
    pub fn drain(&mut self) {
        if !self.over {
            self.over = matches!(self.lines.read(&self.pipe), Found::End);
        }
        self.lines.end();
    }
}

/// What there was to be read.
enum Found {
    /// As much as is read in a row.
    More,
    /// All that there is for now.
    Nothing,
    /// All that there will ever be.
    End,
}

/// Lines, as they come.
#[derive(Debug)]
struct Lines {
    child: Process,
    helpers: &'static [Process],
    /// One that has no end yet.
    line: Vec<u8>,
}

impl Lines {
    fn read(&mut self, pipe: &AsyncFd<OwnedFd>) -> Found {
        let mut bytes = [0; LONGEST];
        for _ in 0..READS {
            match rustix::io::read(pipe, &mut bytes) {
                Ok(0) => return Found::End,
                Ok(read) => self.take(&bytes[..read]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Found::Nothing,
                // It would not go away by being asked for again.
                Err(_) => return Found::End,
            }
        }
        Found::More
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.append(&bytes[..end]);
            self.end();
            bytes = &bytes[end + 1..];
        }
        self.append(bytes);
    }

    fn append(&mut self, bytes: &[u8]) {
        let room = LONGEST.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end(&mut self) {
        let line = std::mem::take(&mut self.line);
        if let (Some(log), false) = (LOG.get(), line.is_empty()) {
            let line = String::from_utf8_lossy(&line);
            match Record::of_pipe(&line) {
                Some(record) => log.pass_on(&record, self.is_last_word(&record)),
                None => log.record(&raw(self.child.name, &line, &mut String::new())),
            }
        }
    }

    /// Whether who said it does not live to write it as an event.
    fn is_last_word(&self, record: &Record<'_>) -> bool {
        let ends = [ids::FAILED.code, ids::PANICKED.code].contains(&record.id);
        let is_helper = self.helpers.iter().any(|helper| helper.name == record.process);
        ends || is_helper && record.level <= Level::Error
    }
}

/// What was said without our log: by a library in C, or by what ends a process that cannot go on.
fn raw<'a>(process: &'a str, line: &str, message: &'a mut String) -> Record<'a> {
    record::append(line, message);
    let (at, level, id) = (record::now(), Level::Warning, ids::RAW.code);
    Record { at, level, process, module: "-", id, message, fields: "" }
}
