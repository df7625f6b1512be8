use std::io;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::record::{Form, Record};

/// Standard error. It is never waited for: what it has no room for is counted.
#[derive(Debug)]
pub(super) struct Stderr {
    form: Form,
    line: String,
}

impl Stderr {
    pub(super) fn new(form: Form) -> Self {
        Self { form, line: String::new() }
    }

    pub(super) fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.line.clear();
        record.write(self.form, &mut self.line);
        let stderr = rustix::stdio::stderr();
        // A pipe that can be written to has room for `PIPE_BUF` bytes (`pipe(7)`), which no line exceeds.
        let mut polled = [PollFd::new(&stderr, PollFlags::OUT)];
        let at_once = Timespec::try_from(Duration::ZERO).ok();
        if poll(&mut polled, at_once.as_ref())? == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let written = rustix::io::write(stderr, self.line.as_bytes())?;
        if written == self.line.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}
