use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use wanglou_sensor_common::counters::Stream;
use wanglou_sensor_common::event::Exit;
use wanglou_sensor_common::{Header, Kind};

use crate::emit::Event;
use crate::filter;
use crate::kernel::Task;
use crate::maps::setting;

/// What goes into the ring.
#[repr(C)]
struct Record {
    header: Header,
    body: Exit,
}

/// `sched_process_exit(struct task_struct *p, bool group_dead)`, kernel 6.18; without `group_dead`
/// before 6.16. Each thread passes here once its memory is gone.
///
/// Without the argument two threads that exit together can both see that no other lives: the
/// worker knows the first `end` of a process from the second.
#[btf_tracepoint(function = "sched_process_exit")]
fn exit(ctx: BtfTracePointContext) -> i32 {
    let task = Task(ctx.arg(0));
    let Some(signal) = task.signal() else { return 0 };
    let last =
        if setting!(exit_tells_group_dead) != 0 { ctx.arg::<u8>(1) != 0 } else { signal.is_dead() };
    if !last {
        return 0;
    }
    filter::ended(task.tgid());
    let Some(event) = Event::of_process(Stream::Exit, task) else { return 0 };
    let leader = task.group_leader();
    let record = Record {
        header: event.header(Kind::Exit, size_of::<Record>() as u32, task),
        body: Exit {
            cpu_ns: signal.cpu_ns(task),
            max_rss_pages: signal.max_rss_pages(),
            status: signal.status(task),
            real_parent: task.real_parent(),
            ids: task.ids(),
            comm: leader.comm(),
        },
    };
    event.send((&raw const record).cast(), size_of::<Record>() as u32);
    0
}
