use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_seq_write;
use wanglou_sensor_common::counters::Stream;
use wanglou_sensor_common::event::connection_flags as flags;
use wanglou_sensor_common::{Header, Kind, LAYOUT_VERSION};

use super::{Ending, Entry, LEN, Record, body, listener};
use crate::emit::{self, Event};
use crate::kernel::{self, Owner};

/// A connection that nobody is seen with for so long is told of without.
const PATIENCE_NS: u64 = 1_000_000_000;

/// `struct bpf_iter_meta`, include/linux/bpf.h.
#[repr(C)]
struct Meta {
    seq: *mut c_void,
}

/// `struct bpf_iter__bpf_map_elem`, kernel/bpf/map_iter.c.
#[repr(C)]
struct Context {
    meta: *const Meta,
    map: *const c_void,
    key: *const u64,
    value: *mut Entry,
}

/// Looks at every socket that is known: for ends that nobody saw, which are counted as lost, and for
/// connections that were taken and that nobody has been seen with for a while, as their process may
/// wait in recv(2) for hours. Of these it writes a record.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_map_elem")]
extern "C" fn sweep(ctx: *const Context) -> i32 {
    // SAFETY: the kernel hands a context of this type.
    let (key, value) = unsafe {
        ((&raw const (*ctx).key).read_volatile(), (&raw const (*ctx).value).read_volatile())
    };
    if key.is_null() || value.is_null() {
        return 0;
    }
    // SAFETY: not null: a live key and a live map value.
    let (socket, entry) = unsafe { (*key, &mut *value) };
    if entry.is(flags::ESTABLISHED) && !kernel::is_connected_at(socket, entry.tuple.remote_port) {
        // Its place stays taken until another socket has the same memory: told once.
        entry.flags &= !(flags::ESTABLISHED | flags::UNCLAIMED);
        if let Some(event) = Event::seen(Stream::Disconnect) {
            event.nested();
        }
        return 0;
    }
    let waits = entry.is(flags::UNCLAIMED) && !entry.is(flags::TOLD | flags::EGRESS);
    let now = emit::now();
    if !waits || now.saturating_sub(entry.opened) < PATIENCE_NS {
        return 0;
    }
    let owner = listener(&entry.tuple).unwrap_or(Owner::UNKNOWN);
    let header = Header {
        version: LAYOUT_VERSION,
        kind: Kind::Accept as u16,
        len: LEN,
        cpu: 0,
        pid: owner.pid,
        seq: 0,
        time: now,
        start: owner.start,
        cgroup: 0,
    };
    let ending = Ending { flags: flags::LISTENER, ..Ending::default() };
    let record = Record { header, body: body(entry, ending) };
    // SAFETY: the context is live, and so is what it points to.
    let seq = unsafe { (*(*ctx).meta).seq };
    // SAFETY: a record of `LEN` bytes on the stack. A full buffer makes the kernel run us again for
    // the same entry.
    let written = unsafe { bpf_seq_write(seq.cast(), (&raw const record).cast_mut().cast(), LEN) };
    if written == 0 {
        entry.flags |= flags::TOLD;
        emit::settled(Stream::Accept);
    }
    0
}
