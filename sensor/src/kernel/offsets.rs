//! From the kernel's BTF to what the probes need to know of it.

use std::fs;

use wanglou_sensor_common::{ABSENT, MEMBERS, Offsets};
use zerocopy::FromBytes as _;

use super::btf::{Btf, Kind};

/// Looks up every member; one that this kernel lacks costs that member only.
pub(super) fn offsets(btf: &Btf<'_>) -> Offsets {
    let structures: Vec<_> =
        MEMBERS.iter().map(|member| (Kind::Struct, member.structure)).collect();
    let ids = btf.find(&structures);
    let table: Vec<u8> = MEMBERS
        .iter()
        .map(|member| {
            let id = ids.get(&(Kind::Struct, member.structure));
            id.and_then(|&id| btf.offset(id, member.path)).unwrap_or(ABSENT)
        })
        .flat_map(u32::to_ne_bytes)
        .collect();
    Offsets::read_from_bytes(&table).unwrap_or(Offsets::UNKNOWN)
}

/// Whether `sched_process_exit` says that the whole group is dead (6.16 and later).
pub(super) fn exit_tells_group_dead(btf: &Btf<'_>) -> bool {
    let tracepoint = (Kind::Typedef, "btf_trace_sched_process_exit");
    // The tracer's own argument, the task, and the flag.
    btf.find(&[tracepoint]).get(&tracepoint).and_then(|&id| btf.arguments(id)) == Some(3)
}

/// Number of arguments of a function, 0 where there is none of that name.
pub(super) fn arguments(btf: &Btf<'_>, name: &str) -> u32 {
    let function = (Kind::Function, name);
    let found = btf.find(&[function]).get(&function).and_then(|&id| btf.parameters(id));
    found.unwrap_or(0) as u32
}

/// Index of the v1 controller whose hierarchy names containers, [`ABSENT`] where that is cgroup2.
///
/// On a hybrid hierarchy every task is in the root of cgroup2, and container runtimes use v1.
pub(super) fn cgroup_subsys(btf: &Btf<'_>) -> u32 {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let on_v1 = |controller: &str| {
        own.lines()
            .filter_map(|line| line.split(':').nth(1))
            .any(|list| list.split(',').any(|name| name == controller))
    };
    let ids = (Kind::Enum, "cgroup_subsys_id");
    let found = btf.find(&[ids]);
    let Some(&id) = found.get(&ids) else { return ABSENT };
    [("pids", "pids_cgrp_id"), ("memory", "memory_cgrp_id")]
        .into_iter()
        .find(|(controller, _)| on_v1(controller))
        .and_then(|(_, enumerator)| btf.enumerator(id, enumerator))
        .unwrap_or(ABSENT)
}
