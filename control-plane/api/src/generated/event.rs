// Generated from `proto/wanglou/event/v1/event.proto`; do not edit. To make it anew:
// `WANGLOU_UPDATE=1 cargo test -p wanglou-api`

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Strings, Timestamp};

/// One line of output: something that happened on a host, or a record of what the sensor did.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Event<'a> {
    /// `@timestamp`: When it happened, by the kernel's boot clock carried over to UTC.
    #[serde(rename = "@timestamp", skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// `event`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventMeta<'a>>,
    /// `host`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Host<'a>>,
    /// `process`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process<'a>>,
    /// `user`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<User<'a>>,
    /// `group`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Group<'a>>,
    /// `wanglou`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanglou: Option<Wanglou<'a>>,
}

/// ECS `event.*`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct EventMeta<'a> {
    /// `event.kind`: `event` or `metric`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'a str>,
    /// `event.category`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<Strings<'a>>,
    /// `event.type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<Strings<'a>>,
    /// `event.action`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<&'a str>,
    /// `event.sequence`: Dense from 1 within a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// `event.provider`: Who knew: `ebpf`, `cn_proc`, `procfs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<&'a str>,
    /// `event.start`: Of an interval (`gap`): when it began and ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// `event.end`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// `event.original_bytes`: Fields whose bytes were not UTF-8 and stand here with `\xNN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_bytes: Option<Strings<'a>>,
}

/// `host`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Host<'a> {
    /// `host.id`: The machine-id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    /// `host.name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    /// `host.boot`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot<'a>>,
}

/// `host.boot`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Boot<'a> {
    /// `host.boot.id`: The kernel's random boot id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
}

/// `process`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Process<'a> {
    /// `process.pid`: The thread group's id in the initial PID namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// `process.entity_id`: Survives PID reuse: see `docs/events.md`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_id: Option<&'a str>,
    /// `process.name`: The kernel's `comm`: at most 15 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    /// `process.executable`: The path in the process's own root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<&'a str>,
    /// `process.start`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// `process.end`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// `process.args`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Strings<'a>>,
    /// `process.args_count`: The true count, also when `args` is cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args_count: Option<u64>,
    /// `process.args_truncated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args_truncated: Option<bool>,
    /// `process.args_bytes`: True length in bytes, NULs included, when cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args_bytes: Option<u64>,
    /// `process.args_omitted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args_omitted: Option<ArgsOmitted>,
    /// `process.command_line`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_line: Option<&'a str>,
    /// `process.working_directory`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<&'a str>,
    /// `process.interactive`: It has a controlling terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interactive: Option<bool>,
    /// `process.exit_code`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// `process.signal`: The signal that ended it: `SIGKILL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<&'a str>,
    /// `process.cpu_ns`: CPU time of all its threads, ns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ns: Option<u64>,
    /// `process.max_rss_bytes`: Peak resident set, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rss_bytes: Option<u64>,
    /// `process.vpid`: Its id in its own PID namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpid: Option<u32>,
    /// `process.parent`: Who created it; of an `existing_process`, whose child it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<ParentProcess<'a>>,
    /// `process.real_parent`: Whose child it is now, where that is somebody else than its creator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub real_parent: Option<ProcessRef>,
    /// `process.session_leader`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_leader: Option<ProcessRef>,
    /// `process.tty`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tty: Option<Tty>,
}

/// `process.parent`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ParentProcess<'a> {
    /// `process.parent.pid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// `process.parent.entity_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_id: Option<&'a str>,
    /// `process.parent.name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    /// `process.parent.executable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<&'a str>,
}

/// `process.real_parent`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ProcessRef {
    /// `process.real_parent.pid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

/// `process.args_omitted`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ArgsOmitted {
    /// `process.args_omitted.index`: Index in `args` of the argument inside or before which bytes are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// `process.args_omitted.bytes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// `process.tty`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Tty {
    /// `process.tty.char_device`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub char_device: Option<CharDevice>,
}

/// `process.tty.char_device`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct CharDevice {
    /// `process.tty.char_device.major`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub major: Option<u32>,
    /// `process.tty.char_device.minor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minor: Option<u32>,
}

/// `user`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct User<'a> {
    /// `user.id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    /// `user.effective`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective: Option<EffectiveUser<'a>>,
    /// `user.changes`: What `uid_change` changed the ids to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<UserChanges<'a>>,
}

/// `user.effective`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct EffectiveUser<'a> {
    /// `user.effective.id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
}

/// `user.changes`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct UserChanges<'a> {
    /// `user.changes.id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    /// `user.changes.effective`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective: Option<EffectiveUser<'a>>,
}

/// `group`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Group<'a> {
    /// `group.id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    /// `group.effective`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective: Option<EffectiveGroup<'a>>,
    /// `group.changes`: What `gid_change` changed the ids to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<GroupChanges<'a>>,
}

/// `group.effective`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct EffectiveGroup<'a> {
    /// `group.effective.id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
}

/// `group.changes`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct GroupChanges<'a> {
    /// `group.changes.id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    /// `group.changes.effective`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective: Option<EffectiveGroup<'a>>,
}

/// What ECS has no name for.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Wanglou<'a> {
    /// `wanglou.run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Run<'a>>,
    /// `wanglou.cgroup`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<Cgroup>,
    /// `wanglou.namespaces`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Namespaces>,
    /// `wanglou.executable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<ExecutableMarks>,
    /// `wanglou.script`: The path of a `#!` script as it was given; `process.executable` is then its interpreter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<&'a str>,
    /// `wanglou.ancestors`: Entity ids from the parent upwards, at most 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ancestors: Option<Strings<'a>>,
    /// `wanglou.incomplete`: The process was gone before it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<bool>,
    /// `wanglou.recovered`: Rebuilt after a loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovered: Option<bool>,
    /// `wanglou.ledger`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Ledger<'a>>,
    /// `wanglou.gap`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap<'a>>,
}

/// `wanglou.run`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Run<'a> {
    /// `wanglou.run.id`: Boot-clock time of the worker's start, ns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
}

/// `wanglou.cgroup`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Cgroup {
    /// `wanglou.cgroup.id`: The kernel's cgroup id (kernfs inode number).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
}

/// Inode numbers, as in /proc/PID/ns.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Namespaces {
    /// `wanglou.namespaces.pid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// `wanglou.namespaces.mnt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mnt: Option<u32>,
    /// `wanglou.namespaces.net`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net: Option<u32>,
}

/// `wanglou.executable`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ExecutableMarks {
    /// `wanglou.executable.deleted`: Unlinked when it was executed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
    /// `wanglou.executable.memfd`: An anonymous file of memfd_create(2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memfd: Option<bool>,
}

/// Totals of this run and output: produced = delivered + dropped + in_flight.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Ledger<'a> {
    /// `wanglou.ledger.produced`: By action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub produced: Option<&'a BTreeMap<String, u64>>,
    /// `wanglou.ledger.delivered`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered: Option<&'a BTreeMap<String, u64>>,
    /// `wanglou.ledger.dropped`: By cause, then action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<&'a BTreeMap<String, BTreeMap<String, u64>>>,
    /// `wanglou.ledger.in_flight`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u64>,
}

/// An interval in which events were lost.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Gap<'a> {
    /// `wanglou.gap.lost`: By cause, then action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<&'a BTreeMap<String, BTreeMap<String, u64>>>,
    /// `wanglou.gap.recovered`: Events rebuilt by reconciliation, by action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovered: Option<&'a BTreeMap<String, u64>>,
    /// `wanglou.gap.unrecovered`: How many of the lost events nothing could be rebuilt for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrecovered: Option<u64>,
}
