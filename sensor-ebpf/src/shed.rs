//! What is given up while not all can be told of: as userspace asks for, and as the ring fills up.

use aya_ebpf::helpers::generated::bpf_ringbuf_query;
use wanglou_sensor_common::Shedding;
use wanglou_sensor_common::counters::Stream;

use crate::maps::{EVENTS, SHEDDING, setting};

const BPF_RB_AVAIL_DATA: u64 = 0;

/// Whether events of a stream are given up now.
#[inline(always)]
pub fn is_given_up(stream: Stream) -> bool {
    let Some(shedding) = SHEDDING.get_ptr_mut(0) else { return false };
    let (asked, filled) = levels(shedding);
    let worth = stream.worth();
    if worth < asked {
        return true;
    }
    // The reader may have caught up since somebody looked.
    worth < filled && worth < look(waiting())
}

/// Bytes that wait in the ring.
#[inline(always)]
pub fn waiting() -> u64 {
    // SAFETY: the map is a ring buffer.
    unsafe { bpf_ringbuf_query((&raw const EVENTS).cast_mut().cast(), BPF_RB_AVAIL_DATA) }
}

/// Notes the level that so many waiting bytes ask for.
#[inline(always)]
pub fn look(waiting: u64) -> u32 {
    let eighth = u64::from(setting!(ring_bytes)) / 8;
    let level = match () {
        () if waiting >= eighth * 15 / 2 => 3,
        () if waiting >= eighth * 7 => 2,
        () if waiting >= eighth * 6 => 1,
        () => 0,
    };
    if let Some(shedding) = SHEDDING.get_ptr_mut(0)
        && levels(shedding).1 != level
    {
        // SAFETY: a live map value; whoever writes last was right just now.
        unsafe { (&raw mut (*shedding).filled).write_volatile(level) };
    }
    level
}

#[inline(always)]
fn levels(shedding: *mut Shedding) -> (u32, u32) {
    // SAFETY: a live map value; volatile, as others write it.
    unsafe {
        (
            (&raw const (*shedding).asked).read_volatile(),
            (&raw const (*shedding).filled).read_volatile(),
        )
    }
}
