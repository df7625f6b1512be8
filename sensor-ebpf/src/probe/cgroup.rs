use core::mem::offset_of;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use wanglou_sensor_common::{CGROUP_PATH_MAX, Header, Kind};

use crate::emit;
use crate::kernel::Cgroup;
use crate::maps::setting;
use crate::scratch::{Claim, Slot};

/// `cgroup_mkdir(struct cgroup *cgrp, const char *path)`, kernel 6.18: after the cgroup was made and before any
/// process can be in it. Its path is from the root of its hierarchy, whoever asks.
#[btf_tracepoint(function = "cgroup_mkdir")]
fn cgroup(ctx: BtfTracePointContext) -> i32 {
    let cgroup = Cgroup(ctx.arg(0));
    // On v1 a container has one in each hierarchy, and their ids say nothing of one another.
    if cgroup.hierarchy() != setting!(cgroup_hierarchy) {
        return 0;
    }
    let path: u64 = ctx.arg(1);
    let Some(claim) = Claim::of_cpu(emit::cpu()) else { return 0 };
    let slot = claim.slot;
    // SAFETY: what follows the header is larger than a path in every slot.
    let target = unsafe { slot.byte_add(offset_of!(Slot, header) + size_of::<Header>()) };
    // SAFETY: `target` has room for `CGROUP_PATH_MAX` bytes.
    let len = unsafe {
        bpf_probe_read_kernel_str(target.cast(), CGROUP_PATH_MAX as u32, path as *const _)
    };
    if len <= 0 {
        return 0;
    }
    let len = (size_of::<Header>() + (len as usize).min(CGROUP_PATH_MAX)) as u32;
    // SAFETY: a live slot.
    unsafe { (*slot).header = emit::header_of_cgroup(Kind::Cgroup, len, cgroup.id()) };
    // SAFETY: a live slot; the record begins at its header.
    emit::send_unnumbered(unsafe { (&raw const (*slot).header).cast() }, len);
    0
}
