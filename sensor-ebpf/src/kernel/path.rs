//! Directory entries and mounts, of which only addresses are known.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use wanglou_sensor_common::ABSENT;

use super::probe_member;

/// A place in a file system: a directory entry under a mount.
#[derive(Clone, Copy)]
pub struct Location {
    pub dentry: u64,
    pub mnt: u64,
}

/// A directory entry as the walk needs it.
pub struct Entry {
    pub parent: u64,
    pub name: u64,
    pub len: u32,
}

/// Room in map memory for a read of the path walk.
type Room = *mut [u64; 3];

/// The root entry of the `struct vfsmount` at an address.
#[inline(always)]
pub fn mount_root(mnt: u64, room: Room) -> u64 {
    read_word(mnt, offset!(vfsmount_root), room)
}

/// Where the `struct vfsmount` at an address is mounted; `None` for the top of a namespace.
#[inline(always)]
pub fn mounted_on(mnt: u64, room: Room) -> Option<Location> {
    let mount = mnt - u64::from(offset!(mount_mnt));
    let above = read_word(mount, offset!(mount_parent), room);
    if above == mount || above == 0 {
        return None;
    }
    let dentry = read_word(mount, offset!(mount_mountpoint), room);
    Some(Location { dentry, mnt: above + u64::from(offset!(mount_mnt)) })
}

/// Parent and name of the `struct dentry` at an address.
#[inline(always)]
pub fn entry(dentry: u64, room: Room) -> Entry {
    let parent = offset!(dentry_parent);
    // `{ d_parent; d_name { hash; len; name; } }` lie together on every kernel so far: one read.
    if offset!(dentry_name_len) == parent + 12 && offset!(dentry_name) == parent + 16 {
        read_into(dentry + u64::from(parent), room, size_of::<[u64; 3]>());
        // SAFETY: room in a live slot.
        let [parent, hash_len, name] = unsafe { room.read_volatile() };
        return Entry { parent, name, len: (hash_len >> 32) as u32 };
    }
    Entry {
        parent: read_word(dentry, parent, room),
        name: read_word(dentry, offset!(dentry_name), room),
        len: read_word(dentry, offset!(dentry_name_len), room) as u32,
    }
}

#[inline(always)]
fn read_word(base: u64, offset: u32, room: Room) -> u64 {
    if offset == ABSENT {
        return 0;
    }
    read_into(base + u64::from(offset), room, size_of::<u64>());
    // SAFETY: room in a live slot.
    unsafe { room.cast::<u64>().read_volatile() }
}

/// Reads `bytes` of what is at an address; the helper zeroes the room where it cannot.
#[inline(always)]
fn read_into(address: u64, room: Room, bytes: usize) {
    // SAFETY: no read is larger than the room.
    unsafe { bpf_probe_read_kernel(room.cast(), bytes as u32, address as *const _) };
}

/// The entry at an address is in no directory any more (`d_unhashed`, include/linux/dcache.h).
#[inline(always)]
pub fn is_unhashed(dentry: u64) -> bool {
    offset!(dentry_hash_pprev) != ABSENT
        && probe_member::<u64>(dentry, offset!(dentry_hash_pprev)) == 0
}
