use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated::{bpf_probe_read_kernel_str, bpf_probe_read_user};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use wanglou_sensor_common::counters::Program;
use wanglou_sensor_common::event::flags;
use wanglou_sensor_common::{ARGS_MAX, ARGS_TAIL, Kind, PATH_MAX};

use super::image;
use crate::emit::Event;
use crate::kernel::{Binprm, Task};
use crate::scratch::{Claim, FIXED, Slot, VARIABLE};

/// `sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`, kernel
/// 6.18: after the new image is in place and before it runs.
#[btf_tracepoint(function = "sched_process_exec")]
fn exec(ctx: BtfTracePointContext) -> i32 {
    let Some(event) = Event::seen(Program::Exec) else { return 0 };
    let Some(claim) = Claim::of_cpu(event.cpu()) else {
        aya_log_ebpf::warn!(&ctx, "exec of {} lost: probes nest too deep", ctx.tgid());
        event.nested();
        return 0;
    };
    let slot = claim.slot;
    let task = Task(ctx.arg(0));
    let bprm = Binprm(ctx.arg(2));

    let mut offset = image::write(slot, task);
    offset = write_script(slot, bprm, offset);
    offset = write_args(slot, task, bprm, offset);

    let len = FIXED as u32 + (offset as u32).min(VARIABLE as u32);
    // SAFETY: a live slot.
    unsafe { (*slot).header = event.header(Kind::Exec, len, task) };
    // SAFETY: a live slot; the record begins at its header.
    event.send(unsafe { (&raw const (*slot).header).cast() }, len);
    0
}

/// The path of a `#!` script as it was given; what is executed is its interpreter.
#[inline(always)]
fn write_script(slot: *mut Slot, bprm: Binprm, offset: u64) -> u64 {
    let script = bprm.script();
    if script == 0 {
        return offset;
    }
    let offset = offset.min((VARIABLE - PATH_MAX) as u64);
    // SAFETY: `offset` was bounded just above.
    let target = unsafe { (&raw mut (*slot).variable).cast::<u8>().add(offset as usize) };
    // SAFETY: `target` has room for `PATH_MAX` bytes.
    let len = unsafe {
        bpf_probe_read_kernel_str(target.cast(), PATH_MAX as u32, script as *const _)
    };
    if len <= 0 {
        return offset;
    }
    let len = (len as u64).min(PATH_MAX as u64);
    // SAFETY: a live slot.
    let body = unsafe { &mut (*slot).exec };
    if len == PATH_MAX as u64 {
        body.flags |= flags::SCRIPT_CUT;
    }
    body.script_len = len as u32;
    offset + len
}

/// The arguments from the new image's own memory: all, or the first and the last of them.
#[inline(always)]
fn write_args(slot: *mut Slot, task: Task, bprm: Binprm, offset: u64) -> u64 {
    let Some(mm) = task.mm() else { return offset };
    let (start, bytes) = mm.args();
    // SAFETY: a live slot.
    let body = unsafe { &mut (*slot).exec };
    body.argc = bprm.argc();
    body.args_bytes = bytes;

    let fits = bytes <= ARGS_MAX as u64;
    let head = if fits { bytes } else { (ARGS_MAX - ARGS_TAIL) as u64 };
    body.head_len = read_user(slot, offset, start, head, ARGS_MAX as u64);
    let offset = offset + u64::from(body.head_len);
    if fits {
        return offset;
    }
    let tail = ARGS_TAIL as u64;
    body.tail_len = read_user(slot, offset, start + bytes - tail, tail, tail);
    offset + u64::from(body.tail_len)
}

/// Copies `len` bytes, at most `most`, from the process and returns how many were copied.
#[inline(always)]
fn read_user(slot: *mut Slot, offset: u64, from: u64, len: u64, most: u64) -> u32 {
    let offset = offset.min(VARIABLE as u64 - most);
    let len = len.min(most);
    // SAFETY: `offset + len` is inside `variable`, as both are bounded just above.
    let target = unsafe { (&raw mut (*slot).variable).cast::<u8>().add(offset as usize) };
    // SAFETY: `target` has room for `len` bytes; a bad address makes the helper fail.
    let failed = unsafe { bpf_probe_read_user(target.cast(), len as u32, from as *const _) };
    if failed == 0 { len as u32 } else { 0 }
}
