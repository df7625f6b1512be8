use core::ffi::c_void;

use wanglou_sensor_common::Kind;

use super::image;
use crate::emit;
use crate::iterator::{self, Meta};
use crate::kernel::Task;
use crate::maps::{SCRATCH, setting};
use crate::path;
use crate::scratch::{FIXED, PATHS, Slot};

/// `struct bpf_iter__task`, kernel/bpf/task_iter.c.
#[repr(C)]
struct Context {
    meta: *const Meta,
    task: *const c_void,
}

/// Writes a record for every process; the arguments stay to be read from /proc.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
extern "C" fn existing(ctx: *const Context) -> i32 {
    // SAFETY: the kernel hands a context of this type.
    let task = unsafe { (&raw const (*ctx).task).read_volatile() };
    if task.is_null() {
        return 0;
    }
    let task = Task(task);
    if task.pid() != task.tgid() {
        return 0;
    }
    // One slot is ours alone: this program can be preempted, and only the sensor runs it.
    let Some(slot) = SCRATCH.get_ptr_mut(setting!(iterator_slot)) else { return 0 };
    let slot = slot.cast::<Slot>();
    image::write(slot, task);
    let len = (FIXED + path::filled(slot, PATHS)) as u32;
    // SAFETY: a live slot.
    unsafe { (*slot).header = emit::header(Kind::Existing, len, 0, 0, task) };
    // SAFETY: the context is live. A full buffer makes the kernel run us again for the same task.
    iterator::write(unsafe { (*ctx).meta }, unsafe { &raw const (*slot).header }, len);
    0
}
