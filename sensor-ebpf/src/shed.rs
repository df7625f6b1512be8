//! What is given up while not all can be told of: as userspace asks for, and as the ring fills up.

use aya_ebpf::helpers::generated::bpf_ringbuf_query;
use wanglou_sensor_common::RING_PARTS;
use wanglou_sensor_common::counters::Stream;

use crate::maps::{EVENTS, SHEDDING, setting};

const BPF_RB_AVAIL_DATA: u64 = 0;

/// Whether events of a stream are given up now.
#[inline(always)]
pub fn is_given_up(stream: Stream) -> bool {
    let Some(shedding) = SHEDDING.get_ptr_mut(0) else { return false };
    // SAFETY: a live map value; volatile, as others write it.
    let (asked, filled) = unsafe {
        (
            (&raw const (*shedding).asked[stream.group()]).read_volatile(),
            (&raw const (*shedding).filled).read_volatile(),
        )
    };
    if stream.worth() < asked {
        return true;
    }
    // The reader may have caught up since somebody looked.
    filled >= stream.given_up_at() && look(waiting()) >= stream.given_up_at()
}

/// Whether the reader sleeps; from now on it does not.
#[inline(always)]
pub fn wakes_the_reader() -> bool {
    let Some(shedding) = SHEDDING.get_ptr_mut(0) else { return false };
    // SAFETY: a live map value; volatile, as others write it. Two may wake it.
    unsafe {
        let sleeps = &raw mut (*shedding).sleeps;
        if sleeps.read_volatile() == 0 {
            return false;
        }
        sleeps.write_volatile(0);
    }
    true
}

/// Bytes that wait in the ring.
#[inline(always)]
pub fn waiting() -> u64 {
    // SAFETY: the map is a ring buffer.
    unsafe { bpf_ringbuf_query((&raw const EVENTS).cast_mut().cast(), BPF_RB_AVAIL_DATA) }
}

/// Notes how far so many waiting bytes fill the ring, in parts. Not as a level: each level would be another
/// state of the verifier's at whatever comes after.
#[inline(always)]
pub fn look(waiting: u64) -> u32 {
    let filled = (waiting * u64::from(RING_PARTS) / u64::from(setting!(ring_bytes))) as u32;
    if let Some(shedding) = SHEDDING.get_ptr_mut(0) {
        // SAFETY: a live map value; whoever writes last was right just now.
        unsafe {
            let place = &raw mut (*shedding).filled;
            if place.read_volatile() != filled {
                place.write_volatile(filled);
            }
        }
    }
    filled
}
