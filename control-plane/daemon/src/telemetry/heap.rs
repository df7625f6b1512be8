//! jemalloc's own profile: samples of what is allocated, and by whom.

use std::ffi::{CStr, CString, c_void};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::ptr;

use rustix::fs::{MemfdFlags, memfd_create};
use tikv_jemalloc_sys::mallctl;

/// A variable of the environment, and its value, that makes jemalloc count what was freed again too: it
/// has to know at its start.
pub const ACCUMULATED: (&str, &str) = ("_RJEM_MALLOC_CONF", "prof_accum:true");

/// Begins, or ends, to take samples.
pub fn switch(on: bool) -> io::Result<()> {
    control(c"prof.active", on)
}

/// Writes what is held now into memory, as text (`heap_v2`).
pub fn dump() -> io::Result<File> {
    let file = File::from(memfd_create("wanglou-heap", MemfdFlags::CLOEXEC)?);
    // It is opened by its name, which no disk has.
    let name = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    control(c"prof.dump", name.as_ptr())?;
    Ok(file)
}

/// Sets a value (`mallctl`, jemalloc(3)).
fn control<T: Copy>(what: &CStr, mut value: T) -> io::Result<()> {
    // SAFETY: the name ends with a zero; the value is one that this name takes, lives until the call is
    // over, and its size is said; nothing is asked for.
    let error = unsafe {
        let value = ptr::from_mut(&mut value).cast::<c_void>();
        mallctl(what.as_ptr(), ptr::null_mut(), ptr::null_mut(), value, size_of::<T>())
    };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}
