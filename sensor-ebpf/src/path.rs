//! Walks from a directory entry up to the root of the process, across mounts.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use wanglou_sensor_common::{PATH_DEPTH, PATH_MAX};

use crate::kernel::{self, Location};
use crate::scratch::{Slot, VARIABLE};

/// Bytes of a name at most (`NAME_MAX`), and one for its NUL.
const NAME: usize = 256;

/// The state of a walk. Kept in map memory and read back at each step: in registers the number of
/// states that the verifier has to look at doubles with every step.
#[repr(C)]
pub struct Walk {
    dentry: u64,
    mnt: u64,
    mnt_root: u64,
    root_dentry: u64,
    root_mnt: u64,
    /// Bytes written so far, within the slot's variable part.
    offset: u64,
    state: u64,
}

const GOING_ON: u64 = 0;
const AT_ROOT: u64 = 1;
const DETACHED: u64 = 2;

/// How a walk ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// At the root of the process, or of its mount namespace.
    AtRoot,
    /// At an entry that hangs in no tree.
    Detached,
    /// Before the root: the path is too deep or too long.
    Cut,
}

macro_rules! get {
    ($slot:expr, $field:ident) => {
        // SAFETY: a field of a live slot; volatile, or it would be kept in a register.
        unsafe { (&raw const (*$slot).walk.$field).read_volatile() }
    };
}
macro_rules! set {
    ($slot:expr, $field:ident, $value:expr) => {
        // SAFETY: as above.
        unsafe { (&raw mut (*$slot).walk.$field).write_volatile($value) }
    };
}

/// Writes the names from `from` up to `root` at `offset` of the variable part, each ended by a NUL.
/// Returns the offset after them and how the walk ended.
#[inline(always)]
pub fn write(slot: *mut Slot, from: Location, root: Location, offset: u64) -> (u64, Ended) {
    set!(slot, dentry, from.dentry);
    set!(slot, mnt, from.mnt);
    set!(slot, mnt_root, kernel::mount_root(from.mnt));
    set!(slot, root_dentry, root.dentry);
    set!(slot, root_mnt, root.mnt);
    set!(slot, offset, offset);
    set!(slot, state, GOING_ON);
    let end = offset + PATH_MAX as u64 - NAME as u64;
    for _ in 0..PATH_DEPTH {
        if get!(slot, state) != GOING_ON || get!(slot, offset) > end {
            break;
        }
        step(slot);
    }
    let ended = match get!(slot, state) {
        AT_ROOT => Ended::AtRoot,
        DETACHED => Ended::Detached,
        _ => Ended::Cut,
    };
    (get!(slot, offset), ended)
}

/// One name, or one mount.
#[inline(always)]
fn step(slot: *mut Slot) {
    let dentry = get!(slot, dentry);
    let mnt = get!(slot, mnt);
    if dentry == get!(slot, root_dentry) && mnt == get!(slot, root_mnt) {
        set!(slot, state, AT_ROOT);
        return;
    }
    if dentry == get!(slot, mnt_root) {
        match kernel::mounted_on(mnt) {
            Some(above) => {
                set!(slot, dentry, above.dentry);
                set!(slot, mnt, above.mnt);
                set!(slot, mnt_root, kernel::mount_root(above.mnt));
            }
            None => set!(slot, state, AT_ROOT),
        }
        return;
    }
    let entry = kernel::entry(dentry);
    write_name(slot, entry.name, entry.len);
    if entry.parent == dentry {
        set!(slot, state, DETACHED);
        return;
    }
    set!(slot, dentry, entry.parent);
}

#[inline(always)]
fn write_name(slot: *mut Slot, name: u64, len: u32) {
    let offset = (get!(slot, offset) as usize).min(VARIABLE - NAME);
    let len = (len as usize).min(NAME - 1);
    // SAFETY: `offset + len` is inside `variable`, as both are bounded just above.
    let target = unsafe { (&raw mut (*slot).variable).cast::<u8>().add(offset) };
    // SAFETY: `target` has room for `len` bytes; a bad `name` makes the helper fail.
    unsafe { bpf_probe_read_kernel(target.cast(), len as u32, name as *const _) };
    // SAFETY: `len` is below `NAME`.
    unsafe { target.add(len).write(0) };
    set!(slot, offset, (offset + len + 1) as u64);
}
