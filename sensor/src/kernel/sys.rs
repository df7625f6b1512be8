//! The bpf(2) commands that aya does not hand out: it keeps the descriptors of links to itself, and
//! ours must outlive the process that attached them.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use libc::{c_int, c_long};

/// `enum bpf_cmd`, include/uapi/linux/bpf.h.
const BPF_OBJ_GET_INFO_BY_FD: c_int = 15;
const BPF_RAW_TRACEPOINT_OPEN: c_int = 17;
const BPF_LINK_CREATE: c_int = 28;
const BPF_ENABLE_STATS: c_int = 32;
const BPF_ITER_CREATE: c_int = 33;
/// `enum bpf_attach_type`.
const BPF_TRACE_ITER: u32 = 28;
/// Offset of `id` in `struct bpf_prog_info`.
const PROGRAM_ID: usize = 4;
/// `BPF_STATS_RUN_TIME`, `enum bpf_stats_type`.
const BPF_STATS_RUN_TIME: u64 = 0;
/// Offset of `run_time_ns` in `struct bpf_prog_info`.
const RUN_TIME: usize = 192;
/// Offset of `recursion_misses` in `struct bpf_prog_info` (5.12 and later).
const RECURSION_MISSES: usize = 208;

/// Attaches a loaded tracing program to what it was loaded for; the link lives with the descriptor.
pub(super) fn attach(program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // { __u64 name; __u32 prog_fd; }: no name, as the program was verified for its hook.
    let mut attr = [0_u64, fd_word(program)];
    descriptor(BPF_RAW_TRACEPOINT_OPEN, &mut attr)
}

/// Makes a link of a loaded iterator: over the elements of `map`, or over what the kernel has.
pub(super) fn link_iterator(
    program: BorrowedFd<'_>,
    map: Option<BorrowedFd<'_>>,
) -> io::Result<OwnedFd> {
    // union bpf_iter_link_info { struct { __u32 map_fd; } map; … }
    let info = map.map(|map| map.as_raw_fd());
    let (address, len) = match &info {
        Some(info) => (std::ptr::from_ref(info) as u64, size_of_val(info) as u64),
        None => (0, 0),
    };
    // { __u32 prog_fd; __u32 target_fd; __u32 attach_type; __u32 flags;
    //   __aligned_u64 iter_info; __u32 iter_info_len; }
    let mut attr = [fd_word(program), u64::from(BPF_TRACE_ITER), address, len];
    descriptor(BPF_LINK_CREATE, &mut attr)
}

/// Attaches a loaded program of this kind to a cgroup and all below it.
pub(super) fn attach_to_cgroup(
    program: BorrowedFd<'_>,
    cgroup: BorrowedFd<'_>,
    kind: u32,
) -> io::Result<OwnedFd> {
    let mut attr = [fd_word(program) | fd_word(cgroup) << 32, u64::from(kind), 0, 0];
    descriptor(BPF_LINK_CREATE, &mut attr)
}

/// Begins a run of an iterator; reading the descriptor runs it.
pub(super) fn run_iterator(link: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // { __u32 link_fd; __u32 flags; }
    let mut attr = [fd_word(link)];
    descriptor(BPF_ITER_CREATE, &mut attr)
}

/// How often the kernel skipped a program as it was running on that CPU already; `None` where the
/// kernel does not count it.
pub(super) fn recursion_misses(program: BorrowedFd<'_>) -> Option<u64> {
    number_at(program, RECURSION_MISSES)
}

/// For how long a program has run while the kernel timed programs, ns.
pub(super) fn run_time(program: BorrowedFd<'_>) -> Option<u64> {
    number_at(program, RUN_TIME)
}

/// Has the kernel time programs for as long as the descriptor is open.
pub(super) fn enable_statistics() -> io::Result<OwnedFd> {
    descriptor(BPF_ENABLE_STATS, &mut [BPF_STATS_RUN_TIME])
}

fn number_at(program: BorrowedFd<'_>, offset: usize) -> Option<u64> {
    let (info, len) = program_info(program)?;
    let bytes = info[..len].get(offset..offset + size_of::<u64>())?;
    Some(u64::from_ne_bytes(bytes.try_into().ok()?))
}

/// The number that the kernel gave a program.
pub(super) fn program_id(program: BorrowedFd<'_>) -> Option<u32> {
    let (info, len) = program_info(program)?;
    let bytes = info[..len].get(PROGRAM_ID..PROGRAM_ID + size_of::<u32>())?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

/// `struct bpf_prog_info`, as much of it as the kernel has.
fn program_info(program: BorrowedFd<'_>) -> Option<([u8; 256], usize)> {
    let mut info = [0_u8; 256];
    // { __u32 bpf_fd; __u32 info_len; __aligned_u64 info; }
    let len = info.len() as u64;
    let mut attr = [fd_word(program) | len << 32, info.as_mut_ptr() as u64];
    // SAFETY: the kernel writes at most `len` bytes to `info`, which outlives the call.
    unsafe { bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attr) }.ok()?;
    let written = (attr[0] >> 32) as usize;
    (written <= info.len()).then_some((info, written))
}

fn fd_word(fd: BorrowedFd<'_>) -> u64 {
    // The lower half of the word, which comes first on the little-endian machines we build for.
    u64::from(fd.as_raw_fd().cast_unsigned())
}

fn descriptor(command: c_int, attr: &mut [u64]) -> io::Result<OwnedFd> {
    // SAFETY: these commands read `attr` only.
    let fd = unsafe { bpf(command, attr) }?;
    // SAFETY: the kernel made the descriptor for us just now.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as c_int) })
}

/// bpf(2).
///
/// # Safety
///
/// Every address in `attr` must be valid for what `command` does with it.
unsafe fn bpf(command: c_int, attr: &mut [u64]) -> io::Result<c_long> {
    // SAFETY: `attr` is as long as we say; its contents are the caller's promise.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), size_of_val(attr)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
