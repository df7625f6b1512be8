//! Sockets through `io_uring(7)`: the kernel does it when it likes, not in a system call of that name.

use std::{
    io,
    net::TcpStream,
    os::fd::{AsRawFd, FromRawFd, RawFd},
    ptr,
};

use io_uring::{IoUring, opcode, squeue, types::Fd};

/// A ring for one operation at a time.
pub struct Ring(IoUring);

impl Ring {
    /// Makes one; the error says if the host forbids it.
    pub fn new() -> io::Result<Self> {
        IoUring::new(2).map(Self)
    }

    /// Takes a connection, without asking who calls.
    pub fn accept(&mut self, listener: &impl AsRawFd) -> io::Result<TcpStream> {
        let entry = opcode::Accept::new(fd(listener), ptr::null_mut(), ptr::null_mut()).build();
        // SAFETY: nothing is borrowed.
        let taken = unsafe { self.run(&entry) }?;
        // SAFETY: a new descriptor, ours alone.
        Ok(unsafe { TcpStream::from_raw_fd(taken as RawFd) })
    }

    /// Receives what there is, at most as much as fits.
    pub fn receive(&mut self, stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        let entry = opcode::Recv::new(fd(stream), buffer.as_mut_ptr(), buffer.len() as u32).build();
        // SAFETY: the buffer outlives the operation, which is over when this returns.
        unsafe { self.run(&entry) }
    }

    /// Sends as much as the kernel takes.
    pub fn send(&mut self, stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        let entry = opcode::Send::new(fd(stream), bytes.as_ptr(), bytes.len() as u32).build();
        // SAFETY: as above.
        unsafe { self.run(&entry) }
    }

    /// # Safety
    ///
    /// What the entry points to must live until this returns.
    unsafe fn run(&mut self, entry: &squeue::Entry) -> io::Result<usize> {
        // SAFETY: the caller's promise.
        unsafe { self.0.submission().push(entry) }.map_err(io::Error::other)?;
        self.0.submit_and_wait(1)?;
        let done = self.0.completion().next().ok_or(io::ErrorKind::UnexpectedEof)?;
        usize::try_from(done.result()).map_err(|_| io::Error::from_raw_os_error(-done.result()))
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ring")
    }
}

fn fd(of: &impl AsRawFd) -> Fd {
    Fd(of.as_raw_fd())
}
