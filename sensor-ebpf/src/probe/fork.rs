use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use wanglou_sensor_common::counters::Stream;
use wanglou_sensor_common::event::Fork;
use wanglou_sensor_common::{Header, Kind};

use crate::emit::Event;
use crate::filter;
use crate::kernel::Task;

/// What goes into the ring.
#[repr(C)]
struct Record {
    header: Header,
    body: Fork,
}

/// `sched_process_fork(struct task_struct *parent, struct task_struct *child)`, kernel 6.18: after
/// the child was made and before it runs, in its creator.
#[btf_tracepoint(function = "sched_process_fork")]
fn fork(ctx: BtfTracePointContext) -> i32 {
    let creator = Task(ctx.arg(0));
    let child = Task(ctx.arg(1));
    // A thread is not a process.
    if child.pid() != child.tgid() {
        return 0;
    }
    filter::forked(creator.tgid(), child.tgid());
    let Some(event) = Event::of_process(Stream::Fork, child) else { return 0 };
    let record = Record {
        header: event.header(Kind::Fork, size_of::<Record>() as u32, child),
        body: Fork {
            creator_start: creator.group_leader().start_boottime(),
            creator_pid: creator.tgid(),
            real_parent: child.real_parent(),
            vpid: child.own_pid().0,
            reserved: 0,
            ids: child.ids(),
            comm: child.comm(),
        },
    };
    event.send((&raw const record).cast(), size_of::<Record>() as u32);
    0
}
