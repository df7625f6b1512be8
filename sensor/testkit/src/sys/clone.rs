//! The ways to make another process. All but `vfork_exec` return in both, as fork does, and are
//! for programs with one thread.

use std::{
    ffi::{CStr, c_char, c_int, c_long, c_void},
    io,
};

use super::{Argv, checked, checked_long, exec::environment};

/// The child's pid in the parent, `None` in the child.
pub fn fork() -> io::Result<Option<u32>> {
    // SAFETY: the callers have one thread, so no lock is left taken in the child.
    let pid = checked(unsafe { libc::fork() })?;
    Ok((pid != 0).then_some(pid.unsigned_abs()))
}

/// As `fork`, but the new process is a child of our parent: a sibling made by us.
pub fn clone_parent() -> io::Result<Option<u32>> {
    let flags = c_long::from(libc::CLONE_PARENT | libc::SIGCHLD);
    // SAFETY: without CLONE_VM and with no stack this is a fork (see `fork`). The zeroes are the
    // stack, the thread pointers and the thread area: in whatever order, unused.
    let returned = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    child(returned)
}

/// As `fork`, with the pid of our choice, which must be free.
pub fn fork_as(pid: u32) -> io::Result<Option<u32>> {
    let set_tid = [pid];
    let arguments = CloneArgs {
        exit_signal: libc::SIGCHLD.unsigned_abs().into(),
        set_tid: set_tid.as_ptr().expose_provenance() as u64,
        set_tid_size: 1,
        ..CloneArgs::default()
    };
    let size = size_of::<CloneArgs>();
    // SAFETY: the struct is laid out as the kernel's and lives, with the array it points to, until
    // the call returns; otherwise a fork (see `fork`).
    let returned = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size) };
    child(returned)
}

fn child(returned: c_long) -> io::Result<Option<u32>> {
    let pid = u32::try_from(checked_long(returned)?).unwrap_or_default();
    Ok((pid != 0).then_some(pid))
}

/// `struct clone_args` of the kernel, as of 5.5.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
}

/// What the child of `vfork_exec` needs, prepared by the parent whose memory it shares.
struct Program {
    path: *const c_char,
    argv: *const *const c_char,
    environment: *const *const c_char,
}

/// `vfork` and `execve`: the parent stands still until the child has execed. The child's pid.
pub fn vfork_exec(path: &CStr, argv: &Argv) -> io::Result<u32> {
    const STACK: usize = 64 * 1024;
    let mut stack = vec![0u128; STACK / size_of::<u128>()];
    let top = stack.as_mut_ptr_range().end;
    let program = Program { path: path.as_ptr(), argv: argv.as_ptr(), environment: environment() };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the child runs on a stack of its own, and CLONE_VFORK keeps us (and so the stack and
    // `program`) here until it has execed or exited.
    let pid = unsafe {
        libc::clone(become_program, top.cast(), flags, (&raw const program).cast_mut().cast())
    };
    checked(pid).map(i32::unsigned_abs)
}

extern "C" fn become_program(argument: *mut c_void) -> c_int {
    // SAFETY: `vfork_exec`, the only user, passes a live `Program` that nobody writes to.
    let program = unsafe { &*argument.cast::<Program>() };
    // SAFETY: a string and two NULL-ended arrays of strings, all live in the waiting parent.
    unsafe { libc::execve(program.path, program.argv, program.environment) };
    127
}
