//! The process that something belongs to. By reads at addresses, as not every program gets a typed
//! pointer to the current task.

use aya_ebpf::helpers::generated::{
    bpf_get_current_cgroup_id, bpf_get_current_pid_tgid, bpf_get_current_task,
    bpf_get_current_uid_gid,
};
use wanglou_sensor_common::ABSENT;

use super::{Pointer, Task, probe, probe_member};
use crate::filter;
use crate::maps::setting;

/// A process, and what rules say of it.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Owner {
    /// Thread group id.
    pub pid: u32,
    /// Keeps the layout free of holes.
    reserved: u32,
    /// Boot-clock start of its leader, ns.
    pub start: u64,
    /// cgroup id.
    pub cgroup: u64,
    /// The rules that hold for whatever it does.
    pub rules: u64,
}

impl Owner {
    /// Nobody knows.
    #[inline(always)]
    pub fn unknown() -> Self {
        Self { pid: 0, reserved: 0, start: 0, cgroup: 0, rules: filter::rules_of_nobody() }
    }

    /// Of the current task.
    #[inline(always)]
    pub fn current() -> Self {
        // SAFETY: helpers without arguments.
        let (task, uid) = unsafe { (bpf_get_current_task(), bpf_get_current_uid_gid() as u32) };
        let leader: u64 = probe_member(task, offset!(task_group_leader));
        Self {
            pid: current_tgid(),
            reserved: 0,
            start: probe_member(leader, offset!(task_start_boottime)),
            cgroup: current_cgroup(),
            rules: rules(current_tgid(), uid, task),
        }
    }

    /// Of a task that something else led to.
    #[inline(always)]
    pub fn of(task: Task) -> Self {
        Self {
            pid: task.tgid(),
            reserved: 0,
            start: task.group_leader().start_boottime(),
            cgroup: task.cgroup_id(),
            rules: rules(task.tgid(), task.ids().uid, task.0 as u64),
        }
    }
}

#[inline(always)]
fn rules(pid: u32, uid: u32, task: u64) -> u64 {
    if filter::asks_for_owners() { filter::rules_of(pid, uid, cgroup_of(task)) } else { 0 }
}

/// Thread group id of the current task.
#[inline(always)]
fn current_tgid() -> u32 {
    // SAFETY: a helper without arguments.
    (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32
}

/// cgroup id of the current task.
#[inline(always)]
fn current_cgroup() -> u64 {
    if setting!(cgroup_subsys) == ABSENT {
        // SAFETY: a helper without arguments.
        return unsafe { bpf_get_current_cgroup_id() };
    }
    // SAFETY: as above.
    cgroup_id_at(cgroup_of(unsafe { bpf_get_current_task() }))
}

/// The `struct kernfs_node` of a task's cgroup, 0 where there is none.
#[inline(always)]
fn cgroup_of(task: u64) -> u64 {
    let css_set: u64 = probe_member(task, offset!(task_cgroups));
    let subsys = setting!(cgroup_subsys);
    let cgroup: u64 = if subsys == ABSENT {
        probe_member(css_set, offset!(css_set_dfl_cgrp))
    } else if offset!(css_set_subsys) == ABSENT {
        0
    } else {
        let place = u64::from(offset!(css_set_subsys));
        let css = probe(css_set + place + u64::from(subsys) * size_of::<Pointer>() as u64);
        probe_member(css, offset!(css_cgroup))
    };
    if cgroup == 0 { 0 } else { probe_member(cgroup, offset!(cgroup_kn)) }
}

/// The id of the cgroup whose `struct kernfs_node` is at an address.
#[inline(always)]
pub fn cgroup_id_at(node: u64) -> u64 {
    probe_member(node, offset!(kernfs_node_id))
}

/// The node above it, 0 at the root. The member has another name since 6.15.
#[inline(always)]
pub fn cgroup_above(node: u64) -> u64 {
    if offset!(kernfs_node_parent) != ABSENT {
        return probe_member(node, offset!(kernfs_node_parent));
    }
    probe_member(node, offset!(kernfs_node_rcu_parent))
}
