//! How much one process, or one cgroup, may have told of: who scans ports, or forks without end, does not drown
//! the host.

use aya_ebpf::maps::LruHashMap;
use wanglou_sensor_common::LIMIT_WINDOW_NS;

use crate::emit;
use crate::kernel::{Owner, Task};
use crate::maps::{BEGUN_BY_CGROUP, BEGUN_BY_PROCESS, BEGUN_HERE};
use crate::maps::{PROCESS_EVENTS_BY_CGROUP, PROCESS_EVENTS_HERE, setting};

const BPF_ANY: u64 = 0;

/// What has begun in a stretch of time.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Window {
    /// Which stretch: the boot clock's time in lengths of [`LIMIT_WINDOW_NS`].
    number: u64,
    begun: u64,
}

/// Counts something that an owner begins, and says whether that is more than its share. Whose it is is
/// looked at only where much begins.
#[inline(always)]
pub fn is_over(owner: &Owner) -> bool {
    let (of_process, of_cgroup) = (setting!(process_limit), setting!(cgroup_limit));
    if of_process == 0 && of_cgroup == 0 {
        return false;
    }
    let window = emit::now() / LIMIT_WINDOW_NS;
    let Some(here) = BEGUN_HERE.get_ptr_mut(0) else { return false };
    if count(here, window) <= setting!(quiet_limit).into() || owner.pid == 0 {
        return false;
    }
    if of_process != 0 && count_in(&BEGUN_BY_PROCESS, owner.pid, window) > of_process.into() {
        return true;
    }
    of_cgroup != 0 && count_in(&BEGUN_BY_CGROUP, owner.cgroup, window) > of_cgroup.into()
}

/// Counts something that a process does, and says whether that is more than its cgroup's share. Which that is
/// is looked at only where much is done.
#[inline(always)]
pub fn is_too_busy(task: Task) -> bool {
    let limit = setting!(process_events_limit);
    if limit == 0 {
        return false;
    }
    let window = emit::now() / LIMIT_WINDOW_NS;
    let Some(here) = PROCESS_EVENTS_HERE.get_ptr_mut(0) else { return false };
    count(here, window) > setting!(quiet_process_events).into()
        && count_in(&PROCESS_EVENTS_BY_CGROUP, task.cgroup_id(), window) > limit.into()
}

#[inline(always)]
fn count_in<K: Copy>(windows: &LruHashMap<K, Window>, key: K, number: u64) -> u64 {
    if let Some(window) = windows.get_ptr_mut(key) {
        return count(window, number);
    }
    let _ = windows.insert(key, Window { number, begun: 1 }, BPF_ANY);
    1
}

#[inline(always)]
fn count(window: *mut Window, number: u64) -> u64 {
    // SAFETY: a live map value; at its edge two CPUs may both begin the stretch, which costs a few.
    unsafe {
        if (&raw const (*window).number).read_volatile() != number {
            (&raw mut (*window).number).write_volatile(number);
            (&raw mut (*window).begun).write_volatile(0);
        }
        emit::add(&raw mut (*window).begun, 1);
        (&raw const (*window).begun).read_volatile()
    }
}
