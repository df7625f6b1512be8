//! Gives observations an identity: who is it, who created it, what does it run. Waits for nothing;
//! what is not known yet is absent.

mod arguments;
mod community;
mod connection;
mod container;
mod event;
mod executables;
mod identity;
mod table;
mod text;

use crate::action::Action as Name;
use crate::clock::Clock;
use crate::container::Containers;
use crate::host::Host;
use crate::observation::{
    Action, Connection, Ids, Image, NS_PER_TICK, Observation, ProcessKey, Provider,
};
use crate::outlets::Outlets;

use self::event::{Around, Draft};
use self::executables::Executables;
use self::identity::{EntityId, Identity};
use self::table::{Entry, Parent, Table};

/// The process table and what makes events of observations with it.
#[derive(Debug)]
pub struct Enricher {
    identity: Identity,
    clock: Clock,
    table: Table,
    executables: Executables,
    containers: Containers,
    draft: Draft,
    snapshot: u32,
}

/// What is known of everything else, while the draft is being written.
macro_rules! around {
    ($enricher:ident) => {
        Around {
            table: &$enricher.table,
            containers: &$enricher.containers,
            clock: $enricher.clock,
        }
    };
}

impl Enricher {
    /// For this host and the containers on it; its table is empty.
    pub fn new(host: &Host, containers: Containers) -> Self {
        Self {
            identity: Identity::new(&host.id, &host.boot_id),
            clock: Clock::now(),
            table: Table::default(),
            executables: Executables::default(),
            containers,
            draft: Draft::default(),
            snapshot: 0,
        }
    }

    /// Reads how far UTC is from the boot clock now.
    pub fn adjust_clock(&mut self) {
        self.clock = Clock::now();
    }

    /// The clock that events are told in.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Processes known, and given up for lack of room.
    pub fn table_size(&self) -> (usize, u64) {
        (self.table.len(), self.table.evicted())
    }

    /// Whoever was at work panicked: what was meant for one event shall not be part of the next.
    pub fn forget_what_was_under_way(&mut self) {
        self.draft = Draft::default();
    }

    /// Makes events of what was seen.
    pub fn observe(&mut self, seen: &Observation<'_>, outlets: &mut Outlets) {
        self.locate(seen);
        match &seen.action {
            Action::Fork { creator } => self.fork(seen, *creator, outlets),
            Action::Exec(image) => self.exec(seen, image, outlets),
            Action::End(_) => self.end(seen, outlets),
            Action::Credentials { old } => self.credentials(seen, *old, outlets),
            Action::Existing(image) => {
                if self.table.get(seen.pid, seen.start).is_none() {
                    self.existing(seen, image, false, outlets);
                }
            }
            Action::Connection(connection) => self.connection(seen, connection, outlets),
            Action::Cgroup => {}
        }
    }

    fn fork(
        &mut self,
        seen: &Observation<'_>,
        creator: Option<(u32, Option<u64>)>,
        outlets: &mut Outlets,
    ) {
        // A fork that was under way when the snapshot was taken: it has been told of already.
        if seen.start.is_some() && self.table.get(seen.pid, seen.start).is_some() {
            return;
        }
        let mut entry = self.entry(seen);
        if let Some((pid, start)) = creator {
            let start = start.or_else(|| self.table.alive(pid).and_then(|known| known.start));
            // The child still has its creator's ids: this may be the first we see of a change.
            self.notice(pid, start, seen, outlets);
            // What the source could not say is as it was in the creator: a fork copies it.
            if let Some(known) = self.table.get(pid, start) {
                entry.executable = known.executable.clone();
                entry.user = entry.user.or(known.user);
                entry.group = entry.group.or(known.group);
                if seen.state.name.is_none() {
                    entry.name = known.name;
                }
            }
            entry.parent = Some(self.parent(pid, start));
        }
        self.table.insert(seen.pid, entry);
        self.report(Name::Fork, seen, outlets);
    }

    fn exec(&mut self, seen: &Observation<'_>, image: &Image<'_>, outlets: &mut Outlets) {
        self.ensure_known(seen);
        self.notice(seen.pid, seen.start, seen, outlets);
        self.run(seen, image);
        self.report(Name::Exec, seen, outlets);
    }

    fn end(&mut self, seen: &Observation<'_>, outlets: &mut Outlets) {
        // Before 6.16 two threads that end together can both take themselves for the last.
        if self.table.get(seen.pid, seen.start).is_some_and(|entry| entry.ended) {
            return;
        }
        self.ensure_known(seen);
        self.notice(seen.pid, seen.start, seen, outlets);
        self.report(Name::End, seen, outlets);
        self.table.end(seen.pid, seen.start);
    }

    fn credentials(
        &mut self,
        seen: &Observation<'_>,
        old: Option<(Ids, Ids)>,
        outlets: &mut Outlets,
    ) {
        self.ensure_known(seen);
        if let (Some((user, group)), Some(entry)) = (old, self.table.get_mut(seen.pid, seen.start))
        {
            (entry.user, entry.group) = (Some(user), Some(group));
        }
        self.notice(seen.pid, seen.start, seen, outlets);
    }

    /// A socket may outlive its process, so the table does not learn of one from it.
    fn connection(
        &mut self,
        seen: &Observation<'_>,
        connection: &Connection,
        outlets: &mut Outlets,
    ) {
        let stranger;
        let entry = match self.table.get(seen.pid, seen.start) {
            Some(entry) => Some(entry),
            None if seen.pid == 0 => None,
            None => {
                stranger = self.entry(seen);
                Some(&stranger)
            }
        };
        let around = around!(self);
        self.draft.connection(seen, connection, entry, around, outlets);
    }

    /// A process that a snapshot found and that no event told of.
    fn existing(
        &mut self,
        seen: &Observation<'_>,
        image: &Image<'_>,
        recovered: bool,
        outlets: &mut Outlets,
    ) {
        self.ensure_known(seen);
        self.run(seen, image);
        self.draft.recovered = recovered;
        self.report(Name::ExistingProcess, seen, outlets);
        self.draft.recovered = false;
        if image.ended {
            self.table.end(seen.pid, seen.start);
        }
    }

    /// A process that nothing was known of: we came later, or an event was lost. Of one that is
    /// known, what only this sight of it could tell.
    fn ensure_known(&mut self, seen: &Observation<'_>) {
        if let Some(entry) = self.table.get_mut(seen.pid, seen.start) {
            entry.vpid = entry.vpid.or(seen.state.vpid);
            entry.cgroup = seen.state.cgroup.or(entry.cgroup);
            if let (None, Some(start)) = (entry.start, seen.start) {
                entry.start = Some(start);
                entry.start_utc = Some(self.clock.utc(start));
                let key = ProcessKey { pid: seen.pid, start_ticks: start / NS_PER_TICK };
                entry.entity = Some(self.identity.of(key));
            }
            return;
        }
        let mut entry = self.entry(seen);
        entry.parent = seen.state.real_parent.map(|pid| {
            let start = self.table.alive(pid).and_then(|parent| parent.start);
            self.parent(pid, start)
        });
        self.table.insert(seen.pid, entry);
    }

    fn entry(&self, seen: &Observation<'_>) -> Entry {
        Entry {
            start: seen.start,
            start_utc: seen.start.map(|start| self.clock.utc(start)),
            entity: self.entity(seen.pid, seen.start),
            name: seen.state.name.unwrap_or_default().into(),
            executable: None,
            parent: None,
            user: seen.state.user,
            group: seen.state.group,
            vpid: seen.state.vpid,
            cgroup: seen.state.cgroup,
            ended: false,
            snapshot: self.snapshot,
        }
    }

    /// The process runs this image now.
    fn run(&mut self, seen: &Observation<'_>, image: &Image<'_>) {
        let executable = image.executable.map(|path| self.executables.intern(path));
        let Some(entry) = self.table.get_mut(seen.pid, seen.start) else { return };
        entry.executable = executable;
        entry.snapshot = self.snapshot;
        if matches!(seen.action, Action::Existing(_)) {
            entry.user = seen.state.user.or(entry.user);
            entry.group = seen.state.group.or(entry.group);
        }
        if let Some(name) = seen.state.name {
            entry.name = name.into();
        }
    }

    /// Tells of ids that are not what they were when the process `pid` was last seen.
    fn notice(
        &mut self,
        pid: u32,
        start: Option<u64>,
        seen: &Observation<'_>,
        outlets: &mut Outlets,
    ) {
        let Some(entry) = self.table.get_mut(pid, start) else { return };
        let (old_user, old_group) = (entry.user, entry.group);
        let told = matches!(seen.action, Action::Credentials { .. });
        if seen.provider != Provider::Ebpf && !told {
            // /proc shows ids of a later moment, and the connector tells of each change.
            entry.user = old_user.or(seen.state.user);
            entry.group = old_group.or(seen.state.group);
            return;
        }
        entry.user = seen.state.user.or(old_user);
        entry.group = seen.state.group.or(old_group);
        let changed = |old: Option<Ids>, new: Option<Ids>| new.filter(|&new| old != Some(new));
        // A first sight is no change, unless the source says that it is one.
        let user = changed(old_user, seen.state.user).filter(|_| told || old_user.is_some());
        let group = changed(old_group, seen.state.group).filter(|_| told || old_group.is_some());
        if user.is_none() && group.is_none() {
            return;
        }
        let known = Known { pid, start, old_user, old_group };
        if let Some(user) = user {
            self.report_change(Name::UidChange, &known, user, seen, outlets);
        }
        if let Some(group) = group {
            self.report_change(Name::GidChange, &known, group, seen, outlets);
        }
    }

    fn report(&mut self, action: Name, seen: &Observation<'_>, outlets: &mut Outlets) {
        let Some(entry) = self.table.get(seen.pid, seen.start) else { return };
        let around = around!(self);
        self.draft.event(action, seen, entry, around, outlets);
    }

    fn report_change(
        &mut self,
        action: Name,
        known: &Known,
        new: Ids,
        seen: &Observation<'_>,
        outlets: &mut Outlets,
    ) {
        let Some(entry) = self.table.get(known.pid, known.start) else { return };
        let around = around!(self);
        self.draft.change(action, known, new, seen, entry, around, outlets);
    }

    fn parent(&self, pid: u32, start: Option<u64>) -> Parent {
        Parent { pid, start, entity: self.entity(pid, start) }
    }

    fn entity(&self, pid: u32, start: Option<u64>) -> Option<EntityId> {
        let start_ticks = start? / NS_PER_TICK;
        Some(match self.table.get(pid, start).and_then(|entry| entry.entity) {
            Some(entity) => entity,
            None => self.identity.of(ProcessKey { pid, start_ticks }),
        })
    }
}

/// A process whose ids changed, and what they were.
struct Known {
    pid: u32,
    start: Option<u64>,
    old_user: Option<Ids>,
    old_group: Option<Ids>,
}

/// Snapshots: how the table is built, and mended after a loss.
impl Enricher {
    /// Begins a snapshot: who is not seen in it is gone.
    pub fn begin_snapshot(&mut self) {
        self.snapshot = self.snapshot.wrapping_add(1);
    }

    /// A snapshot shows this process. `Missing` if no event has told of it.
    pub fn seen_in_snapshot(&mut self, seen: &Observation<'_>) -> InSnapshot {
        let Action::Existing(image) = &seen.action else { return InSnapshot::Known };
        let snapshot = self.snapshot;
        let executable = image.executable.map(|path| self.executables.intern(path));
        let Some(entry) = self.table.get_mut(seen.pid, seen.start) else {
            return InSnapshot::Missing;
        };
        if image.ended {
            // A zombie whose end was lost stays unseen, as if it were gone.
            return InSnapshot::Known;
        }
        entry.snapshot = snapshot;
        if entry.executable == executable { InSnapshot::Known } else { InSnapshot::Changed }
    }

    /// Reports a process that the snapshot shows and that no event told of.
    pub fn adopt(&mut self, seen: &Observation<'_>, recovered: bool, outlets: &mut Outlets) {
        if let Action::Existing(image) = &seen.action {
            self.locate(seen);
            self.existing(seen, image, recovered, outlets);
        }
    }

    /// Reports the end of each process that was there before `began` and that the snapshot did not
    /// show; says how many.
    pub fn end_unseen(&mut self, began: u64, now: u64, outlets: &mut Outlets) -> u64 {
        let older = |entry: &Entry| entry.start.is_none_or(|start| start < began);
        let gone: Vec<_> = self
            .table
            .unseen(self.snapshot)
            .filter(|(_, entry)| older(entry))
            .map(|(pid, entry)| (pid, entry.start))
            .collect();
        self.draft.recovered = true;
        for &(pid, start) in &gone {
            let seen = Observation::lost_end(pid, start, now);
            self.end(&seen, outlets);
        }
        self.draft.recovered = false;
        gone.len() as u64
    }
}

/// What the table says of a process that a snapshot shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InSnapshot {
    /// It is known.
    Known,
    /// It is known, and runs something else.
    Changed,
    /// Nothing is known of it.
    Missing,
}
