use aya_ebpf::helpers::generated::bpf_get_current_task_btf;
use aya_ebpf::macros::fentry;
use aya_ebpf::programs::FEntryContext;
use wanglou_sensor_common::counters::Stream;
use wanglou_sensor_common::event::Credentials;
use wanglou_sensor_common::{Header, Kind};

use crate::emit::Event;
use crate::kernel::{self, Task};

/// What goes into the ring.
#[repr(C)]
struct Record {
    header: Header,
    body: Credentials,
}

/// `int commit_creds(struct cred *new)`, kernel 6.18: every change of ids ends here, in the task
/// that changes, which still has its old ones. `bpf_get_current_task_btf` is there from 5.11 on.
#[fentry(function = "commit_creds")]
fn credentials(ctx: FEntryContext) -> i32 {
    // SAFETY: a helper without arguments.
    let task = Task(unsafe { bpf_get_current_task_btf() }.cast_const().cast());
    let old = task.ids();
    let new = kernel::ids_at(ctx.arg(0));
    if old == new {
        return 0;
    }
    let Some(event) = Event::of_process(Stream::Credentials, task) else { return 0 };
    let record = Record {
        header: event.header(Kind::Credentials, size_of::<Record>() as u32, task),
        body: Credentials { old, new, comm: task.group_leader().comm() },
    };
    event.send((&raw const record).cast(), size_of::<Record>() as u32);
    0
}
