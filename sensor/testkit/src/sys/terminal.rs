//! A terminal to run a program in.

use std::{
    fs::File,
    io,
    os::fd::{FromRawFd, OwnedFd},
    ptr,
};

use super::checked;

/// A new terminal of the given width: our side, and the program's.
pub fn open_pty(columns: u16) -> io::Result<(File, File)> {
    let size = libc::winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let (mut ours, mut theirs) = (-1, -1);
    // SAFETY: two descriptors to fill, no name and no settings wanted, and a live window size.
    let returned = unsafe {
        libc::openpty(
            &raw mut ours,
            &raw mut theirs,
            ptr::null_mut(),
            ptr::null_mut(),
            &raw const size,
        )
    };
    checked(returned)?;
    Ok((file(ours), file(theirs)))
}

fn file(fd: i32) -> File {
    // SAFETY: openpty has just opened it, and nobody else knows it.
    File::from(unsafe { OwnedFd::from_raw_fd(fd) })
}
