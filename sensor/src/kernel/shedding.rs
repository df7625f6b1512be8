//! What the probes are asked for, written as memory.

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use wanglou_sensor_common::{GROUPS, Shedding};

/// The map, mapped.
#[derive(Debug)]
pub(super) struct SheddingMap(*mut Shedding);

impl SheddingMap {
    /// Maps it; the descriptor is not needed after.
    pub(super) fn map(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let (bytes, access) = (size_of::<Shedding>(), ProtFlags::READ | ProtFlags::WRITE);
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let base = unsafe { mmap(ptr::null_mut(), bytes, access, MapFlags::SHARED, fd, 0) }?;
        Ok(Self(base.cast()))
    }

    /// Asks for a level of each group.
    pub(super) fn ask(&self, levels: [u32; GROUPS]) {
        // SAFETY: mapped for as long as this lives; volatile, as the probes read it.
        unsafe { (&raw mut (*self.0).asked).write_volatile(levels) };
    }

    /// Asks to be woken by the next record; what is on its way just now may not hear it.
    pub(super) fn wake_us(&self) {
        // SAFETY: as above.
        unsafe { (&raw mut (*self.0).sleeps).write_volatile(1) };
    }
}

impl Drop for SheddingMap {
    fn drop(&mut self) {
        // SAFETY: mapped by us with this length, and nothing borrows from it. A failure would only
        // leave the mapping behind.
        let _ = unsafe { munmap(self.0.cast(), size_of::<Shedding>()) };
    }
}
