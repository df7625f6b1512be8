//! What a process runs: the part that an exec and a process found at start have in common.
//!
//! Each field is written to the slot as soon as it is known. Kept on the stack, every one that is
//! sometimes a constant would double the states in which the verifier walks the paths.

use wanglou_sensor_common::event::flags;

use crate::filter;
use crate::kernel::{self, Location, Task};
use crate::path::{self, Ended};
use crate::scratch::Slot;

/// Writes a field of the body.
macro_rules! set {
    ($slot:expr, $field:ident, $value:expr) => {
        // SAFETY: a field of a live slot; volatile, or it would be kept in a register.
        unsafe { (&raw mut (*$slot).exec.$field).write_volatile($value) }
    };
}
pub(super) use set;

/// Sets bits of the body's flags.
#[inline(always)]
pub fn mark(slot: *mut Slot, flags: u32) {
    // SAFETY: a field of a live slot.
    let flags = flags | unsafe { (&raw const (*slot).exec.flags).read_volatile() };
    set!(slot, flags, flags);
}

/// Fills the body and the paths; arguments and script stay empty.
#[inline(always)]
pub fn write(slot: *mut Slot, task: Task) {
    path::reset(slot);
    write_body(slot, task);
    let Some((root, pwd)) = task.root_and_pwd() else { return };
    if let Some(exe) = task.mm().and_then(kernel::Mm::exe) {
        write_exe(slot, exe, root);
        filter::runs(task.tgid(), slot);
    }
    // A kernel thread's directory is of no interest.
    if task.is_kthread() {
        return;
    }
    let before = path::filled(slot, usize::MAX);
    if path::write(slot, pwd, root) != Ended::AtRoot {
        mark(slot, flags::CWD_CUT);
    }
    set!(slot, cwd_len, (path::filled(slot, usize::MAX) - before) as u32);
}

#[inline(always)]
fn write_body(slot: *mut Slot, task: Task) {
    // SAFETY: a live slot of plain words.
    unsafe { (&raw mut (*slot).exec).write_bytes(0, 1) };
    set!(slot, real_parent, task.real_parent());
    set!(slot, ids, task.ids());
    set!(slot, comm, task.comm());
    let (vpid, pid_ns) = task.own_pid();
    set!(slot, vpid, vpid);
    set!(slot, pid_ns, pid_ns);
    let (mnt_ns, net_ns) = task.namespaces();
    set!(slot, mnt_ns, mnt_ns);
    set!(slot, net_ns, net_ns);
    if task.is_kthread() {
        mark(slot, flags::KTHREAD);
    }
    let Some(signal) = task.signal() else { return };
    set!(slot, session, signal.session());
    if signal.is_dead() {
        mark(slot, flags::DEAD);
    }
    if let Some((major, minor)) = signal.tty() {
        mark(slot, flags::TTY);
        set!(slot, tty_major, major);
        set!(slot, tty_minor, minor);
    }
}

#[inline(always)]
fn write_exe(slot: *mut Slot, exe: Location, root: Location) {
    if kernel::is_unhashed(exe.dentry) {
        mark(slot, flags::DELETED);
    }
    match path::write(slot, exe, root) {
        Ended::AtRoot => {}
        Ended::Detached => mark(slot, flags::DETACHED),
        Ended::Cut => mark(slot, flags::EXE_CUT),
    }
    set!(slot, exe_len, path::filled(slot, usize::MAX) as u32);
}
