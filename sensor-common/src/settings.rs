use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes of arguments that a record holds at most, unless more are asked for.
pub const ARGS_MAX: usize = 32 * 1024;

/// Bytes of arguments that can be asked for at most: what Linux allows a single one
/// (`MAX_ARG_STRLEN`, include/uapi/linux/binfmts.h).
pub const ARGS_LARGE: usize = 128 * 1024;

/// Of these, what is kept for the end of arguments that do not fit.
pub const ARGS_TAIL: usize = 8 * 1024;

/// Bytes of a path that a record holds at most.
pub const PATH_MAX: usize = 4096;

/// Bytes of a cgroup's path, as the kernel tells its tracepoints at most (`TRACE_CGROUP_PATH_LEN`,
/// kernel/cgroup/cgroup-internal.h).
pub const CGROUP_PATH_MAX: usize = 1024;

/// Names and mount points that the walk up a path takes at most.
pub const PATH_DEPTH: usize = 32;

/// What begins is counted against a limit in windows of so long, ns.
pub const LIMIT_WINDOW_NS: u64 = 10_000_000_000;

/// What the loader sets in the probes before the kernel verifies them.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Settings {
    /// Bytes of the ring.
    pub ring_bytes: u32,
    /// Bytes waiting in the ring from which the reader is woken.
    pub wake_bytes: u32,
    /// 1 where `sched_process_exit` has the argument `group_dead` (6.16 and later).
    pub exit_tells_group_dead: u32,
    /// Index of the v1 controller whose hierarchy names containers, [`crate::ABSENT`] on cgroup2.
    pub cgroup_subsys: u32,
    /// The number of that hierarchy, 0 for cgroup2.
    pub cgroup_hierarchy: u32,
    /// Bytes of arguments that a record holds, from [`ARGS_MAX`] to [`ARGS_LARGE`].
    pub args_bytes: u32,
    /// Index of the scratch slot that belongs to the iterator.
    pub iterator_slot: u32,
    /// 1 to report connections of this host with itself over loopback addresses.
    pub loopback: u32,
    /// Number of arguments of `inet_csk_accept`: its result comes after them.
    pub accept_arguments: u32,
    /// Number of arguments of `udp_recvmsg`.
    pub receive_arguments: u32,
    /// The sensor's own process, of whose connections nothing is told.
    pub sensor_pid: u32,
    /// Connections and flows of one process in [`LIMIT_WINDOW_NS`] at most, 0 for any number.
    pub process_limit: u32,
    /// Those of one cgroup.
    pub cgroup_limit: u32,
    /// While one CPU sees no more than these, nobody's are counted.
    pub quiet_limit: u32,
    /// Events of the processes of one cgroup in [`LIMIT_WINDOW_NS`] at most, 0 for any number.
    pub process_events_limit: u32,
    /// While one CPU sees no more than these, nobody's are counted.
    pub quiet_process_events: u32,
}
