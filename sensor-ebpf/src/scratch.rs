//! Room to put a record together: far more than the 512 bytes of stack.

use wanglou_sensor_common::event::Exec;
use wanglou_sensor_common::{ARGS_LARGE, ARGS_MAX, Header, PATH_MAX};

use crate::filter::ExecutableKey;
use crate::maps::{LARGE_SCRATCH, NESTING, SCRATCH, setting};
use crate::path::Walk;

/// Slots for each CPU: a probe, and one that interrupts it.
pub const LEVELS: u32 = 2;

/// Bytes of a record before its variable parts.
pub const FIXED: usize = size_of::<Header>() + size_of::<Exec>();
/// Bytes of the variable parts but for the arguments at most: two paths, a script's name.
pub const PATHS: usize = 3 * PATH_MAX;
/// Size of a slot for arguments of the usual length, in words.
pub const SMALL_WORDS: usize = (size_of::<Slot>() - ARGS_LARGE + ARGS_MAX) / size_of::<u64>();

/// A record and the state of the walk that fills it.
#[repr(C)]
pub struct Slot {
    /// State of the path walk; in memory, so that the verifier's states converge.
    pub walk: Walk,
    /// Room to look rules up by the executable.
    pub executable: ExecutableKey,
    /// The record's fixed part.
    pub header: Header,
    /// The fixed part of the body.
    pub exec: Exec,
    /// The variable parts; a small slot ends before the last of these bytes.
    pub variable: [u8; PATHS + ARGS_LARGE],
}

/// A slot that is given back when it goes out of scope.
pub struct Claim {
    pub slot: *mut Slot,
    nesting: *mut u32,
}

impl Claim {
    /// Takes a free slot of this CPU; `None` if a probe interrupted a probe too often.
    #[inline(always)]
    pub fn of_cpu(cpu: u32) -> Option<Self> {
        let nesting = NESTING.get_ptr_mut(0)?;
        // SAFETY: this CPU's own value; who interrupts us puts it back before we go on.
        let level = unsafe { nesting.read_volatile() };
        if level >= LEVELS {
            return None;
        }
        let index = cpu * LEVELS + level;
        let slot = if setting!(args_bytes) > ARGS_MAX as u32 {
            LARGE_SCRATCH.get_ptr_mut(index)?
        } else {
            SCRATCH.get_ptr_mut(index)?.cast()
        };
        // SAFETY: as above.
        unsafe { nesting.write_volatile(level + 1) };
        Some(Self { slot, nesting })
    }
}

impl Drop for Claim {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: as in `of_cpu`.
        unsafe { self.nesting.write_volatile(self.nesting.read_volatile() - 1) };
    }
}
