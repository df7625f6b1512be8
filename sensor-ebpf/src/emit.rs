//! The one way into the ring: it numbers, counts, and wakes the reader in batches.

use core::arch::asm;

use aya_ebpf::helpers::generated::{
    bpf_get_smp_processor_id, bpf_ktime_get_boot_ns, bpf_ringbuf_output,
};
use wanglou_sensor_common::counters::{Counters, Stream};
use wanglou_sensor_common::{Header, Kind, LAYOUT_VERSION};

use crate::kernel::{Owner, Task};
use crate::maps::{COUNTERS, EVENTS, setting};
use crate::{limit, shed};

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
    pub fn seen(stream: Stream) -> Option<Self> {
        let (counters, cpu) = counters(stream)?;
        // SAFETY: a live map value.
        let seq = unsafe {
            increment(&raw mut (*counters).seen);
            (&raw const (*counters).seen).read_volatile()
        };
        Some(Self { counters, cpu, seq })
    }

    /// The same, unless it is one of those that are given up now.
    #[inline(always)]
    pub fn unless_shed(stream: Stream) -> Option<Self> {
        let event = Self::seen(stream)?;
        if shed::is_given_up(stream) {
            // SAFETY: as in `seen`.
            unsafe { increment(&raw mut (*event.counters).shed) };
            return None;
        }
        Some(event)
    }

    /// The same, unless its cgroup has done more than its share.
    #[inline(always)]
    pub fn of_process(stream: Stream, task: Task) -> Option<Self> {
        let event = Self::unless_shed(stream)?;
        if limit::is_too_busy(task) {
            event.throttled();
            return None;
        }
        Some(event)
    }

    /// The header of this event's record.
    #[inline(always)]
    pub fn header(&self, kind: Kind, len: u32, task: Task) -> Header {
        header(kind, len, self.cpu, self.seq, task)
    }

    /// The header of a record about something that a process owns.
    #[inline(always)]
    pub fn header_of(&self, kind: Kind, len: u32, owner: Owner) -> Header {
        Header { cpu: self.cpu, seq: self.seq, ..header_of(kind, len, owner) }
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
        unsafe { increment(&raw mut (*self.counters).nested) }
    }

    /// Counts the event as lost, as there was no room to remember its socket.
    #[inline(always)]
    pub fn table_full(self) {
        // SAFETY: as in `seen`.
        unsafe { increment(&raw mut (*self.counters).table_full) }
    }

    /// Counts the event as one too many of its process or cgroup.
    #[inline(always)]
    pub fn throttled(self) {
        // SAFETY: as in `seen`.
        unsafe { increment(&raw mut (*self.counters).throttled) }
    }

    /// Sends a record of `len` bytes.
    #[inline(always)]
    pub fn send(self, record: *const u8, len: u32) {
        let ring = (&raw const EVENTS).cast_mut().cast();
        let flags = if shed::wakes_the_reader() {
            BPF_RB_FORCE_WAKEUP
        } else if self.seq % WAKE_EVERY == 0 || len > WAKE_LARGE {
            let waiting = shed::waiting();
            shed::look(waiting);
            if waiting >= u64::from(setting!(wake_bytes)) {
                BPF_RB_FORCE_WAKEUP
            } else {
                BPF_RB_NO_WAKEUP
            }
        } else {
            BPF_RB_NO_WAKEUP
        };
        // SAFETY: the verifier proves that `record` has `len` bytes.
        let sent = unsafe { bpf_ringbuf_output(ring, record.cast_mut().cast(), len.into(), flags) };
        let counters = self.counters;
        // SAFETY: as in `seen`.
        unsafe {
            increment(if sent == 0 {
                &raw mut (*counters).submitted
            } else if sent == -E2BIG {
                &raw mut (*counters).oversized
            } else {
                &raw mut (*counters).ring_full
            });
        }
    }
}

/// Sends a record that is no event: a lost one is made up for, and nothing is counted.
#[inline(always)]
pub fn send_unnumbered(record: *const u8, len: u32) {
    let ring = (&raw const EVENTS).cast_mut().cast();
    let record = record.cast_mut().cast();
    // SAFETY: the verifier proves that `record` has `len` bytes.
    unsafe { bpf_ringbuf_output(ring, record, len.into(), BPF_RB_NO_WAKEUP) };
}

/// Counts an event that waits for something to be known of it.
#[inline(always)]
pub fn waits(stream: Stream) {
    if let Some((counters, _)) = counters(stream) {
        // SAFETY: a live map value.
        unsafe { increment(&raw mut (*counters).waiting) }
    }
}

/// Counts one that waits no more.
#[inline(always)]
pub fn settled(stream: Stream) {
    if let Some((counters, _)) = counters(stream) {
        // SAFETY: a live map value.
        unsafe { increment(&raw mut (*counters).settled) }
    }
}

/// Boot-clock time, ns.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// The CPU that we run on.
#[inline(always)]
pub fn cpu() -> u32 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_get_smp_processor_id() }
}

/// The counters of a stream on this CPU, and which that is.
#[inline(always)]
fn counters(stream: Stream) -> Option<(*mut Counters, u32)> {
    let cpu = cpu();
    let index = cpu * Stream::ALL.len() as u32 + stream as u32;
    Some((COUNTERS.get_ptr_mut(index)?, cpu))
}

/// Adds one.
///
/// # Safety
///
/// `counter` must lie in a live map value.
#[inline(always)]
unsafe fn increment(counter: *mut u64) {
    // SAFETY: the caller's promise.
    unsafe { add(counter, 1) }
}

/// Adds, wrapping: atomically, as who interrupts us may add to the same. The instruction is as old as
/// BPF; Rust has it for this machine only so.
///
/// # Safety
///
/// `counter` must lie in a live map value.
#[inline(always)]
pub unsafe fn add(counter: *mut u64, more: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) counter, in(reg) more) }
}

/// The header of a record that nothing numbers, as an iterator writes it.
#[inline(always)]
pub fn header_of(kind: Kind, len: u32, owner: Owner) -> Header {
    Header {
        version: LAYOUT_VERSION,
        kind: kind as u16,
        len,
        cpu: 0,
        pid: owner.pid,
        seq: 0,
        time: now(),
        start: owner.start,
        cgroup: owner.cgroup,
    }
}

/// The same of one about a cgroup, whoever made it.
#[inline(always)]
pub fn header_of_cgroup(kind: Kind, len: u32, cgroup: u64) -> Header {
    Header { cgroup, ..header_of(kind, len, Owner::unknown()) }
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
        time: now(),
        start: leader.start_boottime(),
        cgroup: task.cgroup_id(),
    }
}
