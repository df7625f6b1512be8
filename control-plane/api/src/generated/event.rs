// Generated from `proto/wanglou/event/v1/event.proto`; do not edit. To make it anew:
// `WANGLOU_UPDATE=1 cargo test -p wanglou-api`

use std::collections::BTreeMap;

use super::json::{Json, Object};
use super::proto::{Message, Proto};
use super::{Strings, Timestamp, v1};

/// One line of output: something that happened on a host, or a record of what the sensor did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Event<'a> {
    /// `@timestamp`: When it happened, by the kernel's boot clock carried over to UTC.
    pub timestamp: Option<Timestamp>,
    /// `event`.
    pub event: Option<EventMeta<'a>>,
    /// `host`.
    pub host: Option<Host<'a>>,
    /// `process`.
    pub process: Option<Process<'a>>,
    /// `user`.
    pub user: Option<User<'a>>,
    /// `group`.
    pub group: Option<Group<'a>>,
    /// `source`: Who opened the connection; of a `listen`, the address that is listened on.
    pub source: Option<Endpoint<'a>>,
    /// `destination`: Who was to be reached.
    pub destination: Option<Endpoint<'a>>,
    /// `network`.
    pub network: Option<Network<'a>>,
    /// `error`.
    pub error: Option<Error<'a>>,
    /// `log`: Of an `alert`.
    pub log: Option<Log<'a>>,
    /// `message`: Of an `alert`, what the sensor's log says.
    pub message: Option<&'a str>,
    /// `wanglou`.
    pub wanglou: Option<Wanglou<'a>>,
    /// `container`: Where the process runs, if that is a container.
    pub container: Option<Container<'a>>,
    /// `orchestrator`: What runs that container for a cluster.
    pub orchestrator: Option<Orchestrator<'a>>,
}

impl Json for Event<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"@timestamp\":", self.timestamp.as_ref());
        object.field("\"event\":", self.event.as_ref());
        object.field("\"host\":", self.host.as_ref());
        object.field("\"process\":", self.process.as_ref());
        object.field("\"user\":", self.user.as_ref());
        object.field("\"group\":", self.group.as_ref());
        object.field("\"source\":", self.source.as_ref());
        object.field("\"destination\":", self.destination.as_ref());
        object.field("\"network\":", self.network.as_ref());
        object.field("\"error\":", self.error.as_ref());
        object.field("\"log\":", self.log.as_ref());
        object.field("\"message\":", self.message.as_ref());
        object.field("\"wanglou\":", self.wanglou.as_ref());
        object.field("\"container\":", self.container.as_ref());
        object.field("\"orchestrator\":", self.orchestrator.as_ref());
        object.end();
    }
}

impl Message for Event<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.timestamp.write_proto(1, out);
        self.event.write_proto(2, out);
        self.host.write_proto(3, out);
        self.process.write_proto(4, out);
        self.user.write_proto(5, out);
        self.group.write_proto(6, out);
        self.source.write_proto(7, out);
        self.destination.write_proto(8, out);
        self.network.write_proto(9, out);
        self.error.write_proto(10, out);
        self.log.write_proto(11, out);
        self.message.write_proto(12, out);
        self.wanglou.write_proto(15, out);
        self.container.write_proto(16, out);
        self.orchestrator.write_proto(17, out);
    }
}

impl Json for v1::Event {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"@timestamp\":", self.timestamp.as_ref());
        object.field("\"event\":", self.event.as_ref());
        object.field("\"host\":", self.host.as_ref());
        object.field("\"process\":", self.process.as_ref());
        object.field("\"user\":", self.user.as_ref());
        object.field("\"group\":", self.group.as_ref());
        object.field("\"source\":", self.source.as_ref());
        object.field("\"destination\":", self.destination.as_ref());
        object.field("\"network\":", self.network.as_ref());
        object.field("\"error\":", self.error.as_ref());
        object.field("\"log\":", self.log.as_ref());
        object.field("\"message\":", self.message.as_ref());
        object.field("\"wanglou\":", self.wanglou.as_ref());
        object.field("\"container\":", self.container.as_ref());
        object.field("\"orchestrator\":", self.orchestrator.as_ref());
        object.end();
    }
}

/// ECS `event.*`.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventMeta<'a> {
    /// `event.kind`: `event`, `metric`, `alert` or `asset`.
    pub kind: Option<&'a str>,
    /// `event.category`.
    pub category: Option<Strings<'a>>,
    /// `event.type`.
    pub r#type: Option<Strings<'a>>,
    /// `event.action`.
    pub action: Option<&'a str>,
    /// `event.sequence`: Dense from 1 within a run.
    pub sequence: Option<u64>,
    /// `event.provider`: Who knew: `ebpf`, `cn_proc`, `procfs`, `sock_diag`; of a `container_seen`, `cri` or `docker`.
    pub provider: Option<&'a str>,
    /// `event.start`: Of an interval (`gap`, `flow`): when it began and ended.
    pub start: Option<Timestamp>,
    /// `event.end`.
    pub end: Option<Timestamp>,
    /// `event.original_bytes`: Fields whose bytes were not UTF-8 and stand here with `\xNN`.
    pub original_bytes: Option<Strings<'a>>,
    /// `event.outcome`: `success`, `failure`, or `unknown` where an attempt was given up before it had an outcome.
    pub outcome: Option<&'a str>,
    /// `event.duration`: Of an attempt, how long the handshake took; of a connection that is over, how long it lasted; ns.
    pub duration: Option<u64>,
    /// `event.code`: Of an `alert`, the number of the message, `WL1001`: see `docs/operations.md`.
    pub code: Option<&'a str>,
    /// `event.severity`: Of an `alert`, what syslog has for its level: 3 is an error.
    pub severity: Option<u32>,
}

impl Json for EventMeta<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"kind\":", self.kind.as_ref());
        object.field("\"category\":", self.category.as_ref());
        object.field("\"type\":", self.r#type.as_ref());
        object.field("\"action\":", self.action.as_ref());
        object.field("\"sequence\":", self.sequence.as_ref());
        object.field("\"provider\":", self.provider.as_ref());
        object.field("\"start\":", self.start.as_ref());
        object.field("\"end\":", self.end.as_ref());
        object.field("\"original_bytes\":", self.original_bytes.as_ref());
        object.field("\"outcome\":", self.outcome.as_ref());
        object.field("\"duration\":", self.duration.as_ref());
        object.field("\"code\":", self.code.as_ref());
        object.field("\"severity\":", self.severity.as_ref());
        object.end();
    }
}

impl Message for EventMeta<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.kind.write_proto(1, out);
        self.category.write_proto(2, out);
        self.r#type.write_proto(3, out);
        self.action.write_proto(4, out);
        self.sequence.write_proto(5, out);
        self.provider.write_proto(6, out);
        self.start.write_proto(7, out);
        self.end.write_proto(8, out);
        self.original_bytes.write_proto(9, out);
        self.outcome.write_proto(10, out);
        self.duration.write_proto(11, out);
        self.code.write_proto(12, out);
        self.severity.write_proto(13, out);
    }
}

impl Json for v1::EventMeta {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"kind\":", self.kind.as_ref());
        object.field("\"category\":", Some(&self.category).filter(|list| !list.is_empty()));
        object.field("\"type\":", Some(&self.r#type).filter(|list| !list.is_empty()));
        object.field("\"action\":", self.action.as_ref());
        object.field("\"sequence\":", self.sequence.as_ref());
        object.field("\"provider\":", self.provider.as_ref());
        object.field("\"start\":", self.start.as_ref());
        object.field("\"end\":", self.end.as_ref());
        object.field(
            "\"original_bytes\":",
            Some(&self.original_bytes).filter(|list| !list.is_empty()),
        );
        object.field("\"outcome\":", self.outcome.as_ref());
        object.field("\"duration\":", self.duration.as_ref());
        object.field("\"code\":", self.code.as_ref());
        object.field("\"severity\":", self.severity.as_ref());
        object.end();
    }
}

/// `host`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Host<'a> {
    /// `host.id`: The machine-id.
    pub id: Option<&'a str>,
    /// `host.name`.
    pub name: Option<&'a str>,
    /// `host.boot`.
    pub boot: Option<Boot<'a>>,
}

impl Json for Host<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.field("\"name\":", self.name.as_ref());
        object.field("\"boot\":", self.boot.as_ref());
        object.end();
    }
}

impl Message for Host<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.id.write_proto(1, out);
        self.name.write_proto(2, out);
        self.boot.write_proto(3, out);
    }
}

impl Json for v1::Host {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.field("\"name\":", self.name.as_ref());
        object.field("\"boot\":", self.boot.as_ref());
        object.end();
    }
}

/// `host.boot`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Boot<'a> {
    /// `host.boot.id`: The kernel's random boot id.
    pub id: Option<&'a str>,
}

impl Json for Boot<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.end();
    }
}

impl Message for Boot<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.id.write_proto(1, out);
    }
}

impl Json for v1::Boot {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.end();
    }
}

/// `process`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process<'a> {
    /// `process.pid`: The thread group's id in the initial PID namespace.
    pub pid: Option<u32>,
    /// `process.entity_id`: Survives PID reuse: see `docs/events.md`.
    pub entity_id: Option<&'a str>,
    /// `process.name`: The kernel's `comm`: at most 15 bytes.
    pub name: Option<&'a str>,
    /// `process.executable`: The path in the process's own root.
    pub executable: Option<&'a str>,
    /// `process.start`.
    pub start: Option<Timestamp>,
    /// `process.end`.
    pub end: Option<Timestamp>,
    /// `process.args`.
    pub args: Option<Strings<'a>>,
    /// `process.args_count`: The true count, also when `args` is cut.
    pub args_count: Option<u64>,
    /// `process.args_truncated`.
    pub args_truncated: Option<bool>,
    /// `process.args_bytes`: True length in bytes, NULs included, when cut.
    pub args_bytes: Option<u64>,
    /// `process.args_omitted`.
    pub args_omitted: Option<ArgsOmitted>,
    /// `process.command_line`.
    pub command_line: Option<&'a str>,
    /// `process.working_directory`.
    pub working_directory: Option<&'a str>,
    /// `process.interactive`: It has a controlling terminal.
    pub interactive: Option<bool>,
    /// `process.exit_code`.
    pub exit_code: Option<i32>,
    /// `process.signal`: The signal that ended it: `SIGKILL`.
    pub signal: Option<&'a str>,
    /// `process.cpu_ns`: CPU time of all its threads, ns.
    pub cpu_ns: Option<u64>,
    /// `process.max_rss_bytes`: Peak resident set, bytes.
    pub max_rss_bytes: Option<u64>,
    /// `process.vpid`: Its id in its own PID namespace.
    pub vpid: Option<u32>,
    /// `process.parent`: Who created it; of an `existing_process`, whose child it is.
    pub parent: Option<ParentProcess<'a>>,
    /// `process.real_parent`: Whose child it is now, where that is somebody else than its creator.
    pub real_parent: Option<ProcessRef>,
    /// `process.session_leader`.
    pub session_leader: Option<ProcessRef>,
    /// `process.tty`.
    pub tty: Option<Tty>,
}

impl Json for Process<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"pid\":", self.pid.as_ref());
        object.field("\"entity_id\":", self.entity_id.as_ref());
        object.field("\"name\":", self.name.as_ref());
        object.field("\"executable\":", self.executable.as_ref());
        object.field("\"start\":", self.start.as_ref());
        object.field("\"end\":", self.end.as_ref());
        object.field("\"args\":", self.args.as_ref());
        object.field("\"args_count\":", self.args_count.as_ref());
        object.field("\"args_truncated\":", self.args_truncated.as_ref());
        object.field("\"args_bytes\":", self.args_bytes.as_ref());
        object.field("\"args_omitted\":", self.args_omitted.as_ref());
        object.field("\"command_line\":", self.command_line.as_ref());
        object.field("\"working_directory\":", self.working_directory.as_ref());
        object.field("\"interactive\":", self.interactive.as_ref());
        object.field("\"exit_code\":", self.exit_code.as_ref());
        object.field("\"signal\":", self.signal.as_ref());
        object.field("\"cpu_ns\":", self.cpu_ns.as_ref());
        object.field("\"max_rss_bytes\":", self.max_rss_bytes.as_ref());
        object.field("\"vpid\":", self.vpid.as_ref());
        object.field("\"parent\":", self.parent.as_ref());
        object.field("\"real_parent\":", self.real_parent.as_ref());
        object.field("\"session_leader\":", self.session_leader.as_ref());
        object.field("\"tty\":", self.tty.as_ref());
        object.end();
    }
}

impl Message for Process<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.pid.write_proto(1, out);
        self.entity_id.write_proto(2, out);
        self.name.write_proto(3, out);
        self.executable.write_proto(4, out);
        self.start.write_proto(5, out);
        self.end.write_proto(6, out);
        self.args.write_proto(7, out);
        self.args_count.write_proto(8, out);
        self.args_truncated.write_proto(9, out);
        self.args_bytes.write_proto(10, out);
        self.args_omitted.write_proto(11, out);
        self.command_line.write_proto(12, out);
        self.working_directory.write_proto(13, out);
        self.interactive.write_proto(14, out);
        self.exit_code.write_proto(15, out);
        self.signal.write_proto(16, out);
        self.cpu_ns.write_proto(17, out);
        self.max_rss_bytes.write_proto(18, out);
        self.vpid.write_proto(19, out);
        self.parent.write_proto(20, out);
        self.real_parent.write_proto(21, out);
        self.session_leader.write_proto(22, out);
        self.tty.write_proto(23, out);
    }
}

impl Json for v1::Process {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"pid\":", self.pid.as_ref());
        object.field("\"entity_id\":", self.entity_id.as_ref());
        object.field("\"name\":", self.name.as_ref());
        object.field("\"executable\":", self.executable.as_ref());
        object.field("\"start\":", self.start.as_ref());
        object.field("\"end\":", self.end.as_ref());
        object.field("\"args\":", Some(&self.args).filter(|list| !list.is_empty()));
        object.field("\"args_count\":", self.args_count.as_ref());
        object.field("\"args_truncated\":", self.args_truncated.as_ref());
        object.field("\"args_bytes\":", self.args_bytes.as_ref());
        object.field("\"args_omitted\":", self.args_omitted.as_ref());
        object.field("\"command_line\":", self.command_line.as_ref());
        object.field("\"working_directory\":", self.working_directory.as_ref());
        object.field("\"interactive\":", self.interactive.as_ref());
        object.field("\"exit_code\":", self.exit_code.as_ref());
        object.field("\"signal\":", self.signal.as_ref());
        object.field("\"cpu_ns\":", self.cpu_ns.as_ref());
        object.field("\"max_rss_bytes\":", self.max_rss_bytes.as_ref());
        object.field("\"vpid\":", self.vpid.as_ref());
        object.field("\"parent\":", self.parent.as_ref());
        object.field("\"real_parent\":", self.real_parent.as_ref());
        object.field("\"session_leader\":", self.session_leader.as_ref());
        object.field("\"tty\":", self.tty.as_ref());
        object.end();
    }
}

/// `process.parent`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ParentProcess<'a> {
    /// `process.parent.pid`.
    pub pid: Option<u32>,
    /// `process.parent.entity_id`.
    pub entity_id: Option<&'a str>,
    /// `process.parent.name`.
    pub name: Option<&'a str>,
    /// `process.parent.executable`.
    pub executable: Option<&'a str>,
}

impl Json for ParentProcess<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"pid\":", self.pid.as_ref());
        object.field("\"entity_id\":", self.entity_id.as_ref());
        object.field("\"name\":", self.name.as_ref());
        object.field("\"executable\":", self.executable.as_ref());
        object.end();
    }
}

impl Message for ParentProcess<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.pid.write_proto(1, out);
        self.entity_id.write_proto(2, out);
        self.name.write_proto(3, out);
        self.executable.write_proto(4, out);
    }
}

impl Json for v1::ParentProcess {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"pid\":", self.pid.as_ref());
        object.field("\"entity_id\":", self.entity_id.as_ref());
        object.field("\"name\":", self.name.as_ref());
        object.field("\"executable\":", self.executable.as_ref());
        object.end();
    }
}

/// `process.real_parent`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessRef {
    /// `process.real_parent.pid`.
    pub pid: Option<u32>,
}

impl Json for ProcessRef {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"pid\":", self.pid.as_ref());
        object.end();
    }
}

impl Message for ProcessRef {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.pid.write_proto(1, out);
    }
}

impl Json for v1::ProcessRef {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"pid\":", self.pid.as_ref());
        object.end();
    }
}

/// `process.args_omitted`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ArgsOmitted {
    /// `process.args_omitted.index`: Index in `args` of the argument inside or before which bytes are missing.
    pub index: Option<u64>,
    /// `process.args_omitted.bytes`.
    pub bytes: Option<u64>,
}

impl Json for ArgsOmitted {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"index\":", self.index.as_ref());
        object.field("\"bytes\":", self.bytes.as_ref());
        object.end();
    }
}

impl Message for ArgsOmitted {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.index.write_proto(1, out);
        self.bytes.write_proto(2, out);
    }
}

impl Json for v1::ArgsOmitted {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"index\":", self.index.as_ref());
        object.field("\"bytes\":", self.bytes.as_ref());
        object.end();
    }
}

/// `process.tty`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tty {
    /// `process.tty.char_device`.
    pub char_device: Option<CharDevice>,
}

impl Json for Tty {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"char_device\":", self.char_device.as_ref());
        object.end();
    }
}

impl Message for Tty {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.char_device.write_proto(1, out);
    }
}

impl Json for v1::Tty {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"char_device\":", self.char_device.as_ref());
        object.end();
    }
}

/// `process.tty.char_device`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CharDevice {
    /// `process.tty.char_device.major`.
    pub major: Option<u32>,
    /// `process.tty.char_device.minor`.
    pub minor: Option<u32>,
}

impl Json for CharDevice {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"major\":", self.major.as_ref());
        object.field("\"minor\":", self.minor.as_ref());
        object.end();
    }
}

impl Message for CharDevice {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.major.write_proto(1, out);
        self.minor.write_proto(2, out);
    }
}

impl Json for v1::CharDevice {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"major\":", self.major.as_ref());
        object.field("\"minor\":", self.minor.as_ref());
        object.end();
    }
}

/// `user`.
#[derive(Clone, Copy, Debug, Default)]
pub struct User<'a> {
    /// `user.id`.
    pub id: Option<&'a str>,
    /// `user.effective`.
    pub effective: Option<EffectiveUser<'a>>,
    /// `user.changes`: What `uid_change` changed the ids to.
    pub changes: Option<UserChanges<'a>>,
}

impl Json for User<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.field("\"effective\":", self.effective.as_ref());
        object.field("\"changes\":", self.changes.as_ref());
        object.end();
    }
}

impl Message for User<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.id.write_proto(1, out);
        self.effective.write_proto(2, out);
        self.changes.write_proto(3, out);
    }
}

impl Json for v1::User {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.field("\"effective\":", self.effective.as_ref());
        object.field("\"changes\":", self.changes.as_ref());
        object.end();
    }
}

/// `user.effective`.
#[derive(Clone, Copy, Debug, Default)]
pub struct EffectiveUser<'a> {
    /// `user.effective.id`.
    pub id: Option<&'a str>,
}

impl Json for EffectiveUser<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.end();
    }
}

impl Message for EffectiveUser<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.id.write_proto(1, out);
    }
}

impl Json for v1::EffectiveUser {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.end();
    }
}

/// `user.changes`.
#[derive(Clone, Copy, Debug, Default)]
pub struct UserChanges<'a> {
    /// `user.changes.id`.
    pub id: Option<&'a str>,
    /// `user.changes.effective`.
    pub effective: Option<EffectiveUser<'a>>,
}

impl Json for UserChanges<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.field("\"effective\":", self.effective.as_ref());
        object.end();
    }
}

impl Message for UserChanges<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.id.write_proto(1, out);
        self.effective.write_proto(2, out);
    }
}

impl Json for v1::UserChanges {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.field("\"effective\":", self.effective.as_ref());
        object.end();
    }
}

/// `group`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Group<'a> {
    /// `group.id`.
    pub id: Option<&'a str>,
    /// `group.effective`.
    pub effective: Option<EffectiveGroup<'a>>,
    /// `group.changes`: What `gid_change` changed the ids to.
    pub changes: Option<GroupChanges<'a>>,
}

impl Json for Group<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.field("\"effective\":", self.effective.as_ref());
        object.field("\"changes\":", self.changes.as_ref());
        object.end();
    }
}

impl Message for Group<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.id.write_proto(1, out);
        self.effective.write_proto(2, out);
        self.changes.write_proto(3, out);
    }
}

impl Json for v1::Group {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.field("\"effective\":", self.effective.as_ref());
        object.field("\"changes\":", self.changes.as_ref());
        object.end();
    }
}

/// `group.effective`.
#[derive(Clone, Copy, Debug, Default)]
pub struct EffectiveGroup<'a> {
    /// `group.effective.id`.
    pub id: Option<&'a str>,
}

impl Json for EffectiveGroup<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.end();
    }
}

impl Message for EffectiveGroup<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.id.write_proto(1, out);
    }
}

impl Json for v1::EffectiveGroup {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.end();
    }
}

/// `group.changes`.
#[derive(Clone, Copy, Debug, Default)]
pub struct GroupChanges<'a> {
    /// `group.changes.id`.
    pub id: Option<&'a str>,
    /// `group.changes.effective`.
    pub effective: Option<EffectiveGroup<'a>>,
}

impl Json for GroupChanges<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.field("\"effective\":", self.effective.as_ref());
        object.end();
    }
}

impl Message for GroupChanges<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.id.write_proto(1, out);
        self.effective.write_proto(2, out);
    }
}

impl Json for v1::GroupChanges {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.field("\"effective\":", self.effective.as_ref());
        object.end();
    }
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Endpoint<'a> {
    /// `source.ip`: IPv4 addresses mapped into IPv6 are written as IPv4.
    pub ip: Option<&'a str>,
    /// `source.port`.
    pub port: Option<u32>,
    /// `source.bytes`: Payload that this end sent.
    pub bytes: Option<u64>,
    /// `source.packets`: Of a flow, datagrams that this end sent.
    pub packets: Option<u64>,
}

impl Json for Endpoint<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"ip\":", self.ip.as_ref());
        object.field("\"port\":", self.port.as_ref());
        object.field("\"bytes\":", self.bytes.as_ref());
        object.field("\"packets\":", self.packets.as_ref());
        object.end();
    }
}

impl Message for Endpoint<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.ip.write_proto(1, out);
        self.port.write_proto(2, out);
        self.bytes.write_proto(3, out);
        self.packets.write_proto(4, out);
    }
}

impl Json for v1::Endpoint {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"ip\":", self.ip.as_ref());
        object.field("\"port\":", self.port.as_ref());
        object.field("\"bytes\":", self.bytes.as_ref());
        object.field("\"packets\":", self.packets.as_ref());
        object.end();
    }
}

/// ECS `network.*`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Network<'a> {
    /// `network.transport`: `tcp` or `udp`.
    pub transport: Option<&'a str>,
    /// `network.type`: `ipv4` or `ipv6`.
    pub r#type: Option<&'a str>,
    /// `network.direction`: `egress`: opened from this host; `ingress`: taken by it.
    pub direction: Option<&'a str>,
    /// `network.community_id`: Community ID 1 with seed 0: the same on both ends.
    pub community_id: Option<&'a str>,
    /// `network.retransmits`: Segments that this host sent again.
    pub retransmits: Option<u64>,
}

impl Json for Network<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"transport\":", self.transport.as_ref());
        object.field("\"type\":", self.r#type.as_ref());
        object.field("\"direction\":", self.direction.as_ref());
        object.field("\"community_id\":", self.community_id.as_ref());
        object.field("\"retransmits\":", self.retransmits.as_ref());
        object.end();
    }
}

impl Message for Network<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.transport.write_proto(1, out);
        self.r#type.write_proto(2, out);
        self.direction.write_proto(3, out);
        self.community_id.write_proto(4, out);
        self.retransmits.write_proto(5, out);
    }
}

impl Json for v1::Network {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"transport\":", self.transport.as_ref());
        object.field("\"type\":", self.r#type.as_ref());
        object.field("\"direction\":", self.direction.as_ref());
        object.field("\"community_id\":", self.community_id.as_ref());
        object.field("\"retransmits\":", self.retransmits.as_ref());
        object.end();
    }
}

/// `error`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Error<'a> {
    /// `error.code`: The errno by its name: `ECONNREFUSED`.
    pub code: Option<&'a str>,
}

impl Json for Error<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"code\":", self.code.as_ref());
        object.end();
    }
}

impl Message for Error<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.code.write_proto(1, out);
    }
}

impl Json for v1::Error {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"code\":", self.code.as_ref());
        object.end();
    }
}

/// ECS `log.*`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log<'a> {
    /// `log.level`: `error`, or what is worse.
    pub level: Option<&'a str>,
}

impl Json for Log<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"level\":", self.level.as_ref());
        object.end();
    }
}

impl Message for Log<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.level.write_proto(1, out);
    }
}

impl Json for v1::Log {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"level\":", self.level.as_ref());
        object.end();
    }
}

/// ECS `container.*`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Container<'a> {
    /// `container.id`: The runtime's id, from the path of the process's cgroup.
    pub id: Option<&'a str>,
    /// `container.name`: What the runtime calls it.
    pub name: Option<&'a str>,
    /// `container.image`.
    pub image: Option<ContainerImage<'a>>,
    /// `container.runtime`: `containerd`, `cri-o`, `docker`, `podman`, `lxc`, `systemd-nspawn`, or what the runtime calls itself.
    pub runtime: Option<&'a str>,
}

impl Json for Container<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.field("\"name\":", self.name.as_ref());
        object.field("\"image\":", self.image.as_ref());
        object.field("\"runtime\":", self.runtime.as_ref());
        object.end();
    }
}

impl Message for Container<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.id.write_proto(1, out);
        self.name.write_proto(2, out);
        self.image.write_proto(3, out);
        self.runtime.write_proto(4, out);
    }
}

impl Json for v1::Container {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.field("\"name\":", self.name.as_ref());
        object.field("\"image\":", self.image.as_ref());
        object.field("\"runtime\":", self.runtime.as_ref());
        object.end();
    }
}

/// `container.image`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ContainerImage<'a> {
    /// `container.image.name`.
    pub name: Option<&'a str>,
}

impl Json for ContainerImage<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"name\":", self.name.as_ref());
        object.end();
    }
}

impl Message for ContainerImage<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.name.write_proto(1, out);
    }
}

impl Json for v1::ContainerImage {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"name\":", self.name.as_ref());
        object.end();
    }
}

/// ECS `orchestrator.*`, of a Kubernetes pod.
#[derive(Clone, Copy, Debug, Default)]
pub struct Orchestrator<'a> {
    /// `orchestrator.namespace`.
    pub namespace: Option<&'a str>,
    /// `orchestrator.resource`.
    pub resource: Option<OrchestratorResource<'a>>,
}

impl Json for Orchestrator<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"namespace\":", self.namespace.as_ref());
        object.field("\"resource\":", self.resource.as_ref());
        object.end();
    }
}

impl Message for Orchestrator<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.namespace.write_proto(1, out);
        self.resource.write_proto(2, out);
    }
}

impl Json for v1::Orchestrator {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"namespace\":", self.namespace.as_ref());
        object.field("\"resource\":", self.resource.as_ref());
        object.end();
    }
}

/// `orchestrator.resource`.
#[derive(Clone, Copy, Debug, Default)]
pub struct OrchestratorResource<'a> {
    /// `orchestrator.resource.name`: Of the pod.
    pub name: Option<&'a str>,
    /// `orchestrator.resource.id`: The pod's UID.
    pub id: Option<&'a str>,
    /// `orchestrator.resource.label`: The pod's labels, each as `key=value`; at most 512 bytes.
    pub label: Option<Strings<'a>>,
}

impl Json for OrchestratorResource<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"name\":", self.name.as_ref());
        object.field("\"id\":", self.id.as_ref());
        object.field("\"label\":", self.label.as_ref());
        object.end();
    }
}

impl Message for OrchestratorResource<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.name.write_proto(1, out);
        self.id.write_proto(2, out);
        self.label.write_proto(3, out);
    }
}

impl Json for v1::OrchestratorResource {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"name\":", self.name.as_ref());
        object.field("\"id\":", self.id.as_ref());
        object.field("\"label\":", Some(&self.label).filter(|list| !list.is_empty()));
        object.end();
    }
}

/// What ECS has no name for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanglou<'a> {
    /// `wanglou.run`.
    pub run: Option<Run<'a>>,
    /// `wanglou.cgroup`.
    pub cgroup: Option<Cgroup>,
    /// `wanglou.namespaces`.
    pub namespaces: Option<Namespaces>,
    /// `wanglou.executable`.
    pub executable: Option<ExecutableMarks>,
    /// `wanglou.script`: The path of a `#!` script as it was given; `process.executable` is then its interpreter.
    pub script: Option<&'a str>,
    /// `wanglou.ancestors`: Entity ids from the parent upwards, at most 16.
    pub ancestors: Option<Strings<'a>>,
    /// `wanglou.incomplete`: The process was gone before it could be read.
    pub incomplete: Option<bool>,
    /// `wanglou.recovered`: Rebuilt after a loss.
    pub recovered: Option<bool>,
    /// `wanglou.truncated`: Fields that are not whole, as they were longer than what is kept.
    pub truncated: Option<Strings<'a>>,
    /// `wanglou.ledger`.
    pub ledger: Option<Ledger<'a>>,
    /// `wanglou.gap`.
    pub gap: Option<Gap<'a>>,
    /// `wanglou.owner`: How `process` is known to own the connection, where it was not seen to open or take it:
    /// `first_touch`, it was the first to use it; `listener`, it listens where the connection came in.
    pub owner: Option<&'a str>,
    /// `wanglou.tcp`.
    pub tcp: Option<Tcp<'a>>,
    /// `wanglou.container_labels`: Labels of a container that is in no pod, each as `key=value`; at most 512 bytes.
    pub container_labels: Option<Strings<'a>>,
}

impl Json for Wanglou<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"run\":", self.run.as_ref());
        object.field("\"cgroup\":", self.cgroup.as_ref());
        object.field("\"namespaces\":", self.namespaces.as_ref());
        object.field("\"executable\":", self.executable.as_ref());
        object.field("\"script\":", self.script.as_ref());
        object.field("\"ancestors\":", self.ancestors.as_ref());
        object.field("\"incomplete\":", self.incomplete.as_ref());
        object.field("\"recovered\":", self.recovered.as_ref());
        object.field("\"truncated\":", self.truncated.as_ref());
        object.field("\"ledger\":", self.ledger.as_ref());
        object.field("\"gap\":", self.gap.as_ref());
        object.field("\"owner\":", self.owner.as_ref());
        object.field("\"tcp\":", self.tcp.as_ref());
        object.field("\"container_labels\":", self.container_labels.as_ref());
        object.end();
    }
}

impl Message for Wanglou<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.run.write_proto(1, out);
        self.cgroup.write_proto(2, out);
        self.namespaces.write_proto(3, out);
        self.executable.write_proto(4, out);
        self.script.write_proto(5, out);
        self.ancestors.write_proto(6, out);
        self.incomplete.write_proto(7, out);
        self.recovered.write_proto(8, out);
        self.ledger.write_proto(9, out);
        self.gap.write_proto(10, out);
        self.truncated.write_proto(11, out);
        self.owner.write_proto(12, out);
        self.tcp.write_proto(13, out);
        self.container_labels.write_proto(14, out);
    }
}

impl Json for v1::Wanglou {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"run\":", self.run.as_ref());
        object.field("\"cgroup\":", self.cgroup.as_ref());
        object.field("\"namespaces\":", self.namespaces.as_ref());
        object.field("\"executable\":", self.executable.as_ref());
        object.field("\"script\":", self.script.as_ref());
        object.field("\"ancestors\":", Some(&self.ancestors).filter(|list| !list.is_empty()));
        object.field("\"incomplete\":", self.incomplete.as_ref());
        object.field("\"recovered\":", self.recovered.as_ref());
        object.field("\"truncated\":", Some(&self.truncated).filter(|list| !list.is_empty()));
        object.field("\"ledger\":", self.ledger.as_ref());
        object.field("\"gap\":", self.gap.as_ref());
        object.field("\"owner\":", self.owner.as_ref());
        object.field("\"tcp\":", self.tcp.as_ref());
        object.field(
            "\"container_labels\":",
            Some(&self.container_labels).filter(|list| !list.is_empty()),
        );
        object.end();
    }
}

/// `wanglou.run`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run<'a> {
    /// `wanglou.run.id`: Boot-clock time of the worker's start, ns.
    pub id: Option<&'a str>,
}

impl Json for Run<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.end();
    }
}

impl Message for Run<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.id.write_proto(1, out);
    }
}

impl Json for v1::Run {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.end();
    }
}

/// `wanglou.cgroup`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cgroup {
    /// `wanglou.cgroup.id`: The kernel's cgroup id (kernfs inode number).
    pub id: Option<u64>,
}

impl Json for Cgroup {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.end();
    }
}

impl Message for Cgroup {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.id.write_proto(1, out);
    }
}

impl Json for v1::Cgroup {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"id\":", self.id.as_ref());
        object.end();
    }
}

/// Inode numbers, as in /proc/PID/ns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Namespaces {
    /// `wanglou.namespaces.pid`.
    pub pid: Option<u32>,
    /// `wanglou.namespaces.mnt`.
    pub mnt: Option<u32>,
    /// `wanglou.namespaces.net`.
    pub net: Option<u32>,
}

impl Json for Namespaces {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"pid\":", self.pid.as_ref());
        object.field("\"mnt\":", self.mnt.as_ref());
        object.field("\"net\":", self.net.as_ref());
        object.end();
    }
}

impl Message for Namespaces {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.pid.write_proto(1, out);
        self.mnt.write_proto(2, out);
        self.net.write_proto(3, out);
    }
}

impl Json for v1::Namespaces {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"pid\":", self.pid.as_ref());
        object.field("\"mnt\":", self.mnt.as_ref());
        object.field("\"net\":", self.net.as_ref());
        object.end();
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp<'a> {
    /// `wanglou.tcp.end`: `closed` by a FIN, `reset` by the other side, `aborted` by this one, `timed_out`, or `failed`.
    pub end: Option<&'a str>,
    /// `wanglou.tcp.closed_by`: Which end closed its half first: `source` or `destination`.
    pub closed_by: Option<&'a str>,
    /// `wanglou.tcp.half_closed`: From there to the end, ns.
    pub half_closed: Option<u64>,
}

impl Json for Tcp<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"end\":", self.end.as_ref());
        object.field("\"closed_by\":", self.closed_by.as_ref());
        object.field("\"half_closed\":", self.half_closed.as_ref());
        object.end();
    }
}

impl Message for Tcp<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.end.write_proto(1, out);
        self.closed_by.write_proto(2, out);
        self.half_closed.write_proto(3, out);
    }
}

impl Json for v1::Tcp {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"end\":", self.end.as_ref());
        object.field("\"closed_by\":", self.closed_by.as_ref());
        object.field("\"half_closed\":", self.half_closed.as_ref());
        object.end();
    }
}

/// `wanglou.executable`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExecutableMarks {
    /// `wanglou.executable.deleted`: Unlinked when it was executed.
    pub deleted: Option<bool>,
    /// `wanglou.executable.memfd`: An anonymous file of `memfd_create(2)`.
    pub memfd: Option<bool>,
}

impl Json for ExecutableMarks {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"deleted\":", self.deleted.as_ref());
        object.field("\"memfd\":", self.memfd.as_ref());
        object.end();
    }
}

impl Message for ExecutableMarks {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.deleted.write_proto(1, out);
        self.memfd.write_proto(2, out);
    }
}

impl Json for v1::ExecutableMarks {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"deleted\":", self.deleted.as_ref());
        object.field("\"memfd\":", self.memfd.as_ref());
        object.end();
    }
}

/// Totals of this run and output: `produced = delivered + dropped + in_flight`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ledger<'a> {
    /// `wanglou.ledger.produced`: By action.
    pub produced: Option<&'a BTreeMap<String, u64>>,
    /// `wanglou.ledger.delivered`.
    pub delivered: Option<&'a BTreeMap<String, u64>>,
    /// `wanglou.ledger.dropped`: By cause, then action.
    pub dropped: Option<&'a BTreeMap<String, BTreeMap<String, u64>>>,
    /// `wanglou.ledger.in_flight`.
    pub in_flight: Option<u64>,
}

impl Json for Ledger<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"produced\":", self.produced.as_ref());
        object.field("\"delivered\":", self.delivered.as_ref());
        object.field("\"dropped\":", self.dropped.as_ref());
        object.field("\"in_flight\":", self.in_flight.as_ref());
        object.end();
    }
}

impl Message for Ledger<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.produced.write_proto(1, out);
        self.delivered.write_proto(2, out);
        self.dropped.write_proto(3, out);
        self.in_flight.write_proto(4, out);
    }
}

impl Json for v1::Ledger {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"produced\":", Some(&self.produced));
        object.field("\"delivered\":", Some(&self.delivered));
        object.field("\"dropped\":", Some(&self.dropped));
        object.field("\"in_flight\":", self.in_flight.as_ref());
        object.end();
    }
}

/// An interval in which events were lost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gap<'a> {
    /// `wanglou.gap.lost`: By cause, then action.
    pub lost: Option<&'a BTreeMap<String, BTreeMap<String, u64>>>,
    /// `wanglou.gap.recovered`: Events rebuilt by reconciliation, by action.
    pub recovered: Option<&'a BTreeMap<String, u64>>,
    /// `wanglou.gap.unrecovered`: How many of the lost events nothing could be rebuilt for.
    pub unrecovered: Option<u64>,
}

impl Json for Gap<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"lost\":", self.lost.as_ref());
        object.field("\"recovered\":", self.recovered.as_ref());
        object.field("\"unrecovered\":", self.unrecovered.as_ref());
        object.end();
    }
}

impl Message for Gap<'_> {
    fn write_fields(&self, out: &mut Vec<u8>) {
        self.lost.write_proto(1, out);
        self.recovered.write_proto(2, out);
        self.unrecovered.write_proto(3, out);
    }
}

impl Json for v1::Gap {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        object.field("\"lost\":", Some(&self.lost));
        object.field("\"recovered\":", Some(&self.recovered));
        object.field("\"unrecovered\":", self.unrecovered.as_ref());
        object.end();
    }
}
