//! The system calls that the standard library has no safe form for, each in a small wrapper.

mod bpf;
mod clone;
mod exec;
mod place;
mod process;
mod ring;
mod socket;
mod terminal;

pub use bpf::{program_exists, programs_created_by};
pub use clone::{clone_parent, fork, fork_as, vfork_exec};
pub use exec::{Argv, exec, exec_fd, exec_without_args, posix_spawn};
pub use place::{memfd, mount_bind, mount_private, mount_sysfs, mount_tmpfs, unshare};
pub use process::{
    Waited, effective_uid, exit_group, exit_thread, getppid_raw, kill, lead_session_on_stdin,
    no_core_file, set_gid, set_uid, signal_default, subreaper, wait_any, wait_for,
};
pub use ring::Ring;
pub use socket::{Connect, accept_null, listen, loopback_up, receive_fd, reset_on_close, send_fd};
pub use terminal::open_pty;

use std::io;

/// Turns the -1 of a C function into the error it stands for.
fn checked(returned: libc::c_int) -> io::Result<libc::c_int> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

fn checked_long(returned: libc::c_long) -> io::Result<libc::c_long> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}
