//! Reads below /proc, each relative to an open directory: a PID that is given to another process
//! meanwhile cannot mix two of them.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

/// Why there is nothing to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// The process is gone, or has given up its memory on the way out.
    Gone,
    /// The rights are missing, or the kernel lacks the file.
    Refused,
}

impl From<Errno> for Missing {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOENT | Errno::SRCH => Self::Gone,
            _ => Self::Refused,
        }
    }
}

/// Opens a directory for looking up names in it.
pub(super) fn directory(at: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Missing> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, name, flags, Mode::empty())?)
}

/// The directory of a process.
pub(super) fn process(proc: BorrowedFd<'_>, pid: u32) -> Result<OwnedFd, Missing> {
    let mut name = [0; 11];
    let mut start = name.len() - 1;
    let mut rest = pid;
    loop {
        start -= 1;
        name[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let name = CStr::from_bytes_with_nul(&name[start..]).map_err(|_| Missing::Refused)?;
    directory(proc, name)
}

/// Opens a file for reading.
pub(super) fn open(at: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Missing> {
    Ok(rustix::fs::openat(at, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// The file's content, as much of it as there is room for. One read is enough: the kernel makes
/// the files for which this is used as a whole.
pub(super) fn read<'b>(
    at: BorrowedFd<'_>,
    name: &CStr,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], Missing> {
    let file = open(at, name)?;
    let length = rustix::io::read(file, &mut *buffer)?;
    Ok(&buffer[..length])
}

/// Where a symbolic link leads; a text that fills the buffer may have been cut and is refused.
pub(super) fn link<'b>(
    at: BorrowedFd<'_>,
    name: &CStr,
    buffer: &'b mut [MaybeUninit<u8>],
) -> Result<&'b [u8], Missing> {
    let (text, rest) = rustix::fs::readlinkat_raw(at, name, buffer)?;
    if rest.is_empty() { Err(Missing::Refused) } else { Ok(text) }
}

/// Whether the file behind a link of /proc/PID has no name left.
pub(super) fn is_unlinked(at: BorrowedFd<'_>, name: &CStr) -> bool {
    rustix::fs::statat(at, name, AtFlags::empty()).is_ok_and(|stat| stat.st_nlink == 0)
}
