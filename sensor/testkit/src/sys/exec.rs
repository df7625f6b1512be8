//! The ways to become another program.

use std::{
    ffi::{CStr, CString, c_char},
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

/// A NULL-ended array of pointers to strings, as the kernel wants it, with the strings.
///
/// Invariant: `pointers` has one pointer to each of `strings`, whose bytes do not move, then NULL.
#[derive(Debug)]
pub struct Argv {
    _strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Argv {
    /// Refuses arguments that contain a NUL.
    pub fn new<A: Into<Vec<u8>>>(args: impl IntoIterator<Item = A>) -> io::Result<Self> {
        let strings = args.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>()?;
        let pointers = strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect();
        Ok(Self { _strings: strings, pointers })
    }

    pub(super) fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

unsafe extern "C" {
    static environ: *const *const c_char;
}

pub(super) fn environment() -> *const *const c_char {
    // SAFETY: libc sets it before main, and this crate changes no environment.
    unsafe { environ }
}

/// `execve` with this process's environment; returns only what went wrong.
pub fn exec(path: &CStr, argv: &Argv) -> io::Error {
    // SAFETY: a string, and two NULL-ended arrays of strings (see `Argv`), all live.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), environment()) };
    io::Error::last_os_error()
}

/// `execve` with no argument at all, not even the name (newer kernels make it an empty one).
pub fn exec_without_args(path: &CStr) -> io::Error {
    let none = [ptr::null::<c_char>()];
    // SAFETY: as in `exec`; an array that is only its NULL is allowed.
    unsafe { libc::execve(path.as_ptr(), none.as_ptr(), environment()) };
    io::Error::last_os_error()
}

/// `fexecve`: the program is an open file, which may have no name.
pub fn exec_fd(file: BorrowedFd<'_>, argv: &Argv) -> io::Error {
    // SAFETY: the descriptor is open, the arrays as in `exec`.
    unsafe { libc::fexecve(file.as_raw_fd(), argv.as_ptr(), environment()) };
    io::Error::last_os_error()
}

/// libc's `posix_spawn`: a clone that shares memory until the exec. The pid of the child.
pub fn posix_spawn(path: &CStr, argv: &Argv) -> io::Result<u32> {
    let mut pid = 0;
    let (actions, attributes) = (ptr::null(), ptr::null());
    // SAFETY: as in `exec`; NULL means no actions and no attributes; the arrays are read only,
    // though the C prototype has no const inside.
    let error = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            path.as_ptr(),
            actions,
            attributes,
            argv.as_ptr().cast(),
            environment().cast(),
        )
    };
    if error == 0 { Ok(pid.unsigned_abs()) } else { Err(io::Error::from_raw_os_error(error)) }
}
