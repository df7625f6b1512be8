//! Which connections are told of: a list of rules of which the first that holds decides. Whose a
//! connection is is asked while its process is at work, where it leads is asked of its ends.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use aya_ebpf::maps::lpm_trie::Key;
use wanglou_sensor_common::EXECUTABLE_MAX;
use wanglou_sensor_common::event::Tuple;

use crate::kernel::{self, Mapped as _, Owner};
use crate::maps::{ADDRESS_RULES, CGROUP_RULES, EXECUTABLE_RULES, PORT_RULES, PROCESS_RULES};
use crate::maps::{USER_RULES, rules, setting};
use crate::path;
use crate::scratch::{PATHS, Slot};

/// cgroups above one another that are looked at, at most.
const CGROUP_DEPTH: usize = 16;
const BPF_ANY: u64 = 0;

/// A key of [`EXECUTABLE_RULES`].
pub type ExecutableKey = Key<[u8; EXECUTABLE_MAX]>;

/// Which way a connection goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Egress,
    Ingress,
    Listen,
}

/// The rules that hold for whatever a process does.
#[inline(always)]
pub fn rules_of(pid: u32, uid: u32, cgroup: u64) -> u64 {
    of_user(uid) & of_cgroup(cgroup) & of_process(pid)
}

/// The rules that hold if nobody knows whose it is.
#[inline(always)]
pub fn rules_of_nobody() -> u64 {
    rules!(any_user) & rules!(any_cgroup) & rules!(any_executable)
}

/// Whether what rules say of a process matters.
#[inline(always)]
pub fn asks_for_owners() -> bool {
    rules_of_nobody() != rules!(all)
}

/// Whether this is not to be told of.
#[inline(always)]
pub fn drops(tuple: &Tuple, direction: Direction, owner: &Owner) -> bool {
    if owner.pid != 0 && owner.pid == setting!(sensor_pid) {
        return true;
    }
    if rules!(all) == 0 {
        return false;
    }
    let far = match direction {
        Direction::Listen => tuple.mapped_local(),
        _ => tuple.mapped_remote(),
    };
    let (port, of_direction) = match direction {
        Direction::Egress => (tuple.remote_port, rules!(egress)),
        Direction::Ingress => (tuple.local_port, rules!(ingress)),
        Direction::Listen => (tuple.local_port, rules!(listen)),
    };
    let owner = if asks_for_owners() { owner.rules } else { rules!(all) };
    let hold = owner & of_direction & of_address(far) & of_port(port);
    let first = hold & hold.wrapping_neg();
    first & rules!(drop) != 0
}

#[inline(always)]
fn of_address(address: [u32; 4]) -> u64 {
    if rules!(any_address) == rules!(all) {
        return rules!(all);
    }
    ADDRESS_RULES.get(Key::new(128, address)).copied().unwrap_or(rules!(any_address))
}

#[inline(always)]
fn of_port(port: u16) -> u64 {
    if rules!(any_port) == rules!(all) {
        return rules!(all);
    }
    PORT_RULES.get(port.into()).copied().unwrap_or(rules!(any_port))
}

#[inline(always)]
fn of_user(uid: u32) -> u64 {
    if rules!(any_user) == rules!(all) {
        return rules!(all);
    }
    // SAFETY: the loader alone writes it, before there are programs.
    unsafe { USER_RULES.get(uid) }.copied().unwrap_or(rules!(any_user))
}

/// Those that name the cgroup, or one that it lies in.
#[inline(always)]
fn of_cgroup(mut node: u64) -> u64 {
    let mut hold = rules!(any_cgroup);
    if hold == rules!(all) {
        return hold;
    }
    for _ in 0..CGROUP_DEPTH {
        if node == 0 {
            break;
        }
        // SAFETY: as above.
        if let Some(rules) = unsafe { CGROUP_RULES.get(kernel::cgroup_id_at(node)) } {
            hold |= rules;
        }
        node = kernel::cgroup_above(node);
    }
    hold
}

#[inline(always)]
fn of_process(pid: u32) -> u64 {
    if rules!(any_executable) == rules!(all) {
        return rules!(all);
    }
    // SAFETY: a copy; entries are replaced, not written.
    unsafe { PROCESS_RULES.get(pid) }.copied().unwrap_or(rules!(any_executable))
}

/// A process runs the file whose path has just been written to the slot: its names from the last to
/// the first, each ended by a NUL. One more NUL tells a whole path from its last names.
#[inline(always)]
pub fn runs(pid: u32, slot: *mut Slot) {
    if rules!(any_executable) == rules!(all) {
        return;
    }
    let len = path::filled(slot, PATHS - 1);
    // SAFETY: inside `variable`, which goes on behind the paths; what comes next is written over it.
    unsafe { (&raw mut (*slot).variable).cast::<u8>().add(len).write(0) };
    // SAFETY: a field of a live slot, and as many bytes of its variable part.
    let rules = unsafe {
        let key = &raw mut (*slot).executable;
        let bits = (len + 1).min(EXECUTABLE_MAX) * 8;
        (&raw mut (*key).prefix_len).write_unaligned(bits as u32);
        let data = (&raw mut (*key).data).cast();
        bpf_probe_read_kernel(data, EXECUTABLE_MAX as u32, (&raw const (*slot).variable).cast());
        EXECUTABLE_RULES.get(&*key)
    };
    // Without room it counts as any other process.
    let _ = match rules {
        Some(rules) => PROCESS_RULES.insert(pid, rules, BPF_ANY),
        None => PROCESS_RULES.remove(pid),
    };
}

/// A new process runs what its creator does.
#[inline(always)]
pub fn forked(creator: u32, child: u32) {
    if rules!(any_executable) == rules!(all) {
        return;
    }
    // SAFETY: as in `of_process`.
    let _ = match unsafe { PROCESS_RULES.get(creator) } {
        Some(rules) => PROCESS_RULES.insert(child, rules, BPF_ANY),
        // Whoever had the id before may have ended unseen.
        None => PROCESS_RULES.remove(child),
    };
}

/// A process is over.
#[inline(always)]
pub fn ended(pid: u32) {
    if rules!(any_executable) != rules!(all) {
        let _ = PROCESS_RULES.remove(pid);
    }
}
