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

/// Controllers of v1 whose hierarchies name containers, the best first, and what the kernel calls them.
const CONTROLLERS: [(&str, &str); 2] = [("pids", "pids_cgrp_id"), ("memory", "memory_cgrp_id")];

/// Index of the v1 controller whose hierarchy names containers, [`ABSENT`] where that is cgroup2.
///
/// On a hybrid hierarchy every task is in the root of cgroup2, and container runtimes use v1.
pub(super) fn cgroup_subsys(btf: &Btf<'_>) -> u32 {
    let ids = (Kind::Enum, "cgroup_subsys_id");
    let found = btf.find(&[ids]);
    let (Some(&id), Some((_, enumerator))) = (found.get(&ids), on_v1()) else { return ABSENT };
    btf.enumerator(id, enumerator).unwrap_or(ABSENT)
}

/// The number of the hierarchy that names containers, where `subsys` is as above.
pub(super) fn cgroup_hierarchy(subsys: u32) -> u32 {
    const UNIFIED: u32 = 0;
    on_v1().filter(|_| subsys != ABSENT).map_or(UNIFIED, |(hierarchy, _)| hierarchy)
}

/// The v1 hierarchy of the best controller that has one: its number, and the enumerator of the controller.
fn on_v1() -> Option<(u32, &'static str)> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    CONTROLLERS.into_iter().find_map(|(controller, enumerator)| {
        own.lines().find_map(|line| {
            let (number, rest) = line.split_once(':')?;
            let mut list = rest.split(':').next()?.split(',');
            list.any(|name| name == controller).then_some((number.parse().ok()?, enumerator))
        })
    })
}
