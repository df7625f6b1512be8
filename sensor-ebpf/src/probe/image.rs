//! What a process runs: the part that an exec and a process found at start have in common.

use wanglou_sensor_common::event::{Exec, flags};

use crate::kernel::{self, Location, Task};
use crate::path::{self, Ended};
use crate::scratch::Slot;

/// Fills the body but for the arguments and returns the bytes of the variable part used.
#[inline(always)]
pub fn write(slot: *mut Slot, task: Task) -> u64 {
    let (vpid, pid_ns) = task.own_pid();
    let (mnt_ns, net_ns) = task.namespaces();
    let mut body = Exec {
        args_bytes: 0,
        argc: 0,
        flags: if task.is_kthread() { flags::KTHREAD } else { 0 },
        real_parent: task.real_parent(),
        vpid,
        session: 0,
        tty_major: 0,
        tty_minor: 0,
        pid_ns,
        mnt_ns,
        net_ns,
        ids: task.ids(),
        comm: task.comm(),
        exe_len: 0,
        cwd_len: 0,
        script_len: 0,
        head_len: 0,
        tail_len: 0,
        reserved: 0,
    };
    if let Some(signal) = task.signal() {
        body.session = signal.session();
        if signal.is_dead() {
            body.flags |= flags::DEAD;
        }
        if let Some((major, minor)) = signal.tty() {
            body.flags |= flags::TTY;
            body.tty_major = major;
            body.tty_minor = minor;
        }
    }
    let mut offset = 0;
    if let Some((root, pwd)) = task.root_and_pwd() {
        if let Some(exe) = task.mm().and_then(kernel::Mm::exe) {
            offset = write_exe(slot, exe, root, &mut body);
        }
        // A kernel thread's directory is of no interest.
        if body.flags & flags::KTHREAD == 0 {
            let (end, ended) = path::write(slot, pwd, root, offset);
            if ended != Ended::AtRoot {
                body.flags |= flags::CWD_CUT;
            }
            body.cwd_len = (end - offset) as u32;
            offset = end;
        }
    }
    // SAFETY: a live slot.
    unsafe { (*slot).exec = body };
    offset
}

#[inline(always)]
fn write_exe(slot: *mut Slot, exe: Location, root: Location, body: &mut Exec) -> u64 {
    if kernel::is_unhashed(exe.dentry) {
        body.flags |= flags::DELETED;
    }
    let (end, ended) = path::write(slot, exe, root, 0);
    body.exe_len = end as u32;
    match ended {
        Ended::AtRoot => {}
        Ended::Detached => body.flags |= flags::DETACHED,
        Ended::Cut => body.flags |= flags::EXE_CUT,
    }
    end
}
