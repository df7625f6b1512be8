//! The one way into the ring: it numbers, counts, and wakes the reader in batches.

use aya_ebpf::helpers::generated::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns};
use aya_ebpf::helpers::generated::{bpf_ringbuf_output, bpf_ringbuf_query};
use wanglou_sensor_common::counters::{Counters, Program};
use wanglou_sensor_common::{Header, Kind, LAYOUT_VERSION};

use crate::kernel::Task;
use crate::maps::{COUNTERS, EVENTS, SETTINGS};

const BPF_RB_AVAIL_DATA: u64 = 0;
const BPF_RB_NO_WAKEUP: u64 = 1;
const BPF_RB_FORCE_WAKEUP: u64 = 2;
const E2BIG: i64 = 7;

/// The fill of the ring is looked at once in so many records: asking costs half a record.
const WAKE_EVERY: u64 = 16;
/// … and after each record that is larger than this.
const WAKE_LARGE: u32 = 4096;

/// An event that was seen and now has to be sent or counted as lost.
pub struct Event {
    counters: *mut Counters,
    cpu: u32,
    seq: u64,
}

impl Event {
    /// Counts an event as seen.
    #[inline(always)]
    pub fn seen(program: Program) -> Option<Self> {
        // SAFETY: a helper without arguments.
        let cpu = unsafe { bpf_get_smp_processor_id() };
        let index = cpu * Program::ALL.len() as u32 + program as u32;
        let counters = COUNTERS.get_ptr_mut(index)?;
        // SAFETY: a live map value that only this program on this CPU writes.
        let seq = unsafe {
            (*counters).seen += 1;
            (*counters).seen
        };
        Some(Self { counters, cpu, seq })
    }

    /// The header of this event's record.
    #[inline(always)]
    pub fn header(&self, kind: Kind, len: u32, task: Task) -> Header {
        header(kind, len, self.cpu, self.seq, task)
    }

    /// The CPU that saw it.
    #[inline(always)]
    pub fn cpu(&self) -> u32 {
        self.cpu
    }

    /// Counts the event as lost, as there was no scratch space.
    #[inline(always)]
    pub fn nested(self) {
        // SAFETY: as in `seen`.
        unsafe { (*self.counters).nested += 1 }
    }

    /// Sends a record of `len` bytes.
    #[inline(always)]
    pub fn send(self, record: *const u8, len: u32) {
        let ring = (&raw const EVENTS).cast_mut().cast();
        let flags = if self.seq % WAKE_EVERY == 0 || len > WAKE_LARGE {
            // SAFETY: `ring` is a ring buffer map.
            let waiting = unsafe { bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) };
            if waiting >= u64::from(SETTINGS.load().wake_bytes) {
                BPF_RB_FORCE_WAKEUP
            } else {
                BPF_RB_NO_WAKEUP
            }
        } else {
            BPF_RB_NO_WAKEUP
        };
        // SAFETY: the verifier proves that `record` has `len` bytes.
        let sent = unsafe { bpf_ringbuf_output(ring, record.cast_mut().cast(), len.into(), flags) };
        // SAFETY: as in `seen`.
        let counters = unsafe { &mut *self.counters };
        if sent == 0 {
            counters.submitted += 1;
        } else if sent == -E2BIG {
            counters.oversized += 1;
        } else {
            counters.ring_full += 1;
        }
    }
}

/// A header at the present time.
#[inline(always)]
pub fn header(kind: Kind, len: u32, cpu: u32, seq: u64, task: Task) -> Header {
    let leader = task.group_leader();
    Header {
        version: LAYOUT_VERSION,
        kind: kind as u16,
        len,
        cpu,
        pid: task.tgid(),
        seq,
        // SAFETY: a helper without arguments.
        time: unsafe { bpf_ktime_get_boot_ns() },
        start: leader.start_boottime(),
        cgroup: task.cgroup_id(),
    }
}
