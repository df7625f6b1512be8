use core::arch::asm;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated::{bpf_probe_read_kernel_str, bpf_probe_read_user};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use wanglou_sensor_common::counters::Stream;
use wanglou_sensor_common::event::flags;
use wanglou_sensor_common::{ARGS_TAIL, Kind, PATH_MAX};

use super::image;
use crate::emit::Event;
use crate::kernel::{Binprm, Task};
use crate::maps::setting;
use crate::path;
use crate::scratch::{Claim, FIXED, PATHS, Slot};

/// `sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`, kernel
/// 6.18: after the new image is in place and before it runs.
#[btf_tracepoint(function = "sched_process_exec")]
fn exec(ctx: BtfTracePointContext) -> i32 {
    let task = Task(ctx.arg(0));
    let Some(event) = Event::of_process(Stream::Exec, task) else { return 0 };
    let Some(claim) = Claim::of_cpu(event.cpu()) else {
        aya_log_ebpf::warn!(&ctx, "exec of {} lost: probes nest too deep", ctx.tgid());
        event.nested();
        return 0;
    };
    let slot = claim.slot;
    let bprm = Binprm(ctx.arg(2));

    image::write(slot, task);
    write_script(slot, bprm);
    write_args(slot, task, bprm);

    let len = (FIXED + path::filled(slot, PATHS + args_max())) as u32;
    // SAFETY: a live slot.
    unsafe { (*slot).header = event.header(Kind::Exec, len, task) };
    // SAFETY: a live slot; the record begins at its header.
    event.send(unsafe { (&raw const (*slot).header).cast() }, len);
    0
}

/// The path of a `#!` script as it was given; what is executed is its interpreter.
#[inline(always)]
fn write_script(slot: *mut Slot, bprm: Binprm) {
    let script = bprm.script();
    if script == 0 {
        return;
    }
    let offset = path::filled(slot, PATHS - PATH_MAX);
    // SAFETY: `offset` was bounded just above.
    let target = unsafe { (&raw mut (*slot).variable).cast::<u8>().add(offset) };
    // SAFETY: `target` has room for `PATH_MAX` bytes.
    let len =
        unsafe { bpf_probe_read_kernel_str(target.cast(), PATH_MAX as u32, script as *const _) };
    if len <= 0 {
        return;
    }
    let len = (len as usize).min(PATH_MAX);
    if len == PATH_MAX {
        image::mark(slot, flags::SCRIPT_CUT);
    }
    image::set!(slot, script_len, len as u32);
    path::set_filled(slot, offset + len);
}

/// The arguments from the new image's own memory: all, or the first and the last of them.
#[inline(always)]
fn write_args(slot: *mut Slot, task: Task, bprm: Binprm) {
    let Some(mm) = task.mm() else { return };
    let (start, bytes) = mm.args();
    image::set!(slot, argc, bprm.argc());
    image::set!(slot, args_bytes, bytes);
    let most = args_max();
    if bytes <= most as u64 {
        let len = read_user(slot, start, bytes as usize, most);
        image::set!(slot, head_len, len);
        return;
    }
    let head = read_user(slot, start, most - ARGS_TAIL, most);
    image::set!(slot, head_len, head);
    let tail = read_user(slot, start + bytes - ARGS_TAIL as u64, ARGS_TAIL, ARGS_TAIL);
    image::set!(slot, tail_len, tail);
}

/// Bytes of arguments that a record holds: a constant to the verifier.
#[inline(always)]
fn args_max() -> usize {
    setting!(args_bytes) as usize
}

/// Appends `len` bytes, at most `most`, of the process and returns how many there were.
#[inline(always)]
fn read_user(slot: *mut Slot, from: u64, len: usize, most: usize) -> u32 {
    let offset = path::filled(slot, PATHS + args_max() - most);
    let len = at_most(len, most);
    // SAFETY: `offset + len` is inside `variable`, as both are bounded just above.
    let target = unsafe { (&raw mut (*slot).variable).cast::<u8>().add(offset) };
    // SAFETY: `target` has room for `len` bytes; a bad address makes the helper fail.
    let failed = unsafe { bpf_probe_read_user(target.cast(), len as u32, from as *const _) };
    if failed != 0 {
        return 0;
    }
    path::set_filled(slot, offset + len);
    len as u32
}

/// The smaller one. Opaque to the compiler, which would else use a copy of `len` that it put on the stack earlier:
/// before 6.8 the verifier does not know that what holds for the one holds for the other.
#[inline(always)]
fn at_most(mut len: usize, most: usize) -> usize {
    // SAFETY: registers only.
    unsafe { asm!("if {0} <= {1} goto +1", "{0} = {1}", inout(reg) len, in(reg) most) };
    len
}
