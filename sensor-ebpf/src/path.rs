//! Walks from a directory entry up to the root of the process, across mounts.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use wanglou_sensor_common::{PATH_DEPTH, PATH_MAX};

use crate::kernel::{self, Location};
use crate::scratch::{PATHS, Slot};

/// Bytes of a name at most (`NAME_MAX`), and one for its NUL.
const NAME: usize = 256;

/// The state of a walk, and how far the slot's variable part is filled. Kept in map memory and read
/// back at each step: what is in a register is another state to the verifier for every way that led
/// there, and their number doubles with every step.
#[repr(C)]
pub struct Walk {
    dentry: u64,
    mnt: u64,
    mnt_root: u64,
    root_dentry: u64,
    root_mnt: u64,
    /// Bytes of the variable part that are filled.
    offset: u64,
    /// Where this walk must not begin another name.
    end: u64,
    state: u64,
    /// What was read last: on the stack it would be one more thing that differs from way to way.
    read: [u64; 3],
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

/// Empties the variable part.
#[inline(always)]
pub fn reset(slot: *mut Slot) {
    set!(slot, offset, 0);
}

/// Bytes of the variable part that are filled, at most `most`.
#[inline(always)]
pub fn filled(slot: *mut Slot, most: usize) -> usize {
    (get!(slot, offset) as usize).min(most)
}

/// Says that the variable part is filled up to `offset`.
#[inline(always)]
pub fn set_filled(slot: *mut Slot, offset: usize) {
    set!(slot, offset, offset as u64);
}

/// Appends the names from `from` up to `root`, each ended by a NUL.
#[inline(always)]
pub fn write(slot: *mut Slot, from: Location, root: Location) -> Ended {
    set!(slot, dentry, from.dentry);
    set!(slot, mnt, from.mnt);
    set!(slot, mnt_root, kernel::mount_root(from.mnt, read(slot)));
    set!(slot, root_dentry, root.dentry);
    set!(slot, root_mnt, root.mnt);
    let end = get!(slot, offset) + (PATH_MAX - NAME) as u64;
    set!(slot, end, end);
    set!(slot, state, GOING_ON);
    for _ in 0..PATH_DEPTH {
        if get!(slot, state) != GOING_ON || get!(slot, offset) > get!(slot, end) {
            break;
        }
        step(slot);
    }
    match get!(slot, state) {
        AT_ROOT => Ended::AtRoot,
        DETACHED => Ended::Detached,
        _ => Ended::Cut,
    }
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
        match kernel::mounted_on(mnt, read(slot)) {
            Some(above) => {
                set!(slot, dentry, above.dentry);
                set!(slot, mnt, above.mnt);
                set!(slot, mnt_root, kernel::mount_root(above.mnt, read(slot)));
            }
            None => set!(slot, state, AT_ROOT),
        }
        return;
    }
    let entry = kernel::entry(dentry, read(slot));
    write_name(slot, entry.name, entry.len);
    if entry.parent == dentry {
        set!(slot, state, DETACHED);
        return;
    }
    set!(slot, dentry, entry.parent);
}

/// Room to read into.
#[inline(always)]
fn read(slot: *mut Slot) -> *mut [u64; 3] {
    // SAFETY: a field of a live slot.
    unsafe { &raw mut (*slot).walk.read }
}

#[inline(always)]
fn write_name(slot: *mut Slot, name: u64, len: u32) {
    let offset = filled(slot, PATHS - NAME);
    let len = (len as usize).min(NAME - 1);
    // SAFETY: `offset + len` is inside `variable`, as both are bounded just above.
    let target = unsafe { (&raw mut (*slot).variable).cast::<u8>().add(offset) };
    // SAFETY: `target` has room for `len` bytes; a bad `name` makes the helper fail.
    unsafe { bpf_probe_read_kernel(target.cast(), len as u32, name as *const _) };
    // SAFETY: `len` is below `NAME`.
    unsafe { target.add(len).write(0) };
    set_filled(slot, offset + len + 1);
}
