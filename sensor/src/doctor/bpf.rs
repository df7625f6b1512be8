//! The one question to bpf(2) that needs no probe.

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};

use rustix::process::{Resource, Rlimit, setrlimit};

/// `BPF_MAP_CREATE` and `BPF_MAP_TYPE_RINGBUF` of `include/uapi/linux/bpf.h`.
const MAP_CREATE: libc::c_int = 0;
const RINGBUF: u32 = 27;
/// A ring is whole pages, and a page is this or a multiple of it.
const BYTES: u32 = 64 * 1024;

/// Makes the smallest ring buffer that every page size allows, and lets it go.
pub(super) fn make_ring_buffer() -> io::Result<()> {
    // Before 5.11 maps count as locked memory, of which even root may have 64 KiB; where the limit
    // cannot be raised, this one may still fit. aya does the same before it makes the probes' maps.
    let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
    // { __u32 map_type; __u32 key_size; __u32 value_size; __u32 max_entries; }
    let attributes = [RINGBUF, 0, 0, BYTES];
    // SAFETY: the kernel reads `attributes`, whose size it is told, and keeps no reference.
    let fd = unsafe {
        libc::syscall(libc::SYS_bpf, MAP_CREATE, attributes.as_ptr(), size_of_val(&attributes))
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that the kernel just gave us, and nobody else.
    drop(unsafe { OwnedFd::from_raw_fd(fd as i32) });
    Ok(())
}
