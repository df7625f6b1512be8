//! An event is put together here, from what was seen and what is known.

use wanglou_api::event::{
    Cgroup, CharDevice, EffectiveGroup, EffectiveUser, Event, EventMeta, ExecutableMarks, Group,
    GroupChanges, Namespaces, ParentProcess, Process, ProcessRef, Strings, Tty, User, UserChanges,
    Wanglou,
};

use super::Known;
use super::arguments::Arguments;
use super::table::{Entry, Table};
use super::text;
use crate::action::{Action as Name, Category};
use crate::clock::Clock;
use crate::container::Containers;
use crate::observation::{Action, End, Ids, Image, Observation, Provider};
use crate::outlets::Outlets;
use crate::signal;

/// Ancestors told at most.
const ANCESTORS: usize = 16;

/// What is known beside the process that an event is of.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) table: &'a Table,
    pub(super) containers: &'a Containers,
    pub(super) clock: Clock,
}

/// Room for the parts of an event that must be made; used again for each.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// The events being made are rebuilt after a loss.
    pub(super) recovered: bool,
    arguments: Arguments,
    pub(super) name: String,
    pub(super) parent_name: String,
    working_directory: String,
    script: String,
}

/// Decimal digits of the ids of a user and a group, real and effective.
pub(super) struct Digits([itoa::Buffer; 4]);

/// Names of fields, at most as many as can be listed.
#[derive(Default)]
pub(super) struct Fields {
    names: [&'static str; 6],
    len: usize,
}

impl Fields {
    fn add_if(&mut self, condition: bool, name: &'static str) {
        if condition && self.len < self.names.len() {
            self.names[self.len] = name;
            self.len += 1;
        }
    }

    fn list(&self) -> Option<Strings<'_>> {
        (self.len > 0).then(|| Strings::Slice(&self.names[..self.len]))
    }
}

impl Draft {
    /// An event of the process that was seen.
    pub(super) fn event(
        &mut self,
        action: Name,
        seen: &Observation<'_>,
        entry: &Entry,
        around: Around<'_>,
        outlets: &mut Outlets,
    ) {
        let Around { table, clock, .. } = around;
        let (mut escaped, mut cut) = (Fields::default(), Fields::default());
        let image = match &seen.action {
            Action::Exec(image) | Action::Existing(image) => Some(image),
            _ => None,
        };
        if let Some(args) = image.and_then(|image| image.args.as_ref()) {
            self.arguments.set(args);
            escaped.add_if(self.arguments.escaped(), "process.args");
            escaped.add_if(self.arguments.escaped(), "process.command_line");
        }
        let mut process = process(seen.pid, entry, &mut self.name, &mut escaped);
        process.parent = parent(entry, table, &mut self.parent_name);
        process.real_parent = real_parent(seen, entry);
        let mut wanglou = marks(seen, self.recovered);
        let mut ancestors = [""; ANCESTORS];
        if let Some(image) = image {
            if let Some(args) = &image.args {
                self.arguments.fill(args, &mut process);
            }
            if let Some(path) = image.working_directory {
                let (path, bad) = text::text(path, &mut self.working_directory);
                process.working_directory = Some(path);
                escaped.add_if(bad, "process.working_directory");
            }
            if let Some(path) = image.script {
                let (path, bad) = text::text(path, &mut self.script);
                wanglou.script = Some(path);
                escaped.add_if(bad, "wanglou.script");
            }
            cut.add_if(image.cut.executable, "process.executable");
            cut.add_if(image.cut.working_directory, "process.working_directory");
            cut.add_if(image.cut.script, "wanglou.script");
            describe(image, &mut process, &mut wanglou);
            let found = list_ancestors(entry, table, &mut ancestors);
            wanglou.ancestors = (found > 0).then(|| Strings::Slice(&ancestors[..found]));
        }
        if let Action::End(end) = &seen.action {
            conclude(end, &mut process);
            process.end = (!self.recovered).then(|| clock.utc(seen.time));
        }
        wanglou.truncated = cut.list();

        let mut digits = Digits::new();
        let (user, group) = digits.user_and_group(entry.user, entry.group);
        let (process, wanglou) = (Some(process), Some(wanglou));
        let stamp = stamp(action, seen, clock, &escaped);
        let mut event = Event { process, user, group, wanglou, ..stamp };
        around.place(seen.state.cgroup.or(entry.cgroup), &mut event);
        outlets.report(action, &mut event);
    }

    /// A change of ids of the process `known`, which `seen` tells of.
    #[expect(clippy::too_many_arguments, reason = "each is another part of one event")]
    pub(super) fn change(
        &mut self,
        action: Name,
        known: &Known,
        new: Ids,
        seen: &Observation<'_>,
        entry: &Entry,
        around: Around<'_>,
        outlets: &mut Outlets,
    ) {
        let Around { table, clock, .. } = around;
        let mut escaped = Fields::default();
        let mut process = process(known.pid, entry, &mut self.name, &mut escaped);
        process.parent = parent(entry, table, &mut self.parent_name);
        let (mut old_digits, mut new_digits) = (Digits::new(), Digits::new());
        let (mut user, mut group) = old_digits.user_and_group(known.old_user, known.old_group);
        let (new_user, new_group) = new_digits.user_and_group(Some(new), Some(new));
        if action == Name::UidChange {
            user.get_or_insert_default().changes =
                new_user.map(|user| UserChanges { id: user.id, effective: user.effective });
        } else {
            group.get_or_insert_default().changes =
                new_group.map(|group| GroupChanges { id: group.id, effective: group.effective });
        }
        let (process, wanglou) = (Some(process), Some(marks(seen, self.recovered)));
        let stamp = stamp(action, seen, clock, &escaped);
        let mut event = Event { process, user, group, wanglou, ..stamp };
        around.place(entry.cgroup.or(seen.state.cgroup), &mut event);
        outlets.report(action, &mut event);
    }
}

impl Digits {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| itoa::Buffer::new()))
    }

    pub(super) fn user_and_group(
        &mut self,
        user: Option<Ids>,
        group: Option<Ids>,
    ) -> (Option<User<'_>>, Option<Group<'_>>) {
        let [uid, euid, gid, egid] = &mut self.0;
        let user = user.map(|user| User {
            id: Some(uid.format(user.real)),
            effective: Some(EffectiveUser { id: Some(euid.format(user.effective)) }),
            changes: None,
        });
        let group = group.map(|group| Group {
            id: Some(gid.format(group.real)),
            effective: Some(EffectiveGroup { id: Some(egid.format(group.effective)) }),
            changes: None,
        });
        (user, group)
    }
}

/// What every event tells beside the process.
pub(super) fn marks(seen: &Observation<'_>, recovered: bool) -> Wanglou<'static> {
    Wanglou {
        cgroup: seen.state.cgroup.map(|id| Cgroup { id: Some(id) }),
        incomplete: seen.incomplete.then_some(true),
        recovered: recovered.then_some(true),
        ..Wanglou::default()
    }
}

/// When it was, what it is and who knew.
pub(super) fn stamp<'a>(
    action: Name,
    seen: &Observation<'_>,
    clock: Clock,
    escaped: &'a Fields,
) -> Event<'a> {
    let meta = EventMeta {
        kind: Some("event"),
        category: action.category().map(Category::names),
        r#type: Some(action.kind()),
        action: Some(action.name()),
        provider: Some(match seen.provider {
            Provider::Ebpf => "ebpf",
            Provider::CnProc => "cn_proc",
            Provider::Procfs => "procfs",
            Provider::SockDiag => "sock_diag",
        }),
        original_bytes: escaped.list(),
        ..EventMeta::default()
    };
    Event { timestamp: Some(clock.utc(seen.time)), event: Some(meta), ..Event::default() }
}

/// What every event tells of its process.
pub(super) fn process<'a>(
    pid: u32,
    entry: &'a Entry,
    name: &'a mut String,
    escaped: &mut Fields,
) -> Process<'a> {
    let (name, bad) = text::text(entry.name.bytes(), name);
    escaped.add_if(bad, "process.name");
    escaped.add_if(entry.executable.as_ref().is_some_and(|it| it.escaped), "process.executable");
    Process {
        pid: Some(pid),
        entity_id: entry.entity.as_ref().map(super::EntityId::as_str),
        name: (!name.is_empty()).then_some(name),
        executable: entry.executable.as_ref().map(|it| &*it.path),
        start: entry.start_utc,
        vpid: entry.vpid,
        ..Process::default()
    }
}

pub(super) fn parent<'a>(
    entry: &'a Entry,
    table: &'a Table,
    name: &'a mut String,
) -> Option<ParentProcess<'a>> {
    let parent = entry.parent.as_ref().filter(|parent| parent.pid != 0)?;
    let known = parent.start.and_then(|start| table.get(parent.pid, Some(start)));
    let name = known.map(|known| text::text(known.name.bytes(), name).0);
    Some(ParentProcess {
        pid: Some(parent.pid),
        entity_id: parent.entity.as_ref().map(super::EntityId::as_str),
        name: name.filter(|name| !name.is_empty()),
        executable: known.and_then(|known| known.executable.as_ref()).map(|it| &*it.path),
    })
}

/// Whose child it is now, if that is not who created it.
fn real_parent(seen: &Observation<'_>, entry: &Entry) -> Option<ProcessRef> {
    let now = seen.state.real_parent?;
    let creator = entry.parent.as_ref()?;
    (creator.pid != now).then_some(ProcessRef { pid: Some(now) })
}

fn list_ancestors<'a>(
    entry: &'a Entry,
    table: &'a Table,
    found: &mut [&'a str; ANCESTORS],
) -> usize {
    let mut len = 0;
    let mut next = entry.parent.as_ref();
    while let Some(parent) = next.filter(|_| len < ANCESTORS) {
        let Some(entity) = &parent.entity else { break };
        found[len] = entity.as_str();
        len += 1;
        next = table.get(parent.pid, parent.start).and_then(|known| known.parent.as_ref());
    }
    len
}

/// What a process runs.
fn describe<'a>(image: &Image<'a>, process: &mut Process<'a>, wanglou: &mut Wanglou<'a>) {
    process.interactive = image.tty.map(|tty| tty.is_some());
    process.tty = image.tty.flatten().map(|(major, minor)| Tty {
        char_device: Some(CharDevice { major: Some(major), minor: Some(minor) }),
    });
    process.session_leader =
        image.session.filter(|&pid| pid != 0).map(|pid| ProcessRef { pid: Some(pid) });
    let namespaces = image.namespaces;
    wanglou.namespaces = (namespaces != Default::default()).then_some(Namespaces {
        pid: namespaces.pid,
        mnt: namespaces.mnt,
        net: namespaces.net,
    });
    wanglou.executable = (image.deleted || image.memfd).then_some(ExecutableMarks {
        deleted: image.deleted.then_some(true),
        memfd: image.memfd.then_some(true),
    });
}

/// How a process ended: by a code or by a signal.
fn conclude(end: &End, process: &mut Process<'_>) {
    if let Some(status) = end.status {
        match status & 0x7f {
            0 => process.exit_code = Some((status >> 8 & 0xff) as i32),
            number => process.signal = Some(signal::name(number)),
        }
    }
    process.cpu_ns = end.cpu_ns;
    process.max_rss_bytes = end.max_rss_bytes;
}
