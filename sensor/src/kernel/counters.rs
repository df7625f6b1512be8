//! The probes' counters, read as memory.

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use wanglou_sensor_common::counters::{Counters, Stream};

/// Counters of each [`Stream`], summed over all CPUs.
pub type Totals = [Counters; Stream::ALL.len()];

/// The counters' array, mapped.
#[derive(Debug)]
pub struct CounterMap {
    base: *const Counters,
    bytes: usize,
    rows: usize,
}

impl CounterMap {
    /// Maps the array of `cpus` times the number of streams; the descriptor is not needed after.
    pub fn map(fd: BorrowedFd<'_>, cpus: usize) -> io::Result<Self> {
        let rows = cpus * Stream::ALL.len();
        let bytes = rows * size_of::<Counters>();
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let base =
            unsafe { mmap(ptr::null_mut(), bytes, ProtFlags::READ, MapFlags::SHARED, fd, 0) }?;
        Ok(Self { base: base.cast_const().cast(), bytes, rows })
    }

    /// What the probes counted so far.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for row in 0..self.rows {
            // SAFETY: `rows` values lie behind `base`; volatile, as the probes write them.
            let on_cpu = unsafe { self.base.add(row).read_volatile() };
            let total = &mut totals[row % Stream::ALL.len()];
            total.seen += on_cpu.seen;
            total.submitted += on_cpu.submitted;
            total.ring_full += on_cpu.ring_full;
            total.oversized += on_cpu.oversized;
            total.nested += on_cpu.nested;
            total.table_full += on_cpu.table_full;
            total.throttled += on_cpu.throttled;
            total.shed += on_cpu.shed;
            total.waiting += on_cpu.waiting;
            total.settled += on_cpu.settled;
        }
        totals
    }
}

impl Drop for CounterMap {
    fn drop(&mut self) {
        // SAFETY: mapped by us with this length, and nothing borrows from it. A failure would only
        // leave the mapping behind.
        let _ = unsafe { munmap(self.base.cast_mut().cast(), self.bytes) };
    }
}

// SAFETY: the mapping belongs to this value alone, and the probes write it whoever reads it.
unsafe impl Send for CounterMap {}
