use std::io::{self, Write};

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::queue::Chunk;

/// Takes chunks.
pub trait Sink: Send {
    /// Takes one; on failure says how many of its lines have gone out whole.
    fn take(&mut self, chunk: &Chunk) -> (usize, io::Result<()>);

    /// For how long at most it holds on to what it has taken; `None` if it holds nothing.
    fn holds_for(&self) -> Option<Duration> {
        None
    }

    /// Hands over what it holds.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// For messages.
    fn name(&self) -> String;
}

/// Takes lines.
pub trait Lines: Send {
    /// Writes whole lines; on failure says how many bytes of them have gone out, after which the next ones
    /// begin a line all the same.
    fn write(&mut self, lines: &[u8]) -> (usize, io::Result<()>);

    /// For messages.
    fn name(&self) -> String;
}

impl<L: Lines> Sink for L {
    fn take(&mut self, chunk: &Chunk) -> (usize, io::Result<()>) {
        let (written, result) = self.write(&chunk.bytes);
        (chunk.whole_lines(written), result)
    }

    fn name(&self) -> String {
        Lines::name(self)
    }
}

/// Standard output.
#[derive(Debug)]
pub struct Stdout<W> {
    output: W,
    /// What went out last is not a whole line.
    is_broken: bool,
}

impl Stdout<std::fs::File> {
    /// That of this process, unbuffered: chunks are large, and a half-written one must be noticed. `is_broken`
    /// says that somebody else may have left half a line there.
    pub fn open(is_broken: bool) -> io::Result<Self> {
        let output = std::fs::File::from(rustix::io::dup(rustix::stdio::stdout())?);
        Ok(Self { output, is_broken })
    }
}

impl<W: Write> Stdout<W> {
    /// Something else that is written to in the same way.
    pub fn of(output: W) -> Self {
        Self { output, is_broken: false }
    }
}

impl<W: Write + Send> Lines for Stdout<W> {
    fn write(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        if self.is_broken {
            if let (_, Err(error)) = write_all(&mut self.output, b"\n") {
                return (0, Err(error));
            }
            self.is_broken = false;
        }
        let (written, result) = write_all(&mut self.output, lines);
        self.is_broken = written > 0 && lines[written - 1] != b'\n';
        (written, result)
    }

    fn name(&self) -> String {
        "standard output".to_owned()
    }
}

/// Whether standard output takes a line without anybody having to wait for it.
pub fn takes_a_line_now() -> bool {
    let stdout = rustix::stdio::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::OUT)];
    let now = Timespec::default();
    poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(PollFlags::OUT)
}

/// Writes all bytes; on failure says how many were taken.
pub(super) fn write_all(output: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
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
