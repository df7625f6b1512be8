//! The only reads of kernel structures.
//!
//! A structure that a tracepoint hands us, or that is reached from it by pointers, is read by plain
//! loads: as the offset is a constant to the verifier, it knows each pointer's type, and a load
//! costs a nanosecond. Where only an address is known (`container_of`, a walk whose state was
//! stored), `bpf_probe_read_kernel` does it for 24 ns.

use core::arch::asm;
use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use wanglou_sensor_common::ABSENT;

/// A constant to the verifier: the map behind it is read-only and frozen.
macro_rules! offset {
    ($field:ident) => {
        // SAFETY: a field of a static; volatile, as the loader sets it after compilation.
        unsafe {
            let offsets =
                (&raw const $crate::maps::OFFSETS).cast::<wanglou_sensor_common::Offsets>();
            (&raw const (*offsets).$field).read_volatile()
        }
    };
}

/// Reads the member at an offset, `None` if this kernel has no such member.
macro_rules! load {
    ($base:expr, $field:ident as $type:ty) => {{
        let offset = offset!($field);
        if offset == wanglou_sensor_common::ABSENT {
            None
        } else {
            // SAFETY: the verifier knows the structure at `base` and checks offset and size; a
            // fault reads as zero.
            Some(unsafe { $base.byte_add(offset as usize).cast::<$type>().read_volatile() })
        }
    }};
}

type Pointer = *const c_void;

/// Follows a pointer; `None` for a null one.
macro_rules! follow {
    ($base:expr, $field:ident) => {
        load!($base, $field as $crate::kernel::Pointer).filter(|pointer| !pointer.is_null())
    };
}

mod cgroup;
mod owner;
mod path;
mod socket;
mod task;

pub use cgroup::Cgroup;
pub use owner::{Owner, cgroup_above, cgroup_id_at};
pub use path::{Location, entry, is_unhashed, mount_root, mounted_on};
pub use socket::{Mapped, Socket, Tcp, is_connected_at, is_loopback, mapped};
pub use task::{Binprm, Mm, Task, ids_at};

/// The same value, of which the compiler knows no more. Between two branches that load from the context
/// it keeps the loads apart: merged, they would be one at an address that is computed, which kernels
/// before 5.13 refuse.
#[inline(always)]
pub fn opaque(mut value: u64) -> u64 {
    // SAFETY: a register is moved to itself.
    unsafe { asm!("{0} = {0}", inout(reg) value) }
    value
}

#[inline(always)]
fn probe_member<T: Copy + Default>(base: u64, offset: u32) -> T {
    if offset == ABSENT { T::default() } else { probe(base + u64::from(offset)) }
}

/// Reads from an address that the verifier knows nothing of; a bad one gives the default.
#[inline(always)]
fn probe<T: Copy + Default>(address: u64) -> T {
    let mut value = T::default();
    let size = size_of::<T>() as u32;
    // SAFETY: `value` has `size` bytes; the helper zeroes them where it cannot read.
    unsafe { bpf_probe_read_kernel((&raw mut value).cast(), size, address as *const _) };
    value
}
